//! Dense and sparse tables, their products, and where they come from.
pub mod convert;
pub mod dense;
mod matrix_market;
pub mod operator;
pub(crate) mod prefetch;
mod products;
pub mod rows;
#[cfg(feature = "serde")]
mod serial;
pub mod sparse;
pub mod spmm;
pub(crate) mod view;
