//! Lower bounds of the objective on the full data, from dual points made out of any candidate (row SEN-7).
//!
//! For every `u` with `Aᵀu = 0`: `min_x ‖Ax − b‖_p ≥ rᵀu / ‖u‖_q`, `1/p + 1/q = 1`, where `r = b − A x₀` for any `x₀`
//! (`rᵀu = bᵀu`, but does not cancel when `b` is large and `r` small); and for the quantile loss,
//! `min_x Σ ρ_τ(b − Ax) ≥ rᵀu / max_i max(u_i/τ, −u_i/(1−τ))`. Anyone can check such a bound from `u` alone.
//!
//! What rounding can do is subtracted: `Aᵀu` is zero only nearly, which costs `‖Aᵀu‖` times the distance to the
//! minimiser, and `r` is known only to a few `ε(|b| + |A||x₀|)`.
use samplewise_linalg::{LinalgError, Matrix, chunk, factor, gram};

use crate::regress::Loss;

/// A candidate on the full data, in orthonormal columns.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Orthonormal columns that span those of `A`.
    pub columns: &'a Matrix,
    /// `r = b − A x₀`.
    pub residual: &'a [f64],
    /// Bounds of the rounding error of each entry of `r`.
    pub rounding: &'a [f64],
}

impl Candidate<'_> {
    /// `rᵀu` less everything that rounding may have added; `reach` bounds the distance `‖A(x − x₀)‖₂` of the minimiser.
    fn value(&self, u: &[f64], reach: f64) -> f64 {
        let mut leak = vec![0.0; self.columns.columns()];
        self.columns.multiply_transpose_vector_into(u, &mut leak);
        let blur: f64 = u.iter().zip(self.rounding).map(|(u, e)| u.abs() * e).sum();
        let sizes: f64 = u.iter().zip(self.residual).map(|(u, r)| (u * r).abs()).sum();
        let sum_error = f64::EPSILON * (u.len() as f64 / 8.0 + 8.0) * sizes;
        chunk::dot(self.residual, u) - blur - sum_error - 2.0 * chunk::norm(&leak) * reach
    }
}

/// Bounds `min_x` of the loss from below. Never negative.
///
/// The dual point is the derivative of the loss at `r`, made orthogonal to `A` in the metric that moves rows with small
/// residuals first; for the `ℓ1` and quantile losses the derivative is smoothed at the scale `h`, for several `h`, by
/// a few steps of Newton's method on the smoothed problem, and the best bound is returned. Cost `n·d²` flops a step.
///
/// # Errors
/// [`LinalgError::NotPositiveDefinite`] when the columns have no full rank.
pub fn lower_bound(candidate: &Candidate<'_>, loss: Loss) -> Result<f64, LinalgError> {
    match loss {
        Loss::Lp(p) if p > 1.0 => smooth_bound(candidate, p),
        Loss::Lp(_) => Ok(2.0 * kinked_bound(candidate, 0.5)?),
        Loss::Quantile(tau) => kinked_bound(candidate, tau),
    }
}

/// The bound of a dual point that is feasible up to rounding, such as [`crate::interior_point::Solution::dual`]: `u` is
/// made orthogonal to `A`, moving the entries far from their limits first, and scaled into the limits (row SEN-7).
/// Never negative. Cost `n·d²` flops.
///
/// # Errors
/// [`LinalgError::NotPositiveDefinite`] when the columns have no full rank.
pub fn dual_bound(candidate: &Candidate<'_>, dual: &[f64], tau: f64) -> Result<f64, LinalgError> {
    let mut u = dual.to_vec();
    let slack: Vec<f64> = u.iter().map(|&u| (tau - u).min(u + 1.0 - tau).max(1e-9)).collect();
    project(candidate.columns, &slack, &mut u)?;
    Ok(scaled_value(candidate, &u, tau))
}

/// `rᵀu` for the `u` scaled into the limits of the quantile loss.
fn scaled_value(candidate: &Candidate<'_>, u: &[f64], tau: f64) -> f64 {
    let worst = u.iter().fold(0.0_f64, |m, &v| m.max(v / tau).max(-v / (1.0 - tau)));
    // A better x has ‖A(x − x₀)‖₂ ≤ ‖A(x − x₀)‖₁ ≤ 2·loss/min(τ, 1 − τ).
    let reach = 2.0 * Loss::Quantile(tau).value(candidate.residual) / tau.min(1.0 - tau);
    if worst > 0.0 { (candidate.value(u, reach) / worst).max(0.0) } else { 0.0 }
}

fn smooth_bound(candidate: &Candidate<'_>, p: f64) -> Result<f64, LinalgError> {
    let residual = candidate.residual;
    let largest = residual.iter().fold(0.0_f64, |m, r| m.max(r.abs()));
    if largest == 0.0 {
        return Ok(0.0);
    }
    let unit: Vec<f64> = residual.iter().map(|r| r / largest).collect();
    let mut u: Vec<f64> = unit.iter().map(|r| r.abs().powf(p - 1.0) * r.signum()).collect();
    let metric: Vec<f64> = unit.iter().map(|r| r.abs().max(1e-6).powf(p - 2.0)).collect();
    project(candidate.columns, &metric, &mut u)?;
    let q = p / (p - 1.0);
    let top = u.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    if top == 0.0 {
        return Ok(0.0);
    }
    let power_mean = |v: &[f64], top: f64, q: f64| {
        top * chunk::sum(&v.iter().map(|v| (v.abs() / top).powf(q)).collect::<Vec<_>>()).powf(1.0 / q)
    };
    let norm = power_mean(&u, top, q) * (1.0 + 1e-13 * u.len() as f64 / 8.0);
    // A better x has ‖A(x − x₀)‖_p ≤ 2‖r‖_p, and ‖·‖₂ ≤ n^{1/2 − 1/p}‖·‖_p for p > 2.
    let reach = 2.0 * power_mean(residual, largest, p) * (u.len() as f64).powf((0.5 - 1.0 / p).max(0.0));
    Ok((candidate.value(&u, reach) / norm).max(0.0).powf(p))
}

/// The best of a few smoothing widths.
fn kinked_bound(candidate: &Candidate<'_>, tau: f64) -> Result<f64, LinalgError> {
    let (a, residual) = (candidate.columns, candidate.residual);
    let mut sizes: Vec<f64> = residual.iter().map(|r| r.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let (n, d) = (a.rows(), a.columns());
    let mut best = 0.0_f64;
    let mut r = residual.to_vec();
    // From wide to narrow: each width starts from the residual of the one before.
    for share in [64, 24, 8, 3] {
        let h = sizes[(share * d).min(n - 1)];
        if h <= 0.0 {
            continue;
        }
        for _ in 0..5 {
            // u = clip(r/h) in [−(1−τ), τ]: rows inside the kink carry curvature 1/h.
            let clip = |r: f64| (r / h + tau - 0.5).clamp(tau - 1.0, tau);
            let mut u: Vec<f64> = r.iter().map(|&r| clip(r)).collect();
            let inside: Vec<f64> = r
                .iter()
                .map(|&r| if (r / h + tau - 0.5).abs() < 1.0 && clip(r) == r / h + tau - 0.5 { 1.0 } else { 1e-7 })
                .collect();
            let correction = project(a, &inside, &mut u)?;
            best = best.max(scaled_value(candidate, &u, tau));
            let worst = u.iter().fold(0.0_f64, |m, &v| m.max(v / tau).max(-v / (1.0 - tau)));
            if worst <= 1.0 + 1e-9 {
                break;
            }
            // Newton step of the smoothed problem: the coefficients move by h times the correction.
            let mut moved = vec![0.0; n];
            a.multiply_vector_into(&correction, &mut moved);
            r.iter_mut().zip(&moved).for_each(|(r, m)| *r -= h * m);
        }
    }
    Ok(best)
}

/// `u ← u − D A (AᵀDA)⁻¹ Aᵀu` (twice, against rounding); returns the coefficients of the first correction.
fn project(a: &Matrix, metric: &[f64], u: &mut [f64]) -> Result<Vec<f64>, LinalgError> {
    let g = gram::gram(a, Some(metric), None)?;
    let trace: f64 = (0..a.columns()).map(|j| g.matrix[(j, j)]).sum();
    let factor = factor::Cholesky::new(&g.matrix, 1e-15 * trace)?;
    let mut first = None;
    let mut fitted = vec![0.0; a.rows()];
    for _ in 0..3 {
        let mut c = vec![0.0; a.columns()];
        a.multiply_transpose_vector_into(u, &mut c);
        factor.solve_in_place(&mut c);
        a.multiply_vector_into(&c, &mut fitted);
        for ((u, m), f) in u.iter_mut().zip(metric).zip(&fitted) {
            *u -= m * f;
        }
        first.get_or_insert(c);
    }
    Ok(first.expect("three rounds"))
}
