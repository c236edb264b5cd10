//! Coordinate descent on the residual over the working set, with Anderson extrapolation: for near-orthogonal sparse columns,
//! where a few sweeps cost less than the Gram matrix of the set, for sets whose Gram matrix would be too large, and on
//! demand.
use samplewise_linalg::observe::{Progress, Watch};
use samplewise_linalg::sums;

use crate::kernel::correlate;
use crate::problem::{Kind, Problem};
use crate::working_set::anderson::{self, MEMORY};
use crate::working_set::set::{Target, Working};

/// Sweeps between two looks at the gap.
const CHECK: usize = 4;

/// A residual `t − Z w = plain + shift·q`: a sparse column moves by its mean without touching every row.
struct Split {
    plain: Vec<f64>,
    shift: f64,
}

/// What [`descend`] did.
///
/// Row LAS-2 of `paper-refs.md`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descent {
    pub sweeps: usize,
    /// Entries of columns that were read or added.
    pub entries: usize,
    /// Whether the target is met.
    pub met: bool,
    /// Whether it is too dear to go on.
    pub dear: bool,
}

/// When [`descend`] ends without having met its target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub sweeps: usize,
    /// Entries to read or add: in all, and from where it seems that so many more will be needed.
    pub entries: usize,
    pub outlook: usize,
    /// Share of the first largest move that is enough for now.
    pub share: f64,
}

/// Minimises over the members from the state whose residual is given.
pub(crate) fn descend(
    problem: &Problem<'_>,
    lambda: f64,
    target: Target,
    limits: Limits,
    (working, residual): (&mut Working, &[f64]),
    watch: &mut Watch<'_>,
) -> Descent {
    let mut state = Split { plain: residual.to_vec(), shift: 0.0 };
    let mut history: Vec<Vec<f64>> = vec![working.w.clone()];
    let mut done = Descent { sweeps: 0, entries: 0, met: false, dear: false };
    let mut enough = 0.0;
    let mut moves: Vec<f64> = Vec::new();
    while done.sweeps < limits.sweeps && done.entries < limits.entries {
        done.sweeps += 1;
        let (worst, entries) = sweep_over(problem, lambda, working, &mut state);
        let worst = worst / lambda;
        done.entries += entries;
        if worst <= target.accuracy {
            done.met = true;
            break;
        }
        if done.sweeps == 1 {
            enough = limits.share * worst;
        } else if worst <= enough {
            break;
        }
        if problem.plain && done.sweeps.is_multiple_of(CHECK) {
            done.entries += entries;
            if gap(problem, lambda, target, (working, &state), watch) <= target.gap {
                done.met = true;
                break;
            }
        }
        let progress = Progress { stage: "sweeps", step: done.sweeps, total: None, value: Some(worst) };
        if watch.stops(progress) {
            break;
        }
        moves.push(worst);
        if limits.outlook < usize::MAX
            && remaining(problem, lambda, target, working, &moves) * entries as f64 > limits.outlook as f64
        {
            done.dear = true;
            break;
        }
        history.push(working.w.clone());
        if history.len() == MEMORY + 2 {
            done.entries += entries;
            extrapolate(problem, lambda, working, &mut state, &history);
            history = vec![working.w.clone()];
        }
    }
    done.dear |= !done.met && done.entries >= limits.entries;
    done
}

/// Sweeps that are still needed if the largest move goes on falling as over the last sweeps; zero where that says nothing.
fn remaining(problem: &Problem<'_>, lambda: f64, target: Target, working: &Working, moves: &[f64]) -> f64 {
    let [.., first, _, _, last] = moves else { return 0.0 };
    // A violation `v` adds about `v Σ λa|w|` to the gap.
    let l1 = problem.penalty(lambda, working.nonzeros());
    let wanted = if problem.plain && l1 > 0.0 { target.accuracy.max(target.gap / l1) } else { target.accuracy };
    let fall = (last / first).ln() / 3.0;
    if fall >= 0.0 || wanted >= *last { 0.0 } else { (wanted / last).ln() / fall }
}

/// Gap of the problem that has only the members.
fn gap(
    problem: &Problem<'_>,
    lambda: f64,
    target: Target,
    (working, state): (&mut Working, &Split),
    watch: &mut Watch<'_>,
) -> f64 {
    let mut whole = state.plain.clone();
    problem.centre(&mut whole);
    let c = correlate(problem, &working.ids, std::slice::from_ref(&whole), watch);
    for (i, c) in c.iter().enumerate() {
        working.g[i] = c[0] - lambda * problem.quadratic[working.ids[i]] * working.w[i];
    }
    working.gap(problem, lambda, target.squares)
}

/// One sweep; returns the largest move relative to the column's penalty factor, and the entries that it read or added.
fn sweep_over(problem: &Problem<'_>, lambda: f64, working: &mut Working, state: &mut Split) -> (f64, usize) {
    let (mut worst, mut entries) = (0.0_f64, 0);
    for i in 0..working.len() {
        let j = working.ids[i];
        if problem.inverse[j] == 0.0 {
            continue;
        }
        let (a, b) = (lambda * problem.absolute[j], lambda * problem.quadratic[j]);
        let old = working.w[i];
        let size = problem.entries(j);
        entries += size;
        let z = correlation(problem, j, state) + old;
        let shrunk = (z.abs() - a).max(0.0).copysign(z) / (1.0 + b);
        let new = shrunk.clamp(problem.lower[j], problem.upper[j]);
        if new != old {
            add(problem, j, old - new, state);
            working.w[i] = new;
            entries += size;
            let unit = if problem.absolute[j] > 0.0 { problem.absolute[j] } else { 1.0 };
            worst = worst.max((new - old).abs() * (1.0 + b) / unit);
        }
    }
    (worst, entries)
}

/// `(1/n) z_jᵀ (plain + shift·q)`; `q·(plain + shift·q) = 0` with an intercept, so the mean of the column meets nothing.
fn correlation(problem: &Problem<'_>, j: usize, state: &Split) -> f64 {
    // zᵀplain without the mean's part, and z̃ᵀq = n·mean for the part along q.
    problem.correlation(j, &problem.seen(&state.plain)) + state.shift * problem.mean(j)
}

fn add(problem: &Problem<'_>, j: usize, change: f64, state: &mut Split) {
    let a = change * problem.inverse[j];
    match &problem.columns {
        Kind::Dense(c) => c.add(j, a, &mut state.plain),
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
        0.5 * sums::dot(r, r) / problem.n as f64 + problem.penalty(lambda, terms)
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
