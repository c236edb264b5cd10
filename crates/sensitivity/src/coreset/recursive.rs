//! Root leverage sampling in rounds (arXiv 2306.00732, theorem for `p < 2`; row SEN-13).
//!
//! `s_i ≤ τ_i^{p/2}` for `p ≤ 2`, and `Σ τ_i^{p/2} ≤ n^{1−p/2}·rank^{p/2}`: one round of sampling shrinks `n` rows to about
//! that many; leverage scores of the weighted sample do better on the next round, until the size asked is reached after
//! `O(log log n)` rounds. Needs nothing but leverage scores.
use samplewise_linalg::leverage::leverage_scores_observed;
use samplewise_linalg::observe::{Observer, Progress};
use samplewise_linalg::random::Streams;
use samplewise_linalg::{Matrix, Rows};

use super::{Coreset, probability_scale};
use crate::Error;
use crate::power::Power;
use crate::power::check_exponent;

/// Sizes after each round, and the coreset.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RecursiveCoreset {
    /// Rows and weights that were drawn.
    pub coreset: Coreset,
    /// Rows left after each round.
    pub rounds: Vec<usize>,
}

/// Rows kept per row of the bound in the rounds before the last: their errors are to stay small beside its own.
const OVERSAMPLING: f64 = 8.0;

/// About `size` rows by rounds of root leverage sampling, `1 ≤ p ≤ 2`, drawn by the hash of their numbers under a seed (row
/// SEN-13).
///
/// Cost one pair of passes over the rows and smaller ones. A row that carries a direction alone has leverage one and is kept
/// in every round.
///
/// # Errors
/// [`Error::Argument`] for `p` above 2; as [`Coreset::sample`].
pub fn recursive_root_leverage<'a>(
    a: impl Into<Rows<'a>>,
    p: f64,
    size: usize,
    seed: u64,
) -> Result<RecursiveCoreset, Error> {
    recursive_root_leverage_observed(a, p, size, seed, &mut ())
}

/// [`recursive_root_leverage`] with progress and cancellation.
///
/// # Errors
/// As [`recursive_root_leverage`]; [`Error::Interrupted`].
pub fn recursive_root_leverage_observed<'a>(
    a: impl Into<Rows<'a>>,
    p: f64,
    size: usize,
    seed: u64,
    observer: &mut dyn Observer,
) -> Result<RecursiveCoreset, Error> {
    let a = a.into();
    check_exponent(p)?;
    if p > 2.0 {
        return Err(Error::argument("p", p, "1 to 2 for root leverage in rounds"));
    }
    if size == 0 || size > a.rows() {
        return Err(Error::Size { size, least: 1, rows: a.rows() });
    }
    let streams = Streams::new(seed);
    let root = Power::new(p / 2.0);
    let mut rounds = Vec::new();
    let mut scores: Vec<f64> = leverage_scores_observed(a, observer)?.into_iter().map(|t| root.of(t)).collect();
    let mut coreset = Coreset { rows: (0..a.rows()).collect(), weights: vec![1.0; a.rows()], expected_size: 0.0 };
    loop {
        let rank = scores.iter().map(|s| s.powf(2.0 / p)).sum::<f64>().max(1.0);
        let n = coreset.rows.len() as f64;
        let bound = OVERSAMPLING * n.powf(1.0 - p / 2.0) * rank.powf(p / 2.0);
        // The last round, when it would leave little more than is asked for.
        let target = if bound < 2.0 * size as f64 || bound > 0.7 * n { size as f64 } else { bound };
        let last = target == size as f64;
        let alpha = probability_scale(&scores, target);
        let stream = streams.child(rounds.len() as u64);
        let mut next = Coreset { rows: Vec::new(), weights: Vec::new(), expected_size: 0.0 };
        for (k, s) in scores.iter().enumerate() {
            let q = (alpha * s).min(1.0);
            next.expected_size += q;
            if stream.uniform(coreset.rows[k] as u64) < q {
                next.rows.push(coreset.rows[k]);
                next.weights.push(coreset.weights[k] / q);
            }
        }
        coreset = next;
        rounds.push(coreset.rows.len());
        if last || coreset.rows.len() <= size {
            return Ok(RecursiveCoreset { coreset, rounds });
        }
        let (step, value) = (rounds.len(), Some(coreset.rows.len() as f64));
        if observer.step(Progress { stage: "rounds", step, total: None, value }).is_break() {
            return Err(Error::Interrupted);
        }
        let scaled: Matrix = coreset.scaled_rows(a, p);
        scores = leverage_scores_observed(&scaled, observer)?.into_iter().map(|t| root.of(t)).collect();
    }
}
