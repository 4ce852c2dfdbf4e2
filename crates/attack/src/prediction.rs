//! Attacks on predictions: from images and labels to images of the ball that the network gets
//! wrong. Whole batches; between attempts the images that are broken already are left out.

use crate::{Ball, Loss, Square, apgd, pgd};
use anyhow::Result;
use models::{
    Model,
    grad::value_and_grad,
    noise,
    registry::{self, Entry},
};
use std::cell::RefCell;
use tch::Tensor;
use toml::Table;

/// An attack on predictions.
pub trait Adversary {
    /// Images of the case's ball and in [0, 1], `[N, C, H, W]`. A misclassified image beats any that
    /// is not; an image that is wrong without an attack stays as it is.
    fn attack(&self, case: &Case) -> Tensor;

    /// Errors: settings or losses that a network with so many classes cannot be attacked with.
    /// To be asked before the first attack.
    fn check(&self, classes: i64) -> Result<()>;

    /// Whether it sees the network's outputs only, never a gradient.
    fn black_box(&self) -> bool {
        false
    }
}

/// Every attack on predictions, sorted by name.
pub const ADVERSARIES: &[Entry<dyn Adversary>] = &[
    Entry {
        name: "apgd-ce",
        about: "Auto-PGD on the cross-entropy (Croce & Hein 2020); steps=100, restarts=1",
        options: registry::Described::NONE,
        build: |t| apgd::Away::build(t, Loss::Ce),
    },
    Entry {
        name: "apgd-dlr",
        about: "Auto-PGD on the difference of logits ratio, 3 classes at least (Croce & Hein \
                2020); steps=100, restarts=1",
        options: registry::Described::NONE,
        build: |t| apgd::Away::build(t, Loss::Dlr),
    },
    Entry {
        name: "apgd-t",
        about: "Auto-PGD on the targeted DLR towards each of the 9 strongest other classes, 4 \
                classes at least (Croce & Hein 2020); steps=100, restarts=1 a class",
        options: registry::Described::NONE,
        build: apgd::Towards::build,
    },
    Entry {
        name: "fgsm",
        about: "one step of the whole radius along the cross-entropy's gradient (Goodfellow et \
                al. 2015); no options",
        options: registry::Described::NONE,
        build: |t| Ok(Box::new(registry::options::<pgd::Fgsm>(t)?)),
    },
    Entry {
        name: "pgd",
        about: "projected gradient ascent (Madry et al. 2018), best iterate; steps=20, step_size \
                (default 2.5 eps/steps; 2/255), restarts=1, random_start=true, loss=ce|dlr, \
                targeted=false (a random other class per image), target=CLASS",
        options: registry::Described::NONE,
        build: |t| Ok(Box::new(pgd::Projected::parse(t)?)),
    },
    Entry {
        name: "square",
        about: "random search with squares, black box (Andriushchenko et al. 2020); queries=5000",
        options: registry::Described::NONE,
        build: |t| Ok(Box::new(Square::parse(t)?)),
    },
];

/// The attack that `table` (`name` and options) asks for.
pub fn adversary(table: Table) -> Result<Box<dyn Adversary>> {
    registry::build("attack", ADVERSARIES, table)
}

/// What an attack is given, in one piece, so that images can be left out.
pub struct Case<'a> {
    /// The network that is attacked.
    pub model: &'a dyn Model,
    /// Clean images in [0, 1], `[N, C, H, W]`.
    pub x: Tensor,
    /// Labels, i64 `[N]`.
    pub y: Tensor,
    /// How far the images may be moved.
    pub ball: Ball,
    /// One key per image seeds its draws, `[N]`.
    pub keys: Vec<u64>,
}

impl<'a> Case<'a> {
    /// Images and labels for `model` in `ball`, one key per image.
    pub fn new(model: &'a dyn Model, (x, y): (&Tensor, &Tensor), ball: Ball, keys: &[u64]) -> Self {
        let (x, y) = (x.detach(), y.shallow_clone());
        Case { model, x, y, ball, keys: keys.to_vec() }
    }

    /// How many classes the network knows: one pass with one image.
    pub(crate) fn classes(&self) -> i64 {
        tch::no_grad(|| self.model.logits(&self.x.narrow(0, 0, self.x.size()[0].min(1)))).size()[1]
    }

    /// The images with these numbers.
    pub(crate) fn pick(&self, index: &[i64]) -> Self {
        let at = Tensor::from_slice(index).to_device(self.x.device());
        let keys = index.iter().map(|&i| self.keys[i as usize]).collect();
        let of = |t: &Tensor| t.index_select(0, &at);
        Case { model: self.model, x: of(&self.x), y: of(&self.y), ball: self.ball, keys }
    }

    /// A key per image for draw number `draw` of what is called `name`.
    pub(crate) fn keyed(&self, name: &str, draw: u32) -> Vec<u64> {
        let name = noise::name_id(name);
        self.keys.iter().map(|&key| noise::key(key, u64::from(draw), name)).collect()
    }
}

/// Per image the best that was seen: images, their losses `[N]`, whether they are wrong, bool `[N]`.
pub(crate) struct Seen {
    pub(crate) images: Tensor,
    pub(crate) value: Tensor,
    pub(crate) wrong: Tensor,
}

impl Seen {
    /// The clean images, below every loss.
    fn clean(case: &Case) -> Self {
        let logits = tch::no_grad(|| case.model.logits(&case.x));
        let value = logits.select(1, 0).full_like(f64::NEG_INFINITY);
        let wrong = logits.argmax(1, false).ne_tensor(&case.y);
        Seen { images: case.x.shallow_clone(), value, wrong }
    }

    /// Takes what is better: wrong instead of right, else the larger loss.
    fn keep(&mut self, other: &Seen) {
        let gained = other.wrong.logical_and(&self.wrong.logical_not());
        let lost = self.wrong.logical_and(&other.wrong.logical_not());
        let larger = other.value.greater_tensor(&self.value);
        self.take(other, &gained.logical_or(&larger.logical_and(&lost.logical_not())));
    }

    /// Takes the images of `other` where `which`, bool `[N]`.
    pub(crate) fn take(&mut self, other: &Seen, which: &Tensor) {
        self.images = other.images.where_self(&which.view([-1, 1, 1, 1]), &self.images);
        self.value = other.value.where_self(which, &self.value);
        self.wrong = other.wrong.where_self(which, &self.wrong);
    }

    /// Numbers of the images that are still right. Waits for the device.
    pub(crate) fn open(&self) -> Vec<i64> {
        let open = self.wrong.logical_not().nonzero().view(-1);
        Vec::try_from(open).expect("numbers in one dimension")
    }

    pub(crate) fn pick(&self, index: &[i64]) -> Self {
        let at = Tensor::from_slice(index).to_device(self.images.device());
        let of = |t: &Tensor| t.index_select(0, &at);
        Seen { images: of(&self.images), value: of(&self.value), wrong: of(&self.wrong) }
    }

    /// Puts `part` back where [`Seen::pick`] took it.
    pub(crate) fn put(&mut self, index: &[i64], part: &Seen) {
        let at = Tensor::from_slice(index).to_device(self.images.device());
        self.images = self.images.index_copy(0, &at, &part.images);
        self.value = self.value.index_copy(0, &at, &part.value);
        self.wrong = self.wrong.index_copy(0, &at, &part.wrong);
    }
}

/// Makes up to `n` attempts on each image that is still right; the best images `[N, C, H, W]`.
pub(crate) fn attempts(case: &Case, n: u32, once: impl Fn(u32, &Case) -> Seen) -> Tensor {
    let mut best = Seen::clean(case);
    for attempt in 0..n {
        let open = best.open();
        if open.is_empty() {
            break;
        }
        let mut part = best.pick(&open);
        part.keep(&once(attempt, &case.pick(&open)));
        best.put(&open, &part);
    }
    best.images
}

/// A loss of the network's logits as an objective that remembers the best images it was shown.
pub(crate) struct Watch<'a> {
    case: &'a Case<'a>,
    loss: &'a dyn Fn(&Tensor) -> Tensor,
    seen: RefCell<Option<Seen>>,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(case: &'a Case<'a>, loss: &'a dyn Fn(&Tensor) -> Tensor) -> Self {
        Watch { case, loss, seen: RefCell::new(None) }
    }

    /// Values `[N]` at the images `x` and the gradient of their sum.
    pub(crate) fn look(&self, x: &Tensor) -> (Tensor, Tensor) {
        let mut class = None;
        let (value, g) = value_and_grad(x, |x| {
            let logits = self.case.model.logits(x);
            class = Some(logits.detach().argmax(1, false));
            (self.loss)(&logits)
        });
        self.note(x, &value, &class.expect("the network has just been asked"));
        (value, g)
    }

    /// Looks without a gradient.
    pub(crate) fn glance(&self, x: &Tensor) {
        let logits = tch::no_grad(|| self.case.model.logits(x));
        self.note(x, &(self.loss)(&logits), &logits.argmax(1, false));
    }

    fn note(&self, x: &Tensor, value: &Tensor, class: &Tensor) {
        let wrong = class.ne_tensor(&self.case.y);
        let new = Seen { images: x.detach(), value: value.shallow_clone(), wrong };
        match &mut *self.seen.borrow_mut() {
            Some(seen) => seen.keep(&new),
            none => *none = Some(new),
        }
    }

    pub(crate) fn seen(self) -> Seen {
        self.seen.into_inner().expect("every attack looks at its start")
    }
}
