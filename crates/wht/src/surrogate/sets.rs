//! Sets of positions in falling order of their prior variance, each once, and their signs over the points.
//!
//! With the positions sorted by `ρ = p/(1 − p) ≤ 1`, a set has two children: another position after its last, and the last
//! replaced by the next. Neither is larger than its parent, so that a heap yields all sets in falling order.
use std::cmp::Ordering;
use std::collections::BinaryHeap;

use samplewise_linalg::Matrix;

use super::table::Table;
use crate::verdict::refit::SignedSums;

/// A set of positions, ascending.
pub(crate) type Set = Vec<u16>;

/// The sets in falling order of `Σ log ρ_i`, the empty one first.
pub(crate) struct Falling {
    order: Vec<u16>,
    logs: Vec<f64>,
    heap: BinaryHeap<Entry>,
    begun: bool,
}

/// Ranks of the members, ascending, and the sum of their logarithms.
#[derive(PartialEq)]
struct Entry {
    log: f64,
    ranks: Set,
}

impl Eq for Entry {}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.log.total_cmp(&other.log).then_with(|| other.ranks.cmp(&self.ranks))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Falling {
    /// Of positions with these shares `p`; those of share 0 are in no set.
    pub fn new(shares: &[f64]) -> Self {
        let log = |p: f64| p.ln() - (-p).ln_1p();
        let mut order: Vec<u16> = (0..shares.len() as u16).filter(|&i| shares[usize::from(i)] > 0.0).collect();
        order.sort_by(|&a, &b| shares[usize::from(b)].total_cmp(&shares[usize::from(a)]).then(a.cmp(&b)));
        let logs = order.iter().map(|&i| log(shares[usize::from(i)]).min(0.0)).collect();
        Self { order, logs, heap: BinaryHeap::new(), begun: false }
    }

    fn push(&mut self, ranks: Set) {
        let log = ranks.iter().map(|&r| self.logs[usize::from(r)]).sum();
        self.heap.push(Entry { log, ranks });
    }
}

impl Iterator for Falling {
    /// The set, and `log (λ_S / λ_∅)`.
    type Item = (Set, f64);

    fn next(&mut self) -> Option<Self::Item> {
        if !self.begun {
            self.begun = true;
            if !self.order.is_empty() {
                self.push(vec![0]);
            }
            return Some((Vec::new(), 0.0));
        }
        let Entry { log, ranks } = self.heap.pop()?;
        let next = ranks.last().map_or(0, |&r| r + 1);
        if usize::from(next) < self.order.len() {
            let mut replaced = ranks.clone();
            *replaced.last_mut().expect("no empty set is on the heap") = next;
            self.push(replaced);
            let mut longer = ranks.clone();
            longer.push(next);
            self.push(longer);
        }
        let mut set: Set = ranks.iter().map(|&r| self.order[usize::from(r)]).collect();
        set.sort_unstable();
        Some((set, log))
    }
}

/// `log λ_∅ = log s² + Σ log(1 − p_i)`.
pub(crate) fn log_empty(variance: f64, shares: &[f64]) -> f64 {
    variance.ln() + shares.iter().map(|p| (-p).ln_1p()).sum::<f64>()
}

/// The signs `χ_S` of sets over the points of a table of two levels, as bits: set where the sign is negative.
pub(crate) struct Signs {
    of_position: Vec<Vec<u64>>,
    words: usize,
    pub points: usize,
}

impl Signs {
    pub fn of_table(table: &Table) -> Self {
        Self::new(&table.codes, table.layout.positions())
    }

    pub fn new(codes: &[u8], positions: usize) -> Self {
        let points = codes.len() / positions.max(1);
        let words = points.div_ceil(64);
        let mut of_position = vec![vec![0_u64; words]; positions];
        for (j, point) in codes.chunks_exact(positions.max(1)).enumerate() {
            for (i, &code) in point.iter().enumerate().filter(|c| *c.1 != 0) {
                debug_assert_eq!(code, 1, "signs are those of two levels");
                of_position[i][j / 64] |= 1 << (j % 64);
            }
        }
        Self { of_position, words, points }
    }

    pub fn of(&self, set: &[u16]) -> Vec<u64> {
        let mut out = vec![0; self.words];
        for &i in set {
            out.iter_mut().zip(&self.of_position[usize::from(i)]).for_each(|(o, w)| *o ^= w);
        }
        out
    }

    /// `Σ_j χ_S(x_j) values_j` for some sets.
    pub fn products<'a>(&self, sets: impl Iterator<Item = &'a Set>, values: &[f64]) -> Vec<f64> {
        let sums = SignedSums::new(values);
        sets.map(|set| sums.product(&self.of(set))).collect()
    }

    /// The signs of some sets as numbers, a row for each set.
    pub fn rows(&self, sets: &[Set]) -> Matrix {
        let mut out = Matrix::zeros(sets.len(), self.points);
        for (s, set) in sets.iter().enumerate() {
            let bits = self.of(set);
            for (part, word) in out.row_mut(s).chunks_mut(64).zip(bits) {
                part.iter_mut().enumerate().for_each(|(i, v)| *v = if word >> i & 1 == 1 { -1.0 } else { 1.0 });
            }
        }
        out
    }
}

/// `χ_S(x)`.
pub(crate) fn sign(set: &[u16], point: &[u8]) -> f64 {
    let odd = set.iter().fold(0, |x, &i| x ^ point[usize::from(i)]) & 1 == 1;
    if odd { -1.0 } else { 1.0 }
}
