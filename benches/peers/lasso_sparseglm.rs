//! The program that `run.py lasso` asks for sparseglm, which is built apart because it needs an older ndarray. One task per
//! call, inputs and answer as raw little-endian files as in `lasso_times.rs`, one JSON object per timed run on standard output.
use std::time::Instant;
use std::{env, fs};

use ndarray::{Array1, Array2, ArrayView1, ShapeBuilder};
use sparseglm::datafits::single_task::{Datafit, Quadratic};
use sparseglm::datasets::csc_array::CSCArray;
use sparseglm::datasets::{DatasetBase, DesignMatrix};
use sparseglm::penalties::separable::L1;
use sparseglm::solvers::{CDSolver, Solver};

const USE: &str = "lasso-sparseglm RUNS OUT TOLERANCE dense ROWS COLUMNS X Y LAMBDAS
lasso-sparseglm RUNS OUT TOLERANCE sparse ROWS COLUMNS OFFSETS INDICES VALUES Y LAMBDAS";

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [runs, out, share, kind, n, p, files @ .., y, lambdas] = &words[..] else { panic!("{USE}") };
    let (runs, n, p) = (count(runs), count(n), count(p));
    let y = Array1::from_vec(read(y, f64::from_le_bytes));
    let lambda = read(lambdas, f64::from_le_bytes)[0];
    // The tolerance bounds the distance to the subdifferential, so it has the unit of lambda.
    let tolerance = share.parse::<f64>().expect("a share of lambda") * lambda;
    let w = match (*kind, files) {
        ("dense", [x]) => {
            let x = Array2::from_shape_vec((n, p).f(), read(x, f64::from_le_bytes)).expect("as large as said");
            solve(runs, lambda, tolerance, &DatasetBase::from((x, y)))
        }
        ("sparse", [offsets, indices, values]) => {
            let offsets: Vec<i32> = read(offsets, u64::from_le_bytes).into_iter().map(|o| o as i32).collect();
            let indices: Vec<i32> = read(indices, u32::from_le_bytes).into_iter().map(|i| i as i32).collect();
            let values = read(values, f64::from_le_bytes);
            let x = CSCArray::new(ArrayView1::from(&values), ArrayView1::from(&indices), ArrayView1::from(&offsets));
            solve(runs, lambda, tolerance, &DatasetBase::from((x, y)))
        }
        _ => panic!("{USE}"),
    };
    let nonzeros = w.iter().enumerate().filter(|(_, w)| **w != 0.0);
    let bytes: Vec<u8> = nonzeros.flat_map(|(j, w)| [0.0, j as f64, *w]).flat_map(f64::to_le_bytes).collect();
    fs::write(out, bytes).unwrap_or_else(|error| panic!("{out}: {error}"));
}

fn solve<X: DesignMatrix<Elem = f64>>(
    runs: usize,
    lambda: f64,
    tolerance: f64,
    data: &DatasetBase<X, Array1<f64>>,
) -> Array1<f64>
where
    Quadratic<f64>: Datafit<f64, X, Array1<f64>>,
{
    let solver = Solver::new().tolerance(tolerance).max_iterations(200).max_epochs(1_000_000).verbose(false);
    let penalty = L1::new(lambda);
    let run = || solver.solve(data, &mut Quadratic::new(), &penalty).expect("it has no errors");
    let mut w = if runs > 1 { run() } else { Array1::zeros(0) };
    for _ in 0..runs {
        let start = Instant::now();
        w = run();
        println!("{{\"seconds\": {}}}", start.elapsed().as_secs_f64());
    }
    w
}

fn count(word: &str) -> usize {
    word.parse().unwrap_or_else(|_| panic!("{word:?} is not a count\n{USE}"))
}

fn read<T, const B: usize>(path: &str, number: fn([u8; B]) -> T) -> Vec<T> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    bytes.as_chunks().0.iter().map(|&b| number(b)).collect()
}
