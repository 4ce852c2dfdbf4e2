//! ONNX files: the graph as the file has it, its tensors, and the same file with other weights.
//! Nothing is executed, and nothing is lost: a file is written by overwriting the weights' bytes.
//! Format: `onnx.proto` of <https://github.com/onnx/onnx>.

use anyhow::{Context, Result, anyhow, bail, ensure};
use prost::{Message, bytes::Bytes};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use tch::{Kind, Tensor};

mod attributes;
mod elements;
mod external;
pub mod proto;
mod records;
mod rewrite;
mod values;

pub use crate::foreign::is_onnx;
use proto::{GraphProto, ModelProto, TensorProto};
pub use rewrite::Replacement;

/// The largest message of protobuf, in bytes; what is larger keeps its numbers in files beside.
const MOST: u64 = 1 << 31;

/// An open file. Memory is bounded by a multiple of its size.
#[derive(Debug)]
pub struct File {
    bytes: Bytes,
    path: PathBuf,
    model: ModelProto,
    graph: GraphProto,
}

/// The type of tensors with `TensorProto`'s number `data_type`. Unsigned integers of more than 8
/// bits are given a type that holds them. Errors: strings, complex numbers, floats of 8 bits and
/// integers of fewer, an unknown number.
pub fn kind(data_type: i32) -> Result<Kind> {
    Ok(elements::element(data_type)?.kind)
}

/// Whether `data_type` is that of floats of 16, 32 or 64 bits.
pub fn is_float(data_type: i32) -> bool {
    const FLOATS: [Kind; 4] = [Kind::Float, Kind::Double, Kind::Half, Kind::BFloat16];
    kind(data_type).is_ok_and(|kind| FLOATS.contains(&kind))
}

/// The numbers of a tensor that is stored whole, such as an attribute's; 16-bit floats as such.
/// Errors: those of [`File::tensor`], external data.
pub fn stored(tensor: &TensorProto) -> Result<Tensor> {
    ensure!(!external::is_external(tensor), "its numbers are in another file");
    values::tensor(Path::new("."), tensor)
}

impl File {
    /// Opens a file. Errors, in one line: no such file, not ONNX (and what it is instead), cut off,
    /// above 2 GiB, nested too deep, without a graph, with sparse tensors.
    pub fn open(path: &Path) -> Result<Self> {
        let told = || format!("cannot read `{}`", path.display());
        let size = fs::metadata(path).with_context(told)?.len();
        ensure!(
            size <= MOST,
            "`{}` has {size} bytes, an ONNX file at most 2 GiB: keep its weights as external data",
            path.display()
        );
        Self::of_bytes(fs::read(path).with_context(told)?, path)
    }

    /// The same of bytes that were read from `path`, beside which external data are looked for.
    pub fn of_bytes(bytes: Vec<u8>, path: &Path) -> Result<Self> {
        let name = path.display();
        if !is_onnx(&bytes) {
            match crate::foreign::what(&bytes) {
                Some(what) => bail!("`{name}` is {what}"),
                None => bail!("`{name}` is not an ONNX file"),
            }
        }
        Self::parse(bytes, path).with_context(|| format!("`{name}` is not a whole ONNX file"))
    }

    fn parse(bytes: Vec<u8>, path: &Path) -> Result<Self> {
        let bytes = Bytes::from(bytes);
        ensure!(bytes.len() as u64 <= MOST, "{} bytes are more than 2 GiB", bytes.len());
        // Of a deeply nested file prost says every level.
        let decoded = ModelProto::decode(bytes.clone()).map_err(|error| error.to_string());
        let last = |said: String| anyhow!("{}", said.rsplit(": ").next().unwrap_or_default());
        let mut model = decoded.map_err(last)?;
        let graph = model.graph.take().context("it has no graph")?;
        if let Some(sparse) = graph.sparse_initializer.first() {
            let name = sparse.values.as_ref().map_or("", |values| values.name());
            bail!("tensor `{name}` is sparse, which is not supported");
        }
        Ok(File { bytes, path: path.to_owned(), model, graph })
    }

    /// The network.
    pub fn graph(&self) -> &GraphProto {
        &self.graph
    }

    /// What the file says beside the network, without its graph.
    pub fn model(&self) -> &ModelProto {
        &self.model
    }

    /// The version of ONNX's own operators; 1 if the file does not say it, the largest if it says
    /// several.
    pub fn opset(&self) -> i64 {
        let own = self.model.opset_import.iter().filter(|o| ["", "ai.onnx"].contains(&o.domain()));
        own.map(|o| o.version()).max().unwrap_or(1)
    }

    /// How many nodes of the graph each operator has, sorted by name.
    pub fn operators(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for node in &self.graph().node {
            *counts.entry(node.op_type()).or_default() += 1;
        }
        counts
    }

    /// The strings of the file, by key.
    pub fn metadata(&self) -> BTreeMap<String, String> {
        let entries = self.model.metadata_props.iter();
        entries.map(|e| (e.key().to_owned(), e.value().to_owned())).collect()
    }

    /// SHA-256 of the file's bytes in hexadecimal digits, without those of external data.
    pub fn sha256(&self) -> String {
        Sha256::digest(&self.bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The numbers of a tensor of the file, on the CPU, with their own memory; 16-bit floats as
    /// such. Errors: a type that is not supported, numbers missing or too many, external data that
    /// is not there or outside the file's folder.
    pub fn tensor(&self, tensor: &TensorProto) -> Result<Tensor> {
        let read = values::tensor(self.folder(), tensor);
        read.with_context(|| format!("tensor `{}`", tensor.name()))
    }

    fn folder(&self) -> &Path {
        self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }
}
