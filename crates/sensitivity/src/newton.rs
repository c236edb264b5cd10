//! `ℓp` regression for `1 < p < ∞`: damped Newton on `Σ w_i |r_i|^p`.
//!
//! The Newton step solves `AᵀDA δ = AᵀD r` with `D = w|r|^{p−2}`; its full length is divided by `p − 1`, and an exact
//! line search along it makes every step a descent. For `p < 2` the curvature is bounded at residuals near zero.
use samplewise_linalg::observe::{Observer, Progress};
use samplewise_linalg::{LinalgError, chunk, factor};

use crate::design::Design;
use crate::power::Power;

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

/// Minimises `Σ_i w_i |b_i − a_iᵀx|^p` from the start `x`, in whitened coordinates, to a relative decrease below `tolerance`
/// (row SEN-6).
///
/// # Errors
/// [`LinalgError::NotPositiveDefinite`] when `A` has no full column rank.
pub(crate) fn solve(
    a: &Design<'_>,
    b: &[f64],
    weights: Option<&[f64]>,
    p: f64,
    tolerance: f64,
    mut x: Vec<f64>,
    observer: &mut dyn Observer,
) -> Result<Solution, LinalgError> {
    let n = b.len();
    let weight = |i: usize| weights.map_or(1.0, |w| w[i]);
    let (slope, curvature) = (Power::new(p - 1.0), Power::new(p - 2.0));
    let line = Line { power: Power::new(p), slope, curvature, p, weights };
    let mut residual = vec![0.0; n];
    let (mut direction, mut d, mut pull) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    let refresh = |x: &[f64], r: &mut [f64]| {
        a.multiply_into(x, r);
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
        let value = line.value(&residual, largest);
        let progress = Progress { stage: "newton", step: iterations, total: None, value: Some(value) };
        interrupted = observer.step(progress).is_break();
        if interrupted {
            break;
        }
        iterations += 1;
        // Gradient with the true |r|^{p−1}; curvature with the bounded one.
        let least = if p < 2.0 { floor } else { 1e-12 };
        for i in 0..n {
            let size = residual[i].abs() / largest;
            d[i] = weight(i) * curvature.of(size.max(least));
            pull[i] = weight(i) * (slope.of(size) * largest).copysign(residual[i]);
        }
        let g = a.gram(&d)?;
        let trace: f64 = (0..a.rank()).map(|j| g[(j, j)]).sum();
        let mut step = a.multiply_transpose(&pull);
        match factor::Cholesky::new(&g, 1e-14 * trace) {
            Ok(factor) => factor.solve_in_place(&mut step),
            // The curvature is gone from all but a few rows: what there is, is the answer.
            Err(e) if iterations == 1 => return Err(e),
            Err(_) => break,
        }
        a.multiply_into(&step, &mut direction);
        let length = line.search(&residual, &direction, largest);
        chunk::axpy(length, &step, &mut x);
        refresh(&x, &mut residual);
        let gained = value - line.value(&residual, largest);
        if gained < 0.0 {
            // Rounding: back to the better one.
            chunk::axpy(-length, &step, &mut x);
            refresh(&x, &mut residual);
        }
        if gained < -1e-9 * value {
            break;
        }
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

/// The objective along a line.
struct Line<'a> {
    power: Power,
    slope: Power,
    curvature: Power,
    p: f64,
    weights: Option<&'a [f64]>,
}

impl Line<'_> {
    fn weight(&self, i: usize) -> f64 {
        self.weights.map_or(1.0, |w| w[i])
    }

    fn value(&self, r: &[f64], scale: f64) -> f64 {
        chunk::sum_by(r.len(), |i| self.weight(i) * self.power.of(r[i].abs() / scale))
    }

    /// Minimiser of the convex `t ↦ Σ w|r − t·direction|^p` over `[0, 8]`: Newton's method on its derivative, kept inside a
    /// bracket by bisection.
    fn search(&self, r: &[f64], direction: &[f64], scale: f64) -> f64 {
        let at = |t: f64| {
            let mut bend = 0.0;
            let slope = chunk::sum_by(r.len(), |i| {
                let v = (r[i] - t * direction[i]) / scale;
                let w = self.weight(i) * direction[i];
                bend += w * direction[i] * self.curvature.of(v.abs().max(1e-9));
                -w * self.slope.of(v.abs()).copysign(v)
            });
            (slope, bend * (self.p - 1.0) / scale)
        };
        let (mut low, mut high) = (0.0, 8.0);
        let mut t = 1.0 / (self.p - 1.0).max(1.0);
        for _ in 0..40 {
            let (slope, bend) = at(t);
            if slope < 0.0 {
                low = t;
            } else {
                high = t;
            }
            let newton = t - slope / bend;
            let next = if newton > low && newton < high { newton } else { f64::midpoint(low, high) };
            if (next - t).abs() <= 1e-6 * t || high - low <= 1e-9 {
                return next;
            }
            t = next;
        }
        t
    }
}
