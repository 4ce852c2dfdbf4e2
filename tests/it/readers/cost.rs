//! What changed networks cost. Memory is that of the process, so this test runs alone:
//!
//!     GRADPROOF_MUTATIONS=10000 cargo test --release --test it -- --ignored changed_networks
//!
//! The networks of the corpus, and with GRADPROOF_DATA=DIR those of DIR/onnx, are changed so many
//! times: cut off, edited, or given up to three other bytes, with which more of them still run.

use super::{apply, corpus, edit, edit::Edit};
use gradproof::readers::{READERS, Reader};
use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

/// Of a file: seconds of its thread, which do not depend on what else the machine does.
const MOST_SECONDS: f64 = 2.;
/// Of the process, which has libtorch's code.
const MOST_MEGABYTES: u64 = 600;
/// After so many seconds without an answer the process ends.
const HANGS: u64 = 60;

fn field(path: &str, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line[name.len()..].split_whitespace().next().unwrap().parse().unwrap()
}

fn megabytes() -> u64 {
    field("/proc/self/status", "VmHWM:") / 1024
}

fn seconds() -> f64 {
    field("/proc/thread-self/schedstat", "") as f64 / 1e9
}

/// Networks of other people, with their weights in one file.
fn others() -> Vec<Vec<u8>> {
    let Ok(folder) = std::env::var("GRADPROOF_DATA") else { return vec![] };
    let Ok(entries) = fs::read_dir(Path::new(&folder).join("onnx")) else { return vec![] };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "onnx"));
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Ends the process if a file is not answered for; `kept` is that file.
fn watch(count: &'static AtomicU64, kept: PathBuf) {
    thread::spawn(move || {
        let mut last = 0;
        loop {
            thread::sleep(Duration::from_secs(HANGS));
            let now = count.load(Ordering::Relaxed);
            if now == last {
                eprintln!("file {now} hangs: {}", kept.display());
                std::process::abort();
            }
            last = now;
        }
    });
}

fn tried(reader: &Reader, bytes: &[u8]) -> (bool, f64) {
    let before = seconds();
    let read = catch_unwind(AssertUnwindSafe(|| (reader.read)(bytes)));
    let took = seconds() - before;
    (read.expect("no reader panics").is_ok(), took)
}

#[test]
#[ignore = "minutes, and the only test of its process"]
fn changed_networks_cost_little() {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !models::graph::guarded() {
            hook(info);
        }
    }));
    let cases = std::env::var("GRADPROOF_MUTATIONS").map_or(10_000, |n| n.parse().unwrap());
    let reader = READERS.iter().find(|reader| reader.name == "network").unwrap();
    let files = [corpus(reader), others()].concat();
    let kept = std::env::temp_dir().join("gradproof-changed-network.onnx");
    watch(&COUNT, kept.clone());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[1; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let byte = (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Set(at, byte));
    let change = (any::<Index>(), any::<Index>(), vec(edit(), 1..8), vec(byte, 1..4));
    let (mut ran, mut slowest, mut most) = (0, 0f64, megabytes());
    for case in 0..cases {
        let (file, end, edits, set) = change.new_tree(&mut runner).unwrap().current();
        let mut bytes = file.get(&files).clone();
        let made = match case % 4 {
            0 => vec![],
            1 => edits,
            _ => set,
        };
        made.iter().for_each(|edit| apply(&mut bytes, edit, &files));
        if made.is_empty() {
            bytes.truncate(end.index(bytes.len()));
        }
        fs::write(&kept, &bytes).unwrap();
        let (runs, took) = tried(reader, &bytes);
        COUNT.fetch_add(1, Ordering::Relaxed);
        ran += u64::from(runs);
        (slowest, most) = (slowest.max(took), megabytes().max(most));
        assert!(took <= MOST_SECONDS, "file {case}: {took} s, {}", kept.display());
        assert!(most <= MOST_MEGABYTES, "file {case}: {most} MB, {}", kept.display());
    }
    eprintln!("{cases} changed files, {ran} still run: {slowest:.2} s, {most} MB at most");
}
