//! Rows decided by hash and leverage: what the scores so far would keep, then what the final ones keep.
use samplewise_linalg::forest::Forest;
use samplewise_linalg::{LinalgError, Matrix, MatrixView, gram, sums};

use super::candidates::Candidates;
use super::{StreamOptions, StreamedCoreset};

/// Rows of a leaf: those of a block of [`gram::gram`], so that the sums are the same.
pub(super) const LEAF: u64 = gram::BLOCK as u64;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Decide {
    pub(super) options: StreamOptions,
    pub(super) grams: Forest<Matrix>,
    pub(super) candidates: Candidates,
    /// Candidates at which the next thinning is due.
    due: usize,
}

impl Decide {
    pub(super) fn new(options: StreamOptions) -> Self {
        let due = options.size.saturating_mul(4).max(LEAF as usize);
        Self { options, grams: Forest::default(), candidates: Candidates::default(), due }
    }

    pub(super) fn consider(&mut self, first: u64, rows: MatrixView<'_>) {
        self.candidates.numbers.extend(first..first + rows.rows() as u64);
        rows.for_each_row(|_, row| self.candidates.data.extend_from_slice(row));
    }

    /// A complete leaf.
    pub(super) fn add(&mut self, leaf: u64, rows: &Matrix) -> Result<(), LinalgError> {
        let sum = gram::gram(rows, None, None)?.matrix;
        self.grams.insert(leaf, 0, sum, |l, r, _, _| Ok(add(l, &r)))
    }

    pub(super) fn merge(&mut self, other: Self) -> Result<(), LinalgError> {
        for (first, level, sum) in other.grams.into_nodes() {
            self.grams.insert(first, level, sum, |l, r, _, _| Ok::<_, LinalgError>(add(l, &r)))?;
        }
        self.candidates.extend(other.candidates);
        Ok(())
    }

    /// Discards rows that the scores so far already rule out: they only fall.
    pub(super) fn thin(&mut self, seen: u64) -> Result<(), LinalgError> {
        if self.candidates.len() < self.due {
            return Ok(());
        }
        let sum = self.grams.iter().fold(None, |sum: Option<Matrix>, (_, _, g)| match sum {
            None => Some(g.clone()),
            Some(s) => Some(add(s, g)),
        });
        let Some(gram) = sum else { return Ok(()) };
        let Some((_, trusted)) = self.candidates.rule_out(&self.options, &gram, seen)? else { return Ok(()) };
        let floor = if trusted { self.options.size.saturating_mul(4).max(LEAF as usize) } else { self.due };
        self.due = floor.max(2 * self.candidates.len());
        Ok(())
    }

    pub(super) fn finish(mut self, last: Option<(u64, Matrix)>, seen: u64) -> Result<StreamedCoreset, LinalgError> {
        if let Some((leaf, rows)) = last {
            self.add(leaf, &rows)?;
        }
        let sum = self.grams.fold(|l, r| Ok::<_, LinalgError>(add(l, &r)))?;
        let gram = sum.ok_or(LinalgError::Empty { argument: "stream" })?;
        self.candidates.coreset(&self.options, &gram, seen)
    }
}

fn add(mut l: Matrix, r: &Matrix) -> Matrix {
    sums::axpy(1.0, r.as_slice(), l.as_mut_slice());
    l
}
