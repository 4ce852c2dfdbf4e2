//! A gradient and the Hessian along one direction that is chosen once the gradient is known, in four
//! passes of convolutions: forwards, backwards, along the direction, backwards. What goes backwards
//! from the direction's pass is the gradient again, so it is kept from the first time.

use crate::{
    Activation, Affine, Model, Ops, Pool,
    grad::{Graph, pull, value_and_grad},
};
use std::cell::RefCell;
use tch::{Kind, Tensor};

/// A pass through a network whose directions of derivatives matter, not their last digits.
pub struct CurvedPass<'a> {
    model: &'a dyn Model,
    x: Tensor,
    /// Logits `[N, K]`, with a graph to the images.
    pub logits: Tensor,
    bends: Vec<Bend>,
}

/// Where a pass was not linear.
enum Bend {
    Act(Box<Act>),
    /// The winners of a max-pool.
    Pool(Tensor),
}

/// A nonlinearity that was met.
struct Act {
    kind: Activation,
    /// What went in, with a graph.
    input: Tensor,
    /// What came out, with a graph.
    output: Tensor,
    /// Its slope there.
    slope: Tensor,
    /// The score's derivative by what came out, once it is known.
    flow: Option<Tensor>,
}

impl<'a> CurvedPass<'a> {
    /// Passes the images `x` through `model`; none for a network that bends elsewhere than in
    /// [`Ops`].
    pub fn of(model: &'a dyn Model, x: &Tensor) -> Option<Self> {
        if !model.nonlinear_only_in_ops() {
            return None;
        }
        let x = x.detach().set_requires_grad(true);
        let tracer = Tracer::default();
        let logits = tch::with_grad(|| model.forward(&x, &tracer));
        Some(CurvedPass { model, x, logits, bends: tracer.0.into_inner() })
    }

    /// The gradient of the sum of `score`, which is linear in the logits, at the images, and the pass
    /// with what it met.
    pub fn gradient(mut self, score: &Tensor) -> (Tensor, Self) {
        let total = tch::with_grad(|| score.sum(None::<Kind>));
        let outputs = self.bends.iter().filter_map(|bend| match bend {
            Bend::Act(act) => Some(&act.output),
            Bend::Pool(_) => None,
        });
        let inputs: Vec<&Tensor> = [&self.x].into_iter().chain(outputs).collect();
        let mut flows = Tensor::run_backward(&[&total], &inputs, true, false).into_iter();
        let defined = |t: Tensor| t.defined().then_some(t);
        let g = flows.next().and_then(defined).unwrap_or_else(|| self.x.zeros_like());
        for bend in &mut self.bends {
            if let Bend::Act(act) = bend {
                act.flow = flows.next().and_then(defined);
            }
        }
        (g.detach(), self)
    }

    /// The Hessian of the score whose gradient was asked for, image by image, times `direction`, both
    /// `[N, C, H, W]`.
    pub fn product(mut self, direction: &Tensor) -> Tensor {
        let along = Along { bends: RefCell::new(self.bends.iter()), bent: RefCell::default() };
        let _ = tch::no_grad(|| self.model.forward(direction, &along));
        let bent = along.bent.into_inner();
        // Each place's share of the derivative by what went in there.
        let share = |(input, by): &(&Tensor, Tensor)| (*input * by).sum(None::<Kind>);
        let total = tch::with_grad(|| bent.iter().map(share).reduce(|a, b| a + b));
        let curved = total.map(|total| pull(&total, &self.x, Graph::Free));
        drop(bent);
        self.bends.clear();
        curved.unwrap_or_else(|| self.x.zeros_like())
    }
}

#[derive(Default)]
struct Tracer(RefCell<Vec<Bend>>);

impl Ops for Tracer {
    fn act(&self, activation: &Activation, x: &Tensor) -> Tensor {
        let (value, slope) = tch::no_grad(|| value_and_slope(activation, &x.detach()));
        // A product whose graph multiplies by the slope, and whose numbers are the nonlinearity's.
        let output = x * &slope;
        tch::no_grad(|| output.detach().copy_(&value));
        let (kind, input, output) = (activation.clone(), x.shallow_clone(), output);
        let after = output.shallow_clone();
        self.0.borrow_mut().push(Bend::Act(Box::new(Act {
            kind,
            input,
            output,
            slope,
            flow: None,
        })));
        after
    }

    fn max_pool(&self, pool: Pool, x: &Tensor) -> Tensor {
        let (value, winners) = pool.winners(x);
        self.0.borrow_mut().push(Bend::Pool(winners));
        value
    }
}

/// The nonlinearity at every entry of `x` and its slope. Of softplus with elementary functions alone,
/// β⁻¹ log(1 + e^{−β|x|}) + max(x, 0): libtorch's own costs as much as a convolution.
fn value_and_slope(activation: &Activation, x: &Tensor) -> (Tensor, Tensor) {
    let Activation::Softplus { beta } = *activation else {
        return (activation.apply(x), activation.slope(x));
    };
    let slope = (x * beta).sigmoid_();
    let mut rest = x.abs();
    rest *= -beta;
    rest = rest.exp_();
    rest += 1.;
    rest = rest.log_();
    rest *= 1. / beta;
    (x.relu() + rest, slope)
}

struct Along<'a> {
    bends: RefCell<std::slice::Iter<'a, Bend>>,
    /// What went into each nonlinearity, and the derivative of the score's slope by it.
    bent: RefCell<Vec<(&'a Tensor, Tensor)>>,
}

impl<'a> Along<'a> {
    fn next(&self) -> &'a Bend {
        self.bends.borrow_mut().next().expect("both passes go the same way")
    }
}

impl Ops for Along<'_> {
    fn normalise(&self, x: &Tensor, _mean: &Tensor, std: &Tensor) -> Tensor {
        x / std
    }

    fn act(&self, _activation: &Activation, t: &Tensor) -> Tensor {
        let Bend::Act(act) = self.next() else { unreachable!("both passes go the same way") };
        if let Some(flow) = &act.flow {
            let by = t * flow;
            let by = match act.kind {
                Activation::Softplus { beta } => Tensor::sigmoid_backward(&by, &act.slope) * beta,
                ref kind => {
                    let slope = |x: &Tensor| (kind.slope(x) * &by).flatten(1, -1);
                    value_and_grad(&act.input, slope).1
                }
            };
            self.bent.borrow_mut().push((&act.input, by));
        }
        t * &act.slope
    }

    fn affine(&self, layer: &Affine, t: &Tensor) -> Tensor {
        layer.scaled(t, 0.)
    }

    fn max_pool(&self, _pool: Pool, t: &Tensor) -> Tensor {
        let Bend::Pool(winners) = self.next() else { unreachable!("both passes go the same way") };
        t.flatten(2, -1).gather(2, &winners.flatten(2, -1), false).view_as(winners)
    }
}
