//! Sampling of rows with given scores. Whether a row is kept depends on the hash of its number, never on order, blocks,
//! shards or threads.
mod recursive;
mod screened;
mod thin;
mod tree;

use samplewise_linalg::observe::{Observer, Watch};
use samplewise_linalg::random::Streams;
use samplewise_linalg::{LinalgError, Matrix, Rows, sums};

use crate::Error;
use crate::options::SampleOptions;
use crate::power::{Power, check_exponent};

pub use recursive::{RecursiveCoreset, recursive_root_leverage, recursive_root_leverage_observed};
pub use screened::{ScreenedCoreset, screened_coreset, screened_coreset_observed};
pub(crate) use thin::thin;

/// How rows are drawn; all three keep row `i` with probability `q_i` (nearly, for [`Sampler::Priority`]).
///
/// Row SEN-12 of `paper-refs.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Sampler {
    /// Independently, by the hash of the row's number: the size varies by about `√size`. The one that theorems speak of.
    #[default]
    Bernoulli,
    /// The fixed number of rows with the largest score over hash (Duffield, Lund and Thorup): unbiased, size exact.
    Priority,
    /// Systematically along the leaves of a tree that splits the rows, whitened, along their principal directions: rows
    /// close to each other share their luck. Unbiased, size within one of that asked. Measured up to five times less
    /// distortion where rows have structure, and none more anywhere; the guarantee for all `x` at once is proven for
    /// `p = 2` only in related form, so it is calibrated.
    Tree,
}

/// A weighted subset of rows.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Coreset {
    /// Row numbers, ascending.
    pub rows: Vec<usize>,
    /// Weights `1/q_i` of the loss of each row, as [`crate::Options::sample_weights`] takes them (rows themselves are scaled by
    /// `weight^{1/p}`).
    pub weights: Vec<f64>,
    /// Expected size `Σ q_i`.
    pub expected_size: f64,
}

/// Rows for a distortion `ε` of `‖Ax‖_p^p` for all `x` at once, `(c_p/ε)²·rank` (row SEN-10).
///
/// `c_p` is **calibrated**, not proven: from what an adversarial search found on six kinds of tables with 8 to 32 columns,
/// scaled so that it would stay within `ε` in about 95 % of the seeds: 2.5 up to `p = 1.5`, 2.7 at 2, 3.5 at 3, 4.3 at 4 and
/// growing as `p` beyond (`cargo bench --bench sensitivity -- embedding` counts the seeds). The theorems' form is `d·polylog/ε²` for Lewis weights and `p ≤ 2`,
/// `d^{p/2}·polylog/ε²` above, with constants that are of no practical use.
///
/// # Errors
/// [`Error::Argument`] for `p`, and unless `0 < epsilon < 1`.
pub fn planned_size(epsilon: f64, p: f64, rank: usize) -> Result<usize, Error> {
    check_exponent(p)?;
    if !(epsilon > 0.0 && epsilon < 1.0) {
        return Err(Error::argument("epsilon", epsilon, "above 0 and below 1"));
    }
    const CALIBRATED: [(f64, f64); 5] = [(1.0, 2.5), (1.5, 2.5), (2.0, 2.7), (3.0, 3.5), (4.0, 4.3)];
    let constant = match CALIBRATED.windows(2).find(|w| p <= w[1].0) {
        Some(&[(p0, c0), (p1, c1)]) => c0 + (c1 - c0) * (p - p0) / (p1 - p0),
        _ => 4.3 * p / 4.0,
    };
    Ok(((constant / epsilon).powi(2) * rank as f64).ceil().min(1e15) as usize)
}

impl Coreset {
    /// About `size` rows of `a`, drawn in proportion to their scores, which are for exponent `p` (rows SEN-4, SEN-5, SEN-11,
    /// SEN-12).
    ///
    /// Only [`Sampler::Tree`] looks at the rows (cost `n·d` for each of about `log₂ size` levels).
    ///
    /// # Errors
    /// [`Error::Size`] unless `1 ≤ size ≤ n`; [`Error::Data`] and [`Error::Argument`] for scores that are negative or not
    /// finite or not one for each row.
    pub fn sample<'a>(
        a: impl Into<Rows<'a>>,
        scores: &[f64],
        p: f64,
        size: usize,
        options: &SampleOptions,
    ) -> Result<Self, Error> {
        Self::sample_observed(a, scores, p, size, options, &mut ())
    }

    /// [`Coreset::sample`] with progress and cancellation.
    ///
    /// # Errors
    /// As [`Coreset::sample`]; [`Error::Interrupted`].
    pub fn sample_observed<'a>(
        a: impl Into<Rows<'a>>,
        scores: &[f64],
        p: f64,
        size: usize,
        options: &SampleOptions,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let a = a.into();
        if scores.len() != a.rows() {
            return Err(LinalgError::Length { argument: "scores", given: scores.len(), expected: a.rows() }.into());
        }
        match options.sampler {
            Sampler::Bernoulli => Self::bernoulli(scores, size, options.seed),
            Sampler::Priority => Self::priority(scores, size, options.seed),
            Sampler::Tree => tree::sample(a, scores, p, size, options.seed, &mut Watch::new(observer)),
        }
    }

    /// Keeps each row independently with probability `q_i = min(1, α·score_i)`, `α` such that `Σ q_i = size` (rows
    /// SEN-4 and SEN-5). The number of rows kept varies by about `√size`.
    ///
    /// # Errors
    /// As [`Coreset::sample`].
    pub fn bernoulli(scores: &[f64], size: usize, seed: u64) -> Result<Self, Error> {
        check(scores, size)?;
        Self::with_rate(scores, probability_scale(scores, size as f64), seed)
    }

    /// [`Coreset::bernoulli`] with the rate `α` given: what a stream can do that does not know the scores beforehand.
    ///
    /// # Errors
    /// [`Error::Argument`] for a rate or scores that are negative or not a number.
    pub fn with_rate(scores: &[f64], rate: f64, seed: u64) -> Result<Self, Error> {
        for (argument, value) in [("rate", rate)].into_iter().chain(scores.iter().map(|s| ("score", *s))) {
            if value.is_nan() || value < 0.0 {
                return Err(Error::argument(argument, value, "at least 0"));
            }
        }
        let streams = Streams::new(seed);
        let (mut rows, mut weights, mut expected) = (Vec::new(), Vec::new(), 0.0);
        for (i, s) in scores.iter().enumerate() {
            let q = (rate * s).min(1.0);
            expected += q;
            if streams.uniform(i as u64) < q {
                rows.push(i);
                weights.push(1.0 / q);
            }
        }
        Ok(Self { rows, weights, expected_size: expected })
    }

    /// Exactly `size` rows (all with a positive score, if there are no more): those with the largest `score/u`, `u` the
    /// row's hash; the next one is the threshold `t`, and the weight of a row is `max(1, t/score)` (row SEN-11).
    ///
    /// # Errors
    /// As [`Coreset::sample`].
    pub fn priority(scores: &[f64], size: usize, seed: u64) -> Result<Self, Error> {
        check(scores, size)?;
        let streams = Streams::new(seed);
        let mut order: Vec<(f64, usize)> = scores
            .iter()
            .enumerate()
            .filter(|e| *e.1 > 0.0)
            .map(|(i, s)| (s / streams.uniform(i as u64).max(f64::MIN_POSITIVE), i))
            .collect();
        let first = |a: &(f64, usize), b: &(f64, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        let mut threshold = 0.0;
        if order.len() > size {
            order.select_nth_unstable_by(size, first);
            threshold = order[size].0;
            order.truncate(size);
        }
        let mut rows: Vec<usize> = order.into_iter().map(|e| e.1).collect();
        rows.sort_unstable();
        let weights = rows.iter().map(|&i| (threshold / scores[i]).max(1.0)).collect();
        Ok(Self { expected_size: rows.len() as f64, rows, weights })
    }

    /// The sampled rows, each scaled by `weight^{1/p}`: `‖S A x‖_p^p` estimates `‖A x‖_p^p` without bias.
    pub fn scaled_rows<'a>(&self, a: impl Into<Rows<'a>>, p: f64) -> Matrix {
        let mut out = a.into().select_rows(&self.rows);
        let root = Power::new(1.0 / p);
        for (i, w) in self.weights.iter().enumerate() {
            let scale = root.of(*w);
            out.row_mut(i).iter_mut().for_each(|v| *v *= scale);
        }
        out
    }
}

fn check(scores: &[f64], size: usize) -> Result<(), Error> {
    let n = scores.len();
    if size == 0 || size > n {
        return Err(Error::Size { size, least: 1, rows: n });
    }
    match scores.iter().position(|s| !(s.is_finite() && *s >= 0.0)) {
        Some(row) if scores[row].is_finite() => Err(Error::argument("scores", scores[row], "finite and at least 0")),
        Some(row) => Err(LinalgError::NotFinite { argument: "scores", row, column: 0, value: scores[row] }.into()),
        None => Ok(()),
    }
}

/// `α` with `Σ min(1, α s_i) = size`, or the largest number when every positive score must be kept.
fn probability_scale(scores: &[f64], size: f64) -> f64 {
    // Relative to the largest, so that sums do not overflow.
    let largest = scores.iter().copied().fold(0.0, f64::max);
    let mut rest: Vec<f64> = scores.iter().filter(|s| **s > 0.0).map(|s| s / largest).collect();
    let mut left = size;
    while !rest.is_empty() {
        let alpha = left / sums::sum_by(rest.len(), |i| rest[i]);
        let before = rest.len();
        rest.retain(|s| alpha * s <= 1.0);
        if rest.len() == before {
            return alpha / largest;
        }
        // Those kept for certain leave the others the rest of the size; by rounding that may be nothing.
        left -= (before - rest.len()) as f64;
        if left <= 0.0 {
            return alpha / largest;
        }
    }
    // More rows wanted than have a positive score: keep all of those.
    f64::MAX
}
