//! Dense matrices that own their entries, row after row.
use crate::{LinalgError, MatrixView, Real};

/// Owned dense matrix, row-major.
///
/// ```
/// use samplewise_linalg::Matrix;
/// let a = Matrix::from_vec(2, 3, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// assert_eq!(a.row(1), [4.0, 5.0, 6.0]);
/// assert_eq!(a.transpose()[(2, 0)], 3.0);
/// # Ok::<(), samplewise_linalg::LinalgError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix<T: Real = f64> {
    data: Vec<T>,
    rows: usize,
    columns: usize,
}

/// Rows per unit of parallel work; a constant, so that results do not depend on the number of threads.
pub(crate) const ROW_BLOCK: usize = 1024;

/// Rows and columns of a tile of a transposition.
const TILE: usize = 16;

impl<T: Real> Matrix<T> {
    /// A matrix of zeros.
    ///
    /// # Panics
    /// When `rows * columns` overflows; use [`Matrix::try_zeros`] for sizes that come from a user.
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Self { data: vec![T::default(); rows * columns], rows, columns }
    }

    /// A matrix of zeros, or [`LinalgError::TooLarge`] when it cannot be reserved.
    ///
    /// # Errors
    /// [`LinalgError::TooLarge`].
    pub fn try_zeros(rows: usize, columns: usize) -> Result<Self, LinalgError> {
        let bytes = rows as u128 * columns as u128 * size_of::<T>() as u128;
        let too_large = LinalgError::TooLarge { what: "dense matrix", bytes };
        let len = rows.checked_mul(columns).ok_or_else(|| too_large.clone())?;
        let mut data = Vec::new();
        data.try_reserve_exact(len).map_err(|_| too_large)?;
        data.resize(len, T::default());
        Ok(Self { data, rows, columns })
    }

    /// Takes row-major entries; `data.len()` must be `rows * columns`.
    ///
    /// # Errors
    /// [`LinalgError::Length`].
    pub fn from_vec(rows: usize, columns: usize, data: Vec<T>) -> Result<Self, LinalgError> {
        match rows.checked_mul(columns) {
            Some(n) if n == data.len() => Ok(Self { data, rows, columns }),
            expected => Err(LinalgError::Length {
                argument: "data",
                given: data.len(),
                expected: expected.unwrap_or(usize::MAX),
            }),
        }
    }

    /// Entry `(i, j)` is `f(i, j)`.
    pub fn from_fn(rows: usize, columns: usize, mut f: impl FnMut(usize, usize) -> T) -> Self {
        let mut data = Vec::with_capacity(rows * columns);
        for i in 0..rows {
            for j in 0..columns {
                data.push(f(i, j));
            }
        }
        Self { data, rows, columns }
    }

    /// The identity of the given size.
    pub fn identity(n: usize) -> Self {
        Self::from_fn(n, n, |i, j| if i == j { T::from_f64(1.0) } else { T::default() })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Row `i`.
    #[inline]
    pub fn row(&self, i: usize) -> &[T] {
        &self.data[i * self.columns..(i + 1) * self.columns]
    }

    /// Row `i`, mutable.
    #[inline]
    pub fn row_mut(&mut self, i: usize) -> &mut [T] {
        &mut self.data[i * self.columns..(i + 1) * self.columns]
    }

    /// A copy of column `j`.
    pub fn copy_column(&self, j: usize) -> Vec<T> {
        (0..self.rows).map(|i| self[(i, j)]).collect()
    }

    /// All entries, row after row.
    pub fn as_slice(&self) -> &[T] {
        &self.data
    }

    /// All entries, row after row, mutable.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.data
    }

    /// Gives the entries back, row after row.
    pub fn into_vec(self) -> Vec<T> {
        self.data
    }

    /// A view of the whole matrix.
    pub fn view(&self) -> MatrixView<'_, T> {
        MatrixView::from_row_major(&self.data, self.rows, self.columns).expect("a matrix holds all its entries")
    }

    /// A transposed copy.
    #[must_use]
    pub fn transpose(&self) -> Self {
        let (m, n) = (self.rows, self.columns);
        let mut out = Self::zeros(n, m);
        // Tiles, so that neither side is walked a whole column at a time.
        for i in (0..m).step_by(TILE) {
            for j in (0..n).step_by(TILE) {
                for a in i..(i + TILE).min(m) {
                    for b in j..(j + TILE).min(n) {
                        out.data[b * m + a] = self.data[a * n + b];
                    }
                }
            }
        }
        out
    }

    /// The given rows, copied in the given order.
    #[must_use]
    pub fn select_rows(&self, rows: &[usize]) -> Self {
        let mut data = Vec::with_capacity(rows.len() * self.columns);
        for &i in rows {
            data.extend_from_slice(self.row(i));
        }
        Self { data, rows: rows.len(), columns: self.columns }
    }

    /// Checks that every entry is finite.
    ///
    /// # Errors
    /// [`LinalgError::NotFinite`] with the first such entry.
    pub fn check_finite(&self, argument: &'static str) -> Result<(), LinalgError> {
        self.view().check_finite(argument)
    }
}

impl<T: Real> std::ops::Index<(usize, usize)> for Matrix<T> {
    type Output = T;
    #[inline]
    fn index(&self, (i, j): (usize, usize)) -> &T {
        &self.data[i * self.columns + j]
    }
}

impl<T: Real> std::ops::IndexMut<(usize, usize)> for Matrix<T> {
    #[inline]
    fn index_mut(&mut self, (i, j): (usize, usize)) -> &mut T {
        &mut self.data[i * self.columns + j]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_cannot_exist_are_refused() {
        assert!(matches!(Matrix::<f64>::try_zeros(usize::MAX, 8), Err(LinalgError::TooLarge { .. })));
        assert!(matches!(Matrix::<f64>::try_zeros(1 << 40, 1 << 20), Err(LinalgError::TooLarge { .. })));
    }
}
