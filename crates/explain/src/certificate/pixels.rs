//! Each pixel by itself: certainly in, certainly out, or abstained (Anani et al. 2025).

use super::{Counts, probability::at_least};

/// What is certain of a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// p > τ: within σ Φ⁻¹(τ) it is among the hottest more often than not.
    In,
    /// p < 1 − τ: there it is not.
    Out,
    /// Neither.
    Abstained,
}

/// The states of all pixels for τ in (1/2, 1), all true together with probability at least 1 −
/// `alpha`. Which of the two is tested for a pixel was guessed from other samples; of the tests,
/// Holm's (1979): the smallest of m p-values has to be at most α / m, the next one α / (m − 1), and
/// so on.
pub fn states(counts: &Counts, tau: f64, alpha: f64) -> Vec<State> {
    let n = counts.tests;
    // The p-value of p ≤ τ where it is guessed to be in, of p ≥ 1 − τ where it is guessed to be
    // out.
    let p_value = |pixel: usize| {
        let hits = counts.hits[pixel];
        at_least(if counts.guess(pixel) { hits } else { n - hits }, n, tau)
    };
    let p_values: Vec<f64> = (0..counts.hits.len()).map(p_value).collect();
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut states = vec![State::Abstained; p_values.len()];
    for (i, &pixel) in order.iter().enumerate() {
        if p_values[pixel] * (order.len() - i) as f64 > alpha {
            break;
        }
        states[pixel] = if counts.guess(pixel) { State::In } else { State::Out };
    }
    states
}
