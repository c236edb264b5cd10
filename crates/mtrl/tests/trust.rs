//! Units, misuse, damaged bytes and stopped runs.
use std::ops::ControlFlow;

use samplewise_linalg::ArgumentError;
use samplewise_linalg::factor::dense_svd;
use samplewise_linalg::lstsq::{Method, least_squares};
use samplewise_linalg::observe::{FromFn, Progress};
use samplewise_linalg::random::{StreamRng, Streams, normal, uniform};
use samplewise_linalg::scale::ldexp;
use samplewise_linalg::{Ending, Matrix, Summary, envelope};
use samplewise_mtrl::{
    Budget, CostModel, Error, FitOptions, Options, Planner, Strategy, TaskData, TaskOracle, allocate,
    fit_representation, fit_representation_observed, learn, learn_observed, predicted_risk, relevance,
};
use samplewise_testkit::hostile;

/// Tasks that share a direction, with labels times `2^e`.
fn tasks(e: i32, noise: f64) -> Vec<TaskData> {
    let mut rng = Streams::new(4).stream(0);
    (0..6)
        .map(|m| {
            let x = Matrix::from_fn(12, 4, |_, _| normal(&mut rng));
            let w = 1.0 + f64::from(m);
            let y: Vec<f64> = (0..12)
                .map(|i| ldexp(w * (x[(i, 0)] + x[(i, 1)]) * 0.5_f64.sqrt() + noise * normal(&mut rng), e))
                .collect();
            TaskData::new(&x, &y).unwrap()
        })
        .collect()
}

/// Row TRU-1: the basis is found in any units of the labels, from 2^-1000 to 2^1000.
#[test]
fn units_of_labels_do_not_matter() {
    for noise in [0.0, 0.1] {
        let expected =
            fit_representation(&tasks(0, noise), Some(1), &FitOptions { seed: 1, ..FitOptions::default() }).unwrap();
        for e in hostile::POWERS_OF_TWO {
            let found = fit_representation(&tasks(e, noise), Some(1), &FitOptions { seed: 1, ..FitOptions::default() })
                .unwrap();
            assert_eq!(found.report.ending, Ending::Finished, "2^{e}");
            for i in 0..4 {
                let (a, b) = (found.basis[(i, 0)], expected.basis[(i, 0)]);
                assert!((a - b).abs() < 1e-6, "2^{e}: {:?} {:?}", found.basis, expected.basis);
            }
            for m in 0..6 {
                let w = ldexp(found.weights[(0, m)], -e);
                assert!((w - expected.weights[(0, m)]).abs() < 1e-5, "2^{e}: {w}");
            }
            if noise > 0.0 && e.abs() < 500 {
                let back = ldexp(found.noise, -2 * e);
                assert!((back / expected.noise - 1.0).abs() < 1e-5, "2^{e}: {back:e} for {:e}", expected.noise);
            }
        }
    }
    // Features of such sizes are named.
    let x = Matrix::from_fn(3, 2, |i, j| 1e200 * (i + j) as f64);
    let refused = TaskData::new(&x, &[1.0, 2.0, 3.0]).unwrap_err().to_string();
    assert!(refused.contains("feature"), "{refused}");
}

/// A planner in other units asks for the same samples.
#[test]
fn plans_do_not_depend_on_units() {
    let plan = |e: i32| {
        let all = tasks(e, 0.1);
        let options = Options { dimension: Some(1), ..Options::default() };
        let mut planner = Planner::new(5, vec![all[5].clone()], Budget::Samples(200), &options).unwrap();
        (0..5).for_each(|m| planner.tell_summary(m, all[m].clone()).unwrap());
        let wanted = planner.ask().unwrap();
        (wanted, planner.finish().unwrap())
    };
    let (wanted, expected) = plan(0);
    for e in [-1000, -600, -300, 300, 600, 1000] {
        let (asked, learned) = plan(e);
        assert_eq!(asked, wanted, "2^{e}");
        for (a, b) in learned.target().iter().zip(expected.target()) {
            assert!((ldexp(*a, -e) - b).abs() < 1e-6, "2^{e}: {:?}", learned.target());
        }
        assert!(!learned.last().predicted_risk.is_nan() && !learned.last().noise.is_nan(), "2^{e}");
    }
}

/// Misuse is an error that names the argument, never a number or a panic.
#[test]
fn misuse_is_named() {
    let w = Matrix::from_fn(2, 4, |i, j| (i + j) as f64 + 0.5);
    for target in [&[1.0][..], &[1.0, 2.0, 3.0]] {
        let error = predicted_risk(&w, target, &[1.0; 4]).unwrap_err().to_string();
        assert!(error.contains("target"), "{error}");
    }
    assert!(predicted_risk(&w, &[1.0, f64::NAN], &[1.0; 4]).is_err());
    assert!(predicted_risk(&w, &[1.0, 1.0], &[1.0; 3]).is_err());
    assert!(predicted_risk(&w, &[1.0, 1.0], &[-1.0; 4]).is_err());
    for strategy in [Strategy::L2, Strategy::L1, Strategy::LeastL1, Strategy::Uniform] {
        assert!(relevance(&w, &[f64::NAN, 1.0], strategy, None, None).is_err(), "{strategy:?}");
        assert!(relevance(&w, &[1.0], strategy, None, None).is_err(), "{strategy:?}");
    }
    for budget in [0, 1, 7, usize::MAX, usize::MAX - 1, 1 << 60] {
        for shares in [&[0.3, 0.3, 0.4][..], &[1e300, 1e300, 0.0], &[0.0; 3], &[1e-320, 0.0, 0.0]] {
            let parts = allocate(shares, budget, None).unwrap();
            assert_eq!(parts.iter().map(|p| *p as u128).sum::<u128>(), budget as u128, "{shares:?} {parts:?}");
            let capped = allocate(shares, budget, Some(&[2, 3, 1])).unwrap();
            assert!(capped.iter().zip([2, 3, 1]).all(|(p, c)| *p <= c), "{capped:?}");
            assert_eq!(capped.iter().sum::<usize>(), budget.min(6), "{shares:?} {capped:?}");
        }
    }
    assert!(allocate(&[0.5, 0.5], 10, Some(&[1])).is_err());
    assert!(allocate(&[f64::NAN, 0.5], 10, None).is_err() && allocate(&[-1.0, 0.5], 10, None).is_err());
    assert_eq!(allocate(&[], 10, None).unwrap(), Vec::<usize>::new());
    // Every fee is above the budget: the budget is named.
    let target = tasks(0, 0.1).remove(0);
    let costs = vec![CostModel::FeePlusLinear { fee: 100.0, unit: 1.0 }; 3];
    let mut planner =
        Planner::new(3, vec![target], Budget::Cost(10.0), &Options::default()).unwrap().with_costs(costs).unwrap();
    while let Ok(wanted) = planner.ask() {
        if wanted.is_empty() {
            break;
        }
    }
    let error = planner.finish().unwrap_err();
    assert!(matches!(error, Error::Argument(ArgumentError { name: "budget", .. })), "{error}");
    // As many rounds as there are numbers.
    let options = Options { rounds: usize::MAX, ..Options::default() };
    let planner = Planner::new(2, vec![tasks(0, 0.1).remove(0)], Budget::Samples(100), &options);
    assert!(planner.unwrap().ask().is_ok());
}

/// Row TRU-4: damaged, cut or foreign bytes are errors, at every bit.
#[test]
fn damaged_tasks_are_refused() {
    for e in [0, 700] {
        for data in [tasks(e, 0.1).remove(0), TaskData::empty(3)] {
            let bytes = data.to_bytes();
            assert_eq!(TaskData::from_bytes(&bytes).unwrap(), data);
            for bit in 0..8 * bytes.len() {
                let mut damaged = bytes.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert!(TaskData::from_bytes(&damaged).is_err(), "bit {bit}");
            }
            assert!((0..bytes.len()).all(|n| TaskData::from_bytes(&bytes[..n]).is_err()));
        }
    }
}

/// A stopped fit and a stopped planner say so.
#[test]
fn stopped_fits_say_so() {
    let (mut steps, mut stopped) = (0, 0);
    for after in 0..6 {
        let mut observer = FromFn(|_| {
            steps += 1;
            if steps > after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let options = FitOptions { seed: 1, ..FitOptions::default() };
        let found = fit_representation_observed(&tasks(0, 1.0), Some(2), &options, &mut observer).unwrap();
        assert_eq!(found.report.ending == Ending::Interrupted, steps > after, "{after} {found:?}");
        stopped += usize::from(steps > after);
        steps = 0;
    }
    assert!(stopped >= 3, "{stopped}");
    let options = FitOptions { max_iterations: 2, seed: 1, ..FitOptions::default() };
    let found = fit_representation(&tasks(0, 1.0), Some(2), &options).unwrap();
    assert_eq!(found.report.ending, Ending::Limit);
}

/// Labels whose sizes are too far apart are refused, and what is stored must be of a table.
#[test]
fn tasks_that_do_not_go_together_are_refused() {
    let mut mixed = tasks(900, 0.1);
    mixed.extend(tasks(-900, 0.1));
    let error =
        fit_representation(&mixed, Some(1), &FitOptions { seed: 1, ..FitOptions::default() }).unwrap_err().to_string();
    assert!(error.contains("scale the labels"), "{error}");
    let found =
        fit_representation(&tasks(-1000, 0.1), Some(1), &FitOptions { seed: 1, ..FitOptions::default() }).unwrap();
    assert!(found.loss > 0.0 && found.noise > 0.0, "a loss that vanishes looks like a perfect fit");
    let found =
        fit_representation(&tasks(1000, 0.1), Some(1), &FitOptions { seed: 1, ..FitOptions::default() }).unwrap();
    assert!(found.loss.is_finite() && found.noise.is_finite());
    // Sealed as they are: the checksum is right, and the numbers are of no table.
    let whole = tasks(0, 0.1).remove(0);
    let bytes = whole.to_bytes();
    let (rows, body) = envelope::open(envelope::Kind::Task, 1, &bytes).unwrap();
    let sealed = |rows: u64, body: &[u8]| TaskData::from_bytes(&envelope::seal(envelope::Kind::Task, 1, rows, body));
    assert_eq!(sealed(rows, body).unwrap(), whole);
    assert!(sealed(rows + 1, body).is_err());
    for number in 0..(body.len() - 32) / 8 {
        let mut wrong = body.to_vec();
        let at = 32 + 8 * number..40 + 8 * number;
        let value = f64::from_le_bytes(wrong[at.clone()].try_into().unwrap());
        wrong[at].copy_from_slice(&(-1.0 - 10.0 * value.abs()).to_le_bytes());
        assert!(sealed(rows, &wrong).is_err(), "number {number}");
    }
}

/// Row MTL-1: tasks of random shapes that share `k` directions, and the loss that the shared directions leave.
fn shared(index: u64, sigma: f64, few_rows: bool) -> (Vec<TaskData>, usize, Matrix) {
    let mut rng = Streams::new(145).stream(index);
    let mut draw = |from: usize, to: usize| from + (uniform(&mut rng) * (to - from) as f64) as usize;
    let (d, tasks) = (draw(2, 13), draw(3, 13));
    let k = draw(1, 4).min(d).min(tasks);
    let rows = if few_rows { draw(k + 1, 2 * d + 1) } else { draw(2 * d, 4 * d + 1) };
    let basis = dense_svd(&Matrix::from_fn(d, k, |_, _| normal(&mut rng))).unwrap().u;
    let all = (0..tasks)
        .map(|_| {
            let w: Vec<f64> = (0..k).map(|_| normal(&mut rng)).collect();
            let x = Matrix::from_fn(rows, d, |_, _| normal(&mut rng));
            let coefficient = |j: usize| (0..k).map(|i| basis[(j, i)] * w[i]).sum::<f64>();
            let coefficients: Vec<f64> = (0..d).map(coefficient).collect();
            let value = |i: usize| x.row(i).iter().zip(&coefficients).map(|(x, c)| x * c).sum::<f64>();
            let y: Vec<f64> = (0..rows).map(|i| value(i) + sigma * normal(&mut rng)).collect();
            TaskData::new(&x, &y).unwrap()
        })
        .collect();
    (all, k, basis)
}

/// Row MTL-1: with rows enough for each task alone, no fit that says finished has a loss above that of the directions the
/// labels were made of, or of fits from ten other starts. With hardly more rows than parameters there are minima enough to
/// miss the least: then in at most one of fifty fits without noise, and one of twenty in noise.
#[test]
fn fits_end_at_the_least_loss() {
    let cases = hostile::cases(150);
    for (sigma, few_rows, allowed) in
        [(0.0, false, 0), (0.3, false, 0), (0.0, true, cases / 50), (0.3, true, cases / 20)]
    {
        let (mut above, mut limits, mut evaluations) = (Vec::new(), 0, 0);
        for index in 0..cases {
            let (tasks, k, basis) = shared(index, sigma, few_rows);
            let square: f64 = tasks.iter().map(TaskData::square).sum();
            let mut rng = Streams::new(index).stream(1);
            let fit = |start: Option<Matrix>| {
                let options = FitOptions { max_iterations: 400, start, seed: index, ..FitOptions::default() };
                fit_representation(&tasks, Some(k), &options).unwrap()
            };
            let found = fit(None);
            let d = tasks[0].features();
            let random = |rng: &mut StreamRng| dense_svd(&Matrix::from_fn(d, k, |_, _| normal(rng))).unwrap().u;
            let mut least = fit(Some(basis)).loss;
            for _ in 0..10 {
                let start = random(&mut rng);
                least = least.min(fit(Some(start)).loss);
            }
            evaluations += found.report.iterations;
            limits += u64::from(found.report.ending == Ending::Limit);
            let excess = (found.loss - least) / (least + 1e-3 * square);
            if found.report.ending == Ending::Finished && excess > 1e-6 {
                above.push((index, excess));
            }
        }
        println!("noise {sigma}, few rows {few_rows}: {evaluations} evaluations, {limits} limits, above: {above:?}");
        assert!(above.len() as u64 <= allowed && limits <= cases / 10, "{above:?}, {limits} limits");
    }
}

/// Row MTL-1: one task and one direction are least squares, also where the features have means far from zero.
#[test]
fn features_with_large_means_are_fitted() {
    for mean in [0.0, 10.0, 300.0, 500.0, 3e3, 1e4] {
        for seed in 0..60 {
            let mut rng = Streams::new(seed).stream(3);
            let x = Matrix::from_fn(12, 3, |_, _| mean + normal(&mut rng));
            let y: Vec<f64> = (0..12).map(|i| x[(i, 0)] - x[(i, 1)] + normal(&mut rng)).collect();
            let task = TaskData::new(&x, &y).unwrap();
            let fit = fit_representation(&[task], Some(1), &FitOptions::default()).unwrap();
            let least = least_squares(&x, &y, Method::Auto).unwrap().residual_norm.powi(2);
            let allowed = 1e-6 * least + 1e-11 * y.iter().map(|y| y * y).sum::<f64>();
            let excess = fit.loss - least;
            assert!(
                fit.report.ending != Ending::Finished || excess <= allowed,
                "mean {mean} seed {seed}: {excess:e} over {least}"
            );
        }
    }
}

/// Money that is left but buys nothing ends the work, and a stop is not forgotten.
#[test]
fn rounds_end_with_the_money_and_with_a_stop() {
    struct Source;
    impl TaskOracle for Source {
        fn tasks(&self) -> usize {
            2
        }
        fn draw(&mut self, task: usize, count: usize) -> Result<(Matrix, Vec<f64>), Error> {
            let mut rng = Streams::new(task as u64).stream(count as u64);
            let x = Matrix::from_fn(count, 2, |_, _| normal(&mut rng));
            let y = (0..count).map(|i| x[(i, 0)]).collect();
            Ok((x, y))
        }
    }
    let target = || {
        let x = Matrix::from_fn(4, 2, |i, j| (i + 2 * j) as f64 + 1.0);
        TaskData::new(&x, &[1.0, 2.0, 3.0, 5.0]).unwrap()
    };
    let options = Options { dimension: Some(1), rounds: usize::MAX, ..Options::default() };
    for money in [2.5, 7.3, 30.5] {
        let learned = learn(&mut Source, &[target()], Budget::Cost(money), &options).unwrap();
        assert!(learned.cost <= money && money - learned.cost < 1.0 + 1e-9, "{money}: {}", learned.cost);
        assert_eq!(learned.report.ending, Ending::Finished, "{money}");
    }
    let mut looks = 0;
    let mut stop = FromFn(|_: Progress| {
        looks += 1;
        if looks >= 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let options = Options { rounds: 100, exploration: 1.0, ..options };
    let learned = learn_observed(&mut Source, &[target()], Budget::Cost(30.5), &options, &mut stop).unwrap();
    assert_eq!(learned.report.ending, Ending::Interrupted);
    // A risk that is out of reach is a limit.
    let budget = Budget::Risk { target: 1e-12, most: 60 };
    let learned =
        learn(&mut Source, &[target()], budget, &Options { dimension: Some(1), ..Options::default() }).unwrap();
    assert!(learned.report.ending == Ending::Limit || learned.last().predicted_risk <= 1e-12, "{:?}", learned.last());
}

/// Weights of very different sizes span what they span.
#[test]
fn risks_do_not_depend_on_the_size_of_other_weights() {
    for size in [1.0, 1e3, 1e7, 1e12] {
        let weights = Matrix::from_vec(2, 2, vec![1.0, 0.0, 0.0, size]).unwrap();
        let risk = predicted_risk(&weights, &[1.0, 0.0], &[10.0, 10.0]).unwrap();
        assert!((risk - 0.1).abs() < 1e-12, "{size:e}: {risk}");
        let found = relevance(&weights, &[1.0, 0.0], Strategy::LeastL1, None, None).unwrap();
        assert!((found.nu[0] - 1.0).abs() < 1e-12 && found.nu[1].abs() < 1e-12, "{size:e}: {found:?}");
    }
}

/// A start is taken or refused, never left aside.
#[test]
fn starts_of_another_shape_are_refused() {
    let all = tasks(0, 0.1);
    let fit = |start: Matrix, dimension| {
        fit_representation(&all, dimension, &FitOptions { start: Some(start), ..FitOptions::default() })
    };
    for (start, dimension) in [
        (Matrix::zeros(3, 1), None),
        (Matrix::zeros(4, 2), Some(1)),
        (Matrix::zeros(4, 0), None),
        (Matrix::from_fn(4, 1, |_, _| f64::NAN), Some(1)),
    ] {
        let refused = fit(start, dimension).unwrap_err().to_string();
        assert!(refused.contains("start"), "{refused}");
    }
    let mut unit = Matrix::zeros(4, 2);
    unit.row_mut(0)[0] = 1.0;
    unit.row_mut(1)[1] = 1.0;
    assert_eq!(fit(unit, None).unwrap().basis.columns(), 2);
}
