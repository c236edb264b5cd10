//! Active multi-task representation learning (arXiv 2306.02556): source tasks `y = xᵀ B w_m + noise` share `B`
//! (`d × K`); a target with few labels wants it. Which tasks to sample, and how much?
//!
//! The target's excess risk is about `σ²(d−K)·wᵀ(W diag(n) Wᵀ)⁻¹w + σ²K/n_t`, so the choice of `n` is c-optimal design
//! and `n ∝ |ν|` for the `ν` of least `ℓ1` norm with `W ν = w` is optimal.
//!
//! | stage | module | row |
//! |---|---|---|
//! | what is kept of a task, mergeable | [`task`] | MTL-7 |
//! | `B` and `W` from the data of all tasks | [`representation`] | MTL-1 |
//! | relevance `ν`, shares, risk, Elfving efficiency | [`relevance`](mod@relevance) | MTL-2, MTL-3, MTL-5 |
//! | which strategy to trust | `guard` | MTL-6 |
//! | costs and budgets | [`cost`] | MTL-5 |
//! | ask and tell | [`planner`] | MTL-4 |
//! | the closed loop over an oracle | [`active`] | MTL-4 |
//!
//! ```
//! use samplewise_linalg::Matrix;
//! use samplewise_mtrl::{Budget, Options, Planner, TaskData};
//! // Two features, three tasks along one direction; the target has four labels.
//! let rows = |n: usize| Matrix::from_fn(n, 2, |i, j| ((i * 7 + j * 3) % 5) as f64 - 2.0);
//! let labels = |x: &Matrix, w: f64| (0..x.rows()).map(|i| w * (x[(i, 0)] + x[(i, 1)])).collect::<Vec<f64>>();
//! let x = rows(4);
//! let target = TaskData::new(&x, &labels(&x, 2.0))?;
//! let options = Options { dimension: Some(1), ..Options::default() };
//! let mut planner = Planner::new(3, vec![target], Budget::Samples(60), options)?;
//! loop {
//!     let wanted = planner.next_allocation(&mut ())?;
//!     if wanted.is_empty() {
//!         break;
//!     }
//!     for (task, n) in wanted {
//!         let x = rows(n);
//!         planner.ingest(task, &x, &labels(&x, 1.0 + task as f64))?;
//!     }
//! }
//! let learned = planner.finish(&mut ())?;
//! assert!((learned.target()[0] - 2.0).abs() < 1e-3 && learned.samples.iter().sum::<usize>() == 60);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
pub mod active;
pub mod cost;
mod descent;
mod guard;
mod options;
pub mod planner;
pub mod relevance;
pub mod representation;
pub mod task;

pub use active::{Mapped, TaskOracle, learn, learn_from, learn_observed};
pub use cost::{Budget, CostModel};
pub use options::FitOptions;
pub use planner::{Learned, Options, Planner, Round};
pub use relevance::{Relevance, Strategy, allocate, efficiency, predicted_risk, relevance, relevance_of_targets};
pub use representation::{Representation, fit_representation, fit_representation_from};
pub use task::TaskData;

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
    /// Samples did not come.
    #[error("task {task}: {reason}")]
    Oracle {
        /// Number of the task.
        task: usize,
        /// What the source says.
        reason: String,
    },
    /// Samples stopped coming after some had come, which are kept; [`learn_from`] goes on from them.
    #[error("{source}; {} samples drawn before are kept", data.iter().map(TaskData::samples).sum::<usize>())]
    Stopped {
        /// What the source says.
        source: Box<MtrlError>,
        /// Everything drawn, per task.
        data: Vec<TaskData>,
    },
    /// The data are bad.
    #[error(transparent)]
    Data(#[from] LinalgError),
    /// The relevance Lasso failed.
    #[error(transparent)]
    Lasso(#[from] samplewise_lasso::LassoError),
}
