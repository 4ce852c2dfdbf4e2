//! Families of things with a name and options: architectures, methods, metrics, attacks, training
//! objectives, kinds of data. Each is one sorted slice; listings, parsing and error messages are
//! made from it.

mod entry;
mod fraction;
mod options;
mod parse;
pub mod seed;
mod text;
mod words;

pub use entry::{Entry, Named, build, find, nearest};
pub use fraction::{fraction, parse_fraction};
pub use options::{Described, NoOptions, Setting, described, options};
pub use parse::{parse, split, value_of};
pub use text::Text;
pub use words::{word, words};
