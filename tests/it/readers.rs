//! Every reader on its corpus and on changed files of it: it may refuse what it is given, never
//! panic. The same files in the same order each time; `GRADPROOF_FUZZ_SECONDS=30` goes on for so long
//! with each reader. `fuzz/` does the same with coverage (docs/fuzzing.md).

use gradproof::readers::{READERS, Reader};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
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

/// A change of a file.
#[derive(Clone, Debug)]
enum Edit {
    /// Another byte.
    Set(Index, u8),
    /// A number at the edge of its type, little-endian.
    Number(Index, i64, usize),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    /// So many bytes are there so many times more.
    Repeat(Index, usize, usize),
    /// From here on another file of the corpus, from there on.
    Splice(Index, Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    let edges = vec![0, 1, -1, 127, 128, 255, 32767, 65535, i64::from(i32::MAX), -128]
        .into_iter()
        .chain([i64::from(u32::MAX), i64::from(i32::MIN), i64::MAX, i64::MIN, 1 << 40]);
    prop_oneof![
        3 => (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        2 => (at(), select(edges.collect::<Vec<i64>>()), select(vec![1, 2, 4, 8]))
            .prop_map(|(at, number, width)| Edit::Number(at, number, width)),
        2 => (at(), vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        2 => (at(), 1..64usize).prop_map(|(at, n)| Edit::Remove(at, n)),
        2 => (at(), 1..32usize, 1..64usize).prop_map(|(at, n, times)| Edit::Repeat(at, n, times)),
        2 => (at(), at(), at()).prop_map(|(at, file, from)| Edit::Splice(at, file, from)),
    ]
}

fn apply(bytes: &mut Vec<u8>, edit: &Edit, corpus: &[Vec<u8>]) {
    let place = |at: &Index| at.index(bytes.len() + 1);
    match edit {
        Edit::Set(at, byte) => {
            let at = place(at);
            bytes.splice(at..bytes.len().min(at + 1), [*byte]);
        }
        Edit::Number(at, number, width) => {
            let at = place(at);
            let end = bytes.len().min(at + width);
            bytes.splice(at..end, number.to_le_bytes()[..*width].iter().copied());
        }
        Edit::Insert(at, new) => {
            let at = place(at);
            bytes.splice(at..at, new.iter().copied());
        }
        Edit::Remove(at, n) => {
            let at = place(at);
            bytes.drain(at..bytes.len().min(at + n));
        }
        Edit::Repeat(at, n, times) => {
            let at = place(at);
            let part = bytes[at..bytes.len().min(at + n)].repeat(*times);
            bytes.splice(at..at, part);
        }
        Edit::Splice(at, file, from) => {
            let at = place(at);
            let other = &corpus[file.index(corpus.len())];
            bytes.truncate(at);
            bytes.extend(&other[from.index(other.len() + 1)..]);
        }
    }
}

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
