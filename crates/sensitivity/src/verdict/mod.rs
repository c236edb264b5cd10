//! What may be said of an answer.
pub(crate) mod certificate;
pub(crate) mod judge;
