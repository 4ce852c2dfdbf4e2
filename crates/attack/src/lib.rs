//! Attacks: a ball around each image, an objective to climb, and a loop that keeps the best
//! iterate. Prints nothing and reads no file.

pub mod ball;
pub mod map;
pub mod objective;

pub use ball::{Ball, Norm};
pub use map::{MapAttack, Outcome};
pub use objective::{ATTACKS, MapLoss, Reference, map_loss};
