//! Active multi-task representation learning (arXiv 2306.02556): source tasks `y = xᵀ B w_m + noise` share `B`
//! (`d × K`); a target with few labels wants it. Which tasks to sample, and how much?
//!
//! The target's excess risk is about `σ²(d−K)·wᵀ(W diag(n) Wᵀ)⁻¹w + σ²K/n_t`, so the choice of `n` is c-optimal design
//! and `n ∝ |ν|` for the `ν` of least `ℓ1` norm with `W ν = w` is optimal.
//!
//! | stage | call | row |
//! |---|---|---|
//! | what is kept of a task, mergeable | [`TaskData`] | MTL-7 |
//! | `B` and `W` from the data of all tasks | [`fit_representation`] | MTL-1 |
//! | relevance `ν`, shares, risk, Elfving efficiency | [`relevance()`] | MTL-2, MTL-3, MTL-5 |
//! | which strategy to trust | `guard` | MTL-6 |
//! | costs and budgets | [`CostModel`], [`Budget`] | MTL-5 |
//! | ask and tell | [`Planner`] | MTL-4 |
//! | the closed loop over an oracle | [`learn`] | MTL-4 |
//!
//! ```
//! use samplewise_mtrl::{Budget, Matrix, Options, Planner, TaskData};
//! // Two features, three tasks along one direction; the target has four labels.
//! let rows = |n: usize| Matrix::from_fn(n, 2, |i, j| ((i * 7 + j * 3) % 5) as f64 - 2.0);
//! let labels = |x: &Matrix, w: f64| (0..x.rows()).map(|i| w * (x[(i, 0)] + x[(i, 1)])).collect::<Vec<f64>>();
//! let x = rows(4);
//! let target = TaskData::new(&x, &labels(&x, 2.0))?;
//! let options = Options { dimension: Some(1), ..Options::default() };
//! let mut planner = Planner::new(3, vec![target], Budget::Samples(60), &options)?;
//! loop {
//!     let wanted = planner.ask()?;
//!     if wanted.is_empty() {
//!         break;
//!     }
//!     for (task, n) in wanted {
//!         let x = rows(n);
//!         planner.tell(task, &x, &labels(&x, 1.0 + task as f64))?;
//!     }
//! }
//! let learned = planner.finish()?;
//! assert!((learned.target()[0] - 2.0).abs() < 1e-3 && learned.samples.iter().sum::<usize>() == 60);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
mod active;
mod cost;
mod descent;
mod error;
mod guard;
mod options;
mod planner;
mod relevance;
mod representation;
mod task;

pub use active::{TaskOracle, learn, learn_from, learn_from_observed, learn_observed};
pub use cost::{Budget, CostModel};
pub use error::Error;
pub use options::FitOptions;
pub use planner::{Learned, Options, Planner, Round};
pub use relevance::{Relevance, Strategy, allocate, efficiency, predicted_risk, relevance, relevance_of_targets};
pub use representation::{Representation, fit_representation, fit_representation_observed};
pub use samplewise_linalg::observe::{Observer, Progress};
pub use samplewise_linalg::{ArgumentError, Ending, Matrix, Summary};
pub use task::TaskData;
