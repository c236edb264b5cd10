//! Gram matrix and right-hand side of one problem, from gathered blocks of observations.
use pulp::bytemuck;

use super::lanes::Lanes;
use super::{Problem, SmallReal};
use crate::prefetch::prefetch;

/// Observations gathered at a time: the panel stays in the first-level cache up to 64 unknowns.
pub(super) const BLOCK: usize = 64;
/// Observations between a row being asked for and being copied.
const AHEAD: usize = 16;
/// Columns of a register tile.
pub(crate) const TILE: usize = 8;

/// Lower triangle (`gram[r·ld + c]` for `c ≤ r`) and right-hand side (row `ld`) of problem `i`.
#[inline(always)]
pub(super) fn accumulate<T: SmallReal, S: Lanes<T>>(
    s: S,
    problem: &Problem<'_, T>,
    i: usize,
    ld: usize,
    panel: &mut [T],
    weighted: &mut Vec<T>,
    gram: &mut [T],
) {
    let k = problem.features.columns();
    let range = problem.observations.row_range(i);
    let indices = problem.observations.indices();
    let values = problem.targets;
    if range.is_empty() {
        gram.fill(T::default());
    }
    for from in range.clone().step_by(BLOCK) {
        let fresh = from == range.start;
        let to = (from + BLOCK).min(range.end);
        for (slot, p) in panel.chunks_exact_mut(ld).zip(from..to) {
            if let Some(&next) = indices.get(p + AHEAD) {
                prefetch(problem.features.row(next as usize));
            }
            slot[..k].copy_from_slice(problem.features.row(indices[p] as usize));
        }
        let count = to - from;
        let registers: &[S::V] = bytemuck::cast_slice(&panel[..count * ld]);
        let scaled = match problem.weights {
            None => &*panel,
            Some(w) => {
                weighted.resize(BLOCK * ld, T::default());
                for ((q, p), w) in weighted.chunks_exact_mut(ld).zip(panel.chunks_exact(ld)).zip(&w[from..to]) {
                    q.iter_mut().zip(p).for_each(|(q, p)| *q = *w * *p);
                }
                &*weighted
            }
        };
        let vectors = ld / S::WIDTH;
        // Twelve of sixteen registers hold sums, or twenty-four of thirty-two.
        if S::REGISTER_COUNT >= 32 {
            triangle::<T, S, TILE>(s, registers, scaled, ld, k, gram, fresh);
        } else {
            triangle::<T, S, 4>(s, registers, scaled, ld, k, gram, fresh);
        }
        let weights = problem.weights.map(|w| &w[from..to]);
        let right: &mut [S::V] = bytemuck::cast_slice_mut(&mut gram[ld * ld..]);
        let mut v = 0;
        while v < vectors {
            v += match vectors - v {
                4.. => right_side::<T, S, 4>(s, registers, vectors, &values[from..to], weights, v, right, fresh),
                2.. => right_side::<T, S, 2>(s, registers, vectors, &values[from..to], weights, v, right, fresh),
                _ => right_side::<T, S, 1>(s, registers, vectors, &values[from..to], weights, v, right, fresh),
            };
        }
    }
}

/// `R` registers of the right-hand side from `v`.
#[inline(always)]
pub(crate) fn right_side<T: SmallReal, S: Lanes<T>, const R: usize>(
    s: S,
    panel: &[S::V],
    vectors: usize,
    values: &[T],
    weights: Option<&[T]>,
    v: usize,
    right: &mut [S::V],
    fresh: bool,
) -> usize {
    let mut acc = [s.splat(T::default()); R];
    for (o, (row, &y)) in panel.chunks_exact(vectors).zip(values).enumerate() {
        let Some(x) = row.get(v..v + R) else { break };
        let y = s.splat(weights.map_or(y, |w| w[o] * y));
        for r in 0..R {
            acc[r] = s.add_product(y, x[r], acc[r]);
        }
    }
    let one = s.splat(T::from_f64(1.0));
    for r in 0..R {
        right[v + r] = if fresh { acc[r] } else { s.add_product(one, acc[r], right[v + r]) };
    }
    R
}

/// All tiles of `W` columns on and left of the diagonal.
#[inline(always)]
pub(crate) fn triangle<T: SmallReal, S: Lanes<T>, const W: usize>(
    s: S,
    panel: &[S::V],
    scaled: &[T],
    ld: usize,
    k: usize,
    gram: &mut [T],
    fresh: bool,
) {
    for c in (0..k).step_by(W) {
        // Rows c.. of the lower triangle: registers up to the one that holds the last diagonal entry of the tile.
        let end = (c + W - 1) / S::WIDTH + 1;
        let mut v = 0;
        while v < end {
            let gram: &mut [S::V] = bytemuck::cast_slice_mut(&mut gram[c * ld..(c + W) * ld]);
            let columns = &scaled[c..];
            v += match end - v {
                3.. if end - v != 4 => tile::<T, S, 3, W>(s, panel, columns, ld, v, gram, fresh),
                2.. => tile::<T, S, 2, W>(s, panel, columns, ld, v, gram, fresh),
                _ => tile::<T, S, 1, W>(s, panel, columns, ld, v, gram, fresh),
            };
        }
    }
}

/// `W` columns against `R` registers of rows over the whole block.
#[inline(always)]
fn tile<T: SmallReal, S: Lanes<T>, const R: usize, const W: usize>(
    s: S,
    panel: &[S::V],
    columns: &[T],
    ld: usize,
    v: usize,
    gram: &mut [S::V],
    fresh: bool,
) -> usize {
    let vectors = ld / S::WIDTH;
    let mut acc = [[s.splat(T::default()); W]; R];
    for (row, column) in panel.chunks_exact(vectors).zip(columns.chunks(ld)) {
        let Some(x) = row.get(v..v + R) else { break };
        let Some(c) = column.first_chunk::<W>() else { break };
        for t in 0..W {
            let b = s.splat(c[t]);
            for r in 0..R {
                acc[r][t] = s.add_product(b, x[r], acc[r][t]);
            }
        }
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
