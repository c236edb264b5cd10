//! Active multi-task representation learning (arXiv 2306.02556): source tasks `y = xᵀ B w_m + noise` share `B`
//! (`d × K`); a target with few labels wants it. Which tasks to sample, and how much?
//!
//! The target's excess risk is about `σ²(d−K)·wᵀ(W diag(n) Wᵀ)⁻¹w + σ²K/n_t`, so the choice of `n` is c-optimal design
//! and `n ∝ |ν|` for the `ν` of least `ℓ1` norm with `W ν = w` is optimal.
//!
//! | stage | module | row |
//! |---|---|---|
//! | `B` and `W` from the data of all tasks | [`representation`] | MTL-1 |
//! | relevance `ν`: Lasso, least norm, uniform | [`relevance`](mod@relevance) | MTL-2, MTL-3 |
//! | budget to samples; the closed loop | [`active`] | MTL-4 |
pub mod active;
pub mod relevance;
pub mod representation;

pub use active::{Learned, Options, TaskOracle, learn, learn_observed};
pub use relevance::{Strategy, allocate, predicted_risk, relevance};
pub use representation::{Representation, TaskData, fit_representation};

use samplewise_linalg::LinalgError;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MtrlError {
    /// The dimension of the representation is out of range.
    #[error("dimension is {dimension}, allowed is 1 to {limit} (features and tasks)")]
    Dimension {
        /// Dimension given.
        dimension: usize,
        /// Largest dimension.
        limit: usize,
    },
    /// An argument is out of range.
    #[error("{argument} is {value}, allowed is {allowed}")]
    OutOfRange {
        /// Name of the argument.
        argument: &'static str,
        /// Value given.
        value: f64,
        /// Allowed values.
        allowed: &'static str,
    },
    /// The data are bad.
    #[error(transparent)]
    Data(#[from] LinalgError),
    /// The relevance Lasso failed.
    #[error(transparent)]
    Lasso(#[from] samplewise_lasso::LassoError),
}
