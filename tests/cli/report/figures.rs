//! Figures of maps: how they are drawn, of how many images, in which form; files that are named are there.

use crate::place::Place;

const SUBJECT: &str = "--weights model.safetensors --data shapes:seed=0,train=64,test=16";

/// Pictures of an SVG, colour bars included, and its headers and captions.
fn drawn(place: &Place, file: &str) -> (usize, String) {
    let svg = place.text(file);
    (svg.matches("<image ").count(), svg)
}

#[test]
fn maps_have_signs_unless_asked_otherwise() {
    let place = Place::with_model("figures");
    let explain = format!("explain {SUBJECT} --limit 5 --method gxi,gradcam --rows 3");
    place.ok(&format!("{explain} --figure usual.svg"));
    let (pictures, usual) = drawn(&place, "usual.svg");
    // Three images, each with two maps; a bar for each scale: Grad-CAM has no negative numbers.
    assert_eq!(pictures, 3 * 3 + 2, "{usual}");
    assert!(usual.contains("red: for the class, blue: against it; clipped"));
    assert!(usual.contains("share of attribution") && usual.contains("−p99"));
    place.ok(&format!("{explain} --draw heat --figure heat.svg"));
    let (pictures, heat) = drawn(&place, "heat.svg");
    assert_eq!(pictures, 3 * 3 + 1);
    assert!(!heat.contains("red: for") && heat.contains("share of attribution"));
    place.ok(&format!("{explain} --draw overlay --figure over.svg"));
    assert!(drawn(&place, "over.svg").1.contains("over the image; red: for the class"));
    for (file, start) in [("a.pdf", &b"%PDF"[..]), ("a.png", b"\x89PNG")] {
        place.ok(&format!("{explain} --figure {file}"));
        assert!(place.read(file).starts_with(start), "{file}");
    }
    assert!(place.misused(&format!("{explain} --figure a.gif")).contains("`.pdf`"));
    let none = format!("explain {SUBJECT} --method gxi --rows 0 --figure b.png");
    assert!(place.misused(&none).contains("from 1 on"));
}

#[test]
fn an_attack_is_drawn_as_asked() {
    let place = Place::with_model("figures-attack");
    let attack = format!(
        "attack {SUBJECT} --limit 4 --method gxi --attack topk --iters 1 --eps 4/255,8/255 --rows 2"
    );
    let said = place.ok(&format!("{attack} --out r/a.safetensors --figure a.svg")).stdout;
    let (pictures, svg) = drawn(&place, "a.svg");
    assert_eq!(pictures, 2 * 5 + 1);
    assert!(svg.contains("red: for the class"));
    let named: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("written: ")).collect();
    assert_eq!(named, ["r/a-eps4.safetensors", "r/a-eps8.safetensors", "r/a.json", "a.svg"]);
    named.iter().for_each(|name| assert!(place.at(name).is_file(), "{name}"));
    place.ok(&format!("{attack} --draw heat --figure b.svg"));
    assert!(!drawn(&place, "b.svg").1.contains("red: for the class"));
}

#[test]
fn explanations_are_reported_with_their_pictures() {
    let place = Place::with_model("figures-explained");
    place
        .ok(&format!("explain {SUBJECT} --limit 3 --method gxi,ig:points=2 --out e/m.safetensors"));
    place.ok("report e");
    let page = place.text("e/index.html");
    assert_eq!(page.matches("<tr data-model").count(), 2 * 3, "a row a method and image");
    assert!(page.contains("data-file=\"m-ig-points-2.safetensors\""));
    assert!(page.contains("<title>explain of gxi and ig:points=2 on shapes:seed=0"));
    assert!(place.text("e/results.csv").contains(",no-map,"));
}
