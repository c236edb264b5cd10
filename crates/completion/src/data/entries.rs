//! Observed entries, by row and by column.
use samplewise_linalg::scale::{extreme_exponent, largest_of, ldexp};
use samplewise_linalg::{CooBuilder, CsrMatrix, Duplicates, LinalgError, MatrixView, Real};

use crate::Error;

/// Observed entries `(row, column, value)` with optional weights, in both orientations.
///
/// Row TRU-1 of `paper-refs.md`.
///
/// Memory: 24 bytes per entry, 40 with weights; 16 and 24 in single precision. Fits compute with the same numbers in double
/// precision (only weights are rounded), of which they make a copy.
#[derive(Clone, Debug)]
pub struct Entries<T: Real = f64> {
    pub(crate) by_row: Orientation<T>,
    pub(crate) by_column: Orientation<T>,
}

/// The entries in one orientation: by rows, or by columns.
#[derive(Clone, Debug)]
pub(crate) struct Orientation<T: Real = f64> {
    pub values: CsrMatrix<T>,
    /// Weights in the order of `values`, or empty when all are 1.
    pub weights: Vec<T>,
}

impl<T: Real> Orientation<T> {
    /// Indices, values and weights of one row.
    pub fn row(&self, i: usize) -> (&[u32], &[T], Option<&[T]>) {
        let (indices, values) = self.values.row(i);
        let weights = (!self.weights.is_empty()).then(|| &self.weights[self.values.row_range(i)]);
        (indices, values, weights)
    }

    /// Number of entries of row `i`.
    pub fn count(&self, i: usize) -> usize {
        self.values.row_range(i).len()
    }

    /// `(row, column, value, weight)`, row after row.
    pub fn iter(&self) -> impl Iterator<Item = (usize, usize, f64, f64)> + '_ {
        let weight = |p: usize| self.weights.get(p).map_or(1.0, |w| w.to_f64());
        self.values.iter().enumerate().map(move |(p, (i, j, v))| (i, j, v.to_f64(), weight(p)))
    }

    /// In double precision.
    pub fn to_double(&self) -> Orientation {
        let values = self.values.convert().expect("finite numbers stay finite");
        Orientation { values, weights: self.weights.iter().map(|w| w.to_f64()).collect() }
    }

    fn transposed(&self) -> Self {
        let values = self.values.transpose();
        if self.weights.is_empty() {
            return Self { values, weights: Vec::new() };
        }
        let mut weights = self.values.clone();
        weights.values_mut().copy_from_slice(&self.weights);
        Self { values, weights: weights.transpose().values().to_vec() }
    }
}

impl<T: Real> Entries<T> {
    /// Checks and sorts entries of a `rows × columns` matrix.
    ///
    /// `weights`, if given, belong to the entries in their order: finite, positive; only their ratios count. Cost
    /// `O(|Ω| log |Ω|)`.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::Weight`], [`Error::Data`] for indices outside the
    /// shape, values that are not finite, positions given twice.
    pub fn new(
        rows: usize,
        columns: usize,
        entries: &[(usize, usize, T)],
        weights: Option<&[f64]>,
    ) -> Result<Self, Error> {
        if entries.is_empty() {
            return Err(Error::Empty);
        }
        let values = sorted(rows, columns, entries, |p| entries[p].2)?;
        let Some(w) = weights else { return Self::from_csr(values, None) };
        check_weights(w, entries.len())?;
        let in_order = sorted(rows, columns, entries, |p| w[p])?;
        Self::with_weights(values, in_order.values(), w)
    }

    /// [`Entries::new`] of entries whose rows, columns and values are listed apart.
    ///
    /// # Errors
    /// As [`Entries::new`]; [`Error::Data`] for lists of different lengths.
    pub fn from_triplets(
        rows: usize,
        columns: usize,
        (row_of, column_of, values): (&[usize], &[usize], &[T]),
        weights: Option<&[f64]>,
    ) -> Result<Self, Error> {
        for (argument, given) in [("columns of the entries", column_of.len()), ("values", values.len())] {
            if given != row_of.len() {
                return Err(LinalgError::Length { argument, given, expected: row_of.len() }.into());
            }
        }
        let fits = weights.is_none_or(|w| w.len() == values.len());
        if let Some((values, in_order)) =
            counted((rows, columns), (row_of, column_of, values), weights.filter(|_| fits))
            && fits
        {
            let Some(w) = weights else { return Self::from_csr(values, None) };
            check_weights(w, in_order.len())?;
            return Self::with_weights(values, &in_order, w);
        }
        // Something is wrong with them: what, says the way that looks at one after the other.
        let entries: Vec<(usize, usize, T)> =
            row_of.iter().zip(column_of).zip(values).map(|((&i, &j), &v)| (i, j, v)).collect();
        Self::new(rows, columns, &entries, weights)
    }

    /// `in_order` are the weights in the order of the stored entries, `given` those in the order of the caller's.
    fn with_weights(values: CsrMatrix<T>, in_order: &[f64], given: &[f64]) -> Result<Self, Error> {
        let scale = WeightScale::of(in_order);
        // What is too small is named by its place among those given.
        let named = |error| scale.apply::<T>(given).err().unwrap_or(error);
        let weights = scale.apply(in_order).map_err(named)?;
        Ok(Self::from_orientation(Orientation { values, weights }))
    }

    /// Takes the stored entries of a sparse matrix as the observed ones, zeros among them; `weights` in their order, as in
    /// [`Entries::new`]. Cost `O(|Ω|)`.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::Weight`], [`Error::Data`].
    pub fn from_csr(values: CsrMatrix<T>, weights: Option<&[f64]>) -> Result<Self, Error> {
        if values.nnz() == 0 {
            return Err(Error::Empty);
        }
        let weights = match weights {
            None => Vec::new(),
            Some(w) => {
                check_weights(w, values.nnz())?;
                WeightScale::of(w).apply(w)?
            }
        };
        Ok(Self::from_orientation(Orientation { values, weights }))
    }

    /// The entries of a dense matrix that are not NaN. Of a [`MatrixView`], in any storage order, nothing else is copied.
    ///
    /// # Errors
    /// [`Error::Empty`]; [`Error::Data`] for infinite entries.
    pub fn from_dense<'a>(matrix: impl Into<MatrixView<'a, T>>) -> Result<Self, Error> {
        let matrix = matrix.into();
        let (mut offsets, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
        matrix.for_each_row(|_, row| {
            for (j, &v) in row.iter().enumerate().filter(|(_, v)| !v.to_f64().is_nan()) {
                indices.push(j as u32);
                values.push(v);
            }
            offsets.push(values.len());
        });
        Self::from_csr(CsrMatrix::from_parts(matrix.rows(), matrix.columns(), offsets, indices, values)?, None)
    }

    /// The entries (positions in row order) for which `keep` is true, with rows and columns renumbered; `u32::MAX` drops
    /// them. `None` when nothing is left.
    pub(crate) fn select(
        &self,
        keep: impl Fn(usize) -> bool,
        rows: &Renumbering,
        columns: &Renumbering,
    ) -> Option<Entries> {
        let mut offsets = Vec::with_capacity(rows.kept.len() + 1);
        offsets.push(0);
        let (mut indices, mut values, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for &i in &rows.kept {
            let (js, vs, ws) = self.by_row.row(i as usize);
            for (p, position) in self.by_row.values.row_range(i as usize).enumerate() {
                let j = columns.new[js[p] as usize];
                if j != u32::MAX && keep(position) {
                    indices.push(j);
                    values.push(vs[p].to_f64());
                    if let Some(w) = ws {
                        weights.push(w[p].to_f64());
                    }
                }
            }
            offsets.push(values.len());
        }
        if values.is_empty() {
            return None;
        }
        let values = CsrMatrix::from_parts(rows.kept.len(), columns.kept.len(), offsets, indices, values)
            .expect("a subset of valid entries, in order, is valid");
        Some(Entries::from_orientation(Orientation { values, weights }))
    }

    fn from_orientation(by_row: Orientation<T>) -> Self {
        let by_column = by_row.transposed();
        Self { by_row, by_column }
    }

    /// The exponent by which the values must be divided before they are squared, and the entries with values so divided; none
    /// in the ordinary case.
    pub(crate) fn moderate(&self) -> Option<(i32, Self)> {
        let values = self.by_row.values.values().iter().map(|v| v.to_f64());
        let e = extreme_exponent(largest_of(values));
        if e == 0 {
            return None;
        }
        let mut out = self.clone();
        for side in [&mut out.by_row, &mut out.by_column] {
            side.values.values_mut().iter_mut().for_each(|v| *v = T::from_f64(ldexp(v.to_f64(), -e)));
        }
        Some((e, out))
    }

    pub(crate) fn without_weights(&self) -> Self {
        let plain = |side: &Orientation<T>| Orientation { values: side.values.clone(), weights: Vec::new() };
        Self { by_row: plain(&self.by_row), by_column: plain(&self.by_column) }
    }

    /// Other weights, in row order; `positions` are those of [`CsrMatrix::transpose_positions`].
    pub(crate) fn set_weights(&mut self, weights: Vec<T>, positions: &[u32]) {
        self.by_column.weights.clear();
        self.by_column.weights.extend(positions.iter().map(|&p| weights[p as usize]));
        self.by_row.weights = weights;
    }

    /// Number of rows `m`.
    pub fn rows(&self) -> usize {
        self.by_row.values.rows()
    }

    /// Number of columns `n`.
    pub fn columns(&self) -> usize {
        self.by_column.values.rows()
    }

    /// Number of entries `|Ω|`.
    pub fn len(&self) -> usize {
        self.by_row.values.nnz()
    }

    /// Whether this entry was given.
    pub(crate) fn has(&self, row: usize, column: usize) -> bool {
        self.by_row.values.row(row).0.binary_search(&(column as u32)).is_ok()
    }

    /// Sum of the weights; the number of entries when there are none.
    pub(crate) fn total_weight(&self) -> f64 {
        let weights = &self.by_row.weights;
        if weights.is_empty() { self.len() as f64 } else { weights.iter().map(|w| w.to_f64()).sum() }
    }

    /// Never true: [`Entries::new`] refuses it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries in row order: `(row, column, value, weight)`.
    pub fn iter(&self) -> impl Iterator<Item = (usize, usize, f64, f64)> + '_ {
        self.by_row.iter()
    }
}

impl Entries {
    /// The same entries in single precision; `None` where a value or weight leaves its range.
    pub(crate) fn to_single(&self) -> Option<Entries<f32>> {
        let narrow = |side: &Orientation| {
            let weights: Vec<f32> = side.weights.iter().map(|&x| x as f32).collect();
            if weights.iter().any(|w| !w.is_normal()) {
                return None;
            }
            Some(Orientation { values: side.values.convert().ok()?, weights })
        };
        Some(Entries { by_row: narrow(&self.by_row)?, by_column: narrow(&self.by_column)? })
    }
}

/// New numbers of those kept of `0..n`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Renumbering {
    /// Those kept, ascending.
    pub kept: Vec<u32>,
    /// New number of each, `u32::MAX` for those dropped.
    pub new: Vec<u32>,
}

impl Renumbering {
    /// Without those in `dropped`.
    pub fn without(n: usize, dropped: &[usize]) -> Self {
        let mut new = vec![0; n];
        dropped.iter().for_each(|&i| new[i] = u32::MAX);
        let kept: Vec<u32> = (0..n as u32).filter(|&i| new[i as usize] == 0).collect();
        kept.iter().zip(0..).for_each(|(&i, number)| new[i as usize] = number);
        Self { kept, new }
    }
}

/// The entries in row order, with values of the caller's choice.
/// Entries that are listed apart as a sparse matrix, and their weights in its order; by counting, so that nothing is held beside
/// the two but the numbers of a row. None for anything that is not allowed.
fn counted<T: Real>(
    (rows, columns): (usize, usize),
    (row_of, column_of, values): (&[usize], &[usize], &[T]),
    weights: Option<&[f64]>,
) -> Option<(CsrMatrix<T>, Vec<f64>)> {
    let allowed = |(&i, &j): (&usize, &usize)| i < rows && j < columns;
    let fits = u32::try_from(columns).is_ok() && row_of.iter().zip(column_of).all(allowed);
    if !fits || values.is_empty() || !values.iter().all(|v| v.is_finite()) {
        return None;
    }
    let mut offsets = vec![0; rows + 1];
    row_of.iter().for_each(|&i| offsets[i + 1] += 1);
    for i in 0..rows {
        offsets[i + 1] += offsets[i];
    }
    let mut next = offsets.clone();
    let (mut indices, mut placed) = (vec![0_u32; values.len()], vec![T::default(); values.len()]);
    let mut in_order = vec![0.0; weights.map_or(0, <[f64]>::len)];
    for (position, (&i, &j)) in row_of.iter().zip(column_of).enumerate() {
        let at = next[i];
        next[i] += 1;
        (indices[at], placed[at]) = (j as u32, values[position]);
        if let Some(weights) = weights {
            in_order[at] = weights[position];
        }
    }
    drop(next);
    let mut row: Vec<(u32, T, f64)> = Vec::new();
    for range in offsets.windows(2).map(|w| w[0]..w[1]) {
        if indices[range.clone()].is_sorted_by(|a, b| a < b) {
            continue;
        }
        row.clear();
        row.extend(range.clone().map(|at| (indices[at], placed[at], in_order.get(at).copied().unwrap_or(0.0))));
        row.sort_unstable_by_key(|e| e.0);
        if row.windows(2).any(|w| w[0].0 == w[1].0) {
            return None;
        }
        for (at, (j, value, weight)) in range.zip(&row) {
            (indices[at], placed[at]) = (*j, *value);
            if let Some(own) = in_order.get_mut(at) {
                *own = *weight;
            }
        }
    }
    Some((CsrMatrix::from_parts(rows, columns, offsets, indices, placed).ok()?, in_order))
}

fn sorted<T: Real, S: Real>(
    rows: usize,
    columns: usize,
    entries: &[(usize, usize, S)],
    value: impl Fn(usize) -> T,
) -> Result<CsrMatrix<T>, LinalgError> {
    let mut coo = CooBuilder::new(rows, columns);
    for (position, &(i, j, _)) in entries.iter().enumerate() {
        coo.push(i, j, value(position))?;
    }
    coo.build(Duplicates::Error)
}

/// What brings weights to mean 1, so that a ridge means the same with and without them.
struct WeightScale {
    largest: f64,
    /// Of the weights over the largest.
    mean: f64,
}

impl WeightScale {
    fn of(weights: &[f64]) -> Self {
        let largest = weights.iter().copied().fold(0.0, f64::max);
        Self { largest, mean: weights.iter().map(|w| w / largest).sum::<f64>() / weights.len() as f64 }
    }

    fn apply<T: Real>(&self, weights: &[f64]) -> Result<Vec<T>, Error> {
        let scaled = |(position, &value): (usize, &f64)| {
            let exact = value / self.largest / self.mean;
            let rounded = T::from_f64(exact);
            let kept = exact >= f64::MIN_POSITIVE && (rounded.to_f64() - exact).abs() <= 1e-6 * exact;
            if kept { Ok(rounded) } else { Err(Error::Weight { position, value }) }
        };
        weights.iter().enumerate().map(scaled).collect()
    }
}

fn check_weights(w: &[f64], expected: usize) -> Result<(), Error> {
    if w.len() != expected {
        return Err(LinalgError::Length { argument: "weights", given: w.len(), expected }.into());
    }
    match w.iter().position(|v| !(v.is_finite() && *v > 0.0)) {
        Some(position) => Err(Error::Weight { position, value: w[position] }),
        None => Ok(()),
    }
}
