//! Whether more iterations of an attack would help: its measure over them.

use super::of_images;
use ::results::{Keys, Number, Table, keys};
use tch::Tensor;

/// Points of the curve, at most.
const POINTS: i64 = 10;
/// Share of the fall of the measure that the second half of the iterations may bring where more of
/// them are said to be of little use.
const FLAT: f64 = 0.02;

/// The measure of an attack at one radius, mean over images with a map, smaller is stronger.
pub struct Convergence {
    /// Iterations and the measure of the best iterates until then, in equal distances from 0 on.
    pub curve: Vec<(i64, Number)>,
    /// Whether the second half of the iterations brought at most a fiftieth of the whole fall; none
    /// if no image has a map.
    pub converged: Option<bool>,
}

impl Convergence {
    /// Of the best measures before the first iteration and after each, f64 `[N, 1 + iterations]`, NaN
    /// for an image without a map.
    pub fn of(trace: &Tensor) -> Self {
        let last = trace.size()[1] - 1;
        let at = |iteration: i64| of_images(&trace.select(1, iteration), None).number;
        let points = POINTS.min(last);
        let curve = (0..=points).map(|i| i * last / points).map(|i| (i, at(i))).collect();
        let of = |iteration: i64| at(iteration).mean;
        let converged = || Some(of(last / 2)? - of(last)? <= FLAT * (of(0)? - of(last)?));
        Convergence { curve, converged: converged() }
    }

    /// Adds the rows of an attack on the maps that `of` names.
    pub fn push(&self, rows: &mut Table, of: &Keys) {
        for (iterations, number) in &self.curve {
            let mut of = of.clone();
            of.extend(keys([("iterations", &*iterations.to_string())]));
            rows.push(&of, "measure", *number);
        }
        let converged = self.converged.map(|yes| f64::from(u8::from(yes)));
        rows.push(of, "converged", Number { mean: converged, ..Number::default() });
    }
}
