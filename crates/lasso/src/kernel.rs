//! Correlations of many columns with eight residuals at once: each column is read once, not eight times.
use pulp::{Simd, WithSimd, bytemuck};
use rayon::prelude::*;
use samplewise_linalg::CsrMatrix;
use samplewise_linalg::batched::lanes::Lanes;
use samplewise_linalg::observe::{Progress, Watch};

use crate::problem::{Kind, Problem};

/// Residuals of a batch.
pub(crate) const BATCH: usize = 8;
/// Rows between two checks of bounds.
const ROWS: usize = 16;
/// Columns of a task.
const TASK: usize = 256;
/// Columns made at a time: as many as the kernel reads together.
const MADE: usize = 8;

/// `c_jk = (1/n) z_jᵀ r_k` for the columns listed; the residuals are orthogonal to the intercept.
/// The observer is asked on the way; what it says is for the caller to act on.
pub(crate) fn correlate(
    problem: &Problem<'_>,
    columns: &[usize],
    residuals: &[Vec<f64>],
    watch: &mut Watch<'_>,
) -> Vec<[f64; BATCH]> {
    assert!(residuals.len() <= BATCH, "{} residuals", residuals.len());
    let mut out = vec![[0.0; BATCH]; columns.len()];
    let n = problem.n;
    let seen: Vec<_> = residuals.iter().map(|r| problem.seen(r)).collect();
    let one_by_one = seen.len() == 1 || matches!(problem.columns, Kind::Custom(_));
    let interleaved = if one_by_one { Vec::new() } else { interleave(n, seen.iter().map(AsRef::as_ref)) };
    let task = |(out, columns): (&mut [[f64; BATCH]], &[usize])| {
        if one_by_one {
            for (out, &j) in out.iter_mut().zip(columns) {
                seen.iter().zip(out).for_each(|(r, out)| *out = problem.correlation(j, r));
            }
            return;
        }
        let (arch, residuals) = (pulp::Arch::new(), &interleaved[..]);
        match &problem.columns {
            Kind::Dense(dense) => match dense.as_stored() {
                Some(table) => arch.dispatch(Dense { table, n, columns, residuals, out }),
                None => correlate_made(dense, n, columns, residuals, out),
            },
            Kind::Sparse(table) => arch.dispatch(Sparse { table, columns, residuals, out }),
            Kind::Custom(_) => unreachable!("its columns go one by one"),
        }
        for (out, &j) in out.iter_mut().zip(columns) {
            let factor = problem.inverse[j] / n as f64;
            out.iter_mut().for_each(|c| *c *= factor);
        }
    };
    let together = problem.columns_between_looks(residuals.len()).next_multiple_of(TASK);
    for (part, (out, columns)) in out.chunks_mut(together).zip(columns.chunks(together)).enumerate() {
        out.par_chunks_mut(TASK).zip(columns.par_chunks(TASK)).for_each(task);
        let (step, total) = (part * together + columns.len(), Some(problem.p));
        watch.ticks(|| Progress { stage: "columns", step, total, value: None });
    }
    out
}

/// Columns that are not stored as they are read: a few at a time are written where the kernel finds them.
fn correlate_made(
    dense: &crate::problem::dense::Dense<'_>,
    n: usize,
    columns: &[usize],
    residuals: &[f64],
    out: &mut [[f64; BATCH]],
) {
    let mut table = vec![0.0; MADE * n];
    let numbers: [usize; MADE] = std::array::from_fn(|c| c);
    for (out, columns) in out.chunks_mut(MADE).zip(columns.chunks(MADE)) {
        table.chunks_exact_mut(n).zip(columns).for_each(|(made, &j)| dense.copy_part(j, 0, made));
        let columns = &numbers[..columns.len()];
        pulp::Arch::new().dispatch(Dense { table: &table, n, columns, residuals, out });
    }
}

/// `out_jk = Σ_i a_ji x_ki` for the rows of a dense matrix, each `n` long.
pub(crate) fn multiply(a: &[f64], n: usize, x: &[Vec<f64>]) -> Vec<[f64; BATCH]> {
    assert!(x.len() <= BATCH && x.iter().all(|x| x.len() == n), "{} vectors", x.len());
    let mut out = vec![[0.0; BATCH]; a.len() / n];
    let interleaved = interleave(n, x.iter().map(Vec::as_slice));
    out.par_chunks_mut(TASK).enumerate().for_each(|(t, out)| {
        let columns: Vec<usize> = (t * TASK..t * TASK + out.len()).collect();
        pulp::Arch::new().dispatch(Dense { table: a, n, columns: &columns, residuals: &interleaved, out });
    });
    out
}

/// Entry `i` of vector `k` at `8i + k`.
fn interleave<'a>(n: usize, vectors: impl Iterator<Item = &'a [f64]>) -> Vec<f64> {
    let mut out = vec![0.0; n * BATCH];
    for (k, r) in vectors.enumerate() {
        out.iter_mut().skip(k).step_by(BATCH).zip(r).for_each(|(t, v)| *t = *v);
    }
    out
}

struct Dense<'a> {
    table: &'a [f64],
    n: usize,
    columns: &'a [usize],
    residuals: &'a [f64],
    out: &'a mut [[f64; BATCH]],
}

impl WithSimd for Dense<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let rows: &[<S as Lanes<f64>>::V] = bytemuck::cast_slice(self.residuals);
        // One register per row of residuals: eight columns keep eight sums apart; two registers: four columns.
        if <S as Lanes<f64>>::WIDTH == BATCH {
            dense::<S, 8>(s, self.columns, self.table, self.n, rows, self.out);
        } else {
            dense::<S, 4>(s, self.columns, self.table, self.n, rows, self.out);
        }
    }
}

struct Sparse<'a> {
    table: &'a CsrMatrix,
    columns: &'a [usize],
    residuals: &'a [f64],
    out: &'a mut [[f64; BATCH]],
}

impl WithSimd for Sparse<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let rows: &[<S as Lanes<f64>>::V] = bytemuck::cast_slice(self.residuals);
        for (out, &j) in self.out.iter_mut().zip(self.columns) {
            let (at, values) = self.table.row(j);
            *out = sparse(s, at, values, rows);
        }
    }
}

/// `sums_c += x_c · row` for the columns `c`.
#[inline(always)]
fn add<S: Lanes<f64>, const C: usize>(s: S, x: [f64; C], row: &[S::V], sums: &mut [[S::V; BATCH]; C]) {
    for c in 0..C {
        let b = Lanes::splat(s, x[c]);
        for k in 0..BATCH / S::WIDTH {
            sums[c][k] = s.add_product(b, row[k], sums[c][k]);
        }
    }
}

#[inline(always)]
fn dense<S: Lanes<f64>, const C: usize>(
    s: S,
    columns: &[usize],
    table: &[f64],
    n: usize,
    rows: &[S::V],
    out: &mut [[f64; BATCH]],
) {
    let registers = BATCH / S::WIDTH;
    for (out, group) in out.chunks_mut(C).zip(columns.chunks(C)) {
        let mut x: [(&[[f64; ROWS]], &[f64]); C] = [(&[], &[]); C];
        for c in 0..C {
            // A short group repeats its last column.
            let j = group[c.min(group.len() - 1)];
            x[c] = table[j * n..(j + 1) * n].as_chunks();
        }
        let mut sums = [[s.splat(0.0); BATCH]; C];
        let (head, tail) = rows.split_at(x[0].0.len() * ROWS * registers);
        for (block, rows) in head.chunks_exact(ROWS * registers).enumerate() {
            let mut b = [&[0.0; ROWS]; C];
            for c in 0..C {
                b[c] = &x[c].0[block];
            }
            for (i, row) in rows.chunks_exact(registers).enumerate().take(ROWS) {
                let mut values = [0.0; C];
                for c in 0..C {
                    values[c] = b[c][i];
                }
                add::<S, C>(s, values, row, &mut sums);
            }
        }
        for (i, row) in tail.chunks_exact(registers).enumerate() {
            let mut values = [0.0; C];
            for c in 0..C {
                values[c] = x[c].1[i];
            }
            add::<S, C>(s, values, row, &mut sums);
        }
        for (out, sums) in out.iter_mut().zip(&sums) {
            out.copy_from_slice(bytemuck::cast_slice(&sums[..registers]));
        }
    }
}

#[inline(always)]
fn sparse<S: Lanes<f64>>(s: S, at: &[u32], values: &[f64], rows: &[S::V]) -> [f64; BATCH] {
    let registers = BATCH / S::WIDTH;
    // Two sums that alternate, so that one addition need not wait for the other.
    let mut sums = [[[s.splat(0.0); BATCH]; 1]; 2];
    let (pairs, last) = at.as_chunks::<2>();
    let (pair_values, last_value) = values.as_chunks::<2>();
    for (i, v) in pairs.iter().zip(pair_values) {
        add::<S, 1>(s, [v[0]], &rows[i[0] as usize * registers..][..registers], &mut sums[0]);
        add::<S, 1>(s, [v[1]], &rows[i[1] as usize * registers..][..registers], &mut sums[1]);
    }
    if let (Some(&i), Some(&v)) = (last.first(), last_value.first()) {
        add::<S, 1>(s, [v], &rows[i as usize * registers..][..registers], &mut sums[0]);
    }
    let [mut total, other] = [sums[0][0], sums[1][0]];
    let one = s.splat(1.0);
    for k in 0..registers {
        total[k] = s.add_product(one, other[k], total[k]);
    }
    let mut out = [0.0; BATCH];
    out.copy_from_slice(bytemuck::cast_slice(&total[..registers]));
    out
}
