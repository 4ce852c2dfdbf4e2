//! `arff:`, a table of Weka.

use super::kind::{READ, Source};
use crate::table::{Format, Selection, TableFile};

/// In the list of kinds.
pub(super) const ENTRY: Source = Source {
    name: "arff",
    about: "a Weka table, its columns of numbers scaled: `arff:FILE`, or with options \
         `arff:FILE,columns=complete`",
    options: Selection::OPTIONS,
    build: |table| Ok(Box::new(TableFile::new(Format::Arff, table)?)),
    has_label_column: true,
    is_file: |name| name.ends_with(".arff"),
    ..READ
};
