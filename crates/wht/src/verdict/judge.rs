//! What may be said of what a decoder found.
use rayon::prelude::*;
use samplewise_linalg::observe::Watch;
use samplewise_linalg::{Ending, Seconds};

use crate::answer::{Coefficient, Report, Spectrum, Status};
use crate::decode::Found;
use crate::dense;
use crate::field::bits::Bits;
use crate::options::{Decoder, Errors, Noise};
use crate::plan::sizes;
use crate::plan::spec::PlanSpec;
use crate::verdict::refit;
use crate::verdict::units::range_of;
use crate::verdict::verify::{self, Case, Fresh};

/// Standard errors of the coefficients, and the residual of the decoder's own samples in units of the noise, with its degrees
/// of freedom.
type Refit = (Option<Vec<f64>>, Option<(f64, usize)>);

/// Least squares of the decoder's samples on what was found, where its values are not those already.
fn refit_support<I: Bits>(
    spec: &PlanSpec,
    answers: &[f64],
    queries: &[I],
    found: &mut Found<I>,
    watch: &mut Watch<'_>,
) -> Refit {
    let noisy = spec.noise != Noise::None;
    let mut own_residual = None;
    let mut std_errors = found.std_errors.take().filter(|_| spec.errors == Errors::Model || found.ridge.is_none());
    if std_errors.is_some() {
        if let Noise::Std(s) = spec.noise {
            own_residual =
                Some(((found.noise_std / s).powi(2), answers.len().saturating_sub(found.coefficients.len()).max(1)));
        }
    } else if let Some(ridge) = found.ridge {
        let support: Vec<I> = found.coefficients.iter().map(|c| c.0).collect();
        let fit = refit::least_squares(&queries[..answers.len()], answers, &support, ridge, spec.errors, watch);
        if let Some(fit) = fit {
            found.coefficients.iter_mut().zip(&fit.values).for_each(|(c, v)| c.1 = *v);
            found.noise_std = if noisy { fit.variance.sqrt() } else { 0.0 };
            if let Noise::Std(s) = spec.noise {
                own_residual = Some((fit.variance / (s * s), answers.len() - support.len()));
            }
            std_errors = Some(fit.std_errors);
        }
    }
    (std_errors, own_residual)
}

/// Least squares on the decoder's samples, errors, and what the fresh samples say. Where the observer ends the least squares, the
/// decoder's own values stay.
pub(crate) fn judge<I: Bits>(
    spec: &PlanSpec,
    (answers, rounding): (&[f64], f64),
    (queries, verification): (&[I], usize),
    mut found: Found<I>,
    watch: &mut Watch<'_>,
) -> Spectrum<I> {
    let samples = answers.len();
    let route = found.route.unwrap_or(spec.decoder);
    let used = samples - verification;
    let noisy = spec.noise != Noise::None;
    let (low, high) = range_of(answers);
    let spread = high - low;
    let (std_errors, own_residual) = refit_support(spec, &answers[..used], queries, &mut found, watch);
    let fresh = Fresh::new(
        (used..samples)
            .into_par_iter()
            .with_min_len(8)
            .map(|i| (answers[i], dense::evaluate(&found.coefficients, queries[i])))
            .collect(),
    );
    let noise_std = if noisy { found.noise_std } else { 0.0 };
    let per_coefficient = noise_std / (used.max(1) as f64).sqrt();
    let ln_candidates = sizes::ln_candidates(spec.variables, &spec.support);
    let detection_limit =
        (((2.0 * ln_candidates).sqrt() + 3.0) * per_coefficient).max(verify::AGREES * spread + 2.0 * rounding);
    let case = Case {
        noise: spec.noise,
        support: &spec.support,
        planned: spec.sparsity,
        found: found.coefficients.len(),
        found_degree: found.coefficients.iter().map(|c| c.0.weight()).max().unwrap_or(0),
        multi_tons: found.multi_tons,
        delta: spec.delta,
        spread,
        rounding,
        constant: found.coefficients.iter().all(|c| c.0.is_zero()),
        noise_std,
        detection_limit,
        own_residual,
    };
    let status = if spec.decoder == Decoder::Dense {
        case.judge_dense(answers, &found.coefficients)
    } else {
        case.judge(&fresh)
    };
    let differs_at_most = match status {
        Status::Constant { differs_at_most, .. } => Some(differs_at_most),
        Status::Exact { delta: 0.0 } => Some(0.0),
        _ => case.agree(&fresh).then(|| (-spec.delta.ln() / fresh.pairs.len() as f64).min(1.0)),
    };
    let coefficients = found
        .coefficients
        .into_iter()
        .enumerate()
        .map(|(i, (index, value))| {
            let std_error = noisy.then(|| std_errors.as_ref().map_or(per_coefficient, |e| e[i]));
            Coefficient { index, value, std_error }
        })
        .collect();
    Spectrum {
        variables: spec.variables,
        coefficients,
        status,
        report: Report {
            route,
            samples,
            verification,
            residual_std: fresh.residual_std(),
            r2: if matches!(status, Status::Constant { .. }) { None } else { fresh.r2() },
            differs_at_most,
            rounding,
            noise_std,
            detection_limit,
            stages: vec![samples],
            choice: None,
            ending: if watch.stopped() { Ending::Interrupted } else { Ending::Finished },
            seconds: Seconds::default(),
        },
    }
}
