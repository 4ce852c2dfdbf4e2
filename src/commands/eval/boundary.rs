//! A picture of a classifier of two numbers: the rows by class, and where the predicted class changes.

use crate::{
    grid2d::{edges, grid, range, rows},
    session::Loaded,
};
use anyhow::{Result, ensure};
use plot::{Figure, Panel, Series, XAxis};
use std::path::Path;
use tch::{Device, Kind};

/// Rows that are drawn, at most.
const SHOWN: i64 = 2000;

/// Errors: data of other than two numbers.
pub fn check(loaded: &Loaded) -> Result<()> {
    let (shape, name) = (loaded.data.image_shape(), &loaded.data.name);
    ensure!(
        shape == [2, 1, 1],
        "`--figure` draws a plane, of tables with two columns; `{name}` has {}",
        shape.iter().product::<i64>()
    );
    Ok(())
}

/// Draws the first rows and the boundary between the classes.
pub fn draw(path: &Path, loaded: &Loaded) -> Result<()> {
    let data = &loaded.data;
    let n = (data.len() as i64).min(SHOWN);
    let shown = data.images.held().narrow(0, 0, n).view([n, 2]).to_device(Device::Cpu);
    let labels = Vec::<i64>::try_from(data.labels.narrow(0, 0, n))?;
    let xs = Vec::<f64>::try_from(shown.select(1, 0).to_kind(Kind::Double))?;
    let ys = Vec::<f64>::try_from(shown.select(1, 1).to_kind(Kind::Double))?;
    let of_class = |class: i64| -> Vec<(f64, f64)> {
        let here = labels.iter().zip(xs.iter().zip(&ys)).filter(|(label, _)| **label == class);
        here.map(|(_, (x, y))| (*x, *y)).collect()
    };
    let mut kinds: Vec<(String, Vec<(f64, f64)>)> = data
        .classes
        .iter()
        .enumerate()
        .map(|(class, name)| (format!("class {name}"), of_class(class as i64)))
        .collect();
    let plane = grid(range(&xs), range(&ys));
    let told = |row| format!("a logit of point {row} of the figure");
    let classes = loaded.predict(&rows(&plane).to_device(loaded.device), &told)?.0;
    kinds.push(("boundary".into(), edges(&plane, &classes)?));
    let legend = kinds.iter().enumerate().map(|(slot, (name, _))| (slot, name.clone())).collect();
    let series =
        kinds.into_iter().enumerate().map(|(slot, (_, points))| Series::cloud(slot, points));
    let names = data.features.as_ref().map_or(vec![], |features| features.names.clone());
    let panel = Panel {
        title: String::new(),
        x_axis: XAxis::Scatter,
        x_label: names.first().cloned().unwrap_or_default(),
        y_label: names.get(1).cloned().unwrap_or_default(),
        y_range: range(&ys),
        equal: false,
        series: series.collect(),
    };
    let title = loaded.card.name.clone();
    plot::chart(path, &Figure { title, panels: vec![panel], legend })
}
