//! Engine for very long patterns: a real FFT for every letter but one, products summed in the frequency domain, one
//! inverse; by overlap-save, and **certified exact**.
//!
//! Transforms stay in the caches: a longer pattern is cut into pieces of 2^17 symbols (2^16 or 2^15 where only shorter
//! transforms pass in single precision), and a transform of the text, beginning at every multiple of that, serves all
//! pieces that meet it.
//!
//! A block is accepted when every value lies within 0.25 of an integer *and* the sum of the rounded matches equals
//! their exact sum from letter prefix counts. `f32` is tried first where six standard deviations of its expected
//! rounding error stay below 0.25, then `f64`; a block that neither certifies is counted by [`crate::engine::ntt`], which does
//! not round, and the report says so. Two errors of a whole unit that cancel in the sum would pass: among thousands of
//! values that all lie within 0.25, two would have to err by 0.75.
use std::sync::OnceLock;

use crate::engine::choose::Work;
use crate::engine::costs::{Cost, costs};
use crate::engine::{CountingEngine, ntt};
use crate::letters::classes::{Classes, Code};

mod certificate;
mod spectra;

use certificate::Sums;
use spectra::{Buffers, Spectra, count};

/// What the certificates said. Blocks are as large as threads make strides, so that their number depends on the threads; the
/// distances do not.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Certificate {
    /// Blocks certified in single precision.
    pub f32_blocks: usize,
    /// Blocks certified in double precision.
    pub f64_blocks: usize,
    /// Blocks that neither certified, counted in integers.
    pub ntt_blocks: usize,
    /// Largest distance of a value from an integer in the accepted blocks; below 0.25.
    pub largest_residual: f64,
}

/// Longest transform of a pattern in pieces, and longest pattern that is transformed at four times its length. *Tuned*,
/// bench `hamming -- long`: for DNA at m = 100,000 a length of 2^19 was faster than 2^18.
const LONGEST: usize = 1 << 18;
const ONE_PIECE: usize = 1 << 17;
/// Shortest one that is taken for the sake of single precision.
const SHORTEST: usize = 1 << 16;

/// How a pattern is transformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Length of a transform.
    pub len: usize,
    /// Pieces of the pattern.
    pub pieces: usize,
    /// Alignments that one transform gives; length of a piece where there are several.
    pub hop: usize,
    /// Single precision is expected to pass the certificate.
    pub single: bool,
}

impl Shape {
    /// Four patterns or more, so that at most a quarter is overlap, where that is not too long, else two pieces of one;
    /// shorter ones where single precision then passes, which errs less the shorter the transforms are, and whose rounding
    /// tells no counts of 2^22 apart.
    pub fn new(classes: &Classes) -> Self {
        let m = classes.pattern.len();
        let longest = if m <= ONE_PIECE { (4 * m).next_power_of_two().max(1 << 12) } else { LONGEST };
        let few = classes.counted() < 1 << 22;
        let passes = |len: &usize| few && expected_error(f64::from(f32::EPSILON), *len, classes) < 0.25;
        let lengths = (0..3).map(|k| longest >> k).take_while(|&len| len == longest || len >= SHORTEST);
        let single = lengths.clone().find(passes);
        let len = single.unwrap_or(longest);
        let (pieces, hop) = if m <= len / 2 + 1 { (1, len + 1 - m) } else { (m.div_ceil(len / 2), len / 2) };
        Self { len, pieces, hop, single: single.is_some() }
    }

    /// Transforms worked on together: of the text's, one less than there are pieces is made twice.
    pub fn blocks(self) -> usize {
        if self.pieces == 1 { 1 } else { 2 * self.pieces }
    }

    /// Alignments that are worked on together.
    pub fn block(self) -> usize {
        self.blocks() * self.hop
    }
}

/// What a thread works on, in letters.
const WORKING: u128 = 14;

/// Bytes that the spectra of a letter take, in double precision and beside them in single.
fn bytes_of_letter(m: usize) -> u128 {
    let longest = if m <= ONE_PIECE { (4 * m).next_power_of_two().max(1 << 12) } else { 2 * m + LONGEST };
    longest as u128 * 12
}

/// The spectra of a pattern, made once for any number of texts.
///
/// Row HAM-4 of `paper-refs.md`.
pub struct Prepared {
    classes: Classes,
    sums: Sums,
    shape: Shape,
    single: Option<Spectra<f32>>,
    /// Made only if some block asks for it.
    double: OnceLock<Spectra<f64>>,
    /// The same pattern for the transforms modulo an integer, made when it is needed.
    integers: OnceLock<ntt::Prepared>,
}

/// Memory that blocks share.
#[derive(Debug, Default)]
pub struct Scratch {
    single: Buffers<f32>,
    double: Buffers<f64>,
    integers: ntt::Scratch,
}

impl Prepared {
    /// Transforms the pattern: for each letter a real transform of every piece.
    pub fn new(classes: Classes) -> Self {
        let shape = Shape::new(&classes);
        let single = shape.single.then(|| Spectra::<f32>::new(&classes, shape));
        Self { sums: Sums::new(&classes), classes, shape, single, double: OnceLock::new(), integers: OnceLock::new() }
    }

    /// Subtracts the matches of one block of alignments from `out` by certified FFT (row HAM-4). Where every symbol of the
    /// block is one of `K` letters, `K` real transforms per three pattern lengths or, of a pattern in pieces, per piece,
    /// where the text's are made up to 1.5 times; else one more.
    pub fn subtract_matches<C: Code>(&self, codes: &[C], out: &mut [u32], scratch: &mut Scratch) -> Certificate {
        let classes = &self.classes;
        let (exact, covered) = self.sums.matches(classes, codes, out.len());
        if let Some(spectra) = &self.single
            && let Some(residual) = count(classes, spectra, codes, out, exact, covered, &mut scratch.single)
        {
            return Certificate { f32_blocks: 1, largest_residual: residual, ..Certificate::default() };
        }
        let spectra = self.double.get_or_init(|| Spectra::<f64>::new(classes, self.shape));
        if let Some(residual) = count(classes, spectra, codes, out, exact, covered, &mut scratch.double) {
            return Certificate { f64_blocks: 1, largest_residual: residual, ..Certificate::default() };
        }
        let integers = self.integers.get_or_init(|| ntt::Prepared::new(classes.clone()));
        integers.subtract_matches(codes, out, &mut scratch.integers);
        Certificate { ntt_blocks: 1, ..Certificate::default() }
    }
}

impl CountingEngine for Prepared {
    const SHARES_LETTERS: bool = true;
    const HAS_SPECTRA: bool = true;
    type Scratch = Scratch;

    fn prepare(letters: Classes) -> Self {
        Self::new(letters)
    }

    fn block(&self) -> usize {
        self.shape.block()
    }

    fn subtract<C: Code>(&self, codes: &[C], out: &mut [u32], scratch: &mut Scratch) -> Option<Certificate> {
        Some(self.subtract_matches(codes, out, scratch))
    }

    fn cost(work: &Work) -> Cost {
        let (n, costs, shape) = (work.alignments.max(1) as f64, costs(), work.fft);
        let length = shape.len as f64;
        let precision = if shape.single { 1.0 } else { costs.fft_double };
        let (p, blocks) = (shape.pieces as f64, (n / shape.hop as f64).ceil());
        // Short texts pay for a whole transform, and every text for those of the pattern.
        let together = blocks.min(shape.blocks() as f64);
        let transforms = blocks * (together + p - 1.0) / together + p;
        let scale = precision * length / n * length.log2() / 14.0;
        let products = precision * blocks * length / n * costs.fft_product * (p - 1.0);
        let fixed = costs.fft_fixed * scale * (blocks + p);
        Cost::new(move |_, _| costs.fft_letter * scale * transforms + products, fixed)
    }

    fn bytes(letters: usize, pattern: usize) -> u128 {
        (letters as u128 + WORKING) * bytes_of_letter(pattern)
    }

    fn most_letters(pattern: usize, memory: u128) -> usize {
        (memory / bytes_of_letter(pattern)).saturating_sub(WORKING) as usize
    }
}

impl Certificate {
    /// What holds of two counts together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            f32_blocks: self.f32_blocks + other.f32_blocks,
            f64_blocks: self.f64_blocks + other.f64_blocks,
            ntt_blocks: self.ntt_blocks + other.ntt_blocks,
            largest_residual: self.largest_residual.max(other.largest_residual),
        }
    }
}

/// The largest rounding error to expect of any output, six standard deviations: the error of an FFT convolution has root
/// mean square of about `½ε·√log₂N·‖t‖‖p‖`, squares summed over the letters, whose shares of the text are taken to be those
/// of the pattern. It only decides whether single precision is worth a try; the certificate decides the rest.
fn expected_error(epsilon: f64, n: usize, classes: &Classes) -> f64 {
    let counts = classes.occurrences();
    let (m, last) = (classes.pattern.len() as f64, counts.iter().copied().min().unwrap_or(0) as f64);
    let all: f64 = counts.iter().map(|&a| n as f64 * a as f64 / m * (a as f64 + last)).sum();
    // The rarest letter is not transformed, or, where there is no other, alone.
    let energy = if counts.len() > 1 { all - 2.0 * n as f64 * last * last / m } else { all };
    6.0 * 0.5 * epsilon * (n as f64).log2().sqrt() * energy.sqrt()
}

#[cfg(test)]
mod tests {
    use super::certificate::certify;
    use super::*;
    use crate::letters::classes::Rule;

    fn prepared() -> (Prepared, Vec<u8>, Vec<u32>) {
        let text: Vec<u8> = (0..9_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 30) as u8).collect();
        let pattern = text[100..1_100].iter().map(|&c| Some(u32::from(c))).collect();
        let classes = Classes { pattern, codes: vec![0, 1, 2, 3], rule: Rule::Equal { wildcard: None }, code_count: 4 };
        let mut want = vec![1_000; 3_000];
        crate::engine::definition::subtract_matches(&classes, &text, &mut want);
        (Prepared::new(classes), text, want)
    }

    #[test]
    fn a_corrupted_value_is_caught() {
        let exact = 3 + 7 + 5;
        let check = |values: [f32; 3]| {
            let mut values = values.map(|v| v * 4.0);
            let (total, residual, possible) = certify(&mut values, 0.25, 0, 10);
            possible && residual < 0.25 && total == exact
        };
        assert!(check([3.01, 6.99, 5.1]));
        assert!(!check([3.0, 8.0, 5.0]), "a whole unit");
        assert!(!check([3.4, 7.0, 5.0]), "a fraction");
        assert!(!check([-2.0, 12.0, 5.0]), "beyond what is possible");
        assert!(!check([f32::NAN, 7.0, 5.0]), "not a number");
    }

    #[test]
    fn a_wrong_spectrum_falls_back_to_the_next_precision() {
        let (mut prepared, text, want) = prepared();
        let text = &text[..3_999];
        let run = |prepared: &Prepared| {
            let mut out = vec![1_000; 3_000];
            let certificate = prepared.subtract_matches(text, &mut out, &mut Scratch::default());
            assert!(out == want);
            (certificate.f32_blocks, certificate.f64_blocks, certificate.ntt_blocks)
        };
        assert_eq!(run(&prepared), (1, 0, 0));
        let single = prepared.single.as_mut().unwrap();
        single.letters[single.last][0][0][3] += 2_000.0;
        let other = (single.last + 1) % 4;
        single.letters[other][0][0][3] += 2_000.0;
        assert_eq!(run(&prepared), (0, 1, 0));
        let double = prepared.double.get_mut().unwrap();
        double.letters[(double.last + 1) % 4][0][0][3] += 2_000.0;
        assert_eq!(run(&prepared), (0, 0, 1));
    }
}
