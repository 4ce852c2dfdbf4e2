//! Figures: grids of images and galleries of attacks as PNG, charts as PNG and SVG. Text is set in
//! DejaVu Sans, which the binary carries, so the same numbers give the same bytes on every machine.

mod attack_gallery;
mod bitmap;
mod canvas;
mod chart;
mod heatmap;
mod image_grid;
mod palette;
mod panel;
mod picture;
mod tensors;
mod text;
mod ticks;

pub use attack_gallery::{AttackedImage, attack_gallery};
pub use chart::{Figure, chart, svg, swatch};
pub use heatmap::{HeatCell, HeatPanel, Heatmap, heatmap};
pub use image_grid::{Cell, Grid, Row, grid, rows_that_fit};
pub use palette::dark_rules;
pub use panel::{Panel, Point, Series, XAxis};
pub use picture::Picture;
