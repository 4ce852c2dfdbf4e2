//! The ten silhouettes of `shapes` as signed distances, in units of the figure's radius, y down.

/// A class of `shapes`; its number is its place in [`Figure::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    Disc,
    Ring,
    Diamond,
    Triangle,
    Cross,
    Dots,
    Bars,
    Crescent,
    Arrow,
    Hourglass,
}

type Points = &'static [(f32, f32)];

const TRIANGLE: Points = &[(0.0, -1.0), (0.92, 0.75), (-0.92, 0.75)];
const ARROW: Points =
    &[(0.0, -1.0), (0.9, 0.0), (0.3, 0.0), (0.3, 1.0), (-0.3, 1.0), (-0.3, 0.0), (-0.9, 0.0)];
const HOURGLASS: Points =
    &[(-0.8, -0.9), (0.8, -0.9), (0.12, 0.0), (0.8, 0.9), (-0.8, 0.9), (-0.12, 0.0)];
const DIAMOND: Points = &[(0.0, -1.1), (0.62, 0.0), (0.0, 1.1), (-0.62, 0.0)];

impl Figure {
    /// Every class, in the order of their numbers.
    pub(super) const ALL: [Figure; 10] = [
        Figure::Disc,
        Figure::Ring,
        Figure::Diamond,
        Figure::Triangle,
        Figure::Cross,
        Figure::Dots,
        Figure::Bars,
        Figure::Crescent,
        Figure::Arrow,
        Figure::Hourglass,
    ];

    /// The name of the class.
    pub(super) fn name(self) -> &'static str {
        match self {
            Figure::Disc => "disc",
            Figure::Ring => "ring",
            Figure::Diamond => "diamond",
            Figure::Triangle => "triangle",
            Figure::Cross => "cross",
            Figure::Dots => "dots",
            Figure::Bars => "bars",
            Figure::Crescent => "crescent",
            Figure::Arrow => "arrow",
            Figure::Hourglass => "hourglass",
        }
    }

    /// How far (x, y) is from the outline; negative inside.
    pub(super) fn distance(self, x: f32, y: f32) -> f32 {
        let radius = length(x, y);
        match self {
            Figure::Disc => radius - 0.88,
            Figure::Ring => (radius - 0.75).abs() - 0.2,
            Figure::Diamond => polygon(DIAMOND, x, y),
            Figure::Triangle => polygon(TRIANGLE, x, y),
            Figure::Cross => bar(x, y, 0.95, 0.25).min(bar(x, y, 0.25, 0.95)),
            Figure::Dots => length(x.abs() - 0.6, y.abs() - 0.6) - 0.35,
            Figure::Bars => bar(x.abs() - 0.55, y, 0.24, 0.88),
            Figure::Crescent => (radius - 0.95).max(0.8 - length(x - 0.5, y)),
            Figure::Arrow => polygon(ARROW, x, y),
            Figure::Hourglass => polygon(HOURGLASS, x, y),
        }
    }
}

/// `hypot` without its care for numbers that do not occur here; ten times faster.
fn length(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

/// Distance to an upright rectangle around the origin with these half sides.
fn bar(x: f32, y: f32, half_width: f32, half_height: f32) -> f32 {
    let (dx, dy) = (x.abs() - half_width, y.abs() - half_height);
    length(dx.max(0.0), dy.max(0.0)) + dx.max(dy).min(0.0)
}

/// Distance to a closed polygon: the nearest edge, signed by the crossings of a ray to the right.
fn polygon(points: Points, x: f32, y: f32) -> f32 {
    let mut nearest = f32::INFINITY;
    let mut inside = false;
    for (i, &(ax, ay)) in points.iter().enumerate() {
        let (bx, by) = points[(i + 1) % points.len()];
        nearest = nearest.min(segment((ax, ay), (bx, by), x, y));
        if (ay > y) != (by > y) && x < ax + (y - ay) * (bx - ax) / (by - ay) {
            inside = !inside;
        }
    }
    if inside { -nearest } else { nearest }
}

/// Distance from (x, y) to the segment from `a` to `b`.
pub(super) fn segment(a: (f32, f32), b: (f32, f32), x: f32, y: f32) -> f32 {
    let (ex, ey) = (b.0 - a.0, b.1 - a.1);
    let (px, py) = (x - a.0, y - a.1);
    let along = ((px * ex + py * ey) / (ex * ex + ey * ey)).clamp(0.0, 1.0);
    length(px - along * ex, py - along * ey)
}
