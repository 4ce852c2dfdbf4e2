//! A tensor that several threads read.

use std::sync::{Mutex, PoisonError};
use tch::Tensor;

/// tch's tensors cannot be read by threads at once; each takes its own handle on the same numbers.
#[derive(Debug)]
pub struct SharedTensor(Mutex<Tensor>);

impl SharedTensor {
    /// Nobody else may change it from now on.
    pub fn new(t: Tensor) -> Self {
        SharedTensor(Mutex::new(t))
    }

    /// The same numbers, not a copy.
    pub fn get(&self) -> Tensor {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).shallow_clone()
    }
}
