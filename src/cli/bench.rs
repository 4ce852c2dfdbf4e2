//! The arguments of `bench`.

use super::parse::one_of;
use clap::Args;
use models::Precision;

#[derive(Debug, Args)]
pub struct Bench {
    /// What to benchmark: explain, train [default: all]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Run only benchmarks whose name contains one of these, such as `ssr,pgd-7` (the baseline
    /// always runs)
    #[arg(long, value_name = "WORDS", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Architecture, with random weights on 3x32x32 images
    #[arg(long, value_name = "NAME", default_value = "resnet20")]
    pub arch: String,
    /// Images per step
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch_size: usize,
    /// Timed rounds, after two warm-up rounds
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub rounds: u32,
    /// Maximum inputs per forward pass of a method, samples included
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub chunk: u32,
    /// Type that linear and convolution layers compute in; with bf16 also the error of each map
    /// against f32
    #[arg(long, default_value = "f32", value_parser = one_of::<Precision>())]
    pub precision: Precision,
    /// Also measure peak memory of IG and SmoothGrad with 5,000 samples against 50 (minutes)
    #[arg(long)]
    pub peak_memory: bool,
}
