//! Engine after the paper's lemma on sumsets (row HAM-14): `r(z) = #{(x, y) ∈ X × Y : x + y = z}` in `[U]`, with
//! `N² = |X||Y|`, in `O(min(N², U·log(2 + N²/U)))` operations on words, where the FFT takes `U·log U`.
//!
//! The mean count is `g² = N²/U`, so most counts fit in few bits:
//!
//! 1. `f = r mod q` for a small prime `q` by a convolution that packs several residues into a word (`packed`). That is
//!    right but for the few popular sums, `r(z) ≥ q`, of which there are at most `N²/q`.
//! 2. For a larger prime `q'`, `X` and `Y` are folded modulo a few random primes of about `U/q^¼` and convolved there;
//!    what is missing in every bucket of a sum, the same value in each, is that sum's. Repeated until fresh folds show
//!    nothing missing, and then for the next prime, until `q` exceeds every count.
//! 3. **Verified**: `Σ_z f(z) = |X||Y|`, and `Σ_z f(z) ω^z = (Σ_x ω^x)(Σ_y ω^y)` at a random `ω` modulo `2^61 − 1`; a wrong
//!    `f` passes with probability at most `2U/2^61`, `2^−38` for the largest universe. Where it fails, other random numbers
//!    are tried (Las Vegas, but for that), and after a few failures a convolution that nothing can go wrong with.
//!
//! For the bound on collisions, `z → a·z mod Π` with a prime `Π ≥ 4U` and a random `a` makes the difference of two sums
//! uniform ([`Settings::dilate`]); it costs a universe 4 to 16 times as large, and random primes do without it but for a
//! factor `log U` in a term that is small.
//!
//! **Where it wins**: nowhere that we could measure. The logarithm that it removes is smaller than the constants of what
//! replaces it for every length that fits in memory, and registers pack 32 residues whatever `log U` is: that is
//! `engine/ntt`. The dispatcher never chooses it. It is here, whole, for the count of operations: `O(n√m)` for patterns
//! of up to 2^21 symbols ([`Operations`] says how they are counted); longer ones are counted pair by pair.
use samplewise_linalg::random::{Streams, below};

use crate::Error;
use crate::engine::modular::{MERSENNE, times};

mod engine;
mod packed;
mod wide;

pub use engine::Prepared;

/// Operations on words of `w = 4·max(8, ⌈log₂ U⌉)` bits (64 for a universe of 2^16), as the word RAM has them: a step on a
/// word that holds `⌊w/b⌋` residues of `b` bits counts once: one butterfly, one product, one look at a table, one move (of
/// transpositions too, as registers do them). Residues of the last prime are a word each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operations {
    /// Number of operations on words.
    pub words: u64,
    word_bits: u32,
}

impl Operations {
    /// None yet, in a universe.
    pub fn new(universe: usize) -> Self {
        Self { words: 0, word_bits: 4 * universe.next_power_of_two().trailing_zeros().max(8) }
    }

    /// A step on so many residues.
    pub(crate) fn residues(&mut self, count: usize, bits: u32) {
        self.words += (count as u64).div_ceil(u64::from((self.word_bits / bits).max(1)));
    }
}

/// The prime that counts are taken modulo first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum First {
    /// Pairs one by one where they cost less than a convolution, else 12,289, or 998,244,353 where the mean count is above
    /// 100 and popular sums would be too many to repair.
    #[default]
    Auto,
    /// Pairs one by one.
    Pairs,
    /// 257, 9 bits.
    Small,
    /// 12,289, 14 bits.
    Large,
}

/// Settings of [`sumset`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the ladder of primes begins. Default [`First::Auto`].
    pub first: First,
    /// Multiply the universe by a random factor first, as the proof does. Default false.
    pub dilate: bool,
    /// Folds that must agree on what is missing of a sum, 2 to 8. Default 3.
    pub folds: usize,
    /// Seed of the primes and factors. Default 0.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { first: First::Auto, dilate: false, folds: 3, seed: 0 }
    }
}

/// The counts of a sumset, with their evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Sumset {
    /// Pairs `(x, y)` with `x + y = z`, for `z < 2U`.
    pub counts: Vec<u32>,
    /// What it took.
    pub operations: Operations,
    /// Primes that counts were taken modulo, in order; none where pairs were enumerated.
    pub moduli: Vec<u32>,
    /// Sums whose count was repaired on the way.
    pub repaired: usize,
    /// Attempts that ended without a verified answer.
    pub restarts: usize,
    /// True when luck failed so often that the plain convolution answered.
    pub fell_back: bool,
}

/// Rounds of repair at one prime, and tries in all, before giving up.
const ROUNDS: usize = 6;
const TRIES: usize = 4;
/// Pairs per number of the universe that cost as many operations as the first convolution: three transforms of some 4U
/// residues of 14 bits, `4U·log(4U)/2` steps on each, in words of `4·log U` bits.
pub(crate) fn pairs_are_cheaper(x: usize, y: usize, universe: usize) -> bool {
    x as u64 * y as u64 <= 32 * universe.max(1 << 10) as u64 || universe > LARGEST
}
/// Largest universe of the last prime.
const LARGEST: usize = 1 << 22;

/// Counts the sums of two multisets of numbers below `universe` (row HAM-14).
///
/// ```
/// use samplewise_hamming::paper::sumset::{Settings, sumset};
/// let sums = sumset(&[0, 1, 2], &[0, 2], 4, &Settings::default())?;
/// assert_eq!(sums.counts, [1, 1, 2, 1, 1, 0, 0, 0]);
/// # Ok::<(), samplewise_hamming::Error>(())
/// ```
///
/// # Errors
/// [`Error::Argument`] for a universe beyond 2^22 (2^18 when dilated), numbers outside it, counts that might
/// reach 998,244,353, and settings outside their range.
pub fn sumset(x: &[u32], y: &[u32], universe: usize, settings: &Settings) -> Result<Sumset, Error> {
    let out_of_range = |option, value: f64, allowed: &str| Err(Error::argument(option, value, allowed));
    if universe == 0 || universe > LARGEST >> if settings.dilate { 4 } else { 0 } {
        return out_of_range("universe", universe as f64, "1 to 4,194,304, or 262,144 when dilated");
    }
    if let Some(&z) = x.iter().chain(y).find(|&&z| z as usize >= universe) {
        return out_of_range("a number of x or y", f64::from(z), "below the universe");
    }
    if !(2..=8).contains(&settings.folds) {
        return out_of_range("folds", settings.folds as f64, "2 to 8");
    }
    if largest_count(x, y, universe) >= wide::P {
        return out_of_range("largest count possible", largest_count(x, y, universe) as f64, "up to 998,244,352");
    }
    let streams = Streams::from_rng(&mut Streams::new(settings.seed).stream(0));
    Ok(count(x, y, universe, settings, streams))
}

/// A bound of all counts.
fn largest_count(x: &[u32], y: &[u32], universe: usize) -> u64 {
    let most = |set: &[u32]| {
        let mut times = vec![0_u64; universe];
        set.iter().for_each(|&z| times[z as usize] += 1);
        times.into_iter().max().unwrap_or(0)
    };
    (x.len() as u64 * most(y)).min(y.len() as u64 * most(x))
}

pub(crate) fn count(x: &[u32], y: &[u32], universe: usize, settings: &Settings, streams: Streams) -> Sumset {
    let operations = Operations::new(universe);
    let mut answer =
        Sumset { counts: Vec::new(), operations, moduli: Vec::new(), repaired: 0, restarts: 0, fell_back: false };
    let first = match settings.first {
        First::Auto if pairs_are_cheaper(x.len(), y.len(), universe) => First::Pairs,
        First::Auto => First::Large,
        first => first,
    };
    if first == First::Pairs {
        let mut counts = vec![0_u32; 2 * universe];
        for &x in x {
            y.iter().for_each(|&y| counts[(x + y) as usize] += 1);
        }
        answer.operations.words += (x.len() * y.len()) as u64;
        return Sumset { counts, ..answer };
    }
    // Multiplicities, and the counts.
    answer.operations.words += 4 * universe as u64;
    if settings.first == First::Auto && x.len() as u64 * y.len() as u64 > 100 * universe as u64 {
        let counts = wide::convolve(x, y, universe, &mut answer.operations);
        return Sumset { counts, moduli: vec![wide::P as u32], ..answer };
    }
    for attempt in 0..TRIES {
        let own = streams.child(attempt as u64);
        let counts = if settings.dilate {
            dilated(x, y, universe, first, settings.folds, own, &mut answer)
        } else {
            ladder(x, y, universe, first, settings.folds, own, &mut answer)
        };
        if let Some(counts) = counts
            && verify(&counts, x, y, own, &mut answer.operations)
        {
            return Sumset { counts, ..answer };
        }
        answer.restarts += 1;
    }
    let counts = wide::convolve(x, y, universe, &mut answer.operations);
    Sumset { counts, fell_back: true, ..answer }
}

/// In the universe multiplied by a random factor modulo a prime.
fn dilated(
    x: &[u32],
    y: &[u32],
    universe: usize,
    first: First,
    folds: usize,
    streams: Streams,
    answer: &mut Sumset,
) -> Option<Vec<u32>> {
    let prime = random_prime(4 * universe, streams, 1 << 20);
    let factor = 1 + streams.bits(1 << 21) % (prime as u64 - 1);
    let image = |z: u64| (z * factor % prime as u64) as usize;
    let move_all = |set: &[u32]| set.iter().map(|&z| image(u64::from(z)) as u32).collect::<Vec<_>>();
    let (x, y) = (move_all(x), move_all(y));
    answer.operations.words += (x.len() + y.len() + 2 * universe) as u64;
    let counts = ladder(&x, &y, prime, first, folds, streams, answer)?;
    // A sum of two images is the image of the sum, or that and the prime.
    Some((0..2 * universe as u64).map(|z| counts[image(z)] + counts[image(z) + prime]).collect())
}

/// Counts modulo larger and larger primes; `None` when repairs do not end.
fn ladder(
    x: &[u32],
    y: &[u32],
    universe: usize,
    first: First,
    folds: usize,
    streams: Streams,
    answer: &mut Sumset,
) -> Option<Vec<u32>> {
    let steps = [Step::Packed(packed::SMALL), Step::Packed(packed::LARGE), Step::Wide];
    let steps = &steps[usize::from(first != First::Small)..];
    let largest = largest_count(x, y, universe);
    let operations = &mut answer.operations;
    let mut counts = steps[0].convolve(x, y, universe, operations);
    answer.moduli = vec![steps[0].prime() as u32];
    for (number, pair) in steps.windows(2).enumerate() {
        let (below, step) = (pair[0].prime(), pair[1]);
        if below > largest {
            break;
        }
        answer.moduli.push(step.prime() as u32);
        let mut clean = false;
        for round in 0..ROUNDS {
            let own = streams.child((number * ROUNDS + round) as u64);
            let repaired = repair(&mut counts, x, y, universe, below, step, folds, own, operations);
            answer.repaired += repaired?;
            if repaired == Some(0) {
                clean = true;
                break;
            }
        }
        if !clean {
            return None;
        }
    }
    Some(counts)
}

#[derive(Clone, Copy)]
enum Step {
    Packed(packed::Field),
    Wide,
}

impl Step {
    fn prime(self) -> u64 {
        match self {
            Step::Packed(field) => field.p as u64,
            Step::Wide => wide::P,
        }
    }

    fn bits(self) -> u32 {
        64 - self.prime().leading_zeros()
    }

    fn convolve(self, x: &[u32], y: &[u32], universe: usize, operations: &mut Operations) -> Vec<u32> {
        match self {
            Step::Packed(field) => packed::convolve(field, x, y, universe, operations),
            Step::Wide => wide::convolve(x, y, universe, operations),
        }
    }
}

/// One round of repair modulo the prime of a step: how many sums were repaired, 0 if nothing is missing in any bucket,
/// `None` if something is, but no sum is to be blamed alone.
fn repair(
    counts: &mut [u32],
    x: &[u32],
    y: &[u32],
    universe: usize,
    below: u64,
    step: Step,
    folds: usize,
    streams: Streams,
    operations: &mut Operations,
) -> Option<usize> {
    let prime = step.prime();
    let about = (universe as f64 / (below as f64).powf(0.25)) as usize;
    // What is missing in each bucket of each fold.
    let missing: Vec<(usize, Vec<u32>)> = (0..folds)
        .map(|fold| {
            let modulus = random_prime(about.max(128), streams, fold as u64);
            let folded = |set: &[u32]| set.iter().map(|&z| z % modulus as u32).collect::<Vec<_>>();
            let sums = step.convolve(&folded(x), &folded(y), modulus, operations);
            let mut missing: Vec<u64> =
                (0..modulus).map(|z| u64::from(sums[z]) + u64::from(sums[z + modulus])).collect();
            // Row by row of the modulus, so that nothing is divided.
            for row in counts.chunks(modulus) {
                for (m, &c) in missing.iter_mut().zip(row) {
                    *m += prime - u64::from(c);
                }
            }
            operations.residues(counts.len() + 2 * modulus, step.bits());
            operations.words += (x.len() + y.len()) as u64;
            (modulus, missing.into_iter().map(|m| (m % prime) as u32).collect())
        })
        .collect();
    if missing.iter().all(|(_, buckets)| buckets.iter().all(|&m| m == 0)) {
        return Some(0);
    }
    let mut repaired = 0;
    for (z, count) in counts.iter_mut().enumerate() {
        let of = |fold: &(usize, Vec<u32>)| fold.1[z % fold.0];
        let value = of(&missing[0]);
        if value != 0 && missing[1..].iter().all(|fold| of(fold) == value) {
            *count = ((u64::from(*count) + u64::from(value)) % prime) as u32;
            repaired += 1;
        }
    }
    operations.words += (counts.len() + folds * repaired) as u64;
    (repaired > 0).then_some(repaired)
}

/// A prime of `from ..= 2·from`, at random.
fn random_prime(from: usize, streams: Streams, id: u64) -> usize {
    let mut rng = streams.stream(id);
    loop {
        let candidate = (from + below(&mut rng, from)) | 1;
        if (3..).step_by(2).take_while(|d| d * d <= candidate).all(|d| !candidate.is_multiple_of(d)) {
            return candidate;
        }
    }
}

fn plus(a: u64, b: u64) -> u64 {
    (a + b) % MERSENNE
}

/// The sum of all counts, and the counts' polynomial at a random point.
fn verify(counts: &[u32], x: &[u32], y: &[u32], streams: Streams, operations: &mut Operations) -> bool {
    let total: u64 = counts.iter().map(|&c| u64::from(c)).sum();
    let omega = streams.bits(1 << 22) % MERSENNE;
    let value = counts.iter().rev().fold(0, |sum, &c| plus(times(sum, omega), u64::from(c)));
    let power = |exponent: u32| {
        let (mut result, mut square) = (1, omega);
        for bit in 0..32 - exponent.leading_zeros() {
            if exponent >> bit & 1 == 1 {
                result = times(result, square);
            }
            square = times(square, square);
        }
        result
    };
    let mut of = |set: &[u32]| {
        operations.words += (2 * (32 - set.iter().max().map_or(32, |z| z.leading_zeros())) as usize * set.len()) as u64;
        set.iter().fold(0, |sum, &z| plus(sum, power(z)))
    };
    let expected = times(of(x), of(y));
    operations.words += 2 * counts.len() as u64;
    total == x.len() as u64 * y.len() as u64 && value == expected
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::letters::classes::{Classes, Rule};

    fn brute(x: &[u32], y: &[u32], universe: usize) -> Vec<u32> {
        let mut counts = vec![0; 2 * universe];
        x.iter().for_each(|&x| y.iter().for_each(|&y| counts[(x + y) as usize] += 1));
        counts
    }

    fn random_set(size: usize, universe: usize, seed: u64) -> Vec<u32> {
        let mut rng = Streams::new(seed).stream(0);
        let mut set: Vec<u32> = (0..size).map(|_| below(&mut rng, universe) as u32).collect();
        set.sort_unstable();
        set.dedup();
        set
    }

    /// HAM-14: counts equal those of all pairs for random sets, progressions, Sidon sets, equal numbers and what has a few
    /// popular sums, from either prime, with and without dilation; the popular ones are repaired.
    #[test]
    fn sumsets_equal_their_definition() {
        let interval = |from: u32, len: u32, step: u32| (0..len).map(|k| from + step * k).collect::<Vec<_>>();
        // {k·2p + (k² mod p)} has different differences (Erdős and Turán).
        let sidon: Vec<u32> = (0..61).map(|k| 122 * k + k * k % 61).collect();
        let mut mixed = interval(7_000, 400, 1);
        mixed.extend(random_set(300, 6_900, 3));
        mixed.sort_unstable();
        let (mut repaired, mut moduli) = (0, 0);
        let cases = [
            ("random", 1 << 13, random_set(400, 1 << 13, 1), random_set(500, 1 << 13, 2)),
            ("progressions", 1 << 13, interval(5, 500, 7), interval(0, 500, 14)),
            ("Sidon", 1 << 13, sidon.clone(), sidon),
            ("equal", 1 << 12, vec![77; 20], vec![4_000; 50]),
            ("one number", 1, vec![0], vec![0]),
            ("intervals", 1 << 14, interval(100, 420, 1), interval(15_000, 420, 1)),
            ("mixed", 10_000, mixed.clone(), mixed),
            ("empty", 100, vec![], vec![3, 4]),
        ];
        for (name, universe, x, y) in &cases {
            let want = brute(x, y, *universe);
            for first in [First::Auto, First::Pairs, First::Small, First::Large] {
                for dilate in [false, true] {
                    let settings = Settings { first, dilate, ..Settings::default() };
                    for seed in 0..3 {
                        let got = sumset(x, y, *universe, &Settings { seed, ..settings }).unwrap();
                        assert!(got.counts == want, "{name} {settings:?} {got:?}");
                        assert!(!got.fell_back, "{name} {settings:?}");
                        repaired += got.repaired;
                        moduli = moduli.max(got.moduli.len());
                    }
                }
            }
        }
        assert!(repaired > 1_000 && moduli > 1, "{repaired} {moduli}");
    }

    /// HAM-14: the last step of the ladder, with counts beyond 12,289.
    #[test]
    fn popular_sums_are_repaired_up_to_the_last_prime() {
        let x: Vec<u32> = (0..13_500).collect();
        let got = count(&x, &x, 1 << 21, &Settings { first: First::Large, ..Settings::default() }, Streams::new(5));
        assert_eq!(got.moduli, [12_289, 998_244_353]);
        assert!(got.repaired >= 2 * (13_500 - 12_289) - 1 && !got.fell_back);
        for (z, &c) in got.counts.iter().enumerate() {
            assert_eq!(c as usize, (z + 1).min(27_000_usize.saturating_sub(z + 1)), "{z}");
        }
    }

    /// HAM-14: the verification refuses corrupted counts, 200 at random; also two that cancel in the sum.
    #[test]
    fn a_corrupted_count_is_caught() {
        let (x, y) = (random_set(300, 4_000, 8), random_set(300, 4_000, 9));
        let right = brute(&x, &y, 4_000);
        let check = |counts: &[u32], seed| verify(counts, &x, &y, Streams::new(seed), &mut Operations::new(4_000));
        assert!(check(&right, 0));
        let mut rng = Streams::new(3).stream(0);
        for seed in 0..200 {
            let mut wrong = right.clone();
            let (a, b) = (below(&mut rng, 7_999), below(&mut rng, 7_999));
            wrong[a] += 1;
            assert!(!check(&wrong, seed));
            if a != b && wrong[b] > 0 {
                wrong[b] -= 1;
                assert!(!check(&wrong, seed), "{a} {b}");
            }
        }
    }

    /// A case so hard that repairs cannot end: almost every count is larger than the first prime. The answer is right all
    /// the same, and says how it was found.
    #[test]
    fn failures_end_with_the_plain_convolution() {
        let x: Vec<u32> = (0..4_000).collect();
        let settings = Settings { first: First::Small, ..Settings::default() };
        let got = count(&x, &x, 4_096, &settings, Streams::new(1));
        assert!(got.fell_back && got.restarts == TRIES, "{}", got.restarts);
        assert!(got.counts == brute(&x, &x, 4_096));
    }

    /// HAM-14: matching a text of `2m` symbols by the lemma takes at most `C·n√m` operations for the hardest number of
    /// letters, with one `C` for `m = 2^8 .. 2^20`; Abrahamson's algorithm, which has the FFT in the lemma's place, takes
    /// more and more. Letters are alike, so one of them is counted, as often as there are letters; up to `2^12` all are.
    #[test]
    fn operations_grow_as_the_root_of_the_pattern() {
        let mut constants = Vec::new();
        for log in (8..=20).step_by(2) {
            let (m, root) = (1_usize << log, 1_usize << (log / 2));
            let (mut lemma, mut abrahamson) = (0.0_f64, 0.0_f64);
            for tenths in [10, 20, 30, 40, 50, 60, 70, 80, 100, 160] {
                let letters = (10 * root / tenths).max(1);
                let x = random_set(2 * m / letters, 2 * m, 1);
                let y = random_set(m / letters, m, 2);
                let operations = count(&x, &y, 2 * m, &Settings::default(), Streams::new(3)).operations.words;
                let all = letters as u64 * (operations + m as u64) + 2 * m as u64;
                lemma = lemma.max(all as f64 / (2 * m * root) as f64);
                // A word for each point: two transforms and a product for each letter, one back for all of them.
                let points = (4 * m) as f64;
                let transform = points / 2.0 * points.log2();
                let pairs = (x.len() * y.len()) as f64;
                let all = letters as f64 * pairs.min(2.0 * transform + points) + transform;
                abrahamson = abrahamson.max(all / (2 * m * root) as f64);
                if log <= 12 {
                    let mut rng = Streams::new(4).stream(0);
                    let text: Vec<u32> = (0..2 * m).map(|_| below(&mut rng, letters) as u32).collect();
                    let pattern = text[m / 2..m / 2 + m].iter().map(|&c| Some(c)).collect();
                    let rule = Rule::Equal { wildcard: None };
                    let classes = Classes { pattern, codes: (0..letters as u32).collect(), rule, code_count: letters };
                    let mut out = vec![m as u32; m + 1];
                    let counted = Prepared::new(classes).subtract_matches(&text, &mut out).words;
                    assert_eq!(out[m / 2], 0);
                    lemma = lemma.max(counted as f64 / (2 * m * root) as f64);
                }
            }
            println!("m = 2^{log}: lemma {lemma:.2} n√m, Abrahamson {abrahamson:.2} n√m");
            constants.push((lemma, abrahamson));
        }
        let (first, last) = (constants[0], constants[constants.len() - 1]);
        assert!(constants.iter().all(|c| c.0 <= 12.0), "{constants:?}");
        assert!(last.1 / first.1 > 1.3 && last.0 < first.0 && last.0 < last.1, "{constants:?}");
    }
}
