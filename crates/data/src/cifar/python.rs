//! CIFAR-10's python batches: pickled dictionaries, read without running what is in them.

use super::{Batch, PIXELS, check_labels};
use anyhow::{Context, Result, ensure};
use tch::{Kind, Tensor};
use tensorfile::pickle::{self, Array, Value};

/// Reads one batch: `data`, a u8 array [N, 3072], and `labels`, a list of N numbers.
pub(super) fn records(bytes: &[u8]) -> Result<Batch> {
    let batch = pickle::parse(bytes).context("not a python batch of CIFAR-10")?;
    let labels = batch.get("labels").and_then(Value::as_list).context("no list `labels` in it")?;
    let labels: Option<Vec<i64>> = labels.iter().map(Value::as_int).collect();
    let labels = labels.context("`labels` holds something that is not a whole number")?;
    let array = batch.get("data").and_then(Value::as_array).context("no array `data` in it")?;
    let Array { shape, dtype, data } = array;
    let n = labels.len();
    ensure!(n > 0, "it has no record");
    ensure!(dtype.trim_start_matches('|') == "u1", "`data` has the type `{dtype}`, not u8");
    ensure!(
        *shape == [n as i64, PIXELS as i64] && data.len() == n * PIXELS,
        "`data` has the shape {shape:?}; {n} labels need [{n}, {PIXELS}]"
    );
    check_labels(&labels)?;
    let images = Tensor::from_data_size(data, &[n as i64, 3, 32, 32], Kind::Uint8);
    Ok((images, Tensor::from_slice(&labels)))
}

/// The `label_names` of `batches.meta`.
pub(super) fn classes(bytes: &[u8]) -> Result<Vec<String>> {
    let meta = pickle::parse(bytes).context("not the meta file of CIFAR-10")?;
    let names = meta.get("label_names").and_then(Value::as_list).context("no `label_names`")?;
    let text = |name: &Value| match name.as_str() {
        Some(text) => Some(text.to_owned()),
        None => name.as_bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
    };
    let names: Option<Vec<String>> = names.iter().map(text).collect();
    names.context("`label_names` holds something that is not text")
}
