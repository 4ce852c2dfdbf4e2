//! Does a map lie on the object? Relevance mass and rank accuracy (Arras et al. 2022) and the pointing
//! game (Zhang et al. 2018, without its tolerance). A network may rightly look elsewhere. Where there is
//! no object, nothing is on or off it.

use crate::{
    heatmap::{has_order, heat},
    metric::{Better, Case, Column, Metric, Needs, removal::places},
};
use anyhow::Result;
use registry::{Described, Entry, NoOptions};
use tch::{Kind, Tensor};
use toml::Table;

/// In the list of metrics.
pub(super) const ENTRY: Entry<dyn Metric> = Entry {
    name: "localisation",
    about: "share of the heat on the object, pointing game, share of the hottest pixels on it \
            (Arras et al. 2022; Zhang et al. 2018)",
    options: Described::NONE.alias(&[
        "PointingGame",
        "RelevanceMassAccuracy",
        "RelevanceRankAccuracy",
    ]),
    build,
};

const COLUMNS: [Column; 3] = [
    Column {
        name: "mass",
        about: "share of the heat on the object, in [0, 1]; undefined without an object",
        better: Better::Higher,
    },
    Column {
        name: "pointing",
        about: "1 if the hottest pixel, of equal ones the first, is on the object, else 0; undefined for \
                a constant map or without an object",
        better: Better::Higher,
    },
    Column {
        name: "rank",
        about: "share of the hottest pixels, as many as the object has, that are on it, in [0, 1]; \
                undefined for a constant map or without an object",
        better: Better::Higher,
    },
];

#[derive(Debug)]
struct Localisation;

fn build(table: Table) -> Result<Box<dyn Metric>> {
    registry::options::<NoOptions>(table)?;
    Ok(Box::new(Localisation))
}

impl Metric for Localisation {
    fn is_share(&self, column: usize) -> bool {
        column == 1
    }

    fn columns(&self) -> &[Column] {
        &COLUMNS
    }

    fn needs(&self) -> Needs {
        Needs { masks: true, ..Needs::default() }
    }

    fn measure(&self, case: &Case) -> Vec<Tensor> {
        let masks = case.masks.expect("the metric needs masks");
        tch::no_grad(|| {
            let sum = |t: &Tensor| t.sum_dim_intlist([1].as_slice(), true, Kind::Double);
            let inside = masks.flatten(1, -1).to_kind(Kind::Double);
            let heat = heat(&case.maps.to_kind(Kind::Double)).flatten(1, -1);
            let area = sum(&inside);
            let absent = area.eq(0.);
            let unordered = has_order(&heat).logical_not().unsqueeze(1);
            let places = places(&heat);
            let first = sum(&(places.eq(0) * &inside));
            let hottest = sum(&(places.lt_tensor(&area) * &inside)) / area;
            let mass = sum(&(&heat * &inside));
            [
                mass,
                first.masked_fill(&unordered, f64::NAN),
                hottest.masked_fill(&unordered, f64::NAN),
            ]
            .map(|column| column.masked_fill(&absent, f64::NAN).squeeze_dim(1))
            .into()
        })
    }
}
