//! What a Gram matrix alone says of its columns.
use crate::{LinalgError, Matrix, random, sums};

use super::{Path, Whitening};

/// A column whose part outside the columns before it has less than this share of its squared norm is left out of the factor
/// of a Gram matrix.
const DEPENDENT: f64 = 1e-10;

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
