//! Leverage scores, the whitening transform they come from, and passes that weigh rows by them.
//!
//! The Gram matrix of the rows gives a triangular transform in one pass; a second pass takes the norms. Where the columns
//! are too close to dependent for the square of their condition number, the transform of a first round (of the Gram matrix,
//! or of a sketch) preconditions a second one, which loses no more digits than Householder QR does.
mod factor_gram;
mod passes;
mod scaled;

pub use factor_gram::{GramFactor, factor_gram};
pub(crate) use passes::gram_of_product;
pub use passes::{reweigh, reweigh_observed, row_norms_squared, row_norms_squared_observed};
pub(crate) use scaled::{column_scales, scale_columns};

use crate::gram;
use crate::observe::{Observer, Progress, Watch};
use crate::rows::Rows;
use crate::sketch::{Kind, Sketch};
use crate::{LinalgError, Matrix, factor, tsqr};

use passes::quadratic_forms;
use scaled::Scaled;

/// `W` with `(D^½ A W)ᵀ(D^½ A W) = I` on the row space of `A`.
#[derive(Clone, Debug, PartialEq)]
pub struct Whitening {
    /// `d × rank`.
    pub transform: Matrix,
    /// Number of directions that are told apart from rounding.
    pub rank: usize,
    /// Estimate of the condition number of the columns that count, after scaling them (by power iteration, seldom more than
    /// a fifth too small).
    pub condition: f64,
    /// How the transform was found.
    pub path: Path,
}

/// Condition number up to which the inverse of the Gram matrix may be formed: its quadratic forms are off by `ε·cond²`.
const INVERTIBLE: f64 = 1e4;

impl Whitening {
    /// Squared row norms of `A W`: the leverage scores, when these are the rows it was made for.
    ///
    /// As [`row_norms_squared`]; for sparse rows with `k` entries by quadratic forms with `W Wᵀ` where that is cheaper and
    /// the columns are well enough conditioned: `k²` flops a row instead of `2·k·d`, error about `ε·cond²`.
    ///
    /// # Panics
    /// When the rows have another number of columns.
    pub fn norms_squared<'a>(&self, a: impl Into<Rows<'a>>) -> Vec<f64> {
        self.norms_squared_observed(a, &mut ()).expect("the observer goes on")
    }

    /// [`Whitening::norms_squared`] with cancellation; of dense rows the observer is asked at least every 50 ms of one core up to
    /// about 200 columns, beyond that after every [`BLOCK`](crate::gram::BLOCK) rows of each thread.
    ///
    /// # Errors
    /// [`LinalgError::Interrupted`] when the observer stops it.
    ///
    /// # Panics
    /// When the rows have another number of columns.
    pub fn norms_squared_observed<'a>(
        &self,
        a: impl Into<Rows<'a>>,
        observer: &mut dyn Observer,
    ) -> Result<Vec<f64>, LinalgError> {
        match a.into() {
            Rows::Sparse(a) if self.condition <= INVERTIBLE && a.nnz() < a.rows() * self.rank / 2 => {
                Ok(quadratic_forms(a, &self.transform))
            }
            a => row_norms_squared_observed(a, &self.transform, observer),
        }
    }
}

/// How a [`Whitening`] was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Cholesky of the Gram matrix.
    Gram,
    /// Cholesky of the Gram matrix, twice: the second time of the rows whitened by the first.
    Twice,
    /// Cholesky of the Gram matrix of the rows whitened by a sketch, or by [`crate::tsqr`] where there are few.
    Preconditioned,
}

/// Condition number up to which one Gram matrix is trusted for a transform: its error is `ε·cond²`, here about 2e-6.
const TRUSTED: f64 = 1e5;

/// The same for scores that are a result: below this the Gram matrix loses no more digits than Householder QR.
const TRUSTED_FOR_SCORES: f64 = 1e3;

/// Condition number up to which the first factor of a Gram matrix is a good enough start of a second round.
const REPEATABLE: f64 = 3e6;

/// The whitening transform of the rows of `a`, each weighted by `weights` (ones when `None`).
///
/// Columns are scaled by powers of two first, which changes no digit of the result. A direction counts towards the rank
/// when its singular value in the scaled matrix is above `64·d·ε` of the largest. Cost `n·d²` flops, three times that
/// beyond condition 1e5 (error of the scores below it: about `ε·cond²`).
///
/// # Errors
/// [`LinalgError::NotFinite`], [`LinalgError::Length`], [`LinalgError::Empty`]; [`LinalgError::OutOfRange`] for weights
/// that are negative or not finite, and for columns so small that their scale has no reciprocal.
pub fn whiten<'a>(a: impl Into<Rows<'a>>, weights: Option<&[f64]>) -> Result<Whitening, LinalgError> {
    whiten_observed(a, weights, &mut ())
}

/// [`whiten`] with cancellation; the observer is asked as by [`gram::gram_observed`], and between the passes that copy, scale
/// and sketch the table where the Gram matrix is not enough.
///
/// # Errors
/// As [`whiten`]; [`LinalgError::Interrupted`] when the observer stops it.
pub fn whiten_observed<'a>(
    a: impl Into<Rows<'a>>,
    weights: Option<&[f64]>,
    observer: &mut dyn Observer,
) -> Result<Whitening, LinalgError> {
    whiten_to(a.into(), weights, TRUSTED, &mut Watch::new(observer))
}

fn whiten_to(
    a: Rows<'_>,
    weights: Option<&[f64]>,
    trusted: f64,
    watch: &mut Watch<'_>,
) -> Result<Whitening, LinalgError> {
    let n = a.rows();
    if n == 0 || a.columns() == 0 {
        return Err(LinalgError::Empty { argument: "a" });
    }
    if let Some(w) = weights {
        if w.len() != n {
            return Err(LinalgError::Length { argument: "weights", given: w.len(), expected: n });
        }
        if let Some(&value) = w.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
            return Err(LinalgError::OutOfRange { argument: "weights", value, allowed: "finite and at least 0" });
        }
    }
    let gram = gram::unchecked(a, weights, None, watch)?.matrix;
    whiten_from(a, weights, &gram, trusted, watch)
}

/// [`whiten`] when the Gram matrix of the weighted rows is known already.
///
/// # Errors
/// As [`whiten`].
pub fn whiten_given_gram<'a>(
    a: impl Into<Rows<'a>>,
    weights: Option<&[f64]>,
    gram: &Matrix,
) -> Result<Whitening, LinalgError> {
    whiten_given_gram_observed(a, weights, gram, &mut ())
}

/// [`whiten_given_gram`] with cancellation, as [`whiten_observed`].
///
/// # Errors
/// As [`whiten_observed`].
pub fn whiten_given_gram_observed<'a>(
    a: impl Into<Rows<'a>>,
    weights: Option<&[f64]>,
    gram: &Matrix,
    observer: &mut dyn Observer,
) -> Result<Whitening, LinalgError> {
    whiten_from(a.into(), weights, gram, TRUSTED, &mut Watch::new(observer))
}

fn whiten_from(
    a: Rows<'_>,
    weights: Option<&[f64]>,
    gram: &Matrix,
    trusted: f64,
    watch: &mut Watch<'_>,
) -> Result<Whitening, LinalgError> {
    // An entry that is not finite makes its diagonal entry of the Gram matrix so; squares must neither over- nor underflow.
    let safe = (0..gram.rows()).all(|j| {
        let square = gram[(j, j)];
        (1e-200..1e200).contains(&square) || square == 0.0 && is_zero(a, j)
    });
    if !safe {
        return preconditioned(a, weights, watch);
    }
    let first = factor_gram(gram)?;
    if first.dropped() == 0 && first.whitening.condition <= trusted {
        return Ok(first.whitening);
    }
    if first.dropped() == 0 && first.whitening.condition <= REPEATABLE {
        let product = gram_of_product(a, weights, &first.whitening.transform, watch)?;
        let second = factor_gram(&product)?;
        if second.dropped() == 0 && second.whitening.condition < 2.0 {
            let transform = first.whitening.transform.multiply(&second.whitening.transform)?;
            return Ok(Whitening { transform, path: Path::Twice, ..first.whitening });
        }
    }
    let careful = preconditioned(a, weights, watch)?;
    // The columns left out do depend on the others: what is left is as good as any.
    let enough = careful.rank == first.whitening.rank && first.whitening.condition <= trusted;
    Ok(if enough { first.whitening } else { careful })
}

/// The transform by way of a sketch, whose singular values decide the rank.
fn preconditioned(a: Rows<'_>, weights: Option<&[f64]>, watch: &mut Watch<'_>) -> Result<Whitening, LinalgError> {
    let look = |watch: &mut Watch<'_>, step: usize| {
        let progress = || Progress { stage: "preconditioning", step, total: None, value: None };
        if watch.ticks(progress) { Err(LinalgError::Interrupted) } else { Ok(()) }
    };
    a.check_finite("a")?;
    let d = a.columns();
    let scales = column_scales(a);
    look(watch, 0)?;
    let scaled = Scaled::new(a, &scales, weights)?;
    look(watch, 1)?;
    let rows = (8 * d).max(64);
    let from_sketch = a.rows() > 2 * rows;
    let mut out = None;
    for sketched in [from_sketch, false] {
        let small = if sketched {
            let sketch = Sketch::new(Kind::SparseSign, rows, 0)?;
            match &scaled {
                Scaled::Dense(m) => sketch.apply(m)?,
                Scaled::Sparse(m) => sketch.apply_csr(m)?,
            }
        } else {
            match &scaled {
                Scaled::Dense(m) => m.clone(),
                Scaled::Sparse(m) => m.copy_to_dense(),
            }
        };
        look(watch, 2)?;
        let first = by_singular_values(&small)?;
        look(watch, 3)?;
        let again = factor_gram(&gram_of_product(scaled.rows(), None, &first.transform, watch)?)?;
        // A sketch that embeds the columns leaves a condition number of two or three.
        let good = again.dropped() == 0 && again.whitening.condition < 30.0;
        if good || !sketched {
            let transform = if good { first.transform.multiply(&again.whitening.transform)? } else { first.transform };
            out = Some(Whitening { transform, ..first });
            break;
        }
    }
    let mut out = out.expect("the second round always ends");
    for (row, s) in out.transform.as_mut_slice().chunks_exact_mut(out.rank.max(1)).zip(&scales) {
        row.iter_mut().for_each(|v| *v /= s);
    }
    if out.transform.as_slice().iter().any(|v| !v.is_finite()) {
        let value = scales.iter().copied().fold(f64::INFINITY, f64::min);
        return Err(LinalgError::OutOfRange { argument: "scale of a column of a", value, allowed: "1e-300 and above" });
    }
    Ok(out)
}

fn by_singular_values(a: &Matrix) -> Result<Whitening, LinalgError> {
    let d = a.columns();
    let svd = factor::dense_svd(&tsqr::tsqr_of_rows(a.into()).r)?;
    let top = svd.s.iter().copied().fold(0.0, f64::max);
    let tolerance = top * f64::EPSILON * 64.0 * d as f64;
    let kept: Vec<usize> = (0..d).filter(|&j| svd.s[j] > tolerance && svd.s[j] > 0.0).collect();
    let bottom = kept.iter().map(|&j| svd.s[j]).fold(f64::INFINITY, f64::min);
    let transform = Matrix::from_fn(d, kept.len(), |i, c| svd.v[(i, kept[c])] / svd.s[kept[c]]);
    let condition = if kept.is_empty() { 1.0 } else { top / bottom };
    Ok(Whitening { transform, rank: kept.len(), condition, path: Path::Preconditioned })
}

/// Whether a column has no entry but zeros.
fn is_zero(a: Rows<'_>, j: usize) -> bool {
    let (mut unit, mut column) = (vec![0.0; a.columns()], vec![0.0; a.rows()]);
    unit[j] = 1.0;
    a.multiply_vector_into(&unit, &mut column);
    column.iter().all(|v| *v == 0.0)
}

/// Leverage scores `τ_i = a_iᵀ(AᵀA)⁺a_i` of the rows of `A`, dense or sparse (row LA-4): each in `[0, 1]`, sum = rank.
///
/// Cost `2·n·d²` flops and two passes over `A`; four and three of them beyond condition 1e3, so that no more digits are
/// lost than by Householder QR.
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
pub fn leverage_scores<'a>(a: impl Into<Rows<'a>>) -> Result<Vec<f64>, LinalgError> {
    leverage_scores_observed(a, &mut ())
}

/// [`leverage_scores`] with cancellation, as [`whiten_observed`].
///
/// # Errors
/// As [`whiten_observed`].
pub fn leverage_scores_observed<'a>(
    a: impl Into<Rows<'a>>,
    observer: &mut dyn Observer,
) -> Result<Vec<f64>, LinalgError> {
    let a = a.into();
    let watch = &mut Watch::new(observer);
    let mut scores = match whiten_to(a, None, TRUSTED_FOR_SCORES, watch) {
        Ok(whitening) => row_norms_squared_observed(a, &whitening.transform, watch)?,
        // The transform of a column below 1e-300 cannot be stored, that of the scaled columns can.
        Err(LinalgError::OutOfRange { .. }) => {
            let scaled = Scaled::new(a, &column_scales(a), None)?;
            let whitening = whiten_to(scaled.rows(), None, TRUSTED_FOR_SCORES, watch)?;
            row_norms_squared_observed(scaled.rows(), &whitening.transform, watch)?
        }
        Err(e) => return Err(e),
    };
    scores.iter_mut().for_each(|t| *t = if *t > 1.0 { 1.0 } else { *t });
    Ok(scores)
}
