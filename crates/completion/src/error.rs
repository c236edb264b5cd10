//! Why there is no model.
use samplewise_linalg::LinalgError;

/// One variant per cause.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CompletionError {
    /// No entries.
    #[error("there are no entries")]
    Empty,
    /// The rank is zero or above what the shape allows.
    #[error("rank is {rank}, allowed is 1 to {limit}")]
    Rank {
        /// Rank given.
        rank: usize,
        /// Largest rank.
        limit: usize,
    },
    /// Fewer entries than are needed to fit and to check.
    #[error("{given} entries are too few for rank {rank}: at least {needed} are needed")]
    TooFewEntries {
        /// Entries given.
        given: usize,
        /// Rank asked.
        rank: usize,
        /// Entries needed.
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
        /// Value given.
        value: f64,
    },
    /// An option is outside its range.
    #[error("option {option} is {value}, allowed is {allowed}")]
    OptionOutOfRange {
        /// Name of the option.
        option: &'static str,
        /// Value given.
        value: f64,
        /// Allowed range in words.
        allowed: &'static str,
    },
    /// The model to start from has another shape or rank, or the rank is automatic.
    #[error("the start is {given:?} (rows, columns, rank), the fit {expected:?} with a fixed rank")]
    Start {
        /// Rows, columns and rank of the model.
        given: (usize, usize, usize),
        /// Those of the fit.
        expected: (usize, usize, usize),
    },
    /// Bytes that are no stored model.
    #[error("the bytes are no model: {reason}")]
    Bytes {
        /// What is wrong with them.
        reason: &'static str,
    },
    /// The entries themselves are bad: outside the shape, twice, not finite.
    #[error(transparent)]
    Entries(#[from] LinalgError),
}
