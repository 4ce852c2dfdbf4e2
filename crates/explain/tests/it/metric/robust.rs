//! Measures of how steady and how true maps are: closed forms on functions whose maps are known, and
//! against loops that take one neighbour, one perturbation at a time.

use super::known::{D, IMAGE, batch, bent, close, drawn, linear, method, number};
use crate::of::Of;
use explain::{
    Batch, heat,
    metric::{
        self, Case, Memo, Metric, Randomised,
        Randomness::{self, *},
    },
    similarity::spearman,
};
use models::{Activation, Model, Ops, noise};
use registry::parse;
use tch::{Device, Kind, Tensor};

pub(crate) fn symmetric() -> Tensor {
    let a = drawn(2, &[D, D]);
    &a + a.transpose(0, 1)
}

/// ½ xᵀAx.
pub(crate) fn bowl() -> Of<impl Fn(&Tensor) -> Tensor> {
    Of(|x: &Tensor| (x.matmul(&symmetric()) * x * 0.5).sum_dim_intlist([1].as_slice(), false, None))
}

fn built(spelled: &str) -> Box<dyn Metric> {
    metric::metric(parse(spelled).unwrap()).expect(spelled)
}

fn among(
    spelled: &str,
    model: &dyn Model,
    of: &str,
    batch: &Batch,
    randomised: &[Randomised],
) -> Vec<Tensor> {
    let (metric, method) = (built(spelled), method(of));
    metric.check(IMAGE).unwrap();
    let maps = method.attribute(model, batch);
    let labels = batch.target.class.shallow_clone();
    let (method, masks, attacked) = (&*method, None, None);
    let (model_cache, map_cache) = (&Memo::default(), &Memo::default());
    let case = Case {
        model,
        method,
        batch,
        maps: &maps,
        labels: &labels,
        masks,
        attacked,
        randomised,
        model_cache,
        map_cache,
        spreads: &[],
    };
    let found = metric.measure(&case);
    assert_eq!(found.len(), metric.columns().len(), "{spelled}");
    for column in &found {
        assert_eq!((column.size(), column.kind()), (vec![batch.x.size()[0]], Kind::Double));
    }
    found
}

pub(crate) fn measured(spelled: &str, model: &dyn Model, of: &str, batch: &Batch) -> Vec<Vec<f64>> {
    let found = among(spelled, model, of, batch, &[]);
    found.into_iter().map(|column| Vec::try_from(column).unwrap()).collect()
}

/// Neighbour `s` of image `n`: what is added is keyed by image, by what it is for and by number.
fn neighbour(batch: &Batch, n: i64, id: &str, s: u64, size: f64) -> Batch {
    let key = noise::key(noise::key(batch.keys[n as usize], noise::name_id(id), 0), s, 0);
    let e = match id {
        "lipschitz" => noise::normal(&[key], &IMAGE, Device::Cpu),
        _ => noise::uniform(&[key], &IMAGE, Device::Cpu) * 2. - 1.,
    };
    let one = batch.narrow(n, 1);
    one.at(&(&one.x + e.to_kind(Kind::Double) * size))
}

fn score(model: &dyn Model, batch: &Batch) -> f64 {
    number(&batch.target.of(&model.logits(&batch.x)))
}

/// Eq. 4 and its variants for one image: of maps, and of the score.
fn slow_lipschitz(
    model: &dyn Model,
    of: &str,
    batch: &Batch,
    n: i64,
    options: (bool, f64, bool, bool),
) -> [f64; 2] {
    let (mean, p, ratio, max) = options;
    let (method, one) = (method(of), batch.narrow(n, 1));
    let view =
        |m: Tensor| if mean { m.sum_dim_intlist([1].as_slice(), true, None) / 2. } else { m };
    let size = |t: Tensor| number(&t.abs().pow_tensor_scalar(p).sum(None)).powf(1. / p);
    let map = |b: &Batch| view(method.attribute(model, b));
    let mut kept = [0f64; 2];
    for s in 0..5 {
        let near = neighbour(batch, n, "lipschitz", s, 0.1);
        let by = if ratio { size(&near.x - &one.x) } else { 1. };
        let moved =
            [size(map(&near) - map(&one)), (score(model, &near) - score(model, &one)).abs()];
        for (kept, moved) in kept.iter_mut().zip(moved) {
            *kept = if max { kept.max(moved / by) } else { *kept + moved / by / 5. };
        }
    }
    kept
}

#[test]
fn gradients_of_a_line_stay_and_its_slope_bounds_the_score() {
    let found = measured("lipschitz:samples=50", &linear(), "saliency", &batch(2));
    close(&found[0], &[0., 0.], "the gradient does not move");
    let slope = number(&drawn(1, &[D]).norm());
    assert!(found[1].iter().all(|&l| l <= slope && l > slope / 10.), "{found:?} {slope}");
}

#[test]
fn lipschitz_constants_are_those_of_a_slow_loop() {
    let batch = batch(2);
    for (options, slow) in [
        ("", (false, 2., true, true)),
        (",aggregate=mean", (false, 2., true, false)),
        (",channels=mean", (true, 2., true, true)),
        (",norm=l1", (false, 1., true, true)),
        (",norm=l1,ratio=false", (false, 1., false, true)),
        (",ratio=false,channels=mean,aggregate=mean", (true, 2., false, false)),
    ] {
        let spelled = format!("lipschitz:samples=5,sigma=0.1{options}");
        let models: [&dyn Model; 3] = [&linear(), &bowl(), &bent()];
        for (model, of) in models.iter().flat_map(|m| [(m, "saliency"), (m, "smoothgrad")]) {
            let found = measured(&spelled, *model, of, &batch);
            for n in 0..2 {
                let expected = slow_lipschitz(*model, of, &batch, n, slow);
                let found = [found[0][n as usize], found[1][n as usize]];
                close(&found, &expected, &format!("{spelled} of {of}"));
            }
        }
    }
    assert_eq!(built("lipschitz:ratio=false").columns()[0].name, "distance");
}

#[test]
fn a_neighbour_is_explained_with_the_draws_of_its_image() {
    let batch = batch(3);
    let found = measured("lipschitz:samples=4", &bowl(), "saliency", &batch);
    for n in 0..3 {
        let ratios = (0..4).map(|s| {
            let e = neighbour(&batch, n, "lipschitz", s, 0.03).x - batch.x.narrow(0, n, 1);
            number(&symmetric().matmul(&e.flatten(0, -1)).norm()) / number(&e.norm())
        });
        close(&found[0][n as usize..][..1], &[ratios.fold(0., f64::max)], "|A e| / |e|");
    }
    // A(x′ + e) − A(x + e) = A(x′ − x) only if both e are one.
    let smoothed = measured("lipschitz:samples=4", &bowl(), "smoothgrad:samples=2", &batch);
    close(&smoothed[0], &found[0], "smoothgrad");
    let spelled = "lipschitz:samples=4,draws=fresh,ratio=false";
    let fresh = measured(spelled, &bent(), "smoothgrad:samples=2", &batch);
    for n in 0..3 {
        let distances = (0..4).map(|s| {
            let map = |at: &Batch| method("smoothgrad:samples=2").attribute(&bent(), at);
            let mut near = neighbour(&batch, n, "lipschitz", s, 0.03);
            near.keys = vec![noise::key(near.keys[0], noise::name_id("near"), s)];
            number(&(map(&near) - map(&batch.narrow(n, 1))).norm())
        });
        close(&fresh[0][n as usize..][..1], &[distances.fold(0., f64::max)], "its own draws");
    }
}

#[test]
fn sensitivity_is_that_of_a_slow_loop() {
    let batch = batch(2);
    for (of, unit) in [("saliency", false), ("gxi", true), ("smoothgrad:samples=3", true)] {
        let spelled = format!("sensitivity:samples=6,radius=0.2,unit={unit}");
        let found = measured(&spelled, &bent(), of, &batch);
        for n in 0..2 {
            let map = |b: &Batch| {
                let map = method(of).attribute(&bent(), b);
                if unit { &map / map.norm() } else { map }
            };
            let here = map(&batch.narrow(n, 1));
            let changed = (0..6).map(|s| {
                let there = map(&neighbour(&batch, n, "sensitivity", s, 0.2));
                number(&((there - &here).norm() / here.norm()))
            });
            let changed: Vec<f64> = changed.collect();
            let most = changed.iter().copied().fold(0., f64::max);
            let mean = changed.iter().sum::<f64>() / 6.;
            let found = [found[0][n as usize], found[1][n as usize]];
            close(&found, &[most, mean], &format!("{spelled} of {of}"));
            assert!(mean < most && mean > 0.);
        }
    }
}

#[test]
fn an_image_without_a_map_has_no_number_of_maps() {
    let batch = batch(1);
    let black = batch.at(&batch.x.zeros_like());
    let undefined = |metric: &str| -> Vec<bool> {
        measured(metric, &bowl(), "saliency", &black).iter().map(|c| c[0].is_nan()).collect()
    };
    for metric in ["sensitivity:samples=6", "sensitivity:samples=6,unit=true"] {
        assert_eq!(undefined(metric), [true, true], "{metric}");
    }
    assert_eq!(undefined("lipschitz:samples=5"), [true, false], "the network's own has a number");
    assert_eq!(undefined("lipschitz:samples=5,ratio=false"), [true, false]);
    assert_eq!(undefined("infidelity:samples=9,robust=0.1,robust_samples=3"), [true, true]);
    assert_eq!(undefined("gap:samples=9"), [false], "of noisy copies, which have a gradient");
    let dead = Of(|x: &Tensor| x.select(1, 0) * 0.);
    assert!(measured("gap:samples=9", &dead, "saliency", &black)[0][0].is_nan(), "a dead network");
}

/// Every measure here, with options of its own.
const EVERY: [&str; 10] = [
    "gap:samples=30",
    "infidelity:samples=20",
    "infidelity:samples=20,perturbation=noisy-baseline,robust=0.1,robust_samples=3",
    "infidelity:samples=7,perturbation=square,largest=2",
    "lipschitz:samples=5",
    "lipschitz:samples=5,aggregate=mean,channels=mean",
    "lipschitz:samples=5,draws=fresh",
    "random-labels",
    "randomisation",
    "sensitivity:samples=5",
];

#[test]
fn chunks_and_batches_change_no_number() {
    let batch = batch(5);
    let other = linear();
    let randomised = [Cascade, Alone, Labels].map(|how| Randomised { how, model: &other });
    for spelled in EVERY {
        let at = |batch: &Batch| {
            among(spelled, &bent(), "smoothgrad:samples=3,sigma=0.1", batch, &randomised)
        };
        let whole = at(&batch);
        let flat = |t: &Tensor| Vec::<f64>::try_from(t).unwrap();
        for chunk in [1, 7, 256] {
            let chunked = at(&Batch { chunk, ..batch.at(&batch.x) });
            let alone: Vec<_> = (0..5).map(|n| at(&batch.narrow(n, 1))).collect();
            for (column, whole) in whole.iter().enumerate() {
                close(&flat(&chunked[column]), &flat(whole), &format!("{spelled}, chunk {chunk}"));
                let alone = Tensor::cat(&alone.iter().map(|a| &a[column]).collect::<Vec<_>>(), 0);
                close(&flat(&alone), &flat(whole), &format!("{spelled}, alone"));
            }
        }
    }
}

#[test]
fn images_of_32_bits_give_the_same_within_rounding() {
    let batch = batch(3);
    let single = batch.at(&batch.x.to_kind(Kind::Float));
    let other = linear();
    let randomised = [Cascade, Alone, Labels].map(|how| Randomised { how, model: &other });
    for spelled in EVERY {
        let found = among(spelled, &bent(), "saliency", &single, &randomised);
        for (a, b) in found.iter().zip(among(spelled, &bent(), "saliency", &batch, &randomised)) {
            assert!(a.allclose(&b, 1e-3, 0., false), "{spelled}: {a} {b}");
        }
    }
}

#[test]
fn a_dead_network_has_no_numbers_but_its_own() {
    let flat = Of(|x: &Tensor| x.sum_dim_intlist([1].as_slice(), false, None) * 0.);
    let randomised = [Cascade, Labels].map(|how| Randomised { how, model: &flat });
    let nan = |found: &[Tensor]| -> Vec<bool> {
        found.iter().map(|column| number(&column.get(0)).is_nan()).collect()
    };
    for spelled in EVERY {
        let found = among(spelled, &flat, "saliency", &batch(1), &randomised);
        let metric = built(spelled);
        let own = |i: usize| !spelled.starts_with("lipschitz") || metric.is_of_map(i);
        let expected: Vec<bool> = (0..found.len()).map(own).collect();
        assert_eq!(nan(&found), expected, "{spelled}");
    }
    // A network that is random and dead says nothing of the maps of one that is not; of several, the
    // others count.
    let line = linear();
    let pair = |how| [(how, &flat as &dyn Model), (how, &line)];
    let some = pair(Alone).map(|(how, model)| Randomised { how, model });
    let found = among("randomisation", &bent(), "saliency", &batch(1), &some);
    let alone = among("randomisation", &bent(), "saliency", &batch(1), &some[1..]);
    assert_eq!((nan(&found), number(&found[1])), (vec![true, false, true], number(&alone[1])));
    let found = among("random-labels", &bent(), "saliency", &batch(1), &randomised);
    assert_eq!(nan(&found), [true]);
    // Steps: a gradient of 0 everywhere, and f falls all the same.
    let steps = Of(|x: &Tensor| (x * 9.).round().sum_dim_intlist([1].as_slice(), false, None));
    for spelled in ["gap:samples=50", "infidelity:samples=9"] {
        assert!(measured(spelled, &steps, "saliency", &batch(1))[0][0].is_nan(), "{spelled}");
    }
    // Neighbours that rounding puts on the image.
    let still = measured("lipschitz:samples=3,sigma=1e-300", &bowl(), "saliency", &batch(1));
    assert!(still[0][0].is_nan() && still[1][0].is_nan(), "no way to go: {still:?}");
}

#[test]
fn the_gap_closes_on_a_line() {
    let found = measured("gap:samples=60", &linear(), "random", &batch(2));
    assert!(found[0].iter().all(|&gap| gap < 1e-9), "{found:?}");
    let batch = batch(2);
    let found = measured("gap:samples=60,sigma=0.3", &bent(), "saliency", &batch);
    let map =
        |name: &str| method(&format!("{name}:samples=60,sigma=0.3")).attribute(&bent(), &batch);
    let (a, b) = (map("smoothgrad"), map("clime"));
    for n in 0..2 {
        let expected = number(&((a.get(n) - b.get(n)).norm() / a.get(n).norm()));
        close(&found[0][n as usize..][..1], &[expected], "gap");
        let options = "samples=60,sigma=0.3,norm=l1,relative=false";
        let found = measured(&format!("gap:{options}"), &bent(), "saliency", &batch);
        let expected = number(&(a.get(n) - b.get(n)).abs().sum(Kind::Double));
        close(&found[0][n as usize..][..1], &[expected], "distance");
        assert!(expected > 1e-3);
    }
}

#[test]
fn what_random_weights_leave_of_a_map() {
    let (batch, model) = (batch(3), bent());
    let backwards = Of(|x: &Tensor| -bent().0(x));
    let (line, ball) = (linear(), bowl());
    let list = |metric: &str, models: &[(Randomness, &'static str)]| {
        let pick = |&(how, name): &(Randomness, &str)| {
            let model: &dyn Model = match name {
                "same" => &model,
                "minus" => &backwards,
                "line" => &line,
                _ => &ball,
            };
            Randomised { how, model }
        };
        let models: Vec<_> = models.iter().map(pick).collect();
        among(metric, &model, "saliency", &batch, &models)
    };
    let rho = |other: &dyn Model| {
        let map = |m: &dyn Model| heat(&method("saliency").attribute(m, &batch));
        spearman(&map(&model), &map(other)).abs()
    };
    let same = |a: &Tensor, b: &Tensor| assert!(a.allclose(b, 1e-12, 1e-12, false), "{a} {b}");
    let one = Tensor::ones([3], (Kind::Double, Device::Cpu));
    let layers = |models: &[_]| list("randomisation", models);
    let undefined = |t: &Tensor| assert_eq!(number(&t.isnan().sum(Kind::Double)), 3., "{t}");
    layers(&[]).iter().for_each(undefined);
    layers(&[(Cascade, "same"), (Alone, "minus")]).iter().for_each(|column| same(column, &one));
    let random = [(Cascade, "line"), (Alone, "minus"), (Cascade, "ball"), (Alone, "ball")];
    let found = layers(&[&random[..], &[(Labels, "same")]].concat());
    same(&found[0], &((rho(&line) + rho(&ball)) / 2.));
    same(&found[1], &((rho(&ball) + &one) / 2.));
    same(&found[2], &rho(&ball));
    assert!(number(&found[2].max()) < 0.9);
    let found = list("random-labels", &[(Cascade, "same"), (Labels, "line")]);
    same(&found[0], &rho(&line));
    undefined(&list("random-labels", &random)[0]);
    let needs = |name: &str| built(name).needs();
    assert!(needs("randomisation").randomised && !needs("randomisation").random_labels);
    assert!(needs("random-labels").random_labels && !needs("random-labels").randomised);
    assert!(!needs("gap").randomised && !needs("gap").random_labels);
}

/// Two classes on the two sides of a plane through the first image.
struct Sides(f64);

impl Model for Sides {
    fn forward(&self, x: &Tensor, _ops: &dyn Ops) -> Tensor {
        let side = x.flatten(1, -1).matmul(&drawn(1, &[D])) - self.0;
        Tensor::stack(&[&side, &-&side], 1)
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::Relu)
    }
}

#[test]
fn neighbours_keep_the_class_of_their_image() {
    let batch = batch(1);
    let model = Sides(number(&batch.x.flatten(0, -1).dot(&drawn(1, &[D]))));
    let found = measured("lipschitz:samples=9", &model, "saliency", &batch);
    close(&found[0], &[0.], "the gradient of the other class points the other way");
    let near = |s| model.logits(&neighbour(&batch, 0, "lipschitz", s, 0.03).x).argmax(1, false);
    let classes: Vec<i64> = (0..9).map(|s| near(s).int64_value(&[0])).collect();
    assert!(classes.contains(&0) && classes.contains(&1), "{classes:?}");
}
