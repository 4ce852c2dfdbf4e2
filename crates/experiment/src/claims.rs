//! What papers say, held against the numbers of a run.

use super::{
    file::{ClaimSpec, Pairs},
    lookup::{Query, Results, named, pairs as words},
    step::{Axis, Choice, Step, combinations},
};
use anyhow::{Context, Result, ensure};
use results::UNDEFINED;

/// What became of a claim.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// In every case.
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

/// One case of a claim, and whether it holds, none where a number is undefined; none at all where one
/// is missing.
type Case = Option<(Option<bool>, String)>;

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

/// What is said of numbers.
enum Relation<'a> {
    /// Of the number with the first words and that with the second.
    Pair(&'a Pairs, &'static str, Box<dyn Fn(f64, f64) -> bool>),
    /// Of the numbers along an axis.
    Along(&'a str, &'static str, fn(&[f64]) -> bool),
    /// Of a number and a limit.
    Bound(f64, &'static str, fn(f64, f64) -> bool),
}

impl<'a> Relation<'a> {
    /// Errors: no relation or several.
    fn new(claim: &'a ClaimSpec) -> Result<Self> {
        let within = claim.within;
        let close = move |a: f64, b: f64| (a - b).abs() <= within * b.abs();
        let mut all = vec![];
        let pairs = [&claim.less, &claim.near].map(|pairs| Some(pairs).filter(|p| !p.is_empty()));
        all.extend(pairs[0].map(|p| Relation::Pair(p, "less than", Box::new(|a, b| a < b))));
        all.extend(pairs[1].map(|p| Relation::Pair(p, "near", Box::new(close))));
        let mut along = |axis: &'a Option<String>, word, holds| {
            all.extend(axis.as_deref().map(|axis| Relation::Along(axis, word, holds)));
        };
        along(&claim.rising, "rising", |n| n.windows(2).all(|w| w[0] < w[1]));
        along(&claim.falling, "falling", |n| n.windows(2).all(|w| w[0] > w[1]));
        along(&claim.peaks, "largest in between", peaks);
        all.extend(claim.above.map(|limit| Relation::Bound(limit, "above", |a, b| a > b)));
        all.extend(claim.below.map(|limit| Relation::Bound(limit, "below", |a, b| a < b)));
        let given = all.len();
        ensure!(
            given == 1,
            "a claim is one of less, near, rising, falling, peaks, above and below; this has {given}"
        );
        all.pop().context("one is there")
    }
}

/// Whether the largest is neither the first nor the last.
fn peaks(numbers: &[f64]) -> bool {
    let [first, inner @ .., last] = numbers else { return false };
    let top = inner.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    top > *first && top > *last
}

/// A case for every combination of the axes that the claim leaves open.
fn cases(results: &Results, claim: &ClaimSpec) -> Result<Vec<Case>> {
    let step = results.experiment.step(&claim.common.step)?;
    let relation = Relation::new(claim)?;
    let queries = match &relation {
        Relation::Pair(pairs, ..) => {
            vec![side(step, claim, pairs, 0)?, side(step, claim, pairs, 1)?]
        }
        _ => vec![Query::new(step, words(&claim.common.words))?],
    };
    let along: Vec<Option<&Choice>> = match &relation {
        Relation::Along(axis, ..) => step.axis(axis)?.choices.iter().map(Some).collect(),
        _ => vec![None],
    };
    let axis = if let Relation::Along(axis, ..) = relation { axis } else { "" };
    let open = results.open(&queries[0]).into_iter().filter(|open| open.name != axis);
    let open: Vec<&Axis> = open.collect();
    let mut cases = vec![];
    for choices in combinations(open.iter().copied()) {
        let fixed = named(open.iter().map(|axis| axis.name.as_str()), &choices);
        let mut numbers = vec![];
        for query in &queries {
            for choice in &along {
                let chosen: Vec<_> =
                    fixed.iter().copied().chain(choice.map(|c| (axis, c))).collect();
                numbers.push(results.number(query, &chosen)?);
            }
        }
        let labels: Vec<&str> = choices.iter().map(|choice| choice.label.as_str()).collect();
        let case = |numbers: Vec<f64>| case(&relation, &labels.join(", "), &numbers);
        cases.push(numbers.into_iter().collect::<Option<_>>().map(case));
    }
    Ok(cases)
}

/// The numbers with the first or with the second words of a pair.
fn side<'a>(
    step: &'a Step,
    claim: &'a ClaimSpec,
    pairs: &'a Pairs,
    which: usize,
) -> Result<Query<'a>> {
    let own = pairs.iter().map(|(name, both)| (name.as_str(), both[which].as_str()));
    Query::new(step, words(&claim.common.words).chain(own))
}

fn case(relation: &Relation, labels: &str, numbers: &[f64]) -> (Option<bool>, String) {
    let list = |numbers: &[f64]| numbers.iter().map(|n| shown(*n)).collect::<Vec<_>>();
    let (holds, text) = match (relation, numbers) {
        (Relation::Pair(_, word, holds), &[a, b]) => {
            (holds(a, b), format!("{labels} {} {word} {}", shown(a), shown(b)))
        }
        (Relation::Along(_, word, holds), numbers) => {
            (holds(numbers), format!("{labels} {word}: {}", list(numbers).join(", ")))
        }
        (Relation::Bound(limit, word, holds), &[n]) => {
            (holds(n, *limit), format!("{} {word} {limit}", shown(n)))
        }
        (_, numbers) => (false, list(numbers).join(", ")),
    };
    let defined = numbers.iter().all(|n| !n.is_nan());
    (defined.then_some(holds), text.trim().to_owned())
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
