//! How far a coreset is from keeping `‖Ax‖_p^p` for every `x`: an adversary looks for the worst one (row SEN-15).
use std::time::Instant;

use rayon::prelude::*;
use samplewise_linalg::leverage::whiten_observed;
use samplewise_linalg::observe::{Observer, Progress, Watch};
use samplewise_linalg::random::{Streams, normal};
use samplewise_linalg::{Ending, LinalgError, Matrix, Rows, Seconds, factor, gram, sums};

use crate::options::DistortionOptions;
use crate::power::Power;
use crate::power::check_exponent;
use crate::{Coreset, Error};

/// The worst direction found.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Distortion {
    /// `max_x |‖SAx‖_p^p / ‖Ax‖_p^p − 1|` over the directions tried: a **lower bound** of the distortion, which is a
    /// maximum of a function with many local ones.
    pub at_least: f64,
    /// The direction, in the coordinates of the columns.
    pub direction: Vec<f64>,
    /// `‖SAx‖_p^p / ‖Ax‖_p^p` there.
    pub ratio: f64,
    /// The evidence: how the call went, and what its claims rest on.
    pub report: DistortionReport,
}

/// Evidence of a search for the worst direction.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DistortionReport {
    /// Whether all searches were done.
    pub ending: Ending,
    /// Number of searches done.
    pub searches: usize,
    /// Wall time of the call.
    pub seconds: Seconds,
}

impl Distortion {
    /// Whether all searches were done.
    pub fn converged(&self) -> bool {
        self.report.ending == Ending::Finished
    }
}

/// Searches for the worst direction of a coreset (row SEN-15): L-BFGS upwards and downwards on
/// `ln ‖SAx‖_p^p − ln ‖Ax‖_p^p` from the two extreme generalised eigenvectors, the directions of the three rows with the
/// largest and the smallest part in the sample, and random ones.
///
/// Cost `4·n·d` flops for each of `max_iterations` steps of each of about `2·(8 + random_starts)` searches. Same bits for every
/// thread count.
///
/// # Errors
/// [`Error::Argument`], [`Error::Data`]; [`Error::Size`] for an empty coreset.
pub fn distortion<'a>(
    a: impl Into<Rows<'a>>,
    coreset: &Coreset,
    p: f64,
    options: &DistortionOptions,
) -> Result<Distortion, Error> {
    distortion_observed(a, coreset, p, options, &mut ())
}

/// [`distortion`] with progress and cancellation; when stopped, the worst direction by then.
///
/// # Errors
/// As [`distortion`]; [`Error::Interrupted`] before there is a direction.
pub fn distortion_observed<'a>(
    a: impl Into<Rows<'a>>,
    coreset: &Coreset,
    p: f64,
    options: &DistortionOptions,
    observer: &mut dyn Observer,
) -> Result<Distortion, Error> {
    let (begin, a) = (Instant::now(), a.into());
    let report = |ending, searches| DistortionReport { ending, searches, seconds: Seconds::since(begin) };
    check_exponent(p)?;
    if coreset.rows.is_empty() {
        return Err(Error::Size { size: 0, least: 1, rows: a.rows() });
    }
    if let Some(&index) = coreset.rows.iter().find(|i| **i >= a.rows()) {
        return Err(LinalgError::IndexOutOfRange { argument: "coreset.rows", index, bound: a.rows() }.into());
    }
    let watch = &mut Watch::new(observer);
    let white = whiten_observed(a, None, watch)?;
    if white.rank == 0 {
        let direction = vec![0.0; a.columns()];
        let report = report(Ending::Finished, 0);
        return Ok(Distortion { at_least: 0.0, direction, ratio: 1.0, report });
    }
    let search = Search {
        rows: a.multiply_observed(&white.transform, watch)?,
        coreset,
        power: Power::new(p),
        slope: Power::new(p - 1.0),
        p,
    };
    let starts = search.starts(options)?;
    let mut best = (0.0_f64, 1.0, vec![0.0; white.rank]);
    let (mut ending, mut done) = (Ending::Finished, 0);
    for (k, start) in starts.iter().enumerate() {
        let progress = Progress { stage: "distortion", step: k, total: Some(starts.len()), value: Some(best.0) };
        if watch.stops(progress) {
            ending = Ending::Interrupted;
            break;
        }
        let found: Vec<(f64, Vec<f64>)> =
            [1.0, -1.0].par_iter().map(|&sign| search.climb(start.clone(), sign, options.max_iterations)).collect();
        done += 2;
        for (value, x) in found {
            let ratio = value.exp();
            if (ratio - 1.0).abs() > best.0 {
                best = ((ratio - 1.0).abs(), ratio, x);
            }
        }
    }
    let mut direction = vec![0.0; a.columns()];
    white.transform.multiply_vector_into(&best.2, &mut direction);
    Ok(Distortion { at_least: best.0, direction, ratio: best.1, report: report(ending, done) })
}

struct Search<'a> {
    /// The rows in a basis in which their Gram matrix is the identity.
    rows: Matrix,
    coreset: &'a Coreset,
    power: Power,
    slope: Power,
    p: f64,
}

impl Search<'_> {
    fn starts(&self, options: &DistortionOptions) -> Result<Vec<Vec<f64>>, LinalgError> {
        let d = self.rows.columns();
        let mut starts = Vec::new();
        // AᵀA is the identity here, so that the generalised eigenvectors are those of the sample's Gram matrix.
        let sampled = self.rows.select_rows(&self.coreset.rows);
        let g = gram::gram(&sampled, Some(&self.coreset.weights), None)?.matrix;
        let (_, vectors) = factor::symmetric_eigen(&g)?;
        for j in [0, d - 1, d / 2] {
            starts.push(vectors.copy_column(j));
        }
        let mut weights = vec![0.0; self.rows.rows()];
        self.coreset.rows.iter().zip(&self.coreset.weights).for_each(|(&i, w)| weights[i] = *w);
        let mut order: Vec<(f64, usize)> = (0..self.rows.rows())
            .map(|i| ((weights[i] - 1.0) * sums::dot(self.rows.row(i), self.rows.row(i)).powf(self.p / 2.0), i))
            .collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let ends = order.iter().take(3).chain(order.iter().rev().take(3));
        starts.extend(ends.map(|e| self.rows.row(e.1).to_vec()).filter(|x| x.iter().any(|v| *v != 0.0)));
        let streams = Streams::new(options.seed);
        for k in 0..options.random_starts {
            let mut rng = streams.stream(k as u64);
            starts.push((0..d).map(|_| normal(&mut rng)).collect());
        }
        Ok(starts)
    }

    /// `ln ‖SAx‖_p^p − ln ‖Ax‖_p^p` and its gradient.
    fn value(&self, x: &[f64], gradient: &mut [f64]) -> f64 {
        let mut image = vec![0.0; self.rows.rows()];
        self.rows.multiply_vector_into(x, &mut image);
        let whole = sums::sum_by(image.len(), |i| self.power.of(image[i].abs()));
        let Coreset { rows, weights, .. } = self.coreset;
        let part = sums::sum_by(rows.len(), |k| weights[k] * self.power.of(image[rows[k]].abs()));
        let slope = |v: f64| self.p * self.slope.of(v.abs()) * v.signum();
        let mut pull: Vec<f64> = image.iter().map(|&v| -slope(v) / whole).collect();
        for (&i, w) in rows.iter().zip(weights) {
            pull[i] += w * slope(image[i]) / part.max(f64::MIN_POSITIVE);
        }
        self.rows.multiply_transpose_vector_into(&pull, gradient);
        part.max(f64::MIN_POSITIVE).ln() - whole.ln()
    }

    /// L-BFGS with backtracking; the value is scale free, so that `x` is kept at unit length.
    fn climb(&self, mut x: Vec<f64>, sign: f64, steps: usize) -> (f64, Vec<f64>) {
        const MEMORY: usize = 8;
        let d = x.len();
        let normalise = |x: &mut [f64]| {
            let norm = sums::norm(x);
            x.iter_mut().for_each(|v| *v /= norm);
        };
        normalise(&mut x);
        let mut gradient = vec![0.0; d];
        let mut value = sign * self.value(&x, &mut gradient);
        gradient.iter_mut().for_each(|g| *g *= sign);
        let mut pairs: Vec<(Vec<f64>, Vec<f64>, f64)> = Vec::new();
        let mut length = 0.1 / sums::norm(&gradient).max(1e-300);
        for _ in 0..steps {
            // Two-loop recursion for the ascent direction.
            let mut direction = gradient.clone();
            let mut alphas = Vec::with_capacity(pairs.len());
            for (s, y, rho) in pairs.iter().rev() {
                let alpha = rho * sums::dot(s, &direction);
                sums::axpy(-alpha, y, &mut direction);
                alphas.push(alpha);
            }
            if let Some((s, y, _)) = pairs.last() {
                let scale = sums::dot(s, y) / sums::dot(y, y);
                direction.iter_mut().for_each(|v| *v *= scale);
            }
            for ((s, y, rho), alpha) in pairs.iter().zip(alphas.iter().rev()) {
                let beta = rho * sums::dot(y, &direction);
                sums::axpy(alpha - beta, s, &mut direction);
            }
            if pairs.is_empty() {
                direction.iter_mut().for_each(|v| *v *= length);
            }
            let mut rise = sums::dot(&direction, &gradient);
            if rise.is_nan() || rise <= 0.0 {
                pairs.clear();
                direction.clone_from(&gradient);
                direction.iter_mut().for_each(|v| *v *= length);
                rise = sums::dot(&direction, &gradient);
            }
            let mut t = 1.0;
            let mut next = (f64::NEG_INFINITY, x.clone(), vec![0.0; d]);
            while t > 1e-6 {
                let mut moved: Vec<f64> = x.iter().zip(&direction).map(|(x, d)| x + t * d).collect();
                normalise(&mut moved);
                let found = sign * self.value(&moved, &mut next.2);
                if found > value + 1e-4 * t * rise {
                    (next.0, next.1) = (found, moved);
                    break;
                }
                t *= 0.3;
            }
            if next.0 <= value + 1e-9 {
                if next.0 > value {
                    (value, x) = (next.0, next.1);
                }
                break;
            }
            next.2.iter_mut().for_each(|g| *g *= sign);
            let s: Vec<f64> = next.1.iter().zip(&x).map(|(a, b)| a - b).collect();
            // Of the descent problem: minus the gradients.
            let y: Vec<f64> = gradient.iter().zip(&next.2).map(|(old, new)| old - new).collect();
            let curvature = sums::dot(&s, &y);
            if curvature > 1e-12 * sums::norm(&s) * sums::norm(&y) {
                if pairs.len() == MEMORY {
                    pairs.remove(0);
                }
                pairs.push((s, y, 1.0 / curvature));
            }
            length = 0.1 / sums::norm(&next.2).max(1e-300);
            (value, x, gradient) = next;
        }
        (sign * value, x)
    }
}
