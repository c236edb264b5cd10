//! Identities of integers and fractions that need more than 53 bits.
use rand::Rng;
use samplewise_linalg::random::Streams;

use super::*;

/// The double-double of an integer of at most 106 bits, exactly.
fn exactly(x: i128) -> DoubleDouble {
    let hi = x as f64;
    DoubleDouble::exact_sum(hi, (x - hi as i128) as f64)
}

/// The integer that a double-double is.
fn integer(x: DoubleDouble) -> i128 {
    x.to_f64() as i128 + x.low() as i128
}

#[test]
fn sums_and_products_of_integers_are_exact() {
    let mut rng = Streams::new(1).stream(0);
    for _ in 0..2_000 {
        let (a, b) = (i128::from(rng.next_u64() as i64 >> 12), i128::from(rng.next_u64() as i64 >> 12));
        assert_eq!(integer(exactly(a) * exactly(b)), a * b);
        let (large, other) = (a << 50, b << 47);
        assert_eq!(integer(exactly(large) + exactly(other + a)), large + other + a);
        assert_eq!(integer(exactly(large + b) - exactly(large)), b);
        assert!(exactly(large + 1) > exactly(large));
        assert_eq!(two_prod(a as f64, b as f64).0 as i128 + two_prod(a as f64, b as f64).1 as i128, a * b);
    }
}

#[test]
fn division_undoes_multiplication() {
    let mut rng = Streams::new(2).stream(0);
    for _ in 0..2_000 {
        let (a, b) = (i128::from(rng.next_u64() as i64 >> 12), i128::from(rng.next_u64() as i64 >> 12 | 1));
        let quotient = exactly(a * b) / exactly(b);
        assert!((quotient - exactly(a)).abs().to_f64() <= 1e-30 * (a as f64).abs(), "{a} {b}");
    }
    // A third and its thirds: 1/3 + 1/3 + 1/3 = 1 to 106 bits, where f64 is off in the seventeenth digit.
    let third = DoubleDouble::ONE / 3.0;
    assert!((third * 3.0 - 1.0).abs().to_f64() < 1e-31);
    assert!((third - 1.0 / 3.0).abs().to_f64() > 1e-17);
}

#[test]
fn roots_and_powers_meet_their_squares() {
    for x in [2.0, 3.0, 1e-40, 7e150, 0.1] {
        let root = DoubleDouble::from(x).sqrt();
        assert!((root * root - x).abs().to_f64() <= 1e-30 * x, "{x}");
        let log = DoubleDouble::from(x).ln();
        assert!((log.exp() - x).abs().to_f64() <= 1e-28 * x, "{x}");
    }
    let ten = DoubleDouble::from(10.0);
    assert_eq!(integer(ten.powi(27)), 10_i128.pow(27));
    let half = ten.powf(DoubleDouble::from(0.5));
    assert!((half * half - ten).abs().to_f64() < 1e-29);
    assert_eq!(DoubleDouble::ZERO.powf(DoubleDouble::from(0.3)), DoubleDouble::ZERO);
    assert!(DoubleDouble::from(-1.0).sqrt().to_f64().is_nan());
}

#[test]
fn cancelling_sums_keep_what_is_small() {
    let v = [1e20, 1.0, -1e20, 1e-5];
    assert_eq!(sum(&v).to_f64(), 1.0 + 1e-5);
    assert_eq!(dot(&[1e15, 3.0, -1e15], &[1e10, 0.25, 1e10]).to_f64(), 0.75);
    let wide: Vec<DoubleDouble> = v.iter().map(|&v| v.into()).collect();
    assert_eq!(dot_of(&wide, &[DoubleDouble::ONE; 4]).to_f64(), 1.0 + 1e-5);
}

#[test]
fn powers_of_two_reach_both_ends() {
    assert_eq!(scale(1.0, -1074), f64::from_bits(1));
    assert_eq!(scale(f64::from_bits(1), 1074), 1.0);
    assert_eq!([1.0, 1.99, 0.5, -8.0, f64::MAX, f64::from_bits(1)].map(exponent_of), [0, 0, -1, 3, 1023, -1074]);
    assert!(!(DoubleDouble::from(f64::MAX) + DoubleDouble::from(f64::MAX)).is_finite());
    assert!((DoubleDouble::from(f64::MAX) * DoubleDouble::from(2.0)).to_f64().is_infinite());
}
