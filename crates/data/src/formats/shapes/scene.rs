//! One image of `shapes`: a textured background, clutter on it, and one figure over both.
//! Edges are anti-aliased by distance; a pixel is in the mask where the figure covers half of it.

use super::figure::{Figure, segment};
use rand::{Rng, rngs::SmallRng};
use std::{f32::consts::TAU, ops::Range};

/// Width and height in pixels.
pub(super) const SIDE: i64 = 32;
const S: usize = SIDE as usize;

/// No point of any figure is farther from its centre, in radii (the corners of the hourglass are).
const REACH: f32 = 1.21;

type Colour = [f32; 3];

/// Where one image and its mask go: u8 [3, 32, 32] and 0 or 1 [32, 32].
pub(super) struct Scene<'a> {
    pub(super) pixels: &'a mut [u8],
    pub(super) mask: &'a mut [u8],
}

impl Scene<'_> {
    /// Draws it and returns its class.
    pub(super) fn draw(self, mut rng: SmallRng) -> usize {
        let rng = &mut rng;
        let class = rng.random_range(0..Figure::ALL.len());
        let (dark, light) = (rng.random_range(0.18..0.36), rng.random_range(0.64..0.82));
        let (under, over) = if rng.random_bool(0.5) { (dark, light) } else { (light, dark) };
        let mut canvas = [[0.0; 3]; S * S];
        let whole = Extent { x: 0..S, y: 0..S };
        paint(&mut canvas, whole, &Texture::draw(under, 0.09, rng), |_, _| 1.0);
        for _ in 0..rng.random_range(2..=5) {
            clutter(&mut canvas, rng);
        }
        let place = Place::draw(rng);
        let texture = Texture::draw(over, 0.05, rng);
        let mask = self.mask;
        paint(&mut canvas, place.extent(), &texture, |x, y| {
            let alpha = place.coverage(Figure::ALL[class], x, y);
            mask[y as usize * S + x as usize] = u8::from(alpha >= 0.5);
            alpha
        });
        for (i, colour) in canvas.iter().enumerate() {
            for (c, value) in colour.iter().enumerate() {
                let noisy = value + rng.random_range(-0.03..0.03);
                self.pixels[c * S * S + i] = (noisy.clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
            }
        }
        class
    }
}

/// The columns and rows something touches.
struct Extent {
    x: Range<usize>,
    y: Range<usize>,
}

impl Extent {
    /// All pixels within `reach` of (x, y).
    fn around(x: f32, y: f32, reach: f32) -> Self {
        let range = |at: f32| (at - reach).max(0.0) as usize..((at + reach).ceil() as usize).min(S);
        Extent { x: range(x), y: range(y) }
    }
}

/// Lays `texture` over the canvas where `coverage` (0 to 1, of a pixel's centre) says.
fn paint(
    canvas: &mut [Colour],
    extent: Extent,
    texture: &Texture,
    mut coverage: impl FnMut(f32, f32) -> f32,
) {
    for row in extent.y {
        for column in extent.x.clone() {
            let (x, y) = (column as f32 + 0.5, row as f32 + 0.5);
            let alpha = coverage(x, y);
            if alpha > 0.0 {
                let colour = texture.at(column, row);
                for (old, new) in canvas[row * S + column].iter_mut().zip(colour) {
                    *old += alpha * (new - *old);
                }
            }
        }
    }
}

/// A colour with two waves through it, each in a direction, wave length and tint of its own.
struct Texture {
    colour: Colour,
    waves: [Wave; 2],
}

/// A sine wave across the image; its phase is the sum of one of the column and one of the row.
struct Wave {
    tint: Colour,
    columns: [(f32, f32); S],
    rows: [(f32, f32); S],
}

impl Texture {
    /// Any colour whose channels have this mean (0 to 1), with waves of this strength.
    fn draw(brightness: f32, strength: f32, rng: &mut SmallRng) -> Self {
        let tint: Colour = std::array::from_fn(|_| rng.random_range(-0.3..0.3));
        let mean = tint.iter().sum::<f32>() / 3.0;
        let colour = tint.map(|tint| brightness + tint - mean);
        let waves = std::array::from_fn(|_| Wave::draw(strength, rng));
        Texture { colour, waves }
    }

    fn at(&self, column: usize, row: usize) -> Colour {
        let mut colour = self.colour;
        for wave in &self.waves {
            // sin(a + b) from the sines and cosines of both: a hundredth of the sines.
            let ((sin_a, cos_a), (sin_b, cos_b)) = (wave.columns[column], wave.rows[row]);
            let height = sin_a * cos_b + cos_a * sin_b;
            for (value, tint) in colour.iter_mut().zip(wave.tint) {
                *value += height * tint;
            }
        }
        colour
    }
}

impl Wave {
    fn draw(strength: f32, rng: &mut SmallRng) -> Self {
        let (direction, length) = (rng.random_range(0.0..TAU), rng.random_range(4.0..20.0));
        let (phase, k) = (rng.random_range(0.0..TAU), TAU / length);
        let tint = std::array::from_fn(|_| rng.random_range(-strength..strength));
        let table = |step: f32, start: f32| {
            std::array::from_fn(|i| (start + k * step * (i as f32 + 0.5)).sin_cos())
        };
        Wave { tint, columns: table(direction.cos(), phase), rows: table(direction.sin(), 0.0) }
    }
}

/// One small blob or line of any colour, anywhere.
fn clutter(canvas: &mut [Colour], rng: &mut SmallRng) {
    let texture = Texture::draw(rng.random_range(0.1..0.9), 0.01, rng);
    let from = (rng.random_range(0.0..S as f32), rng.random_range(0.0..S as f32));
    let (length, half) = match rng.random_bool(0.5) {
        true => (rng.random_range(0.1..1.0), rng.random_range(0.9..1.9)),
        false => (rng.random_range(4.0..9.0), rng.random_range(0.4..0.8)),
    };
    let direction: f32 = rng.random_range(0.0..TAU);
    let to = (from.0 + length * direction.cos(), from.1 + length * direction.sin());
    let extent = Extent::around(from.0, from.1, length + half + 1.0);
    paint(canvas, extent, &texture, |x, y| (0.5 + half - segment(from, to, x, y)).clamp(0.0, 1.0));
}

/// Where a figure stands: centre and radius in pixels, rotation, mirrored or not.
struct Place {
    x: f32,
    y: f32,
    radius: f32,
    cos: f32,
    sin: f32,
    mirror: f32,
}

impl Place {
    fn draw(rng: &mut SmallRng) -> Self {
        let radius = rng.random_range(8.5..12.5);
        let margin = REACH * radius;
        let mut coordinate = || rng.random_range(margin..S as f32 - margin);
        let (x, y) = (coordinate(), coordinate());
        let angle: f32 = rng.random_range(-0.3..0.3);
        let mirror = if rng.random_bool(0.5) { -1.0 } else { 1.0 };
        Place { x, y, radius, cos: angle.cos(), sin: angle.sin(), mirror }
    }

    fn extent(&self) -> Extent {
        Extent::around(self.x, self.y, REACH * self.radius + 1.0)
    }

    /// How much of the pixel around (x, y) the figure covers, 0 to 1.
    fn coverage(&self, figure: Figure, x: f32, y: f32) -> f32 {
        let (dx, dy) = ((x - self.x) / self.radius, (y - self.y) / self.radius);
        let (u, v) = (dx * self.cos + dy * self.sin, dy * self.cos - dx * self.sin);
        (0.5 - figure.distance(u * self.mirror, v) * self.radius).clamp(0.0, 1.0)
    }
}
