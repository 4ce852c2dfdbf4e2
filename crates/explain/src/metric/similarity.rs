//! How far an attack moved a map: the similarities of heat maps before and after it. The attack is the
//! caller's; one on the prediction moves maps by the way.

use crate::{
    heat,
    heatmap::{has_order, top},
    metric::{Better, Case, Column, Metric, Needs},
    similarity::{SIMILARITIES, check_k, default_k},
};
use anyhow::Result;
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::Table;

/// In the list of metrics.
pub(super) const ENTRY: Entry<dyn Metric> = Entry {
    name: "similarity",
    about: "heat maps before and after an attack, with the same draws of the method, by every \
            similarity (Wang et al. 2020)",
    options: described::<Options>(&[(
        "k",
        "pixels of the top; 20 up to 32x32, 80 up to 64x64, else 1000",
    )]),
    build,
};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Options {
    k: Option<i64>,
}

/// Top-k intersection as Wang et al. 2020 print it.
const MASS: Column = Column {
    name: "k-mass",
    about: "share of the attacked map's mass on the k most important pixels of the clean one, in [0, 1]; \
            undefined where a map is constant",
    better: Better::Higher,
};

/// Heat maps `[N, H, W]` before and after -> f64 `[N]`.
fn mass(before: &Tensor, after: &Tensor, k: i64) -> Tensor {
    let flat = after.flatten(1, -1).to_kind(Kind::Double);
    let sum = |t: &Tensor| t.sum_dim_intlist([1].as_slice(), false, Kind::Double);
    let ordered = has_order(before).logical_and(&has_order(after));
    let share = sum(&(&flat * top(before, k))) / sum(&flat).clamp_min(f64::MIN_POSITIVE);
    share.masked_fill(&ordered.logical_not(), f64::NAN)
}

struct Similarity {
    k: Option<i64>,
    columns: Vec<Column>,
}

fn build(table: Table) -> Result<Box<dyn Metric>> {
    let Options { k } = registry::options(table)?;
    let column = |m: &crate::Similarity| Column { name: m.name, about: m.about, better: m.better };
    Ok(Box::new(Similarity { k, columns: SIMILARITIES.iter().map(column).chain([MASS]).collect() }))
}

impl Metric for Similarity {
    fn undefined(&self) -> &'static str {
        "no map after the attack"
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn needs(&self) -> Needs {
        Needs { attacked: true, ..Needs::default() }
    }

    fn check(&self, [_, height, width]: [i64; 3]) -> Result<()> {
        check_k(self.k.unwrap_or(default_k(height, width)), height, width)
    }

    fn measure(&self, case: &Case) -> Vec<Tensor> {
        let attacked = case.attacked.expect("the metric needs attacked images");
        let (before, after) = (heat(case.maps), heat(attacked.maps));
        let size = before.size();
        let k = self.k.unwrap_or(default_k(size[1], size[2]));
        let scores =
            SIMILARITIES.iter().map(|m| (m.score)(&before, &after, k).to_kind(Kind::Double));
        scores.chain([mass(&before, &after, k)]).collect()
    }
}
