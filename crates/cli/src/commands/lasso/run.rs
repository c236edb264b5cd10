//! What the words ask for, and the call.
use samplewise_lasso::{
    ArgumentError, CrossValidation, CrossValidationOptions, Ending, Error, Folds, Grid, Options,
    cross_validate_observed, largest_lambda, path_observed, solve_observed,
};
use serde_json::{Value, json};

use super::args::Arguments;
use super::groups;
use super::read::{self, Data};
use super::show::Outcome;
use super::stream;
use crate::cells::select;
use crate::failure::{Failure, bad, usage};
use crate::output;
use crate::session::{Answer, Session};

pub fn run(a: &Arguments, session: &Session) -> Result<Answer, Failure> {
    check(a)?;
    if a.stream {
        return streamed(a, session);
    }
    let mut data = session.stage("read", || read::read(a))?;
    if a.groups.is_some() || data.targets.len() > 1 {
        groups::check(a)?;
        return groups::run(a, data, session);
    }
    let options = Options { sample_weights: data.weights.take(), ..options(a, &data.names)? };
    let (fits, chosen, cv) = session.stage("compute", || compute(a, &data, options, session))?;
    let outcome = Outcome { fits, chosen, cv, names: data.names };
    outcome.write(a)?;
    outcome.warn(session);
    Ok(outcome.answer(a))
}

fn streamed(a: &Arguments, session: &Session) -> Result<Answer, Failure> {
    stream::check(a)?;
    let sums = session.stage("read", || stream::read(a, session))?;
    let options = options(a, &sums.names)?;
    let (fits, chosen, cv) = session.stage("compute", || stream::compute(a, &sums, &options, session))?;
    let cv = cv.map_or(Value::Null, |cv| said(&cv, a.cv.unwrap_or_default(), session));
    let outcome = Outcome { fits, chosen, cv, names: sums.names };
    outcome.write(a)?;
    outcome.warn(session);
    Ok(outcome.answer(a))
}

/// What cross-validation says, for JSON; warns where it was interrupted.
fn said(cv: &CrossValidation, folds: usize, session: &Session) -> Value {
    let report = &cv.report;
    if report.ending == Ending::Interrupted {
        session.warn(format!("interrupted: the errors are those of {} of {folds} folds", report.folds));
    }
    json!({
        "lambdas": cv.lambdas, "mean_squared_error": cv.mean_squared_error, "standard_error": cv.standard_error,
        "best": cv.best, "folds": report.folds, "ending": report.ending.name(),
    })
}

/// Words that do not go together.
fn check(a: &Arguments) -> Result<(), Failure> {
    if a.table.to_string_lossy().ends_with(".npz") {
        return Err(usage(".npz tables are not available in this version"));
    }
    if read::is_sparse(a) && (a.weights.is_some() || a.target.is_some() || a.first_line.is_given()) {
        return Err(usage(
            "--weights, --target, --header and --no-header do not go with .mtx tables; --target-file does",
        ));
    }
    if a.min_ratio.is_some() && a.path.is_none() && a.cv.is_none() {
        return Err(usage("--min-ratio goes with --path or --cv"));
    }
    if a.groups.is_some() {
        groups::check(a)?;
    }
    output::check_ending("--out", a.out.as_deref(), &["csv", "tsv"])
}

fn options(a: &Arguments, names: &[String]) -> Result<Options, Failure> {
    let penalty_factors = a.unpenalized.as_ref().map(|list| {
        let mut factors = vec![1.0; names.len()];
        select(&a.table.to_string_lossy(), names, list, &[])?.into_iter().for_each(|j| factors[j] = 0.0);
        Ok::<_, Failure>(factors)
    });
    let bounds = |b: Option<f64>| b.map(|b| vec![b; names.len()]);
    Ok(Options {
        lower: bounds(a.lower),
        upper: bounds(a.upper),
        penalty_factors: penalty_factors.transpose()?,
        solver: a.solver.into(),
        max_iterations: a.max_iterations.unwrap_or(Options::default().max_iterations),
        tolerance: a.tolerance,
        mix: a.elastic_net,
        intercept: !a.no_intercept,
        standardize: a.standardize,
        positive: a.positive,
        sample_weights: None,
    })
}

/// The fits, which of them is chosen, and what cross-validation says.
type Computed = (Vec<samplewise_lasso::Solution>, usize, Value);

fn compute(a: &Arguments, data: &Data, options: Options, session: &Session) -> Result<Computed, Failure> {
    let mut observer = session;
    let table = a.table.to_string_lossy();
    let fail = |e| failure(&table, e);
    let (design, y) = (&data.design, &data.targets[0]);
    let (count, min_ratio) = (a.path.unwrap_or(100), a.min_ratio.unwrap_or(1e-2));
    let grid = Grid::Geometric { count, min_ratio };
    if let Some(folds) = a.cv {
        let plan = CrossValidationOptions { folds: Folds::Shuffled(folds), grid, seed: session.seed(), fit: options };
        let cv = cross_validate_observed(design, y, &plan, &mut observer).map_err(fail)?;
        let table = said(&cv, folds, session);
        return Ok((cv.path, cv.best, table));
    }
    if a.path.is_some() {
        let fits = path_observed(design, y, &grid, &options, &mut observer).map_err(fail)?;
        let last = fits.len() - 1;
        return Ok((fits, last, Value::Null));
    }
    let lambda = match a.lambda {
        Some(l) => l,
        // A constant target has no largest value: any penalty gives the null model.
        None => match largest_lambda(design, y, &options).map_err(fail)? {
            0.0 => 1.0,
            top => 0.1 * top,
        },
    };
    Ok((vec![solve_observed(design, y, lambda, &options, &mut observer).map_err(fail)?], 0, Value::Null))
}

/// An error of the library, in the words of the command line: options by their names there.
pub(super) fn failure(table: &str, e: Error) -> Failure {
    let flag = |option: &str| match option {
        "folds" => Some("--cv"),
        "count" => Some("--path"),
        "min_ratio" => Some("--min-ratio"),
        "mix" => Some("--elastic-net"),
        "lambda" => Some("--lambda"),
        "tolerance" => Some("--tolerance"),
        "max_iterations" => Some("--max-iterations"),
        "solver" => Some("--solver"),
        "lower" => Some("--lower"),
        "upper" => Some("--upper"),
        "penalty_factors" => Some("--unpenalized"),
        "sample_weights" => Some("--weights"),
        _ => None,
    };
    match e {
        Error::Argument(ArgumentError { name, given, allowed }) => match flag(name) {
            // Weights are data.
            Some("--weights") | None => bad(format!("{table}: {name} is {given}, allowed is {allowed}")),
            Some(flag) => usage(format!("{flag} is {given}, allowed is {allowed}")),
        },
        Error::Unsupported { option, allowed } => usage(format!("{}: {allowed}", flag(option).unwrap_or(option))),
        Error::Entry { argument: argument @ ("lower" | "upper"), value, allowed, .. } => {
            usage(format!("--{argument} is {value}, allowed is {allowed}"))
        }
        Error::Entry { argument: "penalty_factors", allowed, .. } => {
            usage(format!("--unpenalized: a factor of the penalty must be {allowed}"))
        }
        e => bad(format!("{table}: {e}")),
    }
}
