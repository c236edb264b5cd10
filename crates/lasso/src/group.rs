//! Group and multi-task Lasso: `min_B (1/2n)‖Y − X B − 1bᵀ‖² + λ Σ_g ω_g ‖B_g‖_F` over blocks of rows of `B` (`p × T`).
//!
//! One column per group is the multi-task Lasso (rows of `B` vanish together), one target the group Lasso. Blocks are moved
//! in turn by their proximal step with the largest eigenvalue of their own Gram matrix, on a working set that grows by the
//! blocks nearest to their constraint, with Anderson extrapolation; the answer carries its gap (row LAS-6).
use std::borrow::Cow;
use std::time::Instant;

use rayon::prelude::*;
use samplewise_linalg::factor::symmetric_eigen;
use samplewise_linalg::observe::{Observer, Progress, Watch};
use samplewise_linalg::scale::{extreme_exponent_of, ldexp};
use samplewise_linalg::{Ending, LinalgError, Matrix, NoBound, Rows, Seconds, sums};

use crate::answer::{Outcome, Report, Route, Status, bound};
use crate::calls::check_grid;
use crate::options::{Grid, Options};
use crate::problem::Problem;
use crate::problem::check::check_lambda;
use crate::verdict::{SHARE, check_coefficient, exact_residual};
use crate::working_set::anderson::{self, MEMORY};
use crate::{Design, Error};

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

struct Blocks<'a> {
    problem: Problem<'a>,
    /// Centred, weighted targets, one after the other.
    targets: Vec<Vec<f64>>,
    groups: &'a [Vec<usize>],
    factors: Vec<f64>,
    /// Largest eigenvalue of each group's Gram matrix over `n`.
    curvature: Vec<f64>,
}

/// A fit of the scaled problem, whose coefficients are in the state.
struct GroupFit {
    lambda: f64,
    primal: f64,
    dual: f64,
    /// Scale of the dual point.
    scale: f64,
    null: f64,
    iterations: usize,
    outcome: Outcome,
}

impl GroupFit {
    fn gap(&self) -> f64 {
        crate::certificate::gap(self.primal, self.dual, 1e-12 * self.null)
    }
}

struct State {
    /// Coefficients of a group, column after column, `T` each.
    b: Vec<Vec<f64>>,
    residuals: Vec<Vec<f64>>,
}

impl State {
    fn new(blocks: &Blocks<'_>) -> Self {
        let size = |g: &Vec<usize>| vec![0.0; g.len() * blocks.targets.len()];
        Self { b: blocks.groups.iter().map(size).collect(), residuals: blocks.targets.clone() }
    }
}

impl<'a> Blocks<'a> {
    fn new(design: &'a Design, y: &Matrix, groups: &'a [Vec<usize>], o: &GroupOptions) -> Result<Self, Error> {
        let (n, tasks) = (design.rows(), y.columns());
        if y.rows() != n || tasks == 0 {
            return Err(Error::Length { argument: "y", given: y.rows() * tasks.min(1), expected: n });
        }
        let mut taken = vec![false; design.columns()];
        for (group, columns) in groups.iter().enumerate() {
            let reason = match columns.iter().find(|&&j| j >= taken.len() || taken[j]) {
                Some(&column) if column >= taken.len() => Some(format!("column {column} is not there")),
                Some(column) => Some(format!("column {column} is in an earlier group as well")),
                None if columns.is_empty() => Some("it has no columns".to_owned()),
                None => None,
            };
            if let Some(reason) = reason {
                return Err(Error::Group { group, reason });
            }
            for &j in columns {
                if taken[j] {
                    return Err(Error::Group { group, reason: format!("column {j} is listed twice") });
                }
                taken[j] = true;
            }
        }
        let factors = match &o.penalty_factors {
            None => groups.iter().map(|g| (g.len() as f64).sqrt()).collect(),
            Some(f) if f.len() != groups.len() => {
                let (argument, given, expected) = ("penalty_factors", f.len(), groups.len());
                return Err(Error::Length { argument, given, expected });
            }
            Some(f) => match f.iter().position(|f| !(f.is_finite() && *f > 0.0)) {
                Some(position) => {
                    let (argument, value, allowed) = ("penalty_factors", f[position], "finite and positive");
                    return Err(Error::Entry { argument, position, value, allowed });
                }
                None => f.clone(),
            },
        };
        let plain = Options {
            tolerance: o.tolerance,
            intercept: o.intercept,
            sample_weights: o.sample_weights.clone(),
            max_iterations: o.max_iterations,
            ..Options::default()
        };
        if !design.stored_as_given() {
            let position = (0..design.columns()).find(|&j| design.exponent(j) != 0).unwrap_or(0);
            let (argument, allowed) = ("largest value of a column", "2^-200 to 2^200 where columns are grouped");
            let value = ldexp(1.0, design.exponent(position));
            return Err(Error::Entry { argument, position, value, allowed });
        }
        let mut problem = Problem::new(design, &y.copy_column(0), &plain, &mut Watch::new(&mut ()))?;
        problem.unscale();
        let targets: Vec<Vec<f64>> =
            (0..tasks).map(|t| problem.prepare_target(&y.copy_column(t))).collect::<Result<_, _>>()?;
        let curvature = groups.par_iter().map(|g| curvature(&problem, g)).collect::<Result<_, _>>()?;
        Ok(Self { problem, targets, groups, factors, curvature })
    }

    /// `C_g = Z_gᵀR/n`, column after column.
    fn correlation(&self, g: usize, seen: &[Cow<'_, [f64]>]) -> Vec<f64> {
        self.groups[g].iter().flat_map(|&j| seen.iter().map(move |r| self.problem.correlation(j, r))).collect()
    }

    fn seen<'r>(&self, residuals: &'r [Vec<f64>]) -> Vec<Cow<'r, [f64]>> {
        residuals.iter().map(|r| self.problem.seen(r)).collect()
    }

    /// `‖C_g‖_F` of all groups.
    fn correlation_norms(&self, residuals: &[Vec<f64>]) -> Vec<f64> {
        let seen = self.seen(residuals);
        (0..self.groups.len())
            .into_par_iter()
            .with_min_len(16)
            .map(|g| sums::norm(&self.correlation(g, &seen)))
            .collect()
    }

    fn null_objective(&self) -> f64 {
        0.5 * self.targets.iter().map(|t| sums::dot(t, t)).sum::<f64>() / self.problem.n as f64
    }

    /// Primal, dual and its scale, with the norms of the groups listed (all others are taken to be feasible).
    fn certificate(&self, lambda: f64, state: &State, norms: impl Iterator<Item = (usize, f64)>) -> (f64, f64, f64) {
        let n = self.problem.n as f64;
        let squares: f64 = state.residuals.iter().map(|r| sums::dot(r, r)).sum::<f64>() / n;
        let along: f64 = state.residuals.iter().zip(&self.targets).map(|(r, t)| sums::dot(r, t)).sum::<f64>() / n;
        let penalty: f64 = state.b.iter().zip(&self.factors).map(|(b, f)| f * sums::norm(b)).sum();
        let limit = norms.map(|(g, c)| if c > 0.0 { lambda * self.factors[g] / c } else { 1.0 }).fold(1.0, f64::min);
        let scale = if squares > 0.0 { (along / squares).clamp(0.0, limit) } else { 0.0 };
        (0.5 * squares + lambda * penalty, scale * along - 0.5 * scale * scale * squares, scale)
    }

    fn minimise(&self, lambda: f64, o: &GroupOptions, state: &mut State, watch: &mut Watch<'_>) -> GroupFit {
        let null = self.null_objective();
        let (mut iterations, mut size) = (0, 0);
        let mut stuck = false;
        loop {
            self.rebuild_residuals(state);
            let norms = self.correlation_norms(&state.residuals);
            let (primal, dual, scale) = self.certificate(lambda, state, norms.iter().copied().enumerate());
            let gap = crate::certificate::gap(primal, dual, 1e-12 * null);
            let progress = Progress { stage: "block descent", step: iterations, total: None, value: Some(gap) };
            let outcome = match gap <= o.tolerance * null {
                true => Some(Outcome::Converged),
                false if watch.stops(progress) => Some(Outcome::Interrupted),
                // Nothing moves any more with all groups in the set: rounding.
                false if iterations >= o.max_iterations || stuck => Some(Outcome::Limit),
                false => None,
            };
            if let Some(outcome) = outcome {
                return GroupFit { lambda, primal, dual, scale, null, iterations, outcome };
            }
            let support = state.b.iter().filter(|b| b.iter().any(|v| *v != 0.0)).count();
            size = (2 * support).max(16).max(size + size / 2).min(self.groups.len());
            // Distance of each group from its constraint: the support first, then the closest.
            let slack = |g: usize| {
                let active = state.b[g].iter().any(|v| *v != 0.0);
                if active { f64::NEG_INFINITY } else { lambda * self.factors[g] - norms[g] }
            };
            let mut order: Vec<(f64, usize)> = (0..self.groups.len()).map(|g| (slack(g), g)).collect();
            order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let mut set: Vec<usize> = order[..size].iter().map(|o| o.1).collect();
            set.sort_unstable();
            let target = (0.1 * gap).max(0.3 * o.tolerance * null);
            let (swept, moved) = self.sweeps(lambda, target, o.max_iterations - iterations, &set, state);
            iterations += swept;
            stuck = !moved && size == self.groups.len();
        }
    }

    /// `Y − Z B` from scratch: what updates gathered in rounding is gone.
    fn rebuild_residuals(&self, state: &mut State) {
        let tasks = self.targets.len();
        for (t, (r, target)) in state.residuals.iter_mut().zip(&self.targets).enumerate() {
            r.copy_from_slice(target);
            let groups = self.groups.iter().zip(&state.b);
            self.problem
                .subtract(groups.flat_map(|(g, b)| g.iter().enumerate().map(move |(i, &j)| (j, b[i * tasks + t]))), r);
        }
    }

    /// Sweeps over the groups of `set` until the gap of the problem that has only these is at most `target`; how many, and
    /// whether the last one moved anything.
    fn sweeps(&self, lambda: f64, target: f64, limit: usize, set: &[usize], state: &mut State) -> (usize, bool) {
        let mut history: Vec<Vec<f64>> = vec![flat(set, &state.b)];
        for sweep in 1..=limit {
            let mut moved = false;
            for &g in set {
                moved |= self.step(lambda, g, state);
            }
            if !moved {
                return (sweep, false);
            }
            history.push(flat(set, &state.b));
            if history.len() == MEMORY + 2 {
                self.extrapolate(lambda, set, state, &history);
                history = vec![flat(set, &state.b)];
            }
            if sweep % CHECK == 0 {
                let seen = self.seen(&state.residuals);
                let norms = set.iter().map(|&g| (g, sums::norm(&self.correlation(g, &seen))));
                let (primal, dual, _) = self.certificate(lambda, state, norms);
                if primal - dual <= target {
                    return (sweep, true);
                }
            }
        }
        (limit, true)
    }

    /// One proximal step of a group; whether it moved.
    fn step(&self, lambda: f64, g: usize, state: &mut State) -> bool {
        let curvature = self.curvature[g];
        if curvature <= 0.0 {
            return false;
        }
        let seen = self.seen(&state.residuals);
        let mut new = self.correlation(g, &seen);
        new.iter_mut().zip(&state.b[g]).for_each(|(c, b)| *c = b + *c / curvature);
        let norm = sums::norm(&new);
        let threshold = lambda * self.factors[g] / curvature;
        let shrink = if norm > threshold { 1.0 - threshold / norm } else { 0.0 };
        new.iter_mut().for_each(|v| *v *= shrink);
        if new == state.b[g] {
            return false;
        }
        let tasks = self.targets.len();
        for (t, r) in state.residuals.iter_mut().enumerate() {
            let changes = self.groups[g].iter().enumerate().map(|(i, &j)| {
                let at = i * tasks + t;
                (j, new[at] - state.b[g][at])
            });
            self.problem.subtract(changes, r);
        }
        state.b[g] = new;
        true
    }

    /// The combination of the last iterates whose differences cancel best, kept where it lowers the objective.
    fn extrapolate(&self, lambda: f64, set: &[usize], state: &mut State, history: &[Vec<f64>]) {
        let Some(candidate) = anderson::extrapolate(history) else { return };
        let tasks = self.targets.len();
        let mut then = State { b: state.b.clone(), residuals: state.residuals.clone() };
        let mut at = 0;
        for &g in set {
            let new = candidate[at..at + then.b[g].len()].to_vec();
            at += new.len();
            for (t, r) in then.residuals.iter_mut().enumerate() {
                let changes = self.groups[g].iter().enumerate();
                self.problem.subtract(changes.map(|(i, &j)| (j, new[i * tasks + t] - state.b[g][i * tasks + t])), r);
            }
            then.b[g] = new;
        }
        let objective = |s: &State| self.certificate(lambda, s, std::iter::empty()).0;
        if objective(&then) < objective(state) {
            *state = then;
        }
    }

    /// The fit in terms of the columns as given, judged on the numbers that are returned.
    fn as_given(
        &self,
        design: &Design,
        y: &Matrix,
        o: &GroupOptions,
        mut fit: GroupFit,
        state: &State,
    ) -> Result<GroupSolution, Error> {
        let tasks = self.targets.len();
        let (mut groups, mut coefficients) = (Vec::new(), Vec::new());
        for (g, b) in state.b.iter().enumerate().filter(|b| b.1.iter().any(|v| *v != 0.0)) {
            groups.push(g);
            coefficients.extend(self.groups[g].iter().zip(b.chunks_exact(tasks)).map(|(&j, row)| (j, row.to_vec())));
        }
        coefficients.sort_unstable_by_key(|c| c.0);
        coefficients.iter().try_for_each(|(j, row)| row.iter().try_for_each(|w| check_coefficient(*j, *w)))?;
        let weight = |i: usize| o.sample_weights.as_ref().map_or(1.0, |w| w[i]);
        let total = sums::sum_by(y.rows(), weight);
        let terms = |t: usize| -> Vec<(usize, f64)> { coefficients.iter().map(|(j, row)| (*j, row[t])).collect() };
        let intercepts = (0..tasks).map(|t| {
            let fitted = design.products(&terms(t), 0.0);
            let sum = sums::sum_by(y.rows(), |i| weight(i) * (y[(i, t)] - fitted[i]));
            if o.intercept { sum / total } else { 0.0 }
        });
        let mut intercepts: Vec<f64> = intercepts.collect();
        // The objective is that of the numbers returned: where their rounding could matter, it is computed from them.
        let n = self.problem.n as f64;
        let squares: f64 = state.residuals.iter().map(|r| sums::dot(r, r)).sum::<f64>() / n;
        let size = |j: usize| (design.squares[j] / n).sqrt();
        let moved =
            (0..tasks).map(|t| intercepts[t].abs() + terms(t).iter().map(|(j, w)| w.abs() * size(*j)).sum::<f64>());
        let moved = 2.0 * f64::EPSILON * moved.sum::<f64>();
        let allowed = o.tolerance * fit.null;
        if squares.sqrt() * moved + moved * moved > SHARE * allowed || !moved.is_finite() {
            let (q, mut exact) = (self.problem.roots(), 0.0);
            for (t, intercept) in intercepts.iter_mut().enumerate() {
                let (found, residual) = exact_residual(design, &y.copy_column(t), (0, &q, o.intercept), &terms(t));
                *intercept = found;
                exact += sums::dot(&residual, &residual) / n;
            }
            fit.primal += 0.5 * (exact - squares);
            if fit.outcome == Outcome::Converged && fit.gap() > allowed {
                fit.outcome = Outcome::Limit;
            }
        }
        if fit.gap() == f64::INFINITY && fit.outcome != Outcome::Interrupted {
            fit.outcome = Outcome::CertificateFailed;
        }
        let (status, ending) = fit.outcome.parts();
        let (lower_bound, no_bound) = bound(fit.primal, fit.dual, fit.gap(), ending);
        let report = Report {
            ending,
            route: Route::BlockDescent,
            iterations: fit.iterations,
            seconds: Seconds::default(),
            null_objective: fit.null,
            dual_scale: fit.scale,
            working_set: groups.len(),
            columns_checked: design.columns(),
        };
        let (columns, objective, lambda) = (design.columns(), fit.primal, fit.lambda);
        Ok(GroupSolution {
            lambda,
            intercepts,
            coefficients,
            groups,
            columns,
            objective,
            lower_bound,
            no_bound,
            status,
            report,
        })
    }
}

fn flat(set: &[usize], b: &[Vec<f64>]) -> Vec<f64> {
    set.iter().flat_map(|&g| b[g].iter().copied()).collect()
}

/// Largest eigenvalue of `Z_gᵀZ_g / n`, a hair above for rounding.
fn curvature(problem: &Problem<'_>, columns: &[usize]) -> Result<f64, Error> {
    let z: Vec<Vec<f64>> = columns.iter().map(|&j| problem.copy_column(j)).collect();
    let gram = Matrix::from_fn(z.len(), z.len(), |i, j| sums::dot(&z[i], &z[j]) / problem.n as f64);
    if z.len() == 1 {
        return Ok(gram[(0, 0)]);
    }
    let (values, _) = symmetric_eigen(&gram)?;
    Ok(values.iter().fold(0.0_f64, |m, v| m.max(*v)) * (1.0 + 1e-12))
}
