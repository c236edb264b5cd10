//! Rows decided by hash and leverage: what the scores so far would keep, then what the final ones keep.
use samplewise_linalg::forest::Forest;
use samplewise_linalg::leverage::{GramFactor, factor_gram, row_norms_squared, whiten};
use samplewise_linalg::random::Streams;
use samplewise_linalg::{LinalgError, Matrix, MatrixView, gram, sums};

use super::{StreamOptions, StreamedCoreset};
use crate::power::Power;
use crate::scores::{Method, at_most_one};

/// Rows of a leaf: those of a block of [`gram::gram`], so that the sums are the same.
pub(super) const LEAF: u64 = gram::BLOCK as u64;
/// Condition number beyond which the scores so far are not trusted to discard a row.
const TRUSTED: f64 = 1e7;
/// Relative size of what is left of a dependent column below which a row is said to lie in the span of the others.
const IN_SPAN: f64 = 1e-9;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Decide {
    pub(super) options: StreamOptions,
    pub(super) grams: Forest<Matrix>,
    /// Row numbers and their entries, in no order.
    pub(super) numbers: Vec<u64>,
    pub(super) data: Vec<f64>,
    /// Candidates at which the next thinning is due.
    due: usize,
}

impl Decide {
    pub(super) fn new(options: StreamOptions) -> Self {
        let due = options.size.saturating_mul(4).max(LEAF as usize);
        Self { options, grams: Forest::default(), numbers: Vec::new(), data: Vec::new(), due }
    }

    pub(super) fn candidates(&self) -> impl Iterator<Item = u64> {
        self.numbers.iter().copied()
    }

    pub(super) fn consider(&mut self, first: u64, rows: MatrixView<'_>) {
        self.numbers.extend(first..first + rows.rows() as u64);
        rows.for_each_row(|_, row| self.data.extend_from_slice(row));
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
        self.numbers.extend(other.numbers);
        self.data.extend(other.data);
        Ok(())
    }

    /// Discards rows that the scores so far already rule out: they only fall.
    pub(super) fn thin(&mut self, seen: u64, columns: usize) -> Result<(), LinalgError> {
        if self.numbers.len() < self.due {
            return Ok(());
        }
        let sum = self.grams.iter().fold(None, |sum: Option<Matrix>, (_, _, g)| match sum {
            None => Some(g.clone()),
            Some(s) => Some(add(s, g)),
        });
        let Some(gram) = sum else { return Ok(()) };
        let Ok(factor) = factor_gram(&gram) else { return Ok(()) };
        let condition = factor.whitening.condition;
        if self.options.method != Method::Uniform && condition > TRUSTED {
            self.due = self.due.max(2 * self.numbers.len());
            return Ok(());
        }
        // Share by which a score so far may be too low: what rounding of the Gram matrices does, now and at the end.
        let margin = 1.0 + 1e-3 + 64.0 * f64::EPSILON * condition * condition;
        let scores = self.scores(&factor, columns)?;
        let outside = self.outside_span(&factor, &gram);
        let rate = rate(&self.options, seen, columns);
        self.keep(columns, |i, number, hash| outside[i] || hash.uniform(number) < margin * rate * scores[i]);
        let floor = self.options.size.saturating_mul(4).max(LEAF as usize);
        self.due = floor.max(2 * self.numbers.len());
        Ok(())
    }

    /// Candidates that do not obey the dependencies between columns seen so far: they have no score yet.
    fn outside_span(&self, factor: &GramFactor, gram: &Matrix) -> Vec<bool> {
        let d = gram.rows();
        let mut out = vec![false; self.numbers.len()];
        if self.options.method == Method::Uniform {
            return out;
        }
        let transform = &factor.whitening.transform;
        for j in (0..d).filter(|j| !factor.kept.contains(j)) {
            // Column j is the combination T Tᵀ G_j of the kept ones.
            let mut half = vec![0.0; transform.columns()];
            let own: Vec<f64> = (0..d).map(|k| if factor.kept.contains(&k) { gram[(k, j)] } else { 0.0 }).collect();
            transform.multiply_transpose_vector_into(&own, &mut half);
            let mut combination = vec![0.0; d];
            transform.multiply_vector_into(&half, &mut combination);
            for (outside, row) in out.iter_mut().zip(self.data.chunks_exact(d)) {
                let (mut sum, mut size) = (row[j], row[j].abs());
                for (c, v) in combination.iter().zip(row) {
                    sum -= c * v;
                    size += (c * v).abs();
                }
                *outside |= sum.abs() > IN_SPAN * size;
            }
        }
        out
    }

    /// Scores of the candidates; for `p = 2` and leverage clamped as [`crate::scores()`] does.
    fn scores(&self, factor: &GramFactor, columns: usize) -> Result<Vec<f64>, LinalgError> {
        if self.options.method == Method::Uniform {
            return Ok(vec![1.0; self.numbers.len()]);
        }
        let rows = Matrix::from_vec(self.numbers.len(), columns, self.data.clone())?;
        let norms = row_norms_squared(&rows, &factor.whitening.transform);
        let root = Power::new(self.options.p / 2.0);
        let plain = self.options.method == Method::Leverage;
        Ok(norms.into_iter().map(|t| if plain { at_most_one(t) } else { root.of(at_most_one(t)).min(1.0) }).collect())
    }

    fn keep(&mut self, columns: usize, wanted: impl Fn(usize, u64, &Streams) -> bool) {
        let hash = Streams::new(self.options.seed);
        let mut kept = 0;
        for i in 0..self.numbers.len() {
            if wanted(i, self.numbers[i], &hash) {
                self.numbers[kept] = self.numbers[i];
                self.data.copy_within(i * columns..(i + 1) * columns, kept * columns);
                kept += 1;
            }
        }
        self.numbers.truncate(kept);
        self.data.truncate(kept * columns);
    }

    pub(super) fn finish(
        mut self,
        last: Option<(u64, Matrix)>,
        seen: u64,
        columns: usize,
    ) -> Result<StreamedCoreset, LinalgError> {
        if let Some((leaf, rows)) = last {
            self.add(leaf, &rows)?;
        }
        let grams = std::mem::take(&mut self.grams);
        let sum = grams.fold(|l, r| Ok::<_, LinalgError>(add(l, &r)))?;
        let gram = sum.ok_or(LinalgError::Empty { argument: "stream" })?;
        let factor = factor_gram(&gram)?;
        let mut scores = self.scores(&factor, columns)?;
        // A row that does not obey a dependency of all others has a direction of its own.
        let outside = self.outside_span(&factor, &gram);
        scores.iter_mut().zip(&outside).filter(|e| *e.1).for_each(|(s, _)| *s = 1.0);
        let rate = rate(&self.options, seen, columns);
        // Candidates come in the order of the stream; the coreset is in that of the numbers.
        let hash = Streams::new(self.options.seed);
        let mut kept: Vec<(u64, usize)> = (0..self.numbers.len())
            .map(|i| (self.numbers[i], i))
            .filter(|&(number, i)| hash.uniform(number) < (rate * scores[i]).min(1.0))
            .collect();
        kept.sort_unstable();
        let weights: Vec<f64> = kept.iter().map(|&(_, i)| 1.0 / (rate * scores[i]).min(1.0)).collect();
        let total = kept.iter().zip(&weights).map(|(&(_, i), w)| w * scores[i]).sum();
        let data = kept.iter().flat_map(|&(_, i)| &self.data[i * columns..(i + 1) * columns]).copied().collect();
        let data = Matrix::from_vec(kept.len(), columns, data)?;
        Ok(StreamedCoreset {
            rows: kept.iter().map(|k| k.0).collect(),
            weights,
            rank_lost: rank_lost(factor.whitening.rank, &data)?,
            data,
            seen,
            rank: factor.whitening.rank,
            condition: factor.whitening.condition,
            total,
            levels: 0,
        })
    }
}

/// Directions of the rows seen that no row kept has.
pub(super) fn rank_lost(rank: usize, kept: &Matrix) -> Result<usize, LinalgError> {
    let left = if kept.rows() == 0 { 0 } else { whiten(kept, None)?.rank };
    Ok(rank.saturating_sub(left))
}

fn add(mut l: Matrix, r: &Matrix) -> Matrix {
    sums::axpy(1.0, r.as_slice(), l.as_mut_slice());
    l
}

/// `α` of `q_i = min(1, α·score_i)`: falls as rows are added, and `Σ q_i ≤ size`.
pub(super) fn rate(options: &StreamOptions, rows: u64, columns: usize) -> f64 {
    let (n, d, size) = (rows as f64, columns as f64, options.size as f64);
    match options.method {
        Method::Uniform => size / n,
        Method::Leverage => size / d,
        _ => size / (n.powf(1.0 - options.p / 2.0) * d.powf(options.p / 2.0)),
    }
}
