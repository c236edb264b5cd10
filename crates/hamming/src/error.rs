//! Why there are no distances.

/// One variant per cause.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HammingError {
    /// The pattern has no symbols.
    #[error("the pattern is empty")]
    EmptyPattern,
    /// A search without patterns.
    #[error("there are no patterns")]
    NoQueries,
    /// Positions that must match lie outside the pattern.
    #[error("required of query {query} is {start}..{end}, allowed is within 0..{pattern}")]
    RequiredOutOfRange {
        /// Number of the query.
        query: usize,
        /// First position given.
        start: usize,
        /// End given.
        end: usize,
        /// Pattern length.
        pattern: usize,
    },
    /// The pattern is longer than the text, so there is no alignment.
    #[error("the pattern has {pattern} symbols and the text only {text}")]
    PatternLongerThanText {
        /// Pattern length.
        pattern: usize,
        /// Text length.
        text: usize,
    },
    /// The text has no symbols.
    #[error("the text is empty")]
    EmptyText,
    /// Memory for distances has another length than there are alignments.
    #[error("out has room for {given} distances, and the text has {needed} alignments")]
    BufferLength {
        /// Length given.
        given: usize,
        /// Alignments.
        needed: usize,
    },
    /// An option is outside the range its documentation gives.
    #[error("{option} is {value}, allowed is {allowed}")]
    OptionOutOfRange {
        /// Name of the option.
        option: &'static str,
        /// Value given.
        value: f64,
        /// What is allowed.
        allowed: &'static str,
    },
    /// An alignment that the text does not have.
    #[error("alignment is {alignment}, allowed is 0 to {last}")]
    Alignment {
        /// Alignment given.
        alignment: usize,
        /// Last alignment.
        last: usize,
    },
    /// The pattern is longer than distances can count.
    #[error("the pattern has {pattern} symbols, allowed is up to {limit}")]
    PatternTooLong {
        /// Pattern length.
        pattern: usize,
        /// Largest length.
        limit: usize,
    },
    /// The text is longer than there is room for.
    #[error("the text has {text} symbols, allowed is up to {limit}")]
    TextTooLong {
        /// Text length.
        text: usize,
        /// Largest length.
        limit: usize,
    },
    /// A symbol that the alphabet does not have.
    #[error("{argument} has symbol {symbol:?} at position {position}, which the alphabet {alphabet} does not have")]
    UnknownSymbol {
        /// `"pattern"` or `"text"`.
        argument: &'static str,
        /// The symbol.
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
        /// Bytes allowed.
        limit: u128,
    },
    /// An engine was forced that cannot serve this input.
    #[error("engine {engine} cannot serve this input: {reason}")]
    EngineUnsuitable {
        /// Name of the engine.
        engine: &'static str,
        /// Why not.
        reason: &'static str,
    },
}
