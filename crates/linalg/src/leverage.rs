//! Leverage scores, and the whitening transform they come from.
use rayon::prelude::*;

use crate::dense::ROW_BLOCK;
use crate::{LinalgError, Matrix, chunk, factor, gram, tsqr};

/// `W` with `(D^½ A W)ᵀ(D^½ A W) = I` on the row space of `A`.
#[derive(Clone, Debug)]
pub struct Whitening {
    /// `d × rank`.
    pub transform: Matrix,
    /// Numerical rank.
    pub rank: usize,
    /// Ratio of the largest to the smallest singular value that counts, after scaling the columns.
    pub condition: f64,
    /// True when the Gram matrix was too ill-conditioned and the factor came from [`crate::tsqr`].
    pub used_tsqr: bool,
}

/// Condition number up to which the Gram matrix is trusted: its error is `ε·cond²`, here about 2e-6.
const GRAM_CONDITION: f64 = 1e5;

/// The whitening transform of the rows of `a`, each weighted by `weights` (ones when `None`).
///
/// Columns are scaled by powers of two first, which changes no digit of the result. A direction counts towards the rank
/// when its singular value in the scaled matrix is above `16·min(max(n, d), 10⁵)·ε` of the largest.
/// Cost `n·d²` flops, twice that beyond condition 1e5.
///
/// # Errors
/// [`LinalgError::NotFinite`], [`LinalgError::Length`], [`LinalgError::Empty`]; [`LinalgError::OutOfRange`] for weights
/// that are negative or not finite, and for columns so small that their scale has no reciprocal.
pub fn whiten(a: &Matrix, weights: Option<&[f64]>) -> Result<Whitening, LinalgError> {
    let Scaled { mut whitening, scales, .. } = whiten_scaled(a, weights)?;
    let rank = whitening.rank;
    for (row, s) in whitening.transform.as_mut_slice().chunks_exact_mut(rank.max(1)).zip(&scales) {
        row.iter_mut().for_each(|v| *v /= s);
    }
    if whitening.transform.as_slice().iter().any(|v| !v.is_finite()) {
        let value = scales.iter().copied().fold(f64::INFINITY, f64::min);
        return Err(LinalgError::OutOfRange { argument: "scale of a column of a", value, allowed: "1e-300 and above" });
    }
    Ok(whitening)
}

/// A whitening of the columns as scaled.
struct Scaled {
    whitening: Whitening,
    /// `A` with column `j` divided by `scales[j]`, without weights.
    matrix: Matrix,
    scales: Vec<f64>,
}

fn whiten_scaled(a: &Matrix, weights: Option<&[f64]>) -> Result<Scaled, LinalgError> {
    let (n, d) = (a.rows(), a.columns());
    if n == 0 || d == 0 {
        return Err(LinalgError::Empty { argument: "a" });
    }
    a.check_finite("a")?;
    if let Some(w) = weights {
        if w.len() != n {
            return Err(LinalgError::Length { argument: "weights", given: w.len(), expected: n });
        }
        if let Some(&value) = w.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
            return Err(LinalgError::OutOfRange { argument: "weights", value, allowed: "finite and at least 0" });
        }
    }
    let scales = column_scales(a);
    let scaled = scale_columns(a, &scales);
    let g = gram::gram(&scaled, weights, None)?;
    let (values, vectors) = factor::symmetric_eigen(&g.matrix)?;
    let largest = values.last().copied().unwrap_or(0.0).max(0.0);
    let smallest = values[0];
    let (singular, vectors, used_tsqr) = if smallest > largest / (GRAM_CONDITION * GRAM_CONDITION) {
        (values.iter().map(|v| v.sqrt()).collect::<Vec<_>>(), vectors, false)
    } else {
        let factor = match weights {
            None => tsqr::tsqr(&scaled),
            Some(w) => tsqr::tsqr(&Matrix::from_fn(n, d, |i, j| scaled[(i, j)] * w[i].sqrt())),
        };
        let svd = factor::dense_svd(&factor.r)?;
        (svd.s, svd.v, true)
    };
    let top = singular.iter().copied().fold(0.0, f64::max);
    let tolerance = top * f64::EPSILON * 16.0 * n.max(d).min(100_000) as f64;
    let kept: Vec<usize> = (0..d).filter(|&j| singular[j] > tolerance && singular[j] > 0.0).collect();
    let bottom = kept.iter().map(|&j| singular[j]).fold(f64::INFINITY, f64::min);
    let transform = Matrix::from_fn(d, kept.len(), |i, c| vectors[(i, kept[c])] / singular[kept[c]]);
    let condition = if kept.is_empty() { 1.0 } else { top / bottom };
    let whitening = Whitening { transform, rank: kept.len(), condition, used_tsqr };
    Ok(Scaled { whitening, matrix: scaled, scales })
}

/// Power of two at or above the largest entry of each column.
pub(crate) fn column_scales(a: &Matrix) -> Vec<f64> {
    let d = a.columns();
    let parts: Vec<Vec<f64>> = a
        .as_slice()
        .par_chunks((16 * ROW_BLOCK * d).max(1))
        .map(|rows| {
            let mut largest = vec![0.0_f64; d];
            for row in rows.chunks_exact(d) {
                // A comparison instead of `max`, which the vectoriser takes apart for the sake of NaN.
                largest.iter_mut().zip(row).for_each(|(m, v)| *m = if v.abs() > *m { v.abs() } else { *m });
            }
            largest
        })
        .collect();
    let largest = |j: usize| parts.iter().fold(0.0_f64, |m, p| m.max(p[j]));
    (0..d).map(|j| chunk::power_of_two_scale(largest(j))).collect()
}

/// Every column divided by its scale.
pub(crate) fn scale_columns(a: &Matrix, scales: &[f64]) -> Matrix {
    let d = a.columns();
    let mut scaled = a.clone();
    if d == 0 || scales.iter().all(|s| *s == 1.0) {
        return scaled;
    }
    // Powers of two: the product with the reciprocal is the quotient, unless the reciprocal is out of range.
    let reciprocals: Vec<f64> = scales.iter().map(|s| 1.0 / s).collect();
    let exact = reciprocals.iter().all(|r| r.is_normal());
    scaled.as_mut_slice().par_chunks_mut(ROW_BLOCK * d).for_each(|rows| {
        for row in rows.chunks_exact_mut(d) {
            if exact {
                row.iter_mut().zip(&reciprocals).for_each(|(v, r)| *v *= r);
            } else {
                row.iter_mut().zip(scales).for_each(|(v, s)| *v /= s);
            }
        }
    });
    scaled
}

/// Squared row norms of `A W`, without storing `A W`.
pub fn row_norms_squared(a: &Matrix, transform: &Matrix) -> Vec<f64> {
    let (d, r) = (transform.rows(), transform.columns());
    let columns = transform.transpose();
    let mut out = vec![0.0; a.rows()];
    out.par_chunks_mut(ROW_BLOCK).enumerate().for_each(|(b, part)| {
        const PANEL: usize = 64;
        let mut product = vec![0.0; PANEL * r];
        for (p, norms) in part.chunks_mut(PANEL).enumerate() {
            let first = b * ROW_BLOCK + p * PANEL;
            let rows = &a.as_slice()[first * d..(first + norms.len()) * d];
            if r == 0 {
                continue;
            }
            let target = &mut product[..norms.len() * r];
            faer::linalg::matmul::matmul(
                faer::MatMut::from_row_major_slice_mut(target, norms.len(), r),
                faer::Accum::Replace,
                faer::MatRef::from_row_major_slice(rows, norms.len(), d),
                faer::MatRef::from_row_major_slice(columns.as_slice(), r, d).transpose(),
                1.0,
                faer::Par::Seq,
            );
            for (norm, row) in norms.iter_mut().zip(target.chunks_exact(r)) {
                *norm = chunk::dot(row, row);
            }
        }
    });
    out
}

/// Leverage scores `τ_i = a_iᵀ(AᵀA)⁺a_i` of the rows of `A` (row LA-4): each in `[0, 1]`, sum = rank.
///
/// Cost `2·n·d²` flops and two passes over `A`.
///
/// ```
/// use samplewise_linalg::{Matrix, leverage};
/// let a = Matrix::from_vec(3, 1, vec![3.0, 4.0, 0.0])?;
/// let scores = leverage::leverage_scores(&a)?;
/// assert!((scores[0] - 9.0 / 25.0).abs() < 1e-15);
/// # Ok::<(), samplewise_linalg::LinalgError>(())
/// ```
///
/// # Errors
/// As [`whiten`].
pub fn leverage_scores(a: &Matrix) -> Result<Vec<f64>, LinalgError> {
    let Scaled { whitening, matrix, .. } = whiten_scaled(a, None)?;
    let scores = row_norms_squared(&matrix, &whitening.transform);
    Ok(scores.into_iter().map(|t| if t > 1.0 { 1.0 } else { t }).collect())
}
