//! Training passes with shared statistics, in f64: two processes with half of a batch each give
//! the gradients and the running statistics of one with all of it, in every network that has norms.

use models::{
    Classifier, Model, Precision, Shared, SyncTraining, Training, grad, noise,
    zoo::{ARCHS, Arch, Normalisation, Shape},
};
use std::{
    collections::BTreeMap,
    sync::{Barrier, Mutex},
};
use tch::{Device, Kind, Tensor};

const IMAGES: i64 = 6;

/// The side of images: small, for there are large networks among them.
fn side(arch: &Arch) -> i64 {
    arch.sides.0.max(8)
}

fn network(arch: &'static Arch) -> Classifier {
    let shape = Shape { image: [3, side(arch), side(arch)], classes: 10 };
    let normalisation = Normalisation::parse("0.5/0.25", 3).unwrap();
    Classifier::new(arch, shape, normalisation, 1, Device::Cpu).in_f64()
}

fn batch(arch: &Arch) -> (Tensor, Tensor) {
    let keys: Vec<u64> = (0..IMAGES as u64).collect();
    let shape = [3, side(arch), side(arch)];
    let x = noise::uniform(&keys, &shape, Device::Cpu).to_kind(Kind::Double);
    (x, Tensor::arange(IMAGES, (Kind::Int64, Device::Cpu)))
}

/// Two passes, as an objective may make, of which both losses count.
fn loss(logits: impl Fn(&Tensor) -> Tensor, x: &Tensor, y: &Tensor) -> Tensor {
    let of = |x: &Tensor| grad::cross_entropy(&logits(x), y).mean(Kind::Double);
    of(x) + of(&x.square()) * 0.5
}

/// Gradients and running statistics, by name.
fn left(
    model: &Classifier,
    gradients: impl FnOnce(&[Tensor]) -> Vec<Tensor>,
) -> BTreeMap<String, Tensor> {
    let (names, weights): (Vec<_>, Vec<_>) = model.params().weights().into_iter().unzip();
    let gradients = names.into_iter().zip(gradients(&weights));
    gradients.chain(model.params().statistics()).collect()
}

fn alone(arch: &'static Arch) -> BTreeMap<String, Tensor> {
    let (model, (x, y)) = (network(arch), batch(arch));
    let ops = Training { precision: Precision::F32 };
    let total = loss(|x| model.forward(x, &ops), &x, &y);
    left(&model, |weights| Tensor::run_backward(&[total], weights, false, false))
}

/// The sum over threads that all come here.
fn meet(all: &Mutex<Vec<Tensor>>, barrier: &Barrier, own: &Tensor) -> Tensor {
    all.lock().unwrap().push(own.copy());
    barrier.wait();
    let sum = all.lock().unwrap().iter().fold(own.zeros_like(), |sum, t| sum + t);
    if barrier.wait().is_leader() {
        all.lock().unwrap().clear();
    }
    barrier.wait();
    sum
}

/// What each of the processes is left with: thread `i` has the images `parts[i]`, from and how many;
/// one that has none takes all of them without counting.
fn together(arch: &'static Arch, parts: &[(i64, i64)]) -> Vec<BTreeMap<String, Tensor>> {
    let (all, barrier) = (Mutex::new(vec![]), Barrier::new(parts.len()));
    let rank = |&(from, count): &(i64, i64)| {
        let (model, (x, y)) = (network(arch), batch(arch));
        let (from, taken) = if count > 0 { (from, count) } else { (0, IMAGES) };
        let (x, y) = (x.narrow(0, from, taken), y.narrow(0, from, taken));
        let sum = |t: &Tensor| meet(&all, &barrier, t);
        let tape = SyncTraining::new(&sum, count > 0);
        let precision = Precision::F32;
        let ops = Shared { precision, tape: &tape };
        let total = loss(|x| model.forward(x, &ops), &x, &y);
        let total = total * (count as f64 / IMAGES as f64);
        left(&model, |weights| tape.gradients(&total, weights))
    };
    std::thread::scope(|scope| {
        let started: Vec<_> = parts.iter().map(|part| scope.spawn(move || rank(part))).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn assert_near(arch: &'static Arch, parts: &[(i64, i64)], expected: &BTreeMap<String, Tensor>) {
    let ranks = together(arch, parts);
    for (name, expected) in expected {
        let found = if name.contains("running") {
            let first = &ranks[0][name];
            assert!(ranks.iter().all(|rank| rank[name].equal(first)), "{}: `{name}`", arch.name);
            first.shallow_clone()
        } else {
            ranks.iter().fold(expected.zeros_like(), |sum, rank| sum + &rank[name])
        };
        let scale = expected.abs().max().double_value(&[]).max(1.);
        let apart = (&found - expected).abs().max().double_value(&[]) / scale;
        assert!(apart < 1e-10, "{}: `{name}` differs by {apart:e}", arch.name);
    }
}

#[test]
fn two_processes_are_one() {
    for arch in ARCHS {
        let expected = alone(arch);
        if expected.keys().any(|name| name.ends_with("running_mean")) {
            assert_near(arch, &[(0, 3), (3, 3)], &expected);
        }
    }
}

#[test]
fn parts_may_be_uneven_and_empty() {
    let arch = ARCHS.iter().find(|arch| arch.name == "resnet20").unwrap();
    assert_near(arch, &[(0, 5), (5, 0), (5, 1)], &alone(arch));
}
