//! Measures of maps alone, and statistics of what is measured: closed forms, examples by hand, and
//! Quantus' formulas written again.

use super::linear::{World, assert_close, numbers};
use explain::metric::statistics::{pearson, spearman};
use tch::{Kind, Tensor};

#[test]
fn the_object_itself_is_found_and_its_complement_is_not() {
    let mut world = World::drawn(4, [1, 6, 7], 2);
    world.maps = world.masks.to_kind(Kind::Float).unsqueeze(1) * -3.; // strength, not sign
    assert_close(&world.measured("localisation").concat(), &[1.; 12], 1e-12, "the mask as a map");
    // Pixels without heat may still rank; with a small object there are enough others.
    let _ = world.masks.narrow(1, 2, 4).fill_(0);
    world.maps = world.masks.logical_not().to_kind(Kind::Float).unsqueeze(1);
    assert_eq!(world.measured("localisation"), [[0.; 4], [0.; 4], [0.; 4]]);
    // Everything is the object; nothing is.
    world.masks = world.masks.ones_like();
    assert_close(&world.measured("localisation").concat(), &[1.; 12], 1e-12, "all");
    // Of an image without an object, and of a map without mass, nothing can be said.
    let _ = world.masks.narrow(0, 1, 2).fill_(0);
    let _ = world.maps.narrow(0, 2, 2).fill_(0.);
    for column in world.measured("localisation") {
        let undefined: Vec<bool> = column.iter().map(|v| v.is_nan()).collect();
        assert_eq!(undefined, [false, true, true, true]);
        assert_close(&column[..1], &[1.], 1e-12, "the first image is as before");
    }
}

#[test]
fn localisation_by_hand() {
    let mut world = World::drawn(3, [2, 2, 3], 2);
    let _ = world.maps.fill_(0.);
    // |map| summed over channels: [4, 1, 0, 3, 2, 0]; its signed sum would be [0, 1, 0, 3, 2, 0].
    let map = Tensor::from_slice(&[2., 1., 0., 3., 1., 0., -2., 0., 0., 0., 1., 0.]);
    world.maps.copy_(&map.view([1, 2, 2, 3]));
    let masks = [[1i64, 0, 0, 0, 1, 0], [0, 0, 0, 1, 0, 1], [0, 1, 1, 0, 0, 1]];
    world.masks = Tensor::from_slice(&masks.concat()).view([3, 2, 3]).to_kind(Kind::Bool);
    let found = world.measured("localisation");
    assert_close(&found[0], &[0.6, 0.3, 0.1], 1e-12, "mass");
    assert_eq!(found[1], [1., 0., 0.]);
    assert_close(&found[2], &[0.5, 0.5, 0.0], 1e-12, "rank");
    // Of equal pixels the first counts; of pixels that are all equal none does.
    let equal = Tensor::from_slice(&[1f64, 1., 1., 1., 1., 0.]).view([1, 1, 2, 3]);
    world.maps = equal.expand([3, 2, 2, 3], false).copy();
    let found = world.measured("localisation");
    assert_eq!(found[1], [1., 0., 0.]);
    assert_close(&found[2], &[0.5, 0., 2. / 3.], 1e-12, "rank of ties");
    world.maps = world.maps.ones_like() * 0.1;
    let found = world.measured("localisation");
    assert_close(&found[0], &[2. / 6., 2. / 6., 3. / 6.], 1e-12, "mass of a constant map");
    assert!(found[1..].concat().iter().all(|v| v.is_nan()), "{found:?}");
}

#[test]
fn localisation_is_quantus_on_positive_maps() {
    let mut world = World::drawn(6, [1, 9, 8], 2);
    world.maps = world.maps.abs();
    let found = world.measured("localisation");
    for i in 0..6 {
        let map = numbers(&world.maps.get(i));
        let mask = numbers(&world.masks.get(i));
        let inside = |p: &usize| mask[*p] > 0.;
        let mut order: Vec<usize> = (0..72).collect();
        order.sort_by(|&a, &b| map[b].total_cmp(&map[a]));
        let area = (0..72).filter(inside).count();
        let mass: f64 = (0..72).filter(inside).map(|p| map[p]).sum();
        let expected = [
            mass / map.iter().sum::<f64>(),
            f64::from(inside(&order[0])),
            order[..area].iter().filter(|p| inside(p)).count() as f64 / area as f64,
        ];
        let found: Vec<f64> = found.iter().map(|column| column[i as usize]).collect();
        assert_close(&found, &expected, 1e-12, "Quantus");
    }
}

#[test]
fn complexity_of_one_pixel_of_all_and_of_none() {
    let mut world = World::drawn(3, [3, 5, 8], 2);
    let _ = world.maps.fill_(0.);
    let _ = world.maps.get(0).get(1).get(2).narrow(0, 4, 1).fill_(-7.);
    let _ = world.maps.get(1).fill_(0.3);
    let found = world.measured("complexity");
    assert_close(&found[0][..2], &[0., 40f64.ln()], 1e-12, "entropy");
    assert_close(&found[1][..2], &[39. / 40., 0.], 1e-12, "sparseness");
    assert_eq!(found[2][..2], [1., 40.]);
    assert!(found.iter().all(|column| column[2].is_nan()), "of no map: {found:?}");
}

#[test]
fn complexity_is_the_formulas_written_slowly() {
    let mut world = World::drawn(4, [1, 6, 9], 2);
    world.maps = &world.maps * world.maps.abs();
    let found = world.measured("complexity:threshold=0.2");
    for i in 0..4 {
        let mut a: Vec<f64> = numbers(&world.maps.get(i)).iter().map(|v| v.abs()).collect();
        a.sort_by(f64::total_cmp);
        let (total, n) = (a.iter().sum::<f64>(), a.len() as f64);
        let entropy: f64 = a.iter().map(|v| -(v / total) * (v / total).ln()).sum();
        let ranked = a.iter().enumerate().map(|(i, v)| (2. * (i as f64 + 1.) - n - 1.) * v);
        let effective = a.iter().filter(|&&v| v >= 0.2 * a[a.len() - 1]).count();
        let expected = [entropy, ranked.sum::<f64>() / (n * total), effective as f64];
        let found: Vec<f64> = found.iter().map(|column| column[i as usize]).collect();
        assert_close(&found, &expected, 1e-12, "complexity");
    }
}

#[test]
fn complexity_does_not_see_scale() {
    let mut world = World::drawn(2, [2, 6, 6], 2);
    let before = world.measured("complexity");
    world.maps *= -1e-20;
    for (a, b) in world.measured("complexity").iter().zip(&before) {
        assert_close(a, b, 1e-9, "scaled");
    }
}

#[test]
fn correlations_by_hand() {
    assert_eq!(pearson(&[1., 2., 3.], &[2., 4., 6.]), 1.);
    assert_eq!(spearman(&[1., 2., 3.], &[9., 4., 1.]), -1.);
    assert_eq!(spearman(&[1., 2., 3.], &[1., 100., 101.]), 1.);
    assert!(pearson(&[1., 2., 3.], &[1., 100., 101.]) < 0.9);
    // Ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4.
    let tied = spearman(&[1., 2., 2., 3.], &[1., 3., 2., 4.]);
    assert_close(&[tied], &[4.5 / 22.5f64.sqrt()], 1e-12, "ties");
    assert_eq!(spearman(&[1., 2., f64::INFINITY], &[3., 4., 5.]), 1.);
    for of in [pearson, spearman] {
        // A tenth is not a binary fraction: the mean of ten differs from it.
        let rising: Vec<f64> = (0..10).map(f64::from).collect();
        let rounded: Vec<f64> = rising.iter().map(|v| 0.1 + 1e-9 * v).collect();
        for constant in [&[0.1; 10][..], &[0.; 10], &rounded] {
            for other in [&[0.7; 10][..], &rising, constant] {
                assert!(
                    of(constant, other).is_nan() && of(other, constant).is_nan(),
                    "{constant:?}"
                );
            }
        }
        let mut broken = rising.clone();
        broken[3] = f64::NAN;
        assert!(of(&broken, &rising).is_nan() && of(&rising, &broken).is_nan());
        assert!(of(&[], &[]).is_nan() && of(&[1.], &[2.]).is_nan());
    }
    assert!(pearson(&[1., 2., f64::INFINITY], &[3., 4., 5.]).is_nan());
}
