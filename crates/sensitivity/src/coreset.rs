//! Sampling: a row is kept when the hash of its number falls below its probability, so the sample does not depend on
//! order, blocks, shards or threads.
use samplewise_linalg::random::Streams;
use samplewise_linalg::{LinalgError, Matrix};

use crate::SensitivityError;

/// A weighted subset of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Coreset {
    /// Row numbers, ascending.
    pub rows: Vec<usize>,
    /// Weights `1/q_i` of the loss of each row (rows themselves are scaled by `weight^{1/p}`).
    pub weights: Vec<f64>,
    /// Expected size `Σ q_i`.
    pub expected_size: f64,
}

impl Coreset {
    /// Keeps each row independently with probability `q_i = min(1, α·score_i)`, `α` such that `Σ q_i = size` (rows
    /// SEN-4 and SEN-5). The number of rows kept varies by about `√size`.
    ///
    /// # Errors
    /// [`SensitivityError::Size`] unless `1 ≤ size ≤ n`; [`SensitivityError::Data`] for scores that are negative or not
    /// finite.
    pub fn bernoulli(scores: &[f64], size: usize, seed: u64) -> Result<Self, SensitivityError> {
        let n = scores.len();
        if size == 0 || size > n {
            return Err(SensitivityError::Size { size, least: 1, rows: n });
        }
        if let Some(row) = scores.iter().position(|s| !(s.is_finite() && *s >= 0.0)) {
            let value = scores[row];
            return Err(LinalgError::NotFinite { argument: "scores", row, column: 0, value }.into());
        }
        let alpha = probability_scale(scores, size as f64);
        let streams = Streams::new(seed);
        let (mut rows, mut weights, mut expected) = (Vec::new(), Vec::new(), 0.0);
        for (i, s) in scores.iter().enumerate() {
            let q = (alpha * s).min(1.0);
            expected += q;
            if streams.uniform(i as u64) < q {
                rows.push(i);
                weights.push(1.0 / q);
            }
        }
        Ok(Self { rows, weights, expected_size: expected })
    }

    /// The sampled rows, each scaled by `weight^{1/p}`: `‖S A x‖_p^p` estimates `‖A x‖_p^p` without bias.
    pub fn scaled_rows(&self, a: &Matrix, p: f64) -> Matrix {
        let mut out = a.select_rows(&self.rows);
        for (i, w) in self.weights.iter().enumerate() {
            let scale = w.powf(1.0 / p);
            out.row_mut(i).iter_mut().for_each(|v| *v *= scale);
        }
        out
    }
}

/// `α` with `Σ min(1, α s_i) = size`, or infinity when every positive score must be kept.
fn probability_scale(scores: &[f64], size: f64) -> f64 {
    let mut sorted: Vec<f64> = scores.iter().copied().filter(|s| *s > 0.0).collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    // Sums of the tails, smallest first: subtracting from the total would cancel.
    let mut tails = sorted.clone();
    for k in (1..tails.len()).rev() {
        tails[k - 1] += tails[k];
    }
    // With the k largest kept for certain, the others share size − k.
    for (k, (&s, &rest)) in sorted.iter().zip(&tails).enumerate() {
        let left = size - k as f64;
        if left <= 0.0 {
            break;
        }
        let alpha = left / rest;
        if alpha * s <= 1.0 {
            return alpha;
        }
    }
    // More rows wanted than have a positive score: keep all of those.
    f64::MAX
}
