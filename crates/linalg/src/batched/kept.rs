//! Cholesky factors of normal matrices, kept for many right-hand sides.
use pulp::bytemuck;
use rayon::prelude::*;

use super::factor::{backward, factor, forward, interleave, row, transposed};
use super::gram::{BLOCK, TILE, accumulate, aligned};
use super::lanes::Lanes;
use super::{FeatureRows, Observed, Scratch, SmallReal};
use crate::{CsrMatrix, LinalgError, MatrixView, Real};

/// Problems of a unit of work: a multiple of every register width, so that groups of lanes do not depend on the threads.
const PROBLEMS: usize = 256;
/// Numbers in the factors below which a parallel call costs more than it gains.
const SERIAL: usize = 1 << 17;

/// The Cholesky factors of `Σ_j w v_j v_jᵀ + ridge·I`, one for every row of a sparse matrix whose stored entries `(i, j)` say
/// which features `v_j` problem `i` has (row LA-12); for solving with them again and again.
///
/// As many triangles as a register has lanes are kept entry by entry in one register: half the memory of inverses, and all
/// lanes work on problems of any size.
#[derive(Debug)]
pub struct NormalFactors<T> {
    data: Vec<T>,
    problems: usize,
    unknowns: usize,
}

impl<T: SmallReal> NormalFactors<T> {
    /// Bytes that the factors of so many problems take.
    pub fn bytes(problems: usize, unknowns: usize) -> u128 {
        let groups = problems.div_ceil(T::lanes()) as u128;
        groups * T::lanes() as u128 * size_of::<T>() as u128 * (unknowns as u128 * (unknowns as u128 + 1) / 2)
    }

    /// Forms the normal matrices and factors them.
    ///
    /// * `features` is `m × k`, row `j` is `v_j`, with columns next to each other.
    /// * `pattern` is `n × m`; its values are not read.
    /// * `weights` has one finite entry, at least 0, per stored entry; ones when `None`.
    /// * `ridge` is finite and at least 0.
    /// * Unknowns whose pivot is not above `pivot` times the mean of the diagonal are directions that the observations leave
    ///   open: they are zero in every answer.
    ///
    /// Cost `nnz·k²` flops for the normal matrices and `n·k³/3` for their factors. Same bits for every number of threads on
    /// one instruction set.
    ///
    /// ```
    /// use samplewise_linalg::{CooBuilder, Duplicates, Matrix, batched::NormalFactors};
    /// let features = Matrix::from_vec(2, 1, vec![1.0, 2.0])?;
    /// let mut pattern = CooBuilder::new(1, 2);
    /// pattern.push(0, 0, 1.0)?;
    /// pattern.push(0, 1, 1.0)?;
    /// let factors = NormalFactors::<f64>::new(features.view(), &pattern.build(Duplicates::Error)?, None, 0.0, 1e-12)?;
    /// let mut x = [0.0];
    /// factors.solve_into(&[10.0], 1, &mut x)?;
    /// assert!((x[0] - 2.0).abs() < 1e-12);
    /// # Ok::<(), samplewise_linalg::LinalgError>(())
    /// ```
    ///
    /// # Errors
    /// [`LinalgError::Shape`], [`LinalgError::Length`], [`LinalgError::NotFinite`], [`LinalgError::OutOfRange`].
    pub fn new(
        features: MatrixView<'_, T>,
        pattern: &CsrMatrix<T>,
        weights: Option<&[T]>,
        ridge: T,
        pivot: T,
    ) -> Result<Self, LinalgError> {
        let (problems, unknowns) = (pattern.rows(), features.columns());
        let mut factors = Self { data: Vec::new(), problems, unknowns };
        factors.update(features, pattern, weights, ridge, pivot)?;
        Ok(factors)
    }

    /// [`Self::new`] in the memory of the old factors, of as many problems and unknowns.
    ///
    /// # Errors
    /// As [`Self::new`]. The factors are the old ones, except after [`LinalgError::NotFinite`] of a normal matrix (whose
    /// numbers have left the range of `T`; `row` is the problem): then they are of no use.
    pub fn update(
        &mut self,
        features: MatrixView<'_, T>,
        pattern: &CsrMatrix<T>,
        weights: Option<&[T]>,
        ridge: T,
        pivot: T,
    ) -> Result<(), LinalgError> {
        let k = self.unknowns;
        let shape = |argument, rows, columns, expected| Err(LinalgError::Shape { argument, rows, columns, expected });
        let Some((values, apart)) = features.contiguous_rows() else {
            let expected = "rows whose entries stand together".to_owned();
            return shape("features", features.rows(), features.columns(), expected);
        };
        if features.columns() != k {
            return shape("features", features.rows(), features.columns(), format!("{k} columns"));
        }
        if pattern.rows() != self.problems || pattern.columns() != features.rows() {
            let expected = format!("{} x {}", self.problems, features.rows());
            return shape("pattern", pattern.rows(), pattern.columns(), expected);
        }
        features.check_finite("features")?;
        if let Some(w) = weights
            && w.len() != pattern.nnz()
        {
            return Err(LinalgError::Length { argument: "weights", given: w.len(), expected: pattern.nnz() });
        }
        let (ridges, pivots) = ([ridge], [pivot]);
        for (argument, values) in
            [("weights", weights.unwrap_or_default()), ("ridge", &ridges[..]), ("pivot", &pivots[..])]
        {
            if let Some(v) = values.iter().find(|v| !(v.is_finite() && **v >= T::default())) {
                let value = v.to_f64();
                return Err(LinalgError::OutOfRange { argument, value, allowed: "finite and at least 0" });
            }
        }
        if k == 0 {
            return Ok(());
        }
        let observed = Observed { features: FeatureRows { values, apart, count: k }, pattern, weights };
        let packed = k * (k + 1) / 2;
        let bytes = Self::bytes(self.problems, k);
        let length = usize::try_from(bytes / size_of::<T>() as u128).ok();
        let more = length.map(|n| n.saturating_sub(self.data.len()));
        if more.is_none_or(|more| self.data.try_reserve_exact(more).is_err()) {
            return Err(LinalgError::TooLarge { what: "the factors of the normal matrices", bytes });
        }
        self.data.resize(length.unwrap_or_default(), T::default());
        let parts = self.data.par_chunks_mut(PROBLEMS * packed).enumerate();
        let wrong = parts.map_init(Scratch::default, |scratch, (b, out)| {
            T::keep(Keep { observed, ridge, pivot, first: b * PROBLEMS, out }, scratch)
        });
        match wrong.flatten().min() {
            Some(row) => {
                Err(LinalgError::NotFinite { argument: "normal matrix", row, column: 0, value: f64::INFINITY })
            }
            None => Ok(()),
        }
    }

    /// The answers to one right-hand side per problem: row `i` of either begins at `i·apart` and has as many entries as
    /// there are unknowns; what lies behind them stays as it is.
    ///
    /// # Errors
    /// [`LinalgError::Length`] when the rows are not as many as the problems, [`LinalgError::OutOfRange`] when they overlap,
    /// [`LinalgError::NotFinite`] with the first answer that is not; the others are there all the same.
    pub fn solve_into(&self, right: &[T], apart: usize, out: &mut [T]) -> Result<(), LinalgError> {
        let (n, k) = (self.problems, self.unknowns);
        if apart < k {
            let value = apart as f64;
            return Err(LinalgError::OutOfRange { argument: "apart", value, allowed: "at least the unknowns" });
        }
        let expected = n.saturating_mul(apart);
        for (argument, given) in [("right", right.len()), ("out", out.len())] {
            if given != expected {
                return Err(LinalgError::Length { argument, given, expected });
            }
        }
        if k == 0 || n == 0 {
            return Ok(());
        }
        let (unit, packed) = (PROBLEMS * apart, PROBLEMS * k * (k + 1) / 2);
        // The first answer of a block that is not finite.
        let block = |scratch: &mut Scratch<T>, (b, ((factors, right), out)): (usize, ((&[T], &[T]), &mut [T]))| {
            T::solve(Solve { factors, right, apart, unknowns: k, out: &mut *out }, scratch);
            out.chunks_exact(apart).enumerate().find_map(|(r, answer)| {
                let column = answer[..k].iter().position(|x| !x.is_finite())?;
                Some((b * PROBLEMS + r, column, answer[column].to_f64()))
            })
        };
        let wrong = if self.data.len() < SERIAL {
            let parts = self.data.chunks(packed).zip(right.chunks(unit)).zip(out.chunks_mut(unit)).enumerate();
            let mut scratch = Scratch::default();
            parts.map(|part| block(&mut scratch, part)).fold(None, Option::or)
        } else {
            let parts = self.data.par_chunks(packed).zip(right.par_chunks(unit)).zip(out.par_chunks_mut(unit));
            parts.enumerate().map_init(Scratch::default, block).reduce(|| None, Option::or)
        };
        match wrong {
            Some((row, column, value)) => Err(LinalgError::NotFinite { argument: "answer", row, column, value }),
            None => Ok(()),
        }
    }
}

/// Consecutive problems to factor.
#[doc(hidden)]
pub struct Keep<'a, T: Real> {
    pub(super) observed: Observed<'a, T>,
    pub(super) ridge: T,
    pub(super) pivot: T,
    pub(super) first: usize,
    pub(super) out: &'a mut [T],
}

/// Consecutive problems to solve.
#[doc(hidden)]
pub struct Solve<'a, T> {
    pub(super) factors: &'a [T],
    pub(super) right: &'a [T],
    pub(super) apart: usize,
    pub(super) unknowns: usize,
    pub(super) out: &'a mut [T],
}

/// Returns the first problem whose numbers have left their range.
#[inline(always)]
pub(super) fn keep<T: SmallReal, S: Lanes<T>>(s: S, work: Keep<'_, T>, scratch: &mut Scratch<T>) -> Option<usize> {
    let Keep { observed, ridge, pivot, first, out } = work;
    let k = observed.features.count;
    let ld = k.next_multiple_of(S::WIDTH.max(TILE));
    let Scratch { panel, weighted, grams, triangle, .. } = scratch;
    let panel = aligned(panel, BLOCK * ld);
    panel.fill(T::default());
    let square = (ld + 1) * ld;
    let grams = aligned(grams, S::WIDTH * square);
    let packed = k * (k + 1) / 2;
    // The last row, a right-hand side elsewhere, and what is written beyond it.
    let triangle = aligned(triangle, (packed + k + 1 + S::WIDTH) * S::WIDTH);
    let mut wrong = None;
    let share = s.splat(pivot * T::from_f64(1.0 / k as f64));
    for (group, out) in out.chunks_exact_mut(packed * S::WIDTH).enumerate() {
        for (lane, gram) in grams.chunks_exact_mut(square).enumerate() {
            let i = first + group * S::WIDTH + lane;
            if i < observed.pattern.rows() {
                accumulate::<T, S>(s, &observed, None, i, ld, panel, weighted, gram);
                (0..k).for_each(|r| gram[r * ld + r] += ridge);
            } else {
                // Lanes without a problem hold the identity.
                gram.fill(T::default());
                (0..k).for_each(|r| gram[r * ld + r] = T::from_f64(1.0));
            }
            gram[ld * ld..].fill(T::default());
        }
        let registers: &mut [S::V] = bytemuck::cast_slice_mut(triangle);
        interleave::<T, S>(s, grams, registers, k, ld);
        let one = s.splat(T::from_f64(1.0));
        let trace = (0..k).fold(s.splat(T::default()), |sum, r| s.add_product(one, registers[row(r) + r], sum));
        let traces: &[T] = bytemuck::cast_slice(std::slice::from_ref(&trace));
        if let Some(lane) = traces.iter().position(|t| !t.is_finite()) {
            wrong = wrong.or(Some(first + group * S::WIDTH + lane));
        }
        factor::<T, S, true>(s, registers, k, s.mul(share, trace));
        out.copy_from_slice(&triangle[..packed * S::WIDTH]);
    }
    wrong
}

#[inline(always)]
pub(super) fn solve<T: SmallReal, S: Lanes<T>>(s: S, work: Solve<'_, T>, scratch: &mut Scratch<T>) {
    match S::WIDTH {
        16 => solve_lanes::<T, S, 16>(s, work, scratch),
        8 => solve_lanes::<T, S, 8>(s, work, scratch),
        4 => solve_lanes::<T, S, 4>(s, work, scratch),
        2 => solve_lanes::<T, S, 2>(s, work, scratch),
        _ => solve_lanes::<T, S, 1>(s, work, scratch),
    }
}

#[inline(always)]
fn solve_lanes<T: SmallReal, S: Lanes<T>, const W: usize>(s: S, work: Solve<'_, T>, scratch: &mut Scratch<T>) {
    let Solve { factors, right, apart, unknowns: k, out } = work;
    let vectors = k.div_ceil(W);
    let rows = aligned(&mut scratch.panel, W * vectors * W);
    let y = aligned(&mut scratch.triangle, vectors * W * W);
    let packed = k * (k + 1) / 2;
    let parts = right.chunks(W * apart).zip(out.chunks_mut(W * apart));
    for (triangle, (right, out)) in factors.chunks_exact(packed * W).zip(parts) {
        for (slot, row) in rows.chunks_exact_mut(vectors * W).zip(right.chunks_exact(apart)) {
            slot[..k].copy_from_slice(&row[..k]);
        }
        turn::<T, S, W>(s, bytemuck::cast_slice(rows), bytemuck::cast_slice_mut(y), vectors);
        let unknowns: &mut [S::V] = bytemuck::cast_slice_mut(y);
        forward::<T, S>(s, bytemuck::cast_slice(triangle), &mut unknowns[..k]);
        backward::<T, S>(s, bytemuck::cast_slice(triangle), &mut unknowns[..k]);
        // A square block is its own way back.
        for v in 0..vectors {
            let block: &mut [S::V] = &mut unknowns[v * W..][..W];
            let turned = block.first_chunk::<W>().map(|b| transposed::<T, S, W>(s, *b));
            let turned: &[T] = bytemuck::cast_slice(turned.as_ref().map_or(&[], |b| &b[..]));
            let columns = W.min(k - v * W);
            for (row, lane) in out.chunks_exact_mut(apart).zip(turned.chunks_exact(W)) {
                row[v * W..][..columns].copy_from_slice(&lane[..columns]);
            }
        }
    }
}

/// `W` rows of `vectors` registers each, to one register per column.
#[inline(always)]
fn turn<T: SmallReal, S: Lanes<T>, const W: usize>(s: S, rows: &[S::V], columns: &mut [S::V], vectors: usize) {
    for v in 0..vectors {
        let mut block = [s.splat(T::default()); W];
        for (lane, b) in block.iter_mut().enumerate() {
            *b = rows[lane * vectors + v];
        }
        columns[v * W..][..W].copy_from_slice(&transposed::<T, S, W>(s, block));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Streams;
    use crate::{CooBuilder, Duplicates, Matrix, factor};

    /// LA-12: `G (G⁻¹ b) = b` by the definition of `G`, for every kind of padding, weighted and not, and for rows that are
    /// apart.
    fn agrees<T: SmallReal>(tolerance: f64) {
        for (n, k, apart) in [(1, 1, 1), (3, 2, 5), (17, 7, 7), (300, 9, 16), (40, 33, 48), (19, 50, 50), (2, 130, 130)]
        {
            let s = Streams::new(k as u64);
            let m = 3 * k + 5;
            let features = Matrix::from_fn(m, k, |j, c| T::from_f64(s.uniform((j * k + c) as u64) - 0.5));
            let mut coo = CooBuilder::new(n, m);
            for cell in (0..n * m).filter(|c| s.uniform((1_000_000 + c) as u64) < 0.7) {
                coo.push(cell / m, cell % m, T::from_f64(1.0)).unwrap();
            }
            let pattern = coo.build(Duplicates::Error).unwrap();
            let weights: Vec<T> =
                (0..pattern.nnz()).map(|p| T::from_f64(0.5 + s.uniform((5_000_000 + p) as u64))).collect();
            for w in [None, Some(&weights[..])] {
                let factors =
                    NormalFactors::new(features.view(), &pattern, w, T::from_f64(0.3), T::from_f64(1e-6)).unwrap();
                assert!(NormalFactors::<T>::bytes(n, k) >= (factors.data.len() * size_of::<T>()) as u128);
                let right: Vec<T> = (0..n * apart).map(|i| T::from_f64(s.uniform((9_000_000 + i) as u64))).collect();
                let mut out = vec![T::from_f64(7.0); n * apart];
                factors.solve_into(&right, apart, &mut out).unwrap();
                for i in 0..n {
                    let x: Vec<f64> = out[i * apart..][..k].iter().map(|x| x.to_f64()).collect();
                    let mut back: Vec<f64> = x.iter().map(|x| 0.3 * x).collect();
                    for p in pattern.row_range(i) {
                        let v = features.row(pattern.indices()[p] as usize);
                        let c = w.map_or(1.0, |w| w[p].to_f64())
                            * v.iter().zip(&x).map(|(v, x)| v.to_f64() * x).sum::<f64>();
                        back.iter_mut().zip(v).for_each(|(b, v)| *b += c * v.to_f64());
                    }
                    for (b, r) in back.iter().zip(&right[i * apart..]) {
                        assert!((b - r.to_f64()).abs() < tolerance, "{n} {k} {apart}, problem {i}: {b} {r:?}");
                    }
                    assert!(out[i * apart + k..(i + 1) * apart].iter().all(|x| x.to_f64() == 7.0));
                }
            }
        }
    }

    #[test]
    fn kept_factors_solve_by_their_definition() {
        agrees::<f64>(1e-11);
        agrees::<f32>(2e-3);
    }

    /// LA-12: columns 4 and 9 nearly equal in problem 1 only: its pivot is small, not zero, and dropped; what is left of it is
    /// the problem without that unknown. Blocks of four columns, more problems than lanes.
    fn one_small_pivot_is_dropped<T: SmallReal>(apart: f64, pivot: f64, tolerance: f64) {
        let (n, m, k) = (20, 40, 11);
        let s = Streams::new(9);
        let draw = |j: usize, c: usize| s.uniform((j * 16 + c) as u64) - 0.5;
        // Problem 1 sees the first half of the features, the others the second.
        let features = Matrix::from_fn(m, k, |j, c| {
            T::from_f64(if c == 9 && j < m / 2 { draw(j, 4) + apart * draw(j, 12) } else { draw(j, c) })
        });
        let mut coo = CooBuilder::new(n, m);
        for i in 0..n {
            let seen = if i == 1 { 0..m / 2 } else { m / 2..m };
            seen.for_each(|j| coo.push(i, j, T::from_f64(1.0)).unwrap());
        }
        let pattern = coo.build(Duplicates::Error).unwrap();
        let mut out = vec![T::default(); n * k];
        let right: Vec<T> = (0..n * k).map(|i| T::from_f64(s.uniform((10_000 + i) as u64))).collect();
        let new = |features: &Matrix<T>| {
            NormalFactors::new(features.view(), &pattern, None, T::default(), T::from_f64(pivot)).unwrap()
        };
        new(&features).solve_into(&right, k, &mut out).unwrap();
        assert!((0..n).all(|i| (out[i * k + 9] == T::default()) == (i == 1)));
        let rest: Vec<usize> = (0..k).filter(|c| *c != 9).collect();
        let thinned = Matrix::from_fn(m, k - 1, |j, c| features[(j, rest[c])]);
        let part: Vec<T> = (0..n).flat_map(|i| rest.iter().map(move |c| i * k + c)).map(|p| right[p]).collect();
        let mut without = vec![T::default(); n * (k - 1)];
        new(&thinned).solve_into(&part, k - 1, &mut without).unwrap();
        for (c, &from) in rest.iter().enumerate() {
            let (a, b) = (out[k + from].to_f64(), without[k - 1 + c].to_f64());
            assert!((a - b).abs() < tolerance, "{a} {b}");
        }
    }

    #[test]
    fn small_pivots_are_dropped_in_their_lane() {
        one_small_pivot_is_dropped::<f64>(1e-7, 1e-10, 1e-9);
        one_small_pivot_is_dropped::<f32>(1e-4, 1e-5, 1e-2);
    }

    /// LA-12: directions that the observations leave open are zero and harm no other; bits do not depend on threads; bad
    /// arguments are refused.
    #[test]
    fn open_directions_are_zero_in_kept_factors() {
        // Problem 0 sees two features of three unknowns, of which the last is never touched; problem 1 sees nothing.
        let features = Matrix::from_vec(2, 3, vec![2.0, 0.0, 0.0, 1.0, 3.0, 0.0]).unwrap();
        let mut coo = CooBuilder::new(2, 2);
        coo.push(0, 0, 1.0).unwrap();
        coo.push(0, 1, 1.0).unwrap();
        let pattern = coo.build(Duplicates::Error).unwrap();
        let new = |ridge: f64, pivot: f64| NormalFactors::new(features.view(), &pattern, None, ridge, pivot);
        let factors = new(0.0, 1e-12).unwrap();
        let mut x = [9.0; 6];
        factors.solve_into(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3, &mut x).unwrap();
        let gram = Matrix::from_vec(2, 2, vec![5.0, 3.0, 3.0, 9.0]).unwrap();
        let mut expected = vec![1.0, 2.0];
        factor::Cholesky::new(&gram, 0.0).unwrap().solve_in_place(&mut expected);
        assert!((x[0] - expected[0]).abs() < 1e-14 && (x[1] - expected[1]).abs() < 1e-14);
        assert_eq!(x[2..], [0.0; 4]);

        let run = |threads: usize| {
            let s = Streams::new(3);
            let features = Matrix::from_fn(50, 6, |j, c| s.uniform((j * 6 + c) as u64) - 0.5);
            let mut coo = CooBuilder::new(700, 50);
            (0..35_000)
                .filter(|c| s.uniform((1000 + c) as u64) < 0.3)
                .for_each(|c| coo.push(c / 50, c % 50, 1.0).unwrap());
            let pattern = coo.build(Duplicates::Error).unwrap();
            let mut out = vec![0.0; 4200];
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let factors = NormalFactors::new(features.view(), &pattern, None, 0.1, 0.0).unwrap();
                factors.solve_into(&vec![1.0; 4200], 6, &mut out).unwrap();
            });
            out
        };
        assert_eq!(run(1), run(3));

        assert!(new(f64::NAN, 0.0).is_err() && new(-1.0, 0.0).is_err() && new(0.0, f64::INFINITY).is_err());
        assert!(NormalFactors::new(features.view().transpose(), &pattern, None, 0.0, 0.0).is_err());
        assert!(NormalFactors::new(features.view(), &pattern, Some(&[1.0]), 0.0, 0.0).is_err());
        assert!(NormalFactors::new(Matrix::zeros(3, 3).view(), &pattern, None, 0.0, 0.0).is_err());
        assert!(factors.solve_into(&[0.0; 6], 2, &mut x).is_err());
        assert!(factors.solve_into(&[0.0; 5], 3, &mut x).is_err());
        let huge = Matrix::from_vec(2, 1, vec![1e200, 1.0]).unwrap();
        let error = NormalFactors::new(huge.view(), &pattern, None, 0.0, 0.0).unwrap_err();
        assert!(matches!(error, LinalgError::NotFinite { argument: "normal matrix", row: 0, .. }), "{error}");
        let tiny = Matrix::from_vec(2, 1, vec![1e-160, 0.0]).unwrap();
        let factors = NormalFactors::new(tiny.view(), &pattern, None, 0.0, 0.0).unwrap();
        let error = factors.solve_into(&[1.0, 1.0], 1, &mut [0.0; 2]).unwrap_err();
        assert!(matches!(error, LinalgError::NotFinite { argument: "answer", row: 0, column: 0, .. }), "{error}");
        let nothing = NormalFactors::new(Matrix::zeros(2, 0).view(), &pattern, None, 0.0, 0.0).unwrap();
        assert!(nothing.solve_into(&[], 0, &mut []).is_ok());
    }
}
