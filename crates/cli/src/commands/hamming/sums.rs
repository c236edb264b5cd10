//! What one pass adds up.
use std::collections::BinaryHeap;

use samplewise_hamming::{Block, Symbol, count_distances};
use serde_json::{Value, json};

use super::strand::Strand;

/// One alignment that is reported. The order of its fields is the order of the best.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    pub(super) distance: u32,
    pub(super) position: usize,
    pub(super) pattern: usize,
    pub(super) reverse: bool,
    pub(super) record: usize,
    pub(super) valid: Option<u32>,
}

/// What one pass adds up.
#[derive(Default)]
pub(super) struct Sums {
    /// Names and lengths.
    pub(super) records: Vec<(String, usize)>,
    pub(super) alignments: usize,
    pub(super) minimum: Option<Found>,
    /// The smallest approximate distance.
    pub(super) least: Option<f64>,
    pub(super) histogram: Option<Vec<u64>>,
    pub(super) hits: Vec<Found>,
    /// The best so far, the worst of them on top.
    pub(super) best: BinaryHeap<Found>,
    pub(super) path: Option<String>,
    pub(super) engines: Vec<Value>,
    pub(super) approximations: Vec<Value>,
    pub(super) short: usize,
}

impl Sums {
    pub(super) fn take<S: Symbol>(
        &mut self,
        strand: &Strand<S>,
        block: &Block<'_>,
        best: Option<usize>,
        histogram: &mut Vec<u64>,
    ) {
        let found = |i: usize| Found {
            distance: block.distances[i],
            position: block.position + i,
            pattern: strand.pattern,
            reverse: strand.reverse,
            record: self.records.len() - 1,
            valid: block.valid.map(|v| v[i]),
        };
        self.alignments += block.distances.len();
        let Some((least, _)) = count_distances(block.distances, histogram) else { return };
        if self.minimum.as_ref().is_none_or(|m| least <= m.distance)
            && let Some(i) = block.distances.iter().position(|&d| d == least)
        {
            let new = found(i);
            if self.minimum.as_ref().is_none_or(|m| new.first() < m.first()) {
                self.minimum = Some(new);
            }
        }
        let Some(b) = best.filter(|&b| b > 0) else { return };
        for (i, &d) in block.distances.iter().enumerate() {
            if self.best.len() < b {
                self.best.push(found(i));
            } else if let Some(mut worst) = self.best.peek_mut()
                && d <= worst.distance
            {
                let new = found(i);
                if new < *worst {
                    *worst = new;
                }
            }
        }
    }

    pub(super) fn engines(&mut self, engines: &[samplewise_hamming::EngineCost]) {
        self.engines.extend(engines.iter().map(|c| {
            json!({"engine": c.engine.name(), "letters": c.letters, "predicted_ns": c.predicted, "actual_ns": c.actual})
        }));
    }
}

impl Found {
    /// The order in which the first of several smallest distances is told.
    pub(super) fn first(&self) -> (u32, usize, usize, usize, bool) {
        (self.distance, self.record, self.position, self.pattern, self.reverse)
    }
}
