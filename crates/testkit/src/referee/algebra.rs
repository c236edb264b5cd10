//! Small dense linear algebra in double-double: what the referees share.
use samplewise_linalg::Matrix;

use crate::double_double::{DoubleDouble, dot_of, exponent_of, scale};

/// What is left of a column below this share of its norm is the rounding of double-double, so the column depends on others.
pub const DEPENDENT: f64 = 1e-26;

/// An orthonormal basis of some columns.
#[derive(Clone, Debug, Default)]
pub struct Basis {
    vectors: Vec<Vec<DoubleDouble>>,
    members: Vec<usize>,
}

impl Basis {
    /// Orthonormalises the columns in their order; a column of which less than the share `dependent` of its norm is
    /// outside the earlier ones is left out.
    pub fn of(columns: impl IntoIterator<Item = Vec<DoubleDouble>>, dependent: f64) -> Self {
        let mut basis = Self::default();
        for (at, column) in columns.into_iter().enumerate() {
            basis.push(at, column, dependent);
        }
        basis
    }

    /// Adds a column under the name `at` unless it depends on those that are there; says whether it was added.
    pub fn push(&mut self, at: usize, mut column: Vec<DoubleDouble>, dependent: f64) -> bool {
        let largest = column.iter().fold(0.0_f64, |m, v| m.max(v.to_f64().abs()));
        if largest == 0.0 {
            return false;
        }
        let unit = -exponent_of(largest);
        column.iter_mut().for_each(|v| *v = v.times_power_of_two(unit));
        let before = norm(&column);
        self.project_off(&mut column);
        let after = norm(&column);
        let independent = after.to_f64() > dependent * before.to_f64();
        if independent {
            column.iter_mut().for_each(|v| *v = *v / after);
            self.vectors.push(column);
            self.members.push(at);
        }
        independent
    }

    /// Takes away what `v` has along the columns. Three times, because the first time leaves the rounding of what is taken.
    pub fn project_off(&self, v: &mut [DoubleDouble]) {
        for _ in 0..3 {
            for basis in &self.vectors {
                let along = dot_of(basis, v);
                v.iter_mut().zip(basis).for_each(|(v, &b)| *v -= along * b);
            }
        }
    }

    /// The positions of the independent columns.
    pub fn members(&self) -> &[usize] {
        &self.members
    }

    /// How many columns are independent.
    pub fn rank(&self) -> usize {
        self.members.len()
    }
}

/// The Euclidean norm.
pub fn norm(v: &[DoubleDouble]) -> DoubleDouble {
    dot_of(v, v).sqrt()
}

/// `A` with every column divided by the power of two below its largest entry, and these exponents.
pub fn balanced(a: &Matrix) -> (Vec<Vec<f64>>, Vec<i32>) {
    let exponents: Vec<i32> = (0..a.columns()).map(|j| exponent(a.copy_column(j).iter().copied())).collect();
    let rows = (0..a.rows()).map(|i| a.row(i).iter().zip(&exponents).map(|(&v, &e)| scale(v, -e)).collect()).collect();
    (rows, exponents)
}

/// The exponent of the largest of some numbers.
pub fn exponent(values: impl Iterator<Item = f64>) -> i32 {
    exponent_of(values.fold(0.0_f64, |m, v| m.max(v.abs())))
}

/// Column `j` of a table given by its rows.
pub fn column(rows: &[Vec<f64>], j: usize) -> Vec<DoubleDouble> {
    rows.iter().map(|r| r[j].into()).collect()
}

/// The residual `b − A x` of a table given by its rows.
pub fn residual(rows: &[Vec<f64>], b: &[f64], x: &[DoubleDouble]) -> Vec<DoubleDouble> {
    let product = |row: &Vec<f64>| row.iter().zip(x).map(|(&a, &x)| x * a).sum::<DoubleDouble>();
    rows.iter().zip(b).map(|(row, &b)| DoubleDouble::from(b) - product(row)).collect()
}

/// Solves the square system `M x = c` by elimination, the largest pivot of each column first; `None` when `M` is singular.
pub fn solve(mut m: Vec<Vec<DoubleDouble>>, mut c: Vec<DoubleDouble>) -> Option<Vec<DoubleDouble>> {
    let n = c.len();
    for k in 0..n {
        let size = |i: &usize| m[*i][k].abs().to_f64();
        let pivot = (k..n).max_by(|i, j| size(i).total_cmp(&size(j)))?;
        if size(&pivot) == 0.0 {
            return None;
        }
        m.swap(k, pivot);
        c.swap(k, pivot);
        for i in k + 1..n {
            let factor = m[i][k] / m[k][k];
            let (head, tail) = m.split_at_mut(i);
            tail[0][k..].iter_mut().zip(&head[k][k..]).for_each(|(v, &p)| *v -= factor * p);
            let moved = factor * c[k];
            c[i] -= moved;
        }
    }
    for k in (0..n).rev() {
        let known: DoubleDouble = (k + 1..n).map(|j| m[k][j] * c[j]).sum();
        c[k] = (c[k] - known) / m[k][k];
    }
    Some(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::random_matrix;

    #[test]
    fn a_basis_finds_the_rank_and_projects() {
        let a = random_matrix(12, 4, 1);
        let (rows, _) = balanced(&a);
        let mut columns: Vec<Vec<DoubleDouble>> = (0..4).map(|j| column(&rows, j)).collect();
        let sum = (0..12).map(|i| columns[0][i] + columns[2][i] * 3.0).collect();
        columns.insert(3, sum);
        let basis = Basis::of(columns.clone(), DEPENDENT);
        assert_eq!(basis.members(), [0, 1, 2, 4]);
        let mut v: Vec<DoubleDouble> = random_matrix(12, 1, 2).as_slice().iter().map(|&v| v.into()).collect();
        basis.project_off(&mut v);
        assert!(norm(&v).to_f64() > 0.1);
        assert!(columns.iter().all(|c| dot_of(c, &v).abs().to_f64() < 1e-29));
    }

    #[test]
    fn systems_are_solved_beyond_double_precision() {
        // The Hilbert matrix of order 8 has condition 1e10.
        let m: Vec<Vec<DoubleDouble>> =
            (0..8).map(|i| (0..8).map(|j| DoubleDouble::ONE / f64::from(i + j + 1)).collect()).collect();
        let c = m.iter().map(|row| row.iter().copied().sum()).collect();
        let x = solve(m, c).unwrap();
        assert!(x.iter().all(|&x| (x - 1.0).abs().to_f64() < 1e-19));
        assert!(solve(vec![vec![DoubleDouble::ZERO; 2]; 2], vec![DoubleDouble::ONE; 2]).is_none());
    }
}
