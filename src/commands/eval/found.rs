//! What was found, as text and as numbers: shares of images, curvature, what attacks broke.

use crate::results::{Number, Sample, UNDEFINED, change, label, of_shares};
use ::attack::{Norm, Summary, prediction::autoattack::warnings};
use ::train::log::Quantiles;
use serde::Serialize;
use std::fmt::Write;
use tch::Tensor;
use tensorfile::words::count;

/// A share of images and Wilson's 95 % interval.
#[derive(Clone, Debug)]
pub(super) struct Share(pub Sample);

impl Share {
    /// Of which images are right, bool `[N]`.
    pub fn of(right: &Tensor) -> Self {
        Share(of_shares(right))
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Number { mean, low, high, n, .. } = self.0.number;
        let (fraction, images) = (mean.unwrap_or(f64::NAN), n.unwrap_or(0) as usize);
        let right = (fraction * images as f64).round();
        write!(f, "{:.2} % ({right} of {}", 100. * fraction, count(images, "image"))?;
        if let Some((low, high)) = low.zip(high) {
            write!(f, "; 95 % interval {:.2} to {:.2} %", 100. * low, 100. * high)?;
        }
        write!(f, ")")
    }
}

/// Of the images whose curvature is finite.
#[derive(Clone, Copy, Debug)]
pub(super) struct Curvature {
    pub mean: Option<f64>,
    pub median: Option<f64>,
    pub p90: Option<f64>,
    pub n: usize,
    pub undefined: usize,
}

impl Curvature {
    pub fn of(xi: &Tensor) -> Self {
        let some = xi.masked_select(&xi.isfinite());
        let n = some.numel();
        let q = (n > 0).then(|| Quantiles::of(&some));
        let (mean, median, p90) = (q.map(|q| q.mean), q.map(|q| q.median), q.map(|q| q.p90));
        Curvature { mean, median, p90, n, undefined: xi.numel() - n }
    }

    pub fn text(&self) -> String {
        let shown = |v: Option<f64>| v.map_or(UNDEFINED.into(), |v| format!("{v:.4}"));
        let [mean, median, p90] = [self.mean, self.median, self.p90].map(shown);
        let left_out = match self.undefined {
            0 => String::new(),
            n => format!("; {UNDEFINED}, not finite, at {}", count(n, "image")),
        };
        format!(
            "curvature (largest eigenvalue of the input Hessian): mean {mean}, median {median}, 90 % \
             below {p90}{left_out}"
        )
    }
}

/// What the attacks did within one radius. In the result stands beside the rows what each attack broke.
#[derive(Debug, Serialize)]
pub(super) struct AtRadius {
    pub eps: f64,
    pub label: String,
    #[serde(skip)]
    pub accuracy: Share,
    /// How far the images moved, those that no attack broke too.
    #[serde(skip)]
    pub change: Option<Sample>,
    pub summary: Summary,
    pub warnings: Vec<String>,
}

impl AtRadius {
    pub fn of(eps: f64, summary: Summary, moved: &Tensor, robust: &Tensor) -> Self {
        let accuracy = Share::of(robust);
        let warnings = warnings(&summary);
        AtRadius { eps, label: label(eps), accuracy, change: change(moved), summary, warnings }
    }

    pub fn text(&self, norm: Norm) -> String {
        let norm = registry::word(&norm);
        let mut text = format!("robust accuracy within {} {norm}: {}", self.label, self.accuracy);
        for tally in &self.summary.attacks {
            let _ = write!(text, "\n  {}: broke {} of {}", tally.name, tally.broke, tally.given);
        }
        for warning in &self.warnings {
            let _ = write!(text, "\n  warning: {warning}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::attack::prediction::autoattack::Tally;
    use std::path::Path;
    use testkit::snapshot::assert_file;

    /// `some` of `images`.
    fn right(some: usize, images: usize) -> Tensor {
        Tensor::from_slice(&(0..images).map(|i| i < some).collect::<Vec<_>>())
    }

    /// An attack with gradients that did nothing after which a black box did, and another radius.
    fn robust() -> [AtRadius; 2] {
        let tally = |name: &str, black_box, given, broke| Tally {
            name: name.into(),
            black_box,
            given,
            broke,
        };
        let attacks = vec![tally("pgd:steps=20", false, 9, 0), tally("square", true, 9, 4)];
        let some = Summary {
            images: 12,
            clean: 9,
            robust: 5,
            attacks,
            no_gradient: 3,
            random_output: true,
            black_box_only: 4,
        };
        let all = Summary { images: 12, clean: 9, robust: 9, ..Summary::default() };
        let moved = Tensor::from_slice(&[0.5, 1.]);
        let robust = |n: usize| right(n, 12);
        [
            AtRadius::of(8. / 255., some, &moved, &robust(5)),
            AtRadius::of(0.5, all, &moved, &robust(9)),
        ]
    }

    #[test]
    fn what_is_printed_is_the_snapshot() {
        let mut text = String::new();
        for (some, images) in [(9, 12), (1, 1)] {
            let _ = writeln!(text, "accuracy {}", Share::of(&right(some, images)));
        }
        for xi in [[0.25, 1., f64::NAN], [f64::NAN; 3]] {
            let _ = writeln!(text, "{}", Curvature::of(&Tensor::from_slice(&xi)).text());
        }
        for (at, norm) in robust().iter().zip([Norm::Linf, Norm::L2]) {
            let _ = writeln!(text, "{}", at.text(norm));
        }
        let printed = "tests/snapshots/printed/eval.txt";
        assert_file(&Path::new(env!("CARGO_MANIFEST_DIR")).join(printed), &text);
    }
}
