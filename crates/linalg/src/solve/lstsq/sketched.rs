//! LSQR, preconditioned by the triangular factor of a sketch.
use super::{Path, Solved, triangular_condition};
use crate::krylov::{self, KrylovOptions, Status};
use crate::operator::LinearOperator;
use crate::{LinalgError, Matrix, Observer, Rows, factor, sums, tsqr};

/// Beyond this the triangular factor of a sketch is no preconditioner.
const SKETCH_CONDITION: f64 = 1e14;
/// Steps of LSQR that gain the second eight digits.
const SECOND_ROUND: usize = 24;

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
pub(super) fn by_sketch(
    a: &dyn LinearOperator,
    sketched_a: &Matrix,
    sketched_b: &Matrix,
    b: &[f64],
    observer: &mut dyn Observer,
) -> Result<Option<Solved>, LinalgError> {
    let (n, d) = a.shape();
    let whole = tsqr::tsqr_of_rows(Rows::Joined(sketched_a.view(), sketched_b.as_slice())).r;
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
        let fit = krylov::lsqr_observed(&operator, &residual, &options, observer)?;
        iterations += fit.iterations;
        if fit.status == Status::Interrupted {
            return Err(LinalgError::Interrupted);
        }
        if fit.status == Status::NotFinite {
            return Err(LinalgError::NoConvergence { method: "preconditioned LSQR" });
        }
        if fit.status == Status::Limit && max_iterations > SECOND_ROUND {
            return Ok(None);
        }
        let mut step = fit.x;
        factor::solve_upper_in_place(&r, &mut step);
        sums::axpy(1.0, &step, &mut x);
    }
    Ok(Some(Solved { x, path: Path::Sketched, rank: d, condition, iterations }))
}
