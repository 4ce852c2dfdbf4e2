//! CUDA graphs for `models::replay`, by at::cuda::CUDAGraph, which graphs.cpp asks. Not proved on
//! hardware: `--cuda-graphs` is off by default (docs/decisions/cuda-graphs.md).

use anyhow::Result;
use models::replay::{Recorder, Recording};
use serde::{Deserialize, Serialize};
use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Mutex, PoisonError},
};
use tch::Device;

/// What `--cuda-graphs` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    /// Where what is done can be recorded.
    On,
    /// Never.
    Off,
}

/// Records on GPUs.
#[derive(Debug, Default)]
pub struct Graphs {
    /// Why the first recording that was refused was.
    why: Mutex<Option<String>>,
}

impl Graphs {
    /// None where graphs are not to be used.
    pub fn wanted(choice: Use) -> Option<Self> {
        (choice == Use::On).then(Graphs::default)
    }

    /// The note to give if nothing was recorded, or not everything.
    pub fn note(&self) -> Option<String> {
        let why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        why.as_ref().map(|why| {
            format!("`--cuda-graphs on`: launched one by one as without it, because {why}")
        })
    }
}

impl Recorder for Graphs {
    fn aside(&self, device: Device, work: &mut dyn FnMut()) -> Result<()> {
        let place = shim::enter(device)?;
        let done = catch_unwind(AssertUnwindSafe(work));
        shim::leave(&place)?;
        done.unwrap_or_else(|panic| resume_unwind(panic));
        Ok(())
    }

    fn record(&self, device: Device, work: &mut dyn FnMut()) -> Result<Box<dyn Recording>> {
        let place = shim::enter(device)?;
        let begun = shim::Graph::begin();
        let graph = match begun {
            Ok(graph) => graph,
            Err(error) => {
                shim::leave(&place)?;
                return Err(error);
            }
        };
        let done = catch_unwind(AssertUnwindSafe(work));
        let ended = graph.end();
        shim::leave(&place)?;
        // What the work says is nearer to the cause.
        done.unwrap_or_else(|panic| resume_unwind(panic));
        ended?;
        Ok(Box::new(graph))
    }

    fn refused(&self, why: &str) {
        let first = why.lines().next().unwrap_or(why).to_owned();
        self.why.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(first);
    }
}

impl Recording for shim::Graph {
    fn replay(&self) -> Result<()> {
        self.again()
    }
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "tch has no binding for streams and graphs")]
mod shim {
    use anyhow::{Result, anyhow};
    use std::ffi::{CStr, c_char, c_int, c_void};
    use tch::Device;

    /// A stream and a device that were in use.
    #[repr(C)]
    #[derive(Debug, Default)]
    pub struct Place {
        stream: i64,
        stream_device: i32,
        device: i32,
    }

    unsafe extern "C" {
        fn gradproof_stream_enter(device: c_int, before: *mut Place) -> *mut c_char;
        fn gradproof_stream_leave(before: *const Place) -> *mut c_char;
        fn gradproof_graph_begin(made: *mut *mut c_void) -> *mut c_char;
        fn gradproof_graph_end(graph: *mut c_void) -> *mut c_char;
        fn gradproof_graph_replay(graph: *mut c_void) -> *mut c_char;
        fn gradproof_graph_drop(graph: *mut c_void);
    }

    fn checked(told: *mut c_char) -> Result<()> {
        if told.is_null() {
            return Ok(());
        }
        // SAFETY: what is not null is a C string of ours to free.
        let text = unsafe {
            let text = CStr::from_ptr(told).to_string_lossy().into_owned();
            libc::free(told.cast());
            text
        };
        Err(anyhow!(text))
    }

    pub fn enter(device: Device) -> Result<Place> {
        let number = if let Device::Cuda(number) = device { number } else { 0 };
        let mut place = Place::default();
        // SAFETY: it writes one place, of the same layout.
        checked(unsafe { gradproof_stream_enter(number as c_int, &raw mut place) })?;
        Ok(place)
    }

    pub fn leave(place: &Place) -> Result<()> {
        // SAFETY: it reads one place that `enter` wrote.
        checked(unsafe { gradproof_stream_leave(place) })
    }

    /// What was recorded.
    #[derive(Debug)]
    pub struct Graph(*mut c_void);

    impl Graph {
        pub fn begin() -> Result<Self> {
            let mut made = std::ptr::null_mut();
            // SAFETY: it writes one pointer, where nothing went wrong.
            checked(unsafe { gradproof_graph_begin(&raw mut made) })?;
            Ok(Graph(made))
        }

        pub fn end(&self) -> Result<()> {
            // SAFETY: the pointer is that of `begin`.
            checked(unsafe { gradproof_graph_end(self.0) })
        }

        pub fn again(&self) -> Result<()> {
            // SAFETY: as above.
            checked(unsafe { gradproof_graph_replay(self.0) })
        }
    }

    impl Drop for Graph {
        fn drop(&mut self) {
            // SAFETY: the pointer is that of `begin` and not used again.
            unsafe { gradproof_graph_drop(self.0) }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod shim {
    use anyhow::{Result, bail};
    use tch::Device;

    #[derive(Debug)]
    pub struct Place;

    pub fn enter(_: Device) -> Result<Place> {
        bail!("CUDA graphs are for Linux")
    }

    pub fn leave(_: &Place) -> Result<()> {
        Ok(())
    }

    #[derive(Debug)]
    pub struct Graph;

    impl Graph {
        pub fn begin() -> Result<Self> {
            bail!("CUDA graphs are for Linux")
        }
        pub fn end(&self) -> Result<()> {
            Ok(())
        }
        pub fn again(&self) -> Result<()> {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On the pretended GPU the command line's tests record; here there is nothing to record on.
    #[test]
    fn without_a_gpu_it_is_an_error_and_nothing_is_done() {
        if tch::Cuda::is_available() {
            return;
        }
        let graphs = Graphs::default();
        let mut done = false;
        assert!(graphs.aside(Device::Cuda(0), &mut || done = true).is_err());
        assert!(graphs.record(Device::Cuda(0), &mut || done = true).is_err());
        assert!(!done && graphs.note().is_none());
        graphs.refused("there is none\nat all");
        assert!(graphs.note().unwrap().ends_with("because there is none"));
    }
}
