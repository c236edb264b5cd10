//! One test per row of paper-refs.md.
use proptest::prelude::*;
use samplewise_linalg::Matrix;
use samplewise_linalg::random::{Streams, normal};
use samplewise_sensitivity::{Coreset, Loss, Method, Options, SensitivityError, regress, regress_on_coreset, scores};
use samplewise_testkit::{assert_rate_at_most, generate};

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// SEN-2 and SEN-3: Lewis weights sum to the rank, and no direction tried exceeds the upper bounds.
    #[test]
    fn lewis_weights_bound_the_sensitivities(seed in 0_u64..1000, d in 1_usize..6, p in prop_oneof![Just(1.0), Just(1.5), Just(2.0), Just(3.0), Just(5.0)]) {
        let a = generate::adversarial_heavy_rows(60, d, seed);
        let s = scores(&a, p, Method::Lewis).unwrap();
        prop_assert!((s.total - d as f64).abs() < 0.02 * d as f64, "{}", s.total);
        let mut rng = Streams::new(seed).stream(7);
        for _ in 0..20 {
            let x: Vec<f64> = (0..d).map(|_| normal(&mut rng)).collect();
            let mut y = vec![0.0; 60];
            a.multiply_vector_into(&x, &mut y);
            let total: f64 = y.iter().map(|v| v.abs().powf(p)).sum();
            for i in 0..60 {
                prop_assert!(y[i].abs().powf(p) / total <= s.upper[i] * (1.0 + 1e-9));
                prop_assert!(s.lower[i] <= s.upper[i]);
            }
        }
    }

    /// SEN-7: the lower bound never exceeds the loss of any candidate, and SEN-6: it meets it at the solution.
    #[test]
    fn the_certificate_is_below_every_candidate_and_meets_the_solution(
        seed in 0_u64..1000, d in 1_usize..5,
        loss in prop_oneof![Just(Loss::Lp(1.0)), Just(Loss::Lp(1.5)), Just(Loss::Lp(2.0)), Just(Loss::Lp(4.0)), Just(Loss::Quantile(0.8))],
    ) {
        let a = generate::random_matrix(300, d, seed);
        let mut rng = Streams::new(seed).stream(8);
        let b: Vec<f64> = (0..300).map(|i| a[(i, 0)] + normal(&mut rng)).collect();
        let fit = regress(&a, &b, loss, 1e-10).unwrap();
        for _ in 0..20 {
            let x: Vec<f64> = fit.coefficients.iter().map(|c| c + 0.1 * normal(&mut rng)).collect();
            let r: Vec<f64> = (0..300).map(|i| b[i] - (0..d).map(|j| a[(i, j)] * x[j]).sum::<f64>()).collect();
            prop_assert!(fit.lower_bound <= loss.value(&r));
        }
        let kinked = matches!(loss, Loss::Quantile(_)) || loss == Loss::Lp(1.0);
        let share = if kinked { 1.0 - 1e-6 } else { 0.97 };
        prop_assert!(fit.lower_bound >= share * fit.objective - 1e-9, "{:?} {:?}", loss, fit);
    }
}

/// SEN-3: with one column the sensitivities are known, `|a_i|^p / Σ|a_j|^p`: the bounds hold for every `p`, converged or
/// not.
#[test]
fn bounds_hold_where_the_sensitivity_is_known() {
    let a = generate::adversarial_heavy_rows(30, 1, 3);
    for p in [1.0, 1.3, 2.0, 2.7, 3.9, 4.0, 8.0, 20.0, 64.0] {
        let largest = a.as_slice().iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        let power: Vec<f64> = a.as_slice().iter().map(|v| (v.abs() / largest).powf(p)).collect();
        let total: f64 = power.iter().sum();
        for method in [Method::Lewis, Method::RootLeverage] {
            let s = scores(&a, p, method).unwrap();
            for (i, f) in power.iter().enumerate() {
                let (low, high) = (s.lower[i] * (1.0 - 1e-9), s.upper[i] * (1.0 + 1e-9));
                assert!(
                    (low..=high).contains(&(f / total)),
                    "p {p} {method:?} row {i}: {low:e} {} {high:e}",
                    f / total
                );
            }
        }
    }
}

/// SEN-7: a coreset's lower bound is below the optimum over all rows, also when the target has an offset that hides its
/// noise from a plain sum, and scores that span sixteen orders of magnitude still give a sample of the size asked.
#[test]
fn bounds_and_samples_survive_hostile_scales() {
    let mut rng = Streams::new(12).stream(0);
    for offset in [0.0, 1e3, 2e9] {
        let a = Matrix::from_fn(2_000, 3, |_, j| if j == 0 { 1.0 } else { normal(&mut rng) });
        let b: Vec<f64> = (0..2_000).map(|i| offset + a[(i, 1)] + 1e-3 * normal(&mut rng)).collect();
        for loss in [Loss::Lp(1.0), Loss::Lp(1.5), Loss::Lp(2.0), Loss::Quantile(0.3)] {
            let exact = regress(&a, &b, loss, 1e-9).unwrap();
            assert!(exact.lower_bound <= exact.objective);
            if offset < 1e6 {
                assert!(exact.lower_bound > 0.99 * exact.objective, "{offset:e} {loss:?} {exact:?}");
            }
            for seed in 0..5 {
                let fit = regress_on_coreset(&a, &b, loss, 300, &Options { seed, ..Options::default() }).unwrap();
                assert!(
                    fit.lower_bound <= exact.objective,
                    "{offset:e} {loss:?}: {} {}",
                    fit.lower_bound,
                    exact.objective
                );
            }
        }
    }
    let scores: Vec<f64> = (0..1_000).map(|i| if i == 0 { 1.0 } else { 1e-18 }).collect();
    let sample = Coreset::bernoulli(&scores, 500, 1).unwrap();
    assert!((sample.expected_size - 500.0).abs() < 1e-6 && sample.rows.len() > 400, "{}", sample.expected_size);
}

/// SEN-4: the sampled loss is unbiased: mean over 2,000 seeds within five standard errors.
#[test]
fn the_weighted_sample_is_unbiased() {
    let a = generate::adversarial_heavy_rows(80, 3, 1);
    let s = scores(&a, 1.0, Method::Lewis).unwrap();
    let direction = [1.0, -0.5, 2.0];
    let loss =
        |m: &Matrix| (0..m.rows()).map(|i| (0..3).map(|j| m[(i, j)] * direction[j]).sum::<f64>().abs()).sum::<f64>();
    let truth = loss(&a);
    let got: Vec<f64> =
        (0..2000).map(|seed| loss(&Coreset::bernoulli(&s.values, 20, seed).unwrap().scaled_rows(&a, 1.0))).collect();
    let mean = got.iter().sum::<f64>() / 2000.0;
    let sd = (got.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / 2000.0).sqrt();
    assert!((mean - truth).abs() < 5.0 * sd / 2000.0_f64.sqrt(), "{mean} {truth} {sd}");
}

/// SEN-8: where few rows decide, the coreset is within 10 % of the optimum and uniform rows are not.
#[test]
fn coresets_find_the_rows_that_decide() {
    let a = Matrix::from_fn(4000, 6, |i, j| if j < 5 { f64::from(u8::from(i % 800 == j)) * 10.0 } else { 1.0 });
    let mut rng = Streams::new(3).stream(0);
    let b: Vec<f64> = (0..4000).map(|i| (0..6).map(|j| a[(i, j)] * j as f64).sum::<f64>() + normal(&mut rng)).collect();
    let best = regress(&a, &b, Loss::Lp(1.0), 1e-10).unwrap().objective;
    let excess = |method, seed| {
        regress_on_coreset(&a, &b, Loss::Lp(1.0), 400, &Options { method, seed, ..Options::default() })
            .unwrap()
            .objective
            / best
            - 1.0
    };
    let failures = (0..20).filter(|&s| excess(Method::Lewis, s) > 0.1).count();
    assert_rate_at_most(failures, 20, 0.05, 1e-6);
    assert!((0..20).filter(|&s| excess(Method::Uniform, s) > excess(Method::Lewis, s)).count() > 14);
}

/// SEN-5: whether a row is kept depends on its number, its probability and the seed alone: more rows at the same
/// probability change nothing for the first ones; another seed does.
#[test]
fn a_row_is_kept_by_its_number_alone() {
    let few = Coreset::bernoulli(&[1.0; 100], 50, 7).unwrap();
    let many = Coreset::bernoulli(&[1.0; 300], 150, 7).unwrap();
    let first: Vec<usize> = many.rows.iter().copied().filter(|&i| i < 100).collect();
    assert_eq!(few.rows, first);
    assert_ne!(few.rows, Coreset::bernoulli(&[1.0; 100], 50, 8).unwrap().rows);
}

#[test]
fn bad_input_is_an_error() {
    assert_eq!(scores(&Matrix::zeros(3, 2), 1.0, Method::Lewis).unwrap().total, 0.0);
    assert!(matches!(scores(&Matrix::zeros(3, 2), 0.5, Method::Lewis), Err(SensitivityError::Exponent { .. })));
    assert!(matches!(Coreset::bernoulli(&[1.0; 4], 5, 0), Err(SensitivityError::Size { .. })));
    assert!(matches!(regress(&Matrix::zeros(3, 2), &[1.0; 2], Loss::Lp(1.0), 1e-9), Err(SensitivityError::Data(_))));
    assert!(regress(&generate::random_matrix(5, 2, 1), &[1.0; 5], Loss::Quantile(1.5), 1e-9).is_err());
    let a = Coreset::bernoulli(&[0.5; 100], 50, 7).unwrap();
    assert_eq!(a, Coreset::bernoulli(&[0.5; 100], 50, 7).unwrap());
    assert!(a.weights.iter().all(|w| (*w - 2.0).abs() < 1e-12));
}

/// SEN-4 and SEN-6: scores, samples and fits have the same bits for 1, 2 and 3 threads.
#[test]
fn results_do_not_depend_on_threads() {
    let a = generate::adversarial_heavy_rows(20_000, 5, 6);
    let b = a.copy_column(0);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let target: Vec<f64> = b.iter().enumerate().map(|(i, v)| v + (i % 17) as f64).collect();
            let fit = regress_on_coreset(&a, &target, Loss::Lp(1.0), 400, &Options::default()).unwrap();
            (scores(&a, 1.5, Method::Lewis).unwrap(), fit)
        })
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(3));
}
