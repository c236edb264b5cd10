//! Histograms of differences between two sets of event times: counting 3SUM with a range of targets, which the paper shows
//! to be the same problem as text-to-pattern Hamming distances.
//!
//! `H[s] = #{(x, y) ∈ A × B : x − y = s}` for `s` in a range of consecutive integers: the cross-correlogram of two spike
//! trains, the coincidence histogram of photon time tags.
//!
//! *From text to differences*: with `A = {i + L·T[i]}`, `B = {j + L·P[j]}` and `L ≥ n + m`, the number of matches at
//! alignment `s` is `H[s]`. *From differences to text*: with windows of the range's width as letters and places within
//! them as positions, `H` is a sum of match counts. Both directions are tests.
use rayon::prelude::*;
use samplewise_linalg::fft::{Complex, FftReal};

use crate::Error;

/// How a histogram is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Counting {
    /// The cheaper by the cost model.
    #[default]
    Auto,
    /// Pair by pair, over sorted events.
    Pairs,
    /// By one FFT per stretch of time, summed in the frequency domain; certified exact.
    Fft,
}

/// The way a histogram was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Route {
    /// Pair by pair.
    Pairs,
    /// By FFT, certified.
    Fft,
    /// Pair by pair, after the certificate of the FFT refused.
    PairsAfterFft,
}

impl Route {
    /// The words for tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pairs => "pairs",
            Self::Fft => "fft",
            Self::PairsAfterFft => "pairs after fft",
        }
    }
}

/// A histogram of differences with its evidence.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Differences {
    /// The smallest difference.
    pub first: i64,
    /// Pairs of every difference from `first` on.
    pub counts: Vec<u64>,
    /// The way taken.
    pub route: Route,
    /// Pairs in all, counted on their own: the sum of `counts`.
    pub pairs: u64,
    /// Largest distance of a value of the FFT from an integer, below 0.25.
    pub largest_residual: Option<f64>,
}

/// *Tuned*, bench `hamming/differences`: nanoseconds per pair, and per point of the transforms for each unit of `log₂ N`.
const PAIR: f64 = 1.0;
const POINT: f64 = 0.45;
/// Longest histogram, 128 MiB for each thread; and longest by FFT, about 1 GiB of transforms.
const LONGEST: u64 = 1 << 24;
const LONGEST_FFT: u64 = 1 << 22;

/// Pairs of an event of `a` and an event of `b` for each difference `first ≤ a − b < first + width` (row HAM-12). Events
/// are integers in any order, repeated ones count as often. Cost: a sort, and then one step per pair or one FFT of length
/// `4·width` per `2·width` of time that has events, whichever is less. The same for every thread count.
///
/// ```
/// use samplewise_hamming::differences::{Counting, histogram};
/// let h = histogram(&[10, 20, 31], &[9, 20], -1, 4, Counting::Auto)?;
/// assert_eq!(h.counts, [0, 1, 1, 0]); // 20 − 20 and 10 − 9
/// # Ok::<(), samplewise_hamming::Error>(())
/// ```
///
/// # Errors
/// [`Error::EmptyText`] without events, [`Error::Argument`] for a width of 0 or above 2^24, or
/// events that lie so far apart that differences overflow; [`Error::EngineUnsuitable`] for the FFT above 2^22.
pub fn histogram(a: &[i64], b: &[i64], first: i64, width: u64, counting: Counting) -> Result<Differences, Error> {
    if a.is_empty() || b.is_empty() {
        return Err(Error::EmptyText);
    }
    if width == 0 || width > LONGEST {
        let allowed = "1 to 16777216";
        return Err(Error::argument("width", width as f64, allowed));
    }
    if width > LONGEST_FFT && counting == Counting::Fft {
        let reason = "the transforms of a histogram of more than 4194304 differences would take gibibytes";
        return Err(Error::EngineUnsuitable { engine: "fft", reason });
    }
    let safe = -(1 << 60)..1 << 60;
    for (option, events) in [("a", a), ("b", b), ("first", &[first][..])] {
        if let Some(&value) = events.iter().find(|&&x| !safe.contains(&x)) {
            let allowed = "-2^60 to 2^60";
            return Err(Error::argument(option, value as f64, allowed));
        }
    }
    let sorted = |events: &[i64]| {
        let mut events = events.to_vec();
        events.par_sort_unstable();
        events
    };
    let (a, b) = (sorted(a), sorted(b));
    let width = width as usize;
    let (pairs, blocks) = (count_pairs(&a, &b, first, width), Blocks::new(&a, &b, first, width));
    let by_pairs = pairs as f64 * PAIR;
    let by_fft = (2 * blocks.list.len() + 1) as f64 * blocks.len as f64 * POINT * (blocks.len as f64).log2();
    let fft = match counting {
        Counting::Auto => by_fft < by_pairs && width as u64 <= LONGEST_FFT,
        Counting::Pairs => false,
        Counting::Fft => true,
    };
    let certified = fft.then(|| blocks.histogram(&a, &b, first, width, pairs)).flatten();
    let (counts, route, largest_residual) = if let Some((counts, residual)) = certified {
        (counts, Route::Fft, Some(residual))
    } else {
        let route = if fft { Route::PairsAfterFft } else { Route::Pairs };
        (enumerate(&a, &b, first, width), route, None)
    };
    Ok(Differences { first, counts, route, pairs, largest_residual })
}

/// Pairs in the window: two pointers, one step per event.
fn count_pairs(a: &[i64], b: &[i64], first: i64, width: usize) -> u64 {
    let (mut low, mut high, mut total) = (0, 0, 0);
    for &x in a {
        // y in (x − first − width, x − first].
        while high < b.len() && b[high] <= x - first {
            high += 1;
        }
        while low < high && b[low] <= x - first - width as i64 {
            low += 1;
        }
        total += (high - low) as u64;
    }
    total
}

fn enumerate(a: &[i64], b: &[i64], first: i64, width: usize) -> Vec<u64> {
    let count = |a: &[i64]| {
        let mut counts = vec![0_u64; width];
        let start = a.first().map_or(0, |&x| b.partition_point(|&y| y <= x - first - width as i64));
        let (mut low, mut high) = (start, start);
        for &x in a {
            while high < b.len() && b[high] <= x - first {
                high += 1;
            }
            while low < high && b[low] <= x - first - width as i64 {
                low += 1;
            }
            for &y in &b[low..high] {
                counts[(x - first - y) as usize] += 1;
            }
        }
        counts
    };
    // Histograms of stretches of events are added: integers, in any order.
    let stretch = a.len().div_ceil(rayon::current_num_threads()).max(1 << 14);
    a.par_chunks(stretch).map(count).reduce(
        || vec![0; width],
        |mut x, y| {
            x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
            x
        },
    )
}

/// Stretches of time of `b` that have partners in `a`.
struct Blocks {
    /// Length of the transform.
    len: usize,
    /// Time of one stretch.
    span: i64,
    /// Start, and the events of `b` and `a` of each.
    list: Vec<(i64, std::ops::Range<usize>, std::ops::Range<usize>)>,
}

impl Blocks {
    fn new(a: &[i64], b: &[i64], first: i64, width: usize) -> Self {
        // Differences of a stretch of b and its partners take span + width places.
        let len = (4 * width).next_power_of_two().max(1 << 12);
        let span = (len - width) as i64;
        let (mut list, mut from) = (Vec::new(), 0);
        while from < b.len() {
            let start = b[from];
            let to = from + b[from..].partition_point(|&y| y < start + span);
            // x − y in the range for some y of the stretch.
            let low = a.partition_point(|&x| x < start + first);
            let high = a.partition_point(|&x| x < start + span + first + width as i64 - 1);
            if low < high {
                list.push((start, from..to, low..high));
            }
            from = to;
        }
        Self { len, span, list }
    }

    /// The products of all stretches, summed before the one inverse transform; `None` when the certificate fails.
    fn histogram(&self, a: &[i64], b: &[i64], first: i64, width: usize, pairs: u64) -> Option<(Vec<u64>, f64)> {
        let zero = Complex::new(0.0, 0.0);
        let bins = self.len / 2 + 1;
        let product = |sum: &mut Vec<Complex<f64>>, block: &(i64, std::ops::Range<usize>, std::ops::Range<usize>)| {
            let plan = f64::plan(self.len);
            let (start, ys, xs) = block;
            let transform = |events: &[i64], zero_at: i64| {
                let mut signal = vec![0.0; self.len];
                events.iter().for_each(|&t| signal[(t - zero_at) as usize] += 1.0);
                let mut spectrum = plan.zero_spectrum();
                plan.forward(&mut signal, &mut spectrum);
                spectrum
            };
            let (y, x) = (transform(&b[ys.clone()], *start), transform(&a[xs.clone()], start + first));
            sum.iter_mut().zip(x.iter().zip(&y)).for_each(|(s, (x, y))| *s += x * y.conj());
        };
        // A fixed number of partial sums, so that rounding does not depend on the threads.
        let parts = ((1 << 25) / self.len).clamp(1, 16);
        let group = self.list.len().div_ceil(parts).max(1);
        let partial: Vec<Vec<Complex<f64>>> = self
            .list
            .par_chunks(group)
            .map(|blocks| {
                let mut sum = vec![zero; bins];
                blocks.iter().for_each(|block| product(&mut sum, block));
                sum
            })
            .collect();
        let mut sum = vec![zero; bins];
        for part in partial {
            sum.iter_mut().zip(part).for_each(|(s, p)| *s += p);
        }
        let mut values = vec![0.0; self.len];
        f64::plan(self.len).inverse(&mut sum, &mut values);
        let (mut counts, mut residual, mut total) = (Vec::with_capacity(width), 0.0_f64, 0_u64);
        for v in &values[..width] {
            let value = v / self.len as f64;
            let rounded = value.round();
            residual = residual.max((value - rounded).abs());
            if rounded < 0.0 || value.is_nan() {
                return None;
            }
            counts.push(rounded as u64);
            total += rounded as u64;
        }
        debug_assert!(self.span > 0);
        (residual < 0.25 && total == pairs).then_some((counts, residual))
    }
}
