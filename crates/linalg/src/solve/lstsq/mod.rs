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
mod dense;
mod problem;
mod sketched;

use crate::krylov::{self, KrylovOptions, Status};
use crate::operator::LinearOperator;
use crate::sketch::{Kind, Sketch};
use crate::{CsrMatrix, LinalgError, Matrix, Observer, factor, sums};

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
    /// Singular values, rank deficient: the answer of least norm, after columns are scaled to a root mean square of 0.7 to 1.4.
    MinimumNorm,
    /// LSQR without a preconditioner: tends to the same answer of least norm. Rank and condition are not
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
    /// Number of directions that are told apart from rounding.
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

/// Rows of the sketch per column: LSQR then gains a digit in 3.3 steps.
const SKETCH_ROWS: usize = 4;
/// Columns up to which a sparse matrix is given a dense preconditioner: 134 MB of sketch, and 7e10 operations to factor it.
const SKETCH_COLUMNS: usize = 2048;
/// Seed of the sketch: the answer does not depend on it beyond rounding.
const SKETCH_SEED: u64 = 0x006c_7374_7371;
/// Columns up to which the singular values of R are always taken.
const SVD_COLUMNS: usize = 64;

/// Predicted nanoseconds of the four paths for a dense `n × d` matrix, one thread; fitted to
/// `cargo bench --bench least_squares`. Only their ratios matter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Predicted {
    /// Gram + Cholesky.
    pub gram: f64,
    /// Nanoseconds by TSQR.
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
    // Singular values of small factors are always taken. Those of larger ones cost 0.9 d³, and are taken where the
    // condition asks for it: counted as six times in ten.
    let small_triangle = if d <= SVD_COLUMNS as f64 { 400.0 * d * d + 0.7 * d * d * d } else { 0.54 * d * d * d };
    // Passes over memory, then operations per entry; the small triangle last.
    Predicted {
        gram: entries * (4.5 + 0.035 * d) + 0.1 * d * d * d,
        tsqr: entries * (9.0 + 0.14 * d) + small_triangle + 4e4,
        // The sketch and about 40 steps of two products each, which stream through memory, and the factor of 4d rows.
        sketched: sketches(entries * 90.0 + 1.5 * d * d * d),
        preconditioned: sketches(entries * (9.0 + 0.075 * d) + 160.0 * rows + 1.3 * d * d * d + 1e5),
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
    least_squares_observed(a, b, method, &mut ())
}

/// [`least_squares`] with cancellation: the Gram matrices and LSQR ask the observer, a sketch and a triangular factor are
/// made between two looks.
///
/// # Errors
/// As [`least_squares`]; [`LinalgError::Interrupted`] when the observer asks to stop.
pub fn least_squares_observed(
    a: &Matrix,
    b: &[f64],
    method: Method,
    observer: &mut dyn Observer,
) -> Result<LeastSquares, LinalgError> {
    let (n, d) = (a.rows(), a.columns());
    krylov::check_system((n, d), b)?;
    if n < d && method == Method::Gram {
        a.check_finite("a")?;
        return Err(LinalgError::NotPositiveDefinite { pivot: n, value: 0.0 });
    }
    let (problem, solved) = dense::solve(a, b, method, observer)?;
    let mut gradient = vec![0.0; d];
    let residual = problem.residual_and_gradient(&solved.x, &mut gradient);
    report(solved, residual, &gradient, problem.norm, &problem.given_scales, problem.b_scale)
}

/// Solves `min ‖A x − b‖₂` for a sparse `A` by sketching and LSQR (row LA-3): `O(nnz)` per step and no fill-in beyond a
/// sketch of `4d × d`. Plain LSQR, which tends to the answer of least norm, when `A` is rank deficient, `n < 8d` or
/// `d > 2048`.
///
/// # Errors
/// As [`least_squares`]; [`LinalgError::NoConvergence`] when LSQR meets its limit of 10,000 steps before `‖Aᵀr‖ ≤ 1e-10·‖A‖·‖r‖`.
pub fn sparse_least_squares(a: &CsrMatrix, b: &[f64]) -> Result<LeastSquares, LinalgError> {
    sparse_least_squares_observed(a, b, &mut ())
}

/// [`sparse_least_squares`] with progress and cancellation.
///
/// # Errors
/// As [`sparse_least_squares`]; [`LinalgError::Interrupted`] when the observer asks to stop: what there is then does not
/// minimise yet.
pub fn sparse_least_squares_observed(
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
    let mut scales: Vec<f64> = largest.iter().map(|&m| sums::power_of_two_scale(m)).collect();
    let mut squares = vec![0.0; d];
    for (_, j, v) in a.iter() {
        squares[j] += (v / scales[j]).powi(2);
    }
    scales.iter_mut().zip(&squares).for_each(|(s, q)| *s *= problem::column_scale(*q, n));
    let mut scaled = a.clone();
    scaled.values_mut().iter_mut().zip(a.indices()).for_each(|(v, &j)| *v /= scales[j as usize]);
    let (target, b_scale) = scale_target(b);
    let preconditioned = if n >= 8 * d && d <= SKETCH_COLUMNS {
        let sketch = Sketch::new(Kind::SparseSign, (SKETCH_ROWS * d).max(16), SKETCH_SEED)?;
        let column = Matrix::from_vec(n, 1, target.clone())?;
        sketched::by_sketch(&scaled, &sketch.apply_csr(&scaled)?, &sketch.apply(&column)?, &target, observer)?
    } else {
        None
    };
    let solved = if let Some(solved) = preconditioned {
        solved
    } else {
        let options = KrylovOptions { tolerance: 1e-13, max_iterations: 10_000, ..KrylovOptions::default() };
        let fit = krylov::lsqr_observed(&scaled, &target, &options, observer)?;
        if fit.status == Status::Interrupted {
            return Err(LinalgError::Interrupted);
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
    report(solved, sums::norm(&residual), &gradient, scaled.frobenius_norm(), &scales, b_scale)
}

fn scale_target(b: &[f64]) -> (Vec<f64>, f64) {
    let scale = sums::power_of_two_scale(b.iter().fold(0.0, |m: f64, v| m.max(v.abs())));
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
        residual_orthogonality: if scale > 0.0 { sums::norm(gradient) / scale } else { 0.0 },
        iterations,
    })
}

fn triangular_condition(r: &Matrix) -> f64 {
    factor::condition_estimate(
        factor::norm_1(r),
        r.rows(),
        |x| factor::solve_upper_in_place(r, x),
        |x| factor::solve_upper_transpose_in_place(r, x),
    )
}
