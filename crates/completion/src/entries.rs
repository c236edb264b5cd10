//! Observed entries, by row and by column.
use samplewise_linalg::{CooBuilder, CsrMatrix, Duplicates, LinalgError};

use crate::CompletionError;

/// Observed entries `(row, column, value)` with optional weights, in both orientations.
#[derive(Clone, Debug)]
pub struct Entries {
    pub(crate) by_row: Orientation,
    pub(crate) by_column: Orientation,
}

/// One orientation.
#[derive(Clone, Debug)]
pub(crate) struct Orientation {
    pub values: CsrMatrix,
    /// Weights in the order of `values`, or empty when all are 1.
    pub weights: Vec<f64>,
}

impl Orientation {
    /// Indices, values and weights of one row.
    pub fn row(&self, i: usize) -> (&[u32], &[f64], Option<&[f64]>) {
        let (indices, values) = self.values.row(i);
        let weights = (!self.weights.is_empty()).then(|| &self.weights[self.values.row_range(i)]);
        (indices, values, weights)
    }
}

impl Entries {
    /// Checks and sorts entries of a `rows × columns` matrix.
    ///
    /// `weights`, if given, belong to the entries in their order: finite, positive; only their ratios count. Cost `O(|Ω| log |Ω|)`.
    ///
    /// # Errors
    /// [`CompletionError::Empty`], [`CompletionError::Weight`], [`CompletionError::Entries`] for indices outside the
    /// shape, values that are not finite, positions given twice.
    pub fn new(
        rows: usize,
        columns: usize,
        entries: &[(usize, usize, f64)],
        weights: Option<&[f64]>,
    ) -> Result<Self, CompletionError> {
        if entries.is_empty() {
            return Err(CompletionError::Empty);
        }
        let build = |value: &dyn Fn(usize) -> f64| -> Result<CsrMatrix, LinalgError> {
            let mut coo = CooBuilder::new(rows, columns);
            for (position, &(i, j, _)) in entries.iter().enumerate() {
                coo.push(i, j, value(position))?;
            }
            coo.build(Duplicates::Error)
        };
        let values = build(&|p| entries[p].2)?;
        let (mut row_weights, mut column_weights) = (Vec::new(), Vec::new());
        if let Some(w) = weights {
            if w.len() != entries.len() {
                let (given, expected) = (w.len(), entries.len());
                return Err(LinalgError::Length { argument: "weights", given, expected }.into());
            }
            if let Some(position) = w.iter().position(|v| !(v.is_finite() && *v > 0.0)) {
                return Err(CompletionError::Weight { position, value: w[position] });
            }
            // Mean 1, so that a ridge means the same with and without weights.
            let largest = w.iter().copied().fold(0.0, f64::max);
            let mean = w.iter().map(|v| v / largest).sum::<f64>() / w.len() as f64;
            let by_row = build(&|p| w[p] / largest / mean)?;
            column_weights = by_row.transpose().values().to_vec();
            row_weights = by_row.values().to_vec();
        }
        let transposed = values.transpose();
        Ok(Self {
            by_row: Orientation { values, weights: row_weights },
            by_column: Orientation { values: transposed, weights: column_weights },
        })
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

    /// Never true: [`Entries::new`] refuses it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries in row order: `(row, column, value, weight)`.
    pub fn iter(&self) -> impl Iterator<Item = (usize, usize, f64, f64)> + '_ {
        let weights = &self.by_row.weights;
        self.by_row
            .values
            .iter()
            .enumerate()
            .map(move |(p, (i, j, v))| (i, j, v, weights.get(p).copied().unwrap_or(1.0)))
    }

    /// The entries for which `keep` is true (positions in row order); `None` when there are none.
    pub(crate) fn filter(&self, keep: impl Fn(usize) -> bool) -> Option<Entries> {
        let kept: Vec<(usize, usize, f64, f64)> =
            self.iter().enumerate().filter(|(p, _)| keep(*p)).map(|(_, e)| e).collect();
        if kept.is_empty() {
            return None;
        }
        let entries: Vec<(usize, usize, f64)> = kept.iter().map(|e| (e.0, e.1, e.2)).collect();
        let weights: Vec<f64> = kept.iter().map(|e| e.3).collect();
        let weighted = !self.by_row.weights.is_empty();
        let out = Entries::new(self.rows(), self.columns(), &entries, weighted.then_some(&weights[..]));
        Some(out.expect("a subset of valid entries is valid"))
    }
}
