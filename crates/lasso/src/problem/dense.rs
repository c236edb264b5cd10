//! Dense columns as the solvers see them, `q∘((x_j − μ_j) − ρ_j)`: in a copy, or made so whenever they are read.
//!
//! A copy costs as much memory as the table. Large tables go without: each read of a column takes its mean away anew, in the
//! same arithmetic and order, so that no bit of an answer depends on which of the two it is.
use std::borrow::Cow;

use samplewise_linalg::sums;

/// Entries up to which a table is copied: 64 MB.
pub(crate) const MOST_COPIED: usize = 1 << 23;

/// Dense columns of `n` entries each.
///
/// Row LAS-7 of `paper-refs.md`.
pub(crate) struct Dense<'a> {
    n: usize,
    columns: Columns<'a>,
}

enum Columns<'a> {
    /// Column after column, as the solvers see them.
    Stored(Cow<'a, [f64]>),
    Given(Given<'a>),
}

/// Columns as the caller gave them, with what makes them what the solvers see.
struct Given<'a> {
    table: &'a [f64],
    /// Mean of each column, and what rounding left of it.
    centres: Vec<[f64; 2]>,
    /// `q`, when it is not all ones.
    root: Option<Vec<f64>>,
}

impl<'a> Dense<'a> {
    /// Columns that are stored as the solvers see them.
    pub fn stored(n: usize, table: Cow<'a, [f64]>) -> Self {
        Self { n, columns: Columns::Stored(table) }
    }

    /// Columns as given, with the mean of each and what rounding left of it.
    pub fn given(n: usize, table: &'a [f64], centres: Vec<[f64; 2]>, root: Option<Vec<f64>>) -> Self {
        Self { n, columns: Columns::Given(Given { table, centres, root }) }
    }

    /// `x_jᵀ v`.
    #[inline]
    pub fn dot(&self, j: usize, v: &[f64]) -> f64 {
        match &self.columns {
            Columns::Stored(c) => sums::dot(&c[j * self.n..(j + 1) * self.n], v),
            Columns::Given(given) => {
                let (x, v, [mean, left]) = (given.raw(j, self.n), &v[..self.n], given.centres[j]);
                match &given.root {
                    None => sums::sum_by(x.len(), |i| ((x[i] - mean) - left) * v[i]),
                    Some(q) => sums::sum_by(x.len(), |i| (((x[i] - mean) - left) * q[i]) * v[i]),
                }
            }
        }
    }

    /// `x_jᵀ x_j`.
    pub fn square(&self, j: usize) -> f64 {
        match &self.columns {
            Columns::Stored(c) => {
                let column = &c[j * self.n..(j + 1) * self.n];
                sums::dot(column, column)
            }
            Columns::Given(given) => {
                let (x, [mean, left]) = (given.raw(j, self.n), given.centres[j]);
                match &given.root {
                    None => sums::sum_by(x.len(), |i| ((x[i] - mean) - left).powi(2)),
                    Some(q) => sums::sum_by(x.len(), |i| (((x[i] - mean) - left) * q[i]).powi(2)),
                }
            }
        }
    }

    /// `v += a x_j`.
    #[inline]
    pub fn add(&self, j: usize, a: f64, v: &mut [f64]) {
        match &self.columns {
            Columns::Stored(c) => sums::axpy(a, &c[j * self.n..(j + 1) * self.n], v),
            Columns::Given(given) => {
                let (x, [mean, left]) = (given.raw(j, self.n), given.centres[j]);
                let pairs = v[..x.len()].iter_mut().zip(x);
                match &given.root {
                    None => pairs.for_each(|(v, x)| *v += a * ((x - mean) - left)),
                    Some(q) => pairs.zip(q).for_each(|((v, x), q)| *v += a * (((x - mean) - left) * q)),
                }
            }
        }
    }

    /// The rows listed of the first `p` columns, as the solvers see them.
    pub fn select_rows(&self, p: usize, rows: &[usize]) -> Dense<'static> {
        let mut column = vec![0.0; self.n];
        let mut picked = Vec::with_capacity(p * rows.len());
        for j in 0..p {
            self.copy_part(j, 0, &mut column);
            picked.extend(rows.iter().map(|&i| column[i]));
        }
        Dense::stored(rows.len(), picked.into())
    }

    /// The whole table, where it is stored as the solvers see it.
    pub fn as_stored(&self) -> Option<&[f64]> {
        match &self.columns {
            Columns::Stored(c) => Some(c),
            Columns::Given(_) => None,
        }
    }

    /// Entries of column `j` from row `from` on, as many as `out` is long.
    pub fn copy_part(&self, j: usize, from: usize, out: &mut [f64]) {
        let rows = from..from + out.len();
        match &self.columns {
            Columns::Stored(c) => out.copy_from_slice(&c[j * self.n..(j + 1) * self.n][rows]),
            Columns::Given(given) => {
                let x = &given.raw(j, self.n)[rows];
                out.copy_from_slice(x);
                given.make(j, from, out);
            }
        }
    }
}

impl Given<'_> {
    fn raw(&self, j: usize, n: usize) -> &[f64] {
        &self.table[j * n..(j + 1) * n]
    }

    /// Entries as given from row `from` on become those that the solvers see.
    fn make(&self, j: usize, from: usize, x: &mut [f64]) {
        let [mean, left] = self.centres[j];
        match &self.root {
            None => x.iter_mut().for_each(|x| *x = (*x - mean) - left),
            Some(q) => x.iter_mut().zip(&q[from..]).for_each(|(x, q)| *x = ((*x - mean) - left) * q),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns that are made whenever they are read give every bit of those that are stored.
    #[test]
    fn made_columns_equal_stored_ones() {
        for n in [1, 7, 16, 103] {
            let table: Vec<f64> = (0..3 * n).map(|i| ((i * 37) % 101) as f64 * 0.37 + 1e3).collect();
            let centres: Vec<[f64; 2]> = (0..3).map(|j| [1e3 + f64::from(j) / 3.0, 1e-13 * f64::from(j)]).collect();
            let root: Vec<f64> = (0..n).map(|i| 0.3 + (i % 5) as f64 / 7.0).collect();
            let v: Vec<f64> = (0..n).map(|i| (i as f64 * 0.7).sin()).collect();
            for root in [None, Some(root)] {
                let made = Dense::given(n, &table, centres.clone(), root);
                let mut copy = vec![0.0; 3 * n];
                copy.chunks_exact_mut(n).enumerate().for_each(|(j, c)| made.copy_part(j, 0, c));
                let stored = Dense::stored(n, copy.clone().into());
                for j in 0..3 {
                    let (mut a, mut b) = (v.clone(), v.clone());
                    made.add(j, 0.3, &mut a);
                    stored.add(j, 0.3, &mut b);
                    assert_eq!((made.dot(j, &v), made.square(j), a), (stored.dot(j, &v), stored.square(j), b));
                    let mut part = vec![0.0; n / 2];
                    made.copy_part(j, n - n / 2, &mut part);
                    assert_eq!(part, copy[(j + 1) * n - n / 2..(j + 1) * n]);
                }
                assert_eq!(stored.as_stored(), Some(&copy[..]));
            }
        }
    }
}
