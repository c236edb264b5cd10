//! Observers that stop a call at a chosen look, and that measure how long it works between two looks.
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use samplewise_linalg::observe::{FromFn, Observer, Progress};
use samplewise_linalg::random::{Streams, below};

/// Looks at which runs are stopped: the first, the second, the fifth, and as many others up to `most`.
pub fn looks(others: usize, most: usize, seed: u64) -> Vec<usize> {
    let mut rng = Streams::new(seed).stream(0);
    [1, 2, 5].into_iter().chain((0..others).map(|_| 1 + below(&mut rng, most))).collect()
}

/// Runs a call with an observer that stops it at a look (counted from 1) and says so at every later one; returns its answer,
/// and whether it came to that look.
pub fn stopped_at<T>(look: usize, call: impl FnOnce(&mut dyn Observer) -> T) -> (T, bool) {
    let mut seen = 0;
    let mut observer = FromFn(|_: Progress| {
        seen += 1;
        if seen >= look { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let answer = call(&mut observer);
    (answer, seen >= look)
}

/// The longest time between two looks.
#[derive(Clone, Debug)]
pub struct Gap {
    /// Processor time of the thread that runs the call where the system tells it, else wall time; see [`gaps`] for a slow
    /// machine.
    pub longest: Duration,
    /// Stage of the look that ended it, or `"end"`.
    pub stage: String,
    /// Number of looks.
    pub looks: usize,
}

/// Runs of a call whose gap is longer than the contract: what the machine takes for others, or for memory that is new to the
/// process, does not come at the same place each time.
const RUNS: usize = 4;

/// Runs a call on a pool of one thread, and measures the gaps between its looks; of several runs the one whose longest gap is
/// the shortest.
///
/// Where that is longer than the contract it is divided by how slow the machine is at the time, so that a test says something
/// about the call and not about who else uses the machine.
pub fn gaps<T: Send>(mut call: impl FnMut(&mut dyn Observer) -> T + Send) -> (T, Gap) {
    let mut best = gaps_once(&mut call);
    for _ in 1..RUNS {
        if best.1.longest <= samplewise_linalg::observe::LONGEST_GAP {
            break;
        }
        best.1.longest = best.1.longest.div_f64(slowness());
        let again = gaps_once(&mut call);
        if again.1.longest < best.1.longest {
            best = again;
        }
    }
    best
}

/// How many times as long as on the machine of the nominal times below a core takes now for a chain of multiplications, or
/// for passes over memory, whichever is worse; at least 1, at most 4, so that a missing look is found on any machine.
fn slowness() -> f64 {
    /// Processor seconds of the chain and of the passes where the tests were written (a Xeon of 2023, idle).
    const NOMINAL: [f64; 2] = [0.042, 0.045];
    let start = Clock::now();
    let mut state = std::hint::black_box(1_u64);
    for _ in 0..30_000_000 {
        state = state.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (state >> 29);
    }
    std::hint::black_box(state);
    let chain = start.elapsed();
    let memory = std::hint::black_box(vec![1_u64; 1 << 22]);
    let start = Clock::now();
    for _ in 0..12 {
        std::hint::black_box(memory.iter().fold(0_u64, |s, &v| s ^ v.wrapping_mul(3)));
    }
    let passes = start.elapsed();
    let worst = (chain.as_secs_f64() / NOMINAL[0]).max(passes.as_secs_f64() / NOMINAL[1]);
    worst.clamp(1.0, 4.0)
}

fn gaps_once<T: Send>(call: impl FnOnce(&mut dyn Observer) -> T + Send) -> (T, Gap) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool of one thread");
    pool.install(|| {
        let mut last = Clock::now();
        let mut gap = Gap { longest: Duration::ZERO, stage: String::new(), looks: 0 };
        let take = |stage: &str, gap: &mut Gap, last: &mut Clock| {
            let since = last.elapsed();
            if since > gap.longest {
                (gap.longest, gap.stage) = (since, stage.to_owned());
            }
            *last = Clock::now();
        };
        let mut observer = FromFn(|p: Progress| {
            gap.looks += 1;
            take(p.stage, &mut gap, &mut last);
            ControlFlow::Continue(())
        });
        let answer = call(&mut observer);
        take("end", &mut gap, &mut last);
        (answer, gap)
    })
}

/// Processor time of this thread, or wall time where the system does not tell it.
enum Clock {
    Processor(u64),
    Wall(Instant),
}

impl Clock {
    fn now() -> Self {
        processor_time().map_or_else(|| Self::Wall(Instant::now()), Self::Processor)
    }

    fn elapsed(&self) -> Duration {
        match self {
            Self::Processor(then) => Duration::from_nanos(processor_time().unwrap_or(*then).saturating_sub(*then)),
            Self::Wall(then) => then.elapsed(),
        }
    }
}

/// Nanoseconds that this thread has run, as Linux tells it.
fn processor_time() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_of_the_observer_is_a_gap() {
        let step = |observer: &mut dyn Observer, stage| {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(30) {
                std::hint::black_box(start);
            }
            observer.step(Progress { stage, step: 1, total: None, value: None }).is_break()
        };
        let (_, gap) = gaps(|o| step(o, "work"));
        assert!(gap.longest > Duration::from_millis(3) && gap.stage == "work" && gap.looks == 1, "{gap:?}");
        let (broke, came) = stopped_at(2, |o| [step(o, "one"), step(o, "two"), step(o, "three")]);
        assert_eq!((broke, came), ([false, true, true], true));
    }
}
