//! A model and the images it is asked about, loaded and checked before any work.

pub mod classes;
mod fit;
mod imagenet;
mod load;
mod maps;
pub mod shared;
pub mod threat;
mod trained;

pub use load::{load_models, methods};

use crate::{
    cli::{Common, Explained, Subject, TargetClass, named},
    results::{ModelCard, Origin},
    runtime::memory::Fits,
    runtime::ui::{self, Ui},
    runtime::workers::Crew,
    runtime::{arithmetic, device},
};
use anyhow::{Context, Result, ensure};
use classes::{Fitted, Known};
use data::{Dataset, Features};
use explain::{Batch, engine::limit::ChunkLimit};
use fit::check_shape;
use models::{
    Classifier, Precision, StandIn, Target, checkpoint,
    checkpoint::Hints,
    finite::{finite, logits_of},
    noise,
};
use std::{collections::BTreeMap, ffi::OsStr, path::Path, time::Instant};
use tch::{Device, Kind, Tensor};
use tensorfile::words::count;

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
    /// Type that its linear and convolution layers compute in.
    pub precision: Precision,
    /// What a batch and a pass hold.
    pub fits: Fits,
    seed: u64,
    /// Whether the weights name their classes, and whether these are words of a table.
    said: (bool, bool),
    /// The columns of the table that the weights were trained on.
    columns: Option<Features>,
    /// How many images a pass of predictions had memory for.
    limit: ChunkLimit,
    /// What the user is told before the work.
    pub notes: Vec<String>,
}

/// Loads weights, then data, and checks that they fit. Errors: data without labels.
pub fn load(args: &Subject, common: &Common, ui: &Ui) -> Result<Loaded> {
    load_any(args, common, ui, true)
}

/// The same where the predicted class may stand for the label of an image that has none.
pub fn load_with_or_without_labels(args: &Subject, common: &Common, ui: &Ui) -> Result<Loaded> {
    let mut loaded = load_any(args, common, ui, false)?;
    loaded.label()?;
    Ok(loaded)
}

fn load_any(args: &Subject, common: &Common, ui: &Ui, labels: bool) -> Result<Loaded> {
    let device = common.device.resolve()?;
    arithmetic::round_as(args.precision, device)?;
    ensure!(args.batch_size != Some(0), "`--batch-size 0`: at least one image is needed");
    let mut weights = weights(args, ui)?;
    let columns = Features::from_header(&weights.metadata)?;
    let mut options = args.reading.options(common);
    options.features.clone_from(&columns);
    let data = data::open(&args.data, &options)?;
    fit::check_labels(&data, args, labels)?;
    weights.suit(data.image_shape());
    check_shape(&weights.classifier, &data)?;
    weights.notes.extend(data.notes.iter().cloned());
    weights.notes.extend(device::passed_over(common.device, device));
    weights.notes.extend(trained::by_place(columns.as_ref(), &data));
    weights.notes.extend(trained::on_these(&weights.metadata, (&args.data, &args.reading), &data));
    let data = fit::labelled(data, &mut weights, args)?;
    let data = in_memory(data.slice(args.offset, args.limit)?, ui)?.to_device(device);
    Ok(ready(args, weights, data, device, columns))
}

/// Loads other weights for the images of `first`, and checks that they fit: classes in the same
/// order, columns of the same scale.
pub fn load_beside(first: (&str, &Loaded), args: &Subject, ui: &Ui) -> Result<Loaded> {
    let file = args.weights.to_string_lossy();
    let told = || format!("weights `{file}`");
    let mut weights = weights(args, ui)?;
    let columns = Features::from_header(&weights.metadata)?;
    let data = first.1.data.slice(0, None)?;
    weights.suit(data.image_shape());
    check_shape(&weights.classifier, &data).with_context(told)?;
    let known = Known::of(&weights);
    let note = classes::same((first.0, first.1.known()), (&file, known))?;
    if let (Some(a), Some(b)) = (&first.1.columns, &columns) {
        ensure!(
            a.same_numbers(b),
            "`{}` and `{file}` were trained on other columns, or on columns of another scale; ask \
             about them one by one",
            first.0
        );
    }
    // Names that the data gave to the classes of the first weights hold for these too.
    let Fitted { data: theirs, .. } = classes::fit(first.1.data.slice(0, None)?, known, &[])?;
    ensure!(theirs.labels == data.labels, "`{file}` has the classes of the data in another order");
    weights.notes.extend(note);
    Ok(ready(args, weights, data, first.1.device, columns))
}

fn weights(args: &Subject, ui: &Ui) -> Result<checkpoint::Loaded> {
    let (arch, normalise) = (args.arch.clone(), args.normalise.clone());
    let made = args.reading.preprocess.map(|_| data::Preprocess::SIDE.into());
    let size = args.reading.size.or(made);
    let hints = Hints { arch, normalise, entry: args.entry.clone(), size };
    let mut loaded = checkpoint::load(Path::new(named(&args.weights.to_string_lossy()).1), &hints)?;
    for (key, value) in &loaded.metadata {
        ui.detail(&format!("  {key}: {}", value.trim().replace('\n', "\n    ")));
    }
    if let Some(classes) = &args.classes {
        classes::name(&mut loaded, classes)?;
    }
    Ok(loaded)
}

fn ready(
    args: &Subject,
    loaded: checkpoint::Loaded,
    data: Dataset,
    device: Device,
    columns: Option<Features>,
) -> Loaded {
    let known = Known::of(&loaded);
    let said = (known.said, known.words);
    let model = loaded.classifier;
    let device_name = device::describe(device);
    let mut notes = loaded.notes;
    let images = count(data.len(), "image");
    notes.push(format!("{} with {images} of {}, {device_name}", model.source.name(), data.title()));
    let card = card(args, &model, &loaded.metadata);
    let model = model.to_device(device, !args.no_fuse);
    let model = if args.no_fuse { model.frozen() } else { model.folded(args.precision) };
    let stand_in = StandIn { softplus: args.softplus, smoothing: args.smoothed.clone() };
    notes.extend(asked(&stand_in));
    let model = model.asked_through(stand_in);
    let mut fits = Fits::of(&model).for_images(data.len());
    fits.batch = args.batch_size.unwrap_or(fits.batch);
    let (clock, seed, precision) = (Instant::now(), args.seed, args.precision);
    let limit = ChunkLimit::new(ui::complain);
    Loaded { model, data, card, clock, device, precision, limit, fits, seed, said, columns, notes }
}

/// What the user is told of a stand-in.
fn asked(stand_in: &StandIn) -> Option<String> {
    let softplus = stand_in.softplus.map(|beta| format!("softplus, beta {beta}, for every ReLU"));
    let mean = stand_in.smoothing.as_ref().map(|smoothing| {
        format!("the mean of {} copies with noise of sigma {}", smoothing.samples, smoothing.sigma)
    });
    let all: Vec<String> = mean.into_iter().chain(softplus).collect();
    (!all.is_empty()).then(|| format!("in place of the network: {}", all.join(", ")))
}

/// The images of class folders read into memory, where they fit, with a bar.
pub fn in_memory(data: Dataset, ui: &Ui) -> Result<Dataset> {
    let bar = ui.bar(data.len() as u64, "reading");
    let data = data.in_memory(|n| bar.inc(n))?;
    bar.finish_and_clear();
    Ok(data)
}

fn card(args: &Subject, model: &Classifier, header: &BTreeMap<String, String>) -> ModelCard {
    let said = |key: &str| header.get(key).cloned().unwrap_or("unknown".into());
    ModelCard {
        name: match named(&args.weights.to_string_lossy()) {
            (Some(name), _) => name.to_owned(),
            (None, path) => short_name(Path::new(path)),
        },
        arch: model.source.name().into(),
        training: said("training"),
        dataset: said("dataset"),
        classes: model.classes.clone(),
    }
}

/// The file's name without its ending; of the weights of a run the folder's, and that with `-best`.
pub fn short_name(weights: &Path) -> String {
    let word = |part: Option<&OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let stem = word(weights.file_stem());
    match (weights.parent().and_then(Path::file_name), stem.as_str()) {
        (Some(run), "last") => word(Some(run)),
        (Some(run), "best") => word(Some(run)) + "-best",
        _ => stem,
    }
}

impl Loaded {
    /// Tells the user what the work is about: after the last check, as an error is one line.
    pub fn announce(&self, ui: &Ui) {
        for note in &self.notes {
            ui.note(note);
        }
        let Fits { chunk, batch, .. } = self.fits;
        let Crew { workers, threads } = self.crew(0, batch, chunk);
        ui.detail(&format!(
            "  batches of {}; {chunk} fit into a pass; {} of {}",
            count(batch, "image"),
            count(workers, "worker"),
            count(threads, "thread")
        ));
    }

    /// How results made until now came to be.
    pub fn origin(&self) -> Origin {
        Origin {
            command: command_line(),
            version: env!("CARGO_PKG_VERSION").into(),
            commit: env!("GRADPROOF_COMMIT").into(),
            device: device::describe(self.device),
            precision: registry::word(&self.precision),
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
            ("precision", origin.precision),
            ("seed", origin.seed.to_string()),
            ("model", self.card.name.clone()),
            ("arch", self.card.arch.clone()),
            ("classes", tensorfile::header::join(&self.card.classes)),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .chain(self.data.features.iter().flat_map(Features::to_header))
        .collect()
    }

    /// What is explained for the images `x` with labels `y`, of which `first` is the first. Errors: a
    /// logit that is not finite.
    pub fn batch(&self, how: &Explained, x: &Tensor, y: &Tensor, first: u64) -> Result<Batch> {
        self.explained(how, (x, y), self.keys(first, y.size()[0] as u64), &|i| {
            self.place(first + i)
        })
    }

    /// What is explained for the images with these numbers among those asked for.
    pub fn pick(&self, how: &Explained, rows: &[u64]) -> Result<Batch> {
        let index: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
        let (x, y) = self.data.batch(&index)?;
        let keys = rows.iter().flat_map(|&row| self.keys(row, 1)).collect();
        self.explained(how, (&x, &y), keys, &|i| self.place(rows[i as usize]))
    }

    /// What is explained for images with labels and keys. Errors: a logit that is not finite, of the
    /// image that `told` names.
    pub fn explained(
        &self,
        how: &Explained,
        (x, y): (&Tensor, &Tensor),
        keys: Vec<u64>,
        told: &dyn Fn(u64) -> String,
    ) -> Result<Batch> {
        let score = how.score;
        let class = match &how.target {
            TargetClass::Predicted => self.predict(x, told)?.0,
            TargetClass::Label => y.shallow_clone(),
            TargetClass::Class(class) => y.full_like(self.class(class)?),
        };
        let target = Target { class, score };
        let limit = ChunkLimit::new(ui::complain);
        Ok(Batch { x: x.shallow_clone(), target, keys, chunk: self.chunk(how.chunk), limit })
    }

    /// How far the inputs of the network's nonlinearities spread over the first of the images asked
    /// for, a few at a time.
    pub fn spreads(&self) -> Result<Vec<f64>> {
        const IMAGES: i64 = 64;
        const PASS: usize = 8;
        let all: Vec<i64> = (0..IMAGES.min(self.data.len() as i64)).collect();
        let batches = all.chunks(PASS).map(|rows| Ok(self.data.batch(rows)?.0));
        Ok(models::spreads(&self.model, batches.collect::<Result<Vec<_>>>()?))
    }

    /// Images a pass: those asked for, or as many as fit.
    pub fn chunk(&self, asked: Option<u32>) -> i64 {
        asked.map_or(self.fits.chunk, i64::from)
    }

    /// Seeds of what is drawn for the `n` images from the `first` of those asked for on: the same
    /// for an image whatever part of the data was asked for.
    pub fn keys(&self, first: u64, n: u64) -> Vec<u64> {
        let places = self.places(first, n);
        places.into_iter().map(|image| noise::key(self.seed, image, 0)).collect()
    }

    /// The places in the data of the `n` images from the `first` of those asked for on.
    pub fn places(&self, first: u64, n: u64) -> Vec<u64> {
        let places = self.data.places.narrow(0, first as i64, n as i64);
        let places: Vec<i64> = Vec::try_from(&places).expect("places are i64");
        places.into_iter().map(|place| place as u64).collect()
    }

    /// Errors where a pass holds no image or `--target` is neither a word nor a class of the model.
    pub fn check_target(&self, explained: &Explained) -> Result<()> {
        ensure!(explained.chunk != Some(0), "`--chunk 0`: at least one image is needed");
        match &explained.target {
            TargetClass::Label => {
                let told =
                    "`--target label`: the pictures have no labels; leave it out, or name a class";
                ensure!(self.data.labelled, told);
                Ok(())
            }
            TargetClass::Predicted => Ok(()),
            TargetClass::Class(class) => self.class(class).map(|_| ()),
        }
    }

    /// The classes of the model.
    pub fn known(&self) -> Known<'_> {
        Known { names: &self.card.classes, said: self.said.0, words: self.said.1 }
    }

    fn class(&self, text: &str) -> Result<i64> {
        let told = || format!("`--target {text}`: write `predicted`, `label` or a class");
        Ok(self.known().number(text).with_context(told)? as i64)
    }

    /// What is said of the logits of image number `image` of those asked for.
    pub fn place(&self, image: u64) -> String {
        format!("`{}`: {}", self.card.name, logits_of(self.data.place(image), &self.data.name))
    }

    /// Predicted classes i64 `[N]` and their softmax probabilities f32 `[N]`. Errors: a logit that is
    /// not finite, of the image that `told` names.
    pub fn predict(&self, x: &Tensor, told: &dyn Fn(u64) -> String) -> Result<(Tensor, Tensor)> {
        let logits = explain::engine::logits(&self.model, x, &self.limit);
        finite(&logits, told)?;
        let (confidence, class) = logits.softmax(1, Kind::Float).max_dim(1, false);
        Ok((class, confidence))
    }
}

/// As typed, without `--force`, which changes no byte of a result; arguments with spaces are quoted.
fn command_line() -> String {
    let quoted = |arg: String| if arg.contains(' ') { format!("'{arg}'") } else { arg };
    let typed = std::env::args().skip(1).filter(|arg| arg != "--force");
    let rest = typed.map(quoted).collect::<Vec<_>>().join(" ");
    format!("gradproof {rest}")
}
