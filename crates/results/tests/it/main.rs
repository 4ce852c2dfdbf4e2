//! Tests against other programs; those of single files stand in them.
#![allow(clippy::unwrap_used)]

mod inference;
