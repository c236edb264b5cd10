//! Stage 2 with noise: what might be in a bin. A list only proposes; [`crate::decode::joint`] disposes.
//!
//! | lists | candidates | made from |
//! |---|---|---|
//! | [`OrderedStatistics`] | all `2ⁿ` | the most reliable independent signs of the bin, and flips among them |
//! | [`Exhaustive`] | a set that can be written down, up to `2·10⁷` | every candidate of the bin, scored |
//! | [`Bch`] | at most `t` variables | the signs as a BCH syndrome, and flips of the least reliable |
use crate::field::bits::Bits;

mod bch;
mod exhaustive;
mod ordered_statistics;

pub use bch::{Bch, bch_group, bch_rank};
pub use exhaustive::{Exhaustive, MAX_CANDIDATES, count_up_to_degree, for_each_up_to_degree};
pub use ordered_statistics::OrderedStatistics;

/// Proposes coefficients of a bin.
///
/// Row WHT-13 of `paper-refs.md`.
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
    limit: f64,
    kept: Vec<(f64, I)>,
}

impl<I: Copy + Ord> Best<I> {
    pub(crate) fn new(length: usize) -> Self {
        Self { length, limit: f64::INFINITY, kept: Vec::with_capacity(length + 1) }
    }

    /// The cost above which nothing is kept.
    #[inline]
    pub(crate) fn worst(&self) -> f64 {
        self.limit
    }

    /// Offers an item of the given cost; lower is better.
    #[inline]
    pub(crate) fn offer(&mut self, cost: f64, item: I) {
        if cost <= self.limit {
            self.insert(cost, item);
        }
    }

    #[cold]
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
        if self.kept.len() == self.length {
            self.limit = self.kept[self.length - 1].0;
        }
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
                    let mut v = [0.0_f32; 8];
                    v.iter_mut().zip(part).for_each(|(v, y)| *v = y.abs() as f32);
                    let (low, high) = (nibble([v[0], v[1], v[2], v[3]]), nibble([v[4], v[5], v[6], v[7]]));
                    let mut table = [0.0; 256];
                    for (row, h) in table.as_chunks_mut::<16>().0.iter_mut().zip(high) {
                        for i in 0..16 {
                            row[i] = h + low[i];
                        }
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

/// All sums of four numbers, by the bits of their mask.
#[inline]
fn nibble([a, b, c, d]: [f32; 4]) -> [f32; 16] {
    let two = [0.0, a, b, a + b];
    let mut out = [0.0; 16];
    for i in 0..4 {
        (out[i], out[4 + i], out[8 + i], out[12 + i]) = (two[i], two[i] + c, two[i] + d, two[i] + c + d);
    }
    out
}
