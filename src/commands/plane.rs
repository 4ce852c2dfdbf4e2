//! `gradproof plane`: a function of two numbers, what maps say of it at some points, and a picture.

use crate::{
    cli::{Common, Plane},
    grid2d::{Range, edges, grid, pairs, range, rows},
    outcome::Outcome,
    results::{Better, Number, Quantity, Record, Table, keys, quantities},
    runtime::outputs::Files,
    runtime::ui,
    session,
};
use anyhow::{Context, Result, ensure};
use explain::{Attribution, Batch, engine::limit::ChunkLimit};
use models::{
    Model, Target,
    checkpoint::{self, Hints},
    noise, toy,
};
use plot::{Figure, Panel, Series, XAxis};
use serde_json::{Map, json};
use std::path::Path;
use tch::{Device, Kind, Tensor};
use tensorfile::words::count;

/// Level lines between the lowest and the highest value, about.
const LEVELS: f64 = 14.;
/// Numbers of f32 whose square is one too are smaller.
const FARTHEST: f64 = 1e18;
/// Length of an arrow, as a share of the picture's longer side, and the dots that make it.
const ARROW: f64 = 0.12;
const DOTS: i32 = 40;
/// Every so many points of the grid have a dot that says which number matters more.
const COARSE: i64 = 2;

type Methods = Vec<(String, Box<dyn Attribution>)>;

/// Errors: unknown functions and methods, settings out of range.
pub fn check(args: &Plane) -> Result<()> {
    methods(args)?;
    function(args).map(|_| ())
}

/// Takes the maps and draws them.
pub fn run(args: &Plane, common: &Common) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let methods = methods(args)?;
    let files = Files::default().methods("--method", &args.method);
    let files = files.reads("--weights", &args.weights).writes("--figure", &args.figure);
    files.check(common.force)?;
    ensure!(args.margin > 0., "`--margin` is {}; the picture needs room", args.margin);
    for &(x, y) in &args.at {
        let far = x.abs().max(y.abs()) + args.margin;
        ensure!(
            far < FARTHEST,
            "`--at {x}/{y}`: the picture would reach {far:e}, past {FARTHEST:e}"
        );
    }
    // Small enough for the CPU, whatever `--device` says, but it has to make sense.
    common.device.resolve()?;
    let (model, class) = explained(args)?;
    for (name, method) in &methods {
        method.check(&*model, [2, 1, 1]).with_context(|| format!("method `{name}`"))?;
    }
    files.check_writable()?;
    let flat: Vec<f64> = args.at.iter().flat_map(|&(x, y)| [x, y]).collect();
    let batch = batch(&Tensor::from_slice(&flat).to_kind(Kind::Float), class, args.seed);
    let values = Vec::<f64>::try_from(value(&*model, &batch.x, class))?;
    let mut maps = vec![];
    for (name, method) in &methods {
        let map = method.attribute(&*model, &batch);
        maps.push((name, pairs(&map.view([-1, 2]))?));
    }
    for (i, (at, value)) in args.at.iter().zip(&values).enumerate() {
        outcome.say(&format!("at {}/{}: {value:.4}", at.0, at.1));
        for (name, map) in &maps {
            outcome.say(&format!("  {name:<32} {:>9.4} {:>9.4}", map[i].0, map[i].1));
        }
    }
    if let Some(path) = &args.figure {
        draw(path, args, (&*model, class), &maps)?;
        outcome.say(&format!("written: {}", path.display()));
    }
    let rows = tidy(args, &values, &maps);
    outcome.with(&Record {
        kind: "plane".into(),
        quantities: quantities::found(quantities().into(), &rows),
        rows,
        rest: Map::from_iter([("figure".to_owned(), json!(args.figure))]),
        ..Record::default()
    })
}

/// What its numbers are.
fn quantities() -> [Quantity; 2] {
    [
        Quantity::new("value", "value", "the function at the point", Better::Neither),
        Quantity::new("map", "map", "the map of a feature at the point", Better::Neither),
    ]
}

fn tidy(args: &Plane, values: &[f64], maps: &[(&String, Vec<(f64, f64)>)]) -> Table {
    let mut rows = Table::default();
    for (i, ((x, y), value)) in args.at.iter().zip(values).enumerate() {
        let mut of = keys([("point", &format!("{x}/{y}"))]);
        rows.push(&of, "value", Number::exact(*value));
        for (method, map) in maps {
            of.insert("method".into(), (*method).clone());
            for (feature, number) in [("0", map[i].0), ("1", map[i].1)] {
                of.insert("feature".into(), feature.into());
                rows.push(&of, "map", Number::exact(number));
            }
        }
    }
    rows
}

fn methods(args: &Plane) -> Result<Methods> {
    let named = |name: String| {
        let method = registry::parse(&name).and_then(explain::method);
        Ok((name.clone(), method.with_context(|| format!("method `{name}`"))?))
    };
    session::methods("--method", &args.method)?.into_iter().map(named).collect()
}

fn function(args: &Plane) -> Result<Option<Box<dyn Model>>> {
    args.function.as_ref().map(|name| toy::function(registry::parse(name)?)).transpose()
}

/// What is explained: a model and its class.
fn explained(args: &Plane) -> Result<(Box<dyn Model>, i64)> {
    if let Some(function) = function(args)? {
        return Ok((function, 0));
    }
    let path = args.weights.as_deref().context("`--function` or `--weights` is needed")?;
    let model = checkpoint::load(path, &Hints::default())?.classifier.frozen();
    let (shape, name) = (model.shape, path.display());
    ensure!(
        shape.image == [2, 1, 1],
        "`{name}` takes {}; `plane` is for networks of two",
        count(shape.image.iter().product::<i64>(), "number")
    );
    Ok((Box::new(model), shape.classes - 1))
}

/// Rows as a batch of which `class` is explained.
fn batch(points: &Tensor, class: i64, seed: u64) -> Batch {
    let x = rows(points);
    let n = x.size()[0];
    let target = Target::logit(&Tensor::full([n], class, (Kind::Int64, Device::Cpu)));
    let keys = (0..n as u64).map(|point| noise::key(seed, point, 0)).collect();
    Batch { keys, limit: ChunkLimit::new(ui::complain), ..Batch::new(&x, &target) }
}

/// The function at rows `[N, 2, 1, 1]`, f64 `[N]`.
fn value(model: &dyn Model, x: &Tensor, class: i64) -> Tensor {
    tch::no_grad(|| model.logits(x)).select(1, class).to_kind(Kind::Double)
}

/// Left: level lines, points, and from each point an arrow of a map's direction. Right: which
/// entry of the gradient is larger.
fn draw(
    path: &Path,
    args: &Plane,
    (model, class): (&dyn Model, i64),
    maps: &[(&String, Vec<(f64, f64)>)],
) -> Result<()> {
    let wide = |of: fn(&(f64, f64)) -> f64| -> Range {
        let (low, high) = range(&args.at.iter().map(of).collect::<Vec<_>>());
        (low - args.margin, high + args.margin)
    };
    let (across, up) = (wide(|p| p.0), wide(|p| p.1));
    let plane = grid(across, up);
    let whole = batch(&plane, class, args.seed);
    let height = value(model, &whole.x, class);
    let (low, high) = (height.min().double_value(&[]), height.max().double_value(&[]));
    let level = (&height * (LEVELS / (high - low).max(f64::MIN_POSITIVE))).floor();
    let mut left = vec![];
    for (name, map) in maps {
        let each = args.at.iter().zip(map);
        left.push((
            (*name).clone(),
            each.flat_map(|(at, map)| arrow(*at, *map, across, up)).collect(),
        ));
    }
    left.push(("level lines".to_owned(), edges(&plane, &level)?));
    let saliency = explain::parse("saliency")?;
    let gradient = saliency.attribute(model, &whole).view_as(&plane).abs();
    let first = gradient.select(-1, 0).greater_tensor(&gradient.select(-1, 1));
    let thin = |t: &Tensor| t.slice(0, 0, None, COARSE).slice(1, 0, None, COARSE).contiguous();
    let (dots, first) = (thin(&plane), thin(&first).unsqueeze(-1));
    let of = |which: &Tensor| pairs(&dots.masked_select(&which.expand_as(&dots)));
    let right = vec![
        ("|∂f/∂x1| is larger".to_owned(), of(&first)?),
        ("|∂f/∂x2| is larger".to_owned(), of(&first.logical_not())?),
    ];
    let mut legend = vec![];
    let mut panel = |title: &str, kinds: Vec<(String, Vec<(f64, f64)>)>| {
        let mut series = vec![];
        for (name, points) in kinds {
            let slot = legend.len();
            legend.push((slot, name));
            series.push(Series::cloud(slot, points));
        }
        Panel {
            title: title.to_owned(),
            x_axis: XAxis::Dots,
            x_label: "x1".to_owned(),
            y_label: "x2".to_owned(),
            y_range: up,
            equal: true,
            series,
        }
    };
    let panels = vec![panel("level lines and maps", left), panel("the gradient", right)];
    let weights = args.weights.as_deref().map(session::short_name);
    let title = args.function.clone().or(weights).unwrap_or_default();
    plot::chart(path, &Figure { title, panels, legend })
}

/// Dots from `at` in the direction of `map`; none where the map is zero.
fn arrow(at: (f64, f64), map: (f64, f64), across: Range, up: Range) -> Vec<(f64, f64)> {
    let length = map.0.hypot(map.1);
    if length == 0. {
        return vec![];
    }
    // The scales are equal, and so is the length of every arrow.
    let side = (across.1 - across.0).max(up.1 - up.0);
    let dot = |i: i32| {
        let share = ARROW * f64::from(i) / f64::from(DOTS) / length;
        (at.0 + share * map.0 * side, at.1 + share * map.1 * side)
    };
    (0..=DOTS).map(dot).collect()
}
