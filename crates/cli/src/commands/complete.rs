//! `samplewise complete`.
use std::collections::HashMap;
use std::path::PathBuf;

use samplewise_completion::{
    Completion, Entries, Loss, Model, Options, PathKind, Rank, Solver, Status, complete_observed,
};
use samplewise_linalg::random::Streams;
use serde_json::{Value, json};

use crate::input::Table;
use crate::output;
use crate::session::{Answer, Failure, Session, bad, usage};

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
    /// Least squares of a row: auto, exact, cg (warm conjugate gradients) or sketched.
    #[arg(long, default_value = "auto")]
    solver: String,
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
    /// Pairs of half steps and Gauss-Newton steps in all.
    #[arg(long, default_value_t = 5000)]
    max_iterations: usize,
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

/// Ids of one side.
#[derive(Default)]
struct Ids(HashMap<String, usize>);

impl Ids {
    fn intern(&mut self, id: &str) -> usize {
        let next = self.0.len();
        *self.0.entry(id.to_owned()).or_insert(next)
    }

    fn in_order(&self) -> Vec<&str> {
        let mut out = vec![""; self.0.len()];
        self.0.iter().for_each(|(id, &at)| out[at] = id);
        out
    }
}

struct Triplets {
    /// Names of the row and column columns.
    names: [String; 2],
    entries: Vec<(usize, usize, f64)>,
    weights: Option<Vec<f64>>,
}

/// The first line is a header when the value is no number, or when columns are asked for by name.
fn looks_like_header(columns: Option<&str>) -> impl Fn(&[String]) -> bool {
    let value = columns.map_or("2", |list| list.split(',').nth(2).unwrap_or("")).trim().parse::<usize>().ok();
    move |first| value.is_none_or(|v| first.get(v).is_some_and(|c| c.parse::<f64>().is_err()))
}

fn read(path: &std::path::Path, a: &Arguments, rows: &mut Ids, columns: &mut Ids) -> Result<Triplets, Failure> {
    let table = Table::read(path, a.no_header, looks_like_header(a.columns.as_deref()))?;
    let picked: Vec<usize> = if let Some(list) = &a.columns {
        list.split(',').map(|c| table.column(c.trim())).collect::<Result<_, _>>()?
    } else {
        // A fourth column may be anything (a time, a user's age): it is a weight when it says so.
        let weighted = table.header.get(3).is_some_and(|h| h.eq_ignore_ascii_case("weight"));
        (0..table.header.len().min(if weighted { 4 } else { 3 })).collect()
    };
    if picked.len() < 3 {
        return Err(bad(format!("{}: {} columns, row, column and value are needed", table.name, picked.len())));
    }
    let mut seen = HashMap::new();
    let names = [0, 1].map(|c| table.header[picked[c]].clone());
    let mut out = Triplets { names, entries: Vec::new(), weights: (picked.len() > 3).then(Vec::new) };
    for i in 0..table.rows.len() {
        let cell = |c: usize| {
            let line = table.lines[i];
            table.rows[i]
                .get(picked[c])
                .filter(|v| !v.is_empty())
                .ok_or_else(|| bad(format!("{}:{line}:{}: the cell is missing", table.name, picked[c] + 1)))
        };
        let position = (rows.intern(cell(0)?), columns.intern(cell(1)?));
        if let Some(first) = seen.insert(position, table.lines[i]) {
            let line = table.lines[i];
            return Err(bad(format!("{}:{line}:1: the pair was already given in line {first}", table.name)));
        }
        out.entries.push((position.0, position.1, table.number(i, picked[2])?));
        if let Some(w) = &mut out.weights {
            w.push(table.number(i, picked[3])?);
        }
    }
    Ok(out)
}

pub fn run(a: &Arguments, session: &Session) -> Result<Answer, Failure> {
    let solver = match a.solver.as_str() {
        "auto" => Solver::Auto,
        "exact" => Solver::Exact,
        "cg" => Solver::ConjugateGradients { steps: 3 },
        "sketched" => Solver::Sketched { accuracy: 0.1, rows_per_unknown: 4 },
        other => return Err(usage(format!("--solver is {other}, allowed is auto, exact, cg or sketched"))),
    };
    let loss = match a.loss.as_str() {
        "squared" => Loss::Squared,
        "huber" => Loss::Huber { threshold: 1.345 },
        "trimmed" => Loss::Trimmed,
        other => return Err(usage(format!("--loss is {other}, allowed is squared, huber or trimmed"))),
    };
    let time_limit = a
        .time_limit
        .map(std::time::Duration::try_from_secs_f64)
        .transpose()
        .map_err(|e| usage(format!("--time-limit: {e}")))?;
    if a.factors.as_ref().is_some_and(|f| f.extension().is_none_or(|e| e != "npz")) {
        return Err(usage("--factors takes the name of an .npz file"));
    }
    let biases = match a.biases.as_deref() {
        None => a.tolerance.is_none(),
        Some("on") => true,
        Some("off") => false,
        Some(other) => return Err(usage(format!("--biases is {other}, allowed is on or off"))),
    };
    let rank = match a.rank.as_str() {
        "auto" => Rank::Auto { max: 30 },
        k => Rank::Fixed(k.parse().map_err(|_| usage(format!("--rank is {k}, allowed is auto or a number")))?),
    };
    let lambda = match a.lambda.as_str() {
        "auto" => None,
        l => Some(l.parse().map_err(|_| usage(format!("--lambda is {l}, allowed is auto or a number")))?),
    };
    let (mut rows, mut columns) = (Ids::default(), Ids::default());
    let (train, test, pairs) = session.stage("read", || {
        let train = read(&a.triplets, a, &mut rows, &mut columns)?;
        let test = a.test.as_ref().map(|p| read(p, a, &mut rows, &mut columns)).transpose()?;
        let named = |f: &[String]| f.len() > 1 && (f[..2] == train.names || f[0] == "row");
        let pairs = a.predict.as_ref().map(|p| Table::read(p, a.no_header, named)).transpose()?;
        let pairs = pairs.map(|p| positions(&p, &rows, &columns).map(|at| (p, at))).transpose()?;
        Ok((train, test, pairs))
    })?;
    let options = Options {
        lambda,
        biases,
        tolerance: a.tolerance,
        solver,
        loss,
        non_negative: a.non_negative,
        time_limit,
        max_iterations: a.max_iterations,
        verification: a.holdout.unwrap_or(0.05),
        ..Options::default()
    };
    let mut observer = session;
    let done: Completion = session.stage("compute", || {
        let data =
            Entries::new(rows.0.len(), columns.0.len(), &train.entries, train.weights.as_deref()).map_err(bad)?;
        let mut rng = Streams::new(session.seed()).stream(0);
        let test = test.as_ref().map(|t| &t.entries[..]);
        complete_observed(&data, rank, &options, test, &mut rng, &mut observer).map_err(bad)
    })?;
    if let (Some((pairs, positions)), Some(out)) = (&pairs, &a.out) {
        session.stage("write", || {
            output::write(out, |w| {
                writeln!(w, "row,column,prediction")?;
                for (r, &(i, j)) in pairs.rows.iter().zip(positions) {
                    writeln!(w, "{},{},{}", r[0], r[1], done.model.predict(i, j))?;
                }
                Ok(())
            })
        })?;
    }
    if let Some(path) = &a.factors {
        session.stage("write", || write_factors(path, &done.model, &rows, &columns))?;
    }
    Ok(answer(a, &done, &rows, &columns, train.entries.len()))
}

fn write_factors(path: &std::path::Path, model: &Model, rows: &Ids, columns: &Ids) -> Result<(), Failure> {
    let (u, v) = model.factors();
    let (row_ids, column_ids) = (rows.in_order(), columns.in_order());
    let matrix = |m: &samplewise_linalg::Matrix| vec![m.rows() as u64, m.columns() as u64];
    let line = |values| output::Array::Numbers { shape: vec![<[f64]>::len(values) as u64], values };
    output::write_npz(
        path,
        &[
            ("mean", output::Array::Numbers { shape: Vec::new(), values: &[model.mean] }),
            ("row_biases", line(&model.row_biases)),
            ("column_biases", line(&model.column_biases)),
            ("row_factors", output::Array::Numbers { shape: matrix(u), values: u.as_slice() }),
            ("column_factors", output::Array::Numbers { shape: matrix(v), values: v.as_slice() }),
            ("row_ids", output::Array::Names(&row_ids)),
            ("column_ids", output::Array::Names(&column_ids)),
        ],
    )
}

/// The pairs as positions in the matrix; checked before anything is computed.
fn positions(pairs: &Table, rows: &Ids, columns: &Ids) -> Result<Vec<(usize, usize)>, Failure> {
    let mut out = Vec::with_capacity(pairs.rows.len());
    for (r, line) in pairs.rows.iter().zip(&pairs.lines) {
        let id = |ids: &Ids, c: usize| {
            let name = r.get(c).map_or("", String::as_str);
            let unknown = || bad(format!("{}:{line}:{}: {name:?} is not among the triplets", pairs.name, c + 1));
            ids.0.get(name).copied().ok_or_else(unknown)
        };
        out.push((id(rows, 0)?, id(columns, 1)?));
    }
    Ok(out)
}

fn answer(a: &Arguments, done: &Completion, rows: &Ids, columns: &Ids, observed: usize) -> Answer {
    let r = &done.report;
    let status = match done.status {
        Status::Verified => "verified",
        Status::Fitted => "fitted",
        Status::NotRecovered => "not_recovered",
        Status::Limit => "limit",
        Status::Interrupted => "interrupted",
    };
    let result = json!({
        "status": status, "rows": rows.0.len(), "columns": columns.0.len(), "observed": observed,
        "undetermined_rows": r.undetermined_rows.len(), "undetermined_columns": r.undetermined_columns.len(),
        "rank": r.rank, "train_rmse": r.train_rmse, "test_rmse": r.test_rmse,
        "baseline_test_rmse": r.baseline_test_rmse,
    });
    let path = match r.path {
        PathKind::Annealing { decay, pairs } => format!("annealing by {decay}, {pairs} pairs per ridge"),
        PathKind::Growth => "growth of the rank".to_owned(),
        PathKind::Reweighting => "log-det reweighting".to_owned(),
    };
    let cost = |s: &samplewise_completion::Stage| json!({"stage": s.name, "steps": s.steps, "floors": s.floors, "seconds": s.seconds});
    let costs: Vec<Value> = r.stages.iter().map(cost).collect();
    let report = json!({
        "path": path, "oversampling": r.oversampling, "outliers": r.outliers.len(),
        "costs": costs, "verification_fitted": r.verification_fitted, "lambda": r.lambda, "iterations": r.iterations,
        "tuning_entries": r.tuning_entries, "verification_entries": r.verification_entries,
        "relative_test_error": r.relative_test_error, "spread": r.spread,
        "certificate": {
            "share": r.certificate.map(|c| c.exceeding_share(0.05)),
            "error_above": r.certificate.map(|c| c.largest_error),
            "confidence": 0.95,
        },
        "ranks_tried": r.ranks_tried,
    });
    let show = |v: Option<f64>| v.map_or("-".to_owned(), |v| format!("{v:.5}"));
    let table = format!(
        "status        {status}\nmatrix        {} x {}, {observed} entries\nrank          {}\ntrain rmse    {:.5}\ntest rmse     {}\nbaseline rmse {}\n",
        rows.0.len(),
        columns.0.len(),
        r.rank,
        r.train_rmse,
        show(r.test_rmse),
        show(r.baseline_test_rmse)
    );
    let parameters: Value = json!({
        "triplets": a.triplets, "rank": a.rank, "lambda": a.lambda, "solver": a.solver, "loss": a.loss,
        "non_negative": a.non_negative, "time_limit": a.time_limit, "biases": a.biases.clone().unwrap_or(if a.tolerance.is_none() { "on".into() } else { "off".into() }),
        "tolerance": a.tolerance, "holdout": a.holdout, "test": a.test, "max_iterations": a.max_iterations,
    });
    Answer { parameters, result, report: super::map(report), table }
}
