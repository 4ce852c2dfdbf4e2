//! A picture of a classifier of two numbers: the rows by class, and where the predicted class changes.

use crate::{
    figure::{self, Across, Figure, Panel, Point, Series},
    subject::Loaded,
};
use anyhow::{Result, ensure};
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// Predictions along each side of the picture.
const FINE: i64 = 240;
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
    let rows = data.images.narrow(0, 0, n).view([n, 2]).to_device(Device::Cpu);
    let labels = Vec::<i64>::try_from(data.labels.narrow(0, 0, n))?;
    let xs = Vec::<f64>::try_from(rows.select(1, 0).to_kind(Kind::Double))?;
    let ys = Vec::<f64>::try_from(rows.select(1, 1).to_kind(Kind::Double))?;
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
    kinds.push(("boundary".into(), boundary(loaded, range(&xs), range(&ys))));
    let point = |(x, y): (f64, f64)| Point::new(x, String::new(), y, 0.);
    let legend = kinds.iter().enumerate().map(|(slot, (name, _))| (slot, name.clone())).collect();
    let sorted = |mut points: Vec<(f64, f64)>| {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points.into_iter().map(point).collect()
    };
    let series = kinds
        .into_iter()
        .enumerate()
        .map(|(slot, (_, points))| Series { slot, points: sorted(points) });
    let names = data.features.as_ref().map_or(vec![], |features| features.names.clone());
    let panel = Panel {
        title: names.get(1).cloned().unwrap_or_default(),
        across: Across::Cloud,
        below: names.first().cloned().unwrap_or_default(),
        include: range(&ys),
        series: series.collect(),
    };
    let title = loaded.card.name.clone();
    figure::curves(path, &Figure { title, panels: vec![panel], legend })
}

fn range(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)))
}

/// Points between neighbours of a grid that are predicted to be of two classes.
fn boundary(loaded: &Loaded, across: (f64, f64), up: (f64, f64)) -> Vec<(f64, f64)> {
    let side = |(low, high)| Tensor::linspace(low, high, FINE, (Kind::Float, Device::Cpu));
    let plane = Tensor::meshgrid_indexing(&[side(across), side(up)], "ij");
    let points = Tensor::stack(&plane, -1);
    let x = points.view([-1, 2, 1, 1]).to_device(loaded.device);
    let class = loaded.predict(&x).0.view([FINE, FINE]).to_device(Device::Cpu);
    let mut found = vec![];
    for dim in 0..2 {
        let [a, b] = [0, 1]
            .map(|from| (class.narrow(dim, from, FINE - 1), points.narrow(dim, from, FINE - 1)));
        let middle: Tensor = (a.1 + b.1) / 2.;
        let changed = middle.masked_select(&a.0.ne_tensor(&b.0).unsqueeze(-1));
        let flat = Vec::<f64>::try_from(changed.to_kind(Kind::Double)).unwrap_or_default();
        found.extend(flat.chunks_exact(2).map(|pair| (pair[0], pair[1])));
    }
    found
}
