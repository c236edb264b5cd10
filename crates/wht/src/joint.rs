//! Joint list peeling: few crowded bins, many offsets, every bin only *proposes* coefficients, one joint likelihood over
//! all groups disposes (row WHT-5).
//!
//! A candidate's gain is the log-likelihood it adds in all its bins together, where each bin's interference variance is
//! taken from its own energy: a crowded bin speaks softly without being asked. Accepted coefficients are cancelled,
//! refitted by least squares, and dropped again when the others explain them. Waiting for clean single-tons, the
//! classical rule, succeeds on none of the cases where this succeeds on all (1,920 samples for 102 coefficients of 20
//! variables at 10 dB).
//!
//! Where the candidates come from is the business of [`crate::lists`].
use std::collections::HashMap;

use foldhash::fast::FixedState;
use rayon::prelude::*;
use samplewise_linalg::{Observer, Progress};

use crate::bits::Bits;
use crate::lists::Lists;
use crate::subsample::Group;

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
    /// Residual variance per sample.
    pub variance: f64,
    /// Rounds of listing and accepting.
    pub rounds: usize,
    /// Lists made.
    pub lists: usize,
    /// The observer ended it.
    pub stopped: bool,
}

/// Largest number of rounds: never met in the measured range, a bound all the same.
const MAX_ROUNDS: usize = 200;
/// *Tuned* (notes, ablation at n = 20): list length.
const LIST: usize = 4;
/// Below these, waking other threads costs more than it saves; estimates.
const PARALLEL_CANDIDATES: usize = 1024;
const PARALLEL_LISTS: usize = 64;

/// Decodes the bins of all groups.
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
    let (mut rounds, mut stopped) = (0, false);
    while rounds < MAX_ROUNDS {
        rounds += 1;
        let value = Some((state.squares() / state.samples).sqrt());
        if observer.step(Progress { stage: "joint lists", step: rounds, total: None, value }).is_break() {
            stopped = true;
            break;
        }
        state.list_changed(effort, LIST);
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
            state.refit(3);
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
    if stopped {
        state.refit(8);
    } else {
        state.finish(setting);
    }
    let variance = state.squares() / (state.samples - state.support.len() as f64).max(1.0);
    let mut coefficients: Vec<(I, f64)> =
        state.support.iter().map(|&at| (state.pool[at].index, state.pool[at].value)).collect();
    coefficients.sort_by_key(|c| c.0);
    Decoded { coefficients, variance, rounds, lists: state.lists_made, stopped }
}

/// A candidate, located once.
struct Member<I> {
    index: I,
    /// Its amplitude while in the support, else zero.
    value: f64,
    inside: bool,
    /// Its bin in each group.
    bins: Vec<u32>,
    /// Its signs under the offsets of all groups, one after the other.
    signs: Vec<f64>,
    /// Gain when its bins were last looked at, and the sum of their changes by then.
    gain: f64,
    seen: u64,
}

struct State<'a, I> {
    groups: &'a [Group<I>],
    lists: &'a dyn Lists<I>,
    residual: Vec<Vec<f64>>,
    energy: Vec<Vec<f64>>,
    /// How often each bin was changed.
    changes: Vec<Vec<u64>>,
    /// Energy of each bin when it was last listed.
    listed: Vec<Vec<f64>>,
    noise: Vec<f64>,
    /// Entries and the start of each group's signs in a member.
    starts: Vec<usize>,
    samples: f64,
    /// Every candidate ever listed.
    pool: Vec<Member<I>>,
    places: HashMap<I, usize, FixedState>,
    support: Vec<usize>,
    lists_made: usize,
}

impl<'a, I: Bits> State<'a, I> {
    fn new(groups: &'a [Group<I>], residual: Vec<Vec<f64>>, lists: &'a dyn Lists<I>, setting: Setting) -> Self {
        let variance = setting.variance.unwrap_or(0.0).max(setting.rounding * setting.rounding);
        let per_bin = |value: f64| groups.iter().map(|g| vec![value; g.bins()]).collect::<Vec<_>>();
        let mut starts = vec![0];
        groups.iter().for_each(|g| starts.push(starts[starts.len() - 1] + g.offsets.len()));
        let mut out = Self {
            groups,
            lists,
            residual,
            energy: per_bin(0.0),
            changes: groups.iter().map(|g| vec![0; g.bins()]).collect(),
            listed: per_bin(f64::NAN),
            noise: groups.iter().map(|g| variance / g.bins() as f64).collect(),
            starts,
            samples: groups.iter().map(|g| (g.bins() * g.offsets.len()) as f64).sum(),
            pool: Vec::new(),
            places: HashMap::default(),
            support: Vec::new(),
            lists_made: 0,
        };
        for c in 0..groups.len() {
            for j in 0..groups[c].bins() {
                let y = out.bin(c, j);
                out.energy[c][j] = energy(y);
            }
        }
        out
    }

    fn bin(&self, c: usize, j: usize) -> &[f64] {
        let count = self.groups[c].offsets.len();
        &self.residual[c][j * count..(j + 1) * count]
    }

    fn locate(&self, k: I) -> Member<I> {
        let mut bins = Vec::with_capacity(self.groups.len());
        let mut signs = Vec::with_capacity(self.starts[self.groups.len()]);
        for g in self.groups {
            let (j, u) = g.locate(k);
            bins.push(j as u32);
            signs.extend(g.offsets.iter().map(|e| if e.parity(u) { -1.0 } else { 1.0 }));
        }
        Member { index: k, value: 0.0, inside: false, bins, signs, gain: 0.0, seen: u64::MAX }
    }

    fn changes_of(&self, m: &Member<I>) -> u64 {
        m.bins.iter().zip(&self.changes).map(|(&j, changes)| changes[j as usize]).sum()
    }

    /// Mean correlation of a candidate with the residual of its bin of group `c`.
    fn match_in(&self, m: &Member<I>, c: usize) -> f64 {
        let y = self.bin(c, m.bins[c] as usize);
        dot(y, &m.signs[self.starts[c]..self.starts[c + 1]]) / y.len() as f64
    }

    /// Joint gain in nats and the amplitude that attains it.
    fn score(&self, at: usize) -> (f64, f64) {
        self.score_of(&self.pool[at])
    }

    fn score_of(&self, m: &Member<I>) -> (f64, f64) {
        const MOST: usize = 16;
        let floor = |c: usize, e: f64| e.max(self.noise[c]).max(f64::MIN_POSITIVE);
        let groups = self.groups.len();
        let (mut matches, mut before, mut after) = ([0.0; MOST], [0.0; MOST], [0.0; MOST]);
        for c in 0..groups {
            matches[c] = self.match_in(m, c);
            before[c] = self.energy[c][m.bins[c] as usize];
            after[c] = before[c];
        }
        let mut a = 0.0;
        for _ in 0..4 {
            let (mut top, mut bottom) = (0.0, 0.0);
            for c in 0..groups {
                let w = self.groups[c].offsets.len() as f64 / floor(c, after[c]);
                top += w * matches[c];
                bottom += w;
            }
            a = top / bottom;
            for c in 0..groups {
                // The mean square left is at least the variance of a mean over P entries could hide: never negative.
                after[c] = (before[c] - 2.0 * a * matches[c] + a * a).max(before[c] * 1e-12);
            }
        }
        let phi = |v: f64, e: f64| v.ln() + e / v;
        let gain = (0..groups)
            .map(|c| {
                let count = self.groups[c].offsets.len() as f64;
                count / 2.0 * (phi(floor(c, before[c]), before[c]) - phi(floor(c, after[c]), after[c]))
            })
            .sum();
        (gain, a)
    }

    /// Gains of all candidates outside the support; only those whose bins changed are computed.
    fn rate(&mut self) -> Vec<(f64, I, usize)> {
        let mut pool = std::mem::take(&mut self.pool);
        let update = |m: &mut Member<I>| {
            let now = self.changes_of(m);
            if !m.inside && m.seen != now {
                m.seen = now;
                m.gain = self.score_of(m).0;
            }
        };
        if pool.len() < PARALLEL_CANDIDATES {
            pool.iter_mut().for_each(update);
        } else {
            pool.par_iter_mut().for_each(update);
        }
        self.pool = pool;
        self.pool.iter().enumerate().filter(|(_, m)| !m.inside).map(|(at, m)| (m.gain, m.index, at)).collect()
    }

    /// Least-squares amplitude against the residual of all samples: a sample counts once, so groups weigh `B·P`.
    fn correlation(&self, at: usize) -> f64 {
        let m = &self.pool[at];
        let sum: f64 = (0..self.groups.len())
            .map(|c| (self.groups[c].bins() * self.groups[c].offsets.len()) as f64 * self.match_in(m, c))
            .sum();
        sum / self.samples
    }

    fn admit(&mut self, at: usize, value: f64) {
        self.subtract(at, value);
        (self.pool[at].value, self.pool[at].inside) = (value, true);
        self.support.push(at);
    }

    fn dismiss(&mut self, position: usize) {
        let at = self.support.swap_remove(position);
        self.subtract(at, -self.pool[at].value);
        (self.pool[at].value, self.pool[at].inside) = (0.0, false);
    }

    fn subtract(&mut self, at: usize, value: f64) {
        let m = &self.pool[at];
        for c in 0..self.groups.len() {
            let (j, count) = (m.bins[c] as usize, self.groups[c].offsets.len());
            let y = &mut self.residual[c][j * count..(j + 1) * count];
            for (y, s) in y.iter_mut().zip(&m.signs[self.starts[c]..self.starts[c + 1]]) {
                *y -= value * s;
            }
            self.energy[c][j] = energy(y);
            self.changes[c][j] += 1;
        }
    }

    /// Gauss–Seidel sweeps of least squares over the support.
    fn refit(&mut self, sweeps: usize) {
        for _ in 0..sweeps {
            for i in 0..self.support.len() {
                let at = self.support[i];
                let change = self.correlation(at);
                self.pool[at].value += change;
                self.subtract(at, change);
            }
        }
    }

    /// Drops members whose gain, with themselves added back, is below `least`.
    fn prune(&mut self, least: f64) {
        let mut i = 0;
        while i < self.support.len() {
            let at = self.support[i];
            let value = self.pool[at].value;
            self.subtract(at, -value);
            if self.score(at).0 < least {
                self.support.swap_remove(i);
                (self.pool[at].value, self.pool[at].inside) = (0.0, false);
            } else {
                self.subtract(at, value);
                i += 1;
            }
        }
        let pool = &self.pool;
        self.support.sort_unstable_by_key(|&at| pool[at].index);
    }

    /// Residual sum of squares in the units of samples: each entry of a bin averages `B` of them.
    fn squares(&self) -> f64 {
        let in_group = |(g, e): (&Group<I>, &Vec<f64>)| (g.bins() * g.offsets.len()) as f64 * e.iter().sum::<f64>();
        self.groups.iter().zip(&self.energy).map(in_group).sum()
    }

    fn forget_lists(&mut self) {
        self.listed.iter_mut().for_each(|l| l.fill(f64::NAN));
    }

    /// Lists every bin whose energy changed since it was listed and is above noise.
    fn list_changed(&mut self, effort: usize, length: usize) {
        let mut wanted = Vec::new();
        for (c, g) in self.groups.iter().enumerate() {
            let excess = 1.0 + 1.5 * (2.0 / g.offsets.len() as f64).sqrt();
            for j in 0..g.bins() {
                let (e, before) = (self.energy[c][j], &mut self.listed[c][j]);
                let changed = before.is_nan() || (e - *before).abs() > 1e-3 * e.max(*before);
                if changed && e > self.noise[c] * excess {
                    *before = e;
                    wanted.push((c, j));
                }
            }
        }
        let candidates = |&(c, j): &(usize, usize)| self.lists.list(c, j, self.bin(c, j), effort, length);
        let found: Vec<Vec<I>> = if wanted.len() < PARALLEL_LISTS {
            wanted.iter().map(candidates).collect()
        } else {
            wanted.par_iter().map(candidates).collect()
        };
        for k in found.into_iter().flatten() {
            if !self.places.contains_key(&k) {
                self.places.insert(k, self.pool.len());
                let member = self.locate(k);
                self.pool.push(member);
            }
        }
        self.lists_made += wanted.len();
    }

    /// The last word is Gaussian: `gain = a² M / (2σ²)` with all interference gone.
    fn finish(&mut self, setting: Setting) {
        let final_gain = setting.ln_candidates + 2.5;
        let limit = setting.sparsity.unwrap_or(usize::MAX);
        self.refit(8);
        let variance = |state: &Self| {
            let measured = state.squares() / (state.samples - state.support.len() as f64).max(1.0);
            setting.variance.unwrap_or(measured).max(setting.rounding * setting.rounding).max(f64::MIN_POSITIVE)
        };
        for _ in 0..2 {
            // When most of a known sparsity stands out, the prior odds of the others are K/N, and that is the threshold;
            // a sparsity that the signal does not have must not be filled up with noise.
            let samples = self.samples;
            let gain = |a: f64, v: f64| a * a * samples / (2.0 * v);
            let v = variance(self);
            let strong = self.support.iter().filter(|&&at| gain(self.pool[at].value, v) >= final_gain).count();
            let least = match setting.sparsity {
                Some(k) if 2 * strong >= k => (setting.ln_candidates - (k as f64).ln() + 1.0).min(final_gain),
                _ => final_gain,
            };
            self.forget_lists();
            self.list_changed(1, 8 * LIST);
            let mut fresh: Vec<(f64, I, usize)> = (0..self.pool.len())
                .filter(|&at| !self.pool[at].inside)
                .map(|at| (gain(self.correlation(at), v), self.pool[at].index, at))
                .filter(|f| f.0 > least - 1.0)
                .collect();
            fresh.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            for (_, _, at) in fresh {
                let a = self.correlation(at);
                if gain(a, v) > least - 1.0 {
                    self.admit(at, a);
                }
            }
            self.refit(6);
            loop {
                let v = variance(self);
                let weakest = (0..self.support.len())
                    .map(|i| (gain(self.pool[self.support[i]].value, v), self.pool[self.support[i]].index, i))
                    .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                match weakest {
                    Some((g, _, i)) if self.support.len() > limit || g < least => {
                        self.dismiss(i);
                        self.refit(1);
                    }
                    _ => break,
                }
            }
            self.refit(4);
        }
    }
}

/// Mean square. Eight lanes, so that the compiler may use registers of that width; the order is fixed.
fn energy(y: &[f64]) -> f64 {
    dot(y, y) / y.len() as f64
}

#[inline]
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a8.remainder().iter().zip(b8.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a8.zip(b8) {
        for i in 0..8 {
            lanes[i] += x[i] * y[i];
        }
    }
    let [s0, s1, s2, s3, s4, s5, s6, s7] = lanes;
    ((s0 + s4) + (s1 + s5)) + ((s2 + s6) + (s3 + s7)) + rest
}
