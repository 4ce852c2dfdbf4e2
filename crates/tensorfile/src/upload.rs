//! Numbers of the host on a device. Work that is to be recorded on the device may upload none, so its
//! uploads of a pass before are kept for it, and given where it uploads the same again.

use std::{cell::RefCell, collections::VecDeque};
use tch::{Device, Tensor};

thread_local! {
    static MODE: RefCell<Mode> = const { RefCell::new(Mode::Plain) };
}

/// What becomes of uploads.
enum Mode {
    Plain,
    /// They are kept: as they are on the host, and on the device.
    Kept(VecDeque<[Tensor; 2]>),
    /// They are those that were kept.
    Given(VecDeque<[Tensor; 2]>),
}

/// Uploads of some work, in order: as they are on the host, and on the device.
#[derive(Debug, Default)]
pub struct Uploads(VecDeque<[Tensor; 2]>);

/// Numbers of the host on `device`, in one dimension, without waiting for it: what cannot be read by the
/// device where it lies is copied aside before the call returns. Panics: inside [`given`], numbers that
/// are not those of the pass before.
pub fn upload<T: tch::kind::Element>(values: &[T], device: Device) -> Tensor {
    let here = Tensor::from_slice(values);
    if device == Device::Cpu {
        return here;
    }
    MODE.with_borrow_mut(|mode| match mode {
        Mode::Plain => here.to_device_(device, T::KIND, true, false),
        Mode::Kept(all) => {
            let there = here.to_device_(device, T::KIND, true, false);
            all.push_back([here, there.copy()]);
            there
        }
        Mode::Given(all) => match all.pop_front() {
            // A copy, because who asked for it may write into it.
            Some([before, there]) if same(&before, &here) => there.copy(),
            _ => panic!("numbers of the host are others in every pass"),
        },
    })
}

fn same(a: &Tensor, b: &Tensor) -> bool {
    a.kind() == b.kind() && a.size() == b.size() && a.equal(b)
}

/// What `work` gives, and what it uploads.
pub fn kept<T>(work: impl FnOnce() -> T) -> (T, Uploads) {
    match within(Mode::Kept(VecDeque::new()), work) {
        (made, Mode::Kept(all)) => (made, Uploads(all)),
        _ => unreachable!("nobody else changes it"),
    }
}

/// What `work` gives when its uploads are `uploads` again, which have to outlive what was made of them.
pub fn given<T>(uploads: &Uploads, work: impl FnOnce() -> T) -> T {
    let all = uploads.0.iter().map(|pair| pair.each_ref().map(Tensor::shallow_clone)).collect();
    within(Mode::Given(all), work).0
}

fn within<T>(mode: Mode, work: impl FnOnce() -> T) -> (T, Mode) {
    /// Back to what was, also after a panic.
    struct Back(Option<Mode>);
    impl Drop for Back {
        fn drop(&mut self) {
            if let Some(before) = self.0.take() {
                MODE.set(before);
            }
        }
    }
    let mut back = Back(Some(MODE.replace(mode)));
    let made = work();
    let after = MODE.replace(back.0.take().expect("not taken yet"));
    (made, after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_a_cpu_nothing_is_kept() {
        let ((), uploads) = kept(|| assert_eq!(upload(&[1i64, 2], Device::Cpu).size(), [2]));
        assert!(uploads.0.is_empty());
        let _ = given(&uploads, || upload(&[3i64], Device::Cpu));
        assert!(matches!(MODE.replace(Mode::Plain), Mode::Plain));
    }
}
