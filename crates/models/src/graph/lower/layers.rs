//! Nodes that are one layer: a convolution, `Gemm` or `MatMul` by constants, the bias that is added
//! to it, and the batch norm that follows.

use super::{
    super::{Node, operators::Window},
    Arg, Lowerer, drawn,
};
use crate::{Conv, Init, Role};
use tch::Tensor;

/// The tensors of a batch norm.
pub(in crate::graph) struct NormPlan {
    pub scale: Arg,
    pub shift: Arg,
    pub mean: Arg,
    pub var: Arg,
    pub eps: f64,
    pub momentum: f64,
}

/// A layer.
pub(in crate::graph) struct Layer {
    /// The slot of its input.
    pub x: usize,
    pub weight: Arg,
    pub bias: Option<Arg>,
    pub norm: Option<NormPlan>,
    pub conv: Option<Conv>,
    /// Zeros around the input where they are not the same on both sides, the last axis first.
    pub pads: Option<Vec<i64>>,
    /// Whether the convolution is over one axis.
    pub one_axis: bool,
    /// Whether the weight is `[in, out]`.
    pub turned: bool,
    /// Outputs.
    rows: i64,
}

/// The layer that begins at node `i`, and the nodes that it consists of.
pub(super) fn layer(it: &mut Lowerer, i: usize) -> Option<(Layer, Vec<usize>)> {
    let node = &it.nodes[i];
    let x = it.of_image(node.inputs.first()?)?;
    let mut layer = match node.operator.as_str() {
        "Conv" => convolution(it, node, x)?,
        "Gemm" => gemm(it, node, x)?,
        "MatMul" => product(it, node, x)?,
        "BatchNormalization" => alone(it, node, x)?,
        _ => return None,
    };
    let mut used = vec![i];
    let mut at = node.outputs.first()?.clone();
    while let Some(next) = it.only_reader(&at) {
        let node = &it.nodes[next];
        match node.operator.as_str() {
            "Add" | "Sum" if layer.bias.is_none() && layer.norm.is_none() => {
                let Some(bias) = added(it, node, &at, &layer) else { break };
                layer.bias = Some(bias);
            }
            "BatchNormalization" if layer.norm.is_none() && node.inputs[0] == at => {
                let spatial = it.shape(&at).map(<[i64]>::len);
                let fits = spatial == Some(if layer.conv.is_some() { 4 } else { 2 });
                if !fits || layer.one_axis {
                    break;
                }
                let Some(norm) = norm(it, node) else { break };
                layer.norm = Some(norm);
            }
            _ => break,
        }
        used.push(next);
        at = node.outputs.first()?.clone();
    }
    it.pass(&at);
    Some((layer, used))
}

fn floats<'a>(it: &'a Lowerer, name: &str) -> Option<&'a Tensor> {
    it.constants.get(name).map(|c| &c.value).filter(|value| value.is_floating_point())
}

fn convolution(it: &mut Lowerer, node: &Node, x: usize) -> Option<Layer> {
    let name = node.inputs.get(1)?;
    let size = floats(it, name)?.size();
    let shape = it.shape(&node.inputs[0])?.to_vec();
    let groups = node.int("group", 1).ok()?;
    let fits = [3, 4].contains(&size.len()) && shape.len() == size.len();
    if !fits || shape[1] != size[1] * groups {
        return None;
    }
    let window = Window::of(node, &shape[2..], size[2..].to_vec()).ok()?;
    let bias = node.inputs.get(2).filter(|name| !name.is_empty()).cloned();
    if let Some(name) = &bias {
        floats(it, name).filter(|value| value.size() == [size[0]])?;
    }
    let init = drawn(floats(it, name)?, 0.);
    let weight = it.weight(name, init, true)?;
    let bias = bias.and_then(|name| it.weight(&name, Init::Const(0.), true));
    let conv = Some(window.conv([shape[1], size[0]], groups));
    let (pads, one_axis) = (window.uneven(), size.len() == 3);
    Some(Layer { bias, conv, pads, one_axis, ..linear(x, weight, size[0], false) })
}

/// A linear layer with the weight `[out, in]` or, `turned`, `[in, out]`.
fn linear(x: usize, weight: Arg, rows: i64, turned: bool) -> Layer {
    let (bias, norm, conv, pads, one_axis) = (None, None, None, None, false);
    Layer { x, weight, bias, norm, conv, pads, one_axis, turned, rows }
}

fn gemm(it: &mut Lowerer, node: &Node, x: usize) -> Option<Layer> {
    let name = node.inputs.get(1)?;
    let size = floats(it, name)?.size();
    let plain = node.float("alpha", 1.).ok()? == 1. && node.int("transA", 0).ok()? == 0;
    let [a, b] = size[..] else { return None };
    let bias = node.inputs.get(2).filter(|name| !name.is_empty()).cloned();
    let transposed = node.int("transB", 0).ok()? != 0;
    let rows = if transposed { a } else { b };
    let fits = |value: &Tensor| value.numel() as i64 == rows && value.size().last() == Some(&rows);
    if let Some(name) = &bias {
        let whole = node.float("beta", 1.).ok()? == 1.;
        floats(it, name).filter(|value| whole && fits(value))?;
    }
    if !plain || it.shape(&node.inputs[0])?.len() != 2 {
        return None;
    }
    let init = Init::KaimingNormal { fan_in: if transposed { b } else { a }.max(1) };
    let weight = it.weight(name, init, true)?;
    let bias = bias.and_then(|name| it.weight(&name, Init::Const(0.), true));
    Some(Layer { bias, ..linear(x, weight, rows, !transposed) })
}

fn product(it: &mut Lowerer, node: &Node, x: usize) -> Option<Layer> {
    let name = node.inputs.get(1)?;
    let [n_in, rows] = floats(it, name)?.size()[..] else { return None };
    if it.shape(&node.inputs[0])?.len() < 2 {
        return None;
    }
    let weight = it.weight(name, Init::KaimingNormal { fan_in: n_in.max(1) }, true)?;
    Some(linear(x, weight, rows, true))
}

/// The bias that `node` adds to `at`.
fn added(it: &mut Lowerer, node: &Node, at: &str, layer: &Layer) -> Option<Arg> {
    let [a, b] = node.inputs.as_slice() else { return None };
    let name = if a == at { b } else { a };
    let value = floats(it, name)?;
    let (size, rows) = (value.size(), layer.rows);
    let from_end = if layer.conv.is_none() {
        1
    } else if layer.one_axis {
        2
    } else {
        3
    };
    let place = size.len().checked_sub(from_end)?;
    let same = it.shape(at)? == it.shape(node.outputs.first()?)?;
    if value.numel() as i64 != rows || size[place] != rows || !same {
        return None;
    }
    it.weight(name, Init::Const(0.), true)
}

/// The tensors of a norm; none where it is not one of constants, one number a channel.
fn norm(it: &mut Lowerer, node: &Node) -> Option<NormPlan> {
    let [_, scale, shift, mean, var] = node.inputs.as_slice() else { return None };
    let channels = *it.shape(&node.inputs[0])?.get(1)?;
    for name in [scale, shift, mean, var] {
        floats(it, name).filter(|value| value.size() == [channels])?;
    }
    let fixed = |arg: Arg| (!matches!(arg, Arg::Computed(_))).then_some(arg);
    // Training moves statistics in place: what is no parameter would be moved behind its back.
    let stored = |arg: Arg| matches!(arg, Arg::Stored(_)).then_some(arg);
    Some(NormPlan {
        scale: fixed(it.weight(scale, Init::Const(1.), true)?)?,
        shift: fixed(it.weight(shift, Init::Const(0.), true)?)?,
        mean: stored(it.statistic(mean, Role::Mean)?)?,
        var: stored(it.statistic(var, Role::Variance)?)?,
        eps: node.float("epsilon", 1e-5).ok()?,
        momentum: 1. - node.float("momentum", 0.9).ok()?,
    })
}

/// A norm with no layer before it: one weight of 1 a channel, so that it is one as well.
fn alone(it: &mut Lowerer, node: &Node, x: usize) -> Option<Layer> {
    let channels = match it.shape(&node.inputs[0])? {
        [_, channels, _, _] => *channels,
        _ => return None,
    };
    let norm = norm(it, node)?;
    let weight = Tensor::ones([channels, 1, 1, 1], (tch::Kind::Float, tch::Device::Cpu));
    let conv = Conv { groups: channels, ..Conv::same(channels, channels, 1, 1) };
    let layer = linear(x, Arg::Constant(weight), channels, false);
    Some(Layer { norm: Some(norm), conv: Some(conv), ..layer })
}
