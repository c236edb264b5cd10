//! Ask and tell: points to evaluate, answers, a surrogate of them, and more points until it is good enough.
use samplewise_linalg::Ending;
use samplewise_linalg::observe::{Observer, Progress, Watch};

use super::answer::Status;
use super::design::{self, Known};
use super::evidence::Evidence;
use super::expert::Process;
use super::fit::Task;
use super::kernel::Kernel;
use super::options::{Options, check};
use super::posterior::{Posterior, codes_of, fit_observed};
use super::pursuit::to_bits;
use super::workspace::Workspace;
use crate::Error;
use crate::field::bits::Bits;
use crate::verdict::units::{Units, check_finite};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Target {
    /// Values at uniformly random points: those are asked. Enough when what held-out values leave is the relative error asked
    /// for, as a share of their standard deviation.
    Values,
    /// Shapley values: pairs of a point and its complement are asked, of all sizes. Enough when the root of the sum of their
    /// variances is that share of the root of the sum of their squares.
    Shapley,
    /// The point of the largest value: climbs on mean and deviation. Enough when no new point's mean and four deviations
    /// exceed the largest value told by that share of the spread.
    Maximum,
}

/// Settings of [`Surrogate::new`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AskOptions {
    /// Settings of the surrogates; `groups` must be absent. Its `max_points` bounds the budget.
    pub fit: Options,
    /// Number of points to ask in all. Default 1000; 8 to 20000.
    pub budget: usize,
    /// Points asked at once after the first batch; `None` (the default) for half of those told so far, and 20 for the maximum.
    pub batch: Option<usize>,
    /// Relative error that is good enough. Default 0.05; 0 to below 1. At 0 only an explained function ends before the budget.
    pub enough: f64,
}

impl Default for AskOptions {
    fn default() -> Self {
        Self { fit: Options::default(), budget: 1_000, batch: None, enough: 0.05 }
    }
}

/// A surrogate under way: evaluate what [`Surrogate::ask`] lists, [`Surrogate::tell`] the answers, until there is nothing more
/// to ask, then [`Surrogate::finish`].
///
/// ```
/// use samplewise_wht::surrogate::{AskOptions, Surrogate, Target};
/// let f = |m: u64| 2.0 * (m & 3).count_ones() as f64 - f64::from(u8::from(m >> 4 & 3 == 3));
/// let options = AskOptions { budget: 200, ..AskOptions::default() };
/// let mut surrogate = Surrogate::new(12, Target::Shapley, &options)?;
/// while !surrogate.ask().is_empty() {
///     let answers: Vec<f64> = surrogate.ask().iter().map(|&m| f(m)).collect();
///     surrogate.tell(&answers)?;
/// }
/// let model = surrogate.finish()?;
/// let shapley = model.shapley();
/// assert!((shapley[0].mean - 2.0).abs() < 0.2 && (shapley[4].mean + 0.5).abs() < 0.2);
/// # Ok::<(), samplewise_wht::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Surrogate<I: Bits = u64> {
    pub(super) variables: usize,
    pub(super) target: Target,
    pub(super) options: AskOptions,
    pub(super) points: Vec<I>,
    pub(super) values: Vec<f64>,
    pub(super) pending: Vec<I>,
    pub(super) batches: usize,
    pub(super) ending: Ending,
    pub(super) posterior: Option<Posterior<I>>,
    /// The kernel of the search for a maximum, from which the next one starts.
    pub(super) kernel: Option<Kernel>,
}

/// Points of the first batch for each variable, and at least.
const FIRST: (usize, usize) = (2, 40);
/// Points asked at once in a search for the maximum.
const MAXIMUM_BATCH: usize = 20;
/// Steps of the evidence between two batches of such a search, and the spread of its relevances.
const SEARCH_STEPS: usize = 25;
const SEARCH_SPREAD: f64 = 2.0;
/// Deviations above the mean at which a point might still be the largest. *Measured* on NK(20, 2), ten functions: with 2 six
/// searches end before they find it, with 3 two, with 4 none.
const HOPE: f64 = 4.0;

impl Surrogate {
    /// Of a function of `variables ≤ 64` two-level variables.
    ///
    /// # Errors
    /// [`Error::Argument`] for options out of range, or groups, which points that are not known yet cannot have.
    pub fn new(variables: usize, target: Target, options: &AskOptions) -> Result<Self, Error> {
        Self::for_bits(variables, target, options)
    }
}

impl<I: Bits> Surrogate<I> {
    /// [`Surrogate::new`] for an index type of any width.
    ///
    /// # Errors
    /// As [`Surrogate::new`].
    pub fn for_bits(variables: usize, target: Target, options: &AskOptions) -> Result<Self, Error> {
        if variables < 2 || variables > I::WIDTH {
            return Err(Error::count("variables", variables, format!("2 to {}", I::WIDTH)));
        }
        if options.fit.groups.is_some() {
            return Err(
                samplewise_linalg::ArgumentError::new("groups", "given", "none: points are not known yet").into()
            );
        }
        check(&options.fit, 0)?;
        if !(8..=20_000).contains(&options.budget) {
            return Err(Error::count("budget", options.budget, "8 to 20000"));
        }
        if options.budget > options.fit.max_points {
            let allowed = format!("at most {}, the max_points of the surrogate", options.fit.max_points);
            return Err(Error::count("budget", options.budget, allowed));
        }
        if options.batch == Some(0) {
            return Err(Error::count("batch", 0, "at least 1"));
        }
        if !(0.0..1.0).contains(&options.enough) {
            return Err(Error::argument("enough", options.enough, "at least 0 and below 1"));
        }
        let mut out = Self {
            variables,
            target,
            options: options.clone(),
            points: Vec::new(),
            values: Vec::new(),
            pending: Vec::new(),
            batches: 0,
            ending: Ending::Finished,
            posterior: None,
            kernel: None,
        };
        let first = (FIRST.0 * variables).max(FIRST.1);
        out.pending = out.draw(first.min(options.budget));
        Ok(out)
    }

    /// What to evaluate now, each point once; empty when it is finished.
    pub fn ask(&self) -> &[I] {
        &self.pending
    }

    /// Number of variables.
    pub fn variables(&self) -> usize {
        self.variables
    }

    /// Points told so far.
    pub fn points(&self) -> &[I] {
        &self.points
    }

    /// Their values.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The surrogate of the answers so far; in a search for the maximum it is made at the end.
    pub fn posterior(&self) -> Option<&Posterior<I>> {
        self.posterior.as_ref()
    }

    /// The point of the largest value told so far, and the value.
    pub fn best(&self) -> Option<(I, f64)> {
        let at = (0..self.values.len()).max_by(|&a, &b| self.values[a].total_cmp(&self.values[b]))?;
        Some((self.points[at], self.values[at]))
    }

    /// Takes the answers to [`Surrogate::ask`], learns, and plans the next batch if there is a need.
    ///
    /// # Errors
    /// [`Error::AnswersMismatch`], [`Error::AnswerNotFinite`]; the surrogate is then as it was.
    pub fn tell(&mut self, answers: &[f64]) -> Result<(), Error> {
        self.tell_observed(answers, &mut ())
    }

    /// [`Surrogate::tell`] with progress; when stopped, nothing more is asked, and the answer says so.
    ///
    /// # Errors
    /// As [`Surrogate::tell`].
    pub fn tell_observed(&mut self, answers: &[f64], observer: &mut dyn Observer) -> Result<(), Error> {
        if answers.len() != self.pending.len() {
            return Err(Error::AnswersMismatch { asked: self.pending.len(), given: answers.len() });
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        check_finite(answers)?;
        self.points.append(&mut self.pending);
        self.values.extend(answers);
        self.batches += 1;
        let mut watch = Watch::new(observer);
        match self.target {
            Target::Maximum => self.go_on_climbing(&mut watch)?,
            Target::Values | Target::Shapley => {
                self.learn(&mut watch)?;
                if !watch.stopped() && !self.good_enough() {
                    self.pending = self.draw(self.next_batch());
                    self.note_limit();
                }
            }
        }
        if watch.stopped() {
            self.interrupt();
        }
        Ok(())
    }

    /// Ends it before it is good enough: nothing more is asked.
    pub fn interrupt(&mut self) {
        self.pending.clear();
        self.ending = Ending::Interrupted;
    }

    /// The surrogate of all answers; where telling was stopped, of those of the last batch that was learned from.
    ///
    /// # Errors
    /// [`Error::Interrupted`] before anything was learned. What was told is then gone with this object: where a call may be
    /// stopped, keep [`Surrogate::to_bytes`], or its points and values, before.
    pub fn finish(self) -> Result<Posterior<I>, Error> {
        self.finish_observed(&mut ())
    }

    /// [`Surrogate::finish`] with progress: where it was stopped in a search, the surrogate is made now.
    ///
    /// # Errors
    /// As [`Surrogate::finish`].
    pub fn finish_observed(mut self, observer: &mut dyn Observer) -> Result<Posterior<I>, Error> {
        if self.posterior.is_none() && self.values.len() >= 3 {
            self.learn(&mut Watch::new(observer))?;
        }
        let mut out = self.posterior.ok_or(Error::Interrupted)?;
        out.report.ending = out.report.ending.and(self.ending);
        out.mixture.report.ending = out.report.ending;
        Ok(out)
    }

    fn learn(&mut self, watch: &mut Watch<'_>) -> Result<(), Error> {
        let learned = fit_observed(&self.points, &self.values, self.variables, &self.options.fit, watch);
        match learned {
            Err(Error::Interrupted) => Ok(()),
            Err(e) => Err(e),
            Ok(posterior) => {
                // One that was judged is better than one of more points that was stopped before it was.
                if posterior.status != Status::Unjudged || self.posterior.is_none() {
                    self.posterior = Some(posterior);
                }
                Ok(())
            }
        }
    }

    fn good_enough(&self) -> bool {
        let Some(model) = &self.posterior else { return false };
        if matches!(model.status, Status::Explained { .. } | Status::Constant) {
            return true;
        }
        let most = self.options.enough * self.options.enough;
        match self.target {
            Target::Shapley => {
                let (mut variance, mut energy) = (0.0, 0.0);
                for e in model.shapley() {
                    variance += (0.5 * (e.high - e.low)).powi(2);
                    energy += e.mean * e.mean;
                }
                // The half-width of an interval at the level of the options, as that of a normal distribution.
                let z = crate::verdict::verify::normal_quantile(0.5 + 0.5 * self.options.fit.level);
                variance / (z * z) <= most * energy
            }
            _ => model.report.held_out_r2.is_some_and(|r2| 1.0 - r2 <= most),
        }
    }

    fn left(&self) -> usize {
        self.options.budget - self.points.len().min(self.options.budget)
    }

    fn next_batch(&self) -> usize {
        let wanted = self.options.batch.unwrap_or(match self.target {
            Target::Maximum => MAXIMUM_BATCH,
            Target::Values | Target::Shapley => self.points.len().div_ceil(2),
        });
        wanted.min(self.left())
    }

    /// Where nothing more is asked though it is not good enough, the budget ended it, or every point there is was told.
    fn note_limit(&mut self) {
        if self.pending.is_empty() && self.ending == Ending::Finished && self.left() == 0 && !self.told_all() {
            self.ending = Ending::Limit;
        }
    }

    fn told_all(&self) -> bool {
        u32::try_from(self.variables)
            .ok()
            .and_then(|n| 1_usize.checked_shl(n))
            .is_some_and(|all| self.points.len() >= all)
    }

    fn known(&self) -> Known {
        let codes = codes_of(&self.points, self.variables).unwrap_or_default();
        codes.chunks_exact(self.variables).map(<[u8]>::to_vec).collect()
    }

    /// Points of the target's design.
    fn draw(&self, count: usize) -> Vec<I> {
        let mut rng = design::generator(self.options.fit.seed, self.batches);
        let mut known = self.known();
        let rows = match self.target {
            Target::Shapley => design::paired(self.variables, count, &mut known, &mut rng),
            Target::Values | Target::Maximum => design::random(&vec![2; self.variables], count, &mut known, &mut rng),
        };
        rows.iter().map(|row| to_bits(row)).collect()
    }

    /// One more batch of a search for the maximum, or its end.
    fn go_on_climbing(&mut self, watch: &mut Watch<'_>) -> Result<(), Error> {
        let count = self.next_batch();
        // In moderate units, so that nothing overflows.
        let units = Units::of(&self.values);
        let values = units.apply(&self.values).into_owned();
        let process = if count > 0 { self.search_process(&values, units.exponent(), watch) } else { None };
        if let Some(process) = process {
            let levels = vec![2; self.variables];
            let mut order: Vec<usize> = (0..self.values.len()).collect();
            order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
            let codes = codes_of(&self.points, self.variables)?;
            let row = |j: usize| codes[j * self.variables..(j + 1) * self.variables].to_vec();
            let best: Vec<Vec<u8>> = order.iter().map(|&j| row(j)).collect();
            let score = |points: &[u8]| -> Vec<(f64, f64)> {
                let (means, variances) = process.predict(points);
                means.into_iter().zip(variances).map(|(m, v)| (m, v.sqrt())).collect()
            };
            let means = |points: &[u8]| process.means(points);
            let mut known = self.known();
            let mut rng = design::generator(self.options.fit.seed, self.batches);
            let progress =
                Progress { stage: "climbs", step: self.points.len(), total: Some(self.options.budget), value: None };
            let mut stops = || watch.ticks(|| progress);
            let found = design::largest((&score, &means), &levels, (&best, count), &mut known, &mut rng, &mut stops);
            let (low, high) = crate::verdict::units::range_of(&values);
            let hope = high + self.options.enough * (high - low);
            let codes: Vec<u8> = found.iter().flatten().copied().collect();
            let reached = |(m, d): (f64, f64)| m + HOPE * d > hope;
            if found.is_empty() || self.options.enough > 0.0 && !score(&codes).into_iter().any(reached) {
                self.learn(watch)?;
            } else {
                self.pending = found.iter().map(|row| to_bits(row)).collect();
            }
        } else {
            if !watch.stopped() {
                self.learn(watch)?;
            }
            self.note_limit();
        }
        Ok(())
    }

    /// One process of all answers, from where the last one stood.
    fn search_process(&mut self, values: &[f64], exponent: i32, watch: &mut Watch<'_>) -> Option<Process> {
        let codes = codes_of(&self.points, self.variables).ok()?;
        let task = Task::of_bits(self.variables, &codes, values, exponent, &self.options.fit);
        let table = task.table(&(0..values.len()).collect::<Vec<_>>());
        let evidence = Evidence { table: &table, spread: SEARCH_SPREAD, noise: task.noise_of(&table) };
        let mut minimiser = evidence.minimiser(self.kernel.as_ref(), SEARCH_STEPS);
        let mut workspace = Workspace::default();
        while let Some(point) = minimiser.point().map(<[f64]>::to_vec) {
            let (value, gradient) =
                evidence.evaluate(&point, &mut workspace, &mut super::rounds::looking(watch, "evidence"));
            minimiser.tell(value, &gradient);
            let progress = Progress { stage: "evidence", step: minimiser.steps(), total: None, value: Some(value) };
            if watch.ticks(|| progress) {
                return None;
            }
        }
        let kernel = evidence.kernel(minimiser.best());
        // Positions that did not vary so far start anew.
        self.kernel = kernel.relevance.iter().all(|w| *w > 0.0).then(|| kernel.clone());
        Process::plain(&kernel, &table, &mut super::rounds::looking(watch, "evidence"))
    }
}
