//! Grad-CAM (Selvaraju et al. 2017): the activations of a tap, each channel weighted by its mean
//! gradient, summed, cut at 0 and upsampled bilinearly. Coarse: one value for all channels of a pixel.

use crate::{Attribution, Batch, engine::chunks};
use anyhow::{Result, ensure};
use models::{
    Model, Ops,
    grad::{Graph, pull},
};
use registry::{Entry, described};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use tch::{Kind, Tensor};
use toml::Table;

/// In the list of methods.
pub(crate) const ENTRY: Entry<dyn Attribution> = Entry {
    name: "gradcam",
    about: "Grad-CAM of a tap, upsampled (Selvaraju et al. 2017)",
    options: described::<GradCam>(&[
        ("layer", "name of the tap; without it the model's last one with more than one place"),
        ("relu", "true: the weighted sum is cut at 0"),
    ])
    .alias(&["LayerGradCam"])
    .option_aliases(&[("relu_attributions", "relu")]),
    build,
};

/// Without `layer` the last tap with more than one place is taken; in a model that has none, the
/// image itself. A tap `[N, F]` counts as one place of F channels, so its map is constant.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct GradCam {
    layer: Option<String>,
    #[serde(default = "yes")]
    relu: bool,
}

fn yes() -> bool {
    true
}

fn build(table: Table) -> Result<Box<dyn Attribution>> {
    Ok(Box::new(registry::options::<GradCam>(table)?))
}

/// A place in a model where Grad-CAM can look.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Tap {
    /// What `layer` calls it.
    pub name: String,
    /// Of one image: channels, height, width, or the numbers of a layer without places.
    pub shape: Vec<i64>,
    /// Whether it is taken without `layer`.
    pub default: bool,
}

/// The taps of a model in the order in which a pass over one image (channels, height, width) meets
/// them. None is the default of a model that has none with more than one place: there Grad-CAM takes
/// the image itself.
pub fn taps(model: &dyn Model, image: [i64; 3]) -> Vec<Tap> {
    struct Noting(RefCell<Vec<Tap>>);
    impl Ops for Noting {
        fn tap(&self, name: &str, a: Tensor) -> Tensor {
            let (name, shape) = (name.to_owned(), a.size()[1..].to_vec());
            self.0.borrow_mut().push(Tap { name, shape, default: false });
            a
        }
    }
    let ([c, h, w], noting) = (image, Noting(RefCell::default()));
    let x = Tensor::zeros([1, c, h, w], model.place());
    let _ = tch::no_grad(|| model.forward(&x, &noting));
    let mut taps = noting.0.into_inner();
    if let Some(last) = taps.iter_mut().rfind(|tap| has_places(&tap.shape)) {
        last.default = true;
    }
    taps
}

/// Whether what an image has at a tap is `[C, H, W]` with more than one place.
fn has_places(shape: &[i64]) -> bool {
    matches!(shape, [_, h, w] if h * w > 1)
}

/// Makes a new leaf of the layer: what comes before it needs no gradient.
struct Record<'a> {
    layer: Option<&'a str>,
    leaf: RefCell<Tensor>,
}

impl Ops for Record<'_> {
    fn tap(&self, name: &str, a: Tensor) -> Tensor {
        let wanted = match self.layer {
            Some(layer) => layer == name,
            None => has_places(&a.size()[1..]),
        };
        if !wanted {
            return a;
        }
        let leaf = a.detach().set_requires_grad(true);
        *self.leaf.borrow_mut() = leaf.shallow_clone();
        leaf
    }
}

impl Attribution for GradCam {
    fn attribute(&self, model: &dyn Model, batch: &Batch) -> Tensor {
        self.with_logits(model, batch).0
    }

    fn with_logits(&self, model: &dyn Model, batch: &Batch) -> (Tensor, Tensor) {
        // A pass of several groups would leave the tap of the last one.
        let images = |chunk: i64| model.fixed_batch().map_or(chunk, |most| most.min(chunk));
        let pass = |pass: &chunks::Pass| self.one_pass(model, &pass.block).into();
        let [map, logits] = chunks::map_sized(batch, images, pass);
        (map, logits)
    }

    fn check(&self, model: &dyn Model, _image: [i64; 3]) -> Result<()> {
        let Some(layer) = &self.layer else { return Ok(()) };
        let taps = model.taps();
        let known = match &taps[..] {
            [] => "has none; leave `layer` out to explain the image itself".to_owned(),
            taps => format!("has {}", taps.join(", ")),
        };
        ensure!(taps.contains(&layer.as_str()), "no tap `{layer}`; the model {known}");
        Ok(())
    }
}

impl GradCam {
    /// Maps and logits of the images of one pass.
    fn one_pass(&self, model: &dyn Model, batch: &Batch) -> (Tensor, Tensor) {
        let x = batch.x.detach().set_requires_grad(true);
        let record = Record { layer: self.layer.as_deref(), leaf: RefCell::new(x.shallow_clone()) };
        let (logits, score) = tch::with_grad(|| {
            let logits = model.forward(&x, &record);
            let score = batch.target.of(&logits).sum(None::<Kind>);
            (logits, score)
        });
        let a = record.leaf.into_inner();
        let g = pull(&score, &a, Graph::Free);
        // Copies of an image that fill a group are left out.
        let of_images = |t: &Tensor| places(&t.narrow(0, 0, x.size()[0]), x.kind());
        let (a, g) = (of_images(&a.detach()), of_images(&g));
        let weights = g.mean_dim([2, 3].as_slice(), true, None::<Kind>);
        let cam = (weights * a).sum_dim_intlist([1].as_slice(), true, None::<Kind>);
        let cam = if self.relu { cam.relu() } else { cam };
        let (_, _, h, w) = x.size4().expect("images have four axes");
        let map = cam.upsample_bilinear2d([h, w], false, None, None);
        (map.expand_as(&x).contiguous(), logits.detach())
    }
}

/// `[N, F]` -> `[N, F, 1, 1]`; maps stay.
fn places(a: &Tensor, kind: Kind) -> Tensor {
    let a = a.to_kind(kind);
    if a.dim() == 4 { a } else { a.flatten(1, -1).unsqueeze(-1).unsqueeze(-1) }
}
