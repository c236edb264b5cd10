//! Single λ and path.
use std::borrow::Cow;

use samplewise_linalg::chunk;
use samplewise_linalg::observe::Observer;

use crate::descent::{State, minimise};
use crate::duality::Problem;
use crate::{Design, LassoError};

/// Settings of [`solve`] and [`path`].
#[derive(Clone, Debug)]
pub struct Options {
    /// Stop when `gap ≤ tolerance · null_objective`, where `null_objective` is the loss of `w = 0` (with intercept).
    /// Default 1e-8; finite, positive.
    pub tolerance: f64,
    /// Share `α` of the ℓ1 term; 1 is the Lasso. Default 1, range `(0, 1]`.
    pub mix: f64,
    /// Fit an intercept. Default true.
    pub intercept: bool,
    /// Penalise the coefficients of columns scaled to unit standard deviation. Default false. Coefficients are always
    /// reported for the columns as given.
    pub standardize: bool,
    /// Only coefficients `≥ 0`. Default false.
    pub positive: bool,
    /// Weights of the rows, finite and `≥ 0`, scaled to mean 1. Default all equal.
    pub sample_weights: Option<Vec<f64>>,
    /// Factors `ω_j > 0` of the penalty. Default all 1.
    pub penalty_factors: Option<Vec<f64>>,
    /// Passes of coordinate descent per λ. Default 100,000; at the limit the status says so.
    pub max_epochs: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tolerance: 1e-8,
            mix: 1.0,
            intercept: true,
            standardize: false,
            positive: false,
            sample_weights: None,
            penalty_factors: None,
            max_epochs: 100_000,
        }
    }
}

/// How a fit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The gap is within the tolerance.
    Converged,
    /// `max_epochs` was reached; the best coefficients so far.
    Limit,
    /// The observer stopped it; the best coefficients so far.
    Interrupted,
}

/// One fit with its certificate.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// λ.
    pub lambda: f64,
    /// Intercept, for the columns as given.
    pub intercept: f64,
    /// Nonzero coefficients `(column, value)`, column ascending, for the columns as given.
    pub coefficients: Vec<(usize, f64)>,
    /// Objective.
    pub primal: f64,
    /// Dual value: the minimum of the objective is not below it.
    pub dual: f64,
    /// `primal − dual ≥ 0`.
    pub gap: f64,
    /// Objective of `w = 0`: the scale of the tolerance.
    pub null_objective: f64,
    /// Passes of coordinate descent.
    pub epochs: usize,
    /// Columns in the last working set.
    pub working_set: usize,
    /// How it ended.
    pub status: Status,
}

impl Solution {
    /// Coefficient of a column.
    pub fn coefficient(&self, column: usize) -> f64 {
        self.coefficients.binary_search_by_key(&column, |c| c.0).map_or(0.0, |at| self.coefficients[at].1)
    }
}

/// Solves for one `lambda` (rows LAS-1 to LAS-3). The result is the same for every thread count.
///
/// Cost per round one pass over the table, plus `O(n)` per coordinate and epoch of the working set.
///
/// # Errors
/// [`LassoError::Length`], [`LassoError::Entry`], [`LassoError::OptionOutOfRange`].
pub fn solve(design: &Design, y: &[f64], lambda: f64, options: &Options) -> Result<Solution, LassoError> {
    solve_observed(design, y, lambda, options, &mut ())
}

/// [`solve`] with progress and cancellation. A λ below a tenth of the largest is reached by a short internal path.
///
/// # Errors
/// As [`solve`].
pub fn solve_observed(
    design: &Design,
    y: &[f64],
    lambda: f64,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Solution, LassoError> {
    check_lambda(lambda)?;
    let problem = prepare(design, y, options)?;
    let largest = largest(&problem);
    let mut lambdas = Vec::new();
    let mut step = largest * 0.3;
    while step > lambda * 1.5 {
        lambdas.push(step);
        step *= 0.3;
    }
    lambdas.push(lambda);
    let count = lambdas.len();
    let loose = |i: usize| if i + 1 == count { 1.0 } else { 1e-2 / options.tolerance.min(1e-2) };
    let mut all = run(&problem, design, y, &lambdas, options, loose, observer);
    Ok(all.pop().expect("at least one λ"))
}

/// The smallest λ at which all coefficients are zero.
///
/// # Errors
/// As [`solve`].
pub fn largest_lambda(design: &Design, y: &[f64], options: &Options) -> Result<f64, LassoError> {
    Ok(largest(&prepare(design, y, options)?))
}

/// Solves for a decreasing list of `count` values of λ, geometric from the largest to `min_ratio` times it.
///
/// # Errors
/// As [`solve`]; `count ≥ 1`, `min_ratio` in `(0, 1)`.
pub fn path(
    design: &Design,
    y: &[f64],
    count: usize,
    min_ratio: f64,
    options: &Options,
) -> Result<Vec<Solution>, LassoError> {
    path_observed(design, y, &lambda_grid(design, y, count, min_ratio, options)?, options, &mut ())
}

/// Geometric grid of `count` values from the largest λ down to `min_ratio` times it; from 1 when the target is constant.
///
/// # Errors
/// As [`path`].
pub fn lambda_grid(
    design: &Design,
    y: &[f64],
    count: usize,
    min_ratio: f64,
    options: &Options,
) -> Result<Vec<f64>, LassoError> {
    if count == 0 {
        return Err(LassoError::OptionOutOfRange { option: "path", value: 0.0, allowed: "1 or more" });
    }
    if !(min_ratio > 0.0 && min_ratio < 1.0) {
        return Err(LassoError::OptionOutOfRange { option: "min_ratio", value: min_ratio, allowed: "between 0 and 1" });
    }
    let top = largest_lambda(design, y, options)?;
    // A constant target has λ_max = 0: any positive λ gives the null model.
    let top = if top > 0.0 { top } else { 1.0 };
    let power = |i: usize| if count == 1 { 0.0 } else { i as f64 / (count - 1) as f64 };
    Ok((0..count).map(|i| top * min_ratio.powf(power(i))).collect())
}

/// Solves for the given values of λ in their order, each from the one before. When the observer stops it, the fits
/// done are returned, the last one with [`Status::Interrupted`].
///
/// # Errors
/// As [`solve`].
pub fn path_observed(
    design: &Design,
    y: &[f64],
    lambdas: &[f64],
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Vec<Solution>, LassoError> {
    for &l in lambdas {
        check_lambda(l)?;
    }
    let problem = prepare(design, y, options)?;
    Ok(run(&problem, design, y, lambdas, options, |_| 1.0, observer))
}

fn run(
    problem: &Problem<'_>,
    design: &Design,
    y: &[f64],
    lambdas: &[f64],
    options: &Options,
    loosen: impl Fn(usize) -> f64,
    observer: &mut dyn Observer,
) -> Vec<Solution> {
    let null_objective = 0.5 * chunk::dot(&problem.target, &problem.target) / problem.rows();
    let mut state = State { w: vec![0.0; design.columns()], residual: problem.initial_residual() };
    let mut out = Vec::with_capacity(lambdas.len());
    for (i, &lambda) in lambdas.iter().enumerate() {
        let tolerance = options.tolerance * loosen(i) * null_objective;
        let outcome = minimise(problem, lambda, tolerance, options.max_epochs, &mut state, observer);
        let status = match (outcome.converged, outcome.interrupted) {
            (true, _) => Status::Converged,
            (_, true) => Status::Interrupted,
            _ => Status::Limit,
        };
        let coefficients: Vec<(usize, f64)> =
            state.w.iter().enumerate().filter(|c| *c.1 != 0.0).map(|(j, w)| (j, w / problem.scales[j])).collect();
        let intercept = if options.intercept { intercept(design, y, &problem.root, &coefficients) } else { 0.0 };
        out.push(Solution {
            lambda,
            intercept,
            coefficients,
            primal: outcome.certificate.primal,
            dual: outcome.certificate.dual,
            gap: outcome.certificate.gap(),
            null_objective,
            epochs: outcome.epochs,
            working_set: outcome.working_set,
            status,
        });
        if outcome.interrupted {
            break;
        }
    }
    out
}

/// Weighted mean of `y − X w`.
fn intercept(design: &Design, y: &[f64], root: &[f64], coefficients: &[(usize, f64)]) -> f64 {
    let fitted = design.predict(coefficients, 0.0);
    let rest: Vec<f64> = y.iter().zip(&fitted).zip(root).map(|((y, f), q)| q * q * (y - f)).collect();
    chunk::sum(&rest) / y.len() as f64
}

fn largest(problem: &Problem<'_>) -> f64 {
    let r = problem.initial_residual();
    problem
        .correlations(&r)
        .iter()
        .zip(&problem.factors)
        .map(|(c, f)| if problem.positive { c.max(0.0) } else { c.abs() } / (f * problem.mix))
        .fold(0.0, f64::max)
}

fn check_lambda(lambda: f64) -> Result<(), LassoError> {
    if lambda.is_finite() && lambda > 0.0 {
        Ok(())
    } else {
        Err(LassoError::OptionOutOfRange { option: "lambda", value: lambda, allowed: "finite and positive" })
    }
}

fn check_vector(
    argument: &'static str,
    v: &[f64],
    expected: usize,
    valid: impl Fn(f64) -> bool,
    allowed: &'static str,
) -> Result<(), LassoError> {
    if v.len() != expected {
        return Err(LassoError::Length { argument, given: v.len(), expected });
    }
    match v.iter().position(|&x| !valid(x)) {
        Some(position) => Err(LassoError::Entry { argument, position, value: v[position], allowed }),
        None => Ok(()),
    }
}

fn prepare<'a>(design: &'a Design, y: &[f64], options: &Options) -> Result<Problem<'a>, LassoError> {
    let (n, p) = (design.rows(), design.columns());
    check_vector("y", y, n, f64::is_finite, "finite")?;
    let range = |option, value: f64, ok: bool, allowed| {
        if ok { Ok(()) } else { Err(LassoError::OptionOutOfRange { option, value, allowed }) }
    };
    let (t, mix) = (options.tolerance, options.mix);
    range("tolerance", t, t.is_finite() && t > 0.0, "finite and positive")?;
    range("mix", mix, mix > 0.0 && mix <= 1.0, "above 0 and at most 1")?;
    range("max_epochs", options.max_epochs as f64, options.max_epochs > 0, "1 or more")?;
    let mut root = vec![1.0; n];
    if let Some(w) = &options.sample_weights {
        check_vector("sample_weights", w, n, |x| x.is_finite() && x >= 0.0, "finite and not negative")?;
        let total = chunk::sum(w);
        range("sample_weights", total, total > 0.0 && total.is_finite(), "a positive finite sum")?;
        root = w.iter().map(|w| (w * n as f64 / total).sqrt()).collect();
    }
    let factors = match &options.penalty_factors {
        None => vec![1.0; p],
        Some(f) => {
            check_vector("penalty_factors", f, p, |x| x.is_finite() && x > 0.0, "finite and positive")?;
            f.clone()
        }
    };
    let squares: Vec<f64> = root.iter().map(|q| q * q).collect();
    let centre = |v: f64| if options.intercept { v / n as f64 } else { 0.0 };
    let means: Vec<f64> = (0..p).map(|j| centre(design.dot_column(j, &squares))).collect();
    let target_mean = centre(chunk::dot(y, &squares));
    let target = y.iter().zip(&root).map(|(y, q)| (y - target_mean) * q).collect();
    let unchanged = !options.intercept && options.sample_weights.is_none();
    let (used, left) = if unchanged {
        (Cow::Borrowed(design), vec![0.0; p])
    } else {
        let (d, left) = design.weighted_and_centred(&root, &means);
        (Cow::Owned(d), left)
    };
    let variance = |j: usize| (used.square(j) / n as f64 - left[j] * left[j]).max(0.0);
    if let Some((position, value)) = (0..p).map(|j| (j, used.square(j))).find(|s| !s.1.is_finite()) {
        let allowed = "columns whose sum of squares is finite";
        return Err(LassoError::Entry { argument: "sum of squares of a column", position, value, allowed });
    }
    // A column that is constant after centring cannot be told from the intercept: it stays at zero. Dense columns are
    // centred entry by entry, sparse ones by subtracting two sums.
    let rounding = if design.is_dense() { (64.0 * f64::EPSILON).powi(2) } else { 1e-14 };
    let negligible = |j: usize| variance(j) <= rounding * (means[j] * means[j]);
    let scales: Vec<f64> = (0..p)
        .map(|j| if options.standardize && !negligible(j) && variance(j) > 0.0 { variance(j).sqrt() } else { 1.0 })
        .collect();
    let curvature = (0..p)
        .map(|j| if options.intercept && negligible(j) { 0.0 } else { variance(j) / (scales[j] * scales[j]) })
        .collect();
    Ok(Problem { design: used, root, means: left, scales, target, curvature, mix, factors, positive: options.positive })
}
