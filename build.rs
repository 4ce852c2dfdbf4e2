//! Build script of every crate here: lets binaries, tests and examples find libtorch, and keeps CUDA.

use std::{fs, path::Path, process::Command};

/// Changes with every commit; not there without a repository.
const COMMITS: &str = ".git/logs/HEAD";

fn main() {
    // Not `build.rs`: crates have none of their own, and a file that is missing is always news.
    println!("cargo:rerun-if-env-changed=LIBTORCH_USE_PYTORCH");
    if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        search(&lib);
        // Without these the linker drops libtorch_cuda.so and `Cuda::is_available` is silently false.
        println!("cargo:rustc-link-arg=-Wl,--no-as-needed");
        println!("cargo:rustc-link-arg=-ltorch");
        lend(Path::new(&lib));
    }
    if std::env::var("CARGO_PKG_NAME").is_ok_and(|name| name == "gradproof") {
        println!("cargo:rustc-env=GRADPROOF_COMMIT={}", commit().unwrap_or("unknown".into()));
        if Path::new(COMMITS).exists() {
            println!("cargo:rerun-if-changed={COMMITS}");
        }
    }
}

/// Where binaries look for libraries, and the libraries that they load for those that these load: cuDNN
/// compiles kernels with NVRTC, which looks for its own by name, and only DT_RPATH of the program holds
/// for that; DT_RUNPATH does not (docs/decisions/libtorch.md).
fn search(lib: &str) {
    println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags");
    println!("cargo:rustc-link-arg=-Wl,-rpath={lib}");
    let packages = Path::new(lib).join("../../nvidia");
    for folder in fs::read_dir(packages).into_iter().flatten().flatten() {
        let libraries = folder.path().join("lib");
        if libraries.is_dir() {
            println!("cargo:rustc-link-arg=-Wl,-rpath={}", libraries.display());
        }
    }
}

/// Examples in documentation know no rpath. Cargo puts folders of build outputs, not others, where
/// they look for libraries: a link to `lib` is one.
fn lend(lib: &Path) {
    let Some(out) = std::env::var_os("OUT_DIR") else { return };
    let link = Path::new(&out).join("libtorch");
    let _ = fs::remove_file(&link); // none, or of another libtorch
    #[cfg(unix)]
    if std::os::unix::fs::symlink(lib, &link).is_ok() {
        println!("cargo:rustc-link-search=native={}", link.display());
    }
}

/// The commit this is built from, short.
fn commit() -> Option<String> {
    let out = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}
