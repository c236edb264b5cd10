//! Which points to ask: uniform ones, pairs of a point and its complement of every size, those that tell most of all others,
//! and those that may be the largest.
use std::collections::HashSet;

use foldhash::fast::FixedState;
use samplewise_linalg::random::{StreamRng, below, shuffle};
use samplewise_linalg::sums;

use super::expert::Process;

/// Points as rows of codes that are known or chosen already.
pub(crate) type Known = HashSet<Vec<u8>, FixedState>;

/// Candidates among which points are chosen that tell most of all others.
const CANDIDATES: usize = 600;
/// More of them than this take too much memory; beyond half of them points are random.
const MOST_CANDIDATES: usize = 4_000;
/// How much of its deviation is added to the mean of a point that may be the largest.
const BOLDNESS: [f64; 4] = [0.0, 0.5, 1.0, 2.0];
/// Points from which climbs start, besides random ones.
const BEST: usize = 10;
/// Draws without a new point after which there is none.
const PATIENCE: usize = 1_000;

/// A uniformly random point.
pub(crate) fn uniform(levels: &[usize], rng: &mut StreamRng) -> Vec<u8> {
    levels.iter().map(|&a| below(rng, a) as u8).collect()
}

/// So many new points that are uniformly random; fewer where there are no more.
pub(crate) fn random(levels: &[usize], count: usize, known: &mut Known, rng: &mut StreamRng) -> Vec<Vec<u8>> {
    fresh(count, known, || vec![uniform(levels, rng)])
}

/// Pairs of a point of two levels and its complement: all zeros and all ones first, then points with a number of ones that is
/// uniform from one to all but one.
pub(crate) fn paired(n: usize, count: usize, known: &mut Known, rng: &mut StreamRng) -> Vec<Vec<u8>> {
    let mut first = true;
    fresh(count, known, || {
        let size = if std::mem::take(&mut first) { 0 } else { 1 + below(rng, n.max(2) - 1) };
        let mut order: Vec<usize> = (0..n).collect();
        shuffle(rng, &mut order);
        let mut point = vec![0; n];
        order[..size.min(n)].iter().for_each(|&i| point[i] = 1);
        let other = point.iter().map(|&x| 1 - x).collect();
        vec![point, other]
    })
}

/// Draws until there are so many new points, or none comes any more.
fn fresh(count: usize, known: &mut Known, mut draw: impl FnMut() -> Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let mut missed = 0;
    while out.len() < count && missed < PATIENCE {
        missed += 1;
        for point in draw() {
            if out.len() < count && known.insert(point.clone()) {
                out.push(point);
                missed = 0;
            }
        }
    }
    out
}

/// New points that tell most of all others: among random candidates, each time the one whose value would lower the sum of the
/// variances of the candidates most, given those chosen before. Cost `candidates²` for each.
pub(crate) fn informative(process: &Process, count: usize, known: &mut Known, rng: &mut StreamRng) -> Vec<Vec<u8>> {
    let levels = &process.table.layout.levels;
    let mut offered = known.clone();
    let candidates = random(levels, CANDIDATES.max(count.saturating_mul(2)).min(MOST_CANDIDATES), &mut offered, rng);
    let codes: Vec<u8> = candidates.iter().flatten().copied().collect();
    let mut covariance = process.covariance(&codes);
    let noise = process.nugget(1.0);
    let mut left: Vec<usize> = (0..candidates.len()).collect();
    let mut out = Vec::new();
    while out.len() < count && !left.is_empty() {
        let worth =
            |&j: &usize| sums::dot(covariance.row(j), covariance.row(j)) / (covariance[(j, j)].max(0.0) + noise);
        let at = (0..left.len()).max_by(|&a, &b| worth(&left[a]).total_cmp(&worth(&left[b]))).unwrap_or(0);
        let j = left.swap_remove(at);
        let row = covariance.row(j).to_vec();
        let scale = 1.0 / (row[j].max(0.0) + noise);
        for i in 0..candidates.len() {
            sums::axpy(-scale * row[i], &row, covariance.row_mut(i));
        }
        known.insert(candidates[j].clone());
        out.push(candidates[j].clone());
    }
    let more = count - out.len();
    out.extend(random(levels, more, known, rng));
    out
}

/// New points that may be the largest: climbs of single changes on the mean and some of the deviation, from the best points
/// told and from random ones. `score` gives mean and deviation of points; `best` are points told, the largest first.
pub(crate) fn largest(
    (score, means): (&Score<'_>, &Means<'_>),
    levels: &[usize],
    (best, count): (&[Vec<u8>], usize),
    known: &mut Known,
    rng: &mut StreamRng,
    stops: &mut dyn FnMut() -> bool,
) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for climb in 0..count {
        let boldness = BOLDNESS[below(rng, BOLDNESS.len())];
        let start = if climb % 2 == 1 && !best.is_empty() {
            best[below(rng, best.len().min(BEST))].clone()
        } else {
            uniform(levels, rng)
        };
        let bound = |points: &[u8]| score(points).into_iter().map(|(m, d)| m + boldness * d).collect::<Vec<f64>>();
        let mut point = start;
        let mut value = bound(&point)[0];
        loop {
            let mut near = neighbours(&point, levels);
            if near.is_empty() || stops() {
                break;
            }
            // Means are cheap, deviations are not.
            if near.len() > SCREENED * levels.len() {
                let values = means(&near);
                let mut order: Vec<usize> = (0..values.len()).collect();
                order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
                order.truncate(SCREENED);
                near = order.iter().flat_map(|&j| &near[j * levels.len()..(j + 1) * levels.len()]).copied().collect();
            }
            let values = bound(&near);
            let at = (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap_or(0);
            if values[at] <= value {
                break;
            }
            value = values[at];
            point = near[at * levels.len()..(at + 1) * levels.len()].to_vec();
        }
        for _ in 0..PATIENCE {
            if known.insert(point.clone()) {
                out.push(point);
                break;
            }
            let i = below(rng, levels.len());
            point[i] = below(rng, levels[i]) as u8;
        }
    }
    out
}

/// New points of the largest means: climbs of single changes from the best points told and from random ones, then the
/// neighbours of the best that were met, until no better ones come. The largest first.
pub(crate) fn highest(
    means: &Means<'_>,
    levels: &[usize],
    (best, count): (&[Vec<u8>], usize),
    known: &Known,
    rng: &mut StreamRng,
    stops: &mut dyn FnMut() -> bool,
) -> Vec<Vec<u8>> {
    let n = levels.len();
    let mut met: Vec<(f64, Vec<u8>)> = Vec::new();
    let mut seen: Known = Known::default();
    let mut open: Vec<Vec<u8>> = best.iter().take(BEST).cloned().collect();
    open.extend((0..BEST).map(|_| uniform(levels, rng)));
    for _ in 0..ROUNDS {
        let mut codes: Vec<u8> = Vec::new();
        for point in &open {
            for other in neighbours(point, levels).chunks_exact(n) {
                if seen.insert(other.to_vec()) {
                    codes.extend(other);
                }
            }
        }
        if codes.is_empty() || seen.len() > MOST_SEEN || stops() {
            break;
        }
        met.extend(means(&codes).into_iter().zip(codes.chunks_exact(n).map(<[u8]>::to_vec)));
        met.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        met.truncate(count.saturating_add(WIDTH + known.len()));
        open = met.iter().take(WIDTH).map(|m| m.1.clone()).collect();
    }
    met.into_iter().map(|m| m.1).filter(|p| !known.contains(p)).take(count).collect()
}

/// Points that are followed at once in a search for the largest means, and rounds of it.
const WIDTH: usize = 40;
const ROUNDS: usize = 30;
/// Points that are looked at in such a search.
const MOST_SEEN: usize = 40_000;
/// Neighbours of the largest means whose deviations a climb looks at.
const SCREENED: usize = 48;

/// Means and deviations of points, and means alone.
pub(crate) type Score<'a> = dyn Fn(&[u8]) -> Vec<(f64, f64)> + 'a;
pub(crate) type Means<'a> = dyn Fn(&[u8]) -> Vec<f64> + 'a;

/// All points that differ in one position, row after row.
fn neighbours(point: &[u8], levels: &[usize]) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, &a) in levels.iter().enumerate() {
        for code in (0..a as u8).filter(|&c| c != point[i]) {
            let mut other = point.to_vec();
            other[i] = code;
            out.extend(other);
        }
    }
    out
}

/// A generator of its own for each batch: its points do not depend on how many numbers were drawn for those before it.
pub(crate) fn generator(seed: u64, batch: usize) -> StreamRng {
    samplewise_linalg::random::Streams::new(seed).child(ASKED).stream(batch as u64)
}

/// Name of the streams of asked points.
const ASKED: u64 = 2;
