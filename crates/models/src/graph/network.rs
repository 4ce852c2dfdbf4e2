//! The network of a graph: steps over slots.

mod task;

use super::{
    batch::{Batch, grown},
    front::Layout,
    lower::{Action, Layer, Param, Plan, Step},
};
use crate::{Activation, Affine, Builder, Model, Norm, Ops, Role, zoo::Normalisation};
use anyhow::{Context, Result, ensure};
use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap},
    rc::Rc,
};
use task::{Maker, Task, wide};
use tch::Tensor;
use tensorfile::onnx::File;

/// A graph that runs: everything but its tensors.
pub struct Graph {
    pub(super) file: Rc<File>,
    /// The normalisation that the file's graph begins with, which is not among the steps.
    pub(super) own: Option<Normalisation>,
    pub(super) plan: Plan,
    pub(super) layout: Layout,
    pub(super) batch: Cell<Batch>,
    pub(super) linear: Cell<bool>,
    pub(super) activation: Option<Activation>,
}

impl Graph {
    /// The values that the file stores, by name.
    pub fn values(&self) -> BTreeMap<String, Tensor> {
        let one = |(name, param): (&String, &Param)| (name.clone(), param.value.shallow_clone());
        self.plan.params.iter().map(one).collect()
    }

    /// The file that it was read from.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The normalisation that the file's graph begins with, taken off it.
    pub fn own(&self) -> Option<&Normalisation> {
        self.own.as_ref()
    }

    /// Whether images go in groups of the file's own number, which is built into it.
    pub fn apart(&self) -> Option<i64> {
        match self.batch.get() {
            Batch::Apart(own) => Some(own),
            _ => None,
        }
    }

    /// How many layers have a batch norm that is not folded into them.
    pub fn norms(&self) -> usize {
        let normed = |step: &&Step| matches!(&step.action, Action::Layer(l) if l.norm.is_some());
        self.plan.steps.iter().filter(normed).count()
    }

    /// Names of the places where Grad-CAM can look, input side first.
    pub fn taps(&self) -> &[String] {
        &self.plan.taps
    }

    /// Asks the builder for every tensor and returns the network.
    pub fn build(self: &Rc<Self>, b: &Builder) -> Box<dyn Model> {
        let mut tensors = HashMap::new();
        for name in &self.plan.order {
            let Param { value, role, init, .. } = &self.plan.params[name];
            let tensor = match *role {
                Role::Weight => b.weight(name, &value.size(), *init),
                role => b.buffer(name, &value.size(), *init, role),
            };
            tensors.insert(name.as_str(), tensor);
        }
        let makes = Maker { b, tensors };
        let steps = self.plan.steps.iter().map(|step| makes.step(step)).collect();
        Box::new(Network { graph: self.clone(), steps })
    }
}

enum Work {
    Layer { affine: Box<Affine>, x: usize, pads: Option<Vec<i64>>, one_axis: bool },
    Operator(Task),
}

impl Maker<'_> {
    fn step(&self, step: &Step) -> Work {
        match &step.action {
            Action::Layer(layer) => {
                let Layer { x, ref pads, one_axis, .. } = **layer;
                let affine = Box::new(self.affine(layer));
                Work::Layer { affine, x, pads: pads.clone(), one_axis }
            }
            Action::Operator(operation, _) => Work::Operator(self.task(operation)),
        }
    }

    fn affine(&self, layer: &Layer) -> Affine {
        let Layer { one_axis, turned, .. } = *layer;
        let weight = self.ready(&layer.weight);
        let bias = layer.bias.as_ref().map(|bias| self.ready(bias));
        let weights = move || {
            let weight = weight.tensor();
            let weight = if turned { weight.tr() } else { weight };
            let weight = if one_axis { weight.unsqueeze(2) } else { weight };
            (weight, bias.as_ref().map(|bias| bias.tensor().reshape([-1])))
        };
        let tensor = |arg| self.ready(arg).tensor();
        let norm = layer.norm.as_ref().map(|norm| Norm {
            scale: tensor(&norm.scale),
            shift: tensor(&norm.shift),
            running_mean: tensor(&norm.mean),
            running_var: tensor(&norm.var),
            eps: norm.eps,
            momentum: norm.momentum,
        });
        Affine::computed(self.b, weights, norm, layer.conv)
    }
}

struct Network {
    graph: Rc<Graph>,
    steps: Vec<Work>,
}

impl Network {
    /// One pass over x `[N, …]`, as the file takes it; N may be another number than the file's.
    fn pass(&self, x: &Tensor, ops: &dyn Ops) -> Result<Tensor> {
        let plan = &self.graph.plan;
        let batch = self.graph.batch.get();
        let (n, mut slots): (i64, Vec<Option<Tensor>>) = (x.size()[0], vec![]);
        slots.resize_with(plan.slots, || None);
        slots[plan.input] = Some(x.shallow_clone());
        for (step, work) in plan.steps.iter().zip(&self.steps) {
            let mut made = match work {
                Work::Layer { affine, x, pads, one_axis } => {
                    let x = slots[*x].as_ref().context("a value was never made")?;
                    vec![through(affine, x, pads.as_deref(), *one_axis, ops)]
                }
                Work::Operator(task) => {
                    let mut inputs = task.inputs(&slots);
                    grown(&task.node, &mut inputs, step.told(), batch.factor(n));
                    task.run(&inputs, ops)?
                }
            };
            if let (Some(name), Some(first)) = (&step.tap, made.first_mut()) {
                *first = ops.tap(name, first.shallow_clone());
            }
            for (slot, value) in step.outputs.iter().zip(made) {
                if let Some(slot) = slot {
                    slots[*slot] = Some(value);
                }
            }
            step.free.iter().for_each(|&slot| slots[slot] = None);
        }
        let logits = slots[plan.output].take().context("the output was never made")?;
        ensure!(logits.size().first() == Some(&n), "the output has another number of rows");
        Ok(wide(&logits).reshape([n, -1]))
    }

    fn run(&self, x: &Tensor, ops: &dyn Ops) -> Result<Tensor> {
        let x = self.graph.layout.of(x);
        let Some(most) = self.graph.batch.get().apart() else { return self.pass(&x, ops) };
        let n = x.size()[0];
        let part = |start: i64| {
            let rows = most.min(n - start);
            let some = x.narrow(0, start, rows);
            // Places that no image takes are taken by the last one again.
            let last = some.narrow(0, rows - 1, 1);
            let rest = (rows < most).then(|| last.repeat_interleave_self_int(most - rows, 0, None));
            let full = rest.map_or(some.shallow_clone(), |rest| Tensor::cat(&[&some, &rest], 0));
            Ok(self.pass(&full, ops)?.narrow(0, 0, rows))
        };
        let parts: Result<Vec<Tensor>> = (0..n).step_by(most as usize).map(part).collect();
        Ok(Tensor::cat(&parts?, 0))
    }
}

fn through(
    affine: &Affine,
    x: &Tensor,
    pads: Option<&[i64]>,
    one_axis: bool,
    ops: &dyn Ops,
) -> Tensor {
    let x = if one_axis { x.unsqueeze(2) } else { x.shallow_clone() };
    let x = pads.map_or(x.shallow_clone(), |pads| x.constant_pad_nd(pads));
    let y = ops.affine(affine, &x);
    if one_axis { y.squeeze_dim(2) } else { y }
}

impl Model for Network {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        self.run(x, ops).unwrap_or_else(|error| panic!("{error:#}"))
    }

    fn activation(&self) -> Option<Activation> {
        self.graph.activation.clone()
    }

    fn taps(&self) -> Vec<&str> {
        self.graph.plan.taps.iter().map(String::as_str).collect()
    }

    fn nonlinear_only_in_ops(&self) -> bool {
        self.graph.linear.get()
    }

    fn fixed_batch(&self) -> Option<i64> {
        self.graph.apart()
    }
}
