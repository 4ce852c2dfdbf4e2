//! The column of a table that holds the class of each row.

use super::{
    Kinds, Table,
    cells::{is_blank, is_missing, number},
};
use anyhow::{Context, Result, bail, ensure};
use tensorfile::words::count;

/// A label with more values than this is a number to be predicted, not a class.
const MOST_CLASSES: usize = 1000;
/// So is one with more values than this, if most rows have their own.
const FEW_CLASSES: usize = 20;

impl Table {
    /// The names of the classes, as declared or sorted (by value, if they are numbers), and that of
    /// each row. A table for a network that knows its classes may hold one class alone.
    pub(super) fn classes(
        &self,
        label: usize,
        known: bool,
        notes: &mut Vec<String>,
    ) -> Result<(Vec<String>, Vec<i64>)> {
        let name = &self.columns[label].name;
        let words = self.cells(label).filter(|(_, cell)| !is_missing(cell));
        let numbers = words.clone().all(|(_, cell)| number(cell).is_some());
        let numbers = numbers && words.count() > 0;
        let is_nothing = if numbers { is_missing } else { is_blank };
        let mut unlabelled = self.cells(label).filter(|(_, cell)| is_nothing(cell));
        if let Some((line, _)) = unlabelled.next() {
            bail!(
                "line {line}: no value in the label column `{name}` ({} of {} without one): take such \
                 rows out of the file, or name another column with `--label-column`",
                1 + unlabelled.count(),
                count(self.rows.len(), "row")
            );
        }
        let classes = match &self.columns[label].kind {
            Kinds::Words(words) => words.clone(),
            _ => self.found(label, numbers, notes),
        };
        if !numbers {
            notes.extend(crate::names::twins(&classes));
        }
        if !matches!(self.columns[label].kind, Kinds::Words(_)) {
            self.check_count(label, &classes, known)?;
        }
        let class = |(line, cell): (u64, &str)| {
            let same = |class: &String| class == cell || numbers && number(class) == number(cell);
            let exact = classes.iter().position(|class| class == cell);
            let place = exact.or_else(|| classes.iter().position(same));
            let told = || format!("line {line}: `{cell}` is not a value of the label `{name}`");
            Ok(place.with_context(told)? as i64)
        };
        let labels: Result<Vec<i64>> = self.cells(label).map(class).collect();
        Ok((classes, labels?))
    }

    /// Every value once; of numbers that are equal, such as 0 and 0.0, the shortest.
    fn found(&self, label: usize, numbers: bool, notes: &mut Vec<String>) -> Vec<String> {
        let mut found: Vec<&str> = self.cells(label).map(|(_, cell)| cell).collect();
        let value = |cell: &str| number(cell).unwrap_or(f64::INFINITY);
        let order = |a: &&str, b: &&str| value(a).total_cmp(&value(b));
        let length = |word: &str| if numbers { word.len() } else { 0 };
        found.sort_by(|a, b| order(a, b).then(length(a).cmp(&length(b))).then(a.cmp(b)));
        found.dedup();
        if numbers {
            found.dedup_by(|again, kept| {
                let same = value(again) == value(kept);
                if same {
                    notes.push(format!("the label `{again}` is taken for the class `{kept}`"));
                }
                same
            });
        }
        found.into_iter().map(str::to_owned).collect()
    }

    /// Errors: one class alone, or so many that they are none.
    fn check_count(&self, label: usize, classes: &[String], known: bool) -> Result<()> {
        let (name, n, rows) = (&self.columns[label].name, classes.len(), self.rows.len());
        let hint = "name another with `--label-column`";
        ensure!(known || n >= 2, "the label column `{name}` has one value alone; {hint}");
        ensure!(
            n <= MOST_CLASSES,
            "the label column `{name}` has {n} values, more than {MOST_CLASSES}; {hint}"
        );
        let own = n > 2 && 2 * n > rows;
        let broken = |class: &&String| number(class).is_some_and(|value| value.fract() != 0.);
        let broken = classes.iter().find(broken);
        if let Some(value) = broken.filter(|_| own || n > FEW_CLASSES) {
            bail!(
                "the label column `{name}` has {n} values in {rows} rows, such as `{value}`: a \
                 measurement, not a class; {hint}"
            );
        }
        ensure!(
            !own || n <= FEW_CLASSES,
            "the label column `{name}` has {n} values in {rows} rows, too many for classes; \
             {hint}"
        );
        Ok(())
    }
}
