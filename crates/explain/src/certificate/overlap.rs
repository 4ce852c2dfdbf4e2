//! How many of the chosen pixels stay among the K of largest p wherever the image goes within the
//! ball.

use super::{Counts, Slope, log_p_value, sampling::most};
use std::collections::HashMap;

/// The largest j for which at least j of the K chosen pixels are certainly among the K of largest
/// p(x + δ) for every |δ|₂ ≤ `radius`, ties broken either way; true with probability at least 1 −
/// `alpha`.
///
/// j holds where j chosen pixels are each certainly ahead of P − 2K + j of the others: of K pixels
/// at most K − j are then no chosen one. The levels j = 1, 2, … are tested in turn until one is not
/// certain, each at level `alpha`; a pair counts where its p-value is at most α / (K − j + 1)²
/// (docs/certify.md).
pub fn certified(counts: &Counts, radius: f64, sigma: f64, alpha: f64) -> usize {
    let [a, b] = counts.typical;
    let slope = Slope::near(2. * radius / sigma, a, b);
    let (k, others) = (counts.chosen.len(), others(counts));
    // The chosen pixel that was hottest most often is the first to stay.
    let mut members: Vec<usize> = (0..k).collect();
    members.sort_by_key(|&i| std::cmp::Reverse(counts.hits[counts.chosen[i]]));
    let mut known: HashMap<[u64; 2], f64> = HashMap::new();
    // Of each other pixel, the largest p-value against a member so far.
    let mut worst = vec![f64::NEG_INFINITY; others.len()];
    for (before, &member) in members.iter().enumerate() {
        for (worst, &other) in worst.iter_mut().zip(&others) {
            let alone = alone(counts, member, other);
            let p = known.entry(alone).or_insert_with(|| log_p_value(slope, alone, counts.tests));
            *worst = worst.max(*p);
        }
        let spare = k - before - 1;
        let level = (alpha / ((spare + 1) * (spare + 1)) as f64).ln();
        // NaN, of no gap that can be told, is not certain.
        let behind = worst.iter().filter(|p| **p <= level).count();
        if others.len() - behind > spare {
            return before;
        }
    }
    k
}

/// Whether so many copies can show anything at `radius` at level `alpha`, whatever they show: else
/// it needs no share of it.
pub fn within_reach(counts: &Counts, radius: f64, sigma: f64, alpha: f64) -> bool {
    let [a, b] = counts.typical;
    let slope = Slope::near(2. * radius / sigma, a, b);
    log_p_value(slope, [counts.tests, 0], counts.tests) <= alpha.ln()
}

/// Of K chosen pixels, the share among the K with the most `hits`, ties by place: what is found,
/// not certain.
pub fn overlap(chosen: &[usize], hits: &[u64]) -> f64 {
    let top = marked(&most(hits, chosen.len()), hits.len());
    chosen.iter().filter(|&&pixel| top[pixel]).count() as f64 / chosen.len() as f64
}

/// The pixels that are not chosen.
fn others(counts: &Counts) -> Vec<usize> {
    let chosen = marked(&counts.chosen, counts.hits.len());
    (0..chosen.len()).filter(|&pixel| !chosen[pixel]).collect()
}

/// Which of so many pixels are `pixels`.
fn marked(pixels: &[usize], of: usize) -> Vec<bool> {
    let mut marks = vec![false; of];
    pixels.iter().for_each(|&pixel| marks[pixel] = true);
    marks
}

/// How often the `member`-th chosen pixel was hot and `other` not, and the other way round.
fn alone(counts: &Counts, member: usize, other: usize) -> [u64; 2] {
    let Counts { both, hits, chosen, .. } = counts;
    let shared = both[member * hits.len() + other];
    [hits[chosen[member]] - shared, hits[other] - shared]
}
