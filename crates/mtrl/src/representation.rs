//! Empirical risk minimiser `min_{B,W} Σ_m ‖X_m B w_m − y_m‖²`: spectral start, then a quasi-Newton method on `B` with the
//! weights eliminated (variable projection).
//!
//! One evaluation forms `X_mᵀX_m B` once per task; from it come all weights exactly, the loss, and the gradient in `B`,
//! `2 Σ_m (X_mᵀX_m B w_m − X_mᵀy_m) w_mᵀ`. Floor: one pass over the data per evaluation. The L-BFGS directions start from
//! the gradient times `(Σ_m n_m w_m w_mᵀ)⁻¹`, the inverse of the Hessian when features are uncorrelated.
use std::borrow::Cow;

use rand::Rng;
use rayon::prelude::*;
use samplewise_linalg::factor::{Cholesky, dense_svd};
use samplewise_linalg::observe::{Observer, Progress};
use samplewise_linalg::scale::{ldexp, scale};
use samplewise_linalg::svd::{SvdOptions, truncated_svd};
use samplewise_linalg::{Ending, LinalgError, Matrix, chunk};

use crate::MtrlError;
use crate::task::TaskData;

/// Pairs of the quasi-Newton method.
const MEMORY: usize = 8;
/// Tasks whose sums are added in order before they join the total.
const BLOCK: usize = 16;

/// Settings of [`fit_representation_from`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FitOptions {
    /// Dimension `K`; `None` takes the largest relative gap between neighbouring singular values of the moments.
    pub dimension: Option<usize>,
    /// Ridge of every task's coefficients `B w_m`, per sample (one of `w_m` alone would do nothing: `B` would grow instead).
    /// Default 0; where features outnumber the samples of a task and the model is only roughly true, 0.01 to 0.3.
    pub ridge: f64,
    /// Stop when the gradient promises less than this share of the loss. Default 1e-10.
    pub tolerance: f64,
    /// Evaluations at most. Default 100.
    pub limit: usize,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self { dimension: None, ridge: 0.0, tolerance: 1e-10, limit: 100 }
    }
}

/// What was fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Representation {
    /// `B`, `d × K`, orthonormal columns.
    pub basis: Matrix,
    /// `W`, `K × M`.
    pub weights: Matrix,
    /// `Σ_m ‖X_m B w_m − y_m‖²`, and the ridge if there is one.
    pub loss: f64,
    /// Evaluations of the loss.
    pub evaluations: usize,
    /// Variance of the noise: the loss over samples less the `K(d + M − K)` parameters, while there are more samples.
    pub noise: f64,
    /// How the fit ended; an interrupted one is the best so far.
    pub ending: Ending,
}

impl Representation {
    /// That of labels `2^e` times as large.
    pub(crate) fn multiply_labels(mut self, e: i32) -> Self {
        scale(self.weights.as_mut_slice(), e);
        self.loss = square_as_given(self.loss, e);
        self.noise = square_as_given(self.noise, e);
        self
    }
}

/// A sum of squares in units of the squares of labels that were divided by `2^e`, as given: what is not zero stays above it,
/// and what is finite stays so.
pub(crate) fn square_as_given(value: f64, e: i32) -> f64 {
    const SMALLEST: f64 = f64::from_bits(1);
    if value > 0.0 && value.is_finite() { ldexp(value, 2 * e).clamp(SMALLEST, f64::MAX) } else { value }
}

/// Largest difference of the exponents of the labels of two tasks: beyond, the weights of one vanish beside the other's.
const MOST_APART: i32 = 400;

/// The power of two in whose units the labels of all tasks are near one, and the tasks in these units.
///
/// # Errors
/// [`MtrlError::OutOfRange`] for labels that are too far apart in size.
pub(crate) fn in_common_units(tasks: &[TaskData]) -> Result<(i32, Cow<'_, [TaskData]>), MtrlError> {
    let units = tasks.iter().filter_map(TaskData::units).max().unwrap_or(0);
    let apart = units.saturating_sub(tasks.iter().filter_map(TaskData::units).min().unwrap_or(units));
    if apart > MOST_APART {
        let allowed = "up to 2^400: scale the labels of each task";
        let (argument, value) = ("size of the labels of a task beside those of another", ldexp(1.0, apart));
        return Err(MtrlError::OutOfRange { argument, value, allowed });
    }
    if tasks.iter().all(|t| t.units().is_none_or(|e| e == units)) {
        return Ok((units, Cow::Borrowed(tasks)));
    }
    let mut all = tasks.to_vec();
    all.iter_mut().for_each(|t| t.set_units(units));
    Ok((units, Cow::Owned(all)))
}

/// Fits `B` and `W` with `dimension` columns (row MTL-1).
///
/// # Errors
/// [`MtrlError::Dimension`], [`MtrlError::Data`].
pub fn fit_representation<R: Rng + ?Sized>(
    tasks: &[TaskData],
    dimension: usize,
    rng: &mut R,
) -> Result<Representation, MtrlError> {
    let options = FitOptions { dimension: Some(dimension), ..FitOptions::default() };
    fit_representation_from(tasks, &options, None, rng, &mut ())
}

/// [`fit_representation`] with options, a basis to start from (that of an earlier epoch), progress and cancellation; a
/// stopped fit is the best so far. The same bits for every thread count. Cost per evaluation `2·K·Σ_m d·min(2n_m, d)` flops.
///
/// # Errors
/// [`MtrlError::Dimension`], [`MtrlError::OutOfRange`], [`MtrlError::Data`].
pub fn fit_representation_from<R: Rng + ?Sized>(
    tasks: &[TaskData],
    options: &FitOptions,
    start: Option<&Matrix>,
    rng: &mut R,
    observer: &mut dyn Observer,
) -> Result<Representation, MtrlError> {
    let (units, tasks) = in_common_units(tasks)?;
    Ok(fit_in_units(&tasks, options, start, rng, observer)?.multiply_labels(units))
}

/// [`fit_representation_from`] of tasks in common units, in these units.
pub(crate) fn fit_in_units<R: Rng + ?Sized>(
    tasks: &[TaskData],
    options: &FitOptions,
    start: Option<&Matrix>,
    rng: &mut R,
    observer: &mut dyn Observer,
) -> Result<Representation, MtrlError> {
    let d = tasks.first().map_or(0, TaskData::features);
    if let Some(t) = tasks.iter().find(|t| t.features() != d) {
        return Err(LinalgError::Length { argument: "tasks", given: t.features(), expected: d }.into());
    }
    for (argument, value) in [("ridge", options.ridge), ("tolerance", options.tolerance)] {
        if !(value.is_finite() && value >= 0.0) {
            return Err(MtrlError::OutOfRange { argument, value, allowed: "finite and not negative" });
        }
    }
    let limit = d.min(tasks.len());
    if options.dimension.is_some_and(|k| k == 0 || k > limit) || limit == 0 {
        return Err(MtrlError::Dimension { dimension: options.dimension.unwrap_or(1), limit });
    }
    let basis = match start.filter(|b| b.rows() == d && options.dimension.is_none_or(|k| k == b.columns())) {
        Some(b) => b.clone(),
        None => spectral_start(tasks, options.dimension, rng)?,
    };
    let mut now = Evaluation::at(tasks, basis.transpose(), options.ridge)?;
    let mut evaluations = 1;
    let mut pairs: Vec<(Vec<f64>, Vec<f64>)> = Vec::new();
    let mut ending = Ending::Limit;
    while evaluations < options.limit {
        let direction = now.direction(&pairs)?;
        let slope = chunk::dot(&direction, &now.gradient);
        if slope.is_nan() || -slope <= options.tolerance * now.loss {
            if pairs.is_empty() {
                ending = Ending::Finished;
                break;
            }
            pairs.clear(); // not a descent direction, or too small: ask the plain one before giving up
            continue;
        }
        let mut step = 1.0;
        let next = loop {
            let mut moved = now.basis.clone();
            chunk::axpy(step, &direction, moved.as_mut_slice());
            let tried = Evaluation::at(tasks, moved, options.ridge)?;
            evaluations += 1;
            if tried.loss <= now.loss + 1e-4 * step * slope {
                break Some(tried);
            }
            if step < 1e-4 || evaluations >= options.limit {
                break None;
            }
            // The minimum of the parabola through both losses and the slope.
            step *= (-slope * step / (2.0 * (tried.loss - now.loss - step * slope))).clamp(0.1, 0.5);
        };
        // No step lowers the loss by more than its rounding: the fit is at rest, unless evaluations ran out.
        let Some(next) = next else {
            ending = if evaluations >= options.limit { Ending::Limit } else { Ending::Finished };
            break;
        };
        let minus = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<f64>>();
        let s = minus(next.basis.as_slice(), now.basis.as_slice());
        let y = minus(&next.gradient, &now.gradient);
        if chunk::dot(&s, &y) > 1e-12 * chunk::norm(&s) * chunk::norm(&y) {
            pairs.push((s, y));
            if pairs.len() > MEMORY {
                pairs.remove(0);
            }
        }
        now = next;
        let progress =
            Progress { stage: "representation", step: evaluations, total: Some(options.limit), value: Some(now.loss) };
        if observer.step(progress).is_break() {
            ending = Ending::Interrupted;
            break;
        }
    }
    // The same subspace with orthonormal columns.
    let svd = dense_svd(&now.basis.transpose())?;
    let last = Evaluation::at(tasks, svd.u.transpose(), options.ridge)?;
    let (k, samples) = (svd.u.columns(), tasks.iter().map(TaskData::samples).sum::<usize>());
    let parameters = k * (d + tasks.len() - k);
    let ridge: f64 = (0..tasks.len())
        .map(|m| {
            let squares: f64 = (0..k).map(|i| last.weights[(i, m)].powi(2)).sum(); // of orthonormal columns
            options.ridge * tasks[m].samples() as f64 * squares
        })
        .sum();
    let noise = (last.loss - ridge).max(0.0) / samples.saturating_sub(parameters).max(1) as f64;
    Ok(Representation {
        basis: svd.u,
        weights: last.weights,
        loss: last.loss,
        evaluations: evaluations + 1,
        noise,
        ending,
    })
}

/// Left singular vectors of the moments `X_mᵀy_m/√n_m`, which span `B` in expectation.
fn spectral_start<R: Rng + ?Sized>(
    tasks: &[TaskData],
    dimension: Option<usize>,
    rng: &mut R,
) -> Result<Matrix, MtrlError> {
    let d = tasks[0].features();
    let root = |m: usize| (tasks[m].samples().max(1) as f64).sqrt();
    let moments = Matrix::from_fn(d, tasks.len(), |i, m| tasks[m].own_right()[i] / root(m));
    let limit = d.min(tasks.len());
    let wanted = dimension.unwrap_or((limit / 2).clamp(1, 50) + 1).min(limit);
    let svd = truncated_svd(&moments, wanted, &SvdOptions::default(), rng)?;
    let k = dimension.unwrap_or_else(|| {
        // Relative gap; values that are rounding beside the first do not count.
        let value = |i: usize| svd.s.get(i).copied().unwrap_or(0.0).max(1e-12 * svd.s[0]);
        let gap = |i: usize| value(i - 1) / value(i);
        (1..svd.s.len()).max_by(|&a, &b| gap(a).total_cmp(&gap(b)).then(b.cmp(&a))).unwrap_or(1)
    });
    if svd.u.columns() < k {
        return Err(MtrlError::Dimension { dimension: k, limit: svd.u.columns() });
    }
    Ok(Matrix::from_fn(d, k, |i, j| svd.u[(i, j)]))
}

/// Loss, weights and gradient at a basis, whose vectors are rows here.
struct Evaluation {
    basis: Matrix,
    weights: Matrix,
    loss: f64,
    gradient: Vec<f64>,
    /// `Σ_m n_m w_m w_mᵀ`.
    scale: Matrix,
}

impl Evaluation {
    fn at(tasks: &[TaskData], basis: Matrix, ridge: f64) -> Result<Self, MtrlError> {
        let (k, d) = (basis.rows(), basis.columns());
        type Part = (Vec<Vec<f64>>, f64, Vec<f64>, Matrix);
        let part = |tasks: &[TaskData]| -> Result<Part, LinalgError> {
            let (mut all, mut loss) = (Vec::with_capacity(tasks.len()), 0.0);
            let (mut gradient, mut scale) = (vec![0.0; k * d], Matrix::zeros(k, k));
            let (mut product, mut off) = (Matrix::zeros(k, d), vec![0.0; d]);
            for task in tasks {
                task.apply(&basis, &mut product);
                let penalty = ridge * task.samples() as f64;
                chunk::axpy(penalty, basis.as_slice(), product.as_mut_slice());
                let (w, lost) = task.fit(&basis, &product, 0.0)?;
                loss += lost;
                off.iter_mut().zip(task.own_right()).for_each(|(o, r)| *o = -2.0 * r);
                for (i, w) in w.iter().enumerate() {
                    chunk::axpy(2.0 * w, product.row(i), &mut off);
                }
                for (i, v) in w.iter().enumerate() {
                    chunk::axpy(*v, &off, &mut gradient[i * d..(i + 1) * d]);
                    chunk::axpy(task.samples() as f64 * v, &w, scale.row_mut(i));
                }
                all.push(w);
            }
            Ok((all, loss, gradient, scale))
        };
        let parts: Vec<Part> = tasks.par_chunks(BLOCK).map(part).collect::<Result<_, _>>()?;
        let mut weights = Matrix::zeros(k, tasks.len());
        let (mut loss, mut gradient, mut scale) = (0.0, vec![0.0; k * d], Matrix::zeros(k, k));
        for (b, (w, l, g, s)) in parts.iter().enumerate() {
            loss += l;
            chunk::axpy(1.0, g, &mut gradient);
            chunk::axpy(1.0, s.as_slice(), scale.as_mut_slice());
            for (m, w) in w.iter().enumerate() {
                w.iter().enumerate().for_each(|(i, v)| weights[(i, b * BLOCK + m)] = *v);
            }
        }
        Ok(Self { basis, weights, loss, gradient, scale })
    }

    /// `−H g` by the two loops over the pairs.
    fn direction(&self, pairs: &[(Vec<f64>, Vec<f64>)]) -> Result<Vec<f64>, MtrlError> {
        let (k, d) = (self.basis.rows(), self.basis.columns());
        let mut q = self.gradient.clone();
        let mut alphas = Vec::with_capacity(pairs.len());
        for (s, y) in pairs.iter().rev() {
            let alpha = chunk::dot(s, &q) / chunk::dot(s, y);
            chunk::axpy(-alpha, y, &mut q);
            alphas.push(alpha);
        }
        let trace: f64 = (0..k).map(|i| self.scale[(i, i)]).sum();
        let factor = Cholesky::new(&self.scale, 1e-6 * trace + f64::MIN_POSITIVE)?;
        let mut column = vec![0.0; k];
        for i in 0..d {
            column.iter_mut().enumerate().for_each(|(a, c)| *c = 0.5 * q[a * d + i]);
            factor.solve_in_place(&mut column);
            column.iter().enumerate().for_each(|(a, c)| q[a * d + i] = *c);
        }
        for ((s, y), alpha) in pairs.iter().zip(alphas.iter().rev()) {
            let beta = chunk::dot(y, &q) / chunk::dot(s, y);
            chunk::axpy(alpha - beta, s, &mut q);
        }
        q.iter_mut().for_each(|v| *v = -*v);
        Ok(q)
    }
}
