//! Regression by the absolute, the quantile and the `ℓp` loss: the objective of given coefficients, and a lower bound of
//! the minimum by a dual point of the referee's own.
use samplewise_linalg::Matrix;

use super::Judgement;
use super::algebra::{Basis, DEPENDENT, balanced, column, exponent, residual};
use super::pivots::dual_point;
use crate::double_double::{DoubleDouble, scale};

/// What is summed over the residuals `r = b − A x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// `|r|`.
    Absolute,
    /// `r (τ − [r < 0])`.
    Quantile(f64),
    /// `|r|^p`, `p > 1`.
    Power(f64),
}

impl Loss {
    fn of(self, r: DoubleDouble) -> DoubleDouble {
        match self {
            Loss::Absolute => r.abs(),
            Loss::Quantile(tau) if r < DoubleDouble::ZERO => r * (DoubleDouble::from(tau) - 1.0),
            Loss::Quantile(tau) => r * tau,
            Loss::Power(p) => r.abs().powf(p.into()),
        }
    }

    /// The loss of `2^k r` is `2^(degree·k)` times that of `r`.
    fn degree(self) -> f64 {
        if let Loss::Power(p) = self { p } else { 1.0 }
    }
}

/// Judges coefficients `x` for the rows of `a`, the target, and optional weights `≥ 0` of the rows.
///
/// For absolute values and quantiles the bound is the exact minimum, up to the rounding of double-double, unless the walk
/// from vertex to vertex reaches its limit. For powers the bound is as near as the answer is: its distance is of second
/// order in that of the coefficients. The shares `relative_gap` and `null_objective` speak of `x = 0`.
pub fn judge(a: &Matrix, b: &[f64], weights: Option<&[f64]>, loss: Loss, x: &[f64]) -> Judgement {
    let kept: Vec<usize> = (0..b.len()).filter(|&i| weights.is_none_or(|w| w[i] > 0.0)).collect();
    let (rows, units) = balanced(&a.select_rows(&kept));
    let b: Vec<f64> = kept.iter().map(|&i| b[i]).collect();
    let weight_unit = weights.map_or(0, |w| exponent(w.iter().copied()));
    let w: Vec<f64> = kept.iter().map(|&i| weights.map_or(1.0, |w| scale(w[i], -weight_unit))).collect();
    // First the residual in units of the target, then both in units of the residual.
    let first = exponent(b.iter().copied());
    let target: Vec<f64> = b.iter().map(|&v| scale(v, -first)).collect();
    let x: Vec<DoubleDouble> = x.iter().zip(&units).map(|(&x, &e)| scale(x, e - first).into()).collect();
    let mut r = residual(&rows, &target, &x);
    let second = exponent(r.iter().map(|r| r.to_f64()));
    let unit = first + second;
    r.iter_mut().for_each(|r| *r = r.times_power_of_two(-second));
    let total = |values: &mut dyn Iterator<Item = DoubleDouble>| -> DoubleDouble {
        values.zip(&w).map(|(r, &w)| loss.of(r) * w).sum()
    };
    let objective = total(&mut r.iter().copied());
    let null = total(&mut target.iter().map(|&v| DoubleDouble::from(v).times_power_of_two(-second)));
    let dual = match loss {
        Loss::Power(p) => power_bound(&rows, &r, &w, p),
        Loss::Absolute | Loss::Quantile(_) => {
            let slopes = match loss {
                Loss::Quantile(tau) => (DoubleDouble::from(tau) - 1.0, DoubleDouble::from(tau)),
                _ => (-DoubleDouble::ONE, DoubleDouble::ONE),
            };
            let limits: Vec<_> = w.iter().map(|&w| (slopes.0 * w, slopes.1 * w)).collect();
            dual_point(&rows, &r, &limits).value.max(DoubleDouble::ZERO)
        }
    };
    // Units of the loss: a whole power of two, and what is left of it where the degree is a fraction.
    let exponent = loss.degree() * f64::from(unit) + f64::from(weight_unit);
    let rest = (DoubleDouble::LN_2 * (exponent - exponent.floor())).exp();
    Judgement::new(objective * rest, dual * rest, null * rest, exponent.floor() as i32)
}

/// A lower bound of `min_x Σ w_i |r_i − a_iᵀx|^p`.
///
/// The dual problem is `max rᵀu − Σ w_i (p−1) (|u_i| / p w_i)^q` over `Aᵀu = 0`, `q = p/(p−1)`. At the minimum `u` is the
/// gradient; elsewhere the gradient is made feasible in two ways, and the better of the two is taken at its best scale.
fn power_bound(rows: &[Vec<f64>], r: &[DoubleDouble], w: &[f64], p: f64) -> DoubleDouble {
    let d = rows.first().map_or(0, Vec::len);
    let wide = DoubleDouble::from(p);
    let gradient = |(&r, &w): (&DoubleDouble, &f64)| {
        let size = r.abs().powf(wide - 1.0) * p * w;
        if r < DoubleDouble::ZERO { -size } else { size }
    };
    let u: Vec<DoubleDouble> = r.iter().zip(w).map(gradient).collect();
    // In the metric of second derivatives small multipliers stay small, which the dual value needs; what a direction that
    // this metric does not see leaves is taken away in the plain one.
    let curvature =
        |(r, w): (&DoubleDouble, &f64)| (w * r.to_f64().abs().max(1e-12).powf(p - 2.0)).sqrt().clamp(1e-120, 1e120);
    let h: Vec<f64> = r.iter().zip(w).map(curvature).collect();
    let bent = |j: usize| rows.iter().zip(&h).map(|(row, &h)| DoubleDouble::exact_product(row[j], h)).collect();
    let mut balanced: Vec<DoubleDouble> = u.iter().zip(&h).map(|(&u, &h)| u / h).collect();
    Basis::of((0..d).map(bent), DEPENDENT).project_off(&mut balanced);
    balanced.iter_mut().zip(&h).for_each(|(v, &h)| *v *= h.into());
    let plain = Basis::of((0..d).map(|j| column(rows, j)), DEPENDENT);
    let conjugate = wide / (wide - 1.0);
    let mut best = DoubleDouble::ZERO;
    for mut u in [u, balanced] {
        plain.project_off(&mut u);
        let along: DoubleDouble = u.iter().zip(r).map(|(&u, &r)| u * r).sum();
        let cost = |(u, &w): (&DoubleDouble, &f64)| (u.abs() / (wide * w)).powf(conjugate) * w * (wide - 1.0);
        let costs: DoubleDouble = u.iter().zip(w).map(cost).sum();
        if along > DoubleDouble::ZERO && costs > DoubleDouble::ZERO {
            // D(s) = s·along − s^q·costs is largest where its slope is zero, and along·s/p there.
            let s = (along / (conjugate * costs)).powf(wide - 1.0);
            best = best.max(s * along / wide);
        }
    }
    best
}

#[cfg(test)]
#[path = "regression_tests.rs"]
mod tests;
