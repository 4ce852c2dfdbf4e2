//! Attribution methods and measures of their maps. A map is signed, `[N, C, H, W]`; a heat map is
//! what is compared. Draws no random number but through `models::noise`.

use anyhow::Result;
use models::Model;
use tch::Tensor;

mod batch;
pub mod certificate;
pub mod engine;
pub mod heatmap;
pub mod masker;
mod method;
pub mod metric;
pub mod sampling;
pub mod similarity;

pub use batch::Batch;
pub use engine::estimate::Estimate;
pub use heatmap::heat;
pub use method::{
    METHODS, RTSAL, STORED, Tap, entry, method, own_names, parse, parse_or_stored, taps,
};
pub use metric::Metric;
pub use results::Better;
pub use similarity::Similarity;

/// Says which pixels a score comes from.
///
/// ```
/// use explain::{Attribution, Batch};
/// use models::{Classifier, Model, Target, zoo, zoo::{Normalisation, Shape}};
/// use tch::{Device, Kind, Tensor};
///
/// /// Zeiler & Fergus with a window of one pixel: what f loses without it.
/// struct OnePixel;
///
/// impl Attribution for OnePixel {
///     fn attribute(&self, model: &dyn Model, batch: &Batch) -> Tensor {
///         let f = |x: &Tensor| batch.target.of(&model.logits(x));
///         let (before, map) = (f(&batch.x), batch.x.zeros_like());
///         for pixel in 0..batch.x.flatten(1, -1).size()[1] {
///             let without = batch.x.copy();
///             let _ = without.flatten(1, -1).select(1, pixel).fill_(0.);
///             let _ = map.flatten(1, -1).select(1, pixel).copy_(&(&before - f(&without)));
///         }
///         map.detach()
///     }
/// }
///
/// let shape = Shape { image: [1, 8, 8], classes: 2 };
/// let scale = Normalisation::parse("none", 1)?;
/// let model = Classifier::new(zoo::arch("cnn")?, shape, scale, 0, Device::Cpu);
/// let x = Tensor::rand([3, 1, 8, 8], (Kind::Float, Device::Cpu));
/// let target = Target::predicted(&model, &x, Default::default());
/// assert_eq!(OnePixel.attribute(&model, &Batch::new(&x, &target)).size(), [3, 1, 8, 8]);
/// // Those of the registry, by name and options:
/// let ig = explain::parse("ig:points=4")?;
/// assert_eq!(ig.attribute(&model, &Batch::new(&x, &target)).size(), [3, 1, 8, 8]);
/// # Ok::<(), anyhow::Error>(())
/// ```
pub trait Attribution: Send + Sync {
    /// Signed maps `[N, C, H, W]` in the type of the images, with no graph.
    fn attribute(&self, model: &dyn Model, batch: &Batch) -> Tensor;

    /// Maps and the logits at `x`, for who needs both: methods that pass through `x` anyway give
    /// them in one pass.
    fn with_logits(&self, model: &dyn Model, batch: &Batch) -> (Tensor, Tensor) {
        (self.attribute(model, batch), batch.logits(model))
    }

    /// Maps, their standard errors and how many draws they took, where they are means over draws.
    fn estimate(&self, _model: &dyn Model, _batch: &Batch) -> Option<Estimate> {
        None
    }

    /// What the settings ask of a model and of its images, `[C, H, W]`, checked before the first
    /// pass.
    fn check(&self, _model: &dyn Model, _image: [i64; 3]) -> Result<()> {
        Ok(())
    }

    /// For methods that promise completeness: f(x) − f(baseline) − Σ map, `[N]`, with no graph.
    fn convergence_delta(
        &self,
        _model: &dyn Model,
        _batch: &Batch,
        _map: &Tensor,
    ) -> Option<Tensor> {
        None
    }

    /// What follows from the settings for images `[C, H, W]`, in a sentence, where there is
    /// something.
    fn note(&self, _image: [i64; 3]) -> Option<String> {
        None
    }

    /// Whether its maps come from the keys of images alone. Then [`Batch::moved`] draws anew: such
    /// a map would else be the same at any image, and robust by construction.
    fn ignores_image(&self) -> bool {
        false
    }

    /// Maps that were made elsewhere, `[N, C, H, W]`, of all images in their order, where the method is
    /// those and explains nothing else.
    fn stored(&self) -> Option<Tensor> {
        None
    }

    /// Why a map may be zero everywhere, where a setting makes that likely.
    fn vanishes(&self) -> Option<String> {
        None
    }

    /// The method as one whose maps can be pulled back to the pixels, where calculus allows.
    fn differentiable(&self) -> Option<&dyn Differentiable> {
        None
    }
}

/// A cotangent chosen once the map is known: map -> v, both `[N, C, H, W]`.
pub type Cotangent<'a> = dyn Fn(&Tensor) -> Tensor + 'a;

/// A method with a vector–Jacobian product.
///
/// ```
/// use explain::Batch;
/// use models::{Classifier, Model, Target, zoo, zoo::{Normalisation, Shape}};
/// use tch::{Device, Kind, Tensor};
///
/// # let shape = Shape { image: [1, 8, 8], classes: 2 };
/// # let scale = Normalisation::parse("none", 1)?;
/// # let model = Classifier::new(zoo::arch("cnn")?, shape, scale, 0, Device::Cpu);
/// # let x = Tensor::rand([3, 1, 8, 8], (Kind::Float, Device::Cpu));
/// let target = Target::predicted(&model, &x, Default::default());
/// let gxi = explain::parse("gxi")?;
/// let gxi = gxi.differentiable().expect("input × gradient is");
/// // The gradient of Σ map² / 2: its cotangent is the map.
/// let (map, gradient) = gxi.pullback(&model, &Batch::new(&x, &target), &|map| map.shallow_clone());
/// assert_eq!(map.size(), gradient.size());
/// # Ok::<(), anyhow::Error>(())
/// ```
pub trait Differentiable: Attribution {
    /// The map and (∂map/∂x)ᵀ v for v = `cotangent(map)`, both `[N, C, H, W]`, with no graph.
    /// Memory does not grow with the number of samples a method averages over.
    fn pullback(&self, model: &dyn Model, batch: &Batch, cotangent: &Cotangent)
    -> (Tensor, Tensor);

    /// (∂map/∂x)ᵀ v, `[N, C, H, W]`.
    fn vjp(&self, model: &dyn Model, batch: &Batch, v: &Tensor) -> Tensor {
        self.pullback(model, batch, &|_| v.shallow_clone()).1
    }
}
