//! Surrogates.
mod answer;
mod ask;
mod design;
mod energy;
mod evidence;
mod exp;
mod expert;
mod fit;
mod functionals;
mod heavy;
mod kernel;
mod lbfgs;
mod letters;
mod many_points;
mod mix;
mod mixture;
mod options;
mod posterior;
mod pursuit;
mod rounds;
mod search;
mod sets;
mod stored;
mod table;
mod workspace;

use samplewise_linalg::observe::{Observer, Watch};

use crate::Noise;
use crate::field::bits::Bits;

/// Points up to which the decoder of a plan is a surrogate.
pub(crate) const MOST_POINTS: usize = 4_000;

/// The `most` largest coefficients with their deviations, index ascending, and the standard deviation of the noise; none where
/// nothing could be fitted.
pub(crate) fn largest<I: Bits>(
    points: &[I],
    values: &[f64],
    variables: usize,
    (noise, seed): (Noise, u64),
    most: usize,
    observer: &mut dyn Observer,
) -> Option<(Vec<(I, f64, f64)>, f64)> {
    let options = Options { noise, seed, max_points: MOST_POINTS, ..Options::default() };
    let model = fit_observed(points, values, variables, &options, observer).ok()?;
    let mut watch = Watch::new(observer);
    let mut look = rounds::looking(&mut watch, "largest coefficients");
    let found = model.mixture.top(most, &mut look).0.into_iter();
    let mut out: Vec<(I, f64, f64)> =
        found.map(|(set, e)| (I::from_positions(set.iter().map(|&i| usize::from(i))), e.mean, e.deviation)).collect();
    out.retain(|c| c.1 != 0.0);
    out.sort_unstable_by_key(|c| c.0);
    Some((out, model.report.noise_std))
}

pub use answer::{Energy, Estimate, ExpertReport, Kind, Report, Sobol, Status};
pub use ask::{AskOptions, Surrogate, Target};
pub use functionals::PairIndex;
pub use letters::{Interaction, LetterPosterior, Letters, fit_letters, fit_letters_observed};
pub use options::Options;
pub use posterior::{Posterior, Top, fit, fit_observed};

#[cfg(test)]
mod tests;
