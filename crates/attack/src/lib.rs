//! Attacks: a ball around each image, an objective to climb, and a loop that keeps the best
//! iterate. Prints nothing and reads no file.

pub mod apgd;
pub mod ball;
pub mod loss;
pub mod map;
pub mod objective;
pub mod pgd;
pub mod prediction;
pub mod rule;
pub mod square;
pub mod standard;

pub use ball::{Ball, Norm};
pub use loss::Loss;
pub use map::{Beta, MapAttack, Outcome, Search};
pub use objective::{ATTACKS, MapLoss, Reference, map_loss};
pub use pgd::Pgd;
pub use prediction::{ADVERSARIES, Adversary, Case, adversary};
pub use rule::{RULES, Rule, rule};
pub use square::Square;
pub use standard::{Named, Robustness, Summary};
