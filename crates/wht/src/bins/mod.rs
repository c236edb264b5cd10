//! Bins: sums of the coefficients whose indices a hash sends to the same place.
pub mod detect;
pub(crate) mod equal_pairs;
pub mod subsample;
