//! One half step: with one factor fixed, every row of the other is a small ridge problem, solved exactly by Cholesky,
//! many rows at a time.
use rayon::prelude::*;
use samplewise_linalg::small::{MAX_UNKNOWNS, Penalty, solve_penalised};
use samplewise_linalg::{Matrix, chunk};

use crate::entries::Orientation;

/// The penalty of one half step.
#[derive(Clone, Copy, Debug)]
pub struct Ridge {
    /// `λ`.
    pub lambda: f64,
    /// Exponent of the number of entries.
    pub exponent: f64,
    /// Ridge of the bias, if biases are fitted.
    pub bias: Option<f64>,
}

/// Of the mean diagonal, added to every problem: decides what too few entries leave open.
const FLOOR: f64 = 1e-12;

/// Solves for all rows of `factors` (and `biases`), given the other side (row COM-2).
///
/// Cost `|Ω|·k² + rows·k³/3` multiplications; `k` grows by one with biases. Rows without entries become zero. Rows
/// whose problem is singular (too few entries at `λ = 0`) get a ridge of 1e-12 of the mean diagonal; what rounding makes
/// indefinite all the same is solved once more, one row at a time, with its lost directions set to zero, and so is
/// every row beyond 128 unknowns.
pub(crate) fn half_step(
    entries: &Orientation,
    other: &Matrix,
    other_biases: &[f64],
    mean: f64,
    ridge: Ridge,
    factors: &mut Matrix,
    biases: &mut [f64],
) {
    let (k, rows) = (other.columns(), factors.rows());
    let d = k + usize::from(ridge.bias.is_some());
    if d == 0 {
        return;
    }
    // The last feature, if there are biases, is the constant 1.
    let widened = ridge.bias.map(|_| Matrix::from_fn(other.rows(), d, |j, c| if c < k { other[(j, c)] } else { 1.0 }));
    let features = widened.as_ref().unwrap_or(other);
    let targets: Vec<f64> = entries
        .values
        .values()
        .par_iter()
        .zip(entries.values.indices())
        .with_min_len(1 << 14)
        .map(|(value, &j)| value - mean - other_biases[j as usize])
        .collect();
    let ridges: Vec<f64> =
        (0..rows).map(|i| ridge.lambda * (entries.values.row_range(i).len() as f64).powf(ridge.exponent)).collect();
    let weights = (!entries.weights.is_empty()).then_some(&entries.weights[..]);
    let penalty = Penalty { ridge: &ridges, last: ridge.bias, floor: FLOOR };
    let mut solution = Matrix::zeros(rows, d);
    let solved = if d <= MAX_UNKNOWNS {
        // Numbers out of range, after divergence, are refused: the rows below then carry them on, to be seen by the path.
        solve_penalised(features, &entries.values, &targets, weights, &penalty, &mut solution)
            .unwrap_or_else(|_| vec![false; rows])
    } else {
        vec![false; rows]
    };
    if solved.contains(&false) {
        solution.as_mut_slice().par_chunks_mut(d).zip(&solved).enumerate().for_each_init(
            || Work::new(d),
            |work, (i, (x, solved))| {
                if !solved {
                    let (indices, _, weights) = entries.row(i);
                    let row = (indices, &targets[entries.values.row_range(i)], weights);
                    x.copy_from_slice(work.solve(row, features, ridges[i], ridge.bias));
                }
            },
        );
    }
    for i in 0..rows {
        let row = solution.row(i);
        factors.row_mut(i).copy_from_slice(&row[..k]);
        if ridge.bias.is_some() {
            biases[i] = row[k];
        }
    }
}

/// One row at a time.
struct Work {
    d: usize,
    gram: Vec<f64>,
    right: Vec<f64>,
}

impl Work {
    fn new(d: usize) -> Self {
        Self { d, gram: vec![0.0; d * d], right: vec![0.0; d] }
    }

    fn solve(
        &mut self,
        (indices, targets, weights): (&[u32], &[f64], Option<&[f64]>),
        features: &Matrix,
        ridge: f64,
        last: Option<f64>,
    ) -> &[f64] {
        let d = self.d;
        self.gram.fill(0.0);
        self.right.fill(0.0);
        if indices.is_empty() {
            return &self.right;
        }
        for (p, (&j, &target)) in indices.iter().zip(targets).enumerate() {
            let w = weights.map_or(1.0, |w| w[p]);
            let feature = features.row(j as usize);
            for a in 0..d {
                let wa = w * feature[a];
                let row = &mut self.gram[(a * d)..=(a * d + a)];
                for (g, f) in row.iter_mut().zip(feature) {
                    *g += wa * f;
                }
                self.right[a] += target * wa;
            }
        }
        let trace: f64 = (0..d).map(|a| self.gram[a * d + a]).sum::<f64>() / d as f64;
        let floor = FLOOR * trace + f64::MIN_POSITIVE;
        for a in 0..d {
            self.gram[a * d + a] += floor + if a + 1 == d { last.unwrap_or(ridge) } else { ridge };
        }
        self.cholesky_solve();
        &self.right
    }

    fn cholesky_solve(&mut self) {
        let d = self.d;
        for i in 0..d {
            for j in 0..=i {
                let (head, tail) = self.gram.split_at_mut(i * d);
                let row_i = &mut tail[..d];
                let row_j: &[f64] = if j < i { &head[j * d..j * d + j] } else { &[] };
                if j < i {
                    let s = row_i[j] - chunk::dot(&row_i[..j], row_j);
                    row_i[j] = s / head[j * d + j];
                } else {
                    let s = row_i[i] - chunk::dot(&row_i[..i], &row_i[..i]);
                    // A pivot lost to rounding: the direction is undetermined, and a huge pivot sets it to zero.
                    row_i[i] = if s > 0.0 { s.sqrt() } else { f64::MAX.sqrt() };
                }
            }
        }
        for i in 0..d {
            self.right[i] =
                (self.right[i] - chunk::dot(&self.gram[i * d..i * d + i], &self.right[..i])) / self.gram[i * d + i];
        }
        for i in (0..d).rev() {
            let x = self.right[i] / self.gram[i * d + i];
            self.right[i] = x;
            for j in 0..i {
                self.right[j] -= x * self.gram[i * d + j];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use samplewise_linalg::random::Streams;

    use super::*;
    use crate::Entries;

    /// COM-2: all rows at once are equal to one row at a time, with and without weights and biases, on rows with no entry,
    /// too few and enough.
    #[test]
    fn half_steps_equal_one_row_at_a_time() {
        let (m, n) = (70, 30);
        for (case, (k, bias, weighted)) in
            [(1, None, false), (4, Some(0.5), true), (9, None, true), (0, Some(0.5), false)].into_iter().enumerate()
        {
            let s = Streams::new(case as u64);
            let draw = |i: usize| s.uniform(i as u64) - 0.5;
            let seen: Vec<(usize, usize, f64)> = (0..m * n)
                .filter(|c| c / n % 10 != 3 && s.uniform((10_000 + c) as u64) < (c / n % 10) as f64 / 10.0)
                .map(|c| (c / n, c % n, 3.0 * draw(20_000 + c)))
                .collect();
            let weights: Vec<f64> = (0..seen.len()).map(|p| 0.5 + s.uniform((30_000 + p) as u64)).collect();
            let entries = Entries::new(m, n, &seen, weighted.then_some(&weights[..])).unwrap();
            let other = Matrix::from_fn(n, k, |j, c| draw(40_000 + j * 16 + c));
            let offsets: Vec<f64> = (0..n).map(|j| draw(50_000 + j)).collect();
            let ridge = Ridge { lambda: 0.01, exponent: 0.5, bias };
            let (mut factors, mut biases) = (Matrix::zeros(m, k), vec![0.0; m]);
            half_step(&entries.by_row, &other, &offsets, 0.2, ridge, &mut factors, &mut biases);
            let d = k + usize::from(bias.is_some());
            let features = Matrix::from_fn(n, d, |j, c| if c < k { other[(j, c)] } else { 1.0 });
            let mut work = Work::new(d);
            for i in 0..m {
                let (indices, values, weights) = entries.by_row.row(i);
                let targets: Vec<f64> =
                    indices.iter().zip(values).map(|(&j, v)| v - 0.2 - offsets[j as usize]).collect();
                let penalty = 0.01 * (indices.len() as f64).sqrt();
                let x = work.solve((indices, &targets, weights), &features, penalty, bias);
                let found = factors.row(i).iter().chain(bias.map(|_| &biases[i]));
                assert!(found.zip(x).all(|(a, b)| (a - b).abs() < 1e-9), "case {case}, row {i}");
            }
        }
    }
}
