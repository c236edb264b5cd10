//! The entries, prepared.
pub(crate) mod biases;
pub(crate) mod core_peeling;
pub(crate) mod entries;
pub(crate) mod ridge;
pub(crate) mod split;
pub(crate) mod state;
