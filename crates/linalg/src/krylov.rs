//! Conjugate gradients with a limit, a start and the true residual at the end.
use crate::chunk;

/// How a conjugate-gradient run ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CgReport {
    /// Steps taken.
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
    let norm_b = chunk::norm(b);
    if norm_b == 0.0 {
        x.fill(0.0);
        return CgReport { iterations: 0, relative_residual: 0.0, converged: true };
    }
    let mut ax = vec![0.0; n];
    apply(x, &mut ax);
    let mut r: Vec<f64> = b.iter().zip(&ax).map(|(b, a)| b - a).collect();
    let mut p = r.clone();
    let mut rr = chunk::dot(&r, &r);
    let mut iterations = 0;
    // A residual that overflows, or is not a number, cannot be worked on.
    while iterations < max_iterations && rr.is_finite() && rr.sqrt() > tolerance * norm_b {
        apply(&p, &mut ax);
        let curvature = chunk::dot(&p, &ax);
        if curvature.is_nan() || curvature <= 0.0 {
            break; // direction in the null space: x is as good as it gets
        }
        let step = rr / curvature;
        chunk::axpy(step, &p, x);
        chunk::axpy(-step, &ax, &mut r);
        let next = chunk::dot(&r, &r);
        let beta = next / rr;
        rr = next;
        p.iter_mut().zip(&r).for_each(|(p, r)| *p = r + beta * *p);
        iterations += 1;
    }
    apply(x, &mut ax);
    let residual: Vec<f64> = b.iter().zip(&ax).map(|(b, a)| b - a).collect();
    let relative_residual = chunk::norm(&residual) / norm_b;
    CgReport { iterations, relative_residual, converged: relative_residual <= 2.0 * tolerance }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
