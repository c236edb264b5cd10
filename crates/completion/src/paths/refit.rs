//! Other entries join a fit that has come to its end: those that were held out, once they have chosen or judged.
use crate::control::{Control, Stop};
use crate::data::ridge::{Manner, Ridge};
use crate::data::state::State;
use crate::kernel::KernelReal;
use crate::options::Finish;
use crate::paths::order::{Outcome, exponent, factors_fit, finishes};
use crate::polish::gauss_newton::{Goal, gauss_newton};
use crate::{Entries, Options};

/// Pairs of half steps of a refit.
const REFIT_PAIRS: usize = 8;

/// A few more pairs from a state, at its λ, on more entries than the `fitted` ones: one pair where there are hardly more.
pub(crate) fn refit(
    entries: &Entries,
    fitted: usize,
    outcome: &mut Outcome,
    options: &Options,
    control: &mut Control<'_>,
) {
    let (lambda, ridged, state) = (outcome.lambda, outcome.ridged, &mut outcome.state);
    if control.stop == Some(Stop::Interrupted) || control.stop.is_some() && lambda == 0.0 {
        return;
    }
    let ridge =
        Ridge { lambda, exponent: exponent(options), biases: options.biases.then(|| options.lambda.unwrap_or(lambda)) };
    let newton = options.advanced.finish == Finish::GaussNewton && factors_fit(entries, state.rank());
    if lambda == 0.0 && finishes(options) && newton {
        let mut spread: f64 = entries.iter().map(|(_, _, v, _)| v * v).sum();
        spread = (spread / entries.len() as f64).sqrt();
        let damping = 1e-6 * state.u.norm() * state.v.norm() / (state.u.rows().min(state.v.rows()) as f64).max(1.0);
        let aim = Goal { residual: 1e-13 * spread, spread, damping, outer: 8, inner: 60, progress: 0.999 };
        gauss_newton(entries, entries, state, aim, control);
        return;
    }
    let pairs = if (entries.len() as f64) < 1.01 * fitted as f64 { 1 } else { REFIT_PAIRS };
    match if ridged { entries.to_single() } else { None } {
        Some(single) => {
            let mut narrow = State::copy(state);
            some_pairs(&single, &mut narrow, ridge, options, pairs, control);
            *state = State::copy(&narrow);
        }
        None => some_pairs(entries, state, ridge, options, pairs, control),
    }
}

/// Pairs of half steps at one ridge.
fn some_pairs<T: KernelReal>(
    entries: &Entries<T>,
    state: &mut State<T>,
    ridge: Ridge,
    options: &Options,
    pairs: usize,
    control: &mut Control<'_>,
) {
    let (solver, non_negative) = (options.advanced.solver, options.non_negative);
    let manner = Manner { solver, non_negative, roughly: size_of::<T>() == 4, seed: 1 };
    let floor = (entries.len() * state.rank().max(1)) as f64;
    for pair in 1..=pairs {
        let work = state.pair(entries, ridge, manner);
        control.book("refit", work / floor);
        if control.asks_to_stop("refit", pair) {
            break;
        }
    }
}
