//! Gram matrix and right-hand side of one problem, from gathered blocks of observations.
use pulp::bytemuck;

use super::lanes::Lanes;
use super::{Observed, SmallReal};
use crate::prefetch::prefetch;

/// Observations gathered at a time: the panel stays in the first-level cache up to 64 unknowns.
pub(super) const BLOCK: usize = 64;
/// Observations between a row being asked for and being copied.
const AHEAD: usize = 16;
/// Columns of the widest register tile: rows are padded to these.
pub(crate) const TILE: usize = 8;

/// `len` entries that start where a cache line does, so that no register straddles two.
pub(crate) fn aligned<T: Clone + Default>(buffer: &mut Vec<T>, len: usize) -> &mut [T] {
    const LINE: usize = 64;
    let spare = LINE / size_of::<T>().max(1);
    buffer.resize(len + spare, T::default());
    let from = buffer.as_ptr().align_offset(LINE).min(spare);
    &mut buffer[from..from + len]
}

/// Lower triangle (`gram[r·ld + c]` for `c ≤ r`) of problem `i`, and with targets its right-hand side (row `ld`).
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(super) fn accumulate<T: SmallReal, S: Lanes<T>>(
    s: S,
    observed: &Observed<'_, T>,
    targets: Option<&[T]>,
    i: usize,
    ld: usize,
    panel: &mut [T],
    weighted: &mut Vec<T>,
    gram: &mut [T],
) {
    let Observed { features, pattern, weights } = *observed;
    let k = features.count;
    let range = pattern.row_range(i);
    let indices = pattern.indices();
    if range.is_empty() {
        gram.fill(T::default());
    }
    for from in range.clone().step_by(BLOCK) {
        let fresh = from == range.start;
        let to = (from + BLOCK).min(range.end);
        for (slot, p) in panel.chunks_exact_mut(ld).zip(from..to) {
            if let Some(&next) = indices.get(p + AHEAD) {
                prefetch(features.row(next as usize));
            }
            slot[..k].copy_from_slice(features.row(indices[p] as usize));
        }
        let count = to - from;
        let rows = Panel { values: &panel[..count * ld], apart: ld, count };
        let scaled = match weights {
            None => rows,
            Some(w) => {
                weighted.resize(BLOCK * ld, T::default());
                for ((q, p), w) in weighted.chunks_exact_mut(ld).zip(panel.chunks_exact(ld)).zip(&w[from..to]) {
                    q.iter_mut().zip(p).for_each(|(q, p)| *q = *w * *p);
                }
                Panel { values: &weighted[..count * ld], apart: ld, count }
            }
        };
        let vectors = ld / S::WIDTH;
        triangle::<T, S>(s, rows, scaled, ld, k, gram, fresh);
        let Some(values) = targets else { continue };
        let weights = weights.map(|w| &w[from..to]);
        let right: &mut [S::V] = bytemuck::cast_slice_mut(&mut gram[ld * ld..]);
        let mut v = 0;
        while v < vectors {
            v += match vectors - v {
                4.. => right_side::<T, S, 4>(s, rows, &values[from..to], weights, v, right, fresh),
                2.. => right_side::<T, S, 2>(s, rows, &values[from..to], weights, v, right, fresh),
                _ => right_side::<T, S, 1>(s, rows, &values[from..to], weights, v, right, fresh),
            };
        }
    }
}

/// Rows that start `apart` from each other. What lies between the last column and the end of the last tile is read, and what
/// becomes of it nobody reads: zeros, or the next row.
#[derive(Clone, Copy)]
pub(crate) struct Panel<'a, T> {
    pub(crate) values: &'a [T],
    pub(crate) apart: usize,
    pub(crate) count: usize,
}

/// `R` registers of the right-hand side from `v`.
#[inline(always)]
pub(crate) fn right_side<T: SmallReal, S: Lanes<T>, const R: usize>(
    s: S,
    panel: Panel<'_, T>,
    values: &[T],
    weights: Option<&[T]>,
    v: usize,
    right: &mut [S::V],
    fresh: bool,
) -> usize {
    let mut acc = [s.splat(T::default()); R];
    let mut at = v * S::WIDTH;
    for (o, &y) in values.iter().enumerate() {
        let Some(x) = panel.values.get(at..at + R * S::WIDTH) else { break };
        let x: &[S::V] = bytemuck::cast_slice(x);
        let y = s.splat(weights.map_or(y, |w| w[o] * y));
        for r in 0..R {
            acc[r] = s.add_product(y, x[r], acc[r]);
        }
        at += panel.apart;
    }
    let one = s.splat(T::from_f64(1.0));
    for r in 0..R {
        right[v + r] = if fresh { acc[r] } else { s.add_product(one, acc[r], right[v + r]) };
    }
    R
}

/// All tiles on and left of the diagonal of `XᵀY`, for the rows of two panels (of which one has weights in it).
///
/// Twelve of sixteen registers hold sums, or twenty-four of thirty-two: with one more operand than is spared the compiler
/// keeps sums in memory, which takes twice as long.
#[inline(always)]
pub(crate) fn triangle<T: SmallReal, S: Lanes<T>>(
    s: S,
    rows: Panel<'_, T>,
    scaled: Panel<'_, T>,
    ld: usize,
    k: usize,
    gram: &mut [T],
    fresh: bool,
) {
    let mut c = 0;
    while c < k {
        c += match k - c {
            // Rows are padded to an even number of entries, so a tile may reach one column beyond the last.
            1 | 2 => tiles::<T, S, 2, 2>(s, rows, scaled, ld, c, gram, fresh),
            3 | 4 => tiles::<T, S, 2, 4>(s, rows, scaled, ld, c, gram, fresh),
            7.. if S::REGISTER_COUNT >= 32 => tiles::<T, S, 3, 8>(s, rows, scaled, ld, c, gram, fresh),
            _ => tiles::<T, S, 2, 6>(s, rows, scaled, ld, c, gram, fresh),
        }
    }
}

/// `W` columns from `c` against the rows of the lower triangle, `R` registers at a time.
#[inline(always)]
fn tiles<T: SmallReal, S: Lanes<T>, const R: usize, const W: usize>(
    s: S,
    rows: Panel<'_, T>,
    scaled: Panel<'_, T>,
    ld: usize,
    c: usize,
    gram: &mut [T],
    fresh: bool,
) -> usize {
    // Up to the register that holds the last diagonal entry of the tile.
    let end = (c + W - 1) / S::WIDTH + 1;
    let gram: &mut [S::V] = bytemuck::cast_slice_mut(&mut gram[c * ld..(c + W) * ld]);
    let columns = Panel { values: &scaled.values[c..], ..scaled };
    let mut v = 0;
    while v < end {
        v += match end - v {
            left if left >= R && left != R + 1 => tile::<T, S, R, W>(s, rows, columns, ld, v, gram, fresh),
            2.. => tile::<T, S, 2, W>(s, rows, columns, ld, v, gram, fresh),
            _ => tile::<T, S, 1, W>(s, rows, columns, ld, v, gram, fresh),
        };
    }
    W
}

/// `W` columns against `R` registers of rows over the whole block.
#[inline(always)]
fn tile<T: SmallReal, S: Lanes<T>, const R: usize, const W: usize>(
    s: S,
    rows: Panel<'_, T>,
    columns: Panel<'_, T>,
    ld: usize,
    v: usize,
    gram: &mut [S::V],
    fresh: bool,
) -> usize {
    let vectors = ld / S::WIDTH;
    let mut acc = [[s.splat(T::default()); W]; R];
    let (mut row, mut column) = (v * S::WIDTH, 0);
    for _ in 0..rows.count {
        let Some(x) = rows.values.get(row..row + R * S::WIDTH) else { break };
        let Some(c) = columns.values.get(column..column + W) else { break };
        let x: &[S::V] = bytemuck::cast_slice(x);
        for t in 0..W {
            let b = s.splat(c[t]);
            for r in 0..R {
                acc[r][t] = s.add_product(b, x[r], acc[r][t]);
            }
        }
        row += rows.apart;
        column += columns.apart;
    }
    let one = s.splat(T::from_f64(1.0));
    for t in 0..W {
        for r in 0..R {
            let slot = &mut gram[t * vectors + v + r];
            *slot = if fresh { acc[r][t] } else { s.add_product(one, acc[r][t], *slot) };
        }
    }
    R
}
