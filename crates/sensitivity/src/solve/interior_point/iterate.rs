//! Where the method stands: variables and multipliers of every row, and the passes over them.
//!
//! Eight rows are a group that the compiler keeps in registers, with zero rows at the end to fill the last one.
use samplewise_linalg::observe::Observer;
use samplewise_linalg::{LinalgError, Matrix, gram, sums};

use super::{Start, ridged};

/// Rows in a group.
const GROUP: usize = 8;
/// One value for each row.
type Column = Vec<[f64; GROUP]>;

/// Share of the way from a dual point nearby to the centre at which the method starts again.
const BACK: f64 = 0.1;
/// Least multiplier at the start, in mean residuals: of a plain problem; with a linear term, whose equation has to be met
/// first; and from a dual point nearby.
const SPACER: f64 = 0.1;
const SPACER_LINEAR: f64 = 2.0;
const SPACER_NEAR: f64 = 0.3;
/// Share of the way to the boundary.
const DAMPING: f64 = 0.99995;

/// Rows scaled by their weights, and a point with `0 < x < 1`, `s = 1 − x` and multipliers `z`, `w` of the two bounds.
pub(super) struct Iterate {
    /// The table, scaled by the weights of the rows: `w ρ(r) = ρ(w r)`, so that the bounds are 0 and 1.
    pub a: Matrix,
    /// Minus the scaled target.
    c: Column,
    /// The table times `y`.
    fitted: Column,
    x: Column,
    s: Column,
    z: Column,
    w: Column,
    /// Weights and right-hand side of the normal equations of a step.
    q: Column,
    r: Column,
    inv_x: Column,
    inv_s: Column,
    dx: Column,
    dz: Column,
    dw: Column,
    rhs: Column,
    /// The table times a step of `y`.
    work: Column,
    /// Multipliers of the primal equation: minus the coefficients, in units of the largest target.
    pub y: Vec<f64>,
    /// What is missing in the primal equation.
    pub missing: Vec<f64>,
    /// Units of the target.
    pub scale: f64,
    tau: f64,
    rows: usize,
}

/// How far a direction may be followed, and what the gap becomes on the way.
pub(super) struct Reach {
    /// Of the variables.
    pub primal: f64,
    /// Of the multipliers.
    pub dual: f64,
    /// Terms of the gap after shares `p` and `d`: `gap + p·first + d·second + p·d·third`.
    pub gap_terms: [f64; 3],
}

impl Iterate {
    /// The start: the least-squares fit, or the solution nearby.
    pub fn new(
        (a, b, weights): (&Matrix, &[f64], Option<&[f64]>),
        tau: f64,
        start: &Start<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Self, LinalgError> {
        let (n, d) = (a.rows(), a.columns());
        let groups = n.div_ceil(GROUP);
        let mut rows = Matrix::try_zeros(groups * GROUP, d)?;
        let mut c: Column = vec![[0.0; GROUP]; groups];
        for i in 0..n {
            let w = weights.map_or(1.0, |w| w[i]);
            rows.row_mut(i).iter_mut().zip(a.row(i)).for_each(|(r, v)| *r = w * v);
            c[i / GROUP][i % GROUP] = -b[i] * w;
        }
        let a = rows;
        let flat = c.as_flattened_mut();
        let scale = flat.iter().fold(0.0_f64, |m, v| m.max(v.abs())).max(f64::MIN_POSITIVE);
        flat.iter_mut().for_each(|v| *v /= scale);
        let zeros = || -> Column { vec![[0.0; GROUP]; groups] };
        let (mut x, mut s) = (vec![[1.0 - tau; GROUP]; groups], vec![[tau; GROUP]; groups]);
        let y = if let Some(x) = start.x {
            x.iter().map(|v| -v / scale).collect()
        } else {
            let normal = gram::gram_observed(&a, None, Some(c.as_flattened()), observer)?;
            let mut y = normal.right;
            ridged(&normal.matrix)?.solve_in_place(&mut y);
            y
        };
        if let Some(dual) = start.dual {
            for (i, u) in dual.iter().enumerate() {
                let value = (u + 1.0 - tau).clamp(0.0, 1.0);
                let inside = value + BACK * (1.0 - tau - value);
                (x[i / GROUP][i % GROUP], s[i / GROUP][i % GROUP]) = (inside, 1.0 - inside);
            }
        }
        let mut fitted = zeros();
        a.multiply_vector_into(&y, fitted.as_flattened_mut());
        let typical =
            c.as_flattened().iter().zip(fitted.as_flattened()).map(|(c, f)| (c - f).abs()).sum::<f64>() / n as f64;
        let share = match start {
            Start { dual: Some(_), .. } => SPACER_NEAR,
            Start { linear: Some(_), .. } => SPACER_LINEAR,
            _ => SPACER,
        };
        let spacer = (share * typical).max(1e-14);
        let (mut z, mut w) = (zeros(), zeros());
        for g in 0..groups {
            for l in 0..GROUP {
                let r = c[g][l] - fitted[g][l];
                z[g][l] = r.max(0.0) + spacer;
                w[g][l] = (-r).max(0.0) + spacer;
            }
        }
        let mut missing = vec![0.0; d];
        if start.linear.is_some() || start.dual.is_some() {
            let ahead: Vec<f64> = x.as_flattened().iter().map(|x| 1.0 - tau - x).collect();
            a.multiply_transpose_vector_into(&ahead, &mut missing);
            if let Some((coefficients, _)) = start.linear {
                sums::axpy(-1.0, coefficients, &mut missing);
            }
        }
        let (q, r, work, rhs, inv_x) = (zeros(), zeros(), zeros(), zeros(), zeros());
        let (inv_s, dx, dz, dw) = (zeros(), zeros(), zeros(), zeros());
        let rows = n;
        Ok(Self { a, c, fitted, x, s, z, w, q, r, inv_x, inv_s, dx, dz, dw, rhs, work, y, missing, scale, tau, rows })
    }

    /// The duality gap and the loss of the fit; prepares weights and right-hand side of the step.
    pub fn measure(&mut self) -> (f64, f64) {
        let (mut gap, mut size) = ([0.0; GROUP], [0.0; GROUP]);
        let (tau, groups) = (self.tau, self.x.len());
        let (x, s, z, w, c, fitted) = (&self.x, &self.s, &self.z, &self.w, &self.c, &self.fitted);
        let (q, r, inv_x, inv_s) = (&mut self.q, &mut self.r, &mut self.inv_x, &mut self.inv_s);
        samplewise_linalg::dispatch::widest(
            #[inline(always)]
            || {
                for g in 0..groups {
                    let (x, s, z, w) = (&x[g], &s[g], &z[g], &w[g]);
                    let (q, r, inv_x, inv_s) = (&mut q[g], &mut r[g], &mut inv_x[g], &mut inv_s[g]);
                    let (c, f) = (&c[g], &fitted[g]);
                    for l in 0..GROUP {
                        inv_x[l] = 1.0 / x[l];
                        inv_s[l] = 1.0 / s[l];
                        q[l] = 1.0 / (z[l] * inv_x[l] + w[l] * inv_s[l]);
                        r[l] = z[l] - w[l];
                        gap[l] += z[l] * x[l] + w[l] * s[l];
                        // ρ_τ of the residual, which is fitted − c here.
                        let residual = f[l] - c[l];
                        size[l] += tau * residual - residual.min(0.0);
                    }
                }
            },
        );
        (sum(gap), sum(size))
    }

    /// `AᵀQA` and `AᵀQr`.
    pub fn normal_equations(&self, observer: &mut dyn Observer) -> Result<gram::Gram, LinalgError> {
        gram::gram_observed(&self.a, Some(self.q.as_flattened()), Some(self.r.as_flattened()), observer)
    }

    /// The direction of Newton's method to a gap of zero, for its step of `y`.
    pub fn predict(&mut self, dy: &[f64]) -> Reach {
        self.a.multiply_vector_into(dy, self.work.as_flattened_mut());
        let (mut primal, mut dual) = ([0.0_f64; GROUP], [0.0_f64; GROUP]);
        let (mut first, mut second, mut third) = ([0.0; GROUP], [0.0; GROUP], [0.0; GROUP]);
        let groups = self.x.len();
        let (x, s, z, w, q, r) = (&self.x, &self.s, &self.z, &self.w, &self.q, &self.r);
        let (inv_x, inv_s, work) = (&self.inv_x, &self.inv_s, &self.work);
        let (dx, dz, dw) = (&mut self.dx, &mut self.dz, &mut self.dw);
        samplewise_linalg::dispatch::widest(
            #[inline(always)]
            || {
                for g in 0..groups {
                    let (x, s, z, w, q, r) = (&x[g], &s[g], &z[g], &w[g], &q[g], &r[g]);
                    let (inv_x, inv_s, work) = (&inv_x[g], &inv_s[g], &work[g]);
                    let (dx, dz, dw) = (&mut dx[g], &mut dz[g], &mut dw[g]);
                    for l in 0..GROUP {
                        dx[l] = q[l] * (work[l] - r[l]);
                        let (to_x, to_s) = (dx[l] * inv_x[l], dx[l] * inv_s[l]);
                        dz[l] = -z[l] * (1.0 + to_x);
                        dw[l] = -w[l] * (1.0 - to_s);
                        primal[l] = larger(primal[l], larger(-to_x, to_s));
                        dual[l] = larger(dual[l], larger(1.0 + to_x, 1.0 - to_s));
                        first[l] += (z[l] - w[l]) * dx[l];
                        second[l] += x[l] * dz[l] + s[l] * dw[l];
                        third[l] += (dz[l] - dw[l]) * dx[l];
                    }
                }
            },
        );
        let gap_terms = [sum(first), sum(second), sum(third)];
        Reach { primal: step(primal), dual: step(dual), gap_terms }
    }

    /// The gap to aim at, from the one that the predictor would leave.
    pub fn target(&self, gap: f64, reach: &Reach) -> f64 {
        let [first, second, third] = reach.gap_terms;
        let (fp, fd) = (reach.primal, reach.dual);
        let after = gap + fp * first + fd * second + fp * fd * third;
        gap * (after / gap).powi(3) / (2.0 * self.rows as f64)
    }

    /// The right-hand side of the corrector, with the second-order terms of the predictor, into a step of `y`.
    pub fn correction(&mut self, target: f64, dy: &mut [f64]) {
        let groups = self.x.len();
        let (q, dx, dz, dw) = (&self.q, &self.dx, &self.dz, &self.dw);
        let (inv_x, inv_s) = (&self.inv_x, &self.inv_s);
        let (r, rhs) = (&mut self.r, &mut self.rhs);
        samplewise_linalg::dispatch::widest(
            #[inline(always)]
            || {
                for g in 0..groups {
                    let (q, dx, dz, dw) = (&q[g], &dx[g], &dz[g], &dw[g]);
                    let (inv_x, inv_s) = (&inv_x[g], &inv_s[g]);
                    let (r, rhs) = (&mut r[g], &mut rhs[g]);
                    for l in 0..GROUP {
                        let (cross_z, cross_w) = (dx[l] * dz[l], -dx[l] * dw[l]);
                        rhs[l] = r[l] + (cross_z - target) * inv_x[l] + (target - cross_w) * inv_s[l];
                        r[l] = rhs[l] * q[l];
                    }
                }
            },
        );
        self.a.multiply_transpose_vector_into(self.r.as_flattened(), dy);
        sums::axpy(1.0, &self.missing, dy);
    }

    /// The corrected direction, for its step of `y`: how far the variables and the multipliers may follow it.
    pub fn correct(&mut self, target: f64, dy: &[f64]) -> (f64, f64) {
        self.a.multiply_vector_into(dy, self.work.as_flattened_mut());
        let (mut primal, mut dual) = ([0.0; GROUP], [0.0; GROUP]);
        let groups = self.x.len();
        let (x, s, z, w, q, rhs) = (&self.x, &self.s, &self.z, &self.w, &self.q, &self.rhs);
        let (inv_x, inv_s, work) = (&self.inv_x, &self.inv_s, &self.work);
        let (dx, dz, dw) = (&mut self.dx, &mut self.dz, &mut self.dw);
        samplewise_linalg::dispatch::widest(
            #[inline(always)]
            || {
                for g in 0..groups {
                    let (x, s, z, w, q, rhs) = (&x[g], &s[g], &z[g], &w[g], &q[g], &rhs[g]);
                    let (inv_x, inv_s, work) = (&inv_x[g], &inv_s[g], &work[g]);
                    let (dx, dz, dw) = (&mut dx[g], &mut dz[g], &mut dw[g]);
                    for l in 0..GROUP {
                        let (cross_z, cross_w) = (dx[l] * dz[l], -dx[l] * dw[l]);
                        let new = q[l] * (work[l] - rhs[l]);
                        dz[l] = (target - z[l] * x[l] - z[l] * new - cross_z) * inv_x[l];
                        dw[l] = (target - w[l] * s[l] + w[l] * new - cross_w) * inv_s[l];
                        dx[l] = new;
                        primal[l] = larger(primal[l], larger(-new * inv_x[l], new * inv_s[l]));
                        dual[l] = larger(dual[l], larger(-dz[l] / z[l], -dw[l] / w[l]));
                    }
                }
            },
        );
        (step(primal), step(dual))
    }

    /// Takes the step: shares of the direction of the variables and of the multipliers.
    pub fn advance(&mut self, (primal, dual): (f64, f64), dy: &[f64]) {
        let groups = self.x.len();
        let (dx, dz, dw, work) = (&self.dx, &self.dz, &self.dw, &self.work);
        let (x, s, z, w) = (&mut self.x, &mut self.s, &mut self.z, &mut self.w);
        let fitted = &mut self.fitted;
        samplewise_linalg::dispatch::widest(
            #[inline(always)]
            || {
                for g in 0..groups {
                    let (dx, dz, dw, work) = (&dx[g], &dz[g], &dw[g], &work[g]);
                    let (x, s, z, w, f) = (&mut x[g], &mut s[g], &mut z[g], &mut w[g], &mut fitted[g]);
                    for l in 0..GROUP {
                        x[l] += primal * dx[l];
                        s[l] -= primal * dx[l];
                        z[l] += dual * dz[l];
                        w[l] += dual * dw[l];
                        f[l] += dual * work[l];
                    }
                }
            },
        );
        sums::axpy(dual, dy, &mut self.y);
        self.missing.iter_mut().for_each(|m| *m *= 1.0 - primal);
    }

    /// Computes the fit anew, which steps only add to.
    pub fn refresh(&mut self) {
        self.a.multiply_vector_into(&self.y, self.fitted.as_flattened_mut());
    }

    /// `x − (1 − τ)` of every row, times its weight.
    pub fn dual(&self, weights: Option<&[f64]>) -> Vec<f64> {
        let x = self.x.as_flattened();
        (0..self.rows).map(|i| (x[i] - (1.0 - self.tau)) * weights.map_or(1.0, |w| w[i])).collect()
    }
}

/// A comparison instead of `max`, which the vectoriser takes apart for the sake of NaN.
#[inline(always)]
fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

fn sum(lanes: [f64; GROUP]) -> f64 {
    lanes.iter().sum()
}

/// The step, from the largest share that a full one takes of what is left of any variable.
fn step(shares: [f64; GROUP]) -> f64 {
    let largest = shares.iter().copied().fold(0.0, f64::max);
    if largest > 0.0 { (DAMPING / largest).min(1.0) } else { 1.0 }
}
