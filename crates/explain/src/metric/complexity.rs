//! How few pixels a map names: entropy (Bhatt et al. 2020), Gini index (Chalasani et al. 2020), number
//! of hot pixels (Nguyen & Martínez 2020).

use crate::{
    heatmap::heat,
    metric::{Better, Case, Column, Metric},
};
use anyhow::{Result, ensure};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::Table;

/// In the list of metrics.
pub(super) const ENTRY: Entry<dyn Metric> = Entry {
    name: "complexity",
    about: "how few pixels a map names: entropy (Bhatt et al. 2020), Gini index (Chalasani et al. \
            2020), hot pixels (Nguyen & Martínez 2020)",
    options: described::<Complexity>(&[(
        "threshold",
        "of the largest heat: what is hot, above 0, at most 1",
    )])
    .alias(&["Complexity", "EffectiveComplexity", "Sparseness"]),
    build,
};

const COLUMNS: [Column; 3] = [
    Column {
        name: "entropy",
        about: "Shannon entropy of the heat, in nats, from 0 (one pixel) to the log of the number of \
                pixels (an even map)",
        better: Better::Lower,
    },
    Column {
        name: "sparseness",
        about: "Gini index of the heat, in [0, 1): 0 for an even map",
        better: Better::Higher,
    },
    Column {
        name: "effective",
        about: "number of pixels with at least `threshold` of the largest heat, from 1",
        better: Better::Lower,
    },
];

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Complexity {
    threshold: f64,
}

impl Default for Complexity {
    fn default() -> Self {
        Complexity { threshold: 0.01 }
    }
}

fn build(table: Table) -> Result<Box<dyn Metric>> {
    let complexity: Complexity = registry::options(table)?;
    let threshold = complexity.threshold;
    ensure!(
        threshold > 0. && threshold <= 1.,
        "`threshold` is {threshold}; it must be above 0 and at most 1, a share of the largest heat"
    );
    Ok(Box::new(complexity))
}

impl Metric for Complexity {
    fn columns(&self) -> &[Column] {
        &COLUMNS
    }

    fn check(&self, [_, height, width]: [i64; 3]) -> Result<()> {
        ensure!(
            height * width > 1,
            "a heat map of one pixel, as of a row of a table, says nothing"
        );
        Ok(())
    }

    fn measure(&self, case: &Case) -> Vec<Tensor> {
        tch::no_grad(|| {
            let sum = |t: &Tensor| t.sum_dim_intlist([1].as_slice(), true, Kind::Double);
            let heat = heat(&case.maps.to_kind(Kind::Double)).flatten(1, -1);
            let pixels = heat.size()[1];
            let log = heat.clamp_min(f64::MIN_POSITIVE).log();
            let entropy = -sum(&(&heat * log));
            let (sorted, _) = heat.sort(1, false);
            let place = Tensor::arange(pixels, (Kind::Double, heat.device()));
            let gini = sum(&(sorted * (place * 2. + (1 - pixels)))) / pixels as f64;
            let most = heat.amax([1].as_slice(), true);
            let effective = sum(&heat.ge_tensor(&(most * self.threshold)));
            // Rounding can bring what is even below zero.
            [entropy.clamp_min(0.), gini.clamp_min(0.), effective]
                .map(|column| column.squeeze_dim(1))
                .into()
        })
    }
}
