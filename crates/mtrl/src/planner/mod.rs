//! Ask and tell: the planner says how many samples of which task it wants, and is told what came.
//!
//! First every task alike, then rounds: fit the representation on everything so far, estimate relevance, top up. Nothing
//! is discarded. The oracle loop of [`crate::learn`] is built on it.
mod spending;
mod stored;

use std::time::Instant;

use samplewise_linalg::argument::check_ranges;
use samplewise_linalg::observe::Observer;
use samplewise_linalg::random::Streams;
use samplewise_linalg::scale::{ldexp, scale};
use samplewise_linalg::{Ending, LinalgError, Matrix, MatrixView, Seconds, Summary};

use crate::Error;
use crate::answer::{Learned, Report, Round, Route};
use crate::cost::{Budget, CostModel};
use crate::guard::{Estimate, guarded};
use crate::options::{FitOptions, Options, RANGES};
use crate::relevance::{Strategy, efficiency, predicted_risk, relevance_of_targets};
use crate::representation::{Representation, fit_in_units, in_common_units, square_as_given};
use crate::task::TaskData;

/// Says what to draw next ([`Planner::ask`]), is told what came ([`Planner::tell`]), and learns from it
/// ([`Planner::finish`]); rows MTL-4 and MTL-6. It travels as bytes between calls.
#[derive(Clone, Debug)]
pub struct Planner {
    options: Options,
    budget: Budget,
    targets: Vec<TaskData>,
    tasks: Vec<TaskData>,
    costs: Vec<CostModel>,
    /// Samples that a task can still give.
    available: Vec<usize>,
    round: usize,
    /// Samples of each task that the current round wants in all, the shares they follow, and the spending where it ends.
    goal: Vec<usize>,
    shares: Vec<f64>,
    until: f64,
    fit: Option<Representation>,
    history: Vec<Round>,
    /// Evaluations of the loss so far, and seconds in calls.
    iterations: usize,
    seconds: f64,
}

impl Planner {
    /// For `tasks` source tasks and one or more targets with their labelled data.
    ///
    /// # Errors
    /// [`Error::Argument`], [`Error::Data`].
    pub fn new(tasks: usize, targets: Vec<TaskData>, budget: Budget, options: &Options) -> Result<Self, Error> {
        let range = |argument, value: f64, ok: bool, allowed| {
            if ok { Ok(()) } else { Err(Error::argument(argument, value, allowed)) }
        };
        range("tasks", tasks as f64, tasks > 0, "1 or more")?;
        range("targets", targets.len() as f64, !targets.is_empty(), "1 or more")?;
        let features = targets[0].features();
        for t in &targets {
            range("labels of a target", t.samples() as f64, t.samples() > 0, "1 or more")?;
            if t.features() != features {
                return Err(LinalgError::Length { argument: "targets", given: t.features(), expected: features }.into());
            }
        }
        check_ranges(options, &RANGES)?;
        match budget {
            Budget::Samples(n) => {
                let enough = n >= tasks.saturating_mul(options.floor.max(1));
                range("budget", n as f64, enough, "at least one sample per task, or as many as the floor")?;
            }
            Budget::Cost(c) => range("budget", c, c.is_finite() && c > 0.0, "finite and positive")?,
            Budget::Risk { target, most } => {
                range("risk", target, target.is_finite() && target > 0.0, "finite and positive")?;
                range("budget", most as f64, most >= tasks, "at least one sample per task")?;
            }
        }
        range("K of top-K", 0.0, options.strategy != Strategy::TopK(0), "1 or more")?;
        let limit = features.min(tasks);
        if let Some(dimension) = options.dimension.filter(|k| *k == 0 || *k > limit) {
            return Err(Error::dimension(dimension, limit));
        }
        Ok(Self {
            options: *options,
            budget,
            tasks: vec![TaskData::empty(features); tasks],
            targets,
            costs: vec![CostModel::default(); tasks],
            available: vec![usize::MAX; tasks],
            round: 0,
            goal: Vec::new(),
            shares: Vec::new(),
            until: 0.0,
            fit: None,
            history: Vec::new(),
            iterations: 0,
            seconds: 0.0,
        })
    }

    /// Sets the cost models of the tasks; without, a sample costs one.
    ///
    /// # Errors
    /// [`Error::Argument`], [`Error::Data`].
    pub fn with_costs(mut self, costs: Vec<CostModel>) -> Result<Self, Error> {
        if costs.len() != self.tasks.len() {
            let (given, expected) = (costs.len(), self.tasks.len());
            return Err(LinalgError::Length { argument: "costs", given, expected }.into());
        }
        costs.iter().try_for_each(CostModel::check)?;
        self.costs = costs;
        Ok(self)
    }

    /// Says that a task can give at most so many samples more.
    ///
    /// # Errors
    /// [`Error::Argument`] for a task that is not there.
    pub fn limit(&mut self, task: usize, available: usize) -> Result<(), Error> {
        let allowed = "a task below their number";
        let mine = self.available.get_mut(task);
        *mine.ok_or_else(|| Error::argument("task", task as f64, allowed))? = available;
        Ok(())
    }

    /// Takes over samples of a task, asked for or not.
    ///
    /// # Errors
    /// [`Error::Argument`] for a task that is not there, [`Error::Data`].
    pub fn tell<'a>(&mut self, task: usize, x: impl Into<MatrixView<'a>>, y: &[f64]) -> Result<(), Error> {
        let allowed = "a task below their number";
        let data = self.tasks.get_mut(task);
        let data = data.ok_or_else(|| Error::argument("task", task as f64, allowed))?;
        data.update((x.into(), y))?;
        self.available[task] = self.available[task].saturating_sub(y.len());
        Ok(())
    }

    /// As [`Planner::tell`], of data that were summarised elsewhere.
    ///
    /// # Errors
    /// As [`Planner::tell`].
    pub fn tell_summary(&mut self, task: usize, data: TaskData) -> Result<(), Error> {
        let (samples, allowed) = (data.samples(), "a task below their number");
        let mine = self.tasks.get_mut(task);
        mine.ok_or_else(|| Error::argument("task", task as f64, allowed))?.merge(data)?;
        self.available[task] = self.available[task].saturating_sub(samples);
        Ok(())
    }

    /// Data of each task so far. A planner that ingests them before it is first asked goes on from there: they count
    /// towards the exploration and the budget.
    pub fn into_data(self) -> Vec<TaskData> {
        self.tasks
    }

    /// Samples of each task so far.
    pub fn samples(&self) -> Vec<usize> {
        self.tasks.iter().map(TaskData::samples).collect()
    }

    /// Money spent so far.
    pub fn cost(&self) -> f64 {
        self.costs.iter().zip(&self.tasks).map(|(c, t)| c.total(t.samples())).sum()
    }

    /// What is wanted next, `(task, samples)`; empty when the budget is spent or no task can give more. Until what was
    /// asked for came or [`Planner::limit`] says that it will not, the same is asked again, and what a task cannot give is
    /// asked of others.
    ///
    /// # Errors
    /// Those of the fit.
    pub fn ask(&mut self) -> Result<Vec<(usize, usize)>, Error> {
        self.ask_observed(&mut ())
    }

    /// [`Planner::ask`] with progress and cancellation of its fit.
    ///
    /// # Errors
    /// As [`Planner::ask`].
    pub fn ask_observed(&mut self, observer: &mut dyn Observer) -> Result<Vec<(usize, usize)>, Error> {
        let start = Instant::now();
        let wanted = self.next(observer);
        self.seconds += start.elapsed().as_secs_f64();
        wanted
    }

    fn next(&mut self, observer: &mut dyn Observer) -> Result<Vec<(usize, usize)>, Error> {
        loop {
            let missing = self.missing();
            if !missing.is_empty() {
                return Ok(missing);
            }
            if self.round > self.last_round() || self.available.iter().all(|a| *a == 0) {
                return Ok(Vec::new());
            }
            if self.round == 0 {
                let wanted = self.exploration();
                self.shares = vec![1.0 / self.tasks.len() as f64; self.tasks.len()];
                // Data that came before count; what is missing of the floor is asked for in any case.
                let short = |m: usize| self.options.floor.max(1).saturating_sub(self.tasks[m].samples());
                let floor: f64 = (0..self.tasks.len()).map(|m| self.price(m, short(m))).sum();
                self.until = (self.spent() + floor).max(wanted).min(self.whole());
                self.plan();
            } else {
                let round = self.decide(observer)?;
                let wanted = self.money_of_round(&round);
                self.shares.clone_from(&round.relevance.shares);
                self.until = self.spent() + wanted;
                self.history.push(round);
                self.plan();
                if wanted > 0.0 && self.missing().is_empty() {
                    // The money of a round buys nothing: all that is left, and if that buys nothing, the end.
                    self.until = self.whole();
                    self.plan();
                }
                if wanted <= 0.0 || self.missing().is_empty() {
                    self.round = usize::MAX;
                    return Ok(Vec::new());
                }
            }
            self.round += 1;
        }
    }

    /// The answer from everything ingested.
    ///
    /// # Errors
    /// [`Error::Argument`] when nothing was; those of the fit.
    pub fn finish(self) -> Result<Learned, Error> {
        self.finish_observed(&mut ())
    }

    /// [`Planner::finish`] with progress and cancellation; the answer of a stopped fit is the best so far.
    ///
    /// # Errors
    /// As [`Planner::finish`].
    pub fn finish_observed(mut self, observer: &mut dyn Observer) -> Result<Learned, Error> {
        self.conclude(observer)
    }

    /// [`Planner::finish_observed`] that leaves the data; the history goes with the answer.
    pub(crate) fn conclude(&mut self, observer: &mut dyn Observer) -> Result<Learned, Error> {
        let start = Instant::now();
        let last = self.decide(observer)?;
        self.history.push(last);
        let (samples, cost) = (self.samples(), self.cost());
        let fit = self.fit.take().expect("decided on a fit");
        let weights = self.target_weights(&fit)?;
        let targets = (0..weights.columns())
            .map(|t| {
                let mut coefficients = vec![0.0; fit.basis.rows()];
                fit.basis.multiply_vector_into(&weights.copy_column(t), &mut coefficients);
                coefficients
            })
            .collect();
        let (rounds, mut ending) = (std::mem::take(&mut self.history), fit.report.ending);
        if let (Budget::Risk { target, .. }, Some(last), Ending::Finished) = (&self.budget, rounds.last(), ending) {
            // What is not known is not reached.
            if last.predicted_risk.is_nan() || last.predicted_risk > *target {
                ending = Ending::Limit;
            }
        }
        self.seconds += start.elapsed().as_secs_f64();
        let report = Report { ending, rounds, iterations: self.iterations, seconds: Seconds(self.seconds) };
        Ok(Learned { representation: fit, targets, samples, cost, report })
    }

    fn target_weights(&self, fit: &Representation) -> Result<Matrix, Error> {
        let ridge = |t: &TaskData| self.options.ridge * t.samples() as f64;
        let w: Vec<Vec<f64>> =
            self.targets.iter().map(|t| t.weights(&fit.basis, ridge(t))).collect::<Result<_, _>>()?;
        Ok(Matrix::from_fn(fit.basis.columns(), w.len(), |k, t| w[t][k]))
    }

    /// Fit, relevance and report of the state as it is.
    fn decide(&mut self, observer: &mut dyn Observer) -> Result<Round, Error> {
        if self.tasks.iter().all(|t| t.samples() == 0) {
            if let Budget::Cost(budget) = self.budget
                && self.costs.iter().all(|c| c.total(1) > budget)
            {
                let (argument, allowed) = ("budget", "at least the cost of one sample of some task");
                return Err(Error::argument(argument, budget, allowed));
            }
            return Err(Error::argument("samples", 0.0, "at least one, by tell"));
        }
        let o = &self.options;
        let streams = Streams::new(o.seed).child(self.round as u64);
        // Kept until there is another: a stopped call changes nothing that the next one begins with.
        let start = self.fit.as_ref().map(|f| f.basis.clone());
        let dimension = o.dimension.or(start.as_ref().map(Matrix::columns));
        let options = FitOptions { ridge: o.source_ridge, start, ..FitOptions::default() };
        // In units in which no square of a label vanishes or overflows.
        let (units, tasks) = in_common_units(&self.tasks)?;
        let fit = fit_in_units(&tasks, dimension, &options, &mut streams.stream(1 << 40), observer)?;
        self.iterations += fit.report.iterations;
        let mut targets = self.target_weights(&fit)?;
        scale(targets.as_mut_slice(), -units);
        // The Lasso of the relevance has squares of weights beside its λ.
        let lambda = o.lambda.map(|l| ldexp(l, -2 * units));
        let (samples, prices) = (self.samples(), self.prices());
        let prices = prices.as_deref();
        let (relevance, followed) = match o.strategy {
            Strategy::Guarded => {
                let reduced = |t: &TaskData| -> Result<Matrix, LinalgError> {
                    fit.basis.transpose().multiply(&t.gram_times(&fit.basis)?)
                };
                let precisions: Vec<Matrix> =
                    self.tasks.iter().chain(&self.targets).map(reduced).collect::<Result<_, _>>()?;
                let spent: f64 = samples.iter().sum::<usize>() as f64;
                let more = match self.budget {
                    Budget::Samples(n) => (n as f64 - spent).max(0.0),
                    Budget::Cost(c) => spent * (c / self.cost().max(f64::MIN_POSITIVE) - 1.0).max(0.0),
                    Budget::Risk { .. } => spent,
                };
                let e = Estimate {
                    weights: &fit.weights,
                    targets: &targets,
                    precisions: &precisions,
                    noise: fit.noise * inflation(&fit, spent),
                    samples: &samples,
                    more,
                    prices,
                    lambda,
                };
                guarded(&e, streams)?
            }
            s => (relevance_of_targets(&fit.weights, &targets, s, lambda, prices)?, Route::Asked(s)),
        };
        let counts: Vec<f64> = samples.iter().map(|n| *n as f64).collect();
        let of_noise = fit.noise * (fit.basis.rows() - fit.basis.columns()) as f64;
        let risk: f64 = (0..targets.columns())
            .map(|t| predicted_risk(&fit.weights, &targets.copy_column(t), &counts).unwrap_or(f64::INFINITY))
            .sum();
        let parameters = fit.basis.columns() * (fit.basis.rows() + samples.len() - fit.basis.columns());
        let known = samples.iter().sum::<usize>() >= 2 * parameters;
        let efficiency = efficiency(&fit.weights, &targets.copy_column(0), &counts, prices).unwrap_or(0.0);
        let round = Round {
            followed,
            relevance,
            samples,
            cost: self.cost(),
            predicted_risk: match known {
                // Without noise, or where the representation is the whole space, nothing is left to predict.
                true if of_noise == 0.0 => 0.0,
                true => square_as_given(of_noise * risk, units),
                false => f64::INFINITY,
            },
            efficiency,
            noise: square_as_given(fit.noise, units),
        };
        self.fit = Some(fit.multiply_labels(units));
        Ok(round)
    }
}

/// The estimated weights err by more than their variance at a fixed basis says, the more so the fewer samples there are per
/// parameter; the square of samples over degrees of freedom was found to keep the guard (`cargo bench --bench mtrl -- savings`).
fn inflation(fit: &Representation, samples: f64) -> f64 {
    let (d, k, m) = (fit.basis.rows(), fit.basis.columns(), fit.weights.columns());
    let parameters = (k * (d + m - k)) as f64;
    (1.0 - (parameters / samples.max(1.0)).min(0.75)).powi(-2)
}
