//! Real images as baselines of `ig` and `expected-gradients`, and `square` with every square: against
//! the definitions written out image by image.

use explain::{Attribution, Batch};
use models::{Activation, Model, Ops, Target, noise};
use registry::parse;
use std::{collections::BTreeMap, path::PathBuf};
use tch::{Device, Kind, Tensor};
use tensorfile::TensorFile;

const IMAGE: [i64; 3] = [2, 3, 4];
const D: i64 = 24;

/// One logit, b · tanh(Ax).
struct Network(Tensor, Tensor);

impl Network {
    fn new() -> Self {
        Network(normal(1, &[D, 5]) / 2., normal(2, &[5]))
    }
    /// Its gradient, `[N, C, H, W]`.
    fn slope(&self, x: &Tensor) -> Tensor {
        let units: Tensor = -x.flatten(1, -1).matmul(&self.0).tanh().square() + 1.;
        (units * &self.1).matmul(&self.0.transpose(0, 1)).view_as(x)
    }
}

impl Model for Network {
    fn forward(&self, x: &Tensor, _ops: &dyn Ops) -> Tensor {
        x.flatten(1, -1).matmul(&self.0).tanh().matmul(&self.1).unsqueeze(1)
    }
    fn activation(&self) -> Option<Activation> {
        Some(Activation::Relu)
    }
}

fn normal(key: u64, shape: &[i64]) -> Tensor {
    noise::normal(&[key], shape, Device::Cpu).squeeze_dim(0).to_kind(Kind::Double)
}

fn uniform(key: u64, shape: &[i64]) -> Tensor {
    noise::uniform(&[key], shape, Device::Cpu).squeeze_dim(0)
}

fn batch(n: i64) -> Batch {
    let x = uniform(3, &[&[n], &IMAGE[..]].concat()).to_kind(Kind::Double);
    Batch::new(&x, &Target::logit(&Tensor::zeros([n], (Kind::Int64, Device::Cpu))))
}

/// A file in a folder of its own, gone with the value.
struct Stored(PathBuf);

impl Stored {
    fn new(name: &str, tensors: &[(&str, &Tensor)]) -> Self {
        let folder = std::env::temp_dir().join(format!("baselines-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let tensors = tensors.iter().map(|(name, t)| ((*name).to_owned(), t.shallow_clone()));
        let file = TensorFile { tensors: tensors.collect(), metadata: BTreeMap::new() };
        file.write(&folder.join("images.safetensors")).unwrap();
        Stored(folder)
    }
    fn path(&self) -> String {
        self.0.join("images.safetensors").display().to_string()
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn method(spelled: &str) -> Box<dyn Attribution> {
    explain::parse(spelled).unwrap()
}

fn largest(t: &Tensor) -> f64 {
    t.abs().max().double_value(&[])
}

/// Σ over the midpoint rule's places between two images, `[C, H, W]`.
fn way(network: &Network, from: &Tensor, to: &Tensor, points: i64) -> Tensor {
    let slope = |i: i64| {
        let place = (i as f64 + 0.5) / points as f64;
        network.slope(&(from + (to - from) * place).unsqueeze(0)).get(0)
    };
    (to - from) * (0..points).map(slope).sum::<Tensor>() / points as f64
}

#[test]
fn integrated_gradients_start_at_real_images() {
    let (network, batch) = (Network::new(), batch(3));
    let bytes = (uniform(4, &[5, 2, 3, 4]) * 256.).floor().to_kind(Kind::Uint8);
    let float = bytes.to_kind(Kind::Float) / 255.;
    let labels = Tensor::zeros([5], (Kind::Int64, Device::Cpu));
    let stored = [
        Stored::new("bytes", &[("images", &bytes), ("labels", &labels)]),
        Stored::new("floats", &[("images", &float)]),
    ];
    let double = float.to_kind(Kind::Double);
    for (stored, count) in stored.iter().zip([1, 5]) {
        let path = stored.path();
        let ig = method(&format!("ig:points=4,rule=midpoint,baseline={path},baselines={count}"));
        ig.check(&network, IMAGE).unwrap();
        let map = ig.attribute(&network, &batch);
        let small = Batch { chunk: 2, ..batch.narrow(0, 3) };
        assert!(largest(&(ig.attribute(&network, &small) - &map)) < 1e-12, "two a pass");
        let mut before = Tensor::zeros([3], (Kind::Double, Device::Cpu));
        for n in 0..3 {
            let x = batch.x.get(n);
            let each = (0..count).map(|m| way(&network, &double.get(m), &x, 4));
            let expected = each.sum::<Tensor>() / count as f64;
            assert!(largest(&(map.get(n) - expected)) < 1e-12, "image {n} of {path}");
        }
        for m in 0..count {
            before += network.logits(&double.narrow(0, m, 1)).squeeze_dim(1) / count as f64;
        }
        let sum = map.sum_dim_intlist([1, 2, 3].as_slice(), false, None);
        let gap = network.logits(&batch.x).squeeze_dim(1) - before - sum;
        let told = ig.convergence_delta(&network, &batch, &map).unwrap();
        assert!(largest(&(told - &gap)) < 1e-12 && largest(&gap) > 1e-6, "{path}");
    }
}

#[test]
fn expected_gradients_draw_real_images() {
    let (network, batch) = (Network::new(), batch(2));
    let images = uniform(4, &[5, 2, 3, 4]);
    let stored = Stored::new("drawn", &[("images", &images)]);
    let double = images.to_kind(Kind::Double);
    let spelled = |samples: u64| {
        method(&format!("expected-gradients:samples={samples},baseline={}", stored.path()))
    };
    let map = spelled(7).attribute(&network, &batch);
    let mut seen = vec![];
    for n in 0..2 {
        let (x, key) = (batch.x.get(n), batch.keys[n as usize]);
        let sample = |i: u64| {
            let row = (noise::key(key, noise::name_id("baseline"), i) % 5) as i64;
            seen.push(row);
            let bits = noise::key(key, noise::name_id("place"), i) >> 11;
            let (place, from) = (bits as f64 / (1u64 << 53) as f64, double.get(row));
            let point = &from + (&x - &from) * place;
            (&x - from) * network.slope(&point.unsqueeze(0)).get(0)
        };
        let expected = (0..7).map(sample).sum::<Tensor>() / 7.;
        assert!(largest(&(map.get(n) - expected)) < 1e-12, "image {n}");
    }
    assert!(seen[..7] != seen[7..], "each image has draws of its own: {seen:?}");
    // Their mean: whole ways from every image.
    let limit = |n: i64| {
        let each = (0..5).map(|m| way(&network, &double.get(m), &batch.x.get(n), 200));
        each.sum::<Tensor>() / 5.
    };
    let limit = Tensor::stack(&[limit(0), limit(1)], 0);
    let far = |samples: u64| {
        largest(&(spelled(samples).attribute(&network, &batch) - &limit)) / largest(&limit)
    };
    let [few, many] = [100, 10_000].map(far);
    assert!(many < 0.03 && many < few / 3., "{few} {many}");
    let smooth = spelled(7);
    let flow = smooth.differentiable().unwrap().vjp(&network, &batch, &batch.x);
    assert!(largest(&flow) > 0. && flow.size() == batch.x.size());
}

#[test]
fn files_that_are_no_baselines_are_refused() {
    let ok = uniform(4, &[2, 2, 3, 4]);
    let stored = |name: &str, tensor: &str, t: &Tensor| Stored::new(name, &[(tensor, t)]);
    let nan = Tensor::full([1, 2, 3, 4], f64::NAN, (Kind::Float, Device::Cpu));
    for (file, expected) in [
        (stored("named", "pictures", &ok), "no tensor `images`; the file has: pictures"),
        (stored("flat", "images", &ok.flatten(1, -1)), "it must be [M, C, H, W]"),
        (stored("empty", "images", &ok.narrow(0, 0, 0)), "it must be [M, C, H, W]"),
        (stored("wide", "images", &(&ok * 2.)), "pixels outside [0, 1]"),
        (stored("nan", "images", &nan), "pixels outside [0, 1]"),
        (stored("kind", "images", &ok.to_kind(Kind::Double)), "type Double"),
    ] {
        for name in ["ig", "expected-gradients"] {
            let table = parse(&format!("{name}:baseline={}", file.path())).unwrap();
            let told = format!("{:#}", explain::method(table).err().unwrap());
            assert!(told.contains(expected) && told.contains(&file.path()), "{told}");
        }
    }
    let refused = |spelled: &str| format!("{:#}", explain::parse(spelled).err().unwrap());
    assert!(refused("ig:baseline=gone.safetensors").contains("cannot read `gone.safetensors`"));
    let good = stored("good", "images", &ok);
    let told = refused(&format!("ig:baselines=3,baseline={}", good.path()));
    assert!(told.contains("`baselines` is 3; the file has 2 images"), "{told}");
    let other = method(&format!("ig:baseline={}", good.path())).check(&Network::new(), [3, 3, 4]);
    let told = format!("{:#}", other.unwrap_err());
    assert!(told.contains("are 2x3x4; those explained are 3x3x4"), "{told}");
    let told = refused(&format!("mask:baseline={}", good.path()));
    assert!(told.contains("not a number, `blur`"), "{told}");
}

/// The least-infidelity map over every square of sides 1 to `largest`, one pixel apart; of
/// `contributions` the numbers a pixel's channels add up to, `[H W]`.
fn every_square(
    network: &Network,
    x: &Tensor,
    (largest, ridge): (i64, f64),
    contributions: bool,
) -> (Tensor, usize) {
    let f = |x: &Tensor| network.logits(&x.unsqueeze(0)).double_value(&[0, 0]);
    let (mut rows, mut drops) = (vec![], vec![]);
    for side in 1..=largest {
        for (row, column) in (0..4 - side).flat_map(|r| (0..5 - side).map(move |c| (r, c))) {
            let black = x.copy();
            let _ = black.narrow(1, row, side).narrow(2, column, side).fill_(0.);
            drops.push(f(x) - f(&black));
            rows.push(match contributions {
                false => (x - black).flatten(0, -1),
                true => {
                    let z = Tensor::zeros([3, 4], (Kind::Double, Device::Cpu));
                    let _ = z.narrow(0, row, side).narrow(1, column, side).fill_(1.);
                    z.flatten(0, -1)
                }
            });
        }
    }
    let i = Tensor::stack(&rows, 0);
    let gram = i.transpose(0, 1).matmul(&i);
    let lambda = gram.diag(0).mean(Kind::Double) * ridge;
    let right = i.transpose(0, 1).matmul(&Tensor::from_slice(&drops));
    let whole = Tensor::eye(gram.size()[0], (Kind::Double, Device::Cpu)) * lambda + gram;
    (Tensor::linalg_solve(&whole, &right, true), rows.len())
}

#[test]
fn every_square_is_taken_where_there_are_few() {
    let (network, batch) = (Network::new(), batch(3));
    let map = |options: &str| {
        let square = method(&format!("square:ridge=1e-3{options}"));
        square.check(&network, IMAGE).unwrap();
        square.attribute(&network, &batch)
    };
    for (largest_side, count) in [(1, 12), (2, 18), (3, 20), (9, 20)] {
        let all = map(&format!(",all=true,largest={largest_side}"));
        for n in 0..3 {
            let side = largest_side.min(3);
            let x = batch.x.get(n);
            let (expected, squares) = every_square(&network, &x, (side, 1e-3), false);
            assert_eq!(squares, count);
            let expected = expected.view_as(&x);
            assert!(
                largest(&(all.get(n) - expected)) < 1e-10,
                "image {n}, sides to {largest_side}"
            );
        }
        let enough = map(&format!(",samples={count},largest={largest_side}"));
        assert!(enough.equal(&all), "as many samples as squares");
        let fewer = map(&format!(",samples={},largest={largest_side}", count - 1));
        assert!(largest(&(fewer - &all)) > 1e-6 * largest(&all), "one less: drawn");
        let small = Batch { chunk: 5, ..batch.narrow(0, 3) };
        let parts = method(&format!("square:ridge=1e-3,all=true,largest={largest_side}"));
        assert!(largest(&(parts.attribute(&network, &small) - &all)) < 1e-10, "five a pass");
    }
    let told = explain::parse("square:units=shares").err().unwrap();
    assert!(format!("{told:#}").contains("expected `gradient` or `contribution`"), "{told:#}");
    let told = explain::parse("square:all=true,samples=3").err().unwrap();
    assert!(format!("{told:#}").contains("leave `samples` out"));
    let told = method("square:all=true").check(&network, [3, 224, 224]).unwrap_err();
    assert!(told.to_string().contains("images of 3x224x224 have "), "{told}");
}

#[test]
fn contributions_of_squares_give_black_pixels_their_share() {
    let (network, mut batch) = (Network::new(), batch(3));
    let _ = batch.x.narrow(2, 0, 1).fill_(0.);
    let square = method("square:all=true,largest=3,units=contribution,ridge=1e-3");
    let maps = square.attribute(&network, &batch);
    for n in 0..3 {
        let x = batch.x.get(n);
        let (expected, _) = every_square(&network, &x, (3, 1e-3), true);
        let pixels = maps.get(n).sum_dim_intlist([0i64].as_slice(), false, Kind::Double);
        assert!(largest(&(pixels.flatten(0, -1) - expected)) < 1e-10, "image {n}");
        let first = maps.get(n).narrow(0, 0, 1).expand_as(&x);
        assert!(maps.get(n).equal(&first), "a pixel's channels have equal parts");
    }
    // With hardly a ridge both tell the drops as well as squares can, and where nothing is black
    // they are one map: Φ ⊙ x.
    batch = self::batch(3);
    let both = ["gradient", "contribution"].map(|units| {
        let options = format!("square:all=true,largest=3,ridge=1e-9,units={units}");
        method(&options).attribute(&network, &batch)
    });
    let pixels = |maps: Tensor| maps.sum_dim_intlist([1i64].as_slice(), false, Kind::Double);
    let off = pixels(&both[0] * &batch.x) - pixels(both[1].shallow_clone());
    assert!(largest(&off) < 1e-6 * largest(&both[1]), "{:e}", largest(&off));
}
