//! ONNX graphs as networks: the numbers of layers written by hand, what becomes a parameter, batches,
//! and what is refused.

mod faults;

use models::{
    Classifier, Model, Precision, Source,
    checkpoint::{self, Hints, Loaded},
    noise,
};
use prost::Message;
use std::path::PathBuf;
use tch::{Device, Kind, Tensor};
use tensorfile::onnx::proto::{
    AttributeProto, Dimension, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto,
};

/// A model under construction.
#[derive(Default)]
struct Build {
    graph: GraphProto,
    strings: Vec<(String, String)>,
    opset: Option<i64>,
}

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|one| (*one).to_owned()).collect()
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        ints: values.to_vec(),
        r#type: Some(7),
        ..Default::default()
    }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        i: Some(value),
        r#type: Some(2),
        ..Default::default()
    }
}

fn value(name: &str, element: i32, dims: &[i64]) -> ValueInfoProto {
    let dim = |&n: &i64| Dimension { dim_value: (n > 0).then_some(n), dim_param: None };
    let shape = Some(TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let tensor_type = Some(TensorTypeProto { elem_type: Some(element), shape });
    ValueInfoProto { name: Some(name.into()), r#type: Some(TypeProto { tensor_type }) }
}

impl Build {
    /// One input `x`, 0 where a dimension is free, and the output `y`.
    fn new(dims: &[i64]) -> Self {
        let input = vec![value("x", 1, dims)];
        let output = vec![value("y", 1, &[])];
        Build { graph: GraphProto { input, output, ..Default::default() }, ..Build::default() }
    }

    fn node(
        mut self,
        op: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[AttributeProto],
    ) -> Self {
        self.graph.node.push(NodeProto {
            op_type: Some(op.into()),
            input: texts(inputs),
            output: texts(&[output]),
            attribute: attributes.to_vec(),
            ..Default::default()
        });
        self
    }

    fn tensor(mut self, name: &str, dims: &[i64], values: &Tensor) -> Self {
        let flat = Vec::<f32>::try_from(values.to_kind(Kind::Float).flatten(0, -1)).unwrap();
        let bytes: Vec<u8> = flat.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.graph.initializer.push(TensorProto {
            dims: dims.to_vec(),
            data_type: Some(1),
            name: Some(name.into()),
            raw_data: Some(bytes.into()),
            ..Default::default()
        });
        self
    }

    /// A drawn tensor.
    fn drawn(self, name: &str, dims: &[i64]) -> Self {
        let values = draw(name, dims);
        self.tensor(name, dims, &values)
    }

    fn shape(mut self, name: &str, values: &[i64]) -> Self {
        self.graph.initializer.push(TensorProto {
            dims: vec![values.len() as i64],
            data_type: Some(7),
            name: Some(name.into()),
            int64_data: values.to_vec(),
            ..Default::default()
        });
        self
    }

    fn string(mut self, key: &str, value: &str) -> Self {
        self.strings.push((key.into(), value.into()));
        self
    }

    /// The version of operators, instead of 17.
    fn opset(mut self, version: i64) -> Self {
        self.opset = Some(version);
        self
    }

    fn write(self) -> (tempfile::TempDir, PathBuf) {
        let entry = |(key, value): (String, String)| StringStringEntryProto {
            key: Some(key),
            value: Some(value),
        };
        let model = ModelProto {
            ir_version: Some(8),
            opset_import: vec![OperatorSetIdProto {
                domain: None,
                version: self.opset.or(Some(17)),
            }],
            metadata_props: self.strings.into_iter().map(entry).collect(),
            graph: Some(self.graph),
            ..Default::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        std::fs::write(&path, model.encode_to_vec()).unwrap();
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

fn draw(name: &str, dims: &[i64]) -> Tensor {
    noise::normal(&[noise::name_id(name)], dims, Device::Cpu).squeeze_dim(0) * 0.5
}

fn images(n: u64, image: &[i64]) -> Tensor {
    noise::uniform(&(0..n).collect::<Vec<_>>(), image, Device::Cpu)
}

fn near(a: &Tensor, b: &Tensor, part: f64) {
    assert_eq!(a.size(), b.size());
    let largest = |t: &Tensor| t.abs().max().double_value(&[]);
    assert!(largest(&(a - b)) <= part * largest(b), "{a:?} {b:?}");
}

/// A normalisation, a convolution with its norm, a pool, two linear layers, a softmax.
fn network(batch: i64) -> Build {
    Build::new(&[batch, 3, 8, 8])
        .tensor("mean", &[1, 3, 1, 1], &Tensor::from_slice(&[0.25f32, 0.5, 0.75]))
        .tensor("std", &[3, 1, 1], &Tensor::from_slice(&[0.5f32, 0.25, 0.5]))
        .drawn("conv/w", &[4, 3, 3, 3])
        .drawn("scale", &[4])
        .drawn("shift", &[4])
        .drawn("running/mean", &[4])
        .tensor("running/var", &[4], &Tensor::from_slice(&[1f32, 2., 0.5, 1.5]))
        .drawn("fc/w", &[36, 5])
        .drawn("fc/b", &[5])
        .drawn("head/w", &[6, 5])
        .drawn("head/b", &[6])
        .shape("flat", &[batch.max(1), -1])
        .node("Sub", &["x", "mean"], "centred", &[])
        .node("Div", &["centred", "std"], "normal", &[])
        .node("Conv", &["normal", "conv/w"], "c", &[ints("pads", &[1, 1, 0, 0])])
        .node(
            "BatchNormalization",
            &["c", "scale", "shift", "running/mean", "running/var"],
            "n",
            &[],
        )
        .node("Relu", &["n"], "r", &[])
        .node("MaxPool", &["r"], "p", &[ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])])
        .node(
            if batch > 0 { "Reshape" } else { "Flatten" },
            if batch > 0 { &["p", "flat"] } else { &["p"] },
            "f",
            &[],
        )
        .node("MatMul", &["f", "fc/w"], "m", &[])
        .node("Add", &["fc/b", "m"], "a", &[])
        .node("Relu", &["a"], "h", &[])
        .node("Gemm", &["h", "head/w", "head/b"], "logits", &[int("transB", 1)])
        .node("Softmax", &["logits"], "y", &[int("axis", 1)])
        .string("gradproof.classes", "a,b,c,d,e,f")
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
        let loaded = network(batch).load().unwrap();
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
    let buffers: Vec<String> = model.params().buffers().into_keys().collect();
    assert_eq!(buffers, ["running/mean", "running/var"]);
    assert_eq!(model.params().parts(), ["conv", "scale", "shift", "running", "fc", "head"]);
    // Gradients reach what is stored, also through a transpose and after a step in place.
    let mut stored = model.params().weights().remove(2).1;
    let _ = tch::no_grad(|| stored.g_add_scalar_(0.25));
    let x = images(2, &[3, 8, 8]);
    model.logits(&x).square().sum(Kind::Float).backward();
    assert!(stored.grad().defined() && stored.grad().abs().max().double_value(&[]) > 0.);
    let redrawn = model.redrawn(&["fc".to_owned()], 3);
    let (old, new) = (model.params().tensors(), redrawn.params().tensors());
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
fn an_onnx_file_needs_no_architecture_and_is_no_safetensors() {
    let (folder, path) = network(0).write();
    let hints = Hints { arch: Some("mlp".into()), ..Hints::default() };
    let said = format!("{:#}", checkpoint::load(&path, &hints).err().expect("it is refused"));
    assert!(said.ends_with("is its own architecture: `mlp` cannot be made of it"), "{said}");
    let model: Classifier = checkpoint::load(&path, &Hints::default()).unwrap().classifier;
    let out = folder.path().join("w.safetensors");
    let error = checkpoint::save(&out, &model, Kind::Float, &Default::default()).unwrap_err();
    assert!(format!("{error:#}").ends_with("safetensors cannot hold an ONNX graph"), "{error:#}");
    let contents = checkpoint::contents(&path, &Hints::default()).unwrap();
    assert!(contents.tensors.contains_key("conv/w") && contents.notes.len() > 3);
}
