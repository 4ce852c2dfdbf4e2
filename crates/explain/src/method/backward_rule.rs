//! Backward passes with a rule of their own at every nonlinearity, without hooks: the forward pass
//! cuts the graph there, and the cuts are walked from the output back, each after all that read it.

pub(super) mod deeplift;
pub(super) mod guided;
pub(super) mod lrp;

use crate::Batch;
use models::{Activation, Model, Ops};
use std::cell::RefCell;
use tch::{Kind, Tensor};

struct Cut {
    activation: Activation,
    before: Tensor, // what enters the nonlinearity, with a graph to earlier leaves
    after: Tensor,  // what leaves it: a new leaf
}

#[derive(Default)]
struct Cutter {
    cuts: RefCell<Vec<Cut>>,
}

impl Ops for Cutter {
    fn act(&self, activation: &Activation, z: &Tensor) -> Tensor {
        let after = tch::no_grad(|| activation.apply(z)).set_requires_grad(true);
        let activation = activation.clone();
        let (before, leaf) = (z.shallow_clone(), after.shallow_clone());
        self.cuts.borrow_mut().push(Cut { activation, before, after: leaf });
        after
    }
}

/// What reaches the pixels `[N, C, H, W]`, and the logits `[N, K]`; neither has a graph.
/// `rule(a, g, z)`: g is the gradient after the nonlinearity a, z what enters it; the gradient of
/// the returned tensor's sum with respect to z goes on backwards.
pub(crate) fn backward(
    model: &dyn Model,
    batch: &Batch,
    rule: impl Fn(&Activation, &Tensor, &Tensor) -> Tensor,
) -> (Tensor, Tensor) {
    let x = batch.x.detach().set_requires_grad(true);
    let cutter = Cutter::default();
    let (logits, score) = tch::with_grad(|| {
        let logits = model.forward(&x, &cutter);
        let score = batch.target.of(&logits).sum(None::<Kind>);
        (logits, score)
    });
    let mut cuts = cutter.cuts.into_inner();
    let mut leaves = vec![x.shallow_clone()];
    leaves.extend(cuts.iter().map(|cut| cut.after.shallow_clone()));
    let mut gradients: Vec<Option<Tensor>> = leaves.iter().map(|_| None).collect();
    spread(&score, &leaves, &mut gradients);
    while let Some(cut) = cuts.pop() {
        leaves.pop();
        let Some(Some(g)) = gradients.pop() else { continue };
        let flow = tch::with_grad(|| rule(&cut.activation, &g, &cut.before).sum(None::<Kind>));
        spread(&flow, &leaves, &mut gradients);
    }
    let map = gradients.pop().flatten().unwrap_or_else(|| x.zeros_like().detach());
    (map, logits.detach())
}

/// Adds the gradient of `out` to that of every leaf it was made from.
fn spread(out: &Tensor, leaves: &[Tensor], gradients: &mut [Option<Tensor>]) {
    if !out.requires_grad() {
        return;
    }
    // kept: branches of the network share what lies between two cuts
    let found = Tensor::run_backward(&[out], leaves, true, false);
    for (sum, g) in gradients.iter_mut().zip(found).filter(|(_, g)| g.defined()) {
        *sum = Some(match sum.take() {
            Some(before) => before + g,
            None => g,
        });
    }
}
