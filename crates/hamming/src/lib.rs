#![doc = include_str!("../README.md")]
mod answer;
mod approximate;
mod batch;
pub mod differences;
mod engine;
mod error;
mod kernel;
mod letters;
mod options;
mod overhang;
#[cfg(feature = "paper")]
pub mod paper;
#[cfg(not(feature = "paper"))]
#[allow(dead_code, reason = "the engine of sumsets uses a part of it")]
mod paper;
mod plan;
mod search;
mod stream;

pub use answer::{Answer, Block, EngineCost, Report, Route, count_distances};
pub use approximate::Approximation;
pub use batch::Batch;
pub use engine::Engine;
pub use engine::fft::Certificate;
pub use error::Error;
pub use letters::packed_dna::PackedDna;
pub use letters::relation::{Alphabet, Interner, Symbol, TextN, WildcardMeaning, complement_dna, reverse_complement};
pub use options::{ApproximateOptions, Method, Options, SymbolOptions};
pub use plan::Plan;
pub use samplewise_linalg::observe::{Observer, Progress};
pub use samplewise_linalg::{ArgumentError, Ending, Seconds};
pub use search::{Hit, Hits, Query, Search};
pub use stream::{SearchStream, Stream};

/// For the tests and benches of this collection: outside what versions promise.
#[doc(hidden)]
pub mod internals {
    pub use crate::engine::costs::{Costs, costs};
    pub use crate::options::APPROXIMATE;
}
