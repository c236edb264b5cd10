//! Passes over the entries.
// Descriptions of work own the rows that they fill.
#![allow(clippy::needless_pass_by_value)]

use pulp::bytemuck;
use rayon::prelude::*;
use samplewise_linalg::Real;
use samplewise_linalg::batched::SmallReal;
use samplewise_linalg::batched::lanes::Lanes;

use super::{KernelReal, Panel, ROWS, SERIAL, add, as_row, as_rows};
use crate::data::entries::Orientation;

/// What the coefficient of an entry `(i, j, m)` of weight `w` is; the pass adds `coefficient · spread_j` to row `i`.
#[derive(Clone, Copy)]
enum Coefficient<'a, T: Real> {
    /// `w (m − own_i · spread_j)`: the gradient, and the sum of `w r²` with it.
    Residual,
    /// `w (own_i · probe_j)`.
    Product { probe: &'a Panel<T> },
    /// `w (own_i · spread_j − own2_i · probe_j)`.
    Difference { own2: &'a Panel<T>, probe: &'a Panel<T> },
}

#[doc(hidden)]
pub struct Pass<'a, T: Real> {
    pub(super) entries: &'a Orientation<T>,
    pub(super) own: &'a Panel<T>,
    pub(super) spread: &'a Panel<T>,
    coefficient: Coefficient<'a, T>,
}

/// Consecutive rows of a pass.
#[doc(hidden)]
pub struct Rows<'a, T: Real> {
    pub(super) pass: &'a Pass<'a, T>,
    pub(super) first: usize,
    pub(super) out: &'a mut [T],
}

/// Consecutive rows of a verification.
#[doc(hidden)]
pub struct Verify<'a, T: Real> {
    pub(super) entries: &'a Orientation<T>,
    pub(super) own: &'a Panel<T>,
    pub(super) other: &'a Panel<T>,
    pub(super) first: usize,
    pub(super) last: usize,
}

#[inline(always)]
fn dot<T: SmallReal, S: Lanes<T>>(s: S, a: &[S::V], b: &[S::V]) -> T {
    let mut sum = s.mul(a[0], b[0]);
    for (x, y) in a[1..].iter().zip(&b[1..]) {
        sum = s.add_product(*x, *y, sum);
    }
    s.sum(sum)
}

/// `a·b − c·d`.
#[inline(always)]
fn difference<T: SmallReal, S: Lanes<T>>(s: S, a: &[S::V], b: &[S::V], c: &[S::V], d: &[S::V]) -> T {
    let zero = s.splat(T::default());
    let (mut plus, mut minus) = (zero, zero);
    for ((x, y), (v, w)) in a.iter().zip(b).zip(c.iter().zip(d)) {
        plus = s.add_product(*x, *y, plus);
        minus = s.add_product(*v, *w, minus);
    }
    s.sum(s.sub(plus, minus))
}

#[inline(always)]
pub(super) fn rows_of<T: SmallReal, S: Lanes<T>, const N: usize>(s: S, work: Rows<'_, T>) -> f64 {
    let Pass { entries, own, spread, coefficient } = work.pass;
    let (own, spread) = (as_rows::<T, S, N>(&own.data), as_rows::<T, S, N>(&spread.data));
    let mut total = 0.0;
    for (r, out) in work.out.chunks_exact_mut(N * S::WIDTH).enumerate() {
        let i = work.first + r;
        let (indices, values) = entries.values.row(i);
        let weights =
            if entries.weights.is_empty() { None } else { Some(&entries.weights[entries.values.row_range(i)]) };
        let mine = &own[i];
        let mut acc = [s.splat(T::default()); N];
        let mut squares = T::default();
        let weighted = |c: T, p: usize| if let Some(w) = weights { c * w[p] } else { c };
        match coefficient {
            Coefficient::Residual => {
                for (p, (&j, &value)) in indices.iter().zip(values).enumerate() {
                    let direction = &spread[j as usize];
                    let residual = value - dot::<T, S>(s, mine, direction);
                    let c = weighted(residual, p);
                    squares += c * residual;
                    add::<T, S, N>(s, c, direction, &mut acc);
                }
            }
            Coefficient::Product { probe } => {
                let probe = as_rows::<T, S, N>(&probe.data);
                for (p, &j) in indices.iter().enumerate() {
                    let c = weighted(dot::<T, S>(s, mine, &probe[j as usize]), p);
                    add::<T, S, N>(s, c, &spread[j as usize], &mut acc);
                }
            }
            Coefficient::Difference { own2, probe } => {
                let (second, probe) = (&as_rows::<T, S, N>(&own2.data)[i], as_rows::<T, S, N>(&probe.data));
                for (p, &j) in indices.iter().enumerate() {
                    let direction = &spread[j as usize];
                    let c = weighted(difference::<T, S>(s, mine, direction, second, &probe[j as usize]), p);
                    add::<T, S, N>(s, c, direction, &mut acc);
                }
            }
        }
        out.copy_from_slice(bytemuck::cast_slice(&acc));
        total += squares.to_f64();
    }
    total
}

/// [`rows_of`] for wider rows: sums in memory.
#[inline(always)]
pub(super) fn rows_of_any<T: SmallReal, S: Lanes<T>>(s: S, work: Rows<'_, T>) -> f64 {
    let Pass { entries, own, spread, coefficient } = work.pass;
    let mut total = 0.0;
    for (r, out) in work.out.chunks_exact_mut(own.width).enumerate() {
        let i = work.first + r;
        let (indices, values) = entries.values.row(i);
        let range = entries.values.row_range(i);
        let mine = as_row::<T, S>(own.row(i));
        out.fill(T::default());
        let out: &mut [S::V] = bytemuck::cast_slice_mut(out);
        let mut squares = T::default();
        for (p, (&j, &value)) in indices.iter().zip(values).enumerate() {
            let j = j as usize;
            let direction = as_row::<T, S>(spread.row(j));
            let w = entries.weights.get(range.start + p).copied().unwrap_or(T::from_f64(1.0));
            let c = match coefficient {
                Coefficient::Residual => {
                    let residual = value - dot::<T, S>(s, mine, direction);
                    squares += w * residual * residual;
                    residual
                }
                Coefficient::Product { probe } => dot::<T, S>(s, mine, as_row::<T, S>(probe.row(j))),
                Coefficient::Difference { own2, probe } => {
                    let (second, probe) = (as_row::<T, S>(own2.row(i)), as_row::<T, S>(probe.row(j)));
                    difference::<T, S>(s, mine, direction, second, probe)
                }
            };
            let c = s.splat(w * c);
            out.iter_mut().zip(direction).for_each(|(o, d)| *o = s.add_product(c, *d, *o));
        }
        total += squares.to_f64();
    }
    total
}

#[inline(always)]
pub(super) fn verify<T: SmallReal, S: Lanes<T>, const N: usize>(s: S, work: Verify<'_, T>) -> f64 {
    let (own, other) = (as_rows::<T, S, N>(&work.own.data), as_rows::<T, S, N>(&work.other.data));
    squares::<T>(
        &work,
        #[inline(always)]
        |i, j| dot::<T, S>(s, &own[i], &other[j]),
    )
}

#[inline(always)]
pub(super) fn verify_any<T: SmallReal, S: Lanes<T>>(s: S, work: Verify<'_, T>) -> f64 {
    let (own, other) = (work.own, work.other);
    squares::<T>(
        &work,
        #[inline(always)]
        |i, j| dot::<T, S>(s, as_row::<T, S>(own.row(i)), as_row::<T, S>(other.row(j))),
    )
}

#[inline(always)]
fn squares<T: Real>(work: &Verify<'_, T>, predict: impl Fn(usize, usize) -> T) -> f64 {
    let mut total = 0.0;
    for i in work.first..work.last {
        let (indices, values) = work.entries.values.row(i);
        let mut squares = T::default();
        if work.entries.weights.is_empty() {
            for (&j, &value) in indices.iter().zip(values) {
                let r = value - predict(i, j as usize);
                squares += r * r;
            }
        } else {
            let weights = &work.entries.weights[work.entries.values.row_range(i)];
            for ((&j, &value), &w) in indices.iter().zip(values).zip(weights) {
                let r = value - predict(i, j as usize);
                squares += w * r * r;
            }
        }
        total += squares.to_f64();
    }
    total
}

fn run<T: KernelReal>(pass: &Pass<'_, T>, out: &mut Panel<T>) -> f64 {
    let width = out.width;
    if width == 0 {
        return 0.0;
    }
    let block = |(b, part): (usize, &mut [T])| T::rows(Rows { pass, first: b * ROWS, out: part });
    let unit = ROWS * width;
    if pass.entries.values.nnz() * width < SERIAL {
        out.data.chunks_mut(unit).enumerate().map(block).sum()
    } else {
        let parts: Vec<f64> = out.data.par_chunks_mut(unit).enumerate().map(block).collect();
        parts.iter().sum()
    }
}

/// Row `i` of `out` becomes `Σ_j w (m_ij − own_i·other_j) other_j`; returns `Σ w r²`.
pub(crate) fn gradient<T: KernelReal>(
    entries: &Orientation<T>,
    own: &Panel<T>,
    other: &Panel<T>,
    out: &mut Panel<T>,
) -> f64 {
    run(&Pass { entries, own, spread: other, coefficient: Coefficient::Residual }, out)
}

/// Row `i` of `out` becomes `Σ_j w (own_i·probe_j) spread_j`.
pub(crate) fn coupling<T: KernelReal>(
    entries: &Orientation<T>,
    own: &Panel<T>,
    probe: &Panel<T>,
    spread: &Panel<T>,
    out: &mut Panel<T>,
) {
    run(&Pass { entries, own, spread, coefficient: Coefficient::Product { probe } }, out);
}

/// Row `i` of `out` becomes `Σ_j w (own_i·spread_j − own2_i·probe_j) spread_j`.
pub(crate) fn reduced<T: KernelReal>(
    entries: &Orientation<T>,
    own: &Panel<T>,
    own2: &Panel<T>,
    probe: &Panel<T>,
    spread: &Panel<T>,
    out: &mut Panel<T>,
) {
    run(&Pass { entries, own, spread, coefficient: Coefficient::Difference { own2, probe } }, out);
}

/// `Σ w r²` over all entries: one verification pass.
pub(crate) fn residual<T: KernelReal>(entries: &Orientation<T>, own: &Panel<T>, other: &Panel<T>) -> f64 {
    let rows = entries.values.rows();
    if own.width == 0 {
        return entries.iter().map(|(_, _, v, w)| w * v * v).sum();
    }
    let block = |b: usize| {
        let (first, last) = (b * ROWS, ((b + 1) * ROWS).min(rows));
        T::verify(Verify { entries, own, other, first, last })
    };
    if entries.values.nnz() * own.width < SERIAL {
        (0..rows.div_ceil(ROWS)).map(block).sum()
    } else {
        let parts: Vec<f64> = (0..rows.div_ceil(ROWS)).into_par_iter().map(block).collect();
        parts.iter().sum()
    }
}
