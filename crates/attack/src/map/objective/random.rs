//! Random steps, the control that any attack must beat.

use super::topk::TopK;
use crate::map::reference::{MapObjective, Reference};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// In the list of attacks on maps.
pub(super) const ENTRY: Entry<dyn MapObjective> = Entry {
    name: "random",
    about: "steps of random signs, the control: what any attack must beat; judged by k-in",
    options: described::<Random>(&[]),
    build: |t| Ok(Box::new(registry::options::<Random>(t)?)),
};

/// Signs without aim.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Random {}

impl MapObjective for Random {
    fn loss(&self, heat: &Tensor, clean: &Reference) -> Tensor {
        TopK::default().loss(heat, clean)
    }

    fn measure(&self, heat: &Tensor, clean: &Reference) -> Tensor {
        TopK::default().measure(heat, clean)
    }

    fn gradient_free(&self) -> bool {
        true
    }
}
