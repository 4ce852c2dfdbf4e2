//! Ranks that are threads: the run of several is the run of one, whatever is logged, skipped or
//! kept, and whatever the number of ranks it goes on with. No MPI is needed.

use crate::apart::{assert_near, job};
use crate::tiny::{self, Silent};
use std::{
    fs,
    path::Path,
    rc::Rc,
    sync::{Arc, Barrier, Mutex},
    thread,
};
use tch::Tensor;
use train::{Communicator, Config, EpochLine, Job, OnNan, run};

/// One thread of several.
struct Thread {
    rank: usize,
    size: usize,
    meeting: Arc<(Barrier, Mutex<Vec<Option<Tensor>>>)>,
}

impl Communicator for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn sum(&self, t: &Tensor) -> Tensor {
        let (barrier, brought) = &*self.meeting;
        brought.lock().unwrap()[self.rank] = Some(t.detach().copy());
        barrier.wait();
        let sum = brought.lock().unwrap().iter().flatten().fold(t.zeros_like(), |sum, t| sum + t);
        barrier.wait();
        sum.detach()
    }

    fn abort(&self, code: i32) -> ! {
        unreachable!("no thread ends the others, with {code}")
    }
}

/// What every one of `size` ranks has to say of the run of `job`.
fn together(size: usize, job: impl Fn() -> Job + Sync) -> Vec<Result<Vec<EpochLine>, String>> {
    let brought = (0..size).map(|_| None).collect();
    let meeting = Arc::new((Barrier::new(size), Mutex::new(brought)));
    let rank = |rank| {
        let ranks = Rc::new(Thread { rank, size, meeting: meeting.clone() });
        run(&Job { ranks, ..job() }, &mut Silent).map_err(|e| format!("{e:#}"))
    };
    thread::scope(|scope| {
        let started: Vec<_> = (0..size).map(|i| scope.spawn(move || rank(i))).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Twenty-one images in batches of eight: the last has five.
const CONFIG: &str = "epochs = 3
batch_size = 8
robust_images = 7
[data]
train = 'grey'
augment = { crop = 1, flip = true }
[model]
arch = 'mlp'
[optimizer]
name = 'sgd'
learning_rate = 0.05
";

fn config(set: &[&str]) -> Config {
    Config::parse(CONFIG, &set.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()).unwrap()
}

/// Numbers of a log but times.
fn assert_logged(a: &[EpochLine], b: &[EpochLine], within: f64, what: &str) {
    let numbers = |line: &EpochLine| -> Vec<(String, f64)> {
        let all = line.scalars().into_iter();
        all.filter(|(name, _)| name != "images_per_second").collect()
    };
    assert_eq!(a.len(), b.len());
    for ((name, a), (other, b)) in a.iter().flat_map(numbers).zip(b.iter().flat_map(numbers)) {
        assert!(
            name == other && (a - b).abs() <= within * a.abs().max(1.),
            "{what}: {name} {a} {b}"
        );
    }
}

#[test]
fn every_number_of_ranks_gives_the_same_run() {
    let cases: [&[&str]; 5] = [
        &["clip=0.5", "ema=0.8"],
        &["objective={name='adversarial',attack={},clean=0.5}", "optimizer.name='adamw'"],
        &["objective={name='trades',attack={}}", "clip=0.1"],
        &["objective={name='ssr',eigenvector='warm',scale=1}"],
        &["objective={name='ssr',scale=1}", "model.arch='resnet20'", "sync_norm=true", "ema=0.9"],
    ];
    for set in cases {
        let (config, folder) = (config(set), tempfile::tempdir().unwrap());
        let whole = folder.path().join("1");
        let expected = run(&job(&config, 21, &whole), &mut Silent).unwrap();
        // With six ranks and five images one has none of its own.
        for size in [2, 6] {
            let (out, what) = (folder.path().join(size.to_string()), format!("{size}: {set:?}"));
            let found = together(size, || job(&config, 21, &out));
            for lines in found {
                assert_logged(&lines.unwrap(), &expected, 1e-9, &what);
            }
            assert_near(&whole, &out, 1e-9, &what);
        }
    }
}

#[test]
fn a_run_goes_on_with_another_number_of_ranks() {
    let config = config(&["objective={name='ssr',eigenvector='warm',scale=1}"]);
    let folder = tempfile::tempdir().unwrap();
    let (whole, out) = (folder.path().join("whole"), folder.path().join("out"));
    run(&job(&config, 21, &whole), &mut Silent).unwrap();
    tiny::killed(&job(&config, 21, &out), 2, 1);
    let found = together(3, || job(&config, 21, &out));
    assert_eq!(found[2].as_ref().unwrap().len(), 3);
    assert_near(&whole, &out, 1e-9, "resumed");
}

#[test]
fn norms_of_their_own_give_statistics_that_are_averaged() {
    let config = config(&["model.arch='resnet20'", "ema=0.5", "epochs=1"]);
    let folder = tempfile::tempdir().unwrap();
    let models: Vec<_> = [0, 1].map(|_| Mutex::new(None)).into();
    let lines = together(2, || {
        let job = job(&config, 16, folder.path());
        // Whichever comes first.
        let params = job.model.params().tensors();
        let free = models.iter().find(|m| m.lock().unwrap().is_none()).unwrap();
        *free.lock().unwrap() = Some(params);
        job
    });
    assert!(lines.iter().all(Result::is_ok), "{lines:?}");
    let [a, b] = [0, 1].map(|i: usize| models[i].lock().unwrap().take().unwrap());
    for (name, t) in &a {
        assert!(t.equal(&b[name]), "`{name}` is not the same on both ranks");
    }
}

/// The set, its image 3 spoilt.
fn spoilt(config: &Config, out: &Path, on_nan: OnNan) -> Job {
    let job = Job { on_nan, ..job(config, 21, out) };
    let _ = job.train.images.held().get(3).fill_(f64::NAN);
    job
}

#[test]
fn all_ranks_stop_or_skip_at_the_same_step() {
    let config = config(&["data.augment={crop=0,flip=false}", "epochs=2"]);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let alone = run(&spoilt(&config, &at("alone"), OnNan::Stop), &mut Silent).unwrap_err();
    for said in together(2, || spoilt(&config, &at("stop"), OnNan::Stop)) {
        let expected = format!("{alone:#}").replace("alone", "stop");
        assert_eq!(said.unwrap_err(), expected);
    }
    run(&spoilt(&config, &at("alone"), OnNan::Skip), &mut Silent).unwrap();
    for lines in together(2, || spoilt(&config, &at("skip"), OnNan::Skip)) {
        assert_eq!(lines.unwrap().iter().map(|l| l.skipped).collect::<Vec<_>>(), [1, 1]);
    }
    assert_near(&at("alone"), &at("skip"), 1e-9, "skipped");
}

#[test]
fn ranks_that_do_not_fit_together_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let told = |size, config: &Config, images: fn() -> i64| {
        together(size, || job(config, images(), folder.path())).remove(0).unwrap_err()
    };
    let said = told(9, &config(&[]), || 21);
    assert!(said.contains("`batch_size` is 8, less than an image for each of 9 ranks"), "{said}");
    static NEXT: Mutex<i64> = Mutex::new(20);
    let another = || {
        let mut next = NEXT.lock().unwrap();
        *next += 1;
        *next
    };
    let said = told(2, &config(&[]), another);
    assert!(said.contains("training images: 2") && said.contains("on rank 1"), "{said}");
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing was written");
}
