//! Gram matrices in one pass over row blocks.
use rayon::prelude::*;

use crate::{LinalgError, Matrix, chunk};

/// `XᵀDX` with, when asked, `XᵀDy`, for a diagonal `D ≥ 0`.
#[derive(Clone, Debug, PartialEq)]
pub struct Gram {
    /// `XᵀDX`, `d × d`, both triangles filled.
    pub matrix: Matrix,
    /// `XᵀDy`, or empty.
    pub right: Vec<f64>,
}

/// `XᵀDX` and `XᵀDy` of an `n × d` matrix (row LA-1).
///
/// `weights` is the diagonal of `D` (ones when `None`), `right` is `y`. Cost `n·d²` flops with faer's triangular
/// product inside fixed blocks of rows; memory `d²` per block of rows in flight. Same bits for every thread count.
///
/// # Errors
/// [`LinalgError::Length`]; [`LinalgError::TooLarge`] when `d²` cannot be reserved.
pub fn gram(x: &Matrix, weights: Option<&[f64]>, right: Option<&[f64]>) -> Result<Gram, LinalgError> {
    let (n, d) = (x.rows(), x.columns());
    for (argument, given) in [("weights", weights), ("right", right)] {
        if let Some(v) = given
            && v.len() != n
        {
            return Err(LinalgError::Length { argument, given: v.len(), expected: n });
        }
    }
    let mut total = Gram { matrix: Matrix::try_zeros(d, d)?, right: vec![0.0; if right.is_some() { d } else { 0 }] };
    if d == 0 {
        return Ok(total);
    }
    // At most 32 partial sums whatever n, and a boundary that depends on n alone.
    let block = n.div_ceil(32).max(2048);
    let parts: Vec<Gram> = (0..n.div_ceil(block))
        .into_par_iter()
        .map(|b| part(x, weights, right, b * block, ((b + 1) * block).min(n)))
        .collect();
    for p in parts {
        chunk::axpy(1.0, p.matrix.as_slice(), total.matrix.as_mut_slice());
        chunk::axpy(1.0, &p.right, &mut total.right);
    }
    for i in 0..d {
        for j in 0..i {
            total.matrix[(j, i)] = total.matrix[(i, j)];
        }
    }
    Ok(total)
}

fn part(x: &Matrix, weights: Option<&[f64]>, right: Option<&[f64]>, from: usize, to: usize) -> Gram {
    const PANEL: usize = 512;
    let d = x.columns();
    let mut out = Gram { matrix: Matrix::zeros(d, d), right: vec![0.0; if right.is_some() { d } else { 0 }] };
    let mut scaled = Vec::new();
    for first in (from..to).step_by(PANEL) {
        let last = (first + PANEL).min(to);
        let rows = &x.as_slice()[first * d..last * d];
        let left = match weights {
            None => rows,
            Some(w) => {
                scaled.clear();
                for (r, row) in rows.chunks_exact(d).enumerate() {
                    scaled.extend(row.iter().map(|v| v * w[first + r]));
                }
                &scaled
            }
        };
        if let Some(y) = right {
            for (r, row) in left.chunks_exact(d).enumerate() {
                chunk::axpy(y[first + r], row, &mut out.right);
            }
        }
        faer::linalg::matmul::triangular::matmul(
            faer::MatMut::from_row_major_slice_mut(out.matrix.as_mut_slice(), d, d),
            faer::linalg::matmul::triangular::BlockStructure::TriangularLower,
            faer::Accum::Add,
            faer::MatRef::from_row_major_slice(left, last - first, d).transpose(),
            faer::linalg::matmul::triangular::BlockStructure::Rectangular,
            faer::MatRef::from_row_major_slice(rows, last - first, d),
            faer::linalg::matmul::triangular::BlockStructure::Rectangular,
            1.0,
            faer::Par::Seq,
        );
    }
    out
}
