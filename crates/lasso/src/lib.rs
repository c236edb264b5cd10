#![doc = include_str!("../README.md")]
mod answer;
mod calls;
mod certificate;
mod cross_validate;
mod design;
mod error;
pub mod group;
mod kernel;
mod lars;
mod options;
mod problem;
mod small_tables;
mod sums;
mod verdict;
mod working_set;

pub use answer::{Report, Route, Solution, Status};
pub use calls::{
    lambda_grid, lambda_grid_observed, largest_lambda, largest_lambda_observed, path, path_observed, solve,
    solve_observed,
};
pub use cross_validate::{
    CrossValidation, CrossValidationReport, CrossValidationRoute, cross_validate, cross_validate_observed,
};
pub use design::{Columns, Design};
pub use error::Error;
pub use lars::walk::Workspace;
pub use options::{CrossValidationOptions, Folds, Grid, Options, Solver};
pub use samplewise_linalg::observe::{Observer, Progress};
pub use samplewise_linalg::{
    ArgumentError, CooBuilder, CsrMatrix, CsrView, Ending, Matrix, MatrixView, NoBound, Rows, Seconds,
};
pub use small_tables::{Homotopy, SmallSolution};
pub use sums::{
    cross_validate_moments, cross_validate_moments_observed, lambda_grid_of_moments, path_of_moments,
    path_of_moments_observed,
};

/// For the tests and benches of this collection: outside what versions promise.
#[doc(hidden)]
pub mod internals {
    pub use crate::options::RANGES;
}
