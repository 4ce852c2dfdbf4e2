//! A storage of numbers as a pickled tensor names it.

use crate::pickle::Value;
use anyhow::{Context, Result, bail, ensure};
use tch::Kind;

/// A storage as a persistent id names it: `('storage', type, key, device, count[, view])`.
pub(super) struct Storage<'a> {
    /// Its key in the file.
    pub(super) key: &'a str,
    /// Its item type, none for bytes that each tensor reads in its own way.
    pub(super) kind: Result<Option<Kind>, String>,
    /// Its length in items (bytes where it has no type).
    count: i64,
    /// In very old files, the part of it that is meant: offset and length in items.
    view: Option<(i64, i64)>,
}

impl<'a> Storage<'a> {
    /// Reads a persistent id.
    pub(super) fn parse(id: &'a Value) -> Result<Self> {
        let Some([tag, Value::Global(class), key, _device, count, rest @ ..]) = id.as_list() else {
            bail!("refers to something that is not a storage")
        };
        ensure!(tag.as_str() == Some("storage"), "refers to something that is not a storage");
        let view = match rest.first().and_then(Value::as_list) {
            Some([_, offset, length]) => offset.as_int().zip(length.as_int()),
            _ => None,
        };
        Ok(Storage {
            key: key.as_str().context("refers to a storage whose key is not text")?,
            kind: kind_of_storage(class),
            count: count.as_int().filter(|&n| n >= 0).context("has a storage without a length")?,
            view,
        })
    }

    /// The bytes that are meant, out of `bytes`, which are all the file has under this key.
    pub(super) fn part<'b>(&self, bytes: &'b [u8], item: usize) -> Result<&'b [u8]> {
        let announced = usize::try_from(self.count)?.checked_mul(self.item_size());
        ensure!(
            announced == Some(bytes.len()),
            "has a storage of {} bytes instead of {} items",
            bytes.len(),
            self.count
        );
        let Some((offset, length)) = self.view else { return Ok(bytes) };
        let place = |n: i64| usize::try_from(n).ok()?.checked_mul(item);
        let part = place(offset)
            .zip(place(length))
            .and_then(|(start, length)| bytes.get(start..start.checked_add(length)?));
        part.context("reaches beyond its storage")
    }

    /// Bytes an item; 1 for storages without a type. Types we cannot use still have a size.
    pub(super) fn item_size(&self) -> usize {
        match &self.kind {
            Ok(Some(kind)) => kind.elt_size_in_bytes(),
            Ok(None) => 1,
            Err(class) => match class.as_str() {
                "ComplexDoubleStorage" => 16,
                "ComplexFloatStorage" => 8,
                "QInt32Storage" => 4,
                _ => 1,
            },
        }
    }
}

/// The item type of `torch.FloatStorage` and its like; the type's name where it is not one of ours.
fn kind_of_storage(class: &str) -> Result<Option<Kind>, String> {
    let name = class.rsplit('.').next().expect("a split has a last part");
    Ok(Some(match name {
        "DoubleStorage" => Kind::Double,
        "FloatStorage" => Kind::Float,
        "HalfStorage" => Kind::Half,
        "BFloat16Storage" => Kind::BFloat16,
        "LongStorage" => Kind::Int64,
        "IntStorage" => Kind::Int,
        "ShortStorage" => Kind::Int16,
        "CharStorage" => Kind::Int8,
        "ByteStorage" => Kind::Uint8,
        "BoolStorage" => Kind::Bool,
        "UntypedStorage" | "_UntypedStorage" => return Ok(None),
        other => return Err(other.to_owned()),
    }))
}
