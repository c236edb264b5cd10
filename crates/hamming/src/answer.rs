//! Distances, hits, and the evidence that comes with them.
use samplewise_linalg::{Ending, Seconds};

use crate::engine::Engine;
use crate::engine::fft::Certificate;

/// The way from a text to its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Route {
    /// Every alignment is counted exactly by the engines of the report.
    #[default]
    Counting,
    /// A search that leaves an alignment as soon as it has too many mismatches.
    MismatchBudget,
    /// A search in a periodic text, where early exit never comes.
    Periodic,
    /// Counts in a sample of the pattern's positions.
    Sampling,
    /// Counts of hashed letters, never above the distance.
    OneSided,
}

impl Route {
    /// The word for tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counting => "counting",
            Self::MismatchBudget => "bounded",
            Self::Periodic => "periodic",
            Self::Sampling => "sampling",
            Self::OneSided => "one-sided",
        }
    }
}

/// What one engine was expected to cost, and did.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct EngineCost {
    /// The engine that is meant.
    pub engine: Engine,
    /// Number of letters of the pattern that it counts.
    pub letters: usize,
    /// Predicted nanoseconds per alignment on one thread.
    pub predicted: f64,
    /// Measured nanoseconds per alignment, wall time times threads; `None` before it ran.
    pub actual: Option<f64>,
}

/// Evidence of an answer.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Report {
    /// How the call ended; when the observer stopped it, the answer holds the alignments done until then.
    pub ending: Ending,
    /// The way taken.
    pub route: Route,
    /// The engines that counted, with the letters they counted; none on the routes that do not count.
    pub engines: Vec<EngineCost>,
    /// Certificates of the FFT engine, if it ran.
    pub certificate: Option<Certificate>,
    /// Wall time of the work on the text.
    pub seconds: Seconds,
}

impl Report {
    /// The engines' names, joined by `+`.
    pub fn engine_names(&self) -> String {
        self.engines.iter().map(|e| e.engine.name()).collect::<Vec<_>>().join("+")
    }
}

/// Distances with their evidence.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Answer {
    /// `D[i]` for `i = 0 .. n − m`.
    pub distances: Vec<u32>,
    /// Pairs of symbols that each distance is about, where wildcards are
    /// [excluded](crate::WildcardMeaning::Excluded) or ends overhang; else `None`.
    pub valid: Option<Vec<u32>>,
    /// The evidence: how the call went, and what its claims rest on.
    pub report: Report,
}

impl Answer {
    /// Whether every alignment was counted: false when the observer stopped the call.
    pub fn converged(&self) -> bool {
        self.report.ending == Ending::Finished
    }

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
        let mut out = Vec::new();
        count_distances(&self.distances, &mut out);
        out
    }
}

/// Adds how many of some alignments have each distance, to counts that grow as needed; returns the smallest and the largest.
pub fn count_distances(distances: &[u32], counts: &mut Vec<u64>) -> Option<(u32, u32)> {
    let (least, most) = samplewise_linalg::dispatch::widest(
        #[inline(always)]
        || distances.iter().fold((u32::MAX, 0), |(least, most), &d| (least.min(d), most.max(d))),
    );
    if distances.is_empty() {
        return None;
    }
    let (first, bins) = (least as usize, (most - least) as usize + 1);
    if counts.len() < first + bins {
        counts.resize(first + bins, 0);
    }
    // Neighbours are often equal, and a counter waits for its last increment: eight sets of counters take turns.
    let (eights, rest) = distances.as_chunks::<8>();
    if bins <= 1 << 10 && eights.len() > 4 * bins {
        let mut sets = vec![[0_u32; 8]; bins];
        for part in eights.chunks(1 << 28) {
            for eight in part {
                for (set, &d) in eight.iter().enumerate() {
                    sets[d as usize - first][set] += 1;
                }
            }
            for (count, set) in counts[first..].iter_mut().zip(&mut sets) {
                *count += set.iter().map(|&c| u64::from(c)).sum::<u64>();
                *set = [0; 8];
            }
        }
        rest.iter().for_each(|&d| counts[d as usize] += 1);
    } else {
        distances.iter().for_each(|&d| counts[d as usize] += 1);
    }
    Some((least, most))
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
