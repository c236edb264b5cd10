//! What may be said of an answer.
pub(crate) mod judge;
pub(crate) mod refit;
pub(crate) mod units;
pub(crate) mod verify;
