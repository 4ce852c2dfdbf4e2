//! Robust training from the recipes at their smallest scale, and accuracy under attack.

use crate::place::{Place, SHAPES, mean, rows, says};
use std::path::Path;
use tch::Kind;

/// Trains a recipe at the scale that only shows whether it runs.
fn smoke(place: &Place, recipe: &str, options: &str) -> serde_json::Value {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/train").join(recipe);
    let line = format!("train --config {} --scale smoke --out {recipe}", config.display());
    let said = place.ok(&format!("{line} {options}"));
    says(&said.stderr, &["training ", "images of shapes", "epoch   1/1"]);
    serde_json::from_str(place.text(&format!("{recipe}/log.jsonl")).trim()).expect("one line")
}

#[test]
fn recipes_train_at_their_smoke_scale() {
    let place = Place::new("smoke");
    let pgd = smoke(&place, "resnet20-pgd-l2.toml", "--set objective.attack.steps=2");
    assert!(pgd["robust_accuracy"].as_f64().expect("a number") <= 1., "{pgd}");
    let loss = pgd["loss"].as_object().expect("parts");
    assert!(loss.keys().eq(["adversarial", "clean", "total"]), "{pgd}");
    // Attention masks hold infinities, which are no reason to stop.
    let few = "--set data.train=shapes:train=8,test=8";
    assert_eq!(smoke(&place, "swin-t-natural.toml", few)["epoch"], 1);
    let ssr = smoke(&place, "resnet20-ssr.toml", "--set objective.eigenvector=warm");
    assert!(ssr["robust_accuracy"].is_null(), "no adversary, nothing to attack with: {ssr}");
    let xi = &ssr["observed"]["xi"];
    let of = |name: &str| xi[name].as_f64().expect("a number");
    assert!(of("median") > 0. && of("median") <= of("p90") && of("mean") > 0., "{ssr}");
    // What was resolved is beside the result and is a configuration itself.
    let config = place.text("resnet20-ssr.toml/config.toml");
    says(&config, &["name = \"ssr\"", "eigenvector = \"warm\"", "shapes:train=64"]);
    place.ok("train --config resnet20-ssr.toml/config.toml --set epochs=1 --out again");
}

#[test]
fn training_starts_from_weights() {
    let place = Place::with_model("fine-tune");
    place.write("tune.toml", crate::place::CONFIG);
    let line = "train --config tune.toml --set optimizer.learning_rate=1e-9 \
                --set model.weights=model.safetensors --out tuned";
    place.ok(line);
    let (a, b) = (place.tensors("model.safetensors"), place.tensors("tuned/last.safetensors"));
    let (a, b) = (&a.tensors["linear.weight"], &b.tensors["linear.weight"]);
    assert!(a.allclose(b, 1e-4, 1e-6, false), "a step of 1e-9 goes nowhere");

    let frozen = "train --config tune.toml --set model.weights=model.safetensors --out frozen \
                  --set model.frozen_norm=true --set optimizer.learning_rate=0.01";
    place.ok(frozen);
    let (a, b) = (place.tensors("model.safetensors"), place.tensors("frozen/last.safetensors"));
    let same = |name: &str| a.tensors[name].equal(&b.tensors[name]);
    assert!(same("bn1.running_mean") && same("layer3.0.bn2.running_var"), "statistics stay");
    assert!(!same("bn1.weight") && !same("conv1.weight"), "the rest is trained");
}

#[test]
fn accuracy_under_attack() {
    let place = Place::with_model("robust");
    let eval = format!("eval --weights model.safetensors --data {SHAPES}");
    let line = format!("{eval} --pgd 3 --apgd 3 --square 20 --eps 0,4/255 --out adv.safetensors");
    let found = place.ok(&format!("{line} --curvature --json")).json();
    assert!(mean(&found, &[("quantity", "curvature")]) > 0.);
    let at = |i: usize| &found["robust"][i];
    let unmoved = mean(&found, &[("quantity", "robust-accuracy"), ("eps", "0/255")]);
    let clean = mean(&found, &[("quantity", "accuracy")]);
    assert_eq!(unmoved, clean, "a radius of 0 changes nothing");
    assert_eq!(at(1)["label"], "4/255");
    let names = ["pgd:steps=3", "apgd-ce:steps=3", "apgd-dlr:steps=3", "square:queries=20"];
    let attacks = at(1)["summary"]["attacks"].as_array().expect("a list");
    let mut open = at(1)["summary"]["clean"].as_u64();
    for (attack, name) in attacks.iter().zip(names) {
        assert_eq!(attack["name"], name);
        assert_eq!(attack["given"].as_u64(), open, "what those before it left right");
        open = open.zip(attack["broke"].as_u64()).map(|(given, broke)| given - broke);
    }
    assert_eq!(at(1)["summary"]["robust"].as_u64(), open);

    let kept = place.tensors("adv-eps4.safetensors");
    let t = |name: &str| &kept.tensors[name];
    let far = (t("adversarial") - t("images")).abs().max().double_value(&[]);
    assert!(far <= 4. / 255. + 1e-6 && far > 0., "{far}");
    let right = t("predictions").eq_tensor(t("labels")).to_kind(Kind::Uint8);
    assert!(right.equal(t("robust")), "robust means still right");
    assert_eq!(t("robust").sum(Kind::Int64).int64_value(&[]) as u64, open.expect("counted"));
    let again = place.ok(&format!("{line} --batch-size 5 --json")).json();
    assert_eq!(again["robust"], found["robust"], "whatever the batch");
    let robust = [("quantity", "robust-accuracy")];
    assert_eq!(rows(&again, &robust), rows(&found, &robust), "whatever the batch");

    let text = place.ok(&format!("{eval} --attack standard --limit 1 --eps 16/255")).stdout;
    says(
        &text,
        &["accuracy ", "robust accuracy within 16/255 linf: ", "apgd-ce: broke", "square: "],
    );
}

#[test]
fn what_makes_no_attack() {
    let place = Place::with_model("no-attack");
    let eval = format!("eval --weights model.safetensors --data {SHAPES}");
    for (options, parts) in [
        ("--eps 8/255", &["`--eps` and `--out` are for attacks", "--attack standard"][..]),
        ("--attack pdg", &["unknown attack `pdg`", "pgd, "]),
        ("--attack pgd,pgd", &["`pgd` is asked for twice"]),
        ("--attack pgd:step=1", &["attack `pgd`", "unknown field `step`", "`steps`"]),
        ("--pgd 0", &["`steps` is 0"]),
        ("--apgd 5 --eps -1/255", &["--eps", "negative"]),
        ("--attack topk", &["unknown attack `topk`"]),
        ("--attack pgd:target=10", &["10"]),
    ] {
        says(&place.refused(&format!("{eval} {options}")), parts);
    }
    place.write("run.toml", crate::place::CONFIG);
    let train = "train --config run.toml --out new";
    for (options, parts) in [
        ("--scale tiny", &["run.toml", "no scale `tiny`"][..]),
        (
            "--set objective.name=adversarial",
            &["objective `adversarial`", "missing field `attack`"],
        ),
        (
            "--set objective={name='adversarial',attack={steps=3}}",
            &["`objective.attack`", "missing field `eps`"],
        ),
        ("--set model.weights=lost.safetensors", &["lost.safetensors"]),
    ] {
        says(&place.refused(&format!("{train} {options}")), parts);
    }
    says(&place.misused(&format!("{train} --on-nan ignore")), &["ignore", "skip"]);
}
