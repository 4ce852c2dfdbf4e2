//! What a result of a known kind has to have, beyond its form.

use super::{Attacked, Matrix};
use ::results::{Keys, QUANTITY, Record, keys};
use anyhow::{Result, ensure};

/// Errors: an attack with shares or radii out of range or in disorder, a transfer without a cell, a
/// measurement without a number of every quantity. Nothing is said of kinds that it does not know.
pub fn check(record: &Record) -> Result<()> {
    match record.kind.as_str() {
        "attack" => attack(record),
        "transfer" => transfer(record),
        "measure" => measure(record),
        _ => Ok(()),
    }
}

fn attack(record: &Record) -> Result<()> {
    let all = Attacked::of(record, &Keys::new());
    ensure!(record.models.len() == 1, "it is of {} models, not of one", record.models.len());
    let accuracy = record.rows.only(&keys([(QUANTITY, "accuracy")]))?;
    for row in record.rows.rows.iter().filter(|row| row.quantity() == "success").chain([accuracy]) {
        let (name, share) = (row.quantity(), row.number.mean.unwrap_or(0.));
        ensure!((0.0..=1.0).contains(&share), "`{name}` is {share}, which is not in [0, 1]");
    }
    let radii = all.radii();
    ensure!(!radii.is_empty(), "it has no radius, no row with the key `eps`");
    for (eps, label) in &radii {
        ensure!(*eps >= 0., "the radius `{label}` is {eps}");
    }
    let ascending = radii.windows(2).all(|pair| pair[0].0 < pair[1].0);
    ensure!(ascending, "its radii are not in ascending order");
    Ok(())
}

fn transfer(record: &Record) -> Result<()> {
    let matrix = Matrix::of(record);
    ensure!(!matrix.sources.is_empty(), "it has no row or no column");
    let known = |name: &str| record.models.iter().any(|card| card.name == name);
    let mut maps = matrix.sources.iter().chain(&matrix.targets);
    ensure!(
        maps.all(|[model, _]| known(model)),
        "its rows and columns are not those of its {} models",
        record.models.len()
    );
    for (row, from) in matrix.sources.iter().enumerate() {
        for (column, to) in matrix.targets.iter().enumerate() {
            let there = !matrix.cell(*from, *to).radii().is_empty();
            ensure!(there, "the cell of row {row} and column {column} is not there");
        }
    }
    Ok(())
}

fn measure(record: &Record) -> Result<()> {
    let rows = &record.rows;
    let measured = || rows.rows.iter().filter(|row| row.keys.contains_key("metric"));
    for row in rows.rows.iter().filter(|row| row.keys.contains_key("model")) {
        let (model, method) = (row.key("model"), row.key("method"));
        let known = record.models.iter().any(|card| card.name == model);
        ensure!(
            known,
            "a row of `{method}` is of a model `{model}`, which is not among its models"
        );
    }
    let maps = |row: &'_ results::Row| [row.key("model").to_owned(), row.key("method").to_owned()];
    let mut all: Vec<[String; 2]> = vec![];
    for row in measured() {
        if !all.contains(&maps(row)) {
            all.push(maps(row));
        }
    }
    for quantity in record.quantities.iter().map(|q| q.name.as_str()) {
        let mut own = measured().filter(|row| row.quantity() == quantity).peekable();
        if own.peek().is_none() {
            continue; // of no metric
        }
        let own: Vec<_> = own.map(maps).collect();
        for of in &all {
            ensure!(own.contains(of), "a row of `{}` has no `{quantity}`", of[1]);
        }
    }
    Ok(())
}
