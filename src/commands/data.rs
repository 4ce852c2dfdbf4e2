//! `gradproof data`: fetch, make, info.

use crate::{
    cli::{Common, Data, Set},
    outcome::Outcome,
    runtime::outputs::Files,
    runtime::ui::Ui,
    session::in_memory,
};
use ::data::{Dataset, fetch::fetch, home};
use anyhow::{Result, ensure};
use std::path::Path;
use tensorfile::words::count;

/// Runs the subcommand.
pub fn run(args: &Data, common: &Common, ui: &Ui) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    match args {
        Data::Fetch { what, to, from } => {
            let bar = ui.bar(0, what);
            let to = to.clone().unwrap_or_else(home);
            let place = fetch(what, &to, from.as_deref(), &|p| {
                bar.set_length(p.total.unwrap_or(p.done));
                bar.set_position(p.done);
                bar.set_message(p.file.to_owned());
            })?;
            bar.finish_and_clear();
            let spec = format!("{what}:{}", place.display());
            outcome.say(&format!("ready: use it as `--data {spec}`"));
            outcome.with(&serde_json::json!({ "data": spec }))
        }
        Data::Make { set, to } => {
            let files = Files::default().data("DATA", &set.data).writes("--out", &to.out);
            files.check(common.force)?;
            to.folder.as_deref().map_or(Ok(()), empty)?;
            let mut set = open(set, common)?;
            ensure!(set.labelled, "`{}` has no labels to write", set.name);
            if let Some(folder) = &to.folder {
                set.notes.extend(set.check_folder()?);
                // A folder that is not there yet is not made before all images are read.
                let inside = if folder.exists() { folder.join("CLASS") } else { folder.clone() };
                tensorfile::atomic::check_writable(&inside)?;
            }
            files.check_writable()?;
            let set = in_memory(set, ui)?;
            let written = match (&to.out, &to.folder) {
                (Some(file), _) => {
                    set.save_tensors(file)?;
                    format!("tensors:{}", file.display())
                }
                (None, None) => unreachable!("the arguments hold one of them"),
                (None, Some(folder)) => {
                    let bar = ui.bar(set.len() as u64, "writing");
                    set.save_folder(folder, || bar.inc(1))?;
                    bar.finish_and_clear();
                    format!("folder:{}", folder.display())
                }
            };
            set.notes.iter().for_each(|note| ui.note(note));
            let images = count(set.len(), "image");
            outcome.say(&format!("{images}: use as `--data {written}`"));
            outcome.with(&serde_json::json!({ "data": written, "images": set.len() }))
        }
        Data::Info { set } => {
            let set = open(set, common)?;
            let bar = ui.bar(set.len() as u64, "reading");
            let description = set.describe(|n| bar.inc(n))?;
            bar.finish_and_clear();
            set.notes.iter().for_each(|note| ui.note(note));
            outcome.say(description.to_string().trim_end());
            outcome.with(&description)
        }
    }
}

fn open(set: &Set, common: &Common) -> Result<Dataset> {
    ::data::open(&set.data, &set.reading.options(common))
}

/// Errors: something is in `folder`, which images of another set would mix with.
fn empty(folder: &Path) -> Result<()> {
    let taken = folder.exists() && folder.read_dir().map_or(true, |mut all| all.next().is_some());
    ensure!(!taken, "`{}` is not an empty folder", folder.display());
    Ok(())
}
