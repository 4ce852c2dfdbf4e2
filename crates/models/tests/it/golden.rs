//! Every architecture against PyTorch's own definition with the same random weights and running
//! statistics: logits, the gradient of the largest logit, g×i; and torch's checkpoint forms.
//! Reference: tests/reference/logits.py.

use models::{
    Model,
    checkpoint::{self, Hints},
    grad::{Score, Target, grad},
    zoo::{self, ARCHS},
};
use std::path::PathBuf;
use tch::Kind;
use tensorfile::TensorFile;
use testkit::rule::{distance, filled, images};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

#[test]
fn logits_and_gradients_agree_with_pytorch() {
    for arch in ARCHS {
        let name = arch.name;
        let mut expected = TensorFile::read(&golden(&format!("{name}.safetensors"))).unwrap();
        let model = filled(arch);
        let x = images(2, &model.shape);
        let single = tch::no_grad(|| model.logits(&x));
        // in single precision, rounding moves activations across a ReLU's bend: gradients jump
        let (model, x) = (model.in_f64().frozen(), x.to_kind(Kind::Double));
        let double = tch::no_grad(|| model.logits(&x));
        let logits = expected.take("logits").unwrap();
        for (logits_here, tolerance) in [(single, 1e-4), (double, 1e-6)] {
            let far = distance(&logits_here, &logits);
            assert!(far < tolerance, "{name}: logits are {far:e} off");
        }
        let x = x.narrow(0, 0, 1);
        let target = Target::predicted(&model, &x, Score::Logit);
        let gradient = grad(&x, |x| target.of(&model.logits(x)));
        let far = distance(&gradient, &expected.take("gradient").unwrap());
        assert!(far < 1e-6, "{name}: the gradient is {far:e} off");
        let far = distance(&(gradient * x), &expected.take("gxi").unwrap());
        assert!(far < 1e-6, "{name}: g×i is {far:e} off");
    }
}

#[test]
fn every_checkpoint_form_gives_the_same_logits() {
    let forms = ["plain-zip", "plain-legacy", "net-zip", "state-dict-legacy", "robustness"];
    let files = forms.map(|form| ("mlp", form, 1e-6)).into_iter();
    for (name, form, tolerance) in files.chain([("resnet20", "robustness", 5e-3)]) {
        let hints = Hints { arch: Some(name.into()), ..Hints::default() };
        let loaded = checkpoint::load(&golden(&format!("{name}-{form}.pt")), &hints).unwrap();
        let model = loaded.classifier.frozen();
        let expected = filled(zoo::arch(name).unwrap()).frozen();
        let x = images(2, &model.shape);
        let far = tch::no_grad(|| distance(&model.logits(&x), &expected.logits(&x)));
        assert!(far < tolerance, "{name} from {form}: {far:e} off");
        let stored = form == "robustness";
        let notes = loaded.notes.join("; ");
        assert_eq!(notes.contains("has its normalisation"), stored, "{form}: {notes}");
        assert_eq!(notes.contains("assuming"), !stored, "{form}: {notes}");
        assert_eq!(model.normalisation.std.len() as i64, model.shape.image[0]);
    }
}

#[test]
fn a_checkpoint_of_another_network_says_what_it_fits() {
    let hints = Hints { arch: Some("resnet20".into()), ..Hints::default() };
    let error = checkpoint::load(&golden("mlp-plain-zip.pt"), &hints).err().unwrap();
    let told = format!("{error:#}");
    for part in ["missing `conv1.weight`", "more like these", "its tensors fit `mlp`"] {
        assert!(told.contains(part), "{told}");
    }
    for part in ["unexpected `hidden1.weight`", "`linear.weight` is [2, 10]"] {
        assert!(told.contains(part), "{told}");
    }
}
