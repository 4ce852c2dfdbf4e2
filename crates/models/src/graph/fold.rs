//! Values that do not depend on the image: computed once. A float that differentiable operators make
//! of floats that the file stores keeps its graph to them, so that training can compute it anew.

use super::{
    Node,
    guard::guard,
    inline::read_by,
    operators::{self, Call, Memo},
};
use crate::Plain;
use anyhow::{Context, Result};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    rc::Rc,
};
use tch::{Kind, Tensor};
use tensorfile::onnx::proto::TensorProto;

/// Operators whose result may be of another type than what they read first, those that are not
/// supported apart.
const OF_ANOTHER_TYPE: [&str; 11] = [
    "Cast",
    "CastLike",
    "Equal",
    "EyeLike",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "QuantizeLinear",
    "Shape",
    "Size",
];

/// A tensor of the file.
pub(super) struct Stored {
    /// Its name.
    pub name: String,
    /// Whether it is an initializer; else a node holds it.
    pub initializer: bool,
    /// As the file has it; none where it is a list of numbers.
    pub proto: Option<TensorProto>,
}

/// A node that depends on no image.
pub(super) struct Made {
    pub node: Rc<Node>,
    /// Its place among all such nodes: behind those that it reads.
    pub place: usize,
}

/// Where a value comes from.
#[derive(Clone)]
pub(super) enum Source {
    Stored(Rc<Stored>),
    /// The output of this number of a node.
    Made(Rc<Made>, usize),
}

/// A value that does not depend on the image.
pub(super) struct Constant {
    /// On the CPU; floats are f32, with a graph to stored floats, if there is one.
    pub value: Tensor,
    pub source: Source,
}

/// By name.
pub(super) type Constants = HashMap<String, Constant>;

impl Constant {
    fn new(value: Tensor, source: Source) -> Self {
        // Floats in single precision, what else there is as it is.
        let value = if value.is_floating_point() { value.to_kind(Kind::Float) } else { value };
        let weights = value.is_floating_point() && value.numel() > 1;
        let leaf = matches!(source, Source::Stored(_)) && weights;
        let value = if leaf { value.detach().set_requires_grad(true) } else { value };
        Constant { value, source }
    }

    /// The same value under another name.
    fn again(&self) -> Self {
        Constant { value: self.value.shallow_clone(), source: self.source.clone() }
    }
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
            let (name, proto) = (name.to_owned(), Some(tensor.clone()));
            let source = Stored { name: name.clone(), initializer: true, proto };
            let constant = Constant::new(file.tensor(tensor)?, Source::Stored(Rc::new(source)));
            found.insert(name, constant);
        }
    }
    Ok(found)
}

/// Computes the nodes that depend on no image and returns the others, with the nodes of its branch
/// in place of an `If` whose condition is known; what is not supported is among them. `floats`: the
/// inputs of that type. Errors: those of operators.
pub(super) fn fold(
    nodes: Vec<Node>,
    constants: &mut Constants,
    mut floats: HashSet<String>,
) -> Result<Vec<Node>> {
    let (mut rest, mut place) = (vec![], 0);
    let mut todo = VecDeque::from(nodes);
    while let Some(mut node) = todo.pop_front() {
        if let Some(same) = as_float(&node, constants, &floats) {
            constants.insert(node.outputs[0].clone(), same);
            continue;
        }
        if let Some(branch) = chosen(&mut node, constants) {
            branch.into_iter().rev().for_each(|node| todo.push_front(node));
            continue;
        }
        let known = |name: &String| name.is_empty() || constants.contains_key(name);
        let supported = operators::find(&node.operator);
        let Some(operator) = supported.filter(|_| node.inputs.iter().all(known)) else {
            if keeps_floats(&node, &floats) {
                floats.insert(node.outputs[0].clone());
            }
            rest.push(clipped(node, constants));
            continue;
        };
        let value = |name: &String| constants.get(name).map(|c| c.value.shallow_clone());
        let inputs: Vec<Option<Tensor>> = node.inputs.iter().map(value).collect();
        let call = Call { node: &node, inputs: &inputs, ops: &Plain, memo: &Memo::default() };
        let made = tch::with_grad(|| guard(|| (operator.run)(&call)));
        let made = made.with_context(|| format!("node `{}`", node.label))?;
        let node = Rc::new(Made { node: Rc::new(node), place });
        place += 1;
        for (i, (name, value)) in node.node.outputs.iter().zip(made).enumerate() {
            if name.is_empty() {
                continue;
            }
            let first = node.node.inputs.first().and_then(|name| constants.get(name));
            let constant = match first.filter(|first| same(&first.value, &value)) {
                Some(first) => first.again(),
                None => Constant::new(value, source(&node, i)),
            };
            constants.insert(name.clone(), constant);
        }
    }
    Ok(rest)
}

/// What `CastLike` makes of a float that is known, in the type of another: the same, for all floats are
/// f32. Only the type comes from the image.
fn as_float(node: &Node, constants: &Constants, floats: &HashSet<String>) -> Option<Constant> {
    let [known, like] = node.inputs.as_slice() else { return None };
    let known = constants.get(known).filter(|known| known.value.is_floating_point())?;
    let of_image = node.operator == "CastLike" && floats.contains(like);
    (of_image && node.outputs.len() == 1).then(|| known.again())
}

/// Whether the first result is surely of floats: that of an operator that keeps the type of what it
/// reads first.
fn keeps_floats(node: &Node, floats: &HashSet<String>) -> bool {
    let reads = node.inputs.first().is_some_and(|first| floats.contains(first));
    reads && !node.outputs.is_empty() && !OF_ANOTHER_TYPE.contains(&node.operator.as_str())
}

/// The nodes of the branch that an `If` takes, where its condition is known.
fn chosen(node: &mut Node, constants: &Constants) -> Option<Vec<Node>> {
    let condition = &constants.get(node.inputs.first()?)?.value;
    if node.branches.is_empty() || condition.numel() != 1 {
        return None;
    }
    let holds = condition.reshape([1]).int64_value(&[0]) != 0;
    Some(node.branches.swap_remove(usize::from(!holds)))
}

/// The larger or smaller of a value and one number as the `Clip` that it is.
fn clipped(mut node: Node, constants: &Constants) -> Node {
    let place = match node.operator.as_str() {
        "Max" => 1,
        "Min" => 2,
        _ => return node,
    };
    // A list of one integer makes a list of a number; floats of images have more axes than that.
    let number = |name: &String| {
        constants.get(name).is_some_and(|Constant { value, .. }| {
            value.dim() == 0 || value.size() == [1] && value.is_floating_point()
        })
    };
    let (x, bound) = match node.inputs.as_slice() {
        [x, bound] if number(bound) => (x.clone(), bound.clone()),
        [bound, x] if number(bound) => (x.clone(), bound.clone()),
        _ => return node,
    };
    node.operator = "Clip".to_owned();
    node.inputs = vec![x, String::new(), String::new()];
    node.inputs[place] = bound;
    node
}

/// Where output `i` of a node comes from.
fn source(made: &Rc<Made>, i: usize) -> Source {
    let node = &made.node;
    if node.operator != "Constant" {
        return Source::Made(made.clone(), i);
    }
    let proto = node.attributes.get("value").and_then(|a| a.as_tensor()).cloned();
    Source::Stored(Rc::new(Stored { name: node.outputs[i].clone(), initializer: false, proto }))
}

/// Whether two tensors are one: what `Identity` gives, a cast to the type that is there, a reshape
/// to the shape.
fn same(a: &Tensor, b: &Tensor) -> bool {
    let form = |t: &Tensor| (t.data_ptr(), t.kind(), t.size(), t.stride());
    a.numel() > 0 && form(a) == form(b)
}
