//! What every crate of the collection shares, with or without matrices.
pub mod argument;
pub mod dispatch;
pub mod ending;
pub mod envelope;
pub mod error;
#[cfg(feature = "serde")]
pub mod extended;
pub mod forest;
pub mod keys;
pub mod observe;
pub mod random;
pub mod scale;
pub mod summary;
pub mod sums;
pub mod twofold;
