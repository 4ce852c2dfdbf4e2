//! Against loops, and Proposition A.1 on a network of softplus whose Hessian is known.

use super::{Bent, Found, batch, inner, measured, measured_of, near, normal, size, step};
use explain::Batch;
use models::{Activation, Affine, Builder, Model, Ops, Target};
use tch::{Device, Kind, Tensor};

const SPELLED: &str = "bounds-yeh19:samples=4,sigma=0.3,points=3,radius=0.2,draws=3,smoothing=0.25";

struct Drawn {
    u: Vec<Tensor>,
    i: Vec<Tensor>,
    z: Vec<Tensor>,
}

impl Drawn {
    fn of(key: u64) -> Self {
        let gaussian = |what, n, sigma: f64| (0..n).map(|s| normal(key, what, s) * sigma).collect();
        Drawn {
            u: (0..3).map(|s| step(key, "bounds-yeh19", s, 0.2)).collect(),
            i: gaussian("bounds-perturbation", 4, 0.3),
            z: gaussian("bounds-smoothing", 3, 0.25),
        }
    }
}

fn mean(all: impl Iterator<Item = f64>) -> f64 {
    let all: Vec<f64> = all.collect();
    all.iter().sum::<f64>() / all.len() as f64
}

fn most(all: impl Iterator<Item = f64>) -> f64 {
    all.fold(0., f64::max)
}

/// A.2 and Theorem A.1.
fn of_gradient(found: &Found, n: usize, model: &Bent, x: &Tensor, drawn: &Drawn) {
    let g = model.gradient(x);
    let turned = |u: &Tensor| size(&(model.gradient(&(x + u)) - &g));
    let lost = |i: &Tensor| model.f(x) - model.f(&(x - i));
    let infidelity = mean(drawn.i.iter().map(|i| (inner(i, &g) - lost(i)).powi(2)));
    let sensitivity = most(drawn.u.iter().map(turned));
    let down = &g * (-0.2 / size(&g));
    let all = || drawn.u.iter().chain([&down]);
    let bend = most(all().map(|u| turned(u) / 0.2));
    let loss = most(all().map(|u| model.loss(&(x + u)))).max(model.loss(x));
    let l = found["sensitivity-bound"][n] / 0.2;
    let steps =
        drawn.i.iter().flat_map(|i| [i * -1., i * -0.5]).chain(drawn.u.iter().map(|u| u * 1.));
    let least = most(steps.map(|step| turned(&step) / size(&step)));
    assert!(l > least - 1e-9, "what gradients at sampled points say of L");
    let fourth = mean(drawn.i.iter().map(|i| size(i).powi(4)));
    let wanted = [
        ("infidelity-found", infidelity),
        ("infidelity-bound", fourth * l * l / 2.),
        ("sensitivity-found", sensitivity),
        ("adversarial-found", loss),
        ("adversarial-bound", model.loss(x) + 0.2 * size(&g) + 0.02 * bend),
    ];
    near(found, n, &wanted, 1e-6);
    for name in ["infidelity-tightness", "sensitivity-tightness", "adversarial-tightness"] {
        assert!(found[name][n] <= 1., "{name}");
    }
}

/// Theorem C.1, D.6 and D.7 of gradient × input.
fn of_maps(found: &Found, n: usize, model: &Bent, x: &Tensor, drawn: &Drawn) {
    let map = |x: &Tensor| model.gradient(x) * x;
    let lost = |x: &Tensor, i: &Tensor| model.f(x) - model.f(&(x - i));
    let points: Vec<Tensor> =
        [x.zeros_like()].into_iter().chain(drawn.u.iter().map(|u| u * 1.)).collect();
    let over = |of: &dyn Fn(&Tensor) -> f64| most(points.iter().map(of));
    let each = |of: &dyn Fn(&Tensor) -> f64| mean(drawn.i.iter().map(of));
    let robust = over(&|u| each(&|i| (inner(i, &map(&(x + u))) - lost(&(x + u), i)).powi(2)));
    let a = over(&|u| each(&|i| inner(i, &(map(&(x + u)) - map(x))).abs()));
    let b = over(&|u| (model.f(&(x + u)) - model.f(x)).abs());
    let behind = over(&|u| each(&|i| (model.f(&(x + u - i)) - model.f(&(x - i))).abs()));
    let smooth = |x: &Tensor| -> Tensor {
        drawn.z.iter().map(|z| map(&(x + z))).reduce(|sum, one| sum + one).unwrap() / 3.
    };
    let moved = over(&|u| size(&(smooth(&(x + u)) - smooth(x))));
    let allowed =
        mean(drawn.z.iter().map(|z| over(&|u| size(&(map(&(x + z + u)) - map(&(x + z)))))));
    let both =
        |of: &dyn Fn(&Tensor, &Tensor) -> f64| mean(drawn.z.iter().map(|z| each(&|i| of(z, i))));
    let infidelity = each(&|i| (inner(i, &smooth(x)) - lost(x, i)).powi(2));
    let own = both(&|z, i| (inner(i, &map(&(x + z))) - lost(&(x + z), i)).powi(2));
    let off = both(&|z, i| (inner(i, &map(&(x + z))) - lost(x, i)).powi(2));
    let c1 = both(&|z, i| (lost(&(x + z), i) - lost(x, i)).powi(2)) / off;
    let wanted = [
        ("robust-infidelity-found", robust),
        ("robust-infidelity-bound", ((a - b - behind).max(0.) / 2.).powi(2)),
        ("smooth-sensitivity-found", moved),
        ("smooth-sensitivity-bound", allowed),
        ("smooth-infidelity-found", infidelity),
        ("smooth-infidelity-c1", c1),
    ];
    near(found, n, &wanted, 1e-9);
    let bound = found["smooth-infidelity-bound"][n];
    match c1 < 0.25 {
        true => {
            let wanted = infidelity / off / (1. - 2. * c1.sqrt()) * own;
            assert!((bound - wanted).abs() < 1e-9 * wanted && infidelity <= bound * (1. + 1e-9));
        }
        false => assert!(bound.is_nan()),
    }
    assert!(found["robust-infidelity-tightness"][n] <= 1.);
    assert!(found["smooth-sensitivity-tightness"][n] <= 1. + 1e-9);
}

#[test]
fn both_sides_are_those_of_loops() {
    let (batch, model) = (batch(3), Bent::drawn());
    let found = measured_of(SPELLED, &model, &*explain::parse("gxi").unwrap(), &batch);
    for (n, &key) in batch.keys.iter().enumerate() {
        let (x, drawn) = (batch.x.get(n as i64), Drawn::of(key));
        of_gradient(&found, n, &model, &x, &drawn);
        of_maps(&found, n, &model, &x, &drawn);
    }
    assert!(found["sensitivity-product"].iter().all(|bound| bound.is_nan()), "no layers are seen");
}

/// Logits of W₂ softplus(W₁ x), W₂ as small as `scale` says.
struct Hidden {
    first: Affine,
    last: Affine,
    beta: f64,
}

impl Model for Hidden {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let z = ops.affine(&self.first, &x.flatten(1, -1));
        ops.affine(&self.last, &ops.act(&Activation::Softplus { beta: self.beta }, &z))
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::Softplus { beta: self.beta })
    }
}

/// Both right sides of A.1 by SVDs, and what the gradient does.
#[test]
fn norms_of_layers_bound_a_network_of_softplus_but_not_as_printed() {
    let b = Builder::new(3, Device::Cpu);
    let [first, last] = [("first", 24, 6), ("last", 6, 3)]
        .map(|(name, inside, outside)| Affine::linear(&b, name, inside, outside));
    tch::no_grad(|| {
        for (name, mut t) in b.params().tensors() {
            let scale = if name.starts_with("last") { 0.05 } else { 3. };
            t.copy_(&(t.shallow_clone() * scale));
        }
    });
    let model = Hidden { first, last, beta: 2. };
    let batch = batch(2);
    let x = batch.x.to_kind(Kind::Float);
    let target = Target::logit(&Tensor::from_slice(&[0i64, 2]));
    let found = measured("bounds-yeh19:points=40,radius=0.1", &model, &Batch::new(&x, &target));
    let [w1, w2] = [&model.first, &model.last].map(|layer| layer.weights().0.to_kind(Kind::Double));
    let norm = w1.matmul(&w1.transpose(0, 1)).linalg_eigvalsh("L").max().sqrt().double_value(&[]);
    for (n, class) in [0i64, 2].into_iter().enumerate() {
        let row = size(&w2.get(class));
        let wanted = [
            ("sensitivity-product", 0.1 * 0.5 * norm * norm * row * row),
            ("sensitivity-chain", 0.1 * 0.5 * norm * norm * row),
        ];
        near(&found, n, &wanted, 1e-3);
        assert!(found["sensitivity-chain-tightness"][n] <= 1.);
        // With a small last layer the product of squares is too small.
        assert!(found["sensitivity-product-tightness"][n] > 1., "{found:?}");
    }
}
