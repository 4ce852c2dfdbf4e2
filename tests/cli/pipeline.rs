//! The whole path on `shapes`: train, evaluate, explain, attack, report; what is in every file.

use crate::place::{Place, Run, SHAPES, mean as mean_of, model, says, training};
use models::{Classifier, Model, Precision, checkpoint};
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};
use tensorfile::TensorFile;

const N: i64 = 16;
const IMAGES: [i64; 4] = [N, 3, 32, 32];
const RADII: [f64; 2] = [4., 8.];
const ITERATIONS: i64 = 4;

fn explain(place: &Place, options: &str) -> Run {
    place.ok(&format!("explain --weights model.safetensors --data {SHAPES} {options}"))
}

fn attack(place: &Place, options: &str) -> Run {
    let subject = format!("--weights model.safetensors --data {SHAPES}");
    place.ok(&format!("attack {subject} --method gxi --attack topk --iters {ITERATIONS} {options}"))
}

/// The shared weights, as the commands use them.
fn network() -> Classifier {
    let loaded = checkpoint::load(&model(), &checkpoint::Hints::default()).expect("weights");
    loaded.classifier.to_device(Device::Cpu, true).folded(Precision::F32)
}

fn predictions(x: &Tensor) -> Tensor {
    tch::no_grad(|| network().logits(x)).argmax(1, false)
}

fn largest(t: &Tensor) -> f64 {
    t.abs().max().double_value(&[])
}

/// Exactly these tensors, with these shapes and types.
fn holds(file: &TensorFile, expected: &[(&str, &[i64], Kind)]) {
    let found = file.tensors.iter().map(|(n, t)| (n.as_str(), (t.size(), t.kind())));
    let expected = expected.iter().map(|(n, shape, kind)| (*n, (shape.to_vec(), *kind)));
    assert_eq!(found.collect::<BTreeMap<_, _>>(), expected.collect::<BTreeMap<_, _>>());
    for (name, t) in &file.tensors {
        assert!(bool::try_from(t.isfinite().all()).expect("one value"), "`{name}` is not finite");
    }
    let keys = ["command", "seed", "version", "model", "arch", "classes", "method"];
    for key in keys {
        assert!(file.metadata.contains_key(key), "no `{key}` in {:?}", file.metadata);
    }
    assert!(file.metadata["command"].starts_with("gradproof "));
    assert_eq!(file.metadata["arch"], "resnet20");
}

fn is_png(place: &Place, name: &str) {
    let picture = image::load_from_memory(&place.read(name)).expect("a picture");
    assert!(picture.width() > 200 && picture.height() > 100, "`{name}` is tiny");
    let colours: std::collections::BTreeSet<_> = picture.to_rgb8().pixels().map(|p| p.0).collect();
    assert!(colours.len() > 50, "`{name}` is blank");
}

#[test]
fn a_training_leaves_its_files() {
    let at = |name: &str| training().join(name);
    let log = std::fs::read_to_string(at("log.jsonl")).expect("a log");
    let line: serde_json::Value = serde_json::from_str(log.trim()).expect("one line");
    assert_eq!(line["epoch"], 1);
    for key in ["train_accuracy", "test_accuracy", "learning_rate", "seconds", "images_per_second"]
    {
        assert!(line[key].is_f64(), "{key}: {line}");
    }
    assert!(line["loss"]["total"].is_f64() && line["loss"]["cross-entropy"].is_f64(), "{line}");
    for name in ["config.toml", "resume.safetensors", "events.out.tfevents.gradproof"] {
        assert!(at(name).is_file(), "no `{name}`");
    }
    let header = TensorFile::read(&model()).expect("weights").metadata;
    let keys = ["arch", "classes", "normalise", "dataset", "training", "config", "test_accuracy"];
    for key in keys {
        assert!(header.contains_key(key), "no `{key}` in {header:?}");
    }
    assert_eq!(header["seed"], "0");

    let place = Place::with_model("eval");
    let eval = place.ok(&format!("eval --weights model.safetensors --data {SHAPES} --json")).json();
    let accuracy = mean_of(&eval, &[("quantity", "accuracy")]);
    assert_eq!(format!("{accuracy:.4}"), header["test_accuracy"]);
    assert_eq!(line["test_accuracy"].as_f64(), Some(accuracy));
}

#[test]
fn what_is_drawn_belongs_to_the_image() {
    let place = Place::with_model("draws");
    let methods = "--method smoothgrad:samples=3,lime:samples=8,ig:points=3";
    let run = explain(&place, &format!("{methods} --limit 4 --out whole.safetensors"));
    crate::place::says(&run.stdout, &["ig:points=3: maps miss f(x) − f(baseline) by "]);
    let apart = format!("{methods} --batch-size 1 --chunk 2");
    explain(&place, &format!("{apart} --offset 1 --limit 3 --out part.safetensors"));
    explain(&place, &format!("{methods} --limit 4 --seed 1 --out other.safetensors"));
    for (name, drawn) in
        [("smoothgrad-samples-3", true), ("lime-samples-8", true), ("ig-points-3", false)]
    {
        let maps = |run: &str| {
            let mut file = place.tensors(&format!("{run}-{name}.safetensors"));
            file.tensors.remove("maps").expect("maps")
        };
        let whole = maps("whole");
        let far = largest(&(maps("part") - whole.narrow(0, 1, 3))) / largest(&whole);
        assert!(far < 1e-3, "{name}: {far} off in another batch, chunk and part of the data");
        assert_eq!(largest(&(maps("other") - &whole)) > 1e-3 * largest(&whole), drawn, "{name}");
    }
    crate::place::says(
        &place.refused(&format!(
            "explain --weights model.safetensors --data {SHAPES} --method ig --chunk 0 --figure a.png"
        )),
        &["--chunk 0"],
    );
    crate::place::says(
        &place.refused(&format!(
            "explain --weights model.safetensors --data {SHAPES} --method gradcam:layer=top --figure a.png"
        )),
        &["method `gradcam:layer=top`", "layer3"],
    );
}

#[test]
fn explained_images() {
    let place = Place::with_model("explain");
    explain(&place, "--method gxi,saliency --out maps.safetensors --figure grid.png");
    is_png(&place, "grid.png");
    let (gxi, saliency) =
        (place.tensors("maps-gxi.safetensors"), place.tensors("maps-saliency.safetensors"));
    for file in [&gxi, &saliency] {
        holds(
            file,
            &[
                ("maps", &IMAGES, Kind::Float),
                ("images", &IMAGES, Kind::Float),
                ("confidence", &[N], Kind::Float),
                ("labels", &[N], Kind::Int64),
                ("targets", &[N], Kind::Int64),
                ("predictions", &[N], Kind::Int64),
            ],
        );
        assert!(file.tensors["targets"] == file.tensors["predictions"]);
    }
    let images = &gxi.tensors["images"];
    assert!(gxi.tensors["predictions"] == predictions(images));
    let product = images * &saliency.tensors["maps"];
    assert!(largest(&(product - &gxi.tensors["maps"])) < 1e-6, "g×i is not x ⊙ ∇f");
    assert!(largest(&gxi.tensors["maps"]) > 0.);

    // Bytes do not change from run to run, numbers not from batch size to batch size.
    let bytes = place.read("maps-gxi.safetensors");
    explain(&place, "--method gxi,saliency --out maps.safetensors --figure grid.png");
    assert!(bytes == place.read("maps-gxi.safetensors"), "a second run wrote other bytes");
    for size in [3, 16] {
        explain(&place, &format!("--method gxi --out small.safetensors --batch-size {size}"));
        let small = place.tensors("small.safetensors");
        let apart = largest(&(&small.tensors["maps"] - &gxi.tensors["maps"]));
        assert!(apart < 1e-4 * largest(&gxi.tensors["maps"]), "batches of {size}: {apart}");
        assert!(small.tensors["predictions"] == gxi.tensors["predictions"]);
    }
}

#[test]
fn targets_and_scores() {
    let place = Place::with_model("targets");
    explain(&place, "--method saliency --target label --score logprob --out label.safetensors");
    let label = place.tensors("label.safetensors");
    assert!(label.tensors["targets"] == label.tensors["labels"]);
    explain(&place, "--method saliency --target 3 --limit 5 --offset 2 --out three.safetensors");
    let three = place.tensors("three.safetensors");
    assert!(three.tensors["targets"] == Tensor::full([5], 3, (Kind::Int64, Device::Cpu)));
    assert!(three.tensors["images"] == label.tensors["images"].narrow(0, 2, 5));
}

/// Share of the 20 largest pixels that two maps `[3, 32, 32]` have in common, counted once more.
fn k_in(a: &Tensor, b: &Tensor) -> f64 {
    let top = |map: &Tensor| -> Vec<usize> {
        let summed = map.abs().sum_dim_intlist([0].as_slice(), false, Kind::Float).flatten(0, -1);
        let heat = Vec::<f32>::try_from(summed).expect("a vector");
        let mut order: Vec<usize> = (0..heat.len()).collect();
        order.sort_by(|&i, &j| heat[j].total_cmp(&heat[i]));
        order[..20].to_vec()
    };
    let (a, b) = (top(a), top(b));
    a.iter().filter(|pixel| b.contains(pixel)).count() as f64 / 20.
}

fn check_attack(file: &TensorFile, eps: f64) {
    holds(
        file,
        &[
            ("images", &IMAGES, Kind::Float),
            ("adversarial", &IMAGES, Kind::Float),
            ("maps", &IMAGES, Kind::Float),
            ("attacked_maps", &IMAGES, Kind::Float),
            ("labels", &[N], Kind::Int64),
            ("targets", &[N], Kind::Int64),
            ("predictions", &[N], Kind::Int64),
            ("success", &[N], Kind::Uint8),
            ("clean_confidence", &[N], Kind::Float),
            ("confidence", &[N], Kind::Float),
            ("has_map", &[N], Kind::Uint8),
            ("k-in", &[N], Kind::Float),
            ("cor", &[N], Kind::Float),
            ("cdl", &[N], Kind::Float),
            ("cosd", &[N], Kind::Float),
            ("k-in-floor", &[N], Kind::Float),
            ("cor-floor", &[N], Kind::Float),
            ("cdl-floor", &[N], Kind::Float),
            ("cosd-floor", &[N], Kind::Float),
            ("trace", &[N, 1 + ITERATIONS], Kind::Double),
        ],
    );
    let t = |name: &str| &file.tensors[name];
    let (x, adversarial) = (t("images"), t("adversarial"));
    assert!(largest(&(adversarial - x)) <= eps + 1e-6, "outside the ball of {eps}");
    assert!(adversarial.min().double_value(&[]) >= 0. && adversarial.max().double_value(&[]) <= 1.);
    let (before, after) = (predictions(x), predictions(adversarial));
    assert!(before == *t("predictions"));
    for i in 0..N {
        let at = |name: &str| t(name).double_value(&[i]);
        let (clean, attacked) = (t("maps").get(i), t("attacked_maps").get(i));
        assert!((k_in(&clean, &attacked) - at("k-in")).abs() < 1e-6, "k-in of image {i}");
        assert_eq!(
            before.int64_value(&[i]),
            after.int64_value(&[i]),
            "the prediction of {i} moved"
        );
        if at("success") == 0. {
            assert_eq!(at("k-in"), 1., "image {i} failed");
            assert!(x.get(i) == adversarial.get(i) && clean == attacked, "image {i} failed");
        } else {
            assert!(at("k-in") < 1., "image {i} counts as a success");
        }
    }
}

/// What is said at a radius of the best measures after each iteration `[N, 1 + ITERATIONS]`.
fn converged(said: &serde_json::Value, eps: &str, trace: &Tensor) {
    let at = |iteration: i64| trace.select(1, iteration).mean(Kind::Double).double_value(&[]);
    for iteration in 0..=ITERATIONS {
        let of = [("eps", eps), ("quantity", "measure"), ("iterations", &iteration.to_string())];
        assert!((mean_of(said, &of) - at(iteration)).abs() < 1e-9, "{eps}, {iteration}");
    }
    let (whole, late) = (at(0) - at(ITERATIONS), at(ITERATIONS / 2) - at(ITERATIONS));
    let flat = f64::from(u8::from(late <= whole / 50.));
    assert_eq!(mean_of(said, &[("eps", eps), ("quantity", "converged")]), flat, "{eps}");
}

#[test]
fn attacked_images_and_their_report() {
    let place = Place::with_model("attack");
    let run = "--eps 8/255,4/255 --warm-start-eps --out a/adv.safetensors --figure a/adv.png";
    let said = attack(&place, &format!("{run} --json")).json();
    is_png(&place, "a/adv.png");
    let mut kept = vec![];
    for eps in RADII {
        let name = format!("a/adv-eps{eps}.safetensors");
        let file = place.tensors(&name);
        check_attack(&file, eps / 255.);
        let label = format!("{eps}/255");
        let of = |quantity| mean_of(&said, &[("eps", label.as_str()), ("quantity", quantity)]);
        let mean = file.tensors["k-in"].mean(Kind::Double).double_value(&[]);
        let summary = of("k-in");
        assert!((mean - summary).abs() < 1e-6, "k-in {summary} instead of {mean}");
        let success = file.tensors["success"].to_kind(Kind::Double).mean(Kind::Double);
        assert_eq!(of("success"), success.double_value(&[]));
        converged(&said, &label, &file.tensors["trace"]);
        kept.push((name, summary));
    }
    assert!(kept[0].1 < 1., "no map was moved at all");
    assert!(kept[1].1 <= kept[0].1, "the larger ball holds the smaller: {kept:?}");
    // log2(8) − log2(4) = 1: the area is the mean of the two ends.
    let auc = mean_of(&said, &[("quantity", "k-in-auc")]);
    assert!((auc - (kept[0].1 + kept[1].1) / 2.).abs() < 1e-9);

    report(&place);

    let bytes = kept.iter().map(|(name, _)| place.read(name)).collect::<Vec<_>>();
    attack(&place, &format!("{run} --json"));
    for ((name, _), before) in kept.iter().zip(bytes) {
        assert!(place.read(name) == before, "a second run wrote another `{name}`");
    }
}

/// By default a radius has nothing from the others listed, to the bit; `--warm-start-eps` is asked for.
#[test]
fn each_radius_is_attacked_by_itself() {
    let place = Place::with_model("attack-alone");
    let run =
        |eps: &str, out: &str| attack(&place, &format!("--eps {eps} --out {out}/adv.safetensors"));
    let both = run("4/255,8/255", "both");
    let one = run("8/255", "one");
    let warm = run("4/255,8/255 --warm-start-eps", "warm");
    let [listed, alone, begun] = ["both/adv-eps8", "one/adv", "warm/adv-eps8"]
        .map(|name| place.tensors(&format!("{name}.safetensors")));
    for (name, tensor) in &alone.tensors {
        assert!(listed.tensors[name].equal(tensor), "`{name}` depends on the other radius");
    }
    assert!(!begun.tensors["adversarial"].equal(&alone.tensors["adversarial"]));
    says(&both.stdout, &["each eps is attacked by itself"]);
    says(&warm.stdout, &["each eps begins with the images of the one before (--warm-start-eps)"]);
    assert!(!one.stdout.contains("each eps"), "{}", one.stdout);
    place.ok("report both --out page");
    says(&place.text("page/index.html"), &["; each eps is attacked by itself"]);
}

/// The page of what lies in this place stands alone.
fn report(place: &Place) {
    let log = std::fs::read(training().join("log.jsonl")).expect("a log");
    place.write("run/log.jsonl", log);
    let said = place.ok("report a run --out page --json").json();
    assert_eq!(said["page"], "page/index.html");
    let page = place.text("page/index.html");
    for word in ["resnet20", "gxi", "topk", "8/255", "<svg", "<img"] {
        assert!(page.contains(word), "`{word}` is not on the page");
    }
    // The names of a language and of a header, which are asked of nobody.
    let pointing = page.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "");
    assert!(!pointing.contains("http"), "the page points outside");
    for (i, _) in page.match_indices("src=") {
        assert!(page[i..].starts_with("src=\"data:"), "{}", &page[i..i + 60]);
    }
    let json: serde_json::Value =
        serde_json::from_str(&place.text("page/results.json")).expect("JSON");
    assert!(json.to_string().contains("k-in"));
    assert!(place.text("page/results.csv").lines().count() > 2);
    let pictures = place.contents().into_keys().filter(|path| {
        path.starts_with(place.at("page")) && path.extension().is_some_and(|e| e == "png")
    });
    let pictures: Vec<_> = pictures.collect();
    assert!(!pictures.is_empty(), "the report has no pictures");
    for path in pictures {
        image::open(&path).unwrap_or_else(|e| panic!("`{}`: {e}", path.display()));
    }
}

/// Signs of gradients near zero may fall either way in another batch; few pixels, small effects.
#[test]
fn an_attack_hardly_depends_on_the_batch() {
    let place = Place::with_model("attack-batches");
    let of = |size: u32| {
        let out = format!("--eps 8/255 --batch-size {size} --out b{size}.safetensors");
        attack(&place, &out);
        place.tensors(&format!("b{size}.safetensors"))
    };
    let (three, sixteen) = (of(3), of(16));
    let apart = |name: &str| (&three.tensors[name] - &sixteen.tensors[name]).abs();
    assert!(largest(&apart("maps")) < 1e-4 * largest(&sixteen.tensors["maps"]));
    let moved = apart("adversarial").gt(1e-4).to_kind(Kind::Double).mean(Kind::Double);
    assert!(moved.double_value(&[]) < 0.02, "{moved:?} of all pixels differ");
    let k_in = apart("k-in").mean(Kind::Double).double_value(&[]);
    assert!(k_in < 0.05, "k-in differs by {k_in}");
}
