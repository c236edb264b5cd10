//! Dense matrices: row-major and owned, or a strided view of a slice.
use rayon::prelude::*;

use crate::{LinalgError, Real, sums};

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
        MatrixView {
            data: &self.data,
            rows: self.rows,
            columns: self.columns,
            row_stride: self.columns,
            column_stride: 1,
        }
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

impl Matrix<f64> {
    /// `self · other`, in fixed row blocks: the same bits for every thread count. Cost `2·m·k·n` flops.
    ///
    /// # Errors
    /// [`LinalgError::Shape`] when the inner dimensions differ.
    pub fn multiply(&self, other: &Matrix) -> Result<Matrix, LinalgError> {
        if self.columns != other.rows {
            return Err(LinalgError::Shape {
                argument: "other",
                rows: other.rows,
                columns: other.columns,
                expected: format!("{} rows", self.columns),
            });
        }
        let mut out = Matrix::try_zeros(self.rows, other.columns)?;
        let (k, n) = (self.columns, other.columns);
        if k == 0 || n == 0 || self.rows == 0 {
            return Ok(out);
        }
        let right = faer::MatRef::from_row_major_slice(other.as_slice(), k, n);
        out.data.par_chunks_mut(ROW_BLOCK * n).zip(self.data.par_chunks(ROW_BLOCK * k)).for_each(|(c, a)| {
            let rows = a.len() / k;
            faer::linalg::matmul::matmul(
                faer::MatMut::from_row_major_slice_mut(c, rows, n),
                faer::Accum::Replace,
                faer::MatRef::from_row_major_slice(a, rows, k),
                right,
                1.0,
                faer::Par::Seq,
            );
        });
        Ok(out)
    }

    /// `self · x` into `y`.
    ///
    /// # Panics
    /// When a length does not match; the lengths are the caller's own.
    pub fn multiply_vector_into(&self, x: &[f64], y: &mut [f64]) {
        assert!(x.len() == self.columns && y.len() == self.rows, "{}x{} times {}", self.rows, self.columns, x.len());
        if self.rows * self.columns < 1 << 15 {
            for (i, out) in y.iter_mut().enumerate() {
                *out = sums::dot(self.row(i), x);
            }
        } else {
            y.par_chunks_mut(ROW_BLOCK).enumerate().for_each(|(b, part)| {
                for (i, out) in part.iter_mut().enumerate() {
                    *out = sums::dot(self.row(b * ROW_BLOCK + i), x);
                }
            });
        }
    }

    /// `selfᵀ · x` into `y`, rows combined in fixed blocks.
    ///
    /// # Panics
    /// When a length does not match.
    pub fn multiply_transpose_vector_into(&self, x: &[f64], y: &mut [f64]) {
        assert!(x.len() == self.rows && y.len() == self.columns, "({}x{})ᵀ times {}", self.rows, self.columns, x.len());
        y.fill(0.0);
        let add_rows = |block: usize, acc: &mut [f64]| {
            for i in block * ROW_BLOCK..((block + 1) * ROW_BLOCK).min(self.rows) {
                sums::axpy(x[i], self.row(i), acc);
            }
        };
        let blocks = self.rows.div_ceil(ROW_BLOCK);
        if self.rows * self.columns < 1 << 15 {
            let mut acc = vec![0.0; self.columns];
            for block in 0..blocks {
                acc.fill(0.0);
                add_rows(block, &mut acc);
                sums::axpy(1.0, &acc, y);
            }
        } else {
            let parts: Vec<Vec<f64>> = (0..blocks)
                .into_par_iter()
                .map(|block| {
                    let mut acc = vec![0.0; self.columns];
                    add_rows(block, &mut acc);
                    acc
                })
                .collect();
            for part in parts {
                sums::axpy(1.0, &part, y);
            }
        }
    }

    /// `‖b − self·x‖`, and `selfᵀ(b − self·x)` into `gradient`, in one pass; rows combined in fixed blocks.
    ///
    /// # Panics
    /// When a length does not match.
    pub(crate) fn residual_and_gradient(&self, x: &[f64], b: &[f64], gradient: &mut [f64]) -> f64 {
        let (n, d) = (self.rows, self.columns);
        assert!(x.len() == d && gradient.len() == d && b.len() == n, "{n}x{d}: {}, {}", x.len(), b.len());
        gradient.fill(0.0);
        if d == 0 {
            return sums::norm(b);
        }
        let part = |(rows, b): (&[f64], &[f64])| {
            let mut acc = vec![0.0; d];
            let squares = pulp::Arch::new().dispatch(Normal { rows, b, x, acc: &mut acc });
            (acc, squares)
        };
        let (rows, targets) = (self.data.par_chunks(ROW_BLOCK * d), b.par_chunks(ROW_BLOCK));
        let parts: Vec<(Vec<f64>, f64)> = if n * d < 1 << 15 {
            self.data.chunks(ROW_BLOCK * d).zip(b.chunks(ROW_BLOCK)).map(part).collect()
        } else {
            rows.zip(targets).map(part).collect()
        };
        let mut squares = 0.0;
        for (acc, partial) in parts {
            sums::axpy(1.0, &acc, gradient);
            squares += partial;
        }
        squares.sqrt()
    }

    /// The Frobenius norm: the root of the sum of all squares.
    pub fn norm(&self) -> f64 {
        sums::norm(&self.data)
    }
}

/// Residuals of consecutive rows and what they add to the gradient; returns the sum of their squares.
struct Normal<'a> {
    rows: &'a [f64],
    b: &'a [f64],
    x: &'a [f64],
    acc: &'a mut [f64],
}

impl pulp::WithSimd for Normal<'_> {
    type Output = f64;

    // Products are not fused, so that every instruction set gives the same bits.
    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> f64 {
        const L: usize = 16;
        let (x_blocks, x_tail) = self.x.as_chunks::<L>();
        let mut squares = 0.0;
        for (row, &b) in self.rows.chunks_exact(self.x.len()).zip(self.b) {
            let (blocks, tail) = row.as_chunks::<L>();
            let mut lanes = [0.0; L];
            for (a, x) in blocks.iter().zip(x_blocks) {
                for l in 0..L {
                    lanes[l] += a[l] * x[l];
                }
            }
            for half in [L / 2, L / 4] {
                for l in 0..half {
                    lanes[l] += lanes[l + half];
                }
            }
            let mut sum = (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
            for (a, x) in tail.iter().zip(x_tail) {
                sum += a * x;
            }
            let r = b - sum;
            squares += r * r;
            for (g, a) in self.acc.iter_mut().zip(row) {
                *g += r * a;
            }
        }
        squares
    }
}

/// Rows per unit of parallel work; a constant, so that results do not depend on the number of threads.
pub(crate) const ROW_BLOCK: usize = 1024;

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

/// Read-only strided view: either storage order, any leading dimension, no copy.
#[derive(Clone, Copy, Debug)]
pub struct MatrixView<'a, T: Real = f64> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T: Real> MatrixView<'a, T> {
    /// A row-major slice of `rows * columns` entries.
    ///
    /// # Errors
    /// [`LinalgError::Length`].
    pub fn from_row_major(data: &'a [T], rows: usize, columns: usize) -> Result<Self, LinalgError> {
        Self::from_strided(data, rows, columns, columns, 1)
    }

    /// A column-major slice of `rows * columns` entries.
    ///
    /// # Errors
    /// [`LinalgError::Length`].
    pub fn from_column_major(data: &'a [T], rows: usize, columns: usize) -> Result<Self, LinalgError> {
        Self::from_strided(data, rows, columns, 1, rows)
    }

    /// Entry `(i, j)` is `data[i * row_stride + j * column_stride]`; every entry must lie inside `data`.
    ///
    /// # Errors
    /// [`LinalgError::Length`] when an entry would lie outside `data`.
    pub fn from_strided(
        data: &'a [T],
        rows: usize,
        columns: usize,
        row_stride: usize,
        column_stride: usize,
    ) -> Result<Self, LinalgError> {
        let needed = if rows == 0 || columns == 0 {
            Some(0)
        } else {
            (rows - 1)
                .checked_mul(row_stride)
                .zip((columns - 1).checked_mul(column_stride))
                .and_then(|(a, b)| a.checked_add(b)?.checked_add(1))
        };
        match needed {
            Some(n) if n <= data.len() => Ok(Self { data, rows, columns, row_stride, column_stride }),
            _ => {
                Err(LinalgError::Length { argument: "data", given: data.len(), expected: needed.unwrap_or(usize::MAX) })
            }
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Entry `(i, j)`.
    ///
    /// # Panics
    /// When the entry is outside the view.
    #[inline]
    pub fn get(&self, i: usize, j: usize) -> T {
        assert!(i < self.rows && j < self.columns, "({i}, {j}) outside {}x{}", self.rows, self.columns);
        self.data[i * self.row_stride + j * self.column_stride]
    }

    /// The entries from the first on, with the distance of the rows, where the entries of a row stand together.
    pub(crate) fn contiguous_rows(self) -> Option<(&'a [T], usize)> {
        (self.column_stride == 1 || self.columns <= 1).then_some((self.data, self.row_stride))
    }

    /// Entries, row stride and column stride.
    #[cfg(feature = "faer")]
    pub(crate) fn parts(self) -> (&'a [T], usize, usize) {
        (self.data, self.row_stride, self.column_stride)
    }

    /// The transposed view; nothing moves.
    #[must_use]
    pub fn transpose(self) -> Self {
        Self {
            data: self.data,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }

    /// A row-major copy.
    pub fn copy_to_matrix(&self) -> Matrix<T> {
        Matrix::from_fn(self.rows, self.columns, |i, j| self.get(i, j))
    }

    /// Checks that every entry is finite.
    ///
    /// # Errors
    /// [`LinalgError::NotFinite`] with the first such entry.
    pub fn check_finite(&self, argument: &'static str) -> Result<(), LinalgError> {
        let contiguous = self.row_stride == self.columns && self.column_stride == 1;
        if contiguous && self.data[..self.rows * self.columns].iter().all(|v| v.is_finite()) {
            return Ok(());
        }
        for row in 0..self.rows {
            for column in 0..self.columns {
                let value = self.get(row, column);
                if !value.is_finite() {
                    return Err(LinalgError::NotFinite { argument, row, column, value: value.to_f64() });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_storage_orders_show_the_same_matrix() {
        let row_major = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let column_major = [1.0, 4.0, 2.0, 5.0, 3.0, 6.0];
        let a = MatrixView::from_row_major(&row_major, 2, 3).unwrap();
        let b = MatrixView::from_column_major(&column_major, 2, 3).unwrap();
        assert_eq!(a.copy_to_matrix(), b.copy_to_matrix());
        assert_eq!(a.transpose().copy_to_matrix(), a.copy_to_matrix().transpose());
    }

    #[test]
    fn sizes_that_cannot_exist_are_refused() {
        assert!(matches!(Matrix::<f64>::try_zeros(usize::MAX, 8), Err(LinalgError::TooLarge { .. })));
        assert!(matches!(Matrix::<f64>::try_zeros(1 << 40, 1 << 20), Err(LinalgError::TooLarge { .. })));
        assert!(MatrixView::from_strided(&[0.0; 5], 2, 3, 3, 1).is_err());
        assert!(MatrixView::from_strided(&[0.0; 5], usize::MAX, 3, 3, 1).is_err());
    }

    #[test]
    fn products_equal_the_triple_loop() {
        let a = Matrix::from_fn(37, 11, |i, j| ((i * 7 + j * 3) % 13) as f64 - 6.0);
        let b = Matrix::from_fn(11, 5, |i, j| ((i * 5 + j) % 7) as f64 - 3.0);
        let c = a.multiply(&b).unwrap();
        // Small integers: every order of summation is exact, so this is equality.
        for i in 0..37 {
            for j in 0..5 {
                assert_eq!(c[(i, j)], (0..11).map(|k| a[(i, k)] * b[(k, j)]).sum::<f64>());
            }
        }
        let x: Vec<f64> = (0..37).map(|i| f64::from(i % 5)).collect();
        let mut y = vec![f64::NAN; 11];
        a.multiply_transpose_vector_into(&x, &mut y);
        for j in 0..11 {
            assert_eq!(y[j], (0..37).map(|i| a[(i, j)] * x[i]).sum::<f64>());
        }
    }
}
