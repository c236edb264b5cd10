//! The inputs on which faer 0.24.4 answers wrongly, panics, hangs or reads what was never written, one test each: the
//! facade answers rightly or with a typed error. Where the engine can be asked safely, the test asks it too and says what
//! it answered, so that a release which mends a defect shows.
use std::ops::ControlFlow;

use faer::linalg::solvers::SolveLstsq;
use samplewise_linalg::krylov::{self, KrylovOptions, Status};
use samplewise_linalg::lstsq::{Method, Path, least_squares};
use samplewise_linalg::observe::FromFn;
use samplewise_linalg::random::{Streams, normal};
use samplewise_linalg::svd::{SvdOptions, truncated_svd};
use samplewise_linalg::{LinalgError, LinearOperator, Matrix, factor, gram, leverage};

fn gaussian(rows: usize, columns: usize, seed: u64) -> Matrix {
    let mut rng = Streams::new(seed).stream(0);
    Matrix::from_fn(rows, columns, |_, _| normal(&mut rng))
}

fn ill_conditioned(n: usize, d: usize, condition: f64) -> Matrix {
    let left = factor::dense_svd(&gaussian(n, d, 3)).unwrap().u;
    let right = factor::dense_svd(&gaussian(d, d, 4)).unwrap().u;
    let scaled = Matrix::from_fn(n, d, |i, j| left[(i, j)] * condition.powf(-(j as f64) / (d as f64 - 1.0)));
    scaled.multiply(&right).unwrap()
}

/// F1: unpivoted QR skips small columns of tall ill-conditioned input, and its least squares are then NaN or wrong.
#[test]
fn f1_tall_ill_conditioned_least_squares_is_right() {
    let (n, d) = (20_000, 20);
    let a = ill_conditioned(n, d, 1e12);
    let mut b = vec![0.0; n];
    a.multiply_vector_into(&vec![1.0; d], &mut b);
    let error =
        |x: &[f64]| x.iter().map(|x| (x - 1.0).abs()).fold(0.0, |m: f64, e| if e.is_nan() { e } else { m.max(e) });
    let fit = least_squares(&a, &b, Method::Auto).unwrap();
    let ours = error(&fit.x);
    assert!(ours < 1e-2 && fit.rank == d && fit.residual_norm < 1e-12, "{fit:?}");

    let theirs = faer::MatRef::from_row_major_slice(a.as_slice(), n, d).to_owned();
    let right = faer::Mat::from_fn(n, 1, |i, _| b[i]);
    let x = theirs.qr().solve_lstsq(&right);
    let engine = error(&(0..d).map(|j| x[(j, 0)]).collect::<Vec<_>>());
    println!("error at condition 1e12: facade {ours:.1e}, engine {engine:.1e}");
    assert!(engine.is_nan() || engine > 10.0 * ours, "the engine's unpivoted QR is mended: error {engine:e}");
}

/// F2: the engine's truncated SVD panics when min(m, n) ≤ max(64, 2k).
#[test]
fn f2_truncated_svd_of_small_matrices_is_answered() {
    for (m, n, k) in [(60, 60, 5), (1, 1, 1), (64, 200, 32), (3, 100, 3), (100, 70, 40), (10, 10, 10), (10, 10, 12)] {
        let a = gaussian(m, n, 2);
        let want = factor::dense_svd(&a).unwrap().s;
        let got = truncated_svd(&a, k.min(m.min(n)), &SvdOptions::default()).unwrap();
        assert_eq!(got.s.len(), k.min(m).min(n));
        for ((s, w), r) in got.s.iter().zip(&want).zip(&got.residuals) {
            assert!((s - w).abs() <= r + 1e-12 * want[0], "{m}x{n}, {k}: {s} {w}");
        }
        if k > m.min(n) {
            // More triplets than there are: all of them, or an error, never a panic.
            if let Ok(all) = truncated_svd(&a, k, &SvdOptions::default()) {
                assert!(all.s.iter().all(|s| s.is_finite()));
            }
        }
    }
}

/// F3: the engine's truncated SVD never returns on zero and on NaN.
#[test]
fn f3_truncated_svd_of_zero_and_nan_returns() {
    let zero = truncated_svd(&Matrix::zeros(300, 300), 5, &SvdOptions::default()).unwrap();
    assert_eq!(zero.s, [0.0; 5]);
    let mut bad = gaussian(300, 300, 2);
    bad[(299, 299)] = f64::NAN;
    assert!(truncated_svd(&bad, 5, &SvdOptions::default()).is_err());
    bad[(299, 299)] = f64::INFINITY;
    assert!(truncated_svd(&bad, 5, &SvdOptions::default()).is_err());
}

/// F4: the engine's CG reads memory that nobody wrote when told to start at zero. Here the start is the `x` given: zero
/// works like any other, and from the solution there is nothing to do.
#[test]
fn f4_conjugate_gradients_start_where_they_are_told() {
    let a = gram::gram(&gaussian(60, 20, 1), None, None).unwrap().matrix;
    let truth: Vec<f64> = (0..20).map(|j| f64::from(j) - 7.0).collect();
    let mut b = vec![0.0; 20];
    a.apply_into(&truth, &mut b);
    let solve = |start: &[f64]| {
        let mut x = start.to_vec();
        let report = krylov::conjugate_gradient(|v, y| a.apply_into(v, y), &b, &mut x, 1e-12, 200);
        assert!(report.converged, "{report:?}");
        assert!(x.iter().zip(&truth).all(|(x, t)| (x - t).abs() < 1e-9), "{x:?}");
        report.iterations
    };
    assert!(solve(&[0.0; 20]) > 1 && solve(&[1e3; 20]) > 1);
    assert_eq!(solve(&truth), 0);
}

/// F5: the engine's LSMR has no limit by default. Here every iteration has one, says so, and can be stopped.
#[test]
fn f5_iterations_are_limited_reported_and_cancellable() {
    // Condition 1e14: no iteration reaches the tolerance soon.
    let hard = Matrix::from_fn(400, 400, |i, j| if i == j { 10.0_f64.powf(-14.0 * i as f64 / 399.0) } else { 0.0 });
    let b = vec![1.0; 400];
    let options = KrylovOptions { tolerance: 0.0, ..KrylovOptions::default() };
    for solve in [krylov::lsqr_observed, krylov::lsmr_observed] {
        let fit = solve(&hard, &b, &options, &mut ()).unwrap();
        assert!(fit.iterations <= 1000 && fit.x.iter().all(|v| v.is_finite()), "{}", fit.iterations);
        let mut steps = 0;
        let mut observer = FromFn(|_| {
            steps += 1;
            if steps == 7 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let fit = solve(&hard, &b, &options, &mut observer).unwrap();
        assert_eq!((fit.iterations, fit.status), (7, Status::Interrupted));
    }
    let mut x = vec![0.0; 400];
    let report = krylov::conjugate_gradient(|v, y| hard.apply_into(v, y), &b, &mut x, 0.0, 50);
    assert!(report.iterations <= 50 && !report.converged);
}

/// F6: rank-deficient systems give infinities in the engine, and wrong shapes panic.
#[test]
fn f6_rank_deficiency_is_answered_and_wrong_shapes_are_typed() {
    let base = gaussian(50, 3, 1);
    let a = Matrix::from_fn(50, 4, |i, j| base[(i, j % 3)]);
    let fit = least_squares(&a, &base.copy_column(0), Method::Auto).unwrap();
    assert_eq!((fit.rank, fit.path), (3, Path::MinimumNorm));
    assert!((fit.x[0] - 0.5).abs() < 1e-12 && (fit.x[3] - 0.5).abs() < 1e-12, "{:?}", fit.x);
    let zero = least_squares(&Matrix::zeros(5, 3), &[1.0; 5], Method::Auto).unwrap();
    assert_eq!((zero.rank, zero.x), (0, vec![0.0; 3]));
    assert!((leverage::leverage_scores(&a).unwrap().iter().sum::<f64>() - 3.0).abs() < 1e-10);

    let wrong = least_squares(&a, &[1.0; 49], Method::Auto).unwrap_err();
    assert_eq!(wrong, LinalgError::Length { argument: "b", given: 49, expected: 50 });
    assert!(matches!(a.multiply(&a), Err(LinalgError::Shape { argument: "other", .. })));
    assert!(matches!(gram::gram(&a, Some(&[1.0]), None), Err(LinalgError::Length { argument: "weights", .. })));
    assert!(matches!(least_squares(&Matrix::zeros(0, 3), &[], Method::Auto), Err(LinalgError::Empty { .. })));
}
