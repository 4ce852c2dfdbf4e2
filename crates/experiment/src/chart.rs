//! Figures in the form of the paper's.

use super::{
    file::{FigureSpec, Kind, Words, X},
    lookup::{Query, Results, named, pairs},
    show::shown,
    step::{Choice, Step, combinations},
};
use anyhow::{Context, Result, bail, ensure};
use plot::{HeatCell, HeatPanel, Heatmap, Panel, Point, Series, XAxis};
use registry::parse_fraction;
use std::path::PathBuf;

/// A figure, ready to be drawn.
#[derive(Debug)]
pub enum Chart {
    /// Charts side by side.
    Panels {
        /// Above the figure.
        title: String,
        /// Each with its axes.
        panels: Vec<Panel>,
        /// Colour index and name of each series.
        legend: Vec<(usize, String)>,
    },
    /// Shaded tables.
    Heatmap(Heatmap),
    /// Captions and files.
    Pictures {
        /// Above the figure.
        title: String,
        /// A caption and a file for each.
        files: Vec<(String, PathBuf)>,
    },
}

impl Chart {
    /// Errors: names that nothing has, an axis that is no number.
    pub fn new(results: &Results, spec: &FigureSpec) -> Result<Self> {
        let step = results.experiment.step(&spec.step)?;
        match spec.kind {
            Kind::Lines | Kind::Boxes | Kind::Scatter => panels(results, step, spec),
            Kind::Heatmap => heatmap(results, step, spec),
            Kind::Picture => pictures(results, step, spec),
        }
    }
}

impl FigureSpec {
    /// A number of it.
    fn query<'a>(&'a self, step: &'a Step, words: &'a Words) -> Result<Query<'a>> {
        Query::new(step, pairs(&self.common).chain(pairs(words)))
    }

    /// What runs upwards: its quantity, and its statistic where that is not the mean.
    fn up(&self) -> String {
        [&self.y, &self.common]
            .into_iter()
            .map(words_of)
            .find(|told| !told.is_empty())
            .unwrap_or_default()
    }

    /// The axis that is across.
    fn axis(&self) -> Result<&String> {
        match &self.x {
            Some(X::Axis(name)) => Ok(name),
            _ => bail!("`x` of {} is the name of an axis", self.kind.name()),
        }
    }
}

/// The values of a number's words, such as `k-in`.
fn words_of(words: &Words) -> String {
    let told: Vec<&str> = ["quantity", "statistic", "value"]
        .iter()
        .filter_map(|key| pairs(words).find(|(name, _)| name == key))
        .map(|(_, value)| value)
        .collect();
    told.join(", ")
}

/// The choices of an axis, or the one choice there is without it.
fn choices<'a>(step: &'a Step, name: Option<&String>) -> Result<Vec<Option<&'a Choice>>> {
    match name {
        Some(name) => Ok(step.axis(name)?.choices.iter().map(Some).collect()),
        None => Ok(vec![None]),
    }
}

fn panels(results: &Results, step: &Step, spec: &FigureSpec) -> Result<Chart> {
    let lines = choices(step, spec.lines.as_ref())?;
    let mut panels = vec![];
    for panel in choices(step, spec.panels.as_ref())? {
        let series = lines.iter().enumerate().map(|(slot, line)| {
            let points = points(results, step, spec, [panel, *line])?;
            Ok(Series { color_index: slot, points })
        });
        let series = series.collect::<Result<Vec<_>>>()?;
        let across = match (spec.kind, spec.log) {
            (Kind::Boxes, _) => XAxis::Category,
            (Kind::Scatter, false) => XAxis::Scatter,
            (Kind::Scatter, true) => XAxis::LogScatter,
            (_, true) => XAxis::Log,
            (_, false) => XAxis::Linear,
        };
        // The figure's own title stands above a single panel.
        let title = panel.map_or_else(String::new, |panel| panel.label.clone());
        let heights = series.iter().flat_map(|s: &Series| s.points.iter().map(Point::lowest));
        let start = heights.filter(|y| y.is_finite()).fold(f64::NAN, f64::min);
        let include = if start.is_nan() { (0., 1.) } else { (start, start) };
        let below = match &spec.x {
            Some(X::Axis(name)) if spec.across.is_empty() => name.clone(),
            Some(X::Number(words)) if spec.across.is_empty() => words_of(words),
            _ => spec.across.clone(),
        };
        panels.push(Panel {
            title,
            x_axis: across,
            x_label: below,
            y_label: spec.up(),
            y_range: include,
            equal: false,
            series,
        });
    }
    let legend =
        lines.into_iter().flatten().enumerate().map(|(slot, line)| (slot, line.label.clone()));
    Ok(Chart::Panels { title: spec.title.clone(), panels, legend: legend.collect() })
}

fn points(
    results: &Results,
    step: &Step,
    spec: &FigureSpec,
    chosen: [Option<&Choice>; 2],
) -> Result<Vec<Point>> {
    let names = [spec.panels.as_deref(), spec.lines.as_deref()];
    let fixed: Vec<(&str, &Choice)> =
        names.into_iter().zip(chosen).filter_map(|(name, choice)| Some((name?, choice?))).collect();
    let y = spec.query(step, &spec.y)?;
    // A cloud has a point for every combination of what is left.
    let (across, open) = match &spec.x {
        Some(X::Number(words)) if spec.kind == Kind::Scatter => {
            let x = spec.query(step, words)?;
            let open = y.open().filter(|axis| fixed.iter().all(|(name, _)| *name != axis.name));
            (Some(x), open.collect())
        }
        _ if spec.kind == Kind::Scatter => bail!("`x` of scatter is a number"),
        _ => (None, vec![step.axis(spec.axis()?)?]),
    };
    let mut points = vec![];
    for (i, choices) in combinations(open.iter().copied()).iter().enumerate() {
        let names = open.iter().map(|axis| axis.name.as_str());
        let chosen = [fixed.clone(), named(names, choices)].concat();
        let number = |query: &Query| results.number(query, &chosen);
        if let Some(x) = &across {
            let pair = number(x)?.zip(number(&y)?);
            points.extend(pair.map(|(x, y)| Point::new(x, String::new(), y, 0.)));
            continue;
        }
        let label = choices[0].label.clone();
        points.extend(match spec.kind {
            Kind::Boxes => {
                let five = results.row(&y, &chosen)?.and_then(|row| row.number.five());
                five.map(|five| Point::boxed(i as f64, label, five))
            }
            _ => {
                let context = || format!("`x`: the label `{label}` is no number");
                let x = parse_fraction(&label).with_context(context)?;
                let error = if spec.error { number(&y.error())? } else { None };
                let error = error.filter(|error| !error.is_nan()).unwrap_or(0.);
                number(&y)?.map(|y| Point::new(x, label, y, error))
            }
        });
    }
    points.sort_by(|a, b| a.x.total_cmp(&b.x));
    Ok(points)
}

fn heatmap(results: &Results, step: &Step, spec: &FigureSpec) -> Result<Chart> {
    let rows = spec.lines.as_ref().context("a heatmap has an axis of rows, `lines`")?;
    let columns = spec.axis()?;
    let (down, over) = (step.axis(rows)?, step.axis(columns)?);
    let y = spec.query(step, &spec.y)?;
    let labels = |choices: &[Choice]| choices.iter().map(|c| c.label.clone()).collect::<Vec<_>>();
    let mut panels = vec![];
    for panel in choices(step, spec.panels.as_ref())? {
        let fixed = spec.panels.as_deref().zip(panel);
        let mut cells = vec![];
        for row in &down.choices {
            let number = |column: &Choice| {
                let place = [(rows.as_str(), row), (columns.as_str(), column)];
                let chosen: Vec<_> = place.into_iter().chain(fixed).collect();
                results.number(&y, &chosen)
            };
            cells.push(over.choices.iter().map(number).collect::<Result<Vec<_>>>()?);
        }
        let all = || cells.iter().flatten().flatten().copied();
        let (low, high) =
            (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
        let shaded = |number: &Option<f64>| HeatCell {
            text: number.map_or("–".into(), shown),
            shade: number.map_or(0., |n| (n - low) / (high - low).max(f64::MIN_POSITIVE)),
        };
        let cells = cells.iter().map(|row| row.iter().map(shaded).collect()).collect();
        panels
            .push(HeatPanel { title: panel.map_or_else(String::new, |p| p.label.clone()), cells });
    }
    Ok(Chart::Heatmap(Heatmap {
        title: spec.title.clone(),
        note: "darker is more".into(),
        axes: [rows.clone(), columns.clone()],
        rows: labels(&down.choices),
        columns: labels(&over.choices),
        panels,
    }))
}

fn pictures(results: &Results, step: &Step, spec: &FigureSpec) -> Result<Chart> {
    let name = spec.picture.as_deref().context("which file of its cell? `picture = \"FILE\"`")?;
    ensure!(
        !name.contains('/'),
        "`picture = \"{name}\"`: a picture lies in the folder of its cell"
    );
    let query = Query::new(step, pairs(&spec.common))?;
    let (within, open): (Vec<_>, Vec<_>) = query.open().partition(|axis| axis.within);
    // All choices of an axis within are in one cell.
    let fixed = within.iter().filter_map(|axis| Some((axis.name.as_str(), axis.choices.first()?)));
    let fixed: Vec<_> = fixed.collect();
    let mut files = vec![];
    for choices in combinations(open.iter().copied()) {
        let names = open.iter().map(|axis| axis.name.as_str());
        let folder = results.folder(&query, &[fixed.clone(), named(names, &choices)].concat())?;
        let caption: Vec<&str> = choices.iter().map(|choice| choice.label.as_str()).collect();
        let file = folder.map(|folder| folder.join(name)).filter(|file| file.exists());
        files.extend(file.map(|file| (caption.join(", "), file)));
    }
    Ok(Chart::Pictures { title: spec.title.clone(), files })
}
