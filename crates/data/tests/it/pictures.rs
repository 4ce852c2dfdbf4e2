//! Pictures without classes, and pictures made into images of one size.

use data::{Dataset, Options, Preprocess, Split, load};
use md5::{Digest, Md5};
use std::{fs, path::Path};
use tempfile::tempdir;

fn save(path: &Path, width: u32, height: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let pixel = |x: u32, y: u32| {
        let steps = 255 * ((x / 5 + y / 3) & 1);
        image::Rgb([(x * 7 + y * 3) & 255, ((x * y) >> 3) & 255, steps].map(|v| v as u8))
    };
    image::RgbImage::from_fn(width, height, pixel).save(path).unwrap();
}

fn read(spec: &str, preprocess: Option<Preprocess>) -> anyhow::Result<Dataset> {
    load(spec, &Options { preprocess, ..Split::Test.into() })
}

/// Equal to the bit: tests/reference/preprocess.py.
#[test]
fn preprocessing_is_torchvisions() {
    let dir = tempdir().unwrap();
    let mut count = 0;
    for line in include_str!("../pictures/torchvision.txt").lines().skip(1) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |i: usize| words[i].parse::<u32>().unwrap();
        let file = dir.path().join(format!("{}x{}.png", number(0), number(1)));
        save(&file, number(0), number(1));
        let set = read(file.to_str().unwrap(), Some(Preprocess::Torchvision)).unwrap();
        assert_eq!(set.image_shape(), [3, 224, 224], "{line}");
        let pixels = set.images.held();
        let middle = [0, 1, 2].map(|c| pixels.int64_value(&[0, c, 112, 112]).to_string());
        assert_eq!(middle, words[3..6], "{line}");
        let bytes = Vec::<u8>::try_from(pixels.flatten(0, -1)).unwrap();
        let digest: String = Md5::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(digest, words[2], "{line}");
        count += 1;
    }
    assert_eq!(count, 7);
}

#[test]
fn a_file_a_folder_and_a_pattern_have_no_labels() {
    let dir = tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    for name in ["flat/b.png", "flat/a.png", "flat/c.jpg"] {
        save(Path::new(&at(name)), 6, 4);
    }
    fs::write(at("flat/notes.txt"), "no picture").unwrap();
    for (spec, found) in [
        (at("flat"), 3),
        (at("flat/a.png"), 1),
        (at("flat/*.png"), 2),
        (at("flat/[ac].*"), 2),
        (format!("pictures:{}", at("flat/?.jpg")), 1),
    ] {
        let set = read(&spec, None).unwrap();
        assert_eq!((set.len(), set.labelled, set.named), (found, false, false), "{spec}");
        assert!(!set.slice(0, Some(1)).unwrap().labelled, "{spec}");
    }
    let notes = read(&at("flat"), None).unwrap().notes;
    assert!(notes.iter().any(|note| note == "1 file passed over: 1 .txt"), "{notes:?}");
    let told = format!("{:#}", read(&at("flat/*.tif"), None).unwrap_err());
    assert!(told.contains("*.tif` names no picture (read are png"), "{told}");
    // Pictures beside class folders are passed over, as ever.
    save(Path::new(&at("classes/cat/x.png")), 6, 4);
    save(Path::new(&at("classes/stray.png")), 6, 4);
    assert!(read(&at("classes"), None).unwrap().labelled);
}

#[test]
fn a_size_and_a_recipe_are_one_too_many() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("a.png");
    save(&file, 6, 4);
    let options =
        Options { size: Some(8), preprocess: Some(Preprocess::Torchvision), ..Split::Test.into() };
    let told = load(file.to_str().unwrap(), &options).unwrap_err().to_string();
    assert!(told.contains("a size of 8 pixels and a recipe"), "{told}");
}
