//! Every option against the optimality conditions, computed here from input and answer alone.
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use samplewise_lasso::{Columns, Design, Error, Grid, Options, Solution, Solver, Status, largest_lambda, path, solve};
use samplewise_linalg::{CooBuilder, Duplicates, Matrix};
use samplewise_testkit::generate;

/// Largest violation of the optimality conditions, relative to λ: on each coordinate the slope of the smooth part must be
/// met by the penalty or held by a bound.
fn violation(x: &Matrix, y: &[f64], o: &Options, s: &Solution) -> f64 {
    let (n, p) = (x.rows(), x.columns());
    let mut weights = o.sample_weights.clone().unwrap_or_else(|| vec![1.0; n]);
    let total: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w *= n as f64 / total);
    let fitted = |i: usize| s.intercept + s.coefficients.iter().map(|&(j, w)| x[(i, j)] * w).sum::<f64>();
    let r: Vec<f64> = (0..n).map(|i| weights[i] * (y[i] - fitted(i))).collect();
    let mut worst = if o.intercept { r.iter().sum::<f64>().abs() / n as f64 } else { 0.0 };
    for j in 0..p {
        let w = s.coefficient(j);
        let (low, high) =
            (o.lower.as_ref().map_or(f64::NEG_INFINITY, |l| l[j]), o.upper.as_ref().map_or(f64::INFINITY, |u| u[j]));
        let low = if o.positive { 0.0 } else { low };
        assert!(w >= low - 1e-12 && w <= high + 1e-12, "{low} {w} {high}");
        let factor = o.penalty_factors.as_ref().map_or(1.0, |f| f[j]) * s.lambda;
        let slope = (0..n).map(|i| x[(i, j)] * r[i]).sum::<f64>() / n as f64 - factor * (1.0 - o.mix) * w;
        let a = factor * o.mix;
        // The subdifferential of the penalty at w, widened by the bounds.
        let (mut from, mut to) = if w > 0.0 {
            (a, a)
        } else if w < 0.0 {
            (-a, -a)
        } else {
            (-a, a)
        };
        if w >= high - 1e-12 {
            to = f64::INFINITY;
        }
        if w <= low + 1e-12 {
            from = f64::NEG_INFINITY;
        }
        worst = worst.max((from - slope).max(slope - to));
    }
    worst / s.lambda
}

/// Columns that only say what they do.
struct Hidden(Matrix);

impl Columns for Hidden {
    fn rows(&self) -> usize {
        self.0.rows()
    }
    fn columns(&self) -> usize {
        self.0.columns()
    }
    fn dot(&self, column: usize, v: &[f64]) -> f64 {
        v.iter().enumerate().map(|(i, v)| self.0[(i, column)] * v).sum()
    }
    fn add(&self, column: usize, factor: f64, v: &mut [f64]) {
        v.iter_mut().enumerate().for_each(|(i, v)| *v += factor * self.0[(i, column)]);
    }
}

fn sparse(x: &Matrix) -> Design {
    let mut coo = CooBuilder::new(x.rows(), x.columns());
    for i in 0..x.rows() {
        for j in 0..x.columns() {
            if x[(i, j)] != 0.0 {
                coo.push(i, j, x[(i, j)]).unwrap();
            }
        }
    }
    Design::sparse(&coo.build(Duplicates::Error).unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    /// LAS-2, LAS-4: optimality by brute force, for every option, every kind of table and every solver, at each λ of a
    /// path whose certificates skip columns.
    #[test]
    fn every_option_meets_the_optimality_conditions(
        n in 3_usize..50, p in 1_usize..60, seed in any::<u64>(), mix in prop_oneof![Just(1.0), Just(0.3)],
        intercept in any::<bool>(), bounds in 0..4, weighted in any::<bool>(), factors in 0..3, kind in 0..3,
        descent in any::<bool>(),
    ) {
        let (mut x, y, _) = generate::random_sparse_regression(n, p, p.min(5), 0.5, seed);
        x.as_mut_slice().iter_mut().enumerate().for_each(|(i, v)| *v = if i % 3 == 0 { 0.0 } else { *v + 0.3 });
        let free = |j: usize| factors == 2 && j < 2 && bounds != 1;
        let o = Options {
            mix, intercept,
            tolerance: 1e-12,
            positive: bounds == 1,
            lower: (bounds >= 2).then(|| (0..p).map(|j| if free(j) { f64::NEG_INFINITY } else { -0.1 * (j % 4) as f64 }).collect()),
            upper: (bounds == 3).then(|| (0..p).map(|j| if free(j) { f64::INFINITY } else { 0.2 * (j % 3) as f64 }).collect()),
            sample_weights: weighted.then(|| (0..n).map(|i| 0.5 + (i % 3) as f64).collect()),
            penalty_factors: (factors > 0).then(|| (0..p).map(|j| if free(j) { 0.0 } else { 0.5 + (j % 4) as f64 }).collect()),
            solver: if descent { Solver::CoordinateDescent } else { Solver::WorkingSet },
            ..Options::default()
        };
        let design = match kind {
            0 => Design::dense(&x).unwrap(),
            1 => sparse(&x),
            _ => Design::custom(Arc::new(Hidden(x.clone()))).unwrap(),
        };
        for s in path(&design, &y, &Grid::Geometric { count: 12, min_ratio: 0.02 }, &o).unwrap() {
            let floor = 1e-12 * s.report.null_objective;
            prop_assert!(s.gap() <= floor.max(1e-15), "{:?} gap {:e} of {:e}", s.status, s.gap(), s.report.null_objective);
            let scale = (s.report.null_objective / s.lambda / s.lambda).sqrt();
            let off = violation(&x, &y, &o, &s);
            prop_assert!(off <= 1e-4 * (1.0 + scale), "violation {off:e} at {s:?}");
        }
    }
}

/// A column without penalty is in every model, and two that say the same share it without harm.
#[test]
fn unpenalised_columns_are_solved_for_exactly() {
    let (x, y, _) = generate::random_sparse_regression(40, 10, 3, 0.5, 9);
    let x = Matrix::from_fn(40, 12, |i, j| match j {
        10 => i as f64,
        11 => 2.0 * i as f64,
        _ => x[(i, j)],
    });
    let mut factors = vec![1.0; 12];
    factors[10] = 0.0;
    factors[11] = 0.0;
    let o = Options { penalty_factors: Some(factors.clone()), ..Options::default() };
    let design = Design::dense(&x).unwrap();
    let top = largest_lambda(&design, &y, &o).unwrap();
    let fit = solve(&design, &y, 1.01 * top, &o).unwrap();
    assert_eq!(fit.coefficients.iter().map(|c| c.0).collect::<Vec<_>>(), [10]);
    // Equal to the least squares line.
    let (mx, my) = (19.5, y.iter().sum::<f64>() / 40.0);
    let (sxy, sxx) =
        (0..40).fold((0.0, 0.0), |s, i| (s.0 + (i as f64 - mx) * (y[i] - my), s.1 + (i as f64 - mx).powi(2)));
    assert!((fit.coefficient(10) - sxy / sxx).abs() < 1e-9);
    let lower = Some((0..12).map(|j| if j == 10 { 0.0 } else { f64::NEG_INFINITY }).collect());
    let bad = Options { lower, ..o };
    assert!(matches!(
        solve(&design, &y, top, &bad),
        Err(Error::Entry { argument: "penalty_factors", position: 10, .. })
    ));
}

#[test]
fn bounds_and_sizes_are_checked_by_name() {
    let x = generate::random_matrix(5, 3, 1);
    let (design, y) = (Design::dense(&x).unwrap(), [1.0, 2.0, 3.0, 4.0, 5.0]);
    let o = Options::default();
    let lower = |l: f64| Options { lower: Some(vec![0.0, l, 0.0]), ..o.clone() };
    assert!(matches!(solve(&design, &y, 0.1, &lower(0.5)), Err(Error::Entry { argument: "lower", position: 1, .. })));
    assert!(matches!(solve(&design, &y, 0.1, &lower(f64::NAN)), Err(Error::Entry { argument: "lower", .. })));
    let upper = Options { upper: Some(vec![-1.0, 0.0, 0.0]), ..o.clone() };
    assert!(matches!(solve(&design, &y, 0.1, &upper), Err(Error::Entry { argument: "upper", .. })));
    assert!(matches!(Design::dense_columns(vec![1.0; 5], 2, 3), Err(Error::Length { argument: "values", .. })));
    // All coefficients held at zero is an answer too.
    let shut = Options { lower: Some(vec![0.0; 3]), upper: Some(vec![0.0; 3]), ..o.clone() };
    let fit = solve(&design, &y, 0.1, &shut).unwrap();
    assert!(fit.coefficients.is_empty() && fit.status == Status::Converged);
    let huge = [1e300, 1.0, 0.0, 0.0, 0.0];
    assert!(matches!(solve(&design, &huge, 0.1, &o), Err(Error::Entry { argument: "y", .. })));
}

/// What a review found: sparse columns far from zero, an empty selection, penalties next to zero, a target that overflows only
/// with its weights.
#[test]
fn odd_tables_have_answers_or_errors() {
    let y: Vec<f64> = (0..100).map(f64::from).collect();
    let stamp = Matrix::from_fn(100, 2, |i, j| if j == 0 { 1.7e9 + i as f64 } else { ((i * 37) % 11) as f64 });
    let fit = |design: &Design| solve(design, &y, 1.0, &Options::default()).unwrap();
    let (dense, scattered) = (fit(&Design::dense(&stamp).unwrap()), fit(&sparse(&stamp)));
    assert!(
        (dense.coefficient(0) - scattered.coefficient(0)).abs() < 1e-5 && dense.coefficient(0) > 0.5,
        "{scattered:?}"
    );
    let x = generate::random_matrix(5, 3, 1);
    let design = Design::dense(&x).unwrap();
    let o = Options::default();
    assert!(matches!(solve(&design.select_rows(&[]), &[], 0.1, &o), Err(Error::Empty { .. })));
    let tiny = Options { penalty_factors: Some(vec![1e-309, 1.0, 1.0]), ..o.clone() };
    assert!(matches!(solve(&design, &[1.0; 5], 0.1, &tiny), Err(Error::Entry { argument: "penalty_factors", .. })));
    let weights = Some(vec![1.0, 0.0, 0.0, 0.0, 0.0]);
    let heavy = Options { sample_weights: weights, intercept: false, ..o.clone() };
    let large = [1e154, 0.0, 0.0, 0.0, 0.0];
    let fit = solve(&design, &large, 0.1, &heavy).unwrap();
    assert!(fit.objective.is_finite() && fit.gap() <= 1e-8 * fit.report.null_objective, "{fit:?}");
    // The smallest λ there is ends, and near least squares.
    let fit = solve(&design, &[1.0, 2.0, 0.0, 1.0, 5.0], 1e-300, &o).unwrap();
    assert!(fit.gap().is_finite() && fit.coefficients.len() == 3);
}

/// The dual point that a solution names can be checked in one line.
#[test]
fn the_dual_value_follows_from_the_residual() {
    let (x, y, _) = generate::random_sparse_regression(60, 90, 5, 0.5, 4);
    let o = Options { intercept: false, ..Options::default() };
    let design = Design::dense(&x).unwrap();
    let fit = solve(&design, &y, 0.05 * largest_lambda(&design, &y, &o).unwrap(), &o).unwrap();
    let r: Vec<f64> = y.iter().zip(design.products(&fit.coefficients, fit.intercept)).map(|(y, f)| y - f).collect();
    let dual: f64 = r
        .iter()
        .zip(&y)
        .map(|(r, y)| fit.report.dual_scale * r * y - (fit.report.dual_scale * r).powi(2) / 2.0)
        .sum::<f64>()
        / 60.0;
    assert!(
        (dual - fit.lower_bound.unwrap()).abs() <= 1e-12 * fit.report.null_objective
            && fit.gap() <= 1e-8 * fit.report.null_objective
    );
}
