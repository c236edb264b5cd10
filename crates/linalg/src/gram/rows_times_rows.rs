//! Products of rows with rows: `A Bᵀ` and `A Aᵀ` for matrices whose rows are long and contiguous.
//!
//! The Gram matrix of columns that are stored one after the other is the product of the rows of `Xᵀ` with themselves.
//! Floor: a fused multiply-add per pair of entries and register lane. Entries that are summed lie side by side, so nothing
//! is packed: tiles of 4 × 3 dot products keep twelve sums in registers, over pieces of rows that stay in the caches.
//! Blocks of rows are computed apart, so that the bits do not depend on the number of threads.
use std::ops::Range;

use pulp::{Simd, WithSimd, bytemuck};
use rayon::prelude::*;

use crate::LinalgError;
use crate::batched::lanes::Lanes;

/// Rows of a block of the left side, which is a task.
const BLOCK: usize = 96;
/// Rows of the right side that stay in the second-level cache.
const PANEL: usize = 48;
/// Entries of the piece of a row that is multiplied at once: seven pieces fit the first-level cache. Products of stretches of
/// the rows that begin at multiples of it add up to the bits of those of whole rows.
pub const PIECE: usize = 512;
/// Rows of a tile, left and right.
const LEFT: usize = 4;
const RIGHT: usize = 3;
/// Registers between two checks of bounds.
const STEP: usize = 4;
/// Rows and columns of a tile of [`mirror`].
const TILE: usize = 16;

/// `out[i·stride + j] = Σ_l a_il b_jl` for the rows of `a` and `b`, each `k` long. Cost `m·n·k` multiplications.
///
/// Row LA-15 of `paper-refs.md`.
///
/// # Errors
/// [`LinalgError::Length`] when a slice does not hold whole rows or `out` is too short.
pub fn rows_times_rows(a: &[f64], b: &[f64], k: usize, out: &mut [f64], stride: usize) -> Result<(), LinalgError> {
    let (m, n) = (whole_rows("a", a, k)?, whole_rows("b", b, k)?);
    check_target(out, m, n, stride)?;
    if m == 0 || n == 0 {
        return Ok(());
    }
    let block =
        |(out, a)| pulp::Arch::new().dispatch(Product { a, b, k, part: 0..k, out, stride, first: n, fresh: true });
    if m <= BLOCK {
        block((out, a));
    } else {
        out.par_chunks_mut(BLOCK * stride).zip(a.par_chunks(BLOCK * k)).for_each(block);
    }
    Ok(())
}

/// [`rows_times_rows`] with a look between parts of it that take about a hundredth of a second: `look` is told the share that
/// is done. The same bits.
///
/// # Errors
/// As [`rows_times_rows`].
pub fn rows_times_rows_watched(
    a: &[f64],
    b: &[f64],
    k: usize,
    out: &mut [f64],
    stride: usize,
    look: &mut dyn FnMut(f64),
) -> Result<(), LinalgError> {
    let (m, n) = (whole_rows("a", a, k)?, whole_rows("b", b, k)?);
    check_target(out, m, n, stride)?;
    if m == 0 || n == 0 {
        return Ok(());
    }
    let blocks: Vec<usize> = vec![n; m.div_ceil(BLOCK)];
    in_parts((a, k), (out, stride), &blocks, true, |_| (b, n), look);
    Ok(())
}

/// [`rows_gram`] with looks as those of [`rows_times_rows_watched`].
///
/// # Errors
/// As [`rows_times_rows`].
pub fn rows_gram_watched(
    a: &[f64],
    k: usize,
    out: &mut [f64],
    stride: usize,
    look: &mut dyn FnMut(f64),
) -> Result<(), LinalgError> {
    add_rows_gram_watched(a, k, out, stride, true, look)?;
    mirror(out, stride, 0, whole_rows("a", a, k)?);
    Ok(())
}

/// What a stretch of all rows adds to the lower triangle of [`rows_gram`]; the first stretch overwrites what is there. With
/// stretches that begin at multiples of [`PIECE`], the same bits as from whole rows; [`mirror`] then fills the other triangle.
///
/// # Errors
/// As [`rows_times_rows`].
pub fn add_rows_gram_watched(
    a: &[f64],
    k: usize,
    out: &mut [f64],
    stride: usize,
    first: bool,
    look: &mut dyn FnMut(f64),
) -> Result<(), LinalgError> {
    let m = whole_rows("a", a, k)?;
    check_target(out, m, m, stride)?;
    if m == 0 {
        return Ok(());
    }
    let blocks: Vec<usize> = (0..m.div_ceil(BLOCK)).map(|i| ((i + 1) * BLOCK).min(m)).collect();
    in_parts((a, k), (out, stride), &blocks, first, |i| (&a[..blocks[i] * k], i * BLOCK), look);
    Ok(())
}

/// Multiplications between two looks on one thread: about a hundredth of a second.
const LOOK: usize = 1 << 27;

/// Blocks of rows of `a` against the rows that `right` names for each with its number of the first row; `lengths` of them. In
/// stretches of the rows and groups of blocks of [`LOOK`] multiplications each.
fn in_parts<'b>(
    (a, k): (&[f64], usize),
    (out, stride): (&mut [f64], usize),
    lengths: &[usize],
    fresh: bool,
    right: impl Fn(usize) -> (&'b [f64], usize) + Sync,
    look: &mut dyn FnMut(f64),
) {
    let together = LOOK * rayon::current_num_threads();
    let whole: usize = lengths.iter().map(|n| n * BLOCK).sum();
    // A stretch of the rows so long that all blocks together are one part, if it is not shorter than a piece.
    let stretch = (together / whole.max(1)).max(1).next_multiple_of(PIECE).min(k.next_multiple_of(PIECE));
    let mut done = 0.0;
    for from in (0..k).step_by(stretch) {
        let part = from..(from + stretch).min(k);
        let mut first = 0;
        while first < lengths.len() {
            let (mut last, mut cost) = (first, 0);
            while last < lengths.len() && (cost < together || last == first) {
                cost += lengths[last] * BLOCK * part.len();
                last += 1;
            }
            let rows = first * BLOCK..(last * BLOCK).min(a.len() / k);
            let target = &mut out[rows.start * stride..];
            let blocks =
                target.par_chunks_mut(BLOCK * stride).zip(a[rows.start * k..rows.end * k].par_chunks(BLOCK * k));
            blocks.enumerate().rev().for_each(|(i, (out, a))| {
                let (b, row) = right(first + i);
                pulp::Arch::new().dispatch(Product { a, b, k, part: part.clone(), out, stride, first: row, fresh });
            });
            done += cost as f64;
            look(done / (whole as f64 * k as f64));
            first = last;
        }
    }
}

/// The symmetric matrix `A Aᵀ` of the rows of `a`, both triangles, row `i` at `out[i·stride..]`. Cost `m²·k/2`
/// multiplications.
///
/// # Errors
/// As [`rows_times_rows`].
pub fn rows_gram(a: &[f64], k: usize, out: &mut [f64], stride: usize) -> Result<(), LinalgError> {
    let m = whole_rows("a", a, k)?;
    check_target(out, m, m, stride)?;
    if m == 0 {
        return Ok(());
    }
    // The last blocks have the most to do: they start first.
    out.par_chunks_mut(BLOCK * stride).zip(a.par_chunks(BLOCK * k)).enumerate().rev().for_each(|(i, (out, part))| {
        let first = i * BLOCK;
        let known = &a[..first * k + part.len()];
        pulp::Arch::new().dispatch(Product { a: part, b: known, k, part: 0..k, out, stride, first, fresh: true });
    });
    mirror(out, stride, 0, m);
    Ok(())
}

/// Copies the entries left of the diagonal of rows `first..size` to their mirror images, by tiles.
///
/// # Panics
/// When `matrix` is shorter than `size` rows of `stride`.
pub fn mirror(matrix: &mut [f64], stride: usize, first: usize, size: usize) {
    for i in (first..size).step_by(TILE) {
        let rows = i..(i + TILE).min(size);
        for l in (0..rows.end).step_by(TILE) {
            for a in rows.clone() {
                for b in l..(l + TILE).min(a) {
                    matrix[b * stride + a] = matrix[a * stride + b];
                }
            }
        }
    }
}

/// A block of rows against rows of the right side: row `i` against those up to number `first + i` at least.
struct Product<'a> {
    a: &'a [f64],
    b: &'a [f64],
    k: usize,
    /// The stretch of every row that is multiplied: from a multiple of [`PIECE`], and added to what is there unless it is the
    /// first.
    part: Range<usize>,
    out: &'a mut [f64],
    stride: usize,
    first: usize,
    /// The first piece of the rows overwrites what is there.
    fresh: bool,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Product { a, b, k, part, out, stride, first, fresh } = self;
        let (m, n) = (a.len() / k, b.len() / k);
        for start in part.clone().step_by(PIECE) {
            let piece = start..(start + PIECE).min(part.end);
            for panel in (0..n).step_by(PANEL) {
                for i in (0..m).step_by(LEFT) {
                    let reach = (first + i + LEFT).min(n).min(panel + PANEL);
                    for j in (panel..reach).step_by(RIGHT) {
                        // Tiles at the edge repeat the last row.
                        let left = std::array::from_fn(|r| &a[(i + r).min(m - 1) * k..][piece.clone()]);
                        let right = std::array::from_fn(|c| &b[(j + c).min(n - 1) * k..][piece.clone()]);
                        let sums = tile(s, left, right);
                        for (r, sums) in sums.iter().enumerate().take(m - i) {
                            let out = &mut out[(i + r) * stride + j..];
                            for (out, sum) in out.iter_mut().zip(sums).take(n - j) {
                                *out = if start == 0 && fresh { *sum } else { *out + sum };
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Dot products of four pieces of rows with three of the same length.
#[inline(always)]
fn tile<S: Lanes<f64>>(s: S, left: [&[f64]; LEFT], right: [&[f64]; RIGHT]) -> [[f64; RIGHT]; LEFT] {
    let steps = left[0].len() / (S::WIDTH * STEP);
    let whole = steps * S::WIDTH * STEP;
    let (mut a, mut b): ([&[[S::V; STEP]]; LEFT], [&[[S::V; STEP]]; RIGHT]) = ([&[]; LEFT], [&[]; RIGHT]);
    for r in 0..LEFT {
        a[r] = bytemuck::cast_slice::<f64, S::V>(&left[r][..whole]).as_chunks().0;
    }
    for c in 0..RIGHT {
        b[c] = bytemuck::cast_slice::<f64, S::V>(&right[c][..whole]).as_chunks().0;
    }
    let mut sums = [[s.splat(0.0); RIGHT]; LEFT];
    for t in 0..steps {
        let (mut x, mut y) = ([&a[0][t]; LEFT], [&b[0][t]; RIGHT]);
        for r in 1..LEFT {
            x[r] = &a[r][t];
        }
        for c in 1..RIGHT {
            y[c] = &b[c][t];
        }
        for u in 0..STEP {
            for r in 0..LEFT {
                for c in 0..RIGHT {
                    sums[r][c] = s.add_product(x[r][u], y[c][u], sums[r][c]);
                }
            }
        }
    }
    let mut out = [[0.0; RIGHT]; LEFT];
    for r in 0..LEFT {
        for c in 0..RIGHT {
            let rest = left[r][whole..].iter().zip(&right[c][whole..]);
            out[r][c] = s.sum(sums[r][c]) + rest.map(|(x, y)| x * y).sum::<f64>();
        }
    }
    out
}

fn whole_rows<T>(argument: &'static str, a: &[T], k: usize) -> Result<usize, LinalgError> {
    if k == 0 || !a.len().is_multiple_of(k) {
        return Err(LinalgError::Length { argument, given: a.len(), expected: a.len().next_multiple_of(k.max(1)) });
    }
    Ok(a.len() / k)
}

fn check_target(out: &[f64], m: usize, n: usize, stride: usize) -> Result<(), LinalgError> {
    let expected = if m == 0 || n == 0 { 0 } else { (m - 1) * stride + n };
    if stride < n || out.len() < expected {
        return Err(LinalgError::Length { argument: "out", given: out.len(), expected });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_equal_the_definition_for_every_shape_and_thread_count() {
        for (m, n, k, stride) in [(1, 1, 1, 1), (5, 3, 7, 4), (400, 250, 33, 401), (193, 200, 64, 200)] {
            let a: Vec<f64> = (0..m * k).map(|i| ((i * 7) % 11) as f64 - 5.0).collect();
            let b: Vec<f64> = (0..n * k).map(|i| ((i * 5) % 13) as f64 - 6.0).collect();
            let mut out = vec![f64::NAN; m * stride];
            rows_times_rows(&a, &b, k, &mut out, stride).unwrap();
            let exact =
                |x: &[f64], i: usize, y: &[f64], j: usize| (0..k).map(|l| x[i * k + l] * y[j * k + l]).sum::<f64>();
            assert!((0..m).all(|i| (0..n).all(|j| out[i * stride + j] == exact(&a, i, &b, j))));
            let wide = stride.max(m);
            let mut gram = vec![f64::NAN; m * wide];
            rows_gram(&a, k, &mut gram, wide).unwrap();
            assert!((0..m).all(|i| (0..m).all(|j| gram[i * wide + j] == exact(&a, i, &a, j))));
        }
        assert!(rows_times_rows(&[1.0; 5], &[1.0; 4], 2, &mut [0.0; 9], 2).is_err());
        assert!(rows_gram(&[1.0; 4], 2, &mut [0.0; 3], 2).is_err());
    }

    #[test]
    fn watched_products_have_the_same_bits() {
        let (m, n, k) = (300, 130, 5_000);
        let a: Vec<f64> = (0..m * k).map(|i| (i as f64 * 0.7).sin()).collect();
        let b = &a[17..n * k + 17];
        let (mut plain, mut watched) = (vec![0.0; m * m], vec![f64::NAN; m * m]);
        let mut shares = Vec::new();
        rows_times_rows(&a, b, k, &mut plain, m).unwrap();
        rows_times_rows_watched(&a, b, k, &mut watched, m, &mut |share| shares.push(share)).unwrap();
        assert!((0..m).all(|i| plain[i * m..i * m + n] == watched[i * m..i * m + n]));
        rows_gram(&a, k, &mut plain, m).unwrap();
        rows_gram_watched(&a, k, &mut watched, m, &mut |share| shares.push(share)).unwrap();
        assert!(plain == watched && shares.len() > 2, "{shares:?}");
        // In stretches of the rows.
        let length = 3 * PIECE;
        for from in (0..k).step_by(length) {
            let here = length.min(k - from);
            let part: Vec<f64> = a.chunks_exact(k).flat_map(|row| &row[from..from + here]).copied().collect();
            add_rows_gram_watched(&part, here, &mut watched, m, from == 0, &mut |_| ()).unwrap();
        }
        mirror(&mut watched, m, 0, m);
        assert_eq!(plain, watched);
        assert!(shares.iter().all(|s| *s > 0.0 && *s < 1.0 + 1e-9) && shares.last() > Some(&0.999));
    }
}
