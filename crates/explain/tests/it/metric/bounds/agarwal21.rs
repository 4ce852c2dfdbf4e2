//! Numbers of samples where they are known, and against loops.

use super::{Bent, D, batch, measured, near, normal, size};
use crate::metric::known::linear;
use tch::Tensor;

#[test]
fn a_line_needs_one_gradient_and_as_many_neighbours_as_it_has_numbers() {
    let spelled = "bounds-agarwal21:samples=64,repeats=3,sigma=0.2,epsilon=0.25,delta=0.2";
    let found = measured(spelled, &linear(), &batch(2));
    let log = (D as f64 / 0.2).ln();
    for n in 0..2 {
        near(
            &found,
            n,
            &[
                ("smoothgrad-samples", 1.),
                ("smoothgrad-samples-bound", log * 16.),
                ("smoothgrad-samples-tightness", 1. / (log * 16.)),
                ("clime-samples", 32.),
            ],
            1e-9,
        );
    }
    let few = measured("bounds-agarwal21:samples=16,repeats=2", &linear(), &batch(1));
    assert!(few["clime-samples"][0].is_nan(), "16 neighbours fit no plane of 24 numbers");
}

#[test]
fn numbers_and_bounds_are_those_of_loops() {
    let (batch, model) = (batch(2), Bent::drawn());
    let spelled = "bounds-agarwal21:samples=8,repeats=4,sigma=0.4,epsilon=0.5,delta=0.25";
    let found = measured(spelled, &model, &batch);
    for (n, &key) in batch.keys.iter().enumerate() {
        let x = batch.x.get(n as i64);
        let at = |draw| &x + normal(key, "bounds-agarwal21", draw) * 0.4;
        let all: Vec<Tensor> = (0..32).map(|draw| model.gradient(&at(draw))).collect();
        let mean = |some: &[Tensor]| -> Tensor {
            some.iter().fold(x.zeros_like(), |sum, one| sum + one) / some.len() as f64
        };
        let limit = mean(&all);
        let within = |count: usize| {
            let maps = all.chunks(8).map(|repeat| mean(&repeat[..count]));
            maps.filter(|map| size(&(map - &limit)) <= 0.5 * size(&limit)).count()
        };
        let needed = [1, 2, 4, 8].into_iter().find(|&count| within(count) >= 3);
        let steep = all.iter().map(size).fold(0f64, f64::max);
        let high = (0..32).map(|draw| model.f(&at(draw)).abs()).fold(0f64, f64::max);
        let (log, epsilon) = ((D as f64 / 0.25).ln(), 0.5 * size(&limit));
        let unit = epsilon / high;
        let least = [unit * 0.16, unit * 0.064 / size(&x), size(&x), 1. / 0.16];
        let least = least.into_iter().fold(f64::INFINITY, f64::min);
        let wanted = [
            ("smoothgrad-samples-bound", (steep / epsilon).powi(2) * log),
            ("clime-samples-bound", D as f64 * log / (least * least)),
        ];
        near(&found, n, &wanted, 1e-9);
        let counted = found["smoothgrad-samples"][n];
        assert_eq!(needed.map(|n| n as f64), Some(counted).filter(|n| !n.is_nan()));
    }
}
