//! The algorithms of arXiv 2310.13174 that other engines beat in practice: tested and benched, never chosen.
//!
//! [`sumset::sumset`] is the lemma on popular sums, which also serves [`crate::Engine::Sumset`]; [`fredman`] estimates match counts
//! as the paper's `(1 + ε)` algorithm does.
#[cfg(feature = "paper")]
pub mod fredman;
pub mod sumset;
