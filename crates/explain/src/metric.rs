//! Measures of explanations: one number an image from a model, a method and its maps. What is drawn
//! is keyed by image, so neither the batch nor the chunk changes a number.

use crate::{Attribution, Batch, engine::limit::ChunkLimit};
use anyhow::Result;
use models::Model;
use registry::Entry;
use serde::{Deserialize, Serialize};
use std::{cell::RefCell, collections::BTreeMap};
use tch::Tensor;
use toml::Table;

mod bounds;
mod complexity;
mod defined;
mod faithfulness;
mod infidelity;
mod localisation;
mod randomisation;
mod removal;
mod retrieval;
mod robustness;
mod similarity;
mod size;
pub mod statistics;

use results::Better;

/// What is measured: the maps of one method for a batch of images, and what made them.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// The network that is explained.
    pub model: &'a dyn Model,
    /// How.
    pub method: &'a dyn Attribution,
    /// Images, classes and keys.
    pub batch: &'a Batch,
    /// `method`'s maps of the batch, `[N, C, H, W]`.
    pub maps: &'a Tensor,
    /// Of what goes into the model's nonlinearities ([`models::spreads`]): in whose units surrogates are
    /// sharp; none: in absolute ones.
    pub spreads: &'a [f64],
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

/// Results that several metrics or methods ask for, made once, by what they are. None depends on
/// how passes are cut.
#[derive(Debug, Default)]
pub struct Memo(RefCell<BTreeMap<String, Tensor>>);

impl Memo {
    fn get(&self, what: String, make: impl FnOnce() -> Tensor) -> Tensor {
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
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
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
    /// Maps of other images than those of the case, by [`Case::method`].
    pub explains: bool,
}

impl Needs {
    /// Whether maps are made besides [`Case::maps`]: not possible where those are all there is
    /// ([`Attribution::stored`]).
    pub fn other_maps(self) -> bool {
        self.attacked || self.randomised || self.random_labels || self.explains
    }
}

/// Says how good maps are.
///
/// ```
/// use explain::{Attribution, Batch, metric::{Case, Memo, metric}};
/// use models::{Classifier, Model, Target, zoo, zoo::{Normalisation, Shape}};
/// use tch::{Device, Kind, Tensor};
///
/// # let shape = Shape { image: [1, 8, 8], classes: 2 };
/// # let scale = Normalisation::parse("none", 1)?;
/// # let model = Classifier::new(zoo::arch("cnn")?, shape, scale, 0, Device::Cpu);
/// # let x = Tensor::rand([3, 1, 8, 8], (Kind::Float, Device::Cpu));
/// let labels = model.logits(&x).argmax(1, false);
/// let target = Target::logit(&labels);
/// let (batch, method) = (Batch::new(&x, &target), explain::parse("gxi")?);
/// let (maps, memo) = (method.attribute(&model, &batch), Memo::default());
/// let complexity = metric(registry::parse("complexity")?)?;
/// let values = complexity.measure(&Case {
///     model: &model,
///     method: &*method,
///     batch: &batch,
///     maps: &maps,
///     spreads: &[],
///     labels: &labels,
///     masks: None,
///     attacked: None,
///     randomised: &[],
///     model_cache: &memo,
///     map_cache: &Memo::default(),
/// });
/// assert_eq!((values.len(), values[0].size()), (complexity.columns().len(), vec![3]));
/// # Ok::<(), anyhow::Error>(())
/// ```
pub trait Metric: Send + Sync {
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
    bounds::gradients::ENTRY,
    bounds::agarwal21::ENTRY,
    bounds::lim21::ENTRY,
    bounds::tan23::ENTRY,
    bounds::wang20::ENTRY,
    bounds::yeh19::ENTRY,
    complexity::ENTRY,
    removal::DELETION,
    faithfulness::ENTRY,
    robustness::gap::ENTRY,
    infidelity::ENTRY,
    removal::INSERTION,
    robustness::lipschitz::ENTRY,
    localisation::ENTRY,
    removal::PRESERVATION,
    randomisation::RANDOM_LABELS,
    randomisation::ENTRY,
    removal::RELEVANCE,
    retrieval::ENTRY,
    robustness::sensitivity::ENTRY,
    similarity::ENTRY,
    size::ENTRY,
];

/// The metric that `table` (`name` and options) asks for; undefined where there is no map. Where
/// memory is exhausted, its passes get smaller and stay so.
pub fn metric(table: Table) -> Result<Box<dyn Metric>> {
    let limit = ChunkLimit::named(&registry::spelled(&table));
    let metric = registry::build("metric", METRICS, table)?;
    Ok(Box::new(defined::Defined { metric, limit }))
}
