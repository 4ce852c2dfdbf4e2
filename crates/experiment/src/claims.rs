//! What papers say, held against the images of a run. A claim holds where every case of it is shown
//! by the images, fails where the contrary of a case is, and is else not decided: a paired bootstrap
//! over images, Holm's correction over the claims of a page (docs/decisions/verdicts.md).

use crate::{
    file::{ClaimSpec, Pairs},
    lookup::{Measured, Query, Results, Source, named, pairs as words},
    step::{Axis, Choice, Step, combinations},
};
use anyhow::Result;
use registry::seed::splitmix;
use results::inference::{Evidence, holm, rank_chance, simes};

mod evidence;
mod relation;
mod verdict;

use evidence::{Middle, evidence};
use relation::{Alternatives, Contrast, Relation};
pub use verdict::{Interval, Told, Verdict};

/// With at most this chance something is called so: that of a page's claims one is so wrongly.
const LEVEL: f64 = 0.05;

/// A claim and what became of it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What is claimed.
    pub text: String,
    /// What became of it.
    pub verdict: Verdict,
    /// How likely its order would be were all numbers exchangeable; none of limits, which know no
    /// order, and of numbers that no chance is in.
    pub chance: Option<f64>,
    /// Whether the limit that it holds numbers against is ours, not the paper's.
    pub ours: bool,
}

impl Judged {
    /// The verdict, the chance by order alone, and whose the limit is.
    pub fn told(&self) -> String {
        let chance = self.chance.map(|chance| format!("chance by order alone {}", short(chance)));
        let ours = self.ours.then(|| "the limit is ours".to_owned());
        let notes: Vec<String> = chance.into_iter().chain(ours).collect();
        match notes.is_empty() {
            true => self.verdict.text(),
            false => format!("{}; {}", self.verdict.text(), notes.join("; ")),
        }
    }
}

/// A chance with two digits.
fn short(chance: f64) -> String {
    if chance >= 0.001 { format!("{chance:.3}") } else { format!("{chance:.0e}") }
}

/// Judges all claims of a page, each given with its error message's place by the caller. Errors, with
/// the number of the claim: no relation or several, a name that nothing has.
pub fn judged(
    results: &Results,
    claims: &[&ClaimSpec],
) -> Result<Vec<Judged>, (usize, anyhow::Error)> {
    let found = claims
        .iter()
        .enumerate()
        .map(|(i, claim)| finding(results, claim).map_err(|error| (i, error)));
    let found = found.collect::<Result<Vec<_>, _>>()?;
    let chances: Vec<f64> = found.iter().filter_map(|(found, _)| found.chance()).collect();
    let mut adjusted = holm(&chances).into_iter();
    let judged = claims.iter().zip(found).map(|(claim, (found, chance))| {
        let verdict = match found {
            Finding::Other(verdict) => verdict,
            Finding::Exact(told, true) => Verdict::Holds(told),
            Finding::Exact(told, false) => Verdict::Fails(told),
            Finding::Likely { told, contrary, .. } => {
                let adjusted = adjusted.next().unwrap_or(1.);
                let called = adjusted <= LEVEL;
                match contrary {
                    Some(contrary) if called => Verdict::Fails(Told { adjusted, ..contrary }),
                    _ if called => Verdict::Holds(Told { adjusted, ..told }),
                    _ => Verdict::Open(Told { adjusted, ..told }),
                }
            }
        };
        let limited = Relation::new(claim).is_ok_and(|relation| relation.has_limit());
        Judged { text: claim.text.clone(), verdict, chance, ours: limited && !claim.printed }
    });
    Ok(judged.collect())
}

/// What the numbers of a claim say before other claims are counted in.
enum Finding {
    /// Without a test.
    Other(Verdict),
    /// Of numbers that no chance is in: whether it holds.
    Exact(Told, bool),
    /// So likely by chance; `contrary` where the contrary is the likelier.
    Likely { told: Told, contrary: Option<Told>, chance: f64 },
}

impl Finding {
    fn chance(&self) -> Option<f64> {
        match self {
            Finding::Likely { chance, .. } => Some(*chance),
            _ => None,
        }
    }
}

/// One case of a claim.
struct Case<'a> {
    labels: String,
    numbers: Vec<Measured<'a>>,
}

impl Case<'_> {
    fn plain(&self) -> Vec<f64> {
        self.numbers.iter().map(|number| number.number).collect()
    }
}

/// What is found of a claim, and its chance by order alone. Errors: no relation or several, a name
/// that nothing has.
fn finding(results: &Results, claim: &ClaimSpec) -> Result<(Finding, Option<f64>)> {
    let relation = Relation::new(claim)?;
    let (cases, statistic) = cases(results, claim, relation)?;
    let other = |verdict| Ok((Finding::Other(verdict), None));
    if !claim.tested.contains(&results.experiment.scale) {
        return other(Verdict::Untested);
    }
    let Some(cases) = cases.into_iter().collect::<Option<Vec<_>>>() else {
        let (done, of) = results.done();
        return other(if done < of { Verdict::Unfinished } else { Verdict::Untested });
    };
    if cases.iter().flat_map(Case::plain).any(f64::is_nan) {
        return other(Verdict::Undefined);
    }
    let each = || cases.iter().flat_map(|case| &case.numbers).map(|number| number.source);
    let single = |case: &Case| relation.chance(case.numbers.len());
    if each().all(|source| matches!(source, Source::Exact)) {
        return Ok((exact(relation, &cases), None));
    }
    if let Some(Source::Networks(n)) = each().next() {
        // Cases are of the same networks: several are no less likely than one.
        let chance = cases.iter().filter_map(single).reduce(f64::min).or(match relation {
            Relation::Above(limit) => n.map(|n| rank_chance(n as usize, limit)),
            _ => None,
        });
        return Ok((by_order(relation, &cases, chance), chance));
    }
    let chance = cases.iter().map(single).product::<Option<f64>>();
    let images = each().all(|source| matches!(source, Source::Images(_)));
    let Some(middle) = Middle::of(&statistic).filter(|_| images) else {
        let why = match Middle::of(&statistic) {
            Some(_) => "no per-image values".to_owned(),
            None => format!("no test of `{statistic}`"),
        };
        return Ok((Finding::Other(Verdict::Unjudged(why)), chance));
    };
    Ok((by_images(relation, &cases, middle, seed(&claim.text)), chance))
}

/// The draws of a claim are its own.
fn seed(text: &str) -> u64 {
    text.bytes().fold(0, |seed, byte| splitmix(seed ^ u64::from(byte)))
}

/// In how many cases of how many the numbers are in order, and the first that is not, or the first.
fn in_order(relation: Relation, cases: &[Case]) -> Told {
    let orders: Vec<bool> = cases.iter().map(|case| relation.in_order(&case.plain())).collect();
    let some = orders.iter().filter(|order| **order).count();
    let which = orders.iter().position(|order| !order).unwrap_or(0);
    let case = cases.get(which).map(|case| relation.told(&case.labels, &case.plain()));
    let case = case.unwrap_or_default();
    Told { cases: (some, cases.len()), case, interval: None, adjusted: 0. }
}

fn exact(relation: Relation, cases: &[Case]) -> Finding {
    let told = in_order(relation, cases);
    let holds = told.cases.0 == told.cases.1;
    Finding::Exact(told, holds)
}

/// Of numbers of networks, where the order is all that is known: it holds if the order is there and
/// hardly is by chance, and cannot fail.
fn by_order(relation: Relation, cases: &[Case], chance: Option<f64>) -> Finding {
    let told = in_order(relation, cases);
    match chance {
        None => Finding::Other(Verdict::Unjudged("no per-image values".into())),
        Some(chance) if told.cases.0 == told.cases.1 => {
            Finding::Likely { told, contrary: None, chance }
        }
        Some(_) => Finding::Likely { told, contrary: None, chance: 1. },
    }
}

/// A case, a contrast of it, and how likely its evidence is by chance.
type Found = (usize, Contrast, Evidence);

fn by_images(relation: Relation, cases: &[Case], middle: Middle, seed: u64) -> Finding {
    let mut holds: Vec<Found> = vec![];
    let mut fails: Vec<Found> = vec![];
    for (i, case) in cases.iter().enumerate() {
        let numbers = case.plain();
        let columns: Vec<&[f64]> = case.numbers.iter().map(Measured::values).collect();
        let shown_by = relation.shown_by(&numbers, middle == Middle::Geometric);
        let mut known: Vec<(Contrast, Evidence)> = vec![];
        let mut of = |contrast: &Contrast| -> Result<Evidence, String> {
            if let Some((other, found)) =
                known.iter().find(|(other, _)| other == contrast || other.opposes(contrast))
            {
                return Ok(if other == contrast { *found } else { found.flipped() });
            }
            let found = evidence(contrast, &columns, middle, seed)?;
            known.push((contrast.clone(), found));
            Ok(found)
        };
        let [yes, no] = shown_by.map(|alternatives| weakest(&alternatives, &mut of));
        let (yes, no) = match (yes, no) {
            (Ok(yes), Ok(no)) => (yes, no),
            (Err(why), _) | (_, Err(why)) => return Finding::Other(Verdict::Unjudged(why)),
        };
        // Of alternatives the likeliest, with all of them counted in.
        holds.extend(best(&yes).map(|(contrast, found)| (i, contrast, found)));
        fails.extend(no.into_iter().map(|(contrast, found)| (i, contrast, found)));
    }
    let told = |found: &Found, flip: bool| {
        let (i, contrast, evidence) = found;
        let (contrast, evidence) = if flip {
            (contrast.flipped(), evidence.flipped())
        } else {
            (contrast.clone(), *evidence)
        };
        let case = &cases[*i];
        Told {
            case: relation.told(&case.labels, &case.plain()),
            interval: Some(interval(&contrast, &evidence, middle)),
            ..in_order(relation, cases)
        }
    };
    let sure = holds.iter().max_by(|a, b| a.2.above.total_cmp(&b.2.above));
    let contrary = fails.iter().min_by(|a, b| a.2.above.total_cmp(&b.2.above));
    let (Some(sure), Some(contrary)) = (sure, contrary) else {
        return Finding::Other(Verdict::Undefined);
    };
    let yes = sure.2.above;
    let no = simes(&fails.iter().map(|(.., found)| found.above).collect::<Vec<_>>());
    Finding::Likely {
        told: told(sure, false),
        contrary: (no < yes).then(|| told(contrary, true)),
        chance: (2. * yes.min(no)).min(1.),
    }
}

/// Of each alternative the contrast that is shown least.
fn weakest(
    alternatives: &Alternatives,
    of: &mut dyn FnMut(&Contrast) -> Result<Evidence, String>,
) -> Result<Vec<(Contrast, Evidence)>, String> {
    let mut all = vec![];
    for contrasts in alternatives {
        let each = contrasts.iter().map(|contrast| Ok((contrast.clone(), of(contrast)?)));
        let each = each.collect::<Result<Vec<_>, String>>()?;
        all.extend(each.into_iter().max_by(|a, b| a.1.above.total_cmp(&b.1.above)));
    }
    Ok(all)
}

/// The likeliest of alternatives, its chance that of all of them.
fn best(alternatives: &[(Contrast, Evidence)]) -> Option<(Contrast, Evidence)> {
    let all = simes(&alternatives.iter().map(|(_, found)| found.above).collect::<Vec<_>>());
    let (contrast, found) =
        alternatives.iter().min_by(|a, b| a.1.above.total_cmp(&b.1.above))?.clone();
    Some((contrast, Evidence { above: all, ..found }))
}

/// Of one number beside a limit the number, else the difference.
fn interval(contrast: &Contrast, evidence: &Evidence, middle: Middle) -> Interval {
    let [(_, factor)] = contrast.terms[..] else { return Interval::new(evidence, middle, None) };
    let limit = -factor * contrast.constant;
    let limit = if middle == Middle::Geometric { limit.exp() } else { limit };
    let evidence = if factor > 0. { *evidence } else { evidence.flipped() };
    Interval::new(&evidence, middle, Some(limit))
}

/// A case for every combination of the axes that the claim leaves open, none where a number is
/// missing; and the statistic that it asks for.
fn cases<'a>(
    results: &'a Results,
    claim: &'a ClaimSpec,
    relation: Relation<'a>,
) -> Result<(Vec<Option<Case<'a>>>, String)> {
    let step = results.experiment.step(&claim.common.step)?;
    let queries = match relation {
        Relation::Less(pairs) | Relation::Near(pairs, _) => {
            vec![side(step, claim, pairs, 0)?, side(step, claim, pairs, 1)?]
        }
        _ => vec![Query::new(step, words(&claim.common.words))?],
    };
    let along: Vec<Option<&Choice>> = match relation {
        Relation::Along(axis, _) => step.axis(axis)?.choices.iter().map(Some).collect(),
        _ => vec![None],
    };
    let axis = if let Relation::Along(axis, _) = relation { axis } else { "" };
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
                numbers.push(results.measured(query, &chosen)?);
            }
        }
        let labels: Vec<&str> = choices.iter().map(|choice| choice.label.as_str()).collect();
        let labels = labels.join(", ");
        let numbers = numbers.into_iter().collect::<Option<Vec<_>>>();
        cases.push(numbers.map(|numbers| Case { labels, numbers }));
    }
    Ok((cases, queries[0].statistic().to_owned()))
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
