//! `samplewise complete`.
mod draws;
mod fit;
mod triplets;

use std::path::PathBuf;
use std::time::Duration;

use samplewise_completion::Options;
use serde_json::{Value, json};

use crate::input::Table;
use crate::session::{Answer, Failure, Session, usage};
use triplets::{Ids, Triplets, positions, read};

#[derive(clap::Args)]
pub struct Arguments {
    /// Triplets: row, column, value, and a weight if the fourth column is named weight.
    triplets: PathBuf,
    /// Columns to use, by name or number: row,column,value[,weight].
    #[arg(long)]
    columns: Option<String>,
    /// The first line is data.
    #[arg(long)]
    no_header: bool,
    /// Rank, or auto.
    #[arg(long, default_value = "auto")]
    rank: String,
    /// Ridge, or auto.
    #[arg(long, default_value = "auto")]
    lambda: String,
    /// Exponent of the number of entries in the ridge of a row (default: 0.5, 0 without biases).
    #[arg(long)]
    ridge_exponent: Option<f64>,
    /// Least squares of a row: auto, exact, cg (warm conjugate gradients) or sketched; or gibbs: the mean of draws from the
    /// posterior, best for ratings, with a deviation for each prediction.
    #[arg(long, default_value = "auto")]
    solver: String,
    /// Draws kept with --solver gibbs (default: 60), after a third as many that are not.
    #[arg(long)]
    samples: Option<usize>,
    /// squared, huber, or trimmed (grossly wrong entries are found and left out).
    #[arg(long, default_value = "squared")]
    loss: String,
    /// No factor is negative.
    #[arg(long)]
    non_negative: bool,
    /// Share of entries kept to judge the result.
    #[arg(long, conflicts_with = "test")]
    holdout: Option<f64>,
    /// Triplets to judge the result on.
    #[arg(long)]
    test: Option<PathBuf>,
    /// Mean and biases of rows and columns: on or off (default: on, off with --tolerance).
    #[arg(long)]
    biases: Option<String>,
    /// Ask for exact recovery to this relative error.
    #[arg(long)]
    tolerance: Option<f64>,
    /// Pairs of half steps and Gauss-Newton steps in all (default: 5000).
    #[arg(long)]
    max_iterations: Option<usize>,
    /// Ends the fit after so many seconds, with the best model so far.
    #[arg(long)]
    time_limit: Option<f64>,
    /// Where mean, biases, factors and ids go, as .npz.
    #[arg(long)]
    factors: Option<PathBuf>,
    /// Pairs row,column to predict.
    #[arg(long, requires = "out")]
    predict: Option<PathBuf>,
    /// Where predictions go.
    #[arg(long, requires = "predict")]
    out: Option<PathBuf>,
}

/// What the files hold.
pub struct Data {
    train: Triplets,
    test: Option<Triplets>,
    rows: Ids,
    columns: Ids,
    /// To predict, with their positions.
    pairs: Option<(Table, Vec<(usize, usize)>)>,
}

impl Arguments {
    fn limit(&self) -> Result<Option<Duration>, Failure> {
        let limit = self.time_limit.map(Duration::try_from_secs_f64).transpose();
        limit.map_err(|e| usage(format!("--time-limit: {e}")))
    }

    fn biases(&self) -> Result<bool, Failure> {
        match self.biases.as_deref() {
            None => Ok(self.tolerance.is_none()),
            Some("on") => Ok(true),
            Some("off") => Ok(false),
            Some(other) => Err(usage(format!("--biases is {other}, allowed is on or off"))),
        }
    }

    fn parameters(&self) -> Value {
        let biases = self.biases.clone().unwrap_or(if self.tolerance.is_none() { "on".into() } else { "off".into() });
        json!({
            "triplets": self.triplets, "rank": self.rank, "lambda": self.lambda, "ridge_exponent": self.ridge_exponent,
            "solver": self.solver, "samples": self.samples, "loss": self.loss, "non_negative": self.non_negative,
            "time_limit": self.time_limit, "biases": biases, "tolerance": self.tolerance, "holdout": self.holdout,
            "test": self.test, "max_iterations": self.max_iterations.unwrap_or(Options::default().max_iterations),
        })
    }
}

pub fn run(a: &Arguments, session: &Session) -> Result<Answer, Failure> {
    if a.factors.as_ref().is_some_and(|f| f.extension().is_none_or(|e| e != "npz")) {
        return Err(usage("--factors takes the name of an .npz file"));
    }
    if a.solver == "gibbs" {
        let asked = draws::sampling(a)?;
        return draws::run(asked, a, &data(a, session)?, session);
    }
    if a.samples.is_some() {
        return Err(usage("--samples needs --solver gibbs"));
    }
    let asked = fit::options(a)?;
    fit::run(asked, a, &data(a, session)?, session)
}

fn data(a: &Arguments, session: &Session) -> Result<Data, Failure> {
    let (mut rows, mut columns) = (Ids::default(), Ids::default());
    session.stage("read", || {
        let train = read(&a.triplets, a, &mut rows, &mut columns)?;
        let test = a.test.as_ref().map(|p| read(p, a, &mut rows, &mut columns)).transpose()?;
        let named = |f: &[String]| f.len() > 1 && (f[..2] == train.names || f[0] == "row");
        let pairs = a.predict.as_ref().map(|p| Table::read(p, a.no_header, named)).transpose()?;
        let pairs = pairs.map(|p| positions(&p, &rows, &columns).map(|at| (p, at))).transpose()?;
        Ok(Data { train, test, rows, columns, pairs })
    })
}

fn answer_table(
    status: &str,
    (rows, columns, observed): (usize, usize, usize),
    rank: usize,
    [train, test, baseline]: [Option<f64>; 3],
) -> String {
    let show = |v: Option<f64>| v.map_or("-".to_owned(), |v| format!("{v:.5}"));
    format!(
        "status        {status}\nmatrix        {rows} x {columns}, {observed} entries\nrank          {rank}\ntrain rmse    {}\ntest rmse     {}\nbaseline rmse {}\n",
        show(train),
        show(test),
        show(baseline)
    )
}
