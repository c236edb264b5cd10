//! Which entries fit, which choose, which judge.
use samplewise_linalg::random::{self, Streams};

use crate::entries::Entries;

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
    pub fn new(entries: &Entries, k: usize, oversampling: f64, shares: [f64; 2], streams: Streams) -> Self {
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
        if tune + verify > 0 {
            let all: Vec<Triplet> = entries.iter().map(|e| (e.0, e.1, e.2)).collect();
            let mut order: Vec<u32> = (0..n as u32).collect();
            random::shuffle(&mut streams.stream(0), &mut order);
            for p in order {
                let full = verification.len() >= verify;
                if full && tuning.len() >= tune {
                    break;
                }
                let (i, j, _) = all[p as usize];
                if rows[i] <= k + 2 || columns[j] <= k + 2 {
                    continue;
                }
                rows[i] -= 1;
                columns[j] -= 1;
                if full {
                    tuning.push(all[p as usize]);
                    purpose[p as usize] = Purpose::Tune;
                } else {
                    verification.push(all[p as usize]);
                    purpose[p as usize] = Purpose::Judge;
                }
            }
        }
        Self { tuning, verification, purpose }
    }
}
