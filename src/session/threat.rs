//! `--norm` and `--eps`: the balls of a command, the smallest first, and the file of each.

use crate::results::{label, suffixed};
use anyhow::{Context, Result, ensure};
use attack::{Ball, Norm};
use std::path::{Path, PathBuf};

/// Balls of one norm, each larger than the one before.
pub(crate) struct Radii(Vec<Ball>);

impl Radii {
    /// Of `norm`, in any order. Errors: radii that are negative or not
    /// finite, or above 1 for `linf`.
    pub fn new(norm: Norm, eps: &[f64]) -> Result<Self> {
        let mut eps = eps.to_vec();
        eps.sort_by(f64::total_cmp);
        eps.dedup();
        let ball = |eps| {
            ensure!(
                norm == Norm::L2 || eps <= 1.,
                "`--eps {eps}` is more than the whole range of pixels, [0, 1]; for {eps} of 255 steps \
                 write `--eps {eps}/255`"
            );
            Ball::new(norm, eps).with_context(|| format!("`--eps {eps}`"))
        };
        Ok(Radii(eps.into_iter().map(ball).collect::<Result<_>>()?))
    }

    pub fn balls(&self) -> &[Ball] {
        &self.0
    }

    /// `adv.safetensors` for one radius, `adv-eps8.safetensors` for several.
    pub fn file(&self, out: &Path, eps: f64) -> PathBuf {
        match self.0.len() {
            1 => out.to_owned(),
            _ => suffixed(out, &format!("eps{}", label(eps).replace("/255", ""))),
        }
    }

    /// The files of all radii.
    pub fn files(&self, out: &Path) -> Vec<PathBuf> {
        self.0.iter().map(|ball| self.file(out, ball.eps)).collect()
    }
}
