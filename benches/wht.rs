//! Sparse against dense at equal answers, and the dense transform against the `fwht` crate.
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use samplewise::linalg::random::{Streams, normal};
use samplewise::wht::{Noise, Options, Plan, dense};
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

/// Success and decode time of the two default decoders at the design's operating points; supports are judged here.
fn decoders(c: &mut Criterion) {
    let mut group = c.benchmark_group("wht/decode");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    println!("variables  K      noise  samples  exact of seeds");
    // (variables, sparsity, signal-to-noise ratio or none, samples or the default, amplitudes, seeds)
    for (n, k, snr, samples, gaussian, seeds) in [
        (20, 1_024, None, None, false, 50),
        (20, 1_024, None, None, true, 50),
        (20, 102, Some(10.0), Some(1_920), false, 100),
        (20, 102, Some(10.0), Some(2_048), false, 100),
        (20, 102, Some(10.0), None, false, 100),
        (20, 102, Some(1.0), Some(7_680), false, 50),
        (14, 26, Some(10.0), Some(512), false, 100),
        (14, 26, Some(1.0), Some(1_728), false, 100),
        (18, 64, Some(10.0), Some(1_280), false, 100),
    ] {
        let std = snr.map(|snr: f64| (k as f64 / snr).sqrt());
        let noise = std.map_or(Noise::None, Noise::Std);
        let prepare = |seed: u64| {
            let truth = random_spectrum(n, k, gaussian, seed);
            let plan = Plan::new(n, k, &Options { seed, noise, samples, verification: 0, ..Options::default() });
            let plan = plan.expect("valid plan");
            let mut rng = Streams::new(seed).stream(77);
            let mut answers = plan.answers_of(&truth);
            answers.iter_mut().for_each(|v| *v += std.unwrap_or(0.0) * normal(&mut rng));
            (truth, plan, answers)
        };
        let exact = (0..seeds)
            .filter(|&seed| {
                let (truth, plan, answers) = prepare(seed);
                let found = plan.decode(&answers).expect("as many answers as queries");
                found.coefficients.iter().map(|c| c.index).eq(truth.iter().map(|t| t.0))
            })
            .count();
        let (_, plan, answers) = prepare(0);
        let told = snr.map_or("none".to_owned(), |s| format!("{:.0} dB", 10.0 * s.log10()));
        assert!(10 * exact >= 8 * seeds as usize, "{exact} of {seeds}");
        println!("{n:9}  {k:5}  {told:>5}  {:7}  {exact} of {seeds}", answers.len());
        let name = format!("n={n},K={k},{told},{} samples,{}", answers.len(), if gaussian { "normal" } else { "+-1" });
        group.bench_function(name, |b| b.iter(|| plan.decode(&answers)));
    }
    group.finish();
}

/// How often the default noiseless plan recovers `±1` amplitudes, its hardest case.
fn default_plans(_: &mut Criterion) {
    println!("default plans, +-1, 20 variables: K, samples, exact of 200 seeds");
    for k in [2, 5, 10, 16, 24, 33, 48, 64, 100, 150, 200, 300, 500, 1_000, 4_000] {
        let mut samples = 0;
        let exact = (0..200)
            .filter(|&seed| {
                let truth = random_spectrum(20, k, false, seed);
                let options = Options { seed, verification: 0, ..Options::default() };
                let plan = Plan::new(20, k, &options).expect("valid plan");
                samples = plan.queries().len();
                let found = plan.decode(&plan.answers_of(&truth)).expect("as many answers as queries");
                found.coefficients.iter().map(|c| c.index).eq(truth.iter().map(|t| t.0))
            })
            .count();
        println!("{k:5}  {samples:6}  {exact}");
        assert!(exact >= 194, "{k}: {exact} of 200");
    }
}

/// Time per coefficient of the noiseless decoder as the sparsity grows, 60 variables.
fn scaling(c: &mut Criterion) {
    let mut group = c.benchmark_group("wht/scaling n=60");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    for k in [1_000, 10_000, 100_000] {
        let truth = random_spectrum(60, k, true, 3);
        let plan = Plan::new(60, k, &Options::default()).expect("valid plan");
        let answers = plan.answers_of(&truth);
        let found = plan.decode(&answers).expect("as many answers as queries");
        assert!(found.coefficients.iter().map(|c| c.index).eq(truth.iter().map(|t| t.0)), "{k}");
        group.throughput(criterion::Throughput::Elements(k as u64));
        group.bench_function(BenchmarkId::new("sign bits", k), |b| b.iter(|| plan.decode(&answers)));
    }
    group.finish();
}

criterion_group!(benches, default_plans, decoders, scaling, sparse_against_dense, dense_against_the_fwht_crate);
criterion_main!(benches);
