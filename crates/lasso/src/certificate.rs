//! Objective, dual value and the gap between them.
//!
//! The dual of `min_w (1/2n)‖t − Zw‖² + Σ h_j(w_j)` at the point `θ = s r/n` is
//! `D(s) = s·tᵀr/n − s²·rᵀr/2n − Σ_j h_j*(s c_j)`, `c = Zᵀr/n`, where `h_j*` is zero for `|z| ≤ λa_j`. Any `s` with a finite
//! value bounds the minimum from below (Fenchel).
use crate::problem::Problem;

/// Objective and dual value at one point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Certificate {
    pub primal: f64,
    pub dual: f64,
    /// `s`.
    pub scale: f64,
}

impl Certificate {
    /// `primal − dual`, which bounds the distance of the objective from its minimum.
    pub fn gap(&self) -> f64 {
        gap(self.primal, self.dual)
    }

    /// At coefficients `w` from `(rᵀr/n, tᵀr/n)`; `over` holds at least the columns with `reach > λ a_j` and their `c_j`.
    pub fn new(
        problem: &Problem<'_>,
        lambda: f64,
        w: impl Iterator<Item = (usize, f64)>,
        (squares, along): (f64, f64),
        over: &[(usize, f64)],
    ) -> Self {
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
        Self { primal, dual, scale }
    }
}

/// `primal − dual`, not below zero; what is not a number proves nothing.
pub(crate) fn gap(primal: f64, dual: f64) -> f64 {
    let gap = primal - dual;
    if gap.is_nan() { f64::INFINITY } else { gap.max(0.0) }
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
