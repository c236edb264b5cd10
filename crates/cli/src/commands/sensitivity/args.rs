//! The words of the call.
use std::path::PathBuf;

use samplewise_sensitivity::Loss;
use serde::Serialize;

use crate::cells::FirstLine;
use crate::choices::{Sampling, Scoring};
use crate::session::lossy;

#[derive(clap::Args, Serialize)]
pub struct Arguments {
    /// CSV or TSV with one row per observation, also .gz, or .parquet where built with it; - is standard input.
    #[serde(serialize_with = "lossy")]
    pub(super) table: PathBuf,
    /// Feature columns, or all.
    #[arg(long, default_value = "all")]
    pub(super) features: String,
    /// Adds a column of ones.
    #[arg(long)]
    pub(super) intercept: bool,
    #[command(flatten)]
    #[serde(skip)]
    pub(super) first_line: FirstLine,
    /// Exponent of the norm, 1 to 64.
    #[arg(long, default_value_t = 1.0)]
    pub(super) p: f64,
    /// By which scores rows are drawn.
    #[arg(long, value_enum, default_value = "lewis")]
    pub(super) method: Scoring,
    /// Size of the coreset. Default 50 rows per column.
    #[arg(long, conflicts_with = "epsilon")]
    pub(super) size: Option<usize>,
    /// Size for this distortion of the norm, between 0 and 1, by a calibrated rule.
    #[arg(long)]
    pub(super) epsilon: Option<f64>,
    /// bernoulli (independent), priority (exact size) or tree (systematic along principal directions).
    #[arg(long, value_enum, default_value = "bernoulli")]
    pub(super) sampler: Sampling,
    /// Writes scores: row,score,lower,upper.
    #[arg(long)]
    #[serde(skip)]
    pub(super) scores: Option<PathBuf>,
    /// Writes the coreset: row,weight and the original columns.
    #[arg(long)]
    #[serde(skip)]
    pub(super) out: Option<PathBuf>,
    /// Reads the table row by row, in memory that does not grow with it; coresets take one pass.
    #[arg(long)]
    pub(super) stream: bool,
    /// Target column of a regression.
    #[arg(long)]
    pub(super) regress: Option<String>,
    /// Quantile instead of the p-norm.
    #[arg(long, requires = "regress")]
    pub(super) quantile: Option<f64>,
    /// Regress on all rows; with --stream (p = 1 or a quantile) in four to ten passes over the file, without holding it. Without
    /// it the regression draws its own coreset, scored on features and target together.
    #[arg(long, requires = "regress")]
    pub(super) exact: bool,
}

impl Arguments {
    /// What a regression minimises.
    pub(super) fn loss(&self) -> Loss {
        self.quantile.map_or(Loss::Lp(self.p), Loss::Quantile)
    }

    /// The table's name in messages.
    pub(super) fn name(&self) -> String {
        self.table.display().to_string()
    }
}
