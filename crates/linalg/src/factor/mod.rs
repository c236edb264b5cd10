//! Factorisations of small dense matrices: Cholesky, symmetric eigenvalues, singular values.
mod cholesky;
pub mod growing_cholesky;
pub mod tsqr;

pub use cholesky::Cholesky;
use faer::dyn_stack::{MemBuffer, MemStack};

use crate::{LinalgError, Matrix, sums};

/// Solves `R x = b` in place, `R` upper triangular with a diagonal free of zeros. Cost `d²` flops.
///
/// # Panics
/// When `b` is not as long as `R` is wide.
pub fn solve_upper_in_place(r: &Matrix, b: &mut [f64]) {
    for i in (0..r.columns()).rev() {
        b[i] = (b[i] - sums::dot(&r.row(i)[i + 1..], &b[i + 1..])) / r[(i, i)];
    }
}

/// `R⁻¹` of an upper triangular `R` without zeros on the diagonal, by rows from the last. Cost `d³/3` flops.
pub fn invert_upper(r: &Matrix) -> Matrix {
    let d = r.columns();
    let mut inverse = Matrix::zeros(d, d);
    for i in (0..d).rev() {
        let (head, below) = inverse.as_mut_slice().split_at_mut((i + 1) * d);
        let row = &mut head[i * d..];
        for (j, known) in (i + 1..d).zip(below.chunks_exact(d)) {
            sums::axpy(-r[(i, j)], &known[j..], &mut row[j..]);
        }
        row[i] = 1.0;
        row[i..].iter_mut().for_each(|v| *v /= r[(i, i)]);
    }
    inverse
}

/// Solves `Rᵀ x = b` in place.
///
/// # Panics
/// When `b` is not as long as `R` is wide.
pub fn solve_upper_transpose_in_place(r: &Matrix, b: &mut [f64]) {
    for i in 0..r.columns() {
        let x = b[i] / r[(i, i)];
        b[i] = x;
        let (_, tail) = b.split_at_mut(i + 1);
        sums::axpy(-x, &r.row(i)[i + 1..], tail);
    }
}

/// Lower estimate of the condition number `‖M‖₁‖M⁻¹‖₁` from solves with `M` and `Mᵀ` (Hager 1984, Higham 1988): seldom
/// more than a factor of 3 below. At most five pairs of solves. Infinite when a solve overflows.
pub fn condition_estimate(
    norm_1: f64,
    d: usize,
    mut solve: impl FnMut(&mut [f64]),
    mut solve_transpose: impl FnMut(&mut [f64]),
) -> f64 {
    if d == 0 {
        return 1.0;
    }
    let mut x = vec![1.0 / d as f64; d];
    let mut inverse = 0.0_f64;
    let mut previous = usize::MAX;
    for _ in 0..5 {
        solve(&mut x);
        let norm: f64 = x.iter().map(|v| v.abs()).sum();
        if !norm.is_finite() {
            return f64::INFINITY;
        }
        if norm <= inverse {
            break;
        }
        inverse = norm;
        x.iter_mut().for_each(|v| *v = if *v < 0.0 { -1.0 } else { 1.0 });
        solve_transpose(&mut x);
        let at = (0..d).max_by(|&a, &b| x[a].abs().total_cmp(&x[b].abs())).unwrap_or(0);
        if at == previous {
            break;
        }
        previous = at;
        x.fill(0.0);
        x[at] = 1.0;
    }
    // Higham's second vector, against matrices that deceive the ascent.
    let mut x: Vec<f64> =
        (0..d).map(|i| (1.0 + i as f64 / (d as f64 - 1.0).max(1.0)) * if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
    solve(&mut x);
    let other = 2.0 * x.iter().map(|v| v.abs()).sum::<f64>() / (3.0 * d as f64);
    if other.is_nan() {
        return f64::INFINITY;
    }
    (norm_1 * inverse.max(other)).max(1.0)
}

/// Largest absolute column sum.
pub fn norm_1(a: &Matrix) -> f64 {
    let mut sums = vec![0.0; a.columns()];
    for i in 0..a.rows() {
        sums.iter_mut().zip(a.row(i)).for_each(|(s, v)| *s += v.abs());
    }
    sums.into_iter().fold(0.0, f64::max)
}

pub(crate) fn check_square(a: &Matrix) -> Result<(), LinalgError> {
    let (rows, columns) = (a.rows(), a.columns());
    if rows == columns {
        return Ok(());
    }
    Err(LinalgError::Shape { argument: "a", rows, columns, expected: "as many rows as columns".to_owned() })
}

/// Eigenvalues (ascending) and eigenvectors (columns) of a symmetric matrix; its lower triangle is read.
///
/// # Errors
/// [`LinalgError::Shape`] for a matrix that is not square; [`LinalgError::NotFinite`], [`LinalgError::NoConvergence`];
/// [`LinalgError::OutOfRange`] when an eigenvalue is too large for a number.
pub fn symmetric_eigen(a: &Matrix) -> Result<(Vec<f64>, Matrix), LinalgError> {
    check_square(a)?;
    a.check_finite("a")?;
    let n = a.rows();
    if n == 0 {
        return Ok((Vec::new(), Matrix::zeros(0, 0)));
    }
    let (scaled, scale) = scaled_entries(a);
    let mut values = faer::diag::Diag::<f64>::zeros(n);
    let mut vectors = faer::Mat::<f64>::zeros(n, n);
    let params = faer::Spec::default();
    let mut memory = MemBuffer::new(faer::linalg::evd::self_adjoint_evd_scratch::<f64>(
        n,
        faer::linalg::evd::ComputeEigenvectors::Yes,
        faer::Par::Seq,
        params,
    ));
    faer::linalg::evd::self_adjoint_evd(
        faer::MatRef::from_row_major_slice(&scaled, n, n),
        values.as_mut(),
        Some(vectors.as_mut()),
        faer::Par::Seq,
        MemStack::new(&mut memory),
        params,
    )
    .map_err(|_| LinalgError::NoConvergence { method: "symmetric eigenvalue iteration" })?;
    let values: Vec<f64> = values.column_vector().iter().map(|x| x * scale).collect();
    if let Some(&value) = values.iter().find(|v| !v.is_finite()) {
        return Err(LinalgError::OutOfRange { argument: "eigenvalue", value, allowed: "finite; scale a" });
    }
    Ok((values, Matrix::from_fn(n, n, |i, j| vectors[(i, j)])))
}

/// Entries divided by the power of two at their largest, which keeps squares inside the range of `f64` and changes no digit.
fn scaled_entries(a: &Matrix) -> (Vec<f64>, f64) {
    let largest = a.as_slice().iter().fold(0.0_f64, |s, x| s.max(x.abs()));
    let scale = sums::power_of_two_scale(largest);
    (a.as_slice().iter().map(|x| x / scale).collect(), scale)
}

/// Thin singular value decomposition `A = U diag(s) Vᵀ`, `s` descending.
#[derive(Clone, Debug)]
pub struct DenseSvd {
    /// Left vectors, `m × min(m, n)`.
    pub u: Matrix,
    /// Singular values, the largest first.
    pub s: Vec<f64>,
    /// Right vectors, `n × min(m, n)`.
    pub v: Matrix,
}

/// Thin SVD of a dense matrix. Cost `O(m·n·min(m, n))` flops, one thread.
///
/// # Errors
/// [`LinalgError::NotFinite`], [`LinalgError::NoConvergence`]; [`LinalgError::OutOfRange`] when a singular value is too
/// large for a number.
pub fn dense_svd(a: &Matrix) -> Result<DenseSvd, LinalgError> {
    a.check_finite("a")?;
    let (m, n) = (a.rows(), a.columns());
    let k = m.min(n);
    if k == 0 {
        return Ok(DenseSvd { u: Matrix::zeros(m, 0), s: Vec::new(), v: Matrix::zeros(n, 0) });
    }
    let (scaled, scale) = scaled_entries(a);
    let mut s = faer::diag::Diag::<f64>::zeros(k);
    let (mut u, mut v) = (faer::Mat::<f64>::zeros(m, k), faer::Mat::<f64>::zeros(n, k));
    let params = faer::Spec::default();
    let vectors = faer::linalg::svd::ComputeSvdVectors::Thin;
    let mut memory =
        MemBuffer::new(faer::linalg::svd::svd_scratch::<f64>(m, n, vectors, vectors, faer::Par::Seq, params));
    faer::linalg::svd::svd(
        faer::MatRef::from_row_major_slice(&scaled, m, n),
        s.as_mut(),
        Some(u.as_mut()),
        Some(v.as_mut()),
        faer::Par::Seq,
        MemStack::new(&mut memory),
        params,
    )
    .map_err(|_| LinalgError::NoConvergence { method: "singular value iteration" })?;
    let s: Vec<f64> = s.column_vector().iter().map(|x| x * scale).collect();
    if let Some(&value) = s.iter().find(|s| !s.is_finite()) {
        return Err(LinalgError::OutOfRange { argument: "singular value", value, allowed: "finite; scale a" });
    }
    Ok(DenseSvd { u: Matrix::from_fn(m, k, |i, j| u[(i, j)]), s, v: Matrix::from_fn(n, k, |i, j| v[(i, j)]) })
}
