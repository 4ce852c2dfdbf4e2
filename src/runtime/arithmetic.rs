//! How a GPU rounds and orders its sums: settings of libtorch that tch does not bind
//! (docs/decisions/precision.md). libtorch's own default is TF32 in convolutions, even of f32.

use anyhow::{Result, ensure};
use models::Precision;
use tch::Device;

/// Lets convolutions and matrix products round as `precision` says, and no coarser. Errors: TF32 on a CPU.
pub fn round_as(precision: Precision, device: Device) -> Result<()> {
    let coarse = precision == Precision::Tf32;
    ensure!(
        !coarse || device != Device::Cpu,
        "precision `tf32` is a GPU's; on a CPU choose `f32` or `bf16`"
    );
    context::allow_tf32(coarse);
    Ok(())
}

/// Makes equal runs on one GPU equal to the bit, where libtorch can; an operation that cannot is an
/// error. Has to come before CUDA starts, and before other threads.
#[expect(unsafe_code, reason = "no other thread runs yet")]
pub fn be_deterministic() {
    // SAFETY: `main` calls this before anything starts a thread.
    unsafe { std::env::set_var("CUBLAS_WORKSPACE_CONFIG", ":4096:8") };
    context::deterministic();
}

/// [`round_as`] for training, whose shapes stay the same: it pays that cuDNN tries its algorithms, among
/// which it would not choose the same ones every time.
pub fn train_as(precision: Precision, device: Device, deterministic: bool) -> Result<()> {
    tch::Cuda::cudnn_set_benchmark(!deterministic);
    round_as(precision, device)
}

/// at::globalContext() and its setters.
#[cfg(unix)]
mod context {
    use std::ffi::c_void;

    #[expect(unsafe_code, reason = "tch has no binding for them")]
    unsafe extern "C" {
        #[link_name = "_ZN2at13globalContextEv"]
        safe fn global() -> *mut c_void;
        #[link_name = "_ZN2at7Context17setAllowTF32CuDNNEb"]
        fn set_allow_tf32_cudnn(context: *mut c_void, on: bool);
        #[link_name = "_ZN2at7Context18setAllowTF32CuBLASEb"]
        fn set_allow_tf32_cublas(context: *mut c_void, on: bool);
        #[cfg(test)]
        #[link_name = "_ZNK2at7Context15allowTF32CuBLASEv"]
        fn allows_tf32_cublas(context: *const c_void) -> bool;
        #[link_name = "_ZN2at7Context21setDeterministicCuDNNEb"]
        fn set_deterministic_cudnn(context: *mut c_void, on: bool);
        #[link_name = "_ZN2at7Context26setDeterministicAlgorithmsEbb"]
        fn set_deterministic_algorithms(context: *mut c_void, on: bool, only_warn: bool);
    }

    #[expect(unsafe_code, reason = "tch has no binding for it")]
    pub fn allow_tf32(on: bool) {
        // SAFETY: the context lives as long as the process; the setters take any flag.
        unsafe {
            set_allow_tf32_cudnn(global(), on);
            set_allow_tf32_cublas(global(), on);
        }
    }

    #[cfg(test)]
    #[expect(unsafe_code, reason = "tch has no binding for it")]
    pub fn tf32() -> bool {
        // SAFETY: as above.
        unsafe { allows_tf32_cublas(global()) }
    }

    #[expect(unsafe_code, reason = "tch has no binding for it")]
    pub fn deterministic() {
        // SAFETY: as above.
        unsafe {
            set_deterministic_cudnn(global(), true);
            set_deterministic_algorithms(global(), true, false);
        }
    }
}

#[cfg(not(unix))]
mod context {
    pub fn allow_tf32(_on: bool) {}
    pub fn deterministic() {}
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn f32_is_f32_and_tf32_is_asked_for() {
        round_as(Precision::Tf32, Device::Cuda(0)).unwrap();
        assert!(context::tf32());
        for precision in [Precision::F32, Precision::Bf16] {
            round_as(precision, Device::Cpu).unwrap();
            assert!(!context::tf32());
        }
        let told = round_as(Precision::Tf32, Device::Cpu).unwrap_err().to_string();
        assert!(told.contains("a GPU's"), "{told}");
    }
}
