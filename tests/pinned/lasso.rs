//! The Lasso and its relatives.
use samplewise::lasso::group::{self, GroupOptions};
use samplewise::lasso::{
    CrossValidationOptions, Design, Folds, Grid, Homotopy, Options, Solution, Solver, Workspace, cross_validate, path,
    solve,
};

use crate::{Pins, gaussian, linalg::sparse};

fn pin_fit(pins: &mut Pins, name: &str, fit: &Solution) {
    pins.pin(
        format!("lasso {name}"),
        &[&fit.coefficients, &fit.intercept, &fit.objective, &fit.lower_bound.unwrap(), &fit.report.iterations],
    );
}

pub fn pin(pins: &mut Pins) {
    let x = gaussian(80, 120, 50);
    let y: Vec<f64> = gaussian(80, 1, 51).as_slice().iter().zip(0..).map(|(v, i)| v + 2.0 * x[(i, 3)]).collect();
    let dense = Design::dense(&x).unwrap();
    let s = sparse(300, 90, 52);
    let z = gaussian(300, 1, 53);
    let of_sparse = Design::sparse(&s).unwrap();
    let plain = Options { intercept: false, ..Options::default() };
    let cases = [
        ("default", Options::default()),
        ("homotopy", Options { solver: Solver::Homotopy, ..plain.clone() }),
        ("working set", Options { solver: Solver::WorkingSet, ..Options::default() }),
        ("descent", Options { solver: Solver::CoordinateDescent, ..Options::default() }),
        ("elastic net", Options { mix: 0.5, ..Options::default() }),
        ("positive", Options { positive: true, ..Options::default() }),
        ("standardized", Options { standardize: true, ..Options::default() }),
        (
            "weights",
            Options { sample_weights: Some((0..80).map(|i| f64::from(i % 4)).collect()), ..Options::default() },
        ),
    ];
    for (name, options) in &cases {
        match solve(&dense, &y, 0.1, options) {
            Ok(fit) => pin_fit(pins, name, &fit),
            Err(_) => pins.pin(format!("lasso {name} refused"), &[]),
        }
    }
    for (name, options) in [("sparse", Options::default()), ("sparse without intercept", plain.clone())] {
        pin_fit(pins, name, &solve(&of_sparse, z.as_slice(), 0.02, &options).unwrap());
    }
    for (k, fit) in path(&dense, &y, &Grid::Geometric { count: 8, min_ratio: 0.05 }, &Options::default())
        .unwrap()
        .iter()
        .enumerate()
    {
        pin_fit(pins, &format!("path {k}"), fit);
    }
    let wide = gaussian(400, 9, 54);
    let t: Vec<f64> = (0..400).map(|i| wide[(i, 0)] - wide[(i, 4)]).collect();
    let grid = Grid::Geometric { count: 20, min_ratio: 1e-3 };
    let folds = CrossValidationOptions { folds: Folds::Shuffled(4), grid, ..CrossValidationOptions::default() };
    for (name, x, y) in [("dense", &wide, &t), ("wide", &x, &y)] {
        let found = cross_validate(&Design::dense(x).unwrap(), y, &folds).unwrap();
        pins.pin(format!("lasso cross-validation {name}"), &[&found.mean_squared_error, &found.lambdas, &found.best]);
    }
    let groups: Vec<Vec<usize>> = (0..40).map(|g| (3 * g..3 * g + 3).collect()).collect();
    let targets = gaussian(80, 2, 55);
    let fit = group::solve(&dense, &targets, &groups, 0.15, &GroupOptions::default()).unwrap();
    pins.pin("lasso group", &[&fit.coefficients, &fit.intercepts]);
    let small = Homotopy::new(&gaussian(5, 30, 56)).unwrap();
    let (y, mut workspace) = (gaussian(5, 1, 57), Workspace::new());
    let fit = small.solve(y.as_slice(), 0.05, &mut workspace).unwrap();
    pins.pin("lasso small", &[&fit.coefficients, &fit.objective, &fit.lower_bound]);
    let fit = small.least_l1(y.as_slice(), &mut workspace).unwrap();
    pins.pin("lasso least l1", &[&fit.coefficients, &fit.objective]);
}
