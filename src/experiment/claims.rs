//! What papers say, held against the numbers of a run.

use super::{
    file::ClaimSpec,
    found::{Point, Results, axis, known},
    grid::{Block, Choice},
};
use crate::results::UNDEFINED;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;

/// What became of a claim.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Holds,
    /// In so many of so many cases, and the first case where it does not.
    Fails(usize, usize, String),
    /// The scale is too small to say.
    Untested,
    /// Cells are missing.
    Unfinished,
    /// A number of it is undefined.
    Undefined,
}

impl Verdict {
    /// In words.
    pub fn text(&self) -> String {
        match self {
            Verdict::Holds => "holds".into(),
            Verdict::Fails(0, 1, why) => format!("does not hold: {why}"),
            Verdict::Fails(some, of, why) => {
                format!("does not hold: in {some} of {of} cases; not {why}")
            }
            Verdict::Untested => "not tested at this scale".into(),
            Verdict::Unfinished => "not tested so far".into(),
            Verdict::Undefined => "cannot be judged: a number is undefined".into(),
        }
    }
}

/// A number, or numbers along some axes, of a step.
struct Reference<'a> {
    block: &'a Block,
    labels: Vec<&'a str>,
    path: &'a str,
    /// Whether this scale has what it asks for.
    here: bool,
}

/// One case of a claim, and whether it holds, none where a number is undefined; none at all where one
/// is missing.
type Case = Option<(Option<bool>, String)>;

/// Whether `holds`, of numbers that are all defined.
fn judged(numbers: &[f64], holds: bool) -> Option<bool> {
    numbers.iter().all(|n| !n.is_nan()).then_some(holds)
}

impl<'a> Reference<'a> {
    fn parse(results: &'a Results, text: &'a str) -> Result<Self> {
        let mut words = text.split_whitespace();
        let (Some(step), Some(second)) = (words.next(), words.next()) else {
            bail!("`{text}` is not STEP LABELS PATH");
        };
        // A step of no axes has no labels.
        let (labels, path) = match words.next() {
            Some(path) => (second.split(',').collect(), path),
            None => (vec![], second),
        };
        ensure!(words.next().is_none(), "`{text}` is not STEP LABELS PATH");
        let block = results.experiment.block(step);
        let block = block.with_context(|| format!("`{text}`: no step is called `{step}`"))?;
        let names: Vec<&str> = block.axes.iter().map(|axis| axis.name.as_str()).collect();
        ensure!(
            labels.len() == names.len(),
            "`{text}` has {} labels; step `{step}` has the axes {}",
            labels.len(),
            names.join(", ")
        );
        let mut here = true;
        for (axis, label) in block.axes.iter().zip(&labels) {
            if *label != "*" {
                here &= known(axis, label)?.is_some();
            }
        }
        ensure!(path.starts_with('/'), "`{text}`: a path begins with /");
        Ok(Reference { block, labels, path, here })
    }

    /// Names of the axes that are `*`.
    fn open(&self) -> Vec<&'a str> {
        let axes = self.block.axes.iter().zip(&self.labels);
        axes.filter(|(_, label)| **label == "*").map(|(axis, _)| axis.name.as_str()).collect()
    }

    /// Every combination of what is `*`.
    fn choices(&self) -> Result<Vec<Vec<Choice>>> {
        let open = self.open();
        let axes = open.iter().map(|name| axis(self.block, name)).collect::<Result<Vec<_>>>()?;
        Ok(super::grid::combinations(axes.into_iter()))
    }

    fn point(&self, results: &Results, open: &[Choice]) -> Result<Point> {
        let only: BTreeMap<String, String> = self
            .block
            .axes
            .iter()
            .zip(&self.labels)
            .filter(|(_, label)| **label != "*")
            .map(|(axis, label)| (axis.name.clone(), (*label).to_owned()))
            .collect();
        results.point(self.block, &self.open(), open, &only)
    }

    fn number(&self, results: &Results, open: &[Choice]) -> Result<Option<f64>> {
        if !self.here {
            return Ok(None);
        }
        results.number(self.block, &self.point(results, open)?, self.path)
    }
}

/// Checks a claim. Errors: no relation or several, a name that nothing has.
pub fn verdict(results: &Results, claim: &ClaimSpec) -> Result<Verdict> {
    let cases = cases(results, claim)?;
    if !claim.tested.contains(&results.experiment.scale) {
        return Ok(Verdict::Untested);
    }
    let Some(cases) = cases.into_iter().collect::<Option<Vec<_>>>() else {
        let (done, of) = results.done();
        return Ok(if done < of { Verdict::Unfinished } else { Verdict::Untested });
    };
    let holding = cases.iter().filter(|(holds, _)| *holds == Some(true)).count();
    let failing = cases.iter().find(|(holds, _)| *holds == Some(false));
    Ok(match failing {
        Some((_, why)) => Verdict::Fails(holding, cases.len(), why.clone()),
        None if holding < cases.len() => Verdict::Undefined,
        None => Verdict::Holds,
    })
}

fn cases(results: &Results, claim: &ClaimSpec) -> Result<Vec<Case>> {
    let ClaimSpec { less, near, rising, falling, peaks, above, below, within, .. } = claim;
    let given = [less, near]
        .map(Option::is_some)
        .into_iter()
        .chain([rising, falling, peaks].map(Option::is_some));
    let given = given.chain([above, below].map(Option::is_some)).filter(|given| *given).count();
    ensure!(
        given == 1,
        "a claim is one of less, near, rising, falling, peaks, above and below; this has {given}"
    );
    if let Some(pair) = less {
        return pairs(results, pair, "less than", |a, b| a < b);
    }
    if let Some(pair) = near {
        let close = |a: f64, b: f64| (a - b).abs() <= within * b.abs();
        return pairs(results, pair, "near", close);
    }
    if let Some((text, limit)) = above {
        return bounds(results, text, *limit, "above", |a, b| a > b);
    }
    if let Some((text, limit)) = below {
        return bounds(results, text, *limit, "below", |a, b| a < b);
    }
    let sequence = [(rising, "rising"), (falling, "falling"), (peaks, "largest in between")];
    let Some((text, word)) = sequence.into_iter().find_map(|(t, w)| Some((t.as_ref()?, w))) else {
        bail!("no relation");
    };
    let reference = Reference::parse(results, text)?;
    ensure!(reference.open().len() == 1, "`{text}` needs exactly one `*`");
    let numbers = reference.choices()?.into_iter().map(|open| reference.number(results, &open));
    let Some(numbers) = numbers.collect::<Result<Option<Vec<f64>>>>()? else {
        return Ok(vec![None]);
    };
    let steps = |rises: fn(f64, f64) -> bool| numbers.windows(2).all(|w| rises(w[0], w[1]));
    let holds = match word {
        "rising" => steps(|a, b| a < b),
        "falling" => steps(|a, b| a > b),
        _ => {
            let inner = &numbers[1..numbers.len().max(2) - 1];
            let top = inner.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            top > numbers[0] && top > numbers[numbers.len() - 1]
        }
    };
    let shown: Vec<String> = numbers.iter().map(|n| shown(*n)).collect();
    Ok(vec![Some((judged(&numbers, holds), format!("{word}: {}", shown.join(", "))))])
}

fn pairs(
    results: &Results,
    [a, b]: &[String; 2],
    word: &str,
    holds: impl Fn(f64, f64) -> bool,
) -> Result<Vec<Case>> {
    let (first, second) = (Reference::parse(results, a)?, Reference::parse(results, b)?);
    let (left, right) = (first.choices()?, second.choices()?);
    ensure!(
        left.len() == right.len(),
        "`{a}` is {} numbers and `{b}` {}: as many `*` belong in both",
        left.len(),
        right.len()
    );
    let case = |(l, r): (Vec<Choice>, Vec<Choice>)| -> Result<Case> {
        let (x, y) = (first.number(results, &l)?, second.number(results, &r)?);
        let names: Vec<&str> = l.iter().map(|choice| choice.label.as_str()).collect();
        let told = |x, y| format!("{} {} {word} {}", names.join(", "), shown(x), shown(y));
        let case = |(x, y)| (judged(&[x, y], holds(x, y)), told(x, y).trim().to_owned());
        Ok(x.zip(y).map(case))
    };
    left.into_iter().zip(right).map(case).collect()
}

fn bounds(
    results: &Results,
    text: &str,
    limit: f64,
    word: &str,
    holds: impl Fn(f64, f64) -> bool,
) -> Result<Vec<Case>> {
    let reference = Reference::parse(results, text)?;
    let case = |open: Vec<Choice>| -> Result<Case> {
        let number = reference.number(results, &open)?;
        let case = |n| (judged(&[n], holds(n, limit)), format!("{} {word} {limit}", shown(n)));
        Ok(number.map(case))
    };
    reference.choices()?.into_iter().map(case).collect()
}

/// Four digits that count; of NaN, that it is undefined.
pub fn shown(number: f64) -> String {
    match number.abs() {
        n if n.is_nan() => UNDEFINED.into(),
        n if n == 0. || (1e-3..1e5).contains(&n) => {
            let digits = (3 - n.max(1e-3).log10().floor() as i32).clamp(0, 5) as usize;
            format!("{number:.digits$}")
        }
        _ => format!("{number:.2e}"),
    }
}
