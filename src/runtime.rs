//! The machine: devices, ranks, memory, outputs, and what a person sees.

pub mod arithmetic;
pub mod cuda;
pub mod device;
pub mod graphs;
pub mod launcher;
pub mod memory;
pub mod outputs;
pub mod ui;
pub mod workers;
