//! Lewis weights: the fixed point `w_i = τ_i(W^{1/2−1/p} A)` (row SEN-2).
//!
//! One step is one pass over the rows: the quadratic forms `q_i = a_iᵀ(AᵀW^{1−2/p}A)⁻¹a_i` of the weights so far, and in the
//! same pass the Gram matrix with the next weights. In logarithms the map `w ↦ q^{p/2}` multiplies errors by
//! `(1 − p/2)·M`, where the rows of `M` are non-negative and sum to one, so that its eigenvalues lie between zero and one.
//! The largest belongs to a common factor, which scaling the sum of the weights to the rank removes; but rare categories
//! are nearly blocks of their own, each with an eigenvalue near one, and most others are near zero. A step of the share
//! `4/(2 + p)` (beyond the map for `p < 2`, short of it above) contracts both ends by `|p − 2|/(p + 2)`: to a third for
//! `p = 1` and `p = 4`, where the plain map halves errors or oscillates.
use samplewise_linalg::leverage::{Whitening, factor_gram, reweigh, row_norms_squared, whiten_given_gram};
use samplewise_linalg::observe::{Observer, Progress};
use samplewise_linalg::{LinalgError, Matrix, Rows};

use super::{ScoreOptions, Scores};
use crate::design::Design;
use crate::power::Power;

/// Lewis weights, and the bounds they give (row SEN-3): for any positive `w`, converged or not, with `Q = AᵀW^{1−2/p}A`,
/// `f_i = (a_iᵀQ⁻¹a_i)^{p/2}`, `W = Σ w` and `c = max_j (f_j/w_j)^{2/p}`,
/// `f_i / W^{1−p/2} ≤ s_i ≤ f_i c^{(2−p)/2}` for `p ≤ 2` and `f_i / c^{(p−2)/2} ≤ s_i ≤ f_i W^{p/2−1}` for `p ≥ 2`.
pub(super) fn fill(
    out: &mut Scores,
    a: Rows<'_>,
    p: f64,
    leverage: Vec<f64>,
    base: &Whitening,
    options: &ScoreOptions,
    observer: &mut dyn Observer,
) -> Result<(), LinalgError> {
    if p == 2.0 || base.rank == 0 {
        out.values = leverage;
        return Ok(());
    }
    let design = Design::new(a, base)?;
    let lewis = iterate(design.rows(), p, &leverage, base.rank, options, observer)?;
    let lost = lewis.rank < base.rank;
    (out.residual, out.steps, out.converged) = (lewis.residual, lewis.steps, lewis.converged && !lost);
    if lost {
        // The forms are those of a subspace and say nothing of rows outside: the bounds stay those of leverage scores.
        out.values = lewis.weights.into_iter().map(super::at_most_one).collect();
        return Ok(());
    }
    let total: f64 = lewis.before.iter().sum();
    let power = total.max(f64::MIN_POSITIVE).powf((p / 2.0 - 1.0).abs());
    let ratios = lewis.forms.iter().zip(&lewis.before).filter(|e| *e.1 > 0.0).map(|(f, w)| f / w);
    let spread = ratios.fold(0.0, f64::max).powf((p - 2.0).abs() / p).max(1.0);
    let slack = super::slack(lewis.condition.max(base.condition), p);
    for (i, &f) in lewis.forms.iter().enumerate() {
        let (low, high) = if p <= 2.0 { (f / power, f * spread) } else { (f / spread, f * power) };
        out.lower[i] = out.lower[i].max(low / slack).min(1.0);
        out.upper[i] = out.upper[i].min(high * slack).min(1.0).max(out.lower[i]);
    }
    out.values = lewis.weights.into_iter().map(super::at_most_one).collect();
    Ok(())
}

struct Lewis {
    weights: Vec<f64>,
    /// `(a_iᵀQ⁻¹a_i)^{p/2}` for the weights before the last step, and those weights.
    forms: Vec<f64>,
    before: Vec<f64>,
    residual: f64,
    steps: usize,
    converged: bool,
    /// Rank and condition of the rows as last weighted.
    rank: usize,
    condition: f64,
}

fn iterate(
    rows: Rows<'_>,
    p: f64,
    leverage: &[f64],
    rank: usize,
    options: &ScoreOptions,
    observer: &mut dyn Observer,
) -> Result<Lewis, LinalgError> {
    let (raise, root) = (Power::new(p / 2.0), Power::new(1.0 - 2.0 / p));
    // A row of zeros has weight zero, and must not be raised to a negative power.
    let diagonal = |w: f64| if w > 0.0 { root.of(w) } else { 0.0 };
    let share = 4.0 / (2.0 + p);
    // The first step is free for p < 2: its quadratic forms are the leverage scores.
    // Beyond p = 2 it would take light rows out of the numerical range; the leverage scores themselves are the start there.
    let mut w: Vec<f64> = leverage.iter().map(|&t| if p < 2.0 { raise.of(t) } else { t }).collect();
    normalise(&mut w, rank);
    let mut gram =
        samplewise_linalg::gram::gram(rows, Some(&w.iter().map(|&w| diagonal(w)).collect::<Vec<_>>()), None)?.matrix;
    let (mut steps, mut residual) = (0, f64::INFINITY);
    // What a step does to the residual: what theory says of the last ones, or worse if it was seen.
    let mut contraction = (p - 2.0).abs() / (p + 2.0);
    loop {
        let whitening = transform(rows, &gram, &w, &diagonal)?;
        let transform = &whitening.transform;
        steps += 1;
        let step = |w: f64, q: f64| {
            let target = raise.of(q.max(0.0));
            // Beyond p = 2 the map may be off by orders of magnitude, and the step is one of logarithms; below, a straight
            // one is as good and costs no power.
            if p > 2.0 && w > 0.0 {
                w * (target / w).powf(share)
            } else {
                (w + share * (target - w)).max(0.25 * target)
            }
        };
        // The last pass needs no Gram matrix; which one it is can be foreseen.
        let last = steps == options.lewis_steps || residual * contraction * contraction < 0.7 * options.lewis_tolerance;
        let (q, next) = if last {
            (row_norms_squared(rows, transform), None)
        } else {
            let (q, gram) = reweigh(rows, transform, &|i, q| diagonal(step(w[i], q)))?;
            (q, Some(gram))
        };
        let forms: Vec<f64> = q.iter().map(|&q| raise.of(q.max(0.0))).collect();
        let scale = rank as f64 / forms.iter().sum::<f64>();
        // Ratios of the map to the weights, above and below one.
        let ratios = forms.iter().zip(&w).filter(|e| *e.1 > 0.0).map(|(f, w)| scale * f / w);
        let (low, high) = ratios.fold((1.0_f64, 1.0_f64), |(low, high), r| (low.min(r), high.max(r)));
        let found = (high - 1.0).max(1.0 / low - 1.0);
        contraction = contraction.max((found / residual).min(1.0));
        residual = found;
        // Of the weights after the step that is taken now.
        let converged = residual * contraction <= options.lewis_tolerance;
        let progress = Progress { stage: "Lewis weights", step: steps, total: None, value: Some(residual) };
        let stopped = observer.step(progress).is_break();
        let mut new: Vec<f64> = w.iter().zip(&q).map(|(&w, &q)| step(w, q)).collect();
        let factor = normalise(&mut new, rank);
        let Whitening { rank: found_rank, condition, .. } = whitening;
        if converged || steps == options.lewis_steps || stopped || found_rank < rank {
            return Ok(Lewis {
                weights: new,
                forms,
                before: w,
                residual,
                steps,
                converged,
                rank: found_rank,
                condition,
            });
        }
        gram = if let Some(mut gram) = next {
            let c = diagonal(factor);
            gram.as_mut_slice().iter_mut().for_each(|g| *g *= c);
            gram
        } else {
            let diagonal: Vec<f64> = new.iter().map(|&w| diagonal(w)).collect();
            samplewise_linalg::gram::gram(rows, Some(&diagonal), None)?.matrix
        };
        w = new;
    }
}

/// The transform of the weighted rows; by preconditioning where the Gram matrix is not enough.
fn transform(
    rows: Rows<'_>,
    gram: &Matrix,
    w: &[f64],
    diagonal: &dyn Fn(f64) -> f64,
) -> Result<Whitening, LinalgError> {
    if let Ok(factor) = factor_gram(gram)
        && factor.dropped() == 0
        && factor.whitening.condition <= 1e5
    {
        return Ok(factor.whitening);
    }
    let weights: Vec<f64> = w.iter().map(|&w| diagonal(w)).collect();
    whiten_given_gram(rows, Some(&weights), gram)
}

/// Scales the sum to the rank; the factor is returned.
fn normalise(w: &mut [f64], rank: usize) -> f64 {
    let factor = rank as f64 / w.iter().sum::<f64>();
    w.iter_mut().for_each(|w| *w *= factor);
    factor
}
