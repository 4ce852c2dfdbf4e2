//! Class folders: every layout people have, what is passed over, and what is in a picture.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use anyhow::Result;
use data::{Dataset, Holdout, Options, Split, load, open};
use std::{collections::BTreeSet, fs, path::Path};
use tch::Tensor;
use tempfile::tempdir;

fn read(kind: &str, path: &Path, split: Split) -> Result<Dataset> {
    load(&format!("{kind}{}", path.display()), &split.into())
}

/// The whole message, which must be one line and name the file.
fn told(kind: &str, path: &Path, names: &str) -> String {
    let message = format!("{:#}", read(kind, path, Split::Train).unwrap_err());
    assert!(!message.contains('\n'), "{message}");
    assert!(message.contains(names), "`{names}` is not in: {message}");
    message
}

fn picture(path: &Path, width: u32, height: u32, red: u8) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let pixel = |x, y| image::Rgb([red, x as u8, y as u8]);
    image::RgbImage::from_fn(width, height, pixel).save(path).unwrap();
}

#[test]
fn class_folders_are_read_with_and_without_parts() {
    let dir = tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    picture(&at("train/dog/b.png"), 6, 4, 2);
    picture(&at("train/dog/a.PNG"), 6, 4, 1);
    picture(&at("train/cat/x.jpeg"), 6, 4, 9);
    fs::write(at("train/cat/notes.txt"), "not an image").unwrap();
    picture(&at("val/cat/x.png"), 6, 4, 7);
    picture(&at("val/dog/x.png"), 6, 4, 8);
    let train = read("", dir.path(), Split::Train).unwrap();
    assert_eq!((train.len(), train.image_shape()), (3, [3, 4, 6]));
    assert_eq!(train.classes, ["cat", "dog"]);
    assert_eq!(Vec::<i64>::try_from(&train.labels).unwrap(), [0, 1, 1]);
    let value = |set: &Dataset, at: [i64; 4]| set.images.held().int64_value(&at);
    assert_eq!([value(&train, [1, 0, 0, 0]), value(&train, [2, 0, 0, 0])], [1, 2]);
    assert_eq!([value(&train, [1, 1, 3, 5]), value(&train, [1, 2, 3, 5])], [5, 3]);
    let test = read("folder:", dir.path(), Split::Test).unwrap();
    assert_eq!([value(&test, [0, 0, 0, 0]), value(&test, [1, 0, 0, 0])], [7, 8]);
    let alone = read("folder:", &at("val"), Split::Train).unwrap();
    assert_eq!(alone.images.held(), test.images.held());
    let options = Options { size: Some(5), ..Split::Train.into() };
    let resized = load(&at("train").display().to_string(), &options).unwrap();
    assert_eq!(resized.image_shape(), [3, 5, 5]);
}

#[test]
fn broken_class_folders_are_named() {
    let dir = tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    told("folder:", dir.path(), "has no folder in it, one per class");
    picture(&at("cat/1.png"), 4, 4, 0);
    picture(&at("dog/2.png"), 5, 4, 0);
    let message = told("", dir.path(), "has 4×4 pixels");
    assert!(message.contains("cat/1.png") && message.contains("dog/2.png"), "{message}");
    assert!(message.contains("give a size"), "{message}");
    fs::write(at("dog/2.png"), "no picture").unwrap();
    let message = told("", dir.path(), "dog/2.png` as an image");
    assert_eq!(message.matches("signature").count(), 1, "{message}");
    fs::remove_file(at("dog/2.png")).unwrap();
    told("", dir.path(), "dog` has no image in it");
    picture(&at("parts/train/cat/1.png"), 4, 4, 0);
    let message = format!("{:#}", read("folder:", &at("parts"), Split::Test).unwrap_err());
    assert!(message.contains("has `train` but none of `test`"), "{message}");
    picture(&at("parts/test/dog/1.png"), 4, 4, 0);
    told("folder:", &at("parts"), "do not have the same classes");
}
