//! `shapes`: repeatable, independent of how many are drawn, with masks that hold the figure.

use data::{Dataset, Split, load, shapes::Shapes};
use tch::{Kind, Tensor};

fn draw(train: usize, split: Split) -> Dataset {
    Shapes { seed: 3, train, test: 500, pair: None }.generate(split)
}

fn head(tensor: &Tensor, n: i64) -> Tensor {
    tensor.narrow(0, 0, n)
}

#[test]
fn the_same_seed_draws_the_same_set_however_many_there_are() {
    let (few, many) = (draw(7, Split::Train), draw(300, Split::Train));
    assert_eq!(*few.images.held(), head(many.images.held(), 7));
    assert_eq!(few.labels, head(&many.labels, 7));
    assert_eq!(few.masks.unwrap(), head(&many.masks.unwrap(), 7));
    let other = Shapes { seed: 4, train: 7, test: 7, pair: None }.generate(Split::Train);
    assert_ne!(few.images.held(), other.images.held());
}

#[test]
fn no_test_image_is_a_training_image() {
    let (train, test) = (draw(500, Split::Train), draw(1, Split::Test));
    let flat = |set: &Dataset| set.images.held().flatten(1, -1).to_kind(Kind::Float);
    let nearest = (flat(&train).unsqueeze(1) - flat(&test).unsqueeze(0).narrow(1, 0, 50))
        .abs()
        .amax([2], false)
        .min();
    assert!(nearest.double_value(&[]) > 0.0);
}

#[test]
fn every_image_has_a_figure_that_stands_out_inside_its_mask() {
    let set = draw(1000, Split::Train);
    assert_eq!(set.image_shape(), [3, 32, 32]);
    let masks = set.masks.as_ref().unwrap();
    assert_eq!((masks.size(), masks.kind()), (vec![1000, 32, 32], Kind::Bool));
    let area = masks.to_kind(Kind::Float).mean_dim([1, 2].as_slice(), false, Kind::Float);
    assert!(area.min().double_value(&[]) > 0.05, "{}", area.min().double_value(&[]));
    assert!(area.max().double_value(&[]) < 0.6, "{}", area.max().double_value(&[]));
    // The mean colour inside differs from that outside in some channel.
    let inside = masks.unsqueeze(1).to_kind(Kind::Float);
    let x = set.images.held().to_kind(Kind::Float) / 255.0;
    let mean = |m: &Tensor| {
        let sum = |t: &Tensor| t.sum_dim_intlist([2, 3].as_slice(), false, Kind::Float);
        sum(&(&x * m)) / sum(m)
    };
    let apart = (mean(&inside) - mean(&(1.0 - &inside))).abs().amax([1], false);
    assert!(apart.min().double_value(&[]) > 0.2, "{}", apart.min().double_value(&[]));
}

#[test]
fn classes_are_about_equally_frequent() {
    let described = draw(5000, Split::Train).describe(|_| {}).unwrap();
    assert_eq!(described.classes.len(), 10);
    for (class, count) in described.classes {
        assert!((400..=600).contains(&count), "{class}: {count}");
    }
}

#[test]
fn a_linear_model_stays_under_60_percent() {
    let shapes = Shapes::default();
    let (train, test) = (shapes.generate(Split::Train), shapes.generate(Split::Test));
    let flat = |set: &Dataset| set.images.held().flatten(1, -1).to_kind(Kind::Float) / 255.0 - 0.5;
    let (x, y) = (flat(&train), &train.labels);
    let mut weight = Tensor::zeros([3072, 10], (Kind::Float, x.device()));
    let mut bias = Tensor::zeros([10], (Kind::Float, x.device()));
    let onehot = y.one_hot(10).to_kind(Kind::Float);
    for step in 0..100 {
        // Batches of 1,000 in turn, with the gradient of softmax regression written out.
        let cut = |t: &Tensor| t.narrow(0, step % 6 * 1000, 1000);
        let logits = cut(&x).matmul(&weight) + &bias;
        let error = (logits.softmax(1, Kind::Float) - cut(&onehot)) / 1000.0;
        weight -= cut(&x).transpose(0, 1).matmul(&error) * 0.05;
        bias -= error.sum_dim_intlist([0].as_slice(), false, Kind::Float) * 0.05;
    }
    let accuracy = |x: &Tensor, y: &Tensor| {
        let right = (x.matmul(&weight) + &bias).argmax(1, false).eq_tensor(y);
        right.to_kind(Kind::Float).mean(Kind::Float).double_value(&[])
    };
    assert!(accuracy(&x, y) > 0.12, "it learns something: {}", accuracy(&x, y));
    let tested = accuracy(&flat(&test), &test.labels);
    assert!(tested < 0.6, "{tested}");
}

#[test]
fn settings_are_read_from_the_specification() {
    let options = Split::Test.into();
    let set = load("shapes:seed=9,test=12", &options).unwrap();
    assert_eq!((set.len(), set.name.as_str()), (12, "shapes:seed=9,train=6000,test=12"));
    let again = Shapes { seed: 9, train: 1, test: 12, pair: None }.generate(Split::Test);
    assert_eq!(set.images.held(), again.images.held());
    for (bad, told) in [
        ("shapes:sed=9", "unknown field `sed`, expected one of `seed`, `train`, `test`"),
        ("shapes:seed", "`seed` in `shapes:seed`: expected `key=value`"),
        ("shapes:seed=-1", "`shapes:seed=-1`: invalid value: integer `-1`, expected u64 in `seed`"),
        ("shapes:train=0", "`train=0` of `shapes` is not 1 to"),
    ] {
        let message = format!("{:#}", load(bad, &options).unwrap_err());
        assert!(message.contains(told), "{bad}: {message}");
    }
}

#[test]
fn of_a_pair_one_half_makes_the_class() {
    let of = |spec: &str| load(spec, &Split::Test.into()).expect("a set");
    let alone = of("shapes:seed=5,test=9");
    let [left, right] =
        ["left", "right"].map(|half| of(&format!("shapes:seed=5,test=9,pair={half}")));
    assert_eq!(left.images.held().size(), [9, 3, 32, 64]);
    assert_eq!(left.images.held(), right.images.held());
    assert_eq!(
        (left.images.held().narrow(3, 0, 32), &left.labels),
        (alone.images.held().shallow_clone(), &alone.labels)
    );
    assert_ne!(left.labels, right.labels);
    let masks = |set: &Dataset, from: i64| set.masks.as_ref().expect("masks").narrow(2, from, 32);
    assert_eq!(masks(&left, 0), alone.masks.expect("masks"));
    assert!(!bool::try_from(masks(&left, 32).any()).expect("one flag"));
    assert!(!bool::try_from(masks(&right, 0).any()).expect("one flag"));
    assert!(bool::try_from(masks(&right, 32).any()).expect("one flag"));
    assert_eq!(right.name, "shapes:seed=5,train=6000,test=9,pair=right");
    let both = load("shapes:pair=both", &Split::Test.into());
    let told = format!("{:#}", both.expect_err("neither"));
    assert!(told.contains("expected `left` or `right`"), "{told}");
}
