//! What `--data` may be: `KIND:PATH`, or a path whose kind is recognised by what is in it.

use crate::{
    Dataset, Options, SOURCES, Source, Split, folder, formats::parquet, home::located, mnist,
    picture,
};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Reads the data `spec` names, onto the CPU; class folders into memory where they fit. Errors name the
/// file and what is wrong.
///
/// ```
/// use data::Split;
///
/// let set = data::load("shapes:train=6,test=4", &Split::Train.into())?;
/// assert_eq!((set.len(), set.image_shape()), (6, [3, 32, 32]));
/// let error = data::load("shapes:tests=4", &Split::Train.into()).unwrap_err();
/// assert!(format!("{error:#}").contains("unknown field `tests`"));
/// # Ok::<(), anyhow::Error>(())
/// ```
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
    let (kind, path, text) = parts(spec)?;
    ensure!(
        kind.has_label_column || options.label_column.is_none(),
        "`--label-column` is for csv, arff and parquet, not {}",
        kind.name
    );
    ensure!(
        kind.has_channels || options.channels.is_none(),
        "`--channels` is for folders of pictures, not {}",
        kind.name
    );
    let there = kind.is_drawn || kind.takes_patterns || path.exists();
    ensure!(there, "no such file or folder: `{}`", path.display());
    let mut table = registry::parse(&format!("{}:{text}", kind.name))?;
    table.remove("name");
    let loader = (kind.build)(table).with_context(|| format!("`{spec}`"))?;
    loader.load(&path, options)
}

/// The file or folder that `spec` names; none where it is drawn or nothing is there.
pub fn place(spec: &str) -> Option<PathBuf> {
    let (_, path, _) = parts(spec).ok()?;
    path.exists().then_some(path)
}

/// Whether two specifications name the same file or folder, by whatever path, or are the same text.
pub fn same_place(one: &str, other: &str) -> bool {
    let place = |spec| place(spec)?.canonicalize().ok();
    one == other || place(one).is_some_and(|one| Some(one) == place(other))
}

/// The kind that `spec` names, one of [`SOURCES`], its path and the text of its options.
fn parts(spec: &str) -> Result<(&'static Source, PathBuf, &str)> {
    let (word, rest) = spec.split_once(':').unwrap_or((spec, ""));
    // A word alone may be the name of a file or a folder.
    let path = spec == word && there(spec).is_some();
    let mut kinds = SOURCES.iter().filter(|kind| kind.is_drawn || !path);
    if let Some(kind) = kinds.find(|kind| kind.name == word) {
        if kind.is_drawn {
            return Ok((kind, PathBuf::new(), rest));
        }
        ensure!(!rest.is_empty(), "`{word}` needs a path, as in `{word}:PATH`");
        let (path, text) = path_and_options(rest, kind);
        return Ok((kind, path, text));
    }
    if let Some((path, text)) = there(spec) {
        return Ok((recognise(&path)?, path, text));
    }
    if spec.contains(['*', '?', '[']) {
        return Ok((named("pictures"), spec.into(), ""));
    }
    let names = names();
    let is_word = word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    ensure!(word == spec || !is_word, "unknown kind of data `{word}`; known kinds: {names}");
    bail!("no such file or folder: `{spec}` (nor is it a kind of data; known kinds: {names})")
}

/// The path of `PATH,key=value` and its options: the first that is there, else what stands before an
/// option of the kind.
fn path_and_options<'a>(rest: &'a str, kind: &Source) -> (PathBuf, &'a str) {
    there(rest).unwrap_or_else(|| {
        let settings = kind.options.settings();
        let starts = settings.iter().filter_map(|s| rest.find(&format!(",{}=", s.name)));
        let (path, text) = rest.split_at(starts.min().unwrap_or(rest.len()));
        (path.into(), text.trim_start_matches(','))
    })
}

/// What is there of `PATH` or `PATH,key=value`, and what stands behind it.
fn there(text: &str) -> Option<(PathBuf, &str)> {
    let found = |path: &str| Some(located(Path::new(path))).filter(|path| path.exists());
    let commas = text.match_indices(',').map(|(at, _)| (&text[..at], &text[at + 1..]));
    let mut parts = [(text, "")].into_iter().chain(commas);
    parts.find_map(|(path, rest)| Some((found(path)?, rest)))
}

/// The kind of what is at `path`.
fn recognise(path: &Path) -> Result<&'static Source> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let hint = format!("say which with KIND:PATH; known kinds: {}", names());
    if path.is_file() {
        let picture = picture::is_named_so(path).then(|| named("pictures"));
        let kind = SOURCES.iter().find(|kind| (kind.is_file)(&name)).or(picture);
        return kind.map_or_else(|| Err(unrecognised(path, &name, &hint)), Ok);
    }
    let told = || format!("cannot read the folder `{}`", path.display());
    let mut found = BTreeSet::new();
    let (mut folders, mut pictures) = (false, false);
    for entry in path.read_dir().with_context(told)? {
        let entry = entry.with_context(told)?;
        let name = entry.file_name().to_string_lossy().to_lowercase();
        let is_folder = entry.path().is_dir();
        let kind = SOURCES.iter().find(|kind| (kind.is_folder_with)(&name, is_folder));
        found.extend(kind.map(|kind| kind.name));
        folders |= is_folder && !folder::is_junk(&name);
        pictures |= !is_folder && !folder::is_junk(&name) && picture::is_named_so(&entry.path());
    }
    let kinds: Vec<&str> = found.into_iter().collect();
    match kinds[..] {
        [] if folders && parquet::lies_in(path) => Ok(named("parquet")),
        [] if folders => Ok(named("folder")),
        [] if pictures => Ok(named("pictures")),
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
        "feather" | "arrow" => ("an Arrow table", table("read_feather")),
        "xls" | "xlsx" | "ods" => ("a workbook", table("read_excel")),
        "json" | "jsonl" => ("JSON text", table("read_json")),
        "zip" | "tar" | "rar" | "7z" => ("an archive", "unpack it and give the folder".into()),
        "txt" | "data" | "dat" => {
            ("text of some kind", "a table with a line of names is read as `csv:PATH`".into())
        }
        _ => return None,
    };
    Some(format!("{what}; {how}"))
}
