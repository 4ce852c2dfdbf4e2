//! The certified overlap: no order of the pixels that the certain pairs allow has less, it is wrong
//! no more often than it says, and the states of pixels are those of Holm's procedure in plain
//! loops.

use explain::certificate::{
    Counts, Slope, State, certified, log_p_value, most, overlap,
    probability::{at_least, normal, quantile},
    states, within_reach,
};
use models::noise;
use tch::Device;

/// Uniform numbers.
fn drawn(seed: u64, n: usize) -> Vec<f64> {
    let all = noise::uniform(&[noise::key(seed, 7, 1)], &[n as i64], Device::Cpu);
    Vec::<f32>::try_from(&all.get(0)).unwrap().into_iter().map(f64::from).collect()
}

/// Counts of copies whose pixels are hot by themselves with chances `p`: a pilot that knows
/// `chosen`.
fn independent(seed: u64, p: &[f64], chosen: &[usize], tests: usize) -> Counts {
    let all = drawn(seed, tests * p.len());
    let hot: Vec<Vec<bool>> =
        all.chunks(p.len()).map(|row| row.iter().zip(p).map(|(u, p)| u < p).collect()).collect();
    let count = |of: &dyn Fn(&[bool]) -> bool| hot.iter().filter(|row| of(row)).count() as u64;
    let pixels = 0..p.len();
    Counts {
        pilot: 100,
        tests: tests as u64,
        pilot_hits: p.iter().map(|p| (100. * p) as u64).collect(),
        hits: pixels.clone().map(|k| count(&|row| row[k])).collect(),
        both: chosen
            .iter()
            .flat_map(|&i| pixels.clone().map(move |k| (i, k)))
            .map(|(i, k)| count(&|row| row[i] && row[k]))
            .collect(),
        chosen: chosen.to_vec(),
        typical: [0.3, 0.15],
        class: (0, tests as u64),
    }
}

/// Every order of `n` pixels.
fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![vec![]];
    }
    let longer = |order: Vec<usize>| {
        (0..n).map(move |at| {
            let mut longer = order.clone();
            longer.insert(at, n - 1);
            longer
        })
    };
    orders(n - 1).into_iter().flat_map(longer).collect()
}

#[test]
fn no_order_that_is_left_has_a_smaller_overlap() {
    let (sigma, radius, alpha) = (0.1, 0.02, 0.05);
    let orders = orders(6);
    let mut levels = [0; 4];
    for seed in 0..60 {
        let p: Vec<f64> = drawn(seed, 6).iter().map(|u| 0.05 + 0.9 * u).collect();
        let counts = independent(
            seed,
            &p,
            &most(&p.iter().map(|p| (1e6 * p) as u64).collect::<Vec<_>>(), 3),
            300,
        );
        let j = certified(&counts, radius, sigma, alpha);
        levels[j] += 1;
        if j == 0 {
            continue;
        }
        let m = 3 - j + 1;
        let slope = Slope::near(2. * radius / sigma, counts.typical[0], counts.typical[1]);
        let ahead = |member: usize, other: usize| {
            let (i, shared) = (counts.chosen[member], counts.both[member * 6 + other]);
            let alone = [counts.hits[i] - shared, counts.hits[other] - shared];
            log_p_value(slope, alone, counts.tests) <= (alpha / (m * m) as f64).ln()
        };
        let pairs: Vec<[usize; 2]> = (0..3)
            .flat_map(|member| (0..6).map(move |other| [member, other]))
            .filter(|[_, other]| !counts.chosen.contains(other))
            .filter(|[member, other]| ahead(*member, *other))
            .map(|[member, other]| [counts.chosen[member], other])
            .collect();
        let allowed = orders.iter().filter(|order| {
            let place = |pixel: usize| order.iter().position(|&p| p == pixel).unwrap();
            pairs.iter().all(|[first, second]| place(*first) < place(*second))
        });
        let stay = |order: &Vec<usize>| {
            order[..3].iter().filter(|pixel| counts.chosen.contains(pixel)).count()
        };
        assert!(allowed.map(stay).min().unwrap() >= j, "{seed}: {j}");
    }
    assert!(levels[1..].iter().filter(|n| **n > 0).count() > 1, "{levels:?}");
}

/// Every chosen pixel is exactly so far ahead of every other that nothing may be certified, where
/// being wrong is easiest: independent pixels, Φ⁻¹(a) − Φ⁻¹(b) = 2r/σ.
#[test]
fn it_is_no_more_often_wrong_than_it_says() {
    let (first, second, sigma) = (0.45f64, 0.2f64, 0.1);
    let (a, b) = (first * (1. - second), second * (1. - first));
    let edge = (quantile(a) - quantile(b)) / 2. * sigma;
    let p = [[first; 3].as_slice(), &[second; 5]].concat();
    let runs = 1500;
    for alpha in [0.3, 0.1] {
        let made = (0..runs).map(|seed| independent(1000 + seed, &p, &[0, 1, 2], 300));
        let made: Vec<Counts> = made.collect();
        let wrong = |radius: f64| {
            made.iter().filter(|counts| certified(counts, radius, sigma, alpha) > 0).count() as f64
        };
        let share = wrong(edge) / runs as f64;
        let spread = 3. * (alpha * (1. - alpha) / runs as f64).sqrt();
        assert!(share <= alpha + spread, "wrong in {share} of the runs, not in {alpha}");
        let far = wrong(0.) / runs as f64;
        assert!(far > 0.8, "what is far apart is certified in {far}");
    }
}

/// The pixels' states, and that Holm's procedure is wrong in no more of the runs than it says.
#[test]
fn states_are_holms() {
    let (tau, alpha, n) = (0.7, 0.2, 150);
    let p = [0.7, 0.7, 0.97, 0.3, 0.3, 0.02, 0.5, 0.99];
    let (mut wrong, runs, mut made) = (0, 1000, 0);
    for seed in 0..runs {
        let counts = independent(5000 + seed, &p, &[0], n);
        let found = states(&counts, tau, alpha);
        let value = |pixel: usize| {
            let hits = counts.hits[pixel];
            let side = if counts.guess(pixel) { hits } else { counts.tests - hits };
            at_least(side, counts.tests, tau)
        };
        let mut slow = vec![State::Abstained; p.len()];
        let mut left: Vec<usize> = (0..p.len()).collect();
        while let Some(&next) = left.iter().min_by(|&&a, &&b| value(a).total_cmp(&value(b))) {
            if value(next) > alpha / left.len() as f64 {
                break;
            }
            slow[next] = if counts.guess(next) { State::In } else { State::Out };
            left.retain(|&pixel| pixel != next);
        }
        assert_eq!(found, slow);
        let false_one = |pixel: usize| match found[pixel] {
            State::In => p[pixel] <= tau,
            State::Out => p[pixel] >= 1. - tau,
            State::Abstained => false,
        };
        wrong += usize::from((0..p.len()).any(false_one));
        made += found.iter().filter(|state| **state != State::Abstained).count();
    }
    let spread = 3. * (alpha * (1. - alpha) / runs as f64).sqrt();
    assert!(wrong as f64 / runs as f64 <= alpha + spread, "{wrong} of {runs}");
    assert!(made > 2 * runs as usize, "the sure ones are certified: {made}");
}

#[test]
fn a_wider_ball_holds_less_and_all_pixels_always_stay() {
    let p = [0.9, 0.7, 0.5, 0.2, 0.1, 0.05];
    let counts = independent(1, &p, &[0, 1, 2], 4000);
    let at = |radius: f64| certified(&counts, radius, 0.1, 0.01);
    let curve: Vec<usize> = [0., 0.01, 0.02, 0.04, 0.08, 0.5].into_iter().map(at).collect();
    assert!(curve.is_sorted_by(|a, b| a >= b) && curve[0] == 3 && curve[5] == 0, "{curve:?}");
    let reach = |radius: f64| within_reach(&counts, radius, 0.1, 0.01);
    assert!(reach(0.08) && !reach(0.5), "no counts at all certify what is out of reach");
    // Of four of six pixels two stay whatever happens.
    let many = independent(1, &[0.5; 6], &[0, 1, 2, 3], 100);
    assert_eq!(certified(&many, 10., 0.1, 0.01), 2);
    assert_eq!(overlap(&[0, 1], &[5, 1, 5, 0]), 0.5);
    assert_eq!(overlap(&[0, 2], &[5, 1, 5, 0]), 1.);
    assert!((normal(0.) - 0.5).abs() < 1e-15);
}
