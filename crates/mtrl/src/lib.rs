#![doc = include_str!("../README.md")]
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
