//! Attribution methods and measures of their maps. A map is signed, `[N, C, H, W]`; a heat map is
//! what is compared. Draws no random number but through `models::noise`.

use anyhow::Result;
use models::{
    Model,
    registry::{self, Entry},
};
use tch::Tensor;
use toml::Table;

mod average;
mod batch;
mod clime;
mod cut;
mod deeplift;
mod gradcam;
mod groups;
mod guided;
pub mod halving;
pub mod heat;
mod kernel;
mod kernelshap;
mod lime;
mod lrp;
mod mask;
pub mod metric;
mod noisy;
mod normal;
mod occlusion;
mod optimal;
mod path;
pub mod quickshift;
mod references;
mod relex;
pub mod similarity;
mod smooth;
pub mod surrogate;

pub use batch::Batch;
pub use heat::heat;
pub use metric::Metric;
pub use similarity::Similarity;

/// Says which pixels a score comes from.
pub trait Attribution {
    /// Signed maps `[N, C, H, W]` in the type of the images, with no graph.
    fn attribute(&self, model: &dyn Model, batch: &Batch) -> Tensor;

    /// Maps and the logits at `x`, for who needs both: methods that pass through `x` anyway give
    /// them in one pass.
    fn with_logits(&self, model: &dyn Model, batch: &Batch) -> (Tensor, Tensor) {
        (self.attribute(model, batch), batch.logits(model))
    }

    /// What the settings ask of a model and of its images, `[C, H, W]`, checked before the first
    /// pass.
    fn check(&self, _model: &dyn Model, _image: [i64; 3]) -> Result<()> {
        Ok(())
    }

    /// For methods that promise completeness: f(x) − f(baseline) − Σ map, `[N]`, with no graph.
    fn gap(&self, _model: &dyn Model, _batch: &Batch, _map: &Tensor) -> Option<Tensor> {
        None
    }

    /// What follows from the settings for images `[C, H, W]`, in a sentence, where there is something.
    fn note(&self, _image: [i64; 3]) -> Option<String> {
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

/// Every method, sorted by name.
pub const METHODS: &[Entry<dyn Attribution>] = &[
    Entry {
        name: "clime",
        about: "C-LIME: least squares of f on N(x, σ²I) (Agarwal et al. 2021); options: samples (1000), \
                sigma (0.1, in [0, 1] pixels), ridge (0: λ of Lemma 6), covariance (sample: of the \
                draws, the shortest fit where they are fewer than the numbers; population: σ²I)",
        build: clime::build,
    },
    Entry {
        name: "deconvnet",
        about: "deconvolution rule: at a nonlinearity the gradient is cut at 0 and not masked \
                (Zeiler & Fergus 2014); no options",
        build: guided::build_deconvnet,
    },
    Entry {
        name: "deeplift",
        about: "DeepLIFT, rescale rule, times x − baseline (Shrikumar et al. 2017); options: \
                baseline (0: every pixel's value, in [0, 1])",
        build: deeplift::build,
    },
    Entry {
        name: "expected-gradients",
        about: "integrated gradients over many baselines, one place on the way from each (Erion et al. \
                2021); options: samples (100), baseline (uniform: U[0, 1] noise; blur; a value in \
                [0, 1]; or a .safetensors file whose `images` are drawn), blur (3 pixels: σ of the \
                blurred baseline)",
        build: path::build_expected,
    },
    Entry {
        name: "gradcam",
        about: "Grad-CAM of a tap, upsampled (Selvaraju et al. 2017); options: layer (the \
                model's last tap with more than one place), relu (true: cut at 0)",
        build: gradcam::build,
    },
    Entry {
        name: "guided",
        about: "guided back-propagation: the gradient is cut at 0 before each nonlinearity's \
                slope (Springenberg et al. 2015); no options",
        build: guided::build_guided,
    },
    Entry {
        name: "gxi",
        about: "gradient times input, x ⊙ ∇f(x) (Shrikumar et al. 2016; SM in Wang et al. 2020); \
                no options",
        build: average::build_gxi,
    },
    Entry {
        name: "ig",
        about: "integrated gradients, (x − b) ⊙ mean ∇f on the way from b to x (Sundararajan et al. \
                2017); options: points (50), rule (right; left, midpoint, trapezoid, \
                gauss-legendre), baseline (0: a value in [0, 1]; blur; uniform: U[0, 1] noise; or a \
                .safetensors file of `images`), baselines (1: that many uniform ones, or images \
                from the first on, averaged), blur (3 pixels: σ of the blurred baseline)",
        build: path::build_ig,
    },
    Entry {
        name: "kernelshap",
        about: "Shapley values of groups by weighted least squares (Lundberg & Lee 2017); options: \
                samples (100), groups (quickshift; grid, pixels, scalars, which tables \
                always have), cells (10: the grid is \
                cells × cells), baseline (0: a value in [0, 1]), all (false; true: every coalition \
                of at most 14 groups, exact)",
        build: kernelshap::build,
    },
    Entry {
        name: "lime",
        about: "LIME: ridge regression on groups switched off (Ribeiro et al. 2016); options: samples \
                (100), groups (quickshift; grid, pixels, scalars), cells (10: the grid is cells × \
                cells), kernel (cosine: of mask and ones; images: of copy and image), width (1, in \
                cosine distance), alpha (1: ridge), baseline (0: a value in [0, 1])",
        build: lime::build,
    },
    Entry {
        name: "lrp",
        about: "layer-wise relevance propagation (Bach et al. 2015); options: epsilon (1e-9: \
                stabilizer, in units of activations), gamma (0: how far contributions of a \
                layer's own sign are raised, Montavon et al. 2019)",
        build: lrp::build,
    },
    Entry {
        name: "mask",
        about: "meaningful perturbation (Fong & Vedaldi 2017): one minus the mask that takes the class \
                away; options: steps (300, of Adam), learning_rate (0.1), cell (4 pixels: side of a \
                mask's cell), lambda1 (0.01: weight of the mask's mean), lambda2 (0.2: of its \
                variation), power (3: of the variation), baseline (blur, or a value in [0, 1]), blur \
                (3 pixels: σ)",
        build: mask::build,
    },
    Entry {
        name: "noisy-baseline",
        about: "least-infidelity map where the image becomes noise (Yeh et al. 2019); options: samples \
                (1000), scale (0.2: of the noise, in [0, 1] pixels), ridge (1e-6, of the mean \
                squared perturbation)",
        build: optimal::build_noisy_baseline,
    },
    Entry {
        name: "occlusion",
        about: "drop of f when a square is covered, averaged over the squares on a pixel (Zeiler & \
                Fergus 2014); options: size (4 pixels), stride (2 pixels), baseline (0: a value in \
                [0, 1])",
        build: occlusion::build,
    },
    Entry {
        name: "random",
        about: "N(0, 1) noise: a control that knows nothing; no options",
        build: noisy::build_random,
    },
    Entry {
        name: "relex",
        about: "RelEx (Lim et al. 2021): the mask that keeps the class on noisy copies and whose rest \
                does not; options: steps (50), samples (50 noisy copies a step; 100 in the paper), \
                learning_rate (0.1; 0.001 in the paper), momentum (0.99), lambda1 (1e-4), lambda2 \
                (1), sigma (0.1, of each image's max − min), baseline (0: what is masked becomes \
                this, in [0, 1]), shared (false: one mask for all channels)",
        build: relex::build,
    },
    Entry {
        name: "saliency",
        about: "input gradient, ∇f(x), signed (Simonyan et al. 2014); no options",
        build: average::build_saliency,
    },
    Entry {
        name: "smooth",
        about: "any method averaged over neighbours of the image (kernel smoothing, Tan & Tian 2023); \
                options: inner (saliency: a method, in quotes if it has options of its own), kernel \
                (gaussian; uniform, laplace, or a density of your own, linear between pairs: \
                [[-1, 0], [0, 1], [1, 0]]), size (0.03: σ, radius, scale, or what 1 means in the \
                pairs, in [0, 1] pixels), relative (false: size in units of each image's max − \
                min), samples (30)",
        build: smooth::build,
    },
    Entry {
        name: "smoothgrad",
        about: "mean ∇f(x + e), e ~ N(0, σ²I) (Smilkov et al. 2017); options: sigma (0.03, in [0, 1] \
                pixels), relative (false: sigma in units of each image's max − min), samples (10 up \
                to sigma 0.01, then 10 for each hundredth, as Tan & Tian 2023)",
        build: noisy::build_smoothgrad,
    },
    Entry {
        name: "square",
        about: "least-infidelity map where a square becomes black (Yeh et al. 2019); options: samples \
                (1000 squares; every square where there are no more), largest (10 pixels: side), all \
                (false; true: every square, one pixel apart), ridge (1e-6, of the mean squared \
                perturbation), units (gradient; contribution: times x, as in the paper's tables, \
                where black pixels have a share too; a pixel's channels have equal parts)",
        build: optimal::build_square,
    },
    Entry {
        name: "unigrad",
        about: "mean ∇f(x + e), e ~ U[−r, r] (Wang et al. 2020); options: radius (4/255, in [0, 1] \
                pixels), samples (50)",
        build: noisy::build_unigrad,
    },
];

/// The method that `table` (`name` and options) asks for.
pub fn method(table: Table) -> Result<Box<dyn Attribution>> {
    registry::build("method", METHODS, table)
}
