//! The two file forms of `torch.save`: a zip archive (`NAME/data.pkl`, `NAME/data/KEY`) and, with
//! `_use_new_zipfile_serialization=False`, five pickles followed by the raw storages.

use crate::pickle::{Value, parse_prefix};
use anyhow::{Context, Result, bail, ensure};
use std::{
    collections::HashMap,
    io::{Cursor, Read},
    ops::Range,
};
use zip::{CompressionMethod, ZipArchive};

/// The number that starts the older form, `0x1950a86a20f9469cfc6c`.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// An open checkpoint: its pickled contents, and its storages by key.
pub(super) struct Checkpoint {
    root: Value,
    storages: Storages,
    /// The storage that was read last: many views may share one.
    last: (String, Vec<u8>),
    /// How many more bytes of tensors may be made: views may repeat a storage, not without end.
    pub(super) budget: usize,
}

enum Storages {
    Zip { archive: ZipArchive<Cursor<Vec<u8>>>, folder: String },
    Legacy { bytes: Vec<u8>, place: HashMap<String, Range<usize>> },
}

pub(super) fn is_zip(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04")
}

/// Protocol 2 or later, which is all that PyTorch writes.
pub(super) fn is_pickle(head: &[u8]) -> bool {
    matches!(head, [0x80, 2..=5, ..])
}

impl Checkpoint {
    /// Opens either form.
    pub(super) fn open(bytes: Vec<u8>) -> Result<Self> {
        let budget = bytes.len().saturating_mul(16).saturating_add(1 << 24);
        let (root, storages) = match bytes.as_slice() {
            head if is_zip(head) => open_zip(bytes)?,
            head if is_pickle(head) => open_legacy(bytes)?,
            head => bail!(
                "it is neither a PyTorch zip archive nor a pickle (it starts with `{}`)",
                head[..head.len().min(8)].escape_ascii()
            ),
        };
        Ok(Checkpoint { root, storages, last: Default::default(), budget })
    }

    /// The pickled contents, once.
    pub(super) fn take_root(&mut self) -> Value {
        std::mem::replace(&mut self.root, Value::None)
    }

    /// The raw bytes of a storage.
    pub(super) fn storage(&mut self, key: &str) -> Result<&[u8]> {
        match &mut self.storages {
            Storages::Zip { archive, folder } => {
                if self.last.0 != key {
                    let bytes = entry(archive, &format!("{folder}data/{key}"))?;
                    self.last = (key.to_owned(), bytes);
                }
                Ok(&self.last.1)
            }
            Storages::Legacy { bytes, place } => {
                let place = place.get(key).with_context(|| format!("no storage `{key}`"))?;
                Ok(&bytes[place.clone()])
            }
        }
    }
}

fn open_zip(bytes: Vec<u8>) -> Result<(Value, Storages)> {
    let archive = ZipArchive::new(Cursor::new(bytes));
    let mut archive = archive.context("the zip archive is broken or cut short")?;
    let name = archive.file_names().find(|name| {
        name.strip_suffix("data.pkl").is_some_and(|folder| folder.matches('/').count() <= 1)
    });
    let Some(name) = name else { bail!(other_zip(&archive)) };
    let folder = name.strip_suffix("data.pkl").expect("just found by it").to_owned();
    let has = |archive: &ZipArchive<_>, name: &str| {
        archive.index_for_name(&format!("{folder}{name}")).is_some()
    };
    if has(&archive, "constants.pkl") {
        bail!(
            "it is a TorchScript archive: export ONNX (`torch.onnx.export`) or save \
             `model.state_dict()` instead"
        );
    }
    if has(&archive, "byteorder") {
        let order = entry(&mut archive, &format!("{folder}byteorder"))?;
        ensure!(order.trim_ascii() == b"little", "it was written in big-endian byte order");
    }
    let pickle = entry(&mut archive, &format!("{folder}data.pkl"))?;
    let (root, _) = parse_prefix(&pickle)?;
    Ok((root, Storages::Zip { archive, folder }))
}

/// What a zip archive is that `torch.save` did not write.
fn other_zip(archive: &ZipArchive<Cursor<Vec<u8>>>) -> &'static str {
    let has = |end: &str| archive.file_names().any(|name| name.ends_with(end));
    match () {
        () if has(".npy") => {
            "it is NumPy's .npz: save a PyTorch `state_dict` or safetensors instead"
        }
        () if has(".h5") => "it is a Keras archive: save a PyTorch `state_dict` instead",
        () if has("archive_format") || has("serialized_exported_program.json") => {
            "it is a program of `torch.export`: export ONNX (`torch.onnx.export`) or save \
             `model.state_dict()` instead"
        }
        () => "it is a zip archive, but not one of PyTorch: no `data.pkl`",
    }
}

/// One entry; PyTorch stores them all as they are, so none is larger than the file.
fn entry(archive: &mut ZipArchive<Cursor<Vec<u8>>>, name: &str) -> Result<Vec<u8>> {
    let mut file = archive.by_name(name).with_context(|| format!("no entry `{name}`"))?;
    let stored = file.compression() == CompressionMethod::Stored;
    ensure!(stored, "the entry `{name}` is compressed, which PyTorch never does");
    let mut bytes = vec![];
    file.read_to_end(&mut bytes).with_context(|| format!("the entry `{name}` is broken"))?;
    Ok(bytes)
}

fn open_legacy(bytes: Vec<u8>) -> Result<(Value, Storages)> {
    let mut at = 0;
    let mut next = || {
        let (value, taken) = parse_prefix(&bytes[at..])?;
        at += taken;
        anyhow::Ok(value)
    };
    let magic = next()?;
    ensure!(magic == Value::Long(MAGIC.to_vec()), "it is a pickle, but not one of PyTorch");
    let version = next()?;
    ensure!(version == Value::Int(1001), "its format {version:?} is not known (1001 is)");
    let system = next()?;
    let little = system.get("little_endian") != Some(&Value::Bool(false));
    ensure!(little, "it was written in big-endian byte order");
    let root = next()?;
    let keys = next()?;
    let mut sizes = HashMap::new();
    item_sizes(&root, &mut sizes);
    let mut place = HashMap::new();
    for key in keys.as_list().context("it has no list of storages")? {
        let key = key.as_str().context("a storage key that is not text")?;
        let (start, end) = (at + 8, sizes.get(key).copied());
        let end = end.and_then(|item| {
            let count = bytes.get(at..start)?.try_into().expect("eight bytes were asked for");
            let length = usize::try_from(u64::from_le_bytes(count)).ok()?.checked_mul(item)?;
            start.checked_add(length).filter(|&end| end <= bytes.len())
        });
        at = end.with_context(|| format!("its storage `{key}` is cut short or unknown"))?;
        place.insert(key.to_owned(), start..at);
    }
    Ok((root, Storages::Legacy { bytes, place }))
}

/// The item size of every storage that a value refers to: the older form counts items, not bytes.
fn item_sizes(value: &Value, sizes: &mut HashMap<String, usize>) {
    match value {
        Value::List(items) | Value::Tuple(items) => {
            items.iter().for_each(|item| item_sizes(item, sizes));
        }
        Value::Dict(items) => items.iter().for_each(|(_, item)| item_sizes(item, sizes)),
        Value::Object(object) => {
            object.args.iter().for_each(|item| item_sizes(item, sizes));
            object.items.iter().for_each(|(_, item)| item_sizes(item, sizes));
            item_sizes(&object.state, sizes);
        }
        Value::Persistent(id) => {
            if let Ok(storage) = super::storage::Storage::parse(id) {
                sizes.insert(storage.key.to_owned(), storage.item_size());
            }
        }
        _ => (),
    }
}
