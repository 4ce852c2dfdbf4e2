//! Kernels of `smooth`: what they draw, and γ of Tan & Tian 2023, Theorem 4.3, against integrals
//! over grids and against smoothed maps.

use crate::of::Of;
use explain::{Attribution, Batch};
use models::{Target, noise};
use registry::parse;
use std::f64::consts::TAU;
use tch::{Device, Kind, Tensor};

const TRIANGLE: &str = "[[-1, 0], [0, 1], [1, 0]]";
/// A ramp that jumps at 1, and not centred; its integral is 3 before it is normalised.
const RAMP: &str = "[[-1, 0.5], [0, 1], [1, 3.5]]";

fn smooth(kernel: &str, size: f64, samples: u64) -> Box<dyn Attribution> {
    let spelled = format!("smooth:kernel={kernel},size={size},samples={samples}");
    explain::parse(&spelled).unwrap()
}

/// γ as `gradproof explain` prints it, and whether it is exact.
fn gamma(kernel: &str, size: f64, image: [i64; 3]) -> (f64, bool) {
    let note = smooth(kernel, size, 1).note(image).unwrap();
    let at = note.find("γ = ").or(note.find("γ ≤ ")).expect(&note);
    let number = note[at..].split([' ', ' ']).nth(2).unwrap();
    (number.parse().expect(&note), note.contains("γ = "))
}

/// Densities at size 1, written again; f64 of any shape.
fn density(kernel: &str, t: &Tensor) -> Tensor {
    let inside = t.abs().le(1.).to_kind(Kind::Double);
    match kernel {
        "gaussian" => (t.square() * -0.5).exp() / TAU.sqrt(),
        "uniform" => inside * 0.5,
        "laplace" => (-t.abs()).exp() * 0.5,
        TRIANGLE => (-t.abs() + 1.).clamp_min(0.),
        RAMP => (1. + t * 0.5 + t.relu() * 2.) * inside / 3.,
        _ => unreachable!("{kernel}"),
    }
}

const KERNELS: [&str; 5] = ["gaussian", "uniform", "laplace", TRIANGLE, RAMP];

fn over(t: &Tensor) -> Tensor {
    t.sum_dim_intlist([1].as_slice(), false, None)
}

/// Images with the same draws.
fn alike(x: &Tensor) -> Batch {
    let n = x.size()[0];
    let batch = Batch::new(x, &Target::logit(&Tensor::zeros([n], (Kind::Int64, Device::Cpu))));
    Batch { keys: vec![5; n as usize], chunk: 1 << 14, ..batch }
}

#[test]
fn draws_have_their_density() {
    // The gradient of |x|²/2 is x: one sample's map is the neighbour itself.
    let model = Of(|x: &Tensor| over(&x.square()) * 0.5);
    let x = Tensor::full([1, 1, 200, 200], 0.5, (Kind::Double, Device::Cpu));
    for kernel in KERNELS {
        for size in [1., 0.03] {
            let map = smooth(kernel, size, 1).attribute(&model, &alike(&x));
            let drawn = ((map - &x) / size).flatten(0, -1).sort(0, false).0;
            let step = 1e-3;
            let grid =
                (Tensor::arange_start(-12_000, 12_000, (Kind::Double, Device::Cpu)) + 0.5) * step;
            let below = (density(kernel, &grid) * step).cumsum(0, Kind::Double);
            let whole = below.max().double_value(&[]);
            assert!((whole - 1.).abs() < 1e-3, "{kernel}: the density of the test: {whole}");
            let place =
                drawn.searchsorted(&(grid + step / 2.), false, true, "right", None::<Tensor>);
            let place = (place - 1).clamp(0, 23_999);
            let count = drawn.numel() as f64;
            let share =
                (Tensor::arange(drawn.numel() as i64, (Kind::Double, Device::Cpu)) + 0.5) / count;
            // Kolmogorov: 1.63/√n in one of a hundred cases.
            let far = (below.index_select(0, &place) - share).abs().max().double_value(&[]);
            assert!(far < 1.63 / count.sqrt(), "{kernel}, {size}: {far}");
        }
    }
}

#[test]
fn gamma_has_its_closed_forms() {
    let gaussian = (2. / std::f64::consts::PI).sqrt();
    for (kernel, image, unit, exact) in [
        ("gaussian", [3, 32, 32], gaussian, true),
        ("uniform", [3, 32, 32], 3072f64.sqrt(), true),
        ("laplace", [3, 32, 32], 1., true),
        (TRIANGLE, [1, 1, 1], 2., true),
        // The uniform one as a table.
        ("[[-1, 7], [1, 7]]", [3, 32, 32], 3072f64.sqrt(), true),
        // Jumps of ½ and 3½ thirds, a rise of 3 thirds between.
        (RAMP, [1, 1, 1], 7. / 3., true),
    ] {
        for size in [1., 0.25] {
            let (found, told) = gamma(kernel, size, image);
            assert!((found * size - unit).abs() < 1e-3 && told == exact, "{kernel}: {found}");
        }
    }
    // A triangle's slopes are infinite at its ends: s = 1/y at a distance y from them, cut at t.
    for (image, d) in [([1, 2, 2], 4f64), ([3, 32, 32], 3072.)] {
        let cut = |t: f64| 2. * d.sqrt() / t + (2. * t.ln()).sqrt();
        let least = (1..10_000).map(|k| cut(1.001f64.powi(k))).fold(f64::INFINITY, f64::min);
        let (found, exact) = gamma(TRIANGLE, 1., image);
        assert!(!exact && found >= least * 0.999 && found < least * 1.01, "{found}, {least}");
        assert!(least < 2. * d.sqrt(), "more than the variation of every number");
    }
    // A table of a Gaussian comes near its 0.80, from the root of its Fisher information, 1.
    let fine = (-40..=40).map(|i| f64::from(i) / 10.);
    let pairs: Vec<String> = fine.map(|t| format!("[{t}, {}]", (-t * t / 2.).exp())).collect();
    let (found, _) = gamma(&format!("[{}]", pairs.join(", ")), 1., [3, 32, 32]);
    assert!(found > gaussian && found < 1.03, "{found}");
    assert!(smooth("gaussian", 0., 1).note([1, 1, 1]).is_none(), "no neighbours");
    let relative = parse("smooth:relative=true").unwrap();
    assert!(explain::method(relative).unwrap().note([1, 1, 1]).is_none(), "no one kernel");
    assert!(explain::parse("saliency").unwrap().note([1, 1, 1]).is_none());
}

/// ∫|p(z − s) − p(z)| dz in the plane, over midpoints of cells: exact where p jumps between cells.
fn variation(kernel: &str, shift: [f64; 2]) -> f64 {
    let step = 0.02;
    let line = (Tensor::arange_start(-500, 500, (Kind::Double, Device::Cpu)) + 0.5) * step;
    let plane = |s: [f64; 2]| {
        let [a, b] = s.map(|s| density(kernel, &(&line - s)));
        a.unsqueeze(1) * b.unsqueeze(0)
    };
    let apart = plane(shift) - plane([0., 0.]);
    (apart.abs().sum(Kind::Double) * step * step).double_value(&[])
}

#[test]
fn gamma_is_the_largest_variation() {
    for kernel in KERNELS {
        let (bound, exact) = gamma(kernel, 1., [1, 1, 2]);
        let mut most = 0f64;
        for shift in [[4., 0.], [4., 4.], [-4., 4.], [2., 4.], [8., 6.], [0., -2.]] {
            let shift = shift.map(|s: f64| s * 0.02);
            let length = shift[0].hypot(shift[1]);
            most = most.max(variation(kernel, shift) / length);
        }
        assert!(most < bound * 1.002, "{kernel}: {most}, γ = {bound}");
        assert!(!exact || most > bound * 0.97, "{kernel}: {most} attained, γ = {bound}");
        assert!(most > bound * 0.6, "{kernel}: {most} attained, γ ≤ {bound}");
        // On a line the variation is γ for every kernel.
        let (line, exact) = gamma(kernel, 1., [1, 1, 1]);
        let along = variation(kernel, [0.02, 0.]) / 0.02;
        assert!(exact && (along / line - 1.).abs() < 0.03, "{kernel}: {along}, γ = {line}");
    }
}

#[test]
fn smoothed_maps_are_as_lipschitz_as_the_theorem_says() {
    // Gradients that jump from −1 to 1 within 0.02: nothing moves faster when smoothed.
    let steep = Of(|x: &Tensor| over(&((x - 0.5) * 50.).cosh().log()) / 50.);
    let (size, apart) = (0.1, 0.04);
    let x = Tensor::from_slice(&[0.5 - apart / 2., 0.5 + apart / 2.]).view([2, 1, 1, 1]);
    for kernel in &KERNELS[..4] {
        let map = smooth(kernel, size, 40_000).attribute(&steep, &alike(&x));
        let slope = (map.get(1) - map.get(0)).double_value(&[0, 0, 0]) / apart;
        let (gamma, _) = gamma(kernel, size, [1, 1, 1]);
        assert!(slope < gamma * 1.02 && slope > gamma * 0.75, "{kernel}: {slope}, γ = {gamma}");
        if *kernel == "gaussian" {
            // R/(2σ), as both papers have it, counts half the variation: too little for |φ| ≤ R.
            assert!(slope > 1.3 / (2. * size), "{slope}");
        }
    }
    // A network of four pixels: |∇f| ≤ R = Σ|bⱼ||aⱼ|.
    let drawn = |key: u64, shape: &[i64]| {
        noise::normal(&[key], shape, Device::Cpu).squeeze_dim(0).to_kind(Kind::Double)
    };
    let (a, b) = (drawn(1, &[4, 3]) * 20., drawn(2, &[3]) / 20.);
    let most = (a.square().sum_dim_intlist([0].as_slice(), false, None).sqrt() * b.abs())
        .sum(Kind::Double);
    let most = most.double_value(&[]);
    let network = Of(move |x: &Tensor| (x - 0.5).matmul(&a).cosh().log().matmul(&b));
    let along = drawn(3, &[1, 1, 2, 2]);
    let along = &along / along.norm();
    let middle = Tensor::full([1, 1, 2, 2], 0.5, (Kind::Double, Device::Cpu));
    let x = Tensor::cat(&[&middle - &along * (apart / 2.), &middle + &along * (apart / 2.)], 0);
    for kernel in KERNELS {
        let map = smooth(kernel, size, 20_000).attribute(&network, &alike(&x));
        let slope = (map.get(1) - map.get(0)).norm().double_value(&[]) / apart;
        let bound = gamma(kernel, size, [1, 2, 2]).0 * most;
        assert!(slope < bound && slope > bound * 0.05, "{kernel}: {slope}, {bound}");
    }
}

#[test]
fn kernels_that_cannot_be_meant_are_refused() {
    for (kernel, expected) in [
        ("box", "unknown variant `box`"),
        ("3", "`kernel` is 3, not a name or pairs"),
        ("[]", "a table of 0 pairs"),
        ("[[0, 1]]", "a table of 1 pairs"),
        ("[[0, 1], [0, 2]]", "the offset 0 comes after 0"),
        ("[[0, 1], [1, -2]]", "the density at 1 is -2"),
        ("[[0, 0], [1, 0]]", "the density is zero everywhere"),
        ("[[0, 1], 3]", "3 is not [offset, density]"),
        ("[[0, 1], [1, nan]]", "is not [offset, density]"),
    ] {
        let told = explain::parse(&format!("smooth:kernel={kernel}"));
        let told = format!("{:#}", told.err().expect(kernel));
        assert!(told.contains(expected), "{kernel}: {told}");
    }
    // The same from a table of a settings file.
    let table: toml::Table = format!("name = \"smooth\"\nkernel = {TRIANGLE}").parse().unwrap();
    explain::method(table).unwrap();
}
