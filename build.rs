//! Build script of every crate here: lets binaries and tests find libtorch, and keeps CUDA.

use std::{path::Path, process::Command};

/// Changes with every commit; not there without a repository.
const COMMITS: &str = ".git/logs/HEAD";

fn main() {
    // Not `build.rs`: crates have none of their own, and a file that is missing is always news.
    println!("cargo:rerun-if-env-changed=LIBTORCH_USE_PYTORCH");
    if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath={lib}");
        // Without these the linker drops libtorch_cuda.so and `Cuda::is_available` is silently false.
        println!("cargo:rustc-link-arg=-Wl,--no-as-needed");
        println!("cargo:rustc-link-arg=-ltorch");
    }
    if std::env::var("CARGO_PKG_NAME").is_ok_and(|name| name == "gradproof") {
        println!("cargo:rustc-env=GRADPROOF_COMMIT={}", commit().unwrap_or("unknown".into()));
        if Path::new(COMMITS).exists() {
            println!("cargo:rerun-if-changed={COMMITS}");
        }
    }
}

/// The commit this is built from, short.
fn commit() -> Option<String> {
    let out = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}
