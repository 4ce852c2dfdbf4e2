//! Two ranks that MPI connects, in f64: fifty steps at 2 × 64 images with shared norm statistics end
//! with the weights of fifty at 1 × 128, and fifty of a transformer at 2 × 2 with those at 1 × 4. In f32 no two orders
//! of summation agree for that long: a fresh ResNet-20 makes 10⁻² of their rounding, a Swin-T 10⁻⁵ (docs/scale.md).
//! A process of its own: `mpirun` starts it again, on each rank.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

#[path = "it/apart.rs"]
mod apart;
#[path = "it/tiny.rs"]
#[allow(dead_code, reason = "nothing is killed here")]
mod tiny;

use apart::{assert_near, job};
use std::{env, path::Path, process::Command, rc::Rc};
use tiny::Silent;
use train::{Communicator, Config, Job, Mpi, SingleProcess, run};

const CONFIG: &str = "epochs = 5
robust_images = 8
[data]
train = 'grey'
augment = { crop = 1, flip = true }
[optimizer]
name = 'sgd'
learning_rate = 0.02
";

const RESNET: &str = "batch_size=128 sync_norm=true model.arch='resnet20'";
const SWIN: &str = "batch_size=4 model.arch='swin-t'";

/// Runs of five epochs: name, settings, training images and how near they end. The dear objectives take five steps.
const RUNS: [(&str, &str, &str, i64, f64); 4] = [
    ("natural", RESNET, "name='natural'", 1280, 1e-4),
    ("attacked", RESNET, "name='adversarial',attack={}", 128, 1e-4),
    ("ssr", RESNET, "name='ssr',scale=1", 128, 1e-4),
    ("transformer", SWIN, "name='natural'", 40, 1e-5),
];

/// Trains with each objective, in a folder each.
fn train(out: &Path, ranks: &Rc<dyn Communicator>) {
    for (name, settings, objective, images, _) in RUNS {
        let settings = settings.split(' ').map(str::to_owned);
        let set: Vec<String> = settings.chain([format!("objective={{{objective}}}")]).collect();
        let config = Config::parse(CONFIG, &set).unwrap();
        let job = Job { ranks: ranks.clone(), ..job(&config, images, &out.join(name)) };
        run(&job, &mut Silent).unwrap();
    }
}

#[test]
fn two_ranks_are_one() {
    const OUT: &str = "GRADPROOF_TEST_OUT";
    if let Some(out) = env::var_os(OUT) {
        return train(Path::new(&out), &(Rc::new(Mpi::join().unwrap()) as Rc<dyn Communicator>));
    }
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let mut mpirun = Command::new("mpirun");
    mpirun.args(["--allow-run-as-root", "--oversubscribe", "-n", "2"]);
    mpirun.arg(env::current_exe().unwrap()).args(["--exact", "--test-threads", "1"]);
    mpirun.arg("two_ranks_are_one").env(OUT, &two);
    let ended = mpirun.env("OMP_NUM_THREADS", "1").output().expect("`mpirun` is there");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    train(&one, &(Rc::new(SingleProcess) as Rc<dyn Communicator>));
    for (name, .., within) in RUNS {
        assert_near(&one.join(name), &two.join(name), within, name);
    }
}
