//! How often pixels are among the hottest at noisy images.

use crate::{
    Attribution, Batch,
    engine::chunks,
    heatmap::{heat, top},
};
use models::{Model, noise};
use tch::{Kind, Tensor};

/// How a map is smoothed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Smoothing {
    /// σ of the noise, in [0, 1] pixels.
    pub sigma: f64,
    /// Noisy images whose maps choose what is tested.
    pub pilot: u64,
    /// Noisy images that it is tested with.
    pub tests: u64,
}

/// What was counted at the noisy copies of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Counts {
    /// How many copies chose.
    pub pilot: u64,
    /// How many others were tested.
    pub tests: u64,
    /// Of those that chose, how many have each pixel among their hottest, `[P]`.
    pub pilot_hits: Vec<u64>,
    /// The same of those that were tested.
    pub hits: Vec<u64>,
    /// The pixels that were among the hottest most often in the pilot, ties by place, the first
    /// first.
    pub chosen: Vec<usize>,
    /// Of each chosen pixel, how many tested copies have both it and each pixel among the hottest,
    /// `[K · P]`.
    pub both: Vec<u64>,
    /// Of the pilot, how often one of two pixels is hot without the other, as a share of its
    /// copies: the middle one of the pairs of a chosen pixel with one of as many of the hottest
    /// others, each way.
    pub typical: [f64; 2],
    /// The class that most of the pilot were given, and how many of the tested were.
    pub class: (i64, u64),
}

impl Counts {
    /// Whether the pilot has it that a pixel is in rather than out.
    pub fn guess(&self, pixel: usize) -> bool {
        2 * self.pilot_hits[pixel] > self.pilot
    }
}

/// The `k` pixels with the most hits, ties by place.
pub fn most(hits: &[u64], k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..hits.len()).collect();
    order.sort_by_key(|&pixel| (std::cmp::Reverse(hits[pixel]), pixel));
    order.truncate(k);
    order
}

/// Counts at noisy copies of the one image of `batch`, for each number of `hottest` pixels of a
/// map: which `k` pixels the pilot chooses, and how often they and all others are among the hottest
/// of the copies that are tested. A pixel without heat is never one of them. `tick` is called after
/// every pass.
pub fn counts(
    (model, method): (&dyn Model, &dyn Attribution),
    batch: &Batch,
    (smoothing, hottest, k): (Smoothing, &[i64], usize),
    tick: &dyn Fn(),
) -> Vec<Counts> {
    let Smoothing { pilot, tests, sigma } = smoothing;
    let source = Source { model, method, batch, sigma };
    // What is kept of the pilot is small: its maps, of which the chosen pixels are known at the
    // end.
    let mut kept: Vec<Vec<Tensor>> = hottest.iter().map(|_| vec![]).collect();
    let mut classes = vec![];
    source.each("certify-pilot", pilot, |heat, logits| {
        kept.iter_mut().zip(hottest).for_each(|(kept, &hottest)| kept.push(hot(heat, hottest)));
        classes.push(logits.argmax(1, false));
        tick();
    });
    let class = majority(&Tensor::cat(&classes, 0));
    let mut tested: Vec<Tested> =
        kept.into_iter().map(|kept| Tested::of(&Tensor::cat(&kept, 0), k)).collect();
    let mut agreed = 0;
    source.each("certify-test", tests, |heat, logits| {
        tested.iter_mut().zip(hottest).for_each(|(tested, &n)| tested.add(&hot(heat, n)));
        agreed += of_class(logits, class);
        tick();
    });
    tested.into_iter().map(|tested| tested.counts(smoothing, (class, agreed))).collect()
}

/// Counts under way, for one number of hottest pixels.
struct Tested {
    pilot_hits: Vec<u64>,
    chosen: Vec<usize>,
    typical: [f64; 2],
    /// The chosen pixels, i64 `[K]`.
    index: Tensor,
    /// Of each pixel, i64 `[P]`.
    hits: Tensor,
    /// Of each chosen pixel with each pixel, f64 `[K, P]`.
    both: Tensor,
}

impl Tested {
    /// Chosen by a pilot, bool `[n, P]`; nothing is tested yet.
    fn of(pilot: &Tensor, k: usize) -> Self {
        let (pixels, device) = (pilot.size()[1], pilot.device());
        let pilot_hits = whole(&summed(pilot));
        let chosen = most(&pilot_hits, k);
        let index: Vec<i64> = chosen.iter().map(|&pixel| pixel as i64).collect();
        let index = Tensor::from_slice(&index).to_device(device);
        let typical = typical(&together(pilot, &index), &pilot_hits, pilot.size()[0] as u64);
        let hits = Tensor::zeros([pixels], (Kind::Int64, device));
        let both = Tensor::zeros([k as i64, pixels], (Kind::Double, device));
        Tested { pilot_hits, chosen, typical, index, hits, both }
    }

    fn add(&mut self, hot: &Tensor) {
        self.hits = &self.hits + summed(hot);
        self.both = &self.both + together(hot, &self.index);
    }

    fn counts(self, Smoothing { pilot, tests, .. }: Smoothing, class: (i64, u64)) -> Counts {
        let Tested { pilot_hits, chosen, typical, hits, both, .. } = self;
        let (hits, both) = (whole(&hits), whole(&both.flatten(0, 1).to_kind(Kind::Int64)));
        Counts { pilot, tests, pilot_hits, hits, chosen, both, typical, class }
    }
}

/// What is found at `copies` noisy copies of the one image of `batch`, whose noise `draws` names:
/// how many have each pixel among their `hottest`, `[P]`, and how many are of the class that is
/// explained.
pub fn hits(
    (model, method): (&dyn Model, &dyn Attribution),
    batch: &Batch,
    (sigma, hottest): (f64, i64),
    (draws, copies): (&str, u64),
) -> (Vec<u64>, u64) {
    let source = Source { model, method, batch, sigma };
    let class = batch.target.class.int64_value(&[0]);
    let (mut total, mut kept) = (vec![], 0);
    source.each(draws, copies, |heat, logits| {
        let part = whole(&summed(&hot(heat, hottest)));
        total.resize(part.len(), 0);
        total.iter_mut().zip(part).for_each(|(all, part)| *all += part);
        kept += of_class(logits, class);
    });
    (total, kept)
}

/// Noisy copies of `images`, of which each has the number of its sample; `draws` names the noise.
/// Each has seeds of its own for what a method draws there.
pub fn noisy(images: &Batch, samples: &[u64], sigma: f64, draws: &str) -> Batch {
    let id = noise::name_id(draws);
    let keys = images.keys.iter().zip(samples).map(|(&key, &sample)| noise::key(key, id, sample));
    let keys: Vec<u64> = keys.collect();
    let noise = noise::normal(&keys, &images.x.size()[1..], images.x.device());
    let x = &images.x + noise.to_kind(images.x.kind()) * sigma;
    let keys = keys.iter().map(|&key| noise::key(key, noise::name_id("map"), 0)).collect();
    Batch { keys, ..images.at(&x) }
}

/// Where noisy maps come from.
struct Source<'a> {
    model: &'a dyn Model,
    method: &'a dyn Attribution,
    batch: &'a Batch,
    sigma: f64,
}

impl Source<'_> {
    /// For `take` the heat maps of `copies` noisy copies, f64 `[n, H, W]` a pass, and the logits
    /// there.
    fn each(&self, draws: &str, copies: u64, mut take: impl FnMut(&Tensor, &Tensor)) {
        let make = |pass: &chunks::Pass| {
            let images = pass.repeated(&pass.block.x);
            let near = tch::no_grad(|| noisy(&images, &pass.samples(), self.sigma, draws));
            let (maps, logits) = self.method.with_logits(self.model, &near);
            (heat(&maps.to_kind(Kind::Double)), logits)
        };
        chunks::each(self.batch, copies, make, |_, (heat, logits)| take(&heat, &logits));
    }
}

/// Which pixels are among the `hottest` of each heat map and have any heat, bool `[n, P]`.
fn hot(heat: &Tensor, hottest: i64) -> Tensor {
    top(heat, hottest).logical_and(&heat.flatten(1, -1).gt(0.))
}

/// How many rows of `hot` bool `[n, P]` have each pixel, i64 `[P]`.
fn summed(hot: &Tensor) -> Tensor {
    hot.sum_dim_intlist([0i64].as_slice(), false, Kind::Int64)
}

/// How many rows of `hot` bool `[n, P]` have both a pixel of `index` and each pixel, f64 `[K, P]`.
fn together(hot: &Tensor, index: &Tensor) -> Tensor {
    let hot = hot.to_kind(Kind::Float);
    hot.index_select(1, index).transpose(0, 1).matmul(&hot).to_kind(Kind::Double)
}

fn whole(counts: &Tensor) -> Vec<u64> {
    let counts = Vec::<i64>::try_from(counts).expect("whole numbers in one row");
    counts.into_iter().map(|count| count as u64).collect()
}

/// See [`Counts::typical`]; never 0 or 1.
fn typical(both: &Tensor, hits: &[u64], pilot: u64) -> [f64; 2] {
    let k = both.size()[0] as usize;
    let hottest = most(hits, 2 * k);
    let (mut first, mut second) = (vec![], vec![]);
    for (member, &pixel) in hottest[..k].iter().enumerate() {
        let shared = whole(&both.get(member as i64).to_kind(Kind::Int64));
        for &rival in &hottest[k..] {
            first.push(hits[pixel] - shared[rival]);
            second.push(hits[rival] - shared[rival]);
        }
    }
    [first, second].map(|mut counts| {
        counts.sort_unstable();
        let middle = counts.get(counts.len() / 2).copied().unwrap_or(0);
        (middle as f64 + 0.5) / (pilot + 1) as f64
    })
}

/// How many rows of logits are largest at `class`.
fn of_class(logits: &Tensor, class: i64) -> u64 {
    logits.argmax(1, false).eq(class).sum(Kind::Int64).int64_value(&[]) as u64
}

/// The class that occurs most often, the first of several.
fn majority(classes: &Tensor) -> i64 {
    classes.bincount::<Tensor>(None, 0).argmax(0, false).int64_value(&[])
}
