//! What each method promises, and what it does not: every axiom is tried on every method, and must
//! hold where the table says so and visibly fail where it does not.

use explain::{Attribution, Batch, METHODS};
use models::{Activation, Affine, Builder, Conv, Model, Ops, Target, noise};
use std::collections::BTreeSet;
use tch::{Device, Kind, Tensor};

/// Axioms:
/// - `complete`: the map sums to f(x) − f(0), on a smooth network with biases;
/// - `conserving`: the same on a ReLU network without biases, where f(tx) = t f(x);
/// - `linear`: the map of 2f − 3g is 2 map(f) − 3 map(g) (Agarwal et al. 2021, Proposition 2);
/// - `proportional`: the map of θᵀx + b is a multiple of θ (Proposition 3);
/// - `contribution`: the map of θᵀx + b is θ ⊙ x;
/// - `dummy`: a pixel that f does not read gets 0 (sensitivity (b) of Sundararajan et al. 2017);
/// - `sensitive`: a pixel that alone makes f differ from f(0) gets something (sensitivity (a));
/// - `invariant`: networks that are equal as functions have equal maps;
/// - `class`: another class, another map.
const AXIOMS: [&str; 9] = [
    "complete",
    "conserving",
    "linear",
    "proportional",
    "contribution",
    "dummy",
    "sensitive",
    "invariant",
    "class",
];

/// Every method, with settings under which it can keep its promises, and those.
const PROMISES: &[(&str, &str)] = &[
    ("clime:samples=40", "linear proportional invariant class"),
    ("deconvnet", "proportional dummy class"),
    ("deeplift", "complete conserving linear contribution dummy sensitive class"),
    ("expected-gradients:samples=60", "linear dummy sensitive invariant class"),
    ("fgvis:steps=20,until_switched=false", "dummy class"),
    ("gradcam:relu=false", "class"),
    ("guided", "proportional dummy class"),
    ("gxi", "conserving linear contribution dummy invariant class"),
    (
        "ig:points=40,rule=gauss-legendre",
        "complete conserving linear contribution dummy sensitive invariant class",
    ),
    (
        "kernelshap:groups=scalars,all=true",
        "complete conserving linear contribution dummy sensitive invariant class",
    ),
    ("lime:groups=scalars,alpha=0", "linear contribution sensitive invariant class"),
    // With γ; without it, it is gradient times input of ReLU networks, and as invariant.
    ("lrp:gamma=0.25", "conserving linear dummy class"),
    ("mask:steps=20,cell=1,baseline=0", "invariant class"),
    ("noisy-baseline:samples=60,ridge=1e-12", "linear proportional sensitive invariant class"),
    ("occlusion:size=1,stride=1", "linear dummy sensitive invariant class"),
    ("random", "sensitive invariant"),
    ("relex:steps=5,samples=4", "sensitive invariant class"),
    ("saliency", "linear proportional dummy invariant class"),
    ("smooth:inner=gxi,samples=5", "linear dummy invariant class"),
    ("smoothgrad:samples=5", "linear proportional dummy invariant class"),
    ("square", "linear sensitive invariant class"),
    ("unigrad:samples=5", "linear proportional dummy invariant class"),
];

const IMAGE: [i64; 3] = [2, 2, 3];
const D: i64 = 12;
const BEND: f64 = 0.3;

/// A network given as a function.
struct Of<F: Fn(&Tensor, &dyn Ops) -> Tensor>(Activation, F);

impl<F: Fn(&Tensor, &dyn Ops) -> Tensor> Model for Of<F> {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        (self.1)(x, ops)
    }
    fn activation(&self) -> Option<Activation> {
        Some(self.0.clone())
    }
    fn taps(&self) -> Vec<&str> {
        vec!["hidden"]
    }
}

fn normal(key: u64, shape: &[i64]) -> Tensor {
    noise::normal(&[key], shape, Device::Cpu).squeeze_dim(0).to_kind(Kind::Double)
}

/// A linear layer with these weights `[out, in]` and biases.
fn layer(weight: &Tensor, bias: &Tensor) -> Affine {
    let size = weight.size();
    let b = Builder::new(0, Device::Cpu);
    let _ = Affine::linear(&b, "layer", size[1], size[0]);
    let given = [("layer.weight", weight), ("layer.bias", bias)];
    let given = given.map(|(name, t)| (name.to_owned(), t.to_kind(Kind::Float)));
    b.params().fill(&given.into()).unwrap();
    b.params().convert(Kind::Double);
    Affine::linear(&Builder::frozen(&b.params()), "layer", size[1], size[0])
}

/// A convolution, 8 hidden units, three logits.
fn network(seed: u64, activation: Activation, biases: bool) -> impl Model {
    let built = |b: &Builder| {
        let conv = Affine::conv_with(b, "conv", None, Conv::same(2, 4, 3, 1), biases);
        let hidden = Affine::linear_with(b, "hidden", 4 * 6, 8, biases);
        (conv, hidden, Affine::linear_with(b, "out", 8, 3, biases))
    };
    let b = Builder::new(seed, Device::Cpu);
    let _ = built(&b);
    b.params().convert(Kind::Double);
    let (conv, hidden, out) = built(&Builder::frozen(&b.params()));
    Of(activation.clone(), move |x: &Tensor, ops: &dyn Ops| {
        let maps = ops.tap("hidden", ops.act(&activation, &ops.affine(&conv, x)));
        ops.affine(&out, &ops.act(&activation, &ops.affine(&hidden, &maps.flatten(1, -1)))) * 3.
    })
}

fn bent(seed: u64) -> impl Model {
    network(seed, Activation::Softplus { beta: 3. }, true)
}

/// θᵀx + b for a first class, other weights for a second; and θ.
fn straight() -> (impl Model, Tensor) {
    let weight = normal(8, &[2, D]).to_kind(Kind::Float).to_kind(Kind::Double);
    let affine = layer(&weight, &normal(9, &[2]));
    let model = Of(Activation::Relu, move |x: &Tensor, ops: &dyn Ops| {
        ops.affine(&affine, &x.flatten(1, -1))
    });
    (model, weight.get(0).view([1, 2, 2, 3]))
}

/// Two networks for one function of (a, b, e) = BAx, A and B matrices:
/// relu(relu(a) − 1 − relu(b)) − relu(e) and relu(relu(a − 1) − relu(b)) − relu(−e) − e; the first
/// has one layer for BA, the second has two. Their taps are what enters the last sum.
fn twins() -> [Box<dyn Model>; 2] {
    let rows = [normal(1, &[D]).abs() + 0.5, normal(2, &[D]).abs() * 0.1, normal(3, &[D]) + 0.4];
    // In steps of 1/1024 the products are exact in f32 too.
    let inner = (Tensor::stack(&rows, 0) * 1024.).round() / 1024.;
    let outer = Tensor::from_slice(&[1., 1., 0., 0., 1., 0., 0., -1., 1.]).view([3, 3]);
    let none = Tensor::zeros([3], (Kind::Double, Device::Cpu));
    let whole = layer(&outer.matmul(&inner), &none);
    let (first, then) = (layer(&inner, &none), layer(&outer, &none));
    let logits = |ops: &dyn Ops, f: [Tensor; 2], b: &Tensor| {
        let [left, right] = f;
        let parts = Tensor::stack(&[left, right], 1).view([-1, 1, 1, 2]);
        let parts = ops.tap("hidden", parts).flatten(1, -1);
        Tensor::stack(&[&parts.sum_dim_intlist([1].as_slice(), false, None) * 0.25, b * 2.], 1)
    };
    let relu = |ops: &dyn Ops, x: &Tensor| ops.act(&Activation::Relu, x);
    let one = move |x: &Tensor, ops: &dyn Ops| {
        let units = ops.affine(&whole, &x.flatten(1, -1)).unbind(1);
        let [a, b, e] = [0, 1, 2].map(|i| relu(ops, &units[i]));
        logits(ops, [relu(ops, &(a - 1. - b)), -e], &units[1])
    };
    let two = move |x: &Tensor, ops: &dyn Ops| {
        let units = ops.affine(&then, &ops.affine(&first, &x.flatten(1, -1))).unbind(1);
        let top = relu(ops, &(relu(ops, &(&units[0] - 1.)) - relu(ops, &units[1])));
        logits(ops, [top - &units[2], -relu(ops, &-&units[2])], &units[1])
    };
    [Box::new(Of(Activation::Relu, one)), Box::new(Of(Activation::Relu, two))]
}

fn images() -> Tensor {
    noise::uniform(&[1, 2], &IMAGE, Device::Cpu).to_kind(Kind::Double)
}

fn of_class(x: &Tensor, class: i64) -> Batch {
    Batch::new(x, &Target::logit(&Tensor::full([x.size()[0]], class, (Kind::Int64, Device::Cpu))))
}

fn largest(t: &Tensor) -> f64 {
    t.abs().max().double_value(&[])
}

/// The largest difference, in units of the largest entry of `b`.
fn apart(a: &Tensor, b: &Tensor) -> f64 {
    largest(&(a - b)) / largest(b)
}

/// How far the sum of the map is from f(x) − f(0).
fn missing(method: &dyn Attribution, model: &dyn Model) -> f64 {
    let batch = of_class(&images(), 0);
    let f = |x: &Tensor| tch::no_grad(|| batch.target.of(&model.logits(x)));
    let map = method.attribute(model, &batch);
    let sum = map.sum_dim_intlist([1, 2, 3].as_slice(), false, None);
    apart(&sum, &(f(&batch.x) - f(&batch.x.zeros_like())))
}

fn nonlinearity(method: &dyn Attribution) -> f64 {
    let (f, g, batch) = (bent(1), bent(2), of_class(&images(), 0));
    let map = |model: &dyn Model| method.attribute(model, &batch);
    let parts = map(&f) * 2. - map(&g) * 3.;
    let sum = Of(f.activation().unwrap(), |x: &Tensor, ops: &dyn Ops| {
        f.forward(x, ops) * 2. - g.forward(x, ops) * 3.
    });
    apart(&map(&sum), &parts)
}

/// How far the map of a linear function is from the nearest multiple of its weights, or from
/// weights times image.
fn of_linear(method: &dyn Attribution, contribution: bool) -> f64 {
    let ((model, weights), batch) = (straight(), of_class(&images(), 0));
    let map = method.attribute(&model, &batch);
    if contribution {
        return apart(&map, &(weights * &batch.x));
    }
    let each = |t: &Tensor| t.sum_dim_intlist([1, 2, 3].as_slice(), true, None);
    let k = each(&(&map * &weights)) / each(&weights.square());
    apart(&(k * weights), &map)
}

/// What a pixel gets that the network does not read.
fn undeserved(method: &dyn Attribution) -> f64 {
    let keep = Tensor::ones([1, 1, 2, 3], (Kind::Double, Device::Cpu));
    let _ = keep.get(0).get(0).get(1).get(2).fill_(0.);
    let whole = bent(1);
    let blind = Of(whole.activation().unwrap(), |x: &Tensor, ops: &dyn Ops| {
        whole.forward(&(x * &keep), ops)
    });
    let map = method.attribute(&blind, &of_class(&images(), 0));
    largest(&map.narrow(2, 1, 1).narrow(3, 2, 1)) / largest(&map)
}

/// 1 if the only pixel that matters gets nothing because f is flat at the image.
fn insensitivity(method: &dyn Attribution) -> f64 {
    let flat = Of(Activation::Relu, |x: &Tensor, ops: &dyn Ops| {
        let pixel = x.flatten(1, -1).select(1, 0);
        let f: Tensor = -ops.act(&Activation::Relu, &(-pixel + BEND)) + BEND;
        Tensor::stack(&[&f * 4., f.zeros_like()], 1)
    });
    let x = images();
    let _ = x.select(1, 0).select(1, 0).select(1, 0).fill_(0.95);
    let map = method.attribute(&flat, &of_class(&x, 0));
    let gets = map.select(1, 0).select(1, 0).select(1, 0).abs().min().double_value(&[]);
    if gets > 1e-9 { 0. } else { 1. }
}

fn variance(method: &dyn Attribution) -> f64 {
    let ([one, two], batch) = (twins(), of_class(&images(), 0));
    let logits = |model: &dyn Model, x: &Tensor| tch::no_grad(|| model.logits(x));
    let around = normal(5, &[200, 2, 2, 3]) + 0.5;
    let far = largest(&(logits(&*one, &around) - logits(&*two, &around)));
    assert!(far < 1e-12, "the twins are no twins: {far}");
    apart(&method.attribute(&*two, &batch), &method.attribute(&*one, &batch))
}

/// 1 if two classes have one map.
fn indifference(method: &dyn Attribution) -> f64 {
    let (model, x) = (bent(1), images());
    let [first, second] = [0, 1].map(|class| method.attribute(&model, &of_class(&x, class)));
    if apart(&second, &first) > 1e-3 { 0. } else { 1. }
}

/// How far a method is from an axiom, in units of its map.
fn off(axiom: &str, method: &dyn Attribution) -> f64 {
    match axiom {
        "complete" => missing(method, &bent(1)),
        "conserving" => missing(method, &network(1, Activation::Relu, false)),
        "linear" => nonlinearity(method),
        "proportional" => of_linear(method, false),
        "contribution" => of_linear(method, true),
        "dummy" => undeserved(method),
        "sensitive" => insensitivity(method),
        "invariant" => variance(method),
        "class" => indifference(method),
        other => unreachable!("axiom `{other}`"),
    }
}

#[test]
fn every_method_keeps_its_promises_and_no_others() {
    let named: Vec<&str> = PROMISES.iter().map(|p| p.0.split(':').next().unwrap()).collect();
    // A promise is kept in units of the map, which zeros have none of.
    let known = METHODS.iter().map(|m| m.name).filter(|name| *name != "zero");
    let known: Vec<&str> = known.collect();
    assert_eq!(named, known, "say in PROMISES what each method promises");
    let axioms: BTreeSet<&str> = AXIOMS.into();
    let mut wrong = vec![];
    for (spelled, promised) in PROMISES {
        let method = explain::parse(spelled).unwrap();
        let promised: BTreeSet<&str> = promised.split_whitespace().collect();
        assert!(promised.is_subset(&axioms), "{spelled}: {promised:?}");
        for axiom in AXIOMS {
            let off = off(axiom, &*method);
            match promised.contains(axiom) {
                true if off < 1e-6 => {}
                false if off > 1e-3 => {}
                true => wrong.push(format!("{spelled} is not {axiom}: {off:.2e} off")),
                false => wrong.push(format!("{spelled} is {axiom}: {off:.2e} off")),
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn lrp_without_gamma_is_as_invariant_as_its_gradient() {
    let method = |spelled: &str| explain::parse(spelled).unwrap();
    assert!(variance(&*method("lrp")) < 1e-6);
    assert!(variance(&*method("lrp:epsilon=0.5")) > 1e-3, "a stabilizer is a rule of its own");
}

#[test]
fn what_is_complete_says_what_is_missing() {
    let (model, batch) = (bent(1), of_class(&images(), 0));
    for (spelled, promised) in PROMISES.iter().filter(|p| p.1.contains("complete")) {
        let method = explain::parse(spelled).unwrap();
        let map = method.attribute(&model, &batch);
        let gap = method.convergence_delta(&model, &batch, &map).expect(promised);
        assert!(largest(&gap) < 1e-6, "{spelled}");
    }
}
