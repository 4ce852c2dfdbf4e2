//! Figures: grids of pictures as PNG, line charts as PNG and SVG. Text is set in DejaVu Sans, which
//! the binary carries, so the same numbers give the same bytes on every machine.

mod curves;
mod grid;
mod heatmap;
mod images;
mod palette;
mod panel;
mod pen;
mod picture;
mod sheet;
mod text;
mod ticks;
mod wall;

pub use curves::{Figure, curves, svg, swatch};
pub use grid::{Cell, Grid, Row, grid, rows_that_fit};
pub use heatmap::{HeatCell, HeatPanel, Heatmap, heatmap};
pub use images::check_channels;
pub use palette::dark_rules;
pub use panel::{Across, Panel, Point, Series};
pub use picture::Picture;
pub use wall::{Attacked, wall};
