//! Downloads CIFAR-10 and MNIST from their official places: resumed where they stopped, checked
//! by MD5, unpacked. What is already there is not fetched again.

use anyhow::{Context, Result, bail, ensure};
use md5::{Digest, Md5};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

mod http;

/// How far a download is.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// The name of the file.
    pub file: &'a str,
    /// Bytes on disk so far, those of an earlier run included.
    pub done: u64,
    /// Bytes in all, where the server says so.
    pub total: Option<u64>,
}

/// One file of a published set.
#[derive(Debug, Clone, Copy)]
pub struct Remote<'a> {
    /// Its name at the source and on disk.
    pub name: &'a str,
    /// Its MD5 in lower-case hexadecimal digits.
    pub md5: &'a str,
}

/// A published set: where its files are and what they become.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// What the set is called, also as a kind of data.
    pub name: &'a str,
    /// The folder of the files; ends with `/`.
    pub url: &'a str,
    /// The files.
    pub files: &'a [Remote<'a>],
    /// The folder a `.tar.gz` unpacks to; none where files are used as they are.
    pub unpacked: Option<&'a str>,
}

/// What there is to fetch, sorted by name.
pub const SOURCES: &[Source] = &[
    Source {
        name: "cifar10",
        url: "https://www.cs.toronto.edu/~kriz/",
        files: &[Remote {
            name: "cifar-10-binary.tar.gz",
            md5: "c32a1d4ab5d03f1284b67883e8d87530",
        }],
        unpacked: Some("cifar-10-batches-bin"),
    },
    Source {
        name: "mnist",
        url: "https://ossci-datasets.s3.amazonaws.com/mnist/",
        files: &[
            Remote { name: "train-images-idx3-ubyte.gz", md5: "f68b3c2dcbeaaa9fbdd348bbdeb94873" },
            Remote { name: "train-labels-idx1-ubyte.gz", md5: "d53e105ee54ea40749a09fcbcd1e9432" },
            Remote { name: "t10k-images-idx3-ubyte.gz", md5: "9fb629c4189551a2d022fa330f9573f3" },
            Remote { name: "t10k-labels-idx1-ubyte.gz", md5: "ec29112dd5afa0611ce80d1b7f02629c" },
        ],
        unpacked: None,
    },
];

/// Fetches the set `what` (a name of [`SOURCES`]) into the folder `dir`, from `base_url` instead
/// of the official place where one is given. Returns the folder to load as data.
pub fn fetch(
    what: &str,
    dir: &Path,
    base_url: Option<&str>,
    progress: &dyn Fn(Progress),
) -> Result<PathBuf> {
    let found = SOURCES.iter().find(|source| source.name == what);
    let names = || SOURCES.iter().map(|source| source.name).collect::<Vec<_>>().join(", ");
    let source = found.with_context(|| format!("cannot fetch `{what}`; known: {}", names()))?;
    Source { url: base_url.unwrap_or(source.url), ..*source }.fetch(dir, progress)
}

impl Source<'_> {
    /// Downloads, checks and unpacks what is not in `dir` yet. Returns the folder to load. Errors:
    /// no network (saying what to put where by hand), a wrong checksum, an unwritable folder.
    pub fn fetch(&self, dir: &Path, progress: &dyn Fn(Progress)) -> Result<PathBuf> {
        let place = self.unpacked.map_or(dir.to_owned(), |folder| dir.join(folder));
        if self.unpacked.is_some() && place.is_dir() {
            return Ok(place);
        }
        fs::create_dir_all(dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
        for file in self.files {
            let path = dir.join(file.name);
            if !(path.is_file() && md5(&path)? == file.md5) {
                self.download(file, &path, progress)?;
            }
            if let Some(folder) = self.unpacked {
                unpack(&path, dir, folder)?;
                // The folder is complete; another run needs the archive no more.
                fs::remove_file(&path).with_context(|| format!("removing `{}`", path.display()))?;
            }
        }
        Ok(place)
    }

    fn download(&self, file: &Remote, path: &Path, progress: &dyn Fn(Progress)) -> Result<()> {
        let slash = if self.url.ends_with('/') { "" } else { "/" };
        let url = format!("{}{slash}{}", self.url, file.name);
        let part = path.with_file_name(format!("{}.part", file.name));
        let report = |done, total| progress(Progress { file: file.name, done, total });
        http::download(&url, &part, &report).with_context(|| {
            format!(
                "cannot download `{url}`; run this again to go on, or fetch it by hand and put it \
                 at `{}`",
                path.display()
            )
        })?;
        let sum = md5(&part)?;
        if sum != file.md5 {
            fs::remove_file(&part).with_context(|| format!("removing `{}`", part.display()))?;
            bail!("`{url}` has the MD5 {sum} instead of {}; it was removed", file.md5);
        }
        fs::rename(&part, path).with_context(|| format!("cannot write `{}`", path.display()))
    }
}

/// The MD5 of a file in lower-case hexadecimal digits.
fn md5(path: &Path) -> Result<String> {
    let told = || format!("cannot read `{}`", path.display());
    let mut hash = Md5::new();
    io::copy(&mut File::open(path).with_context(told)?, &mut hash).with_context(told)?;
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Unpacks `folder` of a `.tar.gz` into `dir` under a temporary name, then renames it.
fn unpack(archive: &Path, dir: &Path, folder: &str) -> Result<()> {
    let told = || format!("cannot unpack `{}`", archive.display());
    let temporary = dir.join(format!(".{folder}.unpacking"));
    if temporary.exists() {
        fs::remove_dir_all(&temporary).with_context(told)?; // of a run that was killed
    }
    crate::read::tar_gz(archive)?.unpack(&temporary).with_context(told)?;
    let made = temporary.join(folder);
    ensure!(made.is_dir(), "`{}` has no folder `{folder}` in it", archive.display());
    fs::rename(&made, dir.join(folder)).with_context(told)?;
    fs::remove_dir_all(&temporary).with_context(told)
}
