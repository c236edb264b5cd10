//! Nothing that a regression claims is taken from the solver: a referee in twice the precision recomputes the loss and the
//! minimum. The problems are those of hostile users: quantiles from .0005 to .9995, ties, counts, duplicates, collinear
//! columns, heavy tails, fewer rows than columns, far outliers.
use samplewise_linalg::Matrix;
use samplewise_linalg::random::{StreamRng, Streams, below, normal, uniform};
use samplewise_linalg::scale::ldexp;
use samplewise_sensitivity::{
    CertifiedOptions, Loss, Options, Preprocessing, Regression, Status, certified_sensitivities, regress,
    regress_on_coreset,
};
use samplewise_testkit::designs::Design;
use samplewise_testkit::hostile;
use samplewise_testkit::referee::regression::{Loss as Judged, judge};

/// A table of 2 to 1,200 rows of one of six kinds.
fn table(seed: u64) -> Design {
    let mut rng = Streams::new(seed).stream(0);
    let d = 1 + below(&mut rng, 6);
    let n = [2 + below(&mut rng, 10), 20 + below(&mut rng, 60), 100 + below(&mut rng, 300)][seed as usize % 3];
    let mut design = match seed / 3 % 6 {
        0 => hostile::extreme_quantiles(n, d, 2 * seed),
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
    for seed in 0..hostile::cases(1_000) {
        let design = table(seed);
        let tau = hostile::EXTREME_QUANTILES[seed as usize % hostile::EXTREME_QUANTILES.len()];
        let preprocessing = [Preprocessing::Auto, Preprocessing::Always, Preprocessing::Never][seed as usize / 7 % 3];
        let options = Options { preprocessing, ..Options::default() };
        let loss = Loss::Quantile(tau);
        let fit = regress(&design.a, &design.b, loss, &options).unwrap();
        check(&format!("seed {seed} tau {tau} {}", design.name), &design.a, &design.b, loss, &fit);
    }
}

/// The same on tables of some thousand rows, where a reduced problem is solved first.
#[test]
fn quantiles_of_many_rows_are_exact() {
    for seed in 0..hostile::cases(1_000) / 20 {
        let n = 2_500 + 97 * (seed as usize % 40);
        let design = if seed % 4 == 3 {
            hostile::counts_with_ties(n, 4, seed)
        } else {
            hostile::extreme_quantiles(n, 3 + seed as usize % 4, seed)
        };
        let tau = hostile::EXTREME_QUANTILES[(seed as usize * 7) % hostile::EXTREME_QUANTILES.len()];
        let preprocessing = [Preprocessing::Auto, Preprocessing::Always][seed as usize % 2];
        let options = Options { preprocessing, ..Options::default() };
        let loss = Loss::Quantile(tau);
        let fit = regress(&design.a, &design.b, loss, &options).unwrap();
        check(&format!("seed {seed} tau {tau} {}", design.name), &design.a, &design.b, loss, &fit);
    }
}

/// A table with far outliers, now and then with fewer rows than columns.
/// Row SEN-7: what is taken off a bound for rounding does not grow so fast with the rows that no fit of many rows could be said
/// to have converged. Every row stands 300 times, so that the minimum is 300 times that of a table which the referee judges.
#[test]
fn fits_of_many_rows_say_that_they_converged() {
    const TIMES: usize = 300;
    let (n, d) = (800, 4);
    let mut rng = Streams::new(11).stream(0);
    let a = Matrix::from_fn(n, d, |_, j| if j == 0 { 1.0 } else { normal(&mut rng) });
    let b: Vec<f64> = (0..n).map(|i| a[(i, 1)] - 2.0 * a[(i, 3)] + normal(&mut rng)).collect();
    let rows: Vec<usize> = (0..TIMES * n).map(|k| (k * 7919) % n).collect();
    let (many, target) = (a.select_rows(&rows), rows.iter().map(|&i| b[i]).collect::<Vec<f64>>());
    for loss in [
        Loss::Quantile(0.02),
        Loss::Quantile(0.5),
        Loss::Lp(1.0),
        Loss::Lp(1.1),
        Loss::Lp(1.5),
        Loss::Lp(2.0),
        Loss::Lp(3.0),
    ] {
        let few = regress(&a, &b, loss, &Options::default()).unwrap();
        // The referee knows absolute values as the quantile 0.5.
        if loss != Loss::Lp(1.0) {
            check(&format!("{loss:?}"), &a, &b, loss, &few);
        }
        let fit = regress(&many, &target, loss, &Options::default()).unwrap();
        let (times, bound) = (TIMES as f64, fit.lower_bound.unwrap());
        assert!(fit.converged(), "{loss:?}: {fit:?}");
        assert!(bound <= times * few.objective, "{loss:?}: {bound} {}", few.objective);
        assert!(fit.objective >= times * few.lower_bound.unwrap() * (1.0 - 1e-12), "{loss:?}: {fit:?}");
        assert!(fit.gap().unwrap() <= 1e-9 * fit.objective, "{loss:?}: {fit:?}");
    }
}

fn outliers(seed: u64) -> (Matrix, Vec<f64>) {
    let mut rng = Streams::new(seed).stream(2);
    let d = 1 + below(&mut rng, 5);
    let n = if seed.is_multiple_of(5) { 1 + below(&mut rng, d) } else { d + 1 + below(&mut rng, 200) };
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

/// Row SEN-6: within 1e-6 of the minimum for every exponent, with a lower bound that shows convergence.
#[test]
fn powers_are_minimised_beside_outliers() {
    for p in [1.01, 1.1, 1.5, 3.0, 4.0, 8.0, 12.0, 32.0] {
        for seed in 0..hostile::cases(1_000) / 10 {
            let (a, b) = outliers(seed);
            let fit = regress(&a, &b, Loss::Lp(p), &Options::default()).unwrap();
            let verdict = judge(&a, &b, None, Judged::Power(p), &fit.coefficients);
            let size = verdict.objective.max(1e-8 * verdict.null_objective);
            let name = format!("p {p} seed {seed} {} x {}", a.rows(), a.columns());
            assert!(verdict.gap <= 1e-6 * size, "{name}: {:e} {fit:?} {verdict:?}", verdict.gap / size);
            let bound = fit.lower_bound.unwrap_or_else(|| panic!("{name}: no bound {fit:?}"));
            assert!(bound <= verdict.objective + 1e-12 * size, "{name}: {fit:?} {verdict:?}");
            assert!(fit.converged(), "{name}: {fit:?} {verdict:?}");
        }
    }
}

/// Row TRU-1: other units of target and columns give the same fit in these units.
#[test]
fn units_do_not_matter() {
    let design = hostile::extreme_quantiles(60, 3, 4);
    for loss in [Loss::Quantile(0.9), Loss::Lp(1.0), Loss::Lp(1.5), Loss::Lp(2.0), Loss::Lp(3.0)] {
        let expected = regress(&design.a, &design.b, loss, &Options::default()).unwrap();
        for e in hostile::POWERS_OF_TWO {
            let target = hostile::scaled(&design.b, e);
            match regress(&design.a, &target, loss, &Options::default()) {
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
                    assert!(e > 300 && error.to_string().contains("scale the target"), "{loss:?} 2^{e}: {error}");
                }
            }
            let table = Matrix::from_fn(60, 3, |i, j| ldexp(design.a[(i, j)], e));
            let fit = regress(&table, &design.b, loss, &Options::default())
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
        let options =
            samplewise_sensitivity::CoresetOptions { seed, ..samplewise_sensitivity::CoresetOptions::default() };
        let loss = Loss::Quantile(tau);
        let fit = regress_on_coreset(&design.a, &design.b, loss, 400, &options).unwrap();
        let exact = regress(&design.a, &design.b, loss, &Options::default()).unwrap();
        assert_eq!(fit.status, Status::Converged, "seed {seed} {fit:?}");
        assert!(fit.objective >= exact.objective * (1.0 - 1e-9) && fit.objective.is_finite(), "{fit:?} {exact:?}");
        let bound = fit.lower_bound.unwrap();
        assert!(bound <= exact.objective && bound >= 0.99 * exact.objective, "seed {seed} {bound} {exact:?}");
    }
}

/// Row TRU-4: damaged, cut or foreign streams are errors, at every bit.
#[test]
fn damaged_streams_are_refused() {
    use samplewise_linalg::Summary;
    use samplewise_sensitivity::{Block, Method, StreamOptions, StreamingCoreset};
    for method in [Method::RootLeverage, Method::Lewis, Method::Uniform] {
        let options = StreamOptions { p: 1.0, method, size: 10, seed: 3 };
        let mut stream = StreamingCoreset::new(2, &options).unwrap();
        let rows = Matrix::from_fn(40, 2, |i, j| ((i * (j + 3)) % 11) as f64 - 5.0);
        stream.update(Block { first: 0, rows: rows.view() }).unwrap();
        let bytes = stream.to_bytes();
        assert_eq!(StreamingCoreset::from_bytes(&bytes).unwrap(), stream);
        for bit in 0..8 * bytes.len() {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(StreamingCoreset::from_bytes(&damaged).is_err(), "{method:?} bit {bit}");
        }
        assert!((0..bytes.len()).all(|n| StreamingCoreset::from_bytes(&bytes[..n]).is_err()));
    }
}

/// Row SEN-20: a stream that drops the only row that knows a column says so.
#[test]
fn a_lost_column_is_reported() {
    use samplewise_linalg::Summary;
    use samplewise_sensitivity::{Block, Method, StreamOptions, StreamingCoreset};
    let (mut lost, mut kept) = (0, 0);
    for seed in 0..40 {
        for method in [Method::RootLeverage, Method::Leverage, Method::Uniform] {
            let mut rng = Streams::new(seed).stream(7);
            let rare = below(&mut rng, 20_000);
            let rows =
                Matrix::from_fn(
                    20_000,
                    3,
                    |i, j| if j < 2 { normal(&mut rng) } else { f64::from(u8::from(i == rare)) },
                );
            let options = StreamOptions { p: 1.0, method, size: 100, seed };
            let mut stream = StreamingCoreset::new(3, &options).unwrap();
            stream.update(Block { first: 0, rows: rows.view() }).unwrap();
            let out = stream.finish().unwrap();
            let knows = out.rows.contains(&(rare as u64));
            assert_eq!(out.rank_lost, usize::from(!knows), "seed {seed} {method:?}: {:?}", out.rows);
            lost += usize::from(!knows);
            kept += usize::from(knows);
        }
    }
    assert!(lost > 20 && kept > 20, "{lost} {kept}");
    // Lewis weights: a sample without a direction is drawn again, also where the size is hardly above the columns.
    for seed in 0..40 {
        let mut rng = Streams::new(seed).stream(8);
        let rare: Vec<usize> = (0..3).map(|_| below(&mut rng, 2_000)).collect();
        let value = |i: usize, j: usize, noise: f64| if j < 2 { noise } else { f64::from(u8::from(rare.contains(&i))) };
        let rows = Matrix::from_fn(2_000, 3, |i, j| value(i, j, normal(&mut rng)));
        let options = StreamOptions { p: 1.0, method: Method::Lewis, size: 4 + seed as usize % 8, seed };
        let mut stream = StreamingCoreset::new(3, &options).unwrap();
        stream.update(Block { first: 0, rows: rows.view() }).unwrap();
        let out = stream.finish().unwrap();
        assert!(out.rows.iter().any(|r| rare.contains(&(*r as usize))), "seed {seed}: {:?}", out.rows);
        assert!(out.rank == 3 && out.rank_lost == 0, "seed {seed}: {out:?}");
    }
}

/// Quantiles so far out that a single row decides are right. What rounding can do to the bound grows with the distance from
/// the ends of the range, so some of the farthest end at the limit, with a gap that says so.
#[test]
fn quantiles_near_the_ends_are_exact() {
    let mut limits = 0;
    for seed in 0..400_u64 {
        let mut rng = Streams::new(seed).stream(11);
        let (n, d) = ([20, 60, 300][seed as usize % 3], 1 + seed as usize / 3 % 4);
        let a = Matrix::from_fn(n, d, |_, j| if j == 1 { 1.0 } else { normal(&mut rng) });
        let b: Vec<f64> = (0..n).map(|i| a.row(i)[0] + normal(&mut rng)).collect();
        let tau = [1e-6, 1e-5, 1e-4, 1.0 - 1e-4, 1.0 - 1e-6][seed as usize / 12 % 5];
        let fit = regress(&a, &b, Loss::Quantile(tau), &Options { tolerance: 1e-8, ..Options::default() }).unwrap();
        let verdict = judge(&a, &b, None, Judged::Quantile(tau), &fit.coefficients);
        let name = format!("seed {seed} {n}x{d} tau {tau}");
        assert!(verdict.gap <= 1e-8 * verdict.objective, "{name}: {fit:?} {verdict:?}");
        let gap = fit.gap().unwrap();
        assert!(gap >= 0.0 && gap <= 1e-6 * fit.objective, "{name}: {fit:?}");
        assert!(fit.converged() || gap > 1e-8 * fit.objective, "{name}: {fit:?}");
        limits += usize::from(!fit.converged());
    }
    assert!(limits <= 200, "{limits} of 400 ended at the limit");
}

/// Coefficients that leave the range of numbers are refused or judged as they are.
#[test]
fn coefficients_outside_of_the_range_claim_nothing() {
    let shape = |i: usize| 1.0 + i as f64;
    for loss in [Loss::Lp(2.0), Loss::Lp(1.5), Loss::Lp(1.0), Loss::Quantile(0.3)] {
        for (column, target) in [(-900, 700), (-900, 900), (900, -700), (900, -900)] {
            let a = Matrix::from_fn(12, 1, |i, _| ldexp(shape(i), column));
            let b: Vec<f64> = (0..12).map(|i| ldexp(shape(i) + f64::from(i as u8 % 3), target)).collect();
            match regress(&a, &b, loss, &Options { tolerance: 1e-8, ..Options::default() }) {
                Ok(fit) => {
                    assert!(fit.coefficients[0].is_finite(), "{loss:?} {column} {target}: {fit:?}");
                    if fit.coefficients[0].abs() < f64::MIN_POSITIVE {
                        assert!(!fit.converged(), "{loss:?} {column} {target}: {fit:?}");
                    }
                }
                Err(error) => assert!(error.to_string().contains("scale"), "{error}"),
            }
        }
    }
}

/// A certificate that was stopped is not one with a bound of zero.
#[test]
fn interrupted_certificates_leave_no_bound() {
    use std::ops::ControlFlow;

    use samplewise_linalg::NoBound;
    use samplewise_linalg::observe::FromFn;
    use samplewise_sensitivity::{CoresetOptions, regress_on_coreset_observed};
    let mut rng = Streams::new(4).stream(0);
    let a = Matrix::from_fn(300, 3, |_, _| normal(&mut rng));
    let b: Vec<f64> = (0..300).map(|i| a.row(i).iter().sum::<f64>() + normal(&mut rng)).collect();
    let (mut whole, mut stopped) = (0, 0);
    for last in 1..60 {
        let mut steps = 0;
        let mut observer = FromFn(|_| {
            steps += 1;
            if steps >= last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let options = CoresetOptions::default();
        let fit = regress_on_coreset_observed(&a, &b, Loss::Quantile(0.3), 100, &options, &mut observer);
        let Ok(fit) = fit else { continue };
        if let Some(bound) = fit.lower_bound {
            whole += 1;
            assert!(bound > 0.9 * fit.objective, "after {last} steps: {fit:?}");
        } else {
            stopped += 1;
            assert_eq!(fit.no_bound, Some(NoBound::Interrupted), "after {last} steps");
        }
    }
    assert!(whole > 5 && stopped > 5, "{whole} {stopped}");
}

/// Row SEN-6: columns of a single entry beside a far larger residual have no curvature for large powers.
#[test]
fn columns_of_one_entry_have_fits_at_large_powers() {
    let a = Matrix::from_vec(4, 1, vec![1.0, 0.0, 0.0, 0.0]).unwrap();
    for p in [12.0, 20.0, 30.0, 48.0, 64.0] {
        let fit = regress(&a, &[1.0, 2.0, -1.0, 0.5], Loss::Lp(p), &Options::default()).unwrap();
        let least = 2.0_f64.powf(p) + 1.0 + 0.5_f64.powf(p);
        assert!((fit.objective / least - 1.0).abs() < 1e-9, "p {p}: {fit:?}");
        assert!(fit.lower_bound.is_none_or(|bound| bound <= least * (1.0 + 1e-12)), "p {p}: {fit:?}");
    }
}

/// Row SEN-3: near p = 1 no lower bound of a sensitivity is above the upper one, nor above what a direction attains at most.
#[test]
fn certified_bounds_near_one_do_not_cross() {
    for seed in 0..hostile::cases(1_000) / 5 {
        let mut rng = Streams::new(seed).stream(9);
        let (n, d) = (3 + below(&mut rng, 8), 2);
        let heavy = |rng: &mut StreamRng| normal(rng).powi(3);
        let a = Matrix::from_fn(n, d, |_, _| if seed % 3 == 0 { heavy(&mut rng) } else { normal(&mut rng) });
        let p = [1.001, 1.01, 1.1][seed as usize % 3];
        let rows: Vec<usize> = (0..n).collect();
        let found =
            certified_sensitivities(&a, p, &rows, &CertifiedOptions { gap: [1e-6, 1e-3][seed as usize % 2] }).unwrap();
        for i in 0..n {
            let (lower, upper) = (found.lower[i], found.upper[i]);
            assert!(lower <= upper, "seed {seed} p {p} row {i}: {lower} {upper}");
            let share = |angle: f64| {
                let at = |k: usize| (a[(k, 0)] * angle.cos() + a[(k, 1)] * angle.sin()).abs().powf(p);
                at(i) / (0..n).map(at).sum::<f64>()
            };
            // The best of a fine grid, and of a finer one around it.
            let best = |from: f64, width: f64| {
                (0..2_000)
                    .map(|k| from + width * f64::from(k) / 2_000.0)
                    .max_by(|x, y| share(*x).total_cmp(&share(*y)))
                    .unwrap()
            };
            let mut at = best(0.0, std::f64::consts::PI);
            for width in [4e-3, 8e-6, 2e-8] {
                at = best(at - 0.5 * width, width);
            }
            assert!(lower <= share(at) * (1.0 + 1e-6), "seed {seed} p {p} row {i}: {lower} above {}", share(at));
            assert!(upper >= share(at) * (1.0 - 1e-9), "seed {seed} p {p} row {i}: {upper} below {}", share(at));
        }
    }
}
