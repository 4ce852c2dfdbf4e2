//! Names nobody knows: one line that says which are known, the nearest one among them.

use crate::place::{CONFIG, Place, SHAPES, says};

#[test]
fn unknown_names_of_a_command() {
    let place = Place::with_model("words");
    let subject = format!("--weights model.safetensors --data {SHAPES}");
    let nearest = |name: &str, best: &str| [format!("`{name}`"), format!("nearest first: {best}")];
    for (line, unknown, best) in [
        (format!("eval {subject} --arch resnt20"), "resnt20", "resnet20"),
        (format!("explain {subject} --method gix --out new/m.safetensors"), "gix", "gxi"),
        (
            format!("explain {subject} --method gxi,salency --figure new/f.png"),
            "salency",
            "saliency",
        ),
        (
            format!("attack {subject} --method gxl --attack topk --out new/a.safetensors"),
            "gxl",
            "gxi",
        ),
        (
            format!("attack {subject} --method gxi --attack topq --out new/a.safetensors"),
            "topq",
            "topk",
        ),
    ] {
        let said = place.refused(&line);
        says(&said, &nearest(unknown, best).each_ref().map(String::as_str));
    }
    for (data, best) in
        [("shaeps:seed=1", "shapes"), ("cifar:here", "cifar10"), ("shape", "shapes")]
    {
        says(&place.refused(&format!("data info {data}")), &[best]);
    }
    says(&place.refused("data info shapes:sed=1"), &["`sed`", "seed"]);
    says(&place.refused("data fetch cifar11 --to new"), &["`cifar11`", "cifar10"]);
    says(&place.refused(&format!("eval {subject} --normalise cifar11")), &["cifar11", "cifar10"]);
}

#[test]
fn unknown_names_of_a_config() {
    let place = Place::new("words-config");
    place.write("run.toml", CONFIG);
    for (setting, parts) in [
        ("model.arch=\"rasnet20\"", ["`rasnet20`", "nearest first: resnet20"]),
        ("objective.name=\"naturel\"", ["`naturel`", "nearest first: natural"]),
        ("optimizer.name=\"sdg\"", ["`sdg`", "nearest first: sgd"]),
        ("schedule.name=\"cosin\"", ["`cosin`", "nearest first: cosine"]),
        ("data.train=\"shaps:seed=1\"", ["`shaps`", "shapes"]),
        // Keys, on each level.
        ("epoch=3", ["`epoch`", "epochs"]),
        ("data.sise=3", ["`sise`", "size"]),
        ("data.augment.flop=true", ["`flop`", "flip"]),
        ("optimizer.momentun=0.9", ["`momentun`", "momentum"]),
        ("schedule.name=\"step\" --set schedule.warm=1", ["`warm`", "warmup"]),
        (
            "objective.name=\"natural\" --set objective.smoothing=0.1",
            ["`smoothing`", "label_smoothing"],
        ),
        // Values.
        ("epochs=0", ["epochs", "positive"]),
        ("epochs=\"many\"", ["many", "u32"]),
        ("batch_size=0", ["batch_size", "positive"]),
        ("optimizer.learning_rate=-1", ["learning_rate", "-1"]),
        ("ema=1.5", ["ema", "[0, 1)"]),
        ("precision=\"f16\"", ["f16", "bf16"]),
        ("epochs", ["epochs", "key=value"]),
    ] {
        let said = place.refused(&format!("train --config run.toml --out new/run --set {setting}"));
        says(&said, &parts);
    }
}

#[test]
fn broken_configs() {
    let place = Place::new("words-toml");
    says(&place.refused("train --config no.toml --out new"), &["no.toml"]);
    place.write("run.toml", "seed = 0\nepochs = 1\n[data\ntrain = \"shapes\"\n");
    says(&place.refused("train --config run.toml --out new"), &["run.toml", "line 3"]);
    place.write("run.toml", "seed = 0\n\nepochs = one\n");
    says(&place.refused("train --config run.toml --out new"), &["run.toml", "line 3"]);
    place.write("run.toml", CONFIG.replace("[optimizer]", "[optimiser]"));
    says(&place.refused("train --config run.toml --out new"), &["run.toml", "`optimiser`"]);
    place.write("run.toml", "epochs = 1\n");
    says(&place.refused("train --config run.toml --out new"), &["run.toml", "`data`"]);
    place.write("run.toml", b"\xff\xfe\x00");
    says(&place.refused("train --config run.toml --out new"), &["run.toml"]);
}
