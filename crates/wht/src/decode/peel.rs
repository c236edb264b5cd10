//! Stage 3, peeling: what one group resolves is subtracted from the bins of all groups, which resolves more.
use std::collections::{BTreeSet, HashMap, VecDeque};

use foldhash::fast::FixedState;
use rayon::prelude::*;
use samplewise_linalg::{Observer, Progress, sums};

use crate::bins::detect::{self, Content};
use crate::bins::equal_pairs;
use crate::bins::subsample::Group;
use crate::field::bits::Bits;

/// How a bin is looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Offsets of [`crate::bins::subsample::sign_bit_offsets`]; entries are exact up to this tolerance.
    SignBits {
        /// Difference up to which two sums count as equal.
        tolerance: f64,
    },
    /// Offsets of [`crate::bins::subsample::paired_offsets`]; variance of the noise on one sample.
    Paired {
        /// `σ²`.
        variance: f64,
    },
}

/// What peeling found.
#[derive(Clone, Debug, PartialEq)]
pub struct Peeled<I = u64> {
    /// `(index, value)`, index ascending.
    pub coefficients: Vec<(I, f64)>,
    /// Bins left unresolved.
    pub multi_tons: usize,
    /// Bins looked at.
    pub visits: usize,
}

/// Bins looked at between two looks at the observer.
const LOOK: usize = 4096;

/// From so many bins on, peeling goes in rounds.
const IN_ROUNDS: usize = 8192;
/// Bins a task looks at, and ranges of bins that are written to by one task each.
const PART: usize = 256;
const RANGES: usize = 64;

/// Peels until no bin resolves (rows WHT-3, WHT-4 and WHT-15).
///
/// A work queue instead of rounds: a bin is looked at again whenever a subtraction touched it, amplitudes accumulate,
/// and the number of visits is bounded, so it ends. `bins[c]` is [`Group::observe`] of group `c` and is consumed.
///
/// Three coefficients of equal magnitude look like one with probability `(3/4)^(n−b)`. So a find is taken at once only
/// if the other groups hold it likelier than not; the others wait until nothing better is left, and go best first.
/// Equal pairs that no bin can tell apart are then told apart by two groups together ([`equal_pairs`]). With both, `±1`
/// amplitudes need little more than the bins that the peeling threshold asks for (bench `wht`, "default plans").
pub fn peel<I: Bits>(
    groups: &[Group<I>],
    bins: Vec<Vec<f64>>,
    free_bits: impl Fn(usize) -> usize,
    rule: Rule,
    observer: &mut dyn Observer,
) -> Peeled<I> {
    let total: usize = groups.iter().map(Group::<I>::bins).sum();
    let free_bits = (0..groups.len()).map(free_bits).collect();
    let queued: Vec<Vec<bool>> = groups.iter().map(|g| vec![true; g.bins()]).collect();
    let queue: VecDeque<Place> =
        groups.iter().enumerate().flat_map(|(c, g)| (0..g.bins()).map(move |j| (c, j))).collect();
    let mut state = State {
        groups,
        bins,
        free_bits,
        rule,
        queue,
        queued,
        coefficients: HashMap::with_capacity_and_hasher(total, FixedState::default()),
    };
    let mut doubted: BTreeSet<Place> = BTreeSet::new();
    let limit = 64 * total + 64;
    let mut visits = 0;
    let (mut look, mut signs) = (0, Vec::new());
    if total >= IN_ROUNDS {
        visits += state.rounds(&mut doubted, limit, observer);
    }
    while visits < limit {
        if visits >= look {
            look = visits + LOOK;
            let step =
                Progress { stage: "peeling", step: visits, total: None, value: Some(state.coefficients.len() as f64) };
            if observer.step(step).is_break() {
                break;
            }
        }
        if let Some(place) = state.queue.pop_front() {
            state.queued[place.0][place.1] = false;
            visits += 1;
            let found = state.look(place);
            let found = found.resolved();
            if state.support(place, found, &mut signs) >= 1.0 {
                state.take(found, &mut signs);
            } else {
                doubted.insert(place);
            }
        } else if !doubted.is_empty() {
            let mut ranked: Vec<(f64, Place)> = Vec::with_capacity(doubted.len());
            for place in std::mem::take(&mut doubted) {
                let found = state.look(place);
                visits += 1;
                if !found.resolved().is_empty() {
                    ranked.push((state.support(place, found.resolved(), &mut signs), place));
                }
            }
            ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            let best = 1 + ranked.len() / 16;
            for &(_, place) in ranked.iter().take(best) {
                let found = state.look(place);
                state.take(found.resolved(), &mut signs);
            }
            doubted.extend(ranked.iter().skip(best).map(|r| r.1));
        } else {
            let Rule::SignBits { tolerance } = rule else { break };
            let found = equal_pairs::resolve(groups, &state.bins, tolerance);
            visits += found.len();
            if found.is_empty() {
                break;
            }
            state.take(&found, &mut signs);
        }
    }
    let multi_tons = groups
        .iter()
        .enumerate()
        .map(|(c, g)| {
            let left = |&j: &usize| state.content((c, j)) != Content::ZeroTon;
            (0..g.bins()).into_par_iter().with_min_len(IN_ROUNDS / 2).filter(left).count()
        })
        .sum();
    let floor = match rule {
        Rule::SignBits { tolerance } => tolerance,
        Rule::Paired { .. } => 0.0,
    };
    let mut coefficients: Vec<(I, f64)> = state.coefficients.into_iter().filter(|c| c.1.abs() > floor).collect();
    coefficients.sort_unstable_by_key(|c| c.0);
    Peeled { coefficients, multi_tons, visits }
}

/// A bin of a group.
type Place = (usize, usize);

struct State<'a, I> {
    groups: &'a [Group<I>],
    bins: Vec<Vec<f64>>,
    free_bits: Vec<usize>,
    rule: Rule,
    queue: VecDeque<Place>,
    queued: Vec<Vec<bool>>,
    coefficients: HashMap<I, f64, FixedState>,
}

impl<I: Bits> State<'_, I> {
    fn content(&self, (c, j): Place) -> Content<I> {
        let group = &self.groups[c];
        let count = group.offsets.len();
        let y = &self.bins[c][j * count..(j + 1) * count];
        let free = self.free_bits[c];
        match self.rule {
            Rule::SignBits { tolerance } => detect::from_sign_bits(&y[..=free], tolerance),
            Rule::Paired { variance } => {
                detect::from_paired_offsets(y, free, variance / group.bins() as f64, |p, u| group.sign(p, u))
            }
        }
    }

    /// Peels in rounds, which threads can share: all bins of a round are looked at in the state that the last one left,
    /// then everything found is taken away at once. Ends when a round finds nothing; returns the bins looked at.
    fn rounds(&mut self, doubted: &mut BTreeSet<Place>, limit: usize, observer: &mut dyn Observer) -> usize {
        let mut visits = 0;
        let mut front: Vec<Place> = self.queue.drain(..).collect();
        while !front.is_empty() && visits < limit {
            let value = Some(self.coefficients.len() as f64);
            if observer.step(Progress { stage: "peeling", step: visits, total: None, value }).is_break() {
                break;
            }
            visits += front.len();
            front.iter().for_each(|&(c, j)| self.queued[c][j] = false);
            let look = |part: &[Place]| {
                let mut signs = Vec::new();
                let seen = part.iter().map(|&place| {
                    let found = self.look(place);
                    let gain = self.support(place, found.resolved(), &mut signs);
                    (place, found, gain)
                });
                seen.filter(|s| !s.1.resolved().is_empty()).collect::<Vec<_>>()
            };
            let seen: Vec<(Place, Content<I>, f64)> = front.par_chunks(PART).flat_map_iter(look).collect();
            let mut taken: Vec<(I, f64, f64)> = Vec::new();
            for (place, found, gain) in seen {
                if gain >= 1.0 {
                    taken.extend(found.resolved().iter().map(|&(k, v)| (k, v, gain)));
                } else {
                    doubted.insert(place);
                }
            }
            // What several groups found is one coefficient; the best supported value counts.
            taken.par_sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.2.total_cmp(&a.2)).then(a.1.total_cmp(&b.1)));
            taken.dedup_by_key(|t| t.0);
            for &(k, value, _) in &taken {
                *self.coefficients.entry(k).or_insert(0.0) += value;
            }
            front.clear();
            for c in 0..self.groups.len() {
                let bins = self.take_all(c, &taken);
                front.extend(
                    bins.into_iter().filter(|&j| !std::mem::replace(&mut self.queued[c][j], true)).map(|j| (c, j)),
                );
            }
        }
        front.into_iter().for_each(|(c, j)| self.queued[c][j] = false);
        visits
    }

    /// Takes coefficients away from the bins of one group, a range of bins a task; returns these bins.
    fn take_all(&mut self, c: usize, taken: &[(I, f64, f64)]) -> Vec<usize> {
        let group = &self.groups[c];
        let count = group.offsets.len();
        let shift = group.bits.saturating_sub(RANGES.ilog2() as usize);
        let mut placed: Vec<(usize, I, f64)> = taken
            .par_iter()
            .with_min_len(PART)
            .map(|&(k, v, _)| {
                let (bin, u) = group.locate(k);
                (bin, u, v)
            })
            .collect();
        placed.par_sort_by_key(|p| p.0);
        let mut bins = std::mem::take(&mut self.bins[c]);
        bins.par_chunks_mut(count << shift).enumerate().for_each(|(range, part)| {
            let from = placed.partition_point(|p| p.0 >> shift < range);
            let mut signs = Vec::new();
            for &(bin, u, value) in placed[from..].iter().take_while(|p| p.0 >> shift == range) {
                self.fill_signs(c, u, &mut signs);
                let y = &mut part[(bin - (range << shift)) * count..][..count];
                y.iter_mut().zip(&signs).for_each(|(y, s)| *y -= value * s);
            }
        });
        self.bins[c] = bins;
        placed.into_iter().map(|p| p.0).collect()
    }

    /// What the bin resolves into, by index.
    fn look(&self, place: Place) -> Content<I> {
        let index = |(u, value): (I, f64)| (self.groups[place.0].index(place.1, u), value);
        match self.content(place) {
            Content::SingleTon(one) => Content::SingleTon(one.map(index)),
            Content::TwoTon(two) => Content::TwoTon(two.map(index)),
            other => other,
        }
    }

    /// The signs of `u` under all offsets of a group, into `signs`. Sign-bit offsets are zero and the unit vectors.
    fn fill_signs(&self, c: usize, u: I, signs: &mut Vec<f64>) {
        signs.clear();
        match self.rule {
            Rule::SignBits { .. } => {
                signs.push(1.0);
                let one = 1_f64.to_bits();
                let mut left = self.free_bits[c];
                u.for_each_word(|word| {
                    signs.extend((0..left.min(64)).map(|i| f64::from_bits(one | (word >> i) << 63)));
                    left = left.saturating_sub(64);
                });
            }
            Rule::Paired { .. } => signs.extend((0..self.groups[c].offsets.len()).map(|p| self.groups[c].sign(p, u))),
        }
    }

    /// What the other groups say: the factor by which taking the finds away shrinks the energy of their bins, multiplied
    /// up. Above one for members more often than not, below for strangers.
    fn support(&self, place: Place, found: &[(I, f64)], signs: &mut Vec<f64>) -> f64 {
        let mut gain = 1.0;
        for &(k, value) in found {
            for (c, group) in self.groups.iter().enumerate().filter(|&(c, _)| c != place.0) {
                let (bin, u) = group.locate(k);
                let count = group.offsets.len();
                self.fill_signs(c, u, signs);
                let y = &self.bins[c][bin * count..(bin + 1) * count];
                let before = sums::dot(y, y);
                // ‖y − value·s‖², which would cancel if it were expanded.
                signs.iter_mut().zip(y).for_each(|(s, y)| *s = y - value * *s);
                let after = sums::dot(signs, signs);
                let noise = match self.rule {
                    Rule::SignBits { .. } => 1e-12 * value * value,
                    Rule::Paired { variance } => variance / group.bins() as f64,
                };
                let floor = (noise * count as f64).max(f64::MIN_POSITIVE);
                gain *= before.max(floor) / after.max(floor);
            }
        }
        gain
    }

    /// Takes coefficients away from the bins of all groups and queues these bins.
    fn take(&mut self, found: &[(I, f64)], signs: &mut Vec<f64>) {
        for &(k, value) in found {
            *self.coefficients.entry(k).or_insert(0.0) += value;
            for c in 0..self.groups.len() {
                let (bin, u) = self.groups[c].locate(k);
                let count = self.groups[c].offsets.len();
                self.fill_signs(c, u, signs);
                let y = &mut self.bins[c][bin * count..(bin + 1) * count];
                y.iter_mut().zip(&*signs).for_each(|(y, s)| *y -= value * s);
                if !std::mem::replace(&mut self.queued[c][bin], true) {
                    self.queue.push_back((c, bin));
                }
            }
        }
    }
}
