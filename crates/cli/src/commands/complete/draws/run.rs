//! What the words ask for, and the call.
use samplewise_completion::{PosteriorOptions, Rank, sample_posterior_observed};

use super::show::Outcome;
use crate::choices::EntryLoss;
use crate::commands::complete::args::Arguments;
use crate::commands::complete::read::Data;
use crate::commands::complete::run::{entries, failure};
use crate::failure::{Failure, usage};
use crate::session::{Answer, Session};

/// The largest of `--rank auto`: with the bias it fills whole registers.
const LARGEST: usize = 23;
/// Draws kept at most.
const MOST_DRAWS: usize = 1_000_000;

/// What the words of the call ask for.
pub(in crate::commands::complete) fn sampling(a: &Arguments) -> Result<(Rank, PosteriorOptions), Failure> {
    let other = [
        ("--lambda", a.lambda != "auto"),
        ("--ridge-exponent", a.ridge_exponent.is_some()),
        ("--tolerance", a.tolerance.is_some()),
        ("--loss", a.loss != EntryLoss::Squared),
        ("--non-negative", a.non_negative),
        ("--max-iterations", a.max_iterations.is_some()),
    ];
    if let Some((name, _)) = other.iter().find(|o| o.1) {
        return Err(usage(format!("{name} means nothing to --solver gibbs, which draws noise and priors as well")));
    }
    let rank = match a.rank.as_str() {
        "auto" => Rank::Auto { max: LARGEST },
        k => Rank::Fixed(k.parse().map_err(|_| usage(format!("--rank is {k}, allowed is auto or a number")))?),
    };
    let samples = a.samples.unwrap_or(PosteriorOptions::default().samples);
    if !(1..=MOST_DRAWS).contains(&samples) {
        return Err(usage(format!("--samples is {samples}, allowed is 1 to {MOST_DRAWS}")));
    }
    let sampling =
        PosteriorOptions { samples, burn_in: samples.div_ceil(3), biases: a.biases(), ..PosteriorOptions::default() };
    Ok((rank, sampling))
}

pub(in crate::commands::complete) fn run(
    (rank, sampling): (Rank, PosteriorOptions),
    a: &Arguments,
    data: Data,
    session: &Session,
) -> Result<Answer, Failure> {
    let mut observer = a.watched(session)?;
    let sampling = PosteriorOptions { verification: data.verification(a), seed: session.seed(), ..sampling };
    let found = session.stage("compute", || {
        sample_posterior_observed(&entries(&data)?, rank, &sampling, &mut observer).map_err(failure)
    })?;
    let mut outcome = Outcome { data, found, counted: None };
    session.stage("write", || outcome.write(a))?;
    outcome.warn(session);
    Ok(outcome.answer(a, session))
}
