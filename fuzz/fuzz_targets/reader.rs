//! Bytes to the reader that the environment variable `READER` names.
#![no_main]

use gradproof::readers::{READERS, Reader};
use std::{panic, sync::LazyLock};

static READER: LazyLock<&Reader> = LazyLock::new(|| {
    // libFuzzer stops at a panic; those of libtorch in a network that is tried are caught.
    let stop = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !models::graph::guarded() {
            stop(info);
        }
    }));
    let name = std::env::var("READER").expect("READER names a reader of src/readers.rs");
    READERS.iter().find(|reader| reader.name == name).expect("a name of src/readers.rs")
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = (READER.read)(bytes);
});
