//! Two ranks that MPI connects, in f64: fifty steps at 2 × 64 images with shared norm statistics end
//! with the weights of fifty at 1 × 128. In f32 no two orders of summation agree for that long: a fresh
//! ResNet-20 makes 10⁻² of their rounding (docs/scale.md).
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod apart;
#[allow(dead_code, reason = "nothing is killed here")]
mod tiny;

use apart::{assert_near, job};
use std::{env, path::Path, process::Command, rc::Rc};
use tiny::Silent;
use train::{Alone, Config, Job, Mpi, Ranks, run};

const CONFIG: &str = "epochs = 5
batch_size = 128
sync_norm = true
robust_images = 8
[data]
train = 'grey'
augment = { crop = 1, flip = true }
[model]
arch = 'resnet20'
[optimizer]
name = 'sgd'
learning_rate = 0.02
";

/// Runs of five epochs: name, objective and training images. The dear objectives take five steps.
const RUNS: [(&str, &str, i64); 3] = [
    ("natural", "name='natural'", 1280),
    ("attacked", "name='adversarial',attack={}", 128),
    ("ssr", "name='ssr',scale=1", 128),
];

/// Trains with each objective, in a folder each.
fn train(out: &Path, ranks: &Rc<dyn Ranks>) {
    for (name, objective, images) in RUNS {
        let config = Config::parse(CONFIG, &[format!("objective={{{objective}}}")]).unwrap();
        let job = Job { ranks: ranks.clone(), ..job(&config, images, &out.join(name)) };
        run(&job, &mut Silent).unwrap();
    }
}

#[test]
fn two_ranks_with_shared_statistics_are_one() {
    const OUT: &str = "GRADPROOF_TEST_OUT";
    if let Some(out) = env::var_os(OUT) {
        return train(Path::new(&out), &(Rc::new(Mpi::join().unwrap()) as Rc<dyn Ranks>));
    }
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let mut mpirun = Command::new("mpirun");
    mpirun.args(["--allow-run-as-root", "--oversubscribe", "-n", "2"]);
    mpirun.arg(env::current_exe().unwrap()).args(["--exact", "--test-threads", "1"]);
    mpirun.arg("two_ranks_with_shared_statistics_are_one").env(OUT, &two);
    let ended = mpirun.env("OMP_NUM_THREADS", "1").output().expect("`mpirun` is there");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    train(&one, &(Rc::new(Alone) as Rc<dyn Ranks>));
    for (name, ..) in RUNS {
        assert_near(&one.join(name), &two.join(name), 1e-4, name);
    }
}
