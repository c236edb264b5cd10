//! Settings.
use std::time::Duration;

use crate::Model;

/// The rank of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// As given.
    Fixed(usize),
    /// Grown from 1, in steps of about a quarter beyond 6, while the tuning set says so; up to `max`.
    Auto {
        /// Largest rank tried.
        max: usize,
    },
}

/// How the least squares of a row are solved in a half step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Solver {
    /// [`Solver::Exact`] up to 128 unknowns and three steps of [`Solver::ConjugateGradients`] beyond. From 24 unknowns on
    /// (to 128 with AVX-512, 64 with AVX2, 32 elsewhere) and while a path runs in single precision, which it does with twice
    /// as many entries as degrees of freedom, and where `lambda` is more than a thousandth of the first ridge and no
    /// `tolerance` is given: conjugate gradients until the gradient of a row has fallen to a tenth, three steps at most,
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
pub enum Finish {
    /// Gauss–Newton on the eliminated problem (see [`crate::finish`]); alternating where its matrices would take more than a
    /// gigabyte and eight times the memory of the entries.
    GaussNewton,
    /// Plain alternating half steps at `λ = 0`, with [`Options::solver`].
    Alternating,
    /// Nothing: the model of the path.
    None,
}

/// The loss of an entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// Squares.
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

/// Settings of [`crate::complete`].
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Ridge `λ` at which to stop, on `‖U‖² + ‖V‖²`. Default `None`: the one of the path that predicts the tuning set best,
    /// down to zero. Finite, `≥ 0`. Biases have a ridge beside it that goes with it: of three entries at most, and none
    /// where it is `Some(0.0)`.
    pub lambda: Option<f64>,
    /// Fit a mean and biases of rows and columns. Default false (low-rank recovery); ratings want true.
    pub biases: bool,
    /// Exponent `e` of the number of entries in the ridge of a row. Default `None`: 0.5 with biases, 0 without. 0 to 2.
    pub ridge_exponent: Option<f64>,
    /// Asks for exact recovery: the held-out error relative to the spread of the values must fall to this.
    /// Default `None`: the best prediction is good enough, and 1e-6 counts as recovered when it happens.
    pub tolerance: Option<f64>,
    /// Factor by which `λ` falls per pair of half steps, in `(0, 1)`. Default `None`: 0.5 where entries are at least three
    /// times the degrees of freedom, 0.8 below twice, 0.65 between and with biases.
    pub decay: Option<f64>,
    /// Row solver of the half steps. Default [`Solver::Auto`].
    pub solver: Solver,
    /// Default [`Finish::GaussNewton`].
    pub finish: Finish,
    /// Default [`Loss::Squared`].
    pub loss: Loss,
    /// All factors at least zero (biases are free). Default false.
    pub non_negative: bool,
    /// Harder paths after a failed one: growth of the rank (with `Rank::Fixed` and a `tolerance`, in the end from six other
    /// starts too), slower annealing, iteratively reweighted least squares. Default true; tried when `tolerance` is given,
    /// or when the model predicts the tuning set no better than nothing, and never with a `decay` or `lambda` of one's own,
    /// with biases or with non-negative factors.
    pub escalate: bool,
    /// Pairs of half steps and Gauss–Newton steps in all, over all ranks and paths. Default 5,000.
    pub max_iterations: usize,
    /// Ends the fit like `max_iterations`. Default none.
    pub time_limit: Option<Duration>,
    /// Share of the entries that choose `λ`, rank and path. Default 0.05, range `[0, 0.5]`; at most 10,000 entries, and near
    /// the information limit (fewer than twice the degrees of freedom) at most 0.5 % or 100; with a robust loss below four
    /// times at most 1 %.
    pub tuning: f64,
    /// Share of the entries that only judge the result. Default 0.05, range `[0, 0.5]`; at most 10,000 entries, and near the
    /// limit at most 0.5 % or 100. At 0 nothing is ever called verified.
    pub verification: f64,
    /// Fit the entries held out as well, after they have chosen and judged (a verified model stays as it is, and so does one
    /// with [`Loss::Huber`]). Default true.
    pub refit: bool,
    /// A model to go on from, of the same shape and rank: the annealing starts at its `λ` (or the last of the path). Default
    /// none.
    pub start: Option<Model>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lambda: None,
            biases: false,
            ridge_exponent: None,
            tolerance: None,
            decay: None,
            solver: Solver::Auto,
            finish: Finish::GaussNewton,
            loss: Loss::Squared,
            non_negative: false,
            escalate: true,
            max_iterations: 5_000,
            time_limit: None,
            tuning: 0.05,
            verification: 0.05,
            refit: true,
            start: None,
        }
    }
}
