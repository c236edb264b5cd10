//! Least squares of a known support on all samples, and the errors that come with it.
//!
//! Columns are ±1, so they are kept as bits: their Gram matrix is population counts, and products with a real vector are
//! sums over byte tables.
use std::ops::ControlFlow;

use rayon::prelude::*;
use samplewise_linalg::factor::Cholesky;
use samplewise_linalg::observe::Watch;
use samplewise_linalg::{Matrix, Progress};

use crate::field::bits::Bits;

/// The points, a row of bits for each variable.
pub(crate) struct Columns {
    of_variable: Vec<Vec<u64>>,
    words: usize,
}

impl Columns {
    pub(crate) fn new<I: Bits>(points: &[I], variables: usize) -> Self {
        let words = points.len().div_ceil(64);
        let mut of_variable = vec![vec![0_u64; words]; variables];
        for (i, m) in points.iter().enumerate() {
            m.for_each_one(|v| of_variable[v][i / 64] |= 1 << (i % 64));
        }
        Self { of_variable, words }
    }

    /// `(−1)^⟨m,k⟩` over the points `m`, one bit each: set where the sign is negative.
    pub(crate) fn of<I: Bits>(&self, k: I) -> Vec<u64> {
        let mut out = vec![0; self.words];
        k.for_each_one(|v| out.iter_mut().zip(&self.of_variable[v]).for_each(|(o, w)| *o ^= w));
        out
    }
}

/// Products of many bit columns with one vector.
pub(crate) struct SignedSums {
    tables: Vec<[f64; 256]>,
    total: f64,
}

impl SignedSums {
    pub(crate) fn new(values: &[f64]) -> Self {
        let table = |part: &[f64]| {
            let mut table = [0.0; 256];
            for (bit, v) in part.iter().enumerate() {
                let (known, new) = table.split_at_mut(1 << bit);
                new.iter_mut().zip(known).for_each(|(n, k)| *n = *k + v);
            }
            table
        };
        Self { tables: values.chunks(8).map(table).collect(), total: values.iter().sum() }
    }

    /// `Σ_i ±values[i]`, negative where the bit is set.
    #[inline]
    pub(crate) fn product(&self, column: &[u64]) -> f64 {
        let mut sums = [0.0; 8];
        for (&word, tables) in column.iter().zip(self.tables.chunks(8)) {
            for (i, table) in tables.iter().enumerate() {
                sums[i] += table[(word >> (8 * i) & 255) as usize];
            }
        }
        let [a, b, c, d, e, f, g, h] = sums;
        self.total - 2.0 * (((a + b) + (c + d)) + ((e + f) + (g + h)))
    }
}

/// How standard errors are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Errors {
    /// From the residual variance and the inverse Gram matrix: right when what is left is noise of one size.
    #[default]
    Model,
    /// From each sample's own residual (HC1). Differs from the model's in small samples only: every sample weighs the same
    /// in every coefficient, so noise that depends on the point is averaged over either way.
    Sandwich,
}

/// A fit of a support.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// Coefficients, in the order of the support.
    pub values: Vec<f64>,
    /// Their standard errors.
    pub std_errors: Vec<f64>,
    /// Residual variance per sample, `RSS/(M − K)`.
    pub variance: f64,
}

/// Beyond these the fit costs more than the decode it follows: the Gram matrix takes `K²M/128` counts and `8K²` bytes.
const MAX_WORK: f64 = 4e12;
const MAX_SUPPORT: usize = 8_192;
/// Operations of a fit that is done without a look, some hundredths of a second: also after the observer has asked to stop.
const QUICK: f64 = 5e7;
/// Operations of one thread between two looks.
const LOOK: usize = 1 << 24;
/// Unknowns up to which a matrix is factored without a look.
const QUICK_FACTOR: usize = 512;

fn progress() -> Progress {
    Progress { stage: "least squares", step: 0, total: None, value: None }
}

/// Least squares of `values` on the signs of `support` at `points`, with a ridge on all but the index 0. `None` when there
/// are not more points than coefficients, the columns are dependent, the work would be out of proportion, or the observer ends
/// it. Fits of some hundredths of a second are done without asking.
///
/// Row WHT-5 of `paper-refs.md`.
pub fn least_squares<I: Bits>(
    points: &[I],
    values: &[f64],
    support: &[I],
    ridge: f64,
    errors: Errors,
    watch: &mut Watch<'_>,
) -> Option<Fit> {
    let (rows, size) = (points.len(), support.len());
    if rows <= size || size == 0 || size > MAX_SUPPORT || (size as f64).powi(2) * rows as f64 > MAX_WORK {
        return None;
    }
    if (size as f64).powi(2) * (rows as f64 / 64.0 + size as f64) <= QUICK {
        return fit(points, values, support, ridge, errors, &mut Watch::new(&mut ()));
    }
    fit(points, values, support, ridge, errors, watch)
}

fn fit<I: Bits>(
    points: &[I],
    values: &[f64],
    support: &[I],
    ridge: f64,
    errors: Errors,
    watch: &mut Watch<'_>,
) -> Option<Fit> {
    let (rows, size) = (points.len(), support.len());
    let variables = support.iter().fold(I::zero(), |all, &k| all | k);
    let variables = (0..I::WIDTH).rev().find(|&i| variables.bit(i)).map_or(0, |i| i + 1);
    let by_variable = Columns::new(&points.iter().map(|&m| m & I::ones(variables)).collect::<Vec<_>>(), variables);
    let columns: Vec<Vec<u64>> = support.iter().map(|&k| by_variable.of(k)).collect();
    let plain = gram(&columns, rows, watch)?;
    let mut matrix = plain.clone();
    for (i, k) in support.iter().enumerate() {
        if !k.is_zero() {
            matrix.row_mut(i)[i] += ridge;
        }
    }
    let factor = factored(matrix, watch)?;
    if factor.condition_at_least() > 1e10 {
        return None;
    }
    let sums = SignedSums::new(values);
    let products: Vec<f64> = columns.iter().map(|c| sums.product(c)).collect();
    let mut found = products.clone();
    factor.solve_in_place(&mut found);
    let freedom = (rows - size) as f64;
    // ‖x − Ab‖² from the Gram matrix, unless that would cancel.
    let energy: f64 = values.iter().map(|v| v * v).sum();
    let fitted: f64 = (0..size)
        .map(|i| found[i] * (2.0 * products[i] - plain.row(i).iter().zip(&found).map(|(g, b)| g * b).sum::<f64>()))
        .sum();
    let explicit = errors == Errors::Sandwich || energy - fitted < 1e-4 * energy;
    let residual = if explicit { residual(values, &columns, &found, watch)? } else { Vec::new() };
    let squares = if explicit { residual.iter().map(|r| r * r).sum() } else { energy - fitted };
    let variance = squares / freedom;
    let std_errors = match errors {
        Errors::Model => inverse_diagonal(factor.lower(), watch)?.iter().map(|d| (variance * d).sqrt()).collect(),
        Errors::Sandwich => {
            let mut inverse = Matrix::zeros(size, size);
            for i in 0..size {
                inverse.row_mut(i)[i] = 1.0;
                factor.solve_in_place(inverse.row_mut(i));
                if watch.ticks(progress) {
                    return None;
                }
            }
            // Σ_i e_i² (G⁻¹a_i)_k², a row of signs at a time.
            let mut meat = vec![0.0; size];
            let mut sum = vec![0.0; size];
            for (i, e) in residual.iter().enumerate() {
                sum.fill(0.0);
                for (j, c) in columns.iter().enumerate() {
                    let sign = if c[i / 64] >> (i % 64) & 1 == 1 { -1.0 } else { 1.0 };
                    sum.iter_mut().zip(inverse.row(j)).for_each(|(s, v)| *s += sign * v);
                }
                meat.iter_mut().zip(&sum).for_each(|(m, s)| *m += e * e * s * s);
                if watch.ticks(progress) {
                    return None;
                }
            }
            meat.iter().map(|m| (m * rows as f64 / freedom).sqrt()).collect()
        }
    };
    Some(Fit { values: found, std_errors, variance })
}

/// The factor of a positive definite matrix; none where it is not one, or where the observer ends it.
pub(crate) fn factored(matrix: Matrix, watch: &mut Watch<'_>) -> Option<Cholesky> {
    if matrix.rows() <= QUICK_FACTOR {
        return Cholesky::new(&matrix, 0.0).ok();
    }
    let look = &mut |_| if watch.ticks(progress) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    Cholesky::new_watched(matrix, look).ok().flatten()
}

/// Diagonal of `(LLᵀ)⁻¹`: the squared norms of the columns of `L⁻¹`. None where the observer ends it.
pub(crate) fn inverse_diagonal(lower: &Matrix, watch: &mut Watch<'_>) -> Option<Vec<f64>> {
    let size = lower.rows();
    let squares = |column: &mut Vec<f64>, i: usize| -> f64 {
        column[i] = 1.0 / lower.row(i)[i];
        for j in i + 1..size {
            column[j] = -samplewise_linalg::sums::dot(&lower.row(j)[i..j], &column[i..j]) / lower.row(j)[j];
        }
        column[i..].iter().map(|v| v * v).sum()
    };
    let mut out = vec![0.0; size];
    let together = between_looks(size * size / 2);
    for (part, columns) in out.chunks_mut(together).enumerate() {
        let one = |column: &mut Vec<f64>, (i, out): (usize, &mut f64)| *out = squares(column, part * together + i);
        columns.par_iter_mut().enumerate().with_min_len(8).for_each_init(|| vec![0.0; size], one);
        if watch.ticks(progress) && (part + 1) * together < size {
            return None;
        }
    }
    Some(out)
}

/// Tasks of so many operations each that all threads together do between two looks.
fn between_looks(operations: usize) -> usize {
    let threads = rayon::current_num_threads();
    (LOOK * threads / operations.max(1)).max(threads)
}

/// The Gram matrix of columns of `rows` signs; none where the observer ends it.
fn gram(columns: &[Vec<u64>], rows: usize, watch: &mut Watch<'_>) -> Option<Matrix> {
    let size = columns.len();
    let mut out = Matrix::zeros(size, size);
    let together = between_looks(size * rows.div_ceil(64));
    let arch = pulp::Arch::new();
    for (part, some) in out.as_mut_slice().chunks_mut(together * size).enumerate() {
        some.par_chunks_mut(size).enumerate().with_min_len(8).for_each(|(i, out)| {
            let row = part * together + i;
            arch.dispatch(GramRow { columns: &columns[..=row], rows, out });
        });
        if watch.ticks(progress) {
            return None;
        }
    }
    for i in 0..size {
        for j in 0..i {
            out[(j, i)] = out[(i, j)];
        }
    }
    Some(out)
}

/// Products of the last of some columns with all of them. Counts of bits that differ are what the CPU's own instruction does
/// best, where it has one.
struct GramRow<'a> {
    columns: &'a [Vec<u64>],
    rows: usize,
    out: &'a mut [f64],
}

impl pulp::WithSimd for GramRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Some(last) = self.columns.last() else { return };
        for (out, column) in self.out.iter_mut().zip(self.columns) {
            let mut differ = 0_u64;
            for (a, b) in last.iter().zip(column) {
                differ += u64::from((a ^ b).count_ones());
            }
            *out = self.rows as f64 - 2.0 * differ as f64;
        }
    }
}

/// `values − Σ_k found_k · column_k`; none where the observer ends it.
fn residual(values: &[f64], columns: &[Vec<u64>], found: &[f64], watch: &mut Watch<'_>) -> Option<Vec<f64>> {
    let mut out = values.to_vec();
    for (column, &v) in columns.iter().zip(found) {
        for (part, word) in out.chunks_mut(64).zip(column) {
            for (i, r) in part.iter_mut().enumerate() {
                *r -= if word >> i & 1 == 1 { -v } else { v };
            }
        }
        if watch.ticks(progress) {
            return None;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use samplewise_linalg::random::{Streams, normal};

    /// The fit is the one of the normal equations, and both errors are near the truth for noise of one size.
    #[test]
    fn the_fit_is_least_squares() {
        let mut rng = Streams::new(2).stream(0);
        let points: Vec<u64> = (0..500).map(|_| u64::random(16, &mut rng)).collect();
        let truth = [(0_u64, 3.0), (5, -1.0), (77, 0.5), (40_000, 2.0)];
        let values: Vec<f64> =
            points.iter().map(|&m| crate::dense::evaluate(&truth, m) + 0.3 * normal(&mut rng)).collect();
        let support: Vec<u64> = truth.iter().map(|t| t.0).collect();
        for errors in [Errors::Model, Errors::Sandwich] {
            let fit = least_squares(&points, &values, &support, 0.0, errors, &mut Watch::new(&mut ())).unwrap();
            for (k, v) in support.iter().zip(&fit.values) {
                let left: f64 = points
                    .iter()
                    .zip(&values)
                    .map(|(&m, x)| {
                        let all: Vec<(u64, f64)> = support.iter().copied().zip(fit.values.iter().copied()).collect();
                        (x - crate::dense::evaluate(&all, m)) * if m.parity(*k) { -1.0 } else { 1.0 }
                    })
                    .sum();
                assert!(left.abs() < 1e-9, "{v}: the residual is orthogonal to its column");
            }
            assert!((fit.variance.sqrt() - 0.3).abs() < 0.03);
            let expected = 0.3 / 500_f64.sqrt();
            assert!(fit.std_errors.iter().all(|s| (s / expected - 1.0).abs() < 0.15), "{:?}", fit.std_errors);
        }
        assert_eq!(
            least_squares(&points[..3], &values[..3], &support, 0.0, Errors::Model, &mut Watch::new(&mut ())),
            None
        );
        assert_eq!(least_squares(&points, &values, &[5, 5], 0.0, Errors::Model, &mut Watch::new(&mut ())), None);
    }
}
