//! The repository held equal to what it says: documents, registries, layout, readers of files,
//! shipped weights.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod coverage;
mod docs;
mod imports;
mod onnx_data;
mod pages;
mod printed;
mod readers;
mod real_data;
mod registries;
mod result_pages;
mod tidy;
