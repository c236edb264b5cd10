//! Columns of the table: dense (column-major), sparse, or the user's own, made once and shared by every fit.
use std::sync::Arc;

use rayon::prelude::*;
use samplewise_linalg::scale::{self, extreme_exponent, extreme_exponent_of, ldexp};
use samplewise_linalg::spmm::sparse_dot;
use samplewise_linalg::{CsrMatrix, CsrView, LinalgError, MatrixView, sums};

use crate::{Error, Solution};

/// A table that is known by what its columns do: one-hot codes, Kronecker products, genotypes in two bits.
///
/// Values must be finite, and both operations must describe the same columns.
pub trait Columns: Send + Sync {
    /// Number of rows `n`.
    fn rows(&self) -> usize;
    /// Number of columns `p`.
    fn columns(&self) -> usize;
    /// `Σ_i x_ij v_i`.
    fn dot(&self, column: usize, v: &[f64]) -> f64;
    /// `v += factor · x_j`.
    fn add(&self, column: usize, factor: f64, v: &mut [f64]);
}

/// A table `X` ready for access by columns. Clones share the data.
///
/// Row TRU-1 of `paper-refs.md`.
#[derive(Clone)]
pub struct Design {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Columns divided by powers of two, see `exponents`.
    pub(crate) store: Store,
    /// Sums of squares of the stored columns.
    pub(crate) squares: Arc<Vec<f64>>,
    /// Column `j` is `2^exponents[j]` times the stored one, so that no square overflows or vanishes; empty when all are
    /// zero, as they are for columns of moderate size.
    exponents: Arc<Vec<i32>>,
}

#[derive(Clone)]
pub(crate) enum Store {
    /// Column after column.
    Dense(Arc<Vec<f64>>),
    /// Row `j` of the transposed matrix is column `j`.
    Sparse(Arc<CsrMatrix>),
    Custom(Arc<dyn Columns>),
}

impl std::fmt::Debug for Design {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match &self.store {
            Store::Dense(_) => "dense",
            Store::Sparse(_) => "sparse",
            Store::Custom(_) => "custom",
        };
        write!(f, "Design({kind} {}x{})", self.rows, self.columns)
    }
}

impl Design {
    /// Copies a dense table, in any storage order, column by column. Memory `8·n·p` bytes.
    ///
    /// # Errors
    /// [`Error::Data`] for entries that are not finite; [`Error::Empty`].
    pub fn dense<'a>(x: impl Into<MatrixView<'a>>) -> Result<Self, Error> {
        let x = x.into();
        Self::dense_columns(x.transpose().copy_to_matrix().into_vec(), x.rows(), x.columns())
    }

    /// Takes a dense table stored column after column; nothing is copied.
    ///
    /// # Errors
    /// As [`Design::dense`], and [`Error::Length`].
    pub fn dense_columns(mut values: Vec<f64>, rows: usize, columns: usize) -> Result<Self, Error> {
        if rows == 0 || columns == 0 {
            return Err(Error::Empty { rows, columns });
        }
        let expected = rows.saturating_mul(columns);
        if values.len() != expected {
            return Err(Error::Length { argument: "values", given: values.len(), expected });
        }
        let squares: Vec<f64> = values.par_chunks(rows).with_min_len(64).map(|c| sums::dot(c, c)).collect();
        if squares.iter().any(|s| !s.is_finite())
            && let Some(at) = values.iter().position(|v| !v.is_finite())
        {
            let (row, column, value) = (at % rows, at / rows, values[at]);
            return Err(LinalgError::NotFinite { argument: "x", row, column, value }.into());
        }
        let (squares, exponents) = moderate(squares, |j| extreme_exponent_of(&values[j * rows..(j + 1) * rows]));
        if exponents.is_empty() {
            return Ok(Self::new(rows, columns, Store::Dense(Arc::new(values)), squares, exponents));
        }
        for (column, &e) in values.chunks_exact_mut(rows).zip(&exponents) {
            scale::scale(column, -e);
        }
        let squares = values.par_chunks(rows).with_min_len(64).map(|c| sums::dot(c, c)).collect();
        Ok(Self::new(rows, columns, Store::Dense(Arc::new(values)), squares, exponents))
    }

    fn new(rows: usize, columns: usize, store: Store, squares: Vec<f64>, exponents: Vec<i32>) -> Self {
        Self { rows, columns, store, squares: Arc::new(squares), exponents: Arc::new(exponents) }
    }

    /// Column `j` is `2^e` times the stored one.
    pub(crate) fn exponent(&self, j: usize) -> i32 {
        self.exponents.get(j).copied().unwrap_or(0)
    }

    /// Whether every column is stored as it was given.
    pub(crate) fn stored_as_given(&self) -> bool {
        self.exponents.is_empty()
    }

    /// Transposes a sparse matrix.
    ///
    /// # Errors
    /// [`Error::Empty`].
    pub fn sparse<'a>(x: impl Into<CsrView<'a>>) -> Result<Self, Error> {
        Self::sparse_transposed(x.into().transpose())
    }

    /// Takes a sparse table by its transpose, whose row `j` is column `j`; nothing is copied.
    ///
    /// # Errors
    /// [`Error::Empty`].
    pub fn sparse_transposed(mut x: CsrMatrix) -> Result<Self, Error> {
        let (rows, columns) = (x.columns(), x.rows());
        if rows == 0 || columns == 0 {
            return Err(Error::Empty { rows, columns });
        }
        let squares = |x: &CsrMatrix| (0..columns).map(|j| sums::dot(x.row(j).1, x.row(j).1)).collect::<Vec<f64>>();
        let (mut found, exponents) = moderate(squares(&x), |j| extreme_exponent_of(x.row(j).1));
        if !exponents.is_empty() {
            let each: Vec<i32> = (0..columns).flat_map(|j| vec![-exponents[j]; x.row(j).0.len()]).collect();
            x.values_mut().iter_mut().zip(each).for_each(|(v, e)| *v = ldexp(*v, e));
            found = squares(&x);
        }
        Ok(Self::new(rows, columns, Store::Sparse(Arc::new(x)), found, exponents))
    }

    /// The user's own columns. Columns of a working set are written out as dense vectors; passes go by
    /// [`Columns::dot`].
    ///
    /// # Errors
    /// [`Error::Empty`]; [`Error::Entry`] for a column whose sum of squares is not finite.
    pub fn custom(x: Arc<dyn Columns>) -> Result<Self, Error> {
        let (rows, columns) = (x.rows(), x.columns());
        if rows == 0 || columns == 0 {
            return Err(Error::Empty { rows, columns });
        }
        let square = |buffer: &mut Vec<f64>, j: usize| {
            buffer.clear();
            buffer.resize(rows, 0.0);
            x.add(j, 1.0, buffer);
            let (square, largest) = (sums::dot(buffer, buffer), scale::largest(buffer));
            (square, if largest == 0.0 || square.is_normal() { extreme_exponent(largest) } else { i32::MAX })
        };
        let found: Vec<(f64, i32)> = (0..columns).into_par_iter().with_min_len(16).map_init(Vec::new, square).collect();
        // The columns stay with their owner, so that they cannot be scaled here.
        if let Some(position) = found.iter().position(|f| f.1 != 0) {
            let (argument, allowed) = ("sum of squares of a column", "finite, of values between 2^-200 and 2^200");
            return Err(Error::Entry { argument, position, value: found[position].0, allowed });
        }
        let squares = found.into_iter().map(|f| f.0).collect();
        Ok(Self::new(rows, columns, Store::Custom(x), squares, Vec::new()))
    }

    /// Number of rows `n`.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns `p`.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// `X w + b` of the given nonzero coefficients, whose columns exist.
    #[doc(hidden)]
    pub fn products(&self, coefficients: &[(usize, f64)], intercept: f64) -> Vec<f64> {
        let mut out = vec![intercept; self.rows];
        for &(j, w) in coefficients {
            self.add_column(j, ldexp(w, self.exponent(j)), &mut out);
        }
        out
    }

    /// Predictions `X w + b` of a fit for the rows of this table, which may be another one with the same columns.
    ///
    /// # Errors
    /// [`Error::Length`] for a fit of another number of columns.
    pub fn predict(&self, fit: &Solution) -> Result<Vec<f64>, Error> {
        if fit.columns != self.columns {
            let (given, expected) = (self.columns, fit.columns);
            return Err(Error::Length { argument: "columns of the table", given, expected });
        }
        Ok(self.products(&fit.coefficients, fit.intercept))
    }

    /// The rows listed, in that order; the user's own columns are written out densely.
    ///
    /// # Panics
    /// When a row number is not below [`Design::rows`].
    #[must_use]
    pub fn select_rows(&self, rows: &[usize]) -> Design {
        let pick = |column: &[f64]| rows.iter().map(|&i| column[i]).collect::<Vec<f64>>();
        let dense = |values: Vec<f64>| {
            let squares = values.chunks_exact(rows.len().max(1)).map(|c| sums::dot(c, c)).collect();
            (Store::Dense(Arc::new(values)), squares)
        };
        let (store, squares) = match &self.store {
            Store::Dense(c) => dense(c.chunks_exact(self.rows).flat_map(pick).collect()),
            Store::Custom(_) => dense((0..self.columns).flat_map(|j| pick(&self.copy_column(j))).collect()),
            Store::Sparse(c) => {
                let picked = select_sparse(c, rows, self.rows);
                let squares = (0..self.columns).map(|j| sums::dot(picked.row(j).1, picked.row(j).1)).collect();
                (Store::Sparse(Arc::new(picked)), squares)
            }
        };
        let exponents = Arc::clone(&self.exponents);
        Design { rows: rows.len(), columns: self.columns, store, squares: Arc::new(squares), exponents }
    }

    /// The stored column `j`.
    pub(crate) fn copy_column(&self, j: usize) -> Vec<f64> {
        let mut out = vec![0.0; self.rows];
        self.add_column(j, 1.0, &mut out);
        out
    }

    /// `Σ_i x_ij v_i` of the stored column.
    #[inline]
    pub(crate) fn dot_column(&self, j: usize, v: &[f64]) -> f64 {
        match &self.store {
            Store::Dense(c) => sums::dot(&c[j * self.rows..(j + 1) * self.rows], v),
            Store::Sparse(c) => {
                let (at, x) = c.row(j);
                sparse_dot(at, x, v)
            }
            Store::Custom(c) => c.dot(j, v),
        }
    }

    /// `v += a · x_j` of the stored column.
    #[inline]
    pub(crate) fn add_column(&self, j: usize, a: f64, v: &mut [f64]) {
        match &self.store {
            Store::Dense(c) => sums::axpy(a, &c[j * self.rows..(j + 1) * self.rows], v),
            Store::Sparse(c) => {
                let (at, x) = c.row(j);
                at.iter().zip(x).for_each(|(&i, &x)| v[i as usize] += a * x);
            }
            Store::Custom(c) => c.add(j, a, v),
        }
    }
}

/// Exponents of the columns that must be scaled before they are squared, by their sums of squares; none in the ordinary
/// case, which is recognised without another look at the table.
fn moderate(squares: Vec<f64>, exponent: impl Fn(usize) -> i32) -> (Vec<f64>, Vec<i32>) {
    const USUAL: std::ops::RangeInclusive<f64> = 1e-100..=1e100;
    if squares.iter().all(|s| USUAL.contains(s)) {
        return (squares, Vec::new());
    }
    let exponents: Vec<i32> =
        squares.iter().enumerate().map(|(j, s)| if USUAL.contains(s) { 0 } else { exponent(j) }).collect();
    if exponents.iter().all(|e| *e == 0) { (squares, Vec::new()) } else { (squares, exponents) }
}

fn select_sparse(c: &CsrMatrix, rows: &[usize], n: usize) -> CsrMatrix {
    // A row may be listed more than once.
    let mut places: Vec<Vec<u32>> = vec![Vec::new(); n];
    rows.iter().enumerate().for_each(|(new, &old)| places[old].push(new as u32));
    let (mut offsets, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
    for j in 0..c.rows() {
        let (at, v) = c.row(j);
        let mut kept: Vec<(u32, f64)> =
            at.iter().zip(v).flat_map(|(&i, &v)| places[i as usize].iter().map(move |&new| (new, v))).collect();
        kept.sort_unstable_by_key(|e| e.0);
        indices.extend(kept.iter().map(|e| e.0));
        values.extend(kept.iter().map(|e| e.1));
        offsets.push(values.len());
    }
    CsrMatrix::from_parts(c.rows(), rows.len(), offsets, indices, values).expect("a selection of valid rows is valid")
}
