//! A surrogate of a function of few-valued variables: its values, interactions, Shapley values and energies with deviations,
//! from its values at any points.
//!
//! For functions that are not sparse. The coefficients have a Gaussian prior whose variances are a product over the variables,
//! so that the prior is a process with a kernel in closed form (`exp` of a weighted Hamming distance), and every linear
//! functional of the function has its mean and deviation in closed form. Experts differ in how unlike the variables may be, in
//! how heavy the tails of the coefficients are, and one is the heredity pursuit; their shares, and the widths of intervals, come
//! from points that none of them saw. Where a few interactions explain every value, they are the answer alone.
//!
//! | call | what it does |
//! |---|---|
//! | [`fit`], [`fit_letters`] | learns from points of two levels, from words of letters |
//! | [`Posterior`], [`LetterPosterior`] | predicts, explains, proposes what to measure next; as bytes and as data |
//! | [`Surrogate`] | asks for points until values, Shapley values or the maximum are good enough |
//!
//! Rows GP-1 to GP-16 of `paper-refs.md`.
mod answer;
mod ask;
mod assembly;
mod design;
mod energy;
mod evidence;
mod exp;
mod expert;
mod fit;
mod folds;
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
mod stored_ask;
mod table;
mod training;
mod workspace;

use samplewise_linalg::observe::{Observer, Watch};

use crate::Noise;
use crate::field::bits::Bits;

/// Points up to which the decoder of a plan is a surrogate.
pub(crate) const MOST_POINTS: usize = 4_000;

/// The `most` largest coefficients with their deviations, index ascending, and the standard deviation of the noise; none where
/// nothing could be fitted. Values are exact up to `rounding`.
pub(crate) fn largest<I: Bits>(
    points: &[I],
    (values, rounding): (&[f64], f64),
    variables: usize,
    (noise, seed): (Noise, u64),
    most: usize,
    observer: &mut dyn Observer,
) -> Option<(Vec<(I, f64, f64)>, f64)> {
    let options = Options { noise, seed, max_points: MOST_POINTS, ..Options::default() };
    let codes = posterior::codes_of(points, variables).ok()?;
    let mut watch = Watch::new(observer);
    let model = fit::fit(&vec![2; variables], &codes, values, &options, rounding, &mut watch).ok()?;
    let mut look = rounds::looking(&mut watch, "largest coefficients");
    let found = model.top(most, &mut look).0.into_iter();
    let index = |set: &[u16]| I::from_positions(set.iter().map(|&i| usize::from(i)));
    let mut out: Vec<(I, f64, f64)> = found.map(|(set, e)| (index(&set), e.mean, e.deviation)).collect();
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
