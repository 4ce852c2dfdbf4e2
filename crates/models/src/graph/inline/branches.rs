//! The branches of `If`: nodes that see what is outside.

use super::{Call, DEEPEST, Inliner, MOST, Node, read_by};
use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use tensorfile::onnx::proto::{AttributeProto, GraphProto, TensorProto};

impl Inliner<'_> {
    /// An `If` with the nodes of its branches. Errors: one is missing, too many inside each other.
    pub(super) fn with_branches(
        &mut self,
        mut node: Node,
        call: &Call,
        depth: usize,
    ) -> Result<Node> {
        ensure!(depth < DEEPEST, "branches inside branches, more than {DEEPEST} deep");
        for name in ["then_branch", "else_branch"] {
            let graph = node.attributes.remove(name).and_then(|attribute| attribute.g);
            let graph = graph.with_context(|| format!("an `If` without `{name}`"))?;
            let branch = self.branch(&node, &graph, call, depth)?;
            node.branches.push(branch);
        }
        let outside: BTreeSet<String> =
            node.branches.iter().flat_map(|nodes| outside(nodes)).collect();
        node.inputs.extend(outside);
        Ok(node)
    }

    /// The nodes of a branch: its constants, its own, and what gives their results the names of the
    /// node's.
    fn branch(
        &mut self,
        node: &Node,
        graph: &GraphProto,
        call: &Call,
        depth: usize,
    ) -> Result<Vec<Node>> {
        ensure!(self.calls < MOST, "more than {MOST} branches");
        self.calls += 1;
        let made = graph.node.iter().flat_map(|node| &node.output).map(String::as_str);
        let own: BTreeSet<&str> =
            graph.initializer.iter().map(TensorProto::name).chain(made).collect();
        let scope = format!("{}#{}", node.label, self.calls);
        let name = |value: &str| match own.contains(value) {
            true => format!("{scope}/{value}"),
            false => (call.name)(value),
        };
        let before = std::mem::take(&mut self.done);
        for tensor in &graph.initializer {
            self.push(constant(name(tensor.name()), tensor))?;
        }
        let call = Call { name: &name, ..*call };
        graph.node.iter().try_for_each(|inner| self.add(inner, &call, depth + 1))?;
        for (inside, outside) in graph.output.iter().zip(&node.outputs) {
            self.push(plain("Identity", vec![name(inside.name())], outside.clone()))?;
        }
        Ok(std::mem::replace(&mut self.done, before))
    }
}

fn plain(operator: &str, inputs: Vec<String>, output: String) -> Node {
    let (operator, label, outputs) = (operator.to_owned(), output.clone(), vec![output]);
    Node { operator, label, inputs, outputs, ..Node::default() }
}

/// A tensor as a node that holds it.
fn constant(name: String, tensor: &TensorProto) -> Node {
    let value = AttributeProto { t: Some(tensor.clone()), ..AttributeProto::default() };
    let attributes = BTreeMap::from([("value".to_owned(), value)]);
    Node { attributes, ..plain("Constant", vec![], name) }
}

/// What `nodes` read and none of them makes.
fn outside(nodes: &[Node]) -> Vec<String> {
    let made: BTreeSet<&str> =
        nodes.iter().flat_map(|node| &node.outputs).map(String::as_str).collect();
    let names = read_by(nodes).into_iter().filter(|name| !name.is_empty() && !made.contains(name));
    names.map(str::to_owned).collect()
}
