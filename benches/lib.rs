//! What all benches share: the choice of tables by the words of the call, times and medians, and races of several ways to the
//! same answer.
use std::hint::black_box;
use std::time::Instant;

/// A table of a bench.
pub struct Table<'a> {
    /// Its word on the command line.
    pub name: &'static str,
    /// Printed when no table is asked for by name.
    pub always: bool,
    /// Prints it.
    pub run: Box<dyn Fn() + 'a>,
}

impl<'a> Table<'a> {
    /// A table that is printed unless others are asked for.
    pub fn new(name: &'static str, run: impl Fn() + 'a) -> Self {
        Self { name, always: true, run: Box::new(run) }
    }

    /// A table that takes long, or reads what is not there everywhere: printed when it is asked for.
    pub fn on_request(name: &'static str, run: impl Fn() + 'a) -> Self {
        Self { always: false, ..Self::new(name, run) }
    }
}

/// The words of the call that are no options, as in `cargo bench --bench NAME -- WORD`.
pub fn words() -> Vec<String> {
    std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect()
}

/// Prints the tables whose names hold a word of the call, or all that are printed without one. The number of threads stands
/// above them.
///
/// # Panics
/// When a word names no table.
pub fn print(tables: &[Table<'_>]) {
    let words = words();
    let asked = |table: &&Table<'_>| words.iter().any(|w| table.name.contains(w.as_str()));
    if let Some(word) = words.iter().find(|w| !tables.iter().any(|t| t.name.contains(w.as_str()))) {
        let names: Vec<&str> = tables.iter().map(|t| t.name).collect();
        panic!("no table {word:?}; there are {}", names.join(", "));
    }
    println!("{} threads", rayon::current_num_threads());
    for table in tables.iter().filter(|t| if words.is_empty() { t.always } else { asked(t) }) {
        (table.run)();
        println!();
    }
}

/// The middle value; of an even number, the upper of the two. NaN without values.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Seconds of one call, and its result.
pub fn seconds<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let out = black_box(work());
    (start.elapsed().as_secs_f64(), out)
}

/// Median seconds of `runs` calls after one that does not count, and the last result.
///
/// # Panics
/// For no runs.
pub fn timed<T>(runs: usize, mut work: impl FnMut() -> T) -> (f64, T) {
    assert!(runs > 0, "no runs");
    let mut last = work();
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        let (time, result) = seconds(&mut work);
        times.push(time);
        last = result;
    }
    (median(times), last)
}

/// One of several ways: its name, and what is timed.
pub type Runner<'a> = (&'static str, Box<dyn FnMut() + 'a>);

/// Times all in turn, `rounds` times after one round that does not count; prints medians, and how many times the first is
/// faster than each other.
pub fn race(work: &str, rounds: usize, mut runners: Vec<Runner<'_>>) {
    let mut times = vec![Vec::new(); runners.len()];
    for round in 0..=rounds {
        for ((_, run), times) in runners.iter_mut().zip(&mut times) {
            let (time, ()) = seconds(run);
            if round > 0 {
                times.push(time);
            }
        }
    }
    let medians: Vec<f64> = times.into_iter().map(median).collect();
    print!("{work}: {} {:.3} ms", runners[0].0, 1e3 * medians[0]);
    for ((name, _), median) in runners.iter().zip(&medians).skip(1) {
        print!(" | {name} {:.3} ms, {:.2}x", 1e3 * median, median / medians[0]);
    }
    println!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_times_are_those_of_the_runs_that_count() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 3.0);
        assert!(median(Vec::new()).is_nan());
        let mut calls = 0;
        let (time, last) = timed(4, || {
            calls += 1;
            calls
        });
        assert!(time >= 0.0 && last == 5, "{time}, {last}");
    }
}
