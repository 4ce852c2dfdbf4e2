//! The gallery of an attack: image, map, attacked image, attacked map, and what was changed.

use crate::{Cell, Grid, Picture, Row, grid};
use anyhow::Result;
use std::path::Path;

/// One attacked image.
#[derive(Clone, Debug)]
pub struct AttackedImage {
    /// The image before.
    pub image: Picture,
    /// Its map.
    pub map: Picture,
    /// The image after.
    pub attacked: Picture,
    /// The map after.
    pub attacked_map: Picture,
    /// |after − before| × 10.
    pub difference: Picture,
    /// Class and confidence before, such as `cat 0.98`.
    pub before: String,
    /// Class and confidence after.
    pub after: String,
    /// What became of the map, such as `k-in 0.15`.
    pub effect: String,
}

impl AttackedImage {
    /// Titles of the five pictures, in the order of [`AttackedImage::pictures`].
    pub const COLUMNS: [&str; 5] =
        ["image", "map", "attacked image", "attacked map", "difference × 10"];

    /// The five pictures, in the order of [`AttackedImage::COLUMNS`].
    pub fn pictures(&self) -> [&Picture; 5] {
        [&self.image, &self.map, &self.attacked, &self.attacked_map, &self.difference]
    }
}

/// Draws one row an image at `path`, as PNG, SVG or PDF by its ending. Errors: no row, unwritable path.
pub fn attack_gallery(path: &Path, title: &str, rows: &[AttackedImage]) -> Result<()> {
    let row = |shown: &AttackedImage| {
        let captions = [&shown.before, "", &shown.after, &shown.effect, ""].map(str::to_owned);
        let pictures = shown.pictures().into_iter().cloned();
        let cell = |(picture, caption)| Cell { picture, caption };
        Row { cells: pictures.zip(captions).map(cell).collect() }
    };
    let columns = AttackedImage::COLUMNS.map(str::to_owned).to_vec();
    grid(path, &Grid { title: Some(title.into()), columns, rows: rows.iter().map(row).collect() })
}
