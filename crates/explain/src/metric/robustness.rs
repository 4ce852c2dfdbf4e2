//! Metrics of how far apart the maps of neighbouring images are, and what these share: neighbours,
//! and what is kept of one number for each of them.

mod ascent;
pub(super) mod gap;
pub(super) mod lipschitz;
pub(super) mod sensitivity;

use crate::{
    Attribution, Batch,
    engine::chunks::{self, Pass},
    sampling::neighbours::Noise,
};
use models::noise;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// Neighbours of every image, drawn apart from what methods draw and the same for all methods.
pub(super) struct Neighbourhood {
    pub noise: Noise,
    /// What they are drawn for.
    pub id: &'static str,
    /// What a method draws at them.
    pub draws: Draws,
}

/// Random numbers of a method at a neighbour.
#[derive(Clone, Copy, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Draws {
    /// Those that it draws at the image.
    Shared,
    /// Its own.
    Fresh,
}

impl Neighbourhood {
    /// What `make` gives for each pass over the images of `batch` and their neighbours, for `take`. A
    /// neighbour has the class of its image, and its key where draws are shared.
    pub fn each<T>(
        &self,
        batch: &Batch,
        make: impl Fn(&Pass, &Batch) -> T,
        take: impl FnMut(&Pass, T),
    ) {
        let near = |pass: &Pass| make(pass, &self.near(pass));
        chunks::each(batch, self.noise.samples, near, take);
    }

    /// The neighbours of a pass.
    fn near(&self, pass: &Pass) -> Batch {
        let images = pass.repeated(&pass.block.x);
        let keys = images.keys_of(noise::name_id(self.id));
        let drawn = Batch { keys, ..images.at(&images.x) };
        let points = tch::no_grad(|| self.noise.around(&drawn, &pass.samples()));
        let mut near = images.at(&points);
        if self.draws == Draws::Fresh {
            near.keys = fresh(pass, &near);
        }
        near
    }
}

impl Neighbourhood {
    /// The images `x` `[N, C, H, W]` in place of sample `sample` of a pass over images alone.
    fn drawn(&self, pass: &Pass, x: &Tensor, sample: u64) -> Batch {
        let near = pass.block.at(&x.to_kind(pass.block.x.kind()));
        let keys = match self.draws {
            Draws::Shared => return near,
            Draws::Fresh => near.keys.iter().map(|&key| of_neighbour(key, sample)).collect(),
        };
        Batch { keys, ..near }
    }
}

/// The neighbours of a pass as `method` is given them: where it looks at keys alone, it draws anew.
pub(super) fn seen(method: &dyn Attribution, pass: &Pass, near: &Batch) -> Batch {
    let drawn = near.at(&near.x);
    match method.ignores_image() {
        true => Batch { keys: fresh(pass, near), ..drawn },
        false => drawn,
    }
}

/// A key for each neighbour of a pass.
fn fresh(pass: &Pass, near: &Batch) -> Vec<u64> {
    let rows = near.keys.iter().zip(pass.samples());
    rows.map(|(&key, s)| of_neighbour(key, s)).collect()
}

/// From the key of an image that of its neighbour number `sample`.
fn of_neighbour(key: u64, sample: u64) -> u64 {
    noise::key(key, noise::name_id("near"), sample)
}

/// What is kept of one number for each neighbour, none negative.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Aggregate {
    Max,
    Mean,
}

impl Aggregate {
    /// Takes the numbers of a pass, f64 in the order of its rows, into those of all images, `[N]`.
    pub fn take(self, kept: &Tensor, pass: &Pass, rows: &Tensor, samples: u64) {
        let rows = rows.view([pass.taken.len() as i64, -1]);
        let mut part = pass.part(kept);
        match self {
            Aggregate::Max => part.copy_(&part.maximum(&rows.amax([0i64].as_slice(), false))),
            Aggregate::Mean => {
                let sum = rows.sum_dim_intlist([0i64].as_slice(), false, Kind::Double);
                let _ = part.g_add_(&(sum / samples as f64));
            }
        }
    }
}

/// A zero for each image, f64 `[N]`.
pub(super) fn zeros(batch: &Batch) -> Tensor {
    Tensor::zeros([batch.x.size()[0]], (Kind::Double, batch.x.device()))
}

/// This pass's part of a tensor of the whole batch, in f64, for each of its rows.
pub(super) fn each(pass: &Pass, whole: &Tensor) -> Tensor {
    let mut times = vec![1; whole.dim()];
    times[0] = pass.taken.len() as i64;
    pass.part(whole).to_kind(Kind::Double).repeat(times)
}

/// Σ|t|ᵖ to the power 1/p of each row, f64 `[N]`.
pub(super) fn norm(rows: &Tensor, p: f64) -> Tensor {
    rows.to_kind(Kind::Double).flatten(1, -1).norm_scalaropt_dim(p, [1i64].as_slice(), false)
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Norm {
    L1,
    L2,
}

impl Norm {
    /// The length of each row, f64 `[N]`.
    pub fn of(self, rows: &Tensor) -> Tensor {
        norm(rows, if matches!(self, Norm::L1) { 1. } else { 2. })
    }
}
