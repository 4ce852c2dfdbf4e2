//! The least-infidelity map over cells, what it tends to with one number perturbed (Yeh et al. 2019,
//! Propositions 2.3 and 2.4), and RelEx by its gradient as it is.

use crate::of::Of;
use explain::{Batch, parse};
use models::{Target, noise};
use tch::{Device, Kind, Tensor};

fn drawn(key: u64, shape: &[i64]) -> Tensor {
    noise::normal(&[key], shape, Device::Cpu).squeeze_dim(0).to_kind(Kind::Double)
}

fn batch(x: &Tensor) -> Batch {
    let n = x.size()[0];
    Batch::new(x, &Target::logit(&Tensor::zeros([n], (Kind::Int64, Device::Cpu))))
}

fn bent(x: &Tensor) -> Tensor {
    x.matmul(&drawn(1, &[20, 4])).tanh().matmul(&drawn(2, &[4]))
}

fn most(t: &Tensor) -> f64 {
    t.abs().max().double_value(&[])
}

/// Weights that are one number a cell are found again, also where cells are cut off at the border.
#[test]
fn a_network_of_cells_has_its_weights_as_map() {
    let x = drawn(3, &[2, 1, 5, 6]).abs() + 0.1;
    let cells = drawn(4, &[1, 1, 3, 3]);
    let weights =
        cells.repeat_interleave_self_int(2, 2, None).repeat_interleave_self_int(2, 3, None);
    let weights = weights.narrow(2, 0, 5);
    let model = Of(|x: &Tensor| x.matmul(&weights.flatten(0, -1)));
    let method = parse("square:cell=2,largest=3,all=true,ridge=1e-10").unwrap();
    let map = method.attribute(&model, &batch(&x));
    assert!(most(&(map - weights.expand_as(&x))) < 1e-5);
    // One number a cell, whatever the network.
    let map = method.attribute(
        &Of(|x: &Tensor| x.square().sum_dim_intlist([1].as_slice(), false, None::<Kind>)),
        &batch(&x),
    );
    let pairs = map.narrow(3, 0, 6).view([2, 1, 5, 3, 2]);
    assert!(most(&(pairs.select(4, 0) - pairs.select(4, 1))) < 1e-12);
    assert!(parse("square:cell=0").is_err());
}

/// Where I = x eᵢ, the map times x is what a pixel alone takes from f.
#[test]
fn with_one_pixel_black_it_is_occlusion() {
    let x = drawn(3, &[3, 1, 4, 5]).abs() + 0.1;
    let model = Of(bent);
    let map = |spelled: &str| parse(spelled).unwrap().attribute(&model, &batch(&x));
    let found = map("square:largest=1,all=true,units=contribution,ridge=1e-12");
    let expected = map("occlusion:size=1,stride=1");
    assert!(most(&(found - expected)) < 1e-9);
}

/// Where I = ε eᵢ, the map tends to the gradient as ε does to 0: the error falls with ε.
#[test]
fn with_one_number_hardly_changed_it_is_the_gradient() {
    let at = drawn(6, &[1, 20]) * 0.5;
    let model = Of(|x: &Tensor| bent(&(x + &at)));
    let off = |epsilon: f64| {
        let x = Tensor::full([1, 1, 4, 5], epsilon, (Kind::Double, Device::Cpu));
        let map = |spelled: &str| parse(spelled).unwrap().attribute(&model, &batch(&x));
        most(&(map("square:largest=1,all=true,ridge=1e-12") - map("saliency")))
    };
    let [far, near, nearest] = [1e-1, 1e-2, 1e-3].map(off);
    assert!(near < far / 5. && nearest < near / 5. && nearest < 1e-2, "{far}, {near}, {nearest}");
}

/// One step from the drawn mask, where log p of f = w · x can be differentiated by hand.
#[test]
fn relex_steps_along_the_gradient_or_its_direction() {
    let weights = drawn(7, &[20]);
    let x = drawn(8, &[2, 1, 4, 5]).abs();
    let model = Two(weights.shallow_clone());
    let batch = batch(&x);
    for normalised in [true, false] {
        let spelled = format!(
            "relex:steps=1,samples=1,sigma=0,momentum=0,learning_rate=1e-4,normalised={normalised}"
        );
        let map = parse(&spelled).unwrap().attribute(&model, &batch);
        for (n, &key) in batch.keys.iter().enumerate() {
            let x = x.get(n as i64).flatten(0, -1);
            let key = noise::key(key, noise::name_id("mask"), 0);
            let mask =
                noise::uniform(&[key], &[20], Device::Cpu).get(0).to_kind(Kind::Double) * 0.01;
            let wx = &weights * &x;
            let odds = |m: &Tensor| (&wx * m).sum(Kind::Double);
            let inside = (-odds(&mask)).sigmoid();
            let p = odds(&(1. - &mask)).sigmoid();
            let outside = &p * (1. - &p) / (1. - &p + 1e-7);
            let g: Tensor = 1e-4 - &wx * inside - &wx * outside;
            let g = if normalised { &g / g.norm() } else { g };
            let expected = (mask - g * 1e-4).clamp(0., 1.);
            let far = most(&(map.get(n as i64).flatten(0, -1) - expected));
            assert!(far < 1e-9, "normalised={normalised}: {far}");
        }
    }
}

/// Logits [w · x, 0].
struct Two(Tensor);

impl models::Model for Two {
    fn forward(&self, x: &Tensor, _ops: &dyn models::Ops) -> Tensor {
        let f = x.flatten(1, -1).matmul(&self.0);
        Tensor::stack(&[&f, &f.zeros_like()], 1)
    }
}
