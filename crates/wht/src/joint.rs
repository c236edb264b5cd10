//! Joint list peeling: few crowded bins, many offsets, every bin only *proposes* coefficients, one joint likelihood over
//! all groups disposes (row WHT-5).
//!
//! A list comes from ordered-statistics decoding of the signs of one bin. A candidate's gain is the log-likelihood it
//! adds in all its bins together, where each bin's interference variance is taken from its own energy: a crowded bin
//! speaks softly without being asked. Accepted coefficients are cancelled, refitted by least squares, and dropped again
//! when the others explain them. Waiting for clean single-tons, the classical rule, succeeds on none of the cases where
//! this succeeds on all (1,920 samples for 102 coefficients of 20 variables at 10 dB).
use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use crate::gf2::{self, parity};
use crate::subsample::Group;

/// Settings of one decode.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Number of variables.
    pub variables: usize,
    /// Largest number of coefficients to report, if known.
    pub sparsity: Option<usize>,
    /// `σ²` of one sample, or `None` when unknown.
    pub variance: Option<f64>,
    /// Standard deviation of the rounding of one sample: nothing below it is signal.
    pub rounding: f64,
}

/// What the decoder found.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// `(index, value)`, index ascending.
    pub coefficients: Vec<(u64, f64)>,
    /// Residual variance per sample.
    pub variance: f64,
    /// Rounds of listing and accepting.
    pub rounds: usize,
    /// Lists made.
    pub lists: usize,
}

struct Bins<'a> {
    groups: &'a [Group],
    residual: Vec<Vec<f64>>,
    energy: Vec<Vec<f64>>,
    noise: Vec<f64>,
}

/// Every candidate ever listed, located once.
type Pool = BTreeMap<u64, Member>;

#[derive(Clone)]
struct Member {
    index: u64,
    value: f64,
    bins: Vec<usize>,
    signs: Vec<Vec<f64>>,
}

/// Largest number of rounds: never met in the measured range, a bound all the same.
const MAX_ROUNDS: usize = 200;
/// *Tuned* (notes, ablation at n = 20): first list effort and list length.
const FIRST_ORDER: usize = 2;
/// Below these, waking other threads costs more than it saves; estimates.
const PARALLEL_CANDIDATES: usize = 1024;
const PARALLEL_LISTS: usize = 64;
const LIST: usize = 4;

/// Decodes the bins of all groups. Cost: per list `m²` hypotheses of `P/8` table look-ups (`m = n − b + 1`).
pub fn decode(groups: &[Group], bins: Vec<Vec<f64>>, setting: Setting) -> Decoded {
    let n_ln2 = setting.variables as f64 * std::f64::consts::LN_2;
    // Expected null coefficients above a gain g among 2^n: exp(n ln 2 − g) / √(πg).
    let first_gain = n_ln2 - 0.9;
    let least_gain = (first_gain - if setting.sparsity.is_some() { 6.0 } else { 4.0 }).max(5.0);
    let final_gain = n_ln2 + 2.5;
    let max_order = if setting.variables <= 24 { 3 } else { 2 };
    let limit = setting.sparsity.unwrap_or(usize::MAX);
    let samples: f64 = groups.iter().map(|g| (g.bins() * g.offsets.len()) as f64).sum();

    let mut state = Bins::new(groups, bins, setting);
    let mut support: Vec<Member> = Vec::new();
    let mut pool = Pool::new();
    let mut listed: Vec<Vec<f64>> = groups.iter().map(|g| vec![f64::NAN; g.bins()]).collect();
    let (mut order, mut gain) = (FIRST_ORDER, first_gain);
    let (mut rounds, mut lists) = (0, 0);
    while rounds < MAX_ROUNDS {
        rounds += 1;
        lists += state.list_changed(&mut listed, &mut pool, order, LIST);
        let known: BTreeSet<u64> = support.iter().map(|m| m.index).collect();
        let candidates: Vec<&Member> = pool.values().filter(|m| !known.contains(&m.index)).collect();
        let rate = |m: &&Member| (state.score(m).0, m.index);
        let mut scored: Vec<(f64, u64)> = if candidates.len() < PARALLEL_CANDIDATES {
            candidates.iter().map(rate).collect()
        } else {
            candidates.par_iter().map(rate).collect()
        };
        scored.retain(|s| s.0 >= gain);
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let cap = if gain >= first_gain { usize::MAX } else { 1 + support.len() / 60 };
        let mut accepted = 0;
        for (_, k) in scored {
            if accepted >= cap || support.len() >= limit.saturating_add(limit / 8 + 2) {
                break;
            }
            let mut member = pool[&k].clone();
            let (now, value) = state.score(&member);
            if now >= gain {
                member.value = value;
                state.subtract(&member, value);
                support.push(member);
                accepted += 1;
            }
        }
        if accepted > 0 {
            state.refit(&mut support, 3);
            state.prune(&mut support, least_gain - 2.0);
            if gain < first_gain {
                gain = (gain + 1.0).min(first_gain);
            }
            continue;
        }
        let clean = setting.variance.is_some_and(|v| {
            let freedom = (samples - support.len() as f64).max(1.0);
            state.squares() <= v * (freedom + 3.0 * (2.0 * freedom).sqrt())
        });
        if support.len() == limit || (clean && gain <= least_gain + 4.0) {
            break;
        }
        if order < max_order {
            order += 1;
            listed.iter_mut().for_each(|l| l.fill(f64::NAN));
            continue;
        }
        gain -= 2.0;
        if gain < least_gain {
            break;
        }
    }
    lists += finish(&mut state, &mut support, &mut pool, setting, final_gain, samples);
    let variance = state.squares() / (samples - support.len() as f64).max(1.0);
    let mut coefficients: Vec<(u64, f64)> = support.iter().map(|m| (m.index, m.value)).collect();
    coefficients.sort_by_key(|c| c.0);
    Decoded { coefficients, variance, rounds, lists }
}

/// The last word is Gaussian: `gain = a² M / (2σ²)` with all interference gone.
fn finish(
    state: &mut Bins<'_>,
    support: &mut Vec<Member>,
    pool: &mut Pool,
    setting: Setting,
    final_gain: f64,
    samples: f64,
) -> usize {
    let limit = setting.sparsity.unwrap_or(usize::MAX);
    let mut lists = 0;
    state.refit(support, 8);
    let variance = |state: &Bins<'_>, count: usize| {
        let measured = state.squares() / (samples - count as f64).max(1.0);
        setting.variance.unwrap_or(measured).max(setting.rounding * setting.rounding).max(f64::MIN_POSITIVE)
    };
    for _ in 0..2 {
        // When most of a known sparsity stands out, the prior odds of the others are K/N, and that is the threshold; a
        // sparsity that the signal does not have must not be filled up with noise.
        let v = variance(state, support.len());
        let strong = support.iter().filter(|m| m.value * m.value * samples / (2.0 * v) >= final_gain).count();
        let least_final = match setting.sparsity {
            Some(k) if 2 * strong >= k => {
                (setting.variables as f64 * std::f64::consts::LN_2 - (k as f64).ln() + 1.0).min(final_gain)
            }
            _ => final_gain,
        };
        let mut listed: Vec<Vec<f64>> = state.groups.iter().map(|g| vec![f64::NAN; g.bins()]).collect();
        lists += state.list_changed(&mut listed, pool, FIRST_ORDER + 1, 8 * LIST);
        let v = variance(state, support.len());
        let known: BTreeSet<u64> = support.iter().map(|m| m.index).collect();
        let mut fresh: Vec<(f64, u64)> = pool
            .values()
            .filter(|m| !known.contains(&m.index))
            .map(|m| {
                let a = state.correlation(m);
                (a * a * samples / (2.0 * v), m.index)
            })
            .filter(|(g, _)| *g > least_final - 1.0)
            .collect();
        fresh.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        for (_, k) in fresh {
            let mut member = pool[&k].clone();
            let a = state.correlation(&member);
            if a * a * samples / (2.0 * v) > least_final - 1.0 {
                member.value = a;
                state.subtract(&member, a);
                support.push(member);
            }
        }
        state.refit(support, 6);
        loop {
            let v = variance(state, support.len());
            let weakest = support
                .iter()
                .enumerate()
                .map(|(i, m)| (m.value * m.value * samples / (2.0 * v), i))
                .min_by(|a, b| a.0.total_cmp(&b.0));
            match weakest {
                Some((g, i)) if support.len() > limit || g < least_final => {
                    let gone = support.remove(i);
                    state.subtract(&gone, -gone.value);
                    state.refit(support, 1);
                }
                _ => break,
            }
        }
        state.refit(support, 4);
    }
    lists
}

impl<'a> Bins<'a> {
    fn new(groups: &'a [Group], residual: Vec<Vec<f64>>, setting: Setting) -> Self {
        let variance = setting.variance.unwrap_or(0.0).max(setting.rounding * setting.rounding);
        let noise = groups.iter().map(|g| variance / g.bins() as f64).collect();
        let mut out = Self { groups, residual, energy: groups.iter().map(|g| vec![0.0; g.bins()]).collect(), noise };
        for c in 0..groups.len() {
            for j in 0..groups[c].bins() {
                out.measure(c, j);
            }
        }
        out
    }

    fn bin(&self, c: usize, j: usize) -> &[f64] {
        let count = self.groups[c].offsets.len();
        &self.residual[c][j * count..(j + 1) * count]
    }

    fn measure(&mut self, c: usize, j: usize) {
        let y = self.bin(c, j);
        self.energy[c][j] = y.iter().map(|v| v * v).sum::<f64>() / y.len() as f64;
    }

    fn locate(&self, k: u64) -> Member {
        let mut bins = Vec::with_capacity(self.groups.len());
        let mut signs = Vec::with_capacity(self.groups.len());
        for g in self.groups {
            let (j, u) = g.locate(k);
            bins.push(j);
            signs.push((0..g.offsets.len()).map(|p| g.sign(p, u)).collect());
        }
        Member { index: k, value: 0.0, bins, signs }
    }

    /// Mean correlation of a candidate with the residual of its bin of group `c`.
    fn match_in(&self, m: &Member, c: usize) -> f64 {
        let y = self.bin(c, m.bins[c]);
        y.iter().zip(&m.signs[c]).map(|(y, s)| y * s).sum::<f64>() / y.len() as f64
    }

    /// Joint gain in nats and the amplitude that attains it.
    fn score(&self, m: &Member) -> (f64, f64) {
        let floor = |c: usize, e: f64| e.max(self.noise[c]).max(f64::MIN_POSITIVE);
        let seen: Vec<(f64, f64, f64)> = (0..self.groups.len())
            .map(|c| (self.match_in(m, c), self.energy[c][m.bins[c]], self.groups[c].offsets.len() as f64))
            .collect();
        let mut after: Vec<f64> = seen.iter().map(|s| s.1).collect();
        let mut a = 0.0;
        for _ in 0..4 {
            let (mut top, mut bottom) = (0.0, 0.0);
            for (c, &(s, _, count)) in seen.iter().enumerate() {
                let w = count / floor(c, after[c]);
                top += w * s;
                bottom += w;
            }
            a = top / bottom;
            for (c, &(s, e, _)) in seen.iter().enumerate() {
                // The mean square left is at least the variance of a mean over P entries could hide: never negative.
                after[c] = (e - 2.0 * a * s + a * a).max(e * 1e-12);
            }
        }
        let phi = |c: usize, e: f64| {
            let v = floor(c, e);
            v.ln() + e / v
        };
        let gain =
            seen.iter().enumerate().map(|(c, &(_, e, count))| count / 2.0 * (phi(c, e) - phi(c, after[c]))).sum();
        (gain, a)
    }

    /// Least-squares amplitude against the residual of all samples: a sample counts once, so groups weigh `B·P`.
    fn correlation(&self, m: &Member) -> f64 {
        let (mut top, mut bottom) = (0.0, 0.0);
        for (c, g) in self.groups.iter().enumerate() {
            let weight = (g.bins() * g.offsets.len()) as f64;
            top += weight * self.match_in(m, c);
            bottom += weight;
        }
        top / bottom
    }

    fn subtract(&mut self, m: &Member, value: f64) {
        for c in 0..self.groups.len() {
            let (j, count) = (m.bins[c], self.groups[c].offsets.len());
            for (y, s) in self.residual[c][j * count..(j + 1) * count].iter_mut().zip(&m.signs[c]) {
                *y -= value * s;
            }
            self.measure(c, j);
        }
    }

    /// Gauss–Seidel sweeps of least squares over the support.
    fn refit(&mut self, support: &mut [Member], sweeps: usize) {
        for _ in 0..sweeps {
            for m in support.iter_mut() {
                let change = self.correlation(m);
                m.value += change;
                self.subtract(m, change);
            }
        }
    }

    /// Drops members whose gain, with themselves added back, is below `least`.
    fn prune(&mut self, support: &mut Vec<Member>, least: f64) {
        let mut i = 0;
        while i < support.len() {
            let value = support[i].value;
            self.subtract(&support[i], -value);
            if self.score(&support[i]).0 < least {
                support.swap_remove(i);
            } else {
                self.subtract(&support[i], value);
                i += 1;
            }
        }
        support.sort_by_key(|m| m.index);
    }

    /// Residual sum of squares in the units of samples: each entry of a bin averages `B` of them.
    fn squares(&self) -> f64 {
        self.groups
            .iter()
            .zip(&self.residual)
            .map(|(g, r)| g.bins() as f64 * r.iter().map(|v| v * v).sum::<f64>())
            .sum()
    }

    /// Lists every bin whose energy changed since it was listed and is above noise; returns the number of lists.
    fn list_changed(&self, listed: &mut [Vec<f64>], pool: &mut Pool, order: usize, length: usize) -> usize {
        let mut wanted = Vec::new();
        for (c, g) in self.groups.iter().enumerate() {
            let excess = 1.0 + 1.5 * (2.0 / g.offsets.len() as f64).sqrt();
            for j in 0..g.bins() {
                let e = self.energy[c][j];
                let changed = listed[c][j].is_nan() || (e - listed[c][j]).abs() > 1e-3 * e.max(listed[c][j]);
                if changed && e > self.noise[c] * excess {
                    listed[c][j] = e;
                    wanted.push((c, j));
                }
            }
        }
        let candidates = |&(c, j): &(usize, usize)| -> Vec<u64> {
            let g = &self.groups[c];
            let found = list(&g.offsets, self.bin(c, j), self.free_bits(c), order, length);
            found.into_iter().map(|u| g.index(j, u)).collect()
        };
        let found: Vec<Vec<u64>> = if wanted.len() < PARALLEL_LISTS {
            wanted.iter().map(candidates).collect()
        } else {
            wanted.par_iter().map(candidates).collect()
        };
        for k in found.into_iter().flatten() {
            pool.entry(k).or_insert_with(|| self.locate(k));
        }
        wanted.len()
    }

    fn free_bits(&self, c: usize) -> usize {
        let used = self.groups[c].offsets.iter().fold(0, |a, e| a | e);
        64 - used.leading_zeros() as usize
    }
}

/// Ordered-statistics list decoding of one bin: the `length` best `u` whose signs fit `y`.
///
/// The unknowns are the `free` bits of `u` and the sign of the coefficient. The most reliable independent entries fix
/// a solution; all patterns of up to `order` flips among them are tried; each is scored on all entries by byte tables.
/// Returns nothing when the offsets do not determine `u`.
pub fn list(offsets: &[u64], y: &[f64], free: usize, order: usize, length: usize) -> Vec<u64> {
    let m = free + 1;
    let count = y.len();
    assert!(count <= 128 && m <= 64, "{count} offsets and {free} free bits; allowed are 128 and 63");
    let rows: Vec<u64> = offsets.iter().map(|e| e | 1 << free).collect();
    let mut by_reliability: Vec<usize> = (0..count).collect();
    by_reliability.sort_by(|&a, &b| y[b].abs().total_cmp(&y[a].abs()).then(a.cmp(&b)));
    // Independent rows, most reliable first.
    let mut echelon: Vec<u64> = Vec::with_capacity(m);
    let mut basis: Vec<usize> = Vec::with_capacity(m);
    for &p in &by_reliability {
        let reduced = echelon.iter().fold(rows[p], |r, &e| r.min(r ^ e));
        if reduced != 0 {
            echelon.push(reduced);
            basis.push(p);
            if basis.len() == m {
                break;
            }
        }
    }
    if basis.len() < m {
        return Vec::new();
    }
    // With the basis rows as columns of Aᵀ: v solves ⟨row_i, v⟩ = bit_i, and dual[i] changes when bit i flips.
    let columns: Vec<u64> =
        (0..m).map(|t| basis.iter().enumerate().fold(0, |c, (i, &p)| c | (rows[p] >> t & 1) << i)).collect();
    let dual = gf2::invert(&columns).expect("independent rows");
    let hard = mask(count, |p| y[p] < 0.0);
    let start = basis.iter().enumerate().fold(0, |v, (i, &p)| if y[p] < 0.0 { v ^ dual[i] } else { v });
    let word = |v: u64| mask(count, |p| parity(rows[p], v));
    let words: Vec<u128> = dual.iter().map(|&q| word(q)).collect();
    let tables = Tables::new(y);
    let base = word(start) ^ hard;

    let mut best: Vec<(f64, u64)> = Vec::with_capacity(length + 1);
    let mut offer = |cost: f64, v: u64| {
        let u = v & gf2::low_bits(free);
        if best.len() == length && cost >= best[length - 1].0 {
            return;
        }
        if let Some(at) = best.iter().position(|b| b.1 == u) {
            if best[at].0 <= cost {
                return;
            }
            best.remove(at);
        }
        let at = best.partition_point(|b| (b.0, b.1) < (cost, u));
        best.insert(at, (cost, u));
        best.truncate(length);
    };
    let mut flip = |pattern: &[usize]| {
        let (w, v) = pattern.iter().fold((base, start), |(w, v), &i| (w ^ words[i], v ^ dual[i]));
        offer(tables.cost(w), v);
    };
    flip(&[]);
    for i in 0..m {
        flip(&[i]);
        for j in 0..if order >= 2 { i } else { 0 } {
            flip(&[i, j]);
            for k in 0..if order >= 3 { j } else { 0 } {
                flip(&[i, j, k]);
            }
        }
    }
    best.into_iter().map(|b| b.1).collect()
}

fn mask(count: usize, bit: impl Fn(usize) -> bool) -> u128 {
    (0..count).fold(0, |w, p| if bit(p) { w | 1 << p } else { w })
}

/// Sums of `|y_p|` over a bit mask, a byte at a time.
struct Tables(Vec<[f64; 256]>);

impl Tables {
    fn new(y: &[f64]) -> Self {
        Self(
            y.chunks(8)
                .map(|part| {
                    let mut table = [0.0; 256];
                    for byte in 1..256_usize {
                        let low = byte.trailing_zeros() as usize;
                        table[byte] = table[byte & (byte - 1)] + part.get(low).map_or(0.0, |v| v.abs());
                    }
                    table
                })
                .collect(),
        )
    }

    #[inline]
    fn cost(&self, mut word: u128) -> f64 {
        let mut sum = 0.0;
        for table in &self.0 {
            sum += table[(word & 255) as usize];
            word >>= 8;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dense::evaluate;
    use crate::subsample::distinct_offsets;
    use samplewise_linalg::random::{Streams, normal};

    /// Two coefficients of one size in one bin, with noise: both are on the list of four.
    #[test]
    fn both_members_of_a_crowded_bin_are_listed() {
        let mut found = 0;
        for seed in 0..100 {
            let mut rng = Streams::new(seed).stream(0);
            let offsets = distinct_offsets(16, 48, &mut rng);
            let content = [(0x1234, 1.0), (0xbeef, -1.0)];
            let y: Vec<f64> = offsets.iter().map(|&e| evaluate(&content, e) + 0.2 * normal(&mut rng)).collect();
            let out = list(&offsets, &y, 16, 2, 4);
            found += usize::from(content.iter().all(|c| out.contains(&c.0)));
        }
        assert!(found >= 97, "{found} of 100"); // measured 100; three misses allowed
    }

    #[test]
    fn offsets_that_do_not_determine_the_index_give_no_list() {
        assert!(list(&[1, 2, 3], &[1.0, 1.0, 1.0], 4, 2, 4).is_empty());
    }
}
