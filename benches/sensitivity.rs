//! Scores against a thin QR of faer, and `ℓ1` regression on a coreset against all rows and against iteratively
//! reweighted least squares, the baseline that is written first.
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use samplewise::linalg::lstsq::{Method as Solver, least_squares};
use samplewise::linalg::{Matrix, leverage, random};
use samplewise::sensitivity::{Loss, Method, Options, regress, regress_on_coreset, scores};
use samplewise_testkit::generate::random_matrix;

fn leverage_by_qr(a: &Matrix) -> Vec<f64> {
    let (n, d) = (a.rows(), a.columns());
    let thin = faer::MatRef::from_row_major_slice(a.as_slice(), n, d).to_owned().qr().compute_thin_Q();
    (0..n).map(|i| (0..d).map(|j| thin[(i, j)].powi(2)).sum()).collect()
}

fn row_scores(c: &mut Criterion) {
    let mut group = c.benchmark_group("sensitivity/scores 200000 x 20");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    let a = random_matrix(200_000, 20, 1);
    let ours = leverage::leverage_scores(&a).expect("finite");
    let theirs = leverage_by_qr(&a);
    assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 1e-10));
    group.bench_function("leverage", |b| b.iter(|| leverage::leverage_scores(&a)));
    group.bench_function("leverage by faer's thin QR", |b| b.iter(|| leverage_by_qr(&a)));
    group.bench_function("Lewis weights, p = 1", |b| b.iter(|| scores(&a, 1.0, Method::Lewis)));
    group.finish();
}

/// Iteratively reweighted least squares for `ℓ1`, to a relative change of 1e-6.
fn reweighted(a: &Matrix, b: &[f64]) -> Vec<f64> {
    let (n, d) = (a.rows(), a.columns());
    let mut x = vec![0.0; d];
    let mut before = f64::INFINITY;
    for _ in 0..200 {
        let mut r = vec![0.0; n];
        a.multiply_vector_into(&x, &mut r);
        r.iter_mut().zip(b).for_each(|(r, b)| *r = b - *r);
        let loss = Loss::Lp(1.0).value(&r);
        if before - loss < 1e-6 * loss {
            break;
        }
        before = loss;
        let root: Vec<f64> = r.iter().map(|r| 1.0 / r.abs().max(1e-6).sqrt()).collect();
        let rows = Matrix::from_fn(n, d, |i, j| a[(i, j)] * root[i]);
        let target: Vec<f64> = b.iter().zip(&root).map(|(b, w)| b * w).collect();
        x = least_squares(&rows, &target, Solver::Auto).expect("finite").x;
    }
    x
}

fn median_regression(c: &mut Criterion) {
    let mut group = c.benchmark_group("sensitivity/l1 100000 x 10");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(3));
    let a = random_matrix(100_000, 10, 2);
    let mut rng = random::Streams::new(3).stream(0);
    let b: Vec<f64> = (0..a.rows()).map(|i| a[(i, 0)] + random::normal(&mut rng) / random::uniform(&mut rng)).collect();
    let loss = |x: &[f64]| {
        let mut r = vec![0.0; b.len()];
        a.multiply_vector_into(x, &mut r);
        r.iter_mut().zip(&b).for_each(|(r, b)| *r = b - *r);
        Loss::Lp(1.0).value(&r)
    };
    let best = regress(&a, &b, Loss::Lp(1.0), 1e-9).expect("finite");
    assert!(best.lower_bound >= (1.0 - 1e-7) * best.objective, "certified");
    let baseline = loss(&reweighted(&a, &b));
    assert!(baseline < 1.001 * best.objective);
    println!("reweighted least squares ends {:.1e} above the certified optimum", baseline / best.objective - 1.0);
    group
        .bench_function("samplewise, all rows, certified", |bench| bench.iter(|| regress(&a, &b, Loss::Lp(1.0), 1e-9)));
    group.bench_function("reweighted least squares, all rows", |bench| bench.iter(|| reweighted(&a, &b)));
    for size in [1_000, 10_000] {
        let run = || regress_on_coreset(&a, &b, Loss::Lp(1.0), size, &Options::default()).expect("finite");
        println!("{size} rows: {:.2e} above the optimum", run().objective / best.objective - 1.0);
        group.bench_function(BenchmarkId::new("coreset, scored and certified on all rows", size), |bench| {
            bench.iter(run);
        });
    }
    group.finish();
}

criterion_group!(benches, row_scores, median_regression);
criterion_main!(benches);
