//! The normal matrix of every row, inverted: preconditioner and elimination of the finish.
// Descriptions of work own the rows that they fill.
#![allow(clippy::needless_pass_by_value)]

use pulp::bytemuck;
use rayon::prelude::*;
use samplewise_linalg::Real;
use samplewise_linalg::small::SmallReal;
use samplewise_linalg::small::lanes::Lanes;

use super::{KernelReal, Panel, ROWS, SERIAL, add, as_row, as_rows};
use crate::entries::Orientation;

/// Consecutive rows to invert.
#[doc(hidden)]
pub struct Invert<'a, T: Real> {
    pub(super) entries: &'a Orientation<T>,
    pub(super) other: &'a Panel<T>,
    pub(super) ridge: T,
    pub(super) first: usize,
    pub(super) out: &'a mut [T],
}

/// Consecutive rows to multiply with their inverses.
#[doc(hidden)]
pub struct Apply<'a, T: Real> {
    pub(super) inverses: &'a [T],
    pub(super) columns: usize,
    pub(super) width: usize,
    pub(super) x: &'a [T],
    pub(super) out: &'a mut [T],
}

/// The inverses of all normal matrices `Σ_j w other_j other_jᵀ + ridge·I`, one per row, each `k` padded rows.
#[derive(Clone, Debug)]
pub(crate) struct Inverses<T> {
    data: Vec<T>,
    width: usize,
    columns: usize,
}

impl<T: KernelReal> Inverses<T> {
    /// Bytes that the inverses of so many rows take.
    pub fn bytes(rows: usize, columns: usize) -> u128 {
        let padded = columns.next_multiple_of(super::GROUP / size_of::<T>());
        rows as u128 * columns as u128 * padded as u128 * size_of::<T>() as u128
    }

    /// Forms and inverts. Cost `|Ω|·k·width/2 + rows·k²·width` multiplications.
    pub fn new(entries: &Orientation<T>, other: &Panel<T>, ridge: f64) -> Self {
        let (k, width) = (other.columns, other.width);
        let mut out = Self { data: vec![T::default(); entries.values.rows() * k * width], width, columns: k };
        out.update(entries, other, ridge);
        out
    }

    /// New inverses in the memory of the old ones.
    pub fn update(&mut self, entries: &Orientation<T>, other: &Panel<T>, ridge: f64) {
        let ridge = T::from_f64(ridge);
        let unit = ROWS * self.columns * self.width;
        if unit > 0 {
            self.data
                .par_chunks_mut(unit)
                .enumerate()
                .for_each(|(b, out)| T::invert(Invert { entries, other, ridge, first: b * ROWS, out }));
        }
    }

    /// Row `i` of `out` becomes `G_i⁻¹ x_i`.
    pub fn apply(&self, x: &Panel<T>, out: &mut Panel<T>) {
        let (k, width) = (self.columns, self.width);
        if k == 0 {
            return;
        }
        let block = |((inverses, x), out): ((&[T], &[T]), &mut [T])| {
            T::apply(Apply { inverses, columns: k, width, x, out });
        };
        if self.data.len() < SERIAL {
            block(((&self.data, &x.data), &mut out.data));
        } else {
            self.data
                .par_chunks(ROWS * k * width)
                .zip(x.data.par_chunks(ROWS * width))
                .zip(out.data.par_chunks_mut(ROWS * width))
                .for_each(block);
        }
    }
}

#[inline(always)]
pub(super) fn apply<T: SmallReal, S: Lanes<T>, const N: usize>(s: S, work: Apply<'_, T>) {
    let width = N * S::WIDTH;
    let rows = work.x.chunks_exact(width).zip(work.out.chunks_exact_mut(width));
    for (inverse, (x, out)) in as_rows::<T, S, N>(work.inverses).chunks_exact(work.columns).zip(rows) {
        let mut acc = [s.splat(T::default()); N];
        inverse.iter().zip(x).for_each(|(row, &x)| add::<T, S, N>(s, x, row, &mut acc));
        out.copy_from_slice(bytemuck::cast_slice(&acc));
    }
}

#[inline(always)]
pub(super) fn apply_any<T: SmallReal, S: Lanes<T>>(s: S, work: Apply<'_, T>) {
    let rows = work.x.chunks_exact(work.width).zip(work.out.chunks_exact_mut(work.width));
    for (inverse, (x, out)) in work.inverses.chunks_exact(work.columns * work.width).zip(rows) {
        out.fill(T::default());
        let out: &mut [S::V] = bytemuck::cast_slice_mut(out);
        for (row, &x) in inverse.chunks_exact(work.width).zip(x) {
            let x = s.splat(x);
            out.iter_mut().zip(as_row::<T, S>(row)).for_each(|(o, g)| *o = s.add_product(x, *g, *o));
        }
    }
}

/// Rows of a normal matrix that are summed at a time.
const TILE: usize = 4;
/// Entries gathered at a time: their rows stay in the first-level cache while the tiles pass over them.
const GATHERED: usize = 64;

#[inline(always)]
pub(super) fn invert<T: SmallReal, S: Lanes<T>, const N: usize>(s: S, work: Invert<'_, T>) {
    let Invert { entries, other, ridge, first, out } = work;
    let (k, width) = (other.columns, other.width);
    let mut panel = vec![T::default(); GATHERED * width];
    let mut scaled = vec![T::default(); GATHERED * width];
    for (r, gram) in out.chunks_exact_mut(k * width).enumerate() {
        gram.fill(T::default());
        let (indices, _, weights) = entries.row(first + r);
        for (block, indices) in indices.chunks(GATHERED).enumerate() {
            for (p, (slot, &j)) in panel.chunks_exact_mut(width).zip(indices).enumerate() {
                slot.copy_from_slice(other.row(j as usize));
                if let Some(w) = weights {
                    let w = w[block * GATHERED + p];
                    scaled[p * width..(p + 1) * width].iter_mut().zip(slot).for_each(|(x, v)| *x = w * *v);
                }
            }
            let rows = &panel[..indices.len() * width];
            let own = if weights.is_some() { &scaled[..rows.len()] } else { rows };
            for (tile, sums) in gram.chunks_mut(TILE * width).enumerate() {
                // Lower triangle: registers up to the one with the last diagonal entry of the tile.
                match (tile * TILE + TILE - 1) / S::WIDTH + 1 {
                    1 => sum_tile::<T, S, 1>(s, rows, &own[tile * TILE..], width, sums),
                    2 => sum_tile::<T, S, 2>(s, rows, &own[tile * TILE..], width, sums),
                    3 => sum_tile::<T, S, 3>(s, rows, &own[tile * TILE..], width, sums),
                    4 => sum_tile::<T, S, 4>(s, rows, &own[tile * TILE..], width, sums),
                    5 => sum_tile::<T, S, 5>(s, rows, &own[tile * TILE..], width, sums),
                    6 => sum_tile::<T, S, 6>(s, rows, &own[tile * TILE..], width, sums),
                    7 => sum_tile::<T, S, 7>(s, rows, &own[tile * TILE..], width, sums),
                    _ => sum_tile::<T, S, 8>(s, rows, &own[tile * TILE..], width, sums),
                }
            }
        }
        for a in 0..k {
            for b in a + 1..k {
                gram[a * width + b] = gram[b * width + a];
            }
        }
        gauss_jordan::<T>(
            gram,
            k,
            width,
            ridge,
            #[inline(always)]
            |row, factor, pivot| {
                let minus = s.splat(-factor);
                let row: &mut [S::V] = bytemuck::cast_slice_mut(row);
                let Some(row) = row.first_chunk_mut::<N>() else { return };
                let Some(pivot) = as_row::<T, S>(pivot).first_chunk::<N>() else { return };
                for n in 0..N {
                    row[n] = s.add_product(minus, pivot[n], row[n]);
                }
            },
        );
    }
}

/// `sums[t] += Σ_p own[p][t] rows[p]` for the rows of a tile, in the first `M` registers.
#[inline(always)]
fn sum_tile<T: SmallReal, S: Lanes<T>, const M: usize>(s: S, rows: &[T], own: &[T], width: usize, sums: &mut [T]) {
    let mut acc = [[s.splat(T::default()); M]; TILE];
    for (row, own) in rows.chunks_exact(width).zip(own.chunks(width)) {
        let Some(v) = as_row::<T, S>(row).first_chunk::<M>() else { return };
        let Some(own) = own.first_chunk::<TILE>() else { return };
        for t in 0..TILE {
            add::<T, S, M>(s, own[t], v, &mut acc[t]);
        }
    }
    let one = s.splat(T::from_f64(1.0));
    for (sums, acc) in sums.chunks_exact_mut(width).zip(&acc) {
        let sums: &mut [S::V] = bytemuck::cast_slice_mut(sums);
        sums.iter_mut().zip(acc).for_each(|(total, sum)| *total = s.add_product(one, *sum, *total));
    }
}

/// [`invert`] for wider rows.
#[inline(always)]
pub(super) fn invert_any<T: SmallReal, S: Lanes<T>>(s: S, work: Invert<'_, T>) {
    let Invert { entries, other, ridge, first, out } = work;
    let (k, width) = (other.columns, other.width);
    let subtract = |row: &mut [T], factor: T, pivot: &[T]| {
        let minus = s.splat(-factor);
        let row: &mut [S::V] = bytemuck::cast_slice_mut(row);
        row.iter_mut().zip(as_row::<T, S>(pivot)).for_each(|(g, p)| *g = s.add_product(minus, *p, *g));
    };
    for (r, gram) in out.chunks_exact_mut(k * width).enumerate() {
        gram.fill(T::default());
        let (indices, _) = entries.values.row(first + r);
        let range = entries.values.row_range(first + r);
        for (p, &j) in indices.iter().enumerate() {
            let v = other.row(j as usize);
            let w = entries.weights.get(range.start + p).copied();
            for (row, &x) in gram.chunks_exact_mut(width).zip(v) {
                subtract(row, -w.map_or(x, |w| w * x), v);
            }
        }
        gauss_jordan::<T>(gram, k, width, ridge, subtract);
    }
}

/// The inverse of a `k × k` matrix in padded rows, without a search for pivots: it is positive definite, or the pivot is
/// dropped.
#[inline(always)]
fn gauss_jordan<T: Real>(gram: &mut [T], k: usize, width: usize, ridge: T, subtract: impl Fn(&mut [T], T, &[T])) {
    let mut trace = T::default();
    for c in 0..k {
        gram[c * width + c] += ridge;
        trace += gram[c * width + c];
    }
    let least = smallest_pivot::<T>() * trace / T::from_f64(k as f64);
    let one = T::from_f64(1.0);
    for c in 0..k {
        let (above, rest) = gram.split_at_mut(c * width);
        let (pivot_row, below) = rest.split_at_mut(width);
        let pivot = pivot_row[c];
        let good = pivot > least;
        let inverse = if good { one / pivot } else { T::default() };
        pivot_row[c] = one;
        pivot_row.iter_mut().for_each(|x| *x *= inverse);
        for row in above.chunks_exact_mut(width).chain(below.chunks_exact_mut(width)) {
            let factor = if good { row[c] } else { T::default() };
            row[c] = T::default();
            subtract(row, factor, pivot_row);
        }
    }
}

/// Of the mean of the diagonal: smaller pivots are directions that the entries leave open, and get no step.
fn smallest_pivot<T: Real>() -> T {
    T::from_f64(if size_of::<T>() == 4 { 1e-6 } else { 1e-13 })
}
