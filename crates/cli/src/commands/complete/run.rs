//! One best fit, or draws from the posterior.
use samplewise_completion::{ArgumentError, Ending, Entries, Error};

use super::args::Arguments;
use super::read::{Data, read_all};
use super::{draws, fit};
use crate::choices::CompletionSolver;
use crate::failure::{Failure, bad, usage};
use crate::output::{NO_TABLES, check_apart, check_ending, check_not_ending};
use crate::session::{Answer, Session};

pub fn run(a: &Arguments, session: &Session) -> Result<Answer, Failure> {
    check_apart(("--out", a.out.as_deref()), ("--factors", a.factors.as_deref()))?;
    check_ending("--factors", a.factors.as_deref(), &["npz"])?;
    check_not_ending("--out", a.out.as_deref(), NO_TABLES, "a table")?;
    let read = || session.stage("read", || read_all(a, session));
    if a.solver == CompletionSolver::Gibbs {
        let asked = draws::sampling(a)?;
        return draws::run(asked, a, read()?, session);
    }
    if a.samples.is_some() {
        return Err(usage("--samples needs --solver gibbs"));
    }
    let asked = fit::options(a)?;
    fit::run(asked, a, read()?, session)
}

/// The triplets as the library takes them.
pub(super) fn entries(Data { train, rows, columns, .. }: &Data) -> Result<Entries, Failure> {
    Entries::new(rows.len(), columns.len(), &train.entries, train.weights.as_deref()).map_err(failure)
}

/// An error of the library, in the words of the command line: options by their names there.
pub(super) fn failure(e: Error) -> Failure {
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
pub(super) fn ending_of(ending: Ending, session: &Session) -> Ending {
    if ending == Ending::Interrupted && !session.interrupted() { Ending::Limit } else { ending }
}
