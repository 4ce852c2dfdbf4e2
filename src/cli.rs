//! The command line: what can be asked, with defaults and units. Parsing does no work.

use attack::{Beta, Norm, Strength};
use clap::{Args, Parser, Subcommand};
use models::{Precision, Score, Smoothing};
use std::path::PathBuf;
use train::OnNan;

mod bench;
mod certify;
mod common;
mod data;
mod doctor;
mod drawn;
mod list;
mod masker;
mod measure;
mod plane;
mod run;
mod shell;
mod transfer;
mod values {
    //! What options hold, and how it is read.
    pub(super) mod names;
    pub(super) mod parse;
    pub(super) mod surrogate;
    pub(super) mod target;
}
mod weights;

use values::{names, parse, surrogate, target};

pub use self::bench::Bench;
pub use self::certify::{Certify, Smoothed};
pub use self::data::{Data, Reading, Set};
pub use self::doctor::Doctor;
pub use common::Common;
pub use drawn::{Drawn, shown};
pub use list::List;
pub use masker::Masker;
pub use measure::Measure;
pub use parse::{Store, named};
use parse::{
    beta, fraction, members, one_of, picture_file, renamed, sharpness, smoothing, tensor_file,
};
pub use plane::Plane;
pub use run::Run;
pub use shell::{Completions, Man};
pub use surrogate::SurrogatePrecision;
pub use target::TargetClass;
pub use transfer::Transfer;
pub use weights::Weights;

/// Train robust image classifiers, explain them, attack and measure the explanations.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train an image classifier with the settings of a TOML file
    Train(Train),
    /// Measure a classifier's accuracy, robust accuracy, and input curvature
    Eval(Eval),
    /// Compute attribution maps; write them or draw them
    Explain(Explain),
    /// Change images slightly so that attribution maps move and predicted classes do not
    Attack(Attack),
    /// Attack maps of some models and methods; evaluate all others on the attacked images
    Transfer(Transfer),
    /// Prove how much of a smoothed map no change of the image within an l2 ball can move
    Certify(Certify),
    /// Compute quality metrics of maps, such as robustness, faithfulness, localisation
    Measure(Measure),
    /// Train the network whose masks are the maps of the method rtsal
    Masker(Masker),
    /// Compute and plot attributions of a 2-D toy function
    Plane(Plane),
    /// Run experiment files, then make a page with tables, figures and claims
    Run(Run),
    /// Build an HTML report, with figures, CSV and JSON, from result folders
    Report(Report),
    /// Download, generate, convert or inspect datasets
    #[command(subcommand)]
    Data(Data),
    /// List the architectures, with parameter counts
    Models,
    /// Inspect weights, or write them with a header that needs no options
    #[command(subcommand)]
    Weights(Weights),
    /// List methods, metrics, attacks, kinds of data with options; or a network's taps
    List(List),
    /// Show versions of libtorch and CUDA, devices, threads, what is missing; test a device
    Doctor(Doctor),
    /// Benchmark attribution methods and training objectives
    Bench(Bench),
    /// Print a script that completes the program's words in a shell
    Completions(Completions),
    /// Write the manual pages, one a command
    Man(Man),
}

impl Command {
    /// Whether `--resume` goes on where this was stopped.
    pub fn keeps_parts(&self) -> bool {
        match self {
            Command::Train(_) | Command::Run(_) => true,
            Command::Attack(args) => args.out.is_some(),
            Command::Transfer(args) => args.out.is_some(),
            Command::Certify(args) => args.out.is_some(),
            Command::Measure(args) => args.out.is_some(),
            _ => false,
        }
    }
}

#[derive(Debug, Args)]
pub struct Train {
    /// Settings of the run (see experiments/train/ and docs/train.md)
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Apply the `[scale.NAME]` table of the file, such as smoke
    #[arg(long, value_name = "NAME")]
    pub scale: Option<String>,
    /// Override a setting, such as `--set epochs=3` or `--set optimizer.learning_rate=0.05`
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Output folder: log.jsonl, last.safetensors (or last.onnx), config.toml, TensorBoard events
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Continue the run in that folder, or start one if there is none
    #[arg(long)]
    pub resume: bool,
    /// On a loss that is NaN or infinite: stop, or skip the step and count it
    #[arg(long, default_value = "stop", value_parser = one_of::<OnNan>())]
    pub on_nan: OnNan,
}

/// A model and the images it is asked about.
#[derive(Clone, Debug, Args)]
pub struct Subject {
    /// Model weights: safetensors (sharded or not), a PyTorch checkpoint or an ONNX file; NAME=FILE
    /// names the model in tables
    #[arg(long, value_name = "FILE")]
    pub weights: PathBuf,
    /// Architecture, if the file does not name it (see `gradproof models`)
    #[arg(long, value_name = "NAME")]
    pub arch: Option<String>,
    /// Input normalisation, if the file stores none: cifar10, imagenet, mnist, none or MEAN/STD;
    /// `force:` before it overrides the stored one
    #[arg(long, value_name = "STATS")]
    pub normalise: Option<String>,
    /// Which network to read from a file with several, such as `state_dict_ema`
    #[arg(long, value_name = "NAME")]
    pub entry: Option<String>,
    /// Dataset: KIND:PATH, a path whose kind is recognised, or a kind without a path such as
    /// `shapes` (see `gradproof list`)
    #[arg(long)]
    pub data: String,
    #[command(flatten)]
    pub reading: Reading,
    /// Class names in the order of the logits, if the weights have none: a file with one name per
    /// line, names separated by commas, or `imagenet` for the 1000 of ImageNet-1k
    #[arg(long, value_name = "FILE")]
    pub classes: Option<String>,
    /// Rename classes of the data to the model's, such as `plane=airplane,car=automobile`; several
    /// may map to one
    #[arg(long, value_name = "DATA=MODEL,...", value_delimiter = ',', value_parser = renamed)]
    pub class_map: Vec<(String, String)>,
    /// Only images of this class (name or number); --limit and --offset count these
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,
    /// Number of images to use [default: all]
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Number of images to skip first
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub offset: usize,
    /// Images per batch [default: 64 (a GPU: 512), or as many as fit into half of the free memory]
    #[arg(long, value_name = "N")]
    pub batch_size: Option<usize>,
    /// Type that linear and convolution layers compute in
    #[arg(long, default_value = "f32", value_parser = one_of::<Precision>())]
    pub precision: Precision,
    /// Do not fold batch norm into convolutions
    #[arg(long)]
    pub no_fuse: bool,
    /// Ask the network with softplus of this beta in place of every ReLU
    #[arg(long, value_name = "BETA", value_parser = sharpness, allow_hyphen_values = true)]
    pub softplus: Option<f64>,
    /// Ask the mean of the network's outputs over Gaussian noise, such as `sigma=0.1,samples=16`;
    /// `average=probabilities` takes their mean; draws are of `seed=0`
    #[arg(long, value_name = "OPTIONS", value_parser = smoothing)]
    pub smoothed: Option<Smoothing>,
    /// Random seed
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

impl Subject {
    /// Everything here that numbers depend on, to tell parts of other commands.
    pub fn resume_key(&self) -> String {
        format!("{:?}", Subject { batch_size: None, ..self.clone() })
    }
}

/// What is explained.
#[derive(Debug, Args)]
pub struct Explained {
    /// Class that is explained: predicted, label, or a class by name or number
    #[arg(long, default_value_t = TargetClass::Predicted, allow_hyphen_values = true)]
    pub target: TargetClass,
    /// Output of that class that is explained
    #[arg(long, default_value = "logit", value_parser = one_of::<Score>())]
    pub score: Score,
    /// Maximum inputs per forward pass (a method may take many samples of an image); halved
    /// automatically on GPU out-of-memory [default: 256 (a GPU: 4096), or as many as fit into half of the free
    /// memory]
    #[arg(long, value_name = "IMAGES")]
    pub chunk: Option<u32>,
}

#[derive(Debug, Args)]
pub struct Eval {
    #[command(flatten)]
    pub subject: Subject,
    /// Evaluate robust accuracy under N-step PGD
    #[arg(long, value_name = "STEPS")]
    pub pgd: Option<u32>,
    /// Evaluate robust accuracy under N-step Auto-PGD, on cross-entropy and on DLR
    #[arg(long, value_name = "STEPS")]
    pub apgd: Option<u32>,
    /// Evaluate robust accuracy under the black-box Square attack with N queries
    #[arg(long, value_name = "QUERIES")]
    pub square: Option<u32>,
    /// Attacks on predictions, separated by commas: NAME or NAME:key=value (see `gradproof list`),
    /// `standard` (AutoAttack: apgd-ce, apgd-t, fab-t and square) or `quick` (apgd-ce, apgd-dlr and
    /// square); each runs on the images still classified correctly
    #[arg(long, value_name = "ATTACKS", value_parser = names::adversaries)]
    pub attack: Option<String>,
    /// Radii of the attacks' ball, separated by commas, for pixels in [0, 1] [default: 8/255; for
    /// l2 0.5]
    #[arg(long, value_delimiter = ',', value_parser = fraction, allow_hyphen_values = true)]
    pub eps: Vec<f64>,
    /// Norm of the ball
    #[arg(long, default_value = "linf", value_parser = one_of::<Norm>())]
    pub norm: Norm,
    /// Compute the largest eigenvalue of the cross-entropy's input Hessian too
    #[arg(long)]
    pub curvature: bool,
    /// Plot the rows of a table with two columns, and the decision boundary
    #[arg(long, value_name = "FILE.png", value_parser = picture_file)]
    pub figure: Option<PathBuf>,
    /// Write clean and adversarial images here; with several radii one file each
    #[arg(long, value_name = "FILE.safetensors", value_parser = tensor_file)]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Explain {
    #[command(flatten)]
    pub subject: Subject,
    #[command(flatten)]
    pub explained: Explained,
    /// Attribution methods, separated by commas: NAME or NAME:key=value (see `gradproof list`)
    #[arg(long, value_name = "METHODS", value_parser = names::methods)]
    pub method: String,
    /// Write the signed attribution maps here, with several methods one file each, and beside them a
    /// JSON file that `gradproof report` makes a page of
    #[arg(long, value_name = "FILE.safetensors", value_parser = tensor_file)]
    pub out: Option<PathBuf>,
    /// Write the standard error of each number of the maps beside them, where they are means over draws
    #[arg(long, requires = "out")]
    pub standard_error: bool,
    #[command(flatten)]
    pub drawn: Drawn,
}

#[derive(Debug, Args)]
pub struct Attack {
    #[command(flatten)]
    pub subject: Subject,
    #[command(flatten)]
    pub explained: Explained,
    /// Attribution method whose maps are attacked: NAME or NAME:key=value (see `gradproof list`)
    #[arg(long, value_parser = names::methods)]
    pub method: String,
    #[command(flatten)]
    pub how: Attacking,
    /// Write images, maps and metrics here; with several radii one file each
    #[arg(long, value_name = "FILE.safetensors", value_parser = tensor_file)]
    pub out: Option<PathBuf>,
    /// Continue a killed attack with the same --out
    #[arg(long, requires = "out")]
    pub resume: bool,
    #[command(flatten)]
    pub drawn: Drawn,
}

impl Explained {
    /// Everything here that numbers depend on, to tell parts of other commands.
    pub fn resume_key(&self) -> String {
        format!("{} {:?}", self.target, self.score)
    }
}

/// How maps are attacked.
#[derive(Debug, Args)]
#[command(next_help_heading = "Attack options")]
pub struct Attacking {
    #[arg(long, value_parser = names::objective, help = format!("Objective of the attack: {}, as NAME or NAME:key=value (see \
        `gradproof list`)", members(attack::ATTACKS)))]
    pub attack: String,
    /// Radii of the ball, separated by commas, for pixels in [0, 1]
    #[arg(long, value_delimiter = ',', value_parser = fraction, allow_hyphen_values = true, default_values = ["2/255", "4/255", "8/255", "16/255"])]
    pub eps: Vec<f64>,
    /// Begin each radius with the images that the next smaller one found, and keep those that are
    /// not outdone: a larger radius is never weaker, and depends on the others listed
    #[arg(long)]
    pub warm_start_eps: bool,
    /// Norm of the ball
    #[arg(long, default_value = "linf", value_parser = one_of::<Norm>())]
    pub norm: Norm,
    /// fast: one walk of 50 iterations, which the options below change; standard: walks of several
    /// kinds, which have no options, also for methods without gradients
    #[arg(long, default_value = "fast", value_parser = one_of::<Strength>())]
    pub strength: Strength,
    #[arg(long, value_parser = names::rule, help = format!("Optimiser: {}, as NAME or NAME:key=value; one without gradients, \
        such as square, attacks any method [default: apgd; for random and for a --beta in absolute \
        numbers sign]", members(attack::OPTIMIZERS)))]
    pub rule: Option<String>,
    /// Iterations per start [default: 50]
    #[arg(long, value_name = "N")]
    pub iters: Option<u32>,
    /// Number of starts: the clean image, then random ones; the strongest result per image is kept
    /// [default: 1]
    #[arg(long, value_name = "N")]
    pub restarts: Option<u32>,
    /// Step size, for pixels in [0, 1] [default: from eps on falling to 0; for a --beta in absolute
    /// numbers 0.5/255, for l2 2.5 eps / iterations]
    #[arg(long, value_parser = fraction, allow_hyphen_values = true)]
    pub step: Option<f64>,
    /// k of top-k intersection and of the attack topk, in pixels [default: 20 up to 32x32, 80 up to
    /// 64x64, else 1000]
    #[arg(long, value_name = "K")]
    pub k: Option<i64>,
    /// Softplus beta used in place of ReLU during the attack, or START:END to increase it;
    /// START:END/spread in units of one over the spread of each ReLU's input [default:
    /// 10:300/spread]. A number such as 20 is the attack as published: sign steps, topk by sums
    #[arg(long, value_parser = beta, allow_hyphen_values = true)]
    pub beta: Option<Beta>,
    /// Type that the softened network computes in, which only points the way: iterates are judged in
    /// that of the network. auto: bf16 where that was measured to pay, else f32, by the cheapest
    /// formulas; f32: to the last digit
    #[arg(long, value_name = "TYPE", default_value = "auto", value_parser = one_of::<SurrogatePrecision>())]
    pub surrogate_precision: SurrogatePrecision,
    /// The method draws anew at every step of the attack, which descends the expectation over its draws
    #[arg(long)]
    pub fresh_draws: bool,
    /// Samples of a method that draws when results are judged, by draws of their own [default: as many
    /// as the attack's, or more until clean maps under two sets of draws have a k-in of 0.9, at most 256]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub judge_samples: Option<u32>,
    /// Target of `manipulate`: the map of this image [default: the map of the next image]
    #[arg(long, value_name = "FILE", conflicts_with = "target_map")]
    pub target_image: Option<PathBuf>,
    /// Target of `manipulate`: the first map in this file, as `explain --out` writes it
    #[arg(long, value_name = "FILE.safetensors")]
    pub target_map: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Report {
    /// Folders with results of `train`, `explain`, `attack`, `transfer`, `measure` and others
    #[arg(required = true, value_name = "DIR")]
    pub dirs: Vec<PathBuf>,
    /// Output folder of the page [default: the first folder]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}
