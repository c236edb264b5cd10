//! The answer and its evidence.
use rayon::prelude::*;
use samplewise_linalg::{Ending, Seconds};

use crate::field::bits::Bits;
use crate::options::Decoder;

/// One nonzero coefficient.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Coefficient<I = u64> {
    /// Index `k`: bit `i` is variable `i`.
    pub index: I,
    /// `X[k]`, in the units of `x`.
    pub value: f64,
    /// Standard error from the residual noise, `None` without noise.
    pub std_error: Option<f64>,
}

impl<I: Bits> Coefficient<I> {
    /// The variables of the interaction, ascending.
    pub fn variables(&self) -> Vec<usize> {
        self.index.positions()
    }

    /// The index as `n` characters, variable 0 first.
    pub fn index_string(&self, n: usize) -> String {
        (0..n).map(|i| if self.index.bit(i) { '1' } else { '0' }).collect()
    }
}

/// What can be said of the answer; `verdict/verify.rs` says why (row WHT-12 of `paper-refs.md`).
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Status {
    /// Without noise: all fresh samples agree to `1e-8` of their spread (and to their own rounding, which is a small part of
    /// it), and if the answer were wrong by more they would do so with probability at most `delta`, provided that the true
    /// spectrum keeps to what was said of it: no more coefficients than planned for, no interaction beyond the degree.
    /// `delta` is zero, without a premise, for plans of all values, such as that of the dense transform, and for nothing else.
    Exact {
        /// Probability of being wrong.
        delta: f64,
    },
    /// No bin was left unexplained and the fresh samples agree with the answer up to the noise, or, without noise, are too few
    /// to prove that it is exact. Nothing certifies an exact support.
    Verified {
        /// R² on further points is at least this, up to `delta`; `x` with its noise counts as the truth. Asymptotic, and
        /// blind to peaks so rare that no sample met one: [`crate::verdict::verify::r2_at_least`].
        r2_at_least: f64,
        /// Coefficients below it are likely to be missed: `(√(2 ln N) + 3) σ / √M`, at least `1e-8` of the spread of the values.
        detection_limit: f64,
        /// Probability with which the bound of R² claims too much.
        delta: f64,
    },
    /// All answers were the same, or differed by their noise alone, and the answer is that constant (no coefficient at all
    /// where it is zero). R² has no meaning then. What the fresh samples prove is that a share of at most
    /// `differs_at_most` of all points has another value, up to `delta`; with noise, a value further away than the residuals
    /// that were seen.
    Constant {
        /// `ln(1/delta)/V` for `V` fresh samples; zero where all points were seen.
        differs_at_most: f64,
        /// Probability with which more points differ; zero where all points were seen.
        delta: f64,
    },
    /// Decoding ended with bins it could not explain, or fresh samples disagree. The coefficients are the best guess.
    Stalled {
        /// Bins left unexplained.
        multi_tons: usize,
    },
    /// An adaptive recovery had no samples left for another stage, and the fresh ones did not agree. The coefficients are the best guess.
    BudgetSpent,
    /// Decoded, but too few fresh samples were asked for a claim.
    Unverified,
}

impl Status {
    /// True for [`Status::Exact`], [`Status::Verified`] and [`Status::Constant`].
    pub fn is_verified(self) -> bool {
        matches!(self, Self::Exact { .. } | Self::Verified { .. } | Self::Constant { .. })
    }
}

/// Evidence of a decode.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Report {
    /// The decoder that ran: never [`Decoder::Auto`].
    pub route: Decoder,
    /// Distinct values of `x` that were asked, verification included.
    pub samples: usize,
    /// Of these, the ones kept from the decoder.
    pub verification: usize,
    /// Root mean square of `x − x̂` over the verification samples, or `None` without them.
    pub residual_std: Option<f64>,
    /// `1 − Σ(x − x̂)² / Σ(x − x̄)²` over the verification samples; `None` without them or when they are constant.
    pub r2: Option<f64>,
    /// Where all `V` fresh samples agree with the answer: the share of points that may differ all the same, `ln(1/delta)/V`
    /// for the `delta` of the options. Zero for a dense transform without noise.
    pub differs_at_most: Option<f64>,
    /// Rounding of one answer: a unit in the last digit of the largest.
    pub rounding: f64,
    /// Standard deviation of the noise as the decoder saw it; 0 without noise.
    pub noise_std: f64,
    /// `(√(2 ln N) + 3) σ / √M`, at least `1e-8` of the spread of the values: coefficients below it are likely to be missed.
    pub detection_limit: f64,
    /// Samples asked by the end of each stage: one, or as many as an adaptive recovery took.
    pub stages: Vec<usize>,
    /// How decoding or asking ended; an interrupted answer is the best one by then.
    pub ending: Ending,
    /// Wall time of decoding and judging, all stages together; without the evaluations of `x`.
    pub seconds: Seconds,
    /// What was expected of the dense and of the sparse way, where there was a choice ([`crate::recover_in_memory`]).
    pub choice: Option<Choice>,
}

/// Predicted seconds of two ways to the same answer.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Choice {
    /// Transforming all values.
    pub dense_seconds: f64,
    /// Sampling and decoding.
    pub sparse_seconds: f64,
}

/// The nonzero coefficients found.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Spectrum<I = u64> {
    /// Number of variables `n`.
    pub variables: usize,
    /// Coefficients, index ascending.
    pub coefficients: Vec<Coefficient<I>>,
    /// What can be said of them.
    pub status: Status,
    /// The evidence: how the call went, and what its claims rest on.
    pub report: Report,
}

impl<I: Bits> Spectrum<I> {
    /// Whether asking and decoding came to their end and the fresh samples agree with the answer.
    pub fn converged(&self) -> bool {
        self.report.ending == Ending::Finished && self.status.is_verified()
    }

    /// `x̂[m]` of the spectrum found.
    pub fn evaluate(&self, m: I) -> f64 {
        self.coefficients.iter().map(|c| if m.parity(c.index) { -c.value } else { c.value }).sum()
    }

    /// `x̂` at many points, in parallel.
    pub fn predict(&self, points: &[I]) -> Vec<f64> {
        points.par_iter().with_min_len(256).map(|&m| self.evaluate(m)).collect()
    }

    /// The `k` coefficients of largest magnitude, largest first, ties by index.
    pub fn top(&self, k: usize) -> Vec<&Coefficient<I>> {
        let mut all: Vec<&Coefficient<I>> = self.coefficients.iter().collect();
        all.sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()).then(a.index.cmp(&b.index)));
        all.truncate(k);
        all
    }

    /// `Σ X[k]²` by number of variables, constant first.
    pub fn energy_by_degree(&self) -> Vec<f64> {
        let mut out = vec![0.0; self.variables + 1];
        for c in &self.coefficients {
            out[c.index.weight()] += c.value * c.value;
        }
        out
    }
}
