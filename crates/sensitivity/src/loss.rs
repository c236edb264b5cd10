//! What a regression minimises.
use samplewise_linalg::sums;

use crate::power::Power;

/// What is minimised over `x`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Loss {
    /// `Σ |b_i − a_iᵀx|^p`, `p ≥ 1`.
    Lp(f64),
    /// `Σ ρ_τ(b_i − a_iᵀx)`, `ρ_τ(r) = r(τ − [r < 0])`, `0 < τ < 1`. The median is `τ = 0.5`, half the `ℓ1` loss.
    Quantile(f64),
}

impl Loss {
    /// The loss of a residual vector.
    pub fn value(self, residual: &[f64]) -> f64 {
        let r = residual;
        match self {
            Loss::Lp(p) => {
                let power = Power::new(p);
                sums::sum_by(r.len(), |i| power.of(r[i].abs()))
            }
            Loss::Quantile(tau) => sums::sum_by(r.len(), |i| if r[i] >= 0.0 { tau * r[i] } else { (tau - 1.0) * r[i] }),
        }
    }

    /// What rounding of the residuals, by at most `rounding`, can do to the loss.
    pub(crate) fn rounding(self, residual: &[f64], rounding: &[f64]) -> f64 {
        match self {
            Loss::Quantile(tau) => tau.max(1.0 - tau) * sums::sum(rounding),
            Loss::Lp(p) => {
                let slope = Power::new(p - 1.0);
                p * sums::sum_by(residual.len(), |i| slope.of(residual[i].abs() + rounding[i]) * rounding[i])
            }
        }
    }

    pub(crate) fn exponent(self) -> f64 {
        match self {
            Loss::Lp(p) => p,
            Loss::Quantile(_) => 1.0,
        }
    }

    /// The quantile that this loss is about, if it is one.
    pub(crate) fn quantile(self) -> Option<f64> {
        match self {
            Loss::Lp(p) => (p == 1.0).then_some(0.5),
            Loss::Quantile(tau) => Some(tau),
        }
    }
}
