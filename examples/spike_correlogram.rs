//! Does one neuron drive another? The cross-correlogram of two simulated spike trains, an hour at a tenth of a millisecond:
//! how often does the second fire so long after the first? `cargo run --release --example spike_correlogram`
use std::time::Instant;

use samplewise::hamming::differences::{Counting, histogram};
use samplewise::linalg::random::{Streams, normal, uniform};

/// Steps per second, length of the recording, and spikes per second.
const RESOLUTION: f64 = 10_000.0;
const SECONDS: f64 = 3_600.0;
const RATE: f64 = 40.0;
/// One spike in twelve makes the second neuron fire 4.2 ms later.
const COUPLING: f64 = 1.0 / 12.0;
const DELAY: f64 = 0.0042;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut rng = Streams::new(1).stream(0);
    let mut train = |rate: f64| -> Vec<f64> {
        let (mut times, mut now) = (Vec::new(), 0.0);
        while now < SECONDS {
            now -= uniform(&mut rng).max(f64::MIN_POSITIVE).ln() / rate;
            times.push(now);
        }
        times
    };
    let (driver, mut driven) = (train(RATE), train(RATE));
    let mut rng = Streams::new(1).stream(1);
    for &t in &driver {
        if uniform(&mut rng) < COUPLING {
            driven.push(t + DELAY + 0.0003 * normal(&mut rng));
        }
    }
    let steps = |times: &[f64]| -> Vec<i64> { times.iter().map(|t| (t * RESOLUTION) as i64).collect() };
    let (a, b) = (steps(&driven), steps(&driver));
    let (first, width) = (-200, 400);
    println!("{} spikes after {} spikes, −20 to 20 ms in steps of 0.1 ms", a.len(), b.len());
    let mut answers = Vec::new();
    for counting in [Counting::Auto, Counting::Pairs, Counting::Fft] {
        let start = Instant::now();
        let h = histogram(&a, &b, first, width, counting)?;
        println!(
            "{counting:?}: {} pairs in {:.1} ms, path {}",
            h.pairs,
            1e3 * start.elapsed().as_secs_f64(),
            h.route.name()
        );
        answers.push(h.counts);
    }
    assert!(answers.iter().all(|counts| *counts == answers[0]));

    // Ten steps to a bar.
    let bars: Vec<u64> = answers[0].chunks(10).map(|c| c.iter().sum()).collect();
    let expected = a.len() as f64 * b.len() as f64 / (SECONDS * RESOLUTION) * 10.0;
    println!("\n     ms   pairs   (independent neurons: about {expected:.0})");
    for (i, &n) in bars.iter().enumerate().filter(|(i, _)| (18..32).contains(i)) {
        let from = (first + 10 * i as i64) as f64 / RESOLUTION * 1e3;
        println!("{from:7.1} {n:7}   {}", "*".repeat((n as f64 / expected * 8.0) as usize));
    }
    let peak = (0..answers[0].len()).max_by_key(|&s| answers[0][s]).unwrap_or(0);
    println!(
        "\nthe peak is at {:.1} ms; the simulated delay is 4.2 ms",
        (first + peak as i64) as f64 / RESOLUTION * 1e3
    );
    Ok(())
}
