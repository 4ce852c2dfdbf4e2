//! The sections of the page. Their tables are views: queries over rows, and how a cell is written.

pub(super) mod any;
pub(super) mod attacks;
pub(super) mod details;
pub(super) mod measured;
pub(super) mod pictures;
pub(super) mod trainings;
pub(super) mod transfers;
mod view;
