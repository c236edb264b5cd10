//! Tall-skinny QR: the triangular factor of an `n × d` matrix, chunk by chunk.
use faer::dyn_stack::{MemBuffer, MemStack};
use rayon::prelude::*;

use crate::{LinalgError, Matrix, Rows, sums};

/// The triangular factor and whether the last factorisation had full rank.
#[derive(Clone, Debug, PartialEq)]
pub struct Triangular {
    /// Upper triangular `R` with `XᵀX = RᵀR`, `d × d`.
    pub r: Matrix,
    /// False when faer's QR of the last chunk (of the stacked factors, if there are several) skipped a column, which it
    /// does silently below `16·rows·ε` of the column's norm: then `R` is not to be solved with, and [`crate::lstsq`] goes on with the singular values of `R`.
    pub full_rank: bool,
}

/// Rows per parallel super-block: fixed, so that the result is.
const SUPER_BLOCK: usize = 16_384;
/// Columns per Householder block; 4 and 16 are within 5 %, 32 loses a third (measured at d = 20 and 100).
const QR_BLOCK: usize = 8;
/// Rows copied at a time.
const TILE: usize = 32;

/// `R` of `X` (row LA-2). Cost `2·n·d²` flops, memory one panel of `d + 4096` rows per thread.
///
/// faer's QR skips a column whose rest is below `16·rows·ε` of its norm, and what it skips is lost to `R`. When that
/// happens in any chunk, all is done once more in chunks of 256 rows, where the loss is eight to sixteen times smaller:
/// twice the cost, for input whose condition is beyond about 1e10 only.
///
/// Same bits for every thread count: super-blocks of rows are factored serially in chunks and their factors are
/// combined in order by the same routine.
///
/// # Errors
/// [`LinalgError::NotFinite`]; [`LinalgError::OutOfRange`] when a norm overflows.
pub fn tsqr(x: &Matrix) -> Result<Triangular, LinalgError> {
    let out = tsqr_of_rows(x.into());
    if let Some(&value) = out.r.as_slice().iter().find(|v| !v.is_finite()) {
        x.check_finite("x")?;
        return Err(LinalgError::OutOfRange { argument: "entry of R", value, allowed: "finite: divide the columns" });
    }
    Ok(out)
}

/// [`tsqr`] of dense rows, joined or not. A joined column that depends on the others is no reason to do all once more.
pub(crate) fn tsqr_of_rows(x: Rows<'_>) -> Triangular {
    let d = x.columns();
    if d == 0 {
        return Triangular { r: Matrix::zeros(0, 0), full_rank: true };
    }
    // Below the first size the fixed cost of a factorisation shows; above, the panel leaves the second-level cache.
    let fast = in_chunks(x, if d <= 32 { 4096 } else { 2048 });
    let out = if fast.skipped { in_chunks(x, careful_chunk(d)) } else { fast };
    Triangular { r: out.r, full_rank: out.full_rank && x.rows() >= d }
}

/// Rows per chunk where columns nearly depend on each other.
pub(crate) fn careful_chunk(d: usize) -> usize {
    d.max(256)
}

/// The share of its norm below which faer skips what is left of a column of so many rows.
pub(crate) fn skipped_below(rows: usize) -> f64 {
    16.0 * rows as f64 * f64::EPSILON
}

/// Whether the pivot of a column of a factored panel of so many rows is one that faer does not skip.
fn is_taken(panel: &faer::Mat<f64>, j: usize, rows: usize) -> bool {
    panel[(j, j)].abs() > skipped_below(rows) * sums::norm(&panel.col_as_slice(j)[..=j])
}

struct Factor {
    r: Matrix,
    /// Of the last chunk.
    full_rank: bool,
    /// In any chunk.
    skipped: bool,
}

fn in_chunks(x: Rows<'_>, rows: usize) -> Factor {
    let (n, d) = (x.rows(), x.columns());
    let joined = matches!(x, Rows::Joined(..));
    let parts: Vec<Factor> = (0..n.div_ceil(SUPER_BLOCK).max(1))
        .into_par_iter()
        .map(|s| factor_rows(x, s * SUPER_BLOCK, ((s + 1) * SUPER_BLOCK).min(n), rows, joined))
        .collect();
    if parts.len() == 1 {
        return parts.into_iter().next().expect("one part");
    }
    let stacked: Vec<f64> = parts.iter().flat_map(|p| p.r.as_slice()).copied().collect();
    let stacked = Matrix::from_vec(parts.len() * d, d, stacked).expect("whole factors");
    // A column that is skipped inside one block may be full in another, so the rank is that of the last word.
    let mut out = factor_rows((&stacked).into(), 0, stacked.rows(), rows, joined);
    out.skipped |= parts.iter().any(|p| p.skipped);
    out
}

fn factor_rows(x: Rows<'_>, from: usize, to: usize, rows: usize, joined: bool) -> Factor {
    let (n, d) = (to - from, x.columns());
    let mut panel = faer::Mat::<f64>::zeros(d + rows.min(n), d);
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
    let (mut full_rank, mut skipped) = (n >= d, false);
    for first in (from..to).step_by(rows) {
        let used = rows.min(to - first);
        let (part, last) = x.dense_part(first, first + used).expect("dense rows");
        for j in 0..d {
            panel.col_as_slice_mut(j)[j + 1..d].fill(0.0); // Householder vectors of the chunk before
        }
        // From rows to columns in tiles that stay in the first-level cache.
        let width = part.columns();
        for t in (0..used).step_by(TILE) {
            let height = TILE.min(used - t);
            for j in 0..width {
                part.copy_column_part(j, t, &mut panel.col_as_slice_mut(j)[d + t..][..height]);
            }
        }
        if let Some(last) = last {
            panel.col_as_slice_mut(width)[d..d + used].copy_from_slice(last);
        }
        let info = faer::linalg::qr::no_pivoting::factor::qr_in_place(
            panel.as_mut().subrows_mut(0, d + used),
            coefficients.as_mut(),
            faer::Par::Seq,
            MemStack::new(&mut memory),
            params,
        );
        full_rank = info.rank == d && n >= d;
        // No other column needs the joined one, and the norm of what is left of it is on the diagonal already.
        let consistent = || joined && info.rank + 1 == d && (0..d - 1).all(|j| is_taken(&panel, j, d + used));
        skipped |= info.rank < d.min(n) && !consistent();
    }
    Factor { r: Matrix::from_fn(d, d, |i, j| if i <= j { panel[(i, j)] } else { 0.0 }), full_rank, skipped }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Streams, normal};

    /// LA-2: a target that the columns give exactly leaves no pivot of its own, and that alone is no reason to factor all
    /// once more; a column that depends on the others is one.
    #[test]
    fn a_consistent_target_is_factored_once() {
        let (n, d) = (40_000, 6);
        for (condition, twice) in [(1e2, false), (1e9, false), (1e15, true)] {
            let mut rng = Streams::new(3).stream(0);
            let mut a = Matrix::from_fn(n, d, |_, _| normal(&mut rng));
            (0..n).for_each(|i| a[(i, 3)] = a[(i, 1)] - a[(i, 2)] + a[(i, 3)] / condition);
            let x: Vec<f64> = (0..d).map(|_| normal(&mut rng)).collect();
            let b: Vec<f64> = (0..n).map(|i| sums::dot(a.row(i), &x)).collect();
            let found = in_chunks(Rows::Joined(a.view(), &b), 4096);
            assert_eq!(found.skipped, twice, "condition {condition:e}");
            let alone = tsqr(&a).unwrap().r;
            for i in 0..d {
                if twice {
                    continue;
                }
                let sum: f64 = (i..d).map(|j| found.r[(i, j)] * x[j]).sum();
                assert!((sum - found.r[(i, d)]).abs() < 1e-13 * sums::norm(&b), "row {i}");
                for j in 0..d {
                    let [a, b] = [&found.r, &alone].map(|r| (0..=i.min(j)).map(|k| r[(k, i)] * r[(k, j)]).sum::<f64>());
                    assert!((a - b).abs() < 1e-13 * alone.norm().powi(2), "({i}, {j}): {a} {b}");
                }
            }
        }
    }
}
