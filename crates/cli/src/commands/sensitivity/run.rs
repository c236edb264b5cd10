//! What the words ask for, and the calls.
use samplewise_sensitivity::{
    ArgumentError, Coreset, CoresetOptions, Error, Options, Regression, SampleOptions, ScoreOptions, Scores,
    planned_size, regress_observed, regress_on_coreset_observed, scores_observed,
};

use super::args::Arguments;
use super::read::{Data, read};
use super::show::Outcome;
use super::stream;
use crate::failure::{Failure, bad, usage};
use crate::output::{NO_TABLES, check_apart, check_not_ending};
use crate::session::{Answer, Session};

pub fn run(a: &Arguments, session: &Session) -> Result<Answer, Failure> {
    check(a)?;
    if a.stream {
        return stream::run(a, session);
    }
    let data = session.stage("read", || read(a))?;
    check_size(a, &data)?;
    let (scores, size, sample, regression) = session.stage("compute", || compute(a, &data, session))?;
    let outcome = Outcome { data, scores, size, sample, regression };
    session.stage("write", || outcome.write(a))?;
    outcome.warn(session);
    Ok(outcome.answer(a, session))
}

/// Words that do not go together.
fn check(a: &Arguments) -> Result<(), Failure> {
    if a.quantile.is_some() && a.p != 1.0 {
        return Err(usage("--quantile is a loss of its own and goes with --p 1 only"));
    }
    check_apart(("--out", a.out.as_deref()), ("--scores", a.scores.as_deref()))?;
    for (option, path) in [("--out", &a.out), ("--scores", &a.scores)] {
        check_not_ending(option, path.as_deref(), NO_TABLES, "a table")?;
    }
    Ok(())
}

fn check_size(a: &Arguments, Data { x, .. }: &Data) -> Result<(), Failure> {
    let least = if a.regress.is_some() && !a.exact { x.columns() + 1 } else { 1 };
    let least = least.min(x.rows());
    match a.size.filter(|s| !(least..=x.rows()).contains(s)) {
        Some(size) => Err(failure(&a.name(), Error::Size { size, least, rows: x.rows() })),
        None => Ok(()),
    }
}

/// Scores, the size of the sample that was asked for, the sample, and the regression.
type Computed = (Scores, usize, Coreset, Option<Regression>);

fn compute(a: &Arguments, Data { x, y, .. }: &Data, session: &Session) -> Result<Computed, Failure> {
    let mut observer = session;
    let name = |e: Error| failure(&a.name(), e);
    let (method, sampler, seed) = (a.method.into(), a.sampler.into(), session.seed());
    let scores = session.stage("scores", || {
        let options = ScoreOptions { method, ..ScoreOptions::default() };
        scores_observed(x, a.p, &options, &mut observer).map_err(name)
    })?;
    let size = match (a.size, a.epsilon) {
        (Some(size), _) => size,
        (_, Some(epsilon)) => {
            let planned = planned_size(epsilon, a.p, scores.rank).map_err(name)?;
            planned.max(x.columns() + 1).min(x.rows())
        }
        _ => (50 * (x.columns() + 1)).min(x.rows()),
    };
    let sample = session.stage("sample", || {
        // A second signal ends the program; the first one ended the scores.
        Coreset::sample(x, &scores.values, a.p, size, &SampleOptions { sampler, seed }).map_err(name)
    })?;
    let Some(y) = y else { return Ok((scores, size, sample, None)) };
    let regression = session.stage("regress", || {
        // A sample of all rows is all rows.
        if a.exact || size == x.rows() {
            regress_observed(x, y, a.loss(), &Options::default(), &mut observer)
        } else {
            let options = CoresetOptions { method, sampler, seed, ..CoresetOptions::default() };
            regress_on_coreset_observed(x, y, a.loss(), size, &options, &mut observer)
        }
        .map_err(name)
    })?;
    Ok((scores, size, sample, Some(regression)))
}

/// An error of the library, in the words of the command line.
pub(super) fn failure(table: &str, e: Error) -> Failure {
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
