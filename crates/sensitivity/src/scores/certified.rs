//! Sensitivities with a certificate (row SEN-9).
//!
//! `s_i^{1/p} = max{a_iᵀx : ‖Ax‖_p ≤ 1} = min{‖y‖_q : Aᵀy = a_i}`, `1/p + 1/q = 1`: any `x` bounds `s_i` from below, any
//! feasible `y` from above. Newton's method for `min ‖Ax‖_p^p` subject to `a_iᵀx = 1` solves with `G = AᵀDA`,
//! `D = |Ax|^{p−2}`, and `y = D A G⁻¹a_i` is feasible for every positive `D`, so that every step yields both bounds. For
//! `p = 1` the norm has kinks: the same problem without the constraint, in the coordinates orthogonal to `a_i`, is an `ℓ1`
//! regression for the interior point method, whose dual point is the certificate.
use std::time::Instant;

use rayon::prelude::*;
use samplewise_linalg::argument::check_ranges;
use samplewise_linalg::leverage::{Whitening, whiten_observed};
use samplewise_linalg::observe::{Observer, Progress, Watch};
use samplewise_linalg::{Ending, LinalgError, Matrix, Rows, Seconds, factor, gram, sums};

use super::{Method, ScoreReport, Scores, at_most_one, from_leverage, lewis};
use crate::Error;
use crate::design::Design;
use crate::options::{CERTIFIED, CertifiedOptions, ScoreOptions};
use crate::power::Power;
use crate::power::check_exponent;
use crate::solve::interior_point;
use crate::verdict::certificate::{self, Candidate};

/// Certified sensitivities of some rows.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CertifiedScores {
    /// Lower bounds, in the order asked.
    pub lower: Vec<f64>,
    /// Upper bound of the sensitivity of each row.
    pub upper: Vec<f64>,
    /// The evidence: the ending is a limit when some row stopped before the gap was reached; its bounds hold all the same.
    pub report: ScoreReport,
}

impl CertifiedScores {
    /// Whether the bounds of every row are as close as was asked for.
    pub fn converged(&self) -> bool {
        self.report.ending == Ending::Finished
    }
}

/// The `ℓp` sensitivities of the given rows, each between bounds with `upper ≤ (1 + gap)·lower` (row SEN-9).
///
/// Cost about `10·n·d²` flops for each row asked whose bounds by Lewis weights are not close enough already. Bounds include
/// what rounding can do to them.
///
/// # Errors
/// [`Error::Argument`]; [`Error::Data`], also for a row number out of range.
pub fn certified_sensitivities<'a>(
    a: impl Into<Rows<'a>>,
    p: f64,
    rows: &[usize],
    options: &CertifiedOptions,
) -> Result<CertifiedScores, Error> {
    certified_sensitivities_observed(a, p, rows, options, &mut ())
}

/// [`certified_sensitivities`] with progress and cancellation; when stopped, the rows that were not reached have their bounds
/// by Lewis weights.
///
/// # Errors
/// As [`certified_sensitivities`]; [`Error::Interrupted`] when it was stopped before there were leverage scores.
pub fn certified_sensitivities_observed<'a>(
    a: impl Into<Rows<'a>>,
    p: f64,
    rows: &[usize],
    options: &CertifiedOptions,
    observer: &mut dyn Observer,
) -> Result<CertifiedScores, Error> {
    let (start, a) = (Instant::now(), a.into());
    check_exponent(p)?;
    check_ranges(options, &CERTIFIED)?;
    if let Some(&index) = rows.iter().find(|i| **i >= a.rows()) {
        return Err(LinalgError::IndexOutOfRange { argument: "rows", index, bound: a.rows() }.into());
    }
    let watch = &mut Watch::new(observer);
    let base = whiten_observed(a, None, watch)?;
    let leverage: Vec<f64> = base.norms_squared_observed(a, watch)?.into_iter().map(at_most_one).collect();
    let mut out = from_leverage(&leverage, p, &base);
    lewis::fill(&mut out, a, p, leverage, &base, &ScoreOptions::default(), watch)?;
    let mut found = certify(a, p, rows, &base, &out, options.gap, watch)?;
    found.report.seconds = Seconds::since(start);
    Ok(found)
}

/// Newton steps of a row, and rows between two looks at the observer.
const STEPS: usize = 60;
const BATCH: usize = 256;

pub(super) fn certify(
    a: Rows<'_>,
    p: f64,
    rows: &[usize],
    base: &Whitening,
    known: &Scores,
    gap: f64,
    watch: &mut Watch<'_>,
) -> Result<CertifiedScores, Error> {
    let mut out = CertifiedScores {
        lower: rows.iter().map(|&i| known.lower[i]).collect(),
        upper: rows.iter().map(|&i| known.upper[i]).collect(),
        report: ScoreReport {
            ending: Ending::Finished,
            route: Method::Sensitivity,
            iterations: 0,
            seconds: Seconds::default(),
            residual: 0.0,
        },
    };
    // Rows whose bounds are not close enough when it ends.
    let mut open = false;
    if base.rank == 0 {
        return Ok(out);
    }
    let white = match a.multiply_observed(&base.transform, watch) {
        Err(LinalgError::Interrupted) => {
            out.report.ending = Ending::Interrupted;
            return Ok(out);
        }
        white => white?,
    };
    let slack = rounding(&white, base.condition);
    for (b, part) in rows.chunks(BATCH).enumerate() {
        let step = b * BATCH;
        let progress = Progress { stage: "sensitivities", step, total: Some(rows.len()), value: None };
        if watch.stops(progress) {
            out.report.ending = Ending::Interrupted;
            return Ok(out);
        }
        let found: Vec<Result<Found, LinalgError>> = part
            .par_iter()
            .zip(&out.lower[step..])
            .zip(&out.upper[step..])
            .map(|((&i, &lower), &upper)| {
                let start = Found { lower, upper, steps: 0 };
                if upper <= (1.0 + gap) * lower {
                    Ok(start)
                } else if p == 1.0 {
                    Ok(by_interior_point(&white, i, start, gap, slack))
                } else {
                    by_newton(&white, i, p, start, gap, slack)
                }
            })
            .collect();
        for (k, f) in found.into_iter().enumerate() {
            let f = f?;
            (out.lower[step + k], out.upper[step + k]) = (f.lower, f.upper);
            out.report.iterations = out.report.iterations.max(f.steps);
            open |= f.upper.is_nan() || f.upper > (1.0 + gap) * f.lower;
        }
    }
    if open {
        out.report.ending = Ending::Limit;
    }
    Ok(out)
}

#[derive(Clone, Copy)]
struct Found {
    lower: f64,
    upper: f64,
    steps: usize,
}

impl Found {
    fn tighten(&mut self, lower: f64, upper: f64) {
        // Bounds that contradict each other by more than rounding prove nothing: those before stay.
        if upper < self.lower * (1.0 - 1e-9) || lower > self.upper * (1.0 + 1e-9) {
            return;
        }
        if lower.is_finite() {
            self.lower = self.lower.max(lower.min(1.0));
        }
        if upper.is_finite() {
            self.upper = self.upper.min(upper).max(self.lower);
        }
    }
}

/// What rounding may have done to a bound: sums of `n` terms in eight lanes, products of `d`, and the product with the
/// transform, whose rows are off by `ε·d` times the condition number.
fn rounding(white: &Matrix, condition: f64) -> f64 {
    let d = white.columns() as f64;
    1.0 + 4.0 * f64::EPSILON * (white.rows() as f64 / 8.0 + d * (16.0 + condition))
}

fn by_newton(white: &Matrix, i: usize, p: f64, mut found: Found, gap: f64, slack: f64) -> Result<Found, LinalgError> {
    let (n, d) = (white.rows(), white.columns());
    let row = white.row(i);
    let (power, weigh) = (Power::new(p), Power::new(p - 2.0));
    let q = p / (p - 1.0);
    let dual_power = Power::new(q);
    // x is scaled so that a_iᵀx = 1; `v = A x`.
    let squared = sums::dot(row, row);
    if squared == 0.0 {
        return Ok(Found { lower: 0.0, upper: 0.0, steps: 0 });
    }
    let mut x: Vec<f64> = row.iter().map(|a| a / squared).collect();
    let mut v = vec![0.0; n];
    white.multiply_vector_into(&x, &mut v);
    let norm = |v: &[f64], moved: &[f64], t: f64| -> f64 {
        sums::sum_by(n, |k| power.of((v[k] + t * (moved[k] - v[k])).abs()))
    };
    let mut image = vec![0.0; n];
    let mut value = norm(&v, &v, 0.0);
    while found.steps < STEPS {
        found.steps += 1;
        let top = v.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        let weights: Vec<f64> = v.iter().map(|v| weigh.of((v.abs() / top).max(1e-9))).collect();
        let g = gram::gram(white, Some(&weights), None)?.matrix;
        let trace: f64 = (0..d).map(|j| g[(j, j)]).sum();
        let mut z = row.to_vec();
        // Where hardly any row has weight, the bounds so far are what there is.
        let Ok(factor) = factor::Cholesky::new(&g, 1e-16 * trace) else { break };
        factor.solve_in_place(&mut z);
        white.multiply_vector_into(&z, &mut image);
        // Aᵀy = a_i up to rounding, which is measured: y/(1 − error) would be feasible for some x.
        let y: Vec<f64> = image.iter().zip(&weights).map(|(a, w)| a * w).collect();
        let mut missing = row.to_vec();
        let mut reached = vec![0.0; d];
        white.multiply_transpose_vector_into(&y, &mut reached);
        sums::axpy(-1.0, &reached, &mut missing);
        let largest = y.iter().fold(0.0_f64, |m, y| m.max(y.abs()));
        let sum = sums::sum_by(n, |k| dual_power.of(y[k].abs() / largest));
        let mut upper = largest * sum.powf(1.0 / q);
        // a_iᵀx = yᵀAx + missingᵀx, and ‖x‖₂ = ‖Ax‖₂ ≤ max(1, n^{1/2−1/p})·‖Ax‖_p.
        upper += sums::norm(&missing) * (n as f64).powf((0.5 - 1.0 / p).max(0.0));
        found.tighten(0.0, (upper * slack).powf(p));
        // The minimiser of the weighted problem, and the way of Newton's method towards it.
        let scale = 1.0 / sums::dot(row, &z);
        image.iter_mut().chain(&mut z).for_each(|m| *m *= scale);
        let mut t = 1.0 / (p - 1.0);
        let mut best = norm(&v, &image, t);
        while best > value && t > 1e-3 {
            t *= 0.5;
            best = norm(&v, &image, t);
        }
        let gained = best < value * (1.0 - 1e-14);
        if gained {
            // From the coefficients: what is added up over the steps would leave the span of the columns, and the constraint
            // drifts, so that the bound is taken for a_iᵀx as it is.
            x.iter_mut().zip(&z).for_each(|(x, z)| *x += t * (z - *x));
            white.multiply_vector_into(&x, &mut v);
            value = norm(&v, &v, 0.0);
        }
        found.tighten(power.of(v[i].abs()) / (value * slack * slack), f64::INFINITY);
        if found.upper <= (1.0 + gap) * found.lower || !gained {
            break;
        }
    }
    Ok(found)
}

fn by_interior_point(white: &Matrix, i: usize, mut found: Found, gap: f64, slack: f64) -> Found {
    let (n, d) = (white.rows(), white.columns());
    let row = white.row(i);
    let squared = sums::dot(row, row);
    if squared == 0.0 {
        return Found { lower: 0.0, upper: 0.0, steps: 0 };
    }
    // A reflection takes a_i to the first axis; the other coordinates are free.
    let norm = squared.sqrt();
    let mut mirror = row.to_vec();
    mirror[0] += if row[0] >= 0.0 { norm } else { -norm };
    let length = sums::dot(&mirror, &mirror);
    let sign = if row[0] >= 0.0 { -1.0 } else { 1.0 };
    let mut free = Matrix::zeros(n, d - 1);
    let mut target = vec![0.0; n];
    for (k, t) in target.iter_mut().enumerate() {
        let source = white.row(k);
        let factor = 2.0 * sums::dot(source, &mirror) / length;
        *t = -sign * (source[0] - factor * mirror[0]) / norm;
        let out = free.row_mut(k);
        out.iter_mut().zip(&source[1..]).zip(&mirror[1..]).for_each(|((o, s), m)| *o = s - factor * m);
    }
    if d == 1 {
        let total = sums::sum_by(n, |k| target[k].abs());
        found.tighten(1.0 / (total * slack), slack / total);
        return found;
    }
    let Ok(solved) = interior_point::solve(&free, &target, None, 0.5, 0.1 * gap, &mut ()) else { return found };
    found.steps = solved.iterations;
    let mut residual = vec![0.0; n];
    free.multiply_vector_into(&solved.x, &mut residual);
    residual.iter_mut().zip(&target).for_each(|(r, t)| *r = t - *r);
    let total = sums::sum_by(n, |k| residual[k].abs());
    found.tighten(residual[i].abs() / (total * slack), f64::INFINITY);
    let factor = f64::EPSILON * (d as f64 + 4.0);
    let largest: f64 = solved.x.iter().map(|x| x.abs()).sum();
    let rounding: Vec<f64> = (0..n).map(|k| factor * (target[k].abs() + largest * sums::norm(white.row(k)))).collect();
    let design = Design::whitened(free);
    let candidate = Candidate { design: &design, residual: &residual, rounding: &rounding };
    let bound = 2.0 * certificate::dual_bound(&candidate, &solved.dual, 0.5, &mut ());
    if bound > 0.0 {
        found.tighten(0.0, slack / bound);
    }
    found
}
