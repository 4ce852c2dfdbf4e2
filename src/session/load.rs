//! Lists on the command line: methods, and models that are asked about the same images.

use crate::{
    cli::{Common, Explained, Subject, named},
    runtime::ui::Ui,
    session::{self, Loaded},
};
use anyhow::{Result, ensure};
use std::path::PathBuf;

/// The members of a list such as `gxi,ig:points=10`. Errors: none, or one that stands there twice.
pub fn methods(option: &str, list: &str) -> Result<Vec<String>> {
    distinct(option, registry::split(list))
}

fn distinct(option: &str, all: Vec<String>) -> Result<Vec<String>> {
    for (i, one) in all.iter().enumerate() {
        ensure!(!one.is_empty(), "`{option}` has nothing between two commas, or at an end");
        ensure!(!all[..i].contains(one), "`{option}` names `{one}` twice; say it once");
    }
    Ok(all)
}

/// One model a file of `--weights`, on the same images.
pub fn load_models(
    args: &Subject,
    explained: &Explained,
    common: &Common,
    ui: &Ui,
) -> Result<Vec<Loaded>> {
    let files = args.weights.to_string_lossy();
    let files = distinct("--weights", files.split(',').map(str::to_owned).collect())?;
    let with = |file: &String| Subject { weights: PathBuf::from(file), ..args.clone() };
    let mut models = vec![session::load(&with(&files[0]), common, ui)?];
    models[0].check_target(explained)?;
    for file in &files[1..] {
        models.push(session::load_beside((&files[0], &models[0]), &with(file), ui)?);
    }
    let batch = models.iter().map(|loaded| loaded.fits.batch).min().unwrap_or(1);
    models.iter_mut().for_each(|loaded| loaded.fits.batch = batch);
    // Files of one name in several folders are told apart by their paths.
    let names: Vec<String> = models.iter().map(|loaded| loaded.card.name.clone()).collect();
    for (loaded, file) in models.iter_mut().zip(&files) {
        let (name, path) = named(file);
        if names.iter().filter(|name| **name == loaded.card.name).count() > 1 {
            ensure!(name.is_none(), "two models of `--weights` are called `{}`", loaded.card.name);
            path.clone_into(&mut loaded.card.name);
        }
    }
    Ok(models)
}
