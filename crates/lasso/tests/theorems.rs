//! One test per row of paper-refs.md; the certificate is recomputed here from input and answer alone.
use std::ops::ControlFlow;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use samplewise_lasso::{
    ArgumentError, CrossValidationOptions, Design, Ending, Error, Grid, Options, Route, Solution, Solver, Status,
    cross_validate, largest_lambda, path, path_observed, solve,
};
use samplewise_linalg::observe::FromFn;
use samplewise_linalg::random::{Streams, normal, uniform};
use samplewise_linalg::{CooBuilder, CsrMatrix, Duplicates, Matrix};
use samplewise_testkit::generate;

/// Objective and a dual feasible value from the definition: no code of the crate.
fn referee(x: &Matrix, y: &[f64], lambda: f64, o: &Options, s: &Solution) -> (f64, f64) {
    let (n, p) = (x.rows(), x.columns());
    let mut weights = o.sample_weights.clone().unwrap_or_else(|| vec![1.0; n]);
    let total: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w *= n as f64 / total);
    let factors = o.penalty_factors.clone().unwrap_or_else(|| vec![1.0; p]);
    let r: Vec<f64> =
        (0..n).map(|i| y[i] - s.intercept - s.coefficients.iter().map(|&(j, w)| x[(i, j)] * w).sum::<f64>()).collect();
    let loss: f64 = r.iter().zip(&weights).map(|(r, w)| w * r * r).sum::<f64>() / (2.0 * n as f64);
    let penalty: f64 =
        s.coefficients.iter().map(|&(j, w)| factors[j] * (o.mix * w.abs() + 0.5 * (1.0 - o.mix) * w * w)).sum::<f64>()
            * lambda;
    // The dual point u = t r; with an intercept the weighted residuals must sum to zero, which optimality gives.
    let c: Vec<f64> = (0..p).map(|j| (0..n).map(|i| weights[i] * x[(i, j)] * r[i]).sum::<f64>() / n as f64).collect();
    let z = |j: usize| if o.positive { c[j].max(0.0) } else { c[j].abs() };
    let square = 2.0 * loss;
    let target = r.iter().zip(&weights).zip(y).map(|((r, w), y)| w * r * y).sum::<f64>() / n as f64;
    let limit = (0..p).map(|j| lambda * o.mix * factors[j] / z(j).max(1e-300)).fold(f64::INFINITY, f64::min);
    let t = (target / square.max(1e-300)).clamp(-limit, limit);
    let mut dual = t * target - 0.5 * t * t * square;
    if o.mix < 1.0 {
        let conjugate: f64 = (0..p)
            .map(|j| {
                (z(j) - lambda * o.mix * factors[j]).max(0.0).powi(2) / (2.0 * lambda * (1.0 - o.mix) * factors[j])
            })
            .sum();
        dual = dual.max(target - 0.5 * square - conjugate);
    }
    (loss + penalty, dual)
}

fn sparse_copy(x: &Matrix) -> CsrMatrix {
    let mut coo = CooBuilder::new(x.rows(), x.columns());
    for i in 0..x.rows() {
        for j in 0..x.columns() {
            if x[(i, j)] != 0.0 {
                coo.push(i, j, x[(i, j)]).unwrap();
            }
        }
    }
    coo.build(Duplicates::Error).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    /// LAS-1: for every option the reported objective is the true one, the dual value is below it and the referee's own
    /// gap closes; dense and sparse designs give the same fit.
    #[test]
    fn certificates_are_right_for_every_option(
        n in 2_usize..40, p in 1_usize..30, seed in any::<u64>(), mix in prop_oneof![Just(1.0), Just(0.5)],
        intercept in any::<bool>(), positive in any::<bool>(), weighted in any::<bool>(), factors in any::<bool>(),
        fraction in 0.02_f64..1.2,
    ) {
        let (mut x, y, _) = generate::random_sparse_regression(n, p, p.min(3), 0.5, seed);
        x.as_mut_slice().iter_mut().enumerate().for_each(|(i, v)| *v = if i % 3 == 0 { 0.0 } else { *v + 0.3 });
        let o = Options {
            mix, intercept, positive,
            sample_weights: weighted.then(|| (0..n).map(|i| 0.5 + (i % 3) as f64).collect()),
            penalty_factors: factors.then(|| (0..p).map(|j| 0.5 + (j % 4) as f64).collect()),
            ..Options::default()
        };
        let dense = Design::dense(&x).unwrap();
        let lambda = fraction * largest_lambda(&dense, &y, &o).unwrap().max(1e-3);
        let fit = solve(&dense, &y, lambda, &o).unwrap();
        prop_assert_eq!(fit.status, Status::Converged);
        let (primal, dual) = referee(&x, &y, lambda, &o, &fit);
        let scale = fit.report.null_objective;
        prop_assert!((primal - fit.objective).abs() <= 1e-10 * scale.max(primal), "{} {}", primal, fit.objective);
        prop_assert!(fit.lower_bound.unwrap() <= fit.objective + 1e-12 * scale);
        prop_assert!(primal - dual <= 1e-6 * scale, "gap of the referee {}", primal - dual);
        if fraction > 1.0 { prop_assert!(fit.coefficients.is_empty()); }
        let other = solve(&Design::sparse(&sparse_copy(&x)).unwrap(), &y, lambda, &o).unwrap();
        prop_assert!((other.objective - fit.objective).abs() <= 2e-8 * scale, "{} {}", other.objective, fit.objective);
    }
}

/// LAS-2: optimality conditions by brute force: on all 3^4 sign patterns of four columns none has a lower objective.
#[test]
fn no_sign_pattern_beats_the_solution() {
    for seed in 0..20 {
        let (x, y, _) = generate::random_sparse_regression(12, 4, 2, 0.5, seed);
        let o = Options { intercept: false, tolerance: 1e-12, ..Options::default() };
        let design = Design::dense(&x).unwrap();
        let lambda = 0.2 * largest_lambda(&design, &y, &o).unwrap();
        let fit = solve(&design, &y, lambda, &o).unwrap();
        let mut best = f64::INFINITY;
        for pattern in 0..81_usize {
            let signs: Vec<f64> = (0..4).map(|j| (pattern / 3_usize.pow(j) % 3) as f64 - 1.0).collect();
            let active: Vec<usize> = (0..4).filter(|&j| signs[j] != 0.0).collect();
            // Stationary point of the smooth problem with these signs, kept if its signs agree.
            let a = Matrix::from_fn(12, active.len().max(1), |i, c| active.get(c).map_or(0.0, |&j| x[(i, j)]));
            let g = samplewise_linalg::gram::gram(&a, None, Some(&y)).unwrap();
            let mut w: Vec<f64> = g
                .right
                .iter()
                .enumerate()
                .map(|(c, b)| b - 12.0 * lambda * active.get(c).map_or(0.0, |&j| signs[j]))
                .collect();
            if active.is_empty() {
                w = vec![0.0];
            } else {
                samplewise_linalg::factor::Cholesky::new(&g.matrix, 0.0).unwrap().solve_in_place(&mut w);
            }
            let mut fitted = vec![0.0; 12];
            a.multiply_vector_into(&w, &mut fitted);
            let loss: f64 = y.iter().zip(&fitted).map(|(y, f)| (y - f).powi(2)).sum::<f64>() / 24.0;
            if w.iter().zip(&active).all(|(w, &j)| w * signs[j] > 0.0) || active.is_empty() {
                best = best.min(loss + lambda * w.iter().map(|w| w.abs()).sum::<f64>());
            }
        }
        assert!(
            (fit.objective - best).abs() < 1e-10 * fit.report.null_objective,
            "seed {seed}: {} {best}",
            fit.objective
        );
    }
}

/// LAS-3: the ends of the path are pinned: nothing at λ_max, something at 0.99 λ_max; every gap closes; objectives
/// along the path equal cold starts.
#[test]
fn the_path_starts_at_the_largest_lambda_and_equals_cold_starts() {
    let (x, y, _) = generate::random_sparse_regression(80, 300, 10, 0.3, 1);
    let design = Design::dense(&x).unwrap();
    let o = Options::default();
    let top = largest_lambda(&design, &y, &o).unwrap();
    assert!(solve(&design, &y, top, &o).unwrap().coefficients.is_empty());
    assert!(!solve(&design, &y, 0.99 * top, &o).unwrap().coefficients.is_empty());
    let fits = path(&design, &y, &Grid::Geometric { count: 20, min_ratio: 0.01 }, &o).unwrap();
    for f in &fits {
        assert!(f.gap() <= 1e-8 * f.report.null_objective && f.status == Status::Converged);
        let cold = solve(&design, &y, f.lambda, &o).unwrap();
        assert!((cold.objective - f.objective).abs() <= 2e-8 * f.report.null_objective);
    }
}

/// LAS-3: a row twice is weight two; scaled columns scale their coefficients under standardisation.
#[test]
fn weights_count_rows_and_standardisation_ignores_units() {
    let (x, y, _) = generate::random_sparse_regression(30, 8, 3, 0.3, 2);
    let twice: Vec<usize> = (0..30).chain(0..10).collect();
    let doubled = Design::dense(&x.select_rows(&twice)).unwrap();
    let y_twice: Vec<f64> = twice.iter().map(|&i| y[i]).collect();
    let o = Options { tolerance: 1e-12, ..Options::default() };
    let weighted =
        Options { sample_weights: Some((0..30).map(|i| if i < 10 { 2.0 } else { 1.0 }).collect()), ..o.clone() };
    let a = solve(&doubled, &y_twice, 0.1, &o).unwrap();
    let b = solve(&Design::dense(&x).unwrap(), &y, 0.1, &weighted).unwrap();
    for j in 0..8 {
        assert!((a.coefficient(j) - b.coefficient(j)).abs() < 1e-5, "{a:?} {b:?}");
    }
    let scaled = Matrix::from_fn(30, 8, |i, j| x[(i, j)] * if j == 2 { 1000.0 } else { 1.0 });
    let standard = Options { standardize: true, ..o };
    let a = solve(&Design::dense(&x).unwrap(), &y, 0.1, &standard).unwrap();
    let b = solve(&Design::dense(&scaled).unwrap(), &y, 0.1, &standard).unwrap();
    assert!((a.coefficient(2) - 1000.0 * b.coefficient(2)).abs() < 1e-5);
}

#[test]
fn cross_validation_finds_the_support() {
    let (x, y, truth) = generate::random_sparse_regression(200, 60, 5, 0.3, 3);
    let design = Design::dense(&x).unwrap();
    let cv = cross_validate(
        &design,
        &y,
        &CrossValidationOptions {
            grid: Grid::Geometric { count: 40, min_ratio: 1e-3 },
            ..CrossValidationOptions::default()
        },
    )
    .unwrap();
    let best = &cv.path[cv.best];
    for (j, t) in truth.iter().enumerate().filter(|t| *t.1 != 0.0) {
        assert!((best.coefficient(j) - t).abs() < 0.2, "column {j}");
    }
    assert!(cv.mean_squared_error[cv.best] < 0.2 && cv.best > 0);
}

#[test]
fn bad_input_names_the_argument() {
    let x = generate::random_matrix(5, 3, 1);
    let design = Design::dense(&x).unwrap();
    let y = [1.0, 2.0, 3.0, 4.0, 5.0];
    let o = Options::default();
    assert!(matches!(solve(&design, &y[..4], 0.1, &o), Err(Error::Length { argument: "y", .. })));
    for lambda in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(solve(&design, &y, lambda, &o), Err(Error::Argument(ArgumentError { name: "lambda", .. }))));
    }
    let bad = Options { mix: 0.0, ..o.clone() };
    assert!(matches!(solve(&design, &y, 0.1, &bad), Err(Error::Argument(ArgumentError { name: "mix", .. }))));
    let bad = Options { sample_weights: Some(vec![1.0, -1.0, 1.0, 1.0, 1.0]), ..o.clone() };
    assert!(matches!(solve(&design, &y, 0.1, &bad), Err(Error::Entry { argument: "sample_weights", .. })));
    assert!(Design::dense(&Matrix::zeros(0, 3)).is_err());
    let mut nan = x.clone();
    nan[(1, 2)] = f64::NAN;
    assert!(Design::dense(&nan).is_err());
    // Constant targets and constant columns have an answer.
    let fit = solve(&design, &[2.0; 5], 0.1, &o).unwrap();
    assert!(fit.coefficients.is_empty() && (fit.intercept - 2.0).abs() < 1e-12);
}

/// LAS-1: a column with a large mean beside a small spread (a time stamp) is fitted like its centred copy, and a column
/// too large to square is scaled.
#[test]
fn columns_far_from_zero_are_not_frozen() {
    let y: Vec<f64> = (0..100).map(f64::from).collect();
    let stamp = Matrix::from_fn(100, 2, |i, j| if j == 0 { 1.7e9 + i as f64 } else { ((i * 37) % 11) as f64 });
    let near = Matrix::from_fn(100, 2, |i, j| if j == 0 { i as f64 } else { ((i * 37) % 11) as f64 });
    let fit = |x: &Matrix| solve(&Design::dense(x).unwrap(), &y, 1.0, &Options::default()).unwrap();
    let (far, close) = (fit(&stamp), fit(&near));
    assert_eq!(far.status, Status::Converged);
    assert!((far.coefficient(0) - close.coefficient(0)).abs() < 1e-6, "{far:?} {close:?}");
    let huge = Matrix::from_fn(100, 2, |i, j| if j == 0 { 1e200 * i as f64 } else { 1.0 + i as f64 });
    let fit = fit(&huge);
    assert!(fit.converged() && (1e200 * fit.coefficient(0) - 1.0).abs() < 1e-9, "{fit:?}");
}

/// LAS-2: the same bits for 1, 2 and 3 threads, on a table large enough for the parallel passes.
#[test]
fn results_do_not_depend_on_threads() {
    let (x, y, _) = generate::random_sparse_regression(300, 600, 20, 0.5, 4);
    let design = Design::dense(&x).unwrap();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            path(&design, &y, &Grid::Geometric { count: 12, min_ratio: 0.05 }, &Options::default()).unwrap()
        })
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(3));
}

/// LAS-4: on a fine path of many columns certificates skip a good part of them, and brute force agrees with every gap.
#[test]
fn certificates_that_skip_columns_are_right() {
    for seed in 0..6 {
        let (x, y, _) = generate::random_sparse_regression(60, 400, 6, 0.5, seed);
        let o = Options { intercept: false, tolerance: 1e-9, ..Options::default() };
        let fits = path(&Design::dense(&x).unwrap(), &y, &Grid::Geometric { count: 150, min_ratio: 0.3 }, &o).unwrap();
        let read: usize = fits.iter().map(|f| f.report.columns_checked).sum();
        assert!(read < 150 * 400 * 9 / 10, "{read} columns read");
        for fit in &fits {
            let (primal, dual) = referee(&x, &y, fit.lambda, &o, fit);
            assert!(primal - dual <= 1e-9 * fit.report.null_objective + 1e-13, "{:e} at {}", primal - dual, fit.lambda);
        }
    }
}

/// LAS-2: sparse columns by descent, by the Gram matrix and by whichever costs less; correlated columns end on the Gram
/// matrix, near-orthogonal ones do not.
#[test]
fn sparse_columns_have_one_answer_whichever_way_they_took() {
    for (correlated, n, p, ratio) in [(true, 400, 900, 0.01), (false, 2_000, 300, 0.5)] {
        let mut rng = Streams::new(1).stream(0);
        let x = Matrix::from_fn(n, p, |i, _| {
            let busy = if correlated { i < 60 } else { true };
            let value = if correlated { 1.0 + 0.1 * normal(&mut rng) } else { normal(&mut rng) };
            if busy && uniform(&mut rng) < 0.5 { value } else { 0.0 }
        });
        let y: Vec<f64> = (0..n)
            .map(|i| (0..12).map(|j| x[(i, 7 * j)] * (1.0 + j as f64 / 4.0)).sum::<f64>() + 0.05 * normal(&mut rng))
            .collect();
        let design = Design::sparse(&sparse_copy(&x)).unwrap();
        let base = Options { intercept: false, tolerance: 1e-7, ..Options::default() };
        let lambda = ratio * largest_lambda(&design, &y, &base).unwrap();
        let run = |solver| {
            let o = Options { solver, ..base.clone() };
            let fit = solve(&design, &y, lambda, &o).unwrap();
            let (primal, dual) = referee(&x, &y, lambda, &o, &fit);
            assert_eq!(fit.status, Status::Converged);
            assert!(primal - dual <= 1.01e-7 * fit.report.null_objective, "{solver:?}: {:e}", primal - dual);
            (primal, fit)
        };
        let (best, auto) = run(Solver::Auto);
        for solver in [Solver::WorkingSet, Solver::CoordinateDescent] {
            let (primal, fit) = run(solver);
            assert!((primal - best).abs() <= 2e-7 * fit.report.null_objective, "{solver:?}: {primal} {best}");
        }
        let expected = if correlated { Route::WorkingSet } else { Route::CoordinateDescent };
        assert_eq!(auto.report.route, expected, "correlated: {correlated}");
    }
}

/// Stopped anywhere, a path keeps what is done, and the certificate of the last fit is right.
#[test]
fn an_interrupted_path_is_certified_as_far_as_it_came() {
    let (x, y, _) = generate::random_sparse_regression(60, 300, 20, 0.5, 3);
    for (solver, design) in [
        (Solver::Auto, Design::dense(&x).unwrap()),
        (Solver::Auto, Design::sparse(&sparse_copy(&x)).unwrap()),
        (Solver::CoordinateDescent, Design::dense(&x).unwrap()),
    ] {
        let o = Options { intercept: false, tolerance: 1e-10, solver, ..Options::default() };
        let top = largest_lambda(&design, &y, &o).unwrap();
        let mut finished = false;
        for most in 1.. {
            let mut calls = 0;
            let mut observer = FromFn(|_| {
                calls += 1;
                if calls < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            let fits =
                path_observed(&design, &y, &Grid::Values(vec![0.5 * top, 0.02 * top]), &o, &mut observer).unwrap();
            assert!(calls <= most, "{calls} calls after {most}");
            let last = fits.last().unwrap();
            let (primal, dual) = referee(&x, &y, last.lambda, &o, last);
            assert!((primal - last.objective).abs() <= 1e-9 * last.report.null_objective);
            assert!(
                last.lower_bound.unwrap() <= primal
                    && (dual - last.lower_bound.unwrap()).abs() <= 1e-9 * last.report.null_objective,
                "{dual} {}",
                last.lower_bound.unwrap()
            );
            finished = last.status == Status::Converged;
            if finished {
                break;
            }
            assert_eq!(last.report.ending, Ending::Interrupted);
        }
        assert!(finished);
    }
}
