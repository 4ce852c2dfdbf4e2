//! Classifiers on disk: our own safetensors with a header that says everything, and foreign
//! safetensors or PyTorch files, for which the caller says what the file does not.

use crate::{
    Classifier,
    zoo::{self, Normalisation, Shape},
};
use anyhow::{Context, Result, bail, ensure};
use std::{collections::BTreeMap, fs::File, io::Read as _, path::Path};
use tch::{Device, Kind};
use tensorfile::TensorFile;

/// What a user can say about a file; what its header says is used where this is silent.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// Architecture.
    pub arch: Option<String>,
    /// Normalisation, as [`Normalisation::parse`] reads it.
    pub normalise: Option<String>,
}

/// A classifier read from a file, and what was found or assumed about it.
pub struct Loaded {
    /// The classifier, on the CPU.
    pub classifier: Classifier,
    /// The header's strings: dataset, training, seed, accuracies. Empty for foreign files.
    pub metadata: BTreeMap<String, String>,
    /// Sentences to show the user, such as an assumed normalisation.
    pub notes: Vec<String>,
}

/// Reads a `.safetensors`, `.pt`, `.pth` or `.th` file, recognised by content. Errors: not such a
/// file, truncated, architecture unknown or not said, and every key problem in one message.
pub fn load(path: &Path, hints: &Hints) -> Result<Loaded> {
    let told = || format!("weights `{}`", path.display());
    let mut file = read(path)?;
    let header = file.file.metadata.clone();
    let name = hints.arch.as_deref().or(header.get("arch").map(String::as_str));
    let Some(name) = name else {
        let known = zoo::ARCHS.iter().map(|a| a.name).collect::<Vec<_>>().join(", ");
        bail!("{}: the file does not say its architecture; add `--arch NAME` ({known})", told());
    };
    let arch = zoo::arch(name).with_context(told)?;
    let shape = shape(arch, &header, &file.file).with_context(told)?;
    arch.check(&shape).with_context(told)?;
    let mut notes = vec![];
    let normalisation = normalisation(arch, &shape, hints, &mut file, &mut notes)?;
    let mut classifier = Classifier::blank(arch, shape, normalisation, Device::Cpu);
    let tensors = &mut file.file.tensors;
    tensors.retain(|name, _| !name.ends_with("num_batches_tracked"));
    classifier.params().fill(tensors).with_context(|| format!("{} as `{name}`", told()))?;
    if let Some(classes) = header.get("classes") {
        classifier.classes = tensorfile::header::names(classes);
        let (found, wanted) = (classifier.classes.len(), shape.classes);
        ensure!(found as i64 == wanted, "{}: {found} class names, {wanted} logits", told());
    }
    Ok(Loaded { classifier, metadata: header, notes })
}

struct Read {
    file: TensorFile,
    normalisation: Option<Normalisation>,
}

/// The tensors and header strings of any weights file, whatever network it is of.
pub fn contents(path: &Path) -> Result<(BTreeMap<String, tch::Tensor>, BTreeMap<String, String>)> {
    let Read { file, .. } = read(path)?;
    Ok((file.tensors, file.metadata))
}

fn read(path: &Path) -> Result<Read> {
    let mut head = vec![];
    let told = || format!("cannot read `{}`", path.display());
    File::open(path).and_then(|f| f.take(8).read_to_end(&mut head)).with_context(told)?;
    if tensorfile::torch::is_torch(&head) {
        let state = tensorfile::torch::read(path)?;
        let normalisation = match state.normalisation {
            Some((mean, std)) => Some(Normalisation::new(mean, std)?),
            None => None,
        };
        let file = TensorFile { tensors: state.tensors, metadata: BTreeMap::new() };
        return Ok(Read { file, normalisation });
    }
    Ok(Read { file: TensorFile::read(path)?, normalisation: None })
}

/// From the header where it says, else the published image shape and as many classes as the last
/// layer has rows.
fn shape(arch: &zoo::Arch, header: &BTreeMap<String, String>, file: &TensorFile) -> Result<Shape> {
    let mut shape = arch.shape;
    let last = ["linear.bias", "fc.bias", "classifier.bias", "mlp_head.1.bias", "fc2.bias"];
    if let Some(bias) = last.iter().find_map(|name| file.tensors.get(*name)) {
        shape.classes = bias.numel() as i64;
    }
    if let Some(text) = header.get("image") {
        let sides: Result<Vec<i64>, _> = text.split('x').map(str::parse).collect();
        let sides = sides.ok().and_then(|s| <[i64; 3]>::try_from(s).ok());
        shape.image = sides.with_context(|| format!("header `image` is `{text}`, not CxHxW"))?;
    }
    Ok(shape)
}

fn normalisation(
    arch: &zoo::Arch,
    shape: &Shape,
    hints: &Hints,
    file: &mut Read,
    notes: &mut Vec<String>,
) -> Result<Normalisation> {
    let header = file.file.metadata.get("normalise");
    if let Some(text) = hints.normalise.as_ref().or(header) {
        return Normalisation::parse(text, shape.image[0]);
    }
    if let Some(found) = file.normalisation.take() {
        let (channels, means) = (shape.image[0], found.mean.len());
        ensure!(means as i64 == channels, "the file has {means} means for {channels} channels");
        return Ok(found);
    }
    notes.push(format!(
        "the file does not say its normalisation: assuming `{}`, as published for `{}` \
         (`--normalise` says otherwise)",
        arch.normalise, arch.name
    ));
    Normalisation::parse(arch.normalise, shape.image[0])
}

/// Writes weights and buffers with a header that [`load`] needs no hint for; `about` adds to it
/// (dataset, training recipe, seed, measured accuracies). `kind` is how weights are stored.
/// Errors: another number of class names than of logits.
pub fn save(
    path: &Path,
    classifier: &Classifier,
    kind: Kind,
    about: &BTreeMap<String, String>,
) -> Result<()> {
    let (names, wanted) = (&classifier.classes, classifier.shape.classes);
    ensure!(names.len() as i64 == wanted, "{} class names, {wanted} logits", names.len());
    let mut tensors = classifier.params().tensors();
    for tensor in tensors.values_mut() {
        *tensor = tensor.to_device(Device::Cpu).to_kind(kind).contiguous();
    }
    TensorFile { tensors, metadata: header(classifier, about) }.write(path)
}

/// The header [`save`] writes.
pub fn header(
    classifier: &Classifier,
    about: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let image = classifier.shape.image.map(|n| n.to_string()).join("x");
    let mut metadata = about.clone();
    metadata.extend([
        ("arch".into(), classifier.arch.name.into()),
        ("image".into(), image),
        ("classes".into(), tensorfile::header::join(&classifier.classes)),
        ("normalise".into(), classifier.normalisation.spelled()),
    ]);
    metadata
}
