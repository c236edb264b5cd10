#![doc = include_str!("../README.md")]
mod answer;
pub mod any;
mod bins;
mod bytes;
mod decode;
pub mod dense;
mod error;
mod field;
mod indices;
mod memory;
mod options;
mod plan;
mod recovery;
pub mod surrogate;
mod verdict;

pub use answer::{Choice, Coefficient, Report, Spectrum, Status};
pub use error::Error;
pub use field::bits::{Bits, Wide};
pub use memory::{recover_in_memory, recover_in_memory_observed};
pub use options::{Decoder, Errors, Noise, Options, Sparsity, Support};
pub use plan::Plan;
pub use plan::spec::PlanSpec;
pub use recovery::{Recovery, recover, recover_observed};
pub use samplewise_linalg::observe::{Observer, Progress};
pub use samplewise_linalg::{ArgumentError, Ending, Seconds};
pub use verdict::verify::{points_to_certify, r2_at_least};

/// For the tests and benches of this collection: outside what versions promise.
#[doc(hidden)]
pub mod internals {
    pub use crate::bins::{detect, subsample};
    pub use crate::options::RANGES;
    pub use crate::plan::spec::PlanSpec as Spec;
}
