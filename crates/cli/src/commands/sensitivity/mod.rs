//! `samplewise sensitivity`: scores, coresets and regression of a table in memory; coresets of a table that streams past.
mod stream;

use std::path::PathBuf;

use samplewise_sensitivity::{
    ArgumentError, Coreset, CoresetOptions, Ending, Error, Loss, Method, Options, Regression, Route, SampleOptions,
    Sampler, ScoreOptions, Scores, Status, planned_size, regress_observed, regress_on_coreset_observed,
    scores_observed,
};
use serde_json::{Value, json};

use crate::cells::Header;
use crate::choices::{Sampling, Scoring};
use crate::failure::{Failure, bad, usage};
use crate::input::Table;
use crate::output::{self, NO_TABLES, check_apart, check_not_ending};
use crate::session::{Answer, Session, shown};

#[derive(clap::Args)]
pub struct Arguments {
    /// CSV or TSV with one row per observation, also .gz, or .parquet where built with it; - is standard input.
    table: PathBuf,
    /// Feature columns, or all.
    #[arg(long, default_value = "all")]
    features: String,
    /// Adds a column of ones.
    #[arg(long)]
    intercept: bool,
    /// The first line is the header, also one of numbers.
    #[arg(long, conflicts_with = "no_header")]
    header: bool,
    /// The first line is data.
    #[arg(long)]
    no_header: bool,
    /// Exponent of the norm, 1 to 64.
    #[arg(long, default_value_t = 1.0)]
    p: f64,
    /// By which scores rows are drawn.
    #[arg(long, value_enum, default_value = "lewis")]
    method: Scoring,
    /// Size of the coreset. Default 50 rows per column.
    #[arg(long, conflicts_with = "epsilon")]
    size: Option<usize>,
    /// Size for this distortion of the norm, between 0 and 1, by a calibrated rule.
    #[arg(long)]
    epsilon: Option<f64>,
    /// bernoulli (independent), priority (exact size) or tree (systematic along principal directions).
    #[arg(long, value_enum, default_value = "bernoulli")]
    sampler: Sampling,
    /// Writes scores: row,score,lower,upper.
    #[arg(long)]
    scores: Option<PathBuf>,
    /// Writes the coreset: row,weight and the original columns.
    #[arg(long)]
    out: Option<PathBuf>,
    /// One pass in constant memory: the coreset is that of the same rows in any order of reading.
    #[arg(long)]
    stream: bool,
    /// Target column of a regression.
    #[arg(long)]
    regress: Option<String>,
    /// Quantile instead of the p-norm.
    #[arg(long, requires = "regress")]
    quantile: Option<f64>,
    /// Regress on all rows. Without it the regression draws its own coreset, scored on features and target together.
    #[arg(long, requires = "regress")]
    exact: bool,
}

/// What the words of the call mean.
struct Choice {
    method: Method,
    sampler: Sampler,
}

fn understand(a: &Arguments) -> Result<Choice, Failure> {
    if a.quantile.is_some() && a.p != 1.0 {
        return Err(usage("--quantile is a loss of its own and goes with --p 1 only"));
    }
    Ok(Choice { method: a.method.into(), sampler: a.sampler.into() })
}

pub fn run(a: &Arguments, session: &Session) -> Result<Answer, Failure> {
    let choice = understand(a)?;
    check_apart(("--out", a.out.as_deref()), ("--scores", a.scores.as_deref()))?;
    for (option, path) in [("--out", &a.out), ("--scores", &a.scores)] {
        check_not_ending(option, path.as_deref(), NO_TABLES, "a table")?;
    }
    if a.stream {
        return stream::run(a, &choice, session);
    }
    let Choice { method, sampler } = choice;
    let (table, features, x, y) = session.stage("read", || {
        let table = Table::read_numbers(&a.table, Header::of(a.header, a.no_header))?;
        let target = a.regress.as_ref().map(|c| table.column(c)).transpose()?;
        let features = table.select(&a.features, &target.map_or(vec![], |t| vec![t]))?;
        check_target(&table.header, &features, target)?;
        let x = table.matrix(&features, a.intercept)?;
        let y = target.map(|t| table.numbers(t)).transpose()?;
        Ok((table, features, x, y))
    })?;
    let name = |e: Error| failure(&a.table.display().to_string(), e);
    let least = if a.regress.is_some() && !a.exact { x.columns() + 1 } else { 1 };
    let least = least.min(x.rows());
    if let Some(size) = a.size.filter(|s| !(least..=x.rows()).contains(s)) {
        return Err(name(Error::Size { size, least, rows: x.rows() }));
    }
    let mut observer = session;
    let (s, size, sample, regression) = session.stage("compute", || {
        let s = session.stage("scores", || {
            let options = ScoreOptions { method, ..ScoreOptions::default() };
            scores_observed(&x, a.p, &options, &mut observer).map_err(name)
        })?;
        let size = match (a.size, a.epsilon) {
            (Some(size), _) => size,
            (_, Some(epsilon)) => {
                let planned = planned_size(epsilon, a.p, s.rank).map_err(name)?;
                planned.max(x.columns() + 1).min(x.rows())
            }
            _ => (50 * (x.columns() + 1)).min(x.rows()),
        };
        let draw = SampleOptions { sampler, seed: session.seed() };
        let sample = session.stage("sample", || {
            // A second signal ends the program; the first one ended the scores.
            Coreset::sample(&x, &s.values, a.p, size, &draw).map_err(name)
        })?;
        let Some(y) = y else { return Ok((s, size, sample, None)) };
        let loss = a.quantile.map_or(Loss::Lp(a.p), Loss::Quantile);
        let regression = session.stage("regress", || {
            // A sample of all rows is all rows.
            if a.exact || size == x.rows() {
                regress_observed(&x, &y, loss, &Options::default(), &mut observer)
            } else {
                let (seed, rest) = (session.seed(), CoresetOptions::default());
                let options = CoresetOptions { method, sampler, seed, ..rest };
                regress_on_coreset_observed(&x, &y, loss, size, &options, &mut observer)
            }
            .map_err(name)
        })?;
        Ok((s, size, sample, Some(regression)))
    })?;
    session.stage("write", || {
        if let Some(path) = &a.scores {
            output::write(path, |w| {
                writeln!(w, "{}", output::line(path, &["row", "score", "lower", "upper"])?)?;
                (0..x.rows()).try_for_each(|i| {
                    let cells =
                        [i.to_string(), s.values[i].to_string(), s.lower[i].to_string(), s.upper[i].to_string()];
                    writeln!(w, "{}", output::line(path, &cells)?)
                })
            })?;
        }
        if let Some(path) = &a.out {
            let rows = sample
                .rows
                .iter()
                .zip(&sample.weights)
                .map(|(&i, &w)| (i as u64, w, table.rows[i].iter().map(String::as_str)));
            write_coreset(path, &table.header, rows)?;
        }
        Ok(())
    })?;
    Ok(answer(a, session, (x.rows(), x.columns(), size), &s, &sample, &table, &features, regression.as_ref()))
}

/// A target is not its own feature.
fn check_target(header: &[String], features: &[usize], target: Option<usize>) -> Result<(), Failure> {
    match target.filter(|t| features.contains(t)) {
        Some(t) => Err(usage(format!("--regress {:?} is one of --features as well", header[t]))),
        None => Ok(()),
    }
}

/// `row,weight` and the original columns.
fn write_coreset<'a, C: Iterator<Item = &'a str>>(
    path: &std::path::Path,
    header: &[String],
    rows: impl Iterator<Item = (u64, f64, C)>,
) -> Result<(), Failure> {
    output::write(path, |w| {
        let names: Vec<&str> = ["row", "weight"].into_iter().chain(header.iter().map(String::as_str)).collect();
        writeln!(w, "{}", output::line(path, &names)?)?;
        for (i, weight, cells) in rows {
            let all: Vec<String> =
                [i.to_string(), weight.to_string()].into_iter().chain(cells.map(str::to_owned)).collect();
            writeln!(w, "{}", output::line(path, &all)?)?;
        }
        Ok(())
    })
}

fn answer(
    a: &Arguments,
    session: &Session,
    (rows, columns, size): (usize, usize, usize),
    s: &Scores,
    sample: &Coreset,
    table: &Table,
    features: &[usize],
    regression: Option<&Regression>,
) -> Answer {
    let (least, most) = s.total_sensitivity();
    let mut result = json!({"rows": rows, "columns": columns, "rank": s.rank, "total": s.total, "size": sample.rows.len(),
        "total_sensitivity": {"lower": least, "upper": most}});
    let mut text = format!(
        "rows {rows} columns {columns} rank {}\ntotal score {:.4}; the sensitivities sum to {least:.4} at least, {most:.4} at most\ncoreset {} rows\n",
        s.rank,
        s.total,
        sample.rows.len()
    );
    if !s.converged() {
        text += "the scores did not converge: their bounds hold, the sample may be worse than its size\n";
    }
    if let Some(r) = regression {
        let mut names: Vec<&str> = features.iter().map(|&j| table.header[j].as_str()).collect();
        if a.intercept {
            names.push("(intercept)");
        }
        let list: Vec<Value> = names.iter().zip(&r.coefficients).map(|(n, v)| json!({"name": n, "value": v})).collect();
        result["regression"] = json!({"coefficients": list, "status": status(r), "objective": r.objective,
            "lower_bound": r.lower_bound, "gap": r.gap(), "rows_scored": r.report.rows_scored, "rows_used": r.report.rows_used, "rank": r.report.rank});
        text += &describe(r, &names);
        say(session, r);
    }
    let (word, ending) = match regression {
        Some(r) => (status(r), r.report.ending),
        None if session.interrupted() => ("interrupted", Ending::Interrupted),
        None if s.converged() => ("converged", Ending::Finished),
        None => ("limit", Ending::Limit),
    };
    if !s.converged() {
        session.warn("the scores did not converge: their bounds hold, the sample may be worse than its size");
    }
    result["status"] = json!(word);
    text += &format!("status {word}, {}\n", ending.name());
    Answer {
        parameters: json!({"table": shown(&a.table), "features": a.features, "intercept": a.intercept, "p": a.p, "method": a.method,
            "size": size, "epsilon": a.epsilon, "sampler": a.sampler, "regress": a.regress, "quantile": a.quantile,
            "exact": a.exact, "stream": false}),
        result,
        report: super::map(
            json!({"path": a.method, "ending": ending.name(), "condition": s.condition, "score_steps": s.report.iterations, "lewis_residual": s.report.residual,
            "converged": s.converged(), "interrupted": session.interrupted(), "expected_size": sample.expected_size,
            "solver": regression.map(solver)}),
        ),
        table: text,
    }
}

/// How a regression ended.
fn solver(r: &Regression) -> Value {
    let path = match r.report.route {
        Route::InteriorPoint => json!("interior point"),
        Route::Preprocessed { rows, repaired } => json!({"reduced to rows": rows, "rows put back": repaired}),
        Route::Newton => json!("newton"),
        Route::LeastSquares => json!("least squares"),
        Route::Edges => json!("edges"),
    };
    json!({"iterations": r.report.iterations, "converged": r.converged(), "status": status(r), "path": path,
        "no_bound": r.no_bound.map(|why| why.to_string())})
}

/// Says of a regression that did not converge, or has no bound, what it is.
fn say(session: &Session, r: &Regression) {
    match status(r) {
        "limit" => session.warn("the regression did not converge: its gap says how far off it may be"),
        "interrupted" => session.warn("interrupted: the coefficients are the best by then"),
        _ => {}
    }
    if let Some(why) = r.no_bound {
        session.warn(format!("there is no lower bound: {why}"));
    }
}

/// Claim and ending in one word.
fn status(r: &Regression) -> &'static str {
    match (r.status, r.report.ending) {
        (Status::Converged, _) => "converged",
        (Status::NotConverged, Ending::Interrupted) => "interrupted",
        (Status::NotConverged, _) => "limit",
    }
}

/// An error of the library, in the words of the command line.
fn failure(table: &str, e: Error) -> Failure {
    match e {
        Error::Size { size, least, rows } => {
            usage(format!("--size is {size}, allowed is {least} to {rows}, the rows of {table}"))
        }
        Error::Argument(ArgumentError { name, given, allowed }) => {
            let flag = match name {
                "quantile" => "--quantile",
                "epsilon" => "--epsilon",
                "p" => "--p",
                _ => return bad(format!("{table}: {name} is {given}, allowed is {allowed}")),
            };
            usage(format!("{flag} is {given}, allowed is {allowed}"))
        }
        Error::Stream => usage(format!("--method: {e}")),
        e => bad(format!("{table}: {e}")),
    }
}

/// `at least so much is unavoidable`, or why that cannot be said.
fn bound(r: &Regression) -> String {
    match (r.lower_bound, r.no_bound) {
        (Some(bound), _) => format!("at least {bound:.6} is unavoidable"),
        (None, Some(why)) => format!("no lower bound ({why})"),
        (None, None) => "no lower bound".to_owned(),
    }
}

fn describe(r: &Regression, names: &[&str]) -> String {
    let scored =
        if r.report.rows_scored > 0 { format!(" of {} scored for it", r.report.rows_scored) } else { String::new() };
    let mut text =
        format!("objective {:.6} on all rows, {} ({} rows used{scored})\n", r.objective, bound(r), r.report.rows_used);
    for (n, v) in names.iter().zip(&r.coefficients) {
        text += &format!("{n:>16} {v:+.6}\n");
    }
    text
}
