//! Mass is moved into a region of the map (the targeted attack of Ghorbani et al. 2019).

use super::sums::total;
use crate::map::reference::{MapObjective, Reference};
use anyhow::{Context, Result, bail, ensure};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::{Table, Value};

/// In the list of attacks on maps.
pub(super) const ENTRY: Entry<dyn MapObjective> = Entry {
    name: "targeted",
    about: "moves mass into a region (Ghorbani et al. 2019); judged by the mass outside it",
    options: described::<Options>(&[(
        "region",
        "centre, top-left, top-right, bottom-left, bottom-right: a quarter of the map; or \
             [row, column, height, width] in pixels",
    )]),
    build: |t| Ok(Box::new(Targeted::build(t)?)),
};

/// Rows and columns that mass is moved into.
#[derive(Debug)]
enum Region {
    /// The half of each side that begins at 0, 1 or 2 quarters of it.
    Quarter(i64, i64),
    /// Row, column, height, width.
    Pixels([i64; 4]),
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    region: Value,
}

impl Default for Options {
    fn default() -> Self {
        Options { region: Value::String("centre".into()) }
    }
}

/// Minus the heat inside a region.
#[derive(Debug)]
struct Targeted(Region);

impl Targeted {
    /// From its options. Errors: a region that is neither a word nor four numbers.
    fn build(table: Table) -> Result<Self> {
        let options: Options = registry::options(table)?;
        let region = match &options.region {
            Value::String(word) => match word.as_str() {
                "centre" => Region::Quarter(1, 1),
                "top-left" => Region::Quarter(0, 0),
                "top-right" => Region::Quarter(0, 2),
                "bottom-left" => Region::Quarter(2, 0),
                "bottom-right" => Region::Quarter(2, 2),
                _ => bail!(
                    "`region` is `{word}`; known: centre, top-left, top-right, bottom-left, \
                     bottom-right, or [row, column, height, width]"
                ),
            },
            other => {
                let told = || format!("`region` is {other}, not [row, column, height, width]");
                let sides: [i64; 4] = other.clone().try_into().with_context(told)?;
                Region::Pixels(sides)
            }
        };
        Ok(Targeted(region))
    }

    /// Row, column, height and width of the region in maps of this size.
    fn window(&self, height: i64, width: i64) -> [i64; 4] {
        match self.0 {
            Region::Pixels(window) => window,
            Region::Quarter(row, column) => {
                let half = |side: i64| (side / 2).max(1);
                let at = |quarters: i64, side: i64| (side - half(side)) * quarters / 2;
                [at(row, height), at(column, width), half(height), half(width)]
            }
        }
    }

    fn inside(&self, heat: &Tensor) -> Tensor {
        let [row, column, height, width] = self.window(heat.size()[1], heat.size()[2]);
        total(&heat.narrow(1, row, height).narrow(2, column, width))
    }
}

impl MapObjective for Targeted {
    fn loss(&self, heat: &Tensor, _clean: &Reference) -> Tensor {
        self.inside(heat).neg()
    }

    fn measure(&self, heat: &Tensor, _clean: &Reference) -> Tensor {
        self.inside(&heat.to_kind(Kind::Double)).neg() + 1.
    }

    fn check(&self, height: i64, width: i64) -> Result<()> {
        let [row, column, h, w] = self.window(height, width);
        let fits =
            row >= 0 && column >= 0 && h > 0 && w > 0 && row + h <= height && column + w <= width;
        ensure!(
            fits,
            "`region` is [{row}, {column}, {h}, {w}]; the maps have {height}×{width} pixels"
        );
        Ok(())
    }
}
