//! What nothing says is `undefined`, counted and in no mean: images without a map, places without an
//! object, one image's interval; networks whose numbers are out of range are refused.

use crate::place::{Place, mean, row, rows, says};
use serde_json::Value;
use tch::{Kind, Tensor};

const HOW: &str = "--method gxi --attack topk --iters 2 --eps 4/255,8/255";

/// A place with four shapes, of which `black` are black, as `data.safetensors`.
fn shapes(name: &str, black: &[i64]) -> Place {
    let place = Place::with_model(name);
    place.ok("data make shapes:seed=0,train=1,test=4 --out data.safetensors --quiet");
    change(&place, "data.safetensors", "data.safetensors", "images", |images| {
        black.iter().for_each(|&i| {
            let _ = images.get(i).fill_(0);
        });
        images.shallow_clone()
    });
    place
}

fn change(place: &Place, from: &str, to: &str, name: &str, by: impl Fn(&Tensor) -> Tensor) {
    let mut file = place.tensors(from);
    let changed = by(&file.tensors[name]);
    file.tensors.insert(name.into(), changed);
    file.write(&place.at(to)).expect("a file");
}

/// The page of what lies in `folder`.
fn page(place: &Place, folder: &str) -> String {
    place.ok(&format!("report {folder} --out page-{folder}"));
    words(&place.text(&format!("page-{folder}/index.html")))
}

/// A page without the bytes of its pictures, which may spell anything. It says nothing undefined.
fn words(page: &str) -> String {
    let mut parts = page.split("base64,");
    let first = parts.next().unwrap_or_default().to_owned();
    let words = parts.fold(first, |words, part| words + part.split_once('"').unwrap_or_default().1);
    for word in ["NaN", "null"] {
        assert!(!words.contains(word), "the page says `{word}`");
    }
    words
}

fn whole(t: &Tensor) -> Vec<i64> {
    Vec::try_from(t.to_kind(Kind::Int64)).expect("whole numbers")
}

#[test]
fn an_image_without_a_map_is_in_no_mean() {
    let place = shapes("undefined-mixed", &[1]);
    let line = format!("attack --weights model.safetensors --data data.safetensors {HOW}");
    let run = place.ok(&format!("{line} --out o/attack.safetensors --json"));
    says(&run.stderr, &["warning: no map by `gxi`, zero everywhere, at 1 of 4 images"]);
    let said = run.json();
    for (eps, file) in said["tensors"].as_object().expect("files by radius") {
        let of = |quantity| row(&said, &[("eps", eps), ("quantity", quantity)]);
        assert_eq!((&of("no-map")["mean"], &of("success")["mean"]), (&1.0.into(), &1.0.into()));
        let file = place.tensors(&format!("o/{}", file.as_str().expect("a name")));
        assert_eq!(whole(&file.tensors["has_map"]), [1, 0, 1, 1]);
        assert_eq!(whole(&file.tensors["success"]), [1, 0, 1, 1]);
        for name in ["cdl", "cor", "cosd", "k-in", "confidence"] {
            let summary = of(name);
            assert_eq!((&summary["n"], &summary["undefined"]), (&3.into(), &1.into()), "{name}");
            let values = Vec::<f64>::try_from(file.tensors[name].to_kind(Kind::Double));
            let values = values.expect("numbers");
            let expected = (values[0] + values[2] + values[3]) / 3.;
            assert!((summary["mean"].as_f64().expect("a mean") - expected).abs() < 1e-6, "{name}");
            assert_eq!(values[1].is_nan(), name != "confidence", "{name}");
        }
    }
    says(&place.ok(&line).stdout, &["100.0 %", "no map: 1 of 4 images, left out"]);
    let control = line.replace("topk", "random");
    says(&place.ok(&control).stdout, &["no map: 1 of 4 images, left out"]);
    // Neither has the one before it a map to aim at.
    let aimed = place.ok(&line.replace("topk", "manipulate"));
    says(&aimed.stdout, &["no map: 2 of 4 images, left out"]);
    says(&aimed.stderr, &["or at the map that is aimed at"]);
    says(&page(&place, "o"), &["1 of them without a map", "1 undefined", "no map"]);
    let csv = place.text("page-o/results.csv");
    let counted = |line: &str| line.contains(",k-in,") && line.ends_with(",3,1,0");
    assert!(csv.lines().any(counted), "{csv}");
    let maps = "explain --weights model.safetensors --data data.safetensors --method gxi,saliency";
    let said = place.ok(&format!("{maps} --out maps.safetensors --json")).json();
    let no_map = |method| mean(&said, &[("quantity", "no-map"), ("method", method)]);
    assert_eq!([no_map("gxi"), no_map("saliency")], [1., 0.]);

    let line = "transfer --weights model.safetensors --data data.safetensors --attack topk --iters 1 \
                --eps 4/255,8/255 --from gxi,saliency";
    let said = place.ok(&format!("{line} --out t/transfer.json --figure t/f.png --json")).json();
    let undefined = |from: &str, to: &str| {
        let of = |name| {
            let keys =
                [("from_method", from), ("method", to), ("eps", "4/255"), ("quantity", name)];
            row(&said, &keys)
        };
        let no_map = of("no-map")["mean"].as_f64().expect("a count");
        let [k_in, kept] = ["k-in", "kept"].map(|name| of(name)["undefined"].as_u64());
        [no_map as u64, k_in.expect("a count"), kept.expect("a count")]
    };
    assert_eq!([undefined("gxi", "gxi"), undefined("gxi", "saliency")], [[1, 1, 1]; 2]);
    let other = "saliency";
    assert_eq!([undefined(other, "gxi"), undefined(other, other)], [[0, 1, 0], [0; 3]]);
    page(&place, "t");
}

#[test]
fn no_image_with_a_map_leaves_every_number_undefined() {
    let place = shapes("undefined-black", &[0, 1, 2, 3]);
    let subject = "--weights model.safetensors --data data.safetensors";
    let attack = format!("attack {subject} {HOW}");
    let said = place.ok(&format!("{attack} --out o/a.safetensors --figure f.png --json")).json();
    for quantity in ["success", "cor", "k-in-auc", "cosd-auc"] {
        for row in rows(&said, &[("quantity", quantity)]) {
            assert_eq!(row.get("mean"), Some(&Value::Null), "{row}");
        }
    }
    assert!(rows(&said, &[("quantity", "l2-change")]).is_empty(), "{said}");
    let table = place.ok(&attack).stdout;
    assert!(!table.contains("NaN") && !table.contains('±'), "{table}");
    assert_eq!(table.matches("undefined").count(), 2 * 6 + 5, "{table}");
    place.ok(&format!("transfer {subject} --from gxi --attack topk --iters 1 --out o/t.json"));
    let metrics = "complexity,deletion:steps=4,faithfulness:cells=3,infidelity:samples=4,\
                   insertion:steps=4,lipschitz:samples=2,localisation,preservation:steps=4,\
                   randomisation,relevance:steps=4,retrieval,sensitivity:samples=2,similarity";
    let line = format!("measure {metrics} {subject} --method gxi,ig:points=2 --out o/m.json");
    let run = place.ok(&format!("{line} --json"));
    let said = run.json();
    for value in said["rows"].as_array().expect("rows") {
        if value["quantity"] == "no-map" {
            assert_eq!(value["mean"], 4.0);
            continue;
        }
        let own = value["quantity"] == "model-lipschitz";
        assert_eq!(value["undefined"], if own { 0 } else { 4 }, "{value}");
        assert_eq!((value["mean"].is_null(), value.get("infinite")), (!own, None), "{value}");
    }
    says(&run.stderr, &["warning: no map by `ig:points=2`, zero everywhere, at 4 of 4 images"]);
    says(&place.ok(&line).stdout, &["4 undefined: no map"]);
    says(&page(&place, "o"), &["undefined", "No map, zero everywhere: 4 images by gxi"]);

    place.write("e.toml", EXPERIMENT);
    place.ok("run e.toml --scale paper --out runs");
    let answer = place.text("runs/e/results.md");
    says(&answer, &["**not decided** (a number is undefined)", "| undefined |"]);
    assert!(!answer.contains("NaN") && !place.text("runs/e/results.csv").contains("NaN"));
    words(&place.text("runs/e/index.html"));
    page(&place, "runs");
}

const EXPERIMENT: &str = r#"
title = "No maps"
question = "What do claims come to?"
[step.a]
command = "attack --weights model.safetensors --data data.safetensors --method ${method} --attack topk --iters 1 --eps 4/255,8/255"
grid = { method = ["gxi", "ig"] }
[[table]]
title = "Areas"
step = "a"
rows = ["method"]
values = [{ name = "k-in", quantity = "k-in-auc" }]
[[figure]]
title = "Areas"
kind = "heatmap"
step = "a"
lines = "method"
x = "method"
y = { quantity = "k-in-auc" }
[[claim]]
text = "less"
where = { step = "a", quantity = "k-in-auc" }
less = { method = ["gxi", "ig"] }
[[claim]]
text = "below"
where = { step = "a", quantity = "k-in-auc" }
below = 2.0
[[claim]]
text = "rising"
where = { step = "a", quantity = "k-in-auc" }
rising = "method"
"#;

#[test]
fn one_image_has_no_interval() {
    let place = shapes("undefined-one", &[]);
    let subject = "--weights model.safetensors --data data.safetensors --limit 1";
    let attack = format!("attack {subject} {HOW} --out o/a.safetensors");
    let said = place.ok(&format!("{attack} --json")).json();
    for row in rows(&said, &[("quantity", "cor")]) {
        assert!(row["mean"].is_f64() && row.get("stderr").is_none(), "{row}");
    }
    let measure = format!("measure complexity {subject} --method gxi --out o/m.json");
    let said = place.ok(&format!("{measure} --json")).json();
    let entropy = row(&said, &[("quantity", "entropy")]);
    assert!(entropy["mean"].is_f64() && entropy["n"] == 1, "{entropy}");
    assert!(entropy["low"].is_null() && entropy["high"].is_null(), "{entropy}");
    let eval = format!("eval {subject} --pgd 1");
    let said = place.ok(&format!("{eval} --json")).json();
    assert!(row(&said, &[("quantity", "accuracy")]).get("stderr").is_none(), "{said}");
    for line in [&attack, &measure, &eval] {
        let said = place.ok(line).stdout;
        assert!(!said.contains('±') && !said.contains(" ["), "{said}");
    }
    assert!(!page(&place, "o").contains("<small>±"));
    // Of two there is one, though they be equal.
    let two = "attack --weights model.safetensors --data data.safetensors --limit 2";
    says(&place.ok(&format!("{two} {HOW}")).stdout, &["±"]);
}

#[test]
fn an_absent_object_is_neither_hit_nor_missed() {
    let place = shapes("undefined-masks", &[]);
    change(&place, "data.safetensors", "data.safetensors", "masks", |masks| {
        let _ = masks.narrow(0, 1, 3).fill_(0);
        masks.shallow_clone()
    });
    let line = "measure localisation --weights model.safetensors --data data.safetensors \
                --method gxi,random";
    let said = place.ok(&format!("{line} --json")).json();
    for key in ["mass", "pointing", "rank"] {
        let found = rows(&said, &[("quantity", key)]);
        assert_eq!(found.len(), 2, "{said}");
        for value in found {
            assert_eq!([&value["n"], &value["undefined"]], [1, 3], "{key}: {value}");
        }
    }
    says(&place.ok(line).stdout, &["3 undefined"]);
}

#[test]
fn networks_that_say_nothing_are_not_robust() {
    let place = shapes("undefined-networks", &[]);
    let head = |to: &str, by: &dyn Fn(&Tensor) -> Tensor| {
        change(&place, "model.safetensors", to, "linear.weight", by);
    };
    head("dead.safetensors", &Tensor::zeros_like);
    head("sure.safetensors", &|weight| weight * 1e6);
    head("huge.safetensors", &|weight| weight.sign() * 3e38);
    let dead = "--weights dead.safetensors --data data.safetensors";
    let said = place.ok(&format!("attack {dead} {HOW} --json")).json();
    for (no_map, success) in rows(&said, &[("quantity", "no-map")])
        .into_iter()
        .zip(rows(&said, &[("quantity", "success")]))
    {
        assert_eq!((&no_map["mean"], &success["mean"]), (&4.0.into(), &Value::Null));
    }
    let said = place.ok(&format!("measure faithfulness {dead} --method gxi,random --json")).json();
    for method in ["gxi", "random"] {
        let of = |quantity| row(&said, &[("method", method), ("quantity", quantity)]);
        assert_eq!(of("pearson")["undefined"], 4, "{method}");
        assert_eq!(of("spearman")["mean"], Value::Null, "{method}");
    }
    // A probability of exactly 1 has no gradient; a logit has.
    let sure = format!("attack --weights sure.safetensors --data data.safetensors {HOW} --json");
    let no_map = |line: &str| {
        let said = place.ok(line).json();
        rows(&said, &[("quantity", "no-map")])[0]["mean"].as_f64().expect("a count")
    };
    assert_eq!([no_map(&format!("{sure} --score prob")), no_map(&sure)], [4., 0.]);

    let huge = "--weights huge.safetensors --data data.safetensors --offset 1";
    for line in [
        format!("eval {huge} --pgd 2"),
        format!("explain {huge} --method gxi --target label --figure g.png"),
        format!("explain {huge} --method gxi --out g.safetensors"),
        format!("attack {huge} {HOW} --quiet"),
        format!("transfer {huge} --from gxi --attack topk --quiet"),
        format!("measure complexity {huge} --method gxi --target label --quiet"),
    ] {
        let said = place.refused(&format!("{line} --quiet").replace("--quiet --quiet", "--quiet"));
        says(&said, &["huge", "a logit of image 1 of ", "not a finite number"]);
    }
}

#[test]
fn nothing_is_no_aim() {
    let place = shapes("undefined-aims", &[2]);
    place.ok("explain --weights model.safetensors --data data.safetensors --method saliency --out maps.safetensors");
    change(&place, "maps.safetensors", "nan.safetensors", "maps", |maps| maps + f64::NAN);
    change(&place, "maps.safetensors", "zero.safetensors", "maps", Tensor::zeros_like);
    let line = "attack --weights model.safetensors --data data.safetensors --method gxi --attack \
                manipulate --iters 1 --quiet";
    for (aim, words) in [
        ("--target-map nan.safetensors", vec!["`nan.safetensors` is NaN, not a finite number"]),
        ("--target-map zero.safetensors", vec!["`zero.safetensors` is zero everywhere"]),
        ("--target-image black.png", vec!["`black.png` has no map by `gxi`"]),
    ] {
        image::RgbImage::new(32, 32).save(place.at("black.png")).expect("a picture");
        says(&place.refused(&format!("{line} {aim}")), &words);
    }
}

/// A result that an infinite network left, with `null` where numbers are undefined.
#[test]
fn a_result_with_nulls_is_read() {
    let place = Place::new("undefined-nulls");
    place.write("old/a.json", include_str!("../../data/results/typed/attack-old.json"));
    says(&page(&place, "old"), &["undefined", "1.000"]);
    let csv = place.text("page-old/results.csv");
    assert!(csv.contains(",cdl,,,,") && csv.contains(",cor,1,0,"), "{csv}");
}
