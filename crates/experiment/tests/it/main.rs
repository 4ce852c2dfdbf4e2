//! Tests of a run as a whole, on cells that are made up.
#![allow(clippy::unwrap_used)]

mod claims;
