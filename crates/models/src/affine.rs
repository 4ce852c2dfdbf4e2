//! A convolution or linear layer together with the batch norm that follows it. Outside training
//! the pair is one affine map, so a rule that rewrites weights sees the whole map.

use crate::{Builder, Init, Precision, Role};
use tch::Tensor;

/// The shape of a convolution. Pairs are numbers of height and width: a convolution over one axis is
/// one of height 1.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    /// Channels in.
    pub c_in: i64,
    /// Channels out.
    pub c_out: i64,
    /// Sides of the kernel.
    pub kernel: [i64; 2],
    /// Steps between outputs.
    pub stride: [i64; 2],
    /// Zeros added on both sides.
    pub padding: [i64; 2],
    /// Steps between the entries of the kernel; 1 where they are neighbours.
    pub dilation: [i64; 2],
    /// Parts that channels are divided into, each with a kernel of its own.
    pub groups: i64,
}

impl Conv {
    /// An odd square kernel padded so that stride 1 keeps the image's size.
    pub fn same(c_in: i64, c_out: i64, kernel: i64, stride: i64) -> Self {
        let [kernel, stride, padding] = [kernel, stride, kernel / 2].map(|n| [n, n]);
        Conv { c_in, c_out, kernel, stride, padding, dilation: [1, 1], groups: 1 }
    }
}

/// What a norm subtracts and divides by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Statistics {
    /// The running ones.
    Running,
    /// Those of the batch.
    Batch,
    /// Those of the batch, which also move the running ones.
    Moving,
}

/// A batch norm's tensors and constants.
#[derive(Debug)]
pub struct Norm {
    /// Multiplies what is normalised, `[out]`.
    pub scale: Tensor,
    /// Added after that, `[out]`.
    pub shift: Tensor,
    /// Mean of what came before, `[out]`; training moves it in place.
    pub running_mean: Tensor,
    /// Unbiased variance of what came before, `[out]`; training moves it in place.
    pub running_var: Tensor,
    /// Added to a variance before its root is taken.
    pub eps: f64,
    /// How far the running statistics move to those of a batch, in [0, 1].
    pub momentum: f64,
}

impl Norm {
    /// With PyTorch's names and constants.
    fn new(b: &Builder, n: i64) -> Self {
        Norm {
            scale: b.weight("weight", &[n], Init::Const(1.)),
            shift: b.weight("bias", &[n], Init::Const(0.)),
            running_mean: b.buffer("running_mean", &[n], Init::Const(0.), Role::Mean),
            running_var: b.buffer("running_var", &[n], Init::Const(1.), Role::Variance),
            eps: 1e-5,
            momentum: 0.1,
        }
    }

    fn apply(&self, x: &Tensor, statistics: Statistics) -> Tensor {
        let (w, b) = (Some(&self.scale), Some(&self.shift));
        let running = statistics != Statistics::Batch;
        let of = |t| running.then_some(t);
        let (mean, var) = (of(&self.running_mean), of(&self.running_var));
        let of_batch = statistics != Statistics::Running;
        x.batch_norm(w, b, mean, var, of_batch, self.momentum, self.eps, true)
    }
}

impl Norm {
    /// Mean and biased variance of each channel of `z` `[N, C, …]`, `[1, C, 1, …]`.
    pub(crate) fn statistics(&self, z: &Tensor) -> (Tensor, Tensor) {
        let axes: Vec<i64> = (0..z.dim() as i64).filter(|axis| *axis != 1).collect();
        let mean = z.mean_dim(axes.as_slice(), true, z.kind());
        let var = (z - &mean).square().mean_dim(axes.as_slice(), true, z.kind());
        (mean, var)
    }

    /// With these statistics; gradients reach them. Also what it multiplied by, `[1, C, 1, …]`.
    pub(crate) fn apply_with(
        &self,
        z: &Tensor,
        (mean, var): &(Tensor, Tensor),
    ) -> (Tensor, Tensor) {
        let (scale, shift) = (self.scale.view_as(mean), self.shift.view_as(mean));
        let gain = scale / (var + self.eps).sqrt();
        ((z - mean) * &gain + shift, gain)
    }
}

/// Weight, `[out, in / groups, height, width]` or `[out, in]`, and bias, `[out]`.
pub type Weights = (Tensor, Option<Tensor>);

/// Where a layer's weight and bias come from.
enum Source {
    /// Stored as they are used.
    Stored(Weights),
    /// Computed in every pass from what is stored. A view that is taken once is no substitute: no
    /// gradient goes through it any more once its tensor was changed in place.
    Computed(Box<dyn Fn() -> Weights>),
}

/// A convolution or linear layer and, if it has one, its batch norm.
pub struct Affine {
    source: Source,
    norm: Option<Norm>,
    conv: Option<Conv>,
}

impl Affine {
    /// A convolution named `name` and, if given, the batch norm named `norm`.
    pub fn conv(b: &Builder, name: &str, norm: Option<&str>, conv: Conv) -> Self {
        Self::conv_with(b, name, norm, conv, norm.is_none())
    }

    /// The same with a bias of its own beside its norm, as in VGG and GoogLeNet.
    pub fn conv_with(b: &Builder, name: &str, norm: Option<&str>, conv: Conv, bias: bool) -> Self {
        let Conv { c_in, c_out, kernel: [height, width], groups, .. } = conv;
        let p = b.sub(name);
        let fan_in = c_in / groups * height * width;
        let init = Init::KaimingNormal { fan_in };
        let weight = p.weight("weight", &[c_out, c_in / groups, height, width], init);
        let bias = bias.then(|| p.weight("bias", &[c_out], Init::Uniform { fan_in }));
        let norm = norm.map(|n| Norm::new(&b.sub(n), c_out));
        Self::stored((weight, bias), norm, Some(conv)).frozen_as(b)
    }

    /// A linear layer with bias.
    pub fn linear(b: &Builder, name: &str, n_in: i64, n_out: i64) -> Self {
        Self::linear_with(b, name, n_in, n_out, true)
    }

    /// A linear layer; the bias is a choice.
    pub fn linear_with(b: &Builder, name: &str, n_in: i64, n_out: i64, bias: bool) -> Self {
        let p = b.sub(name);
        let init = Init::Uniform { fan_in: n_in };
        let weight = p.weight("weight", &[n_out, n_in], init);
        let bias = bias.then(|| p.weight("bias", &[n_out], init));
        Self::stored((weight, bias), None, None).frozen_as(b)
    }

    /// A batch norm with no convolution before it, as in pre-activation networks: one weight of 1
    /// a channel, so that it is an affine map like the others.
    pub fn norm(b: &Builder, name: &str, channels: i64) -> Self {
        let norm = Norm::new(&b.sub(name), channels);
        let weight = norm.scale.detach().ones_like().view([channels, 1, 1, 1]);
        let conv = Conv { groups: channels, ..Conv::same(channels, channels, 1, 1) };
        Self::stored((weight, None), Some(norm), Some(conv)).frozen_as(b)
    }

    fn stored(weights: Weights, norm: Option<Norm>, conv: Option<Conv>) -> Self {
        Affine { source: Source::Stored(weights), norm, conv }
    }

    /// With a weight and bias that `weights` computes, in every pass, from tensors that `b` gave:
    /// the transpose of what is stored, say. Gradients reach the stored tensors through it. Where
    /// `b` builds for explaining, they are computed once, here.
    pub fn computed(
        b: &Builder,
        weights: impl Fn() -> Weights + 'static,
        norm: Option<Norm>,
        conv: Option<Conv>,
    ) -> Self {
        Affine { source: Source::Computed(Box::new(weights)), norm, conv }.frozen_as(b)
    }

    /// Weight and bias before the norm.
    fn own(&self) -> Weights {
        match &self.source {
            Source::Stored((weight, bias)) => {
                (weight.shallow_clone(), bias.as_ref().map(Tensor::shallow_clone))
            }
            Source::Computed(weights) => weights(),
        }
    }

    /// Whether a batch norm follows.
    pub(crate) fn has_norm(&self) -> bool {
        self.norm.is_some()
    }

    /// What `b` asks of a layer that will not be trained: folded once, here, in its precision.
    fn frozen_as(self, b: &Builder) -> Self {
        let Some(precision) = b.folds() else { return self };
        let (weight, bias) = self.weights();
        let weight = b.lay_out(&precision.cast(&weight));
        let bias = bias.map(|t| precision.cast(&t));
        Self::stored((weight, bias), None, self.conv)
    }

    /// The affine map outside training, norm included: weight, bias `[out]`. No graph reaches the
    /// trained weights through it, so explaining and attacking cannot touch them.
    pub fn weights(&self) -> Weights {
        let (weight, bias) = tch::no_grad(|| self.fused_weights());
        (weight.detach(), bias.map(|t| t.detach()))
    }

    /// The same with gradients into the trained weights.
    fn fused_weights(&self) -> Weights {
        let (weight, bias) = self.own();
        let Some(n) = &self.norm else { return (weight, bias) };
        let gain = &n.scale / (&n.running_var + n.eps).sqrt();
        let mean = bias.map_or_else(|| -&n.running_mean, |bias| bias - &n.running_mean);
        let mut rows = vec![1; weight.dim()];
        rows[0] = -1;
        (weight * gain.view(rows.as_slice()), Some(&n.shift + mean * gain))
    }

    /// The same layer with other weights.
    pub fn with(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
        let Some(Conv { stride, padding, dilation, groups, .. }) = self.conv else {
            return x.linear(weight, bias);
        };
        x.conv2d(weight, bias, stride, padding, dilation, groups)
    }

    /// With running statistics; computes in the type its weights have.
    pub fn eval(&self, x: &Tensor) -> Tensor {
        self.normed(x, Precision::F32, Statistics::Running)
    }

    /// Wx + `scale` · b for the affine map Wx + b outside training; no graph reaches the weights.
    pub fn scaled(&self, x: &Tensor, scale: f64) -> Tensor {
        let (weight, bias) = self.weights();
        let bias = bias.filter(|_| scale != 0.).map(|bias| bias * scale);
        self.with(&x.to_kind(weight.kind()), &weight, bias.as_ref())
    }

    /// With running statistics, the norm folded into the weights on the way.
    pub fn fused(&self, x: &Tensor, precision: Precision) -> Tensor {
        self.fused_with_weight(x, precision).0
    }

    /// The same, and the weight that it multiplied by.
    pub(crate) fn fused_with_weight(&self, x: &Tensor, precision: Precision) -> (Tensor, Tensor) {
        let (weight, bias) = self.fused_weights();
        let (weight, bias) = (precision.cast(&weight), bias.map(|t| precision.cast(&t)));
        (self.with(&x.to_kind(weight.kind()), &weight, bias.as_ref()), weight)
    }

    /// With the statistics of this batch and gradients into the weights; moves the running ones.
    pub fn train(&self, x: &Tensor, precision: Precision) -> Tensor {
        self.normed(x, precision, Statistics::Moving)
    }

    /// With the statistics of this batch, which move nothing; computes in the type of its weights.
    pub fn batch(&self, x: &Tensor) -> Tensor {
        self.normed(x, Precision::F32, Statistics::Batch)
    }

    fn normed(&self, x: &Tensor, precision: Precision, statistics: Statistics) -> Tensor {
        match self.before_norm(x, precision) {
            (z, Some(norm), _) => norm.apply(&z, statistics),
            (z, None, _) => z,
        }
    }

    /// What a pass has before the norm, the norm, and the weight of what was before it.
    pub(crate) fn before_norm(
        &self,
        x: &Tensor,
        precision: Precision,
    ) -> (Tensor, Option<&Norm>, Tensor) {
        let (weight, bias) = self.own();
        let (weight, bias) = (precision.cast(&weight), bias.map(|t| precision.cast(&t)));
        let z = self.with(&x.to_kind(weight.kind()), &weight, bias.as_ref());
        (z, self.norm.as_ref(), weight)
    }
}
