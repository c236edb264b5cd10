//! Spectral start, annealed ridge, exact finish: one path at one rank.
use rand::Rng;
use samplewise_linalg::observe::{Observer, Progress};
use samplewise_linalg::operator::BothOrientations;
use samplewise_linalg::random;
use samplewise_linalg::svd::{SvdOptions, truncated_svd};
use samplewise_linalg::{LinalgError, Matrix, chunk};

use crate::core_decomposition::Peeled;
use crate::half_step::{Ridge, half_step};
use crate::model::Model;
use crate::{Entries, Options};

/// One path.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    /// The model of the best λ on the tuning set (the last one without a tuning set).
    pub model: Model,
    /// Its λ.
    pub lambda: f64,
    /// Its error on the tuning set relative to the spread of the values.
    pub tuning_error: f64,
    /// Pairs of half steps.
    pub pairs: usize,
    pub interrupted: bool,
    pub limit: bool,
}

/// *Tuned* (ML-100K and GB1): the bias ridge is worth this many entries; 1 to 6 change the error by less than 0.001.
const BIAS_RIDGE: f64 = 3.0;
/// Share of the first singular value at which the annealing ends.
const LAST: f64 = 1e-4;

/// Runs the homotopy at `rank` (rows COM-3 and COM-4).
///
/// `tuning` are entries outside `entries`; `spread` the standard deviation of all values. `peeled` is left out of the
/// exact finish, as undetermined rows fit anything and only slow the others down.
pub(crate) fn run<R: Rng + ?Sized>(
    entries: &Entries,
    tuning: &[(usize, usize, f64)],
    spread: f64,
    rank: usize,
    peeled: &Peeled,
    options: &Options,
    budget: usize,
    rng: &mut R,
    observer: &mut dyn Observer,
) -> Result<Path, LinalgError> {
    let exponent = options.ridge_exponent.unwrap_or(if options.biases { 0.5 } else { 0.0 });
    let bias = options.biases.then_some(BIAS_RIDGE);
    let mut model = biases_only(entries, options.biases);
    let residual = residual_matrix(entries, &model);
    let svd = truncated_svd(&residual, rank, &SvdOptions::default(), rng)?;
    let top = svd.s.first().copied().unwrap_or(0.0);
    start(&mut model, &svd, rank, rng, top);

    // λ is per entry^e: at the typical row it should start at the first singular value.
    let typical = (entries.len() as f64 / entries.rows().min(entries.columns()) as f64).max(1.0).powf(exponent);
    let first = (top / typical).max(f64::MIN_POSITIVE);
    let goal = options.tolerance.unwrap_or(1e-6);
    let mut best: Option<Path> = None;
    let mut previous = f64::INFINITY;
    let (mut pairs, mut worse) = (0, 0);
    let mut lambda = first;
    let (mut interrupted, mut limit);
    let last = options.lambda.unwrap_or(first * LAST);
    // A λ asked for above the start is reached at once; then it is iterated to rest.
    let mut at_rest = 0;
    loop {
        // Annealing ends at a small share of the start even when less is asked for (λ = 0 would never be reached).
        let next = lambda * options.decay;
        lambda = if next <= last.max(first * LAST) { last } else { next };
        let before = model.row_factors.clone();
        pair(entries, &mut model, Ridge { lambda, exponent, bias });
        pairs += 1;
        let error = relative_error(&model, tuning, spread);
        let value = if error.is_nan() { None } else { Some(error) };
        interrupted = observer.step(Progress { stage: "annealing", step: pairs, total: None, value }).is_break();
        limit = pairs >= budget;
        let improved =
            best.as_ref().is_none_or(|b| tuning.is_empty() || error < b.tuning_error || options.lambda.is_some());
        if improved {
            best = Some(Path { model: model.clone(), lambda, tuning_error: error, pairs, interrupted, limit });
        }
        worse = if error > previous * 1.0005 { worse + 1 } else { 0 };
        previous = error;
        if interrupted || limit {
            break;
        }
        if lambda <= last {
            let moved: Vec<f64> =
                before.as_slice().iter().zip(model.row_factors.as_slice()).map(|(a, b)| a - b).collect();
            at_rest += 1;
            let still = chunk::norm(&moved) <= 1e-4 * model.row_factors.norm();
            if options.lambda.is_none() || still || at_rest >= 60 {
                break;
            }
        }
        // The tuning error has passed its minimum: this is a noisy fit, and less ridge only overfits.
        if worse >= 6 && options.lambda.is_none() && error > 0.02 {
            break;
        }
    }
    let mut best = best.expect("at least one pair was run");
    let promising = tuning.is_empty() || best.tuning_error < 0.2;
    if options.lambda.is_none() && !options.biases && promising && !interrupted && !limit {
        let (finish, stopped, over) =
            exact_finish(entries, tuning, spread, peeled, &best, budget - pairs, goal, observer);
        interrupted |= stopped;
        limit |= over;
        pairs += finish.pairs;
        if tuning.is_empty() || finish.tuning_error < best.tuning_error {
            best = finish;
        }
    }
    best.pairs = pairs;
    best.interrupted = interrupted;
    best.limit = limit;
    Ok(best)
}

/// Plain pairs at `λ → 0` on the core until the goal, a standstill, or the limit.
fn exact_finish(
    entries: &Entries,
    tuning: &[(usize, usize, f64)],
    spread: f64,
    peeled: &Peeled,
    from: &Path,
    budget: usize,
    goal: f64,
    observer: &mut dyn Observer,
) -> (Path, bool, bool) {
    let (mut row_out, mut column_out) = (vec![false; entries.rows()], vec![false; entries.columns()]);
    peeled.rows.iter().for_each(|&i| row_out[i] = true);
    peeled.columns.iter().for_each(|&j| column_out[j] = true);
    let inside: Vec<bool> = entries.iter().map(|e| !row_out[e.0] && !column_out[e.1]).collect();
    let core = if peeled.rows.is_empty() && peeled.columns.is_empty() { None } else { entries.filter(|p| inside[p]) };
    let core = core.as_ref().unwrap_or(entries);
    let judged: Vec<(usize, usize, f64)> =
        tuning.iter().copied().filter(|e| !row_out[e.0] && !column_out[e.1]).collect();
    let mut model = from.model.clone();
    let ridge = Ridge { lambda: 0.0, exponent: 0.0, bias: None };
    let mut errors: Vec<f64> = Vec::new();
    let (mut stopped, mut over) = (false, budget == 0);
    while !over && !stopped {
        pair(core, &mut model, ridge);
        let held_out = relative_error(&model, &judged, spread);
        let error = if held_out.is_nan() { training_error(core, &model) / spread } else { held_out };
        errors.push(error);
        let progress = Progress { stage: "exact finish", step: errors.len(), total: None, value: Some(error) };
        stopped = observer.step(progress).is_break();
        over = errors.len() >= budget;
        // A tenth of the goal leaves room between tuning and verification entries.
        let window = 25;
        let standstill = errors.len() > window && error > 0.9 * errors[errors.len() - 1 - window];
        if error <= 0.1 * goal || standstill || !error.is_finite() {
            break;
        }
    }
    // The peeled rows and columns against the finished factors, with the last ridge of the path.
    let last = Ridge { lambda: from.lambda, exponent: 0.0, bias: None };
    let mut filled = model.clone();
    half_step(
        &entries.by_row,
        &model.column_factors,
        &model.column_biases,
        model.mean,
        last,
        &mut filled.row_factors,
        &mut vec![0.0; entries.rows()],
    );
    peeled.rows.iter().for_each(|&i| model.row_factors.row_mut(i).copy_from_slice(filled.row_factors.row(i)));
    half_step(
        &entries.by_column,
        &model.row_factors,
        &model.row_biases,
        model.mean,
        last,
        &mut filled.column_factors,
        &mut vec![0.0; entries.columns()],
    );
    peeled.columns.iter().for_each(|&j| model.column_factors.row_mut(j).copy_from_slice(filled.column_factors.row(j)));
    let tuning_error = errors.iter().copied().reduce(|_, last| last).unwrap_or(f64::INFINITY);
    (Path { model, lambda: 0.0, tuning_error, pairs: errors.len(), interrupted: stopped, limit: over }, stopped, over)
}

/// A few more pairs from a model, at its λ, on more entries.
pub(crate) fn refit(entries: &Entries, model: &mut Model, lambda: f64, options: &Options, pairs: usize) {
    let exponent = options.ridge_exponent.unwrap_or(if options.biases { 0.5 } else { 0.0 });
    let ridge = Ridge { lambda, exponent, bias: options.biases.then_some(BIAS_RIDGE) };
    for _ in 0..pairs {
        pair(entries, model, ridge);
    }
}

fn pair(entries: &Entries, model: &mut Model, ridge: Ridge) {
    half_step(
        &entries.by_row,
        &model.column_factors,
        &model.column_biases,
        model.mean,
        ridge,
        &mut model.row_factors,
        &mut model.row_biases,
    );
    half_step(
        &entries.by_column,
        &model.row_factors,
        &model.row_biases,
        model.mean,
        ridge,
        &mut model.column_factors,
        &mut model.column_biases,
    );
}

/// The baseline: mean and biases by ten ridge half steps (or zero without biases).
pub(crate) fn biases_only(entries: &Entries, biases: bool) -> Model {
    let (m, n) = (entries.rows(), entries.columns());
    let mut model = Model {
        mean: 0.0,
        row_biases: vec![0.0; m],
        column_biases: vec![0.0; n],
        row_factors: Matrix::zeros(m, 0),
        column_factors: Matrix::zeros(n, 0),
    };
    if biases {
        let (mut top, mut bottom) = (0.0, 0.0);
        entries.iter().for_each(|(_, _, v, w)| {
            top += w * v;
            bottom += w;
        });
        model.mean = top / bottom;
        let ridge = Ridge { lambda: 0.0, exponent: 0.0, bias: Some(BIAS_RIDGE) };
        for _ in 0..10 {
            pair(entries, &mut model, ridge);
        }
    }
    model
}

fn residual_matrix(entries: &Entries, model: &Model) -> BothOrientations {
    let mut by_row = entries.by_row.values.clone();
    let values: Vec<f64> =
        entries.iter().map(|(i, j, v, _)| v - model.mean - model.row_biases[i] - model.column_biases[j]).collect();
    by_row.values_mut().copy_from_slice(&values);
    BothOrientations::new(by_row)
}

/// Balanced factors `U√S`, `V√S`; missing triplets (rank above that of the observed matrix) start small and random.
fn start<R: Rng + ?Sized>(
    model: &mut Model,
    svd: &samplewise_linalg::svd::TruncatedSvd,
    rank: usize,
    rng: &mut R,
    top: f64,
) {
    let small = 1e-3 * top.sqrt();
    let mut side = |rows: usize, vectors: &Matrix| {
        Matrix::from_fn(rows, rank, |i, j| {
            if j < svd.s.len() { vectors[(i, j)] * svd.s[j].sqrt() } else { small * random::normal(rng) }
        })
    };
    model.row_factors = side(model.row_biases.len(), &svd.u);
    model.column_factors = side(model.column_biases.len(), &svd.v);
}

/// Root mean square error over `spread`; NaN without entries.
pub(crate) fn relative_error(model: &Model, entries: &[(usize, usize, f64)], spread: f64) -> f64 {
    model.rmse(entries).map_or(f64::NAN, |e| e / spread)
}

/// Weighted root mean square of the training residual.
pub(crate) fn training_error(entries: &Entries, model: &Model) -> f64 {
    let (mut squares, mut total) = (0.0, 0.0);
    for (i, j, v, w) in entries.iter() {
        squares += w * (v - model.predict(i, j)).powi(2);
        total += w;
    }
    (squares / total).sqrt()
}
