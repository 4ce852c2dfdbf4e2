//! Classifiers from ONNX files: the graph is the network, and says its shape itself.

use super::{
    Contents, Hints, Loaded,
    scale::{self, Said},
};
use crate::{
    Classifier,
    graph::{self, Graph, Read},
    zoo::Normalisation,
};
use anyhow::{Context, Result, bail, ensure};
use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    rc::Rc,
};
use tensorfile::{onnx::File, words::count};

/// For networks that want pixels from 0 to 255.
const BYTES: &str = "0/0.00392156862745098";

/// What the strings of a file that concern us begin with.
const OWN: &str = "gradproof.";

/// What a graph was read from, to read it for another size of images.
pub(super) struct Origin {
    path: PathBuf,
    hints: Hints,
}

/// Whether a file is ONNX, by its first bytes.
pub fn is_onnx(path: &Path) -> bool {
    let mut head = [0; 16];
    let read = fs::File::open(path).and_then(|mut file| file.read(&mut head));
    read.is_ok_and(|n| tensorfile::onnx::is_onnx(&head[..n]))
}

/// Reads a classifier; `image` is the shape of the data, where the file leaves that open.
pub(super) fn load(path: &Path, hints: &Hints, image: Option<[i64; 3]>) -> Result<Loaded> {
    let file = Rc::new(File::open(path)?);
    load_from(&file, path, hints, image).with_context(|| format!("weights `{}`", path.display()))
}

fn load_from(
    file: &Rc<File>,
    path: &Path,
    hints: &Hints,
    image: Option<[i64; 3]>,
) -> Result<Loaded> {
    if let Some(arch) = &hints.arch {
        bail!("an ONNX file is its own architecture: `{arch}` cannot be made of it");
    }
    if let Some(entry) = &hints.entry {
        bail!("an ONNX file has one set of weights, no `{entry}`");
    }
    let strings = file.metadata();
    let image = match (image, hints.size, strings.get("gradproof.image")) {
        (None, None, Some(said)) => Some(super::sides(said)?),
        _ => image,
    };
    let mut read = graph::read(file, image, hints.size)?;
    let own =
        |(key, value): (&String, &String)| Some((key.strip_prefix(OWN)?.to_owned(), value.clone()));
    let mut metadata: BTreeMap<String, String> = strings.iter().filter_map(own).collect();
    let normalisation = normalisation(&mut read, &strings, hints)?;
    let Read { graph, shape, sized, notes, .. } = read;
    let mut classifier = Classifier::of_graph(graph.clone(), shape, normalisation);
    classifier.params().fill(&graph.values())?;
    graph.try_linear(&classifier.frozen(), shape.image);
    if let Some(names) = classes(&strings)? {
        let (found, wanted) = (names.len(), shape.classes);
        ensure!(found as i64 == wanted, "{found} class names, {wanted} logits");
        metadata.insert("classes".into(), tensorfile::header::join(&names));
        classifier.classes = names;
    }
    let origin = Some(Origin { path: path.to_owned(), hints: hints.clone() });
    Ok(Loaded { classifier, metadata, notes, sized, origin })
}

/// Writes the graph's file with the classifier's weights, and what `header` says as its strings.
pub(super) fn save(
    path: &Path,
    classifier: &Classifier,
    graph: &Graph,
    mut header: BTreeMap<String, String>,
) -> Result<()> {
    header.remove("arch");
    header.insert("normalise".into(), before(classifier, graph)?.spelled());
    let own = header.iter().map(|(key, value)| (format!("{OWN}{key}"), value.as_str()));
    let own: Vec<(String, &str)> = own.collect();
    let strings: Vec<(&str, &str)> =
        own.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    graph.write(path, &classifier.params().tensors(), &strings)
}

/// What is done to pixels before the file's own input.
fn before(classifier: &Classifier, graph: &Graph) -> Result<Normalisation> {
    let all = &classifier.normalisation;
    let Some(own) = graph.own() else { return Ok(all.clone()) };
    let std: Vec<f64> = all.std.iter().zip(&own.std).map(|(all, own)| all / own).collect();
    let mean = all.mean.iter().zip(&own.mean).zip(&std).map(|((all, own), std)| all - own * std);
    Normalisation::new(mean.collect(), std)
}

/// The classifier again for images of another shape, where the graph takes them.
pub(super) fn resized(origin: &Origin, image: [i64; 3]) -> Option<Classifier> {
    let again = load(&origin.path, &origin.hints, Some(image)).ok()?.classifier;
    (again.shape.image == image).then_some(again)
}

/// What comes before the graph, and what the graph began with.
fn normalisation(
    read: &mut Read,
    strings: &BTreeMap<String, String>,
    hints: &Hints,
) -> Result<Normalisation> {
    let channels = read.shape.image[0];
    let parse = |text: &str| Normalisation::parse(text, channels);
    let said = |text: &str, by: &str| Ok(Said { normalisation: parse(text)?, by: by.into() });
    let range = strings.get("Image.NominalPixelRange").map(String::as_str);
    let said: Result<Option<Said>> = match (strings.get("gradproof.normalise"), range) {
        (Some(text), _) => Some(said(text, "in its metadata")),
        (_, Some("NominalRange_0_255")) => Some(said(BYTES, "its range of pixels")),
        (_, Some("Normalized_1_1")) => Some(said("0.5/0.5", "its range of pixels")),
        _ => None,
    }
    .transpose();
    let large =
        |n: &Normalisation| n.mean.iter().any(|m| *m > 1.) || n.std.iter().any(|s| *s > 16.);
    let assumed = if read.bytes || read.graph.own().is_some_and(large) { BYTES } else { "none" };
    let before = match (said?, &hints.normalise, read.graph.own()) {
        // What the graph begins with is told below.
        (None, None, Some(_)) => parse(assumed)?,
        (said, ..) => scale::choose((assumed, ""), channels, hints, said, &mut read.notes)?,
    };
    let Some(own) = read.graph.own() else { return Ok(before) };
    let both = |f: &dyn Fn(f64, f64, f64, f64) -> f64| {
        let pairs = before.mean.iter().zip(&before.std).zip(own.mean.iter().zip(&own.std));
        pairs.map(|((m, s), (own_m, own_s))| f(*m, *s, *own_m, *own_s)).collect()
    };
    let mean = both(&|m, s, own_m, _| m + own_m * s);
    let all = Normalisation::new(mean, both(&|_, s, _, own_s| s * own_s))?;
    read.notes.push(format!("the graph normalises: pixels from 0 to 1 by `{}`", all.spelled()));
    Ok(all)
}

/// The names of classes that a file has: ours, or a dictionary as ultralytics writes it.
fn classes(strings: &BTreeMap<String, String>) -> Result<Option<Vec<String>>> {
    if let Some(names) = strings.get("gradproof.classes") {
        return Ok(Some(tensorfile::header::names(names)?));
    }
    Ok(strings.get("names").and_then(|text| dictionary(text)))
}

/// `{0: 'cat', 1: 'dog'}` as a list; none of another form.
fn dictionary(text: &str) -> Option<Vec<String>> {
    let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    let mut names = vec![];
    while !rest.is_empty() {
        let (key, value) = rest.split_once(':')?;
        (key.trim().trim_matches(['"', '\'']).parse() == Ok(names.len())).then_some(())?;
        let value = value.trim_start();
        let quote = value.chars().next().filter(|c| ['"', '\''].contains(c))?;
        let (name, after) = value[1..].split_once(quote)?;
        names.push(name.to_owned());
        rest = after.trim_start().trim_start_matches(',').trim_start();
    }
    (!names.is_empty()).then_some(names)
}

/// What an ONNX file holds: its stored tensors, its strings, and what [`load`] would say.
pub(super) fn contents(path: &Path, hints: &Hints) -> Result<Contents> {
    let file = Rc::new(File::open(path)?);
    let each: Vec<String> =
        file.operators().iter().map(|(name, n)| format!("{name} {n}")).collect();
    let mut notes = vec![format!("ONNX, opset {}: {}", file.opset(), each.join(", "))];
    match load_from(&file, path, hints, None) {
        Ok(Loaded { classifier, notes: said, .. }) => {
            let [c, h, w] = classifier.shape.image;
            let classes = count(classifier.shape.classes, "class");
            let params = count(classifier.params().count(), "parameter");
            notes.push(format!("images {c}x{h}x{w}, {classes}, {params}"));
            let taps = crate::Model::taps(&classifier).join("`, `");
            let taps = if taps.is_empty() { "none".into() } else { format!("`{taps}`") };
            notes.push(format!("taps for Grad-CAM: {taps}"));
            notes.extend(said);
        }
        Err(error) => notes.push(format!("it cannot be loaded: {error:#}")),
    }
    let stored = file.graph().initializer.iter();
    let tensors = stored.map(|t| (t.name().to_owned(), file.tensor(t))).collect();
    Ok(Contents { tensors, metadata: file.metadata(), notes })
}
