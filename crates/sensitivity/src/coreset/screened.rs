//! Coresets of many rows in two draws: a first one by rough scores, so that only the rows it leaves are scored well.
//!
//! Scores decide probabilities, not answers: a factor of two matters little to a sample several times as large as the one
//! that is wanted. Rough scores cost one Gram matrix and products with [`SKETCH`] columns where leverage scores take all.
use samplewise_linalg::leverage::{row_norms_squared_observed, whiten_observed};
use samplewise_linalg::observe::{Observer, Watch};
use samplewise_linalg::random::{Streams, normal};
use samplewise_linalg::{LinalgError, Matrix, Rows};

use super::Coreset;
use super::thin::thin;
use crate::Error;
use crate::options::{CoresetOptions, SampleOptions, ScoreOptions};
use crate::power::check_exponent;
use crate::scores::{Method, scores_observed};

/// Columns of the Gaussian matrix that estimates the norms of whitened rows: for `p = 1` the probability of one row in a
/// hundred is too small by more than a factor of three, that of six by two.
const SKETCH: usize = 8;

/// A coreset, and how many rows were scored for it.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ScreenedCoreset {
    /// Rows and weights that were drawn.
    pub coreset: Coreset,
    /// Number of rows scored by the method asked for: all, or those that a first draw left; none for uniform samples.
    pub rows_scored: usize,
}

/// About `size` rows of `a` for exponent `p`, scored and drawn as `options` say (row SEN-18).
///
/// For dense rows, `p ≤ 2` and `oversampling·size` at most half of the rows, so many are drawn first, by rough leverage
/// scores and their powers `p/2` in equal parts (a row that carries a direction alone is sure to be there, or nearly), and
/// only these are scored, each with the weight it has by then. The weights of the coreset are unbiased all the same. Cost
/// half a pass pair (`n·d²` flops), `16·n·d` flops for the rough scores, and the scores of `oversampling·size` rows.
///
/// Lewis weights are one step away from leverage scores up to `p = 2`, which is enough for a sample, and good to a tenth
/// beyond. Sensitivity plus leverage is always of all rows below `p = 2`.
///
/// ```
/// use samplewise_sensitivity::{CoresetOptions, Matrix, screened_coreset};
/// let a = Matrix::from_fn(20_000, 3, |i, j| ((i * (j + 3)) % 101) as f64 - 50.0);
/// let found = screened_coreset(&a, 1.0, 200, &CoresetOptions::default())?;
/// assert!(found.rows_scored < 2_000 && found.coreset.rows.len() < 300);
/// let total: f64 = found.coreset.weights.iter().sum();
/// assert!((total / 20_000.0 - 1.0).abs() < 0.5);
/// # Ok::<(), samplewise_sensitivity::Error>(())
/// ```
///
/// # Errors
/// As [`crate::scores()`] and [`Coreset::sample`].
pub fn screened_coreset<'a>(
    a: impl Into<Rows<'a>>,
    p: f64,
    size: usize,
    options: &CoresetOptions,
) -> Result<ScreenedCoreset, Error> {
    screened_coreset_observed(a, p, size, options, &mut ())
}

/// [`screened_coreset`] with progress and cancellation.
///
/// # Errors
/// As [`screened_coreset`]; [`Error::Interrupted`], except that scores which were stopped on their way are good enough to be
/// drawn by.
pub fn screened_coreset_observed<'a>(
    a: impl Into<Rows<'a>>,
    p: f64,
    size: usize,
    options: &CoresetOptions,
    observer: &mut dyn Observer,
) -> Result<ScreenedCoreset, Error> {
    let (a, watch) = (a.into(), &mut Watch::new(observer));
    check_exponent(p)?;
    let n = a.rows();
    if size == 0 || size > n {
        return Err(Error::Size { size, least: 1, rows: n });
    }
    let draw = SampleOptions { sampler: options.sampler, seed: options.seed };
    if options.method == Method::Uniform {
        a.check_finite("a")?;
        let coreset = Coreset::sample_observed(a, &vec![1.0; n], p, size, &draw, watch)?;
        return Ok(ScreenedCoreset { coreset, rows_scored: 0 });
    }
    // One step towards Lewis weights is enough for a sample up to p = 2; beyond, it is far from them.
    let max_iterations = if p > 2.0 { ScoreOptions::default().max_iterations } else { 1 };
    let score = ScoreOptions { method: options.method, tolerance: 0.1, max_iterations, ..ScoreOptions::default() };
    if let Some(found) = screened(a, p, size, options, &score, watch)? {
        return Ok(found);
    }
    let scores = scores_observed(a, p, &score, watch)?.values;
    let coreset = Coreset::sample_observed(a, &scores, p, size, &draw, watch)?;
    Ok(ScreenedCoreset { coreset, rows_scored: n })
}

/// Two draws; none where all rows are to be scored.
fn screened(
    a: Rows<'_>,
    p: f64,
    size: usize,
    options: &CoresetOptions,
    score: &ScoreOptions,
    watch: &mut Watch<'_>,
) -> Result<Option<ScreenedCoreset>, Error> {
    let draw = SampleOptions { sampler: options.sampler, seed: options.seed };
    let few = size.saturating_mul(options.oversampling);
    // Weighted rows have the sum of both importances only where the two are one. Passes over sparse rows are cheap as it is.
    let mixed = score.method == Method::SensitivityPlusLeverage && p < 2.0;
    if p > 2.0 || few == 0 || few > a.rows() / 2 || mixed || matches!(a, Rows::Sparse(_)) {
        return Ok(None);
    }
    let first = thin(&rough_leverage(a, options.seed, watch)?, p, few, options.seed);
    if first.rows.is_empty() {
        return Ok(Some(ScreenedCoreset { coreset: first, rows_scored: 0 }));
    }
    let scaled = first.scaled_rows(a, p);
    // A row's weight is that of its square for leverage scores.
    let found = if score.method == Method::Leverage {
        scores_observed(&first.scaled_rows(a, 2.0), p, score, watch)
    } else {
        scores_observed(&scaled, p, score, watch)
    };
    let scores = match found {
        Ok(scores) => scores,
        Err(Error::Interrupted) => return Err(Error::Interrupted),
        // Weights may take the largest entries out of the numerical range.
        Err(_) => return Ok(None),
    };
    let scored = first.rows.len();
    let second = Coreset::sample_observed(&scaled, &scores.values, p, size.min(scored), &draw, watch)?;
    let coreset = Coreset {
        rows: second.rows.iter().map(|&k| first.rows[k]).collect(),
        weights: second.rows.iter().zip(&second.weights).map(|(&k, w)| w * first.weights[k]).collect(),
        expected_size: second.expected_size,
    };
    Ok(Some(ScreenedCoreset { coreset, rows_scored: scored }))
}

/// Leverage scores by norms of `A T G`, `T` the whitening transform and `G` Gaussian.
fn rough_leverage(a: Rows<'_>, seed: u64, watch: &mut Watch<'_>) -> Result<Vec<f64>, LinalgError> {
    let white = whiten_observed(a, None, watch)?;
    if white.rank <= SKETCH {
        return white.norms_squared_observed(a, watch);
    }
    let mut rng = Streams::new(seed).child(1).stream(0);
    let gaussian = Matrix::from_fn(white.rank, SKETCH, |_, _| normal(&mut rng) / (SKETCH as f64).sqrt());
    row_norms_squared_observed(a, &white.transform.multiply(&gaussian)?, watch)
}
