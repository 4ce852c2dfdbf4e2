//! What a file can set wrongly in a node of each operator: an error that names it, no panic, and no
//! allocation of what it asks for.

use crate::operators::{Case, cases};
use models::{
    Plain,
    graph::{
        Node,
        operators::{Call, Memo, find},
    },
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tch::{Device, Kind, Tensor};
use tensorfile::onnx::proto::AttributeProto;

fn ints(name: &str, values: &[i64]) -> (String, AttributeProto) {
    let ints = AttributeProto { ints: values.to_vec(), r#type: Some(7), ..Default::default() };
    (name.to_owned(), ints)
}

fn int(name: &str, value: i64) -> (String, AttributeProto) {
    let int = AttributeProto { i: Some(value), r#type: Some(2), ..Default::default() };
    (name.to_owned(), int)
}

/// An operator, what it reads, its attributes.
type Row = (&'static str, Vec<Tensor>, Vec<(String, AttributeProto)>);

fn x(shape: &[i64]) -> Tensor {
    Tensor::zeros(shape, (Kind::Float, Device::Cpu))
}

fn line() -> Tensor {
    x(&[4])
}

fn image() -> Tensor {
    x(&[1, 4, 5, 5])
}

fn list(values: &[i64]) -> Tensor {
    Tensor::from_slice(values)
}

/// Of arithmetic, windows, norms.
fn rows() -> Vec<Row> {
    let w = || x(&[4, 4, 3, 3]);
    vec![
        ("Relu", vec![], vec![]),
        ("Sigmoid", vec![list(&[1])], vec![]),
        ("Add", vec![line(), x(&[3])], vec![]),
        ("Add", vec![x(&[1 << 20, 1]), x(&[1, 1 << 20])], vec![]),
        ("Where", vec![x(&[1 << 20, 1, 1]), x(&[1 << 10, 1]), x(&[1 << 10])], vec![]),
        ("MatMul", vec![x(&[1 << 20, 1]), x(&[1, 1 << 20])], vec![]),
        ("MatMul", vec![x(&[2, 3]), x(&[2, 3])], vec![]),
        ("Gemm", vec![x(&[2, 3]), x(&[2, 3])], vec![]),
        ("Gemm", vec![x(&[2, 3]), x(&[3, 4]), x(&[5, 2, 4])], vec![]),
        ("Conv", vec![image(), w()], vec![ints("strides", &[0, 1])]),
        ("Conv", vec![image(), w()], vec![ints("pads", &[1 << 19; 4])]),
        ("Conv", vec![image(), w()], vec![ints("pads", &[-1, 0, 0, 0])]),
        ("Conv", vec![image(), w()], vec![ints("pads", &[i64::MAX; 4])]),
        ("Conv", vec![image(), w()], vec![ints("dilations", &[i64::MAX, 1])]),
        ("Conv", vec![image(), w()], vec![int("group", 0)]),
        ("Conv", vec![image(), w()], vec![int("group", 3)]),
        ("Conv", vec![image(), w()], vec![ints("kernel_shape", &[5, 5])]),
        ("Conv", vec![image(), x(&[4, 4])], vec![]),
        ("Conv", vec![image(), x(&[4, 3, 1, 1])], vec![]),
        ("ConvTranspose", vec![image(), w()], vec![ints("strides", &[1 << 20, 1 << 20])]),
        ("ConvTranspose", vec![image(), w()], vec![ints("pads", &[9, 9, 9, 9])]),
        ("MaxPool", vec![image()], vec![]),
        ("MaxPool", vec![image()], vec![ints("kernel_shape", &[0, 1])]),
        ("MaxPool", vec![image()], vec![ints("kernel_shape", &[9, 9])]),
        ("MaxPool", vec![image()], vec![ints("kernel_shape", &[i64::MIN, 2])]),
        ("AveragePool", vec![image()], vec![ints("kernel_shape", &[2, 2, 2])]),
        ("AveragePool", vec![image()], vec![int("kernel_shape", 2)]),
        ("LRN", vec![image()], vec![int("size", i64::MAX)]),
        ("BatchNormalization", vec![image(), line(), line(), line(), x(&[3])], vec![]),
        ("GroupNormalization", vec![image(), line(), line()], vec![int("num_groups", 0)]),
        ("LayerNormalization", vec![image(), line()], vec![int("axis", 7)]),
        ("Softmax", vec![line()], vec![int("axis", i64::MIN)]),
    ]
}

/// Of shapes and places.
fn rows_of_shapes() -> Vec<Row> {
    vec![
        ("Reshape", vec![line(), list(&[1 << 40, 1 << 40])], vec![]),
        ("Reshape", vec![line(), list(&[3, -1])], vec![]),
        ("Reshape", vec![line(), list(&[4, 0])], vec![]),
        ("Flatten", vec![line()], vec![int("axis", 3)]),
        ("Transpose", vec![image()], vec![ints("perm", &[0, 0, 1, 2])]),
        ("Concat", vec![line(), x(&[1, 4])], vec![int("axis", 0)]),
        ("Squeeze", vec![image(), list(&[1])], vec![]),
        ("Unsqueeze", vec![line(), list(&[0, 0])], vec![]),
        ("Expand", vec![line(), list(&[1 << 40, 4])], vec![]),
        ("Expand", vec![line(), list(&[-3, 4])], vec![]),
        ("Tile", vec![line(), list(&[1 << 40])], vec![]),
        ("Tile", vec![line(), list(&[-1])], vec![]),
        ("Split", vec![line(), list(&[i64::MAX, i64::MAX])], vec![]),
        ("Split", vec![line()], vec![int("num_outputs", 0)]),
        ("Slice", vec![line(), list(&[0]), list(&[1]), list(&[0]), list(&[0])], vec![]),
        ("Slice", vec![line(), list(&[0]), list(&[1]), list(&[2])], vec![]),
        ("Gather", vec![line(), list(&[4])], vec![]),
        ("Gather", vec![line(), x(&[1])], vec![]),
        ("GatherElements", vec![line(), list(&[-5])], vec![]),
        ("GatherND", vec![line(), list(&[0, 0])], vec![]),
        ("GatherND", vec![line(), list(&[4])], vec![]),
        ("ScatterND", vec![line(), list(&[4]).reshape([1, 1]), x(&[1])], vec![]),
        ("CumSum", vec![line(), list(&[2])], vec![]),
        ("DepthToSpace", vec![image()], vec![int("blocksize", 0)]),
        ("SpaceToDepth", vec![image()], vec![int("blocksize", 2)]),
        ("EyeLike", vec![x(&[1 << 15, 1]).expand([1 << 15, 1 << 15], false)], vec![]),
        ("Constant", vec![], vec![]),
        ("ConstantOfShape", vec![list(&[1 << 15, 1 << 15])], vec![]),
        ("ConstantOfShape", vec![list(&[-1])], vec![]),
        ("Range", vec![list(&[0]), list(&[i64::MAX]), list(&[1])], vec![]),
        ("Range", vec![list(&[0]), list(&[1]), list(&[0])], vec![]),
        ("Cast", vec![line()], vec![int("to", 99)]),
        ("Pad", vec![line(), list(&[1 << 40, 0])], vec![]),
        ("Pad", vec![line(), list(&[i64::MIN, i64::MAX])], vec![]),
        ("Pad", vec![line(), list(&[-3, -3])], vec![]),
        ("Resize", vec![line(), x(&[0]), Tensor::from_slice(&[1e30f32])], vec![]),
        ("Resize", vec![line(), x(&[0]), Tensor::from_slice(&[-1f32])], vec![]),
        ("Div", vec![list(&[1]), list(&[0])], vec![]),
        ("Dropout", vec![line(), x(&[]), Tensor::from(true)], vec![]),
        ("Einsum", vec![line()], vec![]),
        ("PRelu", vec![line(), x(&[3, 4])], vec![]),
        ("ReduceMean", vec![line()], vec![ints("axes", &[0, 0])]),
    ]
}

#[test]
fn what_cannot_be_is_an_error_and_no_allocation() {
    for (operator, inputs, attributes) in rows().into_iter().chain(rows_of_shapes()) {
        let node = Node {
            operator: operator.to_owned(),
            label: "/here".to_owned(),
            inputs: vec![],
            outputs: vec!["y".to_owned()],
            attributes: attributes.into_iter().collect(),
            opset: 17,
            ..Node::default()
        };
        let given: Vec<Option<Tensor>> = inputs.iter().map(|t| Some(t.shallow_clone())).collect();
        let call = Call { node: &node, inputs: &given, ops: &Plain, memo: &Memo::default() };
        let told = format!("{operator} of {inputs:?}, {:?}", node.attributes);
        let error = match tch::no_grad(|| find(operator).unwrap().apply(&call)) {
            Ok(made) => panic!("{told}: {made:?}"),
            Err(error) => format!("{error:#}"),
        };
        assert!(error.starts_with(&format!("node `/here` (`{operator}`): ")), "{told}: {error}");
        assert!(error.lines().count() == 1 && error.len() < 300, "{told}: {error}");
    }
    // The least integer by −1 is itself.
    let call = [Some(list(&[i64::MIN, 8])), Some(list(&[-1, -1]))];
    let case = cases().into_iter().find(|case| case.operator() == "Div").unwrap();
    assert_eq!(Vec::<i64>::try_from(&case.run(&call, &Plain)[0]).unwrap(), [i64::MIN, -8]);
}

const WRONG: [i64; 6] = [i64::MIN, -1, 0, 3, 1 << 40, i64::MAX];

/// The attribute with one of its numbers changed, in every way.
fn changed(attribute: &AttributeProto) -> Vec<AttributeProto> {
    let mut all = vec![AttributeProto { r#type: Some(3), ..attribute.clone() }];
    for wrong in WRONG {
        if attribute.i.is_some() {
            all.push(AttributeProto { i: Some(wrong), ..attribute.clone() });
        }
        if !attribute.ints.is_empty() {
            let mut longer = attribute.clone();
            longer.ints.push(wrong);
            all.push(longer);
        }
        for i in 0..attribute.ints.len() {
            let mut other = attribute.clone();
            other.ints[i] = wrong;
            all.push(other);
        }
    }
    for wrong in [f32::NAN, f32::INFINITY, 0., -1., 1e30] {
        if attribute.f.is_some() {
            all.push(AttributeProto { f: Some(wrong), ..attribute.clone() });
        }
        if !attribute.floats.is_empty() {
            let floats = vec![wrong; attribute.floats.len()];
            all.push(AttributeProto { floats, ..attribute.clone() });
        }
    }
    all
}

/// Other tensors in the place of one: another type, shape, number of dimensions, wrong numbers.
fn replaced(x: &Tensor) -> Vec<Option<Tensor>> {
    let float = x.is_floating_point();
    let mut all = vec![
        x.to_kind(if float { Kind::Int64 } else { Kind::Float }),
        x.to_kind(Kind::Bool),
        x.unsqueeze(0),
        x.reshape([-1]),
        x.reshape([-1, 1, 1, 1, 1, 1, 1]),
        Tensor::zeros([0], (x.kind(), Device::Cpu)),
        Tensor::zeros([0, 3, 0], (x.kind(), Device::Cpu)),
        Tensor::zeros([0i64; 0], (x.kind(), Device::Cpu)),
        Tensor::cat(&[x.reshape([-1]), x.reshape([-1])], 0),
    ];
    if x.dim() > 1 {
        all.push(x.transpose(0, 1));
    }
    if x.dim() > 1 && x.size()[0] > 0 {
        all.push(x.select(0, 0));
    }
    let wrong = |wrong: i64, i: i64| {
        let other = x.reshape([-1]).copy();
        let _ = other.get(i).fill_(wrong);
        other.reshape(x.size())
    };
    if x.kind() == Kind::Int64 && x.numel() <= 16 {
        let places = 0..x.numel() as i64;
        all.extend(places.flat_map(|i| WRONG.map(|n| wrong(n, i))));
    }
    if float {
        all.extend([f64::NAN, f64::INFINITY, -1., 1e30].map(|n| x.full_like(n)));
    }
    all.into_iter().map(Some).chain([None]).collect()
}

#[test]
fn no_wrong_number_is_a_panic() {
    let mut panics = vec![];
    let mut attempt = |case: &Case, node: &Node, inputs: &[Option<Tensor>]| {
        let operator = find(case.operator()).unwrap();
        let call = Call { node, inputs, ops: &Plain, memo: &Memo::default() };
        if catch_unwind(AssertUnwindSafe(|| operator.apply(&call).is_ok())).is_err() {
            panics.push(format!("{}: {inputs:?}, {:?}", case.name, node.attributes));
        }
    };
    let _guard = tch::no_grad_guard();
    for case in cases() {
        for (name, attribute) in &case.node.attributes {
            for other in changed(attribute) {
                let mut node = case.node.clone();
                node.attributes.insert(name.clone(), other);
                attempt(&case, &node, &case.inputs);
            }
        }
        for (i, x) in case.inputs.iter().enumerate() {
            for other in x.iter().flat_map(replaced) {
                let with = |(j, t): (usize, &Option<Tensor>)| {
                    let t = if i == j { &other } else { t };
                    t.as_ref().map(Tensor::shallow_clone)
                };
                let inputs: Vec<_> = case.inputs.iter().enumerate().map(with).collect();
                attempt(&case, &case.node, &inputs);
            }
        }
    }
    assert!(panics.is_empty(), "{} panics\n{}", panics.len(), panics.join("\n"));
}
