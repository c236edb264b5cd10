//! One test per row of the facade in paper-refs.md: identities against the definitions, on every small shape.
use proptest::prelude::*;
use rayon::ThreadPoolBuilder;
use samplewise_linalg::gram::GramSummary;
use samplewise_linalg::lstsq::{Method, Path, least_squares, sparse_least_squares};
use samplewise_linalg::random::{Streams, normal};
use samplewise_linalg::svd::{SvdOptions, truncated_svd};
use samplewise_linalg::{
    CooBuilder, CsrMatrix, CsrView, Duplicates, Matrix, MatrixView, Rows, Summary, factor, gram, leverage, spmm, tsqr,
};

fn integers(rows: usize, columns: usize, seed: u64) -> Matrix {
    let s = Streams::new(seed);
    Matrix::from_fn(rows, columns, |i, j| (s.uniform((i * columns + j) as u64) * 11.0).floor() - 5.0)
}

fn gaussian(rows: usize, columns: usize, seed: u64) -> Matrix {
    let mut rng = Streams::new(seed).stream(0);
    Matrix::from_fn(rows, columns, |_, _| normal(&mut rng))
}

/// A matrix with the given condition number and known left factor: `Q diag(geometric) Z` by two QR-like products.
fn ill_conditioned(n: usize, d: usize, condition: f64, seed: u64) -> Matrix {
    let left = factor::dense_svd(&gaussian(n, d, seed)).unwrap().u;
    let right = factor::dense_svd(&gaussian(d, d, seed + 1)).unwrap().u;
    let scaled = Matrix::from_fn(n, d, |i, j| left[(i, j)] * condition.powf(-(j as f64) / (d as f64 - 1.0).max(1.0)));
    scaled.multiply(&right).unwrap()
}

fn with_threads<T: Send>(threads: usize, f: impl FnOnce() -> T + Send) -> T {
    ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(f)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// LA-1: small integers make every order of summation exact, so the Gram matrix *is* the triple loop.
    #[test]
    fn gram_equals_its_definition(n in 0_usize..40, d in 0_usize..40, seed in 0_u64..1000) {
        let x = integers(n, d, seed);
        let w: Vec<f64> = (0..n).map(|i| (i % 4) as f64).collect();
        let y: Vec<f64> = (0..n).map(|i| (i % 7) as f64 - 3.0).collect();
        let g = gram::gram(&x, Some(&w), Some(&y)).unwrap();
        for a in 0..d {
            prop_assert_eq!(g.right[a], (0..n).map(|i| x[(i, a)] * w[i] * y[i]).sum::<f64>());
            for b in 0..d {
                prop_assert_eq!(g.matrix[(a, b)], (0..n).map(|i| x[(i, a)] * w[i] * x[(i, b)]).sum::<f64>());
            }
        }
    }

    /// LA-2: `RᵀR = XᵀX` up to `20·ε·‖X‖²`, for every shape, wide ones included.
    #[test]
    fn the_triangular_factor_has_the_gram_matrix_of_its_rows(n in 1_usize..40, d in 1_usize..40, seed in 0_u64..1000) {
        let x = gaussian(n, d, seed);
        let r = tsqr::tsqr(&x).unwrap().r;
        let (a, b) = (gram::gram(&x, None, None).unwrap().matrix, gram::gram(&r, None, None).unwrap().matrix);
        let tolerance = 20.0 * f64::EPSILON * x.norm().powi(2);
        for (a, b) in a.as_slice().iter().zip(b.as_slice()) {
            prop_assert!((a - b).abs() <= tolerance, "{} {}", a, b);
        }
    }

    /// LA-5: sparse times dense equals dense times dense, on integers and for every panel width.
    #[test]
    fn sparse_products_equal_dense_products(
        n in 1_usize..40, m in 1_usize..40, k in 0_usize..40, seed in 0_u64..1000,
    ) {
        let s = Streams::new(seed);
        let mut coo = CooBuilder::new(n, m);
        for i in 0..n {
            for j in 0..m {
                if s.uniform((i * m + j) as u64) < 0.3 {
                    coo.push(i, j, (i + 2 * j) as f64 % 9.0 - 4.0).unwrap();
                }
            }
        }
        let a = coo.build(Duplicates::Error).unwrap();
        let x = integers(m, k, seed + 1);
        let product = spmm::multiply(&a, &x);
        prop_assert_eq!(&product, &a.copy_to_dense().multiply(&x).unwrap());
        prop_assert_eq!(&spmm::multiply_transpose(&a.transpose(), &x), &product);
        let values = a.values().iter().map(|&v| v as f32).collect();
        let a32 = CsrMatrix::from_parts(n, m, a.offsets().to_vec(), a.indices().to_vec(), values).unwrap();
        let x32 = Matrix::from_fn(m, k, |i, j| x[(i, j)] as f32);
        let product32 = spmm::multiply(&a32, &x32);
        prop_assert!(product32.as_slice().iter().zip(product.as_slice()).all(|(a, b)| f64::from(*a) == *b));
        prop_assert_eq!(a.transpose().copy_to_dense(), a.copy_to_dense().transpose());
    }

    /// LA-4: leverage scores lie in [0, 1], sum to the rank, and do not change when columns are mixed.
    #[test]
    fn leverage_scores_sum_to_the_rank_and_ignore_the_basis(
        n in 1_usize..40, d in 1_usize..12, repeated in any::<bool>(), seed in 0_u64..1000,
    ) {
        let mut x = gaussian(n, d, seed);
        if repeated && d > 1 {
            for i in 0..n {
                x[(i, 0)] = x[(i, d - 1)] * 1e-9; // dependent columns at different scales
            }
        }
        let rank = n.min(if repeated && d > 1 { d - 1 } else { d });
        let scores = leverage::leverage_scores(&x).unwrap();
        prop_assert!((scores.iter().sum::<f64>() - rank as f64).abs() < 1e-8, "{:?} rank {}", scores, rank);
        let mixed = x.multiply(&gaussian(d, d, seed + 7)).unwrap();
        let again = leverage::leverage_scores(&mixed).unwrap();
        for (a, b) in scores.iter().zip(&again) {
            prop_assert!((a - b).abs() < 1e-6, "{} {}", a, b);
            prop_assert!((0.0..=1.0).contains(a));
        }
    }

    /// LA-8: any split, any merge order and a trip through bytes give the totals of the whole; integers, so exactly.
    #[test]
    fn summaries_merge_in_any_order(n in 0_usize..60, cut in 0_usize..60, d in 1_usize..6, seed in 0_u64..1000) {
        let cut = cut.min(n);
        let x = integers(n, d, seed);
        let y: Vec<f64> = (0..n).map(|i| (i % 5) as f64).collect();
        let summarise = |from: usize, to: usize| {
            let rows: Vec<usize> = (from..to).collect();
            let mut s = GramSummary::new(d).unwrap();
            s.update((x.select_rows(&rows).view(), &y[from..to])).unwrap();
            s
        };
        let whole = summarise(0, n);
        let mut forward = GramSummary::from_bytes(&summarise(0, cut).to_bytes()).unwrap();
        forward.merge(summarise(cut, n)).unwrap();
        let mut backward = summarise(cut, n);
        backward.merge(summarise(0, cut)).unwrap();
        prop_assert_eq!(&forward, &whole);
        prop_assert_eq!(&backward, &whole);
        let bytes = whole.to_bytes();
        prop_assert!(GramSummary::from_bytes(&bytes[..bytes.len() - 1]).is_err());
        let totals = whole.finish().unwrap();
        prop_assert_eq!(totals.rows, n as u64);
    }

    /// No shape and no hostile value makes a public call panic, hang or answer with a silent NaN.
    #[test]
    fn hostile_values_give_an_error_or_a_finite_answer(
        n in 0_usize..20, d in 0_usize..10, kind in 0_usize..7, seed in 0_u64..1000,
    ) {
        let hostile = [0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e150, 1e-150, f64::MIN_POSITIVE / 8.0][kind];
        let s = Streams::new(seed);
        let x = Matrix::from_fn(n, d, |i, j| {
            let id = (i * d + j) as u64;
            if s.uniform(id) < 0.4 { hostile } else { s.uniform(id + 1_000_000) - 0.5 }
        });
        let b: Vec<f64> = (0..n).map(|i| s.uniform(i as u64 + 2_000_000) - 0.5).collect();
        if let Ok(fit) = least_squares(&x, &b, Method::Auto) {
            prop_assert!(fit.x.iter().all(|v| v.is_finite()), "{:?}", fit);
            prop_assert!(fit.residual_norm.is_finite() && fit.condition.is_finite());
        }
        if let Ok(scores) = leverage::leverage_scores(&x) {
            let sum: f64 = scores.iter().sum();
            prop_assert!((sum - sum.round()).abs() < 1e-6, "{:?}", scores); // the rank
        }
        if let Ok(svd) = truncated_svd(&x, 3, &SvdOptions::default()) {
            prop_assert!(svd.s.iter().chain(&svd.residuals).all(|v| v.is_finite()));
        }
    }
}

/// LA-3: the answer is right where faer's unpivoted least squares is NaN or wrong (condition 1e8 to 1e12).
/// Tolerance: backward stability gives a forward error of about `cond·ε·10` on a consistent system.
#[test]
fn least_squares_is_right_up_to_condition_1e12() {
    for (condition, method) in [
        (1e2, Method::Auto),
        (1e2, Method::Gram),
        (1e8, Method::Auto),
        (1e8, Method::Preconditioned),
        (1e12, Method::Auto),
        (1e12, Method::Tsqr),
    ] {
        let a = ill_conditioned(20_000, 12, condition, 3);
        let truth: Vec<f64> = (0..12).map(|j| 1.0 + f64::from(j) / 4.0).collect();
        let mut b = vec![0.0; 20_000];
        a.multiply_vector_into(&truth, &mut b);
        let fit = least_squares(&a, &b, method).unwrap();
        let error = fit.x.iter().zip(&truth).map(|(x, t)| (x - t).abs()).fold(0.0, f64::max);
        assert!(error < 100.0 * condition * f64::EPSILON, "condition {condition:e}: error {error:e}, {:?}", fit.path);
        assert_eq!(fit.path == Path::Gram, condition < 1e4, "the dispatcher at {condition:e}");
        assert_eq!(fit.rank, 12);
    }
}

/// LA-3: the Gram path is refined where one step is not enough, to the error of a backward stable method also with a large
/// residual, and refuses what it cannot finish.
#[test]
fn normal_equations_are_refined_or_refused() {
    for condition in [1e5, 1e6] {
        for noise in [0.0, 0.1] {
            let a = ill_conditioned(20_000, 40, condition, 5);
            let mut b = vec![0.0; 20_000];
            a.multiply_vector_into(&[1.0; 40], &mut b);
            let s = Streams::new(9);
            b.iter_mut().enumerate().for_each(|(i, b)| *b += noise * (s.uniform(i as u64) - 0.5));
            let fit = least_squares(&a, &b, Method::Auto).unwrap();
            let stable = least_squares(&a, &b, Method::Tsqr).unwrap();
            assert!(fit.path == Path::Gram && (2..=8).contains(&fit.iterations), "{:?} {}", fit.path, fit.iterations);
            assert_eq!((stable.path, stable.iterations), (Path::Tsqr, 0));
            let largest = stable.x.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
            let apart = fit.x.iter().zip(&stable.x).map(|(x, t)| (x - t).abs()).fold(0.0, f64::max);
            let allowed = 100.0 * f64::EPSILON * condition * (largest + condition * stable.residual_norm);
            assert!(apart < allowed, "condition {condition:e}, noise {noise}: {apart:e} apart, {allowed:e} allowed");
        }
    }
    let a = ill_conditioned(20_000, 12, 1e12, 3);
    let b: Vec<f64> = (0..20_000).map(|i| f64::from(i % 13)).collect();
    assert!(least_squares(&a, &b, Method::Gram).is_err());
}

/// LA-3: sketching gives the answer of TSQR on dense and sparse systems with noise, and its steps do not grow with the
/// condition number; 47 is what a distortion of ½ needs for 1e-14.
#[test]
fn sketched_least_squares_agrees_with_tsqr_at_any_condition() {
    for condition in [1e2, 1e5, 1e8] {
        let a = ill_conditioned(4000, 30, condition, 3);
        let noise = gaussian(4000, 1, 8);
        let mut b = vec![0.0; 4000];
        a.multiply_vector_into(&[1.0; 30], &mut b);
        b.iter_mut().zip(noise.as_slice()).for_each(|(b, e)| *b += 1e-3 * e);
        let direct = least_squares(&a, &b, Method::Tsqr).unwrap();
        let sketched = least_squares(&a, &b, Method::Sketched).unwrap();
        assert_eq!((direct.path, sketched.path), (Path::Tsqr, Path::Sketched));
        let preconditioned = least_squares(&a, &b, Method::Preconditioned).unwrap();
        assert_eq!(preconditioned.path, Path::Preconditioned);
        assert!(preconditioned.iterations <= 6, "{} refinements at {condition:e}", preconditioned.iterations);
        assert!(sketched.iterations <= 47, "{} steps at {condition:e}", sketched.iterations);
        // A residual is known up to the rounding of A x, where ‖A‖ = 1.
        let rounding = 100.0 * f64::EPSILON * direct.x.iter().map(|x| x * x).sum::<f64>().sqrt();
        let scale = direct.x.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        for other in [sketched, preconditioned] {
            assert!((other.residual_norm - direct.residual_norm).abs() < rounding + 1e-14);
            assert!(other.residual_orthogonality < 1e-14 + 3.0 * direct.residual_orthogonality, "{other:?} {direct:?}");
            let error = direct.x.iter().zip(&other.x).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / scale;
            assert!(error < 1e3 * condition * f64::EPSILON, "{:?}: {error:e} at {condition:e}", other.path);
            assert!(other.condition > condition / 10.0 && other.condition < 100.0 * condition);
        }
    }
    // Beyond what refinement can make up for, and where there are too few rows for a sketch.
    let b: Vec<f64> = (0..4000).map(|i| f64::from(i % 13)).collect();
    let a = ill_conditioned(4000, 30, 1e13, 3);
    assert_eq!(least_squares(&a, &b, Method::Preconditioned).unwrap().path, Path::Tsqr);
    let a = gaussian(100, 30, 3);
    assert_eq!(least_squares(&a, &b[..100], Method::Preconditioned).unwrap().path, Path::Tsqr);
    let s = Streams::new(5);
    let mut coo = CooBuilder::new(3000, 40);
    for i in 0..3000 {
        for t in 0..4 {
            let j = (s.uniform(8 * i + t) * 40.0) as usize;
            coo.push(i as usize, j, s.uniform(8 * i + t + 4) - 0.5).unwrap();
        }
    }
    let sparse = coo.build(Duplicates::Sum).unwrap();
    let b: Vec<f64> = (0..3000).map(|i| s.uniform(i + 1_000_000)).collect();
    let fit = sparse_least_squares(&sparse, &b).unwrap();
    let dense = least_squares(&sparse.copy_to_dense(), &b, Method::Tsqr).unwrap();
    assert_eq!(fit.path, Path::Sketched);
    assert!(fit.x.iter().zip(&dense.x).all(|(a, b)| (a - b).abs() < 1e-12));
    // More columns than an eighth of the rows: plain LSQR, least norm.
    let wide = sparse.transpose();
    let fit = sparse_least_squares(&wide, &b[..40]).unwrap();
    let dense = least_squares(&wide.copy_to_dense(), &b[..40], Method::Auto).unwrap();
    assert_eq!(fit.path, Path::Lsqr);
    assert!(fit.residual_norm < 1e-10 && fit.x.iter().zip(&dense.x).all(|(a, b)| (a - b).abs() < 1e-10));
}

/// LA-3: with duplicate columns the residual is still orthogonal and the answer is the one of least norm.
#[test]
fn rank_deficient_least_squares_has_least_norm() {
    let base = gaussian(200, 4, 5);
    let a = Matrix::from_fn(200, 5, |i, j| base[(i, j.min(3))]);
    let b: Vec<f64> = (0..200).map(|i| base[(i, 3)] * 2.0 + base[(i, 0)]).collect();
    let fit = least_squares(&a, &b, Method::Auto).unwrap();
    assert_eq!((fit.rank, fit.path), (4, Path::MinimumNorm));
    assert!((fit.x[3] - 1.0).abs() < 1e-12 && (fit.x[4] - 1.0).abs() < 1e-12, "{:?}", fit.x);
    assert!(fit.residual_norm < 1e-12);
    // Which answer is the one of least norm depends on the scaling of the columns, which no path may choose for itself.
    for n in [20, 200] {
        let c = Matrix::from_fn(
            n,
            2,
            |i, j| if i == 0 { 1.0 } else { 0.2 * f64::from(i as i32 % 2 * 2 - 1) } * [1.0, 3.0][j],
        );
        let b = c.copy_column(0);
        let found = [Method::Auto, Method::Tsqr].map(|method| least_squares(&c, &b, method).unwrap());
        assert!(found.iter().all(|f| f.rank == 1 && f.residual_norm < 1e-14), "{found:?}");
        assert!((0..2).all(|j| (found[0].x[j] - found[1].x[j]).abs() < 1e-14), "{found:?}");
    }
    // More columns than rows.
    let wide = least_squares(&gaussian(3, 7, 9), &[1.0, 2.0, 3.0], Method::Auto).unwrap();
    assert!(wide.residual_norm < 1e-13 && wide.rank == 3);
}

/// Scales at the edge of what a number can be: right, or an error.
#[test]
fn extreme_scales_are_answered_rightly_or_refused() {
    let tiny = Matrix::from_vec(3, 1, vec![1e-310; 3]).unwrap();
    let scores = leverage::leverage_scores(&tiny).unwrap();
    assert!(scores.iter().all(|s| (s - 1.0 / 3.0).abs() < 1e-12), "{scores:?}");
    assert!(least_squares(&tiny, &[1.0; 3], Method::Auto).is_err());
    let large = Matrix::from_fn(2, 2, |i, j| if i == j { 1e300 } else { 0.0 });
    let fit = least_squares(&large, &[1e300, 1e285], Method::Auto).unwrap();
    assert!((fit.x[0] - 1.0).abs() < 1e-15 && (fit.x[1] / 1e-15 - 1.0).abs() < 1e-14, "{:?}", fit.x);
    assert!(least_squares(&gaussian(3, 7, 1), &[1.0; 3], Method::Gram).is_err());
    for weights in [[1.0, -1.0, 1.0], [1.0, f64::NAN, 1.0]] {
        assert!(leverage::whiten(&tiny, Some(&weights)).is_err());
    }
}

/// LA-6: equal to the dense SVD to rounding when the spectrum has a gap; each residual bounds its error.
#[test]
fn truncated_svd_matches_the_dense_one_and_bounds_its_error() {
    let mut low = gaussian(300, 6, 1).multiply(&gaussian(6, 200, 2)).unwrap();
    let noise = gaussian(300, 200, 3);
    for (v, e) in low.as_mut_slice().iter_mut().zip(noise.as_slice()) {
        *v += 1e-6 * e;
    }
    let dense = factor::dense_svd(&low).unwrap();
    let svd = truncated_svd(&low, 6, &SvdOptions::default()).unwrap();
    for j in 0..6 {
        assert!((svd.s[j] - dense.s[j]).abs() <= svd.residuals[j] + 1e-10 * dense.s[0]);
        assert!((svd.s[j] - dense.s[j]).abs() <= 1e-10 * dense.s[0], "triplet {j}");
    }
}

/// LA-6: the shapes and values on which faer's truncated SVD panics (small) or never returns (zero).
#[test]
fn truncated_svd_answers_where_the_engine_panics_or_hangs() {
    let small = truncated_svd(&gaussian(60, 60, 1), 5, &SvdOptions::default()).unwrap();
    assert_eq!(small.s.len(), 5);
    let zero = truncated_svd(&Matrix::zeros(300, 300), 4, &SvdOptions::default()).unwrap();
    assert_eq!(zero.s, [0.0; 4]);
    let low =
        truncated_svd(&gaussian(300, 2, 5).multiply(&gaussian(2, 200, 6)).unwrap(), 4, &SvdOptions::default()).unwrap();
    assert!(low.s[1] > 1.0 && low.s[2] < 1e-10 && low.s.len() == 4 && low.u.columns() == 4, "{:?}", low.s);
    for scale in [1e-170, 1e160] {
        let base = gaussian(300, 200, 7);
        let scaled = Matrix::from_fn(300, 200, |i, j| base[(i, j)] * scale);
        let got = truncated_svd(&scaled, 2, &SvdOptions::default()).unwrap();
        let want = truncated_svd(&base, 2, &SvdOptions::default()).unwrap();
        assert!((got.s[0] / scale / want.s[0] - 1.0).abs() < 1e-10, "{:?} {:?}", got.s, want.s);
    }
    let mut bad = gaussian(300, 300, 2);
    bad[(17, 30)] = f64::NAN;
    assert!(truncated_svd(&bad, 4, &SvdOptions::default()).is_err());
}

/// LA-9: the same bits for 1, 2, 3 and 8 threads.
#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let x = gaussian(40_000, 9, 1);
    let b = x.copy_column(2);
    let run = |threads| {
        with_threads(threads, || {
            let g = gram::gram(&x, None, Some(&b)).unwrap();
            let t = tsqr::tsqr(&x).unwrap();
            let l = leverage::leverage_scores(&x).unwrap();
            let s = truncated_svd(&x, 3, &SvdOptions::default()).unwrap();
            let mut f: Vec<f64> = x.as_slice()[..1 << 18].to_vec();
            samplewise_linalg::fwht::fwht_in_place(&mut f);
            (g, t, l, s.s, s.u, f)
        })
    };
    let one = run(1);
    for threads in [2, 3, 8] {
        assert_eq!(one, run(threads), "{threads} threads");
    }
}

/// LA-14: Gram matrices, norms and the fused pass are what they say, for dense rows, rows with a target stored apart, and
/// sparse rows; the norm of a row does not depend on its place.
#[test]
fn tall_kernels_equal_their_definitions() {
    for (n, d) in [(1, 1), (5, 3), (97, 8), (200, 13), (4_100, 31), (300, 64), (130, 129)] {
        let s = Streams::new(n as u64);
        let joined = Matrix::from_fn(n, d + 1, |i, j| {
            let u = s.uniform((i * (d + 1) + j) as u64);
            if j % 3 == 2 && u < 0.7 { 0.0 } else { u - 0.5 }
        });
        let a = Matrix::from_fn(n, d, |i, j| joined[(i, j)]);
        let b = joined.copy_column(d);
        let mut coo = CooBuilder::new(n, d + 1);
        for i in 0..n {
            for j in 0..=d {
                if joined[(i, j)] != 0.0 {
                    coo.push(i, j, joined[(i, j)]).unwrap();
                }
            }
        }
        let sparse = coo.build(Duplicates::Error).unwrap();
        let t = gaussian(d + 1, d / 2 + 1, 3);
        let weigh = |i: usize, q: f64| (1.0 + q) / (1.0 + (i % 3) as f64);
        let product = joined.multiply(&t).unwrap();
        let norm = |i: usize| product.row(i).iter().map(|v| v * v).sum::<f64>();
        let x: Vec<f64> = (0..=d).map(|j| 0.1 * j as f64 - 0.3).collect();
        for rows in [(&joined).into(), Rows::Joined(a.view(), &b), (&sparse).into()] {
            let every = |first: usize, norms: &[f64], weights: &mut [f64]| {
                weights.iter_mut().zip(norms).enumerate().for_each(|(i, (w, q))| *w = weigh(first + i, *q));
            };
            let (norms, gram) = leverage::reweigh(rows, &t, &every).unwrap();
            let weights: Vec<f64> = (0..n).map(|i| weigh(i, norm(i))).collect();
            let plain = gram::gram(rows, Some(&weights), Some(&b)).unwrap();
            let close = |a: f64, b: f64, size: f64| (a - b).abs() <= 1e-12 * (1.0 + size);
            for i in 0..n {
                assert!(close(norms[i], norm(i), norm(i)), "{n} x {d}, row {i}");
            }
            for i in 0..=d {
                let side: f64 = (0..n).map(|k| weights[k] * joined[(k, i)] * b[k]).sum();
                assert!(close(plain.right[i], side, n as f64));
                for j in 0..=d {
                    let sum: f64 = (0..n).map(|k| weights[k] * joined[(k, i)] * joined[(k, j)]).sum();
                    assert!(close(plain.matrix[(i, j)], sum, n as f64) && close(gram[(i, j)], sum, n as f64));
                }
            }
            let (mut one, mut two) = (vec![0.0; n], vec![0.0; n]);
            rows.multiply_vector_into(&x, &mut one);
            joined.multiply_vector_into(&x, &mut two);
            assert!(one.iter().zip(&two).all(|(a, b)| close(*a, *b, d as f64)));
            let mut back = (vec![0.0; d + 1], vec![0.0; d + 1]);
            rows.multiply_transpose_vector_into(&two, &mut back.0);
            joined.multiply_transpose_vector_into(&two, &mut back.1);
            assert!(back.0.iter().zip(&back.1).all(|(a, b)| close(*a, *b, (n * d) as f64)));
            assert_eq!(rows.select_rows(&[n - 1, 0]), joined.select_rows(&[n - 1, 0]));
            let some = rows.multiply(&t).unwrap();
            assert!(some.as_slice().iter().zip(product.as_slice()).all(|(a, b)| close(*a, *b, d as f64)));
            let sizes: Vec<f64> = (0..=d).map(|j| 1.0 + j as f64).collect();
            let mut reach = vec![0.0; n];
            rows.multiply_sizes_into(&sizes, &mut reach);
            for i in 0..n {
                let sum: f64 = joined.row(i).iter().zip(&sizes).map(|(v, s)| v.abs() * s).sum();
                assert!(close(reach[i], sum, (d * d) as f64));
            }
            assert_eq!(rows.copy_to_dense().unwrap(), joined);
        }
        let norms = leverage::row_norms_squared(&joined, &t);
        let last = joined.select_rows(&[n - 1]);
        assert_eq!(leverage::row_norms_squared(&last, &t)[0], norms[n - 1]);
    }
}

/// LA-16: a table that lies in another order, or apart, gives every bit of its copy, alone and with a target.
#[test]
fn the_storage_order_changes_no_bit() {
    for (n, d) in [(1, 1), (5, 3), (97, 8), (4_200, 31), (9_000, 5), (300, 64), (130, 129)] {
        let a = gaussian(n, d, 5);
        let b = gaussian(n, 1, 6).into_vec();
        let by_column = a.transpose().into_vec();
        let apart: Vec<f64> = a.as_slice().chunks(d).flat_map(|row| row.iter().copied().chain([f64::NAN; 3])).collect();
        let both: Vec<f64> = by_column.iter().flat_map(|v| [*v, f64::NAN]).collect();
        let views = [
            MatrixView::from_column_major(&by_column, n, d).unwrap(),
            MatrixView::from_strided(&apart, n, d, d + 3, 1).unwrap(),
            MatrixView::from_strided(&both, n, d, 2, 2 * n).unwrap(),
        ];
        // Nearly dependent columns take the ways that copy and precondition.
        let near = Matrix::from_fn(n, d, |i, j| if j == 1 { a[(i, 0)] * (1.0 + 1e-9 * a[(i, 1)]) } else { a[(i, j)] });
        let near_by_column = near.transpose().into_vec();
        let near_view = MatrixView::from_column_major(&near_by_column, n, d).unwrap();
        let all = |rows: Rows<'_>| {
            let c = rows.columns();
            let t = gaussian(c, c / 2 + 1, 3);
            let white = leverage::whiten(rows, None).unwrap();
            let every = |_: usize, norms: &[f64], w: &mut [f64]| w.copy_from_slice(norms);
            let (mut forward, mut back, mut sizes) = (vec![0.0; n], vec![0.0; c], vec![0.0; n]);
            rows.multiply_vector_into(&vec![0.3; c], &mut forward);
            rows.multiply_transpose_vector_into(&forward, &mut back);
            rows.multiply_sizes_into(&vec![0.7; c], &mut sizes);
            (
                (gram::gram(rows, None, Some(&b)).unwrap(), white, leverage::leverage_scores(rows).unwrap()),
                (
                    leverage::reweigh(rows, &t, &every).unwrap(),
                    rows.multiply(&t).unwrap(),
                    rows.select_rows(&[n - 1, 0]),
                ),
                (forward, back, sizes, rows.copy_to_dense().unwrap()),
            )
        };
        for view in views {
            assert!(view.check_finite("a").is_ok());
            assert_eq!(all(view.into()), all((&a).into()), "{n} x {d}");
            assert_eq!(all(Rows::Joined(view, &b)), all(Rows::Joined(a.view(), &b)), "{n} x {d} joined");
        }
        assert_eq!(all(near_view.into()), all((&near).into()), "{n} x {d} dependent");
    }
    // Sparse arrays of another library are read in place.
    let (offsets, indices, values) = ([0_usize, 2, 2, 3], [0_i32, 2, 1], [1.5, -2.0, 4.0]);
    let unsigned: Vec<u32> = indices.iter().map(|&i| i as u32).collect();
    let view = CsrView::from_parts(3, 3, &offsets, &unsigned, &values).unwrap();
    let owned = CsrMatrix::from_parts(3, 3, offsets.to_vec(), unsigned.clone(), values.to_vec()).unwrap();
    assert_eq!(gram::gram(view, None, None).unwrap(), gram::gram(&owned, None, None).unwrap());
    assert_eq!((view.transpose(), view.copy_to_matrix()), (owned.transpose(), owned));
}

/// LA-4: against the orthonormal columns the matrix was made from, up to condition 1e12: within 1e-6 to 1e10, and nowhere
/// worse than the thin QR of faer. Dependent columns are left out by the Gram path and by the careful one alike.
#[test]
fn leverage_scores_lose_no_more_digits_than_householder_qr() {
    let (n, d) = (3_000, 12);
    let heavy = Streams::new(7);
    let raw = gaussian(n, d, 3);
    let raw = Matrix::from_fn(n, d, |i, j| raw[(i, j)] / (0.01 + heavy.uniform(i as u64)));
    let thin = |a: &Matrix| faer::MatRef::from_row_major_slice(a.as_slice(), n, d).to_owned().qr().compute_thin_Q();
    let q = thin(&raw);
    let truth: Vec<f64> = (0..n).map(|i| (0..d).map(|j| q[(i, j)].powi(2)).sum()).collect();
    let v = factor::dense_svd(&gaussian(d, d, 5)).unwrap().u;
    for exponent in [0, 2, 4, 6, 8, 10, 12] {
        let scale = |j: usize| 10_f64.powf(-f64::from(exponent) * j as f64 / (d as f64 - 1.0));
        let a = Matrix::from_fn(n, d, |i, c| (0..d).map(|j| q[(i, j)] * scale(j) * v[(j, c)]).sum());
        let worst = |s: &[f64]| s.iter().zip(&truth).map(|(s, t)| (s / t - 1.0).abs()).fold(0.0, f64::max);
        let ours = worst(&leverage::leverage_scores(&a).unwrap());
        let other = thin(&a);
        let theirs = worst(&(0..n).map(|i| (0..d).map(|j| other[(i, j)].powi(2)).sum()).collect::<Vec<f64>>());
        assert!(ours <= theirs.max(1e-12), "1e{exponent}: {ours:e} {theirs:e}");
        assert!(exponent > 10 || ours < 1e-6, "1e{exponent}: {ours:e}");
    }
    let wide = Matrix::from_fn(n, d + 2, |i, j| match j {
        0 => raw[(i, 0)] + raw[(i, 3)],
        7 => raw[(i, 1)] * 1e-4,
        _ => raw[(i, j - usize::from(j > 0) - usize::from(j > 7))],
    });
    assert_eq!(leverage::whiten(&wide, None).unwrap().rank, d);
    let scores = leverage::leverage_scores(&wide).unwrap();
    assert!(scores.iter().zip(&truth).all(|(s, t)| (s - t).abs() < 1e-10 * (1.0 + t)), "dependent columns");
}
