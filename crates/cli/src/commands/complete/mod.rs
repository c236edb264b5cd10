//! `samplewise complete`.
mod draws;
mod fit;
pub mod triplets;

use std::path::PathBuf;
use std::time::Duration;

use samplewise_completion::{ArgumentError, Error, Options, Verification};
use serde_json::{Value, json};

use samplewise_linalg::Ending;
use samplewise_linalg::observe::Deadline;

use crate::cells::Header;
use crate::choices::{CompletionSolver, EntryLoss, Repeated, Switch};
use crate::failure::{Failure, bad, usage};
use crate::input::Table;
use crate::output::{NO_TABLES, check_apart, check_ending, check_not_ending};
use crate::session::{Answer, Session, shown, shown_option};
use triplets::{Ids, Triplets, pairs_of, read};

#[derive(clap::Args)]
pub struct Arguments {
    /// Triplets: row, column, value, and a weight if the fourth column is named weight.
    triplets: PathBuf,
    /// Columns to use, by name or number: row,column,value[,weight].
    #[arg(long)]
    columns: Option<String>,
    /// The first line is the header, also one of numbers.
    #[arg(long, conflicts_with = "no_header")]
    header: bool,
    /// The first line is data.
    #[arg(long)]
    no_header: bool,
    /// A pair that is given several times is an error, or one entry.
    #[arg(long, value_enum, default_value = "error")]
    duplicates: Repeated,
    /// Rank, or auto.
    #[arg(long, default_value = "auto")]
    rank: String,
    /// Ridge, or auto.
    #[arg(long, default_value = "auto")]
    lambda: String,
    /// Exponent of the number of entries in the ridge of a row (default: 0.5, 0 without biases).
    #[arg(long)]
    ridge_exponent: Option<f64>,
    /// How the least squares of a row are solved; or draws instead of one fit.
    #[arg(long, value_enum, default_value = "auto")]
    solver: CompletionSolver,
    /// Draws kept with --solver gibbs (default: 60), after a third as many that are not.
    #[arg(long)]
    samples: Option<usize>,
    /// What a residual costs.
    #[arg(long, value_enum, default_value = "squared")]
    loss: EntryLoss,
    /// No factor is negative.
    #[arg(long)]
    non_negative: bool,
    /// Share of entries kept to judge the result.
    #[arg(long, conflicts_with = "test")]
    holdout: Option<f64>,
    /// Triplets to judge the result on.
    #[arg(long)]
    test: Option<PathBuf>,
    /// Mean and biases of rows and columns (default: on, off with --tolerance).
    #[arg(long, value_enum)]
    biases: Option<Switch>,
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
    /// To predict, with their positions; none where an id is not among the triplets.
    pairs: Option<(Vec<[String; 2]>, Vec<Option<(usize, usize)>>)>,
}

impl Arguments {
    /// An observer that ends the call at the limit of time, if there is one.
    fn watched<'s>(&self, session: &'s Session) -> Result<Deadline<&'s Session>, Failure> {
        let limit = self.time_limit.map(Duration::try_from_secs_f64).transpose();
        let limit = limit.map_err(|e| usage(format!("--time-limit: {e}")))?;
        Ok(Deadline::after(limit.unwrap_or(Duration::MAX)).with(session))
    }

    /// The entries that only judge.
    fn verification(&self, data: &Data) -> Verification {
        match &data.test {
            Some(test) => Verification::Given(test.entries.clone()),
            None => Verification::Share(self.holdout.unwrap_or(0.05)),
        }
    }

    fn biases(&self) -> bool {
        self.biases.map_or(self.tolerance.is_none(), |switch| switch == Switch::On)
    }

    fn parameters(&self) -> Value {
        let biases = if self.biases() { Switch::On } else { Switch::Off };
        json!({
            "triplets": shown(&self.triplets), "duplicates": self.duplicates, "rank": self.rank, "lambda": self.lambda, "ridge_exponent": self.ridge_exponent,
            "solver": self.solver, "samples": self.samples, "loss": self.loss, "non_negative": self.non_negative,
            "time_limit": self.time_limit, "biases": biases, "tolerance": self.tolerance, "holdout": self.holdout,
            "test": shown_option(self.test.as_ref()), "max_iterations": self.max_iterations.unwrap_or(Options::default().max_iterations),
        })
    }
}

pub fn run(a: &Arguments, session: &Session) -> Result<Answer, Failure> {
    check_apart(("--out", a.out.as_deref()), ("--factors", a.factors.as_deref()))?;
    check_ending("--factors", a.factors.as_deref(), &["npz"])?;
    check_not_ending("--out", a.out.as_deref(), NO_TABLES, "a table")?;
    if a.solver == CompletionSolver::Gibbs {
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
        let train = read(&a.triplets, a, None, &mut rows, &mut columns)?;
        let like = train.named.then_some(&train.names);
        let test = a.test.as_ref().map(|p| read(p, a, like, &mut rows, &mut columns)).transpose()?;
        let header = Header::of(a.header, a.no_header);
        let pairs = a.predict.as_ref().map(|p| Table::read(p, header, |f| names_pairs(f, &train, &rows, &columns)));
        let pairs = pairs.transpose()?.map(|table| {
            let pairs = pairs_of(&table, &train.names)?;
            let at: Vec<_> = pairs.iter().map(|[row, column]| rows.get(row).zip(columns.get(column))).collect();
            Ok::<_, Failure>((table.name, pairs, at))
        });
        let pairs = pairs.transpose()?;
        if let Some((name, _, at)) = &pairs {
            let unknown = at.iter().filter(|p| p.is_none()).count();
            if unknown > 0 {
                let all = at.len();
                session.warn(format!("{name}: {unknown} of {all} pairs have an id that is not among the triplets"));
            }
        }
        let pairs = pairs.map(|(_, pairs, at)| (pairs, at));
        Ok(Data { train, test, rows, columns, pairs })
    })
}

/// An error of the library, in the words of the command line: options by their names there.
fn failure(e: Error) -> Failure {
    match e {
        Error::Argument(ArgumentError { name, given, allowed }) => {
            let flag = match name {
                "lambda" => "--lambda",
                "exact_recovery" => "--tolerance",
                "ridge_exponent" => "--ridge-exponent",
                "max_iterations" => "--max-iterations",
                "verification" => "--holdout",
                "samples" | "burn_in" => "--samples",
                other => return bad(format!("{other} is {given}, allowed is {allowed}")),
            };
            usage(format!("{flag} is {given}, allowed is {allowed}"))
        }
        Error::Rank { rank, limit } => usage(format!("--rank is {rank}, allowed is 1 to {limit}")),
        other => bad(other),
    }
}

/// How a run ended: one that the limit of time has stopped was not interrupted.
fn ending_of(ending: Ending, session: &Session) -> Ending {
    if ending == Ending::Interrupted && !session.interrupted() { Ending::Limit } else { ending }
}

/// Whether the first line of a file of pairs is its header: that of the triplets, where they have one, or the words row and
/// column where these are no ids. A line of numbers is data.
fn names_pairs(first: &[String], train: &Triplets, rows: &Ids, columns: &Ids) -> bool {
    let [row, column, ..] = first else { return false };
    let known = rows.get(row).is_some() && columns.get(column).is_some();
    let named = train.named && train.names[..2].iter().all(|name| first.contains(name));
    let words = row.eq_ignore_ascii_case("row") && column.eq_ignore_ascii_case("column");
    !known && (named || words)
}

/// What became of the pairs to predict.
#[derive(Default)]
struct Counted {
    determined: usize,
    undetermined: usize,
    unknown: usize,
}

impl Counted {
    fn json(&self) -> Value {
        json!({"determined": self.determined, "undetermined": self.undetermined, "unknown": self.unknown})
    }
}

fn answer_table(
    (status, ending): (&str, Ending),
    (rows, columns, observed): (usize, usize, usize),
    rank: usize,
    [train, test, baseline]: [Option<f64>; 3],
) -> String {
    let show = |v: Option<f64>| v.map_or("-".to_owned(), |v| format!("{v:.5}"));
    format!(
        "status        {status}, {}\nmatrix        {rows} x {columns}, {observed} entries\nrank          {rank}\ntrain rmse    {}\ntest rmse     {}\nbaseline rmse {}\n",
        ending.name(),
        show(train),
        show(test),
        show(baseline)
    )
}
