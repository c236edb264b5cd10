//! Cyclic coordinate descent on a working set that grows until the gap over all columns is closed.
use samplewise_linalg::observe::{Observer, Progress};

use crate::duality::{Certificate, Problem, Residual};

/// State carried from one λ to the next.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub w: Vec<f64>,
    pub residual: Residual,
}

/// How a descent ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub certificate: Certificate,
    pub epochs: usize,
    pub converged: bool,
    pub interrupted: bool,
    pub working_set: usize,
}

/// Minimises at `lambda` to `gap ≤ tolerance` (absolute) from the state given (row LAS-2).
///
/// Each round computes all correlations (one pass over the table), from them the gap; then the columns nearest to
/// violating their constraint join the support in the working set, at most twice the support, and coordinate descent
/// runs on it until its own gap is a third of the global one.
pub(crate) fn minimise(
    problem: &Problem<'_>,
    lambda: f64,
    tolerance: f64,
    max_epochs: usize,
    state: &mut State,
    observer: &mut dyn Observer,
) -> Outcome {
    let p = state.w.len();
    let mut epochs = 0;
    let mut best_dual = f64::NEG_INFINITY;
    let mut size = 0;
    let mut rounds = 0;
    loop {
        let c = problem.correlations(&state.residual);
        let mut certificate = problem.certificate(lambda, &state.w, &state.residual, &c);
        best_dual = certificate.dual.max(best_dual); // any dual point of this λ certifies
        certificate.dual = best_dual;
        let done = certificate.gap() <= tolerance;
        let progress =
            Progress { stage: "coordinate descent", step: epochs, total: None, value: Some(certificate.gap()) };
        let interrupted = observer.step(progress).is_break();
        if done || interrupted || epochs >= max_epochs {
            return Outcome { certificate, epochs, converged: done, interrupted, working_set: size };
        }
        // Distance of each column from activity: columns of the support first, then the closest.
        let support = state.w.iter().filter(|w| **w != 0.0).count();
        size = (2 * support).max(16).max(size).min(p);
        if rounds > 0 && size < p {
            size = (size + size / 2).min(p); // the last set did not suffice
        }
        rounds += 1;
        let mut order: Vec<(f64, usize)> = (0..p)
            .map(|j| {
                let z = if problem.positive { c[j] } else { c[j].abs() };
                let slack = lambda * problem.mix * problem.factors[j] - z;
                (if state.w[j] == 0.0 { slack } else { f64::NEG_INFINITY }, j)
            })
            .collect();
        if size < p {
            order.select_nth_unstable_by(size - 1, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            order.truncate(size);
        }
        let mut set: Vec<usize> = order.into_iter().map(|o| o.1).collect();
        set.sort_unstable();
        let target = (certificate.gap() * 0.1).max(tolerance * 0.3);
        epochs += epochs_on(problem, lambda, target, max_epochs - epochs, &set, state);
    }
}

/// Epochs of coordinate descent on `set` until its gap is at most `target`; returns how many.
fn epochs_on(
    problem: &Problem<'_>,
    lambda: f64,
    target: f64,
    max_epochs: usize,
    set: &[usize],
    state: &mut State,
) -> usize {
    const CHECK: usize = 10;
    let mut epochs = 0;
    let mut dual = f64::NEG_INFINITY;
    while epochs < max_epochs {
        let mut moved = 0.0_f64;
        for &j in set {
            if problem.curvature[j] <= 0.0 {
                continue;
            }
            problem_step(problem, lambda, j, state, &mut moved);
        }
        epochs += 1;
        if moved == 0.0 {
            break;
        }
        if epochs % CHECK == 0 {
            let c: Vec<f64> = set.iter().map(|&j| problem.correlation(j, &state.residual)).collect();
            let certificate = restricted(problem, lambda, set, state, &c);
            dual = dual.max(certificate.dual);
            if certificate.primal - dual <= target {
                break;
            }
        }
    }
    epochs
}

/// The certificate of the problem that has only the columns of `set`.
fn restricted(problem: &Problem<'_>, lambda: f64, set: &[usize], state: &State, c: &[f64]) -> Certificate {
    let mut all = vec![0.0; state.w.len()];
    set.iter().zip(c).for_each(|(&j, &c)| all[j] = c);
    problem.certificate(lambda, &state.w, &state.residual, &all)
}

#[inline]
fn problem_step(problem: &Problem<'_>, lambda: f64, j: usize, state: &mut State, moved: &mut f64) {
    let old = state.w[j];
    let curvature = problem.curvature[j];
    let z = problem.correlation(j, &state.residual) + curvature * old;
    let threshold = lambda * problem.mix * problem.factors[j];
    let shrunk = if z > threshold {
        z - threshold
    } else if z < -threshold && !problem.positive {
        z + threshold
    } else {
        0.0
    };
    let new = shrunk / (curvature + lambda * (1.0 - problem.mix) * problem.factors[j]);
    if new != old {
        problem.move_coordinate(j, new - old, &mut state.residual);
        state.w[j] = new;
        *moved = moved.max((new - old).abs() * curvature.sqrt());
    }
}
