//! What an attacker of maps wants: a smooth loss to descend on the surrogate's heat maps, and the
//! measure by which iterates are judged on the real network.

use anyhow::{Result, ensure};
use explain::{
    Attribution, Batch,
    heatmap::{centre, has_mass, heat, top},
    similarity::{centre_distance, overlap},
};
use models::{
    Model, noise,
    registry::{self, Entry},
};
use serde::Deserialize;
use std::f64::consts::{PI, TAU};
use tch::{Kind, Tensor};
use toml::Table;

mod targeted;

use targeted::Targeted;

/// The clean images' heat maps and what follows from them, computed once.
#[derive(Debug)]
pub struct Reference {
    /// Heat maps of the real network, `[N, H, W]`.
    pub heat: Tensor,
    /// Which pixels are among its k largest, bool `[N, H·W]`.
    pub top: Tensor,
    /// How many those are.
    pub k: i64,
    /// Logits of the real network, `[N, K]`.
    pub logits: Tensor,
    /// Its predictions, i64 `[N]`.
    pub prediction: Tensor,
    /// The heat maps an attacker aims at, `[N, H, W]`; none: the clean ones of the next image.
    target: Option<Tensor>,
    /// A direction per image, f64 `[N, 2]`, of length one: which way a centre is pushed first.
    way: Tensor,
}

impl Reference {
    /// Of the maps of `method` at the images of `batch`; 1 ≤ k ≤ H·W.
    pub fn new(method: &dyn Attribution, model: &dyn Model, batch: &Batch, k: i64) -> Self {
        let (maps, logits) = method.with_logits(model, batch);
        let heat = heat(&maps);
        let (top, prediction) = (top(&heat, k), logits.argmax(1, false));
        let angle = noise::uniform(&batch.keys_of(noise::name_id("way")), &[1], heat.device());
        let angle = angle.to_kind(Kind::Double) * TAU;
        let way = Tensor::cat(&[angle.cos(), angle.sin()], 1);
        Reference { heat, top, k, logits, prediction, target: None, way }
    }

    /// With other heat maps to aim at, `[N, H, W]`.
    pub fn aiming_at(self, target: &Tensor) -> Self {
        Reference { target: Some(target.to_kind(self.heat.kind())), ..self }
    }

    /// What restart number `restart` sees: other ways, evenly apart.
    pub(crate) fn turned(&self, restart: u32) -> Self {
        let golden = PI * (3. - 5f64.sqrt()) * f64::from(restart);
        let (sin, cos) = golden.sin_cos();
        let (row, column) = (self.way.select(1, 0), self.way.select(1, 1));
        let way = [&row * cos - &column * sin, &row * sin + &column * cos];
        let copy = Tensor::shallow_clone;
        Reference {
            heat: copy(&self.heat),
            top: copy(&self.top),
            k: self.k,
            logits: copy(&self.logits),
            prediction: copy(&self.prediction),
            target: self.target.as_ref().map(copy),
            way: Tensor::stack(&way, 1),
        }
    }

    /// Whether there is a map, and, where `loss` wants one, a map to aim at; bool `[N]`.
    pub fn can_be_attacked(&self, loss: &dyn MapLoss) -> Tensor {
        let own = has_mass(&self.heat);
        if loss.wants_target() { own.logical_and(&has_mass(&self.target())) } else { own }
    }

    /// The heat maps aimed at.
    fn target(&self) -> Tensor {
        self.target.as_ref().map_or_else(|| self.heat.roll([-1], [0]), Tensor::shallow_clone)
    }
}

/// A goal of an attack on maps.
pub trait MapLoss {
    /// Heat maps `[N, H, W]` -> `[N]`, differentiable, to be made small: of the surrogate to descend,
    /// of the real network to choose among iterates of equal measure.
    fn loss(&self, heat: &Tensor, clean: &Reference) -> Tensor;

    /// Heat maps of the real network `[N, H, W]` -> f64 `[N]`; smaller is a stronger attack.
    fn measure(&self, heat: &Tensor, clean: &Reference) -> Tensor;

    /// What a change of the network's outputs costs beside, `[N]`: logits `[N, K]`, differentiable.
    fn output_loss(&self, _logits: &Tensor, _clean: &Reference) -> Option<Tensor> {
        None
    }

    /// Whether steps are random signs and the loss is not descended.
    fn is_blind(&self) -> bool {
        false
    }

    /// Whether the heat maps of other images are aimed at.
    fn wants_target(&self) -> bool {
        false
    }

    /// Errors: settings that do not fit maps of this size.
    fn check(&self, _height: i64, _width: i64) -> Result<()> {
        Ok(())
    }
}

/// Every attack on maps, sorted by name.
pub const ATTACKS: &[Entry<dyn MapLoss>] = &[
    Entry {
        name: "manipulate",
        about: "makes the map that of another image (Dombrowski et al. 2019): gamma_map · MSE(heat, \
                target) + gamma_outputs · MSE(outputs, clean outputs); judged by the first MSE; options: \
                gamma_map (1e11), gamma_outputs (1e6), outputs (softmax, as in their code; logits: \
                holds the attack back far more), scaled (true: both gammas from 224×224 pixels and \
                1,000 classes to what there is; false: as they stand)",
        options: registry::Described::NONE,
        build: |t| Ok(Box::new(registry::options::<Manipulate>(t)?)),
    },
    Entry {
        name: "mass-centre",
        about: "moves the map's centre of mass as far as it goes (Ghorbani et al. 2019); judged by that \
                distance; options: push (1 pixel: how far from the clean centre the distance is \
                measured while descending, each image in a direction of its own)",
        options: registry::Described::NONE,
        build: |t| {
            let loss = registry::options::<MassCentre>(t)?;
            ensure!(
                loss.push.is_finite() && loss.push > 0.,
                "`push` is {}, not positive",
                loss.push
            );
            Ok(Box::new(loss))
        },
    },
    Entry {
        name: "random",
        about: "steps of random signs, the control: what any attack must beat; judged by k-in; no options",
        options: registry::Described::NONE,
        build: |t| Ok(Box::new(registry::options::<Random>(t)?)),
    },
    Entry {
        name: "targeted",
        about: "moves mass into a region (Ghorbani et al. 2019); judged by the mass outside it; options: \
                region (centre; top-left, top-right, bottom-left, bottom-right: a quarter of the map; \
                or [row, column, height, width] in pixels)",
        options: registry::Described::NONE,
        build: |t| Ok(Box::new(Targeted::build(t)?)),
    },
    Entry {
        name: "topk",
        about: "moves mass off the clean map's k largest pixels (Ghorbani et al. 2019); judged by k-in; \
                options beside --k: anchor (clean; current: off the k largest of each iterate)",
        options: registry::Described::NONE,
        build: |t| Ok(Box::new(registry::options::<TopK>(t)?)),
    },
];

/// The attack that `table` (`name` and options) asks for.
pub fn map_loss(table: Table) -> Result<Box<dyn MapLoss>> {
    registry::build("attack", ATTACKS, table)
}

/// Σ of `[N, …]` over all but the images.
fn total(t: &Tensor) -> Tensor {
    t.flatten(1, -1).sum_dim_intlist([1].as_slice(), false, None::<Kind>)
}

/// Which k largest pixels lose their mass.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Anchor {
    /// Those of the clean map.
    #[default]
    Clean,
    /// Those of each iterate.
    Current,
}

/// Σ of the heat on the k largest pixels.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TopK {
    anchor: Anchor,
}

impl MapLoss for TopK {
    fn loss(&self, heat: &Tensor, clean: &Reference) -> Tensor {
        let top = match self.anchor {
            Anchor::Clean => clean.top.shallow_clone(),
            Anchor::Current => top(&heat.detach(), clean.k),
        };
        total(&(heat.flatten(1, -1) * top.to_kind(heat.kind())))
    }

    fn measure(&self, heat: &Tensor, clean: &Reference) -> Tensor {
        overlap(&clean.top, &top(heat, clean.k), clean.k)
    }
}

/// Signs without aim.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Random {}

impl MapLoss for Random {
    fn loss(&self, heat: &Tensor, clean: &Reference) -> Tensor {
        TopK::default().loss(heat, clean)
    }

    fn measure(&self, heat: &Tensor, clean: &Reference) -> Tensor {
        TopK::default().measure(heat, clean)
    }

    fn is_blind(&self) -> bool {
        true
    }
}

/// −|c − c₀|², c₀ a little aside: at the clean centre itself the slope would be zero.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MassCentre {
    push: f64,
}

impl Default for MassCentre {
    fn default() -> Self {
        MassCentre { push: 1. }
    }
}

impl MapLoss for MassCentre {
    fn loss(&self, heat: &Tensor, clean: &Reference) -> Tensor {
        let aside = centre(&clean.heat) - &clean.way * self.push;
        total(&(centre(heat) - aside).square()).neg().to_kind(heat.kind())
    }

    fn measure(&self, heat: &Tensor, clean: &Reference) -> Tensor {
        centre_distance(heat, &clean.heat).neg()
    }
}

/// Pixels of the maps for which 1e11 and 1e6 were chosen.
const PIXELS: f64 = 224. * 224.;
/// And their classes.
const CLASSES: f64 = 1000.;

/// What of the network must not change.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outputs {
    #[default]
    Softmax,
    Logits,
}

/// Mean squared distance from another map.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Manipulate {
    gamma_map: f64,
    gamma_outputs: f64,
    outputs: Outputs,
    scaled: bool,
}

impl Default for Manipulate {
    fn default() -> Self {
        let outputs = Outputs::Softmax;
        Manipulate { gamma_map: 1e11, gamma_outputs: 1e6, outputs, scaled: true }
    }
}

/// Mean squared difference `[N]` of two maps.
fn mse(a: &Tensor, b: &Tensor) -> Tensor {
    (a - b).square().flatten(1, -1).mean_dim([1].as_slice(), false, None::<Kind>)
}

impl MapLoss for Manipulate {
    fn loss(&self, heat: &Tensor, clean: &Reference) -> Tensor {
        let size = heat.size()[1..].iter().product::<i64>() as f64;
        // Heat maps sum to one: their squares shrink with the square of the number of pixels.
        let scale = if self.scaled { (size / PIXELS).powi(2) } else { 1. };
        mse(heat, &clean.target()) * (self.gamma_map * scale)
    }

    fn measure(&self, heat: &Tensor, clean: &Reference) -> Tensor {
        mse(&heat.to_kind(Kind::Double), &clean.target().to_kind(Kind::Double))
    }

    fn output_loss(&self, logits: &Tensor, clean: &Reference) -> Option<Tensor> {
        let of = |logits: &Tensor| match self.outputs {
            Outputs::Softmax => logits.softmax(1, logits.kind()),
            Outputs::Logits => logits.shallow_clone(),
        };
        let scale = if self.scaled { logits.size()[1] as f64 / CLASSES } else { 1. };
        let weight = self.gamma_outputs * scale;
        (weight != 0.).then(|| mse(&of(logits), &of(&clean.logits)) * weight)
    }

    fn wants_target(&self) -> bool {
        true
    }
}
