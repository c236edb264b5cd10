//! Rows of factors in whole registers.
use samplewise_linalg::{Matrix, Real};

use super::GROUP;

/// Rows of factors, padded with zeros to whole groups of lanes.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel<T> {
    pub(crate) data: Vec<T>,
    /// Padded length of a row.
    pub(crate) width: usize,
    /// Columns that count.
    pub(crate) columns: usize,
}

impl<T: Real> Panel<T> {
    pub(crate) fn zeros(rows: usize, columns: usize) -> Self {
        let width = columns.next_multiple_of(GROUP / size_of::<T>());
        Self { data: vec![T::default(); rows * width], width, columns }
    }

    pub(crate) fn copy<S: Real>(matrix: &Matrix<S>) -> Self {
        let mut out = Self::zeros(matrix.rows(), matrix.columns());
        for (i, row) in out.data.chunks_exact_mut(out.width.max(1)).enumerate() {
            row.iter_mut().zip(matrix.row(i)).for_each(|(a, b)| *a = T::from_f64(b.to_f64()));
        }
        out
    }

    /// The same numbers in another precision.
    pub(crate) fn convert<S: Real>(other: &Panel<S>) -> Self {
        let mut out = Self::zeros(other.rows(), other.columns);
        if out.width == other.width {
            out.data.iter_mut().zip(&other.data).for_each(|(a, b)| *a = T::from_f64(b.to_f64()));
        } else if other.width > 0 {
            for (a, b) in out.data.chunks_exact_mut(out.width).zip(other.data.chunks_exact(other.width)) {
                a.iter_mut().zip(b).for_each(|(a, b)| *a = T::from_f64(b.to_f64()));
            }
        }
        out
    }

    /// `self += other`, of any precision.
    pub(crate) fn add<S: Real>(&mut self, other: &Panel<S>) {
        for (a, b) in self.data.chunks_exact_mut(self.width.max(1)).zip(other.data.chunks_exact(other.width.max(1))) {
            a.iter_mut().zip(b).for_each(|(a, b)| *a += T::from_f64(b.to_f64()));
        }
    }

    pub(crate) fn row(&self, i: usize) -> &[T] {
        &self.data[i * self.width..(i + 1) * self.width]
    }

    pub(crate) fn rows(&self) -> usize {
        self.data.len().checked_div(self.width).unwrap_or(0)
    }

    pub(crate) fn to_matrix(&self) -> Matrix {
        Matrix::from_fn(self.rows(), self.columns, |i, c| self.row(i)[c].to_f64())
    }

    /// `⟨a, b⟩`, lanes in a fixed order, blocks added in `f64`.
    pub(crate) fn dot(&self, other: &Self) -> f64 {
        let mut total = 0.0;
        for (a, b) in self.data.chunks(4096).zip(other.data.chunks(4096)) {
            let mut lanes = [T::default(); 16];
            let (head_a, tail_a) = a.as_chunks::<16>();
            let (head_b, tail_b) = b.as_chunks::<16>();
            for (x, y) in head_a.iter().zip(head_b) {
                for l in 0..16 {
                    lanes[l] += x[l] * y[l];
                }
            }
            tail_a.iter().zip(tail_b).zip(&mut lanes).for_each(|((x, y), l)| *l += *x * *y);
            total += fold(lanes).to_f64();
        }
        total
    }

    /// `self += alpha·other`.
    pub(crate) fn add_scaled(&mut self, alpha: f64, other: &Self) {
        let alpha = T::from_f64(alpha);
        self.data.iter_mut().zip(&other.data).for_each(|(a, b)| *a += alpha * *b);
    }

    /// `self = other + beta·self`.
    pub(crate) fn scale_add(&mut self, beta: f64, other: &Self) {
        let beta = T::from_f64(beta);
        self.data.iter_mut().zip(&other.data).for_each(|(a, b)| *a = *b + beta * *a);
    }
}

/// Sum of the lanes, by halves.
#[inline(always)]
fn fold<T: Real, const L: usize>(mut lanes: [T; L]) -> T {
    let mut half = L / 2;
    while half > 0 {
        for l in 0..half {
            lanes[l] += lanes[l + half];
        }
        half /= 2;
    }
    lanes[0]
}
