//! Operators with what they read: what a step made, a tensor, or a weight that others compute.

use super::super::{
    Node,
    lower::{Arg, Operation, Recipe},
    operators::{Call, Memo, Operator},
};
use crate::{Builder, Ops, Plain};
use anyhow::Result;
use std::{collections::HashMap, rc::Rc};
use tch::{Kind, Tensor};

/// What an operator or a layer reads.
pub(super) enum Ready {
    Absent,
    Slot(usize),
    Tensor(Tensor),
    Computed(Computation),
}

impl Ready {
    /// The tensor, if it is there; `slots` hold what steps made.
    fn get(&self, slots: &[Option<Tensor>]) -> Option<Tensor> {
        match self {
            Ready::Absent => None,
            Ready::Slot(slot) => slots[*slot].as_ref().map(Tensor::shallow_clone),
            Ready::Tensor(tensor) => Some(tensor.shallow_clone()),
            Ready::Computed(computation) => Some(computation.run()),
        }
    }

    /// The tensor of a layer.
    pub fn tensor(&self) -> Tensor {
        self.get(&[]).expect("a layer's tensors do not depend on the image")
    }
}

/// A weight that is computed from parameters.
pub(super) struct Computation {
    tasks: Vec<Task>,
    output: usize,
}

impl Computation {
    /// The weight, with a graph to the parameters.
    fn run(&self) -> Tensor {
        let mut slots = vec![];
        for task in &self.tasks {
            let end = slots.len() + task.node.outputs.len();
            let made = task.run(&task.inputs(&slots), &Plain);
            slots.extend(made.unwrap_or_else(|error| panic!("{error:#}")).into_iter().map(Some));
            slots.resize_with(end, || None);
        }
        slots.swap_remove(self.output).expect("it was made when the file was read")
    }
}

/// An operator with what it reads.
pub(super) struct Task {
    pub node: Rc<Node>,
    operator: &'static Operator,
    inputs: Vec<Ready>,
    memo: Memo,
}

impl Task {
    pub fn inputs(&self, slots: &[Option<Tensor>]) -> Vec<Option<Tensor>> {
        let one = |input: &Ready| match self.operator.takes_bf16 {
            true => input.get(slots),
            false => input.get(slots).map(|t| wide(&t)),
        };
        self.inputs.iter().map(one).collect()
    }

    pub fn run(&self, inputs: &[Option<Tensor>], ops: &dyn Ops) -> Result<Vec<Tensor>> {
        self.operator.apply(&Call { node: &self.node, inputs, ops, memo: &self.memo })
    }
}

/// bf16 as f32; everything else as it is.
pub(super) fn wide(x: &Tensor) -> Tensor {
    if x.kind() == Kind::BFloat16 { x.to_kind(Kind::Float) } else { x.shallow_clone() }
}

/// Puts tensors in their places.
pub(super) struct Maker<'a> {
    pub b: &'a Builder,
    /// Parameters by name.
    pub tensors: HashMap<&'a str, Tensor>,
}

impl Maker<'_> {
    /// A constant with the device and type of the parameters.
    fn placed(&self, value: &Tensor) -> Tensor {
        match self.tensors.values().next() {
            Some(like) if value.is_floating_point() => {
                value.to_device(like.device()).to_kind(like.kind())
            }
            _ => value.shallow_clone(),
        }
    }

    /// Where the builder folds layers, weights are computed once, here.
    pub fn ready(&self, arg: &Arg) -> Ready {
        match arg {
            Arg::Absent => Ready::Absent,
            Arg::Slot(slot) => Ready::Slot(*slot),
            Arg::Constant(value) => Ready::Tensor(self.placed(value)),
            Arg::Stored(name) => Ready::Tensor(self.tensors[name.as_str()].shallow_clone()),
            Arg::Computed(Recipe { operations, output }) => {
                let tasks = operations.iter().map(|operation| self.task(operation)).collect();
                let computation = Computation { tasks, output: *output };
                match self.b.folds() {
                    Some(_) => Ready::Tensor(tch::no_grad(|| computation.run())),
                    None => Ready::Computed(computation),
                }
            }
        }
    }

    pub fn task(&self, operation: &Operation) -> Task {
        let Operation { operator, node, .. } = operation;
        let ready = |arg: &Arg| match arg {
            Arg::Constant(value) if operator.numbers => Ready::Tensor(value.shallow_clone()),
            arg => self.ready(arg),
        };
        let inputs = operation.inputs.iter().map(ready).collect();
        Task { node: node.clone(), operator, inputs, memo: Memo::default() }
    }
}
