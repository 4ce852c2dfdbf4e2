//! Class retrieval (Lim et al. 2021, 4.1): does an image, seen only where a map points, still have
//! its class when the image, the map or both come from an attack? The mask times pixels in [0, 1],
//! where the paper's code multiplies normalised ones: what is masked there is the mean colour. A mask
//! that hides every pixel is none: what depends on it is undefined.

use crate::{
    engine::chunks,
    metric::{Better, Case, Column, Metric, Needs},
};
use anyhow::{Result, ensure};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};
use toml::Table;

/// In the list of metrics.
pub(super) const ENTRY: Entry<dyn Metric> = Entry {
    name: "retrieval",
    about: "is the true class that of mask ⊙ x, mask and x clean or attacked (Lim et al. 2021, \
            4.1)",
    options: described::<Retrieval>(&[
        (
            "mask",
            "percentile: |map| over its 99th percentile, cut at 1, for gradients; minmax: map \
             from its least 0 to its largest 1, for gradcam; raw: the map cut to [0, 1], for \
             relex",
        ),
        ("baseline", "value that is seen where the mask is 0, in [0, 1]"),
        ("attacked", "false: clean images alone, and no attack is made"),
    ]),
    build,
};

/// The column that is a probability, no share of images.
const EXPLAINED: &str = "explained";

const COLUMNS: [Column; 5] = [
    Column {
        name: "m0-adv",
        about: "1 if the attacked image under the clean map's mask has its true class, else 0",
        better: Better::Higher,
    },
    Column {
        name: "madv-adv",
        about: "1 if the attacked image under its own map's mask has its true class, else 0",
        better: Better::Higher,
    },
    Column {
        name: "madv-clean",
        about: "1 if the clean image under the attacked map's mask has its true class, else 0",
        better: Better::Higher,
    },
    Column {
        name: "m0-clean",
        about: "1 if the clean image under its own map's mask has its true class, else 0",
        better: Better::Higher,
    },
    Column {
        name: EXPLAINED,
        about: "probability of the explained class in the clean image under its own map's mask",
        better: Better::Higher,
    },
];

/// How a map becomes a mask in [0, 1]: Lim et al. 2021, S2.1.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mask {
    /// |map|, mean over channels, over its 99th percentile, cut at 1: for gradients.
    #[default]
    Percentile,
    /// (g − min g) / (max g − min g), g the mean over channels: for Grad-CAM.
    Minmax,
    /// The map, cut to [0, 1]: for maps that are masks.
    Raw,
}

impl Mask {
    /// `[N, C, H, W]` -> f64 `[N, 1 or C, H, W]`; without mass, and in a constant map without a
    /// least and a largest, it is 0 everywhere.
    pub(super) fn of(self, maps: &Tensor) -> Tensor {
        let maps = maps.to_kind(Kind::Double);
        let over = |t: &Tensor| t.mean_dim([1].as_slice(), true, Kind::Double);
        let sides = [1i64, 2, 3].as_slice();
        let quotient = |above: &Tensor, below: &Tensor| above / below.clamp_min(f64::MIN_POSITIVE);
        match self {
            Mask::Percentile => {
                let heat = over(&maps.abs());
                let (high, most) = (percentile(&heat, 0.99), heat.amax(sides, true));
                let unit = most.where_self(&high.eq(0.), &high); // few pixels that are not zero
                quotient(&heat, &unit).clamp_max(1.)
            }
            Mask::Minmax => {
                let g = over(&maps);
                let least = g.amin(sides, true);
                quotient(&(&g - &least), &(g.amax(sides, true) - &least))
            }
            Mask::Raw => maps.clamp(0., 1.),
        }
    }
}

/// Of the pixels of each image, on the line between the two nearest: `[N, 1, H, W]` -> `[N, 1, 1, 1]`.
fn percentile(t: &Tensor, share: f64) -> Tensor {
    let (sorted, _) = t.flatten(1, -1).sort(1, false);
    let at = share * (sorted.size()[1] - 1) as f64;
    let (below, above) = (sorted.select(1, at.floor() as i64), sorted.select(1, at.ceil() as i64));
    (&below + (above - &below) * at.fract()).view([-1, 1, 1, 1])
}

/// Those that need no attack are the last.
const CLEAN: usize = 3;

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Retrieval {
    mask: Mask,
    #[serde(deserialize_with = "registry::fraction")]
    baseline: f64,
    attacked: bool,
}

impl Default for Retrieval {
    fn default() -> Self {
        Retrieval { mask: Mask::default(), baseline: 0., attacked: true }
    }
}

fn build(table: Table) -> Result<Box<dyn Metric>> {
    let retrieval: Retrieval = registry::options(table)?;
    let baseline = retrieval.baseline;
    ensure!((0. ..=1.).contains(&baseline), "`baseline` is {baseline}; pixels are in [0, 1]");
    Ok(Box::new(retrieval))
}

impl Retrieval {
    /// Logits `[N, K]` of `x` under the masks of `maps`, NaN where a mask hides every pixel.
    fn seen(&self, case: &Case, maps: &Tensor, x: &Tensor) -> Tensor {
        let [logits] = chunks::map(case.batch, |pass| {
            let (x, mask) = (pass.part(x), self.mask.of(&pass.part(maps)));
            let seen = ((&x - self.baseline) * &mask + self.baseline).to_kind(x.kind());
            let hidden = mask.flatten(1, -1).amax([1].as_slice(), true).eq(0.);
            [case.model.logits(&seen).masked_fill(&hidden, f64::NAN)]
        });
        logits
    }
}

impl Metric for Retrieval {
    fn is_share(&self, column: usize) -> bool {
        self.columns()[column].name != EXPLAINED
    }

    fn undefined(&self) -> &'static str {
        "masks of zeros"
    }

    fn columns(&self) -> &[Column] {
        &COLUMNS[if self.attacked { 0 } else { CLEAN }..]
    }

    fn needs(&self) -> Needs {
        Needs { attacked: self.attacked, ..Needs::default() }
    }

    fn measure(&self, case: &Case) -> Vec<Tensor> {
        let (x, maps) = (&case.batch.x, case.maps);
        let seen = |maps, x| tch::no_grad(|| self.seen(case, maps, x));
        let right = |logits: &Tensor| {
            let right = logits.argmax(1, false).eq_tensor(case.labels).to_kind(Kind::Double);
            right.masked_fill(&logits.isnan().any_dim(1, false), f64::NAN)
        };
        let mut columns = vec![];
        if self.attacked {
            let attacked = case.attacked.expect("the metric needs attacked images");
            let pairs = [(maps, attacked.x), (attacked.maps, attacked.x), (attacked.maps, x)];
            columns.extend(pairs.map(|(maps, x)| right(&seen(maps, x))));
        }
        let clean = seen(maps, x);
        let class = case.batch.target.class.unsqueeze(1);
        let explained = clean.softmax(1, Kind::Double).gather(1, &class, false).squeeze_dim(1);
        columns.extend([right(&clean), explained]);
        columns
    }
}
