//! An HTML page without a script and without any other file.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use plot::dark_rules;

const STYLE: &str = include_str!("style.css");

/// An HTML page of sections, each an id, a title and what stands there; empty ones are left out.
pub(super) fn document(
    title: &str,
    lead: &str,
    parts: &[(&str, &str, Markup)],
    footer: &Markup,
) -> String {
    let shown = || parts.iter().filter(|(_, _, html)| !html.0.is_empty());
    let style =
        format!("{STYLE}@media screen and (prefers-color-scheme: dark) {{\n{}}}\n", dark_rules());
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "gradproof report" }
                style { (PreEscaped(style)) }
            }
            body {
                header {
                    p class="brand" { "gradproof report" }
                    h1 { (title) }
                    p class="lead" { (lead) }
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
            }
        }
    };
    page.into_string()
}
