//! Why there is no spectrum.
use samplewise_linalg::{ArgumentError, LinalgError};

/// Why there is no spectrum; one variant per cause, with the numbers that a caller needs to act.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument or an option is out of range.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// Bytes that are no spectrum or no recovery.
    #[error(transparent)]
    Data(#[from] LinalgError),
    /// The decoder cannot serve what was asked of it.
    #[error("decoder {decoder:?} needs {needs}")]
    DecoderNeeds {
        /// The decoder that needs it.
        decoder: crate::Decoder,
        /// What it needs, in words.
        needs: &'static str,
    },
    /// A set of [`crate::Support::Within`] names a variable that does not exist.
    #[error("support set {set} names variable {variable}, allowed is 0 to {largest}")]
    SupportSet {
        /// Number of the set.
        set: usize,
        /// The variable it names.
        variable: usize,
        /// The largest allowed.
        largest: usize,
    },
    /// A budget that does not reach the first stage.
    #[error("samples is {samples}, and the first stage asks {needed}")]
    Budget {
        /// Number of samples that are allowed.
        samples: usize,
        /// Number of samples that are needed.
        needed: usize,
    },
    /// The plan asked for another number of values than were given.
    #[error("the plan asked {asked} queries, and {given} answers were given")]
    AnswersMismatch {
        /// Number of queries.
        asked: usize,
        /// Number of answers.
        given: usize,
    },
    /// An answer is NaN or infinite.
    #[error("answer {position} is {value}; answers must be finite")]
    AnswerNotFinite {
        /// Position of the answer, 0-based.
        position: usize,
        /// The value that was given.
        value: f64,
    },
    /// A letter that its position does not have.
    #[error("row {row} has letter {value} at position {position}, allowed is 0 to {largest}")]
    Letter {
        /// Number of the row, 0-based.
        row: usize,
        /// The position, 0-based.
        position: usize,
        /// The letter that was given.
        value: usize,
        /// The largest allowed.
        largest: usize,
    },
    /// The call ended before anything was decoded.
    #[error("interrupted before anything was decoded")]
    Interrupted,
    /// More than can be held: queries of a plan, candidates of its lists, terms of a Möbius transform.
    #[error("{what} would be {count}, allowed is {most} (by the memory that they take)")]
    TooLarge {
        /// What would take so many.
        what: &'static str,
        /// How many it would take.
        count: u128,
        /// How many are allowed.
        most: u128,
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

    /// Values of a dense transform that are not `2ⁿ`.
    pub(crate) fn length(given: usize, least: usize) -> Self {
        Self::count("values.len()", given, format!("a power of two, and {least} at least"))
    }
}
