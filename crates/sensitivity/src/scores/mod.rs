//! Scores of rows with two-sided bounds on their `ℓp` sensitivities.
mod certified;
mod lewis;

use std::time::Instant;

use samplewise_linalg::argument::check_ranges;
use samplewise_linalg::leverage::{Whitening, whiten_observed};
use samplewise_linalg::observe::{Observer, Watch};
use samplewise_linalg::{Ending, Rows, Seconds};

use crate::Error;
use crate::options::{SCORES, ScoreOptions};
use crate::power::{Power, check_exponent};

pub use certified::{CertifiedScores, certified_sensitivities, certified_sensitivities_observed};

/// How rows are scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Method {
    /// Every row alike: the baseline, without any guarantee.
    Uniform,
    /// Leverage scores `τ_i`: the `ℓ2` sensitivities.
    Leverage,
    /// `τ_i^{p/2}` for `p ≤ 2`, which bounds the sensitivity from above; for `p > 2` scaled by `n^{p/2−1}` and cut at 1.
    RootLeverage,
    /// Lewis weights for the given `p`.
    #[default]
    Lewis,
    /// The sensitivities themselves, each certified between two bounds. Costs a small optimisation for every row: `n²·d²`
    /// flops in all, so for some ten thousand rows at most. It does not sample better than Lewis weights; its value is the
    /// certificate.
    Sensitivity,
    /// Sensitivities plus leverage scores (the `ℓ2` augmentation of Munteanu and Omlor, for `1 ≤ p ≤ 2`): `S + d` samples
    /// up to logarithms, which is optimal. Costs as [`Method::Sensitivity`].
    SensitivityPlusLeverage,
}

/// Scores, and what they say of the sensitivities.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Scores {
    /// One score per row, proportional to the sampling probability.
    pub values: Vec<f64>,
    /// Lower bounds of the `ℓp` sensitivities.
    pub lower: Vec<f64>,
    /// Upper bounds of the `ℓp` sensitivities.
    pub upper: Vec<f64>,
    /// Sum of the scores.
    pub total: f64,
    /// Numerical rank of the table.
    pub rank: usize,
    /// Condition number of the column-scaled table.
    pub condition: f64,
    /// The evidence: how the call went, and what its claims rest on.
    pub report: ScoreReport,
}

/// Evidence of scores.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ScoreReport {
    /// How the call ended: at a limit where an iteration did, interrupted where the observer said so. The bounds hold all the
    /// same.
    pub ending: Ending,
    /// How rows were scored.
    pub route: Method,
    /// Lewis weights: number of passes over the table; sensitivities: most Newton steps of any row.
    pub iterations: usize,
    /// Wall time of the call.
    pub seconds: Seconds,
    /// Lewis weights: largest relative difference between the weights before the last step and their map; those returned are
    /// closer, by about `|p − 2|/(p + 2)`; infinite where the first pass was stopped. Zero for the other methods.
    #[cfg_attr(feature = "serde", serde(with = "samplewise_linalg::extended"))]
    pub residual: f64,
}

impl Scores {
    /// Whether the scores have the accuracy that was asked for.
    pub fn converged(&self) -> bool {
        self.report.ending == Ending::Finished
    }

    /// Bounds of the total sensitivity `S = Σ s_i`.
    pub fn total_sensitivity(&self) -> (f64, f64) {
        (self.lower.iter().sum(), self.upper.iter().sum())
    }
}

/// Scores the rows of `a`, dense or sparse, for exponent `p` (rows SEN-1 to SEN-3).
///
/// Cost one pass pair (`2nd²` flops) for leverage, times the steps (2 to 20) for Lewis weights; see [`Method`] for the
/// others. Lewis weights of many dense rows start from a sample with a fixed seed; same bits for every thread count.
///
/// ```
/// use samplewise_sensitivity::{Matrix, Method, scores};
/// let a = Matrix::from_fn(100, 2, |i, j| if j == 0 { 1.0 } else { f64::from(i == 7) });
/// let lewis = scores(&a, 1.0, &Method::Lewis.into())?;
/// assert!(lewis.values[7] > 0.9 && lewis.converged());
/// # Ok::<(), samplewise_sensitivity::Error>(())
/// ```
///
/// # Errors
/// [`Error::Argument`], [`Error::Data`].
pub fn scores<'a>(a: impl Into<Rows<'a>>, p: f64, options: &ScoreOptions) -> Result<Scores, Error> {
    scores_observed(a, p, options, &mut ())
}

/// [`scores`] with progress and cancellation; when stopped, the scores of the last pass, whose bounds hold.
///
/// # Errors
/// As [`scores`]; [`Error::Interrupted`] when it was stopped before there were leverage scores.
pub fn scores_observed<'a>(
    a: impl Into<Rows<'a>>,
    p: f64,
    options: &ScoreOptions,
    observer: &mut dyn Observer,
) -> Result<Scores, Error> {
    let (start, a) = (Instant::now(), a.into());
    check_exponent(p)?;
    check_ranges(options, &SCORES)?;
    let n = a.rows();
    let watch = &mut Watch::new(observer);
    let base = whiten_observed(a, None, watch)?;
    let leverage: Vec<f64> = base.norms_squared_observed(a, watch)?.into_iter().map(at_most_one).collect();
    let mut out = from_leverage(&leverage, p, &base);
    let method = options.method;
    match method {
        Method::Uniform => out.values = vec![1.0; n],
        Method::Leverage => out.values = leverage,
        Method::RootLeverage => out.values = root_leverage(&leverage, p),
        Method::Lewis => lewis::fill(&mut out, a, p, leverage, &base, options, watch)?,
        Method::Sensitivity | Method::SensitivityPlusLeverage => {
            let first = leverage.clone();
            lewis::fill(&mut out, a, p, first, &base, options, watch)?;
            let every: Vec<usize> = (0..n).collect();
            let certified = certified::certify(a, p, &every, &base, &out, options.gap, watch)?;
            (out.report.iterations, out.report.ending) = (certified.report.iterations, certified.report.ending);
            (out.lower, out.upper) = (certified.lower, certified.upper);
            out.report.residual = 0.0;
            out.values.clone_from(&out.upper);
            if method == Method::SensitivityPlusLeverage {
                out.values.iter_mut().zip(&leverage).for_each(|(s, t)| *s += t);
            }
        }
    }
    out.total = out.values.iter().sum();
    out.report.route = method;
    out.report.seconds = Seconds::since(start);
    Ok(out)
}

/// `τ^{p/2}`, for `p > 2` scaled by `n^{p/2−1}` and cut at 1.
fn root_leverage(leverage: &[f64], p: f64) -> Vec<f64> {
    let power = Power::new(p / 2.0);
    let scale = (leverage.len() as f64).powf((p / 2.0 - 1.0).max(0.0));
    leverage.iter().map(|&t| (scale * power.of(t)).min(1.0)).collect()
}

/// What leverage scores alone say (row SEN-1): `‖·‖_2 ≤ ‖·‖_p ≤ n^{1/p−1/2} ‖·‖_2` for `p ≤ 2`, and the reverse above.
fn from_leverage(leverage: &[f64], p: f64, base: &Whitening) -> Scores {
    let power = Power::new(p / 2.0);
    let widening = (leverage.len() as f64).powf((p / 2.0 - 1.0).abs());
    let (low, high) = if p <= 2.0 { (1.0 / widening, 1.0) } else { (1.0, widening) };
    let slack = slack(base.condition, p);
    let mut raised = leverage.to_vec();
    power.raise(&mut raised);
    let times = |factor: f64| raised.iter().map(|r| at_most_one(factor * r)).collect();
    Scores {
        lower: times(low / slack),
        upper: times(high * slack),
        values: Vec::new(),
        total: 0.0,
        rank: base.rank,
        condition: base.condition,
        report: ScoreReport {
            ending: Ending::Finished,
            route: Method::Leverage,
            iterations: 0,
            seconds: Seconds::default(),
            residual: 0.0,
        },
    }
}

/// What rounding does to powers of quadratic forms with the inverse of a Gram matrix, which loses the square of the
/// condition number, or with the transform of a repeated factorisation, which loses the condition number itself.
fn slack(condition: f64, p: f64) -> f64 {
    let relative = 100.0 * f64::EPSILON * if condition <= 1e5 { condition * condition } else { 1e3 * condition };
    (1.0 + relative).powf(p / 2.0)
}

/// A score cannot be above 1 but by rounding.
pub(crate) fn at_most_one(t: f64) -> f64 {
    t.clamp(0.0, 1.0)
}
