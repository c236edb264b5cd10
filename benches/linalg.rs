//! The facade against faer and nalgebra-sparse on the shapes that the cores use; answers are compared first.
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use faer::linalg::solvers::SolveLstsq;
use samplewise::linalg::factor::Cholesky;
use samplewise::linalg::fwht::{InstructionSet, fwht_in_place_on};
use samplewise::linalg::lstsq::{Method, least_squares};
use samplewise::linalg::random::{Streams, below, normal};
use samplewise::linalg::{CsrMatrix, Matrix, Real, batched, gram, spmm, sums, tsqr};
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
        let r = tsqr::tsqr(&a).expect("finite").r;
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

/// Both nalgebra and the facade have a `from_f64`.
fn real<T: Real>(value: f64) -> T {
    T::from_f64(value)
}

/// `per_row` uniform columns in each of `n` rows of `m` columns.
fn random_csr<T: Real>(n: usize, m: usize, per_row: usize, seed: u64) -> CsrMatrix<T> {
    let mut rng = Streams::new(seed).stream(0);
    let (mut offsets, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
    for _ in 0..n {
        let mut row: Vec<u32> = (0..per_row).map(|_| below(&mut rng, m) as u32).collect();
        row.sort_unstable();
        row.dedup();
        values.extend(row.iter().map(|_| real::<T>(normal(&mut rng))));
        indices.extend(row);
        offsets.push(indices.len());
    }
    CsrMatrix::from_parts(n, m, offsets, indices, values).expect("sorted and in range")
}

/// Against faer's two sparse layouts with their dense side column-major, which is the faster one for it, and against
/// nalgebra-sparse.
fn sparse_times_dense(c: &mut Criterion) {
    sparse_case::<f64>(c, "f64", 10_000);
    sparse_case::<f32>(c, "f32", 10_000);
    sparse_case::<f64>(c, "f64", 500_000);
    sparse_case::<f32>(c, "f32", 500_000);
}

fn sparse_case<T: Real + faer::traits::ComplexField + nalgebra_sparse::na::RealField>(
    c: &mut Criterion,
    scalar: &str,
    n: usize,
) {
    let a = random_csr::<T>(n, n, 20, 3);
    let theirs = nalgebra_sparse::CsrMatrix::from(&a);
    let symbolic = faer::sparse::SymbolicSparseRowMat::new_checked(
        n,
        n,
        a.offsets().iter().map(|&o| o as u32).collect(),
        None,
        a.indices().to_vec(),
    );
    let by_row = faer::sparse::SparseRowMat::<u32, T>::new(symbolic, a.values().to_vec());
    let by_column = by_row.to_col_major().expect("memory");
    let mut g = group(c, &format!("csr {scalar} {} nonzeros", 20 * n));
    for k in [8, 16, 32] {
        let mut rng = Streams::new(4).stream(0);
        let x = Matrix::from_fn(n, k, |_, _| real(normal(&mut rng)));
        let dense = nalgebra_sparse::na::DMatrix::from_row_slice(n, k, x.as_slice());
        let column_major = faer::Mat::from_fn(n, k, |i, j| x[(i, j)]);
        let mut ours = Matrix::zeros(n, k);
        spmm::multiply_into(&a, &x, &mut ours);
        let engine = &by_row * &column_major;
        for (i, j) in (0..n).step_by(37).flat_map(|i| (0..k).map(move |j| (i, j))) {
            assert!((ours[(i, j)].to_f64() - engine[(i, j)].to_f64()).abs() < 1e-4);
        }
        g.bench_function(format!("samplewise, {k} columns"), |b| b.iter(|| spmm::multiply_into(&a, &x, &mut ours)));
        let mut out = faer::Mat::<T>::zeros(n, k);
        g.bench_function(format!("faer by column, {k} columns"), |b| {
            b.iter(|| {
                faer::sparse::linalg::matmul::sparse_dense_matmul(
                    out.as_mut(),
                    faer::Accum::Replace,
                    by_column.as_ref(),
                    column_major.as_ref(),
                    real(1.0),
                    faer::Par::Seq,
                );
            });
        });
        g.bench_function(format!("faer by row, {k} columns"), |b| b.iter(|| &by_row * &column_major));
        if n < 100_000 {
            g.bench_function(format!("nalgebra-sparse, {k} columns"), |b| b.iter(|| &theirs * &dense));
        }
    }
    g.finish();
}

/// What asking ahead gains where the block is in memory, and costs where it is cached: the reason for the one unsafe line.
fn prefetch(c: &mut Criterion) {
    for n in [10_000, 500_000] {
        let a = random_csr::<f64>(n, n, 20, 3);
        let mut g = group(c, &format!("prefetch {} nonzeros", 20 * n));
        for k in [8, 32] {
            let x = random_matrix(n, k, 4);
            let (mut with, mut without) = (Matrix::zeros(n, k), Matrix::zeros(n, k));
            spmm::multiply_into(&a, &x, &mut with);
            spmm::multiply_into_without_prefetch(&a, &x, &mut without);
            assert!(with == without);
            g.bench_function(format!("with, {k} columns"), |b| b.iter(|| spmm::multiply_into(&a, &x, &mut with)));
            g.bench_function(format!("without, {k} columns"), |b| {
                b.iter(|| spmm::multiply_into_without_prefetch(&a, &x, &mut without));
            });
        }
        g.finish();
    }
}

/// Lengths 2^4 to 2^24, both precisions, every instruction set of the processor, against the `fwht` crate.
fn walsh_hadamard(c: &mut Criterion) {
    let sets: &[InstructionSet] = match InstructionSet::detect() {
        InstructionSet::Avx512 => &[InstructionSet::Avx512, InstructionSet::Avx2, InstructionSet::Portable],
        InstructionSet::Portable => &[InstructionSet::Portable],
        InstructionSet::Avx2 => &[InstructionSet::Avx2, InstructionSet::Portable],
    };
    for lg in [4, 6, 8, 12, 16, 20, 24] {
        let mut g = group(c, &format!("walsh-hadamard 2^{lg}"));
        let n = 1 << lg;
        let start: Vec<f32> = (0..n).map(|i| (i * 37 % 101) as f32 - 50.0).collect();
        let (mut a, mut b) = (start.clone(), start.clone());
        fwht_in_place_on(InstructionSet::detect(), &mut a);
        fwht::fwht_slice(&mut b).expect("a power of two");
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 1e-2));
        for &set in sets {
            // Scaled back each time, or the entries would overflow; a pass over memory in every contender.
            let scale = 1.0 / (n as f32).sqrt();
            g.bench_function(format!("f32 {set:?}"), |bench| {
                bench.iter(|| {
                    fwht_in_place_on(set, &mut a);
                    a.iter_mut().for_each(|v| *v *= scale);
                });
            });
            let mut d: Vec<f64> = start.iter().map(|&v| f64::from(v)).collect();
            let scale = f64::from(scale);
            g.bench_function(format!("f64 {set:?}"), |bench| {
                bench.iter(|| {
                    fwht_in_place_on(set, &mut d);
                    d.iter_mut().for_each(|v| *v *= scale);
                });
            });
        }
        let scale = 1.0 / (n as f32).sqrt();
        g.bench_function("f32 fwht crate", |bench| {
            bench.iter(|| {
                fwht::fwht_slice(&mut b).expect("a power of two");
                b.iter_mut().for_each(|v| *v *= scale);
            });
        });
        g.finish();
    }
}

/// The half step of alternating minimisation: 20,000 feature rows, `8k` observations per problem, and the factorisation
/// alone (one observation per problem). The product of two 512 x 512 matrices gives the speed to compare with:
/// `2k²` operations per observation and 2·512³ for the product.
fn batched_normal_equations(c: &mut Criterion) {
    normal_equations::<f64>(c, "f64");
    normal_equations::<f32>(c, "f32");
}

fn normal_equations<T: batched::SmallReal + faer::traits::ComplexField + nalgebra_sparse::na::RealField>(
    c: &mut Criterion,
    scalar: &str,
) {
    let mut rng = Streams::new(9).stream(0);
    let mut g = group(c, &format!("normal equations {scalar}"));
    let square = faer::Mat::<T>::from_fn(512, 512, |_, _| real(normal(&mut rng)));
    let mut out = faer::Mat::<T>::zeros(512, 512);
    g.bench_function("faer product 512", |b| {
        b.iter(|| {
            let one = real::<T>(1.0);
            faer::linalg::matmul::matmul(out.as_mut(), faer::Accum::Replace, &square, &square, one, faer::Par::Seq);
        });
    });
    for k in [8, 16, 32, 50] {
        let features = Matrix::<T>::from_fn(20_000, k, |_, _| real(normal(&mut rng)));
        for (per, n) in [(8 * k, 200_000 / (8 * k)), (1, 4000)] {
            let y = random_csr::<T>(n, 20_000, per, 5);
            let ridge = vec![real::<T>(0.1); n];
            let mut x = Matrix::zeros(n, k);
            let solve = |x: &mut Matrix<T>| batched::solve_normal_equations(&features, &y, None, &ridge, x);
            assert!(solve(&mut x).expect("valid").iter().all(|s| *s));
            // The first problem by definition: the gradient of its ridge objective vanishes.
            let (indices, values) = y.row(0);
            for c in 0..k {
                let gradient = indices.iter().zip(values).fold(-0.1 * x[(0, c)].to_f64(), |g, (&j, &value)| {
                    let v = features.row(j as usize);
                    let fitted: f64 = v.iter().zip(x.row(0)).map(|(v, x)| v.to_f64() * x.to_f64()).sum();
                    g + v[c].to_f64() * (value.to_f64() - fitted)
                });
                assert!(gradient.abs() < if scalar == "f64" { 1e-9 } else { 1e-1 }, "{gradient}");
            }
            let name = format!("{k} unknowns, {} observations in {n} problems", y.nnz());
            g.bench_function(&name, |b| b.iter(|| solve(&mut x)));
        }
        let spd = faer::Mat::<T>::from_fn(k, k, |i, j| real(if i == j { k as f64 } else { 0.3 }));
        let right = faer::Mat::<T>::from_fn(k, 1, |i, _| real(i as f64));
        g.bench_function(format!("faer llt + solve, {k} unknowns, 1 problem"), |b| {
            b.iter(|| {
                use faer::linalg::solvers::Solve;
                spd.llt(faer::Side::Lower).expect("positive definite").solve(&right)
            });
        });
        let spd = nalgebra_sparse::na::DMatrix::<T>::from_fn(k, k, |i, j| real(if i == j { k as f64 } else { 0.3 }));
        let right = nalgebra_sparse::na::DVector::<T>::from_fn(k, |i, _| real(i as f64));
        g.bench_function(format!("nalgebra cholesky + solve, {k} unknowns, 1 problem"), |b| {
            b.iter(|| spd.clone().cholesky().expect("positive definite").solve(&right));
        });
    }
    g.finish();
}

fn cholesky(c: &mut Criterion) {
    for d in [32, 64, 128, 512] {
        let rows = random_matrix(2 * d, d, 7);
        let spd = gram::gram(&rows, None, None).expect("finite").matrix;
        let faer = faer::Mat::<f64>::from_fn(d, d, |i, j| spd[(i, j)]);
        let own = Cholesky::new(&spd, 0.0).expect("positive definite");
        let plain = cholesky_by_definition(&spd);
        let apart = (0..d * d).map(|k| (own.lower()[(k / d, k % d)] - plain[(k / d, k % d)]).abs()).fold(0.0, f64::max);
        assert!(apart < 1e-10, "{apart:e}");
        let mut g = group(c, &format!("cholesky {d}"));
        g.bench_function("samplewise", |b| b.iter(|| Cholesky::new(&spd, 0.0)));
        g.bench_function("definition", |b| b.iter(|| cholesky_by_definition(&spd)));
        g.bench_function("faer", |b| b.iter(|| faer.llt(faer::Side::Lower)));
        g.finish();
    }
}

fn cholesky_by_definition(a: &Matrix) -> Matrix {
    let d = a.rows();
    let mut lower = Matrix::zeros(d, d);
    for i in 0..d {
        for j in 0..=i {
            let rest = a[(i, j)] - sums::dot(&lower.row(i)[..j], &lower.row(j)[..j]);
            lower[(i, j)] = if i == j { rest.sqrt() } else { rest / lower[(j, j)] };
        }
    }
    lower
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

criterion_group!(
    benches,
    tall_skinny,
    sparse_times_dense,
    prefetch,
    walsh_hadamard,
    batched_normal_equations,
    cholesky,
    definition
);
criterion_main!(benches);
