//! What is to be trained, and who is told how it goes.

use crate::{Config, EpochLine, communicator::Communicator, objective::Adversary};
use data::Dataset;
use models::{Classifier, replay::Recorder};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, rc::Rc};

/// One run: everything is checked before the first step.
pub struct Job {
    /// Its settings.
    pub config: Config,
    /// The network to train, placed where it is to be trained.
    pub model: Classifier,
    /// Training images, on the same device.
    pub train: Dataset,
    /// Test images, on the same device; none: nothing is tested.
    pub test: Option<Dataset>,
    /// Images of the training part that are not trained on, on the same device: the weights with which most
    /// of them are right are kept as `best`; none: no such file.
    pub validation: Option<Dataset>,
    /// Folder of the run: `config.toml`, `log.jsonl`, `last.safetensors` or `last.onnx`, perhaps `best`
    /// beside it, `resume.safetensors`, `events.out.tfevents.gradproof`.
    pub out: PathBuf,
    /// Go on from `resume.safetensors` if it is there.
    pub resume: bool,
    /// The adversary with the settings that the objective's `attack` says, if it says any.
    pub adversary: Option<Box<dyn Adversary>>,
    /// What happens at a loss that is not finite.
    pub on_nan: OnNan,
    /// The processes that train together, each with a job like this one; rank 0 writes the files.
    pub ranks: Rc<dyn Communicator>,
    /// Who records steps, if they are to be replayed where they are all alike.
    pub recorder: Option<Rc<dyn Recorder>>,
}

impl Job {
    /// The name of the file with the weights: an ONNX network stays one.
    pub fn weights(&self) -> String {
        format!("last.{}", self.model.source.extension())
    }

    /// The same of the weights that the validation images chose.
    pub fn best(&self) -> String {
        format!("best.{}", self.model.source.extension())
    }
}

/// What happens at a loss or a gradient that is NaN or infinite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnNan {
    /// The run stops with an error that names the step and the loss parts.
    #[default]
    Stop,
    /// The step is left out and counted; costs one synchronisation a step.
    Skip,
}

/// What a progress bar shows; reading it costs one synchronisation, so it comes now and then.
pub struct Tick {
    /// Steps done in this epoch.
    pub step: usize,
    /// Steps of an epoch.
    pub steps: usize,
    /// Epoch, from 1.
    pub epoch: u32,
    /// Mean loss of this epoch so far and training accuracy in [0, 1], where they were read.
    pub so_far: Option<(f64, f64)>,
}

/// Who is told how a run goes.
pub trait Observer {
    /// Once, after the last check and before the first step; `done` epochs were done before.
    fn start(&mut self, _done: u32) {}
    /// After every step.
    fn tick(&mut self, tick: &Tick);
    /// After every epoch.
    fn epoch(&mut self, line: &EpochLine);
}
