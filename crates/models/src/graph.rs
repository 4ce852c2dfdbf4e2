//! ONNX graphs as networks: from what a file says to the nodes that make logits of images, in an
//! order in which they run, to a [`Model`](crate::Model) written against [`Ops`](crate::Ops).

mod batch;
mod ends;
mod fold;
mod front;
mod guard;
mod inline;
mod lower;
mod network;
pub mod operators;
mod order;
mod read;
mod taps;
mod trace;
mod write;

use ends::float_inputs;
pub use ends::{Input, input, output};
pub(crate) use guard::guard;
pub use guard::guarded;
pub use inline::{Node, nodes};
pub use network::Graph;
pub use order::{check_supported, needed};
pub use read::{Read, read};
