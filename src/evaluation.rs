//! What commands that attack or measure maps share: the attack as the command line asks for it, its
//! per-image results, and the finished batches that a killed run goes on behind.

use tensorfile::words;

mod batch_store;
mod judging;
mod map_attack;
mod per_image;
mod surrogate;

pub use batch_store::{Named, Parts};
pub use judging::Judging;
pub use map_attack::{Fitted, Plan};
pub use per_image::{Judge, Run, table};

/// What the user is told of images without a map, with a setting of the method that may be why.
pub fn no_map_warning(count: u64, images: usize, method: &str) -> String {
    let images = words::count(images, "image");
    let why =
        registry::parse(method).and_then(explain::method).ok().and_then(|method| method.vanishes());
    let why = why.map_or_else(String::new, |why| format!(" ({why})"));
    format!("warning: no map by `{method}`, zero everywhere, at {count} of {images}{why}")
}
