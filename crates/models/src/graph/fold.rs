//! Values that do not depend on the image: computed once, and which of them are views of a tensor
//! that the file stores, so that training moves what is stored.

use super::{
    Node,
    guard::guard,
    inline::read_by,
    operators::{self, Call, Memo},
};
use crate::Plain;
use anyhow::{Context, Result};
use std::collections::HashMap;
use tch::{Kind, Tensor};
use tensorfile::onnx::proto::TensorProto;

/// How a layer sees a tensor that the file stores.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum View {
    /// Axes in another order.
    Permute(Vec<i64>),
    /// The same numbers in another shape.
    Reshape(Vec<i64>),
    /// Repeated along axes of length 1.
    Expand(Vec<i64>),
}

impl View {
    /// A view of `x`; gradients pass.
    pub fn of(&self, x: &Tensor) -> Tensor {
        match self {
            View::Permute(axes) => x.permute(axes.as_slice()),
            View::Reshape(shape) => x.reshape(shape.as_slice()),
            View::Expand(shape) => x.expand(shape.as_slice(), false),
        }
    }
}

/// A tensor of the file, seen through views.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// Its name in the file.
    pub name: String,
    /// Whether it is an initializer; else a node makes it.
    pub initializer: bool,
    /// In the order in which they are taken.
    pub views: Vec<View>,
}

/// A value that does not depend on the image.
#[derive(Debug)]
pub(super) struct Constant {
    /// On the CPU; floats are f32.
    pub value: Tensor,
    /// The tensor that it is a view of, if it is one.
    pub stored: Option<Stored>,
    /// As the file has it, if it is a tensor of the file.
    pub proto: Option<TensorProto>,
}

/// By name.
pub(super) type Constants = HashMap<String, Constant>;

/// Floats in single precision, what else there is as it is.
pub(super) fn single(value: Tensor) -> Tensor {
    if value.is_floating_point() { value.to_kind(Kind::Float) } else { value }
}

/// The initializers that `nodes` read. Errors: one that cannot be read.
pub(super) fn initializers(
    file: &tensorfile::onnx::File,
    nodes: &[Node],
    output: &str,
) -> Result<Constants> {
    let read = read_by(nodes);
    let mut found = Constants::new();
    for tensor in &file.graph().initializer {
        let name = tensor.name();
        if read.contains(name) || name == output {
            let stored = Stored { name: name.to_owned(), initializer: true, views: vec![] };
            let value = single(file.tensor(tensor)?);
            let proto = Some(tensor.clone());
            found.insert(name.to_owned(), Constant { value, stored: Some(stored), proto });
        }
    }
    Ok(found)
}

/// Computes the nodes that depend on no image and returns the others. Errors: those of operators.
pub(super) fn fold(nodes: Vec<Node>, constants: &mut Constants) -> Result<Vec<Node>> {
    let mut rest = vec![];
    for node in nodes {
        let known = |name: &String| name.is_empty() || constants.contains_key(name);
        if !node.inputs.iter().all(known) {
            rest.push(node);
            continue;
        }
        let value = |name: &String| constants.get(name).map(|c| c.value.shallow_clone());
        let inputs: Vec<Option<Tensor>> = node.inputs.iter().map(value).collect();
        let operator = operators::find(&node.operator)
            .with_context(|| format!("operator `{}` is not supported", node.operator))?;
        let (inputs, memo) = (&inputs, &Memo::default());
        let run = || (operator.run)(&Call { node: &node, inputs, ops: &Plain, memo });
        let made = tch::no_grad(|| guard(run)).with_context(|| format!("node `{}`", node.label));
        let view = view(&node, inputs);
        for (i, (name, value)) in node.outputs.iter().zip(made?).enumerate() {
            let value = single(value);
            let of = node.inputs.first().and_then(|name| constants.get(name)?.stored.clone());
            let stored = match (node.operator.as_str(), &view, of) {
                ("Constant", ..) => {
                    Some(Stored { name: name.clone(), initializer: false, views: vec![] })
                }
                (_, Some(view), Some(mut stored)) if i == 0 && value.is_floating_point() => {
                    stored.views.extend(view(&value));
                    Some(stored)
                }
                _ => None,
            };
            let own = node.attributes.get("value").filter(|_| node.operator == "Constant");
            let proto = own.and_then(|a| a.as_tensor()).cloned();
            constants.insert(name.clone(), Constant { value, stored, proto });
        }
    }
    Ok(rest)
}

type OfResult = Box<dyn Fn(&Tensor) -> Option<View>>;

/// The view that a node takes of its first input, if it takes one.
fn view(node: &Node, inputs: &[Option<Tensor>]) -> Option<OfResult> {
    let x = inputs.first()?.as_ref()?;
    let floats = x.is_floating_point();
    match node.operator.as_str() {
        "Identity" | "Dropout" => Some(Box::new(|_| None)),
        "Cast" | "CastLike" if floats => Some(Box::new(|_| None)),
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => {
            Some(Box::new(|y| Some(View::Reshape(y.size()))))
        }
        "Expand" => Some(Box::new(|y| Some(View::Expand(y.size())))),
        "Transpose" => {
            let axes = node.attributes.get("perm").and_then(|a| a.as_ints());
            let axes = axes.map_or((0..x.dim() as i64).rev().collect(), <[i64]>::to_vec);
            Some(Box::new(move |_| Some(View::Permute(axes.clone()))))
        }
        _ => None,
    }
}
