//! Why there is no answer.
use samplewise_linalg::LinalgError;

/// One variant per cause.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SensitivityError {
    /// `p` is below 1 or not finite.
    #[error("p is {p}, allowed is 1 to 64")]
    Exponent {
        /// Value given.
        p: f64,
    },
    /// The coreset is smaller than it can be or larger than the data.
    #[error("size is {size}, allowed is {least} to {rows}")]
    Size {
        /// Size given.
        size: usize,
        /// Least size.
        least: usize,
        /// Rows of the data.
        rows: usize,
    },
    /// Of the rows, none was drawn.
    #[error("none of the rows was drawn at an expected size of {size}: ask for more rows, or take another seed")]
    NothingDrawn {
        /// Size given.
        size: usize,
    },
    /// A number outside its range.
    #[error("{argument} is {value}, allowed is {allowed}")]
    OutOfRange {
        /// Name of the argument.
        argument: &'static str,
        /// Value given.
        value: f64,
        /// Allowed values in words.
        allowed: &'static str,
    },
    /// A method that cannot be had in one pass.
    #[error("sensitivities need all rows at once; a stream takes Lewis weights, leverage, root leverage or uniform")]
    Stream,
    /// The oracle that was asked for labels gave none.
    #[error("the label of row {row} is {value}; labels must be finite")]
    Label {
        /// The row asked for.
        row: usize,
        /// What came.
        value: f64,
    },
    /// The data are bad: empty, not finite, wrong length.
    #[error(transparent)]
    Data(#[from] LinalgError),
}
