//! Scores of rows with two-sided bounds on their `ℓp` sensitivities.
use samplewise_linalg::leverage::{Whitening, row_norms_squared, whiten};
use samplewise_linalg::{LinalgError, Matrix};

use crate::SensitivityError;

/// How rows are scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Method {
    /// Every row alike: the baseline, without any guarantee.
    Uniform,
    /// Leverage scores `τ_i`: the `ℓ2` sensitivities.
    Leverage,
    /// `τ_i^{p/2}` for `p ≤ 2`, which bounds the sensitivity from above; for `p > 2` scaled by `n^{p/2−1}` and cut at 1.
    RootLeverage,
    /// Lewis weights for the given `p`.
    #[default]
    Lewis,
}

/// Scores, and what they say of the sensitivities.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// One score per row, proportional to the sampling probability.
    pub values: Vec<f64>,
    /// Lower bounds of the `ℓp` sensitivities.
    pub lower: Vec<f64>,
    /// Upper bounds of the `ℓp` sensitivities.
    pub upper: Vec<f64>,
    /// Sum of the scores.
    pub total: f64,
    /// Numerical rank of the table.
    pub rank: usize,
    /// Condition number of the column-scaled table.
    pub condition: f64,
    /// Lewis weights: largest relative change in the last step, which bounds the distance to the fixed point for
    /// `p < 4`; zero for the other methods.
    pub residual: f64,
    /// Lewis weights: steps taken.
    pub steps: usize,
}

/// Relative change at which the Lewis iteration stops: sampling needs a constant factor only.
const LEWIS_TOLERANCE: f64 = 1e-3;
const LEWIS_STEPS: usize = 100;

/// Scores the rows of `a` for exponent `p` (rows SEN-1 to SEN-3).
///
/// Cost one pass pair (`2nd²` flops) for leverage, times the steps (3 to 25) for Lewis weights.
///
/// # Errors
/// [`SensitivityError::Exponent`], [`SensitivityError::Data`].
pub fn scores(a: &Matrix, p: f64, method: Method) -> Result<Scores, SensitivityError> {
    check_exponent(p)?;
    let n = a.rows();
    let base = whiten(a, None)?;
    let leverage = row_norms_squared(a, &base.transform);
    let root = |t: f64| {
        let factor = if p <= 2.0 { 1.0 } else { (n as f64).powf(p / 2.0 - 1.0) };
        (factor * t.max(0.0).powf(p / 2.0)).min(1.0)
    };
    // ‖·‖_2 ≤ ‖·‖_p ≤ n^{1/p−1/2} ‖·‖_2 for p ≤ 2 and the reverse above bound s_i by the leverage score both ways.
    let reverse = |t: f64| {
        let factor = if p <= 2.0 { (n as f64).powf(p / 2.0 - 1.0) } else { 1.0 };
        (factor * t.max(0.0).powf(p / 2.0)).min(1.0)
    };
    let mut out = Scores {
        lower: leverage.iter().map(|&t| reverse(t)).collect(),
        upper: leverage.iter().map(|&t| root(t)).collect(),
        values: Vec::new(),
        total: 0.0,
        rank: base.rank,
        condition: base.condition,
        residual: 0.0,
        steps: 0,
    };
    match method {
        Method::Uniform => out.values = vec![1.0; n],
        Method::Leverage => out.values = leverage.iter().map(|t| t.clamp(0.0, 1.0)).collect(),
        Method::RootLeverage => out.values.clone_from(&out.upper),
        Method::Lewis => {
            let lewis = lewis_weights(a, p, &leverage, &base)?;
            (out.residual, out.steps) = (lewis.residual, lewis.steps);
            // SEN-3, for any positive w, converged or not: with Q = AᵀW^{1−2/p}A, f_i = (a_iᵀQ⁻¹a_i)^{p/2},
            // W = Σ w and c = max_j f_j^{2/p}/w_j^{2/p},
            // f_i / W^{1−p/2} ≤ s_i ≤ f_i c^{(2−p)/2} for p ≤ 2 and f_i / c^{(p−2)/2} ≤ s_i ≤ f_i W^{p/2−1} for p ≥ 2.
            let power = lewis.total.max(f64::MIN_POSITIVE).powf((p / 2.0 - 1.0).abs());
            let spread = lewis.spread.max(1.0).powf((p - 2.0).abs() / 2.0);
            let slack = 1.0 + 1e-9; // rounding of the quadratic forms
            for (i, &f) in lewis.forms.iter().enumerate() {
                let (low, high) = if p <= 2.0 { (f / power, f * spread) } else { (f / spread, f * power) };
                out.lower[i] = out.lower[i].max(low / slack).min(1.0);
                out.upper[i] = out.upper[i].min(high * slack).min(1.0).max(out.lower[i]);
            }
            out.values = lewis.weights;
        }
    }
    out.total = out.values.iter().sum();
    Ok(out)
}

pub(crate) fn check_exponent(p: f64) -> Result<(), SensitivityError> {
    if (1.0..=64.0).contains(&p) { Ok(()) } else { Err(SensitivityError::Exponent { p }) }
}

struct Lewis {
    weights: Vec<f64>,
    /// `(a_iᵀQ⁻¹a_i)^{p/2}` for the weights before the last step, their sum, and `max_j` of form over weight, to `2/p`.
    forms: Vec<f64>,
    total: f64,
    spread: f64,
    residual: f64,
    steps: usize,
}

/// The fixed point `w_i = τ_i(W^{1/2−1/p} A)` (row SEN-2).
///
/// For `p < 4` by `w ← (a_iᵀ (AᵀW^{1−2/p}A)⁻¹ a_i)^{p/2}`, a contraction with factor `|1 − p/2|`; from 4 on by the
/// damped geometric step with exponent `2/p`, which is `w ← τ(W^{1/2−1/p}A)`: no proof of convergence is known, so the
/// residual is reported as the certificate.
fn lewis_weights(a: &Matrix, p: f64, leverage: &[f64], base: &Whitening) -> Result<Lewis, LinalgError> {
    if p == 2.0 {
        let weights = leverage.iter().map(|t| t.clamp(0.0, 1.0)).collect();
        let total = leverage.iter().sum();
        return Ok(Lewis { forms: leverage.to_vec(), weights, total, spread: 1.0, residual: 0.0, steps: 0 });
    }
    if base.rank == 0 {
        let zeros = vec![0.0; a.rows()]; // a table of zeros
        return Ok(Lewis { weights: zeros.clone(), forms: zeros, total: 0.0, spread: 1.0, residual: 0.0, steps: 0 });
    }
    // Rows are whitened once, which takes the condition number of A out of every step.
    let white = a.multiply(&base.transform)?;
    let rank = base.rank as f64;
    let n = a.rows() as f64;
    let mut w: Vec<f64> = leverage.iter().map(|t| t.max(0.0).max(1e-3 * rank / n * t.max(0.0))).collect();
    let mut residual = f64::INFINITY;
    let mut steps = 0;
    let (mut raised, mut total, mut spread) = (Vec::new(), 0.0, 1.0_f64);
    while residual > LEWIS_TOLERANCE && steps < LEWIS_STEPS {
        // A row of zeros has weight zero, and must not be raised to a negative power.
        let row_weights: Vec<f64> = w.iter().map(|&w| if w > 0.0 { w.powf(1.0 - 2.0 / p) } else { 0.0 }).collect();
        let transform = whiten(&white, Some(&row_weights))?.transform;
        let forms = row_norms_squared(&white, &transform);
        residual = 0.0;
        total = w.iter().sum();
        raised = forms.iter().map(|q| q.max(0.0).powf(p / 2.0)).collect();
        spread = w.iter().zip(&raised).filter(|e| *e.0 > 0.0).fold(0.0, |m, (w, f)| m.max((f / w).powf(2.0 / p)));
        for (w, &q) in w.iter_mut().zip(&forms) {
            if *w <= 0.0 {
                continue;
            }
            let target = q.max(0.0).powf(p / 2.0);
            let new = if p < 4.0 { target } else { w.powf(1.0 - 2.0 / p) * target.powf(2.0 / p) };
            residual = f64::max(residual, (new / *w - 1.0).abs());
            *w = new;
        }
        steps += 1;
    }
    w.iter_mut().for_each(|w| *w = w.min(1.0));
    Ok(Lewis { weights: w, forms: raised, total, spread, residual, steps })
}
