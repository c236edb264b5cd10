//! Linear algebra over the field of two elements.
use rand::Rng;

use crate::field::bits::Bits;

/// A linear map, stored as the images of unit vectors; for one-word vectors also as the images of all bytes, which makes
/// applying it eight times shorter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map<I> {
    columns: Vec<I>,
    bytes: Vec<I>,
}

impl<I: Bits> Map<I> {
    /// The map that takes unit vector `i` to `columns[i]`.
    pub fn new(columns: Vec<I>) -> Self {
        let mut bytes = Vec::new();
        if I::WIDTH == 64 {
            bytes.reserve_exact(256 * columns.len().div_ceil(8));
            for part in columns.chunks(8) {
                let start = bytes.len();
                bytes.push(I::zero());
                for byte in 1..256_usize {
                    let column = part.get(byte.trailing_zeros() as usize).copied().unwrap_or_default();
                    bytes.push(bytes[start + (byte & (byte - 1))] ^ column);
                }
            }
        }
        Self { columns, bytes }
    }

    /// The image of `k`.
    #[inline]
    pub fn apply(&self, k: I) -> I {
        if I::WIDTH == 64 {
            let mut word = k.low();
            let mut out = I::zero();
            for table in self.bytes.chunks_exact(256) {
                out ^= table[(word & 255) as usize];
                word >>= 8;
            }
            out
        } else {
            combine(&self.columns, k)
        }
    }

    /// Images of the unit vectors.
    pub fn columns(&self) -> &[I] {
        &self.columns
    }
}

/// An invertible `n × n` matrix `R` with its transpose and its inverse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invertible<I> {
    forward: Map<I>,
    transpose: Map<I>,
    inverse: Map<I>,
}

impl<I: Bits> Invertible<I> {
    /// Uniformly random among the invertible matrices (rejection: a random matrix is invertible with probability
    /// above 0.288).
    pub fn random<R: Rng + ?Sized>(n: usize, rng: &mut R) -> Self {
        loop {
            let rows: Vec<I> = (0..n).map(|_| I::random(n, rng)).collect();
            if let Some(out) = Self::from_rows(rows) {
                return out;
            }
        }
    }

    /// The matrix with these rows; `None` when it is singular.
    pub fn from_rows(rows: Vec<I>) -> Option<Self> {
        let columns = transpose(&rows);
        let inverse = invert(&columns)?;
        Some(Self { forward: Map::new(columns), transpose: Map::new(rows), inverse: Map::new(inverse) })
    }

    /// `R k`.
    #[inline]
    pub fn apply(&self, k: I) -> I {
        self.forward.apply(k)
    }

    /// `Rᵀ z`.
    #[inline]
    pub fn apply_transpose(&self, z: I) -> I {
        self.transpose.apply(z)
    }

    /// `R⁻¹ k`.
    #[inline]
    pub fn apply_inverse(&self, k: I) -> I {
        self.inverse.apply(k)
    }

    /// Row `i`: the functional `k ↦ (R k)_i`, as the vector to take the product with.
    #[inline]
    pub fn row(&self, i: usize) -> I {
        self.transpose.columns[i]
    }

    /// `R` applied to the unit vectors.
    pub fn columns(&self) -> &[I] {
        self.forward.columns()
    }
}

/// A consistent system of linear equations `⟨f, k⟩ = bit` in reduced echelon form: its solutions are an affine space.
#[derive(Clone, Debug)]
pub struct System<I> {
    variables: usize,
    /// `(pivot, functional, right side)`; the pivot, the lowest set bit of its functional, is set in no other.
    rows: Vec<(usize, I, bool)>,
}

impl<I: Bits> System<I> {
    /// No equations yet: every `k` of `variables` bits is a solution.
    pub fn new(variables: usize) -> Self {
        Self { variables, rows: Vec::new() }
    }

    /// Adds an equation; false, and no change, when it contradicts the others.
    pub fn require(&mut self, functional: I, bit: bool) -> bool {
        let (mut f, mut b) = (functional, bit);
        for &(pivot, g, c) in &self.rows {
            if f.bit(pivot) {
                f ^= g;
                b ^= c;
            }
        }
        let Some(pivot) = lowest(f) else { return !b };
        for row in &mut self.rows {
            if row.1.bit(pivot) {
                row.1 ^= f;
                row.2 ^= b;
            }
        }
        self.rows.push((pivot, f, b));
        true
    }

    /// Dimension of the space of solutions.
    pub fn dimension(&self) -> usize {
        self.variables - self.rows.len()
    }

    /// Both systems together, or `None` when they contradict each other.
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        let mut both = self.clone();
        other.rows.iter().all(|&(_, f, b)| both.require(f, b)).then_some(both)
    }

    /// Calls `visit` with each of the `2^dimension` solutions.
    pub fn solutions(&self, mut visit: impl FnMut(I)) {
        let pivot_bits = |wanted: &dyn Fn(&(usize, I, bool)) -> bool| {
            I::from_positions(self.rows.iter().filter(|row| wanted(row)).map(|row| row.0))
        };
        let first = pivot_bits(&|row| row.2);
        let directions: Vec<I> = (0..self.variables)
            .filter(|&i| self.rows.iter().all(|row| row.0 != i))
            .map(|i| I::unit(i) | pivot_bits(&|row| row.1.bit(i)))
            .collect();
        for choice in 0..1_u64 << directions.len() {
            visit(first ^ combine(&directions, I::from_low(choice)));
        }
    }
}

/// Position of the lowest bit that is set.
pub fn lowest<I: Bits>(k: I) -> Option<usize> {
    (0..I::WIDTH / 64).map(|i| (i, k.word(i))).find(|w| w.1 != 0).map(|(i, w)| 64 * i + w.trailing_zeros() as usize)
}

/// XOR of the vectors selected by the bits of `k`.
#[inline]
pub fn combine<I: Bits>(vectors: &[I], k: I) -> I {
    let mut out = I::zero();
    k.for_each_one(|i| out ^= vectors[i]);
    out
}

/// Columns of the inverse of the matrix with the given columns, or `None` when it is singular.
pub fn invert<I: Bits>(columns: &[I]) -> Option<Vec<I>> {
    // Column operations on [A; I] until A is the identity.
    let n = columns.len();
    let mut a = columns.to_vec();
    let mut inverse: Vec<I> = (0..n).map(I::unit).collect();
    for bit in 0..n {
        let pivot = (bit..n).find(|&j| a[j].bit(bit))?;
        a.swap(bit, pivot);
        inverse.swap(bit, pivot);
        let (value, image) = (a[bit], inverse[bit]);
        for (j, (a, inverse)) in a.iter_mut().zip(&mut inverse).enumerate() {
            let on = a.bit(bit) && j != bit;
            *a ^= value.when(on);
            *inverse ^= image.when(on);
        }
    }
    Some(inverse)
}

/// Rows of an `n × n` matrix from its columns, and the other way round.
pub fn transpose<I: Bits>(columns: &[I]) -> Vec<I> {
    let mut rows = vec![I::zero(); columns.len()];
    for (j, column) in columns.iter().enumerate() {
        column.for_each_one(|i| rows[i] |= I::unit(j));
    }
    rows
}

/// Of these vectors the first that are independent, by position.
pub fn independent<I: Bits>(vectors: &[I]) -> Vec<usize> {
    let mut echelon: Vec<(usize, I)> = Vec::new();
    let mut out = Vec::new();
    for (at, &v) in vectors.iter().enumerate() {
        let rest = echelon.iter().fold(v, |v, &(pivot, row)| if v.bit(pivot) { v ^ row } else { v });
        if let Some(pivot) = lowest(rest) {
            echelon.push((pivot, rest));
            out.push(at);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::bits::{Wide, low_bits};
    use samplewise_linalg::random::Streams;

    fn check<I: Bits>(n: usize) {
        let mut rng = Streams::new(n as u64).stream(0);
        let r = Invertible::<I>::random(n, &mut rng);
        for _ in 0..50 {
            let (k, z) = (I::random(n, &mut rng), I::random(n, &mut rng));
            assert_eq!(r.apply_inverse(r.apply(k)), k);
            assert_eq!(r.apply_transpose(z).parity(k), z.parity(r.apply(k)));
            assert_eq!(r.apply(k), combine(r.columns(), k));
            assert!((0..n).all(|i| r.apply(k).bit(i) == r.row(i).parity(k)));
        }
    }

    #[test]
    fn the_inverse_inverts_and_the_transpose_is_adjoint() {
        [1, 2, 7, 20, 63, 64].into_iter().for_each(check::<u64>);
        [65, 128, 200].into_iter().for_each(check::<Wide<4>>);
    }

    #[test]
    fn a_system_has_exactly_the_solutions_of_its_equations() {
        for seed in 0..50 {
            let mut rng = Streams::new(seed).stream(1);
            let equations: Vec<(u64, bool)> =
                (0..seed % 7).map(|_| (u64::random(6, &mut rng), rng.next_u64() & 1 == 1)).collect();
            let mut system = System::new(6);
            let consistent = equations.iter().all(|&(f, b)| system.require(f, b));
            let expected: Vec<u64> =
                (0..=low_bits(6)).filter(|&k| equations.iter().all(|&(f, b)| f.parity(k) == b)).collect();
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
        assert_eq!(invert(&[0b01_u64, 0b01]), None);
        assert_eq!(independent(&[0b11_u64, 0b01, 0b10, 0b100]), [0, 1, 3]);
    }
}
