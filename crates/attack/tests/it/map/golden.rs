//! The usual attack's surrogate and losses against PyTorch. Reference:
//! tests/reference/attack/map_losses.py.

use super::victims::{Always, attack, goal, linf, method, subject};
use attack::{Beta, Descent, MapAttack, Objective, Optimizer, Walk};
use explain::Batch;
use models::spreads;
use std::{path::Path, sync::Mutex};
use tch::Tensor;
use tensorfile::TensorFile;
use testkit::rule::distance;

const ITERATIONS: [u32; 2] = [0, 25];

/// Notes the gradient at the clean images in some iterations; moves nothing.
#[derive(Default)]
struct Noting(Mutex<Vec<Tensor>>);

impl Optimizer for Noting {
    fn climb(&self, objective: &dyn Objective, walk: &Walk) -> Tensor {
        let gradient = |iteration| objective.value_and_grad(walk.x, iteration).1;
        self.0.lock().unwrap().extend(ITERATIONS.map(gradient));
        walk.x.shallow_clone()
    }
}

#[test]
fn slopes_of_the_usual_surrogate_are_those_of_pytorch() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/map_losses.safetensors");
    let mut golden = TensorFile::read(&path).unwrap();
    let (model, x, target) = subject();
    let (batch, gxi, topk) = (Batch::new(&x, &target), method("gxi"), goal("topk"));
    let spreads = spreads(&model, [x]);
    let far = distance(&Tensor::from_slice(&spreads), &golden.take("spreads").unwrap());
    assert!(far < 1e-6, "spreads: {far:e} off");
    for (name, descent) in [("rank", Descent::Near), ("share", Descent::Other)] {
        let (noting, always) = (Noting::default(), Always(&*topk, Mutex::new(0.)));
        let by = attack(&model, &*gxi, &always, &noting);
        let by = MapAttack { beta: Beta::USUAL, spreads: &spreads, descent, iterations: 50, ..by };
        by.run(&batch, &by.reference(&batch, 5), &linf(0.1), None, &|| ());
        for (iteration, up) in ITERATIONS.iter().zip(noting.0.into_inner().unwrap()) {
            let down = golden.take(&format!("{name}.{iteration}")).unwrap();
            let far = distance(&-up, &down);
            assert!(far < 1e-5, "{name}, iteration {iteration}: {far:e} off");
        }
    }
}
