//! Batches and augmentation against a slow reference written image by image.

use data::{Augment, Dataset, Last, Move, Shuffle, Split, shapes::Shapes};
use std::collections::BTreeSet;
use tch::{Kind, Tensor};

fn set(n: usize) -> Dataset {
    Shapes { seed: 1, train: n, test: 1, pair: None }.generate(Split::Train)
}

fn shuffle(augment: Option<Augment>) -> Shuffle {
    Shuffle { seed: 5, epoch: 2, augment, last: Last::Keep }
}

const USUAL: Augment = Augment { crop: 4, flip: true };

/// Pixel by pixel: pad with zeros, cut, mirror.
fn slowly(image: &Tensor, m: &Move, crop: i64) -> Vec<i64> {
    let (c, h, w) = image.size3().unwrap();
    let pixels: Vec<u8> = image.contiguous().view([-1]).try_into().unwrap();
    let mut moved = vec![];
    for channel in 0..c {
        for i in 0..h {
            for j in 0..w {
                let j = if m.flip { w - 1 - j } else { j };
                let (row, column) = (m.row + i - crop, m.column + j - crop);
                let inside = (0..h).contains(&row) && (0..w).contains(&column);
                let at = (channel * h + row) * w + column;
                moved.push(if inside { pixels[at as usize].into() } else { 0 });
            }
        }
    }
    moved
}

#[test]
fn a_whole_batch_moves_as_each_image_would_alone() {
    for (h, w) in [(32, 32), (5, 9)] {
        let images = set(40).images.held().narrow(2, 0, h).narrow(3, 0, w);
        for crop in [0, 1, 4] {
            for flip in [false, true] {
                let augment = Augment { crop, flip };
                let moves: Vec<Move> = (0..40).map(|i| augment.draw(7, 0, i)).collect();
                let moved = augment.apply(&images, &moves);
                for (i, m) in moves.iter().enumerate() {
                    let expected = slowly(&images.get(i as i64), m, crop);
                    let image = moved.get(i as i64).to_kind(Kind::Int64).contiguous();
                    assert_eq!(Vec::<i64>::try_from(image.view([-1])).unwrap(), expected);
                }
            }
        }
    }
}

#[test]
fn offsets_cover_the_whole_range_and_half_is_mirrored() {
    let moves: Vec<Move> = (0..4000).map(|i| USUAL.draw(0, 0, i)).collect();
    let all: BTreeSet<i64> = (0..=8).collect();
    assert_eq!(moves.iter().map(|m| m.row).collect::<BTreeSet<_>>(), all);
    assert_eq!(moves.iter().map(|m| m.column).collect::<BTreeSet<_>>(), all);
    let pairs: BTreeSet<_> = moves.iter().map(|m| (m.row, m.column, m.flip)).collect();
    assert_eq!(pairs.len(), 162, "rows, columns and flips are independent");
    let mirrored = moves.iter().filter(|m| m.flip).count();
    assert!((1800..2200).contains(&mirrored), "{mirrored}");
}

#[test]
fn an_epoch_is_a_function_of_seed_and_number() {
    let set = set(50);
    let all = |shuffle| -> Vec<_> {
        set.epoch(set.order(16, &shuffle), shuffle).map(Result::unwrap).collect()
    };
    let usual = shuffle(Some(USUAL));
    assert_eq!(all(usual), all(usual));
    assert_ne!(all(usual)[0].0, all(Shuffle { epoch: 3, ..usual })[0].0);
    assert_ne!(all(usual)[0].0, all(Shuffle { seed: 6, ..usual })[0].0);
    // The draws belong to the image: another batch size moves each image the same way.
    let whole = set.epoch(set.order(50, &usual), usual).next().unwrap().unwrap().0;
    let parts: Vec<Tensor> = all(usual).into_iter().map(|(x, _)| x).collect();
    assert_eq!(whole, Tensor::cat(&parts, 0));
}

#[test]
fn an_epoch_holds_every_image_once() {
    let set = set(50);
    let sizes = |last| {
        let shuffle = Shuffle { last, ..shuffle(None) };
        let batches = set.epoch(set.order(16, &shuffle), shuffle).map(Result::unwrap);
        batches.map(|(x, y)| (x.size()[0], y.size()[0])).collect::<Vec<_>>()
    };
    assert_eq!(sizes(Last::Keep), [(16, 16), (16, 16), (16, 16), (2, 2)]);
    assert_eq!(sizes(Last::Drop), [(16, 16), (16, 16), (16, 16)]);
    let mut order = set.order(16, &shuffle(None)).concat();
    assert_ne!(order, (0..50).collect::<Vec<_>>());
    order.sort();
    assert_eq!(order, (0..50).collect::<Vec<_>>());
}

#[test]
fn without_augmentation_pixels_are_only_scaled() {
    let set = set(20);
    let off = Augment { crop: 0, flip: false };
    for augment in [None, Some(off)] {
        let shuffle = shuffle(augment);
        let numbers = set.order(20, &shuffle).concat();
        let (x, y) = set.epoch(vec![numbers.clone()], shuffle).next().unwrap().unwrap();
        let index = Tensor::from_slice(&numbers);
        assert_eq!(x, set.images.held().index_select(0, &index).to_kind(Kind::Float) / 255.0);
        assert_eq!(y, set.labels.index_select(0, &index));
        assert_eq!((x, y), set.batch(&numbers).unwrap());
    }
}

#[test]
fn evaluation_goes_in_order_and_keeps_the_rest() {
    let set = set(10);
    let batches: Vec<_> = set.ordered(4).map(Result::unwrap).collect();
    assert_eq!(batches.iter().map(|(x, _)| x.size()[0]).collect::<Vec<_>>(), [4, 4, 2]);
    let (x, y): (Vec<_>, Vec<_>) = batches.into_iter().unzip();
    assert_eq!(Tensor::cat(&x, 0), set.images.held().to_kind(Kind::Float) / 255.0);
    assert_eq!(Tensor::cat(&y, 0), set.labels);
}

#[test]
fn slices_are_views_that_are_never_empty() {
    let set = set(10);
    let part = set.slice(3, Some(4)).unwrap();
    assert_eq!(*part.images.held(), set.images.held().narrow(0, 3, 4));
    assert_eq!(part.masks.unwrap(), set.masks.as_ref().unwrap().narrow(0, 3, 4));
    assert_eq!(set.slice(8, Some(100)).unwrap().len(), 2);
    assert_eq!(set.slice(0, None).unwrap().len(), 10);
    let told = |offset, limit| set.slice(offset, limit).unwrap_err().to_string();
    assert!(told(10, None).contains("offset 10 is past the last of the 10 images"));
    assert!(told(0, Some(0)).contains("a limit of 0"));
}

#[test]
fn a_description_counts_and_measures() {
    let set = set(60);
    let described = set.describe(|_| {}).unwrap();
    assert_eq!(described.classes.iter().map(|(_, n)| n).sum::<usize>(), 60);
    let x = set.images.held().to_kind(Kind::Double) / 255.0;
    for (c, channel) in described.channels.iter().enumerate() {
        let (std, mean) = x.select(1, c as i64).std_mean(false);
        assert!((channel.mean - mean.double_value(&[])).abs() < 1e-6);
        assert!((channel.std - std.double_value(&[])).abs() < 1e-6);
        assert_eq!(channel.max, x.select(1, c as i64).max().double_value(&[]) as f32 as f64);
    }
    assert!(described.to_string().starts_with("shapes:seed=1,train=60,test=1: 60 images 3×32×32"));
    assert!(Augment { crop: -1, flip: true }.check().is_err());
}
