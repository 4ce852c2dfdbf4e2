//! Against loops, with the Hessian by differences of the gradient.

use super::{Bent, Found, batch, inner, measured, near, normal, size, step};
use explain::metric::metric;
use tch::{Kind, Tensor};

const SPELLED: &str = "bounds-wang20:samples=3,radius=0.3,draws=4,iterations=400";

/// max |ξ| of the Hessian of the loss.
fn curvature(model: &Bent, x: &Tensor) -> f64 {
    let d = x.numel() as i64;
    let columns = (0..d).map(|i| {
        let h = Tensor::zeros([d], (Kind::Double, x.device()));
        let _ = h.get(i).fill_(1e-5);
        let h = h.view_as(x);
        let change = model.loss_gradient(&(x + &h)) - model.loss_gradient(&(x - &h));
        change.flatten(0, -1) / 2e-5
    });
    let hessian = Tensor::stack(&columns.collect::<Vec<_>>(), 1);
    let whole = (&hessian + hessian.transpose(0, 1)) / 2.;
    whole.linalg_eigvalsh("L").abs().max().double_value(&[])
}

fn looped(found: &Found, model: &Bent, x: &Tensor, key: u64, n: usize) {
    let steps: Vec<Tensor> = (0..3).map(|s| step(key, "bounds-wang20", s, 0.3)).collect();
    let most = |of: &dyn Fn(&Tensor) -> f64| steps.iter().map(of).fold(0f64, f64::max);
    let (f, g) = (model.f(x), model.gradient(x));
    let turned = most(&|u| size(&(model.gradient(&(x + u)) - &g)) / size(u));
    let steep = most(&|u| size(&model.gradient(&(x + u)))).max(size(&g));
    let l = steep.max(most(&|u| (model.f(&(x + u)) - f).abs() / size(u)));
    let high = most(&|u| model.f(&(x + u)).abs()).max(f.abs());
    let sigma = (high * 0.3 / l).sqrt();
    let smooth = |at: &Tensor| -> Tensor {
        let each =
            (0..4).map(|s| model.gradient(&(at + normal(key, "bounds-smoothgrad", s) * sigma)));
        each.reduce(|sum, one| sum + one).unwrap() / 4.
    };
    let smoothed = most(&|u| size(&(smooth(&(x + u)) - smooth(x))) / size(u));
    let (loss, down) = (model.loss(x), model.loss_gradient(x));
    let along = &down * (0.3 / size(&down));
    let bent = curvature(model, x);
    let all = || steps.iter().chain([&along]);
    let change = all().map(|u| size(&(model.loss_gradient(&(x + u)) - &down))).fold(0f64, f64::max);
    let rise = all().map(|u| model.loss(&(x + u)) - loss).fold(0f64, f64::max);
    near(
        found,
        n,
        &[
            ("saliency-found", turned),
            ("saliency-bound", 2. * l / 0.3),
            ("saliency-tightness", turned * 0.3 / (2. * l)),
            ("sigma-needed", sigma),
            ("smoothgrad-found", smoothed),
            ("smoothgrad-tightness", smoothed * 0.3 / (2. * l)),
            ("gradient-found", change),
            ("gradient-bound", 0.3 * bent),
            ("loss-found", rise),
            ("loss-bound", 0.3 * size(&down) + 0.045 * bent),
        ],
        1e-5,
    );
    assert!(inner(&down, &along) > 0.);
}

#[test]
fn constants_and_bounds_are_those_of_loops() {
    let (batch, model) = (batch(3), Bent::drawn());
    let found = measured(SPELLED, &model, &batch);
    for (n, &key) in batch.keys.iter().enumerate() {
        looped(&found, &model, &batch.x.get(n as i64), key, n);
    }
    // Theorem 1 holds of any neighbour at that distance, Proposition 2 at that σ.
    for name in ["saliency-tightness", "smoothgrad-tightness"] {
        assert!(found[name].iter().all(|used| *used <= 1.), "{name}: {:?}", found[name]);
    }
}

/// So near that Taylor's orders decide.
#[test]
fn what_holds_to_second_order_holds_nearby() {
    let found = measured("bounds-wang20:radius=1e-3,iterations=400", &Bent::drawn(), &batch(3));
    for name in ["gradient-tightness", "loss-tightness"] {
        assert!(found[name].iter().all(|used| *used > 0. && *used <= 1.001), "{found:?}");
    }
}

#[test]
fn settings_out_of_range_are_told() {
    for bad in ["radius=0", "samples=0", "draws=0", "iterations=0", "sigma=1"] {
        let spelled = format!("bounds-wang20:{bad}");
        let told = metric(registry::parse(&spelled).unwrap()).err().map(|e| format!("{e:#}"));
        let name = bad.split('=').next().unwrap();
        assert!(told.is_some_and(|told| told.contains(name)), "{bad}");
    }
}
