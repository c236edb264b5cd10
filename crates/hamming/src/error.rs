//! Why there are no distances.
use samplewise_linalg::ArgumentError;

/// Why there are no distances; one variant per cause.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument or an option is out of range.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// The pattern has no symbols.
    #[error("the pattern is empty")]
    EmptyPattern,
    /// A search or a batch without patterns.
    #[error("there are no patterns")]
    NoQueries,
    /// Positions that must match lie outside the pattern.
    #[error("required of query {query} is {start}..{end}, allowed is within 0..{pattern}")]
    RequiredOutOfRange {
        /// Number of the query.
        query: usize,
        /// First position given.
        start: usize,
        /// The end that was given.
        end: usize,
        /// Length of the pattern.
        pattern: usize,
    },
    /// The pattern is longer than the text, so there is no alignment.
    #[error("the pattern has {pattern} symbols and the text only {text}")]
    PatternLongerThanText {
        /// Length of the pattern.
        pattern: usize,
        /// Length of the text.
        text: usize,
    },
    /// The text has no symbols.
    #[error("the text is empty")]
    EmptyText,
    /// A symbol that the alphabet does not have.
    #[error("{argument} has symbol {symbol:?} at position {position}, which the alphabet {alphabet} does not have")]
    UnknownSymbol {
        /// `"pattern"` or `"text"`.
        argument: &'static str,
        /// The symbol that is none of the alphabet.
        symbol: char,
        /// Its position, 0-based.
        position: usize,
        /// Name of the alphabet.
        alphabet: &'static str,
    },
    /// An engine was forced whose spectra have no room.
    #[error("engine {engine} would hold {bytes} bytes of spectra of {letters} letters, allowed is up to {limit}")]
    SpectraTooLarge {
        /// Name of the engine.
        engine: &'static str,
        /// Letters of the pattern.
        letters: usize,
        /// Bytes they would take.
        bytes: u128,
        /// Number of bytes that are allowed.
        limit: u128,
    },
    /// An engine was forced that cannot serve this input.
    #[error("engine {engine} cannot serve this input: {reason}")]
    EngineUnsuitable {
        /// Name of the engine.
        engine: &'static str,
        /// Why it cannot be.
        reason: &'static str,
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
