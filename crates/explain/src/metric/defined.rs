//! An image without a map has no numbers about its map: nothing was said of any pixel, which is neither
//! good nor bad. The controls are asked all the same: what they are given for saying nothing is the
//! answer.

use crate::{
    engine::{chunks, limit::ChunkLimit},
    heatmap::{has_mass, heat},
    metric::{Case, Column, Metric, Needs},
};
use anyhow::Result;
use tch::{Kind, Tensor};

/// A metric, undefined where there is no map.
pub(super) struct Defined {
    pub metric: Box<dyn Metric>,
    /// Of its passes.
    pub limit: ChunkLimit,
}

impl Metric for Defined {
    fn columns(&self) -> &[Column] {
        self.metric.columns()
    }

    fn needs(&self) -> Needs {
        self.metric.needs()
    }

    fn check(&self, image: [i64; 3]) -> Result<()> {
        self.metric.check(image)
    }

    fn measure(&self, case: &Case) -> Vec<Tensor> {
        let none = match case.method.ignores_image() {
            true => Tensor::zeros([case.maps.size()[0]], (Kind::Bool, case.maps.device())),
            false => has_mass(&heat(case.maps)).logical_not(),
        };
        let columns = self
            .metric
            .measure(&Case { batch: &chunks::under(&self.limit, case.batch), ..*case })
            .into_iter()
            .enumerate();
        let defined = |(i, numbers): (usize, Tensor)| match self.metric.is_of_map(i) {
            true => numbers.masked_fill(&none, f64::NAN),
            false => numbers,
        };
        columns.map(defined).collect()
    }

    fn is_of_map(&self, column: usize) -> bool {
        self.metric.is_of_map(column)
    }

    fn is_share(&self, column: usize) -> bool {
        self.metric.is_share(column)
    }

    fn undefined(&self) -> &'static str {
        self.metric.undefined()
    }
}
