//! An ONNX file goes in, is trained for any objective, and comes out as an ONNX file that every
//! command takes without a word about it.

use crate::place::{Place, SHAPES, says};
use testkit::onnx::classifier;

/// Settings without a network.
const TUNE: &str = "epochs = 1
batch_size = 16
clip = 1.0
robust_images = 8
[data]
train = \"shapes:seed=0,train=64,test=16\"
[model]
weights = \"mine.onnx\"
normalise = \"0.5/0.25\"
[optimizer]
name = \"sgd\"
learning_rate = 1e-4
";

fn place(name: &str) -> Place {
    let place = Place::new(name);
    place.write("mine.onnx", classifier(0, 32, 10).bytes());
    place.write("tune.toml", TUNE);
    place
}

#[test]
fn onnx_files_are_trained_for_every_objective() {
    let place = place("onnx-train");
    let attack = "attack={norm='linf',eps=0.03,steps=2}";
    for (name, options) in [
        ("natural", ""),
        ("adversarial", attack),
        ("trades", attack),
        ("ig-norm", attack),
        ("ssr", "scale=10"),
        ("curvature", ""),
        ("gradient-norm", ""),
    ] {
        let comma = if options.is_empty() { "" } else { "," };
        let said = place.ok(&format!(
            "train --config tune.toml --set objective={{name='{name}'{comma}{options}}} --out {name}"
        ));
        says(&said.stderr, &["training onnx (", "1 batch norm in the file", "epoch   1/1"]);
        says(&said.stdout, &[&format!("{name}/last.onnx")]);
        place.ok(&format!("eval --weights {name}/last.onnx --data {SHAPES}"));
        assert!(!place.at(&format!("{name}/last.safetensors")).exists());
    }
    // What it says of itself is enough for all that comes after.
    let said = place.ok(&format!(
        "explain --weights natural/last.onnx --data {SHAPES} --limit 2 --method ig --out maps.safetensors"
    ));
    assert!(!said.stderr.contains("normalisation"), "{}", said.stderr);
    let info = place.ok("weights info natural/last.onnx").stdout;
    says(
        &info,
        &["gradproof.training: natural", "gradproof.normalise: 0.5,0.5,0.5/0.25,0.25,0.25"],
    );
    // A run that is there is not begun again, and one that goes on ends at once.
    let again = place.refused("train --config tune.toml --out natural");
    says(&again, &["already holds a run (`log.jsonl`)"]);
    place.ok("train --config tune.toml --out natural --resume");
    // Nor does it write onto what it reads.
    let own =
        "train --config tune.toml --set model.weights='natural/last.onnx' --out natural --resume";
    says(&place.refused(own), &["model.weights", "--out"]);
}

#[test]
fn what_an_onnx_file_cannot_become_is_said() {
    let place = place("onnx-not");
    let own = "train --config tune.toml --out run --set model.arch='resnet20'";
    says(&place.refused(own), &["`model.weights`", "is its own architecture: `resnet20` cannot"]);
    place.write("ten.toml", TUNE.replace("weights = \"mine.onnx\"\n", ""));
    says(&place.refused("train --config ten.toml --out run"), &["`model.arch` names no"]);
    place.write("apart.onnx", classifier(4, 32, 10).bytes());
    place.write("six.onnx", classifier(0, 32, 6).bytes());
    let six = place.refused("train --config tune.toml --out run --set model.weights='six.onnx'");
    says(&six, &["six.onnx", "6"]);
    let convert = |more: &str| place.refused(&format!("weights convert mine.onnx {more}"));
    says(&convert("--out mine.safetensors"), &["an ONNX file stays one"]);
    says(&convert("--out half.onnx --store f16"), &["keeps its types"]);
    let labelled = "weights convert mine.onnx --out own.onnx --normalise 0.5/0.25 \
                    --classes a,b,c,d,e,f,g,h,i,j";
    place.ok(labelled);
    let info = place.ok("weights info own.onnx").stdout;
    says(&info, &["gradproof.classes: a,b,c", "gradproof.normalise: 0.5,0.5,0.5/"]);
}
