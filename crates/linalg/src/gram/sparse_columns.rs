//! The Gram matrix of sparse columns that arrive one after the other.
//!
//! Per row of the table the members that touch it are listed; a new column walks the lists of its rows. Floor: one
//! multiplication per pair of stored entries that share a row. The lists lie all over memory, so those of the next rows are
//! asked for ahead.
use crate::prefetch::prefetch;

/// Entries ahead at which the header of a list, and its contents, are asked for.
const HEADER: usize = 24;
const CONTENTS: usize = 10;

/// Members, and the rows that they touch.
///
/// Row LA-15 of `paper-refs.md`.
#[derive(Clone, Debug)]
pub struct SparseGram {
    rows: Vec<Vec<(u32, f64)>>,
    members: usize,
}

impl SparseGram {
    /// Of a table of `rows` rows, without members.
    pub fn new(rows: usize) -> Self {
        Self { rows: vec![Vec::new(); rows], members: 0 }
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.members
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.members == 0
    }

    /// Makes `factor` times a column the next member and adds its products with all members, itself the last, to `out`.
    ///
    /// # Panics
    /// When an index is not that of a row, or `out` is shorter than the number of members after.
    pub fn append(&mut self, at: &[u32], values: &[f64], factor: f64, out: &mut [f64]) {
        let id = self.members as u32;
        let out = &mut out[..=self.members];
        for (k, (&row, v)) in at.iter().zip(values).enumerate() {
            if let Some(&next) = at.get(k + HEADER) {
                prefetch(std::slice::from_ref(&self.rows[next as usize]));
            }
            if let Some(&next) = at.get(k + CONTENTS) {
                prefetch(&self.rows[next as usize]);
            }
            let v = v * factor;
            let list = &mut self.rows[row as usize];
            for &(l, u) in list.iter() {
                out[l as usize] += v * u;
            }
            out[self.members] += v * v;
            list.push((id, v));
        }
        self.members += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Streams, normal, uniform};

    #[test]
    fn products_equal_the_definition() {
        let mut rng = Streams::new(5).stream(0);
        let (n, p) = (90, 40);
        let mut gram = SparseGram::new(n);
        let mut dense: Vec<Vec<f64>> = Vec::new();
        for j in 0..p {
            let at: Vec<u32> = (0..n as u32).filter(|_| uniform(&mut rng) < 0.4).collect();
            let values: Vec<f64> = at.iter().map(|_| normal(&mut rng)).collect();
            let factor = 0.5 + j as f64;
            let mut column = vec![0.0; n];
            at.iter().zip(&values).for_each(|(&i, v)| column[i as usize] = v * factor);
            dense.push(column);
            let mut out = vec![0.0; p];
            gram.append(&at, &values, factor, &mut out);
            assert_eq!(gram.len(), j + 1);
            for (l, out) in out.iter().enumerate() {
                let exact = if l <= j { crate::sums::dot(&dense[l], &dense[j]) } else { 0.0 };
                assert!((exact - out).abs() <= 1e-12 * (1.0 + exact.abs()), "{j}, {l}: {exact} {out}");
            }
        }
    }
}
