//! Exact scaling by powers of two, so that squares neither overflow nor vanish.
//!
//! The square of a number below `2^-537` is zero in double precision and that of one above `2^512` is infinite: sums of
//! squares of such numbers say nothing. Whoever squares data first divides it by a power of two near its largest entry,
//! which is exact, and multiplies the answer by it. Data of moderate size is left as it is, so that its answers keep their
//! bits.

/// Numbers with binary exponents beyond this are scaled before they are squared: squares of those within, and sums of
/// `2^60` of them, are far from both ends of the range, as are products of four.
pub const MODERATE: i32 = 200;

/// Binary exponent `e` with `2^e ≤ |x| < 2^(e+1)`; zero for zero, infinities and NaN.
pub fn exponent(x: f64) -> i32 {
    const EXPONENT_BIAS: i32 = 1023;
    if x == 0.0 || !x.is_finite() {
        return 0;
    }
    let field = (x.to_bits() >> 52 & 0x7ff) as i32;
    if field > 0 { field - EXPONENT_BIAS } else { exponent(x * 2.0_f64.powi(64)) - 64 }
}

/// `x · 2^e`, rounded once where the result is subnormal.
///
/// Row TRU-1 of `paper-refs.md`.
pub fn ldexp(x: f64, e: i32) -> f64 {
    // Two factors, each a power of two in range; the first one never leaves the normal numbers upwards too early.
    let e = e.clamp(-2200, 2200);
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    if (-1000..=1000).contains(&e) {
        return x * 2.0_f64.powi(e);
    }
    let own = exponent(x);
    let mantissa = x * 2.0_f64.powi(-own / 2) * 2.0_f64.powi(-(own - own / 2));
    let total = own + e;
    if total > 1023 {
        return f64::INFINITY.copysign(x);
    }
    if total >= -1000 {
        return mantissa * 2.0_f64.powi(total);
    }
    if total < -1100 {
        return 0.0_f64.copysign(x);
    }
    mantissa * 2.0_f64.powi(-1000) * 2.0_f64.powi(total + 1000)
}

/// The exponent by which values whose largest is `largest` must be divided before they are squared: zero for moderate
/// ones.
pub fn extreme_exponent(largest: f64) -> i32 {
    let e = exponent(largest);
    if e.abs() > MODERATE { e } else { 0 }
}

/// Largest absolute value; zero of none. NaN is passed over.
pub fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0_f64, |m, v| m.max(v.abs()))
}

/// [`largest`] of any values.
pub fn largest_of(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0_f64, |m, v| m.max(v.abs()))
}

/// [`extreme_exponent`] of the largest entry.
pub fn extreme_exponent_of(values: &[f64]) -> i32 {
    extreme_exponent(largest(values))
}

/// Multiplies every value by `2^e`.
pub fn scale(values: &mut [f64], e: i32) {
    if e != 0 {
        values.iter_mut().for_each(|v| *v = ldexp(*v, e));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_are_exact_over_the_whole_range() {
        for e in -1074..=1023_i32 {
            let x = ldexp(1.0, e);
            assert_eq!(exponent(x), e, "2^{e}");
            assert_eq!(ldexp(x, -e), 1.0, "2^{e} back");
            assert_eq!(ldexp(-x, -e), -1.0, "-2^{e} back");
        }
        assert_eq!(ldexp(1.5, 2000), f64::INFINITY);
        assert_eq!(ldexp(-1.5, -2000), 0.0);
        assert_eq!(ldexp(0.0, 2000), 0.0);
        assert_eq!(ldexp(f64::from_bits(3), 1074), 3.0);
        assert_eq!(exponent(f64::MAX), 1023);
    }
}
