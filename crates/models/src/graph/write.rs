//! The file of a graph with other weights.

use super::Graph;
use anyhow::{Context, Result};
use std::{collections::BTreeMap, path::Path};
use tch::Tensor;
use tensorfile::onnx::Replacement;

impl Graph {
    /// Writes the graph's file with these parameters, by name, in place of its own, and these
    /// strings; every other byte stays. Errors: those of [`Self::check_writable`], a value that is
    /// too large for the file's type, a parameter that is not there.
    pub fn write(
        &self,
        path: &Path,
        params: &BTreeMap<String, Tensor>,
        strings: &[(&str, &str)],
    ) -> Result<()> {
        self.file.write(path, &self.replaced(params)?, strings)
    }

    /// Errors: a parameter that the file stores in a form that cannot be overwritten.
    pub fn check_writable(&self) -> Result<()> {
        self.file.check_rewritable(&self.replaced(&self.values())?)
    }

    fn replaced<'a>(
        &'a self,
        params: &'a BTreeMap<String, Tensor>,
    ) -> Result<Vec<Replacement<'a>>> {
        let one = |(name, param): (&'a String, &'a super::lower::Param)| {
            let told =
                || format!("tensor `{name}`: the file has its numbers as a list of settings");
            let proto = param.proto.as_ref().with_context(told)?;
            Ok((proto, params.get(name).with_context(|| format!("no tensor `{name}`"))?))
        };
        self.plan.params.iter().map(one).collect()
    }
}
