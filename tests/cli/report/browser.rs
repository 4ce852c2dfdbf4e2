//! The page in a real browser, without its network: sorted, filtered, enlarged, saved, printed; narrow
//! and wide. Skipped, with a message, where no Chromium is installed; CI installs one.

use crate::place::Place;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// What is done to the page; what it finds stands in the element `found` afterwards.
const SCRIPT: &str = include_str!("browser.js");
const IMAGES: usize = 200;

/// The browser; none where there is none.
fn browser() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut all = std::env::split_paths(&path).flat_map(|dir| names.map(|name| dir.join(name)));
    let found = all.find(|file| file.is_file());
    if found.is_none() {
        eprintln!("skipped: no chromium on PATH, so the page is not tried in a browser");
    }
    found
}

fn open(browser: &Path, place: &Place, page: &str, width: u32, more: &[String]) -> Output {
    let profile = place.at(&format!("profile-{width}"));
    let mut command = Command::new(browser);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]);
    command.args(["--no-first-run", "--enable-logging=stderr", "--virtual-time-budget=60000"]);
    command.arg(format!("--user-data-dir={}", profile.display()));
    command.arg(format!("--window-size={width},900")).args(more);
    command.arg(format!("file://{}", place.at(page).display())).stdin(Stdio::null());
    command.output().expect("the browser starts")
}

/// What the page's own script wrote to the console.
fn console(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    text.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect()
}

/// What the test's script found on the page at a width.
fn found(browser: &Path, place: &Place, page: &str, width: u32) -> Value {
    let output = open(browser, place, page, width, &["--dump-dom".to_owned()]);
    assert_eq!(console(&output), Vec::<String>::new(), "the console is not empty");
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let text = dom.split_once("<pre id=\"found\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    let (text, _) = text.unwrap_or_else(|| panic!("the script did not end: {}", dom.len()));
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// A page of attacks, explanations and measurements, and the same page with the test's script.
fn pages(place: &Place) {
    let data = format!("shapes:seed=0,train=64,test={IMAGES}");
    let subject = format!("--weights model.safetensors --data {data}");
    place.ok(&format!(
        "attack {subject} --method gxi --attack topk --eps 8/255 --iters 2 --out run/a.safetensors"
    ));
    place.ok(&format!(
        "explain {subject} --limit 6 --method gxi,occlusion --out run/maps.safetensors"
    ));
    place.ok(&format!(
        "measure complexity {subject} --limit 16 --method gxi,random --out run/m.json"
    ));
    place.ok("report run");
    let page = place.text("run/index.html");
    place.write(
        "run/tried.html",
        page.replace("</body>", &format!("<script>{SCRIPT}</script></body>")),
    );
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|v| v.as_f64().expect("a number")).collect()
}

#[test]
fn a_page_is_sorted_filtered_enlarged_and_saved() {
    let Some(browser) = browser() else { return };
    let place = Place::with_model("browser");
    pages(&place);
    let wide = found(&browser, &place, "run/tried.html", 1300);
    let up = numbers(&wide["up"]);
    assert_eq!(up.len(), IMAGES, "a row an image");
    assert!(up.is_sorted() && up[0] < up[IMAGES - 1], "{up:?}");
    let mut turned = numbers(&wide["down"]);
    turned.reverse();
    assert_eq!(turned, up);
    assert_eq!(wide["aria"], "descending");
    // One class: as many rows as images of it, told above the table, and in the CSV saved.
    let (all, class) = (wide["classes"].as_array().expect("classes"), &wide["class"]);
    let of_class = all.iter().filter(|c| *c == class).count();
    assert!(0 < of_class && of_class < IMAGES);
    assert_eq!(wide["filtered"], of_class);
    assert_eq!(wide["told"], format!("{of_class} of {IMAGES} images"));
    let saved = wide["rows"].as_str().expect("CSV");
    assert_eq!(saved.lines().count(), 1 + of_class);
    assert!(saved.lines().skip(1).all(|line| line.contains("a.safetensors")), "{saved}");
    // All numbers are those of the file beside the page.
    assert_eq!(wide["results"].as_str().expect("CSV"), place.text("run/results.csv"));
    assert!(wide["svg"].as_str().expect("SVG").contains("http://www.w3.org/2000/svg"));
    // Enlarged by keyboard and mouse; its numbers and its file are told.
    assert_eq!(wide["enlarged"], true);
    assert_eq!(wide["large"], 5);
    assert!(wide["link"].as_str().expect("a link").ends_with("run/a.safetensors"));
    let hover = wide["hover"].as_str().expect("words");
    assert!(hover.starts_with("row ") && hover.contains(": "), "{hover}");
    assert_eq!(wide["closed"], true);
    assert!(wide["title"].as_str().expect("a title").starts_with("gxi under topk"));
}

#[test]
fn a_page_is_narrow_and_printed() {
    let Some(browser) = browser() else { return };
    let place = Place::with_model("browser-narrow");
    pages(&place);
    // The window, of 500 pixels at least, has the rules of a narrow one; the script makes its page narrower.
    let narrow = found(&browser, &place, "run/tried.html", 500);
    assert_eq!(narrow["width"], 400);
    let (tallest, what) = (narrow["tallest"].as_f64().expect("pixels"), &narrow["row"]);
    assert!(tallest <= 250., "a row is {tallest} px high: {what}");
    assert!(narrow["overflow"].as_f64().expect("pixels") <= 0., "the page scrolls sideways");
    assert_eq!(narrow["unnamed"], 0, "every control has a name");
    let pdf = place.at("page.pdf");
    let print = [format!("--print-to-pdf={}", pdf.display()), "--no-pdf-header-footer".to_owned()];
    let output = open(&browser, &place, "run/index.html", 800, &print);
    assert_eq!(console(&output), Vec::<String>::new());
    assert!(fs::read(pdf).expect("a PDF").starts_with(b"%PDF"));
}
