//! Tall-skinny QR: the triangular factor of an `n × d` matrix, chunk by chunk.
use faer::dyn_stack::{MemBuffer, MemStack};
use rayon::prelude::*;

use crate::Matrix;

/// The triangular factor and whether the last factorisation had full rank.
#[derive(Clone, Debug, PartialEq)]
pub struct Triangular {
    /// Upper triangular `R` with `XᵀX = RᵀR`, `d × d`.
    pub r: Matrix,
    /// False when faer's QR of the last chunk (of the stacked factors, if there are several) skipped a column, which it does silently below `16·rows·ε` of the column's norm: then `R`
    /// is not to be solved with, and [`crate::lstsq`] goes on with the singular values of `R`.
    pub full_rank: bool,
}

/// Rows per parallel super-block: fixed, so that the result is.
const SUPER_BLOCK: usize = 16_384;
/// Columns per Householder block; 4 and 16 are within 5 %, 32 loses a third (measured at d = 20 and 100).
const QR_BLOCK: usize = 8;

/// `R` of `X` (row LA-2). Cost `2·n·d²` flops, memory one panel of `d + 2048` rows per thread.
///
/// Same bits for every thread count: super-blocks of rows are factored serially in chunks and their factors are
/// combined in order by the same routine.
pub fn tsqr(x: &Matrix) -> Triangular {
    let d = x.columns();
    if d == 0 {
        return Triangular { r: Matrix::zeros(0, 0), full_rank: true };
    }
    let parts: Vec<Triangular> = x.as_slice().par_chunks(SUPER_BLOCK * d).map(|rows| factor_rows(rows, d)).collect();
    if parts.len() == 1 {
        return parts.into_iter().next().expect("one part");
    }
    let stacked: Vec<f64> = parts.iter().flat_map(|p| p.r.as_slice()).copied().collect();
    let mut out = factor_rows(&stacked, d);
    // A column that is skipped inside one block may be full in another, so only the last word counts.
    out.full_rank &= x.rows() >= d;
    out
}

fn factor_rows(rows: &[f64], d: usize) -> Triangular {
    let chunk = if d <= 32 { 2048 } else { 1024 };
    let n = rows.len() / d;
    let mut panel = faer::Mat::<f64>::zeros(d + chunk.min(n), d);
    let height = panel.nrows();
    let mut coefficients = faer::Mat::<f64>::zeros(QR_BLOCK.min(d), d);
    let params = faer::Spec::default();
    let mut memory = MemBuffer::new(faer::linalg::qr::no_pivoting::factor::qr_in_place_scratch::<f64>(
        height,
        d,
        coefficients.nrows(),
        faer::Par::Seq,
        params,
    ));
    let mut full_rank = n >= d;
    for part in rows.chunks(chunk * d) {
        let used = part.len() / d;
        for j in 0..d {
            for i in j + 1..d {
                panel[(i, j)] = 0.0; // Householder vectors of the chunk before
            }
            for i in 0..used {
                panel[(d + i, j)] = part[i * d + j];
            }
        }
        let info = faer::linalg::qr::no_pivoting::factor::qr_in_place(
            panel.as_mut().subrows_mut(0, d + used),
            coefficients.as_mut(),
            faer::Par::Seq,
            MemStack::new(&mut memory),
            params,
        );
        full_rank = info.rank == d && n >= d;
    }
    Triangular { r: Matrix::from_fn(d, d, |i, j| if i <= j { panel[(i, j)] } else { 0.0 }), full_rank }
}
