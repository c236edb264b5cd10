#![doc = include_str!("../README.md")]
mod answer;
mod check;
mod complete;
mod control;
mod data;
mod ensemble;
mod error;
mod kernel;
mod model;
mod options;
mod paths;
mod polish;
mod posterior;
mod robust;
mod verdict;

pub use answer::{Completion, Report, Route, Status};
pub use complete::{complete, complete_observed};
pub use control::Stage;
pub use data::entries::Entries;
pub use ensemble::Ensemble;
pub use error::Error;
pub use model::{FoldedRow, Model};
pub use options::{Advanced, Finish, Loss, Options, PosteriorOptions, Rank, Solver, Verification};
pub use posterior::{Posterior, PosteriorReport, Prediction, sample_posterior, sample_posterior_observed};
pub use samplewise_linalg::observe::{Observer, Progress};
pub use samplewise_linalg::{ArgumentError, CooBuilder, CsrMatrix, CsrView, Ending, Matrix, MatrixView, Seconds};
pub use verdict::certificate::Certificate;
pub use verdict::determined::{Check, Determination};

/// For the tests and benches of this collection: outside what versions promise.
#[doc(hidden)]
pub mod internals {
    pub use crate::data::core_peeling::{Line, peel};
    pub use crate::kernel::Verification as Pass;
    pub use crate::options::{POSTERIOR, RANGES};
}
