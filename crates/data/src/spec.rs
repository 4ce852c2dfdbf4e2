//! What `--data` may be: `KIND:PATH`, or a path whose kind is recognised by what is in it.

use crate::{Dataset, Options, SOURCES, Source, Split, folder, mnist};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::{collections::BTreeSet, path::Path};

/// Reads the data `spec` names, onto the CPU; class folders into memory where they fit. Errors name the
/// file and what is wrong.
pub fn load(spec: &str, options: &Options) -> Result<Dataset> {
    open(spec, options)?.in_memory(|_| ())
}

/// The data `spec` names, on the CPU, class folders still in their files: what is taken from them by
/// [`Dataset::of_number`] and [`Dataset::slice`] is all that is ever read. Errors name the file and what
/// is wrong.
pub fn open(spec: &str, options: &Options) -> Result<Dataset> {
    let Some(holdout) = options.holdout else { return read(spec, options) };
    // All of it is what would be trained on.
    let whole = read(spec, &Options { split: Split::Train, ..options.clone() })?;
    holdout.part(&whole, options.split)
}

/// Reads the data without a holdout.
fn read(spec: &str, options: &Options) -> Result<Dataset> {
    let (kind, rest) = kind_of(spec)?;
    ensure!(
        kind.is_table || options.label_column.is_none(),
        "`--label-column` is for csv and arff, not {}",
        kind.name
    );
    ensure!(
        kind.has_channels || options.channels.is_none(),
        "`--channels` is for folders of pictures, not {}",
        kind.name
    );
    (kind.load)(rest, options)
}

/// Whether two specifications name the same file or folder, by whatever path, or are the same text.
pub fn same_place(one: &str, other: &str) -> bool {
    let place = |spec: &str| {
        let (_, rest) = kind_of(spec).ok()?;
        let path = if Path::new(rest).exists() { rest } else { rest.split(',').next()? };
        Path::new(path).canonicalize().ok()
    };
    one == other || place(one).is_some_and(|one| Some(one) == place(other))
}

/// Splits `spec` into its kind, one of [`SOURCES`], and the rest.
fn kind_of(spec: &str) -> Result<(&'static Source, &str)> {
    let (word, rest) = spec.split_once(':').unwrap_or((spec, ""));
    if let Some(kind) = SOURCES.iter().find(|kind| kind.name == word) {
        let given = kind.is_drawn || !rest.is_empty();
        ensure!(given, "`{word}` needs a path, as in `{word}:PATH`");
        return Ok((kind, rest));
    }
    let path = Path::new(spec);
    if path.exists() {
        return Ok((recognise(path)?, spec));
    }
    // A path with settings behind it.
    if let Some((file, _)) = spec.split_once(',').filter(|(file, _)| Path::new(file).exists()) {
        return Ok((recognise(Path::new(file))?, spec));
    }
    let names = names();
    let is_word = word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    ensure!(word == spec || !is_word, "unknown kind of data `{word}`; known kinds: {names}");
    bail!("no such file or folder: `{spec}` (nor is it a kind of data; known kinds: {names})")
}

/// The kind of what is at `path`.
fn recognise(path: &Path) -> Result<&'static Source> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let hint = format!("say which with KIND:PATH; known kinds: {}", names());
    if path.is_file() {
        let kind = SOURCES.iter().find(|kind| (kind.is_file)(&name));
        return kind.map_or_else(|| Err(unrecognised(path, &name, &hint)), Ok);
    }
    let told = || format!("cannot read the folder `{}`", path.display());
    let mut found = BTreeSet::new();
    let mut folders = false;
    for entry in path.read_dir().with_context(told)? {
        let entry = entry.with_context(told)?;
        let name = entry.file_name().to_string_lossy().to_lowercase();
        let is_folder = entry.path().is_dir();
        let kind = SOURCES.iter().find(|kind| (kind.is_folder_with)(&name, is_folder));
        found.extend(kind.map(|kind| kind.name));
        folders |= entry.path().is_dir() && !folder::is_junk(&name);
    }
    let kinds: Vec<&str> = found.into_iter().collect();
    match kinds[..] {
        [] if folders => Ok(named("folder")),
        [] => bail!("nothing recognised in the folder `{}`; {hint}", path.display()),
        [kind] => Ok(named(kind)),
        _ => bail!("`{}` holds several sets: {}; {hint}", path.display(), kinds.join(", ")),
    }
}

/// The names of all kinds.
fn names() -> String {
    SOURCES.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ")
}

fn named(name: &str) -> &'static Source {
    SOURCES.iter().find(|kind| kind.name == name).expect("a name from the list")
}

/// Why the kind of a file is not known; its name in lower case.
fn unrecognised(path: &Path, name: &str, hint: &str) -> anyhow::Error {
    let path = path.display();
    match foreign(name) {
        _ if mnist::is_part(name) => {
            anyhow!("`{path}` is one of the four files of MNIST; give their folder")
        }
        Some(what) => anyhow!("`{path}` is {what}"),
        None => anyhow!("`{path}` is of no kind recognised by its name; {hint}"),
    }
}

/// What a file with this name, in lower case, is, and how its data become some that are read.
fn foreign(name: &str) -> Option<String> {
    let (_, ending) = name.rsplit_once('.')?;
    let tensors = "save `images` ([N, C, H, W], u8 or in [0, 1]) and `labels` ([N], i64) with \
                   `safetensors.numpy.save_file({\"images\": …, \"labels\": …}, \"set.safetensors\")`";
    let torch = "save `images` ([N, C, H, W], u8 or in [0, 1]) and `labels` ([N], i64) with \
                 `safetensors.torch.save_file({\"images\": …, \"labels\": …}, \"set.safetensors\")`";
    let table =
        |reader| format!("write it as csv: `pandas.{reader}(…).to_csv(\"set.csv\", index=False)`");
    let (what, how) = match ending {
        "npy" | "npz" => ("NumPy's file", tensors.to_owned()),
        "mat" => ("MATLAB's file", tensors.to_owned()),
        "pt" | "pth" | "pkl" | "pickle" => {
            ("a pickle, which is not read as data", torch.to_owned())
        }
        "h5" | "hdf5" => ("an HDF5 file", tensors.to_owned()),
        "parquet" => ("a Parquet table", table("read_parquet")),
        "feather" | "arrow" => ("an Arrow table", table("read_feather")),
        "xls" | "xlsx" | "ods" => ("a workbook", table("read_excel")),
        "json" | "jsonl" => ("JSON text", table("read_json")),
        "zip" | "tar" | "rar" | "7z" => ("an archive", "unpack it and give the folder".into()),
        "png" | "jpg" | "jpeg" => {
            ("one picture", "give the folder that holds a folder a class".into())
        }
        "txt" | "data" | "dat" => {
            ("text of some kind", "a table with a line of names is read as `csv:PATH`".into())
        }
        _ => return None,
    };
    Some(format!("{what}; {how}"))
}
