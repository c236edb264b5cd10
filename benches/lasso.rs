//! The Lasso on tables of the sizes that the literature uses, every gap computed here from the coefficients alone.
//! `cargo bench --bench lasso -- WORD` prints one of: `single`, `paths`, `small`, `cross-validation`; without a word all.
//! Peers outside of Rust: `python3 benches/peers/run.py lasso`.
use std::time::Instant;

use linfa::Dataset;
use linfa::traits::Fit;
use linfa_elasticnet::ElasticNet;
use ndarray_of_linfa::{Array1, Array2, ShapeBuilder};
use samplewise::lasso::{
    CrossValidationOptions, Design, Folds, Grid, Homotopy, Options, Solution, Solver, Workspace, cross_validate,
    lambda_grid, largest_lambda, path, solve,
};
use samplewise::linalg::random::{StreamRng, Streams, below, normal, uniform};
use samplewise::linalg::{CsrMatrix, Matrix};
use samplewise_benches::{Table, print, timed};

fn main() {
    print(&[
        Table::new("single", single),
        Table::new("paths", paths),
        Table::new("small", small),
        Table::new("cross-validation", cross_validation),
    ]);
}

/// A table and its target, as values column after column where it is dense.
struct Problem {
    name: &'static str,
    n: usize,
    p: usize,
    dense: Option<Vec<f64>>,
    design: Design,
    y: Vec<f64>,
}

/// Columns with correlation 0.6 between neighbours, 100 true coefficients, signal three times the noise.
fn correlated(name: &'static str, n: usize, p: usize, seed: u64) -> Problem {
    let mut rng = Streams::new(seed).stream(0);
    let mut x: Vec<f64> = vec![0.0; n * p];
    for j in 0..p {
        let (before, column) = x.split_at_mut(j * n);
        for i in 0..n {
            let fresh = normal(&mut rng);
            column[i] = if j == 0 { fresh } else { 0.6 * before[(j - 1) * n + i] + 0.8 * fresh };
        }
    }
    let mut signal = vec![0.0; n];
    for _ in 0..100 {
        let (j, w) = (below(&mut rng, p), normal(&mut rng));
        signal.iter_mut().zip(&x[j * n..(j + 1) * n]).for_each(|(s, x)| *s += w * x);
    }
    let y = with_noise(&signal, &mut rng);
    let design = Design::dense_columns(x.clone(), n, p).expect("finite");
    Problem { name, n, p, dense: Some(x), design, y }
}

fn with_noise(signal: &[f64], rng: &mut StreamRng) -> Vec<f64> {
    let noise: Vec<f64> = signal.iter().map(|_| normal(rng)).collect();
    let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
    let scale = norm(signal) / norm(&noise) / 3.0;
    signal.iter().zip(noise).map(|(s, e)| s + scale * e).collect()
}

/// Sparse columns whose counts fall like a power, rows of length one.
fn sparse(name: &'static str, n: usize, p: usize, nonzeros: usize, seed: u64) -> Problem {
    let mut rng = Streams::new(seed).stream(0);
    let sums: Vec<f64> = (0..p)
        .scan(0.0, |s, j| {
            *s += (j as f64 + 10.0).powf(-0.7);
            Some(*s)
        })
        .collect();
    let mut keys: Vec<(u32, u32)> = (0..nonzeros)
        .map(|_| {
            let j = sums.partition_point(|s| *s < uniform(&mut rng) * sums[p - 1]).min(p - 1);
            (j as u32, below(&mut rng, n) as u32)
        })
        .collect();
    keys.sort_unstable();
    keys.dedup();
    let mut values: Vec<f64> = keys.iter().map(|_| -uniform(&mut rng).max(1e-300).ln()).collect();
    let mut squares = vec![0.0; n];
    keys.iter().zip(&values).for_each(|(k, v)| squares[k.1 as usize] += v * v);
    keys.iter().zip(&mut values).for_each(|(k, v)| *v /= f64::sqrt(squares[k.1 as usize]));
    let mut offsets = vec![0; p + 1];
    keys.iter().for_each(|k| offsets[k.0 as usize + 1] += 1);
    (0..p).for_each(|j| offsets[j + 1] += offsets[j]);
    let x = CsrMatrix::from_parts(p, n, offsets, keys.iter().map(|k| k.1).collect(), values).expect("sorted");
    let mut signal = vec![0.0; n];
    for _ in 0..100 {
        let (at, v) = x.row(below(&mut rng, p));
        let norm = v.iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-9);
        let w = normal(&mut rng) / norm;
        at.iter().zip(v).for_each(|(&i, v)| signal[i as usize] += w * v);
    }
    let y = with_noise(&signal, &mut rng);
    Problem { name, n, p, dense: None, design: Design::sparse_transposed(x).expect("valid"), y }
}

impl Problem {
    fn null(&self) -> f64 {
        self.y.iter().map(|y| y * y).sum::<f64>() / (2.0 * self.n as f64)
    }

    /// Gap of coefficients without intercept over the null loss: the dual point is the residual, scaled to feasibility.
    fn gap(&self, w: &[(usize, f64)], lambda: f64) -> f64 {
        let n = self.n as f64;
        let fitted = self.design.products(w, 0.0);
        let r: Vec<f64> = self.y.iter().zip(&fitted).map(|(y, f)| y - f).collect();
        let largest = (0..self.p).map(|j| self.dot(j, &r).abs()).fold(0.0, f64::max) / n;
        let squares: f64 = r.iter().map(|r| r * r).sum();
        let along: f64 = r.iter().zip(&self.y).map(|(r, y)| r * y).sum();
        let s = (lambda / largest).min(1.0);
        let l1: f64 = w.iter().map(|w| w.1.abs()).sum();
        (squares / (2.0 * n) + lambda * l1 - (s * along - 0.5 * s * s * squares) / n) / self.null()
    }

    fn dot(&self, j: usize, r: &[f64]) -> f64 {
        let column = match &self.dense {
            Some(x) => &x[j * self.n..(j + 1) * self.n],
            None => &self.design.products(&[(j, 1.0)], 0.0),
        };
        column.iter().zip(r).map(|(x, r)| x * r).sum()
    }
}

fn options(tolerance: f64) -> Options {
    Options { intercept: false, tolerance, ..Options::default() }
}

/// Rows L3, L4: one λ, against linfa-elasticnet and against coordinate descent on all columns, the definition.
fn single() {
    println!(
        "one lambda, tolerance 1e-6 of the null loss:\n  problem    nonzeros   seconds      gap   working set   iterations"
    );
    let tables = [
        correlated("A 1,000 x 10,000", 1_000, 10_000, 7),
        correlated("C 10,000 x 1,000", 10_000, 1_000, 7),
        sparse("D 20,000 x 100,000 sparse", 20_000, 100_000, 4_000_000, 4),
    ];
    for t in &tables {
        let top = largest_lambda(&t.design, &t.y, &options(1e-6)).expect("valid");
        for k in [10.0, 100.0] {
            let lambda = top / k;
            let (seconds, fit) = timed(3, || solve(&t.design, &t.y, lambda, &options(1e-6)).expect("valid"));
            let gap = t.gap(&fit.coefficients, lambda);
            assert!(gap <= 1e-6, "{gap:e}");
            let (count, set, its) = (fit.coefficients.len(), fit.report.working_set, fit.report.iterations);
            println!("  {} / {k}: {count:6} {seconds:9.4} {gap:9.1e} {set:8} {its:8}", t.name);
            let Some(x) = t.dense.as_ref().filter(|_| k == 10.0) else { continue };
            let data = Dataset::new(
                Array2::from_shape_vec((t.n, t.p).f(), x.clone()).expect("shape"),
                Array1::from_vec(t.y.clone()),
            );
            let peer = || {
                let params = ElasticNet::params().penalty(lambda).l1_ratio(1.0).with_intercept(false);
                params.tolerance(1e-6).max_iterations(100_000).fit(&data).expect("valid").hyperplane().to_vec()
            };
            let (theirs, w) = timed(1, peer);
            let w: Vec<(usize, f64)> = w.into_iter().enumerate().filter(|c| c.1 != 0.0).collect();
            println!("    linfa-elasticnet {theirs:9.4} gap {:9.1e}: {:.1} times", t.gap(&w, lambda), theirs / seconds);
            let start = Instant::now();
            let w = all_columns(t, x, lambda, 1e-6);
            let naive = start.elapsed().as_secs_f64();
            let gap = t.gap(&w, lambda);
            println!("    coordinate descent on all columns {naive:9.4} gap {gap:9.1e}: {:.1} times", naive / seconds);
            assert!(gap <= 1e-6);
        }
    }
}

/// Cyclic coordinate descent over every column until the gap is small.
fn all_columns(t: &Problem, x: &[f64], lambda: f64, tolerance: f64) -> Vec<(usize, f64)> {
    let (n, p) = (t.n, t.p);
    let squares: Vec<f64> = x.chunks_exact(n).map(|c| c.iter().map(|v| v * v).sum::<f64>() / n as f64).collect();
    let (mut w, mut r) = (vec![0.0; p], t.y.clone());
    let nonzero = |w: &[f64]| w.iter().copied().enumerate().filter(|c| c.1 != 0.0).collect::<Vec<(usize, f64)>>();
    for epoch in 1..10_000 {
        for (j, column) in x.chunks_exact(n).enumerate() {
            let c = column.iter().zip(&r).map(|(x, r)| x * r).sum::<f64>() / n as f64 + squares[j] * w[j];
            let new = c.signum() * (c.abs() - lambda).max(0.0) / squares[j];
            let change = w[j] - new;
            if change != 0.0 {
                r.iter_mut().zip(column).for_each(|(r, x)| *r += change * x);
                w[j] = new;
            }
        }
        if epoch % 10 == 0 && t.gap(&nonzero(&w), lambda) < tolerance {
            break;
        }
    }
    nonzero(&w)
}

/// Rows L1, L2: 100 λ down to a hundredth of the largest, and what the certificates read.
fn paths() {
    println!("paths of 100 lambda to 1/100, tolerance 1e-6 of the null loss:");
    let tables = [
        correlated("A 1,000 x 10,000", 1_000, 10_000, 7),
        correlated("C 10,000 x 1,000", 10_000, 1_000, 7),
        sparse("D 20,000 x 100,000 sparse", 20_000, 100_000, 4_000_000, 4),
    ];
    let hundred = Grid::Geometric { count: 100, min_ratio: 0.01 };
    for t in &tables {
        let grid = lambda_grid(&t.design, &t.y, &hundred, &options(1e-6)).expect("valid");
        for tolerance in [1e-3, 1e-6, 1e-10] {
            let run = || path(&t.design, &t.y, &Grid::Values(grid.clone()), &options(tolerance)).expect("valid");
            let (seconds, fits) = timed(1, run);
            // Every tenth gap is computed here; the fits' own values are of all.
            let gap = fits.iter().step_by(11).map(|f| t.gap(&f.coefficients, f.lambda)).fold(0.0, f64::max);
            let own = fits.iter().map(|f: &Solution| f.gap() / f.report.null_objective).fold(0.0, f64::max);
            assert!(gap <= tolerance * 1.01, "{gap:e}");
            let last = fits.last().expect("100 fits");
            println!(
                "  {}: {seconds:8.3} s at {tolerance:.0e}, largest gap {gap:8.1e} (own {own:8.1e}), {} nonzeros, {:?}",
                t.name,
                last.coefficients.len(),
                last.report.route
            );
        }
    }
    let t = &tables[0];
    let grid = lambda_grid(&t.design, &t.y, &hundred, &options(1e-6)).expect("valid");
    let wanted = Options { solver: Solver::WorkingSet, ..options(1e-6) };
    let fits = path(&t.design, &t.y, &Grid::Values(grid), &wanted).expect("valid");
    let read: usize = fits.iter().map(|f| f.report.columns_checked).sum();
    println!("  A: certificates read {:.0} % of the columns", 100.0 * read as f64 / (100 * t.p) as f64);
}

/// Row L5: many small problems, exact to rounding.
fn small() {
    println!(
        "small problems, microseconds each (one table, 200 targets); Lasso at 1/100 of the largest lambda, gap <= 1e-12:"
    );
    for (k, m) in [(10, 100), (20, 300), (50, 1_000)] {
        let mut rng = Streams::new(3).stream(0);
        let x = Matrix::from_fn(k, m, |_, _| normal(&mut rng));
        let targets: Vec<Vec<f64>> = (0..200).map(|_| (0..k).map(|_| normal(&mut rng)).collect()).collect();
        let table = Homotopy::new(&x).expect("finite");
        let mut workspace = Workspace::new();
        let lambdas: Vec<f64> = targets.iter().map(|y| 0.01 * table.largest_lambda(y).expect("finite")).collect();
        let (lasso, fits) = timed(5, || {
            let each = targets.iter().zip(&lambdas);
            each.map(|(y, l)| table.solve(y, *l, &mut workspace).expect("no ties")).collect::<Vec<_>>()
        });
        let (least, norms) = timed(5, || {
            targets.iter().map(|y| table.least_l1(y, &mut workspace).expect("no ties")).collect::<Vec<_>>()
        });
        let null = |y: &[f64]| y.iter().map(|y| y * y).sum::<f64>() / (2.0 * k as f64);
        assert!(fits.iter().zip(&targets).all(|(f, y)| f.gap() <= 1e-12 * null(y)));
        assert!(norms.iter().all(|f| f.gap() <= 1e-10 * f.objective && f.residual_norm < 1e-9));
        let data = Dataset::new(
            Array2::from_shape_vec((k, m), x.as_slice().to_vec()).expect("shape"),
            Array1::from_vec(targets[0].clone()),
        );
        let params = ElasticNet::params().penalty(lambdas[0]).l1_ratio(1.0).with_intercept(false);
        let (theirs, _) =
            timed(5, || params.clone().tolerance(1e-8).max_iterations(100_000).fit(&data).expect("valid"));
        let (a, b) = (lasso / 200.0, least / 200.0);
        println!(
            "  {k} x {m}: Lasso {:.1}, linfa at 1e-8 {:.1} ({:.0} times), least l1 norm {:.1}",
            1e6 * a,
            1e6 * theirs,
            theirs / a,
            1e6 * b
        );
    }
}

/// Row L6: five folds and 100 λ from one Gram matrix, against fits of every fold.
fn cross_validation() {
    let t = correlated("C", 10_000, 1_000, 7);
    let plan = |solver| {
        let (grid, fit) = (Grid::Geometric { count: 100, min_ratio: 0.01 }, Options { solver, ..options(1e-6) });
        CrossValidationOptions { folds: Folds::Shuffled(5), grid, seed: 1, fit }
    };
    let run = |solver| {
        let plan = plan(solver);
        move || cross_validate(&t.design, &t.y, &plan).expect("valid")
    };
    let t2 = correlated("C", 10_000, 1_000, 7);
    let (fast, a) = timed(1, run(Solver::Auto));
    let start = Instant::now();
    let b = cross_validate(&t2.design, &t2.y, &plan(Solver::WorkingSet)).expect("valid");
    let slow = start.elapsed().as_secs_f64();
    let apart =
        a.mean_squared_error.iter().zip(&b.mean_squared_error).map(|(a, b)| (a / b - 1.0).abs()).fold(0.0, f64::max);
    println!("5 folds x 100 lambda on C: {fast:.3} s from moments, {slow:.3} s fold by fold, curves apart {apart:.1e}");
    assert!(apart < 1e-3 && a.best == b.best);
}
