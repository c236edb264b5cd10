//! Lists from all candidates of a bin, where the candidates can be written down.
use super::{Best, Lists, Tables};
use crate::bins::subsample::Group;
use crate::field::bits::Bits;
use rayon::prelude::*;

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
    /// All `k` of at most `degree` of the `variables`.
    ///
    /// # Panics
    /// With more than 64 offsets in a group.
    pub fn up_to_degree(groups: &[Group<I>], variables: usize, degree: usize) -> Self {
        Self::new(groups, Candidates::UpTo { variables, degree })
    }

    /// The candidates of a list.
    ///
    /// # Panics
    /// With more than 64 offsets in a group.
    pub fn of_sets(groups: &[Group<I>], sets: &[I]) -> Self {
        Self::new(groups, Candidates::Sets(sets))
    }

    fn new(groups: &[Group<I>], all: Candidates<'_, I>) -> Self {
        let by_bin = |g: &Group<I>| {
            assert!(g.offsets.len() <= 64, "a word holds 64 offsets");
            let words: Vec<(u64, u64)> = g.unit_words().into_iter().map(|(bin, w)| (bin, w as u64)).collect();
            // Counted, then placed: one table, no sorting.
            let mut starts = vec![0; g.bins() + 1];
            all.visit(&words, |_, bin, _| starts[bin as usize + 1] += 1);
            for j in 0..g.bins() {
                starts[j + 1] += starts[j];
            }
            let (mut next, total) = (starts.clone(), starts[g.bins()]);
            let (mut codes, mut candidates) = (vec![0; total], vec![I::zero(); total]);
            all.visit(&words, |k, bin, word| {
                let at = &mut next[bin as usize];
                codes[*at] = word;
                candidates[*at] = k;
                *at += 1;
            });
            ByBin { starts, words: codes, candidates }
        };
        Self { groups: groups.par_iter().map(by_bin).collect() }
    }
}

#[derive(Clone, Copy)]
enum Candidates<'a, I> {
    UpTo { variables: usize, degree: usize },
    Sets(&'a [I]),
}

impl<I: Bits> Candidates<'_, I> {
    fn visit(self, words: &[(u64, u64)], mut visit: impl FnMut(I, u64, u64)) {
        match self {
            Self::UpTo { variables, degree } => for_each_up_to_degree(words, variables, degree, visit),
            Self::Sets(sets) => {
                for &k in sets {
                    let mut at = (0, 0);
                    k.for_each_one(|i| at = (at.0 ^ words[i].0, at.1 ^ words[i].1));
                    visit(k, at.0, at.1);
                }
            }
        }
    }
}

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
    // The ways down to the current k: the variable that was added, and k, bin and word without it.
    let mut path: Vec<(usize, I, u64, u64)> = Vec::with_capacity(degree);
    let (mut k, mut bin, mut word, mut next) = (I::zero(), 0, 0, 0);
    visit(k, bin, word);
    if degree == 0 {
        return;
    }
    loop {
        if path.len() + 1 == degree {
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
        let lists = Exhaustive::up_to_degree(&groups, 12, 3);
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
