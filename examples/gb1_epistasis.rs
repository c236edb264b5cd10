//! Protein GB1: from how few measured double mutants can the fitness of the others be predicted?
//!
//! `cargo run --release --example gb1_epistasis` runs on the embedded crop;
//! after `python3 scripts/fetch_data.py fetch gb1` on all 530,737 pairs of 1,045 single mutants. A word after `--` is the
//! name of a picture of observed against predicted fitness (SVG).
use rayon::prelude::*;
use samplewise::completion::{Entries, Options, PosteriorOptions, Rank, Verification, complete, sample_posterior};
use samplewise::linalg::random::{Streams, shuffle};
use samplewise_testkit::{fixtures, picture};

type Pairs = Vec<(usize, usize, f64)>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (rows, columns, mut pairs, symmetric): (Vec<String>, Vec<String>, Pairs, bool) =
        if let Some(path) = fixtures::full_data("gb1/gb1_data.csv") {
            let (names, pairs) = fixtures::full_gb1(&path);
            (names.clone(), names, pairs, true)
        } else {
            println!("full data absent (python3 scripts/fetch_data.py fetch gb1): the embedded crop instead");
            let (rows, columns, pairs) = fixtures::gb1();
            (rows, columns, pairs, false)
        };
    println!("{} pairs of {} x {} single mutants\n", pairs.len(), rows.len(), columns.len());
    shuffle(&mut Streams::new(1).stream(0), &mut pairs);

    println!("measured     share  rank  R2 hidden  R2 of draws  nine tenths hold  R2 additive  status");
    let mut last = None;
    for percent in [5, 10, 20, 40] {
        let (seen, hidden) = pairs.split_at(pairs.len() * percent / 100);
        // A pair has no order: where rows and columns are the same mutants, it stands in both places.
        let mut entries = seen.to_vec();
        if symmetric {
            entries.extend(seen.iter().map(|&(a, b, v)| (b, a, v)));
        }
        let data = Entries::new(rows.len(), columns.len(), &entries, None)?;
        let options = Options { biases: true, ..Options::default() };
        let found = complete(&data, Rank::Auto { max: 12 }, &options)?;
        let additive = Options { lambda: Some(1e12), ..options };
        let additive = complete(&data, Rank::Fixed(1), &additive)?;
        let predict = |model: &samplewise::completion::Model, a: usize, b: usize| {
            if symmetric { f64::midpoint(model.predict(a, b), model.predict(b, a)) } else { model.predict(a, b) }
        };
        let mean = hidden.iter().map(|h| h.2).sum::<f64>() / hidden.len() as f64;
        let total: f64 = hidden.iter().map(|h| (h.2 - mean).powi(2)).sum();
        let r2 = |model| 1.0 - hidden.iter().map(|&(a, b, v)| (v - predict(model, a, b)).powi(2)).sum::<f64>() / total;
        // The mean of draws from the posterior: closer, and with a deviation for every pair.
        let sampling = PosteriorOptions {
            samples: 30,
            implicit: false,
            verification: Verification::Share(0.0),
            ..PosteriorOptions::default()
        };
        let draws = sample_posterior(&data, Rank::Auto { max: 23 }, &sampling)?;
        let drawn: Vec<(f64, f64)> = hidden
            .par_iter()
            .map(|&(a, b, _)| {
                let (one, other) = (draws.predict(a, b), draws.predict(b, a));
                let mean = if symmetric { f64::midpoint(one.mean, other.mean) } else { one.mean };
                (mean, one.deviation)
            })
            .collect();
        let held = drawn.iter().zip(hidden).filter(|((mean, deviation), h)| (h.2 - mean).abs() <= 1.645 * deviation);
        println!(
            "{:8}  {percent:6} %  {:4}  {:9.3}  {:11.3}  {:16.3}  {:11.3}  {:?}",
            seen.len(),
            found.report.rank,
            r2(&found.model),
            1.0 - drawn.iter().zip(hidden).map(|((mean, _), h)| (h.2 - mean).powi(2)).sum::<f64>() / total,
            held.count() as f64 / hidden.len() as f64,
            r2(&additive.model),
            found.status
        );
        let mut ranked: Vec<(f64, &(usize, usize, f64))> =
            hidden.iter().map(|h| (predict(&found.model, h.0, h.1), h)).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        if percent == 40
            && let Some(path) = std::env::args().nth(1)
        {
            draw(&path, &ranked, r2(&found.model))?;
        }
        ranked.truncate(5);
        last = Some(ranked.iter().map(|(p, h)| (*p, **h)).collect::<Vec<_>>());
    }
    println!("\nfittest pairs that were never measured (40 % seen), predicted and true log fitness:");
    for (predicted, (a, b, truth)) in last.unwrap_or_default() {
        println!("  {:>5} + {:<5}  {predicted:+.2}  {truth:+.2}", rows[a], columns[b]);
    }
    Ok(())
}

/// Observed against predicted log fitness, at most 2,000 pairs.
fn draw(path: &str, pairs: &[(f64, &(usize, usize, f64))], r2: f64) -> Result<(), Box<dyn std::error::Error>> {
    let step = pairs.len().div_ceil(2_000);
    let points: Vec<(f64, f64)> = pairs.iter().step_by(step).map(|(predicted, pair)| (*predicted, pair.2)).collect();
    let all = points.iter().flat_map(|p| [p.0, p.1]);
    let (low, high) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
    let panel = picture::Panel {
        title: &format!("GB1 double mutants that were not measured, R2 = {r2:.3}"),
        axes: ["predicted log fitness", "observed log fitness"],
        ranges: [low..high, low..high],
        lines: vec![("", vec![(low, low), (high, high)])],
        points,
    };
    picture::draw(path.as_ref(), &[panel])?;
    println!("drawn: {path}");
    Ok(())
}
