//! Which entries fit, which choose, which judge.
use samplewise_linalg::Real;
use samplewise_linalg::random::{self, Streams};

use crate::data::entries::Entries;

pub(crate) type Triplet = (usize, usize, f64);

/// Entries to fit, to tune and to judge.
pub(crate) struct Split {
    pub tuning: Vec<Triplet>,
    pub verification: Vec<Triplet>,
    /// By position in row order: what the entry is for.
    pub purpose: Vec<Purpose>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Fit,
    Tune,
    Judge,
}

/// Most entries of a set.
const MOST: usize = 10_000;
/// Oversampling below which every entry counts.
const SCARCE: f64 = 2.0;

impl Split {
    /// Holds out entries in random order, but only from rows and columns that keep more than `k + 1` entries: at the
    /// information limit taking one more would undetermine them. There, each set takes at most 0.5 % or 100 entries.
    pub fn new<T: Real>(entries: &Entries<T>, k: usize, oversampling: f64, shares: [f64; 2], streams: Streams) -> Self {
        let n = entries.len();
        let wanted = |share: f64| {
            let count = ((share * n as f64).round() as usize).min(MOST);
            if oversampling < SCARCE { count.min((n / 200).max(100)) } else { count }
        };
        let [tune, verify] = shares.map(wanted);
        let mut rows: Vec<usize> = (0..entries.rows()).map(|i| entries.by_row.count(i)).collect();
        let mut columns: Vec<usize> = (0..entries.columns()).map(|j| entries.by_column.count(j)).collect();
        let mut purpose = vec![Purpose::Fit; n];
        let (mut tuning, mut verification) = (Vec::new(), Vec::new());
        let mut rng = streams.stream(0);
        let offsets = entries.by_row.values.offsets();
        let mut tried = vec![false; if tune + verify > 0 { n } else { 0 }];
        let mut left = tried.len();
        while left > 0 && (verification.len() < verify || tuning.len() < tune) {
            let p = random::below(&mut rng, n);
            if std::mem::replace(&mut tried[p], true) {
                continue;
            }
            left -= 1;
            let i = offsets.partition_point(|&o| o <= p) - 1;
            let j = entries.by_row.values.indices()[p] as usize;
            if rows[i] <= k + 2 || columns[j] <= k + 2 {
                continue;
            }
            rows[i] -= 1;
            columns[j] -= 1;
            let entry = (i, j, entries.by_row.values.values()[p].to_f64());
            if verification.len() < verify {
                verification.push(entry);
                purpose[p] = Purpose::Judge;
            } else {
                tuning.push(entry);
                purpose[p] = Purpose::Tune;
            }
        }
        Self { tuning, verification, purpose }
    }
}
