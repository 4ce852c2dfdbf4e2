//! What an attack's arguments ask for, checked; the work itself is `attack::MapAttack`.

use super::{judging::Judging, surrogate::Chosen};
use crate::{
    cli::{Attacking, Explained},
    results::label,
    runtime::graphs::Graphs,
    session::Loaded,
    session::threat::Radii,
};
use ::attack::{
    Ball, Beta, Ensemble, MapAttack, MapObjective, Norm, Optimizer, Outcome, Reference, Step,
    Strength, Surrogate,
};
use anyhow::{Context, Result, bail, ensure};
use explain::{
    Attribution, Batch,
    heatmap::{has_mass, heat},
    similarity,
};
use models::{SharedTensor, finite::finite, noise, replay::Recorder};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tch::Tensor;
use tensorfile::TensorFile;

/// An attack on the maps of one method.
pub struct Plan<'a> {
    how: &'a Attacking,
    explained: &'a Explained,
    spelled: &'a str,
    pub method: Box<dyn Attribution>,
    objective: Box<dyn MapObjective>,
    /// That of `--rule`.
    optimizer: Option<Box<dyn Optimizer>>,
    pub radii: Radii,
    /// Who records iterations, if they are to be.
    pub graphs: Option<Graphs>,
}

/// A plan that fits a model and its images.
pub struct Fitted<'a> {
    pub plan: &'a Plan<'a>,
    loaded: &'a Loaded,
    /// Pixels that count as the top.
    pub k: i64,
    /// Of the inputs of the network's nonlinearities.
    spreads: Vec<f64>,
    surrogate: Chosen,
    aim: Aim,
}

/// The heat maps that are aimed at.
enum Aim {
    /// None.
    Nowhere,
    /// That of the next image of the data; the last aims at the first.
    Next,
    /// One for all, `[1, H, W]`.
    At(SharedTensor),
}

impl<'a> Plan<'a> {
    /// Errors: unknown names, settings out of range.
    pub fn check(how: &'a Attacking, explained: &'a Explained, spelled: &'a str) -> Result<Self> {
        let method = explain::parse(spelled)?;
        let objective = ::attack::map_objective(registry::parse(&how.attack)?)?;
        let rule = |text: &String| ::attack::optimizer(registry::parse(text)?);
        let optimizer = how.rule.as_ref().map(rule).transpose()?;
        ensure!(how.iters != Some(0), "`--iters 0`: at least one iteration is needed");
        ensure!(how.restarts != Some(0), "`--restarts 0`: at least one start is needed");
        parameter_free(how)?;
        if let Some(step) = how.step {
            ensure!(step > 0., "`--step {step}`: must be positive");
            unused_step(how, &*objective)?;
        }
        let aims = how.target_image.is_some() || how.target_map.is_some();
        ensure!(
            objective.wants_target() || !aims,
            "`{}` aims at no map; `manipulate` does",
            how.attack
        );
        let radii = Radii::new(how.norm, &how.eps)?;
        Ok(Plan { how, explained, spelled, method, objective, optimizer, radii, graphs: None })
    }

    /// Errors: a method, a region, a target or a k that do not fit the images.
    pub fn fit(&'a self, loaded: &'a Loaded) -> Result<Fitted<'a>> {
        loaded.data.check_pixels("an attack")?;
        let image @ [_, height, width] = loaded.data.image_shape();
        let told = || format!("method `{}`", self.spelled);
        self.method.check(&loaded.model, image).with_context(told)?;
        let ball = &self.radii.balls()[0];
        self.ensemble((loaded, Surrogate::Exact), &[], ball).check(image).with_context(|| {
            format!("attack `{}` on method `{}`", self.how.attack, self.spelled)
        })?;
        let k = self.k(height, width);
        similarity::check_k(k, height, width)?;
        let spreads = loaded.spreads()?;
        let surrogate = Chosen::new(self.how.surrogate_precision, loaded);
        Ok(Fitted { plan: self, loaded, k, spreads, surrogate, aim: self.aim(loaded)? })
    }

    fn aim(&self, loaded: &Loaded) -> Result<Aim> {
        let how = self.how;
        if !self.objective.wants_target() {
            return Ok(Aim::Nowhere);
        }
        if let Some(path) = &how.target_map {
            let told = || format!("`--target-map {}`", path.display());
            let maps = TensorFile::read(path)?.take("maps").with_context(told)?;
            let [channels, height, width] = loaded.data.image_shape();
            let (wanted, found) = (format!("[N, {channels}, {height}, {width}]"), maps.size());
            let fits = found.len() == 4 && found[0] > 0 && found[1..] == [channels, height, width];
            ensure!(fits, "`maps` in `{}` are {found:?}, not {wanted}", path.display());
            let map = maps.narrow(0, 0, 1);
            finite(&map, |_| format!("a number of the first map in `{}`", path.display()))?;
            let aim = heat(&map.to_device(loaded.device));
            ensure!(some(&aim), "the first map in `{}` is zero everywhere: no aim", path.display());
            return Ok(Aim::At(SharedTensor::new(aim)));
        }
        let Some(path) = &how.target_image else {
            let alone = loaded.data.len() < 2;
            ensure!(!alone, "one image has no next one to aim at; say `--target-image FILE`");
            return Ok(Aim::Next);
        };
        let [channels, height, width] = loaded.data.image_shape();
        let side = (height == width).then_some(height);
        let x = ::data::image(path, side, Some(channels))?.to_device(loaded.device);
        let found = x.size();
        if found[1..] != [channels, height, width] {
            bail!("`{}` is {found:?}, not [1, {channels}, {height}, {width}]", path.display());
        }
        // It has no label: its own prediction stands for that.
        let told = |_| format!("a logit of `--target-image {}`", path.display());
        let y = loaded.predict(&x, &told)?.0;
        let keys = vec![noise::key(0, noise::name_id("target"), 0)];
        let batch = loaded.explained(self.explained, (&x, &y), keys, &told)?;
        let aim = self.heat(loaded, &batch);
        let (method, path) = (self.spelled, path.display());
        ensure!(some(&aim), "`{path}` has no map by `{method}` that could be aimed at");
        Ok(Aim::At(SharedTensor::new(aim)))
    }

    fn heat(&self, loaded: &Loaded, batch: &Batch) -> Tensor {
        heat(&self.method.attribute(&loaded.model, batch))
    }

    /// Pixels that count as the top of maps of this size.
    pub fn k(&self, height: i64, width: i64) -> i64 {
        self.how.k.unwrap_or(similarity::default_k(height, width))
    }

    /// The walks inside `ball`.
    fn ensemble(
        &'a self,
        (loaded, surrogate): (&'a Loaded, Surrogate<'a>),
        spreads: &'a [f64],
        ball: &Ball,
    ) -> Ensemble<'a> {
        let Attacking { strength, iters, restarts, step, beta, fresh_draws, .. } = self.how;
        let (model, method, goal) = (&loaded.model, &*self.method, &*self.objective);
        let usual = MapAttack::fast(model, method, goal, spreads, ball);
        let recorder = self.graphs.as_ref().map(|graphs| graphs as &dyn Recorder);
        let usual = MapAttack { fresh: *fresh_draws, recorder, surrogate, ..usual };
        if *strength == Strength::Standard {
            return Ensemble::standard(usual, ball);
        }
        let iterations = iters.unwrap_or(usual.iterations);
        let usual = MapAttack { iterations, restarts: restarts.unwrap_or(1), ..usual };
        let attack = if self.published() { usual.published(ball) } else { usual };
        Ensemble::of(MapAttack {
            optimizer: self.optimizer.as_deref().unwrap_or(attack.optimizer),
            beta: beta.unwrap_or(attack.beta),
            step: step.map_or(attack.step, Step::Same),
            ..attack
        })
    }

    /// Whether β is in absolute numbers, as papers have it, and so all else.
    fn published(&self) -> bool {
        self.how.beta.is_some_and(|beta| !beta.relative)
    }

    /// What is said of the walks, for the reader.
    fn walks(&self) -> Vec<(&'static str, Value)> {
        let Attacking { strength, rule, restarts, step, beta, norm, .. } = self.how;
        if *strength == Strength::Standard {
            return vec![];
        }
        let by_signs = self.published() || self.objective.gradient_free();
        let usual = match (self.published(), norm) {
            (false, _) => "from eps to 0",
            (true, Norm::Linf) => "0.5/255",
            (true, Norm::L2) => "2.5 eps / iterations",
        };
        let beta = beta.unwrap_or(Beta::USUAL);
        vec![
            ("rule", json!(rule.as_deref().unwrap_or(if by_signs { "sign" } else { "apgd" }))),
            ("restarts", json!(restarts.unwrap_or(1))),
            ("step", json!(step.map_or(usual.into(), label))),
            ("beta", json!(beta.to_string())),
        ]
    }

    /// The method as results of `loaded` are judged by it, with k pixels in the top.
    pub fn judging(&self, loaded: &Loaded, k: i64) -> Result<Judging> {
        Judging::new((loaded, self.explained), self.spelled, self.how.judge_samples, k)
    }

    /// Whether other maps are aimed at.
    pub fn aims(&self) -> bool {
        self.objective.wants_target()
    }
}

impl Fitted<'_> {
    /// The walks inside `ball`.
    fn ensemble(&self, ball: &Ball) -> Ensemble<'_> {
        let surrogate = self.surrogate.of(self.loaded);
        self.plan.ensemble((self.loaded, surrogate), &self.spreads, ball)
    }

    /// Iterations for one batch: the length of its progress bar.
    pub fn iterations(&self) -> u64 {
        let of = |ball| self.ensemble(ball).iterations();
        self.plan.radii.balls().iter().map(of).sum()
    }

    /// What was asked for and what stood in for the rest, for the reader.
    pub fn settings(&self) -> BTreeMap<String, Value> {
        let Attacking { strength, norm, target_image, target_map, .. } = self.plan.how;
        let (plan, explained) = (self.plan, self.plan.explained);
        let aim = target_image.as_ref().or(target_map.as_ref());
        let each = self.iterations() / plan.radii.balls().len() as u64;
        [
            ("k", json!(self.k)),
            ("strength", json!(strength)),
            ("iterations", json!(each)),
            ("norm", json!(norm)),
            ("fresh_draws", json!(plan.how.fresh_draws)),
            ("warm_start_eps", json!(plan.how.warm_start_eps)),
            ("target", json!(explained.target.to_string())),
            ("score", json!(explained.score)),
        ]
        .into_iter()
        .chain(plan.walks())
        .chain(self.surrogate.settings(self.loaded))
        .chain(aim.map(|file| ("aim", json!(file))))
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
    }

    /// Attacks a batch whose first image has number `first` among those asked for, in every ball,
    /// the smallest first: each by itself or, with `--warm-start-eps`, from what the smaller one
    /// found, which is allowed in a larger one, so that a larger radius is never weaker.
    pub fn outcomes(&self, batch: &Batch, first: u64, tick: &dyn Fn()) -> Result<Vec<Outcome>> {
        let Fitted { plan, loaded, k, .. } = *self;
        let mut clean = Reference::new(&*plan.method, &loaded.model, batch, k);
        if let Some(target) = self.target(first, batch.keys.len() as u64)? {
            clean = clean.aiming_at(&target);
        }
        let mut found: Vec<Outcome> = vec![];
        for ball in plan.radii.balls() {
            let attack = self.ensemble(ball);
            let smaller = found.last().filter(|_| plan.how.warm_start_eps);
            found.push(attack.run(batch, &clean, ball, smaller, tick));
        }
        Ok(found)
    }

    fn target(&self, first: u64, n: u64) -> Result<Option<Tensor>> {
        let (plan, all) = (self.plan, self.loaded.data.len() as u64);
        Ok(match &self.aim {
            Aim::Nowhere => None,
            Aim::At(heat) => Some(heat.get().repeat([n as i64, 1, 1])),
            Aim::Next => {
                let next: Vec<u64> = (first + 1..=first + n).map(|i| i % all).collect();
                Some(plan.heat(self.loaded, &self.loaded.pick(plan.explained, &next)?))
            }
        })
    }
}

/// Whether a heat map `[1, H, W]` is one.
fn some(heat: &Tensor) -> bool {
    has_mass(heat).int64_value(&[0]) != 0
}

/// Errors: `--strength standard` beside what it chooses itself.
fn parameter_free(how: &Attacking) -> Result<()> {
    let given = [
        ("--rule", how.rule.is_some()),
        ("--iters", how.iters.is_some()),
        ("--restarts", how.restarts.is_some()),
        ("--step", how.step.is_some()),
        ("--beta", how.beta.is_some()),
    ];
    let clash = given.iter().find(|(_, given)| *given).map(|(option, _)| option);
    match (how.strength, clash) {
        (Strength::Standard, Some(option)) => {
            bail!("`--strength standard` has no options of its own: leave `{option}` out")
        }
        _ => Ok(()),
    }
}

/// Errors: a length of steps where the rule that is usual for `objective` chooses its own.
fn unused_step(how: &Attacking, objective: &dyn MapObjective) -> Result<()> {
    let published = how.beta.is_some_and(|beta| !beta.relative);
    ensure!(
        how.rule.is_some() || published || objective.gradient_free(),
        "`--step`: the usual rule `apgd` chooses its own; add `--rule sign`"
    );
    Ok(())
}
