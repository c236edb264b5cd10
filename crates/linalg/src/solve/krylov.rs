//! Iterative solvers with limits, observers and the true residual at the end: conjugate gradients for positive
//! semidefinite systems, LSQR and LSMR for least squares with any [`LinearOperator`].

use crate::{Ending, LinalgError, LinearOperator, Observer, Progress, sums};

/// How a conjugate-gradient run ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CgReport {
    /// Number of steps that were taken.
    pub iterations: usize,
    /// `‖b − A x‖ / ‖b‖`, recomputed at the end.
    pub relative_residual: f64,
    /// True when the relative residual is finite and at most twice the tolerance: rounding lets the recursive residual,
    /// which decides when to stop, run ahead of the true one by a small factor.
    pub converged: bool,
}

/// Solves `A x = b` for a symmetric positive semidefinite `A`, starting from the `x` given.
///
/// Stops at `‖b − A x‖ ≤ tolerance·‖b‖` or after `max_iterations`, which is never unlimited.
pub fn conjugate_gradient(
    mut apply: impl FnMut(&[f64], &mut [f64]),
    b: &[f64],
    x: &mut [f64],
    tolerance: f64,
    max_iterations: usize,
) -> CgReport {
    let n = b.len();
    let norm_b = sums::norm(b);
    if norm_b == 0.0 {
        x.fill(0.0);
        return CgReport { iterations: 0, relative_residual: 0.0, converged: true };
    }
    let mut ax = vec![0.0; n];
    apply(x, &mut ax);
    let mut r: Vec<f64> = b.iter().zip(&ax).map(|(b, a)| b - a).collect();
    let mut p = r.clone();
    let mut rr = sums::dot(&r, &r);
    let mut iterations = 0;
    // A residual that overflows, or is not a number, cannot be worked on.
    while iterations < max_iterations && rr.is_finite() && rr.sqrt() > tolerance * norm_b {
        apply(&p, &mut ax);
        let curvature = sums::dot(&p, &ax);
        if curvature.is_nan() || curvature <= 0.0 {
            break; // direction in the null space: x is as good as it gets
        }
        let step = rr / curvature;
        sums::axpy(step, &p, x);
        sums::axpy(-step, &ax, &mut r);
        let next = sums::dot(&r, &r);
        let beta = next / rr;
        rr = next;
        p.iter_mut().zip(&r).for_each(|(p, r)| *p = r + beta * *p);
        iterations += 1;
    }
    apply(x, &mut ax);
    let residual: Vec<f64> = b.iter().zip(&ax).map(|(b, a)| b - a).collect();
    let relative_residual = sums::norm(&residual) / norm_b;
    CgReport { iterations, relative_residual, converged: relative_residual <= 2.0 * tolerance }
}

/// Settings of [`lsqr`] and [`lsmr`].
#[derive(Clone, Debug, PartialEq)]
pub struct KrylovOptions {
    /// Stop at `‖Aᵀr‖ ≤ tolerance·‖A‖·‖r‖` or `‖r‖ ≤ tolerance·‖b‖`. Default 1e-12; below about 1e-15 the limit is met.
    pub tolerance: f64,
    /// Most steps. Default 1,000; never unlimited.
    pub max_iterations: usize,
    /// `λ` of `min ‖A x − b‖² + λ²‖x‖²`. Default 0.
    pub damping: f64,
}

impl Default for KrylovOptions {
    fn default() -> Self {
        Self { tolerance: 1e-12, max_iterations: 1000, damping: 0.0 }
    }
}

/// Why an iteration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The tolerance was met.
    Converged,
    /// The limit of steps was met; the answer is the best so far.
    Limit,
    /// The observer asked to stop; the answer is the best so far.
    Interrupted,
    /// A product with the operator overflowed or was not a number; the answer is the last finite one.
    NotFinite,
}

/// An iterative least-squares answer with its evidence.
#[derive(Clone, Debug)]
pub struct KrylovFit {
    /// The minimiser; of least norm when several exist and `λ = 0`.
    pub x: Vec<f64>,
    /// Steps taken: one product with `A` and one with `Aᵀ` each.
    pub iterations: usize,
    /// Why it ended.
    pub status: Status,
    /// `‖b − A x‖`, computed anew at the end.
    pub residual_norm: f64,
    /// `‖Aᵀr − λ²x‖ / (‖A‖·‖r‖)`, computed anew; `‖A‖` is the Frobenius norm of the part of `A` that was seen.
    /// 1, its upper bound, when that norm left the range of numbers.
    pub residual_orthogonality: f64,
}

impl KrylovFit {
    /// Whether the tolerance was met.
    pub fn converged(&self) -> bool {
        self.status == Status::Converged
    }

    /// How the iteration ended.
    pub fn ending(&self) -> Ending {
        match self.status {
            Status::Converged | Status::NotFinite => Ending::Finished,
            Status::Limit => Ending::Limit,
            Status::Interrupted => Ending::Interrupted,
        }
    }
}

/// Golub–Kahan bidiagonalisation: `u`, `v` with `A v = α u + β u'`.
struct Bidiagonal<'a> {
    a: &'a dyn LinearOperator,
    u: Vec<f64>,
    v: Vec<f64>,
    alpha: f64,
    beta: f64,
    norm_squared: f64,
    product_m: Vec<f64>,
    product_n: Vec<f64>,
}

impl<'a> Bidiagonal<'a> {
    fn new(a: &'a dyn LinearOperator, b: &[f64]) -> Self {
        let (m, n) = a.shape();
        let mut this = Self {
            a,
            u: b.to_vec(),
            v: vec![0.0; n],
            alpha: 0.0,
            beta: sums::norm(b),
            norm_squared: 0.0,
            product_m: vec![0.0; m],
            product_n: vec![0.0; n],
        };
        normalise(&mut this.u, this.beta);
        a.apply_transpose_into(&this.u, &mut this.v);
        this.alpha = sums::norm(&this.v);
        normalise(&mut this.v, this.alpha);
        this.norm_squared = this.alpha * this.alpha;
        this
    }

    /// One more column; false when the numbers are no longer finite.
    fn step(&mut self) -> bool {
        self.a.apply_into(&self.v, &mut self.product_m);
        self.u.iter_mut().zip(&self.product_m).for_each(|(u, p)| *u = p - self.alpha * *u);
        self.beta = sums::norm(&self.u);
        normalise(&mut self.u, self.beta);
        self.a.apply_transpose_into(&self.u, &mut self.product_n);
        self.v.iter_mut().zip(&self.product_n).for_each(|(v, p)| *v = p - self.beta * *v);
        self.alpha = sums::norm(&self.v);
        normalise(&mut self.v, self.alpha);
        self.norm_squared += self.alpha * self.alpha + self.beta * self.beta;
        self.norm_squared.is_finite()
    }
}

fn normalise(x: &mut [f64], norm: f64) {
    if norm > 0.0 {
        x.iter_mut().for_each(|v| *v /= norm);
    }
}

/// The checks that every least-squares problem needs: something to solve, and a right-hand side of numbers that fits.
pub(crate) fn check_system((m, n): (usize, usize), b: &[f64]) -> Result<(), LinalgError> {
    if m == 0 || n == 0 {
        return Err(LinalgError::Empty { argument: "a" });
    }
    if b.len() != m {
        return Err(LinalgError::Length { argument: "b", given: b.len(), expected: m });
    }
    if let Some(row) = b.iter().position(|v| !v.is_finite()) {
        return Err(LinalgError::NotFinite { argument: "b", row, column: 0, value: b[row] });
    }
    Ok(())
}

fn check(a: &dyn LinearOperator, b: &[f64], options: &KrylovOptions) -> Result<(), LinalgError> {
    check_system(a.shape(), b)?;
    for (argument, value) in [("tolerance", options.tolerance), ("damping", options.damping)] {
        if !(value.is_finite() && value >= 0.0) {
            return Err(LinalgError::OutOfRange { argument, value, allowed: "finite and at least 0" });
        }
    }
    Ok(())
}

/// Tells the observer, and says whether it asks to stop.
fn stopped(observer: &mut dyn Observer, stage: &'static str, step: usize, options: &KrylovOptions, value: f64) -> bool {
    let progress = Progress { stage, step, total: Some(options.max_iterations), value: Some(value) };
    observer.step(progress).is_break()
}

/// The evidence, computed from the answer alone.
fn finish(
    a: &dyn LinearOperator,
    b: &[f64],
    x: Vec<f64>,
    iterations: usize,
    status: Status,
    norm: f64,
    damping: f64,
) -> Result<KrylovFit, LinalgError> {
    let (m, n) = a.shape();
    let (mut residual, mut gradient) = (vec![0.0; m], vec![0.0; n]);
    a.apply_into(&x, &mut residual);
    residual.iter_mut().zip(b).for_each(|(r, b)| *r = b - *r);
    a.apply_transpose_into(&residual, &mut gradient);
    sums::axpy(-damping * damping, &x, &mut gradient);
    let residual_norm = sums::norm(&residual);
    let scale = norm * residual_norm;
    let gradient_norm = sums::norm(&gradient);
    if !(residual_norm.is_finite() && gradient_norm.is_finite()) {
        return Err(LinalgError::OutOfRange {
            argument: "products with a",
            value: gradient_norm,
            allowed: "finite numbers; scale a and b",
        });
    }
    let residual_orthogonality = match scale {
        s if !s.is_finite() => 1.0,
        s if s > 0.0 => gradient_norm / s,
        _ => 0.0,
    };
    Ok(KrylovFit { x, iterations, status, residual_norm, residual_orthogonality })
}

/// `min ‖A x − b‖² + λ²‖x‖²` by LSQR (row LA-11; Paige and Saunders 1982). `‖r‖` falls at every step.
///
/// ```
/// use samplewise_linalg::{Matrix, krylov::{KrylovOptions, lsqr}};
/// let a = Matrix::from_vec(3, 2, vec![1.0, 0.0, 1.0, 1.0, 1.0, 2.0])?;
/// let fit = lsqr(&a, &[1.0, 3.0, 5.0], &KrylovOptions::default())?;
/// assert!((fit.x[0] - 1.0).abs() < 1e-12 && (fit.x[1] - 2.0).abs() < 1e-12);
/// # Ok::<(), samplewise_linalg::LinalgError>(())
/// ```
///
/// # Errors
/// [`LinalgError::Empty`], [`LinalgError::Length`], [`LinalgError::NotFinite`], [`LinalgError::OutOfRange`].
pub fn lsqr(a: &dyn LinearOperator, b: &[f64], options: &KrylovOptions) -> Result<KrylovFit, LinalgError> {
    lsqr_observed(a, b, options, &mut ())
}

/// [`lsqr`] with progress and cancellation; when stopped, the best answer so far.
///
/// # Errors
/// As [`lsqr`].
pub fn lsqr_observed(
    a: &dyn LinearOperator,
    b: &[f64],
    options: &KrylovOptions,
    observer: &mut dyn Observer,
) -> Result<KrylovFit, LinalgError> {
    check(a, b, options)?;
    let mut bd = Bidiagonal::new(a, b);
    let mut x = vec![0.0; a.shape().1];
    let mut w = bd.v.clone();
    let (norm_b, damping) = (bd.beta, options.damping);
    let (mut phi_bar, mut rho_bar) = (bd.beta, bd.alpha);
    let mut iterations = 0;
    // b = 0, or b orthogonal to the range: zero is the answer.
    let mut status = if bd.alpha == 0.0 { Status::Converged } else { Status::Limit };
    if !bd.alpha.is_finite() {
        status = Status::NotFinite;
    }
    while status == Status::Limit && iterations < options.max_iterations {
        if !bd.step() {
            status = Status::NotFinite;
            break;
        }
        let rho_damped = rho_bar.hypot(damping);
        phi_bar *= rho_bar / rho_damped;
        let rho = rho_damped.hypot(bd.beta);
        let (c, s) = (rho_damped / rho, bd.beta / rho);
        let theta = s * bd.alpha;
        rho_bar = -c * bd.alpha;
        let phi = c * phi_bar;
        phi_bar *= s;
        sums::axpy(phi / rho, &w, &mut x);
        w.iter_mut().zip(&bd.v).for_each(|(w, v)| *w = v - theta / rho * *w);
        iterations += 1;
        let norm_a = bd.norm_squared.sqrt();
        let orthogonality = bd.alpha * c.abs() / norm_a; // ‖Aᵀr‖ / (‖A‖ ‖r‖)
        if phi_bar.abs() <= options.tolerance * norm_b || orthogonality <= options.tolerance {
            status = Status::Converged;
        }
        if stopped(observer, "LSQR", iterations, options, phi_bar.abs()) && status == Status::Limit {
            status = Status::Interrupted;
        }
    }
    finish(a, b, x, iterations, status, bd.norm_squared.sqrt(), damping)
}

/// `min ‖A x − b‖² + λ²‖x‖²` by LSMR (row LA-11; Fong and Saunders 2011). `‖Aᵀr‖` falls at every step, so that it may be
/// stopped earlier than [`lsqr`].
///
/// # Errors
/// As [`lsqr`].
pub fn lsmr(a: &dyn LinearOperator, b: &[f64], options: &KrylovOptions) -> Result<KrylovFit, LinalgError> {
    lsmr_observed(a, b, options, &mut ())
}

/// [`lsmr`] with progress and cancellation; when stopped, the best answer so far.
///
/// # Errors
/// As [`lsmr`].
pub fn lsmr_observed(
    a: &dyn LinearOperator,
    b: &[f64],
    options: &KrylovOptions,
    observer: &mut dyn Observer,
) -> Result<KrylovFit, LinalgError> {
    check(a, b, options)?;
    let mut bd = Bidiagonal::new(a, b);
    let n = a.shape().1;
    let (mut x, mut h, mut h_bar) = (vec![0.0; n], bd.v.clone(), vec![0.0; n]);
    let (mut zeta_bar, mut alpha_bar) = (bd.alpha * bd.beta, bd.alpha);
    let (mut rho, mut rho_bar, mut c_bar, mut s_bar) = (1.0_f64, 1.0_f64, 1.0_f64, 0.0_f64);
    let first_gradient = zeta_bar;
    let mut iterations = 0;
    let mut status = if bd.alpha == 0.0 { Status::Converged } else { Status::Limit };
    if !zeta_bar.is_finite() {
        status = Status::NotFinite;
    }
    // ‖r‖ is not at hand as in LSQR, so it is computed where the gradient says that the end is near.
    let mut residual = vec![0.0; b.len()];
    let mut examine_below = options.tolerance.sqrt() * first_gradient;
    while status == Status::Limit && iterations < options.max_iterations {
        if !bd.step() {
            status = Status::NotFinite;
            break;
        }
        let alpha_hat = alpha_bar.hypot(options.damping);
        let rho_old = rho;
        rho = alpha_hat.hypot(bd.beta);
        let (c, s) = (alpha_hat / rho, bd.beta / rho);
        let theta = s * bd.alpha;
        alpha_bar = c * bd.alpha;
        let rho_bar_old = rho_bar;
        let theta_bar = s_bar * rho;
        rho_bar = (c_bar * rho).hypot(theta);
        c_bar = c_bar * rho / rho_bar;
        s_bar = theta / rho_bar;
        let zeta = c_bar * zeta_bar;
        zeta_bar *= -s_bar;
        let back = theta_bar * rho / (rho_old * rho_bar_old);
        h_bar.iter_mut().zip(&h).for_each(|(hb, h)| *hb = h - back * *hb);
        sums::axpy(zeta / (rho * rho_bar), &h_bar, &mut x);
        h.iter_mut().zip(&bd.v).for_each(|(h, v)| *h = v - theta / rho * *h);
        iterations += 1;
        let gradient = zeta_bar.abs();
        if gradient <= examine_below || bd.alpha == 0.0 || bd.beta == 0.0 {
            a.apply_into(&x, &mut residual);
            residual.iter_mut().zip(b).for_each(|(r, b)| *r = b - *r);
            let norm = sums::norm(&residual).hypot(options.damping * sums::norm(&x));
            let enough = norm <= options.tolerance * sums::norm(b)
                || gradient <= options.tolerance * bd.norm_squared.sqrt() * norm;
            if enough {
                status = Status::Converged;
            }
            examine_below = gradient / 4.0;
        }
        if stopped(observer, "LSMR", iterations, options, gradient) && status == Status::Limit {
            status = Status::Interrupted;
        }
    }
    finish(a, b, x, iterations, status, bd.norm_squared.sqrt(), options.damping)
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::Matrix;

    #[test]
    fn a_diagonal_system_is_solved_in_as_many_steps_as_it_has_eigenvalues() {
        let d = [1.0, 2.0, 2.0, 5.0];
        let mut x = [0.0; 4];
        let apply = |v: &[f64], out: &mut [f64]| out.iter_mut().zip(v).zip(&d).for_each(|((o, v), d)| *o = v * d);
        let report = conjugate_gradient(apply, &[1.0, 2.0, 4.0, 5.0], &mut x, 1e-14, 10);
        assert!(report.converged && report.iterations <= 4, "{report:?}");
        for (x, want) in x.iter().zip([1.0, 1.0, 2.0, 1.0]) {
            assert!((x - want).abs() < 1e-13);
        }
    }

    /// Overflow and NaN never count as converged, and an overflowing start leaves `x` alone.
    #[test]
    fn what_is_not_finite_has_not_converged() {
        let identity = |v: &[f64], out: &mut [f64]| out.copy_from_slice(v);
        let mut x = [0.0; 2];
        let report = conjugate_gradient(identity, &[1e160, 1e160], &mut x, 1e-10, 5);
        assert!(!report.converged && x == [0.0; 2], "{report:?} {x:?}");
        assert!(!conjugate_gradient(identity, &[f64::NAN], &mut [0.0], 1e-10, 5).converged);
        let broken = |_: &[f64], out: &mut [f64]| out.fill(f64::NAN);
        assert!(!conjugate_gradient(broken, &[1.0], &mut [0.0], 1e-10, 5).converged);
    }

    #[test]
    fn the_limit_is_kept_and_reported() {
        let mut x = [0.0; 2];
        let apply = |v: &[f64], out: &mut [f64]| {
            out[0] = v[0];
            out[1] = 1e6 * v[1];
        };
        let report = conjugate_gradient(apply, &[1.0, 1.0], &mut x, 1e-12, 1);
        assert!(!report.converged && report.iterations == 1);
    }

    /// LA-11: LSQR and LSMR give the ridge and least-squares answers of the normal equations, keep their limits, and
    /// find the answer of least norm when there are several.
    #[test]
    fn lsqr_and_lsmr_solve_least_squares() {
        let s = crate::random::Streams::new(5);
        let a = Matrix::from_fn(60, 7, |i, j| s.uniform((i * 7 + j) as u64) - 0.5);
        let b: Vec<f64> = (0..60).map(|i| s.uniform(i + 10_000) - 0.3).collect();
        for solve in [lsqr_observed, lsmr_observed] {
            for damping in [0.0, 0.7] {
                let options = KrylovOptions { damping, ..KrylovOptions::default() };
                let fit = solve(&a, &b, &options, &mut ()).unwrap();
                let g = crate::gram::gram(&a, None, Some(&b)).unwrap();
                let mut want = g.right.clone();
                crate::factor::Cholesky::new(&g.matrix, damping * damping).unwrap().solve_in_place(&mut want);
                assert!(
                    fit.x.iter().zip(&want).all(|(x, w)| (x - w).abs() < 1e-10),
                    "damping {damping}: {fit:?} {want:?}"
                );
                assert!(fit.status == Status::Converged && fit.residual_orthogonality < 1e-11, "{fit:?}");
            }
            let short = KrylovOptions { max_iterations: 2, ..KrylovOptions::default() };
            let fit = solve(&a, &b, &short, &mut ()).unwrap();
            assert_eq!((fit.iterations, fit.status), (2, Status::Limit));
            let mut stop = crate::observe::FromFn(|_| ControlFlow::Break(()));
            assert_eq!(solve(&a, &b, &KrylovOptions::default(), &mut stop).unwrap().status, Status::Interrupted);
            // Two equal columns share the coefficient.
            let twice = Matrix::from_fn(60, 2, |i, _| a[(i, 0)]);
            let fit = solve(&twice, &a.copy_column(0), &KrylovOptions::default(), &mut ()).unwrap();
            assert!(fit.x.iter().all(|x| (x - 0.5).abs() < 1e-12), "{fit:?}");
            // Nothing to fit, and numbers that no iteration survives.
            assert_eq!(solve(&a, &[0.0; 60], &KrylovOptions::default(), &mut ()).unwrap().x, [0.0; 7]);
            let huge = Matrix::from_fn(60, 7, |i, j| a[(i, j)] * 1e200);
            if let Ok(fit) = solve(&huge, &b, &KrylovOptions::default(), &mut ()) {
                assert!(fit.x.iter().all(|v| v.is_finite()));
            }
            assert!(solve(&a, &[f64::NAN; 60], &KrylovOptions::default(), &mut ()).is_err());
            assert!(solve(&a, &b[1..], &KrylovOptions::default(), &mut ()).is_err());
            let bad = KrylovOptions { tolerance: f64::NAN, ..KrylovOptions::default() };
            assert!(solve(&a, &b, &bad, &mut ()).is_err());
        }
    }
}
