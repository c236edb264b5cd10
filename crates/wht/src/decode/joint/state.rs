//! The bins of a decode and the candidates ever listed: correlations, gains, cancelling, least squares.
use std::collections::HashSet;
use std::time::Instant;

use foldhash::fast::FixedState;
use rayon::prelude::*;
use samplewise_linalg::observe::{LONGEST_GAP, Watch};
use samplewise_linalg::{Matrix, Progress};

use super::Setting;
use super::sweeps::{Rate, Sweep, dot, expand, take_away};
use crate::bins::subsample::Group;
use crate::decode::lists::Lists;
use crate::field::bits::Bits;
use crate::verdict::refit;

/// Candidates that keep their signs as numbers: beyond, memory is worth more than time.
const EXPANDED: usize = 1 << 14;
/// Most offsets of a group: a codeword is one word.
const MAX_OFFSETS: usize = 128;
/// Relative change of a bin's energy that makes it worth listing again.
const LIST_AGAIN: f64 = 1e-3;
/// Largest support whose normal equations are solved directly: a sweep at a time beyond.
const MAX_SOLVED: usize = 2_000;
/// Share of the squared standard error of a coefficient at which a sweep's largest change ends the sweeps.
const SETTLED: f64 = 1e-3;
/// Members from which on sweeps change all at once, and bins that one task changes.
const TOGETHER: usize = 4096;
const RANGE: usize = 512;
/// Below these, waking other threads costs more than it saves; estimates.
const PARALLEL_CANDIDATES: usize = 1024;
const PARALLEL_LISTS: usize = 64;

fn progress(stage: &'static str, step: usize) -> Progress {
    Progress { stage, step, total: None, value: None }
}

/// A candidate, located once.
pub(super) struct Member<I> {
    pub(super) index: I,
    /// Its amplitude while in the support, else zero.
    pub(super) value: f64,
    pub(super) inside: bool,
    /// Its bin in each group.
    bins: Vec<u32>,
    /// Its signs under the offsets of each group, one bit each.
    words: Vec<u128>,
    /// The same as ±1, all groups one after the other; empty while the pool is large.
    signs: Vec<f64>,
    /// Gain when its bins were last looked at, and the sum of their changes by then.
    pub(super) gain: f64,
    pub(super) seen: u64,
}

pub(super) struct State<'a, I> {
    groups: &'a [Group<I>],
    /// Bin and signs of each variable, by group: both are linear.
    units: Vec<Vec<(u64, u128)>>,
    lists: &'a dyn Lists<I>,
    arch: pulp::Arch,
    residual: Vec<Vec<f64>>,
    energy: Vec<Vec<f64>>,
    /// How often each bin was changed.
    changes: Vec<Vec<u64>>,
    /// Energy of each bin when it was last listed.
    listed: Vec<Vec<f64>>,
    noise: Vec<f64>,
    /// Entries and the start of each group's signs in a member.
    starts: Vec<usize>,
    pub(super) samples: f64,
    /// Every candidate ever listed.
    pub(super) pool: Vec<Member<I>>,
    known: HashSet<I, FixedState>,
    pub(super) support: Vec<usize>,
    pub(super) lists_made: usize,
}

impl<'a, I: Bits> State<'a, I> {
    pub(super) fn new(
        groups: &'a [Group<I>],
        residual: Vec<Vec<f64>>,
        lists: &'a dyn Lists<I>,
        setting: Setting,
    ) -> Self {
        let variance = setting.variance.unwrap_or(0.0).max(setting.rounding * setting.rounding);
        let per_bin = |value: f64| groups.iter().map(|g| vec![value; g.bins()]).collect::<Vec<_>>();
        let mut starts = vec![0];
        groups.iter().for_each(|g| starts.push(starts[starts.len() - 1] + g.offsets.len()));
        let mut out = Self {
            groups,
            units: groups.iter().map(Group::unit_words).collect(),
            lists,
            arch: pulp::Arch::new(),
            residual,
            energy: per_bin(0.0),
            changes: groups.iter().map(|g| vec![0; g.bins()]).collect(),
            listed: per_bin(f64::NAN),
            noise: groups.iter().map(|g| variance / g.bins() as f64).collect(),
            starts,
            samples: groups.iter().map(|g| (g.bins() * g.offsets.len()) as f64).sum(),
            pool: Vec::new(),
            known: HashSet::default(),
            support: Vec::new(),
            lists_made: 0,
        };
        for c in 0..groups.len() {
            for j in 0..groups[c].bins() {
                let y = out.bin(c, j);
                out.energy[c][j] = dot(y, y) / y.len() as f64;
            }
        }
        out
    }

    #[inline(always)]
    fn bin(&self, c: usize, j: usize) -> &[f64] {
        let count = self.groups[c].offsets.len();
        &self.residual[c][j * count..(j + 1) * count]
    }

    fn locate(&self, k: I) -> Member<I> {
        let mut bins = Vec::with_capacity(self.groups.len());
        let mut words = Vec::with_capacity(self.groups.len());
        for units in &self.units {
            let (mut bin, mut word) = (0, 0);
            k.for_each_one(|i| (bin, word) = (bin ^ units[i].0, word ^ units[i].1));
            bins.push(bin as u32);
            words.push(word);
        }
        let mut out =
            Member { index: k, value: 0.0, inside: false, bins, words, signs: Vec::new(), gain: 0.0, seen: u64::MAX };
        if self.pool.len() < EXPANDED {
            out.signs = self.expand(&out.words);
        }
        out
    }

    fn expand(&self, words: &[u128]) -> Vec<f64> {
        let mut out = vec![0.0; self.starts[self.groups.len()]];
        for (c, &word) in words.iter().enumerate() {
            expand(word, &mut out[self.starts[c]..self.starts[c + 1]]);
        }
        out
    }

    #[inline(always)]
    pub(super) fn changes_of(&self, m: &Member<I>) -> u64 {
        m.bins.iter().zip(&self.changes).map(|(&j, changes)| changes[j as usize]).sum()
    }

    /// Mean correlation of a candidate with the residual of its bin of group `c`.
    #[inline(always)]
    fn match_in(&self, m: &Member<I>, c: usize) -> f64 {
        let y = self.bin(c, m.bins[c] as usize);
        let product = if m.signs.is_empty() {
            let mut signs = [0.0; MAX_OFFSETS];
            expand(m.words[c], &mut signs[..y.len()]);
            dot(y, &signs[..y.len()])
        } else {
            dot(y, &m.signs[self.starts[c]..self.starts[c + 1]])
        };
        product / y.len() as f64
    }

    /// Joint gain in nats and the amplitude that attains it.
    pub(super) fn score(&self, at: usize) -> (f64, f64) {
        self.score_of(&self.pool[at])
    }

    #[inline(always)]
    pub(super) fn score_of(&self, m: &Member<I>) -> (f64, f64) {
        self.gain_with(m, 0.0)
    }

    /// The same as if `back` of the candidate were given back to its bins first.
    #[inline(always)]
    fn gain_with(&self, m: &Member<I>, back: f64) -> (f64, f64) {
        const MOST: usize = 16;
        let floor = |c: usize, e: f64| e.max(self.noise[c]).max(f64::MIN_POSITIVE);
        let groups = self.groups.len();
        let (mut matches, mut before, mut after) = ([0.0; MOST], [0.0; MOST], [0.0; MOST]);
        for c in 0..groups {
            let seen = self.match_in(m, c);
            matches[c] = seen + back;
            before[c] = self.energy[c][m.bins[c] as usize] + back * (2.0 * seen + back);
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
    pub(super) fn rate(&mut self) -> Vec<(f64, I, usize)> {
        let mut pool = std::mem::take(&mut self.pool);
        let rate = |part: &mut [Member<I>]| self.arch.dispatch(Rate { state: self, part });
        if pool.len() < PARALLEL_CANDIDATES {
            rate(&mut pool);
        } else {
            pool.par_chunks_mut(PARALLEL_CANDIDATES / 8).for_each(rate);
        }
        self.pool = pool;
        self.pool.iter().enumerate().filter(|(_, m)| !m.inside).map(|(at, m)| (m.gain, m.index, at)).collect()
    }

    /// Least-squares amplitude against the residual of all samples: a sample counts once, so groups weigh `B·P`.
    #[inline(always)]
    pub(super) fn correlation(&self, at: usize) -> f64 {
        let m = &self.pool[at];
        let sum: f64 = (0..self.groups.len())
            .map(|c| (self.groups[c].bins() * self.groups[c].offsets.len()) as f64 * self.match_in(m, c))
            .sum();
        sum / self.samples
    }

    pub(super) fn admit(&mut self, at: usize, value: f64) {
        if self.pool[at].signs.is_empty() {
            self.pool[at].signs = self.expand(&self.pool[at].words);
        }
        self.subtract(at, value);
        (self.pool[at].value, self.pool[at].inside) = (value, true);
        self.support.push(at);
    }

    pub(super) fn dismiss(&mut self, position: usize) {
        let at = self.support.swap_remove(position);
        self.subtract(at, -self.pool[at].value);
        (self.pool[at].value, self.pool[at].inside) = (0.0, false);
    }

    #[inline(always)]
    pub(super) fn subtract(&mut self, at: usize, value: f64) {
        let m = &self.pool[at];
        for c in 0..self.groups.len() {
            let (j, count) = (m.bins[c] as usize, self.groups[c].offsets.len());
            let y = &mut self.residual[c][j * count..(j + 1) * count];
            let squares = take_away(y, value, &m.signs[self.starts[c]..self.starts[c + 1]]);
            self.energy[c][j] = squares / count as f64;
            self.changes[c][j] += 1;
        }
    }

    /// Gauss–Seidel sweeps of least squares over the support: the first in any case, others until the observer ends them.
    pub(super) fn refit(&mut self, sweeps: usize, watch: &mut Watch<'_>) {
        // Far more samples than coefficients: all at once converges as well as one after the other.
        let together = self.support.len() >= TOGETHER && self.samples >= 32.0 * self.support.len() as f64;
        for step in 0..sweeps {
            let largest = if together { self.sweep_together() } else { self.arch.dispatch(Sweep(self)) };
            if self.settled(largest) || watch.ticks(|| progress("least squares", step)) {
                break;
            }
        }
    }

    fn sweep_together(&mut self) -> f64 {
        let found: Vec<(usize, f64)> =
            self.support.par_iter().with_min_len(256).map(|&at| (at, self.correlation(at))).collect();
        self.subtract_all(&found);
        found.iter().fold(0.0_f64, |m, f| m.max(f.1.abs()))
    }

    /// Far below the error that the residual leaves to a coefficient, nothing is gained by another sweep.
    #[inline(always)]
    pub(super) fn settled(&self, largest: f64) -> bool {
        largest * largest * self.samples <= SETTLED * self.squares() / self.samples
    }

    /// Changes many members at once, a range of bins a task.
    fn subtract_all(&mut self, changes: &[(usize, f64)]) {
        changes.iter().for_each(|&(at, change)| self.pool[at].value += change);
        for c in 0..self.groups.len() {
            let count = self.groups[c].offsets.len();
            let (pool, range) = (&self.pool, self.starts[c]..self.starts[c + 1]);
            let mut placed: Vec<(usize, usize, f64)> =
                changes.iter().map(|&(at, change)| (pool[at].bins[c] as usize, at, change)).collect();
            placed.par_sort_unstable_by_key(|p| (p.0, p.1));
            let parts = self.residual[c].par_chunks_mut(RANGE * count);
            let parts = parts.zip(self.energy[c].par_chunks_mut(RANGE)).zip(self.changes[c].par_chunks_mut(RANGE));
            parts.enumerate().for_each(|(part, ((residual, energy), changes))| {
                let first = part * RANGE;
                let here = placed.partition_point(|p| p.0 < first);
                for &(bin, at, change) in placed[here..].iter().take_while(|p| p.0 < first + RANGE) {
                    let j = bin - first;
                    let y = &mut residual[j * count..(j + 1) * count];
                    energy[j] = take_away(y, change, &pool[at].signs[range.clone()]) / count as f64;
                    changes[j] += 1;
                }
            });
        }
    }

    /// The least squares of the support exactly; returns the diagonal of the inverse Gram matrix.
    ///
    /// Members of different bins are orthogonal within a group, so the Gram matrix is made of the pairs that share a bin.
    /// A sample that belongs to two groups counts twice. Where the observer ends it, or there are too many members: sweeps, and
    /// the diagonal of a Gram matrix without its other entries.
    pub(super) fn solve(&mut self, watch: &mut Watch<'_>) -> Vec<f64> {
        let size = self.support.len();
        if size == 0 {
            return Vec::new();
        }
        let solved = if size <= MAX_SOLVED { self.solve_directly(watch) } else { None };
        solved.unwrap_or_else(|| {
            // After a stop too: some sweeps are what makes the members fit each other.
            if watch.stopped() {
                self.refit(20, &mut Watch::new(&mut ()));
            } else {
                self.refit(20, watch);
            }
            vec![1.0 / self.samples; size]
        })
    }

    fn solve_directly(&mut self, watch: &mut Watch<'_>) -> Option<Vec<f64>> {
        let size = self.support.len();
        let factor = refit::factored(self.gram(watch)?, watch).filter(|f| f.condition_at_least() < 1e8)?;
        let diagonal = refit::inverse_diagonal(factor.lower(), watch)?;
        // Twice: the second step takes what rounding left of the first.
        for _ in 0..2 {
            let mut step: Vec<f64> = (0..size).map(|i| self.samples * self.correlation(self.support[i])).collect();
            factor.solve_in_place(&mut step);
            for (i, change) in step.into_iter().enumerate() {
                let at = self.support[i];
                self.pool[at].value += change;
                self.subtract(at, change);
            }
        }
        Some(diagonal)
    }

    fn gram(&self, watch: &mut Watch<'_>) -> Option<Matrix> {
        let size = self.support.len();
        let mut out = Matrix::zeros(size, size);
        for i in 0..size {
            out.row_mut(i)[i] = self.samples;
        }
        for (c, g) in self.groups.iter().enumerate() {
            let mut by_bin: Vec<(u32, usize)> =
                self.support.iter().enumerate().map(|(i, &at)| (self.pool[at].bins[c], i)).collect();
            by_bin.sort_unstable();
            let signs = |i: usize| &self.pool[self.support[i]].signs[self.starts[c]..self.starts[c + 1]];
            for together in by_bin.chunk_by(|a, b| a.0 == b.0) {
                for (first, &(_, i)) in together.iter().enumerate() {
                    for &(_, j) in &together[..first] {
                        let product = g.bins() as f64 * dot(signs(i), signs(j));
                        out.row_mut(i)[j] += product;
                        out.row_mut(j)[i] += product;
                    }
                    if watch.ticks(|| progress("least squares", 0)) {
                        return None;
                    }
                }
            }
        }
        Some(out)
    }

    /// Drops members whose gain, with themselves added back, is below `least`.
    pub(super) fn prune(&mut self, least: f64) {
        let mut i = 0;
        while i < self.support.len() {
            if self.gain_with(&self.pool[self.support[i]], self.pool[self.support[i]].value).0 < least {
                self.dismiss(i);
            } else {
                i += 1;
            }
        }
        let pool = &self.pool;
        self.support.sort_unstable_by_key(|&at| pool[at].index);
    }

    /// Residual sum of squares in the units of samples: each entry of a bin averages `B` of them.
    pub(super) fn squares(&self) -> f64 {
        let in_group = |(g, e): (&Group<I>, &Vec<f64>)| (g.bins() * g.offsets.len()) as f64 * e.iter().sum::<f64>();
        self.groups.iter().zip(&self.energy).map(in_group).sum()
    }

    pub(super) fn forget_lists(&mut self) {
        self.listed.iter_mut().for_each(|l| l.fill(f64::NAN));
    }

    /// Lists every bin whose energy changed since it was listed and is above noise; returns whether the observer ended it, and
    /// then it may have listed some of them only.
    pub(super) fn list_changed(
        &mut self,
        effort: usize,
        length: usize,
        everywhere: bool,
        watch: &mut Watch<'_>,
    ) -> bool {
        let mut wanted = Vec::new();
        for (c, g) in self.groups.iter().enumerate() {
            let excess = 1.0 + 1.5 * (2.0 / g.offsets.len() as f64).sqrt();
            for j in 0..g.bins() {
                let (e, before) = (self.energy[c][j], &mut self.listed[c][j]);
                let changed = before.is_nan() || (e - *before).abs() > LIST_AGAIN * e.max(*before);
                if changed && (everywhere || e > self.noise[c] * excess) {
                    *before = e;
                    wanted.push((c, j));
                }
            }
        }
        let candidates = |&(c, j): &(usize, usize)| self.lists.list(c, j, self.bin(c, j), effort, length);
        // Lists of some candidates take microseconds, those of millions many milliseconds: as many between two looks as time
        // allows. A list depends on its bin alone, so the answer does not depend on the time.
        let (mut found, mut rest, mut together) = (Vec::new(), &wanted[..], PARALLEL_LISTS);
        while !rest.is_empty() {
            let (part, later) = rest.split_at(together.min(rest.len()));
            let start = Instant::now();
            if part.len() < PARALLEL_LISTS && wanted.len() < PARALLEL_LISTS {
                found.extend(part.iter().flat_map(candidates));
            } else {
                found.par_extend(part.par_iter().flat_map_iter(candidates));
            }
            rest = later;
            if watch.ticks(|| progress("lists of candidates", wanted.len() - rest.len())) {
                return true;
            }
            let half_a_gap = LONGEST_GAP / 2;
            together = if start.elapsed() < half_a_gap / 4 { 2 * together } else { together };
            together = if start.elapsed() > half_a_gap { (together / 2).max(1) } else { together };
        }
        let mut fresh: Vec<I> = Vec::new();
        for k in found {
            if self.known.insert(k) {
                fresh.push(k);
            }
        }
        if fresh.len() < PARALLEL_CANDIDATES {
            for k in fresh {
                let member = self.locate(k);
                self.pool.push(member);
            }
        } else {
            let members: Vec<Member<I>> = fresh.par_iter().map(|&k| self.locate(k)).collect();
            self.pool.extend(members);
        }
        self.lists_made += wanted.len();
        false
    }
}
