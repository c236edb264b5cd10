//! The finish: Gauss–Newton on the problem with `U` eliminated (row COM-7).
//!
//! The change of `U` is one small least-squares problem per row once that of `V` is known, so the system of a step reduces
//! to its Schur complement on `V`. Conjugate gradients on that, preconditioned by the factored normal matrices of
//! the columns, need two passes over the entries per step, and half as many steps as on both factors: alternating
//! least squares would be the same iteration without the acceleration. Steps are damped (Levenberg and Marquardt), first
//! by the ridge that the factors come from, then by ever less: without that, steps from near the limit go too far.
//!
//! Residuals and factors are `f64`; the steps between them may be `f32` (mixed precision as in iterative refinement).

use samplewise_linalg::LinalgError;

use crate::control::Control;
use crate::data::entries::Entries;
use crate::data::state::State;
use crate::kernel::{KernelReal, Normal, Panel, coupling, gradient, reduced};

/// Why it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The residual is below the goal.
    Reached,
    /// The residual came to rest above it.
    AtRest,
    /// A limit was met.
    Stopped,
}

/// How far to go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    /// Root mean square residual at which to stop.
    pub residual: f64,
    /// Size of the values: below 1e-2 of it, steps are solved more accurately.
    pub spread: f64,
    /// Damping of the first step: the ridge that the factors come from.
    pub damping: f64,
    /// Most Gauss–Newton steps.
    pub outer: usize,
    /// Most conjugate gradient steps in each.
    pub inner: usize,
    /// At rest when the residual falls by no more than this factor, three steps in a row.
    pub progress: f64,
}

/// Damping after a step that was refused, and at most after one that went well.
const HARDER: f64 = 6.0;
const EASIER: f64 = 0.02;

/// Moves `state` (factors only: mean and biases must be zero) towards a zero of the residual; returns why it ended, with
/// the root mean square residual. `inner` are the same entries in the precision of the steps.
///
/// Row COM-7 of `paper-refs.md`.
pub(crate) fn gauss_newton<T: KernelReal>(
    entries: &Entries,
    inner: &Entries<T>,
    state: &mut State,
    goal: Goal,
    control: &mut Control<'_>,
) -> (End, f64) {
    let k = state.rank() as f64;
    let total = entries.total_weight();
    let rms = |squares: f64| (squares / total).sqrt();
    let mut here = Point::new(entries, Panel::copy(&state.u), Panel::copy(&state.v));
    if !here.squares.is_finite() {
        return (End::Stopped, f64::INFINITY);
    }
    let mut damping = goal.damping;
    let mut system: Option<System<'_, T>> = None;
    // How far the factors have moved since the factorisations were made.
    let mut moved = 0.0;
    let (mut slow, mut refused) = (0, 0);
    let mut end = End::Stopped;
    let mut floors = 4.0;
    for _ in 0..goal.outer {
        let residual = rms(here.squares);
        if residual <= goal.residual {
            end = End::Reached;
            break;
        }
        let stale =
            system.as_ref().is_none_or(|s| moved > 0.03 || damping > 1.01 * s.damping || damping < 0.2 * s.damping);
        if stale {
            let made = match &mut system {
                None => System::new(inner, &here.u, &here.v, damping).map(|new| system = Some(new)),
                Some(system) => system.update(&here.u, &here.v, damping),
            };
            if made.is_err() {
                break; // out of the range of the steps' precision
            }
            moved = 0.0;
            floors += k + 1.0;
        }
        let Some(system) = system.as_mut() else { break };
        system.follow(&here.u, &here.v);
        let relative = residual / goal.spread;
        let tolerance = if relative > 1e-2 { 0.1 } else { (0.3 * goal.residual / residual).clamp(1e-3, 0.03) };
        let (du, dv, steps) = system.step(&here, tolerance, goal.inner);
        floors += 4.0 + 5.0 * steps as f64;
        let there = here.moved(entries, &du, &dv);
        let gain = (there.squares / here.squares).sqrt();
        // A residual at its rounding error is as small as it gets.
        if gain.is_nan() || gain >= 1.0 {
            refused += 1;
            damping = damping.max(1e-6 * goal.damping) * HARDER;
            if refused > 8 || residual < 1e-12 * goal.spread {
                end = End::AtRest;
                break;
            }
        } else {
            moved += (dv.dot(&dv) / here.v.dot(&here.v)).sqrt();
            here = there;
            refused = 0;
            damping *= if gain < 0.5 {
                (gain * gain).clamp(EASIER, 0.2)
            } else if gain < 0.9 {
                0.4
            } else {
                0.7
            };
            slow = if gain > goal.progress { slow + 1 } else { 0 };
            if slow == 3 {
                end = End::AtRest;
                break;
            }
        }
        if !control.step("Gauss-Newton", floors, Some(rms(here.squares))) {
            break;
        }
        floors = 0.0;
    }
    if rms(here.squares) <= goal.residual {
        end = End::Reached;
    }
    (state.u, state.v) = (here.u.to_matrix(), here.v.to_matrix());
    (end, rms(here.squares))
}

/// Factors with the gradients (negative, halved) and the squared residual.
struct Point {
    u: Panel<f64>,
    v: Panel<f64>,
    gradient_u: Panel<f64>,
    gradient_v: Panel<f64>,
    squares: f64,
}

impl Point {
    fn new(entries: &Entries, u: Panel<f64>, v: Panel<f64>) -> Self {
        let mut gradient_u = Panel::zeros(u.rows(), u.columns);
        let mut gradient_v = Panel::zeros(v.rows(), v.columns);
        let squares = gradient(&entries.by_row, &u, &v, &mut gradient_u);
        gradient(&entries.by_column, &v, &u, &mut gradient_v);
        Self { u, v, gradient_u, gradient_v, squares }
    }

    fn moved<T: KernelReal>(&self, entries: &Entries, du: &Panel<T>, dv: &Panel<T>) -> Self {
        let add = |x: &Panel<f64>, d: &Panel<T>| {
            let mut sum = x.clone();
            sum.add(d);
            sum
        };
        Self::new(entries, add(&self.u, du), add(&self.v, dv))
    }
}

/// The linear system of one step: `(JᵀJ + damping·I) d = −gradient`, with `dU` eliminated.
struct System<'a, T: KernelReal> {
    entries: &'a Entries<T>,
    u: Panel<T>,
    v: Panel<T>,
    rows: Normal<T>,
    columns: Normal<T>,
    damping: f64,
}

impl<'a, T: KernelReal> System<'a, T> {
    fn new(entries: &'a Entries<T>, u: &Panel<f64>, v: &Panel<f64>, damping: f64) -> Result<Self, LinalgError> {
        let (u, v) = (Panel::convert(u), Panel::convert(v));
        let rows = Normal::new(&entries.by_row, &v, damping)?;
        let columns = Normal::new(&entries.by_column, &u, damping)?;
        Ok(Self { entries, u, v, rows, columns, damping })
    }

    /// New points with new factorisations.
    fn update(&mut self, u: &Panel<f64>, v: &Panel<f64>, damping: f64) -> Result<(), LinalgError> {
        self.follow(u, v);
        self.rows.update(&self.entries.by_row, &self.v, damping)?;
        self.columns.update(&self.entries.by_column, &self.u, damping)?;
        self.damping = damping;
        Ok(())
    }

    /// New points with the old factorisations, where they hardly moved.
    fn follow(&mut self, u: &Panel<f64>, v: &Panel<f64>) {
        (self.u, self.v) = (Panel::convert(u), Panel::convert(v));
    }

    /// Conjugate gradients on the Schur complement: changes of both factors, and the number of steps.
    fn step(&self, at: &Point, tolerance: f64, limit: usize) -> (Panel<T>, Panel<T>, usize) {
        let zeros = |like: &Panel<T>| Panel::<T>::zeros(like.rows(), like.columns);
        let (mut du, mut dv) = (zeros(&self.u), zeros(&self.v));
        let (mut t, mut z_u) = (zeros(&self.u), zeros(&self.u));
        let (mut z, mut q) = (zeros(&self.v), zeros(&self.v));
        let mut r: Panel<T> = Panel::convert(&at.gradient_v);
        // The part of dU that does not depend on dV, and what it leaves of the gradient.
        self.rows.solve(&Panel::convert(&at.gradient_u), &mut du);
        coupling(&self.entries.by_column, &self.v, &du, &self.u, &mut q);
        r.add_scaled(-1.0, &q);
        self.columns.solve(&r, &mut z);
        let mut p = z.clone();
        let mut gamma = r.dot(&z);
        let goal = gamma * tolerance * tolerance;
        for step in 0..limit {
            if gamma.is_nan() || gamma <= goal || gamma <= f64::MIN_POSITIVE {
                return (du, dv, step);
            }
            coupling(&self.entries.by_row, &self.u, &p, &self.v, &mut t);
            self.rows.solve(&t, &mut z_u);
            reduced(&self.entries.by_column, &p, &self.v, &z_u, &self.u, &mut q);
            q.add_scaled(self.damping, &p);
            let curvature = p.dot(&q);
            if curvature.is_nan() || curvature <= 0.0 {
                return (du, dv, step);
            }
            let alpha = gamma / curvature;
            dv.add_scaled(alpha, &p);
            du.add_scaled(-alpha, &z_u);
            r.add_scaled(-alpha, &q);
            self.columns.solve(&r, &mut z);
            let next = r.dot(&z);
            p.scale_add(next / gamma, &z);
            gamma = next;
        }
        (du, dv, limit)
    }
}
