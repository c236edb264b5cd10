//! Lewis weights: the fixed point `w_i = τ_i(W^{1/2−1/p} A)` (row SEN-2).
//!
//! One step is one pass over the rows: the quadratic forms `q_i = a_iᵀ(AᵀW^{1−2/p}A)⁻¹a_i` of the weights so far, and in the
//! same pass the Gram matrix with the next weights. In logarithms the map `w ↦ q^{p/2}` multiplies errors by
//! `(1 − p/2)·M`, where the rows of `M` are non-negative and sum to one, so that its eigenvalues lie between zero and one.
//! The largest belongs to a common factor, which scaling the sum of the weights to the rank removes; but rare categories
//! are nearly blocks of their own, each with an eigenvalue near one, and most others are near zero. A step of the share
//! `4/(2 + p)` (beyond the map for `p < 2`, short of it above) contracts both ends by `|p − 2|/(p + 2)`: to a third for
//! `p = 1` and `p = 4`, where the plain map halves errors or oscillates.
//!
//! Dense tables of many rows start from the fixed point of a weighted sample of theirs, which is off by its sampling error,
//! about `p·√(rank/size)`, wherever the first weights of all rows would have been. `cargo bench --bench sensitivity --
//! lewis` counts the passes.
use samplewise_linalg::gram::gram_observed;
use samplewise_linalg::leverage::{
    Whitening, factor_gram, reweigh_observed, row_norms_squared_observed, whiten_given_gram_observed, whiten_observed,
};
use samplewise_linalg::observe::{Observer, Progress, Watch};
use samplewise_linalg::{Ending, LinalgError, Matrix, Rows};

use super::{Scores, at_most_one};
use crate::coreset::thin;
use crate::design::Design;
use crate::options::ScoreOptions;
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
    let design = match Design::new(a, base, observer) {
        Err(LinalgError::Interrupted) => {
            (out.values, out.report.ending, out.report.residual) = (leverage, Ending::Interrupted, f64::INFINITY);
            return Ok(());
        }
        design => design?,
    };
    let lewis = match iterate(design.rows(), p, &leverage, base.rank, options, "Lewis weights", observer) {
        // Stopped within the first pass: what leverage scores say holds.
        Err(LinalgError::Interrupted) => {
            (out.values, out.report.ending, out.report.residual) = (leverage, Ending::Interrupted, f64::INFINITY);
            return Ok(());
        }
        lewis => lewis?,
    };
    let lost = lewis.rank < base.rank;
    (out.report.residual, out.report.iterations) = (lewis.residual, lewis.steps);
    out.report.ending = match (lewis.converged && !lost, lewis.stopped) {
        (true, _) => Ending::Finished,
        (false, true) => Ending::Interrupted,
        (false, false) => Ending::Limit,
    };
    if lost {
        // The forms are those of a subspace and say nothing of rows outside: the bounds stay those of leverage scores.
        out.values = lewis.weights.into_iter().map(at_most_one).collect();
        return Ok(());
    }
    let total: f64 = lewis.before.iter().sum();
    let power = total.max(f64::MIN_POSITIVE).powf((p / 2.0 - 1.0).abs());
    let ratios = lewis.forms.iter().zip(&lewis.before).filter(|e| *e.1 > 0.0).map(|(f, w)| f / w);
    let spread = ratios.fold(0.0, f64::max).powf((p - 2.0).abs() / p).max(1.0);
    let slack = super::slack(lewis.condition.max(base.condition), p);
    let (low, high) = if p <= 2.0 { (1.0 / power, spread) } else { (1.0 / spread, power) };
    let (low, high) = (low / slack, high * slack);
    for ((f, lower), upper) in lewis.forms.iter().zip(&mut out.lower).zip(&mut out.upper) {
        *lower = at_most_one(lower.max(low * f));
        *upper = upper.min(high * f).max(*lower);
    }
    out.values = lewis.weights.into_iter().map(at_most_one).collect();
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
    stopped: bool,
    /// Rank and condition of the rows as last weighted.
    rank: usize,
    condition: f64,
}

/// Rows SEN-2 and SEN-3 of `paper-refs.md`.
fn iterate(
    rows: Rows<'_>,
    p: f64,
    leverage: &[f64],
    rank: usize,
    options: &ScoreOptions,
    stage: &'static str,
    observer: &mut dyn Observer,
) -> Result<Lewis, LinalgError> {
    let map = Map::new(p);
    let (mut steps, mut residual) = (0, f64::INFINITY);
    // What a step does to the residual: what theory says of the last ones, or worse if it was seen.
    let mut contraction = (p - 2.0).abs() / (p + 2.0);
    // Beyond p = 2 the first step would take light rows out of the numerical range; the leverage scores are the start there.
    let mut w = leverage.to_vec();
    let mut watch = Watch::new(observer);
    // A start like another: where it fails, there is the usual one.
    let sample = of_sample(rows, p, leverage, rank, options, &mut watch).unwrap_or(None).filter(|_| !watch.stopped());
    let limit = if watch.stopped() { 1 } else { options.max_iterations };
    if let Some(sample) = &sample {
        residual = sample.residual / contraction;
    }
    let transform_of_sample = sample.and_then(|s| s.transform);
    steps += usize::from(transform_of_sample.is_some());
    let mut gram = first_gram(rows, transform_of_sample.as_ref(), &mut w, rank, map, &mut watch)?;
    // What the step before found, for a pass that is stopped within.
    let mut before: Option<Lewis> = None;
    loop {
        // The last pass needs no Gram matrix; which one it is can be foreseen.
        let last = steps + 1 == limit || residual * contraction * contraction < 0.7 * options.tolerance;
        let mut pass = || {
            let whitening = transform(rows, &gram, &w, map, &mut watch)?;
            if last {
                let q = row_norms_squared_observed(rows, &whitening.transform, &mut watch)?;
                return Ok((whitening, q, None));
            }
            let weigh = |first: usize, q: &[f64], out: &mut [f64]| {
                map.step(&w[first..first + q.len()], q, out);
                map.diagonal(out);
            };
            let (q, gram) = reweigh_observed(rows, &whitening.transform, &weigh, &mut watch)?;
            Ok((whitening, q, Some(gram)))
        };
        let (whitening, q, next) = match (pass(), before.take()) {
            (Err(LinalgError::Interrupted), Some(before)) => return Ok(Lewis { stopped: true, ..before }),
            (found, _) => found?,
        };
        steps += 1;
        let mut forms = vec![0.0; q.len()];
        map.fixed(&q, &mut forms);
        let to_rank = rank as f64 / forms.iter().sum::<f64>();
        // Ratios of the map to the weights, above and below one.
        let ratios = forms.iter().zip(&w).filter(|e| *e.1 > 0.0).map(|(f, w)| to_rank * f / w);
        let (low, high) = ratios.fold((1.0_f64, 1.0_f64), |(low, high), r| (low.min(r), high.max(r)));
        let found = (high - 1.0).max(1.0 / low - 1.0);
        contraction = contraction.max((found / residual).min(1.0));
        residual = found;
        // Of the weights after the step that is taken now.
        let converged = residual * contraction <= options.tolerance;
        let progress = Progress { stage, step: steps, total: None, value: Some(residual) };
        let stopped = watch.stops(progress);
        let mut new = vec![0.0; w.len()];
        map.step(&w, &q, &mut new);
        let factor = normalise(&mut new, rank);
        let Whitening { rank: found_rank, condition, .. } = whitening;
        let found =
            Lewis { weights: new, forms, before: w, residual, steps, converged, stopped, rank: found_rank, condition };
        if converged || steps == limit || stopped || found_rank < rank {
            return Ok(found);
        }
        gram = match gram_of_next(next, rows, &found.weights, map, factor, &mut watch) {
            Err(LinalgError::Interrupted) => return Ok(Lewis { stopped: true, ..found }),
            gram => gram?,
        };
        let next = found.weights.clone();
        before = Some(found);
        w = next;
    }
}

/// The Gram matrix with the first weights: what the fixed point of a sample makes of all rows, or a step from equal ones.
fn first_gram(
    rows: Rows<'_>,
    of_sample: Option<&Matrix>,
    w: &mut [f64],
    rank: usize,
    map: Map,
    watch: &mut Watch<'_>,
) -> Result<Matrix, LinalgError> {
    if let Some(transform) = of_sample {
        let from_sample = |_: usize, q: &[f64], out: &mut [f64]| {
            map.fixed(q, out);
            map.diagonal(out);
        };
        let (q, gram) = reweigh_observed(rows, transform, &from_sample, watch)?;
        map.fixed(&q, w);
        return Ok(scale(gram, map.factor(normalise(w, rank))));
    }
    // A step from equal weights is free for p < 2: its quadratic forms are the leverage scores.
    if map.p < 2.0 {
        map.raise.raise(w);
    }
    normalise(w, rank);
    let mut diagonal = w.to_vec();
    map.diagonal(&mut diagonal);
    Ok(gram_observed(rows, Some(&diagonal), None, watch)?.matrix)
}

/// The Gram matrix with the next weights: of the pass that found them, but for a factor, or of a pass of its own.
fn gram_of_next(
    found: Option<Matrix>,
    rows: Rows<'_>,
    weights: &[f64],
    map: Map,
    factor: f64,
    watch: &mut Watch<'_>,
) -> Result<Matrix, LinalgError> {
    if let Some(gram) = found {
        return Ok(scale(gram, map.factor(factor)));
    }
    let mut diagonal = weights.to_vec();
    map.diagonal(&mut diagonal);
    Ok(gram_observed(rows, Some(&diagonal), None, watch)?.matrix)
}

/// The map whose fixed point Lewis weights are, and steps towards it, for many rows at once.
#[derive(Clone, Copy)]
struct Map {
    p: f64,
    /// To `p/2`.
    raise: Power,
    /// To `1 − 2/p`.
    root: Power,
    share: f64,
}

impl Map {
    fn new(p: f64) -> Self {
        Self { raise: Power::new(p / 2.0), root: Power::new(1.0 - 2.0 / p), share: 4.0 / (2.0 + p), p }
    }

    /// `q^{p/2}`.
    fn fixed(self, q: &[f64], out: &mut [f64]) {
        out.iter_mut().zip(q).for_each(|(out, q)| *out = q.max(0.0));
        self.raise.raise(out);
    }

    /// The weights after a step from `w`.
    fn step(self, w: &[f64], q: &[f64], out: &mut [f64]) {
        self.fixed(q, out);
        if self.p > 2.0 {
            // Beyond p = 2 the map may be off by orders of magnitude, and the step is one of logarithms.
            let power = Power::new(self.share);
            out.iter_mut().zip(w).filter(|e| *e.1 > 0.0).for_each(|(out, w)| *out = w * power.of(*out / w));
        } else {
            // Below, a straight one is as good and costs no power.
            out.iter_mut().zip(w).for_each(|(out, w)| *out = (w + self.share * (*out - w)).max(0.25 * *out));
        }
    }

    /// `w^{1−2/p}` in place. A row of zeros has weight zero, and stays there.
    fn diagonal(self, w: &mut [f64]) {
        w.iter_mut().for_each(|w| *w = if *w > 0.0 { *w } else { f64::INFINITY });
        self.root.raise(w);
        w.iter_mut().for_each(|w| *w = if *w < f64::INFINITY { *w } else { 0.0 });
    }

    /// What a common factor of the weights does to the Gram matrix.
    fn factor(self, factor: f64) -> f64 {
        self.root.of(factor)
    }
}

fn scale(mut gram: Matrix, factor: f64) -> Matrix {
    gram.as_mut_slice().iter_mut().for_each(|g| *g *= factor);
    gram
}

/// What the Lewis weights of a sample say of those of all rows.
struct OfSample {
    /// What whitens the sample at its fixed point; none where leverage scores are about as near to that.
    transform: Option<Matrix>,
    /// Of the first weights that have a residual, as it is to be expected.
    residual: f64,
}

/// Rows of the sample per column, for weights that are `q` to the power `p/2`.
const SAMPLED: f64 = 32.0;
/// Rows per row of the sample, at least.
const SPARED: usize = 6;

/// Lewis weights of a weighted sample; none where the table is too small for one, or sparse: the sample would be dense.
fn of_sample(
    rows: Rows<'_>,
    p: f64,
    leverage: &[f64],
    rank: usize,
    options: &ScoreOptions,
    observer: &mut dyn Observer,
) -> Result<Option<OfSample>, LinalgError> {
    let most = rows.rows() / SPARED;
    let sparse = matches!(rows, Rows::Sparse(_));
    if sparse || (most as f64) < 4.0 * SAMPLED * rank as f64 || options.max_iterations < 3 {
        return Ok(None);
    }
    let size = most.min((SAMPLED * (1.0 + p).powi(2) * rank as f64) as usize);
    let sample = thin(leverage, p, size, 0).scaled_rows(rows, p);
    let white = whiten_observed(&sample, None, observer)?;
    if white.rank < rank {
        return Ok(None);
    }
    let leverage = white.norms_squared_observed(&sample, observer)?;
    let options = ScoreOptions { tolerance: 0.05, max_iterations: 30, ..*options };
    let lewis = iterate((&sample).into(), p, &leverage, rank, &options, "Lewis weights of a sample", observer)?;
    if lewis.rank < rank {
        return Ok(None);
    }
    if lewis.steps == 1 {
        return Ok(Some(OfSample { transform: None, residual: lewis.residual }));
    }
    let mut diagonal = lewis.weights;
    Map::new(p).diagonal(&mut diagonal);
    let white = whiten_observed(&sample, Some(&diagonal), observer)?;
    let residual = p * (rank as f64 / size as f64).sqrt();
    Ok((white.rank == rank).then_some(OfSample { transform: Some(white.transform), residual }))
}

/// The transform of the weighted rows; by preconditioning where the Gram matrix is not enough.
fn transform(
    rows: Rows<'_>,
    gram: &Matrix,
    w: &[f64],
    map: Map,
    watch: &mut Watch<'_>,
) -> Result<Whitening, LinalgError> {
    if let Ok(factor) = factor_gram(gram)
        && factor.dropped() == 0
        && factor.whitening.condition <= 1e5
    {
        return Ok(factor.whitening);
    }
    let mut weights = w.to_vec();
    map.diagonal(&mut weights);
    whiten_given_gram_observed(rows, Some(&weights), gram, watch)
}

/// Scales the sum to the rank; the factor is returned.
fn normalise(w: &mut [f64], rank: usize) -> f64 {
    let factor = rank as f64 / w.iter().sum::<f64>();
    w.iter_mut().for_each(|w| *w *= factor);
    factor
}
