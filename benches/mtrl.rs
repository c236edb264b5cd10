//! The relevance of source tasks by Lasso and by least norm, and what the allocations that follow are worth; the
//! representation fit against alternating least squares that solves for the basis as one dense system, its definition.
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use samplewise::linalg::random::{Streams, normal};
use samplewise::linalg::{Matrix, factor, svd};
use samplewise::mtrl::{Strategy, TaskData, allocate, fit_representation, predicted_risk, relevance};
use samplewise_testkit::generate::random_matrix;

fn representation(c: &mut Criterion) {
    let (d, k, tasks, n) = (40, 5, 60, 200);
    let basis = factor::dense_svd(&random_matrix(d, k, 1)).expect("finite").u;
    let weights = random_matrix(k, tasks, 2);
    let mut rng = Streams::new(3).stream(0);
    let data: Vec<TaskData> = (0..tasks)
        .map(|m| {
            let x = random_matrix(n, d, 100 + m as u64);
            let w = basis.multiply(&Matrix::from_fn(k, 1, |i, _| weights[(i, m)])).expect("shapes").into_vec();
            let mut y = vec![0.0; n];
            x.multiply_vector_into(&w, &mut y);
            y.iter_mut().for_each(|v| *v += 0.1 * normal(&mut rng));
            TaskData::new(&x, &y).expect("finite")
        })
        .collect();
    let run = || fit_representation(&data, k, &mut Streams::new(4).stream(0)).expect("valid");
    // Sine of the largest angle between the subspaces.
    let angle = |b: &Matrix| {
        let cosines = factor::dense_svd(&basis.transpose().multiply(b).expect("shapes")).expect("finite").s;
        (1.0 - cosines[k - 1].powi(2)).max(0.0).sqrt()
    };
    let (ours, theirs) = (angle(&run().basis), angle(&dense_alternation(&data, k)));
    println!("sine of the largest angle to the true basis: {ours:.4}; dense alternation {theirs:.4}");
    assert!(ours < 1.2 * theirs + 1e-3);
    let mut group = c.benchmark_group("mtrl/representation d=40,K=5,60 tasks");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    group.bench_function("samplewise", |b| b.iter(run));
    group.bench_function("dense alternation", |b| b.iter(|| dense_alternation(&data, k)));
    group.finish();
}

/// Alternation whose basis step is one least-squares system in all `d·K` entries of the basis.
fn dense_alternation(tasks: &[TaskData], k: usize) -> Matrix {
    let d = tasks[0].right.len();
    let moments = Matrix::from_fn(d, tasks.len(), |i, m| tasks[m].right[i]);
    let start = svd::truncated_svd(&moments, k, &svd::SvdOptions::default(), &mut Streams::new(1).stream(0));
    let mut basis = start.expect("finite").u;
    for _ in 0..12 {
        let mut system = Matrix::zeros(d * k, d * k);
        let mut right = vec![0.0; d * k];
        for task in tasks {
            let w = task.weights(&basis, 0.0).expect("finite");
            for i in 0..d {
                for a in 0..k {
                    right[i * k + a] += task.right[i] * w[a];
                    for j in 0..d {
                        for b in 0..k {
                            system[(i * k + a, j * k + b)] += task.gram[(i, j)] * w[a] * w[b];
                        }
                    }
                }
            }
        }
        factor::Cholesky::new(&system, 1e-12).expect("positive definite").solve_in_place(&mut right);
        let raw = Matrix::from_vec(d, k, right).expect("shape");
        basis = factor::dense_svd(&raw).expect("finite").u;
    }
    basis
}

fn allocation(c: &mut Criterion) {
    let (k, tasks) = (5, 200);
    let weights = random_matrix(k, tasks, 5);
    let target = random_matrix(k, 1, 6).into_vec();
    let mut group = c.benchmark_group("mtrl/relevance K=5,200 tasks");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    // The weights are known here: the vector of least norm.
    let options = samplewise::lasso::Options { intercept: false, ..Default::default() };
    let design = samplewise::lasso::Design::dense(&weights).expect("finite");
    let lambda = Some(1e-6 * samplewise::lasso::largest_lambda(&design, &target, &options).expect("valid"));
    let mut risks = Vec::new();
    for strategy in [Strategy::L1, Strategy::L2, Strategy::Uniform] {
        let nu = relevance(&weights, &target, strategy, lambda).expect("valid");
        let samples = allocate(&nu, 100_000, strategy);
        risks.push(predicted_risk(&weights, &target, &samples).expect("finite"));
        group.bench_function(format!("{strategy:?}"), |b| b.iter(|| relevance(&weights, &target, strategy, lambda)));
    }
    println!("predicted risk over that of uniform: L1 {:.3}, L2 {:.3}", risks[0] / risks[2], risks[1] / risks[2]);
    assert!(risks[0] <= 1.05 * risks[1] && risks[1] <= risks[2]);
    group.finish();
}

criterion_group!(benches, representation, allocation);
criterion_main!(benches);
