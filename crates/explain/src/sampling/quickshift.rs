//! Superpixels by quick shift (Vedaldi & Soatto 2008), equal to scikit-image's `quickshift(image,
//! ratio, kernel_size, max_dist, convert2lab=True, rng=42)` up to rounding. Each pixel points at
//! its nearest neighbour of higher density; trees are segments. Runs on the CPU, an image on a core.

use tch::{Kind, Tensor};

/// Settings of the segmentation; the default is that of LIME's image explainer, with a kernel of 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Standard deviation of the density's kernel, in pixels and colour steps; at least 1. The
    /// search goes three of these far.
    pub kernel_size: f64,
    /// The longest link between a pixel and its parent, in the same unit.
    pub max_dist: f64,
    /// Weight of colours (Lab, lightness in [0, 100]) against pixels.
    pub ratio: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options { kernel_size: 1., max_dist: 200., ratio: 0.1 }
    }
}

/// Image `[C, H, W]` in [0, 1] -> segment of each pixel, i64 `[H, W]` on the CPU, numbered 0, 1, …
/// Three channels are sRGB, one is grey; with any other number distances are between raw values.
pub fn segments(image: &Tensor, options: &Options) -> Tensor {
    let found = segments_of_each(&image.unsqueeze(0), options).remove(0);
    Tensor::from_slice(&found).view(&image.size()[1..])
}

/// Images `[N, C, H, W]` -> for each the [`segments`] of its pixels, row by row. They are read from
/// their device once, and shared out among as many threads as libtorch has.
pub fn segments_of_each(x: &Tensor, options: &Options) -> Vec<Vec<i64>> {
    let size: Vec<usize> = x.size().iter().map(|&side| side as usize).collect();
    let &[n, channels, height, width] = &size[..] else { panic!("images are [N, C, H, W]") };
    let flat = x.detach().to_device(tch::Device::Cpu).to_kind(Kind::Double).flatten(0, -1);
    let values = Vec::<f64>::try_from(&flat).expect("doubles on the CPU");
    let images: Vec<&[f64]> = values.chunks((channels * height * width).max(1)).collect();
    let some = |images: &[&[f64]]| -> Vec<Vec<i64>> {
        images.iter().map(|image| of_one(image, [height, width], options)).collect()
    };
    let threads = usize::try_from(tch::get_num_threads()).unwrap_or(1).clamp(1, n.max(1));
    if threads == 1 {
        return some(&images);
    }
    std::thread::scope(|scope| {
        let shares = images.chunks(n.div_ceil(threads));
        let workers: Vec<_> = shares.map(|share| scope.spawn(move || some(share))).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("it does not panic")).collect()
    })
}

/// The segments of one image, its numbers channel by channel.
fn of_one(values: &[f64], [height, width]: [usize; 2], options: &Options) -> Vec<i64> {
    let area = height * width;
    let channels: Vec<&[f64]> = values.chunks(area.max(1)).collect();
    let plane = Plane {
        height,
        width,
        colours: (0..area).map(|p| colour(&channels, p, options.ratio)).collect(),
        reach: (3. * options.kernel_size).ceil() as usize,
    };
    numbered(&plane.parents(options))
}

/// The colour of pixel `p` as it enters distances.
fn colour(channels: &[&[f64]], p: usize, ratio: f64) -> Vec<f64> {
    let raw: Vec<f64> = channels.iter().map(|c| c[p]).collect();
    let colour = match raw[..] {
        [grey] => lab([grey; 3]).to_vec(),
        [r, g, b] => lab([r, g, b]).to_vec(),
        _ => raw,
    };
    colour.into_iter().map(|c| c * ratio).collect()
}

/// sRGB (IEC 61966-2-1) -> CIE L*a*b* under D65.
fn lab(rgb: [f64; 3]) -> [f64; 3] {
    let linear = rgb.map(|c| if c > 0.04045 { ((c + 0.055) / 1.055).powf(2.4) } else { c / 12.92 });
    const TO_XYZ: [[f64; 3]; 3] = [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ];
    const WHITE: [f64; 3] = [0.95047, 1., 1.08883];
    let [x, y, z] = [0, 1, 2].map(|i| {
        let sum: f64 = TO_XYZ[i].iter().zip(linear).map(|(weight, c)| weight * c).sum();
        let t = sum / WHITE[i];
        if t > 0.008856 { t.cbrt() } else { 7.787 * t + 16. / 116. }
    });
    [116. * y - 16., 500. * (x - y), 200. * (y - z)]
}

/// Pixels with their colours.
struct Plane {
    height: usize,
    width: usize,
    colours: Vec<Vec<f64>>,
    reach: usize,
}

impl Plane {
    /// Pixels within reach of `p`, row by row.
    fn around(&self, p: usize) -> impl Iterator<Item = usize> + '_ {
        let (row, column) = (p / self.width, p % self.width);
        let span =
            |at: usize, side: usize| at.saturating_sub(self.reach)..side.min(at + self.reach + 1);
        let columns = span(column, self.width);
        span(row, self.height).flat_map(move |r| columns.clone().map(move |c| r * self.width + c))
    }

    /// Squared distance of two pixels, colour and place together.
    fn distance(&self, p: usize, q: usize) -> f64 {
        let colour: f64 =
            self.colours[p].iter().zip(&self.colours[q]).map(|(a, b)| (a - b) * (a - b)).sum();
        let rows = (p / self.width).abs_diff(q / self.width) as f64;
        let columns = (p % self.width).abs_diff(q % self.width) as f64;
        colour + rows * rows + columns * columns
    }

    /// Each pixel's nearest neighbour of higher density, or itself.
    fn parents(&self, options: &Options) -> Vec<usize> {
        let scale = -0.5 / (options.kernel_size * options.kernel_size);
        let mut ties = Ties::new();
        let density: Vec<f64> = (0..self.colours.len())
            .map(|p| {
                let sum: f64 = self.around(p).map(|q| (self.distance(p, q) * scale).exp()).sum();
                sum + 1e-5 * ties.normal()
            })
            .collect();
        (0..self.colours.len())
            .map(|p| {
                let higher = self.around(p).filter(|&q| density[q] > density[p]);
                let nearest = higher
                    .map(|q| (self.distance(p, q), q))
                    .reduce(|best, next| if next.0 < best.0 { next } else { best });
                nearest.filter(|(d, _)| d.sqrt() <= options.max_dist).map_or(p, |(_, q)| q)
            })
            .collect()
    }
}

/// The trees of `parent`, numbered by the place of their roots.
fn numbered(parent: &[usize]) -> Vec<i64> {
    let root = |mut p: usize| {
        while parent[p] != p {
            p = parent[p];
        }
        p
    };
    let mut number = vec![0; parent.len()];
    let roots = (0..parent.len()).filter(|&p| parent[p] == p);
    for (i, p) in roots.enumerate() {
        number[p] = i as i64;
    }
    (0..parent.len()).map(|p| number[root(p)]).collect()
}

/// What breaks ties between equal densities: the stream of NumPy's `default_rng(42).normal`, so
/// that flat regions fall apart as scikit-image lets them. PCG64 (O'Neill 2014) seeded with 42, and
/// the ziggurat of 256 layers (Marsaglia & Tsang 2000).
struct Ties {
    state: u128,
    edge: [f64; 256],   // x where layer i ends; layer 0 is the tail's
    height: [f64; 256], // exp(−x²/2) there
}

const INNERMOST_TAIL: f64 = 3.654_152_885_361_009;
const LAYER_AREA: f64 = 0.004_928_673_233_974_658;

impl Ties {
    fn new() -> Self {
        let gaussian = |x: f64| (-0.5 * x * x).exp();
        let mut edge = [0.; 256];
        edge[0] = LAYER_AREA / gaussian(INNERMOST_TAIL);
        edge[255] = INNERMOST_TAIL;
        for i in (1..255).rev() {
            let x = edge[i + 1];
            edge[i] = (-2. * (LAYER_AREA / x + gaussian(x)).ln()).sqrt();
        }
        let mut height = edge.map(gaussian);
        height[0] = 1.;
        Ties { state: 0xcea4_4f67_9879_8f2a_acbc_7c9d_6886_0ac8, edge, height }
    }

    fn bits(&mut self) -> u64 {
        const FACTOR: u128 = 0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645;
        const STEP: u128 = 0xfa50_5436_c9a8_416e_66ca_f2e2_8d25_abff;
        self.state = self.state.wrapping_mul(FACTOR).wrapping_add(STEP);
        let folded = (self.state >> 64) as u64 ^ self.state as u64;
        folded.rotate_right((self.state >> 122) as u32)
    }

    /// In [0, 1).
    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        loop {
            let bits = self.bits();
            let layer = (bits & 0xff) as usize;
            let mantissa = (bits >> 9) & ((1 << 52) - 1);
            let size = mantissa as f64 / (1u64 << 52) as f64 * self.edge[layer];
            let x = if bits & 0x100 == 0 { size } else { -size };
            // What lies under the next layer up is certainly under the curve.
            let inside = match layer {
                0 => INNERMOST_TAIL,
                1 => 0.,
                _ => self.edge[layer - 1],
            };
            if size < inside {
                return x;
            }
            if layer == 0 {
                return self.tail(mantissa >> 8 & 1 == 1);
            }
            let (above, below) = (self.height[layer - 1], self.height[layer]);
            if (above - below) * self.unit() + below < (-0.5 * x * x).exp() {
                return x;
            }
        }
    }

    fn tail(&mut self, negative: bool) -> f64 {
        loop {
            let beyond = -(-self.unit()).ln_1p() / INNERMOST_TAIL;
            let other = -(-self.unit()).ln_1p();
            if other + other > beyond * beyond {
                let x = INNERMOST_TAIL + beyond;
                return if negative { -x } else { x };
            }
        }
    }
}
