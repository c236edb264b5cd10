//! One half step: with one factor fixed, every row of the other is a small ridge problem, solved exactly by Cholesky,
//! all rows in parallel.
use rayon::prelude::*;
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

/// Rows per unit of parallel work.
const BLOCK: usize = 16;

/// Solves for all rows of `factors` (and `biases`), given the other side (row COM-2).
///
/// Cost `|Ω|·k² + rows·k³/3` multiplications; `k` grows by one with biases. Rows without entries become zero. Rows
/// whose problem is singular (too few entries at `λ = 0`) get a ridge of 1e-12 of the mean diagonal.
pub(crate) fn half_step(
    entries: &Orientation,
    other: &Matrix,
    other_biases: &[f64],
    mean: f64,
    ridge: Ridge,
    factors: &mut Matrix,
    biases: &mut [f64],
) {
    let k = other.columns();
    let width = k.max(1);
    let rows = factors.rows();
    if k == 0 && ridge.bias.is_none() {
        return;
    }
    let mut flat = vec![0.0; rows * width];
    flat.par_chunks_mut(BLOCK * width).zip(biases.par_chunks_mut(BLOCK)).enumerate().for_each(|(b, (part, bias))| {
        let mut work = Work::new(k + usize::from(ridge.bias.is_some()));
        for (r, bias) in bias.iter_mut().enumerate() {
            let x = work.solve(entries.row(b * BLOCK + r), other, other_biases, mean, ridge);
            part[r * width..r * width + k].copy_from_slice(&x[..k]);
            if ridge.bias.is_some() {
                *bias = x[k];
            }
        }
    });
    if k > 0 {
        factors.as_mut_slice().copy_from_slice(&flat);
    }
}

/// Scratch of one thread: packed normal equations.
struct Work {
    d: usize,
    gram: Vec<f64>,
    right: Vec<f64>,
    feature: Vec<f64>,
}

impl Work {
    fn new(d: usize) -> Self {
        Self { d, gram: vec![0.0; d * d], right: vec![0.0; d], feature: vec![1.0; d] }
    }

    fn solve(
        &mut self,
        (indices, values, weights): (&[u32], &[f64], Option<&[f64]>),
        other: &Matrix,
        other_biases: &[f64],
        mean: f64,
        ridge: Ridge,
    ) -> &[f64] {
        let (d, k) = (self.d, other.columns());
        self.gram.fill(0.0);
        self.right.fill(0.0);
        if indices.is_empty() {
            return &self.right;
        }
        for (p, (&j, &value)) in indices.iter().zip(values).enumerate() {
            let j = j as usize;
            let w = weights.map_or(1.0, |w| w[p]);
            self.feature[..k].copy_from_slice(other.row(j)); // the last feature, if any, is the constant 1
            let target = w * (value - mean - other_biases[j]);
            for a in 0..d {
                let wa = w * self.feature[a];
                let row = &mut self.gram[(a * d)..=(a * d + a)];
                for (g, f) in row.iter_mut().zip(&self.feature) {
                    *g += wa * f;
                }
                self.right[a] += target * self.feature[a];
            }
        }
        let count = (indices.len() as f64).powf(ridge.exponent);
        let trace: f64 = (0..d).map(|a| self.gram[a * d + a]).sum::<f64>() / d as f64;
        let floor = 1e-12 * trace + f64::MIN_POSITIVE;
        for a in 0..d {
            self.gram[a * d + a] +=
                if a < k { ridge.lambda * count + floor } else { ridge.bias.unwrap_or(0.0) + floor };
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
