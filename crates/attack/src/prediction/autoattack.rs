//! Robust accuracy under attacks run one after the other, each on the images that the ones before
//! it left right (AutoAttack, Croce & Hein 2020), and what makes such a number untrustworthy.

use super::{
    adversary::{Adversary, AttackInput},
    attempts::{seen, still_correct},
    loss::cross_entropy,
};
use crate::Best;
use anyhow::{Context, Result};
use models::grad::value_and_grad;
use serde::Serialize;
use tch::{Kind, Tensor};

/// An attack and what it is called in tables.
pub struct NamedAdversary {
    /// What it is called; also keys its draws.
    pub name: String,
    /// The attack.
    pub adversary: Box<dyn Adversary>,
}

/// Several attacks under one name, each with its defaults.
pub const SELECTIONS: &[(&str, &[&str])] = &[
    // AutoAttack's.
    ("standard", &["apgd-ce", "apgd-t", "fab-t", "square"]),
    // A few minutes where `standard` takes an hour, and for networks of 3 classes.
    ("quick", &["apgd-ce", "apgd-dlr", "square"]),
];

/// The attacks of one of [`SELECTIONS`]; none where it is no name of one.
pub fn selection(name: &str) -> Option<Vec<NamedAdversary>> {
    let (_, names) = SELECTIONS.iter().find(|(known, _)| *known == name)?;
    let named = |name: &&str| {
        let table = registry::parse(name).and_then(super::adversary);
        NamedAdversary { name: (*name).into(), adversary: table.expect("defaults are in range") }
    };
    Some(names.iter().map(named).collect())
}

/// Errors: an attack that a network with so many classes cannot be attacked with.
pub fn check(attacks: &[NamedAdversary], classes: i64) -> Result<()> {
    attacks.iter().try_for_each(|named| {
        named.adversary.check(classes).with_context(|| format!("attack `{}`", named.name))
    })
}

/// What became of a batch.
#[derive(Debug)]
pub struct Robustness {
    /// Images of the ball, `[N, C, H, W]`; the wrong one where an attack found it.
    pub adversarial: Tensor,
    /// Whether the network is right without an attack, bool `[N]`.
    pub clean: Tensor,
    /// Whether it is right after every attack, bool `[N]`.
    pub robust: Tensor,
    /// Counts, to be merged over batches.
    pub summary: Summary,
}

/// Counts of images; [`Summary::merge`] adds those of another batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Images.
    pub images: u64,
    /// Right without an attack.
    pub clean: u64,
    /// Right after every attack.
    pub robust: u64,
    /// Each attack in its order.
    pub attacks: Vec<Tally>,
    /// Right images whose cross-entropy has a gradient of exactly zero in every pixel.
    pub no_gradient: u64,
    /// Whether the same images gave other logits the second time.
    pub random_output: bool,
    /// Images that only a black-box attack broke, after attacks with gradients had failed.
    pub black_box_only: u64,
}

/// What one attack did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Its name.
    pub name: String,
    /// Whether it used no gradient.
    pub black_box: bool,
    /// Images it was given.
    pub given: u64,
    /// Images it broke.
    pub broke: u64,
}

impl Summary {
    /// Adds the counts of another batch under the same attacks.
    pub fn merge(&mut self, other: &Summary) {
        if self.attacks.is_empty() {
            self.attacks.clone_from(&other.attacks);
        } else {
            for (here, there) in self.attacks.iter_mut().zip(&other.attacks) {
                here.given += there.given;
                here.broke += there.broke;
            }
        }
        self.images += other.images;
        self.clean += other.clean;
        self.robust += other.robust;
        self.no_gradient += other.no_gradient;
        self.random_output |= other.random_output;
        self.black_box_only += other.black_box_only;
    }
}

/// Attacks the images of `input` by each of `attacks` in turn. [`check`] comes first. `tick` is
/// called after every attack.
pub fn run(input: &AttackInput, attacks: &[NamedAdversary], mut tick: impl FnMut()) -> Robustness {
    let (mut all, mut summary) = unattacked(input);
    let clean = all.success.logical_not();
    let mut white_box_tried = false;
    for NamedAdversary { name, adversary } in attacks {
        let open = still_correct(&all);
        let black_box = adversary.black_box();
        let mut tally = Tally { name: name.clone(), black_box, given: open.len() as u64, broke: 0 };
        if !open.is_empty() {
            let mut part = input.pick(&open);
            part.keys = part.keyed(name, 0);
            let images = adversary.attack(&part);
            let found = judge(&part, &images);
            tally.broke = count(&found.success);
            all.put(&open, &found);
        }
        if black_box && white_box_tried {
            summary.black_box_only += tally.broke;
        }
        white_box_tried |= !black_box;
        summary.attacks.push(tally);
        tick();
    }
    let robust = all.success.logical_not();
    summary.robust = count(&robust);
    Robustness { adversarial: all.images, clean, robust, summary }
}

/// The clean images, and all that is known before the first attack.
fn unattacked(input: &AttackInput) -> (Best, Summary) {
    let mut first = None;
    let (_, g) = value_and_grad(&input.x, |x| {
        let logits = input.model.logits(x);
        first = Some(logits.detach());
        cross_entropy(&logits, &input.y)
    });
    let first = first.expect("the network has just been asked");
    let again = tch::with_grad(|| input.model.logits(&input.x)).detach();
    let clean = judged(input, &input.x, &first);
    let flat = g.abs().flatten(1, -1).amax([1].as_slice(), false).eq(0.);
    let summary = Summary {
        images: input.keys.len() as u64,
        clean: count(&clean.success.logical_not()),
        no_gradient: count(&flat.logical_and(&clean.success.logical_not())),
        random_output: differ(&first, &again),
        ..Summary::default()
    };
    (clean, summary)
}

/// Whether logits differ by more than the order of a sum can explain.
fn differ(a: &Tensor, b: &Tensor) -> bool {
    let far = (a - b).abs().max() - a.abs().max() * 1e-4;
    far.double_value(&[]) > 0.
}

fn judge(input: &AttackInput, x: &Tensor) -> Best {
    judged(input, x, &tch::no_grad(|| input.model.logits(x)))
}

fn judged(input: &AttackInput, x: &Tensor, logits: &Tensor) -> Best {
    let wrong = logits.argmax(1, false).ne_tensor(&input.y);
    seen(x, &cross_entropy(logits, &input.y), &wrong)
}

fn count(which: &Tensor) -> u64 {
    which.sum(Kind::Int64).int64_value(&[]) as u64
}

/// Why a robust accuracy is to be distrusted and what to try, one sentence each.
pub fn warnings(summary: &Summary) -> Vec<String> {
    let mut told = vec![];
    let Summary { no_gradient, black_box_only, clean, .. } = summary;
    if *no_gradient > 0 {
        told.push(format!(
            "the cross-entropy has no gradient at {no_gradient} of {clean} correctly classified \
             images, where attacks that follow it cannot start: the robust accuracy may be too \
             high; compare `apgd-dlr`, `square` and a run with the logits scaled down"
        ));
    }
    if summary.random_output {
        told.push(
            "the network answers the same images differently each time, so an attack sees noise \
             and the robust accuracy is itself random: attack the average of several passes, or \
             the network with its randomness switched off"
                .into(),
        );
    }
    if *black_box_only > 0 {
        told.push(format!(
            "an attack without gradients broke {black_box_only} images that gradient attacks could \
             not, a sign of masked gradients: the true robust accuracy is probably lower; try \
             `apgd-t`, more restarts and more queries"
        ));
    }
    told
}
