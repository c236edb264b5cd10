//! Rows of a table, dense or sparse, for routines that take both.
use crate::{CsrMatrix, LinalgError, Matrix, spmm, sums};

/// A borrowed table; `&Matrix` and `&CsrMatrix` convert into it.
///
/// Row LA-14 of `paper-refs.md`.
#[derive(Clone, Copy, Debug)]
pub enum Rows<'a> {
    /// Row-major.
    Dense(&'a Matrix),
    /// Row-major, with one more column at the end that is stored apart: a table with its target.
    Joined(&'a Matrix, &'a [f64]),
    /// Rows of a sparse matrix, compressed.
    Sparse(&'a CsrMatrix),
}

impl<'a> From<&'a Matrix> for Rows<'a> {
    fn from(a: &'a Matrix) -> Self {
        Rows::Dense(a)
    }
}

impl<'a> From<&'a CsrMatrix> for Rows<'a> {
    fn from(a: &'a CsrMatrix) -> Self {
        Rows::Sparse(a)
    }
}

impl Rows<'_> {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        match self {
            Rows::Dense(a) | Rows::Joined(a, _) => a.rows(),
            Rows::Sparse(a) => a.rows(),
        }
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        match self {
            Rows::Dense(a) => a.columns(),
            Rows::Joined(a, _) => a.columns() + 1,
            Rows::Sparse(a) => a.columns(),
        }
    }

    /// # Errors
    /// [`LinalgError::NotFinite`] at the first entry that is none.
    pub fn check_finite(&self, argument: &'static str) -> Result<(), LinalgError> {
        match self {
            Rows::Dense(a) => a.check_finite(argument),
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
            Rows::Dense(a) => a.multiply_vector_into(x, y),
            Rows::Joined(a, b) => {
                let (last, x) = x.split_last().expect("one column at least");
                a.multiply_vector_into(x, y);
                sums::axpy(*last, b, y);
            }
            Rows::Sparse(a) => spmm::multiply_vector_into(a, x, y),
        }
    }

    /// `y ← Aᵀ x`.
    ///
    /// # Panics
    /// When the lengths do not match.
    pub fn multiply_transpose_vector_into(&self, x: &[f64], y: &mut [f64]) {
        match self {
            Rows::Dense(a) => a.multiply_transpose_vector_into(x, y),
            Rows::Joined(a, b) => {
                let (last, y) = y.split_last_mut().expect("one column at least");
                a.multiply_transpose_vector_into(x, y);
                *last = sums::dot(b, x);
            }
            Rows::Sparse(a) => spmm::multiply_transpose_vector_into(a, x, y),
        }
    }

    /// `A X`.
    ///
    /// # Errors
    /// [`LinalgError::Shape`], [`LinalgError::TooLarge`].
    pub fn multiply(&self, x: &Matrix) -> Result<Matrix, LinalgError> {
        match self {
            Rows::Dense(a) => a.multiply(x),
            _ if x.rows() != self.columns() => {
                let expected = format!("{} rows", self.columns());
                Err(LinalgError::Shape { argument: "x", rows: x.rows(), columns: x.columns(), expected })
            }
            Rows::Joined(a, b) => {
                let d = a.columns();
                let top = Matrix::from_vec(d, x.columns(), x.as_slice()[..d * x.columns()].to_vec())?;
                let mut out = a.multiply(&top)?;
                for (row, b) in out.as_mut_slice().chunks_exact_mut(x.columns().max(1)).zip(*b) {
                    sums::axpy(*b, x.row(d), row);
                }
                Ok(out)
            }
            Rows::Sparse(a) => {
                let mut out = Matrix::try_zeros(a.rows(), x.columns())?;
                spmm::multiply_into(a, x, &mut out);
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
            Rows::Dense(a) => a.select_rows(rows),
            Rows::Joined(a, b) => {
                let d = a.columns();
                let mut out = Matrix::zeros(rows.len(), d + 1);
                for (k, &i) in rows.iter().enumerate() {
                    let target = out.row_mut(k);
                    target[..d].copy_from_slice(a.row(i));
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

    /// `Σ_j |a_ij| x_j`: what bounds the rounding of a product with row `i`.
    ///
    /// # Panics
    /// When `x` is shorter than a row.
    #[inline]
    pub fn absolute_dot(&self, i: usize, x: &[f64]) -> f64 {
        match self {
            Rows::Dense(a) => absolute_dot(a.row(i), x),
            Rows::Joined(a, b) => absolute_dot(a.row(i), x) + b[i].abs() * x[a.columns()],
            Rows::Sparse(a) => {
                let (indices, values) = a.row(i);
                indices.iter().zip(values).map(|(&j, v)| v.abs() * x[j as usize]).sum()
            }
        }
    }

    /// The dense part of consecutive rows, and what belongs to it of a column stored apart.
    pub(crate) fn dense_part(&self, from: usize, to: usize) -> Option<(&[f64], Option<&[f64]>)> {
        match self {
            Rows::Dense(a) => Some((&a.as_slice()[from * a.columns()..to * a.columns()], None)),
            Rows::Joined(a, b) => Some((&a.as_slice()[from * a.columns()..to * a.columns()], Some(&b[from..to]))),
            Rows::Sparse(_) => None,
        }
    }
}

fn absolute_dot(row: &[f64], x: &[f64]) -> f64 {
    let x = &x[..row.len()];
    sums::sum_by(row.len(), |j| row[j].abs() * x[j])
}
