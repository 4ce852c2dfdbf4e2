//! What theorems of the five papers allow beside what is found at the same image, and how much of a
//! right side is used. What is known of a constant only by looking is a lower bound of it: a right side
//! made of such a constant is an estimate, and one that is exceeded no refutation.

pub(super) mod agarwal21;
pub(super) mod gradients;
pub(super) mod lim21;
pub(super) mod tan23;
pub(super) mod wang20;
mod weights;
pub(super) mod yeh19;

use super::robustness::{norm, zeros};
use crate::{
    Attribution, Batch, method,
    metric::{Better, Case, Column},
};
use anyhow::Result;
use models::{Model, Score, Target, noise};
use tch::{Kind, Tensor};
use toml::Value;

const fn column(name: &'static str, about: &'static str, better: Better) -> Column {
    Column { name, about, better }
}

/// A column of what is used of a right side.
const fn tightness(name: &'static str, about: &'static str) -> Column {
    column(name, about, Better::Neither)
}

/// A method by its name and options.
fn named(name: &str, options: &[(&str, Value)]) -> Result<Box<dyn Attribution>> {
    let name = ("name".to_owned(), Value::String(name.into()));
    let options = options.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
    method([name].into_iter().chain(options).collect())
}

/// What was found over what is allowed, NaN where nothing is.
fn used(found: &Tensor, bound: &Tensor) -> Tensor {
    (found / bound).masked_fill(&bound.eq(0.), f64::NAN)
}

/// What was found, what is allowed, and the one over the other.
fn beside(found: Tensor, bound: Tensor) -> [Tensor; 3] {
    let used = used(&found, &bound);
    [found, bound, used]
}

/// Of each row, ℓ2, f64 `[N]`.
fn length(rows: &Tensor) -> Tensor {
    norm(rows, 2.)
}

/// Inner products of rows, f64 `[N]`.
fn dot(a: &Tensor, b: &Tensor) -> Tensor {
    let product = a.to_kind(Kind::Double) * b.to_kind(Kind::Double);
    product.flatten(1, -1).sum_dim_intlist([1i64].as_slice(), false, Kind::Double)
}

/// One number an image as a factor of its pixels.
fn wide(t: &Tensor) -> Tensor {
    t.view([-1, 1, 1, 1])
}

/// The largest number of an image, f64: the score's |f|, 1 of a probability.
fn range(score: Score, found: &Tensor) -> Tensor {
    if score == Score::Prob { found.ones_like() } else { found.shallow_clone() }
}

/// What a bound asks of the network at points near the images of a batch, with no graph.
struct Local<'a> {
    model: &'a dyn Model,
    batch: &'a Batch,
    gradient: Box<dyn Attribution>,
    sure: Option<Tensor>,
}

/// What is at one point of each image, f64.
struct Seen {
    score: Tensor,    // [N]
    shifted: Tensor,  // [N]
    gradient: Tensor, // [N, C, H, W]
}

impl<'a> Local<'a> {
    fn of(case: &Case<'a>) -> Self {
        Local::about(case.model, case.batch)
    }

    fn about(model: &'a dyn Model, batch: &'a Batch) -> Self {
        let gradient = named("saliency", &[]).expect("it has no options that could be wrong");
        Local { model, batch, gradient, sure: batch.sure(model) }
    }

    /// The images, f64.
    fn images(&self) -> Tensor {
        self.batch.x.to_kind(Kind::Double)
    }

    /// The batch at other images, f64 `[N, C, H, W]`.
    fn at(&self, x: &Tensor) -> Batch {
        self.batch.at(&x.to_kind(self.batch.x.kind()))
    }

    /// f there, f64 `[N]`.
    fn score(&self, x: &Tensor) -> Tensor {
        self.at(x).scores(self.model).to_kind(Kind::Double)
    }

    /// f there, less 1 where that keeps the digits of differences.
    fn shifted(&self, x: &Tensor) -> Tensor {
        let logits = self.at(x).logits(self.model);
        self.batch.target.shifted(&logits, self.sure.as_ref()).to_kind(Kind::Double)
    }

    /// f, f less 1 where that keeps digits, and ∇f there, of one pass.
    fn seen(&self, x: &Tensor) -> Seen {
        let (gradient, logits) = self.gradient.with_logits(self.model, &self.at(x));
        let target = &self.batch.target;
        Seen {
            score: target.of(&logits).to_kind(Kind::Double),
            shifted: target.shifted(&logits, self.sure.as_ref()).to_kind(Kind::Double),
            gradient: gradient.to_kind(Kind::Double),
        }
    }

    /// ∇f there, f64 `[N, C, H, W]`.
    fn gradient(&self, x: &Tensor) -> Tensor {
        self.gradient.attribute(self.model, &self.at(x)).to_kind(Kind::Double)
    }

    /// Draws from N(0, 1) for what is called `what`, f64 `[N, C, H, W]`: the same for an image in any
    /// batch.
    fn normal(&self, what: &str, sample: u64) -> Tensor {
        let keys = self.batch.keys_of(noise::name_id(what));
        let keys: Vec<u64> = keys.iter().map(|&key| noise::key(key, sample, 0)).collect();
        let x = &self.batch.x;
        noise::normal(&keys, &x.size()[1..], x.device()).to_kind(Kind::Double)
    }

    /// A change of length `radius` in a direction of its own, rounded as the image's pixels are.
    fn step(&self, what: &str, sample: u64, radius: f64) -> Tensor {
        let drawn = self.normal(what, sample);
        let longest = length(&drawn).clamp_min(f64::MIN_POSITIVE);
        self.rounded(&(drawn * wide(&(radius / longest))))
    }

    /// A change as it is once it is added to the image.
    fn rounded(&self, delta: &Tensor) -> Tensor {
        let (x, kind) = (self.images(), self.batch.x.kind());
        (&x + delta).to_kind(kind).to_kind(Kind::Double) - x
    }
}

/// The largest of what there is at least one of.
fn most(all: impl IntoIterator<Item = Tensor>) -> Tensor {
    all.into_iter().reduce(|most, one| most.maximum(&one)).expect("one at least")
}

/// The largest |φ(x) − φ(x + δ)| / |δ| of the changes `steps`, f64 `[N]`; `map` gives φ.
fn constant(x: &Tensor, steps: &[Tensor], map: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let here = map(x);
    most(steps.iter().map(|step| length(&(map(&(x + step)) - &here)) / length(step)))
}

/// The same images asked about another score of their classes.
fn asked(batch: &Batch, score: Score) -> Batch {
    let target = Target { class: batch.target.class.shallow_clone(), score };
    Batch { target, ..batch.at(&batch.x) }
}
