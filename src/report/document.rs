//! An HTML page without any other file: its style and its script stand inside.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use plot::{Scale, dark_rules};
use serde_json::{Value, json};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("page.js");
/// What a browser may do: nothing that leaves the file.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      img-src data:";
/// Colours of a scale from which a number is read.
const STEPS: usize = 256;

/// What stands above a page.
pub(super) struct Head<'a> {
    /// In the browser's list of pages: tells this page from others.
    pub name: &'a str,
    /// Above everything.
    pub title: &'a str,
    /// One sentence below it.
    pub lead: &'a str,
    /// Where the index of pages may be; a link that `report` shows as soon as there is one.
    pub index: Option<&'a str>,
}

/// A link that is not shown yet.
pub(super) fn hidden_link(index: &str) -> String {
    html! { a class="index" href=(index) hidden { "All experiments" } }.into_string()
}

/// An HTML page of sections, each an id, a title and what stands there; empty ones are left out. `csv`
/// is what the page saves as all of its numbers.
pub(super) fn document(
    head: &Head,
    parts: &[(&str, &str, Markup)],
    footer: &Markup,
    csv: &str,
) -> String {
    let shown = || parts.iter().filter(|(_, _, html)| !html.0.is_empty());
    let style =
        format!("{STYLE}@media screen and (prefers-color-scheme: dark) {{\n{}}}\n", dark_rules());
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (head.name) " – gradproof report" }
                style { (PreEscaped(style)) }
            }
            body {
                header {
                    p class="brand" {
                        "gradproof report "
                        @if let Some(index) = head.index { (PreEscaped(hidden_link(index))) }
                    }
                    h1 { (head.title) }
                    p class="lead" { (head.lead) }
                    nav aria-label="sections" {
                        @for (id, title, _) in shown() { a href=(format!("#{id}")) { (title) } }
                    }
                }
                main {
                    @for (id, title, html) in shown() {
                        section id=(id) { h2 { (title) } (html) }
                    }
                }
                footer { (footer) }
                (data("colours", &colours()))
                (data("results-csv", &csv.into()))
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// JSON that the script reads; nothing in it ends the element.
fn data(id: &str, value: &Value) -> Markup {
    let text = value.to_string().replace('<', "\\u003c");
    html! { script type="application/json" id=(id) { (PreEscaped(text)) } }
}

/// The colours of each scale from its lower end to its upper.
fn colours() -> Value {
    let of = |scale: Scale| -> Vec<[u8; 3]> {
        let at = |i: usize| i as f64 / (STEPS - 1) as f64;
        let lowest = scale.lowest();
        (0..STEPS).map(|i| scale.colour(lowest + (1. - lowest) * at(i))).collect()
    };
    json!({ "heat": of(Scale::Heat { top: 1. }), "signed": of(Scale::Signed { top: 1. }) })
}
