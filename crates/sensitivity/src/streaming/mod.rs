//! Coresets of rows that come in blocks, in one pass, from any number of shards (row SEN-14).
//!
//! Rows have numbers. A shard is told the number of the first row of each block it gets; blocks may have any size and come
//! in any order, and shards may be merged in any order, also after a trip through bytes: the coreset has the same rows and
//! the same weights, bit for bit. Two things make it so. Rows are gathered into leaves of fixed numbers, and what is
//! computed of leaves is combined as [`samplewise_linalg::forest`] says, in an order that depends on their numbers alone.
//! And what happens to a row is decided by the hash of its number.
//!
//! | method | how | result |
//! |---|---|---|
//! | leverage; root leverage for `p ≤ 2` | leverage only falls as rows are added: keep what the scores so far would keep, decide with the final ones | that of [`crate::Coreset::with_rate`] on all rows at once, bit for bit up to condition 1e5; columns may depend on others exactly |
//! | uniform | the same with probability `size/n` | the same |
//! | Lewis, any `p` | merge and reduce: each leaf and each union of two is sampled down to `size` rows | a coreset of a coreset: distortion `(1 + ε)^{levels} − 1` for `ε` of one sample of `size` rows |
mod bytes;
mod candidates;
mod decide;
mod keyed;
mod reduce;

use std::collections::BTreeMap;

use samplewise_linalg::{LinalgError, Matrix, MatrixView, Summary};

use crate::Error;
use crate::power::check_exponent;
use crate::scores::Method;
use decide::Decide;
pub use keyed::{KeyedCoreset, KeyedRows};
use reduce::Reduce;

/// What a stream is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct StreamOptions {
    /// Exponent, 1 to 64.
    pub p: f64,
    /// [`Method::Lewis`], [`Method::Leverage`], [`Method::RootLeverage`] (`p ≤ 2`) or [`Method::Uniform`].
    pub method: Method,
    /// Bound of the expected number of rows: the rate of leverage methods is `size/(n^{1−p/2}·d^{p/2})`, of the rows and
    /// columns seen (`p = 2` for plain leverage).
    pub size: usize,
    /// Seed of the row hash.
    pub seed: u64,
}

/// The coreset at the end, with its rows: the stream has passed.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct StreamedCoreset {
    /// Row numbers, ascending.
    pub rows: Vec<u64>,
    /// Weight of the loss of each.
    pub weights: Vec<f64>,
    /// The rows themselves, unweighted.
    pub data: Matrix,
    /// Number of rows that were seen.
    pub seen: u64,
    /// Numerical rank; for Lewis that of the last sample.
    pub rank: usize,
    /// Directions of the rows seen that no row of the coreset has (row SEN-20): root leverage may drop the only row that knows a column.
    /// Where it is not zero the coreset says nothing about these directions. Lewis weights draw a sample again that has lost
    /// one.
    pub rank_lost: usize,
    /// Condition number of the scaled columns. Leverage methods know their Gram matrix only: beyond 1e5 scores lose digits,
    /// and columns that depend on others nearly but not exactly may count as dependent.
    pub condition: f64,
    /// Sum of the scores of the rows kept, each over its probability: an unbiased estimate of the total (leverage methods).
    pub total: f64,
    /// Levels of merge and reduce; 0 where the result is that of all rows at once.
    pub levels: u32,
}

/// A block of rows with the number of its first.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// Number of the first row in the whole.
    pub first: u64,
    /// The rows of the block.
    pub rows: MatrixView<'a>,
}

/// A coreset in the making: see the module. Memory about `4·size` rows and `log₂(n/4096)` Gram matrices (leverage methods),
/// or `size·log₂(n/leaf)` rows (Lewis), whatever the number of rows. Leverage methods cannot give rows up where columns are
/// beyond condition 1e7 or depend on others to nine digits but not exactly: then memory grows with the rows (centre such
/// columns).
///
/// Rows SEN-14 and SEN-20 of `paper-refs.md`.
///
/// ```
/// use samplewise_sensitivity::{Block, Matrix, Method, StreamOptions, StreamingCoreset, Summary};
/// let options = StreamOptions { p: 1.0, method: Method::RootLeverage, size: 200, seed: 7 };
/// let table = Matrix::from_fn(30_000, 3, |i, j| ((i * (j + 3)) % 101) as f64 - 50.0);
/// let part = |from: usize, to: usize| table.select_rows(&(from..to).collect::<Vec<_>>());
/// let mut one = StreamingCoreset::new(3, &options)?;
/// one.update(Block { first: 0, rows: table.view() })?;
/// // Two machines, blocks that fit nothing, the second one first.
/// let (mut left, mut right) = (StreamingCoreset::new(3, &options)?, StreamingCoreset::new(3, &options)?);
/// left.update(Block { first: 0, rows: part(0, 12_345).view() })?;
/// right.update(Block { first: 20_000, rows: part(20_000, 30_000).view() })?;
/// right.update(Block { first: 12_345, rows: part(12_345, 20_000).view() })?;
/// let mut both = StreamingCoreset::from_bytes(&right.to_bytes())?;
/// both.merge(left)?;
/// assert_eq!(one.finish()?, both.finish()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct StreamingCoreset {
    options: StreamOptions,
    columns: usize,
    /// Rows seen, and one more than the largest number.
    seen: u64,
    end: u64,
    /// Runs of rows whose leaf is not complete, by the number of their first.
    runs: BTreeMap<u64, Vec<f64>>,
    state: State,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Decide(Decide),
    Reduce(Reduce),
}

/// Rows of a coreset, and numbers of rows.
const MAX_SIZE: usize = 1 << 30;
const MAX_ROWS: u64 = 1 << 62;

impl StreamingCoreset {
    /// An empty stream of rows with the given number of columns.
    ///
    /// # Errors
    /// [`Error::Argument`] (also root leverage beyond `p = 2`, methods that cannot
    /// be had in one pass), [`Error::Size`], [`Error::Data`].
    pub fn new(columns: usize, options: &StreamOptions) -> Result<Self, Error> {
        check_exponent(options.p)?;
        if columns == 0 {
            return Err(LinalgError::Empty { argument: "columns" }.into());
        }
        if options.size == 0 || options.size > MAX_SIZE {
            return Err(Error::Size { size: options.size, least: 1, rows: MAX_SIZE });
        }
        let state = match options.method {
            Method::Lewis => State::Reduce(Reduce::new(*options, columns)?),
            Method::Uniform | Method::Leverage => State::Decide(Decide::new(*options)),
            Method::RootLeverage if options.p <= 2.0 => State::Decide(Decide::new(*options)),
            Method::RootLeverage => {
                return Err(Error::argument("p", options.p, "1 to 2 for root leverage in a stream"));
            }
            Method::Sensitivity | Method::SensitivityPlusLeverage => return Err(Error::Stream),
        };
        Ok(Self { options: *options, columns, seen: 0, end: 0, runs: BTreeMap::new(), state })
    }

    /// Rows of a leaf: leaves begin at multiples of it. Shards that begin there keep fewer rows waiting.
    pub fn leaf(&self) -> u64 {
        match &self.state {
            State::Decide(_) => decide::LEAF,
            State::Reduce(r) => r.leaf(),
        }
    }

    /// Numbers of all rows that may still be in the coreset, ascending.
    pub fn held(&self) -> Vec<u64> {
        let waiting = self.runs.iter().flat_map(|(&s, run)| s..s + (run.len() / self.columns) as u64);
        let mut rows: Vec<u64> = match &self.state {
            State::Decide(d) => d.candidates.numbers.clone(),
            State::Reduce(r) => waiting.chain(r.rows()).collect(),
        };
        rows.sort_unstable();
        rows
    }

    /// Rows `[from, to)` that were seen, in no order.
    fn covered(&self) -> Vec<(u64, u64)> {
        let leaf = self.leaf();
        let runs = self.runs.iter().map(|(&s, run)| (s, s + (run.len() / self.columns) as u64));
        let node = |first: u64, level: u32| (first * leaf, (first + (1 << level)) * leaf);
        match &self.state {
            State::Decide(d) => runs.chain(d.grams.iter().map(|(s, l, _)| node(s, l))).collect(),
            State::Reduce(r) => runs.chain(r.parts.iter().map(|(s, l, _)| node(s, l))).collect(),
        }
    }

    /// Takes complete leaves out of a run that begins at `first`.
    fn settle(&mut self, first: u64) -> Result<(), LinalgError> {
        let (columns, leaf) = (self.columns, self.leaf());
        // Join with the neighbours.
        let mut first = first;
        let mut run = self.runs.remove(&first).unwrap_or_default();
        if let Some((&before, rows)) = self.runs.range(..first).next_back() {
            let end = before + (rows.len() / columns) as u64;
            if end > first {
                return Err(twice());
            }
            if end == first {
                let mut rows = self.runs.remove(&before).expect("just seen");
                rows.extend(run);
                (first, run) = (before, rows);
            }
        }
        let mut end = first + (run.len() / columns) as u64;
        if let Some((&next, _)) = self.runs.range(first..).next() {
            if next < end {
                return Err(twice());
            }
            if next == end {
                run.extend(self.runs.remove(&next).expect("just seen"));
                end = first + (run.len() / columns) as u64;
            }
        }
        let whole = first.next_multiple_of(leaf);
        if whole + leaf > end {
            self.runs.insert(first, run);
            return Ok(());
        }
        let at = |row: u64| (row - first) as usize * columns;
        let mut start = whole;
        let leaves: Vec<u64> = (whole..).step_by(leaf as usize).take_while(|l| l + leaf <= end).collect();
        for &l in &leaves {
            let rows = Matrix::from_vec(leaf as usize, columns, run[at(l)..at(l + leaf)].to_vec())?;
            match &mut self.state {
                State::Decide(d) => d.add(l / leaf, &rows)?,
                State::Reduce(r) => r.add(l / leaf, &rows).map_err(data)?,
            }
            start = l + leaf;
        }
        if start < end {
            self.runs.insert(start, run[at(start)..].to_vec());
        }
        run.truncate(at(whole));
        if !run.is_empty() {
            self.runs.insert(first, run);
        }
        Ok(())
    }
}

fn twice() -> LinalgError {
    LinalgError::Bytes { kind: "streaming coreset", reason: "rows with the same number were added twice" }
}

/// The facade's trait speaks of its own errors only.
fn data(e: Error) -> LinalgError {
    match e {
        Error::Data(e) => e,
        _ => LinalgError::NoConvergence { method: "scores of a leaf" },
    }
}

impl Summary for StreamingCoreset {
    type Input<'a> = Block<'a>;
    type Output = StreamedCoreset;

    fn update(&mut self, Block { first, rows }: Block<'_>) -> Result<(), LinalgError> {
        if rows.columns() != self.columns {
            let expected = format!("{} columns", self.columns);
            return Err(LinalgError::Shape { argument: "rows", rows: rows.rows(), columns: rows.columns(), expected });
        }
        rows.check_finite("rows")?;
        if rows.rows() == 0 {
            return Ok(());
        }
        let n = rows.rows() as u64;
        let end = first.checked_add(n).filter(|e| *e <= MAX_ROWS);
        let end = end.ok_or(LinalgError::Bytes { kind: "streaming coreset", reason: "row numbers beyond 2^62" })?;
        let taken = self.runs.range(..end).next_back();
        if taken.is_some_and(|(s, run)| s + (run.len() / self.columns) as u64 > first) {
            return Err(twice());
        }
        let leaf = self.leaf();
        let finished = |block: u64| match &self.state {
            State::Decide(d) => d.grams.contains(block),
            State::Reduce(r) => r.parts.contains(block),
        };
        if (first / leaf..=(end - 1) / leaf).any(finished) {
            return Err(twice());
        }
        if let State::Decide(d) = &mut self.state {
            d.consider(first, rows);
        }
        self.seen += n;
        self.end = self.end.max(end);
        self.runs.insert(first, rows.copy_to_matrix().into_vec());
        self.settle(first)?;
        if let State::Decide(d) = &mut self.state {
            d.thin(self.seen)?;
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<(), LinalgError> {
        if (other.columns, other.options) != (self.columns, self.options) {
            return Err(LinalgError::Bytes { kind: "streaming coreset", reason: "columns or options differ" });
        }
        // Nothing is changed when the two do not go together.
        let mut covered = self.covered();
        covered.extend(other.covered());
        covered.sort_unstable();
        if covered.windows(2).any(|w| w[1].0 < w[0].1) {
            return Err(twice());
        }
        self.seen += other.seen;
        self.end = self.end.max(other.end);
        match (&mut self.state, other.state) {
            (State::Decide(d), State::Decide(o)) => d.merge(o)?,
            (State::Reduce(r), State::Reduce(o)) => r.merge(o).map_err(data)?,
            _ => return Err(LinalgError::Bytes { kind: "streaming coreset", reason: "methods differ" }),
        }
        for (first, run) in other.runs {
            if self.runs.insert(first, run).is_some() {
                return Err(twice());
            }
            self.settle(first)?;
        }
        if let State::Decide(d) = &mut self.state {
            d.thin(self.seen)?;
        }
        Ok(())
    }

    fn to_bytes(&self) -> Vec<u8> {
        bytes::write(self)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, LinalgError> {
        bytes::read(bytes)
    }

    /// The coreset of rows `0..n`.
    ///
    /// # Errors
    /// [`LinalgError::Empty`] without rows; [`LinalgError::Bytes`] when a row before the last one never came.
    fn finish(self) -> Result<StreamedCoreset, LinalgError> {
        if self.seen == 0 {
            return Err(LinalgError::Empty { argument: "stream" });
        }
        let leaf = self.leaf();
        let mut rest = self.runs.into_iter();
        let last = rest.next();
        let fits = last
            .as_ref()
            .is_none_or(|(s, run)| s.is_multiple_of(leaf) && s + (run.len() / self.columns) as u64 == self.end);
        if self.seen != self.end || !fits || rest.next().is_some() {
            return Err(LinalgError::Bytes {
                kind: "complete stream of rows",
                reason: "rows are missing before the last one",
            });
        }
        let last = match last {
            Some((s, run)) => Some((s / leaf, Matrix::from_vec(run.len() / self.columns, self.columns, run)?)),
            None => None,
        };
        match self.state {
            State::Decide(d) => d.finish(last, self.seen),
            State::Reduce(r) => r.finish(last, self.seen).map_err(data),
        }
    }
}
