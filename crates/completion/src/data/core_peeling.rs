//! What the entries determine at rank `k` (row COM-1).
//!
//! A row with fewer than `k` entries is not determined by them. One with exactly `k` is, if their columns are, but all its
//! entries are spent on itself: it says nothing about the columns. Taking away both kinds may leave others so; what remains
//! is the `(k+1)`-core of the bipartite graph of entries, which decides about single lines. (Whether its parts are tied to each
//! other is another question: `determined`.) Rows and columns outside follow one by
//! one, as soon as `k` of their entries meet what is known; those that never do are undetermined, even with `k` entries.
//! (The `k`-core alone is not enough: a row and a column of `k` entries that share one have `2k` unknowns and `2k − 1`
//! equations.)
use std::collections::VecDeque;

use samplewise_linalg::Real;

use crate::Entries;
use crate::data::entries::Renumbering;

/// What is inside and outside the core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peeled {
    /// Undetermined rows, ascending.
    pub rows: Vec<usize>,
    /// Undetermined columns, ascending.
    pub columns: Vec<usize>,
    /// Rows and columns outside the core that it determines, in an order in which each can be solved.
    pub following: Vec<Line>,
    /// Rows outside the core, ascending.
    pub outer_rows: Vec<usize>,
    /// Columns outside the core, ascending.
    pub outer_columns: Vec<usize>,
}

/// A row or a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// A row, by its number.
    Row(usize),
    /// A column, by its number.
    Column(usize),
}

/// Peels to the `(k+1)`-core of the entries for which `counts` is true, by their position in row order, and follows it
/// outwards. Cost `O(|Ω|)`.
///
/// Row COM-1 of `paper-refs.md`.
pub fn peel<T: Real>(entries: &Entries<T>, k: usize, counts: impl Fn(usize) -> bool) -> Peeled {
    let (m, n) = (entries.rows(), entries.columns());
    let mut degree = vec![0; m + n];
    let mut p = 0;
    for i in 0..m {
        for &j in entries.by_row.values.row(i).0 {
            let counted = usize::from(counts(p));
            degree[i] += counted;
            degree[m + j as usize] += counted;
            p += 1;
        }
    }
    if degree.iter().all(|&d| d > k) {
        let none = Vec::new;
        return Peeled {
            rows: none(),
            columns: none(),
            following: Vec::new(),
            outer_rows: none(),
            outer_columns: none(),
        };
    }
    let graph = Graph { entries, positions: entries.by_row.values.transpose_positions(), counts };
    let mut inside = vec![true; m + n];
    let mut stack: Vec<usize> = (0..m + n).filter(|&v| degree[v] <= k).collect();
    stack.iter().for_each(|&v| inside[v] = false);
    while let Some(v) = stack.pop() {
        for w in graph.neighbours(v) {
            degree[w] -= 1;
            if degree[w] <= k && inside[w] {
                inside[w] = false;
                stack.push(w);
            }
        }
    }
    graph.follow(k, &inside)
}

/// What follows, by all entries, from the rows and columns that are kept.
pub(crate) fn follow(entries: &Entries, k: usize, rows: &Renumbering, columns: &Renumbering) -> Peeled {
    let inside: Vec<bool> = rows.new.iter().chain(&columns.new).map(|&new| new != u32::MAX).collect();
    Graph { entries, positions: entries.by_row.values.transpose_positions(), counts: |_| true }.follow(k, &inside)
}

/// Rows are vertices `0..m`, columns `m..m + n`, and the entries that count are edges.
struct Graph<'a, T: Real, F> {
    entries: &'a Entries<T>,
    positions: Vec<u32>,
    counts: F,
}

impl<T: Real, F: Fn(usize) -> bool> Graph<'_, T, F> {
    fn neighbours(&self, v: usize) -> impl Iterator<Item = usize> {
        let m = self.entries.rows();
        let (side, i) = if v < m { (&self.entries.by_row, v) } else { (&self.entries.by_column, v - m) };
        let at = move |p: usize| if v < m { p } else { self.positions[p] as usize };
        let lines = side.values.row_range(i).zip(side.values.row(i).0);
        lines.filter(move |(p, _)| (self.counts)(at(*p))).map(move |(_, &w)| w as usize + if v < m { m } else { 0 })
    }

    /// Those outside, one by one as soon as `k` of their entries meet what is known.
    fn follow(&self, k: usize, inside: &[bool]) -> Peeled {
        let (m, n) = (self.entries.rows(), self.entries.columns());
        let mut known = inside.to_vec();
        // Entries that meet what is known.
        let mut met: Vec<usize> = vec![0; m + n];
        let outer: Vec<usize> = (0..m + n).filter(|&v| !inside[v]).collect();
        outer.iter().for_each(|&v| met[v] = self.neighbours(v).filter(|&w| known[w]).count());
        let mut queue: VecDeque<usize> = outer.iter().copied().filter(|&v| met[v] >= k).collect();
        let mut following = Vec::new();
        while let Some(v) = queue.pop_front() {
            known[v] = true;
            following.push(if v < m { Line::Row(v) } else { Line::Column(v - m) });
            for w in self.neighbours(v).filter(|&w| !inside[w]) {
                met[w] += 1;
                if met[w] == k {
                    queue.push_back(w);
                }
            }
        }
        let rows = |keep: &dyn Fn(usize) -> bool| (0..m).filter(|&i| keep(i)).collect::<Vec<usize>>();
        let columns = |keep: &dyn Fn(usize) -> bool| (0..n).filter(|&j| keep(m + j)).collect::<Vec<usize>>();
        Peeled {
            rows: rows(&|v| !known[v]),
            columns: columns(&|v| !known[v]),
            following,
            outer_rows: rows(&|v| !inside[v]),
            outer_columns: columns(&|v| !inside[v]),
        }
    }
}
