//! One test per row of paper-refs.md: every engine through the same cases, against the definition.
use std::collections::BTreeSet;

use proptest::prelude::*;
use samplewise_hamming::differences::{Counting, histogram};
use samplewise_hamming::{
    Alphabet, ApproximateOptions, ArgumentError, Ending, Engine, Error, Hit, Method, Options, PackedDna, Plan, Query,
    Route, Search, SearchStream, Stream, SymbolOptions, TextN, WildcardMeaning, reverse_complement,
};
use samplewise_linalg::random::{Streams, uniform};
use samplewise_testkit::rate::assert_rate_at_most;
use samplewise_testkit::{generate, strategies};

const ENGINES: [Engine; 7] =
    [Engine::Auto, Engine::Vertical, Engine::Bitsliced, Engine::Fft, Engine::Ntt, Engine::Pairs, Engine::Sumset];

/// The definition written once more, from nothing but the sentence.
fn oracle(pattern: &[u8], text: &[u8], matches: impl Fn(u8, u8) -> bool) -> Vec<u32> {
    (0..=text.len() - pattern.len())
        .map(|i| pattern.iter().zip(&text[i..]).filter(|(p, t)| !matches(**p, **t)).count() as u32)
        .collect()
}

fn run(pattern: &[u8], text: &[u8], options: Options) -> Vec<u32> {
    Plan::new(pattern, &options).unwrap().distances(text).unwrap().distances
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// HAM-1 to HAM-4, HAM-7: every engine equals the definition, wildcards included.
    #[test]
    fn every_engine_equals_the_definition(
        letters in 1_u8..30, text in strategies::text(30, 700), cut in 1_usize..200, at in 0_usize..700, wild in any::<bool>(),
    ) {
        let text: Vec<u8> = text.into_iter().map(|c| b'A' + (c - b'A') % letters).collect();
        prop_assume!(!text.is_empty());
        let from = at % text.len();
        let mut pattern = text[from..(from + cut).min(text.len())].to_vec();
        let middle = pattern.len() / 2;
        pattern[middle] = b'B';
        let wildcard = wild.then_some(b'A');
        let want = oracle(&pattern, &text, |p, t| p == t || (wild && (p == b'A' || t == b'A')));
        for engine in ENGINES.into_iter().chain([Engine::Definition]) {
            prop_assert_eq!(&run(&pattern, &text, Options { engine, wildcard, ..Options::default() }), &want, "{:?}", engine);
        }
    }

    /// HAM-5: the three meanings of wildcards, in pattern and text, for every engine; and overhanging ends (HAM-9).
    #[test]
    fn wildcards_count_what_they_mean(
        text in strategies::text(5, 300), pattern in strategies::text(5, 40), iupac in any::<bool>(),
    ) {
        prop_assume!(!pattern.is_empty() && !text.is_empty());
        // A, C, G, T and the wildcard.
        let dna = |t: &[u8]| t.iter().map(|c| b"ACGT*"[(c - b'A') as usize]).collect::<Vec<u8>>();
        let (text, pattern) = (dna(&text), dna(&pattern));
        let (n, m) = (text.len(), pattern.len());
        let alphabet = if iupac { Alphabet::Iupac } else { Alphabet::Bytes };
        for meaning in [WildcardMeaning::Match, WildcardMeaning::Mismatch, WildcardMeaning::Excluded] {
            let pair = |p: u8, t: u8| -> (u32, u32) {
                match (p == b'*' || t == b'*', meaning) {
                    (true, WildcardMeaning::Match) => (0, u32::from(p != b'*')),
                    (true, WildcardMeaning::Mismatch) => (1, 1),
                    (true, WildcardMeaning::Excluded) => (0, 0),
                    (false, _) => (u32::from(p != t), 1),
                }
            };
            let mut want: Vec<(u32, u32)> = Vec::new();
            for i in 0..n + m - 1 {
                let exist = (0..m).filter_map(|j| Some((pattern[j], *text.get((i + j).checked_sub(m - 1)?)?)));
                want.push(exist.map(|(p, t)| pair(p, t)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)));
            }
            for engine in ENGINES.into_iter().chain([Engine::Definition]) {
                let options = Options { alphabet, wildcard: Some(b'*'), wildcard_meaning: meaning, engine, ..Options::default() };
                let plan = Plan::new(&pattern, &options).unwrap();
                let full = plan.overhanging_distances(&text).unwrap();
                let got: Vec<(u32, u32)> = full.distances.into_iter().zip(full.valid.unwrap()).collect();
                prop_assert_eq!(&got, &want, "{:?} {:?}", engine, meaning);
                if m > n {
                    continue;
                }
                let inside = &want[m - 1..n];
                let answer = plan.distances(&text).unwrap();
                prop_assert!(answer.distances.iter().eq(inside.iter().map(|w| &w.0)), "{:?} {:?}", engine, meaning);
                prop_assert_eq!(answer.valid.is_some(), meaning == WildcardMeaning::Excluded);
                if let Some(valid) = answer.valid {
                    prop_assert!(valid.iter().eq(inside.iter().map(|w| &w.1)), "{:?} {:?}", engine, meaning);
                }
            }
        }
    }

    /// HAM-8: hits of many patterns are the alignments that the definition finds, on both strands, with positions that
    /// must match and every meaning of a wildcard.
    #[test]
    fn hits_are_those_of_the_definition(
        text in strategies::text(5, 3000), cuts in prop::collection::vec((0_usize..3000, 1_usize..60, 0_u32..12, 0_usize..9), 1..6),
        meaning in 0_usize..3, both in any::<bool>(), alphabet in 0_usize..3,
    ) {
        let letters: &[u8; 5] = if alphabet == 2 { b"ACGTR" } else { b"ACGTN" };
        let text: Vec<u8> = text.iter().map(|c| letters[(c - b'A') as usize]).collect();
        prop_assume!(!text.is_empty());
        let meaning = [WildcardMeaning::Match, WildcardMeaning::Mismatch, WildcardMeaning::Excluded][meaning];
        let alphabet = [Alphabet::Bytes, Alphabet::Dna, Alphabet::Iupac][alphabet];
        let patterns: Vec<Vec<u8>> = cuts.iter().map(|&(at, m, ..)| {
            let at = at % text.len();
            let mut p = text[at..(at + m).min(text.len())].to_vec();
            let middle = p.len() / 2;
            p[middle] = b'G';
            p
        }).collect();
        let queries: Vec<Query<'_>> = cuts.iter().zip(&patterns).map(|(&(_, _, k, r), p)| {
            Query::new(p, k).requiring(r.min(p.len())..(r + 2).min(p.len()))
        }).collect();
        for engine in [Engine::Auto, Engine::Bitsliced, Engine::Pairs, Engine::Definition, Engine::Periodic] {
            let options = Options { alphabet, wildcard: Some(b'N'), wildcard_meaning: meaning, engine, ..Options::default() };
            let mut want = Vec::new();
            for (query, q) in queries.iter().enumerate() {
                for reverse in [false, true].into_iter().take(1 + usize::from(both)) {
                    let pattern = if reverse { reverse_complement(q.pattern) } else { q.pattern.to_vec() };
                    let m = pattern.len();
                    let one = Plan::new(&pattern, &Options { engine: Engine::Definition, ..options }).unwrap();
                    let Ok(answer) = one.distances(&text) else { continue };
                    for (position, distance) in answer.matches_within(q.max_distance) {
                        let wrong = one.mismatch_positions(&text, position).unwrap();
                        let must = |j: &usize| q.required.contains(&if reverse { m - 1 - j } else { *j });
                        if !wrong.iter().any(must) {
                            want.push(Hit { position, query, reverse, distance });
                        }
                    }
                }
            }
            want.sort_unstable();
            let search = if both { Search::both_strands(&queries, &options) } else { Search::new(&queries, &options) };
            let search = search.unwrap();
            let found = search.find(&text);
            let (mut streamed, mut stream) = (Vec::new(), SearchStream::new(&search));
            text.chunks(97).for_each(|piece| stream.push(piece, |hit| streamed.push(hit)));
            stream.finish(|hit| streamed.push(hit));
            prop_assert_eq!(&streamed, &want);
            prop_assert!(found.converged());
            prop_assert_eq!(&found.hits, &want, "{:?} {:?} {}", engine, meaning, found.report.route.name());
        }
    }

    /// HAM-6: pieces of any size give the distances of the whole.
    #[test]
    fn streams_give_the_distances_of_the_whole(
        text in strategies::text(4, 2000), m in 1_usize..80, pieces in prop::collection::vec(1_usize..700, 1..12),
    ) {
        prop_assume!(text.len() >= m);
        let options = Options { wildcard: Some(b'B'), wildcard_meaning: WildcardMeaning::Excluded, ..Options::default() };
        let plan = Plan::new(&text[text.len() - m..], &options).unwrap();
        let whole = plan.distances(&text).unwrap();
        let (mut distances, mut valid) = (Vec::new(), Vec::new());
        let mut take = |b: samplewise_hamming::Block<'_>| {
            assert_eq!(b.position, distances.len());
            distances.extend_from_slice(b.distances);
            valid.extend_from_slice(b.valid.unwrap());
        };
        let mut stream = Stream::new(&plan);
        let mut rest = &text[..];
        for piece in pieces.iter().cycle() {
            let (now, later) = rest.split_at((*piece).min(rest.len()));
            stream.push(now, &mut take);
            rest = later;
            if rest.is_empty() { break; }
        }
        prop_assert_eq!(stream.finish(&mut take).unwrap().ending, Ending::Finished);
        prop_assert_eq!(&distances, &whole.distances);
        prop_assert_eq!(Some(&valid), whole.valid.as_ref());
        let mut into = vec![7; whole.distances.len()];
        plan.distances_into(&text, &mut into).unwrap();
        prop_assert_eq!(&into, &whole.distances);
        let mut counts = vec![0_u64; m + 1];
        whole.distances.iter().for_each(|&d| counts[d as usize] += 1);
        counts.truncate(counts.iter().rposition(|&c| c > 0).unwrap() + 1);
        prop_assert_eq!(whole.histogram(), counts);
        let mut blocks = Vec::new();
        plan.for_each_block(&text, |b| blocks.extend_from_slice(b.distances)).unwrap();
        prop_assert_eq!(blocks, into);
    }

    /// HAM-17: patterns of a batch, of any lengths, get the distances that each gets alone, by another engine, for every
    /// meaning of wildcards.
    #[test]
    fn a_batch_counts_what_its_patterns_count_alone(
        text in strategies::text(5, 9000), cuts in prop::collection::vec((0_usize..9000, 1_usize..4000), 1..5),
        meaning in 0_usize..3, iupac in any::<bool>(),
    ) {
        prop_assume!(!text.is_empty());
        let text: Vec<u8> = text.iter().map(|c| b"ACGTN"[(c - b'A') as usize]).collect();
        let meaning = [WildcardMeaning::Match, WildcardMeaning::Mismatch, WildcardMeaning::Excluded][meaning];
        let alphabet = if iupac { Alphabet::Iupac } else { Alphabet::Bytes };
        let patterns: Vec<&[u8]> = cuts.iter().map(|&(at, m)| {
            let at = at % text.len();
            &text[at..(at + m).min(text.len())]
        }).collect();
        for engine in [Engine::Auto, Engine::Ntt, Engine::Pairs] {
            let options = Options { alphabet, wildcard: Some(b'N'), wildcard_meaning: meaning, engine, ..Options::default() };
            let answers = samplewise_hamming::Batch::new(&patterns, &options).unwrap().distances(&text).unwrap();
            for (pattern, answer) in patterns.iter().zip(answers) {
                let other = if engine == Engine::Pairs { Engine::Bitsliced } else { Engine::Pairs };
                let alone = Plan::new(pattern, &Options { engine: other, ..options }).unwrap();
                let alone = alone.distances(&text).unwrap();
                prop_assert!(answer.distances == alone.distances && answer.valid == alone.valid, "{:?}", engine);
                prop_assert!(answer.converged());
            }
        }
    }

    /// HAM-5: IUPAC codes match when they share a nucleotide, for every pair of the 16 letters.
    #[test]
    fn iupac_codes_match_when_they_share_a_nucleotide(
        pattern in prop::collection::vec(0_usize..15, 1..40), text in prop::collection::vec(0_usize..16, 40..200),
    ) {
        const CODES: &[u8; 16] = b"ACGTRYSWKMBDHVNX"; // X is no code: it matches nothing
        const SETS: [&str; 16] =
            ["A", "C", "G", "T", "AG", "CT", "CG", "AT", "GT", "AC", "CGT", "AGT", "ACT", "ACG", "ACGT", ""];
        let set = |b: u8| SETS[CODES.iter().position(|&c| c == b).unwrap()];
        let p: Vec<u8> = pattern.iter().map(|&i| CODES[i]).collect();
        let t: Vec<u8> = text.iter().map(|&i| CODES[i]).collect();
        let share = |a: u8, b: u8| set(a).chars().any(|x| set(b).contains(x));
        for text_n in [TextN::Match, TextN::Mismatch] {
            // An N of the text is unknown: it matches every letter, or an N only.
            let apart = |b: u8| b == b'N' && text_n == TextN::Mismatch;
            let want = oracle(&p, &t, |a, b| if apart(b) { a == b'N' } else { share(a, b) });
            for engine in ENGINES.into_iter().chain([Engine::Definition]) {
                let options = Options { engine, alphabet: Alphabet::Iupac, text_n, ..Options::default() };
                prop_assert_eq!(&run(&p, &t, options), &want, "{:?} {:?}", engine, text_n);
            }
        }
    }

    /// HAM-6: both strands: the distances of the reverse complement are those of the reversed text complement.
    #[test]
    fn reverse_complements_mirror_the_distances(text in strategies::text(4, 300), m in 1_usize..50) {
        let text: Vec<u8> = text.iter().map(|c| b"ACGT"[(c - b'A') as usize]).collect();
        prop_assume!(text.len() >= m);
        let pattern = text[text.len() - m..].to_vec();
        let mut forward = run(&pattern, &text, Options::default());
        forward.reverse();
        prop_assert_eq!(run(&reverse_complement(&pattern), &reverse_complement(&text), Options::default()), forward);
    }
}

/// HAM-2 to HAM-4 and HAM-7 at sizes past every block edge; the definition is the judge on a sample of alignments, the engines
/// judge each other on all.
#[test]
fn engines_agree_past_every_block_edge() {
    for (n, m, letters) in [(40_000, 300, 4), (60_000, 17_000, 20), (33_000, 16_385, 2), (70_000, 5_000, 200)] {
        let alphabet: Vec<u8> = (0..letters).collect();
        let text = generate::random_text(n, &alphabet, 1);
        let mut pattern = text[100..100 + m].to_vec();
        pattern[m / 2] ^= 1;
        let results: Vec<Vec<u32>> =
            ENGINES.map(|engine| run(&pattern, &text, Options { engine, ..Options::default() })).into();
        for r in &results[1..] {
            assert!(r == &results[0], "n {n} m {m} letters {letters}");
        }
        assert_eq!(results[0][100], 1);
        for i in (0..=n - m).step_by(997) {
            let want = pattern.iter().zip(&text[i..]).filter(|(a, b)| a != b).count() as u32;
            assert_eq!(results[0][i], want);
        }
    }
}

/// HAM-4: the certificate is used; and single precision is not tried where it is not expected to pass.
#[test]
fn the_certificate_names_the_precision_that_passed() {
    let text = generate::random_text(100_000, b"ACGT", 2);
    let plan = Plan::new(&text[500..9_000], &Options { engine: Engine::Fft, ..Options::default() }).unwrap();
    let report = plan.distances(&text).unwrap().report;
    let c = report.certificate.unwrap();
    assert!(c.f32_blocks > 0 && c.ntt_blocks == 0 && c.largest_residual < 0.25, "{c:?}");
    let ones = vec![b'A'; 3_000_000];
    let plan = Plan::new(&ones[..2_000_000], &Options { engine: Engine::Fft, ..Options::default() }).unwrap();
    let answer = plan.distances(&ones).unwrap();
    assert!(answer.distances.iter().all(|&d| d == 0));
    let c = answer.report.certificate.unwrap();
    assert!(c.f32_blocks == 0 && c.f64_blocks > 0 && c.ntt_blocks == 0, "{c:?}");
}

/// HAM-4: patterns in pieces, of every transform length, of texts that are covered by the letters and that are not, whose
/// last block is not full; all distances, judged by the engine that does not round.
#[test]
fn pieces_count_what_the_whole_pattern_counts() {
    let mut text = generate::random_text(700_000, b"ACGT", 12);
    for (m, foreign) in [(70_000, false), (140_000, true), (300_000, false), (300_000, true), (620_000, false)] {
        if foreign {
            text[333_333] = b'N';
        }
        let mut pattern = text[1_234..1_234 + m].to_vec();
        pattern[m / 2] = b'N';
        let run =
            |engine| Plan::new(&pattern, &Options { engine, ..Options::default() }).unwrap().distances(&text).unwrap();
        let (fft, ntt) = (run(Engine::Fft), run(Engine::Ntt));
        assert!(fft.distances == ntt.distances, "{m} {foreign}");
        assert_eq!(
            ntt.distances[1_234],
            1 - u32::from(foreign && (1_234..1_234 + m).contains(&333_333) && m / 2 == 332_099)
        );
        let c = fft.report.certificate.unwrap();
        assert!(c.f32_blocks > 0 && c.f64_blocks + c.ntt_blocks == 0, "{m} {c:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// HAM-12: histograms of differences equal their definition, pair by pair and by FFT.
    #[test]
    fn histograms_of_differences_equal_their_definition(
        a in prop::collection::vec(-3000_i64..3000, 1..300), b in prop::collection::vec(-9000_i64..3000, 1..300),
        first in -5000_i64..5000, width in 1_u64..2500,
    ) {
        let mut want = vec![0_u64; width as usize];
        for x in &a {
            for y in &b {
                if let Ok(s) = usize::try_from(x - y - first) && s < want.len() {
                    want[s] += 1;
                }
            }
        }
        for (counting, path) in [(Counting::Pairs, "pairs"), (Counting::Fft, "fft")] {
            let h = histogram(&a, &b, first, width, counting).unwrap();
            prop_assert_eq!(&h.counts, &want);
            prop_assert_eq!((h.pairs, h.route.name()), (want.iter().sum(), path));
        }
    }

    /// HAM-12: the matches of a text are a histogram of differences, and a histogram of differences is a sum of matches of
    /// texts.
    #[test]
    fn differences_and_matches_are_the_same_problem(
        text in strategies::text(6, 400), m in 1_usize..60, sets in prop::collection::vec((0_i64..500, 0_i64..500), 1..80), width in 1_i64..90,
    ) {
        prop_assume!(text.len() >= m);
        let pattern = text[text.len() - m..].to_vec();
        let apart = (text.len() + m) as i64;
        let events = |t: &[u8]| -> Vec<i64> { t.iter().enumerate().map(|(i, &c)| i as i64 + apart * i64::from(c)).collect() };
        let alignments = (text.len() - m + 1) as u64;
        let h = histogram(&events(&text), &events(&pattern), 0, alignments, Counting::Auto).unwrap();
        let matches: Vec<u64> = run(&pattern, &text, Options::default()).iter().map(|&d| m as u64 - u64::from(d)).collect();
        prop_assert_eq!(h.counts, matches);

        // The other way: windows of the range are letters, places in them positions. The partners x of an event y, with
        // 0 ≤ x − y < width, lie in its window or the next; copies of the text that hold the next window's letter one
        // window early, and layers where several events share a place, make up the difference.
        let (a, b): (BTreeSet<i64>, BTreeSet<i64>) = sets.into_iter().unzip();
        let h = histogram(&a.iter().copied().collect::<Vec<_>>(), &b.iter().copied().collect::<Vec<_>>(), 0, width as u64, Counting::Auto).unwrap();
        // Layer w: the events of window w, at their places.
        let layer = |set: &BTreeSet<i64>, w: i64| -> Vec<bool> { (0..width).map(|p| set.contains(&(w * width + p))).collect() };
        let mut sums = vec![0_u64; width as usize];
        for w in 0..=500 / width {
            // One letter for "event", another for none on either side, so that nothing else matches.
            let pattern: Vec<u8> = layer(&b, w).iter().map(|&e| if e { 1 } else { 2 }).collect();
            let text: Vec<u8> = [layer(&a, w), layer(&a, w + 1)].concat().iter().map(|&e| if e { 1 } else { 3 }).collect();
            let distances = run(&pattern, &text[..2 * width as usize - 1], Options::default());
            sums.iter_mut().zip(distances).for_each(|(s, d)| *s += width as u64 - u64::from(d));
        }
        prop_assert_eq!(h.counts, sums);
    }
}

/// HAM-10: within 1 ± ε everywhere, no less often than promised; 200 seeded runs, false alarm below 1e-9.
#[test]
fn sampled_distances_miss_no_more_often_than_promised() {
    let mut rng = Streams::new(4).stream(0);
    let words: Vec<u32> = (0..30_000).map(|_| (uniform(&mut rng).powi(-2) as u32).min(900)).collect();
    let mut pattern = words[3_000..13_000].to_vec();
    pattern.iter_mut().step_by(3).for_each(|w| *w = 5_000);
    let plan = Plan::of_symbols(&pattern, &SymbolOptions::default()).unwrap();
    let exact = plan.distances(&words).unwrap();
    let options =
        ApproximateOptions { epsilon: 0.1, delta: 0.05, exact_when_cheaper: false, ..ApproximateOptions::default() };
    let (mut missed, mut refined) = (0, 0);
    for seed in 0..200 {
        let a = plan.approximate(&words, &ApproximateOptions { seed, ..options }).unwrap();
        assert!(
            a.report.route == Route::Sampling
                && a.converged()
                && a.samples < 5_000
                && a.distances.len() == exact.distances.len()
        );
        refined += a.refined;
        let off = |(x, &d): (&f64, &u32)| (x - f64::from(d)).abs() > 0.1 * f64::from(d);
        missed += usize::from(a.distances.iter().zip(&exact.distances).any(off));
    }
    assert!(refined > 0, "the alignment of the pattern itself needs more samples than others");
    assert_rate_at_most(missed, 200, 0.05, 1e-9);
    // A distance of zero is found to be zero, and alphabets of sets are served too.
    let dna = generate::random_text(20_000, b"ACGTN", 6);
    let iupac = Options { alphabet: Alphabet::Iupac, ..Options::default() };
    let plan = Plan::new(&dna[5_000..13_000], &iupac).unwrap();
    let exact = plan.distances(&dna).unwrap();
    let options = ApproximateOptions { epsilon: 0.2, exact_when_cheaper: false, ..ApproximateOptions::default() };
    let a = plan.approximate(&dna, &ApproximateOptions { seed: 1, ..options }).unwrap();
    assert_eq!((a.report.route, a.distances[5_000]), (Route::Sampling, 0.0));
    assert!(a.distances.iter().zip(&exact.distances).all(|(x, &d)| (x - f64::from(d)).abs() <= 0.2 * f64::from(d)));
    let repeated = plan.approximate(&dna, &ApproximateOptions { seed: 1, ..options }).unwrap();
    assert_eq!((a.distances, a.samples, a.refined), (repeated.distances, repeated.samples, repeated.refined));
}

/// HAM-11: never above the distance, and no less often than promised at least (1 − ε) of it.
#[test]
fn one_sided_distances_are_bounds_from_below() {
    let mut rng = Streams::new(5).stream(0);
    let words: Vec<u32> = (0..6_000).map(|_| (1_500.0 * uniform(&mut rng)) as u32 * 17).collect();
    let pattern = words[1_000..3_000].to_vec();
    let plan = Plan::of_symbols(&pattern, &SymbolOptions { wildcard: Some(17), ..SymbolOptions::default() }).unwrap();
    let exact = plan.distances(&words).unwrap();
    let options =
        ApproximateOptions { epsilon: 0.1, delta: 0.05, method: Method::OneSided, exact_when_cheaper: false, seed: 0 };
    let mut missed = 0;
    for seed in 0..60 {
        let a = plan.approximate(&words, &ApproximateOptions { seed, ..options }).unwrap();
        assert!(a.report.route == Route::OneSided && a.repetitions > 1 && a.converged(), "{a:?}");
        assert!(a.distances.iter().zip(&exact.distances).all(|(&x, &d)| x <= f64::from(d)), "seed {seed}");
        missed += usize::from(a.distances.iter().zip(&exact.distances).any(|(&x, &d)| x < 0.9 * f64::from(d)));
    }
    assert_rate_at_most(missed, 60, 0.05, 1e-9);
    let sets = Plan::new(b"ACGN".as_slice(), &Options { alphabet: Alphabet::Iupac, ..Options::default() }).unwrap();
    let refused = sets.approximate(b"ACGTACGT", &ApproximateOptions { seed: 0, ..options });
    assert!(matches!(refused, Err(Error::EngineUnsuitable { engine: "one-sided", .. })));
    // Where exact counting is no slower, it is done, and said.
    let dna = generate::random_text(3_000, b"ACGT", 12);
    let short = Plan::new(&dna[70..100], &Options::default()).unwrap();
    let same = short.approximate(&dna, &ApproximateOptions::default()).unwrap();
    let distances = short.distances(&dna).unwrap().distances;
    assert!(
        same.report.route == Route::Counting && same.distances.iter().zip(&distances).all(|(&x, &d)| x == f64::from(d))
    );
    let bad = plan.approximate(&words, &ApproximateOptions { epsilon: 1.0, ..ApproximateOptions::default() });
    assert!(matches!(bad, Err(Error::Argument(ArgumentError { name: "epsilon", .. }))));
}

/// HAM-17: many patterns share the transforms of a text of several strides, unasked, with the same result for every number
/// of threads; texts too short and batches of nothing are refused.
#[test]
fn a_batch_shares_the_transforms_of_the_text() {
    let text = generate::random_text(700_000, b"ACGT", 8);
    let patterns: Vec<&[u8]> = (0..12).map(|p| &text[5_000 * p..5_000 * p + 900 + 60 * p]).collect();
    let batch = samplewise_hamming::Batch::new(&patterns, &Options::default()).unwrap();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| batch.distances(&text).unwrap())
    };
    let (one, three) = (run(1), run(3));
    for ((pattern, x), y) in patterns.iter().zip(&one).zip(&three) {
        assert!(x.report.engine_names() == "ntt" || !cfg!(target_arch = "x86_64"), "{}", x.report.engine_names());
        assert!(x.distances == y.distances);
        assert!(x.distances == Plan::new(pattern, &Options::default()).unwrap().distances(&text).unwrap().distances);
    }
    let none: [&[u8]; 0] = [];
    let refused = |patterns: &[&[u8]]| samplewise_hamming::Batch::new(patterns, &Options::default()).unwrap_err();
    assert_eq!(refused(&none), Error::NoQueries);
    assert_eq!(refused(&[b"A", b""]), Error::EmptyPattern);
    assert!(matches!(batch.distances(&text[..1_000]), Err(Error::PatternLongerThanText { text: 1_000, .. })));
}

/// HAM-6: DNA in two bits a letter is what its letters are, for lengths that fill no byte, past every piece.
#[test]
fn packed_dna_is_what_its_letters_are() {
    let text = generate::random_text(600_003, b"ACGT", 9);
    let packed = PackedDna::from_letters(&text).unwrap();
    assert_eq!(packed.as_bytes().len(), 150_001);
    assert!(packed.to_letters() == text && packed.get(600_003).is_none() && packed.get(262_145) == Some(text[262_145]));
    assert_eq!(PackedDna::from_bytes(packed.as_bytes().to_vec(), 600_003).unwrap(), packed);
    for m in [1, 30, 3_000] {
        let plan = Plan::new(&text[300_000..300_000 + m], &Options::default()).unwrap();
        assert!(plan.distances_packed(&packed).unwrap().distances == plan.distances(&text).unwrap().distances);
    }
    let search = Search::both_strands(&[Query::new(&text[262_130..262_160], 3)], &Options::default()).unwrap();
    assert_eq!(search.find_packed(&packed), search.find(&text).hits);
    let bad = PackedDna::from_letters(b"acgN").unwrap_err();
    assert!(matches!(bad, Error::UnknownSymbol { symbol: 'N', position: 3, .. }));
    // What lies behind the last letter is none.
    assert_eq!(PackedDna::from_bytes(vec![0b1111_1100, 7], 1), PackedDna::from_letters(b"a"));
    assert!(matches!(PackedDna::from_bytes(vec![0], 5), Err(Error::Argument(ArgumentError { name: "len", .. }))));
    let long = Plan::new(b"ACGT", &Options::default()).unwrap();
    let short = PackedDna::from_letters(b"ACG").unwrap();
    assert!(matches!(long.distances_packed(&short), Err(Error::PatternLongerThanText { .. })));
    assert!(search.find_packed(&PackedDna::from_letters(b"").unwrap()).is_empty());
}

/// HAM-15: in a periodic text a periodic pattern is searched for by its breaks, unasked, in pieces as in one; the hits are
/// those of the other engines.
#[test]
fn periodic_texts_are_searched_by_their_breaks() {
    let text = generate::adversarial_periodic_text(1_200_000, 171, 0.0002, 6);
    let pattern = &text[100_000..500_000];
    let queries = [Query::new(pattern, 500)];
    let find = |engine| {
        let search = Search::new(&queries, &Options { engine, ..Options::default() }).unwrap();
        let found = search.find(&text);
        let (mut streamed, mut stream) = (Vec::new(), SearchStream::new(&search));
        text.chunks(177_777).for_each(|piece| stream.push(piece, |hit| streamed.push(hit)));
        stream.finish(|hit| streamed.push(hit));
        assert!(streamed == found.hits, "{engine:?}");
        found
    };
    let (auto, counted) = (find(Engine::Auto), find(Engine::Ntt));
    assert_eq!((auto.report.route, counted.report.route), (Route::Periodic, Route::Counting));
    assert!(auto.hits == counted.hits && auto.hits.len() > 1_000, "{}", auto.hits.len());
    // Of shorter patterns counting every distance costs less, and early exit more than either.
    let search = Search::new(&[Query::new(&pattern[..20_000], 150)], &Options::default()).unwrap();
    assert_eq!(search.find(&text).report.route, Route::Counting);
    // Nothing of the kind in a text that is not periodic.
    let random = generate::random_text(100_000, b"ACGT", 1);
    let search = Search::new(&[Query::new(&random[..20_000], 150)], &Options::default()).unwrap();
    assert_eq!(search.find(&random).report.route, Route::MismatchBudget);
}

/// HAM-6 and HAM-8 past every block edge: a text of several strides in pieces, hits across them.
#[test]
fn long_texts_are_one_piece() {
    let text = generate::random_text(2_600_000, b"ACGT", 11);
    let pattern = &text[1_048_570..1_048_770];
    let plan = Plan::new(pattern, &Options::default()).unwrap();
    let whole = plan.distances(&text).unwrap();
    let mut distances = Vec::new();
    let mut stream = Stream::new(&plan);
    text.chunks(777_777).for_each(|piece| stream.push(piece, |b| distances.extend_from_slice(b.distances)));
    stream.finish(|b| distances.extend_from_slice(b.distances));
    assert!(distances == whole.distances);
    for k in [3, 100, 130] {
        let queries = [Query::new(pattern, k), Query::new(&pattern[..20], k.min(6))];
        let search = Search::new(&queries, &Options::default()).unwrap();
        let hits = search.find(&text);
        let (mut streamed, mut stream) = (Vec::new(), SearchStream::new(&search));
        text.chunks(777_777).for_each(|piece| stream.push(piece, |hit| streamed.push(hit)));
        stream.finish(|hit| streamed.push(hit));
        assert!(streamed == hits.hits);
        let long: Vec<(usize, u32)> =
            hits.hits.iter().filter(|h| h.query == 0).map(|h| (h.position, h.distance)).collect();
        assert_eq!(long, whole.matches_within(k), "{k}");
        assert!(hits.hits.is_sorted());
    }
}

/// HAM-6: integers, words and characters are symbols like any other.
#[test]
fn any_symbol_type_is_served() {
    let text: Vec<u32> = (0..5_000_u32).map(|i| i.wrapping_mul(2_654_435_761) % 1000 * 1_000_003).collect();
    let pattern = text[700..1_200].to_vec();
    let want: Vec<u32> = (0..=text.len() - pattern.len())
        .map(|i| pattern.iter().zip(&text[i..]).filter(|(a, b)| a != b).count() as u32)
        .collect();
    for engine in ENGINES {
        let plan = Plan::of_symbols(&pattern, &SymbolOptions { engine, ..SymbolOptions::default() }).unwrap();
        assert_eq!(plan.distances(&text).unwrap().distances, want, "{engine:?}");
    }
}

/// HAM-6: symbols that are small numbers are looked up in a table, others by their hash: the same distances, with letters
/// that the pattern lacks, beyond the table, and negative.
#[test]
fn small_and_large_symbols_are_alike() {
    let small: Vec<i64> = (0..3_000_i64).map(|i| i * i % 701).collect();
    let want =
        Plan::of_symbols(&small[400..900], &SymbolOptions { wildcard: Some(9), ..SymbolOptions::default() }).unwrap();
    let want = want.distances(&small).unwrap().distances;
    assert_eq!(want[400], 0);
    let check = |map: &dyn Fn(i64) -> i64| {
        let text: Vec<i64> = small.iter().map(|&s| map(s)).collect();
        let plan =
            Plan::of_symbols(&text[400..900], &SymbolOptions { wildcard: Some(map(9)), ..SymbolOptions::default() })
                .unwrap();
        assert_eq!(plan.distances(&text).unwrap().distances, want);
        // Letters that only the text has match nothing.
        let others: Vec<i64> = (0..600).map(|i| map(701 + 1_000 * i)).collect();
        assert!(
            plan.distances(&others).unwrap().distances.iter().all(|&d| d == want.iter().copied().max().unwrap().max(d))
        );
        assert!(plan.distances(&others).unwrap().distances.windows(2).all(|w| w[0] == w[1]));
    };
    check(&|s| s);
    check(&|s| -s);
    check(&|s| s << 40);
    let text = ['a', 'é', '語', 'a', 'é'];
    let plan = Plan::of_symbols(&['語', 'a'], &SymbolOptions::default()).unwrap();
    assert_eq!(plan.distances(&text).unwrap().distances, [2, 2, 0, 2]);
}

/// HAM-6: the dispatcher is a pure function with a choice on both sides of each crossover.
#[test]
fn the_dispatcher_changes_engine_with_the_pattern_length() {
    let text = generate::random_text(1_000_000, b"ACGT", 3);
    let path = |m: usize, n: usize| {
        Plan::new(&text[..m], &Options::default()).unwrap().distances(&text[..n]).unwrap().report.engine_names()
    };
    assert_eq!(path(10, 60), "definition");
    assert!(matches!(&*path(8, 200_000), "bitsliced" | "vertical"), "by instruction set");
    assert_eq!(path(500, 200_000), "bitsliced");
    assert!(matches!(&*path(20_000, 200_000), "ntt" | "fft"), "by instruction set");
    assert_eq!(path(400_000, 1_000_000), "fft");
}

/// HAM-6: letters of one pattern are counted by different engines, each letter by one, and the sum is the definition.
#[test]
fn frequent_and_rare_letters_get_different_engines() {
    // Letter i has share ~ 1/(i+1)^1.5: a few frequent letters, and 2,000 rare ones.
    let mut rng = Streams::new(9).stream(0);
    let text: Vec<u32> = (0..120_000).map(|_| (uniform(&mut rng).powi(-2) as u32).min(2_000) * 7).collect();
    let pattern = text[20_000..60_000].to_vec();
    let plan = Plan::of_symbols(&pattern, &SymbolOptions::default()).unwrap();
    let answer = plan.distances(&text).unwrap();
    let engines = &answer.report.engines;
    assert!(engines.len() > 1, "{engines:?}");
    let distinct: std::collections::HashSet<u32> = pattern.iter().copied().collect();
    assert_eq!(engines.iter().map(|e| e.letters).sum::<usize>(), distinct.len());
    for i in (0..answer.distances.len()).step_by(1_999).chain([20_000]) {
        let want = pattern.iter().zip(&text[i..]).filter(|(a, b)| a != b).count() as u32;
        assert_eq!(answer.distances[i], want);
    }
    let explained = plan.explain(&text);
    assert!(explained.iter().zip(engines).all(|(e, r)| e.engine == r.engine && e.actual.is_none()));
}

/// HAM-6: the same for every number of threads.
#[test]
fn results_do_not_depend_on_threads() {
    let text = generate::adversarial_periodic_text(300_000, 37, 0.05, 4);
    let run = |threads: usize, engine| {
        let plan = Plan::new(&text[1_000..3_000], &Options { engine, ..Options::default() }).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| plan.distances(&text).unwrap().distances)
    };
    for engine in ENGINES {
        assert!(run(1, engine) == run(3, engine), "{engine:?}");
    }
}

#[test]
fn bad_input_is_an_error_and_answers_agree_with_each_other() {
    let plan = |p: &[u8], alphabet| Plan::new(p, &Options { alphabet, ..Options::default() });
    let many: Vec<u32> = (0..90_000).collect();
    for engine in [Engine::Fft, Engine::Ntt] {
        let refused = Plan::of_symbols(&many, &SymbolOptions { engine, ..SymbolOptions::default() });
        assert!(matches!(refused, Err(Error::SpectraTooLarge { letters: 90_000, .. })));
    }
    assert_eq!(Plan::of_symbols(&many, &SymbolOptions::default()).unwrap().distances(&many).unwrap().distances, [0]);
    assert_eq!(plan(b"", Alphabet::Bytes).unwrap_err(), Error::EmptyPattern);
    assert!(matches!(
        plan(b"ACGN", Alphabet::Dna).unwrap_err(),
        Error::UnknownSymbol { argument: "pattern", symbol: 'N', position: 3, .. }
    ));
    let short = plan(b"ACGT", Alphabet::Dna).unwrap().distances(b"ACG").unwrap_err();
    assert_eq!(short, Error::PatternLongerThanText { pattern: 4, text: 3 });
    let answer = plan(b"acgu", Alphabet::Dna).unwrap().distances(b"ACGTACNTNNNN").unwrap();
    assert_eq!(answer.distances, [0, 4, 4, 4, 1, 4, 4, 4, 4]);
    // Soft-masked sequence: the wildcard too is taken in either case.
    let masked = Options { alphabet: Alphabet::Dna, wildcard: Some(b'N'), ..Options::default() };
    assert_eq!(run(b"AcnT", b"aCGtaNnT", masked), [0, 3, 2, 2, 0]);
    assert_eq!(Search::new(&[], &Options::default()).unwrap_err(), Error::NoQueries);
    let query = Query::new(b"ACGT".as_slice(), 1).requiring(2..5);
    let outside = Search::new(&[query], &Options::default()).unwrap_err();
    assert_eq!(outside, Error::RequiredOutOfRange { query: 0, start: 2, end: 5, pattern: 4 });
    let dna = Options { alphabet: Alphabet::Dna, ..Options::default() };
    let second = Search::both_strands(&[Query::new(b"ACGT", 0), Query::new(b"AXGT", 0)], &dna).unwrap_err();
    assert!(matches!(second, Error::UnknownSymbol { symbol: 'X', position: 1, .. }), "{second}");
    // A pattern of wildcards alone, and one that can never match, with the largest distance there is.
    let wild =
        |wildcard_meaning, engine| Options { wildcard: Some(b'N'), wildcard_meaning, engine, ..Options::default() };
    for engine in Engine::ALL.into_iter().filter(|&e| e != Engine::Periodic) {
        let all = Plan::new(b"NNN", &wild(WildcardMeaning::Match, engine)).unwrap().distances(&[b'A'; 9_000]).unwrap();
        assert!(all.distances == vec![0; 8_998], "{engine:?}");
    }
    let counting = Plan::new(b"NNN", &Options { engine: Engine::Periodic, ..Options::default() }).unwrap_err();
    assert!(matches!(counting, Error::EngineUnsuitable { engine: "periodic", .. }));
    let query = |required| [Query::new(b"ANT".as_slice(), u32::MAX).requiring(required)];
    let find = |required, meaning| {
        Search::new(&query(required), &wild(meaning, Engine::Auto)).unwrap().find(b"ACGTACG").hits.len()
    };
    assert_eq!(find(0..0, WildcardMeaning::Mismatch), 5);
    assert_eq!(find(1..2, WildcardMeaning::Mismatch), 0);
    assert_eq!(find(0..2, WildcardMeaning::Match), 2);
    let wide = histogram(&[1], &[1], 0, 1 << 23, Counting::Fft).unwrap_err();
    assert!(matches!(wide, Error::EngineUnsuitable { engine: "fft", .. }));
    assert_eq!(histogram(&[1], &[1], 0, 1 << 23, Counting::Auto).unwrap().counts[0], 1);
    let buffer = plan(b"ACGT", Alphabet::Dna).unwrap().distances_into(b"ACGTA", &mut [0; 3]).unwrap_err();
    assert_eq!(buffer.to_string(), "out.len() is 3, allowed is 2, one distance for each alignment");
    let empty = plan(b"ACGT", Alphabet::Dna).unwrap().overhanging_distances(b"").unwrap_err();
    assert_eq!(empty, Error::EmptyText);
    assert_eq!(answer.minimum(), Some((0, 0)));
    assert_eq!(answer.matches_within(1), [(0, 0), (4, 1)]);
    assert_eq!(answer.best(3), [(0, 0), (4, 1), (1, 4)]);
    assert_eq!(answer.histogram(), [1, 1, 0, 0, 7]);
}

/// HAM-1: the positions that differ are those of the definition, and as many as the distance.
#[test]
fn mismatch_positions_are_where_letters_differ() {
    let text = generate::random_text(500, b"ACGTN", 8);
    let options = Options { alphabet: Alphabet::Iupac, wildcard: Some(b'*'), ..Options::default() };
    let plan = Plan::new(b"ACN*RYTTACG", &options).unwrap();
    let distances = plan.distances(&text).unwrap().distances;
    for (i, &d) in distances.iter().enumerate() {
        let got = plan.mismatch_positions(&text, i).unwrap();
        assert_eq!(got.len(), d as usize);
        assert!(!got.contains(&2) && !got.contains(&3), "N and the wildcard match everything");
        assert_eq!(got.contains(&0), text[i] != b'A', "an N of the text is no A");
    }
    let beyond = plan.mismatch_positions(&text, distances.len());
    assert_eq!(beyond.unwrap_err().to_string(), "alignment is 490, allowed is 0 to 489");
    let words: Vec<u64> = (0..600).collect();
    let plan = Plan::of_symbols(&words[100..500], &SymbolOptions::default()).unwrap();
    assert_eq!(plan.mismatch_positions(&words, 100).unwrap(), Vec::<usize>::new());
    assert_eq!(plan.mismatch_positions(&words, 0).unwrap().len(), 400);
}

/// A stopped call returns what it has.
#[test]
fn a_stopped_call_returns_the_alignments_done() {
    let text = generate::random_text(9_000_000, b"ACGT", 5);
    let plan = Plan::new(&text[..20], &Options::default()).unwrap();
    let mut stop = samplewise_linalg::observe::FromFn(|_| std::ops::ControlFlow::Break(()));
    let part = plan.distances_observed(&text, &mut stop).unwrap();
    assert!(!part.converged() && !part.distances.is_empty() && part.distances.len() < 8_999_981);
    assert_eq!(part.distances[..100], plan.distances(&text[..119]).unwrap().distances[..]);
}
