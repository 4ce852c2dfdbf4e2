//! Which files a command reads and which it writes: none may be both, and no two outputs the same.
//! Said before any work.

use crate::cli::{Subject, named};
use anyhow::{Result, bail, ensure};
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

/// The files of one command, each with the option that names it.
#[derive(Default)]
pub struct Files {
    read: Vec<(String, PathBuf)>,
    written: Vec<(String, PathBuf)>,
}

impl Files {
    /// Those that a model and its images are read from.
    pub fn of(subject: &Subject) -> Self {
        let weights = subject.weights.to_string_lossy();
        let files = weights.split(',').map(|file| named(file).1);
        Files::default().reads("--weights", files).data("--data", &subject.data)
    }

    /// `option` names `files` to read.
    pub fn reads<P: Into<PathBuf>>(
        mut self,
        option: &str,
        files: impl IntoIterator<Item = P>,
    ) -> Self {
        self.read.extend(files.into_iter().map(|file| (option.to_owned(), file.into())));
        self
    }

    /// `option` is data, such as `tensors:FILE,images=adversarial`: its file or folder is read.
    pub fn data(self, option: &str, spec: &str) -> Self {
        self.reads(option, data::place(spec))
    }

    /// `option` lists methods, whose options may name files to read.
    pub fn methods(self, option: &str, list: &str) -> Self {
        let words = registry::split(list);
        let words = words.iter().flat_map(|one| one.split([':', ',', '=', '"']));
        let files: Vec<&str> = words.filter(|word| Path::new(word).is_file()).collect();
        self.reads(option, files)
    }

    /// `option` names `files` to write.
    pub fn writes<P: Into<PathBuf>>(
        mut self,
        option: &str,
        files: impl IntoIterator<Item = P>,
    ) -> Self {
        self.written.extend(files.into_iter().map(|file| (option.to_owned(), file.into())));
        self
    }

    /// Errors: a file that is read and written, or written twice, by whatever names; without `force`
    /// one that is there.
    pub fn check(&self, force: bool) -> Result<()> {
        for (i, (option, file)) in self.written.iter().enumerate() {
            for (other, input) in &self.read {
                ensure!(
                    !overwrites(file, input),
                    "`{option}` would write `{}`, which `{other}` reads; choose another name",
                    file.display()
                );
            }
            if let Some((other, _)) = self.written[..i].iter().find(|(_, f)| same(f, file)) {
                let what = if other == option { "twice".into() } else { format!("as `{other}`") };
                bail!("`{option}` would write `{}` {what}; choose another name", file.display());
            }
            ensure!(
                force || !file.is_file(),
                "`{option}`: `{}` is there already; `--force` overwrites it",
                file.display()
            );
        }
        Ok(())
    }

    /// Errors: a file that could not be written. The last check, because it may make folders: a
    /// refused command leaves nothing behind.
    pub fn check_writable(&self) -> Result<()> {
        self.written.iter().try_for_each(|(_, file)| tensorfile::atomic::check_writable(file))
    }
}

/// Whether writing `file` would change what is read from `input`, a file or a folder of data: there
/// the files of a split and those in folders of classes are read.
fn overwrites(file: &Path, input: &Path) -> bool {
    if !input.is_dir() {
        return same(file, input);
    }
    let (file, folder) = (place(file), place(input));
    let Ok(inside) = file.strip_prefix(&folder) else { return false };
    let split = file.file_stem().is_some_and(|stem| stem == "train" || stem == "test");
    file.exists() && (split || inside.components().count() > 1)
}

/// Whether two paths lead to one file, links followed.
fn same(a: &Path, b: &Path) -> bool {
    let number = |path: &Path| fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
    place(a) == place(b) || number(a).is_some_and(|a| Some(a) == number(b))
}

/// The path with its links followed as far as it is there.
fn place(path: &Path) -> PathBuf {
    if let Ok(found) = path.canonicalize() {
        return found;
    }
    let above = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => place(parent),
        Some(_) => Path::new(".").canonicalize().unwrap_or_default(),
        None => PathBuf::new(),
    };
    match path.components().next_back() {
        Some(Component::ParentDir) => above.parent().map(Path::to_owned).unwrap_or(above),
        Some(Component::CurDir) | None => above,
        Some(last) => above.join(last),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_under_many_names() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("a"), "a").unwrap();
        fs::write(at("b"), "a").unwrap();
        fs::hard_link(at("a"), at("hard")).unwrap();
        std::os::unix::fs::symlink(at("a"), at("soft")).unwrap();
        fs::create_dir(at("sub")).unwrap();
        for name in ["a", "hard", "soft", "sub/../a", "./a"] {
            assert!(same(&at(name), &at("a")), "{name}");
        }
        assert!(!same(&at("b"), &at("a")));
        assert!(same(&at("sub/new"), &at("sub/../sub/./new")) && !same(&at("new"), &at("a")));
        assert!(same(&at("no/../new"), &at("new")));
    }

    #[test]
    fn files_of_data_folders_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("cat")).unwrap();
        for name in ["cat/1.png", "test.safetensors", "maps.safetensors"] {
            fs::write(at(name), "").unwrap();
        }
        let kept = |name| overwrites(&at(name), folder.path());
        assert!(kept("cat/1.png") && kept("test.safetensors"));
        assert!(!kept("cat/2.png") && !kept("maps.safetensors"));
    }

    #[test]
    fn what_is_read_is_found_in_specs() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.safetensors");
        fs::write(&file, "").unwrap();
        let name = file.display();
        let wanted = |files: Files| files.read.iter().any(|(_, path)| *path == file);
        for spec in [
            format!("{name}"),
            format!("tensors:{name}"),
            format!("tensors:{name},images=adversarial"),
        ] {
            assert!(wanted(Files::default().data("--data", &spec)), "{spec}");
        }
        let methods = format!("gxi,ig:points=5,baseline={name}");
        assert!(wanted(Files::default().methods("--method", &methods)));
    }
}
