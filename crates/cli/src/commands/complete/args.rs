//! The words of the call.
use std::path::PathBuf;
use std::time::Duration;

use samplewise_completion::Options;
use samplewise_linalg::observe::Deadline;
use serde::Serialize;
use serde_json::{Value, json};

use crate::cells::FirstLine;
use crate::choices::{CompletionSolver, EntryLoss, Repeated, Switch};
use crate::failure::{Failure, usage};
use crate::session::{Session, lossy, lossy_option};

#[derive(clap::Args, Serialize)]
pub struct Arguments {
    /// Triplets: row, column, value, and a weight if the fourth column is named weight.
    #[serde(serialize_with = "lossy")]
    pub(super) triplets: PathBuf,
    /// Columns to use, by name or number: row,column,value[,weight].
    #[arg(long)]
    #[serde(skip)]
    pub(super) columns: Option<String>,
    #[command(flatten)]
    #[serde(skip)]
    pub(super) first_line: FirstLine,
    /// A pair that is given several times is an error, or one entry.
    #[arg(long, value_enum, default_value = "error")]
    pub(super) duplicates: Repeated,
    /// Rank, or auto.
    #[arg(long, default_value = "auto")]
    pub(super) rank: String,
    /// Ridge, or auto.
    #[arg(long, default_value = "auto")]
    pub(super) lambda: String,
    /// Exponent of the number of entries in the ridge of a row (default: 0.5, 0 without biases).
    #[arg(long)]
    pub(super) ridge_exponent: Option<f64>,
    /// How the least squares of a row are solved; or draws instead of one fit.
    #[arg(long, value_enum, default_value = "auto")]
    pub(super) solver: CompletionSolver,
    /// Draws kept with --solver gibbs (default: 60), after a third as many that are not.
    #[arg(long)]
    pub(super) samples: Option<usize>,
    /// What a residual costs.
    #[arg(long, value_enum, default_value = "squared")]
    pub(super) loss: EntryLoss,
    /// No factor is negative.
    #[arg(long)]
    pub(super) non_negative: bool,
    /// Share of entries kept to judge the result.
    #[arg(long, conflicts_with = "test")]
    pub(super) holdout: Option<f64>,
    /// Triplets to judge the result on.
    #[arg(long)]
    #[serde(serialize_with = "lossy_option")]
    pub(super) test: Option<PathBuf>,
    /// Mean and biases of rows and columns (default: on, off with --tolerance).
    #[arg(long, value_enum)]
    pub(super) biases: Option<Switch>,
    /// Ask for exact recovery to this relative error.
    #[arg(long)]
    pub(super) tolerance: Option<f64>,
    /// Pairs of half steps and Gauss-Newton steps in all (default: 5000).
    #[arg(long)]
    pub(super) max_iterations: Option<usize>,
    /// Ends the fit after so many seconds, with the best model so far.
    #[arg(long)]
    pub(super) time_limit: Option<f64>,
    /// Where mean, biases, factors and ids go, as .npz.
    #[arg(long)]
    #[serde(skip)]
    pub(super) factors: Option<PathBuf>,
    /// Pairs row,column to predict.
    #[arg(long, requires = "out")]
    #[serde(skip)]
    pub(super) predict: Option<PathBuf>,
    /// Where predictions go.
    #[arg(long, requires = "predict")]
    #[serde(skip)]
    pub(super) out: Option<PathBuf>,
}

impl Arguments {
    /// An observer that ends the call at the limit of time, if there is one.
    pub(super) fn watched<'s>(&self, session: &'s Session) -> Result<Deadline<&'s Session>, Failure> {
        let limit = self.time_limit.map(Duration::try_from_secs_f64).transpose();
        let limit = limit.map_err(|e| usage(format!("--time-limit: {e}")))?;
        Ok(Deadline::after(limit.unwrap_or(Duration::MAX)).with(session))
    }

    pub(super) fn biases(&self) -> bool {
        self.biases.map_or(self.tolerance.is_none(), |switch| switch == Switch::On)
    }

    pub(super) fn max_iterations(&self) -> usize {
        self.max_iterations.unwrap_or(Options::default().max_iterations)
    }

    /// The words, with the defaults that depend on others filled in.
    pub(super) fn parameters(&self) -> Value {
        let mut parameters = serde_json::to_value(self).unwrap_or(Value::Null);
        parameters["biases"] = json!(if self.biases() { Switch::On } else { Switch::Off });
        parameters["max_iterations"] = json!(self.max_iterations());
        parameters
    }
}
