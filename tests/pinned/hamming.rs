//! Hamming distances.
use samplewise::hamming::paper::{fredman, sumset};
use samplewise::hamming::{
    Alphabet, ApproximateOptions, Batch, Engine, Options, Plan, Query, Search, Stream, differences,
};
use samplewise::linalg::random::below;

use crate::{Pins, stream};

fn letters(count: usize, of: &[u8], seed: u64) -> Vec<u8> {
    let mut rng = stream(seed);
    (0..count).map(|_| of[below(&mut rng, of.len())]).collect()
}

pub fn pin(pins: &mut Pins) {
    let (text, pattern) = (letters(5_000, b"acgt", 30), letters(120, b"acgt", 31));
    for engine in Engine::ALL {
        let options = Options { engine, ..Options::default() };
        let found = Plan::new(&pattern, &options).and_then(|plan| plan.distances(&text));
        match found {
            Ok(found) => pins.pin(format!("hamming {engine:?}"), &[&found.distances]),
            Err(_) => pins.pin(format!("hamming {engine:?} refused"), &[]),
        }
    }
    let iupac = Options { alphabet: Alphabet::Iupac, ..Options::default() };
    let plan = Plan::new(b"ACGTNRYACGT", &iupac).unwrap();
    pins.pin("hamming iupac", &[&plan.distances(&letters(3_000, b"ACGTN", 32)).unwrap().distances]);
    let plan = Plan::new(&pattern, &Options::default()).unwrap();
    let mut streamed: Vec<u32> = Vec::new();
    let mut stream = Stream::new(&plan);
    for piece in text.chunks(777) {
        stream.push(piece, |block| streamed.extend_from_slice(block.distances));
    }
    let _ = stream.finish(|block| streamed.extend_from_slice(block.distances));
    pins.pin("hamming stream", &[&streamed]);
    pins.pin("hamming overhang", &[&plan.overhanging_distances(&text).unwrap().distances]);
    let near = plan.approximate(&text, &ApproximateOptions { seed: 3, ..ApproximateOptions::default() }).unwrap();
    pins.pin("hamming approximate", &[&near.distances]);
    let queries = [Query::new(&pattern[..20], 8), Query::new(&pattern[30..60], 14)];
    for (name, search) in [
        ("search", Search::new(&queries, &Options::default()).unwrap()),
        (
            "both strands",
            Search::both_strands(&queries, &Options { alphabet: Alphabet::Dna, ..Options::default() }).unwrap(),
        ),
    ] {
        let hits: Vec<(usize, (usize, bool))> =
            search.find(&text).hits.iter().map(|h| (h.position, (h.query, h.reverse))).collect();
        pins.pin(format!("hamming {name}"), &[&hits]);
    }
    let batch = Batch::new(&[&pattern[..40], &pattern[40..]], &Options::default()).unwrap();
    let all: Vec<Vec<u32>> = batch.distances(&text).unwrap().into_iter().map(|a| a.distances).collect();
    pins.pin("hamming batch", &[&all]);
    let numbers = |count: usize, seed: u64| -> Vec<u32> {
        let mut rng = crate::stream(seed);
        let mut all: Vec<u32> = (0..count).map(|_| below(&mut rng, 400) as u32).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let (x, y) = (numbers(60, 33), numbers(60, 34));
    let sums = sumset::sumset(&x, &y, 400, &sumset::Settings { seed: 4, ..sumset::Settings::default() }).unwrap();
    pins.pin("hamming sumset", &[&sums.counts, &sums.moduli]);
    let (short, long) = (numbers(30, 35), numbers(300, 36));
    let settings = fredman::Settings { seed: 5, ..fredman::Settings::default() };
    let estimate = fredman::approximate_matches(&short, &long, &settings).unwrap();
    pins.pin("hamming fredman", &[&estimate.matches]);
    let spikes = |seed: u64| numbers(80, seed).iter().map(|&v| i64::from(v)).collect::<Vec<i64>>();
    let counts = differences::histogram(&spikes(37), &spikes(38), -50, 5, differences::Counting::Auto);
    pins.pin("hamming differences", &[&counts.map(|c| c.counts).unwrap_or_default()]);
}
