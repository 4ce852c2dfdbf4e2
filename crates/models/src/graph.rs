//! ONNX graphs: from what a file says to the nodes that make logits of images, in an order in which
//! they run. Nothing is computed here.

mod ends;
mod inline;
pub mod operators;
mod order;

pub use ends::{Input, input, output};
pub use inline::{Node, nodes};
pub use order::{check_supported, needed};
