//! The program that `run.py hamming` asks for sassy (edit distance) beside `Search`: both in one process, one thread.
//!
//! ```text
//! hamming-sassy RUNS TEXT short
//! hamming-sassy RUNS TEXT guides MANY K
//! hamming-sassy RUNS - reads
//! ```
//! TEXT holds nothing but the letters A, C, G and T. `short` and `guides` print a JSON array of
//! `{"case", "ours": [call, ...], "theirs": [call, ...]}` with calls `{"call", "seconds": [...], "hits"}`, the first of ours being
//! the one that is compared; `reads` prints `{"reads", "ours", "theirs"}`, how many reads were recognised.
use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::Instant;

use samplewise_hamming::{Alphabet, Options, Query, Search};
use sassy::profiles::{Dna, Iupac};
use sassy::{CachedRev, Searcher, Strand};

const USE: &str = "hamming-sassy RUNS TEXT (short | guides MANY K | reads)";
/// Text positions whose ends are checked together: sassy returns an alignment for each, which takes memory.
const PIECE: usize = 1 << 20;
/// From this length on guides without their PAM have too many ends within 5 edits to hold.
const LONG: usize = 10_000_000;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [runs, text, work @ ..] = &words[..] else { panic!("{USE}") };
    let runs = count(runs);
    let read = || std::fs::read(text).expect("a readable text");
    match work {
        ["short"] => {
            let text = read();
            let cases = [(20, 1), (20, 3), (20, 5), (32, 3), (100, 3), (1_000, 30)];
            println!("[{}]", cases.map(|(m, k)| short(&text, m, k, runs)).join(","));
        }
        ["guides", many, k] => println!("[{}]", guides(&read(), count(many), count(k) as u32, runs)),
        ["reads"] => println!("{}", reads(10_000)),
        _ => panic!("{USE}"),
    }
}

fn count(word: &str) -> usize {
    word.parse().unwrap_or_else(|_| panic!("{word:?} is not a count\n{USE}"))
}

/// The hits of a call, how many there are, and what is timed.
type Call<'a> = (&'a str, Box<dyn FnMut() -> usize + 'a>);

/// Every call `runs` times in turn, after a run of each that is not timed; `ours` of them are ours.
fn race(case: &str, runs: usize, ours: usize, mut calls: Vec<Call<'_>>) -> String {
    let mut seconds = vec![Vec::new(); calls.len()];
    let mut hits = vec![0; calls.len()];
    for run in 0..=runs {
        for (i, (_, call)) in calls.iter_mut().enumerate() {
            let start = Instant::now();
            hits[i] = black_box(call());
            if run > 0 {
                seconds[i].push(start.elapsed().as_secs_f64());
            }
        }
    }
    let each: Vec<String> = calls
        .iter()
        .zip(seconds.iter().zip(&hits))
        .map(|((name, _), (seconds, hits))| {
            format!("{{\"call\": \"{name}\", \"seconds\": {seconds:?}, \"hits\": {hits}}}")
        })
        .collect();
    let (ours, theirs) = each.split_at(ours);
    format!("{{\"case\": \"{case}\", \"ours\": [{}], \"theirs\": [{}]}}", ours.join(","), theirs.join(","))
}

/// One pattern on the forward strand. Every alignment within the Hamming distance is one within the edit distance, so its
/// end is among sassy's ends. sassy's profile `Dna` stands beside our alphabet `Dna`, which reads lower case as it does.
fn short(text: &[u8], m: usize, k: u32, runs: usize) -> String {
    let mut pattern = text[text.len() / 3..][..m].to_vec();
    pattern[m / 2] = b'A';
    let prepared = |alphabet| {
        let options = Options { alphabet, ..Options::default() };
        Search::new(&[Query::new(&pattern, k)], &options).expect("a valid pattern")
    };
    let (dna, bytes) = (prepared(Alphabet::Dna), prepared(Alphabet::Bytes));
    let found = dna.find(text);
    assert_eq!(found.hits, bytes.find(text).hits, "the alphabets differ");
    let ends: BTreeSet<(usize, i32)> = Searcher::<Dna>::new_fwd()
        .search_all(&pattern, text, k as usize)
        .iter()
        .map(|x| (x.text_end, x.cost))
        .collect();
    for hit in &found.hits {
        let end = hit.position + m;
        assert!(ends.range((end, 0)..=(end, hit.distance as i32)).next().is_some(), "sassy lacks the end {end}");
    }
    // Ends of local minima only, without alignments: the least that sassy can be asked for.
    let mut searcher = Searcher::<Dna>::new_fwd().without_trace();
    let calls: Vec<Call<'_>> = vec![
        ("dna", Box::new(|| dna.find(text).hits.len())),
        ("bytes", Box::new(|| bytes.find(text).hits.len())),
        ("search", Box::new(|| searcher.search(&pattern, text, k as usize).len())),
    ];
    race(&format!("m={m} k={k}"), runs, 2, calls)
}

/// Guides of 20 letters before NGG, at most `k` mismatches and none in the PAM, both strands. What sassy is asked for is the
/// least that a user could test afterwards, in all the ways that it has: one guide after the other, eight (four) at a time,
/// and all of them encoded together, which needs the profile `Iupac`, with the PAM and without.
fn guides(text: &[u8], many: usize, k: u32, runs: usize) -> String {
    let mut random = Random(5);
    let plain: Vec<Vec<u8>> = (0..many).map(|_| text[random.below(text.len() - 23)..][..20].to_vec()).collect();
    let whole: Vec<Vec<u8>> = plain.iter().map(|g| [&g[..], b"NGG"].concat()).collect();
    let queries: Vec<Query<'_>> = whole.iter().map(|g| Query::new(g, k).requiring(20..23)).collect();
    let iupac = Options { alphabet: Alphabet::Iupac, ..Options::default() };
    let search = Search::both_strands(&queries, &iupac).expect("valid guides");
    let mut found: Vec<Place> = search.find(text).hits.iter().map(|h| (h.position, h.query, h.reverse)).collect();
    found.sort_unstable();
    assert!(found == by_sassy(text, &plain, &whole, k), "{many} guides, k = {k}: sassy with a Hamming test differs");

    let edits = k as usize;
    let both = CachedRev::new(text, true); // the text reversed, once for all patterns
    let mut single = Searcher::<Dna>::new_rc().without_trace();
    let mut lanes = Searcher::<Iupac>::new_rc().without_trace();
    let mut batch = Searcher::<Iupac>::new_rc().without_trace();
    let mut batch_with = batch.clone();
    let (without, with) = (batch.encode_patterns(&plain), batch.encode_patterns(&whole));
    let mut calls: Vec<Call<'_>> = vec![
        ("iupac", Box::new(|| search.find(text).hits.len())),
        ("batch, 23 letters", Box::new(|| batch_with.search_encoded_patterns(&with, text, edits).len())),
        ("pattern by pattern", Box::new(|| plain.iter().map(|g| single.search(g, &both, edits).len()).sum::<usize>())),
    ];
    if k < 5 || text.len() < LONG {
        calls.push(("batch, 20 letters", Box::new(|| batch.search_encoded_patterns(&without, text, edits).len())));
        calls.push((
            "patterns in lanes",
            Box::new(|| plain.chunks(64).map(|part| lanes.search_patterns(part, &both, edits).len()).sum::<usize>()),
        ));
    }
    race(&format!("{many} guides, both strands, k={k}"), runs, 1, calls)
}

/// Position, number of the guide, whether on the reverse strand.
type Place = (usize, usize, bool);

/// The same places by sassy: all ends within the edit distance, then a Hamming test of the letters before each.
fn by_sassy(text: &[u8], plain: &[Vec<u8>], whole: &[Vec<u8>], k: u32) -> Vec<Place> {
    let mut searcher = Searcher::<Iupac>::new_rc();
    let encoded = searcher.encode_patterns(whole);
    let matches = |guide: &[u8], window: &[u8]| {
        let apart = guide.iter().zip(window).filter(|(a, b)| a != b).count();
        apart <= k as usize && window[21..] == *b"GG"
    };
    let mut places = BTreeSet::new();
    for first in (0..text.len()).step_by(PIECE) {
        let piece = &text[first..(first + PIECE + 22).min(text.len())];
        for hit in searcher.search_all_encoded_patterns(&encoded, piece, k as usize) {
            let Some(start) = hit.text_end.checked_sub(23) else { continue };
            let Some(window) = piece.get(start..hit.text_end) else { continue };
            let (guide, reverse) = (&plain[hit.pattern_idx], hit.strand == Strand::Rc);
            if if reverse { matches(guide, &reverse_complement(window)) } else { matches(guide, window) } {
                places.insert((first + start, hit.pattern_idx, reverse));
            }
        }
    }
    places.into_iter().collect()
}

fn reverse_complement(letters: &[u8]) -> Vec<u8> {
    let complement = |b: &u8| match b {
        b'A' => b'T',
        b'C' => b'G',
        b'G' => b'C',
        _ => b'A',
    };
    letters.iter().rev().map(complement).collect()
}

/// Recall where there are insertions and deletions: reads of about 500 letters with one of 96 barcodes of 24 letters on either
/// strand; 4 % of the letters are drawn anew, 1.5 % are followed by another one, 1.5 % are missing. A read is recognised when
/// its own barcode is found on its strand within 3 mismatches (ours) or 3 edits (sassy). Nothing is timed.
fn reads(many: usize) -> String {
    const K: u32 = 3;
    let mut random = Random(7);
    let barcodes: Vec<Vec<u8>> = (0..96).map(|_| (0..24).map(|_| random.letter()).collect()).collect();
    let queries: Vec<Query<'_>> = barcodes.iter().map(|b| Query::new(b, K)).collect();
    let dna = Options { alphabet: Alphabet::Dna, ..Options::default() };
    let search = Search::both_strands(&queries, &dna).expect("valid barcodes");
    let mut searcher = Searcher::<Iupac>::new_rc();
    let encoded = searcher.encode_patterns(&barcodes);
    let (mut ours, mut theirs) = (0, 0);
    for _ in 0..many {
        let (own, reverse) = (random.below(barcodes.len()), random.below(2) == 1);
        let barcode = if reverse { reverse_complement(&barcodes[own]) } else { barcodes[own].clone() };
        let mut read = Vec::new();
        let (before, after) = (20 + random.below(80), 300 + random.below(300));
        read.extend((0..before).map(|_| random.letter()));
        random.misread(&barcode, &mut read);
        read.extend((0..after).map(|_| random.letter()));
        let mismatched = search.find(&read).hits;
        ours += usize::from(mismatched.iter().any(|h| (h.query, h.reverse) == (own, reverse)));
        let edited = searcher.search_encoded_patterns(&encoded, &read, K as usize);
        theirs += usize::from(edited.iter().any(|x| (x.pattern_idx, x.strand == Strand::Rc) == (own, reverse)));
    }
    format!("{{\"reads\": {many}, \"ours\": {ours}, \"theirs\": {theirs}}}")
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize
    }

    fn below(&mut self, limit: usize) -> usize {
        self.next() % limit
    }

    fn letter(&mut self) -> u8 {
        b"ACGT"[self.below(4)]
    }

    fn misread(&mut self, letters: &[u8], read: &mut Vec<u8>) {
        for &letter in letters {
            match self.below(1_000) {
                0..40 => read.push(self.letter()),
                40..55 => read.extend([letter, self.letter()]),
                55..70 => {}
                _ => read.push(letter),
            }
        }
    }
}
