//! Coresets of many rows in two draws: a first one by rough scores, so that only the rows it leaves are scored well.
//!
//! Scores decide probabilities, not answers: a factor of two matters little to a sample several times as large as the one
//! that is wanted. Rough scores cost one Gram matrix and products with [`SKETCH`] columns where leverage scores take all.
use samplewise_linalg::leverage::{row_norms_squared, whiten};
use samplewise_linalg::observe::Observer;
use samplewise_linalg::random::{Streams, normal};
use samplewise_linalg::{LinalgError, Matrix, Rows};

use super::Coreset;
use super::thin::thin;
use crate::SensitivityError;
use crate::power::check_exponent;
use crate::regress::Options;
use crate::scores::{Method, ScoreOptions, scores_with};

/// Columns of the Gaussian matrix that estimates the norms of whitened rows: for `p = 1` the probability of one row in a
/// hundred is too small by more than a factor of three, that of six by two.
const SKETCH: usize = 8;

/// A coreset, and how many rows were scored for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Screened {
    /// The sample.
    pub coreset: Coreset,
    /// Rows scored by the method asked for: all, or those that a first draw left; none for uniform samples.
    pub scored: usize,
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
/// use samplewise_linalg::Matrix;
/// use samplewise_sensitivity::{Options, screened_coreset};
/// let a = Matrix::from_fn(20_000, 3, |i, j| ((i * (j + 3)) % 101) as f64 - 50.0);
/// let found = screened_coreset(&a, 1.0, 200, &Options::default(), &mut ())?;
/// assert!(found.scored < 2_000 && found.coreset.rows.len() < 300);
/// let total: f64 = found.coreset.weights.iter().sum();
/// assert!((total / 20_000.0 - 1.0).abs() < 0.5);
/// # Ok::<(), samplewise_sensitivity::SensitivityError>(())
/// ```
///
/// # Errors
/// As [`crate::scores_with`] and [`Coreset::sample`].
pub fn screened_coreset<'a>(
    a: impl Into<Rows<'a>>,
    p: f64,
    size: usize,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Screened, SensitivityError> {
    let a = a.into();
    check_exponent(p)?;
    let n = a.rows();
    if size == 0 || size > n {
        return Err(SensitivityError::Size { size, least: 1, rows: n });
    }
    if options.method == Method::Uniform {
        a.check_finite("a")?;
        let coreset = Coreset::sample(a, &vec![1.0; n], p, size, options.sampler, options.seed)?;
        return Ok(Screened { coreset, scored: 0 });
    }
    // One step towards Lewis weights is enough for a sample up to p = 2; beyond, it is far from them.
    let lewis_steps = if p > 2.0 { ScoreOptions::default().lewis_steps } else { 1 };
    let score = ScoreOptions { method: options.method, lewis_tolerance: 0.1, lewis_steps, ..ScoreOptions::default() };
    if let Some(found) = screened(a, p, size, options, &score, observer)? {
        return Ok(found);
    }
    let scores = scores_with(a, p, &score, observer)?.values;
    let coreset = Coreset::sample(a, &scores, p, size, options.sampler, options.seed)?;
    Ok(Screened { coreset, scored: n })
}

/// Two draws; none where all rows are to be scored.
fn screened(
    a: Rows<'_>,
    p: f64,
    size: usize,
    options: &Options,
    score: &ScoreOptions,
    observer: &mut dyn Observer,
) -> Result<Option<Screened>, SensitivityError> {
    let few = size.saturating_mul(options.oversampling);
    // Weighted rows have the sum of both importances only where the two are one. Passes over sparse rows are cheap as it is.
    let mixed = score.method == Method::SensitivityPlusLeverage && p < 2.0;
    if p > 2.0 || few == 0 || few > a.rows() / 2 || mixed || matches!(a, Rows::Sparse(_)) {
        return Ok(None);
    }
    let first = thin(&rough_leverage(a, options.seed)?, p, few, options.seed);
    if first.rows.is_empty() {
        return Ok(Some(Screened { coreset: first, scored: 0 }));
    }
    let scaled = first.scaled_rows(a, p);
    // A row's weight is that of its square for leverage scores.
    let found = if score.method == Method::Leverage {
        scores_with(&first.scaled_rows(a, 2.0), p, score, observer)
    } else {
        scores_with(&scaled, p, score, observer)
    };
    // Weights may take the largest entries out of the numerical range.
    let Ok(scores) = found else { return Ok(None) };
    let scored = first.rows.len();
    let second = Coreset::sample(&scaled, &scores.values, p, size.min(scored), options.sampler, options.seed)?;
    let coreset = Coreset {
        rows: second.rows.iter().map(|&k| first.rows[k]).collect(),
        weights: second.rows.iter().zip(&second.weights).map(|(&k, w)| w * first.weights[k]).collect(),
        expected_size: second.expected_size,
    };
    Ok(Some(Screened { coreset, scored }))
}

/// Leverage scores by norms of `A T G`, `T` the whitening transform and `G` Gaussian.
fn rough_leverage(a: Rows<'_>, seed: u64) -> Result<Vec<f64>, LinalgError> {
    let white = whiten(a, None)?;
    if white.rank <= SKETCH {
        return Ok(white.norms_squared(a));
    }
    let mut rng = Streams::new(seed).child(1).stream(0);
    let gaussian = Matrix::from_fn(white.rank, SKETCH, |_, _| normal(&mut rng) / (SKETCH as f64).sqrt());
    Ok(row_norms_squared(a, &white.transform.multiply(&gaussian)?))
}
