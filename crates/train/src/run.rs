//! The training loop. A run killed at any moment and resumed ends with the same weights as one
//! never killed, bit for bit on a CPU with the same number of threads.

use crate::{
    EpochLine, Job, Observer, accuracy, communicator,
    ema::Ema,
    epoch::{self, Epoch},
    evaluate::robust,
    log,
    log::tensorboard,
    objective, optimizer,
    resume::{self, State},
    schedule,
};
use anyhow::{Context, Result, bail, ensure};
use data::Dataset;
use models::{Classifier, Source, checkpoint, graph::Graph, params::flat::Flat};
use std::{cell::OnceCell, collections::BTreeMap, path::Path, time::Instant};
use tch::{Kind, Tensor};

/// The file with the whole state of a run, and its log.
const STATE: &str = "resume.safetensors";
const LOG: &str = "log.jsonl";

/// Trains to the last epoch and returns the log.
///
/// ```
/// use data::Split;
/// use models::{Classifier, zoo, zoo::{Normalisation, Shape}};
/// use std::rc::Rc;
/// use tch::Device;
/// use train::{Config, EpochLine, Job, Observer, OnNan, SingleProcess, Tick, run};
///
/// #[derive(Default)]
/// struct Losses(Vec<f64>);
///
/// impl Observer for Losses {
///     fn tick(&mut self, _: &Tick) {}
///     fn epoch(&mut self, line: &EpochLine) {
///         self.0.push(line.loss["total"]);
///     }
/// }
///
/// let settings = "epochs = 2\nbatch_size = 8\n[data]\ntrain = \"shapes\"\n[model]\narch = \"mlp\"\n\
///                 [optimizer]\nname = \"sgd\"\nlearning_rate = 0.1";
/// let shape = Shape { image: [3, 32, 32], classes: 10 };
/// let scale = Normalisation::parse("0.5/0.25", 3)?;
/// let folder = tempfile::tempdir()?;
/// let job = Job {
///     config: Config::parse(settings, &[])?,
///     model: Classifier::new(zoo::arch("mlp")?, shape, scale, 0, Device::Cpu),
///     train: data::load("shapes:train=16", &Split::Train.into())?,
///     test: None,
///     validation: None,
///     out: folder.path().join("run"),
///     resume: false,
///     adversary: None,
///     on_nan: OnNan::Stop,
///     ranks: Rc::new(SingleProcess),
///     recorder: None,
/// };
/// let mut losses = Losses::default();
/// run(&job, &mut losses)?;
/// assert_eq!(losses.0.len(), 2);
/// # Ok::<(), anyhow::Error>(())
/// ```
pub fn run(job: &Job, watch: &mut dyn Observer) -> Result<Vec<EpochLine>> {
    let config = &job.config;
    let mut objective = objective::objective(&config.objective)?;
    check(job, objective.attack().is_some())?;
    let schedule = schedule::schedule(&config.schedule)?;
    let mut optimizer = optimizer::optimizer(&config.optimizer)?;
    let flat = Flat::new(job.model.params());
    let mut ema = config.ema.map(|decay| Ema::new(decay, job.model.params(), &flat));
    let at = |name: &str| job.out.join(name);
    let mut state = State {
        model: &job.model,
        flat: &flat,
        objective: &mut *objective,
        optimizer: &mut *optimizer,
        ema: ema.as_mut(),
    };
    let (mut done, mut lines) = job.resumed(&mut state)?;
    job.begin(done)?;
    watch.start(done);
    let recorded = OnceCell::new();
    while done < config.epochs {
        let clock = Instant::now();
        let mut epoch = Epoch {
            job,
            flat: &flat,
            number: done,
            objective: &mut *objective,
            schedule: &*schedule,
            optimizer: &mut *optimizer,
            ema: ema.as_mut(),
            recorded: &recorded,
        };
        let mut line = epoch.train(watch)?;
        let evaluated = job.evaluated(ema.as_ref())?;
        job.evaluate(&evaluated.folded(config.precision), &mut line)?;
        (line.seconds, line.ended) = (clock.elapsed().as_secs_f64(), log::now());
        done += 1;
        watch.epoch(&line);
        lines.push(line);
        if job.ranks.rank() > 0 {
            continue;
        }
        // The log first: a resumed run cuts what is too long, and cannot invent what is missing.
        log::write(&at(LOG), &lines)?;
        tensorboard::write(&at("events.out.tfevents.gradproof"), &config.flat(), &lines)?;
        save_weights(&at(&job.weights()), job, &evaluated, &lines)?;
        if log::best(&lines).is_some_and(|(epoch, _)| epoch == done) {
            save_weights(&at(&job.best()), job, &evaluated, &lines)?;
        }
        let state = State {
            model: &job.model,
            flat: &flat,
            objective: &mut *objective,
            optimizer: &mut *optimizer,
            ema: ema.as_mut(),
        };
        resume::save(&at(STATE), &state, done, config)?;
    }
    Ok(lines)
}

/// Errors: what would go wrong only later.
fn check(job: &Job, attacked: bool) -> Result<()> {
    let (images, size) = (job.config.batch_size, job.ranks.size());
    ensure!(
        images >= size,
        "`batch_size` is {images}, less than an image for each of {size} ranks"
    );
    epoch::check_batches(job)?;
    if let Source::Graph(graph) = &job.model.source {
        check_graph(graph, job.config.model.frozen_norm)?;
    }
    ensure!(attacked == job.adversary.is_some(), "the objective and the adversary do not fit");
    Ok(())
}

/// Errors: a graph that cannot be trained, or whose file cannot have other weights.
fn check_graph(graph: &Graph, frozen_norm: bool) -> Result<()> {
    graph.check_writable().context("its file cannot be written with other weights")?;
    if let Some(own) = graph.apart().filter(|_| graph.norms() > 0 && !frozen_norm) {
        bail!(
            "the file has batch {own} built in, so its batch norms would see {own} at a time: add \
             `model.frozen_norm = true`, or export it with a free batch"
        );
    }
    Ok(())
}

/// Removes what writers that were killed left in `folder`: temporary files of `tensorfile::atomic`.
fn sweep(folder: &Path) -> Result<()> {
    let Ok(entries) = folder.read_dir() else { return Ok(()) };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(".gradproof-") && path.is_file() {
            let told = || format!("cannot remove `{}`", path.display());
            std::fs::remove_file(&path).with_context(told)?;
        }
    }
    Ok(())
}

impl Job {
    /// Epochs done and their log, where this run goes on with one that was stopped.
    fn resumed(&self, state: &mut State) -> Result<(u32, Vec<EpochLine>)> {
        let (state_file, log_file) = (self.out.join(STATE), self.out.join(LOG));
        if !state_file.exists() {
            return Ok((0, vec![]));
        }
        ensure!(
            self.resume,
            "`{}` already holds a run; add `--resume` to go on or choose another `--out`",
            self.out.display()
        );
        let done = resume::load(&state_file, state, &self.config)?;
        let mut lines = log::read(&log_file)?;
        lines.truncate(done as usize);
        ensure!(lines.len() == done as usize, "`{}` is too short", log_file.display());
        Ok((done, lines))
    }

    /// Tidies the folder and writes the settings. Errors: ranks that do not start with the same.
    fn begin(&self, done: u32) -> Result<()> {
        let weights = communicator::weighed(&self.model.params().weights());
        let facts = [
            ("epochs done", f64::from(done)),
            ("training images", self.train.len() as f64),
            ("test images", self.test.as_ref().map_or(0, Dataset::len) as f64),
            ("validation images", self.validation.as_ref().map_or(0, Dataset::len) as f64),
            ("sum of |weights|", weights),
        ];
        // Nobody writes before all have read.
        communicator::agree(&*self.ranks, &facts)?;
        if self.ranks.rank() > 0 {
            return Ok(());
        }
        sweep(&self.out)?;
        let (path, text) = (self.out.join("config.toml"), self.config.to_toml());
        tensorfile::atomic::write(&path, |f| Ok(f.write_all(text.as_bytes())?))
    }

    /// Accuracy on the validation images and the test images, if there are any, and on some of them attacked where there is an adversary.
    fn evaluate(&self, model: &Classifier, line: &mut EpochLine) -> Result<()> {
        let right = |share: &Dataset, _| Ok(accuracy(model, share, 500, |_| {})?.correct);
        if let Some(validation) = &self.validation {
            line.validation_accuracy = Some(self.fraction(validation, right)?);
        }
        let Some(test) = &self.test else { return Ok(()) };
        line.test_accuracy = Some(self.fraction(test, right)?);
        let (Some(adversary), 1..) = (&self.adversary, self.config.robust_images) else {
            return Ok(());
        };
        let attacked = test.slice(0, Some(self.config.robust_images))?;
        let right = |share: &Dataset, first| {
            robust(model, share, &**adversary, self.config.seed, first as u64)
        };
        line.robust_accuracy = Some(self.fraction(&attacked, right)?);
        Ok(())
    }

    /// The fraction of `set` that is `right`; each rank looks at its share, whose first image's
    /// number `right` is told.
    fn fraction(
        &self,
        set: &Dataset,
        right: impl Fn(&Dataset, usize) -> Result<Tensor>,
    ) -> Result<f64> {
        let own = communicator::range(&*self.ranks, set.len());
        let count = match own.len() {
            0 => 0.,
            n => right(&set.slice(own.start, Some(n))?, own.start)?
                .sum(Kind::Double)
                .double_value(&[]),
        };
        let all = self.ranks.sum(&Tensor::from_slice(&[count]));
        Ok(all.double_value(&[0]) / set.len() as f64)
    }

    /// The network whose accuracy counts: the average where there is one.
    fn evaluated(&self, ema: Option<&Ema>) -> Result<Classifier> {
        let Some(ema) = ema else { return Ok(self.model.frozen()) };
        let average = self.model.emptied();
        average.params().fill(&ema.average())?;
        Ok(average)
    }
}

fn save_weights(path: &Path, job: &Job, model: &Classifier, lines: &[EpochLine]) -> Result<()> {
    let config = &job.config;
    let objective = config.objective.get("name").and_then(|n| n.as_str()).unwrap_or("natural");
    let mut about = BTreeMap::from([
        ("training".to_owned(), objective.to_owned()),
        ("dataset".to_owned(), job.train.name.clone()),
        ("seed".to_owned(), config.seed.to_string()),
        ("epochs".to_owned(), lines.len().to_string()),
        ("config".to_owned(), config.to_toml()),
    ]);
    about.extend(job.train.features.iter().flat_map(data::Features::to_header));
    if let Some(accuracy) = lines.last().and_then(|l| l.test_accuracy) {
        about.insert("test_accuracy".into(), format!("{accuracy:.4}"));
    }
    let best = log::best(lines).filter(|_| path.file_stem().is_some_and(|stem| stem == "best"));
    if let Some((epoch, accuracy)) = best {
        let share = 100. * config.data.validation.unwrap_or_default();
        let told = format!(
            "highest validation accuracy, {accuracy:.4} after epoch {epoch} of {}, on {share} % of the \
             images of each class, which were not trained on",
            config.epochs
        );
        about.insert("selected_by".into(), told);
    }
    checkpoint::save(path, model, Kind::Float, &about)
}
