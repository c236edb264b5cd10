//! Group and multi-task Lasso: `min_B (1/2n)‖Y − X B − 1bᵀ‖² + λ Σ_g ω_g ‖B_g‖_F` over blocks of rows of `B` (`p × T`).
//!
//! One column per group is the multi-task Lasso (rows of `B` vanish together), one target the group Lasso. Blocks are moved
//! in turn by their proximal step with the largest eigenvalue of their own Gram matrix, on a working set that grows by the
//! blocks nearest to their constraint, with Anderson extrapolation; the answer carries its gap (row LAS-6).
use std::time::Instant;

use samplewise_linalg::observe::{Observer, Progress, Watch};
use samplewise_linalg::scale::{extreme_exponent_of, ldexp};
use samplewise_linalg::{Ending, LinalgError, Matrix, NoBound, Rows, Seconds, sums};

use crate::answer::{Outcome, Report, Status};
use crate::calls::check_grid;
use crate::options::Grid;
use crate::problem::check::check_lambda;
use crate::{Design, Error};

mod blocks;

use blocks::{Blocks, State};

/// Sweeps between two looks at the gap of the working set.
const CHECK: usize = 10;

/// Settings of [`solve`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct GroupOptions {
    /// Stop when `gap ≤ tolerance · null_objective`. Default 1e-8; finite and above 0.
    pub tolerance: f64,
    /// Fit an intercept per target. Default true.
    pub intercept: bool,
    /// Weights of the rows, finite and `≥ 0`, scaled to mean 1. Default all equal.
    pub sample_weights: Option<Vec<f64>>,
    /// Factors `ω_g > 0`. Default the root of the group's size.
    pub penalty_factors: Option<Vec<f64>>,
    /// Sweeps per λ at most. Default 100,000; finite and at least 1. At the limit the status says so.
    pub max_iterations: usize,
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self { tolerance: 1e-8, intercept: true, sample_weights: None, penalty_factors: None, max_iterations: 100_000 }
    }
}

/// One fit with its certificate.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct GroupSolution {
    /// The ridge of the ℓ1 norm, `λ`.
    pub lambda: f64,
    /// Intercept of each target.
    pub intercepts: Vec<f64>,
    /// Rows of `B` of the groups that are not zero: column, and a coefficient per target; columns ascending.
    pub coefficients: Vec<(usize, Vec<f64>)>,
    /// Groups that are not zero, ascending.
    pub groups: Vec<usize>,
    /// Number of columns of the table.
    pub columns: usize,
    /// Objective of intercepts and coefficients as they are given here.
    pub objective: f64,
    /// Dual value: the minimum of the objective is not below it.
    pub lower_bound: Option<f64>,
    /// Why there is no lower bound.
    pub no_bound: Option<NoBound>,
    /// What may be claimed of it.
    pub status: Status,
    /// The evidence. The dual point is `dual_scale · s_i (y_i − Bᵀx_i − b) / n`.
    pub report: Report,
}

impl GroupSolution {
    /// Whether the gap is within the tolerance.
    pub fn converged(&self) -> bool {
        self.status == Status::Converged
    }

    /// `objective − lower_bound ≥ 0`: how far the objective can be from its minimum; infinite without a bound.
    pub fn gap(&self) -> f64 {
        self.lower_bound.map_or(f64::INFINITY, |bound| (self.objective - bound).max(0.0))
    }

    /// Predictions of every target for rows, which may be new ones, in the columns of the table: a row each.
    ///
    /// # Errors
    /// [`Error::Data`] for rows of another number of columns.
    pub fn predict<'a>(&self, rows: impl Into<Rows<'a>>) -> Result<Matrix, Error> {
        let rows = rows.into();
        if rows.columns() != self.columns {
            let (given, expected) = (rows.columns(), self.columns);
            return Err(LinalgError::Length { argument: "columns of the rows", given, expected }.into());
        }
        let mut dense = Matrix::zeros(self.columns, self.intercepts.len());
        for (j, values) in &self.coefficients {
            dense.row_mut(*j).copy_from_slice(values);
        }
        let mut out = rows.multiply(&dense)?;
        for i in 0..out.rows() {
            sums::axpy(1.0, &self.intercepts, out.row_mut(i));
        }
        Ok(out)
    }

    /// The solution for a target that is `2^e` times as large.
    fn multiply_target(&mut self, e: i32) {
        self.lambda = ldexp(self.lambda, e);
        self.intercepts.iter_mut().for_each(|v| *v = ldexp(*v, e));
        self.coefficients.iter_mut().flat_map(|c| &mut c.1).for_each(|v| *v = ldexp(*v, e));
        let values = [Some(&mut self.objective), self.lower_bound.as_mut(), Some(&mut self.report.null_objective)];
        for value in values.into_iter().flatten() {
            *value = ldexp(*value, 2 * e);
        }
    }
}

/// Every column a group of its own: the multi-task Lasso.
pub fn single_columns(design: &Design) -> Vec<Vec<usize>> {
    (0..design.columns()).map(|j| vec![j]).collect()
}

/// Solves for the values of λ of a grid in their order, each from the one before; targets are the columns of `y` (`n × T`),
/// groups list columns, each column in at most one (those in none stay at zero). Cost per sweep `O(nT)` per column of the
/// working set.
///
/// Row LAS-6 of `paper-refs.md`.
///
/// # Errors
/// As [`crate::solve()`]; [`Error::Group`] for groups that are empty, overlap or name columns that are not there.
pub fn path(
    design: &Design,
    y: &Matrix,
    groups: &[Vec<usize>],
    grid: &Grid,
    options: &GroupOptions,
) -> Result<Vec<GroupSolution>, Error> {
    path_observed(design, y, groups, grid, options, &mut ())
}

/// [`path`] with progress and cancellation; when stopped, the fits done are returned, and the ending of the last one says so.
///
/// # Errors
/// As [`path`].
pub fn path_observed(
    design: &Design,
    y: &Matrix,
    groups: &[Vec<usize>],
    grid: &Grid,
    options: &GroupOptions,
    observer: &mut dyn Observer,
) -> Result<Vec<GroupSolution>, Error> {
    let start = Instant::now();
    check_grid(grid)?;
    let lambdas: Vec<f64> = match grid {
        Grid::Values(values) => values.clone(),
        Grid::Geometric { count, min_ratio } => {
            let top = match largest_lambda(design, y, groups, options)? {
                // All groups are zero at every λ.
                0.0 => 1.0,
                top => top,
            };
            let last = (count - 1).max(1) as f64;
            (0..*count).map(|k| top * min_ratio.powf(k as f64 / last)).collect()
        }
    };
    lambdas.iter().try_for_each(|l| check_lambda(*l))?;
    let mut all = run(design, y, groups, &lambdas, options, observer)?;
    all.iter_mut().for_each(|fit| fit.report.seconds = Seconds::since(start));
    Ok(all)
}

fn run(
    design: &Design,
    y: &Matrix,
    groups: &[Vec<usize>],
    lambdas: &[f64],
    options: &GroupOptions,
    observer: &mut dyn Observer,
) -> Result<Vec<GroupSolution>, Error> {
    let e = extreme_exponent_of(y.as_slice());
    if e != 0 && y.as_slice().iter().all(|v| v.is_finite()) {
        // In units near one, so that no square overflows or vanishes, and back.
        let scaled = Matrix::from_fn(y.rows(), y.columns(), |i, t| ldexp(y[(i, t)], -e));
        let lambdas: Vec<f64> = lambdas.iter().map(|l| ldexp(*l, -e).clamp(f64::MIN_POSITIVE, f64::MAX)).collect();
        let mut all = run(design, &scaled, groups, &lambdas, options, observer)?;
        all.iter_mut().for_each(|s| s.multiply_target(e));
        return Ok(all);
    }
    let blocks = Blocks::new(design, y, groups, options)?;
    let mut state = State::new(&blocks);
    let mut out = Vec::with_capacity(lambdas.len());
    let watch = &mut Watch::new(observer);
    for (k, &lambda) in lambdas.iter().enumerate() {
        let fit = blocks.minimise(lambda, options, &mut state, watch);
        let progress = Progress { stage: "path", step: k + 1, total: Some(lambdas.len()), value: Some(fit.gap()) };
        let stopped = fit.outcome == Outcome::Interrupted || (watch.stops(progress) && k + 1 < lambdas.len());
        let mut solution = blocks.as_given(design, y, options, fit, &state)?;
        if stopped {
            // The fit itself may be done; what was asked for is not.
            solution.report.ending = Ending::Interrupted;
        }
        out.push(solution);
        if stopped {
            break;
        }
    }
    Ok(out)
}

/// [`path`] for one λ, reached by a short internal path.
///
/// # Errors
/// As [`path`].
pub fn solve(
    design: &Design,
    y: &Matrix,
    groups: &[Vec<usize>],
    lambda: f64,
    options: &GroupOptions,
) -> Result<GroupSolution, Error> {
    solve_observed(design, y, groups, lambda, options, &mut ())
}

/// [`solve`] with progress and cancellation.
///
/// # Errors
/// As [`solve`]; [`Error::Interrupted`] where the observer ends the call on the way to λ.
pub fn solve_observed(
    design: &Design,
    y: &Matrix,
    groups: &[Vec<usize>],
    lambda: f64,
    options: &GroupOptions,
    observer: &mut dyn Observer,
) -> Result<GroupSolution, Error> {
    let top = largest_lambda(design, y, groups, options)?;
    check_lambda(lambda)?;
    let mut lambdas: Vec<f64> = (1..60).map(|k| top * 0.5_f64.powi(k)).take_while(|l| *l > 1.5 * lambda).collect();
    lambdas.push(lambda);
    let count = lambdas.len();
    let mut all = path_observed(design, y, groups, &Grid::Values(lambdas), options, observer)?;
    if all.len() < count { Err(Error::Interrupted) } else { all.pop().ok_or(Error::Interrupted) }
}

/// The smallest λ at which all groups are zero.
///
/// # Errors
/// As [`path`].
pub fn largest_lambda(
    design: &Design,
    y: &Matrix,
    groups: &[Vec<usize>],
    options: &GroupOptions,
) -> Result<f64, Error> {
    let e = extreme_exponent_of(y.as_slice());
    if e != 0 && y.as_slice().iter().all(|v| v.is_finite()) {
        let scaled = Matrix::from_fn(y.rows(), y.columns(), |i, t| ldexp(y[(i, t)], -e));
        return crate::calls::finite(ldexp(largest_lambda(design, &scaled, groups, options)?, e));
    }
    let blocks = Blocks::new(design, y, groups, options)?;
    let norms = blocks.correlation_norms(&blocks.targets);
    crate::calls::finite(norms.iter().zip(&blocks.factors).map(|(c, f)| c / f).fold(0.0, f64::max))
}
