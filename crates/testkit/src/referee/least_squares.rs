//! Least squares: whether an answer is a minimum, and the rank of the table.
use samplewise_linalg::Matrix;

use super::algebra::{Basis, DEPENDENT, balanced, column, exponent, norm, residual};
use crate::double_double::{DoubleDouble, dot_of, scale};

/// How near `x` is to the minimum of `‖b − A x‖`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Optimality {
    /// `‖b − A x‖`.
    pub residual: f64,
    /// The least norm of all residuals.
    pub least_residual: f64,
    /// `(‖b − A x‖² − least²) / ‖b‖²`: what the answer loses. Right also where the system is solvable, in which the angles
    /// below are rounding over rounding.
    pub excess: f64,
    /// The largest cosine of the angle between the residual and a column; zero at a minimum.
    pub largest_cosine: f64,
    /// How many columns are independent, each scaled to its largest entry, up to the rounding of double-double.
    pub rank: usize,
}

/// Judges the coefficients `x`.
pub fn judge(a: &Matrix, b: &[f64], x: &[f64]) -> Optimality {
    let (rows, units) = balanced(a);
    let unit = exponent(b.iter().copied());
    let target: Vec<f64> = b.iter().map(|&b| scale(b, -unit)).collect();
    let x: Vec<DoubleDouble> = x.iter().zip(&units).map(|(&x, &e)| scale(x, e - unit).into()).collect();
    let r = residual(&rows, &target, &x);
    let columns: Vec<Vec<DoubleDouble>> = (0..a.columns()).map(|j| column(&rows, j)).collect();
    let basis = Basis::of(columns.iter().cloned(), DEPENDENT);
    let mut least: Vec<DoubleDouble> = target.iter().map(|&t| t.into()).collect();
    let size = norm(&least);
    basis.project_off(&mut least);
    // The excess is the square of the part of the residual within the columns.
    let lost: Vec<DoubleDouble> = r.iter().zip(&least).map(|(&r, &l)| r - l).collect();
    let share = |v: DoubleDouble| if v.to_f64() == 0.0 { 0.0 } else { (v / size).to_f64() };
    let cosine = |c: &Vec<DoubleDouble>| {
        let sizes = (norm(c) * norm(&r)).to_f64();
        if sizes == 0.0 { 0.0 } else { dot_of(c, &r).to_f64().abs() / sizes }
    };
    Optimality {
        residual: norm(&r).times_power_of_two(unit).to_f64(),
        least_residual: norm(&least).times_power_of_two(unit).to_f64(),
        excess: share(norm(&lost)).powi(2),
        largest_cosine: columns.iter().map(cosine).fold(0.0, f64::max),
        rank: basis.rank(),
    }
}

/// The rank of a table, each column scaled to its largest entry; a column of which at most the share `dependent` is outside
/// the earlier ones counts as dependent.
pub fn rank(a: &Matrix, dependent: f64) -> usize {
    let (rows, _) = balanced(a);
    Basis::of((0..a.columns()).map(|j| column(&rows, j)), dependent.max(DEPENDENT)).rank()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_through_three_points() {
        // The line through (0, 0), (1, 1), (2, 5) nearest to them is −1/2 + 5t/2, with residuals 1/2, −1, 1/2.
        let a = Matrix::from_fn(3, 2, |i, j| if j == 0 { 1.0 } else { i as f64 });
        let b = [0.0, 1.0, 5.0];
        let right = judge(&a, &b, &[-0.5, 2.5]);
        assert!((right.residual - 1.5_f64.sqrt()).abs() < 1e-15 && right.excess < 1e-60, "{right:?}");
        assert!(right.largest_cosine < 1e-30 && right.rank == 2);
        let wrong = judge(&a, &b, &[-0.5, 2.5 + 1e-6]);
        assert!(wrong.excess > 1e-13 && wrong.largest_cosine > 1e-7, "{wrong:?}");
        assert_eq!(wrong.least_residual, right.least_residual);
    }

    #[test]
    fn ranks_are_told_at_any_scale() {
        for k in [-900, 0, 900] {
            let entry = |i: usize, j: usize| match j {
                0 => 1.0,
                1 => scale(1.0 + i as f64, k),
                2 => scale(3.0 + i as f64, k),
                _ => 1.0 + if i == 3 { 1e-12 } else { 0.0 },
            };
            let a = Matrix::from_fn(6, 4, entry);
            // The third column is the second plus two in its units, so a combination of the first two.
            assert_eq!((rank(&a, 0.0), rank(&a, 1e-9)), (3, 2), "{k}");
            let zero = judge(&a, &[0.0; 6], &[0.0; 4]);
            assert_eq!((zero.excess, zero.residual, zero.rank), (0.0, 0.0, 3));
        }
    }
}
