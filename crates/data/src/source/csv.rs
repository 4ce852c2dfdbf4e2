//! `csv:`, a table of text.

use super::kind::{READ, Source};
use crate::table::{Format, Selection, TableFile};

/// In the list of kinds.
pub(super) const ENTRY: Source = Source {
    name: "csv",
    about: "a table whose first line names its columns, with commas, tabs, semicolons or bars (.csv, .tsv)",
    options: Selection::OPTIONS,
    build: |table| Ok(Box::new(TableFile::new(Format::Csv, table)?)),
    has_label_column: true,
    is_file: is_table,
    ..READ
};

/// Whether a file, named in lower case, is a table with a sign between cells, which its lines tell.
fn is_table(name: &str) -> bool {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    [".csv", ".tsv", ".tab"].iter().any(|ending| name.ends_with(ending))
}
