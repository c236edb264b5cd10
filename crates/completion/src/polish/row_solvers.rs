//! The least squares of one row, in other ways than all rows at once by Cholesky: one row alone, warm conjugate gradients,
//! sketch and precondition (arXiv 2302.11068), non-negative.
use rayon::prelude::*;
use samplewise_linalg::batched::SmallReal;
use samplewise_linalg::random::{Streams, below};
use samplewise_linalg::{Matrix, Real, factor, fwht, sums};

use crate::data::entries::Orientation;
use crate::data::ridge::Ridge;
use crate::kernel::{Descent, KernelReal, Panel};

/// All rows of a half step.
#[derive(Clone, Copy)]
pub(crate) struct Dense<'a, T: Real> {
    pub entries: &'a Orientation<T>,
    /// In the order of the entries.
    pub targets: &'a [T],
    pub features: &'a Matrix<T>,
    pub ridge: Ridge,
    /// Ridge of the bias, which is the last feature, if there are biases.
    pub bias: Option<f64>,
}

impl<T: Real> Dense<'_, T> {
    /// Ridge of unknown `c` of row `i`.
    fn penalty(&self, i: usize, c: usize) -> f64 {
        match self.bias {
            Some(bias) if c + 1 == self.features.columns() => bias,
            _ => self.ridge.of(self.entries.count(i)),
        }
    }
}

/// One row: its features in double precision, scaled by the roots of the weights, and its normal equations.
pub(crate) struct Work {
    d: usize,
    /// `|Ω_i| × d`.
    rows: Vec<f64>,
    targets: Vec<f64>,
    gram: Vec<f64>,
    right: Vec<f64>,
}

impl Work {
    pub fn new(d: usize) -> Self {
        Self { d, rows: Vec::new(), targets: Vec::new(), gram: vec![0.0; d * d], right: vec![0.0; d] }
    }

    fn gather<T: Real>(&mut self, dense: &Dense<'_, T>, i: usize) {
        let (indices, _, weights) = dense.entries.row(i);
        self.rows.clear();
        self.targets.clear();
        for (p, position) in dense.entries.values.row_range(i).enumerate() {
            let scale = weights.map_or(1.0, |w| w[p].to_f64().sqrt());
            self.rows.extend(dense.features.row(indices[p] as usize).iter().map(|f| scale * f.to_f64()));
            self.targets.push(scale * dense.targets[position].to_f64());
        }
    }

    /// Lower triangle of the Gram matrix without a ridge, and the right-hand side.
    fn normal_equations(&mut self) {
        let d = self.d;
        self.gram.fill(0.0);
        self.right.fill(0.0);
        for (feature, &target) in self.rows.chunks_exact(d).zip(&self.targets) {
            for a in 0..d {
                sums::axpy(feature[a], &feature[..=a], &mut self.gram[a * d..=a * d + a]);
            }
            sums::axpy(target, feature, &mut self.right);
        }
    }

    /// The exact answer, with a ridge of `floor` times the mean diagonal on top; zero without entries.
    pub fn solve<T: Real>(&mut self, dense: &Dense<'_, T>, i: usize, floor: f64) -> &[f64] {
        let d = self.d;
        self.gather(dense, i);
        self.normal_equations();
        let trace: f64 = (0..d).map(|a| self.gram[a * d + a]).sum::<f64>() / d as f64;
        for a in 0..d {
            self.gram[a * d + a] += floor * trace + f64::MIN_POSITIVE + dense.penalty(i, a);
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
                    let s = row_i[j] - sums::dot(&row_i[..j], row_j);
                    row_i[j] = s / head[j * d + j];
                } else {
                    let s = row_i[i] - sums::dot(&row_i[..i], &row_i[..i]);
                    // A pivot lost to rounding: the direction is undetermined, and a huge pivot sets it to zero.
                    row_i[i] = if s > 0.0 { s.sqrt() } else { f64::MAX.sqrt() };
                }
            }
        }
        for i in 0..d {
            self.right[i] =
                (self.right[i] - sums::dot(&self.gram[i * d..i * d + i], &self.right[..i])) / self.gram[i * d + i];
        }
        for i in (0..d).rev() {
            let x = self.right[i] / self.gram[i * d + i];
            self.right[i] = x;
            for j in 0..i {
                self.right[j] -= x * self.gram[i * d + j];
            }
        }
    }

    /// `Aᵀ(t − A x) − ridge·x` into `self.right`.
    fn gradient(&mut self, x: &[f64], penalty: impl Fn(usize) -> f64) {
        self.right.iter_mut().zip(x).enumerate().for_each(|(c, (g, x))| *g = -penalty(c) * x);
        for (feature, &target) in self.rows.chunks_exact(self.d).zip(&self.targets) {
            sums::axpy(target - sums::dot(feature, x), feature, &mut self.right);
        }
    }

    /// `AᵀA p + ridge·p`.
    fn normal_product(&self, p: &[f64], penalty: impl Fn(usize) -> f64, out: &mut [f64]) {
        out.iter_mut().zip(p).enumerate().for_each(|(c, (o, p))| *o = penalty(c) * p);
        for feature in self.rows.chunks_exact(self.d) {
            sums::axpy(sums::dot(feature, p), feature, out);
        }
    }
}

/// Rows in parallel, each with the buffers of its thread; the sum of what `solve` returns, in row order.
fn each_row<T: SmallReal>(
    dense: &Dense<'_, T>,
    solution: &mut Matrix<T>,
    solve: impl Fn(&mut Work, usize, &mut [f64]) -> f64 + Sync,
) -> f64 {
    let d = dense.features.columns();
    let work: Vec<f64> = solution
        .as_mut_slice()
        .par_chunks_mut(d)
        .with_min_len(16)
        .enumerate()
        .map_init(
            || (Work::new(d), vec![0.0; d]),
            |(work, x), (i, out)| {
                if dense.entries.count(i) == 0 {
                    out.fill(T::default());
                    return 0.0;
                }
                x.iter_mut().zip(out.iter()).for_each(|(x, o)| *x = o.to_f64());
                work.gather(dense, i);
                let used = solve(work, i, x);
                out.iter_mut().zip(x.iter()).for_each(|(o, x)| *o = T::from_f64(*x));
                used
            },
        )
        .collect();
    sums::sum(&work)
}

/// Conjugate gradients from what `precondition` makes of the gradient, until `‖g‖` in that norm has fallen by `accuracy` or
/// `steps` are done; returns the steps.
fn descend(
    work: &mut Work,
    x: &mut [f64],
    penalty: impl Fn(usize) -> f64 + Copy,
    steps: usize,
    accuracy: f64,
    precondition: impl Fn(&mut [f64]),
) -> usize {
    let d = work.d;
    work.gradient(x, penalty);
    let mut g = work.right.clone();
    let mut z = g.clone();
    precondition(&mut z);
    let mut p = z.clone();
    let mut gamma = sums::dot(&g, &z);
    let goal = gamma * accuracy * accuracy;
    let mut q = vec![0.0; d];
    for step in 0..steps {
        if gamma.is_nan() || gamma <= goal || gamma <= f64::MIN_POSITIVE {
            return step;
        }
        work.normal_product(&p, penalty, &mut q);
        let curvature = sums::dot(&p, &q);
        if curvature.is_nan() || curvature <= 0.0 {
            return step;
        }
        sums::axpy(gamma / curvature, &p, x);
        sums::axpy(-gamma / curvature, &q, &mut g);
        z.copy_from_slice(&g);
        precondition(&mut z);
        let next = sums::dot(&g, &z);
        p.iter_mut().zip(&z).for_each(|(p, z)| *p = z + next / gamma * *p);
        gamma = next;
    }
    steps
}

/// Conjugate gradient steps per row from its present value, `steps` at most and fewer where the preconditioned gradient has
/// fallen by `accuracy`; preconditioned by what all features have in common: `|Ω_i|/n · VᵀV` plus the ridge. Cost
/// `4|Ω_i|k` multiplications per step.
pub(crate) fn conjugate_gradients<T: KernelReal>(
    dense: &Dense<'_, T>,
    steps: usize,
    accuracy: f64,
    solution: &mut Matrix<T>,
) -> f64 {
    let (n, d) = (dense.features.rows(), dense.features.columns());
    let wide = Matrix::from_fn(n, d, |j, c| dense.features[(j, c)].to_f64());
    let eigen = samplewise_linalg::gram::gram(&wide, None, None).and_then(|g| factor::symmetric_eigen(&g.matrix));
    let (values, vectors) = eigen.unwrap_or_else(|_| (vec![n as f64; d], Matrix::identity(d)));
    let ridges: Vec<T> = (0..solution.rows()).map(|i| T::from_f64(dense.ridge.of(dense.entries.count(i)))).collect();
    if Descent::<T>::fits(d) && ridges.iter().all(|r| r.is_finite()) {
        return in_registers(dense, &ridges, (steps, accuracy), (&values, &vectors), solution);
    }
    each_row(dense, solution, |work, i, x| {
        let count = work.targets.len();
        let ridge = dense.ridge.of(count);
        let share = count as f64 / n as f64;
        let scales: Vec<f64> = values.iter().map(|v| 1.0 / (share * v.max(0.0) + ridge + f64::MIN_POSITIVE)).collect();
        let precondition = |z: &mut [f64]| {
            // Q diag(scales) Qᵀ z.
            let mut rotated = vec![0.0; d];
            for (r, row) in z.iter().enumerate() {
                sums::axpy(*row, vectors.row(r), &mut rotated);
            }
            rotated.iter_mut().zip(&scales).for_each(|(z, s)| *z *= s);
            z.iter_mut().enumerate().for_each(|(r, z)| *z = sums::dot(vectors.row(r), &rotated));
        };
        let used = descend(work, x, |c| dense.penalty(i, c), steps, accuracy, precondition);
        ((2 + 2 * used) * count * d + (1 + used) * 2 * d * d) as f64
    })
}

/// All rows in the basis of the eigenvectors, where the preconditioner is diagonal.
fn in_registers<T: KernelReal>(
    dense: &Dense<'_, T>,
    ridges: &[T],
    (steps, accuracy): (usize, f64),
    (values, vectors): (&[f64], &Matrix),
    solution: &mut Matrix<T>,
) -> f64 {
    let features = dense.features;
    let (n, d, rows) = (features.rows(), features.columns(), solution.rows());
    let rotated = turned(features.as_slice(), d, d, vectors);
    let mut x = turned(solution.as_slice(), d, d, vectors);
    let padded = |v: &mut dyn Iterator<Item = f64>| -> Vec<T> {
        let mut out: Vec<T> = v.map(T::from_f64).collect();
        out.resize(rotated.width, T::default());
        out
    };
    // Directions without features must not lead the preconditioner.
    let largest = values.last().copied().unwrap_or(0.0);
    let least = largest * if size_of::<T>() == 4 { 1e-7 } else { 1e-15 };
    let moments = padded(&mut values.iter().map(|v| v.max(least) / n as f64));
    // The bias is a direction of its own in this basis.
    let direction = padded(&mut vectors.row(d - 1).iter().copied());
    let descent = Descent {
        entries: dense.entries,
        targets: dense.targets,
        features: &rotated,
        moments: &moments,
        ridges,
        bias: dense.bias.map(|bias| (T::from_f64(bias), &direction[..])),
        steps,
        accuracy: T::from_f64(accuracy),
    };
    let (entries, passes) = descent.run(&mut x);
    let back = turned(&x.data, x.width, d, &vectors.transpose());
    let parts = solution.as_mut_slice().par_chunks_mut(d).zip(back.data.par_chunks(back.width));
    parts.with_min_len(TURNED).for_each(|(x, b)| x.copy_from_slice(&b[..d]));
    (2 * entries * d + passes * d + (n + 2 * rows) * d * d) as f64
}

/// Rows that are turned at a time.
const TURNED: usize = 256;

/// Rows of `d` numbers, `apart` apart, in the basis of the columns of `by`.
fn turned<T: KernelReal>(rows: &[T], apart: usize, d: usize, by: &Matrix) -> Panel<T> {
    let mut out = Panel::<T>::zeros(rows.len() / apart, d);
    let width = out.width;
    let parts = out.data.par_chunks_mut(TURNED * width).zip(rows.par_chunks(TURNED * apart));
    parts.for_each(|(out, rows)| {
        let block = Matrix::from_fn(rows.len() / apart, d, |i, c| rows[i * apart + c].to_f64());
        let block = block.multiply(by).expect("as many columns as unknowns");
        for (i, out) in out.chunks_exact_mut(width).enumerate() {
            out.iter_mut().zip(block.row(i)).for_each(|(x, b)| *x = T::from_f64(*b));
        }
    });
    out
}

/// Most steps of a preconditioned row.
const SKETCH_STEPS: usize = 30;

/// The paper's row solver: a randomised Hadamard sketch of the row's features, the R factor of the sketch as
/// preconditioner, and conjugate gradients from the row's present value until the gradient has fallen by `accuracy`. Rows
/// with fewer than twice the rows of the sketch take the R factor of their features themselves.
pub(crate) fn sketched<T: SmallReal>(
    dense: &Dense<'_, T>,
    accuracy: f64,
    rows_per_unknown: usize,
    seed: u64,
    solution: &mut Matrix<T>,
) -> f64 {
    let d = dense.features.columns();
    let sketch_rows = rows_per_unknown * d;
    each_row(dense, solution, |work, i, x| {
        let count = work.targets.len();
        let (small, mut used) = if count >= 2 * sketch_rows {
            hadamard_sketch(&work.rows, d, sketch_rows, Streams::new(seed).child(i as u64))
        } else {
            (Matrix::from_vec(count, d, work.rows.clone()).expect("whole rows"), 0.0)
        };
        // The ridge belongs to the preconditioner as well: its roots are d more rows.
        let root: Vec<f64> = (0..d).map(|c| dense.penalty(i, c).sqrt()).collect();
        let floor = 1e-8 * small.norm() / (d as f64).sqrt() + f64::MIN_POSITIVE;
        let stacked = Matrix::from_fn(small.rows() + d, d, |r, c| {
            if r < small.rows() {
                small[(r, c)]
            } else if r - small.rows() == c {
                root[c].max(floor)
            } else {
                0.0
            }
        });
        let r = samplewise_linalg::tsqr::tsqr(&stacked).expect("rows are finite").r;
        used += (stacked.rows() * d * d) as f64;
        let precondition = |z: &mut [f64]| {
            factor::solve_upper_transpose_in_place(&r, z);
            factor::solve_upper_in_place(&r, z);
        };
        let steps = descend(work, x, |c| dense.penalty(i, c), SKETCH_STEPS, accuracy, precondition);
        used + ((2 + 2 * steps) * count * d + (1 + steps) * d * d) as f64
    })
}

/// `s` rows of `√(1/s)·H D A`, and the multiplications.
fn hadamard_sketch(rows: &[f64], d: usize, s: usize, streams: Streams) -> (Matrix, f64) {
    let count = rows.len() / d;
    let padded = count.next_power_of_two();
    let mut columns = vec![0.0; d * padded];
    for (p, row) in rows.chunks_exact(d).enumerate() {
        let sign = if streams.bits(p as u64) & 1 == 0 { 1.0 } else { -1.0 };
        row.iter().enumerate().for_each(|(c, v)| columns[c * padded + p] = sign * v);
    }
    fwht::fwht_blocks_in_place(&mut columns, padded);
    let mut rng = streams.stream(u64::MAX);
    let picked: Vec<usize> = (0..s).map(|_| below(&mut rng, padded)).collect();
    // H/√padded is orthogonal; sampling s of padded rows scales by √(padded/s).
    let scale = (s as f64).sqrt().recip();
    let out = Matrix::from_fn(s, d, |r, c| scale * columns[c * padded + picked[r]]);
    (out, (d * padded) as f64 * f64::from(padded.ilog2()))
}

/// Sweeps of coordinate descent over a non-negative row.
const NON_NEGATIVE_SWEEPS: usize = 12;

/// Coordinate descent with every unknown at least zero, except the bias. Cost that of the normal equations, and
/// `12 d²` per row.
pub(crate) fn non_negative<T: SmallReal>(dense: &Dense<'_, T>, solution: &mut Matrix<T>) -> f64 {
    let d = dense.features.columns();
    each_row(dense, solution, |work, i, x| {
        work.normal_equations();
        let free = dense.bias.map(|_| d - 1);
        let gram = |a: usize, b: usize, g: &[f64]| if a >= b { g[a * d + b] } else { g[b * d + a] };
        for _ in 0..NON_NEGATIVE_SWEEPS {
            for c in 0..d {
                let curvature = work.gram[c * d + c] + dense.penalty(i, c);
                if curvature > 0.0 {
                    let product: f64 = (0..d).map(|b| gram(c, b, &work.gram) * x[b]).sum();
                    let step = (work.right[c] - product - dense.penalty(i, c) * x[c]) / curvature;
                    x[c] = if free == Some(c) { x[c] + step } else { (x[c] + step).max(0.0) };
                }
            }
        }
        (work.targets.len() * (d * d + 3 * d) / 2 + NON_NEGATIVE_SWEEPS * d * d) as f64
    })
}
