//! What a run is trained and tested on, and what the user is told of both.

use super::weights;
use crate::{
    cli::Common,
    runtime::ui::Ui,
    session::classes::{self, Known},
    session::in_memory,
};
use ::data::{
    Dataset, Features, Options, Split,
    names::{few, find},
};
use ::train::{Config, DataConfig};
use anyhow::{Context, Result, ensure};
use models::{checkpoint, noise};
use std::collections::BTreeSet;
use tch::Device;
use tensorfile::words::count;

/// The images of a run.
pub(super) struct Sets {
    pub train: Dataset,
    /// None where the data have no test part.
    pub test: Option<Dataset>,
    /// What the best weights are chosen by, of the training part; none where nobody asked.
    pub validation: Option<Dataset>,
    /// Sentences for the user.
    pub notes: Vec<String>,
}

impl Sets {
    /// Reads them. Errors: the two do not fit each other, or not the weights `before`.
    pub fn load(
        config: &Config,
        before: Option<&checkpoint::Loaded>,
        (common, ui): (&Common, &Ui),
        device: Device,
    ) -> Result<Self> {
        let data = &config.data;
        let part = |spec: &str, split, holdout, features: Option<Features>| -> Result<Dataset> {
            let options = Options {
                split,
                holdout,
                size: data.size,
                preprocess: None,
                channels: data.channels,
                memory: common.memory(),
                label_column: data.label_column.clone(),
                features,
            };
            let set = ::data::open(spec, &options)?;
            ensure!(set.labelled, "`{spec}` has no labels; give a folder of pictures per class");
            Ok(in_memory(set, ui)?.to_device(device))
        };
        let columns = before.map(|before| Features::from_header(&before.metadata)).transpose()?;
        let train = part(&data.train, Split::Train, data.holdout(), columns.flatten())?;
        let columns = train.features.clone();
        let test = match &data.test {
            None if train.whole => None,
            None => Some(part(&data.train, Split::Test, data.holdout(), columns)?),
            Some(spec) => Some(part(spec, Split::Test, None, columns)?),
        };
        let mut notes = notes(config, &train, test.as_ref());
        if let Some(test) = &test {
            apart(config, &train, test)?;
        }
        let mut train = match before {
            Some(before) => goes_on(config, train, before, &mut notes)?,
            None => train,
        };
        let fitted = test.map(|test| classes::fit(test, Known::of_data(&train), &[]));
        let fitted = fitted.transpose().context("test data")?;
        notes.extend(fitted.iter().flat_map(|fitted| fitted.notes.clone()));
        let mut said = BTreeSet::new();
        notes.retain(|note| said.insert(note.clone()));
        if data.random_labels {
            let keys = [noise::key(config.seed, noise::name_id("random-labels"), 0)];
            let order = noise::uniform(&keys, &[train.len() as i64], device).argsort(1, false);
            train.labels = train.labels.index_select(0, &order.squeeze_dim(0));
        }
        let held = data.validation().map(|held| held.cut(&train, 1)).transpose();
        let (train, validation) = match held.context("`data.validation`")? {
            Some([rest, held]) => (rest, Some(held)),
            None => (train, None),
        };
        Ok(Sets { train, test: fitted.map(|fitted| fitted.data), validation, notes })
    }
}

/// Errors: what is tested on is what is trained on, or has another shape.
fn apart(config: &Config, train: &Dataset, test: &Dataset) -> Result<()> {
    let DataConfig { train: from, test: to, .. } = &config.data;
    let same = to.as_ref().is_some_and(|to| ::data::same_place(from, to));
    ensure!(
        !(same && train.whole && test.whole),
        "`data.test` is `data.train`: `{from}` has no test part, so accuracy would be that on the training \
         images; leave `data.test` out, or say `data.holdout = 0.2`"
    );
    ensure!(
        train.image_shape() == test.image_shape(),
        "training images are {:?}, test images {:?}; of folders `data.size` and `data.channels` make them \
         alike",
        train.image_shape(),
        test.image_shape()
    );
    Ok(())
}

/// Training data in the numbers of the weights to start from. Weights that have none of its classes
/// start something new: then their last layer is taken by position, which training mends.
fn goes_on(
    config: &Config,
    train: Dataset,
    before: &checkpoint::Loaded,
    notes: &mut Vec<String>,
) -> Result<Dataset> {
    let known = Known::of(before);
    let has = |name: &String| find(known.names, name).place().is_some();
    if known.said && train.named && !train.classes.iter().any(has) {
        notes.push(format!(
            "`{}` tells other classes apart ({}): its last layer is where those of `{}` begin",
            weights(config),
            few(known.names),
            train.name
        ));
        return Ok(train);
    }
    let told = || format!("`model.weights`: `{}`", weights(config));
    let fitted = classes::fit(train, known, &[]).with_context(told)?;
    notes.extend(fitted.notes);
    Ok(fitted.data)
}

/// What the user should know of the data, a sentence each.
fn notes(config: &Config, train: &Dataset, test: Option<&Dataset>) -> Vec<String> {
    let mut notes = train.notes.clone();
    notes.extend(test.into_iter().flat_map(|test| test.notes.clone()));
    match (test, config.data.holdout()) {
        (None, _) => notes.push(format!(
            "no test images: `{}` is trained on whole; `data.test = \"…\"` or `data.holdout = 0.2` gives some",
            config.data.train
        )),
        (Some(test), Some(holdout)) => notes.push(format!(
            "held out for testing: {}; elsewhere `--holdout {} --holdout-seed {}` reads the same",
            count(test.len(), "image"),
            holdout.fraction,
            holdout.seed
        )),
        _ => {}
    }
    let shared = test.map_or(0, |test| test.shared_with(train));
    if let Some(test) = test.filter(|_| shared > 0) {
        let what = if test.features.is_some() { "rows" } else { "images" };
        notes.push(format!("{shared} of {} test {what} are training {what} too", test.len()));
    }
    notes
}
