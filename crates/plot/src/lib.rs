//! Figures: grids of images, galleries of attacks, charts, heat maps, each as PNG, SVG or PDF. Text is set
//! in DejaVu Sans, which the binary carries, so the same numbers give the same bytes on every machine.

mod attack_gallery;
mod chart;
mod forest;
mod headers;
mod heatmap;
mod image_grid;
mod palette;
mod panel;
mod picture;
mod sheet;
mod text;
mod ticks;

pub use attack_gallery::{AttackedImage, attack_gallery};
pub use chart::{Figure, chart, svg, swatch};
pub use forest::{Forest, Mark};
pub use heatmap::{HeatCell, HeatPanel, Heatmap, heatmap};
pub use image_grid::{Cell, Grid, Row, grid, rows_that_fit};
pub use palette::dark_rules;
pub use panel::{Panel, Point, Series, XAxis};
pub use picture::{Drawing, Picture, Scale};
