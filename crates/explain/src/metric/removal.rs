//! Curves of the class's probability while pixels leave an image or come back, in the order of its
//! heat map: deletion and insertion (Petsiuk et al. 2018), preservation and relevance (Lim et al.
//! 2021, S3.3). Images with imputed are not what a network was trained on. A constant map has no order, and
//! an image that is its own imputation loses nothing: both are undefined.

use crate::{
    Batch,
    engine::chunks,
    heatmap::{has_order, heat},
    metric::{Better, Case, Column, Metric},
    sampling::baseline::Baseline,
};
use anyhow::{Result, anyhow, ensure};
use models::{Score, Target};
use registry::{Described, Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use tensorfile::words::count;
use toml::{Table, Value};

/// In the list of metrics.
pub(super) const DELETION: Entry<dyn Metric> = Entry {
    name: "deletion",
    about: "area under the class's probability while the most relevant pixels go first (Petsiuk \
            et al. 2018; Lim et al. 2021)",
    options: OPTIONS,
    build: build_deletion,
};

/// In the list of metrics.
pub(super) const INSERTION: Entry<dyn Metric> = Entry {
    name: "insertion",
    about: "area under the class's probability while the most relevant pixels come first (Petsiuk \
            et al. 2018), which with one baseline is preservation",
    options: OPTIONS,
    build: build_insertion,
};

/// In the list of metrics.
pub(super) const PRESERVATION: Entry<dyn Metric> = Entry {
    name: "preservation",
    about: "area under the class's probability while the least relevant pixels go first (Lim et \
            al. 2021, S3.3)",
    options: OPTIONS,
    build: build_preservation,
};

/// In the list of metrics.
pub(super) const RELEVANCE: Entry<dyn Metric> = Entry {
    name: "relevance",
    about: "R, harmonic mean of preservation and 1 − deletion, image by image (Lim et al. 2021, \
            S3.3)",
    options: OPTIONS,
    build: build_relevance,
};

const OPTIONS: Described = described::<Options>(&[
    ("steps", "steps of the curve, equal shares of the pixels, 1 to their number"),
    (
        "baseline",
        "what replaces pixels: a value in [0, 1]; mean: of each channel of the image; or blur; \
         without it 0, for insertion blur",
    ),
    ("blur", "σ of the blurred baseline, in pixels"),
    ("signed", "false: ranked by |map| summed over channels; true: by the map itself"),
]);

/// Scores of the case's class at copies `0..copies` of each image, f64 `[N, copies]`. `copy` makes
/// those that a pass wants from their images and numbers, both i64 `[n]`.
pub(super) fn at_copies(
    case: &Case,
    (score, sure): (Score, Option<&Tensor>),
    copies: i64,
    copy: impl Fn(&Tensor, &Tensor) -> Tensor,
) -> Tensor {
    let Batch { x, target, .. } = case.batch;
    let scores = chunks::rows(case.batch, x.size()[0] * copies, |start, n| {
        let row = Tensor::arange_start(start, start + n, (Kind::Int64, x.device()));
        let image = row.floor_divide_scalar(copies);
        let z = copy(&image, &(row - &image * copies));
        let target = Target { class: target.class.index_select(0, &image), score };
        let sure = sure.map(|sure| sure.index_select(0, &image));
        target.shifted(&case.model.logits(&z), sure.as_ref()).to_kind(Kind::Double)
    });
    scores.view([-1, copies])
}

/// The place of each pixel when the largest comes first, from 0, the earlier of two equal ones
/// first: `[N, H, W]` -> i64 `[N, H·W]`.
pub(super) fn places(values: &Tensor) -> Tensor {
    values.flatten(1, -1).argsort_stable(true, 1, true).argsort(1, false)
}

/// What stands where a pixel is gone.
#[derive(Debug)]
enum Imputation {
    /// The mean of each channel of the image.
    Mean,
    Made(Baseline),
}

impl Imputation {
    fn parse(value: &Value, blur: f64) -> Result<Self> {
        registry::positive("blur", blur)?;
        if value.as_str() == Some("mean") {
            return Ok(Imputation::Mean);
        }
        let made = Baseline::parse(value, blur).ok();
        made.filter(|made| !matches!(made, Baseline::Uniform)).map(Imputation::Made).ok_or_else(
            || anyhow!("`baseline` is {value}, not a number in [0, 1], `mean` or `blur`"),
        )
    }

    /// `[N, C, H, W]`.
    fn image(&self, batch: &Batch) -> Tensor {
        match self {
            Imputation::Mean => batch.x.mean_dim([2, 3].as_slice(), true, None).expand_as(&batch.x),
            Imputation::Made(baseline) => baseline.image(batch, &vec![0; batch.keys.len()]),
        }
    }
}

/// Which pixels go, or come, first.
#[derive(Clone, Copy, Debug)]
enum Curve {
    /// The most relevant go first.
    Deletion,
    /// The most relevant come first.
    Insertion,
    /// The least relevant go first.
    Preservation,
}

impl Curve {
    /// Where the image is itself after `done` `[n, 1]` of the pixels at `places` `[n, H·W]`.
    fn stays(self, places: &Tensor, done: &Tensor) -> Tensor {
        match self {
            Curve::Deletion => places.ge_tensor(done),
            Curve::Insertion => places.lt_tensor(done),
            Curve::Preservation => places.lt_tensor(&(places.size()[1] - done)),
        }
    }

    fn column(self) -> Column {
        match self {
            Curve::Deletion => Column {
                name: "deletion",
                about: "area under the class's probability over the share of pixels removed, most \
                        relevant first, in [0, 1]",
                better: Better::Lower,
            },
            Curve::Insertion => Column {
                name: "insertion",
                about: "area under the class's probability over the share of pixels put back, most \
                        relevant first, in [0, 1]",
                better: Better::Higher,
            },
            Curve::Preservation => Column {
                name: "preservation",
                about: "area under the class's probability over the share of pixels removed, least \
                        relevant first, in [0, 1]",
                better: Better::Higher,
            },
        }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    steps: i64,
    baseline: Option<Value>,
    blur: f64,
    signed: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { steps: 32, baseline: None, blur: 3., signed: false }
    }
}

/// How pixels are ranked and removed.
#[derive(Debug)]
struct Removal {
    steps: i64,
    imputation: Imputation,
    signed: bool,
}

impl Removal {
    fn new(table: Table, baseline: impl Into<Value>) -> Result<Self> {
        let Options { steps, baseline: given, blur, signed } = registry::options(table)?;
        ensure!(steps > 0, "`steps` is {steps}; it must be positive");
        let imputation = Imputation::parse(&given.unwrap_or(baseline.into()), blur)?;
        Ok(Removal { steps, imputation, signed })
    }

    fn check(&self, [_, height, width]: [i64; 3]) -> Result<()> {
        let (steps, pixels) = (self.steps, height * width);
        ensure!(
            steps <= pixels,
            "`steps` is {steps}, more than the {} of an image of {height}x{width}",
            count(pixels, "pixel")
        );
        Ok(())
    }

    /// Pixels done after `step` steps.
    fn done(&self, step: i64, pixels: i64) -> i64 {
        step * pixels / self.steps
    }

    /// What the trapezoidal rule gives each of the `steps + 1` points, in half pixels: whole numbers, so that
    /// a constant curve has exactly its value as area. f64.
    fn weights(&self, pixels: i64) -> Tensor {
        let done = |step: i64| self.done(step.clamp(0, self.steps), pixels);
        let weight = |step: i64| (done(step + 1) - done(step - 1)) as f64;
        Tensor::from_slice(&(0..=self.steps).map(weight).collect::<Vec<_>>())
    }

    /// The area under `curve`, f64 `[N]`.
    fn area(&self, case: &Case, curve: Curve) -> Tensor {
        case.map_cache.get(format!("{curve:?} {self:?}"), || self.made(case, curve))
    }

    fn made(&self, case: &Case, curve: Curve) -> Tensor {
        let x = &case.batch.x;
        let (height, width) = (x.size()[2], x.size()[3]);
        let pixels = height * width;
        let values = match self.signed {
            true => case.maps.sum_dim_intlist([1].as_slice(), false, None::<Kind>),
            false => heat(case.maps),
        };
        let unordered = has_order(&values).logical_not();
        let (places, imputed) = (places(&values), self.imputation.image(case.batch));
        let at = at_copies(case, (Score::Prob, None), self.steps + 1, |image, step| {
            let done = (step * pixels).floor_divide_scalar(self.steps).unsqueeze(1);
            let stays = curve.stays(&places.index_select(0, image), &done);
            let of = |t: &Tensor| t.index_select(0, image);
            of(x).where_self(&stays.view([-1, 1, height, width]), &of(&imputed))
        });
        let area = at.matmul(&self.weights(pixels).to_device(x.device())) / (2 * pixels) as f64;
        let whole = x.eq_tensor(&imputed).flatten(1, -1).all_dim(1, false);
        area.masked_fill(&unordered.logical_or(&whole), f64::NAN)
    }
}

/// The area under one curve.
#[derive(Debug)]
struct Area {
    removal: Removal,
    curve: Curve,
    columns: [Column; 1],
}

impl Metric for Area {
    fn undefined(&self) -> &'static str {
        "images equal to their baseline"
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn check(&self, image: [i64; 3]) -> Result<()> {
        self.removal.check(image)
    }

    fn measure(&self, case: &Case) -> Vec<Tensor> {
        tch::no_grad(|| vec![self.removal.area(case, self.curve)])
    }
}

fn area(table: Table, curve: Curve, baseline: impl Into<Value>) -> Result<Box<dyn Metric>> {
    let removal = Removal::new(table, baseline)?;
    Ok(Box::new(Area { removal, curve, columns: [curve.column()] }))
}

fn build_deletion(table: Table) -> Result<Box<dyn Metric>> {
    area(table, Curve::Deletion, 0)
}

/// From a blurred image by default, as in the paper: with one baseline, insertion is preservation
/// told backwards.
fn build_insertion(table: Table) -> Result<Box<dyn Metric>> {
    area(table, Curve::Insertion, "blur")
}

fn build_preservation(table: Table) -> Result<Box<dyn Metric>> {
    area(table, Curve::Preservation, 0)
}

/// R of Lim et al. 2021, S3.3.
#[derive(Debug)]
struct Relevance {
    removal: Removal,
    columns: [Column; 4],
}

impl Metric for Relevance {
    fn undefined(&self) -> &'static str {
        "images equal to their baseline"
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn check(&self, image: [i64; 3]) -> Result<()> {
        self.removal.check(image)
    }

    fn measure(&self, case: &Case) -> Vec<Tensor> {
        tch::no_grad(|| {
            let kept = self.removal.area(case, Curve::Preservation);
            let deleted = self.removal.area(case, Curve::Deletion);
            // Rounding can bring an area above one.
            let lost = (&deleted - 1.).neg().clamp_min(0.);
            let both = (&kept + &lost).clamp_min(f64::MIN_POSITIVE);
            let released = 2. * &kept * &deleted / (&kept + &deleted).clamp_min(f64::MIN_POSITIVE);
            vec![2. * &kept * lost / both, kept, deleted, released]
        })
    }
}

fn build_relevance(table: Table) -> Result<Box<dyn Metric>> {
    let relevance = Column {
        name: "relevance",
        about: "R with 1/R = ½(1/P + 1/(1 − D)), P preservation and D deletion of the image, in \
                [0, 1]; 0 where P = 0 or D = 1",
        better: Better::Higher,
    };
    let released = Column {
        name: "relevance-released",
        about: "2 / (1/P + 1/D), as the code released with Lim et al. 2021 has it, in [0, 1]",
        better: Better::Neither,
    };
    let curves = [Curve::Preservation, Curve::Deletion].map(Curve::column);
    let [kept, deleted] = curves;
    let columns = [relevance, kept, deleted, released];
    Ok(Box::new(Relevance { removal: Removal::new(table, 0)?, columns }))
}
