//! Hamming distances beside the nearest Rust crate, plain loops and the textbook FFT, on the genome of E. coli where
//! `scripts/fetch_data.py fetch ecoli` has put it, else on random letters. Answers are compared before anything is timed;
//! contestants take turns, medians are printed. `cargo bench --bench hamming -- WORD` runs the tables whose name has WORD.
use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

use samplewise::hamming::differences::{Counting, histogram};
use samplewise::hamming::{Alphabet, Approximate, Block, Engine, Options, Plan, Query, Search};
use samplewise::linalg::fft::{Complex, FftReal};
use samplewise::linalg::random::{Streams, below, uniform};
use samplewise_testkit::{fixtures, generate::random_text};
use triple_accel::SearchType;
use triple_accel::hamming::hamming_search_simd_with_opts;

/// One contestant: its name, and what is timed.
type Runner<'a> = (&'static str, Box<dyn FnMut() + 'a>);

/// Times all in turn, `rounds` times after one unmeasured round; prints medians, and how many times the first is faster
/// than each other.
fn race(work: &str, rounds: usize, mut runners: Vec<Runner<'_>>) {
    let mut seconds = vec![Vec::new(); runners.len()];
    for round in 0..=rounds {
        for ((_, run), seconds) in runners.iter_mut().zip(&mut seconds) {
            let start = Instant::now();
            run();
            if round > 0 {
                seconds.push(start.elapsed().as_secs_f64());
            }
        }
    }
    let medians: Vec<f64> = seconds
        .iter_mut()
        .map(|s| {
            s.sort_by(f64::total_cmp);
            s[s.len() / 2]
        })
        .collect();
    print!("{work}: {} {:.3} ms", runners[0].0, 1e3 * medians[0]);
    for ((name, _), median) in runners.iter().zip(&medians).skip(1) {
        print!(" | {name} {:.3} ms, {:.2}x", 1e3 * median, median / medians[0]);
    }
    println!();
}

fn genome() -> (String, Vec<u8>) {
    let Some(path) = fixtures::full_data("ecoli/ecoli_MG1655.fa") else {
        return ("random DNA".into(), random_text(4_639_675, b"ACGT", 1));
    };
    let text = std::fs::read_to_string(path).expect("readable FASTA");
    let letters = text.lines().filter(|l| !l.starts_with('>')).flat_map(str::bytes).map(|b| b.to_ascii_uppercase());
    ("E. coli".into(), letters.collect())
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
        let path = plan.distances(text).expect("a longer text").report.path();
        race(
            &format!("all distances, {name}, m = {m} ({path})"),
            11,
            vec![
                (
                    "for_each_block",
                    Box::new(|| {
                        let mut sum = 0;
                        let add = |b: Block<'_>| sum += b.distances.iter().map(|&d| u64::from(d)).sum::<u64>();
                        drop(plan.for_each_block(text, &mut (), add));
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
    let proteins = random_text(2_000_000, b"ACDEFGHIKLMNPQRSTVWYBX", 2);
    for m in [1_000, 10_000] {
        compare_long("22 letters", &proteins, &pattern(&proteins, m), 400_000);
    }
    // Letters as frequent as in English text, upper case and punctuation among the rare ones.
    let mut rng = Streams::new(3).stream(0);
    let english: Vec<u8> = (0..3_000_000).map(|_| b' ' + (70.0 * uniform(&mut rng).powi(3)) as u8).collect();
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
        if run(Engine::Fft).is_some() {
            runners.push(("FFT alone", Box::new(|| drop(run(Engine::Fft)))));
        }
        race(&format!("70 letters of unequal frequency, m = {m} ({})", auto.report.path()), 1, runners);
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
        &format!("all distances, {name}, m = {m} ({})", report.path()),
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

fn words() {
    // Word frequencies of a language: the r-th word has a share of about 1/r.
    let mut rng = Streams::new(4).stream(0);
    let text: Vec<u32> = (0..3_000_000).map(|_| (uniform(&mut rng) * 14_000_f64.ln()).exp() as u32).collect();
    for m in [10_000, 100_000, 1_000_000] {
        let pattern = &text[20_000..20_000 + m];
        let plan = Plan::of_symbols(pattern, None, Engine::Auto).expect("a valid pattern");
        let exact = plan.distances(&text).expect("a longer text");
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
        let path = exact.report.path();
        if m < 1_000_000 {
            assert!(by_map() == exact.distances);
            race(
                &format!("word ids, m = {m} ({path})"),
                1,
                vec![
                    ("distances", Box::new(|| drop(plan.distances(&text)))),
                    ("hash map of pairs", Box::new(|| drop(by_map()))),
                ],
            );
            let (mut few, some) = (vec![0; 20_000], 20_000);
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
            let options = Approximate::default();
            let within = plan.approximate(&text, &options, &mut Streams::new(0).stream(0)).expect("valid options");
            let off = |(x, &d): (&f64, &u32)| (x - f64::from(d)).abs() > options.epsilon * f64::from(d);
            assert!(!within.distances.iter().zip(&exact.distances).any(off));
            race(
                &format!("word ids, m = {m}, within 5 % ({}, {} samples)", within.path, within.samples),
                1,
                vec![
                    (
                        "approximate",
                        Box::new(|| drop(plan.approximate(&text, &options, &mut Streams::new(0).stream(0)))),
                    ),
                    ("exact", Box::new(|| drop(plan.distances(&text)))),
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
            &format!("at most {k} mismatches, {name}, m = {m} ({}, {} hits)", found.path, found.hits.len()),
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
            &format!("differences, {events} × {events} events, {width} wide ({}, {} pairs)", auto.path, auto.pairs),
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
            let mut time = |engine| {
                let plan = Plan::new(&pattern, &Options { engine, ..Options::default() }).expect("a valid pattern");
                let mut runs: Vec<f64> = (0..4)
                    .map(|_| {
                        let start = Instant::now();
                        plan.distances_into(&text, &mut out).expect("a longer text");
                        start.elapsed().as_secs_f64()
                    })
                    .skip(1)
                    .collect();
                runs.sort_by(f64::total_cmp);
                1e9 * runs[1] / out.len() as f64
            };
            let auto = time(Engine::Auto);
            let path = Plan::new(&pattern, &Options::default())
                .expect("a valid pattern")
                .explain(&text)
                .iter()
                .map(|e| e.engine.name())
                .collect::<Vec<_>>()
                .join("+");
            let mut singles = vec![("bitsliced", time(Engine::Bitsliced))];
            if m <= 1_000 {
                singles.push(("vertical", time(Engine::Vertical)));
            }
            if letters <= 60 && m >= 1_000 {
                singles.push(("fft", time(Engine::Fft)));
            }
            if m <= 60 * letters {
                singles.push(("pairs", time(Engine::Pairs)));
            }
            let best = singles.iter().min_by(|x, y| x.1.total_cmp(&y.1)).expect("engines");
            let loss = auto / best.1 - 1.0;
            println!(
                "dispatch, {letters} letters, m = {m}: {path} {auto:.2} ns, best single {} {:.2} ns, {:+.0} %",
                best.0,
                best.1,
                100.0 * loss
            );
            if loss > worst.0 {
                worst = (loss, format!("{letters} letters, m = {m}"));
            }
        }
    }
    println!("dispatch: worst loss {:.0} % at {}", 100.0 * worst.0, worst.1);
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
    race(
        &format!("threads, at most 4 mismatches, {name}, m = 20"),
        11,
        vec![
            ("2 threads", Box::new(|| drop(pool2.install(|| search.find(text))))),
            ("1 thread", Box::new(|| drop(pool1.install(|| search.find(text))))),
        ],
    );
}

fn main() {
    let word = std::env::args().skip(1).find(|a| !a.starts_with('-')).unwrap_or_default();
    let genome = genome();
    let tables: [(&str, &dyn Fn()); 7] = [
        ("short", &|| short_patterns(&genome)),
        ("bounded", &|| few_mismatches(&genome)),
        ("long", &|| long_patterns(&genome)),
        ("words", &words),
        ("differences", &event_times),
        ("dispatch", &regret),
        ("threads", &|| threads(&genome)),
    ];
    for (_, run) in tables.iter().filter(|(name, _)| name.contains(&word)) {
        run();
    }
}
