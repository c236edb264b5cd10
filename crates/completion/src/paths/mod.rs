//! Ways from a start to a low-rank matrix.
pub(crate) mod annealing;
pub(crate) mod growth;
pub(crate) mod mending;
pub(crate) mod order;
pub(crate) mod refit;
pub(crate) mod reweighting;
