//! The program on a GPU that is not there (README.md): no iteration and no step waits for it, launches
//! stay within a budget, maps are the CPU's, with little memory too, and what is wrong is noticed.

use serde_json::Value;
use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};
use tch::{Device, Kind, Tensor};
use tempfile::TempDir;
use tensorfile::TensorFile;

mod graphs;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The library that is preloaded, built once a process.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pretend-gpu");
        let script = root().join("tests/pretend-gpu/build.sh");
        let built = Command::new("sh").arg(script).arg(&folder).status().expect("sh starts");
        assert!(built.success(), "build.sh failed");
        folder.join("libtorch_cuda.so")
    })
}

/// What one process did on the pretended GPU.
struct Did {
    code: Option<i32>,
    stderr: String,
    counts: Value,
}

impl Did {
    fn count(&self, what: &str) -> i64 {
        self.counts[what].as_i64().expect("a count")
    }
}

/// Runs the program with these words, more environment, in a folder of its own.
fn run(folder: &TempDir, words: &str, more: &[(&str, String)]) -> Did {
    let log = folder.path().join("counts.json");
    let _ = fs::remove_file(&log);
    let mut program = Command::new(env!("CARGO_BIN_EXE_gradproof"));
    program.args(words.split_whitespace()).args(["--device", "cuda", "--quiet", "--force"]);
    program.current_dir(folder.path()).env("OMP_NUM_THREADS", "1");
    program.env("LD_PRELOAD", library()).env("PRETEND_GPU_LOG", &log);
    program.envs(more.iter().map(|(name, value)| (name, value)));
    let output = program.output().expect("it starts");
    let counts =
        fs::read(&log).map_or(Value::Null, |text| serde_json::from_slice(&text).expect("JSON"));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Did { code: output.status.code(), stderr, counts }
}

fn done(folder: &TempDir, words: &str, more: &[(&str, String)]) -> Did {
    let did = run(folder, words, more);
    assert_eq!(did.code, Some(0), "`{words}`: {}", did.stderr);
    assert_eq!(did.stderr, "", "`{words}`");
    did
}

/// What an iteration more costs: launches and waits, and which waits.
fn each(few: &Did, many: &Did, more: i64) -> (i64, i64, BTreeMap<String, i64>) {
    let of = |did: &Did, what: &str| did.counts["waits of"][what].as_i64().unwrap_or(0);
    let waits = many.counts["waits of"].as_object().expect("waits").keys();
    let waits = waits.map(|what| (what.clone(), of(many, what) - of(few, what)));
    let count = |what| (many.count(what) - few.count(what)) / more;
    (
        count("launches"),
        many.count("waits") - few.count("waits"),
        waits.filter(|w| w.1 > 0).collect(),
    )
}

/// A network of one second's training, and two images of CIFAR-10's form.
fn weights() -> String {
    root().join("weights/resnet20-cifar10-natural.safetensors").display().to_string()
}

fn images() -> String {
    format!("cifar10:{}", root().join("fuzz/corpus/cifar-binary/two.bin").display())
}

/// Methods whose segments are found on the CPU, for a batch at once: in an iteration once for its
/// gradient and once for its judgement.
const SEGMENTED: [&str; 2] = ["kernelshap", "lime"];

/// Launches of an iteration against `gxi` on ResNet-20, by attack and rule.
const BUDGET: [(&str, &str, i64); 7] = [
    ("topk", "adam", 880),
    ("topk", "apgd", 900),
    ("topk", "sign", 870),
    ("topk", "square", 250),
    ("manipulate", "adam", 990),
    ("mass-centre", "adam", 1060),
    ("targeted", "adam", 840),
];

fn attack(method: &str, attack: &str, rule: &str) -> Option<(i64, i64, BTreeMap<String, i64>)> {
    let folder = tempfile::tempdir().expect("a folder");
    let (weights, images) = (weights(), images());
    let words = |iters| {
        format!(
            "attack --weights {weights} --data {images} --method {method} --attack {attack} \
             --rule {rule} --eps 8/255 --iters {iters}"
        )
    };
    let few = run(&folder, &words(1), &[]);
    if few.code == Some(2) && few.stderr.contains("cannot be differentiated") {
        return None;
    }
    let many = done(&folder, &words(3), &[]);
    assert_eq!(few.code, Some(0), "{}", few.stderr);
    Some(each(&few, &many, 2))
}

#[test]
fn no_iteration_waits_and_launches_stay_within_their_budget() {
    for (goal, rule, budget) in BUDGET {
        let (launches, waits, which) = attack("gxi", goal, rule).expect("gxi has gradients");
        assert_eq!(waits, 0, "{goal} by {rule}: {which:?}");
        assert!(launches <= budget, "{goal} by {rule}: {launches} launches, {budget} allowed");
    }
}

#[test]
fn no_iteration_waits_whatever_the_method() {
    let mut differentiable = 0;
    for method in explain::METHODS {
        let few =
            ["samples=4", "points=2", "steps=2"].map(|option| format!("{}:{option}", method.name));
        let spelled = few.into_iter().find(|spelled| explain::parse(spelled).is_ok());
        let spelled = spelled.unwrap_or(method.name.to_owned());
        let Some((_, waits, which)) = attack(&spelled, "topk", "adam") else { continue };
        differentiable += 1;
        let segmented = SEGMENTED.contains(&method.name);
        let downloads = if segmented { 2 * 2 } else { 0 };
        // Fits of fewer samples than groups are by singular values, which libtorch waits for.
        let fits = which.get("aten::_linalg_svd").copied().unwrap_or(0);
        assert!(fits == 0 || segmented, "{spelled}: {which:?}");
        assert_eq!(waits - fits, downloads, "{spelled}: {which:?}");
    }
    assert!(differentiable > SEGMENTED.len());
}

/// Settings of a training, beside `name`.
const OBJECTIVES: [&str; 9] = [
    "name = 'natural'",
    "name = 'adversarial'\nattack = { norm = 'linf', eps = '8/255', steps = 2 }",
    "name = 'trades'\nattack = { norm = 'linf', eps = '8/255', steps = 2 }",
    "name = 'gradient-norm'",
    "name = 'curvature'",
    "name = 'ssr'\neigenvector = 'naive'",
    "name = 'ssr'\neigenvector = 'exact'",
    "name = 'ssr'\neigenvector = 'warm'",
    "name = 'ig-norm'",
];

/// What one step of a training costs: the second's.
fn step(arch: &str, top: &str, objective: &str) -> (i64, i64, BTreeMap<String, i64>) {
    let folder = tempfile::tempdir().expect("a folder");
    let steps = |n: usize| {
        let images = 4 * n;
        let config = format!(
            "seed = 0\nepochs = 1\nbatch_size = 4\n{top}\n[data]\n\
             train = \"shapes:seed=0,train={images},test=4\"\naugment = {{ crop = 2, flip = true }}\n\
             [model]\narch = \"{arch}\"\nnormalise = \"0.5/0.25\"\n\
             [optimizer]\nname = \"sgd\"\nlearning_rate = 0.01\n[objective]\n{objective}\n"
        );
        fs::write(folder.path().join("run.toml"), config).expect("written");
        let out = format!("out{n}");
        done(&folder, &format!("train --config run.toml --out {out}"), &[])
    };
    each(&steps(1), &steps(2), 1)
}

#[test]
fn no_step_of_training_waits() {
    for objective in OBJECTIVES {
        let (_, waits, which) = step("resnet20", "", objective);
        assert_eq!(waits, 0, "{objective}: {which:?}");
    }
}

/// Launches of a natural step, by network and settings: the optimiser, clipping, the average and the
/// check of what is finite are a few of them, however many weights there are.
const STEPS: [(&str, &str, i64); 5] = [
    ("resnet20", "", 210),
    ("resnet20", "clip = 1\nema = 0.9", 220),
    ("resnet20", "precision = 'bf16'", 255),
    ("resnet18", "precision = 'bf16'", 240),
    ("resnet50", "", 410),
];

#[test]
fn launches_of_a_step_stay_within_their_budget() {
    for (arch, top, budget) in STEPS {
        let (launches, ..) = step(arch, top, "name = 'natural'");
        assert!(launches <= budget, "{arch} {top}: {launches} launches, {budget} allowed");
    }
}

/// A folder with 16 images of CIFAR-10's form, every byte drawn.
fn sixteen(folder: &TempDir) {
    let mut state = 1u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let mut bytes = vec![];
    for label in 0..16u8 {
        bytes.push(label % 10);
        bytes.extend((0..3072).map(|_| byte()));
    }
    fs::write(folder.path().join("test_batch.bin"), bytes).expect("written");
}

/// Maps of the sixteen images, and what the program did.
fn maps(folder: &TempDir, method: &str, more: &[(&str, String)]) -> (Tensor, Did) {
    let words = format!(
        "explain --weights {} --data cifar10:test_batch.bin --method {method} --chunk 32 \
         --batch-size 16 --out maps.safetensors",
        weights()
    );
    let did = run(folder, &words, more);
    assert_eq!(did.code, Some(0), "{method}: {}", did.stderr);
    let mut file =
        TensorFile::read(&folder.path().join("maps.safetensors")).expect("a tensor file");
    (file.take("maps").expect("maps"), did)
}

fn on_the_cpu(folder: &TempDir, method: &str) -> Tensor {
    let mut program = Command::new(env!("CARGO_BIN_EXE_gradproof"));
    program.args(["explain", "--weights", &weights(), "--data", "cifar10:test_batch.bin"]);
    program.args(["--method", method, "--chunk", "32", "--batch-size", "16", "--device", "cpu"]);
    program.args(["--quiet", "--force", "--out", "cpu.safetensors"]).current_dir(folder.path());
    assert!(program.env("OMP_NUM_THREADS", "1").status().expect("it starts").success());
    TensorFile::read(&folder.path().join("cpu.safetensors"))
        .expect("a tensor file")
        .take("maps")
        .expect("maps")
}

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    ((a - b).abs().max() / b.abs().max()).double_value(&[])
}

/// Equal to the CPU's, bit by bit; and with half of the memory that they took, but for rounding.
#[test]
fn maps_are_those_of_the_cpu_with_little_memory_too() {
    for method in ["gxi", "smoothgrad:samples=4", "ig:points=4", "guided", "lrp", "gradcam"] {
        let folder = tempfile::tempdir().expect("a folder");
        sixteen(&folder);
        let (roomy, did) = maps(&folder, method, &[]);
        assert_eq!(did.stderr, "", "{method}");
        assert_eq!(roomy, on_the_cpu(&folder, method), "{method}");
        let half = (did.count("peak") / 2).to_string();
        let (small, did) = maps(&folder, method, &[("PRETEND_GPU_BYTES", half)]);
        assert!(did.stderr.contains("no memory for passes"), "{method}: {}", did.stderr);
        assert!(distance(&small, &roomy) < 1e-5, "{method}");
    }
}

/// A test of the tests: a kernel that is wrong changes what is found.
#[test]
fn a_wrong_kernel_shows() {
    let folder = tempfile::tempdir().expect("a folder");
    sixteen(&folder);
    let right = maps(&folder, "gxi", &[]).0;
    let wrong = [("PRETEND_GPU_WRONG", "aten::convolution".to_owned())];
    assert!(distance(&maps(&folder, "gxi", &wrong).0, &right) > 0.1);
}

/// The self-test passes here, but for what stands on a kernel that is wrong, which it names.
#[test]
fn the_self_test_names_what_a_wrong_kernel_breaks_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let did = run(&folder, "doctor --self-test --only platform,training,waiting", &[]);
    assert_eq!(did.code, Some(0), "{}", did.stderr);
    let wrong = [("PRETEND_GPU_WRONG", "aten::sort".to_owned())];
    let did = run(&folder, "doctor --self-test --only platform,agreement --out found.json", &wrong);
    assert_eq!(did.code, Some(1), "{}", did.stderr);
    for user in
        ["f64 sort,", "f64 similarity cor,", "f64 metric deletion,", "f64 attack topk by sign,"]
    {
        assert!(did.stderr.contains(user), "`{user}` is not named: {}", did.stderr);
    }
    let text = fs::read(folder.path().join("found.json")).expect("written");
    let found: Value = serde_json::from_slice(&text).expect("JSON");
    for line in found["lines"].as_array().expect("lines") {
        let what = line["what"].as_str().expect("what");
        let of_sort =
            ["sort", "gather", "kernelshap", "clime", "relex", "metric", "similarity", "attack"];
        let fails = line["verdict"] == "fails";
        assert!(!fails || of_sort.iter().any(|word| what.contains(word)), "{line}");
    }
    assert!(found["lines"].as_array().expect("lines").len() > 250);
}

/// And an operation on tensors of two devices is refused, as by CUDA. In a process of its own, which
/// has the library from its start.
#[test]
fn tensors_of_two_devices_are_refused() {
    if env::var_os("PRETEND_GPU_INSIDE").is_none() {
        let mut this = Command::new(env::current_exe().unwrap());
        this.args(["--exact", "tensors_of_two_devices_are_refused"]);
        this.env("LD_PRELOAD", library()).env("PRETEND_GPU_INSIDE", "1");
        assert!(this.status().expect("it starts").success());
        return;
    }
    let here = Tensor::ones([3], (Kind::Float, Device::Cpu));
    let there = here.to_device(Device::Cuda(0));
    assert_eq!(there.device(), Device::Cuda(0));
    assert_eq!(Vec::<f32>::try_from((&there + &there).to_device(Device::Cpu)).unwrap(), [2.; 3]);
    assert_eq!((&there + 1.).sum(Kind::Float).double_value(&[]), 6.);
    let index = Tensor::from_slice(&[1i64]);
    let mixed = [
        here.f_add(&there),
        there.f_matmul(&here),
        there.f_index_select(0, &index),
        Tensor::f_cat(&[&here, &there], 0),
        there.f_where_self(&here.gt(0.), &there),
    ];
    for (i, found) in mixed.into_iter().enumerate() {
        let told = found.expect_err(&format!("operation {i} is refused")).to_string();
        assert!(told.contains("same device"), "{told}");
    }
}
