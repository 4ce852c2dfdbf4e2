//! A first pass, node by node, that finds out what no file says reliably: the shape of every value.

use super::{
    Node,
    fold::Constants,
    guard::guard,
    operators::{self, Call, Memo},
};
use crate::{Activation, Ops};
use anyhow::{Context, Result};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
};
use tch::{Kind, Tensor};

/// What a pass found.
pub(super) struct Trace {
    /// The shape of every value of floats that depends on the image.
    pub shapes: HashMap<String, Vec<i64>>,
    /// For values that `Reshape` and `Expand` make: the shape that was asked for.
    pub asked: HashMap<String, Vec<i64>>,
    /// Every nonlinearity, in order.
    pub activations: Vec<Activation>,
    /// The output.
    pub logits: Tensor,
}

#[derive(Default)]
struct Recorder(RefCell<Vec<Activation>>);

impl Ops for Recorder {
    fn act(&self, activation: &Activation, x: &Tensor) -> Tensor {
        self.0.borrow_mut().push(activation.clone());
        activation.apply(x)
    }
}

/// Runs `nodes` on `x`, the value `input`, up to `output`. Errors name the node.
pub(super) fn trace(
    nodes: &[Node],
    constants: &Constants,
    (input, x): (&str, &Tensor),
    output: &str,
) -> Result<Trace> {
    let mut left: HashMap<&str, usize> = HashMap::from([(output, 1)]);
    nodes.iter().flat_map(|node| &node.inputs).for_each(|name| *left.entry(name).or_default() += 1);
    let mut live: HashMap<&str, Tensor> = HashMap::from([(input, x.shallow_clone())]);
    let mut shapes = HashMap::from([(input.to_owned(), x.size())]);
    let (mut asked, ops, at) = (HashMap::new(), Recorder::default(), Cell::new(""));
    let image = x.size()[1..].iter().map(i64::to_string).collect::<Vec<_>>().join("x");
    let images = if x.size()[0] == 1 { "one image" } else { "images" };
    let told = || format!("node `{}` does not run on {images} of {image}", at.get());
    let run = || -> Result<()> {
        for node in nodes {
            at.set(&node.label);
            let value = |name: &String| {
                let constant = || constants.get(name).map(|c| c.value.shallow_clone());
                live.get(name.as_str()).map(Tensor::shallow_clone).or_else(constant)
            };
            let inputs: Vec<Option<Tensor>> = node.inputs.iter().map(value).collect();
            let operator = operators::find(&node.operator).context("it is not supported")?;
            let (inputs, memo) = (&inputs, &Memo::default());
            let made = (operator.run)(&Call { node, inputs, ops: &ops, memo })?;
            let shape = inputs.get(1).and_then(Option::as_ref).and_then(integers);
            let named = |(name, _): &(&String, Tensor)| !name.is_empty();
            for (name, value) in node.outputs.iter().zip(made).filter(named) {
                if value.is_floating_point() {
                    shapes.insert(name.clone(), value.size());
                    let shape = shape.clone().filter(|_| reshapes(node));
                    asked.extend(shape.map(|shape| (name.clone(), shape)));
                }
                live.insert(name, value);
            }
            for name in &node.inputs {
                let uses = left.entry(name).or_default();
                *uses = uses.saturating_sub(1);
                if *uses == 0 {
                    live.remove(name.as_str());
                }
            }
        }
        Ok(())
    };
    tch::no_grad(|| guard(run)).with_context(told)?;
    let logits = live.remove(output).with_context(|| format!("no node makes `{output}`"))?;
    Ok(Trace { shapes, asked, activations: ops.0.into_inner(), logits })
}

/// Whether a node is told the shape that it gives.
pub(super) fn reshapes(node: &Node) -> bool {
    ["Reshape", "Expand"].contains(&node.operator.as_str())
}

/// Whether a node takes away every axis of length 1, whichever that is.
pub(super) fn squeezes(node: &Node) -> bool {
    let said = node.inputs.get(1).is_some_and(|axes| !axes.is_empty());
    node.operator == "Squeeze" && !said && !node.attributes.contains_key("axes")
}

/// The numbers of a list of integers.
pub(super) fn integers(x: &Tensor) -> Option<Vec<i64>> {
    let list = x.dim() == 1 && !x.is_floating_point() && x.numel() < 64;
    list.then(|| Vec::try_from(x.to_kind(Kind::Int64)).ok()).flatten()
}
