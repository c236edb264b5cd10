//! What the letters of pattern and text mean.
pub(crate) mod classes;
pub(crate) mod packed_dna;
pub(crate) mod relation;
