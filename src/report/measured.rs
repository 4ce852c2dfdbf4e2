//! Measured explanations: a table a model, its numbers by its methods, and what each number is.

use super::Inputs;
use super::html::{UNCHECKED, list, scrolling, text};
use crate::results::{MeasureResult, MeasuredColumn, MeasuredRow, UNDEFINED};
use tensorfile::words::count;

const NOTE: &str = "Means over images with 95 % intervals, Wilson's of shares and by bootstrap of others; ↑ higher is better, ↓ lower. The \
                    best mean of a line is bold, that of the control `random` left out. Intervals that overlap do not tell methods apart. Images where a number is \
                    undefined or infinite are counted and in no mean.";

/// The section of the page; empty without a measurement.
pub(super) fn section(inputs: &Inputs) -> String {
    if inputs.measures.is_empty() {
        return String::new();
    }
    let each: String = inputs.measures.iter().map(|found| one(&found.result)).collect();
    format!("<p class=\"note\">{NOTE}</p>{each}")
}

fn one(result: &MeasureResult) -> String {
    let words = |key: &str| result.settings.get(key).and_then(|v| v.as_str()).unwrap_or("–");
    let mut settings = format!("class {}, score {}", words("target"), words("score"));
    if result.settings.contains_key("attack") {
        settings += &format!(", attack {} within {}", words("attack"), words("eps"));
    }
    let tables: String = (0..result.models.len()).map(|model| table(result, model)).collect();
    let about: String = result
        .columns
        .iter()
        .map(|c| format!("<dt>{}</dt><dd>{}</dd>", text(&c.key), text(&c.about)))
        .collect();
    format!(
        "<p>{} of {}; {}.</p>{tables}{}<dl>{about}</dl>\n",
        count(result.images, "image"),
        text(&result.data),
        text(&settings),
        ranks(result)
    )
}

fn table(result: &MeasureResult, model: usize) -> String {
    let rows: Vec<&MeasuredRow> = result.measured.iter().filter(|row| row.model == model).collect();
    let head: String =
        rows.iter().map(|row| format!("<th scope=\"col\">{}</th>", text(&row.method))).collect();
    let lines: String = result.columns.iter().map(|column| line(column, &rows)).collect();
    let name = &result.models[model].name;
    let empty: Vec<String> = rows
        .iter()
        .filter(|row| row.empty_maps > 0)
        .map(|row| format!("{} by {}", count(row.empty_maps as usize, "image"), row.method))
        .collect();
    let warning = match empty.is_empty() {
        true => String::new(),
        false => format!("<p>No map, zero everywhere: {}.</p>", text(&list(&empty))),
    };
    let table = format!(
        "<table class=\"measured\"><caption>{}</caption><thead><tr><th></th>{head}</tr></thead>\
         <tbody>{lines}</tbody></table>",
        text(name)
    );
    let checked = rows.iter().all(|row| row.checked());
    let old = if checked { String::new() } else { format!("<p>{UNCHECKED}</p>") };
    scrolling(name, &table) + &warning + &old
}

fn line(column: &MeasuredColumn, rows: &[&MeasuredRow]) -> String {
    let judged = rows.iter().filter(|row| row.method != "random");
    let means: Vec<f64> = judged.filter_map(|row| row.values[&column.key].mean).collect();
    let best = column.better().best(means.iter().copied());
    let differ = means.iter().any(|mean| *mean != means[0]);
    let cell = |row: &&MeasuredRow| {
        let value = &row.values[&column.key];
        let shown = text(&value.shown());
        match differ && value.mean == best && row.method != "random" {
            true => format!("<td><strong>{shown}</strong></td>"),
            false => format!("<td>{shown}</td>"),
        }
    };
    let cells: String = rows.iter().map(cell).collect();
    let arrow = column.better().arrow();
    format!("<tr><th scope=\"row\">{} {arrow}</th>{cells}</tr>", text(&column.key))
}

fn ranks(result: &MeasureResult) -> String {
    if result.rank_correlation.is_empty() {
        return String::new();
    }
    let shown = |rho: &Option<f64>| rho.map_or(UNDEFINED.into(), |rho| format!("{rho:.2}"));
    let each = result.rank_correlation.iter().map(|(m, rho)| format!("{m} {}", shown(rho)));
    format!(
        "<p>Rank correlation over models of how steep the score is and how steep the maps are: {}.</p>",
        text(&list(&each.collect::<Vec<_>>()))
    )
}
