//! The forms that files of other exporters have: order, inputs, layouts, outputs, types.

use super::{Build, Written, by_hand, draw, images, int, ints, near};
use models::{
    Model,
    checkpoint::{self, Hints, Loaded},
};
use tch::{Kind, Tensor};
use testkit::onnx::network;

fn parameters(loaded: &Loaded) -> Vec<String> {
    loaded.classifier.params().tensors().into_keys().collect()
}

fn notes(loaded: &Loaded) -> String {
    loaded.notes.join("\n")
}

/// x `[N, 3, 4, 4]` -> [N, 5].
fn linear(x: &Tensor) -> Tensor {
    x.reshape([x.size()[0], -1]).matmul(&draw("w", &[48, 5]))
}

/// A linear layer of `from`, `[N, 48]`.
fn ended(build: Build, from: &str) -> Build {
    build.drawn("w", &[48, 5]).node("MatMul", &[from, "w"], "y", &[])
}

#[test]
fn old_files_list_initializers_as_inputs_and_some_are_not_sorted() {
    let loaded = network(0).odd().load().unwrap();
    let x = images(2, &[3, 8, 8]);
    near(&loaded.classifier.logits(&x), &by_hand(&x), 1e-5);
    assert_eq!(parameters(&loaded), parameters(&network(0).load().unwrap()));
}

#[test]
fn images_may_have_their_channels_last() {
    let x = images(3, &[3, 4, 4]);
    let file = |dims: &[i64]| {
        let build = Build::new(dims)
            .node("Transpose", &["x"], "t", &[ints("perm", &[0, 3, 1, 2])])
            .node("Flatten", &["t"], "f", &[]);
        ended(build, "f")
    };
    // Sides that could be channels: the transposition says which they are.
    for dims in [&[0, 4, 4, 3], &[1, 4, 4, 3]] {
        let model = file(dims).load().unwrap().classifier;
        assert_eq!(model.shape.image, [3, 4, 4]);
        near(&model.logits(&x), &linear(&x), 1e-5);
    }
    // Normalised before the transposition, with a number for each channel.
    let mean = Tensor::from_slice(&[0.25f32, 0.5, 0.75]);
    let build = Build::new(&[0, 8, 8, 3])
        .tensor("mean", &[3], &mean)
        .node("Sub", &["x", "mean"], "s", &[])
        .node("Transpose", &["s"], "t", &[ints("perm", &[0, 3, 1, 2])])
        .drawn("k", &[5, 3, 8, 8])
        .node("Conv", &["t", "k"], "c", &[])
        .node("Flatten", &["c"], "y", &[]);
    let model = build.load().unwrap().classifier;
    assert_eq!(
        (model.shape.image, &*model.normalisation.mean),
        ([3, 8, 8], &[0.25, 0.5, 0.75][..])
    );
    let x = images(2, &[3, 8, 8]);
    let by_hand = (&x - mean.view([3, 1, 1]))
        .flatten(1, -1)
        .matmul(&draw("k", &[5, 3, 8, 8]).flatten(1, -1).tr());
    near(&model.logits(&x), &by_hand, 1e-5);
}

#[test]
fn flat_inputs_take_the_datas_images() {
    let x = images(3, &[3, 4, 4]);
    let from = |dims: &[i64]| ended(Build::new(dims).node("Flatten", &["x"], "f", &[]), "f");
    for (dims, alone) in [(&[0, 48][..], [48, 1, 1]), (&[1, 48, 1], [1, 48, 1])] {
        let mut loaded = from(dims).load().unwrap();
        assert_eq!(loaded.classifier.shape.image, alone);
        near(&loaded.classifier.logits(&x.reshape([3, alone[0], alone[1], 1])), &linear(&x), 1e-5);
        let (_folder, path) = from(dims).write();
        loaded = checkpoint::load(&path, &Hints::default()).unwrap();
        loaded.suit([3, 4, 4]);
        assert_eq!(loaded.classifier.shape.image, [3, 4, 4]);
        near(&loaded.classifier.logits(&x), &linear(&x), 1e-5);
    }
}

#[test]
fn bytes_as_input_are_pixels_times_255() {
    const UINT8: i32 = 2;
    let build = Build::new(&[0, 3, 4, 4])
        .of_type(UINT8)
        .node("Cast", &["x"], "c", &[int("to", 1)])
        .tensor("mean", &[1, 3, 1, 1], &Tensor::from_slice(&[100f32, 110., 120.]))
        .node("Sub", &["c", "mean"], "s", &[])
        .node("Flatten", &["s"], "f", &[]);
    let x = images(3, &[3, 4, 4]);
    let mean = Tensor::from_slice(&[100f32, 110., 120.]).view([3, 1, 1]);
    let model = ended(build, "f").load().unwrap().classifier;
    near(&model.logits(&x), &linear(&(&x * 255 - mean)), 1e-5);
    let plain = Build::new(&[0, 3, 4, 4]).of_type(UINT8).node("Flatten", &["x"], "f", &[]);
    let model = ended(plain.node("Cast", &["f"], "c", &[int("to", 1)]), "c").load().unwrap();
    near(&model.classifier.logits(&x), &linear(&(&x * 255)), 1e-5);
}

/// Azure's Custom Vision exports such files.
#[test]
fn channels_may_begin_with_blue() {
    let mean = [0.1f32, 0.2, 0.3];
    let build = Build::new(&[0, 3, 4, 4])
        .string("Image.BitmapPixelFormat", "Bgr8")
        .string("Image.NominalPixelRange", "NominalRange_0_255")
        .tensor("mean", &[3, 1, 1], &(Tensor::from_slice(&mean) * 255))
        .node("Sub", &["x", "mean"], "s", &[])
        .node("Flatten", &["s"], "f", &[]);
    let (_folder, path) = ended(build, "f").write();
    let model = checkpoint::load(&path, &Hints::default()).unwrap().classifier;
    let x = images(3, &[3, 4, 4]);
    let blue_first = x.flip([1]) - Tensor::from_slice(&mean).view([3, 1, 1]);
    near(&model.logits(&x), &linear(&(blue_first * 255)), 1e-5);
    near(
        &Tensor::from_slice(&model.normalisation.mean),
        &Tensor::from_slice(&[0.3, 0.2, 0.1]),
        1e-6,
    );
    assert!(model.nonlinear_only_in_ops());
    // Written and read again it is the same.
    let last = path.with_file_name("last.onnx");
    checkpoint::save(&last, &model, Kind::Float, &Default::default()).unwrap();
    let again = checkpoint::load(&last, &Hints::default()).unwrap().classifier;
    near(&again.logits(&x), &model.logits(&x), 1e-6);
}

/// scikit-learn's form: a label, and dictionaries of probabilities.
#[test]
fn labels_and_dictionaries_beside_the_logits_are_passed_over() {
    const INT64: i32 = 7;
    let build = Build::new(&[0, 48])
        .outputs(&[("label", INT64), ("dictionaries", -1)])
        .drawn("w", &[48, 5])
        .node("MatMul", &["x", "w"], "scores", &[])
        .node("Softmax", &["scores"], "probabilities", &[int("axis", -1)])
        .node("ArgMax", &["probabilities"], "label", &[])
        .node("ZipMap", &["probabilities"], "dictionaries", &[])
        .domain("ai.onnx.ml");
    let loaded = build.load().unwrap();
    assert!(notes(&loaded).contains("its last operation, `Softmax`, is left out"));
    let x = images(3, &[3, 4, 4]);
    near(&loaded.classifier.logits(&x.reshape([3, 48, 1, 1])), &linear(&x), 1e-5);
    let label =
        Build::new(&[0, 48]).node("ArgMax", &["x"], "y", &[]).node("Cast", &["y"], "z", &[]);
    assert!(label.refused().starts_with("1 operator is not supported: `ArgMax`"));
}

#[test]
fn what_is_one_number_may_be_a_list_of_one() {
    for dims in [&[][..], &[1]] {
        let number = |build: Build, name: &str, value| build.integers(name, dims, &[value]);
        let mut build = Build::new(&[0, 3, 4, 4]);
        for (name, value) in [("one", 1), ("zero", 0), ("last", -1), ("step", 1), ("five", 5)] {
            build = number(build, name, value);
        }
        let build = build
            .tensor("low", dims, &Tensor::from(0.25f32))
            .node("Clip", &["x", "low"], "c", &[])
            .node("Unsqueeze", &["c", "one"], "u", &[])
            .node("Squeeze", &["u", "one"], "s", &[])
            .node("CumSum", &["s", "last"], "sums", &[])
            .node("Range", &["zero", "five", "step"], "range", &[])
            .node("Size", &["range"], "count", &[])
            .node("Gather", &["range", "last"], "four", &[])
            .node("Flatten", &["sums"], "f", &[])
            .node("Cast", &["four"], "factor", &[int("to", 1)])
            .node("Mul", &["f", "factor"], "m", &[]);
        let model = ended(build, "m").load().unwrap().classifier;
        let x = images(2, &[3, 4, 4]);
        near(&model.logits(&x), &(linear(&x.clamp_min(0.25).cumsum(-1, Kind::Float)) * 4), 1e-5);
    }
}

/// Without axes a batch of one image would be squeezed away.
#[test]
fn a_squeeze_without_axes_leaves_the_batch() {
    let file = |batch: i64| {
        Build::new(&[batch, 3, 4, 4])
            .drawn("k", &[5, 3, 4, 4])
            .node("Conv", &["x", "k"], "c", &[])
            .node("Squeeze", &["c"], "s", &[])
    };
    let x = images(3, &[3, 4, 4]);
    let wanted = x.flatten(1, -1).matmul(&draw("k", &[5, 3, 4, 4]).flatten(1, -1).tr());
    let free = file(0).drawn("head", &[5, 5]).node("MatMul", &["s", "head"], "y", &[]);
    let model = free.load().unwrap().classifier;
    for n in [1, 2, 3] {
        let logits = wanted.narrow(0, 0, n).matmul(&draw("head", &[5, 5]));
        near(&model.logits(&x.narrow(0, 0, n)), &logits, 1e-5);
    }
    // With one image built in, the file means it.
    let one = file(1).shape("zero", &[0]).node("Unsqueeze", &["s", "zero"], "y", &[]);
    let loaded = one.load().unwrap();
    assert!(notes(&loaded).contains("images go one at a time"));
    near(&loaded.classifier.logits(&x), &wanted, 1e-5);
}

#[test]
fn a_constant_of_the_files_batch_grows_with_it() {
    let build = Build::new(&[1, 3, 4, 4])
        .drawn("token", &[1, 1, 16])
        .drawn("head", &[64, 5])
        .shape("rows", &[1, 3, 16])
        .shape("flat", &[1, -1])
        .node("Reshape", &["x", "rows"], "r", &[])
        .node("Concat", &["token", "r"], "t", &[int("axis", 1)])
        .node("Reshape", &["t", "flat"], "f", &[])
        .node("MatMul", &["f", "head"], "y", &[]);
    let loaded = build.load().unwrap();
    assert!(!notes(&loaded).contains("one at a time"), "{}", notes(&loaded));
    let x = images(3, &[3, 4, 4]);
    let token = draw("token", &[1, 1, 16]).expand([3, 1, 16], false);
    let rows = Tensor::cat(&[token, x.reshape([3, 3, 16])], 1);
    near(&loaded.classifier.logits(&x), &rows.flatten(1, -1).matmul(&draw("head", &[64, 5])), 1e-5);
}

/// torch's exporter writes so, where it does not optimise: a bias of zeros, in the type of the image.
#[test]
fn of_the_image_a_constant_may_have_the_type() {
    for like in ["x", "c"] {
        let build = Build::new(&[1, 3, 4, 4])
            .drawn("w", &[4, 3, 1, 1])
            .drawn("v", &[4, 4, 1, 1])
            .tensor("half", &[], &Tensor::from(0.5f32))
            .shape("to", &[4])
            .node("Conv", &["x", "w"], "c", &[])
            .node("CastLike", &["half", like], "typed", &[])
            .node("Expand", &["typed", "to"], "bias", &[])
            .node("Conv", &["c", "v", "bias"], "d", &[])
            .node("GlobalAveragePool", &["d"], "y", &[]);
        let loaded = build.load().unwrap();
        assert!(!notes(&loaded).contains("one at a time"), "{}", notes(&loaded));
        assert_eq!(parameters(&loaded), ["v", "w"]);
        let x = images(3, &[3, 4, 4]);
        let means = x.mean_dim([2i64, 3].as_slice(), false, Kind::Float);
        let matrix = |name: &str, columns| draw(name, &[4, columns, 1, 1]).view([4, columns]).tr();
        let logits = means.matmul(&matrix("w", 3)).matmul(&matrix("v", 4)) + 0.5;
        near(&loaded.classifier.logits(&x), &logits, 1e-5);
    }
    // Of an integer, whole numbers.
    let build = Build::new(&[0, 3, 4, 4])
        .tensor("most", &[], &Tensor::from(2.75f32))
        .node("Shape", &["x"], "sizes", &[])
        .node("CastLike", &["most", "sizes"], "two", &[])
        .node("Cast", &["two"], "factor", &[int("to", 1)])
        .node("Flatten", &["x"], "f", &[])
        .node("Mul", &["f", "factor"], "m", &[]);
    let x = images(3, &[3, 4, 4]);
    near(&ended(build, "m").load().unwrap().classifier.logits(&x), &(linear(&x) * 2), 1e-5);
}

#[test]
fn what_nodes_hold_is_a_weight_by_its_place() {
    let hold =
        |build: Build, name: &str, dims: &[i64]| build.constant(name, dims, &draw(name, dims));
    let build = hold(Build::new(&[0, 3, 4, 4]), "k", &[4, 3, 1, 1]);
    let build = hold(build, "scale", &[1, 4, 1, 1])
        .node("Conv", &["x", "k"], "c", &[])
        .node("Relu", &["c"], "r", &[])
        .node("Mul", &["r", "scale"], "m", &[])
        .node("GlobalAveragePool", &["m"], "y", &[]);
    let loaded = build.load().unwrap();
    assert_eq!(parameters(&loaded), ["k"]);
    let x = images(2, &[3, 4, 4]);
    let weight = draw("k", &[4, 3, 1, 1]);
    let c = x.conv2d(&weight, None::<&Tensor>, [1, 1], [0, 0], [1, 1], 1).relu();
    let means =
        (c * draw("scale", &[1, 4, 1, 1])).mean_dim([2i64, 3].as_slice(), false, Kind::Float);
    near(&loaded.classifier.logits(&x), &means, 1e-5);
}

#[test]
fn what_gradients_do_not_pass_is_noted() {
    let build = Build::new(&[0, 3, 4, 4])
        .node("Flatten", &["x"], "f", &[])
        .drawn("v", &[48, 48])
        .node("MatMul", &["f", "v"], "a", &[])
        .node("Sign", &["a"], "b", &[])
        .node("Round", &["f"], "c", &[])
        .node("Sign", &["c"], "d", &[])
        .node("Add", &["b", "d"], "e", &[]);
    let said = notes(&ended(build, "e").load().unwrap());
    assert!(said.contains("gradients are zero through a `Round` node, 2 `Sign` nodes"), "{said}");
    let build = Build::new(&[0, 3, 4, 4]).node("Flatten", &["x"], "f", &[]);
    let build = ended(build, "f").node("Relu", &["y"], "z", &[]);
    let said = notes(&build.renamed("z").load().unwrap());
    let wanted = "its last operation is a `Relu` (`z`): where all logits are 0, gradients are too";
    assert!(said.contains(wanted), "{said}");
}

#[test]
fn two_inputs_are_refused_by_name() {
    let build = Build::new(&[0, 3, 4, 4])
        .input("age", &[0, 48])
        .node("Flatten", &["x"], "f", &[])
        .node("Add", &["f", "age"], "a", &[]);
    let said = ended(build, "a").refused();
    assert_eq!(said, "2 inputs: `x` [N,3,4,4], `age` [N,48]; a classifier has one");
}

/// Integers that stand for weights stay; a network is explained with what they mean.
#[test]
fn weights_in_8_bits_are_what_they_mean_and_are_not_trained() {
    let scale = Tensor::from_slice(&[0.5f32, 0.25, 0.125, 1., 2.]);
    let whole = (draw("w", &[48, 5]) * 20).round();
    let numbers = Vec::<f32>::try_from(whole.flatten(0, -1)).unwrap();
    let bytes: Vec<i64> = numbers.iter().map(|n| *n as i64).collect();
    let build = Build::new(&[0, 3, 4, 4])
        .integers("q", &[48, 5], &bytes)
        .tensor("scale", &[5], &scale)
        .node("Cast", &["q"], "bytes", &[int("to", 3)])
        .node("DequantizeLinear", &["bytes", "scale"], "w", &[int("axis", 1)])
        .node("Flatten", &["x"], "f", &[])
        .node("MatMul", &["f", "w"], "m", &[])
        .drawn("head", &[5, 6])
        .node("MatMul", &["m", "head"], "y", &[]);
    let loaded = build.load().unwrap();
    assert_eq!(parameters(&loaded), ["head"]);
    let x = images(2, &[3, 4, 4]);
    let logits = x.flatten(1, -1).matmul(&(whole * scale)).matmul(&draw("head", &[5, 6]));
    near(&loaded.classifier.logits(&x), &logits, 1e-5);
}
