//! Settings of the calls.
use std::ops::Bound::Excluded;

use samplewise_linalg::argument::OptionRange;

use crate::engine::Engine;
use crate::letters::relation::{Alphabet, TextN, WildcardMeaning};

/// Settings of [`crate::Plan::new`], [`crate::Search::new`] and [`crate::Batch::new`], for texts of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Options {
    /// Meaning of the letters. Default [`Alphabet::Bytes`].
    pub alphabet: Alphabet,
    /// The wildcard, in pattern and text; in either case where the alphabet ignores case. Default none.
    pub wildcard: Option<u8>,
    /// What the wildcard counts. Default [`WildcardMeaning::Match`].
    pub wildcard_meaning: WildcardMeaning,
    /// What an `N` of the text matches with [`Alphabet::Iupac`]. Default [`TextN::Mismatch`].
    pub text_n: TextN,
    /// Engine. Default [`Engine::Auto`].
    pub engine: Engine,
}

/// Settings of [`crate::Plan::of_symbols`], [`crate::Search::of_symbols`] and [`crate::Batch::of_symbols`], for texts of any symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SymbolOptions<S> {
    /// The wildcard, in pattern and text. Default none.
    pub wildcard: Option<S>,
    /// What the wildcard counts. Default [`WildcardMeaning::Match`].
    pub wildcard_meaning: WildcardMeaning,
    /// Engine. Default [`Engine::Auto`].
    pub engine: Engine,
}

impl<S> Default for SymbolOptions<S> {
    fn default() -> Self {
        Self { wildcard: None, wildcard_meaning: WildcardMeaning::default(), engine: Engine::default() }
    }
}

/// How distances are approximated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Method {
    /// Within `(1 ± ε)·D`, from a sample of the pattern. Fast where most pairs differ.
    #[default]
    Sampling,
    /// Within `(1 − ε)·D` and `D`, from hashed letters. Needs letters compared for equality.
    OneSided,
}

/// Settings of [`crate::Plan::approximate`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ApproximateOptions {
    /// Relative error. Default 0.05; above 0 and below 1.
    pub epsilon: f64,
    /// Probability that any alignment misses it. Default 0.001; above 0 and below 1.
    pub delta: f64,
    /// Default [`Method::Sampling`].
    pub method: Method,
    /// Count exactly where the cost model says that this is no slower. Default true.
    pub exact_when_cheaper: bool,
    /// Seed of the samples and hashes. Default 0.
    pub seed: u64,
}

impl Default for ApproximateOptions {
    fn default() -> Self {
        Self { epsilon: 0.05, delta: 0.001, method: Method::default(), exact_when_cheaper: true, seed: 0 }
    }
}

/// Ranges of [`ApproximateOptions`].
pub const APPROXIMATE: [OptionRange<ApproximateOptions>; 2] = [
    OptionRange {
        name: "epsilon",
        low: Excluded(0.0),
        high: Excluded(1.0),
        get: |o| Some(o.epsilon),
        set: |o, v| o.epsilon = v,
    },
    OptionRange {
        name: "delta",
        low: Excluded(0.0),
        high: Excluded(1.0),
        get: |o| Some(o.delta),
        set: |o, v| o.delta = v,
    },
];
