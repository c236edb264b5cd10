//! Nothing that a regression claims is taken from the solver: a referee in twice the precision recomputes the loss and the
//! minimum. The problems are those of hostile users: quantiles from .0005 to .9995, ties, counts, duplicates, collinear
//! columns, heavy tails, fewer rows than columns, far outliers.
use samplewise_linalg::Matrix;
use samplewise_linalg::random::{Streams, below, normal, uniform};
use samplewise_linalg::scale::ldexp;
use samplewise_sensitivity::{
    Loss, Preprocessing, Regression, SolverOptions, Status, regress, regress_observed, regress_on_coreset,
};
use samplewise_testkit::designs::Design;
use samplewise_testkit::hostile;
use samplewise_testkit::referee::regression::{Loss as Judged, judge};

/// Problems of a sweep; `SAMPLEWISE_TRUST_CASES` sets another number.
fn cases(usual: u64) -> u64 {
    std::env::var("SAMPLEWISE_TRUST_CASES").ok().and_then(|v| v.parse().ok()).unwrap_or(usual)
}

/// A table of 2 to 400 rows of one of six kinds.
fn table(seed: u64) -> Design {
    let mut rng = Streams::new(seed).stream(0);
    let d = 1 + below(&mut rng, 6);
    let n = [2 + below(&mut rng, 10), 20 + below(&mut rng, 60), 100 + below(&mut rng, 300)][seed as usize % 3];
    let mut design = match seed / 3 % 6 {
        0 => hostile::extreme_quantiles(n, d, 2 * seed),
        1 => hostile::extreme_quantiles(n, d, 2 * seed + 1),
        2 | 3 => hostile::counts_with_ties(n, d, seed),
        4 => hostile::few_rows_many_columns(seed),
        _ => hostile::extreme_quantiles(n, d, 2 * seed + 1),
    };
    if seed / 3 % 6 == 5 {
        // Every row three times, in another order.
        let rows: Vec<usize> = (0..3 * design.a.rows()).map(|i| i * 7 % design.a.rows()).collect();
        design.b = rows.iter().map(|&i| design.b[i]).collect();
        design.a = design.a.select_rows(&rows);
    }
    design
}

fn check(name: &str, a: &Matrix, b: &[f64], loss: Loss, fit: &Regression) {
    let judged = match loss {
        Loss::Quantile(tau) => Judged::Quantile(tau),
        Loss::Lp(p) => Judged::Power(p),
    };
    let verdict = judge(a, b, None, judged, &fit.coefficients);
    // An exact fit is one up to rounding of the coefficients.
    let terms = |i: usize| a.row(i).iter().zip(&fit.coefficients).map(|(a, x)| (a * x).abs()).sum::<f64>() + b[i].abs();
    let size = verdict.objective.max(1e-6 * (0..b.len()).map(terms).sum::<f64>());
    assert!((fit.objective - verdict.objective).abs() <= 1e-9 * size, "{name}: {fit:?} {verdict:?}");
    assert!(verdict.gap <= 1e-8 * size, "{name}: gap {:e} {fit:?} {verdict:?}", verdict.gap / size);
    let bound = fit.lower_bound.unwrap_or_else(|| panic!("{name}: no bound, {fit:?}"));
    assert!(bound <= verdict.objective - verdict.gap + 1e-9 * size, "{name}: {fit:?} {verdict:?}");
    assert_eq!(fit.status, Status::Converged, "{name}: {fit:?} {verdict:?}");
}

/// Row SEN-19: every fit ends in a vertex that is optimal, at any quantile and with any preprocessing.
#[test]
fn quantiles_are_exact_on_hostile_tables() {
    for seed in 0..cases(1_000) {
        let design = table(seed);
        let tau = hostile::EXTREME_QUANTILES[seed as usize % hostile::EXTREME_QUANTILES.len()];
        let preprocessing = [Preprocessing::Auto, Preprocessing::Always, Preprocessing::Never][seed as usize / 7 % 3];
        let options = SolverOptions { preprocessing, ..SolverOptions::default() };
        let loss = Loss::Quantile(tau);
        let fit = regress_observed(&design.a, &design.b, loss, &options, &mut ()).unwrap();
        check(&format!("seed {seed} tau {tau} {}", design.name), &design.a, &design.b, loss, &fit);
    }
}

/// The same on tables of some thousand rows, where a reduced problem is solved first.
#[test]
fn quantiles_of_many_rows_are_exact() {
    for seed in 0..cases(1_000) / 20 {
        let n = 2_500 + 97 * (seed as usize % 40);
        let design = if seed % 4 == 3 {
            hostile::counts_with_ties(n, 4, seed)
        } else {
            hostile::extreme_quantiles(n, 3 + seed as usize % 4, seed)
        };
        let tau = hostile::EXTREME_QUANTILES[(seed as usize * 7) % hostile::EXTREME_QUANTILES.len()];
        let preprocessing = [Preprocessing::Auto, Preprocessing::Always][seed as usize % 2];
        let options = SolverOptions { preprocessing, ..SolverOptions::default() };
        let loss = Loss::Quantile(tau);
        let fit = regress_observed(&design.a, &design.b, loss, &options, &mut ()).unwrap();
        check(&format!("seed {seed} tau {tau} {}", design.name), &design.a, &design.b, loss, &fit);
    }
}

/// A table with far outliers, now and then with fewer rows than columns.
fn outliers(seed: u64) -> (Matrix, Vec<f64>) {
    let mut rng = Streams::new(seed).stream(2);
    let d = 1 + below(&mut rng, 5);
    let n = if seed % 5 == 0 { 1 + below(&mut rng, d) } else { d + 1 + below(&mut rng, 200) };
    let mut a = Matrix::from_fn(n, d, |_, j| if j == 0 { 1.0 } else { normal(&mut rng) });
    let mut b: Vec<f64> = (0..n).map(|i| a.row(i).iter().sum::<f64>() + normal(&mut rng)).collect();
    for _ in 0..below(&mut rng, 4) {
        let (i, size) = (below(&mut rng, n), 10.0_f64.powf(4.0 * uniform(&mut rng)));
        b[i] += size * normal(&mut rng).signum();
        if d > 1 && below(&mut rng, 2) == 0 {
            a.row_mut(i)[1] = size;
        }
    }
    (a, b)
}

/// Row SEN-6: within 1e-6 of the minimum for every exponent, and the status says so.
#[test]
fn powers_are_minimised_beside_outliers() {
    for p in [1.01, 1.1, 1.5, 3.0, 4.0, 8.0, 12.0, 32.0] {
        for seed in 0..cases(1_000) / 10 {
            let (a, b) = outliers(seed);
            let fit = regress(&a, &b, Loss::Lp(p), 1e-9).unwrap();
            let verdict = judge(&a, &b, None, Judged::Power(p), &fit.coefficients);
            let size = verdict.objective.max(1e-8 * verdict.null_objective);
            let name = format!("p {p} seed {seed} {} x {}", a.rows(), a.columns());
            assert!(verdict.gap <= 1e-6 * size, "{name}: {:e} {fit:?} {verdict:?}", verdict.gap / size);
            let bound = fit.lower_bound.unwrap_or_else(|| panic!("{name}: no bound {fit:?}"));
            assert!(bound <= verdict.objective + 1e-12 * size, "{name}: {fit:?} {verdict:?}");
        }
    }
}

/// Row TRU-1: other units of target and columns give the same fit in these units.
#[test]
fn units_do_not_matter() {
    let design = hostile::extreme_quantiles(60, 3, 4);
    for loss in [Loss::Quantile(0.9), Loss::Lp(1.0), Loss::Lp(1.5), Loss::Lp(2.0), Loss::Lp(3.0)] {
        let expected = regress(&design.a, &design.b, loss, 1e-9).unwrap();
        for e in hostile::POWERS_OF_TWO {
            let target = hostile::scaled(&design.b, e);
            match regress(&design.a, &target, loss, 1e-9) {
                Ok(fit) => {
                    for (c, x) in fit.coefficients.iter().zip(&expected.coefficients) {
                        assert!(
                            (ldexp(*c, -e) - x).abs() <= 1e-6 * x.abs(),
                            "{loss:?} target 2^{e}: {fit:?} {expected:?}"
                        );
                    }
                    assert_eq!(fit.status, expected.status, "{loss:?} target 2^{e}: {fit:?}");
                }
                Err(error) => {
                    assert!(e > 300 && error.to_string().contains("scale the target"), "{loss:?} 2^{e}: {error}")
                }
            }
            let table = Matrix::from_fn(60, 3, |i, j| ldexp(design.a[(i, j)], e));
            let fit = regress(&table, &design.b, loss, 1e-9)
                .unwrap_or_else(|error| panic!("{loss:?} columns 2^{e}: {error}"));
            for (c, x) in fit.coefficients.iter().zip(&expected.coefficients) {
                assert!((ldexp(*c, e) - x).abs() <= 1e-6 * x.abs(), "{loss:?} columns 2^{e}: {fit:?} {expected:?}");
            }
        }
    }
}

/// Fits of coresets end in vertices of their weighted problem, and their bounds hold on all rows.
#[test]
fn coresets_at_extreme_quantiles_are_bounded_on_all_rows() {
    for seed in 0..20 {
        let design = hostile::extreme_quantiles(3_000, 4, seed);
        let tau = hostile::EXTREME_QUANTILES[seed as usize % hostile::EXTREME_QUANTILES.len()];
        let options = samplewise_sensitivity::Options { seed, ..samplewise_sensitivity::Options::default() };
        let loss = Loss::Quantile(tau);
        let fit = regress_on_coreset(&design.a, &design.b, loss, 400, &options).unwrap();
        let exact = regress(&design.a, &design.b, loss, 1e-9).unwrap();
        assert_eq!(fit.status, Status::Converged, "seed {seed} {fit:?}");
        assert!(fit.objective >= exact.objective * (1.0 - 1e-9) && fit.objective.is_finite(), "{fit:?} {exact:?}");
        let bound = fit.lower_bound.unwrap();
        assert!(bound <= exact.objective && bound >= 0.99 * exact.objective, "seed {seed} {bound} {exact:?}");
    }
}
