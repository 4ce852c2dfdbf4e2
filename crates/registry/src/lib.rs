//! Families of things with a name and options: architectures, methods, metrics, attacks, training
//! objectives, kinds of data. Each is one sorted slice; listings, parsing and error messages are
//! made from it.
//!
//! ```
//! use registry::{Entry, described};
//! use serde::{Deserialize, Serialize};
//!
//! trait Shape {
//!     fn area(&self) -> f64;
//! }
//!
//! #[derive(Deserialize, Serialize)]
//! #[serde(deny_unknown_fields, default)]
//! struct Square {
//!     side: f64,
//! }
//!
//! impl Default for Square {
//!     fn default() -> Self {
//!         Square { side: 2. }
//!     }
//! }
//!
//! impl Shape for Square {
//!     fn area(&self) -> f64 {
//!         self.side * self.side
//!     }
//! }
//!
//! const SHAPES: &[Entry<dyn Shape>] = &[Entry {
//!     name: "square",
//!     about: "four equal sides",
//!     options: described::<Square>(&[("side", "its length, above 0")]),
//!     build: |table| Ok(Box::new(registry::options::<Square>(table)?)),
//! }];
//!
//! let square = registry::build("shape", SHAPES, registry::parse("square:side=3.0")?)?;
//! assert_eq!(square.area(), 9.);
//! let error = registry::build("shape", SHAPES, registry::parse("squar")?).err().unwrap();
//! assert_eq!(error.to_string(), "unknown shape `squar`; known, nearest first: square");
//! # Ok::<(), anyhow::Error>(())
//! ```

mod alias;
mod entry;
mod few;
mod fraction;
mod options;
mod own;
mod parse;
mod range;
pub mod seed;
mod setting;
mod text;
mod words;

pub use alias::{OwnNames, own_keys};
pub use entry::{Entry, Named, build, find, nearest};
pub use few::few;
pub use fraction::{fraction, parse_fraction};
pub use options::{Described, NoOptions, described, options};
pub use own::{own_names, own_table};
pub use parse::{parse, spelled, split, value_of};
pub use range::{not_negative, positive};
pub use setting::Setting;
pub use text::Text;
pub use words::{word, words};
