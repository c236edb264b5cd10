//! Lower bounds of the objective on the full data, from dual points made out of any candidate (row SEN-7).
//!
//! For every `u` with `Aᵀu = 0`: `min_x ‖Ax − b‖_p ≥ rᵀu / ‖u‖_q`, `1/p + 1/q = 1`, where `r = b − A x₀` for any `x₀`
//! (`rᵀu = bᵀu`, but does not cancel when `b` is large and `r` small); and for the quantile loss,
//! `min_x Σ ρ_τ(b − Ax) ≥ rᵀu / max_i max(u_i/τ, −u_i/(1−τ))`. Anyone can check such a bound from `u` alone.
//!
//! What rounding can do is subtracted: `Aᵀu` is zero only nearly, which costs `‖Aᵀu‖` times the distance to the
//! minimiser, and `r` is known only to a few `ε(|b| + |A||x₀|)`.
use samplewise_linalg::observe::{Observer, Progress, Watch};
use samplewise_linalg::{LinalgError, factor, gram, sums};

use crate::design::Design;
use crate::loss::Loss;
use crate::power::Power;

/// A candidate on the full data.
#[derive(Clone, Copy)]
pub struct Candidate<'a> {
    /// The rows, with the coordinates in which their columns are orthonormal.
    pub(crate) design: &'a Design<'a>,
    /// `r = b − A x₀`.
    pub(crate) residual: &'a [f64],
    /// Bounds of the rounding error of each entry of `r`.
    pub(crate) rounding: &'a [f64],
}

impl Candidate<'_> {
    /// `rᵀu` less everything that rounding may have added; `reach` bounds the distance `‖A(x − x₀)‖₂` of the minimiser.
    fn value(&self, u: &[f64], reach: f64) -> f64 {
        let leak = self.design.multiply_transpose(u);
        let blur = sums::sum_by(u.len(), |i| u[i].abs() * self.rounding[i]);
        let sizes = sums::sum_by(u.len(), |i| (u[i] * self.residual[i]).abs());
        let sum_error = f64::EPSILON * (u.len() as f64 / 8.0 + 8.0) * sizes;
        // Rounding of the leak itself: each of its entries is a sum of n products, and Σ ‖a_iT‖² is the rank.
        let (n, rank) = (u.len() as f64, self.design.rank() as f64);
        let unseen = f64::EPSILON * (64.0 + n / 512.0 + rank) * sums::norm(u) * rank.sqrt();
        sums::dot(self.residual, u) - blur - sum_error - (2.0 * sums::norm(&leak) + unseen) * reach
    }
}

/// `Σ w_i ρ_τ(b_i − a_iᵀx)`.
pub(crate) fn weighted_quantile_loss(
    design: &Design<'_>,
    b: &[f64],
    weights: Option<&[f64]>,
    tau: f64,
    x: &[f64],
) -> f64 {
    let mut r = vec![0.0; b.len()];
    design.multiply_into(x, &mut r);
    r.iter_mut().zip(b).for_each(|(r, b)| *r = b - *r);
    if let Some(w) = weights {
        r.iter_mut().zip(w).for_each(|(r, w)| *r *= w);
    }
    Loss::Quantile(tau).value(&r)
}

/// The bound of a dual point that is feasible up to rounding, such as [`crate::solve::interior_point::Solution::dual`]: `u` is
/// made orthogonal to `A`, moving the entries far from their limits first, and scaled into the limits (row SEN-7).
/// Never negative. Cost a Gram matrix of the rows whose entry is off its limits.
pub(crate) fn dual_bound(candidate: &Candidate<'_>, dual: &[f64], tau: f64, observer: &mut dyn Observer) -> f64 {
    let slack = |u: f64| (tau - u).min(u + 1.0 - tau);
    let loss = Loss::Quantile(tau).value(candidate.residual);
    // A better x has ‖A(x − x₀)‖₂ ≤ ‖A(x − x₀)‖₁ ≤ 2·loss/min(τ, 1 − τ).
    let reach = 2.0 * loss / tau.min(1.0 - tau);
    let enough = (1.0 - ENOUGH) * loss;
    let mut best = 0.0_f64;
    // First the rows that have room; if these do not suffice, all.
    for least in [1e-6, 0.0] {
        let mut u = dual.to_vec();
        let free: Vec<usize> = (0..u.len()).filter(|&i| slack(u[i]) >= least).collect();
        let metric: Vec<f64> = free.iter().map(|&i| slack(u[i]).max(1e-9)).collect();
        if project(candidate.design, &free, &metric, 1e-12, &mut u, observer).is_ok() {
            best = best.max(scaled_value(candidate, &u, tau, reach));
            if best < enough
                && let Ok(share) = share_of_two_norm(candidate, 1.0, observer)
            {
                best = best.max(scaled_value(candidate, &u, tau, reach * share));
            }
        }
        if best >= enough {
            break;
        }
    }
    best
}

/// Relative gap that is enough for a bound of the quantile loss.
const ENOUGH: f64 = 1e-9;

/// `rᵀu` for the `u` scaled into the limits of the quantile loss.
fn scaled_value(candidate: &Candidate<'_>, u: &[f64], tau: f64, reach: f64) -> f64 {
    let worst = excess(u, tau);
    if worst > 0.0 { (candidate.value(u, reach) / worst).max(0.0) } else { 0.0 }
}

/// How large `‖v‖₂` can be beside `‖v‖_p` for a `v` in the column space and `p ≤ 2`: `τ^{1/p − 1/2}` with the largest leverage
/// score `τ`, because no entry of `v` is above `√τ·‖v‖₂`. Many rows that are alike make it small; the whitening is trusted to
/// one part in a hundred. Cost a pass over the rows.
fn share_of_two_norm(candidate: &Candidate<'_>, p: f64, observer: &mut dyn Observer) -> Result<f64, LinalgError> {
    let leverage = candidate.design.largest_leverage(observer)?;
    Ok((1.01 * leverage.powf(1.0 / p - 0.5)).min(1.0))
}

/// By what `u` has to be divided to lie within the limits.
fn excess(u: &[f64], tau: f64) -> f64 {
    u.iter().fold(0.0_f64, |m, &v| m.max(v / tau).max(-v / (1.0 - tau)))
}

/// The bound for `p > 1` by the derivative of the loss at `r`, made orthogonal to `A` in the metric of its curvature. Never
/// negative. Cost a Gram matrix of all rows, and for `p < 1.5` up to three.
///
/// # Errors
/// [`LinalgError::NotPositiveDefinite`] when the columns have no full rank.
pub(crate) fn smooth_bound(candidate: &Candidate<'_>, p: f64, observer: &mut dyn Observer) -> Result<f64, LinalgError> {
    let residual = candidate.residual;
    let n = residual.len();
    let largest = residual.iter().fold(0.0_f64, |m, r| m.max(r.abs()));
    if largest == 0.0 {
        return Ok(0.0);
    }
    let (slope, curvature) = (Power::new(p - 1.0), Power::new(p - 2.0));
    let slopes: Vec<f64> = residual.iter().map(|r| slope.of(r.abs() / largest).copysign(*r)).collect();
    let every: Vec<usize> = (0..n).collect();
    // Near p = 1 the slopes of residuals that are all but zero are anything between their limits, and these rows have to
    // make up for all others: what counts as zero depends on the outliers, so that several are tried.
    let floors: &[f64] = if p < 1.5 { &[1e-6, 1e-10, 1e-14] } else { &[1e-6] };
    let enough = (1.0 - 1e-11) * Loss::Lp(p).value(residual);
    let mut best = None;
    for floor in floors {
        let metric: Vec<f64> = residual.iter().map(|r| curvature.of((r.abs() / largest).max(*floor))).collect();
        let mut u = slopes.clone();
        if project(candidate.design, &every, &metric, 0.0, &mut u, observer).is_ok() {
            let mut value = bound_of(candidate, &u, p, 1.0);
            if value < enough
                && p < 2.0
                && let Ok(share) = share_of_two_norm(candidate, p, observer)
            {
                value = value.max(bound_of(candidate, &u, p, share));
            }
            best = Some(best.map_or(value, |b: f64| b.max(value)));
            if value >= enough {
                break;
            }
        }
    }
    best.map_or_else(
        || {
            // Hardly any row has curvature: the metric of the columns, which are orthonormal, is as good as another.
            let mut u = slopes;
            project(candidate.design, &every, &vec![1.0; n], 0.0, &mut u, observer)?;
            Ok(bound_of(candidate, &u, p, 1.0))
        },
        Ok,
    )
}

/// `(rᵀu / ‖u‖_q)^p` less what rounding may have added, where `‖v‖₂` is at most `share` of what `‖v‖_p` alone says.
fn bound_of(candidate: &Candidate<'_>, u: &[f64], p: f64, share: f64) -> f64 {
    let (residual, n, q) = (candidate.residual, u.len(), p / (p - 1.0));
    let norm_of = |v: &[f64], q: f64| {
        let (top, power) = (v.iter().fold(0.0_f64, |m, v| m.max(v.abs())), Power::new(q));
        if top == 0.0 { 0.0 } else { top * sums::sum_by(n, |i| power.of(v[i].abs() / top)).powf(1.0 / q) }
    };
    // Of the powers, and of a sum in eight lanes.
    let rounding = 1e-13 + f64::EPSILON * (n as f64 / 8.0 + 8.0);
    let norm = norm_of(u, q) * (1.0 + rounding);
    if norm == 0.0 {
        return 0.0;
    }
    // A better x has ‖A(x − x₀)‖_p ≤ 2‖r‖_p, and ‖·‖₂ ≤ n^{1/2 − 1/p}‖·‖_p for p > 2.
    let reach = 2.0 * norm_of(residual, p) * (n as f64).powf((0.5 - 1.0 / p).max(0.0)) * share;
    (candidate.value(u, reach) / norm).max(0.0).powf(p)
}

/// `u ← u − D A (AᵀDA + ridge·trace)⁻¹ Aᵀu` on the rows of `free`, in whitened coordinates, with rounds of refinement on these
/// rows.
fn project(
    design: &Design<'_>,
    free: &[usize],
    metric: &[f64],
    ridge: f64,
    u: &mut [f64],
    observer: &mut dyn Observer,
) -> Result<(), LinalgError> {
    let whole = free.len() == u.len();
    let some = if whole { None } else { Some(design.select(free, observer)?) };
    let mut g = match &some {
        None => design.gram(metric, observer)?,
        Some(a) => gram::gram_observed(a, Some(metric), None, observer)?.matrix,
    };
    let d = g.rows();
    let trace: f64 = (0..d).map(|j| g[(j, j)]).sum();
    let ridge = ridge.max(1e-15) * trace;
    (0..d).for_each(|j| g[(j, j)] += ridge);
    let factor = factor::Cholesky::new(&g, 0.0)?;
    let mut fitted = vec![0.0; free.len()];
    let mut missing = design.multiply_transpose(u);
    let mut watch = Watch::new(observer);
    for round in 0..3 {
        let progress = || Progress { stage: "certificate", step: round, total: Some(3), value: None };
        if watch.ticks(progress) {
            return Err(LinalgError::Interrupted);
        }
        let mut c = missing.clone();
        factor.solve_in_place(&mut c);
        match &some {
            None => design.multiply_into(&c, &mut fitted),
            Some(a) => a.multiply_vector_into(&c, &mut fitted),
        }
        fitted.iter_mut().zip(metric).for_each(|(f, m)| *f *= m);
        free.iter().zip(&fitted).for_each(|(&i, f)| u[i] -= f);
        if round < 2 {
            if watch.ticks(progress) {
                return Err(LinalgError::Interrupted);
            }
            let gone = match &some {
                None => design.multiply_transpose(&fitted),
                Some(a) => {
                    let mut gone = vec![0.0; d];
                    a.multiply_transpose_vector_into(&fitted, &mut gone);
                    gone
                }
            };
            sums::axpy(-1.0, &gone, &mut missing);
        }
    }
    Ok(())
}
