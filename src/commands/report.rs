//! `gradproof report`: a page from result folders.

use crate::{cli::Report, outcome::Outcome, report};
use anyhow::Result;

/// Collects and writes.
pub fn run(args: &Report) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let inputs = report::collect(&args.dirs)?;
    let out = args.out.as_ref().unwrap_or(&args.dirs[0]);
    tensorfile::atomic::check_writable(&out.join("index.html"))?;
    let page = report::write(out, &inputs)?;
    outcome.say(&format!("report: {}", page.display()));
    outcome.with(&serde_json::json!({ "page": page, "results": inputs.results.len() }))
}
