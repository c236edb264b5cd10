//! The driver: split, peel, walk the paths, choose the rank.
use std::time::Instant;

use samplewise_linalg::observe::Observer;
use samplewise_linalg::random::Streams;
use samplewise_linalg::scale::ldexp;
use samplewise_linalg::sums::power_of_two_scale;
use samplewise_linalg::{Real, Seconds};

use crate::answer::Completion;
use crate::check::{check, check_test};
use crate::control::Control;
use crate::data::core_peeling::{Peeled, peel};
use crate::data::entries::Renumbering;
use crate::data::split::{Purpose, Split, Triplet};
use crate::data::state::State;
use crate::options::{Loss, Verification};
use crate::paths::order::{self, GROWTHS, Outcome, Problem};
use crate::{Entries, Error, Options, Rank, robust};

/// Largest ridge in the units in which the spread of the values is near one: all that is left beside it is zero.
pub(crate) const LARGEST_RIDGE: f64 = 1e30;

/// Completes a matrix from its entries (rows COM-3 to COM-6).
///
/// - **Cost**: about 15 pairs of half steps per rank along the path, `|Ω|k²` multiplications each, and a few dozen passes
///   over the entries for the finish; `report.stages` says how many.
/// - **Randomness**: all from [`Options::seed`]; the same seed gives the same result for every thread count.
///
/// # Errors
/// [`Error::Argument`], [`Error::Rank`], [`Error::TooFewEntries`], [`Error::NothingToTune`], [`Error::Start`];
/// [`Error::Data`] for test entries outside the shape or not finite.
pub fn complete<T: Real>(entries: &Entries<T>, rank: Rank, options: &Options) -> Result<Completion, Error> {
    complete_observed(entries, rank, options, &mut ())
}

/// [`complete`] with progress and cancellation; when stopped, the best model so far.
///
/// # Errors
/// As [`complete`].
pub fn complete_observed<T: Real>(
    entries: &Entries<T>,
    rank: Rank,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Completion, Error> {
    complete_from(entries, rank, options, seeded(options.seed), observer)
}

/// The streams of a seed.
pub(crate) fn seeded(seed: u64) -> Streams {
    Streams::from_rng(&mut Streams::new(seed).stream(0))
}

/// [`complete_observed`] with the randomness of a member of an ensemble.
pub(crate) fn complete_from<T: Real>(
    entries: &Entries<T>,
    rank: Rank,
    options: &Options,
    streams: Streams,
    observer: &mut dyn Observer,
) -> Result<Completion, Error> {
    let start = Instant::now();
    let largest = check(entries, rank, options)?;
    let test = options.verification.given();
    if let Some(test) = test {
        check_test(entries, test)?;
    }
    if let Some((e, moderate)) = entries.moderate() {
        // In units near one, so that no square vanishes or overflows, and back.
        let mut options = options.clone();
        let asked = options.lambda;
        options.lambda = asked.map(|l| ldexp(l, -e).min(f64::MAX));
        if let Some(start) = &mut options.start {
            start.multiply_values(-e);
        }
        if let Verification::Given(test) = &mut options.verification {
            test.iter_mut().for_each(|t| t.2 = ldexp(t.2, -e));
        }
        let mut found = complete_from(&moderate, rank, &options, streams, observer)?.multiply_values(e);
        if let Some(asked) = asked.filter(|_| !found.report.lambda.is_finite()) {
            found.report.lambda = asked;
        }
        return Ok(found);
    }
    let mut control = Control::new(options, observer);
    // With an automatic rank the tuning set has to exist whatever the largest rank tried.
    let kept = if let Rank::Fixed(k) = rank { k } else { 1 };
    let freedom = kept * (entries.rows() + entries.columns() - kept);
    let oversampling = entries.len() as f64 / freedom as f64;
    // Where some entries are wrong, the others are scarce sooner.
    let most = if options.loss != Loss::Squared && oversampling < 4.0 { 0.01 } else { 0.5 };
    let shares = [options.tuning.min(most), options.verification.share(entries.len()).min(most)];
    let mut split = Split::new(entries, kept, oversampling, shares, streams.child(0));
    if let Some(test) = test {
        split.verification = test.to_vec();
    }
    if matches!(rank, Rank::Auto { .. }) && split.tuning.is_empty() {
        return Err(Error::NothingToTune);
    }
    let spread = spread(entries);
    // Ranks that are too small fail on every path, which should then be few.
    let growths = if matches!(rank, Rank::Fixed(_)) { GROWTHS } else { 0 };
    let fit = Fit { entries, split: &split, options, streams, spread, growths };
    let mut tried = Vec::new();
    let found = match rank {
        Rank::Fixed(k) => fit.at_rank(k, &mut control)?,
        Rank::Auto { .. } => fit.grow_rank(largest, &mut tried, &mut control)?,
    };
    if tried.is_empty() {
        tried.push((found.outcome.state.rank(), found.outcome.tuning_error));
    }
    let mut completion = fit.judge(found, tried, control);
    completion.report.seconds = Seconds::since(start);
    Ok(completion)
}

/// What does not change from rank to rank.
pub(crate) struct Fit<'a, T: Real> {
    pub entries: &'a Entries<T>,
    pub split: &'a Split,
    pub options: &'a Options,
    pub streams: Streams,
    pub spread: f64,
    /// Growths of the rank from other starts, after every other path.
    growths: usize,
}

/// The best of one rank.
pub(crate) struct Found {
    pub outcome: Outcome,
    pub peeled: Peeled,
    pub core: Core,
    /// Entries over the degrees of freedom of the rows and columns fitted.
    pub oversampling: f64,
    /// Whether an entry, by its position in row order, was left out as wrong; empty when none was.
    pub outliers: Vec<bool>,
}

/// The rows and columns that were fitted, and the factor of their values.
pub(crate) struct Core {
    pub rows: Renumbering,
    pub columns: Renumbering,
    pub scale: f64,
}

impl<T: Real> Fit<'_, T> {
    fn at_rank(&self, rank: usize, control: &mut Control<'_>) -> Result<Found, Error> {
        let Fit { entries, split, options, streams, spread, growths } = *self;
        let (m, n) = (entries.rows(), entries.columns());
        let fitted = |p: usize| split.purpose[p] == Purpose::Fit;
        // A ridge answers for every row; without one only the core is determined.
        let whole = options.biases || options.lambda.is_some_and(|l| l > 0.0) || options.non_negative;
        let peeled = peel(entries, rank, fitted);
        let everyone = || (Renumbering::without(m, &[]), Renumbering::without(n, &[]));
        let (mut rows, mut columns) = if whole {
            everyone()
        } else {
            (Renumbering::without(m, &peeled.outer_rows), Renumbering::without(n, &peeled.outer_columns))
        };
        // Nothing left of the core: the ridge alone has to answer.
        let mut core = entries.select(fitted, &rows, &columns);
        if core.is_none() {
            (rows, columns) = everyone();
            core = entries.select(fitted, &rows, &columns);
        }
        let mut core = core.ok_or(Error::TooFewEntries {
            given: entries.len(),
            rank,
            needed: split.tuning.len() + split.verification.len() + 1,
        })?;
        let scale = power_of_two_scale(spread);
        for side in [&mut core.by_row, &mut core.by_column] {
            side.values.values_mut().iter_mut().for_each(|v| *v /= scale);
        }
        let tuning: Vec<Triplet> = split
            .tuning
            .iter()
            .map(|&(i, j, v)| (rows.new[i], columns.new[j], v / scale))
            .filter(|e| e.0 != u32::MAX && e.1 != u32::MAX)
            .map(|(i, j, v)| (i as usize, j as usize, v))
            .collect();
        let freedom = (rank * (rows.kept.len() + columns.kept.len()).saturating_sub(rank)).max(1);
        let oversampling = core.len() as f64 / freedom as f64;
        let mut problem = Problem::new(core, tuning, spread / scale, oversampling);
        // λ in the units of the scaled values.
        let scaled = Options { lambda: options.lambda.map(|l| (l / scale).min(LARGEST_RIDGE)), ..options.clone() };
        let started =
            options.start.as_ref().map(|m| (State::of_model(m, scale, &rows, &columns), scaled.lambda.unwrap_or(0.0)));
        let from = started.as_ref().map(|(s, l)| (s, *l));
        let streams = streams.child(1 + rank as u64);
        let (outcome, outliers) = if options.loss == Loss::Squared {
            (order::run(&problem, rank, &scaled, from, growths, streams, control)?, Vec::new())
        } else {
            let (outcome, left_out) = robust::run(&mut problem, rank, &scaled, from, streams, control)?;
            // Positions of the core among all entries, in row order.
            let inside = |(p, (i, j, ..)): &(usize, (usize, usize, f64, f64))| {
                fitted(*p) && rows.new[*i] != u32::MAX && columns.new[*j] != u32::MAX
            };
            let mut all = vec![false; entries.len()];
            entries.iter().enumerate().filter(inside).zip(left_out).for_each(|((p, _), out)| all[p] = out);
            (outcome, all)
        };
        Ok(Found { outcome, peeled, core: Core { rows, columns, scale }, oversampling, outliers })
    }

    /// Ranks in steps of about a quarter, until two in a row do not lower the tuning error by more than its own noise.
    fn grow_rank(
        &self,
        largest: usize,
        tried: &mut Vec<(usize, f64)>,
        control: &mut Control<'_>,
    ) -> Result<Found, Error> {
        let mut best: Option<Found> = None;
        let (mut rank, mut misses, mut errors) = (1, 0, Vec::new());
        loop {
            let next = self.at_rank(rank, control)?;
            let error = next.outcome.tuning_error;
            tried.push((rank, error));
            let squares = self.tuning_errors(&next);
            let gain = best.is_none() || gains(&errors, &squares);
            let (recovered, stopped) = (next.outcome.recovered, control.stop.is_some());
            if gain || recovered {
                // A step that skipped ranks may have skipped the one that is exact.
                let skipped = best.as_ref().map_or(1, |b| b.outcome.state.rank() + 1)..rank;
                best = Some(next);
                errors = squares;
                misses = 0;
                if recovered {
                    for rank in skipped {
                        let exact = self.at_rank(rank, control)?;
                        tried.push((rank, exact.outcome.tuning_error));
                        if exact.outcome.recovered {
                            best = Some(exact);
                            break;
                        }
                    }
                }
            } else {
                misses += 1;
            }
            if recovered || stopped || misses == 2 || rank == largest {
                break;
            }
            rank = (rank + (rank / 4).max(1)).min(largest);
        }
        Ok(best.expect("rank 1 was tried"))
    }

    /// Squared errors on the tuning set, in its order; those of rows and columns left out are infinite for every rank.
    fn tuning_errors(&self, found: &Found) -> Vec<f64> {
        let Core { rows, columns, scale } = &found.core;
        let place = |new: &[u32], i: usize| (new[i] != u32::MAX).then_some(new[i] as usize);
        let error = |&(i, j, v): &Triplet| match (place(&rows.new, i), place(&columns.new, j)) {
            (Some(i), Some(j)) => (v / scale - found.outcome.state.predict(i, j)).powi(2),
            _ => f64::INFINITY,
        };
        self.split.tuning.iter().map(error).collect()
    }
}

/// Whether the second set of squared errors is smaller by more than 0.2 % and more than its standard error.
fn gains(before: &[f64], after: &[f64]) -> bool {
    let pairs: Vec<(f64, f64)> =
        before.iter().zip(after).filter(|(a, b)| a.is_finite() && b.is_finite()).map(|(a, b)| (*a, a - b)).collect();
    let n = pairs.len() as f64;
    let size = pairs.iter().map(|p| p.0).sum::<f64>() / n;
    let mean = pairs.iter().map(|p| p.1).sum::<f64>() / n;
    let variance = pairs.iter().map(|p| (p.1 - mean).powi(2)).sum::<f64>() / n;
    mean > 0.004 * size && mean > (variance / n).sqrt()
}

/// Standard deviation of the values, or their size when they are all equal, or 1 when they are zero.
pub(crate) fn spread<T: Real>(entries: &Entries<T>) -> f64 {
    let n = entries.len() as f64;
    let size = entries.by_row.values.values().iter().fold(0.0_f64, |m, v| m.max(v.to_f64().abs()));
    if size == 0.0 {
        return 1.0;
    }
    // Scaled, so that neither the sum nor the squares leave the range of numbers; from the first value, so that the deviations
    // of values that are nearly equal are exact.
    let values = entries.by_row.values.values();
    let first = values[0].to_f64() / size;
    let mean = values.iter().map(|v| v.to_f64() / size - first).sum::<f64>() / n;
    let variance = values.iter().map(|v| (v.to_f64() / size - first - mean).powi(2)).sum::<f64>() / n;
    if variance.sqrt() > 4.0 * f64::EPSILON { variance.sqrt() * size } else { size }
}
