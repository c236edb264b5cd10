//! What every crate of the collection promises of its options and answers.
use samplewise_lasso::group::{self, GroupOptions};
use samplewise_lasso::internals::RANGES;
use samplewise_lasso::{
    CrossValidationOptions, CrossValidationRoute, Design, Error, Folds, Grid, Matrix, Options, cross_validate, path,
    solve,
};
use samplewise_testkit::{generate, ranges};

#[test]
fn ranges_are_those_of_the_documentation() {
    let x = Matrix::from_vec(4, 2, vec![1.0, 0.0, -1.0, 0.5, 2.0, -0.5, -2.0, 0.0]).unwrap();
    let design = Design::dense(&x).unwrap();
    ranges::walk(&Options::default(), &RANGES, include_str!("../src/options.rs"), |options| {
        match solve(&design, &[2.0, -2.0, 4.0, -4.0], 0.1, options) {
            Err(Error::Argument(e)) => Some(e),
            Err(e) => panic!("{e}"),
            Ok(_) => None,
        }
    });
}

#[test]
fn fits_predict_new_rows() {
    let (x, y, _) = generate::random_sparse_regression(80, 12, 3, 0.1, 4);
    let (design, new) = (Design::dense(&x).unwrap(), x.select_rows(&[3, 3, 70]));
    let fit = solve(&design, &y, 0.05, &Options::default()).unwrap();
    let (own, fresh) = (design.predict(&fit).unwrap(), fit.predict(&new).unwrap());
    assert!((own[3] - fresh[0]).abs() < 1e-12 && fresh[0] == fresh[1] && (own[70] - fresh[2]).abs() < 1e-12);
    assert!(matches!(fit.predict(&Matrix::zeros(2, 11)), Err(Error::Data(_))));
    assert!(Design::dense(&Matrix::zeros(2, 11)).unwrap().predict(&fit).is_err());
    let targets = Matrix::from_fn(80, 2, |i, t| y[i] * (1.0 + t as f64));
    let groups = group::single_columns(&design);
    let fit = group::solve(&design, &targets, &groups, 0.05, &GroupOptions::default()).unwrap();
    let fitted = fit.predict(&new).unwrap();
    assert!(fit.converged() && (fitted[(0, 1)] - 2.0 * fitted[(0, 0)]).abs() < 1e-3);
    assert!(fit.predict(&Matrix::zeros(2, 13)).is_err());
}

#[test]
fn folds_are_the_callers() {
    let (x, y, _) = generate::random_sparse_regression(60, 10, 3, 0.1, 5);
    let design = Design::dense(&x).unwrap();
    let run = |folds: Folds, grid: Grid| {
        cross_validate(&design, &y, &CrossValidationOptions { folds, grid, ..CrossValidationOptions::default() })
    };
    let grid = Grid::Geometric { count: 10, min_ratio: 0.01 };
    let contiguous = run(Folds::Contiguous(4), grid.clone()).unwrap();
    let given: Vec<Vec<usize>> = (0..4).map(|k| (15 * k..15 * (k + 1)).rev().collect()).collect();
    let same = run(Folds::Given(given), grid.clone()).unwrap();
    assert_eq!(contiguous.mean_squared_error, same.mean_squared_error);
    assert_eq!(contiguous.report.route, CrossValidationRoute::Moments);
    // Folds that share rows, or leave some out, go by rows; so does a grid that rises.
    let shared = run(Folds::Given(vec![(0..20).collect(), (10..30).collect()]), grid.clone()).unwrap();
    assert_eq!((shared.report.route, shared.report.folds), (CrossValidationRoute::Rows, 2));
    let mut lambdas = contiguous.lambdas.clone();
    lambdas.reverse();
    let rising = run(Folds::Contiguous(4), Grid::Values(lambdas)).unwrap();
    for (a, b) in rising.mean_squared_error.iter().rev().zip(&contiguous.mean_squared_error) {
        assert!((a - b).abs() < 1e-4 * (1.0 + b), "{a} {b}");
    }
    assert!(contiguous.one_standard_error() <= contiguous.best);
    for folds in [
        Folds::Shuffled(1),
        Folds::Contiguous(61),
        Folds::Given(vec![]),
        Folds::Given(vec![vec![]]),
        Folds::Given(vec![vec![60]]),
        Folds::Given(vec![(0..60).collect()]),
    ] {
        assert!(matches!(run(folds.clone(), grid.clone()), Err(Error::Argument(_))), "{folds:?}");
    }
    for grid in [
        Grid::Values(vec![]),
        Grid::Values(vec![-1.0]),
        Grid::Values(vec![f64::NAN]),
        Grid::Geometric { count: 0, min_ratio: 0.1 },
        Grid::Geometric { count: 3, min_ratio: 1.0 },
    ] {
        assert!(matches!(path(&design, &y, &grid, &Options::default()), Err(Error::Argument(_))), "{grid:?}");
    }
}

#[cfg(feature = "serde")]
#[test]
fn options_and_answers_are_data() {
    let (x, y, _) = generate::random_sparse_regression(30, 5, 2, 0.1, 6);
    let plan = CrossValidationOptions { folds: Folds::Given(vec![vec![1, 2]]), ..CrossValidationOptions::default() };
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<CrossValidationOptions>(&text).unwrap(), plan);
    // Bounds that are none are infinite, which JSON has no number for.
    let bounds = Options {
        lower: Some(vec![f64::NEG_INFINITY, -1.5, 0.0]),
        upper: Some(vec![f64::INFINITY, 2.0, 0.5]),
        ..Options::default()
    };
    let text = serde_json::to_string(&bounds).unwrap();
    assert_eq!(serde_json::from_str::<Options>(&text).unwrap(), bounds, "{text}");
    assert!(serde_json::from_str::<Options>(&text.replace("\"inf\"", "\"none\"")).is_err());
    let failed = samplewise_lasso::NoBound::Failed { objective: 1.0, bound: f64::INFINITY };
    assert_eq!(
        serde_json::from_str::<samplewise_lasso::NoBound>(&serde_json::to_string(&failed).unwrap()).unwrap(),
        failed
    );
    let fit = solve(&Design::dense(&x).unwrap(), &y, 0.1, &Options::default()).unwrap();
    let back: samplewise_lasso::Solution = serde_json::from_str(&serde_json::to_string(&fit).unwrap()).unwrap();
    assert_eq!(back, fit);
}
