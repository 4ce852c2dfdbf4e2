//! Files of the repository that are held equal to what the program says.

use std::{env, fs, path::Path};

/// Asserts that the file at `path` has this text. With `GRADPROOF_BLESS` in the environment, as of
/// `just bless`, the file is given it instead.
pub fn assert_file(path: &Path, text: &str) {
    if env::var_os("GRADPROOF_BLESS").is_some() {
        let folder = path.parent().expect("a file in a folder");
        fs::create_dir_all(folder).and_then(|()| fs::write(path, text)).expect("can be written");
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    let line = found.lines().zip(text.lines()).position(|(a, b)| a != b);
    let line = line.unwrap_or_else(|| found.lines().count().min(text.lines().count())) + 1;
    assert!(found == text, "{}:{line}: out of date; write it by `just bless`", path.display());
}
