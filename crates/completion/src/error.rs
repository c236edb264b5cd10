//! Why there is no model.
use samplewise_linalg::{ArgumentError, LinalgError};

/// Why there is no model; one variant per cause.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument or an option is out of range.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// The data are bad: entries outside the shape, twice or not finite, bytes that are no stored model.
    #[error(transparent)]
    Data(#[from] LinalgError),
    /// There are no entries to fit.
    #[error("there are no entries")]
    Empty,
    /// The rank is zero or above what the shape allows.
    #[error("rank is {rank}, allowed is 1 to {limit}")]
    Rank {
        /// The rank that was given.
        rank: usize,
        /// The largest rank that the shape allows.
        limit: usize,
    },
    /// Fewer entries than are needed to fit and to check.
    #[error("{given} entries are too few for rank {rank}: at least {needed} are needed")]
    TooFewEntries {
        /// Number of entries that were given.
        given: usize,
        /// The rank that was asked for.
        rank: usize,
        /// Number of entries that are needed.
        needed: usize,
    },
    /// The rank is to be chosen on held-out entries, and none can be spared.
    #[error("no entry can be held out to choose the rank: no row and column of one have more than 3; give a rank")]
    NothingToTune,
    /// A weight is not finite, not positive, or too small beside the largest for the precision of the values.
    #[error(
        "weight {position} is {value}, allowed is finite, positive and large enough beside the largest not to be lost in rounding"
    )]
    Weight {
        /// Position of the weight.
        position: usize,
        /// The value that was given.
        value: f64,
    },
    /// The model to start from has another shape or rank, or the rank is automatic.
    #[error("the start is {given:?} (rows, columns, rank), the fit {expected:?} with a fixed rank")]
    Start {
        /// Rows, columns and rank of the model.
        given: (usize, usize, usize),
        /// Those of the fit.
        expected: (usize, usize, usize),
    },
}

impl Error {
    /// A number out of range.
    pub(crate) fn argument(name: &'static str, given: f64, allowed: impl Into<String>) -> Self {
        ArgumentError::number(name, given, allowed).into()
    }
}
