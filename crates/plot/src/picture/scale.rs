//! The colours of maps and what they mean.

use crate::text::Align;

/// What the colours of a picture mean; `top` is where its numbers are clipped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// Those of an image.
    None,
    /// From 0, dark, to the top, bright.
    Heat {
        /// The 99th percentile of the numbers.
        top: f32,
    },
    /// Red above 0, blue below.
    Signed {
        /// The 99th percentile of the absolute numbers.
        top: f32,
    },
    /// The same, over an image.
    Overlay {
        /// The 99th percentile of the absolute numbers.
        top: f32,
    },
}

impl Scale {
    /// The scale's name; empty of an image.
    pub fn name(self) -> &'static str {
        match self {
            Scale::None => "",
            Scale::Heat { .. } => "heat",
            Scale::Signed { .. } => "signed",
            Scale::Overlay { .. } => "overlay",
        }
    }

    /// Where numbers are clipped; none of an image.
    pub fn top(self) -> Option<f32> {
        match self {
            Scale::None => None,
            Scale::Heat { top } | Scale::Signed { top } | Scale::Overlay { top } => Some(top),
        }
    }

    /// The share of the top where the colours begin.
    pub fn lowest(self) -> f64 {
        if matches!(self, Scale::Signed { .. } | Scale::Overlay { .. }) { -1. } else { 0. }
    }

    /// A number as a share of the top; 0 of what is not finite.
    pub(crate) fn share(self, value: f32) -> f64 {
        let top = f64::from(self.top().unwrap_or(1.));
        if top > 0. && value.is_finite() {
            (f64::from(value) / top).clamp(self.lowest(), 1.)
        } else {
            0.
        }
    }

    /// The colour of a share of the top.
    pub fn colour(self, share: f64) -> [u8; 3] {
        let colour = match self {
            Scale::None | Scale::Heat { .. } => colorous::INFERNO.eval_continuous(share.max(0.)),
            Scale::Signed { .. } | Scale::Overlay { .. } => {
                colorous::RED_BLUE.eval_continuous(0.5 - share / 2.)
            }
        };
        [colour.r, colour.g, colour.b]
    }

    /// The colour of a share over a shade of grey in [0, 1]: the more of it the larger it is.
    pub(crate) fn over(self, share: f64, grey: f64) -> [u8; 3] {
        let cover = 0.85 * share.abs().sqrt();
        let below = 255. * (0.25 + 0.65 * grey.clamp(0., 1.));
        let full = self.colour(0.85 * share.signum());
        full.map(|c| (below + (f64::from(c) - below) * cover).round() as u8)
    }

    /// What stands below the bar: text, where along it, and how it lies there.
    pub(crate) fn ends(self) -> Vec<(&'static str, f64, Align)> {
        let (zero, top) = (("0", 0., Align::Left), ("p99", 1., Align::Right));
        match self.lowest() < 0. {
            true => vec![("−p99", 0., Align::Left), ("0", 0.5, Align::Centre), top],
            false => vec![zero, top],
        }
    }

    /// What the colours mean.
    pub fn about(self) -> &'static str {
        match self {
            Scale::None => "",
            Scale::Heat { .. } => "share of attribution, clipped at p99",
            Scale::Signed { .. } => "red: for the class, blue: against it; clipped at p99 of |map|",
            Scale::Overlay { .. } => "over the image; red: for the class, blue: against it",
        }
    }

    /// One of each kind among `found`, in the order of the kinds.
    pub fn owed(found: impl Iterator<Item = Scale>) -> Vec<Scale> {
        let names: Vec<&str> = found.map(Scale::name).collect();
        let kinds =
            [Scale::Heat { top: 1. }, Scale::Signed { top: 1. }, Scale::Overlay { top: 1. }];
        kinds.into_iter().filter(|kind| names.contains(&kind.name())).collect()
    }
}

/// The 99th percentile (linear between ranks), or the largest value where that is 0.
pub(crate) fn ceiling(values: impl Iterator<Item = f32>) -> f32 {
    let mut sorted: Vec<f32> = values.filter(|v| v.is_finite()).collect();
    if sorted.is_empty() {
        return 0.0;
    }
    sorted.sort_by(f32::total_cmp);
    let rank = 0.99 * (sorted.len() - 1) as f32;
    let (low, high) = (sorted[rank as usize], sorted[rank.ceil() as usize]);
    let clip = low + (high - low) * rank.fract();
    if clip > 0.0 { clip } else { sorted[sorted.len() - 1] }
}
