//! The gradient of the score at the image (Simonyan et al. 2014) and gradient times input
//! (Shrikumar et al. 2016).

use crate::{
    Attribution, Batch,
    engine::gradient_average::{Average, SamplePoints, Samples},
};
use anyhow::Result;
use registry::{Described, Entry, NoOptions};
use toml::Table;

/// In the list of methods.
pub(crate) const GXI: Entry<dyn Attribution> = Entry {
    name: "gxi",
    about: "gradient times input, x ⊙ ∇f(x) (Shrikumar et al. 2016; SM in Wang et al. 2020)",
    options: Described::NONE.alias(&["InputXGradient"]),
    build: build_gxi,
};

/// In the list of methods.
pub(crate) const SALIENCY: Entry<dyn Attribution> = Entry {
    name: "saliency",
    about: "input gradient, ∇f(x), signed (Simonyan et al. 2014)",
    options: Described::NONE,
    build: build_saliency,
};

/// The image itself.
#[derive(Debug)]
struct Image {
    times_input: bool,
}

impl SamplePoints for Image {
    fn count(&self) -> u64 {
        1
    }

    fn place(&self, batch: &Batch, _samples: &[u64]) -> Samples {
        let x = &batch.x;
        let factor = self.times_input.then(|| x.shallow_clone());
        Samples { points: x.shallow_clone(), factor }
    }

    fn is_image(&self) -> bool {
        true
    }
}

/// ∇f(x).
fn build_saliency(table: Table) -> Result<Box<dyn Attribution>> {
    registry::options::<NoOptions>(table)?;
    Ok(Box::new(Average::over(Image { times_input: false })))
}

/// x ⊙ ∇f(x).
fn build_gxi(table: Table) -> Result<Box<dyn Attribution>> {
    registry::options::<NoOptions>(table)?;
    Ok(Box::new(Average::over(Image { times_input: true })))
}
