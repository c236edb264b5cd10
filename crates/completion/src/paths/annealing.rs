//! Annealing: alternating least squares along a falling ridge (rows COM-3 and COM-4).
//!
//! On balanced factors the ridge `λ(‖U‖² + ‖V‖²)` is the nuclear norm of `UVᵀ`: at `λ = σ₁(P_Ω M)` the solution leaves zero,
//! and one direction after another comes in as `λ` falls. Starting well below loses successes.
use crate::kernel::KernelReal;

use crate::control::Control;
use crate::data::entries::Entries;
use crate::data::ridge::{Manner, Ridge};
use crate::data::state::State;

/// How to anneal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// Ridge before the first step.
    pub first: f64,
    /// Factor per step.
    pub decay: f64,
    /// Last ridge of the annealing.
    pub last: f64,
    /// Pairs of half steps per ridge.
    pub pairs: usize,
    pub exponent: f64,
    pub biases: bool,
    /// The ridge that was asked for: that of the biases goes with it, and else with the present one.
    pub asked: Option<f64>,
    /// Stay at the last ridge until the factors are at rest.
    pub settle: bool,
    /// Stop when the tuning error has passed its minimum.
    pub watch: bool,
}

/// The best model on the tuning set.
#[derive(Clone, Debug)]
pub(crate) struct Best<T: samplewise_linalg::Real> {
    pub state: State<T>,
    pub lambda: f64,
    pub error: f64,
}

/// Share of the last step that is taken again at a ridge that stays: alternating steps have no negative eigenvalues, so
/// that any share below 1 converges, slow directions several times as fast.
const MOMENTUM: f64 = 0.8;
/// Steps at the last ridge before it is taken as it is.
const SETTLE: usize = 60;

/// Moves `state` along the path, and keeps the best on the tuning set in `best`; without one, the last. Returns the last
/// ridge, and true when the tuning error had passed its minimum.
///
/// Rows COM-3 and COM-4 of `paper-refs.md`.
pub(crate) fn anneal<T: KernelReal>(
    entries: &Entries<T>,
    tuning: &[(usize, usize, f64)],
    state: &mut State<T>,
    schedule: &Schedule,
    manner: Manner,
    best: &mut Option<Best<T>>,
    control: &mut Control<'_>,
) -> (f64, bool) {
    let floor = (entries.len() * state.rank().max(1)) as f64;
    let mut lambda = schedule.first;
    let mut previous = f64::INFINITY;
    let (mut worse, mut at_rest, mut step) = (0, 0, 0_u64);
    let (mut last, mut before_that) = (None, f64::INFINITY);
    loop {
        let next = lambda * schedule.decay;
        // A ridge that was asked for is jumped to from a small share of the first: zero would never be reached.
        let jump = if schedule.settle { 1e-4 * schedule.first } else { 0.0 };
        lambda = if next <= schedule.last.max(jump) { schedule.last } else { next };
        let ridge = Ridge {
            lambda,
            exponent: schedule.exponent,
            biases: schedule.biases.then(|| schedule.asked.unwrap_or(lambda)),
        };
        let resting = schedule.settle && lambda <= schedule.last;
        let before = resting.then(|| state.u.clone());
        let mut work = 0.0;
        for _ in 0..schedule.pairs {
            step += 1;
            // Factors that may not be negative stay where they may be.
            if resting && !manner.non_negative {
                state.extrapolate(MOMENTUM, &mut last);
            }
            work += state.pair(entries, ridge, Manner { seed: manner.seed.wrapping_add(2 * step), ..manner });
        }
        let error = state.rmse(tuning);
        // A ridge that was asked for is the answer whatever the tuning set says.
        if schedule.settle || tuning.is_empty() || best.as_ref().is_none_or(|b| error < b.error) {
            *best = Some(Best { state: state.clone(), lambda, error });
        }
        let going = control.step("annealing", work / floor, error.is_finite().then_some(error));
        worse = if error > previous * 1.0005 { worse + 1 } else { 0 };
        previous = error;
        if !going {
            return (lambda, false);
        }
        if schedule.watch && worse >= 4 {
            return (lambda, true);
        }
        if lambda <= schedule.last {
            let Some(before) = before else { return (lambda, false) };
            let change: f64 =
                before.as_slice().iter().zip(state.u.as_slice()).map(|(a, b)| (a.to_f64() - b.to_f64()).powi(2)).sum();
            let size: f64 = state.u.as_slice().iter().map(|a| a.to_f64().powi(2)).sum();
            at_rest += 1;
            // Steps that grow were pushed too far.
            if change > before_that {
                last = None;
            }
            before_that = change;
            if change <= 1e-8 * size || at_rest >= SETTLE {
                return (lambda, false);
            }
        }
    }
}
