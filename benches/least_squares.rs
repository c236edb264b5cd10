//! What the cost model of `least_squares` loses: 5 × 5 shapes, well and ill conditioned, every method
//! beside the automatic choice. `cargo bench --bench least_squares` prints the table, `... -- WORD` its parts whose title has
//! WORD (well, 1e5, 1e9), or the shapes named (2000x150); medians of interleaved runs, and of the ratios inside a run.
use std::time::Instant;

use samplewise::linalg::lstsq::{Method, Path, least_squares};
use samplewise_benches::{median, words};
use samplewise_testkit::generate::random_matrix;

const ROWS: [usize; 5] = [2_000, 6_000, 20_000, 60_000, 200_000];
const COLUMNS: [usize; 5] = [5, 15, 50, 150, 500];
const METHODS: [Method; 5] = [Method::Auto, Method::Gram, Method::Tsqr, Method::Sketched, Method::Preconditioned];

fn main() {
    println!("{} threads; milliseconds", rayon_threads());
    let mut worst = 0.0_f64;
    // The last column becomes the first plus this much of what it was.
    let (shapes, words): (Vec<String>, Vec<String>) = words().into_iter().partition(|w| w.contains('x'));
    let known = |shape: &&String| ROWS.iter().any(|n| COLUMNS.iter().any(|d| **shape == format!("{n}x{d}")));
    if let Some(shape) = shapes.iter().find(|s| !known(s)) {
        panic!("no shape {shape}: rows {ROWS:?}, columns {COLUMNS:?}");
    }
    for apart in [1.0, 1e-5, 1e-9] {
        let title =
            if apart == 1.0 { "well conditioned".to_owned() } else { format!("condition about {:.0e}", 1.0 / apart) };
        if !words.is_empty() && !words.iter().any(|w| title.contains(w.as_str())) {
            continue;
        }
        println!(
            "\n{:>7} {:>4} {:>9} {:>9} {:>9} {:>9} {:>14}  lost  path, {}",
            "rows", "cols", "auto", "gram", "tsqr", "sketched", "preconditioned", title
        );
        for n in ROWS {
            for d in COLUMNS.into_iter().filter(|d| shapes.is_empty() || shapes.contains(&format!("{n}x{d}"))) {
                worst = worst.max(shape(n, d, apart));
            }
        }
    }
    println!("\nmost lost: {:.0} %", 100.0 * worst);
}

/// The fraction of the time of the best method that the automatic choice takes more.
fn shape(n: usize, d: usize, apart: f64) -> f64 {
    let mut a = random_matrix(n, d, 1);
    if apart < 1.0 {
        (0..n).for_each(|i| a[(i, d - 1)] = a[(i, 0)] + apart * a[(i, d - 1)]);
    }
    let b: Vec<f64> = (0..n).map(|i| a.row(i).iter().sum::<f64>() + (i % 13) as f64).collect();
    let reference = least_squares(&a, &b, Method::Tsqr).expect("finite").residual_norm;
    // Of equals: what refuses, or falls back to another path, is not in the race.
    let racing = METHODS.map(|method| match least_squares(&a, &b, method) {
        Ok(fit) => {
            let own = match method {
                Method::Auto => true,
                Method::Gram => apart > 1e-7 && fit.path == Path::Gram,
                Method::Tsqr => fit.path == Path::Tsqr,
                Method::Sketched => fit.path == Path::Sketched,
                Method::Preconditioned => fit.path == Path::Preconditioned,
            };
            let minimises = (fit.residual_norm / reference - 1.0).abs() < 1e-6;
            assert!(!own || minimises, "{method:?} does not minimise");
            own.then_some(fit.path)
        }
        Err(_) => None,
    });
    let runs = (30_000_000 / (n * d)).clamp(5, 31) | 1;
    let mut times = [(); 5].map(|()| Vec::with_capacity(runs));
    for run in 0..runs {
        // To and fro: what comes after the largest allocation pays for its pages.
        let order = if run % 2 == 0 { [0, 1, 2, 3, 4] } else { [4, 3, 2, 1, 0] };
        for m in order.into_iter().filter(|&m| racing[m].is_some()) {
            let start = Instant::now();
            let fit = least_squares(&a, &b, METHODS[m]);
            times[m].push(start.elapsed().as_secs_f64() * 1e3);
            drop(fit);
        }
    }
    // Ratios of the same round: the speed of the machine changes between rounds.
    let lost = (1..METHODS.len())
        .filter(|&m| racing[m].is_some())
        .map(|m| median(times[0].iter().zip(&times[m]).map(|(auto, other)| auto / other - 1.0).collect()))
        .fold(f64::NEG_INFINITY, f64::max);
    let medians = times.map(median);
    let cells = medians.map(|m| if m.is_finite() { format!("{m:9.3}") } else { format!("{:>9}", "-") });
    println!("{n:>7} {d:>4} {}      {:>4.0} %  {:?}", cells.join(" "), 100.0 * lost, racing[0].expect("auto"));
    lost
}

/// Infinite for none.
fn rayon_threads() -> usize {
    std::env::var("RAYON_NUM_THREADS")
        .ok()
        .and_then(|word| word.parse().ok())
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}
