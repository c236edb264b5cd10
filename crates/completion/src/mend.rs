//! Mending a fit that is right but for a few rows and columns.
//!
//! Where rows and columns of few entries meet, Gauss–Newton can come to rest with one of them at a wrong minimum of its own.
//! Nearly all of the residual is then in its entries, and the others bend a little to meet it. Without these lines the
//! others come to the truth; then what was left out follows from them as in [`crate::peel`].
use crate::control::Control;
use crate::entries::{Entries, Renumbering};
use crate::fill::fill;
use crate::finish::{End, Goal, gauss_newton};
use crate::peel::{follow, peel};
use crate::state::State;

/// Share of the squared residual that may be outside the lines left out.
const ELSEWHERE: f64 = 0.02;
/// Lines left out at most, as a share of all, and how many at least may be.
const MOST: f64 = 0.02;
const FEW: usize = 4;
/// A line of few entries whose factors are so many times as long as the median is left out too.
const LONG: f64 = 3.0;
/// Rounds: what is left out may not be all that is wrong.
const ROUNDS: usize = 3;

/// Goes on from a state at rest (without biases). None where the residual is not concentrated, or where the others do not
/// come to the goal without the lines that hold it.
pub(crate) fn mend(entries: &Entries, state: &State, goal: Goal, control: &mut Control<'_>) -> Option<State> {
    let (m, n, k) = (entries.rows(), entries.columns(), state.rank());
    let everyone = [m, n].map(|size| Renumbering::without(size, &[]));
    let mut model = state.to_model(1.0, &everyone[0], &everyone[1]);
    for _ in 0..ROUNDS {
        let state = State::of_model(&model, 1.0, &everyone[0], &everyone[1]);
        let wrong = concentrated(entries, &state)?;
        let lines: Vec<[usize; 2]> = entries.iter().map(|(i, j, ..)| [i, m + j]).collect();
        let core = peel(entries, k, |p| lines[p].iter().all(|&v| !wrong[v]));
        if core.outer_rows.len() + core.outer_columns.len() > (m + n) / 4 {
            return None;
        }
        let rows = Renumbering::without(m, &core.outer_rows);
        let columns = Renumbering::without(n, &core.outer_columns);
        let inner = entries.select(|_| true, &rows, &columns)?;
        let mut part = State::of_model(&model, 1.0, &rows, &columns);
        let (end, _) = gauss_newton(&inner, &inner, &mut part, goal, control);
        control.stop.is_none().then_some(())?;
        let reached = end == End::Reached;
        model = part.to_model(1.0, &rows, &columns);
        fill(entries, &mut model, &follow(entries, k, &rows, &columns), &rows, &columns, 0.0, &|_| true);
        if !reached {
            continue;
        }
        let mut whole = State::of_model(&model, 1.0, &everyone[0], &everyone[1]);
        let (end, _) =
            gauss_newton(entries, entries, &mut whole, Goal { damping: 1e-3 * goal.damping, ..goal }, control);
        if end == End::Reached || control.stop.is_some() {
            return Some(whole);
        }
        model = whole.to_model(1.0, &everyone[0], &everyone[1]);
    }
    None
}

/// The rows, and behind them the columns, that hold the residual.
fn concentrated(entries: &Entries, state: &State) -> Option<Vec<bool>> {
    let (m, n) = (entries.rows(), entries.columns());
    let mut squares: Vec<f64> =
        entries.iter().map(|(i, j, value, weight)| weight * (value - state.predict(i, j)).powi(2)).collect();
    let positions = entries.by_row.values.transpose_positions();
    let at = |v: usize, p: usize| if v < m { p } else { positions[p] as usize };
    let range = |v: usize| {
        if v < m { entries.by_row.values.row_range(v) } else { entries.by_column.values.row_range(v - m) }
    };
    let mut wrong = vec![false; m + n];
    for (first, factors) in [(0, &state.u), (m, &state.v)] {
        let lengths: Vec<f64> = (0..factors.rows()).map(|i| samplewise_linalg::chunk::norm(factors.row(i))).collect();
        let mut sorted = lengths.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let median = sorted[sorted.len() / 2];
        for (i, length) in lengths.iter().enumerate() {
            wrong[first + i] = *length > LONG * median && range(first + i).len() <= 3 * state.rank();
        }
    }
    let most = FEW.max((MOST * (m + n) as f64) as usize);
    if wrong.iter().filter(|w| **w).count() > most {
        return None;
    }
    let total: f64 = squares.iter().sum();
    let clear = |v: usize, squares: &mut [f64]| range(v).for_each(|p| squares[at(v, p)] = 0.0);
    (0..m + n).filter(|&v| wrong[v]).for_each(|v| clear(v, &mut squares));
    while squares.iter().sum::<f64>() > ELSEWHERE * total {
        if wrong.iter().filter(|w| **w).count() >= most {
            break;
        }
        // The mean square, so that a line of many entries is not blamed for the one that it shares with the wrong line.
        let mean = |v: usize| range(v).map(|p| squares[at(v, p)]).sum::<f64>() / range(v).len().max(1) as f64;
        let worst = (0..m + n).map(|v| (v, mean(v))).max_by(|a, b| a.1.total_cmp(&b.1))?.0;
        wrong[worst] = true;
        clear(worst, &mut squares);
    }
    (squares.iter().sum::<f64>() <= 0.5 * total && wrong.contains(&true)).then_some(wrong)
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

    #[test]
    fn what_is_wrong_in_two_lines_is_mended() {
        let (entries, truth) = instance();
        let mut state = truth.clone();
        let mut rng = Streams::new(2).stream(0);
        state.u.row_mut(31).iter_mut().for_each(|x| *x = 2.0 * normal(&mut rng));
        state.v.row_mut(4).iter_mut().for_each(|x| *x = 2.0 * normal(&mut rng));
        let goal = Goal { residual: 1e-9, spread: 1.0, damping: 1e-6, outer: 40, inner: 40, progress: 0.93 };
        let options = Options::default();
        let observer = &mut ();
        let mended = mend(&entries, &state, goal, &mut Control::new(&options, observer)).unwrap();
        for (i, j) in [(31, 0), (0, 4), (31, 4), (59, 49)] {
            assert!((mended.predict(i, j) - truth.predict(i, j)).abs() < 1e-6);
        }
    }
}
