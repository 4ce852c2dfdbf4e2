//! Class folders that do not fit their memory: the same images as held ones, read in the background.
//! A process of its own: it counts the threads of its process that read images.
#![allow(clippy::unwrap_used)] // helpers of tests are tests

use data::{Augment, Dataset, Images, Last, Options, Shuffle, Split, load, open};
use std::{cell::Cell, fs, path::Path, thread, time::Duration};
use tch::Tensor;
use tempfile::{TempDir, tempdir};

const COUNT: usize = 60;
/// Bytes of one 5×4 image.
const IMAGE: u64 = 3 * 5 * 4;

/// Two classes of 5×4 images, no two alike.
fn folder() -> TempDir {
    let dir = tempdir().unwrap();
    for (class, name) in ["cat", "dog"].iter().enumerate() {
        fs::create_dir(dir.path().join(name)).unwrap();
        for i in 0..COUNT / 2 {
            let pixel = |x, y| image::Rgb([i as u8, (10 * y + x) as u8, class as u8]);
            let path = dir.path().join(format!("{name}/{i:02}.png"));
            image::RgbImage::from_fn(5, 4, pixel).save(path).unwrap();
        }
    }
    dir
}

fn read(path: &Path, memory: u64, size: Option<i64>) -> Dataset {
    let options = Options { memory, size, ..Split::Train.into() };
    load(&path.display().to_string(), &options).unwrap()
}

/// The set of `folder` in memory and in files of which `memory` bytes may wait.
fn both(folder: &TempDir, memory: u64) -> (Dataset, Dataset) {
    let (held, streamed) = (read(folder.path(), 1 << 20, None), read(folder.path(), memory, None));
    assert!(matches!(streamed.images, Images::Streamed(_)));
    (held, streamed)
}

fn whole(batches: impl Iterator<Item = data::Batch>) -> (Vec<i64>, Tensor, Tensor) {
    let (x, y): (Vec<_>, Vec<_>) = batches.map(Result::unwrap).unzip();
    let sizes = y.iter().map(|y| y.size()[0]).collect();
    (sizes, Tensor::cat(&x, 0), Tensor::cat(&y, 0))
}

#[test]
fn what_fits_is_held_and_what_does_not_is_streamed() {
    let folder = folder();
    let all = COUNT as u64 * IMAGE;
    assert!(matches!(read(folder.path(), all, None).images, Images::Held(_)));
    assert!(matches!(read(folder.path(), all - 1, None).images, Images::Streamed(_)));
    // The size that counts is that in memory.
    assert!(matches!(read(folder.path(), all, Some(8)).images, Images::Streamed(_)));
}

#[test]
fn only_the_images_asked_for_are_read_into_memory() {
    let folder = folder();
    let whole = read(folder.path(), 1 << 20, None);
    fs::write(folder.path().join("cat/20.png"), "no picture").unwrap();
    let path = folder.path().display().to_string();
    let memory = 10 * IMAGE;
    let few = |offset| {
        let options = Options { memory, ..Split::Train.into() };
        let set = open(&path, &options).unwrap().slice(offset, Some(10)).unwrap();
        let read = Cell::new(0);
        (set.in_memory(|n| read.set(read.get() + n)), read.get())
    };
    let (set, read) = few(5);
    assert_eq!((set.unwrap().images.held(), read), (&whole.images.held().narrow(0, 5, 10), 10));
    let message = format!("{:#}", few(15).0.unwrap_err());
    assert!(message.contains("cat/20.png"), "{message}");
}

#[test]
fn streamed_sets_are_those_in_memory() {
    let folder = folder();
    let augment = Some(Augment { crop: 1, flip: true });
    // Room for a tenth of an image, for one, for a few.
    for memory in [IMAGE / 10, IMAGE, 7 * IMAGE] {
        let (held, streamed) = both(&folder, memory);
        assert_eq!((held.len(), held.image_shape()), (streamed.len(), streamed.image_shape()));
        assert_eq!((&held.labels, &held.classes), (&streamed.labels, &streamed.classes));
        for size in [1, 7, 60, 100] {
            assert_eq!(whole(held.ordered(size)), whole(streamed.ordered(size)), "of {size}");
            let shuffle = Shuffle { seed: 3, epoch: 1, augment, last: Last::Keep };
            let epoch = |set: &Dataset| whole(set.epoch(set.order(size, &shuffle), shuffle));
            assert_eq!(epoch(&held), epoch(&streamed), "shuffled, of {size}");
        }
        let rows = [59, 0, 30, 30];
        assert_eq!(held.batch(&rows).unwrap(), streamed.batch(&rows).unwrap());
        assert_eq!(held.describe(|_| {}).unwrap(), streamed.describe(|_| {}).unwrap());
        assert_eq!(*held.images.held(), streamed.images.whole().unwrap());
    }
}

#[test]
fn parts_of_a_streamed_set_are_streamed() {
    let (held, streamed) = both(&folder(), IMAGE);
    let parts = |set: &Dataset| {
        let dogs = set.filter_class("dog").unwrap();
        let few = dogs.slice(3, Some(5)).unwrap();
        (whole(dogs.ordered(8)), whole(few.ordered(8)), few.len())
    };
    // `both` keeps no folder: paths are read when they are asked for.
    drop(held);
    assert!(streamed.ordered(8).next().unwrap().is_err());
    let folder = folder();
    let (held, streamed) = both(&folder, IMAGE);
    assert_eq!(parts(&held), parts(&streamed));
}

#[test]
fn saved_streams_are_whole() {
    let folder = folder();
    let (held, streamed) = both(&folder, IMAGE);
    let at = |name: &str| folder.path().join(name);
    held.save_tensors(&at("a.safetensors")).unwrap();
    streamed.save_tensors(&at("b.safetensors")).unwrap();
    assert_eq!(fs::read(at("a.safetensors")).unwrap(), fs::read(at("b.safetensors")).unwrap());
}

#[test]
fn a_bad_file_ends_the_batches_with_its_name() {
    let folder = folder();
    let (_, streamed) = both(&folder, 4 * IMAGE);
    let bad = folder.path().join("cat/20.png");
    for (broken, says) in [("no picture", "as an image"), ("", "as an image")] {
        fs::write(&bad, broken).unwrap();
        let batches: Vec<data::Batch> = streamed.ordered(8).collect();
        assert_eq!(batches.len(), 3, "images 16 to 23 are the third batch, and the last");
        assert!(batches[..2].iter().all(Result::is_ok));
        let message = format!("{:#}", batches[2].as_ref().unwrap_err());
        assert!(message.contains("cat/20.png") && message.contains(says), "{message}");
    }
    image::RgbImage::new(6, 4).save(&bad).unwrap();
    let message = streamed.batch(&[20]).unwrap_err().to_string();
    assert!(message.contains("has 5×4 pixels") && message.contains("20.png` 6×4"), "{message}");
}

#[test]
fn a_reader_that_is_left_ends_its_threads() {
    let folder = folder();
    let (_, streamed) = both(&folder, IMAGE);
    for taken in [0, 1, 3] {
        assert_eq!(streamed.ordered(4).take(taken).count(), taken);
    }
    // Those of tests beside this one end as well.
    let ended = (0..500).any(|_| {
        thread::sleep(Duration::from_millis(20));
        readers() == 0
    });
    assert!(ended, "{} threads are left", readers());
}

/// How many threads of this process read images; 0 where the system does not say.
fn readers() -> usize {
    let Ok(threads) = fs::read_dir("/proc/self/task") else { return 0 };
    let name = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("comm"));
    let names = threads.flatten().flat_map(name);
    names.filter(|name| ["decode", "pack"].contains(&name.trim())).count()
}

#[test]
fn no_more_images_wait_than_there_is_memory_for() {
    let folder = folder();
    let (_, streamed) = both(&folder, 2 * IMAGE);
    let mut batches = streamed.ordered(4);
    let first = batches.next().unwrap().unwrap();
    thread::sleep(Duration::from_millis(300));
    // Read by now, whatever the number of threads: the batch taken, one ready, one packed and waiting for its
    // place, and two images decoded.
    let most = 4 * 3 + 2;
    for file in (most..COUNT / 2).map(|i| folder.path().join(format!("cat/{i:02}.png"))) {
        fs::remove_file(file).unwrap();
    }
    assert_eq!(first.1.size(), [4]);
    let rest: Vec<data::Batch> = batches.collect();
    assert!(rest.last().unwrap().is_err(), "later files had not been read");
}
