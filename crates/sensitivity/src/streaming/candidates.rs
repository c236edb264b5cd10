//! Rows that may still be in a coreset: which of them the sums so far rule out, and which the final ones keep.
use std::cmp::Ordering;

use samplewise_linalg::leverage::{GramFactor, factor_gram, row_norms_squared, whiten};
use samplewise_linalg::random::Streams;
use samplewise_linalg::{LinalgError, Matrix};

use super::{StreamOptions, StreamedCoreset};
use crate::power::Power;
use crate::scores::{Method, at_most_one};

/// Condition number beyond which the scores so far are not trusted to discard a row.
const TRUSTED: f64 = 1e7;
/// Relative size of what is left of a dependent column below which a row is said to lie in the span of the others.
const IN_SPAN: f64 = 1e-9;

/// Rows with their numbers or keys, in no order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Candidates {
    pub(super) numbers: Vec<u64>,
    pub(super) data: Vec<f64>,
}

impl Candidates {
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.numbers.extend(other.numbers);
        self.data.extend(other.data);
    }

    /// Discards rows that the scores so far already rule out: they only fall. `gram` is that of the `rows` so far. Gives the
    /// factor, and whether it can be trusted to discard; a matrix that cannot be factored discards nothing.
    pub(super) fn rule_out(
        &mut self,
        options: &StreamOptions,
        gram: &Matrix,
        rows: u64,
    ) -> Result<Option<(GramFactor, bool)>, LinalgError> {
        let Ok(factor) = factor_gram(gram) else { return Ok(None) };
        let condition = factor.whitening.condition;
        if options.method != Method::Uniform && condition > TRUSTED {
            return Ok(Some((factor, false)));
        }
        // Share by which a score so far may be too low: what rounding of the Gram matrices does, now and at the end.
        let margin = 1.0 + 1e-3 + 64.0 * f64::EPSILON * condition * condition;
        let columns = gram.rows();
        let scores = self.scores(options, &factor, columns)?;
        let outside = self.outside_span(options, &factor, gram);
        let rate = rate(options, rows, columns);
        let hash = Streams::new(options.seed);
        let mut kept = 0;
        for i in 0..self.numbers.len() {
            if outside[i] || hash.uniform(self.numbers[i]) < margin * rate * scores[i] {
                self.numbers[kept] = self.numbers[i];
                self.data.copy_within(i * columns..(i + 1) * columns, kept * columns);
                kept += 1;
            }
        }
        self.numbers.truncate(kept);
        self.data.truncate(kept * columns);
        Ok(Some((factor, true)))
    }

    /// Candidates that do not obey the dependencies between columns seen so far: they have no score yet.
    fn outside_span(&self, options: &StreamOptions, factor: &GramFactor, gram: &Matrix) -> Vec<bool> {
        let d = gram.rows();
        let mut out = vec![false; self.numbers.len()];
        if options.method == Method::Uniform {
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
    fn scores(&self, options: &StreamOptions, factor: &GramFactor, columns: usize) -> Result<Vec<f64>, LinalgError> {
        if options.method == Method::Uniform {
            return Ok(vec![1.0; self.numbers.len()]);
        }
        let rows = Matrix::from_vec(self.numbers.len(), columns, self.data.clone())?;
        let norms = row_norms_squared(&rows, &factor.whitening.transform);
        let root = Power::new(options.p / 2.0);
        let plain = options.method == Method::Leverage;
        Ok(norms.into_iter().map(|t| if plain { at_most_one(t) } else { root.of(at_most_one(t)).min(1.0) }).collect())
    }

    /// The coreset of all `seen` rows, whose Gram matrix is `gram`; its rows by number, those of one key by their entries.
    pub(super) fn coreset(
        self,
        options: &StreamOptions,
        gram: &Matrix,
        seen: u64,
    ) -> Result<StreamedCoreset, LinalgError> {
        let columns = gram.rows();
        let factor = factor_gram(gram)?;
        let mut scores = self.scores(options, &factor, columns)?;
        // A row that does not obey a dependency of all others has a direction of its own.
        let outside = self.outside_span(options, &factor, gram);
        scores.iter_mut().zip(&outside).filter(|e| *e.1).for_each(|(s, _)| *s = 1.0);
        let rate = rate(options, seen, columns);
        let hash = Streams::new(options.seed);
        let row = |i: usize| &self.data[i * columns..(i + 1) * columns];
        let mut kept: Vec<(u64, usize)> = (0..self.numbers.len())
            .map(|i| (self.numbers[i], i))
            .filter(|&(number, i)| hash.uniform(number) < (rate * scores[i]).min(1.0))
            .collect();
        kept.sort_unstable_by(|a, b| {
            let entries = || row(a.1).iter().zip(row(b.1)).map(|(x, y)| x.total_cmp(y)).find(|o| o.is_ne());
            a.0.cmp(&b.0).then_with(|| entries().unwrap_or(Ordering::Equal))
        });
        let weights: Vec<f64> = kept.iter().map(|&(_, i)| 1.0 / (rate * scores[i]).min(1.0)).collect();
        let total = kept.iter().zip(&weights).map(|(&(_, i), w)| w * scores[i]).sum();
        let data = kept.iter().flat_map(|&(_, i)| row(i)).copied().collect();
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

/// `α` of `q_i = min(1, α·score_i)`: falls as rows are added, and `Σ q_i ≤ size`.
pub(super) fn rate(options: &StreamOptions, rows: u64, columns: usize) -> f64 {
    let (n, d, size) = (rows as f64, columns as f64, options.size as f64);
    match options.method {
        Method::Uniform => size / n,
        Method::Leverage => size / d,
        _ => size / (n.powf(1.0 - options.p / 2.0) * d.powf(options.p / 2.0)),
    }
}
