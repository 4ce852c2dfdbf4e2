//! Sanity checks (Adebayo et al. 2018): how much of a map is left when weights are drawn anew. A map
//! that stays the same does not explain the network. Signs are not compared.

use crate::{
    heat,
    metric::{Better, Case, Column, Metric, Needs, lipschitz::zeros},
    similarity::spearman,
};
use anyhow::Result;
use models::registry;
use serde::Deserialize;
use tch::Tensor;
use toml::Table;

struct Randomisation;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoOptions {}

pub(crate) fn build(table: Table) -> Result<Box<dyn Metric>> {
    registry::options::<NoOptions>(table)?;
    Ok(Box::new(Randomisation))
}

const COLUMNS: &[Column] = &[
    Column {
        name: "cascade",
        about: "mean |ρ| (Spearman, of heat maps) with the networks random from the output down to a \
                layer, 1 if there are none; in [0, 1]",
        better: Better::Lower,
    },
    Column {
        name: "independent",
        about: "mean |ρ| with the networks random in one layer alone, 1 if there are none; in [0, 1]",
        better: Better::Lower,
    },
    Column {
        name: "random-model",
        about: "|ρ| with the last network of the cascade, 1 if there is none; in [0, 1]",
        better: Better::Lower,
    },
];

impl Metric for Randomisation {
    fn columns(&self) -> &[Column] {
        COLUMNS
    }

    fn needs(&self) -> Needs {
        Needs { randomised: true, ..Needs::default() }
    }

    fn measure(&self, case: &Case) -> Vec<Tensor> {
        let own = heat(case.maps);
        let (mut cascade, mut independent) = (vec![], vec![]);
        for randomised in case.randomised {
            let maps = case.method.attribute(randomised.model, case.batch);
            let rho = spearman(&own, &heat(&maps)).abs();
            if randomised.cascade { cascade.push(rho) } else { independent.push(rho) }
        }
        let one = || zeros(case.batch) + 1.;
        let mean = |of: &[Tensor]| match of.len() {
            0 => one(),
            n => of.iter().sum::<Tensor>() / n as f64,
        };
        let last = cascade.last().map_or_else(one, Tensor::shallow_clone);
        vec![mean(&cascade), mean(&independent), last]
    }
}
