//! Rows that a pass brings to the driver.
use std::cmp::Ordering;

use samplewise_linalg::LinalgError;
use samplewise_linalg::envelope::{Reader, Writer};
use samplewise_linalg::random::Streams;

use super::question::Band;

/// Beyond, only rows with the same key are left.
const MOST_HALVINGS: u32 = 60;

/// Rows with their keys and their spread.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Kept {
    pub keys: Vec<u64>,
    pub spreads: Vec<f64>,
    /// Row after row, the target last.
    pub data: Vec<f64>,
    /// How often the rate was halved because there were too many.
    pub halvings: u32,
}

impl Kept {
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn push(&mut self, key: u64, spread: f64, row: &[f64]) {
        self.keys.push(key);
        self.spreads.push(spread);
        self.data.extend_from_slice(row);
    }

    /// Adds others, of as many halvings or fewer than there will be.
    pub fn extend(&mut self, other: Self) {
        self.keys.extend(other.keys);
        self.spreads.extend(other.spreads);
        self.data.extend(other.data);
        self.halvings = self.halvings.max(other.halvings);
    }

    pub fn row(&self, i: usize) -> &[f64] {
        let width = self.data.len() / self.keys.len();
        &self.data[i * width..(i + 1) * width]
    }

    /// Halves the rate until at most `most` rows are left. Whatever the order of parts and merges the same rows are left in the
    /// end: a part that has too many at some rate makes the whole have too many at it.
    pub fn thin(&mut self, band: &Band) {
        if self.halvings == 0 && self.len() <= band.most {
            return;
        }
        let hash = Streams::new(band.seed);
        loop {
            let lucky = |i: usize| hash.uniform(self.keys[i]) < band.probability(self.spreads[i], self.halvings);
            let chosen: Vec<usize> = (0..self.len()).filter(|&i| lucky(i)).collect();
            if chosen.len() < self.len() {
                *self = self.select(&chosen);
            }
            // Rows whose keys are all the same share their luck: the driver sees how many there are.
            if self.len() <= band.most || self.halvings >= MOST_HALVINGS {
                return;
            }
            self.halvings += 1;
        }
    }

    pub fn select(&self, rows: &[usize]) -> Self {
        Self {
            keys: rows.iter().map(|&i| self.keys[i]).collect(),
            spreads: rows.iter().map(|&i| self.spreads[i]).collect(),
            data: rows.iter().flat_map(|&i| self.row(i)).copied().collect(),
            halvings: self.halvings,
        }
    }

    /// By key, those of one key by their entries.
    pub fn sorted(self) -> Self {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_unstable_by(|&i, &j| self.compare(i, &self, j));
        self.select(&order)
    }

    pub fn compare(&self, i: usize, other: &Self, j: usize) -> Ordering {
        let entries = || {
            self.row(i)
                .iter()
                .zip(other.row(j))
                .map(|(x, y)| x.total_cmp(y))
                .find(|o| o.is_ne())
                .unwrap_or(Ordering::Equal)
        };
        self.keys[i].cmp(&other.keys[j]).then_with(entries)
    }

    /// The rows that others, which are sorted, do not hold.
    pub fn without(&self, others: &Self) -> Self {
        let held = |i: usize| {
            let (mut low, mut high) = (0, others.len());
            while low < high {
                let middle = usize::midpoint(low, high);
                match others.compare(middle, self, i) {
                    Ordering::Less => low = middle + 1,
                    Ordering::Greater => high = middle,
                    Ordering::Equal => return true,
                }
            }
            false
        };
        self.select(&(0..self.len()).filter(|&i| !held(i)).collect::<Vec<_>>())
    }

    pub fn write(&self, out: &mut Writer) {
        out.count(self.len());
        self.keys.iter().for_each(|&key| out.word(key));
        out.numbers(&self.spreads);
        out.numbers(&self.data);
        out.word(u64::from(self.halvings));
    }

    pub fn read(width: usize, r: &mut Reader<'_>) -> Result<Self, LinalgError> {
        let count = r.length(8)?;
        let keys = (0..count).map(|_| r.word()).collect::<Result<_, _>>()?;
        let (spreads, data) = (r.numbers()?, r.numbers()?);
        let halvings = u32::try_from(r.word()?)
            .ok()
            .filter(|h| *h <= MOST_HALVINGS)
            .ok_or_else(|| r.bad("a rate is not allowed"))?;
        let fits = spreads.len() == count && count.checked_mul(width) == Some(data.len());
        if !fits || !spreads.iter().chain(&data).all(|v| v.is_finite()) {
            return Err(r.bad("its rows have the wrong length, or are not finite"));
        }
        Ok(Self { keys, spreads, data, halvings })
    }
}
