//! What `smooth` adds to every number of an image, and how fast its distribution moves with the
//! image: γ of kernel smoothing (Tan & Tian 2023, Theorem 4.3). Numbers are drawn independently.

use anyhow::{Context, Result, bail, ensure};
use models::noise;
use models::upload;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::f64::consts::FRAC_2_PI;
use tch::{Device, Kind, Tensor};
use toml::Value;

/// A density on the line, in units of the size of the noise.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kernel {
    /// N(0, 1).
    Gaussian,
    /// U[−1, 1].
    Uniform,
    /// e^{−|t|}/2.
    Laplace,
    /// What the user tabulates.
    Table(Piecewise),
}

/// The least γ with ∫|p(z − x) − p(z − x′)| dz ≤ γ |x − x′|₂ for images of d numbers, which is the
/// total variation of the paper's proof: means of φ, |φ| ≤ R, over neighbours are Rγ-Lipschitz.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Gamma {
    /// That is it.
    Exactly(f64),
    /// It is not more.
    AtMost(f64),
}

impl Kernel {
    /// One draw of `shape` per key: `[keys, ...shape]`.
    pub fn draw(&self, keys: &[u64], shape: &[i64], device: Device) -> Tensor {
        // The middle of each of the 2²⁴ steps: nothing is infinite.
        let inside = || noise::uniform(keys, shape, device).to_kind(Kind::Double) + HALF_STEP;
        match self {
            Kernel::Gaussian => noise::normal(keys, shape, device),
            Kernel::Uniform => noise::uniform(keys, shape, device) * 2. - 1.,
            Kernel::Laplace => {
                let u: Tensor = inside() * 2. - 1.;
                -u.sign() * (-u.abs()).log1p()
            }
            Kernel::Table(table) => table.at(&inside()),
        }
    }

    /// γ at size 1. Along a unit vector u it is E|Σ uᵢ s(zᵢ)|, s = p′/p, where p has a derivative.
    pub fn gamma(&self, d: i64) -> Gamma {
        let root = (d as f64).sqrt();
        match self {
            // Σ uᵢ zᵢ is N(0, 1) along any u.
            Kernel::Gaussian => Gamma::Exactly(FRAC_2_PI.sqrt()),
            // Σ|uᵢ|: the walls of the cube (Appendix C.2).
            Kernel::Uniform => Gamma::Exactly(root),
            // E|Σ ±uᵢ| is at most |u| (Khintchine), and that along an axis.
            Kernel::Laplace => Gamma::Exactly(1.),
            Kernel::Table(table) => table.gamma(d),
        }
    }
}

/// Half the step of `noise::uniform`.
const HALF_STEP: f64 = 1. / (1u64 << 25) as f64;

impl<'de> Deserialize<'de> for Kernel {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Value::deserialize(from)? {
            Value::String(word) => match word.as_str() {
                "gaussian" => Ok(Kernel::Gaussian),
                "uniform" => Ok(Kernel::Uniform),
                "laplace" => Ok(Kernel::Laplace),
                other => {
                    let known = &["gaussian", "uniform", "laplace", "[[offset, density], …]"];
                    Err(de::Error::unknown_variant(other, known))
                }
            },
            Value::Array(pairs) => {
                let told = |e| de::Error::custom(format!("`kernel`: {e:#}"));
                Piecewise::new(&pairs).map(Kernel::Table).map_err(told)
            }
            other => Err(de::Error::custom(format!(
                "`kernel` is {other}, not a name or pairs such as [[-1, 0], [0, 1], [1, 0]]"
            ))),
        }
    }
}

/// As users write it; a density in pairs [offset, density].
impl Serialize for Kernel {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Kernel::Gaussian => "gaussian".serialize(to),
            Kernel::Uniform => "uniform".serialize(to),
            Kernel::Laplace => "laplace".serialize(to),
            Kernel::Table(table) => {
                let pairs = table.offsets.iter().zip(&table.density);
                pairs.collect::<Vec<_>>().serialize(to)
            }
        }
    }
}

/// A density that is linear between offsets, 0 beyond them, with the integral 1.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Piecewise {
    offsets: Vec<f64>,
    density: Vec<f64>,
    /// The integral up to each offset.
    below: Vec<f64>,
}

impl Piecewise {
    fn new(pairs: &[Value]) -> Result<Self> {
        let number = |value: &Value| match value {
            Value::Integer(number) => Some(*number as f64),
            Value::Float(number) => number.is_finite().then_some(*number),
            _ => None,
        };
        let (mut offsets, mut density) = (vec![], vec![]);
        for pair in pairs {
            let both = pair.as_array().and_then(|pair| match &pair[..] {
                [offset, density] => number(offset).zip(number(density)),
                _ => None,
            });
            let (at, high) = both.with_context(|| format!("{pair} is not [offset, density]"))?;
            ensure!(high >= 0., "the density at {at} is {high}; it must not be negative");
            if let Some(last) = offsets.last().filter(|last| at <= **last) {
                bail!("the offset {at} comes after {last}; offsets must rise");
            }
            offsets.push(at);
            density.push(high);
        }
        ensure!(offsets.len() > 1, "a table of {} pairs; it needs two or more", offsets.len());
        let mut below = vec![0.];
        for (x, p) in offsets.windows(2).zip(density.windows(2)) {
            below.push(below[below.len() - 1] + (x[1] - x[0]) * (p[0] + p[1]) / 2.);
        }
        let total = below[below.len() - 1];
        ensure!(total.is_finite() && total > 0., "the density is zero everywhere, or infinite");
        density.iter_mut().chain(&mut below).for_each(|value| *value /= total);
        Ok(Piecewise { offsets, density, below })
    }

    /// The inverse of the integral, f64 like `u` in (0, 1).
    fn at(&self, u: &Tensor) -> Tensor {
        let last = self.offsets.len() - 1;
        let on = |values: &[f64]| upload(values, u.device());
        let inner = on(&self.below[1..last]);
        let part = u.searchsorted(&inner, false, true, "right", None::<Tensor>).flatten(0, -1);
        let of = |values: Vec<f64>| on(&values).index_select(0, &part).view_as(u);
        let each = |from: &[f64]| from[..last].to_vec();
        let slopes = self.slopes();
        let (start, low, slope) = (of(each(&self.offsets)), of(each(&self.density)), of(slopes));
        let rest = (u - of(each(&self.below))).clamp_min(0.);
        // The root of low t + slope t²/2 = rest, written so that nothing cancels.
        let root = (low.square() + slope * &rest * 2.).clamp_min(0.).sqrt();
        start + rest * 2. / (low + root).clamp_min(f64::MIN_POSITIVE)
    }

    fn slopes(&self) -> Vec<f64> {
        let parts = self.offsets.windows(2).zip(self.density.windows(2));
        parts.map(|(x, p)| (p[1] - p[0]) / (x[1] - x[0])).collect()
    }

    /// The least of the bounds of [`Piecewise::bound`], which is exact on a line and without slopes.
    fn gamma(&self, d: i64) -> Gamma {
        let flat = self.slopes().iter().all(|slope| *slope == 0.);
        let steepest = self.slopes().iter().fold(0f64, |most, slope| most.max(slope.abs()));
        let highest = self.density.iter().fold(0f64, |most, p| most.max(*p));
        let cuts = (-20..100).map(|k| steepest / highest * (f64::from(k) / 4.).exp2());
        let cuts = [0., f64::INFINITY].into_iter().chain(cuts);
        let least = cuts.map(|t| self.bound(d as f64, t)).fold(f64::INFINITY, f64::min);
        if d == 1 || flat { Gamma::Exactly(least) } else { Gamma::AtMost(least) }
    }

    /// E|Σ uᵢ s(zᵢ)| is at most √d E|s| for jumps and where |s| > t, and the root of the second
    /// moment elsewhere. With t = 0 that is variation, with t = ∞ Fisher information, which is
    /// infinite where the density reaches 0 on a slope.
    fn bound(&self, d: f64, t: f64) -> f64 {
        let p = &self.density;
        let (mut steep, mut second, mut mean) = (p[0] + p[p.len() - 1], 0., 0.);
        for (slope, p) in self.slopes().into_iter().zip(p.windows(2)).filter(|part| part.0 != 0.) {
            let (low, high) = (p[0].min(p[1]), p[0].max(p[1]));
            let from = (slope.abs() / t).clamp(low, high);
            steep += from - low;
            mean += (high - from).copysign(slope);
            second += if from < high { slope.abs() * (high / from).ln() } else { 0. };
        }
        d.sqrt() * steep + (second + (d - 1.) * mean * mean).sqrt()
    }
}
