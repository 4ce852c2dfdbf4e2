//! `gradproof eval`: accuracy.

use crate::{
    cli::{Common, Eval},
    subject,
    ui::Ui,
};
use anyhow::Result;

/// Measures accuracy and prints it.
pub fn run(args: &Eval, common: &Common, ui: &Ui) -> Result<()> {
    let loaded = subject::load(&args.subject, common, ui)?;
    loaded.announce(ui);
    let (data, model) = (&loaded.data, &loaded.model);
    let bar = ui.bar(data.len() as u64, "evaluating");
    let accuracy = ::train::accuracy(model, data, args.subject.batch_size, |n| bar.inc(n));
    bar.finish_and_clear();
    let n = data.len() as f64;
    let p = accuracy.fraction;
    let stderr = (p * (1. - p) / n).sqrt();
    ui.say(&format!(
        "accuracy {:.2} % ± {:.2} ({} of {} images)",
        100. * p,
        100. * stderr,
        (p * n).round(),
        data.len()
    ))?;
    ui.result(&serde_json::json!({
        "origin": loaded.origin(),
        "model": loaded.card,
        "data": args.subject.data,
        "images": data.len(),
        "accuracy": p,
        "stderr": stderr,
    }))
}
