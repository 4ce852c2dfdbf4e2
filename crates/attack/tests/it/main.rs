//! What attacks promise: every line of the registries, formulas of the papers, other
//! implementations.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod ball;
mod map {
    //! Attacks on maps.
    mod conformance;
    mod formulas;
    mod golden;
    mod strength;
    mod tiny;
    mod victims;
}
mod prediction {
    //! Attacks on predictions.
    mod conformance;
    mod golden;
    mod pgd;
    mod standard;
    mod stored;
}
mod smoothed;
