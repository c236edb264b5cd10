//! Nothing that a fit claims is taken from the fit: a referee in twice the precision recomputes objective and dual value from
//! the table and the coefficients alone. The problems are those of hostile users: few rows and many columns, duplicates,
//! constants, columns that are nearly constant, units of 2^±1000.
use std::ops::ControlFlow;

use samplewise_lasso::{
    Columns, CrossValidationOptions, Design, Ending, Error, Grid, Homotopy, Options, Solution, Solver, Workspace,
    cross_validate, cross_validate_observed,
    group::{self, GroupOptions},
    largest_lambda, path, solve,
};
use samplewise_linalg::observe::{FromFn, Progress};
use samplewise_linalg::random::{StreamRng, Streams, below, normal, uniform};
use samplewise_linalg::scale::ldexp;
use samplewise_linalg::{CooBuilder, Duplicates, Matrix};
use samplewise_testkit::hostile;
use samplewise_testkit::referee::Judgement;
use samplewise_testkit::referee::lasso::{Settings, judge};

/// What the options say, for the referee. The solver drops columns that rounding cannot tell from constant or dependent ones,
/// and documents where.
fn settings(o: &Options, p: usize) -> Settings {
    Settings {
        mix: o.mix,
        intercept: o.intercept,
        standardize: o.standardize,
        weights: o.sample_weights.clone(),
        penalty_factors: o.penalty_factors.clone(),
        lower: if o.positive { Some(vec![0.0; p]) } else { o.lower.clone() },
        upper: o.upper.clone(),
        constant_below: 64.0 * f64::EPSILON,
        dependent_below: 1e-12,
    }
}

fn referee(x: &Matrix, y: &[f64], fit: &Solution, o: &Options) -> Judgement {
    judge(x, y, fit.lambda, &settings(o, x.columns()), fit.intercept, &fit.coefficients)
}

/// A random table of up to 60 rows and 200 columns, and options that go with it.
fn problem(seed: u64) -> (Matrix, Vec<f64>, Options) {
    let mut rng = Streams::new(seed).stream(0);
    let design = hostile::few_rows_many_columns(seed);
    let (mut x, y) = (design.a, design.b);
    if below(&mut rng, 3) == 0 {
        // More rows than columns as well.
        let columns = 1 + below(&mut rng, x.rows());
        x = Matrix::from_fn(x.rows(), columns.min(x.columns()), |i, j| x[(i, j)]);
    }
    let p = x.columns();
    let mut o = Options {
        intercept: below(&mut rng, 2) == 0,
        positive: below(&mut rng, 5) == 0,
        standardize: below(&mut rng, 5) == 0,
        mix: [1.0, 1.0, 1.0, 0.7, 0.2][below(&mut rng, 5)],
        ..Options::default()
    };
    if below(&mut rng, 4) == 0 {
        let weight = |rng: &mut StreamRng| if below(rng, 6) == 0 { 0.0 } else { uniform(rng) + 0.1 };
        let mut w: Vec<f64> = y.iter().map(|_| weight(&mut rng)).collect();
        w[0] = 1.0;
        o.sample_weights = Some(w);
    }
    if !o.positive && below(&mut rng, 5) == 0 {
        o.lower = Some((0..p).map(|_| [f64::NEG_INFINITY, 0.0, -0.3][below(&mut rng, 3)]).collect());
        o.upper = Some((0..p).map(|_| [f64::INFINITY, 0.0, 0.2][below(&mut rng, 3)]).collect());
    } else if !o.positive && below(&mut rng, 4) == 0 {
        o.penalty_factors =
            Some((0..p).map(|j| if j < 2 { 0.0 } else { [1.0, 0.5, 3.0][below(&mut rng, 3)] }).collect());
    }
    (x, y, o)
}

/// Row TRU-2: no fit says it converged while its gap is wider than the tolerance, and at most one in ten thousand ends at
/// the limit.
#[test]
fn no_fit_claims_what_it_has_not_reached() {
    let (mut fits, mut limits) = (0, 0);
    for seed in 0..hostile::cases(5_000) {
        let (x, y, o) = problem(seed);
        let design = Design::dense(&x).unwrap();
        let Ok(top) = largest_lambda(&design, &y, &o) else { panic!("seed {seed}") };
        // A largest λ that is rounding, because the target has nothing in common with any column, says nothing.
        let reach = x.as_slice().iter().chain(&y).fold(0.0_f64, |m, v| m.max(v.abs()));
        for share in [0.3, 0.1, 0.03, 0.01] {
            if top <= 1e-13 * reach {
                continue;
            }
            let fit = solve(&design, &y, share * top, &o).unwrap();
            let verdict = referee(&x, &y, &fit, &o);
            fits += 1;
            limits += usize::from(fit.report.ending == Ending::Limit);
            // Rounding of the answer, such as the last digit of the intercept, is allowed for.
            let digit = 4.0 * f64::EPSILON * y.iter().fold(0.0_f64, |m, y| m.max(y.abs()));
            let slack = 1e-12 * verdict.null_objective + digit * digit;
            assert!(
                (fit.objective - verdict.objective).abs() <= 10.0 * slack,
                "seed {seed} share {share}: primal {:e} for {:e}",
                fit.objective,
                verdict.objective
            );
            assert!(
                fit.lower_bound.unwrap() <= verdict.objective + slack,
                "seed {seed} share {share}: {fit:?} {verdict:?}"
            );
            assert!(
                verdict.objective <= verdict.null_objective + slack,
                "seed {seed} share {share}: worse than the null model, {verdict:?}"
            );
            if fit.converged() {
                assert!(
                    verdict.gap <= o.tolerance * verdict.null_objective + slack,
                    "seed {seed} share {share}: {fit:?} {verdict:?} {o:?}"
                );
            }
        }
    }
    assert!(limits * 10_000 <= fits.max(10_000), "{limits} of {fits} fits ended at the limit");
}

/// The table of a bug report: the coefficient that did not reach zero was set to zero, and the fit was worse than none.
#[test]
fn a_shortened_step_zeroes_no_coefficient() {
    let x = Matrix::from_vec(2, 3, vec![-0.7, 0.9, 0.1, -0.3, 1.0, 1.4]).unwrap();
    let design = Design::dense(&x).unwrap();
    let o = Options { intercept: false, ..Options::default() };
    for solver in [Solver::Auto, Solver::WorkingSet, Solver::CoordinateDescent] {
        let fit = solve(&design, &[0.1, -0.3], 0.0205, &Options { solver, ..o.clone() }).unwrap();
        assert!(fit.converged() && (fit.objective - 0.007_203_6).abs() < 1e-7, "{fit:?}");
    }
}

/// Objectives of a path fall with λ, whatever the table.
#[test]
fn objectives_fall_with_lambda() {
    for seed in 0..500 {
        let design = hostile::few_rows_many_columns(3 * seed);
        let o = Options { positive: seed % 2 == 0, ..Options::default() };
        let table = Design::dense(&design.a).unwrap();
        let fits = path(&table, &design.b, &Grid::Geometric { count: 12, min_ratio: 1e-3 }, &o).unwrap();
        for (k, pair) in fits.windows(2).enumerate() {
            let slack = 2e-8 * pair[0].report.null_objective;
            assert!(pair[1].objective <= pair[0].objective + slack, "seed {seed} at {k}: {pair:?}");
        }
    }
}

/// Row TRU-3: beside a nearly constant unpenalised column no certificate is false, and what is returned is what was judged.
#[test]
fn nearly_constant_columns_have_true_certificates() {
    for seed in 0..300 {
        let level = [1e3, 1e4, 1e5, 1e6][seed as usize % 4];
        let deviation = [1.0, 1e-3, 1e-7][seed as usize / 4 % 3];
        let table = hostile::nearly_constant_column(40, 6, level, deviation, seed);
        let (x, y) = (table.a, table.b);
        for free in [true, false] {
            let factors: Vec<f64> = (0..6).map(|j| if j == 0 && free { 0.0 } else { 1.0 }).collect();
            let o = Options { penalty_factors: Some(factors), ..Options::default() };
            let mut coo = CooBuilder::new(40, 6);
            for i in 0..40 {
                (0..6).for_each(|j| coo.push(i, j, x[(i, j)]).unwrap());
            }
            let sparse = Design::sparse(&coo.build(Duplicates::Error).unwrap()).unwrap();
            for design in [Design::dense(&x).unwrap(), sparse] {
                let top = largest_lambda(&design, &y, &o).unwrap();
                let fit = solve(&design, &y, 0.1 * top, &o).unwrap();
                let verdict = referee(&x, &y, &fit, &o);
                let null = verdict.null_objective;
                let what = format!("seed {seed} level {level:e} ± {deviation:e} free {free} {design:?}");
                assert!((fit.objective - verdict.objective).abs() <= 1e-10 * null, "{what}: {fit:?} {verdict:?}");
                // The referee's dual value is the best there is at this residual; the minimum is between it and the
                // objective.
                assert!(fit.lower_bound.unwrap() <= verdict.objective + 1e-12 * null, "{what}: {fit:?} {verdict:?}");
                if fit.converged() {
                    assert!(
                        verdict.objective - fit.lower_bound.unwrap() <= 1.001e-8 * null,
                        "{what}: {fit:?} {verdict:?}"
                    );
                }
            }
        }
    }
}

/// Row TRU-1: a target and columns in other units give the same fit in these units, to 1e-12.
#[test]
fn units_do_not_matter() {
    let (x, y, o) = (hostile::few_rows_many_columns(7).a, hostile::few_rows_many_columns(7).b, Options::default());
    let plain = Design::dense(&x).unwrap();
    let lambda = 0.1 * largest_lambda(&plain, &y, &o).unwrap();
    let expected = solve(&plain, &y, lambda, &o).unwrap();
    let scale = |v: f64, e: i32| samplewise_linalg::scale::ldexp(v, e);
    for e in hostile::POWERS_OF_TWO {
        // Beyond 2^500 the objective itself is no number of double precision.
        let target: Vec<f64> = y.iter().map(|v| scale(*v, e)).collect();
        match solve(&plain, &target, scale(lambda, e), &o) {
            Ok(fit) => {
                assert_eq!(fit.status, expected.status, "target 2^{e}: {fit:?}");
                let back: Vec<(usize, f64)> = fit.coefficients.iter().map(|c| (c.0, scale(c.1, -e))).collect();
                let close =
                    back.iter().zip(&expected.coefficients).all(|(a, b)| (a.1 - b.1).abs() <= 1e-12 * b.1.abs());
                assert!(close && back.len() == expected.coefficients.len(), "target 2^{e}: {back:?}");
            }
            Err(error) => assert!(e > 480, "target 2^{e}: {error}"),
        }
        let table = Design::dense(&Matrix::from_fn(x.rows(), x.columns(), |i, j| scale(x[(i, j)], e))).unwrap();
        let fit = solve(&table, &y, scale(lambda, e), &o).unwrap();
        assert_eq!(fit.status, expected.status, "columns 2^{e}");
        let back: Vec<(usize, f64)> = fit.coefficients.iter().map(|c| (c.0, scale(c.1, e))).collect();
        let close = back.iter().zip(&expected.coefficients).all(|(a, b)| (a.1 - b.1).abs() <= 1e-12 * b.1.abs());
        assert!(close, "columns 2^{e}: {back:?} {:?}", expected.coefficients);
    }
}

/// An interrupted fit keeps the best of what it saw, with a certificate that a referee confirms.
#[test]
fn interrupted_fits_have_certificates() {
    use samplewise_linalg::observe::FromFn;
    use std::ops::ControlFlow;
    for seed in 0..60 {
        let mut rng = Streams::new(seed).stream(1);
        let x = Matrix::from_fn(30, 60, |_, _| normal(&mut rng));
        let y: Vec<f64> = (0..30).map(|i| x.row(i)[..3].iter().sum::<f64>()).collect();
        let (design, o) = (Design::dense(&x).unwrap(), Options::default());
        let lambda = 0.01 * largest_lambda(&design, &y, &o).unwrap();
        for stop in 0..6 {
            let mut steps = 0;
            let mut observer = FromFn(|_| {
                steps += 1;
                if steps > stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            let fits =
                samplewise_lasso::path_observed(&design, &y, &Grid::Values(vec![lambda]), &o, &mut observer).unwrap();
            let fit = &fits[0];
            let verdict = referee(&x, &y, fit, &o);
            assert_eq!(fit.report.ending, Ending::Interrupted, "seed {seed} stop {stop}");
            assert!((fit.objective - verdict.objective).abs() <= 1e-11 * verdict.null_objective, "{fit:?} {verdict:?}");
            assert!(
                fit.lower_bound.unwrap() <= verdict.objective && verdict.objective <= verdict.null_objective,
                "{fit:?} {verdict:?}"
            );
        }
    }
}

/// Row TRU-2: a sparse table with columns that hardly vary beside their mean is judged as the dense one.
#[test]
fn sparse_columns_beside_a_large_mean_have_true_certificates() {
    let (mut fits, mut converged) = (0, 0);
    for seed in 0..hostile::cases(600) {
        let mut rng = Streams::new(seed).stream(5);
        let (n, p) = (3 + below(&mut rng, 30), 1 + below(&mut rng, 12));
        let level = [1e3, 1e6, 1e9, 1e12][below(&mut rng, 4)];
        let x = Matrix::from_fn(n, p, |_, j| normal(&mut rng) + if j % 2 == 0 { level } else { 0.0 });
        let y: Vec<f64> = (0..n).map(|i| x[(i, 0)] - level + 0.3 * normal(&mut rng)).collect();
        let mut table = CooBuilder::new(n, p);
        (0..n).for_each(|i| (0..p).for_each(|j| table.push(i, j, x[(i, j)]).unwrap()));
        let design = Design::sparse(&table.build(Duplicates::Sum).unwrap()).unwrap();
        let o = Options::default();
        let top = largest_lambda(&design, &y, &o).unwrap();
        for solver in [Solver::Auto, Solver::WorkingSet, Solver::CoordinateDescent] {
            for share in [0.1, 1e-3, 1e-6] {
                let fit = solve(&design, &y, share * top, &Options { solver, ..o.clone() }).unwrap();
                let verdict = referee(&x, &y, &fit, &o);
                let slack = 1e-11 * verdict.null_objective;
                let name = format!("seed {seed} {n}x{p} level {level:e} share {share} {solver:?}");
                assert!(fit.lower_bound.unwrap() <= verdict.objective + slack, "{name}: {fit:?} {verdict:?}");
                assert!((fit.objective - verdict.objective).abs() <= slack, "{name}: {fit:?} {verdict:?}");
                fits += 1;
                converged += usize::from(fit.converged());
                if fit.converged() && level <= 1e9 {
                    assert!(verdict.gap <= 2.0 * o.tolerance * verdict.null_objective + slack, "{name}: {verdict:?}");
                }
            }
        }
    }
    // The table of a bug report: the null model was called the minimum.
    let values = [
        [999_999_999.238_334_8, 1_000_000_000.344_106_4],
        [1_000_000_000.913_315_8, 1_000_000_001.165_109_9],
        [999_999_999.616_48, 1_000_000_000.278_526_2],
    ];
    let mut table = CooBuilder::new(3, 2);
    (0..3).for_each(|i| (0..2).for_each(|j| table.push(i, j, values[i][j]).unwrap()));
    let design = Design::sparse(&table.build(Duplicates::Sum).unwrap()).unwrap();
    let y = [-0.907_833_226_531_262_7, 0.156_157_293_805_507_94, 1.243_814_199_093_307_8];
    let fit = solve(&design, &y, 1.316_989_285_255_778e-7, &Options::default()).unwrap();
    assert!(fit.lower_bound.unwrap() < 1e-4 && fit.objective < 1e-4, "{fit:?}");
    assert!(converged * 10 > fits * 9, "{converged} of {fits} converged");
}

/// Coefficients that no number can hold are an error or no claim, whatever the solver.
#[test]
fn coefficients_outside_of_the_range_claim_nothing() {
    let shape = [1.0, -0.5, 0.25, -0.75];
    let target = [1.0, -0.4, 0.1, -0.9];
    let fit = |x_exponent: i32, y_exponent: i32, o: &Options| {
        let x = Matrix::from_fn(4, 1, |i, _| shape[i] * 2.0_f64.powi(x_exponent));
        let y: Vec<f64> = target.iter().map(|v| v * 2.0_f64.powi(y_exponent)).collect();
        let design = Design::dense(&x).unwrap();
        // Zero where the ridge leaves no column that takes part.
        let top = largest_lambda(&design, &y, o).unwrap();
        solve(&design, &y, 0.01 * if top > 0.0 { top } else { ldexp(1.0, x_exponent) }, o)
    };
    for intercept in [false, true] {
        let o = Options { intercept, ..Options::default() };
        // The coefficient would be about 2^1064.
        let error = fit(-664, 400, &o).unwrap_err();
        assert!(error.to_string().contains("coefficient of the solution"), "{error}");
        // And here about 2^-1100.
        let small = fit(664, -436, &o).unwrap();
        assert!(small.coefficients.is_empty() && !small.converged(), "{small:?}");
    }
    // The ridge of such a column is 2^1800 times that of the others, and its coefficient zero.
    for exponent in [-600, -700, -900] {
        let o = Options { mix: 0.5, intercept: false, ..Options::default() };
        let tiny = fit(exponent, 0, &o).unwrap();
        let size: f64 = tiny.coefficients.iter().map(|c| 0.25 * tiny.lambda * c.1 * c.1).sum();
        assert!(size <= tiny.objective, "2^{exponent}: {tiny:?}");
    }
}

/// Cross-validation is the same in any units of the target, and says when it was stopped.
#[test]
fn cross_validation_has_units_and_an_end() {
    let mut rng = Streams::new(8).stream(0);
    for (n, p) in [(60, 8), (20, 40)] {
        let x = Matrix::from_fn(n, p, |_, _| normal(&mut rng));
        let y: Vec<f64> = (0..n).map(|i| x[(i, 0)] - 0.5 * x[(i, 1)] + 0.3 * normal(&mut rng)).collect();
        let design = Design::dense(&x).unwrap();
        let grid = Grid::Geometric { count: 20, min_ratio: 1e-3 };
        let folds = CrossValidationOptions { grid, ..CrossValidationOptions::default() };
        let plain = cross_validate(&design, &y, &folds).unwrap();
        assert!(plain.report.ending == Ending::Finished && plain.report.folds == 5);
        for e in [-500, -450, -300, 300, 500] {
            let scaled: Vec<f64> = y.iter().map(|v| ldexp(*v, e)).collect();
            let found = cross_validate(&design, &scaled, &folds).unwrap();
            assert_eq!(found.best, plain.best, "2^{e}");
            for (a, b) in found.mean_squared_error.iter().zip(&plain.mean_squared_error) {
                let expected = ldexp(*b, 2 * e);
                assert!((a - expected).abs() <= 1e-6 * expected, "2^{e}: {a:e} for {expected:e}");
            }
            let best = &found.path[found.best];
            for (a, b) in best.coefficients.iter().zip(&plain.path[plain.best].coefficients) {
                assert!(a.0 == b.0 && (ldexp(a.1, -e) - b.1).abs() < 1e-6, "2^{e}");
            }
        }
        let mut seen = 0;
        let mut stop = FromFn(|progress: Progress| {
            seen += usize::from(progress.stage == "folds" || progress.stage == "path");
            if seen == 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match cross_validate_observed(&design, &y, &folds, &mut stop) {
            Ok(stopped) => assert!(stopped.report.ending == Ending::Interrupted && stopped.report.folds < 5, "{n}x{p}"),
            Err(error) => assert_eq!(error, Error::Interrupted),
        }
    }
}

/// The objective of a group fit is that of the numbers returned, also beside a large constant.
#[test]
fn group_fits_beside_a_large_constant_are_judged_as_returned() {
    for seed in 0..40 {
        let mut rng = Streams::new(seed).stream(7);
        let (n, p) = (20, 6);
        let x = Matrix::from_fn(n, p, |_, _| normal(&mut rng));
        let offset = [0.0, 1e6, 1e10, 1e14][seed as usize % 4];
        let y = Matrix::from_fn(n, 2, |i, t| offset + x[(i, t)] + 0.05 * normal(&mut rng));
        let design = Design::dense(&x).unwrap();
        let groups = group::single_columns(&design);
        let o = GroupOptions { tolerance: 1e-8, ..GroupOptions::default() };
        let top = group::largest_lambda(&design, &y, &groups, &o).unwrap();
        let fit = group::solve(&design, &y, &groups, 0.01 * top, &o).unwrap();
        let mut objective = 0.0;
        for t in 0..2 {
            let terms: Vec<(usize, f64)> = fit.coefficients.iter().map(|(j, row)| (*j, row[t])).collect();
            let judged =
                judge(&x, &y.copy_column(t), 0.0, &settings(&Options::default(), p), fit.intercepts[t], &terms);
            objective += judged.objective;
        }
        let norm = |row: &[f64]| row.iter().map(|v| v * v).sum::<f64>().sqrt();
        objective += fit.lambda * fit.coefficients.iter().map(|c| norm(&c.1)).sum::<f64>();
        let slack = 1e-9 * fit.report.null_objective;
        assert!((fit.objective - objective).abs() <= slack, "offset {offset:e}: {:e} for {objective:e}", fit.objective);
        assert!(!fit.converged() || fit.gap() <= 1e-8 * fit.report.null_objective);
    }
}

/// Row LAS-5: columns of any sizes beside each other.
#[test]
fn paths_of_small_tables_do_not_depend_on_the_size_of_other_columns() {
    for size in [1.0, 1e7, 1e13, 1e14, 1e20, 1e100] {
        let small = Homotopy::new(&Matrix::from_vec(2, 2, vec![1.0, 0.0, 0.0, size]).unwrap()).unwrap();
        let mut workspace = Workspace::new();
        let point = small.least_l1(&[1.0, 0.0], &mut workspace).unwrap();
        assert_eq!(point.coefficients, [(0, 1.0)], "{size:e}: {point:?}");
        assert!(point.residual_norm < 1e-12, "{size:e}: {point:?}");
        let fit = small.solve(&[1.0, 0.0], 0.05, &mut workspace).unwrap();
        assert!((fit.coefficients[0].1 - 0.9).abs() < 1e-12 && fit.gap() < 1e-12, "{size:e}: {fit:?}");
    }
}

/// Row LAS-1: a column that varies by little beside its mean, or where hardly any weight lies, is no constant.
#[test]
fn columns_that_hardly_vary_take_part() {
    let x = Matrix::from_vec(4, 1, vec![1.0, 1.0 + 1e-9, 1.0, 1.0 + 1e-9]).unwrap();
    let weights = Some(vec![1e10, 1.0, 1e10, 1.0]);
    let options = Options { sample_weights: weights, ..Options::default() };
    let fit = solve(&Design::dense(&x).unwrap(), &[0.0, 1.0, 0.0, 1.0], 1e-30, &options).unwrap();
    assert!(!fit.converged() || fit.objective < 1e-6 * fit.report.null_objective, "{fit:?}");
    let little = 1.0 + 60.0 * f64::EPSILON;
    let x = Matrix::from_vec(4, 1, vec![1.0, little, 1.0, little]).unwrap();
    let options = Options { standardize: true, ..Options::default() };
    let fit = solve(&Design::dense(&x).unwrap(), &[0.0, 1.0, 0.0, 1.0], 0.01, &options).unwrap();
    assert!(!fit.converged() || fit.objective < 0.1 * fit.report.null_objective, "{fit:?}");
}

/// Columns of a design of one's own are products: what hardly varies beside its mean is refused, what does not vary is none.
#[test]
fn own_columns_that_hardly_vary_are_refused() {
    struct Own(Vec<Vec<f64>>);
    impl Columns for Own {
        fn rows(&self) -> usize {
            self.0[0].len()
        }

        fn columns(&self) -> usize {
            self.0.len()
        }

        fn dot(&self, j: usize, v: &[f64]) -> f64 {
            self.0[j].iter().zip(v).map(|(x, v)| x * v).sum()
        }
        fn add(&self, j: usize, factor: f64, v: &mut [f64]) {
            v.iter_mut().zip(&self.0[j]).for_each(|(v, x)| *v += factor * x);
        }
    }
    let y: Vec<f64> = (0..7).map(|i| f64::from(i % 3)).collect();
    let other: Vec<f64> = (0..7).map(|i| f64::from(i * i % 5)).collect();
    for value in [0.1, 1.0 / 3.0, 1e9 + 0.3, -7.7] {
        let constant = Own(vec![vec![value; 7], other.clone()]);
        let design = Design::custom(std::sync::Arc::new(constant)).unwrap();
        assert!(solve(&design, &y, 0.01, &Options::default()).unwrap().converged(), "{value}");
        let mut nearly = vec![value; 7];
        nearly[3] = value * (1.0 + 8.0 * f64::EPSILON);
        let design = Design::custom(std::sync::Arc::new(Own(vec![nearly, other.clone()]))).unwrap();
        let refused = solve(&design, &y, 0.01, &Options::default()).unwrap_err().to_string();
        assert!(refused.contains("deviation of a column"), "{value}: {refused}");
    }
}
