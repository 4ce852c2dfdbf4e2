//! What CUDA's own libraries know of GPUs, asked where libtorch has loaded them, and whether kernels can
//! be compiled at run time, as cuDNN does. Nothing here needs them to link.

/// Compute capability, such as `(9, 0)`. None where no CUDA library is loaded.
pub fn capability(device: usize) -> Option<(i32, i32)> {
    library::capability(device)
}

/// The driver's name of a GPU in CUDA's order, which is not that of the bus.
pub fn name(device: usize) -> Option<String> {
    let bus = library::bus(device)?.to_lowercase();
    let file = format!("/proc/driver/nvidia/gpus/{bus}/information");
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Model:"))?;
    Some(line.trim().to_owned())
}

/// Compiles a kernel with NVRTC, which needs no GPU. None without the library; else what went wrong.
pub fn compile() -> Option<Result<(), String>> {
    library::compile()
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "C libraries that may not be there")]
mod library {
    use std::ffi::{CStr, c_char, c_int, c_void};

    const RUNTIME: &CStr = c"libcudart.so.13";
    const COMPILER: &CStr = c"libnvrtc.so.13";
    const KERNEL: &CStr = c"extern \"C\" __global__ void one(float* x) { x[0] = 1.0f; }";
    /// cudaDevAttrComputeCapabilityMajor and Minor.
    const CAPABILITY: [c_int; 2] = [75, 76];

    type Attribute = unsafe extern "C" fn(*mut c_int, c_int, c_int) -> c_int;
    type BusId = unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int;
    type Create = unsafe extern "C" fn(
        *mut *mut c_void,
        *const c_char,
        *const c_char,
        c_int,
        *const *const c_char,
        *const *const c_char,
    ) -> c_int;
    type Compile = unsafe extern "C" fn(*mut c_void, c_int, *const *const c_char) -> c_int;
    type Destroy = unsafe extern "C" fn(*mut *mut c_void) -> c_int;
    type Message = unsafe extern "C" fn(c_int) -> *const c_char;

    /// The function `name` of `library`, opened with `flags`.
    ///
    /// # Safety
    /// `F` has to be the function's type.
    unsafe fn function<F: Copy>(library: &CStr, flags: c_int, name: &CStr) -> Option<F> {
        // SAFETY: both names end in NUL; the library stays open for the process.
        let found = unsafe {
            let opened = libc::dlopen(library.as_ptr(), flags | libc::RTLD_LAZY);
            if opened.is_null() {
                return None;
            }
            libc::dlsym(opened, name.as_ptr())
        };
        assert_eq!(size_of::<F>(), size_of::<*mut c_void>());
        // SAFETY: a function pointer is a pointer; its type is the caller's word.
        (!found.is_null()).then(|| unsafe { std::mem::transmute_copy(&found) })
    }

    pub fn capability(device: usize) -> Option<(i32, i32)> {
        let device = c_int::try_from(device).ok()?;
        // SAFETY: the type is that of CUDA's headers.
        let ask: Attribute =
            unsafe { function(RUNTIME, libc::RTLD_NOLOAD, c"cudaDeviceGetAttribute") }?;
        let of = |attribute| {
            let mut value = 0;
            // SAFETY: it writes one number.
            (unsafe { ask(&raw mut value, attribute, device) } == 0).then_some(value)
        };
        Some((of(CAPABILITY[0])?, of(CAPABILITY[1])?))
    }

    pub fn bus(device: usize) -> Option<String> {
        let device = c_int::try_from(device).ok()?;
        // SAFETY: the type is that of CUDA's headers.
        let ask: BusId = unsafe { function(RUNTIME, libc::RTLD_NOLOAD, c"cudaDeviceGetPCIBusId") }?;
        let mut text: [c_char; 32] = [0; 32];
        // SAFETY: it writes at most 31 characters and a NUL.
        let done = unsafe { ask(text.as_mut_ptr(), 32, device) } == 0;
        // SAFETY: the last of them stays NUL.
        done.then(|| unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy().into_owned())
    }

    pub fn compile() -> Option<Result<(), String>> {
        // SAFETY: the types are those of NVRTC's header; the program is destroyed once, after its use.
        unsafe {
            let create: Create = function(COMPILER, 0, c"nvrtcCreateProgram")?;
            let compile: Compile = function(COMPILER, 0, c"nvrtcCompileProgram")?;
            let destroy: Destroy = function(COMPILER, 0, c"nvrtcDestroyProgram")?;
            let message: Message = function(COMPILER, 0, c"nvrtcGetErrorString")?;
            let mut program = std::ptr::null_mut();
            let none = std::ptr::null();
            let mut code =
                create(&raw mut program, KERNEL.as_ptr(), c"one.cu".as_ptr(), 0, none, none);
            if code == 0 {
                code = compile(program, 0, none);
                destroy(&raw mut program);
            }
            let said = || CStr::from_ptr(message(code)).to_string_lossy().into_owned();
            Some(if code == 0 { Ok(()) } else { Err(said()) })
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod library {
    pub fn capability(_device: usize) -> Option<(i32, i32)> {
        None
    }
    pub fn bus(_device: usize) -> Option<String> {
        None
    }
    pub fn compile() -> Option<Result<(), String>> {
        None
    }
}

#[cfg(test)]
mod tests {
    /// With the search path of `build.rs` NVRTC finds its own libraries; a CPU wheel has none.
    #[test]
    fn kernels_are_compiled_without_a_gpu() {
        if let Some(compiled) = super::compile() {
            compiled.unwrap();
        }
    }
}
