//! The kernel `k(x, x') = s² exp(−Σ_i w_i [x_i ≠ x'_i]) + c`, whose spectrum is a product over the positions (row GP-1).
//!
//! With `A` levels at a position, `p = (A − 1)(1 − e^{−w})/A` and `λ_S = s² Π_{i∈S} p_i Π_{i∉S} (1 − p_i)`: `λ_S` is the prior
//! variance of the coefficient `S` for two levels, and of the interaction of the positions in `S` for more.
use samplewise_linalg::{Matrix, rows_times_rows};

use super::exp::scaled_exp;
use super::table::{Layout, Table};
use super::workspace::shape;

/// Parameters of a kernel, in units of the spread of the values.
///
/// Row GP-1 of `paper-refs.md`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kernel {
    /// Relevances `w`, one for each position.
    pub relevance: Vec<f64>,
    /// Prior variance `s²` of the function at a point.
    pub variance: f64,
    /// Prior variance of a constant beside it.
    pub constant: f64,
    /// Noise variance `η` of one value.
    pub noise: f64,
}

/// Numbers between two looks.
const PART: usize = 1 << 20;
/// Added to the diagonal, as a share of `s²`, so that the matrix can be factored.
pub(crate) const JITTER: f64 = 1e-8;

impl Kernel {
    /// The prior variance of a value.
    pub fn at_a_point(&self) -> f64 {
        self.variance + self.constant
    }

    /// What stands on the diagonal beside the kernel for a point that was told `repeats` times.
    pub fn nugget(&self, repeats: f64) -> f64 {
        self.noise / repeats + JITTER * self.variance
    }

    /// Features whose products are `Σ_i w_i (offset − [x_i ≠ x'_i])`, and the sum of the offsets.
    fn weighted(&self, layout: &Layout, features: &Matrix) -> (Matrix, f64) {
        let roots: Vec<f64> = layout.column_of.iter().map(|&i| self.relevance[i].sqrt()).collect();
        let mut out = Matrix::zeros(features.rows(), features.columns());
        for j in 0..features.rows() {
            let row = out.row_mut(j).iter_mut().zip(features.row(j));
            row.zip(&roots).for_each(|((o, f), r)| *o = f * r);
        }
        let offset = (0..layout.positions()).map(|i| self.relevance[i] * layout.offset(i)).sum();
        (out, offset)
    }

    /// `s² exp(−D)` between all points of a table, both triangles; the constant is not in it.
    pub fn of_table(&self, table: &Table) -> Matrix {
        let mut out = Matrix::zeros(0, 0);
        self.of_table_into(table, &mut out, &mut || ());
        out
    }

    /// [`Kernel::of_table`] in memory that is there, with a call every few hundredths of a second.
    pub fn of_table_into(&self, table: &Table, out: &mut Matrix, look: &mut dyn FnMut()) {
        let b = table.len();
        let (weighted, offset) = self.weighted(&table.layout, &table.features);
        shape(out, b, b);
        look();
        let (rows, width) = (weighted.as_slice(), weighted.columns());
        rows_times_rows::rows_gram_watched(rows, width, out.as_mut_slice(), b, &mut |_| look())
            .expect("a square of whole rows");
        look();
        for part in out.as_mut_slice().chunks_mut(PART) {
            self.exponential(part, offset);
            look();
        }
        (0..b).for_each(|j| out[(j, j)] = self.variance);
    }

    /// `s² exp(−D)` of other points (rows of features) with those of a table.
    pub fn between(&self, features: &Matrix, table: &Table) -> Matrix {
        let (left, offset) = self.weighted(&table.layout, features);
        let (right, _) = self.weighted(&table.layout, &table.features);
        let mut out = Matrix::zeros(features.rows(), table.len());
        let width = left.columns();
        rows_times_rows::rows_times_rows(left.as_slice(), right.as_slice(), width, out.as_mut_slice(), table.len())
            .expect("rows of one length");
        self.exponential(out.as_mut_slice(), offset);
        out
    }

    /// `−D` between all points of a table, with a call every few hundredths of a second.
    pub fn exponents(&self, table: &Table, look: &mut dyn FnMut()) -> Matrix {
        let b = table.len();
        let (weighted, offset) = self.weighted(&table.layout, &table.features);
        let mut out = Matrix::zeros(b, b);
        let (rows, width) = (weighted.as_slice(), weighted.columns());
        rows_times_rows::rows_gram_watched(rows, width, out.as_mut_slice(), b, &mut |_| look())
            .expect("a square of whole rows");
        for part in out.as_mut_slice().chunks_mut(PART) {
            part.iter_mut().for_each(|d| *d = (*d - offset).min(0.0));
            look();
        }
        (0..b).for_each(|j| out[(j, j)] = 0.0);
        out
    }

    fn exponential(&self, all: &mut [f64], offset: f64) {
        // A distance is not below zero, whatever rounding says.
        all.iter_mut().for_each(|d| *d = (*d - offset).min(0.0));
        scaled_exp(all, self.variance);
    }

    /// `p`: the prior variance of a set is that of a random one that takes position `i` with probability `p_i`.
    pub fn shares(&self, levels: &[usize]) -> Vec<f64> {
        let share = |(w, &a): (&f64, &usize)| -(-w).exp_m1() * (a as f64 - 1.0) / a as f64;
        self.relevance.iter().zip(levels).map(share).collect()
    }
}
