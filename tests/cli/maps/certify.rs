//! `certify`: its files, tables and pictures, going on where a killed run stopped, what it refuses.

use crate::place::{Place, SHAPES, mean, rows, says};
use serde_json::Value;

const ASKED: &str = "--samples 40 --sigma 0.05 --radii 0.01,0.1 --iters 2 --attack-samples 3";

fn numbers(result: &Value) -> Value {
    let mut numbers = result.clone();
    numbers.as_object_mut().expect("an object").remove("origin");
    numbers
}

#[test]
fn a_certificate_leaves_its_files_and_never_exceeds_the_attack() {
    let place = Place::with_model("certify");
    let line = format!(
        "certify --weights model.safetensors --data {SHAPES} --limit 2 --method saliency,random \
         --share 0.05,0.5 {ASKED} --out c/c.json --figure c/in.png --chart c/curve.png --json"
    );
    let run = place.ok(&line);
    says(&run.stderr, &["`random` cannot be differentiated"]);
    let said = run.json();
    let kept: Value = serde_json::from_str(&place.text("c/c.json")).expect("JSON");
    assert_eq!((kept["kind"].as_str(), &kept), (Some("certify"), &said));
    let of = |quantity: &str| rows(&said, &[("quantity", quantity)]).len();
    // Two methods and two shares at two radii; the attack on one of them.
    assert_eq!([of("certified-k-in"), of("attacked-k-in"), of("abstained")], [8, 4, 4]);
    assert_eq!([of("prediction-radius"), of("certified-prediction")], [1, 2]);
    for name in ["certified-in", "certified-out", "abstained"] {
        let own = [("quantity", name), ("method", "saliency"), ("share", "0.5")];
        assert!((0.0..=1.).contains(&mean(&said, &own)), "{name}");
    }
    let lines = place.text("c/c.jsonl");
    assert_eq!(lines.lines().count(), 2);
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).expect("a JSON line");
        for map in line["maps"].as_array().expect("maps") {
            let all = |name: &str| map[name].as_array().cloned().unwrap_or_default();
            let pairs = all("certified-k-in").into_iter().zip(all("attacked-k-in"));
            pairs.for_each(|(low, high)| assert!(low.as_f64() <= high.as_f64(), "{line}"));
            let pixels =
                ["in", "out", "abstained"].map(|name| map[name].as_u64().expect("a count"));
            assert_eq!(pixels.iter().sum::<u64>(), 32 * 32);
        }
    }
    assert_eq!(place.at("c").read_dir().expect("a folder").count(), 5, "parts stayed");
    place.ok("report c --out page");
    says(&place.text("page/index.html"), &["certify", "certified-k-in", "attacked-k-in"]);
}

#[test]
fn a_killed_certificate_goes_on_to_the_same_bytes() {
    let place = Place::with_model("certify-resume");
    let line = format!(
        "certify --weights model.safetensors --data {SHAPES} --limit 3 --method saliency {ASKED}"
    );
    let whole = place.ok(&format!("{line} --json")).json();
    let again = place.ok(&format!("{line} --json --batch-size 3")).json();
    assert_eq!(numbers(&whole), numbers(&again));
    let other = place.ok(&format!("{line} --json --seed 1")).json();
    assert_ne!(numbers(&whole)["rows"], numbers(&other)["rows"]);
    if place.killed_at(&format!("{line} --out a/c.json --quiet"), "a/c.parts/000000000.safetensors")
    {
        let other = format!("{line} --out a/c.json --resume --seed 1 --quiet");
        says(&place.refused(&other), &["--resume", "begin anew"]);
    }
    let said = place.ok(&format!("{line} --out a/c.json --resume --json")).json();
    assert_eq!(numbers(&said), numbers(&whole));
}

#[test]
fn what_it_cannot_do_is_refused_in_a_line() {
    let place = Place::with_model("certify-refused");
    let subject = format!("certify --weights model.safetensors --data {SHAPES} --limit 1");
    let refused = |rest: &str, words: &[&str]| {
        says(&place.refused(&format!("{subject} --method saliency {rest}")), words);
    };
    refused("--sigma 0", &["`--sigma 0`", "positive"]);
    refused("--samples 1", &["`--samples 1`", "at least 2"]);
    refused("--samples 10 --pilot 10", &["`--pilot 10`", "1 to 9"]);
    refused("--alpha 1", &["`--alpha 1`", "(0, 1)"]);
    refused("--tau 0.5", &["`--tau 0.5`", "(0.5, 1)"]);
    refused("--share 5", &["`--share 5`", "such as 0.05"]);
    refused("--share 0.0001", &["`--share 0.0001`", "0 of 1024"]);
    refused("--radii -1", &["--radii", "-1"]);
    refused("--k 2000", &["2000"]);
    refused("--attack-samples 0", &["`--attack-samples 0`"]);
    refused("--out m.txt", &[".json"]);
    says(&place.refused(&format!("{subject} --method salience")), &["`salience`", "saliency"]);
}
