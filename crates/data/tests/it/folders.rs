//! Class folders: every layout people have, what is passed over, and what is in a picture.

use anyhow::Result;
use data::{Dataset, Options, Split, load};
use std::{fs, path::Path};
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
    fs::rename(at("dog/2.png"), at("dog/2.txt")).unwrap();
    told("", dir.path(), "dog` has no image in it");
    picture(&at("parts/train/cat/1.png"), 4, 4, 0);
    let message = format!("{:#}", read("folder:", &at("parts"), Split::Test).unwrap_err());
    assert!(message.contains("has `train` but none of `test`"), "{message}");
    picture(&at("parts/test/dog/1.png"), 4, 4, 0);
    told("folder:", &at("parts"), "do not have the same classes");
}

fn labels(set: &Dataset) -> Vec<i64> {
    Vec::try_from(&set.labels).unwrap()
}

#[test]
fn parts_go_by_many_names() {
    for (train, test) in [("train", "valid"), ("Training", "validation"), ("TRAIN", "Testing")] {
        let dir = tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        picture(&at(&format!("{train}/cat/1.png")), 2, 2, 1);
        picture(&at(&format!("{train}/dog/1.png")), 2, 2, 2);
        // A part for testing may lack a class, whose number the others keep.
        picture(&at(&format!("{test}/dog/1.png")), 2, 2, 3);
        let [trained, tested] =
            [Split::Train, Split::Test].map(|split| read("", dir.path(), split).unwrap());
        assert_eq!((labels(&trained), labels(&tested)), (vec![0, 1], vec![1]));
        assert_eq!((&trained.classes, trained.whole), (&tested.classes, false));
        assert_eq!(tested.images.held().int64_value(&[0, 0, 0, 0]), 3);
    }
}

#[test]
fn which_of_several_parts_is_tested_on_is_said() {
    let dir = tempdir().unwrap();
    for name in ["train/cat/1.png", "val/cat/1.png", "test/cat/1.png"] {
        picture(&dir.path().join(name), 2, 2, 1);
    }
    let set = read("", dir.path(), Split::Test).unwrap();
    assert_eq!(set.notes, ["tested on is `test`; `val` is left out"]);
    // One without labels is not.
    fs::remove_dir_all(dir.path().join("test")).unwrap();
    picture(&dir.path().join("test/1.png"), 2, 2, 1);
    let set = read("", dir.path(), Split::Test).unwrap();
    assert_eq!(set.notes, ["`test` has no class folders in it and is left out"]);
}

#[test]
fn classes_may_be_called_like_parts() {
    let dir = tempdir().unwrap();
    for name in ["car/1.png", "test/1.png", "train/1.png"] {
        picture(&dir.path().join(name), 2, 2, 1);
    }
    let set = read("", dir.path(), Split::Test).unwrap();
    assert_eq!((set.classes.join(","), set.whole), ("car,test,train".into(), true));
    let nested = dir.path().join("nested/cat/train/1.png");
    picture(&nested, 2, 2, 1);
    told("", &dir.path().join("nested"), "has no image in it");
    told("", &dir.path().join("nested"), "it has folders (train): a class holds its images itself");
}

#[test]
fn a_folder_without_parts_is_whole() {
    let dir = tempdir().unwrap();
    picture(&dir.path().join("cat/1.png"), 2, 2, 1);
    for split in [Split::Train, Split::Test] {
        assert!(read("", dir.path(), split).unwrap().whole);
    }
    let dir = tempdir().unwrap();
    picture(&dir.path().join("train/cat/1.png"), 2, 2, 1);
    assert!(read("", dir.path(), Split::Train).unwrap().whole);
    assert!(read("", dir.path(), Split::Test).is_err());
}

#[test]
fn tiny_imagenet_is_read_as_it_is_published() {
    let dir = tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for (i, class) in ["n01", "n02"].into_iter().enumerate() {
        picture(&at(&format!("train/{class}/images/{class}_0.JPEG")), 4, 4, i as u8);
        fs::write(at(&format!("train/{class}/{class}_boxes.txt")), "x\t0").unwrap();
    }
    for i in 0..3 {
        picture(&at(&format!("val/images/val_{i}.png")), 4, 4, 10 + i);
    }
    picture(&at("test/images/test_0.JPEG"), 4, 4, 99);
    fs::write(at("wnids.txt"), "n02\nn01").unwrap();
    let table = "val_0.png\tn02\t0\t0\nval_1.png\tn01\t0\t0\nval_2.png\tn02\t0\t0\n";
    fs::write(at("val/val_annotations.txt"), table).unwrap();
    let train = read("", dir.path(), Split::Train).unwrap();
    assert_eq!((labels(&train), train.classes.join(",")), (vec![0, 1], "n01,n02".into()));
    assert!(train.notes.contains(&"3 files passed over: 3 .txt".into()), "{:?}", train.notes);
    for (path, whole) in [(dir.path().to_owned(), false), (at("val"), true)] {
        let test = read("", &path, Split::Test).unwrap();
        let reds: Vec<i64> =
            (0..3).map(|i| test.images.held().int64_value(&[i, 0, 0, 0])).collect();
        assert_eq!((labels(&test), reds), (vec![0, 1, 1], vec![11, 10, 12]));
        assert_eq!((test.classes.join(","), test.whole), ("n01,n02".into(), whole));
    }
    fs::write(at("val/val_annotations.txt"), "val_0.png\tn03").unwrap();
    told("", dir.path(), "only the first has `n03`");
    fs::write(at("val/val_annotations.txt"), "val_9.png\tn02").unwrap();
    let message = format!("{:#}", read("", dir.path(), Split::Test).unwrap_err());
    assert!(message.contains("names `val_9.png`, which is not in"), "{message}");
    fs::write(at("val/val_annotations.txt"), "val_0.png n02").unwrap();
    told("", dir.path(), "line 1 has no class behind a tab");
}

#[test]
fn what_is_passed_over_is_counted_and_junk_is_not() {
    let dir = tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    picture(&at("cat/1.PNG"), 2, 2, 1);
    picture(&at("ünï/1.Jpeg"), 2, 2, 1);
    for name in ["cat/a.txt", "cat/b.TXT", "ünï/c.heic", "ünï/noend", "stray.npy"] {
        fs::write(at(name), "x").unwrap();
    }
    for name in [".DS_Store", "cat/._1.png", "cat/Thumbs.db", "desktop.ini"] {
        fs::write(at(name), "x").unwrap();
    }
    for name in ["__MACOSX/cat", ".ipynb_checkpoints", "cat/.ipynb_checkpoints", "cat/masks"] {
        fs::create_dir_all(at(name)).unwrap();
    }
    let set = read("", dir.path(), Split::Test).unwrap();
    assert_eq!((set.len(), set.classes.join(",")), (2, "cat,ünï".into()));
    let told = "5 files and 1 folder passed over: 2 .txt, 1 without an ending, 1 .heic, 1 .npy";
    assert_eq!(set.notes, [told]);
}

#[test]
fn numbers_of_classes_are_sorted_as_numbers() {
    let dir = tempdir().unwrap();
    for i in 0..11 {
        picture(&dir.path().join(format!("{i}/x.png")), 2, 2, i);
    }
    let set = read("", dir.path(), Split::Test).unwrap();
    let reds: Vec<i64> = (0..11).map(|i| set.images.held().int64_value(&[i, 0, 0, 0])).collect();
    assert_eq!((reds, labels(&set)), ((0..11).collect(), (0..11).collect()));
    assert!(!set.named, "numbers from 0 on are no names");
    fs::remove_dir_all(dir.path().join("0")).unwrap();
    assert!(read("", dir.path(), Split::Test).unwrap().named);
}

/// Pixels that Pillow reads from every file of `tests/pictures` (`tests/reference/pictures.py`).
#[test]
fn pictures_have_the_pixels_that_pillow_reads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures");
    let mut count = 0;
    for line in fs::read_to_string(folder.join("pillow.txt")).unwrap().lines() {
        let [name, width, height, pixels] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let [width, height] = [width, height].map(|n| n.parse::<i64>().unwrap());
        let hex = |i: usize| u8::from_str_radix(&pixels[2 * i..2 * i + 2], 16).unwrap();
        let pixels: Vec<f32> = (0..pixels.len() / 2).map(|i| hex(i).into()).collect();
        let right = tch::Tensor::from_slice(&pixels).view([1, height, width, 3]);
        let found = data::image(&folder.join(name), None, Some(3)).unwrap() * 255.;
        assert_eq!(found.size(), [1, 3, height, width], "{name}");
        let apart = (found.permute([0, 2, 3, 1]) - right).abs();
        let (mean, most) = (apart.mean(None).double_value(&[]), apart.max().double_value(&[]));
        // Decoders of jpeg smooth the borders of colours differently.
        let right = if name.ends_with("jpg") { mean < 6. } else { most < 0.01 };
        assert!(right, "{name}: {mean} off on average, {most} at most");
        count += 1;
    }
    assert_eq!(count, 30);
}

#[test]
fn every_format_of_a_folder_is_read_and_a_tag_turns() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let set = read("", &cases.join("mixed-formats"), Split::Test).unwrap();
    assert_eq!((set.len(), labels(&set)), (7, vec![0, 0, 0, 0, 0, 0, 1]));
    assert!(set.notes.is_empty(), "nothing is lost: {:?}", set.notes);
    let first = set.images.held().get(0).to_kind(tch::Kind::Float);
    for i in 1..6 {
        let apart = set.images.held().get(i).to_kind(tch::Kind::Float) - &first;
        let apart = apart.abs().mean(None).double_value(&[]);
        assert!(apart < 8., "picture {i} is {apart} off");
    }
    let straight = read("", &cases.join("bmp-named-png"), Split::Test).unwrap();
    let turned = read("", &cases.join("exif6"), Split::Test).unwrap();
    let float = |set: &Dataset| set.images.held().get(0).to_kind(tch::Kind::Float);
    let apart = |k| (float(&straight).rot90(k, [1, 2]) - float(&turned)).abs().mean(None);
    // 6: the first row of the file is the right column of the picture, a quarter clockwise.
    let [kept, quarter] = [0, -1].map(|k| apart(k).double_value(&[]));
    assert!(quarter < 3. && kept > 30., "{quarter} off when turned, {kept} when not");
}

#[test]
fn grey_folders_come_back_grey() {
    let cpu = |kind| (kind, tch::Device::Cpu);
    let images = tch::Tensor::arange(2 * 30, cpu(tch::Kind::Int64)).to_kind(tch::Kind::Uint8);
    let labels = tch::Tensor::from_slice(&[0i64, 1]);
    let classes = vec!["cat".to_owned(), "dog".to_owned()];
    let set = Dataset::new("grey", images.view([2, 1, 5, 6]), labels, classes);
    let dir = tempdir().unwrap();
    set.save_folder(dir.path(), || ()).unwrap();
    let again = read("", dir.path(), Split::Test).unwrap();
    assert_eq!(again.images.held(), set.images.held());
    let wanted = |channels| Options { channels: Some(channels), ..Split::Test.into() };
    let path = dir.path().display().to_string();
    let wide = load(&path, &wanted(3)).unwrap();
    assert_eq!(wide.images.held(), &set.images.held().repeat([1, 3, 1, 1]));
    // Stored in colour but grey, then coloured.
    let file = dir.path().join("dog/x.png");
    image::RgbImage::from_pixel(6, 5, image::Rgb([7; 3])).save(&file).unwrap();
    assert_eq!(read("", dir.path(), Split::Test).unwrap().image_shape(), [1, 5, 6]);
    image::RgbImage::from_pixel(6, 5, image::Rgb([200, 100, 50])).save(&file).unwrap();
    let message = told("", dir.path(), "dog/x.png` has colours; give the channels");
    assert!(
        message.contains("0000000.png` is grey") && message.contains("--channels"),
        "{message}"
    );
    assert_eq!(load(&path, &wanted(3)).unwrap().image_shape(), [3, 5, 6]);
    let brightness = load(&path, &wanted(1)).unwrap();
    // (299 · 200 + 587 · 100 + 114 · 50) / 1000
    assert_eq!(brightness.images.held().int64_value(&[2, 0, 0, 0]), 124);
    let message = format!("{:#}", load(&path, &wanted(2)).unwrap_err());
    assert!(message.contains("2 channels: images of folders are read with 1 or 3"), "{message}");
}

#[test]
fn odd_files_are_refused_by_name() {
    let dir = tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    // A header of 2³⁰ × 2³⁰ pixels and nothing else.
    let mut bytes = b"P6\n1073741824 1073741824\n255\n".to_vec();
    bytes.extend([0; 30]);
    fs::create_dir_all(at("huge/cat")).unwrap();
    fs::write(at("huge/cat/x.ppm"), bytes).unwrap();
    told("", &at("huge"), "x.ppm` says it has 1073741824×1073741824 pixels");
    fs::create_dir_all(at("link/cat")).unwrap();
    picture(&at("link/cat/1.png"), 1, 1, 7);
    assert_eq!(read("", &at("link"), Split::Test).unwrap().image_shape(), [3, 1, 1]);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(at("link/cat/1.png"), at("link/cat/2.png")).unwrap();
        assert_eq!(read("", &at("link"), Split::Test).unwrap().len(), 2);
        std::os::unix::fs::symlink(at("nowhere.png"), at("link/cat/3.png")).unwrap();
        told("", &at("link"), "3.png");
    }
}
