//! One image: what is certain of its smoothed maps, and what the attack finds.

use super::plan::Plan;
use crate::{evaluation::Named, session::Loaded};
use anyhow::Result;
use explain::{
    Attribution, Batch,
    certificate::{
        Counts, State, certified, counts, hits, overlap, prediction_radius, states, within_reach,
    },
    heat,
};
use models::Model;
use tch::{Device, Kind, Tensor};

/// Names of what is kept of an image, one number each or one for each radius.
pub(super) const CERTIFIED: &str = "certified-k-in";
pub(super) const ATTACKED: &str = "attacked-k-in";
pub(super) const KEPT: &str = "kept";
pub(super) const RESAMPLED: &str = "resampled-k-in";
pub(super) const PREDICTION: &str = "prediction-radius";
pub(super) const SMOOTHED: &str = "smoothed-class";
/// Of each pixel: 1 in, −1 out, 0 abstained.
pub(super) const STATES: &str = "states";
pub(super) const HEAT: &str = "heat";

/// The certificates of the one image `x`, number `first` of those asked for, one entry for each of
/// the plan's maps. `tick` is called after each map and each step of an attack.
pub(super) fn certify(
    (plan, loaded): (&Plan, &Loaded),
    (x, labels): (&Tensor, &Tensor),
    first: u64,
    tick: &dyn Fn(),
) -> Result<Vec<Named>> {
    let batch = loaded.batch(&plan.args.explained, x, labels, first)?;
    let (predictions, _) = loaded.predict(x, &|i| loaded.place(first + i))?;
    let hottest: Vec<i64> = plan.shares.iter().map(|&s| plan.hottest(s, loaded)).collect();
    let k = plan.k(loaded) as usize;
    let mut all = vec![];
    for (_, method) in &plan.methods {
        let subject = (&loaded.model as &dyn Model, &**method);
        let found = counts(subject, &batch, (plan.smoothing(), &hottest, k), &|| ());
        tick();
        let map = loaded.attribute(&**method, &batch, first)?;
        for (found, &hottest) in found.iter().zip(&hottest) {
            let mut named = certificate((plan, loaded), found);
            let against = Against { plan, loaded, method: &**method, hottest, tick };
            named.extend(against.attacked(&batch, &found.chosen));
            let rest = [
                (HEAT, heat(&map).to_kind(Kind::Float)),
                ("images", x.shallow_clone()),
                ("labels", labels.shallow_clone()),
                ("predictions", predictions.shallow_clone()),
                ("targets", batch.target.class.shallow_clone()),
            ];
            named.extend(rest.map(|(name, t)| (name.to_owned(), t.to_device(Device::Cpu))));
            all.push(named);
        }
    }
    Ok(all)
}

/// What is certain.
fn certificate((plan, loaded): (&Plan, &Loaded), found: &Counts) -> Named {
    let asked = &plan.args.smoothed;
    // All radii together are wrong with a chance of at most alpha; those out of reach say nothing.
    let reached = |radius: &&f64| within_reach(found, **radius, asked.sigma, asked.alpha);
    let each = asked.alpha / plan.radii.iter().filter(reached).count().max(1) as f64;
    let k = found.chosen.len() as f64;
    let share = |&radius: &f64| certified(found, radius, asked.sigma, each) as f64 / k;
    let state = |state: &State| match state {
        State::In => 1i64,
        State::Out => -1,
        State::Abstained => 0,
    };
    let pixels: Vec<i64> = states(found, asked.tau, asked.alpha).iter().map(state).collect();
    let (class, agreed) = found.class;
    let radius = prediction_radius(agreed, found.tests, asked.sigma, asked.alpha);
    let [_, height, width] = loaded.data.image_shape();
    [
        (CERTIFIED, row(&plan.radii.iter().map(share).collect::<Vec<_>>())),
        (STATES, Tensor::from_slice(&pixels).view([1, height, width])),
        (PREDICTION, row(&[radius]).squeeze_dim(1)),
        (SMOOTHED, Tensor::from_slice(&[class])),
    ]
    .map(|(name, t)| (name.to_owned(), t))
    .into_iter()
    .collect()
}

/// The other side: what is found on the smoothed map of a method.
struct Against<'a> {
    plan: &'a Plan<'a>,
    loaded: &'a Loaded,
    method: &'a dyn Attribution,
    hottest: i64,
    tick: &'a dyn Fn(),
}

impl Against<'_> {
    /// Judged by noise that neither the attack nor the certificate has seen: first without any
    /// change, then at each radius, from what was found at the one before.
    fn attacked(&self, batch: &Batch, chosen: &[usize]) -> Named {
        let mut named = Named::new();
        if self.plan.args.against.iters == 0 {
            return named;
        }
        let mut change = batch.x.zeros_like();
        let (alone, _) = self.judged(batch, chosen, &change, "certify-resampled");
        named.insert(RESAMPLED.into(), row(&[alone]).squeeze_dim(1));
        let Some(attack) = self.plan.attack(self.loaded, self.method) else { return named };
        let mask = self.mask(chosen);
        let (mut overlaps, mut kept) = (vec![], vec![]);
        for &radius in &self.plan.radii {
            let length = change.norm().double_value(&[]);
            let start = if length > 0. { &change * (radius / length) } else { change };
            change = attack.run(batch, &mask, (radius, &start), self.tick);
            let (overlap, same) = self.judged(batch, chosen, &change, "certify-judge");
            overlaps.push(overlap);
            kept.push(same);
        }
        named.insert(ATTACKED.into(), row(&overlaps));
        named.insert(KEPT.into(), row(&kept));
        named
    }

    /// The overlap of the chosen pixels where the image is changed by `change`, and whether most
    /// noisy copies are still of the class that is explained.
    fn judged(&self, batch: &Batch, chosen: &[usize], change: &Tensor, draws: &str) -> (f64, f64) {
        let asked = &self.plan.args.smoothed;
        let moved = batch.at(&(&batch.x + change));
        let subject = (&self.loaded.model as &dyn Model, self.method);
        let how = (asked.sigma, self.hottest);
        let (hits, kept) = hits(subject, &moved, how, (draws, asked.samples));
        (overlap(chosen, &hits), f64::from(u8::from(2 * kept > asked.samples)))
    }

    /// One at the chosen pixels and zero elsewhere, `[H, W]`.
    fn mask(&self, chosen: &[usize]) -> Tensor {
        let [_, height, width] = self.loaded.data.image_shape();
        let index: Vec<i64> = chosen.iter().map(|&pixel| pixel as i64).collect();
        let none = Tensor::zeros([height * width], (Kind::Float, Device::Cpu));
        let mask = none.index_fill(0, &Tensor::from_slice(&index), 1);
        mask.view([height, width]).to_device(self.loaded.device)
    }
}

/// Numbers of one image, f64 `[1, n]`.
fn row(values: &[f64]) -> Tensor {
    Tensor::from_slice(values).unsqueeze(0)
}
