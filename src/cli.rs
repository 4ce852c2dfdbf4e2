//! The command line: what can be asked, with defaults and units. Parsing does no work.

use crate::runtime::device::Choice;
use attack::{Beta, Norm};
use clap::{Args, Parser, Subcommand};
use models::{Precision, Score};
use std::path::PathBuf;
use train::OnNan;

mod data;
mod measure;
mod parse;
mod plane;
mod run;
mod target;
mod transfer;
mod weights;

pub use self::data::{Data, Reading, Set};
pub use measure::Measure;
use parse::{
    NORMS, ON_NAN, beta, fraction, memory, one_of, picture_file, precision, renamed, score,
    tensor_file,
};
pub use parse::{Store, named};
pub use plane::Plane;
pub use run::Run;
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

#[derive(Debug, Args)]
#[command(next_help_heading = "Common options")]
pub struct Common {
    /// auto, cpu, cuda or cuda:N
    #[arg(long, global = true, default_value_t = Choice::Auto)]
    pub device: Choice,
    /// CPU threads [default: all cores]
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<u16>,
    /// Images of a folder kept in memory; a larger set is read while it is used [default: 4GB]
    #[arg(long, global = true, value_name = "AMOUNT", value_parser = memory)]
    pub memory: Option<u64>,
    /// Print one JSON object on stdout, everything else on stderr
    #[arg(long, global = true)]
    pub json: bool,
    /// No notes and no progress
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Say more
    #[arg(long, short, global = true)]
    pub verbose: bool,
}

impl Common {
    /// Bytes of decoded images kept in memory.
    pub fn memory(&self) -> u64 {
        self.memory.unwrap_or(::data::MEMORY)
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a classifier from a TOML file
    Train(Train),
    /// Measure a classifier's accuracy, its accuracy under attack, its curvature
    Eval(Eval),
    /// Write attribution maps, and a figure of them
    Explain(Explain),
    /// Attack attribution maps while the prediction stays
    Attack(Attack),
    /// Attack the maps of some models and methods, and judge all of them on what was found
    Transfer(Transfer),
    /// Measure explanations: robustness, faithfulness, relevance, localisation
    Measure(Measure),
    /// Take and draw maps of a function of two numbers
    Plane(Plane),
    /// Run an experiment: every cell of a file, then a page with its tables, figures and claims
    Run(Run),
    /// Make one HTML page, pictures, CSV and JSON of what lies in result folders
    Report(Report),
    /// Download, make or look at data
    #[command(subcommand)]
    Data(Data),
    /// List the architectures, with parameter counts
    Models,
    /// Look at weights or convert them
    #[command(subcommand)]
    Weights(Weights),
    /// List attribution methods, metrics, attacks, objectives, kinds of data, with their options
    List {
        /// Only what is called so, such as `smoothgrad`
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// Show libtorch, CUDA, devices and threads, and what is missing
    Doctor,
    /// Time the hot paths
    Bench(Bench),
}

#[derive(Debug, Args)]
pub struct Train {
    /// Settings of the run (see experiments/train/)
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Use the `[scale.NAME]` part of the file, such as smoke
    #[arg(long, value_name = "NAME")]
    pub scale: Option<String>,
    /// Override a setting, such as `--set epochs=3` or `--set optimizer.learning_rate=0.05`
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Folder of the run: log.jsonl, last.safetensors, config.toml, TensorBoard events
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Go on with the run in that folder, or start one
    #[arg(long)]
    pub resume: bool,
    /// What to do at a loss that is NaN or infinite: stop, or skip that step and count it
    #[arg(long, default_value = "stop", value_parser = one_of(ON_NAN))]
    pub on_nan: OnNan,
}

/// A model and the images it is asked about.
#[derive(Clone, Debug, Args)]
pub struct Subject {
    /// Weights: safetensors, its shards, or a PyTorch checkpoint; `NAME=FILE` says what the model is
    /// called in tables
    #[arg(long, value_name = "FILE")]
    pub weights: PathBuf,
    /// Architecture, where the file does not say
    #[arg(long, value_name = "NAME")]
    pub arch: Option<String>,
    /// cifar10, imagenet, mnist, none or MEAN/STD, where the file does not say; `force:` before it
    /// overrules what the file says
    #[arg(long, value_name = "N")]
    pub normalise: Option<String>,
    /// Which of several sets of weights in the file, such as `state_dict_ema`
    #[arg(long, value_name = "NAME")]
    pub entry: Option<String>,
    /// KIND:PATH, a path whose kind is recognised, `shapes` or `simulated` (see `gradproof list`)
    #[arg(long)]
    pub data: String,
    #[command(flatten)]
    pub reading: Reading,
    /// Names of the model's classes in the order of its logits, where the weights do not say: a file
    /// with a name a line, or names between commas
    #[arg(long, value_name = "FILE")]
    pub classes: Option<String>,
    /// Classes of the data under the model's names for them, such as `plane=airplane,car=automobile`;
    /// several may be the same
    #[arg(long, value_name = "DATA=MODEL,...", value_delimiter = ',', value_parser = renamed)]
    pub class_map: Vec<(String, String)>,
    /// Only images of this class: its name or number; limit and offset count these
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,
    /// Number of images [default: all]
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Images left out at the start
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub offset: usize,
    /// Images in one batch [default: 64, or as many as half of the free memory holds]
    #[arg(long, value_name = "N")]
    pub batch_size: Option<usize>,
    /// f32 or bf16
    #[arg(long, default_value = "f32", value_parser = precision)]
    pub precision: Precision,
    /// Keep batch norms apart from their convolutions
    #[arg(long)]
    pub no_fuse: bool,
    /// Seed of everything random
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

impl Subject {
    /// Everything here that numbers depend on, to tell parts of other commands.
    pub fn decides(&self) -> String {
        format!("{:?}", Subject { batch_size: None, ..self.clone() })
    }
}

/// What is explained.
#[derive(Debug, Args)]
pub struct Explained {
    /// Class that is explained: predicted, label, or a class of the model by its name or number
    #[arg(long, default_value_t = TargetClass::Predicted, allow_hyphen_values = true)]
    pub target: TargetClass,
    /// Score of that class: logit, prob or logprob
    #[arg(long, default_value = "logit", value_parser = score)]
    pub score: Score,
    /// Images a pass at most, where a method takes many samples of each: bounds memory; halved where a GPU
    /// has no room [default: 256, or as many as half of the free memory holds]
    #[arg(long, value_name = "IMAGES")]
    pub chunk: Option<u32>,
}

#[derive(Debug, Args)]
pub struct Eval {
    #[command(flatten)]
    pub subject: Subject,
    /// Attack the predictions with so many steps of PGD
    #[arg(long, value_name = "STEPS")]
    pub pgd: Option<u32>,
    /// Attack with so many steps of Auto-PGD, on cross-entropy and on DLR
    #[arg(long, value_name = "STEPS")]
    pub apgd: Option<u32>,
    /// Attack without gradients, with so many queries of Square
    #[arg(long, value_name = "QUERIES")]
    pub square: Option<u32>,
    /// Attacks, separated by commas: NAME or NAME:key=value (see `gradproof list`), or `standard`:
    /// apgd-ce, apgd-dlr and square; each attacks what those before it left right
    #[arg(long, value_name = "ATTACKS")]
    pub attack: Option<String>,
    /// Radii of the attacks, separated by commas [default: 8/255; for l2 0.5]
    #[arg(long, value_delimiter = ',', value_parser = fraction, allow_hyphen_values = true)]
    pub eps: Vec<f64>,
    /// Norm of the ball: linf or l2
    #[arg(long, default_value = "linf", value_parser = one_of(NORMS))]
    pub norm: Norm,
    /// Measure the largest eigenvalue of the cross-entropy's input Hessian too
    #[arg(long)]
    pub curvature: bool,
    /// Draw rows of a table with two columns, and where the predicted class changes
    #[arg(long, value_name = "FILE.png", value_parser = picture_file)]
    pub figure: Option<PathBuf>,
    /// Write clean and attacked images here; with several radii one file each
    #[arg(long, value_name = "FILE.safetensors", value_parser = tensor_file)]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Explain {
    #[command(flatten)]
    pub subject: Subject,
    #[command(flatten)]
    pub explained: Explained,
    /// Methods, separated by commas: NAME or NAME:key=value (see `gradproof list`)
    #[arg(long, value_name = "METHODS")]
    pub method: String,
    /// Write the signed maps here; with several methods one file each
    #[arg(long, value_name = "FILE.safetensors", value_parser = tensor_file)]
    pub out: Option<PathBuf>,
    /// Draw images and heat maps here
    #[arg(long, value_name = "FILE.png", value_parser = picture_file)]
    pub figure: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Attack {
    #[command(flatten)]
    pub subject: Subject,
    #[command(flatten)]
    pub explained: Explained,
    /// Method whose maps are attacked: NAME or NAME:key=value
    #[arg(long)]
    pub method: String,
    #[command(flatten)]
    pub how: Attacking,
    /// Write images, maps and metrics here; with several radii one file each
    #[arg(long, value_name = "FILE.safetensors", value_parser = tensor_file)]
    pub out: Option<PathBuf>,
    /// Go on where a killed attack with the same `--out` stopped
    #[arg(long, requires = "out")]
    pub resume: bool,
    /// Draw clean and attacked images and maps here
    #[arg(long, value_name = "FILE.png", value_parser = picture_file)]
    pub figure: Option<PathBuf>,
}

impl Explained {
    /// Everything here that numbers depend on, to tell parts of other commands.
    pub fn decides(&self) -> String {
        format!("{} {:?}", self.target, self.score)
    }
}

/// How maps are attacked.
#[derive(Debug, Args)]
#[command(next_help_heading = "Attack options")]
pub struct Attacking {
    /// manipulate, mass-centre, random, targeted or topk: NAME or NAME:key=value (see `gradproof
    /// list`)
    #[arg(long)]
    pub attack: String,
    /// Radii, separated by commas, such as 2/255,4/255 [default: 2,4,8,16 /255]
    #[arg(long, value_delimiter = ',', value_parser = fraction, allow_hyphen_values = true, default_values = ["2/255", "4/255", "8/255", "16/255"])]
    pub eps: Vec<f64>,
    /// Norm of the ball: linf or l2
    #[arg(long, default_value = "linf", value_parser = one_of(NORMS))]
    pub norm: Norm,
    /// How steps are made: sign, adam, apgd, or square, which needs no gradient and so attacks any
    /// method
    #[arg(long, default_value = "sign")]
    pub rule: String,
    /// Iterations from each start
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub iters: u32,
    /// Starts: the clean image, then random ones; the strongest result of each image counts
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub restarts: u32,
    /// Step size [default: 0.5/255; for l2 2.5 eps / iterations]
    #[arg(long, value_parser = fraction, allow_hyphen_values = true)]
    pub step: Option<f64>,
    /// Pixels that count as the top [default: 20 up to 32x32, 80 up to 64x64, else 1000]
    #[arg(long, value_name = "K")]
    pub k: Option<i64>,
    /// Sharpness of the softplus that stands for each ReLU while attacking, or START:END to let it
    /// grow, such as 10:100
    #[arg(long, default_value = "20", value_parser = beta, allow_hyphen_values = true)]
    pub beta: Beta,
    /// Aim `manipulate` at the map of this image [default: at that of the next image of the data]
    #[arg(long, value_name = "FILE", conflicts_with = "target_map")]
    pub target_image: Option<PathBuf>,
    /// Aim `manipulate` at the first of the `maps` in this file, as `explain --out` writes it
    #[arg(long, value_name = "FILE.safetensors")]
    pub target_map: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Bench {
    /// What is timed: explain, train [default: all]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Only contestants whose names hold one of these words, beside the unit, such as `ssr,pgd-7`
    #[arg(long, value_name = "WORDS", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Architecture, with random weights on 3x32x32 images
    #[arg(long, value_name = "NAME", default_value = "resnet20")]
    pub arch: String,
    /// Images in one step
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch_size: usize,
    /// Rounds that count, after two that do not
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub rounds: u32,
    /// Images a pass of a method, samples included
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub chunk: u32,
    /// f32 or bf16; with bf16, how far each map is from that in f32
    #[arg(long, default_value = "f32", value_parser = precision)]
    pub precision: Precision,
    /// Peak memory of IG and SmoothGrad with 5,000 samples against 50 too (minutes)
    #[arg(long)]
    pub peak_memory: bool,
}

#[derive(Debug, Args)]
pub struct Report {
    /// Folders with results of `train`, `attack`, `transfer` and `measure`
    #[arg(required = true, value_name = "DIR")]
    pub dirs: Vec<PathBuf>,
    /// Where the page goes [default: the first folder]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}
