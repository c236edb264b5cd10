//! `ℓ1` and quantile regression by a primal–dual interior point method with Mehrotra's correction (the Frisch–Newton
//! method of Portnoy and Koenker).
//!
//! `min_x Σ_i w_i ρ_τ(b_i − a_iᵀx)` with `ρ_τ(r) = r·(τ − [r < 0])` has the dual
//! `max_y { bᵀy : Aᵀy = (1 − τ) Aᵀw, 0 ≤ y ≤ w }` (shifted by a constant): bounds on `y`, one weighted Gram matrix per
//! step, 10 to 25 steps whatever the size.
use samplewise_linalg::observe::{Observer, Progress};
use samplewise_linalg::{LinalgError, Matrix, chunk, factor, gram};

/// Minimiser with its dual point.
#[derive(Clone, Debug)]
pub struct Solution {
    /// Coefficients `x`.
    pub x: Vec<f64>,
    /// `y − (1 − τ)w`: a vector `u` with `Aᵀu = 0` (to rounding) and `−(1−τ)w ≤ u ≤ τw`, so `bᵀu` bounds the objective
    /// from below.
    pub dual: Vec<f64>,
    /// Steps.
    pub iterations: usize,
    /// True when the gap closed to the tolerance.
    pub converged: bool,
    /// True when the observer stopped it.
    pub interrupted: bool,
}

const MAX_STEPS: usize = 80;

/// Solves to a relative duality gap of `tolerance` (row SEN-6). Cost `n·d²` flops a step.
///
/// # Errors
/// [`LinalgError::NotPositiveDefinite`] when `A` has no full column rank (scale and reduce it first).
pub fn solve(
    a: &Matrix,
    b: &[f64],
    weights: Option<&[f64]>,
    tau: f64,
    tolerance: f64,
    observer: &mut dyn Observer,
) -> Result<Solution, LinalgError> {
    let (n, d) = (a.rows(), a.columns());
    // Rows are scaled by their weights: w ρ(r) = ρ(w r). Then the bounds are 0 ≤ y ≤ 1.
    let mut c: Vec<f64> = b.iter().map(|b| -b).collect(); // minus the scaled target
    let scaled = weights.map(|weights| {
        let mut scaled = a.clone();
        for (i, w) in weights.iter().enumerate() {
            scaled.row_mut(i).iter_mut().for_each(|v| *v *= w);
            c[i] *= w;
        }
        scaled
    });
    let a = scaled.as_ref().unwrap_or(a);
    let scale = c.iter().fold(0.0_f64, |m, v| m.max(v.abs())).max(f64::MIN_POSITIVE);
    c.iter_mut().for_each(|v| *v /= scale);

    let (mut x, mut s) = (vec![1.0 - tau; n], vec![tau; n]);
    // Start of the multipliers: the least-squares fit of c.
    let normal = gram::gram(a, None, Some(&c))?;
    let mut y = normal.right.clone();
    ridged(&normal.matrix)?.solve_in_place(&mut y);
    let mut fitted = vec![0.0; n];
    a.multiply_vector_into(&y, &mut fitted);
    let typical = (0..n).map(|i| (c[i] - fitted[i]).abs()).sum::<f64>() / n as f64;
    let spacer = (0.1 * typical).max(1e-8);
    let (mut z, mut w) = (vec![0.0; n], vec![0.0; n]);
    for i in 0..n {
        let r = c[i] - fitted[i];
        z[i] = r.max(0.0) + spacer;
        w[i] = (-r).max(0.0) + spacer;
    }

    let mut q = vec![0.0; n];
    let mut r = vec![0.0; n];
    let (mut work, mut rhs, mut weighted) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    let (mut dx, mut dz, mut dw) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    let (mut iterations, mut converged, mut interrupted) = (0, false, false);
    let mut best_gap = f64::INFINITY;
    while iterations < MAX_STEPS {
        let gap = chunk::dot(&z, &x) + chunk::dot(&w, &s);
        let size = objective(&c, &fitted, tau).abs() + f64::MIN_POSITIVE;
        let progress = Progress { stage: "interior point", step: iterations, total: None, value: Some(gap / size) };
        interrupted = observer.step(progress).is_break();
        converged = gap <= tolerance * size || gap <= 1e-14 * n as f64;
        // Rounding ends the progress before the tolerance on degenerate data: the certificate will tell.
        let stuck = iterations > 20 && gap > 0.9 * best_gap;
        best_gap = best_gap.min(gap);
        if converged || interrupted || stuck {
            break;
        }
        iterations += 1;
        for i in 0..n {
            q[i] = 1.0 / (z[i] / x[i] + w[i] / s[i]);
            r[i] = z[i] - w[i];
        }
        // Predictor: dy from AᵀQA dy = AᵀQ r, where the primal equation Aᵀx = const holds from the start.
        let normal = gram::gram(a, Some(&q), Some(&r))?;
        let factor = ridged(&normal.matrix)?;
        let mut dy = normal.right.clone();
        factor.solve_in_place(&mut dy);
        a.multiply_vector_into(&dy, &mut work);
        for i in 0..n {
            dx[i] = q[i] * (work[i] - r[i]);
            dz[i] = -z[i] * (1.0 + dx[i] / x[i]);
            dw[i] = -w[i] * (1.0 - dx[i] / s[i]);
        }
        let (mut fp, mut fd) = (step(&x, &s, &dx), dual_step(&z, &w, &dz, &dw));
        if fp.min(fd) < 1.0 {
            let mu = gap;
            let mut after = 0.0;
            for i in 0..n {
                after += (z[i] + fd * dz[i]) * (x[i] + fp * dx[i]) + (w[i] + fd * dw[i]) * (s[i] - fp * dx[i]);
            }
            let target = mu * (after / mu).powi(3) / (2.0 * n as f64);
            // Corrector with the second-order terms of the predictor.
            for i in 0..n {
                let (cross_z, cross_w) = (dx[i] * dz[i], -dx[i] * dw[i]);
                rhs[i] = r[i] - target / x[i] + cross_z / x[i] + target / s[i] - cross_w / s[i];
                weighted[i] = rhs[i] * q[i];
            }
            let mut right = vec![0.0; d];
            a.multiply_transpose_vector_into(&weighted, &mut right);
            dy = right;
            factor.solve_in_place(&mut dy);
            a.multiply_vector_into(&dy, &mut work);
            for i in 0..n {
                let (cross_z, cross_w) = (dx[i] * dz[i], -dx[i] * dw[i]);
                let new = q[i] * (work[i] - rhs[i]);
                dz[i] = (target - z[i] * x[i] - z[i] * new - cross_z) / x[i];
                dw[i] = (target - w[i] * s[i] + w[i] * new - cross_w) / s[i];
                dx[i] = new;
            }
            (fp, fd) = (step(&x, &s, &dx), dual_step(&z, &w, &dz, &dw));
        }
        for i in 0..n {
            x[i] += fp * dx[i];
            s[i] -= fp * dx[i];
            z[i] += fd * dz[i];
            w[i] += fd * dw[i];
        }
        chunk::axpy(fd, &dy, &mut y);
        a.multiply_vector_into(&y, &mut fitted);
    }
    Ok(Solution {
        x: y.iter().map(|v| -v * scale).collect(),
        dual: (0..n).map(|i| (x[i] - (1.0 - tau)) * weights.map_or(1.0, |w| w[i])).collect(),
        iterations,
        converged,
        interrupted,
    })
}

/// `Σ ρ_τ(b − A x)` in the scaled units: the residual is `fitted − c`.
fn objective(c: &[f64], fitted: &[f64], tau: f64) -> f64 {
    c.iter()
        .zip(fitted)
        .map(|(c, f)| {
            let r = f - c;
            if r >= 0.0 { tau * r } else { (tau - 1.0) * r }
        })
        .sum()
}

/// Cholesky with a ridge at rounding level, so that the near-singular last steps go through.
fn ridged(g: &Matrix) -> Result<factor::Cholesky, LinalgError> {
    let d = g.rows();
    let trace: f64 = (0..d).map(|i| g[(i, i)]).sum();
    factor::Cholesky::new(g, 1e-15 * trace)
}

/// Share of the way to the boundary.
const DAMPING: f64 = 0.99995;

fn step(x: &[f64], s: &[f64], dx: &[f64]) -> f64 {
    let mut limit = 1e20_f64;
    for i in 0..x.len() {
        if dx[i] < 0.0 {
            limit = limit.min(-x[i] / dx[i]);
        } else if dx[i] > 0.0 {
            limit = limit.min(s[i] / dx[i]);
        }
    }
    (DAMPING * limit).min(1.0)
}

fn dual_step(z: &[f64], w: &[f64], dz: &[f64], dw: &[f64]) -> f64 {
    let mut limit = 1e20_f64;
    for i in 0..z.len() {
        if dz[i] < 0.0 {
            limit = limit.min(-z[i] / dz[i]);
        }
        if dw[i] < 0.0 {
            limit = limit.min(-w[i] / dw[i]);
        }
    }
    (DAMPING * limit).min(1.0)
}
