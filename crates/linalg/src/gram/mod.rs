//! Gram matrices in one pass over row blocks.
mod folds;
mod moments;
pub(crate) mod panels;
pub mod rows_times_rows;
pub mod sparse_columns;
mod summary;

pub use folds::FoldedMoments;
pub use moments::{MomentTotals, Moments};
pub use summary::{GramSummary, GramTotals};

use rayon::prelude::*;

use crate::forest::Forest;
use crate::observe::{Observer, Progress, Watch, blocks_between_looks};
use crate::rows::Rows;
use crate::{CsrView, LinalgError, Matrix, sums};

/// `XᵀDX` with, when asked, `XᵀDy`, for a diagonal `D ≥ 0`.
#[derive(Clone, Debug, PartialEq)]
pub struct Gram {
    /// `XᵀDX`, `d × d`, both triangles filled.
    pub matrix: Matrix,
    /// `XᵀDy`, or empty.
    pub right: Vec<f64>,
}

/// Rows that one thread adds up in order; the sums of such blocks are combined as [`crate::forest`] says.
pub const BLOCK: usize = 4096;

/// `XᵀDX` and `XᵀDy` of an `n × d` matrix, dense or sparse (row LA-1).
///
/// Rows LA-9 and LA-14 of `paper-refs.md`.
///
/// `weights` is the diagonal of `D` (ones when `None`), `right` is `y`. Cost `n·d²` flops, for sparse rows of `k` entries
/// `n·k²`; memory `d²` for each of at most 32 blocks in flight. Same bits for every thread count, and for every split of
/// the rows at multiples of [`BLOCK`].
///
/// # Errors
/// [`LinalgError::Length`]; [`LinalgError::TooLarge`] when `d²` cannot be reserved; [`LinalgError::NotFinite`] for entries,
/// weights and right sides that are not finite, [`LinalgError::OutOfRange`] for sums that overflow.
pub fn gram<'a>(x: impl Into<Rows<'a>>, weights: Option<&[f64]>, right: Option<&[f64]>) -> Result<Gram, LinalgError> {
    gram_observed(x, weights, right, &mut ())
}

/// [`gram`] with cancellation; the observer is asked at least every 50 ms of one core up to about 500 columns, beyond that
/// after every [`BLOCK`] rows of each thread.
///
/// # Errors
/// As [`gram`]; [`LinalgError::Interrupted`] when the observer stops it.
pub fn gram_observed<'a>(
    x: impl Into<Rows<'a>>,
    weights: Option<&[f64]>,
    right: Option<&[f64]>,
    observer: &mut dyn Observer,
) -> Result<Gram, LinalgError> {
    let x = x.into();
    let out = unchecked(x, weights, right, observer)?;
    // What is not finite in a row makes the diagonal so: nothing has to be read again in the ordinary case.
    let diagonal = (0..out.matrix.rows()).map(|j| out.matrix[(j, j)]);
    let Some(value) = diagonal.chain(out.right.iter().copied()).find(|v| !v.is_finite()) else { return Ok(out) };
    x.check_finite("x")?;
    for (argument, given) in [("weights", weights), ("right", right)] {
        if let Some((row, &value)) = given.and_then(|v| v.iter().enumerate().find(|e| !e.1.is_finite())) {
            return Err(LinalgError::NotFinite { argument, row, column: 0, value });
        }
    }
    Err(LinalgError::OutOfRange { argument: "sum of products", value, allowed: "finite: divide the columns" })
}

/// [`gram_observed`] for those who look at the result themselves.
pub(crate) fn unchecked(
    x: Rows<'_>,
    weights: Option<&[f64]>,
    right: Option<&[f64]>,
    observer: &mut dyn Observer,
) -> Result<Gram, LinalgError> {
    let (n, d) = (x.rows(), x.columns());
    let apart = if let Rows::Joined(_, b) = x { Some(b) } else { None };
    for (argument, given) in [("weights", weights), ("right", right), ("joined column", apart)] {
        if let Some(v) = given
            && v.len() != n
        {
            return Err(LinalgError::Length { argument, given: v.len(), expected: n });
        }
    }
    if d == 0 {
        return Ok(Gram { matrix: Matrix::zeros(0, 0), right: Vec::new() });
    }
    let sums = in_blocks(n, stride(x), observer, |from, to, out, scratch| {
        let (weights, right) = (weights.map(|w| &w[from..to]), right.map(|y| &y[from..to]));
        match (x, x.dense_part(from, to)) {
            (Rows::Sparse(x), _) => add_sparse(x, from, to, weights, right, out),
            (_, Some(rows)) => panels::run(rows, d, panels::Task::Gram { weights, right, out }, scratch),
            _ => unreachable!("rows are sparse or have a dense part"),
        }
    })?;
    unpack(&sums, d, stride(x), right.is_some())
}

/// Distance between rows of the packed sums.
pub(crate) fn stride(x: Rows<'_>) -> usize {
    if matches!(x, Rows::Sparse(_)) { x.columns() } else { panels::stride(x.columns()) }
}

/// Both triangles, without padding.
pub(crate) fn unpack(sums: &[f64], d: usize, ld: usize, right: bool) -> Result<Gram, LinalgError> {
    let mut matrix = Matrix::try_zeros(d, d)?;
    for i in 0..d {
        for j in 0..=i {
            matrix[(i, j)] = sums[i * ld + j];
            matrix[(j, i)] = sums[i * ld + j];
        }
    }
    Ok(Gram { matrix, right: if right { sums[ld * ld..ld * ld + d].to_vec() } else { Vec::new() } })
}

/// Sums of `(ld + 1)·ld` entries over blocks of rows, each filled by `block`.
pub(crate) fn in_blocks(
    n: usize,
    ld: usize,
    observer: &mut dyn Observer,
    block: impl Fn(usize, usize, &mut [f64], &mut panels::Scratch) + Sync,
) -> Result<Vec<f64>, LinalgError> {
    let own = &mut vec![(); n.div_ceil(BLOCK)];
    in_blocks_with(n, ld, own, observer, |from, to, out, (), scratch| block(from, to, out, scratch))
}

/// [`in_blocks`] with something of its own for every block.
pub(crate) fn in_blocks_with<T: Send>(
    n: usize,
    ld: usize,
    own: &mut [T],
    observer: &mut dyn Observer,
    block: impl Fn(usize, usize, &mut [f64], &mut T, &mut panels::Scratch) + Sync,
) -> Result<Vec<f64>, LinalgError> {
    let size = Matrix::<f64>::try_zeros(ld + 1, ld)?.into_vec();
    if n == 0 || ld == 0 {
        return Ok(size);
    }
    let mut forest = Forest::default();
    // Blocks whose sums exist at a time; their number changes no bit of the result.
    let wave = ((1 << 26) / size.len()).min(blocks_between_looks(BLOCK * ld * ld)).clamp(1, 32);
    let (mut watch, blocks) = (Watch::new(observer), own.len());
    for (w, own) in own.chunks_mut(wave).enumerate() {
        let sums: Vec<Vec<f64>> = own
            .par_iter_mut()
            .enumerate()
            .map_init(panels::Scratch::default, |scratch, (b, own)| {
                let from = (w * wave + b) * BLOCK;
                let mut out = vec![0.0; size.len()];
                block(from, (from + BLOCK).min(n), &mut out, own, scratch);
                out
            })
            .collect();
        for (b, sums) in sums.into_iter().enumerate() {
            forest.insert((w * wave + b) as u64, 0, sums, |l, r, _, _| Ok::<_, LinalgError>(add(l, &r)))?;
        }
        let done = (w + 1) * wave;
        let progress = || Progress { stage: "products of columns", step: done * BLOCK, total: Some(n), value: None };
        if done < blocks && watch.ticks(progress) {
            return Err(LinalgError::Interrupted);
        }
    }
    Ok(forest.fold(|l, r| Ok::<_, LinalgError>(add(l, &r)))?.unwrap_or(size))
}

/// `l + r`.
pub(crate) fn add(mut l: Vec<f64>, r: &[f64]) -> Vec<f64> {
    sums::axpy(1.0, r, &mut l);
    l
}

/// Outer products of sparse rows: the lower triangle, and behind it the right-hand side.
pub(crate) fn add_sparse(
    x: CsrView<'_>,
    from: usize,
    to: usize,
    weights: Option<&[f64]>,
    right: Option<&[f64]>,
    out: &mut [f64],
) {
    let d = x.columns();
    let (triangle, side) = out.split_at_mut(d * d);
    for i in from..to {
        let (indices, values) = x.row(i);
        let weight = weights.map_or(1.0, |w| w[i - from]);
        for (a, (&r, &v)) in indices.iter().zip(values).enumerate() {
            let row = &mut triangle[r as usize * d..][..d];
            let scaled = weight * v;
            for (&c, &u) in indices[..=a].iter().zip(values) {
                row[c as usize] += scaled * u;
            }
            if let Some(y) = right {
                side[r as usize] += scaled * y[i - from];
            }
        }
    }
}
