//! `gradproof report`: a page from result folders.

use crate::{cli::Report, report, runtime::ui::Ui};
use anyhow::Result;

/// Collects and writes.
pub fn run(args: &Report, ui: &Ui) -> Result<()> {
    let inputs = report::collect(&args.dirs)?;
    let out = args.out.as_ref().unwrap_or(&args.dirs[0]);
    tensorfile::atomic::check_writable(&out.join("index.html"))?;
    let page = report::write(out, &inputs)?;
    ui.say(&format!("report: {}", page.display()))?;
    ui.result(&serde_json::json!({ "page": page, "results": inputs.results.len() }))
}
