//! The program that `run.py mtrl` asks: one task per call, inputs and answers as raw little-endian files, one JSON
//! object per timed run on standard output.
use std::path::Path;
use std::time::Instant;
use std::{env, fs};

use samplewise::linalg::Matrix;
use samplewise::mtrl::{FitOptions, Strategy, TaskData, allocate, fit_representation, relevance};

const USE: &str = "peer-mtrl RUNS OUT fit FEATURES DIMENSION TASKS SAMPLES X Y
peer-mtrl PROBLEMS OUT plan DIMENSION TASKS BUDGET W TARGET LAMBDA";

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [runs, out, task @ ..] = &words[..] else { panic!("{USE}") };
    let (runs, out) = (count(runs), Path::new(out));
    match task {
        ["fit", d, k, m, n, x, y] => {
            let (d, k, m, n) = (count(d), count(k), count(m), count(n));
            let x: Vec<Matrix> = read(x).chunks_exact(n * d).map(|rows| matrix(n, d, rows)).collect();
            let y = read(y);
            assert_eq!((x.len(), y.len()), (m, m * n), "x and y are not of {m} tasks");
            let run = |seed| {
                let start = Instant::now();
                let tasks: Vec<TaskData> =
                    x.iter().zip(y.chunks_exact(n)).map(|(x, y)| TaskData::new(x, y).expect("finite")).collect();
                let statistics = start.elapsed().as_secs_f64();
                // As near to the best loss as the peer is asked to come.
                let options = FitOptions { tolerance: 5e-7, seed, ..FitOptions::default() };
                let found = fit_representation(&tasks, Some(k), &options).expect("large enough");
                (start.elapsed().as_secs_f64(), statistics, found.basis)
            };
            run(0);
            let mut bases = Vec::new();
            for seed in 0..runs as u64 {
                let (seconds, statistics, basis) = run(seed);
                println!("{{\"seconds\": {seconds}, \"statistics\": {statistics}}}");
                bases.extend_from_slice(basis.as_slice());
            }
            write(out, &bases);
        }
        ["plan", k, m, budget, w, target, lambda] => {
            let (k, m, budget) = (count(k), count(m), count(budget));
            let (w, target, lambda) = (read(w), read(target), read(lambda));
            assert_eq!((w.len(), target.len(), lambda.len()), (runs * k * m, runs * k, runs), "not of {runs} problems");
            let w: Vec<Matrix> = w.chunks_exact(k * m).map(|w| matrix(k, m, w)).collect();
            let run = |i: usize| {
                let start = Instant::now();
                // No lambda: the least norm.
                let strategy = if lambda[i] > 0.0 { Strategy::L1 } else { Strategy::LeastL1 };
                let wanted = Some(lambda[i]).filter(|l| *l > 0.0);
                let found = relevance(&w[i], &target[i * k..(i + 1) * k], strategy, wanted, None).expect("finite");
                let samples = allocate(&found.shares, budget, None).expect("shares");
                let nu = found.nu;
                (start.elapsed().as_secs_f64(), samples, nu)
            };
            run(0);
            let mut relevances = Vec::new();
            for i in 0..runs {
                let (seconds, samples, nu) = run(i);
                println!("{{\"seconds\": {seconds}, \"samples\": {}}}", samples.iter().sum::<usize>());
                relevances.extend(nu);
            }
            write(out, &relevances);
        }
        _ => panic!("{USE}"),
    }
}

fn count(word: &str) -> usize {
    word.parse().unwrap_or_else(|_| panic!("{word:?} is not a count\n{USE}"))
}

fn matrix(rows: usize, columns: usize, entries: &[f64]) -> Matrix {
    Matrix::from_vec(rows, columns, entries.to_vec()).expect("as large as said")
}

fn read(path: &str) -> Vec<f64> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)).collect()
}

fn write(path: &Path, values: &[f64]) {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    fs::write(path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
