//! All images of attacks and explanations with what is known of each: a table that the page's script
//! sorts, filters, enlarges and saves.

use crate::report::{
    Found, Inputs, Shown, Wall,
    html::{column, image, number, relative, scrolling},
};
use anyhow::Result;
use maud::{Markup, html};
use plot::{Picture, Scale};
use std::collections::BTreeMap;
use std::path::Path;

/// The tables of the images, one for attacks and one for explanations; empty if no result kept any.
pub(in crate::report) fn section(inputs: &Inputs, dir: &Path) -> Result<Markup> {
    let kinds = ["attack", "explain"].map(|kind| {
        let found = inputs.of(kind);
        found.flat_map(|found| found.walls.iter().map(move |wall| (found, wall))).collect()
    });
    let all: Vec<&(&Found, &Wall)> = kinds.iter().flatten().collect();
    if all.is_empty() {
        return Ok(html! {});
    }
    let pictures = all.iter().flat_map(|(_, wall)| &wall.rows).flat_map(|row| &row.pictures);
    let scales = Scale::owed(pictures.map(|(_, picture)| picture.scale));
    let tables = kinds.iter().map(|walls: &Vec<_>| table(walls, dir));
    let tables = tables.collect::<Result<Vec<_>>>()?;
    Ok(html! {
        p class="note" {
            "All images of each run; none is picked. A map is clipped at its own 99th percentile (p99). \
             A click on a picture enlarges its row, a click on the head of a column sorts; under the \
             mouse a map tells its numbers."
        }
        @for scale in scales { (bar(scale)?) }
        @for table in tables { (table) }
    })
}

/// What the colours of a scale mean.
fn bar(scale: Scale) -> Result<Markup> {
    let alt = format!("{} scale", scale.name());
    let bar = image(&Picture::colour_bar(scale, 160, 10), &alt, 160)?;
    let low = if scale.lowest() < 0. { "−p99" } else { "0" };
    Ok(html! {
        p class="scale" { span { (low) } (bar) span { "p99" } span { (scale.about()) } }
    })
}

/// Longest side of pictures where there are so many images.
fn side(rows: usize) -> usize {
    match rows {
        0..=60 => 160,
        61..=300 => 96,
        _ => 64,
    }
}

fn table(walls: &[(&Found, &Wall)], dir: &Path) -> Result<Markup> {
    let rows = || walls.iter().flat_map(|(_, wall)| &wall.rows);
    let Some(first) = rows().next() else { return Ok(html! {}) };
    let mut names: Vec<&str> = vec![];
    for (name, _) in rows().flat_map(|row| &row.numbers) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let attacks = !first.success.is_empty();
    let side = side(rows().count());
    let mut lines = vec![];
    for (found, wall) in walls {
        for row in &wall.rows {
            lines.push(line((found, wall), row, &names, (side, dir))?);
        }
    }
    let words = ["success", "label", "class", "method", "ε", "model"];
    let words = words.into_iter().filter(|word| attacks || !["ε", "success"].contains(word));
    let made = html! {
        table class="images sortable" {
            thead { tr {
                (column("image"))
                @for (title, _) in &first.pictures { th scope="col" class="picture" { (title) } }
                @for name in &names { (column(name)) }
                @for word in words { (column(word)) }
            } }
            tbody { @for line in lines { (line) } }
        }
    };
    let what = if attacks { "attacked images" } else { "explained images" };
    Ok(html! {
        div class="gallery" data-name=(what.replace(' ', "-")) {
            h3 { (what) }
            (scrolling(what, &made))
        }
    })
}

fn line(
    (found, wall): (&Found, &Wall),
    row: &Shown,
    names: &[&str],
    (side, dir): (usize, &Path),
) -> Result<Markup> {
    let model = found.record.models.first().map_or("", |card| &card.name);
    let file = relative(&wall.file, dir).display().to_string();
    let known: BTreeMap<&str, f64> = row.numbers.iter().map(|(n, v)| (n.as_str(), *v)).collect();
    let what = format!("image {}, {}", row.index, row.class);
    let pictures = row
        .pictures
        .iter()
        .map(|(title, picture)| Ok((*title, image(picture, &format!("{title}: {what}"), side)?)));
    let pictures = pictures.collect::<Result<Vec<_>>>()?;
    let attack = !row.success.is_empty();
    Ok(html! {
        tr data-model=(model) data-method=(wall.method) data-eps=(wall.eps) data-label=(row.label)
            data-class=(row.class) data-success=(row.success) data-file=(file) data-index=(row.index) {
            th scope="row" data-v=(row.index) { (row.index) }
            @for (title, picture) in pictures {
                td class="picture" {
                    button type="button" class="zoom" data-title=(title) { (picture) }
                }
            }
            @for name in names {
                @match known.get(name) {
                    Some(value) if value.is_finite() => td data-v=(value) { (number(*value)) },
                    Some(value) => td { (number(*value)) },
                    None => td { "–" },
                }
            }
            @if attack { td { (row.success) } }
            td class="word" { (row.label) }
            td class="word" { (row.class) }
            td class="word" { (wall.method) }
            @if attack { td { (wall.eps) } }
            td class="word" { (model) }
        }
    })
}
