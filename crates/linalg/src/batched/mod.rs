//! Many small weighted least-squares problems that share their rows: the half step of alternating minimisation.
//!
//! Problem `i` has one observation for every stored entry `(j, y)` of row `i` of a sparse matrix, with the features `v_j`:
//! it is `min Σ w (v_jᵀx − y)² + ridge_i ‖x‖²`.
//!
//! *Gram*: observations are gathered in blocks of 64 into a padded panel, and products of eight columns (four where there are
//! sixteen registers) with up to three registers of the others stay in registers over the whole block; only the blocks on and right of the diagonal are formed.
//! *Solve*: as many problems as a register has lanes are factored at once, one per lane, from a packed triangle; the
//! right-hand side is its last row, so that the forward solve is part of the factorisation. A pivot that is not positive
//! spoils its own lane only.
//! *Factors to keep* ([`NormalFactors`]): the same packed triangles without right-hand side, for many of them later.
//!
//! Floor: `k² + k` fused multiply-adds per observation over the lanes of a register (half of that for the triangle alone,
//! plus diagonal blocks).
mod factor;
pub(crate) mod gram;
mod kept;
#[doc(hidden)]
pub mod lanes;

use pulp::{Simd, bytemuck};
use rayon::prelude::*;

use crate::{CsrMatrix, LinalgError, Matrix, Real};
use factor::{factor_and_solve, interleave};
use gram::{BLOCK, TILE, accumulate, aligned};
pub use kept::NormalFactors;
use kept::{Keep, Solve, keep, solve};
use lanes::Lanes;

/// Largest number of unknowns per problem of [`solve_normal_equations`] and [`solve_penalised`].
pub const MAX_UNKNOWNS: usize = 128;

/// Scalars of the batched solver, `f32` and `f64`: runs the kernel on the widest registers of this machine.
pub trait SmallReal: Real + bytemuck::Pod {
    #[doc(hidden)]
    fn dispatch(group: Group<'_, Self>, scratch: &mut Scratch<Self>);
    #[doc(hidden)]
    fn keep(work: Keep<'_, Self>, scratch: &mut Scratch<Self>) -> Option<usize>;
    #[doc(hidden)]
    fn solve(work: Solve<'_, Self>, scratch: &mut Scratch<Self>);
    #[doc(hidden)]
    fn lanes() -> usize;
}

/// A kernel on the widest registers, with the buffers of one thread.
macro_rules! dispatched {
    ($t:ty, $work:ident, $output:ty, $kernel:ident, $given:expr, $scratch:expr) => {{
        struct Run<'a, 'b>($work<'a, $t>, &'b mut Scratch<$t>);
        impl pulp::WithSimd for Run<'_, '_> {
            type Output = $output;
            #[inline(always)]
            fn with_simd<S: Simd>(self, s: S) -> $output {
                $kernel::<$t, S>(s, self.0, self.1)
            }
        }
        pulp::Arch::new().dispatch(Run($given, $scratch))
    }};
}

macro_rules! small_real {
    ($($t:ty),*) => {$(
        impl SmallReal for $t {
            fn dispatch(group: Group<'_, $t>, scratch: &mut Scratch<$t>) {
                dispatched!($t, Group, (), solve_group, group, scratch);
            }
            fn keep(work: Keep<'_, $t>, scratch: &mut Scratch<$t>) -> Option<usize> {
                dispatched!($t, Keep, Option<usize>, keep, work, scratch)
            }
            fn solve(work: Solve<'_, $t>, scratch: &mut Scratch<$t>) {
                dispatched!($t, Solve, (), solve, work, scratch);
            }
            fn lanes() -> usize {
                struct Width;
                impl pulp::WithSimd for Width {
                    type Output = usize;
                    #[inline(always)]
                    fn with_simd<S: Simd>(self, _: S) -> usize {
                        <S as Lanes<$t>>::WIDTH
                    }
                }
                pulp::Arch::new().dispatch(Width)
            }
        }
    )*};
}
small_real!(f32, f64);

/// Problems that follow each other in memory.
#[doc(hidden)]
pub struct Group<'a, T: Real> {
    problem: &'a Problem<'a, T>,
    first: usize,
    out: &'a mut [T],
    solved: &'a mut [bool],
}

struct Problem<'a, T: Real> {
    observed: Observed<'a, T>,
    targets: &'a [T],
    penalty: Penalty<'a, T>,
}

/// What the Gram matrices are made of.
#[derive(Clone, Copy)]
struct Observed<'a, T: Real> {
    features: FeatureRows<'a, T>,
    pattern: &'a CsrMatrix<T>,
    weights: Option<&'a [T]>,
}

/// Rows of `count` features that start `apart` from each other.
#[derive(Clone, Copy)]
struct FeatureRows<'a, T> {
    values: &'a [T],
    apart: usize,
    count: usize,
}

impl<'a, T> FeatureRows<'a, T> {
    #[inline(always)]
    fn row(&self, j: usize) -> &'a [T] {
        &self.values[j * self.apart..][..self.count]
    }
}

/// What is added to the diagonal of the normal equations.
#[derive(Clone, Copy, Debug)]
pub struct Penalty<'a, T: Real> {
    /// One entry per problem, finite, at least 0: for every unknown.
    pub ridge: &'a [T],
    /// The ridge of the last unknown of every problem, instead: that of a bias, whose feature is the constant 1.
    pub last: Option<T>,
    /// This times the mean of the diagonal on top, for every unknown: finite, at least 0. Where it is positive, a problem
    /// without observations has the answer zero.
    pub floor: T,
    /// More of a Gaussian prior than a ridge, and a draw from the posterior instead of its mean.
    pub draw: Option<Draw<'a, T>>,
}

/// A draw from the posterior of every problem: with the normal matrix `A = L Lᵀ` and the right-hand side `b`, the answer is
/// `L⁻ᵀ (L⁻¹ b + z)`, of mean `A⁻¹ b`, and of covariance `A⁻¹` when `z` is standard normal. All numbers finite.
#[derive(Clone, Copy, Debug)]
pub struct Draw<'a, T: Real> {
    /// `k × k`, symmetric (the lower triangle is read): added to every normal matrix.
    pub precision: &'a Matrix<T>,
    /// `n × k`: added to the right-hand sides.
    pub right: &'a Matrix<T>,
    /// `n × k`: `z`.
    pub noise: &'a Matrix<T>,
}

/// Buffers of one thread.
#[doc(hidden)]
#[derive(Default)]
pub struct Scratch<T> {
    panel: Vec<T>,
    weighted: Vec<T>,
    grams: Vec<T>,
    triangle: Vec<T>,
    noise: Vec<T>,
}

/// Solves every problem and returns, for each, whether it could be (row LA-12): not with a pivot that is not positive,
/// which takes `ridge = 0` and fewer independent observations than unknowns, or numbers out of range. Rows of `out` that
/// could not be solved keep what they hold.
///
/// * `features` is `m × k`, row `j` is `v_j`; `k` at most 128.
/// * `observations` is `n × m`: stored entries of row `i` are the observations of problem `i`.
/// * `weights` has one finite entry, at least 0, per stored entry; ones when `None`.
/// * `ridge` has one finite entry, at least 0, per problem.
/// * `out` is `n × k`.
///
/// Cost `nnz·(k² + 3k)` flops for the Gram matrices and `n·k³/3` for the factorisations. Same bits for every number of
/// threads on one instruction set.
///
/// ```
/// use samplewise_linalg::{CooBuilder, Duplicates, Matrix, batched};
/// let features = Matrix::from_vec(3, 2, vec![1.0, 0.0, 1.0, 1.0, 1.0, 2.0])?;
/// let mut y = CooBuilder::new(1, 3);
/// for (j, value) in [1.0, 3.0, 5.0].into_iter().enumerate() {
///     y.push(0, j, value)?;
/// }
/// let mut x = Matrix::<f64>::zeros(1, 2);
/// let solved = batched::solve_normal_equations(&features, &y.build(Duplicates::Error)?, None, &[0.0], &mut x)?;
/// assert!(solved[0] && (x[(0, 0)] - 1.0).abs() < 1e-12 && (x[(0, 1)] - 2.0).abs() < 1e-12);
/// # Ok::<(), samplewise_linalg::LinalgError>(())
/// ```
///
/// # Errors
/// [`LinalgError::Shape`], [`LinalgError::Length`], [`LinalgError::NotFinite`], [`LinalgError::OutOfRange`].
pub fn solve_normal_equations<T: SmallReal>(
    features: &Matrix<T>,
    observations: &CsrMatrix<T>,
    weights: Option<&[T]>,
    ridge: &[T],
    out: &mut Matrix<T>,
) -> Result<Vec<bool>, LinalgError> {
    let penalty = Penalty { ridge, last: None, floor: T::default(), draw: None };
    solve_penalised(features, observations, observations.values(), weights, &penalty, out)
}

/// [`solve_normal_equations`] for other targets than the stored values, one per stored entry, and with more of a penalty
/// (row LA-12). A problem with a target that is not finite is not solved.
///
/// # Errors
/// As [`solve_normal_equations`].
pub fn solve_penalised<T: SmallReal>(
    features: &Matrix<T>,
    observations: &CsrMatrix<T>,
    targets: &[T],
    weights: Option<&[T]>,
    penalty: &Penalty<'_, T>,
    out: &mut Matrix<T>,
) -> Result<Vec<bool>, LinalgError> {
    let (n, k) = (observations.rows(), features.columns());
    check(features, observations, targets, weights, penalty, out)?;
    let mut solved = vec![false; n];
    if n == 0 || k == 0 {
        return Ok(vec![true; n]);
    }
    let rows = FeatureRows { values: features.as_slice(), apart: k, count: k };
    let observed = Observed { features: rows, pattern: observations, weights };
    let problem = Problem { observed, targets, penalty: *penalty };
    // A multiple of every register width, so that groups of lanes do not depend on the threads.
    const PROBLEMS: usize = 64;
    out.as_mut_slice().par_chunks_mut(PROBLEMS * k).zip(solved.par_chunks_mut(PROBLEMS)).enumerate().for_each_init(
        Scratch::default,
        |scratch, (g, (out, solved))| {
            T::dispatch(Group { problem: &problem, first: g * PROBLEMS, out, solved }, scratch);
        },
    );
    Ok(solved)
}

fn check<T: SmallReal>(
    features: &Matrix<T>,
    observations: &CsrMatrix<T>,
    targets: &[T],
    weights: Option<&[T]>,
    penalty: &Penalty<'_, T>,
    out: &Matrix<T>,
) -> Result<(), LinalgError> {
    let (n, k) = (observations.rows(), features.columns());
    let shape = |argument, rows, columns, expected| Err(LinalgError::Shape { argument, rows, columns, expected });
    if k > MAX_UNKNOWNS {
        return shape("features", features.rows(), k, format!("at most {MAX_UNKNOWNS} columns"));
    }
    if observations.columns() != features.rows() {
        return shape("observations", n, observations.columns(), format!("{} columns", features.rows()));
    }
    if out.rows() != n || out.columns() != k {
        return shape("out", out.rows(), out.columns(), format!("{n} x {k}"));
    }
    if let Some(draw) = &penalty.draw {
        for (argument, matrix, rows) in
            [("precision", draw.precision, k), ("right", draw.right, n), ("noise", draw.noise, n)]
        {
            if matrix.rows() != rows || matrix.columns() != k {
                return shape(argument, matrix.rows(), matrix.columns(), format!("{rows} x {k}"));
            }
            matrix.check_finite(argument)?;
        }
    }
    if penalty.ridge.len() != n {
        return Err(LinalgError::Length { argument: "ridge", given: penalty.ridge.len(), expected: n });
    }
    if targets.len() != observations.nnz() {
        return Err(LinalgError::Length { argument: "targets", given: targets.len(), expected: observations.nnz() });
    }
    if let Some(w) = weights
        && w.len() != observations.nnz()
    {
        return Err(LinalgError::Length { argument: "weights", given: w.len(), expected: observations.nnz() });
    }
    features.check_finite("features")?;
    let floor = [penalty.floor];
    let last = penalty.last.map(|l| [l]);
    for (argument, values) in [
        ("ridge", Some(penalty.ridge)),
        ("last", last.as_ref().map(|l| &l[..])),
        ("floor", Some(&floor[..])),
        ("weights", weights),
    ] {
        if let Some(v) = values.into_iter().flatten().find(|v| !(v.is_finite() && **v >= T::default())) {
            let value = v.to_f64();
            return Err(LinalgError::OutOfRange { argument, value, allowed: "finite and at least 0" });
        }
    }
    Ok(())
}

#[inline(always)]
fn penalise<T: SmallReal>(problem: &Problem<'_, T>, i: usize, ld: usize, gram: &mut [T]) {
    let Penalty { ridge, last, floor, draw } = problem.penalty;
    let k = problem.observed.features.count;
    let mut floor = floor;
    if floor > T::default() {
        let trace = (0..k).fold(T::default(), |sum, r| sum + gram[r * ld + r]);
        floor = if trace > T::default() { floor * trace / T::from_f64(k as f64) } else { T::from_f64(1.0) };
    }
    for r in 0..k {
        let ridge = if r + 1 == k { last.unwrap_or(ridge[i]) } else { ridge[i] };
        gram[r * ld + r] += ridge + floor;
    }
    if let Some(draw) = draw {
        for r in 0..k {
            gram[r * ld..][..=r].iter_mut().zip(draw.precision.row(r)).for_each(|(g, p)| *g += *p);
        }
        gram[ld * ld..].iter_mut().zip(draw.right.row(i)).for_each(|(g, b)| *g += *b);
    }
}

#[inline(always)]
fn solve_group<T: SmallReal, S: Lanes<T>>(s: S, group: Group<'_, T>, scratch: &mut Scratch<T>) {
    let Group { problem, first, out, solved } = group;
    let k = problem.observed.features.count;
    // Columns are padded to whole tiles and whole registers.
    let ld = k.next_multiple_of(S::WIDTH.max(TILE));
    let Scratch { panel, weighted, grams, triangle, noise } = scratch;
    let panel = aligned(panel, BLOCK * ld);
    panel.fill(T::default());
    let square = (ld + 1) * ld;
    let grams = aligned(grams, S::WIDTH * square);
    let packed = (k + 1) * (k + 2) / 2;
    let triangle = aligned(triangle, (packed + S::WIDTH) * S::WIDTH);
    for base in (0..solved.len()).step_by(S::WIDTH) {
        let lanes = S::WIDTH.min(solved.len() - base);
        for (lane, gram) in grams.chunks_exact_mut(square).enumerate() {
            if lane < lanes {
                let i = first + base + lane;
                accumulate::<T, S>(s, &problem.observed, Some(problem.targets), i, ld, panel, weighted, gram);
                penalise(problem, i, ld, gram);
            } else {
                // Lanes without a problem hold the identity.
                gram.fill(T::default());
                (0..k).for_each(|r| gram[r * ld + r] = T::from_f64(1.0));
            }
        }
        noise.clear();
        if let Some(draw) = &problem.penalty.draw {
            noise.resize(k * S::WIDTH, T::default());
            for lane in 0..lanes {
                let row = draw.noise.row(first + base + lane);
                row.iter().enumerate().for_each(|(c, z)| noise[c * S::WIDTH + lane] = *z);
            }
        }
        let registers: &mut [S::V] = bytemuck::cast_slice_mut(triangle);
        interleave::<T, S>(s, grams, registers, k, ld);
        factor_and_solve::<T, S>(s, registers, k, bytemuck::cast_slice(noise));
        let answers = &triangle[k * (k + 1) / 2 * S::WIDTH..];
        for lane in 0..lanes {
            let good = (0..k).all(|c| answers[c * S::WIDTH + lane].is_finite());
            solved[base + lane] = good;
            if good {
                let row = &mut out[(base + lane) * k..(base + lane + 1) * k];
                row.iter_mut().enumerate().for_each(|(c, x)| *x = answers[c * S::WIDTH + lane]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Streams;
    use crate::{CooBuilder, Duplicates, factor};

    fn problem<T: Real>(n: usize, m: usize, k: usize, seed: u64) -> (Matrix<T>, CsrMatrix<T>, Vec<T>, Vec<T>) {
        let s = Streams::new(seed);
        let features = Matrix::from_fn(m, k, |i, j| T::from_f64(s.uniform((i * k + j) as u64) - 0.5));
        let mut coo = CooBuilder::new(n, m);
        for i in 0..n {
            for j in 0..m {
                let id = (1_000_000 + i * m + j) as u64;
                if s.uniform(id) < 0.6 {
                    coo.push(i, j, T::from_f64(s.uniform(id + 1_000_000) * 4.0)).unwrap();
                }
            }
        }
        let y = coo.build(Duplicates::Error).unwrap();
        let weights = (0..y.nnz() as u64).map(|p| T::from_f64(s.uniform(9_000_000 + p))).collect();
        let ridge = (0..n).map(|i| T::from_f64(0.1 + i as f64 / 100.0)).collect();
        (features, y, weights, ridge)
    }

    fn agrees_with_the_definition<T: SmallReal>(tolerance: f64) {
        for (n, m, k) in [
            (1, 5, 1),
            (3, 40, 2),
            (17, 90, 7),
            (9, 200, 8),
            (70, 60, 10),
            (20, 150, 16),
            (18, 170, 33),
            (3, 300, 50),
            (2, 300, 128),
        ] {
            let (features, y, weights, ridge) = problem::<T>(n, m, k, k as u64);
            for w in [None, Some(&weights[..])] {
                let mut out = Matrix::zeros(n, k);
                let solved = solve_normal_equations(&features, &y, w, &ridge, &mut out).unwrap();
                assert!(solved.iter().all(|s| *s));
                for i in 0..n {
                    let (mut g, mut b) = (Matrix::<f64>::zeros(k, k), vec![0.0; k]);
                    for p in y.row_range(i) {
                        let v = features.row(y.indices()[p] as usize);
                        let w = w.map_or(1.0, |w| w[p].to_f64());
                        for c in 0..k {
                            b[c] += w * y.values()[p].to_f64() * v[c].to_f64();
                            for r in 0..k {
                                g[(r, c)] += w * v[r].to_f64() * v[c].to_f64();
                            }
                        }
                    }
                    factor::Cholesky::new(&g, ridge[i].to_f64()).unwrap().solve_in_place(&mut b);
                    for c in 0..k {
                        let error = (out[(i, c)].to_f64() - b[c]).abs();
                        assert!(error < tolerance, "{n} {m} {k}, problem {i}, unknown {c}: {error:e}");
                    }
                }
            }
        }
    }

    /// LA-12: equal to the definition for every kind of padding, weighted and not, in both precisions.
    #[test]
    fn batched_normal_equations_equal_their_definition() {
        agrees_with_the_definition::<f64>(1e-10);
        agrees_with_the_definition::<f32>(2e-2);
    }

    /// LA-12: a problem that cannot be solved leaves its row alone and harms no other lane; bad arguments are refused; bits
    /// do not depend on threads.
    #[test]
    fn unsolvable_problems_stay_alone() {
        let (features, y, _, _) = problem::<f64>(40, 60, 5, 3);
        let mut coo = CooBuilder::new(40, 60);
        for (i, j, v) in y.iter().filter(|(i, _, _)| i % 7 != 3) {
            coo.push(i, j, v).unwrap();
        }
        let thinned = coo.build(Duplicates::Error).unwrap();
        let run = |threads: usize| {
            let mut out = Matrix::from_fn(40, 5, |_, _| 7.0);
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let solved =
                pool.install(|| solve_normal_equations(&features, &thinned, None, &[0.0; 40], &mut out).unwrap());
            (out, solved)
        };
        let (out, solved) = run(1);
        assert_eq!(run(3), (out.clone(), solved.clone()));
        let mut full = Matrix::zeros(40, 5);
        solve_normal_equations(&features, &y, None, &[0.0; 40], &mut full).unwrap();
        for i in 0..40 {
            assert_eq!(solved[i], i % 7 != 3);
            assert_eq!(out.row(i), if solved[i] { full.row(i) } else { &[7.0; 5] });
        }
        let mut out = out;
        assert!(solve_normal_equations(&features, &y, None, &[0.0; 39], &mut out).is_err());
        assert!(solve_normal_equations(&features, &y, None, &[f64::NAN; 40], &mut out).is_err());
        assert!(solve_normal_equations(&features, &y, Some(&[1.0]), &[0.0; 40], &mut out).is_err());
        assert!(solve_normal_equations(&Matrix::zeros(60, 129), &y, None, &[0.0; 40], &mut out).is_err());
        assert!(solve_normal_equations(&features, &y, None, &[0.0; 40], &mut Matrix::zeros(1, 1)).is_err());
    }

    /// LA-12: targets of one's own, a ridge of the last unknown, and the floor, against the definition.
    #[test]
    fn penalties_equal_their_definition() {
        let (n, k) = (12, 5);
        let (features, mut y, weights, ridge) = problem::<f64>(n, 40, k, 5);
        let mut thinned = CooBuilder::new(n, 40);
        y.iter().filter(|(i, _, _)| *i != 4).for_each(|(i, j, v)| thinned.push(i, j, v).unwrap());
        y = thinned.build(Duplicates::Error).unwrap();
        let weights = &weights[..y.nnz()];
        let targets: Vec<f64> = y.values().iter().map(|v| 1.0 - v).collect();
        let penalty = Penalty { ridge: &ridge, last: Some(0.7), floor: 0.25, draw: None };
        let mut out = Matrix::zeros(n, k);
        let solved = solve_penalised(&features, &y, &targets, Some(weights), &penalty, &mut out).unwrap();
        assert!(solved.iter().all(|s| *s) && out.row(4).iter().all(|x| *x == 0.0));
        for i in (0..n).filter(|i| *i != 4) {
            let rows: Vec<(f64, f64, &[f64])> =
                y.row_range(i).map(|p| (weights[p], targets[p], features.row(y.indices()[p] as usize))).collect();
            let mean = rows.iter().map(|(w, _, v)| w * v.iter().map(|v| v * v).sum::<f64>()).sum::<f64>() / k as f64;
            for c in 0..k {
                // The gradient of the penalised objective vanishes.
                let ridge = if c + 1 == k { 0.7 } else { ridge[i] } + 0.25 * mean;
                let gradient = rows.iter().fold(ridge * out[(i, c)], |g, (w, t, v)| {
                    g + w * v[c] * (v.iter().zip(out.row(i)).map(|(v, x)| v * x).sum::<f64>() - t)
                });
                assert!(gradient.abs() < 1e-10, "problem {i}, unknown {c}: {gradient:e}");
            }
        }
        let negative = Penalty { floor: -1.0, ..penalty };
        assert!(solve_penalised(&features, &y, &targets, Some(weights), &negative, &mut out).is_err());
        assert!(solve_penalised(&features, &y, &targets[1..], Some(weights), &penalty, &mut out).is_err());
    }

    /// LA-12: a prior and a draw against the definition, with problems that have no observations at all.
    #[test]
    fn draws_equal_their_definition() {
        let (n, k) = (13, 6);
        let (features, y, _, _) = problem::<f64>(n, 40, k, 6);
        let mut thinned = CooBuilder::new(n, 40);
        y.iter().filter(|(i, _, _)| *i != 5).for_each(|(i, j, v)| thinned.push(i, j, v).unwrap());
        let y = thinned.build(Duplicates::Error).unwrap();
        let s = Streams::new(77);
        let root = Matrix::from_fn(k, k, |r, c| s.uniform((r * k + c) as u64) - 0.5);
        let mut precision = root.multiply(&root.transpose()).unwrap();
        (0..k).for_each(|r| precision[(r, r)] += 0.3);
        let right = Matrix::from_fn(n, k, |i, c| s.uniform((100 + i * k + c) as u64));
        let noise = Matrix::from_fn(n, k, |i, c| s.uniform((300 + i * k + c) as u64) - 0.5);
        let draw = Draw { precision: &precision, right: &right, noise: &noise };
        let penalty = Penalty { ridge: &[0.0; 13], last: None, floor: 0.0, draw: Some(draw) };
        let mut out = Matrix::zeros(n, k);
        assert!(solve_penalised(&features, &y, y.values(), None, &penalty, &mut out).unwrap().iter().all(|s| *s));
        for i in 0..n {
            let (mut a, mut b) = (precision.clone(), right.row(i).to_vec());
            for p in y.row_range(i) {
                let v = features.row(y.indices()[p] as usize);
                for c in 0..k {
                    b[c] += y.values()[p] * v[c];
                    (0..k).for_each(|r| a[(r, c)] += v[r] * v[c]);
                }
            }
            // Lᵀ x = L⁻¹ b + z.
            let factor = factor::Cholesky::new(&a, 0.0).unwrap();
            factor.solve_lower_in_place(&mut b);
            for c in 0..k {
                let left: f64 = (c..k).map(|r| factor.lower()[(r, c)] * out[(i, r)]).sum();
                assert!((left - b[c] - noise[(i, c)]).abs() < 1e-10, "problem {i}, unknown {c}");
            }
        }
        let short = Matrix::zeros(n, k - 1);
        let penalty = Penalty { draw: Some(Draw { noise: &short, ..draw }), ..penalty };
        assert!(solve_penalised(&features, &y, y.values(), None, &penalty, &mut out).is_err());
    }

    /// The registers that this machine prefers, AVX2 and one scalar at a time agree.
    #[test]
    fn every_instruction_set_agrees() {
        fn run<T: SmallReal, S: Lanes<T>>(s: S, k: usize) -> Vec<f64> {
            let (features, y, weights, ridge) = problem::<T>(21, 200, k, 8);
            let penalty = Penalty { ridge: &ridge, last: None, floor: T::default(), draw: None };
            let rows = FeatureRows { values: features.as_slice(), apart: k, count: k };
            let observed = Observed { features: rows, pattern: &y, weights: Some(&weights) };
            let problem = Problem { observed, targets: y.values(), penalty };
            let (mut out, mut solved) = (vec![T::default(); 21 * k], vec![false; 21]);
            let group = Group { problem: &problem, first: 0, out: &mut out, solved: &mut solved };
            solve_group(s, group, &mut Scratch::default());
            assert!(solved.iter().all(|s| *s));
            // The factors that are kept, with a row of features as right-hand side.
            let mut kept = vec![T::default(); 21_usize.next_multiple_of(S::WIDTH) * k * (k + 1) / 2];
            let work = Keep { observed, ridge: ridge[0], pivot: T::default(), first: 0, out: &mut kept };
            assert!(keep(s, work, &mut Scratch::default()).is_none());
            let mut answers = vec![T::default(); 21 * k];
            let right = &features.as_slice()[..21 * k];
            let work = Solve { factors: &kept, right, apart: k, unknowns: k, out: &mut answers };
            solve(s, work, &mut Scratch::default());
            out.into_iter().chain(answers).map(Real::to_f64).collect()
        }
        struct Check(usize);
        impl pulp::WithSimd for Check {
            type Output = ();
            #[inline(always)]
            fn with_simd<S: Simd>(self, s: S) {
                for (here, plain, tolerance) in [
                    (run::<f64, S>(s, self.0), run::<f64, _>(pulp::Scalar::new(), self.0), 1e-9),
                    (run::<f32, S>(s, self.0), run::<f32, _>(pulp::Scalar::new(), self.0), 1e-2),
                ] {
                    assert!(here.iter().zip(&plain).all(|(a, b)| (a - b).abs() < tolerance), "k = {}", self.0);
                }
            }
        }
        for k in [1, 4, 6, 11, 32, 37] {
            pulp::Arch::new().dispatch(Check(k));
            #[cfg(target_arch = "x86_64")]
            if let Some(v3) = pulp::x86::V3::try_new() {
                pulp::Simd::vectorize(v3, Check(k));
            }
        }
    }
}
