//! The pictures of attacked images and their maps.

use crate::report::{
    Wall,
    group::Group,
    html::{column, image},
};
use anyhow::Result;
use maud::{Markup, html};
use plot::{AttackedImage, Picture};

/// The picture walls; empty if no result kept pictures.
pub(in crate::report) fn section(groups: &[Group]) -> Result<Markup> {
    let mut walls = vec![];
    for group in groups {
        let shown = group.entries.iter().filter_map(|e| Some((e.found.wall.as_ref()?, &e.label)));
        let figures: Vec<Markup> =
            shown.map(|(wall, label)| figure(wall, label)).collect::<Result<_>>()?;
        if !figures.is_empty() {
            walls.push(html! {
                h3 { (group.title()) }
                div class="walls" { @for figure in figures { (figure) } }
            });
        }
    }
    if walls.is_empty() {
        return Ok(html! {});
    }
    let bar = image(&Picture::heat_scale(160, 10), "heat scale, from dark to bright")?;
    Ok(html! {
        p {
            "The first images of each run; none is picked. A map is drawn as each pixel’s share of the \
             attribution, clipped at the map’s own 99th percentile (p99)."
        }
        p class="scale" { span { "0" } (bar) span { "p99" } }
        @for wall in walls { (wall) }
    })
}

fn figure(wall: &Wall, label: &str) -> Result<Markup> {
    let width = AttackedImage::COLUMNS.len();
    let mut rows = vec![];
    for shown in &wall.rows {
        let title = match shown.effect.as_str() {
            "" => format!("{} → {}", shown.before, shown.after),
            effect => format!("{} → {} · {effect}", shown.before, shown.after),
        };
        let each = shown.pictures().into_iter().zip(AttackedImage::COLUMNS);
        let pictures = each.map(|(picture, c)| image(picture, &format!("{c}: {}", shown.before)));
        let pictures = pictures.collect::<Result<Vec<_>>>()?;
        rows.push(html! {
            tbody {
                tr { th colspan=(width) scope="rowgroup" { (title) } }
                tr { @for picture in pictures { td { (picture) } } }
            }
        });
    }
    Ok(html! {
        figure {
            figcaption { b { (label) } " at ε " (wall.eps) }
            table class="wall" {
                thead { tr { @for name in AttackedImage::COLUMNS { (column(name)) } } }
                @for row in rows { (row) }
            }
        }
    })
}
