//! Rows of a table, dense or sparse, for routines that take both.
use rayon::prelude::*;

use crate::dense::ROW_BLOCK;
use crate::observe::Observer;
use crate::{CsrMatrix, CsrView, LinalgError, Matrix, MatrixView, spmm, sums};

/// A borrowed table, read where it lies; `&Matrix`, [`MatrixView`], `&CsrMatrix` and [`CsrView`] convert into it.
///
/// Rows LA-14 and LA-16 of `paper-refs.md`.
///
/// The storage order changes no bit of what is computed from a table.
///
/// ```
/// use samplewise_linalg::{Matrix, MatrixView, leverage::leverage_scores};
/// // Two columns of three rows, the first column first, as other libraries keep them.
/// let by_column = [1.0, 2.0, 3.0, 0.5, -1.0, 4.0];
/// let view = MatrixView::from_column_major(&by_column, 3, 2)?;
/// assert_eq!(leverage_scores(view)?, leverage_scores(&view.copy_to_matrix())?);
/// # Ok::<(), samplewise_linalg::LinalgError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Rows<'a> {
    /// A dense table of any storage order.
    View(MatrixView<'a>),
    /// A dense table with one more column at the end that is stored apart: its target, or a column of ones.
    Joined(MatrixView<'a>, &'a [f64]),
    /// Rows of a sparse table, compressed.
    Sparse(CsrView<'a>),
}

impl<'a> From<MatrixView<'a>> for Rows<'a> {
    fn from(a: MatrixView<'a>) -> Self {
        Rows::View(a)
    }
}

impl<'a> From<CsrView<'a>> for Rows<'a> {
    fn from(a: CsrView<'a>) -> Self {
        Rows::Sparse(a)
    }
}

impl<'a> From<&'a Matrix> for Rows<'a> {
    fn from(a: &'a Matrix) -> Self {
        Rows::View(a.view())
    }
}

impl<'a> From<&'a CsrMatrix> for Rows<'a> {
    fn from(a: &'a CsrMatrix) -> Self {
        Rows::Sparse(a.view())
    }
}

impl<'r> Rows<'r> {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Rows::View(a) | Rows::Joined(a, _) => a.rows(),
            Rows::Sparse(a) => a.rows(),
        }
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        match self {
            Rows::View(a) => a.columns(),
            Rows::Joined(a, _) => a.columns() + 1,
            Rows::Sparse(a) => a.columns(),
        }
    }

    /// # Errors
    /// [`LinalgError::NotFinite`] at the first entry that is none.
    pub fn check_finite(&self, argument: &'static str) -> Result<(), LinalgError> {
        match self {
            Rows::View(a) => a.check_finite(argument),
            Rows::Joined(a, b) => {
                a.check_finite(argument)?;
                match b.iter().position(|v| !v.is_finite()) {
                    Some(row) => Err(LinalgError::NotFinite { argument, row, column: a.columns(), value: b[row] }),
                    None => Ok(()),
                }
            }
            Rows::Sparse(a) => match a.iter().find(|(_, _, v)| !v.is_finite()) {
                Some((row, column, value)) => Err(LinalgError::NotFinite { argument, row, column, value }),
                None => Ok(()),
            },
        }
    }

    /// `y ← A x`.
    ///
    /// # Panics
    /// When the lengths do not match.
    pub fn multiply_vector_into(&self, x: &[f64], y: &mut [f64]) {
        match self {
            Rows::View(a) => a.multiply_vector_into(x, y),
            Rows::Joined(a, b) => {
                let (last, x) = x.split_last().expect("one column at least");
                a.multiply_vector_into(x, y);
                sums::axpy(*last, b, y);
            }
            Rows::Sparse(a) => spmm::multiply_vector_into(*a, x, y),
        }
    }

    /// `y ← Aᵀ x`.
    ///
    /// # Panics
    /// When the lengths do not match.
    pub fn multiply_transpose_vector_into(&self, x: &[f64], y: &mut [f64]) {
        match self {
            Rows::View(a) => a.multiply_transpose_vector_into(x, y),
            Rows::Joined(a, b) => {
                let (last, y) = y.split_last_mut().expect("one column at least");
                a.multiply_transpose_vector_into(x, y);
                *last = sums::dot(b, x);
            }
            Rows::Sparse(a) => spmm::multiply_transpose_vector_into(*a, x, y),
        }
    }

    /// `A X`.
    ///
    /// # Errors
    /// [`LinalgError::Shape`], [`LinalgError::TooLarge`].
    pub fn multiply(&self, x: &Matrix) -> Result<Matrix, LinalgError> {
        self.multiply_observed(x, &mut ())
    }

    /// [`Rows::multiply`] with cancellation; of dense rows the observer is asked as by [`MatrixView::multiply_observed`].
    ///
    /// # Errors
    /// As [`Rows::multiply`]; [`LinalgError::Interrupted`] when the observer stops it.
    pub fn multiply_observed(&self, x: &Matrix, observer: &mut dyn Observer) -> Result<Matrix, LinalgError> {
        match self {
            Rows::View(a) => a.multiply_observed(x, observer),
            _ if x.rows() != self.columns() => {
                let expected = format!("{} rows", self.columns());
                Err(LinalgError::Shape { argument: "x", rows: x.rows(), columns: x.columns(), expected })
            }
            Rows::Joined(a, b) => {
                let d = a.columns();
                let top = Matrix::from_vec(d, x.columns(), x.as_slice()[..d * x.columns()].to_vec())?;
                let mut out = a.multiply_observed(&top, observer)?;
                for (row, b) in out.as_mut_slice().chunks_exact_mut(x.columns().max(1)).zip(*b) {
                    sums::axpy(*b, x.row(d), row);
                }
                Ok(out)
            }
            Rows::Sparse(a) => {
                let mut out = Matrix::try_zeros(a.rows(), x.columns())?;
                spmm::multiply_into(*a, x, &mut out);
                Ok(out)
            }
        }
    }

    /// The given rows, dense.
    ///
    /// # Panics
    /// When a number is out of range.
    pub fn select_rows(&self, rows: &[usize]) -> Matrix {
        match self {
            Rows::View(a) => a.select_rows(rows),
            Rows::Joined(a, b) => {
                let d = a.columns();
                let mut out = Matrix::zeros(rows.len(), d + 1);
                for (k, &i) in rows.iter().enumerate() {
                    let target = out.row_mut(k);
                    a.gather(i, 1, d + 1, target);
                    target[d] = b[i];
                }
                out
            }
            Rows::Sparse(a) => {
                let mut out = Matrix::zeros(rows.len(), a.columns());
                for (k, &i) in rows.iter().enumerate() {
                    let (indices, values) = a.row(i);
                    let target = out.row_mut(k);
                    indices.iter().zip(values).for_each(|(&j, &v)| target[j as usize] = v);
                }
                out
            }
        }
    }

    /// A dense copy of all rows.
    ///
    /// # Errors
    /// [`LinalgError::TooLarge`].
    pub fn copy_to_dense(&self) -> Result<Matrix, LinalgError> {
        match self {
            Rows::View(a) => a.try_copy_to_matrix(),
            Rows::Joined(a, b) => {
                let d = a.columns();
                let mut out = Matrix::try_zeros(a.rows(), d + 1)?;
                for (i, row) in out.as_mut_slice().chunks_exact_mut(d + 1).enumerate() {
                    a.gather(i, 1, d + 1, row);
                    row[d] = b[i];
                }
                Ok(out)
            }
            Rows::Sparse(a) => {
                let mut out = Matrix::try_zeros(a.rows(), a.columns())?;
                a.iter().for_each(|(i, j, v)| out[(i, j)] = v);
                Ok(out)
            }
        }
    }

    /// `y_i ← Σ_j |a_ij| x_j`: what bounds the rounding of the products of the rows with a vector of such sizes.
    ///
    /// # Panics
    /// When the lengths do not match.
    pub fn multiply_sizes_into(&self, x: &[f64], y: &mut [f64]) {
        assert!(x.len() == self.columns() && y.len() == self.rows(), "{} sizes, {} rows", x.len(), y.len());
        y.par_chunks_mut(ROW_BLOCK).enumerate().for_each(|(b, y)| {
            let rows = b * ROW_BLOCK..b * ROW_BLOCK + y.len();
            let first = rows.start;
            match self {
                Rows::View(a) => a.for_rows(rows, |i, row| y[i - first] = sizes_dot(row, x)),
                Rows::Joined(a, b) => {
                    let (last, x) = x.split_last().expect("one column at least");
                    a.for_rows(rows, |i, row| y[i - first] = sizes_dot(row, x) + b[i].abs() * last);
                }
                Rows::Sparse(a) => {
                    for (i, y) in rows.zip(y) {
                        let (indices, values) = a.row(i);
                        *y = indices.iter().zip(values).map(|(&j, v)| v.abs() * x[j as usize]).sum();
                    }
                }
            }
        });
    }

    /// The dense part of consecutive rows, and what belongs to it of a column stored apart.
    pub(crate) fn dense_part(&self, from: usize, to: usize) -> Option<DenseRows<'r>> {
        match self {
            Rows::View(a) => Some((a.select_range(from..to), None)),
            Rows::Joined(a, b) => Some((a.select_range(from..to), Some(&b[from..to]))),
            Rows::Sparse(_) => None,
        }
    }
}

/// Consecutive rows of a dense table, and what belongs to them of a last column that is stored apart.
pub(crate) type DenseRows<'a> = (MatrixView<'a>, Option<&'a [f64]>);

fn sizes_dot(row: &[f64], x: &[f64]) -> f64 {
    sums::sum_by(row.len(), |j| row[j].abs() * x[j])
}
