//! What makes an FFT's answer exact: every value close to an integer, and their sum the one that the letters have.
use samplewise_linalg::fft::FftReal;

use crate::letters::classes::{Classes, Code, Rule};

/// Scales and rounds; returns the sum of the matches, the largest distance from an integer, and whether all are possible.
#[inline(always)]
pub(super) fn certify<T: FftReal + Float>(values: &mut [T], scale: T, constant: i32, counted: i32) -> (u64, f64, bool) {
    let mut checks = Checks::new();
    let mut total = 0_i64;
    // So many that the sums of 32 bits do not overflow.
    let together = LANES * if counted < 1 << 22 { 1 << 8 } else { 4 };
    for part in values.chunks_mut(together) {
        let (whole, rest) = part.as_chunks_mut::<LANES>();
        let mut sums = [0_i32; LANES];
        for lanes in whole {
            checks.take(lanes, scale, &mut sums);
        }
        if !rest.is_empty() {
            // What is missing repeats the first value, and is taken out of the sums.
            let mut last = [rest[0]; LANES];
            last[..rest.len()].copy_from_slice(rest);
            checks.take(&mut last, scale, &mut sums);
            rest.copy_from_slice(&last[..rest.len()]);
            total -= i64::from(last[0].integer()) * (LANES - rest.len()) as i64;
        }
        total += sums.iter().map(|&s| i64::from(s)).sum::<i64>();
    }
    let (mut residual, mut low, mut high, mut poison) = (T::zero(), T::zero(), T::zero(), T::zero());
    for l in 0..LANES {
        residual = if checks.residual[l] > residual { checks.residual[l] } else { residual };
        low = if checks.low[l] < low { checks.low[l] } else { low };
        high = if checks.high[l] > high { checks.high[l] } else { high };
        poison = poison + checks.poison[l];
    }
    // Bounds of all values, and of zero, which is one of them wherever these decide.
    let possible =
        poison == T::zero() && low.widen() >= f64::from(-constant) && high.widen() <= f64::from(counted - constant);
    total += values.len() as i64 * i64::from(constant);
    (total as u64, residual.widen(), possible)
}

/// Values looked at together.
pub(super) const LANES: usize = 16;

/// Lane by lane, so that the loop has a vector form.
struct Checks<T> {
    residual: [T; LANES],
    low: [T; LANES],
    high: [T; LANES],
    /// Zero unless some value was not finite.
    poison: [T; LANES],
}

impl<T: FftReal + Float> Checks<T> {
    fn new() -> Self {
        let zero = [T::zero(); LANES];
        Self { residual: zero, low: zero, high: zero, poison: zero }
    }

    #[inline(always)]
    fn take(&mut self, values: &mut [T; LANES], scale: T, sums: &mut [i32; LANES]) {
        for l in 0..LANES {
            let value = values[l] * scale;
            let rounded = value.nearest();
            let distance = (value - rounded).magnitude();
            self.residual[l] = if distance > self.residual[l] { distance } else { self.residual[l] };
            self.low[l] = if rounded < self.low[l] { rounded } else { self.low[l] };
            self.high[l] = if rounded > self.high[l] { rounded } else { self.high[l] };
            self.poison[l] = self.poison[l] + value * T::zero();
            values[l] = rounded;
            sums[l] = sums[l].wrapping_add(rounded.integer());
        }
    }
}

/// What the exact sum of a block's matches is made of.
pub(super) struct Sums {
    /// Where letters match by equality: the letter of each text code, [`NONE`] of most.
    letter_of: Vec<u32>,
    /// Pattern positions that each text code matches; and [`ASTRAY`], where that is not exactly one letter.
    weights: Vec<u64>,
}

const ASTRAY: u64 = 1 << 63;

const NONE: u32 = u32::MAX;

impl Sums {
    pub fn new(classes: &Classes) -> Self {
        let counts = classes.occurrences();
        let mut letter_of = vec![NONE; classes.code_count];
        let mut weights = vec![ASTRAY; classes.code_count];
        match classes.rule {
            Rule::Equal { wildcard } => {
                for (letter, &code) in classes.codes.iter().enumerate() {
                    letter_of[code as usize] = letter as u32;
                    weights[code as usize] = counts[letter] as u64;
                }
                if let Some(w) = wildcard {
                    weights[w as usize] = classes.counted() as u64 | ASTRAY;
                }
            }
            Rule::Share => {
                for (code, weight) in weights.iter_mut().enumerate() {
                    let matching = || (0..classes.len()).filter(|&l| classes.matches(l as u32, code));
                    let astray = if matching().count() == 1 { 0 } else { ASTRAY };
                    *weight = matching().map(|l| counts[l] as u64).sum::<u64>() | astray;
                }
            }
        }
        Self { letter_of, weights }
    }

    /// `Σ_i M[i]` of a block of `alignments`: text position `t` meets the pattern positions `t − alignments < j ≤ t`.
    /// Integers, hence exact, and from the codes, not from the marks that are transformed. Cost `len + 2m`. Also whether
    /// every symbol is exactly one of the letters.
    pub fn matches<C: Code>(&self, classes: &Classes, text: &[C], alignments: usize) -> (u64, bool) {
        let m = classes.pattern.len();
        let (edge, inside) = text.split_at(m - 1);
        let look = |part: &[C]| {
            part.iter().fold((0_u64, 0_u64), |(sum, astray), c| {
                let weight = self.weights[c.index()];
                (sum.wrapping_add(weight & !ASTRAY), astray | weight)
            })
        };
        let ((total, astray), (_, also)) = (look(inside), look(edge));
        let total = total + self.prefixes(classes, edge) - self.prefixes(classes, &text[alignments..]);
        (total, (astray | also) & ASTRAY == 0)
    }

    /// `Σ_t #{j ≤ t : P[j] matches text[t]}`.
    fn prefixes<C: Code>(&self, classes: &Classes, text: &[C]) -> u64 {
        let mut counts = vec![0_u32; classes.len()];
        let (mut all, mut total) = (0_u32, 0_u64);
        for (code, letter) in text.iter().zip(&classes.pattern) {
            if let Some(l) = letter {
                counts[*l as usize] += 1;
                all += 1;
            }
            total += match classes.rule {
                Rule::Equal { wildcard } if wildcard.is_some_and(|w| w as usize == code.index()) => u64::from(all),
                Rule::Equal { .. } => {
                    counts.get(self.letter_of[code.index()] as usize).map_or(0, |&count| u64::from(count))
                }
                Rule::Share => {
                    let matching = (0..classes.len()).filter(|&l| classes.matches(l as u32, code.index()));
                    matching.map(|l| u64::from(counts[l])).sum()
                }
            };
        }
        total
    }
}

/// What a certificate asks of a float, in operations that have vector forms.
pub(super) trait Float: Copy + PartialOrd {
    fn of(value: f64) -> Self;
    fn widen(self) -> f64;
    fn nearest(self) -> Self;
    fn integer(self) -> i32;
    fn magnitude(self) -> Self;
}

macro_rules! float {
    ($t:ty, $magic:expr) => {
        impl Float for $t {
            #[inline(always)]
            fn of(value: f64) -> Self {
                value as $t
            }
            #[inline(always)]
            fn widen(self) -> f64 {
                f64::from(self)
            }
            /// By the addition that leaves no fraction: exact below half the mantissa, and counts are.
            #[inline(always)]
            fn nearest(self) -> Self {
                (self + $magic) - $magic
            }
            /// The lowest bits after the same addition.
            #[inline(always)]
            fn integer(self) -> i32 {
                const ZERO: $t = $magic;
                (self + ZERO).to_bits().wrapping_sub(ZERO.to_bits()) as i32
            }
            #[inline(always)]
            fn magnitude(self) -> Self {
                self.abs()
            }
        }
    };
}
float!(f32, 12_582_912.0); // 1.5·2^23
float!(f64, 6_755_399_441_055_744.0); // 1.5·2^52
