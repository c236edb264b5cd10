//! Right answers, by closed forms, brute force and plain Newton steps, and answers beside them.
use samplewise_linalg::random::{Streams, uniform};

use super::*;
use crate::generate::random_matrix;

/// The minimum over a table with one constant column is a quantile of the target.
#[test]
fn a_quantile_of_one_column_is_accepted_and_its_neighbour_is_not() {
    let b: Vec<f64> = (0..11).map(|i| f64::from(i * i)).collect();
    let a = Matrix::from_vec(11, 1, vec![1.0; 11]).unwrap();
    for (loss, best) in [(Loss::Absolute, 25.0), (Loss::Quantile(0.25), 4.0), (Loss::Quantile(0.999), 100.0)] {
        let right = judge(&a, &b, None, loss, &[best]);
        assert!(right.relative_gap.abs() < 1e-28, "{loss:?} {right:?}");
        let wrong = judge(&a, &b, None, loss, &[best + 1.0]);
        assert!(wrong.gap > 1e-3 && (wrong.dual - right.objective).abs() < 1e-12 * wrong.dual, "{loss:?} {wrong:?}");
    }
}

#[test]
fn ties_duplicates_and_dependent_columns_have_exact_bounds() {
    for seed in 0..40 {
        let mut rng = Streams::new(seed).stream(1);
        let mut count = |n: f64| (n * uniform(&mut rng)).floor();
        let rows: Vec<[f64; 3]> = (0..40).map(|_| [1.0, count(3.0), count(2.0)]).collect();
        // The fourth column is the sum of two others.
        let a = Matrix::from_fn(40, 4, |i, j| if j < 3 { rows[i][j] } else { rows[i][0] + rows[i][1] });
        let b: Vec<f64> = (0..40).map(|_| count(4.0)).collect();
        for tau in [0.0005, 0.1, 0.5, 0.9, 0.9995] {
            let zero = judge(&a, &b, None, Loss::Quantile(tau), &[0.0; 4]);
            // By brute force: the minimum is at the vertex of three rows.
            let mut best = f64::INFINITY;
            let distinct = |i: &usize| (0..*i).all(|k| rows[k] != rows[*i] || b[k] != b[*i]);
            let few: Vec<usize> = (0..40).filter(distinct).collect();
            for (p, &i) in few.iter().enumerate() {
                for (q, &j) in few[..p].iter().enumerate() {
                    for &k in &few[..q] {
                        let m = [i, j, k].map(|i| rows[i].map(DoubleDouble::from).to_vec()).to_vec();
                        let c = [i, j, k].map(|i| b[i].into()).to_vec();
                        let Some(x) = super::super::algebra::solve(m, c) else { continue };
                        let x: Vec<f64> = x.iter().map(|x| x.to_f64()).collect();
                        let r = |i: usize| b[i] - rows[i].iter().zip(&x).map(|(a, x)| a * x).sum::<f64>();
                        let loss = |r: f64| if r < 0.0 { (tau - 1.0) * r } else { tau * r };
                        best = best.min((0..40).map(|i| loss(r(i))).sum());
                    }
                }
            }
            assert!((zero.dual - best).abs() <= 1e-12 * best.max(1e-3), "{seed} {tau}: {} {best}", zero.dual);
        }
    }
}

/// Damped Newton steps in plain double precision on the columns as they are.
fn newton(a: &Matrix, b: &[f64], p: f64) -> Vec<f64> {
    let d = a.columns();
    let mut x = vec![0.0; d];
    let r = |x: &[f64]| -> Vec<f64> {
        (0..b.len()).map(|i| b[i] - a.row(i).iter().zip(x).map(|(a, x)| a * x).sum::<f64>()).collect()
    };
    let value = |x: &[f64]| r(x).iter().map(|r| r.abs().powf(p)).sum::<f64>();
    for _ in 0..400 {
        let now = r(&x);
        let h: Vec<f64> = now.iter().map(|r| (p - 1.0) * r.abs().max(1e-9).powf(p - 2.0)).collect();
        let of = |i: usize, j: usize| (0..b.len()).map(|k| a[(k, i)] * a[(k, j)] * h[k]).sum::<f64>();
        let m = (0..d).map(|i| (0..d).map(|j| of(i, j).into()).collect()).collect();
        let pull =
            |j: usize| (0..b.len()).map(|k| a[(k, j)] * now[k].signum() * now[k].abs().powf(p - 1.0)).sum::<f64>();
        let step = super::super::algebra::solve(m, (0..d).map(|j| pull(j).into()).collect()).unwrap();
        let mut t = 1.0;
        let moved = |t: f64| -> Vec<f64> { x.iter().zip(&step).map(|(x, s)| x + t * s.to_f64()).collect() };
        while t > 1e-12 && value(&moved(t)) > value(&x) {
            t *= 0.5;
        }
        x = moved(if t > 1e-12 { t } else { 0.0 });
    }
    x
}

#[test]
fn powers_are_bounded_closely_and_wrong_answers_rejected() {
    let a = random_matrix(30, 3, 5);
    let mut b = random_matrix(30, 1, 6).into_vec();
    b[4] = 1e4;
    for p in [1.01, 1.1, 1.5, 2.0, 3.0, 4.0, 8.0, 12.0, 32.0] {
        let x = newton(&a, &b, p);
        let right = judge(&a, &b, None, Loss::Power(p), &x);
        assert!(right.gap <= 1e-8 * right.objective && right.gap >= -1e-25 * right.objective, "{p} {right:?}");
        let moved: Vec<f64> = x.iter().map(|x| x + 0.1 * (x.abs() + 1.0)).collect();
        let wrong = judge(&a, &b, None, Loss::Power(p), &moved);
        let lost = wrong.objective - right.objective;
        assert!(
            wrong.gap >= lost * (1.0 - 1e-9) && lost > 1e-7 * right.objective && wrong.dual <= right.objective,
            "{p} {wrong:?}"
        );
        // Near the minimum the bound is near it too.
        let close: Vec<f64> = x.iter().map(|x| x * (1.0 + 1e-6)).collect();
        let near = judge(&a, &b, None, Loss::Power(p), &close);
        assert!(near.gap < 1e-7 * right.objective, "{p} {near:?}");
    }
}

#[test]
fn least_squares_is_the_power_two() {
    // The mean of 0, 1, 5 is 2, with squares 4 + 1 + 9.
    let a = Matrix::from_vec(3, 1, vec![1.0; 3]).unwrap();
    let right = judge(&a, &[0.0, 1.0, 5.0], None, Loss::Power(2.0), &[2.0]);
    assert_eq!((right.objective, right.dual), (14.0, 14.0));
    // Weights 1, 1, 2 are a repeated row: the mean of 0, 1, 5, 5.
    let weighted = judge(&a, &[0.0, 1.0, 5.0], Some(&[1.0, 1.0, 2.0]), Loss::Power(2.0), &[2.75]);
    assert_eq!((weighted.objective, weighted.dual), (20.75, 20.75));
    let ignored = judge(&a, &[0.0, 1.0, 5.0], Some(&[1.0, 1.0, 0.0]), Loss::Power(2.0), &[0.5]);
    assert_eq!((ignored.objective, ignored.dual), (0.5, 0.5));
}

#[test]
fn units_and_exact_fits_are_no_obstacle() {
    let a = random_matrix(8, 3, 7);
    let x = [1.0, -2.0, 0.5];
    let mut b = vec![0.0; 8];
    a.multiply_vector_into(&x, &mut b);
    for loss in [Loss::Absolute, Loss::Quantile(0.9), Loss::Power(1.01), Loss::Power(32.0)] {
        let fit = judge(&a, &b, None, loss, &x);
        assert!(fit.relative_gap.abs() < 1e-12 && fit.objective < 1e-10, "{loss:?} {fit:?}");
        let noisy: Vec<f64> = b.iter().enumerate().map(|(i, b)| b + (i as f64 - 3.0)).collect();
        let one = judge(&a, &noisy, None, loss, &x);
        let far: Vec<f64> = noisy.iter().map(|&b| scale(b, 900)).collect();
        let other = judge(&a, &far, None, loss, &x.map(|x| scale(x, 900)));
        assert!(one.relative_gap > 1e-9 && (other.relative_gap / one.relative_gap - 1.0).abs() < 1e-12, "{loss:?}");
    }
}
