//! Why there is no solution.
use samplewise_linalg::{ArgumentError, LinalgError};

/// Why there is no solution; one variant per cause.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument or an option is out of range.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// The table itself is bad.
    #[error(transparent)]
    Data(#[from] LinalgError),
    /// The observer ended the call before there was anything to return.
    #[error("interrupted before there was a fit")]
    Interrupted,
    /// No rows or no columns.
    #[error("the table has {rows} rows and {columns} columns; at least one of each is needed")]
    Empty {
        /// Number of rows.
        rows: usize,
        /// Number of columns.
        columns: usize,
    },
    /// A vector does not fit the table.
    #[error("{argument} has length {given}, expected {expected}")]
    Length {
        /// Name of the argument.
        argument: &'static str,
        /// The length that was given.
        given: usize,
        /// The length that was expected.
        expected: usize,
    },
    /// A vector holds a value that is not allowed.
    #[error("{argument} is {value} at position {position}, allowed is {allowed}")]
    Entry {
        /// Name of the argument.
        argument: &'static str,
        /// Position of the entry.
        position: usize,
        /// The value that was given.
        value: f64,
        /// Allowed values in words.
        allowed: &'static str,
    },
    /// An option does not go with this problem.
    #[error("option {option}: {allowed}")]
    Unsupported {
        /// Name of the option.
        option: &'static str,
        /// What it goes with.
        allowed: &'static str,
    },
    /// A group of columns is bad.
    #[error("group {group}: {reason}")]
    Group {
        /// Number of the group.
        group: usize,
        /// What is wrong.
        reason: String,
    },
    /// Ties led an exact path in a circle.
    #[error("the path found no way on after {steps} steps: the table has ties that rounding does not decide")]
    Degenerate {
        /// Events until then.
        steps: usize,
    },
}

impl Error {
    /// A number out of range.
    pub(crate) fn argument(name: &'static str, given: f64, allowed: impl Into<String>) -> Self {
        ArgumentError::number(name, given, allowed).into()
    }

    /// A count out of range.
    pub(crate) fn count(name: &'static str, given: usize, allowed: impl Into<String>) -> Self {
        ArgumentError::new(name, given, allowed).into()
    }
}
