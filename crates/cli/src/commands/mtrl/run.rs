//! What the words ask for, and the call.
use samplewise_linalg::ArgumentError;
use samplewise_mtrl::{Budget, Error, Options, Strategy, TaskData, learn_observed};

use super::args::Arguments;
use super::show::Outcome;
use super::{read, show};
use crate::failure::{Failure, bad, usage};
use crate::output;
use crate::session::{Answer, Session};

pub fn run(a: &Arguments, session: &Session) -> Result<Answer, Failure> {
    let options = options(a, session.seed())?;
    output::check_ending("--out", a.out.as_deref(), &["csv", "tsv", "npy"])?;
    let (mut sources, (features, target)) = session.stage("read", || read::folder(a, session.seed()))?;
    let test = read::test(a, &features, session.seed())?;
    let budget = budget(a, sources.rows())?;
    let learned = session.stage("compute", || {
        let data = [TaskData::new(&target.0, &target.1).map_err(bad)?];
        let mut observer = session;
        learn_observed(&mut sources, &data, budget, &options, &mut observer).map_err(failure)
    })?;
    let outcome = Outcome::new(learned, &sources, &target, test.as_ref());
    outcome.write(a)?;
    outcome.warn(a, session);
    Ok(show::answer(a, &outcome))
}

/// A number, or none for the word auto.
fn automatic<T: std::str::FromStr>(flag: &str, word: &str) -> Result<Option<T>, Failure> {
    match word {
        "auto" => Ok(None),
        w => w.parse().map(Some).map_err(|_| usage(format!("{flag} is {w}, allowed is auto or a number"))),
    }
}

fn options(a: &Arguments, seed: u64) -> Result<Options, Failure> {
    let strategy = strategy_of(&a.strategy)?;
    let (lambda, dimension) = (automatic("--lambda", &a.lambda)?, automatic("--dimension", &a.dimension)?);
    if lambda.is_some() && matches!(strategy, Strategy::L2 | Strategy::Uniform | Strategy::LeastL1) {
        return Err(usage("--lambda goes with --strategy guarded, l1 or top-K"));
    }
    Ok(Options {
        dimension,
        strategy,
        rounds: a.rounds,
        exploration: a.exploration,
        ridge: a.ridge,
        source_ridge: a.source_ridge,
        lambda,
        seed,
        ..Options::default()
    })
}

fn budget(a: &Arguments, available: usize) -> Result<Budget, Failure> {
    if let Some(budget) = a.budget.filter(|b| b.is_nan() || *b <= 0.0) {
        return Err(usage(format!("--budget is {budget}, allowed is a positive number")));
    }
    let most = |default: usize| a.budget.map_or(default, |b| b as usize).min(available);
    Ok(match (a.risk, &a.cost, a.budget) {
        (Some(target), ..) => Budget::Risk { target, most: most(available) },
        (None, Some(_), Some(money)) => Budget::Cost(money),
        _ => Budget::Samples(most(available / 2)),
    })
}

fn strategy_of(name: &str) -> Result<Strategy, Failure> {
    let allowed = "guarded, l1, l2, least-l1, top-K or uniform";
    let bad_name = || usage(format!("--strategy is {name}, allowed is {allowed}"));
    Ok(match name {
        "guarded" => Strategy::Guarded,
        "l1" => Strategy::L1,
        "l2" => Strategy::L2,
        "least-l1" => Strategy::LeastL1,
        "uniform" => Strategy::Uniform,
        other => {
            let k = other.strip_prefix("top-").and_then(|k| k.parse().ok()).filter(|k| *k > 0);
            Strategy::TopK(k.ok_or_else(bad_name)?)
        }
    })
}

/// An error of the library, in the words of the command line.
fn failure(e: Error) -> Failure {
    match e {
        Error::Argument(ArgumentError { name, given, allowed }) => {
            let flag = match name {
                "dimension" => "--dimension",
                "exploration" => "--exploration",
                "ridge" => "--ridge",
                "source_ridge" => "--source-ridge",
                "lambda" => "--lambda",
                "budget" => "--budget",
                "risk" => "--risk",
                "K of top-K" => "--strategy top-K: K",
                other => return bad(format!("{other} is {given}, allowed is {allowed}")),
            };
            usage(format!("{flag} is {given}, allowed is {allowed}"))
        }
        e => bad(e),
    }
}
