//! Oblivious sketches: `S A` with few rows, in one pass, such that `‖S A x‖ ≈ ‖A x‖` for every `x`.
//!
//! Column `i` of `S` depends on the seed and on `i` alone, so that any cut of the rows of `A` into shards, any order and
//! any number of machines give the same sketch up to the rounding of sums: sketches of shards are added. With `E SᵀS = I`,
//! `s` rows embed a `d`-dimensional space with distortion about `√(d/s)`.
//!
//! | kind | cost of `S A`, dense `n × d` | rows tested for distortion ½ (row LA-10) |
//! |---|---|---|
//! | [`Kind::SparseSign`] | `8·n·d` | `8d` |
//! | [`Kind::CountSketch`] | `n·d` | `40d`, without outlying rows; `d²` in theory |
//! | [`Kind::Srht`] | `12·n·d` | `8d` |
//! | [`Kind::Gaussian`] | `2·n·d·s` | `8d` |
use rayon::prelude::*;

use crate::random::{Streams, normal};
use crate::{CsrMatrix, LinalgError, Matrix, fwht, sums};

/// Which distribution `S` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Kind {
    /// Independent normal entries of variance `1/s`.
    Gaussian,
    /// Eight entries `±1/√8` per column of `S`, one in each eighth of its rows (OSNAP). The default.
    #[default]
    SparseSign,
    /// One entry `±1` per column.
    CountSketch,
    /// Signs, Walsh–Hadamard transform and sampling in blocks of 4,096 rows of `A`, with new signs in each block; shards
    /// have to begin at multiples of 4,096.
    Srht,
}

/// A sketching matrix `S` with `rows` rows and a column for every possible row of `A`; nothing of it is stored.
///
/// Row LA-10 of `paper-refs.md`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sketch {
    kind: Kind,
    rows: usize,
    streams: Streams,
}

/// Entries `±1/√8` in a column of a sparse-sign sketch.
const PER_COLUMN: usize = 8;
/// Rows of `A` that share one transform of an SRHT.
const SRHT_BLOCK: usize = 4096;

impl Sketch {
    /// A sketch to `rows` rows (row LA-10).
    ///
    /// # Errors
    /// [`LinalgError::OutOfRange`] for fewer than 8 rows or more than 2³¹.
    pub fn new(kind: Kind, rows: usize, seed: u64) -> Result<Self, LinalgError> {
        if !(PER_COLUMN..=1 << 31).contains(&rows) {
            return Err(LinalgError::OutOfRange { argument: "rows", value: rows as f64, allowed: "8 to 2^31" });
        }
        Ok(Self { kind, rows, streams: Streams::new(seed) })
    }

    /// Rows of `S`.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// `S A`. Same bits for every number of threads.
    ///
    /// ```
    /// use samplewise_linalg::{Matrix, sketch::{Kind, Sketch}};
    /// let a = Matrix::from_fn(10_000, 1, |_, _| 1.0);
    /// let sketched = Sketch::new(Kind::SparseSign, 64, 1)?.apply(&a)?;
    /// assert!((sketched.norm() / a.norm() - 1.0).abs() < 0.5);
    /// # Ok::<(), samplewise_linalg::LinalgError>(())
    /// ```
    ///
    /// # Errors
    /// [`LinalgError::TooLarge`].
    pub fn apply(&self, a: &Matrix) -> Result<Matrix, LinalgError> {
        let d = a.columns();
        self.in_blocks(a.rows(), d, |from, to, out| {
            self.accumulate(from as u64, &a.as_slice()[from * d..to * d], out);
        })
    }

    /// `S A` for a sparse `A`. Cost `8·nnz` for the sparse-sign sketch.
    ///
    /// # Errors
    /// [`LinalgError::TooLarge`].
    pub fn apply_csr(&self, a: &CsrMatrix) -> Result<Matrix, LinalgError> {
        let d = a.columns();
        self.in_blocks(a.rows(), d, |from, to, out| match self.kind {
            Kind::SparseSign | Kind::CountSketch => {
                for i in from..to {
                    let (indices, values) = a.row(i);
                    self.each_entry(i as u64, |r, sign| {
                        let target = out.row_mut(r);
                        for (&j, &v) in indices.iter().zip(values) {
                            target[j as usize] += sign * v;
                        }
                    });
                }
            }
            // These fill in anyway: a block of dense rows at a time.
            Kind::Gaussian | Kind::Srht => {
                for first in (from..to).step_by(SRHT_BLOCK) {
                    let last = (first + SRHT_BLOCK).min(to);
                    let mut rows = vec![0.0; (last - first) * d];
                    for i in first..last {
                        let (indices, values) = a.row(i);
                        for (&j, &v) in indices.iter().zip(values) {
                            rows[(i - first) * d + j as usize] = v;
                        }
                    }
                    self.accumulate(first as u64, &rows, out);
                }
            }
        })
    }

    /// Adds to `out` what a shard of `A` contributes: consecutive rows, row-major, of which the first has number `first`
    /// in the whole.
    ///
    /// # Panics
    /// When `out` does not have [`Sketch::rows`] rows, when its columns do not divide the shard, and for an SRHT whose
    /// shard does not begin at a multiple of 4,096.
    pub fn accumulate(&self, first: u64, shard: &[f64], out: &mut Matrix) {
        let d = out.columns();
        assert_eq!(out.rows(), self.rows, "a sketch of {} rows into {}", self.rows, out.rows());
        if d == 0 {
            return;
        }
        assert!(shard.len().is_multiple_of(d), "{} entries in rows of {d}", shard.len());
        match self.kind {
            Kind::SparseSign | Kind::CountSketch => {
                for (i, row) in shard.chunks_exact(d).enumerate() {
                    self.each_entry(first + i as u64, |r, sign| sums::axpy(sign, row, out.row_mut(r)));
                }
            }
            Kind::Gaussian => self.gaussian(first, shard, out),
            Kind::Srht => self.srht(first, shard, out),
        }
    }

    /// Position and value of the entries of column `i`.
    #[inline]
    fn each_entry(&self, i: u64, mut f: impl FnMut(usize, f64)) {
        if self.kind == Kind::CountSketch {
            let bits = self.streams.bits(i);
            let position = ((bits >> 32) * self.rows as u64) >> 32;
            return f(position as usize, if bits & 1 == 0 { 1.0 } else { -1.0 });
        }
        let value = 1.0 / (PER_COLUMN as f64).sqrt();
        for pair in 0..PER_COLUMN / 2 {
            let bits = self.streams.bits(i * (PER_COLUMN as u64 / 2) + pair as u64);
            for (half, word) in [bits >> 32, bits & 0xffff_ffff].into_iter().enumerate() {
                let part = 2 * pair + half;
                let (from, to) = (self.rows * part / PER_COLUMN, self.rows * (part + 1) / PER_COLUMN);
                // 31 bits choose the row, the lowest the sign.
                let position = from + (((word >> 1) * (to - from) as u64) >> 31) as usize;
                f(position, if word & 1 == 0 { value } else { -value });
            }
        }
    }

    fn gaussian(&self, first: u64, shard: &[f64], out: &mut Matrix) {
        const PANEL: usize = 64;
        let (d, s) = (out.columns(), self.rows);
        let scale = 1.0 / (s as f64).sqrt();
        for (p, rows) in shard.chunks(PANEL * d).enumerate() {
            let height = rows.len() / d;
            let mut columns = vec![0.0; height * s];
            for (i, column) in columns.chunks_exact_mut(s).enumerate() {
                let mut rng = self.streams.stream(first + (p * PANEL + i) as u64);
                column.iter_mut().for_each(|v| *v = scale * normal(&mut rng));
            }
            faer::linalg::matmul::matmul(
                faer::MatMut::from_row_major_slice_mut(out.as_mut_slice(), s, d),
                faer::Accum::Add,
                faer::MatRef::from_row_major_slice(&columns, height, s).transpose(),
                faer::MatRef::from_row_major_slice(rows, height, d),
                1.0,
                faer::Par::Seq,
            );
        }
    }

    fn srht(&self, first: u64, shard: &[f64], out: &mut Matrix) {
        let d = out.columns();
        assert!(first.is_multiple_of(SRHT_BLOCK as u64), "a shard of an SRHT begins at row {first}");
        let scale = 1.0 / (self.rows as f64).sqrt();
        let mut columns = vec![0.0; SRHT_BLOCK * d];
        for (b, rows) in shard.chunks(SRHT_BLOCK * d).enumerate() {
            let start = first + (b * SRHT_BLOCK) as u64;
            columns.fill(0.0);
            for (i, row) in rows.chunks_exact(d).enumerate() {
                let negative = self.streams.bits(start + i as u64) & 1 == 1;
                for (j, &v) in row.iter().enumerate() {
                    columns[j * SRHT_BLOCK + i] = if negative { -v } else { v };
                }
            }
            fwht::fwht_blocks_in_place(&mut columns, SRHT_BLOCK);
            let outputs = self.streams.child(start);
            for r in 0..self.rows {
                let bits = outputs.bits(r as u64);
                let source = (bits >> 32) as usize % SRHT_BLOCK;
                let sign = if bits & 1 == 0 { scale } else { -scale };
                for (j, v) in out.row_mut(r).iter_mut().enumerate() {
                    *v += sign * columns[j * SRHT_BLOCK + source];
                }
            }
        }
    }

    /// At most 16 partial sketches whatever the length, cut at multiples of the SRHT block, added in order.
    fn in_blocks(
        &self,
        n: usize,
        d: usize,
        add: impl Fn(usize, usize, &mut Matrix) + Sync,
    ) -> Result<Matrix, LinalgError> {
        let mut total = Matrix::try_zeros(self.rows, d)?;
        let block = n.div_ceil(16).next_multiple_of(SRHT_BLOCK).max(SRHT_BLOCK);
        if n <= block {
            add(0, n, &mut total);
            return Ok(total);
        }
        let parts: Vec<Result<Matrix, LinalgError>> = (0..n.div_ceil(block))
            .into_par_iter()
            .map(|b| {
                let mut part = Matrix::try_zeros(self.rows, d)?;
                add(b * block, ((b + 1) * block).min(n), &mut part);
                Ok(part)
            })
            .collect();
        for part in parts {
            sums::axpy(1.0, part?.as_slice(), total.as_mut_slice());
        }
        Ok(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CooBuilder, Duplicates, factor};

    const KINDS: [Kind; 4] = [Kind::Gaussian, Kind::SparseSign, Kind::CountSketch, Kind::Srht];

    /// LA-10: with 8d rows (40d for CountSketch) the singular values of `S Q` lie in [½, 3/2] for 30 seeds on an incoherent
    /// and a coherent orthonormal `Q`. √(d/s) is 0.35, and Gaussian sketches of this shape leave the interval with
    /// probability below e⁻⁸ (Davidson and Szarek, at t = 0.15·√s); the bound for 210 runs is 2 failures. CountSketch is left
    /// out on the coherent one: two spikes meet in one row with probability about d²/2s, its known weakness.
    #[test]
    fn sketches_embed_subspaces() {
        let d = 16;
        let mut rng = Streams::new(1).stream(0);
        let dense = Matrix::from_fn(1500, d, |_, _| normal(&mut rng));
        let incoherent = factor::dense_svd(&dense).unwrap().u;
        let spikes = Matrix::from_fn(1500, d, |i, j| if i == 91 * j { 1.0 } else { 0.0 });
        let robust = [Kind::Gaussian, Kind::SparseSign, Kind::Srht];
        let mut failures = 0;
        for (basis, kinds) in [(&incoherent, &KINDS[..]), (&spikes, &robust)] {
            for &kind in kinds {
                let rows = if kind == Kind::CountSketch { 40 * d } else { 8 * d };
                for seed in 0..30 {
                    let s = Sketch::new(kind, rows, seed).unwrap().apply(basis).unwrap();
                    let values = factor::dense_svd(&s).unwrap().s;
                    failures += usize::from(values[0] > 1.5 || values[d - 1] < 0.5);
                }
            }
        }
        assert!(failures <= 2, "{failures} of 210");
    }

    /// LA-10: shards add up to the whole, sparse equals dense, threads change no bit.
    #[test]
    fn shards_and_storage_do_not_change_the_sketch() {
        let (n, d) = (3 * SRHT_BLOCK + 100, 3);
        let mut coo = CooBuilder::new(n, d);
        let s = Streams::new(3);
        for i in 0..n {
            for j in 0..d {
                if s.uniform((i * d + j) as u64) < 0.3 {
                    coo.push(i, j, (i % 5) as f64 - 2.0).unwrap();
                }
            }
        }
        let sparse = coo.build(Duplicates::Error).unwrap();
        let dense = sparse.copy_to_dense();
        for kind in KINDS {
            let sketch = Sketch::new(kind, 50, 9).unwrap();
            let whole = sketch.apply(&dense).unwrap();
            let from_sparse = sketch.apply_csr(&sparse).unwrap();
            let mut sharded = Matrix::zeros(50, d);
            for (b, shard) in dense.as_slice().chunks(2 * SRHT_BLOCK * d).enumerate().rev() {
                sketch.accumulate((b * 2 * SRHT_BLOCK) as u64, shard, &mut sharded);
            }
            for ((a, b), c) in whole.as_slice().iter().zip(from_sparse.as_slice()).zip(sharded.as_slice()) {
                assert!((a - b).abs() < 1e-10 && (a - c).abs() < 1e-10, "{kind:?}: {a} {b} {c}");
            }
            let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
            assert_eq!(one.install(|| sketch.apply(&dense).unwrap()), whole);
        }
        assert!(Sketch::new(Kind::SparseSign, 7, 0).is_err());
    }
}
