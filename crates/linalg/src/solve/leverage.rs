//! Leverage scores, the whitening transform they come from, and passes that weigh rows by them.
//!
//! The Gram matrix of the rows gives a triangular transform in one pass; a second pass takes the norms. Where the columns
//! are too close to dependent for the square of their condition number, the transform of a first round (of the Gram matrix,
//! or of a sketch) preconditions a second one, which loses no more digits than Householder QR does.
use rayon::prelude::*;

use crate::dense::ROW_BLOCK;
use crate::gram::panels::{self, Packed, Task};
use crate::gram::{self, BLOCK, Gram};
use crate::rows::Rows;
use crate::sketch::{Kind, Sketch};
use crate::{CsrMatrix, LinalgError, Matrix, factor, random, sums, tsqr};

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
    pub fn norms_squared<'a>(&self, a: impl Into<Rows<'a>>) -> Vec<f64> {
        match a.into() {
            Rows::Sparse(a) if self.condition <= INVERTIBLE && a.nnz() < a.rows() * self.rank / 2 => {
                quadratic_forms(a, &self.transform)
            }
            a => row_norms_squared(a, &self.transform),
        }
    }
}

fn quadratic_forms(a: &CsrMatrix, transform: &Matrix) -> Vec<f64> {
    let inverse = transform.multiply(&transform.transpose()).expect("shapes match");
    let mut out = vec![0.0; a.rows()];
    out.par_chunks_mut(BLOCK).enumerate().for_each(|(b, out)| {
        for (k, q) in out.iter_mut().enumerate() {
            let (indices, values) = a.row(b * BLOCK + k);
            let mut sum = 0.0;
            for (p, (&i, &v)) in indices.iter().zip(values).enumerate() {
                let row = inverse.row(i as usize);
                let beside: f64 = indices[..p].iter().zip(values).map(|(&j, u)| row[j as usize] * u).sum();
                sum += v * (2.0 * beside + row[i as usize] * v);
            }
            *q = sum.max(0.0);
        }
    });
    out
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
/// A column whose part outside the columns before it has less than this share of its squared norm is left out of the factor
/// of a Gram matrix.
const DEPENDENT: f64 = 1e-10;

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
    whiten_to(a.into(), weights, TRUSTED)
}

fn whiten_to(a: Rows<'_>, weights: Option<&[f64]>, trusted: f64) -> Result<Whitening, LinalgError> {
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
    whiten_from(a, weights, &gram::unchecked(a, weights, None)?.matrix, trusted)
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
    whiten_from(a.into(), weights, gram, TRUSTED)
}

fn whiten_from(a: Rows<'_>, weights: Option<&[f64]>, gram: &Matrix, trusted: f64) -> Result<Whitening, LinalgError> {
    // An entry that is not finite makes its diagonal entry of the Gram matrix so; squares must neither over- nor underflow.
    let safe = (0..gram.rows()).all(|j| {
        let square = gram[(j, j)];
        (1e-200..1e200).contains(&square) || square == 0.0 && is_zero(a, j)
    });
    if !safe {
        return preconditioned(a, weights);
    }
    let first = factor_gram(gram)?;
    if first.dropped() == 0 && first.whitening.condition <= trusted {
        return Ok(first.whitening);
    }
    if first.dropped() == 0 && first.whitening.condition <= REPEATABLE {
        let product = gram_of_product(a, weights, &first.whitening.transform)?;
        let second = factor_gram(&product)?;
        if second.dropped() == 0 && second.whitening.condition < 2.0 {
            let transform = first.whitening.transform.multiply(&second.whitening.transform)?;
            return Ok(Whitening { transform, path: Path::Twice, ..first.whitening });
        }
    }
    let careful = preconditioned(a, weights)?;
    // The columns left out do depend on the others: what is left is as good as any.
    let enough = careful.rank == first.whitening.rank && first.whitening.condition <= trusted;
    Ok(if enough { first.whitening } else { careful })
}

/// What a Gram matrix alone says.
#[derive(Clone, Debug, PartialEq)]
pub struct GramFactor {
    /// The transform, with zero rows for columns left out.
    pub whitening: Whitening,
    /// Columns that are in it. Those left out depend, to about five digits, on columns before them; whether they do exactly
    /// cannot be seen from the Gram matrix.
    pub kept: Vec<usize>,
}

impl GramFactor {
    /// Columns left out.
    pub fn dropped(&self) -> usize {
        self.whitening.transform.rows() - self.kept.len()
    }
}

/// The transform from a Gram matrix, by Cholesky in the order of the columns. Cost `d³` flops.
///
/// # Errors
/// [`LinalgError::OutOfRange`] when a diagonal entry is negative, not finite, or too small for a scale.
pub fn factor_gram(gram: &Matrix) -> Result<GramFactor, LinalgError> {
    let d = gram.rows();
    let mut scales = vec![0.0; d];
    for (j, s) in scales.iter_mut().enumerate() {
        let value = gram[(j, j)];
        if !(value == 0.0 || (1e-300..1e300).contains(&value)) {
            return Err(LinalgError::OutOfRange {
                argument: "squared norm of a column",
                value,
                allowed: "1e-300 to 1e300",
            });
        }
        *s = if value == 0.0 { 0.0 } else { 1.0 / sums::power_of_two_scale(value.sqrt()) };
    }
    // Rows of L for all columns, against the kept ones.
    let mut lower = Matrix::try_zeros(d, d)?;
    let mut kept: Vec<usize> = Vec::with_capacity(d);
    for i in 0..d {
        for (c, &k) in kept.iter().enumerate() {
            let (head, row) = lower.as_mut_slice().split_at_mut(i * d);
            let other = &head[k * d..][..=c];
            let g = gram[(i, k)] * scales[i] * scales[k];
            row[c] = (g - sums::dot(&row[..c], &other[..c])) / other[c];
        }
        let row = &lower.row(i)[..kept.len()];
        let own = gram[(i, i)] * scales[i] * scales[i];
        let pivot = own - sums::dot(row, row);
        if own > 0.0 && pivot > DEPENDENT * own {
            let c = kept.len();
            lower[(i, c)] = pivot.sqrt();
            kept.push(i);
        }
    }
    // Rows of L⁻¹ of the kept columns.
    let r = kept.len();
    let factor = Matrix::from_fn(r, r, |i, c| lower[(kept[i], c)]);
    let mut inverse = Matrix::zeros(r, r);
    for i in 0..r {
        let (done, row) = inverse.as_mut_slice().split_at_mut(i * r);
        let row = &mut row[..r];
        for (j, above) in done.chunks_exact(r.max(1)).enumerate() {
            sums::axpy(-factor[(i, j)], &above[..i], &mut row[..i]);
        }
        row[i] = 1.0;
        row[..=i].iter_mut().for_each(|v| *v /= factor[(i, i)]);
    }
    let mut transform = Matrix::zeros(d, r);
    for (i, &k) in kept.iter().enumerate() {
        for c in i..r {
            transform[(k, c)] = inverse[(c, i)] * scales[k];
        }
    }
    let condition = if r == 0 { 1.0 } else { largest_singular_value(&factor) * largest_singular_value(&inverse) };
    if transform.as_slice().iter().any(|v| !v.is_finite()) {
        let value = scales.iter().copied().fold(0.0, f64::max);
        return Err(LinalgError::OutOfRange {
            argument: "scale of a column",
            value: 1.0 / value,
            allowed: "1e-150 and above",
        });
    }
    let whitening = Whitening { transform, rank: r, condition: condition.max(1.0), path: Path::Gram };
    Ok(GramFactor { whitening, kept })
}

/// By power iteration.
fn largest_singular_value(m: &Matrix) -> f64 {
    const STEPS: usize = 16;
    let mut rng = random::Streams::new(0x5eed).stream(0);
    let mut x: Vec<f64> = (0..m.columns()).map(|_| random::normal(&mut rng)).collect();
    let mut y = vec![0.0; m.rows()];
    let mut value = 0.0;
    for _ in 0..STEPS {
        let norm = sums::norm(&x);
        if norm == 0.0 {
            break;
        }
        x.iter_mut().for_each(|v| *v /= norm);
        m.multiply_vector_into(&x, &mut y);
        value = sums::norm(&y);
        m.multiply_transpose_vector_into(&y, &mut x);
    }
    value
}

/// The transform by way of a sketch, whose singular values decide the rank.
fn preconditioned(a: Rows<'_>, weights: Option<&[f64]>) -> Result<Whitening, LinalgError> {
    a.check_finite("a")?;
    let d = a.columns();
    let scales = column_scales(a);
    let scaled = Scaled::new(a, &scales, weights);
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
        let first = by_singular_values(&small)?;
        let again = factor_gram(&gram_of_product(scaled.rows(), None, &first.transform)?)?;
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

/// `A` with columns scaled and rows weighted.
enum Scaled {
    Dense(Matrix),
    Sparse(CsrMatrix),
}

impl Scaled {
    fn new(a: Rows<'_>, scales: &[f64], weights: Option<&[f64]>) -> Self {
        let roots: Option<Vec<f64>> = weights.map(|w| w.iter().map(|w| w.sqrt()).collect());
        match a {
            Rows::Joined(..) => {
                let every: Vec<usize> = (0..a.rows()).collect();
                Scaled::new((&a.select_rows(&every)).into(), scales, weights)
            }
            Rows::Dense(a) => {
                let mut copy = scale_columns(a, scales);
                if let Some(roots) = &roots {
                    for (row, w) in copy.as_mut_slice().chunks_exact_mut(a.columns()).zip(roots) {
                        row.iter_mut().for_each(|v| *v *= w);
                    }
                }
                Scaled::Dense(copy)
            }
            Rows::Sparse(a) => {
                let mut copy = a.clone();
                let values = copy.values_mut();
                for i in 0..a.rows() {
                    let root = roots.as_ref().map_or(1.0, |r| r[i]);
                    for p in a.row_range(i) {
                        values[p] = values[p] / scales[a.indices()[p] as usize] * root;
                    }
                }
                Scaled::Sparse(copy)
            }
        }
    }

    fn rows(&self) -> Rows<'_> {
        match self {
            Scaled::Dense(m) => m.into(),
            Scaled::Sparse(m) => m.into(),
        }
    }
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

/// Power of two at or above the largest entry of each column.
pub(crate) fn column_scales<'a>(a: impl Into<Rows<'a>>) -> Vec<f64> {
    let a = a.into();
    let d = a.columns();
    let largest = match a {
        Rows::Joined(a, b) => {
            let mut scales = column_scales(a);
            scales.push(sums::power_of_two_scale(b.iter().fold(0.0, |m, v| f64::max(m, v.abs()))));
            return scales;
        }
        Rows::Sparse(a) => {
            let mut largest = vec![0.0_f64; d];
            a.iter().for_each(|(_, j, v)| largest[j] = largest[j].max(v.abs()));
            largest
        }
        Rows::Dense(a) => {
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
            (0..d).map(|j| parts.iter().fold(0.0_f64, |m, p| m.max(p[j]))).collect()
        }
    };
    largest.into_iter().map(sums::power_of_two_scale).collect()
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

/// The Gram matrix of `D^½ A T`.
pub(crate) fn gram_of_product(a: Rows<'_>, weights: Option<&[f64]>, transform: &Matrix) -> Result<Matrix, LinalgError> {
    let (d, r) = (transform.rows(), transform.columns());
    if r == 0 {
        return Ok(Matrix::zeros(0, 0));
    }
    let packed = Packed::new(transform);
    let ld = panels::stride(r);
    let sums = gram::in_blocks(a.rows(), ld, |from, to, out, scratch| {
        let weights = weights.map(|w| &w[from..to]);
        match (a, a.dense_part(from, to)) {
            (_, Some(rows)) => {
                panels::run(rows, d, Task::GramOfProduct { transform: &packed, weights, out }, scratch);
            }
            (Rows::Sparse(a), _) => {
                let mut product = vec![0.0; (to - from) * r];
                for (i, y) in (from..to).zip(product.chunks_exact_mut(r)) {
                    sparse_product(a, i, transform, y);
                }
                panels::run((&product, None), r, Task::Gram { weights, right: None, out }, scratch);
            }
            _ => unreachable!("rows are sparse or have a dense part"),
        }
    })?;
    Ok(gram::unpack(&sums, r, ld, false)?.matrix)
}

/// `Tᵀ a_i`.
fn sparse_product(a: &CsrMatrix, i: usize, transform: &Matrix, y: &mut [f64]) {
    y.fill(0.0);
    let (indices, values) = a.row(i);
    for (&j, &v) in indices.iter().zip(values) {
        sums::axpy(v, transform.row(j as usize), y);
    }
}

/// Squared row norms of `A T`, without storing `A T`. The value of a row does not depend on the rows beside it.
///
/// Cost `2·n·d·r` flops, half of that for a triangular `T`; `2·nnz·r` for sparse rows.
///
/// # Panics
/// When `T` has not as many rows as `A` has columns.
pub fn row_norms_squared<'a>(a: impl Into<Rows<'a>>, transform: &Matrix) -> Vec<f64> {
    let a = a.into();
    let d = a.columns();
    assert_eq!(d, transform.rows(), "{d} columns times {} rows", transform.rows());
    let mut out = vec![0.0; a.rows()];
    if d == 0 || transform.columns() == 0 {
        return out;
    }
    let packed = Packed::new(transform);
    out.par_chunks_mut(BLOCK).enumerate().for_each_init(panels::Scratch::default, |scratch, (b, out)| {
        norms_of_block(a, b * BLOCK, transform, &packed, out, scratch);
    });
    out
}

fn norms_of_block(
    a: Rows<'_>,
    from: usize,
    transform: &Matrix,
    packed: &Packed,
    out: &mut [f64],
    scratch: &mut panels::Scratch,
) {
    match (a, a.dense_part(from, from + out.len())) {
        (_, Some(rows)) => panels::run(rows, a.columns(), Task::Norms { transform: packed, out }, scratch),
        (Rows::Sparse(a), _) => {
            let mut y = vec![0.0; transform.columns()];
            for (k, q) in out.iter_mut().enumerate() {
                sparse_product(a, from + k, transform, &mut y);
                *q = sums::dot(&y, &y);
            }
        }
        _ => unreachable!("rows are sparse or have a dense part"),
    }
}

/// One pass for what iterations on weights need twice: the squared row norms of `A T`, and the Gram matrix of the rows with
/// weights that `weigh` makes of the norms of consecutive rows: of the first one's number, and as many norms as weights.
///
/// Row LA-14 of `paper-refs.md`.
///
/// Cost `2·n·d·r + n·d²` flops, half of the first for a triangular `T`; reads `A` once. Same bits for every thread count.
///
/// # Errors
/// [`LinalgError::Length`] when `T` has not as many rows as `A` has columns; [`LinalgError::TooLarge`].
pub fn reweigh<'a>(
    a: impl Into<Rows<'a>>,
    transform: &Matrix,
    weigh: &(dyn Fn(usize, &[f64], &mut [f64]) + Sync),
) -> Result<(Vec<f64>, Matrix), LinalgError> {
    let a = a.into();
    let (n, d) = (a.rows(), a.columns());
    if transform.rows() != d {
        return Err(LinalgError::Length { argument: "rows of transform", given: transform.rows(), expected: d });
    }
    if d == 0 || n == 0 {
        return Ok((vec![0.0; n], Matrix::zeros(d, d)));
    }
    let packed = Packed::new(transform);
    let mut norms = vec![0.0; n];
    let mut parts: Vec<&mut [f64]> = norms.chunks_mut(BLOCK).collect();
    let ld = gram::stride(a);
    let sums =
        gram::in_blocks_with(n, ld, &mut parts, |from, to, out, norms, scratch| match (a, a.dense_part(from, to)) {
            (_, Some(rows)) => {
                let weigh = &|i: usize, q: &[f64], w: &mut [f64]| weigh(from + i, q, w);
                panels::run(rows, d, Task::Reweighed { transform: &packed, norms, weigh, out }, scratch);
            }
            (Rows::Sparse(sparse), _) => {
                norms_of_block(a, from, transform, &packed, norms, scratch);
                let mut weights = vec![0.0; norms.len()];
                weigh(from, norms, &mut weights);
                gram::add_sparse(sparse, from, to, Some(&weights), None, out);
            }
            _ => unreachable!("rows are sparse or have a dense part"),
        })?;
    let Gram { matrix, .. } = gram::unpack(&sums, d, ld, false)?;
    Ok((norms, matrix))
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
    let a = a.into();
    let mut scores = match whiten_to(a, None, TRUSTED_FOR_SCORES) {
        Ok(whitening) => row_norms_squared(a, &whitening.transform),
        // The transform of a column below 1e-300 cannot be stored, that of the scaled columns can.
        Err(LinalgError::OutOfRange { .. }) => {
            let scaled = Scaled::new(a, &column_scales(a), None);
            row_norms_squared(scaled.rows(), &whiten_to(scaled.rows(), None, TRUSTED_FOR_SCORES)?.transform)
        }
        Err(e) => return Err(e),
    };
    scores.iter_mut().for_each(|t| *t = if *t > 1.0 { 1.0 } else { *t });
    Ok(scores)
}
