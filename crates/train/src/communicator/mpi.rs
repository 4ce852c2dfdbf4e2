//! Ranks that MPI connects: `mpirun` or `srun` start the processes, MPI adds up their tensors.

use crate::communicator;
use anyhow::{Context, Result};
use mpi::{
    collective::SystemOperation, environment::Universe, ffi, topology::SimpleCommunicator,
    traits::*,
};
use std::ffi::c_int;
use tch::{Cuda, Device, Kind, Tensor};

/// All processes that one `mpirun` or `srun` started.
pub struct Mpi {
    world: SimpleCommunicator,
    /// MPI takes pointers to a GPU's memory.
    device_pointers: bool,
    /// MPI ends with it.
    _universe: Universe,
}

impl Mpi {
    /// Errors: this process has joined already.
    pub fn join() -> Result<Self> {
        let universe = mpi::initialize().context("MPI was started before")?;
        let (world, device_pointers) = (universe.world(), takes_device_pointers());
        Ok(Mpi { world, device_pointers, _universe: universe })
    }
}

/// Which MPI this program is linked with, in one line.
pub fn version() -> String {
    let text = mpi::environment::library_version().unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let name = line.split(", package").next().unwrap_or_default().trim_end_matches('\0');
    let cuda = if takes_device_pointers() { "CUDA-aware" } else { "not CUDA-aware" };
    format!("{name}, {cuda}")
}

#[expect(unsafe_code, reason = "the bindings leave Open MPI's extensions out")]
unsafe extern "C" {
    /// Open MPI's own, of `mpi-ext.h`.
    safe fn MPIX_Query_cuda_support() -> c_int;
}

fn takes_device_pointers() -> bool {
    MPIX_Query_cuda_support() == 1
}

impl communicator::Communicator for Mpi {
    fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    fn size(&self) -> usize {
        self.world.size() as usize
    }

    fn sum(&self, t: &Tensor) -> Tensor {
        let own = t.detach().contiguous();
        match t.device() {
            Device::Cuda(gpu) if self.device_pointers => {
                Cuda::synchronize(gpu as i64);
                self.all_reduce(&own)
            }
            Device::Cuda(_) => {
                let pinned = Tensor::empty(own.size(), (own.kind(), Device::Cpu));
                let mut pinned = pinned.internal_pin_memory(t.device());
                pinned.copy_(&own);
                self.all_reduce(&pinned).to_device(t.device())
            }
            _ => self.all_reduce(&own),
        }
    }

    fn abort(&self, code: i32) -> ! {
        self.world.abort(code)
    }
}

impl Mpi {
    /// The sum of tensors whose memory MPI may read; contiguous.
    #[expect(unsafe_code, reason = "MPI reads and writes the memory of tensors")]
    fn all_reduce(&self, own: &Tensor) -> Tensor {
        let all = own.empty_like();
        let count = c_int::try_from(own.numel()).expect("fewer than 2³¹ numbers");
        let kind = match own.kind() {
            Kind::Float => f32::equivalent_datatype().as_raw(),
            Kind::Double => f64::equivalent_datatype().as_raw(),
            other => panic!("sums over ranks are of f32 or f64, not {other:?}"),
        };
        let (op, world) = (SystemOperation::sum().as_raw(), self.world.as_raw());
        // SAFETY: both tensors are contiguous, of `count` numbers of this kind, and outlive the
        // call. MPI ends the program where it fails.
        unsafe { ffi::MPI_Allreduce(own.data_ptr(), all.data_ptr(), count, kind, op, world) };
        all
    }
}
