//! Weights that nodes compute of what the file stores: gradients reach what is stored, and are those
//! of the formula.

use super::{Build, Written, draw, images, int, ints, near};
use models::{Classifier, Model, Precision};
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};
use testkit::onnx::{mask, standardised};

/// A loss of the logits, of which the gradients are taken.
fn loss(logits: &Tensor) -> Tensor {
    (logits.sin() * 3. + logits.square()).sum(Kind::Double)
}

/// The gradient of every weight, by name.
fn gradients(model: &Classifier, x: &Tensor) -> BTreeMap<String, Tensor> {
    loss(&model.logits(x)).backward();
    model.params().weights().into_iter().map(|(name, w)| (name, w.grad())).collect()
}

/// A drawn tensor in f64, to be differentiated by.
fn leaf(name: &str, dims: &[i64]) -> Tensor {
    draw(name, dims).to_kind(Kind::Double).set_requires_grad(true)
}

/// The gradients by hand of `logits` for the named leaves.
fn agree(model: &Classifier, x: &Tensor, logits: &Tensor, leaves: &[(&str, &Tensor)]) {
    near(&model.logits(x), logits, 1e-12);
    let found = gradients(model, x);
    assert_eq!(found.keys().collect::<Vec<_>>(), leaves.iter().map(|l| l.0).collect::<Vec<_>>());
    loss(logits).backward();
    leaves.iter().for_each(|(name, leaf)| near(&found[*name], &leaf.grad(), 1e-11));
}

/// A convolution without padding, its mean over places, and a linear layer.
fn ended(x: &Tensor, weight: &Tensor, head: &Tensor) -> Tensor {
    let z = x.conv2d(weight, None::<&Tensor>, [1, 1], [0, 0], [1, 1], 1).relu();
    z.mean_dim([2i64, 3].as_slice(), false, Kind::Double).matmul(&head.tr())
}

fn over(x: &Tensor) -> Tensor {
    x.mean_dim([1i64, 2, 3].as_slice(), true, x.kind())
}

/// x `[n, 3, 8, 8]` in f64.
fn doubles(n: u64) -> Tensor {
    images(n, &[3, 8, 8]).to_kind(Kind::Double)
}

#[test]
fn a_standardised_weight_has_the_gradients_of_its_formula() {
    let (w, gain, head) =
        (leaf("conv/w", &[4, 3, 3, 3]), leaf("gain", &[4, 1, 1, 1]), leaf("head/w", &[6, 4]));
    let centred = &w - over(&w);
    let weight =
        &centred / (over(&centred.square()) + 1e-3f32 as f64).sqrt() * &gain * mask(&[4, 3, 3, 3]);
    let model = standardised().load().unwrap().classifier.in_f64();
    let x = doubles(3);
    // The mask is what it is: 0 and 1.
    let leaves = [("conv/w", &w), ("gain", &gain), ("head/w", &head)];
    agree(&model, &x, &ended(&x, &weight, &head), &leaves);
}

#[test]
fn a_stored_tensor_is_computed_with_anew_after_a_step_and_folded_once() {
    let model = standardised().load().unwrap().classifier;
    let x = images(3, &[3, 8, 8]);
    let (shared, folded) = (model.frozen(), model.folded(Precision::F32));
    let before = model.logits(&x);
    near(&shared.logits(&x), &before, 1e-5);
    near(&folded.logits(&x), &before, 1e-5);
    let mut stored = model.params().weights().swap_remove(0).1;
    let _ = tch::no_grad(|| stored.g_add_(&draw("step", &[4, 3, 3, 3])));
    let after = model.logits(&x);
    assert!((&after - &before).abs().max().double_value(&[]) > 1e-2);
    near(&shared.logits(&x), &after, 1e-5);
    near(&folded.logits(&x), &before, 1e-5);
    assert!(!shared.logits(&x).requires_grad() && !folded.logits(&x).requires_grad());
    // Drawn anew, what multiplies the weight is 1.
    let reinitialised = model.reinitialised(&["gain".to_owned()], 3);
    let tensors = reinitialised.params().tensors();
    assert!(tensors["gain"].equal(&tensors["gain"].ones_like()));
    assert!(tensors["conv/w"].equal(&model.params().tensors()["conv/w"]));
}

/// As timm's ScaledStdConv2d is exported: a batch norm in training mode over the weight.
#[test]
fn a_batch_norm_of_a_weight_takes_the_weights_own_statistics() {
    let flat = ["flat", "one", "zero", "zero", "one"];
    let build = Build::new(&[0, 3, 8, 8])
        .drawn("w", &[4, 3, 3, 3])
        .drawn("gain", &[4])
        .tensor("zero", &[4], &Tensor::zeros([4], (Kind::Float, Device::Cpu)))
        .tensor("one", &[4], &Tensor::ones([4], (Kind::Float, Device::Cpu)))
        .tensor("scale", &[], &Tensor::from(0.25f32))
        .drawn("head", &[6, 4])
        .shape("rows", &[1, 4, -1])
        .shape("filters", &[4, 3, 3, 3])
        .node("Mul", &["gain", "scale"], "gains", &[])
        .node("Reshape", &["w", "rows"], "flat", &[])
        .node(
            "BatchNormalization",
            &[flat[0], "gains", flat[2], flat[3], flat[4]],
            "standard",
            &[int("training_mode", 1)],
        )
        .node("Reshape", &["standard", "filters"], "weight", &[])
        .node("Conv", &["x", "weight"], "c", &[])
        .node("Relu", &["c"], "r", &[])
        .node("ReduceMean", &["r"], "f", &[ints("axes", &[2, 3]), int("keepdims", 0)])
        .node("Gemm", &["f", "head"], "y", &[int("transB", 1)]);
    let (w, gain, head) = (leaf("w", &[4, 3, 3, 3]), leaf("gain", &[4]), leaf("head", &[6, 4]));
    let shift = Tensor::zeros([4], (Kind::Double, Device::Cpu)).set_requires_grad(true);
    let centred = &w - over(&w);
    let deviation = (over(&centred.square()) + 1e-5).sqrt();
    let weight = centred / deviation * (&gain * 0.25).view([4, 1, 1, 1]) + shift.view([4, 1, 1, 1]);
    let model = build.load().unwrap().classifier.in_f64();
    let x = doubles(3);
    let leaves = [("gain", &gain), ("head", &head), ("w", &w), ("zero", &shift)];
    agree(&model, &x, &ended(&x, &weight, &head), &leaves);
}

/// Biases, scales of norms, slopes, tables of positions.
#[test]
fn whatever_a_layer_reads_may_be_computed() {
    let table = Tensor::from_slice(&[3i64, 0, 5, 1]);
    let places = Vec::<i64>::try_from(&table).unwrap();
    let build = Build::new(&[0, 3, 8, 8])
        .drawn("w", &[3, 4])
        .drawn("b", &[2, 4])
        .drawn("scale", &[4, 1])
        .drawn("table", &[6, 1])
        .drawn("bounds", &[4])
        .tensor("low", &[], &Tensor::from(-0.25f32))
        .shape("four", &[4])
        .shape("places", &places)
        .drawn("head", &[4, 6])
        .node("GlobalAveragePool", &["x"], "g", &[])
        .node("Flatten", &["g"], "f", &[])
        .node("MatMul", &["f", "w"], "m", &[])
        .node("ReduceSum", &["b", "axis"], "bias", &[int("keepdims", 0)])
        .shape("axis", &[0])
        .node("Add", &["m", "bias"], "a", &[])
        .node("Reshape", &["scale", "four"], "scales", &[])
        .node("LayerNormalization", &["a", "scales"], "n", &[])
        .node("Gather", &["table", "places"], "picked", &[])
        .node("Transpose", &["picked"], "row", &[])
        .node("Add", &["n", "row"], "p", &[])
        .node("Clip", &["bounds", "low"], "slopes", &[])
        .node("PRelu", &["p", "slopes"], "r", &[])
        .node("MatMul", &["r", "head"], "y", &[]);
    let (w, b, scale) = (leaf("w", &[3, 4]), leaf("b", &[2, 4]), leaf("scale", &[4, 1]));
    let (rows, slope, head) = (leaf("table", &[6, 1]), leaf("bounds", &[4]), leaf("head", &[4, 6]));
    let x = doubles(3);
    let m = x.mean_dim([2i64, 3].as_slice(), false, Kind::Double).matmul(&w);
    let a = m + b.sum_dim_intlist([0i64].as_slice(), false, Kind::Double);
    let n = a.layer_norm([4], Some(scale.view([4])), None::<Tensor>, 1e-5, true);
    let p = n + rows.index_select(0, &table).tr();
    let r = p.relu() + p.clamp_max(0.) * slope.clamp_min(-0.25);
    let model = build.load().unwrap().classifier.in_f64();
    let leaves = [
        ("b", &b),
        ("bounds", &slope),
        ("head", &head),
        ("scale", &scale),
        ("table", &rows),
        ("w", &w),
    ];
    agree(&model, &x, &r.matmul(&head), &leaves);
}

/// What only hides is no weight, even where it is an initializer; nor is what nodes hold.
#[test]
fn what_is_not_finite_stays_as_it_is() {
    let hidden = Tensor::from_slice(&[0., f32::NEG_INFINITY, 0., 0.]);
    let build = Build::new(&[0, 3, 8, 8])
        .drawn("w", &[3, 4])
        .tensor("hide", &[4], &hidden)
        .node("GlobalAveragePool", &["x"], "g", &[])
        .node("Flatten", &["g"], "f", &[])
        .node("MatMul", &["f", "w"], "m", &[])
        .node("Relu", &["m"], "r", &[])
        .node("Add", &["r", "hide"], "a", &[])
        .node("Softmax", &["a"], "s", &[])
        .drawn("head", &[4, 6])
        .node("MatMul", &["s", "head"], "y", &[]);
    let model = build.load().unwrap().classifier;
    let names: Vec<String> = model.params().tensors().into_keys().collect();
    assert_eq!(names, ["head", "w"]);
    assert!(bool::try_from(model.logits(&images(2, &[3, 8, 8])).isfinite().all()).unwrap());
}
