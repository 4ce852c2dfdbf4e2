//! A set of labelled images, or rows of a table: moved, cut, gathered and saved whole.

pub(crate) mod augment;
pub(crate) mod batches;
pub(crate) mod describe;
pub(crate) mod fitted;
pub(crate) mod holdout;
pub(crate) mod images;
pub(crate) mod keyed;
pub(crate) mod overlap;
pub(crate) mod stream;

use crate::{Features, Images, folder};
use anyhow::{Context, Result, ensure};
use std::path::Path;
use tch::{Device, Kind, Tensor};
use tensorfile::upload;
use tensorfile::{TensorFile, header, words::count};

/// Labelled images. The tensors lie on one device, the CPU after loading, and so do batches.
#[derive(Debug)]
pub struct Dataset {
    /// What the set is called in logs and file headers.
    pub name: String,
    /// The pixels.
    pub images: Images,
    /// The class number of each image, i64 `[N]`, 0 to the number of classes − 1.
    pub labels: Tensor,
    /// The name of each class.
    pub classes: Vec<String>,
    /// Whether the labels say anything: pictures without a class have 0 for one.
    pub labelled: bool,
    /// Whether the data say these names; where they do not, classes are called by their numbers.
    pub named: bool,
    /// Whether this is all of the data, which have no parts for training and testing.
    pub whole: bool,
    /// The place of each image in the set as it was opened, i64 `[N]`: what is drawn for an image
    /// depends on it and not on which other images were asked for.
    pub places: Tensor,
    /// Sentences for the user, such as how many files were passed over.
    pub notes: Vec<String>,
    /// The pixels that make the class, bool [N, H, W], where they are known.
    pub masks: Option<Tensor>,
    /// What the channels of a table are; none for images.
    pub features: Option<Features>,
}

impl Dataset {
    /// A part of data whose classes have names; without masks, columns or notes.
    pub fn new(
        name: impl Into<String>,
        images: impl Into<Images>,
        labels: Tensor,
        classes: Vec<String>,
    ) -> Self {
        let places = Tensor::arange(labels.size()[0], (Kind::Int64, labels.device()));
        Dataset {
            name: name.into(),
            images: images.into(),
            labels,
            classes,
            labelled: true,
            named: true,
            whole: false,
            places,
            notes: vec![],
            masks: None,
            features: None,
        }
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.labels.size()[0] as usize
    }

    /// Whether there are none (no loader returns such a set).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The place in the set as it was opened of the image with this number.
    pub fn place(&self, number: u64) -> u64 {
        self.places.int64_value(&[number as i64]) as u64
    }

    /// Its name, and whether it is read as it is used.
    pub fn title(&self) -> String {
        match self.images {
            Images::Held(_) => self.name.clone(),
            Images::Streamed(_) => format!("{}, read as they are used", self.name),
        }
    }

    /// Errors for a table, whose columns have no range; `what` is done to pixels in [0, 1].
    pub fn check_pixels(&self, what: &str) -> Result<()> {
        let (name, table) = (&self.name, self.features.is_some());
        ensure!(!table, "{what} is for images, with pixels in [0, 1]; `{name}` is a table");
        Ok(())
    }

    /// Channels, height and width of every image.
    pub fn image_shape(&self) -> [i64; 3] {
        self.images.shape()
    }

    /// The same set on `device`.
    pub fn to_device(self, device: Device) -> Self {
        Dataset {
            images: self.images.to_device(device),
            labels: self.labels.to_device(device),
            places: self.places.to_device(device),
            masks: self.masks.map(|masks| masks.to_device(device)),
            ..self
        }
    }

    /// Images of class folders read into memory, where they take no more than [`crate::Options::memory`]; any
    /// other set as it is. `tick` is called with the images of each part that was read. Errors: a file that is
    /// no image, or has another size than the first.
    pub fn in_memory(self, tick: impl Fn(u64)) -> Result<Self> {
        match &self.images {
            Images::Streamed(files) if files.fit() => {
                Ok(Dataset { images: files.whole(tick)?.into(), ..self })
            }
            _ => Ok(self),
        }
    }

    /// The images from `offset` on, at most `limit` of them, as a view of the same memory.
    /// Errors where nothing would be left.
    pub fn slice(&self, offset: usize, limit: Option<usize>) -> Result<Dataset> {
        let n = self.len();
        ensure!(
            offset < n,
            "offset {offset} is past the last of the {} of `{}`",
            count(n, "image"),
            self.name
        );
        ensure!(limit != Some(0), "a limit of 0 leaves no image of `{}`", self.name);
        let count = limit.unwrap_or(n).min(n - offset) as i64;
        Ok(self.with(|tensor| tensor.narrow(0, offset as i64, count)))
    }

    /// The images in these rows, i64, in that order.
    pub(crate) fn rows(&self, rows: &Tensor) -> Dataset {
        self.with(|tensor| tensor.index_select(0, rows))
    }

    /// The same set of other images: `pick` takes their rows.
    fn with(&self, pick: impl Fn(&Tensor) -> Tensor) -> Dataset {
        Dataset {
            name: self.name.clone(),
            images: self.images.with(&pick),
            labels: pick(&self.labels),
            classes: self.classes.clone(),
            labelled: self.labelled,
            named: self.named,
            whole: self.whole,
            places: pick(&self.places),
            notes: self.notes.clone(),
            masks: self.masks.as_ref().map(&pick),
            features: self.features.clone(),
        }
    }

    /// The images of one class, which `class` names or numbers. Errors: no such class, or no image.
    pub fn filter_class(&self, class: &str) -> Result<Dataset> {
        let named = self.classes.iter().position(|name| name == class);
        let number = named.or(class.parse().ok().filter(|&number| number < self.classes.len()));
        let known = || format!("no class `{class}`; known: {}", self.classes.join(", "));
        self.of_number(number.with_context(known)?)
    }

    /// The images of the class with this number. Errors: there are none.
    pub fn of_number(&self, class: usize) -> Result<Dataset> {
        let rows = self.labels.eq(class as i64).nonzero().squeeze_dim(1);
        let (name, class) = (&self.name, &self.classes[class]);
        ensure!(rows.numel() > 0, "`{name}` has no image of the class `{class}`");
        Ok(self.rows(&rows))
    }

    /// The same images for a network whose classes are called `classes`: the class i is its class `to[i]`.
    pub fn relabelled(self, to: &[i64], classes: Vec<String>) -> Dataset {
        let to = upload(to, self.labels.device());
        Dataset { labels: to.index_select(0, &self.labels), classes, named: true, ..self }
    }

    /// Gathers the images with these numbers: pixels f32 [B, C, H, W], those of images in [0, 1], and
    /// labels i64 `[B]`. Errors: a file that is no image.
    pub fn batch(&self, numbers: &[i64]) -> Result<(Tensor, Tensor)> {
        let images = self.images.batches(vec![numbers.to_vec()]).next().expect("one batch")?;
        Ok((pixels(&images), self.labels_of(numbers)))
    }

    /// The same images with these labels, of classes that are called `classes`.
    pub fn labelled_as(self, labels: Tensor, classes: Vec<String>) -> Dataset {
        Dataset { labels, classes, named: true, ..self }
    }

    /// The labels of the images with these numbers.
    pub(crate) fn labels_of(&self, numbers: &[i64]) -> Tensor {
        self.labels.index_select(0, &upload(numbers, self.labels.device()))
    }

    /// What is said of [`Dataset::save_folder`] before any image is read: classes without images get no folder.
    /// Errors: a table, a class that is no name of a folder, images of neither one nor three channels.
    pub fn check_folder(&self) -> Result<Option<String>> {
        folder::check(self)
    }

    /// Writes the images as png files, `CLASS/NUMBER.png`, which `folder:` reads, grey ones as grey; f32 is rounded
    /// to 8 bits. `tick` is called after each. Errors: those of [`Dataset::check_folder`].
    pub fn save_folder(&self, path: &Path, tick: impl Fn()) -> Result<()> {
        folder::save(self, path, &tick)
    }

    /// Writes the set as a `tensors:` file: `images`, `labels`, `masks` where there are any, and
    /// in the header `classes` (names between commas, or a JSON array) or, without names,
    /// `class_count`, `dataset`, and the columns of a table with
    /// their scale. All of it passes through memory.
    pub fn save_tensors(&self, path: &Path) -> Result<()> {
        let mut file = TensorFile::default();
        file.tensors.insert("images".into(), self.images.whole()?);
        file.tensors.insert("labels".into(), self.labels.shallow_clone());
        if let Some(masks) = &self.masks {
            file.tensors.insert("masks".into(), masks.shallow_clone());
        }
        let (key, classes) = match self.named {
            true => ("classes", header::join(&self.classes)),
            false => ("class_count", self.classes.len().to_string()),
        };
        file.metadata.insert(key.into(), classes);
        file.metadata.extend(self.features.iter().flat_map(Features::to_header));
        file.metadata.insert("dataset".into(), self.name.clone());
        file.write(path)
    }
}

/// Stored pixels (u8 or f32) as f32 in [0, 1].
pub(crate) fn pixels(stored: &Tensor) -> Tensor {
    match stored.kind() {
        Kind::Uint8 => stored.to_kind(Kind::Float) / 255.0,
        _ => stored.shallow_clone(),
    }
}
