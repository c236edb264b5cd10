//! Settings of the calls.
use std::ops::Bound::{Excluded, Included, Unbounded};

use samplewise_linalg::argument::OptionRange;

use crate::coreset::Sampler;
use crate::scores::Method;

/// Settings of [`crate::regress()`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Options {
    /// Relative tolerance of the gap between objective and lower bound. Default 1e-9, below which nothing is claimed; finite
    /// and above 0.
    pub tolerance: f64,
    /// Fit an intercept: a coefficient of a column of ones, which is stored apart from the table. Default false.
    pub intercept: bool,
    /// Weight of the loss of each row, finite and not negative, such as those of a coreset. Default all one. A weighted
    /// table is a copy.
    pub sample_weights: Option<Vec<f64>>,
    /// See [`Preprocessing`]; of no effect on other losses.
    pub preprocessing: Preprocessing,
}

impl Default for Options {
    fn default() -> Self {
        Self { tolerance: 1e-9, intercept: false, sample_weights: None, preprocessing: Preprocessing::Auto }
    }
}

/// Whether `ℓ1` and quantile regression of all rows goes by a reduced problem with the same solution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Preprocessing {
    /// Where it was measured to pay (`cargo bench --bench sensitivity -- crossover`).
    #[default]
    Auto,
    /// Whenever there are more than twice as many rows as the reduced problem has; where their sides cannot be
    /// settled, the descent along edges begins from the best fit on the way, and all rows are solved for if that ends in no
    /// vertex.
    Always,
    /// Not at all.
    Never,
}

/// Settings of [`crate::regress_on_coreset`], [`crate::screened_coreset`] and [`crate::LabelPlan`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CoresetOptions {
    /// How rows are scored; the table is `[A b]`, or `A` alone where labels are asked for. Default Lewis.
    pub method: Method,
    /// How rows are drawn. Default Bernoulli.
    pub sampler: Sampler,
    /// Rows that a first draw by rough scores leaves for each row of the coreset, as [`crate::screened_coreset`] says; 0
    /// scores all rows. Default 8.
    pub oversampling: usize,
    /// Seed of the sample. Default 0.
    pub seed: u64,
    /// Whether [`crate::regress_on_coreset`] looks for a lower bound on all rows. Default yes; without, there is no bound. For
    /// `p = 1` and quantiles the bound is that of the problem of all rows, solved to 1e-4: some three times the cost of scores
    /// and fit, not much less than [`crate::regress()`]. For other `p` it costs one Gram matrix.
    pub certify: bool,
    /// Settings of the fit; a coreset alone has none.
    pub fit: Options,
}

impl Default for CoresetOptions {
    fn default() -> Self {
        Self {
            method: Method::Lewis,
            sampler: Sampler::Bernoulli,
            oversampling: 8,
            seed: 0,
            certify: true,
            fit: Options::default(),
        }
    }
}

/// Settings of [`crate::scores()`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ScoreOptions {
    /// How rows are scored. Default Lewis.
    pub method: Method,
    /// Relative accuracy of Lewis weights, as foreseen from the residual and from how fast it falls. Default 0.01; above 0
    /// and at most 1. A sample needs a constant factor only, 0.1 is plenty.
    pub tolerance: f64,
    /// Passes for Lewis weights at most. Default 100; finite and at least 1. One is enough for a sample of the size at which a
    /// fit is good.
    pub max_iterations: usize,
    /// Gap `upper/lower − 1` to which sensitivities are certified. Default 1e-3; above 0 and at most 1.
    pub gap: f64,
}

impl Default for ScoreOptions {
    fn default() -> Self {
        Self { method: Method::Lewis, tolerance: 0.01, max_iterations: 100, gap: 1e-3 }
    }
}

impl From<Method> for ScoreOptions {
    fn from(method: Method) -> Self {
        Self { method, ..Self::default() }
    }
}

/// Settings of [`crate::certified_sensitivities`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CertifiedOptions {
    /// Gap `upper/lower − 1` to which sensitivities are certified. Default 1e-3; above 0 and at most 1.
    pub gap: f64,
}

impl Default for CertifiedOptions {
    fn default() -> Self {
        Self { gap: 1e-3 }
    }
}

/// Settings of [`crate::Coreset::sample`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SampleOptions {
    /// How rows are drawn. Default Bernoulli.
    pub sampler: Sampler,
    /// Seed of the row hash. Default 0.
    pub seed: u64,
}

/// Settings of [`crate::distortion()`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct DistortionOptions {
    /// Number of random starts, besides the extreme generalised eigenvectors and the heaviest rows. Default 4.
    pub random_starts: usize,
    /// Steps of L-BFGS for each start at most. Default 60.
    pub max_iterations: usize,
    /// Seed of the random starts. Default 0.
    pub seed: u64,
}

impl Default for DistortionOptions {
    fn default() -> Self {
        Self { random_starts: 4, max_iterations: 60, seed: 0 }
    }
}

/// Ranges of [`Options`].
pub const FIT: [OptionRange<Options>; 1] = [OptionRange {
    name: "tolerance",
    low: Excluded(0.0),
    high: Unbounded,
    get: |o| Some(o.tolerance),
    set: |o, v| o.tolerance = v,
}];

/// Ranges of [`ScoreOptions`].
pub const SCORES: [OptionRange<ScoreOptions>; 3] = [
    OptionRange {
        name: "tolerance",
        low: Excluded(0.0),
        high: Included(1.0),
        get: |o| Some(o.tolerance),
        set: |o, v| o.tolerance = v,
    },
    OptionRange {
        name: "max_iterations",
        low: Included(1.0),
        high: Unbounded,
        get: |o| Some(o.max_iterations as f64),
        set: |o, v| o.max_iterations = v as usize,
    },
    OptionRange { name: "gap", low: Excluded(0.0), high: Included(1.0), get: |o| Some(o.gap), set: |o, v| o.gap = v },
];

/// Ranges of [`CertifiedOptions`].
pub const CERTIFIED: [OptionRange<CertifiedOptions>; 1] =
    [OptionRange { name: "gap", low: Excluded(0.0), high: Included(1.0), get: |o| Some(o.gap), set: |o, v| o.gap = v }];
