//! The rows that a command will have, as far as its arguments say, so that what asks for one that
//! it will not have is refused before anything runs.

use crate::{
    cli::{
        Attacking, Certify, Command, Eval, Explain, Masker, Measure, Plane, Subject, Train,
        Transfer, named,
    },
    commands::{certify, eval, measure, train::masker},
    results::{AUC, BELOW, FLOOR, OF_OTHERS},
    session::{short_name, threat::Radii},
};
use ::train::{Config, objective::objective};
use anyhow::Result;
use experiment::{UNKNOWN, unplaced};
use explain::similarity::SIMILARITIES;
use results::{Keys, Number, Table, keys, label};
use std::path::Path;

/// None where a command has no numbers. Where the run is stands in them as in its cells.
pub(super) fn rows(command: &Command, run: &Path) -> Result<Option<Table>> {
    let mut table = match command {
        Command::Attack(args) => {
            let of = keys([("method", args.method.as_str())]);
            attack(&args.subject, &args.how, &[of])?
        }
        Command::Certify(args) => certified(args)?,
        Command::Transfer(args) => transfer(args)?,
        Command::Measure(args) => measured(args)?,
        Command::Eval(args) => evaluated(args)?,
        Command::Explain(args) => explained(args),
        Command::Masker(args) => masked(args),
        Command::Plane(args) => plane(args),
        Command::Train(args) => trained(args)?,
        _ => return Ok(None),
    };
    for value in table.rows.iter_mut().flat_map(|row| row.keys.values_mut()) {
        *value = unplaced(value, run);
    }
    Ok(Some(table))
}

/// A number that has these statistics.
fn number<const N: usize>(statistics: [&str; N]) -> Number {
    let has = |name| statistics.contains(&name).then_some(0.);
    Number {
        mean: has("mean"),
        stderr: has("stderr"),
        low: has("low"),
        high: has("high"),
        mean_of_successes: has("mean_of_successes"),
        min: has("min"),
        q1: has("q1"),
        median: has("median"),
        q2: has("q2"),
        q3: has("q3"),
        max: has("max"),
        median_low: has("median_low"),
        median_high: has("median_high"),
        geometric: has("geometric"),
        p90: has("p90"),
        n: has("n").map(|_| 0),
        ..Number::default()
    }
}

/// What is known of a number over images.
fn over_images() -> Number {
    let ends = ["mean", "stderr", "low", "high", "min", "max", "n"];
    let middle = number(["median", "median_low", "median_high", "geometric", "q1", "q2", "q3"]);
    let Number { mean, stderr, low, high, min, max, n, .. } = number(ends);
    Number { mean, stderr, low, high, min, max, n, ..middle }
}

/// `keys` with one more.
fn with(keys: &Keys, key: &str, value: &str) -> Keys {
    keys.clone().into_iter().chain([(key.to_owned(), value.to_owned())]).collect()
}

/// The names of the models in a list of weights. Of equal names it is not known how they are told
/// apart.
fn models(list: &Path) -> Vec<String> {
    let list = list.to_string_lossy();
    let name = |weights: &str| match named(weights) {
        (Some(name), _) => name.to_owned(),
        (None, path) => short_name(Path::new(path)),
    };
    let names: Vec<String> = list.split(',').map(name).collect();
    let unique = |name: &String| names.iter().filter(|other| *other == name).count() == 1;
    let known = |name: &String| if unique(name) { name.clone() } else { UNKNOWN.into() };
    names.iter().map(known).collect()
}

/// Of an attack; `of` are the keys of the maps that are judged, without the models.
fn attack(subject: &Subject, how: &Attacking, of: &[Keys]) -> Result<Table> {
    let all = over_images();
    let means = Number { mean_of_successes: Some(0.), ..all };
    let radii = Radii::new(how.norm, &how.eps)?;
    let areas = radii.balls().iter().filter(|ball| ball.eps > 0.).count() > 1;
    let judged = of.iter().any(|of| of.contains_key("from_model"));
    let kept = judged.then_some("kept");
    let names: Vec<&str> =
        SIMILARITIES.iter().map(|s| s.name).chain(["confidence"]).chain(kept).collect();
    let mut table = Table::default();
    for model in models(&subject.weights) {
        table.push(&keys([("model", &model)]), "accuracy", all);
        for of in of {
            let of = with(&with(of, "model", &model), "attack", &how.attack);
            for ball in radii.balls() {
                let of = with(&with(&of, "eps", &label(ball.eps)), "eps_value", UNKNOWN);
                names.iter().for_each(|name| table.push(&of, name, means));
                table.push(&of, "success", all);
                table.push(&of, "no-map", number(["mean"]));
                for name in SIMILARITIES.iter().map(|s| s.name) {
                    table.push(&of, &format!("{name}{FLOOR}"), over_images());
                    table.push(&of, &format!("{name}{BELOW}"), number(["mean"]));
                }
                if !judged {
                    table.push(&of, "l2-change", all);
                    walked(&mut table, &of);
                }
            }
            let areas = names.iter().filter(|_| areas).map(|name| format!("{name}{AUC}"));
            areas.for_each(|name| table.push(&of, &name, means));
            if !judged {
                let others = SIMILARITIES.iter().map(|s| format!("{}{OF_OTHERS}", s.name));
                others.for_each(|name| table.push(&of, &name, all));
            }
        }
    }
    Ok(table)
}

/// What is said of the walks of an attack on the maps that `of` names, at one radius.
fn walked(table: &mut Table, of: &Keys) {
    table.push(of, "converged", number(["mean"]));
    let of = with(of, "iterations", UNKNOWN);
    table.push(&of, "measure", over_images());
}

fn transfer(args: &Transfer) -> Result<Table> {
    let to = registry::split(args.to.as_ref().unwrap_or(&args.from));
    let mut of = vec![];
    for model in models(&args.subject.weights) {
        for from in registry::split(&args.from) {
            of.extend(to.iter().map(|method| {
                keys([("from_model", &model), ("from_method", &from), ("method", method)])
            }));
        }
    }
    let mut table = attack(&args.subject, &args.how, &of)?;
    let radii = Radii::new(args.how.norm, &args.how.eps)?;
    for (model, from) in models(&args.subject.weights)
        .iter()
        .flat_map(|model| registry::split(&args.from).into_iter().map(move |from| (model, from)))
    {
        let of =
            keys([("from_model", model), ("from_method", &from), ("attack", &args.how.attack)]);
        for ball in radii.balls() {
            let of = with(&with(&of, "eps", &label(ball.eps)), "eps_value", UNKNOWN);
            walked(&mut table, &of);
        }
    }
    Ok(table)
}

/// Whether a method can be attacked is known with the network: those numbers may be missing.
fn certified(args: &Certify) -> Result<Table> {
    let [methods, shares, radii] = certify::expected(args)?;
    let attacked = args.against.iters > 0;
    let spread = over_images();
    let at = |of: &Keys, radius: &str| with(&with(of, "eps", radius), "eps_value", UNKNOWN);
    let mut table = Table::default();
    for model in models(&args.subject.weights) {
        let of_model = keys([("model", &model)]);
        for (method, of_share) in methods.iter().flat_map(|m| shares.iter().map(move |s| (m, s))) {
            let of = with(&with(&of_model, "method", method), "share", of_share);
            for radius in &radii {
                table.push(&at(&of, radius), "certified-k-in", spread);
                for name in ["attacked-k-in", "kept"].into_iter().filter(|_| attacked) {
                    table.push(&at(&of, radius), name, spread);
                }
            }
            let resampled = ["resampled-k-in"].into_iter().filter(|_| attacked);
            for name in ["certified-in", "certified-out", "abstained"].into_iter().chain(resampled)
            {
                table.push(&of, name, spread);
            }
            table.push(&of, "pixel-radius", number(["mean"]));
        }
        table.push(&of_model, "prediction-radius", spread);
        table.push(&of_model, "smoothed-accuracy", spread);
        for radius in &radii {
            table.push(&at(&of_model, radius), "certified-prediction", spread);
        }
    }
    Ok(table)
}

fn measured(args: &Measure) -> Result<Table> {
    let (methods, columns) = measure::expected(args)?;
    let models = models(&args.subject.weights);
    let mut table = Table::default();
    for model in &models {
        for method in &methods {
            let of = keys([("model", model), ("method", method)]);
            for (metric, column) in &columns {
                table.push(&with(&of, "metric", metric), column, over_images());
            }
            table.push(&of, "no-map", number(["mean"]));
        }
    }
    // Over models: two would always say 1 or −1.
    let has = |name: &str| columns.iter().any(|(_, column)| column == name);
    if models.len() > 2 && has("lipschitz") && has("model-lipschitz") {
        for method in &methods {
            table.push(&keys([("method", method)]), "rank-correlation", number(["mean", "n"]));
        }
    }
    Ok(table)
}

fn evaluated(args: &Eval) -> Result<Table> {
    let radii = eval::radii(args)?;
    let mut table = Table::default();
    for model in models(&args.subject.weights) {
        let of = keys([("model", &model)]);
        table.push(&of, "accuracy", over_images());
        table.push(&of, "balanced-accuracy", number(["mean"]));
        if args.curvature {
            table.push(&of, "curvature", number(["mean", "median", "p90", "n"]));
        }
        let attacked = args.pgd.or(args.apgd).or(args.square).is_some() || args.attack.is_some();
        for ball in radii.balls().iter().filter(|_| attacked) {
            let of = with(&with(&of, "attack", UNKNOWN), "norm", &registry::word(&args.norm));
            let of = with(&with(&of, "eps", &label(ball.eps)), "eps_value", UNKNOWN);
            table.push(&of, "robust-accuracy", over_images());
            table.push(&of, "l2-change", over_images());
        }
    }
    Ok(table)
}

fn explained(args: &Explain) -> Table {
    let mut table = Table::default();
    for model in models(&args.subject.weights) {
        for method in registry::split(&args.method) {
            let of = keys([("model", &model), ("method", &method)]);
            for name in ["convergence-delta", "no-map"] {
                table.push(&of, name, number(["mean"]));
            }
            for name in ["relative-error", "samples"] {
                table.push(&of, name, over_images());
            }
        }
    }
    table
}

fn masked(args: &Masker) -> Table {
    let mut table = Table::default();
    for model in models(&args.subject.weights) {
        for quantity in masker::quantities() {
            table.push(&keys([("model", &model)]), &quantity.name, number(["mean"]));
        }
    }
    table
}

fn plane(args: &Plane) -> Table {
    let mut table = Table::default();
    for (x, y) in &args.at {
        let of = keys([("point", &format!("{x}/{y}"))]);
        table.push(&of, "value", number(["mean"]));
        for method in registry::split(&args.method) {
            for feature in ["0", "1"] {
                let of = with(&with(&of, "method", &method), "feature", feature);
                table.push(&of, "map", number(["mean"]));
            }
        }
    }
    table
}

/// Whether the data have a test part is known when they are read: `test-accuracy` may be missing.
fn trained(args: &Train) -> Result<Table> {
    let config = Config::read(&args.config, args.scale.as_deref(), &args.set)?;
    let objective = objective(&config.objective)?;
    let attacked = objective.attack().is_some() && config.robust_images > 0;
    let mut table = Table::default();
    for name in
        ["train-accuracy", "test-accuracy"].into_iter().chain(attacked.then_some("robust-accuracy"))
    {
        table.push(&Keys::new(), name, number(["mean"]));
    }
    for part in ["total", UNKNOWN] {
        table.push(&keys([("part", part)]), "loss", number(["mean"]));
    }
    for name in objective.observes() {
        table.push(&Keys::new(), name, number(["mean", "median", "p90"]));
    }
    Ok(table)
}
