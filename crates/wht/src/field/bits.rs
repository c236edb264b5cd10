//! Vectors over F₂ as machine words: queries `m`, indices `k` and offsets `e` alike.
//!
//! `u64` serves up to 64 variables and is what every call uses unless told otherwise; [`Wide`] serves any number, 64 per
//! word. The trait is sealed: its methods may grow.
use std::fmt::Debug;
use std::hash::Hash;
use std::ops::{BitAnd, BitOr, BitOrAssign, BitXor, BitXorAssign};

use rand::Rng;

/// A vector over F₂ of a fixed number of bits; bit `i` is variable `i`.
pub trait Bits:
    Copy
    + Eq
    + Ord
    + Hash
    + Debug
    + Default
    + Send
    + Sync
    + BitXor<Output = Self>
    + BitXorAssign
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + BitOrAssign
    + sealed::Sealed
    + 'static
{
    /// Number of bits.
    const WIDTH: usize;

    /// Calls `visit` with every word, lowest first.
    fn for_each_word(self, visit: impl FnMut(u64));

    /// Word `i`, lowest first.
    fn word(self, i: usize) -> u64;

    /// The vector with word `i` set to `word` and all else zero.
    fn from_word_at(word: u64, i: usize) -> Self;

    /// Bits moved up by `by < WIDTH`; what leaves is lost.
    #[must_use]
    fn up(self, by: usize) -> Self;

    /// Bits moved down by `by < WIDTH`; what leaves is lost.
    #[must_use]
    fn down(self, by: usize) -> Self;

    /// `⟨self, other⟩` over F₂.
    fn parity(self, other: Self) -> bool;

    /// Number of bits set.
    fn weight(self) -> usize;

    /// Itself, or zero; without a branch.
    #[must_use]
    fn when(self, on: bool) -> Self;

    /// No bit set.
    #[inline]
    fn zero() -> Self {
        Self::default()
    }

    /// True when no bit is set.
    #[inline]
    fn is_zero(self) -> bool {
        self == Self::default()
    }

    /// Only bit `i`.
    #[inline]
    fn unit(i: usize) -> Self {
        Self::from_word_at(1 << (i % 64), i / 64)
    }

    /// Bit `i`.
    #[inline]
    fn bit(self, i: usize) -> bool {
        self.word(i / 64) >> (i % 64) & 1 == 1
    }

    /// The lowest 64 bits.
    #[inline]
    fn low(self) -> u64 {
        self.word(0)
    }

    /// These 64 bits as the lowest.
    #[inline]
    fn from_low(word: u64) -> Self {
        Self::from_word_at(word, 0)
    }

    /// The `n ≤ WIDTH` lowest bits set.
    fn ones(n: usize) -> Self {
        (0..n.div_ceil(64)).fold(Self::zero(), |out, i| out | Self::from_word_at(low_bits((n - 64 * i).min(64)), i))
    }

    /// Uniformly random in the `n` lowest bits.
    fn random<R: Rng + ?Sized>(n: usize, rng: &mut R) -> Self {
        let all = (0..n.div_ceil(64)).fold(Self::zero(), |out, i| out | Self::from_word_at(rng.next_u64(), i));
        all & Self::ones(n)
    }

    /// Calls `visit` with the positions of the bits that are set, ascending.
    #[inline]
    fn for_each_one(self, mut visit: impl FnMut(usize)) {
        let mut base = 0;
        self.for_each_word(|mut word| {
            while word != 0 {
                visit(base + word.trailing_zeros() as usize);
                word &= word - 1;
            }
            base += 64;
        });
    }

    /// Positions of the bits that are set, ascending.
    fn positions(self) -> Vec<usize> {
        let mut out = Vec::with_capacity(self.weight());
        self.for_each_one(|i| out.push(i));
        out
    }

    /// The vector with these bits set.
    fn from_positions(positions: impl IntoIterator<Item = usize>) -> Self {
        positions.into_iter().fold(Self::zero(), |out, i| out | Self::unit(i))
    }
}

/// The `n ≤ 64` lowest bits of a word.
#[inline]
pub fn low_bits(n: usize) -> u64 {
    if n >= 64 { u64::MAX } else { (1 << n) - 1 }
}

impl Bits for u64 {
    const WIDTH: usize = 64;

    #[inline]
    fn for_each_word(self, mut visit: impl FnMut(u64)) {
        visit(self);
    }

    #[inline]
    fn word(self, i: usize) -> u64 {
        if i == 0 { self } else { 0 }
    }

    #[inline]
    fn from_word_at(word: u64, i: usize) -> Self {
        assert_eq!(i, 0, "a vector of 64 bits has one word");
        word
    }

    #[inline]
    fn up(self, by: usize) -> Self {
        self << by
    }

    #[inline]
    fn down(self, by: usize) -> Self {
        self >> by
    }

    #[inline]
    fn parity(self, other: Self) -> bool {
        (self & other).count_ones() % 2 == 1
    }

    #[inline]
    fn weight(self) -> usize {
        self.count_ones() as usize
    }

    #[inline]
    fn when(self, on: bool) -> Self {
        self & u64::from(on).wrapping_neg()
    }
}

/// A vector of `64·W` bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Wide<const W: usize>(pub [u64; W]);

impl<const W: usize> Bits for Wide<W> {
    const WIDTH: usize = 64 * W;

    #[inline]
    fn for_each_word(self, visit: impl FnMut(u64)) {
        self.0.into_iter().for_each(visit);
    }

    #[inline]
    fn word(self, i: usize) -> u64 {
        self.0[i]
    }

    #[inline]
    fn from_word_at(word: u64, i: usize) -> Self {
        let mut out = Self::default();
        out.0[i] = word;
        out
    }

    fn up(self, by: usize) -> Self {
        let (words, bits) = (by / 64, by % 64);
        let mut out = Self::default();
        for i in words..W {
            let low = if bits > 0 && i > words { self.0[i - words - 1] >> (64 - bits) } else { 0 };
            out.0[i] = self.0[i - words] << bits | low;
        }
        out
    }

    fn down(self, by: usize) -> Self {
        let (words, bits) = (by / 64, by % 64);
        let mut out = Self::default();
        for i in 0..W - words {
            let high = if bits > 0 && i + words + 1 < W { self.0[i + words + 1] << (64 - bits) } else { 0 };
            out.0[i] = self.0[i + words] >> bits | high;
        }
        out
    }

    #[inline]
    fn parity(self, other: Self) -> bool {
        let folded = self.0.iter().zip(&other.0).fold(0, |x, (a, b)| x ^ (a & b));
        folded.count_ones() % 2 == 1
    }

    #[inline]
    fn weight(self) -> usize {
        self.0.iter().map(|w| w.count_ones() as usize).sum()
    }

    #[inline]
    fn when(mut self, on: bool) -> Self {
        self.0.iter_mut().for_each(|w| *w = w.when(on));
        self
    }
}

impl<const W: usize> Default for Wide<W> {
    fn default() -> Self {
        Self([0; W])
    }
}

/// As numbers: the highest word decides first.
impl<const W: usize> Ord for Wide<W> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.iter().rev().cmp(other.0.iter().rev())
    }
}

impl<const W: usize> PartialOrd for Wide<W> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<const W: usize> Debug for Wide<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.positions()).finish()
    }
}

macro_rules! word_by_word {
    ($($trait:ident $method:ident $assign_trait:ident $assign:ident),*) => {$(
        impl<const W: usize> $trait for Wide<W> {
            type Output = Self;
            #[inline]
            fn $method(mut self, other: Self) -> Self {
                self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a = $trait::$method(*a, b));
                self
            }
        }
        impl<const W: usize> $assign_trait for Wide<W> {
            #[inline]
            fn $assign(&mut self, other: Self) {
                *self = $trait::$method(*self, other);
            }
        }
    )*};
}
word_by_word!(BitXor bitxor BitXorAssign bitxor_assign, BitAnd bitand BitAndAssign bitand_assign, BitOr bitor BitOrAssign bitor_assign);
use std::ops::BitAndAssign;

mod sealed {
    /// Keeps [`super::Bits`] closed, so that methods can be added without a breaking change.
    pub trait Sealed {}
    impl Sealed for u64 {}
    impl<const W: usize> Sealed for super::Wide<W> {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use samplewise_linalg::random::Streams;

    /// One word and four words do the same to 64 bits, and moves across words lose nothing that stays inside.
    #[test]
    fn wide_vectors_behave_as_words() {
        let mut rng = Streams::new(1).stream(0);
        for _ in 0..200 {
            let (a, b) = (u64::random(64, &mut rng), u64::random(64, &mut rng));
            let (wide_a, wide_b) = (Wide::<4>::from_low(a), Wide::<4>::from_low(b));
            assert_eq!(a.parity(b), wide_a.parity(wide_b));
            assert_eq!(a.weight(), wide_a.weight());
            assert_eq!(a.positions(), wide_a.positions());
            assert_eq!(a.cmp(&b), wide_a.cmp(&wide_b));
            assert_eq!((wide_a ^ wide_b).low(), a ^ b);
            for by in [0, 1, 63, 64, 65, 130, 191] {
                let moved = wide_a.up(by);
                assert!(moved.positions().into_iter().eq(a.positions().into_iter().map(|i| i + by)));
                assert_eq!(moved.down(by), wide_a);
            }
        }
        assert_eq!(Wide::<3>::ones(130).weight(), 130);
        assert_eq!(Wide::<3>::random(130, &mut rng).down(130), Wide::zero());
        assert_eq!(u64::ones(64), u64::MAX);
    }
}
