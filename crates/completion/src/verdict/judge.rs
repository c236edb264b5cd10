//! What may be said of a fit: held-out entries agree, given entries are met, and the entries determine what is predicted.
use rayon::prelude::*;
use samplewise_linalg::{Ending, Real, Seconds};

use crate::answer::{Completion, Report, Status};
use crate::complete::{Core, Fit, Found, LARGEST_RIDGE};
use crate::control::{Control, Stop};
use crate::data::biases::baseline;
use crate::data::core_peeling::{Peeled, peel};
use crate::data::entries::Renumbering;
use crate::data::split::{Purpose, Split};
use crate::options::Loss;
use crate::paths::order::Outcome;
use crate::paths::refit;
use crate::verdict::certificate::Certificate;
use crate::verdict::determined::{Determination, Question, determine};
use crate::verdict::fill::fill;
use crate::verdict::pattern::Pattern;
use crate::{Entries, Model, Options, robust};

/// The root mean square error on all given entries may be this many times that on the held-out ones.
const GIVEN: f64 = 2.0;
/// And the error of each so many times.
const GIVEN_EACH: f64 = 20.0;
/// The same for the entries of undetermined lines, whose factors are held small.
const GIVEN_OF_OPEN_LINES: f64 = 1e3;
/// Fewer entries than this, held out by the driver, verify nothing.
const LEAST_HELD_OUT: usize = 3;
/// Entries times unknowns per line up to which the determination is looked at after the observer has asked to stop.
const QUICK: usize = 20_000;

impl<T: Real> Fit<'_, T> {
    /// What may be said of the best fit, and the completion.
    ///
    /// Row COM-6 of `paper-refs.md`.
    pub fn judge(self, found: Found, ranks_tried: Vec<(usize, f64)>, mut control: Control<'_>) -> Completion {
        let Fit { entries, split, options, spread, .. } = self;
        let Found { mut outcome, mut peeled, core, oversampling, mut outliers } = found;
        let Core { rows, columns, scale } = &core;
        let stop = control.stop;
        let mut model = outcome.state.to_model(*scale, rows, columns);
        fill(entries, &mut model, &peeled, rows, columns, outcome.lambda * scale, &|p: usize| {
            split.purpose[p] == Purpose::Fit && !outliers.get(p).copied().unwrap_or(false)
        });
        // Held-out entries may be wrong themselves.
        if options.loss == Loss::Trimmed {
            robust::mark_held_out(entries, &model, &mut outliers, |p| split.purpose[p] != Purpose::Fit);
        }
        let goal = options.exact_recovery.unwrap_or(1e-6);
        let case = Case { entries, split, options, outliers: &outliers, goal, spread };
        let left_out = |p: usize| case.left_out(p);
        let mut used: Vec<Purpose> = vec![Purpose::Fit];
        // The tuning entries have chosen; now they may teach, unless the model is exact already.
        let verified = model.rmse(&split.verification).is_some_and(|e| e / spread <= goal);
        let sound = !matches!(options.loss, Loss::Huber { .. }) && !outcome.recovered;
        let teaches = options.advanced.refit && !verified && stop != Some(Stop::Interrupted) && sound;
        if teaches && split.purpose.contains(&Purpose::Tune) {
            used.push(Purpose::Tune);
            self.refit(&mut outcome, &core, &peeled, &mut model, &used, &left_out, &mut control);
        }
        let errors = Errors::new(&model, &split.verification, spread);
        let agrees = errors.relative.is_some_and(|r| r <= goal);
        let all_count = agrees && case.widen(&model, &mut peeled);
        let question = case.question(&model, agrees, outcome.recovered, errors.test_rmse);
        let (determination, cut) = case.determine(
            &model,
            &question,
            (&peeled, if all_count { None } else { Some(&used) }),
            self.streams.child(u64::MAX).seed(),
            &mut control,
        );
        let status = case.status(&model, &peeled, &errors, &determination, cut, control.stop);
        let baseline_test_rmse = case.baseline(&used);
        // The verdict stands; the model to use is the one that has seen all entries.
        let verification_fitted = teaches && split.purpose.contains(&Purpose::Judge) && status == Status::Fitted;
        if verification_fitted {
            used.push(Purpose::Judge);
            self.refit(&mut outcome, &core, &peeled, &mut model, &used, &left_out, &mut control);
        }
        // One that was stopped while it took them in has not come to its end either.
        let stop = control.stop;
        let status = if status == Status::Fitted && stop.is_some() { Status::NotConverged } else { status };
        let counted = |p: usize, _: usize, _: usize| used.contains(&split.purpose[p]) && !left_out(p);
        let (squares, weights, fitted_entries) = training_squares(entries, &model, true, counted);
        let report = Report {
            rank: model.rank(),
            // A larger ridge than can be used is none the larger.
            lambda: match options.lambda {
                Some(asked) if outcome.lambda >= LARGEST_RIDGE => asked,
                _ => outcome.lambda * scale,
            },
            route: outcome.route,
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
            test_rmse: errors.test_rmse,
            baseline_test_rmse,
            spread,
            relative_test_error: errors.relative,
            certificate: errors.certificate,
            ranks_tried,
            verification_fitted,
            stages: control.stages,
            seconds: Seconds::default(),
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
        refit::refit(&more, fitted, outcome, &scaled, control);
        *model = outcome.state.to_model(core.scale, &core.rows, &core.columns);
        fill(self.entries, model, peeled, &core.rows, &core.columns, outcome.lambda * core.scale, &keep);
    }
}

/// Errors of a model on the entries that only judge.
struct Errors {
    test_rmse: Option<f64>,
    /// Over the spread of the values.
    relative: Option<f64>,
    certificate: Option<Certificate>,
}

impl Errors {
    fn new(model: &Model, verification: &[(usize, usize, f64)], spread: f64) -> Self {
        let test_rmse = model.rmse(verification);
        let error = |&(i, j, v): &(usize, usize, f64)| (v - model.predict(i, j)).abs();
        let largest_error = verification.iter().map(error).fold(0.0, f64::max);
        let certificate = test_rmse.map(|rmse| Certificate { entries: verification.len(), largest_error, rmse });
        Self { test_rmse, relative: test_rmse.map(|e| e / spread), certificate }
    }
}

/// What the verdict on a model rests on.
struct Case<'a, T: Real> {
    entries: &'a Entries<T>,
    split: &'a Split,
    options: &'a Options,
    /// Whether an entry was left out as wrong; empty when none was.
    outliers: &'a [bool],
    /// Relative error up to which a model is exact.
    goal: f64,
    spread: f64,
}

impl<T: Real> Case<'_, T> {
    fn left_out(&self, p: usize) -> bool {
        self.outliers.get(p).copied().unwrap_or(false)
    }

    /// Root mean square error on the entries that count. Weights do not: an entry that ties two blocks together may have next
    /// to none.
    fn mean(&self, model: &Model, counted: &(dyn Fn(usize, usize, usize) -> bool + Sync)) -> f64 {
        let (squares, _, count) = training_squares(self.entries, model, false, counted);
        if count == 0 { 0.0 } else { (squares / count as f64).sqrt() }
    }

    /// Largest error on the entries that count.
    fn largest(&self, model: &Model, counted: &(dyn Fn(usize, usize, usize) -> bool + Sync)) -> f64 {
        let all = self.entries.iter().enumerate().filter(|(p, e)| counted(*p, e.0, e.1));
        all.fold(0.0_f64, |m, (_, (i, j, v, _))| m.max((v - model.predict(i, j)).abs()))
    }

    /// Where the entries of the fit leave every line open, as in a small table of which some were held out: takes what all
    /// given entries determine for what is determined, if the model meets them, and says so.
    fn widen(&self, model: &Model, peeled: &mut Peeled) -> bool {
        let entries = self.entries;
        if peeled.rows.len() != entries.rows() && peeled.columns.len() != entries.columns() {
            return false;
        }
        let whole = peel(entries, model.rank(), |p| !self.left_out(p));
        let (before, after) = (OpenLines::new(entries, peeled), OpenLines::new(entries, &whole));
        let fresh = |p: usize, i: usize, j: usize| !self.left_out(p) && before.meets(i, j) && !after.meets(i, j);
        let meets = self.mean(model, &fresh) <= GIVEN * self.goal * self.spread;
        if meets {
            (peeled.rows, peeled.columns) = (whole.rows, whole.columns);
        }
        meets
    }

    /// What has to be determined for the claim that the model can make.
    fn question<'m>(&self, model: &'m Model, agrees: bool, recovered: bool, test_rmse: Option<f64>) -> Question<'m> {
        if agrees {
            let largest = self.largest(model, &|p, _, _| !self.left_out(p));
            let misses = largest.max(test_rmse.unwrap_or(0.0)) / self.spread;
            Question::Model { model, error: self.goal * self.spread, misses }
        } else if self.options.exact_recovery.is_some() || recovered {
            Question::Rank(model.rank())
        } else {
            Question::Components
        }
    }

    /// What the entries that the model has seen determine (all of them without a list of purposes; those left out as wrong
    /// never count), and whether the look at it was cut short: what was not looked at is not claimed.
    fn determine(
        &self,
        model: &Model,
        question: &Question<'_>,
        (peeled, used): (&Peeled, Option<&Vec<Purpose>>),
        seed: u64,
        control: &mut Control<'_>,
    ) -> (Determination, bool) {
        let entries = self.entries;
        let purpose = |p: usize| used.is_none_or(|used| used.contains(&self.split.purpose[p]));
        let seen = |p: usize| purpose(p) && !self.left_out(p);
        let cells = entries.iter().enumerate().filter(|(p, _)| seen(*p)).map(|(_, e)| (e.0, e.1));
        let pattern = Pattern::new(entries.rows(), entries.columns(), cells);
        let open = (&peeled.rows[..], &peeled.columns[..]);
        // After a stop only what takes a moment.
        let mut cut = control.stop == Some(Stop::Interrupted) && pattern.len() * (model.rank() + 2) > QUICK;
        let mut steps = 0;
        let mut stops = || {
            steps += 1;
            cut = cut || control.asks_to_stop("determination", steps);
            cut
        };
        let determination = determine(&pattern, question, self.options.biases, open, seed, &mut stops);
        (determination, cut)
    }

    /// What may be claimed of the model.
    ///
    /// An entry that alone ties two blocks together counts for little in the mean, and a tuning entry may lie where the fit saw
    /// nothing: the model must meet all entries that were given, whatever they were for. Huber's loss leaves outliers among
    /// these. Entries of undetermined lines are met by as little as fits them, if at all.
    fn status(
        &self,
        model: &Model,
        peeled: &Peeled,
        errors: &Errors,
        determination: &Determination,
        cut: bool,
        stop: Option<Stop>,
    ) -> Status {
        let (split, options, goal) = (self.split, self.options, self.goal);
        let open = OpenLines::new(self.entries, peeled);
        let enough = goal * self.spread;
        let exempt = matches!(options.loss, Loss::Huber { .. });
        let inside = |p: usize, i: usize, j: usize| !self.left_out(p) && !open.meets(i, j);
        let outside = |p: usize, i: usize, j: usize| !self.left_out(p) && open.meets(i, j);
        let met = exempt
            || self.mean(model, &inside) <= GIVEN * enough && self.largest(model, &inside) <= GIVEN_EACH * enough;
        let everywhere = exempt || self.mean(model, &outside) <= GIVEN_OF_OPEN_LINES * enough;
        // How many a test set needs is the choice of who gives it.
        let held_out = split.purpose.contains(&Purpose::Judge);
        let enough_held_out = !held_out || split.verification.len() >= LEAST_HELD_OUT;
        // Test entries that were given too judge nothing.
        let own = held_out || !split.verification.iter().any(|&(i, j, _)| self.entries.has(i, j));
        let something = determination.undetermined_share < 1.0;
        let agrees = errors.relative.is_some_and(|r| r <= goal);
        let claim = errors.relative.filter(|_| met && enough_held_out && own && something && !cut);
        match (claim, stop) {
            (Some(r), _) if r <= goal && (!everywhere || determination.is_in_parts()) => Status::VerifiedInParts,
            (Some(r), _) if r <= goal => Status::Verified,
            (_, Some(_)) => Status::NotConverged,
            _ if options.exact_recovery.is_some() && errors.relative.is_some() && (!agrees || !met) => {
                Status::NotRecovered
            }
            _ => Status::Fitted,
        }
    }

    /// Error of means and biases alone, taught by the same entries.
    fn baseline(&self, used: &[Purpose]) -> Option<f64> {
        let (entries, split) = (self.entries, self.split);
        if split.verification.is_empty() {
            return None;
        }
        let (rows, columns) = (Renumbering::without(entries.rows(), &[]), Renumbering::without(entries.columns(), &[]));
        let with_tuning = |p: usize| used.contains(&split.purpose[p]) && !self.left_out(p);
        let taught = entries.select(with_tuning, &rows, &columns)?;
        let fitted = |p: usize| split.purpose[p] == Purpose::Fit && !self.left_out(p);
        let without = entries.select(fitted, &rows, &columns);
        let tuned = without.as_ref().map(|w| (w, &split.tuning[..]));
        baseline(&taught, tuned).to_model(1.0, &rows, &columns).rmse(&split.verification)
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
