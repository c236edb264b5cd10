//! A strided view of a slice: either storage order, any leading dimension, nothing copied.
use std::ops::Range;

use crate::{LinalgError, Matrix, Real};

/// Read-only strided view: either storage order, any leading dimension, no copy.
///
/// What is computed from a view has the bits of what is computed from its copy: rows whose entries do not stand together
/// are gathered, a few at a time, into a buffer that stays in the cache (row LA-16 of `paper-refs.md`).
#[derive(Clone, Copy, Debug)]
pub struct MatrixView<'a, T: Real = f64> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

/// Rows gathered at a time.
const GATHERED: usize = 32;

impl<'a, T: Real> From<&'a Matrix<T>> for MatrixView<'a, T> {
    fn from(a: &'a Matrix<T>) -> Self {
        a.view()
    }
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
            Some(n) if n <= data.len() => {
                // Strides along which there is nothing to walk may be anything, also what no address reaches.
                let row_stride = if rows > 1 { row_stride } else { columns };
                let column_stride = if columns > 1 { column_stride } else { 1 };
                Ok(Self { data, rows, columns, row_stride, column_stride })
            }
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

    /// All entries, row after row, where they stand so.
    pub(crate) fn as_row_major(self) -> Option<&'a [T]> {
        let (data, stride) = self.contiguous_rows()?;
        (stride == self.columns || self.rows <= 1 || self.columns == 0).then(|| &data[..self.rows * self.columns])
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

    /// A view of consecutive rows.
    ///
    /// # Panics
    /// When a row is outside the view.
    #[must_use]
    pub fn select_range(self, rows: Range<usize>) -> Self {
        assert!(rows.start <= rows.end && rows.end <= self.rows, "rows {rows:?} of {}", self.rows);
        let first = if rows.is_empty() || self.columns == 0 { 0 } else { rows.start * self.row_stride };
        Self { data: &self.data[first..], rows: rows.len(), ..self }
    }

    /// The entries of column `j` in the rows from `from` on.
    pub(crate) fn copy_column_part(&self, j: usize, from: usize, out: &mut [T]) {
        if out.is_empty() {
            return;
        }
        let source = &self.data[from * self.row_stride + j * self.column_stride..];
        match self.row_stride {
            0 => out.fill(source[0]),
            1 => out.copy_from_slice(&source[..out.len()]),
            apart => out.iter_mut().zip(source.iter().step_by(apart)).for_each(|(out, v)| *out = *v),
        }
    }

    /// Consecutive rows one after the other into `out`, each at a multiple of `apart`.
    pub(crate) fn gather(&self, from: usize, count: usize, apart: usize, out: &mut [T]) {
        let d = self.columns;
        if d == 0 || count == 0 {
            return;
        }
        if let Some((data, stride)) = self.contiguous_rows() {
            for (k, out) in out.chunks_mut(apart).take(count).enumerate() {
                out[..d].copy_from_slice(&data[(from + k) * stride..][..d]);
            }
            return;
        }
        // Column after column: this way the reads of a column-major table go forward.
        for j in 0..d {
            let source = &self.data[from * self.row_stride + j * self.column_stride..];
            for k in 0..count {
                out[k * apart + j] = source[k * self.row_stride];
            }
        }
    }

    /// Calls `f` with the number and the entries of each row of a range, in order.
    #[inline]
    pub(crate) fn for_rows(&self, rows: Range<usize>, mut f: impl FnMut(usize, &[T])) {
        let d = self.columns;
        if let Some((data, stride)) = self.contiguous_rows() {
            for i in rows {
                f(i, if d == 0 { &[] } else { &data[i * stride..][..d] });
            }
            return;
        }
        let mut buffer = vec![T::default(); GATHERED * d];
        for first in rows.clone().step_by(GATHERED) {
            let count = GATHERED.min(rows.end - first);
            self.gather(first, count, d, &mut buffer);
            buffer.chunks_exact(d).take(count).enumerate().for_each(|(k, row)| f(first + k, row));
        }
    }

    /// Calls `f` with the number and the entries of each row, in order.
    pub fn for_each_row(&self, f: impl FnMut(usize, &[T])) {
        self.for_rows(0..self.rows, f);
    }

    /// A row-major copy.
    ///
    /// # Panics
    /// When there is no room for it: a view may repeat one row any number of times.
    pub fn copy_to_matrix(&self) -> Matrix<T> {
        self.try_copy_to_matrix().expect("room for a copy")
    }

    /// [`MatrixView::copy_to_matrix`], or an error where there is no room.
    ///
    /// # Errors
    /// [`LinalgError::TooLarge`].
    pub(crate) fn try_copy_to_matrix(&self) -> Result<Matrix<T>, LinalgError> {
        let mut out = Matrix::try_zeros(self.rows, self.columns)?;
        for first in (0..self.rows).step_by(GATHERED) {
            let count = GATHERED.min(self.rows - first);
            self.gather(first, count, self.columns, &mut out.as_mut_slice()[first * self.columns..]);
        }
        Ok(out)
    }

    /// The given rows, copied in the given order.
    ///
    /// # Panics
    /// When a number is out of range.
    #[must_use]
    pub fn select_rows(&self, rows: &[usize]) -> Matrix<T> {
        let d = self.columns;
        let mut data = Vec::with_capacity(rows.len() * d);
        for &i in rows {
            assert!(i < self.rows, "row {i} of {}", self.rows);
            match self.contiguous_rows() {
                _ if d == 0 => {}
                Some((entries, stride)) => data.extend_from_slice(&entries[i * stride..][..d]),
                None => data.extend((0..d).map(|j| self.data[i * self.row_stride + j * self.column_stride])),
            }
        }
        Matrix::from_vec(rows.len(), d, data).expect("whole rows")
    }

    /// Checks that every entry is finite.
    ///
    /// # Errors
    /// [`LinalgError::NotFinite`] with the first such entry.
    pub fn check_finite(&self, argument: &'static str) -> Result<(), LinalgError> {
        if self.rows == 0 || self.columns == 0 {
            return Ok(());
        }
        let finite = match (self.as_row_major(), self.transpose().contiguous_rows()) {
            (Some(all), _) => all.iter().all(|v| v.is_finite()),
            // The columns stand together.
            (None, Some((data, apart))) => {
                (0..self.columns).all(|j| data[j * apart..][..self.rows].iter().all(|v| v.is_finite()))
            }
            (None, None) => false,
        };
        if finite {
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
        assert!(MatrixView::from_strided(&[0.0; 5], 2, 3, 3, 1).is_err());
        assert!(MatrixView::from_strided(&[0.0; 5], usize::MAX, 3, 3, 1).is_err());
    }

    /// Every way to read a view sees the entries that [`MatrixView::get`] names: rows and columns apart by anything, one
    /// value for all rows, and parts that begin and end within a group of gathered rows.
    #[test]
    fn every_way_to_read_sees_the_same_entries() {
        let data: Vec<f64> = (0..4000).map(f64::from).collect();
        for (rows, columns, row_stride, column_stride) in [
            (70, 5, 5, 1),
            (70, 5, 9, 1),
            (70, 5, 1, 70),
            (70, 5, 2, 300),
            (70, 5, 0, 3),
            (70, 1, 1, 900),
            (1, 6, 0, 7),
            (3, 0, 1, 1),
            (3, 0, 100, 1),
            (0, 3, 1, 1),
            (0, 3, 1, 1000),
            (1, 6, usize::MAX, 7),
            (5, 1, 3, usize::MAX),
        ] {
            let view = MatrixView::from_strided(&data, rows, columns, row_stride, column_stride).unwrap();
            let plain = Matrix::from_fn(rows, columns, |i, j| view.get(i, j));
            assert_eq!(view.copy_to_matrix(), plain);
            assert!(view.check_finite("a").is_ok() && view.transpose().check_finite("a").is_ok());
            assert_eq!(view.transpose().copy_to_matrix(), plain.transpose());
            let every: Vec<usize> = (0..rows).rev().collect();
            assert_eq!(view.select_rows(&every), plain.select_rows(&every));
            let part = rows / 3..rows;
            assert_eq!(
                view.select_range(part.clone()).copy_to_matrix(),
                plain.select_rows(&part.clone().collect::<Vec<_>>())
            );
            let mut seen = Vec::new();
            view.for_rows(part.clone(), |i, row| {
                assert_eq!(row, plain.row(i));
                seen.push(i);
            });
            assert!(seen.into_iter().eq(part.clone()));
            for j in 0..columns {
                let mut column = vec![f64::NAN; part.len()];
                view.copy_column_part(j, part.start, &mut column);
                assert_eq!(column, plain.copy_column(j)[part.clone()]);
            }
            if let Some(all) = view.as_row_major() {
                assert_eq!(all, plain.as_slice());
            }
        }
    }

    #[test]
    fn the_first_entry_that_is_not_finite_is_named_in_the_order_of_the_rows() {
        let mut data = vec![0.0; 600];
        (data[3], data[102]) = (f64::NAN, f64::INFINITY);
        let found = MatrixView::from_column_major(&data, 100, 6).unwrap().check_finite("a");
        assert!(matches!(found, Err(LinalgError::NotFinite { row: 2, column: 1, .. })), "{found:?}");
    }
}
