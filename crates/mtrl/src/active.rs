//! The closed loop: explore uniformly, estimate relevance, top up, refit.
use rand::Rng;
use samplewise_linalg::Matrix;
use samplewise_linalg::observe::{Observer, Progress};

use crate::MtrlError;
use crate::relevance::{Strategy, allocate, relevance};
use crate::representation::{Representation, TaskData, fit_representation};

/// Where samples come from.
pub trait TaskOracle {
    /// Number of source tasks.
    fn tasks(&self) -> usize;
    /// Up to `count` new samples of a task; fewer when it has no more.
    ///
    /// # Errors
    /// Whatever keeps the samples from coming.
    fn draw(&mut self, task: usize, count: usize) -> Result<(Matrix, Vec<f64>), MtrlError>;
}

/// Settings of [`learn`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Dimension `K` of the representation.
    pub dimension: usize,
    /// Default L1.
    pub strategy: Strategy,
    /// Rounds of topping up after the exploration. Default 2.
    pub epochs: usize,
    /// Share of the budget explored uniformly. Default 0.3, in `(0, 1]`.
    pub exploration: f64,
    /// Ridge of the target's weights, per label. Default 1e-6; more for few or noisy labels. Finite, `≥ 0`.
    pub ridge: f64,
    /// `λ` of the relevance Lasso; default 5 % of the largest.
    pub lambda: Option<f64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { dimension: 5, strategy: Strategy::L1, epochs: 2, exploration: 0.3, ridge: 1e-6, lambda: None }
    }
}

/// What was learned.
#[derive(Clone, Debug, PartialEq)]
pub struct Learned {
    /// Basis and weights.
    pub representation: Representation,
    /// The target's coefficients on the features, `B ŵ`.
    pub target: Vec<f64>,
    /// `ν̂` of the last round.
    pub relevance: Vec<f64>,
    /// Samples drawn from each task.
    pub samples: Vec<usize>,
}

/// Draws `count` samples in proportion to `wanted`; what a task can no longer give goes to the others, first to those
/// wanted, then to all.
fn top_up(
    oracle: &mut dyn TaskOracle,
    tasks: &mut [TaskData],
    exhausted: &mut [bool],
    wanted: &[f64],
    count: usize,
) -> Result<(), MtrlError> {
    let mut left = count;
    while left > 0 && exhausted.contains(&false) {
        let mut share: Vec<f64> = wanted.iter().zip(&*exhausted).map(|(w, e)| if *e { 0.0 } else { *w }).collect();
        if share.iter().all(|s| *s <= 0.0) {
            share = exhausted.iter().map(|e| if *e { 0.0 } else { 1.0 }).collect();
        }
        for (m, n) in allocate(&share, left, Strategy::L1).into_iter().enumerate().filter(|a| a.1 > 0) {
            if exhausted[m] {
                continue; // a rounding remainder; the next turn places it
            }
            let (x, y) = oracle.draw(m, n)?;
            exhausted[m] = y.len() < n;
            left -= y.len().min(left);
            tasks[m].add(&TaskData::new(&x, &y)?);
        }
    }
    Ok(())
}

/// Learns a target from few labels and `budget` samples of source tasks (row MTL-4).
///
/// # Errors
/// [`MtrlError::OutOfRange`], [`MtrlError::Dimension`], [`MtrlError::Data`], and the oracle's own.
pub fn learn<R: Rng + ?Sized>(
    oracle: &mut dyn TaskOracle,
    target: &TaskData,
    budget: usize,
    options: &Options,
    rng: &mut R,
) -> Result<Learned, MtrlError> {
    learn_observed(oracle, target, budget, options, rng, &mut ())
}

/// [`learn`] with progress; when stopped, what was learned from the samples drawn so far.
///
/// # Errors
/// As [`learn`].
pub fn learn_observed<R: Rng + ?Sized>(
    oracle: &mut dyn TaskOracle,
    target: &TaskData,
    budget: usize,
    options: &Options,
    rng: &mut R,
    observer: &mut dyn Observer,
) -> Result<Learned, MtrlError> {
    let count = oracle.tasks();
    if budget < count || count == 0 {
        let (argument, value) = ("budget", budget as f64);
        return Err(MtrlError::OutOfRange { argument, value, allowed: "at least one sample per task" });
    }
    if !(options.exploration > 0.0 && options.exploration <= 1.0) {
        let (argument, value) = ("exploration", options.exploration);
        return Err(MtrlError::OutOfRange { argument, value, allowed: "above 0 and at most 1" });
    }
    let explore = ((budget as f64 * options.exploration) as usize).max(count);
    let mut tasks: Vec<TaskData> = Vec::with_capacity(count);
    if !(options.ridge.is_finite() && options.ridge >= 0.0) {
        let (argument, value) = ("ridge", options.ridge);
        return Err(MtrlError::OutOfRange { argument, value, allowed: "finite and not negative" });
    }
    if let Some(value) = options.lambda.filter(|l| !(l.is_finite() && *l > 0.0)) {
        return Err(MtrlError::OutOfRange { argument: "lambda", value, allowed: "finite and positive" });
    }
    let mut exhausted = vec![false; count];
    for (m, n) in allocate(&vec![1.0; count], explore, Strategy::Uniform).into_iter().enumerate() {
        let (x, y) = oracle.draw(m, n)?;
        exhausted[m] = y.len() < n;
        tasks.push(TaskData::new(&x, &y)?);
    }
    if exhausted.iter().any(|e| *e) {
        let missing = explore - tasks.iter().map(|t| t.samples).sum::<usize>();
        top_up(oracle, &mut tasks, &mut exhausted, &vec![1.0; count], missing)?;
    }
    let ridge = options.ridge * target.samples as f64;
    let mut interrupted = false;
    let mut fit = fit_representation(&tasks, options.dimension, rng)?;
    let mut w = target.weights(&fit.basis, ridge)?;
    let mut nu = relevance(&fit.weights, &w, options.strategy, options.lambda)?;
    for epoch in 1..=options.epochs {
        let spent: usize = tasks.iter().map(|t| t.samples).sum();
        let left = budget.saturating_sub(spent) / (options.epochs + 1 - epoch);
        let goal = allocate(&nu, spent + left, options.strategy);
        // Never discard: tasks that already have more than their goal cost the others in proportion.
        let short: Vec<f64> = goal.iter().zip(&tasks).map(|(g, t)| g.saturating_sub(t.samples) as f64).collect();
        top_up(oracle, &mut tasks, &mut exhausted, &short, left)?;
        if !observer
            .step(Progress { stage: "rounds", step: epoch, total: Some(options.epochs), value: None })
            .is_continue()
        {
            interrupted = true;
        }
        fit = fit_representation(&tasks, options.dimension, rng)?;
        w = target.weights(&fit.basis, ridge)?;
        nu = relevance(&fit.weights, &w, options.strategy, options.lambda)?;
        if interrupted {
            break;
        }
    }
    let mut coefficients = vec![0.0; fit.basis.rows()];
    fit.basis.multiply_vector_into(&w, &mut coefficients);
    let samples = tasks.iter().map(|t| t.samples).collect();
    Ok(Learned { representation: fit, target: coefficients, relevance: nu, samples })
}
