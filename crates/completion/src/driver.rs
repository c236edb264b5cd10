//! The driver: split, peel, run the homotopy, choose, refit, judge.
use rand::Rng;
use samplewise_linalg::LinalgError;
use samplewise_linalg::observe::Observer;
use samplewise_linalg::random::{self, Streams};

use crate::core_decomposition::{Peeled, peel};
use crate::homotopy::{self, Path};
use crate::{CompletionError, Entries, Model, Options, Rank};

/// What can be said of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The held-out error, relative to the spread of the values, is within the tolerance on entries that took no part
    /// in the fit. It speaks of entries like the held-out ones.
    Verified,
    /// A regularised or noisy fit that came to rest.
    Fitted,
    /// Exact recovery was asked for by `tolerance`, and the held-out entries disagree.
    NotRecovered,
    /// The limit of iterations was reached; the best model so far.
    Limit,
    /// The observer stopped it; the best model so far.
    Interrupted,
}

/// Evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Rank of the model.
    pub rank: usize,
    /// Ridge of the model.
    pub lambda: f64,
    /// Pairs of half steps in all.
    pub iterations: usize,
    /// Entries fitted, entries that chose λ and rank, entries that only judged.
    pub fitted_entries: usize,
    /// Entries of the tuning set.
    pub tuning_entries: usize,
    /// Entries of the verification set.
    pub verification_entries: usize,
    /// Rows outside the `k`-core: not determined by the entries, predicted by the ridge alone.
    pub undetermined_rows: Vec<usize>,
    /// Columns outside the `k`-core.
    pub undetermined_columns: Vec<usize>,
    /// Root mean square error on the fitted entries.
    pub train_rmse: f64,
    /// On the verification entries.
    pub test_rmse: Option<f64>,
    /// Of mean and biases alone on the verification entries: what a model must beat.
    pub baseline_test_rmse: Option<f64>,
    /// Standard deviation of the values: the scale of `tolerance`.
    pub spread: f64,
    /// Test error over spread: the left side of the stopping inequality; `tolerance` is the right side.
    pub relative_test_error: Option<f64>,
    /// Order-statistic certificate: with 95 % confidence at most this share of entries like the held-out ones …
    pub exceeding_share: Option<f64>,
    /// … has an error above this one (the largest held-out error).
    pub largest_held_out_error: Option<f64>,
    /// `(rank, tuning error over spread)` of every rank tried.
    pub ranks_tried: Vec<(usize, f64)>,
}

/// A completed matrix with its evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// The model.
    pub model: Model,
    /// What can be said of it.
    pub status: Status,
    /// The evidence.
    pub report: Report,
}

/// Completes a matrix from its entries (rows COM-3 to COM-6).
///
/// - **Cost**: about 20 pairs of half steps per rank along the path, `2|Ω|k²` each, and as many again to an exact finish.
/// - **Randomness**: all from `rng`; the same seed gives the same result for every thread count.
///
/// # Errors
/// [`CompletionError::Rank`], [`CompletionError::TooFewEntries`], [`CompletionError::OptionOutOfRange`].
pub fn complete<R: Rng + ?Sized>(
    entries: &Entries,
    rank: Rank,
    options: &Options,
    rng: &mut R,
) -> Result<Completion, CompletionError> {
    complete_observed(entries, rank, options, None, rng, &mut ())
}

/// [`complete`] with progress and cancellation, and with entries of the caller's choice as the verification set: `test`
/// takes the place of `options.verification`.
///
/// # Errors
/// As [`complete`]; [`CompletionError::Entries`] for test entries outside the shape or not finite.
pub fn complete_observed<R: Rng + ?Sized>(
    entries: &Entries,
    rank: Rank,
    options: &Options,
    test: Option<&[(usize, usize, f64)]>,
    rng: &mut R,
    observer: &mut dyn Observer,
) -> Result<Completion, CompletionError> {
    let largest = check(entries, rank, options)?;
    let streams = Streams::from_rng(rng);
    // With an automatic rank the tuning set has to exist whatever the largest rank tried.
    let (kept, verification) = match rank {
        Rank::Fixed(k) => (k, options.verification),
        Rank::Auto { .. } => (1, options.verification),
    };
    let verification = if test.is_some() { 0.0 } else { verification };
    let mut split = Split::new(entries, kept, verification, options.tuning, streams.child(0));
    if let Some(test) = test {
        check_test(entries, test)?;
        split.verification = test.to_vec();
    }
    if matches!(rank, Rank::Auto { .. }) && split.tuning.is_empty() {
        return Err(CompletionError::NothingToTune);
    }
    let spread = spread(entries);
    let peeled = |k: usize| peel(&split.fit, k);

    let mut tried = Vec::new();
    let mut used = 0;
    let mut run =
        |k: usize, observer: &mut dyn Observer, used: &mut usize| -> Result<(Path, Peeled), CompletionError> {
            let out = peeled(k);
            let budget = options.max_iterations.saturating_sub(*used).max(1);
            let mut rng = streams.stream(k as u64);
            let path = homotopy::run(&split.fit, &split.tuning, spread, k, &out, options, budget, &mut rng, observer)?;
            *used += path.pairs;
            tried.push((k, path.tuning_error));
            Ok((path, out))
        };
    let (path, peeled) = match rank {
        Rank::Fixed(k) => run(k, observer, &mut used)?,
        Rank::Auto { max } => {
            let mut best = run(1, observer, &mut used)?;
            let mut misses = 0;
            for k in 2..=max.min(largest) {
                if misses == 2 || best.0.interrupted || best.0.limit || best.0.tuning_error <= 1e-6 {
                    break;
                }
                let next = run(k, observer, &mut used)?;
                if next.0.interrupted || next.0.limit {
                    // The search ends here; the best model so far stands, and says why.
                    let (interrupted, limit) = (next.0.interrupted, next.0.limit);
                    if next.0.tuning_error < 0.97 * best.0.tuning_error {
                        best = next;
                    }
                    (best.0.interrupted, best.0.limit) = (interrupted, limit);
                    break;
                }
                misses = if next.0.tuning_error < 0.97 * best.0.tuning_error { 0 } else { misses + 1 };
                if misses == 0 {
                    best = next;
                }
            }
            best
        }
    };
    Ok(judge(entries, &split, path, &peeled, spread, options, used, tried))
}

fn judge(
    entries: &Entries,
    split: &Split,
    path: Path,
    peeled: &Peeled,
    spread: f64,
    options: &Options,
    iterations: usize,
    ranks_tried: Vec<(usize, f64)>,
) -> Completion {
    let mut model = path.model;
    // The tuning entries have chosen λ and rank; now they may teach.
    let teaches = !split.tuning.is_empty() && !path.interrupted && path.lambda > 0.0;
    let fitted = if teaches { split.with_tuning(entries) } else { split.fit.clone() };
    if teaches {
        homotopy::refit(&fitted, &mut model, path.lambda, options, 5);
    }
    let test_rmse = model.rmse(&split.verification);
    let relative = test_rmse.map(|e| e / spread);
    let goal = options.tolerance.unwrap_or(1e-6);
    let status = match relative {
        Some(r) if r <= goal => Status::Verified,
        _ if path.interrupted => Status::Interrupted,
        _ if path.limit => Status::Limit,
        Some(_) if options.tolerance.is_some() => Status::NotRecovered,
        _ => Status::Fitted,
    };
    let baseline = homotopy::biases_only(&fitted, true);
    let worst = split.verification.iter().map(|&(i, j, v)| (v - model.predict(i, j)).abs()).reduce(f64::max);
    let count = split.verification.len() as f64;
    let report = Report {
        rank: model.rank(),
        lambda: path.lambda,
        iterations,
        fitted_entries: fitted.len(),
        tuning_entries: split.tuning.len(),
        verification_entries: split.verification.len(),
        undetermined_rows: peeled.rows.clone(),
        undetermined_columns: peeled.columns.clone(),
        train_rmse: homotopy::training_error(&fitted, &model),
        test_rmse,
        baseline_test_rmse: baseline.rmse(&split.verification),
        spread,
        relative_test_error: relative,
        exceeding_share: worst.map(|_| (20.0_f64.ln() / count).min(1.0)),
        largest_held_out_error: worst,
        ranks_tried,
    };
    Completion { model, status, report }
}

/// Entries to fit, to tune and to judge.
struct Split {
    fit: Entries,
    tuning: Vec<(usize, usize, f64)>,
    verification: Vec<(usize, usize, f64)>,
    judged: Vec<bool>,
}

impl Split {
    /// Holds out entries in random order, but only from rows and columns that keep more than `k + 1` entries: at the
    /// information limit taking one more would undetermine them.
    fn new(entries: &Entries, k: usize, verification: f64, tuning: f64, streams: Streams) -> Self {
        let all: Vec<(usize, usize, f64)> = entries.iter().map(|e| (e.0, e.1, e.2)).collect();
        let n = all.len();
        let wanted = |share: f64| ((share * n as f64).round() as usize).min(10_000);
        let (verify, tune) = (wanted(verification), wanted(tuning));
        let mut order: Vec<usize> = (0..n).collect();
        random::shuffle(&mut streams.stream(0), &mut order);
        let mut rows = vec![0_usize; entries.rows()];
        let mut columns = vec![0_usize; entries.columns()];
        all.iter().for_each(|e| {
            rows[e.0] += 1;
            columns[e.1] += 1;
        });
        let (mut tuning, mut verification) = (Vec::new(), Vec::new());
        let mut held = vec![false; n];
        let mut judged = vec![false; n];
        for p in order {
            let full = verification.len() >= verify;
            if full && tuning.len() >= tune {
                break;
            }
            let (i, j, _) = all[p];
            if rows[i] <= k + 2 || columns[j] <= k + 2 {
                continue;
            }
            rows[i] -= 1;
            columns[j] -= 1;
            held[p] = true;
            if full {
                tuning.push(all[p]);
            } else {
                verification.push(all[p]);
                judged[p] = true;
            }
        }
        let fit = entries.filter(|p| !held[p]).unwrap_or_else(|| entries.clone());
        Self { fit, tuning, verification, judged }
    }

    fn with_tuning(&self, entries: &Entries) -> Entries {
        entries.filter(|p| !self.judged[p]).unwrap_or_else(|| self.fit.clone())
    }
}

fn check_test(entries: &Entries, test: &[(usize, usize, f64)]) -> Result<(), CompletionError> {
    for &(row, column, value) in test {
        let outside = |argument, index, bound| LinalgError::IndexOutOfRange { argument, index, bound };
        if row >= entries.rows() {
            return Err(outside("row of a test entry", row, entries.rows()).into());
        }
        if column >= entries.columns() {
            return Err(outside("column of a test entry", column, entries.columns()).into());
        }
        if !value.is_finite() {
            return Err(LinalgError::NotFinite { argument: "test", row, column, value }.into());
        }
    }
    Ok(())
}

/// Standard deviation of the values, or 1 when they are all equal to zero.
fn spread(entries: &Entries) -> f64 {
    let n = entries.len() as f64;
    let mean = entries.iter().map(|e| e.2).sum::<f64>() / n;
    let variance = entries.iter().map(|e| (e.2 - mean).powi(2)).sum::<f64>() / n;
    let size = entries.iter().map(|e| e.2.abs()).fold(0.0, f64::max);
    if variance.sqrt() > 1e-12 * size {
        variance.sqrt()
    } else if size > 0.0 {
        size
    } else {
        1.0
    }
}

fn check(entries: &Entries, rank: Rank, options: &Options) -> Result<usize, CompletionError> {
    let limit = entries.rows().min(entries.columns());
    let (k, largest) = match rank {
        Rank::Fixed(k) => (k, k),
        Rank::Auto { max } => (1, max.min(limit)),
    };
    if k == 0 || k > limit || largest == 0 {
        return Err(CompletionError::Rank { rank: k.min(largest), limit });
    }
    let needed = 2 * k + 2;
    if entries.len() < needed {
        return Err(CompletionError::TooFewEntries { given: entries.len(), rank: k, needed });
    }
    let range = |option, value: f64, ok: bool, allowed| {
        if ok { Ok(()) } else { Err(CompletionError::OptionOutOfRange { option, value, allowed }) }
    };
    let o = options;
    if let Some(l) = o.lambda {
        range("lambda", l, l.is_finite() && l >= 0.0, "finite and not negative")?;
    }
    if let Some(t) = o.tolerance {
        range("tolerance", t, t.is_finite() && t > 0.0, "finite and positive")?;
    }
    if let Some(e) = o.ridge_exponent {
        range("ridge_exponent", e, (0.0..=2.0).contains(&e), "0 to 2")?;
    }
    range("decay", o.decay, o.decay > 0.0 && o.decay < 1.0, "between 0 and 1")?;
    range("max_iterations", o.max_iterations as f64, o.max_iterations > 0, "1 or more")?;
    range("tuning", o.tuning, (0.0..=0.5).contains(&o.tuning), "0 to 0.5")?;
    range("verification", o.verification, (0.0..=0.5).contains(&o.verification), "0 to 0.5")?;
    if let Rank::Auto { .. } = rank {
        range("tuning", o.tuning, o.tuning > 0.0, "above 0 with an automatic rank")?;
    }
    Ok(match rank {
        Rank::Fixed(k) => k,
        Rank::Auto { .. } => largest,
    })
}
