//! Lists from all candidates of a bin, where the candidates can be written down.
use super::{Best, Lists, Tables};
use crate::bins::subsample::Group;
use crate::field::bits::Bits;
use rayon::prelude::*;
use samplewise_linalg::observe::{Observer, Progress, Watch};

/// Most candidates: their table takes `8 + size of an index` bytes a group.
pub const MAX_CANDIDATES: u128 = 20_000_000;

/// Every candidate by bin, with the signs it shows under the offsets of its group.
#[derive(Clone, Debug)]
pub struct Exhaustive<I> {
    groups: Vec<ByBin<I>>,
}

#[derive(Clone, Debug)]
struct ByBin<I> {
    starts: Vec<usize>,
    words: Vec<u64>,
    candidates: Vec<I>,
}

impl<I: Bits> Exhaustive<I> {
    /// All `k` of at most `degree` of the `variables`; none where the observer ends it.
    ///
    /// # Panics
    /// With more than 64 offsets in a group.
    pub fn up_to_degree(
        groups: &[Group<I>],
        variables: usize,
        degree: usize,
        observer: &mut dyn Observer,
    ) -> Option<Self> {
        Self::new(groups, Candidates::UpTo { variables, degree }, observer)
    }

    /// The candidates of a list; none where the observer ends it.
    ///
    /// # Panics
    /// With more than 64 offsets in a group.
    pub fn of_sets(groups: &[Group<I>], sets: &[I], observer: &mut dyn Observer) -> Option<Self> {
        Self::new(groups, Candidates::Sets(sets), observer)
    }

    fn new(groups: &[Group<I>], all: Candidates<'_, I>, observer: &mut dyn Observer) -> Option<Self> {
        let mut watch = Watch::new(observer);
        let words: Vec<Vec<(u64, u64)>> =
            groups.iter().map(|g| g.unit_words().into_iter().map(|(bin, w)| (bin, w as u64)).collect()).collect();
        assert!(groups.iter().all(|g| g.offsets.len() <= 64), "a word holds 64 offsets");
        let progress =
            |part| Progress { stage: "table of candidates", step: part, total: Some(2 * all.parts()), value: None };
        // Counted, then placed: one table, no sorting.
        let mut starts: Vec<Vec<usize>> = groups.iter().map(|g| vec![0; g.bins() + 1]).collect();
        for part in 0..all.parts() {
            starts.par_iter_mut().zip(&words).for_each(|(starts, words)| {
                all.visit(part, words, |_, bin, _| starts[bin as usize + 1] += 1);
            });
            if watch.ticks(|| progress(part)) {
                return None;
            }
        }
        let empty = |mut starts: Vec<usize>| {
            for j in 1..starts.len() {
                starts[j] += starts[j - 1];
            }
            let total = starts[starts.len() - 1];
            ByBin { starts, words: vec![0; total], candidates: vec![I::zero(); total] }
        };
        let mut groups: Vec<ByBin<I>> = starts.into_iter().map(empty).collect();
        let mut next: Vec<Vec<usize>> = groups.iter().map(|g| g.starts.clone()).collect();
        for part in 0..all.parts() {
            groups.par_iter_mut().zip(&mut next).zip(&words).for_each(|((group, next), words)| {
                all.visit(part, words, |k, bin, word| {
                    let at = &mut next[bin as usize];
                    (group.words[*at], group.candidates[*at]) = (word, k);
                    *at += 1;
                });
            });
            if watch.ticks(|| progress(all.parts() + part)) {
                return None;
            }
        }
        Some(Self { groups })
    }
}

#[derive(Clone, Copy)]
enum Candidates<'a, I> {
    UpTo { variables: usize, degree: usize },
    Sets(&'a [I]),
}

impl<I: Bits> Candidates<'_, I> {
    /// Parts that are visited between two looks: all `k` that begin with the same variable, or some of a list.
    fn parts(self) -> usize {
        match self {
            Self::UpTo { variables, degree } => 1 + if degree > 0 { variables } else { 0 },
            Self::Sets(sets) => sets.len().div_ceil(TOGETHER),
        }
    }

    /// Visits a part; all parts in turn are all candidates in their order.
    fn visit(self, part: usize, words: &[(u64, u64)], mut visit: impl FnMut(I, u64, u64)) {
        match self {
            Self::UpTo { .. } if part == 0 => visit(I::zero(), 0, 0),
            Self::UpTo { variables, degree } => for_each_from(words, variables, degree, part - 1, visit),
            Self::Sets(sets) => {
                for &k in sets.chunks(TOGETHER).nth(part).into_iter().flatten() {
                    let mut at = (0, 0);
                    k.for_each_one(|i| at = (at.0 ^ words[i].0, at.1 ^ words[i].1));
                    visit(k, at.0, at.1);
                }
            }
        }
    }
}

/// Candidates of a list that are visited between two looks.
const TOGETHER: usize = 1 << 17;

impl<I: Bits> Lists<I> for Exhaustive<I> {
    fn list(&self, group: usize, bin: usize, y: &[f64], _: usize, length: usize) -> Vec<I> {
        let g = &self.groups[group];
        let range = g.starts[bin]..g.starts[bin + 1];
        let hard = y.iter().enumerate().fold(0_u64, |w, (p, v)| w | u64::from(*v < 0.0) << p);
        let tables = Tables::new(y);
        let total: f32 = y.iter().map(|v| v.abs() as f32).sum();
        let mut best = Best::new(length);
        let mut worst = f32::INFINITY;
        for (&word, at) in g.words[range.clone()].iter().zip(range) {
            // The sign of the coefficient is free: a word and its complement fit alike.
            let cost = tables.cost_of_word(word ^ hard);
            let cost = cost.min(total - cost);
            if cost <= worst {
                best.offer(f64::from(cost), g.candidates[at]);
                worst = best.worst() as f32;
            }
        }
        best.into_items()
    }

    fn most_effort(&self) -> usize {
        0
    }
}

/// `Σ_{d ≤ degree} C(variables, d)`, saturating.
pub fn count_up_to_degree(variables: usize, degree: usize) -> u128 {
    let (mut term, mut sum) = (1_u128, 1_u128);
    for d in 1..=degree.min(variables) {
        let Some(next) = term.checked_mul((variables - d + 1) as u128) else { return u128::MAX };
        term = next / d as u128;
        sum = sum.saturating_add(term);
    }
    sum
}

/// Calls `visit(k, bin, word)` for every `k` of at most `degree` of the `variables`; `words[i]` is the bin and the word of
/// variable `i`, and both are linear.
pub fn for_each_up_to_degree<I: Bits>(
    words: &[(u64, u64)],
    variables: usize,
    degree: usize,
    mut visit: impl FnMut(I, u64, u64),
) {
    visit(I::zero(), 0, 0);
    if degree > 0 {
        (0..variables).for_each(|first| for_each_from(words, variables, degree, first, &mut visit));
    }
}

/// The same for those `k` whose lowest variable is `first`; `degree` is 1 at least.
fn for_each_from<I: Bits>(
    words: &[(u64, u64)],
    variables: usize,
    degree: usize,
    first: usize,
    mut visit: impl FnMut(I, u64, u64),
) {
    // The ways down to the current k: the variable that was added, and k, bin and word without it.
    let mut path: Vec<(usize, I, u64, u64)> = Vec::with_capacity(degree);
    let (mut k, (mut bin, mut word), mut next) = (I::unit(first), words[first], first + 1);
    visit(k, bin, word);
    if degree == 1 {
        return;
    }
    loop {
        if path.len() + 2 == degree {
            // The last variable: a plain loop, where nearly all of the time is spent.
            for (i, (b, w)) in words[..variables].iter().enumerate().skip(next) {
                visit(k | I::unit(i), bin ^ b, word ^ w);
            }
        } else if next < variables {
            path.push((next, k, bin, word));
            (k, bin, word) = (k | I::unit(next), bin ^ words[next].0, word ^ words[next].1);
            visit(k, bin, word);
            next += 1;
            continue;
        }
        let Some((i, before, b, w)) = path.pop() else { return };
        (k, bin, word, next) = (before, b, w, i + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bins::subsample::distinct_offsets;
    use samplewise_linalg::random::Streams;

    /// The table holds each candidate once, in its bin and with its signs; the list is that of the definition.
    #[test]
    fn the_best_candidates_of_a_bin_are_listed() {
        let mut rng = Streams::new(5).stream(0);
        let offsets: Vec<u64> = distinct_offsets(9, 20, &mut rng);
        let groups = [Group::<u64>::new(12, 3, offsets, &mut rng)];
        let lists = Exhaustive::up_to_degree(&groups, 12, 3, &mut ()).unwrap();
        let all: Vec<u64> = (0..1 << 12).filter(|k: &u64| k.count_ones() <= 3).collect();
        assert_eq!(all.len() as u128, count_up_to_degree(12, 3));
        assert_eq!(lists.groups[0].candidates.len(), all.len());
        let y: Vec<f64> = (0..20).map(|_| samplewise_linalg::random::normal(&mut rng)).collect();
        for bin in 0..8 {
            let mut expected: Vec<(f64, u64)> = all
                .iter()
                .filter(|&&k| groups[0].locate(k).0 == bin)
                .map(|&k| {
                    let u = groups[0].locate(k).1;
                    (-y.iter().enumerate().map(|(p, v)| v * groups[0].sign(p, u)).sum::<f64>().abs(), k)
                })
                .collect();
            expected.sort_by(|a, b| a.0.total_cmp(&b.0));
            let got = lists.list(0, bin, &y, 0, 5);
            assert_eq!(got, expected.iter().take(5).map(|e| e.1).collect::<Vec<_>>());
        }
    }
}
