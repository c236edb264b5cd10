//! Right answers, by closed forms and by a plain coordinate descent, and answers beside them.
use super::*;
use crate::generate::random_sparse_regression;

fn no_intercept() -> Settings {
    Settings { intercept: false, ..Settings::default() }
}

/// The minimum of an orthogonal design with `‖x_j‖² = n` is known in closed form: the soft threshold of `x_jᵀy/n`.
fn orthogonal() -> (Matrix, Vec<f64>) {
    let x = Matrix::from_fn(4, 3, |i, j| if (i >> j.min(1)) & 1 == 0 || (j == 2 && i == 3) { 1.0 } else { -1.0 });
    (x, vec![3.0, 1.0, -2.0, 0.5])
}

fn closed_form(x: &Matrix, y: &[f64], lambda: f64, mix: f64) -> Vec<(usize, f64)> {
    (0..2)
        .map(|j| {
            let c = (0..4).map(|i| x[(i, j)] * y[i]).sum::<f64>() / 4.0;
            (j, c.signum() * (c.abs() - lambda * mix).max(0.0) / (1.0 + lambda * (1.0 - mix)))
        })
        .collect()
}

#[test]
fn the_closed_form_is_accepted_and_its_neighbours_are_not() {
    let (x, y) = orthogonal();
    let x = Matrix::from_fn(4, 2, |i, j| x[(i, j)]);
    for mix in [1.0, 0.4] {
        let settings = Settings { mix, ..no_intercept() };
        let w = closed_form(&x, &y, 0.2, mix);
        let right = judge(&x, &y, 0.2, &settings, 0.0, &w);
        assert!(right.relative_gap.abs() < 1e-15, "{right:?}");
        let moved: Vec<_> = w.iter().map(|&(j, v)| (j, v + 1e-3)).collect();
        let wrong = judge(&x, &y, 0.2, &settings, 0.0, &moved);
        assert!(wrong.gap > 1e-7 && wrong.objective > right.objective && wrong.dual <= right.objective, "{wrong:?}");
    }
}

#[test]
fn the_example_of_issue_27_is_told_from_its_wrong_answer() {
    let x = Matrix::from_vec(2, 3, vec![-0.7, 0.9, 0.1, -0.3, 1.0, 1.4]).unwrap();
    let y = [0.1, -0.3];
    let wrong = judge(&x, &y, 0.0205, &no_intercept(), 0.0, &[(0, -0.06898)]);
    assert!(wrong.objective > 0.0215 && wrong.relative_gap > 0.1, "{wrong:?}");
    let right = judge(&x, &y, 0.0205, &no_intercept(), 0.0, &[(0, -0.067_19), (2, -0.204_02)]);
    assert!((right.objective - 0.007_203_6).abs() < 1e-6 && right.gap < 1e-5, "{right:?}");
    assert!((right.null_objective - 0.025).abs() < 1e-15);
}

/// Coordinate descent in plain double precision, long enough to end at the minimum: slow, short, and not the solver's.
fn descend(x: &Matrix, y: &[f64], lambda: f64, s: &Settings) -> (f64, Vec<(usize, f64)>) {
    let (n, p) = (x.rows(), x.columns());
    let weights = s.weights.clone().unwrap_or_else(|| vec![1.0; n]);
    let total: f64 = weights.iter().sum();
    let share: Vec<f64> = weights.iter().map(|w| w / total).collect();
    let mean = |v: &[f64]| if s.intercept { v.iter().zip(&share).map(|(v, w)| v * w).sum() } else { 0.0 };
    let centre = |v: Vec<f64>| -> (f64, Vec<f64>) { (mean(&v), v.iter().map(|x| x - mean(&v)).collect()) };
    let columns: Vec<(f64, Vec<f64>)> = (0..p).map(|j| centre(x.copy_column(j))).collect();
    let (y_mean, mut r) = centre(y.to_vec());
    let inner = |a: &[f64], b: &[f64]| a.iter().zip(b).zip(&share).map(|((a, b), w)| a * b * w).sum::<f64>();
    let mut w = vec![0.0; p];
    for _ in 0..20_000 {
        for j in 0..p {
            let c = &columns[j].1;
            let second = inner(c, c);
            let d = if s.standardize { second.sqrt() } else { 1.0 };
            let factor = lambda * s.penalty_factors.as_ref().map_or(1.0, |f| f[j]);
            let z = inner(c, &r) + second * w[j];
            let free = z.signum() * (z.abs() - factor * s.mix * d).max(0.0) / (second + factor * (1.0 - s.mix) * d * d);
            let low = s.lower.as_ref().map_or(f64::NEG_INFINITY, |b| b[j]);
            let high = s.upper.as_ref().map_or(f64::INFINITY, |b| b[j]);
            let new = free.clamp(low, high);
            r.iter_mut().zip(c).for_each(|(r, c)| *r -= (new - w[j]) * c);
            w[j] = new;
        }
    }
    let intercept = y_mean - columns.iter().zip(&w).map(|(c, w)| c.0 * w).sum::<f64>();
    (if s.intercept { intercept } else { 0.0 }, w.into_iter().enumerate().filter(|w| w.1 != 0.0).collect())
}

fn variants() -> Vec<Settings> {
    let d = Settings::default;
    vec![
        d(),
        no_intercept(),
        Settings { standardize: true, ..d() },
        Settings { mix: 0.3, standardize: true, ..no_intercept() },
        Settings { weights: Some((0..12).map(|i| f64::from(i % 4)).collect()), ..d() },
        Settings { lower: Some(vec![-0.3; 5]), upper: Some(vec![0.5; 5]), mix: 0.7, ..d() },
        Settings { lower: Some(vec![0.0; 5]), ..d() },
        Settings { penalty_factors: Some(vec![0.0, 1.0, 2.0, 0.0, 0.5]), standardize: true, ..d() },
        Settings {
            penalty_factors: Some(vec![0.0, 1.0, 0.0, 1.0, 1.0]),
            lower: Some(vec![-0.1, -1.0, f64::NEG_INFINITY, 0.0, -1.0]),
            upper: Some(vec![0.1, 0.0, f64::INFINITY, 9.0, 1.0]),
            weights: Some((1..13).map(f64::from).collect()),
            ..d()
        },
    ]
}

#[test]
fn minima_of_every_setting_are_accepted_and_moved_ones_rejected() {
    for (seed, settings) in variants().iter().enumerate() {
        let (mut x, mut y, _) = random_sparse_regression(12, 5, 3, 0.5, seed as u64);
        (0..12).for_each(|i| x.row_mut(i)[1] += 30.0);
        y.iter_mut().for_each(|y| *y += 7.0);
        let (b, w) = descend(&x, &y, 0.05, settings);
        let right = judge(&x, &y, 0.05, settings, b, &w);
        assert!(right.relative_gap.abs() < 1e-10, "{seed}: {right:?}");
        assert!(right.dual <= right.objective * (1.0 + 1e-14));
        let shrunk: Vec<_> = w.iter().map(|&(j, v)| (j, 0.9 * v)).collect();
        let wrong = judge(&x, &y, 0.05, settings, b, &shrunk);
        assert!(wrong.relative_gap > 1e-5, "{seed}: {wrong:?}");
        assert!(
            wrong.dual <= right.objective * (1.0 + 1e-12),
            "the dual of a wrong answer is still a bound: {wrong:?}"
        );
    }
}

#[test]
fn a_nearly_constant_unpenalised_column_does_not_fool_the_dual() {
    // The column differs from a constant in the eleventh digit, and the target follows just these digits.
    let x = Matrix::from_fn(8, 2, |i, j| if j == 0 { 1e4 + 1e-7 * (i as f64 - 3.5) } else { ((i * 5) % 7) as f64 });
    let y: Vec<f64> = (0..8).map(|i| f64::from(i) + if i == 2 { 0.5 } else { 0.0 }).collect();
    let settings = Settings { penalty_factors: Some(vec![0.0, 1.0]), ..Settings::default() };
    let wrong = judge(&x, &y, 10.0, &settings, 3.5, &[]);
    assert!(wrong.relative_gap > 0.9, "{wrong:?}");
    let blind = judge(&x, &y, 10.0, &Settings { constant_below: 1e-9, ..settings }, 3.5, &[]);
    assert!(blind.relative_gap < 0.1, "{blind:?}");
}

#[test]
fn units_do_not_matter_and_bounds_do() {
    let (x, y, _) = random_sparse_regression(12, 5, 3, 0.5, 3);
    let (b, w) = descend(&x, &y, 0.05, &Settings::default());
    let one = judge(&x, &y, 0.05, &Settings::default(), b, &w);
    for k in [-500, 500] {
        let y: Vec<f64> = y.iter().map(|&v| scale(v, k)).collect();
        let w: Vec<_> = w.iter().map(|&(j, v)| (j, scale(v, k))).collect();
        let other = judge(&x, &y, scale(0.05, k), &Settings::default(), scale(b, k), &w);
        assert!((other.relative_gap - one.relative_gap).abs() < 1e-20, "{other:?}");
        assert_eq!(other.objective, scale(one.objective, 2 * k));
    }
    let bounded = Settings { upper: Some(vec![0.0; 5]), lower: Some(vec![0.0; 5]), ..Settings::default() };
    assert_eq!(judge(&x, &y, 0.05, &bounded, b, &w).objective, f64::INFINITY);
}
