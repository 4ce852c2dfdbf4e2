//! Methods whose map is a mask that was fitted, to one image or by a network to all.

pub(super) mod fgvis;
pub(super) mod perturbation;
pub(super) mod relex;
pub(super) mod rtsal;
