//! What training moves of the constants that layers read: tensors of the file, and what nodes
//! compute of them in every pass (Weight Standardization, masks, tables of positions).

use super::{
    super::{
        fold::{Constant, Made, Source, Stored},
        operators,
    },
    Arg, Lowerer, Operation, Param,
};
use crate::{Init, Role};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    rc::Rc,
};
use tch::{Kind, Tensor};

/// Operators that compute weights, at most, one counting for each weight that it is computed for.
pub(super) const MOST: usize = 1 << 17;

/// A weight that is computed from parameters.
pub(in crate::graph) struct Recipe {
    /// In the order in which they run; their outputs, one after the other, are its slots.
    pub operations: Vec<Operation>,
    /// The slot of the weight.
    pub output: usize,
}

impl Lowerer<'_> {
    /// A tensor of the file as a parameter, where it is one: more than one float. Of one that is
    /// read both as a weight and as statistics, the first reader says what it is; it is a constant
    /// to the others.
    fn param(&mut self, stored: &Stored, role: Role, init: Init) -> Option<Arg> {
        let value = self.constants.get(&stored.name)?.value.detach();
        if !value.is_floating_point() || value.numel() < 2 {
            return None;
        }
        let name = stored.name.clone();
        if !self.params.contains_key(&name) {
            let param = Param { value, proto: stored.proto.clone(), role, init };
            self.params.insert(name.clone(), param);
            self.order.push(name.clone());
        }
        (self.params[&name].role == role).then_some(Arg::Stored(name))
    }

    /// A constant of a layer: a parameter, computed from parameters, or what it is. It is a weight
    /// by its `place` wherever the file has it; elsewhere only initializers are weights.
    pub fn weight(&mut self, name: &str, init: Init, place: bool) -> Option<Arg> {
        let constant = self.constants.get(name)?;
        let trained = match &constant.source {
            Source::Stored(stored) if place || stored.initializer && finite(constant) => {
                self.param(stored, Role::Weight, init)
            }
            Source::Stored(_) => None,
            Source::Made(made, i) => self.computed(constant, (made, *i), init, place),
        };
        Some(trained.unwrap_or_else(|| Arg::Constant(constant.value.detach())))
    }

    /// Statistics of a norm.
    pub fn statistic(&mut self, name: &str, role: Role) -> Option<Arg> {
        let constant = self.constants.get(name)?;
        let trained = match &constant.source {
            Source::Stored(stored) => {
                self.param(stored, role, Init::Const(if role == Role::Variance { 1. } else { 0. }))
            }
            Source::Made(..) => None,
        };
        Some(trained.unwrap_or_else(|| Arg::Constant(constant.value.detach())))
    }

    /// A value that nodes make of parameters; none where they are made of constants alone.
    fn computed(
        &mut self,
        constant: &Constant,
        (made, i): (&Rc<Made>, usize),
        init: Init,
        place: bool,
    ) -> Option<Arg> {
        if self.operations > MOST || !constant.value.requires_grad() {
            return None;
        }
        let (nodes, leaves) = self.sources(made);
        self.operations += nodes.len();
        let mut trained = BTreeSet::new();
        for stored in self.weights_among(&constant.value, leaves, place) {
            let value = &self.constants[&stored.name].value;
            let whole = value.numel() == constant.value.numel();
            // What is not as large as the weight multiplies it, by 1 at first.
            let init = if whole { init } else { drawn(&value.squeeze(), 1.) };
            trained.extend(self.param(&stored, Role::Weight, init).map(|_| stored.name.clone()));
        }
        let (mut operations, mut slots, mut count) = (vec![], HashMap::new(), 0);
        for (at, made) in nodes {
            let arg = |name: &String| match self.constants.get(name).map(|c| (c, &c.source)) {
                None => Arg::Absent,
                Some((_, Source::Stored(s))) if trained.contains(&s.name) => {
                    Arg::Stored(s.name.clone())
                }
                Some((constant, Source::Made(made, i))) => match slots.get(&made.place) {
                    Some(first) => Arg::Slot(first + i),
                    None => Arg::Constant(constant.value.detach()),
                },
                Some((constant, _)) => Arg::Constant(constant.value.detach()),
            };
            let inputs: Vec<Arg> = made.node.inputs.iter().map(arg).collect();
            if inputs.iter().any(|arg| matches!(arg, Arg::Stored(_) | Arg::Slot(_))) {
                let operator = operators::find(&made.node.operator)?;
                slots.insert(at, count);
                count += made.node.outputs.len();
                operations.push(Operation { operator, node: made.node.clone(), inputs });
            }
        }
        let output = slots.get(&made.place)? + i;
        Some(Arg::Computed(Recipe { operations, output }))
    }

    /// The nodes that a gradient of what `made` gives may pass, in order, and the tensors of the
    /// file that it may reach.
    fn sources(&self, made: &Rc<Made>) -> (BTreeMap<usize, Rc<Made>>, Vec<Rc<Stored>>) {
        let (mut nodes, mut leaves, mut open) = (BTreeMap::new(), BTreeMap::new(), vec![made]);
        while let Some(made) = open.pop() {
            if nodes.insert(made.place, made.clone()).is_some() {
                continue;
            }
            let inputs = made.node.inputs.iter().filter_map(|name| self.constants.get(name));
            for constant in inputs.filter(|constant| constant.value.requires_grad()) {
                match &constant.source {
                    Source::Stored(stored) => drop(leaves.insert(&stored.name, stored.clone())),
                    Source::Made(made, _) => open.push(made),
                }
            }
        }
        (nodes, leaves.into_values().collect())
    }

    /// Those of `leaves` that a gradient reaches from `value` and that are weights: initializers, or
    /// where there are none and `any` is allowed, what nodes hold. A mask is none.
    fn weights_among(&self, value: &Tensor, leaves: Vec<Rc<Stored>>, any: bool) -> Vec<Rc<Stored>> {
        let tensors: Vec<&Constant> = leaves.iter().map(|s| &self.constants[&s.name]).collect();
        let inputs: Vec<&Tensor> = tensors.iter().map(|constant| &constant.value).collect();
        let sum = tch::with_grad(|| value.sum(Kind::Float));
        let Ok(gradients) = Tensor::f_run_backward(&[&sum], &inputs, true, false) else {
            return vec![];
        };
        let is_weight = |(gradient, constant): (&Tensor, &&Constant)| {
            gradient.defined() && finite(constant) && !is_mask(&constant.value)
        };
        let good: Vec<bool> = gradients.iter().zip(&tensors).map(is_weight).collect();
        let weights: Vec<_> =
            leaves.into_iter().zip(good).filter_map(|(leaf, good)| good.then_some(leaf)).collect();
        let some = weights.iter().any(|stored| stored.initializer);
        weights.into_iter().filter(|stored| stored.initializer || any && !some).collect()
    }
}

/// How a weight of this shape is drawn anew: by its inputs, as a vector all `one`.
pub(super) fn drawn(value: &Tensor, one: f64) -> Init {
    match value.size().as_slice() {
        [] | [_] => Init::Const(one),
        [rows, ..] => Init::KaimingNormal { fan_in: (value.numel() as i64 / rows.max(&1)).max(1) },
    }
}

/// Whether all numbers of a constant are finite: those that hide what attention must not see are not.
fn finite(constant: &Constant) -> bool {
    constant.value.isfinite().all().int64_value(&[]) != 0
}

/// Whether all numbers are 0 or 1 and both occur, as in the mask of a pruned network.
fn is_mask(value: &Tensor) -> bool {
    let ones = value.eq(1.).sum(Kind::Int64).int64_value(&[]);
    let zeros = value.eq(0.).sum(Kind::Int64).int64_value(&[]);
    ones > 0 && zeros > 0 && (ones + zeros) as usize == value.numel()
}
