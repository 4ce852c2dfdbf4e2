//! The python batches: pickled dictionaries, read without running what is in them.

use super::{Batch, Format, PIXELS, check_labels};
use anyhow::{Context, Result, ensure};
use tch::{Kind, Tensor};
use tensorfile::pickle::{self, Array, Value};

/// Reads one batch: `data`, a u8 array [N, 3072], and labels, a list of N numbers.
pub(super) fn records(bytes: &[u8], format: &Format) -> Result<Batch> {
    let key = format.labels;
    let told = || format!("not a python batch of {}", format.title);
    let batch = pickle::parse(bytes).with_context(told)?;
    let labels = batch.get(key).and_then(Value::as_list);
    let labels = labels.with_context(|| format!("no list `{key}` in it"))?;
    let labels: Option<Vec<i64>> = labels.iter().map(Value::as_int).collect();
    let labels =
        labels.with_context(|| format!("`{key}` holds something that is not a whole number"))?;
    let array = batch.get("data").and_then(Value::as_array).context("no array `data` in it")?;
    let Array { shape, dtype, data } = array;
    let n = labels.len();
    ensure!(n > 0, "it has no record");
    ensure!(dtype.trim_start_matches('|') == "u1", "`data` has the type `{dtype}`, not u8");
    ensure!(
        *shape == [n as i64, PIXELS as i64] && data.len() == n * PIXELS,
        "`data` has the shape {shape:?}; {n} labels need [{n}, {PIXELS}]"
    );
    check_labels(&labels, format)?;
    let images = Tensor::from_data_size(data, &[n as i64, 3, 32, 32], Kind::Uint8);
    Ok((images, Tensor::from_slice(&labels)))
}

/// The names that `key` lists in the file about the batches.
pub(super) fn classes(bytes: &[u8], key: &str, format: &Format) -> Result<Vec<String>> {
    let told = || format!("not the meta file of {}", format.title);
    let meta = pickle::parse(bytes).with_context(told)?;
    let names = meta.get(key).and_then(Value::as_list);
    let names = names.with_context(|| format!("no `{key}`"))?;
    let text = |name: &Value| match name.as_str() {
        Some(text) => Some(text.to_owned()),
        None => name.as_bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
    };
    let names: Option<Vec<String>> = names.iter().map(text).collect();
    names.with_context(|| format!("`{key}` holds something that is not text"))
}
