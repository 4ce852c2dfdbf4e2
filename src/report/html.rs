//! Small pieces of HTML, by a template engine that escapes (docs/decisions/html.md), and numbers for
//! the page.

use crate::results::UNDEFINED;
use anyhow::Result;
use base64::{Engine, engine::general_purpose::STANDARD};
use maud::{Markup, html};
use plot::Picture;
use std::path::{Path, PathBuf};

/// The `src` of a PNG inside the page.
pub(super) fn source(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(png))
}

/// `picture` inside the page, described by `alt`, averaged down to sides of at most `side`; the files keep
/// every pixel. It says what its colours mean and of how many pixels each of its own is.
pub(super) fn image(picture: &Picture, alt: &str, side: usize) -> Result<Markup> {
    let small = picture.reduced(side);
    let step = picture.width.div_ceil(small.width);
    let (scale, top) = (picture.scale.name(), picture.scale.top().unwrap_or(1.));
    Ok(html! {
        img src=(source(&small.png()?)) width=(small.width) height=(small.height) alt=(alt)
            data-scale=(scale) data-top=(top) data-step=(step);
    })
}

/// `path` as seen from the folder `from`, where one is below the other; else as it is.
pub(super) fn relative(path: &Path, from: &Path) -> PathBuf {
    let [real, base] = [path, from].map(|p| p.canonicalize().unwrap_or_else(|_| p.to_path_buf()));
    real.strip_prefix(&base).map_or(real.clone(), Path::to_path_buf)
}

/// A table in a box of its own that scrolls sideways; `label` names it for screen readers.
pub(super) fn scrolling(label: &str, table: &Markup) -> Markup {
    html! { div class="scroll" role="region" aria-label=(label) tabindex="0" { (table) } }
}

/// The head of a column.
pub(super) fn column(name: &str) -> Markup {
    html! { th scope="col" { (name) } }
}

/// A number of three decimals, with a real minus sign; of NaN, that it is undefined.
pub(super) fn number(value: f64) -> String {
    if value.is_nan() {
        return UNDEFINED.into();
    }
    let digits = format!("{value:.3}");
    if digits.trim_start_matches('-').chars().all(|c| c == '0' || c == '.') {
        return digits.trim_start_matches('-').into();
    }
    digits.replace('-', "−")
}

/// A standard error; nothing where there is none.
pub(super) fn error(stderr: Option<f64>) -> String {
    stderr.map_or(String::new(), |stderr| format!("± {}", number(stderr)))
}

/// A share in percent; of NaN, that it is undefined.
pub(super) fn percent(share: f64) -> String {
    if share.is_nan() {
        return UNDEFINED.into();
    }
    format!("{:.1} %", 100.0 * share).replace(' ', "\u{a0}")
}

/// A duration for people.
pub(super) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// What is said of results of versions that did not look for maps that are zero everywhere.
pub(super) const UNCHECKED: &str = "Not checked: an older version wrote this result and counted images \
                                    without a map as robust; make it again.";

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
