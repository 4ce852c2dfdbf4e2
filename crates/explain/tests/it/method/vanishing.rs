//! Surrogates whose samples all weigh nothing, as with black images and narrow kernels.

use explain::Batch;
use models::{Score, Target, zoo, zoo::Shape};
use tch::Kind;
use testkit::rule::{filled, images};

#[test]
fn weights_that_all_vanish_give_maps_of_nothing() {
    let model = filled(zoo::arch("resnet20").unwrap()).in_f64().frozen();
    let x = images(3, &Shape { image: [3, 8, 8], classes: 10 }).to_kind(Kind::Double);
    let _ = x.get(1).zero_();
    let batch = Batch::new(&x, &Target::predicted(&model, &x, Score::Logit));
    // A black image has no angle to its copies, and narrow kernels are zero in f64.
    for spelled in [
        "lime:width=1e-3",
        "lime:width=1e-3,alpha=0",
        "lime:kernel=images,width=0.01",
        "lime:kernel=images,width=0.01,groups=grid",
    ] {
        let method = explain::parse(spelled).unwrap();
        let map = method.attribute(&model, &batch);
        assert!(bool::try_from(map.isfinite().all()).unwrap(), "{spelled}");
        let black = map.get(1).abs().max().double_value(&[]);
        assert!(black == 0. || !spelled.contains("images"), "{spelled}: {black}");
        let flow = method.differentiable().unwrap().vjp(&model, &batch, &x.ones_like());
        assert!(bool::try_from(flow.get(0).isfinite().all()).unwrap(), "{spelled}");
    }
}

#[test]
fn a_setting_that_empties_maps_is_named() {
    let why = |spelled: &str| explain::parse(spelled).unwrap().vanishes();
    for (spelled, told) in [
        ("lime:width=1e-3", "`width` 0.001"),
        ("lime:kernel=images,width=0.005", "`width` 0.005"),
        ("clime:samples=20,sigma=1e-9", "`sigma` 0.000000001"),
    ] {
        assert!(why(spelled).is_some_and(|why| why.contains(told)), "{spelled}");
    }
    for spelled in ["lime", "lime:width=0.01", "clime", "occlusion", "gxi"] {
        assert_eq!(why(spelled), None, "{spelled}");
    }
}

#[test]
fn an_image_that_is_its_own_baseline_has_no_map() {
    let model = filled(zoo::arch("resnet20").unwrap()).frozen();
    let x = images(2, &Shape { image: [3, 8, 8], classes: 10 });
    let _ = x.get(1).zero_();
    let batch = Batch::new(&x, &Target::predicted(&model, &x, Score::Logit));
    for spelled in ["kernelshap:samples=20", "kernelshap:samples=2", "lime:samples=20", "occlusion"]
    {
        let map = explain::parse(spelled).unwrap().attribute(&model, &batch);
        let [some, none] = [0, 1].map(|i| map.get(i).abs().max().double_value(&[]));
        assert!(some > 0. && none == 0., "{spelled}: {some}, {none}");
    }
}

#[test]
fn noise_beyond_any_image_has_to_say_its_samples() {
    let error = explain::parse("smoothgrad:sigma=1e30").err().unwrap();
    assert!(format!("{error:#}").contains("say how many `samples`"), "{error:#}");
    explain::parse("smoothgrad:sigma=1e30,samples=2").unwrap();
}
