//! How large maps are: of masks, how much of an image they keep (‖m‖₁ of Lim et al. 2021), clean and,
//! over the radii of an attack, attacked.

use super::robustness::norm;
use crate::metric::{Better, Case, Column, Metric, Needs};
use anyhow::Result;
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::Tensor;
use toml::Table;

/// In the list of metrics.
pub(super) const ENTRY: Entry<dyn Metric> = Entry {
    name: "size",
    about: "ℓ1 and ℓ2 norms of maps, clean and attacked (‖m‖₁ of Lim et al. 2021, Theorem 1)",
    options: described::<Size>(&[("attacked", "false: clean maps alone, and no attack is made")]),
    build,
};

const COLUMNS: [Column; 4] = [
    column("l1-attacked", "Σ|φ(x̃)| of the attacked image; 0 or more, in units of the map"),
    column("l2-attacked", "√Σφ(x̃)² of the attacked image; 0 or more, in units of the map"),
    column("l1", "Σ|φ(x)|; 0 or more, in units of the map"),
    column("l2", "√Σφ(x)²; 0 or more, in units of the map"),
];

const fn column(name: &'static str, about: &'static str) -> Column {
    Column { name, about, better: Better::Neither }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Size {
    attacked: bool,
}

impl Default for Size {
    fn default() -> Self {
        Size { attacked: true }
    }
}

fn build(table: Table) -> Result<Box<dyn Metric>> {
    Ok(Box::new(registry::options::<Size>(table)?))
}

impl Metric for Size {
    fn columns(&self) -> &[Column] {
        &COLUMNS[if self.attacked { 0 } else { 2 }..]
    }

    fn needs(&self) -> Needs {
        Needs { attacked: self.attacked, ..Needs::default() }
    }

    fn measure(&self, case: &Case) -> Vec<Tensor> {
        let attacked = case.attacked.filter(|_| self.attacked).map(|attacked| attacked.maps);
        let maps = attacked.into_iter().chain([case.maps]);
        maps.flat_map(|maps| [norm(maps, 1.), norm(maps, 2.)]).collect()
    }
}
