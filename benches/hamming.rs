//! Every engine against the definition and triple_accel on DNA; answers are compared before anything is timed.
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use samplewise::hamming::{Engine, Options, Plan};
use samplewise_testkit::generate::random_text;
use triple_accel::SearchType;

fn engines(c: &mut Criterion) {
    let text = random_text(4_000_000, b"ACGT", 1);
    let mut group = c.benchmark_group("hamming/crossover");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .throughput(Throughput::Elements(text.len() as u64));
    for m in [8, 32, 100, 1_000, 10_000] {
        let mut pattern = text[1_000..1_000 + m].to_vec();
        pattern[m / 2] = b'A';
        let run = |engine| {
            let plan = Plan::new(&pattern, &Options { engine, ..Options::default() }).expect("valid pattern");
            plan.distances(&text).expect("longer text").distances
        };
        let expected = run(Engine::Bitsliced);
        for engine in [Engine::Definition, Engine::Vertical, Engine::Bitsliced, Engine::Fft, Engine::Pairs] {
            if matches!(engine, Engine::Definition | Engine::Pairs) && m > 100 {
                continue; // seconds per run, and no contest
            }
            assert_eq!(run(engine), expected, "{engine:?} at {m}");
            group.bench_function(BenchmarkId::new(engine.name(), m), |b| b.iter(|| run(engine)));
        }
        if m <= 1_000 {
            let peer =
                || triple_accel::hamming::hamming_search_simd_with_opts(&pattern, &text, m as u32, SearchType::All);
            let distances: Vec<u32> = peer().map(|x| x.k).collect();
            assert_eq!(distances, expected, "triple_accel at {m}");
            group.bench_function(BenchmarkId::new("triple_accel", m), |b| b.iter(|| peer().map(|x| x.k).sum::<u32>()));
        }
    }
    group.finish();
}

criterion_group!(benches, engines);
criterion_main!(benches);
