#![doc = include_str!("../README.md")]
mod answer;
mod cost;
mod descent;
mod error;
mod guard;
mod learn;
mod options;
mod planner;
mod relevance;
mod representation;
mod task;

pub use answer::{Learned, Report, Round, Route};
pub use cost::{Budget, CostModel};
pub use error::Error;
pub use learn::{TaskOracle, learn, learn_from, learn_from_observed, learn_observed};
pub use options::{FitOptions, Options};
pub use planner::Planner;
pub use relevance::{Relevance, Strategy, allocate, efficiency, predicted_risk, relevance, relevance_of_targets};
pub use representation::{FitReport, Representation, fit_representation, fit_representation_observed};
pub use samplewise_linalg::observe::{Observer, Progress};
pub use samplewise_linalg::{ArgumentError, Ending, Matrix, MatrixView, Seconds, Summary};
pub use task::TaskData;

/// For the tests and benches of this collection: outside what versions promise.
#[doc(hidden)]
pub mod internals {
    pub use crate::options::{FIT_RANGES, RANGES};
}
