//! Counter-based randomness: every task draws from its own stream, named by a number, so that results depend neither on
//! the number of threads nor on the order of work.
//!
//! xoshiro256++ is used by name: `StdRng` may change between releases, and results of ours are stored.
use rand::{Rng, SeedableRng};
pub use rand_xoshiro::Xoshiro256PlusPlus as StreamRng;

/// A family of independent streams derived from one seed.
///
/// ```
/// use rand::Rng;
/// use samplewise_linalg::random::Streams;
/// let streams = Streams::new(7);
/// assert_eq!(streams.stream(3).next_u64(), streams.stream(3).next_u64());
/// assert_ne!(streams.stream(3).next_u64(), streams.stream(4).next_u64());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    seed: u64,
}

impl Streams {
    /// The family of the given seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Draws the seed of a family from a caller's generator.
    pub fn from_rng<R: Rng + ?Sized>(rng: &mut R) -> Self {
        Self { seed: rng.next_u64() }
    }

    /// The seed from which all streams are derived.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Stream number `id`.
    pub fn stream(&self, id: u64) -> StreamRng {
        StreamRng::seed_from_u64(mix(self.seed, id))
    }

    /// 64 bits that belong to `id`: the same for any order, sharding or thread count.
    #[inline]
    pub fn bits(&self, id: u64) -> u64 {
        mix(self.seed, id)
    }

    /// A number in `[0, 1)` that belongs to `id`: the same for any order, sharding or thread count.
    pub fn uniform(&self, id: u64) -> f64 {
        unit(mix(self.seed, id))
    }

    /// A family of families, for a stage that has tasks of its own.
    #[must_use]
    pub fn child(&self, id: u64) -> Streams {
        Streams { seed: mix(self.seed ^ 0x5851_f42d_4c95_7f2d, id) }
    }
}

/// The 53 upper bits of `x` as a number in `[0, 1)`.
#[inline]
pub fn unit(x: u64) -> f64 {
    (x >> 11) as f64 * (-53_f64).exp2()
}

/// Uniform in `[0, 1)`.
#[inline]
pub fn uniform<R: Rng + ?Sized>(rng: &mut R) -> f64 {
    unit(rng.next_u64())
}

/// Uniform in `0..bound` without bias, by rejection.
///
/// # Panics
/// When `bound` is zero.
pub fn below<R: Rng + ?Sized>(rng: &mut R, bound: usize) -> usize {
    assert!(bound > 0, "no number is below zero");
    let bound = bound as u64;
    let zone = u64::MAX - u64::MAX % bound;
    loop {
        let x = rng.next_u64();
        if x < zone {
            return (x % bound) as usize;
        }
    }
}

/// Standard normal by Box and Muller: two draws, one value.
pub fn normal<R: Rng + ?Sized>(rng: &mut R) -> f64 {
    let radius = (-2.0 * (1.0 - uniform(rng)).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform(rng)).cos()
}

/// Shuffles in place (Fisher and Yates).
pub fn shuffle<T, R: Rng + ?Sized>(rng: &mut R, items: &mut [T]) {
    for i in (1..items.len()).rev() {
        items.swap(i, below(rng, i + 1));
    }
}

/// Finaliser of splitmix64 over seed and counter.
#[inline]
fn mix(seed: u64, id: u64) -> u64 {
    let mut z = seed.wrapping_add(id.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values are part of the contract: plans and coresets are stored by seed.
    #[test]
    fn streams_are_pinned() {
        let s = Streams::new(0);
        assert_eq!(mix(0, 0), 0xe220_a839_7b1d_cdaf);
        let mean = (0..4096).map(|i| s.uniform(i)).sum::<f64>() / 4096.0;
        assert!((mean - 0.5).abs() < 6.0 / (12.0 * 4096.0_f64).sqrt(), "six standard errors: {mean}");
    }

    #[test]
    fn normals_have_unit_variance() {
        let mut rng = Streams::new(1).stream(0);
        let n = 20_000;
        let x: Vec<f64> = (0..n).map(|_| normal(&mut rng)).collect();
        let variance = x.iter().map(|v| v * v).sum::<f64>() / f64::from(n);
        assert!((variance - 1.0).abs() < 6.0 * (2.0 / f64::from(n)).sqrt(), "{variance}");
    }
}
