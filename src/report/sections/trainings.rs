//! Trainings: their curves and how they ended.

use super::attacks::{drawn, legend};
use crate::report::{
    Inputs, Training,
    figures::history,
    html::{duration, percent},
};
use anyhow::Result;
use maud::{Markup, html};
use plot::svg;
use tensorfile::words::count;

/// The training curves; empty without a log.
pub(in crate::report) fn section(inputs: &Inputs) -> Result<Markup> {
    let mut parts = vec![];
    for training in &inputs.trainings {
        let (panels, names) = history(training);
        let alt = |title: &str| format!("{title} of {} over epochs", training.name);
        let charts = panels.iter().map(|panel| svg(panel, &alt(&panel.title)));
        let (charts, names) = (charts.collect::<Result<Vec<_>>>()?, legend(&names)?);
        parts.push(html! {
            h3 { (training.name) }
            p { (ending(training)) }
            (names)
            (drawn(charts))
        });
    }
    Ok(html! { @for part in parts { (part) } })
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
        format!(" {}: mean {mean}, median {median}, 90 % below {p90}.", name)
    });
    format!(
        "{} in {}: {} on {trained}{}{}.{}",
        count(last.epoch as usize, "epoch"),
        duration(seconds),
        percent(last.train_accuracy),
        test.unwrap_or_default(),
        robust.unwrap_or_default(),
        observed.collect::<String>()
    )
}
