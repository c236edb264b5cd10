//! The problem in centred and scaled form, its objective, its dual, and the gap between them.
use std::borrow::Cow;

use rayon::prelude::*;
use samplewise_linalg::chunk;

use crate::Design;

/// The penalised least-squares problem of one fit in the form `(1/2n)‖y − Z w‖² + penalty`.
///
/// With `q_i = √s_i`, the columns are `z_j = q ∘ (x_j − μ_j)/σ_j` and the target `q ∘ (y − ȳ)`. Dense columns are stored
/// so; sparse ones are stored as `q ∘ x_j` and their mean is carried beside them.
pub struct Problem<'a> {
    pub(crate) design: Cow<'a, Design>,
    /// Square roots of the sample weights.
    pub(crate) root: Vec<f64>,
    /// Means `μ_j` of columns that are not stored centred; zero otherwise.
    pub(crate) means: Vec<f64>,
    /// Column scales `σ_j`, one without standardisation.
    pub(crate) scales: Vec<f64>,
    /// Weighted, centred target.
    pub(crate) target: Vec<f64>,
    /// `(1/n) ‖z_j‖²`.
    pub(crate) curvature: Vec<f64>,
    /// `α`.
    pub(crate) mix: f64,
    /// `ω_j`.
    pub(crate) factors: Vec<f64>,
    /// Only `w ≥ 0`.
    pub(crate) positive: bool,
}

/// A residual `r = y − Z w = plain + shift·q`: moving a sparse column by its mean touches one number only.
///
/// Because target and columns are centred, `q·r = 0`, so `q·plain = −n·shift` and no sum over rows is ever needed.
#[derive(Clone, Debug)]
pub struct Residual {
    pub(crate) plain: Vec<f64>,
    pub(crate) shift: f64,
}

/// Objective, dual value and the largest constraint, at one point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Certificate {
    /// Objective at the coefficients.
    pub primal: f64,
    /// A dual feasible value: never above the minimum of the objective.
    pub dual: f64,
}

impl Certificate {
    /// `primal − dual`, which bounds the distance of the objective from its minimum.
    pub fn gap(&self) -> f64 {
        (self.primal - self.dual).max(0.0)
    }
}

impl Problem<'_> {
    pub(crate) fn rows(&self) -> f64 {
        self.target.len() as f64
    }

    /// The residual of `w = 0`.
    pub(crate) fn initial_residual(&self) -> Residual {
        Residual { plain: self.target.clone(), shift: 0.0 }
    }

    /// `(1/n) z_jᵀ r`: minus the gradient of the loss.
    #[inline]
    pub(crate) fn correlation(&self, j: usize, r: &Residual) -> f64 {
        if self.curvature[j] == 0.0 {
            return 0.0; // zero, or constant beside an intercept: it takes no part, in the dual neither
        }
        let n = self.rows();
        (self.design.dot_column(j, &r.plain) + self.means[j] * r.shift * n) / (self.scales[j] * n)
    }

    /// `w_j += delta`.
    #[inline]
    pub(crate) fn move_coordinate(&self, j: usize, delta: f64, r: &mut Residual) {
        let a = delta / self.scales[j];
        self.design.add_column(j, -a, &mut r.plain);
        r.shift += a * self.means[j];
    }

    /// All correlations; parallel over columns when there is enough work.
    pub(crate) fn correlations(&self, r: &Residual) -> Vec<f64> {
        let p = self.design.columns();
        if self.design.work() < 1 << 17 {
            (0..p).map(|j| self.correlation(j, r)).collect()
        } else {
            (0..p).into_par_iter().with_min_len(64).map(|j| self.correlation(j, r)).collect()
        }
    }

    /// `(1/n) ‖r‖²` and `(1/n) yᵀr`.
    fn products(&self, r: &Residual) -> (f64, f64) {
        let n = self.rows();
        if r.shift == 0.0 {
            return (chunk::dot(&r.plain, &r.plain) / n, chunk::dot(&r.plain, &self.target) / n);
        }
        let whole: Vec<f64> = r.plain.iter().zip(&self.root).map(|(p, q)| p + r.shift * q).collect();
        (chunk::dot(&whole, &whole) / n, chunk::dot(&whole, &self.target) / n)
    }

    pub(crate) fn penalty(&self, lambda: f64, w: &[f64]) -> f64 {
        let terms: f64 =
            w.iter().zip(&self.factors).map(|(w, f)| f * (self.mix * w.abs() + 0.5 * (1.0 - self.mix) * w * w)).sum();
        lambda * terms
    }

    /// Primal and dual value (row LAS-1) at `w` with residual `r` and all correlations `c`.
    ///
    /// Dual: `u = t·r` gives `D(t) = t (1/n) yᵀr − (t²/2n) rᵀr − Σ_j g_j*(t c_j)`, where `g_j*` is zero inside
    /// `|z| ≤ λαω_j` and `(|z| − λαω_j)² / 2λ(1−α)ω_j` outside (infinite for the Lasso). For the Lasso `t` is the best
    /// feasible one; with a ridge part `t = 1` and the best feasible one are both tried.
    pub(crate) fn certificate(&self, lambda: f64, w: &[f64], r: &Residual, c: &[f64]) -> Certificate {
        let (squares, target) = self.products(r);
        let primal = 0.5 * squares + self.penalty(lambda, w);
        // Largest feasible |t|: t c_j ≤ λαω_j (and ≥ −λαω_j unless only w ≥ 0 is allowed).
        let mut limit = f64::INFINITY;
        for (c, f) in c.iter().zip(&self.factors) {
            let z = if self.positive { *c } else { c.abs() };
            if z > 0.0 {
                limit = limit.min(lambda * self.mix * f / z);
            }
        }
        let best = if squares > 0.0 { target / squares } else { 0.0 };
        let t = if self.positive { best.clamp(0.0, limit) } else { best.clamp(-limit, limit) };
        let value = |t: f64, conjugate: f64| t * target - 0.5 * t * t * squares - conjugate;
        let mut dual = value(t, 0.0);
        if self.mix < 1.0 {
            let conjugate: f64 = c
                .iter()
                .zip(&self.factors)
                .map(|(c, f)| {
                    let z = if self.positive { *c } else { c.abs() };
                    let excess = (z - lambda * self.mix * f).max(0.0);
                    excess * excess / (2.0 * lambda * (1.0 - self.mix) * f)
                })
                .sum();
            dual = dual.max(value(1.0, conjugate));
        }
        Certificate { primal, dual }
    }
}
