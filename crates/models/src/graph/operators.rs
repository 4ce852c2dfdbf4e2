//! ONNX's operators as functions of tensors. Semantics: <https://onnx.ai/onnx/operators/>; where
//! they changed, the node's opset says which hold. Numbers are f32, or the type of the pass: 16-bit
//! floats and doubles of a file become f32. Integers stay on the CPU.

mod call;
mod nonlinear;

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
    line("Celu", nonlinear::celu),
    line("Clip", nonlinear::clip),
    line("Elu", nonlinear::elu),
    line("Gelu", nonlinear::gelu),
    line("HardSigmoid", nonlinear::hard_sigmoid),
    line("HardSwish", |call| call.act(&Activation::HardSwish)),
    line("LeakyRelu", nonlinear::leaky_relu),
    line("Mish", |call| call.act(&Activation::Mish)),
    line("PRelu", nonlinear::prelu),
    line("Relu", nonlinear::relu),
    line("Selu", nonlinear::selu),
    line("Sigmoid", |call| call.act(&Activation::Sigmoid)),
    line("Softplus", |call| call.act(&Activation::Softplus { beta: 1. })),
    line("Softsign", nonlinear::softsign),
    line("Swish", nonlinear::swish),
    line("Tanh", |call| call.act(&Activation::Tanh)),
];
