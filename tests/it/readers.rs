//! Every reader on its corpus and on changed files of it: it may refuse what it is given, never
//! panic. The same files in the same order each time; `GRADPROOF_FUZZ_SECONDS=30` goes on for so long
//! with each reader. `fuzz/` does the same with coverage (docs/fuzzing.md).

mod cost;
mod edit;

use edit::{apply, edit};
use gradproof::readers::{READERS, Reader};
use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Changed files of each reader in a round.
const CASES: u32 = 256;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

/// The files of a reader, in the order of their names.
fn corpus(reader: &Reader) -> Vec<Vec<u8>> {
    let folder = folder().join(reader.name);
    let files = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let files: BTreeSet<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn read(reader: &Reader, seconds: u64) {
    let corpus = corpus(reader);
    assert!(!corpus.is_empty(), "`{}` has no corpus", reader.name);
    let accepted = corpus.iter().filter(|bytes| (reader.read)(bytes).is_ok()).count();
    assert!(accepted > 0, "`{}` refuses all of its corpus", reader.name);
    let file = (any::<Index>(), vec(edit(), 1..8));
    let (begin, length) = (Instant::now(), Duration::from_secs(seconds));
    for round in 0u64.. {
        let seed: Vec<u8> = round.to_le_bytes().repeat(4);
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let changed = TestRunner::new_with_rng(config, rng).run(&file, |(file, edits)| {
            let mut bytes = corpus[file.index(corpus.len())].clone();
            edits.iter().for_each(|edit| apply(&mut bytes, edit, &corpus));
            let _ = (reader.read)(&bytes);
            Ok(())
        });
        changed.unwrap_or_else(|e| panic!("`{}`, round {round}: {e}", reader.name));
        if begin.elapsed() >= length {
            break;
        }
    }
}

#[test]
fn readers_refuse_and_never_panic() {
    let seconds = std::env::var("GRADPROOF_FUZZ_SECONDS").map_or(0, |s| s.parse().unwrap());
    let next = AtomicUsize::new(0);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(reader) = READERS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    read(reader, seconds);
                }
            });
        }
    });
}

#[test]
fn every_reader_has_a_corpus_and_every_corpus_a_reader() {
    let names: Vec<&str> = READERS.iter().map(|reader| reader.name).collect();
    assert!(names.is_sorted(), "sorted by name");
    let folders = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let folders: BTreeSet<String> = folders.map(|name| name.into_string().unwrap()).collect();
    assert_eq!(folders, names.iter().map(|name| (*name).to_owned()).collect());
}
