//! Sparse against dense at equal answers, and the dense transform against the `fwht` crate.
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use samplewise::wht::{Options, Plan, dense};
use samplewise_testkit::generate::random_spectrum;

fn sparse_against_dense(c: &mut Criterion) {
    let mut group = c.benchmark_group("wht/n=18");
    group.sample_size(10);
    for sparsity in [16, 256] {
        let truth = random_spectrum(18, sparsity, true, 7);
        let values: Vec<f64> = (0..1 << 18).map(|m| dense::evaluate(&truth, m)).collect();
        let plan = Plan::new(18, sparsity, &Options::default()).expect("valid plan");
        let decode = || {
            let answers: Vec<f64> = plan.queries().iter().map(|&m| values[m as usize]).collect();
            plan.decode(&answers).expect("as many answers as queries")
        };
        let found = decode();
        assert!(found.coefficients.iter().map(|c| c.index).eq(truth.iter().map(|t| t.0)));
        group.bench_function(BenchmarkId::new("sparse", sparsity), |b| b.iter(decode));
        group.bench_function(BenchmarkId::new("dense", sparsity), |b| {
            b.iter_batched_ref(|| values.clone(), |x| dense::transform_in_place(x), BatchSize::LargeInput);
        });
    }
    group.finish();
}

fn dense_against_the_fwht_crate(c: &mut Criterion) {
    let mut group = c.benchmark_group("wht/dense");
    group.sample_size(10);
    for lg in [8, 12, 16] {
        let x: Vec<f64> = (0..1 << lg).map(|i| f64::from(i * 7 % 13)).collect();
        let mut ours = x.clone();
        dense::transform_in_place(&mut ours).expect("a power of two");
        let mut theirs = x.clone();
        fwht::core::fwht_slice(&mut theirs).expect("a power of two");
        assert_eq!(ours, theirs); // small integers: exact
        group.bench_function(BenchmarkId::new("samplewise", lg), |b| {
            b.iter_batched_ref(|| x.clone(), |x| dense::transform_in_place(x), BatchSize::SmallInput);
        });
        group.bench_function(BenchmarkId::new("fwht crate", lg), |b| {
            b.iter_batched_ref(|| x.clone(), |x| fwht::core::fwht_slice(x), BatchSize::SmallInput);
        });
    }
    group.finish();
}

criterion_group!(benches, sparse_against_dense, dense_against_the_fwht_crate);
criterion_main!(benches);
