//! LIME, KernelSHAP, C-LIME and occlusion: against captum and scikit-learn
//! (tests/reference/explain/surrogates.py), on models whose maps are known, and their products against finite
//! differences.

use crate::of::Of;
use explain::{
    Attribution, Batch,
    engine::surrogate::{Fit, operator},
};
use models::{Classifier, Model, Target, noise, zoo, zoo::Shape};
use std::path::Path;
use tch::{Device, Kind, Tensor};
use tensorfile::TensorFile;
use testkit::rule::{distance, filled, images};

const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

/// The methods with the options that take another way through the code.
const ALL: [&str; 11] = [
    "lime",
    "lime:samples=30,groups=grid,cells=3,alpha=0,baseline=0.5",
    "lime:samples=30,groups=pixels,kernel=images,width=0.2",
    "kernelshap",
    "kernelshap:samples=20,groups=scalars,baseline=0.3",
    "kernelshap:groups=grid,cells=2,all=true",
    "clime:samples=40",
    "clime:samples=40,ridge=0.01",
    "clime:samples=250",
    "clime:samples=30,covariance=population,sigma=0.2",
    "occlusion:size=3,baseline=0.5",
];

fn method(spelled: &str) -> Box<dyn Attribution> {
    explain::parse(spelled).unwrap()
}

fn refused(spelled: &str) -> String {
    format!("{:#}", explain::parse(spelled).err().expect(spelled))
}

fn resnet20() -> Classifier {
    filled(zoo::arch("resnet20").unwrap()).in_f64().frozen()
}

fn doubles(n: i64, image: [i64; 3]) -> Tensor {
    images(n, &Shape { image, classes: 10 }).to_kind(Kind::Double)
}

fn second(model: &dyn Model, x: &Tensor) -> Target {
    let logits = tch::no_grad(|| model.logits(x));
    Target::logit(&logits.argsort(1, true).select(1, 1))
}

/// Images for a model with one logit.
fn only(x: &Tensor) -> Batch {
    Batch::new(x, &Target::logit(&Tensor::zeros([x.size()[0]], (Kind::Int64, Device::Cpu))))
}

/// N(0, 1) numbers of a shape.
fn normal(key: u64, shape: &[i64]) -> Tensor {
    noise::normal(&[key], shape, Device::Cpu).squeeze_dim(0).to_kind(Kind::Double)
}

/// A linear model of `d` numbers and its weights.
fn linear(d: i64) -> (impl Model, Tensor) {
    let weights = normal(3, &[d]);
    let copy = weights.copy();
    (Of(move |x: &Tensor| x.matmul(&copy) + 0.7), weights)
}

/// A function with interactions of every order.
fn bent(d: i64) -> impl Model {
    let (a, b) = (normal(4, &[d, 3]), normal(5, &[3]));
    Of(move |x: &Tensor| x.matmul(&a).tanh().matmul(&b) + (x + 0.3).prod_dim_int(1, false, None))
}

/// A perceptron with a smooth hidden layer.
fn smooth(d: i64) -> impl Model {
    let (a, b) = (normal(4, &[d, 8]) / (d as f64).sqrt(), normal(5, &[8]));
    Of(move |x: &Tensor| x.matmul(&a).tanh().matmul(&b))
}

#[test]
fn maps_are_those_of_captum_and_scikit_learn() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/surrogates.safetensors");
    let mut golden = TensorFile::read(&path).unwrap();
    let model = resnet20();
    let x = doubles(2, [3, 8, 8]);
    let batch = Batch::new(&x, &second(&model, &x));
    for (name, spelled) in [
        ("lime.cosine", "lime:groups=grid,cells=4"),
        ("lime.cosine.half", "lime:groups=grid,cells=4,baseline=0.5,alpha=0.1,width=0.5"),
        ("lime.images", "lime:groups=grid,cells=4,kernel=images"),
        ("lime.l2", "lime:groups=grid,cells=4,kernel=l2,width=3,alpha=0.5,intercept=false"),
        ("lime.uniform", "lime:groups=grid,cells=4,kernel=uniform,alpha=0.5,intercept=false"),
        ("kernelshap", "kernelshap:groups=grid,cells=4,samples=60"),
        ("kernelshap.few", "kernelshap:groups=grid,cells=4,samples=8"),
        ("occlusion", "occlusion"),
        ("occlusion.cut", "occlusion:size=3,stride=2,baseline=0.5"),
        ("square", "square:largest=3,ridge=1e-3"),
        ("square.cell", "square:largest=3,ridge=1e-3,cell=2"),
        ("square.contribution", "square:largest=3,ridge=1e-3,units=contribution"),
    ] {
        let drawn = ["lime", "kernelshap"].iter().any(|fit| spelled.starts_with(fit));
        let map = method(&format!("{spelled}{}", if drawn { ",pairs=false" } else { "" }))
            .attribute(&model, &batch);
        let far = distance(&map, &golden.take(name).unwrap());
        assert!(far < 1e-5, "{name}: {far:e} off");
    }
    assert!(golden.tensors.is_empty());
}

#[test]
fn linear_models_have_the_maps_they_must() {
    let x = doubles(2, [3, 2, 2]);
    let (model, weights) = linear(12);
    let weights = weights.view([1, 3, 2, 2]);
    let (from_zero, from_half) = (&x * &weights, (&x - 0.5) * &weights);
    let over_channels = |t: &Tensor| {
        t.sum_dim_intlist([1].as_slice(), true, Kind::Double).expand([-1, 3, -1, -1], false)
    };
    for (spelled, expected) in [
        ("lime:groups=scalars,alpha=0", &from_zero),
        ("lime:groups=scalars,alpha=0,baseline=0.5", &from_half),
        ("lime:groups=pixels,alpha=1e-9", &over_channels(&from_zero)),
        ("kernelshap:groups=scalars", &from_zero),
        ("kernelshap:groups=scalars,baseline=0.5", &from_half),
        ("kernelshap:groups=scalars,all=true", &from_zero),
        ("kernelshap:groups=pixels,all=true,baseline=0.5", &over_channels(&from_half)),
        ("clime", &weights.expand_as(&x)),
        ("clime:samples=14,sigma=0.3", &weights.expand_as(&x)),
        ("occlusion:size=1,stride=1,baseline=0.5", &over_channels(&from_half)),
    ] {
        let far = distance(&method(spelled).attribute(&model, &only(&x)), expected);
        assert!(far < 1e-7, "{spelled}: {far:e} off");
    }
}

/// Shapley values by their definition, one coalition at a time.
fn shapley(values: &[f64], players: usize) -> Vec<f64> {
    let factorial = |n: usize| (1..=n).map(|i| i as f64).product::<f64>();
    let value = |i: usize| {
        let without = (0..values.len()).filter(|s| s & (1 << i) == 0);
        let gain = |s: usize| {
            let k = s.count_ones() as usize;
            let share = factorial(k) * factorial(players - k - 1) / factorial(players);
            share * (values[s | (1 << i)] - values[s])
        };
        without.map(gain).sum()
    };
    (0..players).map(value).collect()
}

#[test]
fn all_coalitions_give_shapley_values() {
    let x = doubles(1, [2, 1, 5]);
    let model = bent(10);
    let bits: Vec<f64> = (0..1024 * 10).map(|i| f64::from((i / 10) >> (i % 10) & 1)).collect();
    let masks = Tensor::from_slice(&bits).view([1, 1024, 10]);
    let copies = &masks * x.view([1, 1, 10]);
    let values = model.logits(&copies.view([1024, 2, 1, 5])).squeeze_dim(1);
    let exact = shapley(&Vec::<f64>::try_from(&values).unwrap(), 10);
    let exact = Tensor::from_slice(&exact).view([1, 2, 1, 5]);
    let shap = method("kernelshap:groups=scalars,all=true");
    let found = shap.attribute(&model, &only(&x));
    assert!(distance(&found, &exact) < 1e-12);
    // Theorem 2: the same by least squares with the Shapley kernel, the ends heavy.
    let weight = |i: i64| {
        let k = f64::from((i as u32).count_ones());
        let choose = (0..k as i64).fold(1., |c, j| c * (10 - j) as f64 / (j + 1) as f64);
        if k == 0. || k == 10. { 1e7 } else { 9. / (choose * k * (10. - k)) }
    };
    let weights = Tensor::from_slice(&(0..1024).map(weight).collect::<Vec<f64>>()).view([1, 1024]);
    let fitted = operator(&masks, &weights, Fit::Shortest).matmul(&values.view([1, 1024, 1]));
    assert!(distance(&fitted.view([1, 2, 1, 5]), &exact) < 1e-5);
    // Sampling comes near.
    let near = method("kernelshap:groups=scalars,samples=4000").attribute(&model, &only(&x));
    assert!(distance(&near, &exact) < 0.05);
}

#[test]
fn values_of_groups_add_up() {
    let model = resnet20();
    let x = doubles(3, [3, 8, 8]);
    let batch = Batch::new(&x, &second(&model, &x));
    for (spelled, tolerance) in [
        ("kernelshap", 1e-4),
        ("kernelshap:baseline=0.5,samples=20,groups=pixels", 1e-4),
        ("kernelshap:groups=scalars,samples=50", 1e-4),
        ("kernelshap:groups=grid,cells=3,all=true", 1e-12),
    ] {
        let method = method(spelled);
        let map = method.attribute(&model, &batch);
        let gap = method.convergence_delta(&model, &batch, &map).unwrap();
        assert_eq!(gap.size(), [3]);
        let unit = map.abs().max().double_value(&[]);
        let far = gap.abs().max().double_value(&[]) / unit;
        assert!(far < tolerance, "{spelled}: {far:e} off");
        let far = method
            .convergence_delta(&model, &batch, &(map * 2.))
            .unwrap()
            .abs()
            .max()
            .double_value(&[]);
        assert!(far > 0.1 * unit, "{spelled}: a map twice as large adds up too");
    }
    assert!(method("lime").convergence_delta(&model, &batch, &x).is_none());
}

#[test]
fn clime_is_smoothgrad_of_a_quadratic() {
    let x = doubles(2, [1, 2, 3]);
    let a = normal(6, &[6, 6]);
    let a = &a + a.transpose(0, 1);
    let form = a.copy();
    let square = |t: Tensor| t.sum_dim_intlist([1].as_slice(), false, Kind::Double) * 0.5;
    let model = Of(move |x: &Tensor| square(x.matmul(&form) * x));
    let batch = only(&x);
    // The mean gradient at the same neighbours: A(x + mean e).
    let mean = |sample: i64| noise::normal(&batch.keys_of(sample as u64), &[1, 2, 3], Device::Cpu);
    let mean = (0..20_000).map(mean).reduce(|a, b| a + b).unwrap().to_kind(Kind::Double) / 2e5;
    let smooth = (&x + mean).flatten(1, -1).matmul(&a).view([2, 1, 2, 3]);
    for spelled in ["clime:samples=20000", "clime:samples=20000,covariance=population"] {
        let far = distance(&method(spelled).attribute(&model, &batch), &smooth);
        assert!(far < 0.02, "{spelled}: {far:e} off");
    }
    let apart = method("clime:samples=20000,ridge=0.01").attribute(&model, &batch);
    assert!(distance(&(apart * 2.), &smooth) < 0.02, "λ = σ² halves the map");
}

#[test]
fn clime_is_linear_in_the_model() {
    let x = doubles(2, [1, 2, 3]);
    let batch = only(&x);
    for spelled in ["clime:samples=4", "clime:samples=30", "clime:samples=9,covariance=population"]
    {
        let (clime, f, g) = (method(spelled), bent(6), linear(6).0);
        let sum = Of(|x: &Tensor| {
            let x = x.view([-1, 1, 2, 3]);
            (f.logits(&x) * 2. - g.logits(&x) * 3.).squeeze_dim(1)
        });
        let parts = clime.attribute(&f, &batch) * 2. - clime.attribute(&g, &batch) * 3.;
        assert!(distance(&clime.attribute(&sum, &batch), &parts) < 1e-10, "{spelled}");
    }
}

#[test]
fn few_samples_give_the_shortest_exact_fit() {
    let features = normal(8, &[1, 7, 12]);
    let values = normal(9, &[1, 7, 1]);
    let ones = Tensor::ones([1, 7], DOUBLE);
    let short = operator(&features, &ones, Fit::Ridge(0.));
    assert!(distance(&short, &operator(&features, &ones, Fit::Shortest)) < 1e-10);
    let fitted = features.matmul(&short.matmul(&values));
    let off = values - fitted;
    let mean = off.mean_dim([1].as_slice(), true, Kind::Double);
    assert!((off - mean).abs().max().double_value(&[]) < 1e-10, "not an exact fit");
}

#[test]
fn a_feature_that_is_never_on_changes_nothing() {
    let masks = noise::sign(&[1, 2], &[20, 5], Device::Cpu).clamp_min(0.).to_kind(Kind::Double);
    let weights = noise::uniform(&[1, 2], &[20], Device::Cpu);
    let padded = masks.constant_pad_nd([0, 30]);
    for fit in [Fit::Shortest, Fit::Ridge(0.5)] {
        let (short, long) = (operator(&masks, &weights, fit), operator(&padded, &weights, fit));
        assert!(distance(&long.narrow(1, 0, 5), &short) < 1e-12, "{fit:?}");
        assert!(long.narrow(1, 5, 30).abs().max().double_value(&[]) < 1e-15, "{fit:?}");
    }
}

#[test]
fn batch_and_chunk_change_nothing() {
    let model = smooth(3 * 12 * 12);
    // Superpixels differ in number: one image is nearly flat.
    let x = doubles(3, [3, 12, 12]);
    let x = Tensor::cat(&[x.narrow(0, 0, 2), x.narrow(0, 2, 1) * 0.01 + 0.5], 0);
    let batch = only(&x);
    let v = normal(7, &x.size());
    for spelled in ALL {
        let (method, small) = (method(spelled), Batch { chunk: 7, ..batch.at(&x) });
        let smooth = method.differentiable().unwrap();
        let (map, flow) = smooth.pullback(&model, &batch, &|_| v.shallow_clone());
        assert!(map.equal(&method.attribute(&model, &batch)), "{spelled}: another map");
        let (again, same) = smooth.pullback(&model, &small, &|_| v.shallow_clone());
        let far = distance(&again, &map).max(distance(&same, &flow));
        assert!(far < 1e-9, "{spelled}: {far:e} off in small passes");
        for i in 0..3 {
            let one = batch.narrow(i, 1);
            let far = distance(&method.attribute(&model, &one), &map.narrow(0, i, 1));
            assert!(far < 1e-9, "{spelled}: image {i} alone is {far:e} off");
            let far =
                distance(&smooth.vjp(&model, &one, &v.narrow(0, i, 1)), &flow.narrow(0, i, 1));
            assert!(far < 1e-9, "{spelled}: the product of image {i} alone is {far:e} off");
        }
    }
}

#[test]
fn products_are_those_of_finite_differences() {
    let model = smooth(3 * 8 * 8);
    let x = doubles(1, [3, 8, 8]);
    let batch = only(&x);
    let v = normal(7, &x.size());
    let along = noise::sign(&[5], &[8, 3, 8, 8], Device::Cpu).squeeze_dim(0).to_kind(Kind::Double);
    let eight = batch.select(&[0; 8]);
    let dot = |a: &Tensor| (a * &along).sum_dim_intlist([1, 2, 3].as_slice(), false, Kind::Double);
    for spelled in ALL {
        let method = method(spelled);
        let at = |h: f64| {
            let map = method.attribute(&model, &eight.at(&(&x + &along * h)));
            (map * &v).sum_dim_intlist([1, 2, 3].as_slice(), false, Kind::Double)
        };
        let h = 1e-5;
        let slopes = ((at(h) - at(-h)) * 8. - (at(2. * h) - at(-2. * h))) / (12. * h);
        let flow = method.differentiable().unwrap().vjp(&model, &batch, &v);
        let far = distance(&dot(&flow), &slopes);
        assert!(far < 1e-6, "{spelled}: {far:e} off");
    }
}

#[test]
fn a_map_is_constant_on_a_cell() {
    let (model, _) = linear(3 * 10 * 9);
    let x = doubles(1, [3, 10, 9]);
    let map = method("lime:groups=grid,cells=4").attribute(&model, &only(&x));
    // Rows ⌊4 i / 10⌋, columns ⌊4 j / 9⌋.
    let (rows, columns) = ([0, 3, 5, 8, 10], [0, 3, 5, 7, 9]);
    let mut values = vec![];
    for r in rows.windows(2) {
        for c in columns.windows(2) {
            let cell = map.narrow(2, r[0], r[1] - r[0]).narrow(3, c[0], c[1] - c[0]);
            assert_eq!(cell.max(), cell.min());
            values.push(cell.max().double_value(&[]));
        }
    }
    values.sort_by(f64::total_cmp);
    values.dedup();
    assert_eq!(values.len(), 16);
}

#[test]
fn a_lone_group_gets_everything() {
    let (model, weights) = linear(1);
    let x = Tensor::from_slice(&[0.3, 0.9]).view([2, 1, 1, 1]);
    for spelled in ["kernelshap", "kernelshap:groups=scalars,all=true"] {
        let map = method(spelled).attribute(&model, &only(&x));
        assert!(distance(&map, &(&x * &weights)) < 1e-9, "{spelled}");
    }
}

#[test]
fn options_that_cannot_be_are_refused() {
    for (spelled, word) in [
        ("lime:samples=0", "`samples` is 0"),
        ("lime:width=0", "`width`"),
        ("lime:alpha=-1", "`alpha`"),
        ("lime:alpha=0,kernel=images", "`alpha`"),
        ("lime:groups=superpixels", "quickshift"),
        ("lime:cells=4", "`cells` is for"),
        ("lime:groups=grid,cells=0", "`cells` is 0"),
        ("lime:kernel=gauss", "cosine"),
        ("lime:steps=3", "steps"),
        ("kernelshap:samples=1", "`samples` is 1"),
        ("kernelshap:all=true", "at most 14 groups"),
        ("kernelshap:all=true,groups=grid", "10 × 10"),
        ("kernelshap:all=true,groups=grid,cells=4", "4 × 4"),
        ("kernelshap:all=true,groups=grid,cells=3,samples=9", "leave `samples` out"),
        ("clime:samples=1", "`samples` is 1"),
        ("clime:sigma=0", "`sigma` is 0"),
        ("clime:ridge=-1", "`ridge` is -1"),
        ("clime:covariance=none", "population"),
        ("occlusion:size=0", "`size` is 0"),
        ("occlusion:stride=0", "`stride` is 0"),
        ("occlusion:size=2,stride=3", "`stride` is 3"),
    ] {
        assert!(refused(spelled).contains(word), "{spelled}: {}", refused(spelled));
    }
}

#[test]
fn too_many_coalitions_are_refused() {
    let model = linear(15).0;
    for groups in ["pixels", "scalars"] {
        let method = method(&format!("kernelshap:groups={groups},all=true"));
        let told = method.check(&model, [3, 1, 15]).unwrap_err();
        assert!(told.to_string().contains("images of 3x1x15 have "), "{told}");
        method.check(&model, [1, 2, 7]).unwrap();
    }
}

#[test]
fn the_columns_of_a_table_are_told_apart() {
    let weights = Tensor::from_slice(&[0.5, -1., 2., 0., 3.]);
    let model = Of(|x: &Tensor| x.matmul(&weights) + 0.3);
    let x = doubles(2, [5, 1, 1]);
    let batch = Batch::new(&x, &Target::logit(&Tensor::zeros([2], (Kind::Int64, Device::Cpu))));
    let map = method("kernelshap:groups=grid,cells=2,all=true").attribute(&model, &batch);
    assert!(distance(&map, &(&x * weights.view([5, 1, 1]))) < 1e-6);
}
