//! The cases of one model: what metrics are told of a batch.

use super::plan::{Plan, Strike};
use crate::{
    cli::Measure,
    evaluation::Named,
    session::{Loaded, shared::Asked},
};
use ::attack::{AttackInput, MapAttack, MapObjective};
use anyhow::{Context, Result};
use explain::{
    Attribution, Batch,
    heatmap::{has_mass, has_order, heat},
    metric::{Attacked, Case, Memo, Randomised, Randomness},
    similarity::default_k,
};
use models::{Classifier, Precision};
use tch::{Device, Kind, Tensor};

/// The columns that say which images have no map, a constant one, and no object.
pub(super) const EMPTY: &str = "empty";
pub(super) const CONSTANT: &str = "constant";
pub(super) const NO_OBJECT: &str = "no object";

pub(super) struct Cases<'a> {
    plan: &'a Plan,
    loaded: &'a Loaded,
    /// Of the inputs of the network's nonlinearities.
    spreads: Vec<f64>,
    /// With layers drawn anew.
    randomised: Vec<(Randomness, Asked)>,
    /// Trained on random labels.
    random_label_model: Option<&'a Loaded>,
}

impl<'a> Cases<'a> {
    pub fn new(
        plan: &'a Plan,
        loaded: &'a Loaded,
        random_label_model: Option<&'a Loaded>,
        args: &Measure,
    ) -> Result<Self> {
        let wanted = plan.needs.randomised;
        let randomised = if wanted { randomised(&loaded.model, args) } else { vec![] };
        Ok(Cases { plan, loaded, spreads: loaded.spreads()?, randomised, random_label_model })
    }

    /// The numbers of a batch, one entry a method, on the CPU. `tick` is called after every metric.
    pub fn batch(
        &self,
        (x, labels): (&Tensor, &Tensor),
        first: u64,
        tick: &dyn Fn(),
    ) -> Result<Vec<Named>> {
        let Cases { plan, loaded, .. } = *self;
        let batch = loaded.batch(&plan.explained, x, labels, first)?;
        let n = labels.size()[0];
        let masks = loaded.data.masks.as_ref().map(|masks| masks.narrow(0, first as i64, n));
        let fooled = self.fooled(&batch, labels);
        let (predictions, _) = loaded.predict(x, &|i| loaded.place(first + i))?;
        let reinitialised = self.randomised.iter().map(|(how, model)| (*how, model.get()));
        let on_labels = self.random_label_model.map(|loaded| (Randomness::Labels, &loaded.model));
        let randomised: Vec<Randomised> =
            reinitialised.chain(on_labels).map(|(how, model)| Randomised { how, model }).collect();
        let model_cache = Memo::default();
        let row = |spelled: &str, method: &dyn Attribution| -> Result<Named> {
            let told = || format!("method `{spelled}`");
            let maps = loaded.attribute(method, &batch, first).with_context(told)?;
            let fooled = match &plan.strike {
                _ if !plan.needs.attacked => None,
                Strike::Maps(goal) => Some(self.moved(&batch, method, &**goal)),
                Strike::Prediction(..) => fooled.as_ref().map(Tensor::shallow_clone),
            };
            let moved = |x: &Tensor| method.attribute(&loaded.model, &batch.moved(x, method));
            let attacked = fooled.map(|x| (moved(&x), x));
            let case = Case {
                model: &loaded.model,
                method,
                batch: &batch,
                maps: &maps,
                spreads: &self.spreads,
                labels,
                masks: masks.as_ref(),
                attacked: attacked.as_ref().map(|(maps, x)| Attacked { x, maps }),
                randomised: &randomised,
                model_cache: &model_cache,
                map_cache: &Memo::default(),
            };
            let columns = plan.metrics.iter().flat_map(|(_, metric)| {
                let columns = metric.measure(&case);
                tick();
                columns
            });
            let keys = plan.columns.iter().map(|column| column.key.as_str());
            let rest = [
                ("labels", labels.shallow_clone()),
                ("predictions", predictions.shallow_clone()),
                ("targets", batch.target.class.shallow_clone()),
            ];
            let flags = flags(&heat(&maps), masks.as_ref(), labels);
            let all = keys.zip(columns).chain(rest).chain(flags);
            Ok(all.map(|(key, t)| (key.to_owned(), t.to_device(Device::Cpu))).collect())
        };
        plan.methods.iter().map(|(spelled, method)| row(spelled, &**method)).collect()
    }

    /// The images after an attack on their predictions, if there is one.
    fn fooled(&self, batch: &Batch, labels: &Tensor) -> Option<Tensor> {
        let Strike::Prediction(_, adversary) = &self.plan.strike else { return None };
        if !self.plan.needs.attacked {
            return None;
        }
        let keys = batch.redrawn().keys;
        let input = AttackInput::new(&self.loaded.model, (&batch.x, labels), self.plan.ball, &keys);
        Some(adversary.attack(&input))
    }

    /// The images after an attack on the maps of `method`, which draws other samples than are
    /// measured.
    fn moved(&self, batch: &Batch, method: &dyn Attribution, goal: &dyn MapObjective) -> Tensor {
        let (loaded, ball) = (self.loaded, &self.plan.ball);
        let attack = MapAttack::fast(&loaded.model, method, goal, &self.spreads, ball);
        let batch = batch.redrawn();
        let [_, height, width] = loaded.data.image_shape();
        let clean = attack.reference(&batch, default_k(height, width));
        attack.run(&batch, &clean, ball, None, &|| ()).adversarial
    }
}

/// The network with its parts drawn anew: from the output down to each, and each alone.
fn randomised(model: &Classifier, args: &Measure) -> Vec<(Randomness, Asked)> {
    let parts = model.params().parts();
    let drawn = |parts: &[String]| ready(model.reinitialised(parts, args.subject.seed), args);
    let cascade = (0..parts.len()).rev().map(|from| (Randomness::Cascade, drawn(&parts[from..])));
    let alone = parts.iter().map(|part| (Randomness::Alone, drawn(std::slice::from_ref(part))));
    cascade.chain(alone).collect()
}

fn ready(model: Classifier, args: &Measure) -> Asked {
    let precision: Precision = args.subject.precision;
    Asked::new(if args.subject.no_fuse { model.frozen() } else { model.folded(precision) })
}

/// Why a number may be undefined, f64 `[N]`, one where it holds: no map, a constant map, no object in
/// the mask; images without masks count as if they had one.
fn flags(heat: &Tensor, masks: Option<&Tensor>, labels: &Tensor) -> [(&'static str, Tensor); 3] {
    let absent = |flag: Tensor| flag.logical_not().to_kind(Kind::Double);
    let marked = masks.map(|masks| masks.flatten(1, -1).any_dim(1, false));
    [
        (EMPTY, absent(has_mass(heat))),
        (CONSTANT, absent(has_order(heat))),
        (NO_OBJECT, absent(marked.unwrap_or_else(|| labels.ones_like()))),
    ]
}
