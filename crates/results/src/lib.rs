//! What commands find. A result is rows: keys that say what a number is of (`model`, `method`,
//! `attack`, `eps`, `quantity`) and the number with its interval. Tables, CSV, pages and experiments
//! are queries over rows, so that a new kind of result needs no code to be shown.

pub mod inference;
mod number;
mod provenance;
mod quantity;
mod query;
mod record;
mod row;
mod sample;
mod show;
mod table;

pub use number::Number;
pub use provenance::{ModelCard, Origin};
pub use quantity::{Better, Quantity};
pub use query::{Grid, Line, Query};
pub use record::Record;
pub use row::{Keys, QUANTITY, Row, keys};
pub use sample::Sample;
pub use show::{ONE_MAKES_IT, UNDEFINED, effect, label, significant};
pub use table::Table;
