//! `ℓp` regression for `1 < p < ∞`: damped Newton on `Σ w_i |r_i|^p`.
//!
//! The Newton step solves `AᵀDA δ = AᵀD r` with `D = w|r|^{p−2}`; its full length is divided by `p − 1`, and an exact
//! line search along it makes every step a descent. For `p < 2` the curvature is bounded at residuals near zero.
use samplewise_linalg::observe::{Observer, Progress};
use samplewise_linalg::{LinalgError, Matrix, chunk, factor, gram};

/// Coefficients and how they came.
#[derive(Clone, Debug)]
pub struct Solution {
    /// Coefficients.
    pub x: Vec<f64>,
    /// Steps.
    pub iterations: usize,
    /// True when the last step gained less than the tolerance.
    pub converged: bool,
    /// True when the observer stopped it.
    pub interrupted: bool,
}

const MAX_STEPS: usize = 200;

/// Minimises `Σ_i w_i |b_i − a_iᵀx|^p` from the start `x`, to a relative decrease below `tolerance` (row SEN-6).
///
/// # Errors
/// [`LinalgError::NotPositiveDefinite`] when `A` has no full column rank.
pub fn solve(
    a: &Matrix,
    b: &[f64],
    weights: &[f64],
    p: f64,
    tolerance: f64,
    mut x: Vec<f64>,
    observer: &mut dyn Observer,
) -> Result<Solution, LinalgError> {
    let n = a.rows();
    let mut residual = vec![0.0; n];
    let mut direction = vec![0.0; n];
    let refresh = |x: &[f64], r: &mut [f64]| {
        a.multiply_vector_into(x, r);
        r.iter_mut().zip(b).for_each(|(r, b)| *r = b - *r);
    };
    refresh(&x, &mut residual);
    let (mut iterations, mut converged, mut interrupted) = (0, false, false);
    // Bound on the curvature for p < 2, as a share of the largest residual; lowered whenever progress stalls.
    let mut floor = 1e-3;
    while iterations < MAX_STEPS {
        let largest = residual.iter().fold(0.0_f64, |m, r| m.max(r.abs()));
        if largest == 0.0 {
            converged = true;
            break;
        }
        let value = objective(&residual, weights, p, largest);
        let progress = Progress { stage: "newton", step: iterations, total: None, value: Some(value) };
        interrupted = observer.step(progress).is_break();
        if interrupted {
            break;
        }
        iterations += 1;
        let d: Vec<f64> = residual
            .iter()
            .zip(weights)
            .map(|(r, w)| w * (r.abs() / largest).max(if p < 2.0 { floor } else { 1e-12 }).powf(p - 2.0))
            .collect();
        // Gradient with the true |r|^{p−1}; curvature with the bounded one.
        let pull: Vec<f64> = residual
            .iter()
            .zip(weights)
            .map(|(r, w)| w * (r.abs() / largest).powf(p - 1.0) * r.signum() * largest)
            .collect();
        let g = gram::gram(a, Some(&d), None)?;
        let trace: f64 = (0..a.columns()).map(|j| g.matrix[(j, j)]).sum();
        let mut step = vec![0.0; a.columns()];
        a.multiply_transpose_vector_into(&pull, &mut step);
        factor::Cholesky::new(&g.matrix, 1e-14 * trace)?.solve_in_place(&mut step);
        a.multiply_vector_into(&step, &mut direction);
        let length = line_search(&residual, &direction, weights, p, largest);
        chunk::axpy(length, &step, &mut x);
        refresh(&x, &mut residual);
        let gained = value - objective(&residual, weights, p, largest);
        if gained <= tolerance * value {
            if p >= 2.0 || floor <= 1e-12 {
                converged = true;
                break;
            }
            floor *= 1e-3;
        }
    }
    Ok(Solution { x, iterations, converged, interrupted })
}

fn objective(r: &[f64], weights: &[f64], p: f64, scale: f64) -> f64 {
    let terms: Vec<f64> = r.iter().zip(weights).map(|(r, w)| w * (r.abs() / scale).powf(p)).collect();
    chunk::sum(&terms)
}

/// Minimiser of the convex `t ↦ Σ w|r − t·direction|^p` over `[0, 8]`, by bisection on its derivative.
fn line_search(r: &[f64], direction: &[f64], weights: &[f64], p: f64, scale: f64) -> f64 {
    let slope = |t: f64| -> f64 {
        let terms: Vec<f64> = r
            .iter()
            .zip(direction)
            .zip(weights)
            .map(|((r, d), w)| {
                let v = (r - t * d) / scale;
                -w * v.abs().powf(p - 1.0) * v.signum() * d
            })
            .collect();
        chunk::sum(&terms)
    };
    let (mut low, mut high) = (0.0, 1.0);
    while high < 8.0 && slope(high) < 0.0 {
        low = high;
        high *= 2.0;
    }
    for _ in 0..30 {
        let middle = f64::midpoint(low, high);
        if slope(middle) < 0.0 { low = middle } else { high = middle }
    }
    low
}
