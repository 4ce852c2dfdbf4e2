//! Published sets beside CIFAR-10 and MNIST, in their official files written small.

use anyhow::Result;
use data::{Dataset, Split, load};
use flate2::{Compression, write::GzEncoder};
use std::{fs, path::Path};
use tempfile::tempdir;

fn read(kind: &str, path: &Path, rest: &str, split: Split) -> Result<Dataset> {
    load(&format!("{kind}{}{rest}", path.display()), &split.into())
}

fn told(kind: &str, path: &Path, rest: &str, part: &str) {
    let message = format!("{:#}", read(kind, path, rest, Split::Train).unwrap_err());
    assert!(!message.contains('\n') && message.contains(part), "`{part}` is not in: {message}");
}

fn labels(set: &Dataset) -> Vec<i64> {
    Vec::try_from(&set.labels).unwrap()
}

/// Binary records of (coarse, fine): the first pixel is the place, all others are 9.
fn hundred(pairs: &[(u8, u8)]) -> Vec<u8> {
    let record = |(place, &(coarse, fine)): (usize, &(u8, u8))| {
        let mut record = vec![coarse, fine, place as u8];
        record.resize(3074, 9);
        record
    };
    pairs.iter().enumerate().flat_map(record).collect()
}

fn write_hundred(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("train.bin"), hundred(&[(11, 19), (15, 29), (4, 0)])).unwrap();
    fs::write(folder.join("test.bin"), hundred(&[(10, 49), (19, 99)])).unwrap();
}

fn check_hundred(kind: &str, path: &Path) {
    let train = read(kind, path, "", Split::Train).unwrap();
    assert_eq!((labels(&train), train.image_shape()), (vec![19, 29, 0], [3, 32, 32]));
    assert_eq!((train.classes.len(), train.named, train.whole), (100, true, false));
    assert_eq!([0, 19, 29].map(|i| train.classes[i].as_str()), ["apple", "cattle", "dinosaur"]);
    let pixel = |at: [i64; 4]| train.images.held().int64_value(&at);
    assert_eq!([pixel([2, 0, 0, 0]), pixel([2, 0, 0, 1]), pixel([1, 2, 31, 31])], [2, 9, 9]);
    let test = read(kind, path, "", Split::Test).unwrap();
    assert_eq!((labels(&test), test.classes[99].as_str()), (vec![49, 99], "worm"));
    let coarse = read("cifar100:", path, ",labels=coarse", Split::Train).unwrap();
    assert_eq!((labels(&coarse), coarse.classes.len()), (vec![11, 15, 4], 20));
    assert_eq!(coarse.classes[11], "large_omnivores_and_herbivores");
}

#[test]
fn cifar100_is_read_from_a_folder_an_archive_or_one_file() {
    let dir = tempdir().unwrap();
    let folder = dir.path().join("cifar-100-binary");
    write_hundred(&folder);
    for kind in ["", "cifar100:"] {
        check_hundred(kind, &folder);
        check_hundred(kind, dir.path());
    }
    let archive = dir.path().join("cifar-100-binary.tar.gz");
    let mut tar = tar::Builder::new(GzEncoder::new(vec![], Compression::fast()));
    tar.append_dir_all("cifar-100-binary", &folder).unwrap();
    fs::write(&archive, tar.into_inner().unwrap().finish().unwrap()).unwrap();
    check_hundred("", &archive);
    told("cifar10:", &archive, "", "is CIFAR-100, not CIFAR-10: say `cifar100:PATH`");
    let one = read("", &folder.join("test.bin"), "", Split::Train).unwrap();
    assert_eq!((labels(&one), one.whole), (vec![49, 99], true));
    fs::write(folder.join("fine_label_names.txt"), "a\nb\n").unwrap();
    told("", &folder, "", "names 2 classes instead of 100");
    fs::remove_file(folder.join("fine_label_names.txt")).unwrap();
    fs::write(folder.join("train.bin"), hundred(&[(11, 100)])).unwrap();
    told("", &folder, "", "record 0 (counted from 0) has the label 100; CIFAR-100 has 0 to 99");
    fs::write(folder.join("train.bin"), &hundred(&[(1, 1)])[1..]).unwrap();
    told("", &folder, "", "3073 bytes long, but a CIFAR-100 batch has a multiple of 3074");
    told(
        "cifar100:",
        &folder,
        ",labels=rough",
        "unknown variant `rough`, expected `fine` or `coarse` in `labels`",
    );
}

/// A python batch of two black images, as Python 2 pickled it.
fn pickled(fine: [u8; 2], coarse: [u8; 2]) -> Vec<u8> {
    let mut bytes = b"\x80\x02}(".to_vec();
    for (key, values) in [("fine_labels", fine), ("coarse_labels", coarse)] {
        bytes.extend([b'U', key.len() as u8]);
        bytes.extend(key.bytes().chain(*b"]("));
        values.iter().for_each(|&value| bytes.extend([b'K', value]));
        bytes.push(b'e');
    }
    bytes.extend(b"U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n");
    bytes.extend(b"K\x00\x85U\x01b\x87R(K\x01K\x02M\x00\x0c");
    bytes.extend(b"\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ");
    bytes.extend(b"\xff\xff\xff\xffK\x00tb\x89T");
    bytes.extend(6144u32.to_le_bytes());
    bytes.resize(bytes.len() + 6144, 0);
    bytes.extend(b"tbu.");
    bytes
}

#[test]
fn cifar100_python_batches_are_read_without_python() {
    let dir = tempdir().unwrap();
    let folder = dir.path().join("cifar-100-python");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("train"), pickled([99, 3], [13, 8])).unwrap();
    fs::write(folder.join("test"), pickled([1, 0], [1, 4])).unwrap();
    for path in [&folder, dir.path()] {
        let train = read("", path, "", Split::Train).unwrap();
        assert_eq!((labels(&train), train.whole), (vec![99, 3], false));
        let coarse = read("cifar100:", path, ",labels=coarse", Split::Test).unwrap();
        assert_eq!(
            (labels(&coarse), coarse.classes[4].as_str()),
            (vec![1, 4], "fruit_and_vegetables")
        );
    }
    fs::remove_file(folder.join("test")).unwrap();
    assert!(read("", &folder, "", Split::Train).unwrap().whole, "there is no test part");
}

#[test]
fn several_sets_in_one_folder_are_not_guessed_at() {
    let dir = tempdir().unwrap();
    write_hundred(&dir.path().join("cifar-100-binary"));
    fs::create_dir(dir.path().join("cifar-10-batches-bin")).unwrap();
    told("", dir.path(), "", "holds several sets: cifar10, cifar100; say which");
    check_hundred("cifar100:", dir.path());
}

/// An idx file of black images or of labels.
fn idx(labels: &[u8], images: bool) -> Vec<u8> {
    let n = labels.len() as u8;
    let mut bytes = vec![0, 0, 8, if images { 3 } else { 1 }, 0, 0, 0, n];
    match images {
        true => {
            bytes.extend([0, 0, 0, 28, 0, 0, 0, 28]);
            bytes.resize(16 + 784 * usize::from(n), 0);
            bytes[17] = 200; // the second pixel of the first row
        }
        false => bytes.extend(labels),
    }
    bytes
}

fn write_idx(folder: &Path, [train, test]: [&str; 2], labels: &[u8]) {
    fs::create_dir_all(folder).unwrap();
    for part in [train, test] {
        fs::write(folder.join(format!("{part}-images-idx3-ubyte")), idx(labels, true)).unwrap();
        fs::write(folder.join(format!("{part}-labels-idx1-ubyte")), idx(labels, false)).unwrap();
    }
}

#[test]
fn sets_in_the_files_of_mnist_go_by_their_folders() {
    for (folder, name, class, named) in [
        ("mnist", "mnist", "9", true),
        ("MNIST/raw", "mnist", "9", true),
        ("FashionMNIST/raw", "fashion-mnist", "Ankle boot", true),
        ("kmnist", "kmnist", "wo", true),
        ("somewhere", "mnist", "9", false),
    ] {
        let dir = tempdir().unwrap();
        let path = dir.path().join(folder);
        write_idx(&path, ["train", "t10k"], &[9, 0]);
        for path in [path.as_path(), path.parent().unwrap()] {
            if path == dir.path() {
                continue;
            }
            let set = read("mnist:", path, "", Split::Test).unwrap();
            assert_eq!((set.name.as_str(), set.named, set.whole), (name, named, false), "{folder}");
            assert_eq!((set.classes[9].as_str(), set.classes.len()), (class, 10));
        }
    }
}

#[test]
fn emnist_is_read_with_its_mapping() {
    let dir = tempdir().unwrap();
    let parts = |set: &str| [format!("emnist-{set}-train"), format!("emnist-{set}-test")];
    let write = |set: &str, labels: &[u8]| {
        let [train, test] = parts(set);
        write_idx(dir.path(), [&train, &test], labels);
    };
    write("letters", &[1, 26]);
    let set = read("", dir.path(), "", Split::Test).unwrap();
    assert_eq!(
        (set.classes.len(), set.named),
        (27, false),
        "without a mapping numbers are no names"
    );
    let mapping: String = (1..=26).map(|i| format!("{i} {} {}\n", 64 + i, 96 + i)).collect();
    fs::write(dir.path().join("emnist-letters-mapping.txt"), mapping).unwrap();
    let set = read("", dir.path(), "", Split::Test).unwrap();
    assert_eq!((labels(&set), set.named), (vec![1, 26], true));
    assert_eq!([0, 1, 26].map(|i| set.classes[i].as_str()), ["N/A", "a", "z"]);
    // As in the file: torchvision does not turn them either.
    assert_eq!(set.images.held().int64_value(&[0, 0, 0, 1]), 200);
    write("mnist", &[3, 9]);
    told("", dir.path(), "", "has several sets: say `mnist:PATH,set=NAME`, one of letters, mnist");
    fs::write(dir.path().join("emnist-mnist-mapping.txt"), "0 48\n3 51\n9 57\n").unwrap();
    let set = read("mnist:", dir.path(), ",set=mnist", Split::Train).unwrap();
    assert_eq!((set.name.as_str(), set.classes[9].as_str()), ("emnist-mnist", "9"));
    told("mnist:", dir.path(), ",set=byclass", "has no set `byclass`; known: letters, mnist");
    fs::write(dir.path().join("emnist-mnist-mapping.txt"), "0 zero\n").unwrap();
    told("mnist:", dir.path(), ",set=mnist", "emnist-mnist-mapping.txt` line 1 is no label");
}
