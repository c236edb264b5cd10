//! Embeddings into fewer dimensions.
pub mod sketch;
pub mod svd;
