//! Coordinate descent on the residual over the working set, with Anderson extrapolation: for sets whose Gram matrix would be
//! too large, and on demand (for near-orthogonal sparse columns it can be the faster one).
use samplewise_linalg::chunk;

use crate::anderson::{self, MEMORY};
use crate::problem::{Kind, Problem};
use crate::working::Working;

/// A residual `t − Z w = plain + shift·q`: a sparse column moves by its mean without touching every row.
struct Split {
    plain: Vec<f64>,
    shift: f64,
}

/// Minimises over the members from the state whose residual is given; returns the number of sweeps.
pub(crate) fn descend(
    problem: &Problem<'_>,
    lambda: f64,
    accuracy: f64,
    limit: usize,
    working: &mut Working,
    residual: &[f64],
) -> usize {
    let mut state = Split { plain: residual.to_vec(), shift: 0.0 };
    let mut history: Vec<Vec<f64>> = vec![working.w.clone()];
    for sweep in 1..=limit {
        let worst = sweep_over(problem, lambda, working, &mut state);
        if worst <= accuracy * lambda {
            return sweep;
        }
        history.push(working.w.clone());
        if history.len() == MEMORY + 2 {
            extrapolate(problem, lambda, working, &mut state, &history);
            history = vec![working.w.clone()];
        }
    }
    limit
}

/// One sweep; returns the largest move relative to the column's penalty factor.
fn sweep_over(problem: &Problem<'_>, lambda: f64, working: &mut Working, state: &mut Split) -> f64 {
    let mut worst = 0.0_f64;
    for i in 0..working.len() {
        let j = working.ids[i];
        if problem.inverse[j] == 0.0 {
            continue;
        }
        let (a, b) = (lambda * problem.absolute[j], lambda * problem.quadratic[j]);
        let old = working.w[i];
        let z = correlation(problem, j, state) + old;
        let shrunk = (z.abs() - a).max(0.0).copysign(z) / (1.0 + b);
        let new = shrunk.clamp(problem.lower[j], problem.upper[j]);
        if new != old {
            add(problem, j, old - new, state);
            working.w[i] = new;
            let unit = if problem.absolute[j] > 0.0 { problem.absolute[j] } else { 1.0 };
            worst = worst.max((new - old).abs() * (1.0 + b) / unit);
        }
    }
    worst
}

/// `(1/n) z_jᵀ (plain + shift·q)`; `q·(plain + shift·q) = 0` with an intercept, so the mean of the column meets nothing.
fn correlation(problem: &Problem<'_>, j: usize, state: &Split) -> f64 {
    // zᵀplain without the mean's part, and z̃ᵀq = n·mean for the part along q.
    problem.correlation(j, &problem.seen(&state.plain)) + state.shift * problem.mean(j)
}

fn add(problem: &Problem<'_>, j: usize, change: f64, state: &mut Split) {
    let a = change * problem.inverse[j];
    match &problem.columns {
        Kind::Dense(c) => chunk::axpy(a, &c[j * problem.n..(j + 1) * problem.n], &mut state.plain),
        Kind::Sparse(c) => {
            let (at, x) = c.row(j);
            at.iter().zip(x).for_each(|(&i, &x)| state.plain[i as usize] += a * x);
            state.shift -= change * problem.mean(j);
        }
        Kind::Custom(_) => problem.subtract(std::iter::once((j, -change)), &mut state.plain),
    }
}

/// The combination of the last iterates whose differences cancel best, kept where it lowers the objective.
fn extrapolate(problem: &Problem<'_>, lambda: f64, working: &mut Working, state: &mut Split, history: &[Vec<f64>]) {
    let Some(mut candidate) = anderson::extrapolate(history) else { return };
    for (i, w) in candidate.iter_mut().enumerate() {
        *w = w.clamp(problem.lower[working.ids[i]], problem.upper[working.ids[i]]);
    }
    let objective = |w: &[f64], r: &[f64]| {
        let terms = working.ids.iter().copied().zip(w.iter().copied());
        0.5 * chunk::dot(r, r) / problem.n as f64 + problem.penalty(lambda, terms)
    };
    let mut now = state.plain.clone();
    let whole = |plain: &mut Vec<f64>| {
        // Adds the shift: subtracting nothing frees the residual of its part along q, which is exactly the shift.
        problem.centre(plain);
    };
    whole(&mut now);
    let moves: Vec<(usize, f64)> =
        (0..candidate.len()).map(|i| (working.ids[i], candidate[i] - working.w[i])).collect();
    let mut then = now.clone();
    problem.subtract(moves.into_iter(), &mut then);
    if objective(&candidate, &then) < objective(&working.w, &now) {
        working.w = candidate;
        *state = Split { plain: then, shift: 0.0 };
    }
}
