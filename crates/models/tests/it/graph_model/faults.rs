//! Graphs that were once read wrongly.

use super::{Build, Written, draw, images, int, ints, near};
use models::{
    Model, Ops, Precision, Training,
    checkpoint::{self, Hints},
};
use tch::{Kind, Tensor};

/// A convolution to four channels.
fn layer() -> Build {
    Build::new(&[0, 3, 4, 4]).drawn("w", &[4, 3, 3, 3])
}

/// Two classes of four numbers.
fn ended(graph: Build, from: &str) -> Build {
    graph
        .node("GlobalAveragePool", &[from], "g", &[])
        .node("Flatten", &["g"], "f", &[])
        .drawn("head", &[2, 4])
        .node("Gemm", &["f", "head"], "y", &[int("transB", 1)])
}

/// A tensor that is both a bias and a mean is no statistic that training moves.
#[test]
fn training_moves_no_statistics_that_are_no_parameter() {
    let zeros = Tensor::zeros([4], (Kind::Float, tch::Device::Cpu));
    let graph = layer()
        .tensor("zeros", &[4], &zeros)
        .tensor("ones", &[4], &zeros.ones_like())
        .node("Conv", &["x", "w", "zeros"], "c", &[])
        .node("Relu", &["c"], "r", &[])
        .node("BatchNormalization", &["r", "ones", "zeros", "zeros", "ones"], "n", &[]);
    let model = ended(graph, "n").load().unwrap().classifier;
    let x = images(3, &[3, 4, 4]);
    let before = model.logits(&x);
    let _ = model.forward(&x, &Training { precision: Precision::F32 } as &dyn Ops);
    near(&model.logits(&x), &before, 1e-6);
    for (name, tensor) in model.params().tensors() {
        let still = !["zeros", "ones"].contains(&name.as_str())
            || tensor.detach().max().double_value(&[]) == tensor.min().double_value(&[]);
        assert!(still, "{name} was moved");
    }
}

/// Floats cast to integers are no weights.
#[test]
fn places_that_are_stored_as_floats_stay_places() {
    let graph = layer()
        .tensor("order", &[4], &Tensor::from_slice(&[3f32, 2., 1., 0.]))
        .node("Conv", &["x", "w"], "c", &[])
        .node("Cast", &["order"], "places", &[int("to", 7)])
        .node("Gather", &["c", "places"], "t", &[int("axis", 1)]);
    let model = ended(graph, "t").load().unwrap().classifier;
    let names: Vec<String> = model.params().tensors().into_keys().collect();
    assert_eq!(names, ["head", "w"]);
    let x = images(2, &[3, 4, 4]);
    let c = x.conv2d(&draw("w", &[4, 3, 3, 3]), None::<&Tensor>, [1, 1], [0, 0], [1, 1], 1);
    let means = c.mean_dim([2i64, 3].as_slice(), false, Kind::Float).flip([1]);
    near(&model.logits(&x), &means.matmul(&draw("head", &[2, 4]).tr()), 1e-5);
}

/// Parts keep their order where the first of them is a place for Grad-CAM.
#[test]
fn three_parts_keep_their_order() {
    let graph = layer()
        .shape("parts", &[2, 1, 1])
        .node("Conv", &["x", "w"], "c", &[])
        .nodes("Split", &["c", "parts"], &["p", "q", "r"], &[int("axis", 1)])
        .node("Concat", &["q", "r", "p"], "t", &[int("axis", 1)]);
    let model = graph
        .node("GlobalAveragePool", &["t"], "g", &[])
        .node("Flatten", &["g"], "y", &[])
        .load()
        .unwrap()
        .classifier;
    assert!(model.taps().contains(&"p"), "{:?}", model.taps());
    let x = images(2, &[3, 4, 4]);
    let c = x.conv2d(&draw("w", &[4, 3, 3, 3]), None::<&Tensor>, [1, 1], [0, 0], [1, 1], 1);
    let means = c.mean_dim([2i64, 3].as_slice(), false, Kind::Float);
    near(&model.logits(&x), &means.roll([2], [1]), 1e-5);
}

/// A value that is left out has no name; it is not the one that was left out before.
#[test]
fn what_is_left_out_is_not_read() {
    let graph = layer()
        .shape("parts", &[1, 3])
        .shape("others", &[1, 2])
        .tensor("most", &[], &Tensor::from(0.5f32))
        .nodes("Split", &["w", "parts"], &["", "v"], &[int("axis", 0)])
        .node("Conv", &["x", "v", ""], "c", &[])
        .nodes("Split", &["c", "others"], &["", "rest"], &[int("axis", 1)])
        .node("Clip", &["rest", "", "most"], "t", &[]);
    let model = graph
        .node("GlobalAveragePool", &["t"], "g", &[])
        .node("Flatten", &["g"], "y", &[])
        .load()
        .unwrap()
        .classifier;
    let x = images(2, &[3, 4, 4]);
    let c = x.conv2d(&draw("w", &[4, 3, 3, 3]), None::<&Tensor>, [1, 1], [0, 0], [1, 1], 1);
    let clipped = c.narrow(1, 2, 2).clamp_max(0.5);
    near(&model.logits(&x), &clipped.mean_dim([2i64, 3].as_slice(), false, Kind::Float), 1e-5);
}

/// Scales are settings, which no training moves.
#[test]
fn scales_of_upsample_are_no_parameter() {
    let graph = layer()
        .tensor("scales", &[4], &Tensor::from_slice(&[1f32, 1., 2., 2.]))
        .node("Conv", &["x", "w"], "c", &[])
        .node("Upsample", &["c", "scales"], "u", &[])
        .opset(9);
    let model = ended(graph, "u").load().unwrap().classifier;
    let names: Vec<String> = model.params().tensors().into_keys().collect();
    assert_eq!(names, ["head", "w"]);
}

/// A shape that is put together of its sides has as many numbers for each batch.
#[test]
fn a_shape_of_several_numbers_does_not_grow_with_the_batch() {
    let graph = Build::new(&[1, 3, 4, 4])
        .drawn("w", &[4, 3, 3, 3])
        .shape("first", &[0])
        .shape("channels", &[4])
        .shape("sides", &[2, 2])
        .node("Conv", &["x", "w"], "c", &[])
        .node("Shape", &["c"], "size", &[])
        .node("Gather", &["size", "first"], "n", &[])
        .node("Concat", &["n", "channels", "sides"], "shape", &[int("axis", 0)])
        .node("Reshape", &["c", "shape"], "r", &[]);
    let loaded = ended(graph, "r").load().unwrap();
    assert!(!loaded.notes.iter().any(|note| note.contains("one at a time")), "{:?}", loaded.notes);
    let x = images(4, &[3, 4, 4]);
    let alone: Vec<Tensor> = (0..4).map(|i| loaded.classifier.logits(&x.narrow(0, i, 1))).collect();
    let alone = Tensor::cat(&alone, 0);
    for n in [1, 2, 3, 4] {
        near(&loaded.classifier.logits(&x.narrow(0, 0, n)), &alone.narrow(0, 0, n), 1e-5);
    }
}

/// One place of an axis is a view: its gradient reaches that place alone.
#[test]
fn a_single_place_has_the_gradient_of_that_place() {
    let graph = Build::new(&[0, 3, 4, 4])
        .drawn("w", &[4, 3, 1, 1])
        .shape("last", &[-1])
        .node("Conv", &["x", "w"], "c", &[])
        .node("Gather", &["c", "last"], "row", &[int("axis", 2)])
        .node("ReduceMean", &["row"], "m", &[ints("axes", &[2, 3]), int("keepdims", 0)])
        .drawn("head", &[2, 4])
        .node("Gemm", &["m", "head"], "y", &[int("transB", 1)]);
    let model = graph.load().unwrap().classifier;
    let x = images(2, &[3, 4, 4]).set_requires_grad(true);
    model.logits(&x).select(1, 0).sum(Kind::Float).backward();
    let rows = x.grad().abs().sum_dim_intlist([0i64, 1, 3].as_slice(), false, Kind::Float);
    let rows = Vec::<f32>::try_from(rows).unwrap();
    assert!(rows[..3].iter().all(|row| *row == 0.) && rows[3] > 0., "{rows:?}");
}

/// What a file says of its normalisation is overruled only by `force:`, and never in silence.
#[test]
fn the_files_normalisation_is_kept_unless_forced() {
    let graph = || ended(layer().node("Conv", &["x", "w"], "c", &[]), "c");
    let load = |said: Option<&str>, asked: Option<&str>| {
        let graph = said.map_or_else(graph, |said| graph().string("gradproof.normalise", said));
        let (_folder, path) = graph.write();
        let hints = Hints { normalise: asked.map(str::to_owned), ..Hints::default() };
        let loaded = checkpoint::load(&path, &hints).unwrap();
        (loaded.classifier.normalisation.mean[0], loaded.notes.join("\n"))
    };
    assert_eq!(load(Some("0.25/0.5"), None), (0.25, String::new()));
    assert_eq!(load(None, Some("0.5/0.5")), (0.5, String::new()));
    for (said, asked, mean, note) in [
        (Some("0.25/0.5"), Some("0.5/0.5"), 0.25, "the file's own normalisation is kept"),
        (Some("0.25/0.5"), Some("force:0.5/0.5"), 0.5, "overrules the file's own"),
        (None, None, 0., "the file does not say its normalisation: assuming `none` (`--normalise`"),
    ] {
        let (found, notes) = load(said, asked);
        assert!(found == mean && notes.contains(note), "{found} {notes}");
    }
}

/// What pads one side of a pool is no value: it never wins, whatever the sign of a pass.
#[test]
fn a_pool_with_pads_on_one_side_is_linear_but_for_its_winners() {
    let pool = [ints("kernel_shape", &[3, 3]), ints("strides", &[2, 2]), int("ceil_mode", 1)];
    let graph = layer()
        .node("Conv", &["x", "w"], "c", &[ints("pads", &[1, 1, 1, 1])])
        .node("Relu", &["c"], "r", &[])
        .node("MaxPool", &["r"], "p", &pool);
    let model = ended(graph, "p").load().unwrap().classifier;
    assert!(model.nonlinear_only_in_ops(), "its derivative along a direction is not found");
}

/// x²⁵⁶ of pixels is finite, that of a direction is not: what is NaN is not found to be linear.
#[test]
fn powers_whose_tangents_overflow_are_not_called_linear() {
    let bound = |value: f32| Tensor::from_slice(&[value]);
    let mut graph = layer()
        .tensor("low", &[], &bound(0.))
        .tensor("high", &[], &bound(1.))
        .node("Conv", &["x", "w"], "c", &[])
        .node("Clip", &["c", "low", "high"], "0", &[]);
    for i in 0..8 {
        let x = i.to_string();
        graph = graph.node("Mul", &[&x, &x], &(i + 1).to_string(), &[]);
    }
    let model = ended(graph, "8").load().unwrap().classifier;
    assert!(!model.nonlinear_only_in_ops());
}
