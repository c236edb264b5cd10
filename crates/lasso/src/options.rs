//! Settings of the calls.
use std::ops::Bound::{Excluded, Included, Unbounded};

use samplewise_linalg::argument::OptionRange;

/// Settings of [`solve`](crate::solve()) and [`path`](crate::path()).
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Options {
    /// Stop when `gap ≤ tolerance · null_objective`, where `null_objective` is the loss of `w = 0` (with intercept).
    /// Default 1e-8; finite and above 0. Below about 1e-14 rounding decides.
    pub tolerance: f64,
    /// Share `α` of the ℓ1 term; 1 is the Lasso. Default 1; 1e-9 to 1.
    pub mix: f64,
    /// Fit an intercept. Default true.
    pub intercept: bool,
    /// Penalise the coefficients of columns scaled to unit standard deviation. Default false. Coefficients are always
    /// reported for the columns as given.
    pub standardize: bool,
    /// Only coefficients `≥ 0`: the same as lower bounds of zero. Default false.
    pub positive: bool,
    /// Lower bounds of the coefficients, each `≤ 0`, `−∞` for none. Default none.
    #[cfg_attr(feature = "serde", serde(with = "samplewise_linalg::extended::optional_list"))]
    pub lower: Option<Vec<f64>>,
    /// Upper bounds of the coefficients, each `≥ 0`, `∞` for none. Default none.
    #[cfg_attr(feature = "serde", serde(with = "samplewise_linalg::extended::optional_list"))]
    pub upper: Option<Vec<f64>>,
    /// Weights of the rows, finite and `≥ 0`, scaled to mean 1. Default all equal.
    pub sample_weights: Option<Vec<f64>>,
    /// Factors `ω_j ≥ 0` of the penalty; 0 leaves a column unpenalised, which needs both of its bounds infinite or both
    /// finite. Default all 1.
    pub penalty_factors: Option<Vec<f64>>,
    /// Which solver. Default [`Solver::Auto`].
    pub solver: Solver,
    /// Newton steps or sweeps of one minimisation over a working set at most. Default 10,000; finite and at least 1. Where
    /// the gap is too wide then, the status says so. The homotopy has a limit of its own.
    pub max_iterations: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tolerance: 1e-8,
            mix: 1.0,
            intercept: true,
            standardize: false,
            positive: false,
            lower: None,
            upper: None,
            sample_weights: None,
            penalty_factors: None,
            solver: Solver::Auto,
            max_iterations: 10_000,
        }
    }
}

/// Which solver runs; all end at the same certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Solver {
    /// By shape: [`Solver::Homotopy`] for paths over many rows and few columns, else [`Solver::WorkingSet`], which turns
    /// to coordinate descent where the set grows too large for its Gram matrix. Sparse columns begin with coordinate
    /// descent and leave it once it has cost as much as that matrix would.
    #[default]
    Auto,
    /// Newton steps on the Gram matrix of a working set.
    WorkingSet,
    /// The exact piecewise linear path on the Gram matrix of all columns. Lasso without bounds other than signs and with
    /// every column penalised.
    Homotopy,
    /// Coordinate descent on the residual over a working set, with Anderson extrapolation.
    CoordinateDescent,
}

/// The values of λ of a path.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Grid {
    /// So many values, geometric from the largest λ down to a share of it; from 1 where the target is constant.
    Geometric {
        /// Number of values, 1 to 100,000.
        count: usize,
        /// The last value over the first, above 0 and below 1.
        min_ratio: f64,
    },
    /// These values in their order, each finite and above 0; a path is fastest when they fall.
    Values(Vec<f64>),
}

impl Default for Grid {
    fn default() -> Self {
        Self::Geometric { count: 100, min_ratio: 1e-3 }
    }
}

impl From<&[f64]> for Grid {
    fn from(values: &[f64]) -> Self {
        Self::Values(values.to_vec())
    }
}

impl From<Vec<f64>> for Grid {
    fn from(values: Vec<f64>) -> Self {
        Self::Values(values)
    }
}

/// The rows that are held out, fold by fold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Folds {
    /// So many folds of shuffled rows, as equal as can be; from 2 to the number of rows.
    Shuffled(usize),
    /// So many folds of neighbouring rows, the first ones a row longer where they cannot be equal.
    Contiguous(usize),
    /// These rows of each fold, in any number; a row may be in several folds or in none, and no fold may have all rows.
    Given(Vec<Vec<usize>>),
}

/// Settings of [`cross_validate`](crate::cross_validate()).
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CrossValidationOptions {
    /// The folds. Default five of shuffled rows.
    pub folds: Folds,
    /// The values of λ, the same for every fold. Default 100, down to a thousandth of the largest.
    pub grid: Grid,
    /// Seed of the shuffle. Default 0.
    pub seed: u64,
    /// Settings of every fit.
    pub fit: Options,
}

impl Default for CrossValidationOptions {
    fn default() -> Self {
        Self { folds: Folds::Shuffled(5), grid: Grid::default(), seed: 0, fit: Options::default() }
    }
}

/// Ranges of [`Options`].
pub const RANGES: [OptionRange<Options>; 3] = [
    OptionRange {
        name: "tolerance",
        low: Excluded(0.0),
        high: Unbounded,
        get: |o| Some(o.tolerance),
        set: |o, v| o.tolerance = v,
    },
    OptionRange { name: "mix", low: Included(1e-9), high: Included(1.0), get: |o| Some(o.mix), set: |o, v| o.mix = v },
    OptionRange {
        name: "max_iterations",
        low: Included(1.0),
        high: Unbounded,
        get: |o| Some(o.max_iterations as f64),
        set: |o, v| o.max_iterations = v as usize,
    },
];
