//! Sparse times dense: CSR × a row-major block.
//!
//! Floor: `nnz · (4 + 8 + 8k)` bytes when the block is not cached. The inner loop runs over a constant number of
//! columns, because a run-time trip count below about 32 is never vectorised; other widths are cut into such panels.
use rayon::prelude::*;

use crate::dense::ROW_BLOCK;
use crate::{CsrMatrix, Matrix};

/// `A X` (row LA-5). Cost `2·nnz·k` flops.
///
/// # Panics
/// When the shapes do not match.
pub fn multiply(a: &CsrMatrix, x: &Matrix) -> Matrix {
    assert_eq!(a.columns(), x.rows(), "{}x{} times {}x{}", a.rows(), a.columns(), x.rows(), x.columns());
    let k = x.columns();
    let mut out = Matrix::zeros(a.rows(), k);
    if k == 0 || a.rows() == 0 {
        return out;
    }
    let rows = |first: usize, part: &mut [f64]| {
        for (r, y) in part.chunks_exact_mut(k).enumerate() {
            row(a, first + r, x, y);
        }
    };
    if a.nnz() * k < 1 << 15 {
        rows(0, out.as_mut_slice());
    } else {
        out.as_mut_slice().par_chunks_mut(ROW_BLOCK * k).enumerate().for_each(|(b, part)| {
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || rows(b * ROW_BLOCK, part),
            );
        });
    }
    out
}

#[inline(always)]
fn row(a: &CsrMatrix, i: usize, x: &Matrix, y: &mut [f64]) {
    let (indices, values) = a.row(i);
    let k = x.columns();
    let all = x.as_slice();
    let mut at = 0;
    while at < k {
        at += match k - at {
            16.. => panel::<16>(indices, values, all, k, at, y),
            8.. => panel::<8>(indices, values, all, k, at, y),
            4.. => panel::<4>(indices, values, all, k, at, y),
            _ => panel::<1>(indices, values, all, k, at, y),
        };
    }
}

#[inline(always)]
fn panel<const W: usize>(indices: &[u32], values: &[f64], x: &[f64], k: usize, at: usize, y: &mut [f64]) -> usize {
    let mut acc = [0.0; W];
    for (&j, &v) in indices.iter().zip(values) {
        let from = j as usize * k + at;
        let source: &[f64; W] = x[from..from + W].try_into().expect("a panel of W columns");
        for c in 0..W {
            acc[c] += v * source[c];
        }
    }
    y[at..at + W].copy_from_slice(&acc);
    W
}

/// `y = A x`.
///
/// # Panics
/// When a length does not match.
pub fn multiply_vector_into(a: &CsrMatrix, x: &[f64], y: &mut [f64]) {
    assert!(a.columns() == x.len() && a.rows() == y.len(), "{}x{} times {}", a.rows(), a.columns(), x.len());
    let one = |i: usize| {
        let (indices, values) = a.row(i);
        indices.iter().zip(values).map(|(&j, &v)| v * x[j as usize]).sum()
    };
    if a.nnz() < 1 << 15 {
        y.iter_mut().enumerate().for_each(|(i, y)| *y = one(i));
    } else {
        y.par_iter_mut().with_min_len(ROW_BLOCK).enumerate().for_each(|(i, y)| *y = one(i));
    }
}

/// `y = Aᵀ x`, serial scatter; store the transpose ([`crate::operator::BothOrientations`]) when it is needed often.
///
/// # Panics
/// When a length does not match.
pub fn multiply_transpose_vector_into(a: &CsrMatrix, x: &[f64], y: &mut [f64]) {
    assert!(a.rows() == x.len() && a.columns() == y.len(), "({}x{})ᵀ times {}", a.rows(), a.columns(), x.len());
    y.fill(0.0);
    for (i, j, v) in a.iter() {
        y[j] += v * x[i];
    }
}
