//! Mending a fit that is right but for a few rows and columns (row COM-12).
//!
//! Where rows and columns of few entries meet, Gauss–Newton can come to rest with one of them at a wrong minimum of its own.
//! Nearly all of the residual is then in its entries, and the others bend a little to meet it. Without these lines (rows and
//! columns) the others come to the truth; then what was left out follows from them as in [`crate::data::core_peeling`].
use std::collections::BinaryHeap;

use crate::control::Control;
use crate::data::core_peeling::{follow, peel};
use crate::data::entries::{Entries, Renumbering};
use crate::data::state::State;
use crate::polish::gauss_newton::{End, Goal, gauss_newton};
use crate::verdict::fill::fill;

/// Share of the squared residual outside the lines left out: below the first no more are, above the second it is no use.
const ENOUGH: f64 = 0.02;
const ELSEWHERE: f64 = 0.5;
/// Lines left out at most, as a share of all, or so many where that is less.
const MOST: f64 = 0.02;
const AT_LEAST: usize = 4;
/// Rounds: what is left out may not be all that is wrong.
const ROUNDS: usize = 3;
/// Limits of its Gauss–Newton steps, so that later paths keep their share of the iterations.
const OUTER: usize = 30;
const INNER: usize = 100;

/// Mends, but no set of lines twice.
#[derive(Default)]
pub(crate) struct Mender {
    tried: Vec<Vec<bool>>,
}

impl Mender {
    /// Goes on from a state at rest (without biases). None where the residual is not concentrated, or where the fit does not
    /// come to the goal.
    ///
    /// Row COM-12 of `paper-refs.md`.
    pub fn mend(&mut self, entries: &Entries, state: &State, goal: Goal, control: &mut Control<'_>) -> Option<State> {
        let (m, n, k) = (entries.rows(), entries.columns(), state.rank());
        let goal = Goal { outer: goal.outer.min(OUTER), inner: goal.inner.min(INNER), ..goal };
        let everyone = [m, n].map(|size| Renumbering::without(size, &[]));
        let mut state = state.clone();
        for _ in 0..ROUNDS {
            let wrong = concentrated(entries, &state);
            control.book("mend", 4.0);
            let wrong = wrong.filter(|w| !self.tried.contains(w))?;
            let kept: Vec<bool> = entries.iter().map(|(i, j, ..)| !wrong[i] && !wrong[m + j]).collect();
            self.tried.push(wrong);
            let core = peel(entries, k, |p| kept[p]);
            if core.outer_rows.len() + core.outer_columns.len() > (m + n) / 4 {
                return None;
            }
            let rows = Renumbering::without(m, &core.outer_rows);
            let columns = Renumbering::without(n, &core.outer_columns);
            let mut model = state.to_model(1.0, &everyone[0], &everyone[1]);
            let inner = entries.select(|_| true, &rows, &columns)?;
            let mut part = State::of_model(&model, 1.0, &rows, &columns);
            let (end, _) = gauss_newton(&inner, &inner, &mut part, goal, control);
            if control.stop.is_some() {
                return None;
            }
            model = part.to_model(1.0, &rows, &columns);
            fill(entries, &mut model, &follow(entries, k, &rows, &columns), &rows, &columns, 0.0, &|_| true);
            state = State::of_model(&model, 1.0, &everyone[0], &everyone[1]);
            if end == End::Reached {
                let gently = Goal { damping: 1e-3 * goal.damping, ..goal };
                if gauss_newton(entries, entries, &mut state, gently, control).0 == End::Reached {
                    return Some(state);
                }
            }
            if control.stop.is_some() {
                return None;
            }
        }
        None
    }
}

/// The rows, and behind them the columns, that hold the residual. Cost `O(|Ω|)` where it is spread, and the logarithm of the
/// number of lines for each entry left out elsewhere.
fn concentrated(entries: &Entries, state: &State) -> Option<Vec<bool>> {
    let (m, n) = (entries.rows(), entries.columns());
    let mut squares: Vec<f64> =
        entries.iter().map(|(i, j, value, weight)| weight * (value - state.predict(i, j)).powi(2)).collect();
    let mut held = vec![0.0; m + n];
    for ((i, j, ..), s) in entries.iter().zip(&squares) {
        held[i] += s;
        held[m + j] += s;
    }
    let total: f64 = squares.iter().sum();
    let most = AT_LEAST.max((MOST * (m + n) as f64) as usize).min(m + n);
    // No choice of lines takes more than those that hold most.
    let mut sorted = held.clone();
    sorted.select_nth_unstable_by(most - 1, |a, b| b.total_cmp(a));
    let largest: f64 = sorted[..most].iter().sum();
    if largest < (1.0 - ELSEWHERE) * total || total == 0.0 || !total.is_finite() {
        return None;
    }
    let positions = entries.by_row.values.transpose_positions();
    let line = |v: usize| {
        let (side, i) = if v < m { (&entries.by_row, v) } else { (&entries.by_column, v - m) };
        side.values.row_range(i).zip(side.values.row(i).0)
    };
    // The mean square, so that a line of many entries is not blamed for the one that it shares with the wrong line. It is
    // not negative, so its bits are in its order.
    let blame = |v: usize, held: &[f64]| (held[v].max(0.0) / line(v).len().max(1) as f64).to_bits();
    let mut queue: BinaryHeap<(u64, usize)> = (0..m + n).map(|v| (blame(v, &held), v)).collect();
    let mut wrong = vec![false; m + n];
    let (mut rest, mut count) = (total, 0);
    while count < most && rest > ENOUGH * total {
        let (before, v) = queue.pop()?;
        let now = blame(v, &held);
        if now < before {
            queue.push((now, v)); // others took a part of it
            continue;
        }
        wrong[v] = true;
        count += 1;
        for (p, &other) in line(v) {
            let (p, w) = if v < m { (p, m + other as usize) } else { (positions[p] as usize, other as usize) };
            held[w] -= squares[p];
            rest -= squares[p];
            squares[p] = 0.0;
        }
    }
    (rest <= ELSEWHERE * total).then_some(wrong)
}

#[cfg(test)]
mod tests {
    use samplewise_linalg::random::{Streams, normal};
    use samplewise_testkit::generate::conditioned_low_rank;

    use super::*;
    use crate::Options;

    fn instance() -> (Entries, State) {
        let (truth, cells) = conditioned_low_rank(60, 50, 3, 1.0, 900, 5);
        let seen: Vec<_> = cells.into_iter().map(|(i, j)| (i, j, truth.at(i, j))).collect();
        let mut state = State::empty(60, 50, 3);
        (state.u, state.v) = (truth.left.clone(), truth.right.clone());
        (Entries::new(60, 50, &seen, None).unwrap(), state)
    }

    /// COM-12.
    #[test]
    fn the_lines_that_hold_the_residual_are_found() {
        let (entries, mut state) = instance();
        let mut rng = Streams::new(1).stream(0);
        state.u.row_mut(7).iter_mut().for_each(|x| *x = normal(&mut rng));
        state.v.row_mut(20).iter_mut().for_each(|x| *x = normal(&mut rng));
        let wrong = concentrated(&entries, &state).unwrap();
        let found: Vec<usize> = (0..110).filter(|&v| wrong[v]).collect();
        assert_eq!(found, [7, 80]);
        // An error that is everywhere is nobody's.
        let (_, mut state) = instance();
        state.u.as_mut_slice().iter_mut().for_each(|x| *x += 0.3 * normal(&mut rng));
        assert!(concentrated(&entries, &state).is_none());
    }

    /// COM-12.
    #[test]
    fn what_is_wrong_in_two_lines_is_mended() {
        let (entries, truth) = instance();
        let mut state = truth.clone();
        let mut rng = Streams::new(2).stream(0);
        state.v.as_mut_slice().iter_mut().for_each(|x| *x += 0.01 * normal(&mut rng));
        state.u.row_mut(31).iter_mut().for_each(|x| *x = 2.0 * normal(&mut rng));
        state.v.row_mut(4).iter_mut().for_each(|x| *x = 2.0 * normal(&mut rng));
        let goal = Goal { residual: 1e-9, spread: 1.0, damping: 1e-6, outer: 40, inner: 40, progress: 0.93 };
        let options = Options::default();
        let observer = &mut ();
        let mut control = Control::new(&options, observer);
        let mended = Mender::default().mend(&entries, &state, goal, &mut control).unwrap();
        assert!(control.stages.iter().any(|s| s.name == "mend"));
        for (i, j) in [(31, 0), (0, 4), (31, 4), (59, 49)] {
            assert!((mended.predict(i, j) - truth.predict(i, j)).abs() < 1e-6);
        }
        // Nothing is taken from a fit that was stopped, and no set is tried twice.
        let mut mender = Mender::default();
        let stopped = Options { max_iterations: 1, ..Options::default() };
        let (first, second) = (&mut (), &mut ());
        assert!(mender.mend(&entries, &state, goal, &mut Control::new(&stopped, first)).is_none());
        assert!(mender.mend(&entries, &state, goal, &mut Control::new(&options, second)).is_none());
    }
}
