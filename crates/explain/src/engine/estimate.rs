//! Maps that are means over draws: how far they are from the mean of endless draws, and how many draws
//! it takes to come near.

use crate::{
    Batch,
    engine::chunks::{self, Pass},
};
use anyhow::{Result, ensure};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::ops::Range;
use tch::{Kind, Tensor};
use toml::Value;

/// Draws of an image at most, where they are as many as it takes.
pub const MOST: u64 = 10_000;
/// Draws before the first look at what is known.
const FIRST: u64 = 32;

/// A map that is a mean over draws, and its standard error.
#[derive(Debug)]
pub struct Estimate {
    /// `[N, C, H, W]`.
    pub map: Tensor,
    /// Standard error of each number of the map; infinite where the draws do not tell.
    pub error: Tensor,
    /// Draws of each image.
    pub samples: Vec<u64>,
}

impl Estimate {
    /// ‖error‖₂ / ‖map of endless draws‖₂ of each image, f64 `[N]`: how far the map is from that one in
    /// the mean, relative to it. Infinite where the map is no larger than its error.
    pub fn relative(&self) -> Tensor {
        relative(&self.map, &self.error)
    }
}

fn relative(map: &Tensor, error: &Tensor) -> Tensor {
    let square = |t: &Tensor| {
        let t = t.flatten(1, -1).to_kind(Kind::Double);
        t.square().sum_dim_intlist([1i64].as_slice(), false, Kind::Double)
    };
    let (noise, all) = (square(error), square(map));
    let signal = &all - &noise;
    let unknown = signal.le(0.).logical_or(&noise.isfinite().logical_not());
    // A map of zeros without error is known.
    let known = all.eq(0.).logical_and(&noise.eq(0.));
    let found = (&noise / signal.clamp_min(f64::MIN_POSITIVE)).sqrt();
    found.masked_fill(&unknown, f64::INFINITY).masked_fill(&known, 0.)
}

/// How many draws: a number, or `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    Fixed(u64),
    Auto,
}

impl Count {
    /// The number, or how many there may be.
    pub fn most(self) -> u64 {
        match self {
            Count::Fixed(n) => n,
            Count::Auto => MOST,
        }
    }
}

/// The option of methods that draw until their map is known this well, and what it says.
pub(crate) const TOLERANCE: (&str, &str) = (
    "tolerance",
    "for samples=auto: standard error of the map relative to the map, 0.001 or more; of 10000 samples at \
     most",
);
/// Its default.
pub(crate) const TENTH: f64 = 0.1;
/// The option of methods whose noise is symmetric.
pub(crate) const PAIRS: (&str, &str) = (
    "pairs",
    "true: every second draw is the one before with the other sign; false: all are independent",
);

/// The option of methods that switch groups off.
pub(crate) const COMPLEMENTS: (&str, &str) = (
    "pairs",
    "true: every second copy keeps what the one before switches off; false: all are independent",
);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Value::deserialize(from)? {
            Value::Integer(n) if n >= 0 => Ok(Count::Fixed(n as u64)),
            Value::String(word) if word == "auto" => Ok(Count::Auto),
            other => {
                Err(de::Error::custom(format!("`samples` is {other}, not a number or `auto`")))
            }
        }
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Count::Fixed(n) => n.serialize(to),
            Count::Auto => "auto".serialize(to),
        }
    }
}

/// Of an average: when it ends, and which draws belong together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draws {
    /// None: a fixed number.
    pub tolerance: Option<f64>,
    /// Consecutive draws that are independent of others only together: 2 where they are pairs.
    pub together: u64,
}

impl Draws {
    /// Errors: a tolerance that cannot be reached.
    pub fn new(count: Count, tolerance: f64, pairs: bool) -> Result<Self> {
        let usable = tolerance.is_finite() && tolerance >= 1e-3;
        ensure!(usable, "`tolerance` is {tolerance}; it must be 0.001 or more");
        let tolerance = (count == Count::Auto).then_some(tolerance);
        Ok(Draws { tolerance, together: if pairs { 2 } else { 1 } })
    }
}

/// Σ rows over `draws` of each image, and Σ squares of the sums of those that belong together, both
/// `[N, C, H, W]`; `of` gives a pass's rows.
pub(crate) fn totals(
    batch: &Batch,
    draws: Range<u64>,
    together: u64,
    of: impl Fn(&Pass) -> Tensor,
) -> [Tensor; 2] {
    let totals = [(); 2].map(|()| batch.x.detach().zeros_like());
    let make = |pass: &Pass| {
        let (rows, images) = (of(pass), pass.block.x.size());
        let (taken, together) = (pass.taken.len() as i64, together as i64);
        let rows = rows.view(&[&[taken], &images[..]].concat()[..]);
        let whole = taken / together * together;
        let sum = |t: &Tensor, dim: i64| t.sum_dim_intlist([dim].as_slice(), false, t.kind());
        let squares = |t: &Tensor| sum(&t.square(), 0);
        let first = rows.narrow(0, 0, whole).view(&[&[-1, together], &images[..]].concat()[..]);
        let rest = rows.narrow(0, whole, taken - whole);
        [sum(&rows, 0), squares(&sum(&first, 1)) + squares(&rest)]
    };
    chunks::each_together(batch, (draws, together), make, |pass, parts| {
        for (total, part) in totals.iter().zip(parts) {
            let _ = pass.part(total).g_add_(&part.detach());
        }
    });
    totals
}

/// `totals` of more draws added to those before, of which there may be none.
pub(crate) fn added(before: Vec<Tensor>, totals: [Tensor; 2]) -> Vec<Tensor> {
    match &before[..] {
        [] => totals.into(),
        _ => before.iter().zip(totals).map(|(before, new)| before + new).collect(),
    }
}

/// Map and standard error of `draws` whose rows, each weighted as `totals` was given them, come to
/// these; `weight` makes their sum the map.
pub(crate) fn mean(totals: &[Tensor], weight: f64, (draws, together): (u64, u64)) -> [Tensor; 2] {
    let [sum, squares] = totals else { panic!("a sum and its squares") };
    let units = draws.div_ceil(together) as f64;
    let map = sum * weight;
    if units < 2. {
        let error = map.full_like(f64::INFINITY);
        return [map, error];
    }
    let spread = squares * (weight * weight) - map.square() / units;
    let error = (spread.clamp_min(0.) * (units / (units - 1.))).sqrt();
    [map, error]
}

/// What draws come to, row by row of a batch, while they are taken.
pub(crate) trait Growing {
    /// `state`, a tensor or more with a row an image, after `draws` more of the images of `batch`, which
    /// are those that `rows` names; it is empty before the first.
    fn more(
        &self,
        batch: &Batch,
        rows: &[i64],
        state: Vec<Tensor>,
        draws: Range<u64>,
    ) -> Vec<Tensor>;

    /// Their maps and standard errors after `draws`.
    fn found(&self, batch: &Batch, rows: &[i64], state: &[Tensor], draws: u64) -> [Tensor; 2];
}

/// Draws of each image until its relative error is `tolerance` or less, [`MOST`] at most.
pub(crate) fn grow(batch: &Batch, tolerance: f64, by: &dyn Growing) -> Estimate {
    let n = batch.x.size()[0];
    let (map, error) = (batch.x.detach().zeros_like(), batch.x.detach().zeros_like());
    let mut samples = vec![0; n as usize];
    let mut left: Vec<i64> = (0..n).collect();
    let (mut state, mut drawn, mut next) = (vec![], 0, FIRST);
    while !left.is_empty() {
        let part = batch.select(&left);
        state = by.more(&part, &left, state, drawn..next);
        drawn = next;
        let [maps, errors] = by.found(&part, &left, &state, drawn);
        let far = Vec::<f64>::try_from(relative(&maps, &errors)).expect("numbers");
        let stays = |far: f64| far > tolerance && drawn < MOST;
        let mut on = vec![];
        for (at, (&row, &far)) in left.iter().zip(&far).enumerate() {
            if stays(far) {
                on.push(at as i64);
                continue;
            }
            map.get(row).copy_(&maps.get(at as i64));
            error.get(row).copy_(&errors.get(at as i64));
            samples[row as usize] = drawn;
        }
        next = following(drawn);
        let index = models::upload(&on, batch.x.device());
        state = state.iter().map(|t| t.index_select(0, &index)).collect();
        left = on.iter().map(|&at| left[at as usize]).collect();
    }
    Estimate { map, error, samples }
}

/// How many draws to look at after `drawn`: the same for all images, so that none depends on the others;
/// a whole number of pairs.
fn following(drawn: u64) -> u64 {
    (drawn + drawn / 4).next_multiple_of(4).min(MOST)
}
