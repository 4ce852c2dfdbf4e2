//! What `--data` may be: `KIND:PATH`, or a path whose kind is recognised by what is in it.

use crate::{
    Dataset, Features, Holdout, cifar, features, folder, mnist, shapes::Shapes, simulated, table,
    tensors,
};
use anyhow::{Context, Result, bail, ensure};
use std::{collections::BTreeSet, path::Path};

/// Which part of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// What a network is trained on.
    Train,
    /// What it is measured on.
    Test,
}

/// What [`Options::memory`] usually is: 4 GB.
pub const MEMORY: u64 = 4_000_000_000;

/// How a set is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Which part of it. A single file, or a folder without parts, is read whole for either, unless there is a
    /// holdout.
    pub split: Split,
    /// How data without parts are cut into two; none: they are not.
    pub holdout: Option<Holdout>,
    /// `folder:` only: every image is resized to this height and width, in pixels.
    pub size: Option<i64>,
    /// `folder:` only: the channels of every image, 1 or 3; none: those of the first.
    pub channels: Option<i64>,
    /// `folder:` only: bytes of decoded images kept in memory. A larger set stays in its files, which are
    /// read while they are used; then this many bytes may wait, decoded, and three batches more.
    pub memory: u64,
    /// `csv:` and `arff:` only: the name of the column that holds the class; none: the last.
    pub label_column: Option<String>,
    /// Tables only: the columns that a network takes, which are looked for by name and scaled as they
    /// were for its training.
    pub features: Option<Features>,
}

impl From<Split> for Options {
    fn from(split: Split) -> Self {
        Options {
            split,
            holdout: None,
            size: None,
            channels: None,
            memory: MEMORY,
            label_column: None,
            features: None,
        }
    }
}

/// Every kind of data and what it reads, sorted by name.
pub const KINDS: &[(&str, &str)] = &[
    (
        "arff",
        "a Weka table, its columns of numbers scaled; a fifth of the rows is for testing, all of a table \
         that the weights were not trained on: `arff:FILE`, perhaps with `,columns=complete` (those that \
         lack no value), `,columns=A+B`, `,split=SEED`, `,rows=all`",
    ),
    ("cifar10", "binary or python batches: their folder, its .tar.gz, or one batch file"),
    ("cifar100", "the same of CIFAR-100; with `,labels=coarse` its 20 groups of classes"),
    (
        "csv",
        "a table whose first line names its columns, with commas, tabs, semicolons or bars (.csv, .tsv); with \
         the settings of arff",
    ),
    (
        "folder",
        "one folder of pictures per class (png, jpeg, bmp, gif, webp, tiff, pnm; grey where the first is), perhaps in \
         train/ and test/, val/, valid/ or validation/; Tiny ImageNet; one larger than `--memory` is read while it \
         is used",
    ),
    (
        "mnist",
        "a folder with the four idx files, gzipped or not; Fashion-MNIST, KMNIST and EMNIST as well, of which \
         `,set=letters` picks one",
    ),
    (
        "shapes",
        "ten silhouettes drawn from a seed: `shapes` or `shapes:seed=0,train=6000,test=1000`; with `pair=left` or \
         `pair=right` two side by side, of which that one makes the class",
    ),
    (
        "simulated",
        "two Gaussians in the plane: `simulated` or `simulated:seed=0,points=1000,mean=1`",
    ),
    (
        "tensors",
        "a safetensors file with `images` and `labels`, or a folder with train and test; of a file that an \
         attack wrote, `tensors:FILE,images=adversarial` takes the attacked images",
    ),
];

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
    let table = matches!(kind, "arff" | "csv");
    ensure!(
        table || options.label_column.is_none(),
        "`--label-column` is for csv and arff, not {kind}"
    );
    ensure!(
        kind == "folder" || options.channels.is_none(),
        "`--channels` is for folders of pictures, not {kind}"
    );
    match kind {
        "shapes" => return Ok(Shapes::parse(rest)?.generate(options.split)),
        "simulated" => {
            let set = simulated::load(rest, options.split)?;
            return features::fitted(set, options.features.as_ref());
        }
        "arff" | "csv" => return table::load(kind, rest, options),
        "tensors" => {
            let set = tensors::load(rest, options.split)?;
            return features::fitted(set, options.features.as_ref());
        }
        "mnist" => return mnist::load(rest, options.split),
        "cifar100" => return cifar100(rest, options.split),
        _ => {}
    }
    let split = options.split;
    let path = Path::new(rest);
    ensure!(path.exists(), "no such file or folder: `{rest}`");
    match kind {
        "cifar10" => cifar::load(path, &cifar::TEN, split),
        "folder" => folder::load(path, options),
        other => unreachable!("`{other}` is not in KINDS"),
    }
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

/// Reads `rest`, a path and perhaps `,labels=coarse`.
fn cifar100(rest: &str, split: Split) -> Result<Dataset> {
    let (path, labels) = rest.rsplit_once(",labels=").unwrap_or((rest, "fine"));
    ensure!(Path::new(path).exists(), "no such file or folder: `{path}`");
    let format = match labels {
        "fine" => &cifar::FINE,
        "coarse" => &cifar::COARSE,
        other => bail!("`labels={other}` of `cifar100` is neither fine nor coarse"),
    };
    cifar::load(Path::new(path), format, split)
}

/// Splits `spec` into its kind, one of [`KINDS`], and the rest.
fn kind_of(spec: &str) -> Result<(&'static str, &str)> {
    let (word, rest) = spec.split_once(':').unwrap_or((spec, ""));
    let known = KINDS.iter().map(|(name, _)| *name).find(|name| *name == word);
    match known {
        Some(kind @ ("shapes" | "simulated")) => return Ok((kind, rest)),
        Some(kind) => {
            ensure!(!rest.is_empty(), "`{word}` needs a path, as in `{word}:PATH`");
            return Ok((kind, rest));
        }
        None => {}
    }
    let path = Path::new(spec);
    if path.exists() {
        return Ok((recognise(path)?, spec));
    }
    // A path with settings behind it.
    if let Some((file, _)) = spec.split_once(',').filter(|(file, _)| Path::new(file).exists()) {
        return Ok((recognise(Path::new(file))?, spec));
    }
    let names = KINDS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let is_word = word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    ensure!(word == spec || !is_word, "unknown kind of data `{word}`; known kinds: {names}");
    bail!("no such file or folder: `{spec}` (nor is it a kind of data; known kinds: {names})")
}

/// The settings of a set that is drawn, `KEY=VALUE,…`; `known` says which there are.
pub(crate) fn settings<'a>(
    text: &'a str,
    known: &'a str,
) -> impl Iterator<Item = Result<(&'a str, &'a str)>> {
    text.split(',').filter(|part| !part.trim().is_empty()).map(move |part| {
        let (key, value) =
            part.split_once('=').with_context(|| format!("`{part}` has no `=`; {known}"))?;
        Ok((key.trim(), value.trim()))
    })
}

/// The kind of what is at `path`.
fn recognise(path: &Path) -> Result<&'static str> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let names = KINDS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let hint = format!("say which with KIND:PATH; known kinds: {names}");
    if path.is_file() {
        return match name.as_str() {
            name if name.ends_with(".safetensors") => Ok("tensors"),
            name if is_table(name) => Ok("csv"),
            name if name.ends_with(".arff") => Ok("arff"),
            name if name.ends_with(".tar.gz") || name.ends_with(".tgz") => {
                let hundred = name.contains("cifar-100") || name.contains("cifar100");
                Ok(if hundred { "cifar100" } else { "cifar10" })
            }
            name if cifar::TEN.is_batch(name) => Ok("cifar10"),
            name if cifar::FINE.is_batch(name) => Ok("cifar100"),
            name if mnist::is_part(name) => {
                bail!("`{}` is one of the four files of MNIST; give their folder", path.display())
            }
            name => match foreign(name) {
                Some(what) => bail!("`{}` is {what}", path.display()),
                None => bail!("`{}` is of no kind recognised by its name; {hint}", path.display()),
            },
        };
    }
    let told = || format!("cannot read the folder `{}`", path.display());
    let mut found = BTreeSet::new();
    let mut folders = false;
    for entry in path.read_dir().with_context(told)? {
        let entry = entry.with_context(told)?;
        let name = entry.file_name().to_string_lossy().to_lowercase();
        found.extend(kind_inside(&name, entry.path().is_dir()));
        folders |= entry.path().is_dir() && !folder::is_junk(&name);
    }
    let kinds: Vec<&str> = found.into_iter().collect();
    match kinds[..] {
        [] if folders => Ok("folder"),
        [] => bail!("nothing recognised in the folder `{}`; {hint}", path.display()),
        [kind] => Ok(kind),
        _ => bail!("`{}` holds several sets: {}; {hint}", path.display(), kinds.join(", ")),
    }
}

/// Whether a file, named in lower case, is a table with a sign between cells, which its lines tell.
fn is_table(name: &str) -> bool {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    [".csv", ".tsv", ".tab"].iter().any(|ending| name.ends_with(ending))
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

/// The kind of a folder that holds something with this name, in lower case; none: it says nothing.
fn kind_inside(name: &str, is_folder: bool) -> Option<&'static str> {
    if is_folder {
        return match name {
            name if cifar::TEN.folders.contains(&name) => Some("cifar10"),
            name if cifar::FINE.folders.contains(&name) => Some("cifar100"),
            _ => None,
        };
    }
    match name {
        name if cifar::TEN.is_batch(name) => Some("cifar10"),
        name if cifar::FINE.is_batch(name) => Some("cifar100"),
        name if mnist::is_part(name) => Some("mnist"),
        "train.safetensors" | "test.safetensors" => Some("tensors"),
        _ => None,
    }
}
