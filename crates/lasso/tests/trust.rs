//! Nothing that a fit claims is taken from the fit: a referee in twice the precision recomputes objective and dual value from
//! the table and the coefficients alone. The problems are those of hostile users: few rows and many columns, duplicates,
//! constants, columns that are nearly constant, units of 2^±1000.
use samplewise_lasso::{Design, Options, Solution, Solver, Status, largest_lambda, path, solve};
use samplewise_linalg::random::{StreamRng, Streams, below, normal, uniform};
use samplewise_linalg::{CooBuilder, Duplicates, Matrix};
use samplewise_testkit::hostile;
use samplewise_testkit::referee::Judgement;
use samplewise_testkit::referee::lasso::{Settings, judge};

/// Problems of the sweep; `SAMPLEWISE_TRUST_CASES` sets another number.
fn cases(usual: u64) -> u64 {
    std::env::var("SAMPLEWISE_TRUST_CASES").ok().and_then(|v| v.parse().ok()).unwrap_or(usual)
}

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

/// Row TRU-2: no fit says it converged while its gap is wider than the tolerance, and less than one in ten thousand ends at
/// the limit.
#[test]
fn no_fit_claims_what_it_has_not_reached() {
    let (mut fits, mut limits) = (0, 0);
    for seed in 0..cases(5_000) {
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
            limits += usize::from(fit.status == Status::Limit);
            // Rounding of the answer, such as the last digit of the intercept, is allowed for.
            let digit = 4.0 * f64::EPSILON * y.iter().fold(0.0_f64, |m, y| m.max(y.abs()));
            let slack = 1e-12 * verdict.null_objective + digit * digit;
            assert!(
                (fit.primal - verdict.objective).abs() <= 10.0 * slack,
                "seed {seed} share {share}: primal {:e} for {:e}",
                fit.primal,
                verdict.objective
            );
            assert!(fit.dual <= verdict.objective + slack, "seed {seed} share {share}: {fit:?} {verdict:?}");
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
        assert!(fit.converged() && (fit.primal - 0.007_203_6).abs() < 1e-7, "{fit:?}");
    }
}

/// Objectives of a path fall with λ, whatever the table.
#[test]
fn objectives_fall_with_lambda() {
    for seed in 0..500 {
        let design = hostile::few_rows_many_columns(3 * seed);
        let o = Options { positive: seed % 2 == 0, ..Options::default() };
        let table = Design::dense(&design.a).unwrap();
        let fits = path(&table, &design.b, 12, 1e-3, &o).unwrap();
        for (k, pair) in fits.windows(2).enumerate() {
            let slack = 2e-8 * pair[0].null_objective;
            assert!(pair[1].primal <= pair[0].primal + slack, "seed {seed} at {k}: {pair:?}");
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
                assert!((fit.primal - verdict.objective).abs() <= 1e-10 * null, "{what}: {fit:?} {verdict:?}");
                // The referee's dual value is the best there is at this residual; the minimum is between it and the
                // objective.
                assert!(fit.dual <= verdict.objective + 1e-12 * null, "{what}: {fit:?} {verdict:?}");
                if fit.converged() {
                    assert!(verdict.objective - fit.dual <= 1.001e-8 * null, "{what}: {fit:?} {verdict:?}");
                }
            }
        }
    }
}

/// Row TRU-1: a target and columns in other units give the same fit in these units, to the last bit.
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
            let fits = samplewise_lasso::path_observed(&design, &y, &[lambda], &o, &mut observer).unwrap();
            let fit = &fits[0];
            let verdict = referee(&x, &y, fit, &o);
            assert_eq!(fit.status, Status::Interrupted, "seed {seed} stop {stop}");
            assert!((fit.primal - verdict.objective).abs() <= 1e-11 * verdict.null_objective, "{fit:?} {verdict:?}");
            assert!(
                fit.dual <= verdict.objective && verdict.objective <= verdict.null_objective,
                "{fit:?} {verdict:?}"
            );
        }
    }
}
