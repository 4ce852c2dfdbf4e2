//! Weka's attribute–relation files: a head that declares the columns, then rows, dense or sparse
//! (`{1 3, 4 x}`), with commas or white space between cells.

use super::{Column, Kinds, Row, Table, text};
use anyhow::{Context, Result, bail, ensure};
use tensorfile::words::count;

/// Cells that sparse rows leave out, at most: each is held like one that is there.
const SPARSE_CELLS: usize = 1 << 22;

/// Reads a whole file.
pub(super) fn parse(bytes: &[u8]) -> Result<Table> {
    let (text, mut notes) = text::decoded(bytes)?;
    let mut columns: Vec<Column> = vec![];
    let (mut head, mut rows, mut weighed) = (true, vec![], 0);
    for (i, line) in text.lines().enumerate() {
        let (line, told) = (line.trim(), || format!("line {}", i + 1));
        let word = line.split_whitespace().next().unwrap_or_default().to_lowercase();
        match word.as_str() {
            "@attribute" if head => {
                let column = attribute(line["@attribute".len()..].trim()).with_context(told)?;
                let twice = columns.iter().any(|other| other.name == column.name);
                ensure!(!twice, "{}: two columns are named `{}`", told(), column.name);
                columns.push(column);
            }
            "@data" if head => head = false,
            "" | "@relation" if head => {}
            "" | "@end" if !head => {}
            comment if comment.starts_with('%') => {}
            _ if head => bail!("{}: `{word}` is none of @relation, @attribute, @data", told()),
            _ => {
                let (cells, weight) = row(line, &columns).with_context(told)?;
                weighed += usize::from(weight);
                rows.push(Row { line: i as u64 + 1, cells });
                let cells = rows.len() * columns.len();
                ensure!(
                    cells <= SPARSE_CELLS + bytes.len(),
                    "{}: the rows have more than {SPARSE_CELLS} cells, most of them left out; give the \
                     network fewer columns, or write the table densely",
                    told()
                );
            }
        }
    }
    ensure!(!head, "there is no line `@data`");
    let declared = count(columns.len(), "column");
    ensure!(columns.len() >= 2, "it declares {declared}; a label and a number are needed");
    if weighed > 0 {
        let rows = count(weighed, "row");
        notes.push(format!("the weights of {rows} are not used: every row counts once"));
    }
    Ok(Table { columns, rows, notes })
}

/// `NAME TYPE`, where the name may be quoted.
fn attribute(text: &str) -> Result<Column> {
    let told = || format!("`@attribute {text}` has no type");
    let (name, kind) = if text.starts_with(['\'', '"']) {
        let end = quoted_end(text).context("a quote is not closed")?;
        (unquoted(&text[..end]), &text[end..])
    } else {
        let end = text.find(|c: char| c.is_whitespace() || c == '{').with_context(told)?;
        (text[..end].to_owned(), &text[end..])
    };
    let kind = uncommented(kind).trim();
    ensure!(!kind.is_empty(), told());
    let kind = match kind.to_lowercase().as_str() {
        "numeric" | "real" | "integer" => Kinds::Any,
        "string" => Kinds::Text,
        date if date.starts_with("date") => Kinds::Text,
        "relational" => bail!("relational columns are not read"),
        _ => {
            let told =
                || format!("`{kind}` is none of numeric, real, integer, string, date, {{a, b}}");
            let words = kind.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            Kinds::Words(split(words.with_context(told)?)?)
        }
    };
    Ok(Column { name, kind })
}

/// The cells of a row, and whether a weight (`{5}`) stands behind them.
fn row(line: &str, columns: &[Column]) -> Result<(Vec<String>, bool)> {
    let line = uncommented(line).trim();
    let (line, weight) = match line.rfind('{').map(|place| line.split_at(place)) {
        Some((cells, weight)) if weight.ends_with('}') && !cells.trim().is_empty() => {
            // Within a sparse row or a quoted word it is no weight.
            let number = weight[1..weight.len() - 1].trim().parse::<f64>().is_ok();
            match number && outside(cells) {
                true => (cells.trim().trim_end_matches(',').trim(), true),
                false => (line, false),
            }
        }
        _ => (line, false),
    };
    if let Some(sparse) = line.strip_prefix('{') {
        let inside = sparse.strip_suffix('}').context("a brace is not closed")?;
        return Ok((self::sparse(inside, columns)?, weight));
    }
    let cells = split(line)?;
    let (found, wanted) = (cells.len(), columns.len());
    ensure!(
        found == wanted,
        "it has {}, where there are {}",
        count(found, "cell"),
        count(wanted, "column")
    );
    Ok((cells, weight))
}

/// `1 3, 4 x`: the other cells are 0, or the first word of their column.
fn sparse(inside: &str, columns: &[Column]) -> Result<Vec<String>> {
    let usual = |column: &Column| match &column.kind {
        Kinds::Words(words) => words.first().cloned().unwrap_or_default(),
        _ => "0".to_owned(),
    };
    let mut cells: Vec<Option<String>> = columns.iter().map(|_| None).collect();
    for pair in pieces(inside, &[','])?.into_iter().filter(|pair| !pair.is_empty()) {
        let told = || format!("`{pair}` is not a column's number and a value");
        let (place, value) = pair.split_once(char::is_whitespace).with_context(told)?;
        let place: usize = place.parse().ok().with_context(told)?;
        ensure!(!columns.is_empty(), "no column is declared before it");
        let last = columns.len() - 1;
        let cell = cells.get_mut(place);
        let cell = cell.with_context(|| format!("column {place}: columns are 0 to {last}"))?;
        ensure!(cell.is_none(), "the column {place} stands there twice");
        *cell = Some(unquoted(value.trim()));
    }
    let all = cells.into_iter().zip(columns);
    Ok(all.map(|(cell, column)| cell.unwrap_or_else(|| usual(column))).collect())
}

/// Words between commas; between white space where no comma stands outside quotes.
fn split(text: &str) -> Result<Vec<String>> {
    let mut found = pieces(text, &[','])?;
    if found.len() == 1 {
        found = pieces(text, &[' ', '\t'])?.into_iter().filter(|piece| !piece.is_empty()).collect();
    }
    Ok(found.into_iter().map(unquoted).collect())
}

/// What stands between `signs` outside quotes, without white space around it.
fn pieces<'a>(text: &'a str, signs: &[char]) -> Result<Vec<&'a str>> {
    let (mut found, mut from) = (vec![], 0);
    let open = scan(text, |place, c| {
        if signs.contains(&c) {
            found.push(text[from..place].trim());
            from = place + c.len_utf8();
        }
        true
    });
    ensure!(!open, "a quote is not closed");
    found.push(text[from..].trim());
    Ok(found)
}

/// Walks over what stands outside quotes while `each` says so; whether a quote is open at the end. A
/// quote opens where a word begins, so that `it's` has none.
fn scan(text: &str, mut each: impl FnMut(usize, char) -> bool) -> bool {
    let (mut open, mut escaped, mut before) = (None, false, ' ');
    for (place, c) in text.char_indices() {
        let begins = before.is_whitespace() || matches!(before, ',' | '{');
        match open {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(quote) if c == quote => open = None,
            Some(_) => {}
            None if begins && matches!(c, '\'' | '"') => open = Some(c),
            None => {
                if !each(place, c) {
                    return false;
                }
            }
        }
        before = c;
    }
    open.is_some()
}

/// Whether no quote is open behind `text`.
fn outside(text: &str) -> bool {
    !scan(text, |_, _| true)
}

/// Without the comment at its end: `%` outside quotes where a word would begin.
fn uncommented(line: &str) -> &str {
    let (mut end, mut before) = (line.len(), ' ');
    scan(line, |place, c| {
        if c == '%' && before.is_whitespace() {
            end = place;
        }
        before = c;
        end == line.len()
    });
    &line[..end]
}

/// The place behind the quoted word that `text` begins with.
fn quoted_end(text: &str) -> Option<usize> {
    let quote = text.chars().next()?;
    let mut escaped = false;
    for (place, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(place + c.len_utf8()),
            _ => {}
        }
    }
    None
}

/// A word without its quotes and with what its backslashes stand for.
fn unquoted(word: &str) -> String {
    let word = word.trim();
    let quote = word.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let inside = quote.and_then(|quote| word[1..].strip_suffix(quote));
    let Some(inside) = inside else { return word.to_owned() };
    let (mut text, mut chars) = (String::new(), inside.chars());
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                text.push(code.unwrap_or('\u{fffd}'));
            }
            Some(c) => text.push(c),
            None => text.push('\\'),
        }
    }
    text.trim().to_owned()
}
