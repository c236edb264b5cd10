//! Single λ and path: which solver runs, and answers for the columns as given.
use std::time::Instant;

use samplewise_linalg::Seconds;
use samplewise_linalg::observe::{Observer, Progress, Watch};
use samplewise_linalg::scale::{largest as largest_value, ldexp};

use crate::answer::{Outcome, Solution};
use crate::lars::gram::{Moments, suits};
use crate::options::{Grid, Options, Solver};
use crate::problem::Problem;
use crate::problem::check::check_lambda;
use crate::verdict::answers;
use crate::working_set::lambda_path::{Engine, Fit};
use crate::{Design, Error};

/// Values of λ from which the Gram matrix of all columns pays.
const FEW: usize = 5;

/// Solves for one `lambda` (rows LAS-1 to LAS-4). The result is the same for every thread count.
///
/// λ is reached by a short internal path. Cost: a few passes over the table, `m²n/2` multiplications for the Gram matrix
/// of a working set of `m` columns, and `s³/6` for a support of `s`.
///
/// # Errors
/// [`Error::Argument`], [`Error::Length`], [`Error::Entry`], [`Error::Unsupported`]; [`Error::Interrupted`] where the
/// observer ends the call before there is a fit.
pub fn solve(design: &Design, y: &[f64], lambda: f64, options: &Options) -> Result<Solution, Error> {
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
) -> Result<Solution, Error> {
    let mut all = path_observed(design, y, &Grid::Values(vec![lambda]), options, observer)?;
    all.pop().ok_or(Error::Interrupted)
}

/// Solves for the values of λ of a grid in their order, each from the one before.
///
/// # Errors
/// As [`solve`].
pub fn path(design: &Design, y: &[f64], grid: &Grid, options: &Options) -> Result<Vec<Solution>, Error> {
    path_observed(design, y, grid, options, &mut ())
}

/// [`path`] with progress and cancellation; when stopped, the fits done are returned, and the ending of the last one says so.
///
/// # Errors
/// As [`path`].
pub fn path_observed(
    design: &Design,
    y: &[f64],
    grid: &Grid,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Vec<Solution>, Error> {
    let start = Instant::now();
    check_grid(grid)?;
    let watch = &mut Watch::new(observer);
    let problem = Problem::new(design, y, options, watch)?;
    let lambdas = values(&problem, y, grid, watch)?;
    let fits = fits(&problem, &lambdas, options, None, watch)?;
    let mut all = answers(&problem, design, y, options, fits)?;
    for (fit, lambda) in all.iter_mut().zip(&lambdas) {
        fit.report.seconds = Seconds::since(start);
        // As it was asked for, to the last digit.
        if let Grid::Values(_) = grid {
            fit.lambda = *lambda;
        }
    }
    Ok(all)
}

/// The smallest λ at which all penalised coefficients are zero; columns that are bounded on both sides and not penalised
/// are at zero for this.
///
/// # Errors
/// As [`solve`].
pub fn largest_lambda(design: &Design, y: &[f64], options: &Options) -> Result<f64, Error> {
    largest_lambda_observed(design, y, options, &mut ())
}

/// [`largest_lambda`] with progress and cancellation.
///
/// # Errors
/// As [`largest_lambda`]; [`Error::Interrupted`].
pub fn largest_lambda_observed(
    design: &Design,
    y: &[f64],
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<f64, Error> {
    let watch = &mut Watch::new(observer);
    let problem = Problem::new(design, y, options, watch)?;
    finite(problem.as_given(largest(&problem, watch)?))
}

/// A largest λ that is a number.
pub(crate) fn finite(value: f64) -> Result<f64, Error> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Error::argument("largest lambda", value, "finite: divide y or the columns"))
    }
}

fn largest(problem: &Problem<'_>, watch: &mut Watch<'_>) -> Result<f64, Error> {
    let mut residual = problem.target.clone();
    problem.settle_free(&mut residual);
    let correlations = problem.correlations(&residual, watch);
    if watch.stopped() { Err(Error::Interrupted) } else { Ok(problem.largest_lambda(&correlations)) }
}

/// The values of λ that a grid stands for.
///
/// # Errors
/// As [`path`].
pub fn lambda_grid(design: &Design, y: &[f64], grid: &Grid, options: &Options) -> Result<Vec<f64>, Error> {
    lambda_grid_observed(design, y, grid, options, &mut ())
}

/// [`lambda_grid`] with progress and cancellation.
///
/// # Errors
/// As [`lambda_grid`]; [`Error::Interrupted`].
pub fn lambda_grid_observed(
    design: &Design,
    y: &[f64],
    grid: &Grid,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Vec<f64>, Error> {
    check_grid(grid)?;
    let watch = &mut Watch::new(observer);
    values(&Problem::new(design, y, options, watch)?, y, grid, watch)
}

/// Values of λ in one call at most.
const MOST_LAMBDAS: usize = 100_000;

/// What can be said of a grid before the table is looked at.
pub(crate) fn check_grid(grid: &Grid) -> Result<(), Error> {
    let count = match grid {
        Grid::Geometric { count, .. } => *count,
        Grid::Values(values) => values.len(),
    };
    if count == 0 || count > MOST_LAMBDAS {
        return Err(Error::count("count", count, format!("1 to {MOST_LAMBDAS} values of lambda")));
    }
    match grid {
        Grid::Geometric { min_ratio, .. } if !(*min_ratio > 0.0 && *min_ratio < 1.0) => {
            Err(Error::argument("min_ratio", *min_ratio, "above 0 and below 1"))
        }
        Grid::Geometric { .. } => Ok(()),
        Grid::Values(values) => values.iter().try_for_each(|l| check_lambda(*l)),
    }
}

/// The values of a grid for a problem.
pub(crate) fn values(problem: &Problem<'_>, y: &[f64], grid: &Grid, watch: &mut Watch<'_>) -> Result<Vec<f64>, Error> {
    match grid {
        Grid::Geometric { count, min_ratio } => geometric(problem, y, (*count, *min_ratio), watch),
        Grid::Values(values) => Ok(values.clone()),
    }
}

fn geometric(
    problem: &Problem<'_>,
    y: &[f64],
    (count, min_ratio): (usize, f64),
    watch: &mut Watch<'_>,
) -> Result<Vec<f64>, Error> {
    let top = largest(problem, watch)?;
    // A constant target has λ_max = 0: any positive λ gives the null model.
    let scale = ldexp(largest_value(y), -problem.target_exponent);
    let top = finite(problem.as_given(if top > 1e-14 * scale { top } else { 1.0 }))?;
    let power = |i: usize| if count == 1 { 0.0 } else { i as f64 / (count - 1) as f64 };
    let lambdas: Vec<f64> = (0..count).map(|i| top * min_ratio.powf(power(i))).collect();
    lambdas.iter().try_for_each(|l| check_lambda(*l))?;
    Ok(lambdas)
}

/// All fits of a problem by the solver that the options name; `moments` are those of all rows, where they are known.
pub(crate) fn fits(
    problem: &Problem<'_>,
    lambdas: &[f64],
    o: &Options,
    moments: Option<Moments>,
    watch: &mut Watch<'_>,
) -> Result<Vec<Fit>, Error> {
    // Everything below is in units of the scaled target.
    let lambdas = &lambdas.iter().map(|l| problem.scaled_lambda(*l)).collect::<Vec<f64>>()[..];
    lambdas.iter().try_for_each(|l| check_lambda(*l))?;
    let descending = lambdas.windows(2).all(|w| w[0] >= w[1]);
    let many = lambdas.len() >= FEW && problem.n >= problem.p;
    let asked = o.solver == Solver::Homotopy;
    if asked && !(descending && suits(problem)) {
        let (option, allowed) =
            ("solver", "Homotopy only for a dense Lasso of at most 5,000 columns, all penalised, on a descending grid");
        return Err(Error::Unsupported { option, allowed });
    }
    if asked || (o.solver == Solver::Auto && many && descending && suits(problem)) {
        let null = problem.null_objective();
        let moments = moments.or_else(|| Moments::new(problem, None, watch));
        let progress = Progress { stage: "Gram matrix", step: 1, total: Some(1), value: None };
        let stopped = watch.stops(progress);
        // A stopped run goes to the engine, which gives the first fit and stops.
        let found = moments
            .filter(|_| !stopped)
            .and_then(|m| m.normalise(problem.centred).fits(problem, lambdas, o.tolerance * null, watch));
        if let Some(fits) = found.filter(|fits| fits.iter().all(|f| f.status == Outcome::Converged)) {
            return Ok(fits);
        }
    }
    let (mut engine, _) = Engine::new(problem, o.solver, o.tolerance, o.max_iterations, watch);
    Ok(engine.run(lambdas, watch))
}

#[cfg(test)]
mod tests {
    use samplewise_linalg::Matrix;
    use samplewise_linalg::random::{Streams, normal};

    use super::*;

    /// Large tables are not copied to be centred and weighted: every solver gives the bits that it gives with a copy.
    #[test]
    fn answers_do_not_depend_on_whether_the_table_was_copied() {
        for (n, p, shift) in [(1_500, 12, 3.0), (40, 90, 1e3), (700, 700, 0.0)] {
            let mut rng = Streams::new(n as u64).stream(0);
            let x = Matrix::from_fn(n, p, |_, j| normal(&mut rng) + shift * (j % 4) as f64);
            let y: Vec<f64> = (0..n).map(|i| 2.0 * x[(i, 0)] - x[(i, p - 1)] + 0.3 * normal(&mut rng)).collect();
            let design = Design::dense(&x).unwrap();
            let weights: Vec<f64> = (0..n).map(|i| (i % 4) as f64).collect();
            for (solver, sample_weights, intercept) in [
                (Solver::Auto, None, true),
                (Solver::Auto, Some(weights.clone()), true),
                (Solver::Auto, Some(weights), false),
                (Solver::WorkingSet, None, true),
                (Solver::CoordinateDescent, None, true),
                (Solver::Homotopy, None, true),
            ] {
                let o = Options { solver, sample_weights, intercept, tolerance: 1e-6, ..Options::default() };
                let all = |copied: usize| {
                    let mut observer = ();
                    let watch = &mut Watch::new(&mut observer);
                    let problem = Problem::with_copies(&design, &y, &o, copied, watch).unwrap();
                    let grid = Grid::Geometric { count: 20, min_ratio: 0.05 };
                    let lambdas = values(&problem, &y, &grid, watch).unwrap();
                    let found = fits(&problem, &lambdas, &o, None, watch).unwrap();
                    let found = answers(&problem, &design, &y, &o, found).unwrap();
                    let moments = crate::lars::gram::Moments::new(&problem, Some(&[3, 5, 8, 13]), watch).unwrap();
                    let errors: Vec<_> = found.iter().map(|f| moments.squared_error(&f.coefficients, 0.1)).collect();
                    let answer = |f: Solution| (f.coefficients, f.intercept, f.objective, f.lower_bound, f.lambda);
                    (found.into_iter().map(answer).collect::<Vec<_>>(), errors)
                };
                assert_eq!(all(0), all(usize::MAX), "{n} x {p}, {solver:?}");
            }
        }
    }
}
