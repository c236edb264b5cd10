//! The facade against faer and nalgebra-sparse on the shapes that the cores use; answers are compared first.
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use faer::linalg::solvers::SolveLstsq;
use samplewise::linalg::lstsq::{Method, least_squares};
use samplewise::linalg::random::{Streams, below, normal};
use samplewise::linalg::{CooBuilder, Duplicates, Matrix, gram, spmm, tsqr};
use samplewise_testkit::generate::random_matrix;

fn group<'a>(c: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = c.benchmark_group(format!("linalg/{name}"));
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    group
}

fn tall_skinny(c: &mut Criterion) {
    for (n, d) in [(1_000_000, 20), (200_000, 100)] {
        let a = random_matrix(n, d, 1);
        let theirs = faer::MatRef::from_row_major_slice(a.as_slice(), n, d).to_owned();
        let r = tsqr::tsqr(&a).r;
        let qr = theirs.qr();
        for j in 0..d {
            assert!((r[(0, j)].abs() - qr.thin_R()[(0, j)].abs()).abs() < 1e-8 * a.norm());
        }
        let mut g = group(c, &format!("{n} x {d}"));
        g.bench_function("tsqr", |b| b.iter(|| tsqr::tsqr(&a)));
        g.bench_function("faer qr", |b| b.iter(|| theirs.qr()));
        g.bench_function("gram", |b| b.iter(|| gram::gram(&a, None, None)));
        g.bench_function("faer transpose times itself", |b| b.iter(|| theirs.transpose() * &theirs));
        let mut rng = Streams::new(2).stream(0);
        let y: Vec<f64> = (0..n).map(|i| a[(i, 0)] + normal(&mut rng)).collect();
        let column = faer::Mat::from_fn(n, 1, |i, _| y[i]);
        let ours = least_squares(&a, &y, Method::Auto).expect("finite").x;
        let solution = qr.solve_lstsq(&column);
        assert!((0..d).all(|j| (ours[j] - solution[(j, 0)]).abs() < 1e-9));
        g.bench_function("least squares with certificate", |b| b.iter(|| least_squares(&a, &y, Method::Auto)));
        g.bench_function("faer qr + solve_lstsq", |b| b.iter(|| theirs.qr().solve_lstsq(&column)));
        g.finish();
    }
}

fn sparse_times_dense(c: &mut Criterion) {
    let (n, per_row) = (20_000, 10);
    let mut rng = Streams::new(3).stream(0);
    let mut coo = CooBuilder::new(n, n);
    let mut theirs = nalgebra_sparse::CooMatrix::new(n, n);
    for i in 0..n {
        for _ in 0..per_row {
            let (j, v) = (below(&mut rng, n), normal(&mut rng));
            coo.push(i, j, v).expect("in range");
            theirs.push(i, j, v);
        }
    }
    let a = coo.build(Duplicates::Sum).expect("finite");
    let theirs = nalgebra_sparse::CsrMatrix::from(&theirs);
    let mut g = group(c, "csr 200000 nonzeros");
    for k in [8, 32] {
        let x = random_matrix(n, k, 4);
        let dense = nalgebra_sparse::na::DMatrix::from_row_slice(n, k, x.as_slice());
        let ours = spmm::multiply(&a, &x);
        let product = &theirs * &dense;
        assert!((0..n).step_by(37).all(|i| (0..k).all(|j| (ours[(i, j)] - product[(i, j)]).abs() < 1e-12)));
        g.bench_function(format!("samplewise, {k} columns"), |b| b.iter(|| spmm::multiply(&a, &x)));
        g.bench_function(format!("nalgebra-sparse, {k} columns"), |b| b.iter(|| &theirs * &dense));
    }
    g.finish();
}

fn definition(c: &mut Criterion) {
    let a = random_matrix(20_000, 20, 5);
    let by_definition = || {
        let mut g = Matrix::<f64>::zeros(20, 20);
        for i in 0..a.rows() {
            let row = a.row(i);
            for p in 0..20 {
                for q in 0..20 {
                    g[(p, q)] += row[p] * row[q];
                }
            }
        }
        g
    };
    let (ours, theirs) = (gram::gram(&a, None, None).expect("finite").matrix, by_definition());
    assert!(ours.as_slice().iter().zip(theirs.as_slice()).all(|(a, b)| (a - b).abs() < 1e-9));
    let mut g = group(c, "gram 20000 x 20");
    g.bench_function("samplewise", |b| b.iter(|| gram::gram(&a, None, None)));
    g.bench_function("definition", |b| b.iter(by_definition));
    g.finish();
}

criterion_group!(benches, tall_skinny, sparse_times_dense, definition);
criterion_main!(benches);
