//! From nodes to steps over numbered slots: which tensors are parameters, which nodes are one layer,
//! and after which step a value is no longer needed.

mod layers;
mod weights;

use super::{
    Node,
    fold::Constants,
    operators::{self, Operator},
    taps::taps,
    trace::{Trace, reshapes, squeezes},
};
use crate::{Init, Role};
use anyhow::{Context, Result, ensure};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    rc::Rc,
};
use tch::Tensor;
use tensorfile::onnx::proto::{AttributeProto, TensorProto};

pub(super) use layers::Layer;
use layers::layer;
pub(super) use weights::Recipe;
use weights::drawn;

/// What an operation reads.
pub(super) enum Arg {
    /// Nothing.
    Absent,
    /// What another operation made.
    Slot(usize),
    /// A constant.
    Constant(Tensor),
    /// A parameter, by its name.
    Stored(String),
    /// Computed from parameters.
    Computed(Recipe),
}

/// An operator with what it reads.
pub(super) struct Operation {
    pub operator: &'static Operator,
    pub node: Rc<Node>,
    pub inputs: Vec<Arg>,
}

/// A parameter: its first values, what training does to it, and how it would be drawn anew.
pub(super) struct Param {
    pub value: Tensor,
    /// As the file has it; none where it has it in pieces.
    pub proto: Option<TensorProto>,
    pub role: Role,
    pub init: Init,
}

/// A shape that a node is told at the file's own batch, and the shape that it gives then.
pub(super) struct Told {
    pub asked: Vec<i64>,
    pub given: Vec<i64>,
}

/// What a step does.
pub(super) enum Action {
    /// A convolution or linear layer with its bias and its norm.
    Layer(Box<Layer>),
    /// Any other operator.
    Operator(Operation, Option<Told>),
}

/// A step.
pub(super) struct Step {
    pub action: Action,
    pub outputs: Vec<Option<usize>>,
    /// The name of its first output, if that is a tap.
    pub tap: Option<String>,
    /// Slots that no later step reads.
    pub free: Vec<usize>,
}

impl Step {
    /// The shape that its node is told, if it is told one.
    pub fn told(&self) -> Option<&Told> {
        match &self.action {
            Action::Operator(_, told) => told.as_ref(),
            Action::Layer(_) => None,
        }
    }
}

/// Everything that is known of a network before its tensors are.
pub(super) struct Plan {
    pub steps: Vec<Step>,
    pub slots: usize,
    pub input: usize,
    pub output: usize,
    pub params: BTreeMap<String, Param>,
    /// The names of parameters in the order in which layers use them.
    pub order: Vec<String>,
    pub taps: Vec<String>,
}

pub(super) struct Lowerer<'a> {
    pub nodes: &'a [Node],
    pub constants: &'a Constants,
    pub trace: &'a Trace,
    pub output: &'a str,
    readers: HashMap<&'a str, Vec<usize>>,
    slots: HashMap<String, usize>,
    /// Values behind the first layer: constants before it are a normalisation.
    behind: BTreeSet<String>,
    params: BTreeMap<String, Param>,
    order: Vec<String>,
    /// How many compute weights.
    operations: usize,
}

/// Plans the pass that `trace` took. Errors: an operator that is not there.
pub(super) fn lower(
    nodes: &[Node],
    constants: &Constants,
    trace: &Trace,
    (input, output, image): (&str, &str, [i64; 3]),
) -> Result<Plan> {
    let mut readers: HashMap<&str, Vec<usize>> = HashMap::new();
    for (i, node) in nodes.iter().enumerate() {
        node.inputs.iter().for_each(|name| readers.entry(name).or_default().push(i));
    }
    let mut it = Lowerer {
        nodes,
        constants,
        trace,
        output,
        readers,
        slots: HashMap::new(),
        behind: BTreeSet::new(),
        params: BTreeMap::new(),
        order: vec![],
        operations: 0,
    };
    let input = it.slot(input);
    let (mut steps, mut done) = (vec![], vec![false; nodes.len()]);
    let places = taps(nodes, trace, image);
    for i in 0..nodes.len() {
        if done[i] {
            continue;
        }
        let (action, last) = match layer(&mut it, i) {
            Some((layer, used)) => {
                used.iter().for_each(|&i| done[i] = true);
                (Action::Layer(Box::new(layer)), used.last().copied().unwrap_or(i))
            }
            None => (it.operator(i)?, i),
        };
        let made = &nodes[last].outputs;
        let outputs = made.iter().map(|name| (!name.is_empty()).then(|| it.slot(name))).collect();
        let tap = made.first().filter(|name| places.contains(*name)).cloned();
        steps.push(Step { action, outputs, tap, free: vec![] });
    }
    ensure!(it.operations <= weights::MOST, "more than {} nodes compute weights", weights::MOST);
    let output = *it.slots.get(output).context("the output does not depend on the image")?;
    let slots = it.slots.len();
    free(&mut steps, slots, output);
    let taps = steps.iter().filter_map(|step| step.tap.clone()).collect();
    Ok(Plan { steps, slots, input, output, params: it.params, order: it.order, taps })
}

/// Says which slots no later step reads.
fn free(steps: &mut [Step], slots: usize, output: usize) {
    let mut seen = vec![false; slots];
    seen[output] = true;
    for step in steps.iter_mut().rev() {
        let mut reads: Vec<usize> = match &step.action {
            Action::Layer(layer) => vec![layer.x],
            Action::Operator(operation, _) => {
                let slot = |arg: &Arg| if let Arg::Slot(slot) = arg { Some(*slot) } else { None };
                operation.inputs.iter().filter_map(slot).collect()
            }
        };
        reads.extend(step.outputs.iter().flatten());
        step.free = reads.into_iter().filter(|&i| !std::mem::replace(&mut seen[i], true)).collect();
    }
}

impl Lowerer<'_> {
    fn slot(&mut self, name: &str) -> usize {
        let next = self.slots.len();
        *self.slots.entry(name.to_owned()).or_insert(next)
    }

    /// The slot of a value that depends on the image.
    pub fn of_image(&self, name: &str) -> Option<usize> {
        self.slots.get(name).copied()
    }

    /// The only node that reads a value, if it is one and the value is not the output.
    pub fn only_reader(&self, name: &str) -> Option<usize> {
        match self.readers.get(name)?.as_slice() {
            [one] if name != self.output => Some(*one),
            _ => None,
        }
    }

    /// The shape of a value that depends on the image.
    pub fn shape(&self, name: &str) -> Option<&[i64]> {
        self.trace.shapes.get(name).map(Vec::as_slice)
    }

    /// That what comes now is behind a layer.
    pub fn pass(&mut self, name: &str) {
        self.behind.insert(name.to_owned());
    }

    fn operator(&mut self, i: usize) -> Result<Action> {
        let node = &self.nodes[i];
        // The shape that a token is expanded to may come from the images themselves.
        let behind =
            node.operator == "Expand" || node.inputs.iter().any(|name| self.behind.contains(name));
        if behind {
            node.outputs.iter().for_each(|name| self.pass(name));
        }
        let operator = operators::find(&node.operator)
            .with_context(|| format!("operator `{}` is not supported", node.operator))?;
        let weights = behind && !operator.settings;
        let inputs = (0..node.inputs.len()).map(|k| self.arg(node, k, weights)).collect();
        let first = node.outputs.first().cloned().unwrap_or_default();
        let of = |asked: &Vec<i64>| {
            let given = self.trace.shapes.get(&first)?.clone();
            Some(Told { asked: asked.clone(), given })
        };
        let told = self.trace.asked.get(&first).filter(|_| reshapes(node)).and_then(of);
        let node = Rc::new(self.with_axes(node.clone()));
        Ok(Action::Operator(Operation { operator, node, inputs }, told))
    }

    /// A `Squeeze` that names no axes with those that the trace found: it leaves a batch of one.
    fn with_axes(&self, mut node: Node) -> Node {
        let shape = node.inputs.first().and_then(|name| self.shape(name));
        if let Some(shape) = shape.filter(|_| squeezes(&node)) {
            let axes = (0i64..).zip(shape).filter(|(_, n)| **n == 1).map(|(axis, _)| axis);
            let ints =
                AttributeProto { ints: axes.collect(), r#type: Some(7), ..Default::default() };
            node.attributes.insert("axes".to_owned(), ints);
        }
        node
    }

    /// Input `k` of an operator whose initializers are `weights`, or settings.
    fn arg(&mut self, node: &Node, k: usize, weights: bool) -> Arg {
        let name = node.inputs[k].as_str();
        if let Some(&slot) = self.slots.get(name) {
            return Arg::Slot(slot);
        }
        let Some(constant) = self.constants.get(name) else { return Arg::Absent };
        let scale = node.operator.ends_with("Normalization");
        let place = match (node.operator.as_str(), k) {
            ("Conv" | "ConvTranspose" | "Gemm" | "MatMul" | "PRelu", _) => true,
            (_, 1 | 2) => scale,
            _ => false,
        };
        let known = match (node.operator.as_str(), k) {
            ("BatchNormalization", 3) => self.statistic(name, Role::Mean),
            ("BatchNormalization", 4..) => self.statistic(name, Role::Variance),
            _ if place || weights => {
                let one = if scale && k == 1 { 1. } else { 0. };
                self.weight(name, drawn(&constant.value, one), place)
            }
            _ => None,
        };
        known.unwrap_or_else(|| Arg::Constant(constant.value.detach()))
    }
}
