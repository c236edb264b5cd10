//! One rank: the paths in their order, each ended by the finish, until one recovers the matrix.
//!
//! | path | for |
//! |---|---|
//! | annealing, by the oversampling | most |
//! | growth of the rank ([`crate::paths::growth`]) | scarce entries, singular values far apart |
//! | annealing by 0.9 | scarce entries |
//! | log-det reweighting ([`crate::paths::reweighting`]) | condition 10 and more |
//! | annealing by 0.97, two pairs per ridge | the last percent |
//! | growth of the rank from other random directions, [`GROWTHS`] times | exact recovery where the others came to rest by chance |
//!
//! A finish that comes to rest wrong in a few rows and columns only is mended ([`crate::paths::mending`]).
use std::cell::RefCell;

use crate::kernel::{KernelReal, Normal};
use samplewise_linalg::LinalgError;
use samplewise_linalg::random::Streams;

use crate::answer::Route;
use crate::control::Control;
use crate::data::biases::{Start, biases_only, residual_entries, start};
use crate::data::entries::Entries;
use crate::data::ridge::first_bias_ridge;
use crate::data::ridge::{Manner, Ridge};
use crate::data::state::State;
use crate::options::{Finish, Options};
use crate::paths::annealing::{Best, Schedule, anneal};
use crate::paths::growth;
use crate::paths::mending::Mender;
use crate::paths::reweighting;
use crate::polish::gauss_newton::{End, Goal, gauss_newton};

/// What there is to fit: rows and columns of the core, values of size one.
pub(crate) struct Problem {
    pub entries: Entries,
    pub tuning: Vec<(usize, usize, f64)>,
    /// Root mean square of the values around their mean (or around zero without biases and with a tiny mean).
    pub spread: f64,
    /// Entries per degree of freedom.
    pub oversampling: f64,
}

impl Problem {
    pub fn new(entries: Entries, tuning: Vec<(usize, usize, f64)>, spread: f64, oversampling: f64) -> Self {
        Self { entries, tuning, spread, oversampling }
    }

    /// The entries in single precision, unless they are so far from zero that rounding would be seen.
    fn to_single(&self) -> Option<Entries<f32>> {
        let largest = self.entries.by_row.values.values().iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        if largest * f64::from(f32::EPSILON) <= 1e-3 * self.spread { self.entries.to_single() } else { None }
    }
}

/// The end of all paths at one rank.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub state: State,
    /// Ridge of the state.
    pub lambda: f64,
    /// On the tuning set over the spread; NaN without one.
    pub tuning_error: f64,
    /// Root mean square training residual over the spread.
    pub training_error: f64,
    /// Training residual and tuning error say that the matrix is recovered.
    pub recovered: bool,
    pub route: Route,
    /// A ridge of some size was asked for: single precision is enough.
    pub ridged: bool,
}

/// Ridges, as shares of the first, at which the finish is tried: one that fails costs little, and condition numbers need
/// not be guessed.
const CHECKPOINTS: [f64; 3] = [3e-2, 3e-3, 1e-4];
/// Where a path with biases ends, which no finish follows, if the tuning entries did not end it before.
const UNSHRUNK: [f64; 1] = [1e-8];
/// Growths after all other paths, where the rank is given. *Tuned* (500 × 500, ranks 3 and 5, conditions 1 and 10, 1.2 to
/// 1.5 times the degrees of freedom): twelve found 9 of the 16 matrices that the paths before had not, at least 5 of these
/// within six.
pub(crate) const GROWTHS: usize = 6;
/// Random directions of the growth that is path `i` are those of the child of this and `i`.
const DIRECTIONS: u64 = 999;
/// Oversampling from which single precision is enough for the route, and for the steps of the finish.
const SINGLE_FROM: f64 = 2.0;

/// Row COM-3 of `paper-refs.md`.
pub(crate) fn run(
    problem: &Problem,
    rank: usize,
    options: &Options,
    from: Option<(&State, f64)>,
    growths: usize,
    streams: Streams,
    control: &mut Control<'_>,
) -> Result<Outcome, LinalgError> {
    let goal = options.exact_recovery.unwrap_or(1e-6);
    let gentle = match problem.oversampling {
        _ if options.biases => 0.65,
        r if r >= 2.5 => 0.5,
        r if r >= 1.9 => 0.65,
        _ => 0.8,
    };
    let mut paths = vec![Route::Annealing { decay: options.advanced.decay.unwrap_or(gentle), pairs: 1 }];
    if options.advanced.escalate && options.lambda.is_none() && finishes(options) && options.advanced.decay.is_none() {
        paths.extend([
            Route::Growth,
            Route::Annealing { decay: 0.9, pairs: 1 },
            Route::Reweighting,
            Route::Annealing { decay: 0.97, pairs: 2 },
        ]);
        if options.exact_recovery.is_some() {
            paths.extend(vec![Route::Growth; growths]);
        }
    }
    let baseline = biases_only(&problem.entries, options.biases, first_bias_ridge(options.lambda));
    let mut random = streams.stream(0);
    let single = if problem.oversampling >= SINGLE_FROM || may_be_ridged(options) { problem.to_single() } else { None };
    let first = match &single {
        Some(single) if !options.biases => start(single, rank, &mut random)?,
        _ => start(&residual_entries(&problem.entries, &baseline), rank, &mut random)?,
    };
    control.book("start", first.floors);
    // With a ridge of some size the problem is well conditioned however scarce the entries.
    let ridged = single.is_some()
        && may_be_ridged(options)
        && options.lambda.is_some_and(|l| l > NEAR * largest_ridge(problem, options, &first));
    let single = single.filter(|_| problem.oversampling >= SINGLE_FROM || ridged);
    let mender = RefCell::default();
    let setting = Setting { problem, options, goal, baseline: &baseline, first: &first, rank, streams, ridged, mender };
    let mut best: Option<Outcome> = None;
    for (number, route) in paths.into_iter().enumerate() {
        let from = if number == 0 { from } else { None };
        let outcome = match single.as_ref().filter(|_| number == 0) {
            Some(single) => setting.walk(route, single, from, number as u64, control)?,
            None => setting.walk(route, &problem.entries, from, number as u64, control)?,
        };
        let better = best.as_ref().is_none_or(|b| measure(&outcome) < measure(b) || outcome.recovered);
        if better {
            best = Some(outcome);
        }
        let found = best.as_ref().expect("one path was walked");
        // Nothing is learned when the model predicts no better than the baseline does: 1 is the spread.
        let useless = found.tuning_error > 0.95 || problem.tuning.is_empty() && found.training_error > 0.5;
        if found.recovered || control.stop.is_some() || !(options.exact_recovery.is_some() || useless) {
            break;
        }
    }
    Ok(best.expect("there is a path"))
}

fn measure(o: &Outcome) -> f64 {
    if o.tuning_error.is_nan() { o.training_error } else { o.tuning_error }
}

fn may_be_ridged(options: &Options) -> bool {
    options.exact_recovery.is_none() && options.lambda.is_some_and(|l| l > 0.0)
}

/// Whether the data may be free of noise as far as the options say.
pub(crate) fn finishes(options: &Options) -> bool {
    options.lambda.is_none() && !options.biases && !options.non_negative && options.advanced.finish != Finish::None
}

/// Whether the factorisations that the finish keeps take no more than eight times the memory of the entries, or a gigabyte.
pub(crate) fn factors_fit<T: KernelReal>(entries: &Entries<T>, rank: usize) -> bool {
    let bytes = Normal::<T>::bytes(entries.rows() + entries.columns(), rank);
    bytes <= (8 * 24 * entries.len() as u128).max(1 << 30)
}

/// Error on the tuning set, over the spread, from which a finish that came to rest near the limit goes on.
const PROMISING: f64 = 0.3;

/// A ridge asked for that is above this share of the first one is annealed to from [`WITHIN`] times itself.
const NEAR: f64 = 1e-3;
const WITHIN: f64 = 8.0;

/// Of the number of entries in the ridge of a row.
pub(crate) fn exponent(options: &Options) -> f64 {
    options.advanced.ridge_exponent.unwrap_or(if options.biases { 0.5 } else { 0.0 })
}

/// The first ridge of a path: `λ` is per entry^e, and at the typical row it is the first singular value.
fn largest_ridge(problem: &Problem, options: &Options, first: &Start) -> f64 {
    let Problem { entries, .. } = problem;
    let top = first.values.first().copied().unwrap_or(0.0);
    let count = (entries.len() as f64 / entries.rows().min(entries.columns()) as f64).max(1.0);
    (top / count.powf(exponent(options))).max(f64::MIN_POSITIVE)
}

/// The best outcome so far: one that recovered the matrix replaces any other, else the least error counts.
#[derive(Default)]
struct BestOutcome(Option<Outcome>);

impl BestOutcome {
    fn offer(&mut self, o: Outcome) {
        if self.0.as_ref().is_none_or(|b| o.recovered || measure(&o) < measure(b)) {
            self.0 = Some(o);
        }
    }
}

/// What all paths of one rank share.
struct Setting<'a> {
    problem: &'a Problem,
    options: &'a Options,
    goal: f64,
    baseline: &'a State,
    first: &'a Start,
    rank: usize,
    streams: Streams,
    ridged: bool,
    mender: RefCell<Mender>,
}

impl Setting<'_> {
    /// One path, from its start or from where another one stopped.
    fn walk<T: KernelReal>(
        &self,
        route: Route,
        entries: &Entries<T>,
        from: Option<(&State, f64)>,
        number: u64,
        control: &mut Control<'_>,
    ) -> Result<Outcome, LinalgError> {
        match route {
            Route::Reweighting => self.reweight(control),
            Route::Annealing { .. } | Route::Growth => self.descend(route, entries, from, number, control),
        }
    }

    /// By iteratively reweighted least squares. It interpolates: weights mean nothing to it.
    fn reweight(&self, control: &mut Control<'_>) -> Result<Outcome, LinalgError> {
        let (problem, route) = (self.problem, Route::Reweighting);
        let plain = problem.entries.without_weights();
        let mut search = reweighting::Search::new(&plain, self.first, self.rank);
        let mut best = BestOutcome::default();
        loop {
            let state = match search.next(problem.spread, control) {
                // Beside a large mean its systems may be beyond the digits there are: this path leads nowhere.
                Ok(None) | Err(LinalgError::NotFinite { .. }) => break,
                Ok(Some(state)) => state,
                Err(other) => return Err(other),
            };
            let o = self.finish(&problem.entries, state, search.damping(), route, control);
            let done = o.recovered || control.stop.is_some();
            best.offer(o);
            if done {
                break;
            }
        }
        best.offer(self.judge(search.state(), 0.0, route));
        Ok(best.0.expect("the end was offered"))
    }

    /// Along falling ridges, from a start of full rank or from a rank that grows, with a finish at each checkpoint.
    fn descend<T: KernelReal>(
        &self,
        route: Route,
        entries: &Entries<T>,
        from: Option<(&State, f64)>,
        number: u64,
        control: &mut Control<'_>,
    ) -> Result<Outcome, LinalgError> {
        let Setting { problem, options, first, .. } = *self;
        let largest = largest_ridge(problem, options, first);
        let manner = Manner {
            solver: options.advanced.solver,
            non_negative: options.non_negative,
            roughly: size_of::<T>() == 4,
            seed: self.streams.child(number).seed(),
        };
        let (decay, pairs) = if let Route::Annealing { decay, pairs } = route { (decay, pairs) } else { (0.9, 1) };
        let (mut state, mut lambda);
        if route == Route::Growth {
            state = State::<T>::copy(self.baseline);
            let streams = self.streams.child(DIRECTIONS + number);
            lambda = growth::grow(entries, &mut state, self.rank, manner, streams, control)?;
        } else {
            state = State::copy(&self.begin(from));
            lambda = largest;
        }
        if let Some((_, started)) = from {
            lambda = if started > 0.0 { started } else { largest * CHECKPOINTS[2] };
        }
        let mut outcome = BestOutcome::default();
        let mut best: Option<Best<T>> = None;
        for &share in self.checkpoints() {
            let schedule = self.schedule((lambda, largest, share), (decay, pairs), from.is_none());
            let (reached, past) = anneal(entries, &problem.tuning, &mut state, &schedule, manner, &mut best, control);
            lambda = reached;
            if control.stop.is_some() || !finishes(options) {
                break;
            }
            let o = match options.advanced.finish {
                Finish::GaussNewton if factors_fit::<T>(entries, self.rank) => {
                    self.finish(entries, State::copy(&state), lambda, route, control)
                }
                _ => self.alternate(&problem.entries, State::copy(&state), manner, route, control),
            };
            let done = o.recovered || control.stop.is_some() || past;
            outcome.offer(o);
            if done {
                break;
            }
        }
        if let Some(best) = best {
            outcome.offer(self.judge(State::copy(&best.state), best.lambda, route));
        }
        // A path that was cut short may have nothing better than where it stands.
        Ok(outcome.0.unwrap_or_else(|| self.judge(State::copy(&state), lambda, route)))
    }

    /// Shares of the first ridge at which a path is looked at.
    fn checkpoints(&self) -> &'static [f64] {
        match self.options.biases && !self.problem.tuning.is_empty() {
            _ if finishes(self.options) => &CHECKPOINTS[..],
            true => &UNSHRUNK[..],
            false => &CHECKPOINTS[2..],
        }
    }

    /// The ridges from one checkpoint to the next, at a share of the largest.
    fn schedule(
        &self,
        (lambda, largest, share): (f64, f64, f64),
        (decay, pairs): (f64, usize),
        from_the_start: bool,
    ) -> Schedule {
        let options = self.options;
        // Annealing ends at a small share of the start even when less is asked for.
        let last = options.lambda.unwrap_or(largest * share);
        // A ridge of some size that was asked for needs no long way.
        let near = match options.lambda {
            Some(asked) if from_the_start && asked > NEAR * largest => WITHIN * asked,
            _ => f64::INFINITY,
        };
        Schedule {
            first: lambda.max(last).min(near),
            decay,
            last: last.max(if options.lambda == Some(0.0) { 0.0 } else { f64::MIN_POSITIVE }),
            pairs,
            exponent: exponent(options),
            biases: options.biases,
            asked: options.lambda,
            settle: options.lambda.is_some(),
            watch: options.exact_recovery.is_none() && options.lambda.is_none(),
        }
    }

    /// Where the first path begins: the start, or the caller's model.
    fn begin(&self, from: Option<(&State, f64)>) -> State {
        if let Some((state, _)) = from {
            return state.clone();
        }
        let mut state = self.baseline.clone();
        (state.u, state.v) = (self.first.u.clone(), self.first.v.clone());
        if self.options.non_negative {
            let positive = |m: &mut samplewise_linalg::Matrix| m.as_mut_slice().iter_mut().for_each(|x| *x = x.abs());
            positive(&mut state.u);
            positive(&mut state.v);
        }
        state
    }

    fn finish<T: KernelReal>(
        &self,
        inner: &Entries<T>,
        mut state: State,
        damping: f64,
        route: Route,
        control: &mut Control<'_>,
    ) -> Outcome {
        let Setting { problem, goal, .. } = *self;
        let spread = problem.spread;
        let scarce = problem.oversampling < 2.0;
        let mut aim = Goal {
            residual: if problem.oversampling < 2.5 { 0.01 } else { 0.1 } * goal * spread,
            spread,
            damping,
            outer: 40,
            inner: if scarce { 100 } else { 40 },
            progress: if scarce { 0.98 } else { 0.93 },
        };
        let (mut end, _) = gauss_newton(&problem.entries, inner, &mut state, aim, control);
        let mut outcome = self.judge(state, 0.0, route);
        // Nearly there, but slow: rows of few entries are badly conditioned near the limit.
        if end != End::Reached && scarce && measure(&outcome) < PROMISING && control.stop.is_none() {
            aim = Goal { outer: 60, inner: 300, progress: 0.998, damping: 1e-2 * damping, ..aim };
            (end, _) = gauss_newton(&problem.entries, inner, &mut outcome.state, aim, control);
            outcome = self.judge(outcome.state, 0.0, route);
        }
        // All but a few rows and columns may be right.
        if end != End::Reached
            && self.options.exact_recovery.is_some()
            && control.stop.is_none()
            && factors_fit::<f64>(&problem.entries, self.rank)
        {
            let goal = Goal { damping: 1e-2 * damping, ..aim };
            let mended = self.mender.borrow_mut().mend(&problem.entries, &outcome.state, goal, control);
            let mended = mended.map(|state| self.judge(state, 0.0, route));
            if let Some(mended) = mended.filter(|m| m.recovered || measure(m) < measure(&outcome)) {
                (end, outcome) = (End::Reached, mended);
            }
        }
        // Where few entries decide, a small residual still allows for an error that is larger; once more, to rounding. So
        // where the tuning entries agree and some other entry, which alone ties two blocks together, does not yet.
        let near = end == End::Reached && outcome.tuning_error < 1e3 * goal || outcome.tuning_error <= goal;
        if near && !outcome.recovered && control.stop.is_none() {
            aim.residual = 1e-13 * spread;
            aim.damping *= 1e-6;
            gauss_newton(&problem.entries, &problem.entries, &mut outcome.state, aim, control);
            outcome = self.judge(outcome.state, 0.0, route);
        }
        outcome
    }

    /// Plain pairs at `λ = 0` until the goal or a standstill.
    fn alternate(
        &self,
        entries: &Entries,
        mut state: State,
        manner: Manner,
        route: Route,
        control: &mut Control<'_>,
    ) -> Outcome {
        const WINDOW: usize = 25;
        let ridge = Ridge { lambda: 0.0, exponent: 0.0, biases: None };
        let floor = (entries.len() * state.rank().max(1)) as f64;
        let mut residuals: Vec<f64> = Vec::new();
        loop {
            let seed = manner.seed.wrapping_add(2 * residuals.len() as u64 + 1);
            let manner = Manner { seed, roughly: false, ..manner };
            let work = state.pair(entries, ridge, manner);
            let residual = state.training_rmse(entries) / self.problem.spread;
            residuals.push(residual);
            let n = residuals.len();
            let rest = n > WINDOW && residual > 0.9 * residuals[n - 1 - WINDOW];
            let going = control.step("alternating", work / floor, Some(residual));
            if !going || rest || residual <= 1e-2 * self.goal || !residual.is_finite() {
                return self.judge(state, 0.0, route);
            }
        }
    }

    fn judge(&self, state: State, lambda: f64, route: Route) -> Outcome {
        let Setting { problem, goal, .. } = *self;
        let tuning_error = state.rmse(&problem.tuning) / problem.spread;
        let training_error = state.training_rmse(&problem.entries) / problem.spread;
        let told = if tuning_error.is_nan() { training_error } else { tuning_error };
        let recovered = told <= 0.5 * goal && training_error <= goal;
        Outcome { state, lambda, tuning_error, training_error, recovered, route, ridged: self.ridged }
    }
}
