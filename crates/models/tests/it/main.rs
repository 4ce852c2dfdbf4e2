//! Networks against PyTorch's, their parameters, checkpoints, passes, gradients and keyed noise.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod activation;
mod flat;
mod foreign;
mod golden;
mod graph;
mod graph_model;
mod hugging_face;
mod network;
mod numeric {
    //! What passes are made of: layers in their generality, derivatives, noise, shared statistics.
    mod geometry;
    mod jvp;
    mod noise;
    mod sync_norm;
    mod trained_pass;
}
mod operators;
mod operators_wrong;
mod stand_in;
mod toy;
mod zoo;
