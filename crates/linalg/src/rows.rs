//! Rows of a table, dense or sparse, for routines that take both.
use crate::{CsrMatrix, LinalgError, Matrix, spmm};

/// A borrowed table; `&Matrix` and `&CsrMatrix` convert into it.
#[derive(Clone, Copy, Debug)]
pub enum Rows<'a> {
    /// Row-major.
    Dense(&'a Matrix),
    /// Compressed rows.
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
            Rows::Dense(a) => a.rows(),
            Rows::Sparse(a) => a.rows(),
        }
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        match self {
            Rows::Dense(a) => a.columns(),
            Rows::Sparse(a) => a.columns(),
        }
    }

    /// # Errors
    /// [`LinalgError::NotFinite`] at the first entry that is none.
    pub fn check_finite(&self, argument: &'static str) -> Result<(), LinalgError> {
        match self {
            Rows::Dense(a) => a.check_finite(argument),
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
            Rows::Sparse(a) => {
                if x.rows() != a.columns() {
                    let expected = format!("{} rows", a.columns());
                    return Err(LinalgError::Shape { argument: "x", rows: x.rows(), columns: x.columns(), expected });
                }
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

    /// Calls `visit` with the column and value of each stored entry of row `i`.
    #[inline]
    pub fn each_entry(&self, i: usize, mut visit: impl FnMut(usize, f64)) {
        match self {
            Rows::Dense(a) => a.row(i).iter().enumerate().for_each(|(j, &v)| visit(j, v)),
            Rows::Sparse(a) => {
                let (indices, values) = a.row(i);
                indices.iter().zip(values).for_each(|(&j, &v)| visit(j as usize, v));
            }
        }
    }
}
