//! Objective, dual value and the gap between them.
//!
//! The dual of `min_w (1/2n)‖t − Zw‖² + Σ h_j(w_j)` at the point `θ = s r/n` is
//! `D(s) = s·tᵀr/n − s²·rᵀr/2n − Σ_j h_j*(s c_j)`, `c = Zᵀr/n`, where `h_j*` is zero for `|z| ≤ λa_j`. Any `s` with a finite
//! value bounds the minimum from below (Fenchel).
use crate::problem::Problem;

/// Objective and dual value at one point.
///
/// Row LAS-1 of `paper-refs.md`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Certificate {
    pub primal: f64,
    pub dual: f64,
    /// Factor `s` by which the residual is scaled to be a dual point.
    pub scale: f64,
    /// What rounding may have added to the dual value before it was taken off.
    pub rounding: f64,
}

/// A dual value may be above the objective by this many times the estimate of rounding before the certificate has failed.
const SLACK: f64 = 64.0;

impl Certificate {
    /// `primal − dual`, which bounds the distance of the objective from its minimum.
    pub fn gap(&self) -> f64 {
        gap(self.primal, self.dual, SLACK * self.rounding)
    }

    /// Nothing is known yet.
    pub fn unknown() -> Self {
        Self { primal: f64::INFINITY, dual: f64::NEG_INFINITY, scale: 0.0, rounding: 0.0 }
    }

    /// Whether the dual value contradicts the objective: one of the two is wrong by more than rounding.
    pub fn failed(&self) -> bool {
        contradicts(self.primal, self.dual, SLACK * self.rounding)
    }

    /// At coefficients `w` from `(rᵀr/n, tᵀr/n)`; `over` holds at least the columns with `reach > λ a_j` and their `c_j`.
    pub fn new(
        problem: &Problem<'_>,
        lambda: f64,
        w: impl Iterator<Item = (usize, f64)> + Clone,
        (squares, along): (f64, f64),
        over: &[(usize, f64)],
    ) -> Self {
        let rounding = problem.dual_rounding(squares, w.clone());
        let primal = 0.5 * squares + problem.penalty(lambda, w);
        let mut limit = 1.0_f64;
        for &(j, c) in over {
            let bound = if c > 0.0 { problem.upper[j] } else { -problem.lower[j] };
            if bound.is_infinite() && problem.quadratic[j] == 0.0 {
                limit = limit.min(lambda * problem.absolute[j] / c.abs());
            }
        }
        let value = |s: f64| {
            let conjugates: f64 = over.iter().map(|&(j, c)| conjugate(problem, lambda, j, s * c)).sum();
            s * along - 0.5 * s * s * squares - conjugates
        };
        let best = if squares > 0.0 { (along / squares).clamp(0.0, limit) } else { 0.0 };
        let (a, b) = (value(best), value(limit));
        let (dual, scale) = if a > b { (a, best) } else { (b, limit) };
        Self { primal, dual: dual - rounding, scale, rounding }
    }
}

/// Whether a dual value is above the primal one by more than rounding, or either is no number.
pub(crate) fn contradicts(primal: f64, dual: f64, rounding: f64) -> bool {
    let gap = primal - dual;
    gap.is_nan() || gap < -rounding
}

/// `primal − dual`, where rounding alone may make it negative, not below zero; infinite where the two contradict each other,
/// for then they prove nothing.
pub(crate) fn gap(primal: f64, dual: f64, rounding: f64) -> f64 {
    if contradicts(primal, dual, rounding) { f64::INFINITY } else { (primal - dual).max(0.0) }
}

/// `max_w zw − λ(a|w| + bw²/2)` over the bounds, where it is finite (an infinite one is excluded by the scale).
fn conjugate(problem: &Problem<'_>, lambda: f64, j: usize, z: f64) -> f64 {
    let excess = z.abs() - lambda * problem.absolute[j];
    let bound = if z > 0.0 { problem.upper[j] } else { -problem.lower[j] };
    if excess <= 0.0 || bound == 0.0 {
        return 0.0;
    }
    let b = lambda * problem.quadratic[j];
    let w = if b > 0.0 { (excess / b).min(bound) } else { bound };
    if w.is_infinite() { 0.0 } else { w * excess - 0.5 * b * w * w }
}
