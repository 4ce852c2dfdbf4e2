//! What methods and metrics sample: neighbours of an image, baselines, features, perturbations, and the
//! points of a path.

pub(crate) mod baseline;
pub(crate) mod features;
pub(crate) mod neighbours;
pub(crate) mod perturbation;
pub(crate) mod quadrature;
pub mod quickshift;
pub(crate) mod reference_images;
pub(crate) mod smoothing_kernel;
