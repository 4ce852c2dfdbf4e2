//! What a graph does to pixels first, and what it does to logits last.

use super::{Node, fold::Constants};
use crate::zoo::Normalisation;
use anyhow::Result;
use tch::{Kind, Tensor};
use tensorfile::onnx::is_float;

/// How the file takes images.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub order: Order,
    /// Whether blue is its first channel and red its last.
    pub bgr: bool,
}

/// The numbers of an image `[C, H, W]`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Order {
    /// `[C, H, W]`.
    Planes,
    /// `[H, W, C]`.
    ChannelsLast,
    /// The same numbers in another shape.
    Shape(Vec<i64>),
}

impl Layout {
    /// x `[N, C, H, W]` as the file takes it.
    pub fn of(&self, x: &Tensor) -> Tensor {
        let x = if self.bgr { x.flip([1]) } else { x.shallow_clone() };
        match &self.order {
            Order::Planes => x,
            Order::ChannelsLast => x.permute([0, 2, 3, 1]),
            Order::Shape(shape) => x.reshape([&[-1], shape.as_slice()].concat()),
        }
    }

    /// The axis of channels in a batch, where there is one.
    fn channels(&self) -> Option<usize> {
        match self.order {
            Order::Planes => Some(1),
            Order::ChannelsLast => Some(3),
            Order::Shape(_) => None,
        }
    }
}

/// The normalisation that a graph begins with.
pub(super) struct Front {
    /// What is left of the graph takes this value.
    pub input: String,
    /// Subtracted from images, and divided by.
    pub scale: Option<Normalisation>,
}

/// Takes subtractions and divisions by constants off the front of `nodes`.
pub(super) fn front(
    nodes: &mut Vec<Node>,
    constants: &Constants,
    input: &str,
    (layout, rank, channels): (&Layout, usize, i64),
) -> Result<Front> {
    let mut at = input.to_owned();
    let mut found = None;
    loop {
        let mut readers = nodes.iter().enumerate().filter(|(_, node)| node.inputs.contains(&at));
        let (Some((place, node)), None) = (readers.next(), readers.next()) else { break };
        let other = match node.inputs.as_slice() {
            [x, other] if *x == at => Some((other, true)),
            [other, x] if *x == at => Some((other, false)),
            _ => None,
        };
        let numbers = other.and_then(|(name, first)| {
            let value = &constants.get(name)?.value;
            Some((per_channel(value, layout.channels(), rank, channels)?, first))
        });
        let (mean, std) =
            found.clone().unwrap_or((vec![0.; channels as usize], vec![1.; channels as usize]));
        let pairs = |numbers: &[f64], f: &dyn Fn(f64, f64, f64) -> (f64, f64)| {
            let all = mean.iter().zip(&std).zip(numbers).map(|((m, s), c)| f(*m, *s, *c));
            all.unzip::<f64, f64, Vec<f64>, Vec<f64>>()
        };
        let next = match (node.operator.as_str(), &numbers) {
            ("Identity", None) => None,
            ("Cast", None) if node.int("to", 0).is_ok_and(|to| is_float(to as i32)) => None,
            ("Sub", Some((c, true))) => Some(pairs(c, &|m, s, c| (m + s * c, s))),
            ("Add", Some((c, _))) => Some(pairs(c, &|m, s, c| (m - s * c, s))),
            ("Div", Some((c, true))) => Some(pairs(c, &|m, s, c| (m, s * c))),
            ("Mul", Some((c, _))) => Some(pairs(c, &|m, s, c| (m, s / c))),
            _ => break,
        };
        if let Some((mean, std)) = next {
            if !std.iter().all(|s| s.is_finite() && *s > 0.) {
                break;
            }
            found = Some((mean, std));
        }
        let Some(next) = node.outputs.first() else { break };
        at = next.clone();
        nodes.remove(place);
    }
    if let Some((mean, std)) = found.as_mut().filter(|_| layout.bgr) {
        mean.reverse();
        std.reverse();
    }
    let scale = found.map(|(mean, std)| Normalisation::new(mean, std)).transpose()?;
    Ok(Front { input: at, scale })
}

/// A number for each channel, if `value` is one number or one for each channel.
fn per_channel(
    value: &Tensor,
    axis: Option<usize>,
    rank: usize,
    channels: i64,
) -> Option<Vec<f64>> {
    let numbers = Vec::<f64>::try_from(value.to_kind(Kind::Double).flatten(0, -1)).ok()?;
    // As text has them: an f32 of 0.1 is 0.1 and not the f64 next to it.
    let short = |v: &f64| (*v as f32).to_string().parse().unwrap_or(*v);
    if let [one] = numbers[..] {
        return (value.dim() <= rank).then(|| vec![short(&one); channels as usize]);
    }
    let size = value.size();
    let place = size.iter().position(|n| *n > 1)?;
    let fits = numbers.len() as i64 == channels
        && size[place] == channels
        && place + rank == axis? + size.len();
    fits.then(|| numbers.iter().map(short).collect())
}

/// The value before a final softmax, and what the softmax is called.
pub(super) fn before_softmax(nodes: &[Node], output: &str) -> Option<(String, String)> {
    let maker = |name: &str| nodes.iter().find(|node| node.outputs.iter().any(|o| o == name));
    let mut node = maker(output)?;
    while ["Identity", "Cast"].contains(&node.operator.as_str()) {
        node = maker(node.inputs.first()?)?;
    }
    let over_classes = node.int("axis", 1).is_ok_and(|axis| [1, -1].contains(&axis));
    let softmax = ["Softmax", "LogSoftmax"].contains(&node.operator.as_str());
    let before = node.inputs.first()?.clone();
    (softmax && over_classes).then(|| (before, node.operator.clone()))
}
