//! Spectra of the letters of a pattern, and the count of one block with them.
use samplewise_linalg::fft::{Complex, FftReal, RealPlan};

use super::Shape;
use super::certificate::{Float, LANES, certify};
use crate::letters::classes::{Classes, Code};

/// A spectrum, real and imaginary parts of sixteen values in turn, which products need no shuffles for.
type Parts<T> = [[T; LANES]; 2];

/// `K` spectra that need one transform of the text less than there are letters. With `S_c` the text's indicator of letter
/// `c` and `P_c` the pattern's, for any one letter `ℓ`
///
/// `M = Σ_c S_c ⋆ P_c = Σ_{c ≠ ℓ} S_c ⋆ (P_c − P_ℓ) + (Σ_c S_c) ⋆ P_ℓ`,
///
/// and the last term is the constant `|P_ℓ|` where every symbol of the text is exactly one of the letters.
pub(super) struct Spectra<T: FftReal> {
    plan: usize,
    pieces: usize,
    hop: usize,
    /// The letter `ℓ`, the rarest of the pattern, and its occurrences.
    pub(super) last: usize,
    occurrences: usize,
    /// Conjugated spectra of `P_c − P_ℓ`, piece by piece; of `P_ℓ` at `ℓ`.
    pub(super) letters: Vec<Vec<Parts<T>>>,
}

/// Sixteens of values of the spectrum of a real transform of length `n`.
pub(super) fn parts_len(n: usize) -> usize {
    (n / 2 + 1).div_ceil(LANES)
}

impl<T: FftReal> Spectra<T> {
    pub fn new(classes: &Classes, shape: Shape) -> Self {
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
pub(super) fn part<T: FftReal>(spectrum: &[Complex<T>], parts: &mut [Parts<T>]) {
    samplewise_linalg::dispatch::widest(
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
pub(super) fn split<T: FftReal>(values: &[Complex<T>; LANES]) -> Parts<T> {
    let mut parts = [[T::zero(); LANES]; 2];
    for k in 0..LANES {
        parts[0][k] = values[k].re;
        parts[1][k] = values[k].im;
    }
    parts
}

/// `sum += a·b`.
#[inline(always)]
pub(super) fn add_product<T: FftReal>(s: &mut Parts<T>, a: &Parts<T>, b: &Parts<T>) {
    for k in 0..LANES {
        s[0][k] = s[0][k] + (a[0][k] * b[0][k] - a[1][k] * b[1][k]);
        s[1][k] = s[1][k] + (a[0][k] * b[1][k] + a[1][k] * b[0][k]);
    }
}

/// `sums += spectrum·pattern`.
pub(super) struct MultiplyOne<'a, T> {
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
pub(super) struct Buffers<T> {
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
pub(super) const TOGETHER: usize = 16;

/// `sums[b] += Σ_p text[b + p]·pattern[p]` of spectra that lie `len` apart.
pub(super) struct Multiply<'a, T> {
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
pub(super) fn count<T: FftReal + Float, C: Code>(
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
            samplewise_linalg::dispatch::widest(
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
        samplewise_linalg::dispatch::widest(
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
    let (total, residual, possible) = samplewise_linalg::dispatch::widest(
        #[inline(always)]
        || certify(values, T::of(1.0 / n as f64), constant, counted),
    );
    if !possible || residual >= 0.25 || total != exact {
        return None;
    }
    samplewise_linalg::dispatch::widest(
        #[inline(always)]
        || out.iter_mut().zip(&*values).for_each(|(o, &v)| *o = o.wrapping_sub((v.integer() + constant) as u32)),
    );
    Some(residual)
}
