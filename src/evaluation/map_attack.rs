//! What an attack's arguments ask for, checked; the work itself is `attack::MapAttack`.

use crate::{
    cli::{Attacking, Explained},
    results::label,
    session::Loaded,
    session::threat::Radii,
};
use ::attack::{Ball, MapAttack, MapObjective, Norm, Optimizer, Outcome, Reference};
use anyhow::{Context, Result, bail, ensure};
use explain::{
    Attribution, Batch,
    heatmap::{has_mass, heat},
    similarity,
};
use models::{finite::finite, noise};
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
    optimizer: Box<dyn Optimizer>,
    pub radii: Radii,
}

/// A plan that fits a model and its images.
pub struct Fitted<'a> {
    pub plan: &'a Plan<'a>,
    loaded: &'a Loaded,
    /// Pixels that count as the top.
    pub k: i64,
    aim: Aim,
}

/// The heat maps that are aimed at.
enum Aim {
    /// None.
    Nowhere,
    /// That of the next image of the data; the last aims at the first.
    Next,
    /// One for all, `[1, H, W]`.
    At(Tensor),
}

impl<'a> Plan<'a> {
    /// Errors: unknown names, settings out of range.
    pub fn check(how: &'a Attacking, explained: &'a Explained, spelled: &'a str) -> Result<Self> {
        let method = explain::parse(spelled)?;
        let objective = ::attack::map_objective(registry::parse(&how.attack)?)?;
        let optimizer = ::attack::optimizer(registry::parse(&how.rule)?)?;
        ensure!(how.iters > 0, "`--iters 0`: at least one iteration is needed");
        ensure!(how.restarts > 0, "`--restarts 0`: at least one start is needed");
        if let Some(step) = how.step {
            ensure!(step > 0., "`--step {step}`: must be positive");
        }
        let aims = how.target_image.is_some() || how.target_map.is_some();
        ensure!(
            objective.wants_target() || !aims,
            "`{}` aims at no map; `manipulate` does",
            how.attack
        );
        let radii = Radii::new(how.norm, &how.eps)?;
        Ok(Plan { how, explained, spelled, method, objective, optimizer, radii })
    }

    /// Errors: a method, a region, a target or a k that do not fit the images.
    pub fn fit(&'a self, loaded: &'a Loaded) -> Result<Fitted<'a>> {
        loaded.data.check_pixels("an attack")?;
        let image @ [_, height, width] = loaded.data.image_shape();
        let told = || format!("method `{}`", self.spelled);
        self.method.check(&loaded.model, image).with_context(told)?;
        let ball = &self.radii.balls()[0];
        self.attack(loaded, ball).check(image).with_context(|| {
            format!("attack `{}` on method `{}`", self.how.attack, self.spelled)
        })?;
        let k = self.how.k.unwrap_or(similarity::default_k(height, width));
        similarity::check_k(k, height, width)?;
        Ok(Fitted { plan: self, loaded, k, aim: self.aim(loaded)? })
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
            return Ok(Aim::At(aim));
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
        Ok(Aim::At(aim))
    }

    fn heat(&self, loaded: &Loaded, batch: &Batch) -> Tensor {
        heat(&self.method.attribute(&loaded.model, batch))
    }

    fn attack(&'a self, loaded: &'a Loaded, ball: &Ball) -> MapAttack<'a> {
        MapAttack {
            model: &loaded.model,
            method: &*self.method,
            objective: &*self.objective,
            optimizer: &*self.optimizer,
            beta: self.how.beta,
            iterations: self.how.iters,
            step: self.how.step.unwrap_or(step(ball, self.how.iters)),
            restarts: self.how.restarts,
        }
    }

    /// Whether other maps are aimed at.
    pub fn aims(&self) -> bool {
        self.objective.wants_target()
    }

    /// Iterations for one batch: the length of its progress bar.
    pub fn iterations(&self) -> u64 {
        let each = u64::from(self.how.iters) * u64::from(self.how.restarts);
        each * self.radii.balls().len() as u64
    }

    /// What was asked for and what stood in for the rest, for the reader.
    pub fn settings(&self, k: i64) -> BTreeMap<String, Value> {
        let Attacking { rule, iters, restarts, step, beta, norm, target_image, target_map, .. } =
            self.how;
        let usual = if *norm == Norm::L2 { "2.5 eps / iterations" } else { "0.5/255" };
        let grows = beta.start != beta.end;
        let aim = target_image.as_ref().or(target_map.as_ref());
        [
            ("k", json!(k)),
            ("rule", json!(rule)),
            ("iterations", json!(iters)),
            ("restarts", json!(restarts)),
            ("step", json!(step.map_or(usual.into(), label))),
            ("norm", json!(norm)),
            ("beta", if grows { json!([beta.start, beta.end]) } else { json!(beta.start) }),
            ("target", json!(self.explained.target.to_string())),
            ("score", json!(self.explained.score)),
        ]
        .into_iter()
        .chain(aim.map(|file| ("aim", json!(file))))
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
    }
}

impl Fitted<'_> {
    /// Attacks a batch whose first image has number `first` among those asked for, in every ball,
    /// the smallest first. A smaller ball's result is allowed in a larger one, so a larger radius
    /// is never weaker.
    pub fn outcomes(&self, batch: &Batch, first: u64, tick: &dyn Fn()) -> Result<Vec<Outcome>> {
        let Fitted { plan, loaded, k, .. } = *self;
        let mut clean = Reference::new(&*plan.method, &loaded.model, batch, k);
        if let Some(target) = self.target(first, batch.keys.len() as u64)? {
            clean = clean.aiming_at(&target);
        }
        let mut found: Vec<Outcome> = vec![];
        for ball in plan.radii.balls() {
            let attack = plan.attack(loaded, ball);
            found.push(attack.run(batch, &clean, ball, found.last(), tick));
        }
        Ok(found)
    }

    fn target(&self, first: u64, n: u64) -> Result<Option<Tensor>> {
        let (plan, all) = (self.plan, self.loaded.data.len() as u64);
        Ok(match &self.aim {
            Aim::Nowhere => None,
            Aim::At(heat) => Some(heat.repeat([n as i64, 1, 1])),
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

/// The step where none is asked for.
fn step(ball: &Ball, iterations: u32) -> f64 {
    match ball.norm {
        Norm::Linf => 0.5 / 255.,
        Norm::L2 => 2.5 * ball.eps / f64::from(iterations),
    }
}
