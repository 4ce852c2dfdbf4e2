//! Figures in the form of the paper's.

use super::{
    file::{FigureSpec, Kind},
    found::{Results, axis},
    grid::{Block, Choice},
};
use anyhow::{Context, Result, ensure};
use plot::{HeatCell, HeatPanel, Heatmap, Panel, Point, Series, XAxis};
use registry::parse_fraction;
use std::path::PathBuf;

/// A figure, ready to be drawn.
#[derive(Debug)]
pub enum Chart {
    Panels {
        title: String,
        panels: Vec<Panel>,
        legend: Vec<(usize, String)>,
    },
    Heatmap(Heatmap),
    /// Captions and files.
    Pictures {
        title: String,
        files: Vec<(String, PathBuf)>,
    },
}

impl Chart {
    /// Errors: names that nothing has, an axis that is no number.
    pub fn new(results: &Results, spec: &FigureSpec) -> Result<Self> {
        let told = || format!("no step is called `{}`", spec.step);
        let block = results.experiment.block(&spec.step).with_context(told)?;
        match spec.kind {
            Kind::Lines | Kind::Boxes | Kind::Scatter => panels(results, block, spec),
            Kind::Heatmap => heatmap(results, block, spec),
            Kind::Picture => pictures(results, block, spec),
        }
    }
}

/// The choices of an axis, or the one choice there is without it.
fn choices(block: &Block, name: Option<&String>) -> Result<Vec<Option<Choice>>> {
    match name {
        Some(name) => Ok(axis(block, name)?.choices.iter().cloned().map(Some).collect()),
        None => Ok(vec![None]),
    }
}

fn panels(results: &Results, block: &Block, spec: &FigureSpec) -> Result<Chart> {
    let lines = choices(block, spec.lines.as_ref())?;
    let mut panels = vec![];
    for panel in choices(block, spec.panels.as_ref())? {
        let series = lines.iter().enumerate().map(|(slot, line)| {
            let points = points(results, block, spec, [panel.as_ref(), line.as_ref()])?;
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
        let title = panel.map_or_else(String::new, |panel| panel.label);
        let heights = series.iter().flat_map(|s: &Series| s.points.iter().map(Point::lowest));
        let start = heights.filter(|y| y.is_finite()).fold(f64::NAN, f64::min);
        let include = if start.is_nan() { (0., 1.) } else { (start, start) };
        let below = if spec.across.is_empty() { spec.x.clone() } else { spec.across.clone() };
        panels.push(Panel { title, x_axis: across, x_label: below, y_range: include, series });
    }
    let legend = lines.into_iter().flatten().enumerate().map(|(slot, line)| (slot, line.label));
    Ok(Chart::Panels { title: spec.title.clone(), panels, legend: legend.collect() })
}

fn points(
    results: &Results,
    block: &Block,
    spec: &FigureSpec,
    chosen: [Option<&Choice>; 2],
) -> Result<Vec<Point>> {
    let names = [spec.panels.as_deref(), spec.lines.as_deref()];
    let fixed: Vec<(&str, Choice)> =
        names.into_iter().zip(chosen).filter_map(|(n, c)| Some((n?, c?.clone()))).collect();
    // A cloud has a point for every combination of what is left.
    let open: Vec<String> = match spec.kind {
        Kind::Lines | Kind::Boxes => vec![spec.x.clone()],
        _ => {
            let free = |name: &String| {
                fixed.iter().all(|(fixed, _)| fixed != name) && !spec.only.contains_key(name)
            };
            block.axes.iter().map(|axis| axis.name.clone()).filter(free).collect()
        }
    };
    let mut points = vec![];
    for (i, choices) in results.combinations(block, &open)?.into_iter().enumerate() {
        let names: Vec<&str> =
            fixed.iter().map(|(name, _)| *name).chain(open.iter().map(String::as_str)).collect();
        let all: Vec<Choice> =
            fixed.iter().map(|(_, choice)| choice.clone()).chain(choices.iter().cloned()).collect();
        let point = results.point(block, &names, &all, &spec.only)?;
        let number = |path: &str| results.number(block, &point, path);
        let label = || choices[0].label.clone();
        points.extend(match spec.kind {
            Kind::Boxes => {
                let five = results.five(block, &point, &spec.y)?;
                five.map(|five| Point::boxed(i as f64, label(), five))
            }
            Kind::Lines => {
                let told = || format!("`x = \"{}\"`: the label `{}` is no number", spec.x, label());
                let x = parse_fraction(&label()).with_context(told)?;
                let stderr =
                    spec.stderr.as_deref().map(number).transpose()?.flatten().unwrap_or(0.);
                number(&spec.y)?.map(|y| Point::new(x, label(), y, stderr))
            }
            _ => {
                let pair = number(&spec.x)?.zip(number(&spec.y)?);
                pair.map(|(x, y)| Point::new(x, String::new(), y, 0.))
            }
        });
    }
    points.sort_by(|a, b| a.x.total_cmp(&b.x));
    Ok(points)
}

fn heatmap(results: &Results, block: &Block, spec: &FigureSpec) -> Result<Chart> {
    let rows = spec.lines.as_ref().context("a heatmap has an axis of rows, `lines`")?;
    let (down, over) = (axis(block, rows)?, axis(block, &spec.x)?);
    let labels = |choices: &[Choice]| choices.iter().map(|c| c.label.clone()).collect::<Vec<_>>();
    let mut panels = vec![];
    for panel in choices(block, spec.panels.as_ref())? {
        let mut cells = vec![];
        for row in &down.choices {
            let number = |column: &Choice| {
                let mut names = vec![rows.as_str(), spec.x.as_str()];
                let mut all = vec![row.clone(), column.clone()];
                if let (Some(name), Some(choice)) = (&spec.panels, &panel) {
                    names.push(name);
                    all.push(choice.clone());
                }
                results.number(block, &results.point(block, &names, &all, &spec.only)?, &spec.y)
            };
            cells.push(over.choices.iter().map(number).collect::<Result<Vec<_>>>()?);
        }
        let all = || cells.iter().flatten().flatten().copied();
        let (low, high) =
            (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
        let shaded = |number: &Option<f64>| HeatCell {
            text: number.map_or("–".into(), super::claims::shown),
            shade: number.map_or(0., |n| (n - low) / (high - low).max(f64::MIN_POSITIVE)),
        };
        let cells = cells.iter().map(|row| row.iter().map(shaded).collect()).collect();
        panels.push(HeatPanel { title: panel.map_or_else(String::new, |p| p.label), cells });
    }
    Ok(Chart::Heatmap(Heatmap {
        title: spec.title.clone(),
        note: "darker is more".into(),
        axes: [rows.clone(), spec.x.clone()],
        rows: labels(&down.choices),
        columns: labels(&over.choices),
        panels,
    }))
}

fn pictures(results: &Results, block: &Block, spec: &FigureSpec) -> Result<Chart> {
    ensure!(
        !spec.y.contains('/'),
        "`y = \"{}\"`: a picture lies in the folder of its cell",
        spec.y
    );
    let open: Vec<String> = block
        .axes
        .iter()
        .filter(|axis| !axis.within && !spec.only.contains_key(&axis.name))
        .map(|axis| axis.name.clone())
        .collect();
    let names: Vec<&str> = open.iter().map(String::as_str).collect();
    let mut only = spec.only.clone();
    for axis in block.axes.iter().filter(|axis| axis.within) {
        only.entry(axis.name.clone()).or_insert_with(|| axis.choices[0].label.clone());
    }
    let mut files = vec![];
    for chosen in results.combinations(block, &open)? {
        let point = results.point(block, &names, &chosen, &only)?;
        let caption: Vec<&str> = chosen.iter().map(|choice| choice.label.as_str()).collect();
        let folder = results.folder(block, &point);
        let file = folder.map(|folder| folder.join(&spec.y)).filter(|file| file.exists());
        files.extend(file.map(|file| (caption.join(", "), file)));
    }
    Ok(Chart::Pictures { title: spec.title.clone(), files })
}
