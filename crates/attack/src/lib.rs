//! Attacks: a ball around each image, an objective to climb, an optimiser that walks there, and a
//! tracker that keeps the best iterate. Prints nothing and reads no file.

pub mod ball;
mod best;
pub mod function;
pub mod map;
pub mod objective;
pub mod optim;
pub mod pgd;
pub mod prediction;
mod smoothed;

pub use ball::{Ball, Norm};
pub use best::Best;
pub use map::{
    ATTACKS, Beta, Descent, Ensemble, MapAttack, MapObjective, Outcome, Reference, Strength,
    Surrogate, map_objective,
};
pub use objective::Objective;
pub use optim::{AutoPgd, OPTIMIZERS, Optimizer, Sign, Step, Walk, optimizer};
pub use pgd::Pgd;
pub use prediction::{
    ADVERSARIES, Adversary, AttackInput, Loss, Square, adversary,
    autoattack::{NamedAdversary, Robustness, Summary},
};
pub use smoothed::SmoothedAttack;
