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
pub use call::Call;
use tch::Tensor;

/// An operator.
pub struct Operator {
    /// ONNX's name.
    pub name: &'static str,
    /// Its first outputs; those that only training reads are not made. Errors, which do not name
    /// the node: what the node asks for is undefined, not supported or too large.
    pub run: fn(&Call) -> Result<Vec<Tensor>>,
}

impl Operator {
    /// The same; errors are one line that names the node and the operator.
    pub fn apply(&self, call: &Call) -> Result<Vec<Tensor>> {
        (self.run)(call).map_err(|error| {
            // libtorch appends where in its code it was found.
            let told = format!("{error:#}").replace("Internal torch error: ", "");
            let line = told.lines().next().unwrap_or_default();
            anyhow!("node `{}` (`{}`): {line}", call.node.label, self.name)
        })
    }
}

/// The operator called `name`.
pub fn find(name: &str) -> Option<&'static Operator> {
    OPERATORS.binary_search_by_key(&name, |operator| operator.name).ok().map(|i| &OPERATORS[i])
}

const fn line(name: &'static str, run: fn(&Call) -> Result<Vec<Tensor>>) -> Operator {
    Operator { name, run }
}

/// Every operator, sorted by name.
pub const OPERATORS: &[Operator] = &[
    line("Abs", |call| arithmetic::map(call, Tensor::f_abs)),
    line("Add", |call| arithmetic::both(call, Tensor::f_add)),
    line("And", |call| arithmetic::both(call, Tensor::f_logical_and)),
    line("AveragePool", window::average_pool),
    line("BatchNormalization", norm::batch),
    line("Cast", make::cast),
    line("CastLike", make::cast_like),
    line("Ceil", |call| arithmetic::map(call, Tensor::f_ceil)),
    line("Celu", nonlinear::celu),
    line("Clip", nonlinear::clip),
    line("Concat", shape::concat),
    line("Constant", make::constant),
    line("ConstantOfShape", make::constant_of_shape),
    line("Conv", window::conv),
    line("ConvTranspose", window::conv_transpose),
    line("Cos", |call| arithmetic::map(call, Tensor::f_cos)),
    line("CumSum", index::cum_sum),
    line("DepthToSpace", shape::depth_to_space),
    line("DequantizeLinear", make::dequantize),
    line("Div", arithmetic::div),
    line("Dropout", shape::dropout),
    line("Einsum", arithmetic::einsum),
    line("Elu", nonlinear::elu),
    line("Equal", |call| arithmetic::both(call, Tensor::f_eq_tensor)),
    line("Erf", |call| arithmetic::map(call, Tensor::f_erf)),
    line("Exp", |call| arithmetic::map(call, Tensor::f_exp)),
    line("Expand", shape::expand),
    line("EyeLike", shape::eye_like),
    line("Flatten", shape::flatten),
    line("Floor", |call| arithmetic::map(call, Tensor::f_floor)),
    line("Gather", index::gather),
    line("GatherElements", index::gather_elements),
    line("GatherND", index::gather_nd),
    line("Gelu", nonlinear::gelu),
    line("Gemm", arithmetic::gemm),
    line("GlobalAveragePool", reduce::global_average),
    line("GlobalMaxPool", reduce::global_max),
    line("Greater", |call| arithmetic::both(call, Tensor::f_gt_tensor)),
    line("GreaterOrEqual", |call| arithmetic::both(call, Tensor::f_ge_tensor)),
    line("GroupNormalization", norm::group),
    line("HardSigmoid", nonlinear::hard_sigmoid),
    line("HardSwish", |call| call.act(&Activation::HardSwish)),
    line("Identity", shape::same),
    line("InstanceNormalization", norm::instance),
    line("LRN", window::lrn),
    line("LayerNormalization", norm::layer),
    line("LeakyRelu", nonlinear::leaky_relu),
    line("Less", |call| arithmetic::both(call, Tensor::f_lt_tensor)),
    line("LessOrEqual", |call| arithmetic::both(call, Tensor::f_le_tensor)),
    line("Log", |call| arithmetic::map(call, Tensor::f_log)),
    line("LogSoftmax", |call| reduce::soft(call, |x, axis| x.f_log_softmax(axis, None))),
    line("LpNormalization", norm::lp),
    line("MatMul", arithmetic::matmul),
    line("Max", |call| call.other(arithmetic::fold(call, Tensor::f_maximum)?)),
    line("MaxPool", window::max_pool),
    line("Mean", arithmetic::mean),
    line("Min", |call| call.other(arithmetic::fold(call, Tensor::f_minimum)?)),
    line("Mish", |call| call.act(&Activation::Mish)),
    line("Mod", arithmetic::modulo),
    line("Mul", arithmetic::mul),
    line("Neg", |call| Ok(vec![call.input(0)?.f_neg()?])),
    line("Not", |call| Ok(vec![call.input(0)?.f_logical_not()?])),
    line("Or", |call| arithmetic::both(call, Tensor::f_logical_or)),
    line("PRelu", nonlinear::prelu),
    line("Pad", resample::pad),
    line("Pow", arithmetic::pow),
    line("RMSNormalization", norm::rms),
    line("Range", make::range),
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
    line("ReduceMean", reduce::mean),
    line("ReduceMin", |call| {
        call.other(reduce::reduce(call, |x, over, keep| x.f_amin(over, keep))?)
    }),
    line("ReduceProd", reduce::prod),
    line("ReduceSum", reduce::sum),
    line("ReduceSumSquare", |call| {
        call.other(reduce::reduce(call, |x, over, keep| {
            x.f_square()?.f_sum_dim_intlist(over, keep, x.kind())
        })?)
    }),
    line("Relu", nonlinear::relu),
    line("Reshape", shape::reshape),
    line("Resize", resample::resize),
    line("Round", |call| arithmetic::map(call, Tensor::f_round)),
    line("ScatterND", index::scatter_nd),
    line("Selu", nonlinear::selu),
    line("Shape", shape::shape),
    line("Sigmoid", |call| call.act(&Activation::Sigmoid)),
    line("Sign", |call| arithmetic::map(call, Tensor::f_sign)),
    line("Sin", |call| arithmetic::map(call, Tensor::f_sin)),
    line("Size", shape::size),
    line("Slice", shape::slice),
    line("Softmax", |call| reduce::soft(call, |x, axis| x.f_softmax(axis, None))),
    line("Softplus", |call| call.act(&Activation::Softplus { beta: 1. })),
    line("Softsign", nonlinear::softsign),
    line("SpaceToDepth", shape::space_to_depth),
    line("Split", shape::split),
    line("Sqrt", |call| arithmetic::map(call, Tensor::f_sqrt)),
    line("Squeeze", shape::squeeze),
    line("Sub", |call| arithmetic::both(call, Tensor::f_sub)),
    line("Sum", |call| Ok(vec![arithmetic::fold(call, Tensor::f_add)?])),
    line("Swish", nonlinear::swish),
    line("Tanh", |call| call.act(&Activation::Tanh)),
    line("Tile", shape::tile),
    line("Transpose", shape::transpose),
    line("Trilu", shape::trilu),
    line("Unsqueeze", shape::unsqueeze),
    line("Upsample", resample::resize),
    line("Where", index::choose),
    line("Xor", |call| arithmetic::both(call, Tensor::f_logical_xor)),
];
