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

use samplewise_linalg::fft::{Complex, FftReal, RealPlan};

use crate::engine::ntt;
use crate::letters::classes::{Classes, Code};

mod certificate;

use certificate::{Float, LANES, Sums, certify};

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

/// Bytes that the spectra of a pattern take, in double precision and beside them in single, and what one thread works on in
/// both.
pub(crate) fn bytes(letters: usize, m: usize) -> u128 {
    (letters as u128 + WORKING) * bytes_of_letter(m)
}

/// What a thread works on, in letters.
const WORKING: u128 = 14;

fn bytes_of_letter(m: usize) -> u128 {
    let longest = if m <= ONE_PIECE { (4 * m).next_power_of_two().max(1 << 12) } else { 2 * m + LONGEST };
    longest as u128 * 12
}

/// Letters that so much memory is enough for.
pub(crate) fn most_letters(m: usize, memory: u128) -> usize {
    (memory / bytes_of_letter(m)).saturating_sub(WORKING) as usize
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

    pub(crate) fn shape(&self) -> Shape {
        self.shape
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

/// A spectrum, real and imaginary parts of sixteen values in turn, which products need no shuffles for.
type Parts<T> = [[T; LANES]; 2];

/// `K` spectra that need one transform of the text less than there are letters. With `S_c` the text's indicator of letter
/// `c` and `P_c` the pattern's, for any one letter `ℓ`
///
/// `M = Σ_c S_c ⋆ P_c = Σ_{c ≠ ℓ} S_c ⋆ (P_c − P_ℓ) + (Σ_c S_c) ⋆ P_ℓ`,
///
/// and the last term is the constant `|P_ℓ|` where every symbol of the text is exactly one of the letters.
struct Spectra<T: FftReal> {
    plan: usize,
    pieces: usize,
    hop: usize,
    /// The letter `ℓ`, the rarest of the pattern, and its occurrences.
    last: usize,
    occurrences: usize,
    /// Conjugated spectra of `P_c − P_ℓ`, piece by piece; of `P_ℓ` at `ℓ`.
    letters: Vec<Vec<Parts<T>>>,
}

/// Sixteens of values of the spectrum of a real transform of length `n`.
fn parts_len(n: usize) -> usize {
    (n / 2 + 1).div_ceil(LANES)
}

impl<T: FftReal> Spectra<T> {
    fn new(classes: &Classes, shape: Shape) -> Self {
        let Shape { len: n, pieces, hop, .. } = shape;
        let plan = T::plan(n);
        let counts = classes.occurrences();
        let last = (0..classes.len()).min_by_key(|&c| counts[c]).unwrap_or(0);
        let mut spectrum = plan.zero_spectrum();
        let letters = (0..classes.len())
            .map(|class| {
                let mut all = vec![[[T::zero(); LANES]; 2]; pieces * parts_len(n)];
                let parts = all.chunks_mut(parts_len(n));
                for (piece, parts) in
                    classes.pattern.chunks(if pieces == 1 { classes.pattern.len() } else { hop }).zip(parts)
                {
                    let mut signal = vec![T::zero(); n];
                    for (s, c) in signal.iter_mut().zip(piece) {
                        match c {
                            Some(c) if *c as usize == class => *s = T::one(),
                            Some(c) if *c as usize == last => *s = -T::one(),
                            _ => {}
                        }
                    }
                    plan.forward(&mut signal, &mut spectrum);
                    spectrum.iter_mut().for_each(|z| *z = z.conj());
                    part(&spectrum, parts);
                }
                all
            })
            .collect();
        Self { plan: n, pieces, hop, last, occurrences: counts.get(last).copied().unwrap_or(0), letters }
    }
}

/// Real and imaginary parts apart.
fn part<T: FftReal>(spectrum: &[Complex<T>], parts: &mut [Parts<T>]) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            let (whole, rest) = spectrum.as_chunks::<LANES>();
            for (values, parts) in whole.iter().zip(&mut *parts) {
                *parts = split(values);
            }
            for (k, v) in rest.iter().enumerate() {
                (parts[whole.len()][0][k], parts[whole.len()][1][k]) = (v.re, v.im);
            }
        },
    );
}

#[inline(always)]
fn split<T: FftReal>(values: &[Complex<T>; LANES]) -> Parts<T> {
    let mut parts = [[T::zero(); LANES]; 2];
    for k in 0..LANES {
        parts[0][k] = values[k].re;
        parts[1][k] = values[k].im;
    }
    parts
}

/// `sum += a·b`.
#[inline(always)]
fn add_product<T: FftReal>(s: &mut Parts<T>, a: &Parts<T>, b: &Parts<T>) {
    for k in 0..LANES {
        s[0][k] = s[0][k] + (a[0][k] * b[0][k] - a[1][k] * b[1][k]);
        s[1][k] = s[1][k] + (a[0][k] * b[1][k] + a[1][k] * b[0][k]);
    }
}

/// `sums += spectrum·pattern`.
struct MultiplyOne<'a, T> {
    spectrum: &'a [Complex<T>],
    pattern: &'a [Parts<T>],
    sums: &'a mut [Parts<T>],
}

impl<T: FftReal> pulp::WithSimd for MultiplyOne<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let (whole, rest) = self.spectrum.as_chunks::<LANES>();
        for ((s, t), p) in self.sums.iter_mut().zip(whole).zip(self.pattern) {
            add_product(s, &split(t), p);
        }
        let mut last = [Complex::new(T::zero(), T::zero()); LANES];
        last[..rest.len()].copy_from_slice(rest);
        if let (Some(s), Some(p)) = (self.sums.get_mut(whole.len()), self.pattern.get(whole.len())) {
            add_product(s, &split(&last), p);
        }
    }
}

#[derive(Debug, Default)]
struct Buffers<T> {
    signal: Vec<T>,
    /// `Σ_c S_c`.
    cover: Vec<T>,
    spectrum: Vec<Complex<T>>,
    scratch: Vec<Complex<T>>,
    /// Spectra of the text, block by block.
    text: Vec<Parts<T>>,
    sums: Vec<Parts<T>>,
    values: Vec<T>,
}

/// Sixteens multiplied at a time: what is read of all blocks and pieces stays in the second-level cache.
const TOGETHER: usize = 16;

/// `sums[b] += Σ_p text[b + p]·pattern[p]` of spectra that lie `len` apart.
struct Multiply<'a, T> {
    text: &'a [Parts<T>],
    pattern: &'a [Parts<T>],
    sums: &'a mut [Parts<T>],
    len: usize,
}

impl<T: FftReal> pulp::WithSimd for Multiply<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { text, pattern, sums, len } = self;
        for from in (0..len).step_by(TOGETHER) {
            let to = (from + TOGETHER).min(len);
            for (b, sums) in sums.chunks_exact_mut(len).enumerate() {
                for (p, pattern) in pattern.chunks_exact(len).enumerate() {
                    let text = &text[(b + p) * len..][from..to];
                    for ((s, t), p) in sums[from..to].iter_mut().zip(text).zip(&pattern[from..to]) {
                        add_product(s, t, p);
                    }
                }
            }
        }
    }
}

/// Subtracts the matches of at most [`Shape::block`] alignments, or returns `None` and subtracts nothing when the certificate
/// fails; returns the largest distance from an integer.
fn count<T: FftReal + Float, C: Code>(
    classes: &Classes,
    spectra: &Spectra<T>,
    text: &[C],
    out: &mut [u32],
    exact: u64,
    covered: bool,
    buffers: &mut Buffers<T>,
) -> Option<f64> {
    let (n, len) = (spectra.plan, parts_len(spectra.plan));
    let plan: RealPlan<T> = T::plan(n);
    let blocks = out.len().div_ceil(spectra.hop);
    let Buffers { signal, cover, spectrum, scratch, text: transformed, sums, values } = buffers;
    spectrum.resize(n / 2 + 1, Complex::new(T::zero(), T::zero()));
    signal.resize(n, T::zero());
    sums.clear();
    sums.resize(blocks * len, [[T::zero(); LANES]; 2]);
    let read = blocks + spectra.pieces - 1;
    if spectra.pieces > 1 {
        transformed.resize(transformed.len().max(read * len), [[T::zero(); LANES]; 2]);
    }
    if !covered {
        cover.clear();
        cover.resize(read * n, T::zero());
    }
    let others = (0..classes.len()).filter(|&c| c != spectra.last);
    for letter in others.chain((!covered && !classes.is_empty()).then_some(spectra.last)) {
        let pattern = &spectra.letters[letter][..];
        for block in 0..read {
            let text = &text[(block * spectra.hop).min(text.len())..];
            let text = &text[..text.len().min(n)];
            signal[text.len()..].fill(T::zero());
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || {
                    classes.mark_floats(letter, text, &mut signal[..text.len()]);
                    if !covered {
                        cover[block * n..][..n].iter_mut().zip(&*signal).for_each(|(c, &s)| *c = *c + s);
                    }
                },
            );
            if letter == spectra.last {
                signal.copy_from_slice(&cover[block * n..][..n]);
            }
            plan.forward_with(signal, spectrum, scratch);
            if spectra.pieces == 1 {
                let sums = &mut sums[block * len..][..len];
                pulp::Arch::new().dispatch(MultiplyOne { spectrum, pattern, sums });
            } else {
                part(spectrum, &mut transformed[block * len..][..len]);
            }
        }
        if spectra.pieces > 1 {
            let text = &transformed[..read * len];
            pulp::Arch::new().dispatch(Multiply { text, pattern, sums, len });
        }
    }
    let constant = if covered { spectra.occurrences as i32 } else { 0 };
    values.resize(out.len(), T::zero());
    for (sum, values) in sums.chunks(len).zip(values.chunks_mut(spectra.hop)) {
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                let (whole, rest) = spectrum.as_chunks_mut::<LANES>();
                for (values, parts) in whole.iter_mut().zip(sum) {
                    for k in 0..LANES {
                        values[k] = Complex::new(parts[0][k], parts[1][k]);
                    }
                }
                for (k, v) in rest.iter_mut().enumerate() {
                    *v = Complex::new(sum[whole.len()][0][k], sum[whole.len()][1][k]);
                }
            },
        );
        plan.inverse(spectrum, signal);
        values.copy_from_slice(&signal[..values.len()]);
    }
    let counted = classes.counted() as i32;
    let (total, residual, possible) = pulp::Arch::new().dispatch(
        #[inline(always)]
        || certify(values, T::of(1.0 / n as f64), constant, counted),
    );
    if !possible || residual >= 0.25 || total != exact {
        return None;
    }
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || out.iter_mut().zip(&*values).for_each(|(o, &v)| *o = o.wrapping_sub((v.integer() + constant) as u32)),
    );
    Some(residual)
}

#[cfg(test)]
mod tests {
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
