//! Where published sets are kept: a folder of the user's, which paths that begin with `data/` mean
//! wherever the program is run.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

/// `GRADPROOF_DATA_DIR`, else `gradproof/data` in the user's cache (`XDG_CACHE_HOME`, `~/.cache`), else
/// `data` here.
pub fn home() -> PathBuf {
    below(&|name| env::var_os(name).filter(|value| !value.is_empty()))
}

fn below(variable: &dyn Fn(&str) -> Option<OsString>) -> PathBuf {
    if let Some(folder) = variable("GRADPROOF_DATA_DIR") {
        return folder.into();
    }
    // The specification of XDG has relative paths ignored.
    let cache = variable("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = cache.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".cache")));
    cache.map_or_else(|| "data".into(), |cache| cache.join("gradproof").join("data"))
}

/// `path`, or where it is not there and begins with `data/`, what [`home`] has of it.
pub(crate) fn located(path: &Path) -> PathBuf {
    let kept = path.strip_prefix("data").ok().map(|rest| home().join(rest));
    kept.filter(|kept| !path.exists() && kept.exists()).unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::below;
    use std::path::Path;

    #[test]
    fn the_variable_is_before_the_cache() {
        let of = |pairs: &'static [(&str, &str)]| {
            below(&|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into()))
        };
        let all = [("GRADPROOF_DATA_DIR", "/sets"), ("XDG_CACHE_HOME", "/x"), ("HOME", "/u")];
        assert_eq!(of(Box::leak(Box::new(all))), Path::new("/sets"));
        assert_eq!(of(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/u")]), Path::new("/x/gradproof/data"));
        let relative = of(&[("XDG_CACHE_HOME", "x"), ("HOME", "/u")]);
        assert_eq!(relative, Path::new("/u/.cache/gradproof/data"));
        assert_eq!(of(&[]), Path::new("data"));
    }
}
