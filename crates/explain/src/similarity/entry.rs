//! What a similarity says of itself.

use crate::Better;
use registry::Named;
use tch::Tensor;

/// A metric of two heat maps. It says all that tables, charts and pages show of it.
///
/// ```
/// use explain::similarity::SIMILARITIES;
/// use tch::{Device, Kind, Tensor};
///
/// let cosine = registry::find("similarity", SIMILARITIES, "cosd")?;
/// let heat = Tensor::rand([2, 4, 4], (Kind::Double, Device::Cpu));
/// assert!((cosine.score)(&heat, &heat, 4).abs().max().double_value(&[]) < 1e-6);
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct Similarity {
    /// The name in tables and files.
    pub name: &'static str,
    /// The field's name for it.
    pub title: &'static str,
    /// What it is, its range and units, and where it is undefined.
    pub about: &'static str,
    /// Which way says that a map did not change: to 1 at most, or to 0.
    pub better: Better,
    /// What the axis of a chart has to show.
    pub axis: (f64, f64),
    /// Its place among the others in tables and on pages, from the left; equal ones are sorted by name.
    pub place: u32,
    /// Two heat maps `[N, H, W]` and k -> f64 `[N]`; NaN where it is undefined.
    pub score: fn(&Tensor, &Tensor, i64) -> Tensor,
}

impl Named for Similarity {
    fn name(&self) -> &'static str {
        self.name
    }
    fn about(&self) -> &'static str {
        self.about
    }
}

/// `value` where `which` holds of both maps, else NaN.
pub(super) fn where_both(
    which: fn(&Tensor) -> Tensor,
    a: &Tensor,
    b: &Tensor,
    value: &Tensor,
) -> Tensor {
    value.masked_fill(&which(a).logical_and(&which(b)).logical_not(), f64::NAN)
}
