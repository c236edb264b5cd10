//! Cholesky factor of a principal submatrix whose members join and leave, as in active-set methods.
//!
//! Members join in blocks: one triangular solve with many right sides, one Cholesky factorisation of the block. Those
//! that leave stay in the factor and are held at zero by a small system of their own: with `A = L Lᵀ` and the columns
//! `V = L⁻¹E` of those that left, `x = L⁻ᵀ(z + Vμ)`, `z = L⁻¹b`, `VᵀV μ = −Vᵀz` has `x = 0` there and solves the rows of
//! the others. Joining costs `s²·c` flops for `c` members beside `s`, leaving as much, a solve `2s²`; all but the solve
//! are products of matrices. A factorisation anew costs `s³/3`.
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::{cholesky::llt, matmul, triangular_solve};
use faer::prelude::{Reborrow, ReborrowMut};
use faer::{Accum, MatMut, MatRef, Par, Spec};

/// Pivots of a matrix with unit diagonal below this are lost to rounding.
const LOST: f64 = 1e-11;
/// What is added to the diagonal of a block with a lost pivot: large beside rounding, small beside the diagonal.
const RIDGE: f64 = 1e-6;

/// See the module. The matrix has a diagonal of about one.
///
/// Row LA-15 of `paper-refs.md`.
#[derive(Clone, Debug, Default)]
pub struct ActiveCholesky {
    size: usize,
    /// Distance between columns of `lower` and of `half`.
    stride: usize,
    /// The factor, column after column.
    lower: Vec<f64>,
    removed: Vec<usize>,
    /// Columns of `V`.
    half: Vec<f64>,
    /// Cholesky factor of `VᵀV`, row-major.
    small: Vec<f64>,
    lost: usize,
}

impl ActiveCholesky {
    /// An empty factor.
    pub fn new() -> Self {
        Self::default()
    }

    /// Members that joined, those that left since included.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Positions that left.
    pub fn removed(&self) -> &[usize] {
        &self.removed
    }

    /// Pivots that were lost to rounding: the matrix is singular there, and a ridge was added to their block.
    pub fn lost(&self) -> usize {
        self.lost
    }

    /// Forgets all members.
    pub fn clear(&mut self) {
        self.size = 0;
        self.lost = 0;
        self.removed.clear();
        self.small.clear();
    }

    /// Adds `count` members; `entry(i, j)` is the entry of new member `i` with member `j` for `j < size + i + 1`.
    pub fn append(&mut self, count: usize, mut entry: impl FnMut(usize, usize) -> f64) {
        if count == 0 {
            return;
        }
        let (old, size) = (self.size, self.size + count);
        if size > self.stride {
            self.grow(size);
        }
        let stride = self.stride;
        for i in 0..count {
            for j in 0..=old + i {
                self.lower[j * stride + old + i] = entry(i, j);
            }
        }
        let all = MatMut::from_column_major_slice_with_stride_mut(&mut self.lower, stride, stride, stride);
        let (factor, _, mut below, mut corner) = all.submatrix_mut(0, 0, size, size).split_at_mut(old, old);
        let factor = factor.rb();
        if old > 0 {
            triangular_solve::solve_lower_triangular_in_place(factor, below.rb_mut().transpose_mut(), Par::Seq);
            let below = below.rb();
            let (lower, full) =
                (matmul::triangular::BlockStructure::TriangularLower, matmul::triangular::BlockStructure::Rectangular);
            matmul::triangular::matmul(
                corner.rb_mut(),
                lower,
                Accum::Add,
                below,
                full,
                below.transpose(),
                full,
                -1.0,
                Par::Seq,
            );
        }
        self.lost += factor_in_place(corner.rb_mut());
        // Columns of V go on downwards: L₂₂ v₂ = −L₂₁ v₁.
        let held = self.removed.len();
        if held > 0 {
            let half = MatMut::from_column_major_slice_with_stride_mut(&mut self.half, stride, held, stride);
            let (above, rest) = half.split_at_row_mut(old);
            let mut rest = rest.subrows_mut(0, count);
            matmul::matmul(rest.rb_mut(), Accum::Replace, below.rb(), above.rb(), -1.0, Par::Seq);
            triangular_solve::solve_lower_triangular_in_place(corner.rb(), rest, Par::Seq);
        }
        self.size = size;
        self.refresh();
    }

    /// Holds the members at these positions at zero.
    ///
    /// # Panics
    /// When a position is not that of a member.
    pub fn remove(&mut self, positions: &[usize]) {
        let mut fresh: Vec<usize> = positions.iter().copied().filter(|p| !self.removed.contains(p)).collect();
        fresh.sort_unstable();
        fresh.dedup();
        assert!(fresh.iter().all(|p| *p < self.size), "positions {fresh:?} of {} members", self.size);
        let (held, count) = (self.removed.len(), fresh.len());
        if count == 0 {
            return;
        }
        self.half.resize(self.half.len().max((held + count) * self.stride), 0.0);
        let columns = &mut self.half[held * self.stride..(held + count) * self.stride];
        for (column, &p) in columns.chunks_exact_mut(self.stride).zip(&fresh) {
            column.fill(0.0);
            column[p] = 1.0;
        }
        let first = fresh[0];
        let (stride, size) = (self.stride, self.size);
        let factor = MatRef::from_column_major_slice_with_stride(&self.lower, stride, stride, stride);
        let part = factor.submatrix(first, first, size - first, size - first);
        let block = MatMut::from_column_major_slice_with_stride_mut(columns, stride, count, stride);
        triangular_solve::solve_lower_triangular_in_place(part, block.subrows_mut(first, size - first), Par::Seq);
        self.removed.extend(fresh);
        self.refresh();
    }

    /// Lets members that were removed move again.
    pub fn restore(&mut self, positions: &[usize]) {
        for p in positions {
            let Some(at) = self.removed.iter().position(|r| r == p) else { continue };
            let last = self.removed.len() - 1;
            let (from, to) = (last * self.stride, at * self.stride);
            self.half.copy_within(from..from + self.size, to);
            self.removed.swap_remove(at);
        }
        self.refresh();
    }

    /// Solves for the members that move; entries of the others are zero after, whatever they were.
    ///
    /// # Panics
    /// When `b` does not have an entry per member.
    pub fn solve(&self, b: &mut [f64]) {
        assert_eq!(b.len(), self.size, "a right side of {} for {} members", b.len(), self.size);
        self.removed.iter().for_each(|&p| b[p] = 0.0);
        let (size, stride) = (self.size, self.stride);
        crate::dispatch::widest(
            #[inline(always)]
            || {
                for j in 0..size {
                    let column = &self.lower[j * stride + j..j * stride + size];
                    let x = b[j] / column[0];
                    b[j] = x;
                    b[j + 1..].iter_mut().zip(&column[1..]).for_each(|(b, l)| *b -= x * l);
                }
                if !self.removed.is_empty() {
                    let mu = self.multipliers(b);
                    for (column, mu) in self.half.chunks_exact(stride).zip(mu) {
                        b.iter_mut().zip(column).for_each(|(b, v)| *b += mu * v);
                    }
                }
                for j in (0..size).rev() {
                    let column = &self.lower[j * stride + j..j * stride + size];
                    let (x, rest) = b[j..].split_first_mut().expect("j is inside");
                    *x = (*x - crate::sums::dot(rest, &column[1..])) / column[0];
                }
            },
        );
        self.removed.iter().for_each(|&p| b[p] = 0.0);
    }

    /// `μ` with `VᵀV μ = −Vᵀz`.
    fn multipliers(&self, z: &[f64]) -> Vec<f64> {
        let k = self.removed.len();
        let mut mu: Vec<f64> =
            self.half.chunks_exact(self.stride).take(k).map(|v| -crate::sums::dot(&v[..self.size], z)).collect();
        for i in 0..k {
            let row = &self.small[i * k..][..=i];
            mu[i] = (mu[i] - crate::sums::dot(&row[..i], &mu[..i])) / row[i];
        }
        for i in (0..k).rev() {
            mu[i] /= self.small[i * k + i];
            let x = mu[i];
            mu[..i].iter_mut().zip(&self.small[i * k..]).for_each(|(m, l)| *m -= x * l);
        }
        mu
    }

    /// `VᵀV` and its factor.
    fn refresh(&mut self) {
        let k = self.removed.len();
        self.small.clear();
        self.small.resize(k * k, 0.0);
        for i in 0..k {
            for j in 0..=i {
                let (a, b) = (&self.half[i * self.stride..][..self.size], &self.half[j * self.stride..][..self.size]);
                let known = crate::sums::dot(&self.small[i * k..i * k + j], &self.small[j * k..j * k + j]);
                let s = crate::sums::dot(a, b) - known;
                // V has full rank: its entry at the member itself is one over a pivot.
                self.small[i * k + j] =
                    if i == j { s.max(f64::MIN_POSITIVE).sqrt() } else { s / self.small[j * k + j] };
            }
        }
    }

    fn grow(&mut self, size: usize) {
        let stride = (size + size / 2).next_multiple_of(8) + 8;
        let copy = |old: &[f64], columns: usize, stored: usize| {
            let mut new = vec![0.0; columns * stride];
            for (n, o) in new.chunks_exact_mut(stride).zip(old.chunks_exact(self.stride.max(1))).take(stored) {
                n[..self.size].copy_from_slice(&o[..self.size]);
            }
            new
        };
        let lower = copy(&self.lower, stride, self.size);
        self.half = copy(&self.half, self.removed.len(), self.removed.len());
        self.lower = lower;
        self.stride = stride;
    }
}

/// Cholesky factor of the lower triangle; returns how many pivots were lost.
///
/// The engine underneath is asked without its own regularisation, which replaces a pivot for the columns but leaves the
/// old value on the diagonal. A block with a lost pivot is factored again with a ridge.
fn factor_in_place(mut a: MatMut<'_, f64>) -> usize {
    let n = a.nrows();
    let copy = a.rb().to_owned();
    let mut memory = MemBuffer::new(llt::factor::cholesky_in_place_scratch::<f64>(n, Par::Seq, Spec::default()));
    let stack = MemStack::new(&mut memory);
    let plain = llt::factor::cholesky_in_place(
        a.rb_mut(),
        llt::factor::LltRegularization::default(),
        Par::Seq,
        stack,
        Spec::default(),
    );
    if plain.is_ok() && (0..n).all(|j| a[(j, j)] * a[(j, j)] > LOST) {
        return 0;
    }
    a.copy_from_triangular_lower(&copy);
    (0..n).for_each(|j| a[(j, j)] += RIDGE);
    let stack = MemStack::new(&mut memory);
    // Schur complements of a positive semidefinite matrix stay above the ridge but for rounding far below it.
    let _ = llt::factor::cholesky_in_place(
        a.rb_mut(),
        llt::factor::LltRegularization::default(),
        Par::Seq,
        stack,
        Spec::default(),
    );
    (0..n).filter(|&j| a[(j, j)] * a[(j, j)] < 2.0 * RIDGE).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Matrix;
    use crate::factor::Cholesky;
    use crate::random::{Streams, below, normal};

    /// A random walk of joins, leaves and returns: every solve equals the one of a factorisation anew.
    #[test]
    fn solves_equal_a_fresh_factorisation_after_every_change() {
        for seed in 0..20 {
            let mut rng = Streams::new(seed).stream(0);
            let (n, p) = (60, 40);
            let x = Matrix::from_fn(n, p, |_, _| normal(&mut rng));
            let g = crate::gram::gram(&x, None, None).unwrap().matrix;
            let g = Matrix::from_fn(p, p, |i, j| g[(i, j)] / (g[(i, i)] * g[(j, j)]).sqrt());
            let mut active = ActiveCholesky::new();
            let mut members: Vec<usize> = Vec::new();
            for _ in 0..12 {
                let free: Vec<usize> = (0..p).filter(|j| !members.contains(j)).collect();
                let new: Vec<usize> = free.into_iter().take(below(&mut rng, 9)).collect();
                let old = members.clone();
                active.append(new.len(), |i, j| g[(new[i], if j < old.len() { old[j] } else { new[j - old.len()] })]);
                members.extend(&new);
                if !members.is_empty() {
                    let gone: Vec<usize> = (0..below(&mut rng, 4)).map(|_| below(&mut rng, members.len())).collect();
                    active.remove(&gone);
                    active.restore(&[below(&mut rng, members.len())]);
                }
                let moving: Vec<usize> = (0..members.len()).filter(|i| !active.removed().contains(i)).collect();
                if moving.is_empty() {
                    continue;
                }
                let mut b: Vec<f64> = (0..members.len()).map(|_| normal(&mut rng)).collect();
                let mut expected: Vec<f64> = moving.iter().map(|&i| b[i]).collect();
                let part =
                    Matrix::from_fn(moving.len(), moving.len(), |i, j| g[(members[moving[i]], members[moving[j]])]);
                Cholesky::new(&part, 0.0).unwrap().solve_in_place(&mut expected);
                active.solve(&mut b);
                for (e, &i) in expected.iter().zip(&moving) {
                    assert!((e - b[i]).abs() < 1e-9, "seed {seed}: {e} {}", b[i]);
                }
                assert!(active.removed().iter().all(|&i| b[i] == 0.0));
            }
            assert_eq!(active.lost(), 0);
        }
    }

    /// The same column twice: the solution stays finite and solves the equations, which agree, up to the ridge.
    #[test]
    fn members_that_repeat_are_counted_and_do_no_harm() {
        let g = [[1.0, 0.5, 1.0], [0.5, 1.0, 0.5], [1.0, 0.5, 1.0]];
        let mut active = ActiveCholesky::new();
        active.append(3, |i, j| g[i][j]);
        assert_eq!(active.lost(), 1);
        let mut x = [1.0, 0.25, 1.0];
        let b = x;
        active.solve(&mut x);
        for i in 0..3 {
            let row: f64 = (0..3).map(|j| g[i][j] * x[j]).sum();
            assert!((row - b[i]).abs() < 2.0 * RIDGE, "{x:?}");
        }
        active.clear();
        active.append(1, |_, _| 4.0);
        let mut x = [2.0];
        active.solve(&mut x);
        assert_eq!(x, [0.5]);
    }
}
