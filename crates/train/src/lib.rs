//! Training: objectives, optimisers with a state that can be saved, schedules, the loop and its
//! exact resume, logs. Knows no attack: the root hands an adversary in as a closure.

pub mod communicator;
pub mod config;
pub mod curvature;
pub mod ema;
mod epoch;
pub mod evaluate;
mod job;
pub mod log;
pub mod objective;
pub mod optimizer;
pub mod resume;
mod run;
pub mod schedule;

#[cfg(feature = "mpi")]
pub use communicator::mpi::Mpi;
pub use communicator::{Communicator, SingleProcess};
pub use config::{Config, DataConfig};
pub use curvature::curvature;
pub use evaluate::{Accuracy, accuracy, right};
pub use job::{Job, Observer, OnNan, Tick};
pub use log::EpochLine;
pub use run::run;
