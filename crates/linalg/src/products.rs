//! Products of rows with rows: `A Bᵀ` and `A Aᵀ` for matrices whose rows are long and contiguous.
//!
//! The Gram matrix of columns that are stored one after the other is the product of the rows of `Xᵀ` with themselves.
//! Blocks of rows are computed apart, so that the bits do not depend on the number of threads.
use rayon::prelude::*;

use crate::LinalgError;

/// Rows of a block of [`rows_times_rows`].
const BLOCK: usize = 192;
/// Rows and columns of a tile of [`mirror`].
const TILE: usize = 16;

/// `out[i·stride + j] = Σ_l a_il b_jl` for the rows of `a` and `b`, each `k` long. Cost `2·m·n·k` flops.
///
/// # Errors
/// [`LinalgError::Length`] when a slice does not hold whole rows or `out` is too short.
pub fn rows_times_rows(a: &[f64], b: &[f64], k: usize, out: &mut [f64], stride: usize) -> Result<(), LinalgError> {
    let (m, n) = (whole_rows("a", a, k)?, whole_rows("b", b, k)?);
    check_target(out, m, n, stride)?;
    if m == 0 || n == 0 {
        return Ok(());
    }
    let right = faer::MatRef::from_row_major_slice(b, n, k).transpose();
    out.par_chunks_mut(BLOCK * stride)
        .zip(a.par_chunks(BLOCK * k))
        .for_each(|(out, a)| product(a, right, k, out, stride));
    Ok(())
}

/// The symmetric matrix `A Aᵀ` of the rows of `a`, both triangles, row `i` at `out[i·stride..]`. Cost `m²·k` flops.
///
/// # Errors
/// As [`rows_times_rows`].
pub fn rows_gram(a: &[f64], k: usize, out: &mut [f64], stride: usize) -> Result<(), LinalgError> {
    let m = whole_rows("a", a, k)?;
    check_target(out, m, m, stride)?;
    if m == 0 {
        return Ok(());
    }
    let all = faer::MatRef::from_row_major_slice(a, m, k).transpose();
    out.par_chunks_mut(BLOCK * stride).zip(a.par_chunks(BLOCK * k)).enumerate().for_each(|(i, (out, part))| {
        let columns = i * BLOCK + part.len() / k;
        product(part, all.subcols(0, columns), k, out, stride);
    });
    mirror(out, stride, 0, m);
    Ok(())
}

/// Copies the entries left of the diagonal of rows `first..size` to their mirror images, by tiles.
///
/// # Panics
/// When `matrix` is shorter than `size` rows of `stride`.
pub fn mirror(matrix: &mut [f64], stride: usize, first: usize, size: usize) {
    for i in (first..size).step_by(TILE) {
        let rows = i..(i + TILE).min(size);
        for l in (0..rows.end).step_by(TILE) {
            for a in rows.clone() {
                for b in l..(l + TILE).min(a) {
                    matrix[b * stride + a] = matrix[a * stride + b];
                }
            }
        }
    }
}

fn product(a: &[f64], right: faer::MatRef<'_, f64>, k: usize, out: &mut [f64], stride: usize) {
    let (m, n) = (a.len() / k, right.ncols());
    let left = faer::MatRef::from_row_major_slice(a, m, k);
    // Short of a last row that is not padded to the stride, the view is built transposed: columns of `out` are its rows.
    let out = faer::MatMut::from_column_major_slice_with_stride_mut(&mut out[..(m - 1) * stride + n], n, m, stride);
    let (out, accum) = (out.transpose_mut(), faer::Accum::Replace);
    faer::linalg::matmul::matmul(out, accum, left, right, 1.0, faer::Par::Seq);
}

fn whole_rows(argument: &'static str, a: &[f64], k: usize) -> Result<usize, LinalgError> {
    if k == 0 || !a.len().is_multiple_of(k) {
        return Err(LinalgError::Length { argument, given: a.len(), expected: a.len().next_multiple_of(k.max(1)) });
    }
    Ok(a.len() / k)
}

fn check_target(out: &[f64], m: usize, n: usize, stride: usize) -> Result<(), LinalgError> {
    let expected = if m == 0 || n == 0 { 0 } else { (m - 1) * stride + n };
    if stride < n || out.len() < expected {
        return Err(LinalgError::Length { argument: "out", given: out.len(), expected });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_equal_the_definition_for_every_shape_and_thread_count() {
        for (m, n, k, stride) in [(1, 1, 1, 1), (5, 3, 7, 4), (400, 250, 33, 401), (193, 200, 64, 200)] {
            let a: Vec<f64> = (0..m * k).map(|i| ((i * 7) % 11) as f64 - 5.0).collect();
            let b: Vec<f64> = (0..n * k).map(|i| ((i * 5) % 13) as f64 - 6.0).collect();
            let mut out = vec![f64::NAN; m * stride];
            rows_times_rows(&a, &b, k, &mut out, stride).unwrap();
            let exact =
                |x: &[f64], i: usize, y: &[f64], j: usize| (0..k).map(|l| x[i * k + l] * y[j * k + l]).sum::<f64>();
            assert!((0..m).all(|i| (0..n).all(|j| out[i * stride + j] == exact(&a, i, &b, j))));
            let wide = stride.max(m);
            let mut gram = vec![f64::NAN; m * wide];
            rows_gram(&a, k, &mut gram, wide).unwrap();
            assert!((0..m).all(|i| (0..m).all(|j| gram[i * wide + j] == exact(&a, i, &a, j))));
        }
        assert!(rows_times_rows(&[1.0; 5], &[1.0; 4], 2, &mut [0.0; 9], 2).is_err());
        assert!(rows_gram(&[1.0; 4], 2, &mut [0.0; 3], 2).is_err());
    }
}
