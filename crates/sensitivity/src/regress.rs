//! `ℓp` and quantile regression, on all rows or on a coreset, judged on all rows.
use samplewise_linalg::leverage::whiten;
use samplewise_linalg::lstsq::{Method as LeastSquares, least_squares};
use samplewise_linalg::observe::Observer;
use samplewise_linalg::{LinalgError, Matrix, chunk};

use crate::certificate::Candidate;
use crate::scores::check_exponent;
use crate::{Coreset, Method, SensitivityError, certificate, interior_point, newton, scores};

/// What is minimised over `x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// `Σ |b_i − a_iᵀx|^p`, `p ≥ 1`.
    Lp(f64),
    /// `Σ ρ_τ(b_i − a_iᵀx)`, `ρ_τ(r) = r(τ − [r < 0])`, `0 < τ < 1`. The median is `τ = 0.5`, half the `ℓ1` loss.
    Quantile(f64),
}

impl Loss {
    /// The loss of a residual vector.
    pub fn value(self, residual: &[f64]) -> f64 {
        let terms: Vec<f64> = match self {
            Loss::Lp(1.0) => residual.iter().map(|r| r.abs()).collect(),
            Loss::Lp(2.0) => residual.iter().map(|r| r * r).collect(),
            Loss::Lp(p) => residual.iter().map(|r| r.abs().powf(p)).collect(),
            Loss::Quantile(tau) => residual.iter().map(|&r| if r >= 0.0 { tau * r } else { (tau - 1.0) * r }).collect(),
        };
        chunk::sum(&terms)
    }

    fn exponent(self) -> f64 {
        match self {
            Loss::Lp(p) => p,
            Loss::Quantile(_) => 1.0,
        }
    }
}

/// Settings of [`regress_on_coreset`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// How rows are scored; the table is `[A b]`. Default Lewis.
    pub method: Method,
    /// Seed of the sample. Default 0.
    pub seed: u64,
    /// Relative tolerance of the solver. Default 1e-9; finite, positive.
    pub tolerance: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { method: Method::Lewis, seed: 0, tolerance: 1e-9 }
    }
}

/// How the solver ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The solver's own tolerance was met.
    Converged,
    /// Its limit of steps was reached; the gap says how good the answer is.
    Limit,
    /// The observer stopped it.
    Interrupted,
}

/// Coefficients with their certificate on the full data.
#[derive(Clone, Debug, PartialEq)]
pub struct Regression {
    /// `x`, one per column; zero for columns that depend on others beyond the numerical rank.
    pub coefficients: Vec<f64>,
    /// Loss over **all** rows.
    pub objective: f64,
    /// No `x` has a smaller loss over all rows; rounding is accounted for. It speaks of the columns up to numerical rank:
    /// a direction below about `1e-14` of the largest (such as seconds since 1970 beside an intercept) is not seen, so
    /// centre such columns first.
    pub lower_bound: f64,
    /// Rows the solver saw.
    pub rows_used: usize,
    /// Numerical rank of the rows the solver saw; below that of the table, coefficients are not determined by them.
    pub rank: usize,
    /// Solver steps.
    pub iterations: usize,
    /// How the solver ended.
    pub status: Status,
}

/// Minimises the loss over all rows (row SEN-6).
///
/// # Errors
/// [`SensitivityError::Exponent`], [`SensitivityError::OutOfRange`], [`SensitivityError::Data`].
pub fn regress(a: &Matrix, b: &[f64], loss: Loss, tolerance: f64) -> Result<Regression, SensitivityError> {
    regress_observed(a, b, loss, tolerance, &mut ())
}

/// [`regress`] with progress and cancellation.
///
/// # Errors
/// As [`regress`].
pub fn regress_observed(
    a: &Matrix,
    b: &[f64],
    loss: Loss,
    tolerance: f64,
    observer: &mut dyn Observer,
) -> Result<Regression, SensitivityError> {
    check(a, b, loss, tolerance)?;
    let weights = vec![1.0; a.rows()];
    solve_and_judge(a, b, a, b, &weights, loss, tolerance, observer)
}

/// Samples about `size` rows by their importance for `[A b]`, minimises the weighted loss over them, and judges the
/// answer on all rows (row SEN-8).
///
/// # Errors
/// As [`regress`]; [`SensitivityError::Size`] unless `columns + 1 ≤ size ≤ rows`.
pub fn regress_on_coreset(
    a: &Matrix,
    b: &[f64],
    loss: Loss,
    size: usize,
    options: &Options,
) -> Result<Regression, SensitivityError> {
    regress_on_coreset_observed(a, b, loss, size, options, &mut ())
}

/// [`regress_on_coreset`] with progress and cancellation of the solver.
///
/// # Errors
/// As [`regress_on_coreset`].
pub fn regress_on_coreset_observed(
    a: &Matrix,
    b: &[f64],
    loss: Loss,
    size: usize,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Regression, SensitivityError> {
    check(a, b, loss, options.tolerance)?;
    let (n, d) = (a.rows(), a.columns());
    if size < d + 1 || size > n {
        return Err(SensitivityError::Size { size, least: d + 1, rows: n });
    }
    let joined = Matrix::from_fn(n, d + 1, |i, j| if j < d { a[(i, j)] } else { b[i] });
    let importance = scores(&joined, loss.exponent(), options.method)?;
    let sample = Coreset::bernoulli(&importance.values, size, options.seed)?;
    if sample.rows.is_empty() {
        return Err(SensitivityError::Size { size, least: d + 1, rows: n });
    }
    let rows = a.select_rows(&sample.rows);
    let target: Vec<f64> = sample.rows.iter().map(|&i| b[i]).collect();
    solve_and_judge(a, b, &rows, &target, &sample.weights, loss, options.tolerance, observer)
}

/// Solves on `(rows, target, weights)` and judges on `(a, b)`.
fn solve_and_judge(
    a: &Matrix,
    b: &[f64],
    rows: &Matrix,
    target: &[f64],
    weights: &[f64],
    loss: Loss,
    tolerance: f64,
    observer: &mut dyn Observer,
) -> Result<Regression, SensitivityError> {
    // In whitened coordinates every Gram matrix is well conditioned and the rank is full.
    let white = whiten(rows, None)?;
    let reduced = rows.multiply(&white.transform)?;
    let solved = solve(&reduced, target, weights, loss, tolerance, observer)?;
    let mut coefficients = vec![0.0; a.columns()];
    white.transform.multiply_vector_into(&solved.x, &mut coefficients);
    let mut residual = vec![0.0; a.rows()];
    a.multiply_vector_into(&coefficients, &mut residual);
    residual.iter_mut().zip(b).for_each(|(r, b)| *r = b - *r);
    let objective = loss.value(&residual);
    // Each entry of the residual is a sum of d + 1 rounded terms.
    let largest: Vec<f64> = coefficients.iter().map(|c| c.abs()).collect();
    let factor = f64::EPSILON * (a.columns() as f64 + 2.0);
    let rounding: Vec<f64> = (0..a.rows())
        .map(|i| factor * (b[i].abs() + a.row(i).iter().zip(&largest).map(|(v, c)| v.abs() * c).sum::<f64>()))
        .collect();
    let whole = std::ptr::eq(a, rows);
    let columns = if whole { reduced } else { a.multiply(&whiten(a, None)?.transform)? };
    let candidate = Candidate { columns: &columns, residual: &residual, rounding: &rounding };
    let mut bound = 0.0_f64;
    if let (true, Some(dual)) = (whole, &solved.dual) {
        // Solved on all rows: the solver's own dual point, made exactly feasible, speaks of all rows.
        bound = match loss {
            Loss::Quantile(tau) => certificate::dual_bound(&candidate, dual, tau)?,
            Loss::Lp(_) => 2.0 * certificate::dual_bound(&candidate, dual, 0.5)?,
        };
    }
    if bound < objective * (1.0 - 10.0 * tolerance) {
        bound = bound.max(certificate::lower_bound(&candidate, loss)?);
    }
    Ok(Regression {
        coefficients,
        objective,
        lower_bound: bound.min(objective),
        rows_used: rows.rows(),
        rank: white.rank,
        iterations: solved.iterations,
        status: solved.status,
    })
}

struct Solved {
    x: Vec<f64>,
    /// Dual point of the interior point method, in the units of its `τ`.
    dual: Option<Vec<f64>>,
    iterations: usize,
    status: Status,
}

fn solve(
    a: &Matrix,
    b: &[f64],
    weights: &[f64],
    loss: Loss,
    tolerance: f64,
    observer: &mut dyn Observer,
) -> Result<Solved, LinalgError> {
    let plain = |x, iterations, status| Solved { x, dual: None, iterations, status };
    if a.columns() == 0 {
        return Ok(plain(Vec::new(), 0, Status::Converged)); // a table of zeros
    }
    let status = |converged, interrupted| match (converged, interrupted) {
        (_, true) => Status::Interrupted,
        (true, _) => Status::Converged,
        _ => Status::Limit,
    };
    let interior = |tau: f64, observer: &mut dyn Observer| {
        let s = interior_point::solve(a, b, weights, tau, tolerance, observer)?;
        Ok(Solved { x: s.x, dual: Some(s.dual), iterations: s.iterations, status: status(s.converged, s.interrupted) })
    };
    match loss {
        Loss::Quantile(tau) => interior(tau, observer),
        Loss::Lp(1.0) => interior(0.5, observer),
        Loss::Lp(p) => {
            let mut scaled = a.clone();
            let mut target = b.to_vec();
            for (i, w) in weights.iter().enumerate() {
                let root = w.sqrt();
                scaled.row_mut(i).iter_mut().for_each(|v| *v *= root);
                target[i] *= root;
            }
            let start = least_squares(&scaled, &target, LeastSquares::Auto)?.x;
            if p == 2.0 {
                return Ok(plain(start, 1, Status::Converged));
            }
            let s = newton::solve(a, b, weights, p, tolerance * 1e-3, start, observer)?;
            Ok(plain(s.x, s.iterations, status(s.converged, s.interrupted)))
        }
    }
}

fn check(a: &Matrix, b: &[f64], loss: Loss, tolerance: f64) -> Result<(), SensitivityError> {
    if a.rows() == 0 || a.columns() == 0 {
        return Err(LinalgError::Empty { argument: "a" }.into());
    }
    if b.len() != a.rows() {
        return Err(LinalgError::Length { argument: "b", given: b.len(), expected: a.rows() }.into());
    }
    a.check_finite("a")?;
    if let Some(row) = b.iter().position(|v| !v.is_finite()) {
        return Err(LinalgError::NotFinite { argument: "b", row, column: 0, value: b[row] }.into());
    }
    match loss {
        Loss::Lp(p) => check_exponent(p)?,
        Loss::Quantile(tau) => {
            if !(tau > 0.0 && tau < 1.0) {
                let allowed = "between 0 and 1";
                return Err(SensitivityError::OutOfRange { argument: "quantile", value: tau, allowed });
            }
        }
    }
    if !(tolerance.is_finite() && tolerance > 0.0) {
        let allowed = "finite and positive";
        return Err(SensitivityError::OutOfRange { argument: "tolerance", value: tolerance, allowed });
    }
    Ok(())
}
