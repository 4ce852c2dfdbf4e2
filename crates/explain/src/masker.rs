//! The masker of RT-Sal (Dabkowski & Gal 2017): a decoder over the taps of a classifier that gives
//! a mask of what shows a class, in one pass. It is trained once for a network, on any images.

use anyhow::{Context, Result, bail, ensure};
use models::{Model, Ops, SharedTensor, noise};
use std::{cell::RefCell, collections::BTreeMap, path::Path};
use tch::{Device, Kind, Tensor};
use tensorfile::{TensorFile, header};

mod training;

pub use training::{Equation, Found, Training, fit};

/// A decoder over taps, coarsest places first. At the coarsest a learnt vector for each class decides
/// where the class is (the paper's feature filter); each finer tap is joined to the upsampled rest.
#[derive(Debug)]
pub struct Masker {
    taps: Vec<String>,
    params: BTreeMap<String, SharedTensor>,
}

/// An image that no data has, to tell networks apart by what they say to it.
const PROBE: &str = "probe";
/// What the network said, `[1, K]`.
const ANSWER: &str = "answer";
/// The key of a file's header that says what it is.
const MARK: (&str, &str) = ("kind", "masker");
const TAPS: &str = "taps";

/// Keeps what passes at some taps.
struct Looking<'a> {
    taps: &'a [String],
    seen: RefCell<Vec<Option<Tensor>>>,
}

impl Ops for Looking<'_> {
    fn tap(&self, name: &str, a: Tensor) -> Tensor {
        let at = self.taps.iter().position(|tap| tap == name);
        at.into_iter().for_each(|at| self.seen.borrow_mut()[at] = Some(a.shallow_clone()));
        a
    }
}

/// Of the taps `(name, [C, h, w])` of images with `sides`, in the order of a pass, the last one of each
/// size, coarsest first: those of at most half the image, as in the paper, where there are any.
fn chosen(taps: Vec<(String, Vec<i64>)>, [high, wide]: [i64; 2]) -> Vec<(String, i64)> {
    let mut by_size = BTreeMap::new();
    for (name, shape) in taps {
        if let [channels, h, w] = shape[..] {
            by_size.insert(h * w, (name, channels));
        }
    }
    let half = high * wide / 4;
    let coarse = by_size.range(2..=half).count();
    let most = if coarse > 0 { half } else { high * wide };
    by_size.into_iter().filter(|(size, _)| (2..=most).contains(size)).map(|(_, tap)| tap).collect()
}

impl Masker {
    /// One for `model` and images `[C, H, W]`, whose layers have `width` channels, drawn from `seed`.
    /// Errors: the network has no tap with more than one place.
    pub fn new(model: &dyn Model, image: [i64; 3], width: i64, seed: u64) -> Result<Self> {
        let taps = crate::taps(model, image).into_iter().map(|tap| (tap.name, tap.shape));
        let taps = chosen(taps.collect(), [image[1], image[2]]);
        ensure!(
            !taps.is_empty(),
            "a masker looks at taps with more than one place, and the network has none \
             (`gradproof list --weights FILE` shows them)"
        );
        let classes = probed(model, &probe(image)).size()[1];
        let mut masker = Masker { taps: vec![], params: BTreeMap::new() };
        let mut drawn = |name: String, shape: [i64; 4]| {
            let fan: i64 = shape[1..].iter().product();
            let key = noise::key(seed, noise::name_id(&name), 0);
            let scale = (2. / fan as f64).sqrt();
            let weight = noise::normal(&[key], &shape, Device::Cpu).squeeze_dim(0) * scale;
            let bias = Tensor::zeros(shape[0], (Kind::Float, Device::Cpu));
            masker.params.insert(format!("{name}.weight"), SharedTensor::new(weight));
            masker.params.insert(format!("{name}.bias"), SharedTensor::new(bias));
        };
        for (i, (_, channels)) in taps.iter().enumerate() {
            drawn(format!("lateral{i}"), [width, *channels, 1, 1]);
            if i > 0 {
                drawn(format!("merge{i}"), [width, 2 * width, 3, 3]);
            }
        }
        drawn("mask".into(), [1, width, 3, 3]);
        drawn("class".into(), [classes, width, 1, 1]);
        masker.taps = taps.into_iter().map(|(name, _)| name).collect();
        Ok(masker)
    }

    fn get(&self, name: &str, like: &Tensor) -> Tensor {
        self.params[name].get().to_device(like.device()).to_kind(like.kind())
    }

    fn layer(&self, name: &str, x: &Tensor) -> Tensor {
        let weight = self.get(&format!("{name}.weight"), x);
        let bias = self.get(&format!("{name}.bias"), x);
        let pad = weight.size()[2] / 2;
        x.conv2d(&weight, Some(bias), [1, 1], [pad, pad], [1, 1], 1)
    }

    /// What the decoder sees of `x`, coarsest first, and the logits.
    fn look(&self, model: &dyn Model, x: &Tensor) -> (Vec<Tensor>, Tensor) {
        let empty = self.taps.iter().map(|_| None).collect();
        let looking = Looking { taps: &self.taps, seen: RefCell::new(empty) };
        let logits = model.forward(x, &looking);
        let n = x.size()[0];
        // Copies of an image that fill a group are left out.
        let own = |a: Option<Tensor>| a.expect("checked").narrow(0, 0, n).to_kind(x.kind());
        (looking.seen.into_inner().into_iter().map(own).collect(), logits)
    }

    /// The masks for the classes `[N]` of what the taps showed.
    fn decode(&self, seen: &[Tensor], class: &Tensor) -> Tensor {
        // Activations of one size, whatever the network's are.
        let level = |i: usize| {
            let a = &seen[i];
            let size = a.square().mean_dim([1i64, 2, 3].as_slice(), true, a.kind()).sqrt();
            self.layer(&format!("lateral{i}"), &(a / (size + 1e-6)))
        };
        let z = level(0).relu();
        let vector = self.get("class.weight", &z).index_select(0, class);
        let found = (&z * vector).sum_dim_intlist([1i64].as_slice(), true, z.kind());
        let bias = self.get("class.bias", &z).index_select(0, class).view([-1, 1, 1, 1]);
        let mut z = z * (found + bias).sigmoid();
        for i in 1..seen.len() {
            let finer = level(i).relu();
            let (_, _, h, w) = finer.size4().expect("taps have places");
            let up = z.upsample_bilinear2d([h, w], false, None, None);
            z = self.layer(&format!("merge{i}"), &Tensor::cat(&[up, finer], 1)).relu();
        }
        self.layer("mask", &z).sigmoid()
    }

    /// Masks of the images `x` for the classes `[N]`, `[N, 1, h, w]` in (0, 1), h × w the places of the
    /// finest tap, and the logits.
    pub fn mask(&self, model: &dyn Model, x: &Tensor, class: &Tensor) -> (Tensor, Tensor) {
        let (seen, logits) = self.look(model, x);
        (self.decode(&seen, class), logits)
    }

    /// One that looks at `taps`, coarsest first, through the layers `params`. Errors: a layer is missing,
    /// or of a shape that fits no other.
    pub fn of(taps: Vec<String>, params: BTreeMap<String, Tensor>) -> Result<Self> {
        let params = params.into_iter().map(|(name, t)| (name, SharedTensor::new(t))).collect();
        let masker = Masker { taps, params };
        masker.whole().map(|()| masker)
    }

    /// Reads what [`Masker::write`] wrote. Errors: another file, or a part is missing.
    pub fn read(path: &Path) -> Result<Self> {
        let TensorFile { tensors, metadata } = TensorFile::read(path)?;
        let shown = path.display();
        let is = metadata.get(MARK.0).is_some_and(|kind| kind == MARK.1);
        ensure!(is, "`{shown}` is no masker: `gradproof masker` makes one");
        let told = || format!("masker `{shown}`");
        let taps = metadata.get(TAPS).context("no taps in the header").with_context(told)?;
        for name in [PROBE, ANSWER] {
            let there = tensors.contains_key(name);
            ensure!(there, "{}: no tensor `{name}`", told());
        }
        Masker::of(header::names(taps)?, tensors).with_context(told)
    }

    fn whole(&self) -> Result<()> {
        let shape = |name: &str| {
            let found = self.params.get(name).with_context(|| format!("no tensor `{name}`"))?;
            Ok::<_, anyhow::Error>(found.get().size())
        };
        let of = |name: &str| match shape(&format!("{name}.weight"))?[..] {
            [out, within, side, _] if shape(&format!("{name}.bias"))? == [out] => {
                Ok([out, within, side])
            }
            _ => bail!("`{name}` has a shape that no layer has"),
        };
        let [width, ..] = of("lateral0")?;
        for i in 1..self.taps.len() {
            let fits = of(&format!("lateral{i}"))?[0] == width
                && of(&format!("merge{i}"))? == [width, 2 * width, 3];
            ensure!(fits, "the layers of tap {i} do not fit the first");
        }
        ensure!(of("mask")? == [1, width, 3] && of("class")?[1] == width, "the ends do not fit");
        Ok(())
    }

    /// Writes it for `model` with what the header shall say besides; whoever reads it can tell whether
    /// it asks the same network.
    pub fn write(
        &self,
        path: &Path,
        (model, image): (&dyn Model, [i64; 3]),
        mut metadata: BTreeMap<String, String>,
    ) -> Result<()> {
        let probe = probe(image);
        let answer = probed(model, &probe);
        let mut tensors: BTreeMap<String, Tensor> =
            self.params.iter().map(|(name, t)| (name.clone(), t.get())).collect();
        tensors.extend([(PROBE.to_owned(), probe), (ANSWER.to_owned(), answer)]);
        metadata.insert(MARK.0.into(), MARK.1.into());
        metadata.insert(TAPS.into(), header::join(&self.taps));
        TensorFile { tensors, metadata }.write(path)
    }

    /// Errors: it was trained for another network or other images. Numbers of another precision or a
    /// folded network are near enough.
    pub fn check(&self, model: &dyn Model, image: [i64; 3]) -> Result<()> {
        const NEAR: f64 = 0.05;
        let (probe, said) = (self.params[PROBE].get(), self.params[ANSWER].get());
        let sides = |t: [i64; 3]| t.map(|n| n.to_string()).join("x");
        let own = <[i64; 3]>::try_from(&probe.size()[1..]).context("a probe that is no image")?;
        ensure!(own == image, "the masker is for images of {}, not {}", sides(own), sides(image));
        let found = probed(model, &probe);
        let most = |t: &Tensor| t.abs().max().double_value(&[]);
        let same = found.size() == said.size() && most(&(&found - &said)) <= NEAR * most(&said);
        ensure!(same, "the masker was trained for another network than this one");
        Ok(())
    }
}

/// Masks upsampled bilinearly to the sides of the images `x`.
pub fn spread(mask: &Tensor, x: &Tensor) -> Tensor {
    let (_, _, h, w) = x.size4().expect("images have four axes");
    mask.upsample_bilinear2d([h, w], false, None, None)
}

fn probe([c, h, w]: [i64; 3]) -> Tensor {
    noise::uniform(&[noise::name_id(PROBE)], &[c, h, w], Device::Cpu)
}

/// What `model` says to it, on the CPU.
fn probed(model: &dyn Model, probe: &Tensor) -> Tensor {
    tch::no_grad(|| model.logits(&probe.to(model.place().1).to_kind(model.place().0)))
        .to_kind(Kind::Float)
        .to_device(Device::Cpu)
}
