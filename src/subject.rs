//! A model and the images it is asked about, loaded and checked before any work.

use crate::{
    cli::{Common, Explained, Subject},
    device,
    results::{ModelCard, Origin},
    ui::Ui,
};
use anyhow::{Context, Result, ensure};
use data::Dataset;
use explain::Batch;
use models::{Classifier, Model, Target, checkpoint, checkpoint::Hints, noise};
use std::{collections::BTreeMap, path::Path, time::Instant};
use tch::{Device, Kind, Tensor};

/// What a command works on.
pub struct Loaded {
    /// Ready for explaining and attacking: out of reach of gradients, norms folded.
    pub model: Classifier,
    /// The images asked for, on the model's device.
    pub data: Dataset,
    /// For result files.
    pub card: ModelCard,
    /// When the work began.
    clock: Instant,
    /// Where the model and the images are.
    pub device: Device,
    seed: u64,
    /// Images of the data before those asked for.
    offset: u64,
    notes: Vec<String>,
}

/// Loads weights, then data, and checks that they fit.
pub fn load(args: &Subject, common: &Common, ui: &Ui) -> Result<Loaded> {
    let device = common.device.resolve()?;
    ensure!(args.batch_size > 0, "`--batch-size 0`: at least one image is needed");
    let weights = weights(args, ui)?;
    ready(args, weights, images(args, common, ui)?.to_device(device), device)
}

/// Loads other weights for the images of `first`, and checks that they fit.
pub fn load_beside(first: &Loaded, args: &Subject, ui: &Ui) -> Result<Loaded> {
    let told = || format!("weights `{}`", args.weights.display());
    let data = first.data.slice(0, None)?;
    ready(args, weights(args, ui)?, data, first.device).with_context(told)
}

fn weights(args: &Subject, ui: &Ui) -> Result<checkpoint::Loaded> {
    let (arch, normalise) = (args.arch.clone(), args.normalise.clone());
    let hints = Hints { arch, normalise, entry: args.entry.clone(), size: args.reading.size };
    let loaded = checkpoint::load(&args.weights, &hints)?;
    for (key, value) in &loaded.metadata {
        ui.detail(&format!("  {key}: {}", value.trim().replace('\n', "\n    ")));
    }
    Ok(loaded)
}

fn ready(
    args: &Subject,
    mut loaded: checkpoint::Loaded,
    data: Dataset,
    device: Device,
) -> Result<Loaded> {
    loaded.suit(data.image_shape());
    let model = loaded.classifier;
    fits(&model, &data)?;
    let (n, device_name) = (data.len(), device::describe(device));
    let mut notes = loaded.notes;
    notes.push(format!("{} with {n} images of {}, {device_name}", model.arch.name, data.title()));
    let card = card(args, &model, &loaded.metadata);
    let model = model.placed(device, !args.no_fuse);
    let model = if args.no_fuse { model.frozen() } else { model.folded(args.precision) };
    let (clock, seed, offset) = (Instant::now(), args.seed, args.offset as u64);
    Ok(Loaded { model, data, card, clock, device, seed, offset, notes })
}

fn images(args: &Subject, common: &Common, ui: &Ui) -> Result<Dataset> {
    let data = data::open(&args.data, &args.reading.options(common))?;
    let data = match &args.class {
        Some(class) => data.of_class(class).context("`--class`")?,
        None => data,
    };
    in_memory(data.slice(args.offset, args.limit)?, ui)
}

/// The images of class folders read into memory, where they fit, with a bar.
pub fn in_memory(data: Dataset, ui: &Ui) -> Result<Dataset> {
    let bar = ui.bar(data.len() as u64, "reading");
    let data = data.in_memory(|n| bar.inc(n))?;
    bar.finish_and_clear();
    Ok(data)
}

fn fits(model: &Classifier, data: &Dataset) -> Result<()> {
    let (wanted, found) = (model.shape.image, data.image_shape());
    let form = |s: [i64; 3]| s.map(|n| n.to_string()).join("x");
    ensure!(
        wanted == found,
        "the model takes {} images (channels x height x width), the data has {}",
        form(wanted),
        form(found)
    );
    let most = data.labels.max().int64_value(&[]);
    ensure!(
        most < model.shape.classes,
        "a label of the data is {most}; the model has {} classes (0 to {})",
        model.shape.classes,
        model.shape.classes - 1
    );
    Ok(())
}

fn card(args: &Subject, model: &Classifier, header: &BTreeMap<String, String>) -> ModelCard {
    let said = |key: &str| header.get(key).cloned().unwrap_or("unknown".into());
    ModelCard {
        name: short_name(&args.weights),
        arch: model.arch.name.into(),
        training: said("training"),
        dataset: said("dataset"),
        classes: model.classes.clone(),
    }
}

/// The file's name without its ending; the folder's for the `last.safetensors` of a run.
pub fn short_name(weights: &Path) -> String {
    let folder = weights.parent().and_then(Path::file_name);
    let stem = weights.file_stem().filter(|stem| *stem != "last").or(folder);
    stem.unwrap_or_default().to_string_lossy().into_owned()
}

impl Loaded {
    /// Tells the user what the work is about: after the last check, as an error is one line.
    pub fn announce(&self, ui: &Ui) {
        for note in &self.notes {
            ui.note(note);
        }
    }

    /// How results made until now came to be.
    pub fn origin(&self) -> Origin {
        Origin {
            command: command_line(),
            version: env!("CARGO_PKG_VERSION").into(),
            commit: env!("GRADPROOF_COMMIT").into(),
            device: device::describe(self.device),
            seed: self.seed,
            seconds: self.clock.elapsed().as_secs_f64(),
        }
    }

    /// Header strings of tensor files made until now.
    pub fn header(&self) -> BTreeMap<String, String> {
        let origin = self.origin();
        [
            ("command", origin.command),
            ("version", origin.version),
            ("commit", origin.commit),
            ("device", origin.device),
            ("seed", origin.seed.to_string()),
            ("model", self.card.name.clone()),
            ("arch", self.card.arch.clone()),
            ("classes", self.card.classes.join(",")),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
    }

    /// What is explained for the images `x` with labels `y`, of which `first` is the first.
    pub fn batch(&self, how: &Explained, x: &Tensor, y: &Tensor, first: u64) -> Result<Batch> {
        self.explained(how, (x, y), self.keys(first, y.size()[0] as u64))
    }

    /// What is explained for the images with these numbers among those asked for.
    pub fn pick(&self, how: &Explained, rows: &[u64]) -> Result<Batch> {
        let index: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
        let (x, y) = self.data.batch(&index)?;
        let keys = rows.iter().flat_map(|&row| self.keys(row, 1)).collect();
        self.explained(how, (&x, &y), keys)
    }

    /// What is explained for images with labels and keys.
    pub fn explained(
        &self,
        how: &Explained,
        (x, y): (&Tensor, &Tensor),
        keys: Vec<u64>,
    ) -> Result<Batch> {
        let score = how.score;
        let target = match how.target.as_str() {
            "predicted" => Target::predicted(&self.model, x, score),
            "label" => Target { class: y.shallow_clone(), score },
            number => Target { class: y.full_like(self.class(number)?), score },
        };
        Ok(Batch { x: x.shallow_clone(), target, keys, chunk: how.chunk as i64 })
    }

    /// Seeds of what is drawn for the `n` images from the `first` of those asked for on: the same
    /// for an image whatever part of the data was asked for.
    pub fn keys(&self, first: u64, n: u64) -> Vec<u64> {
        let first = self.offset + first;
        (first..first + n).map(|image| noise::key(self.seed, image, 0)).collect()
    }

    /// Errors where a pass holds no image or `--target` is neither a word nor a class of the model.
    pub fn check_target(&self, explained: &Explained) -> Result<()> {
        ensure!(explained.chunk > 0, "`--chunk 0`: at least one image is needed");
        match explained.target.as_str() {
            "predicted" | "label" => Ok(()),
            number => self.class(number).map(|_| ()),
        }
    }

    fn class(&self, text: &str) -> Result<i64> {
        let told = || format!("`--target {text}`: write `predicted`, `label` or a class number");
        let number: i64 = text.parse().with_context(told)?;
        let count = self.model.shape.classes;
        ensure!((0..count).contains(&number), "`--target {text}`: classes are 0 to {}", count - 1);
        Ok(number)
    }

    /// Predicted classes i64 `[N]` and their softmax probabilities f32 `[N]`.
    pub fn predict(&self, x: &Tensor) -> (Tensor, Tensor) {
        let p = tch::no_grad(|| self.model.logits(x)).softmax(1, Kind::Float);
        let (confidence, class) = p.max_dim(1, false);
        (class, confidence)
    }
}

/// As typed; arguments with spaces are quoted.
fn command_line() -> String {
    let quoted = |arg: String| if arg.contains(' ') { format!("'{arg}'") } else { arg };
    let rest = std::env::args().skip(1).map(quoted).collect::<Vec<_>>().join(" ");
    format!("gradproof {rest}")
}
