//! Square attack (Andriushchenko et al. 2020): random search that repaints one window of the image
//! an iteration; it asks for values only. Places, colours and signs are drawn per image and query,
//! so an image's result does not depend on its batch. Unlike AutoAttack's code, windows reach the
//! last row and column, and the ℓ2 window's budget is per channel, as in the paper.

use super::walk::{Optimizer, Walk};
use crate::{Norm, Objective};
use models::noise;
use models::upload;
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use tch::{Device, Kind, Tensor};

/// In the list of optimisers.
pub(super) const ENTRY: Entry<dyn Optimizer> = Entry {
    name: "square",
    about: "random search that repaints one window an iteration and asks for no gradient, so for \
            any method (after Andriushchenko et al. 2020); --step and --beta are not used",
    options: described::<SquareSearch>(&[]),
    build: |t| Ok(Box::new(registry::options::<SquareSearch>(t)?)),
};

/// Share of the image that the first windows cover.
const FIRST: f64 = 0.8;
/// Queries whose numbers are drawn at once.
pub(crate) const BLOCK: u32 = 50;

/// Random search; ends at the images with the largest value.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SquareSearch {}

impl Optimizer for SquareSearch {
    fn climb(&self, objective: &dyn Objective, walk: &Walk) -> Tensor {
        search(objective, walk, 0..walk.steps)
    }

    fn uses_gradient(&self) -> bool {
        false
    }
}

/// The queries with these numbers of `walk.steps`, from its start; the first does not depend on it.
pub(crate) fn search(objective: &dyn Objective, walk: &Walk, queries: Range<u32>) -> Tensor {
    let mut best = walk.start.shallow_clone();
    let mut most = walk.start_value.as_ref().map(Tensor::shallow_clone);
    let mut query = |proposal: &dyn Fn(&Tensor) -> Tensor| {
        let new = proposal(&best);
        let value = objective.value(&new);
        let before = most.take().unwrap_or_else(|| value.full_like(f64::NEG_INFINITY));
        let better = value.greater_tensor(&before);
        best = new.where_self(&better.view([-1, 1, 1, 1]), &best);
        most = Some(value.where_self(&better, &before));
    };
    tch::no_grad(|| {
        if queries.start == 0 {
            query(&|_| first(walk));
        }
        for from in (queries.start.max(1)..queries.end).step_by(BLOCK as usize) {
            let block = from..queries.end.min(from + BLOCK);
            for (i, u) in block.clone().zip(draws(walk, block).unbind(0)) {
                query(&|best| proposal(walk, best, (i, walk.steps), &u));
            }
        }
    });
    best
}

/// What query number `query` of so many tries, from the best images so far.
fn proposal(walk: &Walk, best: &Tensor, (query, queries): (u32, u32), u: &Tensor) -> Tensor {
    let share = share(query - 1, queries);
    match walk.ball.norm {
        Norm::Linf => repaint(walk, best, share, u),
        Norm::L2 => reshape(walk, best, share, u),
    }
}

/// Share of the image that the window of a query covers: the paper's schedule for 10,000 queries,
/// stretched to as many as there are.
fn share(query: u32, queries: u32) -> f64 {
    let at = (f64::from(query) / f64::from(queries) * 10_000.) as u32;
    let falls = [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000];
    let passed = falls.iter().filter(|&&fall| at > fall).count();
    FIRST / f64::from(1 << passed)
}

/// U[0, 1) for a block of queries: `[queries, N, 5 + C]`; two places, a direction, signs.
fn draws(walk: &Walk, block: Range<u32>) -> Tensor {
    let queries = i64::from(block.end - block.start);
    let keys: Vec<u64> = block.flat_map(|query| walk.keyed("square", query)).collect();
    let (n, channels) = (walk.keys.len() as i64, walk.x.size()[1]);
    let u = noise::uniform(&keys, &[5 + channels], walk.x.device());
    u.view([queries, n, 5 + channels])
}

/// −1 or 1 for each channel, `[N, C]`.
fn signs(u: &Tensor) -> Tensor {
    let channels = u.size()[1] - 5;
    u.narrow(1, 5, channels).ge(0.5).to_kind(u.kind()) * 2. - 1.
}

/// A place for a window of length `side` in `room` pixels, i64 `[N]`.
fn place(u: &Tensor, draw: i64, room: i64, side: i64) -> Tensor {
    (u.select(1, draw) * (room - side + 1)).floor().to_kind(Kind::Int64)
}

/// Length of the square that covers this share of the image, between `least` and the image.
fn side(share: f64, height: i64, width: i64, least: i64) -> i64 {
    let side = (share * (height * width) as f64).sqrt().round() as i64;
    side.max(least).min(height).min(width)
}

/// The images the search starts from: stripes for ℓ∞, a grid of bumps for ℓ2.
fn first(walk: &Walk) -> Tensor {
    let (n, channels, height, width) = walk.x.size4().expect("[N, C, H, W]");
    let (eps, device) = (walk.ball.eps, walk.x.device());
    let keys = walk.keyed("square", 0);
    if walk.ball.norm == Norm::Linf {
        let stripes = noise::sign(&keys, &[channels, 1, width], device) * eps;
        return walk.ball.project(walk.x, &(walk.x + stripes));
    }
    let s = (height.min(width) / 5).max(1);
    let (rows, columns) = (height / s, width / s);
    let u = noise::uniform(&keys, &[channels + 1, rows, columns, 1, 1], device);
    let sign = u.narrow(1, 0, channels).ge(0.5).to_kind(Kind::Float) * 2. - 1.;
    let bump = bump(s, device);
    let bumps = bump.where_self(&u.narrow(1, channels, 1).ge(0.5), &bump.transpose(0, 1)) * sign;
    let grid = bumps.permute([0, 1, 2, 4, 3, 5]).reshape([n, channels, rows * s, columns * s]);
    let (above, left) = ((height - rows * s) / 2, (width - columns * s) / 2);
    let (below, right) = (height - rows * s - above, width - columns * s - left);
    walk.ball.boundary(walk.x, &grid.constant_pad_nd([left, right, above, below]))
}

const TINY: f64 = 1e-12;

/// ℓ∞: moves every pixel of a square by 2ε up or down, one sign a channel.
fn repaint(walk: &Walk, best: &Tensor, share: f64, u: &Tensor) -> Tensor {
    let (_, _, height, width) = best.size4().expect("[N, C, H, W]");
    let s = side(share, height, width, 1);
    let inside = |draw: i64, room: i64| {
        let from = place(u, draw, room, s).unsqueeze(1);
        let at = Tensor::arange(room, (Kind::Int64, best.device())).unsqueeze(0);
        at.ge_tensor(&from).logical_and(&at.lt_tensor(&(from + s)))
    };
    let row = inside(0, height).view([-1, 1, height, 1]);
    let square = row.logical_and(&inside(1, width).view([-1, 1, 1, width]));
    let colour = signs(u).unsqueeze(2).unsqueeze(3) * (2. * walk.ball.eps);
    walk.ball.project(walk.x, &(best + square * colour))
}

/// ℓ2: takes the change out of one window, and adds a bump to it in another with what that freed
/// and what the ball has left.
fn reshape(walk: &Walk, best: &Tensor, share: f64, u: &Tensor) -> Tensor {
    let (n, channels, height, width) = best.size4().expect("[N, C, H, W]");
    let s = side(share, height, width, 3);
    let s = if s % 2 == 0 { (s + 1).min(height).min(width) } else { s };
    let range = Tensor::arange(s, (Kind::Int64, best.device()));
    let window = |draw: i64| {
        let row = place(u, draw, height, s).unsqueeze(1) + &range;
        let column = place(u, draw + 1, width, s).unsqueeze(1) + &range;
        let index = row.unsqueeze(2) * width + column.unsqueeze(1);
        index.view([n, 1, s * s]).expand([n, channels, s * s], false)
    };
    let squares = |t: &Tensor| t.square().sum_dim_intlist([2].as_slice(), true, None::<Kind>);
    let (to, from) = (window(0), window(2));
    let d = (best - walk.x).flatten(2, -1); // [N, C, H·W]
    let touched = d.zeros_like().scatter_value(2, &to, 1.).scatter_value(2, &from, 1.);
    let used = squares(&d).sum_dim_intlist([1].as_slice(), true, None::<Kind>);
    let left = (-used + walk.ball.eps.powi(2)).clamp_min(0.) / channels as f64;
    let budget = (left + squares(&(&d * touched))).sqrt(); // [N, C, 1]
    let bump = bump(s, best.device());
    let upright = u.select(1, 4).ge(0.5).view([n, 1, 1, 1]);
    let bump = bump.where_self(&upright, &bump.transpose(0, 1)).reshape([n, 1, s * s]);
    let old = d.gather(2, &to, false);
    let shape = bump * signs(u).unsqueeze(2) + &old / (squares(&old).sqrt() + TINY);
    let shape = (&shape / (squares(&shape).sqrt() + TINY) * budget).to_kind(d.kind());
    let d = d.scatter_value(2, &from, 0.).scatter(2, &to, &shape);
    walk.ball.boundary(walk.x, &d.view_as(best))
}

/// Two pyramids of opposite sign, one above the other, in a square of side `s`; of length one.
fn bump(s: i64, device: Device) -> Tensor {
    let mut values = pyramid(s / 2, s);
    values.extend(pyramid(s - s / 2, s).iter().map(|v| -v));
    let length = values.iter().map(|v| v * v).sum::<f64>().sqrt();
    let values: Vec<f32> = values.iter().map(|v| (v / length) as f32).collect();
    upload(&values, device).view([s, s])
}

/// Σ 1/(r + 1)² over the radii r of the centred squares that hold a pixel, row by row; length one.
fn pyramid(height: i64, width: i64) -> Vec<f64> {
    let (row, column) = (height / 2, width / 2);
    let radii = row.max(column) + 1;
    let height_at = |distance: i64| (distance..radii).map(|r| ((r + 1) as f64).powi(-2)).sum();
    let pixel = |i: i64| (i / width - row).abs().max((i % width - column).abs());
    let values: Vec<f64> = (0..height * width).map(|i| height_at(pixel(i))).collect();
    let length = values.iter().map(|v| v * v).sum::<f64>().sqrt();
    values.iter().map(|v| v / length).collect()
}
