//! Every kind of data, written small and read back, and every way it can be broken.

use anyhow::Result;
use data::{Dataset, SOURCES, Split, load};
use flate2::{Compression, write::GzEncoder};
use std::{fs, io::Write, path::Path};
use tch::{Kind, Tensor};
use tempfile::{TempDir, tempdir};
use tensorfile::TensorFile;

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

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// `n` records: record i has the label (first + i) % 10 and the pixel p of value (i + p) % 256.
fn records(first: usize, n: usize) -> Vec<u8> {
    let record = |i: usize| {
        let pixels = (0..3072).map(move |p| ((first + i + p) % 256) as u8);
        std::iter::once(((first + i) % 10) as u8).chain(pixels)
    };
    (0..n).flat_map(record).collect()
}

fn cifar(folder: &Path) {
    for i in 0..5 {
        fs::write(folder.join(format!("data_batch_{}.bin", i + 1)), records(2 * i, 2)).unwrap();
    }
    fs::write(folder.join("test_batch.bin"), records(3, 4)).unwrap();
    let names = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n";
    fs::write(folder.join("batches.meta.txt"), names).unwrap();
}

fn check_cifar(kind: &str, path: &Path) {
    let train = read(kind, path, Split::Train).unwrap();
    assert_eq!((train.len(), train.image_shape()), (10, [3, 32, 32]));
    assert_eq!(train.labels, Tensor::arange(10, (Kind::Int64, tch::Device::Cpu)));
    // Record 4 starts batch 3: red plane first, row by row.
    let at = |c, y, x| train.images.held().int64_value(&[4, c, y, x]);
    assert_eq!((at(0, 0, 1), at(0, 1, 0), at(1, 0, 0), at(2, 31, 31)), (5, 36, 4, 3));
    assert_eq!(train.classes.concat(), "abcdefghij");
    let test = read(kind, path, Split::Test).unwrap();
    assert_eq!(Vec::<i64>::try_from(&test.labels).unwrap(), [3, 4, 5, 6]);
}

#[test]
fn cifar_is_read_from_a_folder_an_archive_or_one_file() {
    let dir = tempdir().unwrap();
    let folder = dir.path().join("cifar-10-batches-bin");
    fs::create_dir(&folder).unwrap();
    cifar(&folder);
    for kind in ["", "cifar10:"] {
        check_cifar(kind, &folder);
        check_cifar(kind, dir.path());
    }
    let archive = dir.path().join("some.tar.gz");
    let mut tar = tar::Builder::new(vec![]);
    tar.append_dir_all("cifar-10-batches-bin", &folder).unwrap();
    fs::write(&archive, gz(&tar.into_inner().unwrap())).unwrap();
    check_cifar("", &archive);
    let one = read("", &folder.join("data_batch_2.bin"), Split::Test).unwrap();
    assert_eq!(Vec::<i64>::try_from(&one.labels).unwrap(), [2, 3]);
    assert_eq!(one.classes[0], "a");
    fs::write(&archive, &fs::read(&archive).unwrap()[..500]).unwrap();
    told("", &archive, "is not a whole .tar.gz file");
}

/// A python batch: 3 black images with the labels 7, 0, 9, as NumPy 1 under Python 2 pickled them
/// (protocol 2) with `cPickle`.
fn pickle(labels: [u8; 3], shape: u16) -> Vec<u8> {
    let mut bytes = b"\x80\x02}(U\x06labels](".to_vec();
    labels.iter().for_each(|&label| bytes.extend([b'K', label]));
    bytes.extend(b"eU\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n");
    bytes.extend(b"K\x00\x85U\x01b\x87R(K\x01K\x03M");
    bytes.extend(shape.to_le_bytes());
    bytes.extend(b"\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ");
    bytes.extend(b"\xff\xff\xff\xffK\x00tb\x89T");
    bytes.extend((3 * u32::from(shape)).to_le_bytes());
    bytes.resize(bytes.len() + 3 * usize::from(shape), 0);
    bytes.extend(b"tbu.");
    bytes
}

#[test]
fn cifar_python_batches_are_read_without_python() {
    let dir = tempdir().unwrap();
    for i in 1..=5 {
        let name = dir.path().join(format!("data_batch_{i}"));
        fs::write(name, pickle([7, 0, 9], 3072)).unwrap();
    }
    let meta = b"\x80\x02}U\x0blabel_names](U\x01aU\x01bU\x01cU\x01dU\x01eU\x01fU\x01gU\x01hU\x01iU\x01jes.";
    fs::write(dir.path().join("batches.meta"), meta).unwrap();
    let set = read("", dir.path(), Split::Train).unwrap();
    assert_eq!(set.images.held().size(), [15, 3, 32, 32]);
    assert_eq!(Vec::<i64>::try_from(&set.labels.narrow(0, 12, 3)).unwrap(), [7, 0, 9]);
    assert_eq!(set.classes.concat(), "abcdefghij");
    let one = dir.path().join("data_batch_5");
    assert_eq!(read("", &one, Split::Train).unwrap().len(), 3);
    fs::write(&one, pickle([7, 10, 9], 3072)).unwrap();
    told(
        "",
        &one,
        "data_batch_5`: record 1 (counted from 0) has the label 10; CIFAR-10 has 0 to 9",
    );
    fs::write(&one, pickle([7, 0, 9], 3071)).unwrap();
    told("", &one, "`data` has the shape [3, 3071]; 3 labels need [3, 3072]");
    fs::write(&one, &pickle([7, 0, 9], 3072)[..5000]).unwrap();
    told("", dir.path(), "data_batch_5`: not a python batch of CIFAR-10");
}

#[test]
fn broken_cifar_files_are_named() {
    let dir = tempdir().unwrap();
    cifar(dir.path());
    let file = dir.path().join("data_batch_3.bin");
    fs::write(&file, &records(0, 2)[1..]).unwrap();
    let message = told("", dir.path(), "data_batch_3.bin`: 6145 bytes long");
    assert!(message.contains("multiple of 3073 (the nearest is 6146)"), "{message}");
    let mut bytes = records(0, 2);
    bytes[3073] = 10;
    fs::write(&file, bytes).unwrap();
    told("", dir.path(), "data_batch_3.bin`: record 1 (counted from 0) has the label 10");
    fs::write(&file, []).unwrap();
    told("", dir.path(), "data_batch_3.bin`: it is empty");
    told("", &file, "data_batch_3.bin` is empty");
    fs::remove_file(&file).unwrap();
    told("", dir.path(), "has no `data_batch_3.bin`; to read a single batch");
    fs::write(&file, records(0, 2)).unwrap();
    fs::write(dir.path().join("batches.meta.txt"), "cat\ndog\n").unwrap();
    told("", dir.path(), "names 2 classes instead of 10");
}

fn idx(magic: u32, shape: &[u32], contents: &[u8]) -> Vec<u8> {
    let words = std::iter::once(&magic).chain(shape).flat_map(|word| word.to_be_bytes());
    words.chain(contents.iter().copied()).collect()
}

#[test]
fn mnist_is_read_in_both_naming_styles_gzipped_or_not() {
    let pixels: Vec<u8> = (0..2 * 784).map(|p| (p % 251) as u8).collect();
    let (images, labels) = (idx(0x803, &[2, 28, 28], &pixels), idx(0x801, &[2], &[3, 9]));
    for sign in ["-", "."] {
        for zipped in [false, true] {
            let dir = tempdir().unwrap();
            for part in ["train", "t10k"] {
                for (content, number, bytes) in [("images", 3, &images), ("labels", 1, &labels)] {
                    let name = format!("{part}-{content}{sign}idx{number}-ubyte");
                    let name = if zipped { name + ".gz" } else { name };
                    let bytes = if zipped { gz(bytes) } else { bytes.clone() };
                    fs::write(dir.path().join(name), bytes).unwrap();
                }
            }
            for kind in ["", "mnist:"] {
                let set = read(kind, dir.path(), Split::Test).unwrap();
                assert_eq!(
                    (set.images.held().size(), set.images.held().kind()),
                    (vec![2, 1, 28, 28], Kind::Uint8)
                );
                assert_eq!(Vec::<i64>::try_from(&set.labels).unwrap(), [3, 9]);
                assert_eq!(set.images.held().int64_value(&[1, 0, 0, 2]), (784 + 2) % 251);
            }
        }
    }
}

#[test]
fn broken_mnist_files_are_named() {
    let dir = tempdir().unwrap();
    let images = dir.path().join("train-images-idx3-ubyte");
    let labels = dir.path().join("train-labels-idx1-ubyte");
    let whole = idx(0x803, &[2, 28, 28], &[0; 2 * 784]);
    let check = |file: &Path, bytes: &[u8], names: &str| {
        fs::write(&images, &whole).unwrap();
        fs::write(&labels, idx(0x801, &[2], &[3, 9])).unwrap();
        fs::write(file, bytes).unwrap();
        told("mnist:", dir.path(), names);
    };
    check(
        &images,
        &idx(0x801, &[20], &[0; 20]),
        "starts with 0x00000801; this idx file needs 0x00000803",
    );
    check(&images, &whole[..whole.len() - 1], "has 1583 bytes; its header [2, 28, 28] needs 1584");
    check(&images, &idx(0x803, &[u32::MAX; 3], &[0; 8]), "has 24 bytes; its header");
    check(&images, &idx(0x803, &[2, 2, 2], &[0; 8]), "2×2 pixels; MNIST has 28×28");
    check(&images, &idx(0x803, &[0, 28, 28], &[]), "has no record");
    check(&images, &[], "it is empty");
    check(&images, &whole[..9], "has 9 bytes, not even a header");
    check(&images, &gz(&whole)[..20], "is not a whole gzip file");
    check(&labels, &idx(0x801, &[3], &[3, 9, 1]), "has 2 images");
    check(&labels, &idx(0x801, &[2], &[3, 10]), "record 1 (counted from 0) has the label 10");
    fs::remove_file(&labels).unwrap();
    told("", dir.path(), "no `train-labels-idx1-ubyte` (or `.gz`)");
    told("", &images, "give their folder");
}

fn tensors(change: impl Fn(&mut TensorFile)) -> (TempDir, std::path::PathBuf) {
    let mut file = TensorFile::default();
    let float = (Kind::Float, tch::Device::Cpu);
    file.tensors.insert("images".into(), Tensor::full([3, 1, 2, 2], 0.25, float));
    file.tensors.insert("labels".into(), Tensor::from_slice(&[0i64, 1, 1]));
    change(&mut file);
    let dir = tempdir().unwrap();
    let path = dir.path().join("set.safetensors");
    file.write(&path).unwrap();
    (dir, path)
}

#[test]
fn tensor_files_are_read_and_written() {
    let (dir, path) = tensors(|_| {});
    let set = read("", &path, Split::Test).unwrap();
    assert_eq!((set.name.as_str(), set.classes.join(",")), ("set", "0,1".into()));
    let (x, y) = set.ordered(8).next().unwrap().unwrap();
    assert_eq!((x.kind(), x.double_value(&[2, 0, 1, 1]), y.size()), (Kind::Float, 0.25, vec![3]));
    let shapes = load("shapes:train=5", &Split::Train.into()).unwrap();
    shapes.save_tensors(&dir.path().join("train.safetensors")).unwrap();
    let again = read("", dir.path(), Split::Train).unwrap();
    assert_eq!((again.images.held(), again.labels), (shapes.images.held(), shapes.labels));
    assert_eq!((again.masks, again.classes), (shapes.masks, shapes.classes));
    assert_eq!(again.name, shapes.name);
    let message = format!("{:#}", read("tensors:", dir.path(), Split::Test).unwrap_err());
    assert!(message.contains("no `test.safetensors`"), "{message}");
}

#[test]
fn attacked_images_are_data() {
    let brighter = Tensor::full([3, 1, 2, 2], 0.5, (Kind::Float, tch::Device::Cpu));
    let (_dir, path) =
        tensors(|file| _ = file.tensors.insert("adversarial".into(), brighter.shallow_clone()));
    let spec = |name: &str| format!("tensors:{},images={name}", path.display());
    let set = load(&spec("adversarial"), &Split::Test.into()).unwrap();
    assert_eq!((set.name.as_str(), set.images.held()), ("set (adversarial)", &brighter));
    let message = format!("{:#}", load(&spec("maps"), &Split::Test.into()).unwrap_err());
    assert!(message.contains("no tensor `maps`; the file has: adversarial, images, labels"));
}

#[test]
fn a_class_is_picked_by_name_or_number() {
    let shapes = load("shapes:test=40", &Split::Test.into()).unwrap();
    let class = &shapes.classes[3];
    let [named, numbered] = [class, "3"].map(|class| shapes.filter_class(class).unwrap());
    let rows = shapes.labels.eq(3).nonzero().squeeze_dim(1);
    assert_eq!(*named.images.held(), shapes.images.held().index_select(0, &rows));
    assert_eq!((named.images.held(), named.labels), (numbered.images.held(), numbered.labels));
    assert_eq!(named.masks, shapes.masks.as_ref().map(|masks| masks.index_select(0, &rows)));
    let message = format!("{:#}", shapes.filter_class("10").unwrap_err());
    assert!(message.contains("no class `10`; known: "), "{message}");
    let message = format!("{:#}", shapes.slice(0, Some(1)).unwrap().filter_class("3").unwrap_err());
    assert!(message.contains("has no image of the class `triangle`"), "{message}");
}

#[test]
fn broken_tensor_files_are_named() {
    let check = |change: &dyn Fn(&mut TensorFile), names: &str| {
        let (_dir, path) = tensors(change);
        assert!(told("", &path, names).contains("set.safetensors"));
    };
    let set = |name: &'static str, tensor: Tensor| {
        move |file: &mut TensorFile| _ = file.tensors.insert(name.into(), tensor.shallow_clone())
    };
    let cpu = |kind| (kind, tch::Device::Cpu);
    for (value, text) in [(f64::NAN, "NaN"), (1.5, "1.5"), (-0.5, "-0.5"), (f64::INFINITY, "inf")] {
        let images = Tensor::full([3, 1, 2, 2], 0.5, cpu(Kind::Float));
        _ = images.get(1).get(0).get(1).fill_(value);
        let names =
            format!("image 1 (counted from 0) has the pixel {text}; pixels must be in [0, 1]");
        check(&set("images", images), &names);
    }
    let images = |shape: &[i64], kind| Tensor::zeros(shape, cpu(kind));
    check(&set("images", images(&[3, 2, 2], Kind::Float)), "it must be [N, C, H, W]");
    check(&set("images", images(&[0, 1, 2, 2], Kind::Float)), "`images` is empty");
    check(&set("images", images(&[3, 1, 2, 2], Kind::Int)), "must be Float in [0, 1] or Uint8");
    let thirds = Tensor::full([3, 1, 2, 2], 1. / 3., cpu(Kind::Double));
    check(&set("images", thirds), "the type Double and numbers that f32 does not hold");
    check(&set("images", images(&[3, 8, 8, 3], Kind::Float)), "take `permute(0, 3, 1, 2)`");
    check(&set("images", images(&[3, 8, 8], Kind::Float)), "take `unsqueeze(1)`");
    check(&set("images", images(&[4, 1, 2, 2], Kind::Float)), "for 4 images it is [4]");
    check(&set("masks", images(&[3, 2, 1], Kind::Bool)), "these images need [3, 2, 2]");
    check(&set("masks", images(&[3, 2, 2], Kind::Float)), "it must be Bool or Uint8");
    check(&set("labels", Tensor::from_slice(&[0f32, 1., 1.])), "it must be whole numbers");
    check(&|file| _ = file.metadata.insert("classes".into(), "[1]".into()), "no list of names");
    check(&|file| _ = file.metadata.insert("class_count".into(), "0".into()), "no number from 1");
    check(
        &set("labels", Tensor::from_slice(&[0i64, -1, 1])),
        "image 1 (counted from 0) has the label -1",
    );
    let huge = Tensor::from_slice(&[0i64, i64::MAX, 1]);
    check(&set("labels", huge), "image 1 (counted from 0) has the label 9223372036854775807");
    check(&|file| _ = file.metadata.insert("classes".into(), "cat".into()), "classes are 0 to 0");
    check(&|file| _ = file.tensors.remove("labels"), "no tensor `labels`; the file has: ");
    let (_dir, path) = tensors(|_| {});
    fs::write(&path, &fs::read(&path).unwrap()[..100]).unwrap();
    told("", &path, "is not a whole safetensors file");
}

#[test]
fn unknown_kinds_and_paths_say_what_is_known() {
    let dir = tempdir().unwrap();
    let kinds: Vec<&str> = SOURCES.iter().map(|kind| kind.name).collect();
    let known = format!("known kinds: {}", kinds.join(", "));
    for (spec, names) in [
        ("xls:x.csv", "unknown kind of data `xls`"),
        ("gaussians", "no such file or folder: `gaussians`"),
        ("./nowhere", "no such file or folder: `./nowhere`"),
        (&dir.path().display().to_string(), "nothing recognised in the folder"),
    ] {
        let message = told("", Path::new(spec), names);
        assert!(message.contains(&known), "{message}");
    }
    told("mnist:", Path::new("/nowhere/at/all"), "no such file or folder: `/nowhere/at/all`");
    told("cifar10:", Path::new(""), "`cifar10` needs a path");
}

#[test]
fn real_data_are_read_where_there_are_any() {
    let Ok(root) = std::env::var("GRADPROOF_DATA") else { return };
    let root = Path::new(&root);
    let cifar = root.join("cifar-10-lossless-subset-bin");
    assert_eq!(read("", &cifar, Split::Train).unwrap().len(), 8068);
    let test = read("", &cifar, Split::Test).unwrap();
    assert_eq!((test.len(), test.classes[3].as_str()), (1017, "cat"));
    assert_eq!(read("", &cifar.join("data_batch_1.bin"), Split::Test).unwrap().len(), 4000);
    let mnist = read("", &root.join("mnist"), Split::Train).unwrap().describe(|_| {}).unwrap();
    assert_eq!((mnist.images, mnist.classes[1].1), (60_000, 6742));
    assert!((mnist.channels[0].mean - 0.1307).abs() < 1e-4, "{mnist}");
    assert!((mnist.channels[0].std - 0.3081).abs() < 1e-4, "{mnist}");
}
