//! What became of a claim, in words.

use super::evidence::Middle;
use results::{inference::Evidence, significant};

/// What became of a claim.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// In every case, and no chance of the images explains it.
    Holds(Told),
    /// In some case the contrary is so, and no chance of the images explains it.
    Fails(Told),
    /// What was found may be chance.
    Open(Told),
    /// Nothing can be said, in words: why not.
    Unjudged(String),
    /// The scale is too small to say.
    Untested,
    /// Cells are missing.
    Unfinished,
    /// A number of it is undefined.
    Undefined,
}

/// What is found of a claim.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// In how many cases of how many the numbers are in its order.
    pub cases: (usize, usize),
    /// The case that decides, in words: of what holds or is open the least sure, of what fails the
    /// surest.
    pub case: String,
    /// Where the number or the difference that decides lies; none of numbers of no images.
    pub interval: Option<Interval>,
    /// How likely it is by chance, after all claims of the page were counted in (Holm); 0 where chance
    /// has no part.
    pub adjusted: f64,
}

/// A number or a difference with its 95 % interval, in the direction of the claim.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// What it is of: `difference`, `ratio`, `median difference`, `mean`, `median`, `geometric mean`.
    pub of: &'static str,
    /// The estimate.
    pub estimate: f64,
    /// Its ends.
    pub ends: [f64; 2],
}

impl Interval {
    /// Of a difference, or of a number and its `limit`.
    pub(super) fn new(evidence: &Evidence, middle: Middle, limit: Option<f64>) -> Self {
        let of = match (middle, limit) {
            (Middle::Mean, None) => "difference",
            (Middle::Median, None) => "median difference",
            (Middle::Geometric, None) => "ratio",
            (Middle::Mean, _) => "mean",
            (Middle::Median, _) => "median",
            (Middle::Geometric, _) => "geometric mean",
        };
        let at = |value: f64| match middle {
            Middle::Geometric => (value + limit.map_or(0., f64::ln)).exp(),
            _ => value + limit.unwrap_or(0.),
        };
        let Evidence { estimate, low, high, .. } = *evidence;
        Interval { of, estimate: at(estimate), ends: [low, high].map(at) }
    }
}

impl Verdict {
    /// One word for each kind: `holds`, `fails`, `not decided`, `not tested`.
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Holds(_) => "holds",
            Verdict::Fails(_) => "fails",
            Verdict::Open(_) | Verdict::Unjudged(_) | Verdict::Undefined => "not decided",
            Verdict::Untested | Verdict::Unfinished => "not tested",
        }
    }

    /// What decided, if anything was found.
    pub fn told(&self) -> Option<&Told> {
        match self {
            Verdict::Holds(told) | Verdict::Fails(told) | Verdict::Open(told) => Some(told),
            _ => None,
        }
    }

    /// In words, beginning with [`Verdict::word`].
    pub fn text(&self) -> String {
        match self {
            Verdict::Unjudged(why) => format!("not decided ({why})"),
            Verdict::Untested => "not tested at this scale".into(),
            Verdict::Unfinished => "not tested so far".into(),
            Verdict::Undefined => "not decided (a number is undefined)".into(),
            Verdict::Holds(told) => format!("holds: {}", told.text("least sure ")),
            Verdict::Fails(told) => format!("fails: {}", told.text("not ")),
            Verdict::Open(told) => format!("not decided: {}", told.text("least sure ")),
        }
    }
}

impl Told {
    /// `in 7 of 8 cases; not SG 1.348 less than 1.322, difference -0.026 [-0.04, -0.01]`.
    fn text(&self, which: &str) -> String {
        let (some, of) = self.cases;
        let mut text = match of {
            1 => self.case.clone(),
            // What is exact is as sure in one case as in another.
            _ if self.interval.is_none() && some == of => {
                format!("in all of {of} cases; {}", self.case)
            }
            _ => format!("in {some} of {of} cases; {which}{}", self.case),
        };
        if let Some(Interval { of, estimate, ends: [low, high] }) = self.interval {
            let [estimate, low, high] = [estimate, low, high].map(significant);
            text += &format!(", {of} {estimate} [{low}, {high}]");
        }
        text
    }
}
