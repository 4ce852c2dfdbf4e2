//! The loop on a tiny set: exact resume wherever a run is killed, logs and TensorBoard files read
//! back, refusals.

use crate::tiny::{self, Silent};
use data::{Last, Shuffle};
use std::{collections::BTreeMap, fs, path::Path};
use tch::{Kind, Tensor};
use tensorfile::TensorFile;
use train::{
    Config, EpochLine, Job, OnNan, accuracy, log,
    log::{Quantiles, Reading, tensorboard},
    run,
};

const PLAIN: &str = "epochs = 4
batch_size = 8
[data]
train = 'grey'
augment = { crop = 1, flip = true }
[model]
arch = 'resnet20'
[optimizer]
name = 'sgd'
learning_rate = 0.05
weight_decay = 1e-3
[schedule]
name = 'cosine'
warmup = 1
";

const FULL: &[&str] = &[
    "precision=bf16",
    "ema=0.8",
    "clip=0.5",
    "seed=9",
    "optimizer={name='adamw',learning_rate=0.01}",
    "objective={name='natural',label_smoothing=0.1}",
];

fn config(set: &[&str]) -> Config {
    Config::parse(PLAIN, &set.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()).unwrap()
}

/// The last batch is not full.
fn job(config: &Config, out: &Path, resume: bool) -> Job {
    Job { resume, ..tiny::job(config, 3, [21, 12], out) }
}

fn tensors(path: &Path) -> BTreeMap<String, Tensor> {
    TensorFile::read(path).unwrap().tensors
}

fn assert_same(a: &Path, b: &Path) {
    let (ta, tb) = (tensors(a), tensors(b));
    assert_eq!(ta.keys().collect::<Vec<_>>(), tb.keys().collect::<Vec<_>>());
    for (name, t) in &ta {
        assert!(t.kind() == tb[name].kind() && t.equal(&tb[name]), "`{name}` differs");
    }
}

/// A log without what no run repeats: times.
fn timeless(lines: Vec<EpochLine>) -> Vec<EpochLine> {
    let without = |mut line: EpochLine| {
        (line.seconds, line.images_per_second, line.ended) = (0., 0., 0.);
        line.steps.iter_mut().for_each(|reading| reading.seconds = 0.);
        line
    };
    lines.into_iter().map(without).collect()
}

#[test]
fn a_killed_run_ends_as_one_never_killed() {
    let variants: [&[&str]; 3] = [&[], &["channels_last=false", "optimizer.nesterov=true"], FULL];
    for set in variants {
        let folder = tempfile::tempdir().unwrap();
        let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
        let config = config(set);
        let expected = run(&job(&config, &whole, false), &mut Silent).unwrap();
        for (epoch, step) in [(1, 2), (2, 1), (2, 0), (3, 3), (4, 0)] {
            tiny::killed(&job(&config, &killed, true), epoch, step);
        }
        let lines = run(&job(&config, &killed, true), &mut Silent).unwrap();
        assert_eq!(timeless(lines), timeless(expected), "{set:?}");
        for file in ["last.safetensors", "resume.safetensors"] {
            assert_same(&whole.join(file), &killed.join(file));
        }
        let read = |folder: &Path| timeless(log::read(&folder.join("log.jsonl")).unwrap());
        assert_eq!(read(&whole), read(&killed));
    }
}

#[test]
fn a_log_that_is_ahead_of_the_state_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    let config = config(&[]);
    let job_at = |resume| job(&config, out, resume);
    tiny::killed(&job_at(true), 2, 1);
    let state = fs::read(out.join("resume.safetensors")).unwrap();
    let expected = timeless(run(&job_at(true), &mut Silent).unwrap());
    fs::write(out.join("resume.safetensors"), &state).unwrap(); // as if killed before writing it
    let lines = timeless(run(&job_at(true), &mut Silent).unwrap());
    assert_eq!(lines.iter().map(|l| l.epoch).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(lines, expected);
    assert_eq!(timeless(log::read(&out.join("log.jsonl")).unwrap()), expected);
    // and one that is behind cannot be right
    fs::write(out.join("log.jsonl"), "").unwrap();
    let told = format!("{:#}", run(&job_at(true), &mut Silent).unwrap_err());
    assert!(told.contains("log.jsonl` is too short"), "{told}");
}

#[test]
fn a_run_is_not_overwritten_and_not_resumed_with_other_settings() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    let first = config(&["epochs=1"]);
    run(&job(&first, out, true), &mut Silent).unwrap();
    let before = fs::read(out.join("resume.safetensors")).unwrap();
    let told = format!("{:#}", run(&job(&first, out, false), &mut Silent).unwrap_err());
    assert!(told.contains("already holds a run; add `--resume`"), "{told}");
    for (other, expected) in [
        (config(&["epochs=1", "seed=3"]), "was started with `seed = 0`, now it is `seed = 3`"),
        (config(&["epochs=1", "optimizer.nesterov=true"]), "the run"),
    ] {
        let told = format!("{:#}", run(&job(&other, out, true), &mut Silent).unwrap_err());
        assert!(told.contains("cannot resume from") && told.contains(expected), "{told}");
    }
    assert_eq!(fs::read(out.join("resume.safetensors")).unwrap(), before, "nothing was written");
    let done = run(&job(&first, out, true), &mut Silent).unwrap();
    assert_eq!(done.len(), 1, "a finished run has nothing to go on with");
}

#[test]
fn a_run_learns_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&["epochs=6", "data.augment.crop=0"]);
    let job = job(&config, folder.path(), false);
    let lines = run(&job, &mut Silent).unwrap();
    for (i, line) in lines.iter().enumerate() {
        let parts: f64 =
            line.loss.iter().filter(|(name, _)| *name != "total").map(|(_, v)| v).sum();
        assert!((line.loss["total"] - parts).abs() < 1e-12, "parts sum to the total");
        assert_eq!(line.epoch, i as u32 + 1);
        let last = (i as f64 + 2. / 3. - 1.) / 5.; // the third of three steps, after the warm-up
        let factor = if i == 0 { 2. / 3. } else { 0.5 + 0.5 * (last * std::f64::consts::PI).cos() };
        assert!((line.learning_rate - 0.05 * factor).abs() < 1e-9, "epoch {}", i + 1);
    }
    let last = lines.last().unwrap();
    assert!(last.loss["total"] < 0.5 * lines[0].loss["total"], "{lines:?}");
    let frozen = job.model.frozen();
    let mut ticked = 0;
    let test = job.test.as_ref().unwrap();
    let found = accuracy(&frozen, test, 5, |n| ticked += n).unwrap();
    assert_eq!((ticked, found.correct.size()), (12, vec![12]));
    assert!((found.fraction - last.test_accuracy.unwrap()).abs() < 1e-9);
    let (x, y) = test.batch(&(0..12).collect::<Vec<_>>()).unwrap();
    let right = models::Model::logits(&frozen, &x).argmax(1, false).eq_tensor(&y);
    assert!(found.correct.equal(&right));
}

#[test]
fn a_loss_that_explodes_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&["optimizer.learning_rate=1e30", "schedule={name='constant'}"]);
    let told = format!("{:#}", run(&job(&config, folder.path(), false), &mut Silent).unwrap_err());
    for words in ["cross-entropy ", "step ", "of epoch 1", "no checkpoint yet", "--on-nan skip"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(!folder.path().join("last.safetensors").exists(), "broken weights are not kept");
}

/// The set, its image 3 spoilt.
fn spoilt(job: &mut Job) {
    job.train.images = (job.train.images.held().to_kind(Kind::Float) / 255.).into();
    let _ = job.train.images.held().get(3).fill_(f64::NAN);
}

#[test]
fn a_loss_that_is_not_finite_names_its_step_or_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&["data.augment={crop=0,flip=false}", "epochs=2"]);
    let mut stops = job(&config, &folder.path().join("stops"), false);
    spoilt(&mut stops);
    let shuffle = Shuffle { seed: 0, epoch: 0, augment: None, last: Last::Keep };
    let order = stops.train.order(8, &shuffle);
    let bad = order.iter().position(|batch| batch.contains(&3)).unwrap() + 1;
    let told = format!("{:#}", run(&stops, &mut Silent).unwrap_err());
    assert!(told.contains(&format!("cross-entropy NaN; step {bad} of epoch 1")), "{told}");

    let mut skips =
        Job { on_nan: OnNan::Skip, ..job(&config, &folder.path().join("skips"), false) };
    spoilt(&mut skips);
    let lines = run(&skips, &mut Silent).unwrap();
    assert_eq!(lines.iter().map(|l| l.skipped).collect::<Vec<_>>(), [1, 1]);
    assert!(lines.iter().all(|l| l.loss["total"].is_finite() && l.test_accuracy.unwrap() > 0.3));
}

#[test]
fn the_last_good_checkpoint_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&[
        "epochs=2",
        "optimizer.learning_rate=1e34",
        "schedule={name='cycles',lengths=[1,1],heights=[1e-35,1]}",
    ]);
    let told = format!("{:#}", run(&job(&config, folder.path(), false), &mut Silent).unwrap_err());
    let kept = folder.path().join("last.safetensors");
    let expected =
        format!("of epoch 2; the last good checkpoint is `{}` (epoch 1)", kept.display());
    assert!(told.contains(&expected), "{told}");
    assert!(tensors(&kept).values().all(|t| bool::try_from(t.isfinite().all()).unwrap()));
}

fn lines() -> Vec<EpochLine> {
    let line = |epoch: u32, test_accuracy| EpochLine {
        epoch,
        loss: BTreeMap::from([("cross-entropy".into(), 0.1), ("total".into(), 1.5)]),
        train_accuracy: 0.25,
        test_accuracy,
        validation_accuracy: None,
        observed: BTreeMap::from([("xi".into(), Quantiles { mean: 3., median: 0.5, p90: 9. })]),
        robust_accuracy: test_accuracy,
        skipped: 0,
        steps: vec![Reading { step: 20 * u64::from(epoch), loss: 0.5, seconds: 1.5 }],
        learning_rate: 1e-3,
        seconds: 2.5,
        images_per_second: 1234.5,
        ended: 1e9 + f64::from(epoch),
    };
    vec![line(1, None), line(300, Some(0.75))]
}

#[test]
fn a_log_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/log.jsonl");
    log::write(&path, &lines()).unwrap();
    assert_eq!(log::read(&path).unwrap(), lines());
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() - 20]).unwrap();
    let told = format!("{:#}", log::read(&path).unwrap_err());
    assert!(told.contains("log.jsonl` line 2"), "{told}");
}

/// CRC-32C, bit by bit (polynomial 0x1EDC6F41, reflected), masked as TFRecord does.
fn masked_crc(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    (!crc).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The records of a TFRecord file.
fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut records = vec![];
    while !bytes.is_empty() {
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let n = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        assert_eq!(number(8), masked_crc(&bytes[..8]), "checksum of a length");
        assert_eq!(number(12 + n), masked_crc(&bytes[12..12 + n]), "checksum of a record");
        records.push(bytes[12..12 + n].to_vec());
        bytes = &bytes[16 + n..];
    }
    records
}

/// The fields of a protobuf message: number -> bytes of its value (varints as u64).
fn fields(mut bytes: &[u8]) -> BTreeMap<u64, Vec<u8>> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    }
    let mut fields = BTreeMap::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let n = match key & 7 {
            0 => {
                fields.insert(key >> 3, varint(&mut bytes).to_le_bytes().to_vec());
                continue;
            }
            1 => 8,
            2 => varint(&mut bytes) as usize,
            5 => 4,
            other => panic!("wire type {other}"),
        };
        fields.insert(key >> 3, bytes[..n].to_vec());
        bytes = &bytes[n..];
    }
    fields
}

#[test]
fn tensorboard_finds_every_scalar() {
    assert_eq!(masked_crc(b"123456789"), 0xe306_9283u32.rotate_right(15).wrapping_add(0xa282_ead8));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.out.tfevents.test");
    let settings = [("epochs".to_owned(), 3.into()), ("model.arch".to_owned(), "cnn".into())];
    tensorboard::write(&path, &settings, &lines()).unwrap();
    let mut events = records(&fs::read(&path).unwrap()).into_iter().map(|r| fields(&r));
    assert_eq!(events.next().unwrap()[&3], b"brain.Event:2");
    // Settings, as the table of hyperparameters reads them.
    let value = fields(&fields(&events.next().unwrap()[&5])[&1]);
    assert_eq!(value[&1], b"_hparams_/session_start_info");
    let plugin = fields(&fields(&value[&9])[&1]);
    assert_eq!(plugin[&1], b"hparams");
    let session = fields(&fields(&plugin[&2])[&3]);
    let last = fields(&session[&1]);
    assert_eq!((&last[&1][..], &fields(&last[&2])[&3][..]), (&b"model.arch"[..], &b"cnn"[..]));
    assert_eq!(f64::from_le_bytes(session[&5][..].try_into().unwrap()), 1e9 + 1. - 2.5);
    let found: Vec<(f64, u64, String, f32)> = events
        .map(|event| {
            let value = fields(&fields(&event[&5])[&1]);
            let wall = f64::from_le_bytes(event[&1][..].try_into().unwrap());
            let step = u64::from_le_bytes(event[&2][..].try_into().unwrap());
            let scalar = f32::from_le_bytes(value[&2][..].try_into().unwrap());
            (wall, step, String::from_utf8(value[&1].clone()).unwrap(), scalar)
        })
        .collect();
    let expected: Vec<(f64, u64, String, f32)> = lines()
        .iter()
        .flat_map(|line| {
            let (step, wall) = (u64::from(line.epoch), line.ended);
            let of = move |(tag, value)| (wall, step, tag, value as f32);
            let way = (wall - 1., 20 * step, tensorboard::LOSS.to_owned(), 0.5);
            [way].into_iter().chain(line.scalars().into_iter().map(of))
        })
        .collect();
    assert_eq!(found, expected);
    let (first, last) = (lines()[0].scalars().len(), lines()[1].scalars().len());
    assert_eq!(last, first + 2, "test and robust accuracy where they are known");
}

/// ResNet-18's last layers see one place of an image of this size.
fn lone(out: &Path, set: &[&str], train: i64) -> Job {
    let set = [&["model.arch='resnet18-imagenet'", "epochs=1"], set].concat();
    let config = config(&set);
    Job { resume: false, ..tiny::job(&config, 3, [train, 12], out) }
}

#[test]
fn a_last_batch_of_one_image_poisons_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    run(&lone(&out, &[], 17), &mut Silent).unwrap();
    let found = tensors(&out.join("last.safetensors"));
    for (name, t) in &found {
        assert!(bool::try_from(t.isfinite().all()).unwrap(), "`{name}` is not finite");
    }
}

#[test]
fn batches_of_one_image_are_refused_where_a_norm_sees_one_value() {
    let folder = tempfile::tempdir().unwrap();
    for (set, train) in [(&["batch_size=1"][..], 17), (&["batch_size=8"][..], 1)] {
        let out = folder.path().join(train.to_string());
        let told = format!("{:#}", run(&lone(&out, set, train), &mut Silent).unwrap_err());
        assert!(told.contains("one value a channel") && told.contains("batch_size"), "{told}");
        assert!(!out.exists(), "something was written");
    }
    let frozen = ["batch_size=1"];
    let plain = config(&[&frozen[..], &["epochs=1"]].concat());
    run(&tiny::job(&plain, 3, [5, 5], &folder.path().join("plain")), &mut Silent).unwrap();
}

#[test]
fn a_running_statistic_that_is_not_finite_replaces_no_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let job = job(&config(&["epochs=1"]), folder.path(), false);
    // Moving averages of infinity stay infinite, and training passes do not look at them.
    let (name, mut statistic) =
        job.model.params().tensors().into_iter().find(|(n, _)| n.ends_with("running_var")).unwrap();
    let _ = tch::no_grad(|| statistic.fill_(f64::INFINITY));
    let told = format!("{:#}", run(&job, &mut Silent).unwrap_err());
    assert!(told.contains("running statistic is not finite"), "{name}: {told}");
    assert!(!folder.path().join("last.safetensors").exists());
}
