//! Changes of files.

use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};

/// A change of a file.
#[derive(Clone, Debug)]
pub enum Edit {
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

/// One of them.
pub fn edit() -> impl Strategy<Value = Edit> {
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

/// Makes one change; other files of the corpus are spliced into it.
pub fn apply(bytes: &mut Vec<u8>, edit: &Edit, corpus: &[Vec<u8>]) {
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
