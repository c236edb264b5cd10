//! Least squares that is right on ill-conditioned and rank-deficient input, and says which way it went.
//!
//! faer 0.24.4's `qr().solve_lstsq` and `thin_svd().solve_lstsq` answer NaN, or finite and wrong, on tall input whose
//! condition is beyond about 1e10, because the unpivoted QR skips small columns and the solver ignores it. Here the
//! rank is decided on the singular values of the small triangular factor.
//!
//! | path | when | cost for `n × d` |
//! |---|---|---|
//! | [`Path::Gram`] | condition estimate up to 1e4, or `3e7/√d` where refinement is cheaper than the others | `n·d²` |
//! | [`Path::Preconditioned`] | beyond, up to 1e11, `n ≥ 8d`, and [`predict`] says so | `2·n·d² + 8·n·d` |
//! | [`Path::Tsqr`] | beyond, where [`predict`] says so | `2·n·d²`, twice that beyond 1e10 |
//! | [`Path::Sketched`] | sparse matrices, and dense ones with about a thousand columns | about `190·n·d` |
//! | [`Path::MinimumNorm`] | rank deficient, or `n < d` | `4·n·d²` |
//! | [`Path::Lsqr`] | sparse, and rank deficient, `n < 8d` or `d > 2048` | `4·nnz` per step |
use crate::krylov::{self, KrylovOptions, Status};
use crate::operator::LinearOperator;
use crate::sketch::{Kind, Sketch};
use crate::{CsrMatrix, LinalgError, Matrix, Observer, chunk, factor, gram, leverage, tsqr};

/// Which solver runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Method {
    /// Gram + Cholesky when the condition allows, else the cheapest of TSQR and the two that sketch by [`predict`]; minimum
    /// norm when the rank is deficient or `n < d`.
    #[default]
    Auto,
    /// Always TSQR, with the singular values of R where the condition asks for them.
    Tsqr,
    /// Always Gram + Cholesky with refinement; an error when it is not positive definite, as for `n < d`, or so ill-conditioned
    /// that refinement does not converge.
    Gram,
    /// Sketch to precondition, then LSQR, twice; TSQR when the sketch is rank deficient or `n < 8d`.
    Sketched,
    /// Sketch to precondition, then the normal equations of the preconditioned rows, with refinement; TSQR when the sketch
    /// has a condition beyond 1e11, refinement does not converge, or `n < 8d`.
    Preconditioned,
}

/// Which way the answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Normal equations and steps of refinement.
    Gram,
    /// Triangular factor of `[A b]`, full rank.
    Tsqr,
    /// LSQR, preconditioned by the triangular factor of a sketch.
    Sketched,
    /// Normal equations of `A R⁻¹`, `R` the triangular factor of a sketch, and steps of refinement.
    Preconditioned,
    /// Singular values, rank deficient: the answer of least norm (after column scaling).
    MinimumNorm,
    /// LSQR without a preconditioner: tends to the answer of least norm (after column scaling). Rank and condition are not
    /// known then: the report says `min(n, d)` and infinity.
    Lsqr,
}

/// A least-squares answer with its evidence.
#[derive(Clone, Debug)]
pub struct LeastSquares {
    /// The minimiser of `‖A x − b‖`.
    pub x: Vec<f64>,
    /// Which way it came.
    pub path: Path,
    /// Numerical rank.
    pub rank: usize,
    /// Condition number of the column-scaled `A` over its numerical rank: exact where singular values were taken, an
    /// estimate within a small factor (of the 1-norm condition number) elsewhere.
    pub condition: f64,
    /// `‖b − A x‖`.
    pub residual_norm: f64,
    /// `‖Aᵀr‖ / (‖A‖_F ‖r‖)`: zero at the minimiser, and at most 1. Zero when the residual is zero.
    pub residual_orthogonality: f64,
    /// Steps of LSQR, or of refinement on the Gram and preconditioned paths; zero with TSQR.
    pub iterations: usize,
}

/// Condition number up to which one step of refinement finishes the Gram path: error about `ε·cond² < 1e-8` before it.
const GRAM_CONDITION: f64 = 1e4;
/// Up to this over `√(ε·d)` a few steps do, each gaining a factor of `1/(ε·cond²)`; taken where that is cheaper than the other paths.
/// Not much higher a Gram matrix cannot tell one condition from another.
const REFINED_CONDITION: f64 = 0.5;
/// Steps of refinement at most, and how many the cost model expects.
const REFINEMENTS: usize = 8;
const EXPECTED_REFINEMENTS: f64 = 2.0;
/// Rows of the sketch per column: LSQR then gains a digit in 3.3 steps.
const SKETCH_ROWS: usize = 4;
/// Beyond this the triangular factor of a sketch is no preconditioner.
const SKETCH_CONDITION: f64 = 1e14;
/// The same for normal equations: their preconditioned rows are off by `ε·cond`, which refinement has to make up for.
const PRECONDITIONED_CONDITION: f64 = 1e11;
/// Columns up to which a sparse matrix is given a dense preconditioner: 134 MB of sketch, and 7e10 operations to factor it.
const SKETCH_COLUMNS: usize = 2048;
/// Steps of LSQR that gain the second eight digits.
const SECOND_ROUND: usize = 24;
/// Seed of the sketch: the answer does not depend on it beyond rounding.
const SKETCH_SEED: u64 = 0x006c_7374_7371;
/// Columns up to which the singular values of R are always taken, and the condition from which they are beyond.
const SVD_COLUMNS: usize = 64;
const SVD_CONDITION: f64 = 1e10;

/// Predicted nanoseconds of the four paths for a dense `n × d` matrix, one thread; fitted to
/// `cargo bench --bench least_squares`. Only their ratios matter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Predicted {
    /// Gram + Cholesky.
    pub gram: f64,
    /// TSQR.
    pub tsqr: f64,
    /// Sketch + LSQR; infinite below `n = 8d`.
    pub sketched: f64,
    /// Sketch + normal equations of the preconditioned rows; infinite below `n = 8d`.
    pub preconditioned: f64,
}

/// The cost model of [`Method::Auto`].
pub fn predict(n: usize, d: usize) -> Predicted {
    let (rows, d) = (n as f64, d as f64);
    let entries = rows * d;
    // Below that a sketch has not enough rows to leave out.
    let sketches = |nanoseconds: f64| if rows < 8.0 * d { f64::INFINITY } else { nanoseconds };
    // Passes over memory, then operations per entry; the small triangle last.
    Predicted {
        gram: entries * (8.0 + 0.055 * d) + 0.1 * d * d * d,
        // The singular values of small factors are always taken.
        tsqr: entries * (13.0 + 0.2 * d) + 0.7 * d * d * d + 2e4 * d.min(SVD_COLUMNS as f64),
        // The sketch and about 40 steps of two products each, which stream through memory, and the factor of 4d rows.
        sketched: sketches(entries * 95.0 + 1.5 * d * d * d),
        preconditioned: sketches(entries * (16.0 + 0.085 * d) + 90.0 * rows + d * d * d),
    }
}

/// Solves `min ‖A x − b‖₂` (row LA-3). Cost `n·d²` to `4·n·d²` flops, or less by sketching.
///
/// ```
/// use samplewise_linalg::{Matrix, lstsq::{Method, least_squares}};
/// let a = Matrix::from_vec(3, 2, vec![1.0, 0.0, 1.0, 1.0, 1.0, 2.0])?;
/// let fit = least_squares(&a, &[1.0, 3.0, 5.0], Method::Auto)?;
/// assert!((fit.x[0] - 1.0).abs() < 1e-14 && (fit.x[1] - 2.0).abs() < 1e-14);
/// # Ok::<(), samplewise_linalg::LinalgError>(())
/// ```
///
/// # Errors
/// [`LinalgError::NotFinite`], [`LinalgError::Length`], [`LinalgError::Empty`];
/// [`LinalgError::NotPositiveDefinite`] and [`LinalgError::NoConvergence`] only with [`Method::Gram`]; [`LinalgError::OutOfRange`] when an entry of the
/// solution is too large for a number.
pub fn least_squares(a: &Matrix, b: &[f64], method: Method) -> Result<LeastSquares, LinalgError> {
    let (n, d) = (a.rows(), a.columns());
    krylov::check_system((n, d), b)?;
    a.check_finite("a")?;
    let scales = leverage::column_scales(a);
    let scaled = leverage::scale_columns(a, &scales);
    let (target, b_scale) = scale_target(b);
    if n < d && method == Method::Gram {
        return Err(LinalgError::NotPositiveDefinite { pivot: n, value: 0.0 });
    }
    let solved = solve_dense(&scaled, &target, method)?;
    let mut gradient = vec![0.0; d];
    let residual = scaled.residual_and_gradient(&solved.x, &target, &mut gradient);
    report(solved, residual, &gradient, scaled.norm(), &scales, b_scale)
}

/// Solves `min ‖A x − b‖₂` for a sparse `A` by sketching and LSQR (row LA-3): `O(nnz)` per step and no fill-in beyond a
/// sketch of `4d × d`. Plain LSQR, which tends to the answer of least norm, when `A` is rank deficient, `n < 8d` or
/// `d > 2048`.
///
/// # Errors
/// As [`least_squares`]; [`LinalgError::Cancelled`] when the observer asks to stop: what there is then does not minimise
/// yet; [`LinalgError::NoConvergence`] when LSQR meets its limit of 10,000 steps before `‖Aᵀr‖ ≤ 1e-10·‖A‖·‖r‖`.
pub fn sparse_least_squares(
    a: &CsrMatrix,
    b: &[f64],
    observer: &mut dyn Observer,
) -> Result<LeastSquares, LinalgError> {
    let (n, d) = a.shape();
    krylov::check_system((n, d), b)?;
    let mut largest = vec![0.0_f64; d];
    for (_, j, v) in a.iter() {
        largest[j] = largest[j].max(v.abs());
    }
    let scales: Vec<f64> = largest.iter().map(|&m| chunk::power_of_two_scale(m)).collect();
    let mut scaled = a.clone();
    scaled.values_mut().iter_mut().zip(a.indices()).for_each(|(v, &j)| *v /= scales[j as usize]);
    let (target, b_scale) = scale_target(b);
    let preconditioned = if n >= 8 * d && d <= SKETCH_COLUMNS {
        let sketch = Sketch::new(Kind::SparseSign, (SKETCH_ROWS * d).max(16), SKETCH_SEED)?;
        let column = Matrix::from_vec(n, 1, target.clone())?;
        by_sketch(&scaled, &sketch.apply_csr(&scaled)?, &sketch.apply(&column)?, &target, observer)?
    } else {
        None
    };
    let solved = if let Some(solved) = preconditioned {
        solved
    } else {
        let options = KrylovOptions { tolerance: 1e-13, max_iterations: 10_000, ..KrylovOptions::default() };
        let fit = krylov::lsqr(&scaled, &target, &options, observer)?;
        if fit.status == Status::Cancelled {
            return Err(LinalgError::Cancelled);
        }
        if fit.status != Status::Converged && fit.residual_orthogonality > 1e-10 {
            return Err(LinalgError::NoConvergence { method: "LSQR" });
        }
        // Without a factor there is neither a rank nor a condition to report.
        Solved { x: fit.x, path: Path::Lsqr, rank: n.min(d), condition: f64::INFINITY, iterations: fit.iterations }
    };
    let (mut residual, mut gradient) = (vec![0.0; n], vec![0.0; d]);
    scaled.apply_into(&solved.x, &mut residual);
    residual.iter_mut().zip(&target).for_each(|(r, t)| *r = t - *r);
    scaled.apply_transpose_into(&residual, &mut gradient);
    report(solved, chunk::norm(&residual), &gradient, scaled.frobenius_norm(), &scales, b_scale)
}

fn scale_target(b: &[f64]) -> (Vec<f64>, f64) {
    let scale = chunk::power_of_two_scale(b.iter().fold(0.0, |m: f64, v| m.max(v.abs())));
    (b.iter().map(|v| v / scale).collect(), scale)
}

struct Solved {
    x: Vec<f64>,
    path: Path,
    rank: usize,
    condition: f64,
    iterations: usize,
}

/// The answer in the units of the caller, with the evidence of the scaled problem.
fn report(
    solved: Solved,
    residual_norm: f64,
    gradient: &[f64],
    norm: f64,
    scales: &[f64],
    b_scale: f64,
) -> Result<LeastSquares, LinalgError> {
    let Solved { mut x, path, rank, condition, iterations } = solved;
    let scale = norm * residual_norm;
    for (x, s) in x.iter_mut().zip(scales) {
        let ratio = b_scale / s;
        *x = if ratio.is_normal() { *x * ratio } else { *x / s * b_scale };
        if !x.is_finite() {
            return Err(LinalgError::OutOfRange {
                argument: "scale of b over a column of a",
                value: ratio,
                allowed: "what leaves the solution finite",
            });
        }
    }
    Ok(LeastSquares {
        x,
        path,
        rank,
        condition,
        residual_norm: residual_norm * b_scale,
        residual_orthogonality: if scale > 0.0 { chunk::norm(gradient) / scale } else { 0.0 },
        iterations,
    })
}

/// Condition number up to which [`Method::Auto`] takes the Gram path.
fn gram_limit(n: usize, d: usize) -> f64 {
    let costs = predict(n, d);
    let refined = costs.gram + EXPECTED_REFINEMENTS * 2.0 * (n * d) as f64;
    if refined < costs.tsqr.min(costs.sketched).min(costs.preconditioned) {
        REFINED_CONDITION / (f64::EPSILON * d as f64).sqrt()
    } else {
        GRAM_CONDITION
    }
}

fn solve_dense(a: &Matrix, b: &[f64], method: Method) -> Result<Solved, LinalgError> {
    let (n, d) = (a.rows(), a.columns());
    if n >= d {
        if method == Method::Gram || (method == Method::Auto && !sample_is_ill_conditioned(a)?) {
            match by_gram(a, b, method)? {
                Some(solved) => return Ok(solved),
                None => debug_assert!(method == Method::Auto),
            }
        }
        let costs = predict(n, d);
        let best = costs.tsqr.min(costs.sketched).min(costs.preconditioned);
        let takes = |own: Method, cost: f64| method == own || (method == Method::Auto && cost == best && n >= 8 * d);
        if takes(Method::Preconditioned, costs.preconditioned)
            && let Some(solved) = by_preconditioned_gram(a, b)?
        {
            return Ok(solved);
        }
        if takes(Method::Sketched, costs.sketched)
            && let Some(solved) = dense_by_sketch(a, b)?
        {
            return Ok(solved);
        }
    }
    by_triangular(a, b)
}

/// Looks at up to a quarter of the rows before a Gram matrix is computed in vain: true when their condition, over the columns that
/// they fill, is already beyond what the Gram path takes. A hint only, in either direction.
fn sample_is_ill_conditioned(a: &Matrix) -> Result<bool, LinalgError> {
    let (n, d) = (a.rows(), a.columns());
    if n < 12 * d {
        return Ok(false);
    }
    let rows: Vec<usize> = (0..n).step_by((n / (4 * d)).clamp(4, 64)).collect();
    let sample = a.select_rows(&rows);
    let g = gram::gram(&sample, None, None)?.matrix;
    let filled: Vec<usize> = (0..d).filter(|&j| g[(j, j)] > 0.0).collect();
    let g = Matrix::from_fn(filled.len(), filled.len(), |i, j| g[(filled[i], filled[j])]);
    Ok(match factor::Cholesky::new(&g, 0.0) {
        // Fewer rows are somewhat worse conditioned.
        Ok(f) => gram_condition(&g, &f) > 4.0 * gram_limit(n, d),
        Err(_) => true,
    })
}

/// Condition of `A` from that of its Gram matrix.
fn gram_condition(g: &Matrix, f: &factor::Cholesky) -> f64 {
    let solve = |x: &mut [f64]| f.solve_in_place(x);
    factor::condition_estimate(factor::norm_1(g), g.rows(), solve, solve).sqrt()
}

fn by_gram(a: &Matrix, b: &[f64], method: Method) -> Result<Option<Solved>, LinalgError> {
    let d = a.columns();
    let g = gram::gram(a, None, Some(b))?;
    let factor = match factor::Cholesky::new(&g.matrix, 0.0) {
        Ok(f) => f,
        Err(_) if method == Method::Auto => return Ok(None),
        Err(e) => return Err(e),
    };
    let condition = gram_condition(&g.matrix, &factor);
    if method == Method::Auto && condition > gram_limit(a.rows(), d) {
        return Ok(None);
    }
    let mut x = g.right;
    factor.solve_in_place(&mut x);
    let limit = if condition <= GRAM_CONDITION { 1 } else { REFINEMENTS };
    let norm = factor::norm_1(&g.matrix).sqrt();
    match refine(a, b, &mut x, (condition, norm), limit, |x| factor.solve_in_place(x)) {
        Some(iterations) => Ok(Some(Solved { x, path: Path::Gram, rank: d, condition, iterations })),
        None if method == Method::Auto => Ok(None),
        None => Err(LinalgError::NoConvergence { method: "refinement of the normal equations" }),
    }
}

/// Steps with the gradient of the residual, until rounding is all that is left of them; their number, or none when they do
/// not come that far. `condition` and `norm` are those of `a`.
fn refine(
    a: &Matrix,
    b: &[f64],
    x: &mut [f64],
    (condition, norm): (f64, f64),
    limit: usize,
    solve: impl Fn(&mut [f64]),
) -> Option<usize> {
    let mut correction = vec![0.0; x.len()];
    let mut before = f64::INFINITY;
    for iterations in 1.. {
        let residual = a.residual_and_gradient(x, b, &mut correction);
        solve(&mut correction);
        chunk::axpy(1.0, &correction, x);
        let (step, size) = (chunk::norm(&correction), chunk::norm(x));
        if iterations >= limit || step <= f64::EPSILON * size || step.is_nan() || step > 0.25 * before {
            // Rounding of a backward stable method: what does not come that far is not the minimiser.
            let rounding = f64::EPSILON * condition * (size + condition * residual / norm);
            return (limit == 1 || step <= rounding).then_some(iterations);
        }
        before = step;
    }
    None
}

/// The triangular factor of a sketch preconditions the rows, whose Gram matrix is then nearly the identity.
fn by_preconditioned_gram(a: &Matrix, b: &[f64]) -> Result<Option<Solved>, LinalgError> {
    let (n, d) = (a.rows(), a.columns());
    if n < 8 * d {
        return Ok(None);
    }
    let sketch = Sketch::new(Kind::SparseSign, (SKETCH_ROWS * d).max(16), SKETCH_SEED)?;
    let r = tsqr::tsqr(&sketch.apply(a)?).r;
    if (0..d).any(|j| r[(j, j)] == 0.0) {
        return Ok(None);
    }
    let condition = triangular_condition(&r);
    if condition.is_nan() || condition > PRECONDITIONED_CONDITION {
        return Ok(None);
    }
    let inverse = factor::invert_upper(&r);
    let gram = leverage::gram_of_product(a.into(), None, &inverse)?;
    let Ok(factor) = factor::Cholesky::new(&gram, 0.0) else { return Ok(None) };
    // Four times as many rows as columns leave a condition of about three.
    if gram_condition(&gram, &factor) > 100.0 {
        return Ok(None);
    }
    let solve = |x: &mut [f64]| {
        factor::solve_upper_transpose_in_place(&r, x);
        factor.solve_in_place(x);
        factor::solve_upper_in_place(&r, x);
    };
    let mut x = vec![0.0; d];
    let found = refine(a, b, &mut x, (condition, a.norm()), REFINEMENTS, solve);
    Ok(found.map(|iterations| Solved { x, path: Path::Preconditioned, rank: d, condition, iterations }))
}

fn dense_by_sketch(a: &Matrix, b: &[f64]) -> Result<Option<Solved>, LinalgError> {
    let (n, d) = (a.rows(), a.columns());
    if n < 8 * d {
        return Ok(None);
    }
    let sketch = Sketch::new(Kind::SparseSign, (SKETCH_ROWS * d).max(16), SKETCH_SEED)?;
    let column = Matrix::from_vec(n, 1, b.to_vec())?;
    by_sketch(a, &sketch.apply(a)?, &sketch.apply(&column)?, b, &mut ())
}

/// `A R⁻¹`.
struct Preconditioned<'a> {
    a: &'a dyn LinearOperator,
    r: &'a Matrix,
}

impl LinearOperator for Preconditioned<'_> {
    fn shape(&self) -> (usize, usize) {
        self.a.shape()
    }
    fn apply_into(&self, x: &[f64], y: &mut [f64]) {
        let mut t = x.to_vec();
        factor::solve_upper_in_place(self.r, &mut t);
        self.a.apply_into(&t, y);
    }
    fn apply_transpose_into(&self, x: &[f64], y: &mut [f64]) {
        self.a.apply_transpose_into(x, y);
        factor::solve_upper_transpose_in_place(self.r, y);
    }
}

/// The answer of the sketched problem, then LSQR on what is left of `b`, twice: the second round removes the rounding that
/// the preconditioner amplified in the first.
fn by_sketch(
    a: &dyn LinearOperator,
    sketched_a: &Matrix,
    sketched_b: &Matrix,
    b: &[f64],
    observer: &mut dyn Observer,
) -> Result<Option<Solved>, LinalgError> {
    let (n, d) = a.shape();
    let joined =
        Matrix::from_fn(sketched_a.rows(), d + 1, |i, j| if j < d { sketched_a[(i, j)] } else { sketched_b[(i, 0)] });
    let whole = tsqr::tsqr(&joined).r;
    let r = Matrix::from_fn(d, d, |i, j| whole[(i, j)]);
    if (0..d).any(|j| r[(j, j)] == 0.0) {
        return Ok(None);
    }
    let condition = triangular_condition(&r);
    if condition.is_nan() || condition > SKETCH_CONDITION {
        return Ok(None);
    }
    let mut x: Vec<f64> = (0..d).map(|i| whole[(i, d)]).collect();
    factor::solve_upper_in_place(&r, &mut x);
    let operator = Preconditioned { a, r: &r };
    let mut residual = vec![0.0; n];
    let mut iterations = 0;
    for (tolerance, max_iterations) in [(1e-8, 100), (1e-15, SECOND_ROUND)] {
        a.apply_into(&x, &mut residual);
        residual.iter_mut().zip(b).for_each(|(r, b)| *r = b - *r);
        let options = KrylovOptions { tolerance, max_iterations, ..KrylovOptions::default() };
        let fit = krylov::lsqr(&operator, &residual, &options, observer)?;
        iterations += fit.iterations;
        if fit.status == Status::Cancelled {
            return Err(LinalgError::Cancelled);
        }
        if fit.status == Status::NotFinite {
            return Err(LinalgError::NoConvergence { method: "preconditioned LSQR" });
        }
        if fit.status == Status::Limit && max_iterations > SECOND_ROUND {
            return Ok(None);
        }
        let mut step = fit.x;
        factor::solve_upper_in_place(&r, &mut step);
        chunk::axpy(1.0, &step, &mut x);
    }
    Ok(Some(Solved { x, path: Path::Sketched, rank: d, condition, iterations }))
}

fn triangular_condition(r: &Matrix) -> f64 {
    factor::condition_estimate(
        factor::norm_1(r),
        r.rows(),
        |x| factor::solve_upper_in_place(r, x),
        |x| factor::solve_upper_transpose_in_place(r, x),
    )
}

fn by_triangular(a: &Matrix, b: &[f64]) -> Result<Solved, LinalgError> {
    let (n, d) = (a.rows(), a.columns());
    // Rounding of the factorisation, which grows like √n.
    let mut relative = f64::EPSILON * (8.0 + (n.max(d) as f64).sqrt());
    let (svd, right) = if n >= d {
        let mut joined = Matrix::try_zeros(n, d + 1)?;
        for ((row, source), &b) in
            joined.as_mut_slice().chunks_exact_mut(d + 1).zip(a.as_slice().chunks_exact(d)).zip(b)
        {
            row[..d].copy_from_slice(source);
            row[d] = b;
        }
        let r = tsqr::tsqr(&joined).r;
        let square = Matrix::from_fn(d, d, |i, j| r[(i, j)]);
        let right = r.copy_column(d)[..d].to_vec();
        if d > SVD_COLUMNS && (0..d).all(|j| square[(j, j)] != 0.0) {
            let condition = triangular_condition(&square);
            if condition < SVD_CONDITION {
                let mut x = right;
                factor::solve_upper_in_place(&square, &mut x);
                return Ok(Solved { x, path: Path::Tsqr, rank: d, condition, iterations: 0 });
            }
        }
        // faer drops what is left of a column below 16·rows·ε; the rows of R then move up and its last pivot vanishes.
        let skipped = 16.0 * (d + 1 + tsqr::careful_chunk(d + 1)) as f64 * f64::EPSILON;
        if square[(d - 1, d - 1)].abs() <= skipped * chunk::norm(&square.copy_column(d - 1)) {
            relative = skipped;
        }
        (factor::dense_svd(&square)?, right)
    } else {
        (factor::dense_svd(a)?, b.to_vec())
    };
    let top = svd.s.first().copied().unwrap_or(0.0);
    let tolerance = top * relative;
    let rank = svd.s.iter().filter(|&&s| s > tolerance).count();
    let mut x = vec![0.0; d];
    for j in 0..rank {
        let coefficient = chunk::dot(&svd.u.copy_column(j), &right) / svd.s[j];
        chunk::axpy(coefficient, &svd.v.copy_column(j), &mut x);
    }
    let condition = if rank == 0 { 1.0 } else { top / svd.s[rank - 1] };
    let path = if rank == d { Path::Tsqr } else { Path::MinimumNorm };
    Ok(Solved { x, path, rank, condition, iterations: 0 })
}
