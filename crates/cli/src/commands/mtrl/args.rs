//! The words of the call.
use std::path::PathBuf;

use serde::Serialize;

use crate::cells::FirstLine;
use crate::session::{lossy, lossy_option};

#[derive(clap::Args, Serialize)]
pub struct Arguments {
    /// Folder with one CSV per task.
    #[serde(serialize_with = "lossy")]
    pub(super) tasks: PathBuf,
    /// Name of the target task (file name without ending).
    #[arg(long)]
    pub(super) target: String,
    /// Label column (default: the last).
    #[arg(long)]
    #[serde(skip)]
    pub(super) label: Option<String>,
    #[command(flatten)]
    #[serde(skip)]
    pub(super) first_line: FirstLine,
    /// Dimension of the representation, or auto.
    #[arg(long, default_value = "auto")]
    pub(super) dimension: String,
    /// guarded, l1, l2, least-l1, top-K (as top-5) or uniform.
    #[arg(long, default_value = "guarded")]
    pub(super) strategy: String,
    /// Source samples in all (default: half of what there is); with --cost money.
    #[arg(long)]
    pub(super) budget: Option<f64>,
    /// Go on until the predicted excess risk is at most this.
    #[arg(long, conflicts_with = "cost")]
    pub(super) risk: Option<f64>,
    /// CSV with the columns task, unit and, if wanted, fee.
    #[arg(long, requires = "budget")]
    #[serde(serialize_with = "lossy_option")]
    pub(super) cost: Option<PathBuf>,
    /// Rounds of topping up after the exploration.
    #[arg(long, alias = "epochs", default_value_t = 4)]
    pub(super) rounds: usize,
    /// Share of the budget explored uniformly.
    #[arg(long, default_value_t = 0.3)]
    pub(super) exploration: f64,
    /// Ridge of the target's weights, per label.
    #[arg(long, default_value_t = 1e-6)]
    pub(super) ridge: f64,
    /// Ridge of the source tasks' coefficients, per sample.
    #[arg(long, default_value_t = 0.0)]
    pub(super) source_ridge: f64,
    /// Lambda of the relevance Lasso, or auto.
    #[arg(long, default_value = "auto")]
    pub(super) lambda: String,
    /// CSV with further labelled rows of the target, to measure the error on.
    #[arg(long)]
    #[serde(skip)]
    pub(super) test: Option<PathBuf>,
    /// Relevance and samples per task as CSV, or the target's coefficients as .npy.
    #[arg(long)]
    #[serde(skip)]
    pub(super) out: Option<PathBuf>,
}
