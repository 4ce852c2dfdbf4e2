//! A node: an operator, the values that it reads and makes, its settings.

use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use tch::{Kind, Tensor};
use tensorfile::onnx::proto::AttributeProto;

/// An operator with what it reads and makes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// The operator; one that is not ONNX's own with its domain, `ai.onnx.ml.ZipMap`.
    pub operator: String,
    /// What a message calls it.
    pub label: String,
    /// Names of values; empty for one that is left out.
    pub inputs: Vec<String>,
    /// Names of values; empty for one that is not wanted.
    pub outputs: Vec<String>,
    /// Its settings by name.
    pub attributes: BTreeMap<String, AttributeProto>,
    /// The version of the operator's set.
    pub opset: i64,
    /// Of an `If`: the nodes where its condition is true, and those where it is not. Its inputs are
    /// the condition and whatever they read from outside.
    pub branches: Vec<Vec<Node>>,
}

/// Attributes by name. Errors: one of another type.
impl Node {
    fn attribute<'a, T>(
        &'a self,
        name: &str,
        read: impl Fn(&'a AttributeProto) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(found) = self.attributes.get(name) else { return Ok(None) };
        Ok(Some(read(found).with_context(|| format!("its attribute `{name}` has another type"))?))
    }

    /// An integer.
    pub fn int(&self, name: &str, default: i64) -> Result<i64> {
        Ok(self.attribute(name, AttributeProto::as_int)?.unwrap_or(default))
    }

    /// A float.
    pub fn float(&self, name: &str, default: f64) -> Result<f64> {
        Ok(self.maybe_float(name)?.unwrap_or(default))
    }

    /// A float, if it is there.
    pub fn maybe_float(&self, name: &str) -> Result<Option<f64>> {
        self.attribute(name, AttributeProto::as_float)
    }

    /// Integers, if they are there.
    pub fn ints(&self, name: &str) -> Result<Option<Vec<i64>>> {
        self.attribute(name, |a| a.as_ints().map(<[i64]>::to_vec))
    }

    /// Floats, if they are there.
    pub fn reals(&self, name: &str) -> Result<Option<Vec<f64>>> {
        self.attribute(name, |a| a.as_floats().map(|all| all.iter().map(|&f| f.into()).collect()))
    }

    /// Text.
    pub fn text<'a>(&'a self, name: &str, default: &'a str) -> Result<&'a str> {
        Ok(self.attribute(name, AttributeProto::as_str)?.unwrap_or(default))
    }

    /// A tensor, if it is there; its floats as f32.
    pub fn tensor(&self, name: &str) -> Result<Option<Tensor>> {
        let Some(stored) = self.attribute(name, AttributeProto::as_tensor)? else {
            return Ok(None);
        };
        let read = tensorfile::onnx::stored(stored).with_context(|| format!("its `{name}`"))?;
        Ok(Some(if read.is_floating_point() { read.to_kind(Kind::Float) } else { read }))
    }
}

/// The names of all values that `nodes` read.
pub(in crate::graph) fn read_by(nodes: &[Node]) -> BTreeSet<&str> {
    nodes.iter().flat_map(|node| &node.inputs).map(String::as_str).collect()
}
