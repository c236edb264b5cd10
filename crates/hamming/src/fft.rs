//! Engine for very long patterns: one real FFT per class, products summed in the frequency domain, one inverse; by
//! overlap-save, and **certified exact**.
//!
//! A block is accepted when every value lies within 0.25 of an integer *and* the sum of the rounded matches equals
//! their exact sum from class prefix counts. `f32` is tried first where its a-priori rounding bound allows, then
//! `f64`; a block that neither certifies is counted by [`crate::bitsliced`], and the report says so.
use rayon::prelude::*;
use samplewise_linalg::fft::{Complex, FftReal, RealPlan};

use crate::bitsliced;
use crate::relation::{Relation, Symbol};

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

/// All distances by certified FFT (row HAM-4). Cost `(K + 1)` real transforms of length `4m` per `3m` alignments.
pub fn distances<S: Symbol>(relation: &Relation<S>, codes: &[u16], out: &mut [u32]) -> Certificate {
    let m = relation.pattern.len();
    let n = transform_len(m);
    let step = n - m + 1;
    let single = expected_error(f64::from(f32::EPSILON), n, m) < 0.25;
    let spectra_f32 = single.then(|| pattern_spectra::<f32, S>(relation, n));
    // Double precision is prepared once, and only if some block asks for it.
    let spectra_f64 = std::sync::OnceLock::new();
    let parts: Vec<Certificate> = out
        .par_chunks_mut(step)
        .enumerate()
        .map(|(b, part)| {
            let first = b * step;
            let text = &codes[first..(first + part.len() + m - 1).min(codes.len())];
            let exact = exact_sum(relation, text, part.len());
            if let Some(spectra) = &spectra_f32
                && let Some(residual) = block(relation, spectra, text, part, exact)
            {
                return Certificate { f32_blocks: 1, largest_residual: residual, ..Certificate::default() };
            }
            let spectra = spectra_f64.get_or_init(|| pattern_spectra::<f64, S>(relation, n));
            if let Some(residual) = block(relation, spectra, text, part, exact) {
                return Certificate { f64_blocks: 1, largest_residual: residual, ..Certificate::default() };
            }
            for (s, piece) in part.chunks_mut(bitsliced::BLOCK).enumerate() {
                let from = s * bitsliced::BLOCK;
                bitsliced::distances(relation, &text[from..from + piece.len() + m - 1], piece);
            }
            Certificate { recounted: 1, ..Certificate::default() }
        })
        .collect();
    parts.into_iter().fold(Certificate::default(), |a, b| Certificate {
        f32_blocks: a.f32_blocks + b.f32_blocks,
        f64_blocks: a.f64_blocks + b.f64_blocks,
        recounted: a.recounted + b.recounted,
        largest_residual: a.largest_residual.max(b.largest_residual),
    })
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

fn pattern_spectra<T: FftReal, S: Symbol>(relation: &Relation<S>, n: usize) -> Spectra<T> {
    let plan = T::plan(n);
    let classes = (0..relation.classes())
        .map(|class| {
            let mut signal = vec![T::zero(); n];
            for (j, c) in relation.pattern.iter().enumerate() {
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
    Spectra { plan_len: n, classes }
}

/// Distances of one block, or `None` when the certificate fails; returns the largest distance from an integer.
fn block<T: FftReal + Float, S: Symbol>(
    relation: &Relation<S>,
    spectra: &Spectra<T>,
    text: &[u16],
    out: &mut [u32],
    exact: u64,
) -> Option<f64> {
    let n = spectra.plan_len;
    let plan: RealPlan<T> = T::plan(n);
    let mut sum = plan.zero_spectrum();
    let mut signal = vec![T::zero(); n];
    let mut spectrum = plan.zero_spectrum();
    for (class, pattern) in relation.matches.iter().zip(&spectra.classes) {
        signal.fill(T::zero());
        let mut any = false;
        for (s, &c) in signal.iter_mut().zip(text) {
            if class[c as usize] {
                *s = T::one();
                any = true;
            }
        }
        if !any {
            continue;
        }
        plan.forward(&mut signal, &mut spectrum);
        for ((s, t), p) in sum.iter_mut().zip(&spectrum).zip(pattern) {
            *s = *s + *t * *p;
        }
    }
    plan.inverse(&mut sum, &mut signal);
    let counted = relation.counted() as i64;
    let scale = 1.0 / n as f64;
    let (mut total, mut residual) = (0_i64, 0.0_f64);
    for (d, v) in out.iter_mut().zip(&signal) {
        let value = v.widen() * scale;
        let rounded = value.round();
        residual = residual.max((value - rounded).abs());
        let matches = rounded as i64;
        if !(0..=counted).contains(&matches) {
            return None;
        }
        total += matches;
        *d = (counted - matches) as u32;
    }
    (residual < 0.25 && total as u64 == exact).then_some(residual)
}

/// `Σ_i M[i]` of a block, from the prefix counts of each class: integers, hence exact. Cost `K·len + m`.
fn exact_sum<S: Symbol>(relation: &Relation<S>, text: &[u16], alignments: usize) -> u64 {
    let mut positions: Vec<Vec<usize>> = vec![Vec::new(); relation.classes()];
    for (j, c) in relation.pattern.iter().enumerate() {
        if let Some(c) = c {
            positions[*c as usize].push(j);
        }
    }
    let mut prefix = vec![0_u64; text.len() + 1];
    let mut total = 0;
    for (class, at) in relation.matches.iter().zip(&positions) {
        for (i, &c) in text.iter().enumerate() {
            prefix[i + 1] = prefix[i] + u64::from(class[c as usize]);
        }
        total += at.iter().map(|&j| prefix[j + alignments] - prefix[j]).sum::<u64>();
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
