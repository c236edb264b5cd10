//! Reference for approximate counting by Fredman's trick, at small scale and with a count of its operations: the
//! ingredients of the paper's `(1 + ε)` algorithm. **Never chosen, and slower than exact counting at every size that runs
//! here**: the exponent `−0.93` rests on fast rectangular matrix multiplication, for which there is a plain product here,
//! and on logarithms that dwarf `√m`.
//!
//! The paper names the ingredients: Fredman's trick, equality products of matrices, and random sampling. How they are put
//! together here is a reconstruction, with proofs of its own (row HAM-16), and not a transcript. Alignment `i` has
//! `M(i) = #{(x, y) : P[x] = T[y], y − x = i}` matches; an error of `ε·m` in them is one of `O(ε·D)` in the distance where
//! `M` is at most half of `m`, and where it is more, a witness is all but certain, and with it the exact count.
//!
//! - **Few matches**: all equal pairs are sampled at rate `p`; the estimate has variance `M(1 − p)/p`.
//! - **Many matches**, more than `τm`: there are few such alignments, and a random match is a witness of each with
//!   probability `τ`. For a witness `(x₀, y₀)`, `y − x = y₀ − x₀` if and only if `x − x₀ = y − y₀` (Fredman): the left side
//!   knows only `x₀`, the right side only `y₀`. With the keys `(c, x − x₀)` of all pattern positions in a row for each of
//!   several `x₀`, and the keys `(c, y − y₀)` in a column for each `y₀`, one equality product, the number of keys that a row
//!   and a column share, counts the matches of all their alignments.
//! - Alignments with fewer matches need fewer keys: those with a hash below `q` are kept, and the product divided by `q`.
//!
//! Which alignments are found does not depend on the hashes nor on the sampled pairs, so that the estimate is unbiased
//! for every input. Its standard deviation is at most `√(2m/κ)` for the accuracy `κ` of [`Settings`], where the witnesses
//! that are expected are there: of `m/2^l` to `2m/2^l` matches a share of `κ/2^l` is counted. That is of the order of `ε·m`
//! in the paper's hard case, `m = ε⁻²`.
use std::collections::HashMap;

use samplewise_linalg::random::{Streams, below, uniform};

use crate::Error;

/// Settings of [`approximate_matches`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Alignments with more than `m/2^levels` matches are looked for by witnesses. Default 4; 0 to 16.
    pub levels: u32,
    /// Expected witnesses of each of them. Default 12; above 0, up to 100.
    pub witnesses: f64,
    /// `κ`: the standard deviation is at most `√(2m/κ)`. Default 2; at least 1. From `2^levels` on everything is exact.
    pub accuracy: f64,
    /// Seed of the samples and keys. Default 0.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { levels: 4, witnesses: 12.0, accuracy: 2.0, seed: 0 }
    }
}

/// Estimated matches and what they took.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// One for each alignment.
    pub matches: Vec<f64>,
    /// Alignments counted by a witness.
    pub witnessed: usize,
    /// What it took.
    pub operations: Operations,
}

/// Steps of [`approximate_matches`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    /// Equal pairs that were sampled.
    pub pairs: u64,
    /// Keys that were hashed.
    pub keys: u64,
    /// Pairs of a row and a column with a key that few of either have.
    pub light: u64,
    /// Products of 0 and 1 in the matrix product over the other keys: `rows · columns · keys`.
    pub products: u64,
}

/// Estimates the matches of all alignments.
///
/// Row HAM-16 of `paper-refs.md`.
///
/// # Errors
/// [`Error::EmptyPattern`], [`Error::PatternLongerThanText`], [`Error::Argument`] for more than
/// 16,384 symbols, which is what its tables have room for, and for settings out of range.
pub fn approximate_matches(pattern: &[u32], text: &[u32], settings: &Settings) -> Result<Estimate, Error> {
    let (m, n) = (pattern.len(), text.len());
    if m == 0 {
        return Err(Error::EmptyPattern);
    }
    if m > n {
        return Err(Error::PatternLongerThanText { pattern: m, text: n });
    }
    if n > 1 << 14 {
        return Err(Error::count("text.len()", n, format!("up to {}", 1 << 14)));
    }
    for (option, value, least, most, allowed) in [
        ("levels", f64::from(settings.levels), 0.0, 16.0, "0 to 16"),
        ("witnesses", settings.witnesses, f64::MIN_POSITIVE, 100.0, "above 0, up to 100"),
        ("accuracy", settings.accuracy, 1.0, f64::MAX, "at least 1, and finite"),
    ] {
        if !(value >= least && value <= most) {
            return Err(Error::argument(option, value, allowed));
        }
    }
    let streams = Streams::from_rng(&mut Streams::new(settings.seed).stream(0));
    let mut run = Run::new(pattern, text, streams);
    let mut found: Vec<Option<f64>> = vec![None; n - m + 1];
    run.witnesses(settings, &mut found);
    let witnessed = found.iter().flatten().count();
    let rate = (settings.accuracy / f64::from(1_u32 << settings.levels)).min(1.0);
    let sampled = run.sample(rate, n - m + 1);
    let matches = found.iter().zip(sampled).map(|(f, s)| f.unwrap_or(s)).collect();
    Ok(Estimate { matches, witnessed, operations: run.operations })
}

/// Positions of the letters that pattern and text share.
struct Run {
    pattern: Vec<Vec<i64>>,
    text: Vec<Vec<i64>>,
    streams: Streams,
    operations: Operations,
}

impl Run {
    fn new(pattern: &[u32], text: &[u32], streams: Streams) -> Self {
        let mut numbers: HashMap<u32, usize> = HashMap::new();
        for &c in pattern {
            let next = numbers.len();
            numbers.entry(c).or_insert(next);
        }
        let lists = |symbols: &[u32]| {
            let mut lists = vec![Vec::new(); numbers.len()];
            for (at, c) in symbols.iter().enumerate() {
                numbers.get(c).iter().for_each(|&&letter| lists[letter].push(at as i64));
            }
            lists
        };
        let both = lists(pattern).into_iter().zip(lists(text)).filter(|(_, y)| !y.is_empty());
        let (pattern, text) = both.unzip();
        Self { pattern, text, streams, operations: Operations::default() }
    }

    /// Every equal pair with probability `rate`, by geometric skips.
    fn sample(&mut self, rate: f64, alignments: usize) -> Vec<f64> {
        let mut rng = self.streams.stream(1);
        let mut sums = vec![0.0; alignments];
        for (x, y) in self.pattern.iter().zip(&self.text) {
            let all = (x.len() * y.len()) as u64;
            let mut next = 0_u64;
            loop {
                if rate < 1.0 {
                    next += ((1.0 - uniform(&mut rng)).ln() / (1.0 - rate).ln()) as u64;
                }
                if next >= all {
                    break;
                }
                let (x, y) = (x[next as usize % x.len()], y[next as usize / x.len()]);
                if let Some(sum) = usize::try_from(y - x).ok().and_then(|at| sums.get_mut(at)) {
                    *sum += 1.0 / rate;
                }
                self.operations.pairs += 1;
                next += 1;
            }
        }
        sums
    }

    /// Looks for alignments with many matches, those with most first; the first count of each stays.
    fn witnesses(&mut self, settings: &Settings, found: &mut [Option<f64>]) {
        // A letter with the probability of its occurrences.
        let places: Vec<usize> =
            self.pattern.iter().enumerate().flat_map(|(letter, x)| x.iter().map(move |_| letter)).collect();
        if places.is_empty() {
            return;
        }
        let mut rng = self.streams.stream(2);
        for level in 0..=settings.levels {
            let rate = if level == 0 { 1.0 } else { (settings.accuracy / f64::from(1_u32 << level)).min(1.0) };
            for inner in 0..=level {
                let trials = (settings.witnesses * f64::from(1_u32 << (level - inner))).ceil() as u64;
                for trial in 0..trials {
                    let letter = places[below(&mut rng, places.len())];
                    let (a, b) = (self.pattern[letter].len() as f64, self.text[letter].len() as f64);
                    // Enough pairs of a row and a column that one is a witness of what has a share of them.
                    let need = (f64::from(1_u32 << inner) * settings.witnesses / a).min(1.0);
                    let alpha = (need * b / a).sqrt().clamp(need, 1.0);
                    let beta = (need / alpha).min(1.0);
                    let rows: Vec<i64> =
                        self.pattern[letter].iter().copied().filter(|_| uniform(&mut rng) < alpha).collect();
                    let columns: Vec<i64> =
                        self.text[letter].iter().copied().filter(|_| uniform(&mut rng) < beta).collect();
                    let alignment = |x: i64, y: i64| usize::try_from(y - x).ok().filter(|&at| at < found.len());
                    let news = rows
                        .iter()
                        .any(|&x| columns.iter().any(|&y| alignment(x, y).is_some_and(|at| found[at].is_none())));
                    if !news {
                        continue;
                    }
                    let hashes = self.streams.child(u64::from(level) << 40 | u64::from(inner) << 32 | trial);
                    let counts = self.equality_product(&rows, &columns, rate, hashes);
                    for (i, &x) in rows.iter().enumerate() {
                        for (j, &y) in columns.iter().enumerate() {
                            if let Some(at) = usize::try_from(y - x).ok().filter(|&at| at < found.len()) {
                                let count = f64::from(counts[i * columns.len() + j]) / rate;
                                found[at].get_or_insert(count);
                            }
                        }
                    }
                }
            }
        }
    }

    /// For each row `x₀` and column `y₀` the keys with a hash below `rate` that `(c, x − x₀)` and `(c, y − y₀)` share.
    /// Keys that many rows and many columns have are multiplied as matrices, others pair by pair (Matoušek).
    fn equality_product(&mut self, rows: &[i64], columns: &[i64], rate: f64, hashes: Streams) -> Vec<u32> {
        let mut table: HashMap<(usize, i64), [Vec<u32>; 2]> = HashMap::new();
        for (side, (lists, origins)) in [(&self.pattern, rows), (&self.text, columns)].into_iter().enumerate() {
            for (letter, list) in lists.iter().enumerate() {
                for &at in list {
                    for (i, &origin) in origins.iter().enumerate() {
                        self.operations.keys += 1;
                        let key = (letter, at - origin);
                        let id = (letter as u64) << 32 | (key.1 + (1 << 30)) as u64;
                        if rate >= 1.0 || hashes.uniform(id) < rate {
                            table.entry(key).or_default()[side].push(i as u32);
                        }
                    }
                }
            }
        }
        let width = columns.len();
        // (ω − 1)/2 for the best exponent known.
        let heavy = (rows.len().max(width) as f64).powf(0.686) as usize;
        let mut counts = vec![0; rows.len() * width];
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for [own, other] in table.into_values() {
            if own.len() > heavy && other.len() > heavy {
                left.push(own);
                right.push(other);
                continue;
            }
            self.operations.light += (own.len() * other.len()) as u64;
            for &i in &own {
                other.iter().for_each(|&j| counts[i as usize * width + j as usize] += 1);
            }
        }
        let matrix = |lists: &[Vec<u32>], size: usize| {
            let mut matrix = vec![0_u32; lists.len() * size];
            lists.iter().enumerate().for_each(|(k, l)| l.iter().for_each(|&i| matrix[k * size + i as usize] = 1));
            matrix
        };
        let (a, b) = (matrix(&left, rows.len()), matrix(&right, width));
        for (a, b) in a.chunks(rows.len().max(1)).zip(b.chunks(width.max(1))) {
            for (&a, counts) in a.iter().zip(counts.chunks_mut(width)) {
                counts.iter_mut().zip(b).for_each(|(c, &b)| *c += a * b);
            }
        }
        self.operations.products += (left.len() * rows.len() * width) as u64;
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(pattern: &[u32], text: &[u32]) -> Vec<f64> {
        text.windows(pattern.len()).map(|w| w.iter().zip(pattern).filter(|(a, b)| a == b).count() as f64).collect()
    }

    /// A pattern of `root²` symbols with period `root` and texts of twice the length: periodic, in part, noisy, random.
    fn cases(root: usize) -> Vec<(&'static str, Vec<u32>, Vec<u32>)> {
        let m = root * root;
        let periodic = |i: usize| (i % root) as u32;
        let mut rng = Streams::new(11).stream(0);
        let mut random = || below(&mut rng, root) as u32;
        let pattern: Vec<u32> = (0..m).map(periodic).collect();
        let noisy: Vec<u32> = (0..2 * m).map(|i| if (i * 7_919) % 10 < 4 { random() } else { periodic(i) }).collect();
        vec![
            ("periodic", pattern.clone(), (0..2 * m).map(periodic).collect()),
            ("noisy", pattern.clone(), noisy),
            ("random", (0..m).map(|_| random()).collect(), (0..2 * m).map(|_| random()).collect()),
        ]
    }

    /// HAM-16: unbiased (at every alignment the mean of 200 runs lies within five standard errors, of three texts with 257
    /// alignments each; seeds are fixed), with the stated standard deviation; what matches in more than half is exact. The
    /// same check refuses estimates that are a tenth too large.
    #[test]
    fn estimates_are_unbiased_and_as_accurate_as_stated() {
        let settings = Settings { levels: 4, accuracy: 1.0, ..Settings::default() };
        let (mut spread, mut refused) = (0, 0);
        for (name, pattern, text) in cases(16) {
            let want = exact(&pattern, &text);
            let m = pattern.len() as f64;
            let runs: Vec<Estimate> = (0..200)
                .map(|seed| approximate_matches(&pattern, &text, &Settings { seed, ..settings }).unwrap())
                .collect();
            assert!(name == "random" || runs.iter().all(|run| run.witnessed > 0), "{name}");
            let check = |i: usize, factor: f64| {
                let errors: Vec<f64> = runs.iter().map(|run| factor * run.matches[i] - want[i]).collect();
                let mean = errors.iter().sum::<f64>() / 200.0;
                let deviation = (errors.iter().map(|e| (e - mean) * (e - mean)).sum::<f64>() / 199.0).sqrt();
                (mean.abs() <= 5.0 * deviation / 200.0_f64.sqrt() + 1e-12, deviation)
            };
            for i in 0..want.len() {
                if want[i] > m / 2.0 {
                    assert!(runs.iter().all(|run| run.matches[i] == want[i]), "{name} {i}");
                }
                let (unbiased, deviation) = check(i, 1.0);
                assert!(unbiased, "{name} {i}: biased");
                // A tenth more for the spread of the estimate of the deviation itself.
                assert!(deviation <= 1.1 * (2.0 * m / settings.accuracy).sqrt(), "{name} {i}: {deviation}");
                spread += usize::from(deviation > 0.0);
                refused += usize::from(!check(i, 1.1).0);
            }
        }
        assert!(spread > 200 && refused > 100, "{spread} {refused}");
    }

    /// The matrix product and the pairs count alike, and both are used.
    #[test]
    fn equality_products_equal_their_definition() {
        let (_, pattern, text) = cases(24).remove(0);
        let mut run = Run::new(&pattern, &text, Streams::new(1));
        let (rows, columns): (Vec<i64>, Vec<i64>) =
            ((0..10).map(|i| 24 * i).collect(), (0..9).map(|i| 48 * i).collect());
        let counts = run.equality_product(&rows, &columns, 1.0, Streams::new(2));
        let want = |x0: i64, y0: i64| {
            let pair =
                |x: usize| usize::try_from(x as i64 - x0 + y0).ok().and_then(|y| text.get(y)) == Some(&pattern[x]);
            (0..pattern.len()).filter(|&x| pair(x)).count() as u32
        };
        for (i, &x0) in rows.iter().enumerate() {
            for (j, &y0) in columns.iter().enumerate() {
                assert_eq!(counts[i * columns.len() + j], want(x0, y0), "{x0} {y0}");
            }
        }
        assert!(run.operations.products > 0 && run.operations.light > 0, "{:?}", run.operations);
    }

    #[test]
    fn bad_settings_are_refused() {
        let run = |settings| approximate_matches(&[1], &[1, 2], &settings);
        let default = Settings::default();
        assert_eq!(run(default).unwrap().matches.len(), 2);
        assert_eq!(run(Settings { levels: 0, ..default }).unwrap().matches, [1.0, 0.0]);
        let long = approximate_matches(&[1], &vec![1; 16_385], &default);
        assert_eq!(long.unwrap_err().to_string(), "text.len() is 16385, allowed is up to 16384");
        for bad in [
            Settings { levels: 17, ..default },
            Settings { witnesses: 101.0, ..default },
            Settings { witnesses: f64::NAN, ..default },
            Settings { accuracy: 0.5, ..default },
        ] {
            assert!(matches!(run(bad), Err(Error::Argument(_))), "{bad:?}");
        }
    }
}
