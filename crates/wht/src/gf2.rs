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

    /// The functional `k ↦ (R k)_i`, as the vector to take the product with.
    #[inline]
    pub fn row(&self, i: usize) -> u64 {
        self.rows[i]
    }

    /// `R⁻¹ k`.
    #[inline]
    pub fn apply_inverse(&self, k: u64) -> u64 {
        combine(&self.inverse_columns, k)
    }
}

/// A consistent system of linear equations `⟨f, k⟩ = bit` in reduced echelon form: its solutions are an affine space.
#[derive(Clone, Debug)]
pub struct System {
    variables: usize,
    /// `(functional, right side)`; the lowest set bit of each functional, its pivot, is set in no other.
    rows: Vec<(u64, bool)>,
    pivots: u64,
}

impl System {
    /// No equations yet: every `k` of `variables` bits is a solution.
    pub fn new(variables: usize) -> Self {
        Self { variables, rows: Vec::new(), pivots: 0 }
    }

    /// Adds an equation; false, and no change, when it contradicts the others.
    pub fn require(&mut self, functional: u64, bit: bool) -> bool {
        let (mut f, mut b) = (functional, bit);
        if f & self.pivots != 0 {
            for &(g, c) in &self.rows {
                if f & g & g.wrapping_neg() != 0 {
                    f ^= g;
                    b ^= c;
                }
            }
        }
        if f == 0 {
            return !b;
        }
        let pivot = f & f.wrapping_neg();
        for row in &mut self.rows {
            if row.0 & pivot != 0 {
                row.0 ^= f;
                row.1 ^= b;
            }
        }
        self.rows.push((f, b));
        self.pivots |= pivot;
        true
    }

    /// Dimension of the space of solutions.
    pub fn dimension(&self) -> usize {
        self.variables - self.rows.len()
    }

    /// Both systems together, or `None` when they contradict each other.
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        let mut both = self.clone();
        other.rows.iter().all(|&(f, b)| both.require(f, b)).then_some(both)
    }

    /// Calls `visit` with each of the `2^dimension` solutions.
    pub fn solutions(&self, mut visit: impl FnMut(u64)) {
        let mut free = low_bits(self.variables) & !self.pivots;
        let pivot_bits = |wanted: &dyn Fn(&(u64, bool)) -> bool| {
            self.rows.iter().filter(|row| wanted(row)).fold(0, |k, row| k | row.0 & row.0.wrapping_neg())
        };
        let first = pivot_bits(&|row| row.1);
        let mut directions = Vec::new();
        while free != 0 {
            let bit = free & free.wrapping_neg();
            directions.push(bit | pivot_bits(&|row| row.0 & bit != 0));
            free ^= bit;
        }
        for choice in 0..1_u64 << directions.len() {
            visit(first ^ combine(&directions, choice));
        }
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
    fn a_system_has_exactly_the_solutions_of_its_equations() {
        for seed in 0..50 {
            let mut rng = Streams::new(seed).stream(1);
            let equations: Vec<(u64, bool)> =
                (0..seed % 7).map(|_| (rng.next_u64() & 63, rng.next_u64() & 1 == 1)).collect();
            let mut system = System::new(6);
            let consistent = equations.iter().all(|&(f, b)| system.require(f, b));
            let expected: Vec<u64> = (0..64).filter(|&k| equations.iter().all(|&(f, b)| parity(f, k) == b)).collect();
            assert_eq!(consistent, !expected.is_empty());
            if consistent {
                let mut got = Vec::new();
                system.solutions(|k| got.push(k));
                got.sort_unstable();
                assert_eq!(got, expected);
            }
        }
    }

    #[test]
    fn a_singular_matrix_has_no_inverse() {
        assert_eq!(invert(&[0b01, 0b01]), None);
    }
}
