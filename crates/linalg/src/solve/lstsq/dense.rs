//! The paths of a dense problem, and which of them [`Method::Auto`] takes.
use super::problem::Problem;
use super::sketched::by_sketch;
use super::{Method, Path, SKETCH_ROWS, SKETCH_SEED, SVD_COLUMNS, Solved, predict, triangular_condition};
use crate::gram::{self, Gram};
use crate::operator::LinearOperator;
use crate::sketch::{Kind, Sketch};
use crate::{LinalgError, Matrix, Observer, factor, leverage, sums, tsqr};

/// Condition number up to which one step of refinement finishes the Gram path: error about `ε·cond² < 1e-8` before it.
const GRAM_CONDITION: f64 = 1e4;
/// Up to this over `√(ε·d)` a few steps do, each gaining a factor of `1/(ε·cond²)`; taken where that is cheaper than the other paths.
/// Not much higher a Gram matrix cannot tell one condition from another.
const REFINED_CONDITION: f64 = 0.5;
/// Steps of refinement at most, and how many the cost model expects.
const REFINEMENTS: usize = 8;
const EXPECTED_REFINEMENTS: f64 = 2.0;
/// The same for normal equations: their preconditioned rows are off by `ε·cond`, which refinement has to make up for.
const PRECONDITIONED_CONDITION: f64 = 1e11;
/// Golden section of the unit interval.
const GOLDEN: f64 = 0.618_033_988_749_894_9;
/// Condition from which the singular values of R are taken, however many they are.
const SVD_CONDITION: f64 = 1e10;

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

/// The answer, and the problem that it is measured on.
pub(super) fn solve<'a>(
    a: &'a Matrix,
    b: &[f64],
    method: Method,
    observer: &mut dyn Observer,
) -> Result<(Problem<'a>, Solved), LinalgError> {
    let (n, d) = (a.rows(), a.columns());
    if n >= d && (method == Method::Gram || (method == Method::Auto && !sample_is_ill_conditioned(a)?)) {
        let (problem, gram) = Problem::with_gram(a, b, observer)?;
        return match by_gram(&problem, gram, method)? {
            Some(solved) => Ok((problem, solved)),
            None => solve_otherwise(&problem, method, observer).map(|solved| (problem, solved)),
        };
    }
    let problem = Problem::new(a, b)?;
    solve_otherwise(&problem, method, observer).map(|solved| (problem, solved))
}

/// Without a Gram matrix of the rows themselves.
fn solve_otherwise(a: &Problem<'_>, method: Method, observer: &mut dyn Observer) -> Result<Solved, LinalgError> {
    let (n, d) = a.shape();
    if n >= d {
        let costs = predict(n, d);
        let best = costs.tsqr.min(costs.sketched).min(costs.preconditioned);
        let takes = |own: Method, cost: f64| method == own || (method == Method::Auto && cost == best && n >= 8 * d);
        if takes(Method::Preconditioned, costs.preconditioned)
            && let Some(solved) = by_preconditioned_gram(a, observer)?
        {
            return Ok(solved);
        }
        if takes(Method::Sketched, costs.sketched)
            && let Some(solved) = dense_by_sketch(a, observer)?
        {
            return Ok(solved);
        }
    }
    by_triangular(a)
}

/// Looks at a few rows before a Gram matrix is computed in vain: true when their condition, over the columns that they fill,
/// is already beyond what the Gram path takes. A hint only, in either direction.
fn sample_is_ill_conditioned(a: &Matrix) -> Result<bool, LinalgError> {
    let (n, d) = (a.rows(), a.columns());
    if n < 12 * d {
        return Ok(false);
    }
    // A fifth more rows than columns leave the last pivots half of what they are, no less; more where they are cheap.
    let count = (n / 10).min(2 * d).max(n / 64);
    // Steps of the golden section meet no period of the rows.
    let mut rows: Vec<usize> = (0..count).map(|k| ((k as f64 * GOLDEN).fract() * n as f64) as usize).collect();
    rows.sort_unstable();
    let sample = a.select_rows(&rows);
    let sample = leverage::scale_columns(&sample, &leverage::column_scales(&sample));
    let g = gram::gram(&sample, None, None)?.matrix;
    let filled: Vec<usize> = (0..d).filter(|&j| g[(j, j)] != 0.0).collect();
    let mut cosines = if filled.len() == d {
        g
    } else {
        Matrix::from_fn(filled.len(), filled.len(), |i, j| g[(filled[i], filled[j])])
    };
    let roots: Vec<f64> = (0..filled.len()).map(|i| 1.0 / cosines[(i, i)].sqrt()).collect();
    for (i, r) in roots.iter().enumerate() {
        cosines.row_mut(i).iter_mut().zip(&roots).for_each(|(v, s)| *v *= r * s);
    }
    Ok(factor::Cholesky::attempt(&cosines, 0.0).is_none_or(|f| f.condition_at_least().sqrt() > gram_limit(n, d)))
}

/// Condition of `A` from that of its Gram matrix.
fn gram_condition(g: &Matrix, f: &factor::Cholesky) -> f64 {
    let solve = |x: &mut [f64]| f.solve_in_place(x);
    factor::condition_estimate(factor::norm_1(g), g.rows(), solve, solve).sqrt()
}

fn by_gram(a: &Problem<'_>, g: Gram, method: Method) -> Result<Option<Solved>, LinalgError> {
    let (n, d) = a.shape();
    let factor = match factor::Cholesky::attempt(&g.matrix, 0.0) {
        Some(f) => f,
        None if method == Method::Auto => return Ok(None),
        None => factor::Cholesky::new(&g.matrix, 0.0)?,
    };
    let condition = gram_condition(&g.matrix, &factor);
    if method == Method::Auto && condition > gram_limit(n, d) {
        return Ok(None);
    }
    let mut x = g.right;
    factor.solve_in_place(&mut x);
    let limit = if condition <= GRAM_CONDITION { 1 } else { REFINEMENTS };
    let norm = factor::norm_1(&g.matrix).sqrt();
    match refine(a, &mut x, (condition, norm), limit, |x| factor.solve_in_place(x)) {
        Some(iterations) => Ok(Some(Solved { x, path: Path::Gram, rank: d, condition, iterations })),
        None if method == Method::Auto => Ok(None),
        None => Err(LinalgError::NoConvergence { method: "refinement of the normal equations" }),
    }
}

/// Steps with the gradient of the residual, until rounding is all that is left of them; their number, or none when they do
/// not come that far. `condition` and `norm` are those of `a`.
fn refine(
    a: &Problem<'_>,
    x: &mut [f64],
    (condition, norm): (f64, f64),
    limit: usize,
    solve: impl Fn(&mut [f64]),
) -> Option<usize> {
    let mut correction = vec![0.0; x.len()];
    let mut before = f64::INFINITY;
    for iterations in 1.. {
        let residual = a.residual_and_gradient(x, &mut correction);
        solve(&mut correction);
        sums::axpy(1.0, &correction, x);
        let (step, size) = (sums::norm(&correction), sums::norm(x));
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
fn by_preconditioned_gram(a: &Problem<'_>, observer: &mut dyn Observer) -> Result<Option<Solved>, LinalgError> {
    let (n, d) = a.shape();
    if n < 8 * d {
        return Ok(None);
    }
    let sketch = Sketch::new(Kind::SparseSign, (SKETCH_ROWS * d).max(16), SKETCH_SEED)?;
    let r = tsqr::tsqr_of_rows((&a.sketch(&sketch)?.0).into()).r;
    if (0..d).any(|j| r[(j, j)] == 0.0) {
        return Ok(None);
    }
    let condition = triangular_condition(&r);
    if condition.is_nan() || condition > PRECONDITIONED_CONDITION {
        return Ok(None);
    }
    let inverse = factor::invert_upper(&r);
    let gram = a.gram_of_product(&inverse, observer)?;
    let Some(factor) = factor::Cholesky::attempt(&gram, 0.0) else { return Ok(None) };
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
    let found = refine(a, &mut x, (condition, a.norm), REFINEMENTS, solve);
    Ok(found.map(|iterations| Solved { x, path: Path::Preconditioned, rank: d, condition, iterations }))
}

fn dense_by_sketch(a: &Problem<'_>, observer: &mut dyn Observer) -> Result<Option<Solved>, LinalgError> {
    let (n, d) = a.shape();
    if n < 8 * d {
        return Ok(None);
    }
    let sketch = Sketch::new(Kind::SparseSign, (SKETCH_ROWS * d).max(16), SKETCH_SEED)?;
    let (rows, target) = a.sketch(&sketch)?;
    by_sketch(a, &rows, &target, &a.b, observer)
}

fn by_triangular(a: &Problem<'_>) -> Result<Solved, LinalgError> {
    let (n, d) = a.shape();
    // Rounding of the factorisation, which grows like √n.
    let mut relative = f64::EPSILON * (8.0 + (n.max(d) as f64).sqrt());
    let (svd, right) = if n >= d {
        let r = a.triangular();
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
        // Where a column was skipped, the rows of R moved up and its last pivot vanished.
        let skipped = tsqr::skipped_below(d + 1 + tsqr::careful_chunk(d + 1));
        if square[(d - 1, d - 1)].abs() <= skipped * sums::norm(&square.copy_column(d - 1)) {
            relative = skipped;
        }
        (factor::dense_svd(&square)?, right)
    } else {
        (factor::dense_svd(&a.table())?, a.b.clone())
    };
    let top = svd.s.first().copied().unwrap_or(0.0);
    let tolerance = top * relative;
    let rank = svd.s.iter().filter(|&&s| s > tolerance).count();
    let mut x = vec![0.0; d];
    for j in 0..rank {
        let coefficient = sums::dot(&svd.u.copy_column(j), &right) / svd.s[j];
        sums::axpy(coefficient, &svd.v.copy_column(j), &mut x);
    }
    let condition = if rank == 0 { 1.0 } else { top / svd.s[rank - 1] };
    let path = if rank == d { Path::Tsqr } else { Path::MinimumNorm };
    Ok(Solved { x, path, rank, condition, iterations: 0 })
}
