//! Means over draws: their standard errors against loops and against the spread over seeds, pairs, and
//! how many draws `samples=auto` takes.

use explain::{Batch, Estimate};
use models::{Activation, Model, Ops, Target, noise};
use tch::{Device, Kind, Tensor};

const SHAPE: [i64; 3] = [1, 4, 4];
const D: i64 = 16;
const IMAGES: i64 = 3;

fn drawn(seed: u64, shape: &[i64]) -> Tensor {
    noise::normal(&[seed], shape, Device::Cpu).squeeze_dim(0).to_kind(Kind::Double)
}

/// Logits of one tanh layer, f64.
struct Small {
    w: Tensor, // [D, 6]
    u: Tensor, // [6, 2]
}

fn small() -> Small {
    Small { w: drawn(1, &[D, 6]) * 0.6, u: drawn(2, &[6, 2]) }
}

impl Model for Small {
    fn forward(&self, x: &Tensor, _ops: &dyn Ops) -> Tensor {
        (x - 0.3).flatten(1, -1).matmul(&self.w).tanh().matmul(&self.u)
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::Gelu)
    }
}

/// f₀ = xᵀAx / 2, f₁ = 0.
struct Quadratic(Tensor);

impl Model for Quadratic {
    fn forward(&self, x: &Tensor, _ops: &dyn Ops) -> Tensor {
        let x = x.flatten(1, -1);
        let f =
            (&x * x.matmul(&self.0)).sum_dim_intlist([1i64].as_slice(), false, Kind::Double) / 2.;
        Tensor::stack(&[&f, &f.zeros_like()], 1)
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::Gelu)
    }
}

fn batch(seed: u64) -> Batch {
    let keys: Vec<u64> = (0..IMAGES as u64).map(|image| noise::key(7, image, 0)).collect();
    let x = noise::uniform(&keys, &SHAPE, Device::Cpu).to_kind(Kind::Double);
    let keys = (0..IMAGES as u64).map(|image| noise::key(seed, image, 0)).collect();
    let class = Tensor::zeros([IMAGES], (Kind::Int64, Device::Cpu));
    Batch { keys, ..Batch::new(&x, &Target::logit(&class)) }
}

fn estimate(spelled: &str, model: &dyn Model, batch: &Batch) -> Estimate {
    explain::parse(spelled).unwrap().estimate(model, batch).expect("it draws")
}

fn far(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

#[test]
fn standard_errors_are_those_of_a_loop() {
    let (model, batch) = (small(), batch(0));
    for (pairs, samples) in [(false, 7), (true, 8)] {
        let found = estimate(
            &format!("smoothgrad:sigma=0.2,samples={samples},pairs={pairs}"),
            &model,
            &batch,
        );
        let saliency = explain::parse("saliency").unwrap();
        for (image, &key) in batch.keys.iter().enumerate() {
            let one = batch.narrow(image as i64, 1);
            let map = |s: u64| {
                let draw = if pairs { s - s % 2 } else { s };
                let sign = if pairs && s % 2 == 1 { -1. } else { 1. };
                let e = noise::normal(&[noise::key(key, draw, 0)], &SHAPE, Device::Cpu);
                saliency
                    .attribute(&model, &one.at(&(&one.x + e.to_kind(Kind::Double) * (0.2 * sign))))
            };
            let maps: Vec<Tensor> = (0..samples).map(map).collect();
            let units: Vec<Tensor> = match pairs {
                true => maps.chunks(2).map(|pair| (&pair[0] + &pair[1]) / 2.).collect(),
                false => maps,
            };
            let units = Tensor::cat(&units, 0);
            let mean = units.mean_dim([0i64].as_slice(), false, Kind::Double);
            let error =
                units.std_dim([0i64].as_slice(), true, false) / (units.size()[0] as f64).sqrt();
            assert!(far(&found.map.get(image as i64), &mean) < 1e-12);
            assert!(far(&found.error.get(image as i64), &error) < 1e-12, "pairs={pairs}");
        }
        assert_eq!(found.samples, vec![samples; IMAGES as usize]);
        // A pass may cut pairs from pairs, not a pair.
        for chunk in [1, 2, 5] {
            let cut = Batch { chunk, ..batch.narrow(0, IMAGES) };
            let cut = estimate(
                &format!("smoothgrad:sigma=0.2,samples={samples},pairs={pairs}"),
                &model,
                &cut,
            );
            assert!(far(&cut.map, &found.map) < 1e-12 && far(&cut.error, &found.error) < 1e-12);
        }
    }
}

#[test]
fn fits_have_the_errors_of_white_written_again() {
    let (model, batch) = (small(), batch(0));
    let n = 40;
    let spelled =
        format!("lime:groups=scalars,samples={n},pairs=false,alpha=0,kernel=uniform,baseline=0.5");
    let found = estimate(&spelled, &model, &batch);
    for (image, &key) in batch.keys.iter().enumerate() {
        let x = batch.x.get(image as i64).flatten(0, -1);
        let keys: Vec<u64> = (0..n).map(|s| noise::key(key, s, 0)).collect();
        let masks = noise::uniform(&keys, &[D], Device::Cpu).lt(0.5).to_kind(Kind::Double);
        let out: Tensor = 1. - &masks;
        let copies: Tensor = &x * &masks + out * 0.5;
        let y = model.logits(&copies.view([-1, 1, 4, 4])).select(1, 0);
        let ones = Tensor::ones([n as i64, 1], (Kind::Double, Device::Cpu));
        let design = Tensor::cat(&[&masks, &ones], 1);
        let inverse = design.transpose(0, 1).matmul(&design).inverse();
        let b = inverse.matmul(&design.transpose(0, 1)).matmul(&y);
        let e = &y - design.matmul(&b);
        let meat = (&design * e.square().unsqueeze(1)).transpose(0, 1).matmul(&design);
        let all: Tensor =
            inverse.matmul(&meat).matmul(&inverse) * (n as f64 / (n as f64 - D as f64 - 1.));
        let error = all.diagonal(0, 0, 1).sqrt().narrow(0, 0, D);
        assert!(far(&found.map.get(image as i64).flatten(0, -1), &b.narrow(0, 0, D)) < 1e-9);
        assert!(far(&found.error.get(image as i64).flatten(0, -1), &error) < 1e-9);
    }
}

#[test]
fn standard_errors_are_the_spread_over_seeds() {
    let model = small();
    const SEEDS: u64 = 300;
    for (spelled, within) in [
        ("smoothgrad:sigma=0.3,samples=20", 0.1),
        ("smoothgrad:sigma=0.3,samples=20,pairs=false", 0.1),
        ("unigrad:radius=0.3,samples=20", 0.1),
        ("smooth:inner=gxi,kernel=laplace,size=0.1,samples=20", 0.1),
        ("expected-gradients:samples=20", 0.1),
        ("lime:groups=grid,cells=2,samples=60", 0.2),
        ("lime:groups=grid,cells=2,samples=60,pairs=false", 0.2),
        ("kernelshap:groups=grid,cells=3,samples=80", 0.25),
        ("kernelshap:groups=grid,cells=3,samples=80,pairs=false", 0.25),
    ] {
        let found: Vec<Estimate> =
            (0..SEEDS).map(|seed| estimate(spelled, &model, &batch(seed))).collect();
        let maps =
            Tensor::stack(&found.iter().map(|one| one.map.shallow_clone()).collect::<Vec<_>>(), 0);
        let told =
            Tensor::stack(&found.iter().map(|one| one.error.square()).collect::<Vec<_>>(), 0);
        let spread = maps.std_dim([0i64].as_slice(), true, false).square().sum(Kind::Double);
        let told = told.mean_dim([0i64].as_slice(), false, Kind::Double).sum(Kind::Double);
        let ratio = (told.double_value(&[]) / spread.double_value(&[])).sqrt();
        assert!((ratio - 1.).abs() < within, "{spelled}: told over found {ratio:.3}");
    }
}

#[test]
fn pairs_take_out_what_is_odd() {
    let a = drawn(5, &[D, D]);
    let model = Quadratic(&a + a.transpose(0, 1));
    let batch = batch(0);
    let exact = batch.x.flatten(1, -1).matmul(&model.0).view_as(&batch.x);
    let found = estimate("smoothgrad:sigma=0.5,samples=2", &model, &batch);
    assert!(far(&found.map, &exact) < 1e-12);
    let apart = estimate("smoothgrad:sigma=0.5,samples=2,pairs=false", &model, &batch);
    assert!(far(&apart.map, &exact) > 0.1);
    // Of interactions of two groups a coalition and its complement miss the same on both sides.
    let few = "kernelshap:groups=grid,cells=3,samples=30";
    let exact = explain::parse("kernelshap:groups=grid,cells=3,all=true").unwrap();
    let exact = exact.attribute(&model, &batch);
    let found = estimate(few, &model, &batch);
    assert!(far(&found.map, &exact) < 1e-4, "{}", far(&found.map, &exact));
    assert!(far(&estimate(&format!("{few},pairs=false"), &model, &batch).map, &exact) > 1e-2);
    let odd = explain::parse("smooth:kernel=[[-1,0],[0,1],[2,0]],pairs=true");
    assert!(format!("{:#}", odd.err().unwrap()).contains("`pairs`"));
}

#[test]
fn each_image_has_as_many_draws_as_its_tolerance_takes() {
    let (model, batch) = (small(), batch(0));
    for method in [
        "smoothgrad:sigma=0.3",
        "unigrad:radius=0.5,pairs=false",
        "expected-gradients:",
        "smooth:inner=gxi,size=0.2",
        "lime:groups=scalars",
        "kernelshap:groups=scalars",
    ] {
        let method = method.trim_end_matches(':');
        let joint = if method.contains(':') { "," } else { ":" };
        let auto = format!("{method}{joint}samples=auto,tolerance=0.05");
        let found = estimate(&auto, &model, &batch);
        let relative = Vec::<f64>::try_from(found.relative()).unwrap();
        assert!(relative.iter().all(|far| *far <= 0.05), "{method}: {relative:?}");
        for (image, &samples) in found.samples.iter().enumerate() {
            let fixed = estimate(&format!("{method}{joint}samples={samples}"), &model, &batch);
            let one = |t: &Tensor| t.get(image as i64);
            assert!(far(&one(&found.map), &one(&fixed.map)) < 1e-9, "{method}, {samples} draws");
            assert!(
                far(&one(&found.error), &one(&fixed.error)) < 1e-9,
                "{method}, {samples} draws"
            );
        }
        // Alone an image has what it has among others.
        let alone = estimate(&auto, &model, &batch.narrow(1, 1));
        assert_eq!(alone.samples[0], found.samples[1], "{method}");
        let method = explain::parse(&auto).unwrap();
        assert!(method.differentiable().is_none());
        assert!(far(&method.attribute(&model, &batch), &found.map) == 0.);
    }
}

#[test]
fn what_cannot_be_known_is_infinite() {
    let (model, batch) = (small(), batch(0));
    for few in [
        "smoothgrad:samples=1",
        "smoothgrad:samples=2",
        "lime:groups=scalars,samples=10",
        "kernelshap:groups=scalars,samples=12",
    ] {
        let found = estimate(few, &model, &batch);
        let relative = Vec::<f64>::try_from(found.relative()).unwrap();
        assert!(relative.iter().all(|far| far.is_infinite()), "{few}: {relative:?}");
    }
    // No draws at all.
    for exact in ["saliency", "ig", "kernelshap:groups=grid,cells=3,all=true"] {
        assert!(explain::parse(exact).unwrap().estimate(&model, &batch).is_none(), "{exact}");
    }
    let refused = |spelled: &str| format!("{:#}", explain::parse(spelled).err().unwrap());
    assert!(refused("smoothgrad:samples=many").contains("not a number or `auto`"));
    assert!(refused("smoothgrad:samples=auto,tolerance=0").contains("`tolerance`"));
}
