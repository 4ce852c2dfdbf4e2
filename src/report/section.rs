//! The sections that show results: the table, the curves, the picture walls, the trainings.

use super::figures::{history, panels};
use super::group::{Entry, Group};
use super::html::{UNCHECKED, error, image, list, number, percent, scrolling, text};
use super::metric::{Value, full_area, overall};
use super::{Inputs, Training, Wall};
use crate::results::AtEps;
use anyhow::Result;
use explain::{Better, Similarity, similarity::in_tables};
use plot::{AttackedImage, Picture, svg, swatch};
use tensorfile::words::count;

/// The table of every group, after Table 2 of Wang et al. 2020.
pub(super) fn table(groups: &[Group]) -> String {
    let head: String = in_tables()
        .iter()
        .map(|m| format!("<th scope=\"col\">{} {}</th>", m.name, m.better.arrow()))
        .collect();
    let bodies: String = groups.iter().map(body).collect();
    let table = format!(
        "<table class=\"results\"><thead><tr><th scope=\"col\">model</th>{head}\
         <th scope=\"col\">success ↓</th><th scope=\"col\">accuracy ↑</th></tr></thead>{bodies}</table>"
    );
    let note = format!(
        "<p class=\"note\">Areas over log<sub>2</sub> ε{}, ± standard error. Arrows point to the more \
         robust explanation; the best of a block is bold.</p>",
        most(groups)
    );
    let old = groups.iter().flat_map(|group| &group.entries).any(|entry| !checked(entry));
    let old = if old { format!("<p>{UNCHECKED}</p>") } else { String::new() };
    note + &scrolling("results", &table) + &old + &findings(groups)
}

/// How large an area can be, if that is the same everywhere.
fn most(groups: &[Group]) -> String {
    let mut areas = groups
        .iter()
        .flat_map(|g| &g.entries)
        .map(|e| full_area(&e.result().eps))
        .filter(|a| *a > 0.0);
    match areas.next() {
        Some(first) if areas.all(|a| (a - first).abs() < 1e-6) => {
            let shown = format!("{first:.2}");
            let shown = shown.trim_end_matches('0').trim_end_matches('.');
            let bounded = in_tables().into_iter().filter(|m| m.better == Better::Higher);
            let names: Vec<&str> = bounded.map(|m| m.name).collect();
            format!(" ({}: at most {shown})", names.join(" and "))
        }
        _ => String::new(),
    }
}

fn body(group: &Group) -> String {
    let mut rows = format!(
        "<tbody><tr><th class=\"group\" colspan=\"{}\" scope=\"rowgroup\"><span>maps of <b>{}</b> \
         under <b>{}</b> on <b>{}</b></span></th></tr>",
        in_tables().len() + 3,
        text(group.method),
        text(&group.attack),
        text(group.data)
    );
    for entry in &group.entries {
        let result = entry.result();
        let shown = |m: &&Similarity| {
            let all = group.entries.iter().filter_map(|e| Some(overall(e.result(), m.name)?.mean));
            value_cell(overall(result, m.name), best(group, m.better.best(all)))
        };
        let metrics: String = in_tables().iter().map(shown).collect();
        let all = |of: fn(&Entry) -> f64| group.entries.iter().map(of);
        let accuracy = best(group, Better::Higher.best(all(|e| e.result().accuracy)));
        let lowest = best(group, Better::Lower.best(all(success)));
        rows.push_str(&format!(
            "<tr><th scope=\"row\">{}<small>{}</small></th>{metrics}<td>{}</td><td>{}</td></tr>",
            text(&entry.label),
            text(&about(entry)),
            bold_if(percent(success(entry)), lowest == Some(success(entry))),
            bold_if(percent(result.accuracy), accuracy == Some(result.accuracy)),
        ));
    }
    rows + "</tbody>"
}

/// The best of a block, where there is anything to compare.
fn best(group: &Group, value: Option<f64>) -> Option<f64> {
    value.filter(|_| group.entries.len() > 1)
}

fn value_cell(value: Option<Value>, best: Option<f64>) -> String {
    let Some(Value { mean, stderr }) = value else { return "<td>–</td>".into() };
    let mean = bold_if(number(mean), best == Some(mean));
    format!("<td>{mean} <small>{}</small></td>", error(stderr))
}

fn bold_if(shown: String, best: bool) -> String {
    if best { format!("<strong>{shown}</strong>") } else { shown }
}

/// Mean over the radii; NaN where it is undefined.
fn success(entry: &Entry) -> f64 {
    let radii = &entry.result().eps;
    let all: Option<f64> = radii.iter().map(|at| at.success).sum();
    all.map_or(f64::NAN, |all| all / radii.len().max(1) as f64)
}

/// Whether images without a map were told from others at every radius.
fn checked(entry: &Entry) -> bool {
    entry.result().eps.iter().all(AtEps::checked)
}

fn about(entry: &Entry) -> String {
    let result = entry.result();
    let labels: Vec<&str> = result.eps.iter().map(|at| at.label.as_str()).collect();
    let radii = match labels.as_slice() {
        [one] => format!("means at ε {one}"),
        [first, .., last] => format!("{} radii, ε {first} to {last}", labels.len()),
        [] => String::new(),
    };
    let none = match result.eps.iter().map(|at| at.no_map).max() {
        _ if !checked(entry) => ", not checked for maps".into(),
        None | Some(0) => String::new(),
        Some(count) => format!(", {count} of them without a map and left out"),
    };
    format!("{}, {}{none}, {radii}", result.model.arch, count(result.images, "image"))
}

/// One sentence a group: who is most robust.
fn findings(groups: &[Group]) -> String {
    let first = in_tables()[0];
    let mut items = String::new();
    for group in groups {
        let mut ranked: Vec<(f64, &str)> = group
            .entries
            .iter()
            .filter(|entry| checked(entry))
            .filter_map(|e| Some((overall(e.result(), first.name)?.mean, e.label.as_str())))
            .filter(|(mean, _)| mean.is_finite())
            .collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
        if first.better == Better::Higher {
            ranked.reverse();
        }
        if ranked.len() > 1 {
            let told = |(mean, label): &(f64, &str)| format!("{} ({})", text(label), number(*mean));
            let order: Vec<String> = ranked.iter().map(told).collect();
            items.push_str(&format!(
                "<li><b>{}</b> under {}: {}</li>",
                text(group.method),
                text(&group.attack),
                order.join(", then ")
            ));
        }
    }
    if items.is_empty() {
        return items;
    }
    format!(
        "<p>From the most to the least robust maps, by {}:</p><ul class=\"findings\">{items}</ul>",
        first.name
    )
}

/// The curves over ε, a chart a metric; empty if no run has two radii.
pub(super) fn curves(groups: &[Group]) -> Result<String> {
    let mut html = String::new();
    for group in groups {
        let panels = panels(group);
        if panels.is_empty() {
            continue;
        }
        let names = group.entries.iter().map(|e| (e.slot, e.label.clone())).collect::<Vec<_>>();
        let lines = list(&names.iter().map(|(_, name)| name.clone()).collect::<Vec<_>>());
        html.push_str(&format!("<h3>{}</h3>{}", text(&group.title()), legend(&names)?));
        html.push_str("<div class=\"charts\">");
        for panel in &panels {
            html.push_str(&svg(panel, &format!("{}, over ε, for {lines}", panel.title))?);
        }
        html.push_str("</div>\n");
    }
    Ok(html)
}

pub(super) fn legend(names: &[(usize, String)]) -> Result<String> {
    let mut html = String::from("<ul class=\"legend\">");
    for (slot, name) in names {
        html.push_str(&format!("<li>{}{}</li>", swatch(*slot)?, text(name)));
    }
    Ok(html + "</ul>")
}

/// The picture walls; empty if no result kept pictures.
pub(super) fn walls(groups: &[Group]) -> Result<String> {
    let mut html = String::new();
    for group in groups {
        let mut figures = String::new();
        for entry in &group.entries {
            if let Some(wall) = &entry.found.wall {
                figures.push_str(&figure(wall, &entry.label)?);
            }
        }
        if !figures.is_empty() {
            let title = text(&group.title());
            html.push_str(&format!("<h3>{title}</h3><div class=\"walls\">{figures}</div>\n"));
        }
    }
    if html.is_empty() {
        return Ok(html);
    }
    let bar = image(&Picture::heat_scale(160, 10), "heat scale, from dark to bright")?;
    Ok(format!(
        "<p>The first images of each run; none is picked. A map is drawn as each pixel’s share of the \
         attribution, clipped at the map’s own 99th percentile (p99).</p>\
         <p class=\"scale\"><span>0</span>{bar}<span>p99</span></p>{html}"
    ))
}

fn figure(wall: &Wall, label: &str) -> Result<String> {
    let head: String =
        AttackedImage::COLUMNS.iter().map(|c| format!("<th scope=\"col\">{c}</th>")).collect();
    let mut rows = String::new();
    for shown in &wall.rows {
        let title = match shown.effect.as_str() {
            "" => format!("{} → {}", shown.before, shown.after),
            effect => format!("{} → {} · {effect}", shown.before, shown.after),
        };
        let mut cells = String::new();
        for (picture, column) in shown.pictures().into_iter().zip(AttackedImage::COLUMNS) {
            let alt = format!("{column}: {}", shown.before);
            cells.push_str(&format!("<td>{}</td>", image(picture, &alt)?));
        }
        let width = AttackedImage::COLUMNS.len();
        rows.push_str(&format!(
            "<tbody><tr><th colspan=\"{width}\" scope=\"rowgroup\">{}</th></tr><tr>{cells}</tr></tbody>",
            text(&title)
        ));
    }
    let (label, eps) = (text(label), text(&wall.eps));
    Ok(format!(
        "<figure><figcaption><b>{label}</b> at ε {eps}</figcaption>\
         <table class=\"wall\"><thead><tr>{head}</tr></thead>{rows}</table></figure>"
    ))
}

/// The training curves; empty without a log.
pub(super) fn trainings(inputs: &Inputs) -> Result<String> {
    let mut html = String::new();
    for training in &inputs.trainings {
        let (panels, names) = history(training);
        let title = text(&training.name);
        html.push_str(&format!("<h3>{title}</h3><p>{}</p>{}", ending(training), legend(&names)?));
        html.push_str("<div class=\"charts\">");
        for panel in &panels {
            html.push_str(&svg(
                panel,
                &format!("{} of {} over epochs", panel.title, training.name),
            )?);
        }
        html.push_str("</div>\n");
    }
    Ok(html)
}

fn ending(training: &Training) -> String {
    let Some(last) = training.epochs.last() else { return String::new() };
    let seconds = training.epochs.iter().map(|epoch| epoch.seconds).sum();
    let test = last.test_accuracy.map(|a| format!(", {} on the test images", percent(a)));
    let robust = last.robust_accuracy.map(|a| format!(", {} on attacked ones", percent(a)));
    // An adversary attacks the training images too.
    let trained = if robust.is_some() { "attacked training images" } else { "the training images" };
    let observed = last.observed.iter().map(|(name, q)| {
        let [mean, median, p90] = [q.mean, q.median, q.p90].map(|value| format!("{value:.3}"));
        format!(" {}: mean {mean}, median {median}, 90 % below {p90}.", text(name))
    });
    format!(
        "{} in {}: {} on {trained}{}{}.{}",
        count(last.epoch as usize, "epoch"),
        super::html::duration(seconds),
        percent(last.train_accuracy),
        test.unwrap_or_default(),
        robust.unwrap_or_default(),
        observed.collect::<String>()
    )
}
