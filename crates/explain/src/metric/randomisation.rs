//! Sanity checks (Adebayo et al. 2018): how much of a map is left when weights are drawn anew or the
//! network was trained on random labels. A map that stays the same explains neither what the network
//! learnt nor from what. Signs are not compared.

use crate::{
    heat,
    metric::{Better, Case, Column, Metric, Needs, Randomness, robustness::zeros},
    similarity::spearman,
};
use anyhow::Result;
use registry::{Described, Entry, NoOptions};
use tch::{Kind, Tensor};
use toml::Table;

/// In the list of metrics.
pub(super) const RANDOM_LABELS: Entry<dyn Metric> = Entry {
    name: "random-labels",
    about: "heat maps of the network and of one trained on random labels, by rank correlation \
            (Adebayo et al. 2018)",
    options: Described::NONE,
    build: build_labels,
};

/// In the list of metrics.
pub(super) const ENTRY: Entry<dyn Metric> = Entry {
    name: "randomisation",
    about: "heat maps before and after weights are drawn anew, by rank correlation (Adebayo et \
            al. 2018)",
    options: Described::NONE,
    build,
};

struct Randomisation;

fn build(table: Table) -> Result<Box<dyn Metric>> {
    registry::options::<NoOptions>(table)?;
    Ok(Box::new(Randomisation))
}

const COLUMNS: &[Column] = &[
    Column {
        name: "cascade",
        about: "mean |ρ| (Spearman, of heat maps) with the networks random from the output down to a \
                layer, those left out whose map is constant; in [0, 1]",
        better: Better::Lower,
    },
    Column {
        name: "independent",
        about: "mean |ρ| with the networks random in one layer alone, those left out whose map is \
                constant; in [0, 1]",
        better: Better::Lower,
    },
    Column {
        name: "random-model",
        about: "|ρ| with the last network of the cascade; in [0, 1], undefined where its map is constant",
        better: Better::Lower,
    },
];

impl Metric for Randomisation {
    fn undefined(&self) -> &'static str {
        "no map by the other network"
    }

    fn columns(&self) -> &[Column] {
        COLUMNS
    }

    fn needs(&self) -> Needs {
        Needs { randomised: true, ..Needs::default() }
    }

    fn measure(&self, case: &Case) -> Vec<Tensor> {
        let (cascade, alone) = (left(case, Randomness::Cascade), left(case, Randomness::Alone));
        let last = cascade.last().map_or_else(|| undefined(case), Tensor::shallow_clone);
        vec![mean(case, &cascade), mean(case, &alone), last]
    }
}

/// |ρ| of the maps with each network that is random in this way, `[N]`.
fn left(case: &Case, how: Randomness) -> Vec<Tensor> {
    let own = heat(case.maps);
    let of = |model| spearman(&own, &heat(&case.method.attribute(model, case.batch))).abs();
    case.randomised
        .iter()
        .filter(|random| random.how == how)
        .map(|random| of(random.model))
        .collect()
}

fn undefined(case: &Case) -> Tensor {
    zeros(case.batch) + f64::NAN
}

/// Of those that are defined.
fn mean(case: &Case, of: &[Tensor]) -> Tensor {
    if of.is_empty() {
        return undefined(case);
    }
    Tensor::stack(of, 0).nanmean([0].as_slice(), false, Kind::Double)
}

struct RandomLabels;

fn build_labels(table: Table) -> Result<Box<dyn Metric>> {
    registry::options::<NoOptions>(table)?;
    Ok(Box::new(RandomLabels))
}

impl Metric for RandomLabels {
    fn undefined(&self) -> &'static str {
        "no map by the other network"
    }

    fn columns(&self) -> &[Column] {
        &[Column {
            name: "random-labels",
            about: "|ρ| (Spearman, of heat maps) with the network trained on random labels; in [0, 1], \
                    undefined where its map is constant",
            better: Better::Lower,
        }]
    }

    fn needs(&self) -> Needs {
        Needs { random_labels: true, ..Needs::default() }
    }

    fn measure(&self, case: &Case) -> Vec<Tensor> {
        vec![mean(case, &left(case, Randomness::Labels))]
    }
}
