//! Training: settings, objectives, optimisers, the loop, its resume, several ranks.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod apart;
mod config;
mod graph;
mod objective {
    //! Objectives against their formulas.
    mod held;
    mod ig_norm;
    mod noise;
    mod overflow;
    mod robust;
    mod ssr;
}
mod optimizers;
mod ranks;
mod run;
mod tiny;
