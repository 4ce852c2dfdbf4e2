//! From a pickled `_rebuild_tensor_v2(storage, offset, size, stride, …)` to a tensor. Offsets and
//! strides come from outside, so they are checked against the storage before libtorch sees them.

use super::{container::Checkpoint, storage::Storage};
use crate::pickle::{Object, Value};
use anyhow::{Context, Result, bail, ensure};
use std::ops::Range;
use tch::{Kind, Tensor};

/// Whether a value is a pickled tensor or parameter.
pub(super) fn is_tensor(value: &Value) -> bool {
    match value {
        Value::Object(object) => {
            object.class.starts_with("torch._utils._rebuild_")
                || object.class == "torch._tensor._rebuild_from_type_v2"
        }
        _ => false,
    }
}

/// The tensor, contiguous, with its own memory.
pub(super) fn tensor(checkpoint: &mut Checkpoint, value: &Value) -> Result<Tensor> {
    let Value::Object(object) = value else { bail!("is not a tensor") };
    match (object.class.as_str(), object.args.as_slice()) {
        ("torch._tensor._rebuild_from_type_v2", [Value::Global(class), _, args, ..]) => {
            let args = args.as_list().context("has no arguments")?.to_vec();
            let inner = Object { class: class.clone(), args, ..object.clone() };
            ensure!(inner.class != object.class, "is wrapped in itself");
            tensor(checkpoint, &Value::Object(inner))
        }
        (
            "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state",
            [data, ..],
        ) => tensor(checkpoint, data),
        (
            "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2",
            [Value::Persistent(id), offset, size, stride, ..],
        ) => View::parse(offset, size, stride)?.read(checkpoint, &Storage::parse(id)?, None),
        (
            "torch._utils._rebuild_tensor_v3",
            [Value::Persistent(id), offset, size, stride, _, _, Value::Global(dtype), ..],
        ) => {
            let view = View::parse(offset, size, stride)?;
            view.read(checkpoint, &Storage::parse(id)?, Some(kind_of_dtype(dtype)?))
        }
        (class, _) => bail!("is {}", oddity(class)),
    }
}

/// What the tensors are that `class` makes and that have no plain numbers here.
fn oddity(class: &str) -> String {
    let known = [
        ("qtensor", "quantised: save the network's float weights instead"),
        ("sparse", "sparse: save it dense, by `to_dense()`"),
        ("nested", "nested: save plain tensors instead"),
        ("meta", "on the meta device, without numbers: load the weights before saving"),
        ("device_tensor", "of another kind of device: move the network to the CPU before saving"),
    ];
    match known.iter().find(|(word, _)| class.contains(word)) {
        Some((_, what)) => (*what).to_owned(),
        None => format!("made by `{class}`, which is not supported"),
    }
}

/// The shape of a tensor, where its pickle says it.
pub(super) fn shape(value: &Value) -> Option<Vec<i64>> {
    let Value::Object(object) = value else { return None };
    let args = object.args.as_slice();
    let size = match object.class.as_str() {
        "torch._tensor._rebuild_from_type_v2" => args.get(2)?.as_list()?.get(2)?,
        "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state" => {
            return shape(args.first()?);
        }
        class if class.contains("meta_tensor") => args.get(1)?,
        _ => args.get(2)?,
    };
    size.as_list()?.iter().map(Value::as_int).collect()
}

/// Which items of a storage make a tensor.
struct View {
    offset: i64,
    size: Vec<i64>,
    stride: Vec<i64>,
}

impl View {
    fn parse(offset: &Value, size: &Value, stride: &Value) -> Result<Self> {
        let list = |value: &Value| -> Option<Vec<i64>> {
            value.as_list()?.iter().map(|n| n.as_int().filter(|&n| n >= 0)).collect()
        };
        let offset = offset.as_int().filter(|&n| n >= 0).context("has no usable offset")?;
        let (size, stride) = list(size).zip(list(stride)).context("has no usable shape")?;
        ensure!(size.len() == stride.len(), "has {} sizes, {} strides", size.len(), stride.len());
        ensure!(size.len() <= 16, "has {} axes", size.len());
        Ok(View { offset, size, stride })
    }

    /// The items of the storage that the view spans; none where it overflows.
    fn span(&self) -> Option<Range<usize>> {
        let start = usize::try_from(self.offset).ok()?;
        if self.size.contains(&0) {
            return Some(0..0);
        }
        let last =
            self.size.iter().zip(&self.stride).try_fold(self.offset, |sum, (size, stride)| {
                sum.checked_add((size - 1).checked_mul(*stride)?)
            });
        Some(start..usize::try_from(last?).ok()?.checked_add(1)?)
    }

    /// Bytes of the tensor, an empty axis counted as one; none where it overflows.
    fn bytes(&self, item: usize) -> Option<usize> {
        let length = |size: i64| usize::try_from(size.max(1)).ok();
        self.size.iter().try_fold(item, |sum, &size| sum.checked_mul(length(size)?))
    }

    fn read(
        &self,
        from: &mut Checkpoint,
        storage: &Storage,
        dtype: Option<Kind>,
    ) -> Result<Tensor> {
        let stored = match &storage.kind {
            Ok(kind) => *kind,
            Err(class) if class.starts_with("Complex") => bail!("holds complex numbers"),
            Err(class) if class.starts_with('Q') => bail!("is {}", oddity("qtensor")),
            Err(class) => bail!("has the storage type `{class}`, which is not supported"),
        };
        let kind = dtype.or(stored).context("has a storage without a type")?;
        let item = kind.elt_size_in_bytes();
        let budget = self.bytes(item).and_then(|bytes| from.budget.checked_sub(bytes));
        from.budget = budget.context("unfolds to far more than the file's own size")?;
        let used = storage.part(from.storage(storage.key)?, item)?;
        // Only what the view spans is copied, so a contiguous view owns exactly its own memory.
        let span = self
            .span()
            .and_then(|span| used.get(span.start.checked_mul(item)?..span.end.checked_mul(item)?));
        let count = used.len() / item;
        let span = span.with_context(|| format!("reaches beyond its storage of {count} items"))?;
        let flat = Tensor::f_from_data_size(span, &[(span.len() / item) as i64], kind)?;
        Ok(flat.f_as_strided(&self.size, &self.stride, 0)?.f_contiguous()?)
    }
}

fn kind_of_dtype(dtype: &str) -> Result<Kind> {
    Ok(match dtype {
        "torch.float64" => Kind::Double,
        "torch.float32" => Kind::Float,
        "torch.float16" => Kind::Half,
        "torch.bfloat16" => Kind::BFloat16,
        "torch.int64" => Kind::Int64,
        "torch.int32" => Kind::Int,
        "torch.int16" => Kind::Int16,
        "torch.int8" => Kind::Int8,
        "torch.uint8" => Kind::Uint8,
        "torch.bool" => Kind::Bool,
        other if other.starts_with("torch.complex") => bail!("holds complex numbers"),
        other => bail!("has the type `{other}`, which is not supported"),
    })
}
