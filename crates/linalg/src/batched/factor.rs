//! Cholesky factorisation and solve of as many small problems as a register has lanes.
use pulp::bytemuck;

use super::SmallReal;
use super::lanes::Lanes;

/// Packs the lower triangles of as many problems as there are lanes by rows, entry by entry in one register; the right-hand
/// side is the last row. Entries beyond the end of a row are overwritten by the next; there is room for them after the last.
#[inline(always)]
pub(super) fn interleave<T: SmallReal, S: Lanes<T>>(s: S, grams: &[T], triangle: &mut [S::V], k: usize, ld: usize) {
    match S::WIDTH {
        16 => interleave_lanes::<T, S, 16>(s, grams, triangle, k, ld),
        8 => interleave_lanes::<T, S, 8>(s, grams, triangle, k, ld),
        4 => interleave_lanes::<T, S, 4>(s, grams, triangle, k, ld),
        2 => interleave_lanes::<T, S, 2>(s, grams, triangle, k, ld),
        _ => interleave_lanes::<T, S, 1>(s, grams, triangle, k, ld),
    }
}

/// Transposes square blocks of `W` entries of `W` problems.
#[inline(always)]
fn interleave_lanes<T: SmallReal, S: Lanes<T>, const W: usize>(
    s: S,
    grams: &[T],
    triangle: &mut [S::V],
    k: usize,
    ld: usize,
) {
    let grams: &[S::V] = bytemuck::cast_slice(grams);
    let vectors = ld / W;
    let square = (ld + 1) * vectors;
    let mut at = 0;
    for r in 0..=k {
        let (row, length) = if r < k { (r, r + 1) } else { (ld, k) };
        for v in 0..length.div_ceil(W) {
            let mut block = [s.splat(T::default()); W];
            for (lane, b) in block.iter_mut().enumerate() {
                *b = grams[lane * square + row * vectors + v];
            }
            block = transposed::<T, S, W>(s, block);
            triangle[at + v * W..][..W].copy_from_slice(&block);
        }
        at += length;
    }
}

/// `W` registers of `W` lanes, transposed in log₂ W rounds that zip the first half with the second.
#[inline(always)]
pub(super) fn transposed<T: SmallReal, S: Lanes<T>, const W: usize>(s: S, mut block: [S::V; W]) -> [S::V; W] {
    for _ in 0..W.ilog2() {
        let half = block;
        for i in 0..W / 2 {
            (block[2 * i], block[2 * i + 1]) = s.zip(half[i], half[i + W / 2]);
        }
    }
    block
}

/// Cholesky of a packed triangle of registers whose last row is the right-hand side, then the backward solve in that row.
/// Between the two, `noise` is added to it (nothing when there is none). Diagonal entries become the reciprocals of the pivots. A pivot that is not positive leaves a NaN or an infinity, which
/// the answer of its lane shows.
///
/// Left-looking by blocks of four columns. The narrow block comes first, where nothing has to be subtracted; the number of
/// rows below a block is then a multiple of four, and the right-hand side.
#[inline(always)]
pub(super) fn factor_and_solve<T: SmallReal, S: Lanes<T>>(s: S, a: &mut [S::V], k: usize, noise: &[S::V]) {
    factor::<T, S, false>(s, a, k, s.splat(T::default()));
    let (triangle, answer) = a.split_at_mut(row(k));
    let one = s.splat(T::from_f64(1.0));
    answer.iter_mut().zip(noise).for_each(|(y, &z)| *y = s.add_product(one, z, *y));
    backward::<T, S>(s, triangle, &mut answer[..k]);
}

/// The factorisation alone, with the forward solve of the last row. With `DROP`, pivots of at most `least` have the
/// reciprocal zero: their unknowns become zero.
#[inline(always)]
pub(super) fn factor<T: SmallReal, S: Lanes<T>, const DROP: bool>(s: S, a: &mut [S::V], k: usize, least: S::V) {
    let narrow = k % 4;
    for u in 0..narrow {
        let inverse = factor_diagonal::<T, S, DROP>(s, a, u, 0, least);
        for r in u + 1..=k {
            let mut x = a[row(r) + u];
            for j in 0..u {
                x = s.sub(x, s.mul(a[row(r) + j], a[row(u) + j]));
            }
            a[row(r) + u] = s.mul(x, inverse);
        }
    }
    for c in (narrow..k).step_by(4) {
        factor_block::<T, S, DROP>(s, a, c, least);
        let mut r = c + 4;
        while r + 4 <= k {
            // Four rows by four columns take sixteen registers.
            if S::REGISTER_COUNT >= 32 {
                solve_rows::<T, S, 4>(s, a, c, r);
            } else {
                solve_rows::<T, S, 2>(s, a, c, r);
                solve_rows::<T, S, 2>(s, a, c, r + 2);
            }
            r += 4;
        }
        solve_rows::<T, S, 1>(s, a, c, k);
    }
}

/// `L y = y` in place, row by row, in the order of memory.
#[inline(always)]
pub(super) fn forward<T: SmallReal, S: Lanes<T>>(s: S, triangle: &[S::V], y: &mut [S::V]) {
    let zero = s.splat(T::default());
    for r in 0..y.len() {
        let (solved, rest) = y.split_at_mut(r);
        let l = &triangle[row(r)..][..=r];
        // Four sums, so that products need not wait for each other.
        let (heads, tail) = solved.as_chunks::<4>();
        let (l_heads, l_tail) = l[..r].as_chunks::<4>();
        let mut sums = [zero; 4];
        for (l, y) in l_heads.iter().zip(heads) {
            for t in 0..4 {
                sums[t] = s.add_product(l[t], y[t], sums[t]);
            }
        }
        let mut x = s.sub(s.sub(rest[0], sums[0]), sums[1]);
        x = s.sub(s.sub(x, sums[2]), sums[3]);
        for (l, y) in l_tail.iter().zip(tail) {
            x = s.sub(x, s.mul(*l, *y));
        }
        rest[0] = s.mul(x, l[r]);
    }
}

/// `Lᵀ x = y` in place, from the last row on.
#[inline(always)]
pub(super) fn backward<T: SmallReal, S: Lanes<T>>(s: S, triangle: &[S::V], y: &mut [S::V]) {
    for c in (0..y.len()).rev() {
        let x = s.mul(y[c], triangle[row(c) + c]);
        y[c] = x;
        let minus = s.sub(s.splat(T::default()), x);
        for (y, &l) in y[..c].iter_mut().zip(&triangle[row(c)..]) {
            *y = s.add_product(minus, l, *y);
        }
    }
}

/// Where row `r` of a packed triangle begins.
#[inline(always)]
pub(super) fn row(r: usize) -> usize {
    r * (r + 1) / 2
}

/// Pivot `u`, from which the columns before `c` have been subtracted: its reciprocal, also stored.
#[inline(always)]
fn factor_diagonal<T: SmallReal, S: Lanes<T>, const DROP: bool>(
    s: S,
    a: &mut [S::V],
    u: usize,
    c: usize,
    least: S::V,
) -> S::V {
    let mut d = a[row(u) + u];
    for j in c..u {
        d = s.sub(d, s.mul(a[row(u) + j], a[row(u) + j]));
    }
    let mut inverse = s.div(s.splat(T::from_f64(1.0)), s.sqrt(d));
    if DROP {
        inverse = s.where_above(d, least, inverse);
    }
    a[row(u) + u] = inverse;
    inverse
}

/// The diagonal block of the four columns from `c`.
#[inline(always)]
fn factor_block<T: SmallReal, S: Lanes<T>, const DROP: bool>(s: S, a: &mut [S::V], c: usize, least: S::V) {
    let sums = products::<T, S, 4>(s, a, c, c);
    for t in 0..4 {
        for u in 0..=t {
            let slot = &mut a[row(c + t) + c + u];
            *slot = s.sub(*slot, sums[t][u]);
        }
    }
    for u in c..c + 4 {
        let inverse = factor_diagonal::<T, S, DROP>(s, a, u, c, least);
        for r in u + 1..c + 4 {
            let mut x = a[row(r) + u];
            for j in c..u {
                x = s.sub(x, s.mul(a[row(r) + j], a[row(u) + j]));
            }
            a[row(r) + u] = s.mul(x, inverse);
        }
    }
}

/// `Σ_{j<c} l(r + t, j)·l(c + u, j)`.
#[inline(always)]
fn products<T: SmallReal, S: Lanes<T>, const H: usize>(s: S, a: &[S::V], c: usize, r: usize) -> [[S::V; 4]; H] {
    // Loops, because a closure would be a call.
    let (mut rows, mut columns): ([&[S::V]; H], [&[S::V]; 4]) = ([&[]; H], [&[]; 4]);
    for t in 0..H {
        rows[t] = &a[row(r + t)..][..c];
    }
    for u in 0..4 {
        columns[u] = &a[row(c + u)..][..c];
    }
    let mut sums = [[s.splat(T::default()); 4]; H];
    for j in 0..c {
        let l = [columns[0][j], columns[1][j], columns[2][j], columns[3][j]];
        for t in 0..H {
            let x = rows[t][j];
            for u in 0..4 {
                sums[t][u] = s.add_product(x, l[u], sums[t][u]);
            }
        }
    }
    sums
}

/// `H` rows from `r`, below the factored block of the four columns from `c`.
#[inline(always)]
fn solve_rows<T: SmallReal, S: Lanes<T>, const H: usize>(s: S, a: &mut [S::V], c: usize, r: usize) {
    let sums = products::<T, S, H>(s, a, c, r);
    let zero = s.splat(T::default());
    let mut block = [[zero; 4]; 4];
    for u in 0..4 {
        let Some(l) = a[row(c + u) + c..].first_chunk::<4>() else { return };
        for j in 0..u {
            block[u][j] = s.sub(zero, l[j]);
        }
        block[u][u] = l[u];
    }
    for t in 0..H {
        let Some(slots) = a[row(r + t) + c..].first_chunk_mut::<4>() else { return };
        for u in 0..4 {
            let mut x = s.sub(slots[u], sums[t][u]);
            for j in 0..u {
                x = s.add_product(slots[j], block[u][j], x);
            }
            slots[u] = s.mul(x, block[u][u]);
        }
    }
}
