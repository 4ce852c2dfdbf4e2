//! Changed and cut ONNX files: they are refused or read, within time and memory in proportion.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};
use tensorfile::onnx::File;

/// Changed files, and as many cut ones, of each fixture.
const CASES: usize = 1000;

/// A generator of numbers below a bound (xorshift), the same on every machine.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

fn changed(bytes: &[u8], draw: &mut Draw) -> Vec<u8> {
    let mut new = bytes.to_vec();
    for _ in 0..=draw.below(4) {
        let at = draw.below(new.len());
        match draw.below(4) {
            0 => new[at] = draw.below(256) as u8,
            1 => new[at] ^= 1 << draw.below(8),
            2 => drop(new.drain(at..(at + draw.below(16)).min(new.len()))),
            _ => {
                let part = new[at..(at + draw.below(16)).min(new.len())].repeat(1 + draw.below(9));
                new.splice(at..at, part);
            }
        }
    }
    new
}

/// Reads all of a file, and writes it again with its own weights.
fn read(bytes: Vec<u8>, path: &Path) -> anyhow::Result<()> {
    let file = File::of_bytes(bytes, path)?;
    let mut new = vec![];
    for proto in &file.graph().initializer {
        let values = file.tensor(proto)?;
        if file.check_writable(proto).is_ok() {
            new.push((proto, values));
        }
    }
    let pairs: Vec<_> = new.iter().map(|(proto, values)| (*proto, values)).collect();
    file.rewritten(&pairs, &[("classes", "a")]).map(drop)
}

/// The most memory that the process has held, in MB; none where the system does not tell.
fn peak() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<usize>().ok()? / 1024)
}

#[test]
fn changed_and_cut_files_are_refused_or_read() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut draw = Draw(0x9E37_79B9_7F4A_7C15);
    for name in ["forms.onnx", "network.onnx", "external.onnx"] {
        let path = folder.join(name);
        let bytes = fs::read(&path).expect("a file");
        let (mut good, begin) = (0, Instant::now());
        for case in 0..2 * CASES {
            let new = match case % 2 {
                0 => changed(&bytes, &mut draw),
                _ => bytes[..draw.below(bytes.len())].to_vec(),
            };
            good += usize::from(read(new, &path).is_ok());
        }
        // Names, settings and numbers can change in a file that is read; most other bytes cannot.
        assert!(good < CASES, "{name}: {good} of {} are read", 2 * CASES);
        assert!(begin.elapsed().as_secs() < 60, "{name}: {:?}", begin.elapsed());
    }
    assert!(peak().is_none_or(|most| most < 600), "{:?} MB", peak());
}
