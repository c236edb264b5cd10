//! K-fold cross-validation over a path.
use samplewise_linalg::observe::Observer;
use samplewise_linalg::random::{Streams, shuffle};

use crate::solver::{lambda_grid, path_observed};
use crate::{Design, LassoError, Options, Solution, Status};

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
}

/// Cross-validates over `folds` folds (rows shuffled by `seed`) and refits the path on all rows.
///
/// Sample weights are used in the fits and in the errors.
///
/// # Errors
/// As [`crate::path`]; `folds` must be from 2 to the number of rows. An interrupted run is an error only when no fold
/// was finished.
pub fn cross_validate(
    design: &Design,
    y: &[f64],
    folds: usize,
    count: usize,
    min_ratio: f64,
    seed: u64,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<CrossValidation, LassoError> {
    let n = design.rows();
    if folds < 2 || folds > n {
        return Err(LassoError::OptionOutOfRange {
            option: "folds",
            value: folds as f64,
            allowed: "2 to the number of rows",
        });
    }
    let lambdas = lambda_grid(design, y, count, min_ratio, options)?;
    let mut order: Vec<usize> = (0..n).collect();
    shuffle(&mut Streams::new(seed).stream(0), &mut order);
    let weight = |i: usize| options.sample_weights.as_ref().map_or(1.0, |w| w[i]);
    let mut errors: Vec<Vec<f64>> = Vec::new();
    for fold in 0..folds {
        let (mut train, mut test): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
        for (position, &i) in order.iter().enumerate() {
            if position % folds == fold { test.push(i) } else { train.push(i) }
        }
        train.sort_unstable();
        test.sort_unstable();
        let mut fold_options = options.clone();
        fold_options.sample_weights = options.sample_weights.as_ref().map(|w| train.iter().map(|&i| w[i]).collect());
        let y_train: Vec<f64> = train.iter().map(|&i| y[i]).collect();
        let fits = path_observed(&design.select_rows(&train), &y_train, &lambdas, &fold_options, observer)?;
        if fits.last().is_some_and(|f| f.status == Status::Interrupted) {
            break;
        }
        let held_out = design.select_rows(&test);
        let total: f64 = test.iter().map(|&i| weight(i)).sum();
        errors.push(
            fits.iter()
                .map(|f| {
                    let predicted = held_out.predict(&f.coefficients, f.intercept);
                    let sum: f64 = test.iter().zip(&predicted).map(|(&i, p)| weight(i) * (y[i] - p).powi(2)).sum();
                    if total > 0.0 { sum / total } else { 0.0 }
                })
                .collect(),
        );
    }
    if errors.is_empty() {
        return Err(LassoError::Table(samplewise_linalg::LinalgError::Cancelled));
    }
    let done = errors.len() as f64;
    let mean = |k: usize| errors.iter().map(|e| e[k]).sum::<f64>() / done;
    let mean_squared_error: Vec<f64> = (0..count).map(mean).collect();
    let standard_error = (0..count)
        .map(|k| {
            let squares: f64 = errors.iter().map(|e| (e[k] - mean_squared_error[k]).powi(2)).sum();
            if done > 1.0 { (squares / (done * (done - 1.0))).sqrt() } else { 0.0 }
        })
        .collect();
    let best = (0..count)
        .min_by(|&a, &b| mean_squared_error[a].total_cmp(&mean_squared_error[b]))
        .expect("the grid is not empty");
    let path = path_observed(design, y, &lambdas, options, observer)?;
    Ok(CrossValidation { best: best.min(path.len() - 1), lambdas, mean_squared_error, standard_error, path })
}
