//! Measures of explanations: one number an image from a model, a method and its maps. What is drawn
//! is keyed by image, so neither the batch nor the chunk changes a number.

use crate::{Attribution, Batch};
use anyhow::Result;
use models::{
    Model,
    registry::{self, Entry},
};
use serde::Deserialize;
use std::{cell::RefCell, collections::BTreeMap};
use tch::Tensor;
use toml::Table;

mod complexity;
mod defined;
mod faithfulness;
mod gap;
mod infidelity;
mod lipschitz;
mod localisation;
mod randomisation;
mod removal;
mod retrieval;
mod sensitivity;
mod similarity;
pub mod statistics;

/// What is measured: the maps of one method for a batch of images, and what made them.
pub struct Case<'a> {
    /// The network that is explained.
    pub model: &'a dyn Model,
    /// How.
    pub method: &'a dyn Attribution,
    /// Images, classes and keys.
    pub batch: &'a Batch,
    /// `method`'s maps of the batch, `[N, C, H, W]`.
    pub maps: &'a Tensor,
    /// True class of each image, i64 `[N]`.
    pub labels: &'a Tensor,
    /// Where the object is, bool `[N, H, W]`, if the data say so.
    pub masks: Option<&'a Tensor>,
    /// Attacked images, for metrics that want them.
    pub attacked: Option<Attacked<'a>>,
    /// Networks with layers drawn anew or trained on random labels, for metrics that want them.
    pub randomised: &'a [Randomised<'a>],
    /// What is known of the model at these images, with any method.
    pub model_cache: &'a Memo,
    /// What is known of these maps.
    pub map_cache: &'a Memo,
}

/// Results of passes that several metrics or methods ask for, made once. By what they are, how they
/// are made, and the chunk: a pass that is made again with a smaller one, for want of memory, finds
/// nothing that is cut otherwise.
#[derive(Debug, Default)]
pub struct Memo(RefCell<BTreeMap<String, Tensor>>);

impl Memo {
    fn get(&self, case: &Case, what: &str, make: impl FnOnce() -> Tensor) -> Tensor {
        let what = format!("{what} in passes of {}", case.batch.chunk);
        let found = self.0.borrow().get(&what).map(Tensor::shallow_clone);
        found.unwrap_or_else(|| {
            let made = make();
            self.0.borrow_mut().insert(what, made.shallow_clone());
            made
        })
    }
}

/// The images of a case after an attack, and their maps for the same classes.
#[derive(Clone, Copy)]
pub struct Attacked<'a> {
    /// `[N, C, H, W]`.
    pub x: &'a Tensor,
    /// `[N, C, H, W]`.
    pub maps: &'a Tensor,
}

/// A network that does not know what that of the case knows.
pub struct Randomised<'a> {
    /// Why not.
    pub how: Randomness,
    /// The network.
    pub model: &'a dyn Model,
}

/// What is random of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Randomness {
    /// The layers from the output down to one.
    Cascade,
    /// One layer.
    Alone,
    /// The labels it was trained on.
    Labels,
}

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

/// One of the numbers a metric gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Column {
    /// Its name in tables and files.
    pub name: &'static str,
    /// Its formula in words, range and unit.
    pub about: &'static str,
    /// Which way is good.
    pub better: Better,
}

/// What a map's numbers are.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Units {
    /// Change of f per change of a pixel.
    #[default]
    Gradient,
    /// Parts of f.
    Contribution,
}

/// What a metric asks of its case beyond maps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// [`Case::masks`].
    pub masks: bool,
    /// [`Case::attacked`].
    pub attacked: bool,
    /// Networks with layers drawn anew in [`Case::randomised`].
    pub randomised: bool,
    /// One trained on random labels there.
    pub random_labels: bool,
}

/// Says how good maps are.
pub trait Metric {
    /// What it gives, in order.
    fn columns(&self) -> &[Column];

    /// What the case must hold.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// What the settings ask of images `[C, H, W]`, checked before the first pass.
    fn check(&self, _image: [i64; 3]) -> Result<()> {
        Ok(())
    }

    /// One f64 `[N]` a column, on the device, with no graph. NaN stands where a number is undefined
    /// (a correlation with a constant, a place without an object), infinity where it is infinite.
    /// What is about a map need not look whether there is one: [`metric`] does.
    fn measure(&self, case: &Case) -> Vec<Tensor>;

    /// Whether a column says something of the map: then it is undefined where there is no map.
    fn is_of_map(&self, _column: usize) -> bool {
        true
    }

    /// Whether a column is 0 or 1 at each image, so that its mean is a share of them.
    fn is_share(&self, _column: usize) -> bool {
        false
    }

    /// Why a number is undefined where the image has a map that is not constant and, where the metric
    /// wants one, an object: in a few words.
    fn undefined(&self) -> &'static str {
        "not a number"
    }
}

/// Every metric, sorted by name.
pub const METRICS: &[Entry<dyn Metric>] = &[
    Entry {
        name: "complexity",
        about: "how few pixels a map names: entropy (Bhatt et al. 2020), Gini index (Chalasani et \
                al. 2020), hot pixels (Nguyen & Martínez 2020); options: threshold (0.01, of the \
                largest heat: what is hot)",
        build: complexity::build,
    },
    Entry {
        name: "deletion",
        about: "area under the class's probability while the most relevant pixels go first \
                (Petsiuk et al. 2018; Lim et al. 2021); options: steps (32 equal shares of the \
                pixels), baseline (0: a value in [0, 1]; mean: of each channel of the image; \
                blur), blur (3 pixels: σ of the blurred baseline), signed (false: ranked by |map| \
                summed over channels; true: by the map itself)",
        build: removal::build_deletion,
    },
    Entry {
        name: "faithfulness",
        about: "a map against the drop of f where a cell of a grid is set to a reference (Tan & \
                Tian 2023, Eq. 5); options: cells (10 a side), reference (0, in [0, 1]), values \
                (mean: drop over the mean of x − reference, cells where that is below 1e-3 left \
                out, against the mean of the map; contribution: drop against the sum of \
                contributions), units (for contribution; gradient: map ⊙ (x − reference) is \
                summed, for saliency and smoothgrad; contribution: the map is, for gxi, ig, lime, \
                kernelshap)",
        build: faithfulness::build,
    },
    Entry {
        name: "gap",
        about: "SmoothGrad against C-LIME of the same neighbours (Agarwal et al. 2021, Theorem 1); the \
                method makes no difference; options: samples (1000), sigma (0.1, in [0, 1] pixels), norm \
                (l2, l1), relative (true: to SmoothGrad's length; false: the distance itself)",
        build: gap::build,
    },
    Entry {
        name: "infidelity",
        about: "squared error of what a map tells of perturbations I (Yeh et al. 2019); options: \
                perturbation (gaussian; square: squares become black; noisy-baseline: the image \
                becomes noise), samples (1000; every square where there are no more), sigma (0.2: of \
                the gaussian, in [0, 1] pixels), scale (0.2: of the baseline's noise, in [0, 1] \
                pixels), largest (10 pixels: side), all (false; true: every square, one pixel apart), \
                scaling (optimal: the map times the best number; none), units (gradient: IᵀΦ; \
                contribution: the sum of Φ in the square), robust (0: no second column; or a radius in \
                [0, 1] pixels, Definition C.1), robust_samples (10 points of that ball)",
        build: infidelity::build,
    },
    Entry {
        name: "insertion",
        about: "area under the class's probability while the most relevant pixels come first \
                (Petsiuk et al. 2018), which with one baseline is preservation; options: steps (32 \
                equal shares of the pixels), baseline (blur; mean: of each channel of the image; \
                or a value in [0, 1]), blur (3 pixels: σ of the blurred baseline), signed (false: \
                ranked by |map| summed over channels; true: by the map itself)",
        build: removal::build_insertion,
    },
    Entry {
        name: "lipschitz",
        about: "local Lipschitz constant of maps and of the score (Tan & Tian 2023, Eq. 4); options: \
                samples (50 neighbours), sigma (0.03, in [0, 1] pixels), channels (all; mean: of maps, \
                over channels), norm (l2, l1), ratio (true; false: the distance of maps alone, as \
                Agarwal et al. 2021), aggregate (max; mean: over neighbours), draws (shared: a method \
                draws at a neighbour what it draws at the image; fresh: something else)",
        build: lipschitz::build,
    },
    Entry {
        name: "localisation",
        about: "share of the heat on the object, pointing game, share of the hottest pixels on it \
                (Arras et al. 2022; Zhang et al. 2018); no options",
        build: localisation::build,
    },
    Entry {
        name: "preservation",
        about: "area under the class's probability while the least relevant pixels go first (Lim \
                et al. 2021, S3.3); options: those of deletion, with the same defaults: steps, \
                baseline, blur, signed",
        build: removal::build_preservation,
    },
    Entry {
        name: "random-labels",
        about: "heat maps of the network and of one trained on random labels, by rank correlation \
                (Adebayo et al. 2018); no options",
        build: randomisation::build_labels,
    },
    Entry {
        name: "randomisation",
        about: "heat maps before and after weights are drawn anew, by rank correlation (Adebayo et al. \
                2018); no options",
        build: randomisation::build,
    },
    Entry {
        name: "relevance",
        about: "R, harmonic mean of preservation and 1 − deletion, image by image (Lim et al. \
                2021, S3.3); options: those of deletion, with the same defaults: steps, baseline, \
                blur, signed",
        build: removal::build_relevance,
    },
    Entry {
        name: "retrieval",
        about: "is the true class that of mask ⊙ x, mask and x clean or attacked (Lim et al. \
                2021, 4.1); options: mask (percentile: |map| over its 99th percentile, cut at 1, \
                for gradients; minmax: map from its least 0 to its largest 1, for gradcam; raw: \
                the map cut to [0, 1], for relex), baseline (0, in [0, 1]: seen where the mask is \
                0), attacked (true; false: clean images alone, and no attack is made)",
        build: retrieval::build,
    },
    Entry {
        name: "sensitivity",
        about: "share of a map that changes in an ℓ∞ ball (Yeh et al. 2019, Definition 3.1); options: \
                samples (50 points), radius (0.1, in [0, 1] pixels), unit (false; true: every map is \
                first divided by its length, as in the paper)",
        build: sensitivity::build,
    },
    Entry {
        name: "similarity",
        about: "heat maps before and after an attack, by every similarity (Wang et al. 2020); options: \
                k (20 up to 32x32, 80 up to 64x64, else 1000: pixels of the top)",
        build: similarity::build,
    },
];

/// The metric that `table` (`name` and options) asks for; undefined where there is no map.
pub fn metric(table: Table) -> Result<Box<dyn Metric>> {
    Ok(Box::new(defined::Defined(registry::build("metric", METRICS, table)?)))
}
