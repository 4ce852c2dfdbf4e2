//! Names and options as users type them.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod alias;
mod options;
