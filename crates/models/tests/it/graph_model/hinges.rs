//! `Max`, `Min` and `Abs` as hinges: exact in a plain pass, softplus in a softened one.

use super::{Build, Written, draw, images, near};
use models::{
    Activation, Model, Plain,
    grad::{Graph, pull},
    graph::{
        Node,
        operators::{Call, Memo, find},
    },
    jvp::LinearisedPass,
    softened,
};
use tch::{Device, Kind, Tensor};

const BETA: f64 = 0.5;

/// log(1 + e^{βz}) / β.
fn soft(z: &Tensor) -> Tensor {
    ((z * BETA).exp() + 1.).log() / BETA
}

type Formula = fn(&Tensor, &Tensor, &dyn Fn(&Tensor) -> Tensor) -> Tensor;

/// A node of `a` and `b`, and its formula in hinges.
fn cases() -> Vec<(&'static str, &'static [&'static str], Formula)> {
    vec![
        ("Max", &["a", "b"], |a, b, hinge| b + hinge(&(a - b))),
        ("Min", &["a", "b"], |a, b, hinge| b - hinge(&(b - a))),
        ("Max", &["a", "b", "row"], |a, b, hinge| {
            let most = b + hinge(&(a - b));
            let row = draw("row", &[1, 4]).to_kind(Kind::Double);
            &row + hinge(&(most - &row))
        }),
        ("Max", &["a", "bound"], |a, _, hinge| hinge(&(a - 0.25)) + 0.25),
        ("Max", &["zero", "a"], |a, _, hinge| hinge(a)),
        ("Min", &["bound", "b"], |_, b, hinge| b - hinge(&(b - 0.25))),
        ("Abs", &["a"], |a, _, hinge| hinge(a) + hinge(&-a)),
    ]
}

/// The gradient of the first logit, and that of the sum of its squares.
fn derivatives(y: &Tensor, x: &Tensor) -> [Tensor; 2] {
    let first = pull(&y.select(1, 0).sum(Kind::Double), x, Graph::Keep);
    let second = pull(&first.square().sum(Kind::Double), x, Graph::Keep);
    [first, second]
}

#[test]
fn they_are_smooth_in_softened_networks() {
    for (operator, inputs, formula) in cases() {
        let file = Build::new(&[0, 3, 4, 4])
            .drawn("u", &[48, 4])
            .drawn("v", &[48, 4])
            .drawn("row", &[1, 4])
            .drawn("head", &[4, 6])
            .tensor("bound", &[1], &Tensor::from(0.25f32))
            .tensor("zero", &[], &Tensor::from(0f32))
            .node("Flatten", &["x"], "f", &[])
            .node("MatMul", &["f", "u"], "a", &[])
            .node("MatMul", &["f", "v"], "b", &[])
            .node(operator, inputs, "m", &[])
            .node("MatMul", &["m", "head"], "y", &[]);
        let model = file.load().unwrap().classifier.in_f64();
        let x = images(3, &[3, 4, 4]).to_kind(Kind::Double).set_requires_grad(true);
        let by = |name: &str, dims: &[i64]| draw(name, dims).to_kind(Kind::Double);
        let f = x.flatten(1, -1);
        let (a, b) = (f.matmul(&by("u", &[48, 4])), f.matmul(&by("v", &[48, 4])));
        let logits =
            |hinge: &dyn Fn(&Tensor) -> Tensor| formula(&a, &b, hinge).matmul(&by("head", &[4, 6]));
        let smooth = softened(&model, BETA);
        near(&model.logits(&x), &logits(&Tensor::relu), 1e-12);
        let (found, wanted) = (smooth.logits(&x), logits(&soft));
        near(&found, &wanted, 1e-12);
        let (found, wanted) = (derivatives(&found, &x), derivatives(&wanted, &x));
        near(&found[0], &wanted[0], 1e-12);
        near(&found[1], &wanted[1], 1e-11);
        let least = 1e-2 * found[0].abs().max().double_value(&[]);
        assert!(found[1].abs().max().double_value(&[]) > least, "{operator} {inputs:?}");
        // The hinges are all that bends; a constant that is added is told apart.
        let tangent = LinearisedPass::of(&smooth, &x);
        let constant = inputs.contains(&"row");
        assert_eq!(tangent.is_none(), constant, "{operator} {inputs:?}");
    }
}

/// What `operator` gives in a plain pass.
fn plain(operator: &str, inputs: &[&Tensor]) -> Tensor {
    let node = Node::default();
    let inputs: Vec<_> = inputs.iter().map(|t| Some(t.shallow_clone())).collect();
    let call = Call { node: &node, inputs: &inputs, ops: &Plain, memo: &Memo::default() };
    find(operator).unwrap().apply(&call).unwrap().swap_remove(0)
}

#[test]
fn they_are_exact_whatever_the_size_of_the_other() {
    let a = images(1, &[64]).squeeze_dim(0) - 0.5;
    let huge = f32::MAX;
    let bounds = [f32::NEG_INFINITY, -huge, -1e30, -1e4, 0.125, 1e4, 1e30, huge, f32::INFINITY];
    let b = Tensor::from_slice(&bounds).unsqueeze(1);
    for (x, y) in [(&a, &b), (&b, &a)] {
        let (most, least) = (plain("Max", &[x, y]), plain("Min", &[x, y]));
        assert!(most.equal(&x.maximum(y)), "{most} {}", x.maximum(y));
        assert!(least.equal(&x.minimum(y)), "{least} {}", x.minimum(y));
    }
    assert!(plain("Abs", &[&a]).equal(&a.abs()));
    let integers = Tensor::from_slice(&[i64::MIN + 1, -3, i64::MAX]);
    assert!(plain("Max", &[&integers, &integers.zeros_like()]).equal(&integers.clamp_min(0)));
    assert!(plain("Abs", &[&integers]).equal(&integers.abs()));
}

/// Where both are equal, as zeros behind a ReLU are, the second has the gradient.
#[test]
fn gradients_of_ties_are_those_of_one_side() {
    let zeros = || Tensor::zeros([3], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let (a, b) = (zeros(), zeros());
    plain("Max", &[&a, &b]).sum(Kind::Float).backward();
    let slope = Activation::Relu.slope(&zeros()).max().double_value(&[]);
    assert_eq!(slope, 0.);
    assert!(a.grad().equal(&zeros()) && b.grad().equal(&(zeros() + 1.)));
}
