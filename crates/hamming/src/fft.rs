//! Engine for very long patterns: one real FFT per class, products summed in the frequency domain, one inverse; by
//! overlap-save, and **certified exact**.
//!
//! A block is accepted when every value lies within 0.25 of an integer *and* the sum of the rounded matches equals
//! their exact sum from letter prefix counts. `f32` is tried first where eight standard deviations of its expected
//! rounding error stay below 0.25, then `f64`; a block that neither certifies is counted by [`crate::bitsliced`], and
//! the report says so. Two errors of a whole unit that cancel in the sum would pass: they need an error of 0.75 where
//! 0.25 is eight standard deviations.
use std::sync::OnceLock;

use samplewise_linalg::fft::{Complex, FftReal, RealPlan};

use crate::bitsliced;
use crate::classes::{Classes, Code};

/// What the certificates said.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Certificate {
    /// Blocks certified in single precision.
    pub f32_blocks: usize,
    /// Blocks certified in double precision.
    pub f64_blocks: usize,
    /// Blocks recounted by the bit-sliced engine.
    pub recounted: usize,
    /// Largest distance of a value from an integer in the accepted blocks; below 0.25.
    pub largest_residual: f64,
}

/// Transform length for a pattern of `m` symbols: at least four patterns, so that at most a quarter is overlap.
pub(crate) fn transform_len(m: usize) -> usize {
    (4 * m).next_power_of_two().max(1 << 12)
}

/// Bytes that the spectra of a pattern take in double precision, an upper bound.
pub(crate) fn bytes(letters: usize, m: usize) -> u128 {
    letters as u128 * transform_len(m) as u128 * 8
}

/// The spectra of a pattern, made once for any number of texts.
pub struct Prepared {
    classes: Classes,
    len: usize,
    single: Option<Spectra<f32>>,
    /// Made only if some block asks for it.
    double: OnceLock<Spectra<f64>>,
}

impl Prepared {
    /// Transforms the pattern: `K` real transforms of length `4m`.
    pub fn new(classes: Classes) -> Self {
        let m = classes.pattern.len();
        let len = transform_len(m);
        let single = expected_error(f64::from(f32::EPSILON), len, m) < 0.25;
        let single = single.then(|| pattern_spectra::<f32>(&classes, len));
        Self { classes, len, single, double: OnceLock::new() }
    }

    /// Subtracts the matches of one block of alignments, at most `transform_len(m) − m + 1`, from `out` by certified FFT
    /// (row HAM-4). Cost `(K + 1)` real transforms of length `4m` per `3m` alignments.
    pub fn subtract_matches<C: Code>(&self, codes: &[C], out: &mut [u32]) -> Certificate {
        let (classes, m) = (&self.classes, self.classes.pattern.len());
        let exact = exact_sum(classes, codes, out.len());
        if let Some(spectra) = &self.single
            && let Some(residual) = block(classes, spectra, codes, out, exact)
        {
            return Certificate { f32_blocks: 1, largest_residual: residual, ..Certificate::default() };
        }
        let spectra = self.double.get_or_init(|| pattern_spectra::<f64>(classes, self.len));
        if let Some(residual) = block(classes, spectra, codes, out, exact) {
            return Certificate { f64_blocks: 1, largest_residual: residual, ..Certificate::default() };
        }
        let recount = bitsliced::Prepared::new(classes.clone());
        let mut scratch = bitsliced::Scratch::default();
        for (s, piece) in out.chunks_mut(bitsliced::BLOCK).enumerate() {
            let from = s * bitsliced::BLOCK;
            recount.subtract_matches(&codes[from..from + piece.len() + m - 1], None, piece, &mut scratch);
        }
        Certificate { recounted: 1, ..Certificate::default() }
    }
}

impl Certificate {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            f32_blocks: self.f32_blocks + other.f32_blocks,
            f64_blocks: self.f64_blocks + other.f64_blocks,
            recounted: self.recounted + other.recounted,
            largest_residual: self.largest_residual.max(other.largest_residual),
        }
    }
}

/// Eight standard deviations of the rounding error of one output: the error of an FFT convolution has root mean square
/// of about `½ε·√log₂N·‖t‖‖p‖`, and both indicator vectors together have at most `N` and `m` ones.
fn expected_error(epsilon: f64, n: usize, m: usize) -> f64 {
    8.0 * 0.5 * epsilon * (n as f64).log2().sqrt() * (n as f64).sqrt() * (m as f64).sqrt()
}

struct Spectra<T: FftReal> {
    plan_len: usize,
    /// Conjugated spectra of the class indicators of the pattern, class after class.
    classes: Vec<Vec<Complex<T>>>,
}

fn pattern_spectra<T: FftReal>(classes: &Classes, n: usize) -> Spectra<T> {
    let plan = T::plan(n);
    let spectra = (0..classes.len())
        .map(|class| {
            let mut signal = vec![T::zero(); n];
            for (j, c) in classes.pattern.iter().enumerate() {
                if *c == Some(class as u16) {
                    signal[j] = T::one();
                }
            }
            let mut spectrum = plan.zero_spectrum();
            plan.forward(&mut signal, &mut spectrum);
            spectrum.iter_mut().for_each(|z| *z = z.conj());
            spectrum
        })
        .collect();
    Spectra { plan_len: n, classes: spectra }
}

/// Subtracts the matches of one block, or returns `None` and subtracts nothing when the certificate fails; returns the largest
/// distance from an integer.
fn block<T: FftReal + Float, C: Code>(
    classes: &Classes,
    spectra: &Spectra<T>,
    text: &[C],
    out: &mut [u32],
    exact: u64,
) -> Option<f64> {
    let n = spectra.plan_len;
    let plan: RealPlan<T> = T::plan(n);
    let mut sum = plan.zero_spectrum();
    let mut signal = vec![T::zero(); n];
    let mut spectrum = plan.zero_spectrum();
    let mut marks = vec![0_u8; text.len()];
    for (letter, pattern) in spectra.classes.iter().enumerate() {
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || classes.mark(letter, text, &mut marks),
        );
        signal.fill(T::zero());
        for (s, &mark) in signal.iter_mut().zip(&marks) {
            *s = if mark == 0 { T::zero() } else { T::one() };
        }
        plan.forward(&mut signal, &mut spectrum);
        for ((s, t), p) in sum.iter_mut().zip(&spectrum).zip(pattern) {
            *s = *s + *t * *p;
        }
    }
    plan.inverse(&mut sum, &mut signal);
    let counted = classes.counted() as i64;
    let scale = 1.0 / n as f64;
    let (mut total, mut residual) = (0_i64, 0.0_f64);
    let mut possible = true;
    for v in &signal[..out.len()] {
        let value = v.widen() * scale;
        let rounded = value.round();
        residual = residual.max((value - rounded).abs());
        let matches = rounded as i64;
        possible &= (0..=counted).contains(&matches);
        total += matches;
    }
    if !possible || residual >= 0.25 || total as u64 != exact {
        return None;
    }
    for (o, v) in out.iter_mut().zip(&signal) {
        *o -= (v.widen() * scale).round() as u32;
    }
    Some(residual)
}

/// `Σ_i M[i]` of a block, from the prefix counts of each letter: integers, hence exact. Cost `K·len + m`.
fn exact_sum<C: Code>(classes: &Classes, text: &[C], alignments: usize) -> u64 {
    let mut positions: Vec<Vec<usize>> = vec![Vec::new(); classes.len()];
    for (j, c) in classes.pattern.iter().enumerate() {
        if let Some(c) = c {
            positions[*c as usize].push(j);
        }
    }
    let mut prefix = vec![0_u32; text.len() + 1];
    let mut marks = vec![0_u8; text.len()];
    let mut total = 0;
    for (letter, at) in positions.iter().enumerate() {
        classes.mark(letter, text, &mut marks);
        let mut count = 0;
        for (p, &mark) in prefix[1..].iter_mut().zip(&marks) {
            count += u32::from(mark);
            *p = count;
        }
        total += at.iter().map(|&j| u64::from(prefix[j + alignments] - prefix[j])).sum::<u64>();
    }
    total
}

/// Widening without a trait of another crate.
trait Float {
    fn widen(self) -> f64;
}
impl Float for f32 {
    fn widen(self) -> f64 {
        f64::from(self)
    }
}
impl Float for f64 {
    fn widen(self) -> f64 {
        self
    }
}
