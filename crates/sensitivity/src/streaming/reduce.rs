//! Merge and reduce by Lewis weights.
use samplewise_linalg::forest::Forest;
use samplewise_linalg::random::Streams;
use samplewise_linalg::{LinalgError, Matrix, gram};

use super::candidates::rank_lost;
use super::{StreamOptions, StreamedCoreset};
use crate::options::ScoreOptions;
use crate::power::Power;
use crate::scores::{Method, scores};
use crate::{Coreset, Error};

/// Rows with the weights that they stand for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) numbers: Vec<u64>,
    pub(super) weights: Vec<f64>,
    pub(super) data: Matrix,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reduce {
    pub(super) options: StreamOptions,
    pub(super) parts: Forest<Part>,
}

impl Reduce {
    pub(super) fn new(options: StreamOptions, columns: usize) -> Result<Self, Error> {
        if options.size <= columns {
            return Err(Error::Size { size: options.size, least: columns + 1, rows: super::MAX_SIZE });
        }
        Ok(Self { options, parts: Forest::default() })
    }

    /// Four samples, in whole blocks.
    pub(super) fn leaf(&self) -> u64 {
        (self.options.size as u64).saturating_mul(4).next_multiple_of(gram::BLOCK as u64)
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = u64> {
        self.parts.iter().flat_map(|(_, _, p)| p.numbers.iter().copied())
    }

    pub(super) fn add(&mut self, leaf: u64, rows: &Matrix) -> Result<(), Error> {
        let part = reduce(&self.options, self.whole(leaf, rows), leaf, 0)?;
        self.insert(leaf, 0, part)
    }

    /// All rows of a leaf, with weight one.
    fn whole(&self, leaf: u64, rows: &Matrix) -> Part {
        let first = leaf * self.leaf();
        let numbers = (first..first + rows.rows() as u64).collect();
        Part { numbers, weights: vec![1.0; rows.rows()], data: rows.clone() }
    }

    fn insert(&mut self, first: u64, level: u32, part: Part) -> Result<(), Error> {
        let options = self.options;
        self.parts.insert(first, level, part, |l, r, first, level| reduce(&options, join(l, r)?, first, level))
    }

    pub(super) fn merge(&mut self, other: Self) -> Result<(), Error> {
        other.parts.into_nodes().try_for_each(|(first, level, part)| self.insert(first, level, part))
    }

    pub(super) fn finish(mut self, last: Option<(u64, Matrix)>, seen: u64) -> Result<StreamedCoreset, Error> {
        if let Some((leaf, rows)) = last {
            let part = self.whole(leaf, &rows);
            let part = reduce(&self.options, part, leaf, 0)?;
            self.insert(leaf, 0, part)?;
        }
        let levels = self.parts.iter().map(|n| n.1 + 1).max().unwrap_or(0) + u32::from(self.parts.iter().count() > 1);
        let options = self.options;
        let all = self.parts.fold(join)?.ok_or(LinalgError::Empty { argument: "stream" })?;
        let part = reduce(&options, all, 0, 63)?;
        if part.numbers.is_empty() {
            // Nothing but zeros.
            let (rows, weights, data) = (Vec::new(), Vec::new(), part.data);
            return Ok(StreamedCoreset {
                rows,
                weights,
                data,
                seen,
                rank: 0,
                rank_lost: 0,
                condition: 1.0,
                total: 0.0,
                levels,
            });
        }
        let scores = lewis(&options, &part)?;
        Ok(StreamedCoreset {
            rows: part.numbers,
            weights: part.weights,
            rank_lost: rank_lost(scores.rank, &part.data)?,
            data: part.data,
            seen,
            rank: scores.rank,
            condition: scores.condition,
            total: scores.total,
            levels,
        })
    }
}

fn join(l: Part, r: Part) -> Result<Part, LinalgError> {
    let columns = l.data.columns();
    let mut data = l.data.into_vec();
    data.extend(r.data.as_slice());
    let mut out = Part { numbers: l.numbers, weights: l.weights, data: Matrix::zeros(0, columns) };
    out.numbers.extend(r.numbers);
    out.weights.extend(r.weights);
    out.data = Matrix::from_vec(out.numbers.len(), columns, data)?;
    Ok(out)
}

/// Lewis weights of the rows as weighted.
fn lewis(options: &StreamOptions, part: &Part) -> Result<crate::Scores, Error> {
    let root = Power::new(1.0 / options.p);
    let mut scaled = part.data.clone();
    for (row, w) in scaled.as_mut_slice().chunks_exact_mut(part.data.columns()).zip(&part.weights) {
        let scale = root.of(*w);
        row.iter_mut().for_each(|v| *v *= scale);
    }
    let score = ScoreOptions { method: Method::Lewis, tolerance: 0.1, ..ScoreOptions::default() };
    scores(&scaled, options.p, &score)
}

/// Samples of a node that are drawn before all its rows are kept instead.
const DRAWS: u64 = 32;

/// Down to about `size` rows by fresh hashes of the node. A sample without a direction that the rows have is drawn again:
/// nothing later could tell that it was there. Where the size is several times the number of columns that hardly ever
/// happens.
fn reduce(options: &StreamOptions, part: Part, first: u64, level: u32) -> Result<Part, Error> {
    if part.numbers.len() <= options.size {
        return Ok(part);
    }
    let scores = lewis(options, &part)?;
    let node = Streams::new(options.seed).child(u64::from(level)).child(first);
    for draw in 0..DRAWS {
        let kept = Coreset::bernoulli(&scores.values, options.size, node.bits(draw))?;
        let data = part.data.select_rows(&kept.rows);
        if rank_lost(scores.rank, &data)? == 0 {
            return Ok(Part {
                numbers: kept.rows.iter().map(|&i| part.numbers[i]).collect(),
                weights: kept.rows.iter().zip(&kept.weights).map(|(&i, w)| part.weights[i] * w).collect(),
                data,
            });
        }
    }
    Ok(part)
}
