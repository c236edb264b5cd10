//! What may be said of a fit.
pub(crate) mod certificate;
pub(crate) mod determined;
pub(crate) mod fill;
pub(crate) mod judge;
pub(crate) mod pattern;
