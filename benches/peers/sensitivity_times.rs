//! The program that `run.py sensitivity` asks: one task per call, inputs and answers as raw little-endian files, one
//! JSON object per timed run on standard output.
use std::path::Path;
use std::time::Instant;
use std::{env, fs};

use samplewise::linalg::Matrix;
use samplewise::linalg::leverage::leverage_scores;
use samplewise::sensitivity::{
    CertifiedOptions, CoresetOptions, Loss, Method, Options, Regression, certified_sensitivities, regress,
    regress_on_coreset,
};

const USE: &str = "peer-sensitivity RUNS OUT leverage ROWS COLUMNS A
peer-sensitivity RUNS OUT certified P ROWS COLUMNS A
peer-sensitivity RUNS OUT l1 ROWS COLUMNS A B
peer-sensitivity SEEDS OUT (lewis|uniform) SIZE ROWS COLUMNS A B";

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [runs, out, task @ ..] = &words[..] else { panic!("{USE}") };
    let (runs, out) = (count(runs), Path::new(out));
    match task {
        ["leverage", n, d, a] => {
            let a = matrix(n, d, a);
            write(out, &leverage_scores(&a).expect("finite"));
            for _ in 0..runs {
                let (seconds, _) = timed(|| leverage_scores(&a).expect("finite"));
                println!("{{\"seconds\": {seconds}}}");
            }
        }
        ["certified", p, n, d, a] => {
            let (a, p) = (matrix(n, d, a), p.parse().expect("an exponent"));
            let rows: Vec<usize> = (0..a.rows()).collect();
            let run = || certified_sensitivities(&a, p, &rows, &CertifiedOptions { gap: 1e-3 }).expect("finite");
            let found = run();
            write(out, &[found.lower, found.upper].concat());
            for _ in 0..runs {
                let (seconds, _) = timed(run);
                println!("{{\"seconds\": {seconds}}}");
            }
        }
        ["l1", n, d, a, b] => {
            let (a, b) = (matrix(n, d, a), read(b));
            let run = || regress(&a, &b, Loss::Lp(1.0), &Options::default()).expect("finite");
            write(out, &run().coefficients);
            (0..runs).for_each(|_| say(&timed(run)));
        }
        [method @ ("lewis" | "uniform"), size, n, d, a, b] => {
            let (a, b, size) = (matrix(n, d, a), read(b), count(size));
            let method = if *method == "lewis" { Method::Lewis } else { Method::Uniform };
            let run = |seed| {
                let options = CoresetOptions { method, seed, ..CoresetOptions::default() };
                regress_on_coreset(&a, &b, Loss::Lp(1.0), size, &options).expect("finite")
            };
            run(0);
            let mut coefficients = Vec::new();
            for seed in 0..runs as u64 {
                let answer = timed(|| run(seed));
                say(&answer);
                coefficients.extend(answer.1.coefficients);
            }
            write(out, &coefficients);
        }
        _ => panic!("{USE}"),
    }
}

fn timed<A>(run: impl FnOnce() -> A) -> (f64, A) {
    let start = Instant::now();
    let answer = run();
    (start.elapsed().as_secs_f64(), answer)
}

fn say((seconds, answer): &(f64, Regression)) {
    let Regression { objective, lower_bound, report, .. } = answer;
    print!("{{\"seconds\": {seconds}, \"objective\": {objective}, ");
    let lower_bound = lower_bound.expect("a bound was asked for");
    println!("\"lower_bound\": {lower_bound}, \"rows_used\": {}, \"rank\": {}}}", report.rows_used, report.rank);
}

fn count(word: &str) -> usize {
    word.parse().unwrap_or_else(|_| panic!("{word:?} is not a count\n{USE}"))
}

fn matrix(n: &str, d: &str, path: &str) -> Matrix {
    Matrix::from_vec(count(n), count(d), read(path)).expect("as large as said")
}

fn read(path: &str) -> Vec<f64> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)).collect()
}

fn write(path: &Path, values: &[f64]) {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    fs::write(path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
