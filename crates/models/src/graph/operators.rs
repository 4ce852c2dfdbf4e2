//! ONNX's operators as functions of tensors. Semantics: <https://onnx.ai/onnx/operators/>; where
//! they changed, the node's opset says which hold. Numbers are f32, or the type of the pass: 16-bit
//! floats and doubles of a file become f32. Integers stay on the CPU.

mod arithmetic;
mod call;
mod index;
mod make;
mod nonlinear;
mod norm;
mod reduce;
mod resample;
mod shape;
mod window;

use crate::Activation;
use anyhow::{Result, anyhow};
pub use call::{Call, Memo};
use tch::Tensor;
pub(super) use window::Window;

/// An operator.
pub struct Operator {
    /// ONNX's name.
    pub name: &'static str,
    /// Its first outputs; those that only training reads are not made. Errors, which do not name
    /// the node: what the node asks for is undefined, not supported or too large.
    pub run: fn(&Call) -> Result<Vec<Tensor>>,
    /// Whether it is linear, or leaves to `Ops` what is not. A product of two values that depend on
    /// the image is not; that shows only when it is tried.
    pub(super) linear: bool,
    /// Whether it takes bf16 as well as f32.
    pub(super) takes_bf16: bool,
    /// Whether its constants are settings, not weights.
    pub(super) settings: bool,
    /// Whether these are read as numbers in every pass: on a GPU each would wait for it.
    pub(super) numbers: bool,
    /// Whether its gradient is zero wherever it has one.
    pub(super) flat: bool,
}

impl Operator {
    /// The same; errors are one line that names the node and the operator.
    pub fn apply(&self, call: &Call) -> Result<Vec<Tensor>> {
        (self.run)(call).map_err(|error| {
            // libtorch appends where in its code it was found.
            let told = format!("{error:#}").replace("Internal torch error: ", "");
            let line = told.lines().next().unwrap_or_default();
            anyhow!("node `{}` (`{}`): {line}", call.label, self.name)
        })
    }
}

/// The operator called `name`.
pub fn find(name: &str) -> Option<&'static Operator> {
    OPERATORS.binary_search_by_key(&name, |operator| operator.name).ok().map(|i| &OPERATORS[i])
}

const fn line(name: &'static str, run: fn(&Call) -> Result<Vec<Tensor>>) -> Operator {
    let (linear, takes_bf16, settings, numbers, flat) = (false, false, false, false, false);
    Operator { name, run, linear, takes_bf16, settings, numbers, flat }
}

impl Operator {
    const fn linear(self) -> Self {
        Operator { linear: true, ..self }
    }

    const fn bf16(self) -> Self {
        Operator { takes_bf16: true, ..self }
    }

    const fn settings(self) -> Self {
        Operator { settings: true, ..self }
    }

    const fn numbers(self) -> Self {
        Operator { numbers: true, ..self.settings() }
    }

    const fn flat(self) -> Self {
        Operator { flat: true, ..self }
    }
}

/// Every operator, sorted by name.
pub const OPERATORS: &[Operator] = &[
    line("Abs", nonlinear::abs).linear(),
    line("Add", |call| arithmetic::both(call, Tensor::f_add)).linear().bf16(),
    line("And", |call| arithmetic::both(call, Tensor::f_logical_and)),
    line("AveragePool", window::average_pool).linear(),
    line("BatchNormalization", norm::batch),
    line("Cast", make::cast).linear(),
    line("CastLike", make::cast_like).linear(),
    line("Ceil", |call| arithmetic::map(call, Tensor::f_ceil)).linear().flat(),
    line("Celu", nonlinear::celu).linear(),
    line("Clip", nonlinear::clip).linear().numbers(),
    line("Concat", shape::concat).linear().bf16(),
    line("Constant", make::constant).linear(),
    line("ConstantOfShape", make::constant_of_shape).linear(),
    line("Conv", window::conv).linear(),
    line("ConvTranspose", window::conv_transpose).linear(),
    line("Cos", |call| arithmetic::map(call, Tensor::f_cos)),
    line("CumSum", index::cum_sum),
    line("DepthToSpace", shape::depth_to_space).linear(),
    line("DequantizeLinear", make::dequantize).settings(),
    line("Div", arithmetic::div).linear(),
    line("Dropout", shape::dropout).linear().bf16(),
    line("Einsum", arithmetic::einsum),
    line("Elu", nonlinear::elu).linear(),
    line("Equal", |call| arithmetic::both(call, Tensor::f_eq_tensor)).linear(),
    line("Erf", |call| arithmetic::map(call, Tensor::f_erf)),
    line("Exp", |call| arithmetic::map(call, Tensor::f_exp)),
    line("Expand", shape::expand).linear(),
    line("EyeLike", shape::eye_like),
    line("Flatten", shape::flatten).linear().bf16(),
    line("Floor", |call| arithmetic::map(call, Tensor::f_floor)).linear().flat(),
    line("Gather", index::gather).linear(),
    line("GatherElements", index::gather_elements),
    line("GatherND", index::gather_nd),
    line("Gelu", nonlinear::gelu).linear(),
    line("Gemm", arithmetic::gemm).linear(),
    line("GlobalAveragePool", reduce::global_average).linear(),
    line("GlobalMaxPool", reduce::global_max),
    line("Greater", |call| arithmetic::both(call, Tensor::f_gt_tensor)),
    line("GreaterOrEqual", |call| arithmetic::both(call, Tensor::f_ge_tensor)),
    line("GroupNormalization", norm::group),
    line("HardSigmoid", nonlinear::hard_sigmoid).linear(),
    line("HardSwish", |call| call.act(&Activation::HardSwish)).linear(),
    line("Identity", shape::same).linear().bf16(),
    line("InstanceNormalization", norm::instance),
    line("LRN", window::lrn),
    line("LayerNormalization", norm::layer),
    line("LeakyRelu", nonlinear::leaky_relu).linear().bf16(),
    line("Less", |call| arithmetic::both(call, Tensor::f_lt_tensor)),
    line("LessOrEqual", |call| arithmetic::both(call, Tensor::f_le_tensor)),
    line("Log", |call| arithmetic::map(call, Tensor::f_log)),
    line("LogSoftmax", |call| reduce::soft(call, |x, axis| x.f_log_softmax(axis, None))),
    line("LpNormalization", norm::lp),
    line("MatMul", arithmetic::matmul).linear(),
    line("Max", |call| arithmetic::fold(call, |a, b| nonlinear::larger(call, a, b))).linear(),
    line("MaxPool", window::max_pool).linear().bf16(),
    line("Mean", arithmetic::mean),
    line("Min", |call| arithmetic::fold(call, |a, b| nonlinear::smaller(call, a, b))).linear(),
    line("Mish", |call| call.act(&Activation::Mish)).linear(),
    line("Mod", arithmetic::modulo),
    line("Mul", arithmetic::mul).linear(),
    line("Neg", |call| Ok(vec![call.input(0)?.f_neg()?])).linear(),
    line("Not", |call| Ok(vec![call.input(0)?.f_logical_not()?])),
    line("Or", |call| arithmetic::both(call, Tensor::f_logical_or)),
    line("PRelu", nonlinear::prelu).linear(),
    line("Pad", resample::pad).linear().numbers(),
    line("Pow", arithmetic::pow).numbers(),
    line("RMSNormalization", norm::rms),
    line("Range", make::range).linear(),
    line("Reciprocal", |call| arithmetic::map(call, Tensor::f_reciprocal)),
    line("ReduceL1", |call| {
        call.other(reduce::reduce(call, |x, over, keep| {
            x.f_abs()?.f_sum_dim_intlist(over, keep, x.kind())
        })?)
    }),
    line("ReduceL2", reduce::l2),
    line("ReduceLogSumExp", |call| {
        call.other(reduce::reduce(call, |x, over, keep| x.f_logsumexp(over, keep))?)
    }),
    line("ReduceMax", |call| {
        call.other(reduce::reduce(call, |x, over, keep| x.f_amax(over, keep))?)
    }),
    line("ReduceMean", reduce::mean).linear(),
    line("ReduceMin", |call| {
        call.other(reduce::reduce(call, |x, over, keep| x.f_amin(over, keep))?)
    }),
    line("ReduceProd", reduce::prod),
    line("ReduceSum", reduce::sum).linear(),
    line("ReduceSumSquare", |call| {
        call.other(reduce::reduce(call, |x, over, keep| {
            x.f_square()?.f_sum_dim_intlist(over, keep, x.kind())
        })?)
    }),
    line("Relu", nonlinear::relu).linear().bf16(),
    line("Reshape", shape::reshape).linear().bf16(),
    line("Resize", resample::resize).numbers(),
    line("Round", |call| arithmetic::map(call, Tensor::f_round)).flat(),
    line("ScatterND", index::scatter_nd),
    line("Selu", nonlinear::selu).linear(),
    line("Shape", shape::shape).linear(),
    line("Sigmoid", |call| call.act(&Activation::Sigmoid)).linear(),
    line("Sign", |call| arithmetic::map(call, Tensor::f_sign)).flat(),
    line("Sin", |call| arithmetic::map(call, Tensor::f_sin)),
    line("Size", shape::size),
    line("Slice", shape::slice).linear(),
    line("Softmax", |call| reduce::soft(call, |x, axis| x.f_softmax(axis, None))),
    line("Softplus", |call| call.act(&Activation::Softplus { beta: 1. })).linear(),
    line("Softsign", nonlinear::softsign),
    line("SpaceToDepth", shape::space_to_depth).linear(),
    line("Split", shape::split).linear(),
    line("Sqrt", |call| arithmetic::map(call, Tensor::f_sqrt)),
    line("Squeeze", shape::squeeze).linear().bf16(),
    line("Sub", |call| arithmetic::both(call, Tensor::f_sub)).linear(),
    line("Sum", |call| arithmetic::fold(call, |a, b| Ok(a.f_add(b)?))).linear(),
    line("Swish", nonlinear::swish),
    line("Tanh", |call| call.act(&Activation::Tanh)).linear(),
    line("Tile", shape::tile),
    line("Transpose", shape::transpose).linear().bf16(),
    line("Trilu", shape::trilu),
    line("Unsqueeze", shape::unsqueeze).linear().bf16(),
    line("Upsample", resample::resize).numbers(),
    line("Where", index::choose).settings(),
    line("Xor", |call| arithmetic::both(call, Tensor::f_logical_xor)),
];
