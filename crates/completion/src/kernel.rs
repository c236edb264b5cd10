//! The passes over the entries that fuse a product of factor rows with its use. Each reads every entry once, in one
//! orientation, and gathers one or two rows of the other side; nothing of the size of `Ω` is written.
//!
//! Floor: `2|Ω|k` flops and one gathered row of `k` scalars per entry, the time to verify an answer (`residual`). Rows are
//! padded to whole registers of 64 bytes, and up to eight of them are constants of the compiled loops, so that sums over
//! the entries of a row stay in registers: in memory they cost three times as much.
// Descriptions of work own the rows that they fill.
#![allow(clippy::needless_pass_by_value)]

use pulp::{Simd, bytemuck};
use rayon::prelude::*;
use samplewise_linalg::small::SmallReal;
use samplewise_linalg::small::lanes::Lanes;
use samplewise_linalg::{Matrix, Real};

use crate::entries::Orientation;

/// Bytes of a group of lanes.
const GROUP: usize = 64;
/// Rows of a unit of work; a constant, so that results do not depend on the number of threads.
const ROWS: usize = 256;
/// Scalar operations below which a parallel call costs more than it gains.
const SERIAL: usize = 1 << 17;

/// Rows of factors, padded with zeros to whole groups of lanes.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel<T> {
    pub(crate) data: Vec<T>,
    /// Padded length of a row.
    pub(crate) width: usize,
    /// Columns that count.
    pub(crate) columns: usize,
}

impl<T: Real> Panel<T> {
    pub(crate) fn zeros(rows: usize, columns: usize) -> Self {
        let width = columns.next_multiple_of(GROUP / size_of::<T>());
        Self { data: vec![T::default(); rows * width], width, columns }
    }

    pub(crate) fn copy<S: Real>(matrix: &Matrix<S>) -> Self {
        let mut out = Self::zeros(matrix.rows(), matrix.columns());
        for (i, row) in out.data.chunks_exact_mut(out.width.max(1)).enumerate() {
            row.iter_mut().zip(matrix.row(i)).for_each(|(a, b)| *a = T::from_f64(b.to_f64()));
        }
        out
    }

    /// The same numbers in another precision.
    pub(crate) fn convert<S: Real>(other: &Panel<S>) -> Self {
        let mut out = Self::zeros(other.rows(), other.columns);
        if out.width == other.width {
            out.data.iter_mut().zip(&other.data).for_each(|(a, b)| *a = T::from_f64(b.to_f64()));
        } else if other.width > 0 {
            for (a, b) in out.data.chunks_exact_mut(out.width).zip(other.data.chunks_exact(other.width)) {
                a.iter_mut().zip(b).for_each(|(a, b)| *a = T::from_f64(b.to_f64()));
            }
        }
        out
    }

    /// `self += other`, of any precision.
    pub(crate) fn add<S: Real>(&mut self, other: &Panel<S>) {
        for (a, b) in self.data.chunks_exact_mut(self.width.max(1)).zip(other.data.chunks_exact(other.width.max(1))) {
            a.iter_mut().zip(b).for_each(|(a, b)| *a += T::from_f64(b.to_f64()));
        }
    }

    pub(crate) fn row(&self, i: usize) -> &[T] {
        &self.data[i * self.width..(i + 1) * self.width]
    }

    pub(crate) fn rows(&self) -> usize {
        self.data.len().checked_div(self.width).unwrap_or(0)
    }

    pub(crate) fn to_matrix(&self) -> Matrix {
        Matrix::from_fn(self.rows(), self.columns, |i, c| self.row(i)[c].to_f64())
    }

    /// `⟨a, b⟩`, lanes in a fixed order, blocks added in `f64`.
    pub(crate) fn dot(&self, other: &Self) -> f64 {
        let mut total = 0.0;
        for (a, b) in self.data.chunks(4096).zip(other.data.chunks(4096)) {
            let mut lanes = [T::default(); 16];
            let (head_a, tail_a) = a.as_chunks::<16>();
            let (head_b, tail_b) = b.as_chunks::<16>();
            for (x, y) in head_a.iter().zip(head_b) {
                for l in 0..16 {
                    lanes[l] += x[l] * y[l];
                }
            }
            tail_a.iter().zip(tail_b).zip(&mut lanes).for_each(|((x, y), l)| *l += *x * *y);
            total += fold(lanes).to_f64();
        }
        total
    }

    /// `self += alpha·other`.
    pub(crate) fn add_scaled(&mut self, alpha: f64, other: &Self) {
        let alpha = T::from_f64(alpha);
        self.data.iter_mut().zip(&other.data).for_each(|(a, b)| *a += alpha * *b);
    }

    /// `self = other + beta·self`.
    pub(crate) fn scale_add(&mut self, beta: f64, other: &Self) {
        let beta = T::from_f64(beta);
        self.data.iter_mut().zip(&other.data).for_each(|(a, b)| *a = *b + beta * *a);
    }
}

/// Sum of the lanes, by halves.
#[inline(always)]
fn fold<T: Real, const L: usize>(mut lanes: [T; L]) -> T {
    let mut half = L / 2;
    while half > 0 {
        for l in 0..half {
            lanes[l] += lanes[l + half];
        }
        half /= 2;
    }
    lanes[0]
}

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
    entries: &'a Orientation<T>,
    own: &'a Panel<T>,
    spread: &'a Panel<T>,
    coefficient: Coefficient<'a, T>,
}

/// Consecutive rows of a pass.
#[doc(hidden)]
pub struct Rows<'a, T: Real> {
    pass: &'a Pass<'a, T>,
    first: usize,
    out: &'a mut [T],
}

/// Consecutive rows of a verification.
#[doc(hidden)]
pub struct Verify<'a, T: Real> {
    entries: &'a Orientation<T>,
    own: &'a Panel<T>,
    other: &'a Panel<T>,
    first: usize,
    last: usize,
}

/// Consecutive rows to invert.
#[doc(hidden)]
pub struct Invert<'a, T: Real> {
    entries: &'a Orientation<T>,
    other: &'a Panel<T>,
    ridge: T,
    first: usize,
    out: &'a mut [T],
}

/// Consecutive rows to multiply with their inverses.
#[doc(hidden)]
pub struct Apply<'a, T: Real> {
    inverses: &'a [T],
    columns: usize,
    width: usize,
    x: &'a [T],
    out: &'a mut [T],
}

/// The two precisions: what runs on the registers of this machine.
pub trait KernelReal: SmallReal {
    #[doc(hidden)]
    fn rows(work: Rows<'_, Self>) -> f64;
    #[doc(hidden)]
    fn verify(work: Verify<'_, Self>) -> f64;
    #[doc(hidden)]
    fn invert(work: Invert<'_, Self>);
    #[doc(hidden)]
    fn apply(work: Apply<'_, Self>);
}

/// Rows of one to eight registers are constants of the compiled loops.
macro_rules! by_registers {
    ($t:ty, $s:ident, $simd:expr, $width:expr, $constant:ident, $any:ident, $work:expr) => {
        match $width / <$s as Lanes<$t>>::WIDTH {
            1 => $constant::<$t, $s, 1>($simd, $work),
            2 => $constant::<$t, $s, 2>($simd, $work),
            3 => $constant::<$t, $s, 3>($simd, $work),
            4 => $constant::<$t, $s, 4>($simd, $work),
            5 => $constant::<$t, $s, 5>($simd, $work),
            6 => $constant::<$t, $s, 6>($simd, $work),
            7 => $constant::<$t, $s, 7>($simd, $work),
            8 => $constant::<$t, $s, 8>($simd, $work),
            _ => $any::<$t, $s>($simd, $work),
        }
    };
}

macro_rules! dispatched {
    ($t:ty, $work:ident, $output:ty, $width:expr, $constant:ident, $any:ident) => {{
        struct InSimd<'a>($work<'a, $t>);
        impl pulp::WithSimd for InSimd<'_> {
            type Output = $output;
            #[inline(always)]
            fn with_simd<S: Simd>(self, s: S) -> $output {
                let width = $width(&self.0);
                by_registers!($t, S, s, width, $constant, $any, self.0)
            }
        }
        |work| pulp::Arch::new().dispatch(InSimd(work))
    }};
}

macro_rules! kernel_real {
    ($($t:ty),*) => {$(
        impl KernelReal for $t {
            fn rows(work: Rows<'_, $t>) -> f64 {
                dispatched!($t, Rows, f64, |w: &Rows<'_, $t>| w.pass.own.width, rows_of, rows_of_any)(work)
            }
            fn verify(work: Verify<'_, $t>) -> f64 {
                dispatched!($t, Verify, f64, |w: &Verify<'_, $t>| w.own.width, verify, verify_any)(work)
            }
            fn invert(work: Invert<'_, $t>) {
                dispatched!($t, Invert, (), |w: &Invert<'_, $t>| w.other.width, invert, invert_any)(work);
            }
            fn apply(work: Apply<'_, $t>) {
                dispatched!($t, Apply, (), |w: &Apply<'_, $t>| w.width, apply, apply_any)(work);
            }
        }
    )*};
}
kernel_real!(f32, f64);

#[inline(always)]
fn as_rows<T: SmallReal, S: Lanes<T>, const N: usize>(panel: &[T]) -> &[[S::V; N]] {
    let registers: &[S::V] = bytemuck::cast_slice(panel);
    registers.as_chunks::<N>().0
}

#[inline(always)]
fn as_row<T: SmallReal, S: Lanes<T>>(row: &[T]) -> &[S::V] {
    bytemuck::cast_slice(row)
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
fn rows_of<T: SmallReal, S: Lanes<T>, const N: usize>(s: S, work: Rows<'_, T>) -> f64 {
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

#[inline(always)]
fn add<T: SmallReal, S: Lanes<T>, const N: usize>(s: S, c: T, direction: &[S::V; N], acc: &mut [S::V; N]) {
    let c = s.splat(c);
    for n in 0..N {
        acc[n] = s.add_product(c, direction[n], acc[n]);
    }
}

/// [`rows_of`] for wider rows: sums in memory.
#[inline(always)]
fn rows_of_any<T: SmallReal, S: Lanes<T>>(s: S, work: Rows<'_, T>) -> f64 {
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
fn verify<T: SmallReal, S: Lanes<T>, const N: usize>(s: S, work: Verify<'_, T>) -> f64 {
    let (own, other) = (as_rows::<T, S, N>(&work.own.data), as_rows::<T, S, N>(&work.other.data));
    squares::<T>(
        &work,
        #[inline(always)]
        |i, j| dot::<T, S>(s, &own[i], &other[j]),
    )
}

#[inline(always)]
fn verify_any<T: SmallReal, S: Lanes<T>>(s: S, work: Verify<'_, T>) -> f64 {
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

/// The inverses of all normal matrices `Σ_j w other_j other_jᵀ + ridge·I`, one per row, each `k` padded rows.
#[derive(Clone, Debug)]
pub(crate) struct Inverses<T> {
    data: Vec<T>,
    width: usize,
    columns: usize,
}

impl<T: KernelReal> Inverses<T> {
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
fn apply<T: SmallReal, S: Lanes<T>, const N: usize>(s: S, work: Apply<'_, T>) {
    let width = N * S::WIDTH;
    let rows = work.x.chunks_exact(width).zip(work.out.chunks_exact_mut(width));
    for (inverse, (x, out)) in as_rows::<T, S, N>(work.inverses).chunks_exact(work.columns).zip(rows) {
        let mut acc = [s.splat(T::default()); N];
        inverse.iter().zip(x).for_each(|(row, &x)| add::<T, S, N>(s, x, row, &mut acc));
        out.copy_from_slice(bytemuck::cast_slice(&acc));
    }
}

#[inline(always)]
fn apply_any<T: SmallReal, S: Lanes<T>>(s: S, work: Apply<'_, T>) {
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
fn invert<T: SmallReal, S: Lanes<T>, const N: usize>(s: S, work: Invert<'_, T>) {
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
fn invert_any<T: SmallReal, S: Lanes<T>>(s: S, work: Invert<'_, T>) {
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

/// One look at every entry in single precision: the unit that fits are measured in.
#[doc(hidden)]
#[derive(Debug)]
pub struct Verification {
    entries: crate::Entries<f32>,
    u: Panel<f32>,
    v: Panel<f32>,
}

impl Verification {
    /// `None` where the values leave the range of single precision.
    pub fn new(entries: &crate::Entries, model: &crate::Model) -> Option<Self> {
        let (u, v) = (Panel::copy(&model.row_factors), Panel::copy(&model.column_factors));
        Some(Self { entries: entries.to_single()?, u, v })
    }

    /// The sum of the squared residuals.
    pub fn pass(&self) -> f64 {
        residual(&self.entries.by_row, &self.u, &self.v)
    }
}

#[cfg(test)]
mod tests {
    use samplewise_linalg::random::Streams;

    use super::*;
    use crate::Entries;

    /// COM-7: every pass and every inverse equals its definition, for all widths up to eight registers and beyond, weighted
    /// and not, in both precisions.
    fn agrees<T: KernelReal>(single: impl Fn(&Entries) -> Entries<T>, tolerance: f64) {
        for (case, k) in [1, 5, 8, 9, 16, 20, 33, 50, 64, 70, 130].into_iter().enumerate() {
            let s = Streams::new(case as u64);
            let (m, n) = (40, 300);
            let draw = |i: usize| s.uniform(i as u64) - 0.5;
            let seen: Vec<(usize, usize, f64)> = (0..m * n)
                .filter(|c| s.uniform((1_000_000 + c) as u64) < 0.8 && c / n != 7)
                .map(|c| (c / n, c % n, draw(2_000_000 + c)))
                .collect();
            let weights: Vec<f64> = (0..seen.len()).map(|p| 0.5 + s.uniform((3_000_000 + p) as u64)).collect();
            let data = Entries::new(m, n, &seen, (case % 2 == 0).then_some(&weights[..])).unwrap();
            let narrow = single(&data);
            let random = |rows: usize, id: usize| Matrix::from_fn(rows, k, |i, c| draw(id + i * 200 + c));
            let [u, u2] = [random(m, 4_000_000), random(m, 5_000_000)];
            let [v, v2] = [random(n, 6_000_000), random(n, 7_000_000)];
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let [pu, pu2, pv, pv2] = [&u, &u2, &v, &v2].map(Panel::<T>::copy);
            let mut out = Panel::zeros(m, k);
            let check = |name: &str, out: &Panel<T>, c: &dyn Fn(usize, usize, f64) -> f64| {
                let mut expected = Matrix::<f64>::zeros(m, k);
                for (i, j, value, w) in data.iter() {
                    let c = w * c(i, j, value);
                    expected.row_mut(i).iter_mut().zip(v.row(j)).for_each(|(e, v)| *e += c * v);
                }
                let found = out.to_matrix();
                let scale = expected.norm();
                for (a, b) in found.as_slice().iter().zip(expected.as_slice()) {
                    assert!((a - b).abs() <= tolerance * scale, "{name}, k = {k}: {a} {b}");
                }
            };
            let squares = gradient(&narrow.by_row, &pu, &pv, &mut out);
            check("gradient", &out, &|i, j, value| value - dot(u.row(i), v.row(j)));
            let expected: f64 = data.iter().map(|(i, j, x, w)| w * (x - dot(u.row(i), v.row(j))).powi(2)).sum();
            for found in [squares, residual(&narrow.by_row, &pu, &pv)] {
                assert!((found - expected).abs() <= tolerance * expected, "k = {k}: {found} {expected}");
            }
            coupling(&narrow.by_row, &pu, &pv2, &pv, &mut out);
            check("coupling", &out, &|i, j, _| dot(u.row(i), v2.row(j)));
            reduced(&narrow.by_row, &pu, &pu2, &pv2, &pv, &mut out);
            check("reduced", &out, &|i, j, _| dot(u.row(i), v.row(j)) - dot(u2.row(i), v2.row(j)));
            // G (G⁻¹ x) = x, where there are entries; x over the ridge where there are none.
            let inverses = Inverses::new(&narrow.by_row, &pv, 0.5);
            let mut solved = Panel::zeros(m, k);
            inverses.apply(&pu, &mut solved);
            let solved = solved.to_matrix();
            let mut back = Matrix::from_fn(m, k, |i, c| 0.5 * solved[(i, c)]);
            for (i, j, _, w) in data.iter() {
                let c = w * dot(v.row(j), solved.row(i));
                back.row_mut(i).iter_mut().zip(v.row(j)).for_each(|(b, v)| *b += c * v);
            }
            for (a, b) in back.as_slice().iter().zip(u.as_slice()) {
                assert!((a - b).abs() < 1e3 * tolerance, "inverses, k = {k}: {a} {b}");
            }
        }
    }

    /// COM-7: see above.
    #[test]
    fn passes_and_inverses_equal_their_definitions() {
        agrees::<f64>(Clone::clone, 1e-12);
        agrees::<f32>(|e| e.to_single().unwrap(), 1e-5);
    }
}
