//! The pictures of `certify`: shares over one another on the image, and overlap over radius.

use super::{
    image,
    plan::{Maps, Plan},
};
use crate::{
    cli::shown,
    evaluation::Named,
    results::{Keys, QUANTITY, Record, at_radius, keys, label},
    session::Loaded,
};
use anyhow::Result;
use plot::{Cell, Figure, Grid, Panel, Picture, Point, Row, Series, XAxis};
use std::path::Path;
use tch::Tensor;

/// Images in a figure, at most.
const SHOWN: usize = 8;

/// Images, their heat maps and the certified pixels of each method.
pub(super) fn pictures(path: &Path, plan: &Plan, loaded: &Loaded, found: &[Named]) -> Result<()> {
    let mut columns = vec!["image".to_owned()];
    for (method, _) in &plan.methods {
        columns.extend([format!("map by {method}"), format!("certified in by {method}")]);
    }
    let fit = plot::rows_that_fit(columns.len(), loaded.data.image_shape());
    let shown = shown(plan.args.rows, loaded.data.len(), SHOWN, fit);
    let rows = (0..shown).map(|i| line(plan, loaded, found, i)).collect::<Result<Vec<_>>>()?;
    let asked = &plan.args.smoothed;
    let title = format!(
        "{}: certified within {:.3} (l2), sigma {}, n = {}",
        loaded.card.name,
        plan.pixel_radius(),
        asked.sigma,
        asked.samples
    );
    plot::grid(path, &Grid { title: Some(title), columns, rows })
}

fn line(plan: &Plan, loaded: &Loaded, found: &[Named], i: i64) -> Result<Row> {
    let image = found[0]["images"].get(i);
    let class = found[0]["targets"].int64_value(&[i]) as usize;
    let caption = loaded.card.classes[class].clone();
    let mut cells = vec![Cell { picture: Picture::from_image(&image)?, caption }];
    for maps in found.chunks(plan.shares.len()) {
        let heat = Picture::from_heat(&maps[0][image::HEAT].get(i))?;
        cells.push(Cell { picture: heat, caption: String::new() });
        let states: Vec<Tensor> = maps.iter().map(|map| map[image::STATES].get(i)).collect();
        let count = |states: &Tensor| states.eq(1).sum(tch::Kind::Int64).int64_value(&[]);
        let counted = plan.shares.iter().zip(&states);
        let counted =
            counted.map(|(share, states)| format!("{}: {} px", percent(*share), count(states)));
        let caption = counted.collect::<Vec<_>>().join(", ");
        cells.push(Cell { picture: Picture::certified(&image, &states)?, caption });
    }
    Ok(Row { cells })
}

/// `5 %`.
fn percent(share: f64) -> String {
    format!("{} %", (share * 1e4).round() / 1e2)
}

/// Overlap over radius: a panel for each of the plan's maps, the certified and the attacked one in
/// each.
pub(super) fn curves(path: &Path, plan: &Plan, result: &Record) -> Result<()> {
    let panel = |(method, _, share): Maps| {
        let of = keys([("method", method), ("share", &label(share))]);
        let quantities = [image::CERTIFIED, image::ATTACKED].into_iter().enumerate();
        let series = quantities.map(|(color_index, quantity)| Series {
            color_index,
            points: plan.radii.iter().filter_map(|&r| point(result, &of, quantity, r)).collect(),
        });
        Panel {
            title: format!("{method}, hottest {}", percent(share)),
            x_axis: XAxis::Linear,
            x_label: "l2 radius, pixels in [0, 1]".into(),
            y_label: "top-k intersection".into(),
            y_range: (0., 1.),
            equal: false,
            series: series.filter(|series| !series.points.is_empty()).collect(),
        }
    };
    let names = ["certified: at least", "attacked: at most"];
    let title = format!("{}: top-k intersection of the smoothed map", result.models[0].name);
    let figure = Figure {
        title,
        panels: plan.maps().into_iter().map(panel).collect(),
        legend: names.iter().enumerate().map(|(i, name)| (i, (*name).to_owned())).collect(),
    };
    plot::chart(path, &figure)
}

fn point(result: &Record, of: &Keys, quantity: &str, radius: f64) -> Option<Point> {
    let mut of = at_radius(of, radius, &label(radius));
    of.insert(QUANTITY.into(), quantity.into());
    let number = result.rows.filter(&of).next()?.number;
    let error = number.high.zip(number.low).map_or(0., |(high, low)| (high - low) / 2.);
    Some(Point::new(radius, label(radius), number.mean?, error))
}
