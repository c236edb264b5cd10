//! Single λ and path: which solver runs, and answers for the columns as given.
use samplewise_linalg::observe::{Observer, Progress};
use samplewise_linalg::scale::{largest as largest_value, ldexp};

use crate::engine::{Engine, Fit};
use crate::gram_path::{Moments, suits};
use crate::options::{Options, Solution, Solver, Status};
use crate::problem::{Problem, check_lambda};
use crate::verdict::answers;
use crate::{Design, LassoError};

/// Values of λ from which the Gram matrix of all columns pays.
const FEW: usize = 5;

/// Solves for one `lambda` (rows LAS-1 to LAS-4). The result is the same for every thread count.
///
/// λ is reached by a short internal path. Cost: a few passes over the table, `m²n/2` multiplications for the Gram matrix
/// of a working set of `m` columns, and `s³/6` for a support of `s`.
///
/// # Errors
/// [`LassoError::Length`], [`LassoError::Entry`], [`LassoError::OptionOutOfRange`].
pub fn solve(design: &Design, y: &[f64], lambda: f64, options: &Options) -> Result<Solution, LassoError> {
    solve_observed(design, y, lambda, options, &mut ())
}

/// [`solve`] with progress and cancellation.
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
    let mut all = path_observed(design, y, &[lambda], options, observer)?;
    Ok(all.pop().expect("one λ, one answer"))
}

/// The smallest λ at which all penalised coefficients are zero; columns that are bounded on both sides and not penalised
/// are at zero for this.
///
/// # Errors
/// As [`solve`].
pub fn largest_lambda(design: &Design, y: &[f64], options: &Options) -> Result<f64, LassoError> {
    let problem = Problem::new(design, y, options)?;
    finite(problem.as_given(largest(&problem)))
}

/// A largest λ that is a number.
pub(crate) fn finite(value: f64) -> Result<f64, LassoError> {
    let (option, allowed) = ("largest lambda", "finite: divide y or the columns");
    if value.is_finite() { Ok(value) } else { Err(LassoError::OptionOutOfRange { option, value, allowed }) }
}

fn largest(problem: &Problem<'_>) -> f64 {
    let mut residual = problem.target.clone();
    problem.settle_free(&mut residual);
    problem.largest_lambda(&problem.correlations(&residual))
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
    check_grid(count, min_ratio)?;
    let problem = Problem::new(design, y, options)?;
    let lambdas = grid(&problem, y, count, min_ratio)?;
    let fits = fits(&problem, &lambdas, options, None, &mut ())?;
    answers(&problem, design, y, options, fits)
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
    check_grid(count, min_ratio)?;
    grid(&Problem::new(design, y, options)?, y, count, min_ratio)
}

/// The options of [`lambda_grid`].
/// Values of λ in one call.
const MOST_LAMBDAS: usize = 100_000;

pub(crate) fn check_grid(count: usize, min_ratio: f64) -> Result<(), LassoError> {
    if count == 0 || count > MOST_LAMBDAS {
        let (option, allowed) = ("count", "1 to 100,000");
        return Err(LassoError::OptionOutOfRange { option, value: count as f64, allowed });
    }
    if !(min_ratio > 0.0 && min_ratio < 1.0) {
        return Err(LassoError::OptionOutOfRange { option: "min_ratio", value: min_ratio, allowed: "between 0 and 1" });
    }
    Ok(())
}

/// See [`lambda_grid`].
pub(crate) fn grid(problem: &Problem<'_>, y: &[f64], count: usize, min_ratio: f64) -> Result<Vec<f64>, LassoError> {
    let top = largest(problem);
    // A constant target has λ_max = 0: any positive λ gives the null model.
    let scale = ldexp(largest_value(y), -problem.target_exponent);
    let top = finite(problem.as_given(if top > 1e-14 * scale { top } else { 1.0 }))?;
    let power = |i: usize| if count == 1 { 0.0 } else { i as f64 / (count - 1) as f64 };
    let lambdas: Vec<f64> = (0..count).map(|i| top * min_ratio.powf(power(i))).collect();
    lambdas.iter().try_for_each(|l| check_lambda(*l))?;
    Ok(lambdas)
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
    let problem = Problem::new(design, y, options)?;
    let fits = fits(&problem, lambdas, options, None, observer)?;
    let mut all = answers(&problem, design, y, options, fits)?;
    all.iter_mut().zip(lambdas).for_each(|(fit, lambda)| fit.lambda = *lambda);
    Ok(all)
}

/// All fits of a problem by the solver that the options name; `moments` are those of all rows, where they are known.
pub(crate) fn fits(
    problem: &Problem<'_>,
    lambdas: &[f64],
    o: &Options,
    moments: Option<Moments>,
    observer: &mut dyn Observer,
) -> Result<Vec<Fit>, LassoError> {
    // Everything below is in units of the scaled target.
    let lambdas = &lambdas.iter().map(|l| problem.scaled_lambda(*l)).collect::<Vec<f64>>()[..];
    lambdas.iter().try_for_each(|l| check_lambda(*l))?;
    let descending = lambdas.windows(2).all(|w| w[0] >= w[1]);
    let many = lambdas.len() >= FEW && problem.n >= problem.p;
    let asked = o.solver == Solver::Homotopy;
    if asked && !(descending && suits(problem)) {
        let (option, allowed) =
            ("solver", "Homotopy only for a dense Lasso of at most 5,000 columns, all penalised, on a descending grid");
        return Err(LassoError::Unsupported { option, allowed });
    }
    if asked || (o.solver == Solver::Auto && many && descending && suits(problem)) {
        let null = problem.null_objective();
        let moments = moments.or_else(|| Moments::new(problem, None));
        let progress = Progress { stage: "Gram matrix", step: 1, total: Some(1), value: None };
        let stopped = observer.step(progress).is_break();
        // A stopped run goes to the engine, which gives the first fit and stops.
        let found = moments
            .filter(|_| !stopped)
            .and_then(|m| m.normalise(problem.centred).fits(problem, lambdas, o.tolerance * null));
        if let Some(fits) = found.filter(|fits| fits.iter().all(|f| f.status == Status::Converged)) {
            return Ok(fits);
        }
    }
    let (mut engine, _) = Engine::new(problem, o.solver, o.tolerance, o.max_iterations);
    Ok(engine.run(lambdas, observer))
}
