//! `masker` and the method `rtsal`: trained, drawn, attacked, measured, refused for another network.

use crate::place::{Place, SHAPES, says};

#[test]
fn a_masker_is_trained_and_explains() {
    let place = Place::with_model("rtsal");
    let subject = format!("--weights model.safetensors --data {SHAPES} --limit 16");
    let run = place.ok(&format!(
        "masker {subject} --epochs 1 --width 4 --batch-size 8 --out m.safetensors --json"
    ));
    says(&run.stderr, &["epoch 1/1", "masks keep"]);
    let found = run.json();
    assert_eq!((found["kind"].as_str(), found["images"].as_u64()), (Some("masker"), Some(16)));
    assert_eq!(found["rows"].as_array().map(Vec::len), Some(5));
    let again = format!("masker {subject} --epochs 1 --width 4 --batch-size 8 --out");
    place.ok(&format!("{again} again.safetensors"));
    let tensors = |name: &str| place.tensors(name).tensors;
    let (one, other) = (tensors("m.safetensors"), tensors("again.safetensors"));
    assert!(one.len() > 5 && one.iter().all(|(name, t)| t.equal(&other[name])));
    let method = "--method rtsal:masker=m.safetensors";
    place.ok(&format!("explain {subject} {method} --out maps.safetensors --figure maps.png"));
    let maps = place.tensors("maps.safetensors").take("maps").expect("maps");
    assert_eq!(maps.size(), [16, 3, 32, 32]);
    assert!(maps.min().double_value(&[]) >= 0. && maps.max().double_value(&[]) <= 1.);
    place.ok(&format!("attack {subject} {method} --attack topk --eps 8/255 --iters 2"));
    place.ok(&format!("measure deletion {subject} {method}"));
    place.ok(&format!("certify {subject} {method} --samples 20 --iters 1 --attack-samples 2"));
    says(
        &place.refused(&format!("explain {subject} --method rtsal --out x.safetensors")),
        &["rtsal", "masker"],
    );
    says(
        &place.refused(&format!("explain {subject} {method} --softplus 1 --out x.safetensors")),
        &["another network"],
    );
    says(&place.refused(&format!("masker {subject} --others 1 --out x.safetensors")), &["others"]);
}
