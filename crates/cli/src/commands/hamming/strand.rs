//! A pattern as it is searched.
use samplewise_hamming::{Plan, Symbol};

/// A pattern on one strand.
pub(super) struct Strand<S: Symbol> {
    pub(super) pattern: usize,
    pub(super) reverse: bool,
    pub(super) plan: Plan<S>,
}
