//! How far SmoothGrad and C-LIME of the same neighbours are apart, two maps with one limit (Agarwal et
//! al. 2021, Theorem 1). Says nothing of the method of its case.

use crate::{
    Attribution, method,
    metric::{Better, Case, Column, Metric, Needs, robustness::Norm},
};
use anyhow::Result;
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::Table;

/// In the list of metrics.
pub(crate) const ENTRY: Entry<dyn Metric> = Entry {
    name: "gap",
    about: "SmoothGrad against C-LIME of the same neighbours (Agarwal et al. 2021, Theorem 1); \
            the method makes no difference",
    options: described::<Options>(&[
        ("samples", "neighbours, 2 or more"),
        ("sigma", "σ of the neighbours, in [0, 1] pixels, above 0"),
        ("norm", "l2 or l1"),
        ("relative", "true: in units of SmoothGrad's length; false: the distance itself"),
    ]),
    build,
};

struct Gap {
    smoothgrad: Box<dyn Attribution>,
    clime: Box<dyn Attribution>,
    norm: Norm,
    relative: bool,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    samples: i64,
    #[serde(deserialize_with = "registry::fraction")]
    sigma: f64,
    norm: Norm,
    relative: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { samples: 1000, sigma: 0.1, norm: Norm::L2, relative: true }
    }
}

fn build(table: Table) -> Result<Box<dyn Metric>> {
    let Options { samples, sigma, norm, relative } = registry::options(table)?;
    let built = |name: &str| method::parse(&format!("{name}:samples={samples},sigma={sigma:?}"));
    // C-LIME first: it asks for more of both.
    let clime = built("clime")?;
    Ok(Box::new(Gap { smoothgrad: built("smoothgrad")?, clime, norm, relative }))
}

const RELATIVE: &[Column] = &[Column {
    name: "gap",
    about: "|SmoothGrad − C-LIME| / |SmoothGrad|; 0 or more, undefined where SmoothGrad is 0",
    better: Better::Lower,
}];

const ABSOLUTE: &[Column] = &[Column {
    name: "gap-distance",
    about: "|SmoothGrad − C-LIME|; 0 or more, in units of the map",
    better: Better::Lower,
}];

impl Metric for Gap {
    fn needs(&self) -> Needs {
        Needs { explains: true, ..Needs::default() }
    }

    fn undefined(&self) -> &'static str {
        "no gradient"
    }

    fn columns(&self) -> &[Column] {
        if self.relative { RELATIVE } else { ABSOLUTE }
    }

    fn measure(&self, case: &Case) -> Vec<Tensor> {
        let of = |method: &dyn Attribution| {
            method.attribute(case.model, case.batch).to_kind(Kind::Double)
        };
        let smoothgrad = of(&*self.smoothgrad);
        let apart = self.norm.of(&(of(&*self.clime) - &smoothgrad));
        if !self.relative {
            return vec![apart];
        }
        let length = self.norm.of(&smoothgrad);
        vec![(apart / &length).masked_fill(&length.eq(0.), f64::NAN)]
    }

    fn is_of_map(&self, _column: usize) -> bool {
        false
    }
}
