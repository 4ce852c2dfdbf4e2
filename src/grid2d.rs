//! A piece of the plane as a grid of points, and where what is known at the points changes.

use anyhow::Result;
use tch::{Device, Kind, Tensor};

/// Points along each side.
const FINE: i64 = 240;

/// The smallest and the largest value.
pub type Range = (f64, f64);

/// The range of some values.
pub fn range(values: &[f64]) -> Range {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)))
}

/// Points evenly apart, f32 `[240, 240, 2]`, `across` along the first side.
pub fn grid(across: Range, up: Range) -> Tensor {
    let side = |(low, high)| Tensor::linspace(low, high, FINE, (Kind::Float, Device::Cpu));
    Tensor::stack(&Tensor::meshgrid_indexing(&[side(across), side(up)], "ij"), -1)
}

/// A grid's points as rows of a table, `[240², 2, 1, 1]`.
pub fn rows(points: &Tensor) -> Tensor {
    points.reshape([-1, 2, 1, 1])
}

/// Points `[N, 2]` as pairs.
pub fn pairs(points: &Tensor) -> Result<Vec<(f64, f64)>> {
    let flat = Vec::<f64>::try_from(points.reshape([-1]).to_kind(Kind::Double))?;
    Ok(flat.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

/// Points between neighbours of a grid where `labels`, one a row of [`rows`], differ.
pub fn edges(points: &Tensor, labels: &Tensor) -> Result<Vec<(f64, f64)>> {
    let labels = labels.to_device(Device::Cpu).view([FINE, FINE]);
    let mut found = vec![];
    for dim in 0..2 {
        let [a, b] = [0, 1]
            .map(|from| (labels.narrow(dim, from, FINE - 1), points.narrow(dim, from, FINE - 1)));
        let middle: Tensor = (a.1 + b.1) / 2.;
        let changed = a.0.ne_tensor(&b.0).unsqueeze(-1).expand_as(&middle);
        found.extend(pairs(&middle.masked_select(&changed))?);
    }
    Ok(found)
}
