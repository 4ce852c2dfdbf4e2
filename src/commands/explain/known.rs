//! What is known of maps beside themselves: how far they are from what they promise, and, where they
//! are means over draws, from the mean of endless draws.

use crate::{
    results::{Better, Number, Quantity, Sample},
    runtime::ui::two_digits,
};
use explain::Estimate;
use tch::{Device, Kind, Tensor};

/// Of one method: rows of a batch, or of all images.
#[derive(Default)]
pub(super) struct Known {
    /// f(x) − f(baseline) − Σ map, `[N]`, of methods that promise none.
    pub gap: Option<Tensor>,
    /// Standard error relative to the map, f64 `[N]`.
    pub relative: Option<Tensor>,
    /// Draws of each image, f64 `[N]`.
    pub samples: Option<Tensor>,
    /// Standard errors like the map, where they are asked for.
    pub error: Option<Tensor>,
}

impl Known {
    /// What `estimate` says; its errors themselves where `asked`.
    pub fn of(estimate: Option<Estimate>, asked: bool) -> Self {
        let Some(estimate) = estimate else { return Known::default() };
        let samples: Vec<f64> = estimate.samples.iter().map(|&n| n as f64).collect();
        Known {
            gap: None,
            relative: Some(estimate.relative().to_device(Device::Cpu)),
            samples: Some(Tensor::from_slice(&samples)),
            error: asked.then(|| estimate.error.to_kind(Kind::Float).to_device(Device::Cpu)),
        }
    }

    /// The rows of several batches, in order.
    pub fn together(parts: Vec<Known>) -> Self {
        let all = |of: fn(&Known) -> &Option<Tensor>| {
            let parts: Vec<&Tensor> = parts.iter().filter_map(|known| of(known).as_ref()).collect();
            (!parts.is_empty()).then(|| Tensor::cat(&parts, 0))
        };
        Known {
            gap: all(|known| &known.gap),
            relative: all(|known| &known.relative),
            samples: all(|known| &known.samples),
            error: all(|known| &known.error),
        }
    }

    /// Mean |gap|.
    pub fn mean_gap(&self) -> Option<f64> {
        self.gap.as_ref().map(|gap| gap.abs().mean(Kind::Double).double_value(&[]))
    }

    /// Its numbers by quantity.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, Sample)> {
        let of_images = |t: &Tensor| {
            let values = Vec::<f64>::try_from(t.to_kind(Kind::Double)).expect("numbers");
            Sample::over_images(values, 0)
        };
        let gap = self.mean_gap().map(|gap| ("convergence-delta", Number::exact(gap).into()));
        let relative = self.relative.as_ref().map(|t| (RELATIVE, of_images(t)));
        let samples = self.samples.as_ref().map(|t| (SAMPLES, of_images(t)));
        [gap, relative, samples].into_iter().flatten()
    }

    /// What the user is told of the draws.
    pub fn line(&self) -> Option<String> {
        let (relative, samples) = (self.relative.as_ref()?, self.samples.as_ref()?);
        let of = |t: &Tensor| Vec::<f64>::try_from(t).expect("numbers");
        let (mut relative, mut samples) = (of(relative), of(samples));
        relative.sort_by(f64::total_cmp);
        samples.sort_by(f64::total_cmp);
        let (least, most) = (*samples.first()?, *samples.last()?);
        let drawn = match least == most {
            true => format!("{most} samples"),
            false => {
                format!("{least} to {most} samples, {} in the middle", samples[samples.len() / 2])
            }
        };
        let unknown = relative.iter().filter(|far| far.is_infinite()).count();
        let middle = relative[relative.len() / 2];
        let known = match middle.is_finite() {
            true => format!(
                "standard error {} % of the map, in the middle of the images",
                two_digits(100. * middle)
            ),
            false => "their error is as large as the map, or not known".into(),
        };
        let none = match (unknown, middle.is_finite()) {
            (0, _) | (_, false) => String::new(),
            (n, true) => format!("; {n} of {} maps are no larger than theirs", relative.len()),
        };
        Some(format!("{drawn}: {known}{none}"))
    }
}

const RELATIVE: &str = "relative-error";
const SAMPLES: &str = "samples";

/// What the numbers of the draws are.
pub(super) fn quantities() -> [Quantity; 2] {
    let relative = "standard error of the map over its draws, in l2, relative to the map";
    [
        Quantity::new(RELATIVE, "relative standard error", relative, Better::Lower),
        Quantity::new(SAMPLES, "samples", "draws of an image", Better::Neither),
    ]
}
