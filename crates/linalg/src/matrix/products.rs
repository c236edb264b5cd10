//! Products of dense tables with vectors and matrices: the same bits for every thread count and storage order.
use rayon::prelude::*;

use crate::dense::ROW_BLOCK;
use crate::observe::{Observer, Progress, Watch, blocks_between_looks};
use crate::{LinalgError, Matrix, MatrixView, sums};

/// Entries of a table from which a product with a vector is worth a parallel call.
const PARALLEL: usize = 1 << 15;

impl MatrixView<'_, f64> {
    /// `self · other`, in fixed row blocks: the same bits for every thread count. Cost `2·m·k·n` flops.
    ///
    /// # Errors
    /// [`LinalgError::Shape`] when the inner dimensions differ; [`LinalgError::TooLarge`].
    pub fn multiply(&self, other: &Matrix) -> Result<Matrix, LinalgError> {
        self.multiply_observed(other, &mut ())
    }

    /// [`MatrixView::multiply`] with cancellation; the observer is asked at least every 50 ms of one core up to about 350
    /// columns on both sides, beyond that after every 1,024 rows of each thread.
    ///
    /// # Errors
    /// As [`MatrixView::multiply`]; [`LinalgError::Interrupted`] when the observer stops it.
    pub fn multiply_observed(&self, other: &Matrix, observer: &mut dyn Observer) -> Result<Matrix, LinalgError> {
        if self.columns() != other.rows() {
            return Err(LinalgError::Shape {
                argument: "other",
                rows: other.rows(),
                columns: other.columns(),
                expected: format!("{} rows", self.columns()),
            });
        }
        let mut out = Matrix::try_zeros(self.rows(), other.columns())?;
        let (k, n) = (self.columns(), other.columns());
        if k == 0 || n == 0 || self.rows() == 0 {
            return Ok(out);
        }
        let right = faer::MatRef::from_row_major_slice(other.as_slice(), k, n);
        let mut watch = Watch::new(observer);
        let wave = ROW_BLOCK * blocks_between_looks(ROW_BLOCK * k * n);
        let block = |gathered: &mut Vec<f64>, (first, c): (usize, &mut [f64])| {
            let rows = c.len() / n;
            let a = if let Some(all) = self.as_row_major() {
                &all[first * k..][..rows * k]
            } else {
                // Entries that stand elsewhere are multiplied in the order in which they would stand in a copy.
                gathered.resize(rows * k, 0.0);
                self.gather(first, rows, k, gathered);
                &gathered[..]
            };
            faer::linalg::matmul::matmul(
                faer::MatMut::from_row_major_slice_mut(c, rows, n),
                faer::Accum::Replace,
                faer::MatRef::from_row_major_slice(a, rows, k),
                right,
                1.0,
                faer::Par::Seq,
            );
        };
        for (w, part) in out.as_mut_slice().chunks_mut(wave.saturating_mul(n)).enumerate() {
            let (from, to) = (w * wave, w * wave + part.len() / n);
            let blocks = part.par_chunks_mut(ROW_BLOCK * n).enumerate().map(|(b, c)| (from + b * ROW_BLOCK, c));
            blocks.for_each_init(Vec::new, block);
            let progress = || Progress { stage: "product", step: to, total: Some(self.rows()), value: None };
            if to < self.rows() && watch.ticks(progress) {
                return Err(LinalgError::Interrupted);
            }
        }
        Ok(out)
    }

    /// `self · x` into `y`.
    ///
    /// # Panics
    /// When a length does not match; the lengths are the caller's own.
    pub fn multiply_vector_into(&self, x: &[f64], y: &mut [f64]) {
        let (m, n) = (self.rows(), self.columns());
        assert!(x.len() == n && y.len() == m, "{m}x{n} times {}", x.len());
        let block = |first: usize, y: &mut [f64]| {
            self.for_rows(first..first + y.len(), |i, row| y[i - first] = sums::dot(row, x));
        };
        if m * n < PARALLEL {
            block(0, y);
        } else {
            y.par_chunks_mut(ROW_BLOCK).enumerate().for_each(|(b, part)| block(b * ROW_BLOCK, part));
        }
    }

    /// `selfᵀ · x` into `y`, rows combined in fixed blocks.
    ///
    /// # Panics
    /// When a length does not match.
    pub fn multiply_transpose_vector_into(&self, x: &[f64], y: &mut [f64]) {
        let (m, n) = (self.rows(), self.columns());
        assert!(x.len() == m && y.len() == n, "({m}x{n})ᵀ times {}", x.len());
        y.fill(0.0);
        let add_rows = |block: usize, acc: &mut [f64]| {
            let rows = block * ROW_BLOCK..((block + 1) * ROW_BLOCK).min(m);
            self.for_rows(rows, |i, row| sums::axpy(x[i], row, acc));
        };
        let blocks = m.div_ceil(ROW_BLOCK);
        if m * n < PARALLEL {
            let mut acc = vec![0.0; n];
            for block in 0..blocks {
                acc.fill(0.0);
                add_rows(block, &mut acc);
                sums::axpy(1.0, &acc, y);
            }
        } else {
            let parts: Vec<Vec<f64>> = (0..blocks)
                .into_par_iter()
                .map(|block| {
                    let mut acc = vec![0.0; n];
                    add_rows(block, &mut acc);
                    acc
                })
                .collect();
            for part in parts {
                sums::axpy(1.0, &part, y);
            }
        }
    }
}

impl Matrix<f64> {
    /// `self · other`, in fixed row blocks: the same bits for every thread count. Cost `2·m·k·n` flops.
    ///
    /// # Errors
    /// [`LinalgError::Shape`] when the inner dimensions differ; [`LinalgError::TooLarge`].
    pub fn multiply(&self, other: &Matrix) -> Result<Matrix, LinalgError> {
        self.view().multiply(other)
    }

    /// `self · x` into `y`.
    ///
    /// # Panics
    /// When a length does not match; the lengths are the caller's own.
    pub fn multiply_vector_into(&self, x: &[f64], y: &mut [f64]) {
        self.view().multiply_vector_into(x, y);
    }

    /// `selfᵀ · x` into `y`, rows combined in fixed blocks.
    ///
    /// # Panics
    /// When a length does not match.
    pub fn multiply_transpose_vector_into(&self, x: &[f64], y: &mut [f64]) {
        self.view().multiply_transpose_vector_into(x, y);
    }

    /// `‖b − self·x‖`, and `selfᵀ(b − self·x)` into `gradient`, in one pass; rows combined in fixed blocks.
    ///
    /// # Panics
    /// When a length does not match.
    pub(crate) fn residual_and_gradient(&self, x: &[f64], b: &[f64], gradient: &mut [f64]) -> f64 {
        let (n, d) = (self.rows(), self.columns());
        assert!(x.len() == d && gradient.len() == d && b.len() == n, "{n}x{d}: {}, {}", x.len(), b.len());
        gradient.fill(0.0);
        if d == 0 {
            return sums::norm(b);
        }
        let part = |(rows, b): (&[f64], &[f64])| {
            let mut acc = vec![0.0; d];
            let squares = pulp::Arch::new().dispatch(Normal { rows, b, x, acc: &mut acc });
            (acc, squares)
        };
        let (rows, targets) = (self.as_slice().par_chunks(ROW_BLOCK * d), b.par_chunks(ROW_BLOCK));
        let parts: Vec<(Vec<f64>, f64)> = if n * d < PARALLEL {
            self.as_slice().chunks(ROW_BLOCK * d).zip(b.chunks(ROW_BLOCK)).map(part).collect()
        } else {
            rows.zip(targets).map(part).collect()
        };
        let mut squares = 0.0;
        for (acc, partial) in parts {
            sums::axpy(1.0, &acc, gradient);
            squares += partial;
        }
        squares.sqrt()
    }

    /// The Frobenius norm: the root of the sum of all squares.
    pub fn norm(&self) -> f64 {
        sums::norm(self.as_slice())
    }
}

/// Residuals of consecutive rows and what they add to the gradient; returns the sum of their squares.
struct Normal<'a> {
    rows: &'a [f64],
    b: &'a [f64],
    x: &'a [f64],
    acc: &'a mut [f64],
}

impl pulp::WithSimd for Normal<'_> {
    type Output = f64;

    // Products are not fused, so that every instruction set gives the same bits.
    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> f64 {
        const L: usize = 16;
        let (x_blocks, x_tail) = self.x.as_chunks::<L>();
        let mut squares = 0.0;
        for (row, &b) in self.rows.chunks_exact(self.x.len()).zip(self.b) {
            let (blocks, tail) = row.as_chunks::<L>();
            let mut lanes = [0.0; L];
            for (a, x) in blocks.iter().zip(x_blocks) {
                for l in 0..L {
                    lanes[l] += a[l] * x[l];
                }
            }
            for half in [L / 2, L / 4] {
                for l in 0..half {
                    lanes[l] += lanes[l + half];
                }
            }
            let mut sum = (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
            for (a, x) in tail.iter().zip(x_tail) {
                sum += a * x;
            }
            let r = b - sum;
            squares += r * r;
            for (g, a) in self.acc.iter_mut().zip(row) {
                *g += r * a;
            }
        }
        squares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_equal_the_triple_loop() {
        let a = Matrix::from_fn(37, 11, |i, j| ((i * 7 + j * 3) % 13) as f64 - 6.0);
        let b = Matrix::from_fn(11, 5, |i, j| ((i * 5 + j) % 7) as f64 - 3.0);
        let c = a.multiply(&b).unwrap();
        // Small integers: every order of summation is exact, so this is equality.
        for i in 0..37 {
            for j in 0..5 {
                assert_eq!(c[(i, j)], (0..11).map(|k| a[(i, k)] * b[(k, j)]).sum::<f64>());
            }
        }
        let x: Vec<f64> = (0..37).map(|i| f64::from(i % 5)).collect();
        let mut y = vec![f64::NAN; 11];
        a.multiply_transpose_vector_into(&x, &mut y);
        for j in 0..11 {
            assert_eq!(y[j], (0..37).map(|i| a[(i, j)] * x[i]).sum::<f64>());
        }
    }
}
