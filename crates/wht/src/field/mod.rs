//! Vectors and matrices over the field of two elements.
pub(crate) mod bits;
pub(crate) mod gf2;
