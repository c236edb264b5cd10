//! A call that is stopped says so, at whatever look, and claims nothing that it does not prove.
use std::time::Duration;

use samplewise_lasso::group::{self, GroupOptions};
use samplewise_lasso::{
    CrossValidationOptions, Design, Ending, Error, Grid, Matrix, Options, Solver, Status, cross_validate_observed,
    lambda_grid_observed, largest_lambda_observed, path_observed, solve_observed,
};
use samplewise_linalg::random::{Streams, normal};
use samplewise_testkit::generate;
use samplewise_testkit::stopping::{Gap, gaps, looks, stopped_at};

#[test]
fn stopped_fits_say_so() {
    let (x, y, _) = generate::random_sparse_regression(200, 120, 10, 0.3, 3);
    let design = Design::dense(&x).unwrap();
    let grid = Grid::Geometric { count: 20, min_ratio: 0.01 };
    let mut stopped = 0;
    for solver in [Solver::Auto, Solver::WorkingSet, Solver::Homotopy, Solver::CoordinateDescent] {
        let options = Options { solver, ..Options::default() };
        for look in looks(5, 30, 4) {
            let (found, came) = stopped_at(look, |o| path_observed(&design, &y, &grid, &options, o));
            match found {
                Ok(fits) => {
                    let last = fits.last().unwrap();
                    assert_eq!(last.report.ending == Ending::Interrupted, came, "{solver:?}, look {look}");
                    assert!(
                        !came || last.status != Status::Converged || last.gap() <= 1e-8 * last.report.null_objective
                    );
                    assert!(came || fits.len() == 20);
                }
                Err(e) => assert!(came && e == Error::Interrupted, "{e}"),
            }
            let (found, came_too) = stopped_at(look, |o| solve_observed(&design, &y, 0.01, &options, o));
            assert!(
                found
                    .map_or_else(|e| e == Error::Interrupted, |f| came_too == (f.report.ending == Ending::Interrupted))
            );
            stopped += usize::from(came) + usize::from(came_too);
        }
    }
    assert!(stopped >= 20, "{stopped} runs were stopped");
}

#[test]
fn stopped_cross_validations_and_groups_say_so() {
    let (x, y, _) = generate::random_sparse_regression(200, 60, 5, 0.3, 3);
    let design = Design::dense(&x).unwrap();
    let targets = Matrix::from_fn(200, 2, |i, t| y[i] + t as f64);
    let groups = group::single_columns(&design);
    let mut stopped = 0;
    for solver in [Solver::Auto, Solver::WorkingSet] {
        let fit = Options { solver, ..Options::default() };
        let plan = CrossValidationOptions { fit, ..CrossValidationOptions::default() };
        for look in looks(6, 12, 5) {
            let (found, came) = stopped_at(look, |o| cross_validate_observed(&design, &y, &plan, o));
            match found {
                Ok(cv) => {
                    assert_eq!(cv.report.ending == Ending::Interrupted, came, "look {look}");
                    assert!(!came || !cv.converged());
                }
                Err(e) => assert!(came && e == Error::Interrupted),
            }
            stopped += usize::from(came);
        }
    }
    let grid = Grid::Geometric { count: 6, min_ratio: 0.05 };
    for look in looks(6, 12, 6) {
        let options = GroupOptions::default();
        let (fits, came) = stopped_at(look, |o| group::path_observed(&design, &targets, &groups, &grid, &options, o));
        match fits {
            Ok(fits) => {
                assert_eq!(
                    fits.last().unwrap().report.ending == Ending::Interrupted,
                    came && fits.len() <= 6,
                    "{look}"
                );
                assert!(came || fits.len() == 6);
            }
            Err(e) => assert!(came && e == Error::Interrupted),
        }
        let (fit, came) = stopped_at(look, |o| group::solve_observed(&design, &targets, &groups, 0.01, &options, o));
        assert!(came || fit.unwrap().converged());
    }
    assert!(stopped >= 6, "{stopped} runs were stopped");
}

#[test]
fn the_observer_is_asked_often() {
    let mut rng = Streams::new(7).stream(0);
    let (n, p) = (6_000, 700);
    let x: Vec<f64> = (0..n * p).map(|_| normal(&mut rng)).collect();
    let y: Vec<f64> = (0..n).map(|i| (0..20).map(|j| x[i + n * 30 * j]).sum::<f64>() + normal(&mut rng)).collect();
    let tall = Design::dense_columns(x, n, p).unwrap();
    let (n, p) = (400, 12_000);
    let x: Vec<f64> = (0..n * p).map(|_| normal(&mut rng)).collect();
    let z: Vec<f64> = (0..n).map(|i| (0..20).map(|j| x[i + n * 30 * j]).sum::<f64>() + normal(&mut rng)).collect();
    let wide = Design::dense_columns(x, n, p).unwrap();
    let options = Options::default();
    let grid = Grid::Geometric { count: 50, min_ratio: 0.02 };
    let plan = CrossValidationOptions { grid: grid.clone(), ..CrossValidationOptions::default() };
    let found: [(&str, Gap); 5] = [
        ("path, many rows", gaps(|o| path_observed(&tall, &y, &grid, &options, o).unwrap()).1),
        ("cross-validation, many rows", gaps(|o| cross_validate_observed(&tall, &y, &plan, o).unwrap()).1),
        ("path, many columns", gaps(|o| path_observed(&wide, &z, &grid, &options, o).unwrap()).1),
        ("largest lambda", gaps(|o| largest_lambda_observed(&wide, &z, &options, o).unwrap()).1),
        ("grid", gaps(|o| lambda_grid_observed(&wide, &z, &grid, &options, o).unwrap()).1),
    ];
    for (call, gap) in &found {
        println!("{call}: longest gap {:?} before {}, {} looks", gap.longest, gap.stage, gap.looks);
    }
    // Twice the contract: the tests are built with debug assertions.
    let late: Vec<_> = found.iter().filter(|(_, gap)| gap.longest > Duration::from_millis(100)).collect();
    assert!(late.is_empty(), "{late:?}");
}
