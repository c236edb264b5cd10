//! Powers and products modulo primes.

/// `base^exponent` modulo a prime below `2^32`.
pub(crate) fn power(base: u64, mut exponent: u64, p: u64) -> u64 {
    let (mut result, mut square) = (1, base % p);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * square % p;
        }
        square = square * square % p;
        exponent >>= 1;
    }
    result
}

/// The representative of `x` modulo `p < 2^15` from `−p/2` to `p/2`.
pub(crate) fn centred(x: i64, p: i32) -> i16 {
    let r = x.rem_euclid(i64::from(p)) as i32;
    (if r > p / 2 { r - p } else { r }) as i16
}

/// The same word of 16 bits twice.
pub(crate) fn twice(word: i16) -> i32 {
    i32::from(word as u16) | i32::from(word) << 16
}

/// `2^61 − 1`.
pub(crate) const MERSENNE: u64 = (1 << 61) - 1;

/// A product modulo [`MERSENNE`].
pub(crate) fn times(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    let sum = (product as u64 & MERSENNE) + (product >> 61) as u64;
    if sum >= MERSENNE { sum - MERSENNE } else { sum }
}
