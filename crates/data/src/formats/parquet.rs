//! `parquet:`: pictures and labels in the rows of Parquet files, as Hugging Face stores and serves datasets: a
//! column of encoded pictures, perhaps one of labels, whose names are in the files' metadata.

use crate::{Dataset, Files, Images, Options, folder::approximations, picture::Picture};
use anyhow::{Context, Result, anyhow, bail, ensure};
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::{Field, Row},
};
use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};
use tch::Tensor;

mod columns;
mod parts;

pub(crate) use parts::lies_in;

use columns::Columns;
use parts::Part;

/// Reads one split: images u8 [N, C, H, W], still encoded, in memory. Files without parts are read whole for
/// either split. Errors: no column of pictures, several of labels, a row without either, more than
/// `options.memory` of encoded pictures.
pub(crate) fn load(path: &Path, options: &Options) -> Result<Dataset> {
    let Part { files, whole, mut notes } = parts::part(path, options.split)?;
    let mut rows = Rows::default();
    let mut first: Option<Columns> = None;
    for file in &files {
        let told = || format!("cannot read `{}` as a Parquet file", file.display());
        // The reader of a broken file may panic.
        let read = catch_unwind(AssertUnwindSafe(|| rows.read(file, first.as_ref(), options)));
        let columns = read.map_err(|_| anyhow!("it is broken")).and_then(|read| read);
        first = Some(columns.with_context(told)?);
    }
    let columns = first.context("no file")?;
    ensure!(!rows.pictures.is_empty(), "`{}` has no row", path.display());
    notes.extend(columns.passed());
    notes.extend(approximations(&rows.pictures)?);
    let name = path.canonicalize().unwrap_or(path.to_owned());
    let name = name.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let n = rows.pictures.len() as i64;
    let images = Images::Streamed(Files::new(rows.pictures, options)?);
    let Some(labels) = columns.numbers(rows.labels)? else {
        let labels = Tensor::zeros([n], (tch::Kind::Int64, tch::Device::Cpu));
        let set = Dataset::new(name, images, labels, vec!["0".into()]);
        return Ok(Dataset { labelled: false, named: false, whole, notes, ..set });
    };
    let set = Dataset::new(name, images, Tensor::from_slice(&labels.of), labels.classes);
    Ok(Dataset { named: labels.named, whole, notes, ..set })
}

/// What was read of the rows, file by file.
#[derive(Default)]
struct Rows {
    pictures: Vec<Picture>,
    labels: Vec<Field>,
    bytes: u64,
}

impl Rows {
    /// The rows of `file`, whose columns are those of the files before it.
    fn read(&mut self, file: &Path, first: Option<&Columns>, options: &Options) -> Result<Columns> {
        let reader = SerializedFileReader::new(File::open(file)?)?;
        let about = reader.metadata().file_metadata();
        let columns = Columns::of(about, options.label_column.as_deref())?;
        if let Some(first) = first {
            ensure!(
                columns.same(first),
                "its columns or classes are not those of the files before it"
            );
        }
        let wanted = columns.wanted(about.schema_descr().root_schema())?;
        for (number, row) in reader.get_row_iter(Some(wanted))?.enumerate() {
            let told = || format!("row {number}");
            let row = row.with_context(told)?;
            let (picture, label) = cells(row, &columns).with_context(told)?;
            self.bytes += picture.len() as u64;
            ensure!(
                self.bytes <= options.memory,
                "the encoded pictures take more than {} MB of memory (`--memory`)",
                options.memory / 1_000_000
            );
            let name = format!("{}, row {number}", file.display());
            self.pictures.push(Picture::Held(Arc::new((name, picture))));
            self.labels.extend(label);
        }
        Ok(columns)
    }
}

/// The encoded picture and the label of a row. Errors: either is not there.
fn cells(row: Row, columns: &Columns) -> Result<(Vec<u8>, Option<Field>)> {
    let (mut picture, mut label) = (None, None);
    for (name, cell) in row.into_columns() {
        if name == columns.picture {
            picture = Some(encoded(cell)?);
        } else {
            label = Some(cell);
        }
    }
    let missing = label.as_ref().is_some_and(|cell| matches!(cell, Field::Null));
    ensure!(!missing, "it has no label");
    Ok((picture.context("it has no picture")?, label))
}

/// The bytes of an encoded picture: a cell of bytes, or of bytes and a path.
fn encoded(cell: Field) -> Result<Vec<u8>> {
    match cell {
        Field::Bytes(bytes) => Ok(bytes.data().to_vec()),
        Field::Group(cells) => {
            let mut path = None;
            for (name, cell) in cells.into_columns() {
                match (name.as_str(), cell) {
                    ("bytes", Field::Bytes(bytes)) => return Ok(bytes.data().to_vec()),
                    ("path", Field::Str(found)) => path = Some(found),
                    _ => {}
                }
            }
            match path {
                Some(path) => bail!("its picture is not in the file but at `{path}`"),
                None => bail!("it has no picture"),
            }
        }
        _ => bail!("it has no picture"),
    }
}
