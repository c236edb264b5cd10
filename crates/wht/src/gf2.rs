//! Linear algebra over the field of two elements, for at most 64 dimensions.
use rand::Rng;

/// An invertible `n × n` matrix with its transpose action and its inverse, each stored as images of unit vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invertible {
    columns: Vec<u64>,
    rows: Vec<u64>,
    inverse_columns: Vec<u64>,
}

impl Invertible {
    /// Uniformly random among the invertible matrices (rejection: a random matrix is invertible with probability
    /// above 0.288).
    pub fn random<R: Rng + ?Sized>(n: usize, rng: &mut R) -> Self {
        let mask = low_bits(n);
        loop {
            let columns: Vec<u64> = (0..n).map(|_| rng.next_u64() & mask).collect();
            if let Some(inverse_columns) = invert(&columns) {
                let rows = transpose(&columns);
                return Self { columns, rows, inverse_columns };
            }
        }
    }

    /// `R k`.
    #[inline]
    pub fn apply(&self, k: u64) -> u64 {
        combine(&self.columns, k)
    }

    /// `Rᵀ z`.
    #[inline]
    pub fn apply_transpose(&self, z: u64) -> u64 {
        combine(&self.rows, z)
    }

    /// `R⁻¹ k`.
    #[inline]
    pub fn apply_inverse(&self, k: u64) -> u64 {
        combine(&self.inverse_columns, k)
    }
}

/// The `n` lowest bits set.
#[inline]
pub fn low_bits(n: usize) -> u64 {
    if n >= 64 { u64::MAX } else { (1 << n) - 1 }
}

/// `⟨a, b⟩` over F₂.
#[inline]
pub fn parity(a: u64, b: u64) -> bool {
    (a & b).count_ones() % 2 == 1
}

/// XOR of the vectors selected by the bits of `k`.
#[inline]
pub fn combine(vectors: &[u64], mut k: u64) -> u64 {
    let mut out = 0;
    while k != 0 {
        out ^= vectors[k.trailing_zeros() as usize];
        k &= k - 1;
    }
    out
}

/// Columns of the inverse of the matrix with the given columns, or `None` when it is singular.
pub fn invert(columns: &[u64]) -> Option<Vec<u64>> {
    // Column operations on [A; I] until A is the identity.
    let n = columns.len();
    let mut a = columns.to_vec();
    let mut inverse: Vec<u64> = (0..n).map(|i| 1 << i).collect();
    for bit in 0..n {
        let pivot = (bit..n).find(|&j| a[j] >> bit & 1 == 1)?;
        a.swap(bit, pivot);
        inverse.swap(bit, pivot);
        let (value, image) = (a[bit], inverse[bit]);
        for j in 0..n {
            if j != bit && a[j] >> bit & 1 == 1 {
                a[j] ^= value;
                inverse[j] ^= image;
            }
        }
    }
    Some(inverse)
}

fn transpose(columns: &[u64]) -> Vec<u64> {
    (0..columns.len()).map(|i| columns.iter().enumerate().fold(0, |row, (j, c)| row | (c >> i & 1) << j)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use samplewise_linalg::random::Streams;

    #[test]
    fn the_inverse_inverts_and_the_transpose_is_adjoint() {
        for n in [1, 2, 7, 20, 63] {
            let mut rng = Streams::new(n as u64).stream(0);
            let r = Invertible::random(n, &mut rng);
            for _ in 0..50 {
                let (k, z) = (rng.next_u64() & low_bits(n), rng.next_u64() & low_bits(n));
                assert_eq!(r.apply_inverse(r.apply(k)), k);
                assert_eq!(parity(r.apply_transpose(z), k), parity(z, r.apply(k)));
            }
        }
    }

    #[test]
    fn a_singular_matrix_has_no_inverse() {
        assert_eq!(invert(&[0b01, 0b01]), None);
    }
}
