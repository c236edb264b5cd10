//! Columns of the table: dense (column-major copy) or sparse, made once and shared by every fit.
use samplewise_linalg::{CsrMatrix, Matrix, chunk};

use crate::LassoError;

/// A table `X` ready for access by columns.
#[derive(Clone, Debug)]
pub struct Design {
    rows: usize,
    columns: Store,
}

#[derive(Clone, Debug)]
enum Store {
    /// Column after column.
    Dense(Vec<f64>),
    /// Row `j` of the transposed matrix is column `j`.
    Sparse(CsrMatrix),
}

impl Design {
    /// Copies a dense matrix column by column. Memory `8·n·p` bytes.
    ///
    /// # Errors
    /// [`LassoError::Table`] for entries that are not finite; [`LassoError::Empty`].
    pub fn dense(x: &Matrix) -> Result<Self, LassoError> {
        x.check_finite("x")?;
        let (n, p) = (x.rows(), x.columns());
        if n == 0 || p == 0 {
            return Err(LassoError::Empty { rows: n, columns: p });
        }
        Ok(Self { rows: n, columns: Store::Dense(x.transpose().into_vec()) })
    }

    /// Transposes a sparse matrix.
    ///
    /// # Errors
    /// [`LassoError::Empty`].
    pub fn sparse(x: &CsrMatrix) -> Result<Self, LassoError> {
        if x.rows() == 0 || x.columns() == 0 {
            return Err(LassoError::Empty { rows: x.rows(), columns: x.columns() });
        }
        Ok(Self { rows: x.rows(), columns: Store::Sparse(x.transpose()) })
    }

    pub(crate) fn is_dense(&self) -> bool {
        matches!(self.columns, Store::Dense(_))
    }

    /// Number of rows `n`.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns `p`.
    pub fn columns(&self) -> usize {
        match &self.columns {
            Store::Dense(c) => c.len() / self.rows,
            Store::Sparse(c) => c.rows(),
        }
    }

    /// Predictions `X w + b` of the given nonzero coefficients.
    pub fn predict(&self, coefficients: &[(usize, f64)], intercept: f64) -> Vec<f64> {
        let mut out = vec![intercept; self.rows];
        for &(j, w) in coefficients {
            self.add_column(j, w, &mut out);
        }
        out
    }

    /// The rows listed, in that order.
    #[must_use]
    pub fn select_rows(&self, rows: &[usize]) -> Design {
        let columns = match &self.columns {
            Store::Dense(c) => {
                Store::Dense(c.chunks_exact(self.rows).flat_map(|column| rows.iter().map(|&i| column[i])).collect())
            }
            Store::Sparse(c) => {
                let mut position = vec![u32::MAX; self.rows];
                rows.iter().enumerate().for_each(|(new, &old)| position[old] = new as u32);
                let (mut offsets, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
                for j in 0..c.rows() {
                    let (at, v) = c.row(j);
                    let mut kept: Vec<(u32, f64)> = at
                        .iter()
                        .zip(v)
                        .map(|(&i, &v)| (position[i as usize], v))
                        .filter(|e| e.0 != u32::MAX)
                        .collect();
                    kept.sort_unstable_by_key(|e| e.0);
                    indices.extend(kept.iter().map(|e| e.0));
                    values.extend(kept.iter().map(|e| e.1));
                    offsets.push(values.len());
                }
                Store::Sparse(
                    CsrMatrix::from_parts(c.rows(), rows.len(), offsets, indices, values)
                        .expect("a selection of valid rows is valid"),
                )
            }
        };
        Design { rows: rows.len(), columns }
    }

    /// `Σ_i x_ij v_i`.
    #[inline]
    pub(crate) fn dot_column(&self, j: usize, v: &[f64]) -> f64 {
        match &self.columns {
            Store::Dense(c) => chunk::dot(&c[j * self.rows..(j + 1) * self.rows], v),
            Store::Sparse(c) => {
                let (at, x) = c.row(j);
                at.iter().zip(x).map(|(&i, &x)| x * v[i as usize]).sum()
            }
        }
    }

    /// `v += a · x_j`.
    #[inline]
    pub(crate) fn add_column(&self, j: usize, a: f64, v: &mut [f64]) {
        match &self.columns {
            Store::Dense(c) => chunk::axpy(a, &c[j * self.rows..(j + 1) * self.rows], v),
            Store::Sparse(c) => {
                let (at, x) = c.row(j);
                at.iter().zip(x).for_each(|(&i, &x)| v[i as usize] += a * x);
            }
        }
    }

    /// The columns as a fit uses them: each row times `root`, dense columns also minus `means`. Returns the columns and
    /// the means that are still to be subtracted.
    pub(crate) fn weighted_and_centred(&self, root: &[f64], means: &[f64]) -> (Design, Vec<f64>) {
        let n = self.rows;
        match &self.columns {
            Store::Dense(c) => {
                let mut out = c.clone();
                for (column, mean) in out.chunks_exact_mut(n).zip(means) {
                    column.iter_mut().zip(root).for_each(|(x, q)| *x = (*x - mean) * q);
                }
                (Design { rows: n, columns: Store::Dense(out) }, vec![0.0; means.len()])
            }
            Store::Sparse(c) => {
                let mut out = c.clone();
                for j in 0..out.rows() {
                    let range = out.row_range(j);
                    let rows: Vec<u32> = out.row(j).0.to_vec();
                    out.values_mut()[range].iter_mut().zip(rows).for_each(|(x, i)| *x *= root[i as usize]);
                }
                (Design { rows: n, columns: Store::Sparse(out) }, means.to_vec())
            }
        }
    }

    /// `Σ_i x_ij²`.
    pub(crate) fn square(&self, j: usize) -> f64 {
        match &self.columns {
            Store::Dense(c) => {
                let column = &c[j * self.rows..(j + 1) * self.rows];
                chunk::dot(column, column)
            }
            Store::Sparse(c) => chunk::dot(c.row(j).1, c.row(j).1),
        }
    }

    /// Rough cost of one pass over all columns, in multiplications.
    pub(crate) fn work(&self) -> usize {
        match &self.columns {
            Store::Dense(c) => c.len(),
            Store::Sparse(c) => c.nnz(),
        }
    }
}
