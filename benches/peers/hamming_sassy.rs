//! The program that `run.py hamming` asks for sassy (edit distance) beside `Search`: both in one process, one thread.
//!
//! `hamming-sassy RUNS TEXT short|guides`; TEXT holds nothing but the letters A, C, G and T. Prints one JSON array of
//! `[work, ours in seconds, sassy's in seconds, our hits, sassy's hits]`.
use std::time::Instant;

use samplewise_hamming::{Alphabet, Options, Query, Search};
use sassy::Searcher;
use sassy::profiles::Dna;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [runs, text, work] = &words[..] else { panic!("hamming-sassy RUNS TEXT short|guides") };
    let runs: usize = runs.parse().expect("a number of runs");
    let text = std::fs::read(text).expect("a readable text");
    let rows: Vec<String> = if work == "short" {
        [(20, 1), (20, 3), (20, 5), (32, 3), (100, 3), (1_000, 30)].map(|(m, k)| short(&text, m, k, runs)).into()
    } else {
        vec![guides(&text, runs)]
    };
    println!("[{}]", rows.join(","));
}

/// Median seconds of both in turn, after a run of each that is not timed.
fn race(runs: usize, mut ours: impl FnMut() -> usize, mut theirs: impl FnMut() -> usize) -> [f64; 2] {
    let mut seconds = [Vec::new(), Vec::new()];
    for run in 0..=runs {
        for (tool, seconds) in seconds.iter_mut().enumerate() {
            let start = Instant::now();
            std::hint::black_box(if tool == 0 { ours() } else { theirs() });
            if run > 0 {
                seconds.push(start.elapsed().as_secs_f64());
            }
        }
    }
    seconds.map(|mut s| {
        s.sort_by(f64::total_cmp);
        s[s.len() / 2]
    })
}

/// One pattern on the forward strand. Every alignment within the Hamming distance is one within the edit distance, so its
/// end is among sassy's ends.
fn short(text: &[u8], m: usize, k: u32, runs: usize) -> String {
    let mut pattern = text[text.len() / 3..][..m].to_vec();
    pattern[m / 2] = b'A';
    let search = Search::new(&[Query::new(&pattern, k)], &Options::default()).expect("a valid pattern");
    let found = search.find(text);
    let mut all = Searcher::<Dna>::new_fwd();
    let theirs = all.search_all(&pattern, text, k as usize);
    for hit in &found.hits {
        let end = hit.position + m;
        assert!(theirs.iter().any(|x| x.text_end == end && x.cost <= hit.distance as i32), "sassy lacks the end {end}");
    }
    // Ends of local minima only, without alignments: the least that sassy can be asked for.
    let mut searcher = Searcher::<Dna>::new_fwd().without_trace();
    let count = searcher.search(&pattern, text, k as usize).len();
    let [a, b] = race(
        runs,
        || search.find(text).hits.len(),
        || searcher.search(&pattern, text, k as usize).len(),
    );
    format!("[\"m={m} k={k}\",{a},{b},{},{count}]", found.hits.len())
}

/// 100 guides of 20 letters before NGG, at most 4 mismatches, both strands. sassy has the guide without its PAM, which is
/// looked at afterwards where it is used for this, one guide after the other: its search for many patterns at once, which
/// shares the text, ends with a panic on such input in version 0.3.0 ("Trace failed").
fn guides(text: &[u8], runs: usize) -> String {
    let mut state = 5_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let plain: Vec<Vec<u8>> = (0..100).map(|_| text[next() % (text.len() - 23)..][..20].to_vec()).collect();
    let guides: Vec<Vec<u8>> = plain.iter().map(|g| [&g[..], b"NGG"].concat()).collect();
    let queries: Vec<Query<'_>> = guides.iter().map(|g| Query::new(g, 4).requiring(20..23)).collect();
    let iupac = Options { alphabet: Alphabet::Iupac, ..Options::default() };
    let search = Search::both_strands(&queries, &iupac).expect("valid guides");
    let hits = search.find(text).hits.len();
    let mut searcher = Searcher::<Dna>::new_rc().without_trace();
    let text = text.to_vec();
    let mut all = || plain.iter().map(|guide| searcher.search(guide, &text, 4).len()).sum::<usize>();
    let count = all();
    let [a, b] = race(runs, || search.find(&text).hits.len(), all);
    format!("[\"100 guides, both strands, k=4\",{a},{b},{hits},{count}]")
}
