//! What every attack on predictions does and what it is given.

use crate::{Ball, Step, Walk, optim::keyed};
use anyhow::Result;
use models::Model;
use models::upload;
use tch::Tensor;

/// An attack on predictions.
///
/// ```
/// use attack::{AttackInput, Ball, Norm, adversary};
/// use models::{Classifier, Model, zoo, zoo::{Normalisation, Shape}};
/// use tch::{Device, Kind, Tensor};
///
/// # let shape = Shape { image: [1, 8, 8], classes: 2 };
/// # let scale = Normalisation::parse("none", 1)?;
/// # let model = Classifier::new(zoo::arch("cnn")?, shape, scale, 0, Device::Cpu);
/// # let x = Tensor::rand([3, 1, 8, 8], (Kind::Float, Device::Cpu));
/// let y = model.logits(&x).argmax(1, false);
/// let ball = Ball::new(Norm::Linf, 8. / 255.)?;
/// let pgd = adversary(registry::parse("pgd:steps=3")?)?;
/// let attacked = pgd.attack(&AttackInput::new(&model, (&x, &y), ball, &[0, 1, 2]));
/// assert!((attacked - &x).abs().max().double_value(&[]) < 8.01 / 255.);
/// # Ok::<(), anyhow::Error>(())
/// ```
pub trait Adversary: Send + Sync {
    /// Images of the input's ball and in [0, 1], `[N, C, H, W]`. A misclassified image beats any
    /// that is not; an image that is wrong without an attack stays as it is.
    fn attack(&self, input: &AttackInput) -> Tensor;

    /// Errors: settings or losses that a network with so many classes cannot be attacked with.
    /// To be asked before the first attack.
    fn check(&self, classes: i64) -> Result<()>;

    /// Whether it sees the network's outputs only, never a gradient.
    fn black_box(&self) -> bool {
        false
    }
}

/// What an attack is given, in one piece, so that images can be left out.
pub struct AttackInput<'a> {
    /// The network that is attacked.
    pub model: &'a dyn Model,
    /// Clean images in [0, 1], `[N, C, H, W]`.
    pub x: Tensor,
    /// Labels, i64 `[N]`.
    pub y: Tensor,
    /// How far the images may be moved.
    pub ball: Ball,
    /// One key per image seeds its draws, `[N]`.
    pub keys: Vec<u64>,
}

impl<'a> AttackInput<'a> {
    /// Images and labels for `model` in `ball`, one key per image.
    pub fn new(model: &'a dyn Model, (x, y): (&Tensor, &Tensor), ball: Ball, keys: &[u64]) -> Self {
        let (x, y) = (x.detach(), y.shallow_clone());
        AttackInput { model, x, y, ball, keys: keys.to_vec() }
    }

    /// How many classes the network knows: one pass with one image.
    pub(crate) fn classes(&self) -> i64 {
        tch::no_grad(|| self.model.logits(&self.x.narrow(0, 0, self.x.size()[0].min(1)))).size()[1]
    }

    /// The images with these numbers.
    pub(crate) fn pick(&self, index: &[i64]) -> Self {
        let at = upload(index, self.x.device());
        let keys = index.iter().map(|&i| self.keys[i as usize]).collect();
        let rows = |t: &Tensor| t.index_select(0, &at);
        AttackInput { model: self.model, x: rows(&self.x), y: rows(&self.y), ball: self.ball, keys }
    }

    /// A key per image for draw number `draw` of what is called `name`.
    pub(crate) fn keyed(&self, name: &str, draw: u32) -> Vec<u64> {
        keyed(&self.keys, name, draw)
    }

    /// A walk from `start`, of no steps yet; `keys` seed its draws.
    pub(crate) fn walk<'b>(&'b self, start: Tensor, keys: &'b [u64]) -> Walk<'b> {
        let Self { x, ball, .. } = self;
        Walk { x, ball: *ball, start, start_value: None, steps: 0, step: Step::Same(0.), keys }
    }
}
