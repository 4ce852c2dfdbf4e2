//! Build script of every crate here: lets binaries, tests and examples find libtorch, and keeps CUDA.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

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
        if whole() {
            compile(Path::new(&lib));
        }
    }
    if whole() {
        println!("cargo:rustc-env=GRADPROOF_COMMIT={}", commit().unwrap_or("unknown".into()));
        if Path::new(COMMITS).exists() {
            println!("cargo:rerun-if-changed={COMMITS}");
        }
    }
}

/// Where binaries look for libraries, and the libraries that they load for those that these load: cuDNN
/// compiles kernels with NVRTC, which looks for its own by name, and only DT_RPATH of the program holds
/// for that; DT_RUNPATH does not (docs/decisions/libtorch.md). First beside the program, as in a wheel or
/// in a checkout that was moved, then where libtorch is now.
fn search(lib: &str) {
    println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags");
    let packages = Path::new(lib).join("../..");
    let mut libraries = vec!["torch/lib".to_owned()];
    for folder in fs::read_dir(packages.join("nvidia")).into_iter().flatten().flatten() {
        let name = folder.file_name().to_string_lossy().into_owned();
        libraries.extend(folder.path().join("lib").is_dir().then(|| format!("nvidia/{name}/lib")));
    }
    libraries.sort();
    let packages = packages.canonicalize().unwrap_or(packages);
    let here = [WHEEL.to_owned()].into_iter().chain(beside(&packages));
    for folder in here.chain([packages.display().to_string()]) {
        for library in &libraries {
            println!("cargo:rustc-link-arg=-Wl,-rpath={folder}/{library}");
        }
    }
    if !Path::new(lib).ends_with("torch/lib") {
        println!("cargo:rustc-link-arg=-Wl,-rpath={lib}");
    }
}

/// Packages of Python as the program of a wheel sees them: gradproof/bundled/bin is beside torch.
const WHEEL: &str = "$ORIGIN/../../..";

/// Packages of Python inside this checkout as its programs and its tests see them; none elsewhere.
fn beside(packages: &Path) -> Vec<String> {
    let out = std::env::var_os("OUT_DIR").map(PathBuf::from);
    // Programs are in PROFILE, tests in PROFILE/deps, this is PROFILE/build/CRATE/out.
    let profile = out.as_deref().and_then(|out| out.ancestors().nth(3)?.canonicalize().ok());
    let root = profile.as_deref().and_then(|profile| {
        let root = profile.ancestors().find(|folder| folder.join("Cargo.lock").is_file());
        root.map(Path::to_owned)
    });
    let (Some(profile), Some(root)) = (profile, root) else { return vec![] };
    let (Ok(below), Ok(inside)) = (profile.strip_prefix(&root), packages.strip_prefix(&root))
    else {
        return vec![];
    };
    let up = "../".repeat(below.components().count());
    ["", "../"].map(|more| format!("$ORIGIN/{more}{up}{}", inside.display())).into()
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

/// Whether it is the program that is built, not a crate of it.
fn whole() -> bool {
    std::env::var("CARGO_PKG_NAME").is_ok_and(|name| name == "gradproof")
}

/// Compiles src/runtime/graphs.cpp, with the compiler that tch needs anyway.
fn compile(lib: &Path) {
    const SOURCE: &str = "src/runtime/graphs.cpp";
    println!("cargo:rerun-if-changed={SOURCE}");
    println!("cargo:rerun-if-env-changed=CXX");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os != "linux") {
        return;
    }
    let out = std::env::var("OUT_DIR").expect("cargo sets it");
    let compiler = std::env::var("CXX").unwrap_or("c++".into());
    let (object, archive) = (format!("{out}/graphs.o"), format!("{out}/libgraphs.a"));
    let mut compiled = Command::new(compiler);
    compiled.args(["-std=c++17", "-O1", "-fPIC", "-D_GLIBCXX_USE_CXX11_ABI=1", "-isystem"]);
    compiled.arg(lib.join("../include")).args(["-c", SOURCE, "-o", &object]);
    let _ = fs::remove_file(&archive); // `ar` would add to an old one
    for command in [&mut compiled, Command::new("ar").args(["crs", &archive, &object])] {
        let done = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        assert!(done.success(), "{command:?} failed");
    }
    println!("cargo:rustc-link-search=native={out}");
    println!("cargo:rustc-link-lib=static=graphs");
}

/// The commit this is built from, short.
fn commit() -> Option<String> {
    let out = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}
