//! How rough a heat map is: its total variation (Rudin, Osher & Fatemi 1992).

use crate::{
    heatmap::heat,
    metric::{Better, Case, Column, Metric},
};
use registry::{Described, Entry, NoOptions};
use tch::{Kind, Tensor};

/// In the list of metrics.
pub(super) const ENTRY: Entry<dyn Metric> = Entry {
    name: "total-variation",
    about: "how rough a heat map is (Rudin, Osher & Fatemi 1992)",
    options: Described::NONE,
    build: |table| {
        registry::options::<NoOptions>(table)?;
        Ok(Box::new(TotalVariation))
    },
};

const COLUMNS: [Column; 1] = [Column {
    name: "variation",
    about: "sum of the heat's differences between neighbouring pixels, in [0, 4]: 0 for an even map",
    better: Better::Lower,
}];

struct TotalVariation;

impl Metric for TotalVariation {
    fn columns(&self) -> &[Column] {
        &COLUMNS
    }

    fn measure(&self, case: &Case) -> Vec<Tensor> {
        let heat = heat(&case.maps.to_kind(Kind::Double));
        let along = |dim| {
            let steps = heat.diff(1, dim, None::<Tensor>, None::<Tensor>).abs();
            steps.sum_dim_intlist([1i64, 2].as_slice(), false, None::<Kind>)
        };
        vec![(along(1) + along(2)).detach()]
    }
}
