//! The column of a table that holds the class of each row.

use super::{
    Kinds, Table,
    cells::{is_blank, is_missing, number},
};
use anyhow::{Context, Result, bail, ensure};

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
        if let Some((line, _)) = self.cells(label).find(|(_, cell)| is_nothing(cell)) {
            bail!("line {line}: no value in the label column `{name}`");
        }
        let classes = match &self.columns[label].kind {
            Kinds::Words(words) => words.clone(),
            _ => self.found(label, numbers, notes),
        };
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
        let (name, count, rows) = (&self.columns[label].name, classes.len(), self.rows.len());
        let hint = "name another with `--label-column`";
        ensure!(known || count >= 2, "the label column `{name}` has one value alone; {hint}");
        ensure!(
            count <= MOST_CLASSES,
            "the label column `{name}` has {count} values, more than {MOST_CLASSES}; {hint}"
        );
        let own = count > 2 && 2 * count > rows;
        let broken = |class: &&String| number(class).is_some_and(|value| value.fract() != 0.);
        let broken = classes.iter().find(broken);
        if let Some(value) = broken.filter(|_| own || count > FEW_CLASSES) {
            bail!(
                "the label column `{name}` has {count} values in {rows} rows, such as `{value}`: a \
                 measurement, not a class; {hint}"
            );
        }
        ensure!(
            !own || count <= FEW_CLASSES,
            "the label column `{name}` has {count} values in {rows} rows, too many for classes; \
             {hint}"
        );
        Ok(())
    }
}
