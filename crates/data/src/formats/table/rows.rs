//! Which rows of a table are taken: a fifth, drawn by a seed, is for testing. A table other than
//! the one that a network was trained on has no rows for training: all are taken.

use super::{
    Table,
    cells::number,
    selection::{Rows, Selection},
};
use crate::{Options, Split, keyed};
use anyhow::{Result, ensure};
use md5::{Digest, Md5};
use rand::seq::SliceRandom;
use tensorfile::words::count;

/// Rows of a table.
pub(super) struct Part {
    /// Those that are taken.
    pub rows: Vec<usize>,
    /// Those for training.
    pub training: Vec<usize>,
    /// As an option says it: `split=0` or `rows=all`.
    pub setting: String,
    /// Whether all are taken.
    pub whole: bool,
}

/// Which rows a split has: a fifth, drawn by `seed`, is for testing.
pub(crate) fn rows_of(split: Split, n: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut keyed::generator(keyed::Purpose::Split, [seed, n as u64, 0]));
    let test = (n / 5).max(1);
    if split == Split::Train { order.split_off(test) } else { order[..test].to_vec() }
}

impl Table {
    /// The rows that `selection` and `options` ask for; `print` is the table's fingerprint.
    pub(super) fn part(
        &self,
        selection: &Selection,
        options: &Options,
        print: &str,
        notes: &mut Vec<String>,
    ) -> Result<Part> {
        let n = self.rows.len();
        let trained = options.features.as_ref().and_then(|features| features.table.as_ref());
        let before = trained.filter(|(other, _)| other == print).map(|(_, rows)| rows.as_str());
        let testing = options.split == Split::Test;
        let other = testing && trained.is_some() && before.is_none() && selection.split.is_none();
        if selection.rows.map_or(other, |rows| rows == Rows::All) {
            if other {
                notes.push(format!(
                    "every row is taken, {n} in all: the network was trained on another table (rows \
                     of it may be among these); `,rows=split` takes a fifth"
                ));
            } else if testing && before.is_some_and(|rows| rows != ALL) {
                notes.push(format!(
                    "every row is taken, {n} in all, those that the network was trained on among them"
                ));
            }
            let all = || (0..n).collect();
            return Ok(Part { rows: all(), training: all(), setting: ALL.into(), whole: true });
        }
        ensure!(n >= 2, "it has {}; training and testing need at least 2", count(n, "row"));
        let seed = selection.split.or(before.and_then(seed_of)).unwrap_or(0);
        let setting = format!("split={seed}");
        if let Some(rows) = before.filter(|rows| testing && *rows != setting) {
            ensure!(
                rows == ALL,
                "the network was trained on the rows that `{rows}` leaves of this table; those that \
                 `{setting}` draws for testing are among them"
            );
            notes.push("the network was trained on all rows of this table".into());
        }
        if testing && trained.is_some() && before.is_none() {
            notes.push(
                "the network was trained on another table: rows of this part may be among those"
                    .into(),
            );
        }
        let [training, rows] = [Split::Train, options.split].map(|split| rows_of(split, n, seed));
        Ok(Part { rows, training, setting, whole: false })
    }

    /// A fingerprint of the numbers in these columns, whatever their order and spelling in the file.
    pub(super) fn fingerprint(&self, columns: &[usize]) -> String {
        let mut hash = Md5::new();
        for row in &self.rows {
            for &column in columns {
                hash.update(number(&row.cells[column]).unwrap_or(f64::INFINITY).to_le_bytes());
            }
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The option that takes all rows.
const ALL: &str = "rows=all";

fn seed_of(setting: &str) -> Option<u64> {
    setting.strip_prefix("split=")?.parse().ok()
}
