//! `ℓ1` and quantile regression by a primal–dual interior point method with Mehrotra's correction (the Frisch–Newton
//! method of Portnoy and Koenker).
//!
//! `min_x Σ_i w_i ρ_τ(b_i − a_iᵀx)` with `ρ_τ(r) = r·(τ − [r < 0])` has the dual
//! `max_y { bᵀy : Aᵀy = (1 − τ) Aᵀw, 0 ≤ y ≤ w }` (shifted by a constant): bounds on `y`, one weighted Gram matrix per
//! step, 10 to 25 steps whatever the size.
//!
//! Besides the Gram matrix and three products with `A`, a step is five passes over eight vectors; they go in groups of
//! eight rows that the compiler keeps in registers, with zero rows at the end to fill the last group.
use samplewise_linalg::observe::{Observer, Progress};
use samplewise_linalg::{LinalgError, Matrix, factor, gram, sums};

/// Minimiser with its dual point.
#[derive(Clone, Debug, PartialEq)]
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
/// Slow steps in a row after which the method gives up.
const PATIENCE: usize = 9;
/// Rows in a group.
const GROUP: usize = 8;
/// One value for each row.
type Column = Vec<[f64; GROUP]>;

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
    solve_from(a, b, weights, tau, tolerance, &Start::default(), observer)
}

/// What is known beforehand.
#[derive(Default)]
pub(crate) struct Start<'a> {
    /// Coefficients nearby.
    pub(crate) x: Option<&'a [f64]>,
    /// A dual point nearby, if possible feasible.
    pub(crate) dual: Option<&'a [f64]>,
    /// A linear term `constant − coefficientsᵀx` of the objective.
    pub(crate) linear: Option<(&'a [f64], f64)>,
}

/// Share of the way from a dual point nearby to the centre at which the method starts again.
const BACK: f64 = 0.1;
/// Least multiplier at the start, in mean residuals: of a plain problem; with a linear term, whose equation has to be met
/// first; and from a dual point nearby.
const SPACER: f64 = 0.1;
const SPACER_LINEAR: f64 = 2.0;
const SPACER_NEAR: f64 = 0.3;
/// Steps between two recomputations of the fit, which is updated with what a step adds.
const REFRESH: usize = 5;

/// [`solve`] with a start and a linear term.
///
/// The linear term moves the primal equation to `Aᵀx = (1 − τ)Aᵀw − coefficients`, which the start does not obey: the
/// predictor and the corrector both take the way to it.
pub(crate) fn solve_from(
    a: &Matrix,
    b: &[f64],
    weights: Option<&[f64]>,
    tau: f64,
    tolerance: f64,
    start: &Start<'_>,
    observer: &mut dyn Observer,
) -> Result<Solution, LinalgError> {
    let (n, d) = (a.rows(), a.columns());
    let groups = n.div_ceil(GROUP);
    // Rows are scaled by their weights: w ρ(r) = ρ(w r). Then the bounds are 0 ≤ y ≤ 1.
    let weight = |i: usize| weights.map_or(1.0, |w| w[i]);
    let mut rows = Matrix::try_zeros(groups * GROUP, d)?;
    let mut c: Column = vec![[0.0; GROUP]; groups]; // minus the scaled target
    for i in 0..n {
        let w = weight(i);
        rows.row_mut(i).iter_mut().zip(a.row(i)).for_each(|(r, v)| *r = w * v);
        c[i / GROUP][i % GROUP] = -b[i] * w;
    }
    let a = &rows;
    let flat = c.as_flattened_mut();
    let scale = flat.iter().fold(0.0_f64, |m, v| m.max(v.abs())).max(f64::MIN_POSITIVE);
    flat.iter_mut().for_each(|v| *v /= scale);
    let zeros = || -> Column { vec![[0.0; GROUP]; groups] };

    let (mut x, mut s) = (vec![[1.0 - tau; GROUP]; groups], vec![[tau; GROUP]; groups]);
    // Start of the multipliers: the least-squares fit of c, or the solution nearby.
    let mut y = if let Some(x) = start.x {
        x.iter().map(|v| -v / scale).collect()
    } else {
        let normal = gram::gram(a, None, Some(c.as_flattened()))?;
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

    // What is missing in the primal equation.
    let mut missing = vec![0.0; d];
    if start.linear.is_some() || start.dual.is_some() {
        let ahead: Vec<f64> = x.as_flattened().iter().map(|x| 1.0 - tau - x).collect();
        a.multiply_transpose_vector_into(&ahead, &mut missing);
        if let Some((coefficients, _)) = start.linear {
            sums::axpy(-1.0, coefficients, &mut missing);
        }
    }
    let missing_at_first = sums::norm(&missing);
    // In scaled units, as a function of y.
    let linear = |y: &[f64]| start.linear.map_or(0.0, |(c, constant)| constant / scale + sums::dot(c, y));
    let (mut q, mut r, mut work, mut rhs) = (zeros(), zeros(), zeros(), zeros());
    let (mut inv_x, mut inv_s) = (zeros(), zeros());
    let (mut dx, mut dz, mut dw) = (zeros(), zeros(), zeros());
    let (mut iterations, mut converged, mut interrupted) = (0, false, false);
    let (mut best_gap, mut slow) = (f64::INFINITY, 0);
    let arch = pulp::Arch::new();
    while iterations < MAX_STEPS {
        let (mut gap, mut size) = ([0.0; GROUP], [0.0; GROUP]);
        arch.dispatch(
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
        let (gap, size) = (sum(gap), (sum(size) + linear(&y)).abs() + f64::MIN_POSITIVE);
        let progress = Progress { stage: "interior point", step: iterations, total: None, value: Some(gap / size) };
        interrupted = observer.step(progress).is_break();
        converged = (gap <= tolerance * size || gap <= 1e-14 * n as f64)
            && sums::norm(&missing) <= 1e-9 * (1.0 + missing_at_first);
        // Rounding ends the progress before the tolerance on degenerate data: the certificate will tell. One slow step is no
        // sign of it: at extreme quantiles and heavy tails several follow each other.
        slow = if gap > 0.9 * best_gap { slow + 1 } else { 0 };
        let stuck = iterations > 20 && slow >= PATIENCE;
        best_gap = best_gap.min(gap);
        if converged || interrupted || stuck {
            break;
        }
        iterations += 1;
        // Predictor: dy from AᵀQA dy = AᵀQ r, where the primal equation Aᵀx = const holds from the start.
        let normal = match gram::gram(a, Some(q.as_flattened()), Some(r.as_flattened())) {
            Ok(normal) => normal,
            Err(e) if iterations == 1 => return Err(e),
            // Weights that overflow at the end of the way.
            Err(_) => break,
        };
        let factor = match ridged(&normal.matrix) {
            Ok(factor) => factor,
            Err(e) if iterations == 1 => return Err(e),
            // Rounding at the end of the way: the iterate is the answer, its gap says how good it is.
            Err(_) => break,
        };
        let mut dy = normal.right;
        sums::axpy(1.0, &missing, &mut dy);
        factor.solve_in_place(&mut dy);
        a.multiply_vector_into(&dy, work.as_flattened_mut());
        let (mut primal, mut dual) = ([0.0_f64; GROUP], [0.0_f64; GROUP]);
        let (mut first, mut second, mut third) = ([0.0; GROUP], [0.0; GROUP], [0.0; GROUP]);
        arch.dispatch(
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
        let (mut fp, mut fd) = (step(primal), step(dual));
        if fp.min(fd) < 1.0 {
            let after = gap + fp * sum(first) + fd * sum(second) + fp * fd * sum(third);
            let target = gap * (after / gap).powi(3) / (2.0 * n as f64);
            // Corrector with the second-order terms of the predictor; `r` becomes the weighted right-hand side.
            arch.dispatch(
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
            a.multiply_transpose_vector_into(r.as_flattened(), &mut dy);
            sums::axpy(1.0, &missing, &mut dy);
            factor.solve_in_place(&mut dy);
            a.multiply_vector_into(&dy, work.as_flattened_mut());
            (primal, dual) = ([0.0; GROUP], [0.0; GROUP]);
            arch.dispatch(
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
            (fp, fd) = (step(primal), step(dual));
        }
        arch.dispatch(
            #[inline(always)]
            || {
                for g in 0..groups {
                    let (dx, dz, dw, work) = (&dx[g], &dz[g], &dw[g], &work[g]);
                    let (x, s, z, w, f) = (&mut x[g], &mut s[g], &mut z[g], &mut w[g], &mut fitted[g]);
                    for l in 0..GROUP {
                        x[l] += fp * dx[l];
                        s[l] -= fp * dx[l];
                        z[l] += fd * dz[l];
                        w[l] += fd * dw[l];
                        f[l] += fd * work[l];
                    }
                }
            },
        );
        sums::axpy(fd, &dy, &mut y);
        missing.iter_mut().for_each(|m| *m *= 1.0 - fp);
        if iterations.is_multiple_of(REFRESH) {
            a.multiply_vector_into(&y, fitted.as_flattened_mut());
        }
    }
    let x = x.as_flattened();
    Ok(Solution {
        x: y.iter().map(|v| -v * scale).collect(),
        dual: (0..n).map(|i| (x[i] - (1.0 - tau)) * weight(i)).collect(),
        iterations,
        converged,
        interrupted,
    })
}

/// A comparison instead of `max`, which the vectoriser takes apart for the sake of NaN.
#[inline(always)]
fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

fn sum(lanes: [f64; GROUP]) -> f64 {
    lanes.iter().sum()
}

/// Cholesky with a ridge at rounding level, so that the near-singular last steps go through.
fn ridged(g: &Matrix) -> Result<factor::Cholesky, LinalgError> {
    let d = g.rows();
    let trace: f64 = (0..d).map(|i| g[(i, i)]).sum();
    factor::Cholesky::new(g, 1e-15 * trace)
}

/// Share of the way to the boundary.
const DAMPING: f64 = 0.99995;

/// The step, from the largest share that a full one takes of what is left of any variable.
fn step(shares: [f64; GROUP]) -> f64 {
    let largest = shares.iter().copied().fold(0.0, f64::max);
    if largest > 0.0 { (DAMPING / largest).min(1.0) } else { 1.0 }
}
