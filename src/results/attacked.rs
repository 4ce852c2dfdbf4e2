//! An attack on maps: its numbers at each radius as rows, and rows as numbers at each radius.

use super::FLOOR;
use ::results::{Keys, Number, Record, Row, Sample, Table, keys};
use std::collections::BTreeMap;

/// The ending of the name of an area over log2(255 ε).
pub const AUC: &str = "-auc";

/// The ending of the name of a similarity of maps of different images.
pub const OF_OTHERS: &str = "-of-others";

/// How the radii of an attack hang together, for people; none of one radius, or where that was not kept.
pub fn starts(record: &Record) -> Option<&'static str> {
    let warm = record.settings.get("warm_start_eps")?.as_bool()?;
    let told = match warm {
        true => "each eps begins with the images of the one before (--warm-start-eps)",
        false => "each eps is attacked by itself",
    };
    (record.rows.distinct("eps").len() > 1).then_some(told)
}

/// A radius as keys: its label and its value.
pub fn at_radius(of: &Keys, eps: f64, label: &str) -> Keys {
    let mut of = of.clone();
    of.extend(keys([("eps", label), ("eps_value", &eps.to_string())]));
    of
}

/// Quantities at a radius that are of no metric.
pub const OF_NO_METRIC: [&str; 5] = ["success", "no-map", "l2-change", "measure", "converged"];

/// One radius of an attack.
#[derive(Clone, Debug)]
pub struct AtEps {
    /// Radius in pixel units of [0, 1].
    pub eps: f64,
    /// The radius as people write it: `8/255`.
    pub label: String,
    /// Fraction of the images with a map that have an accepted iterate, in [0, 1]; no mean if no image
    /// has a map.
    pub success: Sample,
    /// Images without a map, or without one to aim at: in no mean.
    pub no_map: u64,
    /// By metric name (`k-in`, `cor`, `cdl`, `cosd`, `confidence`).
    pub metrics: BTreeMap<String, Sample>,
    /// How far the images moved; none where that was not kept.
    pub change: Option<Sample>,
}

impl AtEps {
    /// Adds the rows of an attack on the maps that `of` names, and of the areas over its radii.
    pub fn push(rows: &mut Table, of: &Keys, eps: &[AtEps], auc: &BTreeMap<String, Sample>) {
        for at in eps {
            let of = at_radius(of, at.eps, &at.label);
            for (name, number) in &at.metrics {
                rows.push(&of, name, number.clone());
            }
            let with_map = at.metrics.values().filter_map(|s| Some(s.n? + s.undefined)).max();
            let n = with_map.map(|all| all - at.no_map.min(all));
            let mut success = at.success.clone();
            success.n = success.n.or(n);
            rows.push(&of, "success", success);
            rows.push(&of, "no-map", Number::exact(at.no_map as f64));
            at.change.iter().for_each(|change| rows.push(&of, "l2-change", change.clone()));
        }
        for (name, area) in auc {
            rows.push(of, &format!("{name}{AUC}"), area.clone());
        }
    }
}

/// Trapezoid over log2(255 ε) of each metric at each image, undefined at images where one of its
/// values is; empty with fewer than two positive radii.
pub fn auc(eps: &[AtEps]) -> BTreeMap<String, Sample> {
    let at: Vec<&AtEps> = eps.iter().filter(|at| at.eps > 0.).collect();
    let Some(first) = at.first().filter(|_| at.len() > 1) else { return BTreeMap::new() };
    let area = |name: &String| {
        let mut areas = vec![0.; first.metrics[name].values.len()];
        for pair in at.windows(2) {
            let width = (pair[1].eps / pair[0].eps).log2();
            let ends = pair[0].metrics[name].values.iter().zip(&pair[1].metrics[name].values);
            areas.iter_mut().zip(ends).for_each(|(area, (a, b))| *area += width * (a + b) / 2.);
        }
        let mut area = Sample::over_images(areas, 0);
        // Of images whose attack succeeded at every radius.
        let all = |image: usize| at.iter().all(|at| at.success.values.get(image) == Some(&1.));
        let some = area.values.iter().enumerate().filter(|(image, v)| v.is_finite() && all(*image));
        let some: Vec<f64> = some.map(|(_, v)| *v).collect();
        let mean = some.iter().sum::<f64>() / some.len() as f64;
        area.mean_of_successes = Some(mean).filter(|mean| !mean.is_nan());
        area
    };
    first.metrics.keys().map(|name| (name.clone(), area(name))).collect()
}

/// The rows of an attack on the maps of one model by one method.
#[derive(Clone, Debug)]
pub struct Attacked<'a> {
    rows: Vec<&'a Row>,
}

impl<'a> Attacked<'a> {
    /// The rows of `record` that have all of `of`, with numbers of maps.
    pub fn of(record: &'a Record, of: &Keys) -> Self {
        let maps = |row: &&Row| row.keys.contains_key("method");
        Attacked { rows: record.rows.filter(of).filter(maps).collect() }
    }

    /// The value of a key that all rows share.
    pub fn key(&self, key: &str) -> &'a str {
        self.rows.first().map_or("", |row| row.key(key))
    }

    /// The radii in the order of the rows: pixel units of [0, 1], and label. NaN: one without a value.
    pub fn radii(&self) -> Vec<(f64, &'a str)> {
        let mut radii: Vec<(f64, &str)> = vec![];
        for row in self.rows.iter().filter(|row| row.keys.contains_key("eps")) {
            if radii.iter().all(|(_, label)| *label != row.key("eps")) {
                radii.push((row.key("eps_value").parse().unwrap_or(f64::NAN), row.key("eps")));
            }
        }
        radii
    }

    /// The rows at the radius called `label`.
    pub fn at(&self, label: &str) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().copied().filter(move |row| row.key("eps") == label)
    }

    /// The number of `quantity` at the radius called `label`.
    pub fn number(&self, label: &str, quantity: &str) -> Option<&'a Number> {
        self.at(label).find(|row| row.quantity() == quantity).map(|row| &row.number)
    }

    /// The values of `quantity` at the radius called `label`, one an image.
    pub fn values(&self, label: &str, quantity: &str) -> &'a [f64] {
        let own = self.at(label).find(|row| row.quantity() == quantity);
        own.map_or(&[], |row| &row.values)
    }

    /// The area of `quantity` over the radii.
    pub fn area(&self, quantity: &str) -> Option<&'a Row> {
        let own = |row: &&&Row| row.quantity().strip_suffix(AUC) == Some(quantity);
        self.rows.iter().find(own).copied()
    }

    /// Whether there is an area of anything.
    pub fn has_areas(&self) -> bool {
        self.rows.iter().any(|row| row.quantity().ends_with(AUC))
    }

    /// Images without a map, at the radius where they are most.
    pub fn no_map(&self) -> u64 {
        let counts = self.rows.iter().filter(|row| row.quantity() == "no-map");
        counts.filter_map(|row| row.number.mean).fold(0., f64::max) as u64
    }

    /// Whether images without a map were told from others: files do not say so that were written before
    /// they were, in which such an image counts as one whose map no attack moves.
    pub fn checked(&self) -> bool {
        let other = |name: &str| OF_NO_METRIC.contains(&name) || name.ends_with(FLOOR);
        let metric = |row: &&&Row| row.keys.contains_key("eps") && !other(row.quantity());
        self.rows.iter().filter(metric).all(|row| row.number.n.is_some())
    }
}
