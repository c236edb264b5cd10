//! K-fold cross-validation over a path.
use samplewise_linalg::Ending;
use samplewise_linalg::observe::{Observer, Progress};
use samplewise_linalg::random::{Streams, shuffle};
use samplewise_linalg::scale::ldexp;

use crate::gram_path::{Moments, suits};
use crate::homotopy::Workspace;
use crate::problem::Problem;
use crate::solver::{check_grid, fits, grid, path_observed};
use crate::verdict::answers;
use crate::{Design, LassoError, Options, Solution, Solver, Status};

/// Bytes of all Gram matrices up to which folds go by moments.
const MOST_BYTES: f64 = 2e9;

/// Errors along the path, and the fit that wins.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossValidation {
    /// The grid, descending.
    pub lambdas: Vec<f64>,
    /// Mean squared error on the held-out rows, averaged over folds, per λ.
    pub mean_squared_error: Vec<f64>,
    /// Standard error of that mean over folds.
    pub standard_error: Vec<f64>,
    /// Position of the smallest error.
    pub best: usize,
    /// Fits on all rows, one per λ.
    pub path: Vec<Solution>,
    /// Folds that were finished: the errors are averages over these.
    pub folds: usize,
    /// Whether all folds and the last path were; `best` is the best of what was seen.
    pub ending: Ending,
}

/// Folds and grid of [`cross_validate`].
#[derive(Clone, Debug, PartialEq)]
pub struct Folds {
    /// Number of folds, from 2 to the number of rows. Default 5.
    pub folds: usize,
    /// Number of values of λ, geometric. Default 100.
    pub count: usize,
    /// The last λ over the first, between 0 and 1. Default 1e-3.
    pub min_ratio: f64,
    /// Of the shuffle of the rows. Default 0.
    pub seed: u64,
}

impl Default for Folds {
    fn default() -> Self {
        Self { folds: 5, count: 100, min_ratio: 1e-3, seed: 0 }
    }
}

/// Cross-validates over folds of shuffled rows and refits the path on all rows.
///
/// Sample weights are used in the fits and in the errors. Where the Gram matrix of all columns is formed, it is formed
/// once: `n·p²/2` multiplications for all folds and the last path together. Otherwise a path per fold.
///
/// # Errors
/// As [`crate::path`]; those of [`Folds`] out of range. An interrupted run is an error only when no fold was finished;
/// otherwise [`CrossValidation::ending`] says so.
pub fn cross_validate(
    design: &Design,
    y: &[f64],
    folds: &Folds,
    options: &Options,
) -> Result<CrossValidation, LassoError> {
    cross_validate_observed(design, y, folds, options, &mut ())
}

/// [`cross_validate`] with progress and cancellation.
///
/// # Errors
/// As [`cross_validate`].
pub fn cross_validate_observed(
    design: &Design,
    y: &[f64],
    plan: &Folds,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<CrossValidation, LassoError> {
    let (n, folds) = (design.rows(), plan.folds);
    if folds < 2 || folds > n {
        return Err(LassoError::OptionOutOfRange {
            option: "folds",
            value: folds as f64,
            allowed: "2 to the number of rows",
        });
    }
    check_grid(plan.count, plan.min_ratio)?;
    let problem = Problem::new(design, y, options)?;
    let lambdas = grid(&problem, y, plan.count, plan.min_ratio)?;
    let parts = split(n, folds, plan.seed);
    let allowed = matches!(options.solver, Solver::Auto | Solver::Homotopy);
    // A Gram matrix per fold, of all rows, of the rows to train on.
    let bytes = 8.0 * (folds + 3) as f64 * (problem.p as f64).powi(2);
    let found = if allowed && bytes <= MOST_BYTES && n >= problem.p && suits(&problem) {
        on_moments(&problem, &lambdas, &parts, options, observer)
    } else {
        None
    };
    let (problem, (errors, stopped), moments) = if let Some((errors, stopped, moments)) = found {
        (problem, (errors, stopped), Some(moments))
    } else {
        let exponent = problem.target_exponent;
        drop(problem); // a copy of the table that the folds need not have beside theirs
        let errors = on_rows(design, y, exponent, &lambdas, &parts, options, observer)?;
        (Problem::new(design, y, options)?, errors, None)
    };
    if errors.is_empty() {
        return Err(LassoError::Table(samplewise_linalg::LinalgError::Cancelled));
    }
    let done = errors.len() as f64;
    let mean = |k: usize| errors.iter().map(|e| e[k]).sum::<f64>() / done;
    let mean_squared_error: Vec<f64> = (0..plan.count).map(mean).collect();
    let standard_error = (0..plan.count)
        .map(|k| {
            let squares: f64 = errors.iter().map(|e| (e[k] - mean_squared_error[k]).powi(2)).sum();
            if done > 1.0 { (squares / (done * (done - 1.0))).sqrt() } else { 0.0 }
        })
        .collect();
    let fits = fits(&problem, &lambdas, options, moments, observer)?;
    let path = answers(&problem, design, y, options, fits)?;
    let best = (0..path.len())
        .min_by(|&a, &b| mean_squared_error[a].total_cmp(&mean_squared_error[b]))
        .expect("the grid is not empty");
    let stopped = stopped || path.last().is_some_and(|f| f.status == Status::Interrupted);
    let as_given = |errors: Vec<f64>| errors.into_iter().map(|e| problem.objective_as_given(e)).collect();
    Ok(CrossValidation {
        lambdas,
        mean_squared_error: as_given(mean_squared_error),
        standard_error: as_given(standard_error),
        best,
        path,
        folds: errors.len(),
        ending: if stopped { Ending::Interrupted } else { Ending::Finished },
    })
}

/// Rows of each fold, ascending.
fn split(n: usize, folds: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..n).collect();
    shuffle(&mut Streams::new(seed).stream(0), &mut order);
    let mut parts = vec![Vec::with_capacity(n / folds + 1); folds];
    order.iter().enumerate().for_each(|(position, &i)| parts[position % folds].push(i));
    parts.iter_mut().for_each(|p| p.sort_unstable());
    parts
}

/// Errors per fold and λ, in units of the squared scaled target, from second moments, whether the observer stopped it, and
/// the moments of all rows: a fold's are subtracted from these. `None` where a path got lost in ties.
fn on_moments(
    problem: &Problem<'_>,
    lambdas: &[f64],
    parts: &[Vec<usize>],
    options: &Options,
    observer: &mut dyn Observer,
) -> Option<(Vec<Vec<f64>>, bool, Moments)> {
    let held_out: Vec<Moments> = parts.iter().map(|rows| Moments::new(problem, Some(rows))).collect::<Option<_>>()?;
    let mut all = held_out[0].clone();
    held_out[1..].iter().for_each(|m| all.add(m));
    let lambdas: Vec<f64> = lambdas.iter().map(|l| problem.scaled_lambda(*l)).collect();
    let mut workspace = Workspace::new();
    let (mut errors, mut stopped) = (Vec::new(), false);
    for (fold, part) in held_out.iter().enumerate() {
        let train = all.without(part);
        if train.weight <= 1e-12 * all.weight {
            return None; // nothing to train on: the way by rows says so
        }
        let train = train.normalise(problem.centred);
        let path = train.path(problem, &lambdas, options.standardize, &mut workspace)?;
        let error = |w: &Vec<(usize, f64)>| {
            let w: Vec<(usize, f64)> = w.iter().map(|&(j, w)| (j, w * train.factor[j])).collect();
            let intercept = if problem.centred { train.intercept(&w) } else { 0.0 };
            let (error, weight) = part.squared_error(&w, intercept);
            error / weight
        };
        if part.weight > 0.0 {
            errors.push(path.iter().map(error).collect());
        }
        let progress = Progress { stage: "folds", step: fold + 1, total: Some(parts.len()), value: None };
        if observer.step(progress).is_break() {
            stopped = true;
            break;
        }
    }
    Some((errors, stopped, all))
}

/// Errors per fold and λ, in units of the square of the target scaled by `2^-exponent`, from fits on the rows of the other
/// folds, and whether the observer stopped it.
fn on_rows(
    design: &Design,
    y: &[f64],
    exponent: i32,
    lambdas: &[f64],
    parts: &[Vec<usize>],
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<(Vec<Vec<f64>>, bool), LassoError> {
    let weight = |i: usize| options.sample_weights.as_ref().map_or(1.0, |w| w[i]);
    let (mut errors, mut stopped): (Vec<Vec<f64>>, bool) = (Vec::new(), false);
    for test in parts {
        let mut outside = vec![true; y.len()];
        test.iter().for_each(|&i| outside[i] = false);
        let train: Vec<usize> = (0..y.len()).filter(|&i| outside[i]).collect();
        let mut fold_options = options.clone();
        fold_options.sample_weights = options.sample_weights.as_ref().map(|w| train.iter().map(|&i| w[i]).collect());
        let y_train: Vec<f64> = train.iter().map(|&i| y[i]).collect();
        let fits = path_observed(&design.select_rows(&train), &y_train, lambdas, &fold_options, observer)?;
        if fits.last().is_some_and(|f| f.status == Status::Interrupted) {
            stopped = true;
            break;
        }
        let held_out = design.select_rows(test);
        let total: f64 = test.iter().map(|&i| weight(i)).sum();
        let error = |f: &Solution| {
            let predicted = held_out.predict(&f.coefficients, f.intercept);
            let sum: f64 =
                test.iter().zip(&predicted).map(|(&i, p)| weight(i) * ldexp(y[i] - p, -exponent).powi(2)).sum();
            sum / total
        };
        // A fold without weight says nothing.
        if total > 0.0 {
            errors.push(fits.iter().map(error).collect());
        }
    }
    Ok((errors, stopped))
}
