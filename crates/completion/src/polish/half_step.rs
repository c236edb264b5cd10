//! One half step: with one factor fixed, every row of the other is a small ridge problem.
use rayon::prelude::*;
use samplewise_linalg::Matrix;
use samplewise_linalg::batched::{MAX_UNKNOWNS, Penalty, SmallReal, solve_penalised};

use crate::data::entries::Orientation;
use crate::data::ridge::{Manner, Ridge, bias_ridge};
use crate::kernel::{Descent, KernelReal};
use crate::options::Solver;
use crate::polish::row_solvers::{self, Dense, Work};

/// Of the mean diagonal, added to every problem: decides what too few entries leave open.
const FLOOR: f64 = 1e-12;

/// Unknowns from which [`Manner::roughly`] is cheaper: exact rows cost in proportion to them. *Tuned* (`completion -- solvers`).
const MANY: usize = 24;
/// Share of its gradient to which a rough row is solved, and most steps for that.
const ROUGH: (f64, usize) = (0.1, 3);

/// Solves for all rows of `factors` (and `biases`), given the other side (row COM-2); returns the work in multiplications.
///
/// Row COM-8 of `paper-refs.md`.
///
/// Exact: `|Ω|·k² + rows·k³/3` multiplications; `k` grows by one with biases. Rows without entries become zero. Rows
/// whose problem is singular (too few entries at `λ = 0`) get a ridge of 1e-12 of the mean diagonal; what rounding makes
/// indefinite all the same is solved once more, one row at a time, with its lost directions set to zero, and so is
/// every row beyond 128 unknowns.
///
/// Roughly ([`Manner::roughly`]), from 24 unknowns to as many as the registers hold: a few conjugate gradient steps.
///
/// The other solvers start from what `factors` and `biases` hold.
pub(crate) fn half_step<T: KernelReal>(
    entries: &Orientation<T>,
    other: &Matrix<T>,
    other_biases: &[T],
    mean: T,
    ridge: Ridge,
    manner: Manner,
    factors: &mut Matrix<T>,
    biases: &mut [T],
) -> f64 {
    let (k, rows) = (other.columns(), factors.rows());
    let bias = ridge.biases.map(|lambda| bias_ridge(lambda, other));
    let d = k + usize::from(bias.is_some());
    if d == 0 {
        return 0.0;
    }
    // The last feature, if there are biases, is the constant 1.
    let one = T::from_f64(1.0);
    let widened = bias.map(|_| Matrix::from_fn(other.rows(), d, |j, c| if c < k { other[(j, c)] } else { one }));
    let features = widened.as_ref().unwrap_or(other);
    let zero = T::default();
    let moved = mean != zero || other_biases.iter().any(|b| *b != zero);
    let shifted: Option<Vec<T>> = moved.then(|| {
        let all = entries.values.values().par_iter().zip(entries.values.indices()).with_min_len(1 << 14);
        all.map(|(value, &j)| *value - mean - other_biases[j as usize]).collect()
    });
    let targets = shifted.as_deref().unwrap_or(entries.values.values());
    let dense = Dense { entries, targets, features, ridge, bias };
    let mut solution = Matrix::zeros(rows, d);
    let warm = |solution: &mut Matrix<T>| {
        solution.as_mut_slice().chunks_exact_mut(d).enumerate().for_each(|(i, x)| {
            x[..k].copy_from_slice(factors.row(i));
            if d > k {
                x[k] = biases[i];
            }
        });
    };
    let solver = match manner.solver {
        Solver::Auto if d > MAX_UNKNOWNS => Solver::ConjugateGradients { steps: 3 },
        other => other,
    };
    let rough = manner.roughly && ridge.lambda > 0.0 && solver == Solver::Auto && d >= MANY && Descent::<T>::fits(d);
    let work = match (manner.non_negative, solver) {
        (true, _) => {
            warm(&mut solution);
            row_solvers::non_negative(&dense, &mut solution)
        }
        (_, Solver::Auto) if rough => {
            warm(&mut solution);
            row_solvers::conjugate_gradients(&dense, ROUGH.1, ROUGH.0, &mut solution)
        }
        (_, Solver::Auto | Solver::Exact) => exact(&dense, &mut solution),
        (_, Solver::ConjugateGradients { steps }) => {
            warm(&mut solution);
            row_solvers::conjugate_gradients(&dense, steps, 0.0, &mut solution)
        }
        (_, Solver::Sketched { accuracy, rows_per_unknown }) => {
            warm(&mut solution);
            row_solvers::sketched(&dense, accuracy, rows_per_unknown, manner.seed, &mut solution)
        }
    };
    for i in 0..rows {
        let row = solution.row(i);
        factors.row_mut(i).copy_from_slice(&row[..k]);
        if bias.is_some() {
            biases[i] = row[k];
        }
    }
    work
}

fn exact<T: SmallReal>(dense: &Dense<'_, T>, solution: &mut Matrix<T>) -> f64 {
    let Dense { entries, targets, features, ridge, bias } = *dense;
    let (rows, d) = (solution.rows(), features.columns());
    let ridges: Vec<T> = (0..rows).map(|i| T::from_f64(ridge.of(entries.count(i)))).collect();
    let weights = (!entries.weights.is_empty()).then_some(&entries.weights[..]);
    let floor = T::from_f64(if size_of::<T>() == 4 { 1e-6 } else { FLOOR });
    let penalty = Penalty { ridge: &ridges, last: bias.map(T::from_f64), floor, draw: None };
    let solved = if d <= MAX_UNKNOWNS {
        // Numbers out of range, after divergence, are refused: the rows below then carry them on, to be seen by the path.
        solve_penalised(features, &entries.values, targets, weights, &penalty, solution)
            .unwrap_or_else(|_| vec![false; rows])
    } else {
        vec![false; rows]
    };
    if solved.contains(&false) {
        solution.as_mut_slice().par_chunks_mut(d).zip(&solved).enumerate().for_each_init(
            || Work::new(d),
            |work, (i, (x, solved))| {
                if !solved {
                    let answer = work.solve(dense, i, FLOOR);
                    x.iter_mut().zip(answer).for_each(|(x, a)| *x = T::from_f64(*a));
                }
            },
        );
    }
    (entries.values.nnz() * (d * d + 3 * d) / 2) as f64 + (rows * d * d * d) as f64 / 6.0
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
            [(1, false, false), (4, true, true), (9, false, true), (0, true, false)].into_iter().enumerate()
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
            let ridge = Ridge { lambda: 0.01, exponent: 0.5, biases: bias.then_some(0.01) };
            let bias = bias.then(|| bias_ridge(0.01, &other));
            let (mut factors, mut biases) = (Matrix::zeros(m, k), vec![0.0; m]);
            let manner = Manner { solver: Solver::Exact, non_negative: false, roughly: false, seed: 0 };
            half_step(&entries.by_row, &other, &offsets, 0.2, ridge, manner, &mut factors, &mut biases);
            let d = k + usize::from(bias.is_some());
            let features = Matrix::from_fn(n, d, |j, c| if c < k { other[(j, c)] } else { 1.0 });
            let mut work = Work::new(d);
            for i in 0..m {
                let targets: Vec<f64> = entries
                    .by_row
                    .values
                    .values()
                    .iter()
                    .zip(entries.by_row.values.indices())
                    .map(|(v, &j)| v - 0.2 - offsets[j as usize])
                    .collect();
                let dense = Dense { entries: &entries.by_row, targets: &targets, features: &features, ridge, bias };
                let x = work.solve(&dense, i, FLOOR);
                let found = factors.row(i).iter().chain(bias.map(|_| &biases[i]));
                assert!(found.zip(x).all(|(a, b)| (a - b).abs() < 1e-9), "case {case}, row {i}");
            }
        }
    }

    /// COM-8: enough conjugate gradient steps reach the exact rows, with and without weights and biases, gathered and where
    /// they are (a row of 5,000 entries), in registers and beyond them.
    fn steps_reach_the_exact_rows<T: KernelReal>(
        single: impl Fn(&Entries) -> Option<Entries<T>>,
        cases: &[usize],
        tolerance: f64,
    ) {
        for (case, &k) in cases.iter().enumerate() {
            let s = Streams::new(case as u64);
            let draw = |i: usize| s.uniform(i as u64) - 0.5;
            let (m, n) = (if case == 0 { 3 } else { 21 }, if case == 0 { 6000 } else { 4 * k + 3 });
            let share = if case == 0 { 0.85 } else { 0.5 };
            let seen: Vec<(usize, usize, f64)> = (0..m * n)
                .filter(|c| c / n != 2 && s.uniform((10_000_000 + c) as u64) < share)
                .map(|c| (c / n, c % n, 3.0 * draw(20_000_000 + c)))
                .collect();
            let weights: Vec<f64> = (0..seen.len()).map(|p| 0.5 + s.uniform((30_000_000 + p) as u64)).collect();
            let entries = Entries::new(m, n, &seen, (case % 2 == 1).then_some(&weights[..])).unwrap();
            let entries = single(&entries).unwrap();
            let other = Matrix::from_fn(n, k, |j, c| T::from_f64(draw(40_000_000 + j * 256 + c)));
            let offsets: Vec<T> = (0..n).map(|j| T::from_f64(draw(50_000_000 + j))).collect();
            for bias in [false, true] {
                let ridge = Ridge { lambda: 0.4, exponent: 0.5, biases: bias.then_some(0.4) };
                let [(exact, exact_biases), (found, found_biases)] =
                    [Solver::Exact, Solver::ConjugateGradients { steps: 100 }].map(|solver| {
                        let manner = Manner { solver, non_negative: false, roughly: false, seed: 0 };
                        let mut x = Matrix::from_fn(m, k, |i, c| T::from_f64(draw(60_000_000 + i * 256 + c)));
                        let mut biases = vec![T::from_f64(0.1); m];
                        let mean = T::from_f64(0.2);
                        half_step(&entries.by_row, &other, &offsets, mean, ridge, manner, &mut x, &mut biases);
                        (x, biases)
                    });
                let all = exact.as_slice().iter().chain(exact_biases.iter().take(m * usize::from(bias)));
                for (a, b) in all.zip(found.as_slice().iter().chain(&found_biases)) {
                    let error = (a.to_f64() - b.to_f64()).abs();
                    assert!(error < tolerance, "case {case}, k = {k}, bias {bias}: {a:?} {b:?}");
                }
                assert!(found.row(2).iter().all(|x| x.to_f64() == 0.0), "a row without entries");
            }
        }
    }

    /// COM-8: rough rows, whose gradient falls to a tenth, come to within a fifth of the distance from where they start, with a
    /// bias and uneven weights.
    #[test]
    fn rough_rows_come_within_a_fifth() {
        let (m, n, k) = (40, 300, 24);
        let s = Streams::new(5);
        let draw = |i: usize| s.uniform(i as u64) - 0.5;
        let seen: Vec<(usize, usize, f64)> = (0..m * n)
            .filter(|c| s.uniform((10_000 + c) as u64) < 0.4)
            .map(|c| (c / n, c % n, 3.0 * draw(1_000_000 + c)))
            .collect();
        // A row whose weights are small beside the others.
        let weights: Vec<f64> = seen.iter().map(|(i, ..)| if *i == 3 { 1e-4 } else { 1.0 }).collect();
        let entries = Entries::new(m, n, &seen, Some(&weights)).unwrap().to_single().unwrap();
        let other = Matrix::from_fn(n, k, |j, c| draw(2_000_000 + j * 32 + c) as f32);
        let ridge = Ridge { lambda: 0.1, exponent: 0.0, biases: Some(0.1) };
        let manner = Manner { solver: Solver::Auto, non_negative: false, roughly: true, seed: 0 };
        let solved = |manner: Manner| {
            let (mut x, mut biases) = (Matrix::zeros(m, k), vec![0.0; m]);
            half_step(&entries.by_row, &other, &vec![0.0; n], 0.0, ridge, manner, &mut x, &mut biases);
            (x, biases)
        };
        let (x, biases) = solved(manner);
        let exact = solved(Manner { roughly: false, ..manner });
        assert_ne!(x, exact.0, "rows were solved exactly: tests nothing");
        for i in 0..m {
            let distance = |x: &[f32], b: f32| {
                let factors = x.iter().zip(exact.0.row(i)).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
                (factors + f64::from(b - exact.1[i]).powi(2)).sqrt()
            };
            let (now, start) = (distance(x.row(i), biases[i]), distance(&[0.0; 24], 0.0));
            assert!(now < 0.2 * start, "row {i}: {now} of {start}");
        }
    }

    #[test]
    fn conjugate_gradients_reach_the_exact_rows() {
        steps_reach_the_exact_rows::<f64>(|e| Some(e.clone()), &[7, 1, 8, 15, 40, 70], 1e-9);
        steps_reach_the_exact_rows::<f32>(Entries::to_single, &[7, 1, 16, 31, 50, 140], 2e-4);
    }
}
