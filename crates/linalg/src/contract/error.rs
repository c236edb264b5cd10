//! Why a call of the facade has no result.

/// One variant per cause; each carries the argument's name, its value and what is allowed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LinalgError {
    /// An argument has the wrong shape.
    #[error("{argument} has shape {rows} x {columns}, expected {expected}")]
    Shape {
        /// Name of the argument.
        argument: &'static str,
        /// Number of rows that were given.
        rows: usize,
        /// Number of columns that were given.
        columns: usize,
        /// What is allowed.
        expected: String,
    },
    /// A slice has the wrong length.
    #[error("{argument} has length {given}, expected {expected}")]
    Length {
        /// Name of the argument.
        argument: &'static str,
        /// The length that was given.
        given: usize,
        /// The length that was expected.
        expected: usize,
    },
    /// A matrix or slice without entries where at least one is needed.
    #[error("{argument} is empty")]
    Empty {
        /// Name of the argument.
        argument: &'static str,
    },
    /// A NaN or an infinity.
    #[error("{argument} holds {value} at row {row}, column {column}; entries must be finite")]
    NotFinite {
        /// Name of the argument.
        argument: &'static str,
        /// Row of the first such entry.
        row: usize,
        /// Column of the first such entry.
        column: usize,
        /// The entry that is not finite.
        value: f64,
    },
    /// An index beyond its bound.
    #[error("{argument} is {index}, allowed is 0..{bound}")]
    IndexOutOfRange {
        /// Name of the argument.
        argument: &'static str,
        /// The index that was given.
        index: usize,
        /// First index that is not allowed.
        bound: usize,
    },
    /// The same position twice, where the policy forbids it.
    #[error("entry (row {row}, column {column}) is given twice")]
    Duplicate {
        /// Row of the entry.
        row: usize,
        /// Column of the entry.
        column: usize,
    },
    /// Column indices that do not ascend.
    #[error("{argument} of row {row} do not ascend")]
    Unsorted {
        /// Name of the argument.
        argument: &'static str,
        /// The row of the entry.
        row: usize,
    },
    /// A number outside its range.
    #[error("{argument} is {value}, allowed is {allowed}")]
    OutOfRange {
        /// Name of the argument.
        argument: &'static str,
        /// The value that was given.
        value: f64,
        /// Allowed range in words.
        allowed: &'static str,
    },
    /// Cholesky met a pivot that is not positive.
    #[error("matrix is not positive definite: pivot {pivot} is {value:e}")]
    NotPositiveDefinite {
        /// Index of the pivot.
        pivot: usize,
        /// The value that was given.
        value: f64,
    },
    /// More memory than can be indexed or reserved.
    #[error("{what} needs {bytes} bytes, which cannot be reserved")]
    TooLarge {
        /// What would be stored.
        what: &'static str,
        /// Bytes it would take.
        bytes: u128,
    },
    /// Bytes that are no summary of the wanted kind.
    #[error("not a {kind}: {reason}")]
    Bytes {
        /// Kind of summary expected.
        kind: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// An inner iteration did not converge.
    #[error("{method} did not converge")]
    NoConvergence {
        /// Name of the method.
        method: &'static str,
    },
    /// The observer asked to stop before anything usable existed.
    #[error("interrupted before there was an answer")]
    Interrupted,
}
