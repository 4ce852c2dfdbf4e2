//! Trainings that are killed with SIGKILL and resumed end with the bytes of one never killed; at no
//! moment does a half-written file stand under its final name.

use crate::place::{CONFIG, Place, SHAPES, model, says};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};
use tensorfile::TensorFile;

const ADAMW: &str = r#"
seed = 3
epochs = 7
batch_size = 16
clip = 1.0
ema = 0.9
channels_last = false
[data]
train = "shapes:seed=0,train=64,test=16"
augment = { crop = 4, flip = true }
[model]
arch = "resnet20"
normalise = "0.5/0.25"
[objective]
name = "natural"
label_smoothing = 0.1
[optimizer]
name = "adamw"
learning_rate = 0.003
[schedule]
name = "cosine"
warmup = 1.5
"#;

/// When a training is killed.
enum Moment {
    /// This many seconds after it says that it begins, and soon after an epoch at the latest: on a
    /// machine that was slow and no longer is, those seconds would see many epochs.
    After(f64),
    /// As soon as it is seen writing a file.
    Writing,
}

/// splitmix64, as seconds in [0, `most`).
fn random(state: &mut u64, most: f64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z >> 40) as f64 / (1u64 << 24) as f64 * most
}

/// Starts a leg of the training in `broken` and kills it; whether it was alive until then.
fn kill(place: &Place, moment: &Moment) -> bool {
    let mut command = place.command("train --config run.toml --out broken --resume");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
    let mut notes = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    notes.read_line(&mut line).expect("a first note");
    assert!(line.starts_with("training "), "{line}");
    match moment {
        Moment::After(seconds) => wait_or_epoch(place, *seconds),
        Moment::Writing => wait_for_a_writer(place, &mut child),
    }
    child.kill().expect("it can be killed");
    let killed = child.wait().expect("it ends").signal() == Some(9);
    check(place, "broken");
    killed
}

fn wait_or_epoch(place: &Place, seconds: f64) {
    let written = || place.at("broken/log.jsonl").metadata().and_then(|m| m.modified()).ok();
    let (begun, before) = (Instant::now(), written());
    while begun.elapsed().as_secs_f64() < seconds && written() == before {
        thread::sleep(Duration::from_millis(2));
    }
}

fn wait_for_a_writer(place: &Place, child: &mut Child) {
    let temporary = |name: &str| name.starts_with(".gradproof-") && name.ends_with(".tmp");
    while child.try_wait().expect("a child").is_none() {
        let Ok(entries) = place.at("broken").read_dir() else { continue };
        let names = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned());
        if names.into_iter().any(|name| temporary(&name)) {
            return;
        }
    }
}

/// Whatever stands under a final name is whole, and the log has all that the state builds on.
fn check(place: &Place, run: &str) {
    let file = |name: &str| place.at(&format!("{run}/{name}"));
    let whole = |name: &str| {
        let path = file(name);
        path.exists().then(|| TensorFile::read(&path).expect("a whole tensor file"))
    };
    whole("last.safetensors");
    let lines = match file("log.jsonl").exists() {
        false => 0,
        true => log(place, run).len(),
    };
    if let Some(state) = whole("resume.safetensors") {
        let epoch: usize = state.metadata["epoch"].parse().expect("a number");
        assert!(lines >= epoch, "{lines} lines of log, state of epoch {epoch}");
    }
}

fn log(place: &Place, run: &str) -> Vec<Value> {
    let text = place.text(&format!("{run}/log.jsonl"));
    assert!(text.ends_with('\n'), "half a line: {text}");
    text.lines().map(|line| serde_json::from_str(line).expect("a whole JSON line")).collect()
}

/// Kills at the `random_moments` and at three moments of writing, resumes, and compares with a run
/// never killed.
fn survives(place: &Place, random_moments: usize, seed: u64) {
    place.ok("train --config run.toml --out whole");
    let seconds = log(place, "whole").into_iter().map(|l| l["seconds"].as_f64().expect("a number"));
    let epoch = seconds.fold(0., f64::max);
    let mut state = seed;
    let moments = (0..random_moments).map(|_| Moment::After(random(&mut state, 1.2 * epoch)));
    // A writer killed as soon as it is seen stops the run within its epoch.
    let moments = moments.chain((0..3).map(|_| Moment::Writing));
    for (i, moment) in moments.enumerate() {
        assert!(kill(place, &moment), "the run ended before kill {i}: give it more epochs");
    }
    place.write("broken/.gradproof-killed.tmp", "half a file");
    place.ok("train --config run.toml --out broken --resume");

    check(place, "broken");
    assert_eq!(log(place, "broken").len(), log(place, "whole").len());
    let (whole, broken) =
        (place.tensors("whole/last.safetensors"), place.tensors("broken/last.safetensors"));
    assert_eq!(whole.tensors.keys().collect::<Vec<_>>(), broken.tensors.keys().collect::<Vec<_>>());
    for (name, tensor) in &whole.tensors {
        assert!(*tensor == broken.tensors[name], "`{name}` differs");
    }
    for name in ["last.safetensors", "resume.safetensors", "config.toml"] {
        let of = |run: &str| place.read(&format!("{run}/{name}"));
        assert!(of("whole") == of("broken"), "`{name}` differs");
    }
    let left = place.contents().into_keys().filter(|p| p.to_string_lossy().contains(".gradproof-"));
    assert_eq!(left.count(), 0, "what killed writers left was not cleaned up");
}

#[test]
fn ten_kills_of_sgd_change_no_bit() {
    let place = Place::new("kills-sgd");
    // Each kill gains an epoch at most, nearly always.
    place.write("run.toml", CONFIG.replace("epochs = 1", "epochs = 16"));
    survives(&place, 10, 1);
}

#[test]
fn kills_of_adamw_with_average_clip_and_cosine_change_no_bit() {
    let place = Place::new("kills-adamw");
    place.write("run.toml", ADAMW);
    survives(&place, 2, 2);
}

#[test]
fn a_seed_decides_every_byte() {
    let place = Place::new("seeds");
    place.write("run.toml", CONFIG);
    place.ok("train --config run.toml --out same");
    let shared = std::fs::read(model()).expect("weights");
    assert!(place.read("same/last.safetensors") == shared, "the same seed gave other weights");

    place.ok("train --config run.toml --out other --set seed=1");
    let (same, other) =
        (place.tensors("same/last.safetensors"), place.tensors("other/last.safetensors"));
    assert!(same.tensors["conv1.weight"] != other.tensors["conv1.weight"]);
}

#[test]
fn a_run_is_neither_overwritten_nor_continued_otherwise() {
    let place = Place::new("continue");
    place.write("run.toml", CONFIG);
    let train = "train --config run.toml --out run";
    place.ok(train);
    says(&place.refused(train), &["run", "--resume"]);
    for (setting, named) in [
        ("optimizer.learning_rate=0.1", "learning_rate = 0.1"),
        ("seed=1", "seed = 1"),
        ("batch_size=8", "batch_size = 8"),
        ("clip=1.0", "clip"),
    ] {
        let said = place.refused(&format!("{train} --resume --set {setting}"));
        says(&said, &["run/resume.safetensors", named]);
    }
    // A finished run is finished: nothing is trained, nothing changes.
    let before = place.contents();
    place.ok(&format!("{train} --resume"));
    assert!(before == place.contents());
    says(
        &place.ok(&format!("eval --weights run/last.safetensors --data {SHAPES}")).stdout,
        &["16"],
    );
}

#[test]
fn a_damaged_state_is_refused() {
    let place = Place::new("damaged-state");
    place.write("run.toml", CONFIG);
    let train = "train --config run.toml --out run --resume";
    place.ok(train);
    let state = place.read("run/resume.safetensors");
    for length in [0, 7, state.len() / 2, state.len() - 1] {
        place.write("run/resume.safetensors", &state[..length]);
        says(&place.refused(train), &["run/resume.safetensors"]);
    }
    place.write("run/resume.safetensors", &state);
    let log = place.text("run/log.jsonl");
    for damaged in ["", &log[..log.len() / 2]] {
        place.write("run/log.jsonl", damaged);
        says(&place.refused(train), &["run/log.jsonl"]);
    }
}

/// `best.safetensors` is the epoch with the highest accuracy on images that were not trained on, in a run that
/// was killed as well.
#[test]
fn the_best_weights_are_chosen_by_images_held_out() {
    let place = Place::new("resume-best");
    place.write("run.toml", CONFIG);
    let line = "train --config run.toml --set epochs=3 --set data.validation=0.25";
    let said = place.ok(&format!("{line} --out whole")).stdout;
    let log: Vec<Value> = place
        .text("whole/log.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let of = |line: &Value| line["validation_accuracy"].as_f64().expect("a number");
    let most = log.iter().map(of).fold(0., f64::max);
    let epoch = log.iter().position(|line| of(line) == most).expect("one of them") + 1;
    let header = place.tensors("whole/best.safetensors").metadata;
    assert_eq!(header["epochs"], epoch.to_string());
    let told = format!("highest validation accuracy, {most:.4} after epoch {epoch} of 3, on 25 %");
    assert!(header["selected_by"].starts_with(&told), "{}", header["selected_by"]);
    assert!(said.contains(&format!("after epoch {epoch}, the highest: whole/best.safetensors")));
    assert!(!place.tensors("whole/last.safetensors").metadata.contains_key("selected_by"));
    place.killed_at(&format!("{line} --out cut"), "cut/resume.safetensors");
    place.ok(&format!("{line} --out cut --resume"));
    let [a, b] = ["whole", "cut"].map(|run| place.tensors(&format!("{run}/best.safetensors")));
    a.tensors.iter().for_each(|(name, t)| assert!(t.equal(&b.tensors[name]), "{name}"));
    place.ok("train --config run.toml --out none");
    assert!(!place.at("none/best.safetensors").exists(), "no image was held out");
    let told = place.refused("train --config run.toml --set data.validation=1.5 --out wrong");
    assert!(told.contains("`data.validation` is no fraction between 0 and 1"), "{told}");
}
