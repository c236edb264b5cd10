//! The driver: split, peel, walk the paths, choose, judge, refit.
use rand::Rng;
use rayon::prelude::*;
use samplewise_linalg::chunk::power_of_two_scale;
use samplewise_linalg::observe::Observer;
use samplewise_linalg::random::Streams;
use samplewise_linalg::scale::ldexp;
use samplewise_linalg::{Ending, Real};

use crate::certificate::Certificate;
use crate::check::{check, check_test};
use crate::control::{Control, Stage, Stop};
use crate::determined::{Determination, Question, determine};
use crate::entries::Renumbering;
use crate::fill::fill;
use crate::options::Loss;
use crate::path::{self, GROWTHS, Outcome, PathKind, Problem};
use crate::pattern::Pattern;
use crate::peel::{Peeled, peel};
use crate::split::{Purpose, Split, Triplet};
use crate::start::baseline;
use crate::state::State;
use crate::{CompletionError, Entries, Model, Options, Rank, robust};

/// The root mean square error on all given entries may be this many times that on the held-out ones.
const GIVEN: f64 = 2.0;
/// And the error of each so many times.
const GIVEN_EACH: f64 = 20.0;
/// The same for the entries of undetermined lines, whose factors are held small.
const GIVEN_OF_OPEN_LINES: f64 = 1e3;
/// Fewer entries than this, held out by the driver, verify nothing.
const LEAST_HELD_OUT: usize = 3;
/// Largest ridge in the units in which the spread of the values is near one: all that is left beside it is zero.
const LARGEST_RIDGE: f64 = 1e30;

/// What can be said of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The held-out error, relative to the spread of the values, is within the tolerance on entries that took no part in the
    /// fit, at least three unless a test set was given, and that on all given entries is within twice the tolerance (with
    /// Huber's loss this is not asked, for outliers are among them). It speaks of entries like the held-out ones, and of the
    /// model that is returned. As far as was checked ([`Report::determination`]) all entries between rows and columns that are
    /// determined are determined as well.
    Verified,
    /// As [`Status::Verified`], for parts of the matrix: the rows and columns fall into blocks, without entries between them
    /// or with too little in common for the rank, and what lies between blocks is not determined by any entry; or entries of
    /// rows and columns that are not determined are not met. [`Completion::determined`] says which entries are determined.
    VerifiedInParts,
    /// A regularised or noisy fit that came to rest.
    Fitted,
    /// Exact recovery was asked for by `tolerance`, and the held-out entries disagree.
    NotRecovered,
    /// The limit of iterations or of time was reached; the best model so far.
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
    /// The path that led to it.
    pub path: PathKind,
    /// Pairs of half steps and Gauss–Newton steps in all.
    pub iterations: usize,
    /// Entries over degrees of freedom `k(m + n − k)` of the rows and columns fitted.
    pub oversampling: f64,
    /// Entries fitted.
    pub fitted_entries: usize,
    /// Entries that chose λ, rank and path.
    pub tuning_entries: usize,
    /// Entries that only judged.
    pub verification_entries: usize,
    /// What the entries determine: components, and which entries lie between parts that nothing ties together.
    pub determination: Determination,
    /// How the fit ended; an interrupted one may be verified all the same.
    pub ending: Ending,
    /// Rows that the entries do not determine (see [`crate::peel`]): predicted by as little as fits their entries.
    pub undetermined_rows: Vec<usize>,
    /// Columns that the entries do not determine.
    pub undetermined_columns: Vec<usize>,
    /// Entries left out as outliers, `(row, column)`, with [`Loss::Trimmed`].
    pub outliers: Vec<(usize, usize)>,
    /// Root mean square error on the fitted entries.
    pub train_rmse: f64,
    /// On the verification entries, by the model before they were fitted as well.
    pub test_rmse: Option<f64>,
    /// Of mean and biases alone on the verification entries: what a model must beat. Their ridge is chosen as the model's is,
    /// by the tuning entries.
    pub baseline_test_rmse: Option<f64>,
    /// Standard deviation of the values: the scale of `tolerance`.
    pub spread: f64,
    /// Test error over spread: the left side of the stopping inequality; `tolerance` is the right side.
    pub relative_test_error: Option<f64>,
    /// What the held-out entries prove.
    pub certificate: Option<Certificate>,
    /// `(rank, tuning error over spread)` of every rank tried.
    pub ranks_tried: Vec<(usize, f64)>,
    /// Whether the verification entries took part in the model returned, after they had judged.
    pub verification_fitted: bool,
    /// What each stage has cost.
    pub stages: Vec<Stage>,
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

impl Completion {
    /// Whether the given entries determine this one at the rank of the model, as far as [`Determination::check`] looked.
    ///
    /// # Panics
    /// When the position is outside the matrix.
    pub fn determined(&self, row: usize, column: usize) -> bool {
        self.report.determination.determined(row, column)
    }

    /// The prediction of one entry, or `None` where the given entries do not determine it. `model.predict` predicts in any
    /// case, by as little as fits what is known.
    ///
    /// # Panics
    /// When the position is outside the matrix.
    pub fn predict(&self, row: usize, column: usize) -> Option<f64> {
        self.determined(row, column).then(|| self.model.predict(row, column))
    }

    /// The completion of values that are `2^e` times as large.
    fn multiply_values(mut self, e: i32) -> Self {
        self.model.multiply_values(e);
        let r = &mut self.report;
        let certificate = r.certificate.as_mut().map(|c| [&mut c.largest_error, &mut c.rmse]);
        let optional = [&mut r.test_rmse, &mut r.baseline_test_rmse].into_iter().flatten();
        let plain = [&mut r.lambda, &mut r.train_rmse, &mut r.spread];
        for value in plain.into_iter().chain(optional).chain(certificate.into_iter().flatten()) {
            *value = ldexp(*value, e);
        }
        self
    }
}

impl Status {
    /// True for [`Status::Verified`] and [`Status::VerifiedInParts`].
    pub fn is_verified(self) -> bool {
        matches!(self, Self::Verified | Self::VerifiedInParts)
    }

    /// The word for tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::VerifiedInParts => "verified in parts",
            Self::Fitted => "fitted",
            Self::NotRecovered => "not recovered",
            Self::Limit => "limit",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Completes a matrix from its entries (rows COM-3 to COM-6).
///
/// - **Cost**: about 15 pairs of half steps per rank along the path, `|Ω|k²` multiplications each, and a few dozen passes
///   over the entries for the finish; `report.stages` says how many.
/// - **Randomness**: all from `rng`; the same seed gives the same result for every thread count.
///
/// # Errors
/// [`CompletionError::Rank`], [`CompletionError::TooFewEntries`], [`CompletionError::OptionOutOfRange`],
/// [`CompletionError::Start`].
pub fn complete<T: Real, R: Rng + ?Sized>(
    entries: &Entries<T>,
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
pub fn complete_observed<T: Real, R: Rng + ?Sized>(
    entries: &Entries<T>,
    rank: Rank,
    options: &Options,
    test: Option<&[Triplet]>,
    rng: &mut R,
    observer: &mut dyn Observer,
) -> Result<Completion, CompletionError> {
    let largest = check(entries, rank, options)?;
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
        let test: Option<Vec<Triplet>> = test.map(|t| t.iter().map(|&(i, j, v)| (i, j, ldexp(v, -e))).collect());
        let mut found =
            complete_observed(&moderate, rank, &options, test.as_deref(), rng, observer)?.multiply_values(e);
        if let Some(asked) = asked.filter(|_| !found.report.lambda.is_finite()) {
            found.report.lambda = asked;
        }
        return Ok(found);
    }
    let streams = Streams::from_rng(rng);
    let mut control = Control::new(options, observer);
    // With an automatic rank the tuning set has to exist whatever the largest rank tried.
    let kept = if let Rank::Fixed(k) = rank { k } else { 1 };
    let freedom = kept * (entries.rows() + entries.columns() - kept);
    let oversampling = entries.len() as f64 / freedom as f64;
    // Where some entries are wrong, the others are scarce sooner.
    let most = if options.loss != Loss::Squared && oversampling < 4.0 { 0.01 } else { 0.5 };
    let shares = [options.tuning.min(most), if test.is_some() { 0.0 } else { options.verification.min(most) }];
    let mut split = Split::new(entries, kept, oversampling, shares, streams.child(0));
    if let Some(test) = test {
        split.verification = test.to_vec();
    }
    if matches!(rank, Rank::Auto { .. }) && split.tuning.is_empty() {
        return Err(CompletionError::NothingToTune);
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
    Ok(fit.judge(found, tried, control))
}

/// What does not change from rank to rank.
struct Fit<'a, T: Real> {
    entries: &'a Entries<T>,
    split: &'a Split,
    options: &'a Options,
    streams: Streams,
    spread: f64,
    /// Of the last resort.
    growths: usize,
}

/// The best of one rank.
struct Found {
    outcome: Outcome,
    peeled: Peeled,
    core: Core,
    oversampling: f64,
    outliers: Vec<bool>,
}

/// The rows and columns that were fitted, and the factor of their values.
struct Core {
    rows: Renumbering,
    columns: Renumbering,
    scale: f64,
}

impl<T: Real> Fit<'_, T> {
    fn at_rank(&self, rank: usize, control: &mut Control<'_>) -> Result<Found, CompletionError> {
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
        let mut core = core.ok_or(CompletionError::TooFewEntries {
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
            (path::run(&problem, rank, &scaled, from, growths, streams, control)?, Vec::new())
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
    ) -> Result<Found, CompletionError> {
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

    fn judge(&self, found: Found, ranks_tried: Vec<(usize, f64)>, mut control: Control<'_>) -> Completion {
        let Fit { entries, split, options, spread, .. } = *self;
        let Found { mut outcome, peeled, core, oversampling, outliers } = found;
        let Core { rows, columns, scale } = &core;
        let scale = *scale;
        let stop = control.stop;
        let mut outliers = outliers;
        let mut model = outcome.state.to_model(scale, rows, columns);
        fill(entries, &mut model, &peeled, rows, columns, outcome.lambda * scale, &|p: usize| {
            split.purpose[p] == Purpose::Fit && !outliers.get(p).copied().unwrap_or(false)
        });
        // Held-out entries may be wrong themselves.
        if options.loss == Loss::Trimmed {
            robust::mark_held_out(entries, &model, &mut outliers, |p| split.purpose[p] != Purpose::Fit);
        }
        let left_out = |p: usize| outliers.get(p).copied().unwrap_or(false);
        let mut used: Vec<Purpose> = vec![Purpose::Fit];
        let goal = options.tolerance.unwrap_or(1e-6);
        let measure = |model: &Model| model.rmse(&split.verification).map(|e| e / spread);
        let verified = measure(&model).is_some_and(|r| r <= goal);
        // The tuning entries have chosen; now they may teach, unless the model is exact already.
        let sound = !matches!(options.loss, Loss::Huber { .. }) && !outcome.recovered;
        let teaches = options.refit && !verified && stop != Some(Stop::Interrupted) && sound;
        if teaches && split.purpose.contains(&Purpose::Tune) {
            used.push(Purpose::Tune);
            self.refit(&mut outcome, &core, &peeled, &mut model, &used, &left_out, &mut control);
        }
        let test_rmse = model.rmse(&split.verification);
        let relative = test_rmse.map(|e| e / spread);
        let certificate = test_rmse.map(|rmse| Certificate {
            entries: split.verification.len(),
            largest_error: split
                .verification
                .iter()
                .map(|&(i, j, v)| (v - model.predict(i, j)).abs())
                .fold(0.0, f64::max),
            rmse,
        });
        let agrees = relative.is_some_and(|r| r <= goal);
        // An entry that alone ties two blocks together counts for little in the mean, and a tuning entry may lie where the fit
        // saw nothing: the model must meet all entries that were given, whatever they were for. Huber's loss leaves outliers
        // among these. Entries of undetermined lines are met by as little as fits them, if at all.
        // Weights do not count: an entry that ties two blocks together may have next to none.
        let mean = |counted: &(dyn Fn(usize, usize, usize) -> bool + Sync)| {
            let (squares, _, count) = training_squares(entries, &model, false, counted);
            if count == 0 { 0.0 } else { (squares / count as f64).sqrt() }
        };
        let largest = |counted: &(dyn Fn(usize, usize, usize) -> bool + Sync)| {
            let all = entries.iter().enumerate().filter(|(p, e)| counted(*p, e.0, e.1));
            all.fold(0.0_f64, |m, (_, (i, j, v, _))| m.max((v - model.predict(i, j)).abs()))
        };
        // Where the entries of the fit leave every line open, as in a small table of which some were held out: what all given
        // entries determine, if the model meets them.
        let mut peeled = peeled;
        let nothing = peeled.rows.len() == entries.rows() || peeled.columns.len() == entries.columns();
        let complete = (agrees && nothing).then(|| peel(entries, model.rank(), |p| !left_out(p))).filter(|whole| {
            let (before, after) = (OpenLines::new(entries, &peeled), OpenLines::new(entries, whole));
            mean(&|p, i, j| !left_out(p) && before.meets(i, j) && !after.meets(i, j)) <= GIVEN * goal * spread
        });
        let all_count = complete.is_some();
        if let Some(whole) = complete {
            (peeled.rows, peeled.columns) = (whole.rows, whole.columns);
        }
        // Else the entries that the model has seen. Those left out as wrong never count.
        let seen = |p: usize| (all_count || used.contains(&split.purpose[p])) && !left_out(p);
        let cells = entries.iter().enumerate().filter(|(p, _)| seen(*p)).map(|(_, e)| (e.0, e.1));
        let pattern = Pattern::new(entries.rows(), entries.columns(), cells);
        let question = if agrees {
            let misses = largest(&|p, _, _| !left_out(p)).max(test_rmse.unwrap_or(0.0)) / spread;
            Question::Model { model: &model, error: goal * spread, misses }
        } else if options.tolerance.is_some() || outcome.recovered {
            Question::Rank(model.rank())
        } else {
            Question::Components
        };
        let open = (&peeled.rows[..], &peeled.columns[..]);
        let determination = determine(&pattern, &question, options.biases, open, self.streams.child(u64::MAX).seed());
        drop(pattern);
        let open = OpenLines::new(entries, &peeled);
        let enough = goal * spread;
        let exempt = matches!(options.loss, Loss::Huber { .. });
        let inside = |p: usize, i: usize, j: usize| !left_out(p) && !open.meets(i, j);
        let met = exempt || mean(&inside) <= GIVEN * enough && largest(&inside) <= GIVEN_EACH * enough;
        let everywhere = exempt || mean(&|p, i, j| !left_out(p) && open.meets(i, j)) <= GIVEN_OF_OPEN_LINES * enough;
        // How many a test set needs is the choice of who gives it.
        let held_out = split.purpose.contains(&Purpose::Judge);
        let enough_held_out = !held_out || split.verification.len() >= LEAST_HELD_OUT;
        // Test entries that were given too judge nothing.
        let own = held_out || !split.verification.iter().any(|&(i, j, _)| entries.has(i, j));
        let something = determination.undetermined_share < 1.0;
        let relative_claim = relative.filter(|_| met && enough_held_out && own && something);
        let status = match (relative_claim, stop) {
            (Some(r), _) if r <= goal && (!everywhere || determination.is_in_parts()) => Status::VerifiedInParts,
            (Some(r), _) if r <= goal => Status::Verified,
            (_, Some(Stop::Interrupted)) => Status::Interrupted,
            (_, Some(Stop::Limit)) => Status::Limit,
            _ if options.tolerance.is_some() && relative.is_some() && (!agrees || !met) => Status::NotRecovered,
            _ => Status::Fitted,
        };
        let everyone = (Renumbering::without(entries.rows(), &[]), Renumbering::without(entries.columns(), &[]));
        let baseline_test_rmse = if split.verification.is_empty() {
            None
        } else {
            let with_tuning = |p: usize| used.contains(&split.purpose[p]) && !left_out(p);
            let taught = entries.select(with_tuning, &everyone.0, &everyone.1);
            let fitted = |p: usize| split.purpose[p] == Purpose::Fit && !left_out(p);
            let without = entries.select(fitted, &everyone.0, &everyone.1);
            let tuned = without.as_ref().map(|w| (w, &split.tuning[..]));
            let baseline = taught.map(|t| baseline(&t, tuned).to_model(1.0, &everyone.0, &everyone.1));
            baseline.and_then(|b| b.rmse(&split.verification))
        };
        // The verdict stands; the model to use is the one that has seen all entries.
        let verification_fitted = teaches && split.purpose.contains(&Purpose::Judge) && status == Status::Fitted;
        if verification_fitted {
            used.push(Purpose::Judge);
            self.refit(&mut outcome, &core, &peeled, &mut model, &used, &left_out, &mut control);
        }
        let counted = |p: usize, _: usize, _: usize| used.contains(&split.purpose[p]) && !left_out(p);
        let (squares, weights, fitted_entries) = training_squares(entries, &model, true, counted);
        let report = Report {
            rank: model.rank(),
            // A larger ridge than can be used is none the larger.
            lambda: match options.lambda {
                Some(asked) if outcome.lambda >= LARGEST_RIDGE => asked,
                _ => outcome.lambda * scale,
            },
            path: outcome.path,
            iterations: control.used,
            oversampling,
            fitted_entries,
            tuning_entries: split.tuning.len(),
            verification_entries: split.verification.len(),
            determination,
            ending: match stop {
                Some(Stop::Interrupted) => Ending::Interrupted,
                Some(Stop::Limit) => Ending::Limit,
                None => Ending::Finished,
            },
            undetermined_rows: peeled.rows,
            undetermined_columns: peeled.columns,
            outliers: entries.iter().enumerate().filter(|(p, _)| left_out(*p)).map(|(_, e)| (e.0, e.1)).collect(),
            train_rmse: (squares / weights).sqrt(),
            test_rmse,
            baseline_test_rmse,
            spread,
            relative_test_error: relative,
            certificate,
            ranks_tried,
            verification_fitted,
            stages: control.stages,
        };
        Completion { model, status, report }
    }

    /// Some pairs more with other entries as well; the model is kept when they make the training error worse.
    fn refit(
        &self,
        outcome: &mut Outcome,
        core: &Core,
        peeled: &Peeled,
        model: &mut Model,
        used: &[Purpose],
        left_out: &dyn Fn(usize) -> bool,
        control: &mut Control<'_>,
    ) {
        let keep = |p: usize| used.contains(&self.split.purpose[p]) && !left_out(p);
        let Some(mut more) = self.entries.select(keep, &core.rows, &core.columns) else { return };
        for side in [&mut more.by_row, &mut more.by_column] {
            side.values.values_mut().iter_mut().for_each(|v| *v /= core.scale);
        }
        let lambda = self.options.lambda.map(|l| (l / core.scale).min(LARGEST_RIDGE));
        let scaled = Options { lambda, ..self.options.clone() };
        let inside = |i: usize, j: usize| core.rows.new[i] != u32::MAX && core.columns.new[j] != u32::MAX;
        let taught = |(p, (i, j, ..)): &(usize, (usize, usize, f64, f64))| {
            self.split.purpose[*p] == Purpose::Fit && !left_out(*p) && inside(*i, *j)
        };
        let fitted = self.entries.iter().enumerate().filter(taught).count();
        path::refit(&more, fitted, outcome, &scaled, control);
        *model = outcome.state.to_model(core.scale, &core.rows, &core.columns);
        fill(self.entries, model, peeled, &core.rows, &core.columns, outcome.lambda * core.scale, &keep);
    }
}

/// Rows and columns that are not determined.
struct OpenLines {
    rows: Vec<bool>,
    columns: Vec<bool>,
}

impl OpenLines {
    fn new<T: Real>(entries: &Entries<T>, peeled: &Peeled) -> Self {
        let (mut rows, mut columns) = (vec![false; entries.rows()], vec![false; entries.columns()]);
        peeled.rows.iter().for_each(|&i| rows[i] = true);
        peeled.columns.iter().for_each(|&j| columns[j] = true);
        Self { rows, columns }
    }

    /// Whether an entry lies in one of them.
    fn meets(&self, i: usize, j: usize) -> bool {
        self.rows[i] || self.columns[j]
    }
}

/// Squares of the residuals of the entries that count (by position in row order, row and column), weighted or not, their
/// weights and their number.
fn training_squares<T: Real>(
    entries: &Entries<T>,
    model: &Model,
    weighted: bool,
    counted: impl Fn(usize, usize, usize) -> bool + Sync,
) -> (f64, f64, usize) {
    let of_row = |i: usize| {
        let (columns, values, row_weights) = entries.by_row.row(i);
        let (mut squares, mut weights, mut count) = (0.0, 0.0, 0);
        for (p, position) in entries.by_row.values.row_range(i).enumerate() {
            if !counted(position, i, columns[p] as usize) {
                continue;
            }
            let w = row_weights.filter(|_| weighted).map_or(1.0, |w| w[p].to_f64());
            squares += w * (values[p].to_f64() - model.predict(i, columns[p] as usize)).powi(2);
            weights += w;
            count += 1;
        }
        (squares, weights, count)
    };
    // Summed in row order, whatever the number of threads.
    let rows: Vec<(f64, f64, usize)> = (0..entries.rows()).into_par_iter().with_min_len(64).map(of_row).collect();
    rows.iter().fold((0.0, 0.0, 0), |sum, row| (sum.0 + row.0, sum.1 + row.1, sum.2 + row.2))
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
