//! Whatever reads bytes that others wrote, as functions of bytes: what is fuzzed.
//! `tests/it/readers.rs` calls them on any Rust, `fuzz/` with coverage. A reader may refuse; it may
//! not panic, hang or take memory out of proportion.

use crate::report;
use anyhow::Result;
use data::{Options, Split};
use experiment::Experiment;
use models::checkpoint;
use std::{fs, path::Path};
use tempfile::TempDir;
use tensorfile::{TensorFile, Weights};

/// One reader.
pub struct Reader {
    /// The name of its target and of the folder of its corpus.
    pub name: &'static str,
    /// Errors: what the reader says of bytes that it refuses.
    pub read: fn(&[u8]) -> Result<()>,
}

/// Every reader, sorted by name.
pub const READERS: &[Reader] = &[
    Reader { name: "arff", read: |bytes| set("arff", "table.arff", bytes) },
    Reader { name: "cifar-archive", read: |bytes| set("cifar10", "cifar.tar.gz", bytes) },
    Reader { name: "cifar-binary", read: |bytes| set("cifar10", "test_batch.bin", bytes) },
    Reader { name: "cifar-python", read: |bytes| set("cifar10", "test_batch", bytes) },
    Reader { name: "config", read: config },
    Reader { name: "csv", read: |bytes| set("csv", "table.csv", bytes) },
    Reader { name: "experiment", read: experiment },
    Reader { name: "idx", read: idx },
    Reader { name: "index", read: index },
    Reader { name: "log", read: |bytes| reported("log.jsonl", bytes) },
    Reader { name: "method", read: method },
    Reader { name: "network", read: |bytes| alone("model.onnx", bytes, network) },
    Reader { name: "onnx", read: |bytes| alone("model.onnx", bytes, onnx) },
    Reader { name: "pickle", read: |bytes| tensorfile::pickle::parse(bytes).map(drop) },
    Reader { name: "result", read: |bytes| reported("result.json", bytes) },
    Reader { name: "safetensors", read: |bytes| set("tensors", "set.safetensors", bytes) },
    Reader { name: "torch", read: |bytes| alone("weights.pt", bytes, tensors) },
    Reader { name: "weights", read: weights },
];

/// What `use_it` makes of a folder that holds `bytes` as a file called `name`.
fn alone(name: &str, bytes: &[u8], use_it: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let folder = TempDir::new()?;
    let path = folder.path().join(name);
    fs::write(&path, bytes)?;
    use_it(&path)
}

/// A file of labelled images or rows.
fn set(kind: &str, name: &str, bytes: &[u8]) -> Result<()> {
    alone(name, bytes, |path| {
        let options = Options::from(Split::Test);
        data::load(&format!("{kind}:{}", path.display()), &options)?.describe(|_| ()).map(drop)
    })
}

/// One of MNIST's files beside a good one: labels where the first byte is odd, else images.
fn idx(bytes: &[u8]) -> Result<()> {
    let good = |magic: u8, sizes: &[u32], items: usize| {
        let sizes = sizes.iter().flat_map(|n| n.to_be_bytes());
        [0, 0, 8, magic].into_iter().chain(sizes).chain(vec![1; items]).collect::<Vec<u8>>()
    };
    let (images, labels) = (good(3, &[2, 28, 28], 2 * 28 * 28), good(1, &[2], 2));
    let (first, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let (images, labels) =
        if first % 2 == 1 { (images.as_slice(), rest) } else { (rest, labels.as_slice()) };
    alone("t10k-images-idx3-ubyte", images, |path| {
        fs::write(path.with_file_name("t10k-labels-idx1-ubyte"), labels)?;
        let spec = format!("mnist:{}", path.with_file_name("").display());
        data::load(&spec, &Options::from(Split::Test)).map(drop)
    })
}

/// Weights of whichever architecture they say, or of `mlp`.
fn weights(bytes: &[u8]) -> Result<()> {
    alone("weights", bytes, |path| {
        checkpoint::contents(path, &Default::default())?;
        let hints = checkpoint::Hints { arch: Some("mlp".into()), ..Default::default() };
        checkpoint::load(path, &hints).map(drop)
    })
}

/// Every tensor of a checkpoint, or of the shards that an index names.
fn tensors(path: &Path) -> Result<()> {
    let mut weights = Weights::open(path)?;
    let names: Vec<String> = weights.names().map(str::to_owned).collect();
    names.iter().try_for_each(|name| weights.tensor(name).map(drop))
}

/// Every tensor of an ONNX file, and the file with the same weights.
fn onnx(path: &Path) -> Result<()> {
    let file = tensorfile::onnx::File::open(path)?;
    let tensors = file.graph().initializer.iter().map(|proto| Ok((proto, file.tensor(proto)?)));
    let tensors: Vec<_> = tensors.collect::<Result<_>>()?;
    let writable = tensors.iter().filter(|(proto, _)| file.check_writable(proto).is_ok());
    let same: Vec<_> = writable.map(|(proto, tensor)| (*proto, tensor)).collect();
    file.rewritten(&same, &[("classes", "cat")]).map(drop)
}

/// The network of an ONNX file, tried on images.
fn network(path: &Path) -> Result<()> {
    checkpoint::load(path, &Default::default()).map(drop)
}

/// An index of shards, beside one shard.
fn index(bytes: &[u8]) -> Result<()> {
    alone("model.safetensors.index.json", bytes, |path| {
        TensorFile::default().write(&path.with_file_name("model-00001-of-00001.safetensors"))?;
        tensors(path)
    })
}

/// Settings of a training run.
fn config(bytes: &[u8]) -> Result<()> {
    let config = train::Config::parse(std::str::from_utf8(bytes)?, &[])?;
    train::objective::objective(&config.objective)?;
    train::optimizer::optimizer(&config.optimizer)?;
    train::schedule::schedule(&config.schedule)?;
    config.model.arch.as_deref().map_or(Ok(()), |arch| models::zoo::arch(arch).map(drop))
}

/// An experiment, at its first scales.
fn experiment(bytes: &[u8]) -> Result<()> {
    alone("experiment.toml", bytes, |path| {
        let scales = Experiment::read(path, experiment::PAPER, &[])?.file.scale;
        let mut some = scales.keys().take(3);
        some.try_for_each(|scale| Experiment::read(path, scale, &[]).map(drop))
    })
}

/// Methods, attacks, optimisers, metrics and numbers, as people type them.
fn method(bytes: &[u8]) -> Result<()> {
    let text = std::str::from_utf8(bytes)?;
    let _ = registry::parse_fraction(text);
    let _ = attack::Beta::parse(text);
    for one in registry::split(text) {
        let table = registry::parse(&one)?;
        let _ = explain::method(table.clone());
        let _ = explain::metric::metric(table.clone());
        let _ = attack::map_objective(table.clone());
        let _ = attack::optimizer(table.clone());
        let _ = attack::prediction::adversary(table);
    }
    Ok(())
}

/// A file that a report is made of. The page takes ten times as long as its numbers and is made of one
/// file in 16; its figures take a thousand times as long and are drawn of one in 512.
fn reported(name: &str, bytes: &[u8]) -> Result<()> {
    alone(name, bytes, |path| {
        let folder = path.with_file_name("");
        let inputs = report::collect(std::slice::from_ref(&folder))?;
        report::numbers(&inputs)?;
        // By a sum of its bytes, not by its length, which changes of a drawn file would keep.
        match bytes.iter().fold(7u32, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into())) {
            sum if sum.is_multiple_of(512) => report::write(&folder, &inputs).map(drop),
            sum if sum.is_multiple_of(16) => report::index(&folder, &inputs).map(drop),
            _ => Ok(()),
        }
    })
}
