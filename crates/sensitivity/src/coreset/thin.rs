//! Samples by rough scores, of which only the rows that are left are scored well.
use samplewise_linalg::random::Streams;
use samplewise_linalg::sums;

use super::{Coreset, probability_scale};
use crate::power::Power;

/// About `size` rows, half of them in proportion to (estimates of) leverage scores and half to their powers `p/2`.
pub(crate) fn thin(leverage: &[f64], p: f64, size: usize, seed: u64) -> Coreset {
    let mut scores = leverage.to_vec();
    Power::new(p / 2.0).raise(&mut scores);
    let sum = |v: &[f64]| sums::sum_by(v.len(), |i| v[i]).max(f64::MIN_POSITIVE);
    let (rank, total) = (sum(leverage), sum(&scores));
    scores.iter_mut().zip(leverage).for_each(|(s, t)| *s = *s / total + t / rank);
    let alpha = probability_scale(&scores, size as f64);
    let stream = Streams::new(seed).child(0);
    let mut out = Coreset { rows: Vec::new(), weights: Vec::new(), expected_size: 0.0 };
    for (i, s) in scores.iter().enumerate() {
        let q = (alpha * s).min(1.0);
        out.expected_size += q;
        if stream.uniform(i as u64) < q {
            out.rows.push(i);
            out.weights.push(1.0 / q);
        }
    }
    out
}
