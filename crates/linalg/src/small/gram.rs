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
pub(super) const TILE: usize = 8;

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
        for c in (0..k).step_by(TILE) {
            // Rows c.. of the lower triangle: registers up to the one that holds the last diagonal entry of the tile.
            let end = (c + TILE - 1) / S::WIDTH + 1;
            let mut v = 0;
            while v < end {
                let gram: &mut [S::V] = bytemuck::cast_slice_mut(&mut gram[c * ld..(c + TILE) * ld]);
                let columns = &scaled[c..];
                v += match end - v {
                    3.. if end - v != 4 && S::REGISTER_COUNT >= 32 => {
                        tile::<T, S, 3>(s, registers, columns, ld, v, gram, fresh)
                    }
                    2.. if S::REGISTER_COUNT >= 32 => tile::<T, S, 2>(s, registers, columns, ld, v, gram, fresh),
                    _ => tile::<T, S, 1>(s, registers, columns, ld, v, gram, fresh),
                };
            }
        }
        let right: &mut [S::V] = bytemuck::cast_slice_mut(&mut gram[ld * ld..]);
        for (v, total) in right.iter_mut().enumerate() {
            let mut acc = if fresh { s.splat(T::default()) } else { *total };
            for (o, (row, &y)) in registers.chunks_exact(vectors).zip(&values[from..to]).enumerate() {
                let y = match problem.weights {
                    None => y,
                    Some(w) => w[from + o] * y,
                };
                acc = s.add_product(s.splat(y), row[v], acc);
            }
            *total = acc;
        }
    }
}

/// Eight columns against `R` registers of rows over the whole block.
#[inline(always)]
fn tile<T: SmallReal, S: Lanes<T>, const R: usize>(
    s: S,
    panel: &[S::V],
    columns: &[T],
    ld: usize,
    v: usize,
    gram: &mut [S::V],
    fresh: bool,
) -> usize {
    let vectors = ld / S::WIDTH;
    let mut acc = [[s.splat(T::default()); TILE]; R];
    for (row, column) in panel.chunks_exact(vectors).zip(columns.chunks(ld)) {
        let Some(x) = row.get(v..v + R) else { break };
        let Some(c) = column.first_chunk::<TILE>() else { break };
        for t in 0..TILE {
            let b = s.splat(c[t]);
            for r in 0..R {
                acc[r][t] = s.add_product(b, x[r], acc[r][t]);
            }
        }
    }
    let one = s.splat(T::from_f64(1.0));
    for t in 0..TILE {
        for r in 0..R {
            let slot = &mut gram[t * vectors + v + r];
            *slot = if fresh { acc[r][t] } else { s.add_product(one, acc[r][t], *slot) };
        }
    }
    R
}
