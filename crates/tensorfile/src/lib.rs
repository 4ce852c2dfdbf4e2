//! Named tensors on disk: safetensors with a metadata header, PyTorch checkpoints, safe pickles,
//! ONNX models, and files that never exist half-written. The only crate that knows these formats.

use anyhow::{Context, Result, bail};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::{collections::BTreeMap, collections::HashMap, fs, path::Path};
use tch::{Device, Kind, Tensor};

pub mod atomic;
pub mod foreign;
pub mod header;
pub mod onnx;
pub mod pickle;
pub mod torch;
pub mod upload;
mod weights;
pub mod words;

pub use upload::upload;
pub use weights::Weights;

/// What a tensor file holds: named tensors (on the CPU) and the strings of its header.
///
/// ```
/// use tch::Tensor;
/// use tensorfile::TensorFile;
///
/// let path = tempfile::tempdir()?.keep().join("set.safetensors");
/// let tensors = [("labels".to_owned(), Tensor::from_slice(&[1i64, 0]))].into();
/// TensorFile { tensors, metadata: Default::default() }.write(&path)?;
/// let labels = TensorFile::read(&path)?.take("labels")?;
/// assert_eq!(Vec::<i64>::try_from(labels)?, [1, 0]);
/// # std::fs::remove_dir_all(path.parent().unwrap())?;
/// # Ok::<(), anyhow::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct TensorFile {
    /// Every tensor by name.
    pub tensors: BTreeMap<String, Tensor>,
    /// The `__metadata__` of the header; empty for files that have none.
    pub metadata: BTreeMap<String, String>,
}

impl TensorFile {
    /// Reads a safetensors file. Errors: no such file, not safetensors (and what it is instead),
    /// truncated, unknown type.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        Self::of_bytes(&bytes, path)
    }

    /// The same of bytes that were read from `path`.
    fn of_bytes(bytes: &[u8], path: &Path) -> Result<Self> {
        if let Some(what) = foreign::what(bytes) {
            bail!("`{}` is {what}", path.display());
        }
        Self::parse(bytes)
            .with_context(|| format!("`{}` is not a whole safetensors file", path.display()))
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let (_, header) = SafeTensors::read_metadata(bytes)?;
        let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
        let file = SafeTensors::deserialize(bytes)?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.tensors() {
            let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
            let kind = kind(view.dtype()).with_context(|| format!("tensor `{name}`"))?;
            tensors.insert(name, Tensor::from_data_size(view.data(), &shape, kind));
        }
        Ok(TensorFile { tensors, metadata })
    }

    /// Takes the tensor `name` out; an error that says what the file has if it is not there.
    pub fn take(&mut self, name: &str) -> Result<Tensor> {
        self.tensors
            .remove(name)
            .with_context(|| format!("no tensor `{name}`; the file has: {}", self.some_names()))
    }

    /// The first names, and how many more there are: networks have hundreds.
    fn some_names(&self) -> String {
        const SHOWN: usize = 8;
        let some = self.tensors.keys().take(SHOWN).map(String::as_str).collect::<Vec<_>>();
        match self.tensors.len().saturating_sub(SHOWN) {
            0 => some.join(", "),
            more => format!("{} and {more} more", some.join(", ")),
        }
    }

    /// Writes the file under a temporary name and renames it, so that it is whole or not there.
    /// The same contents give the same bytes.
    pub fn write(&self, path: &Path) -> Result<()> {
        let bytes = self.to_bytes().with_context(|| format!("writing `{}`", path.display()))?;
        atomic::write(path, |file| Ok(file.write_all(&bytes)?))
    }

    fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut parts = vec![];
        for (name, tensor) in &self.tensors {
            let tensor = tensor.detach().to_device(Device::Cpu).contiguous();
            let mut bytes = vec![0u8; tensor.numel() * tensor.kind().elt_size_in_bytes()];
            tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
            let shape: Vec<usize> = tensor.size().iter().map(|&n| n as usize).collect();
            parts.push((name, dtype(tensor.kind())?, shape, bytes));
        }
        let mut views = vec![];
        for (name, dtype, shape, bytes) in &parts {
            views.push((name.as_str(), TensorView::new(*dtype, shape.clone(), bytes)?));
        }
        // safetensors writes a HashMap in random order: equal contents must give equal bytes,
        // so the header is made here, by the format's own rule, with sorted keys.
        let plain = safetensors::serialize(views, None::<HashMap<String, String>>)?;
        with_metadata(&plain, &self.metadata)
    }
}

/// The same safetensors bytes with `metadata` in the header, keys sorted.
fn with_metadata(plain: &[u8], metadata: &BTreeMap<String, String>) -> Result<Vec<u8>> {
    let length = u64::from_le_bytes(plain[..8].try_into().expect("eight bytes")) as usize;
    let mut header: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(&plain[8..8 + length])?;
    if !metadata.is_empty() {
        header.insert("__metadata__".into(), serde_json::to_value(metadata)?);
    }
    let mut text = serde_json::to_vec(&header)?;
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(&text);
    bytes.extend_from_slice(&plain[8 + length..]);
    Ok(bytes)
}

fn kind(dtype: Dtype) -> Result<Kind> {
    Ok(match dtype {
        Dtype::BOOL => Kind::Bool,
        Dtype::U8 => Kind::Uint8,
        Dtype::I8 => Kind::Int8,
        Dtype::I16 => Kind::Int16,
        Dtype::I32 => Kind::Int,
        Dtype::I64 => Kind::Int64,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::F32 => Kind::Float,
        Dtype::F64 => Kind::Double,
        other => bail!("has the type {other:?}, which is not supported"),
    })
}

fn dtype(kind: Kind) -> Result<Dtype> {
    Ok(match kind {
        Kind::Bool => Dtype::BOOL,
        Kind::Uint8 => Dtype::U8,
        Kind::Int8 => Dtype::I8,
        Kind::Int16 => Dtype::I16,
        Kind::Int => Dtype::I32,
        Kind::Int64 => Dtype::I64,
        Kind::Half => Dtype::F16,
        Kind::BFloat16 => Dtype::BF16,
        Kind::Float => Dtype::F32,
        Kind::Double => Dtype::F64,
        other => bail!("tensors of kind {other:?} cannot be written"),
    })
}
