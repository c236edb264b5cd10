//! A call that is stopped says so, at whatever look, and what it returns is right as far as it goes.
use std::time::Duration;

use samplewise_hamming::{
    ApproximateOptions, Batch, Ending, Engine, Method, Options, Plan, Query, Search, SymbolOptions, WildcardMeaning,
};
use samplewise_linalg::random::{Streams, below};
use samplewise_testkit::stopping::{Gap, gaps, looks, stopped_at};

fn text(len: usize, letters: u8, seed: u64) -> Vec<u8> {
    let mut rng = Streams::new(seed).stream(0);
    (0..len).map(|_| b'A' + below(&mut rng, letters as usize) as u8).collect()
}

const ENGINES: [Engine; 7] =
    [Engine::Auto, Engine::Vertical, Engine::Bitsliced, Engine::Fft, Engine::Ntt, Engine::Pairs, Engine::Sumset];

#[test]
fn stopped_distances_are_the_first_of_all() {
    let text = text(4_000_000, 20, 1);
    let mut stopped = 0;
    for engine in ENGINES {
        let text = if engine == Engine::Sumset { &text[..200_000] } else { &text[..] };
        let options =
            Options { engine, wildcard: Some(b'C'), wildcard_meaning: WildcardMeaning::Excluded, ..Options::default() };
        let plan = Plan::new(&text[100..180], &options).unwrap();
        let whole = plan.distances(text).unwrap();
        assert!(whole.converged());
        for look in looks(2, 8, 2) {
            let (part, came) = stopped_at(look, |o| plan.distances_observed(text, o).unwrap());
            let done = part.distances.len();
            assert_eq!(part.converged(), done == whole.distances.len(), "{engine:?}, look {look}");
            assert!(came || part.converged());
            assert_eq!(part.distances, whole.distances[..done]);
            assert_eq!(part.valid.unwrap(), whole.valid.as_ref().unwrap()[..done]);
            stopped += usize::from(part.report.ending == Ending::Interrupted);

            let (part, _) = stopped_at(look, |o| plan.overhanging_distances_observed(&text[..100_000], o).unwrap());
            let all = plan.overhanging_distances(&text[..100_000]).unwrap();
            let done = part.distances.len();
            assert_eq!(part.converged(), done == all.distances.len());
            assert_eq!(
                (&part.distances[..], &part.valid.unwrap()[..]),
                (&all.distances[..done], &all.valid.unwrap()[..done])
            );

            let mut out = vec![u32::MAX; whole.distances.len()];
            let (report, _) = stopped_at(look, |o| plan.distances_into_observed(text, &mut out, o).unwrap());
            let done = out.iter().position(|&d| d == u32::MAX).unwrap_or(out.len());
            assert_eq!(report.ending == Ending::Finished, done == out.len());
            assert_eq!(out[..done], whole.distances[..done]);
        }
    }
    assert!(stopped >= 20, "{stopped} runs were stopped");
}

#[test]
fn stopped_batches_searches_and_approximations_say_so() {
    let text = text(6_000_000, 20, 3);
    let patterns = [&text[10..40], &text[1_000..1_500], &text[70..71]];
    let batch = Batch::new(&patterns, &Options::default()).unwrap();
    let whole = batch.distances(&text).unwrap();
    let queries = [Query::new(&text[20..40], 4), Query::new(&text[900..930], 9)];
    let search = Search::new(&queries, &Options::default()).unwrap();
    let hits = search.find(&text);
    assert!(hits.converged() && hits.searched == text.len());
    let mut stopped = 0;
    for look in looks(6, 8, 4) {
        let (parts, _) = stopped_at(look, |o| batch.distances_observed(&text, o).unwrap());
        let all_done = parts.iter().zip(&whole).all(|(p, w)| p.distances.len() == w.distances.len());
        for (part, whole) in parts.iter().zip(&whole) {
            assert_eq!(part.converged(), all_done);
            assert_eq!(part.distances, whole.distances[..part.distances.len()]);
        }
        let (part, _) = stopped_at(look, |o| search.find_observed(&text, o));
        assert_eq!(part.converged(), part.searched == text.len());
        let before: Vec<_> = hits.hits.iter().copied().filter(|h| h.position < part.searched).collect();
        assert_eq!(part.hits, before);
        stopped += usize::from(!part.converged()) + usize::from(!all_done);
    }
    assert!(stopped >= 4, "{stopped} runs were stopped");

    let wide: Vec<u32> = {
        let mut rng = Streams::new(5).stream(0);
        (0..300_000).map(|_| below(&mut rng, 3_000) as u32).collect()
    };
    let plan = Plan::of_symbols(&wide[..20_000], &SymbolOptions::default()).unwrap();
    for method in [Method::Sampling, Method::OneSided] {
        let options =
            ApproximateOptions { method, epsilon: 0.1, exact_when_cheaper: false, ..ApproximateOptions::default() };
        let whole = plan.approximate(&wide, &options).unwrap();
        assert!(whole.converged());
        for look in [1, 2] {
            let (part, came) = stopped_at(look, |o| plan.approximate_observed(&wide, &options, o).unwrap());
            assert!(!came || part.report.ending == Ending::Interrupted || part.distances == whole.distances);
            if method == Method::OneSided {
                assert!(part.distances.iter().zip(&whole.distances).all(|(p, w)| p <= w), "lower bounds");
            } else {
                assert_eq!(part.distances, whole.distances[..part.distances.len()]);
            }
        }
    }
}

#[test]
fn the_observer_is_asked_often() {
    let dna = text(6_000_000, 4, 6);
    let mut found: Vec<(String, Gap)> = Vec::new();
    for m in [20, 300, 100_000] {
        let plan = Plan::new(&dna[..m], &Options::default()).unwrap();
        found.push((format!("distances, m = {m}"), gaps(|o| plan.distances_observed(&dna, o).unwrap()).1));
    }
    for (engine, m) in
        [(Engine::Definition, 300), (Engine::Vertical, 3_000), (Engine::Bitsliced, 30_000), (Engine::Sumset, 50)]
    {
        let options = Options { engine, ..Options::default() };
        let plan = Plan::new(&dna[..m], &options).unwrap();
        let gap = gaps(|o| plan.distances_observed(&dna[..400_000], o).unwrap()).1;
        found.push((format!("{engine:?}, m = {m}"), gap));
    }
    let queries: Vec<Query<'_>> = (0..300).map(|q| Query::new(&dna[100 * q..100 * q + 20], 4)).collect();
    let search = Search::new(&queries, &Options::default()).unwrap();
    found.push(("search, 300 patterns".into(), gaps(|o| search.find_observed(&dna, o)).1));
    let patterns: Vec<&[u8]> = (0..20).map(|p| &dna[50 * p..50 * p + 200]).collect();
    let batch = Batch::new(&patterns, &Options::default()).unwrap();
    found.push(("batch, 20 patterns".into(), gaps(|o| batch.distances_observed(&dna, o).unwrap()).1));
    for (call, gap) in &found {
        println!("{call}: longest gap {:?} before {}, {} looks", gap.longest, gap.stage, gap.looks);
    }
    // Twice the contract: the tests are built with debug assertions.
    let late: Vec<_> = found.iter().filter(|(_, gap)| gap.longest > Duration::from_millis(100)).collect();
    assert!(late.is_empty(), "{late:?}");
}
