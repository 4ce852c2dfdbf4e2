//! What a claim says of numbers: whether they are in that order, and which differences would show it.

use crate::{
    file::{ClaimSpec, Pairs},
    show::shown,
};
use anyhow::{Context, Result, ensure};

/// What is said of numbers.
#[derive(Clone, Copy)]
pub(super) enum Relation<'a> {
    /// The number with the first words is less than that with the second.
    Less(&'a Pairs),
    /// They are apart by at most this share of the second.
    Near(&'a Pairs, f64),
    /// The numbers along an axis have a shape.
    Along(&'a str, Shape),
    /// The number is above a limit.
    Above(f64),
    /// It is below a limit.
    Below(f64),
}

/// A shape of numbers along an axis.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Rising,
    Falling,
    /// The largest is neither the first nor the last.
    Peaks,
    /// The smallest is neither the first nor the last.
    Dips,
}

/// A sum of the numbers of a case, each with a factor, and a constant: of it is asked whether it is
/// above zero.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Contrast {
    /// Which number, and its factor.
    pub terms: Vec<(usize, f64)>,
    pub constant: f64,
}

/// Alternatives, each of contrasts that all have to be above zero.
pub(super) type Alternatives = Vec<Vec<Contrast>>;

impl Contrast {
    /// `more` − `less`.
    fn apart(less: usize, more: usize) -> Self {
        Contrast { terms: vec![(more, 1.), (less, -1.)], constant: 0. }
    }

    /// Whether it is minus `other`.
    pub fn opposes(&self, other: &Contrast) -> bool {
        self.flipped() == *other
    }

    /// Minus this one, its terms in their order.
    pub fn flipped(&self) -> Self {
        let mut terms: Vec<_> = self.terms.iter().map(|(i, factor)| (*i, -factor)).collect();
        terms.sort_by(|a, b| b.1.total_cmp(&a.1));
        Contrast { terms, constant: -self.constant }
    }
}

impl<'a> Relation<'a> {
    /// Errors: no relation or several.
    pub fn new(claim: &'a ClaimSpec) -> Result<Self> {
        let some = |pairs: &'a Pairs| Some(pairs).filter(|pairs| !pairs.is_empty());
        let along = |axis: &'a Option<String>, shape| {
            axis.as_deref().map(|axis| Relation::Along(axis, shape))
        };
        let all = [
            some(&claim.less).map(Relation::Less),
            some(&claim.near).map(|pairs| Relation::Near(pairs, claim.within)),
            along(&claim.rising, Shape::Rising),
            along(&claim.falling, Shape::Falling),
            along(&claim.peaks, Shape::Peaks),
            along(&claim.dips, Shape::Dips),
            claim.above.map(Relation::Above),
            claim.below.map(Relation::Below),
        ];
        let given: Vec<Relation> = all.into_iter().flatten().collect();
        ensure!(
            given.len() == 1,
            "a claim is one of less, near, rising, falling, peaks, dips, above and below; this has {}",
            given.len()
        );
        given.into_iter().next().context("one is there")
    }

    /// Whether a number is set that the numbers are held against.
    pub fn has_limit(&self) -> bool {
        matches!(self, Relation::Near(..) | Relation::Above(_) | Relation::Below(_))
    }

    /// Whether the numbers of a case are as it says.
    pub fn in_order(&self, numbers: &[f64]) -> bool {
        let each = |holds: fn(f64, f64) -> bool| numbers.windows(2).all(|w| holds(w[0], w[1]));
        match *self {
            Relation::Less(_) => numbers[0] < numbers[1],
            Relation::Near(_, within) => {
                (numbers[0] - numbers[1]).abs() <= within * numbers[1].abs()
            }
            Relation::Along(_, Shape::Rising) => each(|a, b| a < b),
            Relation::Along(_, Shape::Falling) => each(|a, b| a > b),
            Relation::Along(_, Shape::Peaks) => peaks(numbers.iter().copied()),
            Relation::Along(_, Shape::Dips) => peaks(numbers.iter().map(|n| -n)),
            Relation::Above(limit) => numbers[0] > limit,
            Relation::Below(limit) => numbers[0] < limit,
        }
    }

    /// How likely `count` numbers would be in this order if they were exchangeable; none of a limit,
    /// which knows no order.
    pub fn chance(&self, count: usize) -> Option<f64> {
        match self {
            Relation::Less(_) => Some(0.5),
            Relation::Along(_, Shape::Rising | Shape::Falling) => {
                Some((1..=count).map(|n| 1. / n as f64).product())
            }
            Relation::Along(_, Shape::Peaks | Shape::Dips) => {
                Some(count.saturating_sub(2) as f64 / count.max(1) as f64)
            }
            Relation::Near(..) | Relation::Above(_) | Relation::Below(_) => None,
        }
    }

    /// What would show that a case is as it says, and what that it is not; `logarithms`: of numbers
    /// whose logarithms are compared.
    pub fn shown_by(&self, numbers: &[f64], logarithms: bool) -> [Alternatives; 2] {
        let limit = |limit: f64| if logarithms { limit.ln() } else { limit };
        let bound =
            |sign: f64, at: f64| Contrast { terms: vec![(0, sign)], constant: -sign * limit(at) };
        let all = |contrasts: Vec<Contrast>| vec![contrasts];
        let any = |contrasts: Vec<Contrast>| contrasts.into_iter().map(|c| vec![c]).collect();
        let steps: Vec<usize> = (1..numbers.len()).collect();
        let up = |&i: &usize| Contrast::apart(i - 1, i);
        let down = |&i: &usize| Contrast::apart(i, i - 1);
        match *self {
            Relation::Less(_) => {
                [all(vec![Contrast::apart(0, 1)]), all(vec![Contrast::apart(1, 0)])]
            }
            Relation::Near(_, within) => {
                let sides = near(within, numbers[1], logarithms);
                let beyond = sides.iter().map(Contrast::flipped).collect();
                [all(sides), any(beyond)]
            }
            Relation::Along(_, Shape::Rising) => {
                [all(steps.iter().map(up).collect()), any(steps.iter().map(down).collect())]
            }
            Relation::Along(_, Shape::Falling) => {
                [all(steps.iter().map(down).collect()), any(steps.iter().map(up).collect())]
            }
            Relation::Along(_, Shape::Peaks) => peak(numbers.len(), false),
            Relation::Along(_, Shape::Dips) => peak(numbers.len(), true),
            Relation::Above(at) => [all(vec![bound(1., at)]), all(vec![bound(-1., at)])],
            Relation::Below(at) => [all(vec![bound(-1., at)]), all(vec![bound(1., at)])],
        }
    }

    /// A case in words.
    pub fn told(&self, labels: &str, numbers: &[f64]) -> String {
        let list = || numbers.iter().map(|n| shown(*n)).collect::<Vec<_>>().join(", ");
        let pair = |word: &str| format!("{} {word} {}", shown(numbers[0]), shown(numbers[1]));
        let text = match self {
            Relation::Less(_) => pair("less than"),
            Relation::Near(..) => pair("near"),
            Relation::Along(_, shape) => format!("{}: {}", shape.word(), list()),
            Relation::Above(limit) => format!("{} above {limit}", shown(numbers[0])),
            Relation::Below(limit) => format!("{} below {limit}", shown(numbers[0])),
        };
        format!("{labels} {text}").trim().to_owned()
    }
}

impl Shape {
    fn word(self) -> &'static str {
        match self {
            Shape::Rising => "rising",
            Shape::Falling => "falling",
            Shape::Peaks => "largest in between",
            Shape::Dips => "smallest in between",
        }
    }
}

/// Whether the largest is neither the first nor the last.
fn peaks(numbers: impl Iterator<Item = f64>) -> bool {
    let numbers: Vec<f64> = numbers.collect();
    let [first, inner @ .., last] = &numbers[..] else { return false };
    let top = inner.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    top > *first && top > *last
}

/// That the first number is not below, and not above, what is `within` of the second.
fn near(within: f64, second: f64, logarithms: bool) -> Vec<Contrast> {
    if logarithms {
        let [least, most] = [-within, within].map(f64::ln_1p);
        return vec![
            Contrast { terms: vec![(0, 1.), (1, -1.)], constant: -least },
            Contrast { terms: vec![(1, 1.), (0, -1.)], constant: most },
        ];
    }
    let within = within * second.signum();
    vec![
        Contrast { terms: vec![(0, 1.), (1, within - 1.)], constant: 0. },
        Contrast { terms: vec![(1, 1. + within), (0, -1.)], constant: 0. },
    ]
}

/// One number in between is above both ends; or one end is above all in between. `low`: below.
fn peak(count: usize, low: bool) -> [Alternatives; 2] {
    let last = count.saturating_sub(1);
    let over =
        |less, more| if low { Contrast::apart(more, less) } else { Contrast::apart(less, more) };
    let tops = (1..last).map(|top| vec![over(0, top), over(last, top)]);
    let ends = [0, last].map(|end| (1..last).map(|inner| over(inner, end)).collect());
    [tops.collect(), ends.into()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_by_chance_is_as_likely_as_counting_says() {
        let along = |shape| Relation::Along("x", shape);
        let orders = |shape: Shape| {
            let (mut held, mut all) = (0, 0);
            for code in 0..256 {
                let order: Vec<usize> = (0..4).map(|i| code >> (2 * i) & 3).collect();
                if (0..4).all(|n| order.contains(&n)) {
                    let numbers: Vec<f64> = order.iter().map(|n| *n as f64).collect();
                    held += usize::from(along(shape).in_order(&numbers));
                    all += 1;
                }
            }
            held as f64 / all as f64
        };
        for shape in [Shape::Rising, Shape::Falling, Shape::Peaks, Shape::Dips] {
            assert!((along(shape).chance(4).unwrap() - orders(shape)).abs() < 1e-12);
        }
        assert_eq!(along(Shape::Peaks).chance(8), Some(0.75));
        assert_eq!(Relation::Above(1.).chance(1), None);
    }

    #[test]
    fn what_shows_it_agrees_with_the_order() {
        let value = |contrast: &Contrast, numbers: &[f64]| {
            let sum: f64 = contrast.terms.iter().map(|(i, factor)| factor * numbers[*i]).sum();
            sum + contrast.constant
        };
        let shown = |alternatives: &Alternatives, numbers: &[f64]| {
            alternatives.iter().any(|all| all.iter().all(|c| value(c, numbers) > 0.))
        };
        let pairs = Pairs::new();
        let relations = [
            Relation::Less(&pairs),
            Relation::Near(&pairs, 0.1),
            Relation::Along("x", Shape::Rising),
            Relation::Along("x", Shape::Falling),
            Relation::Along("x", Shape::Peaks),
            Relation::Along("x", Shape::Dips),
            Relation::Above(2.5),
            Relation::Below(2.5),
        ];
        for numbers in [[1., 2., 3.], [3., 2., 1.], [1., 3., 2.], [2.1, 2., 3.], [-2.1, -2., 4.]] {
            for relation in &relations {
                let [holds, fails] = relation.shown_by(&numbers, false);
                assert_eq!(shown(&holds, &numbers), relation.in_order(&numbers));
                assert_eq!(shown(&fails, &numbers), !relation.in_order(&numbers));
            }
        }
        // Of logarithms: 2 is near 2.1 and above 1.5.
        let logs = [2f64.ln(), 2.1f64.ln()];
        for relation in [Relation::Near(&pairs, 0.1), Relation::Above(1.5)] {
            let [holds, fails] = relation.shown_by(&[2., 2.1], true);
            assert!(shown(&holds, &logs) && !shown(&fails, &logs));
        }
    }
}
