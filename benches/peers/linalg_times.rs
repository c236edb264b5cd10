//! The program that `run.py linalg` asks: one task per call, inputs and answers as raw little-endian files, the times of all
//! runs on standard output, in seconds, as a JSON array.
use std::path::Path;
use std::time::Instant;
use std::{env, fs};

use faer::linalg::solvers::SolveLstsq;
use samplewise::linalg::fwht::{FwhtScalar, fwht_in_place};
use samplewise::linalg::lstsq::{Method, least_squares};
use samplewise::linalg::{CsrMatrix, Matrix, Real, spmm, tsqr};

const USE: &str = "peer-linalg RUNS OUT (qr|faer-qr) ROWS COLUMNS A
peer-linalg RUNS OUT (lstsq|faer-lstsq) ROWS COLUMNS A B
peer-linalg RUNS OUT spmm (f32|f64) ROWS COLUMNS WIDTH OFFSETS INDICES VALUES X
peer-linalg RUNS OUT spmv ROWS COLUMNS OFFSETS INDICES VALUES X
peer-linalg RUNS OUT fwht (f32|f64) LOG2 TIMES";

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [runs, out, task @ ..] = &words[..] else { panic!("{USE}") };
    let (runs, out) = (count(runs), Path::new(out));
    let seconds = match task {
        ["qr", n, d, a] => {
            let a = matrix(n, d, a);
            repeat(runs, || tsqr::tsqr(&a).expect("finite").r, |r| write(out, r.as_slice()))
        }
        ["faer-qr", n, d, a] => {
            let a = by_column(&matrix(n, d, a));
            repeat(runs, || a.qr(), |qr| write(out, &rows(qr.thin_R().as_dyn_stride())))
        }
        ["lstsq", n, d, a, b] => {
            let (a, b) = (matrix(n, d, a), read(b, f64::from_le_bytes));
            repeat(runs, || least_squares(&a, &b, Method::Auto).expect("finite"), |fit| write(out, &fit.x))
        }
        ["faer-lstsq", n, d, a, b] => {
            let (a, b) = (by_column(&matrix(n, d, a)), read(b, f64::from_le_bytes));
            let b = faer::Mat::from_fn(b.len(), 1, |i, _| b[i]);
            repeat(runs, || a.qr().solve_lstsq(&b), |x| write(out, &rows(x.as_dyn_stride())))
        }
        ["spmm", "f64", rest @ ..] => sparse(runs, out, rest, f64::from_le_bytes),
        ["spmm", "f32", rest @ ..] => sparse(runs, out, rest, f32::from_le_bytes),
        ["spmv", n, m, offsets, indices, values, x] => {
            let a = csr(count(n), count(m), [offsets, indices, values], f64::from_le_bytes);
            let x = read(x, f64::from_le_bytes);
            let mut y = vec![0.0; a.rows()];
            spmm::multiply_vector_into(&a, &x, &mut y);
            write(out, &y);
            repeat(runs, || spmm::multiply_vector_into(&a, &x, &mut y), |()| ())
        }
        ["fwht", "f64", lg, times] => walsh_hadamard::<f64>(runs, out, count(lg), count(times)),
        ["fwht", "f32", lg, times] => walsh_hadamard::<f32>(runs, out, count(lg), count(times)),
        _ => panic!("{USE}"),
    };
    println!("{seconds:?}");
}

/// The time of every run; the answer of the first is stored.
fn repeat<A>(runs: usize, mut run: impl FnMut() -> A, store: impl Fn(&A)) -> Vec<f64> {
    store(&run());
    (0..runs)
        .map(|_| {
            let start = Instant::now();
            let answer = run();
            let seconds = start.elapsed().as_secs_f64();
            drop(answer);
            seconds
        })
        .collect()
}

fn sparse<T: Real, const B: usize>(runs: usize, out: &Path, words: &[&str], number: fn([u8; B]) -> T) -> Vec<f64> {
    let [n, m, k, offsets, indices, values, x] = words else { panic!("{USE}") };
    let (n, m, k) = (count(n), count(m), count(k));
    let a = csr(n, m, [offsets, indices, values], number);
    let x = Matrix::from_vec(m, k, read(x, number)).expect("as large as said");
    let mut y = Matrix::zeros(n, k);
    let store = |y: &Matrix<T>| write(out, &y.as_slice().iter().map(|v| v.to_f64()).collect::<Vec<_>>());
    spmm::multiply_into(&a, &x, &mut y);
    store(&y);
    repeat(runs, || spmm::multiply_into(&a, &x, &mut y), |()| ())
}

fn csr<T: Real, const B: usize>(n: usize, m: usize, files: [&str; 3], number: fn([u8; B]) -> T) -> CsrMatrix<T> {
    let [offsets, indices, values] = files;
    let offsets = read(offsets, u64::from_le_bytes).into_iter().map(|o| o as usize).collect();
    let indices = read(indices, u32::from_le_bytes);
    CsrMatrix::from_parts(n, m, offsets, indices, read(values, number)).expect("sorted")
}

/// The transform of `i·37 mod 101 − 50` is stored; what is timed is `times` transforms in place of zeros, which stay in range.
fn walsh_hadamard<T: Real + FwhtScalar>(runs: usize, out: &Path, lg: usize, times: usize) -> Vec<f64> {
    let mut x: Vec<T> = (0..1_usize << lg).map(|i| T::from_f64((i * 37 % 101) as f64 - 50.0)).collect();
    fwht_in_place(&mut x);
    write(out, &x.iter().map(|v| v.to_f64()).collect::<Vec<_>>());
    x.fill(T::default());
    repeat(runs, || (0..times).for_each(|_| fwht_in_place(&mut x)), |()| ())
        .into_iter()
        .map(|s| s / times as f64)
        .collect()
}

fn count(word: &str) -> usize {
    word.parse().unwrap_or_else(|_| panic!("{word:?} is not a count\n{USE}"))
}

fn matrix(n: &str, d: &str, path: &str) -> Matrix {
    Matrix::from_vec(count(n), count(d), read(path, f64::from_le_bytes)).expect("as large as said")
}

fn by_column(a: &Matrix) -> faer::Mat<f64> {
    faer::MatRef::from_row_major_slice(a.as_slice(), a.rows(), a.columns()).to_owned()
}

fn rows(a: faer::MatRef<'_, f64>) -> Vec<f64> {
    (0..a.nrows()).flat_map(|i| (0..a.ncols()).map(move |j| a[(i, j)])).collect()
}

fn read<T, const B: usize>(path: &str, number: fn([u8; B]) -> T) -> Vec<T> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    bytes.as_chunks().0.iter().map(|&b| number(b)).collect()
}

fn write(path: &Path, values: &[f64]) {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    fs::write(path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
