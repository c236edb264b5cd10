//! Settings of the calls.
use std::ops::Bound::{Excluded, Included, Unbounded};

use samplewise_linalg::argument::OptionRange;

use crate::Model;

/// The rank of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Rank {
    /// The rank that is given.
    Fixed(usize),
    /// Grown from 1, in steps of about a quarter beyond 6, while the tuning set says so; up to `max`.
    Auto {
        /// Largest rank tried.
        max: usize,
    },
}

/// How the least squares of a row are solved in a half step.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Solver {
    /// [`Solver::Exact`] up to 128 unknowns and three steps of [`Solver::ConjugateGradients`] beyond. From 24 unknowns on
    /// (to 128 with AVX-512, 64 with AVX2, 32 elsewhere) and while a path runs in single precision, which it does with twice
    /// as many entries as degrees of freedom, and where `lambda` is more than a thousandth of the first ridge and no
    /// `exact_recovery` is asked for: conjugate gradients until the gradient of a row has fallen to a tenth, three steps at most,
    /// which takes 0.6 of the time at rank 50 and a third at 100 (`cargo bench --bench completion -- solvers`).
    Auto,
    /// Normal equations and Cholesky.
    Exact,
    /// Conjugate gradients from the present factors, preconditioned by `VᵀV`.
    ConjugateGradients {
        /// Steps per row and half step, 1 to 100.
        steps: usize,
    },
    /// The row solver of arXiv 2302.11068: randomised Hadamard sketch, its R factor as preconditioner, few iterations from
    /// the present factors. Slower than the others on every shape measured; here so that the theorem can be tested.
    Sketched {
        /// The preconditioned gradient of a row falls by this, in `(0, 1)`.
        accuracy: f64,
        /// Rows of the sketch per unknown, 2 to 64.
        rows_per_unknown: usize,
    },
}

/// What comes after the annealing when the data look free of noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Finish {
    /// Gauss–Newton on the eliminated problem; alternating where its matrices would take more than a
    /// gigabyte and eight times the memory of the entries.
    GaussNewton,
    /// Plain alternating half steps at `λ = 0`, with [`Advanced::solver`].
    Alternating,
    /// Nothing: the model of the path.
    None,
}

/// The loss of an entry.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Loss {
    /// The square of the residual.
    Squared,
    /// Huber's, with the threshold at so many robust standard deviations of the residuals. 1.345 is the usual choice.
    Huber {
        /// Threshold, positive.
        threshold: f64,
    },
    /// Huber's loss on the way, then entries far off (four robust standard deviations) are left out, and the others fitted by
    /// squares.
    Trimmed,
}

/// The entries that only judge a result.
///
/// Entries are held out in random order where rows and columns can spare them, 10,000 at most; with fewer than twice as many
/// entries as the rank has unknowns, at most a two-hundredth of them or 100. `report.verification_entries` says how many were.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Verification {
    /// This share of the entries, 0 to 1, or as much of it as can be spared.
    Share(f64),
    /// So many of the entries, or as many as can be spared.
    Count(usize),
    /// These entries `(row, column, value)`, which are not among the given ones.
    Given(Vec<(usize, usize, f64)>),
}

impl Verification {
    /// Entries of the caller's own.
    pub(crate) fn given(&self) -> Option<&[(usize, usize, f64)]> {
        match self {
            Self::Given(entries) => Some(entries),
            Self::Share(_) | Self::Count(_) => None,
        }
    }

    /// Share of `n` entries to hold out.
    pub(crate) fn share(&self, n: usize) -> f64 {
        match self {
            Self::Share(share) => *share,
            Self::Count(count) => *count as f64 / n.max(1) as f64,
            Self::Given(_) => 0.0,
        }
    }
}

/// Settings of [`crate::complete`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Options {
    /// Ridge `λ` at which to stop, on `‖U‖² + ‖V‖²`; finite and at least 0. Default `None`: the one of the path that predicts
    /// the tuning set best, down to zero. Biases have a ridge beside it that goes with it: of three entries at most, and
    /// none where it is `Some(0.0)`.
    pub lambda: Option<f64>,
    /// Fit a mean and biases of rows and columns. Default false (low-rank recovery); ratings want true.
    pub biases: bool,
    /// Asks for exact recovery: the held-out error relative to the spread of the values must fall to this; finite and above
    /// 0. Default `None`: the best prediction is good enough, and 1e-6 counts as recovered when it happens.
    pub exact_recovery: Option<f64>,
    /// Default [`Loss::Squared`].
    pub loss: Loss,
    /// All factors at least zero (biases are free). Default false.
    pub non_negative: bool,
    /// Pairs of half steps and Gauss–Newton steps in all, over all ranks and paths, at most. Default 5,000; finite and at
    /// least 1.
    pub max_iterations: usize,
    /// Share of the entries that choose `λ`, rank and path. Default 0.05; 0 to 0.5. At most 10,000 entries, and near
    /// the information limit (fewer than twice the degrees of freedom) at most 0.5 % or 100; with a robust loss below four
    /// times at most 1 %.
    pub tuning: f64,
    /// The entries that only judge the result. Default a share of 0.05; 0 to 0.5. Held out are at most 10,000 entries, and
    /// near the limit at most 0.5 % or 100. Without any, nothing is ever called verified.
    pub verification: Verification,
    /// A model to go on from, of the same shape and rank: the annealing starts at its `λ` (or the last of the path). Default
    /// none.
    pub start: Option<Model>,
    /// Seed of all randomness. Default 0.
    pub seed: u64,
    /// What only experiments set.
    pub advanced: Advanced,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lambda: None,
            biases: false,
            exact_recovery: None,
            loss: Loss::Squared,
            non_negative: false,
            max_iterations: 5_000,
            tuning: 0.05,
            verification: Verification::Share(0.05),
            start: None,
            seed: 0,
            advanced: Advanced::default(),
        }
    }
}

/// Settings of [`Options`] that only experiments set.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Advanced {
    /// Exponent `e` of the number of entries in the ridge of a row. Default `None`: 0.5 with biases, 0 without; 0 to 2.
    pub ridge_exponent: Option<f64>,
    /// Factor by which `λ` falls per pair of half steps; above 0 and below 1. Default `None`: 0.5 where entries are at least
    /// three times the degrees of freedom, 0.8 below twice, 0.65 between and with biases.
    pub decay: Option<f64>,
    /// Row solver of the half steps. Default [`Solver::Auto`].
    pub solver: Solver,
    /// Default [`Finish::GaussNewton`].
    pub finish: Finish,
    /// Harder paths after a failed one: growth of the rank (with `Rank::Fixed` and `exact_recovery`, in the end from six other
    /// starts too), slower annealing, iteratively reweighted least squares. Default true; tried when `exact_recovery` is asked
    /// for, or when the model predicts the tuning set no better than nothing, and never with a `decay` or `lambda` of one's
    /// own, with biases or with non-negative factors.
    pub escalate: bool,
    /// Fit the entries held out as well, after they have chosen and judged (a verified model stays as it is, and so does one
    /// with [`Loss::Huber`]). Default true.
    pub refit: bool,
}

impl Default for Advanced {
    fn default() -> Self {
        Self {
            ridge_exponent: None,
            decay: None,
            solver: Solver::Auto,
            finish: Finish::GaussNewton,
            escalate: true,
            refit: true,
        }
    }
}

/// Settings of [`crate::sample_posterior`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PosteriorOptions {
    /// Sweeps before the first draw is kept. Default 20; 0 to 1000000000.
    pub burn_in: usize,
    /// Draws kept, one per sweep. Default 60; finite and at least 1.
    pub samples: usize,
    /// Fit a mean and biases of rows and columns. Default true.
    pub biases: bool,
    /// Let the choice of the entries speak: the prior of a row moves with the columns it has entries in, and the other way
    /// round. Default true; false where entries were chosen at random.
    pub implicit: bool,
    /// The entries that only judge. Default a share of 0.05; 0 to 0.5. At most 10,000 are held out. After they have judged
    /// these are fitted as well: a quarter of the burn-in, and as many draws, replace the first ones.
    pub verification: Verification,
    /// Seed of all randomness. Default 0.
    pub seed: u64,
}

impl Default for PosteriorOptions {
    fn default() -> Self {
        let verification = Verification::Share(0.05);
        Self { burn_in: 20, samples: 60, biases: true, implicit: true, verification, seed: 0 }
    }
}

const fn share(verification: &Verification) -> Option<f64> {
    if let Verification::Share(share) = verification { Some(*share) } else { None }
}

/// Ranges of [`Options`].
pub const RANGES: [OptionRange<Options>; 7] = [
    OptionRange {
        name: "lambda",
        low: Included(0.0),
        high: Unbounded,
        get: |o| o.lambda,
        set: |o, v| o.lambda = Some(v),
    },
    OptionRange {
        name: "exact_recovery",
        low: Excluded(0.0),
        high: Unbounded,
        get: |o| o.exact_recovery,
        set: |o, v| o.exact_recovery = Some(v),
    },
    OptionRange {
        name: "ridge_exponent",
        low: Included(0.0),
        high: Included(2.0),
        get: |o| o.advanced.ridge_exponent,
        set: |o, v| o.advanced.ridge_exponent = Some(v),
    },
    OptionRange {
        name: "decay",
        low: Excluded(0.0),
        high: Excluded(1.0),
        get: |o| o.advanced.decay,
        set: |o, v| o.advanced.decay = Some(v),
    },
    OptionRange {
        name: "max_iterations",
        low: Included(1.0),
        high: Unbounded,
        get: |o| Some(o.max_iterations as f64),
        set: |o, v| o.max_iterations = v as usize,
    },
    OptionRange {
        name: "tuning",
        low: Included(0.0),
        high: Included(0.5),
        get: |o| Some(o.tuning),
        set: |o, v| o.tuning = v,
    },
    OptionRange {
        name: "verification",
        low: Included(0.0),
        high: Included(0.5),
        get: |o| share(&o.verification),
        set: |o, v| o.verification = Verification::Share(v),
    },
];

/// Ranges of [`PosteriorOptions`].
pub const POSTERIOR: [OptionRange<PosteriorOptions>; 3] = [
    OptionRange {
        name: "burn_in",
        low: Included(0.0),
        high: Included(1e9),
        get: |o| Some(o.burn_in as f64),
        set: |o, v| o.burn_in = v as usize,
    },
    OptionRange {
        name: "samples",
        low: Included(1.0),
        high: Unbounded,
        get: |o| Some(o.samples as f64),
        set: |o, v| o.samples = v as usize,
    },
    OptionRange {
        name: "verification",
        low: Included(0.0),
        high: Included(0.5),
        get: |o| share(&o.verification),
        set: |o, v| o.verification = Verification::Share(v),
    },
];
