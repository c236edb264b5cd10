//! Why there is no answer.
use samplewise_linalg::{ArgumentError, LinalgError};

/// Why there is no answer; one variant per cause.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument or an option is out of range.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// The data are bad: empty, not finite, wrong length.
    #[error(transparent)]
    Data(LinalgError),
    /// The observer ended the call before there was anything to return.
    #[error("interrupted before there was an answer")]
    Interrupted,
    /// The coreset is smaller than it can be or larger than the data.
    #[error("size is {size}, allowed is {least} to {rows}")]
    Size {
        /// The size that was given.
        size: usize,
        /// The least size that can be drawn.
        least: usize,
        /// Rows of the data.
        rows: usize,
    },
    /// Of the rows, none was drawn.
    #[error("none of the rows was drawn at an expected size of {size}: ask for more rows, or take another seed")]
    NothingDrawn {
        /// The size that was given.
        size: usize,
    },
    /// A method that cannot be had in one pass.
    #[error("sensitivities need all rows at once; a stream takes Lewis weights, leverage, root leverage or uniform")]
    Stream,
    /// Columns that sums over the rows cannot tell from a combination of others, although they are none.
    #[error(
        "column {column} is nearly, but not exactly, a combination of columns before it, which passes over sums cannot \
         resolve: leave it out, or centre the columns"
    )]
    NearlyDependent {
        /// The column.
        column: usize,
    },
    /// A label that was asked for is not finite.
    #[error("the label of row {row} is {value}; labels must be finite")]
    Label {
        /// The row asked for.
        row: usize,
        /// The value that came instead.
        value: f64,
    },
}

impl From<LinalgError> for Error {
    fn from(e: LinalgError) -> Self {
        match e {
            LinalgError::Interrupted => Error::Interrupted,
            other => Error::Data(other),
        }
    }
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
