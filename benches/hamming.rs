//! Hamming distances beside the nearest Rust crate, plain loops and the textbook FFT, on the genome of E. coli, a proteome
//! and the King James Bible where `scripts/fetch_data.py fetch ecoli proteome english` has put them, else on random letters.
//! Answers are compared before anything is timed; contestants take turns, medians are printed.
//! `cargo bench --bench hamming -- WORD` runs the tables whose name has WORD.
use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

use samplewise::hamming::differences::{Counting, histogram};
use samplewise::hamming::paper::sumset::{First, Settings, sumset};
use samplewise::hamming::{
    Alphabet, ApproximateOptions, Batch, Block, Engine, Options, Plan, Query, Search, SymbolOptions,
};
use samplewise::linalg::fft::{Complex, FftReal};
use samplewise::linalg::random::{Streams, below, uniform};
use samplewise_benches::{Runner, Table, print, race};
use samplewise_testkit::fixtures;
use samplewise_testkit::generate::{adversarial_periodic_text, random_text};
use triple_accel::SearchType;
use triple_accel::hamming::hamming_search_simd_with_opts;

fn fasta(file: &str) -> Option<Vec<u8>> {
    let text = std::fs::read_to_string(fixtures::full_data(file)?).expect("readable FASTA");
    let letters = text.lines().filter(|l| !l.starts_with('>')).flat_map(str::bytes).map(|b| b.to_ascii_uppercase());
    Some(letters.collect())
}

fn genome() -> (String, Vec<u8>) {
    fasta("ecoli/ecoli_MG1655.fa")
        .map_or_else(|| ("random DNA".into(), random_text(4_639_675, b"ACGT", 1)), |text| ("E. coli".into(), text))
}

fn proteome() -> (String, Vec<u8>) {
    match fasta("proteome/tursiops.fa") {
        Some(mut text) => {
            text.truncate(2_000_000);
            ("proteome".into(), text)
        }
        None => ("22 random letters".into(), random_text(2_000_000, b"ACDEFGHIKLMNPQRSTVWYBX", 2)),
    }
}

/// Verses without their references.
fn english() -> Option<String> {
    let text = std::fs::read_to_string(fixtures::full_data("english/kjv.txt")?).expect("readable text");
    let verses: Vec<&str> = text.lines().skip(1).filter_map(|l| Some(l.split_once(' ')?.1)).collect();
    Some(verses.join("\n"))
}

/// A stretch of the text with every tenth letter replaced by the first.
fn pattern(text: &[u8], m: usize) -> Vec<u8> {
    let mut pattern = text[text.len() / 3..][..m].to_vec();
    pattern.iter_mut().skip(5).step_by(10).for_each(|b| *b = text[0]);
    pattern
}

/// The plain loop, as the compiler vectorises it.
fn plain<S: PartialEq>(pattern: &[S], text: &[S], out: &mut [u32]) {
    for (i, o) in out.iter_mut().enumerate() {
        *o = pattern.iter().zip(&text[i..]).map(|(a, b)| u32::from(a != b)).sum();
    }
}

/// The textbook convolution: one real transform of single precision for each letter, one inverse, blocks of `4m`;
/// without any check.
struct Textbook {
    len: usize,
    letters: Vec<(u8, Vec<Complex<f32>>)>,
    m: usize,
}

impl Textbook {
    fn new(pattern: &[u8]) -> Self {
        let len = (4 * pattern.len()).next_power_of_two();
        let mut letters = pattern.to_vec();
        letters.sort_unstable();
        letters.dedup();
        let spectra = letters.iter().map(|&letter| {
            let mut signal: Vec<f32> = pattern.iter().map(|&b| f32::from(u8::from(b == letter))).collect();
            signal.resize(len, 0.0);
            let plan = f32::plan(len);
            let mut spectrum = plan.zero_spectrum();
            plan.forward(&mut signal, &mut spectrum);
            spectrum.iter_mut().for_each(|z| *z = z.conj());
            (letter, spectrum)
        });
        Self { len, letters: spectra.collect(), m: pattern.len() }
    }

    fn distances(&self, text: &[u8], out: &mut [u32]) {
        let plan = f32::plan(self.len);
        let (mut signal, mut spectrum) = (vec![0.0_f32; self.len], plan.zero_spectrum());
        let mut scratch = Vec::new();
        let block = self.len - self.m + 1;
        for (part, out) in out.chunks_mut(block).enumerate() {
            let text = &text[part * block..(part * block + self.len).min(text.len())];
            let mut sum = plan.zero_spectrum();
            for (letter, own) in &self.letters {
                signal[text.len()..].fill(0.0);
                signal.iter_mut().zip(text).for_each(|(s, t)| *s = f32::from(u8::from(t == letter)));
                plan.forward_with(&mut signal, &mut spectrum, &mut scratch);
                sum.iter_mut().zip(spectrum.iter().zip(own)).for_each(|(s, (a, b))| *s += a * b);
            }
            plan.inverse(&mut sum, &mut signal);
            for (o, v) in out.iter_mut().zip(&signal) {
                *o = self.m as u32 - (v / self.len as f32).round() as u32;
            }
        }
    }
}

fn peer<'a>(pattern: &'a [u8], text: &'a [u8]) -> impl Iterator<Item = u32> + 'a {
    hamming_search_simd_with_opts(pattern, text, pattern.len() as u32, SearchType::All).map(|x| x.k)
}

fn short_patterns((name, text): &(String, Vec<u8>)) {
    for m in [32, 100, 1_000] {
        let pattern = pattern(text, m);
        let plan = Plan::new(&pattern, &Options::default()).expect("a valid pattern");
        let mut out = vec![0; text.len() - m + 1];
        plan.distances_into(text, &mut out).expect("a longer text");
        assert!(peer(&pattern, text).eq(out.iter().copied()), "triple_accel at {m}");
        let path = plan.distances(text).expect("a longer text").report.engine_names();
        race(
            &format!("all distances, {name}, m = {m} ({path})"),
            11,
            vec![
                (
                    "for_each_block",
                    Box::new(|| {
                        let mut sum = 0;
                        let add = |b: Block<'_>| sum += b.distances.iter().map(|&d| u64::from(d)).sum::<u64>();
                        drop(plan.for_each_block(text, add));
                        black_box(sum);
                    }),
                ),
                ("distances_into", Box::new(|| drop(plan.distances_into(text, &mut out)))),
                (
                    "triple_accel",
                    Box::new(|| drop(black_box(Box::new(peer(&pattern, text).map(u64::from).sum::<u64>())))),
                ),
            ],
        );
    }
}

fn long_patterns((name, text): &(String, Vec<u8>)) {
    for m in [10_000, 100_000] {
        let pattern = pattern(text, m);
        compare_long(name, text, &pattern, if m > 10_000 { 100_000 } else { 400_000 });
    }
    let (kind, proteins) = proteome();
    for m in [1_000, 10_000] {
        compare_long(&kind, &proteins, &pattern(&proteins, m), 400_000);
    }
    // Else letters about as frequent as in English text, upper case and punctuation among the rare ones.
    let mut rng = Streams::new(3).stream(0);
    let (kind, english) = english().map_or_else(
        || ("70 letters", (0..3_000_000).map(|_| b' ' + (70.0 * uniform(&mut rng).powi(3)) as u8).collect()),
        |text| ("English", text.into_bytes()),
    );
    for m in [100_000, 1_000_000] {
        let pattern = pattern(&english, m);
        let run = |engine| {
            let plan = Plan::new(&pattern, &Options { engine, ..Options::default() }).ok()?;
            Some(plan.distances(&english).expect("a longer text"))
        };
        let auto = run(Engine::Auto).expect("any pattern");
        assert!(auto.distances == run(Engine::Bitsliced).expect("any pattern").distances);
        let mut runners: Vec<Runner<'_>> = vec![
            ("each letter its engine", Box::new(|| drop(run(Engine::Auto)))),
            ("bit-sliced alone", Box::new(|| drop(run(Engine::Bitsliced)))),
        ];
        for (name, engine) in [("FFT alone", Engine::Fft), ("NTT alone", Engine::Ntt)] {
            if let Some(answer) = run(engine) {
                assert!(answer.distances == auto.distances, "{name}");
                runners.push((name, Box::new(move || drop(run(engine)))));
            }
        }
        race(&format!("{kind}, m = {m} ({})", auto.report.engine_names()), 1, runners);
    }
}

/// Plain loops see `some` alignments only, and are scaled up.
fn compare_long(name: &str, text: &[u8], pattern: &[u8], some: usize) {
    let m = pattern.len();
    let plan = Plan::new(pattern, &Options::default()).expect("a valid pattern");
    let vertical = Options { engine: Engine::Vertical, ..Options::default() };
    let vertical = Plan::new(pattern, &vertical).expect("a valid pattern");
    let alignments = text.len() - m + 1;
    let (mut out, mut other) = (vec![0; alignments], vec![0; alignments]);
    let (mut few, mut few_too) = (vec![0; some], vec![0; some]);
    let report = plan.distances_into(text, &mut out).expect("a longer text");
    let textbook = Textbook::new(pattern);
    textbook.distances(text, &mut other);
    assert!(out == other, "the textbook at {m}");
    plain(pattern, text, &mut few);
    assert!(out[..some] == few, "the plain loop at {m}");
    let head = &text[..some + m - 1];
    race(
        &format!("all distances, {name}, m = {m} ({})", report.engine_names()),
        5,
        vec![
            ("distances_into", Box::new(|| drop(plan.distances_into(text, &mut out)))),
            ("FFT per letter", Box::new(|| textbook.distances(text, &mut other))),
        ],
    );
    race(
        &format!("the same, {some} alignments"),
        1,
        vec![
            ("distances_into", Box::new(|| drop(plan.distances_into(head, &mut few)))),
            ("plain loop", Box::new(|| plain(pattern, head, &mut few_too))),
            ("byte counters", Box::new(|| drop(vertical.distances(head)))),
        ],
    );
}

fn english_words() {
    // Word frequencies of a language: the r-th word has a share of about 1/r.
    let mut rng = Streams::new(4).stream(0);
    let made: Vec<u32> = (0..3_000_000).map(|_| (uniform(&mut rng) * 14_000_f64.ln()).exp() as u32).collect();
    let real: Vec<u32> = english().map_or_else(Vec::new, |text| {
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let words = text.split(|c: char| !c.is_alphabetic()).filter(|w| !w.is_empty());
        let mut number = |w: &str| {
            let next = numbers.len() as u32;
            *numbers.entry(w.into()).or_insert(next)
        };
        words.map(&mut number).collect()
    });
    for (kind, text, m) in [
        ("English words", &real, 10_000),
        ("English words", &real, 100_000),
        ("word ids", &made, 10_000),
        ("word ids", &made, 100_000),
        ("word ids", &made, 1_000_000),
    ] {
        if text.is_empty() {
            continue;
        }
        let pattern = &text[20_000..20_000 + m];
        let plan = Plan::of_symbols(pattern, &SymbolOptions::default()).expect("a valid pattern");
        let exact = plan.distances(text).expect("a longer text");
        let by_map = || {
            let mut places: HashMap<u32, Vec<u32>> = HashMap::new();
            pattern.iter().enumerate().for_each(|(j, w)| places.entry(*w).or_default().push(j as u32));
            let mut distances = vec![m as u32; text.len() - m + 1];
            for (i, word) in text.iter().enumerate() {
                for &j in places.get(word).map_or(&[][..], Vec::as_slice) {
                    if let Some(d) = i.checked_sub(j as usize).and_then(|at| distances.get_mut(at)) {
                        *d -= 1;
                    }
                }
            }
            distances
        };
        let path = exact.report.engine_names();
        if m < 1_000_000 {
            assert!(by_map() == exact.distances);
            race(
                &format!("{kind}, m = {m} ({path})"),
                1,
                vec![
                    ("distances", Box::new(|| drop(plan.distances(text)))),
                    ("hash map of pairs", Box::new(|| drop(by_map()))),
                ],
            );
            let (mut few, some) = (vec![0; 200_000], 200_000);
            let head = &text[..some + m - 1];
            race(
                &format!("the same, {some} alignments"),
                1,
                vec![
                    ("distances", Box::new(|| drop(plan.distances(head)))),
                    ("plain loop", Box::new(|| plain(pattern, head, &mut few))),
                ],
            );
        } else {
            let options = ApproximateOptions::default();
            let within = plan.approximate(text, &ApproximateOptions { seed: 0, ..options }).expect("valid options");
            let off = |(x, &d): (&f64, &u32)| (x - f64::from(d)).abs() > options.epsilon * f64::from(d);
            assert!(!within.distances.iter().zip(&exact.distances).any(off));
            race(
                &format!("{kind}, m = {m}, within 5 % ({}, {} samples)", within.report.route.name(), within.samples),
                1,
                vec![
                    (
                        "approximate",
                        Box::new(|| drop(plan.approximate(text, &ApproximateOptions { seed: 0, ..options }))),
                    ),
                    ("exact", Box::new(|| drop(plan.distances(text)))),
                ],
            );
        }
    }
}

fn few_mismatches((name, text): &(String, Vec<u8>)) {
    for (m, k) in [(20, 1), (20, 3), (20, 5), (32, 3), (100, 3), (1_000, 30)] {
        let mut pattern = text[text.len() / 3..][..m].to_vec();
        pattern[m / 2] = b'A';
        let search = Search::new(&[Query::new(&pattern, k)], &Options::default()).expect("a valid pattern");
        let peer = || hamming_search_simd_with_opts(&pattern, text, k, SearchType::All);
        let found = search.find(text);
        assert!(peer().map(|x| (x.start, x.k)).eq(found.hits.iter().map(|h| (h.position, h.distance))));
        race(
            &format!(
                "at most {k} mismatches, {name}, m = {m} ({}, {} hits)",
                found.report.route.name(),
                found.hits.len()
            ),
            11,
            vec![
                ("find", Box::new(|| drop(search.find(text)))),
                ("triple_accel", Box::new(|| drop(black_box(Box::new(peer().count()))))),
            ],
        );
    }
    let mut rng = Streams::new(5).stream(0);
    let guides: Vec<Vec<u8>> = (0..100)
        .map(|_| {
            let at = below(&mut rng, text.len() - 23);
            [&text[at..at + 20], b"NGG"].concat()
        })
        .collect();
    let queries: Vec<Query<'_>> = guides.iter().map(|g| Query::new(g, 4).requiring(20..23)).collect();
    let iupac = Options { alphabet: Alphabet::Iupac, ..Options::default() };
    let search = Search::both_strands(&queries, &iupac).expect("valid guides");
    let ten: Vec<Search> = queries[..10]
        .iter()
        .map(|q| Search::both_strands(std::slice::from_ref(q), &iupac).expect("a valid guide"))
        .collect();
    let found = search.find(text);
    race(
        &format!("100 guides of 20 + NGG, both strands, at most 4 mismatches ({} hits)", found.hits.len()),
        3,
        vec![
            ("one search", Box::new(|| drop(search.find(text)))),
            ("a search each, ten of them", Box::new(|| ten.iter().for_each(|s| drop(s.find(text))))),
            (
                "triple_accel without PAM, one strand, ten of them",
                Box::new(|| {
                    for g in &guides[..10] {
                        black_box(hamming_search_simd_with_opts(&g[..20], text, 4, SearchType::All).count());
                    }
                }),
            ),
        ],
    );
}

/// A text of tandem repeats, where early exit never comes: by its breaks, by early exit, and by counting everything.
fn periodic() {
    for (m, k, errors) in [(20_000, 150, 0.002), (100_000, 100, 0.0002), (500_000, 500, 0.0002)] {
        let text = adversarial_periodic_text(4_000_000, 171, errors, 6);
        let pattern = &text[100_000..100_000 + m];
        let find = |engine| {
            let search = Search::new(&[Query::new(pattern, k)], &Options { engine, ..Options::default() });
            search.expect("a valid pattern").find(&text)
        };
        let auto = find(Engine::Auto);
        let mut runners: Vec<Runner<'_>> = vec![("find", Box::new(|| drop(find(Engine::Auto))))];
        for (name, engine) in [("periodic", Engine::Periodic), ("NTT", Engine::Ntt), ("FFT", Engine::Fft)] {
            assert!(find(engine).hits == auto.hits);
            runners.push((name, Box::new(move || drop(find(engine)))));
        }
        if m <= 20_000 {
            runners.push(("early exit", Box::new(|| drop(find(Engine::Bitsliced)))));
        }
        let hits = auto.hits.len();
        race(
            &format!("at most {k} mismatches, repeats of 171, m = {m} ({}, {hits} hits)", auto.report.route.name()),
            3,
            runners,
        );
    }
}

/// Many patterns and all their distances: one transform of the text for all of them.
fn batch((name, text): &(String, Vec<u8>)) {
    for m in [300, 1_000, 2_000] {
        let mut rng = Streams::new(7).stream(0);
        let patterns: Vec<&[u8]> = (0..32)
            .map(|_| {
                let at = below(&mut rng, text.len() - m);
                &text[at..at + m]
            })
            .collect();
        let batch = Batch::new(&patterns, &Options::default()).expect("valid patterns");
        let plans: Vec<Plan> =
            patterns.iter().map(|p| Plan::new(p, &Options::default()).expect("a valid pattern")).collect();
        let together = || {
            let mut sums = vec![0_u64; 32];
            let add = |p: usize, b: Block<'_>| sums[p] += b.distances.iter().map(|&d| u64::from(d)).sum::<u64>();
            batch.for_each_block(text, add).expect("a longer text");
            sums
        };
        let alone = || {
            let sum = |plan: &Plan| {
                let mut sum = 0;
                let add = |b: Block<'_>| sum += b.distances.iter().map(|&d| u64::from(d)).sum::<u64>();
                plan.for_each_block(text, add).expect("a longer text");
                sum
            };
            plans.iter().map(sum).collect::<Vec<u64>>()
        };
        assert_eq!(together(), alone());
        race(
            &format!("32 patterns, all distances, {name}, m = {m}"),
            3,
            vec![("one batch", Box::new(|| drop(together()))), ("a plan each", Box::new(|| drop(alone())))],
        );
    }
}

/// The paper's sumset lemma beside what it is to beat: where it would be used, and is not.
fn lemma() {
    for universe in [1 << 16, 1 << 18, 1 << 20] {
        // A mean count of 20: beyond enumeration, and few bits.
        let size = (20.0 * universe as f64).sqrt() as usize;
        let mut rng = Streams::new(8).stream(0);
        let mut set = || -> Vec<u32> { (0..size).map(|_| below(&mut rng, universe) as u32).collect() };
        let (x, y) = (set(), set());
        let run = |first| {
            let settings = Settings { first, seed: 1, ..Settings::default() };
            sumset(&x, &y, universe, &settings).expect("numbers below the universe")
        };
        let fft = || {
            let len = 2 * universe;
            let plan = f64::plan(len);
            let spectrum = |set: &[u32]| {
                let mut signal = vec![0.0; len];
                set.iter().for_each(|&z| signal[z as usize] += 1.0);
                let mut spectrum = plan.zero_spectrum();
                plan.forward(&mut signal, &mut spectrum);
                spectrum
            };
            let (mut product, other) = (spectrum(&x), spectrum(&y));
            product.iter_mut().zip(&other).for_each(|(a, b)| *a *= b);
            let mut signal = vec![0.0; len];
            plan.inverse(&mut product, &mut signal);
            signal.iter().map(|v| (v / len as f64).round() as u32).collect::<Vec<u32>>()
        };
        let packed = run(First::Large);
        assert!(packed.counts == run(First::Pairs).counts && packed.counts == fft());
        race(
            &format!("sumset, universe 2^{}, mean count 20 ({} operations)", universe.ilog2(), packed.operations.words),
            3,
            vec![
                ("lemma", Box::new(|| drop(run(First::Large)))),
                ("pairs", Box::new(|| drop(run(First::Pairs)))),
                ("f64 FFT", Box::new(|| drop(fft()))),
            ],
        );
    }
}

fn event_times() {
    let mut rng = Streams::new(6).stream(0);
    for (events, width) in [(20_000, 1_000_u64), (200_000, 1_000), (200_000, 100_000)] {
        let mut times = || -> Vec<i64> { (0..events).map(|_| below(&mut rng, 10_000_000) as i64).collect() };
        let (a, b) = (times(), times());
        let first = -(width as i64) / 2;
        let run = |counting| histogram(&a, &b, first, width, counting).expect("valid events");
        let auto = run(Counting::Auto);
        assert!(run(Counting::Fft).counts == run(Counting::Pairs).counts);
        race(
            &format!(
                "differences, {events} × {events} events, {width} wide ({}, {} pairs)",
                auto.route.name(),
                auto.pairs
            ),
            3,
            vec![
                ("auto", Box::new(|| drop(run(Counting::Auto)))),
                ("pairs", Box::new(|| drop(run(Counting::Pairs)))),
                ("FFT", Box::new(|| drop(run(Counting::Fft)))),
            ],
        );
    }
}

/// The cost of the dispatcher's choice above the best single engine: what its model loses, or gains by mixing.
fn regret() {
    let mut worst: (f64, String) = (0.0, String::new());
    for letters in [2_usize, 4, 20, 60, 250] {
        let alphabet: Vec<u8> = (0..letters as u8).collect();
        let text = random_text(1_000_000, &alphabet, letters as u64);
        for m in [10, 100, 1_000, 10_000, 100_000] {
            let pattern = text[1_000..1_000 + m].to_vec();
            let mut out = vec![0; text.len() - m + 1];
            let mut engines = vec![Engine::Auto, Engine::Bitsliced];
            engines.extend((m <= 1_000).then_some(Engine::Vertical));
            engines.extend((letters <= 60 && m >= 1_000).then_some(Engine::Fft));
            engines.extend((letters <= 60 && m >= 100).then_some(Engine::Ntt));
            engines.extend((m <= 60 * letters).then_some(Engine::Pairs));
            let plans: Vec<Plan> = engines
                .iter()
                .map(|&engine| Plan::new(&pattern, &Options { engine, ..Options::default() }).expect("a valid pattern"))
                .collect();
            // In turn, the first round unmeasured.
            let mut times = vec![Vec::new(); plans.len()];
            for round in 0..6 {
                for (plan, times) in plans.iter().zip(&mut times) {
                    let start = Instant::now();
                    plan.distances_into(&text, &mut out).expect("a longer text");
                    if round > 0 {
                        times.push(1e9 * start.elapsed().as_secs_f64() / out.len() as f64);
                    }
                }
            }
            let median = |times: &Vec<f64>| {
                let mut sorted = times.clone();
                sorted.sort_by(f64::total_cmp);
                sorted[sorted.len() / 2]
            };
            let all: Vec<(&str, f64)> = engines.iter().map(|e| e.name()).zip(times.iter().map(median)).collect();
            let auto = all[0].1;
            let path = plans[0].explain(&text).iter().map(|e| e.engine.name()).collect::<Vec<_>>().join("+");
            let best = all[1..].iter().min_by(|x, y| x.1.total_cmp(&y.1)).expect("engines");
            let loss = auto / best.1 - 1.0;
            println!(
                "dispatch, {letters} letters, m = {m}: {path} {auto:.2} ns, best single {} {:.2} ns, {:+.0} %",
                best.0,
                best.1,
                100.0 * loss
            );
            // Where the choice is the best engine, what differs is the machine's mood.
            if loss > worst.0 && path != best.0 {
                worst = (loss, format!("{letters} letters, m = {m}"));
            }
        }
    }
    match worst {
        (_, place) if place.is_empty() => println!("dispatch: the best engine, or a mixture that beats it, everywhere"),
        (loss, place) => println!("dispatch: worst loss {:.0} % at {place}", 100.0 * loss),
    }
}

fn threads((name, text): &(String, Vec<u8>)) {
    let pattern = pattern(text, 1_000);
    let plan = Plan::new(&pattern, &Options::default()).expect("a valid pattern");
    let search = Search::new(&[Query::new(&pattern[..20], 4)], &Options::default()).expect("a valid pattern");
    let (mut one, mut two) = (vec![0; text.len() - 999], vec![0; text.len() - 999]);
    let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().expect("threads");
    let (pool1, pool2) = (pool(1), pool(2));
    race(
        &format!("threads, all distances, {name}, m = 1000"),
        11,
        vec![
            ("2 threads", Box::new(|| drop(pool2.install(|| plan.distances_into(text, &mut two))))),
            ("1 thread", Box::new(|| drop(pool1.install(|| plan.distances_into(text, &mut one))))),
        ],
    );
    // A search of so short a text as one genome would be over before the second thread is awake.
    let longer = text.repeat(16);
    race(
        &format!("threads, at most 4 mismatches, {name} 16 times, m = 20"),
        11,
        vec![
            ("2 threads", Box::new(|| drop(pool2.install(|| search.find(&longer))))),
            ("1 thread", Box::new(|| drop(pool1.install(|| search.find(&longer))))),
        ],
    );
}

fn main() {
    let genome = genome();
    print(&[
        Table::new("short", || short_patterns(&genome)),
        Table::new("bounded", || few_mismatches(&genome)),
        Table::new("long", || long_patterns(&genome)),
        Table::new("words", english_words),
        Table::new("periodic", periodic),
        Table::new("batch", || batch(&genome)),
        Table::new("sumset", lemma),
        Table::new("differences", event_times),
        Table::new("dispatch", regret),
        Table::new("threads", || threads(&genome)),
    ]);
}
