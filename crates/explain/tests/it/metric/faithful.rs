//! Faithfulness and class retrieval on linear networks, in closed form and by the definition written
//! again; and what metrics of given maps have in common.

use super::linear::{Linear, World, assert_close, built, constant, draw, numbers};
use explain::{Batch, metric::METRICS};
use models::{Score, Target};
use registry::parse;
use tch::{Device, Kind, Tensor};

/// What this file, `metric_maps.rs` and `metric_removal.rs` test.
const OURS: [&str; 8] = [
    "complexity",
    "deletion",
    "faithfulness",
    "insertion",
    "localisation",
    "preservation",
    "relevance",
    "retrieval",
];

mod slow {
    //! One image and one group at a time.

    use super::*;

    /// φ and p of the groups that count, of image `i`, in literal quotients (Definition 3.4).
    pub fn groups(world: &World, i: usize, cells: usize, reference: f64) -> [Vec<f64>; 2] {
        let size = world.batch.x.size();
        let (height, width) = (size[2] as usize, size[3] as usize);
        let (x, map) = (numbers(&world.batch.x.get(i as i64)), world.maps.get(i as i64));
        let map = numbers(&map);
        let f = |x: &[f64]| world.score(i, x, world.batch.target.score);
        let cell = |j: usize| {
            let p = j % (height * width);
            (p / width * cells / height) * cells + p % width * cells / width
        };
        let mut out = [vec![], vec![]];
        for g in 0..cells * cells {
            let members: Vec<usize> = (0..x.len()).filter(|&j| cell(j) == g).collect();
            let mean =
                |t: &[f64]| members.iter().map(|&j| t[j]).sum::<f64>() / members.len() as f64;
            let mut without = x.clone();
            members.iter().for_each(|&j| without[j] = reference);
            let far = mean(&x) - reference;
            if far.abs() >= 1e-3 {
                out[0].push(mean(&map));
                out[1].push((f(&x) - f(&without)) / far);
            }
        }
        out
    }
}

#[test]
fn faithfulness_of_a_linear_networks_own_parts_is_perfect() {
    let mut world = World::drawn(5, [3, 12, 11], 4);
    world.batch.target.score = Score::Logit;
    let w = world.model.0.index_select(0, &world.batch.target.class).view_as(&world.batch.x);
    let parts = &w * &world.batch.x;
    let far = &w * (&world.batch.x - 0.5);
    for (map, options, sign) in [
        (&parts, "units=contribution", 1.),
        (&w, "units=gradient", 1.),
        (&w, "cells=3", 1.), // gradient is the default
        (&far, "units=contribution,reference=1/2", 1.),
        (&w, "reference=1/2,cells=100", 1.),
        (&-&parts, "units=contribution", -1.),
        (&-&w, "units=gradient", -1.),
    ] {
        world.maps = map.shallow_clone();
        let found = world.measured(&format!("faithfulness:values=contribution,{options}"));
        assert!(found[0].iter().all(|&f| if sign > 0. { f > 1e6 } else { f < 10. }), "{found:?}");
        assert_close(&found[1], &[sign; 5], 1e-9, options);
        assert_close(&found[2], &[sign; 5], 1e-9, options);
    }
}

#[test]
fn with_one_number_a_group_the_quotients_are_the_gradient() {
    let mut world = World::drawn(3, [1, 6, 5], 4);
    world.batch.target.score = Score::Logit;
    world.batch.x = &world.batch.x + 0.01;
    world.maps = world.model.0.index_select(0, &world.batch.target.class).view_as(&world.maps);
    let found = world.measured("faithfulness:cells=6");
    assert!(found[0].iter().all(|&f| f > 1e6), "{found:?}");
    world.maps += 0.5;
    // Thirty differences of a half.
    let found = world.measured("faithfulness:cells=6");
    assert_close(&found[0], &[1. / (30. * 0.25f64).sqrt(); 3], 1e-9, "shifted");
    assert_close(&found[1], &[1.; 3], 1e-9, "shifted");
}

#[test]
fn faithfulness_is_the_definition_written_slowly() {
    let mut world = World::drawn(4, [2, 7, 9], 5);
    // The first cell is all black, so it is left out.
    let _ = world.batch.x.narrow(2, 0, 3).narrow(3, 0, 3).fill_(0.);
    for (score, reference) in [(Score::Prob, 0.), (Score::Logit, 0.), (Score::Prob, 0.25)] {
        world.batch.target.score = score;
        let found = world.measured(&format!("faithfulness:cells=3,reference={reference}"));
        for i in 0..4 {
            let [map, p] = slow::groups(&world, i, 3, reference);
            assert_eq!(map.len(), if reference == 0. { 8 } else { 9 });
            let apart: f64 = map.iter().zip(&p).map(|(a, b)| (a - b).powi(2)).sum();
            let pearson = explain::metric::statistics::pearson(&map, &p);
            let spearman = explain::metric::statistics::spearman(&map, &p);
            let expected = [1. / apart.sqrt(), pearson, spearman];
            let found: Vec<f64> = found.iter().map(|column| column[i]).collect();
            assert_close(&found, &expected, 1e-9, &format!("image {i}, {score:?}"));
        }
    }
}

#[test]
fn the_defaults_are_what_they_are_said_to_be() {
    let world = World::drawn(2, [3, 8, 8], 3);
    for (short, long) in [
        ("deletion", "deletion:steps=32,baseline=0,signed=false"),
        ("insertion", "insertion:steps=32,baseline=blur,blur=3.0,signed=false"),
        ("preservation", "preservation:steps=32,baseline=0,signed=false"),
        ("relevance", "relevance:steps=32,baseline=0,signed=false"),
        ("faithfulness", "faithfulness:cells=10,reference=0,values=mean"),
        ("retrieval", "retrieval:mask=percentile,baseline=0"),
        ("complexity", "complexity:threshold=0.01"),
        // A constant image filled from the top is the image emptied from the bottom.
        ("preservation", "insertion:baseline=0"),
    ] {
        let (short, long) = (world.measured(short), world.measured(long));
        for (a, b) in short.iter().zip(&long) {
            assert_close(a, b, 1e-12, "default");
        }
    }
}

/// The first three pixels are the three classes.
fn by_pixel(pixels: i64) -> Linear {
    Linear(Tensor::eye(pixels, (Kind::Double, Device::Cpu)).narrow(0, 0, 3))
}

#[test]
fn retrieval_by_hand() {
    let rows = |rows: &[[f64; 4]]| Tensor::from_slice(&rows.concat()).view([-1, 1, 2, 2]);
    let mut world = World::drawn(2, [1, 2, 2], 3);
    world.model = by_pixel(4);
    world.labels = Tensor::from_slice(&[0i64, 2]);
    // The attack moves both images to class 1; the second map stays where it was.
    world.batch = Batch::new(
        &rows(&[[0.9, 0.2, 0.1, 0.], [0.1, 0.2, 0.8, 0.]]),
        &Target::logit(&world.labels),
    );
    world.maps = rows(&[[-2., 0., 0., 1.], [0., 0.1, 3., 0.]]);
    world.attacked = (
        rows(&[[0.5, 0.6, 0.1, 0.], [0., 0.9, 0.7, 0.]]),
        rows(&[[0., 1., 0.5, 0.], [0., 0.1, 3., 0.]]),
    );
    let found = world.measured("retrieval");
    assert_eq!(found[..4], [[1., 1.], [0., 1.], [0., 1.], [1., 1.]]);
    // Under its own mask the first image is [0.9, 0, 0], of the second 0.2 · 0.1 / 2.913 is left.
    let first = 0.9f64.exp() / (0.9f64.exp() + 2.);
    let rest = 1. + (0.2f64 * 0.1 / 2.913).exp();
    let second = 0.8f64.exp() / (0.8f64.exp() + rest);
    assert_close(&found[4], &[first, second], 1e-12, "explained");
    assert_eq!(world.measured("retrieval:attacked=false"), found[3..]);
}

#[test]
fn masks_are_made_in_three_ways() {
    let mut world = World::drawn(1, [1, 2, 2], 3);
    world.model = by_pixel(4);
    let x = Tensor::from_slice(&[0.9, 0.6, 0.95, 0.]).view([1, 1, 2, 2]);
    world.maps = Tensor::from_slice(&[-1., 0.5, 0., 0.]).view([1, 1, 2, 2]);
    world.batch = Batch::new(&x, &Target::logit(&Tensor::from_slice(&[0i64])));
    // [.9, .3, 0], [0, .6, .63], [0, .3, 0], and [.5, .4 + …, .5 + …] where 0 is seen as a half
    for (options, class) in [
        ("", 0),
        ("mask=percentile", 0),
        ("mask=minmax", 2),
        ("mask=raw", 1),
        ("mask=raw,baseline=1/2", 1),
        ("mask=raw,baseline=1", 0),
    ] {
        for label in 0..3i64 {
            world.labels = Tensor::from_slice(&[label]);
            let found = world.measured(&format!("retrieval:{options}"));
            assert_eq!(found[3], [f64::from(label == class)], "{options}: {label}");
        }
    }
}

#[test]
fn a_map_of_one_pixel_among_many_is_a_mask() {
    let mut world = World::drawn(1, [1, 10, 20], 3);
    world.model = by_pixel(200);
    let hot = constant(&[200], 0.);
    let _ = hot.narrow(0, 2, 1).fill_(7.);
    world.maps = hot.view([1, 1, 10, 20]);
    world.batch.x = constant(&[1, 1, 10, 20], 0.9);
    world.labels = Tensor::from_slice(&[2i64]);
    assert_eq!(world.measured("retrieval")[3], [1.]);
}

#[test]
fn neither_batch_nor_chunk_changes_a_number() {
    let mut world = World::drawn(5, [3, 8, 8], 4);
    for name in OURS {
        world.batch.chunk = 256;
        let whole = world.measured(name);
        for chunk in [1, 7] {
            world.batch.chunk = chunk;
            for (a, b) in world.measured(name).iter().zip(&whole) {
                assert_close(a, b, 1e-9, &format!("{name} in chunks of {chunk}"));
            }
        }
        for i in 0..5 {
            let alone = world.narrow(i, 1).measured(name).concat();
            let there: Vec<f64> = whole.iter().map(|column| column[i as usize]).collect();
            assert_close(&alone, &there, 1e-9, &format!("{name} of image {i} alone"));
        }
    }
}

#[test]
fn no_map_and_a_constant_one_leave_numbers_undefined() {
    let undefined = |world: &World, spec: &str| -> Vec<bool> {
        world.measured(spec).iter().map(|column| column.iter().all(|v| v.is_nan())).collect()
    };
    let mut world = World::drawn(2, [3, 8, 8], 4);
    world.maps = constant(&[2, 3, 8, 8], 0.);
    for name in OURS.into_iter().chain(["retrieval:mask=minmax", "retrieval:mask=raw"]) {
        assert!(!undefined(&world, name).contains(&false), "{name} of no map");
    }
    // A tenth is no binary fraction: means of groups differ in the last bit.
    world.maps = constant(&[2, 3, 8, 8], 0.1);
    for (spec, expected) in [
        ("complexity", &[false; 3][..]),
        ("deletion", &[true]),
        ("faithfulness", &[false, true, true]),
        ("insertion", &[true]),
        ("localisation", &[false, true, true]),
        ("preservation", &[true]),
        ("relevance", &[true; 4]),
        ("retrieval", &[false; 5]),
        ("retrieval:mask=raw", &[false; 5]),
        // Clean maps hide everything; attacked ones do not.
        ("retrieval:mask=minmax", &[true, false, false, true, true]),
    ] {
        assert_eq!(undefined(&world, spec), expected, "{spec} of a constant map");
    }
    // An attack that leaves no map: what is seen under it is undefined, what is seen under the clean
    // one is not.
    let mut world = World::drawn(2, [3, 8, 8], 4);
    world.attacked.1 = world.maps.zeros_like();
    assert_eq!(undefined(&world, "retrieval"), [false, true, true, false, false]);
    assert!(!undefined(&world, "similarity").contains(&false));
    // A black image has no group that counts; a network that sees nothing loses nothing.
    let mut world = World::drawn(2, [1, 8, 8], 4);
    world.batch.x = world.batch.x.zeros_like();
    for values in ["", ":values=contribution"] {
        let spec = format!("faithfulness{values}");
        assert_eq!(undefined(&world, &spec), [true; 3], "{spec} of black images");
    }
    world.batch.x = draw(9, &[2, 1, 8, 8]);
    world.model = Linear(world.model.0.zeros_like());
    assert_eq!(undefined(&world, "faithfulness"), [false, true, true]);
    world.maps = world.maps.zeros_like();
    assert_eq!(undefined(&world, "faithfulness"), [true; 3], "a dead network");
}

#[test]
fn wrong_options_are_refused() {
    let refused = |spec: &str| match explain::metric::metric(parse(spec).unwrap()) {
        Ok(_) => panic!("`{spec}` was taken"),
        Err(error) => format!("{error:#}"),
    };
    for (spec, told) in [
        ("faithfulness:cells=0", "`cells` is 0"),
        ("faithfulness:reference=2", "`reference` is 2"),
        ("faithfulness:units=gradient", "`units` is for `values = \"contribution\"`"),
        ("faithfulness:values=median", "median"),
        ("deletion:steps=0", "`steps` is 0"),
        ("insertion:baseline=noise", "`baseline` is \"noise\", not a number in [0, 1], `mean` or"),
        ("insertion:baseline=uniform", "`baseline` is \"uniform\""),
        ("preservation:baseline=2", "`baseline` is 2"),
        ("preservation:baseline=nan", "`baseline` is nan"),
        ("relevance:baseline=blur,blur=0", "`blur` is 0"),
        ("relevance:order=lerf", "order"),
        ("retrieval:baseline=-1", "`baseline` is -1"),
        ("retrieval:mask=soft", "soft"),
        ("complexity:threshold=0", "`threshold` is 0"),
        ("complexity:threshold=2", "`threshold` is 2"),
        ("localisation:k=3", "k"),
    ] {
        let found = refused(spec);
        assert!(found.contains(told) && found.starts_with("metric `"), "{spec}: {found}");
    }
    for name in ["deletion", "insertion", "preservation", "relevance"] {
        assert!(built(name).check([3, 8, 8]).is_ok());
        let found = built(name).check([3, 4, 4]).unwrap_err().to_string();
        assert!(found.contains("`steps` is 32, more than the 16 pixels"), "{found}");
    }
}

#[test]
fn needs_and_abouts_are_told() {
    for name in OURS {
        let needs = built(name).needs();
        assert_eq!(needs.attacked, name == "retrieval");
        assert!(!built("retrieval:attacked=false").needs().attacked);
        assert_eq!(needs.masks, name == "localisation");
        let about = METRICS.iter().find(|m| m.name == name).unwrap().about;
        assert!(about.contains("20"), "{name}: {about}");
    }
}
