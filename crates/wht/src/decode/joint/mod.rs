//! Joint list peeling: few crowded bins, many offsets, every bin only *proposes* coefficients, one joint likelihood over
//! all groups disposes (row WHT-5).
//!
//! A candidate's gain is the log-likelihood it adds in all its bins together, where each bin's interference variance is
//! taken from its own energy: a crowded bin speaks softly without being asked. Accepted coefficients are cancelled,
//! refitted by least squares, and dropped again when the others explain them. Waiting for clean single-tons, the
//! classical rule, succeeds on none of the cases where this succeeds on all (1,920 samples for 102 coefficients of 20
//! variables at 10 dB).
//!
//! Where the candidates come from is the business of [`crate::decode::lists`].
use samplewise_linalg::observe::Watch;
use samplewise_linalg::{Observer, Progress};

use crate::bins::subsample::Group;
use crate::decode::lists::Lists;
use crate::field::bits::Bits;

mod state;
mod sweeps;

use state::State;

/// Settings of one decode.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Natural logarithm of the number of candidates: `n ln 2` without further knowledge.
    pub ln_candidates: f64,
    /// Largest number of coefficients to report, if known.
    pub sparsity: Option<usize>,
    /// `σ²` of one sample, or `None` when unknown.
    pub variance: Option<f64>,
    /// Standard deviation of the rounding of one sample: nothing below it is signal.
    pub rounding: f64,
}

/// What the decoder found.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded<I = u64> {
    /// `(index, value)`, index ascending.
    pub coefficients: Vec<(I, f64)>,
    /// Standard errors, in the same order.
    pub std_errors: Vec<f64>,
    /// Residual variance per sample.
    pub variance: f64,
    /// Rounds of listing and accepting.
    pub rounds: usize,
    /// Number of lists of candidates that were made.
    pub lists: usize,
    /// The observer ended it.
    pub stopped: bool,
}

/// Largest number of rounds: never met in the measured range, a bound all the same.
const MAX_ROUNDS: usize = 200;
/// *Tuned* (notes, ablation at n = 20): list length.
const LIST: usize = 4;
/// Nats above the final threshold from which on the weakest coefficient says that none is hidden.
const CLEAR_BY: f64 = 10.0;

/// Decodes the bins of all groups.
///
/// Row WHT-5 of `paper-refs.md`.
pub fn decode<I: Bits>(
    groups: &[Group<I>],
    bins: Vec<Vec<f64>>,
    lists: &dyn Lists<I>,
    setting: Setting,
    observer: &mut dyn Observer,
) -> Decoded<I> {
    // Expected null coefficients above a gain g among N: exp(ln N − g) / √(πg).
    let first_gain = setting.ln_candidates - 0.9;
    let least_gain = (first_gain - if setting.sparsity.is_some() { 6.0 } else { 4.0 }).max(5.0);
    let limit = setting.sparsity.unwrap_or(usize::MAX);

    let mut state = State::new(groups, bins, lists, setting);
    let (mut effort, mut gain) = (0, first_gain);
    let watch = &mut Watch::new(observer);
    let mut rounds = 0;
    while rounds < MAX_ROUNDS {
        rounds += 1;
        let value = Some((state.squares() / state.samples).sqrt());
        let progress = Progress { stage: "joint lists", step: rounds, total: None, value };
        if watch.stops(progress) || state.list_changed(effort, LIST, false, watch) {
            break;
        }
        let mut scored: Vec<(f64, I, usize)> = state.rate();
        scored.retain(|s| s.0 >= gain);
        scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let cap = if gain >= first_gain { usize::MAX } else { 1 + state.support.len() / 60 };
        let mut accepted = 0;
        for (_, _, at) in scored {
            if accepted >= cap || state.support.len() >= limit.saturating_add(limit / 8 + 2) {
                break;
            }
            let (now, value) = state.score(at);
            if now >= gain {
                state.admit(at, value);
                accepted += 1;
            }
        }
        if accepted > 0 {
            state.refit(3, watch);
            state.prune(least_gain - 2.0);
            if gain < first_gain {
                gain = (gain + 1.0).min(first_gain);
            }
            continue;
        }
        let clean = setting.variance.is_some_and(|v| {
            let freedom = (state.samples - state.support.len() as f64).max(1.0);
            state.squares() <= v * (freedom + 3.0 * (2.0 * freedom).sqrt())
        });
        if state.support.len() == limit || (clean && gain <= least_gain + 4.0) {
            break;
        }
        if effort < lists.most_effort() {
            effort += 1;
            state.forget_lists();
            continue;
        }
        gain -= 2.0;
        if gain < least_gain {
            break;
        }
    }
    if !watch.stopped() {
        finish(&mut state, setting, watch);
    }
    let pool = &state.pool;
    state.support.sort_unstable_by_key(|&at| pool[at].index);
    let spread = state.solve(watch);
    let variance = state.squares() / (state.samples - state.support.len() as f64).max(1.0);
    Decoded {
        coefficients: state.support.iter().map(|&at| (state.pool[at].index, state.pool[at].value)).collect(),
        std_errors: spread.iter().map(|d| (variance * d).sqrt()).collect(),
        variance,
        rounds,
        lists: state.lists_made,
        stopped: watch.stopped(),
    }
}

/// The last word is Gaussian: `gain = a² M / (2σ²)` with all interference gone.
fn finish<I: Bits>(state: &mut State<'_, I>, setting: Setting, watch: &mut Watch<'_>) {
    let final_gain = setting.ln_candidates + 2.5;
    let limit = setting.sparsity.unwrap_or(usize::MAX);
    state.refit(8, watch);
    let variance = |state: &State<'_, I>| {
        let measured = state.squares() / (state.samples - state.support.len() as f64).max(1.0);
        setting.variance.unwrap_or(measured).max(setting.rounding * setting.rounding).max(f64::MIN_POSITIVE)
    };
    for _ in 0..2 {
        // When most of a known sparsity stands out, the prior odds of the others are K/N, and that is the threshold;
        // a sparsity that the signal does not have must not be filled up with noise.
        let samples = state.samples;
        let freedom = (samples - state.support.len() as f64).max(1.0);
        // With unknown noise its estimate has to pay for its own error.
        let gain = |a: f64, v: f64| match setting.variance {
            Some(_) => a * a * samples / (2.0 * v),
            None => freedom / 2.0 * (a * a * samples / (v * freedom)).ln_1p(),
        };
        let mut changed = false;
        let v = variance(state);
        let strong = state.support.iter().filter(|&&at| gain(state.pool[at].value, v) >= final_gain).count();
        let least = match setting.sparsity {
            Some(k) if 2 * strong >= k => (setting.ln_candidates - (k as f64).ln() + 1.0).min(final_gain),
            _ => final_gain,
        };
        // Where some stand out hardly, others may hide in bins that look like noise.
        let weakest = state.support.iter().map(|&at| gain(state.pool[at].value, v)).fold(f64::INFINITY, f64::min);
        state.forget_lists();
        if state.list_changed(1, 8 * LIST, weakest < final_gain + CLEAR_BY, watch) {
            return;
        }
        let mut fresh: Vec<(f64, I, usize)> = (0..state.pool.len())
            .filter(|&at| !state.pool[at].inside)
            .map(|at| (gain(state.correlation(at), v), state.pool[at].index, at))
            .filter(|f| f.0 > least - 1.0)
            .collect();
        fresh.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for (_, _, at) in fresh {
            let a = state.correlation(at);
            if gain(a, v) > least - 1.0 {
                changed = true;
                state.admit(at, a);
            }
        }
        if changed {
            state.refit(6, watch);
        }
        loop {
            let v = variance(state);
            let mut weak: Vec<(f64, I, usize)> =
                state.support.iter().map(|&at| (gain(state.pool[at].value, v), state.pool[at].index, at)).collect();
            weak.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let surplus = state.support.len().saturating_sub(limit);
            let gone = weak.iter().enumerate().filter(|(i, w)| *i < surplus || w.0 < least).count();
            if gone == 0 || watch.stopped() {
                break;
            }
            changed = true;
            // The weakest first: the others may be the stronger for it.
            for &(_, _, at) in weak.iter().take(gone.min(1 + state.support.len() / 100)) {
                let position = state.support.iter().position(|&s| s == at).expect("a member");
                state.dismiss(position);
            }
            state.refit(1, watch);
        }
        if !changed || watch.stopped() {
            break;
        }
        state.refit(4, watch);
    }
}
