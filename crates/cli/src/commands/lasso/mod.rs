//! `samplewise lasso`.
use std::path::PathBuf;

use samplewise_lasso::{
    ArgumentError, CrossValidationOptions, CsrMatrix, Design, Ending, Error, Folds, Grid, Options, Solution, Status,
    cross_validate_observed, largest_lambda, path_observed, solve_observed,
};
use serde_json::{Value, json};

pub mod groups;

use crate::cells::{Header, select};
use crate::choices::LassoSolver;
use crate::failure::{Failure, bad, usage};
use crate::input::{self, Table};
use crate::output::{self, line};
use crate::session::{Answer, Session, shown};

#[derive(clap::Args)]
pub struct Arguments {
    /// CSV, .parquet where built with it, or .mtx with --target-file.
    table: PathBuf,
    /// Target column; several, separated by commas, share their support.
    #[arg(long, required_unless_present = "target_file")]
    target: Option<String>,
    #[arg(long, conflicts_with = "target")]
    target_file: Option<PathBuf>,
    /// The first line is the header, also one of numbers.
    #[arg(long, conflicts_with = "no_header")]
    header: bool,
    /// The first line is data.
    #[arg(long)]
    no_header: bool,
    /// One value of lambda (default: a tenth of the largest).
    #[arg(long, conflicts_with_all = ["path", "cv"])]
    lambda: Option<f64>,
    /// Number of values of lambda.
    #[arg(long)]
    path: Option<usize>,
    /// Smallest lambda as a share of the largest (default 0.01).
    #[arg(long)]
    min_ratio: Option<f64>,
    /// Folds of cross-validation.
    #[arg(long)]
    cv: Option<usize>,
    /// Share of the l1 term, above 0 and at most 1.
    #[arg(long, default_value_t = 1.0)]
    elastic_net: f64,
    #[arg(long)]
    positive: bool,
    #[arg(long)]
    no_intercept: bool,
    #[arg(long)]
    standardize: bool,
    /// Column of row weights.
    #[arg(long)]
    weights: Option<String>,
    /// Columns without penalty, by name or number, separated by commas.
    #[arg(long)]
    unpenalized: Option<String>,
    /// CSV with the columns column and group: columns of a group vanish together.
    #[arg(long)]
    groups: Option<PathBuf>,
    /// Lower bound of every coefficient, at most 0.
    #[arg(long, allow_negative_numbers = true)]
    lower: Option<f64>,
    /// Upper bound of every coefficient, at least 0.
    #[arg(long, allow_negative_numbers = true)]
    upper: Option<f64>,
    /// How the fits are found.
    #[arg(long, value_enum, default_value = "auto")]
    solver: LassoSolver,
    /// Relative duality gap that is enough.
    #[arg(long, default_value_t = 1e-8)]
    tolerance: f64,
    /// Newton steps and sweeps per lambda (default 10,000; with groups or several targets 100,000 sweeps).
    #[arg(long)]
    max_iterations: Option<usize>,
    /// Coefficients as CSV: lambda, column, with groups or several targets the target, coefficient; the intercept is
    /// column (intercept).
    #[arg(long)]
    out: Option<PathBuf>,
}

pub fn run(a: &Arguments, session: &Session) -> Result<Answer, Failure> {
    let text = a.table.to_string_lossy();
    if text.ends_with(".npz") {
        return Err(usage(".npz tables are not available in this version"));
    }
    let sparse = input::kind(&a.table) == "mtx";
    if sparse && (a.weights.is_some() || a.target.is_some() || a.no_header || a.header) {
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
    let min_ratio = a.min_ratio.unwrap_or(1e-2);
    let solver = a.solver.into();
    output::check_ending("--out", a.out.as_deref(), &["csv", "tsv"])?;
    let (design, mut targets, titles, names, weights) = session.stage("read", || {
        if sparse {
            let file = a.target_file.as_ref().ok_or_else(|| usage(".mtx tables need --target-file"))?;
            let raw = String::from_utf8(input::bytes(&a.table)?).map_err(|_| bad(format!("{text}: not text")))?;
            let x = CsrMatrix::from_matrix_market(&raw).map_err(|e| bad(format!("{text}: {e}")))?;
            let names = (0..x.columns()).map(|j| j.to_string()).collect();
            let y = vec![input::vector(file)?];
            return Ok((Design::sparse(&x).map_err(bad)?, y, vec!["target".to_owned()], names, None));
        }
        let table = Table::read_numbers(&a.table, Header::of(a.header, a.no_header))?;
        let target = match &a.target {
            Some(list) => table.select(list, &[])?,
            None => Vec::new(),
        };
        let weight = a.weights.as_ref().map(|c| table.column(c)).transpose()?;
        if let Some(twice) = target.iter().enumerate().find(|(k, t)| target[..*k].contains(t)) {
            return Err(usage(format!("--target names {:?} twice", table.header[*twice.1])));
        }
        let except: Vec<usize> = target.iter().copied().chain(weight).collect();
        let features = table.select("all", &except)?;
        let (y, titles) = match &a.target_file {
            Some(f) => (vec![input::vector(f)?], vec!["target".to_owned()]),
            None => (
                target.iter().map(|&t| table.numbers(t)).collect::<Result<_, _>>()?,
                target.iter().map(|&t| table.header[t].clone()).collect(),
            ),
        };
        let names: Vec<String> = features.iter().map(|&j| table.header[j].clone()).collect();
        let weights = weight.map(|w| table.numbers(w)).transpose()?;
        Ok((Design::dense(&table.matrix(&features, false)?).map_err(bad)?, y, titles, names, weights))
    })?;
    if a.groups.is_some() || targets.len() > 1 {
        groups::check(a)?;
        return groups::run(a, session, &design, (&targets, &titles), (&names, weights));
    }
    let y = targets.swap_remove(0);
    let penalty_factors = a.unpenalized.as_ref().map(|list| {
        let mut factors = vec![1.0; names.len()];
        select(&text, &names, list, &[])?.into_iter().for_each(|j| factors[j] = 0.0);
        Ok::<_, Failure>(factors)
    });
    let bounds = |b: Option<f64>| b.map(|b| vec![b; names.len()]);
    let options = Options {
        lower: bounds(a.lower),
        upper: bounds(a.upper),
        penalty_factors: penalty_factors.transpose()?,
        solver,
        max_iterations: a.max_iterations.unwrap_or(Options::default().max_iterations),
        tolerance: a.tolerance,
        mix: a.elastic_net,
        intercept: !a.no_intercept,
        standardize: a.standardize,
        positive: a.positive,
        sample_weights: weights,
    };
    let mut observer = session;
    let fail = |e| failure(&text, e);
    let (fits, chosen, cv) = session.stage("compute", || {
        let count = a.path.unwrap_or(100);
        if let Some(folds) = a.cv {
            let (folds, grid) = (Folds::Shuffled(folds), Grid::Geometric { count, min_ratio });
            let plan = CrossValidationOptions { folds, grid, seed: session.seed(), fit: options };
            let cv = cross_validate_observed(&design, &y, &plan, &mut observer).map_err(fail)?;
            let report = &cv.report;
            let table = json!({"lambdas": cv.lambdas, "mean_squared_error": cv.mean_squared_error, "standard_error": cv.standard_error, "best": cv.best,
                "folds": report.folds, "ending": report.ending.name()});
            if report.ending == Ending::Interrupted {
                let all = a.cv.unwrap_or_default();
                session.warn(format!("interrupted: the errors are those of {} of {all} folds", report.folds));
            }
            return Ok((cv.path, cv.best, table));
        }
        if a.path.is_some() {
            let grid = Grid::Geometric { count, min_ratio };
            let fits = path_observed(&design, &y, &grid, &options, &mut observer).map_err(fail)?;
            let last = fits.len() - 1;
            return Ok((fits, last, Value::Null));
        }
        let lambda = match a.lambda {
            Some(l) => l,
            // A constant target has no largest value: any penalty gives the null model.
            None => match largest_lambda(&design, &y, &options).map_err(fail)? {
                0.0 => 1.0,
                top => 0.1 * top,
            },
        };
        Ok((vec![solve_observed(&design, &y, lambda, &options, &mut observer).map_err(fail)?], 0, Value::Null))
    })?;
    let show = |s: &Solution| {
        let list: Vec<_> = s.coefficients.iter().map(|&(j, v)| json!({"name": names[j], "value": v})).collect();
        json!({"status": status(s.status, s.report.ending), "lambda": s.lambda, "intercept": s.intercept, "coefficients": list, "objective": s.objective,
            "duality_gap": s.gap(), "dual_scale": s.report.dual_scale, "nonzeros": s.coefficients.len()})
    };
    let best = &fits[chosen];
    let mut result = show(best);
    if a.path.is_some() || a.cv.is_some() {
        result["path"] = fits.iter().map(show).collect();
    }
    result["cv"] = cv;
    let mut table = format!(
        "lambda {:.6e}\nobjective {:.6e}, duality gap {:.1e}\nstatus {}, {}\nintercept {:+.6}\n",
        best.lambda,
        best.objective,
        best.gap(),
        status(best.status, best.report.ending),
        best.report.ending.name(),
        best.intercept
    );
    say(session, &fits.iter().map(|f| (f.status, f.report.ending)).collect::<Vec<_>>());
    for &(j, v) in &best.coefficients {
        table += &format!("{:>16} {v:+.6}\n", names[j]);
    }
    if let Some(file) = &a.out {
        output::write(file, |to| {
            writeln!(to, "{}", line(file, &["lambda", "column", "coefficient"])?)?;
            for fit in &fits {
                let lambda = fit.lambda.to_string();
                writeln!(to, "{}", line(file, &[&lambda, "(intercept)", &fit.intercept.to_string()])?)?;
                for &(j, v) in &fit.coefficients {
                    writeln!(to, "{}", line(file, &[&lambda, &names[j], &v.to_string()])?)?;
                }
            }
            Ok(())
        })?;
    }
    Ok(Answer {
        parameters: json!({"table": shown(&a.table), "target": a.target, "lambda": a.lambda, "path": a.path, "cv": a.cv,
            "elastic_net": a.elastic_net, "tolerance": a.tolerance, "solver": a.solver, "unpenalized": a.unpenalized, "lower": a.lower, "upper": a.upper, "standardize": a.standardize, "positive": a.positive}),
        result,
        report: super::map(json!({"path": best.report.route.name(), "status": status(best.status, best.report.ending),
            "ending": best.report.ending.name(), "limits": fits.iter().filter(|f| !f.converged()).count(),
            "iterations": fits.iter().map(|f| f.report.iterations).sum::<usize>(), "null_objective": best.report.null_objective})),
        table,
    })
}

/// Says of fits that did not converge what they are; they can be used all the same.
fn say(session: &Session, all: &[(Status, Ending)]) {
    let count = |wanted: &str| all.iter().filter(|s| status(s.0, s.1) == wanted).count();
    let (limits, failed) = (count("limit"), count("certificate_failed"));
    if limits > 0 {
        let of = all.len();
        session.warn(format!("{limits} of {of} fits did not converge: their duality gaps say how far off they may be"));
    }
    if failed > 0 {
        session.warn(format!("the certificates of {failed} of {} fits failed: nothing is proven of them", all.len()));
    }
    if all.iter().any(|s| s.1 == Ending::Interrupted) {
        session.warn("interrupted: the last fit is the best by then");
    }
}

/// Claim and ending in one word.
fn status(status: Status, ending: Ending) -> &'static str {
    match (status, ending) {
        (Status::Converged, _) => "converged",
        (Status::CertificateFailed, _) => "certificate_failed",
        (Status::NotConverged, Ending::Interrupted) => "interrupted",
        (Status::NotConverged, _) => "limit",
    }
}

/// An error of the library, in the words of the command line: options by their names there.
fn failure(table: &str, e: Error) -> Failure {
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
