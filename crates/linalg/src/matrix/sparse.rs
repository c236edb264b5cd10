//! Compressed sparse rows, owned or borrowed, checked at construction.
use crate::{LinalgError, Matrix, Real};

/// What to do when a position is given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Duplicates {
    /// Refuse with [`LinalgError::Duplicate`].
    #[default]
    Error,
    /// Add the values.
    Sum,
    /// Keep the value given last.
    Last,
}

/// Collects `(row, column, value)` in any order.
///
/// ```
/// use samplewise_linalg::{CooBuilder, Duplicates};
/// let mut coo = CooBuilder::new(2, 3);
/// coo.push(1, 2, 5.0)?;
/// coo.push(0, 1, 2.0)?;
/// let a = coo.build(Duplicates::Error)?;
/// assert_eq!(a.row(1), (&[2][..], &[5.0][..]));
/// # Ok::<(), samplewise_linalg::LinalgError>(())
/// ```
#[derive(Clone, Debug)]
pub struct CooBuilder<T: Real = f64> {
    rows: usize,
    columns: usize,
    entries: Vec<(u32, u32, T)>,
}

impl<T: Real> CooBuilder<T> {
    /// An empty matrix of the given shape.
    pub fn new(rows: usize, columns: usize) -> Self {
        Self { rows, columns, entries: Vec::new() }
    }

    /// Adds one entry.
    ///
    /// # Errors
    /// [`LinalgError::IndexOutOfRange`], [`LinalgError::NotFinite`].
    pub fn push(&mut self, row: usize, column: usize, value: T) -> Result<(), LinalgError> {
        let bound = |n: usize| n.min(u32::MAX as usize);
        if row >= bound(self.rows) {
            return Err(LinalgError::IndexOutOfRange { argument: "row", index: row, bound: bound(self.rows) });
        }
        if column >= bound(self.columns) {
            return Err(LinalgError::IndexOutOfRange { argument: "column", index: column, bound: bound(self.columns) });
        }
        if !value.is_finite() {
            return Err(LinalgError::NotFinite { argument: "value", row, column, value: value.to_f64() });
        }
        self.entries.push((row as u32, column as u32, value));
        Ok(())
    }

    /// Sorts and checks. Cost `O(nnz log nnz)`.
    ///
    /// # Errors
    /// [`LinalgError::Duplicate`], [`LinalgError::NotFinite`] for sums, [`LinalgError::TooLarge`].
    pub fn build(mut self, duplicates: Duplicates) -> Result<CsrMatrix<T>, LinalgError> {
        self.entries.sort_by_key(|&(r, c, _)| (r, c)); // stable: "last" is the one pushed last
        let bytes = (self.rows as u128 + 1) * size_of::<usize>() as u128;
        let too_large = LinalgError::TooLarge { what: "sparse row offsets", bytes };
        let mut offsets: Vec<usize> = Vec::new();
        let length = self.rows.checked_add(1).ok_or_else(|| too_large.clone())?;
        offsets.try_reserve_exact(length).map_err(|_| too_large)?;
        offsets.resize(length, 0);
        let mut indices: Vec<u32> = Vec::with_capacity(self.entries.len());
        let mut values: Vec<T> = Vec::with_capacity(self.entries.len());
        let mut previous = None;
        for (r, c, v) in self.entries {
            if previous == Some((r, c)) {
                let slot = values.last_mut().expect("an entry was pushed before its duplicate");
                match duplicates {
                    Duplicates::Error => {
                        return Err(LinalgError::Duplicate { row: r as usize, column: c as usize });
                    }
                    Duplicates::Sum => {
                        *slot += v;
                        if !slot.is_finite() {
                            let (row, column, value) = (r as usize, c as usize, slot.to_f64());
                            return Err(LinalgError::NotFinite { argument: "sum of duplicates", row, column, value });
                        }
                    }
                    Duplicates::Last => *slot = v,
                }
                continue;
            }
            previous = Some((r, c));
            offsets[r as usize + 1] += 1;
            indices.push(c);
            values.push(v);
        }
        for i in 0..self.rows {
            offsets[i + 1] += offsets[i];
        }
        Ok(CsrMatrix { rows: self.rows, columns: self.columns, offsets, indices, values })
    }
}

/// Compressed sparse rows: `u32` column indices, sorted and unique within a row.
#[derive(Clone, Debug, PartialEq)]
pub struct CsrMatrix<T: Real = f64> {
    rows: usize,
    columns: usize,
    offsets: Vec<usize>,
    indices: Vec<u32>,
    values: Vec<T>,
}

impl<T: Real> CsrMatrix<T> {
    /// Takes the three arrays of the format and checks them.
    ///
    /// # Errors
    /// [`LinalgError::Length`], [`LinalgError::IndexOutOfRange`], [`LinalgError::Duplicate`], [`LinalgError::Unsorted`],
    /// [`LinalgError::NotFinite`].
    pub fn from_parts(
        rows: usize,
        columns: usize,
        offsets: Vec<usize>,
        indices: Vec<u32>,
        values: Vec<T>,
    ) -> Result<Self, LinalgError> {
        CsrView::from_parts(rows, columns, &offsets, &indices, &values)?;
        Ok(Self { rows, columns, offsets, indices, values })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// A view of the whole matrix.
    pub fn view(&self) -> CsrView<'_, T> {
        let Self { rows, columns, ref offsets, ref indices, ref values } = *self;
        CsrView { rows, columns, offsets, indices, values }
    }

    /// Number of stored entries.
    pub fn nnz(&self) -> usize {
        self.values.len()
    }

    /// Column indices and values of row `i`.
    #[inline]
    pub fn row(&self, i: usize) -> (&[u32], &[T]) {
        let range = self.offsets[i]..self.offsets[i + 1];
        (&self.indices[range.clone()], &self.values[range])
    }

    /// Where the entries of row `i` stand in [`CsrMatrix::values`].
    pub fn row_range(&self, i: usize) -> std::ops::Range<usize> {
        self.offsets[i]..self.offsets[i + 1]
    }

    /// Where each row begins in [`CsrMatrix::values`], and the number of entries at the end.
    pub fn offsets(&self) -> &[usize] {
        &self.offsets
    }

    /// Column indices, row after row.
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// All values, row after row.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// All values, mutable; the pattern stays.
    pub fn values_mut(&mut self) -> &mut [T] {
        &mut self.values
    }

    /// Triplets in row order.
    pub fn iter(&self) -> impl Iterator<Item = (usize, usize, T)> + '_ {
        self.view().iter()
    }

    /// The transposed matrix, by counting sort. Cost `O(nnz + rows + columns)`.
    #[must_use]
    pub fn transpose(&self) -> Self {
        self.view().transpose()
    }

    /// The same pattern with values in another precision.
    ///
    /// # Errors
    /// [`LinalgError::NotFinite`] for values that leave its range.
    pub fn convert<U: Real>(&self) -> Result<CsrMatrix<U>, LinalgError> {
        let values: Vec<U> = self.values.iter().map(|v| U::from_f64(v.to_f64())).collect();
        if let Some(p) = values.iter().position(|v| !v.is_finite()) {
            let row = self.offsets.partition_point(|&o| o <= p) - 1;
            let (column, value) = (self.indices[p] as usize, values[p].to_f64());
            return Err(LinalgError::NotFinite { argument: "values", row, column, value });
        }
        let (rows, columns) = (self.rows, self.columns);
        Ok(CsrMatrix { rows, columns, offsets: self.offsets.clone(), indices: self.indices.clone(), values })
    }

    /// For every stored entry of [`CsrMatrix::transpose`], in its order, where it stands here. Cost as that.
    ///
    /// # Panics
    /// With 2³² entries or more.
    pub fn transpose_positions(&self) -> Vec<u32> {
        assert!(u32::try_from(self.nnz()).is_ok(), "{} entries", self.nnz());
        let mut next = vec![0_usize; self.columns + 1];
        for &j in &self.indices {
            next[j as usize + 1] += 1;
        }
        for j in 0..self.columns {
            next[j + 1] += next[j];
        }
        let mut out = vec![0_u32; self.nnz()];
        for (p, &j) in self.indices.iter().enumerate() {
            out[next[j as usize]] = p as u32;
            next[j as usize] += 1;
        }
        out
    }

    /// A dense copy.
    pub fn copy_to_dense(&self) -> Matrix<T> {
        self.view().copy_to_dense()
    }
}

/// Compressed sparse rows that are borrowed: the three arrays of the format, checked as for a [`CsrMatrix`].
///
/// Arrays of another library are read in place; column indices of 32 bits with a sign have the same bits.
///
/// ```
/// use samplewise_linalg::CsrView;
/// let a = CsrView::from_parts(2, 3, &[0, 1, 2], &[1, 2], &[2.0, 5.0])?;
/// assert_eq!(a.row(1), (&[2][..], &[5.0][..]));
/// # Ok::<(), samplewise_linalg::LinalgError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CsrView<'a, T: Real = f64> {
    rows: usize,
    columns: usize,
    offsets: &'a [usize],
    indices: &'a [u32],
    values: &'a [T],
}

impl<'a, T: Real> From<&'a CsrMatrix<T>> for CsrView<'a, T> {
    fn from(a: &'a CsrMatrix<T>) -> Self {
        a.view()
    }
}

impl<'a, T: Real> CsrView<'a, T> {
    /// Takes the three arrays of the format and checks them. Cost `O(nnz + rows)`.
    ///
    /// # Errors
    /// As [`CsrMatrix::from_parts`].
    pub fn from_parts(
        rows: usize,
        columns: usize,
        offsets: &'a [usize],
        indices: &'a [u32],
        values: &'a [T],
    ) -> Result<Self, LinalgError> {
        let length = |argument, given, expected| Err(LinalgError::Length { argument, given, expected });
        if offsets.is_empty() || offsets.len() - 1 != rows {
            return length("offsets", offsets.len(), rows.saturating_add(1));
        }
        if indices.len() != values.len() {
            return length("indices", indices.len(), values.len());
        }
        if offsets[0] != 0 || offsets[rows] != values.len() {
            return length("offsets", offsets[rows], values.len());
        }
        for row in 0..rows {
            let (from, to) = (offsets[row], offsets[row + 1]);
            if from > to || to > values.len() {
                return Err(LinalgError::IndexOutOfRange { argument: "offsets", index: to, bound: values.len() + 1 });
            }
            for p in from..to {
                let column = indices[p] as usize;
                if column >= columns {
                    return Err(LinalgError::IndexOutOfRange { argument: "indices", index: column, bound: columns });
                }
                if p > from && indices[p - 1] == indices[p] {
                    return Err(LinalgError::Duplicate { row, column });
                }
                if p > from && indices[p - 1] > indices[p] {
                    return Err(LinalgError::Unsorted { argument: "indices", row });
                }
                if !values[p].is_finite() {
                    return Err(LinalgError::NotFinite { argument: "values", row, column, value: values[p].to_f64() });
                }
            }
        }
        Ok(Self { rows, columns, offsets, indices, values })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Number of stored entries.
    pub fn nnz(&self) -> usize {
        self.values.len()
    }

    /// Column indices and values of row `i`.
    #[inline]
    pub fn row(&self, i: usize) -> (&'a [u32], &'a [T]) {
        let range = self.offsets[i]..self.offsets[i + 1];
        (&self.indices[range.clone()], &self.values[range])
    }

    /// Where the entries of row `i` stand in [`CsrView::values`].
    #[inline]
    pub fn row_range(&self, i: usize) -> std::ops::Range<usize> {
        self.offsets[i]..self.offsets[i + 1]
    }

    /// Where each row begins in [`CsrView::values`], and the number of entries at the end.
    pub fn offsets(&self) -> &'a [usize] {
        self.offsets
    }

    /// Column indices, row after row.
    pub fn indices(&self) -> &'a [u32] {
        self.indices
    }

    /// All values, row after row.
    pub fn values(&self) -> &'a [T] {
        self.values
    }

    /// Triplets in row order.
    pub fn iter(&self) -> impl Iterator<Item = (usize, usize, T)> + use<'a, T> {
        let view = *self;
        (0..view.rows).flat_map(move |i| {
            let (indices, values) = view.row(i);
            indices.iter().zip(values).map(move |(&j, &v)| (i, j as usize, v))
        })
    }

    /// A copy that owns its entries.
    pub fn copy_to_matrix(&self) -> CsrMatrix<T> {
        let Self { rows, columns, offsets, indices, values } = *self;
        CsrMatrix { rows, columns, offsets: offsets.to_vec(), indices: indices.to_vec(), values: values.to_vec() }
    }

    /// The transposed matrix, by counting sort. Cost `O(nnz + rows + columns)`.
    #[must_use]
    pub fn transpose(&self) -> CsrMatrix<T> {
        let mut offsets = vec![0_usize; self.columns + 1];
        for &j in self.indices {
            offsets[j as usize + 1] += 1;
        }
        for j in 0..self.columns {
            offsets[j + 1] += offsets[j];
        }
        let mut next = offsets.clone();
        let mut indices = vec![0_u32; self.nnz()];
        let mut values = vec![T::default(); self.nnz()];
        for (i, j, v) in self.iter() {
            indices[next[j]] = i as u32;
            values[next[j]] = v;
            next[j] += 1;
        }
        CsrMatrix { rows: self.columns, columns: self.rows, offsets, indices, values }
    }

    /// A dense copy.
    pub fn copy_to_dense(&self) -> Matrix<T> {
        let mut out = Matrix::zeros(self.rows, self.columns);
        for (i, j, v) in self.iter() {
            out[(i, j)] = v;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_follow_the_policy() {
        let build = |policy| {
            let mut b = CooBuilder::new(2, 2);
            b.push(1, 1, 1.0).unwrap();
            b.push(1, 1, 4.0).unwrap();
            b.build(policy)
        };
        assert_eq!(build(Duplicates::Error), Err(LinalgError::Duplicate { row: 1, column: 1 }));
        assert_eq!(build(Duplicates::Sum).unwrap().values(), [5.0]);
        assert_eq!(build(Duplicates::Last).unwrap().values(), [4.0]);
    }

    #[test]
    fn bad_entries_are_refused() {
        let mut b = CooBuilder::new(2, 2);
        assert!(b.push(2, 0, 1.0).is_err());
        assert!(b.push(0, 2, 1.0).is_err());
        assert!(b.push(0, 0, f64::NAN).is_err());
        assert!(CsrMatrix::from_parts(1, 2, vec![0, 2], vec![1, 0], vec![1.0, 1.0]).is_err());
        assert!(CsrMatrix::from_parts(1, 2, vec![0, 3], vec![1, 0], vec![1.0, 1.0]).is_err());
        assert!(CsrMatrix::<f64>::from_matrix_market("nonsense").is_err());
        assert!(CsrView::from_parts(1, 2, &[0, 2], &[0, 2], &[1.0, 1.0]).is_err());
        assert!(CsrView::from_parts(2, 2, &[0, 2, 1], &[0], &[1.0]).is_err());
        assert!(CsrView::from_parts(1, 2, &[0, 1], &[0], &[f64::NAN]).is_err());
    }
}
