//! Stage 3, peeling: what one group resolves is subtracted from the bins of all groups, which resolves more.
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use samplewise_linalg::{Observer, Progress};

use crate::bin_detect::{self, Content};
use crate::bits::Bits;
use crate::equal_pairs;
use crate::subsample::Group;

/// How a bin is looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Offsets of [`crate::subsample::sign_bit_offsets`]; entries are exact up to this tolerance.
    SignBits {
        /// Absolute tolerance.
        tolerance: f64,
    },
    /// Offsets of [`crate::subsample::paired_offsets`]; variance of the noise on one sample.
    Paired {
        /// `σ²`.
        variance: f64,
    },
}

/// What peeling found.
#[derive(Clone, Debug, PartialEq)]
pub struct Peeled<I = u64> {
    /// Coefficients by index.
    pub coefficients: BTreeMap<I, f64>,
    /// Bins left unresolved.
    pub multi_tons: usize,
    /// Bins looked at.
    pub visits: usize,
}

/// Bins looked at between two looks at the observer.
const LOOK: usize = 4096;

/// Peels until no bin resolves (rows WHT-3 and WHT-4).
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
    let mut state = State { groups, bins, free_bits, rule, queue, queued, coefficients: BTreeMap::new() };
    let mut doubted: BTreeSet<Place> = BTreeSet::new();
    let limit = 64 * total + 64;
    let mut visits = 0;
    while visits < limit {
        if visits % LOOK == 0 {
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
            if state.support(place, &found) >= 0.0 {
                state.take(&found);
            } else {
                doubted.insert(place);
            }
        } else if !doubted.is_empty() {
            let mut ranked: Vec<(f64, Place)> = Vec::with_capacity(doubted.len());
            for place in std::mem::take(&mut doubted) {
                let found = state.look(place);
                visits += 1;
                if !found.is_empty() {
                    ranked.push((state.support(place, &found), place));
                }
            }
            ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            let best = 1 + ranked.len() / 16;
            for &(_, place) in ranked.iter().take(best) {
                let found = state.look(place);
                state.take(&found);
            }
            doubted.extend(ranked.iter().skip(best).map(|r| r.1));
        } else {
            let Rule::SignBits { tolerance } = rule else { break };
            let found = equal_pairs::resolve(groups, &state.bins, tolerance);
            visits += found.len();
            if found.is_empty() {
                break;
            }
            state.take(&found);
        }
    }
    let multi_tons = groups
        .iter()
        .enumerate()
        .map(|(c, g)| (0..g.bins()).filter(|&j| state.content((c, j)) != Content::ZeroTon).count())
        .sum();
    let floor = match rule {
        Rule::SignBits { tolerance } => tolerance,
        Rule::Paired { .. } => 0.0,
    };
    let mut coefficients = state.coefficients;
    coefficients.retain(|_, v| v.abs() > floor);
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
    coefficients: BTreeMap<I, f64>,
}

impl<I: Bits> State<'_, I> {
    fn content(&self, (c, j): Place) -> Content<I> {
        let group = &self.groups[c];
        let count = group.offsets.len();
        let y = &self.bins[c][j * count..(j + 1) * count];
        let free = self.free_bits[c];
        match self.rule {
            Rule::SignBits { tolerance } => bin_detect::from_sign_bits(&y[..=free], tolerance),
            Rule::Paired { variance } => {
                bin_detect::from_paired_offsets(y, free, variance / group.bins() as f64, |p, u| group.sign(p, u))
            }
        }
    }

    /// Coefficients `(k, value)` that the bin resolves into; none when it is empty or crowded.
    fn look(&self, place: Place) -> Vec<(I, f64)> {
        match self.content(place) {
            Content::Resolved(found) => {
                found.into_iter().map(|(u, value)| (self.groups[place.0].index(place.1, u), value)).collect()
            }
            Content::ZeroTon | Content::MultiTon => Vec::new(),
        }
    }

    /// What the other groups say: the log of the factor by which taking the finds away shrinks the energy of their
    /// bins, summed. Positive for members more often than not, negative for strangers.
    fn support(&self, place: Place, found: &[(I, f64)]) -> f64 {
        let mut gain = 0.0;
        for &(k, value) in found {
            for (c, group) in self.groups.iter().enumerate().filter(|&(c, _)| c != place.0) {
                let (bin, u) = group.locate(k);
                let count = group.offsets.len();
                let (mut before, mut after) = (0.0, 0.0);
                for (p, y) in self.bins[c][bin * count..(bin + 1) * count].iter().enumerate() {
                    before += y * y;
                    after += (y - value * group.sign(p, u)).powi(2);
                }
                let noise = match self.rule {
                    Rule::SignBits { .. } => 1e-12 * value * value,
                    Rule::Paired { variance } => variance / group.bins() as f64,
                };
                let floor = noise * count as f64;
                gain += (before.max(floor) / after.max(floor)).ln();
            }
        }
        gain
    }

    /// Takes coefficients away from the bins of all groups and queues these bins.
    fn take(&mut self, found: &[(I, f64)]) {
        for &(k, value) in found {
            *self.coefficients.entry(k).or_insert(0.0) += value;
            for (c, group) in self.groups.iter().enumerate() {
                let (bin, u) = group.locate(k);
                let count = group.offsets.len();
                for (p, entry) in self.bins[c][bin * count..(bin + 1) * count].iter_mut().enumerate() {
                    *entry -= value * group.sign(p, u);
                }
                if !std::mem::replace(&mut self.queued[c][bin], true) {
                    self.queue.push_back((c, bin));
                }
            }
        }
    }
}
