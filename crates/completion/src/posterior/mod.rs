//! Ratings: draws from the posterior of a low-rank model instead of one best fit (row COM-11).
//!
//! Bayesian matrix factorisation by Gibbs sampling (Salakhutdinov and Mnih 2008): the rows of both factors, with their
//! biases, are normal around a mean with a precision that is drawn as well, and so is the noise. There is nothing to tune,
//! the rank hardly matters, and the mean prediction of many draws is closer than one fit where entries are few and noisy
//! (`cargo bench --bench completion -- ratings`).
//! Which entries exist moves the prior of a row or column (`links`).
//!
//! A draw of all rows given the others is one half step of alternating least squares with a normal number added before the
//! back substitution ([`samplewise_linalg::batched::Draw`]), so that a sweep costs what a pair does.
mod chain;
mod links;
mod prior;
mod stored;

use std::time::Instant;

use rayon::prelude::*;
use samplewise_linalg::argument::check_ranges;
use samplewise_linalg::batched::MAX_UNKNOWNS;
use samplewise_linalg::observe::{Observer, Progress};
use samplewise_linalg::scale::{ldexp, scale};
use samplewise_linalg::{Ending, LinalgError, Real, Seconds};

use crate::check::{check_entries, check_test};
use crate::complete::{seeded, spread};
use crate::data::biases::baseline;
use crate::data::entries::Renumbering;
use crate::data::split::{Purpose, Split, Triplet};
use crate::model::within;
use crate::options::{POSTERIOR, PosteriorOptions, Verification};
use crate::{Ensemble, Entries, Error, Model, Rank};
use chain::Chain;

/// How a call went, and what its claims rest on.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PosteriorReport {
    /// How the sampling ended.
    pub ending: Ending,
    /// Wall time of the call.
    pub seconds: Seconds,
    /// Standard deviation of the noise, the mean over the draws kept.
    pub noise: f64,
    /// The same at every sweep, those of the burn-in too: at rest when the chain is.
    pub trace: Vec<f64>,
    /// Number of entries fitted.
    pub fitted_entries: usize,
    /// Number of entries that only judged (those given, or those held out).
    pub verification_entries: usize,
    /// Root mean square residual of the draws on the fitted entries; the mean prediction is closer.
    pub train_rmse: f64,
    /// On the entries that judge, each of weight 1, before they were fitted as well.
    pub test_rmse: Option<f64>,
    /// Of mean and biases alone on the same entries.
    pub baseline_test_rmse: Option<f64>,
    /// Share of the entries that judge within 1.645 predicted deviations of their mean: 0.9 when the model is right.
    pub test_coverage: Option<f64>,
}

/// Draws from the posterior.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Posterior {
    /// The models that were drawn, in the order of the sweeps.
    pub models: Ensemble,
    /// Standard deviation of the noise of each draw.
    pub noise: Vec<f64>,
    /// The evidence: how the call went, and what its claims rest on.
    pub report: PosteriorReport,
}

/// What the draws say of one entry.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Prediction {
    /// Mean of the entry over the draws.
    pub mean: f64,
    /// Standard deviation of the entry without its noise; 0 from a single draw.
    pub uncertainty: f64,
    /// Standard deviation of a new observation of the entry: uncertainty and noise.
    pub deviation: f64,
}

impl Posterior {
    /// Whether all draws were made.
    pub fn converged(&self) -> bool {
        self.report.ending == Ending::Finished
    }

    /// Mean and deviations of many entries, in their order; in parallel.
    ///
    /// # Errors
    /// [`Error::Data`] for the first position outside the matrix.
    pub fn predict_many(&self, positions: &[(usize, usize)]) -> Result<Vec<Prediction>, Error> {
        let model = &self.models.models()[0];
        for &(i, j) in positions {
            within("row", i, model.rows())?;
            within("column", j, model.columns())?;
        }
        Ok(positions.par_iter().with_min_len(256).map(|&(i, j)| self.predict(i, j)).collect())
    }

    /// Mean and deviations of one entry.
    ///
    /// # Panics
    /// When the position is outside the matrix.
    pub fn predict(&self, row: usize, column: usize) -> Prediction {
        let mut moments = Moments::new(self.report.noise);
        for (model, noise) in self.models.models().iter().zip(&self.noise) {
            moments.add(model.predict(row, column), *noise);
        }
        moments.prediction()
    }
}

/// Sums over draws.
#[derive(Clone, Copy, Debug)]
struct Moments {
    /// Of the squares, which might leave the range of numbers otherwise.
    unit: f64,
    count: f64,
    mean: f64,
    squares: f64,
    noise: f64,
}

impl Moments {
    fn new(unit: f64) -> Self {
        Self { unit: unit.max(f64::MIN_POSITIVE), count: 0.0, mean: 0.0, squares: 0.0, noise: 0.0 }
    }

    fn add(&mut self, value: f64, noise: f64) {
        self.count += 1.0;
        let step = value - self.mean;
        self.mean += step / self.count;
        self.squares += step / self.unit * ((value - self.mean) / self.unit);
        self.noise += ((noise / self.unit).powi(2) - self.noise) / self.count;
    }

    fn prediction(&self) -> Prediction {
        let variance = self.squares / (self.count - 1.0).max(1.0);
        Prediction {
            mean: self.mean,
            uncertainty: self.unit * variance.sqrt(),
            deviation: self.unit * (variance + self.noise).sqrt(),
        }
    }
}

/// Draws models of rank `rank` from their posterior given the entries (row COM-11).
///
/// The rank hardly matters, since draws shrink what the entries do not show: an automatic one is a fifth of the entries of
/// the mean row or column.
///
/// Values are standardised; rows of factors with their bias have normal priors with normal-Wishart hyperpriors, the noise an
/// inverse gamma one, each of the weight of a few rows or one entry.
///
/// - **Cost**: `|Ω|(k + 1)²` multiplications a sweep and `(m + n)(k + 1)³/6`; `8(m + n)(k + 1)` bytes a draw.
/// - **Randomness**: all from [`PosteriorOptions::seed`]; the same seed gives the same draws for every thread count.
///
/// ```
/// use samplewise_completion::{Entries, PosteriorOptions, Rank, sample_posterior};
/// let seen = (0..40).flat_map(|i| (0..30).map(move |j| (i, j))).filter(|(i, j)| (i * 7 + j * 11) % 10 < 6);
/// let noise = |i: usize, j: usize| ((i * 7919 + j * 104_729) % 1000) as f64 / 1000.0;
/// let entries: Vec<_> = seen
///     .map(|(i, j)| (i, j, (1.0 + i as f64) * (2.0 - j as f64 / 10.0) + noise(i, j)))
///     .collect();
/// let data = Entries::new(40, 30, &entries, None)?;
/// let draws = sample_posterior(&data, Rank::Fixed(1), &PosteriorOptions::default())?;
/// let found = draws.predict(38, 0); // never seen: 78, and noise of mean 0.5 and deviation 0.29
/// assert!((found.mean - 78.5).abs() < 4.0 * found.uncertainty);
/// assert!((found.deviation - 0.3).abs() < 0.1);
/// # Ok::<(), samplewise_completion::Error>(())
/// ```
///
/// # Errors
/// [`Error::Argument`], [`Error::Rank`] (at most 127 with biases), [`Error::TooFewEntries`]; [`Error::Data`] for test entries
/// outside the shape or not finite, and for draws that do not fit in memory.
pub fn sample_posterior<T: Real>(
    entries: &Entries<T>,
    rank: Rank,
    options: &PosteriorOptions,
) -> Result<Posterior, Error> {
    sample_posterior_observed(entries, rank, options, &mut ())
}

/// [`sample_posterior`] with progress and cancellation; when stopped, the draws so far.
///
/// # Errors
/// As [`sample_posterior`].
pub fn sample_posterior_observed<T: Real>(
    entries: &Entries<T>,
    rank: Rank,
    sampling: &PosteriorOptions,
    observer: &mut dyn Observer,
) -> Result<Posterior, Error> {
    let start = Instant::now();
    let test = sampling.verification.given();
    let rank = check(entries, rank, sampling)?;
    if let Some(test) = test {
        check_test(entries, test)?;
    }
    if let Some((e, moderate)) = entries.moderate() {
        // In units near one, so that no square vanishes or overflows, and back.
        let mut sampling = sampling.clone();
        if let Verification::Given(test) = &mut sampling.verification {
            test.iter_mut().for_each(|t| t.2 = ldexp(t.2, -e));
        }
        let mut out = sample_posterior_observed(&moderate, Rank::Fixed(rank), &sampling, observer)?;
        out.models.multiply_values(e);
        scale(&mut out.noise, e);
        let r = &mut out.report;
        scale(&mut r.trace, e);
        let optional = [&mut r.test_rmse, &mut r.baseline_test_rmse].into_iter().flatten();
        [&mut r.noise, &mut r.train_rmse].into_iter().chain(optional).for_each(|v| *v = ldexp(*v, e));
        return Ok(out);
    }
    let streams = seeded(sampling.seed);
    let share = sampling.verification.share(entries.len()).min(0.5);
    let mut split = Split::new(entries, 1, f64::INFINITY, [0.0, share], streams.child(0));
    let held_out = !split.verification.is_empty();
    if let Some(test) = test {
        split.verification = test.to_vec();
    }
    let everyone = (Renumbering::without(entries.rows(), &[]), Renumbering::without(entries.columns(), &[]));
    let fitted = entries
        .select(|p| split.purpose[p] == Purpose::Fit, &everyone.0, &everyone.1)
        .ok_or(Error::TooFewEntries { given: entries.len(), rank, needed: split.verification.len() + 1 })?;
    let (mean, spread) = moments(&fitted);
    let mut chain = Chain::new(&fitted, rank, sampling, (mean, spread), streams.child(1))?;
    let mut run = Run { sampling, observer, ending: Ending::Finished, trace: Vec::new() };
    let mut kept = run.draws(&mut chain, sampling.burn_in, &split.verification)?;
    let judged: Vec<(Prediction, f64)> =
        kept.moments.iter().zip(&split.verification).map(|(m, e)| (m.prediction(), e.2)).collect();
    let over_judged = |f: &dyn Fn(&(Prediction, f64)) -> f64| {
        (!judged.is_empty()).then(|| judged.iter().map(f).sum::<f64>() / judged.len() as f64)
    };
    let test_rmse = over_judged(&|(p, v)| ((p.mean - v) / spread).powi(2)).map(|square| spread * square.sqrt());
    let test_coverage = over_judged(&|(p, v)| f64::from(u8::from((p.mean - v).abs() <= NINETY * p.deviation)));
    let baseline_test_rmse = test_rmse
        .and_then(|_| baseline(&fitted, None).to_model(1.0, &everyone.0, &everyone.1).rmse(&split.verification));
    let mut used = (fitted.len(), fitted.total_weight());
    if held_out && run.ending == Ending::Finished {
        chain.replace(entries);
        let all = run.draws(&mut chain, sampling.burn_in / 4, &[])?;
        // Cut short, it has nothing better than the draws that were judged.
        if run.ending == Ending::Finished {
            kept = all;
            used = (entries.len(), entries.total_weight());
        }
    }
    let models = Ensemble::new(kept.models)?;
    let report = PosteriorReport {
        ending: run.ending,
        seconds: Seconds::since(start),
        noise: kept.noise.iter().sum::<f64>() / kept.noise.len() as f64,
        trace: run.trace,
        fitted_entries: used.0,
        verification_entries: split.verification.len(),
        train_rmse: spread * (kept.squares / kept.noise.len() as f64 / used.1).sqrt(),
        test_rmse,
        baseline_test_rmse,
        test_coverage,
    };
    Ok(Posterior { models, noise: kept.noise, report })
}

/// Entries of a row or column, of the mean one, for each factor of an automatic rank.
const FOR_EACH: f64 = 5.0;
/// Deviations on both sides of the mean that hold nine tenths of a normal distribution.
const NINETY: f64 = 1.645;

/// Weighted mean and standard deviation of the values; the latter positive.
fn moments(entries: &Entries) -> (f64, f64) {
    let unit = spread(entries);
    let (mut total, mut mean) = (0.0, 0.0);
    for (_, _, v, w) in entries.iter() {
        total += w;
        mean += w / total * (v - mean);
    }
    let variance = entries.iter().map(|(_, _, v, w)| w / total * ((v - mean) / unit).powi(2)).sum::<f64>();
    (mean, if variance > 0.0 { unit * variance.sqrt() } else { unit })
}

fn check<T: Real>(entries: &Entries<T>, rank: Rank, sampling: &PosteriorOptions) -> Result<usize, Error> {
    let limit = entries.rows().min(entries.columns()).min(MAX_UNKNOWNS - usize::from(sampling.biases));
    let rank = match rank {
        Rank::Fixed(rank) => rank,
        Rank::Auto { max } => {
            let of_each = entries.len() as f64 / (entries.rows() + entries.columns()) as f64 / FOR_EACH;
            (of_each.round() as usize).clamp(1, max.min(limit).max(1)).min(max)
        }
    };
    check_entries(entries, rank, limit)?;
    check_ranges(sampling, &POSTERIOR)?;
    // Those that are judged and those that are returned, if some entries are held out.
    let sets = if sampling.verification.share(entries.len()) > 0.0 { 2 } else { 1 };
    let bytes = 8 * sets * sampling.samples as u128 * (entries.rows() + entries.columns()) as u128 * (rank as u128 + 1);
    let fits = usize::try_from(bytes).is_ok_and(|b| Vec::<u8>::new().try_reserve_exact(b).is_ok());
    if fits { Ok(rank) } else { Err(LinalgError::TooLarge { what: "the draws", bytes }.into()) }
}

/// The draws kept, and what they say of the entries that judge.
struct Kept {
    models: Vec<Model>,
    noise: Vec<f64>,
    /// Squared residuals of the draws over the square of the scale, added.
    squares: f64,
    moments: Vec<Moments>,
}

struct Run<'a> {
    sampling: &'a PosteriorOptions,
    observer: &'a mut dyn Observer,
    ending: Ending,
    trace: Vec<f64>,
}

impl Run<'_> {
    /// Sweeps, and keeps what comes after the burn-in; the first sweep of all at least.
    fn draws(&mut self, chain: &mut Chain, burn_in: usize, test: &[Triplet]) -> Result<Kept, LinalgError> {
        let moments = vec![Moments::new(chain.scale); test.len()];
        let mut kept = Kept { models: Vec::new(), noise: Vec::new(), squares: 0.0, moments };
        let total = burn_in + self.sampling.samples;
        for step in 1..=total {
            let squares = chain.sweep()?;
            let noise = chain.noise();
            self.trace.push(noise);
            let stage = if step <= burn_in { "burn-in" } else { "sampling" };
            let stopped =
                self.observer.step(Progress { stage, step, total: Some(total), value: Some(noise) }).is_break();
            if stopped {
                self.ending = Ending::Interrupted;
            }
            if step > burn_in || stopped && kept.models.is_empty() && self.trace.len() == step {
                let model = chain.model();
                kept.moments.iter_mut().zip(test).for_each(|(m, e)| m.add(model.predict(e.0, e.1), noise));
                kept.models.push(model);
                kept.noise.push(noise);
                kept.squares += squares;
            }
            if stopped {
                break;
            }
        }
        Ok(kept)
    }
}
