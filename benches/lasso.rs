//! The Lasso against linfa-elasticnet, with the duality gap of both answers computed here, and against coordinate descent
//! on all columns, the definition.
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use linfa::Dataset;
use linfa::traits::Fit;
use linfa_elasticnet::ElasticNet;
use ndarray::{Array1, Array2};
use samplewise::lasso::{Design, Options, largest_lambda, path, solve};
use samplewise::linalg::Matrix;
use samplewise_testkit::generate::random_sparse_regression;

/// Objective without intercept, and the gap to the dual point made from its residual.
fn objective_and_gap(x: &Matrix, y: &[f64], w: &[f64], lambda: f64) -> (f64, f64) {
    let n = y.len() as f64;
    let mut r = vec![0.0; y.len()];
    x.multiply_vector_into(w, &mut r);
    r.iter_mut().zip(y).for_each(|(r, y)| *r = y - *r);
    let squares: f64 = r.iter().map(|r| r * r).sum();
    let primal = squares / (2.0 * n) + lambda * w.iter().map(|w| w.abs()).sum::<f64>();
    let mut correlation = vec![0.0; w.len()];
    x.multiply_transpose_vector_into(&r, &mut correlation);
    let largest = correlation.iter().fold(0.0_f64, |m, c| m.max(c.abs())) / n;
    let s = (lambda / largest).min(1.0);
    let along: f64 = r.iter().zip(y).map(|(r, y)| r * y).sum();
    let dual = (s * along - 0.5 * s * s * squares) / n;
    (primal, primal - dual)
}

/// Cyclic coordinate descent over every column until the gap is small.
fn all_columns(x: &Matrix, y: &[f64], lambda: f64, tolerance: f64) -> Vec<f64> {
    let (n, p) = (x.rows(), x.columns());
    let columns = x.transpose();
    let squares: Vec<f64> = (0..p).map(|j| columns.row(j).iter().map(|v| v * v).sum::<f64>() / n as f64).collect();
    let mut w = vec![0.0; p];
    let mut r = y.to_vec();
    for epoch in 1..10_000 {
        for j in 0..p {
            let column = columns.row(j);
            let c = column.iter().zip(&r).map(|(x, r)| x * r).sum::<f64>() / n as f64 + squares[j] * w[j];
            let new = c.signum() * (c.abs() - lambda).max(0.0) / squares[j];
            let change = w[j] - new;
            if change != 0.0 {
                r.iter_mut().zip(column).for_each(|(r, x)| *r += change * x);
                w[j] = new;
            }
        }
        if epoch % 10 == 0 && objective_and_gap(x, y, &w, lambda).1 < tolerance {
            break;
        }
    }
    w
}

fn single(c: &mut Criterion) {
    let mut group = c.benchmark_group("lasso/n=500,p=2000");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    let (x, y, _) = random_sparse_regression(500, 2_000, 30, 0.5, 1);
    let options = Options { intercept: false, tolerance: 1e-6, ..Options::default() };
    let design = Design::dense(&x).expect("finite");
    let top = largest_lambda(&design, &y, &options).expect("valid");
    let null = y.iter().map(|y| y * y).sum::<f64>() / (2.0 * y.len() as f64);
    let records = Array2::from_shape_vec((500, 2_000), x.as_slice().to_vec()).expect("shape");
    let dataset = Dataset::new(records, Array1::from_vec(y.clone()));
    for share in [0.3, 0.05] {
        let lambda = share * top;
        let ours = solve(&design, &y, lambda, &options).expect("valid");
        let mut w = vec![0.0; 2_000];
        ours.coefficients.iter().for_each(|&(j, v)| w[j] = v);
        let (objective, gap) = objective_and_gap(&x, &y, &w, lambda);
        assert!(gap <= 1e-6 * null && (objective - ours.primal).abs() <= 1e-9 * null, "{gap:e}");
        // The tolerance of linfa is relative to the squares of y as well.
        let peer = || {
            ElasticNet::params()
                .penalty(lambda)
                .l1_ratio(1.0)
                .with_intercept(false)
                .tolerance(1e-6)
                .max_iterations(10_000)
                .fit(&dataset)
                .expect("valid")
        };
        let theirs = peer().hyperplane().to_vec();
        let (their_objective, their_gap) = objective_and_gap(&x, &y, &theirs, lambda);
        assert!((objective - their_objective).abs() <= 1e-4 * null, "{objective} {their_objective}");
        println!(
            "lambda {share} of the largest: gap {:.1e}, linfa {:.1e} of the null loss",
            gap / null,
            their_gap / null
        );
        group
            .bench_function(BenchmarkId::new("samplewise", share), |b| b.iter(|| solve(&design, &y, lambda, &options)));
        group.bench_function(BenchmarkId::new("linfa-elasticnet", share), |b| b.iter(peer));
        group.bench_function(BenchmarkId::new("all columns, same gap", share), |b| {
            b.iter(|| all_columns(&x, &y, lambda, 1e-6 * null));
        });
    }
    group.bench_function("path of 100 to 0.01", |b| b.iter(|| path(&design, &y, 100, 0.01, &options)));
    group.finish();
}

criterion_group!(benches, single);
criterion_main!(benches);
