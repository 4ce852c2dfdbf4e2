//! Nodes with the functions that they call written out, and with the branches of `If`.

mod branches;
mod node;

use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeMap, HashMap};
use tensorfile::onnx::proto::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
};

pub use node::Node;
pub(super) use node::read_by;

/// Functions and branches inside each other, at most.
const DEEPEST: usize = 32;
/// Nodes with every function written out, at most: a few functions that call each other twice would
/// be billions.
const MOST: usize = 1 << 17;

type Functions<'a> = HashMap<(&'a str, &'a str, &'a str), &'a FunctionProto>;

/// The nodes of a graph, functions written out, in the order of the file. `known` says whether an
/// operator needs no function. Errors: functions that call themselves, too many nodes.
pub fn nodes(
    model: &ModelProto,
    graph: &GraphProto,
    known: &dyn Fn(&str) -> bool,
) -> Result<Vec<Node>> {
    let key = |f| {
        let f: &FunctionProto = f;
        ((plain(f.domain()), f.name(), f.overload()), f)
    };
    let functions = model.functions.iter().map(key).collect();
    let mut inliner = Inliner { functions, known, done: vec![], count: 0, calls: 0 };
    let none = BTreeMap::new();
    for node in &graph.node {
        let name = |value: &str| value.to_owned();
        inliner.add(
            node,
            &Call { name: &name, attributes: &none, sets: &model.opset_import },
            0,
        )?;
    }
    Ok(inliner.done)
}

/// ONNX's own domain has two names.
fn plain(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

/// What the nodes of a function see.
struct Call<'a> {
    /// The name outside of a value inside.
    name: &'a dyn Fn(&str) -> String,
    /// The settings of the call.
    attributes: &'a BTreeMap<String, AttributeProto>,
    /// The versions of the sets of operators.
    sets: &'a [OperatorSetIdProto],
}

struct Inliner<'a> {
    functions: Functions<'a>,
    known: &'a dyn Fn(&str) -> bool,
    done: Vec<Node>,
    count: usize,
    calls: usize,
}

impl<'a> Inliner<'a> {
    fn add(&mut self, proto: &NodeProto, call: &Call, depth: usize) -> Result<()> {
        let label = || proto.label().to_owned();
        let domain = plain(proto.domain());
        let operator = match domain {
            "" => proto.op_type().to_owned(),
            domain => format!("{domain}.{}", proto.op_type()),
        };
        let node = Node {
            label: label(),
            inputs: named(&proto.input, call.name),
            outputs: named(&proto.output, call.name),
            attributes: attributes(proto, call.attributes),
            opset: version(call.sets, domain),
            operator,
            branches: vec![],
        };
        let key = (domain, proto.op_type(), proto.overload());
        let function = self.functions.get(&key).copied();
        match function.filter(|_| !(self.known)(&node.operator)) {
            Some(function) => self.write_out(&node, function, depth).with_context(label),
            None if node.operator == "If" => {
                let node = self.with_branches(node, call, depth).with_context(label)?;
                self.push(node)
            }
            None => self.push(node),
        }
    }

    fn push(&mut self, node: Node) -> Result<()> {
        self.count += 1;
        ensure!(self.count <= MOST, "more than {MOST} nodes");
        self.done.push(node);
        Ok(())
    }

    fn write_out(&mut self, node: &Node, function: &FunctionProto, depth: usize) -> Result<()> {
        let name = function.name();
        ensure!(
            depth < DEEPEST,
            "function `{name}`: functions inside functions, more than {DEEPEST} deep"
        );
        ensure!(self.calls < MOST, "more than {MOST} calls of functions");
        self.calls += 1;
        let mut outside = HashMap::new();
        for (i, inside) in function.input.iter().enumerate() {
            outside.insert(inside.as_str(), node.inputs.get(i).cloned().unwrap_or_default());
        }
        for (inside, name) in function.output.iter().zip(&node.outputs) {
            if outside.contains_key(inside.as_str()) {
                bail!("function `{}` gives its own input `{inside}`", function.name());
            }
            // An output that the caller leaves out may still be read inside.
            if !name.is_empty() {
                outside.insert(inside, name.clone());
            }
        }
        let calls = self.calls;
        let name = |value: &str| match outside.get(value) {
            Some(name) => name.clone(),
            None => format!("{}#{calls}/{value}", node.label),
        };
        let mut attributes: BTreeMap<String, AttributeProto> =
            function.attribute_proto.iter().map(|a| (a.name().to_owned(), a.clone())).collect();
        attributes.extend(node.attributes.clone());
        let call = Call { name: &name, attributes: &attributes, sets: &function.opset_import };
        function.node.iter().try_for_each(|inner| self.add(inner, &call, depth + 1))
    }
}

fn named(values: &[String], name: &dyn Fn(&str) -> String) -> Vec<String> {
    let one = |value: &String| if value.is_empty() { String::new() } else { name(value) };
    values.iter().map(one).collect()
}

/// The settings of a node; one that refers to the call's is the call's, or not there.
fn attributes(
    node: &NodeProto,
    call: &BTreeMap<String, AttributeProto>,
) -> BTreeMap<String, AttributeProto> {
    let of = |a: &AttributeProto| match a.ref_attr_name() {
        "" => Some((a.name().to_owned(), a.clone())),
        outer => Some((a.name().to_owned(), call.get(outer)?.clone())),
    };
    node.attribute.iter().filter_map(of).collect()
}

fn version(sets: &[OperatorSetIdProto], domain: &str) -> i64 {
    let own = sets.iter().filter(|set| plain(set.domain()) == domain);
    own.map(OperatorSetIdProto::version).max().unwrap_or(1)
}
