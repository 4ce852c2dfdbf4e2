//! Networks against PyTorch's, their parameters, checkpoints, passes, gradients and keyed noise.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod activation;
mod foreign;
mod geometry;
mod golden;
mod graph;
mod graph_model;
mod jvp;
mod network;
mod noise;
mod operators;
mod operators_wrong;
mod sync_norm;
mod toy;
mod zoo;
