//! Work of a fixed shape that is recorded once and replayed: CUDA graphs, which the root knows how to
//! make. A recording repeats every launch with the numbers that the host had while it was made, so
//! only work belongs here that is a function of its input tensors, and of tensors that stay where
//! they are (docs/decisions/cuda-graphs.md). Whatever is recorded has to give what plain passes give,
//! at two inputs; else it is refused and nothing is replayed.

use crate::graph::guard;
use anyhow::{Result, ensure};
use tch::{Device, Kind, Tensor};
use tensorfile::upload::{self, Uploads};

/// Who makes recordings of what a device is asked to do.
pub trait Recorder {
    /// Does `work` on the stream where recordings are made, and waits for it. Errors: the device
    /// makes none.
    fn aside(&self, device: Device, work: &mut dyn FnMut()) -> Result<()>;

    /// What `work` asks of `device`, which is not done. Errors: what cannot be recorded.
    fn record(&self, device: Device, work: &mut dyn FnMut()) -> Result<Box<dyn Recording>>;

    /// Is told why there is no recording.
    fn refused(&self, why: &str);
}

/// What a device was asked to do.
pub trait Recording {
    /// Asks for all of it again, on the stream in use. Errors: the device's.
    fn replay(&self) -> Result<()>;
}

/// Work that is recorded: inputs to write into, outputs to read from.
pub struct Replay {
    recording: Box<dyn Recording>,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
    /// What the recording reads of the host's numbers.
    _uploads: Uploads,
}

/// Work on tensors that gives tensors.
pub type Work<'a> = dyn FnMut(&[Tensor]) -> Vec<Tensor> + 'a;

/// How far a replay may be from plain passes, in units of the largest number: sums of a GPU whose order
/// is not fixed; anything else is wrong by far more.
const APART: f64 = 1e-3;

impl Replay {
    /// Records `work` at inputs like `at`; none where that is not possible, which `recorder` is told.
    /// `moved` are the tensors that it changes in place, which are left as they were.
    pub fn of(
        recorder: &dyn Recorder,
        at: &[&Tensor],
        moved: &[Tensor],
        work: &mut Work,
    ) -> Option<Self> {
        let before = copies(moved);
        let made = guard(|| Trial { recorder, moved, before: &before }.made(at, work));
        put(moved, &before);
        made.map_err(|error| recorder.refused(&format!("{error:#}"))).ok()
    }

    /// Whether `inputs` have the shapes and types that were recorded.
    pub fn fits(&self, inputs: &[&Tensor]) -> bool {
        let alike = |(a, b): (&Tensor, &&Tensor)| {
            a.size() == b.size() && a.kind() == b.kind() && a.device() == b.device()
        };
        self.inputs.len() == inputs.len() && self.inputs.iter().zip(inputs).all(alike)
    }

    /// What the work gives for `inputs`; no graph. Panics: inputs that do not fit, and where the device
    /// fails.
    pub fn at(&self, inputs: &[&Tensor]) -> Vec<Tensor> {
        assert!(self.fits(inputs), "inputs of another shape than was recorded");
        put(&self.inputs, inputs);
        self.recording.replay().expect("what was recorded can be replayed");
        copies(&self.outputs)
    }
}

/// A recording in the making.
struct Trial<'a> {
    recorder: &'a dyn Recorder,
    moved: &'a [Tensor],
    before: &'a [Tensor],
}

impl Trial<'_> {
    fn made(&self, at: &[&Tensor], work: &mut Work) -> Result<Replay> {
        let device = at.first().map_or(Device::Cpu, |t| t.device());
        ensure!(device.is_cuda(), "the device is no GPU");
        let inputs = copies(at);
        // Warms up as well: libraries make their handles and workspaces on that stream.
        let (here, uploads) = upload::kept(|| self.plain(device, &inputs, work));
        let here = here?;
        let mut outputs = vec![];
        let mut asked = || outputs = upload::given(&uploads, || detached(work(&inputs)));
        let recording = self.recorder.record(device, &mut asked)?;
        let replay = Replay { recording, inputs, outputs, _uploads: uploads };
        self.check(&replay, &here)?;
        let elsewhere: Vec<Tensor> = at.iter().map(|t| other(t)).collect();
        put(&replay.inputs, &elsewhere);
        let there = self.plain(device, &replay.inputs, work)?;
        self.check(&replay, &there)?;
        Ok(replay)
    }

    /// What plain passes give, and leave in what they change.
    fn plain(&self, device: Device, inputs: &[Tensor], work: &mut Work) -> Result<Vec<Tensor>> {
        put(self.moved, self.before);
        let mut found = vec![];
        self.recorder.aside(device, &mut || found = copies(&detached(work(inputs))))?;
        found.extend(copies(self.moved));
        Ok(found)
    }

    /// Errors: a replay that gives something else.
    fn check(&self, replay: &Replay, plain: &[Tensor]) -> Result<()> {
        put(self.moved, self.before);
        replay.recording.replay()?;
        let found: Vec<&Tensor> = replay.outputs.iter().chain(self.moved).collect();
        ensure!(found.len() == plain.len(), "a replay has other outputs than plain passes");
        for (i, (found, plain)) in found.into_iter().zip(plain).enumerate() {
            ensure!(alike(found, plain), "output {i} of a replay is not that of plain passes");
        }
        Ok(())
    }
}

/// Whether two tensors hold the same but for rounding; NaN is like NaN.
fn alike(found: &Tensor, plain: &Tensor) -> bool {
    if found.size() != plain.size() || found.kind() != plain.kind() {
        return false;
    }
    let [a, b] = [found, plain].map(|t| t.detach().to_kind(Kind::Double));
    if b.numel() == 0 {
        return true;
    }
    let most = b.nan_to_num(0., 0., 0.).abs().max().double_value(&[]);
    a.isclose(&b, 0., APART * most, true).all().int64_value(&[]) == 1
}

/// Other numbers of the same shape: images nearer to black, labels in another order.
fn other(t: &Tensor) -> Tensor {
    if t.is_floating_point() { t.detach() * 0.75 } else { t.flip([0]) }
}

fn detached(all: Vec<Tensor>) -> Vec<Tensor> {
    all.iter().map(Tensor::detach).collect()
}

fn copies<T: std::borrow::Borrow<Tensor>>(all: &[T]) -> Vec<Tensor> {
    all.iter().map(|t| t.borrow().detach().copy()).collect()
}

/// Writes `from` into `to`.
fn put<T: std::borrow::Borrow<Tensor>>(to: &[Tensor], from: &[T]) {
    tch::no_grad(|| {
        for (to, from) in to.iter().zip(from) {
            to.detach().copy_(from.borrow());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// Takes what it is told.
    #[derive(Default)]
    struct Silent(RefCell<String>);

    impl Recorder for Silent {
        fn aside(&self, _: Device, work: &mut dyn FnMut()) -> Result<()> {
            work();
            Ok(())
        }
        fn record(&self, _: Device, _: &mut dyn FnMut()) -> Result<Box<dyn Recording>> {
            anyhow::bail!("nothing is recorded here")
        }
        fn refused(&self, why: &str) {
            why.clone_into(&mut self.0.borrow_mut());
        }
    }

    #[test]
    fn a_cpu_records_nothing_and_says_so() {
        let (silent, x) = (Silent::default(), Tensor::ones([2], (Kind::Float, Device::Cpu)));
        let moved = [x.copy()];
        let none = Replay::of(&silent, &[&x], &moved, &mut |_| panic!("no work is done"));
        assert!(none.is_none() && silent.0.borrow().contains("no GPU"), "{:?}", silent.0);
        assert_eq!(moved[0], x);
    }

    #[test]
    fn what_differs_by_more_than_rounding_is_told() {
        let t = |v: &[f64]| Tensor::from_slice(v);
        assert!(alike(&t(&[1., f64::NAN]), &t(&[1.0005, f64::NAN])));
        assert!(!alike(&t(&[1., 2.]), &t(&[1., f64::NAN])));
        assert!(!alike(&t(&[1., 2.]), &t(&[1.01, 2.])));
        assert!(!alike(&t(&[1.]), &t(&[1., 2.])));
        assert!(alike(&t(&[f64::INFINITY]), &t(&[f64::INFINITY])));
    }
}
