//! Distances, hits, and the evidence that comes with them.
use crate::fft::Certificate;
use crate::plan::Engine;

/// What one engine was expected to cost, and did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EngineCost {
    /// The engine.
    pub engine: Engine,
    /// Letters of the pattern that it counts.
    pub letters: usize,
    /// Predicted nanoseconds per alignment on one thread.
    pub predicted: f64,
    /// Measured nanoseconds per alignment, wall time times threads; `None` before it ran.
    pub actual: Option<f64>,
}

/// Evidence of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The engines that ran, with the letters they counted.
    pub engines: Vec<EngineCost>,
    /// Certificates of the FFT engine, if it ran.
    pub certificate: Option<Certificate>,
    /// False when the observer stopped the call: the answer then holds the alignments done.
    pub complete: bool,
}

impl Report {
    /// The engines' names, joined by `+`.
    pub fn path(&self) -> String {
        self.engines.iter().map(|e| e.engine.name()).collect::<Vec<_>>().join("+")
    }
}

/// Distances with their evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// `D[i]` for `i = 0 .. n − m`.
    pub distances: Vec<u32>,
    /// Pairs of symbols that each distance is about, where wildcards are
    /// [excluded](crate::WildcardMeaning::Excluded) or ends overhang; else `None`.
    pub valid: Option<Vec<u32>>,
    /// The evidence.
    pub report: Report,
}

impl Answer {
    /// The smallest distance and its first position.
    pub fn minimum(&self) -> Option<(usize, u32)> {
        self.distances.iter().copied().enumerate().min_by_key(|&(i, d)| (d, i))
    }

    /// Positions with at most `k` mismatches, ascending, with their distances.
    pub fn matches_within(&self, k: u32) -> Vec<(usize, u32)> {
        self.distances.iter().copied().enumerate().filter(|&(_, d)| d <= k).collect()
    }

    /// The `b` best alignments, by distance, then position.
    pub fn best(&self, b: usize) -> Vec<(usize, u32)> {
        let mut all: Vec<(usize, u32)> = self.distances.iter().copied().enumerate().collect();
        let b = b.min(all.len());
        if b > 0 && b < all.len() {
            all.select_nth_unstable_by_key(b - 1, |&(i, d)| (d, i));
        }
        all.truncate(b);
        all.sort_unstable_by_key(|&(i, d)| (d, i));
        all
    }

    /// How many alignments have each distance, from 0 to the largest that occurs.
    pub fn histogram(&self) -> Vec<u64> {
        let mut out = vec![0; self.distances.iter().max().map_or(0, |&d| d as usize + 1)];
        self.distances.iter().for_each(|&d| out[d as usize] += 1);
        out
    }
}

/// A stretch of distances, handed over as soon as it is known.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// The first alignment.
    pub position: usize,
    /// Distances of it and those that follow.
    pub distances: &'a [u32],
    /// Pairs that each distance is about, as in [`Answer::valid`].
    pub valid: Option<&'a [u32]>,
}
