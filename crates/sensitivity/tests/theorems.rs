//! One test per row of paper-refs.md.
use std::ops::ControlFlow;

use proptest::prelude::*;
use samplewise_linalg::Matrix;
use samplewise_linalg::leverage::leverage_scores;
use samplewise_linalg::observe::{FromFn, Progress};
use samplewise_linalg::random::{Streams, normal};
use samplewise_linalg::{CooBuilder, CsrMatrix, Duplicates, Summary};
use samplewise_sensitivity::{
    Block, CertifiedOptions, Coreset, CoresetOptions, DistortionOptions, Error, LabelPlan, Loss, Method, Options,
    Route, SampleOptions, Sampler, ScoreOptions, StreamOptions, StreamingCoreset, certified_sensitivities, distortion,
    planned_size, recursive_root_leverage, regress, regress_asking, regress_on_coreset, scores, scores_observed,
    screened_coreset,
};
use samplewise_testkit::{assert_rate_at_most, generate};

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// SEN-2 and SEN-3: Lewis weights sum to the rank, and no direction tried exceeds the upper bounds.
    #[test]
    fn lewis_weights_bound_the_sensitivities(seed in 0_u64..1000, d in 1_usize..6, p in prop_oneof![Just(1.0), Just(1.5), Just(2.0), Just(3.0), Just(5.0)]) {
        let a = generate::adversarial_heavy_rows(60, d, seed);
        let s = scores(&a, p, &Method::Lewis.into()).unwrap();
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
        let fit = regress(&a, &b, loss, &Options { tolerance: 1e-10, ..Options::default() }).unwrap();
        for _ in 0..20 {
            let x: Vec<f64> = fit.coefficients.iter().map(|c| c + 0.1 * normal(&mut rng)).collect();
            let r: Vec<f64> = (0..300).map(|i| b[i] - (0..d).map(|j| a[(i, j)] * x[j]).sum::<f64>()).collect();
            prop_assert!(fit.lower_bound.unwrap() <= loss.value(&r));
        }
        let kinked = matches!(loss, Loss::Quantile(_)) || loss == Loss::Lp(1.0);
        let share = if kinked { 1.0 - 1e-6 } else { 0.97 };
        prop_assert!(fit.lower_bound.unwrap() >= share * fit.objective - 1e-9, "{:?} {:?}", loss, fit);
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
            let s = scores(&a, p, &method.into()).unwrap();
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
            let exact = regress(&a, &b, loss, &Options::default()).unwrap();
            assert!(exact.lower_bound.unwrap() <= exact.objective);
            if offset < 1e6 {
                assert!(exact.lower_bound.unwrap() > 0.99 * exact.objective, "{offset:e} {loss:?} {exact:?}");
            }
            for seed in 0..5 {
                let fit = regress_on_coreset(&a, &b, loss, 300, &CoresetOptions { seed, ..CoresetOptions::default() })
                    .unwrap();
                assert!(
                    fit.lower_bound.unwrap() <= exact.objective,
                    "{offset:e} {loss:?}: {} {}",
                    fit.lower_bound.unwrap(),
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
    let s = scores(&a, 1.0, &Method::Lewis.into()).unwrap();
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
    let best = regress(&a, &b, Loss::Lp(1.0), &Options { tolerance: 1e-10, ..Options::default() }).unwrap().objective;
    let excess = |method, seed| {
        regress_on_coreset(&a, &b, Loss::Lp(1.0), 400, &CoresetOptions { method, seed, ..CoresetOptions::default() })
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
    assert_eq!(scores(&Matrix::zeros(3, 2), 1.0, &Method::Lewis.into()).unwrap().total, 0.0);
    assert!(matches!(scores(&Matrix::zeros(3, 2), 0.5, &Method::Lewis.into()), Err(Error::Argument(_))));
    assert!(matches!(Coreset::bernoulli(&[1.0; 4], 5, 0), Err(Error::Size { .. })));
    assert!(matches!(
        regress(&Matrix::zeros(3, 2), &[1.0; 2], Loss::Lp(1.0), &Options::default()),
        Err(Error::Data(_))
    ));
    assert!(regress(&generate::random_matrix(5, 2, 1), &[1.0; 5], Loss::Quantile(1.5), &Options::default()).is_err());
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
            let fit = regress_on_coreset(&a, &target, Loss::Lp(1.0), 400, &CoresetOptions::default()).unwrap();
            let s = scores(&a, 1.5, &Method::Lewis.into()).unwrap();
            let tree =
                Coreset::sample(&a, &s.values, 1.5, 2_000, &SampleOptions { sampler: Sampler::Tree, seed: 3 }).unwrap();
            let found =
                distortion(&a, &tree, 1.5, &DistortionOptions { max_iterations: 5, ..DistortionOptions::default() });
            let certified = certified_sensitivities(&a, 1.0, &[0, 7, 19_999], &CertifiedOptions { gap: 1e-2 }).unwrap();
            let exact =
                regress(&a, &target, Loss::Quantile(0.4), &Options { tolerance: 1e-8, ..Options::default() }).unwrap();
            assert!(matches!(exact.report.route, Route::Preprocessed { .. }));
            (s, fit, tree, found.unwrap(), certified, exact)
        })
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(3));
}

/// SEN-9: in the plane every direction can be tried: no one exceeds the upper bound, the best one reaches the lower bound.
#[test]
fn certified_sensitivities_are_those_of_every_direction() {
    // The last one: a heavy row that all others are orthogonal to, whose weight drowns theirs for large p.
    for (seed, heavy) in [(1, false), (2, true), (3, false)] {
        let a = if seed == 3 {
            Matrix::from_fn(60, 2, |i, j| {
                if i == 0 {
                    100.0
                } else if j == 0 {
                    1.0
                } else {
                    -1.0
                }
            })
        } else if heavy {
            generate::adversarial_heavy_rows(60, 2, seed)
        } else {
            generate::random_matrix(60, 2, seed)
        };

        let rows: Vec<usize> = (0..60).collect();
        for p in [1.0, 1.2, 1.5, 2.0, 3.0, 4.0, 7.0, 20.0, 64.0] {
            let bounds = scores(&a, p, &Method::Lewis.into()).unwrap();
            let found = certified_sensitivities(&a, p, &rows, &CertifiedOptions { gap: 1e-3 }).unwrap();
            assert!(found.converged() || p > 4.0, "p {p}");
            let mut best = vec![0.0_f64; 60];
            for k in 0..20_000 {
                let (sin, cos) = (std::f64::consts::PI * f64::from(k) / 20_000.0).sin_cos();
                let image: Vec<f64> = (0..60).map(|i| (a[(i, 0)] * cos + a[(i, 1)] * sin).abs().powf(p)).collect();
                let total: f64 = image.iter().sum();
                best.iter_mut().zip(&image).for_each(|(b, v)| *b = b.max(v / total));
            }
            for i in 0..60 {
                assert!(!found.converged() || found.upper[i] <= 1.001 * found.lower[i] * (1.0 + 1e-9), "p {p} row {i}");
                // SEN-3: and neither is beyond the bounds of Lewis weights.
                let grid = 1.0 + 1e-3 * p;
                assert!(best[i] <= bounds.upper[i] * (1.0 + 1e-12), "p {p} row {i}: {} {}", best[i], bounds.upper[i]);
                assert!(best[i] * grid >= bounds.lower[i], "p {p} row {i}: {} {}", best[i], bounds.lower[i]);
                assert!(best[i] <= found.upper[i] * (1.0 + 1e-12), "p {p} row {i}: {} {}", best[i], found.upper[i]);
                // The grid misses the best direction by its width.
                assert!(best[i] * grid >= found.lower[i], "p {p} row {i}: {} {}", best[i], found.lower[i]);
            }
        }
    }
}

/// SEN-9: the bounds of Lewis weights (SEN-3) hold the certified sensitivities, and the total of `p = 2` is the rank.
#[test]
fn certified_sensitivities_lie_within_the_bounds_of_lewis_weights() {
    let a = generate::adversarial_heavy_rows(150, 5, 8);
    let rows: Vec<usize> = (0..150).collect();
    for p in [1.0, 1.7, 2.0, 3.5] {
        let (s, c) = (
            scores(&a, p, &Method::Lewis.into()).unwrap(),
            certified_sensitivities(&a, p, &rows, &CertifiedOptions { gap: 1e-3 }).unwrap(),
        );
        for i in 0..150 {
            assert!(s.lower[i] <= c.upper[i] && c.lower[i] <= s.upper[i], "p {p} row {i}");
        }
        if p == 2.0 {
            assert!(
                (c.lower.iter().sum::<f64>() - 5.0).abs() < 1e-6 && (c.upper.iter().sum::<f64>() - 5.0).abs() < 1e-6
            );
        }
        let both = scores(&a, p, &Method::SensitivityPlusLeverage.into()).unwrap();
        let alone = scores(&a, p, &Method::Sensitivity.into()).unwrap();
        assert!((both.total - alone.total - 5.0).abs() < 1e-6, "the leverage scores are added");
    }
}

/// SEN-10: at the planned size the search finds a distortion beyond epsilon in at most 5 % of the seeds.
#[test]
fn the_planned_size_keeps_the_norm() {
    for (a, p) in [
        (generate::random_matrix(3000, 4, 1), 1.0),
        (generate::adversarial_heavy_rows(3000, 4, 2), 1.5),
        (generate::random_matrix(3000, 4, 3), 4.0),
    ] {
        let s = scores(&a, p, &Method::Lewis.into()).unwrap();
        let size = planned_size(0.3, p, s.rank).unwrap();
        assert!(size < 3000);
        let options = DistortionOptions { random_starts: 2, max_iterations: 30, ..DistortionOptions::default() };
        let failures = (0..20).filter(|&seed| {
            let c = Coreset::bernoulli(&s.values, size, seed).unwrap();
            distortion(&a, &c, p, &options).unwrap().at_least > 0.3
        });
        assert_rate_at_most(failures.count(), 20, 0.05, 1e-6);
    }
}

/// SEN-11: priority samples have the size asked, keep the heaviest row, and are unbiased: mean over 3,000 seeds within five
/// standard errors.
#[test]
fn priority_samples_have_their_size_and_are_unbiased() {
    let values: Vec<f64> = (0..200).map(|i| if i == 3 { 500.0 } else { 1.0 + f64::from(i % 9) }).collect();
    let total: f64 = values.iter().enumerate().map(|(i, v)| v * ((i % 4) as f64 - 1.0)).sum();
    let got: Vec<f64> = (0..3000)
        .map(|seed| {
            let c = Coreset::priority(&values, 30, seed).unwrap();
            assert_eq!(c.rows.len(), 30);
            assert!(c.rows.contains(&3) && c.rows.windows(2).all(|w| w[0] < w[1]));
            c.rows.iter().zip(&c.weights).map(|(&i, w)| w * values[i] * ((i % 4) as f64 - 1.0)).sum()
        })
        .collect();
    let mean = got.iter().sum::<f64>() / 3000.0;
    let sd = (got.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / 3000.0).sqrt();
    assert!((mean - total).abs() < 5.0 * sd / 3000.0_f64.sqrt(), "{mean} {total} {sd}");
}

/// SEN-13: rounds of root leverage sampling end at the size asked, keep a row that carries a column alone, and are unbiased
/// for a direction (mean of 400 seeds within five standard errors).
#[test]
fn root_leverage_in_rounds_is_unbiased() {
    let mut a = generate::random_matrix(20_000, 3, 4);
    (0..20_000).for_each(|i| a[(i, 2)] = f64::from(u8::from(i == 777)));
    let image = |i: usize| (a[(i, 0)] - 0.5 * a[(i, 1)] + 3.0 * a[(i, 2)]).abs();
    let total: f64 = (0..20_000).map(image).sum();
    let got: Vec<f64> = (0..400)
        .map(|seed| {
            let r = recursive_root_leverage(&a, 1.0, 150, seed).unwrap();
            assert!(r.rounds.len() >= 2 && (90..220).contains(&r.coreset.rows.len()), "{:?}", r.rounds);
            assert!(r.coreset.rows.contains(&777));
            r.coreset.rows.iter().zip(&r.coreset.weights).map(|(&i, w)| w * image(i)).sum()
        })
        .collect();
    let mean = got.iter().sum::<f64>() / 400.0;
    let sd = (got.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / 400.0).sqrt();
    assert!((mean - total).abs() < 5.0 * sd / 20.0, "{mean} {total} {sd}");
    assert!(sd < 0.2 * total);
    assert!(recursive_root_leverage(&a, 3.0, 100, 0).is_err());
}

/// SEN-4: as many rows as dominate are all kept, whatever rounding says of the share of the others.
#[test]
fn rows_that_are_certain_are_kept() {
    for equal in 1..200 {
        for value in [0.26081, 0.1, 0.7, 1.0 / 3.0] {
            let scores: Vec<f64> =
                [5.0, 2.0, 1.5].into_iter().chain(vec![value; equal]).chain(vec![1e-20; 20]).collect();
            let kept = Coreset::bernoulli(&scores, equal + 3, 1).unwrap();
            assert!(kept.rows.len() >= equal + 3, "{equal} x {value}: {}", kept.rows.len());
            assert!((kept.expected_size / (equal + 3) as f64 - 1.0).abs() < 1e-12);
        }
    }
}

/// SEN-18: a first draw by rough scores leaves the weighted sample unbiased and every decisive row in it.
#[test]
fn screened_coresets_are_unbiased_and_keep_decisive_rows() {
    let mut a = generate::random_matrix(20_000, 12, 4);
    (0..20_000).for_each(|i| a[(i, 2)] = f64::from(u8::from(i == 777)));
    let image = |i: usize| (a[(i, 0)] - 0.5 * a[(i, 1)] + 3.0 * a[(i, 2)]).abs();
    let total: f64 = (0..20_000).map(image).sum();
    for sampler in [Sampler::Bernoulli, Sampler::Priority, Sampler::Tree] {
        let got: Vec<f64> = (0..100)
            .map(|seed| {
                let options = CoresetOptions { sampler, seed, ..CoresetOptions::default() };
                let found = screened_coreset(&a, 1.0, 200, &options).unwrap();
                assert!((1_300..1_900).contains(&found.rows_scored), "{}", found.rows_scored);
                assert!((120..290).contains(&found.coreset.rows.len()) && found.coreset.rows.contains(&777));
                found.coreset.rows.iter().zip(&found.coreset.weights).map(|(&i, w)| w * image(i)).sum()
            })
            .collect();
        let mean = got.iter().sum::<f64>() / 100.0;
        let sd = (got.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / 100.0).sqrt();
        assert!((mean - total).abs() < 5.0 * sd / 10.0, "{sampler:?}: {mean} {total} {sd}");
        assert!(sd < 0.15 * total, "{sampler:?}: {sd}");
    }
    // A row without leverage is not drawn for its leverage: the first draw's weight is undone.
    let mut light = a.clone();
    (0..10_000).for_each(|i| light.row_mut(i).iter_mut().for_each(|v| *v *= 1e-2));
    let drawn: usize = (0..20)
        .map(|seed| {
            let options = CoresetOptions { method: Method::Leverage, seed, ..CoresetOptions::default() };
            let rows = screened_coreset(&light, 1.0, 200, &options).unwrap().coreset.rows;
            rows.iter().filter(|i| **i < 10_000 && **i != 777).count()
        })
        .sum();
    assert!(drawn < 10, "{drawn}: leverage gives them half a draw in all, root leverage forty");
    let zeros = Matrix::zeros(20_000, 2);
    assert!(screened_coreset(&zeros, 1.0, 10, &CoresetOptions::default()).unwrap().coreset.rows.is_empty());
    let scored = |method, oversampling, p| {
        screened_coreset(&a, p, 200, &CoresetOptions { method, oversampling, ..CoresetOptions::default() })
            .unwrap()
            .rows_scored
    };
    assert_eq!([scored(Method::Lewis, 0, 1.0), scored(Method::Lewis, 60, 1.0)], [20_000; 2]);
    assert_eq!(scored(Method::Lewis, 8, 3.0), 20_000);
    assert_eq!(scored(Method::Uniform, 8, 1.0), 0);
}

/// SEN-2: weights that start from a sample are those of the plain fixed point.
#[test]
fn lewis_weights_from_a_sample_are_those_of_all_rows() {
    let a = generate::adversarial_heavy_rows(8_000, 4, 2);
    for p in [1.0, 1.5, 3.0, 5.0_f64] {
        let mut stages = Vec::new();
        let options = ScoreOptions { tolerance: 1e-6, ..ScoreOptions::default() };
        let mut observer = FromFn(|progress: Progress| {
            stages.push(progress.stage);
            ControlFlow::Continue(())
        });
        let s = scores_observed(&a, p, &options, &mut observer).unwrap();
        assert!(s.converged() && stages.iter().any(|s| s.contains("sample")), "{p}: {stages:?}");
        // w ← w (τ/w)^{p/2}, τ the leverage scores of W^{1/2−1/p} A; for p > 2 damped to w ← τ.
        let mut w = vec![4.0 / 8_000.0; 8_000];
        for _ in 0..300 {
            let scaled = Matrix::from_fn(8_000, 4, |i, j| a[(i, j)] * f64::powf(w[i], 0.5 - 1.0 / p));
            let scores = leverage_scores(&scaled).unwrap();
            w.iter_mut().zip(scores).for_each(|(w, t)| *w *= (t / *w).powf((p / 2.0).min(1.0)));
        }
        let apart = s.values.iter().zip(&w).map(|(s, w)| (s / w - 1.0).abs()).fold(0.0, f64::max);
        assert!(apart < 1e-5, "{p}: {apart}");
    }
}

fn streamed(
    a: &Matrix,
    options: StreamOptions,
    cuts: &[usize],
    block: usize,
    through_bytes: bool,
) -> samplewise_sensitivity::StreamedCoreset {
    let mut parts = Vec::new();
    for w in cuts.windows(2) {
        let mut part = StreamingCoreset::new(a.columns(), &options).unwrap();
        // Blocks from the last to the first.
        let firsts: Vec<usize> = (w[0]..w[1]).step_by(block).collect();
        for &first in firsts.iter().rev() {
            let rows: Vec<usize> = (first..(first + block).min(w[1])).collect();
            part.update(Block { first: first as u64, rows: a.select_rows(&rows).view() }).unwrap();
        }
        parts.push(if through_bytes { StreamingCoreset::from_bytes(&part.to_bytes()).unwrap() } else { part });
    }
    // Merged from the middle.
    let middle = parts.len() / 2;
    let mut all = parts.remove(middle);
    parts.into_iter().rev().for_each(|p| all.merge(p).unwrap());
    all.finish().unwrap()
}

/// SEN-14: any blocks, any shards, any order of merging, also through bytes: the same rows and weights, and for leverage,
/// root leverage and uniform those of all rows at once. Small samples of many rows, so that rows are given up on the way;
/// dependent columns, too.
#[test]
fn streams_give_the_same_coreset_for_every_split() {
    let mut a = generate::adversarial_heavy_rows(30_000, 4, 9);
    for i in 0..30_000 {
        let (x, y) = (f64::from(u8::from(i % 3 == 0)), f64::from(u8::from(i % 3 != 0)));
        (a[(i, 1)], a[(i, 2)], a[(i, 3)]) = (x, y, x + y); // an intercept beside all its dummies
    }
    let n = 30_000_f64;
    for (method, p) in [
        (Method::Uniform, 1.0),
        (Method::Leverage, 2.0),
        (Method::Leverage, 1.0),
        (Method::RootLeverage, 1.0),
        (Method::RootLeverage, 1.5),
        (Method::Lewis, 1.0),
        (Method::Lewis, 4.0),
    ] {
        let options = StreamOptions { p, method, size: 60, seed: 5 };
        let whole = streamed(&a, options, &[0, 30_000], 30_000, false);
        for (cuts, block, bytes) in [
            (&[0, 30_000][..], 777, false),
            (&[0, 4096, 8192, 30_000], 4096, true),
            (&[0, 1, 12_345, 12_346, 29_999, 30_000], 1_000, true),
        ] {
            assert_eq!(whole, streamed(&a, options, cuts, block, bytes), "{method:?} {cuts:?}");
        }
        assert!((10..120).contains(&whole.rows.len()), "{method:?}: {}", whole.rows.len());
        for (k, &row) in whole.rows.iter().enumerate() {
            assert_eq!(whole.data.row(k), a.row(row as usize));
        }
        if method != Method::Lewis {
            let s = scores(&a, p, &method.into()).unwrap();
            let rate = match method {
                Method::Uniform => 60.0 / n,
                Method::Leverage => 60.0 / 4.0,
                _ => 60.0 / (n.powf(1.0 - p / 2.0) * 4.0_f64.powf(p / 2.0)),
            };
            let batch = Coreset::with_rate(&s.values, rate, 5).unwrap();
            let rows: Vec<usize> = whole.rows.iter().map(|r| *r as usize).collect();
            assert_eq!((rows, &whole.weights), (batch.rows, &batch.weights), "{method:?}");
        }
    }
}

/// SEN-14: rows that never came, came twice, or do not fit are errors, and so are damaged bytes; the estimate of a sum
/// from a Lewis stream is right within 40 % (its weights are products of several levels).
#[test]
fn streams_refuse_what_is_wrong() {
    let a = generate::random_matrix(9_000, 3, 1);
    let options = StreamOptions { p: 1.0, method: Method::Lewis, size: 300, seed: 1 };
    let part = |from: usize, to: usize| a.select_rows(&(from..to).collect::<Vec<_>>());
    let mut s = StreamingCoreset::new(3, &options).unwrap();
    s.update(Block { first: 0, rows: part(0, 5_000).view() }).unwrap();
    assert!(s.update(Block { first: 4_999, rows: part(0, 1).view() }).is_err(), "twice");
    assert!(s.update(Block { first: 100, rows: part(0, 1).view() }).is_err(), "twice, in a finished leaf");
    assert!(s.update(Block { first: 5_000, rows: generate::random_matrix(2, 4, 0).view() }).is_err());
    assert!(
        s.update(Block { first: 5_000, rows: Matrix::from_vec(1, 3, vec![0.0, f64::NAN, 1.0]).unwrap().view() })
            .is_err()
    );
    let bytes = s.to_bytes();
    assert_eq!(StreamingCoreset::from_bytes(&bytes).unwrap(), s);
    assert!((0..bytes.len()).step_by(97).all(|k| StreamingCoreset::from_bytes(&bytes[..k]).is_err()));
    let mut other = s.clone();
    other.update(Block { first: 6_000, rows: part(6_000, 9_000).view() }).unwrap();
    assert!(other.clone().finish().is_err(), "1,000 rows are missing");
    assert!(other.merge(s).is_err(), "rows of both");
    other.update(Block { first: 5_000, rows: part(5_000, 6_000).view() }).unwrap();
    let out = other.finish().unwrap();
    let image = |m: &Matrix, i: usize| (m[(i, 0)] - m[(i, 1)]).abs();
    let truth: f64 = (0..9_000).map(|i| image(&a, i)).sum();
    let found: f64 = out.weights.iter().enumerate().map(|(k, w)| w * image(&out.data, k)).sum();
    assert!((found / truth - 1.0).abs() < 0.4, "{found} {truth}");
    for options in [
        StreamOptions { p: 3.0, method: Method::RootLeverage, ..options },
        StreamOptions { method: Method::Sensitivity, ..options },
        StreamOptions { size: 0, ..options },
    ] {
        assert!(StreamingCoreset::new(3, &options).is_err());
    }
    assert!(StreamingCoreset::new(3, &options).unwrap().finish().is_err());
}

/// SEN-15: the ratio reported is that of the direction reported; nothing is found against all rows, and a column whose only
/// row is missing is found.
#[test]
fn the_adversary_finds_what_is_missing() {
    let mut a = generate::random_matrix(500, 4, 2);
    (0..500).for_each(|i| a[(i, 3)] = f64::from(u8::from(i == 99)));
    let power =
        |m: &Matrix, i: usize, x: &[f64], p: f64| m.row(i).iter().zip(x).map(|(a, b)| a * b).sum::<f64>().abs().powf(p);
    for p in [1.0, 2.0, 3.0] {
        let all = Coreset { rows: (0..500).collect(), weights: vec![1.0; 500], expected_size: 500.0 };
        assert!(distortion(&a, &all, p, &DistortionOptions::default()).unwrap().at_least < 1e-9);
        let some =
            Coreset { rows: (0..500).filter(|i| *i != 99).collect(), weights: vec![1.0; 499], expected_size: 499.0 };
        let found = distortion(&a, &some, p, &DistortionOptions::default()).unwrap();
        assert!(found.at_least > 0.99, "p {p}: {}", found.at_least);
        let c = Coreset::bernoulli(&vec![1.0; 500], 100, 3).unwrap();
        let found = distortion(&a, &c, p, &DistortionOptions::default()).unwrap();
        let whole: f64 = (0..500).map(|i| power(&a, i, &found.direction, p)).sum();
        let part: f64 = c.rows.iter().zip(&c.weights).map(|(&i, w)| w * power(&a, i, &found.direction, p)).sum();
        assert!((part / whole - found.ratio).abs() < 1e-9 * (1.0 + found.ratio), "{} {}", part / whole, found.ratio);
    }
    let empty = Coreset { rows: Vec::new(), weights: Vec::new(), expected_size: 0.0 };
    assert!(distortion(&a, &empty, 1.0, &DistortionOptions::default()).is_err());
}

/// SEN-16: the reduced problem has the solution of all rows: the certified gap says so, also with rare categories, heavy
/// tails, ties and every quantile.
#[test]
fn reduced_problems_have_the_solution_of_all_rows() {
    let n = 12_000;
    let mut rng = Streams::new(5).stream(0);
    let a = Matrix::from_fn(n, 6, |i, j| match j {
        0 => 1.0,
        1 => f64::from(u8::from(i % 600 == 0)),
        2 => f64::from(u8::from(i % 3 == 0)),
        _ => normal(&mut rng),
    });
    let b: Vec<f64> = (0..n)
        .map(|i| {
            let noise = normal(&mut rng);
            (a[(i, 0)] + 4.0 * a[(i, 1)] - a[(i, 3)] + noise * noise * noise * (1.0 + 3.0 * a[(i, 2)])).round()
        })
        .collect();
    for loss in [Loss::Lp(1.0), Loss::Quantile(0.5), Loss::Quantile(0.9), Loss::Quantile(0.02)] {
        let fit = regress(&a, &b, loss, &Options::default()).unwrap();
        assert!(
            matches!(fit.report.route, Route::Preprocessed { rows, .. } if rows < n / 2)
                || fit.report.route == Route::InteriorPoint,
            "{:?}",
            fit.report.route
        );
        assert!(fit.gap().unwrap() <= 1e-7 * fit.objective, "{loss:?}: {:e}", fit.gap().unwrap() / fit.objective);
    }
    let fit = regress(&a, &b, Loss::Lp(1.0), &Options::default()).unwrap();
    assert!(matches!(fit.report.route, Route::Preprocessed { .. }), "{:?}", fit.report.route);
}

/// SEN-17: labels are asked for the sampled rows only, in order, and the fit is near the optimum: excess beyond 15 % in at
/// most 5 % of the seeds.
#[test]
fn few_labels_are_enough() {
    let a = generate::adversarial_heavy_rows(3_000, 4, 6);
    let mut rng = Streams::new(4).stream(0);
    let b: Vec<f64> = (0..3_000).map(|i| a[(i, 0)] - 2.0 * a[(i, 2)] + normal(&mut rng)).collect();
    for loss in [Loss::Lp(1.0), Loss::Lp(1.5), Loss::Lp(3.0), Loss::Quantile(0.3)] {
        let best = regress(&a, &b, loss, &Options::default()).unwrap();
        let failures = (0..20).filter(|&seed| {
            let options = CoresetOptions { seed, ..CoresetOptions::default() };
            let mut asked = Vec::new();
            let fit = regress_asking(
                &a,
                |i| {
                    asked.push(i);
                    b[i]
                },
                loss,
                250,
                &options,
            )
            .unwrap();
            assert_eq!(asked, LabelPlan::new(&a, loss, 250, &options).unwrap().ask());
            assert_eq!(asked.len(), fit.report.rows_used);
            let r: Vec<f64> =
                (0..3_000).map(|i| b[i] - (0..4).map(|j| a[(i, j)] * fit.coefficients[j]).sum::<f64>()).collect();
            loss.value(&r) > 1.15 * best.objective
        });
        assert_rate_at_most(failures.count(), 20, 0.05, 1e-6);
    }
    assert!(matches!(
        regress_asking(&a, |_| f64::NAN, Loss::Lp(1.0), 100, &CoresetOptions::default()),
        Err(Error::Label { .. })
    ));
}

/// SEN-1 to SEN-8 on sparse tables: the same scores, samples and fits as of the dense ones, to rounding.
#[test]
fn sparse_tables_answer_as_dense_ones() {
    let n = 3_000;
    let mut rng = Streams::new(2).stream(0);
    let mut coo = CooBuilder::new(n, 12);
    for i in 0..n {
        coo.push(i, 0, 1.0).unwrap();
        coo.push(i, 1, normal(&mut rng)).unwrap();
        coo.push(i, 2 + i * i % 10, 1.0 + (i % 2) as f64).unwrap();
    }
    let sparse: CsrMatrix = coo.build(Duplicates::Error).unwrap();
    let dense = sparse.copy_to_dense();
    let b: Vec<f64> = (0..n).map(|i| dense[(i, 1)] + (i % 7) as f64 + normal(&mut rng)).collect();
    for (method, p) in [(Method::Leverage, 2.0), (Method::Lewis, 1.0), (Method::Lewis, 3.0)] {
        let (s, d) = (scores(&sparse, p, &method.into()).unwrap(), scores(&dense, p, &method.into()).unwrap());
        assert!(s.values.iter().zip(&d.values).all(|(s, d)| (s - d).abs() < 1e-8), "{method:?}");
        let (c, e) = (
            Coreset::sample(&sparse, &s.values, p, 300, &SampleOptions { sampler: Sampler::Tree, seed: 1 }).unwrap(),
            s.rank,
        );
        assert!((299..=301).contains(&c.rows.len()) && e == d.rank);
        assert_eq!(c.scaled_rows(&sparse, p), c.scaled_rows(&dense, p));
    }
    for loss in [Loss::Lp(1.0), Loss::Lp(1.5), Loss::Lp(2.0), Loss::Quantile(0.7)] {
        let (s, d) = (
            regress(&sparse, &b, loss, &Options::default()).unwrap(),
            regress(&dense, &b, loss, &Options::default()).unwrap(),
        );
        assert!((s.objective / d.objective - 1.0).abs() < 1e-8, "{loss:?}");
        let options = CoresetOptions::default();
        let (s, d) = (
            regress_on_coreset(&sparse, &b, loss, 400, &options).unwrap(),
            regress_on_coreset(&dense, &b, loss, 400, &options).unwrap(),
        );
        assert!((s.objective / d.objective - 1.0).abs() < 1e-6, "{loss:?}: {} {}", s.objective, d.objective);
        assert!(s.lower_bound.unwrap() <= s.objective && s.lower_bound.unwrap() > 0.5 * s.objective);
    }
}
