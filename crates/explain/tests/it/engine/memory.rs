//! Memory: neither the chunk nor a pass that finds no room and is made again changes a number, for
//! every method and every metric, and no method makes a larger pass than it may.

mod retry;

use explain::{
    Attribution, Batch, METHODS, Metric,
    engine::limit::ChunkLimit,
    metric::{self, Attacked, Case, METRICS, Memo, Randomised, Randomness},
};
use models::{Activation, Classifier, Model, Ops, Score, Target, noise, zoo, zoo::Shape};
use registry::few;
use std::cell::{Cell, RefCell};
use tch::{Device, Kind, Tensor};
use testkit::rule::{filled, images};

/// Rounding in f64; what divides by a small number has more of it.
const NEAR: f64 = 1e-7;

/// A network that counts the images of its largest pass and has room for `most` images a pass from
/// the `after`-th larger one on.
struct Small<'a> {
    model: &'a Classifier,
    most: i64,
    after: Cell<u32>,
    largest: Cell<i64>,
}

impl<'a> Small<'a> {
    fn new(model: &'a Classifier, most: i64, after: u32) -> Self {
        Small { model, most, after: Cell::new(after), largest: Cell::new(0) }
    }
}

impl Model for Small<'_> {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let images = x.size()[0];
        self.largest.set(self.largest.get().max(images));
        if images > self.most {
            assert!(self.after.get() > 0, "CUDA out of memory. Tried to allocate 2.00 GiB.");
            self.after.set(self.after.get() - 1);
        }
        self.model.forward(x, ops)
    }

    fn activation(&self) -> Option<Activation> {
        self.model.activation()
    }

    fn taps(&self) -> Vec<&str> {
        self.model.taps()
    }

    fn nonlinear_only_in_ops(&self) -> bool {
        self.model.nonlinear_only_in_ops()
    }
}

/// In f64: in single precision, rounding moves activations across a ReLU's bend.
fn network() -> Classifier {
    filled(zoo::arch("resnet20").unwrap()).in_f64().frozen()
}

/// Six images of 8×8.
fn batch(model: &dyn Model) -> Batch {
    let x = images(6, &Shape { image: [3, 8, 8], classes: 10 }).to_kind(Kind::Double);
    Batch { chunk: 64, ..Batch::new(&x, &Target::predicted(model, &x, Score::Logit)) }
}

fn chunked(batch: &Batch, chunk: i64) -> Batch {
    Batch { chunk, ..batch.at(&batch.x) }
}

/// With no memory of passes that did not fit.
fn unlimited(batch: &Batch) -> Batch {
    Batch { limit: ChunkLimit::new(warned), ..batch.at(&batch.x) }
}

thread_local! {
    static WARNINGS: RefCell<Vec<String>> = const { RefCell::new(vec![]) };
}

fn warned(line: &str) {
    WARNINGS.with_borrow_mut(|all| all.push(line.to_owned()));
}

fn cotangent(map: &Tensor) -> Tensor {
    let v = noise::normal(&[77], &map.size(), Device::Cpu).squeeze_dim(0).to_kind(map.kind());
    v + map // so that a wrong map makes a wrong product
}

/// The maps, those with logits, and the pull-back where there is one.
fn made(method: &dyn Attribution, model: &dyn Model, batch: &Batch) -> Vec<Tensor> {
    let (map, logits) = method.with_logits(model, batch);
    let mut all = vec![method.attribute(model, batch), map, logits];
    // A gap is what rounding leaves: beside one.
    all.extend(method.convergence_delta(model, batch, &all[0]).map(|gap| gap + 1.));
    if let Some(method) = method.differentiable() {
        let (map, flow) = method.pullback(model, batch, &cotangent);
        all.extend([map, flow]);
    }
    all
}

fn assert_same(found: &[Tensor], expected: &[Tensor], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!(a.isnan().equal(&b.isnan()), "{what}: number {i} is undefined in one of both");
        let [a, b] = [a, b].map(|t| t.nan_to_num(0., 1e300, -1e300));
        // Piecewise linear networks have products that are zero but for rounding.
        let unit = b.abs().max().double_value(&[]).max(1e-3);
        let far = (a - &b).abs().max().double_value(&[]) / unit;
        assert!(far < NEAR, "{what}: number {i} is {far:e} off");
    }
}

#[test]
fn no_chunk_changes_a_map_and_none_is_exceeded() {
    let model = network();
    let batch = batch(&model);
    for (name, method) in few(METHODS, &[]) {
        let whole = made(&*method, &model, &chunked(&batch, 256));
        for chunk in [2, 7, 64] {
            let counted = Small::new(&model, i64::MAX, 0);
            let parts = made(&*method, &counted, &chunked(&batch, chunk));
            assert_same(&parts, &whole, &format!("{name}, chunks of {chunk}"));
            let largest = counted.largest.get();
            assert!(largest <= chunk, "{name}: a pass of {largest} images, not {chunk}");
        }
        let one = made(&*method, &model, &chunked(&batch, 1));
        assert_same(&one, &whole, &format!("{name}, one image a pass"));
    }
}

#[test]
fn memory_that_is_exhausted_half_way_changes_no_map() {
    let model = network();
    let batch = batch(&model);
    let plain = few(METHODS, &[]);
    for after in [0, 1, 2] {
        for ((name, method), (_, expected)) in few(METHODS, &[]).into_iter().zip(&plain) {
            let expected = made(&**expected, &model, &batch);
            let found = made(&*method, &Small::new(&model, 4, after), &unlimited(&batch));
            assert_same(&found, &expected, &format!("{name}, full after {after} passes"));
        }
    }
}

/// What a metric is told beyond its batch.
struct World<'a> {
    model: &'a Classifier,
    method: Box<dyn Attribution>,
    maps: Tensor,
    attacked: (Tensor, Tensor),
    labels: Tensor,
    masks: Tensor,
}

impl<'a> World<'a> {
    fn new(model: &'a Classifier, batch: &Batch) -> Self {
        let method = explain::parse("smoothgrad:samples=3");
        let method = method.unwrap();
        let x = (&batch.x + 0.03).clamp(0., 1.);
        let (n, half) = (batch.x.size()[0], Tensor::arange(64, (Kind::Int64, Device::Cpu)).lt(20));
        World {
            model,
            maps: method.attribute(model, batch),
            attacked: (method.attribute(model, &batch.at(&x)), x),
            method,
            labels: batch.target.class.shallow_clone(),
            masks: half.view([1, 8, 8]).repeat([n, 1, 1]),
        }
    }

    /// The columns of `metrics`, one after the other on the same case, as a command measures them.
    fn measured(
        &self,
        model: &dyn Model,
        metrics: &[Box<dyn Metric>],
        batch: &Batch,
    ) -> Vec<Tensor> {
        let random = [Randomness::Cascade, Randomness::Alone, Randomness::Labels];
        let randomised = random.map(|how| Randomised { how, model });
        let case = Case {
            model,
            method: &*self.method,
            batch,
            maps: &self.maps,
            labels: &self.labels,
            masks: Some(&self.masks),
            attacked: Some(Attacked { x: &self.attacked.1, maps: &self.attacked.0 }),
            randomised: &randomised,
            model_cache: &Memo::default(),
            map_cache: &Memo::default(),
            spreads: &[],
        };
        metrics.iter().flat_map(|metric| metric.measure(&case)).collect()
    }
}

fn metrics(spelled: &str) -> Vec<Box<dyn Metric>> {
    let list = registry::split(spelled);
    list.iter().map(|m| metric::metric(registry::parse(m).unwrap()).unwrap()).collect()
}

/// Every metric with a few samples, and pairs of metrics that share what was found.
fn cases() -> Vec<String> {
    let samples = |name: &str| match name {
        "lipschitz" | "sensitivity" | "gap" => format!("{name}:samples=5"),
        "infidelity" => format!("{name}:samples=5,robust=0.1,robust_samples=3"),
        "deletion" | "insertion" | "preservation" | "relevance" => format!("{name}:steps=5"),
        "faithfulness" => format!("{name}:cells=3"),
        "similarity" => format!("{name}:k=10"),
        "bounds-agarwal21" => format!("{name}:samples=2,repeats=2"),
        "bounds-lim21" => format!("{name}:samples=2,steps=3"),
        "bounds-tan23" => format!("{name}:samples=1,copies=4,draws=1,sigmas=3,cells=3"),
        "bounds-wang20" => format!("{name}:samples=2,draws=2,iterations=2"),
        "bounds-yeh19" => format!("{name}:samples=2,points=2,draws=2"),
        _ => name.to_owned(),
    };
    let pairs = [
        "infidelity:samples=8,scaling=none,infidelity:samples=8",
        "infidelity:samples=8,robust=0.1,infidelity:samples=8,robust=0.1,scaling=none",
        "deletion:steps=5,relevance:steps=5",
        "faithfulness:cells=3,faithfulness:cells=3,values=contribution",
    ];
    METRICS.iter().map(|m| samples(m.name)).chain(pairs.map(str::to_owned)).collect()
}

#[test]
fn no_chunk_changes_a_metric() {
    let model = network();
    let batch = batch(&model);
    let world = World::new(&model, &batch);
    for spelled in cases() {
        let metrics = metrics(&spelled);
        let whole = world.measured(&model, &metrics, &chunked(&batch, 256));
        for chunk in [1, 7, 64] {
            let parts = world.measured(world.model, &metrics, &chunked(&batch, chunk));
            assert_same(&parts, &whole, &format!("{spelled}, chunks of {chunk}"));
        }
    }
}

#[test]
fn memory_that_is_exhausted_half_way_changes_no_metric() {
    let model = network();
    let batch = batch(&model);
    let world = World::new(&model, &batch);
    for spelled in cases() {
        let metrics = metrics(&spelled);
        let whole = world.measured(&model, &metrics, &batch);
        // The later the memory is full, the more is known already.
        for (most, after) in [(4, 0), (4, 1), (4, 2), (4, 3), (20, 1), (4, 6)] {
            let found = world.measured(&Small::new(&model, most, after), &metrics, &batch);
            let what = format!("{spelled}, passes of {most} images after {after} larger ones");
            assert_same(&found, &whole, &what);
        }
    }
}
