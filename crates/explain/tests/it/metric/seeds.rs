//! Small quantities of the papers: top-k intersection by mass, norms of maps, faithfulness over
//! superpixels.

use super::linear::{World, assert_close, built, numbers};
use explain::{heat, sampling::quickshift};

/// Wang et al. 2020, C1: Σ n(z′) over the k largest of z.
#[test]
fn the_mass_on_the_first_pixels_is_that_of_a_loop() {
    let world = World::drawn(3, [3, 5, 6], 4);
    let names: Vec<&str> = built("similarity:k=7").columns().iter().map(|c| c.name).collect();
    let place = names.iter().position(|name| *name == "k-mass").unwrap();
    let found = &world.measured("similarity:k=7")[place];
    let maps = [&world.maps, &world.attacked.1].map(heat);
    for (n, found) in found.iter().enumerate() {
        let [before, after] = [&maps[0], &maps[1]].map(|t| numbers(&t.get(n as i64)));
        let mut order: Vec<usize> = (0..before.len()).collect();
        order.sort_by(|a, b| before[*b].total_cmp(&before[*a]));
        let share = order[..7].iter().map(|&i| after[i]).sum::<f64>() / after.iter().sum::<f64>();
        assert!((share - found).abs() < 1e-12);
    }
}

#[test]
fn norms_are_those_of_loops() {
    let world = World::drawn(3, [3, 5, 6], 4);
    let found = world.measured("size");
    for n in 0..3 {
        let [attacked, clean] = [&world.attacked.1, &world.maps].map(|t| numbers(&t.get(n)));
        let l1 = |map: &[f64]| map.iter().map(|v| v.abs()).sum::<f64>();
        let l2 = |map: &[f64]| map.iter().map(|v| v * v).sum::<f64>().sqrt();
        let expected = [l1(&attacked), l2(&attacked), l1(&clean), l2(&clean)];
        let found: Vec<f64> = found.iter().map(|column| column[n as usize]).collect();
        assert_close(&found, &expected, 1e-9, "size");
    }
    assert_eq!(world.measured("size:attacked=false"), found[2..]);
    assert!(!built("size:attacked=false").needs().attacked && built("size").needs().attacked);
}

#[test]
fn faithfulness_over_superpixels_is_that_of_loops() {
    let world = World::drawn(3, [3, 9, 10], 4);
    for values in ["mean", "contribution"] {
        let found = world.measured(&format!("faithfulness:groups=quickshift,values={values}"));
        for i in 0..3 {
            let image = world.batch.x.get(i);
            let labels = quickshift::segments(&image, &quickshift::Options::default());
            let labels: Vec<i64> = Vec::try_from(&labels.flatten(0, -1)).unwrap();
            let (x, map) = (numbers(&image), numbers(&world.maps.get(i)));
            let count = labels.iter().max().unwrap() + 1;
            let f = |pixels: &[f64]| world.score(i as usize, pixels, world.batch.target.score);
            let mut off = 0.;
            for group in 0..count {
                let inside = |k: &usize| labels[k % labels.len()] == group;
                let places: Vec<usize> = (0..x.len()).filter(inside).collect();
                let mut without = x.clone();
                places.iter().for_each(|&k| without[k] = 0.);
                let drop = f(&x) - f(&without);
                let mean = |of: &dyn Fn(usize) -> f64| {
                    places.iter().map(|&k| of(k)).sum::<f64>() / places.len() as f64
                };
                off += match values {
                    "mean" => (mean(&|k| map[k]) - drop / mean(&|k| x[k])).powi(2),
                    _ => (mean(&|k| map[k] * x[k]) * places.len() as f64 - drop).powi(2),
                };
            }
            let expected = 1. / off.sqrt();
            let value = found[0][i as usize];
            assert!((value - expected).abs() < 1e-6 * expected, "{values}: {value}, {expected}");
        }
    }
    let told = |spec: &str| {
        let table = registry::parse(spec).unwrap();
        format!("{:#}", explain::metric::metric(table).err().expect(spec))
    };
    assert!(told("faithfulness:groups=quickshift,cells=3").contains("cells"));
}
