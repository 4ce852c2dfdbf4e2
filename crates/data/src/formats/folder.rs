//! `folder:`: one folder of pictures per class, perhaps inside folders for training and testing. The first picture
//! says how large all are and whether they are grey.

use crate::{
    Dataset, Files, Images, Options, Split, dataset, names,
    picture::{self, Picture},
};
use anyhow::{Result, bail, ensure};
use image::ColorType;
use std::path::{Path, PathBuf};
use tch::Tensor;
use tensorfile::words::count;

mod flat;
mod layout;
mod listing;
mod save;

pub(crate) use flat::unlabelled;
pub(crate) use layout::{TEST, TRAIN};
pub(crate) use listing::{Entries, entries, is_junk};
pub(crate) use save::{check, save};

use layout::{Layout, Part};
use listing::{Passed, pictures};

/// Finds one split: images u8 [N, C, H, W], by class and then by file name, still in their files.
/// A folder without parts is read whole for either split.
pub(crate) fn load(path: &Path, options: &Options) -> Result<Dataset> {
    let layout = Layout::of(path)?;
    let part = layout.part(options.split)?;
    let classes = layout.classes(&part)?;
    let mut notes = layout.notes.clone();
    notes.extend(layout.empty(&part)?);
    notes.extend(names::twins(&classes));
    let mut passed = layout.passed;
    let Labelled { files, labels } = match &part {
        Part::Folders(root) => in_class_folders(root, &classes, &mut passed)?,
        Part::Annotated(root) => annotated(root, &classes, &mut passed)?,
    };
    notes.extend(passed.sentence());
    let files = Picture::files(files);
    notes.extend(approximations(&files)?);
    let name = path.canonicalize().unwrap_or(path.to_owned());
    let name = name.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let images = Images::Streamed(Files::new(files, options)?);
    let named = !is_counted(&classes);
    let whole = layout.test.is_none();
    let set = Dataset::new(name, images, Tensor::from_slice(&labels), classes);
    Ok(Dataset { named, whole, notes, ..set })
}

/// Picture files and the class of each.
#[derive(Default)]
struct Labelled {
    files: Vec<PathBuf>,
    labels: Vec<i64>,
}

/// The pictures below `root`, one folder a class. Errors: a class that has none.
fn in_class_folders(root: &Path, classes: &[String], passed: &mut Passed) -> Result<Labelled> {
    let mut found = Labelled::default();
    listing::entries(root)?.files.iter().for_each(|file| passed.file(file));
    let filled = listing::filled(root)?;
    for (label, class) in classes.iter().enumerate() {
        // A part for testing may lack classes.
        if !filled.contains(class) {
            continue;
        }
        let images = pictures(&root.join(class), passed)?;
        found.labels.resize(found.labels.len() + images.len(), label as i64);
        found.files.extend(images);
    }
    Ok(found)
}

/// The pictures of `root/images`, whose classes a table says (Tiny ImageNet). Errors: a line that names no class
/// or no file.
fn annotated(root: &Path, classes: &[String], passed: &mut Passed) -> Result<Labelled> {
    let (folder, table) = (root.join("images"), root.join(layout::ANNOTATIONS));
    let told = table.display();
    let mut pairs = vec![];
    for (file, class) in layout::annotations(&table)? {
        let Some(label) = classes.iter().position(|known| *known == class) else {
            bail!("`{told}` gives `{file}` the class `{class}`, which has no folder for training");
        };
        ensure!(
            folder.join(&file).exists(),
            "`{told}` names `{file}`, which is not in `{}`",
            folder.display()
        );
        pairs.push((label as i64, folder.join(file)));
    }
    pairs.sort();
    ensure!(!pairs.is_empty(), "`{told}` names no file");
    let (labels, files): (Vec<i64>, Vec<PathBuf>) = pairs.into_iter().unzip();
    passed.rest(&folder, &files)?;
    Ok(Labelled { files, labels })
}

/// Whether classes are called 0, 1, 2 …: numbers, which are no names.
fn is_counted(classes: &[String]) -> bool {
    classes.iter().enumerate().all(|(i, class)| *class == i.to_string())
}

/// What is lost of pictures like the first, and of those that may move.
pub(crate) fn approximations(files: &[Picture]) -> Result<Vec<String>> {
    let first = &files[0];
    let colours = picture::header(first)?.colours;
    let moving = files.iter().filter(|file| picture::moves(file)).count();
    let mut notes = vec![];
    if colours.bytes_per_pixel() / colours.channel_count() > 1 {
        notes.push(format!("`{first}` has 16 bits a channel, read as 8"));
    }
    let gif = matches!(first, Picture::File(path) if picture::ending(path) == "gif");
    if colours.has_alpha() && !gif {
        notes.push(format!("`{first}` has an alpha channel, which is left out"));
    }
    if moving > 0 {
        notes.push(format!("the first frame is read of {}", count(moving, "animated picture")));
    }
    Ok(notes)
}

/// Channels that pictures are read with which are stored like this.
pub(crate) fn channels_of(colours: ColorType) -> i64 {
    if colours.has_color() { 3 } else { 1 }
}

/// One picture as f32 [1, C, H, W] in [0, 1]; with a size, resized to that square. Its channels are those asked
/// for, or its own.
pub fn image(file: &Path, size: Option<i64>, channels: Option<i64>) -> Result<Tensor> {
    let options = Options { size, channels, memory: u64::MAX, ..Split::Test.into() };
    let alone = Files::new(Picture::files(vec![file.to_owned()]), &options)?;
    Ok(dataset::pixels(&alone.whole(|_| ())?))
}
