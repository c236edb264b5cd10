//! Empirical risk minimiser `min_{B,W} Σ_m ‖X_m B w_m − y_m‖²`: spectral start, then the descent of [`crate::descent`].
use std::borrow::Cow;
use std::time::Instant;

use samplewise_linalg::argument::check_ranges;
use samplewise_linalg::factor::dense_svd;
use samplewise_linalg::observe::Observer;
use samplewise_linalg::random::{StreamRng, Streams};
use samplewise_linalg::scale::{ldexp, scale};
use samplewise_linalg::svd::{SvdOptions, truncated_svd_with};
use samplewise_linalg::{Ending, LinalgError, Matrix, Seconds};

use crate::Error;
use crate::descent::{Descent, Evaluation};
use crate::options::{FIT_RANGES, FitOptions};
use crate::task::TaskData;

/// What was fitted.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Representation {
    /// `B`, `d × K`, orthonormal columns.
    pub basis: Matrix,
    /// `W`, `K × M`.
    pub weights: Matrix,
    /// `Σ_m ‖X_m B w_m − y_m‖²`, and the ridge if there is one.
    pub loss: f64,
    /// Variance of the noise: the loss over samples less the `K(d + M − K)` parameters, while there are more samples.
    pub noise: f64,
    /// How the fit went.
    pub report: FitReport,
}

/// How a fit went.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FitReport {
    /// How it ended; an interrupted one is the best so far.
    pub ending: Ending,
    /// Number of evaluations of the loss.
    pub iterations: usize,
    /// Wall time of the fit.
    pub seconds: Seconds,
}

impl Representation {
    /// Whether the fit came to rest.
    pub fn converged(&self) -> bool {
        self.report.ending == Ending::Finished
    }

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
/// [`Error::Argument`] for labels that are too far apart in size.
pub(crate) fn in_common_units(tasks: &[TaskData]) -> Result<(i32, Cow<'_, [TaskData]>), Error> {
    let units = tasks.iter().filter_map(TaskData::units).max().unwrap_or(0);
    let apart = units.saturating_sub(tasks.iter().filter_map(TaskData::units).min().unwrap_or(units));
    if apart > MOST_APART {
        let allowed = "up to 2^400: scale the labels of each task";
        let (argument, value) = ("size of the labels of a task beside those of another", ldexp(1.0, apart));
        return Err(Error::argument(argument, value, allowed));
    }
    if tasks.iter().all(|t| t.units().is_none_or(|e| e == units)) {
        return Ok((units, Cow::Borrowed(tasks)));
    }
    let mut all = tasks.to_vec();
    all.iter_mut().for_each(|t| t.set_units(units));
    Ok((units, Cow::Owned(all)))
}

/// Fits `B` and `W` (row MTL-1), with `dimension` columns; `None` takes the largest relative gap between neighbouring singular
/// values of the moments. The same bits for every thread count. Cost per evaluation `2·K·Σ_m d·min(2n_m, d)` flops.
///
/// # Errors
/// [`Error::Argument`], [`Error::Data`].
pub fn fit_representation(
    tasks: &[TaskData],
    dimension: Option<usize>,
    options: &FitOptions,
) -> Result<Representation, Error> {
    fit_representation_observed(tasks, dimension, options, &mut ())
}

/// [`fit_representation`] with progress and cancellation; a stopped fit is the best so far.
///
/// # Errors
/// As [`fit_representation`].
pub fn fit_representation_observed(
    tasks: &[TaskData],
    dimension: Option<usize>,
    options: &FitOptions,
    observer: &mut dyn Observer,
) -> Result<Representation, Error> {
    let (units, tasks) = in_common_units(tasks)?;
    let mut rng = Streams::new(options.seed).stream(0);
    Ok(fit_in_units(&tasks, dimension, options, &mut rng, observer)?.multiply_labels(units))
}

/// [`fit_representation_observed`] of tasks in common units, in these units.
pub(crate) fn fit_in_units(
    tasks: &[TaskData],
    dimension: Option<usize>,
    options: &FitOptions,
    rng: &mut StreamRng,
    observer: &mut dyn Observer,
) -> Result<Representation, Error> {
    let started = Instant::now();
    let d = tasks.first().map_or(0, TaskData::features);
    if let Some(t) = tasks.iter().find(|t| t.features() != d) {
        return Err(LinalgError::Length { argument: "tasks", given: t.features(), expected: d }.into());
    }
    check_ranges(options, &FIT_RANGES)?;
    let limit = d.min(tasks.len());
    if dimension.is_some_and(|k| k == 0 || k > limit) || limit == 0 {
        return Err(Error::dimension(dimension.unwrap_or(1), limit));
    }
    let basis = match &options.start {
        Some(b) => {
            let (rows, columns) = (b.rows(), b.columns());
            if rows != d || columns == 0 || columns > limit || dimension.is_some_and(|k| k != columns) {
                let wanted = dimension.map_or_else(|| format!("1 to {limit}"), |k| k.to_string());
                let expected = format!("{d} rows and {wanted} columns");
                return Err(LinalgError::Shape { argument: "start", rows, columns, expected }.into());
            }
            b.check_finite("start")?;
            b.clone()
        }
        None => spectral_start(tasks, dimension, rng)?,
    };
    let mut descent = Descent::new(tasks, options, observer);
    let (now, ending) = descent.least_loss(basis.transpose())?;
    let evaluations = descent.evaluations();
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
        noise,
        report: FitReport { ending, iterations: evaluations + 1, seconds: Seconds::since(started) },
    })
}

/// Left singular vectors of the moments `X_mᵀy_m/√n_m`, which span `B` in expectation.
fn spectral_start(tasks: &[TaskData], dimension: Option<usize>, rng: &mut StreamRng) -> Result<Matrix, Error> {
    let d = tasks[0].features();
    let root = |m: usize| (tasks[m].samples().max(1) as f64).sqrt();
    let moments = Matrix::from_fn(d, tasks.len(), |i, m| tasks[m].own_right()[i] / root(m));
    let limit = d.min(tasks.len());
    let wanted = dimension.unwrap_or((limit / 2).clamp(1, 50) + 1).min(limit);
    let svd = truncated_svd_with(&moments, wanted, &SvdOptions::default(), rng)?;
    let k = dimension.unwrap_or_else(|| {
        // Relative gap; values that are rounding beside the first do not count.
        let value = |i: usize| svd.s.get(i).copied().unwrap_or(0.0).max(1e-12 * svd.s[0]);
        let gap = |i: usize| value(i - 1) / value(i);
        (1..svd.s.len()).max_by(|&a, &b| gap(a).total_cmp(&gap(b)).then(b.cmp(&a))).unwrap_or(1)
    });
    if svd.u.columns() < k {
        return Err(Error::dimension(k, svd.u.columns()));
    }
    Ok(Matrix::from_fn(d, k, |i, j| svd.u[(i, j)]))
}
