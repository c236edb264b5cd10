//! K-fold cross-validation over a path.
use std::time::Instant;

use samplewise_linalg::observe::{Observer, Progress, Watch};
use samplewise_linalg::random::{Streams, shuffle};
use samplewise_linalg::scale::ldexp;
use samplewise_linalg::{Ending, Seconds};

use crate::answer::Solution;
use crate::calls::{check_grid, fits, path_observed, values};
use crate::lars::gram::{Moments, suits};
use crate::lars::walk::Workspace;
use crate::options::{CrossValidationOptions, Folds, Grid, Options, Solver};
use crate::problem::Problem;
use crate::verdict::answers;
use crate::{Design, Error};

/// Bytes of all Gram matrices up to which folds go by moments.
const MOST_BYTES: f64 = 2e9;

/// The way to the errors of the folds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum CrossValidationRoute {
    /// Second moments of all rows, from which those of a fold are taken away.
    Moments,
    /// A path on the rows of every fold.
    Rows,
}

/// Evidence of a cross-validation.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CrossValidationReport {
    /// Whether all folds and the last path were finished; `best` is the best of what was seen.
    pub ending: Ending,
    /// The way to the errors.
    pub route: CrossValidationRoute,
    /// Number of folds that were finished: the errors are averages over these.
    pub folds: usize,
    /// Wall time of the call.
    pub seconds: Seconds,
}

/// Errors along the path, and the fit that wins.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CrossValidation {
    /// The values of λ.
    pub lambdas: Vec<f64>,
    /// Mean squared error on the held-out rows, averaged over folds, per λ.
    #[cfg_attr(feature = "serde", serde(with = "samplewise_linalg::extended::list"))]
    pub mean_squared_error: Vec<f64>,
    /// Standard error of that mean over folds.
    #[cfg_attr(feature = "serde", serde(with = "samplewise_linalg::extended::list"))]
    pub standard_error: Vec<f64>,
    /// Position of the smallest error.
    pub best: usize,
    /// Fits on all rows, one per λ.
    pub path: Vec<Solution>,
    /// The evidence: how the call went, and what its claims rest on.
    pub report: CrossValidationReport,
}

impl CrossValidation {
    /// Whether all folds were finished and every fit on all rows converged.
    pub fn converged(&self) -> bool {
        self.report.ending == Ending::Finished && self.path.iter().all(Solution::converged)
    }

    /// Position of the largest λ whose error is within one standard error of the smallest.
    pub fn one_standard_error(&self) -> usize {
        let most = self.mean_squared_error[self.best] + self.standard_error[self.best];
        let within = (0..self.path.len()).filter(|&k| self.mean_squared_error[k] <= most);
        within.max_by(|&a, &b| self.lambdas[a].total_cmp(&self.lambdas[b])).unwrap_or(self.best)
    }

    /// The fit with the smallest error.
    pub fn best_fit(&self) -> &Solution {
        &self.path[self.best]
    }
}

/// Cross-validates over folds of rows and fits the path on all rows.
///
/// Sample weights are used in the fits and in the errors. Where the Gram matrix of all columns is formed, it is formed
/// once: `n·p²/2` multiplications for all folds and the last path together. Otherwise a path per fold.
///
/// # Errors
/// As [`crate::path()`]; [`Error::Argument`] for folds that cannot be. An interrupted run is [`Error::Interrupted`] only
/// when no fold was finished; otherwise the ending says so.
pub fn cross_validate(design: &Design, y: &[f64], options: &CrossValidationOptions) -> Result<CrossValidation, Error> {
    cross_validate_observed(design, y, options, &mut ())
}

/// [`cross_validate`] with progress and cancellation.
///
/// # Errors
/// As [`cross_validate`].
pub fn cross_validate_observed(
    design: &Design,
    y: &[f64],
    options: &CrossValidationOptions,
    observer: &mut dyn Observer,
) -> Result<CrossValidation, Error> {
    let (start, n, fit) = (Instant::now(), design.rows(), &options.fit);
    let watch = &mut Watch::new(observer);
    check_grid(&options.grid)?;
    let parts = held_out(n, &options.folds, options.seed)?;
    let problem = Problem::new(design, y, fit, watch)?;
    let lambdas = values(&problem, y, &options.grid, watch)?;
    let allowed = matches!(fit.solver, Solver::Auto | Solver::Homotopy);
    // A Gram matrix per fold, of all rows, of the rows to train on.
    let bytes = 8.0 * (parts.len() + 3) as f64 * (problem.p as f64).powi(2);
    let descending = lambdas.windows(2).all(|w| w[0] >= w[1]);
    // Moments of all rows are the sums of those of the folds, if every row is in one.
    let mut places = vec![0_usize; n];
    parts.iter().flatten().for_each(|&i| places[i] += 1);
    let partition = places.iter().all(|&p| p == 1);
    let suited = allowed && descending && partition && bytes <= MOST_BYTES && n >= problem.p && suits(&problem);
    let found = if suited { on_moments(&problem, &lambdas, &parts, fit, watch) } else { None };
    if found.is_none() && watch.stopped() {
        return Err(Error::Interrupted);
    }
    let (problem, (errors, stopped), moments) = if let Some((errors, stopped, moments)) = found {
        (problem, (errors, stopped), Some(moments))
    } else {
        let exponent = problem.target_exponent;
        drop(problem); // a copy of the table that the folds need not have beside theirs
        let errors = on_rows(design, y, exponent, &lambdas, &parts, fit, watch)?;
        if errors.0.is_empty() {
            return Err(Error::Interrupted);
        }
        // What was found must not be lost to an observer that has asked to stop.
        (Problem::new(design, y, fit, &mut Watch::new(&mut ()))?, errors, None)
    };
    let route = if moments.is_some() { CrossValidationRoute::Moments } else { CrossValidationRoute::Rows };
    let (mean_squared_error, standard_error) = averages(&errors);
    let fits = fits(&problem, &lambdas, fit, moments, watch)?;
    let mut path = answers(&problem, design, y, fit, fits)?;
    let best = (0..path.len())
        .min_by(|&a, &b| mean_squared_error[a].total_cmp(&mean_squared_error[b]))
        .ok_or(Error::Interrupted)?;
    let stopped = stopped || path.last().is_some_and(|f| f.report.ending == Ending::Interrupted);
    let as_given = |errors: Vec<f64>| errors.into_iter().map(|e| problem.objective_as_given(e)).collect();
    let seconds = Seconds::since(start);
    path.iter_mut().for_each(|fit| fit.report.seconds = seconds);
    Ok(CrossValidation {
        lambdas,
        mean_squared_error: as_given(mean_squared_error),
        standard_error: as_given(standard_error),
        best,
        path,
        report: CrossValidationReport {
            ending: if stopped { Ending::Interrupted } else { Ending::Finished },
            route,
            folds: errors.len(),
            seconds,
        },
    })
}

/// Held-out rows of each fold, ascending.
fn held_out(n: usize, folds: &Folds, seed: u64) -> Result<Vec<Vec<usize>>, Error> {
    let counted = |folds: usize| {
        let allowed = || format!("2 to {n}, the number of rows");
        if folds < 2 || folds > n { Err(Error::count("folds", folds, allowed())) } else { Ok(folds) }
    };
    match folds {
        Folds::Shuffled(folds) => Ok(split(n, counted(*folds)?, seed)),
        Folds::Contiguous(folds) => {
            let folds = counted(*folds)?;
            let (each, longer) = (n / folds, n % folds);
            let first = |k: usize| k * each + k.min(longer);
            Ok((0..folds).map(|k| (first(k)..first(k + 1)).collect()).collect())
        }
        Folds::Given(parts) => {
            if parts.is_empty() {
                return Err(Error::count("folds", 0, "at least one"));
            }
            let mut sorted = parts.clone();
            for part in &mut sorted {
                part.sort_unstable();
                part.dedup();
                if let Some(&row) = part.last().filter(|&&row| row >= n) {
                    return Err(Error::count("folds", row, format!("rows from 0 to {}", n.saturating_sub(1))));
                }
                if part.is_empty() || part.len() == n {
                    let allowed = "some rows of each fold, and some to fit on";
                    return Err(Error::count("folds", part.len(), allowed));
                }
            }
            Ok(sorted)
        }
    }
}

/// Means over the folds of the errors for each λ, and their standard errors; there is one fold at least.
pub(crate) fn averages(errors: &[Vec<f64>]) -> (Vec<f64>, Vec<f64>) {
    let done = errors.len() as f64;
    let means: Vec<f64> = (0..errors[0].len()).map(|k| errors.iter().map(|e| e[k]).sum::<f64>() / done).collect();
    let deviation = |k: usize| {
        let squares: f64 = errors.iter().map(|e| (e[k] - means[k]).powi(2)).sum();
        if done > 1.0 { (squares / (done * (done - 1.0))).sqrt() } else { 0.0 }
    };
    let deviations = (0..means.len()).map(deviation).collect();
    (means, deviations)
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
    watch: &mut Watch<'_>,
) -> Option<(Vec<Vec<f64>>, bool, Moments)> {
    let held_out: Vec<Moments> =
        parts.iter().map(|rows| Moments::new(problem, Some(rows), watch)).collect::<Option<_>>()?;
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
        let Some(path) = train.path(problem, &lambdas, options.standardize, &mut workspace, watch) else {
            if watch.stopped() && !errors.is_empty() {
                stopped = true;
                break;
            }
            return None;
        };
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
        if watch.stops(progress) && fold + 1 < parts.len() {
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
    watch: &mut Watch<'_>,
) -> Result<(Vec<Vec<f64>>, bool), Error> {
    let weight = |i: usize| options.sample_weights.as_ref().map_or(1.0, |w| w[i]);
    let (mut errors, mut stopped): (Vec<Vec<f64>>, bool) = (Vec::new(), false);
    for test in parts {
        let mut outside = vec![true; y.len()];
        test.iter().for_each(|&i| outside[i] = false);
        let train: Vec<usize> = (0..y.len()).filter(|&i| outside[i]).collect();
        let mut fold_options = options.clone();
        fold_options.sample_weights = options.sample_weights.as_ref().map(|w| train.iter().map(|&i| w[i]).collect());
        let y_train: Vec<f64> = train.iter().map(|&i| y[i]).collect();
        let grid = Grid::Values(lambdas.to_vec());
        let fits = path_observed(&design.select_rows(&train), &y_train, &grid, &fold_options, watch);
        let fits = match fits {
            Err(Error::Interrupted) => Vec::new(),
            other => other?,
        };
        if fits.last().is_none_or(|f| f.report.ending == Ending::Interrupted) {
            stopped = true;
            break;
        }
        let held_out = design.select_rows(test);
        let total: f64 = test.iter().map(|&i| weight(i)).sum();
        let error = |f: &Solution| {
            let predicted = held_out.products(&f.coefficients, f.intercept);
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
