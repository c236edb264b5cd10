//! Ask and tell: the planner says how many samples of which task it wants, and is told what came.
//!
//! First every task alike, then rounds: fit the representation on everything so far, estimate relevance, top up. Nothing
//! is discarded. The oracle loop of [`crate::learn`] is built on it.
use samplewise_linalg::observe::Observer;
use samplewise_linalg::random::Streams;
use samplewise_linalg::scale::{ldexp, scale};
use samplewise_linalg::{ArgumentError, Ending, LinalgError, Matrix, Summary};

use crate::Error;
use crate::cost::{Budget, CostModel};
use crate::guard::{Estimate, guarded};
use crate::options::FitOptions;
use crate::relevance::{Relevance, Strategy, efficiency, predicted_risk, relevance_of_targets};
use crate::representation::{Representation, fit_in_units, in_common_units, square_as_given};
use crate::task::TaskData;

/// Settings of a [`Planner`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Dimension `K` of the representation; `None` by the largest gap of singular values after the exploration.
    pub dimension: Option<usize>,
    /// Default [`Strategy::Guarded`].
    pub strategy: Strategy,
    /// Rounds of topping up after the exploration. Default 4.
    pub rounds: usize,
    /// Share of the budget explored uniformly. Default 0.3, in `(0, 1]`.
    pub exploration: f64,
    /// Samples of every task that the exploration asks for at least. Default 1.
    pub floor: usize,
    /// Ridge of the target's weights, per label. Default 1e-6; more for few or noisy labels. Finite, `≥ 0`.
    pub ridge: f64,
    /// Ridge of the source tasks' coefficients, per sample; see [`FitOptions::ridge`]. Default 0. Finite, `≥ 0`.
    pub source_ridge: f64,
    /// `λ` of the relevance Lasso; default 5 % of the largest.
    pub lambda: Option<f64>,
    /// Seed of the spectral start and of the guard. Default 0.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dimension: None,
            strategy: Strategy::Guarded,
            rounds: 4,
            exploration: 0.3,
            floor: 1,
            ridge: 1e-6,
            source_ridge: 0.0,
            lambda: None,
            seed: 0,
        }
    }
}

/// One round as it was decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Round {
    /// What the allocation followed: the strategy, for [`Strategy::Guarded`] the candidate it chose.
    pub followed: String,
    /// Relevance and shares.
    pub relevance: Relevance,
    /// Samples of each task before the round.
    pub samples: Vec<usize>,
    /// Money spent before the round.
    pub cost: f64,
    /// Predicted excess risk of the targets that samples of sources can lower, `σ²(d−K)·wᵀ(W diag(n) Wᵀ)⁻¹w` summed over
    /// targets; what the target's own labels leave, `σ²K/n_t`, comes on top. Infinite while there are less than twice as
    /// many samples as parameters, and the noise is not known. Zero without noise, or where the representation is the whole
    /// space.
    pub predicted_risk: f64,
    /// Elfving efficiency of these samples for the first target, as estimated.
    pub efficiency: f64,
    /// Variance of the noise, as estimated.
    pub noise: f64,
}

/// What was learned.
#[derive(Clone, Debug, PartialEq)]
pub struct Learned {
    /// Basis and weights.
    pub representation: Representation,
    /// Each target's coefficients on the features, `B ŵ`.
    pub targets: Vec<Vec<f64>>,
    /// Samples of each task.
    pub samples: Vec<usize>,
    /// Money spent.
    pub cost: f64,
    /// Every round, the state at the end as the last.
    pub history: Vec<Round>,
    /// How learning ended: a stopped one did not spend its budget, or its last fit is the best so far.
    pub ending: Ending,
}

impl Learned {
    /// Predictions of a target for new rows (`n × d`, the features in the order of the tasks).
    ///
    /// # Errors
    /// [`Error::Argument`] for a target beyond their number, [`Error::Data`] for rows of another number of features.
    pub fn predict(&self, target: usize, rows: &Matrix) -> Result<Vec<f64>, Error> {
        let refused = || ArgumentError::new("target", target, format!("below {}", self.targets.len()));
        let coefficients = self.targets.get(target).ok_or_else(refused)?;
        if rows.columns() != coefficients.len() {
            let expected = format!("{} columns", coefficients.len());
            return Err(
                LinalgError::Shape { argument: "rows", rows: rows.rows(), columns: rows.columns(), expected }.into()
            );
        }
        let mut out = vec![0.0; rows.rows()];
        rows.multiply_vector_into(coefficients, &mut out);
        Ok(out)
    }

    /// Whether the last fit came to rest, and a risk that was asked for was reached.
    pub fn converged(&self) -> bool {
        self.ending == Ending::Finished
    }

    /// Coefficients of the first target.
    pub fn target(&self) -> &[f64] {
        &self.targets[0]
    }

    /// `ν̂` at the end.
    pub fn relevance(&self) -> &[f64] {
        &self.last().relevance.nu
    }

    /// The state at the end.
    pub fn last(&self) -> &Round {
        self.history.last().expect("a planner that ends has a round")
    }
}

/// See the module.
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
        let e = options.exploration;
        range("exploration", e, e > 0.0 && e <= 1.0, "above 0 and at most 1")?;
        range("ridge", options.ridge, options.ridge.is_finite() && options.ridge >= 0.0, "finite and not negative")?;
        let r = options.source_ridge;
        range("source_ridge", r, r.is_finite() && r >= 0.0, "finite and not negative")?;
        if let Some(l) = options.lambda {
            range("lambda", l, l.is_finite() && l > 0.0, "finite and positive")?;
        }
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
    pub fn tell(&mut self, task: usize, x: &Matrix, y: &[f64]) -> Result<(), Error> {
        let allowed = "a task below their number";
        let data = self.tasks.get_mut(task);
        let data = data.ok_or_else(|| Error::argument("task", task as f64, allowed))?;
        data.update((x, y))?;
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
        let (history, mut ending) = (std::mem::take(&mut self.history), fit.ending);
        if let (Budget::Risk { target, .. }, Some(last), Ending::Finished) = (&self.budget, history.last(), ending) {
            // What is not known is not reached.
            if last.predicted_risk.is_nan() || last.predicted_risk > *target {
                ending = Ending::Limit;
            }
        }
        Ok(Learned { representation: fit, targets, samples, cost, history, ending })
    }

    fn last_round(&self) -> usize {
        // A risk is approached in as many rounds as it takes, each at most doubling what there is.
        if matches!(self.budget, Budget::Risk { .. }) { 40 } else { self.options.rounds }
    }

    /// What the goal still lacks. When a task cannot give its part, the rest of the round's money goes to the others.
    fn missing(&mut self) -> Vec<(usize, usize)> {
        let lost = |p: &Self| (0..p.goal.len()).any(|m| p.short(m) > p.available[m]);
        if lost(self) {
            self.plan(); // within what is available, so that nothing is lost again
        }
        (0..self.goal.len()).map(|m| (m, self.short(m).min(self.available[m]))).filter(|w| w.1 > 0).collect()
    }

    fn short(&self, task: usize) -> usize {
        self.goal[task].saturating_sub(self.tasks[task].samples())
    }

    /// Spent so far, in the budget's money: samples, unless it is of costs.
    fn spent(&self) -> f64 {
        match self.budget {
            Budget::Cost(_) => self.cost(),
            _ => self.samples().iter().sum::<usize>() as f64,
        }
    }

    /// Money for the exploration.
    fn exploration(&self) -> f64 {
        let least = self.options.floor.max(1);
        let floor = match self.budget {
            Budget::Cost(_) => self.costs.iter().map(|c| c.total(least)).sum(),
            _ => (least * self.tasks.len()) as f64,
        };
        // Without rounds after it the exploration is all there is.
        let explored = if self.options.rounds == 0 { 1.0 } else { self.options.exploration };
        let share = match self.budget {
            Budget::Samples(n) => n as f64 * explored,
            Budget::Cost(c) => c * explored,
            Budget::Risk { most, .. } => {
                // Four samples per parameter: with hardly more samples than parameters the noise looks like none, and
                // any risk like reached.
                let both = self.tasks.len() + self.targets[0].features();
                (4 * self.options.dimension.unwrap_or(5) * both).min(most) as f64
            }
        };
        share.max(floor).min(self.whole())
    }

    /// The budget, in its money.
    fn whole(&self) -> f64 {
        match self.budget {
            Budget::Samples(n) | Budget::Risk { most: n, .. } => n as f64,
            Budget::Cost(c) => c,
        }
    }

    /// Money for a round, given the state before it.
    fn money_of_round(&self, now: &Round) -> f64 {
        let left = self.options.rounds.saturating_add(1).saturating_sub(self.round).max(1) as f64;
        match self.budget {
            Budget::Samples(n) => ((n as f64 - self.samples().iter().sum::<usize>() as f64) / left).ceil(),
            Budget::Cost(c) => (c - self.cost()) / left,
            Budget::Risk { target, most } => {
                let spent = self.samples().iter().sum::<usize>() as f64;
                let growth = (now.predicted_risk / target - 1.0).min(1.0);
                // A risk that is not a number is not known yet.
                let growth = if growth.is_nan() { 1.0 } else { growth };
                if growth <= 0.0 { 0.0 } else { (spent * growth).ceil().min(most as f64 - spent) }
            }
        }
    }

    /// Price of `count` samples more, in the budget's money.
    fn price(&self, task: usize, count: usize) -> f64 {
        let n = self.tasks[task].samples();
        match self.budget {
            Budget::Cost(_) => self.costs[task].total(n.saturating_add(count)) - self.costs[task].total(n),
            _ => count as f64,
        }
    }

    /// Sets the goal: samples in all towards the shares, as far as the round's money goes; what wanted tasks cannot give
    /// is asked of all alike.
    fn plan(&mut self) {
        let samples = self.samples();
        let mut wanted = vec![0; samples.len()];
        let everywhere = vec![1.0 / samples.len() as f64; samples.len()];
        for shares in [self.shares.clone(), everywhere] {
            let price: f64 = wanted.iter().enumerate().map(|(m, n)| self.price(m, *n)).sum();
            let left = self.until - self.spent() - price;
            let dry =
                |m: usize| shares[m] <= 0.0 || samples[m].saturating_add(wanted[m]) - samples[m] >= self.available[m];
            if left <= 0.0 || (0..samples.len()).all(dry) {
                continue;
            }
            self.top_up(&shares, left, &mut wanted);
            if (0..samples.len()).any(|m| self.shares[m] > 0.0 && wanted[m] < self.available[m]) {
                break; // wanted tasks have more: what is left is less than a sample of them
            }
        }
        self.goal = samples.iter().zip(&wanted).map(|(n, w)| n + w).collect();
    }

    /// Adds to `wanted` towards `shares` of the whole for at most `money`.
    fn top_up(&self, shares: &[f64], money: f64, wanted: &mut [usize]) {
        let have: Vec<f64> = self.samples().iter().zip(&*wanted).map(|(n, w)| (n + w) as f64).collect();
        let before = wanted.to_vec();
        let room = |m: usize| (self.available[m] - before[m]) as f64;
        let more = |whole: f64| -> Vec<f64> {
            (0..have.len()).map(|m| (whole * shares[m] - have[m]).clamp(0.0, room(m))).collect()
        };
        let extra = |m: usize, n: usize| self.price(m, before[m].saturating_add(n)) - self.price(m, before[m]);
        let price = |more: &[f64]| -> f64 { more.iter().enumerate().map(|(m, n)| extra(m, n.floor() as usize)).sum() };
        // The cost never falls with the whole: double, then halve.
        let (mut low, mut high) = (0.0, have.iter().sum::<f64>() + 1.0);
        while price(&more(high)) <= money && high < 1e15 {
            low = high;
            high *= 2.0;
        }
        for _ in 0..100 {
            let middle = 0.5 * (low + high);
            if price(&more(middle)) <= money { low = middle } else { high = middle }
        }
        let exact = more(low);
        let mut left = money - price(&exact);
        // Remainders, the largest first, once around.
        let mut order: Vec<usize> = (0..exact.len()).filter(|&m| shares[m] > 0.0).collect();
        let rest = |m: usize| exact[m] - exact[m].floor();
        order.sort_by(|&a, &b| rest(b).total_cmp(&rest(a)).then(shares[b].total_cmp(&shares[a])).then(a.cmp(&b)));
        wanted.iter_mut().zip(&exact).for_each(|(w, e)| *w += e.floor() as usize);
        for m in order {
            let next = self.price(m, wanted[m] + 1) - self.price(m, wanted[m]);
            if wanted[m] < self.available[m] && next <= left + 1e-9 * money {
                wanted[m] += 1;
                left -= next;
            }
        }
    }

    fn prices(&self) -> Option<Vec<f64>> {
        let Budget::Cost(whole) = self.budget else { return None };
        let typical = (whole / self.tasks.len() as f64).max(1.0);
        let count = |m: usize| self.costs[m].affordable(self.tasks[m].samples(), typical, 1 << 20).max(1);
        Some((0..self.tasks.len()).map(|m| self.costs[m].price(self.tasks[m].samples(), count(m))).collect())
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
        let start = self.fit.take().map(|f| f.basis);
        let dimension = o.dimension.or(start.as_ref().map(Matrix::columns));
        let options = FitOptions { ridge: o.source_ridge, start, ..FitOptions::default() };
        // In units in which no square of a label vanishes or overflows.
        let (units, tasks) = in_common_units(&self.tasks)?;
        let fit = fit_in_units(&tasks, dimension, &options, &mut streams.stream(1 << 40), observer)?;
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
                let (relevance, name) = guarded(&e, streams)?;
                (relevance, name.to_owned())
            }
            s => (relevance_of_targets(&fit.weights, &targets, s, lambda, prices)?, format!("{s:?}")),
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
