//! Stage 2, bin detection: is a bin empty, a single coefficient, two of them, or more (rows WHT-3, WHT-4, WHT-16, WHT-17)?
use crate::field::bits::Bits;

/// What a bin holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content<I = u64> {
    /// Nothing above the tolerance.
    ZeroTon,
    /// One coefficient `(u, value)`.
    SingleTon([(I, f64); 1]),
    /// Two of them.
    TwoTon([(I, f64); 2]),
    /// More than can be told apart.
    MultiTon,
}

impl<I> Content<I> {
    /// The coefficients that the bin resolves into; none when it is empty or crowded.
    pub fn resolved(&self) -> &[(I, f64)] {
        match self {
            Self::SingleTon(one) => one,
            Self::TwoTon(two) => two,
            Self::ZeroTon | Self::MultiTon => &[],
        }
    }
}

/// Noiseless detection from sign bits (row WHT-3): `y[0]` under offset zero, `y[1 + i]` under the `i`-th unit vector.
///
/// Row WHT-17 of `paper-refs.md`.
///
/// A single-ton has the same magnitude everywhere. A two-ton `(a, b)` with `|a| ≠ |b|` shows exactly two magnitudes,
/// `|a + b|` where its bits agree and `|a − b|` where they differ, from which all bits follow. Entries differ by
/// rounding up to `tolerance`.
pub fn from_sign_bits<I: Bits>(y: &[f64], tolerance: f64) -> Content<I> {
    let first = y[0];
    if y.iter().all(|v| v.abs() <= tolerance) {
        return Content::ZeroTon;
    }
    let same = |v: f64, level: f64| (v.abs() - level).abs() <= tolerance;
    let Some(other) = y[1..].iter().copied().find(|&v| !same(v, first.abs())) else {
        let u = bits(&y[1..], |v| (v < 0.0) != (first < 0.0));
        return Content::SingleTon([(u, first)]);
    };
    let other = other.abs();
    // |a| = |b| makes one magnitude vanish, and then which bit belongs to which coefficient cannot be told.
    if first.abs() <= tolerance
        || other <= tolerance
        || y[1..].iter().any(|&v| !same(v, first.abs()) && !same(v, other))
    {
        return Content::MultiTon;
    }
    let (a, b) = (f64::midpoint(first, other), f64::midpoint(first, -other));
    if a.abs() <= tolerance || b.abs() <= tolerance {
        return Content::MultiTon;
    }
    let equal_bit = |v: f64| (v < 0.0) != (first < 0.0);
    let u_a = bits(&y[1..], |v| if same(v, first.abs()) { equal_bit(v) } else { v < 0.0 });
    let u_b = bits(&y[1..], |v| if same(v, first.abs()) { equal_bit(v) } else { v > 0.0 });
    Content::TwoTon([(u_a, a), (u_b, b)])
}

/// Noisy detection from paired random offsets (row WHT-4): blocks of `1 + free` entries, the first under `d`, the
/// others under `d` plus a unit vector. Bit `i` is decided by `Σ_d U_d U_{d ⊕ e_i}`; the bin is a single-ton when what
/// is left has the energy of noise.
///
/// Row WHT-16 of `paper-refs.md`.
///
/// `sign(p, u)` is `(−1)^⟨e_p,u⟩` and `noise` the variance of one entry.
pub fn from_paired_offsets<I: Bits>(y: &[f64], free: usize, noise: f64, sign: impl Fn(usize, I) -> f64) -> Content<I> {
    let count = y.len() as f64;
    // Four standard deviations of the mean of P squared normals.
    let limit = noise * (1.0 + 4.0 * (2.0 / count).sqrt());
    if y.iter().map(|v| v * v).sum::<f64>() / count <= limit {
        return Content::ZeroTon;
    }
    let u = (0..free).fold(I::zero(), |u, i| {
        let agreement: f64 = y.chunks_exact(1 + free).map(|block| block[0] * block[1 + i]).sum();
        if agreement < 0.0 { u | I::unit(i) } else { u }
    });
    let value = y.iter().enumerate().map(|(p, v)| v * sign(p, u)).sum::<f64>() / count;
    let rest = y.iter().enumerate().map(|(p, v)| (v - value * sign(p, u)).powi(2)).sum::<f64>() / count;
    if rest <= limit { Content::SingleTon([(u, value)]) } else { Content::MultiTon }
}

fn bits<I: Bits>(y: &[f64], bit: impl Fn(f64) -> bool) -> I {
    let mut out = I::zero();
    for (i, part) in y.chunks(64).enumerate() {
        let word = part.iter().enumerate().fold(0_u64, |w, (i, &v)| w | u64::from(bit(v)) << i);
        out |= I::from_word_at(word, i);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bin(content: &[(u64, f64)], free: usize) -> Vec<f64> {
        crate::bins::subsample::sign_bit_offsets::<u64>(free)
            .iter()
            .map(|&e| crate::dense::evaluate(content, e))
            .collect()
    }

    /// WHT-3: every pair of different magnitudes is resolved, for all bit patterns of four bits.
    #[test]
    fn one_and_two_coefficients_of_different_magnitude_are_always_resolved() {
        for u in 0..16 {
            assert_eq!(from_sign_bits(&bin(&[(u, -2.5)], 4), 1e-12), Content::SingleTon([(u, -2.5)]));
            for w in (0..16).filter(|&w| w != u) {
                for (a, b) in [(3.0, 1.0), (-3.0, 1.0), (1.0, -3.0), (-1.0, -3.0)] {
                    let Content::TwoTon(mut found) = from_sign_bits(&bin(&[(u, a), (w, b)], 4), 1e-12) else {
                        panic!("{a} at {u:b} and {b} at {w:b} not resolved")
                    };
                    found.sort_by(|x, y| x.1.total_cmp(&y.1));
                    let mut want = [(u, a), (w, b)];
                    want.sort_by(|x, y| x.1.total_cmp(&y.1));
                    assert_eq!(found, want);
                }
            }
        }
    }

    #[test]
    fn empty_and_crowded_bins_are_told_apart() {
        assert_eq!(from_sign_bits::<u64>(&[0.0; 5], 1e-12), Content::ZeroTon);
        assert_eq!(from_sign_bits::<u64>(&bin(&[(1, 1.0), (2, 1.0)], 4), 1e-12), Content::MultiTon);
        assert_eq!(from_sign_bits::<u64>(&bin(&[(1, 1.0), (2, 2.0), (4, 4.5)], 4), 1e-12), Content::MultiTon);
    }
}
