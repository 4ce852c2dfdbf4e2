//! What methods, metrics and similarities promise: every line of the registries, formulas of the
//! papers, other implementations.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod certificate;
mod engine {
    //! What methods and metrics share.
    mod activations;
    mod draws;
    mod memory;
}
mod method {
    //! Attribution methods.
    mod averages;
    mod axioms;
    mod baselines;
    mod cells;
    mod conformance;
    mod groups;
    mod lime;
    mod limits;
    mod masker;
    mod masks;
    mod rules;
    mod saturation;
    mod surrogates;
    mod vanishing;
}
mod metric {
    //! Metrics of maps.
    mod ascent;
    mod asked_once;
    mod bounds;
    mod control;
    mod faithful;
    mod golden;
    mod infidelity;
    mod known;
    mod linear;
    mod maps;
    mod options;
    mod removal;
    mod robust;
    mod seeds;
}
mod of;
mod sampling {
    //! Draws and superpixels.
    mod kernels;
    mod quickshift;
}
mod similarity;
