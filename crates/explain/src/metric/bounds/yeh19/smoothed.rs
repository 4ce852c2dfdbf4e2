//! Theorem C.1, D.6 and D.7: of a method's maps near the image, over the same draws on both sides, so
//! that they hold exactly.

use super::{Around, dot, length, most, zeros};
use tch::Tensor;

impl Around<'_> {
    /// Theorem C.1: the largest infidelity of the image and its neighbours, and what it is at least.
    pub(super) fn robust(&self) -> [Tensor; 2] {
        let count = self.perturbations.len() as f64;
        let (x, batch) = (&self.x, self.case.batch);
        let (map, here) = (self.map(x), self.score(x));
        let gone: Vec<Tensor> = self.perturbations.iter().map(|i| self.score(&(x - i))).collect();
        let still = x.zeros_like();
        let (mut infidelity, mut a, mut b, mut behind) = (vec![], vec![], vec![], vec![]);
        for u in [&still].into_iter().chain(&self.points) {
            let at = x + u;
            let (moved, there) = (self.map(&at), self.score(&at));
            let [mut off, mut told, mut lost] = [0; 3].map(|_| zeros(batch));
            for (i, gone) in self.perturbations.iter().zip(&gone) {
                let without = self.score(&(&at - i));
                let says = dot(i, &moved);
                told += (&says - dot(i, &map)).abs() / count;
                lost += (&without - gone).abs() / count;
                off += (says - (&there - without)).square() / count;
            }
            infidelity.push(off);
            a.push(told);
            b.push((there - &here).abs());
            behind.push(lost);
        }
        let half = (most(a) - most(b) - most(behind)).clamp_min(0.) / 2.;
        [most(infidelity), half.square()]
    }

    /// D.6: how far the smoothed map moves, and the mean of how far maps move.
    pub(super) fn smooth_sensitivity(&self) -> [Tensor; 2] {
        let count = self.noise.len() as f64;
        let mut sums: Vec<Tensor> = self.points.iter().map(Tensor::zeros_like).collect();
        let mut mean = zeros(self.case.batch);
        for noise in &self.noise {
            let at = &self.x + noise;
            let map = self.map(&at);
            let mut far = vec![];
            for (u, sum) in self.points.iter().zip(&mut sums) {
                let change = self.map(&(&at + u)) - &map;
                far.push(length(&change));
                *sum += change / count;
            }
            mean += most(far) / count;
        }
        [most(sums.iter().map(length)), mean]
    }

    /// D.7: the smoothed map's infidelity, what is allowed, and C1.
    pub(super) fn smooth_infidelity(&self) -> [Tensor; 3] {
        let (x, batch) = (&self.x, self.case.batch);
        let pairs = (self.noise.len() * self.perturbations.len()) as f64;
        let lost = |at: &Tensor| -> Vec<Tensor> {
            let there = self.score(at);
            self.perturbations.iter().map(|i| &there - self.score(&(at - i))).collect()
        };
        let here = lost(x);
        let mut mean = x.zeros_like();
        let [mut own, mut off, mut changed, mut found] = [0; 4].map(|_| zeros(batch));
        for noise in &self.noise {
            let at = x + noise;
            let map = self.map(&at);
            for ((i, here), there) in self.perturbations.iter().zip(&here).zip(lost(&at)) {
                let says = dot(i, &map);
                own += (&says - &there).square() / pairs;
                off += (says - here).square() / pairs;
                changed += (there - here).square() / pairs;
            }
            mean += map / self.noise.len() as f64;
        }
        for (i, here) in self.perturbations.iter().zip(&here) {
            found += (dot(i, &mean) - here).square() / self.perturbations.len() as f64;
        }
        let (c1, c2) = (changed / &off, &found / &off);
        let none = c1.lt(0.25).logical_not();
        let allowed: Tensor = c2 / (1. - c1.sqrt() * 2.) * own;
        [found, allowed.masked_fill(&none, f64::NAN), c1]
    }
}
