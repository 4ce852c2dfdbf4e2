//! Networks whose smoothed maps are known.

use crate::of::Of;
use explain::{
    Batch,
    certificate::{
        Counts, Smoothing, State, certified, counts, hits, overlap, prediction_radius,
        probability::normal, states,
    },
};
use models::Target;
use registry::parse;
use tch::{Kind, Tensor};

fn image(pixels: &[f32]) -> Batch {
    let x = Tensor::from_slice(pixels).view([1, 1, 1, pixels.len() as i64]);
    Batch::new(&x, &Target::logit(&Tensor::from_slice(&[0i64])))
}

fn counted(
    spec: &str,
    batch: &Batch,
    f: impl Fn(&Tensor) -> Tensor,
    tests: u64,
    sigma: f64,
) -> Counts {
    let method = explain::method(parse(spec).unwrap()).unwrap();
    let smoothing = Smoothing { sigma, pilot: 100, tests };
    counts((&Of(f), &*method), batch, (smoothing, &[1], 1), &|| ()).remove(0)
}

/// f = 2x₀ + x₁ and gradient × input: the first pixel is the hotter one where 2x₀ > x₁, a
/// half-space, for which the bound is exact. Its chance is Φ(d/σ) for the distance d of the image
/// from the boundary.
#[test]
fn a_half_space_is_certified_up_to_its_distance() {
    let sigma = 0.02;
    let batch = image(&[0.5, 0.9]);
    let distance = (2. * 0.5 - 0.9) / 5f64.sqrt();
    let f = |x: &Tensor| x.select(1, 0) * 2. + x.select(1, 1);
    let tests = 4000;
    let found = counted("gxi", &batch, f, tests, sigma);
    assert_eq!(found.chosen, [0]);
    let chance = normal(distance / sigma);
    let spread = 5. * (chance * (1. - chance) / tests as f64).sqrt();
    assert!((found.hits[0] as f64 / tests as f64 - chance).abs() < spread, "{:?}", found.hits);
    assert_eq!(found.hits[0] + found.hits[1], tests);
    let at = |radius: f64| certified(&found, radius, sigma, 0.001);
    assert_eq!(at(0.8 * distance), 1, "{distance}");
    assert_eq!(at(distance), 0);
    assert_eq!(states(&found, 0.75, 0.001), [State::In, State::Out]);
}

/// A map that no image changes: everything is certain as far as so many samples can tell, and no
/// further.
#[test]
fn a_constant_map_is_certified_as_far_as_samples_tell() {
    let f = |x: &Tensor| x.select(1, 0) * 3. + x.select(1, 1) - x.select(1, 2);
    let batch = image(&[0.1, 0.2, 0.3]);
    let of = |tests| counted("saliency", &batch, f, tests, 0.1);
    let (few, many) = (of(200), of(2000));
    assert_eq!(few.hits, [200, 0, 0]);
    let furthest = |counts: &Counts| {
        let radii = (1..100).map(|i| f64::from(i) * 0.01);
        radii.take_while(|&r| certified(counts, r, 0.1, 0.001) == 1).count()
    };
    assert!(furthest(&few) > 5 && furthest(&many) > furthest(&few));
    assert!(furthest(&many) < 60, "{}", furthest(&many));
    let radius = prediction_radius(many.class.1, many.tests, 0.1, 0.001);
    assert_eq!((many.class, radius > 0.2), ((0, 2000), true));
}

/// A map that is zero everywhere has no hottest pixels: nothing of it is certain but that they are
/// out.
#[test]
fn no_map_is_not_a_robust_one() {
    let f = |x: &Tensor| x.select(1, 0) * 0. + 1.;
    let found = counted("saliency", &image(&[0.1, 0.2, 0.3]), f, 500, 0.1);
    assert_eq!(found.hits, [0, 0, 0]);
    assert_eq!(certified(&found, 0., 0.1, 0.001), 0);
    assert_eq!(states(&found, 0.75, 0.001), [State::Out; 3]);
    // Nor are maps of keys alone.
    let found = counted("random", &image(&[0.1, 0.2, 0.3]), f, 500, 0.1);
    assert_eq!(certified(&found, 0.05, 0.1, 0.001), 0);
}

#[test]
fn chunks_change_nothing_and_draws_do() {
    let f = |x: &Tensor| (x * 3.).sin().sum_dim_intlist([1].as_slice(), false, Kind::Float);
    let batch = image(&[0.1, 0.2, 0.3, 0.9]);
    let cut = Batch { chunk: 7, ..batch.at(&batch.x) };
    let [whole, parts] = [&batch, &cut].map(|batch| counted("gxi", batch, f, 300, 0.2));
    assert_eq!(whole, parts);
    let method = explain::method(parse("smoothgrad:samples=2").unwrap()).unwrap();
    let of = |batch: &Batch, draws: &str| hits((&Of(f), &*method), batch, (0.2, 1), (draws, 200));
    assert_eq!(of(&batch, "a"), of(&cut, "a"));
    assert_ne!(of(&batch, "a"), of(&batch, "b"));
    let all = of(&batch, "a");
    assert_eq!((all.0.iter().sum::<u64>(), all.1), (200, 200));
    assert!(overlap(&whole.chosen, &all.0) >= 0.);
    // Of two hottest pixels twice as many.
    let method = explain::method(parse("gxi").unwrap()).unwrap();
    let how = (Smoothing { sigma: 0.2, pilot: 100, tests: 300 }, &[1, 2][..], 1);
    let both = counts((&Of(f), &*method), &batch, how, &|| ());
    assert_eq!((&both[0], both[1].hits.iter().sum::<u64>()), (&whole, 600));
}
