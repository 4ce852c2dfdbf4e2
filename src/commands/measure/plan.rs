//! What the arguments of `measure` ask for, checked.

use super::preset::{Preset, preset};
use crate::{
    cli::{Explained, Measure, TargetClass},
    results::label,
    session::{Loaded, methods, threat::Radii},
};
use ::attack::{Adversary, Ball, MapAttack, MapObjective, adversary};
use anyhow::{Context, Result, bail, ensure};
use explain::{
    Attribution, Better, Metric,
    metric::{Needs, metric},
};
use models::Score;
use registry::Named;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The metrics and the methods they are asked of.
pub(super) struct Plan {
    pub metrics: Vec<(String, Box<dyn Metric>)>,
    pub methods: Vec<(String, Box<dyn Attribution>)>,
    pub columns: Vec<Key>,
    pub explained: Explained,
    pub needs: Needs,
    pub strike: Strike,
    attack: String,
    pub ball: Ball,
}

/// One number of one metric.
pub(super) struct Key {
    /// Its name, with its metric where several have such a column.
    pub key: String,
    /// Place of the metric.
    pub metric: usize,
    pub about: &'static str,
    pub better: Better,
    /// Whether it is 0 or 1 at each image.
    pub share: bool,
    /// Whether it says something of the map, and of where the object is.
    pub of_map: bool,
    masks: bool,
    /// Why it is undefined else.
    undefined: &'static str,
}

impl Key {
    /// Why the column is undefined at an image without a map, with a constant one or without an object.
    pub fn reason(&self, [no_map, constant, no_object]: [bool; 3]) -> &'static str {
        match () {
            _ if no_map && self.of_map => "no map",
            _ if no_object && self.masks => "empty masks",
            _ if constant && self.of_map => "constant maps",
            _ => self.undefined,
        }
    }
}

/// The attack on the images.
pub(super) enum Strike {
    /// On predictions: one for all methods.
    Prediction(String, Box<dyn Adversary>),
    /// On the maps of each method.
    Maps(Box<dyn MapObjective>),
}

impl Plan {
    /// Errors: unknown names, settings out of range.
    pub fn check(args: &Measure) -> Result<Self> {
        let preset = args.preset.as_deref().map(preset).transpose()?;
        let usual = |given: &Option<String>, of: fn(&Preset) -> &str, otherwise: &str| {
            given.clone().unwrap_or(preset.map_or(otherwise, of).to_owned())
        };
        let metrics = methods("METRICS", &usual(&args.metrics, |p| p.metrics, ""))?;
        let spelled = methods("--method", &usual(&args.method, |p| p.methods, ""))?;
        let metrics =
            metrics.into_iter().map(|text| Ok((text.clone(), metric(registry::parse(&text)?)?)));
        let metrics = metrics.collect::<Result<Vec<_>>>()?;
        let built =
            spelled.into_iter().map(|text| Ok((text.clone(), explain::parse_or_stored(&text)?)));
        let attack = usual(&args.attack, |p| p.attack, "pgd");
        let wanted = |of: fn(&Needs) -> bool| metrics.iter().any(|(_, m)| of(&m.needs()));
        let needs = Needs {
            masks: wanted(|n| n.masks),
            attacked: wanted(|n| n.attacked),
            randomised: wanted(|n| n.randomised),
            random_labels: wanted(|n| n.random_labels),
            explains: wanted(|n| n.explains),
        };
        random_label_model(&needs, args)?;
        let asked = args.attack.is_some();
        ensure!(
            needs.attacked || !asked,
            "`--attack {attack}`: none of these metrics wants an attack"
        );
        let radii = Radii::new(args.norm, &[args.eps])?;
        Ok(Plan {
            columns: keys(&metrics),
            methods: built.collect::<Result<Vec<_>>>()?,
            metrics,
            explained: Explained {
                target: args
                    .target
                    .clone()
                    .unwrap_or(preset.map_or(TargetClass::Predicted, |p| p.target.clone())),
                score: args.score.or(preset.map(|p| p.score)).unwrap_or(Score::Logit),
                chunk: args.chunk,
            },
            needs,
            strike: strike(&attack)?,
            attack,
            ball: radii.balls()[0],
        })
    }

    /// Errors: a metric, a method or an attack that does not fit the model or its images.
    pub fn fit(&self, loaded: &Loaded) -> Result<()> {
        if self.needs.attacked {
            loaded.data.check_pixels("a metric of attacked maps")?;
        }
        let image = loaded.data.image_shape();
        let masked = loaded.data.masks.is_some() || !self.needs.masks;
        for (text, metric) in &self.metrics {
            metric.check(image).with_context(|| format!("metric `{text}`"))?;
            ensure!(
                masked || !metric.needs().masks,
                "metric `{text}`: `{}` does not say where the object is; `shapes` does, and files \
                 that `gradproof data make shapes` wrote; leave the metric out to measure the others",
                loaded.data.name
            );
        }
        for (text, method) in &self.methods {
            loaded.check_method(text, &**method)?;
            if method.stored().is_some() {
                let other = self.metrics.iter().find(|(_, metric)| metric.needs().other_maps());
                let other = other.map_or("", |(name, _)| name);
                ensure!(
                    other.is_empty(),
                    "metric `{other}` needs maps of other images or networks too, which `{text}` does \
                     not hold; leave it out, or name a method"
                );
            }
            if let Strike::Maps(loss) = &self.strike
                && self.needs.attacked
            {
                ensure!(
                    !loss.wants_target(),
                    "`{}` aims at another map: none is known here",
                    self.attack
                );
                let told = || format!("attack `{}` on method `{text}`", self.attack);
                let attack = MapAttack::fast(&loaded.model, &**method, &**loss, &[], &self.ball);
                attack.check(image).with_context(told)?;
            }
        }
        if let Strike::Prediction(name, adversary) = &self.strike {
            let told = || format!("attack `{name}`");
            adversary.check(loaded.model.shape.classes).with_context(told)?;
        }
        Ok(())
    }

    /// What is measured, in a line.
    pub fn told(&self) -> String {
        let list = |all: Vec<&str>| all.join(", ");
        let metrics = list(self.metrics.iter().map(|(text, _)| text.as_str()).collect());
        let methods = list(self.methods.iter().map(|(text, _)| text.as_str()).collect());
        let Explained { target, score, .. } = &self.explained;
        let mut told = format!(
            "measuring {metrics} of {methods}; class {target}, score {}",
            registry::word(score)
        );
        if self.needs.attacked {
            told += &format!("; attack {} within {}", self.attack, label(self.ball.eps));
        }
        told
    }

    /// The resolved settings, for the reader.
    pub fn settings(&self, args: &Measure, loaded: &Loaded) -> BTreeMap<String, Value> {
        let names = |all: Vec<&String>| json!(all);
        let mut settings = vec![
            ("metrics", names(self.metrics.iter().map(|(text, _)| text).collect())),
            ("methods", names(self.methods.iter().map(|(text, _)| text).collect())),
            ("target", json!(self.explained.target.to_string())),
            ("score", json!(self.explained.score)),
            ("chunk", json!(loaded.chunk(args.chunk))),
            ("batch_size", json!(loaded.fits.batch)),
        ];
        settings.extend(args.random_labels.as_ref().map(|file| ("random_labels", json!(file))));
        settings.extend(args.preset.as_ref().map(|name| ("preset", json!(name))));
        if self.needs.attacked {
            settings.push(("attack", json!(self.attack)));
            settings.push(("eps", json!(label(self.ball.eps))));
            settings.push(("norm", json!(args.norm)));
        }
        settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

/// Errors: a network trained on random labels is missing, or nobody asks for it.
fn random_label_model(needs: &Needs, args: &Measure) -> Result<()> {
    ensure!(
        !needs.random_labels || args.random_labels.is_some(),
        "metric `random-labels` wants a network trained on random labels: `--random-labels FILE`; \
         `gradproof train --config FILE --set data.random_labels=true` makes one"
    );
    ensure!(
        needs.random_labels || args.random_labels.is_none(),
        "`--random-labels` is for the metric `random-labels`, which is not asked for"
    );
    Ok(())
}

fn keys(metrics: &[(String, Box<dyn Metric>)]) -> Vec<Key> {
    let all = metrics.iter().enumerate().flat_map(|(i, (_, m))| {
        m.columns().iter().enumerate().map(move |(place, c)| (i, place, *c))
    });
    let all: Vec<_> = all.collect();
    let count = |name: &str| all.iter().filter(|(_, _, c)| c.name == name).count();
    let key = |&(i, place, c): &(usize, usize, explain::metric::Column)| {
        let (spelled, metric) = &metrics[i];
        Key {
            key: if count(c.name) > 1 { format!("{spelled} {}", c.name) } else { c.name.into() },
            metric: i,
            about: c.about,
            better: c.better,
            share: metric.is_share(place),
            of_map: metric.is_of_map(place),
            masks: metric.needs().masks,
            undefined: metric.undefined(),
        }
    };
    all.iter().map(key).collect()
}

/// The attack called `text`: on maps or on predictions.
fn strike(text: &str) -> Result<Strike> {
    let table = registry::parse(text)?;
    let name = table["name"].as_str().unwrap_or_default().to_owned();
    if ::attack::ATTACKS.iter().any(|entry| entry.name == name) {
        return Ok(Strike::Maps(::attack::map_objective(table)?));
    }
    if ::attack::ADVERSARIES.iter().any(|entry| entry.name() == name) {
        return Ok(Strike::Prediction(text.to_owned(), adversary(table)?));
    }
    let maps = ::attack::ATTACKS.iter().map(Named::name).collect::<Vec<_>>().join(", ");
    let predictions = ::attack::ADVERSARIES.iter().map(Named::name).collect::<Vec<_>>().join(", ");
    bail!("unknown attack `{name}`; known on predictions: {predictions}; on maps: {maps}")
}
