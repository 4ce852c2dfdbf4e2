//! `arff:`, a table of Weka.

use super::kind::{READ, Source};
use crate::table;

/// In the list of kinds.
pub(super) const KIND: Source = Source {
    name: "arff",
    about: "a Weka table, its columns of numbers scaled; a fifth of the rows is for testing, all of a table \
         that the weights were not trained on: `arff:FILE`, perhaps with `,columns=complete` (those that \
         lack no value), `,columns=A+B`, `,split=SEED`, `,rows=all`",
    is_table: true,
    is_file: |name| name.ends_with(".arff"),
    load: |rest, options| table::load("arff", rest, options),
    ..READ
};
