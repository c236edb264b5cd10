//! What the words ask for, and the call.
use samplewise_completion::{Advanced, Options, Rank, Solver, complete_observed};

use super::show::Outcome;
use crate::commands::complete::args::Arguments;
use crate::commands::complete::read::Data;
use crate::commands::complete::run::{entries, failure};
use crate::failure::{Failure, usage};
use crate::session::{Answer, Session};

/// What the words of the call ask for.
pub(in crate::commands::complete) fn options(a: &Arguments) -> Result<(Rank, Options), Failure> {
    let solver = a.solver.of_rows().unwrap_or(Solver::Auto);
    let rank = match a.rank.as_str() {
        "auto" => Rank::Auto { max: 30 },
        k => Rank::Fixed(k.parse().map_err(|_| usage(format!("--rank is {k}, allowed is auto or a number")))?),
    };
    let lambda = match a.lambda.as_str() {
        "auto" => None,
        l => Some(l.parse().map_err(|_| usage(format!("--lambda is {l}, allowed is auto or a number")))?),
    };
    let options = Options {
        lambda,
        biases: a.biases(),
        exact_recovery: a.tolerance,
        loss: a.loss.into(),
        non_negative: a.non_negative,
        max_iterations: a.max_iterations(),
        advanced: Advanced { ridge_exponent: a.ridge_exponent, solver, ..Advanced::default() },
        ..Options::default()
    };
    Ok((rank, options))
}

pub(in crate::commands::complete) fn run(
    (rank, options): (Rank, Options),
    a: &Arguments,
    data: Data,
    session: &Session,
) -> Result<Answer, Failure> {
    let mut observer = a.watched(session)?;
    let options = Options { verification: data.verification(a), seed: session.seed(), ..options };
    let done = session
        .stage("compute", || complete_observed(&entries(&data)?, rank, &options, &mut observer).map_err(failure))?;
    let mut outcome = Outcome { data, done, counted: None };
    session.stage("write", || outcome.write(a))?;
    outcome.warn(session);
    Ok(outcome.answer(a, session))
}
