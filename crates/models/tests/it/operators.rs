//! Every ONNX operator against onnxruntime, its derivatives against finite differences, and what it
//! asks of the pass. Reference: tests/reference/onnx_operators.py.

use models::{
    Activation, Ops, Plain, Pool,
    graph::{
        Node, nodes,
        operators::{Call, Memo, OPERATORS, find},
    },
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::Path,
};
use tch::{Device, Kind, Tensor};
use tensorfile::onnx::{File, proto::AttributeProto};

pub struct Case {
    pub name: String,
    pub node: Node,
    pub inputs: Vec<Option<Tensor>>,
    outputs: Vec<Tensor>,
}

impl Case {
    pub fn operator(&self) -> &str {
        &self.node.operator
    }

    pub fn run(&self, inputs: &[Option<Tensor>], ops: &dyn Ops) -> Vec<Tensor> {
        let operator = find(self.operator()).unwrap_or_else(|| panic!("{} is there", self.name));
        let made = operator.apply(&Call { node: &self.node, inputs, ops, memo: &Memo::default() });
        made.unwrap_or_else(|error| panic!("{}: {error:#}", self.name))
    }
}

pub fn cases() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/operators.safetensors");
    let mut parts: BTreeMap<String, BTreeMap<String, Tensor>> = BTreeMap::new();
    for (name, tensor) in Tensor::read_safetensors(path).unwrap() {
        let (case, part) = name.split_once('/').unwrap();
        parts.entry(case.to_owned()).or_default().insert(part.to_owned(), tensor);
    }
    let case = |(name, mut parts): (String, BTreeMap<String, Tensor>)| {
        let bytes = Vec::<u8>::try_from(parts.remove("model").unwrap()).unwrap();
        let file = File::of_bytes(bytes, Path::new(&name)).unwrap();
        let known = |operator: &str| find(operator).is_some();
        let node = nodes(file.model(), file.graph(), &known).unwrap().remove(0);
        let input = |value: &String| {
            value.strip_prefix('i').map(|i| parts[&format!("in{i}")].shallow_clone())
        };
        let inputs = node.inputs.iter().map(input).collect();
        let output = |i| parts.get(&format!("out{i}")).map(Tensor::shallow_clone);
        let outputs = (0..node.outputs.len()).filter_map(output).collect();
        Case { outputs, name, inputs, node }
    };
    parts.into_iter().map(case).collect()
}

#[test]
fn operators_are_sorted_and_each_has_a_case() {
    let names: Vec<&str> = OPERATORS.iter().map(|operator| operator.name).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    let cases = cases();
    let tested: BTreeSet<&str> = cases.iter().map(Case::operator).collect();
    assert_eq!(tested, names.into_iter().collect());
    assert!(find("Conv").is_some() && find("ai.onnx.ml.ZipMap").is_none() && find("").is_none());
}

#[test]
fn numbers_agree_with_onnxruntime() {
    let mut wrong = vec![];
    for case in cases() {
        let made = tch::no_grad(|| case.run(&case.inputs, &Plain));
        for (made, expected) in made.iter().zip(&case.outputs) {
            let (a, b) = (made.to_kind(Kind::Double), expected.to_kind(Kind::Double));
            if a.size() != b.size() || made.kind() != expected.kind() {
                wrong.push(format!("{}: {made:?}, not {expected:?}", case.name));
                continue;
            }
            if b.numel() == 0 {
                continue;
            }
            let far = f64::try_from((a - &b).abs().max()).unwrap();
            let most = f64::try_from(b.abs().max()).unwrap().max(1e-3);
            let bound = if made.is_floating_point() { 1e-6 * most } else { 0. };
            if far.is_nan() || far > bound {
                wrong.push(format!("{}: {far:e} of {most:e}", case.name));
            }
        }
        if made.len() < case.outputs.len() {
            wrong.push(format!("{}: {} outputs", case.name, made.len()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Places of inputs that are settings, or statistics: they have no gradient.
fn is_setting(operator: &str, i: usize) -> bool {
    match operator {
        "Resize" | "Upsample" => i > 0,
        "BatchNormalization" => i > 2,
        _ => false,
    }
}

/// Σ wᵢ yᵢ of every output that is floats, where the inputs lie at `t` along a line.
fn loss(case: &Case, t: &Tensor) -> Option<Tensor> {
    let moved = |(i, input): (usize, &Option<Tensor>)| {
        let x = input.as_ref()?;
        if !x.is_floating_point() {
            return Some(x.shallow_clone());
        }
        let x = x.to_kind(Kind::Double);
        if x.numel() < 2 || is_setting(case.operator(), i) {
            return Some(x);
        }
        let count = Tensor::arange(x.numel() as i64, (Kind::Double, Device::Cpu));
        let along = (count * (1.7 + i as f64) + 0.3).sin().reshape(x.size());
        Some(x + along * t)
    };
    let inputs: Vec<Option<Tensor>> = case.inputs.iter().enumerate().map(moved).collect();
    let made = case.run(&inputs, &Plain);
    let weighed = made.iter().filter(|y| y.is_floating_point()).map(|y| {
        let count = Tensor::arange(y.numel() as i64, (Kind::Double, Device::Cpu));
        (y.reshape([-1]) * (count * 0.9 + 0.2).cos()).sum(Kind::Double)
    });
    weighed.reduce(|a, b| a + b)
}

/// The derivative of the loss where the line is at `t`, and that of the derivative.
fn derivatives(case: &Case, t: f64) -> Option<[f64; 2]> {
    let t = Tensor::from(t).set_requires_grad(true);
    let slope = |y: &Tensor| {
        let linked = y.requires_grad();
        linked.then(|| Tensor::run_backward(&[y], &[&t], true, true).remove(0))
    };
    let first = slope(&loss(case, &t)?)?;
    let second = slope(&first).map_or(0., |second| f64::try_from(second).unwrap());
    Some([f64::try_from(&first).unwrap(), second])
}

#[test]
fn derivatives_agree_with_finite_differences() {
    let (mut flat, mut wrong) = (BTreeSet::new(), vec![]);
    let cases = cases();
    for case in &cases {
        let Some(here) = derivatives(case, 0.) else {
            flat.insert(case.operator());
            continue;
        };
        let h = 1e-6;
        let value = |t: f64| f64::try_from(loss(case, &Tensor::from(t)).unwrap()).unwrap();
        let first = |t: f64| derivatives(case, t).unwrap()[0];
        let across = [(value(h) - value(-h)) / (2. * h), (first(h) - first(-h)) / (2. * h)];
        for (order, (here, across)) in here.into_iter().zip(across).enumerate() {
            if (here - across).abs() > 1e-6 * (1. + across.abs()) {
                wrong.push(format!("{}, order {}: {here}, not {across}", case.name, order + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Some cases of the others are of integers.
    let smooth: BTreeSet<&str> =
        cases.iter().filter(|case| derivatives(case, 0.).is_some()).map(Case::operator).collect();
    let never: Vec<&str> = flat.difference(&smooth).copied().collect();
    let expected = "And Constant ConstantOfShape DequantizeLinear Equal EyeLike Greater GreaterOrEqual Less LessOrEqual \
                    Not Or Range Shape Size Xor";
    assert_eq!(never.join(" "), expected);
}

/// What is asked of the pass.
#[derive(Default)]
struct Asked(RefCell<BTreeSet<&'static str>>);

impl Ops for Asked {
    fn act(&self, activation: &Activation, x: &Tensor) -> Tensor {
        self.0.borrow_mut().insert("act");
        activation.apply(x)
    }

    fn max_pool(&self, pool: Pool, x: &Tensor) -> Tensor {
        self.0.borrow_mut().insert("max_pool");
        pool.apply(x)
    }

    fn other(&self, y: Tensor) -> Tensor {
        self.0.borrow_mut().insert("other");
        y
    }
}

#[test]
fn the_pass_treats_what_is_not_linear() {
    let mut by: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let cases = cases();
    for case in &cases {
        let asked = Asked::default();
        case.run(&case.inputs, &asked);
        for what in asked.0.take() {
            by.entry(what).or_default().insert(case.operator().to_owned());
        }
    }
    let all = |what: &str| by[what].iter().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(
        all("act"),
        "Abs Celu Clip Elu Gelu HardSigmoid HardSwish LeakyRelu Max Min Mish PRelu Relu Selu Sigmoid \
         Softplus Swish Tanh"
    );
    assert_eq!(all("max_pool"), "MaxPool");
    assert_eq!(
        all("other"),
        "BatchNormalization Ceil Cos Div Einsum Erf Exp Floor GlobalMaxPool GroupNormalization \
         InstanceNormalization LRN LayerNormalization Log LogSoftmax LpNormalization MatMul Mod Mul Pow \
         RMSNormalization Reciprocal ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax ReduceMin ReduceProd \
         ReduceSumSquare Round Sign Sin Softmax Softsign Sqrt Swish"
    );
}

#[test]
fn before_opset_7_an_axis_says_where_the_second_input_lies() {
    let case = |operator: &str, axis: Option<i64>| {
        let axis = axis.map(|i| AttributeProto { i: Some(i), ..Default::default() });
        let node = Node {
            operator: operator.to_owned(),
            label: "y".to_owned(),
            inputs: vec![],
            outputs: vec!["y".to_owned()],
            attributes: axis.map(|axis| ("axis".to_owned(), axis)).into_iter().collect(),
            opset: 6,
            ..Node::default()
        };
        Case { name: operator.to_owned(), node, inputs: vec![], outputs: vec![] }
    };
    let count = |n: i64| Tensor::arange(n, (Kind::Float, Device::Cpu));
    let (x, row) = (count(24).reshape([2, 3, 2, 2]) - 12, count(3) + 1);
    let inputs = [Some(x.shallow_clone()), Some(row.shallow_clone())];
    let channels = row.reshape([3, 1, 1]);
    assert_eq!(case("Mul", Some(1)).run(&inputs, &Plain)[0], &x * &channels);
    assert_eq!(case("PRelu", None).run(&inputs, &Plain)[0], x.relu() + x.clamp_max(0.) * channels);
    let inputs = [Some(x.shallow_clone()), Some(count(2))];
    assert_eq!(case("Add", Some(3)).run(&inputs, &Plain)[0], &x + count(2));
    assert_eq!(case("Add", Some(-1)).run(&inputs, &Plain)[0], &x + count(2));
}
