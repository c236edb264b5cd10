//! Why there is no spectrum.

/// One variant per cause, with the numbers that a caller needs to act.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WhtError {
    /// The dense transform was given a length that is not `2ⁿ`.
    #[error("the number of values is {len}, allowed is a power of two, and 2 at least for a spectrum to be sparse")]
    LengthNotPowerOfTwo {
        /// Length given.
        len: usize,
    },
    /// The number of variables is zero or does not fit the index type.
    #[error("variables is {variables}, allowed is 1 to {most}")]
    Variables {
        /// Number given.
        variables: usize,
        /// Bits of the index type.
        most: usize,
    },
    /// The sparsity is zero or above `2ⁿ`.
    #[error("sparsity is {sparsity}, allowed is 1 to 2^{variables}")]
    Sparsity {
        /// Sparsity given.
        sparsity: usize,
        /// Number of variables.
        variables: usize,
    },
    /// An option is outside the range its documentation gives.
    #[error("option {option} is {value}, allowed is {allowed}")]
    OptionOutOfRange {
        /// Name of the option.
        option: &'static str,
        /// Value given.
        value: f64,
        /// Allowed range in words.
        allowed: &'static str,
    },
    /// The decoder cannot serve what was asked of it.
    #[error("decoder {decoder:?} needs {needs}")]
    DecoderNeeds {
        /// The decoder.
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
        /// Samples allowed.
        samples: usize,
        /// Samples needed.
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
        /// Its value.
        value: f64,
    },
    /// The observer asked to stop before anything was decoded.
    #[error("stopped before anything was decoded")]
    Stopped,
    /// More than can be held: queries of a plan, candidates of its lists, terms of a Möbius transform.
    #[error("{what} would be {count}, allowed is {most} (by the memory that they take)")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How many.
        count: u128,
        /// How many are allowed.
        most: u128,
    },
}
