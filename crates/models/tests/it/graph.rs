//! ONNX graphs before they run: functions written out, order, ends, what is not supported.

use models::graph::{Node, check_supported, input, needed, nodes, output};
use tensorfile::onnx::proto::{
    AttributeProto, Dimension, FunctionProto, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|one| (*one).to_owned()).collect()
}

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        input: texts(inputs),
        output: texts(outputs),
        ..Default::default()
    }
}

fn of_domain(node: NodeProto, domain: &str) -> NodeProto {
    NodeProto { domain: Some(domain.into()), ..node }
}

/// A value of this type; 0 as a dimension is a free one.
fn value(name: &str, element: i32, dims: &[i64]) -> ValueInfoProto {
    let dim = dims.iter().map(|&n| Dimension { dim_value: Some(n), dim_param: None }).collect();
    let tensor =
        TensorTypeProto { elem_type: Some(element), shape: Some(TensorShapeProto { dim }) };
    let r#type = Some(TypeProto { tensor_type: Some(tensor) });
    ValueInfoProto { name: Some(name.into()), r#type }
}

fn own(version: i64) -> Vec<OperatorSetIdProto> {
    vec![OperatorSetIdProto { domain: None, version: Some(version) }]
}

/// Everything is known but what is of a domain, or called `Un…`.
fn known(operator: &str) -> bool {
    !operator.contains('.') && !operator.starts_with("Un")
}

fn all(model: &ModelProto, node: Vec<NodeProto>) -> Result<Vec<Node>, String> {
    let graph = GraphProto { node, ..Default::default() };
    nodes(model, &graph, &known).map_err(|e| format!("{e:#}"))
}

fn labels(nodes: &[Node]) -> Vec<&str> {
    nodes.iter().map(|node| node.label.as_str()).collect()
}

#[test]
fn nodes_run_after_what_they_read_and_only_if_needed() {
    let file = vec![
        node("Cast", &["b"], &["y"]),
        node("ArgMax", &["y"], &["label"]),
        node("Relu", &["a"], &["b"]),
        node("Conv", &["x", "w"], &["a"]),
        node("Split", &["x"], &["", "rest"]),
    ];
    let made = all(&ModelProto::default(), file).expect("plain nodes");
    let order = needed(made.clone(), "y").expect("no circle");
    assert_eq!(labels(&order), ["a", "b", "y"]);
    // A sorted file keeps its order, also of nodes that do not depend on each other.
    let file = ["d", "a", "c", "b"].map(|name| node("Relu", &["x"], &[name]));
    let sum = node("Sum", &["a", "b", "c", "d"], &["y"]);
    let made = all(&ModelProto::default(), [&file[..], &[sum]].concat()).expect("plain nodes");
    assert_eq!(labels(&needed(made, "y").expect("no circle")), ["d", "a", "c", "b", "y"]);
    assert!(needed(vec![], "x").expect("an input is given").is_empty());
}

#[test]
fn nodes_that_cannot_run_are_named() {
    let circle = vec![node("Add", &["x", "c"], &["b"]), node("Relu", &["b"], &["c"])];
    let made = all(&ModelProto::default(), circle).expect("plain nodes");
    let said = needed(made, "c").expect_err("a circle").to_string();
    assert!(said.ends_with("needs what it makes"), "{said}");
    let twice = vec![node("Relu", &["x"], &["y"]), node("Tanh", &["x"], &["y"])];
    let made = all(&ModelProto::default(), twice).expect("plain nodes");
    let said = needed(made, "y").expect_err("two makers").to_string();
    assert_eq!(said, "two nodes make `y`: the last is `y`");
}

#[test]
fn a_long_chain_is_sorted_without_recursion() {
    let name = |i: usize| format!("v{i}");
    let chain = (0..100_000).rev().map(|i| node("Relu", &[&name(i)], &[&name(i + 1)])).collect();
    let made = all(&ModelProto::default(), chain).expect("plain nodes");
    let order = needed(made, "v100000").expect("no circle");
    assert_eq!((order.len(), &*order[0].label), (100_000, "v1"));
}

#[test]
fn functions_are_written_out() {
    let attribute = |name: &str, i| AttributeProto {
        name: Some(name.into()),
        i: Some(i),
        ..Default::default()
    };
    let refers = |name: &str, to: &str| AttributeProto {
        name: Some(name.into()),
        ref_attr_name: Some(to.into()),
        ..Default::default()
    };
    let mut inner = node("Softmax", &["a"], &["s"]);
    inner.attribute = vec![refers("axis", "dim"), refers("absent", "nothing")];
    let function = FunctionProto {
        name: Some("Gate".into()),
        domain: Some("own".into()),
        input: texts(&["a", "optional"]),
        output: texts(&["out"]),
        attribute_proto: vec![attribute("dim", 1)],
        node: vec![inner, node("Mul", &["a", "s", "optional"], &["out"])],
        opset_import: own(11),
        ..Default::default()
    };
    let model =
        ModelProto { functions: vec![function], opset_import: own(17), ..Default::default() };
    let mut second = of_domain(node("Gate", &["t"], &["y"]), "own");
    second.attribute = vec![attribute("dim", 3)];
    let file =
        vec![of_domain(node("Gate", &["x"], &["t"]), "own"), second, node("Relu", &["y"], &["z"])];
    let made = all(&model, file).expect("functions");
    let said: Vec<&str> = made.iter().map(|n| n.operator.as_str()).collect();
    assert_eq!(said, ["Softmax", "Mul", "Softmax", "Mul", "Relu"]);
    let axis = |n: &Node| n.attributes["axis"].as_int();
    assert_eq!((axis(&made[0]), axis(&made[2])), (Some(1), Some(3)), "the default, the call's");
    assert!(!made[0].attributes.contains_key("absent"));
    assert_eq!((made[0].opset, made[4].opset), (11, 17));
    // Values inside have names of their own in each call; one that is left out stays so.
    assert_eq!(made[1].inputs, ["x", made[0].outputs[0].as_str(), ""]);
    assert_eq!((&*made[1].outputs, &*made[3].outputs), (&texts(&["t"])[..], &texts(&["y"])[..]));
    assert_ne!(made[0].outputs, made[2].outputs);
}

#[test]
fn of_several_versions_of_onnxs_operators_the_largest_holds() {
    let spelled = OperatorSetIdProto { domain: Some("ai.onnx".into()), version: Some(17) };
    let other = OperatorSetIdProto { domain: Some("own".into()), version: Some(40) };
    for opset_import in
        [vec![own(11).remove(0), spelled.clone(), other.clone()], vec![spelled, other]]
    {
        let model = ModelProto { opset_import, ..Default::default() };
        assert_eq!(all(&model, vec![node("Relu", &["x"], &["y"])]).unwrap()[0].opset, 17);
    }
}

#[test]
fn an_output_that_the_caller_leaves_out_is_still_read_inside() {
    let function = FunctionProto {
        name: Some("Both".into()),
        domain: Some("own".into()),
        input: texts(&["a"]),
        output: texts(&["out", "mean"]),
        node: vec![node("Softmax", &["a"], &["mean"]), node("Mul", &["a", "mean"], &["out"])],
        opset_import: own(11),
        ..Default::default()
    };
    let model =
        ModelProto { functions: vec![function], opset_import: own(17), ..Default::default() };
    for outputs in [&["y"][..], &["y", ""]] {
        let made = all(&model, vec![of_domain(node("Both", &["x"], outputs), "own")]).unwrap();
        assert!(!made[0].outputs[0].is_empty());
        assert_eq!(made[1].inputs[1], made[0].outputs[0]);
    }
}

#[test]
fn branches_inside_functions_read_what_the_function_does() {
    let branch = |name: &str, operator: &str| AttributeProto {
        name: Some(name.into()),
        g: Some(Box::new(GraphProto {
            node: vec![node(operator, &["m"], &["t"])],
            output: vec![value("t", 1, &[])],
            ..Default::default()
        })),
        ..Default::default()
    };
    let mut choice = node("If", &["c"], &["out"]);
    choice.attribute = vec![branch("then_branch", "Relu"), branch("else_branch", "Tanh")];
    let function = FunctionProto {
        name: Some("F".into()),
        domain: Some("own".into()),
        input: texts(&["a", "c"]),
        output: texts(&["out"]),
        node: vec![node("Neg", &["a"], &["m"]), choice],
        ..Default::default()
    };
    let model = ModelProto { functions: vec![function], ..Default::default() };
    let known = |operator: &str| known(operator) && operator != "If";
    let call = of_domain(node("F", &["x", "flag"], &["y"]), "own");
    let graph = GraphProto { node: vec![call], ..Default::default() };
    let made = nodes(&model, &graph, &known).expect("a function");
    let inside = made[0].outputs[0].as_str();
    assert_eq!((&*made[1].operator, &*made[1].inputs), ("If", &texts(&["flag", inside])[..]));
    let said = made[1].branches.iter().map(|nodes| {
        assert_eq!((&nodes[0].inputs, &nodes[1].outputs), (&texts(&[inside]), &texts(&["y"])));
        assert_eq!(nodes[0].outputs, nodes[1].inputs);
        nodes[0].operator.as_str()
    });
    assert_eq!(said.collect::<Vec<_>>(), ["Relu", "Tanh"]);
    let outputs: Vec<_> = made[1].branches.iter().map(|nodes| &nodes[0].outputs).collect();
    assert_ne!(outputs[0], outputs[1], "each branch is a scope");
}

#[test]
fn functions_that_would_not_end_are_refused() {
    let function = |name: &str, body: Vec<NodeProto>| FunctionProto {
        name: Some(name.into()),
        domain: Some("own".into()),
        input: texts(&["a"]),
        output: texts(&["b"]),
        node: body,
        ..Default::default()
    };
    let call = |name: &str, from: &str, to: &str| of_domain(node(name, &[from], &[to]), "own");
    let model = |functions| ModelProto { functions, ..Default::default() };
    let circle = model(vec![function("F", vec![call("F", "a", "b")])]);
    let said = all(&circle, vec![call("F", "x", "y")]).expect_err("calls itself");
    assert!(
        said.ends_with("function `F`: functions inside functions, more than 32 deep"),
        "{said}"
    );
    // Each calls the one before twice: 2³⁰ nodes.
    let twice = |i: usize| {
        let inner = format!("F{}", i - 1);
        let body = vec![call(&inner, "a", "m"), call(&inner, "m", "b")];
        function(&format!("F{i}"), body)
    };
    let bomb = model(
        (1..=30).map(twice).chain([function("F0", vec![node("Relu", &["a"], &["b"])])]).collect(),
    );
    let said = all(&bomb, vec![call("F30", "x", "y")]).expect_err("a billion");
    assert!(said.contains("more than 131072"), "{said}");
}

#[test]
fn all_operators_that_are_not_supported_are_named_at_once() {
    let quant =
        NodeProto { name: Some("/conv1/quant".into()), ..node("UnInteger", &["x"], &["a"]) };
    let file = vec![
        quant,
        node("UnInteger", &["a"], &["b"]),
        of_domain(node("ZipMap", &["b"], &["c"]), "ai.onnx.ml"),
        node("Relu", &["c"], &["d"]),
    ];
    let made = all(&ModelProto::default(), file).expect("plain nodes");
    let said = check_supported(&made, &known).expect_err("two are not").to_string();
    let wanted = "2 operators are not supported: `UnInteger` (2 times, first at `/conv1/quant`), \
                  `ai.onnx.ml.ZipMap` (1 time, first at `c`); it is a quantised file: export the \
                  float model";
    assert_eq!(said, wanted);
    let made = all(&ModelProto::default(), vec![node("Unknown", &["x"], &["y"])]).expect("a node");
    let said = check_supported(&made, &known).expect_err("it is not").to_string();
    assert_eq!(said, "1 operator is not supported: `Unknown` (1 time, first at `y`)");
}

#[test]
fn the_image_is_the_one_input_that_is_read() {
    let graph = GraphProto {
        input: vec![value("x", 1, &[0, 3, 32, 0]), value("w", 1, &[4]), value("unread", 1, &[1])],
        initializer: vec![TensorProto { name: Some("w".into()), ..Default::default() }],
        ..Default::default()
    };
    let made =
        all(&ModelProto::default(), vec![node("Conv", &["x", "w"], &["y"])]).expect("a node");
    let found = input(&graph, &made).expect("one input");
    assert_eq!((&*found.name, found.element), ("x", 1));
    assert_eq!(found.dims, [None, Some(3), Some(32), None]);
    let two = GraphProto { initializer: vec![], ..graph.clone() };
    let said = input(&two, &made).expect_err("two inputs").to_string();
    assert_eq!(said, "2 inputs: `x` [N,3,32,?], `w` [4]; a classifier has one");
    let said = input(&graph, &[]).expect_err("none").to_string();
    assert_eq!(said, "its logits depend on no input");
    let bare = ValueInfoProto { name: Some("x".into()), r#type: None };
    let said = input(&GraphProto { input: vec![bare], ..Default::default() }, &made);
    assert_eq!(said.expect_err("bare").to_string(), "the input `x` is no tensor with a shape");
}

#[test]
fn the_logits_are_the_first_output_of_floats() {
    let of = |outputs: Vec<ValueInfoProto>, made: &[Node]| {
        let graph = GraphProto { output: outputs, ..Default::default() };
        output(&graph, made).map_err(|e| e.to_string())
    };
    let (label, logits) = (value("label", 7, &[0]), value("logits", 1, &[0, 10]));
    let auxiliary = value("aux", 1, &[0, 10]);
    assert_eq!(of(vec![label.clone(), logits, auxiliary], &[]).as_deref(), Ok("logits"));
    let said = of(vec![label.clone()], &[]).expect_err("integers");
    assert_eq!(said, "no output is a table of numbers: `label` is int64; export without ArgMax");
    assert_eq!(of(vec![], &[]).expect_err("none"), "it has no output");
    let zip = of_domain(node("ZipMap", &["probabilities"], &["dictionary"]), "ai.onnx.ml");
    let made = all(&ModelProto::default(), vec![zip]).expect("a node");
    let none = Some(TypeProto { tensor_type: None });
    let dictionary = ValueInfoProto { name: Some("dictionary".into()), r#type: none };
    assert_eq!(of(vec![label, dictionary], &made).as_deref(), Ok("probabilities"));
}
