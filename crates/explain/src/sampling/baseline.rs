//! Baselines: what an image is compared with where a method asks for the absence of a signal.

use crate::Batch;
use anyhow::{Result, bail, ensure};
use models::noise;
use tch::Tensor;
use toml::Value;

/// A baseline that is made, not read from a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Baseline {
    /// An image of one value.
    Constant(f64),
    /// The image itself, blurred by a Gaussian of this σ in pixels; edges are repeated.
    Blurred(f64),
    /// U[0, 1] in every number, other ones for each image.
    Uniform,
}

impl Baseline {
    /// `baseline`: a number, `blur` or `uniform`; `blur` is the σ.
    pub fn parse(value: &Value, blur: f64) -> Result<Self> {
        registry::positive("blur", blur)?;
        let number = match value {
            Value::String(word) if word == "blur" => return Ok(Baseline::Blurred(blur)),
            Value::String(word) if word == "uniform" => return Ok(Baseline::Uniform),
            Value::String(text) => match registry::parse_fraction(text) {
                Ok(number) => number,
                Err(_) => bail!("`baseline` is `{text}`, not a number, `blur` or `uniform`"),
            },
            Value::Integer(number) => *number as f64,
            Value::Float(number) => *number,
            other => bail!("`baseline` is {other}, not a number, `blur` or `uniform`"),
        };
        ensure!((0. ..=1.).contains(&number), "`baseline` is {number}; pixels are in [0, 1]");
        Ok(Baseline::Constant(number))
    }

    /// The baseline of number `which[n]` of image `n`, with a graph to the images.
    pub fn image(self, batch: &Batch, which: &[u64]) -> Tensor {
        let x = &batch.x;
        match self {
            Baseline::Constant(value) => x.detach().full_like(value),
            Baseline::Blurred(sigma) => blurred(x, sigma),
            Baseline::Uniform => {
                let pairs = batch.keys.iter().zip(which);
                let id = noise::name_id("baseline");
                let keys: Vec<u64> = pairs.map(|(&key, &i)| noise::key(key, id, i)).collect();
                noise::uniform(&keys, &x.size()[1..], x.device()).to_kind(x.kind())
            }
        }
    }
}

/// Errors: noise in place of an image, where one image is asked for.
pub(crate) fn check_pixel(baseline: Baseline) -> Result<()> {
    let noise = matches!(baseline, Baseline::Uniform);
    ensure!(!noise, "`baseline` is `uniform`, not a number or `blur`");
    Ok(())
}

/// `x` blurred along rows and columns by a Gaussian of σ `sigma` pixels, cut at 3σ.
pub(crate) fn blurred(x: &Tensor, sigma: f64) -> Tensor {
    let (_, c, _, _) = x.size4().expect("images have four dimensions");
    // Edges are repeated from what is there: a side shorter than the kernel has no more to give.
    let reach = ((3. * sigma).ceil() as i64).max(1);
    let at = Tensor::arange_start(-reach, reach + 1, (x.kind(), x.device()));
    let kernel = (at.square() / (-2. * sigma * sigma)).exp();
    let kernel = &kernel / kernel.sum(x.kind());
    let pad = |t: &Tensor, sides: [i64; 4]| t.replication_pad2d(sides);
    let along = |t: &Tensor, shape: [i64; 4]| {
        let k = kernel.view(shape).repeat([c, 1, 1, 1]);
        t.conv2d(&k, None::<&Tensor>, [1, 1], [0, 0], [1, 1], c)
    };
    let rows = along(&pad(x, [reach, reach, 0, 0]), [1, 1, 1, 2 * reach + 1]);
    along(&pad(&rows, [0, 0, reach, reach]), [1, 1, 2 * reach + 1, 1])
}
