//! Why there is no answer.
use samplewise_linalg::{ArgumentError, LinalgError};

use crate::TaskData;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument or an option is out of range.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// The data are bad: not finite, or of a shape that does not fit.
    #[error(transparent)]
    Data(#[from] LinalgError),
    /// Samples did not come.
    #[error("task {task}: {reason}")]
    Oracle {
        /// Number of the task.
        task: usize,
        /// What the source says.
        reason: String,
    },
    /// Samples stopped coming after some had come, which are kept; [`crate::learn_from`] goes on from them.
    #[error("{source}; {} samples drawn before are kept", data.iter().map(TaskData::samples).sum::<usize>())]
    Stopped {
        /// What the source says.
        source: Box<Error>,
        /// Everything drawn, per task.
        data: Vec<TaskData>,
    },
    /// The relevance Lasso failed.
    #[error(transparent)]
    Lasso(#[from] samplewise_lasso::Error),
}

impl Error {
    /// A number out of range.
    pub(crate) fn argument(name: &'static str, given: f64, allowed: impl Into<String>) -> Self {
        ArgumentError::number(name, given, allowed).into()
    }

    /// A dimension of the representation out of range.
    pub(crate) fn dimension(given: usize, limit: usize) -> Self {
        ArgumentError::new("dimension", given, format!("1 to {limit}, features and tasks")).into()
    }
}
