//! A query over rows: which quantities, and which keys say of what a table, a line and a column is.

use crate::{QUANTITY, Row, Table};

/// What is asked of rows. A quantity is a key like every other: it may stand down the side or across.
#[derive(Clone, Copy, Debug, Default)]
pub struct Query<'q> {
    /// Quantities in the order of the table; others are left out. Empty: all, as they are found.
    pub quantities: &'q [&'q str],
    /// A table for each combination of values of these keys.
    pub each: &'q [&'q str],
    /// A line for each combination of values of these keys.
    pub down: &'q [&'q str],
    /// A column for each combination of values of these keys.
    pub across: &'q [&'q str],
}

/// The answer: rows in lines and columns.
#[derive(Clone, Debug)]
pub struct Grid<'a> {
    /// The values of [`Query::each`].
    pub of: Vec<&'a str>,
    /// The values of [`Query::across`], a column each.
    pub columns: Vec<Vec<&'a str>>,
    /// Lines in the order of their first rows.
    pub lines: Vec<Line<'a>>,
}

/// A line of a [`Grid`].
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// The values of [`Query::down`].
    pub head: Vec<&'a str>,
    /// A cell for each column; none where no row has the keys of both.
    pub cells: Vec<Option<&'a Row>>,
}

impl Query<'_> {
    /// The rows as grids. A value of a key that a row does not have is empty. No row is lost: a second
    /// one with the same keys has a line of its own below the first.
    pub fn of<'a>(&self, rows: impl IntoIterator<Item = &'a Row>) -> Vec<Grid<'a>> {
        let mut grids: Vec<Grid> = vec![];
        let asked = |row: &&Row| self.quantities.is_empty() || self.place(row.quantity()).is_some();
        for row in rows.into_iter().filter(asked) {
            let of = values(row, self.each);
            let at = grids.iter().position(|grid| grid.of == of).unwrap_or_else(|| {
                grids.push(Grid { of, columns: vec![], lines: vec![] });
                grids.len() - 1
            });
            grids[at].add(row, values(row, self.down), values(row, self.across));
        }
        grids.iter_mut().for_each(|grid| self.sort(grid));
        grids.sort_by_key(|grid| self.place_in(self.each, &grid.of));
        grids
    }

    fn place(&self, quantity: &str) -> Option<usize> {
        self.quantities.iter().position(|name| *name == quantity)
    }

    /// The place of the quantity among the values of `keys`; none where it is no key of them.
    fn place_in(&self, keys: &[&str], values: &[&str]) -> Option<usize> {
        keys.iter().position(|key| *key == QUANTITY).and_then(|at| self.place(values[at]))
    }

    /// Lines or columns in the order of the quantities, whichever these are.
    fn sort(&self, grid: &mut Grid) {
        grid.lines.sort_by_key(|line| self.place_in(self.down, &line.head));
        let mut order: Vec<usize> = (0..grid.columns.len()).collect();
        order.sort_by_key(|&i| self.place_in(self.across, &grid.columns[i]));
        grid.columns = order.iter().map(|&i| grid.columns[i].clone()).collect();
        for line in &mut grid.lines {
            line.cells = order.iter().map(|&i| line.cells[i]).collect();
        }
    }
}

impl<'a> Grid<'a> {
    fn add(&mut self, row: &'a Row, down: Vec<&'a str>, across: Vec<&'a str>) {
        let column = self.columns.iter().position(|values| *values == across);
        let column = column.unwrap_or_else(|| {
            self.columns.push(across);
            self.lines.iter_mut().for_each(|line| line.cells.push(None));
            self.columns.len() - 1
        });
        let mut lines = self.lines.iter_mut();
        match lines.find(|line| line.head == down && line.cells[column].is_none()) {
            Some(line) => line.cells[column] = Some(row),
            None => {
                let mut cells = vec![None; self.columns.len()];
                cells[column] = Some(row);
                let same = self.lines.iter().rposition(|line| line.head == down);
                let place = same.map_or(self.lines.len(), |place| place + 1);
                self.lines.insert(place, Line { head: down, cells });
            }
        }
    }

    /// The cells of a column.
    pub fn column(&self, column: usize) -> impl Iterator<Item = &'a Row> {
        self.lines.iter().filter_map(move |line| line.cells[column])
    }
}

fn values<'a>(row: &'a Row, keys: &[&str]) -> Vec<&'a str> {
    keys.iter().map(|key| row.key(key)).collect()
}

impl Table {
    /// The keys of rows beside the quantity, those that every row has with the same value first: these
    /// say of what the whole table is, the others tell rows apart.
    pub fn keys(&self) -> (Vec<&str>, Vec<&str>) {
        let mut names: Vec<&str> = vec![];
        for key in self.rows.iter().flat_map(|row| row.keys.keys()).map(String::as_str) {
            if key != QUANTITY && !names.contains(&key) {
                names.push(key);
            }
        }
        let first = self.rows.first();
        let same = |key: &&str| {
            let value = first.and_then(|row| row.keys.get(*key));
            self.rows.iter().all(|row| row.keys.get(*key) == value)
        };
        names.into_iter().partition(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Number, keys};

    fn table() -> Table {
        let mut table = Table::default();
        for (model, shift) in [("a", 0.), ("b", 1.)] {
            for (method, value) in [("gxi", 0.25), ("ig", 0.5)] {
                let of = keys([("data", "shapes"), ("model", model), ("method", method)]);
                table.push(&of, "mass", Number::exact(value + shift));
                table.push(&of, "rank", Number::exact(value - shift));
            }
        }
        table
    }

    fn means(grid: &Grid) -> Vec<Vec<Option<f64>>> {
        let mean = |cell: &Option<&Row>| cell.and_then(|row| row.number.mean);
        grid.lines.iter().map(|line| line.cells.iter().map(mean).collect()).collect()
    }

    #[test]
    fn a_quantity_is_a_key_like_others() {
        let table = table();
        let query = Query { each: &["model"], down: &[QUANTITY], across: &["method"], ..TWO };
        let grids = query.of(&table.rows);
        assert_eq!([&grids[0].of, &grids[1].of], [&vec!["a"], &vec!["b"]]);
        assert_eq!(grids[1].columns, [["gxi"], ["ig"]]);
        assert_eq!(grids[1].lines[0].head, ["rank"], "the order is the query's");
        assert_eq!(means(&grids[1]), [[Some(-0.75), Some(-0.5)], [Some(1.25), Some(1.5)]]);
        let one = Query { quantities: &["mass"], down: &["model", "method"], ..Query::default() };
        assert_eq!(one.of(&table.rows)[0].lines.len(), 4);
        assert_eq!(one.of(&table.rows)[0].column(0).count(), 4);
    }

    const TWO: Query = Query { quantities: &["rank", "mass"], each: &[], down: &[], across: &[] };

    /// A line that has no row of the first quantity keeps its place.
    #[test]
    fn lines_are_in_the_order_of_their_first_rows() {
        let mut table = Table::default();
        table.push(&keys([("model", "a")]), "rank", Number::exact(1.));
        table.push(&keys([("model", "b")]), "rank", Number::exact(2.));
        table.push(&keys([("model", "b")]), "mass", Number::exact(3.));
        let query = Query {
            quantities: &["mass", "rank"],
            down: &["model"],
            across: &[QUANTITY],
            each: &[],
        };
        let grid = &query.of(&table.rows)[0];
        assert_eq!(grid.columns, [["mass"], ["rank"]]);
        assert_eq!(grid.lines.iter().map(|line| line.head[0]).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(means(grid), [[None, Some(1.)], [Some(3.), Some(2.)]]);
    }

    #[test]
    fn no_row_is_lost() {
        let mut table = table();
        table.push(&keys([("model", "a")]), "mass", Number::exact(7.));
        let query = Query { down: &["model"], across: &["method", QUANTITY], ..Query::default() };
        let grids = query.of(&table.rows);
        // A row without a method has a column of its own, and empty cells elsewhere.
        assert_eq!(grids[0].columns.last(), Some(&vec!["", "mass"]));
        assert_eq!(means(&grids[0])[1].last(), Some(&None));
        let query = Query { down: &["model"], across: &[QUANTITY], ..Query::default() };
        let grid = &query.of(&table.rows)[0];
        let found: Vec<f64> = means(grid).into_iter().flatten().flatten().collect();
        assert_eq!(found, [0.25, 0.25, 0.5, 0.5, 7., 1.25, -0.75, 1.5, -0.5]);
    }

    #[test]
    fn keys_that_are_the_same_everywhere_are_told_apart() {
        let table = table();
        assert_eq!(table.keys(), (vec!["data"], vec!["method", "model"]));
        assert_eq!(Table::default().keys(), (vec![], vec![]));
    }
}
