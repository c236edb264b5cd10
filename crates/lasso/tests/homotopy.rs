//! The exact path against the working-set solver, and its own certificates computed again from the input.
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use samplewise_lasso::{
    CrossValidationOptions, Design, Error, Folds, Grid, Homotopy, Options, Route, Solver, Workspace, cross_validate,
    largest_lambda, path, solve,
};
use samplewise_linalg::Matrix;
use samplewise_testkit::generate;

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    /// LAS-5: small problems: the gap closes to rounding, the dual point is feasible, and the general solver agrees.
    #[test]
    fn small_problems_are_solved_to_rounding(k in 1_usize..12, m in 1_usize..60, seed in any::<u64>(), share in 0.001_f64..1.1) {
        let x = generate::random_matrix(k, m, seed);
        let y = generate::random_matrix(k, 1, seed ^ 1).into_vec();
        let prepared = Homotopy::new(&x).unwrap();
        let mut workspace = Workspace::new();
        let lambda = share * prepared.largest_lambda(&y).unwrap();
        let fit = prepared.solve(&y, lambda, &mut workspace).unwrap();
        let null = y.iter().map(|y| y * y).sum::<f64>() / (2.0 * k as f64);
        prop_assert!(fit.gap() <= 1e-12 * null, "{:e}", fit.gap() / null);
        for j in 0..m {
            let c: f64 = (0..k).map(|i| x[(i, j)] * fit.dual_point[i]).sum();
            prop_assert!(c.abs() <= lambda * (1.0 + 1e-9));
        }
        let dual: f64 = (0..k).map(|i| fit.dual_point[i] * y[i] - k as f64 * fit.dual_point[i].powi(2) / 2.0).sum();
        prop_assert!((dual - fit.lower_bound).abs() <= 1e-12 * null);
        let o = Options { intercept: false, tolerance: 1e-11, ..Options::default() };
        let other = solve(&Design::dense(&x).unwrap(), &y, lambda, &o).unwrap();
        prop_assert!((other.objective - fit.objective).abs() <= 1e-10 * null, "{} {}", other.objective, fit.objective);
    }

    /// LAS-5: least ℓ1 norm: the equations hold, the dual point proves the norm to be the least.
    #[test]
    fn least_norms_are_proved(k in 1_usize..12, more in 0_usize..50, seed in any::<u64>()) {
        let m = k + more;
        let x = generate::random_matrix(k, m, seed);
        let y = generate::random_matrix(k, 1, seed ^ 1).into_vec();
        let fit = Homotopy::new(&x).unwrap().least_l1(&y, &mut Workspace::new()).unwrap();
        let scale = y.iter().map(|y| y.abs()).sum::<f64>();
        // A norm much larger than the target tells of a table that is nearly singular.
        let condition = 1.0 + fit.objective / scale;
        prop_assert!(fit.residual_norm <= 1e-9 * condition * scale, "{}", fit.residual_norm);
        prop_assert!(fit.gap() <= 1e-9 * condition * condition * fit.objective, "{} {}", fit.objective, fit.lower_bound);
        prop_assert!(fit.coefficients.len() <= k);
        for j in 0..m {
            let c: f64 = (0..k).map(|i| x[(i, j)] * fit.dual_point[i]).sum();
            prop_assert!(c.abs() <= 1.0 + 1e-9);
        }
    }

    /// LAS-5: the path on the Gram matrix equals that of the working set, for weights, factors, signs and intercept.
    #[test]
    fn paths_on_the_gram_matrix_equal_those_of_the_working_set(
        n in 30_usize..80, p in 1_usize..30, seed in any::<u64>(), intercept in any::<bool>(), positive in any::<bool>(),
        weighted in any::<bool>(), factors in any::<bool>(), standardize in any::<bool>(),
    ) {
        let (x, y, _) = generate::random_sparse_regression(n, p, p.min(4), 0.5, seed);
        let o = Options {
            intercept, positive, standardize,
            tolerance: 1e-11,
            sample_weights: weighted.then(|| (0..n).map(|i| 0.5 + (i % 3) as f64).collect()),
            penalty_factors: factors.then(|| (0..p).map(|j| 0.5 + (j % 4) as f64).collect()),
            ..Options::default()
        };
        let design = Design::dense(&x).unwrap();
        let a = path(&design, &y, &Grid::Geometric { count: 12, min_ratio: 0.01 }, &Options { solver: Solver::Homotopy, ..o.clone() }).unwrap();
        let b = path(&design, &y, &Grid::Geometric { count: 12, min_ratio: 0.01 }, &Options { solver: Solver::WorkingSet, ..o.clone() }).unwrap();
        for (a, b) in a.iter().zip(&b) {
            prop_assert!(a.report.route == Route::Homotopy && a.gap() <= 1e-11 * a.report.null_objective, "{:e}", a.gap());
            prop_assert!((a.objective - b.objective).abs() <= 3e-11 * a.report.null_objective);
            prop_assert!((a.intercept - b.intercept).abs() <= 1e-4);
        }
        let grid = Grid::Geometric { count: 12, min_ratio: 0.01 };
        let cv = |solver| {
            let fit = Options { solver, ..o.clone() };
            let options = CrossValidationOptions { folds: Folds::Shuffled(4), grid: grid.clone(), seed: 3, fit };
            cross_validate(&design, &y, &options).unwrap()
        };
        let (a, b) = (cv(Solver::Homotopy), cv(Solver::WorkingSet));
        for (a, b) in a.mean_squared_error.iter().zip(&b.mean_squared_error) {
            prop_assert!((a - b).abs() <= 1e-4 * (1.0 + b), "{a} {b}");
        }
    }
}

#[test]
fn tables_with_ties_and_zeros_have_answers() {
    // Columns: twice the same, its negative, zero, and a combination.
    let x = Matrix::from_vec(3, 5, vec![1.0, 1.0, -1.0, 0.0, 2.0, 2.0, 2.0, -2.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 3.0])
        .unwrap();
    let prepared = Homotopy::new(&x).unwrap();
    let mut workspace = Workspace::new();
    for y in [[1.0, 2.0, 0.0], [0.0; 3], [1.0, 0.0, 1.0]] {
        let fit = prepared.solve(&y, 0.01, &mut workspace).unwrap();
        assert!(fit.gap() <= 1e-14 + 1e-12 * fit.objective, "{fit:?}");
        let least = prepared.least_l1(&y, &mut workspace).unwrap();
        assert!(least.objective.is_finite() && least.gap() <= 1e-9, "{least:?}");
    }
    assert!(matches!(prepared.solve(&[1.0], 0.1, &mut workspace), Err(Error::Length { .. })));
    assert!(matches!(prepared.solve(&[f64::NAN; 3], 0.1, &mut workspace), Err(Error::Entry { .. })));
    assert!(prepared.solve(&[1.0; 3], 0.0, &mut workspace).is_err());
    assert!(Homotopy::new(&Matrix::zeros(0, 2)).is_err());
    let wide = Design::dense(&generate::random_matrix(4, 9, 1)).unwrap();
    let o = Options { solver: Solver::Homotopy, mix: 0.5, ..Options::default() };
    assert!(matches!(
        path(&wide, &[1.0, 2.0, 3.0, 5.0], &Grid::Geometric { count: 5, min_ratio: 0.1 }, &o),
        Err(Error::Unsupported { .. })
    ));
    assert!(largest_lambda(&wide, &[1.0; 4], &o).unwrap() < 1e-12);
}
