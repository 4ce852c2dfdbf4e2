//! A folder to run the binary in, and what is said of a run. Commands are single strings, so paths
//! are relative to that folder and hold no spaces.

use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
};
use tensorfile::TensorFile;

/// The data of most tests: one batch of test images.
pub const SHAPES: &str = "shapes:seed=0,train=64,test=16";

/// A training of a second: ResNet-20, SGD with momentum, augmentation.
pub const CONFIG: &str = r#"
seed = 0
epochs = 1
batch_size = 16
[data]
train = "shapes:seed=0,train=64,test=16"
augment = { crop = 2, flip = true }
[model]
arch = "resnet20"
normalise = "0.5/0.25"
[optimizer]
name = "sgd"
learning_rate = 0.05
"#;

/// An empty folder with the name of its test.
pub struct Place {
    pub path: PathBuf,
}

/// A finished command.
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    pub fn new(name: &str) -> Self {
        let path = root().join(name);
        fs::create_dir(&path).expect("each test has a name of its own");
        Place { path }
    }

    /// A place with the weights that all tests share, as `model.safetensors`.
    pub fn with_model(name: &str) -> Self {
        let place = Place::new(name);
        fs::copy(model(), place.at("model.safetensors")).expect("the model is there");
        place
    }

    /// Starts a command and kills it as soon as `file` is there; whether it still is.
    pub fn killed_at(&self, line: &str, file: &str) -> bool {
        let mut child = self.command(line).spawn().expect("starts");
        while !self.at(file).exists() {
            assert!(child.try_wait().expect("a child").is_none(), "it ended before `{file}`");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        self.at(file).exists()
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().expect("inside the place")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.at(name)).unwrap_or_else(|e| panic!("`{name}`: {e}"))
    }

    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).expect("text")
    }

    pub fn tensors(&self, name: &str) -> TensorFile {
        TensorFile::read(&self.at(name)).expect("a whole tensor file")
    }

    /// `gradproof` with these arguments, not started; with `--force` where it writes again what is there.
    pub fn command(&self, line: &str) -> Command {
        let mut command = self.unforced(line);
        if self.writes_again(line) && !line.ends_with(" --force") {
            command.arg("--force");
        }
        command
    }

    /// Whether a file that an option names to be written is there, or one that it becomes for several
    /// methods or radii.
    fn writes_again(&self, line: &str) -> bool {
        let words: Vec<&str> = line.split_whitespace().collect();
        let named =
            words.windows(2).filter(|pair| ["--out", "--figure", "--chart"].contains(&pair[0]));
        named.map(|pair| self.at(pair[1])).any(|file| {
            let (Some(folder), Some(stem)) = (file.parent(), file.file_stem()) else {
                return false;
            };
            let stem = stem.to_string_lossy();
            let alike = |entry: fs::DirEntry| {
                entry.path().is_file() && entry.file_name().to_string_lossy().starts_with(&*stem)
            };
            !stem.is_empty() && fs::read_dir(folder).is_ok_and(|all| all.flatten().any(alike))
        })
    }

    /// `gradproof` with these arguments and no others, not started.
    pub fn unforced(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gradproof"));
        command.args(line.split_whitespace()).current_dir(&self.path).stdin(Stdio::null());
        // On the CPU, or on the GPU that is not there (tests/pretend-gpu), whatever this machine has.
        match std::env::var_os("GRADPROOF_PRETEND_GPU") {
            Some(library) => command.env("LD_PRELOAD", library),
            None => command.env("CUDA_VISIBLE_DEVICES", ""),
        };
        command.env("OMP_NUM_THREADS", "1").env_remove("CLICOLOR_FORCE").env_remove("NO_COLOR");
        command
    }

    /// Runs `gradproof` to its end.
    pub fn go(&self, line: &str) -> Run {
        self.command(line).output().expect("the binary starts").into()
    }

    /// Runs a command that has to succeed.
    pub fn ok(&self, line: &str) -> Run {
        let run = self.go(line);
        assert_eq!(run.code, Some(0), "`{line}`: {}", run.stderr);
        run
    }

    /// Runs a command that has to be refused as the user's mistake: exit code 2, nothing on stdout,
    /// nothing changed on disk. Returns its one line of stderr.
    pub fn refused(&self, line: &str) -> String {
        let said = self.misused(line);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 1, "`{line}` says more than one line:\n{said}");
        assert!(said.starts_with("gradproof: "), "`{line}`: {said}");
        said
    }

    /// The same where the command line itself is wrong: clap's message has several lines.
    pub fn misused(&self, line: &str) -> String {
        let before = self.contents();
        let run = self.go(line);
        assert_eq!(run.code, Some(2), "`{line}`: {}", run.stderr);
        assert_eq!(run.stdout, "", "`{line}`");
        let after = self.contents();
        let names = |contents: &BTreeMap<PathBuf, _>| contents.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&before), names(&after), "`{line}` left something behind");
        assert!(before == after, "`{line}` changed a file");
        run.stderr
    }

    /// Every file (with its bytes) and folder below this place.
    pub fn contents(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        walk(&self.path, &mut found);
        found
    }
}

fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, found);
        }
        found.insert(path.clone(), fs::read(&path).unwrap_or_default());
    }
}

impl Run {
    /// Stdout as the one JSON value that it has to be.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.stdout))
    }
}

/// The rows of a result with all of these keys.
pub fn rows<'a>(result: &'a Value, keys: &[(&str, &str)]) -> Vec<&'a Value> {
    let rows = result["rows"].as_array().expect("rows").iter();
    rows.filter(|row| keys.iter().all(|(key, value)| row[*key] == *value)).collect()
}

/// The one of them.
pub fn row<'a>(result: &'a Value, keys: &[(&str, &str)]) -> &'a Value {
    match rows(result, keys)[..] {
        [row] => row,
        ref all => panic!("{} rows of {keys:?} in {result}", all.len()),
    }
}

/// Its mean.
pub fn mean(result: &Value, keys: &[(&str, &str)]) -> f64 {
    row(result, keys)["mean"].as_f64().expect("a mean")
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Run { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// Asserts that `text` holds every one of `parts`.
pub fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

/// This process's folder below `target/tmp`. It stays for a look at a failure; those of processes
/// that are gone are removed here.
fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        tch::set_num_threads(1);
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli");
        fs::create_dir_all(&all).expect("a folder in target");
        for entry in fs::read_dir(&all).expect("just made").flatten() {
            if !Path::new("/proc").join(entry.file_name()).exists() {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let root = all.join(std::process::id().to_string());
        let _ = fs::remove_dir_all(&root);
        fs::create_dir(&root).expect("a folder in target");
        root
    })
}

/// The folder of the training that all tests share.
pub fn training() -> &'static Path {
    static TRAINING: OnceLock<PathBuf> = OnceLock::new();
    TRAINING.get_or_init(|| {
        let place = Place::new("shared-training");
        place.write("run.toml", CONFIG);
        place.ok("train --config run.toml --out run");
        place.at("run")
    })
}

/// Its weights.
pub fn model() -> PathBuf {
    training().join("last.safetensors")
}
