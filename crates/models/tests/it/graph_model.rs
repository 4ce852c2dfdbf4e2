//! ONNX graphs as networks: the numbers of layers written by hand, what becomes a parameter, batches,
//! and what is refused.

mod branches;
mod computed;
mod faults;
mod forms;
mod hinges;

use models::{
    Classifier, Model, Precision, Source,
    checkpoint::{self, Hints, Loaded},
    noise,
};
use std::path::PathBuf;
use tch::{Device, Kind, Tensor};
use testkit::onnx::{Build, draw, int, ints, network};

trait Written {
    fn write(self) -> (tempfile::TempDir, PathBuf);
    fn load(self) -> anyhow::Result<Loaded>;
    fn refused(self) -> String;
}

impl Written for Build {
    fn write(self) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        std::fs::write(&path, self.bytes()).unwrap();
        (folder, path)
    }

    fn load(self) -> anyhow::Result<Loaded> {
        let (_folder, path) = self.write();
        checkpoint::load(&path, &Hints::default())
    }

    fn refused(self) -> String {
        let error = self.load().err().expect("it is refused");
        let text = format!("{error:#}");
        text.split_once("m.onnx`: ").map_or(text.clone(), |(_, rest)| rest.to_owned())
    }
}

fn images(n: u64, image: &[i64]) -> Tensor {
    noise::uniform(&(0..n).collect::<Vec<_>>(), image, Device::Cpu)
}

fn near(a: &Tensor, b: &Tensor, part: f64) {
    assert_eq!(a.size(), b.size());
    let largest = |t: &Tensor| t.abs().max().double_value(&[]);
    assert!(largest(&(a - b)) <= part * largest(b), "{a:?} {b:?}");
}

/// The same by hand.
fn by_hand(x: &Tensor) -> Tensor {
    let mean = Tensor::from_slice(&[0.25f32, 0.5, 0.75]).view([1, 3, 1, 1]);
    let std = Tensor::from_slice(&[0.5f32, 0.25, 0.5]).view([1, 3, 1, 1]);
    let x = ((x - mean) / std).constant_pad_nd([1, 0, 1, 0]);
    let x = x.conv2d(&draw("conv/w", &[4, 3, 3, 3]), None::<&Tensor>, [1, 1], [0, 0], [1, 1], 1);
    let channels = |t: Tensor| t.view([1, 4, 1, 1]);
    let var = channels(Tensor::from_slice(&[1f32, 2., 0.5, 1.5]));
    let x = (x - channels(draw("running/mean", &[4]))) / (var + 1e-5).sqrt();
    let x = x * channels(draw("scale", &[4])) + channels(draw("shift", &[4]));
    let x = x.relu().max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false).flatten(1, -1);
    let x = (x.matmul(&draw("fc/w", &[36, 5])) + draw("fc/b", &[5])).relu();
    x.matmul(&draw("head/w", &[6, 5]).tr()) + draw("head/b", &[6])
}

#[test]
fn a_graph_gives_the_numbers_of_its_layers() {
    for batch in [0, 1, 4] {
        let loaded = network(batch).string("gradproof.classes", "a,b,c,d,e,f").load().unwrap();
        let model = &loaded.classifier;
        assert!(matches!(model.source, Source::Graph(_)));
        assert_eq!((model.shape.image, model.shape.classes), ([3, 8, 8], 6));
        assert_eq!(model.classes, ["a", "b", "c", "d", "e", "f"]);
        assert_eq!(model.normalisation.mean, [0.25, 0.5, 0.75]);
        assert_eq!(model.normalisation.std, [0.5, 0.25, 0.5]);
        assert_eq!(model.activation(), Some(models::Activation::Relu));
        assert!(model.nonlinear_only_in_ops(), "its layers are affine");
        assert_eq!(model.taps(), ["n", "r", "p"]);
        let softmax = "its last operation, `Softmax`, is left out: logits are explained";
        assert!(loaded.notes.iter().any(|note| note == softmax), "{:?}", loaded.notes);
        let forms = [model.frozen(), model.folded(Precision::F32)];
        for n in [1, 2, 7] {
            let x = images(n, &[3, 8, 8]);
            forms.iter().for_each(|form| near(&form.logits(&x), &by_hand(&x), 1e-5));
        }
        let bf16 = model.folded(Precision::Bf16);
        let x = images(2, &[3, 8, 8]);
        near(&bf16.logits(&x), &by_hand(&x), 0.1);
    }
}

#[test]
fn what_layers_read_are_parameters_by_the_files_names() {
    let model = network(0).load().unwrap().classifier;
    let names =
        |all: Vec<(String, Tensor)>| all.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let weights = ["conv/w", "fc/b", "fc/w", "head/b", "head/w", "scale", "shift"];
    assert_eq!(names(model.params().weights()), weights);
    let buffers: Vec<String> = model.params().statistics().into_keys().collect();
    assert_eq!(buffers, ["running/mean", "running/var"]);
    assert_eq!(model.params().parts(), ["conv", "scale", "shift", "running", "fc", "head"]);
    // Gradients reach what is stored, also through a transpose and after a step in place.
    let mut stored = model.params().weights().remove(2).1;
    let _ = tch::no_grad(|| stored.g_add_scalar_(0.25));
    let x = images(2, &[3, 8, 8]);
    model.logits(&x).square().sum(Kind::Float).backward();
    assert!(stored.grad().defined() && stored.grad().abs().max().double_value(&[]) > 0.);
    let reinitialised = model.reinitialised(&["fc".to_owned()], 3);
    let (old, new) = (model.params().tensors(), reinitialised.params().tensors());
    for (name, tensor) in &old {
        assert_eq!(tensor.equal(&new[name]), !name.starts_with("fc/"), "{name}");
    }
}

#[test]
fn a_batch_that_cannot_grow_goes_image_by_image() {
    // [1, 3, 4, 4] -> [3, 16] -> a product over all rows: three images would be nine rows.
    let file = |batch: i64| {
        Build::new(&[batch, 3, 4, 4])
            .drawn("w", &[16, 3])
            .shape("rows", &[3, 16])
            .shape("one", &[1, 9])
            .node("Reshape", &["x", "rows"], "r", &[])
            .node("MatMul", &["r", "w"], "m", &[])
            .node("Softmax", &["m"], "s", &[int("axis", 0)])
            .node("Reshape", &["s", "one"], "y", &[])
    };
    let loaded = file(1).load().unwrap();
    let note = "the file has batch 1 built in: images go one at a time";
    assert!(loaded.notes.iter().any(|said| said == note), "{:?}", loaded.notes);
    let x = images(5, &[3, 4, 4]);
    let all = loaded.classifier.logits(&x);
    for i in 0..5 {
        let one = loaded.classifier.logits(&x.narrow(0, i, 1));
        near(&all.narrow(0, i, 1), &one, 1e-6);
    }
}

#[test]
fn images_that_a_batch_couples_are_refused() {
    let file = Build::new(&[0, 3, 4, 4])
        .drawn("w", &[48, 5])
        .node("ReduceMean", &["x"], "mean", &[ints("axes", &[0])])
        .node("Sub", &["x", "mean"], "s", &[])
        .node("Add", &["s", "x"], "t", &[])
        .node("Flatten", &["t"], "f", &[])
        .node("MatMul", &["f", "w"], "y", &[]);
    assert_eq!(file.refused(), "the answer for an image depends on the others of its batch");
}

#[test]
fn attention_is_not_called_linear() {
    let file = Build::new(&[0, 3, 4, 4])
        .drawn("w", &[48, 5])
        .drawn("bias", &[1, 3, 4, 4])
        .node("Relu", &["x"], "r", &[])
        .node("Mul", &["r", "x"], "m", &[])
        .node("Flatten", &["m"], "f", &[])
        .node("MatMul", &["f", "w"], "y", &[]);
    assert!(!file.load().unwrap().classifier.nonlinear_only_in_ops(), "a product");
    let file = Build::new(&[0, 3, 4, 4])
        .drawn("w", &[48, 5])
        .drawn("bias", &[1, 3, 4, 4])
        .node("Relu", &["x"], "r", &[])
        .node("Add", &["r", "bias"], "m", &[])
        .node("Flatten", &["m"], "f", &[])
        .node("MatMul", &["f", "w"], "y", &[]);
    assert!(!file.load().unwrap().classifier.nonlinear_only_in_ops(), "a constant is added");
}

#[test]
fn free_sides_take_those_of_the_data() {
    let file = Build::new(&[0, 3, 0, 0])
        .drawn("w", &[5, 3, 1, 1])
        .node("Conv", &["x", "w"], "c", &[])
        .node("GlobalAveragePool", &["c"], "y", &[]);
    let (_folder, path) = file.write();
    let mut loaded = checkpoint::load(&path, &Hints::default()).unwrap();
    assert_eq!(loaded.classifier.shape.image, [3, 224, 224]);
    loaded.suit([3, 12, 20]);
    assert_eq!(loaded.classifier.shape.image, [3, 12, 20]);
    assert_eq!(loaded.classifier.logits(&images(2, &[3, 12, 20])).size(), [2, 5]);
    let sized = Hints { size: Some(16), ..Hints::default() };
    assert_eq!(checkpoint::load(&path, &sized).unwrap().classifier.shape.image, [3, 16, 16]);
    // Sides of 5 are not among those that are tried.
    let file = || Build::new(&[0, 3, 0, 0]).node("Flatten", &["x"], "f", &[]).drawn("w", &[75, 4]);
    let file = || file().node("MatMul", &["f", "w"], "y", &[]);
    let said = file().refused();
    let wanted = "`x` leaves the images' size open, `--size` says it: node `y` does not run on";
    assert!(said.starts_with(wanted), "{said}");
    let (_folder, path) = file().write();
    let sized = Hints { size: Some(5), ..Hints::default() };
    assert_eq!(checkpoint::load(&path, &sized).unwrap().classifier.shape.image, [3, 5, 5]);
}

#[test]
fn what_is_no_classifier_is_refused_in_one_line() {
    let plain = || Build::new(&[0, 3, 4, 4]).drawn("w", &[48, 5]);
    let said = plain()
        .node("LSTM", &["x"], "a", &[])
        .node("NonMaxSuppression", &["a"], "b", &[])
        .node("TopK", &["b"], "y", &[])
        .refused();
    assert!(
        said.starts_with("3 operators are not supported: `LSTM` (1 time, first at `a`)"),
        "{said}"
    );
    let said =
        plain().node("Flatten", &["x"], "f", &[]).node("MatMul", &["f", "x"], "y", &[]).refused();
    assert!(said.contains("does not run on one image of 3x4x4") && said.contains("`y`"), "{said}");
    assert!(!said.contains('\n'), "{said}");
    let said = plain().node("Relu", &["x"], "y", &[]).refused();
    assert_eq!(said, "the output `y` [N,3,4,4] is no table of classes");
    let said = plain()
        .drawn("v", &[48, 1])
        .node("Flatten", &["x"], "f", &[])
        .node("MatMul", &["f", "v"], "y", &[])
        .refused();
    assert_eq!(said, "the output `y` [N,1] is one number; a classifier has one for each class");
    let norm = ["x", "a", "b", "c", "d"];
    let with = norm[1..].iter().fold(plain(), |build, name| build.drawn(name, &[3]));
    let said = with
        .node("BatchNormalization", &norm, "n", &[int("training_mode", 1)])
        .node("Flatten", &["n"], "y", &[])
        .refused();
    assert_eq!(said, "node `n` is in training mode: export after `model.eval()`");
}

#[test]
fn an_onnx_file_needs_no_architecture_and_stays_what_it_is() {
    let (folder, path) = network(0).write();
    let hints = Hints { arch: Some("mlp".into()), ..Hints::default() };
    let said = format!("{:#}", checkpoint::load(&path, &hints).err().expect("it is refused"));
    assert!(said.ends_with("is its own architecture: `mlp` cannot be made of it"), "{said}");
    let model: Classifier = checkpoint::load(&path, &Hints::default()).unwrap().classifier;
    let out = folder.path().join("w.onnx");
    checkpoint::save(&out, &model, Kind::Float, &Default::default()).unwrap();
    let again = checkpoint::load(&out, &Hints::default()).unwrap().classifier;
    let x = images(3, &[3, 8, 8]);
    assert!(model.logits(&x).equal(&again.logits(&x)));
    let contents = checkpoint::contents(&path, &Hints::default()).unwrap();
    assert!(contents.tensors.contains_key("conv/w") && contents.notes.len() > 3);
}
