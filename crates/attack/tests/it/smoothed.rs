//! The attack on a smoothed map opposite its certificate: on a network where both are known to
//! meet, and on a small one that no certificate may contradict.

use attack::{Beta, SmoothedAttack};
use explain::{
    Attribution, Batch,
    certificate::{Counts, Smoothing, certified, counts, hits, overlap},
};
use models::{
    Activation, Classifier, Model, Ops, Target,
    zoo::{self, Normalisation, Shape},
};
use registry::parse;
use tch::{Device, Kind, Tensor};

/// One logit, Σ c x² / 2: by its gradient c x the first of two pixels is the hotter one in a
/// half-space.
struct Bowl;

impl Model for Bowl {
    fn forward(&self, x: &Tensor, _ops: &dyn Ops) -> Tensor {
        let weights = Tensor::from_slice(&[2f32, 1.]);
        (x.flatten(1, -1).square() * weights / 2.).sum_dim_intlist(
            [1].as_slice(),
            true,
            Kind::Float,
        )
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::Relu)
    }
}

fn saliency() -> Box<dyn Attribution> {
    explain::method(parse("saliency").unwrap()).unwrap()
}

/// What is certain within `radius`, and what the attack leaves there.
fn both(
    (model, found): (&dyn Model, &Counts),
    batch: &Batch,
    (sigma, hottest, radius): (f64, i64, f64),
) -> (f64, f64) {
    let (method, size) = (saliency(), batch.x.size());
    let k = found.chosen.len();
    let lower = certified(found, radius, sigma, 0.001) as f64 / k as f64;
    let attack = SmoothedAttack {
        model,
        method: &*method,
        sigma,
        beta: Beta::fixed(50.),
        iterations: 20,
        samples: 16,
    };
    let index: Vec<i64> = found.chosen.iter().map(|&pixel| pixel as i64).collect();
    let mask = Tensor::zeros([size[2] * size[3]], (Kind::Float, Device::Cpu));
    let mask = mask.index_fill(0, &Tensor::from_slice(&index), 1).view([size[2], size[3]]);
    let change = attack.run(batch, &mask, (radius, &batch.x.zeros_like()), &|| ());
    assert!(change.norm().double_value(&[]) <= radius * (1. + 1e-5));
    let moved = batch.at(&(&batch.x + change));
    let (after, _) = hits((model, &*method), &moved, (sigma, hottest), ("judge", 1000));
    (lower, overlap(&found.chosen, &after))
}

/// The first pixel stays ahead within the distance of the image from the boundary 2x₀ = x₁ and no
/// further.
#[test]
fn both_sides_meet_at_the_boundary_of_a_half_space() {
    let x = Tensor::from_slice(&[0.5f32, 0.9]).view([1, 1, 1, 2]);
    let batch = Batch::new(&x, &Target::logit(&Tensor::from_slice(&[0i64])));
    let smoothing = Smoothing { sigma: 0.04, pilot: 100, tests: 3000 };
    let found = counts((&Bowl, &*saliency()), &batch, (smoothing, &[1], 1), &|| ()).remove(0);
    let distance = 0.1 / 5f64.sqrt();
    for (radius, wanted) in [(0.85, (1., 1.)), (1.15, (0., 0.))] {
        assert_eq!(both((&Bowl, &found), &batch, (0.04, 1, radius * distance)), wanted, "{radius}");
    }
}

#[test]
fn no_attack_finds_less_than_is_certain() {
    let shape = Shape { image: [1, 8, 8], classes: 3 };
    let scale = Normalisation::parse("none", 1).unwrap();
    let model = Classifier::new(zoo::arch("cnn").unwrap(), shape, scale, 3, Device::Cpu).frozen();
    let draw = models::noise::uniform(&[11, 12, 13], &[1, 8, 8], Device::Cpu);
    let smoothing = Smoothing { sigma: 0.15, pilot: 60, tests: 600 };
    let (mut certain, mut moved) = (0., 0.);
    for i in 0..3 {
        let x = draw.narrow(0, i, 1);
        let batch = Batch::new(&x, &Target::predicted(&model, &x, Default::default()));
        let found = counts((&model, &*saliency()), &batch, (smoothing, &[8], 6), &|| ()).remove(0);
        for radius in [0.005, 0.02, 0.3] {
            let (lower, upper) = both((&model, &found), &batch, (0.15, 8, radius));
            assert!(lower <= upper, "image {i}, {radius}: {lower} and {upper}");
            certain += lower;
            moved += 1. - upper;
        }
    }
    assert!(certain > 0. && moved > 0.3, "both say something: {certain}, {moved}");
}
