//! How far SmoothGrad and C-LIME of the same neighbours are apart, two maps with one limit (Agarwal et
//! al. 2021, Theorem 1). Says nothing of the method of its case.

use crate::{
    Attribution, method,
    metric::{Better, Case, Column, Metric, lipschitz::norm},
};
use anyhow::Result;
use models::registry;
use serde::Deserialize;
use tch::{Kind, Tensor};
use toml::{Table, Value};

struct Gap {
    smoothgrad: Box<dyn Attribution>,
    clime: Box<dyn Attribution>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    samples: i64,
    #[serde(deserialize_with = "registry::fraction")]
    sigma: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options { samples: 1000, sigma: 0.1 }
    }
}

pub(crate) fn build(table: Table) -> Result<Box<dyn Metric>> {
    let Options { samples, sigma } = registry::options(table)?;
    let built = |name: &str| {
        method(Table::from_iter([
            ("name".into(), Value::String(name.into())),
            ("samples".into(), Value::Integer(samples)),
            ("sigma".into(), Value::Float(sigma)),
        ]))
    };
    // C-LIME first: it asks for more of both.
    let clime = built("clime")?;
    Ok(Box::new(Gap { smoothgrad: built("smoothgrad")?, clime }))
}

const COLUMNS: &[Column] = &[Column {
    name: "gap",
    about: "|SmoothGrad − C-LIME|₂ / |SmoothGrad|₂, 1 if only SmoothGrad is 0; 0 or more",
    better: Better::Lower,
}];

impl Metric for Gap {
    fn columns(&self) -> &[Column] {
        COLUMNS
    }

    fn measure(&self, case: &Case) -> Vec<Tensor> {
        let of = |method: &dyn Attribution| {
            method.attribute(case.model, case.batch).to_kind(Kind::Double)
        };
        let smoothgrad = of(&*self.smoothgrad);
        let apart = norm(&(of(&*self.clime) - &smoothgrad), 2.);
        let length = norm(&smoothgrad, 2.);
        let by = length.where_self(&length.not_equal(0.), &apart);
        vec![apart / by.clamp_min(f64::MIN_POSITIVE)]
    }
}
