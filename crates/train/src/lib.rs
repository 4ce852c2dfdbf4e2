//! Training: objectives, optimisers with a state that can be saved, schedules, the loop and its
//! exact resume, logs. Knows no attack: the root hands an adversary in as a closure.

pub mod config;
pub mod curvature;
pub mod ema;
mod epoch;
pub mod evaluate;
pub mod log;
#[cfg(feature = "mpi")]
pub mod mpi;
pub mod objective;
pub mod optimizer;
pub mod ranks;
pub mod resume;
pub mod run;
pub mod schedule;
mod sums;
pub mod tensorboard;

pub use config::{Config, DataConfig};
pub use curvature::curvature;
pub use evaluate::accuracy;
pub use log::EpochLine;
#[cfg(feature = "mpi")]
pub use mpi::Mpi;
pub use ranks::{Alone, Ranks};
pub use run::{Job, OnNan, Tick, Watch, run};
