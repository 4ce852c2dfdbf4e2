//! `plane`: maps of functions of two numbers, drawn; what is refused.

use crate::place::{Place, mean, says};

const RUN: &str = "\
epochs = 1
batch_size = 16
[data]
train = \"simulated:points=100\"
[model]
arch = \"mlp\"
[optimizer]
name = \"adamw\"
learning_rate = 0.03
";

#[test]
fn a_gradient_turns_between_neighbours() {
    let place = Place::new("plane");
    let line = "plane --function ridges --method saliency,unigrad:radius=1000,samples=2000 --at 20/11.9,20/12.1";
    let result = place.ok(&format!("{line} --figure plane.png --json")).json();
    let map = |method: &str, point: &str, feature: &str| {
        mean(&result, &[("method", method), ("point", point), ("feature", feature)])
    };
    let gradient = |point| [map("saliency", point, "0"), map("saliency", point, "1")];
    assert_eq!([gradient("20/11.9"), gradient("20/12.1")], [[1., 0.], [0., 1.]]);
    for point in ["20/11.9", "20/12.1"] {
        let smooth = map("unigrad:radius=1000,samples=2000", point, "0");
        assert!((smooth - 0.5).abs() < 0.05, "{smooth}");
    }
    assert!(place.read("plane.png").starts_with(b"\x89PNG"));
    let again = place.ok(&format!("{line} --figure again.png --json")).json();
    assert_eq!(
        (&again["rows"], place.read("again.png")),
        (&result["rows"], place.read("plane.png"))
    );
    says(&place.ok(line).stdout, &["at 20/11.9: 16.0000", "saliency", "1.0000    0.0000"]);
}

#[test]
fn a_network_of_two_numbers_is_a_function_too() {
    let place = Place::new("plane-network");
    place.write("e.toml", RUN);
    place.ok("train --config e.toml --out run --quiet");
    let line = "plane --weights run/last.safetensors --method gxi --at -1/0.5";
    says(&place.ok(&format!("{line} --figure plane.png")).stdout, &["at -1/0.5: ", "plane.png"]);
    assert!(place.read("plane.png").starts_with(b"\x89PNG"));
}

#[test]
fn what_has_no_plane_is_refused() {
    let place = Place::with_model("plane-refused");
    let told = |line: &str, words: &[&str]| says(&place.refused(line), words);
    says(&place.misused("plane --method gxi --at 0/0"), &["--function"]);
    told("plane --function ridge --method gxi --at 0/0", &["unknown function `ridge`", "ridges"]);
    told("plane --function ridges --method gix --at 0/0", &["`gix`", "gxi"]);
    let line = "plane --function ridges --method gxi --at 0";
    says(&place.misused(line), &["X/Y, such as 20/11.9"]);
    told("plane --function ridges --method gxi --at 0/0 --margin 0", &["`--margin` is 0"]);
    told("plane --function ridges --method gradcam:layer=conv --at 0/0", &["no tap `conv`"]);
    told(
        "plane --weights model.safetensors --method gxi --at 0/0",
        &["takes 3072 numbers", "networks of two"],
    );
}
