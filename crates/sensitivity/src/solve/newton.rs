//! `ℓp` regression for `1 < p < ∞`: Newton's method with an exact line search, along a path of easier problems.
//!
//! Far from its minimum `Σ w_i |r_i|^p` has no curvature to speak of but in the largest residuals for large `p`, and kinks
//! for `p` near 1; Newton's steps from the least squares fit then come to rest early. For `p > 4` the exponent is doubled
//! from stage to stage, so that each stage begins where several residuals are of one size. For `p < 2` the loss is
//! `Σ w_i (r_i² + ε²)^{p/2}`, with `ε` from the size of a typical residual down to `10⁻¹⁰` of it.
use samplewise_linalg::observe::{Observer, Progress};
use samplewise_linalg::{LinalgError, factor, sums};

use crate::design::Design;
use crate::power::Power;

/// Coefficients and how they came.
#[derive(Clone, Debug)]
pub struct Solution {
    /// Coefficients of the columns.
    pub x: Vec<f64>,
    /// Number of steps.
    pub iterations: usize,
    /// True when the last step promised less than the tolerance.
    pub converged: bool,
    /// True when the observer stopped it.
    pub interrupted: bool,
}

/// Steps of one stage.
const MAX_STEPS: usize = 100;
/// Share of the value that a step of a stage before the last one must promise.
const ROUGH: f64 = 1e-3;
/// Smoothing of the last stage for `p < 2`, in typical residuals.
const SMOOTHEST: f64 = 1e-10;
/// Ridge of the Newton system, as a share of its trace: at first, and the factor by which it grows until the system can be
/// solved.
const RIDGE: f64 = 1e-14;
const MORE_RIDGE: f64 = 100.0;

/// One of the easier problems.
#[derive(Clone, Copy, Debug)]
struct Stage {
    p: f64,
    /// `ε`.
    smoothing: f64,
    accuracy: f64,
}

/// Minimises `Σ_i w_i |b_i − a_iᵀx|^p` from the start `x`, in whitened coordinates, until a step promises a relative decrease
/// below `tolerance` (row SEN-6).
///
/// # Errors
/// [`LinalgError`] of the products; singular systems are solved with a ridge.
pub(crate) fn solve(
    a: &Design<'_>,
    b: &[f64],
    weights: Option<&[f64]>,
    p: f64,
    tolerance: f64,
    x: Vec<f64>,
    observer: &mut dyn Observer,
) -> Result<Solution, LinalgError> {
    let n = b.len();
    let mut state = State { a, b, weights, x, residual: vec![0.0; n], direction: vec![0.0; n] };
    state.refresh();
    let mut out = Solution { x: Vec::new(), iterations: 0, converged: true, interrupted: false };
    let largest_target = b.iter().fold(0.0_f64, |m, b| m.max(b.abs()));
    // The rows can be met exactly, as whenever there are no more of them than columns: rounding is all there is.
    if state.largest() > 64.0 * f64::EPSILON * (a.rank() as f64 + 1.0) * largest_target {
        let typical = state.residual.iter().map(|r| r.abs()).sum::<f64>() / n as f64;
        for stage in stages(p, typical, tolerance) {
            state.minimise(stage, &mut out, observer)?;
            if out.interrupted {
                break;
            }
        }
    }
    out.x = state.x;
    Ok(out)
}

fn stages(p: f64, typical: f64, tolerance: f64) -> Vec<Stage> {
    let mut stages = Vec::new();
    if p > 2.0 {
        let mut q = 4.0;
        while q < p {
            stages.push(Stage { p: q, smoothing: 0.0, accuracy: ROUGH });
            q *= 2.0;
        }
        stages.push(Stage { p, smoothing: 0.0, accuracy: tolerance });
        return stages;
    }
    // The nearer to one, the sharper the kinks and the smaller the steps towards them.
    let factor = if p < 1.25 { 0.1 } else { 1e-3 };
    let mut smoothing = 0.1;
    while smoothing > SMOOTHEST {
        stages.push(Stage { p, smoothing: smoothing * typical, accuracy: ROUGH });
        smoothing *= factor;
    }
    stages.push(Stage { p, smoothing: SMOOTHEST * typical, accuracy: tolerance });
    stages
}

struct State<'a> {
    a: &'a Design<'a>,
    b: &'a [f64],
    weights: Option<&'a [f64]>,
    x: Vec<f64>,
    residual: Vec<f64>,
    direction: Vec<f64>,
}

impl State<'_> {
    fn refresh(&mut self) {
        self.a.multiply_into(&self.x, &mut self.residual);
        self.residual.iter_mut().zip(self.b).for_each(|(r, b)| *r = b - *r);
    }

    fn largest(&self) -> f64 {
        self.residual.iter().fold(0.0_f64, |m, r| m.max(r.abs()))
    }

    fn minimise(&mut self, stage: Stage, out: &mut Solution, observer: &mut dyn Observer) -> Result<(), LinalgError> {
        let n = self.b.len();
        let (mut bend, mut pull) = (vec![0.0; n], vec![0.0; n]);
        out.converged = false;
        let mut stalled = 0;
        for _ in 0..MAX_STEPS {
            let scale = self.largest();
            if scale == 0.0 {
                out.converged = true;
                break;
            }
            let loss = Smoothed::new(stage, scale, self.weights);
            let value = loss.value(&self.residual);
            let progress = Progress { stage: "newton", step: out.iterations, total: None, value: Some(value) };
            out.interrupted = observer.step(progress).is_break();
            if out.interrupted {
                break;
            }
            out.iterations += 1;
            for i in 0..n {
                let w = loss.weight(i);
                let (slope, curvature) = loss.derivatives(self.residual[i] / scale);
                pull[i] = w * slope;
                bend[i] = w * curvature;
            }
            let gradient = self.a.multiply_transpose(&pull);
            let gram = match self.a.gram(&bend, observer) {
                Err(LinalgError::Interrupted) => {
                    out.interrupted = true;
                    break;
                }
                gram => gram?,
            };
            let mut step = newton_step(&gram, &gradient)?;
            // In units of the residuals; the promise is half of the decrease of the quadratic model.
            let promised = 0.5 * stage.p * sums::dot(&gradient, &step);
            step.iter_mut().for_each(|s| *s *= scale);
            self.a.multiply_into(&step, &mut self.direction);
            let length = loss.search(&self.residual, &self.direction);
            sums::axpy(length, &step, &mut self.x);
            self.refresh();
            let gained = value - loss.value(&self.residual);
            if gained < 0.0 || gained.is_nan() {
                // Rounding: back to the better one.
                sums::axpy(-length, &step, &mut self.x);
                self.refresh();
            }
            if promised <= stage.accuracy * value {
                out.converged = true;
                break;
            }
            // Steps that promise and do not keep it: rounding is all there is.
            stalled = if gained <= 1e-15 * value { stalled + 1 } else { 0 };
            if stalled >= 3 {
                break;
            }
        }
        Ok(())
    }
}

/// `(G + ridge)⁻¹ g` with the least ridge that the rounding of `G` allows.
fn newton_step(g: &samplewise_linalg::Matrix, gradient: &[f64]) -> Result<Vec<f64>, LinalgError> {
    let d = g.rows();
    let trace: f64 = (0..d).map(|j| g[(j, j)]).sum();
    let mut ridge = RIDGE;
    loop {
        match factor::Cholesky::new(g, ridge * trace) {
            Ok(factor) => {
                let mut step = gradient.to_vec();
                factor.solve_in_place(&mut step);
                return Ok(step);
            }
            // No row has curvature: along the gradient, in coordinates in which the columns are orthonormal.
            Err(_) if ridge > 1.0 => return Ok(gradient.to_vec()),
            Err(_) => ridge *= MORE_RIDGE,
        }
    }
}

/// `Σ w_i ((r_i/scale)² + e²)^{p/2}`, plain powers where `e` is zero.
struct Smoothed<'a> {
    p: f64,
    e: f64,
    scale: f64,
    /// Exponents `p`, `p − 1`, `p − 2` of plain powers, or `p/2`, `p/2 − 1`, `p/2 − 2` of smoothed ones.
    powers: [Power; 3],
    weights: Option<&'a [f64]>,
}

/// Residuals below this share of the largest one have the curvature of those at it, for `p > 2`.
const FLAT: f64 = 1e-12;

impl<'a> Smoothed<'a> {
    fn new(stage: Stage, scale: f64, weights: Option<&'a [f64]>) -> Self {
        let p = stage.p;
        let powers = if stage.smoothing > 0.0 {
            [Power::new(0.5 * p), Power::new(0.5 * p - 1.0), Power::new(0.5 * p - 2.0)]
        } else {
            [Power::new(p), Power::new(p - 1.0), Power::new(p - 2.0)]
        };
        Self { p, e: stage.smoothing / scale, scale, powers, weights }
    }

    fn weight(&self, i: usize) -> f64 {
        self.weights.map_or(1.0, |w| w[i])
    }

    fn value(&self, r: &[f64]) -> f64 {
        sums::sum_by(r.len(), |i| {
            let s = r[i].abs() / self.scale;
            let power = if self.e > 0.0 { self.powers[0].of(s * s + self.e * self.e) } else { self.powers[0].of(s) };
            self.weight(i) * power
        })
    }

    /// First and second derivative over `p` at a scaled residual.
    #[inline]
    fn derivatives(&self, s: f64) -> (f64, f64) {
        let size = s.abs();
        if self.e == 0.0 {
            let curvature = (self.p - 1.0) * self.powers[2].of(size.max(FLAT));
            return (self.powers[1].of(size).copysign(s), curvature);
        }
        let square = s * s + self.e * self.e;
        let curvature = self.powers[2].of(square) * ((self.p - 1.0) * s * s + self.e * self.e);
        (s * self.powers[1].of(square), curvature)
    }

    /// Minimiser of the convex `t ↦ value(r − t·direction)` over `t ≥ 0`: Newton's method on its derivative, kept inside a
    /// bracket by bisection.
    fn search(&self, r: &[f64], direction: &[f64]) -> f64 {
        let at = |t: f64| {
            let mut bend = 0.0;
            let slope = sums::sum_by(r.len(), |i| {
                let along = direction[i] / self.scale;
                let (slope, curvature) = self.derivatives((r[i] - t * direction[i]) / self.scale);
                let w = self.weight(i) * along;
                bend += w * along * curvature;
                -w * slope
            });
            (slope, bend)
        };
        let (mut low, mut high) = (0.0, 8.0);
        while high < 1e6 && at(high).0 < 0.0 {
            (low, high) = (high, 8.0 * high);
        }
        let mut t = if low > 0.0 { 0.5 * (low + high) } else { 1.0 };
        for _ in 0..100 {
            let (width, (slope, bend)) = (high - low, at(t));
            if slope < 0.0 {
                low = t;
            } else {
                high = t;
            }
            // From the far side of a large power Newton's steps are short: the bracket is halved where they do not do it.
            let newton = t - slope / bend;
            let good = newton > low && newton < high && (high - low < 0.5 * width || (newton - t).abs() < 1e-3 * t);
            let next = if good { newton } else { f64::midpoint(low, high) };
            if (next - t).abs() <= 1e-6 * t || high - low <= 1e-12 * high {
                return next;
            }
            t = next;
        }
        t
    }
}
