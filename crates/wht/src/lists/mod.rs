//! Stage 2 with noise: what might be in a bin. A list only proposes; [`crate::joint`] disposes.
//!
//! | lists | candidates | made from |
//! |---|---|---|
//! | [`OrderedStatistics`] | all `2ⁿ` | the most reliable independent signs of the bin, and flips among them |
//! | [`Exhaustive`] | a set that can be written down, up to `10⁷` | every candidate of the bin, scored |
//! | [`Bch`] | at most `t` variables | the signs as a BCH syndrome, and flips of the least reliable |
use crate::bits::Bits;

mod bch;
mod exhaustive;
mod ordered_statistics;

pub use bch::{Bch, bch_group, bch_rank};
pub use exhaustive::{Exhaustive, MAX_CANDIDATES, count_up_to_degree, for_each_up_to_degree};
pub use ordered_statistics::OrderedStatistics;

/// Proposes coefficients of a bin.
///
/// Implementations must be deterministic: what they return may depend on their arguments alone.
pub trait Lists<I: Bits>: Sync {
    /// Up to `length` indices that may be in bin `bin` of group `group`, whose residual under each offset is `y`; best
    /// first. A larger `effort` looks further.
    fn list(&self, group: usize, bin: usize, y: &[f64], effort: usize, length: usize) -> Vec<I>;

    /// The largest effort that finds more than the one before.
    fn most_effort(&self) -> usize;
}

/// The best of what was offered: `length` distinct items by score, ties by item.
pub(crate) struct Best<I> {
    length: usize,
    kept: Vec<(f64, I)>,
}

impl<I: Copy + Ord> Best<I> {
    pub(crate) fn new(length: usize) -> Self {
        Self { length, kept: Vec::with_capacity(length + 1) }
    }

    /// The cost above which nothing is kept.
    #[inline]
    pub(crate) fn worst(&self) -> f64 {
        if self.kept.len() < self.length { f64::INFINITY } else { self.kept.last().map_or(f64::INFINITY, |b| b.0) }
    }

    /// Offers an item of the given cost; lower is better.
    #[inline]
    pub(crate) fn offer(&mut self, cost: f64, item: I) {
        if cost <= self.worst() {
            self.insert(cost, item);
        }
    }

    fn insert(&mut self, cost: f64, item: I) {
        if let Some(at) = self.kept.iter().position(|b| b.1 == item) {
            if self.kept[at].0 <= cost {
                return;
            }
            self.kept.remove(at);
        }
        let at = self.kept.partition_point(|b| b.0 < cost || (b.0 == cost && b.1 < item));
        self.kept.insert(at, (cost, item));
        self.kept.truncate(self.length);
    }

    pub(crate) fn into_items(self) -> Vec<I> {
        self.kept.into_iter().map(|b| b.1).collect()
    }
}

/// Sums of `|y_p|` over a bit mask, a byte at a time.
pub(crate) struct Tables(Vec<[f32; 256]>);

impl Tables {
    /// Tables of up to 128 entries. `f32`: lists need an order, not a value.
    pub(crate) fn new(y: &[f64]) -> Self {
        Self(
            y.chunks(8)
                .map(|part| {
                    let mut table = [0.0; 256];
                    for (bit, v) in part.iter().enumerate() {
                        let (known, new) = table.split_at_mut(1 << bit);
                        new.iter_mut().zip(known).for_each(|(n, k)| *n = *k + v.abs() as f32);
                    }
                    table
                })
                .collect(),
        )
    }

    /// The sum over the bits of `word`, which has none beyond the entries.
    #[inline]
    pub(crate) fn cost(&self, mut word: u128) -> f32 {
        let mut sum = 0.0;
        for table in &self.0 {
            sum += table[(word & 255) as usize];
            word >>= 8;
        }
        sum
    }

    /// The same for up to 64 entries.
    #[inline]
    pub(crate) fn cost_of_word(&self, mut word: u64) -> f32 {
        let mut sum = 0.0;
        for table in &self.0 {
            sum += table[(word & 255) as usize];
            word >>= 8;
        }
        sum
    }
}
