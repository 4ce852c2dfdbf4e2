//! Infidelity: closed forms on functions whose gradient tells all, and against loops that take one
//! perturbation at a time and solve for the scale afterwards.

use super::known::{IMAGE, batch, bent, close, linear, method, number};
use explain::{
    Batch,
    metric::{self, Case, Memo},
};
use models::{Model, noise};
use registry::parse;
use tch::{Device, Kind, Tensor};

const EACH: [&str; 4] =
    ["gaussian", "noisy-baseline", "square", "square,largest=3,all=true,samples=0"];

/// Of `maps`, where they are given, rather than the method's own.
fn of_maps(
    options: &str,
    model: &dyn Model,
    of: &str,
    batch: &Batch,
    maps: Option<Tensor>,
) -> Vec<Vec<f64>> {
    let options = options.replace(",samples=0", "");
    let metric = metric::metric(parse(&format!("infidelity:perturbation={options}")).unwrap());
    let (metric, method) = (metric.unwrap(), method(of));
    let maps = &maps.unwrap_or_else(|| method.attribute(model, batch));
    let labels = &batch.target.class;
    let (method, masks, attacked, randomised) = (&*method, None, None, &[][..]);
    let (model_cache, map_cache) = (&Memo::default(), &Memo::default());
    let case = Case {
        model,
        method,
        batch,
        maps,
        labels,
        masks,
        attacked,
        randomised,
        model_cache,
        map_cache,
        spreads: &[],
    };
    let found = metric.measure(&case);
    assert_eq!(found.len(), metric.columns().len());
    found.into_iter().map(|column| Vec::try_from(column).unwrap()).collect()
}

fn measured(options: &str, model: &dyn Model, of: &str, batch: &Batch) -> Vec<Vec<f64>> {
    of_maps(options, model, of, batch, None)
}

/// Every I of one image `[1, C, H, W]` with the key of it, and where a square is.
fn perturbations(options: &str, x: &Tensor, key: u64, samples: u64) -> Vec<(Tensor, Tensor)> {
    let key = noise::key(key, noise::name_id("infidelity"), 0);
    let normal = |s: u64| {
        let key = noise::key(key, noise::name_id("perturbation"), s);
        noise::normal(&[key], &IMAGE, Device::Cpu).to_kind(Kind::Double)
    };
    match options {
        "gaussian" => (0..samples).map(|s| normal(s) * 0.2).map(|i| (i.copy(), i)).collect(),
        "noisy-baseline" => {
            // x − I is the noise, cut to [0, 1] on both sides.
            let black = |s: u64| x - (normal(s) * -0.2).clamp(0., 1.);
            (0..samples).map(black).map(|i| (i.copy(), i)).collect()
        }
        _ => {
            let mut all = vec![];
            for (side, row, column) in (1..=3).flat_map(|side| {
                let starts = move |n: i64| 0..=n - side;
                starts(3).flat_map(move |r| starts(4).map(move |c| (side, r, c)))
            }) {
                let z = x.zeros_like();
                let mut part = z.narrow(2, row, side).narrow(3, column, side);
                let _ = part.fill_(1.);
                all.push((x * &z, z));
            }
            all
        }
    }
}

/// The literal mean for one image and one map, β by least squares or 1.
fn slow(
    model: &dyn Model,
    one: &Batch,
    map: &Tensor,
    options: &str,
    samples: u64,
    (optimal, contribution): (bool, bool),
) -> f64 {
    let f = |x: &Tensor| number(&one.target.of(&model.logits(x)));
    let pairs: Vec<(f64, f64)> = perturbations(options, &one.x, one.keys[0], samples)
        .iter()
        .map(|(i, z)| {
            let told = if contribution { z * map } else { i * map };
            (number(&told.sum(None)), f(&one.x) - f(&(&one.x - i)))
        })
        .collect();
    let sum = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>();
    let beta = if optimal { sum(|(t, d)| t * d) / sum(|(t, _)| t * t) } else { 1. };
    pairs.iter().map(|(t, d)| (beta * t - d).powi(2)).sum::<f64>() / pairs.len() as f64
}

#[test]
fn the_gradient_of_a_line_tells_all() {
    for perturbation in EACH {
        for scaling in ["optimal", "none"] {
            let options = format!("{perturbation},scaling={scaling}");
            let batch = batch(2);
            let sum = |of: &str| measured(&options, &linear(), of, &batch)[0].iter().sum::<f64>();
            let told = format!("{options}: {}", sum("saliency"));
            assert!(sum("saliency") < 1e-12, "{told}");
            assert!(sum("random") > 1e-2, "{options}: noise tells nothing");
            let twice = Some(method("saliency").attribute(&linear(), &batch) * 2.);
            let twice = of_maps(&options, &linear(), "saliency", &batch, twice)[0][0];
            assert_eq!(twice < 1e-12, scaling == "optimal", "{options}: {twice}");
        }
    }
}

#[test]
fn infidelity_is_that_of_a_slow_loop() {
    let batch = batch(2);
    for (options, samples) in [("gaussian", 9), ("noisy-baseline", 9), ("square", 1000)] {
        for (scaling, optimal) in [("optimal", true), ("none", false)] {
            let spelled = format!("{options},samples={samples},scaling={scaling}");
            let found = measured(&spelled, &bent(), "saliency", &batch);
            for n in 0..2 {
                let one = batch.narrow(n, 1);
                let map = method("saliency").attribute(&bent(), &one);
                let expected = slow(&bent(), &one, &map, options, samples, (optimal, false));
                close(&[found[0][n as usize]], &[expected], &spelled);
                assert!(expected > 1e-6);
            }
        }
    }
}

#[test]
fn contributions_are_added_up_in_squares() {
    let batch = batch(2);
    for (scaling, optimal) in [("optimal", true), ("none", false)] {
        let options = format!("square,scaling={scaling}");
        let given = format!("{options},units=contribution");
        let own = &measured(&given, &linear(), "gxi", &batch)[0];
        assert!(own.iter().all(|&i| i < 1e-12), "{own:?}");
        assert!(measured(&options, &linear(), "gxi", &batch)[0][0] > 1e-2, "as a gradient");
        let found = measured(&given, &bent(), "gxi", &batch);
        let one = batch.narrow(1, 1);
        let map = method("gxi").attribute(&bent(), &one);
        let expected = slow(&bent(), &one, &map, "square", 0, (optimal, true));
        close(&found[0][1..], &[expected], &given);
    }
}

#[test]
fn squares_are_drawn_where_there_are_more_than_samples() {
    // Of side 1 each is as likely, so draws estimate the mean over all twelve.
    let (batch, model) = (batch(1), bent());
    let all = measured("square,largest=1,all=true,scaling=none", &model, "saliency", &batch)[0][0];
    let few =
        measured("square,largest=1,samples=11,scaling=none", &model, "saliency", &batch)[0][0];
    assert!(few > 0. && few != all && few < 12. * all, "{few} beside {all}");
    let enough = measured("square,largest=1,samples=12,scaling=none", &model, "saliency", &batch);
    close(&enough[0], &[all], "twelve pixels");
}

#[test]
fn the_robust_one_is_the_worst_near_the_image() {
    let batch = batch(2);
    for of in ["saliency", "smoothgrad:samples=2"] {
        let options = "gaussian,samples=9,robust=0.2,robust_samples=4";
        let found = measured(options, &bent(), of, &batch);
        for n in 0..2 {
            let one = batch.narrow(n, 1);
            let of_point = |x: Tensor| {
                let there = one.at(&x);
                let map = method(of).attribute(&bent(), &there);
                slow(&bent(), &there, &map, "gaussian", 9, (true, false))
            };
            let points = (0..4).map(|s| {
                let key = noise::key(one.keys[0], noise::name_id("robust-infidelity"), 0);
                let u = noise::uniform(&[noise::key(key, s, 0)], &IMAGE, Device::Cpu) * 2. - 1.;
                of_point(&one.x + u.to_kind(Kind::Double) * 0.2)
            });
            let here = of_point(one.x.shallow_clone());
            close(&[found[0][n as usize]], &[here], of);
            close(&[found[1][n as usize]], &[points.fold(here, f64::max)], of);
        }
    }
    let line = measured("gaussian,robust=0.1", &linear(), "saliency", &batch);
    assert!(line[1].iter().all(|&i| i < 1e-12), "{line:?}");
    assert_eq!(measured("gaussian", &linear(), "saliency", &batch).len(), 1);
}

#[test]
fn fitted_maps_are_judged_by_other_draws() {
    let batch = batch(2);
    let of = "noisy-baseline:samples=6,ridge=1e-12";
    let found = measured("noisy-baseline,samples=6,scaling=none", &bent(), of, &batch);
    // Six draws can be fitted exactly with 24 numbers; others cannot be known.
    assert!(found[0].iter().all(|&i| i > 1e-4), "{found:?}");
}
