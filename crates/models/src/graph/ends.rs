//! Which value of a graph is the image, and which the logits.

use super::{Node, inline::read_by};
use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeSet, HashSet};
use tensorfile::onnx::{
    is_float,
    proto::{GraphProto, ValueInfoProto},
};

/// What a network is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Its type as `TensorProto.data_type` numbers them; 0 if the file does not say.
    pub element: i32,
    /// Its dimensions, none for those that are free.
    pub dims: Vec<Option<i64>>,
}

impl Input {
    fn of(value: &ValueInfoProto) -> Option<Self> {
        let tensor = value.r#type.as_ref()?.tensor_type.as_ref()?;
        let dims = tensor.shape.as_ref()?.dim.iter().map(|d| d.dim_value.filter(|n| *n > 0));
        Some(Input {
            name: value.name().to_owned(),
            element: tensor.elem_type(),
            dims: dims.collect(),
        })
    }

    /// `[N,3,32,32]`, with `?` for dimensions that are free other than the first.
    fn spelled(&self) -> String {
        let one = |(i, dim): (usize, &Option<i64>)| match (dim, i) {
            (Some(n), _) => n.to_string(),
            (None, 0) => "N".to_owned(),
            (None, _) => "?".to_owned(),
        };
        let all: Vec<String> = self.dims.iter().enumerate().map(one).collect();
        format!("[{}]", all.join(","))
    }
}

/// The one input that `nodes` read; an initializer that is listed as an input is none. Errors: none
/// or several, an input without shape.
pub fn input(graph: &GraphProto, nodes: &[Node]) -> Result<Input> {
    let constants: BTreeSet<&str> = graph.initializer.iter().map(|t| t.name()).collect();
    let read = read_by(nodes);
    let free =
        |value: &&ValueInfoProto| !constants.contains(value.name()) && read.contains(value.name());
    let found: Vec<&ValueInfoProto> = graph.input.iter().filter(free).collect();
    match found.as_slice() {
        [] => bail!("its logits depend on no input"),
        [one] => Input::of(one)
            .with_context(|| format!("the input `{}` is no tensor with a shape", one.name())),
        several => {
            let one = |value: &&ValueInfoProto| {
                let shape = Input::of(value).map_or(String::new(), |i| format!(" {}", i.spelled()));
                format!("`{}`{shape}", value.name())
            };
            let all: Vec<String> = several.iter().map(one).collect();
            bail!("{} inputs: {}; a classifier has one", all.len(), all.join(", "))
        }
    }
}

/// The value that holds the logits: the first output of floats. scikit-learn's `ZipMap`, which
/// makes dictionaries of probabilities, is stepped over. Errors: no output, none of floats.
pub fn output(graph: &GraphProto, nodes: &[Node]) -> Result<String> {
    ensure!(!graph.output.is_empty(), "it has no output");
    for value in &graph.output {
        let made = nodes.iter().find(|node| node.outputs.iter().any(|o| o == value.name()));
        if let Some(zip) = made.filter(|node| node.operator == "ai.onnx.ml.ZipMap") {
            return zip.inputs.first().cloned().context("a `ZipMap` without input");
        }
        let element = element(value);
        if element == 0 || is_float(element) {
            return Ok(value.name().to_owned());
        }
    }
    let one = |value: &ValueInfoProto| format!("`{}` is {}", value.name(), type_name(value));
    let all: Vec<String> = graph.output.iter().map(one).collect();
    bail!("no output is a table of numbers: {}; export without ArgMax", all.join(", "))
}

/// The names of the graph's inputs that are of floats.
pub(super) fn float_inputs(graph: &GraphProto) -> HashSet<String> {
    let floats = graph.input.iter().filter(|value| is_float(element(value)));
    floats.map(|value| value.name().to_owned()).collect()
}

/// The type of a value's numbers; −1 for what is no tensor.
fn element(value: &ValueInfoProto) -> i32 {
    match &value.r#type {
        Some(said) => said.tensor_type.as_ref().map_or(-1, |tensor| tensor.elem_type()),
        None => 0,
    }
}

fn type_name(value: &ValueInfoProto) -> String {
    match element(value) {
        -1 => "no tensor".to_owned(),
        8 => "text".to_owned(),
        number => match tensorfile::onnx::kind(number) {
            Ok(kind) => format!("{kind:?}").to_lowercase(),
            Err(error) => error.to_string(),
        },
    }
}
