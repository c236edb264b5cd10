//! Group and multi-task Lasso: certificates computed again from the definition, and the cases where they are a Lasso.
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use samplewise_lasso::group::{GroupOptions, largest_lambda, path, single_columns, solve};
use samplewise_lasso::{Design, Error, Grid, Options, Status};
use samplewise_linalg::Matrix;
use samplewise_testkit::generate;

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    /// LAS-6: the objective is the true one, and the residual scaled to feasibility proves it to be the least.
    #[test]
    fn block_certificates_are_right(
        n in 4_usize..30, p in 2_usize..24, tasks in 1_usize..4, size in 1_usize..4, seed in any::<u64>(),
        intercept in any::<bool>(), weighted in any::<bool>(), share in 0.05_f64..1.1,
    ) {
        let x = generate::random_matrix(n, p, seed);
        let y = generate::random_matrix(n, tasks, seed ^ 1);
        let groups: Vec<Vec<usize>> = (0..p).collect::<Vec<_>>().chunks(size).map(<[usize]>::to_vec).collect();
        let weights: Vec<f64> = (0..n).map(|i| if weighted { 0.5 + (i % 3) as f64 } else { 1.0 }).collect();
        let o = GroupOptions { intercept, tolerance: 1e-9, sample_weights: weighted.then(|| weights.clone()), ..GroupOptions::default() };
        let design = Design::dense(&x).unwrap();
        let lambda = share * largest_lambda(&design, &y, &groups, &o).unwrap();
        let fit = solve(&design, &y, &groups, lambda, &o).unwrap();
        prop_assert_eq!(fit.status, Status::Converged);
        prop_assert!(share <= 1.0 || fit.groups.is_empty());
        let total: f64 = weights.iter().sum();
        let s: Vec<f64> = weights.iter().map(|w| w * n as f64 / total).collect();
        let b = |j: usize, t: usize| fit.coefficients.iter().find(|c| c.0 == j).map_or(0.0, |c| c.1[t]);
        let r = Matrix::from_fn(n, tasks, |i, t| y[(i, t)] - fit.intercepts[t] - (0..p).map(|j| x[(i, j)] * b(j, t)).sum::<f64>());
        let (mut squares, mut along) = (0.0, 0.0);
        for i in 0..n {
            for t in 0..tasks {
                squares += s[i] * r[(i, t)].powi(2) / n as f64;
                along += s[i] * r[(i, t)] * y[(i, t)] / n as f64;
            }
        }
        let (mut penalty, mut limit) = (0.0, 1.0_f64);
        for g in &groups {
            let weight = (g.len() as f64).sqrt();
            let (mut norm, mut c) = (0.0, 0.0);
            for &j in g {
                for t in 0..tasks {
                    norm += b(j, t).powi(2);
                    c += ((0..n).map(|i| s[i] * x[(i, j)] * r[(i, t)]).sum::<f64>() / n as f64).powi(2);
                }
            }
            penalty += weight * norm.sqrt();
            limit = limit.min(lambda * weight / c.sqrt().max(1e-300));
        }
        let primal = 0.5 * squares + lambda * penalty;
        prop_assert!((primal - fit.objective).abs() <= 1e-10 * fit.report.null_objective, "{primal} {}", fit.objective);
        let scale = (along / squares.max(1e-300)).min(limit);
        let dual = scale * along - 0.5 * scale * scale * squares;
        prop_assert!(primal - dual <= 1e-7 * fit.report.null_objective, "{primal} {dual}");
    }
}

/// LAS-6: with one target and one column per group it is the Lasso.
#[test]
fn single_columns_and_one_target_are_the_lasso() {
    let (x, y, _) = generate::random_sparse_regression(50, 40, 4, 0.5, 3);
    let design = Design::dense(&x).unwrap();
    let target = Matrix::from_vec(50, 1, y.clone()).unwrap();
    let groups = single_columns(&design);
    let o = GroupOptions { tolerance: 1e-12, ..GroupOptions::default() };
    let top = largest_lambda(&design, &target, &groups, &o).unwrap();
    let plain = Options { tolerance: 1e-12, ..Options::default() };
    assert!((top / samplewise_lasso::largest_lambda(&design, &y, &plain).unwrap() - 1.0).abs() < 1e-12);
    let fits = path(&design, &target, &groups, &Grid::Values(vec![0.5 * top, 0.1 * top]), &o).unwrap();
    for fit in fits {
        let other = samplewise_lasso::solve(&design, &y, fit.lambda, &plain).unwrap();
        assert!((fit.objective - other.objective).abs() < 1e-11 * fit.report.null_objective);
        for (j, row) in &fit.coefficients {
            assert!((row[0] - other.coefficient(*j)).abs() < 1e-4);
        }
    }
}

#[test]
fn bad_groups_are_named() {
    let design = Design::dense(&generate::random_matrix(6, 4, 1)).unwrap();
    let y = generate::random_matrix(6, 2, 2);
    let o = GroupOptions::default();
    for (groups, bad) in
        [(vec![vec![0], vec![]], 1), (vec![vec![0, 9]], 0), (vec![vec![0], vec![1, 0]], 1), (vec![vec![2, 2]], 0)]
    {
        let got = solve(&design, &y, &groups, 0.1, &o);
        assert!(matches!(&got, Err(Error::Group { group, .. }) if *group == bad), "{got:?}");
    }
    let groups = single_columns(&design);
    assert!(solve(&design, &generate::random_matrix(5, 2, 1), &groups, 0.1, &o).is_err());
    assert!(solve(&design, &y, &groups, -1.0, &o).is_err());
    let bad = GroupOptions { penalty_factors: Some(vec![1.0, 0.0, 1.0, 1.0]), ..o };
    assert!(matches!(solve(&design, &y, &groups, 0.1, &bad), Err(Error::Entry { position: 1, .. })));
}
