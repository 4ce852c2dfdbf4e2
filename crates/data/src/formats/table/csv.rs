//! Comma-separated values with a line of names: RFC 4180, also with semicolons, tabs or bars, with
//! decimal commas, comments, and the unnamed column of row names that pandas and R write.

use super::{Column, Kinds, Row, Table, cells, text};
use anyhow::{Context, Result, bail, ensure};
use tensorfile::words::count;

/// Lines from which the sign between cells is told.
const LOOKED_AT: usize = 100;

/// Reads a whole file.
pub(super) fn parse(bytes: &[u8]) -> Result<Table> {
    let (text, mut notes) = text::decoded(bytes)?;
    let delimiter = delimiter(&text);
    let mut rows = records(&text, delimiter)?;
    let header = header(&mut rows, &mut notes).context("it has no line of names")?;
    ensure!(
        header.cells.len() >= 2,
        "line {} names one column alone; a label and a number are needed",
        header.line
    );
    without_comments(&mut rows, header.cells.len(), &mut notes)?;
    if delimiter != b',' {
        decimal_commas(&mut rows, &mut notes)?;
    }
    let named = |name: String| Column { name, kind: Kinds::Any };
    let columns = header.cells.into_iter().map(named).collect();
    let mut table = Table { columns, rows, notes };
    let line = format!("line {}", header.line);
    without_unnamed(&mut table, &line)?;
    check_names(&mut table, &line)?;
    Ok(table)
}

/// Cells of each line.
fn records(text: &str, delimiter: u8) -> Result<Vec<Row>> {
    let reader = ::csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .trim(::csv::Trim::All)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let row = |record: ::csv::Result<::csv::StringRecord>| {
        let record = record?;
        let line = record.position().map_or(0, ::csv::Position::line);
        Ok(Row { line, cells: record.iter().map(str::to_owned).collect() })
    };
    let rows: Result<Vec<Row>> = reader.into_records().map(row).collect();
    Ok(rows?.into_iter().filter(|row| row.cells.iter().any(|cell| !cell.is_empty())).collect())
}

fn is_comment(row: &Row) -> bool {
    row.cells[0].starts_with('#')
}

/// Takes the line of names out, and what stands before it. A name may begin with `#`, as numpy
/// writes it, where the line has as many cells as the next one that does not.
fn header(rows: &mut Vec<Row>, notes: &mut Vec<String>) -> Option<Row> {
    if rows.first()?.cells[0].to_lowercase().starts_with("sep=") {
        rows.remove(0);
    }
    let width = rows.iter().find(|row| !is_comment(row)).map(|row| row.cells.len());
    let is_header =
        |row: &Row| !is_comment(row) || row.cells.len() > 1 && Some(row.cells.len()) == width;
    let place = rows.iter().position(is_header)?;
    let mut header = rows.drain(..=place).next_back()?;
    if is_comment(&header) {
        header.cells[0] = header.cells[0].trim_start_matches('#').trim().to_owned();
        notes.push(format!("line {} begins with `#` and is taken for the names", header.line));
    }
    if place > 0 {
        notes.push(format!("left out before the names: {}", count(place, "comment")));
    }
    Some(header)
}

/// Leaves out comments. Errors: another line with more or fewer cells than there are columns.
fn without_comments(rows: &mut Vec<Row>, width: usize, notes: &mut Vec<String>) -> Result<()> {
    let before = rows.len();
    rows.retain(|row| row.cells.len() == width || !is_comment(row));
    let left_out = before - rows.len();
    if left_out > 0 {
        notes.push(format!("left out between the rows: {}", count(left_out, "comment")));
    }
    match rows.iter().find(|row| row.cells.len() != width) {
        Some(Row { line, cells }) => {
            bail!(
                "line {line} has {}, where there are {}",
                count(cells.len(), "cell"),
                count(width, "column")
            )
        }
        None => Ok(()),
    }
}

/// Writes `1,5` as `1.5` where all numbers of the file that are not whole have commas. Errors: every
/// such comma may as well stand between thousands.
fn decimal_commas(rows: &mut [Row], notes: &mut Vec<String>) -> Result<()> {
    let all = || rows.iter().flat_map(|row| row.cells.iter().map(|cell| (row.line, cell)));
    let comma = |cell: &str| cells::with_point(cell).is_some();
    let points = all().any(|(_, cell)| cell.contains('.') && cells::number(cell).is_some());
    let Some((line, first)) = all().find(|(_, cell)| comma(cell)).filter(|_| !points) else {
        return Ok(());
    };
    let clear = all().any(|(_, cell)| comma(cell) && !cells::may_be_thousands(cell));
    ensure!(
        clear,
        "line {line}: `{first}` may be {} or {}: write decimal points, or no sign between \
         thousands",
        first.replace(',', "."),
        first.replace(',', "")
    );
    notes.push(format!("its numbers have decimal commas, such as `{first}` in line {line}"));
    for cell in rows.iter_mut().flat_map(|row| &mut row.cells) {
        if let Some(point) = cells::with_point(cell) {
            *cell = point;
        }
    }
    Ok(())
}

/// Leaves out a column without a name that numbers or names the rows, or holds nothing. Errors:
/// another one without a name.
fn without_unnamed(table: &mut Table, line: &str) -> Result<()> {
    let count = table.columns.len();
    for c in (0..count).rev() {
        let name = table.columns[c].name.clone();
        let first = c == 0 && (name.is_empty() || name.starts_with("Unnamed:"));
        let empty = name.is_empty() && table.cells(c).all(|(_, cell)| cell.is_empty());
        if first && counts_rows(table, c) || empty {
            let what = if empty { "is empty" } else { "numbers the rows" };
            table.notes.push(format!("the column {}, without a name, {what}: left out", c + 1));
            table.columns.remove(c);
            table.rows.iter_mut().for_each(|row| drop(row.cells.remove(c)));
        } else {
            ensure!(!name.is_empty(), "{line}: the column {} has no name", c + 1);
        }
    }
    Ok(())
}

/// Whether every cell is another whole number, or another word.
fn counts_rows(table: &Table, column: usize) -> bool {
    let mut found: Vec<&str> = table.cells(column).map(|(_, cell)| cell).collect();
    let whole = found.iter().all(|cell| cell.parse::<u64>().is_ok());
    let words = found.iter().all(|cell| cells::number(cell).is_none() && !cell.is_empty());
    let count = found.len();
    found.sort_unstable();
    found.dedup();
    (whole || words) && found.len() == count
}

/// Errors: two columns of one name; a first line that is a row.
fn check_names(table: &mut Table, line: &str) -> Result<()> {
    let names: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
    let hint = "it must name the columns: put a line of names first";
    let is_number = |name: &String| cells::number(name).is_some();
    ensure!(!names.iter().all(is_number), "{line} holds numbers; {hint}");
    let holds_numbers = |c: &usize| {
        let mut present = table.cells(*c).filter(|(_, cell)| !cells::is_missing(cell)).peekable();
        present.peek().is_some() && present.all(|(_, cell)| cells::number(cell).is_some())
    };
    let (numbers, words): (Vec<usize>, Vec<usize>) = (0..names.len()).partition(holds_numbers);
    let numbered: Vec<&String> = numbers.iter().map(|&c| &names[c]).collect();
    let like_a_row = |name: &&String| is_number(name) || cells::is_missing(name);
    if numbered.iter().all(like_a_row) && numbered.iter().any(|name| is_number(name)) {
        let again = words.iter().find(|&&c| table.cells(c).any(|(_, cell)| *cell == names[c]));
        let (first, numbered) = (numbered[0], crate::names::few(numbered.iter().copied()));
        if let Some(&c) = again {
            let word = &names[c];
            bail!(
                "{line} is a row: `{first}` stands above numbers, `{word}` in other rows; {hint}"
            );
        }
        table.notes.push(format!("the names of its columns of numbers are numbers: {numbered}"));
    }
    let twice = (0..names.len()).find(|&c| names[..c].contains(&names[c]));
    match twice {
        Some(c) => bail!("{line}: two columns are named `{}`", names[c]),
        None => Ok(()),
    }
}

/// The sign between cells: one that the first lines have equally many of, outside quotes; else the
/// one that the first line has most of.
fn delimiter(text: &str) -> u8 {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let lines: Vec<&str> = lines.take(LOOKED_AT).collect();
    let Some(first) = lines.first() else { return b',' };
    if let Some(sign) = first.to_lowercase().strip_prefix("sep=").and_then(|s| s.bytes().next()) {
        return sign;
    }
    let count = |line: &str, sign: u8| {
        let mut quoted = false;
        let outside = line.bytes().filter(|&b| {
            quoted ^= b == b'"';
            !quoted && b == sign
        });
        outside.count()
    };
    let even = |sign: &u8| {
        let wanted = count(first, *sign);
        wanted > 0 && lines.iter().all(|line| count(line, *sign) == wanted)
    };
    let signs = [b'\t', b';', b'|', b','];
    // The last of several maxima: a comma.
    let most = || signs.into_iter().max_by_key(|sign| count(first, *sign));
    signs.into_iter().find(even).or_else(most).unwrap_or(b',')
}
