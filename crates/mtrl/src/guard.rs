//! Which strategy to trust: a parametric bootstrap of the allocation (row MTL-6).
//!
//! From few samples the Lasso's `ν̂` may sit on the wrong tasks, and plain L1 then does several times worse than L2. The
//! guard takes the estimate for the truth, adds noise of the estimate's own size, lets every candidate allocate from the
//! noisy copy, and keeps the candidate with the least risk on the average.
use samplewise_linalg::factor::Cholesky;
use samplewise_linalg::random::{Streams, normal};
use samplewise_linalg::{Matrix, sums};

use crate::Error;
use crate::answer::Route;
use crate::relevance::{Relevance, Strategy, predicted_risk, relevance_of_targets};

/// Share of the precision that the size of the weights alone would give.
const PRIOR: f64 = 0.1;
/// Number of noisy copies that are allocated.
const DRAWS: u64 = 12;

/// Shares of uniform, L2 and L1 in each candidate, and its name.
const CANDIDATES: [([f64; 3], &str); 7] = [
    ([0.0, 0.0, 1.0], "L1"),
    ([0.0, 0.25, 0.75], "L1 with a quarter of L2"),
    ([0.0, 0.5, 0.5], "half L1, half L2"),
    ([0.0, 1.0, 0.0], "L2"),
    ([0.25, 0.75, 0.0], "L2 with a quarter of uniform"),
    ([0.5, 0.5, 0.0], "half L2, half uniform"),
    ([1.0, 0.0, 0.0], "uniform"),
];

/// What the guard knows.
pub(crate) struct Estimate<'a> {
    /// `K × M` and `K × T`.
    pub weights: &'a Matrix,
    pub targets: &'a Matrix,
    /// Per task, and per target behind them, `BᵀXᵀXB`; noise variance.
    pub precisions: &'a [Matrix],
    pub noise: f64,
    /// Samples so far, and how many more there will be.
    pub samples: &'a [usize],
    pub more: f64,
    pub prices: Option<&'a [f64]>,
    pub lambda: Option<f64>,
}

/// The words for a candidate.
pub(crate) fn mixture_name(mix: [f64; 3]) -> &'static str {
    CANDIDATES.iter().find(|c| c.0 == mix).map_or("a mixture", |c| c.1)
}

/// Shares by the best candidate, the L1 relevance, and the candidate.
///
/// Row MTL-6 of `paper-refs.md`.
pub(crate) fn guarded(e: &Estimate<'_>, streams: Streams) -> Result<(Relevance, Route), Error> {
    let (k, tasks) = (e.weights.rows(), e.weights.columns());
    // Weights of a task of which little is known are not much larger than those of others; of less than `K` samples nothing
    // is known, and noise would only drown the rest.
    let squares = |w: &Matrix| w.as_slice().iter().map(|v| v * v).sum::<f64>() / (w.columns() * k) as f64;
    let prior = PRIOR * e.noise / squares(e.weights).max(f64::MIN_POSITIVE);
    let unseen = |i: usize| e.samples.get(i).is_some_and(|n| *n < k);
    let factors: Vec<Option<Cholesky>> = (0..e.precisions.len())
        .map(|i| if unseen(i) { None } else { Cholesky::new(&e.precisions[i], prior + f64::MIN_POSITIVE).ok() })
        .collect();
    let mut scores = [0.0; CANDIDATES.len()];
    let mut counted = 0.0;
    for draw in 0..DRAWS {
        let mut rng = streams.stream(draw);
        let mut noisy = |from: &Matrix, first: usize| {
            let mut out = from.clone();
            for m in 0..from.columns() {
                let mut z: Vec<f64> = (0..k).map(|_| normal(&mut rng) * e.noise.sqrt()).collect();
                let Some(factor) = &factors[first + m] else { continue };
                solve_upper(factor, &mut z);
                z.iter().enumerate().for_each(|(i, z)| out[(i, m)] += z);
            }
            out
        };
        let (weights, targets) = (noisy(e.weights, 0), noisy(e.targets, tasks));
        let shares = all_shares(e, &weights, &targets)?.map(|r| r.shares);
        let risks: Vec<f64> = CANDIDATES.iter().map(|(mix, _)| risk(e, &blend(&shares, mix))).collect();
        // Relative to the best of the draw, so that no single draw decides.
        let best = risks.iter().copied().fold(f64::INFINITY, f64::min);
        if best.is_finite() && best > 0.0 {
            scores.iter_mut().zip(&risks).for_each(|(s, r)| *s += (r / best).min(100.0));
            counted += 1.0;
        }
    }
    let found = all_shares(e, e.weights, e.targets)?;
    let chosen = if counted > 0.0 {
        (0..CANDIDATES.len()).min_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap_or(3)
    } else {
        3
    };
    let mix = &CANDIDATES[chosen].0;
    let shares = blend(&[found[0].shares.clone(), found[1].shares.clone(), found[2].shares.clone()], mix);
    let [_, _, sparse] = found;
    let [uniform, l2, l1] = *mix;
    Ok((Relevance { shares, ..sparse }, Route::Mixture { uniform, l2, l1 }))
}

fn all_shares(e: &Estimate<'_>, weights: &Matrix, targets: &Matrix) -> Result<[Relevance; 3], Error> {
    let of = |strategy| relevance_of_targets(weights, targets, strategy, e.lambda, e.prices);
    Ok([of(Strategy::Uniform)?, of(Strategy::L2)?, of(Strategy::L1)?])
}

fn blend(shares: &[Vec<f64>; 3], mix: &[f64; 3]) -> Vec<f64> {
    let mut out = vec![0.0; shares[0].len()];
    shares.iter().zip(mix).for_each(|(s, m)| sums::axpy(*m, s, &mut out));
    out
}

/// Risk of the targets, as estimated, after the samples so far and the rest by these shares of the whole.
fn risk(e: &Estimate<'_>, shares: &[f64]) -> f64 {
    let samples = topped_up(e.samples, shares, e.more);
    (0..e.targets.columns())
        .map(|t| predicted_risk(e.weights, &e.targets.copy_column(t), &samples).unwrap_or(f64::INFINITY))
        .sum()
}

/// Samples after `more` were added towards these shares of the whole, never below what is there.
pub(crate) fn topped_up(samples: &[usize], shares: &[f64], more: f64) -> Vec<f64> {
    let whole = samples.iter().sum::<usize>() as f64 + more;
    let short: Vec<f64> = samples.iter().zip(shares).map(|(n, s)| (s * whole - *n as f64).max(0.0)).collect();
    let total = sums::sum(&short).max(f64::MIN_POSITIVE);
    samples.iter().zip(&short).map(|(n, s)| *n as f64 + s / total * more).collect()
}

/// `z ← L⁻ᵀ z`.
fn solve_upper(factor: &Cholesky, z: &mut [f64]) {
    let lower = factor.lower();
    for i in (0..z.len()).rev() {
        z[i] /= lower[(i, i)];
        let x = z[i];
        z[..i].iter_mut().zip(lower.row(i)).for_each(|(z, l)| *z -= x * l);
    }
}
