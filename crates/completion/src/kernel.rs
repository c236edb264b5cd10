//! The passes over the entries that fuse a product of factor rows with its use. Each reads every entry once, in one
//! orientation, and gathers one or two rows of the other side; nothing of the size of `Ω` is written.
//!
//! Floor: `2|Ω|k` flops and one gathered row of `k` scalars per entry, the time to verify an answer ([`residual`]). Rows are
//! padded to whole groups of eight scalars, which is what the compiler needs to keep them in registers.
use rayon::prelude::*;
use samplewise_linalg::small::SmallReal;
use samplewise_linalg::{CsrMatrix, Matrix, Real};

use crate::entries::Orientation;

/// Scalars of a group.
const LANES: usize = 8;
/// Rows of a unit of work; a constant, so that results do not depend on the number of threads.
const ROWS: usize = 256;
/// Scalar operations below which a parallel call costs more than it gains.
const SERIAL: usize = 1 << 17;

/// Rows of factors, padded with zeros to whole groups of lanes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Panel<T> {
    pub data: Vec<T>,
    /// Padded length of a row.
    pub width: usize,
    /// Columns that count.
    pub columns: usize,
}

impl<T: Real> Panel<T> {
    pub fn zeros(rows: usize, columns: usize) -> Self {
        let width = columns.next_multiple_of(LANES);
        Self { data: vec![T::default(); rows * width], width, columns }
    }

    pub fn copy<S: Real>(matrix: &Matrix<S>) -> Self {
        let mut out = Self::zeros(matrix.rows(), matrix.columns());
        out.fill_from(matrix);
        out
    }

    pub fn fill_from<S: Real>(&mut self, matrix: &Matrix<S>) {
        for (i, row) in self.data.chunks_exact_mut(self.width.max(1)).enumerate() {
            row.iter_mut().zip(matrix.row(i)).for_each(|(a, b)| *a = T::from_f64(b.to_f64()));
        }
    }

    pub fn row(&self, i: usize) -> &[T] {
        &self.data[i * self.width..(i + 1) * self.width]
    }

    pub fn rows(&self) -> usize {
        if self.width == 0 { 0 } else { self.data.len() / self.width }
    }

    pub fn to_matrix(&self) -> Matrix {
        Matrix::from_fn(self.rows(), self.columns, |i, c| self.row(i)[c].to_f64())
    }

    /// `⟨a, b⟩`, lanes in a fixed order, blocks added in `f64`.
    pub fn dot(&self, other: &Self) -> f64 {
        let mut total = 0.0;
        for (a, b) in self.data.chunks(4096).zip(other.data.chunks(4096)) {
            let mut lanes = [T::default(); LANES];
            for (x, y) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
                for l in 0..LANES {
                    lanes[l] += x[l] * y[l];
                }
            }
            total += fold(lanes).to_f64();
        }
        total
    }

    /// `self += alpha·other`.
    pub fn add_scaled(&mut self, alpha: f64, other: &Self) {
        let alpha = T::from_f64(alpha);
        self.data.iter_mut().zip(&other.data).for_each(|(a, b)| *a += alpha * *b);
    }

    /// `self = other + beta·self`.
    pub fn scale_add(&mut self, beta: f64, other: &Self) {
        let beta = T::from_f64(beta);
        self.data.iter_mut().zip(&other.data).for_each(|(a, b)| *a = *b + beta * *a);
    }
}

#[inline(always)]
fn fold<T: Real>(l: [T; LANES]) -> T {
    ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]))
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

struct Pass<'a, T: Real> {
    entries: &'a Orientation<T>,
    own: &'a Panel<T>,
    spread: &'a Panel<T>,
    coefficient: Coefficient<'a, T>,
}

/// Consecutive rows of a pass.
struct Rows<'a, T: Real> {
    pass: &'a Pass<'a, T>,
    first: usize,
    out: &'a mut [T],
}

impl<T: Real> pulp::WithSimd for Rows<'_, T> {
    type Output = f64;
    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> f64 {
        match self.pass.own.width {
            8 => self.run::<8>(),
            16 => self.run::<16>(),
            32 => self.run::<32>(),
            56 => self.run::<56>(),
            _ => self.run::<0>(),
        }
    }
}

impl<T: Real> Rows<'_, T> {
    /// `W` is the width where it is known to the compiler, otherwise 0.
    #[inline(always)]
    fn run<const W: usize>(self) -> f64 {
        let Pass { entries, own, spread, coefficient } = self.pass;
        let width = if W > 0 { W } else { own.width };
        let mut total = 0.0;
        for (r, out) in self.out.chunks_exact_mut(width).enumerate() {
            let i = self.first + r;
            let range = entries.values.row_range(i);
            let (indices, values) = entries.values.row(i);
            let weights = if entries.weights.is_empty() { None } else { Some(&entries.weights[range]) };
            let mine = &own.data[i * width..(i + 1) * width];
            let out = &mut out[..width];
            out.fill(T::default());
            let mut squares = T::default();
            for (p, (&j, &value)) in indices.iter().zip(values).enumerate() {
                let j = j as usize;
                let direction = &spread.data[j * width..(j + 1) * width];
                let (mut c, mut squared) = (T::default(), T::default());
                match coefficient {
                    Coefficient::Residual => {
                        c = value - dot(mine, direction);
                        squared = c * c;
                    }
                    Coefficient::Product { probe } => c = dot(mine, &probe.data[j * width..(j + 1) * width]),
                    Coefficient::Difference { own2, probe } => {
                        let second = &own2.data[i * width..(i + 1) * width];
                        c = difference(mine, direction, second, &probe.data[j * width..(j + 1) * width]);
                    }
                }
                if let Some(w) = weights {
                    c *= w[p];
                    squared *= w[p];
                }
                squares += squared;
                out.iter_mut().zip(direction).for_each(|(o, d)| *o += c * *d);
            }
            total += squares.to_f64();
        }
        total
    }
}

#[inline(always)]
fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    let mut lanes = [T::default(); LANES];
    for (x, y) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        for l in 0..LANES {
            lanes[l] += x[l] * y[l];
        }
    }
    fold(lanes)
}

/// `a·b − c·d`.
#[inline(always)]
fn difference<T: Real>(a: &[T], b: &[T], c: &[T], d: &[T]) -> T {
    let mut lanes = [T::default(); LANES];
    let second = c.as_chunks::<LANES>().0.iter().zip(d.as_chunks::<LANES>().0);
    for ((x, y), (v, w)) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0).zip(second) {
        for l in 0..LANES {
            lanes[l] += x[l] * y[l] - v[l] * w[l];
        }
    }
    fold(lanes)
}

fn run<T: Real>(pass: &Pass<'_, T>, out: &mut Panel<T>) -> f64 {
    let width = out.width;
    let arch = pulp::Arch::new();
    let block =
        |(b, part): (usize, &mut [T])| arch.dispatch(Rows { pass, first: b * ROWS, out: part });
    let unit = ROWS * width;
    if pass.entries.values.nnz() * width < SERIAL {
        out.data.chunks_mut(unit).enumerate().map(block).sum()
    } else {
        let parts: Vec<f64> = out.data.par_chunks_mut(unit).enumerate().map(block).collect();
        parts.iter().sum()
    }
}

/// Row `i` of `out` becomes `Σ_j w (m_ij − own_i·other_j) other_j`; returns `Σ w r²`.
pub(crate) fn gradient<T: Real>(
    entries: &Orientation<T>,
    own: &Panel<T>,
    other: &Panel<T>,
    out: &mut Panel<T>,
) -> f64 {
    run(&Pass { entries, own, spread: other, coefficient: Coefficient::Residual }, out)
}

/// Row `i` of `out` becomes `Σ_j w (own_i·probe_j) spread_j`.
pub(crate) fn coupling<T: Real>(
    entries: &Orientation<T>,
    own: &Panel<T>,
    probe: &Panel<T>,
    spread: &Panel<T>,
    out: &mut Panel<T>,
) {
    run(&Pass { entries, own, spread, coefficient: Coefficient::Product { probe } }, out);
}

/// Row `i` of `out` becomes `Σ_j w (own_i·spread_j − own2_i·probe_j) spread_j`.
pub(crate) fn reduced<T: Real>(
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
pub(crate) fn residual<T: Real>(entries: &Orientation<T>, own: &Panel<T>, other: &Panel<T>) -> f64 {
    struct Verify<'a, T: Real>(&'a Orientation<T>, &'a Panel<T>, &'a Panel<T>, std::ops::Range<usize>);
    impl<T: Real> pulp::WithSimd for Verify<'_, T> {
        type Output = f64;
        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, _: S) -> f64 {
            match self.1.width {
                8 => verify::<T, 8>(&self),
                16 => verify::<T, 16>(&self),
                32 => verify::<T, 32>(&self),
                56 => verify::<T, 56>(&self),
                _ => verify::<T, 0>(&self),
            }
        }
    }
    #[inline(always)]
    fn verify<T: Real, const W: usize>(v: &Verify<'_, T>) -> f64 {
        let Verify(entries, own, other, rows) = v;
        let width = if W > 0 { W } else { own.width };
        let mut total = 0.0;
        for i in rows.clone() {
            let (indices, values) = entries.values.row(i);
            let range = entries.values.row_range(i);
            let mine = &own.data[i * width..(i + 1) * width];
            let mut squares = T::default();
            for (p, (&j, &value)) in indices.iter().zip(values).enumerate() {
                let j = j as usize;
                let r = value - dot(mine, &other.data[j * width..(j + 1) * width]);
                let w = if entries.weights.is_empty() { r } else { r * entries.weights[range.start + p] };
                squares += w * r;
            }
            total += squares.to_f64();
        }
        total
    }
    let rows = entries.values.rows();
    if own.width == 0 {
        return entries.iter().map(|(_, _, v, w)| w * v * v).sum();
    }
    let arch = pulp::Arch::new();
    let block = |b: usize| arch.dispatch(Verify(entries, own, other, b * ROWS..((b + 1) * ROWS).min(rows)));
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

/// Of the mean of the diagonal: smaller pivots are directions that the entries leave open, and get no step.
fn smallest_pivot<T: Real>() -> T {
    T::from_f64(if size_of::<T>() == 4 { 1e-6 } else { 1e-13 })
}

impl<T: SmallReal> Inverses<T> {
    /// Bytes that the inverses of `rows` rows take.
    pub fn bytes(rows: usize, columns: usize) -> usize {
        rows * columns * columns.next_multiple_of(LANES) * size_of::<T>()
    }

    /// Forms and inverts. Cost `|Ω|·k·width + rows·k²·width` multiplications.
    pub fn new(entries: &Orientation<T>, other: &Panel<T>, ridge: f64) -> Self {
        let (k, width) = (other.columns, other.width);
        let rows = entries.values.rows();
        let mut data = vec![T::default(); rows * k * width];
        let arch = pulp::Arch::new();
        if k > 0 {
            data.par_chunks_mut(ROWS * k * width).enumerate().for_each(|(b, part)| {
                arch.dispatch(Invert { entries, other, ridge: T::from_f64(ridge), first: b * ROWS, out: part });
            });
        }
        Self { data, width, columns: k }
    }

    /// Row `i` of `out` becomes `scale · G_i⁻¹ x_i`.
    pub fn apply(&self, scale: f64, x: &Panel<T>, out: &mut Panel<T>) {
        struct Apply<'a, T: Real>(&'a [T], usize, usize, T, &'a [T], &'a mut [T]);
        impl<T: Real> pulp::WithSimd for Apply<'_, T> {
            type Output = ();
            #[inline(always)]
            fn with_simd<S: pulp::Simd>(self, _: S) {
                match self.1 {
                    8 => apply::<T, 8>(self),
                    16 => apply::<T, 16>(self),
                    _ => apply::<T, 0>(self),
                }
            }
        }
        #[inline(always)]
        fn apply<T: Real, const W: usize>(a: Apply<'_, T>) {
            let Apply(inverses, width, k, scale, x, out) = a;
            let width = if W > 0 { W } else { width };
            let rows = x.chunks_exact(width).zip(out.chunks_exact_mut(width));
            for (inverse, (x, out)) in inverses.chunks_exact(k * width).zip(rows) {
                out.fill(T::default());
                for (row, &x) in inverse.chunks_exact(width).zip(x) {
                    let x = scale * x;
                    out.iter_mut().zip(row).for_each(|(o, g)| *o += x * *g);
                }
            }
        }
        let (k, width) = (self.columns, self.width);
        if k == 0 {
            return;
        }
        let arch = pulp::Arch::new();
        let scale = T::from_f64(scale);
        let block = |((g, x), out): ((&[T], &[T]), &mut [T])| arch.dispatch(Apply(g, width, k, scale, x, out));
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

struct Invert<'a, T: Real> {
    entries: &'a Orientation<T>,
    other: &'a Panel<T>,
    ridge: T,
    first: usize,
    out: &'a mut [T],
}

impl<T: Real> pulp::WithSimd for Invert<'_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        match self.other.width {
            8 => invert::<T, 8>(self),
            16 => invert::<T, 16>(self),
            _ => invert::<T, 0>(self),
        }
    }
}

#[inline(always)]
fn invert<T: Real, const W: usize>(work: Invert<'_, T>) {
    let Invert { entries, other, ridge, first, out } = work;
    let width = if W > 0 { W } else { other.width };
    let k = other.columns;
    let mut pivot_row = vec![T::default(); width];
    for (r, gram) in out.chunks_exact_mut(k * width).enumerate() {
        let range = entries.values.row_range(first + r);
        let (indices, _) = entries.values.row(first + r);
        for (p, &j) in indices.iter().enumerate() {
            let v = &other.data[j as usize * width..(j as usize + 1) * width];
            let w = entries.weights.get(range.start + p).copied();
            for (row, &x) in gram.chunks_exact_mut(width).zip(v) {
                let x = w.map_or(x, |w| w * x);
                row.iter_mut().zip(v).for_each(|(g, y)| *g += x * *y);
            }
        }
        let mut trace = T::default();
        for c in 0..k {
            gram[c * width + c] += ridge;
            trace += gram[c * width + c];
        }
        let least = smallest_pivot::<T>() * trace / T::from_f64(k.max(1) as f64);
        // Gauss and Jordan, without a search for pivots: the matrix is positive definite or the pivot is dropped.
        for c in 0..k {
            let pivot = gram[c * width + c];
            if pivot.partial_cmp(&least) != Some(std::cmp::Ordering::Greater) {
                for b in 0..k {
                    gram[c * width + b] = T::default();
                    gram[b * width + c] = T::default();
                }
                continue;
            }
            let inverse = T::from_f64(1.0) / pivot;
            pivot_row.copy_from_slice(&gram[c * width..(c + 1) * width]);
            pivot_row[c] = T::from_f64(1.0);
            pivot_row.iter_mut().for_each(|x| *x *= inverse);
            for b in 0..k {
                if b == c {
                    continue;
                }
                let row = &mut gram[b * width..(b + 1) * width];
                let factor = row[c];
                row[c] = T::default();
                row.iter_mut().zip(&pivot_row).for_each(|(g, p)| *g -= factor * *p);
            }
            gram[c * width..(c + 1) * width].copy_from_slice(&pivot_row);
        }
    }
}

/// `A X` for the entries of one orientation, values only: what the spectral start multiplies with.
pub(crate) fn product<T: Real>(values: &CsrMatrix<T>, x: &Matrix<T>) -> Matrix<T> {
    samplewise_linalg::spmm::multiply(values, x)
}
