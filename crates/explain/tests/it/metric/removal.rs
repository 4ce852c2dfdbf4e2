//! Deletion, insertion, preservation, relevance: against the definitions written again, one image and
//! one pixel at a time, and in closed form.

use super::linear::{Linear, World, assert_close, constant, numbers};
use explain::Batch;
use models::{Score, Target};
use tch::Tensor;

mod slow {
    //! One image and one pixel at a time.

    use super::*;

    /// 3σ Gaussian blur of one channel, as one sum over a square.
    fn blurred(channel: &[f64], height: i64, width: i64, sigma: f64) -> Vec<f64> {
        let reach = (3. * sigma).ceil() as i64;
        let g = |d: i64| (-((d * d) as f64) / (2. * sigma * sigma)).exp();
        let norm: f64 = (-reach..=reach).map(g).sum();
        let mut out = vec![];
        for i in 0..height * width {
            let (mut sum, y, x) = (0., i / width, i % width);
            for dy in -reach..=reach {
                for dx in -reach..=reach {
                    let (v, u) = ((y + dy).clamp(0, height - 1), (x + dx).clamp(0, width - 1));
                    sum += g(dy) * g(dx) * channel[(v * width + u) as usize] / (norm * norm);
                }
            }
            out.push(sum);
        }
        out
    }

    fn hole(pixels: &[f64], size: &[i64], baseline: &str) -> Vec<f64> {
        let area = (size[2] * size[3]) as usize;
        let each = pixels.chunks(area).flat_map(|channel| match baseline {
            "mean" => vec![channel.iter().sum::<f64>() / area as f64; area],
            "blur" => blurred(channel, size[2], size[3], 1.5),
            number => vec![number.parse().unwrap(); area],
        });
        each.collect()
    }

    /// Pixels from the most relevant on.
    fn order(map: &[f64], area: usize, signed: bool) -> Vec<usize> {
        let value = |p: usize| -> f64 {
            let channels = (p..map.len()).step_by(area).map(|i| map[i]);
            if signed { channels.sum() } else { channels.map(f64::abs).sum() }
        };
        let mut order: Vec<usize> = (0..area).collect();
        // −0 and 0 tie.
        order.sort_by(|&a, &b| value(b).partial_cmp(&value(a)).unwrap());
        order
    }

    /// The area under `curve` of each image; `steps` equal shares, rounded down to pixels.
    pub fn area(
        world: &World,
        curve: &str,
        baseline: &str,
        steps: usize,
        signed: bool,
    ) -> Vec<f64> {
        let size = world.batch.x.size();
        let area = (size[2] * size[3]) as usize;
        let of = |i: usize| {
            let x = numbers(&world.batch.x.get(i as i64));
            let hole = hole(&x, &size, baseline);
            let mut order = order(&numbers(&world.maps.get(i as i64)), area, signed);
            if curve == "preservation" {
                order.reverse();
            }
            let (mut now, new) = if curve == "insertion" { (hole, x) } else { (x, hole) };
            let (mut sum, mut done) = (0., 0);
            let mut last = world.score(i, &now, Score::Prob);
            for step in 1..=steps {
                let upto = step * area / steps;
                for &p in &order[done..upto] {
                    (p..now.len()).step_by(area).for_each(|i| now[i] = new[i]);
                }
                let next = world.score(i, &now, Score::Prob);
                sum += (last + next) / 2. * (upto - done) as f64 / area as f64;
                (last, done) = (next, upto);
            }
            sum
        };
        (0..size[0] as usize).map(of).collect()
    }
}

#[test]
fn every_curve_is_that_of_one_pixel_at_a_time() {
    let world = World::drawn(4, [2, 5, 6], 3);
    // Values that tie, in two of the maps.
    let tied = (world.maps.narrow(0, 0, 2) * 3.).round();
    world.maps.narrow(0, 0, 2).copy_(&tied);
    for curve in ["deletion", "insertion", "preservation"] {
        // 30 pixels: one at a time, five at a time, and shares that are not whole.
        for steps in [30, 6, 7, 1] {
            for baseline in ["0", "mean", "blur", "0.7"] {
                for signed in [false, true] {
                    let spec = format!(
                        "{curve}:steps={steps},baseline={baseline},blur=1.5,signed={signed}"
                    );
                    let expected = slow::area(&world, curve, baseline, steps, signed);
                    assert_close(&world.measured(&spec)[0], &expected, 1e-12, &spec);
                }
            }
        }
    }
}

#[test]
fn ties_go_to_the_earlier_pixel() {
    for few in [1, 30] {
        let mut world = World::drawn(2, [3, 8, 8], 4);
        world.maps = constant(&[2, 3, 8, 8], 0.);
        let _ = world.maps.narrow(3, 2, 1).narrow(2, 0, few.min(8)).fill_(1.);
        for curve in ["deletion", "preservation"] {
            let expected = slow::area(&world, curve, "0", 32, false);
            assert_close(&world.measured(curve)[0], &expected, 1e-12, curve);
        }
    }
}

#[test]
fn the_one_pixel_that_decides_gives_both_areas() {
    let mut world = World::drawn(1, [1, 4, 5], 2);
    let one_hot = constant(&[20], 0.);
    let _ = one_hot.narrow(0, 13, 1).fill_(1.);
    world.model = Linear(Tensor::stack(&[&one_hot * 3., &one_hot * -3.], 0));
    world.batch =
        Batch::new(&constant(&[1, 1, 4, 5], 1.), &Target::logit(&Tensor::from_slice(&[0i64])));
    world.maps = one_hot.view([1, 1, 4, 5]);
    let (with, without) = (1. / (1. + (-6f64).exp()), 0.5);
    let (first, rest) = ((with + without) / 2. / 20., 19. / 20.);
    let (kept, deleted) = (with * rest + first, without * rest + first);
    let relevance = 2. / (1. / kept + 1. / (1. - deleted));
    let found = world.measured("relevance:steps=20").concat();
    let released = 2. / (1. / kept + 1. / deleted);
    assert_close(&found, &[relevance, kept, deleted, released], 1e-12, "relevance");
}

#[test]
fn relevance_is_zero_where_either_part_is() {
    let world = World::drawn(3, [1, 6, 6], 3);
    let found = world.measured("relevance");
    assert_eq!(found[1], world.measured("preservation")[0]);
    assert_eq!(found[2], world.measured("deletion")[0]);
    let parts = found[1].iter().zip(&found[2]);
    let expected: Vec<f64> = parts.map(|(p, d)| 2. / (1. / p + 1. / (1. - d))).collect();
    assert_close(&found[0], &expected, 1e-12, "R");
    // One class always has probability one; a class that is never likely has none.
    let certain = World::drawn(2, [1, 6, 6], 1);
    assert_eq!(certain.measured("relevance")[0], [0., 0.]);
    let mut never = World::drawn(2, [1, 6, 6], 2);
    let bias = Tensor::from_slice(&[-1e6, 1e6]).unsqueeze(1).expand([2, 36], false);
    never.model = Linear(bias.copy());
    never.batch = Batch::new(&(&never.batch.x + 0.1), &Target::logit(&never.labels.zeros_like()));
    assert_eq!(never.measured("relevance:baseline=0.5").concat(), [0.; 8]);
}
