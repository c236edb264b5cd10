//! Settings of the calls.
use std::ops::Bound::{Excluded, Included, Unbounded};

use samplewise_linalg::Matrix;
use samplewise_linalg::argument::OptionRange;

use crate::relevance::Strategy;

/// Settings of a [`crate::Planner`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Options {
    /// Dimension `K` of the representation; `None` by the largest gap of singular values after the exploration.
    pub dimension: Option<usize>,
    /// Default [`Strategy::Guarded`].
    pub strategy: Strategy,
    /// Rounds of topping up after the exploration. Default 4.
    pub rounds: usize,
    /// Share of the budget explored uniformly. Default 0.3; above 0 and at most 1.
    pub exploration: f64,
    /// Samples of every task that the exploration asks for at least. Default 1.
    pub floor: usize,
    /// Ridge of the target's weights, per label. Default 1e-6; more for few or noisy labels; finite and at least 0.
    pub ridge: f64,
    /// Ridge of the source tasks' coefficients, per sample; see [`FitOptions::ridge`]. Default 0; finite and at least 0.
    pub source_ridge: f64,
    /// `λ` of the relevance Lasso. Default `None`: 5 % of the largest; finite and above 0.
    pub lambda: Option<f64>,
    /// Seed of the spectral start and of the guard. Default 0.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dimension: None,
            strategy: Strategy::Guarded,
            rounds: 4,
            exploration: 0.3,
            floor: 1,
            ridge: 1e-6,
            source_ridge: 0.0,
            lambda: None,
            seed: 0,
        }
    }
}

/// Settings of [`crate::fit_representation`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FitOptions {
    /// Ridge of every task's coefficients `B w_m`, per sample (one of `w_m` alone would do nothing: `B` would grow instead).
    /// Default 0; where features outnumber the samples of a task and the model is only roughly true, 0.01 to 0.3; finite and at
    /// least 0.
    pub ridge: f64,
    /// Stop when the gradient promises less than this share of the loss. Default 1e-10; finite and at least 0.
    pub tolerance: f64,
    /// Evaluations of the loss at most. Default 100; with 0 the start is the answer.
    pub max_iterations: usize,
    /// Basis to start from, `d × K`, such as that of an earlier fit; its `K` is that of the fit where none is asked for.
    /// Default none: the spectral start.
    pub start: Option<Matrix>,
    /// Seed of the spectral start. Default 0.
    pub seed: u64,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self { ridge: 0.0, tolerance: 1e-10, max_iterations: 100, start: None, seed: 0 }
    }
}

/// Ranges of [`Options`].
pub const RANGES: [OptionRange<Options>; 4] = [
    OptionRange {
        name: "exploration",
        low: Excluded(0.0),
        high: Included(1.0),
        get: |o| Some(o.exploration),
        set: |o, v| o.exploration = v,
    },
    OptionRange { name: "ridge", low: Included(0.0), high: Unbounded, get: |o| Some(o.ridge), set: |o, v| o.ridge = v },
    OptionRange {
        name: "source_ridge",
        low: Included(0.0),
        high: Unbounded,
        get: |o| Some(o.source_ridge),
        set: |o, v| o.source_ridge = v,
    },
    OptionRange {
        name: "lambda",
        low: Excluded(0.0),
        high: Unbounded,
        get: |o| o.lambda,
        set: |o, v| o.lambda = Some(v),
    },
];

/// Ranges of [`FitOptions`].
pub const FIT_RANGES: [OptionRange<FitOptions>; 2] = [
    OptionRange { name: "ridge", low: Included(0.0), high: Unbounded, get: |o| Some(o.ridge), set: |o, v| o.ridge = v },
    OptionRange {
        name: "tolerance",
        low: Included(0.0),
        high: Unbounded,
        get: |o| Some(o.tolerance),
        set: |o, v| o.tolerance = v,
    },
];
