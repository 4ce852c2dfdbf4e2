//! The family of averaged gradients: integrated gradients against captum
//! (tests/reference/explain/averages.py) and its axioms, sampled ones against sums written out, smoothing
//! around other methods.

use explain::{Attribution, Batch};
use models::{
    Activation, Classifier, Model, Ops, Plain, Target, noise, softened,
    zoo::{self, Shape},
};
use registry::parse_fraction;
use std::path::Path;
use tch::{Device, Kind, Tensor};
use tensorfile::TensorFile;
use testkit::rule::{distance, filled, images};

fn method(spelled: &str) -> Box<dyn Attribution> {
    explain::parse(spelled).unwrap()
}

fn refused(spelled: &str) -> String {
    format!("{:#}", explain::parse(spelled).err().expect(spelled))
}

/// A ResNet-20 in f64 and two images, asked about the second class of each.
fn subject() -> (Classifier, Batch) {
    let model = filled(zoo::arch("resnet20").unwrap()).in_f64().frozen();
    let x = images(2, &Shape { image: [3, 8, 8], classes: 10 }).to_kind(Kind::Double);
    let logits = tch::no_grad(|| model.logits(&x));
    let target = Target::logit(&logits.argsort(1, true).select(1, 1));
    let batch = Batch::new(&x, &target);
    (model, batch)
}

/// f₀ = ½ xᵀAx of 2×2×3 images, f₁ = 0.
struct Quadratic(Tensor);

impl Quadratic {
    fn new() -> Self {
        let a = noise::normal(&[3], &[12, 12], Device::Cpu).squeeze_dim(0).to_kind(Kind::Double);
        Quadratic(&a + a.transpose(0, 1))
    }

    /// A x, image by image.
    fn slope(&self, x: &Tensor) -> Tensor {
        x.flatten(1, -1).matmul(&self.0).view_as(x)
    }
}

impl Model for Quadratic {
    fn forward(&self, x: &Tensor, _ops: &dyn Ops) -> Tensor {
        let form = (self.slope(x) * x * 0.5).sum_dim_intlist([1, 2, 3].as_slice(), false, None);
        Tensor::stack(&[&form, &form.zeros_like()], 1)
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::Relu)
    }
}

fn bowl() -> (Quadratic, Batch) {
    let x = images(3, &Shape { image: [2, 2, 3], classes: 2 }).to_kind(Kind::Double);
    let batch = Batch::new(&x, &Target::logit(&Tensor::from_slice(&[0i64; 3])));
    (Quadratic::new(), batch)
}

fn summed(map: &Tensor) -> Tensor {
    map.sum_dim_intlist([1, 2, 3].as_slice(), false, None)
}

fn size(t: &Tensor) -> f64 {
    t.abs().max().double_value(&[])
}

#[test]
fn integrated_gradients_are_captums() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/averages.safetensors");
    let mut golden = TensorFile::read(&path).unwrap();
    let (model, batch) = subject();
    for rule in ["gauss-legendre", "left", "midpoint", "right", "trapezoid"] {
        let ig = method(&format!("ig:points=7,rule={rule}"));
        let map = ig.attribute(&model, &batch);
        let expected = golden.take(rule).unwrap();
        // captum weighs n points by 1/n although the trapezoid rule has n − 1 gaps
        let factor = if rule == "trapezoid" { 7. / 6. } else { 1. };
        let far = distance(&map, &(expected * factor));
        assert!(far < 1e-6, "{rule}: {far:e} off");
        if rule != "trapezoid" {
            let gap = ig.convergence_delta(&model, &batch, &map).unwrap();
            let far = distance(&-gap, &golden.take(&format!("gap.{rule}")).unwrap());
            assert!(far < 1e-4, "{rule}: its gap is {far:e} off");
        }
    }
    let map = method("ig:points=7,baseline=0.4").attribute(&model, &batch);
    let far = distance(&map, &golden.take("constant").unwrap());
    assert!(far < 1e-6, "constant baseline: {far:e} off");
}

#[test]
fn rules_integrate_what_they_should() {
    let (bowl, batch) = bowl();
    let x = &batch.x;
    // From black, ∇f is linear in the place: maps are x ⊙ Ax times the mean place.
    let whole = x * bowl.slope(x);
    for (rule, mean) in [
        ("left", 0.4),
        ("midpoint", 0.5),
        ("right", 0.6),
        ("trapezoid", 0.5),
        ("gauss-legendre", 0.5),
    ] {
        let ig = method(&format!("ig:points=5,rule={rule}"));
        let map = ig.attribute(&bowl, &batch);
        assert!(size(&(&map - &whole * mean)) < 1e-12, "{rule}");
        let gap = ig.convergence_delta(&bowl, &batch, &map).unwrap();
        assert!(size(&(gap - summed(&whole) * (0.5 - mean))) < 1e-12, "{rule}: its gap");
    }
    let one = method("ig:points=1,rule=gauss-legendre").attribute(&bowl, &batch);
    assert!(size(&(one - &whole * 0.5)) < 1e-12);
    // On a smooth network the gap closes, fastest with Gauss-Legendre.
    let (model, batch) = subject();
    let soft = softened(&model, 1.);
    let gap = |spelled: &str| {
        let ig = method(spelled);
        let map = ig.attribute(&soft, &batch);
        size(&ig.convergence_delta(&soft, &batch, &map).unwrap())
    };
    let [few, many] = ["ig:points=5", "ig:points=40"].map(gap);
    assert!(many < few / 4., "{few} {many}");
    let [rough, fine] = [6, 24].map(|n| gap(&format!("ig:points={n},rule=gauss-legendre")));
    assert!(fine < many / 10. && fine < rough / 10., "{rough} {fine}, by the right rule {many}");
}

#[test]
fn every_baseline_is_where_the_way_begins() {
    let (bowl, batch) = bowl();
    let x = &batch.x;
    let midway = |b: &Tensor| (x - b) * bowl.slope(&((x + b) / 2.));
    let blurred = method("ig:points=1,rule=midpoint,baseline=blur,blur=0.4");
    let map = blurred.attribute(&bowl, &batch);
    // σ = 0.4 reaches 2 pixels; edges are repeated.
    let kernel: Vec<f64> = (-2i32..=2).map(|d| (f64::from(d * d) / -0.32).exp()).collect();
    let total: f64 = kernel.iter().sum();
    let [n, c, h, w] = [3, 2, 2, 3];
    let mut image = vec![];
    for i in 0..n * c {
        for (r, s) in (0..h).flat_map(|r| (0..w).map(move |s| (r, s))) {
            let mut sum = 0.;
            for (a, b) in (0..5).flat_map(|a| (0..5).map(move |b| (a, b))) {
                let (row, column) = ((r + a - 2).clamp(0, h - 1), (s + b - 2).clamp(0, w - 1));
                let value = x.double_value(&[i / c, i % c, row, column]);
                sum += kernel[a as usize] * kernel[b as usize] * value / (total * total);
            }
            image.push(sum);
        }
    }
    let image = Tensor::from_slice(&image).view_as(x);
    assert!(size(&(map - midway(&image))) < 1e-12, "blurred");
    let gap = blurred.convergence_delta(&bowl, &batch, &midway(&image)).unwrap();
    assert!(size(&gap) < 1e-12, "{gap}");

    // Many noise images: the mean over each, and complete by the midpoint rule.
    let ig = method("ig:points=2,rule=midpoint,baseline=uniform,baselines=3");
    let map = ig.attribute(&bowl, &batch);
    assert!(size(&ig.convergence_delta(&bowl, &batch, &map).unwrap()) < 1e-12);
    let one = method("ig:points=2,rule=midpoint,baseline=uniform").attribute(&bowl, &batch);
    assert!(distance(&map, &one) > 0.01, "other baselines, another map");
    // Expected gradients tend to it; both estimate the same mean.
    let [few, many] = [100, 10_000].map(|samples| {
        let expected = method(&format!("expected-gradients:samples={samples}"));
        let map = expected.attribute(&bowl, &batch);
        size(&expected.convergence_delta(&bowl, &batch, &map).unwrap())
    });
    assert!(many < few / 3., "a hundred times the samples: gap {few}, {many}");
}

#[test]
fn sampled_gradients_are_sums_over_their_points() {
    let (bowl, batch) = bowl();
    let x = &batch.x;
    let shape = &x.size()[1..];
    let range = (x.amax([1, 2, 3].as_slice(), true) - x.amin([1, 2, 3].as_slice(), true)) * 0.2;
    let normal = |keys: &[u64]| noise::normal(keys, shape, Device::Cpu);
    let uniform = |keys: &[u64]| noise::uniform(keys, shape, Device::Cpu) * 2. - 1.;
    let mean = |draw: &dyn Fn(&[u64]) -> Tensor, n: u64| {
        (0..n).map(|s| draw(&batch.keys_of(s)).to_kind(Kind::Double)).sum::<Tensor>() / n as f64
    };
    for (spelled, neighbour) in [
        ("smoothgrad:sigma=0.1,samples=7,pairs=false", mean(&normal, 7) * 0.1),
        ("smoothgrad:pairs=false", mean(&normal, 30) * 0.03),
        ("smoothgrad:sigma=0.01,pairs=false", mean(&normal, 10) * 0.01),
        ("smoothgrad:sigma=0.2,relative=true,samples=4,pairs=false", mean(&normal, 4) * range),
        ("unigrad:pairs=false", mean(&uniform, 50) * (4. / 255.)),
        (
            "unigrad:radius=8/255,samples=5,pairs=false",
            mean(&uniform, 5) * parse_fraction("8/255").unwrap(),
        ),
    ] {
        let map = method(spelled).attribute(&bowl, &batch);
        // The gradient is linear, so the mean over neighbours is that at the mean neighbour.
        assert!(distance(&map, &bowl.slope(&(x + neighbour))) < 1e-10, "{spelled}");
    }
}

#[test]
fn smoothing_is_a_mean_over_neighbours() {
    let (model, batch) = subject();
    let same = |a: &str, b: &str| {
        let [a, b] = [a, b].map(|m| method(m).attribute(&model, &batch));
        distance(&a, &b)
    };
    assert!(same("smooth:size=0.1,samples=6", "smoothgrad:sigma=0.1,samples=6") < 1e-12);
    let uniform = "smooth:kernel=uniform,size=4/255,samples=6";
    assert!(same(uniform, "unigrad:samples=6") < 1e-12);
    assert!(same("smooth:inner=gxi,size=0,samples=2", "gxi") < 1e-12);
    // Around a method with options, neighbour by neighbour.
    let smooth = "smooth:inner=\"ig:points=3\",size=0.05,samples=4,pairs=false";
    let map = method(smooth).attribute(&model, &batch);
    let ig = method("ig:points=3");
    let by_hand = (0..4).map(|s| {
        let noise = noise::normal(&batch.keys_of(s), &[3, 8, 8], Device::Cpu);
        ig.attribute(&model, &batch.at(&(&batch.x + noise.to_kind(Kind::Double) * 0.05)))
    });
    assert!(distance(&map, &(by_hand.sum::<Tensor>() / 4.)) < 1e-12);
    // A method that draws has other draws at each neighbour.
    let random = method("smooth:inner=random,size=0,samples=400").attribute(&model, &batch);
    let spread = random.std(true).double_value(&[]);
    assert!((spread * 20. - 1.).abs() < 0.15, "a mean of 400 draws: {spread}");
}

#[test]
fn passes_of_any_size_give_the_same_map_and_product() {
    let (model, batch) = subject();
    let soft = softened(&model, 4.);
    let v = noise::normal(&[7], &batch.x.size(), Device::Cpu).squeeze_dim(0).to_kind(Kind::Double);
    for spelled in [
        "ig:points=5",
        "ig:points=2,baseline=uniform,baselines=3",
        "ig:points=3,baseline=blur",
        "expected-gradients:samples=5",
        "smoothgrad:samples=5",
        "smoothgrad:samples=5,relative=true",
        "unigrad:samples=5",
        "smooth:inner=gxi,samples=5,relative=true",
        "smooth:inner=\"smoothgrad:samples=2\",samples=3",
    ] {
        let method = method(spelled);
        let smooth = method.differentiable().unwrap();
        let map = method.attribute(&soft, &batch);
        let flow = smooth.vjp(&soft, &batch, &v);
        for chunk in [1, 2, 3, 4, 1000] {
            let batch = Batch { chunk, ..batch.narrow(0, 2) };
            let far = distance(&method.attribute(&soft, &batch), &map);
            assert!(far < 1e-10, "{spelled}, {chunk} a pass: the map is {far:e} off");
            let far = distance(&smooth.vjp(&soft, &batch, &v), &flow);
            assert!(far < 1e-8, "{spelled}, {chunk} a pass: the product is {far:e} off");
        }
    }
}

#[test]
fn what_depends_on_the_image_is_in_the_product() {
    // σ in units of the range, a blurred baseline: directions in which only they change.
    let (model, batch) = subject();
    let soft = softened(&model, 4.);
    let batch = batch.narrow(0, 1);
    let v = noise::normal(&[8], &batch.x.size(), Device::Cpu).squeeze_dim(0).to_kind(Kind::Double);
    for spelled in [
        "smoothgrad:sigma=0.3,samples=3,relative=true",
        "ig:points=3,baseline=blur",
        "expected-gradients:samples=3,baseline=blur",
        "smooth:inner=gxi,size=0.3,samples=3,relative=true",
    ] {
        let method = method(spelled);
        let flow = method.differentiable().unwrap().vjp(&soft, &batch, &v);
        // Towards larger values where they are large: the range grows.
        let along = (&batch.x - 0.5).abs() * (&batch.x - 0.5).sign();
        let at = |h: f64| {
            let map = method.attribute(&soft, &batch.at(&(&batch.x + &along * h)));
            (map * &v).sum(Kind::Double).double_value(&[])
        };
        let h = 1e-5;
        let slope = (8. * (at(h) - at(-h)) - at(2. * h) + at(-2. * h)) / (12. * h);
        let found = (&flow * &along).sum(Kind::Double).double_value(&[]);
        assert!((found - slope).abs() < 1e-6 * slope.abs(), "{spelled}: {found}, {slope}");
    }
}

#[test]
fn axioms_hold() {
    let (model, batch) = subject();
    // Linearity: the map of a f + b is a times the map of f.
    struct Scaled<'a>(&'a Classifier, f64);
    impl Model for Scaled<'_> {
        fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
            self.0.forward(x, ops) * self.1 + 2.
        }
        fn activation(&self) -> Option<Activation> {
            self.0.activation()
        }
        fn taps(&self) -> Vec<&str> {
            self.0.taps()
        }
    }
    let scaled = Scaled(&model, -3.);
    for spelled in ["saliency", "gxi", "ig:points=4", "smoothgrad:samples=4", "unigrad:samples=4"] {
        let method = method(spelled);
        let (map, other) = (method.attribute(&model, &batch), method.attribute(&scaled, &batch));
        assert!(distance(&other, &(map * -3.)) < 1e-10, "{spelled} is proportional");
        // Another class, another map.
        let class = tch::no_grad(|| model.forward(&batch.x, &Plain)).argmax(1, false);
        let first = Batch { target: Target::logit(&class), ..batch.narrow(0, 2) };
        let far = distance(&method.attribute(&model, &first), &method.attribute(&model, &batch));
        assert!(far > 0.1, "{spelled} depends on the class");
    }
}

#[test]
fn options_that_cannot_be_meant_are_refused() {
    for (spelled, expected) in [
        ("ig:points=0", "`points` is 0; this rule needs 1 or more"),
        ("ig:points=1,rule=trapezoid", "needs 2 or more"),
        ("ig:points=11222222222", "method `ig`: `points` is 11222222222; 1000000 is the most"),
        ("smoothgrad:samples=1000001", "`samples` is 1000001; 1000000 is the most"),
        ("ig:points=1001,rule=gauss-legendre", "takes 1000 at most"),
        ("ig:rule=simpson", "unknown variant `simpson`"),
        ("ig:baseline=2", "`baseline` is 2; pixels are in [0, 1]"),
        ("ig:baseline=grey", "`baseline` is `grey`, not a number, `blur` or `uniform`"),
        ("ig:baselines=3", "only `baseline = \"uniform\"`"),
        ("ig:baselines=0", "`baselines` is 0"),
        ("ig:baseline=blur,blur=0", "`blur` is 0"),
        ("expected-gradients:samples=0", "`samples` is 0"),
        ("smoothgrad:samples=0", "`samples` is 0"),
        ("smoothgrad:sigma=-1", "`sigma` is -1"),
        ("unigrad:radius=a", "`a` is not a number such as `8/255`"),
        ("smooth:inner=nothing", "unknown method `nothing`"),
        ("smooth:inner=3", "`inner` is 3, not a method"),
        ("smooth:kernel=box", "unknown variant `box`"),
        ("random:seed=1", "unknown field `seed`"),
    ] {
        let told = refused(spelled);
        assert!(told.contains(expected), "{spelled}: {told}");
    }
}
