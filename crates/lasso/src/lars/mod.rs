//! The exact piecewise linear path: LARS with drops.
pub(crate) mod gram;
pub(crate) mod walk;
