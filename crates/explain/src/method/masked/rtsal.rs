//! RT-Sal (Dabkowski & Gal 2017): the mask that a trained network gives in one pass, the same in every
//! channel. `gradproof masker` trains it.

use crate::{
    Attribution, Batch, Cotangent, Differentiable,
    engine::chunks::{self, Pass},
    masker::{Masker, spread},
};
use anyhow::{Result, ensure};
use models::{
    Model,
    grad::{Graph, pull},
};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, sync::OnceLock};
use tch::{Kind, Tensor};
use toml::Table;

/// Not in the list of methods that need no file.
pub const ENTRY: Entry<dyn Attribution> = Entry {
    name: "rtsal",
    about: "RT-Sal (Dabkowski & Gal 2017): the mask of a network trained for it, by `gradproof \
            masker`",
    options: described::<Options>(&[("masker", "file that `gradproof masker` wrote")])
        .needing(&[("masker", "masker.safetensors")]),
    build,
};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Options {
    masker: PathBuf,
}

/// The file is read when it is first asked for: an experiment names it before it is there.
#[derive(Debug)]
struct RtSal {
    file: PathBuf,
    masker: OnceLock<Masker>,
}

fn build(table: Table) -> Result<Box<dyn Attribution>> {
    let Options { masker } = registry::options(table)?;
    Ok(Box::new(RtSal { file: masker, masker: OnceLock::new() }))
}

impl RtSal {
    /// Panics if the file is not as it was when it was checked.
    fn masker(&self) -> &Masker {
        let read = || Masker::read(&self.file).unwrap_or_else(|error| panic!("{error:#}"));
        self.masker.get_or_init(read)
    }
}

/// Images a pass: one of several groups would leave the taps of the last group.
fn images(model: &dyn Model) -> impl Fn(i64) -> i64 + use<'_> {
    |chunk| model.fixed_batch().map_or(chunk, |most| most.min(chunk))
}

impl Attribution for RtSal {
    fn attribute(&self, model: &dyn Model, batch: &Batch) -> Tensor {
        self.with_logits(model, batch).0
    }

    fn with_logits(&self, model: &dyn Model, batch: &Batch) -> (Tensor, Tensor) {
        let [map, logits] = chunks::map_sized(batch, images(model), |pass: &Pass| {
            let Batch { x, target, .. } = &pass.block;
            let (mask, logits) = tch::no_grad(|| self.masker().mask(model, x, &target.class));
            [spread(&mask, x).expand_as(x).contiguous(), logits]
        });
        (map, logits)
    }

    fn check(&self, model: &dyn Model, image: [i64; 3]) -> Result<()> {
        ensure!(!model.taps().is_empty(), "it looks at the network's taps, and this one has none");
        Masker::read(&self.file)?.check(model, image)
    }

    fn differentiable(&self) -> Option<&dyn Differentiable> {
        Some(self)
    }
}

impl Differentiable for RtSal {
    fn pullback(
        &self,
        model: &dyn Model,
        batch: &Batch,
        cotangent: &Cotangent,
    ) -> (Tensor, Tensor) {
        let map = self.attribute(model, batch);
        let v = cotangent(&map);
        let [back] = chunks::map_sized(batch, images(model), |pass: &Pass| {
            let x = pass.block.x.detach().set_requires_grad(true);
            let moved = tch::with_grad(|| {
                let (mask, _) = self.masker().mask(model, &x, &pass.block.target.class);
                (spread(&mask, &x) * pass.part(&v)).sum(None::<Kind>)
            });
            [pull(&moved, &x, Graph::Free)]
        });
        (map, back)
    }
}
