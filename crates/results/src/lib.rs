//! What commands find. A result is rows: keys that say what a number is of (`model`, `method`,
//! `attack`, `eps`, `quantity`) and the number with its interval. Tables, CSV, pages and experiments
//! are queries over rows, so that a new kind of result needs no code to be shown.

mod findings;
mod number;
mod provenance;
mod quantity;
mod row;
mod show;
mod table;

pub use findings::{Attachment, Findings};
pub use number::Number;
pub use provenance::{ModelCard, Origin};
pub use quantity::{Better, Quantity};
pub use row::{Keys, QUANTITY, Row, keys};
pub use show::{UNDEFINED, effect, label, percent, significant};
pub use table::{Pivot, Table};
