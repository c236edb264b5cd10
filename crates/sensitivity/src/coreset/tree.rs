//! Systematic sampling along a tree of principal directions (row SEN-12).
//!
//! Rows are whitened and divided by `q_i^{1/p}`, so that two rows with the same direction contribute the same to the sample;
//! signs are chosen so that all lie on one side of the first principal direction, since `|a_iᵀx|` has none. Each node is
//! split at the median of the projection on its principal direction. Along the leaves a systematic sample takes the rows at
//! which the running sum of `q` passes `u, u + 1, u + 2, …`: every subtree gets its share of rows within one.
use rayon::prelude::*;
use samplewise_linalg::Rows;
use samplewise_linalg::leverage::whiten_observed;
use samplewise_linalg::observe::{Progress, Watch};
use samplewise_linalg::random::Streams;

use super::{Coreset, check, probability_scale};
use crate::Error;
use crate::power::check_exponent;

/// Expected rows of the sample below which a node is a leaf.
const LEAF: f64 = 0.25;
/// Rows that a principal direction is estimated from.
const PROBED: usize = 256;
/// Steps of its power iteration.
const POWER_STEPS: usize = 6;
/// Rows of nodes between two looks at the observer, for each thread.
const LOOK: usize = 1 << 16;

/// Row SEN-12 of `paper-refs.md`.
pub(super) fn sample(
    a: Rows<'_>,
    scores: &[f64],
    p: f64,
    size: usize,
    seed: u64,
    watch: &mut Watch<'_>,
) -> Result<Coreset, Error> {
    check_exponent(p)?;
    check(scores, size)?;
    let alpha = probability_scale(scores, size as f64);
    let q: Vec<f64> = scores.iter().map(|s| (alpha * s).min(1.0)).collect();
    let uncertain: Vec<u32> = (0..q.len()).filter(|&i| q[i] > 0.0 && q[i] < 1.0).map(|i| i as u32).collect();
    let mut rows: Vec<usize> = (0..q.len()).filter(|&i| q[i] >= 1.0).collect();
    if !uncertain.is_empty() {
        let points = directions(a, &q, p, &uncertain, watch)?;
        let mut order: Vec<u32> = (0..uncertain.len() as u32).collect();
        let mass: Vec<f64> = uncertain.iter().map(|&i| q[i as usize]).collect();
        split(&points, &mass, &mut order, watch)?;
        let mut threshold = Streams::new(seed).uniform(0);
        let mut sum = 0.0;
        for k in order {
            sum += mass[k as usize];
            if sum > threshold {
                rows.push(uncertain[k as usize] as usize);
                threshold += 1.0;
            }
        }
    }
    rows.sort_unstable();
    let weights = rows.iter().map(|&i| 1.0 / q[i]).collect();
    Ok(Coreset { rows, weights, expected_size: q.iter().sum() })
}

/// Rows as points: `f32`, since they only choose an order.
struct Points {
    d: usize,
    values: Vec<f32>,
}

impl Points {
    fn row(&self, k: u32) -> &[f32] {
        &self.values[k as usize * self.d..][..self.d]
    }
}

fn directions(a: Rows<'_>, q: &[f64], p: f64, rows: &[u32], watch: &mut Watch<'_>) -> Result<Points, Error> {
    let transform = whiten_observed(a, None, watch)?.transform;
    let d = transform.columns();
    let mut points = Points { d: d.max(1), values: vec![0.0; rows.len() * d.max(1)] };
    if d == 0 {
        return Ok(points);
    }
    const PART: usize = 1024;
    let fill = |(out, rows): (&mut [f32], &[u32])| {
        let numbers: Vec<usize> = rows.iter().map(|&i| i as usize).collect();
        let product = a.select_rows(&numbers).multiply(&transform)?;
        for ((out, row), &i) in out.chunks_exact_mut(d).zip(product.as_slice().chunks_exact(d)).zip(rows) {
            let scale = q[i as usize].powf(-1.0 / p);
            out.iter_mut().zip(row).for_each(|(o, v)| *o = (scale * v) as f32);
        }
        Ok::<_, Error>(())
    };
    let together = (LOOK / (d / 32).max(1)).max(PART) * rayon::current_num_threads();
    for (k, (out, some)) in points.values.chunks_mut(together * d).zip(rows.chunks(together)).enumerate() {
        out.par_chunks_mut(PART * d).zip(some.par_chunks(PART)).try_for_each(fill)?;
        let (step, total) = (k * together + some.len(), Some(rows.len()));
        if watch.ticks(|| Progress { stage: "directions", step, total, value: None }) {
            return Err(Error::Interrupted);
        }
    }
    let order: Vec<u32> = (0..rows.len() as u32).collect();
    let direction = principal_direction(&points, &order, false);
    points.values.par_chunks_mut(d).for_each(|row| {
        if dot(row, &direction) < 0.0 {
            row.iter_mut().for_each(|v| *v = -*v);
        }
    });
    Ok(points)
}

/// Orders the rows by the leaves of the tree, level by level.
fn split(points: &Points, mass: &[f64], order: &mut [u32], watch: &mut Watch<'_>) -> Result<(), Error> {
    let together = LOOK * rayon::current_num_threads();
    let mut nodes: Vec<&mut [u32]> = vec![order];
    for level in 0.. {
        let mut next = Vec::new();
        while !nodes.is_empty() {
            // So many nodes at a time that they have about as many rows as fit between two looks, and no fewer than one.
            let mut before = 0;
            let fits = |node: &&&mut [u32]| {
                before += node.len();
                before - node.len() < together
            };
            let many = nodes.iter().take_while(fits).count();
            let part: Vec<&mut [u32]> = nodes.drain(..many).collect();
            let halves: Vec<[&mut [u32]; 2]> =
                part.into_par_iter().with_min_len(8).filter_map(|node| halve(points, mass, node)).collect();
            next.extend(halves.into_iter().flatten());
            let value = Some(next.len() as f64);
            if watch.ticks(|| Progress { stage: "tree", step: level, total: None, value }) {
                return Err(Error::Interrupted);
            }
        }
        if next.is_empty() {
            return Ok(());
        }
        nodes = next;
    }
    unreachable!("levels end with the leaves")
}

/// The two halves of a node along its principal direction, or none of a leaf.
fn halve<'o>(points: &Points, mass: &[f64], order: &'o mut [u32]) -> Option<[&'o mut [u32]; 2]> {
    let total: f64 = order.iter().map(|&k| mass[k as usize]).sum();
    if order.len() < 2 || total <= LEAF {
        return None;
    }
    let direction = principal_direction(points, order, true);
    let mut keyed: Vec<(f32, u32)> = order.iter().map(|&k| (dot(points.row(k), &direction), k)).collect();
    let middle = keyed.len() / 2;
    keyed.select_nth_unstable_by(middle, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    // The order inside a half is left to the levels below, which start from ascending numbers.
    keyed[..middle].sort_unstable_by_key(|e| e.1);
    keyed[middle..].sort_unstable_by_key(|e| e.1);
    order.iter_mut().zip(&keyed).for_each(|(o, k)| *o = k.1);
    let (left, right) = order.split_at_mut(middle);
    Some([left, right])
}

/// By power iteration on some of the rows, with or without their mean removed.
fn principal_direction(points: &Points, order: &[u32], centred: bool) -> Vec<f32> {
    let d = points.d;
    let step = order.len().div_ceil(PROBED);
    let probed: Vec<u32> = order.iter().step_by(step).copied().collect();
    let mut mean = vec![0.0_f32; d];
    if centred {
        for &k in &probed {
            mean.iter_mut().zip(points.row(k)).for_each(|(m, v)| *m += v);
        }
        mean.iter_mut().for_each(|m| *m /= probed.len() as f32);
    }
    let rows: Vec<f32> = probed.iter().flat_map(|&k| points.row(k).iter().zip(&mean).map(|(v, m)| v - m)).collect();
    // The start is the row farthest from the mean.
    let squared = |row: &&[f32]| dot(row, row);
    let mut x = rows.chunks_exact(d).max_by(|a, b| squared(a).total_cmp(&squared(b))).unwrap_or(&mean).to_vec();
    for _ in 0..POWER_STEPS {
        let norm = dot(&x, &x).sqrt();
        if norm == 0.0 || !norm.is_finite() {
            break;
        }
        let mut next = vec![0.0; d];
        for row in rows.chunks_exact(d) {
            let c = dot(row, &x) / norm;
            next.iter_mut().zip(row).for_each(|(n, r)| *n += c * r);
        }
        x = next;
    }
    x
}

/// In eight lanes.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0; 8];
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    for (a, b) in a8.iter().zip(b8) {
        for l in 0..8 {
            lanes[l] += a[l] * b[l];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + rest
}

/// All rows with their whitening, as a test sees them.
#[cfg(test)]
mod tests {
    use super::*;
    use samplewise_linalg::Matrix;
    use samplewise_testkit::generate::random_matrix;

    /// SEN-12: each row is kept with its probability, the size is within one of that asked, and any number of threads
    /// draws the same rows.
    #[test]
    fn marginals_are_exact_and_the_size_is_fixed() {
        let a: Matrix = random_matrix(300, 3, 5);
        let scores: Vec<f64> = (0..300).map(|i| if i == 7 { 50.0 } else { 1.0 + f64::from(i % 5) }).collect();
        let mut counts = vec![0_u32; 300];
        for seed in 0..4000 {
            let c = sample((&a).into(), &scores, 1.0, 40, seed, &mut Watch::new(&mut ())).unwrap();
            assert!((39..=41).contains(&c.rows.len()), "{}", c.rows.len());
            c.rows.iter().for_each(|&i| counts[i] += 1);
        }
        assert_eq!(counts[7], 4000);
        let alpha = probability_scale(&scores, 40.0);
        for (i, &c) in counts.iter().enumerate() {
            let q = (alpha * scores[i]).min(1.0);
            // Six standard deviations: false alarm below 1e-6 for 300 rows.
            assert!((f64::from(c) / 4000.0 - q).abs() < 6.0 * (q * (1.0 - q) / 4000.0).sqrt() + 1e-12, "row {i}");
        }
    }
}
