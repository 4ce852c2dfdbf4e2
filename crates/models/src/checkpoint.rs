//! Classifiers on disk: our own safetensors with a header that says everything, and whatever else
//! people save, for which the caller says what the file does not; ONNX files say more (`onnx`). The
//! rules are the same for every form: the network is under the one prefix that has all its names
//! (`find`), and what was done is said in notes.

use crate::{
    Classifier, Source,
    zoo::{self, Arch, Shape},
};
use anyhow::{Context, Result, bail, ensure};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};
use tch::{Device, Kind, Tensor};
use tensorfile::{TensorFile, Weights};

mod find;
mod fitting;
mod hugging_face;
mod onnx;
mod reason;
mod scale;
mod shape;

use find::Found;
pub use onnx::is_onnx;

/// What a user can say about a file; what its header says is used where this is silent.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// Architecture.
    pub arch: Option<String>,
    /// Normalisation, as [`zoo::Normalisation::parse`] reads it, where the file does not say;
    /// after `force:` also where it does.
    pub normalise: Option<String>,
    /// Which of several sets of weights in the file, such as `state_dict_ema`.
    pub entry: Option<String>,
    /// Side of the images, where the file does not say.
    pub size: Option<i64>,
}

/// A classifier read from a file, and what was found or assumed about it.
pub struct Loaded {
    /// The classifier, on the CPU.
    pub classifier: Classifier,
    /// The header's strings: dataset, training, seed, accuracies. Empty for foreign files.
    pub metadata: BTreeMap<String, String>,
    /// Sentences to show the user: what was taken, left out, found, assumed.
    pub notes: Vec<String>,
    /// Whether the file or the user said the size of the images.
    sized: bool,
    /// Where a graph came from.
    origin: Option<onnx::Origin>,
}

impl Loaded {
    /// Takes `image` (channels, height, width) as the network's, where nobody said the size and its
    /// tensors are the same for both.
    pub fn suit(&mut self, image: [i64; 3]) {
        let model = &mut self.classifier;
        let Source::Zoo(arch) = model.source else { return self.resize(image) };
        let wanted = Shape { image, ..model.shape };
        let free = !self.sized && image[0] == model.shape.image[0] && wanted != model.shape;
        if free && arch.check(&wanted).is_ok() && shape::agree(arch, &model.shape, &wanted) {
            model.shape = wanted;
            self.say_size(image);
        }
    }

    /// Whether the file or the user said the size of the images; else it is assumed.
    pub fn sized(&self) -> bool {
        self.sized
    }

    fn say_size(&mut self, [_, height, width]: [i64; 3]) {
        self.notes.push(format!(
            "the weights do not say the size of their images: {height}x{width}, as the data have"
        ));
    }

    /// The same of a graph.
    fn resize(&mut self, image: [i64; 3]) {
        let Some(origin) = self.origin.as_ref().filter(|_| !self.sized) else { return };
        if image == self.classifier.shape.image {
            return;
        }
        if let Some(mut again) = onnx::resized(origin, image) {
            again.classes = std::mem::take(&mut self.classifier.classes);
            self.classifier = again;
            self.say_size(image);
        }
    }
}

/// Reads the weights of a network from any [file](Weights::open). Errors: not such a file,
/// architecture unknown or not said, several sets of weights, a network that does not fit, tensors
/// that are no finite floats.
pub fn load(path: &Path, hints: &Hints) -> Result<Loaded> {
    if onnx::is_onnx(path) {
        return onnx::load(path, hints, None);
    }
    let mut file = opened(path, hints)?;
    load_from(&mut file, hints).with_context(|| format!("weights `{}`", path.display()))
}

/// The file, with what `config.json` beside it says where nobody else says the architecture.
fn opened(path: &Path, hints: &Hints) -> Result<Weights> {
    let mut file = Weights::open(path)?;
    if hints.arch.is_none() && !file.metadata.contains_key("arch") {
        let told = || format!("weights `{}`", path.display());
        let beside = hugging_face::header(path).with_context(told)?;
        if let Some(arch) = beside.get("arch") {
            file.notes.push(format!("`config.json` beside it says that it is a {arch}"));
        }
        file.metadata.extend(beside);
    }
    Ok(file)
}

fn load_from(file: &mut Weights, hints: &Hints) -> Result<Loaded> {
    let header = file.metadata.clone();
    let Some(name) = hints.arch.as_deref().or(header.get("arch").map(String::as_str)) else {
        bail!(reason::without_arch(file, hints));
    };
    let arch = zoo::arch(name)?;
    let names: BTreeSet<String> = file.names().map(str::to_owned).collect();
    let mut equal = |a: &str, b: &str| Ok(file.tensor(a)?.equal(&file.tensor(b)?));
    let mut found = find::find(&names, arch, hints.entry.as_deref(), &mut equal)?;
    let mut notes = file.notes.clone();
    let said = said(file, &mut found, &mut notes)?;
    let (shape, sized) = image(arch, &header, hints, &shape::shapes(file, &found.tensors))?;
    arch.check(&shape)?;
    notes.extend(told(&found));
    let published = (arch.normalise, &*format!(", as published for `{name}`"));
    let normalisation = scale::choose(published, shape.image[0], hints, said, &mut notes)?;
    let tensors = values(file, &found)?;
    let keys = tensors.keys().cloned().collect();
    let mut classifier = Classifier::of_names(arch, shape, normalisation, keys);
    if let Err(error) = classifier.params().fill(&tensors) {
        let reason = reason::of_misfit(file, &found, arch, hints.entry.as_deref());
        bail!("as `{name}`: {error:#}{reason}");
    }
    find::check_alone(&found)?;
    if let Some(classes) = header.get("classes") {
        classifier.classes = tensorfile::header::names(classes)?;
        let (found, wanted) = (classifier.classes.len(), shape.classes);
        ensure!(found as i64 == wanted, "{found} class names, {wanted} logits");
    }
    Ok(Loaded { classifier, metadata: header, notes, sized, origin: None })
}

/// The normalisation of the header, else the one stored beside the network.
fn said(
    file: &mut Weights,
    found: &mut Found,
    notes: &mut Vec<String>,
) -> Result<Option<scale::Said>> {
    if let Some(text) = file.metadata.get("normalise") {
        let channels =
            file.metadata.get("image").and_then(|image| image.split('x').next()?.parse().ok());
        let normalisation = zoo::Normalisation::parse(text, channels.unwrap_or(1))?;
        return Ok(Some(scale::Said { normalisation, by: "in its header".into() }));
    }
    let said = scale::stored(file, found)?;
    if let Some(said) = &said {
        let spelled = said.normalisation.spelled();
        notes.push(format!("the file has its normalisation: `{spelled}` ({})", said.by));
    }
    Ok(said)
}

/// The shape that the header says, else that of the tensors; and whether anybody said the size.
fn image(
    arch: &Arch,
    header: &BTreeMap<String, String>,
    hints: &Hints,
    given: &shape::Sizes,
) -> Result<(Shape, bool)> {
    let mut shape = shape::of_tensors(arch, given, hints.size);
    let Some(text) = header.get("image") else { return Ok((shape, hints.size.is_some())) };
    shape.image = sides(text)?;
    Ok((shape, true))
}

/// Channels, height and width as a header has them.
fn sides(text: &str) -> Result<[i64; 3]> {
    let sides: Result<Vec<i64>, _> = text.split('x').map(str::parse).collect();
    let sides = sides.ok().and_then(|s| <[i64; 3]>::try_from(s).ok());
    sides.with_context(|| format!("header `image` is `{text}`, not CxHxW"))
}

/// The network's tensors, by its own names.
fn values(file: &mut Weights, found: &Found) -> Result<BTreeMap<String, Tensor>> {
    let one = |(ours, theirs): (&String, &String)| Ok((ours.clone(), file.tensor(theirs)?));
    found.tensors.iter().map(one).collect()
}

/// What of a file was taken, and how, in sentences.
fn told(found: &Found) -> Vec<String> {
    let mut notes = vec![];
    let prefix = find::plain(&found.prefix);
    if !prefix.is_empty() {
        let averaged = if found.only_averaged { ", which are averaged ones" } else { "" };
        notes.push(format!("the weights under `{prefix}` are taken{averaged}"));
    }
    if !found.renamed.is_empty() {
        let form = |(theirs, ours): &(String, String)| match ours.is_empty() {
            true => format!("without `{theirs}`"),
            false => format!("`{theirs}` as `{ours}`"),
        };
        let rules = found.renamed.iter().map(form).collect::<Vec<_>>().join(", ");
        notes.push(format!("names are read {rules}"));
    }
    if let Some(entry) = &found.averaged {
        notes.push(format!("the file has averaged weights too: `--entry {entry}` takes them"));
    }
    if !found.left.is_empty() {
        notes.push(format!("left out: {}", reason::groups(&found.left, &found.prefix)));
    }
    notes
}

/// What a weights file holds, whatever network it is of.
pub struct Contents {
    /// Every tensor by its name in the file, or why it cannot be read.
    pub tensors: BTreeMap<String, Result<Tensor>>,
    /// The header's strings.
    pub metadata: BTreeMap<String, String>,
    /// What [`load`] would say: its notes, or its error.
    pub notes: Vec<String>,
}

/// Looks into a file. Where nobody says its architecture, the first that its tensors fit is meant.
pub fn contents(path: &Path, hints: &Hints) -> Result<Contents> {
    if onnx::is_onnx(path) {
        return onnx::contents(path, hints);
    }
    let mut file = opened(path, hints)?;
    let mut notes = vec![];
    let mut hints = hints.clone();
    if hints.arch.is_none() && !file.metadata.contains_key("arch") {
        let fitting = fitting::fitting(&mut file, hints.entry.as_deref());
        hints.arch = fitting.first().map(|name| (*name).to_owned());
        notes.extend(hints.arch.iter().map(|_| reason::proposal(&fitting)));
    }
    match load_from(&mut file, &hints) {
        Ok(loaded) => notes.extend(loaded.notes),
        Err(error) => notes.push(format!("it cannot be loaded: {error:#}")),
    }
    let names: Vec<String> = file.names().map(str::to_owned).collect();
    let tensors = names.into_iter().map(|name| (name.clone(), file.tensor(&name))).collect();
    Ok(Contents { tensors, metadata: file.metadata, notes })
}

/// Writes weights and buffers with a header that [`load`] needs no hint for; `about` adds to it
/// (dataset, training recipe, seed, measured accuracies). `kind` is how weights are stored; an ONNX
/// network is written as its own file with other weights, in the types that it has there. Errors:
/// another number of class names than of logits, tensors that are not finite or would not be in that
/// type, negative variances, weights of an ONNX file that cannot be overwritten.
pub fn save(
    path: &Path,
    classifier: &Classifier,
    kind: Kind,
    about: &BTreeMap<String, String>,
) -> Result<()> {
    let (names, wanted) = (&classifier.classes, classifier.shape.classes);
    ensure!(names.len() as i64 == wanted, "{} class names, {wanted} logits", names.len());
    let told = || format!("`{}` is not written", path.display());
    classifier.params().check().with_context(told)?;
    let metadata = header(classifier, about);
    if let Source::Graph(graph) = &classifier.source {
        return onnx::save(path, classifier, graph, metadata).with_context(told);
    }
    let mut tensors = classifier.params().tensors();
    for (name, tensor) in &mut tensors {
        let stored = tensor.to_device(Device::Cpu).to_kind(kind).contiguous();
        check_range(name, tensor, &stored).with_context(told)?;
        *tensor = stored;
    }
    TensorFile { tensors, metadata }.write(path)
}

/// An error where a finite value became infinite.
fn check_range(name: &str, from: &Tensor, to: &Tensor) -> Result<()> {
    let from = from.to_device(Device::Cpu);
    let lost = to.isinf().logical_and(&from.isfinite());
    if bool::try_from(lost.any())? {
        let value = from.masked_select(&lost).abs().max().double_value(&[]);
        bail!(
            "`{name}` has a value of {value:.6e}, which is too large for {:?}: store f32",
            to.kind()
        );
    }
    Ok(())
}

/// The header [`save`] writes.
pub fn header(
    classifier: &Classifier,
    about: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let image = classifier.shape.image.map(|n| n.to_string()).join("x");
    let mut metadata = about.clone();
    metadata.extend([
        ("arch".into(), classifier.source.name().into()),
        ("image".into(), image),
        ("classes".into(), tensorfile::header::join(&classifier.classes)),
        ("normalise".into(), classifier.normalisation.spelled()),
    ]);
    metadata
}
