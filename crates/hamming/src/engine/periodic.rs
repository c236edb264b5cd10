//! Engine for near-periodic texts, where early exit never comes: the paper's periodic case of bounded search (row HAM-15).
//!
//! `ℓ` is an *x-period* of the pattern if `P[ℓ..]` and `P[..m − ℓ]` differ in at most `x` places. Where an alignment has
//! at most `k` mismatches, the text below it has an `x + 2k`-period `ℓ` too. So only stretches of the text that are that
//! periodic are looked at, and they, like the pattern, are given by few breaks: with
//!
//! `a_c(u) = t_c(u) − t_c(u − ℓ)`, `b_c(j) = p_c(j) − p_c(j + ℓ)`
//!
//! for the indicators of letter `c`, which are zero but at breaks and ends,
//!
//! `R(i) = Σ_c Σ_{u − j = i} a_c(u) b_c(j)`, and `M(i) = R(i) + 2M(i − ℓ) − M(i − 2ℓ)`:
//!
//! a sumset of `O(k + ℓ)` signed numbers and two sums in steps of `ℓ`. The sumset is that of [`crate::paper::sumset`], signs
//! apart, or pairs where they are fewer; `O(n + nk/√m)` operations in all for `ℓ = O(k)`. Alignments too few for that are
//! looked at by kangaroo jumps: from mismatch to mismatch by hashes of the text. What jumps accept is compared symbol by
//! symbol, and what they refuse has more mismatches for certain; sums by the lemma rest on its fingerprint.
use samplewise_linalg::random::Streams;

use crate::engine::modular::{MERSENNE, times};
use crate::letters::classes::{Classes, Code, Rule};
use crate::paper::sumset::{self, First, Operations, Settings};

/// Longest period that is looked for, where `k` is less.
const PERIOD: usize = 256;
/// Steps of a search for one mismatch by hashes, for the choice between jumps and sums.
const JUMP: usize = 48;
/// Places of the pattern that are looked at before a period is examined.
const PLACES: usize = 64;

/// What a search took.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(test), allow(dead_code, reason = "tests compare it with the bound of the paper"))]
pub struct Work {
    /// Operations on machine words.
    pub operations: Operations,
    /// Alignments looked at by jumps.
    pub jumped: usize,
    /// Alignments looked at by sums.
    pub summed: usize,
    /// Letters and signs whose sums were left to [`crate::paper::sumset`].
    pub lemma: usize,
}

/// A pattern with a short period.
///
/// Row HAM-15 of `paper-refs.md`.
#[derive(Clone, Debug)]
pub struct Prepared {
    pattern: Vec<u32>,
    hashes: Hashes,
    classes: Classes,
    budget: usize,
    period: usize,
    /// Places where the pattern breaks its period.
    breaks: usize,
    /// `(letter, j + ℓ)` where `b_c(j)` is 1, and where it is −1.
    signed: [Vec<(u32, u32)>; 2],
}

impl Prepared {
    /// Looks for the shortest period of at most `max(k, 256)` with at most `2k` breaks. A period that a sample of 64 places
    /// rules out (six standard deviations above what `2k` breaks would show) is left at that; others are examined by
    /// kangaroo jumps: `O(max(k, 256) + m + k·log m)` where few are left. `None` if there is none, or if letters match
    /// otherwise than by equality.
    pub fn new(classes: &Classes, budget: u32) -> Option<Self> {
        let Rule::Equal { wildcard: None } = classes.rule else { return None };
        let pattern: Vec<u32> = classes.pattern.iter().copied().collect::<Option<_>>()?;
        let (m, k) = (pattern.len(), budget as usize);
        let hashes = Hashes::new(pattern.iter().map(|&c| u64::from(c)));
        let shortest = (1..=k.max(PERIOD).min(m / 4)).find(|&period| {
            let place = |j: usize| (j.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) % (m - period);
            let breaks = (0..PLACES).filter(|&j| pattern[place(j)] != pattern[place(j) + period]).count() as f64;
            let expected = (PLACES * 2 * k) as f64 / (m - period) as f64;
            if breaks > expected + 6.0 * expected.sqrt() + 1.0 {
                return false;
            }
            let mut at = 0;
            (0..=2 * k).any(|_| {
                at += hashes.common(at + period, &hashes, at, m - period - at) + 1;
                at > m - period
            })
        });
        let period = shortest?;
        let breaks = (0..m - period).filter(|&j| pattern[j] != pattern[j + period]).count();
        let mut signed = [Vec::new(), Vec::new()];
        for j in 0..m + period {
            // b(j − ℓ) = p(j − ℓ) − p(j), both within the pattern.
            let (own, next) = (j.checked_sub(period).map(|j| pattern[j]), pattern.get(j).copied());
            if own != next {
                own.iter().for_each(|&c| signed[0].push((c, j as u32)));
                next.iter().for_each(|&c| signed[1].push((c, j as u32)));
            }
        }
        signed.iter_mut().for_each(|list| list.sort_unstable());
        Some(Self { pattern, hashes, classes: classes.clone(), budget: k, period, breaks, signed })
    }

    /// True where a stretch of a text, by a sample of it, is so periodic that the pattern may occur in it.
    pub fn suits(&self, sample: &[u32]) -> bool {
        let pairs = sample.len().saturating_sub(self.period);
        let breaks = (0..pairs).filter(|&t| sample[t] != sample[t + self.period]).count();
        breaks * self.pattern.len() <= (self.breaks + 2 * self.budget) * pairs
    }

    /// Pairs of breaks, at most, for each alignment of a periodic text; a nanosecond each.
    pub(crate) fn pairs(&self) -> f64 {
        let breaks = 2.0 * (2 * (self.breaks + 2 * self.budget) + 2 * self.period) as f64;
        let own: f64 = self.signed.iter().map(|list| list.len() as f64).sum();
        breaks * own / (self.classes.len() as f64 * self.pattern.len() as f64)
    }

    /// Position and distance of every alignment within the budget among the first `span`, ascending (row HAM-15), and
    /// what it took.
    pub fn find<C: Code>(&self, codes: &[C], span: usize) -> (Vec<(usize, u32)>, Work) {
        let (m, period) = (self.pattern.len(), self.period);
        let mut operations = Operations::new(4 * m);
        let (mut jumped, mut summed, mut lemma) = (0, 0, 0);
        let mut found = Vec::new();
        let alignments = (codes.len() + 1).saturating_sub(m).min(span);
        // Letters of codes; what is none of them is one of its own, which the pattern lacks.
        let mut letter_of = vec![u32::MAX; self.classes.code_count];
        self.classes.codes.iter().zip(0..).for_each(|(&code, letter)| letter_of[code as usize] = letter);
        let broken = |t: usize| usize::from(codes[t] != codes[t + period]);
        let most = self.breaks + 2 * self.budget;
        let mut breaks: usize = if alignments > 0 { (0..m - period).map(broken).sum() } else { 0 };
        let mut hashes = None;
        // Candidates of a stretch that begins with one, and reaches from it to the last one less than `m` on: its text is
        // that of two candidates, and has no more than twice as many breaks.
        let mut candidates: Vec<usize> = Vec::new();
        for i in 0..=alignments {
            if let Some(&from) = candidates.first()
                && (i == alignments || i - from == m)
            {
                let last = candidates[candidates.len() - 1];
                let count = last + 1 - from;
                if candidates.len() * (self.budget + 1) * JUMP < m + count {
                    let text = hashes.get_or_insert_with(|| {
                        operations.words += codes.len() as u64;
                        Hashes::new(codes.iter().map(|c| u64::from(letter_of[c.index()])))
                    });
                    jumped += candidates.len();
                    for &position in &candidates {
                        operations.words += ((self.budget + 1) * JUMP) as u64;
                        if self.jumps(text, position) {
                            let differs = |(p, c): &(&u32, &C)| **p != letter_of[c.index()];
                            let distance = self.pattern.iter().zip(&codes[position..]).filter(differs).count();
                            operations.words += m as u64;
                            if distance <= self.budget {
                                found.push((position, distance as u32));
                            }
                        }
                    }
                } else {
                    summed += count;
                    let text: Vec<u32> = codes[from..last + m].iter().map(|c| letter_of[c.index()]).collect();
                    for (k, matching) in self.matches(&text, count, &mut operations, &mut lemma).into_iter().enumerate()
                    {
                        let distance = m - matching as usize;
                        if distance <= self.budget {
                            found.push((from + k, distance as u32));
                        }
                    }
                }
                candidates.clear();
            }
            if i < alignments && breaks <= most {
                candidates.push(i);
            }
            if i + 1 < alignments {
                breaks = breaks + broken(i + m - period) - broken(i);
            }
        }
        operations.words += (codes.len() + alignments) as u64;
        (found, Work { operations, jumped, summed, lemma })
    }

    /// True unless there are more mismatches than the budget.
    fn jumps(&self, text: &Hashes, position: usize) -> bool {
        let m = self.pattern.len();
        let mut at = 0;
        for _ in 0..=self.budget {
            at += self.hashes.common(at, text, position + at, m - at) + 1;
            if at > m {
                return true; // no mismatch up to the end
            }
        }
        false
    }

    /// Matches of the alignments `0..count` of a stretch of letters that is not much longer than the pattern.
    fn matches(&self, text: &[u32], count: usize, operations: &mut Operations, lemma: &mut usize) -> Vec<i64> {
        let (m, period, n) = (self.pattern.len(), self.period, text.len());
        let mut signed = [Vec::new(), Vec::new()];
        for u in 0..n + period {
            let (own, before) = (text.get(u).copied(), u.checked_sub(period).map(|u| text[u]));
            if own != before {
                own.iter().for_each(|&c| signed[0].push((c, u as u32)));
                before.iter().for_each(|&c| signed[1].push((c, u as u32)));
            }
        }
        signed.iter_mut().for_each(|list| list.sort_unstable());
        // Of the alignment i at i + m − 1: before −m + 1 nothing matches.
        let last = (m - 1 + period) as u32;
        let mut sums = vec![0_i64; n + m + 2 * period];
        let universe = (n + period).max(m + period);
        // The breaks of the text, what they are written to, and twice summed.
        operations.words += (2 * n + 3 * sums.len()) as u64;
        for (s, text) in signed.iter().enumerate() {
            for (t, pattern) in self.signed.iter().enumerate() {
                let sign = if s == t { 1 } else { -1 };
                for own in pattern.chunk_by(|x, y| x.0 == y.0) {
                    let letter = own[0].0;
                    let from = text.partition_point(|x| x.0 < letter);
                    let there = &text[from..from + text[from..].partition_point(|x| x.0 == letter)];
                    if sumset::pairs_are_cheaper(there.len(), own.len(), universe) {
                        operations.words += (there.len() * own.len()) as u64;
                        for x in there {
                            own.iter().for_each(|y| sums[(x.1 + last - y.1) as usize] += sign);
                        }
                    } else {
                        let x: Vec<u32> = there.iter().map(|x| x.1).collect();
                        let y: Vec<u32> = own.iter().map(|y| last - y.1).collect();
                        *lemma += 1;
                        let settings = Settings { first: First::Large, ..Settings::default() };
                        let counted = sumset::count(&x, &y, universe, &settings, Streams::new(u64::from(letter)));
                        operations.words += counted.operations.words + sums.len() as u64;
                        sums.iter_mut().zip(counted.counts).for_each(|(s, c)| *s += sign * i64::from(c));
                    }
                }
            }
        }
        for _ in 0..2 {
            for i in period..sums.len() {
                sums[i] += sums[i - period];
            }
        }
        sums[m - 1..m - 1 + count].to_vec()
    }
}

/// Any number would do: hashes decide nothing alone.
const BASE: u64 = 0x1234_5678_9abc_def1 % MERSENNE;

/// Hashes of the prefixes of a text.
#[derive(Clone, Debug)]
struct Hashes {
    prefix: Vec<u64>,
    power: Vec<u64>,
}

impl Hashes {
    fn new(letters: impl Iterator<Item = u64>) -> Self {
        let (mut prefix, mut power) = (vec![0], vec![1]);
        for letter in letters {
            let (hash, next) = (*prefix.last().expect("not empty"), *power.last().expect("not empty"));
            prefix.push((times(hash, BASE) + letter + 1) % MERSENNE);
            power.push(times(next, BASE));
        }
        Self { prefix, power }
    }

    fn of(&self, from: usize, len: usize) -> u64 {
        (self.prefix[from + len] + MERSENNE - times(self.prefix[from], self.power[len])) % MERSENNE
    }

    /// How long, up to `most`, the texts from `at` and `there` on have equal hashes.
    fn common(&self, at: usize, other: &Self, there: usize, most: usize) -> usize {
        let equal = |len: usize| self.of(at, len) == other.of(there, len);
        let mut longer = 1;
        while longer <= most && equal(longer) {
            longer *= 2;
        }
        // Equal at half of it, not at all of it, or beyond the end.
        let (mut low, mut high) = (longer / 2, longer.min(most + 1));
        while high - low > 1 {
            let middle = low.midpoint(high);
            if equal(middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use samplewise_linalg::random::below;

    use super::*;

    /// A text of period `period` with `breaks` random letters.
    fn text(len: usize, period: usize, letters: u32, breaks: usize, seed: u64) -> Vec<u32> {
        let mut rng = Streams::new(seed).stream(0);
        let unit: Vec<u32> = (0..period).map(|_| below(&mut rng, letters as usize) as u32).collect();
        let mut text: Vec<u32> = (0..len).map(|i| unit[i % period]).collect();
        for _ in 0..breaks {
            text[below(&mut rng, len)] = below(&mut rng, letters as usize) as u32;
        }
        text
    }

    fn classes(pattern: &[u32], letters: u32) -> Classes {
        Classes {
            pattern: pattern.iter().map(|&c| Some(c)).collect(),
            codes: (0..letters).collect(),
            rule: Rule::Equal { wildcard: None },
            code_count: letters as usize + 2,
        }
    }

    /// HAM-15: exactly the alignments within the budget, in texts that are periodic everywhere, in part, and nowhere, with
    /// other phases, letters the pattern lacks, and breaks dense enough for every way through.
    #[test]
    fn periodic_search_equals_the_definition() {
        let (mut hits, mut sums, mut jumps) = (0, 0, 0);
        for seed in 0..60 {
            let mut rng = Streams::new(seed).stream(9);
            let most = if seed % 4 == 3 { 3 } else { 14 };
            let (period, k) = (1 + below(&mut rng, 12), below(&mut rng, most) as u32);
            let m = if seed % 4 == 3 { 3_000 } else { 60 + below(&mut rng, 400) };
            let mut long = text(8_000, period, 3, 20 * k as usize, seed);
            let pattern = long[500..500 + m].to_vec();
            match seed % 4 {
                0 => long[1_000..2_000].iter_mut().for_each(|c| *c = below(&mut rng, 4) as u32),
                1 => drop(long.drain(1_500..1_500 + 1 + period / 2)),
                // The pattern where it was, and nothing like it elsewhere.
                3 => (0..500).chain(3_500..8_000).for_each(|i| long[i] = below(&mut rng, 4) as u32),
                _ => {}
            }
            let Some(prepared) = Prepared::new(&classes(&pattern, 3), k) else { continue };
            let span = long.len() - below(&mut rng, 200);
            let (found, work) = prepared.find(&long, span);
            let distance = |i: usize| pattern.iter().zip(&long[i..]).filter(|(a, b)| a != b).count() as u32;
            let want: Vec<(usize, u32)> = (0..(long.len() - m + 1).min(span))
                .map(|position| (position, distance(position)))
                .filter(|f| f.1 <= k)
                .collect();
            assert_eq!(found, want, "{seed}");
            hits += found.len();
            sums += usize::from(work.summed > 0);
            jumps += usize::from(work.jumped > 0);
        }
        assert!(hits > 2_000 && sums > 5 && jumps > 5, "{hits} {sums} {jumps}");
    }

    /// HAM-15: so many breaks that sums are left to the lemma.
    #[test]
    fn many_breaks_are_summed_by_the_lemma() {
        let (m, k) = (1 << 14, 4_000);
        let long = text(3 * m, 4, 2, 8_000, 3);
        let pattern = &long[m..2 * m];
        let (found, work) = Prepared::new(&classes(pattern, 2), k).unwrap().find(&long, long.len());
        assert!(work.lemma > 0 && work.summed > 0, "{work:?}");
        let distance = |i: usize| pattern.iter().zip(&long[i..]).filter(|(a, b)| a != b).count() as u32;
        let all = (0..=long.len() - m).map(|i| (i, distance(i)));
        let want: Vec<(usize, u32)> = all.filter(|f| f.1 <= k).collect();
        assert!(found == want && want.len() > 1_000, "{} {}", found.len(), want.len());
    }

    /// A pattern of one letter, and a text whose share of breaks hovers at the limit: candidates come and go.
    #[test]
    fn stretches_do_not_fall_apart() {
        for (m, k) in [(4_096, 16), (16_384, 32), (65_536, 64)] {
            let pattern = vec![0_u32; m];
            let half = (2 * m - 2) / (4 * k + 1);
            let long: Vec<u32> = (0..4 * m).map(|i| (i / half % 2) as u32).collect();
            let (found, work) = Prepared::new(&classes(&pattern, 1), k as u32).unwrap().find(&long, long.len());
            assert!(found.is_empty() && work.summed > 0);
            let bound = long.len() as f64 * (1.0 + k as f64 / (m as f64).sqrt());
            assert!(work.operations.words as f64 <= CONSTANT * bound, "{m}: {work:?}");
        }
    }

    /// Of `n + nk/√m`.
    const CONSTANT: f64 = 25.0;

    /// HAM-15: `O(n + nk/√m)` operations with one constant, `k` from 1 to `√m` and beyond.
    #[test]
    fn operations_of_periodic_search_are_bounded() {
        let mut worst: f64 = 0.0;
        for log in [8, 10, 12, 14, 16] {
            let (m, root) = (1_usize << log, 1_usize << (log / 2));
            for k in [1, root / 4, root, 2 * root] {
                let period = (k / 2).clamp(1, 64);
                let n = 4 * m;
                // So many breaks that a stretch of the pattern's length has k/2.
                let text = text(n, period, 4, 2 * k - 1, log as u64);
                let pattern = &text[m..2 * m];
                let Some(prepared) = Prepared::new(&classes(pattern, 4), k as u32) else {
                    panic!("m {m} k {k}: a period of {period} was not found");
                };
                let (found, work) = prepared.find(&text, n);
                assert!(found.contains(&(m, 0)));
                let bound = n as f64 * (1.0 + k as f64 / root as f64);
                worst = worst.max(work.operations.words as f64 / bound);
            }
        }
        println!("periodic search: at most {worst:.1} (n + nk/√m) operations");
        assert!(worst < CONSTANT, "{worst}");
    }
}
