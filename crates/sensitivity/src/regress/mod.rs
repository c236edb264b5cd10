//! `ℓp` and quantile regression, on all rows or on a coreset, judged on all rows.
mod active;
mod preprocess;
mod quantile;

use samplewise_linalg::leverage::whiten;
use samplewise_linalg::lstsq::{Method as LeastSquares, least_squares};
use samplewise_linalg::observe::{Observer, Watch};
use samplewise_linalg::scale::{extreme_exponent_of, ldexp};
use samplewise_linalg::{CsrMatrix, LinalgError, Matrix, NoBound, Rows};

use crate::certificate::Candidate;
use crate::coreset::{Sampler, Screened, screened_coreset};
use crate::design::Design;
use crate::loss::Loss;
use crate::power::check_exponent;
use crate::{Method, SensitivityError, certificate, newton};

pub use active::{ActiveFit, ActivePlan, regress_active};

/// Settings of [`regress_on_coreset`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// How rows are scored; the table is `[A b]`, or `A` alone where labels are asked for. Default Lewis.
    pub method: Method,
    /// How rows are drawn. Default Bernoulli.
    pub sampler: Sampler,
    /// Rows that a first draw by rough scores leaves for each row of the coreset, as [`crate::screened_coreset`] says; 0
    /// scores all rows. Default 8.
    pub oversampling: usize,
    /// Seed of the sample. Default 0.
    pub seed: u64,
    /// Relative tolerance of the solver. Default 1e-9; finite, positive.
    pub tolerance: f64,
    /// Whether [`regress_on_coreset`] looks for a lower bound on all rows. Default yes; without, there is no bound. For `p = 1`
    /// and quantiles the bound is that of the problem of all rows, solved to 1e-4: some three times the cost of scores and
    /// fit, not much less than [`regress`]. For other `p` it costs one Gram matrix.
    pub certify: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            method: Method::Lewis,
            sampler: Sampler::Bernoulli,
            oversampling: 8,
            seed: 0,
            tolerance: 1e-9,
            certify: true,
        }
    }
}

/// Whether `ℓ1` and quantile regression of all rows goes by a reduced problem with the same solution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Preprocessing {
    /// Where it was measured to pay (`cargo bench --bench sensitivity -- crossover`).
    #[default]
    Auto,
    /// Whenever there are more than twice as many rows as the reduced problem has; where their sides cannot be
    /// settled, the descent along edges begins from the best fit on the way, and all rows are solved for if that ends in no
    /// vertex.
    Always,
    /// Not at all.
    Never,
}

/// Settings of [`regress_observed`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SolverOptions {
    /// Relative tolerance. Default 1e-9; finite, positive.
    pub tolerance: f64,
    /// See [`Preprocessing`]; of no effect on other losses.
    pub preprocessing: Preprocessing,
}

impl Default for SolverOptions {
    fn default() -> Self {
        Self { tolerance: 1e-9, preprocessing: Preprocessing::Auto }
    }
}

/// How a fit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Solved on all rows: the gap between objective and lower bound is within the tolerance, or 1e-9 of the
    /// objective where that is more, but for what rounding of the residuals can do. On a coreset: the fit of the coreset met the tolerance of its solver.
    Converged,
    /// A limit of steps or of precision was reached, or there is no lower bound; the gap says how good the answer is.
    Limit,
    /// The observer stopped it.
    Interrupted,
}

/// Which way a solver went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Interior point method on the rows as given.
    InteriorPoint,
    /// Interior point method on a reduced problem of `rows` rows that has the solution of all, after `repaired` rows on the
    /// wrong side were put back.
    Preprocessed {
        /// Rows of the reduced problem.
        rows: usize,
        /// Rows put back.
        repaired: usize,
    },
    /// Newton's method along easier problems.
    Newton,
    /// Least squares (`p = 2`).
    LeastSquares,
    /// Descent along edges from the best fit on the way, where the sides of the rows could not be settled or a reduced problem
    /// had no solution.
    Edges,
}

/// Coefficients with their certificate on the full data.
#[derive(Clone, Debug, PartialEq)]
pub struct Regression {
    /// `x`, one per column. Where columns depend on others, one of many solutions: zero for columns that depend on earlier
    /// ones, or of least norm after scaling where the dependency is not exact.
    pub coefficients: Vec<f64>,
    /// Loss over **all** rows.
    pub objective: f64,
    /// No `x` has a smaller loss over all rows; rounding is accounted for. It speaks of the columns up to numerical rank:
    /// a direction below about `1e-14` of the largest (such as seconds since 1970 beside an intercept) is not seen, so
    /// centre such columns first.
    pub lower_bound: Option<f64>,
    /// Why there is no lower bound.
    pub no_bound: Option<NoBound>,
    /// Rows the solver saw.
    pub rows_used: usize,
    /// Rows scored by the method asked for; none where the solver saw all rows.
    pub rows_scored: usize,
    /// Numerical rank of the rows the solver saw; below that of the table, coefficients are not determined by them.
    pub rank: usize,
    /// Solver steps.
    pub iterations: usize,
    /// How the solver ended.
    pub status: Status,
    /// Which way it went.
    pub path: Path,
}

impl Regression {
    /// `objective − lower_bound`: how far above the optimum the answer can be.
    pub fn gap(&self) -> Option<f64> {
        self.lower_bound.map(|bound| self.objective - bound)
    }

    /// Whether the status is [`Status::Converged`].
    pub fn converged(&self) -> bool {
        self.status == Status::Converged
    }

    /// The fit of a target that is `2^e` times as large.
    fn multiply_target(mut self, e: i32, loss: Loss) -> Result<Self, SensitivityError> {
        if e == 0 {
            return Ok(self);
        }
        self.coefficients.iter_mut().for_each(|c| *c = ldexp(*c, e));
        // Two factors: the first alone may leave the range where the product does not.
        let half = (0.5 * loss.exponent() * f64::from(e)).exp2();
        let values = [Some(&mut self.objective), self.lower_bound.as_mut()];
        for value in values.into_iter().flatten().filter(|v| **v > 0.0) {
            // A loss that vanished would look like a perfect fit.
            *value = (*value * half * half).max(f64::from_bits(1));
        }
        check_objective(self.objective)?;
        Ok(self)
    }
}

fn check_objective(objective: f64) -> Result<(), SensitivityError> {
    if objective.is_finite() {
        return Ok(());
    }
    let allowed = "a finite sum of powers: scale the target down";
    Err(SensitivityError::OutOfRange { argument: "loss on all rows", value: objective, allowed })
}

/// Minimises the loss over all rows, dense or sparse (rows SEN-6 and SEN-16).
///
/// `p = 1` and quantiles by an interior point method, from some thousand rows on of a reduced problem, and then by a descent
/// along edges to an optimal vertex of all rows; `p = 2` by least squares; other `p` by Newton's method along easier problems.
/// Cost of the interior point method `n·d²` flops for each
/// of 10 to 25 steps, with preprocessing about four passes over the rows and `n^{2/3}·d^{5/2}` flops a step.
///
/// # Errors
/// [`SensitivityError::Exponent`], [`SensitivityError::OutOfRange`], [`SensitivityError::Data`].
pub fn regress<'a>(
    a: impl Into<Rows<'a>>,
    b: &[f64],
    loss: Loss,
    tolerance: f64,
) -> Result<Regression, SensitivityError> {
    regress_observed(a, b, loss, &SolverOptions { tolerance, ..SolverOptions::default() }, &mut ())
}

/// [`regress`] with settings, progress and cancellation.
///
/// # Errors
/// As [`regress`].
pub fn regress_observed<'a>(
    a: impl Into<Rows<'a>>,
    b: &[f64],
    loss: Loss,
    options: &SolverOptions,
    observer: &mut dyn Observer,
) -> Result<Regression, SensitivityError> {
    let (a, tolerance) = (a.into(), options.tolerance);
    check(a, b, loss, tolerance)?;
    let (b, exponent) = moderate(b);
    let b = &b[..];
    let base = whiten(a, None)?;
    let design = Design::new(a, &base)?;
    let solved = match loss.quantile() {
        Some(tau) if base.rank > 0 => {
            let how = (tolerance, options.preprocessing);
            quantile::solve_all((&design, &base, a), b, tau, how, observer)?
        }
        _ => solve(&design, b, None, loss, tolerance, observer)?,
    };
    let coefficients = representable(coefficients(&base.transform, &solved.x), exponent)?;
    let judged = Judged { a, b, loss, coefficients, design: Some(design), certify: true, tolerance };
    judge(judged, solved, a.rows(), base.rank, observer)?.multiply_target(exponent, loss)
}

/// A target whose powers are far from both ends of the range, and the exponent it was divided by.
fn moderate(b: &[f64]) -> (std::borrow::Cow<'_, [f64]>, i32) {
    let e = extreme_exponent_of(b);
    if e == 0 {
        return (b.into(), 0);
    }
    (b.iter().map(|b| ldexp(*b, -e)).collect::<Vec<f64>>().into(), e)
}

/// Samples about `size` rows by their importance for `[A b]`, minimises the weighted loss over them, and judges the
/// answer on all rows (row SEN-8).
///
/// # Errors
/// As [`regress`]; [`SensitivityError::Size`] unless `columns + 1 ≤ size ≤ rows`.
pub fn regress_on_coreset<'a>(
    a: impl Into<Rows<'a>>,
    b: &[f64],
    loss: Loss,
    size: usize,
    options: &Options,
) -> Result<Regression, SensitivityError> {
    regress_on_coreset_observed(a, b, loss, size, options, &mut ())
}

/// [`regress_on_coreset`] with progress and cancellation: of the solver, whose answer is then the best so far, or of the
/// certificate. There is no lower bound then, and [`Regression::no_bound`] says why.
///
/// # Errors
/// As [`regress_on_coreset`].
pub fn regress_on_coreset_observed<'a>(
    a: impl Into<Rows<'a>>,
    b: &[f64],
    loss: Loss,
    size: usize,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Regression, SensitivityError> {
    let a = a.into();
    check(a, b, loss, options.tolerance)?;
    let (b, exponent) = moderate(b);
    let b = &b[..];
    let (n, d) = (a.rows(), a.columns());
    if size < d + 1 || size > n {
        return Err(SensitivityError::Size { size, least: d + 1, rows: n });
    }
    let (apart, dense);
    let joined = match a {
        Rows::Dense(a) => Rows::Joined(a, b),
        Rows::Sparse(a) => {
            apart = join(a, b)?;
            Rows::Sparse(&apart)
        }
        Rows::Joined(..) => {
            dense = a.select_rows(&(0..n).collect::<Vec<_>>());
            Rows::Joined(&dense, b)
        }
    };
    let p = loss.exponent();
    let Screened { coreset: sample, scored } = screened_coreset(joined, p, size, options, observer)?;
    if sample.rows.is_empty() {
        return Err(SensitivityError::NothingDrawn { size });
    }
    let target: Vec<f64> = sample.rows.iter().map(|&i| b[i]).collect();
    let chosen = a.select_rows(&sample.rows);
    let (solved, rank) = fit_rows(&chosen, &target, &sample.weights, loss, options.tolerance, observer)?;
    let coefficients = representable(solved.x.clone(), exponent)?;
    let certify = options.certify && solved.status != Status::Interrupted;
    let judged = Judged { a, b, loss, coefficients, design: None, certify, tolerance: options.tolerance };
    let fit = judge(judged, solved, sample.rows.len(), rank, observer)?;
    Regression { rows_scored: scored, ..fit }.multiply_target(exponent, loss)
}

/// `[A b]` of a sparse `A`.
fn join(a: &CsrMatrix, b: &[f64]) -> Result<CsrMatrix, LinalgError> {
    let d = a.columns();
    let (mut offsets, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
    for (i, &b) in b.iter().enumerate() {
        let (columns, entries) = a.row(i);
        indices.extend(columns);
        values.extend(entries);
        if b != 0.0 {
            indices.push(d as u32);
            values.push(b);
        }
        offsets.push(values.len());
    }
    CsrMatrix::from_parts(a.rows(), d + 1, offsets, indices, values)
}

/// Solves on weighted rows; coefficients are those of the columns.
fn fit_rows(
    rows: &Matrix,
    target: &[f64],
    weights: &[f64],
    loss: Loss,
    tolerance: f64,
    observer: &mut dyn Observer,
) -> Result<(Solved, usize), SensitivityError> {
    // In whitened coordinates every Gram matrix is well conditioned and the rank is full.
    let white = whiten(rows, None)?;
    let design = Design::whitened(rows.multiply(&white.transform)?);
    let mut solved = solve(&design, target, Some(weights), loss, tolerance, observer)?;
    solved.x = coefficients(&white.transform, &solved.x);
    Ok((solved, white.rank))
}

fn coefficients(transform: &Matrix, x: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; transform.rows()];
    transform.multiply_vector_into(x, &mut out);
    out
}

/// Coefficients of a target divided by `2^e`, as those of the target as given are after rounding: what is judged is what is
/// returned. An error where one is too large for a number.
fn representable(mut coefficients: Vec<f64>, e: i32) -> Result<Vec<f64>, SensitivityError> {
    for c in &mut coefficients {
        let given = ldexp(*c, e);
        if !given.is_finite() {
            let allowed = "one that a number can hold: scale its column or the target";
            return Err(SensitivityError::OutOfRange { argument: "coefficient", value: given, allowed });
        }
        *c = ldexp(given, -e);
    }
    Ok(coefficients)
}

/// What is judged on all rows.
struct Judged<'a, 'd> {
    a: Rows<'a>,
    b: &'a [f64],
    loss: Loss,
    coefficients: Vec<f64>,
    /// The design of all rows where the solver saw all of them.
    design: Option<Design<'d>>,
    certify: bool,
    tolerance: f64,
}

/// Relative gap to which the dual problem is solved for an answer of a coreset.
const CERTIFIED: f64 = 1e-4;

/// Gap of a fit on all rows, relative to the objective, that counts as converged whatever smaller tolerance was asked for:
/// the bound of a smooth loss is no exacter.
const SMALLEST_GAP: f64 = 1e-9;

fn judge(
    judged: Judged<'_, '_>,
    mut solved: Solved,
    rows_used: usize,
    rank: usize,
    observer: &mut dyn Observer,
) -> Result<Regression, SensitivityError> {
    let Judged { a, b, loss, mut coefficients, design, certify, tolerance } = judged;
    let on_all_rows = design.is_some();
    let mut residual = vec![0.0; a.rows()];
    a.multiply_vector_into(&coefficients, &mut residual);
    residual.iter_mut().zip(b).for_each(|(r, b)| *r = b - *r);
    let mut objective = loss.value(&residual);
    if solved.status != Status::Converged {
        // What ended early may be worse than no model.
        let null = loss.value(b);
        if objective.is_nan() || objective > null {
            objective = null;
            coefficients.fill(0.0);
            residual.copy_from_slice(b);
        }
    }
    check_objective(objective)?;
    let mut bound: Result<f64, NoBound> =
        Err(if solved.status == Status::Interrupted { NoBound::Interrupted } else { NoBound::NotAsked });
    let mut rounding_of_loss = 0.0;
    if certify {
        // Each entry of the residual is a sum of d + 1 rounded terms.
        let factor = f64::EPSILON * (a.columns() as f64 + 2.0);
        let sizes: Vec<f64> = coefficients.iter().map(|c| c.abs()).collect();
        let rounding: Vec<f64> = (0..a.rows()).map(|i| factor * (b[i].abs() + a.absolute_dot(i, &sizes))).collect();
        rounding_of_loss = loss.rounding(&residual, &rounding);
        let base = if on_all_rows { None } else { Some(whiten(a, None)?) };
        let design = match (design, &base) {
            (Some(design), _) => design,
            (None, Some(base)) => Design::new(a, base)?,
            (None, None) => unreachable!("one of the two"),
        };
        let candidate = Candidate { design: &design, residual: &residual, rounding: &rounding };
        let failed = NoBound::Failed { objective, bound: f64::NAN };
        bound = if design.rank() == 0 {
            Ok(objective) // no coefficient matters
        } else if let Some(tau) = loss.quantile() {
            // Solved on all rows, the solver's own dual point speaks of all rows; else one is found.
            let mut watch = Watch::new(observer);
            let dual = match &base {
                Some(base) => quantile::dual_of_all_rows((&design, base, a), b, tau, CERTIFIED, &mut watch).ok(),
                None => solved.dual.take(),
            };
            let factor = if loss == Loss::Lp(1.0) { 2.0 } else { 1.0 };
            if watch.stopped() {
                Err(NoBound::Interrupted)
            } else {
                dual.map(|dual| factor * certificate::dual_bound(&candidate, &dual, tau)).ok_or(failed)
            }
        } else {
            certificate::smooth_bound(&candidate, loss.exponent()).map_err(|_| failed)
        };
    }
    if let Ok(value) = bound
        && (value.is_nan() || value > objective + 4.0 * rounding_of_loss + 1e-12 * objective)
    {
        bound = Err(NoBound::Failed { objective, bound: value });
    }
    let bound = bound.map(|b| b.min(objective));
    let status = match (solved.status, &bound) {
        (Status::Interrupted, _) => Status::Interrupted,
        (own, _) if !on_all_rows => own,
        // Whoever solved it: the claim is that of the gap.
        (_, Ok(bound)) => {
            let allowed = tolerance.max(SMALLEST_GAP) * objective + 4.0 * rounding_of_loss;
            if objective - bound <= allowed { Status::Converged } else { Status::Limit }
        }
        (_, Err(_)) => Status::Limit,
    };
    Ok(Regression {
        coefficients,
        objective,
        lower_bound: bound.ok(),
        no_bound: bound.err(),
        rows_used,
        rows_scored: 0,
        rank,
        iterations: solved.iterations,
        status,
        path: solved.path,
    })
}

struct Solved {
    x: Vec<f64>,
    /// Dual point of the vertex, or of the interior point method where there is none, in the units of its `τ`.
    dual: Option<Vec<f64>>,
    iterations: usize,
    status: Status,
    path: Path,
}

impl Status {
    fn of(converged: bool, interrupted: bool) -> Self {
        match (converged, interrupted) {
            (_, true) => Status::Interrupted,
            (true, _) => Status::Converged,
            _ => Status::Limit,
        }
    }
}

/// In whitened coordinates.
fn solve(
    design: &Design<'_>,
    b: &[f64],
    weights: Option<&[f64]>,
    loss: Loss,
    tolerance: f64,
    observer: &mut dyn Observer,
) -> Result<Solved, SensitivityError> {
    let plain = |x, iterations, status, path| Solved { x, dual: None, iterations, status, path };
    if design.rank() == 0 {
        return Ok(plain(Vec::new(), 0, Status::Converged, Path::LeastSquares)); // a table of zeros
    }
    if let Some(tau) = loss.quantile() {
        return quantile::solve_rows(design, b, weights, tau, tolerance, observer);
    }
    let every: Vec<usize> = (0..b.len()).collect();
    let mut scaled = design.select(&every)?;
    let mut target = b.to_vec();
    for (i, w) in weights.unwrap_or(&[]).iter().enumerate() {
        let root = w.sqrt();
        scaled.row_mut(i).iter_mut().for_each(|v| *v *= root);
        target[i] *= root;
    }
    let start = least_squares(&scaled, &target, LeastSquares::Auto)?.x;
    drop(scaled);
    let p = loss.exponent();
    if p == 2.0 {
        return Ok(plain(start, 1, Status::Converged, Path::LeastSquares));
    }
    let s = newton::solve(design, b, weights, p, tolerance * 1e-3, start, observer)?;
    Ok(plain(s.x, s.iterations, Status::of(s.converged, s.interrupted), Path::Newton))
}

fn check(a: Rows<'_>, b: &[f64], loss: Loss, tolerance: f64) -> Result<(), SensitivityError> {
    check_design(a, loss, tolerance)?;
    if b.len() != a.rows() {
        return Err(LinalgError::Length { argument: "b", given: b.len(), expected: a.rows() }.into());
    }
    if let Some(row) = b.iter().position(|v| !v.is_finite()) {
        return Err(LinalgError::NotFinite { argument: "b", row, column: 0, value: b[row] }.into());
    }
    Ok(())
}

fn check_design(a: Rows<'_>, loss: Loss, tolerance: f64) -> Result<(), SensitivityError> {
    if a.rows() == 0 || a.columns() == 0 {
        return Err(LinalgError::Empty { argument: "a" }.into());
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
