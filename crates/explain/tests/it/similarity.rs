//! Similarities and heat maps: against scipy and numpy (tests/reference/explain/similarity.py), against the
//! definitions written again slowly, and their invariances.

use explain::{
    heatmap::{centre, has_mass, heat, top},
    similarity::{
        SIMILARITIES, centre_distance, cosine_distance, ranks, spearman, top_intersection,
    },
};
use models::noise;
use std::path::Path;
use tch::{Device, Kind, Tensor};
use tensorfile::TensorFile;

fn numbers(t: &Tensor) -> Vec<f64> {
    t.to_kind(Kind::Double).contiguous().view(-1).try_into().unwrap()
}

fn assert_close(found: &Tensor, expected: &[f64], tolerance: f64, what: &str) {
    let found = numbers(found);
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        let same = if e.is_nan() { f.is_nan() } else { (f - e).abs() <= tolerance };
        assert!(same, "{what}[{i}] is {f}, not {e}");
    }
}

fn random(seed: u64, size: [i64; 3]) -> Tensor {
    noise::uniform(&[seed], &size, Device::Cpu).squeeze_dim(0)
}

/// Maps with few different values, so that many pixels tie.
fn tied(seed: u64, size: [i64; 3]) -> Tensor {
    (random(seed, size) * 5.).floor()
}

#[test]
fn every_similarity_agrees_with_scipy_and_numpy() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/similarity.safetensors");
    let mut file = TensorFile::read(&path).unwrap();
    let cases = file.tensors.keys().filter(|name| name.ends_with(".k")).count();
    assert!(cases >= 5);
    for i in 0..cases {
        let mut take = |name: &str| file.take(&format!("{i}.{name}")).unwrap();
        let (a, b, k) = (take("a"), take("b"), take("k").int64_value(&[0]));
        for metric in SIMILARITIES {
            let expected = numbers(&take(metric.name));
            let found = (metric.score)(&a, &b, k);
            assert_eq!((found.kind(), found.size()), (Kind::Double, vec![a.size()[0]]));
            assert_close(&found, &expected, 1e-6, &format!("case {i}: {}", metric.name));
            let swapped = (metric.score)(&b, &a, k);
            assert_close(&swapped, &expected, 1e-6, &format!("case {i}: {} swapped", metric.name));
        }
        assert_close(&centre(&a), &numbers(&take("centre")), 1e-6, &format!("case {i}: centre"));
    }
}

mod slow {
    //! The definitions, one map at a time.

    /// 1 + how many are smaller + half of how many others are equal.
    pub(crate) fn ranks(map: &[f64]) -> Vec<f64> {
        let rank = |v: &f64| {
            let smaller = map.iter().filter(|w| *w < v).count() as f64;
            let equal = map.iter().filter(|w| *w == v).count() as f64;
            smaller + (equal + 1.) / 2.
        };
        map.iter().map(rank).collect()
    }

    pub(crate) fn pearson(a: &[f64], b: &[f64]) -> f64 {
        let n = a.len() as f64;
        let (ma, mb) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
        let cov = |x: &[f64], mx: f64, y: &[f64], my: f64| -> f64 {
            x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum()
        };
        cov(a, ma, b, mb) / (cov(a, ma, a, ma) * cov(b, mb, b, mb)).sqrt()
    }

    /// Picks the largest pixel k times; of equal ones the first.
    pub(crate) fn top(map: &[f64], k: usize) -> Vec<bool> {
        let mut taken = vec![false; map.len()];
        for _ in 0..k {
            let mut best: Option<usize> = None;
            for i in 0..map.len() {
                if !taken[i] && best.is_none_or(|b| map[i] > map[b]) {
                    best = Some(i);
                }
            }
            taken[best.unwrap()] = true;
        }
        taken
    }

    pub(crate) fn centre(map: &[f64], width: usize) -> (f64, f64) {
        let total: f64 = map.iter().sum();
        let along = |place: fn(usize, usize) -> usize| -> f64 {
            map.iter().enumerate().map(|(i, v)| v * place(i, width) as f64).sum::<f64>() / total
        };
        (along(|i, w| i / w), along(|i, w| i % w))
    }

    pub(crate) fn cosine(a: &[f64], b: &[f64]) -> f64 {
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    }
}

#[test]
fn every_similarity_agrees_with_its_definition() {
    for (seed, size) in [(0, [3, 6, 6]), (2, [4, 3, 11]), (4, [2, 9, 2])] {
        for draw in [random, tied] {
            let (a, b) = (draw(seed, size), draw(seed + 1, size));
            let (width, k) = (size[2] as usize, (size[1] * size[2] / 3) as usize);
            let fast = [
                ("rank correlation", spearman(&a, &b)),
                ("top", top_intersection(&a, &b, k as i64)),
                ("centre", centre_distance(&a, &b)),
                ("cosine", cosine_distance(&a, &b)),
            ];
            for i in 0..size[0] {
                let (x, y) = (numbers(&a.get(i)), numbers(&b.get(i)));
                let (tx, ty) = (slow::top(&x, k), slow::top(&y, k));
                let both = tx.iter().zip(&ty).filter(|(p, q)| **p && **q).count();
                let (cx, cy) = (slow::centre(&x, width), slow::centre(&y, width));
                let expected = [
                    slow::pearson(&slow::ranks(&x), &slow::ranks(&y)),
                    both as f64 / k as f64,
                    ((cx.0 - cy.0).powi(2) + (cx.1 - cy.1).powi(2)).sqrt(),
                    1. - slow::cosine(&x, &y),
                ];
                for ((name, found), expected) in fast.iter().zip(expected) {
                    assert_close(&found.get(i), &[expected], 1e-9, name);
                }
            }
        }
    }
}

#[test]
fn equal_maps_score_as_the_registry_says() {
    for map in [random(9, [1, 5, 7]), tied(9, [1, 5, 7])] {
        for metric in SIMILARITIES {
            let same = if metric.better == explain::Better::Higher { 1. } else { 0. };
            assert_close(&(metric.score)(&map, &map, 6), &[same], 1e-9, metric.name);
        }
    }
}

/// Which of the similarities are undefined of a map that is fine and one that is not.
#[test]
fn what_nothing_says_is_undefined() {
    let size = [1, 224, 224];
    let zero = Tensor::zeros(size, (Kind::Float, Device::Cpu));
    let (flat, spike) = (&zero + 1e-3, zero.copy());
    let _ = spike.get(0).get(100).narrow(0, 7, 1).fill_(1.);
    let broken = random(3, size) + f64::NAN;
    let rounded = &flat * (random(4, size) * 1e-7 + 1.);
    let fine = [spike, heat(&random(3, size).unsqueeze(1)), random(3, size) * 1e-30];
    let constant = [flat, rounded];
    let none = [zero, broken];
    for metric in SIMILARITIES {
        let ordered = ["cor", "k-in"].contains(&metric.name);
        let nan = |a: &Tensor, b: &Tensor| {
            let found =
                [(metric.score)(a, b, 1000), (metric.score)(b, a, 1000)].map(|t| numbers(&t)[0]);
            assert_eq!(found[0].is_nan(), found[1].is_nan(), "{}", metric.name);
            found[0].is_nan()
        };
        for a in &none {
            let others = fine.iter().chain(&constant).chain(&none);
            others.for_each(|b| assert!(nan(a, b), "{} of no map", metric.name));
        }
        for a in &constant {
            for b in fine.iter().chain(&constant) {
                assert_eq!(nan(a, b), ordered, "{} of a constant map", metric.name);
            }
        }
        for a in &fine {
            for b in &fine {
                let value = numbers(&(metric.score)(a, b, 1000))[0];
                let (low, high) = match metric.name {
                    "cor" => (-1., 1.),
                    "cdl" => (0., 224. * 2f64.sqrt()),
                    _ => (0., 1.),
                };
                let near = low - 1e-9..=high + 1e-9;
                assert!(near.contains(&value), "{} is {value}", metric.name);
            }
        }
    }
    assert_close(&centre(&none[0]), &[111.5, 111.5], 0., "where an attack goes on from nothing");
    assert_close(&centre(&fine[0]), &[100., 7.], 1e-12, "the centre of one pixel");
}

#[test]
fn ranks_share_their_average() {
    let map = Tensor::from_slice(&[3f32, 1., 3., 0., 3., 1.]).view([1, 2, 3]);
    assert_close(&ranks(&map), &[5., 2.5, 5., 1., 5., 2.5], 0., "ranks");
}

#[test]
fn rank_correlation_sees_order_only() {
    let (a, b) = (tied(5, [4, 6, 7]), random(6, [4, 6, 7]));
    let plain = numbers(&spearman(&a, &b));
    assert_close(&spearman(&a.exp(), &b), &plain, 1e-12, "exp");
    assert_close(&spearman(&a, &b.pow_tensor_scalar(3)), &plain, 1e-12, "cube");
    let opposite: Vec<f64> = plain.iter().map(|r| -r).collect();
    assert_close(&spearman(&-&a, &b), &opposite, 1e-12, "negated");
    assert_close(&spearman(&a, &-&a), &[-1.; 4], 1e-12, "reversed");
}

#[test]
fn angles_and_centres_do_not_see_scale() {
    let (a, b) = (random(7, [4, 6, 7]), random(8, [4, 6, 7]));
    for scale in [1e-12, 4., 1e12] {
        let scaled = &a * scale;
        let (angle, apart) = (cosine_distance(&a, &b), centre_distance(&a, &b));
        assert_close(&cosine_distance(&scaled, &b), &numbers(&angle), 1e-6, "cosine");
        assert_close(&centre_distance(&scaled, &b), &numbers(&apart), 1e-6, "centre");
    }
}

#[test]
fn moving_a_map_moves_its_centre() {
    let inner = random(11, [2, 4, 5]);
    let placed = |up: i64, left: i64| inner.constant_pad_nd([left, 6 - left, up, 4 - up]);
    let found = centre_distance(&placed(0, 0), &placed(4, 3));
    assert_close(&found, &[5., 5.], 1e-6, "a shift by 4 rows and 3 columns");
}

#[test]
fn ties_for_the_top_go_to_the_earlier_pixel() {
    let map = Tensor::from_slice(&[1f32, 2., 1., 2., 1., 0.]).view([1, 2, 3]);
    let kept = |k: i64| numbers(&top(&map, k));
    assert_eq!(kept(1), [0., 1., 0., 0., 0., 0.]);
    assert_eq!(kept(3), [1., 1., 0., 1., 0., 0.]);
    assert_eq!(kept(4), [1., 1., 1., 1., 0., 0.]);
    assert_eq!(kept(6), [1.; 6]);
    let flat = Tensor::ones([2, 40, 40], (Kind::Float, Device::Cpu));
    let first: Vec<f64> = (0..1600).map(|i| f64::from(i < 20)).collect();
    assert_eq!(numbers(&top(&flat, 20)), [first.clone(), first].concat());
}

#[test]
fn a_score_does_not_depend_on_its_batch() {
    let (a, b) = (tied(12, [5, 6, 7]), tied(13, [5, 6, 7]));
    for metric in SIMILARITIES {
        let together = (metric.score)(&a, &b, 8);
        let one = |i| (metric.score)(&a.narrow(0, i, 1), &b.narrow(0, i, 1), 8);
        let alone = Tensor::cat(&(0..5).map(one).collect::<Vec<_>>(), 0);
        assert_eq!(numbers(&alone), numbers(&together), "{}", metric.name);
    }
    // a view with strides is a map like any other
    let (ta, tb) = (a.transpose(1, 2), b.transpose(1, 2));
    let plain = spearman(&ta.contiguous(), &tb.contiguous());
    assert_close(&spearman(&ta, &tb), &numbers(&plain), 0., "transposed");
}

#[test]
fn heat_is_a_distribution_over_pixels() {
    let map = random(14, [3, 3, 20]).view([3, 3, 4, 5]) - 0.5;
    let found = heat(&map);
    for i in 0..3 {
        let signed = numbers(&map.get(i)); // [3, 4, 5]
        let mass: Vec<f64> =
            (0..20).map(|p| (0..3).map(|c| signed[20 * c + p].abs()).sum()).collect();
        let total: f64 = mass.iter().sum();
        let expected: Vec<f64> = mass.iter().map(|m| m / total).collect();
        assert_close(&found.get(i), &expected, 1e-7, "heat");
    }
    for scale in [0., 1e-44] {
        let nothing = heat(&(&map * scale));
        assert_eq!(numbers(&nothing), [0.; 60], "no map: what rounding leaves is none");
        assert_eq!(numbers(&has_mass(&nothing)), [0.; 3]);
    }
    assert_eq!(numbers(&has_mass(&heat(&(&map + f64::NAN)))), [0.; 3]);
    assert_eq!(numbers(&has_mass(&heat(&(&map * 1e-30)))), [1.; 3]);
}
