//! Shared by the tests, benches and examples of samplewise: random problems, failure-rate assertions, fixtures.

pub mod designs;
pub mod double_double;
pub mod fixtures;
pub mod generate;
pub mod hostile;
pub mod picture;
pub mod ranges;
pub mod rate;
pub mod referee;
pub mod stopping;
pub mod strategies;
pub mod trees;

pub use rate::assert_rate_at_most;
