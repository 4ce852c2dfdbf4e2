//! Attribution methods and measures of their maps. A map is signed, `[N, C, H, W]`; a heat map is
//! what is compared. Draws no random number but through `models::noise`.

use anyhow::Result;
use models::{
    Model, Target,
    registry::{self, Entry},
};
use tch::Tensor;
use toml::Table;

mod gradient;
pub mod heat;
pub mod similarity;

pub use heat::heat;
pub use similarity::Similarity;

/// Says which pixels a score comes from.
pub trait Attribution {
    /// x `[N, C, H, W]`, one target per image -> signed maps `[N, C, H, W]`, with no graph.
    fn attribute(&self, model: &dyn Model, x: &Tensor, target: &Target) -> Tensor;

    /// Maps and the logits at `x`, for who needs both: methods that pass through `x` anyway give
    /// them in one pass.
    fn with_logits(&self, model: &dyn Model, x: &Tensor, target: &Target) -> (Tensor, Tensor) {
        (self.attribute(model, x, target), tch::no_grad(|| model.logits(x)))
    }

    /// What the settings ask of a model, checked before the first pass.
    fn check(&self, _model: &dyn Model) -> Result<()> {
        Ok(())
    }

    /// The method as one whose maps can be pulled back to the pixels, where calculus allows.
    fn differentiable(&self) -> Option<&dyn Differentiable> {
        None
    }
}

/// A cotangent chosen once the map is known: map -> v, both `[N, C, H, W]`.
pub type Cotangent<'a> = dyn Fn(&Tensor) -> Tensor + 'a;

/// A method with a vector–Jacobian product.
pub trait Differentiable: Attribution {
    /// The map and (∂map/∂x)ᵀ v for v = `cotangent(map)`, both `[N, C, H, W]`, with no graph.
    /// Memory does not grow with the number of samples a method averages over.
    fn pullback(
        &self,
        model: &dyn Model,
        x: &Tensor,
        target: &Target,
        cotangent: &Cotangent,
    ) -> (Tensor, Tensor);

    /// (∂map/∂x)ᵀ v, `[N, C, H, W]`.
    fn vjp(&self, model: &dyn Model, x: &Tensor, target: &Target, v: &Tensor) -> Tensor {
        self.pullback(model, x, target, &|_| v.shallow_clone()).1
    }
}

/// Every method, sorted by name.
pub const METHODS: &[Entry<dyn Attribution>] = &[
    Entry {
        name: "gxi",
        about: "gradient times input, x ⊙ ∇f(x) (Shrikumar et al. 2016; SM in Wang et al. 2020); \
                no options",
        build: |t| Ok(Box::new(gradient::Gradient::from_table(gradient::Finish::TimesInput, t)?)),
    },
    Entry {
        name: "saliency",
        about: "input gradient, ∇f(x), signed (Simonyan et al. 2014); no options",
        build: |t| Ok(Box::new(gradient::Gradient::from_table(gradient::Finish::Plain, t)?)),
    },
];

/// The method that `table` (`name` and options) asks for.
pub fn method(table: Table) -> Result<Box<dyn Attribution>> {
    registry::build("method", METHODS, table)
}
