//! Dense least squares that is right on ill-conditioned and rank-deficient input, and says which way it went.
//!
//! faer 0.24.4's `qr().solve_lstsq` and `thin_svd().solve_lstsq` answer NaN, or finite and wrong, on tall input whose
//! condition is beyond about 1e10, because the unpivoted QR skips small columns and the solver ignores it. Here the
//! rank is decided on the singular values of the small triangular factor.
use crate::{LinalgError, Matrix, chunk, factor, gram, leverage, tsqr};

/// Which solver runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Method {
    /// Gram + Cholesky when the condition allows, else TSQR; minimum norm when the rank is deficient or `n < d`.
    #[default]
    Auto,
    /// Always TSQR with the singular values of R.
    Tsqr,
    /// Always Gram + Cholesky with one step of refinement; an error when it is not positive definite, as for `n < d`.
    Gram,
}

/// Which way the answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Normal equations with one refinement step.
    Gram,
    /// Triangular factor of `[A b]`, full rank.
    Tsqr,
    /// Singular values, rank deficient: the answer of least norm (after column scaling).
    MinimumNorm,
}

/// A least-squares answer with its evidence.
#[derive(Clone, Debug)]
pub struct LeastSquares {
    /// The minimiser of `‖A x − b‖`.
    pub x: Vec<f64>,
    /// Which way it came.
    pub path: Path,
    /// Numerical rank.
    pub rank: usize,
    /// Condition number of the column-scaled `A` over its numerical rank.
    pub condition: f64,
    /// `‖b − A x‖`.
    pub residual_norm: f64,
    /// `‖Aᵀr‖ / (‖A‖_F ‖r‖)`: zero at the minimiser, and at most 1. Zero when the residual is zero.
    pub residual_orthogonality: f64,
}

/// Largest condition number for which the Gram path is taken by [`Method::Auto`]: error about `ε·cond² < 1e-8` before
/// the refinement step.
const GRAM_CONDITION: f64 = 1e4;

/// Solves `min ‖A x − b‖₂` (row LA-3). Cost `n·d²` to `2·n·d²` flops.
///
/// ```
/// use samplewise_linalg::{Matrix, lstsq::{Method, least_squares}};
/// let a = Matrix::from_vec(3, 2, vec![1.0, 0.0, 1.0, 1.0, 1.0, 2.0])?;
/// let fit = least_squares(&a, &[1.0, 3.0, 5.0], Method::Auto)?;
/// assert!((fit.x[0] - 1.0).abs() < 1e-14 && (fit.x[1] - 2.0).abs() < 1e-14);
/// # Ok::<(), samplewise_linalg::LinalgError>(())
/// ```
///
/// # Errors
/// [`LinalgError::NotFinite`], [`LinalgError::Length`], [`LinalgError::Empty`];
/// [`LinalgError::NotPositiveDefinite`] only with [`Method::Gram`]; [`LinalgError::OutOfRange`] when an entry of the
/// solution is too large for a number.
pub fn least_squares(a: &Matrix, b: &[f64], method: Method) -> Result<LeastSquares, LinalgError> {
    let (n, d) = (a.rows(), a.columns());
    if n == 0 || d == 0 {
        return Err(LinalgError::Empty { argument: "a" });
    }
    if b.len() != n {
        return Err(LinalgError::Length { argument: "b", given: b.len(), expected: n });
    }
    a.check_finite("a")?;
    if let Some(row) = b.iter().position(|v| !v.is_finite()) {
        return Err(LinalgError::NotFinite { argument: "b", row, column: 0, value: b[row] });
    }
    let scales = leverage::column_scales(a);
    let b_scale = chunk::power_of_two_scale(b.iter().fold(0.0, |m: f64, v| m.max(v.abs())));
    let scaled = Matrix::from_fn(n, d, |i, j| a[(i, j)] / scales[j]);
    let target: Vec<f64> = b.iter().map(|v| v / b_scale).collect();
    if n < d && method == Method::Gram {
        return Err(LinalgError::NotPositiveDefinite { pivot: n, value: 0.0 });
    }
    let solved = if n >= d && method != Method::Tsqr { by_gram(&scaled, &target, method)? } else { None };
    let (mut x, path, rank, condition) = match solved {
        Some(s) => s,
        None => by_triangular(&scaled, &target)?,
    };
    let mut residual = vec![0.0; n];
    scaled.multiply_vector_into(&x, &mut residual);
    residual.iter_mut().zip(&target).for_each(|(r, t)| *r = t - *r);
    let mut gradient = vec![0.0; d];
    scaled.multiply_transpose_vector_into(&residual, &mut gradient);
    let residual_norm = chunk::norm(&residual);
    let scale = scaled.norm() * residual_norm;
    for (x, s) in x.iter_mut().zip(&scales) {
        let ratio = b_scale / s;
        *x = if ratio.is_normal() { *x * ratio } else { *x / s * b_scale };
        if !x.is_finite() {
            return Err(LinalgError::OutOfRange {
                argument: "scale of b over a column of a",
                value: ratio,
                allowed: "what leaves the solution finite",
            });
        }
    }
    Ok(LeastSquares {
        x,
        path,
        rank,
        condition,
        residual_norm: residual_norm * b_scale,
        residual_orthogonality: if scale > 0.0 { chunk::norm(&gradient) / scale } else { 0.0 },
    })
}

type Solved = (Vec<f64>, Path, usize, f64);

fn by_gram(a: &Matrix, b: &[f64], method: Method) -> Result<Option<Solved>, LinalgError> {
    let d = a.columns();
    let g = gram::gram(a, None, Some(b))?;
    let (values, _) = factor::symmetric_eigen(&g.matrix)?;
    let condition = (values[d - 1].max(0.0) / values[0].max(f64::MIN_POSITIVE)).sqrt();
    let trusted = values[0] > 0.0 && condition <= GRAM_CONDITION;
    if method == Method::Auto && !trusted {
        return Ok(None);
    }
    let factor = factor::Cholesky::new(&g.matrix, 0.0)?;
    let mut x = g.right;
    factor.solve_in_place(&mut x);
    let mut residual = vec![0.0; a.rows()];
    a.multiply_vector_into(&x, &mut residual);
    residual.iter_mut().zip(b).for_each(|(r, b)| *r = b - *r);
    let mut correction = vec![0.0; d];
    a.multiply_transpose_vector_into(&residual, &mut correction);
    factor.solve_in_place(&mut correction);
    chunk::axpy(1.0, &correction, &mut x);
    Ok(Some((x, Path::Gram, d, condition)))
}

fn by_triangular(a: &Matrix, b: &[f64]) -> Result<Solved, LinalgError> {
    let (n, d) = (a.rows(), a.columns());
    // Rounding of the factorisation, which grows like √n.
    let mut relative = f64::EPSILON * (8.0 + (n.max(d) as f64).sqrt());
    let (svd, right) = if n >= d {
        let joined = Matrix::from_fn(n, d + 1, |i, j| if j < d { a[(i, j)] } else { b[i] });
        let r = tsqr::tsqr(&joined).r;
        let square = Matrix::from_fn(d, d, |i, j| r[(i, j)]);
        // faer drops what is left of a column below 16·rows·ε; the rows of R then move up and its last pivot vanishes.
        let skipped = 16.0 * (d + 1 + 2048) as f64 * f64::EPSILON;
        if square[(d - 1, d - 1)].abs() <= skipped * chunk::norm(&square.copy_column(d - 1)) {
            relative = skipped;
        }
        (factor::dense_svd(&square)?, r.copy_column(d)[..d].to_vec())
    } else {
        (factor::dense_svd(a)?, b.to_vec())
    };
    let top = svd.s.first().copied().unwrap_or(0.0);
    let tolerance = top * relative;
    let rank = svd.s.iter().filter(|&&s| s > tolerance).count();
    let mut x = vec![0.0; d];
    for j in 0..rank {
        let coefficient = chunk::dot(&svd.u.copy_column(j), &right) / svd.s[j];
        chunk::axpy(coefficient, &svd.v.copy_column(j), &mut x);
    }
    let condition = if rank == 0 { 1.0 } else { top / svd.s[rank - 1] };
    Ok((x, if rank == d { Path::Tsqr } else { Path::MinimumNorm }, rank, condition))
}
