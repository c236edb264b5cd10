//! The program that `run.py lasso` asks: one task per call, inputs and answers as raw little-endian files, one JSON object per
//! timed run on standard output. An answer is the nonzero coefficients of the last run as triplets of doubles: position of the
//! lambda or of the problem, column, value; of cross-validation the fold of every row, the lambdas and the mean squared errors.
use std::time::Instant;
use std::{env, fs};

use linfa::Dataset;
use linfa::traits::Fit;
use linfa_elasticnet::ElasticNet;
use ndarray_of_linfa::{Array1, Array2, ShapeBuilder};
use samplewise::lasso::{
    CrossValidationOptions, Design, Folds, Grid, Homotopy, Options, Workspace, cross_validate, path, solve,
};
use samplewise::linalg::random::{Streams, shuffle};
use samplewise::linalg::{CsrMatrix, Matrix};

const USE: &str = "peer-lasso (ours|linfa) RUNS OUT TOLERANCE dense ROWS COLUMNS X Y LAMBDAS
peer-lasso ours RUNS OUT TOLERANCE sparse ROWS COLUMNS OFFSETS INDICES VALUES Y LAMBDAS
peer-lasso (ours|linfa) RUNS OUT TOLERANCE small COUNT ROWS COLUMNS X Y LAMBDAS
peer-lasso ours RUNS OUT TOLERANCE least-l1 COUNT ROWS COLUMNS X Y
peer-lasso ours RUNS OUT TOLERANCE cross-validation ROWS COLUMNS X Y FOLDS LAMBDAS";
const SEED: u64 = 1;
const SMALLEST: f64 = 0.01; // the last lambda of cross-validation over the first

type Nonzeros = Vec<(usize, f64)>;

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [tool, runs, out, tolerance, task @ ..] = &words[..] else { panic!("{USE}") };
    let (runs, tolerance) = (count(runs), tolerance.parse().expect("a tolerance"));
    let options = Options { intercept: false, tolerance, ..Options::default() };
    match (*tool, task) {
        ("ours", ["dense", n, p, x, y, lambdas]) => {
            let design = Design::dense_columns(doubles(x), count(n), count(p)).expect("finite");
            write_solutions(out, &table(runs, &design, &doubles(y), &doubles(lambdas), &options));
        }
        ("ours", ["sparse", n, p, offsets, indices, values, y, lambdas]) => {
            let offsets = read(offsets, u64::from_le_bytes).into_iter().map(|o| o as usize).collect();
            let indices = read(indices, u32::from_le_bytes);
            let columns = CsrMatrix::from_parts(count(p), count(n), offsets, indices, doubles(values)).expect("sorted");
            let design = Design::sparse_transposed(columns).expect("finite");
            write_solutions(out, &table(runs, &design, &doubles(y), &doubles(lambdas), &options));
        }
        ("ours", ["small", times, n, p, x, y, lambdas]) => {
            let (problems, lambdas) = (small(times, n, p, x, y), doubles(lambdas));
            let mut workspace = Workspace::default();
            let found = timed(runs, || {
                let solved = problems.iter().zip(&lambdas).map(|((x, y), &lambda)| {
                    Homotopy::new(x).expect("finite").solve(y, lambda, &mut workspace).expect("finite").coefficients
                });
                solved.collect::<Vec<Nonzeros>>()
            });
            write_solutions(out, &found);
        }
        ("ours", ["least-l1", times, n, p, x, y]) => {
            let problems = small(times, n, p, x, y);
            let mut workspace = Workspace::default();
            let found = timed(runs, || {
                let solved = problems.iter().map(|(x, y)| {
                    Homotopy::new(x).expect("finite").least_l1(y, &mut workspace).expect("full rank").coefficients
                });
                solved.collect::<Vec<Nonzeros>>()
            });
            write_solutions(out, &found);
        }
        ("ours", ["cross-validation", n, p, x, y, folds, lambdas]) => {
            let design = Design::dense_columns(doubles(x), count(n), count(p)).expect("finite");
            let (y, folds) = (doubles(y), count(folds));
            let grid = Grid::Geometric { count: count(lambdas), min_ratio: SMALLEST };
            let plan = CrossValidationOptions { folds: Folds::Shuffled(folds), grid, seed: SEED, fit: options };
            let found = timed(runs, || cross_validate(&design, &y, &plan).expect("finite"));
            write(out, [fold_of_rows(y.len(), folds), found.lambdas, found.mean_squared_error].concat());
        }
        ("linfa", ["dense", n, p, x, y, lambdas]) => {
            let dataset = dataset(count(n), count(p), doubles(x), doubles(y));
            let lambda = doubles(lambdas)[0];
            write_solutions(out, &timed(runs, || vec![linfa(&dataset, lambda, tolerance)]));
        }
        ("linfa", ["small", times, n, p, x, y, lambdas]) => {
            let (n, p, lambdas) = (count(n), count(p), doubles(lambdas));
            let (x, y) = (doubles(x), doubles(y));
            let parts = x.chunks_exact(n * p).zip(y.chunks_exact(n)).take(count(times));
            let problems: Vec<_> = parts.map(|(x, y)| dataset(n, p, x.to_vec(), y.to_vec())).collect();
            let run = || problems.iter().zip(&lambdas).map(|(data, &lambda)| linfa(data, lambda, tolerance)).collect();
            write_solutions(out, &timed::<Vec<Nonzeros>>(runs, run));
        }
        _ => panic!("{USE}"),
    }
}

/// One solution alone, or a path.
fn table(runs: usize, design: &Design, y: &[f64], lambdas: &[f64], options: &Options) -> Vec<Nonzeros> {
    let found = timed(runs, || match *lambdas {
        [lambda] => vec![solve(design, y, lambda, options).expect("finite")],
        _ => path(design, y, &lambdas.into(), options).expect("finite"),
    });
    found.into_iter().map(|solution| solution.coefficients).collect()
}

/// The problems of a file, each with its table by rows.
fn small(times: &str, n: &str, p: &str, x: &str, y: &str) -> Vec<(Matrix, Vec<f64>)> {
    let (times, n, p, x, y) = (count(times), count(n), count(p), doubles(x), doubles(y));
    let parts = x.chunks_exact(n * p).zip(y.chunks_exact(n)).take(times);
    let by_rows = |x: &[f64]| Matrix::from_vec(p, n, x.to_vec()).expect("as large as said").transpose();
    parts.map(|(x, y)| (by_rows(x), y.to_vec())).collect()
}

/// The folds of [`cross_validate`], so that the peer gets the same.
fn fold_of_rows(n: usize, folds: usize) -> Vec<f64> {
    let mut order: Vec<usize> = (0..n).collect();
    shuffle(&mut Streams::new(SEED).stream(0), &mut order);
    let mut fold = vec![0.0; n];
    order.iter().enumerate().for_each(|(position, &i)| fold[i] = (position % folds) as f64);
    fold
}

/// The table by columns, as linfa goes through it.
fn dataset(n: usize, p: usize, x: Vec<f64>, y: Vec<f64>) -> Dataset<f64, f64, ndarray_of_linfa::Ix1> {
    Dataset::new(Array2::from_shape_vec((n, p).f(), x).expect("as large as said"), Array1::from_vec(y))
}

fn linfa(dataset: &Dataset<f64, f64, ndarray_of_linfa::Ix1>, lambda: f64, tolerance: f64) -> Nonzeros {
    let parameters = ElasticNet::params().penalty(lambda).l1_ratio(1.0).with_intercept(false).tolerance(tolerance);
    let fit = parameters.max_iterations(1_000_000).fit(dataset).expect("valid");
    fit.hyperplane().iter().copied().enumerate().filter(|(_, w)| *w != 0.0).collect()
}

/// The answer of the last run; before several there is one that does not count.
fn timed<A>(runs: usize, mut run: impl FnMut() -> A) -> A {
    let mut answer = (runs > 1).then(&mut run);
    for _ in 0..runs {
        let start = Instant::now();
        answer = Some(run());
        println!("{{\"seconds\": {}}}", start.elapsed().as_secs_f64());
    }
    answer.expect("at least one run")
}

fn count(word: &str) -> usize {
    word.parse().unwrap_or_else(|_| panic!("{word:?} is not a count\n{USE}"))
}

fn doubles(path: &str) -> Vec<f64> {
    read(path, f64::from_le_bytes)
}

fn read<T, const B: usize>(path: &str, number: fn([u8; B]) -> T) -> Vec<T> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    bytes.as_chunks().0.iter().map(|&b| number(b)).collect()
}

fn write_solutions(path: &str, solutions: &[Nonzeros]) {
    let triplets = solutions.iter().enumerate().flat_map(|(i, w)| w.iter().map(move |&(j, v)| [i as f64, j as f64, v]));
    write(path, triplets.flatten().collect());
}

fn write(path: &str, values: Vec<f64>) {
    let bytes: Vec<u8> = values.into_iter().flat_map(f64::to_le_bytes).collect();
    fs::write(path, bytes).unwrap_or_else(|error| panic!("{path}: {error}"));
}
