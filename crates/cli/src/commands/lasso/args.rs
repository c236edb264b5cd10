//! The words of the call.
use std::path::PathBuf;

use serde::Serialize;

use crate::cells::FirstLine;
use crate::choices::LassoSolver;
use crate::session::{lossy, lossy_option};

#[derive(clap::Args, Serialize)]
pub struct Arguments {
    /// CSV, .parquet where built with it, or .mtx with --target-file.
    #[serde(serialize_with = "lossy")]
    pub(super) table: PathBuf,
    /// Target column; several, separated by commas, share their support.
    #[arg(long, required_unless_present = "target_file")]
    pub(super) target: Option<String>,
    #[arg(long, conflicts_with = "target")]
    #[serde(skip)]
    pub(super) target_file: Option<PathBuf>,
    #[command(flatten)]
    #[serde(skip)]
    pub(super) first_line: FirstLine,
    /// One value of lambda (default: a tenth of the largest).
    #[arg(long, conflicts_with_all = ["path", "cv"])]
    pub(super) lambda: Option<f64>,
    /// Number of values of lambda.
    #[arg(long)]
    pub(super) path: Option<usize>,
    /// Smallest lambda as a share of the largest (default 0.01).
    #[arg(long)]
    #[serde(skip)]
    pub(super) min_ratio: Option<f64>,
    /// Folds of cross-validation.
    #[arg(long)]
    pub(super) cv: Option<usize>,
    /// Read the table once, in memory that does not grow with its rows; folds are by the hash of the row's number.
    #[arg(long)]
    pub(super) stream: bool,
    /// Share of the l1 term, above 0 and at most 1.
    #[arg(long, default_value_t = 1.0)]
    pub(super) elastic_net: f64,
    #[arg(long)]
    pub(super) positive: bool,
    #[arg(long)]
    #[serde(skip)]
    pub(super) no_intercept: bool,
    #[arg(long)]
    pub(super) standardize: bool,
    /// Column of row weights.
    #[arg(long)]
    #[serde(skip)]
    pub(super) weights: Option<String>,
    /// Columns without penalty, by name or number, separated by commas.
    #[arg(long)]
    pub(super) unpenalized: Option<String>,
    /// CSV with the columns column and group: columns of a group vanish together.
    #[arg(long)]
    #[serde(serialize_with = "lossy_option")]
    pub(super) groups: Option<PathBuf>,
    /// Lower bound of every coefficient, at most 0.
    #[arg(long, allow_negative_numbers = true)]
    pub(super) lower: Option<f64>,
    /// Upper bound of every coefficient, at least 0.
    #[arg(long, allow_negative_numbers = true)]
    pub(super) upper: Option<f64>,
    /// How the fits are found.
    #[arg(long, value_enum, default_value = "auto")]
    pub(super) solver: LassoSolver,
    /// Relative duality gap that is enough.
    #[arg(long, default_value_t = 1e-8)]
    pub(super) tolerance: f64,
    /// Newton steps and sweeps per lambda (default 10,000; with groups or several targets 100,000 sweeps).
    #[arg(long)]
    #[serde(skip)]
    pub(super) max_iterations: Option<usize>,
    /// Coefficients as CSV: lambda, column, with groups or several targets the target, coefficient; the intercept is
    /// column (intercept).
    #[arg(long)]
    #[serde(skip)]
    pub(super) out: Option<PathBuf>,
}
