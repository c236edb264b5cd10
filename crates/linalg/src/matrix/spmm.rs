//! Sparse times dense: CSR × a row-major block.
//!
//! Floor: `nnz · (4 + s + s·k)` bytes for scalars of `s` bytes, when the block is not cached. The inner loop runs over a
//! constant number of columns, because a run-time trip count below about 32 is never vectorised; other widths are cut into
//! such panels. Rows of the block are asked for before they are needed: `cargo bench --bench linalg -- prefetch` prints
//! what that gains.
use rayon::prelude::*;

use crate::dense::ROW_BLOCK;
use crate::prefetch::prefetch;
use crate::{CsrView, Matrix, Real};

/// `A X` (row LA-5), `f64` or `f32`. Cost `2·nnz·k` flops.
///
/// # Panics
/// When the shapes do not match.
pub fn multiply<'a, T: Real>(a: impl Into<CsrView<'a, T>>, x: &Matrix<T>) -> Matrix<T> {
    let a = a.into();
    let mut out = Matrix::zeros(a.rows(), x.columns());
    multiply_into(a, x, &mut out);
    out
}

/// [`multiply`] into a matrix that exists, which saves the cost of fresh memory.
///
/// # Panics
/// When the shapes do not match.
pub fn multiply_into<'a, T: Real>(a: impl Into<CsrView<'a, T>>, x: &Matrix<T>, out: &mut Matrix<T>) {
    let a = a.into();
    assert_eq!(a.columns(), x.rows(), "{}x{} times {}x{}", a.rows(), a.columns(), x.rows(), x.columns());
    let k = x.columns();
    assert!(out.rows() == a.rows() && out.columns() == k, "product into {}x{}", out.rows(), out.columns());
    if k == 0 || a.rows() == 0 {
        return;
    }
    in_row_blocks::<T, true>(a, x, out.as_mut_slice());
}

/// [`multiply_into`] without asking ahead, for the bench that says what it gains.
#[doc(hidden)]
pub fn multiply_into_without_prefetch<'a, T: Real>(a: impl Into<CsrView<'a, T>>, x: &Matrix<T>, out: &mut Matrix<T>) {
    in_row_blocks::<T, false>(a.into(), x, out.as_mut_slice());
}

fn in_row_blocks<T: Real, const PREFETCH: bool>(a: CsrView<'_, T>, x: &Matrix<T>, out: &mut [T]) {
    let k = x.columns();
    if a.nnz() * k < 1 << 15 {
        pulp::Arch::new().dispatch(Rows::<T, PREFETCH> { a, x, first: 0, out });
    } else {
        out.par_chunks_mut(ROW_BLOCK * k).enumerate().for_each(|(b, part)| {
            pulp::Arch::new().dispatch(Rows::<T, PREFETCH> { a, x, first: b * ROW_BLOCK, out: part });
        });
    }
}

/// `Aᵀ X`, through a transposed copy of `A`; keep [`crate::operator::BothOrientations`] when it is needed often.
///
/// # Panics
/// When the shapes do not match.
pub fn multiply_transpose<'a, T: Real>(a: impl Into<CsrView<'a, T>>, x: &Matrix<T>) -> Matrix<T> {
    multiply(&a.into().transpose(), x)
}

/// Entries between a row of `x` being asked for and being used.
const AHEAD: usize = 16;

/// Consecutive rows of the product.
struct Rows<'a, T: Real, const PREFETCH: bool> {
    a: CsrView<'a, T>,
    x: &'a Matrix<T>,
    first: usize,
    out: &'a mut [T],
}

impl<T: Real, const PREFETCH: bool> pulp::WithSimd for Rows<'_, T, PREFETCH> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let all = self.x.as_slice();
        // A block as wide as one panel: the row of x is found without a product, and checked once per entry.
        match self.x.columns() {
            32 => self.exact(all.as_chunks::<32>().0),
            24 => self.exact(all.as_chunks::<24>().0),
            16 => self.exact(all.as_chunks::<16>().0),
            8 => self.exact(all.as_chunks::<8>().0),
            4 => self.exact(all.as_chunks::<4>().0),
            _ => self.panels(all),
        }
    }
}

impl<T: Real, const PREFETCH: bool> Rows<'_, T, PREFETCH> {
    #[inline(always)]
    fn exact<const K: usize>(self, rows_of_x: &[[T; K]]) {
        let all = self.a.indices();
        for (r, y) in self.out.as_chunks_mut::<K>().0.iter_mut().enumerate() {
            let range = self.a.row_range(self.first + r);
            let ahead = &all[(range.start + AHEAD).min(all.len())..];
            let (indices, values) = self.a.row(self.first + r);
            let mut acc = [T::default(); K];
            for (p, (&j, &v)) in indices.iter().zip(values).enumerate() {
                if PREFETCH && let Some(&next) = ahead.get(p) {
                    prefetch(&rows_of_x[next as usize]);
                }
                let source = &rows_of_x[j as usize];
                for c in 0..K {
                    acc[c] += v * source[c];
                }
            }
            *y = acc;
        }
    }

    #[inline(always)]
    fn panels(self, all: &[T]) {
        let k = self.x.columns();
        for (r, y) in self.out.chunks_exact_mut(k).enumerate() {
            let (indices, values) = self.a.row(self.first + r);
            let mut at = 0;
            while at < k {
                at += match k - at {
                    32.. => panel::<T, 32>(indices, values, all, k, at, y),
                    16.. => panel::<T, 16>(indices, values, all, k, at, y),
                    8.. => panel::<T, 8>(indices, values, all, k, at, y),
                    4.. => panel::<T, 4>(indices, values, all, k, at, y),
                    2.. => panel::<T, 2>(indices, values, all, k, at, y),
                    _ => panel::<T, 1>(indices, values, all, k, at, y),
                };
            }
        }
    }
}

#[inline(always)]
fn panel<T: Real, const W: usize>(indices: &[u32], values: &[T], x: &[T], k: usize, at: usize, y: &mut [T]) -> usize {
    let mut acc = [T::default(); W];
    for (&j, &v) in indices.iter().zip(values) {
        let from = j as usize * k + at;
        let source: &[T; W] = x[from..from + W].try_into().expect("a panel of W columns");
        for c in 0..W {
            acc[c] += v * source[c];
        }
    }
    y[at..at + W].copy_from_slice(&acc);
    W
}

/// `y = A x`.
///
/// # Panics
/// When a length does not match.
pub fn multiply_vector_into<'a>(a: impl Into<CsrView<'a>>, x: &[f64], y: &mut [f64]) {
    let a = a.into();
    assert!(a.columns() == x.len() && a.rows() == y.len(), "{}x{} times {}", a.rows(), a.columns(), x.len());
    let block = |(b, y): (usize, &mut [f64])| {
        let offsets = &a.offsets()[b * ROW_BLOCK..];
        for (range, y) in offsets.windows(2).zip(y) {
            *y = sparse_dot(&a.indices()[range[0]..range[1]], &a.values()[range[0]..range[1]], x);
        }
    };
    // A parallel call costs as much as 20,000 entries.
    if a.nnz() < 1 << 18 {
        y.chunks_mut(ROW_BLOCK).enumerate().for_each(block);
    } else {
        y.par_chunks_mut(ROW_BLOCK).enumerate().for_each(block);
    }
}

/// `Σ_k values_k x[indices_k]`: four sums in flight where there are enough entries for them, in a fixed order.
///
/// # Panics
/// When an index is beyond `x`.
#[inline]
pub fn sparse_dot(indices: &[u32], values: &[f64], x: &[f64]) -> f64 {
    if indices.len() < 8 {
        return indices.iter().zip(values).map(|(&j, &v)| v * x[j as usize]).sum();
    }
    let ((groups, tail), (value_groups, value_tail)) = (indices.as_chunks::<4>(), values.as_chunks::<4>());
    let mut acc = [0.0; 4];
    for (j, v) in groups.iter().zip(value_groups) {
        for l in 0..4 {
            acc[l] += v[l] * x[j[l] as usize];
        }
    }
    let rest: f64 = tail.iter().zip(value_tail).map(|(&j, &v)| v * x[j as usize]).sum();
    (acc[0] + acc[2]) + (acc[1] + acc[3]) + rest
}

/// `y = Aᵀ x`, serial scatter; store the transpose ([`crate::operator::BothOrientations`]) when it is needed often.
///
/// # Panics
/// When a length does not match.
pub fn multiply_transpose_vector_into<'a>(a: impl Into<CsrView<'a>>, x: &[f64], y: &mut [f64]) {
    let a = a.into();
    assert!(a.rows() == x.len() && a.columns() == y.len(), "({}x{})ᵀ times {}", a.rows(), a.columns(), x.len());
    y.fill(0.0);
    for (i, j, v) in a.iter() {
        y[j] += v * x[i];
    }
}
