//! A pass that exhausts the memory: what is made again, what is kept, and what the user is told.

use super::{Small, WARNINGS, World, assert_same, batch, chunked, metrics, network, unlimited};
use explain::{Attribution, engine::oom};
use models::{Activation, Classifier, Model, Ops};
use std::{
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind},
};
use tch::{Device, Kind, Tensor};

/// A network that has room for `most` images a pass and records the images of each.
struct Full<'a> {
    model: &'a Classifier,
    most: i64,
    passes: RefCell<Vec<i64>>,
}

impl Model for Full<'_> {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        self.passes.borrow_mut().push(x.size()[0]);
        assert!(x.size()[0] <= self.most, "CUDA out of memory. Tried to allocate 2.00 GiB.");
        self.model.forward(x, ops)
    }

    fn activation(&self) -> Option<Activation> {
        self.model.activation()
    }

    fn taps(&self) -> Vec<&str> {
        self.model.taps()
    }
}

fn method(spelled: &str) -> Box<dyn Attribution> {
    explain::parse(spelled).unwrap()
}

#[test]
fn a_smaller_chunk_is_kept_and_told_once() {
    let model = network();
    let full = |most| Full { model: &model, most, passes: RefCell::default() };
    let (batch, narrow) = (unlimited(&batch(&model)), full(7));
    let smooth = method("smoothgrad:samples=4");
    WARNINGS.take();
    let map = smooth.attribute(&narrow, &batch);
    // 24 points do not fit, nor do 12; six do.
    assert_eq!(*narrow.passes.borrow(), [24, 12, 6, 6, 6, 6]);
    let told = WARNINGS.take();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(
        told[1],
        "warning: no memory for passes of 12 images of `smoothgrad:samples=4`; from now on they \
         have 6 at most"
    );
    narrow.passes.take();
    let again = smooth.attribute(&narrow, &unlimited(&batch));
    assert_eq!(*narrow.passes.borrow(), [6; 4], "another batch begins with what fitted");
    assert_same(&[again], &[map], "smoothgrad");
    assert!(WARNINGS.take().is_empty());
    narrow.passes.take();
    let _ = method("gxi").attribute(&narrow, &batch);
    assert_eq!(*narrow.passes.borrow(), [6], "other methods have a limit of their own");
}

#[test]
fn what_was_made_before_a_failure_is_not_made_again() {
    let model = network();
    let batch = chunked(&batch(&model), 4);
    // Room for one pass of four images, then for two.
    let small = Small::new(&model, 2, 1);
    let counted = Counted { model: &small, passes: RefCell::default() };
    let found = method("saliency").attribute(&counted, &batch);
    assert_same(&[found], &[method("saliency").attribute(&model, &batch)], "saliency");
    assert_eq!(*counted.passes.borrow(), [4, 2]);
    // Samples: one pass of three images a sample; after a failure the block is cut.
    let batch = chunked(&batch.narrow(0, 3), 3);
    let small = Small::new(&model, 2, 1);
    let counted = Counted { model: &small, passes: RefCell::default() };
    let spelled = "smoothgrad:samples=2,pairs=false";
    let found = method(spelled).attribute(&counted, &batch);
    assert_same(&[found], &[method(spelled).attribute(&model, &batch)], spelled);
    assert_eq!(*counted.passes.borrow(), [3, 3, 1, 1, 1], "sample 0 is not drawn again");
}

/// Images of each pass.
struct Counted<'a> {
    model: &'a Small<'a>,
    passes: RefCell<Vec<i64>>,
}

impl Model for Counted<'_> {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        self.passes.borrow_mut().push(x.size()[0]);
        self.model.forward(x, ops)
    }

    fn activation(&self) -> Option<Activation> {
        self.model.activation()
    }

    fn taps(&self) -> Vec<&str> {
        self.model.taps()
    }
}

#[test]
fn a_single_image_that_does_not_fit_is_told_by_name() {
    let model = network();
    let batch = unlimited(&batch(&model));
    let full = Full { model: &model, most: 0, passes: RefCell::default() };
    let ended = |work: &dyn Fn()| {
        let panic = catch_unwind(AssertUnwindSafe(work)).unwrap_err();
        oom::given_up(oom::said(&*panic)).unwrap().to_owned()
    };
    let ig = method("ig:points=2");
    let told = ended(&|| drop(ig.attribute(&full, &batch)));
    assert_eq!(told, "not even one image per pass of `ig:points=2` fits");
    assert_eq!(*full.passes.borrow(), [12, 6, 3, 1], "halved, and tried once each");
    let world = World::new(&model, &batch);
    let lipschitz = metrics("lipschitz:samples=2");
    let told = ended(&|| drop(world.measured(&full, &lipschitz, &batch)));
    assert_eq!(told, "not even one image per pass of `lipschitz:samples=2` fits");
    let smooth = method("smooth:inner=gxi,samples=2");
    let told = ended(&|| drop(smooth.attribute(&full, &batch)));
    let [outer, inner] = ["smooth:inner=gxi,samples=2", "gxi"];
    let clause = |name| format!("not even one image per pass of `{name}` fits");
    assert_eq!(told, format!("{}: {}", clause(outer), clause(inner)));
}

#[test]
fn other_failures_are_not_tried_again() {
    struct Broken(Cell<u32>);
    impl Model for Broken {
        fn forward(&self, _x: &Tensor, _ops: &dyn Ops) -> Tensor {
            self.0.set(self.0.get() + 1);
            panic!("index out of range")
        }

        fn activation(&self) -> Option<Activation> {
            Some(Activation::Relu)
        }
    }
    let batch = batch(&network());
    let broken = Broken(Cell::new(0));
    let ended = catch_unwind(AssertUnwindSafe(|| method("gxi").attribute(&broken, &batch)));
    assert_eq!(oom::said(&*ended.unwrap_err()), "index out of range");
    assert_eq!(broken.0.get(), 1);
}

#[test]
fn autograd_is_as_it_was_after_a_failure() {
    let model = network();
    let recorded = || {
        (Tensor::ones([], (Kind::Float, Device::Cpu)).set_requires_grad(true) * 2.).requires_grad()
    };
    let batch = unlimited(&batch(&model));
    // The pass fails within `tch::no_grad`.
    let logits = batch.logits(&Full { model: &model, most: 2, passes: RefCell::default() });
    assert_same(&[logits], &[batch.logits(&model)], "logits");
    assert!(recorded());
    assert!(!tch::no_grad(|| {
        let _ =
            unlimited(&batch).logits(&Full { model: &model, most: 2, passes: RefCell::default() });
        recorded()
    }));
}
