//! `gradproof data`: fetch, make, info.

use crate::{cli::Data, subject::split, ui::Ui};
use ::data::{Options, fetch::fetch};
use anyhow::Result;

/// Runs the subcommand.
pub fn run(args: &Data, ui: &Ui) -> Result<()> {
    match args {
        Data::Fetch { what, to, from } => {
            let bar = ui.bar(0, what);
            let place = fetch(what, to, from.as_deref(), &|p| {
                bar.set_length(p.total.unwrap_or(p.done));
                bar.set_position(p.done);
                bar.set_message(p.file.to_owned());
            })?;
            bar.finish_and_clear();
            let spec = format!("{what}:{}", place.display());
            ui.say(&format!("ready: use it as `--data {spec}`"))?;
            ui.result(&serde_json::json!({ "data": spec }))
        }
        Data::Make { data, split: part, label_column, out } => {
            let label_column = label_column.clone();
            let set = ::data::load(data, &Options { label_column, ..split(part).into() })?;
            set.save_tensors(out)?;
            let written = format!("tensors:{}", out.display());
            ui.say(&format!("{} images: use them as `--data {written}`", set.len()))?;
            ui.result(&serde_json::json!({ "data": written, "images": set.len() }))
        }
        Data::Info { data, split: part, size, label_column } => {
            let (split, size, label_column) = (split(part), *size, label_column.clone());
            let set = ::data::load(data, &Options { split, size, label_column })?;
            let description = set.describe();
            ui.say(description.to_string().trim_end())?;
            ui.result(&description)
        }
    }
}
