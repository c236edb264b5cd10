//! Truncated SVD of any linear operator by randomised block Krylov iteration.
//!
//! faer 0.24.4's `partial_svd` panics when `min(m, n) ≤ max(64, 2k)` and never returns on zero or NaN input; here the
//! dense SVD serves small shapes and every input is answered.
use crate::operator::LinearOperator;
use crate::random::{StreamRng, Streams};
use crate::{LinalgError, Matrix, factor, random, sums};

/// Settings of [`truncated_svd`].
#[derive(Clone, Debug)]
pub struct SvdOptions {
    /// Krylov steps beyond the first product. Default 3; more sharpen close singular values.
    pub steps: usize,
    /// Columns beyond `k` in the block. Default 5.
    pub oversampling: usize,
    /// Seed of the first block. Default 0.
    pub seed: u64,
}

impl Default for SvdOptions {
    fn default() -> Self {
        Self { steps: 3, oversampling: 5, seed: 0 }
    }
}

/// The `k` leading triplets with a residual for each.
#[derive(Clone, Debug)]
pub struct TruncatedSvd {
    /// Left vectors, `m × k`, orthonormal.
    pub u: Matrix,
    /// Singular values, descending.
    pub s: Vec<f64>,
    /// Right vectors, `n × k`.
    pub v: Matrix,
    /// `‖A v_j − s_j u_j‖`: some singular value of `A` lies within this distance of `s_j`.
    pub residuals: Vec<f64>,
}

/// The `k` leading singular triplets of `a` (row LA-6).
///
/// Cost `2(steps + 1)` products with blocks of `k + oversampling` columns, plus orthogonalisation
/// `O((m + n)·(k·steps)²)`. `k` is cut at `min(m, n)`. The same seed gives the same result for every thread count.
///
/// # Errors
/// [`LinalgError::NotFinite`] when a product is not finite, [`LinalgError::OutOfRange`] when a singular value is too large
/// for a number; [`LinalgError::Empty`]; [`LinalgError::NoConvergence`].
pub fn truncated_svd(a: &dyn LinearOperator, k: usize, options: &SvdOptions) -> Result<TruncatedSvd, LinalgError> {
    truncated_svd_with(a, k, options, &mut Streams::new(options.seed).stream(0))
}

/// [`truncated_svd`] that draws from a generator in place of the seed, for crates of the collection that draw more from it.
///
/// # Errors
/// As [`truncated_svd`].
#[doc(hidden)]
pub fn truncated_svd_with(
    a: &dyn LinearOperator,
    k: usize,
    options: &SvdOptions,
    rng: &mut StreamRng,
) -> Result<TruncatedSvd, LinalgError> {
    let (m, n) = a.shape();
    if m == 0 || n == 0 {
        return Err(LinalgError::Empty { argument: "a" });
    }
    let k = k.min(m).min(n);
    let width = (k + options.oversampling).min(m).min(n);
    let basis = if width * (options.steps + 1) >= m.min(n) {
        // The Krylov space would be the whole space: take all of it.
        if m <= n { Matrix::identity(m) } else { column_space(a, n, k, rng)? }
    } else {
        krylov_basis(a, width, options.steps, rng)?
    };
    // A ≈ Q (Aᵀ Q)ᵀ: the SVD of the small side.
    let projected = a.apply_transpose_block(&basis);
    projected.check_finite("product with a")?;
    let small = factor::dense_svd(&projected)?;
    let kept = k.min(small.s.len());
    let u = basis.multiply(&Matrix::from_fn(small.v.rows(), kept, |i, j| small.v[(i, j)]))?;
    let v = Matrix::from_fn(n, kept, |i, j| small.u[(i, j)]);
    let s = small.s[..kept].to_vec();
    let av = a.apply_block(&v);
    let residuals: Vec<f64> =
        (0..kept).map(|j| sums::norm(&(0..m).map(|i| av[(i, j)] - s[j] * u[(i, j)]).collect::<Vec<_>>())).collect();
    if let Some(&value) = residuals.iter().find(|r| !r.is_finite()) {
        return Err(LinalgError::OutOfRange { argument: "residual of a triplet", value, allowed: "finite; scale a" });
    }
    Ok(TruncatedSvd { u, s, v, residuals })
}

/// An orthonormal basis of the column space, completed to at least `k` columns.
fn column_space(a: &dyn LinearOperator, n: usize, k: usize, rng: &mut StreamRng) -> Result<Matrix, LinalgError> {
    let all = a.apply_block(&Matrix::identity(n));
    let m = all.rows();
    let mut basis = columns(&orthonormal(&normalised(all)?)?);
    while basis.len() < k {
        extend_orthonormal(&mut basis, vec![(0..m).map(|_| random::normal(rng)).collect()]);
    }
    Ok(Matrix::from_fn(m, basis.len(), |i, j| basis[j][i]))
}

fn krylov_basis(
    a: &dyn LinearOperator,
    width: usize,
    steps: usize,
    rng: &mut StreamRng,
) -> Result<Matrix, LinalgError> {
    let (m, n) = a.shape();
    let start = Matrix::from_fn(n, width, |_, _| random::normal(rng));
    let mut block = orthonormal(&normalised(a.apply_block(&start))?)?;
    let mut all: Vec<Vec<f64>> = columns(&block);
    for _ in 0..steps {
        // Normalised after each product, so that the square of A neither overflows nor vanishes.
        let back = normalised(a.apply_transpose_block(&block))?;
        let next = normalised(a.apply_block(&back))?;
        let before = all.len();
        extend_orthonormal(&mut all, columns(&next));
        if all.len() == before {
            break;
        }
        block = Matrix::from_fn(m, all.len() - before, |i, j| all[before + j][i]);
    }
    while all.len() < width {
        // A has lower rank than asked for: any directions complete the basis, with singular value zero.
        extend_orthonormal(&mut all, vec![(0..m).map(|_| random::normal(rng)).collect()]);
    }
    Ok(Matrix::from_fn(m, all.len(), |i, j| all[j][i]))
}

fn normalised(mut a: Matrix) -> Result<Matrix, LinalgError> {
    a.check_finite("product with a")?;
    let scale = a.norm();
    if scale > 0.0 {
        a.as_mut_slice().iter_mut().for_each(|v| *v /= scale);
    }
    Ok(a)
}

fn columns(a: &Matrix) -> Vec<Vec<f64>> {
    (0..a.columns()).map(|j| a.copy_column(j)).collect()
}

/// Orthonormal basis of the columns; dependent ones are dropped, so a zero matrix has none.
fn orthonormal(a: &Matrix) -> Result<Matrix, LinalgError> {
    a.check_finite("product with a")?;
    let mut basis = Vec::new();
    extend_orthonormal(&mut basis, columns(a));
    Ok(Matrix::from_fn(a.rows(), basis.len(), |i, j| basis[j][i]))
}

/// Gram–Schmidt, twice (which is enough: the second pass leaves an error of the order of ε).
fn extend_orthonormal(basis: &mut Vec<Vec<f64>>, candidates: Vec<Vec<f64>>) {
    for mut c in candidates {
        let original = sums::norm(&c);
        if original == 0.0 {
            continue;
        }
        c.iter_mut().for_each(|x| *x /= original);
        for _ in 0..2 {
            for q in basis.iter() {
                let projection = sums::dot(q, &c);
                sums::axpy(-projection, q, &mut c);
            }
        }
        let left = sums::norm(&c);
        if left > 1e-10 {
            c.iter_mut().for_each(|x| *x /= left);
            // One more pass for candidates that lost most of their length.
            if left < 0.1 {
                for q in basis.iter() {
                    let projection = sums::dot(q, &c);
                    sums::axpy(-projection, q, &mut c);
                }
                let again = sums::norm(&c);
                c.iter_mut().for_each(|x| *x /= again);
            }
            basis.push(c);
        }
    }
}
