//! Faithfulness (Tan & Tian 2023, Definition 3.4 and Eq. 5): a map against what f loses when a
//! group of pixels is set to a reference. Groups are the cells of a grid or superpixels (Remark 5.1),
//! seen one at a time, so what pixels do together is not.

use crate::{
    metric::{
        Better, Case, Column, Metric, Units,
        removal::at_copies,
        statistics::{correlation, rank_correlation},
    },
    sampling::features::{Features, Grouping, Groups},
};
use anyhow::{Result, ensure};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::Table;

/// In the list of metrics.
pub(super) const ENTRY: Entry<dyn Metric> = Entry {
    name: "faithfulness",
    about: "a map against the drop of f where a group of pixels is set to a reference (Tan & Tian \
            2023, Eq. 5)",
    options: described::<Options>(&[
        (
            "groups",
            "grid; quickshift: superpixels (Tan & Tian 2023, Remark 5.1); pixels or scalars",
        ),
        ("cells", "cells along a side of the grid, for groups=grid alone; there 10"),
        ("reference", "value of the removed cell, in [0, 1]"),
        (
            "values",
            "mean: drop over the mean of x − reference, groups where that is below 1e-3 left out, \
             against the mean of the map; contribution: drop against the sum of contributions",
        ),
        (
            "units",
            "for values=contribution alone; gradient, the default there: map ⊙ (x − reference) \
             is summed, as for saliency and smoothgrad; contribution: the map is, as for gxi, ig, \
             lime, kernelshap",
        ),
    ]),
    build,
};

/// Groups whose mean is nearer to the reference are left out of quotients.
const NEAREST: f64 = 1e-3;

const COLUMNS: [Column; 3] = [
    Column {
        name: "faithfulness",
        about: "1 / ‖φ − p‖₂ over groups, φ of the map, p of f, above 0; infinite where they are equal, \
                undefined where both are 0",
        better: Better::Higher,
    },
    Column {
        name: "pearson",
        about: "Pearson's correlation of φ and p over groups, in [-1, 1]; undefined where one is constant",
        better: Better::Higher,
    },
    Column {
        name: "spearman",
        about: "Spearman's rank correlation of φ and p over groups, in [-1, 1]; undefined where one is \
                constant",
        better: Better::Higher,
    },
];

/// What a group's number is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Values {
    /// Per pixel: the drop of f over the group's mean distance to the reference; the mean of the map.
    #[default]
    Mean,
    /// The drop of f; the sum of the map's contributions.
    Contribution,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    groups: Grouping,
    cells: Option<i64>,
    #[serde(deserialize_with = "registry::fraction")]
    reference: f64,
    values: Values,
    units: Option<Units>,
}

impl Default for Options {
    fn default() -> Self {
        let (groups, values) = (Grouping::Grid, Values::Mean);
        Options { groups, cells: None, reference: 0., values, units: None }
    }
}

/// A map against what f loses, group by group.
#[derive(Debug)]
pub(super) struct Faithfulness {
    features: Features,
    reference: f64,
    values: Values,
    units: Units,
}

fn build(table: Table) -> Result<Box<dyn Metric>> {
    let Options { groups, cells, reference, values, units } = registry::options(table)?;
    ensure!((0. ..=1.).contains(&reference), "`reference` is {reference}; pixels are in [0, 1]");
    ensure!(
        values == Values::Contribution || units.is_none(),
        "`units` is for `values = \"contribution\"`; leave it out"
    );
    let features = groups.with(cells)?;
    Ok(Box::new(Faithfulness { features, reference, values, units: units.unwrap_or_default() }))
}

impl Faithfulness {
    /// As Tan & Tian 2023 have it, over the cells of a grid and against black. Errors: no cells.
    pub(super) fn of_cells(cells: i64) -> Result<Self> {
        let (values, units) = (Values::Mean, Units::default());
        let features = Grouping::Grid.with(Some(cells))?;
        Ok(Faithfulness { features, reference: 0., values, units })
    }

    /// What f loses with each group, `[N, G]`.
    fn drops(&self, case: &Case, groups: &Groups) -> Tensor {
        let x = &case.batch.x;
        let numbers = Tensor::arange(groups.count, (Kind::Int64, x.device()));
        let numbers = numbers.view([1, 1, -1]).expand([x.size()[0], -1, -1], false);
        let labels = groups.paint(&numbers).squeeze_dim(1); // [N, 1 or C, H, W]
        let score = (case.batch.target.score, case.batch.sure(case.model));
        let f = at_copies(case, (score.0, score.1.as_ref()), groups.count + 1, |image, copy| {
            // The first copy has no group, so it is the image.
            let gone = labels.index_select(0, image).eq_tensor(&(copy - 1).view([-1, 1, 1, 1]));
            x.index_select(0, image).masked_fill(&gone, self.reference)
        });
        f.narrow(1, 0, 1) - f.narrow(1, 1, groups.count)
    }

    /// φ and p of each group and which of them count, `[N, G]`.
    pub(super) fn groups(&self, case: &Case) -> (Tensor, Tensor, Tensor) {
        let x = &case.batch.x;
        let groups = self.features.of(x);
        let real = groups.real().squeeze_dim(1);
        let what = format!("drops {:?} {}", self.features, self.reference);
        let drops = case.model_cache.get(what, || self.drops(case, &groups));
        let far = x.to_kind(Kind::Double) - self.reference;
        let maps = case.maps.to_kind(Kind::Double);
        let all = real.expand_as(&drops);
        match (self.values, self.units) {
            (Values::Mean, _) => {
                let sizes = groups.sums(&far.ones_like()).clamp_min(1.);
                let far = groups.sums(&far) / &sizes;
                let kept = far.abs().ge(NEAREST).logical_and(&real);
                let p = drops / far.masked_fill(&kept.logical_not(), 1.);
                (groups.sums(&maps) / sizes, p, kept)
            }
            (_, Units::Contribution) => (groups.sums(&maps), drops, all),
            (_, Units::Gradient) => (groups.sums(&(maps * far)), drops, all),
        }
    }
}

impl Metric for Faithfulness {
    fn undefined(&self) -> &'static str {
        "drops that are all equal"
    }

    fn columns(&self) -> &[Column] {
        &COLUMNS
    }

    fn measure(&self, case: &Case) -> Vec<Tensor> {
        tch::no_grad(|| {
            let (map, p, kept) = self.groups(case);
            let length = |t: &Tensor| {
                let kept = t.square() * &kept;
                kept.sum_dim_intlist([1].as_slice(), false, Kind::Double).sqrt()
            };
            // Nothing told of nothing lost, as of a black image, is no perfect map.
            let nothing = (length(&map) + length(&p)).eq(0.);
            vec![
                length(&(&map - &p)).reciprocal().masked_fill(&nothing, f64::NAN),
                correlation(&map, &p, &kept),
                rank_correlation(&map, &p, &kept),
            ]
        })
    }
}
