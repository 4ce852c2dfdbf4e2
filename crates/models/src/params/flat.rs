//! The weights and running statistics of a network in one buffer, of which its tensors are views: an
//! optimiser's step is a handful of operations then, however many weights there are.

use super::{Param, Params, Role};
use std::ops::Range;
use tch::{Kind, Tensor};

/// Every tensor starts at a multiple of so many entries: aligned to 64 bytes, as one of its own is.
const ALIGNED: i64 = 16;

/// One buffer, and where in it the tensors of a network are.
#[derive(Debug)]
pub struct Flat {
    /// Weights first, then running statistics, each in the order of their names `[n]`; zeros between.
    values: Tensor,
    spans: Vec<Span>,
    /// How many of the spans are weights'.
    weights: usize,
}

/// One tensor's place.
#[derive(Debug)]
struct Span {
    name: String,
    start: i64,
    shape: Vec<i64>,
    /// Four dimensions, channels innermost in memory.
    channels_last: bool,
}

impl Span {
    fn new(name: &str, start: i64, t: &Tensor) -> Self {
        let shape = t.size();
        let channels_last = match *shape {
            [_, channels, h, w] => t.stride() == [h * w * channels, 1, w * channels, channels],
            _ => false,
        };
        Span { name: name.to_owned(), start, shape, channels_last }
    }

    fn len(&self) -> i64 {
        self.shape.iter().product()
    }

    fn end(&self) -> i64 {
        self.start + (self.len() + ALIGNED - 1) / ALIGNED * ALIGNED
    }

    /// This tensor's view of a buffer that is laid out like this one.
    fn of(&self, buffer: &Tensor) -> Tensor {
        let own = buffer.narrow(0, self.start, self.len());
        match *self.shape {
            [out, channels, h, w] if self.channels_last => {
                own.view([out, h, w, channels]).permute([0, 3, 1, 2])
            }
            _ => own.view(&*self.shape),
        }
    }

    /// The entries of `t` `[len]` in the order of the buffer.
    fn entries(&self, t: &Tensor) -> Tensor {
        let t = if self.channels_last { t.permute([0, 2, 3, 1]) } else { t.shallow_clone() };
        t.reshape(-1)
    }

    /// Zeros up to the next tensor, if there are any.
    fn gap(&self, like: &Tensor) -> Option<Tensor> {
        let zeros = self.end() - self.start - self.len();
        (zeros > 0).then(|| Tensor::zeros([zeros], (like.kind(), like.device())))
    }
}

impl Flat {
    /// Moves the tensors of `params` into one buffer; networks that share them see the same.
    /// Panics: tensors of more than one type or device, which no network has.
    pub fn new(params: &Params) -> Self {
        let entries = params.entries.borrow();
        let of = |wanted: fn(Role) -> bool| entries.iter().filter(move |(_, p)| wanted(p.role));
        let trained = of(|role| role == Role::Weight);
        let moving = of(|role| matches!(role, Role::Mean | Role::Variance));
        let tensors: Vec<(&String, &Param)> = trained.chain(moving).collect();
        let (mut spans, mut start) = (vec![], 0);
        for (name, param) in &tensors {
            let span = Span::new(name, start, &param.tensor);
            start = span.end();
            spans.push(span);
        }
        let mut parts = vec![];
        for (span, (_, param)) in spans.iter().zip(&tensors) {
            let t = param.tensor.detach();
            parts.push(span.entries(&t));
            parts.extend(span.gap(&t));
        }
        let values = Tensor::cat(&parts, 0);
        for (span, (_, param)) in spans.iter().zip(&tensors) {
            param.tensor.shallow_clone().set_data(&span.of(&values));
        }
        let weights = tensors.iter().filter(|(_, param)| param.role == Role::Weight).count();
        Flat { values, spans, weights }
    }

    /// The whole buffer `[n]`: weights and running statistics.
    pub fn values(&self) -> &Tensor {
        &self.values
    }

    /// Entries of the buffer that are weights', from its start on.
    pub fn trained(&self) -> i64 {
        self.spans[..self.weights].last().map_or(0, Span::end)
    }

    /// The gradients of the weights, in the order of [`Params::weights`], in one buffer. A weight
    /// that the loss does not depend on has none, which is an undefined tensor.
    pub fn gradients(&self, of: &[Tensor]) -> Gradients {
        let weights = self.values.narrow(0, 0, self.trained());
        let (mut parts, mut runs): (Vec<Tensor>, Vec<Range<i64>>) = (vec![], vec![]);
        for (span, g) in self.spans[..self.weights].iter().zip(of) {
            if !g.defined() {
                parts.push(weights.narrow(0, span.start, span.end() - span.start).zeros_like());
                continue;
            }
            parts.push(span.entries(&g.detach()));
            parts.extend(span.gap(g));
            match runs.last_mut().filter(|run| run.end == span.start) {
                Some(run) => run.end = span.end(),
                None => runs.push(span.start..span.end()),
            }
        }
        let given = of.iter().map(Tensor::defined).collect();
        let values = if parts.is_empty() { weights.zeros_like() } else { Tensor::cat(&parts, 0) };
        Gradients { weights, values, given, runs }
    }

    /// Name and view of every tensor in a buffer that is laid out like this one, or like its weights.
    pub fn split(&self, buffer: &Tensor) -> Vec<(String, Tensor)> {
        let n = buffer.size()[0];
        let inside = self.spans.iter().filter(|span| span.end() <= n);
        inside.map(|span| (span.name.clone(), span.of(buffer))).collect()
    }
}

/// Gradients of the weights of a [`Flat`].
#[derive(Debug)]
pub struct Gradients {
    /// The weights `[n]`, where they are stored.
    pub weights: Tensor,
    /// The gradient of each entry `[n]`; 0 for those without.
    pub values: Tensor,
    /// Whether each weight has a gradient, in the order of the buffer.
    pub given: Vec<bool>,
    /// The entries of those that have one, in rising order.
    pub runs: Vec<Range<i64>>,
}

impl Gradients {
    /// Scales them so that their joint ℓ2 norm is at most `most`; nothing is read from the device.
    pub fn clip(&mut self, most: f64) {
        let norm = self.values.square().sum(Kind::Float).sqrt();
        let scale = ((norm + 1e-6).reciprocal() * most).clamp_max(1.);
        let _ = self.values.g_mul_(&scale);
    }
}
