//! Completion against plain alternating least squares, against the time to look at every entry once, and one half step
//! against its definition.
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use samplewise::completion::{Entries, Options, Rank, complete};
use samplewise::linalg::random::Streams;
use samplewise::linalg::{Matrix, factor, svd};
use samplewise_testkit::generate::random_low_rank;

type Triplets = Vec<(usize, usize, f64)>;

fn instance(n: usize, rank: usize, oversampling: f64) -> (Matrix, Triplets) {
    let count = (oversampling * (rank * (2 * n - rank)) as f64) as usize;
    let (truth, cells) = random_low_rank(n, n, rank, count, 7);
    let seen = cells.into_iter().map(|(i, j)| (i, j, truth[(i, j)])).collect();
    (truth, seen)
}

/// The baseline everyone writes first: spectral start, exact least squares for rows and columns in turn, each row's
/// normal equations formed and factored on its own.
fn plain_als(n: usize, rank: usize, seen: &Triplets, pairs: usize) -> (Matrix, Matrix) {
    let mut by_row = vec![Vec::new(); n];
    let mut by_column = vec![Vec::new(); n];
    let mut observed = Matrix::zeros(n, n);
    for &(i, j, v) in seen {
        by_row[i].push((j, v));
        by_column[j].push((i, v));
        observed[(i, j)] = v;
    }
    let start = svd::truncated_svd(&observed, rank, &svd::SvdOptions::default(), &mut Streams::new(1).stream(0));
    let mut v = start.expect("finite").v;
    let mut u = Matrix::zeros(n, rank);
    let half = |groups: &[Vec<(usize, f64)>], fixed: &Matrix, out: &mut Matrix| {
        for (i, group) in groups.iter().enumerate() {
            let mut gram = Matrix::zeros(rank, rank);
            let mut right = vec![0.0; rank];
            for &(j, value) in group {
                let row = fixed.row(j);
                for a in 0..rank {
                    right[a] += row[a] * value;
                    for b in 0..rank {
                        gram[(a, b)] += row[a] * row[b];
                    }
                }
            }
            factor::Cholesky::new(&gram, 1e-12).expect("enough entries").solve_in_place(&mut right);
            out.row_mut(i).copy_from_slice(&right);
        }
    };
    for _ in 0..pairs {
        half(&by_row, &v, &mut u);
        half(&by_column, &u, &mut v);
    }
    (u, v)
}

fn rmse(truth: &Matrix, predict: impl Fn(usize, usize) -> f64) -> f64 {
    let n = truth.rows();
    let squares: f64 = (0..n * n).map(|c| (truth[(c / n, c % n)] - predict(c / n, c % n)).powi(2)).sum();
    (squares / (n * n) as f64).sqrt()
}

fn recovery(c: &mut Criterion) {
    let mut group = c.benchmark_group("completion/n=500,k=5");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    let (n, rank) = (500, 5);
    for oversampling in [2.0, 6.0] {
        let (truth, seen) = instance(n, rank, oversampling);
        let data = Entries::new(n, n, &seen, None).expect("valid");
        let options = Options { tolerance: Some(1e-6), ..Options::default() };
        let run = || complete(&data, Rank::Fixed(rank), &options, &mut Streams::new(0).stream(0)).expect("valid");
        let found = run();
        let ours = rmse(&truth, |i, j| found.model.predict(i, j));
        assert!(ours < 1e-5, "oversampling {oversampling}: {ours:e}");
        // Plain ALS runs as many pairs of half steps; near the information limit it does not recover, which is printed.
        let pairs = found.report.iterations;
        let (u, v) = plain_als(n, rank, &seen, pairs);
        let theirs = rmse(&truth, |i, j| u.row(i).iter().zip(v.row(j)).map(|(a, b)| a * b).sum());
        println!("oversampling {oversampling}: {pairs} pairs, error {ours:.1e}; plain ALS after as many {theirs:.1e}");
        group.bench_function(BenchmarkId::new("samplewise", oversampling), |b| b.iter(run));
        group.bench_function(BenchmarkId::new("plain ALS, same steps", oversampling), |b| {
            b.iter(|| plain_als(n, rank, &seen, pairs));
        });
        group.bench_function(BenchmarkId::new("verify every entry once", oversampling), |b| {
            b.iter(|| found.model.rmse(&seen));
        });
    }
    group.finish();
}

criterion_group!(benches, recovery);
criterion_main!(benches);
