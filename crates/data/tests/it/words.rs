//! What the user is told of data that are not what their name says, or have slips in them: files of
//! other formats, labels that differ in case, class folders with nothing in them, animated pictures.

use anyhow::Result;
use data::{Dataset, Features, Options, Split, load};
use image::{Delay, Frame, Rgb, RgbImage, RgbaImage, codecs::gif::GifEncoder};
use std::{fs, path::Path};
use tch::Tensor;
use tempfile::tempdir;

fn read(path: &Path) -> Result<Dataset> {
    load(&path.display().to_string(), &Split::Train.into())
}

fn said(found: Result<Dataset>, parts: &[&str]) {
    let message = format!("{:#}", found.expect_err("refused"));
    assert!(!message.contains('\n'), "{message}");
    parts.iter().for_each(|part| assert!(message.contains(part), "`{part}` not in: {message}"));
}

fn picture(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    RgbImage::from_pixel(4, 4, Rgb([9; 3])).save(path).unwrap();
}

#[test]
fn other_formats_are_called_what_they_are() {
    let dir = tempdir().unwrap();
    let page = "<!DOCTYPE html>\n<html><body>Sign in</body></html>\n";
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n";
    let json = "[{\"a\": 1, \"y\": \"u\"},\n {\"a\": 2, \"y\": \"v\"}]";
    for (text, what) in [(page, "a web page"), (pointer, "a git-lfs pointer"), (json, "JSON text")]
    {
        for name in ["t.csv", "t.arff", "t.tsv"] {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            said(read(&path), &[name, what]);
        }
        let folder = dir.path().join("tiny");
        fs::create_dir_all(folder.join("images")).unwrap();
        fs::write(folder.join("val_annotations.txt"), text).unwrap();
        said(load(&format!("folder:{}", folder.display()), &Split::Test.into()), &[what]);
    }
    for (name, parts) in [
        ("x.npz", ["NumPy's file", "safetensors.numpy.save_file"]),
        ("x.npy", ["NumPy's file", "safetensors.numpy.save_file"]),
        ("x.pt", ["a pickle", "safetensors.torch.save_file"]),
        ("x.xlsx", ["a workbook", "pandas.read_excel(…).to_csv"]),
        ("x.zip", ["an archive", "unpack it"]),
        ("x.data", ["text of some kind", "`csv:PATH`"]),
    ] {
        fs::write(dir.path().join(name), "PK").unwrap();
        said(read(&dir.path().join(name)), &[name, parts[0], parts[1]]);
    }
}

#[test]
fn a_table_with_tabs_is_read_by_its_name() {
    let dir = tempdir().unwrap();
    let text = "a,b,y\n1,2,u\n3,4,v\n5,7,u\n2,2,v\n";
    for (name, text) in [("t.csv", text.to_owned()), ("t.tsv", text.replace(',', "\t"))] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let [comma, tab] = ["t.csv", "t.tsv"].map(|name| read(&dir.path().join(name)).unwrap());
    assert_eq!((comma.images.held(), &comma.labels), (tab.images.held(), &tab.labels));
}

#[test]
fn labels_that_differ_in_case_are_noted() {
    let dir = tempdir().unwrap();
    let csv = dir.path().join("t.csv");
    fs::write(&csv, "a,y\n1,Cat\n2,dog\n3,cat\n4, dog\n5,New York\n6,new-york\n").unwrap();
    let notes = read(&csv).unwrap().notes.join("\n");
    assert!(
        notes.contains("are two classes: `Cat` and `cat`, `New York` and `new-york`"),
        "{notes}"
    );
    assert!(!notes.contains("dog"), "spaces around a cell are none of it: {notes}");
    picture(&dir.path().join("set/Dog/1.png"));
    picture(&dir.path().join("set/dog /1.png"));
    let set = read(&dir.path().join("set")).unwrap();
    assert!(set.notes[0].ends_with("two classes: `Dog` and `dog `"), "{:?}", set.notes);
    for label in ["", "NA", "?"] {
        fs::write(&csv, format!("a,y\n1,u\n2,{label}\n3,v\n4,{label}\n")).unwrap();
        said(read(&csv), &["line 3: no value", "(2 of 4 rows without one)", "--label-column"]);
    }
}

#[test]
fn columns_that_were_left_out_of_the_training_are_told_once() {
    let dir = tempdir().unwrap();
    let csv = dir.path().join("t.csv");
    let rows = |i: i32| format!("{i},w{i},{}%,{},{}\n", i * i, -i, ["u", "v"][i as usize % 2]);
    fs::write(&csv, "a,word,odd,c,y\n".to_owned() + &(0..20).map(rows).collect::<String>())
        .unwrap();
    let of = |split, features: Option<Features>| {
        let spec = format!("csv:{}", csv.display());
        load(&spec, &Options { features, ..Options::from(split) }).unwrap()
    };
    let train = of(Split::Train, None);
    assert_eq!(train.features.as_ref().unwrap().dropped, ["word", "odd"]);
    let told = |set: &Dataset| set.notes.iter().filter(|note| note.contains("left out")).count();
    assert!(train.notes[0].contains("the column `odd` is left out"), "{:?}", train.notes);
    // The part for testing knows what was left out; weights know what they take.
    assert_eq!((told(&train), told(&of(Split::Test, train.features.clone()))), (1, 0));
    let header = train.features.as_ref().unwrap().to_header();
    let weights = || Features::from_header(&header).unwrap();
    let tested = of(Split::Test, weights());
    assert!(tested.notes[0].ends_with("not trained on are left out: odd"), "{:?}", tested.notes);
    assert_eq!(told(&tested), 1, "words are no numbers that anybody misses: {:?}", tested.notes);
}

#[test]
fn folders_with_nothing_in_them_are_no_classes() {
    let dir = tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    picture(&at("cat/1.png"));
    picture(&at("dog/1.png"));
    fs::create_dir_all(at("bird/.ipynb_checkpoints")).unwrap();
    let set = read(dir.path()).unwrap();
    assert_eq!(set.classes, ["cat", "dog"]);
    assert_eq!(set.notes, ["1 empty folder left out, no class of its own: bird"]);
    fs::write(at("bird/1.txt"), "x").unwrap();
    said(read(dir.path()), &["bird` has no image in it", "1 file passed over"]);
    // In the part for testing it is a class without images.
    picture(&at("parts/train/cat/1.png"));
    picture(&at("parts/train/dog/1.png"));
    picture(&at("parts/test/dog/1.png"));
    fs::create_dir_all(at("parts/test/cat")).unwrap();
    let test = load(&at("parts").display().to_string(), &Split::Test.into()).unwrap();
    assert_eq!((test.classes.len(), Vec::<i64>::try_from(&test.labels).unwrap()), (2, vec![1]));
    picture(&at("deep/animals/cat/1.png"));
    let hint = format!("give `{}` as the data", at("deep/animals").display());
    said(read(&at("deep")), &["it has folders (cat)", &hint]);
}

#[test]
fn classes_without_images_get_no_folder() {
    let dir = tempdir().unwrap();
    let classes: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
    let images = Tensor::zeros([2, 3, 4, 4], (tch::Kind::Uint8, tch::Device::Cpu));
    let set = Dataset::new("s", images, Tensor::from_slice(&[2i64, 0]), classes);
    assert_eq!(set.check_folder().unwrap().unwrap(), "no folder for 1 class without an image: b");
    set.save_folder(dir.path(), || ()).unwrap();
    assert_eq!(read(dir.path()).unwrap().classes, ["a", "c"]);
    let four = Tensor::zeros([2, 4, 4, 4], (tch::Kind::Uint8, tch::Device::Cpu));
    let set = Dataset::new("s", four, set.labels, set.classes);
    assert!(set.check_folder().unwrap_err().to_string().contains("these images have 4"));
}

#[test]
fn only_pictures_that_move_are_noted() {
    let dir = tempdir().unwrap();
    for (name, frames) in [("a", 1), ("b", 1), ("b/2", 3)] {
        let path = dir.path().join(format!("{}/{frames}.gif", &name[..1]));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut gif = GifEncoder::new(fs::File::create(path).unwrap());
        let frame = |i: u8| {
            let picture = RgbaImage::from_pixel(4, 4, image::Rgba([60 * i, 0, 0, 255]));
            Frame::from_parts(picture, 0, 0, Delay::from_numer_denom_ms(100, 1))
        };
        gif.encode_frames((1..=frames).map(frame)).unwrap();
    }
    let set = read(dir.path()).unwrap();
    assert_eq!(set.len(), 3);
    assert_eq!(set.notes, ["the first frame is read of 1 animated picture"]);
    fs::remove_file(dir.path().join("b/3.gif")).unwrap();
    assert!(read(dir.path()).unwrap().notes.is_empty());
}
