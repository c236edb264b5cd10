//! The words of the call.
use std::path::PathBuf;

use serde::Serialize;

use super::variants;
use crate::choices;
use crate::session::{lossy, lossy_option};

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    pub(super) action: Action,
}

/// What is known before anything is asked.
#[derive(clap::Args, Serialize)]
pub(super) struct Prior {
    /// Number of nonzero coefficients, or auto: ask until fresh samples agree.
    #[arg(long, default_value = "auto")]
    pub sparsity: String,
    /// Largest number worth the samples when the sparsity is auto.
    #[arg(long)]
    pub max_sparsity: Option<usize>,
    /// Standard deviation of the noise, or auto (unknown). Without it values are taken as exact.
    #[arg(long)]
    pub noise_std: Option<String>,
    /// No interaction of more variables than this.
    #[arg(long)]
    pub degree: Option<usize>,
    /// Every interaction has a parent with one variable less (sums of decision trees); needs --degree.
    #[arg(long, requires = "degree")]
    pub hereditary: bool,
    /// How the answers are decoded.
    #[arg(long, value_enum, default_value = "auto")]
    pub decoder: choices::Decoding,
    /// Samples to spend on decoding.
    #[arg(long)]
    pub samples: Option<usize>,
    /// Fresh samples that are kept from the decoder.
    #[arg(long, default_value_t = 64)]
    pub holdout: usize,
    /// Probability with which the status may claim too much.
    #[arg(long, default_value_t = 0.01)]
    pub delta: f64,
    /// Standard errors from each sample's own residual instead of one variance.
    #[arg(long)]
    pub sandwich: bool,
}

/// What is derived from the spectrum.
#[derive(clap::Args)]
pub(super) struct Derived {
    /// Adds the Möbius coefficients: x[m] = Σ_{S ⊆ m} μ(S).
    #[arg(long)]
    pub moebius: bool,
    /// Adds Shapley and Banzhaf values, Sobol indices and the energy by number of variables.
    #[arg(long)]
    pub indices: bool,
}

#[derive(clap::Subcommand, Serialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub(super) enum Action {
    /// Dense transform of 2^n values, unnormalised.
    Transform {
        #[serde(serialize_with = "lossy")]
        values: PathBuf,
        /// Where the transform goes (.npy).
        #[arg(long)]
        #[serde(serialize_with = "lossy_option")]
        out: Option<PathBuf>,
    },
    /// Sparse spectrum of 2^n values, reading only the samples it needs.
    Sparse {
        #[serde(serialize_with = "lossy")]
        values: PathBuf,
        /// Whatever is expected to be faster: the samples, or all values and the dense transform.
        #[arg(long)]
        fastest: bool,
        #[command(flatten)]
        #[serde(flatten)]
        prior: Prior,
        #[command(flatten)]
        #[serde(skip)]
        derived: Derived,
    },
    /// Writes a plan and its queries.
    Plan {
        #[arg(long)]
        variables: usize,
        #[command(flatten)]
        #[serde(flatten)]
        prior: Prior,
        /// Where the plan goes (.json).
        #[arg(long)]
        #[serde(skip)]
        out: PathBuf,
        /// Queries, one line of 0 and 1 each, most significant variable first.
        #[arg(long)]
        #[serde(skip)]
        queries: PathBuf,
    },
    /// Decodes the answers to a plan's queries.
    Decode {
        #[serde(serialize_with = "lossy")]
        plan: PathBuf,
        #[arg(long)]
        #[serde(serialize_with = "lossy")]
        answers: PathBuf,
        #[command(flatten)]
        #[serde(skip)]
        derived: Derived,
    },
    /// Asks a program: queries to its standard input, one number a line from its standard output.
    ///
    /// The program reads to the end of its input; it is started again for the questions that are left when it dies, and
    /// for each further stage when the sparsity is auto.
    Exec {
        #[arg(long)]
        variables: usize,
        #[command(flatten)]
        #[serde(flatten)]
        prior: Prior,
        #[command(flatten)]
        #[serde(skip)]
        derived: Derived,
        /// Where answers are noted as they come, one line of query and number each. A later call with the same file does
        /// not ask them again.
        #[arg(long)]
        #[serde(serialize_with = "lossy_option")]
        answers_log: Option<PathBuf>,
        /// Starts of the program in a row that may end without an answer.
        #[arg(long, default_value_t = 3)]
        restarts: usize,
        /// Questions in all, those of the log included: at this ceiling the search ends with the answer so far.
        #[arg(long, default_value_t = 100_000)]
        max_queries: usize,
        #[arg(last = true, required = true)]
        #[serde(rename = "exec")]
        command: Vec<String>,
    },
    /// Learns from a table of measured variants, and says what new ones would be.
    Fit(variants::FitWords),
    /// Values of new variants from a model that `fit --out` wrote.
    Predict(variants::PredictWords),
}
