//! Layer-wise relevance propagation: the epsilon rule (Bach et al. 2015) and the gamma rule
//! (Montavon et al. 2019), as gradient times input of surrogates. Biases, the normalisation's mean
//! among them, keep their share; attention and layer norm pass gradient times input.

use crate::{Attribution, Batch, engine::chunks};
use anyhow::{Result, ensure};
use models::{
    Activation, Affine, Model, Ops,
    grad::{self, swap_gradient},
};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::Tensor;
use toml::Table;

/// In the list of methods.
pub(crate) const ENTRY: Entry<dyn Attribution> = Entry {
    name: "lrp",
    about: "layer-wise relevance propagation (Bach et al. 2015)",
    options: described::<Lrp>(&[
        ("epsilon", "stabiliser of denominators, in units of activations, 1e-30 or more"),
        (
            "gamma",
            "how far contributions of a layer's own sign are raised, 0 (off) or more (Montavon \
             et al. 2019)",
        ),
    ])
    .alias(&["LRP"]),
    build,
};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Lrp {
    #[serde(default = "stabilizer", deserialize_with = "registry::fraction")]
    epsilon: f64,
    #[serde(default, deserialize_with = "registry::fraction")]
    gamma: f64,
}

fn stabilizer() -> f64 {
    1e-9
}

fn build(table: Table) -> Result<Box<dyn Attribution>> {
    let options: Lrp = registry::options(table)?;
    let Lrp { epsilon, gamma } = options;
    // smaller ones vanish in single precision and leave 0/0
    ensure!(epsilon >= 1e-30, "`epsilon` is {epsilon}; it must be positive, 1e-30 or more");
    ensure!(gamma >= 0., "`gamma` is {gamma}; it must be 0 (off) or positive");
    Ok(Box::new(options))
}

impl Lrp {
    /// z with contributions of its own sign raised by γ. For inputs that are not negative and
    /// z > 0 these are the positive weights (Montavon's rule); elsewhere the sum stays away from 0.
    fn raised(
        &self,
        layer: &Affine,
        (w, b): (&Tensor, Option<&Tensor>),
        x: &Tensor,
        z: &Tensor,
    ) -> Tensor {
        if self.gamma == 0. {
            return z.shallow_clone();
        }
        let b = b.map(Tensor::relu);
        let positive = layer.with(&x.relu(), &w.relu(), b.as_ref())
            + layer.with(&(-x).relu(), &(-w).relu(), None);
        z + positive.where_self(&z.ge(0.), &(z - &positive)) * self.gamma
    }
}

/// Passes relevance R back as R = (gradient) · (value), for every tensor on the way.
impl Ops for Lrp {
    fn affine(&self, layer: &Affine, x: &Tensor) -> Tensor {
        let (w, b) = layer.weights();
        let x = x.to_kind(w.kind());
        let z = layer.with(&x, &w, b.as_ref());
        let raised = self.raised(layer, (&w, b.as_ref()), &x, &z);
        let sign = raised.ge(0.).to_kind(z.kind()) * 2. - 1.;
        let share = (&z / (&raised + sign * self.epsilon)).detach();
        swap_gradient(&z, &(raised * share))
    }

    /// All relevance passes, but for what a softplus or a sigmoid gives at 0: that part is a bias.
    fn act(&self, activation: &Activation, z: &Tensor) -> Tensor {
        let y = activation.apply(z);
        let at_zero = activation.apply(&Tensor::zeros([1], (z.kind(), z.device())));
        let share = ((&y - at_zero) / z).nan_to_num(0., 0., 0.).detach();
        swap_gradient(&y.detach(), &(z * share))
    }
}

impl Attribution for Lrp {
    fn attribute(&self, model: &dyn Model, batch: &Batch) -> Tensor {
        let [map] = chunks::map(batch, |pass| {
            let Batch { x, target, .. } = &pass.block;
            [grad::grad(x, |x| target.of(&model.forward(x, self))) * x.detach()]
        });
        map
    }
}
