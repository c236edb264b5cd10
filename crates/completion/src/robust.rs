//! Entries that may be grossly wrong (row COM-9): Huber's loss along the homotopy, by reweighting, then trims.
//!
//! The scale of the residuals is their median absolute deviation, with a floor for the trims as well: a scale that may
//! shrink freely collapses on data without noise, where rows that converge late lose all their entries.
use samplewise_linalg::Real;
use samplewise_linalg::random::Streams;

use crate::answer::Route;
use crate::control::Control;
use crate::data::biases::start;
use crate::data::entries::Entries;
use crate::data::ridge::first_bias_ridge;
use crate::data::ridge::{Manner, Ridge};
use crate::data::state::State;
use crate::options::{Loss, Options};
use crate::paths::order::{self, Outcome, Problem};
use crate::{Error, Model};

/// Standard deviations per median absolute deviation of normal numbers.
const NORMAL: f64 = 1.4826;
/// Pairs along the ridge, and at the last one: without any, 10 % of gross errors at three times the degrees of freedom were
/// found in 10 of 20 instances, not 18.
const ANNEALED: usize = 45;
const SETTLED: usize = 60;
/// Factor of the ridge per pair.
const DECAY: f64 = 0.9;
/// Values are clipped at so many robust standard deviations for the start.
const CLIP: f64 = 3.0;
/// Smallest scale as a share of that of the values.
const FLOOR: f64 = 0.02;
/// An entry is trimmed beyond so many robust standard deviations of the residuals, and this share of that of the values.
const TRIM: f64 = 4.0;
const TRIM_FLOOR: f64 = 0.1;
/// Trims at most, each by the fit of the one before.
const ROUNDS: u64 = 5;

/// Fits `problem` robustly; the second part says which positions (in the row order of all entries of the problem) were
/// left out. After a trim, `problem` is without them.
///
/// Row COM-9 of `paper-refs.md`.
pub(crate) fn run(
    problem: &mut Problem,
    rank: usize,
    options: &Options,
    from: Option<(&State, f64)>,
    streams: Streams,
    control: &mut Control<'_>,
) -> Result<(Outcome, Vec<bool>), Error> {
    let all = problem.entries.clone();
    let baseline = crate::data::biases::biases_only(&clipped(&all), options.biases, first_bias_ridge(options.lambda));
    let scale = deviation(all.iter().map(|(i, j, v, _)| v - baseline.predict(i, j)));
    let residual = clipped(&crate::data::biases::residual_entries(&all, &baseline));
    let first = start(&residual, rank, &mut streams.stream(0))?;
    let mut state = if let Some((state, _)) = from {
        state.clone()
    } else {
        let mut state = baseline;
        (state.u, state.v) = (first.u.clone(), first.v.clone());
        state
    };
    let top = first.values.first().copied().unwrap_or(0.0);
    let best = anneal(problem, &mut state, (top, scale, rank), options, streams.seed(), control);
    if options.loss != Loss::Trimmed || control.stop.is_some() {
        return Ok((best.judged(problem), Vec::new()));
    }
    let (outcome, out) = trim(problem, &state, (scale, rank), options, streams, control)?;
    Ok((outcome.unwrap_or_else(|| best.judged(problem)), out))
}

/// A state on the way, and the ridge that it was found at.
struct Reached {
    state: State,
    lambda: f64,
    error: f64,
}

impl Reached {
    fn judged(self, problem: &Problem) -> Outcome {
        let Reached { state, lambda, .. } = self;
        Outcome {
            tuning_error: median_error(&state, &problem.tuning) / problem.spread,
            training_error: state.training_rmse(&problem.entries) / problem.spread,
            recovered: false,
            route: Route::Annealing { decay: DECAY, pairs: 1 },
            ridged: false,
            state,
            lambda,
        }
    }
}

/// Huber's loss by weights that are renewed before every pair, along falling ridges; the best state on the way. `top` is the
/// first singular value, `scale` that of the values beside the biases.
fn anneal(
    problem: &Problem,
    state: &mut State,
    (top, scale, rank): (f64, f64, usize),
    options: &Options,
    seed: u64,
    control: &mut Control<'_>,
) -> Reached {
    let all = &problem.entries;
    let threshold = if let Loss::Huber { threshold } = options.loss { threshold } else { 1.345 };
    let exponent = options.advanced.ridge_exponent.unwrap_or(if options.biases { 0.5 } else { 0.0 });
    let manner = Manner { solver: options.advanced.solver, non_negative: options.non_negative, roughly: false, seed };
    let floor = (all.len() * rank) as f64;
    let typical = (all.len() as f64 / all.rows().min(all.columns()) as f64).max(1.0).powf(exponent);
    let mut lambda = (top / typical).max(f64::MIN_POSITIVE);
    let mut best: Option<Reached> = None;
    let mut weighted = all.clone();
    let positions = all.by_row.values.transpose_positions();
    for pair in 0..ANNEALED + SETTLED {
        lambda = match options.lambda {
            Some(asked) => (lambda * DECAY).max(asked),
            None if pair < ANNEALED => lambda * DECAY,
            None => lambda,
        };
        let residuals: Vec<f64> = all.iter().map(|(i, j, v, _)| v - state.predict(i, j)).collect();
        let sigma = deviation(residuals.iter().copied()).max(FLOOR * scale);
        let huber = |r: f64| if r.abs() <= threshold * sigma { 1.0 } else { threshold * sigma / r.abs() };
        let weights: Vec<f64> = all
            .iter()
            .zip(&residuals)
            // At the start every residual is a value, and weights would only be noise.
            .map(|((_, _, _, w), r)| if pair == 0 { w } else { w * huber(*r) })
            .collect();
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        let ridge =
            Ridge { lambda: lambda * mean, exponent, biases: options.biases.then(|| options.lambda.unwrap_or(lambda)) };
        let manner = Manner { seed: manner.seed.wrapping_add(2 * pair as u64), ..manner };
        weighted.set_weights(weights, &positions);
        let work = state.pair(&weighted, ridge, manner);
        let error = median_error(state, &problem.tuning);
        if best.as_ref().is_none_or(|b| problem.tuning.is_empty() || options.lambda.is_some() || error < b.error) {
            best = Some(Reached { state: state.clone(), lambda, error });
        }
        if !control.step("robust annealing", work / floor, Some(error)) {
            break;
        }
    }
    best.expect("one pair was run")
}

/// Leaves out what is far from the fit and fits the rest by squares, until the same entries are far; the last fit, and which
/// entries it was without. What one trim left out wrongly comes back with the better fit.
fn trim(
    problem: &Problem,
    annealed: &State,
    (scale, rank): (f64, usize),
    options: &Options,
    streams: Streams,
    control: &mut Control<'_>,
) -> Result<(Option<Outcome>, Vec<bool>), Error> {
    let all = &problem.entries;
    let mut outcome = None;
    let mut out: Vec<bool> = Vec::new();
    for round in 0..ROUNDS {
        let fit = outcome.as_ref().map_or(annealed, |o: &Outcome| &o.state);
        let sigma = deviation(all.iter().map(|(i, j, v, _)| v - fit.predict(i, j)));
        let limit = (TRIM * sigma).max(TRIM_FLOOR * scale);
        let far: Vec<bool> = all.iter().map(|(i, j, v, _)| (v - fit.predict(i, j)).abs() > limit).collect();
        if far == out {
            break;
        }
        let everyone = |n: usize| crate::data::entries::Renumbering::without(n, &[]);
        let Some(kept) = all.select(|p| !far[p], &everyone(all.rows()), &everyone(all.columns())) else { break };
        let near: Vec<(usize, usize, f64)> =
            problem.tuning.iter().copied().filter(|&(i, j, v)| (v - fit.predict(i, j)).abs() <= limit).collect();
        let inner = Problem::new(kept, near, problem.spread, problem.oversampling);
        let plain = Options { loss: Loss::Squared, ..options.clone() };
        outcome = Some(order::run(&inner, rank, &plain, None, 0, streams.child(round), control)?);
        out = far;
        if control.stop.is_some() {
            break;
        }
    }
    Ok((outcome, out))
}

/// Marks those of the entries held out that are as far off as what was trimmed.
pub(crate) fn mark_held_out<T: Real>(
    entries: &Entries<T>,
    model: &Model,
    out: &mut Vec<bool>,
    held: impl Fn(usize) -> bool,
) {
    out.resize(entries.len(), false);
    let residual = |e: (usize, usize, f64, f64)| e.2 - model.predict(e.0, e.1);
    let kept = entries.iter().enumerate().filter(|(p, _)| !held(*p) && !out[*p]).map(|(_, e)| residual(e));
    // Held-out residuals are larger than fitted ones; a little more room costs nothing.
    let plain = entries.iter().map(|e| e.2 - model.mean - model.row_biases[e.0] - model.column_biases[e.1]);
    let limit = 1.5 * (TRIM * deviation(kept)).max(TRIM_FLOOR * deviation(plain));
    let far: Vec<usize> =
        entries.iter().enumerate().filter(|(p, e)| held(*p) && residual(*e).abs() > limit).map(|(p, _)| p).collect();
    far.into_iter().for_each(|p| out[p] = true);
}

/// Values beyond three robust standard deviations, cut to them.
fn clipped(entries: &Entries) -> Entries {
    let limit = CLIP * deviation(entries.iter().map(|e| e.2));
    let mut out = entries.clone();
    if limit > 0.0 {
        for side in [&mut out.by_row, &mut out.by_column] {
            side.values.values_mut().iter_mut().for_each(|v| *v = v.clamp(-limit, limit));
        }
    }
    out
}

/// Robust standard deviation around zero.
fn deviation(values: impl Iterator<Item = f64>) -> f64 {
    NORMAL * median(values.map(f64::abs).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

fn median_error(state: &State, tuning: &[(usize, usize, f64)]) -> f64 {
    deviation(tuning.iter().map(|&(i, j, v)| v - state.predict(i, j)))
}
